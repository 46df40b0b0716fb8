"""Images and optics in, results out, with any method of images: what Python, the shell and Fiji all call.

An image of several channels goes through channel by channel, each as an image of its own with its own optics and its own model, over all
its frames and planes; nothing is shared but the settings. What comes out is put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens import predicting
from superlens.errors import SuperlensError
from superlens.image import Image, channel_name, require_image
from superlens.io import ImageFile
from superlens.method import ImageMethod, Learned, Method, Settings
from superlens.methods import method as method_named
from superlens.methods import method_of, methods, predictors, switched
from superlens.model import ChannelModels, Model, load_model
from superlens.optics import PSF, Objective
from superlens.progress import Cancelled, Enough, Progress, Showing, Watching, silent
from superlens.result import Channel, Result

__all__ = [
    "Optics",
    "adapt",
    "enhance",
    "image_method",
    "predict",
    "predict_file",
    "preview",
    "train",
    "usual",
]

Optics = Objective | PSF | None


def usual(takes: str) -> Method:
    """The first method that takes images, or a movie."""
    return next(one for one in methods() if one.takes == takes)


def image_method(name: str | None, settings: Settings | None = None) -> ImageMethod:
    """The method of images of that name; without one, that of the settings, or the usual one.

    Raises
    ------
    SuperlensError
        If there is none of that name, it takes no images, or the settings are another's.
    """
    if name is not None:
        found = method_named(name)
    elif settings is not None:
        found = next((one for one in methods() if one.settings is type(settings)), usual("images"))
    else:
        found = usual("images")
    if not isinstance(found, ImageMethod):
        raise SuperlensError(f"`method` is {found.name!r}, which takes a movie; localize it instead")
    if settings is not None and not isinstance(settings, found.settings):
        raise SuperlensError(
            f"config is a {type(settings).__name__}; expected a {found.settings.__name__} for {found.name}"
        )
    return found


def enhance(
    images: Image | Sequence[Image],
    optics: Optics | Sequence[Optics] = None,
    *,
    method: str | None = None,
    sim: bool = False,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: Settings | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> Any:
    """Denoise and super-resolve images, learning from the images themselves.

    Parameters
    ----------
    images : Image or sequence of Image
        Axes with Y and X. Several images of one kind train one model.
    optics : Objective or PSF, or a sequence of them, optional
        What blurred them; not needed for denoising alone. A sequence has an entry for each channel, and each channel its own
        model; without one, the planes of all channels are taken to be of one kind.
    method : str, optional
        Name of a method of images; that of ``config``, or the usual one, when left out.
    channels : sequence of int, optional
        With a sequence of optics: the channels to work on, rising from 0; by default all.
    sim : bool
        Whether the images are raw frames of structured illumination; chooses the method for them.
    preset : str
        "fast", "instant", "standard" or "paper"; ignored when ``config`` is given.
    config : Settings, optional
        Like `superlens.ZSDeconvConfig`.
    checkpoint : Path, optional
        A file to keep the state of the training in, and to go on from; for channels, one for each with ``.c0`` and so on at its end.
    start : Model, optional
        Weights to begin from, in the place of the shipped ones.
    progress : Progress

    Returns
    -------
    Result
        Or a list of them for a sequence.

    Raises
    ------
    SuperlensError
        If an image, the optics or the settings can't be right; the message names the value and the next step.

    Examples
    --------
    >>> result = enhance(image, Objective(na=1.3, wavelength_nm=525))  # doctest: +SKIP
    >>> both = enhance(movie, [Objective(na=1.3, wavelength_nm=w) for w in (525, 600)])  # doctest: +SKIP
    """
    work = _Work.of(images, optics, _named(method, sim=sim), channels, preset, config)
    made: list[list[Channel]] = []

    def one(planes: list[Image], lens: Optics, settings: Settings, place: Path | None, told: Progress) -> Learned:
        prepared = work.method.prepare(planes, lens, settings)
        _show_first(work.method, prepared, start, told)
        learned = work.method.learn(prepared, place, told, start)
        if isinstance(told, _OfChannel):
            told.require_more(learned)
        made.append([work.method.apply(learned, observed, told) for observed in prepared.observations])
        return learned

    work.each(one, checkpoint, progress)
    results = [
        Result(tuple(channel[i] for channel in made), work.numbers or (), image) for i, image in enumerate(work.images)
    ]
    return results[0] if isinstance(images, Image) else results


def _show_first(method: ImageMethod, prepared: Any, start: Model | None, progress: Progress) -> None:
    """Show a listener that shows pictures what the pretrained model makes of the first image."""
    begun = method.begun(prepared, start) if isinstance(progress, Showing) else None
    if begun is None or not isinstance(progress, Showing):
        return
    model = begun.model
    progress.first(lambda: predicting.first_look(method.predictor(model), prepared.observations[0]))


def _named(method: str | None, *, sim: bool) -> str | None:
    """The name of the method that is asked for."""
    if not sim:
        return method
    name = switched("sim").name
    if method not in (None, name):
        raise SuperlensError(f"`sim` is true and `method` {method!r}; leave one of them out")
    return name


def train(
    images: Image | Sequence[Image],
    optics: Optics | Sequence[Optics] = None,
    *,
    method: str | None = None,
    sim: bool = False,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: Settings | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> Any:
    """Train a model on one or more images of one kind; the arguments are those of `enhance`.

    Returns
    -------
    Model
        Or `ChannelModels` where each channel has a model of its own.
    """
    work = _Work.of(images, optics, _named(method, sim=sim), channels, preset, config)

    def one(planes: list[Image], lens: Optics, settings: Settings, place: Path | None, told: Progress) -> Learned:
        return work.method.learn(work.method.prepare(planes, lens, settings), place, told, start)

    models = work.each(one, checkpoint, progress)
    return models[0] if work.numbers is None else ChannelModels(work.numbers, models)


def predict(
    model: Model | ChannelModels,
    image: Image,
    *,
    adapt_steps: int = 0,
    start: Model | None = None,
    progress: Progress = silent,
) -> Result:
    """Apply a trained model to an image of the kind it was trained on.

    Parameters
    ----------
    model : Model or ChannelModels
    image : Image
    adapt_steps : int
        Train so many steps further on each frame first, see `adapt`; the model stays as it is.
    start : Model, optional
        What the model began from, where that were not the shipped weights.
    progress : Progress

    Returns
    -------
    Result

    Raises
    ------
    SuperlensError
        If pixel size, axes or channels do not fit, or the model is not one of images.
    """
    require_image(image)
    if not isinstance(model, ChannelModels):
        return Result.of(_predicted(model, image, adapt_steps, start, progress), image)
    kept = picked(model, image)
    made = [_predicted(one, kept.select(c=at), adapt_steps, start, progress) for at, one in enumerate(model.models)]
    return Result(tuple(made), model.channels, kept)


def picked(model: ChannelModels, image: Image) -> Image:
    """The channels of an image that there are models for, each checked against its model.

    Raises
    ------
    SuperlensError
        If the image lacks a channel, or a model does not fit it.
    """
    kept = model.picked(image)
    for one in model.models:
        made_by(one).check_fits(one, kept)
    return kept


def made_by(model: Model) -> ImageMethod:
    """The method of images that made a model.

    Raises
    ------
    SuperlensError
        If the method is unknown or takes no images.
    """
    found = method_of(model)
    if not isinstance(found, ImageMethod):
        raise SuperlensError(f"the model was made by {found.name}, which takes a movie; localize with it instead")
    return found


def adapt(model: Model | ChannelModels, image: Image, *, steps: int = 50, progress: Progress = silent) -> Any:
    """Train a model a few steps further on one image of its kind.

    Parameters
    ----------
    model : Model or ChannelModels
        Stays as it is.
    image : Image
        Usually one time point.
    steps : int
        The most that are taken.
    progress : Progress

    Returns
    -------
    Model or ChannelModels
        As `model`, with other weights and a note of them in its provenance.

    Raises
    ------
    SuperlensError
        If the image does not fit the model, or its method has no such thing.

    Examples
    --------
    >>> sharper = adapt(model, movie.select(t=7), steps=50)  # doctest: +SKIP
    """
    if steps < 1:
        raise SuperlensError(f"steps is {steps}; expected 1 or more steps of adaptation")
    if not isinstance(model, ChannelModels):
        return made_by(model).adapted(model, steps)(image, progress)
    kept = model.picked(image)
    parts = [made_by(one).adapted(one, steps)(kept.select(c=at), progress) for at, one in enumerate(model.models)]
    return ChannelModels(model.channels, tuple(parts))


def predict_file(
    model: Path | str,
    source: ImageFile | Path | str,
    out: Path | str,
    *,
    options: predicting.BlockOptions | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Apply a trained model to an image of any size, block by block; see `superlens.predicting.predict_file`.

    Examples
    --------
    >>> predict_file("model.zip", "huge.ome.zarr", "huge_sr.ome.zarr")  # doctest: +SKIP
    """
    return predicting.predict_file(
        model, source, out, opened=predictors, adapting=_adapting, options=options, progress=progress
    )


