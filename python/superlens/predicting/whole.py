"""One image or volume in memory, in tiles as large as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.predicting.predictor import Predictor
from superlens.tiling import choose_tile, map_tiles

__all__ = ["in_windows", "predict_whole"]

Array = NDArray[np.float32]


def predict_whole(
    predictor: Predictor,
    counts: Array,
    sigma: Array,
    roles: Sequence[str] | None = None,
    *,
    tile: Sequence[int] | None = None,
) -> dict[str, Array]:
    """Predict one image or volume.

    An image is mirrored a little beyond its edges; the first and the last slice of a volume stay ends.

    Parameters
    ----------
    predictor : Predictor
    counts, sigma : ndarray, shape ([Z,] Y, X), float32, counts
    roles : sequence of str, optional
        What is wanted; all that there is by default.
    tile : sequence of int, optional
        Sides of the tiles; by default as large as memory allows. The result does not depend on them.

    Returns
    -------
    dict
        Role to array, in the order of `roles`.
    """
    wanted = tuple(predictor.roles if roles is None else roles)
    if not predictor.blocks:
        return predictor(counts, sigma, wanted)
    along_z = counts.ndim == 3
    halo = (predictor.reach_z,) * along_z + (predictor.halo,) * 2
    align = (1,) * along_z + (predictor.align,) * 2
    edge = (0,) * along_z + (predictor.edge,) * 2

    def block(part: Array) -> list[Array]:
        made = predictor(part[0, ..., 0], part[0, ..., 1], wanted)
        return [made[role][None, ..., None] for role in wanted]

    sides = tile or choose_tile(
        counts.shape, halo, align, bytes_per_pixel=predictor.bytes_per_pixel, ends="open", edge=edge
    )
    made = map_tiles(
        block,
        np.stack([counts, sigma], axis=-1),
        halo=halo,
        align=align,
        tile=sides,
        ends="open",
        edge=edge,
    )
    return {role: values[..., 0] for role, values in zip(wanted, made, strict=True)}


def in_windows(
    fn: Callable[[Array], Any], array: Array, window: Sequence[int], halo: Sequence[int]
) -> tuple[Array, ...]:
    """Apply a function that must see windows of one size, as one with global attention that was trained on such.

    Parameters
    ----------
    fn : callable
        Maps a window ``(1, [Z,] Y, X, C)`` to arrays, as for `superlens.tiling.map_tiles`.
    array : ndarray, shape ([Z,] Y, X, C)
    window : sequence of int
        Sides of a window, at most those of the array.
    halo : sequence of int
        What is left out of a result on each side.
    """
    core = tuple(max(min(side, n) - 2 * h, 1) for side, n, h in zip(window, array.shape, halo, strict=False))
    made = map_tiles(fn, array, halo=tuple(halo), tile=core)
    return made if isinstance(made, tuple) else (made,)
