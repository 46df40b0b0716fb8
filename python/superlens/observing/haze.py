"""Out-of-focus light: a smooth part of a recorded image that no sharp structure in the focal plane explains.

In a wide-field microscope most of the light may come from above and below the focus. It is smooth, much wider than any block that a
network sees, and no deconvolution of one plane can put it back into its structures. So it is found once for the whole image, on a grid
of cells half as wide as the PSF, and the model of the recorded image becomes ``blur(sharp) + haze + noise``. What distinguishes haze from structures in focus is
how much fine contrast a region has for its light.

In: a plane in counts above the offset, the standard deviation of its noise, and the width of the PSF. Out: what each cell shows
(`cells_of`, `channels_of`), and a `Haze` from the share of each cell's light that was found to be haze.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "HAZE_CHANNELS",
    "Cells",
    "Haze",
    "cell_side",
    "cells_of",
    "cells_within",
    "channels_of",
    "haze_reach",
    "noise_of_pixels",
]

Array = NDArray[np.float32]

HAZE_CHANNELS = 11
"""Channels that `channels_of` gives."""

_WIDTHS = (0.7, 1.4, 2.8)  # of the Gaussians that bands of detail lie between, in standard deviations of the PSF
_LIMIT = 3.0  # of a channel
_CELLS = 2  # along the width of the PSF
_LEAST_SIDE = 2  # of a cell, camera pixels
_SMOOTH = 0.7  # of the haze, cells
_OPENED = 4.0  # times as much variance as smoothing alone leaves of noise: about twice after an opening, and it is an estimate from few places
_UNDER, _SMOOTH_UNDER = 5, 6.0  # of the haze that is sure: cells that it spans at least, and its smoothness


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What the cells of a plane show, each in counts.

    Attributes
    ----------
    light : ndarray, shape (y, x), float32
        Mean.
    deepest : ndarray, shape (y, x), float32
        Least of the image smoothed by half of the PSF.
    lowest, highest : ndarray, shape (y, x), float32
        Of the image smoothed by the PSF.
    fine, coarse : ndarray, shape (y, x), float32
        Root mean square of detail as wide as the PSF and twice as wide, less that of the noise; negative where noise explains more.
    noise : ndarray, shape (y, x), float32
        Root mean square of the noise in the finer band.
    """

    light: Array
    deepest: Array
    lowest: Array
    highest: Array
    fine: Array
    coarse: Array
    noise: Array


def cell_side(fwhm_px: float) -> int:
    """Camera pixels along a cell for a PSF of such a width."""
    return max(_LEAST_SIDE, round(fwhm_px / _CELLS))


