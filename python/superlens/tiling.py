"""Cut an image into overlapping blocks, run a function on each, and put the results together.

In: an array with channels last and a function that maps a block to one or several blocks. Out: what the function would
have given on the whole image at once, without the memory that this takes. What a block means (a network, a filter) is
left to the caller.

Three rules make the tiled result equal to the untiled one, so that nothing has to be blended:

* *Halo.* A block reaches ``halo`` pixels beyond the core it answers for, and only the core is kept. With a halo not
  smaller than the radius of the function's receptive field, no core pixel can tell where its block ends.
* *One grid.* Networks that pool by 4 commute with shifts by 4 only. All blocks start at multiples of ``align`` of one
  grid that is laid over the whole image, and their sides are multiples of ``align``.
* *Reflection.* Beyond the border of the image the blocks see its mirror image, again and again where the halo is longer
  than the image. The mirror stands on the edge of the border pixels, which are repeated: there it mirrors a finer
  sampling of the image, too. A function that minds borders itself, in its own way, is better served with
  ``ends="open"``: no block reaches farther beyond the image than `edge` then, and every border that a block has in the
  image's interior lies a halo away from its core.

All blocks of one run have the same shape, so a compiled network is traced once.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.progress import Progress, silent

__all__ = ["BlockFunction", "Ends", "Tile", "choose_tile", "free_memory", "map_tiles", "plan"]

Array: TypeAlias = NDArray[Any]
BlockFunction: TypeAlias = Callable[[Array], Any]
"""Maps a block ``(1, [Z,] Y, X, C)`` to an array, or a tuple or list of arrays, ``(1, [Z * sz,] Y * sy, X * sx, C')``."""
PerAxis: TypeAlias = int | Sequence[int]
Scale: TypeAlias = int | Sequence[int | Sequence[int]]
Ends: TypeAlias = Literal["mirrored", "open"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tile:
    """One block of a plan.

    Attributes
    ----------
    core : tuple of slice
        The pixels of the image that this tile answers for. The cores of a plan cover the image once.
    origin : tuple of int
        First pixel of the block in image coordinates; negative where the block reaches beyond the image.
    shape : tuple of int
        Sides of the block, halo included.
    """

    core: tuple[slice, ...]
    origin: tuple[int, ...]
    shape: tuple[int, ...]

    def read(self, array: Array) -> Array:
        """Copy the block out of an image.

        Parameters
        ----------
        array : ndarray, shape (spatial..., C)

        Returns
        -------
        ndarray, shape (block..., C)
            Mirrored where the block reaches beyond the image.
        """
        for axis, (start, side) in enumerate(zip(self.origin, self.shape, strict=True)):
            if start >= 0 and start + side <= array.shape[axis]:
                array = array[(slice(None),) * axis + (slice(start, start + side),)]
            else:
                array = np.take(array, _mirrored(start, side, array.shape[axis]), axis=axis)
        return np.array(array, order="C")

    def sources(self, shape: Sequence[int]) -> tuple[NDArray[np.intp], ...]:
        """For each axis, the pixels of an image of that shape that the pixels of the block are copies of.

        Examples
        --------
        >>> plan((4,), tile=4, halo=2)[0].sources((4,))[0].tolist()
        [1, 0, 0, 1, 2, 3, 3, 2]
        """
        sides = zip(self.origin, self.shape, shape, strict=True)
        return tuple(_mirrored(start, side, length) for start, side, length in sides)

    def inner(self, scale: Sequence[int]) -> tuple[slice, ...]:
        """Slices of the core within a block that was upsampled by `scale` (one factor an axis)."""
        return tuple(
            slice((core.start - start) * factor, (core.stop - start) * factor)
            for core, start, factor in zip(self.core, self.origin, scale, strict=True)
        )

    def outer(self, scale: Sequence[int]) -> tuple[slice, ...]:
        """Slices of the core within the whole result at `scale` (one factor an axis)."""
        return tuple(slice(c.start * factor, c.stop * factor) for c, factor in zip(self.core, scale, strict=True))


def plan(
    shape: Sequence[int],
    tile: PerAxis | None,
    halo: PerAxis,
    align: PerAxis = 1,
    *,
    ends: Ends = "mirrored",
    edge: PerAxis = 0,
) -> list[Tile]:
    """Lay out the tiles of an image.

    Parameters
    ----------
    shape : sequence of int
        Spatial sides of the image, any number of axes.
    tile : int or sequence of int, or None
        Sides of the core of a tile, rounded up to `align`; None for the whole image.
    halo : int or sequence of int
        Pixels that a block reaches beyond its core on each side, rounded up to `align`.
    align : int or sequence of int
        Block origins and sides are multiples of it.
    ends : {"mirrored", "open"}
        Whether blocks reach beyond the image by their whole halo, or are moved back to where they reach by `edge` at most.
    edge : int or sequence of int
        Multiples of `align`; counts for open ends only.

    Returns
    -------
    list of Tile
        In C order. All have one block shape, and their cores cover the image once.

    Raises
    ------
    SuperlensError
        A side, the tile or `align` is below 1, or `halo` is negative.

    Examples
    --------
    >>> [tile.core[0] for tile in plan((10,), tile=4, halo=2)]
    [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    >>> [(tile.origin[0], tile.shape[0]) for tile in plan((10,), tile=4, halo=2)]
    [(-2, 8), (2, 8), (4, 8)]
    """
    sides = _per_axis("shape", list(shape), len(shape), least=1)
    aligns = _per_axis("align", align, len(sides), least=1)
    halos = _aligned(_per_axis("halo", halo, len(sides), least=0), aligns)
    tiles = sides if tile is None else _per_axis("tile", tile, len(sides), least=1)
    edges = _per_axis("edge", edge, len(sides), least=0)
    axes = [_plan_axis(*numbers, ends) for numbers in zip(sides, tiles, halos, aligns, edges, strict=True)]
    result = []
    for index in np.ndindex(*(len(axis) for axis in axes)):
        core, origin, block = zip(*(axis[i] for axis, i in zip(axes, index, strict=True)), strict=True)
        result.append(Tile(core, origin, block))
    return result


def map_tiles(
    fn: BlockFunction,
    array: Array,
    *,
    halo: PerAxis,
    tile: PerAxis | None = None,
    align: PerAxis = 1,
    ends: Ends = "mirrored",
    edge: PerAxis = 0,
    scale: Scale | None = None,
    progress: Progress = silent,
    out_of_memory: tuple[type[BaseException], ...] = (),
) -> Any:
    """Apply a function to an image tile by tile.

    Parameters
    ----------
    fn : callable
        Maps a block ``(1, [Z,] Y, X, C)`` to an array, or to a tuple or list of arrays, of shape ``(1, [Z,] Y, X, C')``
        with every spatial side multiplied by a whole number. The factors and the number of channels may differ between
        the arrays.
    array : ndarray, shape (Y, X, C) or (Z, Y, X, C)
        All axes but the last are spatial.
    halo : int or sequence of int
        At least the radius of the receptive field of `fn`, in pixels of `array`; rounded up to `align`.
    tile : int or sequence of int, or None
        Sides of the tiles without halo, rounded up to `align`; None for the whole image in one. See `choose_tile`.
    align : int or sequence of int
        The product of the poolings of `fn` along an axis.
    ends : {"mirrored", "open"}
        What blocks at the border of the image are: see the rules above.
    edge : int or sequence of int
        How far blocks reach beyond the image when its ends are open, a multiple of `align`.
    scale : int, or sequence with one entry (an int, or one int an axis) for each array that `fn` returns, or None
        Upsampling that is expected of `fn`. None takes what the first block shows.
    progress : Progress
        Called before the first tile and after each.
    out_of_memory : tuple of exception types
        What `fn` raises, besides ``MemoryError``, when memory is short. The tile is then halved along its longest side,
        and the image begun again.

    Returns
    -------
    ndarray, or tuple of ndarray
        As `fn` returns, without the batch axis: ``([Z * sz,] Y * sy, X * sx, C')``, in the dtype that `fn` gives.

    Raises
    ------
    SuperlensError
        `fn` returned a block of an unexpected shape, or memory does not suffice for the smallest tile.

    Notes
    -----
    With a halo not smaller than the receptive field the result does not depend on the tile, up to rounding. A function
    that looks at the whole block, such as global attention, has no finite receptive field; its result depends on the
    tile.

    Examples
    --------
    >>> image = np.arange(12.0).reshape(3, 4, 1)
    >>> map_tiles(lambda block: 2 * block, image, tile=2, halo=1)[..., 0]
    array([[ 0.,  2.,  4.,  6.],
           [ 8., 10., 12., 14.],
           [16., 18., 20., 22.]])
    """
    if array.ndim < 2 or 0 in array.shape:
        raise SuperlensError(f"array has shape {array.shape}; expected (Y, X, C) or (Z, Y, X, C) with no empty axis.")
    shape = array.shape[:-1]
    aligns = _per_axis("align", align, len(shape), least=1)
    sides = _aligned(shape if tile is None else _per_axis("tile", tile, len(shape), least=1), aligns)
    sides = tuple(min(side, whole) for side, whole in zip(sides, _aligned(shape, aligns), strict=True))
    short: tuple[type[BaseException], ...] = (MemoryError, *out_of_memory)
    while True:
        try:
            return _run(fn, array, plan(shape, sides, halo, aligns, ends=ends, edge=edge), scale, progress)
        except short as error:
            smaller = _halved(sides, aligns)
            if smaller == sides:
                raise SuperlensError(
                    f"memory does not suffice even for a tile of {_by(sides)} pixels with a halo of {halo}: {error}. "
                    "Close other programs, or use a smaller network."
                ) from error
            _logger.info("out of memory with tiles of %s pixels; trying %s", _by(sides), _by(smaller))
            sides = smaller


def choose_tile(
    shape: Sequence[int],
    halo: PerAxis,
    align: PerAxis = 1,
    *,
    bytes_per_pixel: float,
    memory_bytes: float | None = None,
    ends: Ends = "mirrored",
    edge: PerAxis = 0,
) -> tuple[int, ...]:
    """Find the largest tile whose block fits into memory.

    Parameters
    ----------
    shape : sequence of int
        Spatial sides of the image.
    halo, align : int or sequence of int
        As in `plan`.
    bytes_per_pixel : float
        Memory that the function needs at its peak for each pixel of a block, halo included.
    memory_bytes : float, optional
        Memory that may be used. Half of what is free on this machine when not given.
    ends, edge
        As in `plan`.

    Returns
    -------
    tuple of int
        Sides of the core, multiples of `align`, at most the image rounded up to `align`. The image is cut into equal
        parts along whichever axis has the longest tile.

    Raises
    ------
    SuperlensError
        Not even the smallest block fits.

    Examples
    --------
    >>> choose_tile((512, 512), halo=16, align=4, bytes_per_pixel=1000, memory_bytes=1e9)
    (512, 512)
    >>> choose_tile((512, 512), halo=16, align=4, bytes_per_pixel=1000, memory_bytes=1e8)
    (256, 256)
    """
    memory = free_memory() / 2 if memory_bytes is None else memory_bytes
    aligns = _per_axis("align", align, len(shape), least=1)
    halos = _aligned(_per_axis("halo", halo, len(shape), least=0), aligns)
    whole = _aligned(_per_axis("shape", list(shape), len(shape), least=1), aligns)
    edges = _per_axis("edge", edge, len(whole), least=0)
    parts = [1] * len(whole)
    tile = whole

    def block() -> list[int]:
        sides = [t + 2 * h for t, h in zip(tile, halos, strict=True)]
        most = [n + 2 * e for n, e in zip(whole, edges, strict=True)]
        return sides if ends == "mirrored" else [min(pair) for pair in zip(sides, most, strict=True)]

    while (need := bytes_per_pixel * math.prod(block())) > memory:
        if tile == aligns:
            raise SuperlensError(
                f"the smallest tile, {_by(tile)} pixels with a halo of {_by(halos)}, needs {need / 1e9:.2g} GB, and "
                f"{memory / 1e9:.2g} GB may be used. Close other programs, or use a smaller network."
            )
        longest = max((i for i in range(len(tile)) if tile[i] > aligns[i]), key=lambda i: tile[i])
        parts[longest] += 1
        tile = _aligned([math.ceil(side / n) for side, n in zip(whole, parts, strict=True)], aligns)
    return tile


def free_memory() -> int:
    """Return the bytes of main memory that are free, from psutil where it is installed, else from the operating system.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
    try:
        import psutil
    except ImportError:
        return free_memory_by_sysconf()
    return int(psutil.virtual_memory().available)


def free_memory_by_sysconf() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError) as error:  # neither Windows nor macOS has the second
        raise SuperlensError("free memory is unknown on this system. Install psutil, or give the tile size.") from error


def _plan_axis(side: int, tile: int, halo: int, align: int, edge: int, ends: Ends) -> list[tuple[slice, int, int]]:
    whole = math.ceil(side / align) * align
    tile = min(math.ceil(tile / align) * align, whole)
    block = tile + 2 * halo
    result = []
    for start in range(0, side, tile):
        origin = min(start, whole - tile) - halo  # the last block is moved back, along the grid, to keep its shape
        if ends == "open":
            block = min(block, whole + 2 * edge)
            origin = max(min(origin, whole + edge - block), -edge)
        result.append((slice(start, min(start + tile, side)), origin, block))
    return result


def _run(fn: BlockFunction, array: Array, tiles: list[Tile], scale: Scale | None, progress: Progress) -> Any:
    results: list[Array] = []
    scales: list[tuple[int, ...]] = []
    single = False
    progress(0, len(tiles), "tiles")
    for done, tile in enumerate(tiles, start=1):
        returned = fn(tile.read(array)[np.newaxis])
        single = not isinstance(returned, tuple | list)
        blocks = [np.asarray(block) for block in ([returned] if single else returned)]
        found = [_scale_of(block, tile) for block in blocks]
        if done == 1:
            scales = _expected_scales(scale, found, array.ndim - 1)
            results = [_empty(block, factors, array.shape) for block, factors in zip(blocks, scales, strict=True)]
        if found != scales:
            raise SuperlensError(f"the function upsampled a block by {found}; expected {scales}, one entry an array.")
        for result, block, factors in zip(results, blocks, scales, strict=True):
            result[tile.outer(factors)] = block[0][tile.inner(factors)]
        progress(done, len(tiles), "tiles")
    return results[0] if single else tuple(results)


def _empty(block: Array, scale: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    sides = (side * factor for side, factor in zip(shape[:-1], scale, strict=True))
    return np.empty((*sides, block.shape[-1]), block.dtype)


def _scale_of(block: Array, tile: Tile) -> tuple[int, ...]:
    spatial = block.shape[1:-1]
    whole = len(spatial) == len(tile.shape) and block.shape[0] == 1
    if not whole or any(got < had or got % had for got, had in zip(spatial, tile.shape, strict=True)):
        raise SuperlensError(
            f"the function returned shape {block.shape} for a block of {_by(tile.shape)} pixels; expected (1, spatial axes, "
            "channels) with every side a whole multiple of the block's."
        )
    return tuple(got // had for got, had in zip(spatial, tile.shape, strict=True))


def _expected_scales(scale: Scale | None, found: list[tuple[int, ...]], ndim: int) -> list[tuple[int, ...]]:
    if scale is None:
        return found
    entries = [scale] * len(found) if isinstance(scale, int | np.integer) else list(scale)
    expected = [_per_axis("scale", entry, ndim, least=1) for entry in entries]
    if len(expected) != len(found):
        raise SuperlensError(f"scale has {len(expected)} entries and the function returns {len(found)} arrays.")
    return expected


def _mirrored(start: int, side: int, length: int) -> NDArray[np.intp]:
    index = np.arange(start, start + side) % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def _halved(tile: tuple[int, ...], align: tuple[int, ...]) -> tuple[int, ...]:
    able = [axis for axis in range(len(tile)) if tile[axis] > align[axis]]
    if not able:
        return tile
    longest = max(able, key=lambda axis: tile[axis])
    halves = list(tile)
    halves[longest] = math.ceil(tile[longest] / 2)
    return _aligned(halves, align)


def _aligned(sizes: Sequence[int], align: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.ceil(size / step) * step for size, step in zip(sizes, align, strict=True))


def _per_axis(name: str, value: PerAxis, ndim: int, *, least: int) -> tuple[int, ...]:
    values = (value,) * ndim if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != ndim or any(number != int(number) or number < least for number in values):
        raise SuperlensError(f"{name} is {value}; expected a whole number not below {least}, or {ndim} of them.")
    return tuple(int(number) for number in values)


def _by(sizes: Iterator[int] | Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)
