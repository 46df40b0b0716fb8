"""How far an image is from a reference: PSNR, NRMSE, SSIM, and the linear fit that makes methods comparable.

Images are arrays of any number of axes, and the two compared have one shape. Nothing is fitted, clipped or rescaled
unless the name says so.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.errors import SuperlensError

__all__ = ["linear_fit", "nrmse", "paired", "psnr", "psnr_fitted", "ssim"]

Array: TypeAlias = NDArray[Any]
Float64: TypeAlias = NDArray[np.float64]

_SIGMA = 1.5
_RADIUS = 5  # the window of 11 pixels


def psnr(reference: Array, image: Array, peak: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in decibels.

    Data range: `peak`, by default the maximum of the reference. Fit: none.

    Parameters
    ----------
    reference, image : ndarray
        Of one shape and unit.
    peak : float, optional
        Above 0.

    Returns
    -------
    float
        ``10 log10(peak^2 / mean((reference - image)^2))``; infinite for equal images.

    Raises
    ------
    SuperlensError
        The shapes differ, a value is not finite, or the peak is not above 0.

    Examples
    --------
    >>> psnr(np.array([0.0, 10.0]), np.array([1.0, 11.0]))
    20.0
    """
    reference, image = paired(reference, image)
    peak = _positive("peak", float(reference.max()) if peak is None else peak)
    error = float(np.mean((reference - image) ** 2))
    return 10 * math.log10(peak**2 / error) if error > 0 else math.inf


def linear_fit(image: Array, reference: Array) -> Float64:
    """Return ``a * image + b`` with the ``a`` and ``b`` that bring it closest to the reference by least squares.

    Parameters
    ----------
    image, reference : ndarray
        Of one shape. A constant image becomes the mean of the reference.

    Returns
    -------
    ndarray, float64

    Raises
    ------
    SuperlensError
        The shapes differ, or a value is not finite.

    Examples
    --------
    >>> linear_fit(np.array([1.0, 2.0, 3.0]), np.array([12.0, 14.0, 16.0]))
    array([12., 14., 16.])
    """
    reference, image = paired(reference, image)
    centred = image - image.mean()
    energy = float(np.sum(centred**2))
    slope = float(np.sum(centred * reference)) / energy if energy > 0 else 0.0
    return np.asarray(slope * centred + reference.mean(), np.float64)


def psnr_fitted(reference: Array, image: Array, peak: float | None = None) -> float:
    """Return the PSNR in decibels after `linear_fit` of the image to the reference.

    Data range: `peak`, by default the maximum of the reference. Fit: one gain and one offset for the whole image.

    Examples
    --------
    >>> psnr_fitted(np.array([0.0, 5.0, 10.0]), np.array([3.0, 4.0, 5.0])) > 200
    True
    """
    return psnr(reference, linear_fit(image, reference), peak)


def nrmse(reference: Array, image: Array, kind: Literal["range", "mean", "euclidean"] = "range") -> float:
    """Return the root-mean-square error over a measure of the reference.

    Data range: that of the reference, by `kind`. Fit: none.

    Parameters
    ----------
    reference, image : ndarray
        Of one shape and unit.
    kind : {"range", "mean", "euclidean"}
        Divide by the maximum less the minimum of the reference, by its mean, or by its root mean square.

    Returns
    -------
    float
        0 for equal images.

    Raises
    ------
    SuperlensError
        The shapes differ, a value is not finite, the measure is not above 0, or the kind is unknown.

    Examples
    --------
    >>> nrmse(np.array([0.0, 10.0]), np.array([1.0, 11.0]))
    0.1
    """
    reference, image = paired(reference, image)
    if kind not in ("range", "mean", "euclidean"):
        raise SuperlensError(f"kind is {kind!r}; expected 'range', 'mean' or 'euclidean'.")
    measures = {
        "range": float(np.ptp(reference)),
        "mean": float(reference.mean()),
        "euclidean": math.sqrt(float(np.mean(reference**2))),
    }
    return math.sqrt(float(np.mean((reference - image) ** 2))) / _positive(
        f"the {kind} of the reference", measures[kind]
    )


def ssim(reference: Array, image: Array, data_range: float) -> float:
    """Return the mean structural similarity.

    Data range: `data_range`, as given. Fit: none. Window: Gaussian of sigma 1.5 pixels cut at 11 pixels, population
    covariance, K1 0.01, K2 0.03; windows that reach beyond the border are left out.

    Parameters
    ----------
    reference, image : ndarray
        Of one shape and unit, every side at least 11.
    data_range : float
        Sets the two constants; the same for all images of a comparison, for example the maximum of the reference.

    Returns
    -------
    float
        At most 1, which is for equal images.

    Raises
    ------
    SuperlensError
        The shapes differ, a side is below 11, a value is not finite, or `data_range` is not above 0.

    References
    ----------
    Wang et al., IEEE Trans. Image Process. 13, 600 (2004), eq. 13.

    Examples
    --------
    >>> ramp = np.arange(256.0).reshape(16, 16)
    >>> ssim(ramp, ramp, data_range=255)
    1.0
    """
    return float(_ssim_map(*paired(reference, image), _positive("data_range", data_range)).mean())


def paired(reference: Array, image: Array) -> tuple[Float64, Float64]:
    """Return both as float64 after checking that they can be compared: one shape, not empty, finite."""
    first, second = np.asarray(reference, np.float64), np.asarray(image, np.float64)
    if first.shape != second.shape or first.size == 0:
        raise SuperlensError(
            f"the two images have shapes {first.shape} and {second.shape}; expected one shape, not empty."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise SuperlensError("an image has values that are not finite; crop or replace them before measuring.")
    return first, second


def _ssim_map(x: Float64, y: Float64, data_range: float) -> Float64:
    """Return the product of the luminance, contrast and structure terms, where the window fits."""
    if min(x.shape) < 2 * _RADIUS + 1:
        raise SuperlensError(f"image has shape {x.shape}; expected at least {2 * _RADIUS + 1} pixels along every axis.")
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x, variance_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return np.asarray(luminance * structure)


def _windowed(array: Float64) -> Float64:
    smooth = ndimage.gaussian_filter(array, _SIGMA, radius=_RADIUS)
    return np.asarray(smooth[(slice(_RADIUS, -_RADIUS),) * array.ndim])


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise SuperlensError(f"{name} is {value}; expected a number above 0.")
    return value