def preview(
    model: Path | str,
    source: ImageFile | Path | str,
    out: Path | str,
    *,
    options: predicting.BlockOptions | None = None,
) -> predicting.Preview:
    """Say what `predict_file` will take, without writing anything; the arguments are the same."""
    return predicting.preview(model, source, out, opened=predictors, options=options)


def _adapting(path: Path, steps: int) -> Callable[[Image, Progress], Model | ChannelModels]:
    """What trains the model of a file some steps further on one image after another."""
    model = load_model(path)
    if not isinstance(model, ChannelModels):
        return made_by(model).adapted(model, steps)
    several, each = model, [made_by(one).adapted(one, steps) for one in model.models]

    def all_channels(image: Image, progress: Progress) -> ChannelModels:
        kept = several.picked(image)
        parts = [one(kept.select(c=at), progress) for at, one in enumerate(each)]
        return ChannelModels(several.channels, tuple(parts))

    return all_channels


def _predicted(model: Model, image: Image, adapt_steps: int, start: Model | None, progress: Progress) -> Channel:
    method = made_by(model)
    method.check_fits(model, image)
    if not adapt_steps:
        return method.apply(Learned(model, None, start), method.observe(model, image), progress)
    frames = [image.select(t=t) for t in range(image.sizes["T"])] if "T" in image.axes else [image]
    adapted, made = method.adapted(model, adapt_steps), []
    for at, frame in enumerate(frames):
        own = adapted(frame, lambda done, total, message, at=at: progress(at, len(frames), "adapting"))  # type: ignore[misc]
        made.append(method.apply(Learned(own, None, start), method.observe(own, frame), silent))
    progress(len(frames), len(frames), "adapting")
    if "T" not in image.axes:
        return made[0]
    return replace(_joined(made, image, adapt_steps), model=model, observation=method.observe(model, image))


