"""What a file says about its pixels, whatever its format: sizes, axes, names, and the history superlens put there.

The readers of the formats fill a `StoredImage`; `to_image` turns it into an `Image` under the rules that all formats share:
a resolution meant for printers is not a pixel size, an axis nobody named is asked for, axes come out in the order TCZYX.
`note_text` and `parse_note` are the two ends of the line of JSON by which an `Image` survives a round trip exactly; sizes in
the format's own fields win over it when they differ, since they may have been corrected in another program.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError, printable
from superlens.image import AXES, Image
from superlens.io.deferred import Deferred
from superlens.io.paths import image_name
from superlens.io.sizes import Stated, believed_pixel, believed_step

__all__ = [
    "Pixels",
    "StoredImage",
    "facts",
    "note_text",
    "parse_note",
    "stem",
    "time_s",
    "to_image",
]

Pixels: TypeAlias = NDArray[Any] | Deferred
"""Pixels in memory, or those that are still in their file."""

_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds", ""), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("µs", "us", "usec"), 1e-6),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
_SAME = 1e-3
_NOTE = "superlens: "


@dataclass(frozen=True, slots=True, eq=False)
class StoredImage:
    """Pixels as they lie in a file, with what the file says about them.

    Attributes
    ----------
    data : ndarray or Deferred
        As stored; axes in the file's order.
    axes : str
        A letter for each axis: T, C, Z, Y, X where the file names it, I where it does not.
    pixel_sizes : tuple of Stated
        What the file says of the sampling along y and x, wherever it says something; the most precise first.
    z_steps : tuple of Stated
        Likewise of the distance between planes.
    frame_interval_s : float, optional
        Time between frames.
    channel_names : tuple of str
        May be fewer or more than the channels; it counts only when it fits.
    emission_nm : tuple of float or None
        Wavelength of the detected light; likewise.
    note : mapping
        What `parse_note` found.
    """

    data: Pixels
    axes: str
    pixel_sizes: tuple[Stated, ...] = ()
    z_steps: tuple[Stated, ...] = ()
    frame_interval_s: float | None = None
    channel_names: tuple[str, ...] = ()
    note: Mapping[str, Any] = field(default_factory=dict)
    emission_nm: tuple[float | None, ...] = ()


def to_image(
    stored: StoredImage, path: Path, *, axes: str | None, pixel_nm: float | None, z_step_nm: float | None
) -> Image:
    """Make the `Image` of a file; what the caller gives wins over what the file says.

    Parameters
    ----------
    stored : StoredImage
        From the reader of the format; pixels that are still in the file are read.
    path : Path
        For the name, and for messages.
    axes : str, optional
        A letter for each stored axis, in the order of the file.
    pixel_nm, z_step_nm : float, optional
        Sampling, where the file has none or a wrong one.

    Returns
    -------
    Image
        Axes in the order TCZYX.

    Raises
    ------
    SuperlensError
        When an axis has no name, the pixels are not square, or the values are not real numbers.
    """
    told = facts(stored, path, axes=axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm)
    try:
        return Image(**{**told, "data": told["data"][:]})
    except SuperlensError as error:
        raise SuperlensError(f"{path.name}: {error}") from error


class UnnamedFrames(SuperlensError):
    """A file holds a series of images and does not say what they are."""


def facts(
    stored: StoredImage, path: Path, *, axes: str | None, pixel_nm: float | None, z_step_nm: float | None
) -> dict[str, Any]:
    """What `Image` takes, by the names of its fields; the arguments are those of `to_image`, and no pixel is read."""
    if axes is None:
        stored = _as_noted(stored)
    data, order = _in_order(stored, path, axes)
    note = stored.note if axes is None else {}
    if pixel_nm is None:
        pixel_nm = _square_pixel(stored, note, path)
    if z_step_nm is None:
        z_step_nm = _z_step(stored, note, path, order)
    channels = data.shape[order.index("C")] if "C" in order else 1
    names = stored.channel_names if len(stored.channel_names) == channels and any(stored.channel_names) else ()
    waves = stored.emission_nm if len(stored.emission_nm) == channels and any(stored.emission_nm) else ()
    noted = stored.note.get("history")
    history = dict(noted) if isinstance(noted, dict) else {}
    if axes is not None:
        history["axes_given"] = order
    return {
        "data": data,
        "axes": order,
        "pixel_nm": pixel_nm,
        "z_step_nm": z_step_nm,
        "frame_interval_s": stored.frame_interval_s,
        "channel_names": names,
        "name": stem(path),
        "history": history,
        "emission_nm": waves,
    }


def time_s(unit: object) -> float | None:
    """Seconds in one unit of time as image files spell it; None when it is none."""
    return _SECONDS.get(_plain(unit))


def note_text(image: Image) -> str:
    """One line of text that holds everything of an `Image` but its pixels.

    Raises
    ------
    SuperlensError
        When the history holds something that JSON cannot.
    """
    note = {
        "axes": image.axes,
        "sizes": list(image.data.shape),
        "pixel_nm": image.pixel_nm,
        "z_step_nm": image.z_step_nm,
        "frame_interval_s": image.frame_interval_s,
        "channel_names": list(image.channel_names),
        "history": dict(image.history),
        "emission_nm": list(image.emission_nm),
    }
    try:
        return _NOTE + json.dumps(note, default=_json_value)
    except (TypeError, ValueError) as error:
        raise SuperlensError(f"history cannot be written as JSON: {error}. Keep to numbers, text, lists.") from error


def parse_note(text: object) -> dict[str, Any]:
    """Find the line of `note_text` in a text; empty when there is none or it was damaged."""
    if not isinstance(text, str):
        return {}
    for line in text.splitlines():
        if line.startswith(_NOTE):
            try:
                note = json.loads(line.removeprefix(_NOTE))
            except (ValueError, RecursionError):
                return {}
            return note if isinstance(note, dict) else {}
    return {}


def stem(path: Path) -> str:
    """The name of a file without folder and extension, the double one of OME-TIFF included.

    Examples
    --------
    >>> stem(Path("data/cell 1.ome.tif"))
    'cell 1'
    """
    return printable(image_name(path))


def _plain(unit: object) -> str:
    text = str(unit).strip().strip("\x00").lower()
    return text.replace("\\u00b5", "µ").replace("\u03bc", "µ")


def _json_value(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is not a JSON value")


def _as_noted(stored: StoredImage) -> StoredImage:
    """Let the note sharpen what the fields of the format say, where both mean the same."""
    note = stored.note
    interval = _number(note.get("frame_interval_s"))
    axes, sizes = _noted_axes(note)
    kept = "".join(axis for axis, size in zip(stored.axes, stored.data.shape, strict=True) if size > 1 or axis in "YX")
    expected = "".join(axis for axis, size in zip(axes, sizes, strict=True) if size > 1 or axis in "YX")
    if axes and sorted(kept) == sorted(expected):
        stored = _with_singletons(stored, axes, sizes)
        names = note.get("channel_names")
        if isinstance(names, list) and not stored.channel_names:
            stored = replace(stored, channel_names=tuple(str(name) for name in names))
        waves = note.get("emission_nm")
        if isinstance(waves, list) and not any(stored.emission_nm):
            stored = replace(stored, emission_nm=tuple(_number(wave) for wave in waves))
    if interval is not None and _agree(stored.frame_interval_s, interval):
        stored = replace(stored, frame_interval_s=interval)
    return stored


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value) and value > 0:
        return float(value)
    return None


def _noted_axes(note: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    axes, sizes = note.get("axes"), note.get("sizes")
    if not (isinstance(axes, str) and isinstance(sizes, list) and len(axes) == len(sizes)):
        return "", ()
    if not all(isinstance(size, int) and size > 0 for size in sizes) or len(set(axes)) != len(axes):
        return "", ()
    return axes, tuple(sizes)


def _with_singletons(stored: StoredImage, axes: str, sizes: Sequence[int]) -> StoredImage:
    """Put back the axes of length one that the format dropped, when the lengths are those noted."""
    data, order = stored.data, stored.axes
    single = [at for at, axis in enumerate(order) if data.shape[at] == 1 and axis not in "YX"]
    data = data.squeeze(tuple(single))
    order = "".join(axis for at, axis in enumerate(order) if at not in single)
    data = data.transpose([order.index(axis) for axis in axes if axis in order])
    if data.size != math.prod(sizes) or [s for s in data.shape if s > 1] != [s for s in sizes if s > 1]:
        return stored
    return replace(stored, data=data.reshape(sizes), axes=axes)


def _agree(stored: float | None, noted: float) -> bool:
    return stored is None or abs(stored / noted - 1) < _SAME


def _in_order(stored: StoredImage, path: Path, axes: str | None) -> tuple[Pixels, str]:
    """Name the axes and bring them into the order TCZYX."""
    data, order = stored.data, stored.axes
    if axes is None:
        data, order = _without_unnamed(data, order)
        _check_named(data, order, path)
    else:
        data, order = _with_given(data, axes.upper(), path)
    wanted = "".join(axis for axis in AXES if axis in order)
    return data.transpose([order.index(axis) for axis in wanted]), wanted


def _without_unnamed(data: Pixels, order: str) -> tuple[Pixels, str]:
    dropped = tuple(at for at, axis in enumerate(order) if axis not in AXES and data.shape[at] == 1)
    return data.squeeze(dropped), "".join(axis for at, axis in enumerate(order) if at not in dropped)


def _check_named(data: Pixels, order: str, path: Path) -> None:
    unnamed = [at for at, axis in enumerate(order) if axis not in AXES]
    if not unnamed and len(set(order)) == len(order) and {"Y", "X"} <= set(order):
        return
    if len(unnamed) == 1 and data.ndim == 3:
        pages = data.shape[unnamed[0]]
        raise (UnnamedFrames if unnamed == [0] else SuperlensError)(
            f"{path.name} has {pages} images and does not say whether they are planes, frames or channels; "
            "give `axes` ZYX, TYX or CYX."
        )
    raise SuperlensError(
        f"{path.name} has shape {data.shape} and does not name its axes; give `axes` with one of the letters "
        f"{', '.join(AXES)} for each of the {data.ndim}."
    )


def _with_given(data: Pixels, axes: str, path: Path) -> tuple[Pixels, str]:
    if not set(axes) <= set(AXES) or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise SuperlensError(f"axes is {axes!r}; expected different letters of {AXES}, Y and X among them.")
    if len(axes) != data.ndim:
        data = data.squeeze(tuple(at for at in range(data.ndim - 2) if data.shape[at] == 1))
    if len(axes) != data.ndim:
        raise SuperlensError(f"axes is {axes!r}, but {path.name} has shape {data.shape}; expected {data.ndim} letters.")
    return data, axes


def _square_pixel(stored: StoredImage, note: Mapping[str, Any], path: Path) -> float | None:
    """The pixel size that the file states, sharpened by the note where both mean the same."""
    noted = _number(note.get("pixel_nm"))
    believed = believed_pixel(stored.pixel_sizes, path.name, noted)
    if believed is None:
        return noted if not stored.pixel_sizes else None
    y_nm, x_nm = believed
    if noted is not None and _agree(x_nm, noted):
        return noted
    if abs(y_nm / x_nm - 1) > 1e-2:
        raise SuperlensError(
            f"{path.name} has pixels of {x_nm:g} x {y_nm:g} nm; expected square ones. "
            "Resample the image, or give `pixel_nm` when the file is wrong."
        )
    return x_nm


def _z_step(stored: StoredImage, note: Mapping[str, Any], path: Path, order: str) -> float | None:
    noted = _number(note.get("z_step_nm"))
    if "Z" in order:
        step = believed_step(stored.z_steps, path.name, noted)
    else:
        step = stored.z_steps[0].nm[0] if stored.z_steps else None
    if noted is not None and (step is None and not stored.z_steps or step is not None and _agree(step, noted)):
        return noted
    # Programs state a step for every file; with it, frames would be taken for a volume.
    return None if "T" in order and "Z" not in order else step
