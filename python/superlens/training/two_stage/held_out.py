"""Errors on what training never sees, and the light of outputs that no start has taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.networks import Architecture
from superlens.observing.conditioning import Normaliser, WienerBank, condition
from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recordings import Recording
from superlens.training.two_stage.recorrupted import sigma_of
from superlens.training.two_stage.turning import averaged

__all__ = ["EDGE", "HeldOut", "level"]

Array = NDArray[np.float32]

EDGE = 16
"""Camera pixels by which an image or a volume is mirrored beyond its lateral edges: a multiple of the networks' alignments.

Farther out a network sees what it saw beyond its patches in training: nothing.
"""

_STREAM = 1 << 40
_MOST = 3  # recordings that are looked at


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Blocks of some recordings that training never sees.

    Attributes
    ----------
    architecture : Architecture
        Of a conditioned network.
    recordings : sequence of Recording
        Three of them are looked at, spread over all.
    sides : sequence of int
        Of the part of each that is looked at.
    beside : int
        Slices at a cut that do not count.
    copies : callable
        Makes a pair of a recording.
    draws : int
        Pairs that are drawn of each.
    normaliser, bank
        What the channels are made with, at the recorded step.
    seen : callable or None
        What the camera would see of a sharp image; None for denoising only.
    seed : int
    """

    architecture: Architecture
    recordings: Sequence[Recording]
    sides: Sequence[int]
    beside: int
    copies: Callable[[Recording, np.random.Generator], Pair]
    draws: int
    normaliser: Normaliser
    bank: WienerBank
    seen: Callable[[Array], Array] | None
    seed: int

    @property
    def watched(self) -> Sequence[Recording]:
        """Those that are looked at."""
        return self.recordings[:: max(1, len(self.recordings) // _MOST)][:_MOST]

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Squared distance to noisy copies on the blocks, one value for each; for denoising only, the first stage suffices.

        With independent noise the expectation is the error of the sharp image as the camera sees it, plus a constant.
        """
        values = []
        for i, recording in enumerate(self.watched):
            rng = np.random.default_rng((self.seed, _STREAM, i))
            part = recording.part(rng, self.sides, self.beside)
            squares = np.zeros_like(part.counts)
            for _ in range(self.draws):
                pair = self.copies(part, rng)
                made = self._run(network, pair.input, pair.sigma)
                seen = made[0] if self.seen is None else self.seen(made[1])
                squares += (seen - self.normaliser.forward(pair.target)) ** 2
            held = part.checked
            sums, pixels = (np.bincount(part.held[held], w) for w in (squares[held], None))
            values.append(sums[pixels > 0] / (self.draws * pixels[pixels > 0]))
        return np.concatenate(values)

    def _run(self, network: keras.Model, counts: Array, sigma: Array) -> list[Array]:
        channels = condition(counts, sigma, self.normaliser, self.bank)
        return averaged(network, channels, flips=1, align=self.architecture.align)

    def excess(self, network: keras.Model, recording: Recording) -> dict[str, float]:
        """How much brighter than the input the denoised and the sharp image are in the mean, in network units."""
        part = recording.part(np.random.default_rng((self.seed, _STREAM)), self.sides)
        around = part.of_pixels(
            lambda values: np.pad(values, EDGE, mode="symmetric")
        )  # as prediction continues an image
        denoised, sharp, *_ = self._run(network, around.in_focus, sigma_of(around))
        factor = sharp.shape[0] // denoised.shape[0]
        binned = sharp.reshape(denoised.shape[0], factor, denoised.shape[1], factor).mean((1, 3))
        counted = float(self.normaliser.forward(part.in_focus)[part.good].mean())
        inner = (slice(EDGE, -EDGE),) * 2
        return {
            role: float(made[inner][part.good].mean()) - counted
            for role, made in (("denoised", denoised), ("sharp", binned))
        }


def level(network: keras.Model, held_out: HeldOut) -> None:
    """Move the outputs of a network of images by a constant each, so that their mean is that of the input.

    The mean is what an image tells best of all, and what few steps from random weights leave off by some percent.
    """
    for role, name in held_out.architecture.heads.items():
        if role == "sharp" and held_out.seen is None:
            continue
        excess = float(np.mean([held_out.excess(network, one)[role] for one in held_out.watched]))
        head = network.get_layer(name)
        kernel, bias = head.get_weights()
        head.set_weights([kernel, bias - excess])
