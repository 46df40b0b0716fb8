"""``enhance``, ``train`` and ``predict``: the methods of the command line, for images in memory or in files."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from superlens.bridge.calls import Call, Made, Source, Verb, learning_of, start_engine, transfer_of
from superlens.bridge.pace import Pace
from superlens.bridge.parameters import INPUT, OUTPUT, PARTS, Told, command
from superlens.bridge.protocol import InputSpec, OutputSpec, Response
from superlens.bridge.telling import said, settings_in_words
from superlens.bridge.verbs.molecules import plan_training, train_for_movie
from superlens.bridge.verbs.teaching import train_into
from superlens.cli.channels import ChannelOptics, Channels
from superlens.cli.folders import OutputFolder, stem_of
from superlens.cli.learn import bytes_needed
from superlens.cli.learn import enhance as _enhance
from superlens.cli.learn import predict as _predict
from superlens.cli.learn import train as _train
from superlens.cli.options import path_type
from superlens.errors import SuperlensError
from superlens.networks import architecture

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.methods.zsdeconv import ChannelResult, Result, ZSDeconvConfig
    from superlens.model import ChannelModels, Model

__all__ = ["ENHANCE", "PREDICT", "TRAIN"]

_SAVES = (
    click.Option(["--save-model"], type=path_type, help="Keep what was learned in this file, for Superlens Predict."),
    click.Option(
        ["--save-report"], type=path_type, help="Write the page that tells how far to trust the result (HTML)."
    ),
)
_SHOWN = (
    click.Option(["--show-denoised"], is_flag=True, help="Open the denoised image too."),
    click.Option(["--show-uncertainty"], is_flag=True, help="Open the stated error of each pixel too."),
)
_TOLD = {
    "save_model": Told("Save the trained model as", advanced=True, kind="save"),
    "save_report": Told("Save the report as", advanced=True, kind="save"),
    "show_denoised": Told("Show the denoised image", client=True),
    "show_uncertainty": Told("Show the uncertainty", client=True),
}

_WAVELENGTHS = Told(
    "Emission wavelength",
    "nm",
    help="Wavelength of the detected light, in nm; of several channels one for each, like 525 610.",
)

_PACE = Pace()
"""Of training by the settings of a step, and of the prediction of pixels by network."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a training is asked to learn with: the images, channel by channel, and the settings."""

    channels: Channels
    config: ZSDeconvConfig

    @classmethod
    def of(cls, call: Call, images: Sequence[Image]) -> _Asked:
        learning = learning_of(call)
        channels = _optics(call, images, denoise_only=learning.denoise_only)
        start_engine(call)  # the settings' home brings TensorFlow along
        return cls(channels, learning.load("ZYX" if learning.volume else None))

    @classmethod
    def planned(cls, call: Call) -> tuple[_Asked, list[tuple[InputSpec, Path]]]:
        """What would be learned with, and descriptions of what would be worked on, from descriptions alone."""
        inputs = call.expected()
        asked = cls.of(call, [_hollow(spec) for spec, _ in inputs])
        kept = [_like(image, spec) for image, (spec, _) in zip(asked.channels.images, inputs, strict=True)]
        return asked, [(spec, path) for spec, (_, path) in zip(kept, inputs, strict=True)]


def _optics(call: Call, images: Sequence[Image], *, denoise_only: bool) -> Channels:
    """Load the optics of each channel; one that has none is refused in Fiji's words, where channels count from 1."""
    given = {field.name: call.arguments.get(field.name) for field in fields(ChannelOptics)}
    optics = ChannelOptics(**{**given, "channel": ()})  # type: ignore[arg-type]
    told = len(optics.psf) or len(optics.wavelength_nm)
    for image in images:
        count = image.sizes.get("C", 1)
        stated = image.emission_nm and None not in image.emission_nm
        if count > 1 and told != count and (told or not (stated or denoise_only)):
            what = "PSF" if optics.psf else "wavelength"
            raise SuperlensError(
                f"{image.name or 'the image'} has {count} channels and {told or 'no'} {what}{'s' * (told > 1)} for them; give one "
                "for each in wavelength_nm, like [525 610], or take one channel alone with channels."
            )
    return optics.resolve(images, denoise_only=denoise_only)


