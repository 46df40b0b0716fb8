"""Images of several channels: a model and a PSF for each, one result, one file.

Every channel goes through the same way as an image of its own, over all its frames and planes; nothing is shared between channels but
the settings. What comes out is put together again: images with their channel axis, one model file, one report that shows each channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.apply import Result, apply
from superlens.methods.zsdeconv.learn import Learned, learn
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import ChannelModels, Model
from superlens.optics import PSF, Objective
from superlens.progress import Cancelled, Enough, Progress, Watching
from superlens.training.two_stage.state import TwoStageState

__all__ = ["ChannelResult", "channel_name", "enhance_channels", "predict_channels", "train_channels"]

Optics = Objective | PSF | None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ChannelResult:
    """What the models of several channels make of one image.

    Attributes
    ----------
    channels : tuple of Result
        One for each channel, without the axis C.
    model : ChannelModels
    image, denoised, uncertainty, prior_only
        Those of `channels`, put together along C; None where a channel has none.
    """

    channels: tuple[Result, ...]
    model: ChannelModels
    image: Image | None
    denoised: Image
    uncertainty: Image | None
    prior_only: NDArray[np.bool_] | None

    @classmethod
    def of(cls, results: Sequence[Result], model: ChannelModels, like: Image) -> ChannelResult:
        """Put results together; `like` is the image with these channels."""
        at = like.axes.index("C")

        def joined(name: str) -> Image | None:
            images = [getattr(result, name) for result in results]
            if images[0] is None or any(image is None for image in images):
                return None
            first: Image = images[0]
            told = [image.history["superlens"] for image in images]
            history = {"what": told[0]["what"], "channels": [{"channel": c, **t} for c, t in zip(model.channels, told)]}  # noqa: B905
            return replace(
                like,
                data=np.stack([image.data for image in images], axis=at),
                pixel_nm=first.pixel_nm,
                history={**like.history, "superlens": history},
            )

        masks = [result.prior_only for result in results]
        known = [mask for mask in masks if mask is not None]
        denoised = joined("denoised")
        assert denoised is not None  # a denoised image is always made
        image = joined("image")
        shape = None if image is None else image.data.shape[:at] + image.data.shape[at + 1 :]
        return cls(
            tuple(results),
            model,
            image,
            denoised,
            joined("uncertainty"),
            None if len(known) < len(masks) else np.stack([mask.reshape(shape or mask.shape) for mask in known], at),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What each channel is called."""
        return tuple(channel_name(self.denoised, at, c) for at, c in enumerate(self.model.channels))

    @property
    def messages(self) -> tuple[str, ...]:
        """What the user should know, each message with its channel."""
        pairs = zip(self.names, self.channels, strict=True)
        return tuple(f"{name}: {message}" for name, result in pairs for message in result.messages)

    @property
    def parameters(self) -> dict[str, Any]:
        """Settings, optics and camera of each channel."""
        return {name: result.parameters for name, result in zip(self.names, self.channels, strict=True)}

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The numbers of `Result.metrics` for each channel."""
        return {name: result.metrics for name, result in zip(self.names, self.channels, strict=True)}

    @property
    def report(self) -> str:
        """One self-contained HTML page that shows each channel."""
        from superlens.evidence import gather
        from superlens.report import render_channels

        pages = [(name, gather(result).page()) for name, result in zip(self.names, self.channels, strict=True)]
        return render_channels(pages, created=datetime.now().astimezone())


def channel_name(image: Image, at: int, number: int) -> str:
    """A channel in words: its number, and its name where it has one."""
    name = image.channel_names[at] if image.channel_names else ""
    return f"channel {number} ({name})" if name else f"channel {number}"


def enhance_channels(
    images: Sequence[Image],
    optics: Sequence[Optics],
    channels: Sequence[int],
    config: ZSDeconvConfig,
    checkpoint: Path | None,
    progress: Progress,
    start: Model | None = None,
) -> list[ChannelResult]:
    """`superlens.enhance` for some channels of images that have them; `optics` has one entry for each of `channels`."""
    kept = _kept(images, channels, optics, config)
    made: list[list[Result]] = []

    def work(planes: list[Image], lens: Optics, own: ZSDeconvConfig, place: Path | None, tell: Progress) -> Learned:
        prepared = prepare(planes, lens, own)
        learned = learn(prepared, place, tell, start=start)
        made.append([apply(learned, observation, tell) for observation in prepared.observations])
        return learned

    model = ChannelModels(tuple(channels), _each(kept, optics, channels, config, checkpoint, progress, work))
    return [ChannelResult.of([r[i] for r in made], model, image) for i, image in enumerate(kept)]


def train_channels(
    images: Sequence[Image],
    optics: Sequence[Optics],
    channels: Sequence[int],
    config: ZSDeconvConfig,
    checkpoint: Path | None,
    progress: Progress,
    start: Model | None = None,
) -> ChannelModels:
    """`superlens.train` for some channels; the arguments are those of `enhance_channels`."""

    def work(planes: list[Image], lens: Optics, own: ZSDeconvConfig, place: Path | None, tell: Progress) -> Learned:
        return learn(prepare(planes, lens, own), place, tell, start=start)

    kept = _kept(images, channels, optics, config)
    return ChannelModels(tuple(channels), _each(kept, optics, channels, config, checkpoint, progress, work))


def predict_channels(models: ChannelModels, image: Image, predict: Callable[[Model, Image], Result]) -> ChannelResult:
    """Apply each model to its channel."""
    kept = models.picked(image)
    for model in models.models:
        TwoStageState.of(model).check_fits(kept)
    results = [predict(model, kept.select(c=at)) for at, model in enumerate(models.models)]
    return ChannelResult.of(results, models, kept)


Work = Callable[[list[Image], Optics, ZSDeconvConfig, Path | None, Progress], Learned]


def _each(
    kept: Sequence[Image],
    optics: Sequence[Optics],
    channels: Sequence[int],
    config: ZSDeconvConfig,
    checkpoint: Path | None,
    progress: Progress,
    work: Work,
) -> tuple[Model, ...]:
    """Do the work for one channel after the other; minutes are shared out evenly."""
    own = config if config.minutes is None else config.with_changes({"minutes": config.minutes / len(channels)})
    models = []
    for at, (number, lens) in enumerate(zip(channels, optics, strict=True)):
        planes = [image.select(c=at) for image in kept]
        place = None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.c{number}")
        tell = _Telling(progress, channel_name(kept[0], at, number))
        try:
            learned = work(planes, lens, own, place, tell)
        except SuperlensError as error:
            raise SuperlensError(f"{channel_name(kept[0], at, number)}: {error}") from error
        models.append(learned.model)
        stopped = learned.history is not None and learned.history.stopped == "cancelled"
        if stopped and not tell.enough and at < len(channels) - 1:
            raise Cancelled  # the channels that are left have learned nothing; the checkpoints stay
    return tuple(models)


class _Telling:
    """Tells of one channel, and notes when the listener has enough of it."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._name = name
        self.enough = False

    def __call__(self, done: int, total: int, message: str) -> None:
        try:
            self._progress(done, total, f"{self._name}: {message}")
        except Enough:
            self.enough = True
            raise

    def glimpse(self, look: Callable[[], NDArray[np.float32]]) -> None:
        if isinstance(self._progress, Watching):
            self._progress.glimpse(look)


def _kept(
    images: Sequence[Image], channels: Sequence[int], optics: Sequence[Optics], config: ZSDeconvConfig
) -> list[Image]:
    """The images with the channels that are asked for, checked before a minute is spent."""
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
        if lens is None and not config.denoise_only:
            raise SuperlensError(
                f"{channel_name(kept[0], at, channels[at])} has no optics; give a PSF or a wavelength for each channel"
            )
    return kept
