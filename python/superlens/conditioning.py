"""What a network is told besides the image: its noise, and what its PSF lets through.

Between an `Image` and a conditioned network lies one small step that training, zero-shot adaptation and prediction must do in exactly
the same way. In: an image plane in counts above the offset, the standard deviation of its noise, and the PSF. Out: the channels
``(Y, X, 5)`` that the light two-stage network expects:

====  ======================================================================================================
0     the image, ``(y - level) / contrast``
1     ``1 + log10(sigma / contrast)``, the noise at each pixel
2-4   the image through Wiener filters that lead from the PSF to the target resolution, regularised by 0.3, 0.03, 0.003
====  ======================================================================================================

`Normaliser` and `WienerBank` are values: they are made once, stored in the model file, and used unchanged ever after. The filters are
cut to a finite radius, so that a tile and the whole image give the same channels.

References
----------
Dong et al., Deep Wiener Deconvolution, NeurIPS 2020. Zhang et al., FFDNet, IEEE TIP 27 (2018), for the noise map as an input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["BANK_RADIUS", "CHANNELS", "REGULARISATION", "Normaliser", "WienerBank", "condition", "wiener_kernels"]

REGULARISATION = (0.3, 0.03, 0.003)
"""Noise-to-signal power ratios of the Wiener filters, strongest first."""

BANK_RADIUS = 16
"""Radius of the filters, in camera pixels."""

CHANNELS = 2 + len(REGULARISATION)
"""Number of channels that `condition` returns."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Normaliser:
    """An affine change of intensity, ``x = (y - level) / contrast``, measured once and undone exactly.

    Attributes
    ----------
    level : float
        Median of the smoothed image, counts.
    contrast : float
        Range of the smoothed image between its 1st and 99.7th percentile, counts; never below half the noise.
    """

    level: float
    contrast: float

    @classmethod
    def measure(cls, smoothed: Array, sigma: Array) -> Normaliser:
        """Measure an image.

        Parameters
        ----------
        smoothed : ndarray, shape (..., Y, X), float32, counts
            The image through a 5x5 mean.
        sigma : ndarray, shape (..., Y, X), float32, counts
            Standard deviation of its noise.
        """
        low, level, high = np.percentile(smoothed, (1.0, 50.0, 99.7))
        floor = 0.5 * float(np.mean(sigma))
        return cls(level=float(level), contrast=float(max(high - low, floor, np.finfo(np.float32).tiny * 1e6)))

    def forward(self, counts: Array) -> Array:
        """Counts to network units."""
        return ((counts - self.level) / self.contrast).astype(np.float32)

    def backward(self, values: Array) -> Array:
        """Network units to counts."""
        return (values * self.contrast + self.level).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class WienerBank:
    """Finite Wiener filters from the PSF to the target resolution, on the camera grid.

    Attributes
    ----------
    kernels : ndarray, shape (K, 2 * BANK_RADIUS + 1, 2 * BANK_RADIUS + 1), float32
        Centred kernels, one for each value of `REGULARISATION`.
    """

    kernels: Array

    @classmethod
    def from_psf(cls, psf: NDArray[np.float64], target: NDArray[np.float64], *, scale: int = 2) -> WienerBank:
        """Make the filters.

        Parameters
        ----------
        psf, target : ndarray, shape (odd, odd), sum 1
            The PSF and the narrower PSF of the sharp image, both on the fine grid.
        scale : int
            Fine pixels in a camera pixel, along each axis.
        """
        size = 4 * BANK_RADIUS
        while size * scale < max(psf.shape):
            size *= 2
        return cls(wiener_kernels(_camera_otf(psf, size, scale), _camera_otf(target, size, scale), size))

    def apply(self, plane: Array) -> Array:
        """Filter a plane with mirrored edges.

        Parameters
        ----------
        plane : ndarray, shape (Y, X), float32

        Returns
        -------
        ndarray, shape (Y, X, K), float32
        """
        r = BANK_RADIUS
        padded = np.pad(plane, r, mode="symmetric")
        shape = [fft.next_fast_len(n, real=True) for n in padded.shape]
        spectrum = fft.rfft2(padded, shape)
        out = np.empty((*plane.shape, len(self.kernels)), np.float32)
        for i, kernel in enumerate(self.kernels):
            full = fft.irfft2(spectrum * fft.rfft2(kernel, shape), shape)
            out[..., i] = full[2 * r : 2 * r + plane.shape[0], 2 * r : 2 * r + plane.shape[1]]
        return out


def wiener_kernels(otf: NDArray[np.inexact[Any]], target: NDArray[np.inexact[Any]], size: int) -> Array:
    """Centred, tapered kernels of the bank.

    Parameters
    ----------
    otf, target : ndarray, shape (size, size // 2 + 1), complex or real
        Half-plane transfer functions on the camera grid, DC first.
    size : int
        Side of the periodic grid, even, at least twice the filter's diameter.
    """
    r = BANK_RADIUS
    power = np.abs(otf) ** 2
    taper = np.hanning(2 * r + 3)[1:-1] ** 0.25
    window = np.outer(taper, taper)
    kernels = np.empty((len(REGULARISATION), 2 * r + 1, 2 * r + 1), np.float32)
    for i, weight in enumerate(REGULARISATION):
        kernel = fft.irfft2(np.conj(otf) * target / (power + weight), (size, size))
        kernel = np.roll(kernel, (r, r), axis=(0, 1))[: 2 * r + 1, : 2 * r + 1]
        kernels[i] = kernel * window
    return kernels


def condition(counts: Array, sigma: Array, normaliser: Normaliser, bank: WienerBank) -> Array:
    """The channels that a conditioned network sees.

    Parameters
    ----------
    counts : ndarray, shape (Y, X), float32, counts above the offset
    sigma : ndarray, shape (Y, X), float32, counts
        Standard deviation of the noise.
    normaliser : Normaliser
    bank : WienerBank

    Returns
    -------
    ndarray, shape (Y, X, CHANNELS), float32
    """
    plane = normaliser.forward(counts)
    out = np.empty((*plane.shape, CHANNELS), np.float32)
    out[..., 0] = plane
    out[..., 1] = 1.0 + np.log10(np.maximum(sigma / normaliser.contrast, 1e-4))
    out[..., 2:] = bank.apply(plane)
    return out


def _camera_otf(psf: NDArray[np.float64], size: int, scale: int) -> NDArray[np.complex128]:
    """Transfer function from the fine grid to the camera pixel, at the camera's frequencies."""
    fine = np.zeros((size * scale, size * scale))
    fine[: psf.shape[0], : psf.shape[1]] = psf
    fine = np.roll(fine, (-(psf.shape[0] // 2), -(psf.shape[1] // 2)), axis=(0, 1))
    spectrum = fft.rfft2(fine)
    half = size // 2
    rows = np.r_[0:half, size * scale - (size - half) : size * scale]
    otf = spectrum[rows][:, : half + 1]
    ky = fft.fftfreq(size)[:, None]
    kx = fft.rfftfreq(size)[None, :]
    return np.asarray(otf * _box(ky, scale) * _box(kx, scale), np.complex128)


def _box(k: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Transfer function of the mean of ``scale`` fine pixels; ``k`` in cycles per camera pixel."""
    if scale == 1:
        return np.ones_like(k)
    phase = np.pi * k / scale
    return np.where(k == 0, 1.0, np.sin(scale * phase) / (scale * np.where(k == 0, 1.0, np.sin(phase))))