def _hollow(spec: InputSpec) -> Image:
    """An image of one pixel in each plane, to ask what depends on axes, channels and sampling alone."""
    pixel = spec.with_changes({"shape": (*spec.shape[:-2], 1, 1), "dtype": "float32"})
    return pixel.image(np.zeros(pixel.shape, np.float32))


def _like(hollow: Image, spec: InputSpec) -> InputSpec:
    """Describe what was kept of an image."""
    shape = (*hollow.data.shape[:-2], *spec.shape[-2:])
    return spec.with_changes({"axes": hollow.axes, "shape": shape, "channel_names": hollow.channel_names})


# -- enhance ------------------------------------------------------------------------------------------------------------


def _plan_enhance(call: Call) -> Response:
    asked, inputs = _Asked.planned(call)
    _require_pixel_sizes([(spec.pixel_nm, path) for spec, path in inputs], asked.config)
    stated = architecture(asked.config.network).says_error and not asked.config.from_scratch
    scale = 0 if asked.config.denoise_only else asked.config.scale
    seconds = _training_seconds(asked, inputs)
    return _planned(inputs, scale, stated=stated, seconds=seconds, config=asked.config)


def _run_enhance(call: Call) -> Response:
    began = datetime.now().astimezone()
    sources = call.sources()
    asked = _Asked.of(call, [source.image for source in sources])
    _require_pixel_sizes([(s.image.pixel_nm, s.file) for s in sources], asked.config)
    _require_one_for_blocks(call, sources)
    with _prepared(call, sources, asked.config):
        device = start_engine(call)
        results = asked.channels.enhance(asked.config, call.progress)
        _remember(call, asked)
        files = _saved(call, results[0]) + _written(call, sources, results, began, model=results[0].model)
    return _answer(call, sources, results, device, files)


# -- train --------------------------------------------------------------------------------------------------------------


def _plan_train(call: Call) -> Response:
    if call.arguments["method"] == "deepstorm":
        return plan_training(call)
    asked, inputs = _Asked.planned(call)
    _require_pixel_sizes([(spec.pixel_nm, path) for spec, path in inputs], asked.config)
    seconds = _training_seconds(asked, inputs)
    plan = _planned(inputs, 0, stated=False, seconds=seconds, config=asked.config)
    return plan.with_changes({"outputs": ()})


def _run_train(call: Call) -> Response:
    model = call.path("model")
    if model is None or model.is_dir():
        raise SuperlensError(f"model is {model or 'missing'}; expected the file to write, like mt.zip.")
    if call.arguments["method"] == "deepstorm":
        return train_for_movie(call, model)
    for name in ("truth", "psf_sigma_nm"):
        if call.arguments[name] is not None:
            raise SuperlensError(f"{name} belongs to method deepstorm; leave it out, or choose that method.")
    sources = call.sources()
    asked = _Asked.of(call, [source.image for source in sources])
    _require_pixel_sizes([(s.image.pixel_nm, s.file) for s in sources], asked.config)

    def learned() -> Model | ChannelModels:
        trained = asked.channels.train(asked.config, call.progress)
        _remember(call, asked)
        return trained

    return train_into(model, call, learned, [source.file for source in sources], bytes_needed([], asked.config))


# -- predict ------------------------------------------------------------------------------------------------------------


def _plan_predict(call: Call) -> Response:
    inputs = call.expected()
    start_engine(call)
    trained = _model(call)
    kept = [(_picked(trained, spec), path) for spec, path in inputs]
    model = _kind(trained)
    from superlens.training.two_stage.state import TwoStageState

    state = TwoStageState.of(model)
    scale = 0 if state.psf is None else state.scale
    pixels = sum(math.prod(spec.shape) for spec, _ in kept)
    seconds = _PACE.forecast(_pixel_key(model.config.network), pixels)
    stated = architecture(model.config.network).says_error and state.spread is not None
    return _planned(kept, scale, stated=stated, seconds=seconds)


