"""OME-Zarr out: chunks, a pyramid of coarser levels made block by block, and metadata with the right scale.

`create_zarr` lays out an empty image, `ZarrBlocks` fills its finest level from any number of processes as long as each writes whole
chunks, and its ``finish`` averages the coarser levels. Names of axes, units, scale and translation of each level follow NGFF 0.4 (in
Zarr 2) or 0.5 (in Zarr 3); what these have no place for is one line of JSON that `superlens.io.read` takes back.

References
----------
The NGFF specifications 0.4 and 0.5, ngff.openmicroscopy.org: axes, multiscales, coordinate transformations, display settings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.image import Image
from superlens.io.metadata import note_text
from superlens.io.paths import replacing_folder
from superlens.progress import Progress, silent

__all__ = ["NGFF", "ZarrBlocks", "create_zarr", "write_zarr"]

NGFF: TypeAlias = Literal["0.4", "0.5"]
"""Versions of the metadata; 0.4 lies in Zarr 2 and is read by more programs, 0.5 in Zarr 3."""

_CHUNK = 512
_COARSEST = 256  # pixels; the pyramid ends where a plane is no larger
_DISPLAY_PLANES = 16  # planes that the display range is taken from, at most
_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_COLOURS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def write_zarr(path: Path, image: Image, *, ngff: NGFF = "0.4") -> None:
    """Write an image that is in memory, beside the old folder and renamed when it is whole."""
    with replacing_folder(path) as beside:
        create_zarr(beside, image, ngff=ngff)
        blocks = ZarrBlocks(beside)
        height, width = image.data.shape[-2:]
        for number, (_, plane) in enumerate(image.planes()):
            blocks.write(number, slice(0, height), slice(0, width), plane)
        blocks.finish()


def create_zarr(path: Path, header: Image, *, chunk: tuple[int, int] = (_CHUNK, _CHUNK), ngff: NGFF = "0.4") -> None:
    """Lay out an image and all its levels, without pixels.

    Parameters
    ----------
    path : Path
        The folder to make; what is there is replaced.
    header : Image
        Axes, shape, type and sampling; its pixels are not looked at.
    chunk : tuple of int
        Sides of a chunk along y and x; a chunk holds one plane.
    ngff : {"0.4", "0.5"}
    """
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=2 if ngff == "0.4" else 3)
    leading = header.data.shape[:-2]
    sides = _levels(header.data.shape[-2:])
    for level, yx in enumerate(sides):
        chunks = (*(1 for _ in leading), *(min(c, side) for c, side in zip(chunk, yx, strict=True)))
        group.create_array(
            str(level),
            shape=(*leading, *yx),
            chunks=chunks,
            dtype=header.data.dtype,
            fill_value=0,
            config={"write_empty_chunks": True},  # so that a chunk that is not there was lost
            **_format(header, ngff),
        )
    image = {
        "name": header.name or "image",
        "axes": [_axis(header, letter) for letter in header.axes],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transforms(header, 2**level)}
            for level in range(len(sides))
        ],
        "type": "mean",
    }
    told: dict[str, Any] = {"multiscales": [{"version": ngff, **image} if ngff == "0.4" else image]}
    group.attrs.update(told if ngff == "0.4" else {"ome": {"version": ngff, **told}})
    group.attrs["superlens"] = note_text(header)


class ZarrBlocks:
    """Fills an image that `create_zarr` laid out.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        import zarr

        self._group = zarr.open_group(path, mode="r+")
        self._levels = [self._open(level) for level in range(len(self._image()["datasets"]))]

    def write(self, plane: int, y: slice, x: slice, values: NDArray[Any]) -> None:
        """Write a part of a plane of the finest level; processes that write at once need whole chunks."""
        finest = self._levels[0]
        finest[(*_index(finest, plane), y, x)] = values

    def finish(self, progress: Progress = silent) -> None:
        """Make the coarser levels, each the mean of 2 x 2 pixels of the finer one, and note a range for displays."""
        work = [(finer, coarser, plane) for finer, coarser, plane in self._steps()]
        for done, (finer, coarser, plane) in enumerate(work):
            progress(done, len(work), "pyramid")
            for y, x in _chunks(coarser):
                index = _index(coarser, plane)
                coarser[(*index, y, x)] = _halved(finer[(*index, _doubled(y), _doubled(x))], coarser.dtype)
        self._note_display()

    def _open(self, level: int) -> Any:
        array: Any = self._group[str(level)]
        return array.with_config({"write_empty_chunks": True})

    def _image(self) -> dict[str, Any]:
        attributes = dict(self._group.attrs)
        inner: Any = attributes.get("ome", attributes)
        image: dict[str, Any] = inner["multiscales"][0]
        return image

    def _steps(self) -> Iterator[tuple[Any, Any, int]]:
        planes = math.prod(self._levels[0].shape[:-2])
        for finer, coarser in itertools.pairwise(self._levels):
            yield from ((finer, coarser, plane) for plane in range(planes))

    def _note_display(self) -> None:
        axes = [axis["name"] for axis in self._image()["axes"]]
        coarsest = self._levels[-1]
        channels = coarsest.shape[axes.index("c")] if "c" in axes else 1
        names = _names(self._group.attrs.get("superlens"), channels)
        display = {
            "channels": [
                _channel(
                    names[c], _COLOURS[c % len(_COLOURS)] if channels > 1 else _COLOURS[0], _range(coarsest, axes, c)
                )
                for c in range(channels)
            ]
        }
        attributes = dict(self._group.attrs)
        inner: Any = attributes.get("ome")
        self._group.attrs.update({"omero": display} if inner is None else {"ome": {**inner, "omero": display}})


