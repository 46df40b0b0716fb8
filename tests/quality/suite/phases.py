"""One piece of work, timed phase by phase in a process of its own: ``python -m suite.phases image 128``, the last line of its output is JSON.

Times are processor seconds, of all threads together, since these hardly change when other programs run. The bound of a phase is what a product
of two float32 matrices of 4096 x 4096 takes for the same number of operations, the best of five in the same process. Of a network only its
convolutions count; a training step counts as three passes.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["bound_gflops", "convolution_flop", "made", "one_pass"]

_PRODUCT_SIDE, _BEST_OF = 4096, 5
_OPTICS = {"na": 1.1, "wavelength_nm": 525.0}


class Clock:
    """Seconds that named functions took, whatever called them; a function inside another one counts for both."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time of a block."""
        began = _now()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + _now() - began

    def watch(self, name: str, place: str) -> None:
        """Time every call of ``module:attribute``, or of ``module:Class.method``."""
        module, _, path = place.partition(":")
        *owners, attribute = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        called = getattr(owner, attribute)

        @functools.wraps(called)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.timed(name):
                return called(*arguments, **named)

        setattr(owner, attribute, timed)


class Steps:
    """A progress that notes when each training step was done."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._seen = clock, list[tuple[int, float, float]]()

    def __call__(self, done: int, total: int, message: str) -> None:
        """Hear of a step."""
        if (message == "training" or message.startswith("loss")) and done:
            self._seen.append((done, _now(), self._clock.seconds.get("checks", 0.0)))

    def numbers(self, began: float) -> dict[str, float | int]:
        """The first step, which includes tracing, and the others without the checks between them."""
        if len(self._seen) < 2:
            return {"steps": len(self._seen)}
        (first, at, checked), (last, ended, checked_then) = self._seen[0], self._seen[-1]
        steps = (ended - at) - (checked_then - checked)
        return {
            "steps": last,
            "tracing": at - began - (ended - at) / (last - first),
            "training": steps,
            "step": steps / (last - first),
        }


def bound_gflops() -> float:
    """10^9 operations a second of a float32 product of two matrices of 4096 x 4096: the best of five by NumPy and of five by the engine."""
    from keras import ops

    a = np.random.default_rng(0).standard_normal((_PRODUCT_SIDE, _PRODUCT_SIDE), np.float32)
    tensor = ops.convert_to_tensor(a)
    ways: tuple[Callable[[], Any], ...] = (lambda: a @ a, lambda: ops.convert_to_numpy(ops.matmul(tensor, tensor)))
    return 2 * _PRODUCT_SIDE**3 / min(_seconds(way) for way in ways for _ in range(_BEST_OF)) / 1e9


def convolution_flop(network: Any, shape: tuple[int, ...]) -> float:
    """Multiplications and additions in the convolutions of a network for an input ``(B, [Z,] Y, X)``."""
    import keras

    found = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv3D)]
    channels = network.input.shape[-1]
    shapes = keras.Model(network.input, [layer.output for layer in found]).compute_output_shape((*shape, channels))
    planes = int(np.prod(shape[:-2])) if len(shape) == 4 else shape[0]  # volumes are folded into planes
    return float(
        sum(
            2.0 * planes * np.prod(made[1:-1]) * np.prod(layer.kernel.shape)
            for layer, made in zip(found, shapes, strict=True)
        )
    )


def enhancing(what: str, size: str) -> dict[str, Any]:
    """Everything that ``superlens enhance`` does, but the command line."""
    clock = Clock()
    with clock.timed("reading"):
        image, optics = made(what, size)
    from superlens.enhancing import image_method
    from superlens.result import Result
    from superlens.runs import records  # the last of what a run imports

    imports = _now() - clock.seconds["reading"]
    clock.watch("checks", "superlens.training.two_stage.held_out:HeldOut.risks")
    clock.watch("blends", "superlens.training.two_stage.recipe:as_far_as_the_data_ask")
    clock.watch("turned", "superlens.predicting.start:averaged")
    method, steps = image_method(None), Steps(clock)
    config = method.settings.of("fast")
    with clock.timed("preparing"):
        prepared = method.prepare([image], optics, config)
    began = _now()
    with clock.timed("learning"):
        learned = method.learn(prepared, None, steps)
    with clock.timed("predicting"):
        channel = method.apply(learned, prepared.observations[0], steps)
    with clock.timed("evidence"):
        channel.evidence().numbers()
    with clock.timed("report"):
        page = Result.of(channel, image).report
    assert page and records
    told = clock.seconds
    pixels = image.data.size
    from superlens.predicting.start import beginning_of

    network = beginning_of(learned.model.config.network, None).model.network
    numbers = {
        "imports": imports,
        **told,
        "checks": told["checks"] - told.get("blends", 0.0),
        **steps.numbers(began),
        "whole": _now(),
        "peak_gb": _peak(),
        "megapixels": pixels / 1e6,
        "bound_gflops": bound_gflops(),
    }
    side = (1, 64, 64) if len(network.input.shape) == 4 else (1, 8, 64, 64)
    flop_per_pixel = convolution_flop(network, side) / np.prod(side)
    passes = told["turned"] * numbers["bound_gflops"] * 1e9 / (flop_per_pixel * pixels)
    return {**numbers, "flop_per_pixel": flop_per_pixel, "passes_in_bound": passes}


def training(size: str) -> dict[str, Any]:
    """The steps of `fast` alone, after the first, against the bound."""
    from superlens.enhancing import image_method
    from superlens.predicting.start import beginning_of
    from superlens.training import best_precision

    image, optics = made("image", size)
    method, clock = image_method(None), Clock()
    clock.watch("checks", "superlens.training.two_stage.held_out:HeldOut.risks")
    steps, config = Steps(clock), method.settings.of("fast")
    prepared, began = method.prepare([image], optics, config), _now()
    method.learn(prepared, None, steps)
    told, bound = steps.numbers(began), bound_gflops()
    network = beginning_of(config.network, None).model.network
    flop = 3 * convolution_flop(network, (config.batch, config.patch, config.patch))
    return {
        "step": told["step"],
        "steps": told["steps"],
        "precision": best_precision(),
        "gflops": flop / told["step"] / 1e9,
        "bound_gflops": bound,
        "of_bound": flop / told["step"] / 1e9 / bound,
        "peak_gb": _peak(),
    }


def predicting(size: str) -> dict[str, Any]:
    """One pass over an image, from counts to the sharp and the denoised one, against the bound."""
    image, optics = made("image", size)
    network, once = one_pass(image, optics)
    first = _seconds(once)
    again, bound = min(_seconds(once) for _ in range(2)), bound_gflops()
    flop = convolution_flop(network, (1, *image.data.shape[-2:]))
    return {
        "first": first,
        "again": again,
        "gflops": flop / again / 1e9,
        "bound_gflops": bound,
        "of_bound": flop / again / 1e9 / bound,
        "peak_gb": _peak(),
    }


def one_pass(image: Any, optics: Any) -> tuple[Any, Callable[[], None]]:
    """The pretrained network for an image or a volume, and a call that predicts the sharp and the denoised one of it, not turned."""
    from superlens.enhancing import image_method
    from superlens.predicting import predict_whole

    method, volume = image_method(None), image.axes == "ZYX"
    config = method.settings.of("fast", steps=0, flips=1, **({"axes": "ZYX"} if volume else {}))
    prepared = method.prepare([image], optics, config)
    model = method.learn(prepared, None, lambda *_: None).model
    observation, predictor = prepared.observations[0], method.predictor(model)
    roles = ("sharp", "denoised")

    shifts = itertools.count()  # what the pretrained model made of the same pixels before would be remembered
    counts, sigma = (observation.counts, observation.sigma) if volume else (observation.counts[0], observation.sigma[0])

    def once() -> None:
        predict_whole(predictor, counts + np.float32(next(shifts)), sigma, roles)

    return model.network, once


def engines(size: str) -> dict[str, Any]:
    """One batch of conditioned channels through the light network by TensorFlow and by OpenVINO, both in float32, against the bound."""
    import openvino
    import tensorflow as tf

    from superlens.predicting.start import beginning_of
    from superlens.training import outputs_of

    network, side = beginning_of("light", None).model.network, int(size)
    shape = (1, side, side, network.input.shape[-1])
    batch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    began = _now()
    traced = tf.function(network, input_signature=[tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2, "ENABLE_CPU_PINNING": False}
    compiled = openvino.Core().compile_model(openvino.convert_model(traced), "CPU", options)
    converting = _now() - began
    ours = outputs_of(network, batch)
    theirs = [np.asarray(one) for one in list(compiled(batch).values())[: len(ours)]]
    flop, bound = convolution_flop(network, shape[:-1]), bound_gflops()
    told = {
        "converting": converting,
        "apart": max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(ours, theirs, strict=True)),
        "bound_gflops": bound,
    }
    for name, call in (("tensorflow", lambda: outputs_of(network, batch)), ("openvino", lambda: compiled(batch))):
        seconds = min(_seconds(call) for _ in range(3))
        told |= {name: seconds, f"{name}_of_bound": flop / seconds / 1e9 / bound}
    return told


def made(what: str, size: str) -> tuple[Any, Any]:
    """An image of the size, laid of mirrored copies of the bundled one, and its optics."""
    import superlens as sl

    sample, optics = sl.sample(), sl.Objective(**_OPTICS)
    if size == "bundled":
        return sample, optics
    number, side = (1, int(size)) if what in ("image", "training", "predict") else map(int, size.split("x"))
    planes = np.stack([_laid(np.roll(sample.data, 7 * i, axis=1), side) for i in range(number)])
    if number == 1:
        return sl.Image(planes[0], "YX", pixel_nm=sample.pixel_nm), optics
    more = {"z_step_nm": 200.0} if what == "stack" else {"frame_interval_s": 1.0}
    return sl.Image(planes, "ZYX" if what == "stack" else "TYX", pixel_nm=sample.pixel_nm, **more), optics


def _laid(plane: Any, side: int) -> Any:
    return np.pad(plane, [(0, max(side - n, 0)) for n in plane.shape], mode="symmetric")[:side, :side]


def _seconds(call: Callable[[], Any]) -> float:
    began = _now()
    call()
    return _now() - began


def _now() -> float:
    """Processor seconds of all threads since the process began, its imports included."""
    return time.process_time()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


_WORK = {"training": training, "predict": predicting, "engines": engines}


def main(what: str, size: str) -> None:
    """Do it, and print the numbers."""
    import warnings

    warnings.simplefilter("ignore")
    found = _WORK[what](size) if what in _WORK else enhancing(what, size)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
