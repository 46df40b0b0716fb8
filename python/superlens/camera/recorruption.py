"""Training pairs out of one noisy image: two copies of the same expectation whose noises are independent.

In: counts above the offset, what is known of their noise, and an explicit rng. Out: the two copies. `recorrupt` knows the noise by its variance
alone; `share_photons` knows that it is that of single photons.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from superlens.camera.multiplication import EXCESS, shares_of_light
from superlens.camera.sensor import Camera, float_type
from superlens.errors import SuperlensError, require

__all__ = ["recorrupt", "share_photons"]

Real = NDArray[np.floating[Any]]

_FEW = 40.0  # expected electrons below which the Poisson law is not taken for a Gaussian
_MOST = 80  # electrons of so few expected ones that are thought possible: five of their standard deviations more
_LEAST_EXPECTED = 0.01  # electrons
_LEAST_SPREAD = 0.25  # electrons: what an estimated gain and rounding to counts leave uncertain without any read noise


def recorrupt(
    image: ArrayLike,
    sigma: ArrayLike,
    alpha: float,
    rng: np.random.Generator,
    *,
    covariance: ArrayLike | None = None,
) -> tuple[Real, Real]:
    """Make a training pair out of one noisy image by adding noise to one copy and taking it away from the other.

    With the same standard normal ``g`` in both, ``input = image + alpha * sigma * g`` and ``target = image - sigma * g / alpha``.
    When the noise of `image` has the variance ``sigma**2`` (and, where pixels are correlated, the correlation `covariance`), the noises of input and target
    are uncorrelated, so that a network trained to turn one into the other learns their common mean. Always
    ``image = (input + alpha**2 * target) / (1 + alpha**2)``.

    Parameters
    ----------
    image : array_like, shape (..., Y, X), counts
        Noisy image.
    sigma : array_like, broadcastable to `image`, counts
        Standard deviation of its noise, e.g. ``sqrt(camera.variance(smoothed_signal(image)))``.
    alpha : float
        Split of the noise, above 0: large values make the target cleaner and the input noisier.
    rng : numpy.random.Generator
        Source of all randomness.
    covariance : array_like, shape (odd, odd), optional
        Correlation of the noise between neighbouring pixels, centre 1, as `check_noise` returns it. Without it pixels are independent.

    Returns
    -------
    input, target : ndarray, the shape of `image`, float32 (float64 when `image` is)
        The two members of the pair.

    Raises
    ------
    SuperlensError
        When `alpha` is not above 0 or `sigma` holds negative or non-finite values.

    References
    ----------
    Pang, Zheng, Quan and Ji, "Recorrupted-to-Recorrupted", CVPR 2021, equations 6 and 7.

    Examples
    --------
    >>> first, second = recorrupt(np.zeros((8, 8)), 1.0, 1.0, np.random.default_rng(0))
    >>> bool(np.allclose(first, -second))
    True
    """
    y = _floating(image)
    _require_split(alpha)
    deviation = np.asarray(sigma, y.dtype)
    if deviation.size and not (np.isfinite(deviation).all() and deviation.min() >= 0):
        raise SuperlensError(
            "sigma holds negative or non-finite values; expected standard deviations in counts. Did you give a variance of a noise model "
            "with a negative read noise, or an image with NaN?"
        )
    noise = rng.standard_normal(y.shape, dtype=y.dtype.type)
    if covariance is not None:
        noise = _correlate(noise, np.asarray(covariance, np.float64))
    return _pair(y, noise * deviation, alpha)


def share_photons(
    image: ArrayLike,
    expected: ArrayLike,
    camera: Camera,
    alpha: float,
    rng: np.random.Generator,
    *,
    shot: float = 1.0,
    read: float = 1.0,
) -> tuple[Real, Real]:
    """Make a training pair out of one noisy image by dealing out the photoelectrons of each pixel to two copies.

    A pixel holds ``image = gain * (n + r)``: a Poisson number ``n`` of electrons and Gaussian read noise ``r`` of the deviation ``s``. Which ``n`` it was
    is drawn from what is left possible by the pixel and its expected signal. Each electron goes to the input with probability
    ``p = 1 / (1 + alpha**2)`` and else to the target, and the read noise is re-corrupted with a standard normal ``g``::

        input  = gain * (b / p             + r + alpha * s * g),   b ~ Binomial(n, p)
        target = gain * ((n - b) / (1 - p) + r - s * g / alpha)

    The two are independent, not only uncorrelated, when `expected` is the mean of the pixel; without read noise, whatever it is. Noise that is added
    by its variance alone leaves a single photon in a dark place standing in both copies, and a network that learns from them keeps it.
    As with `recorrupt`, ``image = (input + alpha**2 * target) / (1 + alpha**2)``, and input and target have the variances of its pairs.

    Where the camera multiplies electrons, single ones differ in brightness, and their light is dealt out with them (`superlens.camera.multiplication`).

    Parameters
    ----------
    image : array_like, shape (..., Y, X), counts above the offset
        Noisy image whose pixels are independent.
    expected : array_like, broadcastable to `image`, counts above the offset
        Its signal without noise as far as it is known, e.g. ``smoothed_signal(image)``.
    camera : Camera
        Its gain and its read noise.
    alpha : float
        Split of the noise, above 0: large values make the target cleaner and the input noisier.
    rng : numpy.random.Generator
        Source of all randomness.
    shot, read : float
        Factors of the variances of the shot and read noise that are added.

    Returns
    -------
    input, target : ndarray, the shape of `image`, float32 (float64 when `image` is)
        The two members of the pair.

    Raises
    ------
    SuperlensError
        When `alpha` is not above 0.

    References
    ----------
    Monroy, Bacca and Tachella, "Generalized Recorrupted-to-Recorrupted", CVPR 2025: binomial thinning of Poisson counts. Drawing the electrons first,
    which takes read noise in, is ours.

    Examples
    --------
    >>> camera = Camera(gain=2.0, offset=0.0, read_noise_e=0.0)
    >>> first, second = share_photons(np.full((8, 8), 6.0), 6.0, camera, 1.0, np.random.default_rng(0))
    >>> sorted(set((first.ravel() / 4).tolist())), bool(np.allclose(first + second, 12.0))
    ([0.0, 1.0, 2.0, 3.0], True)
    """
    y = _floating(image)
    _require_split(alpha)
    p = 1 / (1 + alpha**2)
    seen, signal = y / y.dtype.type(camera.gain), np.broadcast_to(np.asarray(expected) / camera.gain, y.shape)
    if camera.multiplied:
        light = np.maximum(seen, 0)
        taken = (shares_of_light(EXCESS * light, EXCESS * signal, p, rng) - p) * light
    else:
        number = _electrons(seen, signal, camera.read_noise_e, rng)
        taken = rng.binomial(number, p) - p * number
    noise = taken * (math.sqrt(shot) / (p * alpha))
    noise += math.sqrt(read) * camera.read_noise_e * rng.standard_normal(y.shape, dtype=y.dtype.type)
    return _pair(y, (camera.gain * noise).astype(y.dtype), alpha)


def _electrons(seen: Real, expected: NDArray[Any], read_noise_e: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how many electrons pixels held, given what was read out and what was expected: Poisson times Gaussian, by Bayes."""
    mean: Real = np.broadcast_to(np.maximum(expected, _LEAST_EXPECTED), seen.shape).astype(np.float32)
    # Many: both laws are Gaussian, and of a deviation from the mean the light has its share of the variance.
    light = mean / (mean + np.float32(read_noise_e**2))
    other = rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(read_noise_e) * np.sqrt(light)
    number = np.maximum(np.rint(mean + light * (seen - mean) + other), 0).astype(np.int64)
    # Few: from one number to the next, mean / number of the Poisson law times what the Gaussian changes by, which falls by the same factor each time.
    few = (mean < _FEW) & (seen < 25 * _FEW)
    y, mean = seen[few].astype(np.float32), mean[few]
    if not y.size:
        return number
    spread = max(read_noise_e, _LEAST_SPREAD)
    reach = math.ceil(4 * spread)
    first = np.maximum(np.floor(y) - np.float32(reach), 0)
    step = mean * np.exp((y - first - np.float32(0.5)) / np.float32(spread**2))
    fall = np.float32(math.exp(-(spread**-2)))
    weight = np.ones_like(y)
    sums = [weight]
    for more in range(1, min(2 * reach + 2, _MOST)):
        weight = weight * step / (first + np.float32(more))
        step *= fall
        sums.append(sums[-1] + weight)
    chosen = rng.random(y.shape, dtype=np.float32) * sums[-1]
    for total in sums:
        first += total < chosen
    number[few] = first
    return number


