"""Microscopes that the start for images learns from: what the light goes through, and what the network is given of it.

The network is given a point spread function that is right in one half of the patches and off in width in the other, or that lacks the
halo which the microscope has. What it is asked for is the response that follows from the given one, at a degree of sharpening drawn for
each patch. In: a random generator. Out: half-plane transfer functions on the fine grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.observing.conditioning import BANK_RADIUS, CHANNELS, Normaliser, optics_scalars, wiener_kernels
from superlens.optics import RESPONSES
from superlens.starts.specimens import FINE

__all__ = ["CAMERA", "Microscope", "airy_otf", "bin_pixels", "condition_periodic", "gauss_otf"]

Array = NDArray[np.float32]
Rng = np.random.Generator

CAMERA = FINE // 2
"""Side of a periodic specimen, camera pixels."""

_OFF = 0.10  # logarithm of the error of the given width, standard deviation
_MOST_OFF = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Microscope:
    """A random microscope.

    Attributes
    ----------
    otf : ndarray, shape (256, 129), float32
        What the light goes through.
    given : ndarray, shape (256, 129), float32
        What the network is given.
    target : ndarray, shape (256, 129), float32
        The response that the sharp image shall have.
    fwhm : float
        Of the light's point spread function, fine pixels.
    scalars : pair of float
        As `superlens.observing.conditioning.optics_scalars` makes them.
    """

    otf: Array
    given: Array
    target: Array
    fwhm: float
    scalars: tuple[float, float]

    @classmethod
    def draw(cls, rng: Rng) -> Microscope:
        """Draw one."""
        fwhm = 2 * np.exp(rng.uniform(np.log(1.2), np.log(8.0)))  # fine pixels
        airy = rng.random() < 0.6
        power = rng.uniform(1, 2) if airy and rng.random() < 0.3 else 1.0
        squeeze = np.exp(rng.normal(0, 0.04)) if rng.random() < 0.5 else 1.0
        halo = rng.uniform(0, 0.4) if rng.random() < 0.4 else 0.0
        halo_width = rng.uniform(1.7, 4.0)
        narrower = float(np.exp(rng.uniform(np.log(1.2), np.log(2.5)))) if rng.random() < 0.6 else 1.5
        off = np.clip(np.exp(rng.normal(0, _OFF)), 1 - _MOST_OFF, 1 + _MOST_OFF) if rng.random() < 0.5 else 1.0
        given_halo = 0.0 if rng.random() < 0.2 else halo
        ky = fft.fftfreq(FINE)[:, None] * squeeze
        kx = fft.rfftfreq(FINE)[None, :] / squeeze
        k = np.hypot(ky, kx).astype(np.float32)

        def otf(width: float, halo: float) -> Array:
            core = airy_otf(k * width * np.sqrt(power) / 1.02) if airy else gauss_otf(k * width)
            if power != 1.0:
                psf = np.maximum(fft.irfft2(core, (FINE, FINE)), 0) ** power
                core = fft.rfft2(psf / psf.sum()).real
            return ((1 - halo) * core + halo * gauss_otf(k * width * halo_width)).astype(np.float32)

        stated, width = RESPONSES["YX"], fwhm * off
        target = (1 - stated.core_share) * otf(width / narrower, given_halo)
        target += stated.core_share * otf(width / stated.core, given_halo)
        return cls(otf(fwhm, halo), otf(width, given_halo), target, fwhm, optics_scalars(narrower, width / 2))


def airy_otf(ratio: Array) -> Array:
    """Incoherent transfer function of a clear pupil; ``ratio`` is frequency over cutoff."""
    r = np.clip(ratio, 0, 1)
    return np.asarray((2 / np.pi) * (np.arccos(r) - r * np.sqrt(1 - r * r)), np.float32)


def gauss_otf(cycles_per_fwhm: Array) -> Array:
    """Transfer function of a Gaussian; argument is frequency times FWHM."""
    return np.asarray(np.exp(-((np.pi * cycles_per_fwhm) ** 2) / (4 * np.log(2))), np.float32)


def bin_pixels(fine: Array) -> Array:
    """The mean of 2 x 2 fine pixels."""
    return np.asarray(fine.reshape(CAMERA, 2, CAMERA, 2).mean((1, 3)))


def condition_periodic(noisy: Array, sigma: Array, normaliser: Normaliser, microscope: Microscope) -> Array:
    """As `superlens.observing.conditioning.condition`, on a periodic plane."""
    half = CAMERA // 2
    rows = np.r_[0:half, FINE - half : FINE]
    box = np.cos(np.pi * fft.fftfreq(CAMERA) / 2)[:, None] * np.cos(np.pi * fft.rfftfreq(CAMERA) / 2)[None, :]
    given, target = (one[rows][:, : half + 1] * box for one in (microscope.given, microscope.target))
    kernels = wiener_kernels(given, target, (CAMERA, CAMERA))
    plane = normaliser.forward(noisy)
    spectrum = fft.rfft2(plane)
    out = np.empty((CAMERA, CAMERA, CHANNELS), np.float32)
    out[..., 0] = plane
    out[..., 1] = 1.0 + np.log10(np.maximum(sigma / normaliser.contrast, 1e-4))
    out[..., -2:] = microscope.scalars
    for i, kernel in enumerate(kernels):
        wide = np.zeros((CAMERA, CAMERA), np.float32)
        wide[: 2 * BANK_RADIUS + 1, : 2 * BANK_RADIUS + 1] = kernel
        shifted = np.roll(wide, (-BANK_RADIUS, -BANK_RADIUS), axis=(0, 1))
        out[..., 2 + i] = fft.irfft2(spectrum * fft.rfft2(shifted), plane.shape)
    return out
