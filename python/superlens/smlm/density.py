"""Between a list of molecules and a density on a fine grid: labels to learn from, and peaks to read back.

The fine grid divides each camera pixel into ``upsampling`` parts along each side. A molecule at x lies in the fine pixel of index
``floor(x / fine_nm)``, and the middle of the fine pixel of index i lies at ``(i + 0.5) * fine_nm``; there is no half-pixel shift
between the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from superlens.errors import SuperlensError

__all__ = ["find_peaks", "histogram", "spikes"]

Array = NDArray[np.float32]


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


def find_peaks(
    density: Array, threshold: float, fine_nm: float, *, radius: int = 1
) -> tuple[NDArray[np.float64], Array]:
    """Local maxima above a threshold, placed at their centre of gravity.

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

    Returns
    -------
    positions_nm : ndarray, shape (N, 2)
        Columns x and y, nm from the outer corner of the first pixel.
    mass : ndarray, shape (N,)
        Sum of the density over the square.

    Examples
    --------
    >>> density = np.zeros((5, 5), np.float32)
    >>> density[1, 2] = density[1, 3] = 4
    >>> find_peaks(density, 1.0, 10.0)
    (array([[30., 15.]]), array([8.], dtype=float32))
    """
    side = 2 * radius + 1
    bounded = np.pad(np.maximum(np.asarray(density, np.float32), 0), radius)
    highest = ndimage.maximum_filter(bounded, side, mode="constant")
    row, column = np.nonzero((bounded == highest) & (bounded >= threshold) & (bounded > 0))
    first = _first_of_neighbours(row, column, radius)
    row, column = row[first], column[first]
    offset = np.arange(-radius, radius + 1)
    window = bounded[row[:, None, None] + offset[:, None], column[:, None, None] + offset]
    mass = window.sum(axis=(1, 2), dtype=np.float64)
    y = row + (window.sum(axis=2) @ offset) / mass
    x = column + (window.sum(axis=1) @ offset) / mass
    return (np.stack([x, y], axis=1) - radius + 0.5) * fine_nm, mass.astype(np.float32)


def _first_of_neighbours(row: NDArray[np.int64], column: NDArray[np.int64], radius: int) -> NDArray[np.bool_]:
    """Of maxima that are neighbours, hence equal, keep the first in reading order."""
    kept = np.ones(len(row), bool)
    for i in range(len(row)):
        if not kept[i]:
            continue
        near = slice(i + 1, int(np.searchsorted(row, row[i] + radius, side="right")))
        kept[near] &= np.abs(column[near] - column[i]) > radius
    return kept
