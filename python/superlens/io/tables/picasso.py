"""Picasso HDF5 with its YAML: one record for each row, frames from 0, x and y in camera pixels.

The middle of the pixel of index k lies at k, which is half a pixel from the convention here: x_nm = (x + 0.5) * pixel. That was measured on
the test movie of Picasso: Gaussian fits of its blinks, with the middle of the pixel at its index, agree with Picasso's own table to
-0.001 (x) and 0.000 (y) pixels on average, 0.007 pixels standard deviation, and only when frames are counted from 0.

References
----------
J. Schnitzbauer et al., "Super-resolution microscopy with DNA-PAINT", Nat. Protoc. 12 (2017) 1198-1228.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io.paths import replacing
from superlens.io.raw import positive, read_description
from superlens.io.tables.hdf5 import member, opened
from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.smlm.table import KNOWN_COLUMNS, Localizations

__all__ = ["read_picasso", "write_picasso"]

_HISTORY = "superlens history"
_NAMES: Names = MappingProxyType(
    {
        **{name: (name, "nm" if name.endswith("_nm") else "") for name in KNOWN_COLUMNS},
        "x": ("x_nm", "px"),
        "y": ("y_nm", "px"),
        "z": ("z_nm", "nm"),
        "photons": ("photons", "photon"),
        "bg": ("background", "photon"),
        "background": ("background", "photon"),
        "background_std": ("background_std", "photon"),
        "sigma": ("sigma_nm", "px"),
        "sx": ("sigma_x_nm", "px"),
        "sy": ("sigma_y_nm", "px"),
        "uncertainty": ("uncertainty_nm", "px"),
        "lpz": ("uncertainty_z_nm", "nm"),
        "n": ("detections", ""),
    }
)


def read_picasso(path: Path) -> StoredTable:
    """Read a table of Picasso and the YAML beside it.

    Parameters
    ----------
    path : Path
        The ``.hdf5`` file. Of several values in the YAML, one for each step of the analysis, the last one counts, as in Picasso.

    Returns
    -------
    StoredTable
        sx and sy become one width where they are the same in all rows; lpx and lpy become one uncertainty, the root of the mean of both
        variances, and are kept where they differ.

    Raises
    ------
    SuperlensError
        If either file is damaged. Without the YAML the table has no pixel size, and the caller must know it.
    """
    about = read_description(path.with_suffix(".yaml"))
    with opened(path) as file:
        records = member(file, "locs", path)
        if records is None or records.ndim != 1 or records.dtype.names is None:
            raise SuperlensError(f"{path.name} holds no table of records in locs. Export it again.")
        kinds = {name: records.dtype[name] for name in records.dtype.names}
        names = [name for name, kind in kinds.items() if kind.kind in "fiub" and not kind.shape]
        values = {name: np.asarray(records.fields(name)[()]) for name in names}
    pixel = positive(about.get("Pixelsize"))
    height, width, frames = (positive(about.get(name)) for name in ("Height", "Width", "Frames"))
    return StoredTable(
        "Picasso HDF5",
        _fields(values),
        _NAMES,
        first_frame=0,
        from_pixel_middle=True,
        pixel_xy_nm=None if pixel is None else (pixel, pixel),
        yx_shape=None if height is None or width is None else (int(height), int(width)),
        frames=None if frames is None else int(frames),
        history=_history(about.get(_HISTORY)),
        left_out=tuple(name for name in kinds if name not in names),
    )


def write_picasso(path: Path, table: Localizations) -> None:
    """Write a table for Picasso: records in ``locs``, and the YAML that it cannot do without.

    Parameters
    ----------
    path : Path
        Ending in ``.hdf5``.
    table : Localizations
        With its pixel size.

    Raises
    ------
    SuperlensError
        If the table does not know its pixel size.
    """
    if table.pixel_nm is None:
        raise SuperlensError(f"{path.name}: Picasso counts in pixels, and the table has no pixel_nm; give it first.")
    columns = _columns(table, table.pixel_nm)
    kinds = {"frame": "<u4", "n": "<i4", "molecule": "<i8"}
    records = np.zeros(len(table), [(name, kinds.get(name, "<f4")) for name in columns])
    with np.errstate(over="ignore", invalid="ignore"):
        for name, values in columns.items():
            records[name] = values
    description = yaml.safe_dump(_description(table, table.pixel_nm), sort_keys=False)
    with replacing(path) as beside, replacing(path.with_suffix(".yaml")) as described:
        described.write_text(description, encoding="utf-8")
        try:
            with h5py.File(beside, "w") as file:
                file.create_dataset("locs", data=records)
        except RuntimeError as error:  # how the library says that the disk did not take the rest
            raise SuperlensError(f"{path} cannot be written: {' '.join(str(error).split())[:200]}.") from error


def _history(text: object) -> dict[str, Any]:
    """JSON in one line of the YAML: what another program wrote there is not trusted to be short when it is unfolded."""
    if not isinstance(text, str):
        return {}
    try:
        history = json.loads(text)
    except (ValueError, RecursionError):
        return {"unreadable": text[:200]}
    return history if isinstance(history, dict) else {}


def _fields(values: Mapping[str, NDArray[Any]]) -> tuple[Field, ...]:
    rest = dict(values)
    made: dict[str, NDArray[Any]] = {}
    if "sx" in rest and "sy" in rest and np.array_equal(rest["sx"], rest["sy"]):
        made["sigma"] = rest.pop("sx")
        del rest["sy"]
    fields = []
    if "lpx" in rest and "lpy" in rest:
        with np.errstate(all="ignore"):
            x, y = (rest.pop(name).astype(np.float64) for name in ("lpx", "lpy"))
            made["uncertainty"] = x if np.array_equal(x, y) else np.sqrt((x**2 + y**2) / 2)
        if not np.array_equal(x, y):
            fields = [Field("lpx", "px", x), Field("lpy", "px", y)]
    fields += [Field(name, "", column) for name, column in {**rest, **made}.items()]
    return tuple(fields)


def _columns(table: Localizations, pixel_nm: float) -> dict[str, NDArray[Any]]:
    """Columns under the names of Picasso, in its order and units; then all others."""
    nothing = np.zeros(len(table))

    def of(*names: str) -> NDArray[Any]:
        found = next((table[name] for name in names if name in table), nothing)
        return found / pixel_nm if names[-1].endswith("_nm") else found

    columns = {
        "frame": table["frame"] - 1,
        "x": table["x_nm"] / pixel_nm - 0.5,
        "y": table["y_nm"] / pixel_nm - 0.5,
        "photons": of("photons"),
        "sx": of("sigma_x_nm", "sigma_nm"),
        "sy": of("sigma_y_nm", "sigma_nm"),
        "bg": of("background"),
        "lpx": of("uncertainty_nm"),
        "lpy": of("uncertainty_nm"),
    }
    if _errors_still_hold(table, pixel_nm):
        columns |= {"lpx": table["lpx_px"], "lpy": table["lpy_px"]}
    renamed = {"z_nm": "z", "uncertainty_z_nm": "lpz", "detections": "n"}
    columns |= {name: table[ours] for ours, name in renamed.items() if ours in table}
    used = {"frame", "x_nm", "y_nm", "photons", "background", "uncertainty_nm", "lpx_px", "lpy_px", *renamed}
    used |= {"sigma_x_nm", "sigma_y_nm"} if "sigma_x_nm" in table and "sigma_y_nm" in table else {"sigma_nm"}
    for name in table.columns:
        if name not in used:
            columns[name if name not in columns else f"{name}_2"] = table[name]
    return columns


def _errors_still_hold(table: Localizations, pixel_nm: float) -> bool:
    """Whether the errors of x and of y, as a file had them, are still those that the uncertainty of the table sums up."""
    if not all(name in table for name in ("lpx_px", "lpy_px", "uncertainty_nm")):
        return False
    both = np.sqrt((table["lpx_px"] ** 2 + table["lpy_px"] ** 2) / 2) * pixel_nm
    return bool(np.allclose(both, table["uncertainty_nm"], rtol=1e-9, atol=0.0, equal_nan=True))


def _description(table: Localizations, pixel_nm: float) -> dict[str, Any]:
    from superlens import __version__

    height, width = table.yx_shape or (
        max(1, math.floor(table[name].max(initial=0.0) / pixel_nm) + 1) for name in ("y_nm", "x_nm")
    )
    return {
        "Generated by": f"superlens {__version__}",
        "Width": int(width),
        "Height": int(height),
        "Frames": max(int(table.last_frame), 1),
        "Pixelsize": float(pixel_nm),
        _HISTORY: json.dumps(dict(table.history), default=str),
    }
