"""The original recipe for volumes, for comparison: RCAN, interleaved slices with the gap amended, absolute loss, the full PSF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.methods.zsdeconv.task import Task, VolumeLens, stacked
from superlens.methods.zsdeconv.turning import TURNS, volume_turns
from superlens.methods.zsdeconv.volume import doubled, first_stage, interleaved
from superlens.networks import losses
from superlens.networks.forward import KerasForward
from superlens.optics import Transfer
from superlens.optics.forward import reach_of
from superlens.training import Plan

__all__ = ["INSERT", "INSERT_Z", "PaperVolumeRecipe"]

Array = NDArray[np.float32]

INSERT, INSERT_Z = 8, 2
"""Zero padding of the original on each side: camera pixels, slices."""


class PaperVolumeRecipe:
    """The original recipe for volumes."""

    def __init__(self, task: Task, network: keras.Model) -> None:
        assert isinstance(task.lens, VolumeLens)
        self._config = task.config
        self._first_stage = first_stage(network)
        self.fixed: tuple[str, ...] = ("deconvolve",) if task.config.denoise_only else ()
        self._psf = doubled(task).psf
        self._stacks = [stack for o in task.observations for stack in stacked(o.counts, o.image, "ZYX")]
        blur = Transfer(self._psf_transfer, reach_of(self._psf.data))
        self._forward = KerasForward(blur, scale=task.config.scale, edges="periodic")

    def plan(self) -> Plan:
        """The learning rate halves; without a held-out risk the last weights are kept."""
        config = self._config
        return Plan(
            steps=config.steps,
            learning_rate=config.learning_rate,
            schedule="halving",
            halve_every=5000,
            minutes=config.minutes,
            check_every=1000 if config.minutes is None else 50,
        )

    def draw(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Odd and even slices of a stack, scaled together to [0, 1], turned and mirrored, and the gap between them."""
        rng = np.random.default_rng((self._config.seed, step))
        inputs, targets = zip(*(self._pair(rng) for _ in range(self._config.batch)), strict=True)
        woven = np.stack([interleaved(t, i) for t, i in zip(targets, inputs, strict=True)])
        denoised = self._first_stage.predict_on_batch(_padded(woven))
        denoised = denoised[:, INSERT_Z:-INSERT_Z, INSERT:-INSERT, INSERT:-INSERT]
        gap = denoised[:, 1::2] - denoised[:, 0::2]
        goal = np.concatenate([np.stack(targets), gap], axis=-1)
        return _padded(np.stack(inputs)), (goal.astype(np.float32),)

    def _pair(self, rng: np.random.Generator) -> tuple[Array, Array]:
        stack = self._stacks[rng.integers(len(self._stacks))]
        depth, side = min(self._config.depth, len(stack) // 2), [min(self._config.patch, n) for n in stack.shape[1:]]
        z, y, x = (int(rng.integers(0, n - m + 1)) for n, m in zip(stack.shape, (2 * depth, *side), strict=True))
        low, high = float(stack.min()), float(stack.max())
        part = (stack[z : z + 2 * depth, y : y + side[0], x : x + side[1], None] - low) / max(high - low, 1e-9)
        turns = volume_turns(len(TURNS))
        turned = turns[rng.integers(len(turns))][0](part) if side[0] == side[1] else part
        return turned[1::2], turned[0::2]

    def loss(self, targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Absolute distance of both stages to the other slices, with and without the gap, and the Hessian penalty."""
        goal: Any = targets[0] if isinstance(targets, (list, tuple)) else targets
        target, gap = goal[..., :1], goal[..., 1:]

        def distance(made: Any) -> Any:
            return losses.absolute(made, target) + losses.absolute(made - gap, target)

        total = distance(_inside(outputs[0], 1))
        if self._config.denoise_only:
            return total
        scale = self._config.scale
        seen = _inside(self._forward(outputs[1]), 1)
        return total + distance(seen) + self._config.hessian * losses.hessian(_inside(outputs[1], scale))

    def _psf_transfer(self, shape: tuple[int, ...]) -> NDArray[np.complex128]:
        """Of the whole PSF, cut where it is larger than the patch."""
        data = self._psf.data
        cut = tuple(
            slice((n - m) // 2, (n - m) // 2 + m)
            for n, m in zip(
                data.shape, (min(n, s - 1 + s % 2) for n, s in zip(data.shape, shape, strict=True)), strict=True
            )
        )
        part = data[cut] / data[cut].sum()
        grid = np.zeros(shape)
        grid[tuple(slice(n) for n in part.shape)] = part
        return np.fft.fftn(np.roll(grid, tuple(-(n // 2) for n in part.shape), axis=(0, 1, 2)))

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Not a number: the original keeps the last weights."""
        return np.full(1, np.nan)

    def level(self, network: keras.Model) -> None:
        """The original takes the light as it comes."""


def _padded(batch: Array) -> Array:
    return np.pad(batch, ((0, 0), (INSERT_Z, INSERT_Z), (INSERT, INSERT), (INSERT, INSERT), (0, 0))).astype(np.float32)


def _inside(volume: Any, scale: int) -> Any:
    return losses.crop(volume, INSERT * scale)[:, INSERT_Z:-INSERT_Z]
