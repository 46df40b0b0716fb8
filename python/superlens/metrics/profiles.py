"""Line profiles, and the dip between two peaks of one."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from superlens.errors import SuperlensError

__all__ = ["dip_between_peaks", "line_profile"]

Array: TypeAlias = NDArray[Any]
Float64: TypeAlias = NDArray[np.float64]


def line_profile(
    image: Array, start: tuple[float, float], stop: tuple[float, float], *, width: int = 1, order: int = 1
) -> Float64:
    """Sample an image along a line, both ends included, averaged across the line.

    Data range and unit: those of the image. Fit: none.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
    start, stop : (y, x)
        Ends in pixels; the centre of the first pixel is (0, 0).
    width : int
        Number of parallel lines, one pixel apart, that are averaged.
    order : int
        Order of the spline that interpolates, 0 to 5. Beyond the border the image is mirrored.

    Returns
    -------
    ndarray, float64, shape (n,)
        One sample a pixel as nearly as the length allows: ``n = ceil(length) + 1`` samples from end to end.

    Raises
    ------
    SuperlensError
        The image is not a plane, or the width is below 1.

    Examples
    --------
    >>> line_profile(np.arange(12.0).reshape(3, 4), (1, 0), (1, 3))
    array([4., 5., 6., 7.])
    """
    image = np.asarray(image, np.float64)
    if image.ndim != 2 or width < 1:
        raise SuperlensError(
            f"image has {image.ndim} axes and width is {width}; expected a plane (Y, X) and a width from 1."
        )
    dy, dx = stop[0] - start[0], stop[1] - start[1]
    length = math.hypot(dy, dx)
    count = math.ceil(length) + 1
    across = (-dx / length, dy / length) if length else (0.0, 0.0)
    offsets = np.arange(width) - (width - 1) / 2
    y = np.linspace(start[0], stop[0], count)[:, np.newaxis] + offsets * across[0]
    x = np.linspace(start[1], stop[1], count)[:, np.newaxis] + offsets * across[1]
    samples = ndimage.map_coordinates(image, [y, x], order=order, mode="reflect")
    return np.asarray(samples.mean(axis=1), np.float64)


def dip_between_peaks(profile: Array, background: float = 0.0) -> float:
    """Return how deep the valley between the two most prominent peaks is, as a share of the lower peak.

    Data range: `background` is the zero of the share. Fit: none; smooth or average a noisy profile first.

    Parameters
    ----------
    profile : ndarray, shape (n,), n >= 3
        Its ends count as no peaks.
    background : float
        Level that counts as dark, in the unit of the profile.

    Returns
    -------
    float
        ``1 - valley / lower peak``: 0 if there are not two peaks, 1 if the valley is dark.

    Raises
    ------
    SuperlensError
        The profile is too short, or a peak is not above the background.

    Examples
    --------
    >>> dip_between_peaks(np.array([0, 5, 10, 4, 8, 1]))
    0.5
    """
    profile = _checked_profile(profile, least=3) - background
    peaks, properties = signal.find_peaks(profile, prominence=0)
    if len(peaks) < 2:
        return 0.0
    first, second = sorted(peaks[np.argsort(properties["prominences"])[-2:]])
    lower = float(min(profile[first], profile[second]))
    if lower <= 0:
        raise SuperlensError(f"the lower peak is {lower:.4g} above the background of {background}; expected above 0.")
    return float(1 - profile[first : second + 1].min() / lower)


def _checked_profile(profile: Array, least: int) -> Float64:
    profile = np.asarray(profile, np.float64)
    if profile.ndim != 1 or profile.size < least or not np.isfinite(profile).all():
        raise SuperlensError(f"profile has shape {profile.shape}; expected one axis of at least {least} finite values.")
    return profile
