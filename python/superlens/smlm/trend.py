"""How bright molecules are as a movie goes on: a lamp that fades, or a focus that is lost, dims them all alike.

In: isolated blinks of several parts of a movie, fitted. Out: a `LightTrend`, by which the usual brightness of a molecule is followed from
frame to frame. It is an exponential, and only one that the blinks show for certain; bleaching makes molecules fewer and not dimmer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LightTrend", "light_trend"]

Floats = NDArray[np.float64]

_FEWEST_PARTS, _FEWEST_BLINKS = 4, 8
_CERTAIN = 5.0  # standard errors
_WORTH = 1.5  # factor between the ends of a movie
_SCATTER = 0.5  # of the logarithm of the photons of a blink, at least


@dataclass(frozen=True, slots=True)
class LightTrend:
    """The brightness of a molecule over its usual one, ``level * exp(rate * frame)``.

    Attributes
    ----------
    rate : float
        Natural logarithm of the change from one frame to the next.
    level : float
        In frame 0.
    """

    rate: float
    level: float

    def at(self, frames: NDArray[np.integer]) -> Floats:
        """Of frames, from 0."""
        return np.asarray(self.level * np.exp(self.rate * np.asarray(frames, np.float64)))

    def message(self, frames: int) -> str:
        """What the user should know of a movie with so many frames."""
        times = math.exp(abs(self.rate) * max(frames - 1, 1))
        way = "dimmer" if self.rate < 0 else "brighter"
        return (
            f"Molecules become {times:.2g} times {way} from the first frame to the last; their brightness is followed."
        )


def light_trend(numbers: Sequence[float], blinks: Sequence[Floats], frames: NDArray[np.integer]) -> LightTrend | None:
    """Find a trend in the brightness of blinks.

    Parameters
    ----------
    numbers : sequence of float
        Middle frame of each part of the movie.
    blinks : sequence of ndarray
        Photons of the isolated blinks of each part.
    frames : ndarray of int
        All frames that the usual brightness was estimated from; brighter ones weigh more in it.

    Returns
    -------
    LightTrend or None
        None where the blinks show none for certain, or one that does no harm.

    Examples
    --------
    >>> parts = [np.full(20, 1000.0 * 0.5**part) for part in range(5)]
    >>> round(math.exp(100 * light_trend([0, 100, 200, 300, 400], parts, np.arange(401)).rate), 3)
    0.5
    """
    told = [(at, one) for at, one in zip(numbers, blinks, strict=True) if len(one) >= _FEWEST_BLINKS]
    if len(told) < _FEWEST_PARTS:
        return None
    at = np.array([number for number, _ in told], np.float64)
    middle = np.array([math.log(float(np.median(one))) for _, one in told])
    errors = [1.25 * max(float(np.std(np.log(one))), _SCATTER) / math.sqrt(len(one)) for _, one in told]
    weight = 1.0 / np.square(errors)
    centre = float(np.average(at, weights=weight))
    spread = float(np.sum(weight * (at - centre) ** 2))
    rate = float(np.sum(weight * (at - centre) * middle)) / spread
    left = middle - np.average(middle, weights=weight) - rate * (at - centre)
    misfit = max(1.0, float(np.sum(weight * left**2)) / (len(at) - 2))
    span = float(np.ptp(frames))
    if abs(rate) * span < math.log(_WORTH) or abs(rate) < _CERTAIN * math.sqrt(misfit / spread):
        return None
    shape = np.exp(rate * np.asarray(frames, np.float64))
    return LightTrend(rate, float(shape.mean() / np.mean(shape**2)))
