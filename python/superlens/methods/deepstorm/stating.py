"""What error to state for a molecule that was found: a law that is learned where the truth is known.

How far off a finding is depends on the light of the molecule, on how much it overlaps with others, and on what the network made of it:
a peak that is low or wide holds more than one molecule, or one that the network did not see clearly. In: these for molecules of
simulated frames, with their true errors. Out: an `ErrorLaw`, which states an error for any molecule, so that 68.3 % of the errors along
x and along y lie within it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

__all__ = ["ErrorLaw", "signs_of"]

Floats = NDArray[np.float64]

_SIGNS = 4
_WITHIN = 0.683
_FEWEST = 200
_RIM = 0.002
"""Share of the molecules beyond either end of each sign that the law does not follow."""
_RIDGE = 1e-3
_TAILS = 4.0
"""Degrees of freedom of the errors' law while it is learned: a few that are far off do not decide."""


def signs_of(bound: Floats, crowding: Floats, height: NDArray[np.floating], width: Floats) -> Floats:
    """What errors are told by, shape (N, 4), all but the crowding as logarithms.

    Parameters
    ----------
    bound, crowding : ndarray, shape (N,)
        Of `superlens.smlm.refining.Refined`, the bound in camera pixels of the training.
    height, width : ndarray, shape (N,)
        Of `superlens.methods.deepstorm.detect.Found`.
    """
    logs = [np.log(np.maximum(values, 1e-6)) for values in (bound, height, width)]
    return np.stack([*logs, np.sqrt(crowding)], axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class ErrorLaw:
    """The logarithm of the error as a parabola of the signs; beyond what it was learned from it stays as at the rim.

    Attributes
    ----------
    low, high : tuple of float
        Ends of the signs that it was learned from.
    weights : tuple of float
        Of 1, of each sign, and of each product of two, the signs measured from -1 at the low end to 1 at the high one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def learn(cls, signs: Floats, errors: Floats) -> Self:
        """The law that makes the errors, shape (N, 2), along x and along y, likeliest; of few molecules, that of their bounds alone.

        Parameters
        ----------
        signs : ndarray, shape (N, 4)
            Of `signs_of`.
        errors : ndarray, shape (N, 2)
            In the pixels of the bound.
        """
        if len(errors) < _FEWEST:
            ratio = np.abs(errors) / np.exp(signs[:, :1])
            return cls.of_bound(float(np.quantile(ratio, _WITHIN)) if len(errors) else 2.0)
        low, high = np.quantile(signs, [_RIM, 1 - _RIM], axis=0)
        terms = _terms(signs, low, high)
        start = np.zeros(terms.shape[1])
        start[0] = math.log(float(np.median(np.abs(errors))) + 1e-6)
        weights = optimize.minimize(_unlikeliness, start, (terms, errors), jac=True, method="L-BFGS-B").x
        ratio = np.abs(errors) / np.exp(terms @ weights)[:, None]
        weights[0] += math.log(float(np.quantile(ratio, _WITHIN)))
        return cls(tuple(low.tolist()), tuple(high.tolist()), tuple(weights.tolist()))

    @classmethod
    def of_bound(cls, factor: float) -> Self:
        """A law for want of a better one: so many times the bound of the light."""
        count = 1 + _SIGNS + _SIGNS * (_SIGNS + 1) // 2
        low, high = math.log(1e-3), math.log(10.0)  # pixels
        weights = np.zeros(count)
        weights[:2] = math.log(factor) + 0.5 * (low + high), 0.5 * (high - low)
        return cls((low,) * _SIGNS, (high,) * _SIGNS, tuple(weights.tolist()))

    def __call__(self, signs: Floats) -> Floats:
        """Standard deviations of x and of y, shape (N,), pixels of the training, for signs, shape (N, 4)."""
        terms = _terms(signs, np.array(self.low), np.array(self.high))
        return np.asarray(np.exp(terms @ np.array(self.weights)), np.float64)

    def told(self) -> dict[str, tuple[float, ...]]:
        """As numbers for a model file."""
        return {name: tuple(values) for name, values in asdict(self).items()}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From the numbers of a model file."""
        return cls(*(tuple(float(v) for v in told[name]) for name in ("low", "high", "weights")))


def _terms(signs: Floats, low: Floats, high: Floats) -> Floats:
    """1, the signs from -1 to 1, and their products, shape (N, 15)."""
    z = 2 * (np.clip(signs, low, high) - low) / np.maximum(high - low, 1e-9) - 1
    first, second = np.triu_indices(z.shape[1])
    return np.concatenate([np.ones((len(z), 1)), z, z[:, first] * z[:, second]], axis=1)


def _unlikeliness(weights: Floats, terms: Floats, errors: Floats) -> tuple[float, Floats]:
    """Mean negative logarithm of the likelihood of errors under Student's law, up to a constant, and its slope with the weights."""
    logs = terms @ weights
    square = (errors * np.exp(-logs)[:, None]) ** 2 / _TAILS
    power = 0.5 * (_TAILS + 1)
    value = np.mean(logs[:, None] + power * np.log1p(square)) + _RIDGE * np.sum(weights[1:] ** 2)
    slope = terms.T @ np.mean(1.0 - 2 * power * square / (1 + square), axis=1) / len(terms)
    slope[1:] += 2 * _RIDGE * weights[1:]
    return float(value), slope
