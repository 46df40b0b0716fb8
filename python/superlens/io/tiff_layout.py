"""How a TIFF file is laid out: the chain of its page directories, and where the pixels of each page lie.

Nothing is decoded here. The chain is followed link by link, every link and every strip must lie within the file, and a page whose
pixels lie in one piece without compression can be read by rows. What a page means is left to the readers above.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

import numpy as np

from superlens.errors import SuperlensError

__all__ = ["Directory", "Layout", "Page", "cut_short"]

_BIGTIFF = 43
_MOST_ENTRIES = 4096
_LONGEST_TEXT = 1 << 28
_FORMATS = {
    1: "B",
    2: "B",
    3: "H",
    4: "I",
    6: "b",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}
_BYTES = {**{kind: struct.calcsize(f"<{letter}") for kind, letter in _FORMATS.items()}, 5: 8, 10: 8}
_KINDS = {1: "u", 2: "i", 3: "f"}  # by the tag SampleFormat
_DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16")
_DESCRIPTION = 270
_UNCOMPRESSED, _NO_PREDICTOR, _HIGH_BIT_FIRST = 1, 1, 1


@dataclass(frozen=True, slots=True)
class Directory:
    """The entries of one page: for each tag its kind, how many values it has, and the bytes of the values or of their place."""

    offset: int
    entries: dict[int, tuple[int, int, bytes]]
    descriptions: tuple[tuple[int, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a file.

    Attributes
    ----------
    path : Path
    offset : int
        Where its directory lies; 0 where it has none of its own, as in the stacks of ImageJ.
    yx_shape : tuple of int
    dtype : numpy.dtype
        As stored, byte order included.
    samples : int
        Values a pixel has.
    start : int or None
        Where its pixels begin, when they lie in one piece without compression.
    """

    path: Path
    offset: int
    yx_shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    samples: int
    start: int | None

    @property
    def plain_bytes(self) -> int:
        """Bytes of its pixels without compression."""
        return self.yx_shape[0] * self.yx_shape[1] * self.samples * self.dtype.itemsize


