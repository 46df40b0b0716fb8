"""An image put together from planes that lie in several pages or several files, as far as they are there.

`Planes` says what an acquisition announces and which planes of that exist. `whole_part` decides what is read when some are missing, and
tells the user; `Planes.pixels` reads regions of it. Which plane lies where is found out by the readers of the formats.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io.deferred import Deferred
from superlens.io.tiff_layout import Page, cut_short

__all__ = ["Planes", "listed", "whole_indices", "whole_part"]

_NAMES = {"T": "frames", "C": "channels", "Z": "slices"}
_MOST_LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The planes of one image.

    Attributes
    ----------
    axes : str
        Those before Y and X, the slowest first.
    sizes : tuple of int
        How many of each are announced.
    pages : sequence of (Page or None)
        One for each plane, the last axis fastest; None where there is none.
    absent : tuple of str
        Names of files that belong to the image and are not there.
    kept : mapping
        For each axis, which of the announced indices are left; filled by `whole_part`.
    """

    axes: str
    sizes: tuple[int, ...]
    pages: Sequence[Page | None]
    absent: tuple[str, ...] = ()
    kept: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def check(self, path: Path) -> Planes:
        """Refuse pages that are no planes of one grey image.

        Raises
        ------
        SuperlensError
        """
        there = [page for page in self.pages if page is not None]
        if not there:
            raise SuperlensError(
                f"{path.name} announces {len(self.pages)} planes, and none of them is there. {_lacking(path, self.absent)}"
            )
        first = there[0]
        if first.samples > 1:
            raise SuperlensError(
                f"{path.name} is a colour image ({first.samples} samples a pixel); expected grey values. "
                "Split its channels (in Fiji: Image > Color > Split Channels) and give one."
            )
        if first.dtype.kind not in "uif":
            raise SuperlensError(f"{path.name} holds values of type {first.dtype}; expected real numbers.")
        for page in there:
            if (page.yx_shape, page.dtype, page.samples) != (first.yx_shape, first.dtype, first.samples):
                raise SuperlensError(
                    f"{page.path.name} has a page of {_sides(page)} pixels ({page.dtype.name}) among planes of {_sides(first)} "
                    f"({first.dtype.name}); expected planes that are alike. Split the file."
                )
        return self

    def pixels(self) -> Deferred:
        """The planes as an array that is read on demand; all of them must be there."""
        pages = [page for page in self.pages if page is not None]
        shape = (*self.sizes, *pages[0].yx_shape)
        return Deferred.by(_Reader(pages, self.sizes), shape, pages[0].dtype)

    def squeezed(self) -> Planes:
        """Without axes of length one."""
        kept = [at for at, size in enumerate(self.sizes) if size > 1]
        return replace(self, axes="".join(self.axes[at] for at in kept), sizes=tuple(self.sizes[at] for at in kept))


def whole_part(planes: Planes, path: Path) -> Planes:
    """The largest part without holes, and a warning when that is not everything.

    Whole frames are kept where there are any; of a first frame that is not whole, whole channels or whole slices, whichever are more.

    Parameters
    ----------
    planes : Planes
    path : Path
        The file that the user named.

    Returns
    -------
    Planes
        With ``kept``: for each axis, the indices of what was announced that remain.

    Raises
    ------
    SuperlensError
        When there is not one whole part.

    Warns
    -----
    SuperlensWarning
        With the number of missing planes and the names of missing files.
    """
    there = np.array([page is not None for page in planes.pages], bool).reshape(planes.sizes)
    kept = whole_indices(planes.axes, there, path, planes.absent)
    pages = np.empty(there.size, object)
    pages[:] = list(planes.pages)
    part = tuple(len(kept[axis]) for axis in planes.axes)
    index = np.ix_(*(kept[axis] for axis in planes.axes))
    return Planes(planes.axes, part, list(pages.reshape(planes.sizes)[index].ravel()), planes.absent, kept)


def whole_indices(
    axes: str, there: NDArray[np.bool_], path: Path, absent: Sequence[str] = ()
) -> dict[str, tuple[int, ...]]:
    """Which indices along each axis to keep, so that no plane is missing among them; errors and warnings are those of `whole_part`.

    Parameters
    ----------
    axes : str
        One letter for each axis of the array.
    there : ndarray of bool
        Which of the announced planes exist.
    path : Path
    absent : sequence of str
        Names of files that are missing.
    """
    if there.all():
        return {axis: tuple(range(size)) for axis, size in zip(axes, there.shape, strict=True)}
    kept = _kept(axes, there)
    part = there[np.ix_(*(kept[axis] for axis in axes))]
    if not part.size or not part.all():
        raise SuperlensError(f"{path.name} holds no whole frame, channel or slice. {_lacking(path, absent)}")
    warnings.warn(_said(axes, there, kept, path, absent), SuperlensWarning, stacklevel=3)
    return kept


