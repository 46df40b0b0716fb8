"""`reconstruct_sim`: raw frames of one channel or several. Each channel has a pattern and a wavelength of its own; the results are one image.

A channel in which no pattern is found refuses the whole, by name: it may be one without structured illumination.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, overload

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image, channel_name, require_image
from superlens.optics import Objective
from superlens.optics.patterns import Pattern
from superlens.progress import Progress, silent
from superlens.reconstruct.sim.reconstruct import SimOptions, SimResult, reconstruct_one
from superlens.report import Verdict, combined, render_channels

__all__ = ["SimChannels", "check_channels", "reconstruct_sim"]

_LEAST_FRAMES = 5  # of a set


@dataclass(frozen=True, slots=True, eq=False)
class SimChannels:
    """What came of raw frames of several channels.

    Attributes
    ----------
    channels : tuple of SimResult
        Of each channel, with its own pattern.
    numbers : tuple of int
        Index of each along C of the input.
    like : Image
        The input with these channels.
    """

    channels: tuple[SimResult, ...]
    numbers: tuple[int, ...]
    like: Image

    @property
    def names(self) -> tuple[str, ...]:
        """What each channel is called."""
        return tuple(channel_name(self.like, at, number) for at, number in enumerate(self.numbers))

    @property
    def image(self) -> Image:
        """The reconstructions, channels along C: float32 counts, half the pixel size."""
        return self._together(lambda one: one.image)

    @property
    def widefield(self) -> Image:
        """Order 0 of the frames, channels along C."""
        return self._together(lambda one: one.widefield)

    @property
    def messages(self) -> tuple[str, ...]:
        """What the user should know, each message with its channel."""
        return tuple(f"{name}: {text}" for name, one in self._named() for text in one.messages)

    @property
    def verdict(self) -> Verdict:
        """That of the worst channel, with the reasons of all."""
        return combined({name: one.verdict for name, one in self._named()})

    @property
    def report(self) -> str:
        """One HTML page with the report of each channel."""
        shown = [(name, one.verdict, one.report) for name, one in self._named()]
        return render_channels(
            shown,
            title="Structured illumination",
            image_name=self.like.name or "raw frames",
            created=datetime.now().astimezone(),
            own="an illumination pattern",
        )

    def lines(self) -> list[str]:
        """The patterns in lines for a person."""
        return [f"{name}: {line}" for name, one in self._named() for line in one.lines()]

    def described(self) -> dict[str, Any]:
        """What is worth keeping of each channel, in JSON values."""
        pairs = zip(self.numbers, self._named(), strict=True)
        return {"channels": [{"channel": number, "name": name, **one.described()} for number, (name, one) in pairs]}

    def _named(self) -> Iterator[tuple[str, SimResult]]:
        return zip(self.names, self.channels, strict=True)

    def _together(self, of: Callable[[SimResult], Image]) -> Image:
        images = [of(one) for one in self.channels]
        first = images[0]
        axes = "".join(axis for axis in "TCZYX" if axis == "C" or axis in first.axes)
        return replace(
            first,
            data=np.stack([image.data for image in images], axis=axes.index("C")),
            axes=axes,
            channel_names=self.like.channel_names,
            emission_nm=self.like.emission_nm,
        )


@overload
def reconstruct_sim(
    image: Image,
    objective: Objective,
    pattern: Pattern | None = None,
    *,
    options: SimOptions | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> SimResult: ...


@overload
def reconstruct_sim(
    image: Image,
    objective: Sequence[Objective],
    pattern: Sequence[Pattern | None] | None = None,
    *,
    channels: Sequence[int] | None = None,
    options: SimOptions | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> SimChannels: ...


def reconstruct_sim(
    image: Image,
    objective: Objective | Sequence[Objective],
    pattern: Pattern | Sequence[Pattern | None] | None = None,
    *,
    channels: Sequence[int] | None = None,
    options: SimOptions | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> SimResult | SimChannels:
    """Reconstruct raw frames of structured illumination.

    Parameters
    ----------
    image : Image
        Raw frames along T or Z, or a montage (order "nsim"). Its pixel size must be known.
    objective : Objective, or sequence of Objective
        NA and emission wavelength; with `excitation_nm` the pattern's period is checked against it. Of several channels one for each.
    pattern : Pattern, or sequence of Pattern or None, optional
        Of a brighter recording with the same settings: its wave vectors and phase steps are kept, modulation and phases are measured.
    channels : sequence of int, optional
        With a sequence of objectives: the channels to reconstruct, rising from 0; by default all.
    options : SimOptions, optional
    workers : int
        Threads of the Fourier transforms.
    progress : callable

    Returns
    -------
    SimResult
        Or `SimChannels`, for a sequence of objectives.

    Raises
    ------
    SuperlensError
        When no pattern is found, the frames are in no possible order, or the optics do not fit.

    Examples
    --------
    >>> from superlens.optics.detection import Detection
    >>> from superlens.simulate.structured import ARRANGEMENTS, ideal_pattern, simulate_sim
    >>> rng = np.random.default_rng(0)
    >>> objective = Objective(na=1.4, wavelength_nm=525)
    >>> light = ideal_pattern(ARRANGEMENTS["two-beam"], 0.3, 0.8, rng)
    >>> raw = simulate_sim(rng.random((192, 192)) ** 8, light, Detection.of(objective, 65), photons=200, pixel_nm=65, rng=rng)
    >>> result = reconstruct_sim(raw.frames, objective)
    >>> result.image.sizes, result.image.pixel_nm, result.layout.order
    ({'Y': 192, 'X': 192}, 32.5, ('phase', 'angle'))
    """
    require_image(image)
    options = options or SimOptions()
    if image.pixel_nm is None:
        raise SuperlensError("the image has no pixel size. Give `pixel_nm`, in nanometres.")
    check_channels(image)
    if isinstance(objective, Objective):
        if isinstance(pattern, Sequence) or channels is not None:
            raise SuperlensError("one objective is given for several channels; give a list with one for each.")
        _refuse_channels(image)
        image = image.select(c=0) if "C" in image.axes else image
        return reconstruct_one(image, objective, pattern, options, workers, progress)
    if isinstance(pattern, Pattern):
        raise SuperlensError("one pattern is given for several channels; give a list with one, or None, for each.")
    numbers = tuple(channels if channels is not None else range(image.sizes.get("C", 1)))
    patterns = [None] * len(numbers) if pattern is None else list(pattern)
    for what, given in (("objectives", objective), ("patterns", patterns)):
        if len(given) != len(numbers):
            raise SuperlensError(f"{len(given)} {what} are given for {len(numbers)} channels; give one for each.")
    like = image.with_channels(numbers) if "C" in image.axes else image
    made = _of_each(like, numbers, lambda at, one, told: reconstruct_one(
        one, objective[at], patterns[at], options, workers, told
    ), progress)  # fmt: skip
    shapes = {one.image.data.shape for one in made}
    if len(shapes) > 1:
        words = "; ".join(f"channel {n}: {one.layout.words}" for n, one in zip(numbers, made, strict=True))
        raise SuperlensError(
            f"the channels are in different order ({words}); expected the same. Give `order`, `angles` and `phases`."
        )
    return SimChannels(tuple(made), numbers, like)


def check_channels(image: Image) -> None:
    """Refuse raw frames that a file calls channels.

    Raises
    ------
    SuperlensError
    """
    count = image.sizes.get("C", 1)
    if count >= _LEAST_FRAMES and math.prod(image.data.shape[:-2]) == count:
        raise SuperlensError(
            f"the image has {count} channels of one plane each. If these are raw frames, name their axis with `axes`, like TYX."
        )


def _refuse_channels(image: Image) -> None:
    count = image.sizes.get("C", 1)
    if count > 1:
        raise SuperlensError(
            f"the image has {count} channels and one objective is given; each channel has a pattern and a wavelength of its own. Give a list of "
            "objectives, or one channel with select(c=0)."
        )


def _of_each(
    image: Image,
    numbers: Sequence[int],
    work: Callable[[int, Image, Progress], SimResult],
    progress: Progress,
) -> list[SimResult]:
    """Work on every channel, so that a refusal can name all that are to be left out."""
    made: dict[int, SimResult] = {}
    failed: dict[int, SuperlensError] = {}
    for at, number in enumerate(numbers):
        one = image.select(c=at) if "C" in image.axes else image
        told = _named(progress, channel_name(image, at, number))
        try:
            made[number] = work(at, one, told)
        except SuperlensError as error:
            failed[number] = error
    if failed:
        first = next(iter(failed))
        others = [channel_name(image, numbers.index(n), n) for n in failed if n != first]
        too = f" So {'is' if len(others) == 1 else 'are'} {' and '.join(others)}." if others else ""
        rest = " and ".join(map(str, made))
        leave = f" To reconstruct the others, name them with `channels`: {rest}." if made else ""
        raise SuperlensError(
            f"{channel_name(image, numbers.index(first), first)} is refused: {failed[first]}{too}{leave}"
        ) from failed[first]
    return list(made.values())


def _named(progress: Progress, name: str) -> Progress:
    def told(done: int, total: int, message: str) -> None:
        progress(done, total, f"{name}: {message}")

    return told