def _joined(made: Sequence[Channel], image: Image, steps: int) -> Channel:
    """The results of the frames of a movie as that of the movie."""
    first = made[0]

    def stacked(role: str) -> Image:
        images = [one.images[role] for one in made]
        data = np.stack([one.data for one in images])
        return replace(image, data=data, pixel_nm=images[0].pixel_nm, history=images[0].history)

    note = f"each of {len(made)} frames was predicted by the model after up to {steps} more steps on that frame"
    return replace(
        first,
        images={role: stacked(role) for role in first.images},
        masks={name: np.concatenate([one.masks[name] for one in made]) for name in first.masks},
        parameters={**first.parameters, "adapted_steps": steps},
        messages=tuple(dict.fromkeys([*(text for one in made for text in one.messages), note])),
    )


class _Work:
    """What a training is asked to learn from: images, channel by channel, and the optics and settings of each."""

    def __init__(
        self,
        method: ImageMethod,
        images: list[Image],
        numbers: tuple[int, ...] | None,
        optics: Sequence[Optics],
        settings: Settings,
    ) -> None:
        self.method, self.images, self.numbers = method, images, numbers
        self._optics, self._settings = optics, settings

    @classmethod
    def of(
        cls,
        images: object,
        optics: Optics | Sequence[Optics],
        method: str | None,
        channels: Sequence[int] | None,
        preset: str,
        config: Settings | None,
    ) -> _Work:
        chosen, several = image_method(method, config), _several(images)
        settings = config or chosen.settings.of(preset)
        if not isinstance(optics, Sequence):
            if channels is not None:
                raise SuperlensError(
                    "channels is given and optics is not a sequence; give a PSF or an Objective for each channel"
                )
            return cls(chosen, several, None, [optics], settings)
        numbers = tuple(_channels_of(several, channels))
        kept = _kept(several, numbers, optics, needed=chosen.needs_optics(settings))
        return cls(chosen, kept, numbers, optics, settings)

    def each(
        self,
        work: Callable[[list[Image], Optics, Settings, Path | None, Progress], Learned],
        checkpoint: Path | None,
        progress: Progress,
    ) -> tuple[Model, ...]:
        """Do the work for one channel after the other; minutes are shared out evenly."""
        if self.numbers is None:
            return (work(self.images, self._optics[0], self._settings, checkpoint, progress).model,)
        share = {} if self._settings.minutes is None else {"minutes": self._settings.minutes / len(self.numbers)}
        own = self._settings.with_changes(share) if share else self._settings
        alone, models = len(self.numbers) == 1, []
        of_each = [self.method.for_channel(own, number, alone=alone) for number in self.numbers]
        for at, (number, lens, settings) in enumerate(zip(self.numbers, self._optics, of_each, strict=True)):
            planes = [image.select(c=at) for image in self.images]
            place = None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.c{number}")
            told = _OfChannel(progress, channel_name(self.images[0], at, number), last=at == len(self.numbers) - 1)
            try:
                learned = work(planes, lens, settings, place, told)
            except SuperlensError as error:
                raise SuperlensError(f"{channel_name(self.images[0], at, number)}: {error}") from error
            models.append(learned.model)
            told.require_more(learned)
        return tuple(models)


