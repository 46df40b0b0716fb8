"""How fine an image is: Fourier ring correlation, decorrelation analysis, radial power spectrum.

Images are planes ``(Y, X)``; frequencies are in cycles per micrometre, resolutions in nanometres per cycle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from superlens.errors import SuperlensError
from superlens.metrics.fidelity import paired

__all__ = ["FrcCurve", "decorrelation_resolution", "frc", "frc_resolution", "mean_spectrum", "power_spectrum_radial"]

Array: TypeAlias = NDArray[Any]
Float64: TypeAlias = NDArray[np.float64]

_TUKEY = 0.25
_LEAST_PEAK = 0.05  # of a decorrelation curve; lower ones are chance


@dataclass(frozen=True, slots=True, eq=False)
class FrcCurve:
    """A Fourier ring correlation.

    Attributes
    ----------
    frequency_per_um : ndarray, float64, shape (n,)
        Middle of each ring, from just above 0 to the Nyquist frequency.
    correlation : ndarray, float64, shape (n,)
        From -1 to 1, not smoothed.
    counts : ndarray of int, shape (n,)
        Fourier coefficients in each ring; half of them are independent.
    """

    frequency_per_um: Float64
    correlation: Float64
    counts: NDArray[np.int64]


def frc(a: Array, b: Array, pixel_nm: float) -> FrcCurve:
    """Correlate two images of one field ring by ring in Fourier space.

    Data range: any; gain and offset of either do not matter. Fit: none. The means are removed, and a Tukey window
    (alpha 0.25) takes the borders to zero.

    Parameters
    ----------
    a, b : ndarray, shape (Y, X), both sides at least 16
        With independent noise for the resolution of the data, or an estimate and the truth for that of the estimate.
        Two outputs of one network share its prior: their correlation is not a resolution.
    pixel_nm : float
        Sampling of both.

    Returns
    -------
    FrcCurve
        Rings are as wide as one frequency step of the shorter side.

    Raises
    ------
    SuperlensError
        The images are not planes of one shape, too small or not finite, or `pixel_nm` is not above 0.

    References
    ----------
    Nieuwenhuizen et al., Nat. Methods 10, 557 (2013), eq. 1.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(size=(32, 32))
    >>> bool(np.allclose(frc(image, image, pixel_nm=100).correlation, 1))
    True
    """
    a, b = paired(a, b)
    _check_plane(a, pixel_nm)
    window = _tukey(a.shape)
    first, second = (fft.fft2((image - image.mean()) * window) for image in (a, b))
    ring, count = _rings(a.shape)
    cross = _ring_sums((first * second.conj()).real, ring, count)
    energy = _ring_sums(np.abs(first) ** 2, ring, count) * _ring_sums(np.abs(second) ** 2, ring, count)
    correlation = np.divide(cross, np.sqrt(energy), out=np.zeros_like(cross), where=energy > 0)
    counts = np.bincount(ring.ravel(), minlength=count + 1)[1 : count + 1]
    return FrcCurve(_ring_frequencies(a.shape, pixel_nm), correlation, counts)


def frc_resolution(a: Array, b: Array, pixel_nm: float, threshold: float = 1 / 7) -> float:
    """Return the resolution at which the Fourier ring correlation first falls below a threshold.

    Data range: any. Fit: the curve is smoothed by a Savitzky-Golay filter (order 3, 7 % of the curve, at least 5
    rings), and the crossing interpolated linearly.

    Parameters
    ----------
    a, b, pixel_nm
        As in `frc`.
    threshold : float
        From 0 to 1.

    Returns
    -------
    float
        In nanometres. Twice the pixel if the curve stays above the threshold: the sampling is the limit. Infinite if
        its first tenth is below: the innermost rings have too few coefficients to be judged one by one.

    Raises
    ------
    SuperlensError
        As in `frc`.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(size=(32, 32))
    >>> frc_resolution(image, image, pixel_nm=100)
    200.0
    """
    curve = frc(a, b, pixel_nm)
    size = max(5, round(0.07 * curve.correlation.size) // 2 * 2 + 1)
    smooth = signal.savgol_filter(curve.correlation, size, 3)
    above = np.flatnonzero(smooth[: max(5, smooth.size // 10)] >= threshold)
    if above.size == 0:
        return math.inf
    below = np.flatnonzero(smooth[above[0] :] < threshold)
    if below.size == 0:
        return 2.0 * pixel_nm
    i = int(above[0] + below[0])
    share = (smooth[i - 1] - threshold) / (smooth[i - 1] - smooth[i])
    frequency = curve.frequency_per_um[i - 1] + share * (curve.frequency_per_um[i] - curve.frequency_per_um[i - 1])
    return float(1000 / frequency)


def decorrelation_resolution(image: Array, pixel_nm: float) -> float:
    """Estimate the resolution of one image from how its Fourier phases correlate with itself.

    Data range: any. Fit: none. For each radius r the normalised spectrum within r is correlated with the whole; noise
    beyond the cut-off of the structure makes the correlation fall, so its maximum marks the cut-off. Copies that were
    high-passed ever more are treated alike, and the highest frequency of all maxima counts. Interpolated, periodic or
    strongly processed images mislead it.

    Parameters
    ----------
    image : ndarray, shape (Y, X), both sides at least 32
    pixel_nm : float
        Sampling.

    Returns
    -------
    float
        In nanometres; infinite if no maximum stands out, as in pure noise.

    Raises
    ------
    SuperlensError
        The image is not a finite plane, is too small or constant, or `pixel_nm` is not above 0.

    References
    ----------
    Descloux, Grussmayer and Radenovic, Nat. Methods 16, 918 (2019).

    Examples
    --------
    >>> from scipy import ndimage
    >>> rng = np.random.default_rng(0)
    >>> image = 50 * ndimage.gaussian_filter(rng.normal(size=(64, 64)), 2) + rng.normal(size=(64, 64))
    >>> bool(200 < decorrelation_resolution(image, pixel_nm=100) < 2000)
    True
    """
    image = np.asarray(image, np.float64)
    _check_plane(image, pixel_nm, least=32)
    if np.ptp(image) == 0:
        raise SuperlensError("image is constant; it has no resolution.")
    spectrum, radius = _half_spectrum(image)
    first, amplitude = _decorrelation_peak(spectrum, radius, 0.0, 0.0, 1.0)
    sigmas = np.concatenate([[min(image.shape) / 4], np.geomspace(2 / max(first, 0.02), 0.15, 10)])
    peaks = [(first, amplitude, math.inf)]
    peaks += [(*_decorrelation_peak(spectrum, radius, sigma, 0.0, 1.0), float(sigma)) for sigma in sigmas]
    good = [peak for peak in peaks if peak[1] >= _LEAST_PEAK]
    if not good:
        return math.inf
    best, _, sigma = max(good)
    if math.isinf(sigma):
        return 2 * pixel_nm / best
    for finer in np.geomspace(2 * sigma, sigma / 2, 10):
        position, height = _decorrelation_peak(
            spectrum, radius, float(finer), max(best - 0.1, 0.0), min(best + 0.2, 1.0)
        )
        best = position if height >= _LEAST_PEAK and position > best else best
    return 2 * pixel_nm / best


def power_spectrum_radial(image: Array, pixel_nm: float) -> tuple[Float64, Float64]:
    """Return the power of an image by spatial frequency.

    Data range: any; the power is in the squared unit of the image. Fit: none. The mean is removed, and a Tukey window
    (alpha 0.25) takes the borders to zero.

    Parameters
    ----------
    image : ndarray, shape (Y, X), both sides at least 16
    pixel_nm : float
        Sampling.

    Returns
    -------
    frequency_per_um : ndarray, float64, shape (n,)
        Middle of each ring, up to the Nyquist frequency.
    power : ndarray, float64, shape (n,)
        Mean over the ring of ``|F|^2``, divided by the energy of the window: white noise gives its variance at every
        frequency.

    Raises
    ------
    SuperlensError
        The image is not a finite plane or too small, or `pixel_nm` is not above 0.

    Examples
    --------
    >>> frequency, power = power_spectrum_radial(np.random.default_rng(0).normal(0, 2, (64, 64)), pixel_nm=100)
    >>> bool(abs(power.mean() - 4) < 0.5), float(frequency[-1])
    (True, 5.0)
    """
    image = np.asarray(image, np.float64)
    _check_plane(image, pixel_nm)
    window = _tukey(image.shape)
    power = np.abs(fft.fft2((image - image.mean()) * window)) ** 2 / np.sum(window**2)
    ring, count = _rings(image.shape)
    counts = np.bincount(ring.ravel(), minlength=count + 1)[1 : count + 1]
    return _ring_frequencies(image.shape, pixel_nm), _ring_sums(power, ring, count) / counts


def mean_spectrum(planes: Array, pixel_nm: float, rings: int = 64) -> tuple[Float64, Float64, Float64]:
    """The power of several planes in common, in few rings.

    Parameters
    ----------
    planes : ndarray, shape (N, Y, X)
    pixel_nm : float
    rings : int
        At most so many.

    Returns
    -------
    frequency_per_um, power, coefficients : ndarray, float64, shape (n,)
        Of each ring: its frequency, the mean of `power_spectrum_radial`, and how many independent coefficients it stands for.
    """
    found = [power_spectrum_radial(plane, pixel_nm) for plane in planes]
    frequency, power = found[0][0], np.mean([one for _, one in found], axis=0)
    coefficients = np.pi * np.arange(1, len(frequency) + 1) / 1.5  # of a half plane, fewer by the window
    starts = np.arange(0, len(frequency), max(len(frequency) // rings, 1))
    total = np.add.reduceat(coefficients, starts)
    frequency = np.add.reduceat(frequency * coefficients, starts) / total
    power = np.add.reduceat(power * coefficients, starts) / total
    return frequency, power, len(planes) * total


def _check_plane(image: Float64, pixel_nm: float, least: int = 16) -> None:
    if image.ndim != 2 or min(image.shape) < least or not np.isfinite(image).all():
        raise SuperlensError(
            f"image has shape {image.shape}; expected a finite plane (Y, X) of at least {least} pixels a side."
        )
    if not (math.isfinite(pixel_nm) and pixel_nm > 0):
        raise SuperlensError(f"pixel_nm is {pixel_nm}; expected a number above 0.")


def _tukey(shape: tuple[int, ...]) -> Float64:
    y, x = (signal.windows.tukey(side, _TUKEY) for side in shape)
    return np.asarray(np.outer(y, x))


def _rings(shape: tuple[int, ...]) -> tuple[NDArray[np.int64], int]:
    """Number the ring of each Fourier coefficient; 0 is the mean, the returned count the last ring, at Nyquist."""
    radius = np.hypot(fft.fftfreq(shape[0])[:, np.newaxis], fft.fftfreq(shape[1]))
    count = min(shape) // 2
    ring = np.rint(radius * min(shape)).astype(np.int64)
    return np.where(ring > count, count + 1, ring), count


def _ring_sums(values: Float64, ring: NDArray[np.int64], count: int) -> Float64:
    sums = np.asarray(np.bincount(ring.ravel(), weights=values.ravel(), minlength=count + 1), np.float64)
    return sums[1 : count + 1]


def _ring_frequencies(shape: tuple[int, ...], pixel_nm: float) -> Float64:
    return np.arange(1, min(shape) // 2 + 1) / min(shape) * 1000 / pixel_nm


def _half_spectrum(image: Float64) -> tuple[NDArray[np.complex128], Float64]:
    """Coefficients within the Nyquist radius, one of each conjugate pair, and their radii from 0 to 1."""
    image = image[tuple(slice(0, side - 1 + side % 2) for side in image.shape)]
    y, x = image.shape
    spectrum = fft.fft2((image - image.mean()) * _tukey(image.shape))
    fy, fx = fft.fftfreq(y)[:, np.newaxis], fft.fftfreq(x)[np.newaxis]
    radius = 2 * np.hypot(fy, fx)
    kept = (radius <= 1) & (radius > 0) & ((fy > 0) | ((fy == 0) & (fx > 0)))
    order = np.argsort(radius[kept])
    return spectrum[kept][order], radius[kept][order]


def _decorrelation_peak(
    spectrum: NDArray[np.complex128], radius: Float64, sigma: float, low: float, high: float
) -> tuple[float, float]:
    """Return position and height of the maximum of the decorrelation curve of a copy that was high-passed with `sigma` pixels."""
    magnitude = np.abs(spectrum)
    if sigma > 0:
        magnitude = magnitude * (1 - np.exp(-2 * (sigma * radius) ** 2))
    radii = np.asarray(np.linspace(low, high, 50)[1:], np.float64)
    inside = np.searchsorted(radius, radii, side="right")
    within = np.concatenate([[0.0], np.cumsum(magnitude)])[inside]
    curve = within / np.sqrt(np.sum(magnitude**2) * np.maximum(inside, 1))
    return _local_maximum(radii, curve)


def _local_maximum(radii: Float64, curve: Float64) -> tuple[float, float]:
    """Return the last maximum that the curve falls from again; a curve that still rises at its end has none."""
    curve = curve.copy()
    while curve.size > 1:
        top = int(curve.argmax())
        if top == curve.size - 1:
            curve = curve[:-1]
            continue
        if top > 0 and curve[top] - curve[top:].min() >= 5e-4:
            return float(radii[top]), float(curve[top])
        break
    return 0.0, 0.0
