"""Stacks of Micro-Manager: which plane each page of a file is, and which files continue it.

Such a file is a TIFF whose first bytes also point to a summary of the acquisition and to an index of its pages by channel, slice, frame
and position. Without the index, as after a crash, each page still says what it is. One file holds at most 4 GB of one position or of
several; the files of an acquisition lie in one folder and begin with one name.

References
----------
micro-manager.org, Micro-Manager File Formats: image file stacks.
"""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from superlens.errors import SuperlensError
from superlens.io.metadata import StoredImage
from superlens.io.paths import TIFF_SUFFIXES
from superlens.io.planes import Planes
from superlens.io.sizes import Stated, in_nm
from superlens.io.tiff_layout import Directory, Layout, Page, cut_short

__all__ = ["Stack", "open_stack", "planes_of_position", "planned", "told_by_summary"]

_INDEX, _SUMMARY = 54773648, 2355492
_PAGE_TEXT = 51123
_LARGEST_SUMMARY = 64 << 20
_MOST_PLANES = 1 << 24
_STACK = "_MMStack"
_RUN = ("UUID", "StartTime", "Time", "Prefix")  # what two acquisitions do not share

Row: TypeAlias = tuple[int, int, int, int]
"""Channel, slice, frame and position of a plane, from 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """One file.

    Attributes
    ----------
    path : Path
    summary : mapping
        What the acquisition announced.
    rows : mapping of Row to int
        Where the page directory of each plane lies.
    """

    path: Path
    summary: Mapping[str, Any]
    rows: Mapping[Row, int]

    @property
    def positions(self) -> tuple[int, ...]:
        """The positions of the stage that it holds, in their order."""
        return tuple(sorted({row[3] for row in self.rows}))

    def name_of(self, position: int) -> str:
        """What the user called a position."""
        for key in ("StagePositions", "InitialPositionList"):
            places = self.summary.get(key)
            if isinstance(places, list) and position < len(places) and isinstance(places[position], dict):
                return str(places[position].get("Label") or places[position].get("label") or "")
        return f"position {position}"

    def rest_of(self, position: int) -> list[Stack]:
        """The files that hold one position, itself among them."""
        found, taken = [self], {row for row in self.rows if row[3] == position}
        for path in self._beside():
            other = None
            with contextlib.suppress(SuperlensError):  # whatever it is, it does not continue this one
                other = open_stack(path)
            rows = {row for row in other.rows if row[3] == position} if other is not None else set()
            if other is not None and rows and not rows & taken and other._run() == self._run():
                found.append(other)
                taken |= rows
        return found

    def told(self, stored: StoredImage) -> StoredImage:
        """Add what the summary says of sizes and names."""
        return told_by_summary(stored, self.summary)

    def _beside(self) -> Iterator[Path]:
        start, found, _ = self.path.name.partition(_STACK)
        if not found:
            return
        for path in sorted(self.path.parent.iterdir()):
            if path != self.path and path.name.startswith(start + _STACK) and path.suffix.lower() in TIFF_SUFFIXES:
                yield path

    def _run(self) -> tuple[str, ...]:
        return tuple(str(self.summary.get(name)) for name in _RUN)


def open_stack(path: Path) -> Stack | None:
    """Read what a file says of its planes; None when it is no stack of Micro-Manager.

    Raises
    ------
    SuperlensError
        When it is no TIFF, or ends before its index.
    """
    with Layout(path) as layout:
        head = layout.read_at(8, 32)
        if len(head) < 32:
            return None
        index, index_at, *_, summary, length = struct.unpack(f"{layout.order}8I", head)
        if index != _INDEX or summary != _SUMMARY:
            return None
        if index_at >= layout.file_bytes:
            raise SuperlensError(cut_short(path, index_at, layout.file_bytes))
        told = _json(layout.read_at(40, min(length, _LARGEST_SUMMARY)))
        rows = _index(layout, index_at) or _rows_of_pages(layout)
    return Stack(path, told, rows) if rows else None


def told_by_summary(stored: StoredImage, summary: Mapping[str, Any]) -> StoredImage:
    """Add what the summary of an acquisition says of sizes and names."""
    pixel, step = (in_nm(summary.get(name), "um") for name in ("PixelSize_um", "z-step_um"))
    names = summary.get("ChNames")
    return replace(
        stored,
        pixel_sizes=stored.pixel_sizes + (() if pixel is None else (Stated((pixel, pixel), "Micro-Manager"),)),
        z_steps=stored.z_steps + (() if step is None else (Stated((step,), "Micro-Manager"),)),
        channel_names=stored.channel_names or tuple(map(str, names if isinstance(names, list) else ())),
    )


def planes_of_position(stacks: Sequence[Stack], position: int, absent: Iterable[str]) -> Planes:
    """Where the planes of one position lie.

    Parameters
    ----------
    stacks : sequence of Stack
        The files that hold them.
    position : int
    absent : iterable of str
        Names of further files that are not there.

    Returns
    -------
    Planes
        Along T, C and Z.
    """
    pages: dict[tuple[int, int, int], Page] = {}
    for stack in stacks:
        with Layout(stack.path) as layout:
            for (channel, height, frame, where), offset in stack.rows.items():
                if where == position:
                    pages[frame, channel, height] = layout.page(layout.directory(offset)[0])
    summary = max((stack.summary for stack in stacks), key=lambda told: math.prod(_announced(told)))
    return planned(pages, summary, stacks[0].path, tuple(absent))


def planned(
    pages: Mapping[tuple[int, int, int], Page], summary: Mapping[str, Any], path: Path, absent: tuple[str, ...]
) -> Planes:
    """The planes that are there, in the place that the acquisition had for them.

    Parameters
    ----------
    pages : mapping of (frame, channel, slice) to Page
        At least one.
    summary : mapping
        What was announced.
    path : Path
        For messages.
    absent : tuple of str
        Names of further files that are not there.

    Returns
    -------
    Planes
        Along T, C and Z.
    """
    there = tuple(1 + max(index[at] for index in pages) for at in range(3))
    sizes = tuple(map(max, there, _announced(summary)))
    if math.prod(sizes) > _MOST_PLANES:
        sizes = there
    if math.prod(sizes) > _MOST_PLANES:
        raise SuperlensError(f"{path.name} numbers its planes up to {sizes}: damaged. Export it again.")
    every = [pages.get((t, c, z)) for t in range(sizes[0]) for c in range(sizes[1]) for z in range(sizes[2])]
    return Planes("TCZ", sizes, every, absent)


def _announced(summary: Mapping[str, Any]) -> tuple[int, int, int]:
    """How many frames, channels and slices there were to be."""
    counts = (summary.get(name) for name in ("Frames", "Channels", "Slices"))
    frames, channels, slices = (count if isinstance(count, int) and count > 0 else 1 for count in counts)
    return frames, channels, slices


def _json(text: bytes) -> dict[str, Any]:
    try:
        told = json.loads(text.split(b"\0")[0].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _index(layout: Layout, at: int) -> dict[Row, int]:
    """The index of the pages; empty where it was not written."""
    head = layout.read_at(at, 8)
    if not at or len(head) < 8:
        return {}
    _, count = struct.unpack(f"{layout.order}2I", head)
    table = layout.read_at(at + 8, min(count, layout.file_bytes) * 20)
    if len(table) < count * 20:
        return {}
    found = struct.iter_unpack(f"{layout.order}5I", table)
    return {(channel, height, frame, position): offset for channel, height, frame, position, offset in found if offset}


def _rows_of_pages(layout: Layout) -> dict[Row, int]:
    """What the pages say of themselves, up to the last one that was written; empty unless all of them do."""
    rows: dict[Row, int] = {}
    for directory in _written(layout):
        told = _json(layout.text(directory, _PAGE_TEXT))
        row = tuple(told.get(f"{name}Index", told.get(name)) for name in ("Channel", "Slice", "Frame"))
        position = told.get("PositionIndex", 0)
        if not all(isinstance(each, int) and 0 <= each < 1 << 31 for each in (*row, position)):
            return {}
        rows[row[0], row[1], row[2], position] = directory.offset  # type: ignore[index]
    return rows


def _written(layout: Layout) -> Iterator[Directory]:
    """The pages up to where a crash left a link to nothing."""
    with contextlib.suppress(SuperlensError):
        for directory in layout.directories():
            if not directory.entries:
                return
            layout.page(directory)
            yield directory