def _pair(image: Real, noise: Real, alpha: float) -> tuple[Real, Real]:
    return image + noise * image.dtype.type(alpha), image - noise / image.dtype.type(alpha)


def _floating(image: ArrayLike) -> Real:
    values = np.asarray(image)
    return values.astype(float_type(values), copy=False)


def _require_split(alpha: float) -> None:
    require("alpha", alpha, np.isfinite(alpha) and alpha > 0, "a number above 0 (0.5 to 2 is usual)")


def _correlate(noise: Real, covariance: NDArray[np.float64]) -> Real:
    """Filter white noise (unit variance) so that its correlation is `covariance`, for each image of the last two axes."""
    sides = covariance.shape
    if covariance.ndim != 2 or not all(side % 2 for side in sides) or covariance[sides[0] // 2, sides[1] // 2] <= 0:
        raise SuperlensError(
            f"covariance has the shape {covariance.shape}; expected two odd sides and a positive centre, as check_noise returns it."
        )
    # Periodic at the borders: stationary up to the edge, at the price of opposite edges being neighbours.
    yx = noise.shape[-2:]
    rows = (np.arange(sides[0]) - sides[0] // 2) % yx[0]
    columns = (np.arange(sides[1]) - sides[1] // 2) % yx[1]
    room = np.zeros(yx)
    np.add.at(room, (rows[:, None], columns[None, :]), covariance)
    # A truncated covariance may have slightly negative power somewhere; the unit variance is restored after clipping it.
    power = np.clip(fft.fft2(room).real, 0.0, None)
    transfer = np.sqrt(power / power.mean())[:, : yx[1] // 2 + 1]
    return np.asarray(fft.irfft2(fft.rfft2(noise) * transfer, s=yx), noise.dtype)
