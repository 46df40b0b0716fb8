"""Layers that several networks share."""

from __future__ import annotations

import keras
from keras import layers, ops

__all__ = ["FoldPlanes", "Neighbours", "SubPixel", "UnfoldPlanes"]


@keras.saving.register_keras_serializable("superlens")
class SubPixel(layers.Layer):
    """Move groups of ``factor ** 2`` channels to the ``factor x factor`` pixels they stand for (Shi et al., CVPR 2016)."""

    def __init__(self, factor: int = 2, **about: object) -> None:
        super().__init__(**about)
        self.factor = factor

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """From ``(B, Y, X, C)`` to ``(B, factor * Y, factor * X, C / factor ** 2)``."""
        n = self.factor
        shape = ops.shape(x)
        height, width, channels = shape[1], shape[2], x.shape[-1] // n**2
        x = ops.reshape(x, (-1, height, width, n, n, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, n * height, n * width, channels))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of what `call` returns."""
        sides = [None if side is None else self.factor * side for side in shape[1:3]]
        return (shape[0], *sides, (shape[3] or 0) // self.factor**2)


@keras.saving.register_keras_serializable("superlens")
class FoldPlanes(layers.Layer):
    """The slices of volumes as a batch of images: ``(B, Z, Y, X, C)`` to ``(B * Z, Y, X, C)``."""

    def call(self, volume: keras.KerasTensor) -> keras.KerasTensor:
        """Fold; a view, nothing moves."""
        shape = ops.shape(volume)
        return ops.reshape(volume, (-1, shape[2], shape[3], volume.shape[-1]))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of what `call` returns."""
        return (None, *shape[2:])


@keras.saving.register_keras_serializable("superlens")
class UnfoldPlanes(layers.Layer):
    """The way back of `FoldPlanes`, with the number of slices of a second tensor ``(B, Z, ...)``."""

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """From ``[(B * Z, Y, X, C), (B, Z, ...)]`` to ``(B, Z, Y, X, C)``."""
        planes, like = inputs
        shape = ops.shape(planes)
        return ops.reshape(planes, (-1, ops.shape(like)[1], shape[1], shape[2], planes.shape[-1]))

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Shape of what `call` returns."""
        planes, like = shapes
        return (like[0], like[1], *planes[1:])


@keras.saving.register_keras_serializable("superlens")
class Neighbours(layers.Layer):
    """Each slice beside the one below and the one above it; the first and the last slice stand for what lies beyond them."""

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """From ``[(B * Z, Y, X, C), (B, Z, ...)]`` to ``(B * Z, Y, X, 3 * C)``."""
        planes, like = inputs
        shape, depth, channels = ops.shape(planes), ops.shape(like)[1], planes.shape[-1]
        volume = ops.reshape(planes, (-1, depth, shape[1], shape[2], channels))
        below = ops.concatenate([volume[:, :1], volume[:, :-1]], axis=1)
        above = ops.concatenate([volume[:, 1:], volume[:, -1:]], axis=1)
        both = ops.concatenate([below, volume, above], axis=-1)
        return ops.reshape(both, (-1, shape[1], shape[2], 3 * channels))

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Shape of what `call` returns."""
        planes = shapes[0]
        return (*planes[:3], 3 * (planes[3] or 0))
