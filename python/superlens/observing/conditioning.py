"""What a network gets besides the image: its noise, and what its PSF lets through.

Between an `Image` and a conditioned network lies one small step that training, zero-shot adaptation and prediction must do in exactly
the same way. In: a plane or a volume in counts above the offset, the standard deviation of its noise, and the PSF. Out: the channels
``([Z,] Y, X, 7)`` that the light two-stage network expects:

====  ======================================================================================================
0     the image, ``(y - level) / contrast``
1     ``1 + log10(sigma / contrast)``, the noise at each pixel
2-4   the image through Wiener filters that lead from the PSF to the target resolution, regularised by 0.3, 0.03, 0.003
5     how far to sharpen, ``log2(times narrower / 1.5)``, the same at each pixel
6     how wide the PSF is, ``log2(FWHM / 3.5 camera pixels)``, the same at each pixel
====  ======================================================================================================

`Normaliser` and `WienerBank` are values: they are made once, stored in the model file, and used unchanged ever after. The filters are
cut to a finite radius, so that a tile and the whole image give the same channels.

References
----------
Dong et al., Deep Wiener Deconvolution, NeurIPS 2020. Zhang et al., FFDNet, IEEE TIP 27 (2018), for the noise map as an input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = [
    "BANK_RADIUS",
    "BANK_RADIUS_Z",
    "CHANNELS",
    "REGULARISATION",
    "Normaliser",
    "WienerBank",
    "condition",
    "optics_scalars",
    "wiener_kernels",
]

REGULARISATION = (0.3, 0.03, 0.003)
"""Noise-to-signal power ratios of the Wiener filters, strongest first."""

BANK_RADIUS = 16
"""Radius of the filters, in camera pixels."""

BANK_RADIUS_Z = 8
"""Radius of the filters of volumes along z, in slices."""

CHANNELS = 4 + len(REGULARISATION)
"""Number of channels that `condition` returns."""

Array = NDArray[np.float32]
Border = Literal["symmetric", "wrap"]


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
    kernels : ndarray, shape (K, [2 * BANK_RADIUS_Z + 1,] 2 * BANK_RADIUS + 1, 2 * BANK_RADIUS + 1), float32
        Centred kernels, one for each value of `REGULARISATION`.
    scalars : pair of float
        What else a network is given of the optics, as `optics_scalars` makes it.
    """

    kernels: Array
    scalars: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def from_psf(
        cls,
        psf: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        scale: int = 2,
        scalars: tuple[float, float] = (0.0, 0.0),
    ) -> WienerBank:
        """Make the filters.

        Parameters
        ----------
        psf, target : ndarray, shape ([odd,] odd, odd), sum 1
            The PSF and the narrower PSF of the sharp image, both on the fine grid.
        scale : int
            Fine pixels in a camera pixel, along y and x.
        scalars : pair of float
            As `optics_scalars` makes them.
        """
        size = 4 * BANK_RADIUS
        while size * scale < max(psf.shape[-2:]):
            size *= 2
        depth = () if psf.ndim == 2 else (max(4 * BANK_RADIUS_Z, fft.next_fast_len(2 * psf.shape[0])),)
        shape = (*depth, size, size)
        kernels = wiener_kernels(_camera_otf(psf, shape, scale), _camera_otf(target, shape, scale), shape)
        return cls(kernels, scalars)

    def apply(self, values: Array, *, border: Border = "symmetric") -> Array:
        """Filter a plane or a volume.

        Parameters
        ----------
        values : ndarray, shape ([Z,] Y, X), float32
        border : {"symmetric", "wrap"}
            What lies beyond the lateral edges; beyond the first and last slice it is the mirrored volume.

        Returns
        -------
        ndarray, shape ([Z,] Y, X, K), float32
        """
        radii = _radii(values.ndim)
        padded = np.pad(values, [(r, r) for r in radii[:-2]] + [(0, 0)] * 2, mode="symmetric")
        padded = np.pad(padded, [(0, 0)] * (values.ndim - 2) + [(r, r) for r in radii[-2:]], mode=border)
        shape = [fft.next_fast_len(n, real=True) for n in padded.shape]
        spectrum = fft.rfftn(padded, shape)
        out = np.empty((*values.shape, len(self.kernels)), np.float32)
        inner = tuple(slice(2 * r, 2 * r + n) for r, n in zip(radii, values.shape, strict=True))
        for i, kernel in enumerate(self.kernels):
            out[..., i] = fft.irfftn(spectrum * fft.rfftn(kernel, shape), shape)[inner]
        return out


