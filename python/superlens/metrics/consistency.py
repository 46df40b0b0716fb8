"""How well a super-resolved image agrees with the data it was made from: RSP and RSE, whiteness of the residual, flux."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from superlens.errors import SuperlensError
from superlens.metrics.fidelity import linear_fit, paired

__all__ = ["ConsistencyMap", "Whiteness", "flux_ratio", "residual_whiteness", "rsp_rse"]

Array: TypeAlias = NDArray[Any]
Float64: TypeAlias = NDArray[np.float64]

_LAGS = 4
_WIDEST_SIGMA = 12.0  # in pixels of the reference


class ConsistencyMap(NamedTuple):
    """What `rsp_rse` finds.

    Attributes
    ----------
    rsp : float
        Pearson correlation of the reference and the blurred image; 1 at best.
    rse : float
        Root mean square of the error map, in the unit of the reference.
    error_map : ndarray, float64, shape of the reference
        Absolute difference.
    """

    rsp: float
    rse: float
    error_map: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Whiteness:
    """What `residual_whiteness` finds.

    Attributes
    ----------
    lags_y, lags_x : tuple of float
        Autocorrelation at lags of 1 to 4 pixels along y and x, from -1 to 1; 0 for white noise, up to `chance`.
    score : float
        Root of the sum of the squared autocorrelations at all 40 lags of up to 4 pixels, less what chance gives; 0 for
        white noise, near 1 and more for structure.
    chance : float
        Standard deviation of one autocorrelation of white noise of this size.
    variance_ratio : float
        Mean square of the residual over the stated noise; 1 if `sigma_map` is right and the model explains the data.
        NaN without it.
    verdict : {"white", "slightly structured", "structured"}
        By the score: below 0.1, below 0.3, or more.
    left, followed : float
        The score of the positive autocorrelations alone, and of the negative ones. Structure that is missing from the model makes neighbours of
        the residual alike; a model that follows the noise takes some of each pixel's noise from its neighbours, which makes them opposite.
    strongest : float
        The largest autocorrelation at any of the lags, at least 0: the least share of the residual's variance that is structure.
    """

    lags_y: tuple[float, ...]
    lags_x: tuple[float, ...]
    score: float
    chance: float
    variance_ratio: float
    verdict: Literal["white", "slightly structured", "structured"]
    left: float
    followed: float
    strongest: float


def rsp_rse(sr: Array, reference: Array, scale: int = 1) -> ConsistencyMap:
    """Blur a super-resolved image back to a diffraction-limited reference and compare.

    Data range: any. Fit: the width of a Gaussian blur and a line ``a * blurred + b``, all three chosen for the best
    agreement, so that neither the PSF nor the units of `sr` need be known.

    Parameters
    ----------
    sr : ndarray, shape (scale * Y, scale * X)
    reference : ndarray, shape (Y, X)
        The same field; for an unbiased verdict an image whose noise the method has not seen.
    scale : int
        A pixel of the reference is the mean of scale x scale pixels of `sr`.

    Returns
    -------
    ConsistencyMap
        Unpacks to ``rsp, rse, error_map``.

    Raises
    ------
    SuperlensError
        The shapes do not fit each other, a value is not finite, or one of the images is constant.

    References
    ----------
    Culley et al., Nat. Methods 15, 263 (2018), for the two numbers. Here the comparison is on the grid of the
    reference.

    Examples
    --------
    >>> from scipy import ndimage
    >>> sharp = np.zeros((32, 32)); sharp[10, 12] = sharp[20, 17] = 1
    >>> rsp, rse, error_map = rsp_rse(sharp, 100 * ndimage.gaussian_filter(sharp, 2.0) + 5)
    >>> round(rsp, 4)
    1.0
    """
    sr, reference = np.asarray(sr, np.float64), np.asarray(reference, np.float64)
    if reference.ndim != 2 or sr.shape != tuple(side * scale for side in reference.shape):
        raise SuperlensError(
            f"sr has shape {sr.shape} and the reference {reference.shape}; expected planes, {scale} times larger."
        )
    if np.ptp(sr) == 0 or np.ptp(reference) == 0:
        raise SuperlensError("one of the two images is constant; they cannot be correlated.")
    spectrum = fft.dctn(sr)

    def disagreement(sigma: float) -> float:
        return -_pearson(_reduced(spectrum, sigma, scale), reference)

    sigmas = np.geomspace(0.25 * scale, _WIDEST_SIGMA * scale, 12)
    costs = [disagreement(sigma) for sigma in (0.0, *sigmas)]
    best = int(np.argmin(costs))
    brackets = (0.0, 0.0, *sigmas, sigmas[-1])
    found = optimize.minimize_scalar(disagreement, bounds=(brackets[best], brackets[best + 2]), method="bounded")
    sigma = float(found.x) if found.fun < costs[best] else float((0.0, *sigmas)[best])
    blurred = _reduced(spectrum, sigma, scale)
    error = np.abs(linear_fit(blurred, reference) - reference)
    return ConsistencyMap(_pearson(blurred, reference), math.sqrt(float(np.mean(error**2))), error)


def residual_whiteness(residual: Array, sigma_map: Array | float | None = None) -> Whiteness:
    """Say whether a residual is noise or holds structure that the model has missed.

    Data range: any. Fit: the mean is removed, nothing else.

    Parameters
    ----------
    residual : ndarray, shape (Y, X), both sides at least 16
        Data less model, such as the noisy image less the blurred output.
    sigma_map : ndarray or float, optional
        Standard deviation of the noise, in the unit of the residual; by it the bright and the dark pixels get equal
        weight.

    Returns
    -------
    Whiteness

    Raises
    ------
    SuperlensError
        The residual is not a plane of at least 16 pixels a side, not finite or constant, or `sigma_map` is not above 0.

    Examples
    --------
    >>> from scipy import ndimage
    >>> noise = np.random.default_rng(0).normal(size=(64, 64))
    >>> residual_whiteness(noise).verdict
    'white'
    >>> residual_whiteness(ndimage.gaussian_filter(noise, 1)).verdict
    'structured'
    """
    residual = np.asarray(residual, np.float64)
    if residual.ndim != 2 or min(residual.shape) < 16 or not np.isfinite(residual).all():
        raise SuperlensError(
            f"residual has shape {residual.shape}; expected a finite plane (Y, X) of at least 16 pixels a side."
        )
    sigma = np.asarray(1.0 if sigma_map is None else sigma_map, np.float64)
    if not (sigma > 0).all():
        raise SuperlensError(f"sigma_map has a minimum of {sigma.min()}; expected values above 0.")
    standard = residual / sigma
    ratio = float(np.mean(standard**2)) if sigma_map is not None else math.nan
    correlation = _autocorrelation(standard - standard.mean())
    distinct = [correlation[0, x] for x in range(1, _LAGS + 1)]
    distinct += [correlation[y, x] for y in range(1, _LAGS + 1) for x in range(-_LAGS, _LAGS + 1)]
    found = np.array(distinct)
    chance = len(found) / residual.size
    score, left, followed = (
        math.sqrt(max(float(np.sum(part**2)) - share * chance, 0.0))
        for part, share in ((found, 1.0), (np.maximum(found, 0), 0.5), (np.minimum(found, 0), 0.5))
    )
    return Whiteness(
        lags_y=tuple(float(correlation[lag, 0]) for lag in range(1, _LAGS + 1)),
        lags_x=tuple(float(correlation[0, lag]) for lag in range(1, _LAGS + 1)),
        score=score,
        chance=1 / math.sqrt(residual.size),
        variance_ratio=ratio,
        verdict="white" if score < 0.1 else "slightly structured" if score < 0.3 else "structured",
        left=left,
        followed=followed,
        strongest=max(float(found.max()), 0.0),
    )


def flux_ratio(output: Array, image: Array) -> float:
    """Return the mean of the output over the mean of the image.

    Data range: both in counts minus offset; an offset that is left in pulls the ratio towards 1. Fit: none.

    Parameters
    ----------
    output, image : ndarray
        Of any two samplings of one field.

    Returns
    -------
    float
        1 where intensities are conserved.

    Raises
    ------
    SuperlensError
        The mean of the image is not above 0.

    Examples
    --------
    >>> flux_ratio(np.full((8, 8), 3.0), np.full((4, 4), 2.0))
    1.5
    """
    mean = float(np.mean(image, dtype=np.float64))
    if not mean > 0:
        raise SuperlensError(
            f"the image has a mean of {mean:.4g}; a ratio of fluxes needs one above 0. Is the offset right?"
        )
    return float(np.mean(output, dtype=np.float64)) / mean


def _reduced(spectrum: Float64, sigma: float, scale: int) -> Float64:
    """Blur an image, of which the cosine transform is given, as `scipy.ndimage.gaussian_filter` does, and average its pixels to coarse ones.

    Both are done to the cosines, and only the coarse pixels are computed.
    """
    for axis in (0, 1):
        spectrum = np.moveaxis(_coarse_cosines(np.moveaxis(spectrum, axis, 0), sigma, scale), 0, axis)
    return np.asarray(fft.idctn(spectrum))


def _coarse_cosines(spectrum: Float64, sigma: float, scale: int) -> Float64:
    """The cosine transform along the first axis of what was blurred and averaged along it, from that of what was not.

    A cosine of frequency k has 2 M - k, and 2 M + k, for aliases on M coarse pixels, with the opposite sign.
    """
    frequency = np.arange(len(spectrum)) * (np.pi / len(spectrum))
    within = np.arange(scale) - (scale - 1) / 2  # of a coarse pixel
    passed = _passed(sigma, frequency) * np.cos(np.outer(frequency, within)).mean(axis=1) / scale
    parts = (spectrum * passed[:, np.newaxis]).reshape(scale, -1, spectrum.shape[1])
    coarse = parts[0]
    for number in range(1, scale):
        sign = (-1) ** ((number + 1) // 2)
        if number % 2:
            coarse[1:] += sign * parts[number, :0:-1]
        else:
            coarse += sign * parts[number]
    return np.asarray(coarse)


def _passed(sigma: float, frequency: Array) -> Float64:
    """What the Gaussian of `scipy.ndimage`, which ends at four standard deviations, leaves of cosines; frequencies in radians a pixel."""
    at = np.arange(1, int(4 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (at / max(sigma, 1e-9)) ** 2)
    return np.asarray((1 + 2 * np.cos(np.outer(frequency, at)) @ weights) / (1 + 2 * weights.sum()))


def _pearson(a: Float64, b: Float64) -> float:
    a, b = paired(a, b)
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(np.sum(a * a)) * float(np.sum(b * b)))
    return float(np.sum(a * b)) / norm if norm > 0 else 0.0


def _autocorrelation(array: Float64) -> Float64:
    """Autocorrelation by lag, negative lags at the end; without wrapping, each lag divided by its own number of pairs."""
    shape = [side + _LAGS for side in array.shape]
    spectrum = fft.rfft2(array, shape)
    sums = fft.irfft2(np.abs(spectrum) ** 2, shape)
    if not sums[0, 0] > 0:
        raise SuperlensError("residual is constant; nothing to correlate.")
    near = np.abs(fft.fftfreq(shape[0], 1 / shape[0]))[:, np.newaxis], np.abs(fft.fftfreq(shape[1], 1 / shape[1]))
    pairs = np.maximum(array.shape[0] - near[0], 1) * np.maximum(array.shape[1] - near[1], 1)
    return np.asarray(sums / sums[0, 0] * array.size / pairs)
