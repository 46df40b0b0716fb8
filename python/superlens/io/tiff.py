"""TIFF in: ImageJ hyperstacks, OME-TIFF in one file or several, stacks of Micro-Manager, Zeiss LSM, BigTIFF, plain pages, in both byte orders.

The layout is checked before a pixel is read: every strip must lie within its file, and a header may not claim more pixels than
the file can hold, whatever its compression. A file is called damaged only when bytes are missing or make no sense; of an image that
announces more planes than there are, what is there is read. `write_tiff` of `superlens.io.tiff_out` is the way back.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io.deferred import Deferred, Mapped
from superlens.io.metadata import Pixels, StoredImage, parse_note, time_s
from superlens.io.micromanager import Stack, open_stack, planes_of_position, told_by_summary
from superlens.io.ome import OmeImage, OmeSet, ome_text, open_ome_set
from superlens.io.paths import check_readable, is_companion
from superlens.io.planes import Planes, whole_part
from superlens.io.separate import open_separate
from superlens.io.series import Series, chosen
from superlens.io.sizes import Stated, length_nm, plausible_pixel_nm, positive_number
from superlens.io.tiff_layout import Layout, Page, cut_short

__all__ = ["open_tiff", "read_tiff"]

_LOG = logging.getLogger(__name__)
_UNCOMPRESSED = 1
# what one byte of a strip may at most become; deflate reaches 1032, LZW 2700, others more on blank planes only
_MOST_PER_BYTE = 5000
_FREE_BYTES = 1 << 22
_MOST_PLANES = 1 << 24
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_PRINTED = ("inch", "cm")  # units in which a resolution may be meant for a printer
_SELF_COUNTING = ("imagej", "ome", "shaped")  # kinds whose first page says how many images there are
_GREY = (0, 1, 3, 32803, 34892, 32844, 51177, 4)
_LETTERS = {"Q": "I", "R": "I"}
_IMAGEJ_AXES = {"czt": "TZC", "ctz": "ZTC", "zct": "TCZ", "ztc": "CTZ", "tcz": "ZCT", "tzc": "CZT"}

_Take: TypeAlias = Callable[[Path, tifffile.TiffPageSeries, int], Pixels]
"""Gets the pixels of a series of a file; its number comes along."""


def read_tiff(path: Path, series: int | None = None) -> StoredImage:
    """Read an image of a TIFF file, with the other files that it goes on in.

    Parameters
    ----------
    path : Path
        The file, or the companion file of a set.
    series : int, optional
        Which image, where there are several.

    Returns
    -------
    StoredImage
        In the machine's byte order, axes in the order of the file.

    Raises
    ------
    SuperlensError
        When the file is damaged, cut short, claims more than it has, is coloured, or holds several images and none is asked for.

    Warns
    -----
    SuperlensWarning
        When planes or files are missing.
    """
    stored = _opened(path, series, _all_pixels)
    return replace(stored, data=stored.data[:]) if isinstance(stored.data, Deferred) else stored


def open_tiff(path: Path, series: int | None = None) -> StoredImage:
    """Open an image of a TIFF file without reading its pixels; refuses what `read_tiff` refuses unread."""
    return _opened(path, series, _pixels_on_demand)


def _opened(path: Path, series: int | None, take: _Take) -> StoredImage:
    file_bytes = check_readable(path)
    try:
        with _quiet_tifffile():
            return _read_series(path, series, file_bytes, take)
    except SuperlensError:
        raise
    except MemoryError as error:
        raise SuperlensError(f"{path.name} does not fit into memory. Crop it, or split it into files.") from error
    except Exception as error:  # a damaged file makes the decoders raise anything; all of it means the same to the user
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise SuperlensError(
            f"{path.name} cannot be read as TIFF, damaged or cut short ({reason}). Export it again."
        ) from error


@contextlib.contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """Keep remarks on odd files out of the user's terminal; they go to our own log at level DEBUG."""

    def divert(record: logging.LogRecord) -> bool:
        _LOG.debug("%s", record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(divert)
    try:
        yield
    finally:
        logger.removeFilter(divert)


def _tifffile(path: Path, *, ome: bool) -> tifffile.TiffFile:
    """Open a file; descriptions of which it is known that they do not fit are not followed."""
    tiff = _opened_tiff(path)
    tiff.is_mmstack = False
    if not ome:
        tiff.is_ome = False
    return tiff


def _opened_tiff(path: Path) -> tifffile.TiffFile:
    """Open a file; one that was saved again by a program that kept the tag of a Zeiss LSM, without its previews, is none."""
    try:
        tiff = tifffile.TiffFile(path)
    except IndexError:  # of a single page, whose preview is looked for
        return tifffile.TiffFile(path, is_lsm=False)
    if tiff.is_lsm and not (len(tiff.pages) > 1 and getattr(tiff.pages[1], "is_reduced", False)):
        tiff.close()
        return tifffile.TiffFile(path, is_lsm=False)
    return tiff


def _read_series(path: Path, series: int | None, file_bytes: int, take: _Take) -> StoredImage:
    stack = None if is_companion(path) else open_stack(path)
    if stack is not None:
        return _from_stack(stack, series)
    separate = open_separate(path)
    if separate is not None:
        return _told(path, _with_planes(whole_part(separate.planes().check(path), path)), separate.told)
    text = ome_text(path)
    described = open_ome_set(path, text) if text else None
    stored = _from_ome(described, series, file_bytes, take) if described is not None else None
    if stored is not None:
        return stored
    if is_companion(path):
        raise SuperlensError(f"{path.name} describes no image whose files are beside it. Copy the whole set.")
    return _from_one_file(path, series, file_bytes, take)


def _from_stack(stack: Stack, series: int | None) -> StoredImage:
    """One position of a stack of Micro-Manager, with the files that continue it."""
    path, places = stack.path, stack.positions
    sizes = [_sizes_of_position(stack, position) for position in places]
    found = [Series("TCZ", size, stack.name_of(place)) for size, place in zip(sizes, places, strict=True)]
    position = places[chosen(found, series, path)]
    with warnings.catch_warnings():  # a description of the same planes that is damaged changes nothing
        warnings.simplefilter("ignore", SuperlensWarning)
        text = ome_text(path)
        described = open_ome_set(path, text) if text else None
    images = described.of_this_file() if described is not None else ()
    image = images[places.index(position)] if len(images) == len(places) else None
    absent = described.absent(image) if described is not None and image is not None else ()
    planes = planes_of_position(stack.rest_of(position), position, absent).check(path)
    stored = _with_planes(whole_part(planes, path))
    return _told(path, stored, image.told if image is not None else None, stack.told)


def _sizes_of_position(stack: Stack, position: int) -> tuple[int, ...]:
    rows = [row for row in stack.rows if row[3] == position]
    return tuple(1 + max(row[at] for row in rows) for at in (2, 0, 1))


def _from_ome(described: OmeSet, series: int | None, file_bytes: int, take: _Take) -> StoredImage | None:
    """An image as the OME-XML describes it; None when that is of other pages."""
    path, images = described.here, described.of_this_file()
    if not images:
        warnings.warn(
            f"the OME-XML of {path.name} is about other files, so {path.name} is read alone, without its pixel size.",
            SuperlensWarning,
            stacklevel=2,
        )
        return None
    image = images[
        chosen([Series(f"{each.axes}YX", each.sizes + each.yx_shape, each.name) for each in images], series, path)
    ]
    if described.single and len(described.images) == 1:
        with _tifffile(path, ome=True) as tiff:
            found = tiff.series
            if len(found) == 1 and found[0].kind == "ome" and all(page is not None for page in found[0].pages):
                return _told(path, _taken(path, found, 0, file_bytes, take), image.told)
    planes = _ome_planes(described, image)
    first = next((page for page in planes.pages if page is not None), None)
    if first is not None and first.yx_shape != image.yx_shape:
        warnings.warn(
            f"the OME-XML of {path.name} describes planes of {image.yx_shape[0]} x {image.yx_shape[1]} pixels, and its pages "
            f"have {first.yx_shape[0]} x {first.yx_shape[1]}. It is left out.",
            SuperlensWarning,
            stacklevel=2,
        )
        return None
    stored = _with_planes(whole_part(planes.check(path), path))
    return _told(path if first is None else first.path, stored, image.told)


def _ome_planes(described: OmeSet, image: OmeImage) -> Planes:
    """Where the planes of an image lie, as far as its files are there."""
    pages: dict[Path, list[Page]] = {}
    count = math.prod(image.sizes)
    if count > _MOST_PLANES:
        raise SuperlensError(f"{described.main.name} announces {count} planes: damaged. Export it again.")
    every: list[Page | None] = [None] * count
    for run in image.runs:
        path = described.path(run.file)
        if path is None:
            continue
        if path not in pages:
            with Layout(path) as layout:
                pages[path] = [layout.page(directory) for directory in layout.directories()]
        these = pages[path][run.page :] if run.count is None else pages[path][run.page : run.page + run.count]
        for at, page in enumerate(these[: count - run.first], run.first):
            every[at] = page
    return Planes(image.axes, image.sizes, every, described.absent(image))


def _with_planes(planes: Planes) -> StoredImage:
    planes = planes.squeezed()
    return StoredImage(planes.pixels(), planes.axes + "YX")


def _from_one_file(path: Path, series: int | None, file_bytes: int, take: _Take) -> StoredImage:
    """An image that lies in one file and is described by its pages, or by ImageJ."""
    with _tifffile(path, ome=False) as tiff:
        found = tiff.series
        if not len(tiff.pages) or not found:
            raise SuperlensError(f"{path.name} holds no image. Export it again.")
        planes = _imagej_planes(path, tiff, found)
        if planes is not None:
            return _told(path, _with_planes(whole_part(planes.check(path), path)))
        at = chosen([_listed(each) for each in found], series, path)
        _check_pages(path, all_pages=found[at].kind not in _SELF_COUNTING)
        return _told(path, _taken(path, found, at, file_bytes, take))


def _listed(series: tifffile.TiffPageSeries) -> Series:
    page = series.keyframe
    coloured = "S" in series.axes or page.photometric not in _GREY
    axes = "".join(_LETTERS.get(axis, axis) for axis in series.axes)
    return Series(axes, tuple(series.shape), str(series.name or ""), bool(page.is_reduced), coloured)


def _imagej_planes(path: Path, tiff: tifffile.TiffFile, found: list[tifffile.TiffPageSeries]) -> Planes | None:
    """The planes of a stack of ImageJ that announces more than there are; None for any other."""
    if not tiff.is_imagej or not tiff.imagej_metadata:
        return None
    series, told = found[0], tiff.imagej_metadata
    if series.kind == "imagej" and (series.dataoffset is not None or None not in _pages_of(series)):
        return None
    lengths = {axis: told.get(name, 1) for axis, name in (("T", "frames"), ("Z", "slices"), ("C", "channels"))}
    if not all(isinstance(length, int) and length > 0 for length in lengths.values()):
        return None
    axes = _IMAGEJ_AXES.get(str(told.get("order", "czt")).lower(), "TZC")
    sizes = tuple(lengths[axis] for axis in axes)
    count = math.prod(sizes)
    pages = _imagej_pages(path, count) if count <= _MOST_PLANES else []
    if len(pages) >= count or not pages:
        return None
    return Planes(axes, sizes, [*pages, *[None] * (count - len(pages))])


def _imagej_pages(path: Path, most: int) -> list[Page]:
    """The planes that are there: one for each page, or, after a single page, one behind the other."""
    with Layout(path) as layout:
        pages = [layout.page(directory) for directory in layout.directories()]
    if len(pages) != 1 or pages[0].start is None:
        return pages
    first, start = pages[0], pages[0].start
    held, rest = divmod(layout.file_bytes - start, first.plain_bytes)
    if held < most and rest:
        raise SuperlensError(cut_short(path, start + most * first.plain_bytes, layout.file_bytes))
    return [replace(first, offset=0, start=start + at * first.plain_bytes) for at in range(min(held, most))]


def _pages_of(series: tifffile.TiffPageSeries) -> list[Any]:
    """Its pages, None for each that its shape asks for and that is not there."""
    pages = list(series.pages)
    return [*pages, *[None] * (math.prod(series.shape) // max(series.keyframe.size, 1) - len(pages))]


def _taken(path: Path, found: list[tifffile.TiffPageSeries], number: int, file_bytes: int, take: _Take) -> StoredImage:
    series = found[number]
    _check_colour(path, series)
    _check_layout(path, series, file_bytes)
    return StoredImage(take(path, series, number), "".join(_LETTERS.get(axis, axis) for axis in series.axes))


def _all_pixels(path: Path, series: tifffile.TiffPageSeries, number: int) -> Pixels:
    data = np.asarray(series.asarray())
    if data.shape != series.shape:
        raise SuperlensError(
            f"{path.name} decodes to shape {data.shape} instead of {series.shape}: damaged. Export it again."
        )
    return data


def _pixels_on_demand(path: Path, series: tifffile.TiffPageSeries, number: int) -> Pixels:
    dtype = np.dtype(series.dtype)
    if series.dataoffset is not None and series.keyframe.compression == _UNCOMPRESSED:
        stored = dtype.newbyteorder(series.keyframe.parent.byteorder)
        return Deferred.by(Mapped(path, int(series.dataoffset), stored, series.shape), series.shape, dtype)
    return Deferred.by(_Chunked(path, number, ome=series.kind == "ome"), series.shape, dtype)


class _Chunked:
    """Reads pixels by the strips or tiles in which they are stored."""

    def __init__(self, path: Path, series: int, *, ome: bool) -> None:
        import zarr

        self._path = path
        tiff = _tifffile(path, ome=ome)
        weakref.finalize(self, tiff.close)
        with _quiet_tifffile():
            store: Any = tiff.series[series].aszarr(level=0)
        weakref.finalize(self, store.close)
        self._array = zarr.open_array(store, mode="r")

    def __call__(self, part: tuple[slice, ...]) -> NDArray[Any]:
        try:
            with _quiet_tifffile():
                return np.asarray(self._array[part])
        except MemoryError:
            raise
        except Exception as error:  # each codec has its own exceptions; all mean that a strip or tile is damaged
            raise SuperlensError(
                f"{self._path.name} cannot be read, a part of it is damaged ({type(error).__name__}). Copy it again."
            ) from error


def _check_pages(path: Path, *, all_pages: bool) -> None:
    """Follow the chain of page directories; where it leads out of the file, descriptions or pages have been lost."""
    with Layout(path) as layout:
        for directory in layout.directories():
            layout.page(directory)
            if not all_pages:
                return


def _check_colour(path: Path, series: tifffile.TiffPageSeries) -> None:
    page = series.keyframe
    samples = series.shape[series.axes.index("S")] if "S" in series.axes else 1
    if samples > 1 or page.photometric not in _GREY:
        raise SuperlensError(
            f"{path.name} is a colour image ({samples} samples a pixel); expected grey values. "
            "Split its channels (in Fiji: Image > Color > Split Channels) and give one."
        )
    if page.bitspersample == 1:
        raise SuperlensError(
            f"{path.name} holds a mask (boolean); expected grey values. Give the image it was made from."
        )


def _check_layout(path: Path, series: tifffile.TiffPageSeries, file_bytes: int) -> None:
    """Compare what the headers claim with what the file has, before memory is allocated."""
    item_bytes = np.dtype(series.dtype).itemsize
    claimed = math.prod(series.shape) * item_bytes
    if claimed == 0:
        raise SuperlensError(f"{path.name} has shape {series.shape}: no pixels. Export it again.")
    stored = _stored_bytes(path, series, file_bytes)
    bits = series.keyframe.bitspersample / (8 * item_bytes)
    uncompressed = series.keyframe.compression == _UNCOMPRESSED
    possible = stored / bits if uncompressed else stored * _MOST_PER_BYTE + _FREE_BYTES
    if claimed > math.ceil(possible):
        raise SuperlensError(
            f"{path.name} claims {claimed} bytes of pixels ({' x '.join(map(str, series.shape))}) but holds "
            f"{stored} bytes of them: cut short or damaged. Copy or export it again."
        )


def _stored_bytes(path: Path, series: tifffile.TiffPageSeries, file_bytes: int) -> int:
    """Bytes of all strips, each of which must lie within its file."""
    if series.dataoffset is not None:  # one block, as ImageJ writes stacks
        if series.dataoffset + series.nbytes > file_bytes:
            raise SuperlensError(cut_short(path, series.dataoffset + series.nbytes, file_bytes))
        return int(series.nbytes)
    total = 0
    for page in series.pages:
        if page is None:
            raise SuperlensError(f"{path.name} lacks planes that its header lists. Export it again.")
        size = page.parent.filehandle.size
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            if offset + count > size:
                raise SuperlensError(cut_short(path, offset + count, size))
            total += count
    return total


def _told(path: Path, stored: StoredImage, *by: Callable[[StoredImage], StoredImage] | None) -> StoredImage:
    """Add what the descriptions of a file say, then its tags, the most precise first."""
    for tell in by:
        if tell is not None:
            stored = tell(stored)
    with _opened_tiff(path) as tiff:
        if tiff.is_ndtiff:
            stored = told_by_summary(stored, (tiff.micromanager_metadata or {}).get("Summary", {}))
        zeiss = _tag(tiff, "CZ_LSMINFO")
        if isinstance(zeiss, dict):
            stored = _told_by_zeiss(stored, zeiss)
        imagej = tiff.imagej_metadata if tiff.is_imagej else None
        if imagej:
            pixel_sizes = stored.pixel_sizes
            stored = _told_by_imagej(tiff, stored, imagej)
            if tiff.is_micromanager:  # which means the unit of the resolution, whatever it writes for ImageJ
                stored = replace(stored, pixel_sizes=pixel_sizes)
        unit = _RESOLUTION_UNITS.get(_tag(tiff, "ResolutionUnit"), "")
        size = _resolution(tiff, unit, unit)
    stated = () if size is None else (Stated(size, f"its resolution, per {unit}"),)
    return replace(stored, pixel_sizes=stored.pixel_sizes + stated)


def _told_by_zeiss(stored: StoredImage, lsm: Mapping[str, Any]) -> StoredImage:
    """Add what the tag of a Zeiss LSM says: sizes of a voxel in metres, seconds between frames, names of the channels."""
    by, metre = "the Zeiss LSM tag", 1e9
    y, x, z = (positive_number(lsm.get(f"VoxelSize{axis}")) for axis in "YXZ")
    interval = positive_number(lsm.get("TimeIntervall"))
    names = (lsm.get("ChannelColors") or {}).get("ColorNames", ())
    return replace(
        stored,
        pixel_sizes=stored.pixel_sizes + (() if x is None else (Stated((metre * (y or x), metre * x), by),)),
        z_steps=stored.z_steps + (() if z is None else (Stated((metre * z,), by),)),
        frame_interval_s=stored.frame_interval_s or interval,
        channel_names=stored.channel_names or tuple(str(name) for name in names),
    )


def _tag(tiff: tifffile.TiffFile, name: str) -> Any:
    tag = tiff.pages.first.tags.get(name)
    return None if tag is None else tag.value


def _resolution(tiff: tifffile.TiffFile, unit_y: object, unit_x: object) -> tuple[float, float] | None:
    """Pixel size from the resolution tags (pixels in one unit), unless they are a placeholder or meant for a printer."""
    sizes = []
    for name, unit in (("YResolution", unit_y), ("XResolution", unit_x)):
        nm, value = length_nm(unit), _tag(tiff, name)
        if nm is None or not (isinstance(value, tuple) and len(value) == 2 and value[0] > 0 and value[1] > 0):
            return None
        if value[0] == value[1]:
            return None
        size: float | None = nm * value[1] / value[0]
        if str(unit).lower() in (*_PRINTED, *(f"{each}es" for each in _PRINTED)):
            size = plausible_pixel_nm(nm * value[1] / value[0])
        if size is None:
            return None
        sizes.append(size)
    return sizes[0], sizes[1]


def _told_by_imagej(tiff: tifffile.TiffFile, stored: StoredImage, imagej: Mapping[str, Any]) -> StoredImage:
    unit = imagej.get("unit", "")
    size = _resolution(tiff, imagej.get("yunit", unit), unit)
    unit_z, spacing = length_nm(imagej.get("zunit", unit)), positive_number(imagej.get("spacing"))
    seconds, interval = time_s(imagej.get("tunit", "s")), positive_number(imagej.get("finterval"))
    by = f"ImageJ, per {unit}"
    return replace(
        stored,
        pixel_sizes=stored.pixel_sizes + (() if size is None else (Stated(size, by),)),
        z_steps=stored.z_steps + (() if spacing is None or unit_z is None else (Stated((spacing * unit_z,), by),)),
        frame_interval_s=stored.frame_interval_s
        or (interval * seconds if interval is not None and seconds is not None else None),
        channel_names=stored.channel_names or _labels(imagej.get("Labels"), stored),
        note=stored.note or parse_note(imagej.get("Info")),
    )


def _labels(labels: object, stored: StoredImage) -> tuple[str, ...]:
    """Slice labels are channel names when each channel has one of its own in all its planes."""
    if "C" not in stored.axes or not isinstance(labels, list):
        return ()
    channels = stored.data.shape[stored.axes.index("C")]
    names = tuple(str(label) for label in labels[:channels])
    whole = len(labels) % channels == 0 and tuple(map(str, labels)) == names * (len(labels) // channels)
    return names if whole and len(set(names)) == channels else ()
