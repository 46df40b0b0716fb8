"""Cameras beyond the linear one: electron multiplication, and pixels that each have an offset, a gain and a noise of their own.

In: mean photons on each pixel and an explicit rng. Out: counts as the camera would store them. Every camera here, and
`superlens.camera.Camera`, is a `Sensor`. Inside superlens images are described by the linear `Camera`; ``as_camera`` gives the one that
comes nearest. Estimating a camera from data is left to `superlens.camera.transfer`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superlens.camera.multiplication import EXCESS
from superlens.camera.sensor import Camera
from superlens.errors import SuperlensError, require

__all__ = ["EMCCD", "SCMOS", "Sensor"]

Floats = NDArray[np.float64]

_TOP = 65535  # counts of a 16 bit pixel


class Sensor(Protocol):
    """Whatever turns photons into counts."""

    def expose(self, photons: ArrayLike, rng: np.random.Generator) -> NDArray[Any]:
        """Counts of a picture whose pixels receive `photons` on average, drawn with `rng`."""
        ...


@dataclass(frozen=True, slots=True)
class EMCCD:
    """A camera that multiplies electrons before it reads them.

    Photons become electrons (Poisson, `quantum_efficiency`), spurious electrons join them, the multiplication register turns n of them
    into a gamma-distributed number of shape n and scale `em_gain`, and read noise is added. The multiplication doubles the variance of
    the light, as if half of the photons had been lost.

    Parameters
    ----------
    quantum_efficiency : float
        Electrons per photon, above 0 and at most 1.
    spurious_e : float
        Mean spurious electrons per pixel and frame before multiplication.
    em_gain : float
        Mean multiplication, at least 1.
    read_noise_e : float
        Standard deviation of the read noise after multiplication, electrons.
    electrons_per_count : float
        Multiplied electrons to a count.
    offset : float
        Counts of a pixel without light.

    Raises
    ------
    SuperlensError
        When a value is out of its range.

    References
    ----------
    M. Hirsch et al., "A stochastic model for electron multiplication charge-coupled devices", PLoS ONE 8, e53671 (2013). The defaults are
    those of the 2016 single-molecule challenge (D. Sage et al., Nat. Methods 16, 387 (2019)).

    Examples
    --------
    >>> round(EMCCD().gain, 2)
    6.67
    """

    quantum_efficiency: float = 0.9
    spurious_e: float = 0.002
    em_gain: float = 300.0
    read_noise_e: float = 74.4
    electrons_per_count: float = 45.0
    offset: float = 100.0

    excess: ClassVar[float] = EXCESS
    """Variance of the light in the picture over that of a camera without multiplication."""

    def __post_init__(self) -> None:
        require("quantum_efficiency", self.quantum_efficiency, 0 < self.quantum_efficiency <= 1, "above 0, at most 1")
        require("spurious_e", self.spurious_e, 0 <= self.spurious_e < 1e4, "0 or more electrons")
        require("em_gain", self.em_gain, 1 <= self.em_gain < 1e5, "1 or more")
        require("read_noise_e", self.read_noise_e, 0 <= self.read_noise_e < 1e6, "0 or more electrons")
        require("electrons_per_count", self.electrons_per_count, 0 < self.electrons_per_count < 1e6, "above 0")
        require("offset", self.offset, np.isfinite(self.offset), "a finite number of counts")

    @property
    def gain(self) -> float:
        """Counts per electron before multiplication."""
        return self.em_gain / self.electrons_per_count

    def as_camera(self) -> Camera:
        """The linear camera of the same gain, offset and read noise; its variance lacks the factor `excess` of the light."""
        return Camera(self.gain, self.offset, self.read_noise_e / self.em_gain)

    def expose(self, photons: ArrayLike, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Take a picture.

        Parameters
        ----------
        photons : array_like
            Mean photons that fall on each pixel, at least 0.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray, the shape of `photons`, uint16, counts
            With the mean ``offset + gain * (quantum_efficiency * photons + spurious_e)`` before clipping to 0 .. 65535.

        Raises
        ------
        SuperlensError
            When a photon number is negative or not finite.
        """
        mean = _light(photons)
        electrons = rng.poisson(self.quantum_efficiency * mean + self.spurious_e)
        multiplied = self.em_gain * rng.standard_gamma(electrons)
        read = multiplied + self.read_noise_e * rng.standard_normal(mean.shape)
        return _stored(self.offset + read / self.electrons_per_count)


