"""ThunderSTORM CSV, and other comma-separated tables with the same or the challenge's column names.

A quoted line of headings with units in brackets, frames from 1, positions from the outer corner of the top-left pixel; the truth of
the SMLM challenges has bare names such as ``xnano``.

References
----------
M. Ovesny et al., "ThunderSTORM: a comprehensive ImageJ plug-in for PALM and STORM data analysis and super-resolution imaging",
Bioinformatics 30 (2014) 2389-2390.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.io.paths import replacing
from superlens.io.tables.meaning import Names
from superlens.io.tables.text import TextFormat
from superlens.smlm.table import KNOWN_COLUMNS, Localizations

__all__ = ["THUNDERSTORM", "write_thunderstorm"]

_OWN: Names = MappingProxyType(
    {
        name: (
            name,
            "nm" if name.endswith("_nm") else "photon" if name in ("photons", "background", "background_std") else "",
        )
        for name in KNOWN_COLUMNS
    }
)
_NAMES: Names = MappingProxyType(
    {
        **_OWN,
        "x": ("x_nm", ""),
        "y": ("y_nm", ""),
        "z": ("z_nm", ""),
        "sigma": ("sigma_nm", ""),
        "sigma1": ("sigma_x_nm", ""),
        "sigma2": ("sigma_y_nm", ""),
        "intensity": ("photons", "photon"),
        "offset": ("background", "photon"),
        "bkgstd": ("background_std", "photon"),
        "uncertainty": ("uncertainty_nm", ""),
        "uncertainty_xy": ("uncertainty_nm", ""),
        "uncertainty_z": ("uncertainty_z_nm", ""),
        "xnano": ("x_nm", "nm"),
        "ynano": ("y_nm", "nm"),
        "znano": ("z_nm", "nm"),
        **dict.fromkeys(("frames", "frame number", "frame_number", "frame nr"), ("frame", "")),
        **dict.fromkeys(("precision", "localization precision", "loc. precision"), ("uncertainty_nm", "")),
    }
)
_FLAT = {
    "x [nm]": "x_nm",
    "y [nm]": "y_nm",
    "sigma [nm]": "sigma_nm",
    "intensity [photon]": "photons",
    "offset [photon]": "background",
    "bkgstd [photon]": "background_std",
    "chi2": "chi2",
    "uncertainty [nm]": "uncertainty_nm",
}
_DEEP = {
    "x [nm]": "x_nm",
    "y [nm]": "y_nm",
    "z [nm]": "z_nm",
    "sigma [nm]": "sigma_nm",
    "sigma1 [nm]": "sigma_x_nm",
    "sigma2 [nm]": "sigma_y_nm",
    "intensity [photon]": "photons",
    "offset [photon]": "background",
    "bkgstd [photon]": "background_std",
    "chi2": "chi2",
    "uncertainty [nm]": "uncertainty_nm",
    "uncertainty_z [nm]": "uncertainty_z_nm",
}
_ROWS_AT_ONCE = 1 << 15


THUNDERSTORM = TextFormat("ThunderSTORM CSV", lambda head: True, _NAMES)
"""Frames from 0 where a 0 occurs; it takes any table whose columns have these names."""


def write_thunderstorm(path: Path, table: Localizations) -> None:
    """Write all columns that ThunderSTORM has, then all others of the table.

    Parameters
    ----------
    path : Path
        The file.
    table : Localizations
        What is missing in it is written as 0; see `superlens.io.write_localizations`.
    """
    columns = _columns(table)
    heading = ",".join('"' + name.replace('"', "'") + '"' for name in columns)
    whole = ("id", "frame", "detections", "molecule")
    formats = ["%d" if name in whole else "%.10G" for name in columns]
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(heading + "\n")
        for start in range(0, len(table), _ROWS_AT_ONCE):
            rows = np.column_stack([values[start : start + _ROWS_AT_ONCE] for values in columns.values()])
            text = StringIO()
            np.savetxt(text, np.where(np.isfinite(rows), rows, 0.0), fmt=formats, delimiter=",")
            file.write(text.getvalue().replace("E+", "E"))  # ThunderSTORM reads 2e-05 and 2E+10 as 2


def _columns(table: Localizations) -> dict[str, NDArray[Any]]:
    deep = any(name in table for name in ("z_nm", "sigma_x_nm", "sigma_y_nm", "uncertainty_z_nm"))
    columns: dict[str, NDArray[Any]] = {"id": _ids(table), "frame": table["frame"]}
    known = _DEEP if deep else _FLAT
    for heading, name in known.items():
        columns[heading] = table[name] if name in table else np.zeros(len(table))
    if "sigma_nm" not in table and "sigma_x_nm" in table and "sigma_y_nm" in table:
        columns["sigma [nm]"] = np.sqrt(np.maximum(table["sigma_x_nm"] * table["sigma_y_nm"], 0.0))
    if "detections" in table:
        columns["detections"] = table["detections"]
    used = {*known.values(), "id", "frame", "detections"}
    return columns | {name: table[name] for name in table.columns if name not in used}


def _ids(table: Localizations) -> NDArray[Any]:
    return table["id"] if "id" in table else np.arange(1, len(table) + 1)
