"""TIFF out: quantitative values, calibrated so that ImageJ, Fiji and Bio-Formats show the right scale.

Names ending in ``.ome.tif`` give OME-TIFF, others an ImageJ hyperstack; above 4 GB, where ImageJ's own format ends, the file
is an OME-BigTIFF. Channel names, plane distance, frame interval and the history go along in the fields of the format and in
one line of JSON that `superlens.io.read` takes back. Values are never stretched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io.metadata import note_text
from superlens.io.paths import replacing

__all__ = ["Compression", "ome_metadata", "write_tiff"]

Compression = Literal["none", "deflate"]

_CLASSIC_LIMIT = (1 << 32) - (1 << 25)
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_IMAGEJ_ORDER = "TZCYX"
_MOST_COMPOSITE = 7  # channels that ImageJ overlays


def write_tiff(path: Path, image: Image, *, compression: Compression = "none") -> None:
    """Write an image as a calibrated TIFF; the arguments are those of `superlens.io.write`.

    Raises
    ------
    SuperlensError
        When the folder or the disk does not allow it, or float32 cannot hold the integers exactly.
    """
    big = image.data.nbytes > _CLASSIC_LIMIT
    ome = big or path.stem.lower().endswith(".ome")
    codec = {"none": None, "deflate": "zlib"}[compression]
    data = _typed(image, _OME_TYPES if ome else _IMAGEJ_TYPES, path)
    note = note_text(image)
    with replacing(path) as beside:
        if ome:
            _write_ome(beside, image, data, note, codec, big=big)
        else:
            _write_imagej(beside, image, data, note, codec)


def ome_metadata(image: Image, note: str) -> dict[str, Any]:
    """Axes, sizes and names of an image as OME calls them, with the note of `superlens.io.metadata.note_text`."""
    metadata: dict[str, Any] = {"axes": image.axes, "Name": image.name or "image", "Description": note}
    for axis in "XY":
        if image.pixel_nm:
            metadata |= {f"PhysicalSize{axis}": image.pixel_nm / 1e3, f"PhysicalSize{axis}Unit": "µm"}
    if image.z_step_nm:
        metadata |= {"PhysicalSizeZ": image.z_step_nm / 1e3, "PhysicalSizeZUnit": "µm"}
    if image.frame_interval_s:
        metadata |= {"TimeIncrement": image.frame_interval_s, "TimeIncrementUnit": "s"}
    channel: dict[str, Any] = {}
    if image.channel_names:
        channel["Name"] = list(image.channel_names)
    if image.emission_nm and all(image.emission_nm):
        channel |= {
            "EmissionWavelength": list(image.emission_nm),
            "EmissionWavelengthUnit": ["nm"] * len(image.emission_nm),
        }
    return {**metadata, "Channel": channel} if channel else metadata


def _typed(image: Image, types: tuple[str, ...], path: Path) -> NDArray[Any]:
    data = image.data
    if data.dtype.name in types:
        return data
    as_float = data.astype(np.float32)
    if data.dtype.kind in "iu" and not np.array_equal(as_float.astype(np.float64), data.astype(np.float64)):
        raise SuperlensError(
            f"{path.name}: {data.dtype} values beyond 16777216 do not fit float32 exactly. "
            "Subtract a constant, or convert to float32 yourself."
        )
    return as_float


def _write_imagej(path: Path, image: Image, data: NDArray[Any], note: str, codec: str | None) -> None:
    metadata: dict[str, Any] = {
        "axes": _IMAGEJ_ORDER,
        "unit": "micron" if image.pixel_nm or image.z_step_nm else "pixel",
        "Info": note,
    }
    if image.z_step_nm:
        metadata["spacing"] = image.z_step_nm / 1e3
    if image.frame_interval_s:
        metadata["finterval"] = image.frame_interval_s
    stack = _as_tzcyx(image, data)
    frames, planes, channels = stack.shape[:3]
    if image.channel_names:
        metadata["Labels"] = list(image.channel_names) * (frames * planes)
    metadata |= _display(stack)
    per_micron = 1e3 / image.pixel_nm if image.pixel_nm else 1.0
    tifffile.imwrite(
        path,
        stack,
        imagej=True,
        resolution=(per_micron, per_micron),
        metadata=metadata,
        compression=codec,
        photometric="minisblack",
    )


def _display(stack: NDArray[Any]) -> dict[str, Any]:
    """How ImageJ shows the stack at first: over its whole range, which without a word would be that of the type."""
    channels = stack.shape[2]
    ranges = [_range(stack[:, :, channel]) for channel in range(channels)]
    if channels == 1:
        return {"min": ranges[0][0], "max": ranges[0][1]}
    mode = "composite" if channels <= _MOST_COMPOSITE else "grayscale"
    return {"mode": mode, "Ranges": tuple(value for pair in ranges for value in pair)}


def _range(data: NDArray[Any]) -> tuple[float, float]:
    finite = data[np.isfinite(data)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _as_tzcyx(image: Image, data: NDArray[Any]) -> NDArray[Any]:
    wanted = [image.axes.index(axis) for axis in _IMAGEJ_ORDER if axis in image.axes]
    sizes = image.sizes
    return data.transpose(wanted).reshape([sizes.get(axis, 1) for axis in _IMAGEJ_ORDER])


def _write_ome(path: Path, image: Image, data: NDArray[Any], note: str, codec: str | None, *, big: bool) -> None:
    metadata = ome_metadata(image, note)
    tifffile.imwrite(path, data, ome=True, bigtiff=big, metadata=metadata, compression=codec, photometric="minisblack")
