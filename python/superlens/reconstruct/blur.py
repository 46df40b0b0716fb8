"""The linear model of the microscope, which all deconvolutions invert, and the grids it lives on.

In: a specimen on the fine grid. Out: its image in camera pixels, by a periodic convolution on a domain that is larger
than the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError

__all__ = ["Blur", "binned", "centred", "checked_image", "checked_psf", "good_shape", "mirrored", "repeated"]

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]


class Blur:
    """The linear model of the microscope: from a fine specimen with margins to the mean over each camera pixel.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image in camera pixels, ``(Y, X)`` or ``(Z, Y, X)``.
    psf : ndarray
        On the fine grid: as many axes, odd sides, centred. Scaled to sum 1.
    scale : int
        Fine pixels for each camera pixel along y and x.
    workers : int
        Threads of the Fourier transforms.

    Attributes
    ----------
    domain : tuple of int
        Shape of the specimen with margins, periodic. The margins together are at least as wide as the PSF, so that no
        source lights two opposite borders.
    window : tuple of slice
        Where the image lies in the domain, in fine pixels.
    factors : tuple of int
        Fine pixels for each camera pixel along each axis; 1 along z.

    Raises
    ------
    SuperlensError
        The PSF has other axes than the image, an even side, negative or non-finite values, or no light.

    Examples
    --------
    >>> blur = Blur((8, 8), np.full((3, 3), 1 / 9), scale=2)
    >>> bool(np.allclose(blur.apply(np.ones(blur.domain, np.float32)), 1))
    True
    """

    def __init__(self, shape: Sequence[int], psf: Array, *, scale: int = 1, workers: int = 1) -> None:
        psf = checked_psf(psf, len(shape))
        if scale not in (1, 2, 3, 4):
            raise SuperlensError(f"scale is {scale}; expected 1, 2, 3 or 4.")
        self.factors = tuple(1 if axis < len(shape) - 2 else scale for axis in range(len(shape)))
        self._workers = workers
        fine = [n * f for n, f in zip(shape, self.factors, strict=True)]
        reach = [math.ceil(side // 2 / f) * f for side, f in zip(psf.shape, self.factors, strict=True)]
        self.domain = good_shape([n + 2 * r for n, r in zip(fine, reach, strict=True)], self.factors)
        self.window = tuple(slice(r, r + n) for n, r in zip(fine, reach, strict=True))
        self._otf = self._transform(centred(psf, self.domain))

    def convolve(self, specimen: Array) -> Float32:
        """Blur a specimen of shape `domain` with the PSF, periodically, on the fine grid."""
        return self._inverse(self._transform(specimen) * self._otf)

    def correlate(self, specimen: Array) -> Float32:
        """Apply the adjoint of `convolve`."""
        return self._inverse(self._transform(specimen) * self._otf.conj())

    def apply(self, specimen: Array) -> Float32:
        """Return the image, in camera pixels, of a specimen of shape `domain`."""
        return binned(self.convolve(specimen)[self.window], self.factors)

    def adjoint(self, image: Array) -> Float32:
        """Apply the exact adjoint of `apply`: camera pixels in, shape `domain` out.

        ``<apply(x), y> == <x, adjoint(y)>`` up to rounding.
        """
        spread = np.zeros(self.domain, np.float32)
        shares = np.asarray(image, np.float32) * np.float32(1 / math.prod(self.factors))
        spread[self.window] = repeated(shares, self.factors)
        return self.correlate(spread)

    def of_image(self, specimen: Array) -> Float32:
        """Return the image of a specimen that is known within the window only, mirrored beyond it.

        Parameters
        ----------
        specimen : ndarray
            On the fine grid, without margins: an estimate such as `richardson_lucy` returns.

        Returns
        -------
        ndarray, float32
            In camera pixels; subtract it from the data for the residual.
        """
        return self.apply(mirrored(specimen, self.domain, self.window))

    def _transform(self, array: Array) -> NDArray[np.complex64]:
        spectrum: NDArray[np.complex64] = fft.rfftn(np.asarray(array, np.float32), workers=self._workers)
        return spectrum

    def _inverse(self, spectrum: NDArray[np.complex64]) -> Float32:
        result: Float32 = fft.irfftn(spectrum, self.domain, workers=self._workers, overwrite_x=True)
        return result


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


def centred(psf: Array, shape: Sequence[int]) -> Array:
    """Lay a PSF on a torus with its centre at index 0; what is longer than the torus wraps around."""
    result = psf
    for axis, (side, n) in enumerate(zip(psf.shape, shape, strict=True)):
        folded = np.zeros((n, *np.delete(result.shape, axis)))
        np.add.at(folded, (np.arange(side) - side // 2) % n, np.moveaxis(result, axis, 0))
        result = np.moveaxis(folded, 0, axis)
    return result


def mirrored(array: Array, shape: Sequence[int], window: Sequence[slice]) -> Float32:
    """Put an image into the window of a larger array and mirror it into the rest."""
    widths = [(w.start, n - w.stop) for w, n in zip(window, shape, strict=True)]
    return np.pad(np.asarray(array, np.float32), widths, mode="reflect")


def binned(array: Array, factors: Sequence[int]) -> Float32:
    """Return the mean over groups of ``factors`` pixels."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            at = (slice(None),) * axis
            parts = [array[(*at, slice(i, None, factor))] for i in range(factor)]
            array = sum(parts[1:], parts[0]) * np.float32(1 / factor)
    return array


def repeated(array: Array, factors: Sequence[int]) -> Float32:
    """Repeat each pixel ``factors`` times."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            array = np.repeat(array, factor, axis)
    return array


def good_shape(sizes: Sequence[int], multiples: Sequence[int]) -> tuple[int, ...]:
    """Round up to sides that are multiples and that the Fourier transform is quick at; the last axis is the real one."""
    result = []
    for axis, (size, multiple) in enumerate(zip(sizes, multiples, strict=True)):
        size = math.ceil(size / multiple) * multiple
        while fft.next_fast_len(size, real=axis == len(sizes) - 1) != size:
            size += multiple
        result.append(size)
    return tuple(result)
