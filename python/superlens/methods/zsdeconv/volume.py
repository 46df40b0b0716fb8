"""How the light network learns from volumes: noisy pairs, conditioned channels, the sharp volume held against the same noisy copy.

Pairs come from re-corruption, as for images, or from interleaving: the even slices of a stack are a noisy copy of the odd ones, but
for the gap between them. The gap is read off the network's own denoised stack, without a gradient, and taken off (Huang et al.,
Neighbor2Neighbor, CVPR 2021, which Qiao et al. 2024 carry over to slices). Interleaved stacks have twice the step in training; the
PSF is sampled accordingly, and prediction is at the recorded step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.methods.zsdeconv.light import cosine, held_out_blocks, inverse_variance, patches, weighted
from superlens.methods.zsdeconv.task import Task, VolumeLens, stacked
from superlens.methods.zsdeconv.turning import TURNS, aligned, run_light, unchanged_by, volume_turns
from superlens.networks import losses
from superlens.networks.forward import KerasForward
from superlens.observing.conditioning import condition
from superlens.observing.observation import noise_sigma, noisy_pair
from superlens.training import Plan

__all__ = ["VolumeRecipe", "interleaved"]

Array = NDArray[np.float32]

_RISK_STREAM = 1 << 40
_WINDOW = 128  # camera pixels: the part of a stack that a step or a check looks at
_MARGIN = 8  # camera pixels that the loss leaves out on each side of a patch, and slices at most where a stack was cut
_BLOCK_SLICES = 8  # of a held-out block


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A stack to learn from, or a part of it.

    Attributes
    ----------
    counts, weight : ndarray, shape (Z, Y, X)
    good : ndarray of bool
    held : ndarray of int
        Number of the held-out block, -1 outside of them.
    inner : ndarray of bool, shape (Z,)
        Slices that do not lie beside a cut.
    """

    counts: Array
    weight: Array
    good: NDArray[np.bool_]
    held: NDArray[np.int64]
    inner: NDArray[np.bool_]
    camera: Camera
    covariance: NDArray[np.float64] | None

    def part(self, rng: np.random.Generator, depth: int, side: int, beside: int) -> _Part:
        """A random part of at most so many slices and pixels; slices that lie ``beside`` a cut are not inner."""
        sides = (depth, side, side)
        starts = [int(rng.integers(0, max(n - m, 0) + 1)) for n, m in zip(self.counts.shape, sides, strict=True)]
        cut = tuple(slice(start, start + m) for start, m in zip(starts, sides, strict=True))
        inner = self.inner[cut[0]].copy()
        if cut[0].start > 0:
            inner[:beside] = False
        if cut[0].stop < len(self.inner):
            inner[-beside:] = False
        return _Part(
            self.counts[cut], self.weight[cut], self.good[cut], self.held[cut], inner, self.camera, self.covariance
        )

    def slices(self, which: slice) -> _Part:
        """Some of the slices."""
        return _Part(
            self.counts[which],
            self.weight[which],
            self.good[which],
            self.held[which],
            self.inner[which],
            self.camera,
            self.covariance,
        )


