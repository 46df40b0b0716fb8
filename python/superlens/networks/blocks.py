"""Layers that several networks share."""

from __future__ import annotations

import keras
from keras import layers, ops

__all__ = ["SubPixel"]


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
