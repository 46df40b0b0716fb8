"""The blocks of an image, by number: planes one after the other, each in tiles.

Blocks are computed from their number, so that a plan of millions of them takes no memory. All have one shape, halo included.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from superlens.errors import SuperlensError
from superlens.tiling import Tile, plan

__all__ = ["Block", "BlockPlan", "choose_block", "chunk_sides"]

_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 16)
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a plan.

    Attributes
    ----------
    number : int
    plane : int
        Which plane, in the order of `Image.planes`.
    tile : Tile
        Which part of it.
    """

    number: int
    plane: int
    tile: Tile


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

    def __len__(self) -> int:
        return self.planes * math.prod(len(axis) for axis in self._axes())

    def __getitem__(self, number: int) -> Block:
        """The block of that number, from 0."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        rows, columns = self._axes()
        plane, at = divmod(number, len(rows) * len(columns))
        row, column = rows[at // len(columns)], columns[at % len(columns)]
        tile = Tile(row.core + column.core, row.origin + column.origin, row.shape + column.shape)
        return Block(number, plane, tile)

    @property
    def block_pixels(self) -> int:
        """Pixels of a block, halo included."""
        return math.prod(self[0].tile.shape)

    def _axes(self) -> tuple[tuple[Tile, ...], tuple[Tile, ...]]:
        rows, columns = (
            _axis(side, core, self.halo, self.align) for side, core in zip(self.yx_shape, self.block, strict=True)
        )
        return rows, columns


@functools.lru_cache(maxsize=16)
def _axis(side: int, core: int, halo: int, align: int) -> tuple[Tile, ...]:
    return tuple(plan((side,), core, halo, align))


def choose_block(
    yx_shape: tuple[int, int], halo: int, align: int, *, bytes_per_pixel: float, memory_bytes: float
) -> tuple[int, int]:
    """The largest block that the work fits into memory with.

    Parameters
    ----------
    yx_shape : tuple of int
        Sides of a plane.
    halo, align : int
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
    >>> choose_block((5000, 300), halo=84, align=4, bytes_per_pixel=4000, memory_bytes=1e9)
    (256, 256)
    """
    whole = [math.ceil(side / align) * align for side in yx_shape]
    for side in _SIDES:
        core = [min(math.ceil(side / align) * align, most) for most in whole]
        need = bytes_per_pixel * math.prod(c + 2 * halo for c in core)
        if need <= memory_bytes:
            return core[0], core[1]
    raise SuperlensError(
        f"the smallest block needs {need / 1e9:.2g} GB and {max(memory_bytes, 0) / 1e9:.2g} GB are left for it; "
        "give more with --memory-gb, or close other programs."
    )


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
