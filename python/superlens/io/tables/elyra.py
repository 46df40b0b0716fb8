"""Tables of Zeiss Elyra microscopes: tabs, frames from 1, and notes about the image behind a zero byte at the end."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_elyra", "read_elyra"]

_NAMES: Names = MappingProxyType(
    {
        "first frame": ("frame", ""),
        "number frames": ("detections", ""),
        "position x": ("x_nm", ""),
        "position y": ("y_nm", ""),
        "position z": ("z_nm", ""),
        "precision": ("uncertainty_nm", ""),
        "precision z": ("uncertainty_z_nm", ""),
        "number photons": ("photons", "photon"),
    }
)


def is_elyra(head: Head) -> bool:
    """Whether a line of headings is one that these microscopes write."""
    return "first frame" in head.names and any(name.startswith("position x") for name in head.names)


def read_elyra(path: Path, head: Head) -> StoredTable:
    """Read a table of an Elyra.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        A row that was grouped over frames stands in its first one.
    """
    text = read_text(path, head, notes_follow=True)
    return StoredTable("Zeiss Elyra text", text.fields, _NAMES, left_out=text.left_out, unreadable=text.unreadable)
