"""Does the result repeat? Asked of the image itself: its photons are dealt into two halves, and each is enhanced.

A fine-tuned network follows the image more closely than the pretrained one, whose stated error it takes over, and so follows more of its
noise. What differs between the halves is noise alone, so that it must not differ by more than the stated errors say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.observing.observation import Observation, noise_sigma, noisy_pair
from superlens.predicting.predictor import Predictor
from superlens.predicting.whole import predict_whole

__all__ = ["growth_of_errors"]

_SIDES = {2: (192, 192), 3: (8, 96, 96)}  # ([slices,] rows, columns) of the part that is looked at
_MOST = 3  # images that are looked at
_SHARE = 0.9545  # of normal deviates, within two standard deviations


def growth_of_errors(predictor: Predictor, observations: Sequence[Observation], seed: int) -> float:
    """Factor, at least 1, by which stated errors must grow to hold between independent halves of the photons.

    Parameters
    ----------
    predictor : Predictor
        Of the model that was learned; gives the roles "sharp" and "uncertainty".
    observations : sequence of Observation
        What it learned from, at the sampling of the camera.
    seed : int

    Returns
    -------
    float
        So that 95.4 % of the pixels differ by at most twice the two stated errors together.
    """
    growth = 1.0
    for number, observation in enumerate(observations[:: max(1, len(observations) // _MOST)][:_MOST]):
        rng = np.random.default_rng((seed, number))
        counts = _middle(observation.stacked(observation.counts, predictor.axes))
        haze = None if observation.haze is None else _middle(observation.stacked(observation.haze, predictor.axes))
        covariance = observation.noise.shared
        halves = noisy_pair(_planes(counts), observation.camera, 1.0, rng, covariance=covariance)
        made = [_enhanced(predictor, half.reshape(counts.shape), haze, observation.camera) for half in halves]
        (one, its), (other, others) = made
        apart = np.abs(one - other) / np.hypot(its, others)
        growth = max(growth, float(np.quantile(apart, _SHARE)) / 2)
    return growth


def _enhanced(
    predictor: Predictor, counts: NDArray[Any], haze: NDArray[Any] | None, camera: Camera
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The sharp image of half of the photons, and its stated error."""
    sigma = noise_sigma(_planes(counts), camera).reshape(counts.shape) * np.float32(math.sqrt(2))
    made = predict_whole(predictor, counts if haze is None else counts - haze, sigma, ("sharp", "uncertainty"))
    return made["sharp"], made["uncertainty"]


def _middle(values: NDArray[Any]) -> NDArray[np.float32]:
    """The middle of the first image or volume, at most so large."""
    one = values[0]
    cut = tuple(
        slice((n - min(n, m)) // 2, (n + min(n, m)) // 2) for n, m in zip(one.shape, _SIDES[one.ndim], strict=True)
    )
    return np.asarray(one[cut], np.float32)


def _planes(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, *values.shape[-2:])
