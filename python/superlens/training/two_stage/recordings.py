"""Recordings to learn from: planes or stacks with what a loss must know of each pixel, and the parts that training never sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera, smoothed_signal
from superlens.observing.observation import Observation

__all__ = ["Recording", "held_out_blocks", "inverse_variance", "recordings_of"]

Array = NDArray[np.float32]

_BLOCK = 16  # camera pixels: side of a held-out block, at most
_BLOCK_SLICES = 8  # of a held-out block


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A plane or a stack to learn from, or a part of one.

    Attributes
    ----------
    counts : ndarray, shape ([Z,] Y, X), float32, counts above the offset
    camera : Camera
    weight : ndarray, of that shape
        Inverse variance of each pixel, of mean 1.
    good : ndarray of bool
    held : ndarray of int
        Number of the held-out block, -1 outside of them.
    inner : ndarray of bool, shape ([Z])
        Slices that do not lie beside a cut; of a plane one value.
    covariance : ndarray or None
        Of the noise between neighbouring pixels, where they share it.
    bounds : tuple of float
        Least and greatest count of the whole plane or stack.
    neighbour : ndarray or None
        Another frame of the same scene, where it is the noisy copy, without its haze.
    haze : ndarray or None
        Out-of-focus light, part of the counts.
    """

    counts: Array
    camera: Camera
    weight: Array
    good: NDArray[np.bool_]
    held: NDArray[np.int64]
    inner: NDArray[np.bool_]
    covariance: NDArray[np.float64] | None
    bounds: tuple[float, float]
    neighbour: Array | None = None
    haze: Array | None = None

    @property
    def in_focus(self) -> Array:
        """The counts without the haze."""
        return self.without_haze(self.counts)

    def without_haze(self, counts: Array) -> Array:
        """Counts of this recording, or of a copy of it, without the haze."""
        return counts if self.haze is None else counts - self.haze

    def part(self, rng: np.random.Generator, sides: Sequence[int], beside: int = 0) -> Recording:
        """A random part of at most such sides; of a stack, slices that lie ``beside`` a cut are not inner."""
        starts = [int(rng.integers(0, max(n - m, 0) + 1)) for n, m in zip(self.counts.shape, sides, strict=True)]
        cut = tuple(slice(start, start + m) for start, m in zip(starts, sides, strict=True))
        inner = self.inner
        if inner.ndim and beside:
            inner = inner[cut[0]].copy()
            if cut[0].start > 0:
                inner[:beside] = False
            if cut[0].stop < len(self.inner):
                inner[-beside:] = False
        return self._cut(cut, inner)

    def slices(self, which: slice) -> Recording:
        """Some slices of a stack."""
        return self._cut((which,), self.inner[which])

    def of_pixels(self, change: Any) -> Recording:
        """With everything that is known of pixels turned or mirrored alike."""
        known = ("counts", "weight", "good", "held", *(() if self.haze is None else ("haze",)))
        return replace(self, **{name: change(getattr(self, name)) for name in known})

    @property
    def free(self) -> Array:
        """Weight of each pixel in training: 0 where it is bad, held out or beside a cut."""
        counted = self.good & (self.held < 0) & self.inner[..., None, None]
        return np.where(counted, self.weight, 0).astype(np.float32)

    @property
    def checked(self) -> NDArray[np.bool_]:
        """Pixels that training never sees, and that are good."""
        return (self.held >= 0) & self.good & self.inner[..., None, None]

    def _cut(self, cut: tuple[slice, ...], inner: NDArray[np.bool_]) -> Recording:
        return replace(
            self,
            counts=self.counts[cut],
            weight=self.weight[cut],
            good=self.good[cut],
            held=self.held[cut],
            inner=inner,
            neighbour=None if self.neighbour is None else self.neighbour[cut],
            haze=None if self.haze is None else self.haze[cut],
        )


def recordings_of(observations: Sequence[Observation], axes: str, *, all_alike: bool = False) -> list[Recording]:
    """The planes or stacks of observed images.

    Parameters
    ----------
    observations : sequence of Observation
    axes : {"YX", "ZYX"}
    all_alike : bool
        Whether every pixel counts as much as any other, and none is held out.
    """
    made = []
    for o in observations:
        covariance = None if o.noise.independent else o.noise.covariance
        stacks = [o.stacked(values, axes) for values in (o.counts, o.bad)]
        hazes = [None] * len(stacks[0]) if o.haze is None else o.stacked(o.haze, axes)
        for counts, bad, haze in zip(*stacks, hazes, strict=True):
            made.append(
                Recording(
                    counts,
                    o.camera,
                    np.ones_like(counts) if all_alike else inverse_variance(counts, o.camera),
                    np.ones_like(bad) if all_alike else ~bad,
                    np.full(counts.shape, -1) if all_alike else held_out_blocks(counts.shape),
                    np.ones(counts.shape[:-2], np.bool_),
                    covariance,
                    (float(counts.min()), float(counts.max())),
                    haze=haze,
                )
            )
    return made


def inverse_variance(counts: Array, camera: Camera) -> Array:
    """Inverse variance of each pixel, of mean 1, from the mean of its 24 neighbours.

    The pixel itself is left out: were it to set its own weight, a dim fluctuation would count more than a bright one and the
    weighted mean would come out too low.
    """
    neighbours = (25 * smoothed_signal(counts) - counts) / 24
    variance = camera.variance(neighbours)
    inverse = 1 / np.maximum(variance, 0.1 * np.mean(variance))
    return np.asarray(inverse / inverse.mean(), np.float32)


def held_out_blocks(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """A seventh of a plane, or of a volume in columns of some slices, in numbered blocks spread over it; -1 elsewhere."""
    cell = max(4, min(_BLOCK, min(shape[-2:]) // 8))
    row, column = (np.arange(side) // cell for side in shape[-2:])
    number = row[:, None] * (column[-1] + 1) + column[None, :]
    plane = np.where((row[:, None] * 3 + column[None, :]) % 7 == 0, number, -1)
    if len(shape) == 2:
        return plane
    layer = np.arange(shape[0])[:, None, None] // _BLOCK_SLICES
    return np.where(plane >= 0, plane + (plane.max() + 1) * layer, -1)
