"""The microscope that all deconvolutions invert, with its checks: an image is a window on a larger specimen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.optics import ForwardModel

__all__ = ["checked_image", "checked_psf", "microscope", "mirrored"]

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]


def microscope(shape: Sequence[int], psf: Array, *, scale: int = 1, workers: int = 1) -> ForwardModel:
    """The forward model of an image whose light may come from beyond its borders.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image in camera pixels, ``(Y, X)`` or ``(Z, Y, X)``.
    psf : ndarray
        On the fine grid: as many axes, odd sides, centred. Scaled to sum 1.
    scale : int
        Fine pixels for each camera pixel along y and x, 1 to 4.
    workers : int
        Threads of the Fourier transforms.

    Raises
    ------
    SuperlensError
        The PSF has other axes than the image, an even side, negative or non-finite values, or no light.
    """
    if scale not in (1, 2, 3, 4):
        raise SuperlensError(f"scale is {scale}; expected 1, 2, 3 or 4.")
    return ForwardModel(shape, checked_psf(psf, len(shape)), scale=scale, edges="open", workers=workers)


def checked_psf(psf: Array, ndim: int) -> Array:
    """Return the PSF as float64 with sum 1, after checking that it has `ndim` axes, odd sides and no negative values."""
    psf = np.asarray(psf, np.float64)
    if psf.ndim != ndim or any(side % 2 == 0 for side in psf.shape):
        raise SuperlensError(
            f"psf has shape {psf.shape}; expected {ndim} axes like the image, each with an odd number of pixels."
        )
    total = float(psf.sum())
    if not np.isfinite(total) or total <= 0 or psf.min() < -1e-6 * psf.max():
        raise SuperlensError(
            f"psf has sum {total:.4g} and minimum {psf.min():.4g}; expected finite values, none below 0, not all 0."
        )
    return psf / total


def checked_image(image: Array) -> Float32:
    """Return the image as float32 after checking that it is finite."""
    image = np.asarray(image, np.float32)
    if not np.isfinite(image).all():
        bad = int(np.count_nonzero(~np.isfinite(image)))
        raise SuperlensError(
            f"image has {bad} values that are not finite; replace them, or use richardson_lucy, which skips them."
        )
    return image


def mirrored(array: Array, shape: Sequence[int], window: Sequence[slice]) -> Float32:
    """Put an image into the window of a larger array and mirror it into the rest."""
    widths = [(w.start, n - w.stop) for w, n in zip(window, shape, strict=True)]
    return np.pad(np.asarray(array, np.float32), widths, mode="reflect")
