"""The even slices of a stack as the noisy copy of the odd ones, but for the gap between them.

The gap is read off the network's own denoised stack, without a gradient, and amended in the loss. Interleaved stacks have twice the step in
training; prediction is at the recorded step.

References
----------
Huang et al., Neighbor2Neighbor, CVPR 2021; Qiao et al., Nat. Commun. 15, 4180 (2024), who carry it over to slices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recordings import Recording
from superlens.training.two_stage.recorrupted import sigma_of
from superlens.training.two_stage.turning import Turn

__all__ = ["InterleavedSlices"]

Array = NDArray[np.float32]
Denoise = Callable[[Recording], Array]
"""The first stage as it is now: a stack ``(Z, Y, X)`` in, denoised in network units out."""


class InterleavedSlices:
    """Odd and even slices of a part of a stack.

    Parameters
    ----------
    recordings : sequence of Recording
    sides : sequence of int
        Slices, rows and columns of a member of a pair, at most; of twice as many slices it is made.
    denoise : callable
    beside : int
        Slices of a member at a cut that do not count.
    turns : sequence of Turn, optional
        Each part is turned in one of these ways before it is taken apart, where it is square; without them either half may come first.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        sides: tuple[int, int, int],
        denoise: Denoise,
        *,
        beside: int = 0,
        turns: Sequence[Turn] = (),
    ) -> None:
        self._recordings, self._denoise, self._turns = recordings, denoise, turns
        self._sides, self._beside = (2 * sides[0], *sides[1:]), 2 * beside

    def draw(self, rng: np.random.Generator) -> Pair:
        """The two halves of a random part of a random stack."""
        part = self._recordings[int(rng.integers(len(self._recordings)))].part(rng, self._sides, self._beside)
        whole = part.slices(slice(len(part.counts) // 2 * 2))
        first = 1
        if not self._turns:
            first = int(rng.integers(2))
        elif whole.counts.shape[-2] == whole.counts.shape[-1]:
            whole = whole.of_pixels(self._turns[int(rng.integers(len(self._turns)))])
        one, other = whole.slices(slice(first, None, 2)), whole.slices(slice(1 - first, None, 2))
        denoised = self._denoise(whole)
        gap = denoised[first::2] - denoised[1 - first :: 2]
        return Pair(one.counts, other.counts, sigma_of(one), other.free, whole.bounds, gap)
