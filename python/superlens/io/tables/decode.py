"""DECODE HDF5 and CSV: positions in pixels or nanometres, frames from 0.

The middle of the pixel of index 0 lies at 0 in either unit. x and y are taken as the file names them; DECODE counts x along the first
axis of a frame, so a table from a movie that was not turned before may have them exchanged.

References
----------
A. Speiser et al., "Deep learning enables fast and dense single-molecule localization with high accuracy", Nat. Methods 18 (2021)
1082-1090.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io.tables.hdf5 import group, numbers_of, opened, read_array, word_of
from superlens.io.tables.meaning import Field, Names, StoredTable
from superlens.io.tables.text import Head, TextFormat

__all__ = ["DECODE", "read_decode"]

_NAMES: Names = MappingProxyType(
    {
        "frame_ix": ("frame", ""),
        "x": ("x_nm", ""),
        "y": ("y_nm", ""),
        "z": ("z_nm", "nm"),
        "uncertainty": ("uncertainty_nm", ""),
        "z_sig": ("uncertainty_z_nm", "nm"),
        "phot": ("photons", "photon"),
        "bg": ("background", "photon"),
        "prob": ("probability", ""),
    }
)


def read_decode(path: Path) -> StoredTable:
    """Read a table of DECODE.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredTable
        The uncertainty of x and y is the root of the mean of both variances.

    Raises
    ------
    SuperlensError
        If the file is damaged or lacks positions or frames.
    """
    with opened(path) as file:
        data = group(file, "data", path)
        unit, pixel = _about(group(file, "meta", path), path) if "meta" in file else ("", None)
        position = read_array(data, "xyz", path)
        if position is None or position.ndim != 2 or position.shape[1] != 3:
            raise SuperlensError(f"{path.name} has no positions of shape (N, 3) in data/xyz. Export it again.")
        rows = len(position)
        fields = [Field(name, "nm" if name == "z" else unit, position[:, at]) for at, name in enumerate("xyz")]
        error = read_array(data, "xyz_sig", path)
        if error is not None and error.shape == position.shape:
            fields += _errors(error, unit)
        bound = read_array(data, "xyz_cr", path)
        if bound is not None and bound.shape == position.shape:
            fields += [Field(f"{name}_cr", "", bound[:, at]) for at, name in enumerate("xyz")]
        single = {name: read_array(data, name, path) for name in data if not name.startswith("xyz")}
    fields += [Field(name, "", each) for name, each in single.items() if each is not None and each.shape == (rows,)]
    return StoredTable("DECODE HDF5", tuple(fields), _NAMES, first_frame=0, from_pixel_middle=True, pixel_xy_nm=pixel)


def _errors(error: NDArray[Any], unit: str) -> list[Field]:
    with np.errstate(all="ignore"):
        both = np.sqrt((error[:, :2].astype(np.float64) ** 2).mean(axis=1))
    return [Field("uncertainty", unit, both), Field("z_sig", "nm", error[:, 2])]


def _about(meta: h5py.Group, path: Path) -> tuple[str, tuple[float, float] | None]:
    unit = word_of(meta, "xy_unit", ("px", "nm"), path)
    sizes = numbers_of(meta, "px_size")
    return unit, None if sizes is None else _pixel(sizes)


def _pixel(sizes: NDArray[Any]) -> tuple[float, float] | None:
    if sizes.size not in (1, 2) or sizes.dtype.kind not in "fiu":
        return None
    x_nm, y_nm = (float(f"{size:.7g}") for size in np.broadcast_to(sizes, 2))  # float32 adds digits that nobody meant
    return x_nm, y_nm


def _with_its_units(stored: StoredTable, head: Head) -> StoredTable:
    """What is said of units as JSON in comments."""
    about: dict[str, Any] = {}
    for comment in head.comments:
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(comment)
            about |= told if isinstance(told, dict) else {}
    unit = about.get("xy_unit")
    fields = tuple(
        replace(each, unit=str(unit)) if each.name in ("x", "y") and unit in ("px", "nm") else each
        for each in stored.fields
    )
    return replace(stored, fields=fields, pixel_xy_nm=_pixel(np.asarray(about.get("px_size"))))


DECODE = TextFormat(
    "DECODE CSV",
    lambda head: {"frame_ix", "x", "y", "phot"} <= head.names,
    _NAMES,
    first_frame=0,
    from_pixel_middle=True,
    understood=_with_its_units,
)