class Layout:
    """An open file; use it in a ``with`` statement.

    Parameters
    ----------
    path : Path
        Whose first bytes are those of a TIFF.

    Raises
    ------
    SuperlensError
        When they are not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("rb")
        self.file_bytes = self._file.seek(0, 2)
        self._file.seek(0)
        head = self._file.read(16)
        if len(head) < 8 or head[:2] not in (b"II", b"MM"):
            self._file.close()
            raise SuperlensError(f"{path.name} cannot be read as TIFF: it does not begin as one. Export it again.")
        self.order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        self._big = struct.unpack_from(f"{self.order}H", head, 2)[0] == _BIGTIFF
        place = "Q" if self._big else "I"
        if len(head) < 16 and self._big:
            head = head.ljust(16, b"\0")
        self._first: int = struct.unpack_from(self.order + place, head, 8 if self._big else 4)[0]
        self._inline = 8 if self._big else 4

    def __enter__(self) -> Layout:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read_at(self, offset: int, count: int) -> bytes:
        """Some bytes of the file; fewer when it ends before."""
        self._file.seek(offset)
        return self._file.read(count)

    def directories(self) -> Iterator[Directory]:
        """Follow the chain of directories.

        Raises
        ------
        SuperlensError
            Where it leads out of the file, or back to where it has been.
        """
        offset, seen = self._first, set[int]()
        while offset:
            if offset in seen or offset >= self.file_bytes:
                raise SuperlensError(f"{self.path.name} ends before its last page: cut short. Copy or export it again.")
            seen.add(offset)
            directory, offset = self.directory(offset)
            yield directory

    def directory(self, offset: int) -> tuple[Directory, int]:
        """The directory at a place, and where the next one lies (0: nowhere)."""
        count_format, entry_format, link_format = ("Q", "HHQ8s", "Q") if self._big else ("H", "HHI4s", "I")
        count_bytes, entry_bytes = struct.calcsize(f"<{count_format}"), struct.calcsize(f"<{entry_format}")
        (count,) = struct.unpack(self.order + count_format, self._exactly(offset, count_bytes))
        entries: dict[int, tuple[int, int, bytes]] = {}
        descriptions = []
        table = self._exactly(offset + count_bytes, min(count, _MOST_ENTRIES) * entry_bytes)
        for tag, kind, values, place in struct.iter_unpack(self.order + entry_format, table):
            size = values * _BYTES.get(kind, 1)
            if size > self._inline and self._place(place) + size > self.file_bytes:
                raise SuperlensError(cut_short(self.path, self._place(place) + size, self.file_bytes))
            entries.setdefault(tag, (kind, values, place))
            if tag == _DESCRIPTION:
                descriptions.append((kind, values, place))
        link = self._exactly(offset + count_bytes + count * entry_bytes, struct.calcsize(f"<{link_format}"))
        return Directory(offset, entries, tuple(descriptions)), struct.unpack(self.order + link_format, link)[0]

    def numbers(self, directory: Directory, tag: int) -> tuple[int, ...]:
        """The whole numbers of a tag; none when the page does not have it, or it holds something else."""
        kind, count, value = directory.entries.get(tag, (0, 0, b""))
        letter = _FORMATS.get(kind)
        if letter is None or letter in "fd":
            return ()
        size = count * _BYTES[kind]
        if size > self._inline:
            if size > self.file_bytes:
                return ()
            value = self.read_at(self._place(value), size)
        if len(value) < size:
            return ()
        return struct.unpack_from(f"{self.order}{count}{letter}", value)

    def number(self, directory: Directory, tag: int, default: int) -> int:
        """The first whole number of a tag."""
        return next(iter(self.numbers(directory, tag)), default)

    def descriptions(self, directory: Directory) -> tuple[bytes, ...]:
        """The texts that describe a page, in their order; Micro-Manager writes two."""
        return tuple(self._text(*entry) for entry in directory.descriptions)

    def text(self, directory: Directory, tag: int) -> bytes:
        """The text of a tag; empty when the page does not have it."""
        entry = directory.entries.get(tag)
        return self._text(*entry) if entry is not None else b""

    def page(self, directory: Directory) -> Page:
        """Where the pixels of a page lie.

        Raises
        ------
        SuperlensError
            When a strip or tile of it lies beyond the end of the file.
        """
        width, height = self.number(directory, 256, 0), self.number(directory, 257, 0)
        samples = self.number(directory, 277, 1)
        bits = self.number(directory, 258, 1)
        kind = _KINDS.get(self.number(directory, 339, 1), "c")
        itemsize = next((size for size in (1, 2, 4, 8) if bits <= 8 * size), 16)
        dtype = np.dtype(name if (name := f"{kind}{itemsize}") in _DTYPES else "V1")
        tiled = 324 in directory.entries
        starts, counts = (self.numbers(directory, tag) for tag in ((324, 325) if tiled else (273, 279)))
        page = Page(self.path, directory.offset, (height, width), dtype.newbyteorder(self.order), samples, None)
        if not counts and len(starts) == 1 and self.number(directory, 259, 1) == _UNCOMPRESSED:
            counts = (page.plain_bytes,)
        reach = max((start + count for start, count in zip(starts, counts, strict=False)), default=0)
        if reach > self.file_bytes:
            raise SuperlensError(cut_short(self.path, reach, self.file_bytes))
        plain = (
            not tiled
            and bits == 8 * itemsize
            and len(starts) == len(counts) > 0
            and all(start + count == after for start, count, after in zip(starts, counts, starts[1:], strict=False))
            and sum(counts) >= page.plain_bytes > 0
            and self.number(directory, 259, _UNCOMPRESSED) == _UNCOMPRESSED
            and self.number(directory, 317, _NO_PREDICTOR) == _NO_PREDICTOR
            and self.number(directory, 266, _HIGH_BIT_FIRST) == _HIGH_BIT_FIRST
        )
        return Page(self.path, directory.offset, page.yx_shape, page.dtype, samples, starts[0] if plain else None)

    def _exactly(self, offset: int, count: int) -> bytes:
        found = self.read_at(offset, count) if offset < self.file_bytes else b""
        if len(found) < count:
            raise SuperlensError(cut_short(self.path, offset + count, self.file_bytes))
        return found

    def _place(self, value: bytes) -> int:
        offset: int = struct.unpack(self.order + ("Q" if self._big else "I"), value)[0]
        return offset

    def _text(self, kind: int, count: int, value: bytes) -> bytes:
        if kind not in (1, 2, 6, 7) or count > _LONGEST_TEXT:
            return b""
        if count > self._inline:
            value = self.read_at(self._place(value), count)
        return value[:count].split(b"\0")[0]


def cut_short(path: Path, claimed: int, file_bytes: int) -> str:
    """Say that a file ends before its contents do."""
    return (
        f"{path.name} has {file_bytes} bytes but its contents reach to {claimed}: cut short. Copy or export it again."
    )
