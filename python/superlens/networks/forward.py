"""`KerasForward`: the forward model of `superlens.optics.forward` on Keras tensors, as losses need it, and its adjoint.

In: channels-last batches ``(B, [Z,] Y, X, 1)`` of specimens on the fine grid. Out: ``(B, [Z,] Y, X, 1)`` in camera pixels, or one channel
for each frame of a pattern. Differentiable, on any Keras backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from keras import ops
from numpy.typing import NDArray

from superlens.optics.forward import Blur, Edges, Transfer, reach_of, transfer_on

__all__ = ["KerasForward", "camera_pixels"]

Tensor: TypeAlias = Any  # keras.KerasTensor or the backend's own

_LARGE_KERNEL = 25  # side from which Fourier transforms are faster


class KerasForward:
    """From specimens on the fine grid to their images in camera pixels.

    A small kernel in 2D is one strided convolution that blurs and bins; everything else is a product of Fourier transforms.

    Parameters
    ----------
    blur : ndarray or Transfer
        On the fine grid, ``([Z,] Y, X)``.
    scale : int
        Fine pixels for each camera pixel along y and x.
    edges : {"open", "mirrored", "dark", "periodic"}
        What lies beyond the specimens. With "open" nothing is assumed, and camera pixels that light from beyond could reach are left out.

    Attributes
    ----------
    margins : tuple of int
        Camera pixels that the image lacks on each side of each axis: 0 except for "open" edges.

    Examples
    --------
    >>> forward = KerasForward(np.full((3, 3), 1 / 9), scale=2)
    >>> tuple(forward(np.ones((1, 16, 16, 1), np.float32)).shape), forward.margins
    ((1, 6, 6, 1), (1, 1))
    """

    def __init__(self, blur: Blur, *, scale: int = 1, edges: Edges = "open") -> None:
        self._blur, self._scale, self._edges = blur, scale, edges
        reach = reach_of(blur)
        self._factors = (1,) * (len(reach) - 2) + (scale, scale)
        pixels = tuple(math.ceil(r / f) for r, f in zip(reach, self._factors, strict=True))
        self._reach = tuple(r * f for r, f in zip(pixels, self._factors, strict=True))
        self.margins = pixels if edges == "open" else (0,) * len(pixels)
        self._spectra: dict[tuple[int, ...], NDArray[np.complexfloating[Any]]] = {}

    def __call__(self, specimen: Tensor, pattern: Tensor | None = None, haze: Tensor | None = None) -> Tensor:
        """The images of specimens.

        Parameters
        ----------
        specimen : tensor, shape (B, [Z,] scale * Y, scale * X, 1)
        pattern : tensor, optional
            Illumination of each frame on the specimen's grid, broadcastable to ``(B, [Z,] scale * Y, scale * X, F)``.
        haze : tensor, optional
            Added in the end; broadcastable to what is returned.

        Returns
        -------
        tensor, shape (B, [Z,] Y - 2 * m, X - 2 * m, 1 or F)
            With the m of `margins`.
        """
        light = specimen if pattern is None else specimen * pattern
        frames, sides = light.shape[-1], light.shape[1:-1]
        reach = self._reach_within(sides)
        grid = _continued(_frames_first(light), self._frame(reach), self._edges)
        if self._strided(sides):
            image = ops.conv(
                grid[..., None],
                _binning(self._kernel(), self._reach, self._scale),
                strides=self._scale,
                data_format="channels_last",
            )
            image = image[..., 0]
        else:
            blurred = _filtered(grid, self._transfer(tuple(grid.shape[1:])))
            inside = tuple(slice(r, n - r) for r, n in zip(reach, grid.shape[1:], strict=True))
            image = camera_pixels(blurred[(slice(None), *inside)][..., None], self._scale)[..., 0]
        image = _frames_last(image, frames)
        return image if haze is None else image + haze

    def adjoint(self, image: Tensor, pattern: Tensor | None = None) -> Tensor:
        """The exact adjoint of a call without haze.

        Parameters
        ----------
        image : tensor, shape (B, [Z,] Y - 2 * m, X - 2 * m, 1 or F)
            In camera pixels.
        pattern : tensor, optional
            As in the call.

        Returns
        -------
        tensor, shape (B, [Z,] scale * Y, scale * X, 1)
        """
        frames = image.shape[-1]
        sides = [(n + 2 * m) * f for n, m, f in zip(image.shape[1:-1], self.margins, self._factors, strict=True)]
        reach = self._reach_within(sides)
        spread = _frames_first(image) / math.prod(self._factors)
        for axis, factor in enumerate(self._factors, start=1):
            spread = spread if factor == 1 else ops.repeat(spread, factor, axis)
        grid = ops.pad(spread, ((0, 0), *((r, r) for r in reach)))
        if self._strided(sides):
            kernel = np.asarray(self._kernel(), np.float32)[..., None, None]
            light = ops.conv(
                grid[..., None], ops.convert_to_tensor(kernel), padding="same", data_format="channels_last"
            )[..., 0]
        else:
            light = _filtered(grid, self._transfer(tuple(grid.shape[1:])).conj())
        light = _frames_last(_folded(light, self._frame(reach), self._edges), frames)
        return light if pattern is None else ops.sum(light * pattern, axis=-1, keepdims=True)

    def _kernel(self) -> NDArray[np.floating[Any]]:
        assert not isinstance(self._blur, Transfer)
        return self._blur

    def _strided(self, sides: Sequence[int | None]) -> bool:
        """Whether one strided convolution does it: quick for a small kernel, and the only way where sides are unknown."""
        if isinstance(self._blur, Transfer) or self._blur.ndim == 3 or self._edges == "periodic":
            return False
        return min(self._blur.shape) <= _LARGE_KERNEL or None in sides

    def _reach_within(self, sides: Sequence[int]) -> tuple[int, ...]:
        """Fine pixels between the image and the end of the grid that the blur is applied on."""
        if self._edges == "periodic":
            return (0,) * len(self._reach)
        if isinstance(self._blur, Transfer) and self._edges != "open":
            return tuple(min(r, n) for r, n in zip(self._blur.reach, sides, strict=True))
        return self._reach

    def _frame(self, reach: Sequence[int]) -> tuple[int, ...]:
        """Fine pixels by which specimens are continued on each side."""
        return (0,) * len(reach) if self._edges == "open" else tuple(reach)

    def _transfer(self, shape: tuple[int, ...]) -> NDArray[np.complexfloating[Any]]:
        if shape not in self._spectra:
            self._spectra[shape] = transfer_on(self._blur, shape)
        return self._spectra[shape]


def camera_pixels(image: Tensor, scale: int) -> Tensor:
    """The mean over each ``scale x scale`` block of ``(B, [Z,] Y, X, C)``: fine grid to camera grid."""
    if scale == 1:
        return image
    size: Any = (1, scale, scale) if len(image.shape) == 5 else scale
    return ops.average_pool(image, size, strides=size, padding="valid", data_format="channels_last")


def _binning(kernel: NDArray[np.floating[Any]], reach: tuple[int, ...], scale: int) -> Tensor:
    """The kernel of the strided convolution that blurs and bins, leaving out ``reach`` fine pixels on each side."""
    wide = np.pad(np.asarray(kernel, np.float64), [(r - n // 2,) * 2 for r, n in zip(reach, kernel.shape, strict=True)])
    both = np.zeros([side + scale - 1 for side in wide.shape])
    for i in range(scale):
        for j in range(scale):
            both[i : i + wide.shape[0], j : j + wide.shape[1]] += wide / scale**2
    return ops.convert_to_tensor(np.ascontiguousarray(both[::-1, ::-1], dtype=np.float32)[..., None, None])


def _filtered(x: Tensor, transfer: NDArray[np.complexfloating[Any]]) -> Tensor:
    """Multiply the spectra of ``(B, [Z,] Y, X)`` by a transfer function; two of a batch share one transform, as its real and imaginary part."""
    sides = transfer.shape
    single = x.shape[0] is None or x.shape[0] % 2
    pair = (x, ops.zeros_like(x)) if single else (x[0::2], x[1::2])
    deep = transfer.ndim == 3  # there is no transform of three axes; that along z comes last
    moved = np.ascontiguousarray(np.moveaxis(transfer, 0, -1) if deep else transfer).astype(np.complex64)
    re, im = ops.convert_to_tensor(moved.real.copy()), ops.convert_to_tensor(moved.imag.copy())
    a, b = ops.fft2(pair)
    if deep:
        a, b = ops.fft((ops.moveaxis(a, 1, -1), ops.moveaxis(b, 1, -1)))
    a, b = a * re - b * im, a * im + b * re
    if deep:
        a, b = ops.fft((a, -b))  # the inverse transform, but for its sign and size
        a, b = (ops.moveaxis(part / sides[0], -1, 1) for part in (a, -b))
    a, b = ops.ifft2((a, b))
    return a if single else ops.reshape(ops.stack([a, b], axis=1), (-1, *sides))


def _frames_first(x: Tensor) -> Tensor:
    """``(B, [Z,] Y, X, F)`` to ``(B * F, [Z,] Y, X)``."""
    return x[..., 0] if x.shape[-1] == 1 else ops.reshape(ops.moveaxis(x, -1, 1), (-1, *x.shape[1:-1]))


def _frames_last(x: Tensor, frames: int) -> Tensor:
    """The way back from `_frames_first`."""
    return x[..., None] if frames == 1 else ops.moveaxis(ops.reshape(x, (-1, frames, *x.shape[1:])), 1, -1)


def _continued(x: Tensor, frame: Sequence[int], edges: Edges) -> Tensor:
    """Continue ``(B, [Z,] Y, X)`` by ``frame`` pixels on both sides of each axis, in darkness or by the mirror image."""
    if edges == "dark":
        return ops.pad(x, ((0, 0), *((r, r) for r in frame)))
    for axis, r in enumerate(frame, start=1):
        x = _mirrored(x, axis, r)
    return x


def _mirrored(x: Tensor, axis: int, frame: int) -> Tensor:
    if frame == 0:
        return x
    side = x.shape[axis]
    once = min(frame, side)
    first, last = (ops.flip(_part(x, axis, *ends), axis) for ends in ((0, once), (side - once, side)))
    return _mirrored(ops.concatenate([first, x, last], axis=axis), axis, frame - once)


def _folded(x: Tensor, frame: Sequence[int], edges: Edges) -> Tensor:
    """The adjoint of `_continued`."""
    for axis, r in enumerate(frame, start=1):
        side = x.shape[axis] - 2 * r
        if edges == "dark":
            x = _part(x, axis, r, r + side)
            continue
        steps = [side * 3**i for i in range(r) if (side * 3**i - side) // 2 < r]  # sides that mirroring went through
        for inner in reversed(steps):
            x = _folded_once(x, axis, (x.shape[axis] - inner) // 2)
    return x


def _folded_once(x: Tensor, axis: int, frame: int) -> Tensor:
    side = x.shape[axis] - 2 * frame
    first, last = (ops.flip(_part(x, axis, *ends), axis) for ends in ((0, frame), (side + frame, side + 2 * frame)))
    before, after = ([(0, 0)] * len(x.shape) for _ in range(2))
    before[axis], after[axis] = (0, side - frame), (side - frame, 0)
    return _part(x, axis, frame, frame + side) + ops.pad(first, before) + ops.pad(last, after)


def _part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    at = [slice(None)] * len(x.shape)
    at[axis] = slice(start, stop)
    return x[tuple(at)]
