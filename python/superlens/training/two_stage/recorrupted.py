"""One image re-corrupted into two copies of independent noise.

An image of known noise is split into two whose noises are uncorrelated: its photons are dealt out, one by one
(`superlens.camera.share_photons`), so that the copies are independent also where few photons are; or, as in the original, a Gaussian
field is added to one and subtracted from the other (`superlens.camera.recorrupt`).

References
----------
Pang et al., CVPR 2021, and Monroy et al., CVPR 2025: recorrupted-to-recorrupted pairs. Qiao et al., Nat. Commun. 15, 4180 (2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superlens.camera import recorrupt
from superlens.observing.observation import noise_sigma, noisy_pair
from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recordings import Recording

__all__ = ["GaussianCopies", "PhotonCopies", "Spread", "sigma_of"]

Array = NDArray[np.float32]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Ranges that re-corruption draws from.

    Attributes
    ----------
    alpha : pair of float
        How the noise is shared between the copies.
    shot, read : pair of float
        Factors of the variances of shot and read noise.
    """

    alpha: Range = (1.0, 1.0)
    shot: Range = (1.0, 1.0)
    read: Range = (1.0, 1.0)


class PhotonCopies:
    """Photons dealt out between two copies; where neighbouring pixels share noise, a Gaussian field of that correlation.

    Parameters
    ----------
    recordings : sequence of Recording
    sides : sequence of int
        Of the part of a recording that a pair is made from, at most.
    spread : Spread
    beside : int
        Slices at a cut that do not count.
    """

    def __init__(
        self, recordings: Sequence[Recording], sides: Sequence[int], spread: Spread, *, beside: int = 0
    ) -> None:
        self._recordings, self._sides, self._spread, self._beside = recordings, sides, spread, beside

    def draw(self, rng: np.random.Generator) -> Pair:
        """Copies of a random part of a random recording."""
        one = self._recordings[int(rng.integers(len(self._recordings)))].part(rng, self._sides, self._beside)
        alpha = rng.uniform(*self._spread.alpha)
        return self.split(one, alpha, rng, shot=rng.uniform(*self._spread.shot), read=rng.uniform(*self._spread.read))

    def split(
        self, one: Recording, alpha: float, rng: np.random.Generator, *, shot: float = 1.0, read: float = 1.0
    ) -> Pair:
        """Copies of one recording."""
        made, other = noisy_pair(
            _planes(one.counts), one.camera, alpha, rng, covariance=one.covariance, shot=shot, read=read
        )
        # The level of the noise from the input itself: that of the recording holds its own noise, which the target holds too.
        sigma = noise_sigma(made, one.camera) * np.float32(math.sqrt(1 + alpha**2))
        made, other, sigma = (values.reshape(one.counts.shape) for values in (made, other, sigma))
        return Pair(one.without_haze(made), one.without_haze(other), sigma, one.free, one.bounds)


class GaussianCopies:
    """A Gaussian field added to one copy and subtracted from the other, as in the original; every pixel counts alike."""

    def __init__(self, recordings: Sequence[Recording], spread: Spread) -> None:
        self._recordings, self._spread = recordings, spread

    def draw(self, rng: np.random.Generator) -> Pair:
        """Copies of a random recording."""
        one = self._recordings[int(rng.integers(len(self._recordings)))]
        shot, read = rng.uniform(*self._spread.shot), rng.uniform(*self._spread.read)
        sigma = sigma_of(one, shot=shot, read=read)
        made, other = recorrupt(one.counts, sigma, rng.uniform(*self._spread.alpha), rng)
        made, other = one.without_haze(made), one.without_haze(other)
        bounds = float(min(made.min(), other.min())), float(max(made.max(), other.max()))
        return Pair(made, other, sigma, one.free, bounds)


def sigma_of(one: Recording, *, shot: float = 1.0, read: float = 1.0) -> Array:
    """Standard deviation of the noise of a recording."""
    sigma = noise_sigma(_planes(one.counts), one.camera, shot=shot, read=read)
    return sigma.reshape(one.counts.shape)


def _planes(values: Array) -> Array:
    return values.reshape(-1, *values.shape[-2:])
