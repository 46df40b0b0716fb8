"""Losses: how far images are from what they shall agree with, and how smooth they are asked to be.

Everything takes channels-last tensors ``(B, Y, X, C)`` and returns a scalar tensor, differentiable, on any Keras backend. What the
microscope makes of an image is left to `superlens.networks.forward`.

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
    "crop",
    "laplace_nll",
    "hessian",
    "log_mse",
    "sparse_density",
    "total_variation",
]

Tensor = Any  # keras.KerasTensor or the backend's own


def absolute(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference."""
    return ops.mean(ops.abs(a - b))


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
    difference = ops.conv(
        _in_blocks(kernel_sum * density - gain * spikes), _BLUR_OF_BLOCKS, padding="same", data_format="channels_last"
    )
    return ops.mean(ops.square(difference)) + sparsity * ops.mean(ops.abs(density))


_BLOCK = 4
"""Side of the blocks of pixels that become channels: one channel would leave a processor idle."""


def _in_blocks(image: Tensor) -> Tensor:
    """From (B, Y, X, 1), sides multiples of the block, to (B, Y / 4, X / 4, 16)."""
    _, height, width, _ = ops.shape(image)
    blocks = ops.reshape(image, (-1, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK))
    return ops.reshape(ops.transpose(blocks, (0, 1, 3, 2, 4)), (-1, height // _BLOCK, width // _BLOCK, _BLOCK**2))


def _blur_of_blocks() -> NDArray[np.float32]:
    """The 7 x 7 Gaussian, one pixel wide, as a convolution of blocks, shape (3, 3, 16, 16)."""
    across = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    lag = np.arange(3 * _BLOCK)[:, None] - np.arange(_BLOCK, 2 * _BLOCK)
    line = np.where(np.abs(lag) <= 3, np.exp(-0.5 * lag**2.0), 0) / across.sum()
    line = line.reshape(3, _BLOCK, _BLOCK)
    both = np.einsum("aij,bkl->abikjl", line, line)
    return np.asarray(both.reshape(3, 3, _BLOCK**2, _BLOCK**2), np.float32)


_BLUR_OF_BLOCKS = _blur_of_blocks()
