"""The camera as a noise model: electrons, gain, read noise, offset; and pairs of images re-corrupted with that noise.

In: photons or counts and an explicit rng. Out: counts, variances, pairs. Estimating a camera from data is left to `superlens.camera.transfer`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from superlens.errors import SuperlensError, require

__all__ = ["Camera", "recorrupt", "smoothed_signal"]

Real = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera whose pixels are independent: Poisson electrons, Gaussian read noise, linear gain.

    Parameters
    ----------
    gain : float
        Counts per electron, above 0.
    offset : float
        Counts of a pixel without light.
    read_noise_e : float
        Standard deviation of the read noise, electrons, at least 0.
    estimated : frozenset of str
        Names of the fields that were estimated from an image instead of being given.

    Raises
    ------
    SuperlensError
        When a value is not finite, the gain not positive, or the read noise negative.

    Examples
    --------
    >>> Camera(gain=2.0, offset=100.0, read_noise_e=1.5).variance([0.0, 50.0])
    array([  9., 109.])
    """

    gain: float
    offset: float
    read_noise_e: float
    estimated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        require("gain", self.gain, np.isfinite(self.gain) and self.gain > 0, "a number above 0, in counts per electron")
        require("offset", self.offset, np.isfinite(self.offset), "a finite number of counts")
        ok = np.isfinite(self.read_noise_e) and self.read_noise_e >= 0
        require("read_noise_e", self.read_noise_e, ok, "0 or more electrons")
        unknown = set(self.estimated) - {field.name for field in fields(self)}
        require("estimated", sorted(self.estimated), not unknown, "names among gain, offset, read_noise_e")

    def variance(self, signal: ArrayLike) -> Any:
        """Noise variance of pixels with a given mean.

        Parameters
        ----------
        signal : array_like
            Mean counts above the offset; negative values count as 0.

        Returns
        -------
        ndarray or float, the shape of `signal`, counts squared
            ``gain * max(signal, 0) + (gain * read_noise_e) ** 2``.
        """
        return self.gain * np.maximum(signal, 0) + (self.gain * self.read_noise_e) ** 2

    def expose(
        self, photons: ArrayLike, rng: np.random.Generator, *, bits: Literal[8, 12, 16] | None = None
    ) -> NDArray[Any]:
        """Take a picture.

        Parameters
        ----------
        photons : array_like
            Mean number of detected photons (= electrons) in each camera pixel, at least 0.
        rng : numpy.random.Generator
            Source of all randomness.
        bits : {8, 12, 16}, optional
            Digitise: round and clip to 0 .. 2**bits - 1. Without it counts stay real numbers.

        Returns
        -------
        ndarray, the shape of `photons`, float32 (uint16 or uint8 when digitised), counts
            With mean ``offset + gain * photons`` and variance ``variance(gain * photons)`` before rounding and clipping.

        Raises
        ------
        SuperlensError
            When a photon number is negative or not finite.
        """
        mean = np.asarray(photons, np.float64)
        if mean.size and not (np.isfinite(mean).all() and mean.min() >= 0):
            raise SuperlensError(
                f"photons holds values from {np.min(mean):g} to {np.max(mean):g}; expected finite numbers of at least 0. "
                "Subtract no offset from photon numbers, and clip before exposing."
            )
        electrons = rng.poisson(mean) + self.read_noise_e * rng.standard_normal(mean.shape)
        counts = self.offset + self.gain * electrons
        if bits is None:
            return np.asarray(counts, np.float32)
        kind = np.uint8 if bits == 8 else np.uint16
        return np.clip(np.rint(counts), 0, 2**bits - 1).astype(kind)

    def to_electrons(self, counts: ArrayLike) -> NDArray[Any]:
        """Turn counts into electrons: ``(counts - offset) / gain``, floating point, the shape of `counts`."""
        return np.asarray((np.asarray(counts, _float_type(np.asarray(counts))) - self.offset) / self.gain)


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
    y = np.asarray(image)
    y = y.astype(_float_type(y), copy=False)
    require("alpha", alpha, np.isfinite(alpha) and alpha > 0, "a number above 0 (0.5 to 2 is usual)")
    deviation = np.asarray(sigma, y.dtype)
    if deviation.size and not (np.isfinite(deviation).all() and deviation.min() >= 0):
        raise SuperlensError(
            "sigma holds negative or non-finite values; expected standard deviations in counts. Did you give a variance of a noise model "
            "with a negative read noise, or an image with NaN?"
        )
    noise = rng.standard_normal(y.shape, dtype=y.dtype.type)
    if covariance is not None:
        noise = _correlate(noise, np.asarray(covariance, np.float64))
    noise *= deviation
    return y + noise * y.dtype.type(alpha), y - noise / y.dtype.type(alpha)


def smoothed_signal(data: ArrayLike) -> Real:
    """Local mean over 5 x 5 pixels of the last two axes, with mirrored borders.

    Parameters
    ----------
    data : array_like, shape (..., Y, X)
        Counts above the offset.

    Returns
    -------
    ndarray, the shape of `data`, float32 (float64 when `data` is)
        The local means: a first guess of the signal, from which the noise variance follows.
    """
    values = np.asarray(data)
    values = values.astype(_float_type(values), copy=False)
    size = (1,) * (values.ndim - 2) + (5, 5)
    return np.asarray(ndimage.uniform_filter(values, size, mode="reflect"))


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


def _float_type(values: NDArray[Any]) -> np.dtype[Any]:
    """float64 stays; everything else is worked on as float32."""
    return np.dtype(np.float64 if values.dtype == np.float64 else np.float32)
