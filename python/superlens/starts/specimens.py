"""Specimens that the starts for images learn from: many kinds, scales and mixtures, drawn once and moved about ever after.

Nuclei, cell membranes and photographs are left out: they test the breadth. In: a random generator. Out: periodic pictures of label
density on the fine grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens import simulate

__all__ = ["FINE", "a_specimen", "specimens"]

Array = NDArray[np.float32]
Rng = np.random.Generator

FINE = 256
"""Side of a periodic specimen, fine pixels."""

_OFTEN = (0.13, 0.10, 0.11, 0.06, 0.08, 0.12, 0.18, 0.13, 0.09)  # of the kinds of `_structure`
_DENSE = (5, 8)


def specimens(count: int, rng: Rng, *, dense: bool = True) -> NDArray[np.float16]:
    """Draw the specimens that patches are made from.

    Parameters
    ----------
    count : int
    rng : numpy.random.Generator
    dense : bool
        Textures that leave no dark place are among them.

    Returns
    -------
    ndarray, shape (count, 256, 256), float16, maximum 1
    """
    pool = np.empty((count, FINE, FINE), np.float16)
    for i in range(count):
        drawn = _structure(rng, dense)
        while drawn.max() <= 0:  # a sparse kind may draw nothing at all
            drawn = _structure(rng, dense)
        pool[i] = drawn / drawn.max()
    return pool


def _structure(rng: Rng, dense: bool) -> Array:
    """One specimen of a random kind and scale."""
    shape = (FINE, FINE)

    def around(value: float, octaves: float) -> float:
        return float(value * 2 ** rng.uniform(-octaves, octaves))

    often = np.array(_OFTEN) * [dense or kind not in _DENSE for kind in range(len(_OFTEN))]
    match rng.choice(len(_OFTEN), p=often / often.sum()):
        case 0:
            return simulate.filaments(
                shape, rng, density=around(0.04, 1.7), persistence=around(200, 1.5), width=around(1.2, 1.2)
            )
        case 1:
            return simulate.vesicles(
                shape, rng, density=around(0.0015, 1.5), radius=around(4.0, 1), hollow=rng.uniform(0, 1)
            )
        case 2:
            return simulate.er_network(
                shape, rng, mesh=around(28, 0.8), width=around(2.0, 1), sheets=rng.uniform(0, 0.1)
            )
        case 3:
            return simulate.mitochondria(shape, rng, density=around(0.006, 1), width=around(9, 0.7))
        case 4:
            return simulate.beads(shape, rng, density=around(0.002, 2), spread=rng.uniform(0, 0.8))
        case 5:
            return simulate.dead_leaves(shape, rng, smallest=around(2.5, 0.7), largest=around(60, 0.8))
        case 6:
            return simulate.filaments(
                shape,
                rng,
                density=around(0.02, 1.5),
                persistence=around(400, 1.5),
                width=around(1.0, 0.8),
                strands=2 if rng.random() < 0.8 else 3,
                gap=around(5.0, 1.2),
            )
        case 7:
            return simulate.stress_fibres(
                shape,
                rng,
                density=around(0.12, 1.5),
                spread=rng.uniform(0, 20),
                width=around(1.5, 1.0),
            )
        case _:
            return simulate.one_over_f(shape, rng, exponent=rng.uniform(0.8, 2.2), contrast=around(1.0, 1.0))


def a_specimen(pool: NDArray[np.float16], rng: Rng, *, even: float = 0.03) -> NDArray[np.floating[Any]]:
    """One specimen of the pool, turned and shifted, by chance mixed with another, bent in brightness, or unevenly lit; or even light."""
    if rng.random() < even:
        return np.ones((FINE, FINE), np.float32)
    one: NDArray[np.floating[Any]] = _moved(pool, rng)
    if rng.random() < 0.3:
        other = _moved(pool, rng)
        product = one * other
        if rng.random() < 0.4 and product.max() > 0.05:
            one = product
        else:
            one = one + np.exp(rng.uniform(np.log(0.05), np.log(1.0))) * other
    if rng.random() < 0.3:
        one = np.maximum(one, 0) ** rng.uniform(0.6, 1.8)
    if rng.random() < 0.3:  # uneven illumination or expression
        y, x = np.meshgrid(*(np.linspace(0, 2 * np.pi, FINE, endpoint=False),) * 2, indexing="ij")
        one = one * (1 + rng.uniform(0, 0.9) * np.cos(y + rng.uniform(0, 6.28)) * np.cos(x + rng.uniform(0, 6.28)))
    if rng.random() < 0.1:  # a few pixels far brighter than the rest
        spots = rng.integers(0, FINE, (rng.integers(1, 6), 2))
        one = one.copy()
        one[spots[:, 0], spots[:, 1]] += rng.uniform(1, 10) * one.max()
    return one


def _moved(pool: NDArray[np.float16], rng: Rng) -> Array:
    one = pool[rng.integers(len(pool))].astype(np.float32)
    one = np.rot90(one, int(rng.integers(4)))
    if rng.random() < 0.5:
        one = one[::-1]
    return np.roll(one, tuple(rng.integers(0, FINE, 2)), axis=(0, 1))
