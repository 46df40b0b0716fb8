"""Tables of the Nanoimager microscope: comma-separated, units in round brackets, frames from 0."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_nanoimager", "read_nanoimager"]

_NAMES: Names = MappingProxyType(
    {
        "frame": ("frame", ""),
        "x": ("x_nm", ""),
        "y": ("y_nm", ""),
        "z": ("z_nm", ""),
        "photons": ("photons", "photon"),
        "background": ("background", "photon"),
    }
)


def is_nanoimager(head: Head) -> bool:
    """Whether a line of headings is one that this microscope writes."""
    return tuple(heading.lower() for heading in head.headings[:3]) == ("channel", "frame", "x (nm)")


def read_nanoimager(path: Path, head: Head) -> StoredTable:
    """Read a table of the Nanoimager.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        Frames from 0.
    """
    text = read_text(path, head)
    return StoredTable(
        "Nanoimager CSV", text.fields, _NAMES, first_frame=0, left_out=text.left_out, unreadable=text.unreadable
    )
