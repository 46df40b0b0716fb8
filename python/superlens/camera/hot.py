"""Hot and dead pixels: single ones that stand out of neighbours which saw nothing.

A microscope blurs a point over several pixels, so that light never stands in one pixel alone. In: counts above the offset and the camera. Out: a mask.
What becomes of the pixels is left to others.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.camera.sensor import Camera

__all__ = ["hot_pixels", "standing_alone", "too_few_to_matter"]

_OUTSTANDING = 15.0  # standard deviations above or below the median of the neighbours
_SHARED = 0.1  # of that in the nearest of them; a point shares 0.2 even through a PSF of 1.3 pixels FWHM, half through one of 2
_MOST = 0.005  # of the pixels
_RING = np.ones((5, 5), bool)
_RING[2, 2] = False
_NEAREST = _RING[1:4, 1:4]
_NEAREST_OF_RING = np.abs(np.argwhere(_RING) - 2).max(axis=1) == 1


def hot_pixels(counts: NDArray[np.floating], camera: Camera) -> NDArray[np.bool_]:
    """Find pixels that cannot be light.

    Parameters
    ----------
    counts : ndarray, shape (N, Y, X), finite, counts above the offset
        All planes of an image.
    camera : Camera

    Returns
    -------
    ndarray of bool, shape (N, Y, X)
        Nowhere true where more than one pixel in two hundred of them all would be.

    Examples
    --------
    >>> picture = np.random.default_rng(0).poisson(20, (32, 32)).astype(float)
    >>> picture[7, 9] = 900
    >>> np.argwhere(hot_pixels(picture[None], Camera(gain=1.0, offset=0.0, read_noise_e=0.0))).tolist()
    [[0, 7, 9]]
    """
    alone = np.stack([standing_alone(plane, camera) for plane in counts])
    return alone if too_few_to_matter(alone) else np.zeros_like(alone)


def too_few_to_matter(alone: NDArray[np.bool_]) -> bool:
    """Whether so few pixels stand alone that they are defects; else the image is sampled too coarsely, or was processed."""
    return bool(alone.mean() <= _MOST)


def standing_alone(
    counts: NDArray[np.floating], camera: Camera, outstanding: float = _OUTSTANDING
) -> NDArray[np.bool_]:
    """Find pixels that stand alone, however many; each is decided by its neighbours up to 2 pixels away.

    Parameters
    ----------
    counts : ndarray, shape (Y, X), finite, counts above the offset
    camera : Camera
    outstanding : float
        Standard deviations from the median of the neighbours.

    Returns
    -------
    ndarray of bool, shape (Y, X)
    """
    above = counts - ndimage.maximum_filter(counts, footprint=_NEAREST, mode="mirror")
    below = ndimage.minimum_filter(counts, footprint=_NEAREST, mode="mirror") - counts
    # Who stands out by 15 sigma and shares no more than this stands above the nearest neighbour by as much less, and no sigma is smaller than the darkest.
    least = ((1 - _SHARED) * outstanding - 1.5) * math.hypot(camera.gain * camera.read_noise_e, camera.gain)
    places = np.nonzero(np.maximum(above, below) > 0.999 * least)
    alone = np.zeros(counts.shape, bool)
    alone[places] = _stand_alone(counts, places, camera, outstanding)
    return alone


def _stand_alone(
    counts: NDArray[np.floating], places: tuple[NDArray[np.intp], ...], camera: Camera, outstanding: float
) -> NDArray[np.bool_]:
    """Whether the pixels at some places do."""
    values = counts[places]
    padded = np.pad(counts, 2, mode="reflect")
    neighbours = np.stack([padded[places[0] + y, places[1] + x] for y, x in np.argwhere(_RING)])
    middle = len(neighbours) // 2
    around = np.partition(neighbours, middle, axis=0)[middle]
    nearest = neighbours[_NEAREST_OF_RING]
    # One electron more, so that the first photon of a dark place is no surprise.
    sigma = np.sqrt(camera.variance(around) + camera.gain**2)
    excess = values - around
    shared = np.where(excess > 0, nearest.max(axis=0) - around, around - nearest.min(axis=0))
    return np.asarray((np.abs(excess) > outstanding * sigma) & (shared < _SHARED * np.abs(excess) + 1.5 * sigma))
