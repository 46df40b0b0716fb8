"""Does the result repeat? Asked of the image itself: its photons are dealt into two halves, and each is enhanced.

A fine-tuned network follows the image more closely than the pretrained one, whose stated error it takes over, and so follows more of its
noise. What differs between the halves is noise alone, so that it must not differ by more than the stated errors say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.camera import Camera
from superlens.observing.observation import Observation, noise_sigma, noisy_pair
from superlens.predicting.predictor import Predictor
from superlens.predicting.whole import predict_whole

__all__ = ["Repeats", "compare_halves", "finer_than_psf"]

_SIDES = {2: (192, 192), 3: (8, 96, 96)}  # ([slices,] rows, columns) of the part that is looked at
_MOST = 3  # images that are looked at
_VISIBLE = 0.25  # of the squared error that is stated, above which there is detail to speak of
_SHARE = 0.9545  # of normal deviates, within two standard deviations


@dataclass(frozen=True, slots=True)
class Repeats:
    """How two results from halves of the photons compare.

    Attributes
    ----------
    growth : float
        Factor, at least 1, by which stated errors must grow, so that 95.4 % of the pixels differ by at most twice the two stated errors together.
    unrepeated : float
        Share of the detail, in squares, that would not be there in another recording of the same light, 0 to 1; NaN where there is no detail.
    """

    growth: float
    unrepeated: float


def compare_halves(
    predictor: Predictor, observations: Sequence[Observation], seed: int, *, detail_px: float
) -> Repeats:
    """Deal the photons of each image into halves, enhance both, and compare.

    Detail is what is finer than the point spread function. The squared difference of the halves is twice the noise of each, and four times
    that of all the light; what they have in common is there.

    Parameters
    ----------
    predictor : Predictor
        Of the model that was learned; gives the roles "sharp" and "uncertainty".
    observations : sequence of Observation
        What it learned from, at the sampling of the camera.
    seed : int
    detail_px : float
        FWHM of the point spread function, pixels of the sharp image.
    """
    growth, lost, kept, stated = 1.0, 0.0, 0.0, 0.0
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
        first, second = (finer_than_psf(image, detail_px) for image in (one, other))
        noise = float(np.mean((first - second) ** 2)) / 2  # of the detail of one half
        lost += noise / 2
        kept += max(float(np.mean(first**2) + np.mean(second**2)) / 2 - noise, 0.0)
        stated += float(np.median(its)) ** 2
    return Repeats(growth, lost / (lost + kept) if lost + kept > _VISIBLE * stated else math.nan)


def finer_than_psf(image: NDArray[Any], fwhm_px: float) -> NDArray[Any]:
    """The detail of an image: what a Gaussian of that FWHM takes away, along y and x."""
    width = fwhm_px / 2.355
    return np.asarray(image - ndimage.gaussian_filter(image, (0,) * (image.ndim - 2) + (width, width), mode="reflect"))


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
