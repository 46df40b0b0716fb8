"""The blocks of an image, by number: planes one after the other, each in tiles; of volumes, some slices at a time.

Blocks are computed from their number, so that a plan of millions of them takes no memory. All have one shape, halo included.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from superlens.errors import SuperlensError
from superlens.tiling import Tile, plan

__all__ = ["Block", "BlockPlan", "choose_block", "choose_volume_block", "chunk_sides"]

_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 16)
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a plan.

    Attributes
    ----------
    number : int
    plane : int
        The first plane that it answers for, in the order of `Image.planes`.
    tile : Tile
        Which part of the planes.
    planes : range
        Those that it reads.
    kept : slice
        Those of them that it answers for.
    """

    number: int
    plane: int
    tile: Tile
    planes: range
    kept: slice


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How an image is cut into blocks.

    Attributes
    ----------
    planes : int
        Number of planes.
    yx_shape : tuple of int
        Sides of a plane.
    block : tuple of int
        Sides of the part of a plane that a block answers for, multiples of `align`.
    halo : int
        Pixels that it reads beyond that on each side.
    align : int
        Block origins and sides are multiples of it.
    scale : int
        Fine pixels of the result along one pixel.
    slices : int
        Planes in a row that are a volume.
    depth : int
        Slices that a block answers for.
    reach_z : int
        Slices that it reads beyond them on each side, where there are any.
    edge : int
        How far blocks reach beyond the image at most, a multiple of `align`; see `superlens.tiling.plan`.

    Examples
    --------
    >>> blocks = BlockPlan(planes=3, yx_shape=(40, 100), block=(64, 64), halo=16, align=4, scale=2)
    >>> len(blocks), blocks[5].plane, blocks[5].tile.core
    (6, 2, (slice(0, 40, None), slice(64, 100, None)))
    """

    planes: int
    yx_shape: tuple[int, int]
    block: tuple[int, int]
    halo: int
    align: int
    scale: int
    slices: int = 1
    depth: int = 1
    reach_z: int = 0
    edge: int = 0

    def __len__(self) -> int:
        return self.planes // self.slices * math.prod(len(axis) for axis in self._axes())

    def __getitem__(self, number: int) -> Block:
        """The block of that number, from 0."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        layers, rows, columns = self._axes()
        above, at = divmod(number, len(rows) * len(columns))
        volume, layer = divmod(above, len(layers))
        row, column, slab = rows[at // len(columns)], columns[at % len(columns)], layers[layer]
        tile = Tile(row.core + column.core, row.origin + column.origin, row.shape + column.shape)
        first = volume * self.slices + slab.origin[0]
        kept = slab.inner((1,))[0]
        return Block(number, first + kept.start, tile, range(first, first + slab.shape[0]), kept)

    @property
    def block_pixels(self) -> int:
        """Pixels of a block, halo included, on all its planes."""
        return math.prod(self[0].tile.shape) * len(self[0].planes)

    def _axes(self) -> tuple[tuple[Tile, ...], tuple[Tile, ...], tuple[Tile, ...]]:
        rows, columns = (
            _axis(side, core, self.halo, self.align, self.edge)
            for side, core in zip(self.yx_shape, self.block, strict=True)
        )
        return _axis(self.slices, self.depth, self.reach_z, 1, 0), rows, columns


@functools.lru_cache(maxsize=16)
def _axis(side: int, core: int, halo: int, align: int, edge: int) -> tuple[Tile, ...]:
    return tuple(plan((side,), core, halo, align, ends="open", edge=edge))


def choose_block(
    yx_shape: tuple[int, int], halo: int, align: int, edge: int, *, bytes_per_pixel: float, memory_bytes: float
) -> tuple[int, int]:
    """The largest block that the work fits into memory with.

    Parameters
    ----------
    yx_shape : tuple of int
        Sides of a plane.
    halo, align, edge : int
        As in `BlockPlan`.
    bytes_per_pixel : float
        What the work needs at its peak for each pixel of a block, halo included.
    memory_bytes : float
        What it may use.

    Returns
    -------
    tuple of int
        Sides along y and x, no larger than the plane rounded up to `align`, nor than 1024.

    Raises
    ------
    SuperlensError
        If not even the smallest block fits.

    Examples
    --------
    >>> choose_block((5000, 300), halo=84, align=4, edge=16, bytes_per_pixel=4000, memory_bytes=1e9)
    (512, 300)
    """
    whole = [math.ceil(side / align) * align for side in yx_shape]
    for side in _SIDES:
        core = [min(math.ceil(side / align) * align, most) for most in whole]
        need = bytes_per_pixel * math.prod(min(c + 2 * halo, m + 2 * edge) for c, m in zip(core, whole, strict=True))
        if need <= memory_bytes:
            return core[0], core[1]
    raise SuperlensError(
        f"the smallest block needs {need / 1e9:.2g} GB and {max(memory_bytes, 0) / 1e9:.2g} GB are left for it; "
        "give more with `memory_gb`, or close other programs."
    )


_DEPTHS = (64, 48, 32, 24, 16, 12, 8, 6, 4, 2, 1)


def choose_volume_block(
    zyx_shape: tuple[int, int, int],
    halo: int,
    reach_z: int,
    align: int,
    edge: int,
    *,
    bytes_per_pixel: float,
    memory_bytes: float,
) -> tuple[int, tuple[int, int]]:
    """The block of a volume that fits into memory and reads least beyond what it answers for.

    Parameters
    ----------
    zyx_shape : tuple of int
        Sides of a volume.
    halo, reach_z, align, edge : int
        As in `BlockPlan`.
    bytes_per_pixel, memory_bytes : float
        As for `choose_block`.

    Returns
    -------
    depth : int
        Slices.
    block : tuple of int
        Sides along y and x.

    Raises
    ------
    SuperlensError
        If not even the smallest block fits.

    Examples
    --------
    >>> choose_volume_block((30, 200, 200), 84, 18, 4, 16, bytes_per_pixel=1600, memory_bytes=8e9)
    (30, (200, 200))
    """
    slices, *yx = zyx_shape
    whole = [math.ceil(side / align) * align for side in yx]
    best: tuple[float, int, tuple[int, int]] | None = None
    least = math.inf
    for depth in {min(depth, slices) for depth in (slices, *_DEPTHS)}:
        for side in _SIDES:
            core = [min(math.ceil(side / align) * align, most) for most in whole]
            read = min(depth + 2 * reach_z, slices)
            read *= math.prod(min(c + 2 * halo, most + 2 * edge) for c, most in zip(core, whole, strict=True))
            least = min(least, bytes_per_pixel * read)
            share = read / (depth * math.prod(core))
            if bytes_per_pixel * read <= memory_bytes and (best is None or share < best[0]):
                best = share, depth, (core[0], core[1])
    if best is None:
        raise SuperlensError(
            f"the smallest block of the volume needs {least / 1e9:.2g} GB and {max(memory_bytes, 0) / 1e9:.2g} GB are left "
            "for it; give more with `memory_gb`, or close other programs."
        )
    return best[1], best[2]


def chunk_sides(blocks: BlockPlan) -> tuple[int, int]:
    """Sides of the result's chunks: no chunk belongs to two blocks, so that blocks can be written at the same time.

    Examples
    --------
    >>> chunk_sides(BlockPlan(1, (4000, 300), (384, 300), 84, 4, 2))
    (384, 512)
    """
    sides = []
    for side, core in zip(blocks.yx_shape, blocks.block, strict=True):
        fine = core * blocks.scale
        alone = core >= side  # then no other block lies along this axis
        sides.append(_CHUNK if alone else max(d for d in range(1, _CHUNK + 1) if fine % d == 0))
    return sides[0], sides[1]
