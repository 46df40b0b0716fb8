"""Spots that TrackMate exports: four lines of headings, the last with units, frames from 0, a number for each track.

The middle of the first pixel lies at 0. A spot without a track has no number.

References
----------
D. Ershov et al., "TrackMate 7: integrating state-of-the-art segmentation algorithms into tracking pipelines", Nat. Methods 19 (2022)
829-832.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from superlens.errors import SuperlensError
from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_trackmate", "read_trackmate"]

_NAMES: Names = MappingProxyType(
    {
        "frame": ("frame", ""),
        "position_x": ("x_nm", ""),
        "position_y": ("y_nm", ""),
        "position_z": ("z_nm", ""),
        "molecule": ("molecule", ""),
    }
)
_OF_TRACKS = {"track_id", "number_spots"}


def is_trackmate(head: Head) -> bool:
    """Whether a line of headings is one that this program writes."""
    return {"position_x", "position_y"} <= head.names or head.names >= _OF_TRACKS


def read_trackmate(path: Path, head: Head) -> StoredTable:
    """Read the spots of TrackMate.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        Tracks are numbered from 1, as molecules, when each spot is in one.

    Raises
    ------
    SuperlensError
        If the file has a row for each track.
    """
    if "position_x" not in head.names:
        raise SuperlensError(
            f"{path.name} has a row for each track; expected one for each spot. Export the table of spots."
        )
    text = read_text(path, head)
    return StoredTable(
        "TrackMate CSV",
        tuple(_numbered(each) for each in text.fields),
        _NAMES,
        first_frame=0,
        from_pixel_middle=True,
        left_out=text.left_out,
        unreadable=text.unreadable,
    )


def _numbered(each: Field) -> Field:
    """Tracks count from 0."""
    if each.name.lower() != "track_id" or not np.isfinite(each.values).all():
        return each
    return replace(each, name="molecule", values=each.values + 1)
