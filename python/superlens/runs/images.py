"""``enhance``, ``train`` and ``predict`` with any method: from images, in files or in memory, to images, a model and a report.

All inputs are read, and the place for the results is checked, before any training begins. A run that is stopped keeps what it has
learned; one that is killed goes on from its checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.method import ImageMethod
from superlens.methods import method as method_named
from superlens.runs.checkpoints import checkpointed, checkpoints
from superlens.runs.choices import Channels, one_or_several, settings_of
from superlens.runs.folders import OutputFolder, stem_of
from superlens.runs.forecasts import Pace
from superlens.runs.verb import Made, Outcome, Plan, Request, Source

if TYPE_CHECKING:
    from superlens.method import Forecast, Settings
    from superlens.model import ChannelModels, Model
    from superlens.result import Result

__all__ = ["enhance", "plan_enhance", "plan_predict", "plan_train", "predict", "train"]

PACE = Pace()
"""Of training by what a step is like, and of the prediction of pixels by network."""


# -- enhance ------------------------------------------------------------------------------------------------------------


def enhance(request: Request) -> Outcome:
    """Learn from images and give them back, denoised and sharpened."""
    sources = request.sources()
    learning = _Learning.of(request, [source.image for source in sources])
    _require_pixel_sizes(learning, sources)
    out = request.path("out")
    if out is None and len(sources) > 1:
        raise SuperlensError(f"there are {len(sources)} images; name a folder in `out` for their results.")
    device = request.engine()
    from superlens import enhancing

    with _prepared(request, learning, sources) as checkpoint:
        results = enhancing.enhance(
            learning.channels.images,
            method=learning.method.name,
            config=learning.settings,
            checkpoint=checkpoint,
            progress=request.session.progress,
            **learning.channels.arguments(),
        )
        learning.remember(request)
        request.session.check()
        files = _saved(request, results[0])
        delivered = _delivered(request, learning.method, sources, results, keep_model=True)
        _end(request, checkpoint)
    return _outcome(request, learning.method, sources, results, device, delivered, files)


def plan_enhance(request: Request) -> Plan:
    """What enhancing would make, from the outlines of the images alone."""
    learning, outlines = _Learning.planned(request)
    return _planned(request, learning.method, outlines, learning.forecast(outlines).scales, learning)


# -- train --------------------------------------------------------------------------------------------------------------


def train(request: Request) -> Outcome:
    """Train a model on images and write it to its file."""
    target = model_target(request)
    sources = _training_sources(request)
    learning = _Learning.of(request, [source.image for source in sources])
    _require_pixel_sizes(learning, sources)
    device = request.engine()
    from superlens import enhancing

    def learned(checkpoint: Path | None) -> Model | ChannelModels:
        made: Model | ChannelModels = enhancing.train(
            learning.channels.images,
            method=learning.method.name,
            config=learning.settings,
            checkpoint=checkpoint,
            progress=request.session.progress,
            **learning.channels.arguments(),
        )
        learning.remember(request)
        return made

    images = [source.image for source in sources]
    room = learning.forecast(images).room_bytes * len(learning.channels.optics)
    return taught(request, target, learned, room, device)


def plan_train(request: Request) -> Plan:
    """What training would take; it makes no images."""
    learning, outlines = _Learning.planned(request)
    return replace(_planned(request, learning.method, outlines, {}, learning), made=())


def model_target(request: Request) -> Path:
    """The file that a model is to be written to.

    Raises
    ------
    SuperlensError
        When there is none, or it is a folder.
    """
    target = request.path("model")
    if target is None:
        raise SuperlensError("`model` is missing; expected the file to write, like mt.zip.")
    if target.is_dir():
        raise SuperlensError(f"{target} is a folder; `model` names the file to write, like {target / 'mt.zip'}.")
    return target


def taught(request: Request, target: Path, learned: Any, room: int, device: str) -> Outcome:
    """Train a model by ``learned(checkpoint)``, whatever the method, and write it to its file."""
    session = request.session
    folder = request.folder(target.parent, request.path("truth"))
    with (
        folder.prepared([target.name], room),
        _checkpoint(request, target.with_name(f".{target.name}.checkpoint")) as checkpoint,
    ):
        model = learned(checkpoint)
        session.check()
        with folder.delivery() as staging:
            model.save(staging / target.name)
        session.wrote(target)
        _end(request, checkpoint)
    stopped = _why(_models(model))
    info = {"device": device, "stopped": stopped}
    return Outcome(files=(target,), early=stopped == "cancelled", info=info)


# -- predict ------------------------------------------------------------------------------------------------------------


def predict(request: Request) -> Outcome:
    """Apply a trained model to images, one after the other."""
    sources = [replace(s, image=one_or_several(s.image, request.get("channel", ()))) for s in request.sources()]
    if request.path("out") is None and len(sources) > 1:
        raise SuperlensError(f"there are {len(sources)} images; name a folder in `out` for their results.")
    device = request.engine()
    trained = loaded(request)
    method = _method_of(trained)
    from superlens import enhancing

    notes = [note for source in sources for note in _fitting(trained, source)]
    for note in notes:
        request.session.note(note)
    results: list[Result] = []
    delivered: list[dict[str, Path]] = []
    with _room(request, method, sources, trained) as writer:
        for source in sources:
            clock = _Clock(request)
            adapt = int(request.get("adapt", 0))
            results.append(
                enhancing.predict(trained, source.image, adapt_steps=adapt, progress=request.session.progress)
            )
            PACE.keep(_pixel_key(_models(trained)[0]), source.image.data.size, clock.seconds)
            delivered.append(writer.write(source, results[-1]))
        writer.finish()
    outcome = _outcome(request, method, sources, results, device, delivered, [])
    return replace(outcome, messages=(*notes, *outcome.messages))


def plan_predict(request: Request) -> Plan:
    """What predicting would make, from the outlines of the images alone."""
    request.engine()
    trained = loaded(request)
    method, outlines = _method_of(trained), _outlines(request)
    kept = [replace(o, image=_picked(trained, o.image)) for o in outlines]
    scales = method.scales(_models(trained)[0])
    pixels = sum(o.image.data.size for o in kept)
    plan = _planned(request, method, kept, scales, None)
    return replace(plan, seconds=PACE.forecast(_pixel_key(_models(trained)[0]), pixels))


def loaded(request: Request) -> Model | ChannelModels:
    """The model that a request names, loaded once until its file changes.

    Raises
    ------
    SuperlensError
        When none is named, or it cannot be read.
    """
    path = request.path("model")
    if path is None:
        raise SuperlensError("`model` is missing; give a model file from training or enhancing.")
    with contextlib.suppress(OSError):  # a missing file is refused by the reader, in words
        about = path.stat()
        return load_once(path, about.st_mtime_ns, about.st_size)
    return load_once(path, 0, 0)


@functools.lru_cache(maxsize=2)
def load_once(path: Path, modified_ns: int, size: int) -> Model | ChannelModels:
    """Load a model file; a file with another time or size is another file."""
    from superlens.model import load_model

    return load_model(path)


def _method_of(trained: Model | ChannelModels) -> ImageMethod:
    from superlens import enhancing

    return enhancing.made_by(_models(trained)[0])


def _fitting(trained: Model | ChannelModels, source: Source) -> Iterator[str]:
    """Refuse an image that the model is not for, and note what it is applied to all the same."""
    from superlens import enhancing
    from superlens.model import ChannelModels

    if isinstance(trained, ChannelModels):
        enhancing.picked(trained, source.image)
        return
    enhancing.made_by(trained).check_fits(trained, source.image)
    count = source.image.sizes.get("C", 1)
    if count > 1:
        yield (
            f"{stem_of(source.file)} has {count} channels and the model is of one kind: it is applied to all of them; "
            "`channel` takes those that it was made for."
        )


def _picked(trained: Model | ChannelModels, outline: Image) -> Image:
    from superlens import enhancing
    from superlens.model import ChannelModels

    return enhancing.picked(trained, outline) if isinstance(trained, ChannelModels) else outline


def _models(trained: Model | ChannelModels) -> tuple[Model, ...]:
    from superlens.model import ChannelModels

    return trained.models if isinstance(trained, ChannelModels) else (trained,)


def _why(models: Sequence[Model]) -> str:
    """Why the training of one or several models ended."""
    ends = [str(model.config.provenance.get("stopped", "")) for model in models]
    return "cancelled" if "cancelled" in ends else ends[0]


# -- what is learned from -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Learning:
    """What a training is asked to learn with: the method, its settings, the images and their optics, channel by channel."""

    method: ImageMethod
    settings: Settings
    channels: Channels

    @classmethod
    def of(cls, request: Request, images: Sequence[Image]) -> _Learning:
        method = chosen(request)
        settings = settings_of(method, request.verb.name, request.given, request.verb.parameters())
        needed = method.needs_optics(settings)
        return cls(method, settings, request.optics.resolve(images, needed=needed))

    @classmethod
    def planned(cls, request: Request) -> tuple[_Learning, list[Source]]:
        """From outlines alone; what is given back are the outlines of what would be worked on."""
        outlines = _outlines(request)
        learning = cls.of(request, [outline.image for outline in outlines])
        _require_pixel_sizes(learning, outlines)
        pairs = zip(outlines, learning.channels.images, strict=True)
        return learning, [replace(outline, image=image) for outline, image in pairs]

    def forecast(self, sources: Sequence[Source] | Sequence[Image]) -> Forecast:
        images = [one.image if isinstance(one, Source) else one for one in sources]
        return self.method.forecast(self.settings, images)

    def remember(self, request: Request) -> None:
        """Keep how fast training was, and everything after it by pixel, for the next plan."""
        pace = getattr(request.session, "pace", None)
        step = None if pace is None else pace("training")
        if step is None:
            return
        steps = request.session.reached("training") * len(self.channels.optics)  # type: ignore[attr-defined]
        told = self.forecast(self.channels.images)
        PACE.keep(told.key, steps, step * steps)
        pixels = sum(image.data.size for image in self.channels.images)
        seconds = request.session.seconds - step * steps  # type: ignore[attr-defined]
        PACE.keep(f"pixel {told.key}", pixels, max(0.0, seconds))


def chosen(request: Request) -> ImageMethod:
    """The method of images that is asked for."""
    from superlens.methods import methods

    name = request.get("method")
    found = method_named(name) if name else next(one for one in methods() if one.takes == "images")
    assert isinstance(found, ImageMethod)  # `superlens.runs.verbs` sends movies elsewhere
    return found


def _require_pixel_sizes(learning: _Learning, sources: Sequence[Source]) -> None:
    if not learning.method.needs_optics(learning.settings):
        return
    for source in sources:
        if source.image.pixel_nm is None:
            raise SuperlensError(
                f"{source.file} has no pixel size; give it with `pixel_nm`, in nanometres on the specimen."
            )


def _training_sources(request: Request) -> list[Source]:
    """Read images to train on; of those that are larger than memory, windows spread over them."""
    from superlens.streaming import TRAINING_BYTES, for_training
    from superlens.tiling import free_memory

    memory_gb = request.get("memory_gb")
    memory = free_memory() / 2 if memory_gb is None else memory_gb * 1e9
    reading, large = request.reading, {}
    for path in request.files:
        source = reading.file(path).open()
        if source.data.size * TRAINING_BYTES > memory:
            if reading.corrects:
                raise SuperlensError(
                    f"{path.name} is larger than memory, and stripes and sensor maps are taken off whole images only; correct it first."
                )
            volume = request.get("volume") is not False and source.sizes.get("Z", 1) >= _LEAST_SLICES
            axes: Literal["YX", "ZYX"] = "ZYX" if volume else "YX"
            large[path] = for_training(source, axes=axes, memory_bytes=memory, seed=request.get("seed", 0))
            told = large[path].history["sampled"]
            request.session.note(
                f"{path.name} is larger than the memory for training: it learns from {told['windows']} windows of it, "
                f"{told['share']:.2g} of its pixels; `memory_gb` allows for more"
            )
    if not large:
        return request.sources()
    from superlens.image import check_image

    read = []
    for path in request.files:
        image = large[path] if path in large else reading.read(path)
        check_image(image)
        read.append(Source(image, path))
    return read


_LEAST_SLICES = 5  # of a volume


def _outlines(request: Request) -> list[Source]:
    """The images of a request without their pixels: one value, repeated."""
    found = []
    for path in request.files:
        opened = request.reading.file(path).open()
        found.append(Source(opened.header, path))
    found += request.images
    if not found:
        raise SuperlensError("there is no image; open one, or name a file in `inputs`.")
    return [replace(source, image=hollow(source.image)) for source in found]


def hollow(image: Image) -> Image:
    """An image with the outline of another, and no pixels of its own."""
    return replace(image, data=np.broadcast_to(np.zeros((), np.float32), image.data.shape))


# -- what is made -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _checkpoint(request: Request, path: Path) -> Iterator[Path | None]:
    if not request.session.resumes:
        yield None
        return
    with checkpointed(path, resume=bool(request.get("resume"))) as place:
        yield place


def _end(request: Request, checkpoint: Path | None) -> None:
    """Take the checkpoint away, unless the run was ended early and may be gone on with."""
    if checkpoint is not None and not request.session.stopped:
        for done in checkpoints(checkpoint):
            done.unlink()


@contextlib.contextmanager
def _prepared(request: Request, learning: _Learning, sources: Sequence[Source]) -> Iterator[Path | None]:
    """Check that the output folder can take the results before any work begins; give the place of the checkpoint."""
    out = request.path("out")
    if out is None:
        yield None
        return
    from superlens.runs.records import result_names

    images = [source.image for source in sources]
    told = learning.forecast(images)
    names = result_names(learning.method, [source.file for source in sources], tuple(told.scales))
    room = told.room_bytes * len(learning.channels.optics) + sum(map(_output_bytes, images))
    folder = request.folder(out)
    with folder.prepared([*names, "model.zip"], room), _checkpoint(request, out / ".checkpoint") as checkpoint:
        yield checkpoint


def _output_bytes(image: Image) -> int:
    return 4 * image.data.size * (1 + 2 * 4) + 8_000_000


def _saved(request: Request, result: Result) -> list[Path]:
    """Write the model and the report to the places that were asked for besides a folder."""
    from superlens.io import replacing

    written = []
    model, report = request.path("save_model"), request.path("save_report")
    if model is not None:
        result.model.save(model)
        written.append(model)
    if report is not None:
        with replacing(report) as beside:
            beside.write_text(result.report, encoding="utf-8")
        written.append(report)
    for path in written:
        request.session.wrote(path)
    return written


def _delivered(
    request: Request, method: ImageMethod, sources: Sequence[Source], results: Sequence[Result], *, keep_model: bool
) -> list[dict[str, Path]]:
    """Write everything to the output folder at once; role to file of each source."""
    out = request.path("out")
    if out is None:
        return [{} for _ in sources]
    from superlens.runs.records import Record

    record = Record(method, request.session, alone=len(sources) == 1)
    with request.folder(out).delivery() as staging:
        names = [record.write(staging, s.file, r) for s, r in zip(sources, results, strict=True)]
        more = [record.write_run(staging)]
        if keep_model:
            results[0].model.save(staging / "model.zip")
            more.append("model.zip")
    found = [{role: out / name for role, name in one.items()} for one in names]
    images = [path for one in found for role, path in one.items() if role != "report"]
    reports = [one["report"] for one in found]
    for path in [*images, *(out / name for name in reversed(more)), *reports]:
        request.session.wrote(path)
    return found


class _Writer:
    """Writes results one after the other, as they are made."""

    def __init__(self, request: Request, method: ImageMethod, folder: OutputFolder | None, *, alone: bool) -> None:
        from superlens.runs.records import Record

        self._request, self._folder = request, folder
        self._record = Record(method, request.session, alone=alone)

    def write(self, source: Source, result: Result) -> dict[str, Path]:
        """Write one; role to file."""
        if self._folder is None:
            return {}
        self._request.session.check()
        with self._folder.delivery() as staging:
            names = self._record.write(staging, source.file, result)
        found = {role: self._folder.path / name for role, name in names.items()}
        for message in result.messages:
            self._request.session.note(message)
        for path in found.values():
            self._request.session.wrote(path)
        return found

    def finish(self) -> None:
        """Write ``run.json``."""
        if self._folder is None:
            return
        with self._folder.delivery() as staging:
            name = self._record.write_run(staging)
        self._request.session.wrote(self._folder.path / name)


@contextlib.contextmanager
def _room(
    request: Request, method: ImageMethod, sources: Sequence[Source], trained: Model | ChannelModels
) -> Iterator[_Writer]:
    """A place for predictions, checked before any work begins."""
    out = request.path("out")
    alone = len(sources) == 1
    if out is None:
        yield _Writer(request, method, None, alone=alone)
        return
    from superlens.runs.records import result_names

    folder = request.folder(out, request.path("model"))
    names = result_names(method, [s.file for s in sources], tuple(method.scales(_models(trained)[0])))
    with folder.prepared(names, sum(_output_bytes(s.image) for s in sources) + 20_000_000):
        yield _Writer(request, method, folder, alone=alone)


def _outcome(
    request: Request,
    method: ImageMethod,
    sources: Sequence[Source],
    results: Sequence[Result],
    device: str,
    delivered: Sequence[Mapping[str, Path]],
    files: Sequence[Path],
) -> Outcome:
    ends = [None if c.history is None else c.history.stopped for c in results[0].channels]
    stopped = "cancelled" if "cancelled" in ends else ends[0]
    out = request.path("out")
    made = [
        made
        for source, result, paths in zip(sources, results, delivered, strict=True)
        for made in _made(method, source, result, paths)
    ]
    written = [*files, *(path for one in delivered for path in one.values())]
    if out is not None:
        written += [out / "run.json", *([out / "model.zip"] if request.verb.name == "enhance" else [])]
    return Outcome(
        made=made,
        messages=tuple(dict.fromkeys(text for result in results for text in result.messages)),
        files=tuple(written),
        early=stopped == "cancelled",
        info={"device": device, "stopped": stopped},
    )


def _made(method: ImageMethod, source: Source, result: Result, paths: Mapping[str, Path]) -> Iterator[Made]:
    scales = method.scales(result.channels[0].model)
    every = len(result.numbers) == source.image.sizes.get("C", 1)
    for at, (role, image) in enumerate(result.images()):
        yield Made(
            role,
            image,
            f"{stem_of(source.file)}-{method.role(role).ending}",
            scales.get(role, 1),
            () if every else result.numbers,
            show=at == 0,
            path=paths.get(role),
        )


def _planned(
    request: Request,
    method: ImageMethod,
    sources: Sequence[Source],
    scales: Mapping[str, int],
    learning: _Learning | None,
) -> Plan:
    told = None if learning is None else learning.forecast(sources)
    images = [source.image for source in sources]
    made = (
        []
        if len(sources) != 1
        else [_announced(method, sources[0], role, scale, scales) for role, scale in scales.items()]
    )
    pixels = sum(image.data.size for image in images)
    largest = max(math.prod(image.data.shape[-2:]) for image in images)
    training = 0 if told is None else 6_000 * told.patch_pixels
    seconds = None
    if learning is not None and told is not None:
        steps = PACE.forecast(told.key, told.steps * len(learning.channels.optics))
        rest = PACE.forecast(f"pixel {told.key}", pixels)
        most = math.inf if learning.settings.minutes is None else 60 * learning.settings.minutes
        seconds = None if steps is None or rest is None else rest + min(steps, most)
    return Plan(
        made=made,
        memory_bytes=int(700e6 + training + 4_000 * min(largest, 512**2) + 4 * pixels * 30),
        planes=sum(math.prod(image.data.shape[:-2]) for image in images),
        seconds=seconds,
    )


def _announced(method: ImageMethod, source: Source, role: str, scale: int, scales: Mapping[str, int]) -> Made:
    image, stem = source.image, stem_of(source.file)
    shape = (*image.data.shape[:-2], *(side * scale for side in image.data.shape[-2:]))
    empty = image.with_data(np.broadcast_to(np.zeros((), np.float32), shape), scale=scale)
    return Made(role, empty, f"{stem}-{method.role(role).ending}", scale, show=role == next(iter(scales)))


def _pixel_key(model: Model) -> str:
    return f"pixel {model.config.network}"


class _Clock:
    """Seconds since it was made."""

    def __init__(self, request: Request) -> None:
        import time

        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """So far."""
        import time

        return time.monotonic() - self._began
