"""Tables of particles of QuickPALM: tabs, positions in pixels and in nanometres, frames from 1.

Positions are centres of mass over the indices of pixels, so that the middle of the first pixel lies at 0. How large a pixel is follows from
the two units.

References
----------
R. Henriques et al., "QuickPALM: 3D real-time photoactivation nanoscopy image processing in ImageJ", Nat. Methods 7 (2010) 339-340.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import numpy as np

from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_quickpalm", "read_quickpalm"]

_NAMES: Names = MappingProxyType(
    {"frame number": ("frame", ""), "x": ("x_nm", ""), "y": ("y_nm", ""), "z": ("z_nm", "")}
)
_METRIC = ("x", "y", "z")


def is_quickpalm(head: Head) -> bool:
    """Whether a line of headings is one that this program writes."""
    return {"x (px)", "y (px)", "x (nm)", "y (nm)", "frame number"} <= head.names


def read_quickpalm(path: Path, head: Head) -> StoredTable:
    """Read a table of QuickPALM.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        Its intensity, a mean of counts, keeps its name.
    """
    text = read_text(path, head)
    pixel = _pixel_nm(text.fields)
    return StoredTable(
        "QuickPALM text",
        tuple(each for each in text.fields if not (each.name.lower() in _METRIC and each.unit.lower() == "px")),
        _NAMES,
        from_pixel_middle=True,
        pixel_xy_nm=None if pixel is None else (pixel, pixel),
        left_out=text.left_out,
        unreadable=text.unreadable,
    )


def _pixel_nm(fields: tuple[Field, ...]) -> float | None:
    """How many nanometres a pixel has in this table."""
    by = {(each.name.lower(), each.unit.lower()): each.values for each in fields}
    pixels, metric = by.get(("x", "px")), by.get(("x", "nm"))
    if pixels is None or metric is None:
        return None
    known = np.isfinite(pixels) & np.isfinite(metric) & (pixels > 0)
    if not known.any():
        return None
    size = float(np.median(metric[known] / pixels[known]))
    return float(f"{size:.4g}") if np.isfinite(size) and size > 0 else None