def haze_reach(fwhm_px: float) -> int:
    """Camera pixels around a cell that it depends on, a multiple of its side."""
    side = cell_side(fwhm_px)
    reach = int(4 * _WIDTHS[-1] * _deviation(fwhm_px) + 0.5)
    return -(-reach // side) * side


def cells_of(counts: Array, sigma: Array, fwhm_px: float) -> Cells:
    """What the cells of a plane show.

    Parameters
    ----------
    counts, sigma : ndarray, shape (Y, X), float32, counts above the offset
        And the standard deviation of their noise.
    fwhm_px : float
        Of the PSF, camera pixels.

    Returns
    -------
    Cells
        Of ``ceil(Y / side)`` by ``ceil(X / side)`` cells; the image is mirrored beyond its edges.
    """
    side, reach = cell_side(fwhm_px), haze_reach(fwhm_px)
    frame = [(reach, reach + -n % side) for n in counts.shape]
    image, noise = (np.pad(np.asarray(a, np.float32), frame, mode="symmetric") for a in (counts, sigma))
    return cells_within(image, noise, fwhm_px)


def cells_within(counts: Array, sigma: Array, fwhm_px: float) -> Cells:
    """As `cells_of`, of the inner part of a block that is framed by `haze_reach` pixels; its sides are multiples of that of a cell."""
    side, around = cell_side(fwhm_px), haze_reach(fwhm_px) // cell_side(fwhm_px)
    image, inner = counts, (slice(around, -around),) * 2
    variance = _blocks(np.square(sigma), side).mean((1, 3))
    widths = [_deviation(fwhm_px) * w for w in _WIDTHS]
    smooth = [ndimage.gaussian_filter(image, w, mode="reflect") for w in widths]
    passed = [_passed(*pair) * variance for pair in zip(widths, widths[1:], strict=False)]
    bands = [_blocks((a - b) ** 2, side).mean((1, 3)) for a, b in zip(smooth, smooth[1:], strict=False)]
    fine, coarse = (_signed_root(band - noise) for band, noise in zip(bands, passed, strict=True))
    narrow, usual = (_blocks(one, side) for one in smooth[:2])
    maps = (
        narrow.mean((1, 3)),
        narrow.min((1, 3)),
        usual.min((1, 3)),
        usual.max((1, 3)),
        fine,
        coarse,
        np.sqrt(passed[0]),
    )
    return Cells(*(one[inner].astype(np.float32) for one in maps))


def channels_of(cells: Cells, fwhm_px: float) -> Array:
    """The cells of a whole plane as a network takes them.

    Returns
    -------
    ndarray, shape (y, x, HAZE_CHANNELS), float32
        Relative to the light of the brightest cells: the seven maps of `Cells`, lower envelopes over five and thirteen cells; the width of
        the PSF and that of a cell, the same everywhere.
    """
    bright = max(float(np.percentile(cells.highest, 99)), 1e-9)
    maps = (cells.light, cells.deepest, cells.lowest, cells.highest, cells.fine, cells.coarse, cells.noise)
    envelopes = (
        ndimage.gaussian_filter(ndimage.minimum_filter(cells.lowest, n, mode="nearest"), n / 2, mode="nearest")
        for n in (5, 13)
    )
    out = np.empty((*cells.light.shape, HAZE_CHANNELS), np.float32)
    for i, values in enumerate((*maps, *envelopes)):
        out[..., i] = np.clip(values / bright, -_LIMIT, _LIMIT)
    out[..., -2] = 0.5 * np.log2(fwhm_px / 3.5)
    out[..., -1] = np.log2(_CELLS * cell_side(fwhm_px) / fwhm_px)
    return out


def noise_of_pixels(cells: Cells, fwhm_px: float) -> float:
    """Root mean square of the noise of a camera pixel, counts, from that in the finer band."""
    passed = _passed(*(_deviation(fwhm_px) * width for width in _WIDTHS[:2]))
    return math.sqrt(float(np.mean(np.square(cells.noise), dtype=np.float64)) / passed)


@dataclass(frozen=True, slots=True, eq=False)
class Haze:
    """Smooth light on cells, and what it is at any pixel.

    Attributes
    ----------
    grid : ndarray, shape (N, y, x), float32, counts in a camera pixel
        At the centres of the cells of each plane.
    side : int
        Camera pixels along a cell.
    """

    grid: Array
    side: int

    @classmethod
    def of(cls, shares: NDArray[np.floating], light: Array, side: int, *, under: bool = False) -> Haze:
        """From the share of the light of each cell, both of shape (N, y, x).

        ``under`` leaves out what is narrower than two and a half widths of the PSF, and what varies within three: structures, and the noise of the
        cells.
        """
        haze, smooth = np.clip(shares, 0, 1) * np.maximum(light, 0), _SMOOTH
        if under:
            haze, smooth = ndimage.grey_opening(haze, (1, _UNDER, _UNDER), mode="nearest"), _SMOOTH_UNDER
        return cls(np.asarray(ndimage.gaussian_filter(haze, (0, smooth, smooth), mode="nearest"), np.float32), side)

    def steadied(self, sigma: NDArray[np.floating]) -> Haze:
        """What is sure (``under``), evened out as far as noise explains that it varies.

        What a plane varies about its mean is multiplied by the part of its variance that noise of ``sigma``, shape (N,), counts in a camera
        pixel, does not explain (James and Stein 1961).
        """
        explained = _OPENED * (sigma / self.side) ** 2 / (4 * math.pi * _SMOOTH_UNDER**2)
        mean, variance = (part(self.grid, axis=(1, 2), keepdims=True, dtype=np.float64) for part in (np.mean, np.var))
        kept = np.maximum(1 - explained[:, None, None] / np.maximum(variance, 1e-30), 0)
        return Haze(np.asarray(mean + kept * (self.grid - mean), np.float32), self.side)

    def at(self, plane: int, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> Array:
        """The haze at rows and columns of a plane, interpolated linearly, shape ``(len(rows), len(columns))``, counts."""
        cells = self.grid[plane]
        (top, down), (left, right) = (
            _between((at + 0.5) / self.side - 0.5, n) for at, n in zip((rows, columns), cells.shape, strict=True)
        )
        row, column = (one[1][:, None] if i == 0 else one[1] for i, one in enumerate((down, right)))
        upper = cells[np.ix_(top, left)] * (1 - column) + cells[np.ix_(top, right[0])] * column
        lower = cells[np.ix_(down[0], left)] * (1 - column) + cells[np.ix_(down[0], right[0])] * column
        return np.asarray(upper * (1 - row) + lower * row, np.float32)

    def planes(self, shape: tuple[int, int]) -> Array:
        """The haze at every pixel of every plane, shape ``(N, *shape)``, counts."""
        rows, columns = (np.arange(n) for n in shape)
        return np.stack([self.at(i, rows, columns) for i in range(len(self.grid))])


def _between(at: NDArray[np.floating], number: int) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], Array]]:
    """The cell before each place, and the one after it with its weight."""
    at = np.clip(at, 0, number - 1)
    before = np.minimum(np.floor(at).astype(np.int64), max(number - 2, 0))
    return before, (np.minimum(before + 1, number - 1), (at - before).astype(np.float32))


def _deviation(fwhm_px: float) -> float:
    return fwhm_px / math.sqrt(8 * math.log(2))


def _blocks(image: NDArray[np.floating], side: int) -> NDArray[np.floating]:
    return image.reshape(image.shape[0] // side, side, image.shape[1] // side, side)


def _passed(narrow: float, wide: float) -> float:
    """Share of the variance of white noise that lies between two Gaussians."""
    reach = math.ceil(4 * wide)
    at = np.arange(-reach, reach + 1)
    one, other = (np.exp(-0.5 * (at / w) ** 2) for w in (narrow, wide))
    one, other = one / one.sum(), other / other.sum()
    return float(np.sum((np.multiply.outer(one, one) - np.multiply.outer(other, other)) ** 2))


def _signed_root(power: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.sign(power) * np.sqrt(np.abs(power)))
