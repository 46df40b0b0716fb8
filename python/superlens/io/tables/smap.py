"""CSV that SMAP exports: bare headings that end in their unit, frames from 1, positions in nanometres.

References
----------
J. Ries, "SMAP: a modular super-resolution microscopy analysis platform for SMLM data", Nat. Methods 17 (2020) 870-872.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from superlens.io.tables.meaning import Names, StoredTable
from superlens.io.tables.text import Head, read_text

__all__ = ["is_smap", "read_smap"]

_NAMES: Names = MappingProxyType(
    {
        "frame": ("frame", ""),
        "xnm": ("x_nm", "nm"),
        "ynm": ("y_nm", "nm"),
        "znm": ("z_nm", "nm"),
        "phot": ("photons", "photon"),
        "bg": ("background", "photon"),
        "locprecnm": ("uncertainty_nm", "nm"),
        "locprecznm": ("uncertainty_z_nm", "nm"),
        "psfxnm": ("sigma_x_nm", "nm"),
        "psfynm": ("sigma_y_nm", "nm"),
        "numberingroup": ("detections", ""),
    }
)
_ONE_WIDTH: Names = MappingProxyType({**_NAMES, "psfxnm": ("sigma_nm", "nm")})


def is_smap(head: Head) -> bool:
    """Whether a line of headings is one that this program writes."""
    return {"xnm", "ynm", "frame"} <= head.names


def read_smap(path: Path, head: Head) -> StoredTable:
    """Read a table of SMAP.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        A width along x alone is that of a round spot.
    """
    text = read_text(path, head)
    names = _NAMES if "psfynm" in head.names else _ONE_WIDTH
    return StoredTable("SMAP CSV", text.fields, names, left_out=text.left_out, unreadable=text.unreadable)
