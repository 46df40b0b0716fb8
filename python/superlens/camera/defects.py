"""What is wrong with an image that no camera model explains, by its usual names: a padded border, hot pixels, lines that a scan has shifted.

In: planes in counts. Out: sentences that say what to do and why, the gravest first; empty for an image as a camera or a scan delivers it.
An image with one of these faults fails checks that are meant for other things, and a verdict without its cause helps nobody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.camera.hot import standing_alone
from superlens.camera.sensor import Camera
from superlens.camera.transfer import estimate_camera

__all__ = ["find_border", "find_defects", "find_line_shift"]

Array = NDArray[np.float64]

_MOST_PLANES, _LARGEST_SIDE = 4, 1024
_SOLID = 7  # pixels: a square of them that all hold one value is no chance
_LEAST_BORDER, _MOST_ELSEWHERE = 0.004, 0.05  # shares of the pixels
_OUTSTANDING, _MOST_ALONE = 8.0, 0.003
"""Deviations by which a pixel stands alone, and the share of such pixels that is worth a word; images of points have a tenth of it."""
_LONE = 2.5  # factor between the noise with and without pixels that stand alone; of noise itself it is 1.3
_LARGEST_SHIFT = 8  # pixels
_LEAST_SHIFT = 0.4
_BETTER = 0.02  # of the variance of the lines: as much more they must agree once they are shifted back
_CERTAIN = 6.0  # standard errors
_SMOOTH = 1.0  # pixels along a line
_BRIGHTER = 0.02  # of the range of the image, between even and odd lines


def find_defects(planes: NDArray[np.floating], camera: Camera, *, whole: bool = True) -> tuple[str, ...]:
    """Look for the commonest faults of images that were not recorded as they are.

    Parameters
    ----------
    planes : ndarray, shape (N, Y, X), finite, counts
        Up to four of them are looked at, and 1024 x 1024 pixels of each.
    camera : Camera
    whole : bool
        Whether the planes are whole; windows from their middle have no border to look for.

    Returns
    -------
    tuple of str
    """
    some = np.unique(np.linspace(0, len(planes) - 1, min(len(planes), _MOST_PLANES)).round().astype(int))
    chosen = np.asarray(planes[some], np.float64)
    border = find_border(chosen[0]) if whole else None
    said = [] if border is None else [border.sentence()]
    inner = chosen if border is None else chosen[(slice(None), *border.inside)]
    if min(inner.shape[1:]) < 16:
        return tuple(said)
    inner = inner[:, :_LARGEST_SIDE, :_LARGEST_SIDE]
    quiet = _without_lone(inner, camera)
    alone = np.stack([standing_alone(plane - quiet.offset, quiet, _OUTSTANDING) for plane in inner])
    if alone.mean() > _MOST_ALONE:
        said.append(
            f"Use a recording without hot pixels, or take their map off: {100 * alone.mean():.2g} % of the pixels stand alone far above or below "
            "their neighbours, as no light through a microscope does. They are too many to be filled."
        )
        inner = np.stack([_filled(plane, where) for plane, where in zip(inner, alone, strict=True)])
    shift = find_line_shift(inner)
    if shift is not None:
        said.append(shift.sentence)
    else:
        said.extend(_uneven_lines(inner))
    return tuple(said)


def _without_lone(planes: Array, camera: Camera) -> Camera:
    """The camera, or where lone pixels pass for noise, that of the planes without them."""
    footprint = np.ones((1, 3, 3), bool)
    footprint[0, 1, 1] = False
    low, high = (
        f(planes, footprint=footprint, mode="mirror") for f in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    found = estimate_camera(np.clip(planes, low, high)).camera
    level = float(np.median(planes))
    noise, other = (float(np.sqrt(one.variance(level - one.offset))) for one in (camera, found))
    return found if 0 < _LONE * other < noise else camera


@dataclass(frozen=True, slots=True)
class Border:
    """Pixels at the edge of a plane that were not recorded.

    Attributes
    ----------
    share : float
        Of all pixels.
    inside : tuple of slice
        Rows and columns of the largest part without it, as far as it is one.
    how : str
        How it was filled, in words.
    """

    share: float
    inside: tuple[slice, slice]
    how: str

    def sentence(self, what: str = "image") -> str:
        """What to do, and why."""
        return f"Crop the {what}: it has a border of {self.how} ({100 * self.share:.2g} % of its pixels), which was added and not recorded."


def find_border(plane: NDArray[np.floating]) -> Border | None:
    """Look for a border of identical, repeated or mirrored pixels, as padding, registration and rotation leave it.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)

    Returns
    -------
    Border or None

    Examples
    --------
    >>> plane = np.random.default_rng(0).poisson(50, (40, 40))
    >>> find_border(plane) is None, find_border(np.pad(plane, ((5, 0), (0, 0)))).how
    (True, 'identical pixels')
    """
    values = np.asarray(plane)
    if np.ptp(values) == 0:
        return None
    copied = {how: _copied(values, how) for how in ("repeated pixels", "mirrored pixels")}
    identical = _identical(values)
    if identical is not None:
        return identical
    for how, (top, bottom, left, right) in copied.items():
        if max(top, bottom, left, right):
            inside = slice(top, values.shape[0] - bottom), slice(left, values.shape[1] - right)
            share = 1 - float(values[inside].size / values.size)
            return Border(share, inside, how)
    return None


def _identical(values: NDArray[np.floating]) -> Border | None:
    """A border of one value, of any outline."""
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    found, counts = np.unique(edge, return_counts=True)
    value = found[np.argmax(counts)]
    same = values == value
    solid = ndimage.binary_opening(np.pad(same, _SOLID, mode="edge"), np.ones((_SOLID, _SOLID)))
    solid = solid[_SOLID:-_SOLID, _SOLID:-_SOLID] & same
    labels, _ = ndimage.label(solid)
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    border = np.isin(labels, touching[touching > 0])
    thin = [_constant_lines(same, side) for side in range(4)]
    for side, width in enumerate(thin):
        np.rot90(border, side)[:width] = True
    elsewhere = float(same[~border].mean()) if not border.all() else 1.0
    if border.mean() < _LEAST_BORDER or elsewhere > _MOST_ELSEWHERE:
        return None
    rows, columns = (np.flatnonzero((~border).mean(axis=axis) > 0.5) for axis in (1, 0))
    if not len(rows) or not len(columns):
        rows, columns = (np.flatnonzero((~border).any(axis=axis)) for axis in (1, 0))
    inside = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return Border(float(border.mean()), inside, "identical pixels")


def _constant_lines(same: NDArray[np.bool_], side: int) -> int:
    """Lines from an edge that hold the value throughout."""
    whole = np.rot90(same, side).all(axis=1)
    return int(whole.size) if whole.all() else int(np.argmin(whole))


def _copied(values: NDArray[np.floating], how: str) -> tuple[int, int, int, int]:
    """Lines at the top, bottom, left and right that repeat the next one, or mirror those within."""
    width = _repeated if how == "repeated pixels" else _mirrored
    top, left, bottom, right = (width(np.rot90(values, -turn)) for turn in range(4))
    return top, bottom, left, right


def _repeated(values: NDArray[np.floating]) -> int:
    """Lines from the top that equal the next one."""
    same = (values[:-1] == values[1:]).all(axis=1) & (np.ptp(values[:-1], axis=1) > 0)
    return int(np.argmin(same)) if same[0] and not same.all() else 0


def _mirrored(values: NDArray[np.floating]) -> int:
    """Lines from the top that are those below the first recorded one, or that one as well, in reverse order."""
    for width in range(2, len(values) // 3):
        for repeats_edge in (0, 1):
            inner = values[width + 1 - repeats_edge : 2 * width + 1 - repeats_edge]
            if len(inner) == width and (values[:width] == inner[::-1]).all() and np.ptp(values[:width]) > 0:
                return width
    return 0


@dataclass(frozen=True, slots=True)
class LineShift:
    """Every second line lies beside its place.

    Attributes
    ----------
    pixels : float
        By how much.
    along : {"x", "y"}
        Direction of the lines.
    """

    pixels: float
    along: str

    @property
    def sentence(self) -> str:
        """What to do, and why."""
        lines = "lines" if self.along == "x" else "columns"
        pixels = abs(self.pixels)
        about = f"{pixels:.1f}" if pixels < 1.5 else f"{pixels:.0f}"
        return (
            f"Correct the scan, or use every second one of the {lines}: alternate {lines} are shifted by about {about} pixels, as a "
            "bidirectional scan does whose phase is off."
        )


def find_line_shift(planes: NDArray[np.floating]) -> LineShift | None:
    """Look for even and odd lines that lie beside each other.

    Each line is held against the mean of its two neighbours, which even a slanted structure passes in the middle.

    Parameters
    ----------
    planes : ndarray, shape (N, Y, X)

    Returns
    -------
    LineShift or None
    """
    for along, stack in (("x", planes), ("y", np.swapaxes(planes, 1, 2))):
        pixels = _line_shift(np.asarray(stack, np.float64))
        if pixels:
            return LineShift(pixels, along)
    return None


def _line_shift(planes: Array) -> float:
    """Shift of odd lines against even ones that makes them agree best; 0 where that is the place where they are."""
    if planes.shape[2] < 4 * _LARGEST_SHIFT or planes.shape[1] < 16:
        return 0.0
    smooth = ndimage.gaussian_filter1d(planes, _SMOOTH, axis=2)
    smooth = smooth - ndimage.gaussian_filter(planes, (0, 6.0, 6.0))
    odd = smooth[:, 1:-1:2]
    beside = 0.5 * (smooth[:, : 2 * odd.shape[1] : 2] + smooth[:, 2 : 2 * odd.shape[1] + 1 : 2])
    reach, lags = _LARGEST_SHIFT, np.arange(-_LARGEST_SHIFT, _LARGEST_SHIFT + 1)
    middle = beside[:, :, reach:-reach]
    size = middle.shape[2]
    lines = np.stack([(odd[:, :, reach + lag : reach + lag + size] * middle).mean(axis=2).ravel() for lag in lags])
    agreement = lines.mean(axis=1)
    best = int(np.argmax(agreement))
    if not 0 < best < len(lags) - 1 or lags[best] == 0 and agreement[best] <= 0:
        return 0.0
    low, top, high = agreement[best - 1 : best + 2]
    shift = float(lags[best] + 0.5 * (low - high) / min(low - 2 * top + high, -1e-300))
    gain = (
        lines[best] - lines[reach - (best - reach)]
    )  # against the same shift to the other side, which noise and structure share
    error = float(gain.std() / math.sqrt(gain.size))
    power = float(np.mean(middle**2))
    certain = gain.mean() > max(_CERTAIN * error, _BETTER * power)
    if abs(shift) < _LEAST_SHIFT:
        return 0.0
    if best == reach:  # a shift of less than a pixel shows in the neighbours of the peak
        gain = lines[best + 1] - lines[best - 1]
        certain = abs(gain.mean()) > max(_CERTAIN * gain.std() / math.sqrt(gain.size), _BETTER * power)
    return shift if certain else 0.0


def _uneven_lines(planes: Array) -> list[str]:
    """Whether even lines are brighter than odd ones."""
    said = []
    for lines, stack in (("lines", planes), ("columns", np.swapaxes(planes, 1, 2))):
        means = stack.mean(axis=2)
        apart = means[:, 1:-1:2] - 0.5 * (means[:, :-2:2] + means[:, 2::2])[:, : means[:, 1:-1:2].shape[1]]
        error = float(apart.std() / math.sqrt(apart.size))
        low, high = np.percentile(planes, (1.0, 99.7))
        if abs(apart.mean()) > max(_CERTAIN * error, _BRIGHTER * (high - low)):
            said.append(
                f"Level the {lines} first, or use every second one: alternate {lines} differ in brightness by {abs(apart.mean()):.2g} counts, as of two "
                "amplifiers or of an interlaced camera."
            )
    return said


def _filled(plane: Array, where: NDArray[np.bool_]) -> Array:
    return np.where(where, ndimage.median_filter(plane, 3), plane)
