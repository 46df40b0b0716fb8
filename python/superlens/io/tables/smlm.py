"""The ``.smlm`` exchange format: a zip archive with a manifest in JSON and tables of fixed-width numbers.

Lengths are nanometres unless the manifest names another unit; where frames begin is not fixed, so a 0 among them says it. Several
tables of one file, as of several channels, become one with a column ``channel``. Only members that the manifest lists as tables are
read, and only when their length is the one that the manifest claims.

References
----------
W. Ouyang et al., "ShareLoc: an open platform for sharing localization microscopy data", Nat. Methods 19 (2022) 1331-1333.
"""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from superlens.errors import SuperlensError
from superlens.io.tables.meaning import Field, Names, StoredTable

__all__ = ["read_smlm"]

_LARGEST_MANIFEST = 16 << 20
_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
)
_LENGTHS = {
    **dict.fromkeys(("x", "position_x", "position-0-0"), "x_nm"),
    **dict.fromkeys(("y", "position_y", "position-1-0"), "y_nm"),
    **dict.fromkeys(("z", "position_z", "position-2-0"), "z_nm"),
    **dict.fromkeys(("precision", "uncertainty", "uncertainty_xy", "localization_precision"), "uncertainty_nm"),
    **dict.fromkeys(("z_precision", "uncertainty_z"), "uncertainty_z_nm"),
    **dict.fromkeys(("sigma", "psf_sigma"), "sigma_nm"),
}
_NAMES: Names = MappingProxyType(
    {name: (ours, "nm") for name, ours in _LENGTHS.items()}
    | dict.fromkeys(("frame", "frames", "imagenumber-0-0"), ("frame", ""))
    | {"photons": ("photons", "photon"), "intensity": ("photons", ""), "background": ("background", "")}
)


def read_smlm(path: Path) -> StoredTable:
    """Read the tables of an ``.smlm`` file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredTable
        An intensity is taken for photons only where the manifest says so.

    Raises
    ------
    SuperlensError
        If the archive is damaged, or its manifest does not describe what is there.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            listed = [entry for entry in manifest["files"] if entry["type"] == "table"]
            if not listed:
                raise SuperlensError(f"{path.name} holds no table.")
            tables = [_table(archive, entry, manifest["formats"], path) for entry in listed]
    except SuperlensError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SuperlensError(f"{path.name} is damaged or no .smlm file ({reason}). Export it again.") from error
    return StoredTable("smlm", _joined(tables), _NAMES)


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    if "manifest.json" not in archive.namelist():
        raise SuperlensError(f"{path.name} is a zip archive without manifest.json; expected an .smlm file, or CSV.")
    if archive.getinfo("manifest.json").file_size > _LARGEST_MANIFEST:
        raise SuperlensError(f"{path.name} has a manifest beyond {_LARGEST_MANIFEST >> 20} MiB. Export it again.")
    manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
    version = str(manifest["format_version"])
    if not version.startswith("0."):
        raise SuperlensError(f"{path.name} is of version {version[:20]} of the format; expected 0.2.")
    return manifest


def _table(archive: zipfile.ZipFile, entry: dict[str, Any], formats: dict[str, Any], path: Path) -> list[Field]:
    columns = formats[entry["format"]]
    if columns["mode"] != "binary":
        raise SuperlensError(f"{path.name} holds its table as {str(columns['mode'])[:20]}; expected binary.")
    row = _row_type(columns, path)
    rows = int(entry["rows"])
    member = archive.getinfo(entry["name"])
    if rows < 0 or member.file_size != rows * row.itemsize:
        raise SuperlensError(
            f"{path.name} claims {rows} rows of {row.itemsize} bytes but has {member.file_size} bytes: damaged. Export it again."
        )
    values = np.frombuffer(archive.read(member), dtype=row, count=rows)
    offsets = entry.get("offset") or {}
    fields = []
    for at, name in enumerate(columns["headers"]):
        numbers = values[f"f{at}"]
        if numbers.ndim == 1:  # a column of pictures is no column of numbers
            shift = float(offsets.get(name, 0))
            with np.errstate(all="ignore"):
                fields.append(Field(str(name), str(columns["units"][at]), numbers.astype(np.float64) + shift))
    channel = entry.get("channel")
    if channel not in (None, "", "default") and not any(each.name == "channel" for each in fields):
        fields.append(Field("channel", "", np.full(rows, str(channel))))
    return fields


def _row_type(columns: dict[str, Any], path: Path) -> np.dtype[Any]:
    lengths = {len(columns[key]) for key in ("headers", "dtype", "shape", "units")}
    unknown = [str(kind)[:20] for kind in columns["dtype"] if kind not in _TYPES]
    if len(lengths) != 1 or unknown:
        raise SuperlensError(
            f"{path.name} describes its columns wrongly ({', '.join(unknown) or 'lists of unequal lengths'}). Export it again."
        )
    shapes = [tuple(int(side) for side in np.atleast_1d(shape)) for shape in columns["shape"]]
    if any(side < 1 for shape in shapes for side in shape):
        raise SuperlensError(f"{path.name} describes a column without values. Export it again.")
    parts = zip(columns["dtype"], shapes, strict=True)
    return np.dtype(
        [
            (f"f{at}", np.dtype(kind).newbyteorder("<"), () if shape == (1,) else shape)
            for at, (kind, shape) in enumerate(parts)
        ]
    )


def _joined(tables: list[list[Field]]) -> tuple[Field, ...]:
    """Tables one below the other, with the columns that all have; names of channels become numbers in their order."""
    shared = [each for each in tables[0] if all(any(other.name == each.name for other in table) for table in tables)]
    joined = []
    for each in shared:
        parts = [next(other.values for other in table if other.name == each.name) for table in tables]
        values = np.concatenate(parts)
        if values.dtype.kind == "U":
            if len(tables) == 1:
                continue
            values = np.unique(values, return_inverse=True)[1].astype(np.float64) + 1
        joined.append(Field(each.name, each.unit, values))
    return tuple(joined)
