"""What a training makes small: ours by the noise of each pixel, the original's by absolute distances through the whole PSF."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.networks.forward import KerasForward
from superlens.optics import Transfer
from superlens.training.two_stage.framing import Framing
from superlens.training.two_stage.losses import TwoStageLoss
from superlens.training.two_stage.optics import SharpOptics, compact

__all__ = ["loss_of", "original_forward", "original_loss", "sharp_to_camera"]


def loss_of(config: ZSDeconvConfig, framing: Framing, forward: KerasForward, scale: int) -> TwoStageLoss:
    """Squared distances, each pixel by the inverse of its variance, and the penalties."""
    seen = None if config.first_only else forward
    return TwoStageLoss(framing, seen, scale, hessian=config.hessian, tv=config.tv)


def original_loss(config: ZSDeconvConfig, framing: Framing, forward: KerasForward) -> TwoStageLoss:
    """Absolute distances and the Hessian penalty, which counts the frame of an image too."""
    seen = None if config.denoise_only else forward
    images = config.axes == "YX"
    return TwoStageLoss(
        framing,
        seen,
        config.scale,
        distance="absolute",
        hessian=config.hessian,
        frame=images,
        factor=0.5 if images else 2.0,  # the mean of both stages; the sum with and without the gap
    )


def sharp_to_camera(optics: SharpOptics) -> KerasForward:
    """From sharp images that have the stated response: what blur is left."""
    volumes = isinstance(optics.blur, Transfer)
    return KerasForward(optics.blur_of_patches, scale=optics.scale, edges="mirrored" if volumes else "open")


def original_forward(optics: SharpOptics) -> KerasForward:
    """From images that are meant to be the specimen: the whole PSF, with darkness around images and periodic volumes."""
    data = optics.psf.data
    if data.ndim == 2:
        return KerasForward(compact(data)[::-1, ::-1], scale=optics.scale, edges="dark")
    return KerasForward(Transfer(partial(_within, data), (0, 0, 0)), scale=optics.scale, edges="periodic")


def _within(data: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Transfer function of a PSF, cut where it is larger than the grid."""
    sides = [min(n, s - 1 + s % 2) for n, s in zip(data.shape, shape, strict=True)]
    cut = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(data.shape, sides, strict=True))
    part = data[cut] / data[cut].sum()
    grid = np.zeros(shape)
    grid[tuple(slice(n) for n in part.shape)] = part
    return np.fft.fftn(np.roll(grid, tuple(-(n // 2) for n in part.shape), axis=(0, 1, 2)))
