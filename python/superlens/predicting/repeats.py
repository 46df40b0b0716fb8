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

_SIDES = {2: (320, 320), 3: (8, 96, 96)}  # ([slices,] rows, columns) of the part that is looked at
_MOST = 3  # images that are looked at
_VISIBLE = 0.25  # of the squared error that is stated, above which there is detail to speak of
_SHARE = 0.9545  # of normal deviates, within two standard deviations
_NEIGHBOURHOOD = 4.0  # FWHM of the point spread function: of the Gaussian over which a place is compared


@dataclass(frozen=True, slots=True)
class Repeats:
    """How two results from halves of the photons compare.

    Attributes
    ----------
    growth : float
        Factor, at least 1, by which stated errors must grow, so that 95.4 % of the pixels differ by at most twice the two stated errors together.
    unrepeated : float
        Share of the detail, in squares, that would not be there in another recording of the same light, 0 to 1; NaN where there is no detail.
    places : ndarray, shape (y, x), float32, or None
        That share around each pixel of the sharp image, of the middle of the middle plane; NaN where there is no detail. None for several images,
        of which it would be one.
    """

    growth: float
    unrepeated: float
    places: NDArray[np.float32] | None = None


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
    places: NDArray[np.float32] | None = None
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
        if len(observations) == 1:
            places = _around_each(first, second, float(np.median(its)), detail_px)
    return Repeats(growth, lost / (lost + kept) if lost + kept > _VISIBLE * stated else math.nan, places)


def _around_each(first: NDArray[Any], second: NDArray[Any], stated: float, fwhm_px: float) -> NDArray[np.float32]:
    """Around each pixel of the middle plane, the share of the detail of two halves that would not be there again."""
    middle = len(first) // 2 if first.ndim == 3 else ...
    one, two = (np.asarray(detail[middle], np.float64) for detail in (first, second))
    width = _NEIGHBOURHOOD * fwhm_px / 2.355
    noise = ndimage.gaussian_filter((one - two) ** 2, width, mode="reflect") / 4
    both = ndimage.gaussian_filter((one**2 + two**2) / 2, width, mode="reflect")
    there = noise + np.maximum(both - 2 * noise, 0)
    share = np.divide(noise, there, out=np.full(noise.shape, np.nan), where=there > _VISIBLE * stated**2)
    return np.asarray(share, np.float32)


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
    """The middle of the middle image or volume, at most so large."""
    one = values[len(values) // 2]
    cut = tuple(
        slice((n - min(n, m)) // 2, (n + min(n, m)) // 2) for n, m in zip(one.shape, _SIDES[one.ndim], strict=True)
    )
    return np.asarray(one[cut], np.float32)


def _planes(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, *values.shape[-2:])