def _format(header: Image, ngff: NGFF) -> dict[str, Any]:
    """Compression without loss, and the names that Zarr 3 has for axes."""
    if ngff == "0.4":
        from numcodecs import Blosc

        return {
            "compressors": Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
        }
    from zarr.codecs import BloscCodec

    return {
        "compressors": BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        "dimension_names": [letter.lower() for letter in header.axes],
    }


def _levels(yx: tuple[int, ...]) -> list[tuple[int, ...]]:
    levels = [yx]
    while max(levels[-1]) > _COARSEST:
        levels.append(tuple((side + 1) // 2 for side in levels[-1]))
    return levels


def _axis(header: Image, letter: str) -> dict[str, str]:
    axis = {"name": letter.lower(), "type": _TYPES[letter]}
    known = {"T": header.frame_interval_s, "Z": header.z_step_nm, "Y": header.pixel_nm, "X": header.pixel_nm}
    if known.get(letter) is None:
        return axis
    return {**axis, "unit": "second" if letter == "T" else "micrometer"}


def _transforms(header: Image, coarser: int) -> list[dict[str, Any]]:
    """Scale of a level, and the place of its first pixel, whose middle lies between those it is the mean of."""
    pixel = 1.0 if header.pixel_nm is None else header.pixel_nm / 1e3
    step = 1.0 if header.z_step_nm is None else header.z_step_nm / 1e3
    fine = {"T": header.frame_interval_s or 1.0, "C": 1.0, "Z": step, "Y": pixel, "X": pixel}
    scale = [fine[letter] * (coarser if letter in "YX" else 1) for letter in header.axes]
    if coarser == 1:
        return [{"type": "scale", "scale": scale}]
    moved = [pixel * (coarser - 1) / 2 if letter in "YX" else 0.0 for letter in header.axes]
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": moved}]


def _index(array: Any, plane: int) -> tuple[int, ...]:
    return tuple(int(at) for at in np.unravel_index(plane, array.shape[:-2])) if array.ndim > 2 else ()


def _chunks(array: Any) -> Iterator[tuple[slice, slice]]:
    (height, width), (rows, columns) = array.shape[-2:], array.chunks[-2:]
    for y, x in itertools.product(range(0, height, rows), range(0, width, columns)):
        yield slice(y, min(y + rows, height)), slice(x, min(x + columns, width))


def _doubled(part: slice) -> slice:
    return slice(2 * part.start, 2 * part.stop)


def _halved(fine: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Mean of 2 x 2 pixels; a last odd row or column stands for two."""
    values = np.asarray(fine, np.float64 if dtype.itemsize > 4 else np.float32)
    even = np.pad(values, [(0, side % 2) for side in values.shape], mode="edge")
    mean = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3))
    return np.asarray(np.rint(mean) if dtype.kind in "iu" else mean, dtype)


def _names(note: object, channels: int) -> list[str]:
    from superlens.io.metadata import parse_note

    names = parse_note(note).get("channel_names") or []
    return [str(name) for name in names] if len(names) == channels else [""] * channels


def _channel(name: str, colour: str, limits: tuple[float, float]) -> dict[str, Any]:
    low, high = limits
    return {
        "label": name,
        "color": colour,
        "active": True,
        "window": {"min": low, "max": high, "start": low, "end": high},
    }


def _range(coarsest: Any, axes: list[str], channel: int) -> tuple[float, float]:
    """Least and largest value of a channel in a few planes of the coarsest level."""
    planes = [
        plane
        for plane in range(math.prod(coarsest.shape[:-2]))
        if "c" not in axes or _index(coarsest, plane)[axes.index("c")] == channel
    ]
    picked = planes[:: max(1, -(-len(planes) // _DISPLAY_PLANES))]
    values = np.stack([np.asarray(coarsest[_index(coarsest, plane)]) for plane in picked])
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
