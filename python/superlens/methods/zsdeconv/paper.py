"""The original recipe, for comparison: U-Net, joint min-max scaling, absolute loss, zero padding, the full PSF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.camera import recorrupt
from superlens.methods.zsdeconv.light import compact
from superlens.methods.zsdeconv.task import NOMINAL_FWHM, Task
from superlens.methods.zsdeconv.turning import TURNS
from superlens.networks import losses
from superlens.networks.forward import KerasForward
from superlens.observing.observation import noise_sigma
from superlens.optics import PSF
from superlens.training import Plan

__all__ = ["INSERT", "PaperRecipe"]

Array = NDArray[np.float32]

INSERT = 16
"""Zero padding of the original, camera pixels on each side."""


class PaperRecipe:
    """The original recipe, for comparison: U-Net, joint min-max scaling, absolute loss, zero padding, the full PSF."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._config = task.config
        self.fixed: tuple[str, ...] = ("deconvolve", "head") if task.config.denoise_only else ()
        known = task.psf or PSF.gaussian(100 * NOMINAL_FWHM, 100 / task.config.scale)
        self._forward = KerasForward(compact(known.data)[::-1, ::-1], scale=task.config.scale, edges="dark")
        self._planes = [plane for o in task.observations for plane in o.counts]
        self._cameras = [o.camera for o in task.observations for _ in o.counts]

    def plan(self) -> Plan:
        """The learning rate halves; without a held-out risk the last weights are kept."""
        config = self._config
        return Plan(
            steps=config.steps,
            learning_rate=config.learning_rate,
            schedule="halving",
            minutes=config.minutes,
            check_every=1000 if config.minutes is None else 50,
        )

    def draw(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Patches of a re-corrupted pair, scaled together to [0, 1], turned and mirrored."""
        rng = np.random.default_rng((self._config.seed, step))
        i = int(rng.integers(len(self._planes)))
        camera = self._cameras[i]
        shot, read = rng.uniform(*self._config.beta1), rng.uniform(*self._config.beta2)
        sigma = noise_sigma(self._planes[i][None], camera, shot=shot, read=read)[0]
        one, other = recorrupt(self._planes[i], sigma, rng.uniform(*self._config.alpha), rng)
        low, high = min(one.min(), other.min()), max(one.max(), other.max())
        side = [min(self._config.patch, s // 16 * 16) for s in one.shape]
        inputs: list[Array] = []
        targets: list[Array] = []
        for _ in range(self._config.batch):
            y, x = (int(rng.integers(0, s - p + 1)) for s, p in zip(one.shape, side, strict=True))
            turn = TURNS[int(rng.integers(8)) if side[0] == side[1] else 0][0]
            for image, into in ((one, inputs), (other, targets)):
                into.append(turn((image[y : y + side[0], x : x + side[1], None] - low) / (high - low)))
        padded = np.pad(np.stack(inputs), ((0, 0), (INSERT, INSERT), (INSERT, INSERT), (0, 0)))
        return padded.astype(np.float32), (np.stack(targets).astype(np.float32),)

    def loss(self, targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Absolute distance of both stages to the noisy copy, in equal parts, and the Hessian penalty."""
        target: Any = targets[0] if isinstance(targets, (list, tuple)) else targets
        first = losses.absolute(losses.crop(outputs[0], INSERT), target)
        if self._config.denoise_only:
            return first
        second = losses.absolute(losses.crop(self._forward(outputs[1]), INSERT), target)
        return 0.5 * first + 0.5 * (second + 0.5 * self._config.hessian * losses.hessian(outputs[1]))

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Not a number: the original keeps the last weights."""
        return np.full(1, np.nan)

    def level(self, network: keras.Model) -> None:
        """The original takes the light as it comes."""