def listed(names: Iterable[str]) -> str:
    """Names in one line, the first few of many.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed("abcdefgh")
    ('a, b and c', 'a, b, c, d, e and 3 more')
    """
    every = [" ".join(name.split())[:60] for name in names]
    if not every:
        return ""
    if len(every) > _MOST_LISTED + 1:
        return f"{', '.join(every[:_MOST_LISTED])} and {len(every) - _MOST_LISTED} more"
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def _kept(axes: str, there: NDArray[np.bool_]) -> dict[str, tuple[int, ...]]:
    """For each axis the indices to keep, so that no plane is missing among them."""
    kept = {axis: tuple(range(size)) for axis, size in zip(axes, there.shape, strict=True)}
    if "T" in kept and (frames := _complete(there, axes.index("T"))):
        return {**kept, "T": frames}
    for single in sorted(axes, key="TCIZ".find):
        choices = {axis: _complete(there, axes.index(axis)) for axis in axes if axis != "T"}
        if "Z" in choices:
            choices["Z"] = _longest_run(choices["Z"])
        planes = {axis: len(at) * there.size // there.shape[axes.index(axis)] for axis, at in choices.items()}
        if any(planes.values()):
            axis = max(planes, key=lambda each: planes[each])
            return {**kept, axis: choices[axis]}
        at = axes.index(single)
        best = int(np.argmax(np.moveaxis(there, at, 0).reshape(there.shape[at], -1).sum(axis=1)))
        kept[single] = (best,)  # of a frame that is not whole, one channel is kept
        there = np.take(there, [best], axis=at)
    return kept


def _complete(there: NDArray[np.bool_], axis: int) -> tuple[int, ...]:
    return tuple(int(at) for at in np.flatnonzero(np.moveaxis(there, axis, 0).reshape(there.shape[axis], -1).all(1)))


def _longest_run(found: tuple[int, ...]) -> tuple[int, ...]:
    """Slices without a gap, since their distance is one number."""
    runs = np.split(np.array(found, int), np.flatnonzero(np.diff(found) != 1) + 1)
    return tuple(int(at) for at in max(runs, key=len))


def _said(
    axes: str,
    there: NDArray[np.bool_],
    kept: Mapping[str, tuple[int, ...]],
    path: Path,
    absent: Sequence[str],
) -> str:
    part = " and ".join(
        f"{_NAMES.get(axis, 'images')} {_ranges(kept[axis])} of {size}"
        for axis, size in zip(axes, there.shape, strict=True)
        if len(kept[axis]) < size
    )
    missing = there.size - int(there.sum())
    return (
        f"{path.name} announces {there.size} planes, and {missing} of them are missing. {_lacking(path, absent)} "
        f"Read: {part}."
    )


def _lacking(path: Path, absent: Sequence[str]) -> str:
    if absent:
        return f"Files of its set are missing: {listed(absent)}. Put them into the folder of {path.name}."
    return "The acquisition was stopped early, or a file of a set is missing."


def _ranges(indices: Sequence[int]) -> str:
    """Numbers from 1, runs of them by their ends.

    Examples
    --------
    >>> _ranges([0, 1, 2, 5])
    '1 to 3, 6'
    """
    runs = np.split(np.array(indices, int), np.flatnonzero(np.diff(indices) != 1) + 1)
    words = [f"{run[0] + 1} to {run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs]
    return ", ".join(words[:_MOST_LISTED]) + (" ..." if len(words) > _MOST_LISTED else "")


def _sides(page: Page) -> str:
    return f"{page.yx_shape[0]} x {page.yx_shape[1]}"


class _Reader:
    """Reads a part of an array whose planes are pages."""

    def __init__(self, pages: Sequence[Page], sizes: tuple[int, ...]) -> None:
        self._pages, self._sizes = pages, sizes

    def __call__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        *leading, y, x = part
        indices = np.arange(math.prod(self._sizes)).reshape(self._sizes)[tuple(leading)]
        chosen = [self._pages[int(at)] for at in indices.ravel()]
        first = self._pages[0]
        shape = (len(chosen), len(range(*y.indices(first.yx_shape[0]))), len(range(*x.indices(first.yx_shape[1]))))
        values = np.empty(shape, first.dtype.newbyteorder("="))
        places: dict[Path, list[int]] = {}
        for at, page in enumerate(chosen):
            places.setdefault(page.path, []).append(at)
        for path, numbers in places.items():
            _read_pages(path, [chosen[at] for at in numbers], (y, x), values, numbers)
        return values.reshape(*indices.shape, *shape[1:])


def _read_pages(
    path: Path, pages: Sequence[Page], part: tuple[slice, slice], values: NDArray[Any], numbers: Sequence[int]
) -> None:
    """Fill some of the planes of an array from one file."""
    y, x = part
    try:
        if all(page.start is not None for page in pages):
            with path.open("rb") as file:
                for at, page in zip(numbers, pages, strict=True):
                    values[at] = _rows(file, page, y)[:, x]
            return
        with tifffile.TiffFile(path) as tiff:
            for at, page in zip(numbers, pages, strict=True):
                tiff.filehandle.seek(page.offset)
                values[at] = tifffile.TiffPage(tiff, index=0).asarray().reshape(page.yx_shape)[y, x]
    except (SuperlensError, MemoryError, OSError):
        raise
    except Exception as error:  # each codec has its own exceptions; all mean that a strip or tile is damaged
        raise SuperlensError(
            f"{path.name} cannot be read, a part of it is damaged ({type(error).__name__}). Copy it again."
        ) from error


def _rows(file: Any, page: Page, y: slice) -> NDArray[Any]:
    """Rows of a page whose pixels lie in one piece."""
    first, last, _ = y.indices(page.yx_shape[0])
    width = page.yx_shape[1]
    file.seek((page.start or 0) + first * width * page.dtype.itemsize)
    values = np.fromfile(file, page.dtype, count=(last - first) * width)
    if values.size < (last - first) * width:
        raise SuperlensError(cut_short(page.path, (page.start or 0) + page.plain_bytes, page.path.stat().st_size))
    return values.reshape(-1, width)
