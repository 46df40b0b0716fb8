"""Movies of Picasso: frames as bare numbers in a ``.raw`` file, and what they mean in the YAML beside it.

The pixels lie frame after frame and row after row without a header. The YAML tells their type, their byte order, the sides, the number of
frames, and mostly the pixel size. It may hold several documents, one for each step that a program took; what a later one says, counts.

References
----------
J. Schnitzbauer et al., "Super-resolution microscopy with DNA-PAINT", Nat. Protoc. 12 (2017) 1198-1228.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io.deferred import Deferred, Mapped
from superlens.io.metadata import StoredImage
from superlens.io.paths import check_readable
from superlens.io.sizes import Stated

__all__ = ["open_raw", "positive", "read_description"]

_LARGEST_YAML = 16 << 20
_LARGEST_NUMBER = 1 << 53
_SIDES = ("Frames", "Height", "Width")
_PIXEL = ("Pixelsize", "Camera.Pixelsize")


def open_raw(path: Path) -> StoredImage:
    """Open a movie without reading its pixels.

    Parameters
    ----------
    path : Path
        The ``.raw`` file, with a ``.yaml`` of the same name beside it.

    Returns
    -------
    StoredImage
        Axes TYX, in the machine's byte order.

    Raises
    ------
    SuperlensError
        When there is no YAML, it does not tell what the pixels are, or the file does not hold whole frames of that size.

    Warns
    -----
    SuperlensWarning
        When frames are missing at the end; the others are read.
    """
    file_bytes = check_readable(path)
    told = path.with_suffix(".yaml")
    if not told.is_file():
        raise SuperlensError(
            f"{path.name} holds bare numbers, and {told.name}, which says what they are, is not beside it. "
            "Copy it there, or save the movie as TIFF."
        )
    about = read_description(told)
    shape = _shape(about, told)
    dtype = _dtype(about, told)
    shape = _there(path, told, shape, dtype, file_bytes)
    pixel_nm = next((size for name in _PIXEL if (size := positive(about.get(name))) is not None), None)
    return StoredImage(
        Deferred.by(Mapped(path, 0, dtype, shape), shape, dtype),
        "TYX",
        pixel_sizes=() if pixel_nm is None else (Stated((pixel_nm, pixel_nm), told.name),),
    )


def read_description(path: Path) -> dict[str, Any]:
    """All that a YAML of Picasso says, later documents before earlier ones; empty without the file.

    Raises
    ------
    SuperlensError
        When it is no YAML.
    """
    if not path.is_file():
        return {}
    if path.stat().st_size > _LARGEST_YAML:
        raise SuperlensError(f"{path.name} is larger than {_LARGEST_YAML >> 20} MiB; expected a few lines of YAML.")
    try:
        text = path.read_text(encoding="utf-8")
        steps = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SuperlensError(f"{path.name} is no YAML ({reason}). Copy it again from where it was written.") from error
    return {key: value for step in steps if isinstance(step, dict) for key, value in step.items()}


def positive(value: object) -> float | None:
    """A number above 0, or None for anything else that a YAML may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LARGEST_NUMBER:
        return None
    return float(value)


def _shape(about: Mapping[str, Any], told: Path) -> tuple[int, int, int]:
    sides = {name: positive(about.get(name)) for name in _SIDES}
    for name, side in sides.items():
        if side is None or side != int(side):
            raise SuperlensError(
                f"{told.name} says {name}: {about.get(name, 'nothing')}; expected a whole number above 0. Correct it there."
            )
    frames, height, width = (int(sides[name] or 0) for name in _SIDES)
    return frames, height, width


def _there(
    path: Path, told: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], file_bytes: int
) -> tuple[int, int, int]:
    """The shape of what the file holds: whole frames, which are fewer after a movie that was stopped."""
    frames, *sides = shape
    held, rest = divmod(file_bytes, math.prod(sides) * dtype.itemsize)
    if rest or held > frames:
        raise SuperlensError(
            f"{path.name} has {file_bytes} bytes; {told.name} says {' x '.join(map(str, shape))} pixels of {dtype.itemsize} bytes, "
            f"which is {math.prod(shape) * dtype.itemsize}. Copy both files again."
        )
    if held < frames:
        warnings.warn(
            f"{told.name} announces {frames} frames, and {frames - held} of them are missing in {path.name}. "
            f"The movie was stopped early, or its end was not copied. Read: frames 1 to {held} of {frames}.",
            SuperlensWarning,
            stacklevel=2,
        )
    return held, shape[1], shape[2]


def _dtype(about: Mapping[str, Any], told: Path) -> np.dtype[Any]:
    named, order = (str(about.get(name, "")).strip() for name in ("Data Type", "Byte Order"))
    try:
        dtype = np.dtype(named) if named else None
    except (TypeError, ValueError, SyntaxError):  # all of which NumPy raises for text that is no type
        dtype = None
    if dtype is None or dtype.kind not in "iuf":
        raise SuperlensError(
            f"{told.name} says Data Type: {named or 'nothing'}; expected one such as uint16 or float32. Correct it there."
        )
    if order not in ("<", ">"):
        raise SuperlensError(
            f"{told.name} says Byte Order: {order or 'nothing'}; expected '<' or '>', in quotes. Correct it there."
        )
    return dtype.newbyteorder("<" if order == "<" else ">")
