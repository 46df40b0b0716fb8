"""Acquisitions of Micro-Manager in separate files: one plane a file, its channel, slice, frame and position in the name.

The files of a position lie in one folder, with a ``metadata.txt`` that says what was planned. Version 1.4 names them ``img_TIME_CHANNEL_Z.tif`` and gives
each position a folder; version 2 names them ``img_channel000_position000_time000000000_z000.tif``. Which plane a file holds is taken from
its name, so that an acquisition that lost its metadata, or was stopped, is still read as what it is.

References
----------
micro-manager.org, Micro-Manager User's Guide: files on disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superlens.errors import SuperlensError
from superlens.io.metadata import StoredImage
from superlens.io.micromanager import planned, told_by_summary
from superlens.io.paths import plane_of_acquisition
from superlens.io.planes import Planes
from superlens.io.tiff_layout import Layout, Page

__all__ = ["Separate", "is_separate", "open_separate"]

_METADATA = "metadata.txt"
_LARGEST_METADATA = 256 << 20
_PIXEL = re.compile(r'"PixelSize(?:Um|_um)"\s*:\s*"?([0-9.eE+-]+)')


@dataclass(frozen=True, slots=True, eq=False)
class Separate:
    """One position of an acquisition.

    Attributes
    ----------
    path : Path
        The file that was named.
    summary : mapping
        What the acquisition announced; empty without its metadata.
    channels : tuple of str
        Names of the channels, in their order.
    files : mapping of (frame, channel, slice) to Path
    """

    path: Path
    summary: Mapping[str, Any]
    channels: tuple[str, ...]
    files: Mapping[tuple[int, int, int], Path]

    def planes(self) -> Planes:
        """Where the planes lie, along T, C and Z.

        Raises
        ------
        SuperlensError
            When a file is no TIFF, or holds no single plane.
        """
        pages: dict[tuple[int, int, int], Page] = {}
        for index, file in self.files.items():
            with Layout(file) as layout:
                found = [layout.page(directory) for directory in layout.directories()]
            if len(found) != 1:
                raise SuperlensError(
                    f"{file.name} holds {len(found)} planes; expected one. Give it another name, or move it to another folder."
                )
            pages[index] = found[0]
        return planned(pages, self.summary, self.path, ())

    def told(self, stored: StoredImage) -> StoredImage:
        """Add what the metadata say of sizes and names."""
        return told_by_summary(stored, {**self.summary, "ChNames": list(self.channels)})


def is_separate(path: Path) -> bool:
    """Whether a file has the name of a single plane of an acquisition."""
    return plane_of_acquisition(path) is not None


def open_separate(path: Path) -> Separate | None:
    """Find the files of the position that a file is a plane of; None for a file of any other name."""
    own = plane_of_acquisition(path)
    if own is None:
        return None
    beside = {
        file: said
        for file in sorted(path.parent.iterdir())
        if (said := plane_of_acquisition(file)) is not None and file.is_file()
    }
    position = {
        file: said for file, said in beside.items() if said.keys() == own.keys() and said.get("P") == own.get("P")
    }
    summary = _summary(path.with_name(_METADATA))
    names = _channels({said["C"] for said in position.values()}, summary, numbered="P" in own)
    order = sorted({said["C"] for said in position.values()}) if "P" in own else list(names)
    files = {(int(said["T"]), order.index(said["C"]), int(said["Z"])): file for file, said in position.items()}
    return Separate(path, summary, names, files)


def _channels(found: Iterable[str], summary: Mapping[str, Any], *, numbered: bool) -> tuple[str, ...]:
    """Names of the channels that are there, in the order in which they were taken."""
    told = summary.get("ChNames")
    listed = [str(name) for name in told] if isinstance(told, list) else []
    if numbered:
        numbers = sorted(map(int, found))
        return tuple(listed[at] if at < len(listed) else f"channel {at}" for at in numbers)
    known = [_as_in_names(name) for name in listed]
    return tuple(sorted(found, key=lambda name: (known.index(name) if name in known else len(known), name)))


def _as_in_names(channel: str) -> str:
    """A name of a channel as it stands in names of files."""
    return re.sub(r'[\\/:*?"<>|]', "-", channel)


def _summary(path: Path) -> dict[str, Any]:
    """What was planned, and the pixel size, from metadata that may end where the program was stopped."""
    try:
        if path.stat().st_size > _LARGEST_METADATA:
            return {}
        text = path.read_text("utf-8", "replace")
    except OSError:
        return {}
    start = text.find("{", text.find('"Summary"') + 1)
    try:
        told = json.JSONDecoder().raw_decode(text, start)[0] if '"Summary"' in text and start >= 0 else {}
    except (ValueError, RecursionError):
        told = {}
    summary = dict(told) if isinstance(told, dict) else {}
    pixel = next((value for value in map(_number, _PIXEL.findall(text)) if value > 0), None)
    if pixel is not None and not _number(summary.get("PixelSize_um")) > 0:
        summary["PixelSize_um"] = pixel
    return summary


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
