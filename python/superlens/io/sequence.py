"""Image sequences: files with numbers in their names, taken for one stack.

Cameras and programs write a file for each frame or slice. Their names differ in one number, which gives their order, whatever its
digits; numbers that are missing are told. Nothing is read before it is asked for but what the files say of themselves.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import AXES, Image
from superlens.io.deferred import Deferred
from superlens.io.filesets import find_images
from superlens.io.lazy import LazyImage
from superlens.io.metadata import stem
from superlens.io.opening import open_image
from superlens.io.paths import is_zarr
from superlens.io.planes import listed
from superlens.io.separate import is_separate

__all__ = ["SequenceAxis", "open_sequence", "read_sequence"]

SequenceAxis: TypeAlias = Literal["T", "Z", "C"]

_NUMBER = re.compile(r"[0-9]+")
_ALIKE = 1e-2


def read_sequence(
    source: str | Path,
    axis: SequenceAxis = "T",
    *,
    axes: str | None = None,
    pixel_nm: float | None = None,
    z_step_nm: float | None = None,
) -> Image:
    """Read a sequence of image files as one image; the arguments are those of `open_sequence`."""
    return open_sequence(source, axis, axes=axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm).load()


def open_sequence(
    source: str | Path,
    axis: SequenceAxis = "T",
    *,
    axes: str | None = None,
    pixel_nm: float | None = None,
    z_step_nm: float | None = None,
) -> LazyImage:
    """Open a sequence of image files as one image, without reading its pixels.

    Parameters
    ----------
    source : str or Path
        A folder whose images are the sequence; one of its files, such as ``cell_0001.tif``, for all that differ from it in the last
        number of the name alone; or a name with ``*`` and ``?``, such as ``cell_*.tif``.
    axis : "T", "Z" or "C"
        What one file after the other is. Files that have this axis themselves, as parts of a movie do, are joined along it.
    axes : str, optional
        Of each file, as for `open_image`.
    pixel_nm, z_step_nm : float, optional
        Sampling, when the files have none or a wrong one.

    Returns
    -------
    LazyImage
        In the order of the numbers, named after what the names have in common.

    Raises
    ------
    SuperlensError
        When there is no image, the names differ in more than one number, or the images are not alike.

    Warns
    -----
    SuperlensWarning
        When numbers are missing, or the files state different pixel sizes.

    Examples
    --------
    >>> import tempfile
    >>> from superlens.io import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for number in (1, 2, 3):
    ...         _ = write(Path(folder) / f"cell_{number}.tif", Image(np.full((20, 30), number, np.uint16), pixel_nm=65.0))
    ...     movie = open_sequence(Path(folder) / "cell_1.tif")
    ...     movie.name, movie.axes, [int(movie.plane(frame)[0, 0]) for frame in range(3)]
    ('cell', 'TYX', [1, 2, 3])
    """
    if axis not in ("T", "Z", "C"):
        raise SuperlensError(f"axis is {axis!r}; expected T for frames, Z for slices or C for channels.")
    files = _in_order(_files(Path(source)))
    parts = _opened(files, {"axes": axes, "pixel_nm": pixel_nm, "z_step_nm": z_step_nm})
    _check_alike(parts, axis, files)
    first = parts[0]
    order = "".join(each for each in AXES if each in {axis, *first.axes})
    return replace(
        first,
        data=_joined([_with_axes(part, order) for part in parts], order.index(axis)),
        axes=order,
        name=_common_name(files),
        channel_names=_channel_names(parts) if axis == "C" else first.channel_names,
        emission_nm=() if axis == "C" else first.emission_nm,
    )


def _files(source: Path) -> list[Path]:
    """The files that are meant."""
    if any(mark in source.name for mark in "*?") and not source.exists():
        found = [path for path in source.parent.glob(source.name) if not path.name.startswith(".")]
        if not found:
            raise SuperlensError(f"no file is called {source}; expected image files whose names differ in one number.")
        if is_separate(found[0]):
            raise SuperlensError(
                f"{found[0].name} is a plane of an acquisition of Micro-Manager, whose files are one image. "
                f"Give the folder {source.parent} without `sequence`, and `channel` for one of its channels."
            )
        return find_images(sorted(found))
    if source.is_dir() and not is_zarr(source):
        return find_images([source])
    find_images([source])  # refuses what is no image
    beside = [
        path for path in source.parent.iterdir() if _words(path) == _words(source) and not path.name.startswith(".")
    ]
    own = _numbers(source)
    for at in reversed(range(len(own))):
        rest = own[:at] + own[at + 1 :]
        family = [path for path in beside if _numbers(path)[:at] + _numbers(path)[at + 1 :] == rest]
        if len(family) > 1:
            return find_images(sorted(family))
    return [source]


def _in_order(files: list[Path]) -> list[Path]:
    """Sorted by the one number in which their names differ."""
    words = Counter(_words(file) for file in files)
    usual = words.most_common(1)[0][0]
    others = [file.name for file in files if _words(file) != usual]
    if others:
        raise SuperlensError(
            f"{files[0].parent} holds files whose names differ by more than a number: {listed(others)}. "
            f"Name those that are meant, such as {_pattern(usual)}."
        )
    columns = list(zip(*(_numbers(file) for file in files), strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) > 1:
        raise SuperlensError(
            f"the names of {files[0].name} and the files beside it differ in {len(varying)} numbers; expected one. "
            "Name the files of one stack, such as cell_z*_c1.tif."
        )
    if not varying:
        return files
    numbers = varying[0]
    if len(set(numbers)) < len(numbers):
        raise SuperlensError(f"two files of {files[0].parent} have the same number. Name one of each with a pattern.")
    step = int(np.gcd.reduce(np.diff(sorted(numbers))))
    missing = sorted(set(range(min(numbers), max(numbers) + 1, step)) - set(numbers))
    if missing:
        warnings.warn(
            f"the names of {files[0].name} and the files beside it count from {min(numbers)} to {max(numbers)}, and "
            f"{listed(map(str, missing))} {'is' if len(missing) == 1 else 'are'} missing. What comes after moves up.",
            SuperlensWarning,
            stacklevel=3,
        )
    return [file for _, file in sorted(zip(numbers, files, strict=True))]


def _words(path: Path) -> tuple[str, ...]:
    """What stands between the numbers of a name, which the files of a sequence share."""
    return tuple(_NUMBER.split(path.name.removesuffix(path.suffix))) + (path.suffix.lower(),)


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBER.findall(path.name.removesuffix(path.suffix)))


def _pattern(words: tuple[str, ...]) -> str:
    return "*".join(words[:-1]) + words[-1]


def _common_name(files: Sequence[Path]) -> str:
    """What the names have in common, without what links it to the number."""
    names = [stem(file) for file in files]
    if len(names) == 1:
        return names[0]
    common = os.path.commonprefix(names)
    return common.rstrip(" _-.0123456789") or files[0].parent.name


def _opened(files: Sequence[Path], about: dict[str, Any]) -> list[LazyImage]:
    """Open all files; what is said of one in the same words as of another is said once."""
    parts, said = [], set[str]()
    for file in files:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SuperlensWarning)
            parts.append(open_image(file, **about))
        for warning in caught:
            message = str(warning.message)
            if (same := message.replace(file.name, "")) not in said:
                said.add(same)
                warnings.warn(message, warning.category, stacklevel=3)
    return parts


def _check_alike(parts: Sequence[LazyImage], axis: str, files: Sequence[Path]) -> None:
    first = parts[0]
    sides = {each: size for each, size in first.sizes.items() if each != axis}
    for part, file in zip(parts, files, strict=True):
        if {each: size for each, size in part.sizes.items() if each != axis} != sides or part.axes != first.axes:
            raise SuperlensError(
                f"{file.name} has {_said(part)}, and {files[0].name} has {_said(first)}; expected images that are alike."
            )
        if part.data.dtype != first.data.dtype:
            raise SuperlensError(
                f"{file.name} has values of type {part.data.dtype}, and {files[0].name} of {first.data.dtype}; expected one type."
            )
        if part.pixel_nm != first.pixel_nm and not _close(part.pixel_nm, first.pixel_nm):
            warnings.warn(
                f"{file.name} states a pixel size of {part.pixel_nm or 'nothing'} nm, and {files[0].name} of "
                f"{first.pixel_nm or 'nothing'} nm, which is used. If that is wrong, give `pixel_nm`.",
                SuperlensWarning,
                stacklevel=3,
            )
            return


def _close(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one / other - 1) < _ALIKE


def _said(part: LazyImage) -> str:
    return f"{part.axes} {' x '.join(map(str, part.data.shape))}"


def _with_axes(part: LazyImage, order: str) -> Deferred:
    """The pixels of a part, with an axis of length one where it lacks one."""
    return part.data.reshape([part.sizes.get(axis, 1) for axis in order])


def _channel_names(parts: Sequence[LazyImage]) -> tuple[str, ...]:
    names: list[str] = []
    for part in parts:
        channels = part.sizes.get("C", 1)
        own = list(part.channel_names) if len(part.channel_names) == channels else []
        names += own or ([part.name] if channels == 1 else [f"{part.name} {at}" for at in range(channels)])
    return tuple(names)


def _joined(arrays: Sequence[Deferred], axis: int) -> Deferred:
    """Arrays one behind the other along an axis."""
    shape = list(arrays[0].shape)
    ends = np.cumsum([array.shape[axis] for array in arrays])
    shape[axis] = int(ends[-1])

    def region(part: tuple[slice, ...]) -> NDArray[Any]:
        start, stop, _ = part[axis].indices(shape[axis])
        read = []
        for at in range(int(np.searchsorted(ends, start, side="right")), len(arrays)):
            begin = int(ends[at]) - arrays[at].shape[axis]
            if begin >= stop:
                break
            cut = slice(max(start - begin, 0), min(stop - begin, arrays[at].shape[axis]))
            read.append(arrays[at][(*part[:axis], cut, *part[axis + 1 :])])
        return np.concatenate(read, axis=axis) if read else np.empty([0] * len(shape), arrays[0].dtype)

    return Deferred.by(region, shape, arrays[0].dtype)
