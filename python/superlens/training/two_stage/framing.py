"""How pairs are laid before a network: scaled, cut into patches, turned, and framed by what the loss leaves out.

`ConditionedPatches` gives channels that say the noise and what the PSF lets through; `PaddedPatches` scales a pair together to [0, 1] and frames
it with zeros, as the original does. A goal holds the target, the weight of each of its pixels and, where a pair has one, the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from superlens.observing.conditioning import Normaliser, WienerBank, condition
from superlens.training.outputs import outputs_of
from superlens.training.two_stage.pairs import Pair, Pairs
from superlens.training.two_stage.recordings import Recording
from superlens.training.two_stage.recorrupted import sigma_of
from superlens.training.two_stage.turning import Turn, aligned

__all__ = ["LEAST_SEEN", "ConditionedPatches", "Framing", "PaddedPatches", "cropped", "scaled"]

Array = NDArray[np.float32]
Margins = tuple[int, ...]

LEAST_SEEN = 16
"""Camera pixels along each side of a patch that the loss looks at, at least."""


class Framing(Protocol):
    """How pairs are laid before a network.

    Attributes
    ----------
    margins : tuple of int
        Camera pixels along each axis that the loss leaves out of what the network gives.
    goal_margins : tuple of int
        The same of the goal.
    """

    margins: Margins
    goal_margins: Margins

    def batch(self, pairs: Pairs, rng: np.random.Generator) -> tuple[Array, tuple[Array, ...]]:
        """A training batch: inputs ``(B, [Z,] Y, X, C)``, and goals of two or three channels."""

    def denoised(self, first_stage: Any, recording: Recording) -> Array:
        """A recording through the first stage, in network units."""


class ConditionedPatches:
    """Patches of conditioned channels; a plane that is narrower than the loss needs is mirrored beyond its edges.

    Parameters
    ----------
    normaliser, bank
        What the channels are made with.
    whole_bank : WienerBank
        The same for a recording that is not taken apart into pairs.
    align : int
        Of the network.
    margins : tuple of int
        See `Framing`.
    patch, number : int
        Side, and patches in a batch.
    turns : sequence of Turn
        Ways to turn a patch, of which each is as likely.
    least : int
        Planes that are narrower are framed; 0 frames none.
    """

    def __init__(
        self,
        normaliser: Normaliser,
        bank: WienerBank,
        whole_bank: WienerBank,
        *,
        align: int,
        margins: Margins,
        patch: int,
        number: int,
        turns: Sequence[Turn],
        least: int = 0,
    ) -> None:
        self.margins = self.goal_margins = margins
        self._normaliser, self._bank, self._whole_bank = normaliser, bank, whole_bank
        self._align, self._turns, self._number = align, turns, number
        self._least = -(-least // align) * align
        self._side = max(patch, self._least)

    def batch(self, pairs: Pairs, rng: np.random.Generator) -> tuple[Array, tuple[Array, ...]]:
        """Patches of one fresh pair, each turned and mirrored in one of the ways."""
        pair = pairs.draw(rng)
        channels = condition(pair.input, pair.sigma, self._normaliser, self._bank)
        goal = _goal(pair, self._normaliser.forward(pair.target))
        channels, goal = _framed(channels, goal, self.margins[-1], self._least, self._align)
        inputs, goals = _patches(channels, goal, self._side, self._number, self._turns, rng, self._align)
        return np.stack(inputs), (np.stack(goals),)

    def denoised(self, first_stage: Any, recording: Recording) -> Array:
        """The first stage of the conditioned recording."""
        channels = condition(recording.in_focus, sigma_of(recording), self._normaliser, self._whole_bank)
        (batch,) = outputs_of(first_stage, aligned(channels, self._align)[None])
        made = batch[0, ..., 0]
        height, width = recording.counts.shape[-2:]
        return made[..., :height, :width]


class PaddedPatches:
    """Patches of pairs that are scaled together to [0, 1], framed with zeros.

    Parameters
    ----------
    align : int
        Sides of a patch are multiples of it.
    padding : tuple of int
        Zeros on each side along each axis, camera pixels.
    patch, number : int
        Side, and patches in a batch.
    pairs : int
        Pairs that a batch is made of.
    turns : sequence of Turn
        Ways to turn a patch.
    """

    def __init__(
        self, *, align: int, padding: Margins, patch: int, number: int, pairs: int, turns: Sequence[Turn]
    ) -> None:
        self.margins, self.goal_margins = padding, (0,) * len(padding)
        self._align, self._side, self._number, self._pairs, self._turns = align, patch, number, pairs, turns

    def batch(self, pairs: Pairs, rng: np.random.Generator) -> tuple[Array, tuple[Array, ...]]:
        """Patches of fresh pairs."""
        inputs: list[Array] = []
        goals: list[Array] = []
        for _ in range(self._pairs):
            pair = pairs.draw(rng)
            channels = scaled(pair.input, pair.bounds)[..., None]
            goal = _goal(pair, scaled(pair.target, pair.bounds))
            number = self._number // self._pairs
            for made, into in zip(
                _patches(channels, goal, self._side, number, self._turns, rng, self._align),
                (inputs, goals),
                strict=True,
            ):
                into.extend(made)
        return self._padded(np.stack(inputs)), (np.stack(goals),)

    def denoised(self, first_stage: Any, recording: Recording) -> Array:
        """The first stage of the scaled recording."""
        (made,) = outputs_of(first_stage, self._padded(scaled(recording.counts, recording.bounds)[None, ..., None]))
        return np.asarray(cropped(made, self.margins)[0, ..., 0])

    def _padded(self, batch: Array) -> Array:
        return np.pad(batch, ((0, 0), *((m, m) for m in self.margins), (0, 0)))


def scaled(counts: Array, bounds: tuple[float, float]) -> Array:
    """Counts between two bounds as numbers between 0 and 1."""
    low, high = bounds
    return ((counts - low) / max(high - low, 1e-9)).astype(np.float32)


def cropped(image: Any, margins: Sequence[int]) -> Any:
    """Leave out so many pixels on both sides of each spatial axis of ``(B, [Z,] Y, X, C)``."""
    return image[(slice(None), *(slice(m, -m) if m else slice(None) for m in margins))]


def _goal(pair: Pair, target: Array) -> Array:
    parts = [target, pair.weight, *([] if pair.gap is None else [pair.gap])]
    return np.stack(parts, axis=-1).astype(np.float32)


def _framed(channels: Array, goal: Array, margin: int, least: int, align: int) -> tuple[Array, Array]:
    """A plane narrower than ``least``, mirrored beyond its edges by what the loss leaves out; mirrored pixels have no weight."""
    sides = goal.shape[-3:-1]
    frame = [(margin, margin + -side % align) if side < least else (0, 0) for side in sides]
    if frame == [(0, 0), (0, 0)]:
        return channels, goal
    depth = [(0, 0)] * (goal.ndim - 3)
    inside = np.pad(np.ones(goal.shape[:-1], np.float32), [*depth, *frame])
    channels, goal = (np.pad(a, [*depth, *frame, (0, 0)], mode="symmetric") for a in (channels, goal))
    goal[..., 1] *= inside
    return channels, goal


def _patches(
    channels: Array, goal: Array, side: int, number: int, turns: Sequence[Turn], rng: np.random.Generator, align: int
) -> tuple[list[Array], list[Array]]:
    """Patches of channels and goal, of ``side`` pixels where there are as many, each turned in one of the ways if it is square."""
    height, width = (min(side, n // align * align) for n in goal.shape[-3:-1])
    inputs, goals = [], []
    for _ in range(number):
        y, x = (int(rng.integers(0, n - m + 1)) for n, m in zip(goal.shape[-3:-1], (height, width), strict=True))
        cut = (..., slice(y, y + height), slice(x, x + width), slice(None))
        one, other = channels[cut], goal[cut]
        if height == width:
            turn = turns[int(rng.integers(len(turns)))]
            one, other = turn(one), turn(other)
        inputs.append(one)
        goals.append(other)
    return inputs, goals