class _OfChannel:
    """The progress of one channel, which notes when the listener has enough of it."""

    def __init__(self, progress: Progress, name: str, *, last: bool) -> None:
        self._progress, self._name, self._last = progress, name, last
        self.enough = False

    def require_more(self, learned: Learned) -> None:
        """Stop before any further work when the listener has ended the run and other channels have learned nothing.

        Raises
        ------
        Cancelled
            The checkpoints stay.
        """
        stopped = learned.history is not None and learned.history.stopped == "cancelled"
        if stopped and not self.enough and not self._last:
            raise Cancelled

    def __call__(self, done: int, total: int, message: str) -> None:
        try:
            self._progress(done, total, f"{self._name}: {message}")
        except Enough:
            self.enough = True
            raise

    def glimpse(self, look: Callable[[], NDArray[np.float32]]) -> None:
        if isinstance(self._progress, Watching):
            self._progress.glimpse(look)

    def first(self, look: Callable[[], Image]) -> None:
        if isinstance(self._progress, Showing):
            self._progress.first(look)


def _several(images: object) -> list[Image]:
    several: list[Any] = list(images) if isinstance(images, Sequence) and not isinstance(images, str) else [images]
    for image in several:
        require_image(image)
    return several


def _channels_of(images: Sequence[Image], channels: Sequence[int] | None) -> Sequence[int]:
    if channels is not None:
        return channels
    counts = {image.sizes.get("C", 0) for image in images}
    if len(counts) != 1:
        raise SuperlensError(f"the images have {sorted(counts)} channels; say which ones with channels")
    return range(counts.pop())


def _kept(images: Sequence[Image], channels: Sequence[int], optics: Sequence[Optics], *, needed: bool) -> list[Image]:
    """The images with the requested channels, checked before a minute is spent."""
    if list(channels) != sorted(set(channels)):
        raise SuperlensError(f"channels is {list(channels)}; expected rising numbers, each once")
    if len(optics) != len(channels):
        raise SuperlensError(f"there are {len(channels)} channels and optics for {len(optics)}; expected one for each")
    kept = []
    for image in images:
        count = image.sizes.get("C", 0)
        if not channels or channels[-1] >= count or channels[0] < 0:
            raise SuperlensError(
                f"{image.name or 'the image'} has {count or 'no'} channels and channels is {list(channels)}; "
                f"expected numbers from 0 to {max(count - 1, 0)}"
            )
        kept.append(image if len(channels) == count else image.with_channels(channels))
    for at, lens in enumerate(optics):  # a channel that lacks its PSF is refused before another one is trained
        if lens is None and needed:
            raise SuperlensError(
                f"{channel_name(kept[0], at, channels[at])} has no optics; give a PSF or a wavelength for each channel"
            )
    return kept
