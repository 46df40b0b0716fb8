"""From columns as a file has them to columns with a meaning: names, units, the first frame, the corner that positions count from.

In: a `StoredTable`, which a format's reader fills without converting anything. Out: `Localizations`. What the names of a format mean
is said by the format, in a mapping; how lengths are converted and what happens to the rest is decided here once for all.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.smlm.table import KNOWN_COLUMNS, Localizations

__all__ = ["Field", "Names", "StoredTable", "Unreadable", "check_pixel", "to_localizations"]

Names = Mapping[str, tuple[str, str]]
"""Name in the file, in small letters, to our name and the unit that holds when the file states none ("" for no such unit)."""

_REQUIRED = ("frame", "x_nm", "y_nm")
_WHOLE = ("frame", "molecule", "detections")
_NEARLY_WHOLE = 1e-3  # what single precision leaves of a whole number
_PHOTONS = ("photons", "background", "background_std")
_PHOTON_UNITS = ("photon", "photons")
_SILENT_WHEN_ZERO = frozenset(KNOWN_COLUMNS) - {*_REQUIRED, "molecule", "x_raw_nm", "y_raw_nm"} | {"chi2"}
_LENGTHS_NM: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1.0),
        **dict.fromkeys(
            ("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers", "micrometre"), 1e3
        ),
        **dict.fromkeys(("a", "\u00e5", "\u212b", "angstrom"), 0.1),
        "mm": 1e6,
        "m": 1e9,
    }
)
_PIXELS = ("px", "pixel", "pixels", "pix")
_EXACT_WHOLE = 2.0**53
_SMALLEST_PIXEL_NM, _LARGEST_PIXEL_NM = 1.0, 10_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One column of a file: its name and unit as written there, and its values."""

    name: str
    unit: str
    values: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One column that cannot be read: its name, the heading as written, and what hinders that."""

    name: str
    heading: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class StoredTable:
    """A table as a file has it.

    Attributes
    ----------
    kind : str
        The format, in words.
    fields : tuple of Field
        All columns of numbers, of one length.
    names : mapping
        What the names mean in this format.
    first_frame : int or None
        Number that the format gives to the first frame; None where it is 0 if a 0 occurs, and else 1.
    from_pixel_middle : bool
        Whether the middle of the pixel of index 0 lies at position 0, rather than at half a pixel.
    pixel_xy_nm : tuple of float or None
        Sides of a camera pixel as the file says them.
    yx_shape, frames, history
        As in `Localizations`, where the file knows them.
    left_out : tuple of str
        Names of columns that hold no numbers.
    unreadable : tuple of Unreadable
        Columns that hold something else than numbers; those of known meaning are told.
    """

    kind: str
    fields: tuple[Field, ...]
    names: Names
    first_frame: int | None = None
    from_pixel_middle: bool = False
    pixel_xy_nm: tuple[float, float] | None = None
    yx_shape: tuple[int, int] | None = None
    frames: int | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def check_pixel(pixel_nm: float, said: str) -> None:
    """Refuse a pixel size that no camera on a microscope has.

    Parameters
    ----------
    pixel_nm : float
        Side of a camera pixel.
    said : str
        Who says so, as the beginning of a sentence.

    Raises
    ------
    SuperlensError
        If it is below 1 or above 10000 nm.
    """
    if not _SMALLEST_PIXEL_NM <= pixel_nm <= _LARGEST_PIXEL_NM:
        hint = " Is it in micrometres?" if 0 < pixel_nm < _SMALLEST_PIXEL_NM else ""
        raise SuperlensError(f"{said} {pixel_nm:g} nm; expected {_SMALLEST_PIXEL_NM:g} to {_LARGEST_PIXEL_NM:g}.{hint}")


def to_localizations(stored: StoredTable, path: Path, pixel_nm: float | None) -> Localizations:
    """Give the columns of a file their meaning.

    Parameters
    ----------
    stored : StoredTable
        What a reader found.
    path : Path
        The file, for messages and the history.
    pixel_nm : float or None
        Side of a camera pixel as the caller says it, which goes before what the file says.

    Returns
    -------
    Localizations
        In nanometres from the outer corner, frames from 1.

    Raises
    ------
    SuperlensError
        If frame, x or y is missing, has a unit that cannot be converted, or holds values that are no positions or frames.

    Warns
    -----
    SuperlensWarning
        If another column of known meaning cannot be read, or rows without a position or a frame are left out.
    """
    pixel_xy = (pixel_nm, pixel_nm) if pixel_nm is not None else stored.pixel_xy_nm
    for side in pixel_xy or ():
        check_pixel(side, f"{path.name} states a pixel size of")
    with np.errstate(all="ignore"):
        columns = _named(stored, path, pixel_xy)
        _check_required(stored, path, columns)
        notes: dict[str, Any] = {"file": path.name, "format": stored.kind, **_leave_out_rows(path, columns)}
        _check_whole(path, columns)
        notes |= _shift_to_corner(stored, path, columns, pixel_xy)
        notes |= _count_from_one(stored, path, columns)
        if stored.left_out:
            notes["left_out"] = list(stored.left_out)
    last = int(columns["frame"].max(initial=0))
    try:
        return Localizations(
            columns,
            pixel_nm=pixel_xy[0] if pixel_xy is not None and pixel_xy[0] == pixel_xy[1] else None,
            yx_shape=stored.yx_shape,
            frames=stored.frames if stored.frames is not None and stored.frames >= last else None,
            history={**stored.history, "read": notes},
        )
    except SuperlensError as error:
        raise SuperlensError(f"{path.name}: {error}") from error


def _named(stored: StoredTable, path: Path, pixel_xy: tuple[float, float] | None) -> dict[str, NDArray[Any]]:
    """Columns under our names; of several that mean the same, the first that can be converted."""
    columns: dict[str, NDArray[Any]] = {}
    others: list[Field] = []
    refused: dict[str, str] = {}
    for given in stored.fields:
        each = Field(_one_line(given.name), _one_line(given.unit), given.values.astype(np.float64))
        ours, unit = _meant(stored.names, each)
        factor = _factor(ours, unit, pixel_xy) if ours and ours not in columns else None
        if factor is not None:
            columns[ours] = each.values * factor
            continue
        others.append(each)
        if ours in _REQUIRED or (ours and np.nan_to_num(each.values).any()):
            refused.setdefault(ours, _unit_message(path, each.name, unit))
    for column in stored.unreadable:
        ours, _ = _meant(stored.names, Field(_one_line(column.name), "", np.empty(0)))
        if ours:
            heading = _one_line(column.heading)
            refused.setdefault(
                ours, f"{path.name} has a column {heading} that cannot be read: {_one_line(column.why)}."
            )
    _tell_refused({ours: message for ours, message in refused.items() if ours not in columns})
    columns = {name: values for name, values in columns.items() if not _is_silent(name, values)}
    for each in others:
        name = _safe_name(each, columns)
        if not _is_silent(name, each.values):
            columns[name] = each.values
    return columns


def _meant(names: Names, each: Field) -> tuple[str, str]:
    """Our name of a column, "" for none, and its unit; the unit may be the end of its name."""
    name = each.name.lower()
    if name in names:
        ours, unit = names[name]
        return ours, each.unit or unit
    base, _, unit = name.replace(" ", "_").rpartition("_")
    if base in names and (unit in _LENGTHS_NM or unit in _PIXELS):
        return names[base][0], unit
    return "", each.unit


def _tell_refused(refused: Mapping[str, str]) -> None:
    """Refuse a table whose positions or frames cannot be read, and tell of other columns."""
    for ours in _REQUIRED:
        if ours in refused:
            raise SuperlensError(refused[ours])
    for ours, message in refused.items():
        if ours not in _PHOTONS or "cannot be read" in message:
            warnings.warn(f"{message} So {ours} is unknown.", SuperlensWarning, stacklevel=5)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _factor(ours: str, unit: str, pixel_xy: tuple[float, float] | None) -> float | None:
    """What turns the unit into ours; None where nothing does."""
    unit = unit.lower()
    if ours in _PHOTONS:
        return 1.0 if unit in _PHOTON_UNITS else None
    if not ours.endswith("_nm"):
        return 1.0
    if unit in _PIXELS and pixel_xy is not None and "z" not in ours.split("_"):
        x_nm, y_nm = pixel_xy
        return {"x": x_nm, "y": y_nm}.get(_axis(ours), (x_nm * y_nm) ** 0.5 if x_nm != y_nm else x_nm)
    return _LENGTHS_NM.get(unit)


def _axis(ours: str) -> str:
    return next((part for part in ours.split("_") if part in ("x", "y")), "")


def _unit_message(path: Path, name: str, unit: str) -> str:
    if unit.lower() in _PIXELS and "z" not in re.split(r"[^a-z]+", name.lower()):
        return f"{path.name} gives {name} in camera pixels and does not say how large they are. Give `pixel_nm`."
    if not unit:
        return (
            f"{path.name} states no unit for {name}. Name the column {name} [nm], or {name} [px] and give `pixel_nm`."
        )
    return f"{path.name} gives {name} in {unit}; expected nm, um or px."


def _is_silent(name: str, values: NDArray[Any]) -> bool:
    return bool(name in _SILENT_WHEN_ZERO and values.size and not values.any())


def _safe_name(each: Field, taken: Mapping[str, Any]) -> str:
    """The name in small letters with its unit, never one whose meaning is fixed."""
    words = re.findall(r"[0-9a-z]+", f"{each.name} {each.unit}".lower())
    name = "_".join(words)[:80] or "column"
    if name[0].isdigit():
        name = f"column_{name}"
    free, number = name, 1
    while free in taken or free in KNOWN_COLUMNS:
        number += 1
        free = f"{name}_{number}"
    return free


def _check_required(stored: StoredTable, path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    missing = [name.removesuffix("_nm") for name in _REQUIRED if name not in columns]
    if missing:
        there = _one_line(", ".join(each.name for each in stored.fields))[:300] or "no column of numbers"
        text = f"; without numbers: {_one_line(', '.join(stored.left_out))[:200]}" if stored.left_out else ""
        raise SuperlensError(
            f"{path.name} has no column for {' and '.join(missing)}; it has {there}{text}. Expected frame, x and y with units."
        )


def _leave_out_rows(path: Path, columns: dict[str, NDArray[Any]]) -> dict[str, int]:
    """Leave out rows that say nothing about where or when, and columns that must be whole and are not known in each row."""
    lacking = {name: ~np.isfinite(columns[name]) for name in _REQUIRED}
    bad = np.logical_or.reduce(list(lacking.values()))
    if bad.size and bad.all():
        names = " and ".join(name.removesuffix("_nm") for name, each in lacking.items() if each.any())
        raise SuperlensError(f"{path.name} has no row in which {names} is known. Export it again.")
    if bad.any():
        names = " or ".join(name.removesuffix("_nm") for name, each in lacking.items() if each.any())
        warnings.warn(
            f"{path.name} does not say {names} in {int(bad.sum())} of {bad.size} rows, which are left out.",
            SuperlensWarning,
            stacklevel=4,
        )
        columns |= {name: values[~bad] for name, values in columns.items()}
    for name in ("molecule", "detections"):
        if name in columns and not np.isfinite(columns[name]).all():
            unknown = int((~np.isfinite(columns[name])).sum())
            warnings.warn(
                f"{path.name} does not say {name} in {unknown} of {len(columns[name])} rows. So {name} is unknown.",
                SuperlensWarning,
                stacklevel=4,
            )
            del columns[name]
    return {"rows_left_out": int(bad.sum())} if bad.any() else {}


def _check_whole(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    for name in _WHOLE:
        if name not in columns:
            continue
        values = columns[name]
        if not (np.abs(values) < _EXACT_WHOLE).all():
            raise SuperlensError(f"{path.name} holds values in {name} that cannot be counted; expected whole numbers.")
        whole = np.rint(values)
        if (np.abs(values - whole) < _NEARLY_WHOLE).all():
            columns[name] = whole


def _shift_to_corner(
    stored: StoredTable, path: Path, columns: dict[str, NDArray[Any]], pixel_xy: tuple[float, float] | None
) -> dict[str, str]:
    if not stored.from_pixel_middle:
        return {}
    if pixel_xy is None:
        warnings.warn(
            f"{stored.kind} counts positions from the middle of the first pixel, and {path.name} does not say how large pixels are, so they "
            "stay half a pixel off. Give `pixel_nm`, in nanometres.",
            SuperlensWarning,
            stacklevel=4,
        )
        return {"positions": "from the middle of the first pixel, as in the file"}
    for name, size in zip(("x_nm", "y_nm"), pixel_xy, strict=True):
        columns[name] = columns[name] + 0.5 * size
    return {"positions": "counted from the middle of the first pixel in the file; half a pixel added"}


def _count_from_one(stored: StoredTable, path: Path, columns: dict[str, NDArray[Any]]) -> dict[str, str]:
    frame = columns["frame"]
    lowest = frame.min() if frame.size else 1
    first = stored.first_frame if stored.first_frame is not None else (0 if lowest == 0 else 1)
    if lowest < first:
        raise SuperlensError(f"{path.name} has the frame {lowest:g}; expected frames from {first}.")
    if first == 1:
        return {}
    columns["frame"] = frame + (1 - first)
    return {"frames": f"counted from {first} in the file; {1 - first} added"}
