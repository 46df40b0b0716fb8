"""`Detection`: the transfer function of a microscope in the plane of focus, in closed form.

That of an ideal objective, damped by one number, times the mean over a camera pixel. Unlike a PSF on a grid it is known at every frequency,
also at those that structured illumination shifts by fractions of a pixel. Frequencies are in cycles per camera pixel.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.optics.forward import Transfer
from superlens.optics.objective import Objective

__all__ = ["Detection"]

Floats = NDArray[np.float64]

_TABLE = 4096


@dataclass(frozen=True, slots=True)
class Detection:
    """Transfer function of the detection.

    Attributes
    ----------
    cutoff : float
        2 NA / wavelength, cycles per camera pixel.
    damping : float
        The ideal function is multiplied by ``damping ** (f / cutoff)``; 1 leaves it ideal.
    pixel : bool
        Whether a camera pixel takes the mean over its area.

    Examples
    --------
    >>> Detection(0.4).on(np.array([0.0, 0.4]), np.array([0.0, 0.0])).tolist()
    [1.0, 0.0]
    """

    cutoff: float
    damping: float = 1.0
    pixel: bool = True

    @classmethod
    def of(cls, objective: Objective, pixel_nm: float, damping: float = 1.0) -> Detection:
        """That of an objective."""
        return cls(2 * objective.na * pixel_nm / objective.wavelength_nm, damping)

    def on(self, fy: NDArray[Any], fx: NDArray[Any]) -> Floats:
        """The transfer function at frequencies that are broadcast to each other."""
        fy, fx = np.asarray(fy, np.float64), np.asarray(fx, np.float64)
        value = self.radial(np.sqrt(fy**2 + fx**2))
        if self.pixel:
            value *= np.sinc(fy)
            value *= np.sinc(fx)
        return value

    def radial(self, frequency: NDArray[Any]) -> Floats:
        """The same at distances from frequency 0, without the mean over a pixel."""
        radius = frequency * (_TABLE / self.cutoff)
        at = np.minimum(radius, _TABLE).astype(np.int32)
        table, slopes = _table(self.damping)
        value: Floats = table[at] + np.minimum(radius - at, 1) * slopes[at]
        return value

    def blur(self, scale: int, *, shift: tuple[float, float] = (0.0, 0.0)) -> Transfer:
        """The same as a blur on a grid of ``scale`` fine pixels, whose mean over a camera pixel `superlens.optics.ForwardModel` takes.

        Parameters
        ----------
        scale : int
        shift : (float, float)
            Camera pixels by which the image is moved along y and x.
        """

        def on(shape: tuple[int, ...]) -> NDArray[np.complex128]:
            y, x = (np.asarray(np.fft.fftfreq(side, 1 / scale), np.float64) for side in shape)
            fy, fx = y[:, None], x[None, :]
            value = self.on(fy, fx)
            inside = value > 0
            means = _binning(fy, scale) * _binning(fx, scale)
            value = np.divide(value, means, out=np.zeros_like(value), where=inside & (np.abs(means) > 1e-6))
            return np.asarray(value * np.exp(-2j * np.pi * (fy * shift[0] + fx * shift[1])))

        reach = math.ceil(4 * scale / self.cutoff)
        return Transfer(on, (reach, reach))

    def damped(self, damping: float) -> Detection:
        """The same with another damping."""
        return replace(self, damping=damping)

    def with_cutoff(self, cutoff: float) -> Detection:
        """The same with another cutoff, cycles per camera pixel."""
        return replace(self, cutoff=cutoff)


def _binning(frequency: Floats, scale: int) -> Floats:
    """What the mean over ``scale`` fine pixels does, about the middle of a camera pixel."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sin(np.pi * frequency) / (scale * np.sin(np.pi * frequency / scale))
    return np.where(frequency == 0, 1.0, ratio)


@functools.lru_cache(maxsize=8)
def _table(damping: float) -> tuple[Floats, Floats]:
    """The transfer function without the pixel at equal steps up to the cutoff, and its slopes."""
    ratio = np.minimum(np.arange(_TABLE + 2) / _TABLE, 1.0)
    table = (2 / np.pi) * (np.arccos(ratio) - ratio * np.sqrt(1 - ratio**2)) * damping**ratio
    table[_TABLE:] = 0
    return table[:-1], np.diff(table)
