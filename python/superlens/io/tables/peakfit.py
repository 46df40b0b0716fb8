"""Text of PeakFit, of the GDSC SMLM plugins: notes in comments, the headings in the last of them, tabs, frames from 1.

The notes say how large a pixel is. Newer versions name the unit of each column; older ones count positions and widths in pixels, and light in
camera counts. A star behind a precision says that it was computed.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_peakfit", "read_peakfit"]

_NAMES: Names = MappingProxyType(
    {
        "frame": ("frame", ""),
        "frames": ("frame", ""),
        "x": ("x_nm", "px"),
        "y": ("y_nm", "px"),
        "z": ("z_nm", "px"),
        "intensity": ("photons", ""),
        "signal": ("photons", ""),
        "background": ("background", ""),
        "noise": ("background_std", ""),
        "s": ("sigma_nm", "px"),
        "sx": ("sigma_x_nm", "px"),
        "sy": ("sigma_y_nm", "px"),
        "x sd": ("sigma_x_nm", "px"),
        "y sd": ("sigma_y_nm", "px"),
        "precision": ("uncertainty_nm", "nm"),
    }
)
_PIXEL = re.compile(r"nmPerPixel\W+([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)")
_FRAME = ("frame", "frames", "peak")
_DEVIATION = "+/-"


def is_peakfit(head: Head) -> bool:
    """Whether headings are those that this program writes."""
    return {"origx", "origy", "origvalue"} <= head.names


def read_peakfit(path: Path, head: Head) -> StoredTable:
    """Read a table of PeakFit.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        With the pixel size that the notes state.
    """
    text = read_text(path, head, marks="*")
    pixel = next((float(found[1]) for note in head.comments if (found := _PIXEL.search(note))), None)
    fields = tuple(_depth(each, pixel) for each in text.fields if each.name != _DEVIATION)
    return StoredTable(
        "PeakFit text",
        fields,
        _NAMES,
        pixel_xy_nm=None if not pixel else (pixel, pixel),
        left_out=text.left_out,
        unreadable=text.unreadable,
    )


def _depth(each: Field, pixel: float | None) -> Field:
    """A height in pixels of the camera, which this program alone uses, in nanometres."""
    if each.name.lower() == "z" and each.unit.lower() in ("", "px") and pixel:
        return Field(each.name, "nm", each.values * pixel)
    return each