class VolumeRecipe:
    """How the light network learns from volumes."""

    def __init__(self, task: Task, network: keras.Model) -> None:
        assert isinstance(task.lens, VolumeLens)
        self._task = task
        self._config = task.config
        self._first_stage = first_stage(network)
        self._woven = task.config.pairs == "interleave"
        self._lens = doubled(task) if self._woven else task.lens
        self._turns = [turn for turn, _ in volume_turns(len(TURNS)) if unchanged_by(turn, self._lens.psf.data)]
        self._stacks = [
            _Part(
                counts,
                inverse_variance(counts, o.camera),
                ~bad,
                _held_out(counts.shape),
                np.ones(len(counts), bool),
                o.camera,
                None if o.noise.independent else o.noise.covariance,
            )
            for o in task.observations
            for counts, bad in zip(*(stacked(values, o.image, "ZYX") for values in (o.counts, o.bad)), strict=True)
        ]
        self._beside = max(1, min(_MARGIN, math.ceil(_axial_fwhm(self._lens))))
        self._forward = KerasForward(self._lens.blur_of_patches, scale=task.config.scale, edges="mirrored")
        self.fixed: tuple[str, ...] = ("spread", "sharpen") if task.config.denoise_only else ("spread",)
        self._watched = self._stacks[:: max(1, len(self._stacks) // 3)][:3]

    def plan(self) -> Plan:
        """Cosine over the budget."""
        return cosine(self._config)

    def draw(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Patches of a fresh pair: channels, and the noisy copy with the weight of each voxel and, when interleaved, the gap."""
        rng = np.random.default_rng((self._config.seed, step))
        stack = self._stacks[rng.integers(len(self._stacks))]
        depth = self._config.depth * (2 if self._woven else 1)
        part = stack.part(rng, depth, _WINDOW, self._beside * (2 if self._woven else 1))
        channels, goal = self._pair(part, rng, rng.uniform(*self._config.alpha))
        return patches(channels, goal, self._config.patch, self._config.batch, self._turns, rng)

    def _pair(self, part: _Part, rng: np.random.Generator, alpha: float) -> tuple[Array, Array]:
        """Channels of the first member, and the second with weights and gap, (Z, Y, X, 3)."""
        normaliser = self._task.normaliser
        if self._woven:
            one, other, gap = self._odd_and_even(part, rng)
            sigma, counts, target = noise_sigma(one.counts, one.camera), one.counts, other.counts
            seen = other
        else:
            config = self._config
            shot, read = rng.uniform(*config.beta1), rng.uniform(*config.beta2)
            counts, target = noisy_pair(
                part.counts, part.camera, alpha, rng, covariance=part.covariance, shot=shot, read=read
            )
            sigma = noise_sigma(counts, part.camera) * np.float32(math.sqrt(1 + alpha**2))
            gap, seen = np.zeros_like(counts), part
        channels = condition(counts, sigma, normaliser, self._lens.bank)
        free = seen.good & (seen.held < 0) & seen.inner[:, None, None]
        goal = [normaliser.forward(target), np.where(free, seen.weight, 0), gap]
        return channels, np.stack(goal, axis=-1).astype(np.float32)

    def _odd_and_even(self, part: _Part, rng: np.random.Generator) -> tuple[_Part, _Part, Array]:
        """The two members, either first, and the gap from the second to the first in network units."""
        whole = part.slices(slice(len(part.counts) // 2 * 2))
        first = int(rng.integers(2))
        one, other = whole.slices(slice(first, None, 2)), whole.slices(slice(1 - first, None, 2))
        assert isinstance(self._task.lens, VolumeLens)
        channels = condition(
            whole.counts, noise_sigma(whole.counts, whole.camera), self._task.normaliser, self._task.lens.bank
        )
        denoised = np.asarray(self._first_stage.predict_on_batch(aligned(channels)[None])[0, ..., 0])
        denoised = denoised[:, : whole.counts.shape[1], : whole.counts.shape[2]]
        return one, other, denoised[first::2] - denoised[1 - first :: 2]

    def loss(self, targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Squared distance of both stages to the noisy copy, each voxel by the inverse of its variance, and the penalties."""
        goal: Any = targets[0] if isinstance(targets, (list, tuple)) else targets
        config, scale = self._config, self._config.scale
        target, weight, gap = (losses.crop(goal[..., i : i + 1], _MARGIN) for i in range(3))
        denoised = losses.crop(outputs[0], _MARGIN)
        total = self._amended(denoised - target, gap, weight)
        if config.denoise_only:
            return total
        sharp = outputs[1]
        seen = losses.crop(self._forward(sharp), _MARGIN)
        inner = losses.crop(sharp, _MARGIN * scale)
        return (
            total
            + self._amended(seen - target, gap, weight)
            + 0.5 * config.hessian * losses.hessian(inner)
            + 0.5 * config.tv * losses.total_variation(inner)
        )

    def _amended(self, residual: Any, gap: Any, weight: Any) -> Any:
        """With interleaved pairs half of the distance is to the copy with the gap taken off."""
        if not self._woven:
            return weighted(residual, weight)
        return 0.5 * (weighted(residual, weight) + weighted(residual - gap, weight))

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Squared distance to noisy copies on blocks that training never sees, one value for each block.

        Always from re-corrupted stacks at the recorded step, as prediction is.
        """
        lens, normaliser = self._task.lens, self._task.normaliser
        values = []
        for i, stack in enumerate(self._watched):
            rng = np.random.default_rng((self._config.seed, _RISK_STREAM, i))
            part = stack.part(rng, self._config.depth, _WINDOW, self._beside)
            counts, target = noisy_pair(part.counts, part.camera, 1.0, rng, covariance=part.covariance)
            sigma = noise_sigma(counts, part.camera) * np.float32(math.sqrt(2))
            denoised, sharp, _ = run_light(network, condition(counts, sigma, normaliser, lens.bank), flips=1)
            seen = denoised if self._config.denoise_only else lens.seen(sharp, self._config.scale)
            squares = (seen - normaliser.forward(target)) ** 2
            held = (part.held >= 0) & part.good & part.inner[:, None, None]
            sums, voxels = (np.bincount(part.held[held], w) for w in (squares[held], None))
            values.append(sums[voxels > 0] / voxels[voxels > 0])
        return np.concatenate(values)

    def level(self, network: keras.Model) -> None:
        """Left as it was learned: light goes through the ends of a stack, so that the mean of a sharper one may differ."""


def doubled(task: Task) -> VolumeLens:
    """The lens of every second slice."""
    assert isinstance(task.lens, VolumeLens)
    psf = task.lens.psf
    assert psf.z_step_nm is not None
    return VolumeLens.of(psf.resample(psf.pixel_nm, 2 * psf.z_step_nm), task.config.scale, task.response)


def interleaved(even: Array, odd: Array) -> Array:
    """Put the even and the odd slices ``(Z, ...)`` of a stack together again."""
    return np.stack([even, odd], axis=1).reshape(-1, *even.shape[1:])


def first_stage(network: keras.Model) -> keras.Model:
    """The denoising half of a two-stage network, with the same weights."""
    stage = keras.Model(network.input, network.outputs[0])
    stage.compile(jit_compile=False)
    return stage


def _axial_fwhm(lens: VolumeLens) -> float:
    """In slices."""
    width, step = lens.psf.fwhm_z_nm, lens.psf.z_step_nm
    return 1.0 if width is None or step is None else width / step


def _held_out(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """A seventh of the volume in numbered columns of some slices, -1 elsewhere."""
    plane = held_out_blocks(shape[-2:])
    layer = np.arange(shape[0])[:, None, None] // _BLOCK_SLICES
    return np.where(plane >= 0, plane + (plane.max() + 1) * layer, -1)
