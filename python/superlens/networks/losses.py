"""Losses: what an image is asked to agree with, and how smooth it is asked to be.

Everything takes channels-last tensors ``(B, Y, X, C)`` and returns a scalar tensor, differentiable, on any Keras backend. Blur is a
true convolution (an asymmetric kernel is not mirrored) with zeros outside; callers crop what the border has touched.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): blur consistency between re-corrupted copies and the Hessian penalty.
Zhao et al., Nat. Biotechnol. 40, 606 (2022): Hessian continuity and sparsity.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

__all__ = [
    "absolute",
    "blur",
    "camera_pixels",
    "crop",
    "filtered",
    "laplace_nll",
    "hessian",
    "log_mse",
    "mirrored",
    "optics_margin",
    "sparse_density",
    "squared",
    "through_optics",
    "total_variation",
]

Tensor = Any  # keras.KerasTensor or the backend's own


def absolute(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference."""
    return ops.mean(ops.abs(a - b))


def squared(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference."""
    return ops.mean(ops.square(a - b))


def log_mse(a: Tensor, b: Tensor, *, floor: float = 1e-5) -> Tensor:
    """Mean over the batch of the logarithm of each image's mean squared difference.

    A decibel weighs the same on a dim patch as on a bright one.

    Parameters
    ----------
    a, b : tensor, shape (B, Y, X, C)
    floor : float
        Added to each mean squared difference, in squared image units.
    """
    return ops.mean(ops.log(ops.mean(ops.square(a - b), axis=tuple(range(1, len(a.shape)))) + floor))


def laplace_nll(error: Tensor, log_sigma: Tensor) -> Tensor:
    """Negative log-likelihood of an error under a Laplace law whose standard deviation is estimated pixel by pixel.

    Errors of images have heavier tails than a Gaussian; under this law a few large ones do not widen the rest.

    Parameters
    ----------
    error : tensor, shape (B, Y, X, C)
        Stopped: no gradient should flow into the image whose error it is.
    log_sigma : tensor, shape (B, Y, X, C)
        Natural logarithm of the stated standard deviation.
    """
    bounded = ops.clip(log_sigma, -9.0, 4.0)
    return ops.mean(bounded + math.sqrt(2.0) * ops.abs(error) * ops.exp(-bounded))


def blur(image: Tensor, kernel: NDArray[np.floating]) -> Tensor:
    """Convolve with a centred kernel, zeros outside.

    Parameters
    ----------
    image : tensor, shape (B, Y, X, 1)
    kernel : ndarray, shape (odd, odd)
    """
    flipped = np.ascontiguousarray(kernel[::-1, ::-1], dtype=np.float32)[:, :, None, None]
    return ops.conv(image, ops.convert_to_tensor(flipped), strides=1, padding="same", data_format="channels_last")


def through_optics(image: Tensor, kernel: NDArray[np.floating], scale: int) -> Tensor:
    """Blur on the fine grid and bin to camera pixels, without a border.

    One strided convolution for a small kernel; products of Fourier transforms for a large one, such as that of an Airy pattern with
    its rings, where the circular border falls into what is left out.

    Parameters
    ----------
    image : tensor, shape (B, scale * Y, scale * X, 1)
    kernel : ndarray, shape (odd, odd)
        Centred, on the fine grid.
    scale : int

    Returns
    -------
    tensor, shape (B, Y - 2 * m, X - 2 * m, 1)
        With ``m = optics_margin(kernel, scale)``: camera pixels nearer to the border are left out.
    """
    height, width = image.shape[1:3]
    if min(kernel.shape) > _LARGE_KERNEL and height is not None and width is not None:
        blurred = _circular(image, kernel, (height, width))
        return crop(camera_pixels(blurred, scale), optics_margin(kernel, scale))
    extra = optics_margin(kernel, scale) * scale - kernel.shape[0] // 2
    padded = np.pad(np.asarray(kernel, np.float64), extra)
    binned = np.zeros(tuple(side + scale - 1 for side in padded.shape))
    for i in range(scale):
        for j in range(scale):
            binned[i : i + padded.shape[0], j : j + padded.shape[1]] += padded / scale**2
    flipped = np.ascontiguousarray(binned[::-1, ::-1], dtype=np.float32)[:, :, None, None]
    return ops.conv(image, ops.convert_to_tensor(flipped), strides=scale, padding="valid", data_format="channels_last")


_LARGE_KERNEL = 25  # side from which Fourier transforms are faster


def _circular(image: Tensor, kernel: NDArray[np.floating], yx_shape: tuple[int, int]) -> Tensor:
    wide = np.zeros(yx_shape)
    rows, columns = (np.arange(side) - side // 2 for side in kernel.shape)
    np.add.at(wide, np.ix_(rows % yx_shape[0], columns % yx_shape[1]), kernel)
    transfer = np.fft.fft2(wide).astype(np.complex64)
    re, im = (ops.convert_to_tensor(part) for part in (transfer.real.copy(), transfer.imag.copy()))
    plane = image[..., 0]
    x, y = ops.fft2((plane, ops.zeros_like(plane)))
    blurred, _ = ops.ifft2((x * re - y * im, x * im + y * re))
    return blurred[..., None]


def optics_margin(kernel: NDArray[np.floating], scale: int) -> int:
    """Camera pixels at each side that `through_optics` can't know."""
    return -(-(int(kernel.shape[0]) // 2) // scale)


def filtered(volume: Tensor, transfer: NDArray[np.complexfloating]) -> Tensor:
    """Multiply the spectra of volumes by a transfer function; the borders are periodic.

    Parameters
    ----------
    volume : tensor, shape (B, Z, Y, X, 1)
        Z, Y and X as those of `transfer`. Two volumes of a batch share one transform, as its real and its imaginary part.
    transfer : ndarray, shape (Z, Y, X), complex
        Of a real kernel.

    Returns
    -------
    tensor, the shape of `volume`
    """
    x = volume[..., 0]
    single = x.shape[0] is None or x.shape[0] % 2
    pair = (x, ops.zeros_like(x)) if single else (x[0::2], x[1::2])
    moved = np.ascontiguousarray(np.moveaxis(transfer, 0, -1)).astype(np.complex64)
    re, im = ops.convert_to_tensor(moved.real.copy()), ops.convert_to_tensor(moved.imag.copy())
    a, b = (_z_last(part) for part in ops.fft2(pair))
    a, b = ops.fft((a, b))
    a, b = a * re - b * im, a * im + b * re
    a, b = ops.fft((a, -b))  # the inverse transform, but for its sign and size
    a, b = (ops.moveaxis(part / transfer.shape[0], -1, 1) for part in (a, -b))
    a, b = ops.ifft2((a, b))
    both = a if single else ops.reshape(ops.stack([a, b], axis=1), (-1, *transfer.shape))
    return both[..., None]


def _z_last(x: Tensor) -> Tensor:
    return ops.moveaxis(x, 1, -1)


def mirrored(volume: Tensor, margins: tuple[int, int, int]) -> Tensor:
    """Continue volumes ``(B, Z, Y, X, C)`` by their own mirror image, so many voxels on each side of Z, Y and X."""
    for axis, margin in enumerate(margins, start=1):
        if margin:
            side = volume.shape[axis]
            first = ops.flip(ops.take(volume, range(margin), axis=axis), axis)
            last = ops.flip(ops.take(volume, range(side - margin, side), axis=axis), axis)
            volume = ops.concatenate([first, volume, last], axis=axis)
    return volume


def camera_pixels(image: Tensor, scale: int) -> Tensor:
    """The mean over each ``scale x scale`` block: fine grid to camera grid."""
    if scale == 1:
        return image
    if len(image.shape) == 5:
        return ops.average_pool(
            image, (1, scale, scale), strides=(1, scale, scale), padding="valid", data_format="channels_last"
        )
    return ops.average_pool(image, scale, strides=scale, padding="valid", data_format="channels_last")


def crop(image: Tensor, margin: int) -> Tensor:
    """Leave out ``margin`` pixels on each lateral side of ``(B, [Z,] Y, X, C)``."""
    if margin == 0:
        return image
    return image[..., margin:-margin, margin:-margin, :]


def hessian(image: Tensor) -> Tensor:
    """Mean of the squared second differences, summed over all ordered pairs of axes of ``(B, [Z,] Y, X, C)``."""
    axes = range(1, len(image.shape) - 1)
    first = {axis: _difference(image, axis) for axis in axes}
    total = 0.0
    for a in axes:
        for b in axes:
            if b >= a and min(first[a].shape[b] or 2, 2) > 1:
                total += (1.0 if a == b else 2.0) * ops.mean(ops.square(_difference(first[a], b)))
    return total


def _difference(image: Tensor, axis: int) -> Tensor:
    side = image.shape[axis]
    behind = [slice(None)] * len(image.shape)
    ahead = list(behind)
    behind[axis], ahead[axis] = slice(None, -1), slice(1, side)
    return image[tuple(ahead)] - image[tuple(behind)]


def total_variation(image: Tensor) -> Tensor:
    """Mean of the squared first differences, summed over the spatial axes."""
    return sum(ops.mean(ops.square(_difference(image, axis))) for axis in range(1, len(image.shape) - 1))


def sparse_density(
    density: Tensor, spikes: Tensor, *, gain: float = 100.0, kernel_sum: float = 1.0, sparsity: float = 1.0
) -> Tensor:
    """Squared distance of blurred densities, and the absolute sum of the given one: few molecules, each near its place.

    Parameters
    ----------
    density : tensor, shape (B, Y, X, 1)
        What a network gives, in units of ``1 / gain`` molecules a pixel.
    spikes : tensor, shape (B, Y, X, 1)
        Molecules in each fine pixel.
    gain : float
        What one molecule adds up to in the density.
    kernel_sum : float
        Sum of the 7 x 7 Gaussian, one pixel wide, that the density is blurred by. The original's is 2, so that half the density
        explains a molecule.
    sparsity : float
        Weight of the mean absolute density.

    References
    ----------
    Nehme et al., Optica 5, 458 (2018), equation 1.
    """
    across = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    kernel = np.outer(across, across) / across.sum() ** 2
    difference = blur(density, kernel_sum * kernel) - blur(gain * spikes, kernel)
    return ops.mean(ops.square(difference)) + sparsity * ops.mean(ops.abs(density))