def _run_predict(call: Call) -> Response:
    began = datetime.now().astimezone()
    sources = call.sources()
    _require_one_for_blocks(call, sources)
    device = start_engine(call)
    from superlens.methods import zsdeconv

    trained = _model(call)
    notes = [note for source in sources for note in _fitting(trained, source)]
    results: list[Result | ChannelResult] = []
    with _prepared(call, sources, None):
        for source in sources:
            before = call.progress.seconds
            results.append(zsdeconv.predict(trained, source.image, progress=call.progress))
            pixels = results[-1].denoised.data.size
            _PACE.keep(_pixel_key(_kind(trained).config.network), pixels, call.progress.seconds - before)
        files = _written(call, sources, results, began, model=None)
    answer = _answer(call, sources, results, device, files)
    return answer.with_changes({"messages": (*notes, *answer.messages)})


def _fitting(trained: Model | ChannelModels, source: Source) -> Iterator[str]:
    """Refuse an image that the model is not for, and note what it is applied to all the same."""
    from superlens.model import ChannelModels

    if isinstance(trained, ChannelModels):
        trained.picked(source.image)
        return
    from superlens.training.two_stage.state import TwoStageState

    TwoStageState.of(trained).check_fits(source.image)
    count = source.image.sizes.get("C", 1)
    if count > 1:
        yield (
            f"{stem_of(source.file)} has {count} channels and the model is of one kind: it is applied to all of them; "
            "channels takes those that it was made for."
        )


def _picked(trained: Model | ChannelModels, spec: InputSpec) -> InputSpec:
    """Describe the channels of an image that there are models for: all of them for a model of one kind."""
    from superlens.model import ChannelModels

    if not isinstance(trained, ChannelModels):
        return spec
    return _like(trained.picked(_hollow(spec)), spec)


def _kind(trained: Model | ChannelModels) -> Model:
    """The model, or one of those of the channels, which are of one network, scale and method."""
    from superlens.model import ChannelModels

    return trained.models[0] if isinstance(trained, ChannelModels) else trained


def _model(call: Call) -> Model | ChannelModels:
    path = call.path("model")
    if path is None:
        raise SuperlensError("model is missing; give a model file from Superlens Train or Enhance.")
    with contextlib.suppress(OSError):  # a missing file is refused by the reader, in words
        about = path.stat()
        return _loaded(path, about.st_mtime_ns, about.st_size)
    return _loaded(path, 0, 0)


@functools.lru_cache(maxsize=2)
def _loaded(path: Path, modified_ns: int, size: int) -> Model | ChannelModels:
    """Load a model once, until its file changes."""
    from superlens.model import load_model

    return load_model(path)


# -- what they share ----------------------------------------------------------------------------------------------------


def _require_pixel_sizes(sizes: Sequence[tuple[float | None, Path]], config: ZSDeconvConfig) -> None:
    for pixel_nm, path in sizes:
        if pixel_nm is None and not config.denoise_only:
            raise SuperlensError(
                f"{stem_of(path)} has no pixel size; set its scale (Image > Properties...), or give pixel_nm, in "
                "nanometres on the specimen."
            )


def _require_one_for_blocks(call: Call, sources: Sequence[Source]) -> None:
    if len(sources) > 1 and call.path("out") is None:
        raise SuperlensError(f"there are {len(sources)} images; name a folder in output for their results.")


def _planned(
    inputs: Sequence[tuple[InputSpec, Path]],
    scale: int,
    *,
    stated: bool,
    seconds: float | None,
    config: ZSDeconvConfig | None = None,
) -> Response:
    """Announce the outputs; `scale` 0 is for denoising only."""
    first, path = inputs[0]
    outputs = _announced(first, stem_of(path), scale, stated=stated) if len(inputs) == 1 else ()
    specs = [spec for spec, _ in inputs]
    info = {
        "transfer": transfer_of(specs, outputs),
        "memory_bytes": _memory_bytes(specs, config),
        "seconds": None if seconds is None else round(seconds, 1),
        "planes": sum(math.prod(spec.shape[:-2]) for spec in specs),
    }
    return Response(outputs=outputs, info=info)


