"""Between a list of molecules and a density on a fine grid: labels to learn from, and peaks to read back.

The fine grid divides each camera pixel into ``upsampling`` parts along each side. A molecule at x lies in the fine pixel of index
``floor(x / fine_nm)``, and the middle of the fine pixel of index i lies at ``(i + 0.5) * fine_nm``; there is no half-pixel shift
between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from superlens.errors import SuperlensError

__all__ = ["Peaks", "find_peaks", "histogram", "maxima", "spikes"]

Array = NDArray[np.float32]
Ints = NDArray[np.int64]

_NOTHING = 1e-3
"""Share of a maximum that empty neighbours count as."""

_LEAST = float(np.finfo(np.float32).tiny)
"""What counts as more than nothing."""

_WIDEST = 20.0
"""Pixels: standard deviation at which the top of a peak counts as flat."""


def histogram(
    positions_nm: ArrayLike, yx_shape: tuple[int, int], bin_nm: float, *, weights: ArrayLike | None = None
) -> Array:
    """Count molecules in square bins.

    Parameters
    ----------
    positions_nm : array_like, shape (N, 2)
        Columns x and y, nm from the outer corner of the first bin.
    yx_shape : tuple of int
        Rows and columns of bins. Molecules outside are left out.
    bin_nm : float
    weights : array_like, shape (N,), optional
        What a molecule counts; 1 by default.

    Returns
    -------
    ndarray, shape (Y, X), float32

    Raises
    ------
    SuperlensError
        If the positions don't have two columns, or the bins no size.

    Examples
    --------
    >>> histogram([[0.0, 0.0], [19.9, 10.0]], (2, 2), 10.0)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    places = np.asarray(positions_nm, np.float64).reshape(-1, 2) if np.size(positions_nm) else np.empty((0, 2))
    if np.ndim(positions_nm) == 2 and np.shape(positions_nm)[1] != 2:
        raise SuperlensError(f"positions_nm has the shape {np.shape(positions_nm)}; expected (N, 2), columns x and y")
    if not bin_nm > 0:
        raise SuperlensError(f"bin_nm is {bin_nm}; expected more than 0")
    column, row = np.floor(places / bin_nm).astype(np.int64).T
    inside = (row >= 0) & (row < yx_shape[0]) & (column >= 0) & (column < yx_shape[1])
    index = row[inside] * yx_shape[1] + column[inside]
    counted = None if weights is None else np.asarray(weights, np.float64)[inside]
    found = np.bincount(index, counted, minlength=yx_shape[0] * yx_shape[1])
    return np.asarray(found.reshape(yx_shape), np.float32)


