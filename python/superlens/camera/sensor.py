"""The camera as a noise model: electrons, gain, read noise, offset, and whether it multiplies electrons.

In: photons or counts and an explicit rng. Out: counts and variances. Estimating a camera from data is left to `superlens.camera.transfer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from superlens.camera.multiplication import EXCESS
from superlens.errors import SuperlensError, require

__all__ = ["Camera", "float_type", "smoothed_signal"]

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
    multiplied : bool
        Whether electrons are multiplied before they are read (EMCCD). `gain` is then the growth of the variance with the counts: twice the counts
        per electron.

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
    multiplied: bool = False

    def __post_init__(self) -> None:
        require("gain", self.gain, np.isfinite(self.gain) and self.gain > 0, "a number above 0, in counts per electron")
        require("offset", self.offset, np.isfinite(self.offset), "a finite number of counts")
        ok = np.isfinite(self.read_noise_e) and self.read_noise_e >= 0
        require("read_noise_e", self.read_noise_e, ok, "0 or more electrons")
        unknown = set(self.estimated) - {"gain", "offset", "read_noise_e"}
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
            Mean number of detected photons (= electrons) in each camera pixel, at least 0; half of them behind a multiplier, since gain is doubled.
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
        light = rng.standard_gamma(rng.poisson(EXCESS * mean)) / EXCESS if self.multiplied else rng.poisson(mean)
        electrons = light + self.read_noise_e * rng.standard_normal(mean.shape)
        counts = self.offset + self.gain * electrons
        if bits is None:
            return np.asarray(counts, np.float32)
        kind = np.uint8 if bits == 8 else np.uint16
        return np.clip(np.rint(counts), 0, 2**bits - 1).astype(kind)

    def to_electrons(self, counts: ArrayLike) -> NDArray[Any]:
        """Turn counts into electrons: ``(counts - offset) / gain``, floating point, the shape of `counts`."""
        return np.asarray((np.asarray(counts, float_type(np.asarray(counts))) - self.offset) / self.gain)


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
    values = values.astype(float_type(values), copy=False)
    size = (1,) * (values.ndim - 2) + (5, 5)
    return np.asarray(ndimage.uniform_filter(values, size, mode="reflect"))


def float_type(values: NDArray[Any]) -> np.dtype[Any]:
    """float64 stays; everything else is worked on as float32."""
    return np.dtype(np.float64 if values.dtype == np.float64 else np.float32)
