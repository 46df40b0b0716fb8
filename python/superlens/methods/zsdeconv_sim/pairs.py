"""Pairs: the photons of raw frames dealt out to two sets, each reconstructed by the same operator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from superlens.camera import recorrupt
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.prepared import SimObservation
from superlens.observing.observation import noise_sigma, noisy_pair
from superlens.reconstruct.sim import Reconstruction
from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recordings import Recording, held_out_blocks
from superlens.training.two_stage.recorrupted import Spread

__all__ = ["OriginalCopies", "RawCopies", "SimRecording", "recordings_of", "split"]

Array = NDArray[np.float32]

_LARGEST = 288  # raw pixels along a side of the part that pairs are made from
_BORDER = 16  # raw pixels at the cut side of a part that do not count


@dataclass(frozen=True, slots=True, eq=False)
class SimRecording(Recording):
    """A reconstruction to learn from, or a part of one, with its raw frames.

    Attributes
    ----------
    frames : ndarray, shape (frames, Y, X), float32, counts above the offset
    optics : SimOptics
        With the phases of this part.
    operator : Reconstruction
    """

    # The fields of a base with defaults come first; these are always given.
    frames: Array = None  # type: ignore[assignment]
    optics: SimOptics = None  # type: ignore[assignment]
    operator: Reconstruction = None  # type: ignore[assignment]


def recordings_of(observations: Sequence[SimObservation], optics: SimOptics) -> list[SimRecording]:
    """Every set of raw frames, cut into overlapping parts where it is large, with the phases of that set.

    Parts are cut so that a pair is quick to make; the operator is linear and local, so that a part gives what the whole gives but for its
    borders, which do not count.
    """
    return [
        _part(frames, observation, own, rows, columns)
        for observation in observations
        for frames, own in zip(observation.frames, observation.optics or repeat(optics), strict=False)
        for rows in _cuts(frames.shape[-2])
        for columns in _cuts(frames.shape[-1])
    ]


def _cuts(side: int) -> list[slice]:
    number = max(1, math.ceil((side - 2 * _BORDER) / (_LARGEST - 2 * _BORDER)))
    length = min(side, _LARGEST)
    return [slice(int(s), int(s) + length) for s in np.linspace(0, side - length, number).round()]


def _part(frames: Array, observation: SimObservation, optics: SimOptics, rows: slice, columns: slice) -> SimRecording:
    camera, (height, width) = observation.camera, frames.shape[-2:]
    inside = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    top, left = (_BORDER if cut.start > 0 else 0 for cut in (rows, columns))
    bottom, right = (
        -_BORDER if cut.stop < side else None for cut, side in zip((rows, columns), (height, width), strict=True)
    )
    inside[top:bottom, left:right] = True
    good = np.kron(inside, np.ones((2, 2), bool))
    own, moved = np.ascontiguousarray(frames[:, rows, columns]), optics.moved(-rows.start, -columns.start)
    operator = moved.operator((own.shape[-2], own.shape[-1]))
    counts, sigma = operator.apply(own), moved.sigma(own, camera)
    inverse = 1 / np.maximum(sigma**2, 0.1 * np.mean(sigma**2))
    return SimRecording(
        counts,
        camera,
        (inverse / inverse.mean()).astype(np.float32),
        good,
        held_out_blocks(counts.shape),
        np.ones((), np.bool_),
        None if observation.noise is None else observation.noise.shared,
        (float(counts.min()), float(counts.max())),
        frames=own,
        optics=moved,
        operator=operator,
    )


class RawCopies:
    """Photons of raw frames dealt out to two sets.

    Parameters
    ----------
    recordings : sequence of SimRecording
    spread : Spread
    """

    def __init__(self, recordings: Sequence[SimRecording], spread: Spread) -> None:
        self._recordings, self._spread = recordings, spread

    def draw(self, rng: np.random.Generator) -> Pair:
        """Copies of a random recording."""
        one, spread = self._recordings[int(rng.integers(len(self._recordings)))], self._spread
        return split(
            one, rng.uniform(*spread.alpha), rng, shot=rng.uniform(*spread.shot), read=rng.uniform(*spread.read)
        )


def split(one: SimRecording, alpha: float, rng: np.random.Generator, *, shot: float = 1.0, read: float = 1.0) -> Pair:
    """Two reconstructions of one expectation and independent noise."""
    first, second = noisy_pair(one.frames, one.camera, alpha, rng, covariance=one.covariance, shot=shot, read=read)
    sigma = one.optics.sigma(first, one.camera) * np.float32(math.sqrt(1 + alpha**2))
    return Pair(one.operator.apply(first), one.operator.apply(second), sigma, one.free, one.bounds)


class OriginalCopies:
    """As in the original: a Gaussian field added to the raw frames of one set and subtracted from those of the other."""

    def __init__(self, recordings: Sequence[SimRecording], spread: Spread) -> None:
        self._recordings, self._spread = recordings, spread

    def draw(self, rng: np.random.Generator) -> Pair:
        """Copies of a random recording, both within common bounds."""
        one, spread = self._recordings[int(rng.integers(len(self._recordings)))], self._spread
        sigma = noise_sigma(one.frames, one.camera, shot=rng.uniform(*spread.shot), read=rng.uniform(*spread.read))
        frames = recorrupt(one.frames, sigma, rng.uniform(*spread.alpha), rng)
        made, other = (one.operator.apply(copy) for copy in frames)
        bounds = float(min(made.min(), other.min())), float(max(made.max(), other.max()))
        return Pair(made, other, one.optics.sigma(one.frames, one.camera), one.good.astype(np.float32), bounds)
