"""The Wiener filter, exact also for images that are to become finer."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError
from superlens.reconstruct.blur import binned, centred, checked_image, checked_psf, good_shape, mirrored, repeated

__all__ = ["wiener"]

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]


def wiener(image: Array, psf: Array, *, noise_to_signal: float, scale: int = 1, workers: int = 1) -> Float32:
    """Deconvolve an image by a Wiener filter of constant noise-to-signal ratio.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), counts minus offset
        Finite; negative values are welcome.
    psf : ndarray
        On the fine grid; see `Blur`.
    noise_to_signal : float
        Power of the noise over power of the signal, above 0; 0.001 is sharp and noisy, 0.1 is smooth.
    scale : int
        Fine pixels for each camera pixel along y and x. The filter inverts blur and binning together: among all fine
        images it finds the exact least-squares one, penalised by `noise_to_signal` times its energy.
    workers : int
        Threads of the Fourier transforms.

    Returns
    -------
    ndarray, float32, shape ``(Z, scale * Y, scale * X)``
        In the unit of the image, with its mean to about a percent (borders are mirrored); may be negative.

    Raises
    ------
    SuperlensError
        `noise_to_signal` is not above 0, the image is not finite, or the PSF does not suit it.

    Notes
    -----
    With H the blur and binning, the estimate is ``H' (H H' + r)^-1 y``. ``H H'`` commutes with shifts by camera pixels,
    so that the inverse is a division in Fourier space also where the binning makes frequencies fold.

    Examples
    --------
    >>> image = np.full((16, 16), 7.0)
    >>> bool(np.allclose(wiener(image, np.full((3, 3), 1 / 9), noise_to_signal=0.01, scale=2), 7))
    True
    """
    if not noise_to_signal > 0:
        raise SuperlensError(f"noise_to_signal is {noise_to_signal}; expected a number above 0, such as 0.01.")
    image = checked_image(image)
    reach = [math.ceil(side / (scale if axis >= image.ndim - 2 else 1)) for axis, side in enumerate(np.shape(psf))]
    padded_shape = good_shape([n + 2 * r for n, r in zip(image.shape, reach, strict=True)], [1] * image.ndim)
    camera = tuple(slice(r, r + n) for r, n in zip(reach, image.shape, strict=True))
    mean = float(image.mean())
    padded = mirrored(image - mean, padded_shape, camera)

    periodic = _PeriodicBlur(padded_shape, psf, scale, workers)
    estimate = _regularised_inverse(periodic, padded, noise_to_signal)
    fine = tuple(slice(c.start * f, c.stop * f) for c, f in zip(camera, periodic.factors, strict=True))
    return np.asarray(estimate[fine] + mean, np.float32)


class _PeriodicBlur:
    """`Blur` on a torus that is all window: commutes with shifts by camera pixels."""

    def __init__(self, shape: tuple[int, ...], psf: Array, scale: int, workers: int) -> None:
        self.factors = tuple(1 if axis < len(shape) - 2 else scale for axis in range(len(shape)))
        self._shape = tuple(n * f for n, f in zip(shape, self.factors, strict=True))
        self.workers = workers
        self._otf = fft.rfftn(centred(checked_psf(psf, len(shape)), self._shape).astype(np.float32), workers=workers)

    def apply(self, specimen: Array) -> Float32:
        blurred = fft.irfftn(fft.rfftn(specimen, workers=self.workers) * self._otf, self._shape, workers=self.workers)
        return binned(blurred, self.factors)

    def adjoint(self, image: Array) -> Float32:
        spread = repeated(np.asarray(image, np.float32) * np.float32(1 / math.prod(self.factors)), self.factors)
        spectrum = fft.rfftn(spread, workers=self.workers) * self._otf.conj()
        result: Float32 = fft.irfftn(spectrum, self._shape, workers=self.workers)
        return result


def _regularised_inverse(blur: _PeriodicBlur, image: Array, noise_to_signal: float) -> Float32:
    delta = np.zeros(image.shape, np.float32)
    delta.flat[0] = 1
    gram = fft.rfftn(blur.apply(blur.adjoint(delta)), workers=blur.workers).real
    ratio = noise_to_signal * float(
        gram.flat[0]
    )  # binning and spreading lose a constant factor, the gain at frequency 0
    weights = fft.rfftn(np.asarray(image, np.float32), workers=blur.workers) / (gram + ratio)
    return blur.adjoint(fft.irfftn(weights, image.shape, workers=blur.workers))
