"""Lists of molecules that Nikon's N-STORM exports as text: tabs, bare headings, positions in nanometres, frames from 1.

``X`` is the position as it was found, ``Xc`` the same after the correction of drift.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_nstorm", "read_nstorm"]

_SHARED: Names = MappingProxyType(
    {
        "frame": ("frame", ""),
        "length": ("detections", ""),
        "photons": ("photons", "photon"),
        "lateral localization accuracy": ("uncertainty_nm", "nm"),
    }
)
_CORRECTED: Names = MappingProxyType(
    {
        **_SHARED,
        "xc": ("x_nm", "nm"),
        "yc": ("y_nm", "nm"),
        "zc": ("z_nm", "nm"),
        "x": ("x_raw_nm", "nm"),
        "y": ("y_raw_nm", "nm"),
    }
)
_RAW: Names = MappingProxyType({**_SHARED, "x": ("x_nm", "nm"), "y": ("y_nm", "nm"), "z": ("z_nm", "nm")})


def is_nstorm(head: Head) -> bool:
    """Whether a line of headings is one that this program writes."""
    return {"x", "y", "xc", "yc", "frame", "photons"} <= head.names


def read_nstorm(path: Path, head: Head) -> StoredTable:
    """Read a list of molecules of N-STORM.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        Positions after the correction of drift, where there was one.
    """
    text = read_text(path, head)
    corrected = all(_any(text.fields, name) for name in ("xc", "yc"))
    names = _CORRECTED if corrected else _RAW
    return StoredTable("N-STORM text", text.fields, names, left_out=text.left_out, unreadable=text.unreadable)


def _any(fields: tuple[Field, ...], name: str) -> bool:
    return any(each.name.lower() == name and bool(each.values.any()) for each in fields)
