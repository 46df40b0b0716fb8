"""What the frames of a movie usually look like, and which frames are unlike the rest.

Statistics that are pooled over a movie hold only where its frames are alike. A shutter that closes, frames that a driver filled with zeros,
a flash, or a background that fades are none of the molecules' doing. Here each frame is held against the usual one: how far its dark places
lie above or below (its level), and whether it holds any light of molecules.

In: frames in counts or electrons. Out: a `UsualFrame`, which judges any frame of the movie by itself, so that it does not matter in which
blocks a movie is read. What frames are used for is left to others.

The level is a median over parts of the field, each held against its own part of the usual frame, without the bright pixels of molecules.
Levels of a movie whose light is steady scatter by chance, in every part of the field for itself. Levels that rise and fall in all parts
together are those of light that all frames share, such as a background that bleaches or a lamp that flickers, and are then followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["JudgedFrames", "UsualFrame", "frames_in_words"]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FEWEST_FRAMES = 8
"""Of fewer frames no usual one is known; then only frames that hold a single value are unlike the rest."""
_MOST_FRAMES, _MOST_PIXELS = 120, 65_536  # that are looked at for the usual frame, and in a frame for its level
_PARTS = 4  # along each side of the field
_LEAST_PART = 6  # pixels along its side
_NEARLY_ALL = 0.9
_OFTEN, _MORE_OFTEN = 0.5, 0.15
"""Share of the pixels that may usually hold one value, and how much more of them do in a frame that is black, if only in part."""
_CLEAR = 6.0  # deviations of chance that a level must differ by
_SEEN = 0.1  # of the noise of a pixel: shared changes of the level below it do no harm
_CERTAIN = 5.0  # standard errors of the shared change
_SPREAD = 0.5  # of the range of the usual levels: as far beyond them a frame may still lie
_LEAST_GROUP = 0.2  # share of the frames that may be the usual ones
_UNEVEN = 0.15  # standard deviation, over the field, of how much a change of the level shows
_LOOSE = 0.3  # of a change of the level: as much a part may show more or less of it
_PATTERN_WIDTH = 3.0  # pixels
_LITTLE = 0.05  # share of the usual frames that hold less of the light that comes and goes than the usual one
_RECORDED = 0.25  # share of the pixels of a part that must vary for it to count
_TORN = 0.25  # share of the parts of a field that are too bright
_SPOT = 5.5  # deviations of smoothed noise that a spot rises by; chance alone reaches 4.5 in a field of 512 pixels
_WIDTH = 1.2  # pixels: usual width of a molecule, to smooth by
_MAD = 1.4826
_PLACES_SHOWN = 4


@dataclass(frozen=True, slots=True, eq=False)
class JudgedFrames:
    """Frames held against the usual one, an entry for each.

    Attributes
    ----------
    level : ndarray, shape (T,), float32
        How far its dark places lie above the usual ones, in the unit of the frames; 0 where that is chance.
    black : ndarray of bool, shape (T,)
        Frames in which far more pixels than usual hold one value, as where a camera or a driver delivered nothing.
    unlit : ndarray of bool, shape (T,)
        Other frames that are far darker than usual and show no spot, as with a closed shutter.
    brighter, darker : ndarray of bool, shape (T,)
        Frames that lie far above or below the usual ones and may hold molecules.
    torn : ndarray of bool, shape (T,)
        Frames of which some part lies far below or above its usual level and the others do not.
    """

    level: Array
    black: Mask
    unlit: Mask
    brighter: Mask
    darker: Mask
    torn: Mask

    def __len__(self) -> int:
        return len(self.level)

    @property
    def dark(self) -> Mask:
        """Frames without the light of molecules."""
        return self.black | self.unlit

    @property
    def alike(self) -> Mask:
        """Frames that statistics may be pooled over."""
        return ~(self.dark | self.brighter | self.darker | self.torn)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.integer]) -> JudgedFrames:
        """Some of them."""
        return JudgedFrames(*(getattr(self, name)[chosen] for name in _NAMES))

    @classmethod
    def joined(cls, parts: list[JudgedFrames]) -> JudgedFrames:
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES))

    def messages(self, first: int = 1) -> tuple[str, ...]:
        """What the user should know, with the number of the first frame."""
        said = []
        for found, what, searched in (
            (self.black, "with the same value in far more pixels than usual", False),
            (self.unlit, "as dark as with a closed shutter", False),
            (self.darker, "much darker than the rest", True),
            (self.brighter, "much brighter than the rest", True),
            (self.torn, "unlike the rest in a part of the field only", True),
        ):
            if found.any():
                numbers = np.flatnonzero(found) + first
                then = (
                    "Left out of all estimates"
                    if searched
                    else "Not searched for molecules, and left out of all estimates"
                )
                said.append(f"{then}: {len(numbers)} of {len(self)} frames, {what} ({frames_in_words(numbers)}).")
        return tuple(said)


_NAMES = ("level", "black", "unlit", "brighter", "darker", "torn")


@dataclass(frozen=True, slots=True, eq=False)
class UsualFrame:
    """What frames of a movie usually look like.

    Attributes
    ----------
    image : ndarray, shape (Y, X), float32
        Median of the usual frames, with as little as they hold of light that comes and goes; empty where there are too few to know.
    varying : ndarray of bool, shape (Y, X)
        Pixels that differ from frame to frame, as recorded ones do.
    pattern : ndarray, shape (Y, X), float32, or None
        How much a change of the level shows in each pixel, 1 on average; None where it shows everywhere alike.
    noise : float
        Of a pixel, standard deviation.
    low, high : float
        Levels of the usual frames.
    reach : float
        How far beyond them a frame must lie to be unlike the rest.
    uneven : float
        How far the level of a part of the field must lie from what it should be for the frame to be torn.
    one_value : float
        Usual share of the pixels of a frame that hold its commonest value, at least.
    varies : bool
        Whether the level is followed in every frame; else only in those that are unlike the rest.
    """

    image: Array
    varying: Mask
    pattern: Array | None
    noise: float
    low: float
    high: float
    reach: float
    uneven: float
    one_value: float
    varies: bool

    @classmethod
    def of(cls, frames: NDArray[np.generic]) -> UsualFrame:
        """Find it among frames, shape (T, Y, X), which may hold many that are unlike it."""
        shares = np.array([_one_value(frame) for frame in frames])
        varied = shares[shares < 1.0]
        one_value = float(np.quantile(varied, _LEAST_GROUP / 2)) if len(varied) else 1.0
        some = np.flatnonzero(~_black(shares, one_value))
        if len(some) < _FEWEST_FRAMES:
            return cls.unknown(one_value)
        some = some[np.unique(np.linspace(0, len(some) - 1, _MOST_FRAMES).astype(int))]
        stack = np.asarray(frames[some], np.float32)
        usual = np.ones(len(stack), bool)
        for _ in range(3):
            found = cls._among(stack, usual, one_value)
            again = found._main_group(stack)
            if (again == usual).all():
                break
            usual = again
        return found

    @classmethod
    def unknown(cls, one_value: float = 1.0) -> UsualFrame:
        """Of too few frames: only those that hold one value are unlike it."""
        return cls(
            np.empty((0, 0), np.float32),
            np.empty((0, 0), bool),
            None,
            0.0,
            0.0,
            0.0,
            math.inf,
            math.inf,
            one_value,
            False,
        )

    @classmethod
    def _among(cls, stack: Array, usual: Mask, one_value: float) -> UsualFrame:
        """The usual frame of those that are marked; the others may still tell where a change of the level shows."""
        image = np.asarray(np.median(stack[usual], axis=0), np.float32)
        varying = np.asarray(np.ptp(stack[usual], axis=0) > 0)
        varying = varying if varying.any() else np.ones_like(varying)
        every = _part_levels(stack, image, varying)
        parts = every[usual]
        apart = (np.abs((f - image)[varying] - at) for f, at in zip(stack[usual], parts.mean(axis=1), strict=True))
        noise = _MAD * float(np.median([np.median(one) for one in apart]))
        shared = _shared_variance(parts)
        varies = shared[0] > _CERTAIN * shared[1] and math.sqrt(max(shared[0], 0.0)) > _SEEN * noise
        shape = _shape(every, noise)
        level = _common(parts, shape)
        own = _MAD * float(np.median(np.abs(parts - level[:, None] * shape)))  # of a part, by chance
        low, high = float(level.min()), float(level.max())
        reach = max(noise, _CLEAR * _chance(own, parts.shape[1]), _SPREAD * (high - low))
        pattern = None if (shape == 1).all() else _pattern(stack, image, _common(every, shape), noise)
        if varies:  # the usual frame is one with little of what comes and goes
            base = float(np.quantile(level, _LITTLE))
            image = np.asarray(image + base * (1.0 if pattern is None else pattern), np.float32)
            low, high = low - base, high - base
        return cls(
            image, varying, pattern, noise, low, high, reach, max(2 * noise, 1.5 * _CLEAR * own), one_value, varies
        )

    def _main_group(self, stack: Array) -> Mask:
        """The largest group of frames whose levels lie close together; of large ones that in which most frames show spots."""
        level, torn, own = self._leveled(stack)
        order = np.argsort(level)
        gap = max(self.noise, _CLEAR * _chance(own, _PARTS**2))
        label = np.empty(len(level), int)
        label[order] = np.concatenate([[0], np.cumsum(np.diff(level[order]) > gap)])
        sizes = np.bincount(label, ~torn)
        large = np.flatnonzero(sizes >= max(_LEAST_GROUP * len(level), min(_FEWEST_FRAMES, sizes.max())))
        if not len(large):
            return np.ones(len(level), bool)
        if len(large) > 1:
            spots = np.array([self._spotted(stack[label == k], level[label == k]).mean() for k in large])
            large = large[spots >= 0.5 * spots.max()]
        main = large[np.argmax(sizes[large])]
        return np.asarray((label == main) & ~torn)

    def _leveled(self, frames: Array) -> tuple[Floats, Mask, float]:
        """Levels of frames, which of them are torn, and the scatter of a part about its level."""
        parts = _part_levels(frames, self.image, self.varying)
        shape = np.ones(parts.shape[1]) if self.pattern is None else _means_of_parts(self.pattern, self.varying)
        level = _common(parts, shape)
        away = parts - level[:, None] * shape
        allowed = self.uneven + _LOOSE * np.abs(level[:, None]) * shape
        above = (away > allowed).mean(axis=1) >= _TORN  # a few parts may be bright with molecules
        return level, np.asarray(above | (away < -allowed).any(axis=1)), _MAD * float(np.median(np.abs(away)))

    def _spotted(self, frames: Array, level: NDArray[np.floating]) -> Mask:
        """Whether a spot stands out in each of some frames."""
        found = np.zeros(len(frames), bool)
        for at, frame in enumerate(frames):
            smooth = ndimage.gaussian_filter(frame - self.image - self._spread(level[at : at + 1])[0], _WIDTH)
            smooth = smooth - np.median(smooth)
            scatter = _MAD * float(np.median(np.abs(smooth)))
            found[at] = float(smooth.max()) > _SPOT * max(scatter, 1e-12)
        return found

    def _spread(self, level: NDArray[np.floating]) -> Array:
        """Levels as they show over the field, shape (T, Y, X), or (T, 1, 1) where they show everywhere alike."""
        at = np.asarray(level, np.float32)[:, None, None]
        return at if self.pattern is None else at * self.pattern

    def judged(self, frames: NDArray[np.floating]) -> JudgedFrames:
        """Hold frames, shape (T, Y, X), against the usual one; each is judged by itself."""
        number = len(frames)
        shares = np.array([_one_value(frame) for frame in frames])
        black = _black(shares, self.one_value)
        if not self.image.size:
            return JudgedFrames(np.zeros(number, np.float32), black, *(np.zeros(number, bool) for _ in range(4)))
        seen = np.asarray(frames, np.float32)
        level, torn, _ = self._leveled(seen)
        torn &= ~black
        below, above = level < self.low - self.reach, level > self.high + self.reach
        unlit = below & ~black & ~torn
        unlit[unlit] = ~self._spotted(seen[unlit], level[unlit])
        darker, brighter = below & ~black & ~torn & ~unlit, above & ~black & ~torn
        kept = level if self.varies else np.where(below | above, level, 0.0)
        return JudgedFrames(np.asarray(kept, np.float32), black, unlit, brighter, darker, torn)

    def over_field(self, judged: JudgedFrames) -> Array:
        """What to take off judged frames so that they are as usual, shape (T, Y, X) or (T, 1, 1)."""
        return self._spread(judged.level)

    def scaled(self, offset: float, gain: float) -> UsualFrame:
        """The same for frames of which ``offset`` was taken off and which were divided by ``gain``."""
        return replace(
            self,
            image=np.asarray((self.image - offset) / gain, np.float32),
            **{name: getattr(self, name) / gain for name in ("noise", "low", "high", "reach", "uneven")},
        )


def frames_in_words(numbers: NDArray[np.integer]) -> str:
    """Numbers of frames, as one would say them.

    Examples
    --------
    >>> frames_in_words(np.arange(361, 401)), frames_in_words(np.array([3])), frames_in_words(np.arange(1, 400, 4))
    ('frames 361 to 400', 'frame 3', 'every 4th frame from 1 to 397')
    """
    steps = np.diff(numbers)
    if len(numbers) > 3 and (steps == steps[0]).all() and steps[0] > 1:
        return f"every {_ordinal(int(steps[0]))} frame from {numbers[0]} to {numbers[-1]}"
    if len(numbers) == 1:
        return f"frame {numbers[0]}"
    runs = np.split(numbers, np.flatnonzero(steps != 1) + 1)
    said = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    if len(said) > _PLACES_SHOWN:
        return f"frames {', '.join(said[: _PLACES_SHOWN - 1])} and others up to {numbers[-1]}"
    return f"frames {' and '.join(filter(None, [', '.join(said[:-1]), said[-1]]))}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _black(shares: Floats, usual: float) -> Mask:
    """Frames in which so many pixels hold one value that they were not recorded, where it is usual for this share of them."""
    return np.asarray((shares >= 1.0) | ((shares > usual + _MORE_OFTEN) & (usual < _OFTEN)))


def _one_value(frame: NDArray[np.generic]) -> float:
    """Share of the pixels of a frame that hold its lowest or its highest value, or where nearly all do, its median."""
    values = np.asarray(frame).ravel()
    step = max(1, len(values) // _MOST_PIXELS)
    some = values[::step] if step > 1 else values
    low, high = values.min(), values.max()
    if low == high:
        return 1.0
    most = max(float(np.mean(some == low)), float(np.mean(some == high)))
    middle = float(np.mean(some == np.partition(some, len(some) // 2)[len(some) // 2]))
    return min(max(most, middle if middle > _NEARLY_ALL else 0.0), 1.0 - 1.0 / len(values))


def _part_levels(frames: Array, image: Array, varying: Mask) -> Floats:
    """Level of each part of the field in each frame, above the usual frame, shape (T, parts)."""
    apart = frames - image
    step = max(1, math.ceil(math.sqrt(image.size / _MOST_PIXELS)))
    levels = []
    for y, x in _parts_of(varying):
        cut = (slice(y.start, y.stop, step), slice(x.start, x.stop, step))
        levels.append(_background(apart[(slice(None), *cut)][:, varying[cut]]))
    return np.stack(levels, axis=1)


def _parts_of(varying: Mask) -> list[tuple[slice, slice]]:
    """Rows and columns of the parts of a field in which something was recorded."""
    cuts = [np.linspace(0, side, max(1, min(_PARTS, side // _LEAST_PART)) + 1).astype(int) for side in varying.shape]
    rows, columns = ([slice(int(a), int(b)) for a, b in zip(cut[:-1], cut[1:], strict=True)] for cut in cuts)
    every = [(y, x) for y in rows for x in columns]
    return [part for part in every if varying[part].mean() > _RECORDED] or [
        (slice(0, varying.shape[0]), slice(0, varying.shape[1]))
    ]


def _means_of_parts(image: Array, varying: Mask) -> Floats:
    return np.array([float(image[part].mean()) for part in _parts_of(varying)])


def _background(values: Array) -> Floats:
    """Middle of rows of values, of which some lie far above."""
    ranked = np.sort(values, axis=1)
    rows, count = np.arange(len(ranked)), np.full(len(ranked), ranked.shape[1])
    for _ in range(3):
        low, middle = (ranked[rows, (share * (count - 1)).astype(int)] for share in (0.1587, 0.5))
        count = np.maximum((ranked <= (middle + 1.5 * (middle - low))[:, None]).sum(axis=1), 1)
    return np.asarray(middle, np.float64)


def _chance(own: float, parts: int) -> float:
    """Scatter of the level of a frame, from that of a part."""
    return 1.25 * own / math.sqrt(parts)


def _common(parts: Floats, shape: Floats) -> Floats:
    """Level of each frame: the weighted median of what its parts say, those in which changes show most counting most."""
    if (shape == 1).all():
        return np.asarray(np.median(parts, axis=1))
    seen = shape > 0.1 * shape.max()
    ratio, weight = parts[:, seen] / shape[seen], shape[seen]
    order = np.argsort(ratio, axis=1)
    total = np.cumsum(weight[order], axis=1)
    at = (total >= 0.5 * total[:, -1:]).argmax(axis=1)
    return np.asarray(np.take_along_axis(ratio, np.take_along_axis(order, at[:, None], 1), 1)[:, 0])


def _shape(parts: Floats, noise: float) -> Floats:
    """How much a change of the level shows in each part, 1 on average; 1 everywhere where that is not known better."""
    even = np.ones(parts.shape[1])
    away = parts - np.median(parts, axis=0)
    shape, trust = even, np.ones(len(parts))
    for _ in range(8):
        level = away @ shape / float(shape @ shape)
        power = float(np.sum(trust * level**2))
        if power <= 0:
            return even
        shape = np.maximum((trust * level) @ away / power, 0.0)
        if not shape.any():
            return even
        shape = shape / shape.mean()
        left = np.sqrt(np.mean((away - level[:, None] * shape) ** 2, axis=1))
        trust = 1.0 / (1.0 + (left / max(noise, 1e-12)) ** 2)
    error = _MAD * float(np.median(np.abs(away - level[:, None] * shape))) / math.sqrt(power)
    return shape if shape.std() > max(_UNEVEN, 4 * error) else even


def _pattern(stack: Array, image: Array, level: Floats, noise: float) -> Array:
    """How much a change of the level shows in each pixel, from how pixels follow it, spots left out."""
    changes = (level - np.median(level)).astype(np.float32)
    apart = stack - image
    shown = np.ones(image.shape, np.float32)
    for _ in range(3):
        expected = changes[:, None, None] * shown
        clear = apart - expected < 3 * noise + _LOOSE * np.abs(expected)
        weight = np.where(clear, np.abs(changes)[:, None, None], 0.0)
        follows, total = (
            ndimage.gaussian_filter(np.einsum("tyx,t->yx", part, turned), _PATTERN_WIDTH, mode="nearest")
            for part, turned in ((weight * apart, np.sign(changes)), (weight, np.abs(changes)))
        )
        shown = np.asarray(np.maximum(follows / np.maximum(total, 1e-12), 0.0), np.float32)
    return shown


def _shared_variance(parts: Floats) -> tuple[float, float]:
    """Variance over time that the levels of distant parts share, and its standard error where they share none."""
    away = parts - parts.mean(axis=0)
    number, count = away.shape
    side = math.isqrt(count)
    place = np.stack(np.divmod(np.arange(count), max(side, 1)), axis=1)
    distant = 1 if side * side == count and side > 2 else 0
    pairs = [(i, j) for i in range(count) for j in range(i) if np.abs(place[i] - place[j]).max() > distant]
    if not pairs:
        return 0.0, math.inf
    products = [float(np.mean(away[:, i] * away[:, j])) for i, j in pairs]
    own = float(np.median(np.mean(away**2, axis=0)))
    return float(np.mean(products)), own / math.sqrt(len(products) * number)
