"""Whether the molecules that were found can have sent the light that the frames hold.

In: frames in electrons, their background taken off, and the photons of what was found in them. Out: sentences where the two contradict
each other. A table that claims several times the light of its movie is wrong, whatever else speaks for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superlens.smlm.estimation import MovieEstimate

__all__ = ["LightBalance"]

_TOO_MUCH = 2.0
_UNSURE = 0.25
"""Of the noise of a pixel, how far the background of all of them may be off."""


@dataclass(frozen=True, slots=True)
class LightBalance:
    """Sums over frames.

    Attributes
    ----------
    held : float
        Light of the frames above their background, electrons.
    found : float
        Photons of the molecules that were found.
    unsure : float
        How far ``held`` may be off, since the background is only estimated.
    """

    held: float = 0.0
    found: float = 0.0
    unsure: float = 0.0

    def with_frames(
        self, even: NDArray[np.floating], estimate: MovieEstimate, photons: NDArray[np.floating]
    ) -> LightBalance:
        """The sums with some more frames.

        Parameters
        ----------
        even : ndarray, shape (T, Y, X), electrons
            Of `MovieEstimate.flat`.
        estimate : MovieEstimate
        photons : ndarray, shape (N,)
            Of the molecules in them.
        """
        noise = math.sqrt(max(estimate.background, 0.0) + estimate.camera.read_noise_e**2)
        return LightBalance(
            self.held + float(np.sum(even, dtype=np.float64)) - estimate.background * even.size,
            self.found + float(np.sum(photons)),
            self.unsure + _UNSURE * noise * even.size,
        )

    def plus(self, more: LightBalance) -> LightBalance:
        """The sums of both."""
        return LightBalance(self.held + more.held, self.found + more.found, self.unsure + more.unsure)

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Why what was found can't be right; empty as a rule."""
        most = max(self.held, 0.0) + self.unsure
        if self.found <= _TOO_MUCH * most:
            return ()
        return (
            f"the molecules that were found hold {self.found / most:.2g} times the light that the frames have above their background",
        )
