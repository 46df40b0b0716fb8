"""Pretrain the network that fine-tuning on an image starts from, on simulated specimens.

A specimen is drawn on the fine grid, seen through a random point spread function, exposed by a random camera, and the light network
learns to give back the noise-free image and the specimen through the response that sharp images state. Nothing here has seen a real image: what the
result knows of biology is what `superlens.simulate` draws. Structures, PSFs, light levels, backgrounds and read noise are drawn as
broadly as microscopes differ, since a narrow start invents its own structures on unlike images.

In: seeds and numbers. Out: the weights of ``networks.light``. The shipped ones are made by ``python -m superlens.starts.images``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy import fft

from superlens import __version__
from superlens.model import Model, ModelConfig
from superlens.networks import architecture, build, losses
from superlens.observing.conditioning import CHANNELS
from superlens.optics import RESPONSES
from superlens.predicting.start import PRETRAINING
from superlens.progress import Progress, silent
from superlens.starts.command import start_command
from superlens.starts.exposing import Exposed
from superlens.starts.optics import Microscope, bin_pixels, condition_periodic, gauss_otf
from superlens.starts.specimens import FINE, a_specimen, specimens
from superlens.training import (
    Checkpoint,
    Draw,
    History,
    Plan,
    best_precision,
    fit,
    get_weights,
    precision,
    set_weights,
)
from superlens.training.two_stage.state import TwoStageState

__all__ = [
    "Batch",
    "batches",
    "calibrate",
    "draw_example",
    "drawn_ahead",
    "from_pool",
    "in_order",
    "pretrain",
    "two_stage_loss",
    "write_start",
]

Array = NDArray[np.float32]
Rng = np.random.Generator

PATCH = 96  # side of a training patch, camera pixels
_MARGIN = 8  # left out of the loss: zero padding reaches it


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch, in network units.

    Attributes
    ----------
    conditioned : ndarray, shape (B, PATCH, PATCH, CHANNELS), float32
    clean : ndarray, shape (B, PATCH, PATCH, 1), float32
        The noise-free camera image.
    sharp : ndarray, shape (B, 2 * PATCH, 2 * PATCH, 1), float32
        The specimen through the stated response.
    """

    conditioned: Array
    clean: Array
    sharp: Array


def draw_example(pool: NDArray[np.float16], rng: Rng) -> tuple[Array, Array, Array]:
    """Simulate one observation of a random specimen.

    In a quarter of the patches a second specimen lies out of focus: it shall come out as blurred as it was seen.

    Returns
    -------
    conditioned : ndarray, shape (PATCH, PATCH, CHANNELS)
    clean : ndarray, shape (PATCH, PATCH, 1)
    sharp : ndarray, shape (2 * PATCH, 2 * PATCH, 1)
    """
    spectrum = fft.rfft2(a_specimen(pool, rng))
    microscope = Microscope.draw(rng)
    seen, asked = spectrum * microscope.otf, spectrum * microscope.target
    if rng.random() < 0.25:
        behind = np.exp(rng.uniform(np.log(0.1), np.log(2.0))) * fft.rfft2(a_specimen(pool, rng)) * microscope.otf
        k = np.hypot(fft.fftfreq(FINE)[:, None], fft.rfftfreq(FINE)[None, :]).astype(np.float32)
        behind = behind * gauss_otf(k * microscope.fwhm * rng.uniform(0.8, 4.0))
        seen, asked = seen + behind, asked + behind
    exposed = Exposed.draw(bin_pixels(fft.irfft2(seen, (FINE, FINE))), fft.irfft2(asked, (FINE, FINE)), rng)
    conditioned = condition_periodic(exposed.noisy, exposed.sigma, exposed.normaliser, microscope)
    clean, sharp = exposed.answers()
    return conditioned[:PATCH, :PATCH], clean[:PATCH, :PATCH], sharp[: 2 * PATCH, : 2 * PATCH]


def from_pool(
    draw: Callable[[NDArray[np.float16], Rng, int], Batch],
    pool: NDArray[np.float16],
    *,
    size: int,
    seed: int,
    steps: int,
    workers: int = 2,
    start: int = 0,
) -> Iterator[Batch]:
    """Batches of so many examples from a pool of specimens; batch ``i`` depends on ``(seed, i)`` alone."""
    global _POOL
    _POOL = pool
    yield from drawn_ahead(partial(_draw_batch, draw, size, seed), steps=steps, workers=workers, start=start)


def drawn_ahead(draw: Callable[[int], Batch], *, steps: int, workers: int, start: int) -> Iterator[Batch]:
    """Batches ``start`` to ``steps`` in order, each drawn by ``draw(i)`` in one of so many processes, a few ahead of their use."""
    ahead = 4 * workers
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
        waiting: deque[Future[Batch]] = deque()
        for i in range(start, steps + ahead):
            if i < steps:
                waiting.append(executor.submit(draw, i))
            if i >= start + ahead and waiting:
                yield waiting.popleft().result()


def in_order(source: Callable[[int], Iterator[Batch]]) -> Draw:
    """Batches in the order of steps, from wherever a resumed run begins."""
    running: list[Iterator[Batch]] = []

    def draw(step: int) -> tuple[Array, tuple[Array, ...]]:
        if not running:
            running.append(source(step))
        one = next(running[0])
        return one.conditioned, (one.clean, one.sharp)

    return draw


_POOL: NDArray[np.float16] | None = None  # shared with the workers by fork


def _draw_batch(draw: Callable[[NDArray[np.float16], Rng, int], Batch], size: int, seed: int, index: int) -> Batch:
    assert _POOL is not None
    return draw(_POOL, np.random.default_rng((seed, index)), size)


