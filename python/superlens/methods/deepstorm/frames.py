"""From counts to what the network sees: frames measured in the brightness of one molecule.

A network that is fed the peak of a lone molecule as 1 and the background as 0 works on any camera at any light. Both come from the
movie (`superlens.smlm.estimation`) or from the user. The original measures each frame by its own minimum and maximum instead, which a
hot pixel or a fiducial upsets; it is kept to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from superlens.methods.deepstorm.settings import DeepStormConfig

__all__ = ["Units", "peak_share"]

Array = NDArray[np.float32]


def peak_share(sigma_pixels: float) -> float:
    """Share of a molecule's light on the pixel it is centred on.

    Examples
    --------
    >>> round(peak_share(1.1), 3)
    0.123
    """
    return float((2 * ndtr(0.5 / sigma_pixels) - 1) ** 2)


@dataclass(frozen=True, slots=True)
class Units:
    """What frames are measured in.

    Attributes
    ----------
    normalise : str
        See `DeepStormConfig`.
    sigma_pixels : float
        Standard deviation of the image of a molecule.
    mean, deviation : float
        Of frames between 0 and 1, for "range".
    """

    normalise: str
    sigma_pixels: float
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, config: DeepStormConfig, measured: tuple[float, float] = (0.0, 1.0)) -> Units:
        """Units of a configuration; ``measured`` is the mean and deviation of frames between 0 and 1."""
        return cls(config.normalise, config.sigma_pixels, *measured)

    def __call__(self, electrons: NDArray[Any], photons: Any, background: Any) -> Array:
        """Normalise frames.

        Parameters
        ----------
        electrons : ndarray, shape (B, Y, X)
        photons : float or ndarray, shape (B, 1, 1)
            Mean photons of a molecule.
        background : float or ndarray, shape (B, 1, 1) or (Y, X)
            Photons of a pixel besides.

        Returns
        -------
        ndarray, shape (B, Y, X, 1), float32
        """
        if self.normalise == "range":
            low = electrons.min(axis=(1, 2), keepdims=True)
            high = electrons.max(axis=(1, 2), keepdims=True)
            scaled = (electrons - low) / np.maximum(high - low, 1e-6)
            return np.asarray((scaled - self.mean) / self.deviation, np.float32)[..., None]
        peak = photons * peak_share(self.sigma_pixels)
        return np.asarray((electrons - background) / peak, np.float32)[..., None]
