"""Where results go: room made and checked before the work, files written at once after it, and what is told of them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from superlens.image import Image
from superlens.method import ImageMethod
from superlens.runs.checkpoints import checkpointed, checkpoints
from superlens.runs.folders import stem_of
from superlens.runs.learning import PACE, Learning, hollow
from superlens.runs.result_names import ResultNames, reserved_names
from superlens.runs.verb import Made, Outcome, Plan, Request, Source

if TYPE_CHECKING:
    from superlens.model import ChannelModels, Model
    from superlens.report import Verdict
    from superlens.result import Result

__all__ = [
    "Tally",
    "Writer",
    "checkpoint_at",
    "delivered",
    "ended",
    "models_of",
    "pixel_key",
    "planned",
    "room_for_learning",
    "room_for_results",
    "saved",
]


def models_of(trained: Model | ChannelModels) -> tuple[Model, ...]:
    """The models of all channels, or the one."""
    from superlens.model import ChannelModels

    return trained.models if isinstance(trained, ChannelModels) else (trained,)


@contextlib.contextmanager
def checkpoint_at(request: Request, path: Path) -> Iterator[Path | None]:
    """Where the training keeps its state; None at a door where no run is gone on with."""
    if not request.session.resumes:
        yield None
        return
    with checkpointed(path, resume=bool(request.get("resume"))) as place:
        yield place


def ended(request: Request, checkpoint: Path | None) -> None:
    """Take the checkpoint away, unless the run was ended early and may be gone on with."""
    if checkpoint is not None and not request.session.stopped:
        for done in checkpoints(checkpoint):
            done.unlink()


@contextlib.contextmanager
def room_for_learning(
    request: Request, learning: Learning, sources: Sequence[Source]
) -> Iterator[tuple[ResultNames | None, Path | None]]:
    """Names for the results, free before any work begins, and the place of the checkpoint; none of them without a folder."""
    out = request.path("out")
    if out is None:
        yield None, None
        return
    images = [source.image for source in sources]
    told = learning.forecast(images)
    room = told.room_bytes * len(learning.channels.optics) + sum(map(_output_bytes, images))
    roles = tuple(told.scales)
    with (
        reserved_names(
            request.folder(out), learning.method, sources, roles, room, request.session, model=True
        ) as place,
        checkpoint_at(request, out / f".{place.prefix}checkpoint") as checkpoint,
    ):
        yield place, checkpoint


def _output_bytes(image: Image) -> int:
    return 4 * image.data.size * (1 + 2 * 4) + 8_000_000


def saved(request: Request, result: Result) -> list[Path]:
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


def delivered(
    request: Request, place: ResultNames | None, sources: Sequence[Source], results: Sequence[Result]
) -> list[dict[str, Path]]:
    """Write everything to the output folder at once; role to file of each source, and "model" and "run" with the first."""
    if place is None:
        return [{} for _ in sources]
    from superlens.runs.records import Record

    record, out = Record(place, request.session, request.left_out), place.folder.path
    with place.folder.delivery() as staging:
        names = [record.write(staging, source, result) for source, result in zip(sources, results, strict=True)]
        model = record.write_model(staging, results[0].model)
        run = record.write_run(staging)
    place.let_go(record.names)
    found = [{role: out / name for role, name in one.items()} for one in names]
    images = [path for one in found for role, path in one.items() if role != "report"]
    reports = [one["report"] for one in found]
    index = {} if place.index is None else {"index": out / place.index}
    for path in [*images, out / model, out / run, *reports, *index.values()]:
        request.session.wrote(path)
    found[0] |= {"run": out / run, "model": out / model, **index}
    return found


class Writer:
    """Writes results one after the other, as they are made, each with the record so far."""

    def __init__(self, request: Request, place: ResultNames | None) -> None:
        from superlens.runs.records import Record

        self._request, self._place = request, place
        self._record = None if place is None else Record(place, request.session, request.left_out)

    def write(self, source: Source, result: Result) -> dict[str, Path]:
        """Write one; role to file. It says nothing, so that it may be done while the next image is worked on."""
        if self._place is None or self._record is None:
            return {}
        folder = self._place.folder
        with folder.delivery() as staging:
            names = self._record.write(staging, source, result)
            self._record.write_run(staging)
        return {role: folder.path / name for role, name in names.items()}

    def tell(self, result: Result, files: Mapping[str, Path]) -> None:
        """Say what was written of one, and what its user should know."""
        for message in result.messages if files else ():
            self._request.session.note(message)
        for path in files.values():
            self._request.session.wrote(path)

    def finish(self) -> dict[str, Path]:
        """Let go of what earlier runs made of the same inputs; give the record."""
        if self._place is None or self._record is None:
            return {}
        with self._place.folder.delivery() as staging:
            run = self._place.folder.path / self._record.write_run(staging)
        self._place.let_go(self._record.names)
        found = {"run": run}
        if self._place.index is not None:
            found["index"] = self._place.folder.path / self._place.index
        for path in found.values():
            self._request.session.wrote(path)
        return found


@contextlib.contextmanager
def room_for_results(
    request: Request, method: ImageMethod, sources: Sequence[Source], trained: Model | ChannelModels
) -> Iterator[Writer]:
    """A place for predictions, free before any work begins."""
    out = request.path("out")
    if out is None:
        yield Writer(request, None)
        return
    folder = request.folder(out, request.path("model"))
    roles, room = tuple(method.scales(models_of(trained)[0])), sum(_output_bytes(s.image) for s in sources) + 20_000_000
    with reserved_names(folder, method, sources, roles, room, request.session) as place:
        yield Writer(request, place)


@dataclass(slots=True, eq=False)
class Tally:
    """What a run has come to so far, result by result.

    Attributes
    ----------
    method : ImageMethod
    device : str
        That it is worked on, in words.
    """

    method: ImageMethod
    device: str
    _made: list[Made] = field(default_factory=list)
    _messages: list[str] = field(default_factory=list)
    _files: list[Path] = field(default_factory=list)
    _verdicts: dict[str, Verdict] = field(default_factory=dict)
    _stopped: str | None = None

    def add(self, source: Source, result: Result, files: Mapping[str, Path], *, hollowed: bool = False) -> None:
        """Take one result, and the files that hold it; its pixels are let go where they are `hollowed`."""
        if not self._verdicts:
            ends = [None if c.history is None else c.history.stopped for c in result.channels]
            self._stopped = "cancelled" if "cancelled" in ends else ends[0]
        for made in _made(self.method, source, result, files):
            self._made.append(replace(made, image=hollow(made.image)) if hollowed else made)
        self._messages += result.messages
        self._files += files.values()
        self._verdicts[stem_of(source.file)] = result.verdict

    def outcome(self, request: Request, first: Sequence[Path] = (), last: Sequence[Path] = ()) -> Outcome:
        """All of it, with the files that were written before and after."""
        return Outcome(
            made=self._made,
            messages=(*dict.fromkeys(self._messages), *request.absent()),
            files=(*first, *self._files, *last),
            early=self._stopped == "cancelled",
            info={"device": self.device, "stopped": self._stopped},
            verdicts=self._verdicts,
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


def planned(
    request: Request,
    method: ImageMethod,
    sources: Sequence[Source],
    scales: Mapping[str, int],
    learning: Learning | None,
) -> Plan:
    """What a run would make of images that are outlines only, and what it would take; `learning` when it trains."""
    told = None if learning is None else learning.forecast(sources)
    images = [source.image for source in sources]
    made = [_announced(method, source, role, scale, scales) for source in sources for role, scale in scales.items()]
    one = len(sources) == 1
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
        made=made if one else (),
        batch=() if one else made,
        memory_bytes=int(700e6 + training + 4_000 * min(largest, 512**2) + 4 * pixels * 30),
        planes=sum(math.prod(image.data.shape[:-2]) for image in images),
        seconds=seconds,
        notes=() if told is None else told.notes,
    )


def _announced(method: ImageMethod, source: Source, role: str, scale: int, scales: Mapping[str, int]) -> Made:
    stem, empty = stem_of(source.file), method.outline(source.image, scale)
    return Made(role, empty, f"{stem}-{method.role(role).ending}", scale, show=role == next(iter(scales)))


def pixel_key(model: Model) -> str:
    """By which the speed of a prediction is remembered."""
    return f"pixel {model.config.network or model.config.method}"
