"""Where the noisy pairs of a training come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.training.two_stage.interleaved import Denoise, InterleavedSlices
from superlens.training.two_stage.neighbours import NeighbouringFrames
from superlens.training.two_stage.pairs import Pair, Pairs
from superlens.training.two_stage.recordings import Recording
from superlens.training.two_stage.recorrupted import GaussianCopies, PhotonCopies, Spread
from superlens.training.two_stage.turning import turns_of

__all__ = ["held_out_copies", "original_pairs", "pairs_of"]


def pairs_of(
    config: ZSDeconvConfig, recordings: Sequence[Recording], sides: Sequence[int], beside: int, denoise: Denoise
) -> Pairs:
    """For a network that takes the noise as an input: photons dealt out, neighbouring frames, or interleaved slices.

    Parameters
    ----------
    config : ZSDeconvConfig
    recordings : sequence of Recording
    sides : sequence of int
        Of what a pair is made from, at most.
    beside : int
        Slices at a cut that do not count.
    denoise : callable
        See `InterleavedSlices`.
    """
    if config.pairs == "temporal":
        return NeighbouringFrames(recordings, sides)
    if config.pairs == "interleave":
        depth, height, width = sides
        return InterleavedSlices(recordings, (depth, height, width), denoise, beside=beside)
    return PhotonCopies(recordings, sides, _spread(config), beside=beside)


def original_pairs(config: ZSDeconvConfig, recordings: Sequence[Recording], denoise: Denoise) -> Pairs:
    """Of the original recipe: Gaussian copies of images, interleaved slices of stacks."""
    if config.axes == "YX":
        return GaussianCopies(recordings, _spread(config))
    sides = config.depth, config.patch, config.patch
    return InterleavedSlices(recordings, sides, denoise, turns=[turn for turn, _ in turns_of(3)])


def held_out_copies(config: ZSDeconvConfig) -> Callable[[Recording, np.random.Generator], Pair]:
    """What a network is checked on: evenly split copies at the recorded step, or the neighbouring frame."""
    if config.pairs == "temporal":
        return lambda one, rng: NeighbouringFrames([one], one.counts.shape).split(one)
    spread = _spread(config) if config.axes == "YX" else None

    def split(one: Recording, rng: np.random.Generator) -> Pair:
        copies = PhotonCopies([one], one.counts.shape, Spread())
        if spread is None:
            return copies.split(one, 1.0, rng)
        return copies.split(one, 1.0, rng, shot=rng.uniform(*spread.shot), read=rng.uniform(*spread.read))

    return split


def _spread(config: ZSDeconvConfig) -> Spread:
    return Spread(config.alpha, config.beta1, config.beta2)
