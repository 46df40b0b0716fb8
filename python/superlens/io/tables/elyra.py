"""Tables of Zeiss Elyra microscopes: tabs, frames from 1, and notes about the image behind a zero byte at the end."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Names, StoredTable
from superlens.io.tables.text import read_fields

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


def is_elyra(line: str) -> bool:
    """Whether a line of headings is one that these microscopes write."""
    cells = [cell.strip().lower() for cell in line.split("\t")]
    return "first frame" in cells and any(cell.startswith("position x") for cell in cells)


def read_elyra(path: Path) -> StoredTable:
    """Read a table of an Elyra.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredTable
        A row that was grouped over frames stands in its first one.
    """
    fields, left_out = read_fields(path, notes_follow=True)
    return StoredTable("Zeiss Elyra text", fields, _NAMES, left_out=left_out)
