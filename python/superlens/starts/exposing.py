"""Cameras that the starts learn from: what is recorded of a noise-free image, and what an observer knows of it.

Most are what a scientific camera is: photons, read noise, a gain that was measured with some error. The others are what exports and
electron multiplication make of that: neighbours that share noise, counts cut at zero or at the top, eight bits, the wider noise of a
multiplier, rows and columns of their own, light from far out of focus of which only the noise is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.observing.conditioning import Normaliser

__all__ = ["Exposed", "jittered", "recorded"]

Array = NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Exposed:
    """What a random camera records of a noise-free image or volume, and what is known of it.

    Attributes
    ----------
    noisy : ndarray, shape ([Z,] Y, X), float32, electrons
    sigma : ndarray, shape ([Z,] Y, X), float32, electrons
        Standard deviation of the noise, as well as it is known from a measured camera.
    clean : ndarray, shape ([Z,] Y, X), electrons
    sharp : ndarray, shape ([Z,] 2 * Y, 2 * X), electrons
    normaliser : Normaliser
    """

    noisy: Array
    sigma: Array
    clean: Array
    sharp: Array
    normaliser: Normaliser

    @classmethod
    def draw(cls, clean: Array, sharp: Array, rng: Rng) -> Exposed:
        """Expose a periodic image or volume, given at camera sampling and sharp on the fine grid, in any unit."""
        clean = np.maximum(clean, 0)
        bright = clean[clean > 0.1 * clean.max()]
        photons = np.exp(rng.uniform(np.log(2.0), np.log(1000.0)))
        factor = photons / max(float(bright.mean()) if bright.size else 0.0, 1e-9)
        background = photons * (0.0 if rng.random() < 0.25 else np.exp(rng.uniform(np.log(0.02), np.log(4.0))))
        clean, sharp = clean * factor + background, sharp * factor + background
        haze = photons * _haze(clean.shape, rng) if rng.random() < 0.25 else np.zeros((), np.float32)
        read_noise = rng.uniform(0, 4) if rng.random() < 0.8 else 0.0
        doubled = rng.random() < 0.08  # a multiplier doubles the variance of the photons
        noisy = recorded(clean + haze, read_noise, doubled, rng)
        smoothed = ndimage.uniform_filter(noisy, (1, 5, 5)[-clean.ndim :], mode="wrap")
        gain_error, read_error = np.exp(rng.normal(0, 0.12, 2))
        variance = np.maximum(smoothed, 0.05) * gain_error * (2 if doubled else 1) + (read_noise * read_error) ** 2
        sigma = np.sqrt(variance).astype(np.float32)
        noisy = noisy - haze
        normaliser = Normaliser.measure(smoothed - haze, sigma)
        return cls(noisy.astype(np.float32), sigma, clean, sharp, jittered(normaliser, rng))

    def answers(self) -> tuple[Array, Array]:
        """The clean and the sharp image in network units, with a channel."""
        return self.normaliser.forward(self.clean)[..., None], self.normaliser.forward(self.sharp)[..., None]


def _haze(shape: tuple[int, ...], rng: Rng) -> Array:
    """Smooth light that has been found and taken away: what stays of it is its noise. In multiples of the structures' light."""
    width = rng.uniform(8, 40)
    field = ndimage.gaussian_filter(rng.random(shape[-2:], np.float32), width, mode="wrap")
    field = (field - field.min()) / max(float(np.ptp(field)), 1e-9)
    return np.asarray(np.exp(rng.uniform(np.log(0.1), np.log(8.0))) * field, np.float32)


def recorded(clean: Array, read_noise: float, doubled: bool, rng: Rng) -> Array:
    """Expose noise-free electrons; most cameras are plain, some exports are not."""
    counted: NDArray[np.floating] = rng.poisson(clean).astype(np.float64)
    if doubled:
        counted = rng.standard_gamma(np.maximum(counted, 1e-6)) * (counted > 0)
    noisy = counted + read_noise * rng.standard_normal(clean.shape, np.float32)
    if rng.random() < 0.22:
        noisy = clean + _shared(noisy - clean, rng)
    if rng.random() < 0.08:  # rows or columns of their own
        side = (clean.shape[-2], 1) if rng.random() < 0.5 else (1, clean.shape[-1])
        strength = rng.uniform(0.05, 0.4) * np.sqrt(float(clean.mean()) + read_noise**2)
        noisy = noisy + strength * rng.standard_normal(side, np.float32)
    if rng.random() < 0.10:  # an offset was taken away, and what was below it
        dark = float(np.percentile(clean, 5))
        noisy = np.maximum(noisy, dark - rng.uniform(0, 2) * np.sqrt(dark + read_noise**2))
    if rng.random() < 0.06:
        noisy = np.minimum(noisy, np.percentile(noisy, rng.uniform(99.0, 99.9)))
    if rng.random() < 0.12:  # eight bits, stretched
        low, high = float(noisy.min()), float(noisy.max())
        step = max(high - low, 1e-9) / rng.uniform(60, 255)
        noisy = low + step * np.round((noisy - low) / step)
    return np.asarray(noisy, np.float32)


def _shared(noise: Array, rng: Rng) -> Array:
    """Noise of the same variance that neighbouring pixels share."""
    if rng.random() < 0.6:
        share = rng.uniform(0.05, 0.35)
        for axis in (-2, -1):
            noise = noise + share * np.roll(noise, 1, axis)
        return np.asarray(noise / (1 + share * share), np.float32)
    width = rng.uniform(0.35, 0.75)
    tail = rng.uniform(0, 0.15)
    offsets = np.arange(-8, 9)
    square = offsets[:, None] ** 2 + offsets[None, :] ** 2
    kernel = np.exp(-square / (2 * width**2)) + tail * np.exp(-square / (2 * 3.0**2)) / 9
    kernel /= np.sqrt((kernel**2).sum())
    return np.asarray(ndimage.convolve(noise, kernel[(None,) * (noise.ndim - 2)], mode="wrap"), np.float32)


def jittered(normaliser: Normaliser, rng: Rng) -> Normaliser:
    """A normaliser as another part of the image might have given it."""
    if rng.random() < 0.4:
        return normaliser
    contrast = normaliser.contrast * np.exp(rng.uniform(-0.8, 0.5))
    return Normaliser(normaliser.level + normaliser.contrast * rng.normal(0, 0.15), contrast)
