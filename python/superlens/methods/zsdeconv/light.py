"""How the light network learns: re-corrupted pairs, conditioned channels, and the sharp image held against the same noisy copy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera, smoothed_signal
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.task import Lens, Task
from superlens.methods.zsdeconv.temporal import neighbours, refuse_motion
from superlens.methods.zsdeconv.turning import EDGE, TURNS, Turn, as_is, run_light, unchanged_by
from superlens.networks import losses
from superlens.networks.forward import KerasForward, camera_pixels
from superlens.observing.conditioning import condition
from superlens.observing.observation import noise_sigma, noisy_pair
from superlens.optics import image_of
from superlens.training import Plan

__all__ = [
    "LightRecipe",
    "compact",
    "cosine",
    "held_out_blocks",
    "inverse_variance",
    "patches",
    "weighted",
]

Array = NDArray[np.float32]

_RISK_STREAM = 1 << 40
_RISK_DRAWS = 2
_BLOCK = 16  # camera pixels: side of a held-out block, at most
_ALIGN = 4
_LEAST_SEEN = 16  # camera pixels along each side of a patch that the loss looks at, at least
_WINDOW = 320  # camera pixels: the part of a large plane that a step or a check looks at


class LightRecipe:
    """How the light network learns: re-corrupted pairs, conditioned channels, and the sharp image held against the same copy."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._config = task.config
        assert isinstance(task.lens, Lens)
        self._kernel = compact(task.lens.kernel)
        self._turns = [turn for turn, _ in TURNS if unchanged_by(turn, task.lens.kernel)]
        self._forward = KerasForward(self._kernel, scale=task.config.scale)
        self._margin = max(*self._forward.margins, 8)
        self._planes = [
            _Plane(
                counts,
                o.camera,
                inverse_variance(counts, o.camera),
                ~bad,
                held_out_blocks(counts.shape),
                None if o.noise.independent else o.noise.covariance,
            )
            for o in task.observations
            for counts, bad in zip(o.counts, o.bad, strict=True)
        ]
        if task.config.pairs == "temporal":
            self._planes = _paired(self._planes, task)
        self.fixed: tuple[str, ...] = ("spread", "sharpen") if task.config.denoise_only else ("spread",)
        self._watched = self._planes[:: max(1, len(self._planes) // 3)][:3]

    def plan(self) -> Plan:
        """Cosine over the budget."""
        return cosine(self._config)

    def draw(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Patches of a fresh re-corrupted pair: channels, and the noisy copy with the weight of each pixel.

        Each patch is turned and mirrored in one of the ways that leave the PSF as it is.
        """
        rng = np.random.default_rng((self._config.seed, step))
        plane = self._planes[rng.integers(len(self._planes))].window(rng)
        alpha = rng.uniform(*self._config.alpha)
        channels, target = self._pair(plane, alpha, rng)
        weight = plane.good & (plane.held < 0)
        goal = np.stack([target, np.where(weight, plane.weight, 0)], axis=-1)
        least = -(-(2 * self._margin + _LEAST_SEEN) // _ALIGN) * _ALIGN
        channels, goal = _framed(channels, goal, self._margin, least)
        side = max(self._config.patch, least)
        return patches(channels, goal, side, self._config.batch, self._turns, rng)

    def _pair(self, plane: _Plane, alpha: float, rng: np.random.Generator) -> tuple[Array, Array]:
        config, camera, normaliser = self._config, plane.camera, self._task.normaliser
        if plane.other is not None:
            sigma = noise_sigma(plane.counts[None], camera)[0]
            return condition(plane.counts, sigma, normaliser, self._task.lens.bank), normaliser.forward(plane.other)
        shot, read = rng.uniform(*config.beta1), rng.uniform(*config.beta2)
        one, other = noisy_pair(
            plane.counts[None], camera, alpha, rng, covariance=plane.covariance, shot=shot, read=read
        )
        # The level of the noise from the input itself: that of the plane holds the plane's own noise, which the target holds too.
        sigma = noise_sigma(one, camera)[0] * np.float32(math.sqrt(1 + alpha**2))
        return condition(one[0], sigma, normaliser, self._task.lens.bank), normaliser.forward(other[0])

    def loss(self, targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Squared distance of both stages to the noisy copy, each pixel by the inverse of its variance, and the penalties."""
        goal: Any = targets[0] if isinstance(targets, (list, tuple)) else targets
        margin = self._margin
        target, weight = losses.crop(goal[..., :1], margin), losses.crop(goal[..., 1:], margin)
        denoised, sharp = losses.crop(outputs[0], margin), outputs[1]
        total = weighted(denoised - target, weight)
        if self._config.denoise_only:
            return total
        seen = losses.crop(self._forward(sharp), margin - max(self._forward.margins))
        inner = losses.crop(sharp, margin * self._config.scale)
        return (
            total
            + weighted(seen - target, weight)
            + 0.5 * self._config.hessian * losses.hessian(inner)
            + 0.5 * self._config.tv * losses.total_variation(inner)
        )

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Squared distance to noisy copies on blocks that training never sees, one value for each block.

        With independent noise the expectation is the error of the sharp image as the camera sees it, plus a constant.
        """
        values = []
        for i, plane in enumerate(self._watched):
            rng = np.random.default_rng((self._config.seed, _RISK_STREAM, i))
            window = plane.window(rng)
            squares = np.zeros_like(window.counts)
            for _ in range(_RISK_DRAWS):
                channels, target = self._pair(window, 1.0, rng)
                denoised, sharp, _ = run_light(network, channels, flips=1)
                seen = (
                    denoised if self._config.denoise_only else image_of(sharp, self._kernel, scale=self._config.scale)
                )
                squares += (seen - target) ** 2
            held = (window.held >= 0) & window.good
            sums, pixels = (np.bincount(window.held[held], w) for w in (squares[held], None))
            values.append(sums[pixels > 0] / (_RISK_DRAWS * pixels[pixels > 0]))
        return np.concatenate(values)

    def level(self, network: keras.Model) -> None:
        """Move both outputs by a constant each, so that their mean is that of the input.

        The mean is what an image tells best of all, and what few steps from random weights leave off by some percent.
        """
        for output, name in enumerate(("denoise_head", "sharpen_head")[: 1 if self._config.denoise_only else 2]):
            excess = float(np.mean([self._excess(network, plane)[output] for plane in self._watched]))
            head = network.get_layer(name)
            kernel, bias = head.get_weights()
            head.set_weights([kernel, bias - excess])

    def _excess(self, network: keras.Model, plane: _Plane) -> tuple[float, float]:
        """How much brighter than the input the denoised and the sharp image are in the mean, in network units."""
        normaliser, scale = self._task.normaliser, self._config.scale
        window = plane.window(np.random.default_rng((self._config.seed, _RISK_STREAM)))
        around = np.pad(window.counts, EDGE, mode="symmetric")  # as prediction continues an image
        sigma = noise_sigma(around[None], window.camera)[0]
        denoised, sharp, _ = run_light(network, condition(around, sigma, normaliser, self._task.lens.bank), flips=1)
        seen = float(normaliser.forward(window.counts)[window.good].mean())
        inner = (slice(EDGE, -EDGE),) * 2
        fine = camera_pixels(sharp[None, ..., None], scale)[0, ..., 0]
        one, other = (float(np.asarray(image)[inner][window.good].mean()) for image in (denoised, fine))
        return one - seen, other - seen


def cosine(config: ZSDeconvConfig) -> Plan:
    """Cosine over the budget; a training that began from the shipped weights stops early when nothing is gained."""
    return Plan(
        steps=config.steps,
        learning_rate=config.learning_rate,
        minutes=config.minutes,
        check_every=max(20, config.steps // 40),
        patience=0 if config.from_scratch else 4,
    )


def patches(
    channels: Array, goal: Array, side: int, number: int, turns: Sequence[Turn], rng: np.random.Generator
) -> tuple[Array, tuple[Array, ...]]:
    """Patches of channels and goal ``([Z,] Y, X, C)``, of ``side`` pixels where there are as many, each turned in one of the ways if it is square."""
    height, width = (min(side, n // _ALIGN * _ALIGN) for n in goal.shape[-3:-1])
    inputs, goals = [], []
    for _ in range(number):
        y, x = (int(rng.integers(0, n - m + 1)) for n, m in zip(goal.shape[-3:-1], (height, width), strict=True))
        cut = (..., slice(y, y + height), slice(x, x + width), slice(None))
        turn = turns[int(rng.integers(len(turns)))] if height == width else as_is
        inputs.append(turn(channels[cut]))
        goals.append(turn(goal[cut]))
    return np.stack(inputs), (np.stack(goals).astype(np.float32),)


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """One plane to learn from."""

    counts: Array
    camera: Camera
    weight: Array
    good: NDArray[np.bool_]
    held: NDArray[np.int64]  # number of the held-out block, -1 outside of them
    covariance: NDArray[np.float64] | None
    other: Array | None = None  # a neighbouring frame, where it is the noisy copy

    def window(self, rng: np.random.Generator) -> _Plane:
        """A random part of at most `_WINDOW` pixels a side."""
        y, x = (int(rng.integers(0, max(side - _WINDOW, 0) + 1)) for side in self.counts.shape)
        part = (slice(y, y + _WINDOW), slice(x, x + _WINDOW))
        return _Plane(
            self.counts[part],
            self.camera,
            self.weight[part],
            self.good[part],
            self.held[part],
            self.covariance,
            None if self.other is None else self.other[part],
        )


def _paired(planes: Sequence[_Plane], task: Task) -> list[_Plane]:
    """Each plane with a neighbouring frame, once for each neighbour; pixels that are bad in one of the two have no weight."""
    refuse_motion(task.observations)
    pairs, first = [], 0
    for observation in task.observations:
        for one, other in neighbours(observation):
            a, b = planes[first + one], planes[first + other]
            pairs.append(replace(a, good=a.good & b.good, other=b.counts))
        first += len(observation.counts)
    return pairs


def inverse_variance(counts: Array, camera: Camera) -> Array:
    """Inverse variance of each pixel, of mean 1, from the mean of its 24 neighbours.

    The pixel itself is left out: were it to set its own weight, a dim fluctuation would count more than a bright one and the
    weighted mean would come out too low.
    """
    neighbours = (25 * smoothed_signal(counts) - counts) / 24
    variance = camera.variance(neighbours)
    inverse = 1 / np.maximum(variance, 0.1 * np.mean(variance))
    return np.asarray(inverse / inverse.mean(), np.float32)


def _framed(channels: Array, goal: Array, margin: int, least: int) -> tuple[Array, Array]:
    """A plane narrower than ``least``, mirrored beyond its edges by what the loss leaves out; mirrored pixels have no weight."""
    frame = [(margin, margin + -side % _ALIGN) if side < least else (0, 0) for side in goal.shape[:2]]
    if frame == [(0, 0), (0, 0)]:
        return channels, goal
    inside = np.pad(np.ones(goal.shape[:2], np.float32), frame)
    channels, goal = (np.pad(a, [*frame, (0, 0)], mode="symmetric") for a in (channels, goal))
    goal[..., 1] *= inside
    return channels, goal


def held_out_blocks(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """A seventh of the plane in numbered blocks spread over it, -1 elsewhere."""
    cell = max(4, min(_BLOCK, min(shape) // 8))
    row, column = (np.arange(side) // cell for side in shape)
    number = row[:, None] * (column[-1] + 1) + column[None, :]
    return np.where((row[:, None] * 3 + column[None, :]) % 7 == 0, number, -1)


def weighted(residual: Any, weight: Any) -> Any:
    """Mean of the weighted squares."""
    return keras.ops.mean(weight * keras.ops.square(residual))


def compact(kernel: NDArray[np.float64], share: float = 0.998) -> NDArray[np.float64]:
    """The square centre of a kernel that holds most of its absolute sum, rescaled to the same sum."""
    middle = max(kernel.shape) // 2
    square = np.pad(kernel, [(middle - side // 2,) * 2 for side in kernel.shape])
    total = np.abs(square).sum()
    for r in range(1, middle):
        centre = square[middle - r : middle + r + 1, middle - r : middle + r + 1]
        if np.abs(centre).sum() >= share * total:
            return np.asarray(centre * (kernel.sum() / centre.sum()))
    return square
