"""Turned and mirrored copies of images and volumes: to learn from, and to average a prediction over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.training.outputs import outputs_of

__all__ = ["TURNS", "Turn", "aligned", "averaged", "turns_of", "unchanged_by"]

Array = NDArray[np.float32]
Turn: TypeAlias = Callable[[Array], Array]


def _turn(quarters: int, mirror: bool) -> tuple[Turn, Turn]:
    def turn(image: Array) -> Array:
        turned = np.rot90(image, quarters)
        return turned[::-1] if mirror else turned

    def back(image: Array) -> Array:
        return np.rot90(image[::-1] if mirror else image, -quarters)

    return turn, back


TURNS: tuple[tuple[Turn, Turn], ...] = tuple(_turn(q, m) for m in (False, True) for q in (0, 2, 1, 3))
"""The eight turned and mirrored copies of a plane, each with its way back."""


def turns_of(axes: int, number: int = len(TURNS)) -> list[tuple[Turn, Turn]]:
    """Turned and mirrored copies, each with its way back, of images (2 axes) or volumes (3 axes)."""
    return _volume_turns(number) if axes == 3 else list(TURNS[:number])


def _volume_turns(number: int) -> list[tuple[Turn, Turn]]:
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


def averaged(
    network: keras.Model, channels: Array, *, flips: int, align: int, first: Sequence[Array] | None = None
) -> list[Array]:
    """Run a network on one plane or volume, averaged over turned and mirrored copies.

    Parameters
    ----------
    network : keras.Model
        For images or for volumes, as the channels are.
    channels : ndarray, shape ([Z,] Y, X, C)
        Any shape; padded to what the network takes.
    flips : int
        Number of copies, 1 to 8.
    align : int
        Of the network.
    first : sequence of ndarray, optional
        What the network made of the first copy, which is not turned, where that is known: what one copy gives here.

    Returns
    -------
    list of ndarray, shape ([Z,] factor * Y, factor * X)
        One for each output.
    """
    height, width = channels.shape[-3:-1]
    padded = aligned(channels, align)
    turns = turns_of(channels.ndim - 1, flips)
    sums = list(first or ())
    for outputs in _answers(network, padded, turns[1:] if sums else turns):
        factors = [one.shape[-1] // padded.shape[-2] for one in outputs]
        made = [one[..., : f * height, : f * width] for one, f in zip(outputs, factors, strict=True)]
        sums = made if not sums else [a + b for a, b in zip(sums, made, strict=True)]
    return [one / np.float32(flips) for one in sums]


_TOGETHER = 1 << 17
"""Pixels of copies that a network is shown at a time: 8 copies of 128 x 128 take a tenth less time than one after the other, and as long
from 256 x 256 on."""


def _answers(network: keras.Model, padded: Array, turns: Sequence[tuple[Turn, Turn]]) -> Iterator[list[Array]]:
    """What a network makes of each copy, turned back; small copies of one shape go through it together."""
    most, copies, at = max(1, _TOGETHER // padded[..., 0].size), [turn(padded) for turn, _ in turns], 0
    while at < len(copies):
        _, alike = next(itertools.groupby(copies[at : at + most], np.shape))
        some = list(alike)
        try:
            outputs = outputs_of(network, np.stack(some))
        except MemoryError:
            if len(some) == 1:
                raise
            most = 1
            continue
        for i, (_, back) in enumerate(turns[at : at + len(some)]):
            yield [back(one[i, ..., 0]) for one in outputs]
        at += len(some)


def aligned(channels: Array, align: int) -> Array:
    """Mirror ``([Z,] Y, X, C)`` at the far ends of its sides to multiples of ``align``."""
    height, width = channels.shape[-3:-1]
    frame = [(0, 0)] * (channels.ndim - 3) + [(0, -height % align), (0, -width % align), (0, 0)]
    return np.pad(channels, frame, mode="symmetric")
