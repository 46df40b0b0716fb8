"""The Wiener filter, exact also for images that are to become finer."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError
from superlens.optics import ForwardModel
from superlens.optics.sampling import good_shape
from superlens.reconstruct.microscope import checked_image, checked_psf, mirrored

__all__ = ["regularised_inverse", "wiener"]

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]


def wiener(image: Array, psf: Array, *, noise_to_signal: float, scale: int = 1, workers: int = 1) -> Float32:
    """Deconvolve an image by a Wiener filter of constant noise-to-signal ratio.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), counts minus offset
        Finite; negative values are welcome.
    psf : ndarray
        On the fine grid; see `microscope`.
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

    blur = checked_psf(psf, image.ndim)
    model = ForwardModel(padded_shape, blur, scale=scale, edges="periodic", workers=workers)
    estimate = regularised_inverse(model, padded, noise_to_signal, workers=workers)
    fine = tuple(slice(c.start * f, c.stop * f) for c, f in zip(camera, model.factors, strict=True))
    return np.asarray(estimate[fine] + mean, np.float32)


def regularised_inverse(model: ForwardModel, image: Array, noise_to_signal: float, *, workers: int = 1) -> Float32:
    """The estimate of `wiener` on a torus that is all image.

    Parameters
    ----------
    model : ForwardModel
        With periodic edges: it commutes with shifts by camera pixels.
    image : ndarray, shape ([Z,] Y, X)
        In camera pixels.
    noise_to_signal, workers
        As in `wiener`.
    """
    delta = np.zeros(image.shape, np.float32)
    delta.flat[0] = 1
    gram = fft.rfftn(model.apply(model.adjoint(delta)), workers=workers).real
    lost = float(gram.flat[0])  # the factor that binning and spreading lose, the gain at frequency 0
    weights = fft.rfftn(np.asarray(image, np.float32), workers=workers) / (gram + noise_to_signal * lost)
    return model.adjoint(fft.irfftn(weights, image.shape, workers=workers))