def _announced(spec: InputSpec, stem: str, scale: int, *, stated: bool) -> tuple[OutputSpec, ...]:
    fine_nm = None if spec.pixel_nm is None else spec.pixel_nm / max(scale, 1)
    fine = spec.with_changes({"pixel_nm": fine_nm})
    shape = (*spec.shape[:-2], *(side * max(scale, 1) for side in spec.shape[-2:]))
    denoised = OutputSpec.announce("denoised", spec, spec.shape, f"{stem}-denoised", show=scale == 0)
    if scale == 0:
        return (denoised,)
    sharp = OutputSpec.announce("super-resolved", fine, shape, f"{stem}-sr", scale=scale)
    uncertainty = OutputSpec.announce("uncertainty", fine, shape, f"{stem}-uncertainty", scale=scale, show=False)
    return (sharp, denoised, uncertainty) if stated else (sharp, denoised)


def _memory_bytes(inputs: Sequence[InputSpec], config: ZSDeconvConfig | None) -> int:
    """Estimate roughly: TensorFlow, the batch being trained on, a tile being predicted, and all images in float32."""
    pixels = sum(math.prod(spec.shape) for spec in inputs)
    largest = max(math.prod(spec.shape[-2:]) for spec in inputs)
    training = 0 if config is None else 6_000 * config.batch * config.patch**2
    return int(700e6 + training + 4_000 * min(largest, 512**2) + 4 * pixels * 30)


def _training_seconds(asked: _Asked, inputs: Sequence[tuple[InputSpec, Path]]) -> float | None:
    config = asked.config
    training = _PACE.forecast(_step_key(config), config.steps * len(asked.channels.optics))
    rest = _PACE.forecast(_pixel_key(config.network), sum(math.prod(spec.shape) for spec, _ in inputs))
    if training is None or rest is None:
        return None
    return rest + (training if config.minutes is None else min(training, 60 * config.minutes))


def _step_key(config: ZSDeconvConfig) -> str:
    return f"step {config.network} {config.batch} {config.patch}"


def _pixel_key(network: str) -> str:
    return f"pixel {network}"


def _remember(call: Call, asked: _Asked) -> None:
    """Keep how fast training was, and everything after it by pixel, for the next plan."""
    step = call.progress.pace("training")
    if step is None:
        return
    steps = call.progress.reached("training") * len(asked.channels.optics)
    _PACE.keep(_step_key(asked.config), steps, step * steps)
    pixels = sum(image.data.size for image in asked.channels.images)
    _PACE.keep(_pixel_key(asked.config.network), pixels, max(0.0, call.progress.seconds - step * steps))


@contextlib.contextmanager
def _prepared(call: Call, sources: Sequence[Source], config: ZSDeconvConfig | None) -> Iterator[None]:
    """Check that the output folder can take the results before any work begins."""
    out = call.path("out")
    if out is None:
        yield
        return
    from superlens.cli.results import file_names

    files = [source.file for source in sources]
    names = file_names(files, config is not None and config.denoise_only)
    images = [source.image for source in sources]
    size = sum(36 * image.data.size for image in images) + 20_000_000
    room = size if config is None else bytes_needed(images, config)
    with OutputFolder(out, tuple(files)).prepared([*names, "model.zip"] if config else names, room):
        yield


def _saved(call: Call, result: Result | ChannelResult) -> tuple[str, ...]:
    """Write the model and the report to the places that were asked for besides a folder."""
    from superlens.io.paths import replacing

    call.progress.check()
    written = []
    model, report = call.path("save_model"), call.path("save_report")
    if model is not None:
        result.model.save(model)
        written.append(str(model))
    if report is not None:
        with replacing(report) as beside:
            beside.write_text(result.report, encoding="utf-8")
        written.append(str(report))
    return tuple(written)


def _written(
    call: Call,
    sources: Sequence[Source],
    results: Sequence[Result | ChannelResult],
    began: datetime,
    *,
    model: Model | ChannelModels | None,
) -> tuple[str, ...]:
    out = call.path("out")
    if out is None:
        return ()
    from superlens.cli.results import write_results

    call.progress.check()
    files = [source.file for source in sources]
    with OutputFolder(out, tuple(files)).delivery() as staging:
        asked = [call.request.verb, *settings_in_words(call)]
        names = write_results(staging, files, results, began=began, model=model, command=asked)
    return tuple(str(out / name) for name in names)


