"""A light network's mean over turned and mirrored copies of an image or a volume, and how either goes on beyond its edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGE", "TURNS", "Turn", "aligned", "as_is", "run_light", "unchanged_by", "volume_turns"]

_ALIGN = 4

Array = NDArray[np.float32]
Turn: TypeAlias = Callable[[Array], Array]

EDGE = 16
"""Camera pixels by which an image or a volume is mirrored beyond its lateral edges: a multiple of the networks' alignments.

Farther out a network sees what it saw beyond its patches in training: nothing.
"""


def _turn(quarters: int, mirror: bool) -> tuple[Turn, Turn]:
    def turn(image: Array) -> Array:
        turned = np.rot90(image, quarters)
        return turned[::-1] if mirror else turned

    def back(image: Array) -> Array:
        return np.rot90(image[::-1] if mirror else image, -quarters)

    return turn, back


TURNS: tuple[tuple[Turn, Turn], ...] = tuple(_turn(q, m) for m in (False, True) for q in (0, 2, 1, 3))
"""The eight turned and mirrored copies of a plane, each with its way back."""


def as_is(image: Array) -> Array:
    """Of the ways to turn an image the first."""
    return image


def volume_turns(number: int) -> list[tuple[Turn, Turn]]:
    """Turned and mirrored copies of a volume, each with its way back; every other one is upside down along z."""

    def of(i: int, turn: Turn, back: Turn) -> tuple[Turn, Turn]:
        step = -1 if i % 2 else 1
        return (
            lambda v: np.moveaxis(turn(np.moveaxis(v[::step], 0, 2)), 2, 0),
            lambda v: np.moveaxis(back(np.moveaxis(v, 0, 2)), 2, 0)[::step],
        )

    return [of(i, *pair) for i, pair in enumerate(TURNS[:number])]


def unchanged_by(turn: Turn, kernel: NDArray[np.floating[Any]]) -> bool:
    """Whether a way to turn leaves a kernel as it is."""
    given = kernel.astype(np.float32)
    turned = turn(given)
    return turned.shape == given.shape and bool(np.allclose(turned, given, atol=1e-3 * np.abs(given).max()))


def run_light(network: keras.Model, channels: Array, *, flips: int) -> tuple[Array, Array, Array]:
    """Run a light network on one plane or volume, averaged over turned and mirrored copies.

    Parameters
    ----------
    network : keras.Model
        For images or for volumes, as the channels are.
    channels : ndarray, shape ([Z,] Y, X, CHANNELS)
        Any shape; padded to what the network takes.
    flips : int
        Number of copies, 1 to 8.

    Returns
    -------
    denoised : ndarray, shape ([Z,] Y, X)
    sharp, log_sigma : ndarray, shape ([Z,] scale * Y, scale * X)
    """
    height, width = channels.shape[-3:-1]
    padded = aligned(channels)
    sums: list[Array] = []
    for turn, back in volume_turns(flips) if channels.ndim == 4 else TURNS[:flips]:
        outputs = network.predict_on_batch(np.ascontiguousarray(turn(padded))[None])
        made = [back(o[0, ..., 0]) for o in outputs]
        sums = made if not sums else [a + b for a, b in zip(sums, made, strict=True)]
    scale = sums[1].shape[-1] // sums[0].shape[-1]
    denoised, sharp, log_sigma = (s / np.float32(flips) for s in sums)
    fine = (..., slice(scale * height), slice(scale * width))
    return denoised[..., :height, :width], sharp[fine], log_sigma[fine]


def aligned(channels: Array) -> Array:
    """Mirror ``([Z,] Y, X, C)`` at the far ends of its sides to multiples of what a light network takes."""
    height, width = channels.shape[-3:-1]
    frame = [(0, 0)] * (channels.ndim - 3) + [(0, -height % _ALIGN), (0, -width % _ALIGN), (0, 0)]
    return np.pad(channels, frame, mode="symmetric")
