"""Tables of the Nanoimager microscope: comma-separated, units in round brackets, frames from 0."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Names, StoredTable
from superlens.io.tables.text import read_fields

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


def is_nanoimager(line: str) -> bool:
    """Whether a line of headings is one that this microscope writes."""
    return line.lower().replace('"', "").startswith("channel,frame,x (nm)")


def read_nanoimager(path: Path) -> StoredTable:
    """Read a table of the Nanoimager.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredTable
        Frames from 0.
    """
    fields, left_out = read_fields(path)
    return StoredTable("Nanoimager CSV", fields, _NAMES, first_frame=0, left_out=left_out)