def wiener_kernels(
    otf: NDArray[np.inexact[Any]],
    target: NDArray[np.inexact[Any]],
    shape: tuple[int, ...],
    noise: NDArray[np.floating[Any]] | float = 1.0,
) -> Array:
    """Centred, tapered kernels of the bank.

    Parameters
    ----------
    otf, target : ndarray, shape ([Z,] Y, X // 2 + 1), complex or real
        Half-plane transfer functions on the camera grid, DC first.
    shape : tuple of int
        ``([Z,] Y, X)`` of the periodic grid, even laterally, at least twice the filter's diameter.
    noise : ndarray or float
        Power of the noise on the same half plane, of mean 1; 1 where it is white.
    """
    radii = _radii(len(shape))
    power = np.abs(otf) ** 2
    window = np.ones(())
    for r in radii:
        window = np.multiply.outer(window, np.hanning(2 * r + 3)[1:-1] ** 0.25)
    kernels = np.empty((len(REGULARISATION), *(2 * r + 1 for r in radii)), np.float32)
    for i, weight in enumerate(REGULARISATION):
        kernel = fft.irfftn(np.conj(otf) * target / (power + weight * noise), shape)
        kernel = np.roll(kernel, radii, axis=tuple(range(len(shape))))
        kernels[i] = kernel[tuple(slice(2 * r + 1) for r in radii)] * window
    return kernels


def _radii(ndim: int) -> tuple[int, ...]:
    return (BANK_RADIUS_Z, BANK_RADIUS, BANK_RADIUS)[-ndim:]


def condition(
    counts: Array, sigma: Array, normaliser: Normaliser, bank: WienerBank, *, border: Border = "symmetric"
) -> Array:
    """The channels that a conditioned network sees.

    Parameters
    ----------
    counts : ndarray, shape ([Z,] Y, X), float32, counts above the offset
    sigma : ndarray, shape ([Z,] Y, X), float32, counts
        Standard deviation of the noise.
    normaliser : Normaliser
    bank : WienerBank
    border : {"symmetric", "wrap"}
        As for `WienerBank.apply`.

    Returns
    -------
    ndarray, shape ([Z,] Y, X, CHANNELS), float32
    """
    plane = normaliser.forward(counts)
    out = np.empty((*plane.shape, CHANNELS), np.float32)
    out[..., 0] = plane
    out[..., 1] = 1.0 + np.log10(np.maximum(sigma / normaliser.contrast, 1e-4))
    out[..., 2:-2] = bank.apply(plane, border=border)
    out[..., -2:] = bank.scalars
    return out


def optics_scalars(narrower: float, fwhm_px: float) -> tuple[float, float]:
    """How far to sharpen and how wide the PSF is, as a network is given them.

    Parameters
    ----------
    narrower : float
        How many times narrower than the PSF the sharp image's response is.
    fwhm_px : float
        Lateral FWHM of the PSF, camera pixels.
    """
    return float(np.log2(narrower / 1.5)), float(np.log2(fwhm_px / 3.5))


def _camera_otf(psf: NDArray[np.float64], shape: tuple[int, ...], scale: int) -> NDArray[np.complex128]:
    """Transfer function from the fine grid to the camera pixel, at the camera's frequencies."""
    size = shape[-1]
    fine = np.zeros((*shape[:-2], size * scale, size * scale))
    fine[tuple(slice(side) for side in psf.shape)] = psf
    fine = np.roll(fine, tuple(-(side // 2) for side in psf.shape), axis=tuple(range(psf.ndim)))
    spectrum = fft.rfftn(fine)
    half = size // 2
    rows = np.r_[0:half, size * scale - (size - half) : size * scale]
    otf = spectrum[..., rows, :][..., : half + 1]
    ky = fft.fftfreq(size)[:, None]
    kx = fft.rfftfreq(size)[None, :]
    return np.asarray(otf * _box(ky, scale) * _box(kx, scale), np.complex128)


def _box(k: NDArray[np.float64], scale: int) -> NDArray[np.float64]:
    """Transfer function of the mean of ``scale`` fine pixels; ``k`` in cycles per camera pixel."""
    if scale == 1:
        return np.ones_like(k)
    phase = np.pi * k / scale
    return np.where(k == 0, 1.0, np.sin(scale * phase) / (scale * np.where(k == 0, 1.0, np.sin(phase))))
