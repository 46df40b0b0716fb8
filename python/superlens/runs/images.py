"""``enhance``, ``train`` and ``predict`` with any method: from images, in files or in memory, to images, a model and a report.

All inputs are read, and the place for the results is checked, before any training begins. A run that is stopped keeps what it has
learned; one that is killed goes on from its checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.method import ImageMethod
from superlens.runs.choices import one_or_several
from superlens.runs.delivery import (
    Tally,
    checkpoint_at,
    delivered,
    ended,
    models_of,
    pixel_key,
    planned,
    room_for_learning,
    room_for_results,
    saved,
)
from superlens.runs.first_picture import showing_first
from superlens.runs.folders import stem_of
from superlens.runs.learning import PACE, Learning, chosen, hollow, outlines, require_pixel_sizes, training_sources
from superlens.runs.verb import Outcome, Plan, Request, Source

if TYPE_CHECKING:
    from superlens.model import ChannelModels, Model
    from superlens.result import Result

__all__ = ["enhance", "plan_enhance", "plan_predict", "plan_train", "predict", "train"]

# -- enhance ------------------------------------------------------------------------------------------------------------


def enhance(request: Request) -> Outcome:
    """Learn from images and give them back, denoised and sharpened."""
    request = request.for_method(chosen(request))
    sources = request.sources()
    learning = Learning.of(request, [source.image for source in sources])
    require_pixel_sizes(learning, sources)
    out = request.path("out")
    if out is None and len(sources) > 1:
        raise SuperlensError(f"there are {len(sources)} images; name a folder in `out` for their results.")
    device = request.engine()
    from superlens import enhancing

    with (
        room_for_learning(request, learning, sources) as (place, checkpoint),
        showing_first(request.session, place if learning.settings.steps else None, sources[0]) as progress,
    ):
        results = enhancing.enhance(
            learning.channels.images,
            method=learning.method.name,
            config=learning.settings,
            checkpoint=checkpoint,
            progress=progress,
            **learning.channels.arguments(),
        )
        learning.remember(request)
        request.session.check()
        files = saved(request, results[0])
        written = delivered(request, place, sources, results)
        ended(request, checkpoint)
    tally = Tally(learning.method, device)
    for source, result, paths in zip(sources, results, written, strict=True):
        tally.add(source, result, paths)
    return tally.outcome(request, first=files)


def plan_enhance(request: Request) -> Plan:
    """What enhancing would make, from the outlines of the images alone."""
    learning, found = Learning.planned(request)
    return planned(request, learning.method, found, learning.forecast(found).scales, learning)


# -- train --------------------------------------------------------------------------------------------------------------


def train(request: Request) -> Outcome:
    """Train a model on images and write it to its file."""
    target = model_target(request)
    request = request.for_method(chosen(request))
    sources = training_sources(request)
    learning = Learning.of(request, [source.image for source in sources])
    require_pixel_sizes(learning, sources)
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
    model_target(request)
    learning, found = Learning.planned(request)
    return replace(planned(request, learning.method, found, {}, learning), made=())


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
        checkpoint_at(request, target.with_name(f".{target.name}.checkpoint")) as checkpoint,
    ):
        model = learned(checkpoint)
        session.check()
        with folder.delivery() as staging:
            model.save(staging / target.name)
        session.wrote(target)
        ended(request, checkpoint)
    stopped = _why(models_of(model))
    info = {"device": device, "stopped": stopped}
    return Outcome(messages=request.absent(), files=(target,), early=stopped == "cancelled", info=info)


# -- predict ------------------------------------------------------------------------------------------------------------


def predict(request: Request) -> Outcome:
    """Apply a trained model to images, one after the other.

    All are read before the first, so that what cannot be worked on is told at once. Of several files the pixels are not kept: while one is
    worked on the next is read again and the last is written, and memory holds as many as that, however many there are.
    """
    device = request.engine()  # before a model is loaded, which fixes the number of threads
    request = request.for_method(_method_of(loaded(request)))
    many = len(request.files) > 1 and not request.images
    sources = request.required([_picture(request, one, hollowed=many) for one in request.each()])
    if request.path("out") is None and len(sources) > 1:
        raise SuperlensError(f"there are {len(sources)} images; name a folder in `out` for their results.")
    trained = loaded(request)
    method = _method_of(trained)
    notes = [note for source in sources for note in _fitting(trained, source)]
    for note in notes:
        request.session.note(note)
    tally = Tally(method, device)
    with room_for_results(request, method, sources, trained) as writer, ThreadPoolExecutor(2) as beside:

        def image_of(source: Source) -> Image:
            if not many:
                return source.image
            return _picture(request, Source(request.reading.read(source.file), source.file)).image

        def told(source: Source, result: Result, files: dict[str, Path]) -> None:
            writer.tell(result, files)
            tally.add(source, result, files, hollowed=many)

        reading = beside.submit(image_of, sources[0])
        writing: tuple[Source, Result, Future[dict[str, Path]]] | None = None
        for number, source in enumerate(sources):
            image = reading.result()
            if number + 1 < len(sources):
                reading = beside.submit(image_of, sources[number + 1])
            result = _predicted(request, trained, image)
            request.session.check()
            if writing is not None:
                told(*writing[:2], writing[2].result())
            writing = source, result, beside.submit(writer.write, source, result)
        assert writing is not None  # there is an image, or the request was refused
        told(*writing[:2], writing[2].result())
        last = writer.finish()
    came = tally.outcome(request, last=tuple(last.values()))
    return replace(came, messages=(*notes, *came.messages))


def _picture(request: Request, source: Source, *, hollowed: bool = False) -> Source:
    """An image of which the channels that were asked for are left, or no more than its outline."""
    image = one_or_several(source.image, request.get("channel", ()))
    return replace(source, image=hollow(image) if hollowed else image)


def _predicted(request: Request, trained: Model | ChannelModels, image: Image) -> Result:
    """One result; how long it took is remembered for the next plan."""
    from superlens import enhancing

    began = time.monotonic()
    adapt = int(request.get("adapt", 0))
    made: Result = enhancing.predict(trained, image, adapt_steps=adapt, progress=request.session.progress)
    PACE.keep(pixel_key(models_of(trained)[0]), image.data.size, time.monotonic() - began)
    return made


def plan_predict(request: Request) -> Plan:
    """What predicting would make, from the outlines of the images alone."""
    request.engine()
    trained = loaded(request)
    method = _method_of(trained)
    found = outlines(request.for_method(method))
    kept = [replace(o, image=_picked(trained, o.image)) for o in found]
    scales = method.scales(models_of(trained)[0])
    pixels = sum(o.image.data.size for o in kept)
    plan = planned(request, method, kept, scales, None)
    return replace(plan, seconds=PACE.forecast(pixel_key(models_of(trained)[0]), pixels))


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

    return enhancing.made_by(models_of(trained)[0])


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


def _why(models: Sequence[Model]) -> str:
    """Why the training of one or several models ended."""
    ends = [str(model.config.provenance.get("stopped", "")) for model in models]
    return "cancelled" if "cancelled" in ends else ends[0]