@dataclass(frozen=True, slots=True, eq=False)
class SCMOS:
    """A camera whose pixels have amplifiers of their own.

    Parameters
    ----------
    offset : ndarray, shape (Y, X), counts
        Counts of each pixel without light.
    variance : ndarray, shape (Y, X), counts squared
        Variance of each pixel without light.
    gain : ndarray, shape (Y, X), counts per electron
    quantum_efficiency : float
        Electrons per photon, above 0 and at most 1.

    Raises
    ------
    SuperlensError
        When the maps differ in shape or hold impossible values.

    References
    ----------
    F. Huang et al., "Video-rate nanoscopy using sCMOS camera-specific single-molecule localization algorithms", Nat. Methods 10, 653
    (2013).

    Examples
    --------
    >>> even = np.ones((32, 48))
    >>> camera = SCMOS(100 * even, 9 * even, 2.2 * even)
    >>> camera.expose(np.full((32, 48), 50.0), np.random.default_rng(1)).shape
    (32, 48)
    """

    offset: Floats = field(repr=False)
    variance: Floats = field(repr=False)
    gain: Floats = field(repr=False)
    quantum_efficiency: float = 1.0

    def __post_init__(self) -> None:
        require("quantum_efficiency", self.quantum_efficiency, 0 < self.quantum_efficiency <= 1, "above 0, at most 1")
        for name in ("offset", "variance", "gain"):
            values = np.array(getattr(self, name), np.float64)
            if values.ndim != 2 or values.shape != np.shape(self.offset):
                raise SuperlensError(f"{name} has the shape {values.shape}; expected three maps of one shape (Y, X).")
            if not np.isfinite(values).all():
                raise SuperlensError(f"{name} holds values that are not finite; replace such pixels first.")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        require("variance", float(self.variance.min()), bool(self.variance.min() >= 0), "0 or more counts squared")
        require("gain", float(self.gain.min()), bool(self.gain.min() > 0), "above 0 counts per electron")

    def as_camera(self) -> Camera:
        """The linear camera of the mean pixel."""
        read_noise_e = float(np.sqrt(np.mean(self.variance / self.gain**2)))
        return Camera(float(self.gain.mean()), float(self.offset.mean()), read_noise_e)

    def expose(self, photons: ArrayLike, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Take a picture.

        Parameters
        ----------
        photons : array_like, shape (..., Y, X)
            Mean photons that fall on each pixel, at least 0; the last two axes are those of the maps.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray, the shape of `photons`, uint16, counts
            With the mean ``offset + gain * quantum_efficiency * photons`` before clipping to 0 .. 65535.

        Raises
        ------
        SuperlensError
            When a photon number is negative or not finite, or the picture has other sides than the maps.
        """
        mean = _light(photons)
        if mean.shape[-2:] != self.offset.shape:
            raise SuperlensError(
                f"photons has the shape {mean.shape}, and the maps of the camera {self.offset.shape}; "
                "expected the same y and x. Cut the maps to the part of the chip that was read."
            )
        electrons = rng.poisson(self.quantum_efficiency * mean)
        return _stored(self.offset + self.gain * electrons + np.sqrt(self.variance) * rng.standard_normal(mean.shape))


def _light(photons: ArrayLike) -> Floats:
    mean = np.asarray(photons, np.float64)
    if mean.size and not (np.isfinite(mean).all() and mean.min() >= 0):
        raise SuperlensError(
            f"photons holds values from {np.min(mean):g} to {np.max(mean):g}; expected finite numbers of at least 0."
        )
    return mean


def _stored(counts: Floats) -> NDArray[np.uint16]:
    return np.clip(np.rint(counts), 0, _TOP).astype(np.uint16)