def _answer(
    call: Call,
    sources: Sequence[Source],
    results: Sequence[Result | ChannelResult],
    device: str,
    files: tuple[str, ...],
) -> Response:
    from superlens.cli.results import parts_of

    given, lacking = call.deliver(_made(results[0], sources[0])) if call.request.outputs else ((), ())
    ends = [None if part.history is None else part.history.stopped for part in parts_of(results[0])]
    stopped = "cancelled" if "cancelled" in ends else ends[0]
    messages = dict.fromkeys(message for result in results for message in result.messages)
    return Response(
        outputs=(*given, *_in_files(sources, results, files)),
        text=said(call, device),
        messages=(*messages, *lacking),
        files=files,
        early=stopped == "cancelled",
        info={"device": device, "seconds": round(call.progress.seconds, 2), "stopped": stopped},
    )


def _made(result: Result | ChannelResult, source: Source) -> list[Made]:
    from superlens.training.two_stage.state import TwoStageState

    stem, scale = stem_of(source.file), TwoStageState.of(_kind(result.model)).scale
    channels = _channels_of(result, source.image)
    kinds = (
        ("super-resolved", "sr", result.image, scale),
        ("denoised", "denoised", result.denoised, 1),
        ("uncertainty", "uncertainty", result.uncertainty, scale),
    )
    return [
        Made(OutputSpec.of(role, image, f"{stem}-{end}", scale=factor).with_changes({"channels": channels}), image)
        for role, end, image, factor in kinds
        if image is not None
    ]


def _channels_of(result: Result | ChannelResult, image: Image) -> tuple[int, ...]:
    """Which channels of an image a result has; empty when all."""
    from superlens.model import ChannelModels

    if isinstance(result.model, ChannelModels) and len(result.model.channels) < image.sizes.get("C", 1):
        return result.model.channels
    return ()


def _in_files(
    sources: Sequence[Source], results: Sequence[Result | ChannelResult], files: Sequence[str]
) -> Iterator[OutputSpec]:
    """Describe the images that lie in files."""
    by_name = {Path(file).name: file for file in files}
    for source, result in zip(sources, results, strict=True):
        for spec, _ in _made(result, source):
            end = spec.name.removeprefix(stem_of(source.file) + "-")
            path = by_name.get(f"{stem_of(source.file)}_{end}.tif")
            if path is not None:
                show = spec.role == "super-resolved" or result.image is None
                yield spec.with_changes({"path": path, "name": Path(path).stem, "show": show})


ENHANCE = Verb(
    run=_run_enhance,
    plan=_plan_enhance,
    works=True,
    command=command(
        "Superlens Enhance...",
        "Denoise and super-resolve the open image by what it holds itself.",
        (*_enhance.params, INPUT, OUTPUT, *_SAVES, *_SHOWN, *PARTS),
        told={"wavelength_nm": _WAVELENGTHS, **_TOLD},
    ),
)
TRAIN = Verb(
    run=_run_train,
    plan=_plan_train,
    works=True,
    command=command(
        "Superlens Train...",
        "Train a model on the open image or a folder of images, for Superlens Predict.",
        (*_train.params, INPUT, *PARTS),
        told={
            "wavelength_nm": _WAVELENGTHS,
            "method": Told("Method", help="zsdeconv for images; deepstorm for movies of single molecules."),
            "truth": Told("Table of true positions", kind="file", advanced=True),
            "psf_sigma_nm": Told("Sigma of a molecule", "nm", advanced=True),
        },
        kinds={"model": "save"},
    ),
)
PREDICT = Verb(
    run=_run_predict,
    plan=_plan_predict,
    works=True,
    command=command(
        "Superlens Predict...",
        "Apply a trained model to the open image.",
        (*_predict.params, INPUT, OUTPUT, *_SHOWN, *PARTS),
        told={
            "model": Told("Model file", kind="file", help="A model file from Superlens Train or Superlens Enhance."),
            **_TOLD,
        },
    ),
)
