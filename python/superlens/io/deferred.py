"""An array that stays in its file until a part of it is read.

`Deferred` knows its shape and type, and the few moves that the file door makes with arrays: exchanging axes, dropping and adding
axes of length one. Indexing it by slices reads that part, through the function of the format that made it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deferred", "Mapped", "Region"]

Region: TypeAlias = Callable[[tuple[slice, ...]], NDArray[Any]]
"""Reads a part of a stored array: one slice with start and stop for each stored axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """Pixels in a file, seen through an order of axes.

    Attributes
    ----------
    region : callable
        Reads a part of the stored array.
    stored : tuple of int
        Sides of the stored array.
    dtype : numpy.dtype
        In the machine's byte order.
    order : tuple of (int or None)
        For each of our axes the stored one; None for an axis of length one that the file does not have.

    Examples
    --------
    >>> values = np.arange(6).reshape(1, 2, 3)
    >>> array = Deferred.of(values).squeeze((0,)).transpose((1, 0))
    >>> array.shape, array[1:3, 0:1].tolist()
    ((3, 2), [[1], [2]])
    """

    region: Region
    stored: tuple[int, ...]
    dtype: np.dtype[Any]
    order: tuple[int | None, ...]

    @classmethod
    def by(cls, region: Region, shape: Sequence[int], dtype: np.dtype[Any]) -> Deferred:
        """For a stored array of that shape and type, all of its axes in their order."""
        return cls(region, tuple(shape), np.dtype(dtype).newbyteorder("="), tuple(range(len(shape))))

    @classmethod
    def of(cls, array: NDArray[Any]) -> Deferred:
        """For an array that is in memory already."""
        return cls.by(array.__getitem__, array.shape, array.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides, in the order of our axes."""
        return tuple(1 if axis is None else self.stored[axis] for axis in self.order)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.order)

    @property
    def size(self) -> int:
        """How many pixels there are."""
        return math.prod(self.shape)

    def transpose(self, order: Sequence[int]) -> Deferred:
        """Exchange axes, as `numpy.transpose` does."""
        return replace(self, order=tuple(self.order[at] for at in order))

    def squeeze(self, axes: Sequence[int]) -> Deferred:
        """Drop axes of length one."""
        return replace(self, order=tuple(axis for at, axis in enumerate(self.order) if at not in axes))

    def reshape(self, sides: Sequence[int]) -> Deferred:
        """Add axes of length one, or drop them; the others keep their order and their lengths."""
        kept = iter([axis for axis, side in zip(self.order, self.shape, strict=True) if side > 1])
        return replace(self, order=tuple(next(kept) if side > 1 else None for side in sides))

    def __getitem__(self, part: slice | tuple[slice, ...]) -> NDArray[Any]:
        """Read a part; axes that no slice is given for are read whole."""
        given = part if isinstance(part, tuple) else (part,)
        slices = [slice(0, side) for side in self.stored]
        for axis, cut in zip(self.order, given, strict=False):
            if axis is not None:
                slices[axis] = slice(*cut.indices(self.stored[axis])[:2])
        values = np.asarray(self.region(tuple(slices)))
        kept = [axis for axis in self.order if axis is not None]
        rest = [axis for axis in range(len(self.stored)) if axis not in kept]
        values = values.transpose([*kept, *rest]).reshape([values.shape[axis] for axis in kept])
        missing = tuple(at for at, axis in enumerate(self.order) if axis is None)
        return np.expand_dims(values, missing).astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Reads pixels that lie in the file in one piece; the file is mapped for the length of a reading only, since mapped
    pages count as this process's memory.

    Attributes
    ----------
    path : Path
    offset : int
        Bytes before the first pixel.
    dtype : numpy.dtype
        As stored, byte order included.
    shape : tuple of int
        Sides of the stored array.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __call__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        """Read a part, into memory of its own."""
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[part])