def _images(pool: NDArray[np.float16], rng: Rng, size: int) -> Batch:
    examples = [draw_example(pool, rng) for _ in range(size)]
    return Batch(*(np.stack(part).astype(np.float32) for part in zip(*examples, strict=True)))


batches = partial(from_pool, _images)
"""`from_pool` for a training on images."""


def pretrain(
    *,
    source: Callable[..., Iterator[Batch]] = batches,
    scale: int = 2,
    steps: int,
    seed: int = 0,
    begin: Sequence[Array] | None = None,
    learning_rate: float = 1e-3,
    batch: int = 8,
    count: int = 3000,
    workers: int = 2,
    checkpoint: Checkpoint | None = None,
    progress: Progress = silent,
) -> tuple[keras.Model, History]:
    """Train the light network.

    Parameters
    ----------
    source : callable
        What draws batches, as `batches` does.
    scale : {1, 2}
        Sampling of the sharp image relative to the input.
    steps : int
        Training steps.
    seed : int
    begin : sequence of ndarray, optional
        Weights to go on from, as `superlens.training.get_weights` gives them; random ones by default.
    learning_rate : float
    batch : int
        Patches a step.
    count : int
        Specimens to draw patches from.
    workers : int
        Processes that draw batches.
    checkpoint : Checkpoint, optional
    progress : Progress
    """
    pool = specimens(count, np.random.default_rng(seed))
    keras.utils.set_random_seed(seed)
    with precision(best_precision()):
        network = build("light", {"channels": CHANNELS, "scale": scale})
    if begin is not None:
        set_weights(network, begin)
    plan = Plan(steps=steps, learning_rate=learning_rate, check_every=250)
    draw = in_order(lambda start: source(pool, size=batch, seed=seed, steps=steps, workers=workers, start=start))
    return network, fit(network, two_stage_loss, draw, plan, checkpoint=checkpoint, average=0.998, progress=progress)


def calibrate(
    network: keras.Model,
    *,
    source: Callable[..., Iterator[Batch]] = batches,
    seed: int = 1,
    batch: int = 8,
    steps: int = 60,
    count: int = 600,
    workers: int = 2,
) -> float:
    """Measure what the stated errors have to be scaled by.

    The head that states them is trained together with the rest. Training it further by itself, with the rest fixed, made it more certain on
    simulated specimens and too certain on all others.

    Returns
    -------
    float
        Factor on the stated standard deviation after which, in the median fresh simulated patch, 5 % of the errors exceed twice it.
    """
    pool = specimens(count, np.random.default_rng(seed))
    ratios = []
    for one in source(pool, size=batch, seed=seed + 1, steps=steps, workers=workers):
        sharp, log_sigma = _averaged(network, one.conditioned)
        ratio = np.abs(sharp - one.sharp) / np.exp(log_sigma)
        inner = ratio[:, 2 * _MARGIN : -2 * _MARGIN, 2 * _MARGIN : -2 * _MARGIN]
        ratios.extend(np.quantile(inner, 0.95, axis=(1, 2, 3)) / 2)
    return float(np.median(ratios))


def _averaged(network: keras.Model, conditioned: Array) -> tuple[Array, Array]:
    """Sharp image and logarithm of its stated error over the eight turned and mirrored copies, as a prediction averages them."""
    sums = [np.zeros((), np.float32), np.zeros((), np.float32)]
    for quarters in range(4):
        for step in (1, -1):
            turned = np.ascontiguousarray(np.rot90(conditioned, quarters, (1, 2))[:, ::step])
            outputs = network.predict_on_batch(turned)[1:]
            sums = [a + np.rot90(o[:, ::step], -quarters, (1, 2)) for a, o in zip(sums, outputs, strict=True)]
    return (sums[0] / 8).astype(np.float32), (sums[1] / 8).astype(np.float32)


def two_stage_loss(targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Logarithm of the squared error of both stages, and the likelihood of the stated errors of the second."""
    clean, sharp = (losses.crop(t, m) for t, m in zip(targets, (_MARGIN, 2 * _MARGIN), strict=True))
    denoised, sharpened, log_sigma = (
        losses.crop(o, m) for o, m in zip(outputs, (_MARGIN, 2 * _MARGIN, 2 * _MARGIN), strict=True)
    )
    error = ops.stop_gradient(sharpened - sharp)
    return (
        losses.log_mse(sharpened, sharp)
        + 0.5 * losses.log_mse(denoised, clean)
        + 0.2 * losses.laplace_nll(error, log_sigma)
    )


def write_start(
    out: Path,
    name: str,
    trained: keras.Model,
    calibrate: Callable[[keras.Model], float],
    *,
    axes: Literal["YX", "ZYX"],
    provenance: dict[str, Any],
    method: str = PRETRAINING,
    scale: int = 2,
) -> None:
    """Write trained weights as a start: in full precision while its stated errors are calibrated, in half of it in the file."""
    about = architecture(name).arguments(scale)
    exact = build(name, about)
    set_weights(exact, get_weights(trained))
    state = TwoStageState(axes=axes, scale=scale, response=RESPONSES[axes], spread=calibrate(exact))
    config = ModelConfig(
        version=__version__,
        method=method,
        network=name,
        network_config=about,
        state=state.stored(),
        provenance=provenance,
    )
    Model(config, exact).save(out, dtype="float16")


def _write(out: Path, network: keras.Model, provenance: dict[str, Any], workers: int) -> None:
    write_start(out, "light", network, partial(calibrate, workers=workers), axes="YX", provenance=provenance)


def _train(**told: Any) -> keras.Model:
    return pretrain(**told)[0]


if __name__ == "__main__":
    start_command("Pretrain the network for images", _train, _write, steps=14_000, learning_rate=1e-3)()
