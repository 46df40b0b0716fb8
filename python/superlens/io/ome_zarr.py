"""OME-Zarr in: images in folders of chunks, of NGFF 0.1 to 0.5, and plain Zarr arrays.

An image is read at its full sampling; coarser levels are passed over. Axes come from the metadata, sizes from
its scale and units, channel names from the display settings. Nothing but metadata is read until pixels are asked for. Chunks that
are not stored stand for a fill value, or were lost on the way, which nobody can tell apart: they are refused unless asked for.

References
----------
Moore et al., "OME-NGFF: a next-generation file format for expanding bioimaging data-access strategies", Nat. Methods 18 (2021)
1496-1498; the specifications at ngff.openmicroscopy.org, versions 0.4 and 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io.deferred import Deferred, Region
from superlens.io.metadata import StoredImage, parse_note, time_s
from superlens.io.paths import ZARR_MARKERS
from superlens.io.series import Series, chosen, only_series
from superlens.io.sizes import Stated, length_nm

if TYPE_CHECKING:
    import zarr

__all__ = ["open_zarr"]

_LEGACY_ORDER = "TCZYX"  # the axes of NGFF up to 0.2, which does not name them
_LETTERS = {"time": "T", "channel": "C"}


def open_zarr(path: Path, *, fill_missing: bool = False, series: int | None = None) -> StoredImage:
    """Open the image of a Zarr folder without reading its pixels.

    Parameters
    ----------
    path : Path
        The folder, or one inside it that holds an image.
    fill_missing : bool
        Take chunks that are not stored for the array's fill value instead of refusing the image.
    series : int, optional
        Which image of a folder that holds several.

    Returns
    -------
    StoredImage
        Its pixels are `Deferred`.

    Raises
    ------
    SuperlensError
        When it holds no image, is damaged, lacks chunks, or holds several images and none is asked for.
    """
    try:
        node, told = _image_node(path, series)
        stored = _described(path, node, told)
        if not fill_missing:
            _refuse_missing(path, stored[1])
        return stored[0]
    except SuperlensError:
        raise
    except Exception as error:  # damaged metadata make the library raise anything; all of it means the same to the user
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise SuperlensError(f"{path.name} cannot be read as OME-Zarr ({reason}). Copy or export it again.") from error


def _image_node(path: Path, series: int | None) -> tuple[Any, Mapping[str, Any]]:
    """The group or array that holds the image, and what its metadata say."""
    import zarr

    if not any((path / marker).is_file() for marker in ZARR_MARKERS):
        raise SuperlensError(f"{path.name} holds neither .zgroup nor zarr.json: no Zarr, or cut short. Copy it again.")
    node = zarr.open(path, mode="r")
    told = _ome(node)
    if "plate" in told:
        raise SuperlensError(f"{path.name} is a plate of many images; name one of them, like {path.name}/A/1/0.")
    if "bioformats2raw.layout" in told and "multiscales" not in told:
        return _one_of_several(path, told, series)
    only_series(series, path)
    return node, told


def _one_of_several(path: Path, told: Mapping[str, Any], series: int | None) -> tuple[Any, Mapping[str, Any]]:
    """The image that is meant of a folder in the layout of bioformats2raw, whose images have numbers for names."""
    import zarr

    listed = told.get("series")
    named = (
        listed if isinstance(listed, list) else (path / "OME").is_dir() and _ome(zarr.open(path / "OME")).get("series")
    )
    names = (
        [str(name) for name in named]
        if named
        else sorted((p.name for p in path.iterdir() if p.name.isdigit()), key=int)
    )
    nodes = [zarr.open(path / name, mode="r") for name in names if (path / name).is_dir()]
    images = [(node, _ome(node)) for node in nodes if "multiscales" in _ome(node)]
    if not images:
        raise SuperlensError(f"{path.name} holds no image. Copy or export it again.")
    found = []
    for node, image_told in images:
        stored = _described(path, node, image_told)[0]
        found.append(Series(stored.axes, tuple(stored.data.shape), str(image_told["multiscales"][0].get("name") or "")))
    return images[chosen(found, series, path)]


def _ome(node: Any) -> Mapping[str, Any]:
    attributes = dict(node.attrs)
    inner = attributes.get("ome")  # where 0.5 keeps what earlier versions have at the top
    return {**attributes, **inner} if isinstance(inner, dict) else attributes


def _described(path: Path, node: Any, told: Mapping[str, Any]) -> tuple[StoredImage, zarr.Array[Any]]:
    import zarr

    if isinstance(node, zarr.Array):
        return _plain(path, node), node
    if "multiscales" not in told:
        arrays = [array for _, array in node.arrays()]
        if len(arrays) != 1:
            raise SuperlensError(
                f"{path.name} has no OME metadata and {len(arrays)} arrays; name one of them, like {path.name}/0."
            )
        return _plain(path, arrays[0]), arrays[0]
    image = told["multiscales"][0]
    level = image["datasets"][0]
    array = node[level["path"]]
    axes, units = _axes(path, image, array.ndim)
    scale = _scale(image, level, array.ndim)
    sizes = {letter: (value, unit) for letter, value, unit in zip(axes, scale, units, strict=True)}
    y_nm, x_nm, z_nm = (_length(*sizes.get(letter, (1.0, None))) for letter in "YXZ")
    return (
        StoredImage(
            _pixels(path, array),
            axes,
            pixel_sizes=() if y_nm is None or x_nm is None else (Stated((y_nm, x_nm), "its scale"),),
            z_steps=() if z_nm is None else (Stated((z_nm,), "its scale"),),
            frame_interval_s=_seconds(*sizes.get("T", (1.0, None))),
            channel_names=_channel_names(told),
            note=parse_note(told.get("superlens")),
        ),
        array,
    )


def _plain(path: Path, array: zarr.Array[Any]) -> StoredImage:
    names = getattr(array.metadata, "dimension_names", None) or [""] * array.ndim
    letters = [str(name or "").upper() for name in names]
    known = len(set(letters)) == len(letters) and all(letter in tuple("TCZYX") for letter in letters)
    return StoredImage(_pixels(path, array), "".join(letters) if known else "I" * max(array.ndim - 2, 0) + "YX")


def _pixels(path: Path, array: zarr.Array[Any]) -> Deferred:
    if array.ndim < 2 or 0 in array.shape:
        raise SuperlensError(f"{path.name} has shape {array.shape}; expected pixels along y and x at least.")
    return Deferred.by(_reader(path, array), array.shape, array.dtype)


def _reader(path: Path, array: zarr.Array[Any]) -> Region:
    def region(part: tuple[slice, ...]) -> NDArray[Any]:
        try:
            return np.asarray(array[part])
        except MemoryError:
            raise
        except Exception as error:  # each codec has its own exceptions; all mean that a chunk is damaged
            where = ", ".join(f"{cut.start}:{cut.stop}" for cut in part)
            raise SuperlensError(
                f"{path.name} cannot be read at [{where}]: a chunk is damaged ({type(error).__name__}). Copy it again."
            ) from error

    return region


def _axes(path: Path, image: Mapping[str, Any], ndim: int) -> tuple[str, list[object]]:
    """A letter and a unit for each axis."""
    axes = image.get("axes")
    if axes is None:
        return (_LEGACY_ORDER if ndim == len(_LEGACY_ORDER) else "I" * (ndim - 2) + "YX"), [None] * ndim
    entries = [axis if isinstance(axis, dict) else {"name": axis} for axis in axes]
    if len(entries) != ndim:
        raise SuperlensError(
            f"{path.name} names {len(entries)} axes and its array has {ndim}: damaged. Copy or export it again."
        )
    letters = "".join(_letter(entry) for entry in entries)
    return letters, [entry.get("unit") for entry in entries]


def _letter(entry: Mapping[str, Any]) -> str:
    name = str(entry.get("name", "")).upper()
    return name if name in tuple("TCZYX") else _LETTERS.get(str(entry.get("type")), "I")


def _scale(image: Mapping[str, Any], level: Mapping[str, Any], ndim: int) -> list[float]:
    """Sampling along each axis: the scale of the level times that of the whole image."""
    total = [1.0] * ndim
    for transforms in (level.get("coordinateTransformations"), image.get("coordinateTransformations")):
        for transform in transforms or ():
            if transform.get("type") == "scale" and isinstance(transform.get("scale"), Sequence):
                total = [a * float(b) for a, b in zip(total, transform["scale"], strict=True)]
    return total


def _length(value: float, unit: object) -> float | None:
    nm = None if unit is None else length_nm(unit)
    return value * nm if nm is not None and math.isfinite(value) and value > 0 else None


def _seconds(value: float, unit: object) -> float | None:
    seconds = None if unit is None else time_s(unit)
    return value * seconds if seconds is not None and math.isfinite(value) and value > 0 else None


def _channel_names(told: Mapping[str, Any]) -> tuple[str, ...]:
    display = told.get("omero")
    channels = display.get("channels", []) if isinstance(display, dict) else []
    return tuple(str(channel.get("label") or "") for channel in channels if isinstance(channel, dict))


def _refuse_missing(path: Path, array: zarr.Array[Any]) -> None:
    there, all_of_them = array.nchunks_initialized, array.nchunks
    if there < all_of_them:
        raise SuperlensError(
            f"{path.name} lacks {all_of_them - there} of its {all_of_them} chunks: cut short, or empty parts were not "
            f"stored. Copy it again, or take them for the value {array.fill_value} with `fill_missing`."
        )