def spikes(positions_nm: ArrayLike, yx_shape: tuple[int, int], pixel_nm: float, upsampling: int) -> Array:
    """The density of molecules that a network should give: their number in each fine pixel.

    Parameters
    ----------
    positions_nm : array_like, shape (N, 2)
        Columns x and y, nm from the outer corner of the first camera pixel.
    yx_shape : tuple of int
        Camera pixels.
    pixel_nm : float
        Side of a camera pixel.
    upsampling : int
        Fine pixels along a camera pixel.

    Returns
    -------
    ndarray, shape (upsampling * Y, upsampling * X), float32
    """
    fine = (upsampling * yx_shape[0], upsampling * yx_shape[1])
    return histogram(positions_nm, fine, pixel_nm / upsampling)


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Maxima of a density, one entry each.

    Attributes
    ----------
    positions_nm : ndarray, shape (N, 2)
        Columns x and y, nm from the outer corner of the first pixel.
    height : ndarray, shape (N,), float32
        Density of the largest pixel.
    mass : ndarray, shape (N,), float32
        Sum of the density over the square.
    width_nm : ndarray, shape (N,)
        Standard deviation of the Gaussian of the same curvature at the top, the geometric mean of that along x and that along y.
    """

    positions_nm: NDArray[np.float64]
    height: Array
    mass: Array
    width_nm: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.height)


def find_peaks(density: Array, threshold: float, fine_nm: float, *, radius: int = 1) -> Peaks:
    """Local maxima above a threshold, placed at the top of the Gaussian through each and its neighbours.

    The logarithm of a Gaussian is a parabola, so that one at any place between the pixels is found exactly. A centre of gravity of so few
    pixels would pull to their middles, the more the wider the peak.

    Parameters
    ----------
    density : ndarray, shape (Y, X)
        Negative values count as zero.
    threshold : float
        Least value of a maximum.
    fine_nm : float
        Side of a pixel of the density.
    radius : int
        A maximum is the largest in a square of ``2 * radius + 1`` pixels; of equal neighbours the first counts.

    Examples
    --------
    >>> density = np.zeros((5, 5), np.float32)
    >>> density[1, 2] = density[1, 3] = 4
    >>> peaks = find_peaks(density, 1.0, 10.0)
    >>> peaks.positions_nm, peaks.mass
    (array([[30., 15.]]), array([8.], dtype=float32))
    """
    bounded = np.maximum(np.asarray(density, np.float32), 0)
    _, row, column = maxima(bounded[None], max(threshold, _LEAST), radius)
    bounded, row, column = np.pad(bounded, radius), row + radius, column + radius
    offset = np.arange(-radius, radius + 1)
    window = bounded[row[:, None, None] + offset[:, None], column[:, None, None] + offset]
    x, wide = _top(window[:, radius, radius - 1 : radius + 2])
    y, high = _top(window[:, radius - 1 : radius + 2, radius])
    middle = np.stack([column + x, row + y], axis=1) - radius + 0.5
    mass = window.sum(axis=(1, 2), dtype=np.float64).astype(np.float32)
    return Peaks(middle * fine_nm, bounded[row, column], mass, np.sqrt(wide * high) * fine_nm)


def _top(three: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the Gaussian through three pixels, shape (N, 3), is highest, from the middle one, and its standard deviation, in pixels."""
    logs = np.log(np.maximum(three, _NOTHING * three[:, 1:2]), dtype=np.float64)
    before, at, after = logs.T
    bend = np.maximum(2 * at - before - after, 1.0 / _WIDEST**2)
    return np.clip(0.5 * (after - before) / bend, -0.5, 0.5), 1.0 / np.sqrt(bend)


def maxima(images: Array, least: float, radius: int = 1) -> tuple[Ints, Ints, Ints]:
    """Pixels that are the largest in a square of ``2 * radius + 1`` pixels of their image; of equal neighbours the first in reading order.

    Parameters
    ----------
    images : ndarray, shape (T, Y, X), float32
    least : float
        Value that a maximum must reach.
    radius : int

    Returns
    -------
    frame, row, column : ndarray of int, shape (N,)
    """
    highest = images
    for axis in (1, 2):
        line = np.moveaxis(highest, axis, 0)
        made = line.copy(order="K")
        for step in range(1, radius + 1):
            np.maximum(made[step:], line[:-step], out=made[step:])
            np.maximum(made[:-step], line[step:], out=made[:-step])
        highest = np.moveaxis(made, 0, axis)
    frame, row, column = np.nonzero((images >= least) & (images == highest))
    first = _first_of_neighbours(frame, row, column, radius)
    return frame[first], row[first], column[first]


def _first_of_neighbours(frame: Ints, row: Ints, column: Ints, radius: int) -> NDArray[np.bool_]:
    """Of maxima that are neighbours, hence equal, keep the first in reading order."""
    kept = np.ones(len(row), bool)
    if len(row) < 2:
        return kept
    place = np.stack([frame * (2 * radius + 2), row, column], axis=1)
    near = cKDTree(place).query_pairs(radius + 0.5, p=np.inf, output_type="ndarray")
    for earlier, later in near[np.lexsort((near[:, 1], near[:, 0]))]:
        kept[later] &= not kept[earlier]
    return kept
