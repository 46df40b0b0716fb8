"""Tables that programs and microscopes write as text: what each calls its columns, where it counts from, how it is recognised.

All are read in one way; a `TextFormat` says in what each differs. Those of ThunderSTORM, which is written too, and of DECODE, which is HDF5
as well, are in modules of their own.

References
----------
R. Henriques et al., "QuickPALM: 3D real-time photoactivation nanoscopy image processing in ImageJ", Nat. Methods 7 (2010) 339-340.

J. Ries, "SMAP: a modular super-resolution microscopy analysis platform for SMLM data", Nat. Methods 17 (2020) 870-872.

D. Ershov et al., "TrackMate 7: integrating state-of-the-art segmentation algorithms into tracking pipelines", Nat. Methods 19 (2022)
829-832.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from superlens.errors import SuperlensError
from superlens.io.tables.decode import DECODE
from superlens.io.tables.meaning import Field, StoredTable
from superlens.io.tables.text import Head, TextFormat
from superlens.io.tables.thunderstorm import THUNDERSTORM

__all__ = ["program_of"]


# Zeiss Elyra: tabs, frames from 1, and notes about the image behind a zero byte at the end; a row that was grouped over frames stands in
# its first one.
_ELYRA = TextFormat(
    "Zeiss Elyra text",
    lambda head: "first frame" in head.names and any(name.startswith("position x") for name in head.names),
    {
        "first frame": ("frame", ""),
        "number frames": ("detections", ""),
        "position x": ("x_nm", ""),
        "position y": ("y_nm", ""),
        "position z": ("z_nm", ""),
        "precision": ("uncertainty_nm", ""),
        "precision z": ("uncertainty_z_nm", ""),
        "number photons": ("photons", "photon"),
    },
    notes_follow=True,
)

# Nanoimager: comma-separated, units in round brackets, frames from 0.
_NANOIMAGER = TextFormat(
    "Nanoimager CSV",
    lambda head: tuple(heading.lower() for heading in head.headings[:3]) == ("channel", "frame", "x (nm)"),
    {
        "frame": ("frame", ""),
        "x": ("x_nm", ""),
        "y": ("y_nm", ""),
        "z": ("z_nm", ""),
        "photons": ("photons", "photon"),
        "background": ("background", "photon"),
    },
    first_frame=0,
)


# Nikon's N-STORM: tabs, bare headings, positions in nanometres, frames from 1. X is the position as it was found, Xc the same after the
# correction of drift, where there was one.
def _drift_corrected(stored: StoredTable, head: Head) -> StoredTable:
    if not all(any(each.name.lower() == name and each.values.any() for each in stored.fields) for name in ("xc", "yc")):
        return stored
    corrected = {"xc": "x_nm", "yc": "y_nm", "zc": "z_nm", "x": "x_raw_nm", "y": "y_raw_nm"}
    raw = {name: meant for name, meant in stored.names.items() if name != "z"}
    return replace(stored, names={**raw, **{name: (ours, "nm") for name, ours in corrected.items()}})


_NSTORM = TextFormat(
    "N-STORM text",
    lambda head: {"x", "y", "xc", "yc", "frame", "photons"} <= head.names,
    {
        "frame": ("frame", ""),
        "length": ("detections", ""),
        "photons": ("photons", "photon"),
        "lateral localization accuracy": ("uncertainty_nm", "nm"),
        "x": ("x_nm", "nm"),
        "y": ("y_nm", "nm"),
        "z": ("z_nm", "nm"),
    },
    understood=_drift_corrected,
)


# PeakFit, of the GDSC SMLM plugins: notes in comments, the headings in the last of them, tabs, frames from 1. The notes say how large a
# pixel is. Newer versions name the unit of each column; older ones count positions and widths in pixels, and light in camera counts. A star
# behind a precision says that it was computed. A height is in pixels of the camera, which this program alone does.
_NM_PER_PIXEL = re.compile(r"nmPerPixel\W+([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)")


def _with_its_pixel(stored: StoredTable, head: Head) -> StoredTable:
    pixel = next((float(found[1]) for note in head.comments if (found := _NM_PER_PIXEL.search(note))), None)

    def metric(each: Field) -> Field:
        if each.name.lower() == "z" and each.unit.lower() in ("", "px") and pixel:
            return Field(each.name, "nm", each.values * pixel)
        return each

    fields = tuple(metric(each) for each in stored.fields if each.name != "+/-")
    return replace(stored, fields=fields, pixel_xy_nm=(pixel, pixel) if pixel else None)


_PEAKFIT = TextFormat(
    "PeakFit text",
    lambda head: {"origx", "origy", "origvalue"} <= head.names,
    {
        "frame": ("frame", ""),
        "frames": ("frame", ""),
        "x": ("x_nm", "px"),
        "y": ("y_nm", "px"),
        "z": ("z_nm", "px"),
        "intensity": ("photons", ""),
        "signal": ("photons", ""),
        "background": ("background", ""),
        "noise": ("background_std", ""),
        "s": ("sigma_nm", "px"),
        "sx": ("sigma_x_nm", "px"),
        "sy": ("sigma_y_nm", "px"),
        "x sd": ("sigma_x_nm", "px"),
        "y sd": ("sigma_y_nm", "px"),
        "precision": ("uncertainty_nm", "nm"),
    },
    marks="*",
    understood=_with_its_pixel,
)


# QuickPALM: tabs, positions in pixels and in nanometres, frames from 1. Positions are centres of mass over the indices of pixels, so that
# the middle of the first pixel lies at 0. How large a pixel is follows from the two units. Its intensity, a mean of counts, keeps its name.
def _in_nanometres(stored: StoredTable, head: Head) -> StoredTable:
    pixel = _ratio_of_units(stored.fields)
    fields = tuple(each for each in stored.fields if each.name.lower() not in "xyz" or each.unit.lower() != "px")
    return replace(stored, fields=fields, pixel_xy_nm=None if pixel is None else (pixel, pixel))


def _ratio_of_units(fields: tuple[Field, ...]) -> float | None:
    by = {(each.name.lower(), each.unit.lower()): each.values for each in fields}
    pixels, metric = by.get(("x", "px")), by.get(("x", "nm"))
    if pixels is None or metric is None:
        return None
    known = np.isfinite(pixels) & np.isfinite(metric) & (pixels > 0)
    if not known.any():
        return None
    size = float(np.median(metric[known] / pixels[known]))
    return float(f"{size:.4g}") if np.isfinite(size) and size > 0 else None


_QUICKPALM = TextFormat(
    "QuickPALM text",
    lambda head: {"x (px)", "y (px)", "x (nm)", "y (nm)", "frame number"} <= head.names,
    {"frame number": ("frame", ""), "x": ("x_nm", ""), "y": ("y_nm", ""), "z": ("z_nm", "")},
    from_pixel_middle=True,
    understood=_in_nanometres,
)


# SMAP: bare headings that end in their unit, frames from 1, positions in nanometres. A width along x alone is that of a round spot.
def _round_without_y(stored: StoredTable, head: Head) -> StoredTable:
    if "psfynm" in head.names:
        return stored
    return replace(stored, names={**stored.names, "psfxnm": ("sigma_nm", "nm")})


_SMAP = TextFormat(
    "SMAP CSV",
    lambda head: {"xnm", "ynm", "frame"} <= head.names,
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
    },
    understood=_round_without_y,
)


# TrackMate's spots: four lines of headings, the last with units, frames from 0, the middle of the first pixel at 0, a number for each track.
# Tracks count from 0; they become molecules, from 1, when each spot is in one.
def _tracks_as_molecules(stored: StoredTable, head: Head) -> StoredTable:
    def numbered(each: Field) -> Field:
        if each.name.lower() != "track_id" or not np.isfinite(each.values).all():
            return each
        return replace(each, name="molecule", values=each.values + 1)

    return replace(stored, fields=tuple(map(numbered, stored.fields)))


_TRACKMATE = TextFormat(
    "TrackMate CSV",
    lambda head: {"position_x", "position_y"} <= head.names,
    {
        "frame": ("frame", ""),
        "position_x": ("x_nm", ""),
        "position_y": ("y_nm", ""),
        "position_z": ("z_nm", ""),
        "molecule": ("molecule", ""),
    },
    first_frame=0,
    from_pixel_middle=True,
    understood=_tracks_as_molecules,
)

_PROGRAMS = (_ELYRA, _NANOIMAGER, _NSTORM, _PEAKFIT, _QUICKPALM, _SMAP, _TRACKMATE, DECODE)


def program_of(path: Path, head: Head) -> TextFormat:
    """The program that wrote a file, by its head; ThunderSTORM where it is nobody else's.

    Raises
    ------
    SuperlensError
        If the file has a row for each track, and so no positions.
    """
    if head.names >= {"track_id", "number_spots"} and "position_x" not in head.names:
        raise SuperlensError(
            f"{path.name} has a row for each track; expected one for each spot. Export the table of spots."
        )
    return next((one for one in _PROGRAMS if one.known(head)), THUNDERSTORM)
