"""Pairs: two images of one expectation, of which a network learns to predict the second from the first.

A way to come by them is a file of its own: `recorrupted`, `interleaved`, `neighbours`. Raw frames that are re-corrupted and then
reconstructed, or pairs with a target from another microscope, are further ones: the input is what a network is shown, the target what
it is asked for, and the weight says which pixels count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pair", "Pairs"]

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two images, or volumes, of one expectation.

    Attributes
    ----------
    input, target : ndarray, shape ([Z,] Y, X), float32, counts above the offset
        Of independent noise.
    sigma : ndarray, of that shape, counts
        Standard deviation of the noise of the input.
    weight : ndarray, of that shape
        Of each pixel of the target; 0 where it does not count.
    bounds : tuple of float
        Least and greatest count of what the pair was made from.
    gap : ndarray or None
        What the input's expectation is more than the target's, in network units, where they differ.
    """

    input: Array
    target: Array
    sigma: Array
    weight: Array
    bounds: tuple[float, float]
    gap: Array | None = None


class Pairs(Protocol):
    """A way to come by pairs."""

    def draw(self, rng: np.random.Generator) -> Pair:
        """A fresh pair; the same state of the generator gives the same pair."""
