"""TIFF in: ImageJ hyperstacks, OME-TIFF, BigTIFF, plain pages, in both byte orders.

The layout is checked before a pixel is read: every strip must lie within the file, and a header may not claim more pixels
than the file can hold, whatever its compression. What the file says about sizes comes from ImageJ's description, from the
OME-XML, or from the resolution tags, in this order. `write_tiff` of `superlens.io.tiff_out` is the way back.
"""

from __future__ import annotations

import contextlib
import logging
import math
import struct
import warnings
import weakref
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io.deferred import Deferred, Mapped
from superlens.io.metadata import Pixels, StoredImage, length_nm, parse_note, plausible_pixel_nm, time_s
from superlens.io.paths import check_readable

__all__ = ["open_tiff", "read_tiff"]

_LOG = logging.getLogger(__name__)
_UNCOMPRESSED = 1
# what one byte of a strip may at most become; deflate reaches 1032, LZW 2700, others more on blank planes only
_MOST_PER_BYTE = 5000
_FREE_BYTES = 1 << 22
_CENTIMETRE, _INCH = 3, 2
_BIGTIFF = 43
_MOST_ENTRIES = 4096
_TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SELF_COUNTING = ("imagej", "ome", "shaped")  # kinds whose first page says how many images there are
_TIFF_LETTERS = {"I": "I", "Q": "I", "R": "I"}

_Take: TypeAlias = Callable[[Path, tifffile.TiffPageSeries], Pixels]


def read_tiff(path: Path) -> StoredImage:
    """Read the first image series of a TIFF file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredImage
        In the machine's byte order, axes in the order of the file.

    Raises
    ------
    SuperlensError
        When the file is damaged, cut short, claims more than it has, or is coloured.
    """
    return _first_series(path, _all_pixels)


def open_tiff(path: Path) -> StoredImage:
    """Open the first image series of a TIFF file without reading its pixels; refuses what `read_tiff` refuses unread."""
    return _first_series(path, _pixels_on_demand)


def _first_series(path: Path, take: _Take) -> StoredImage:
    file_bytes = check_readable(path)
    try:
        with _quiet_tifffile(), tifffile.TiffFile(path) as tiff:
            return _read_series(path, tiff, file_bytes, take)
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


def _read_series(path: Path, tiff: tifffile.TiffFile, file_bytes: int, take: _Take) -> StoredImage:
    if not len(tiff.pages) or not tiff.series:
        raise SuperlensError(f"{path.name} holds no image. Export it again.")
    series = tiff.series[0]
    _check_kind(path, tiff, series)
    _check_directories(path, file_bytes, all_pages=series.kind not in _SELF_COUNTING)
    _check_colour(path, series)
    _check_layout(path, series, file_bytes)
    data = take(path, series)
    if len(tiff.series) > 1:
        message = f"{path.name} holds {len(tiff.series)} images of different kinds; the first one is read."
        warnings.warn(message, SuperlensWarning, stacklevel=2)
    axes = "".join(_TIFF_LETTERS.get(axis, axis) for axis in series.axes)
    return _with_metadata(tiff, StoredImage(data, axes))


def _all_pixels(path: Path, series: tifffile.TiffPageSeries) -> Pixels:
    data = np.asarray(series.asarray())
    if data.shape != series.shape:
        raise SuperlensError(
            f"{path.name} decodes to shape {data.shape} instead of {series.shape}: damaged. Export it again."
        )
    return data


def _pixels_on_demand(path: Path, series: tifffile.TiffPageSeries) -> Pixels:
    dtype = np.dtype(series.dtype)
    if series.dataoffset is not None and series.keyframe.compression == _UNCOMPRESSED:
        stored = dtype.newbyteorder(series.keyframe.parent.byteorder)
        return Deferred.by(Mapped(path, int(series.dataoffset), stored, series.shape), series.shape, dtype)
    return Deferred.by(_Chunked(path), series.shape, dtype)


class _Chunked:
    """Reads pixels by the strips or tiles in which they are stored."""

    def __init__(self, path: Path) -> None:
        import zarr

        self._path = path
        with _quiet_tifffile():
            store: Any = tifffile.imread(path, aszarr=True, series=0)
        self._array = zarr.open_array(store, mode="r")
        weakref.finalize(self, store.close)

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


def _check_kind(path: Path, tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """A description that fits no page makes the parser fall back to single pages: the rest of the file is missing."""
    if tiff.is_imagej and series.kind != "imagej":
        raise SuperlensError(
            f"{path.name} lacks images that its ImageJ header lists: cut short. Copy or export it again."
        )
    if tiff.is_ome and series.kind != "ome":
        raise SuperlensError(f"{path.name} has an OME header that does not fit its images: damaged. Export it again.")


@dataclass(frozen=True, slots=True)
class _Directories:
    """How the page directories of a TIFF file are laid out: byte order, and the wider fields of BigTIFF."""

    order: Literal["<", ">"]
    big: bool

    @classmethod
    def of(cls, head: bytes) -> _Directories:
        order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        return cls(order, struct.unpack_from(f"{order}H", head, 2)[0] == _BIGTIFF)

    def first(self, head: bytes) -> int:
        offset: int = struct.unpack_from(self.order + ("Q" if self.big else "I"), head, 8 if self.big else 4)[0]
        return offset

    def read(self, file: BinaryIO, offset: int) -> tuple[int, int]:
        """Where the values of one directory end, at most, and where the next directory lies (0: nowhere)."""
        count_format, entry_format, link_format = ("Q", "HHQQ", "Q") if self.big else ("H", "HHII", "I")
        file.seek(offset)
        (entries,) = struct.unpack(self.order + count_format, file.read(struct.calcsize(f"<{count_format}")))
        entry_bytes = struct.calcsize(f"<{entry_format}")
        table = file.read(min(entries, _MOST_ENTRIES) * entry_bytes)
        reach = 0
        for _, kind, count, value in struct.iter_unpack(self.order + entry_format, table):
            size = count * _TYPE_BYTES.get(kind, 1)
            if size > (8 if self.big else 4):
                reach = max(reach, value + size)
        (link,) = struct.unpack(self.order + link_format, file.read(struct.calcsize(f"<{link_format}")))
        return reach, link


def _check_directories(path: Path, file_bytes: int, *, all_pages: bool) -> None:
    """Follow the chain of page directories; where it leads out of the file, descriptions or pages have been lost."""
    with path.open("rb") as file:
        head = file.read(16)
        layout = _Directories.of(head)
        offset = layout.first(head)
        seen: set[int] = set()
        while offset:
            if offset in seen or offset >= file_bytes:
                raise SuperlensError(f"{path.name} ends before its last page: cut short. Copy or export it again.")
            seen.add(offset)
            reach, offset = layout.read(file, offset)
            if reach > file_bytes:
                raise SuperlensError(_cut_short(path, reach, file_bytes))
            if not all_pages:
                return


def _check_colour(path: Path, series: tifffile.TiffPageSeries) -> None:
    page = series.keyframe
    samples = series.shape[series.axes.index("S")] if "S" in series.axes else 1
    if samples > 1 or page.photometric not in (0, 1, 3, 32803, 34892, 32844, 51177, 4):
        raise SuperlensError(
            f"{path.name} is a colour image ({samples} samples a pixel); expected grey values. "
            "Split its channels (in Fiji: Image > Color > Split Channels) and give one."
        )
    if page.bitspersample == 1:
        raise SuperlensError(
            f"{path.name} holds a mask (boolean); expected grey values. Give the image it was made from."
        )


def _check_layout(path: Path, series: tifffile.TiffPageSeries, file_bytes: int) -> None:
    """Compare what the headers claim with what the file has, before memory is asked for."""
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
            raise SuperlensError(_cut_short(path, series.dataoffset + series.nbytes, file_bytes))
        return int(series.nbytes)
    total = 0
    for page in series.pages:
        if page is None:
            raise SuperlensError(f"{path.name} lacks images that its header lists: cut short. Copy or export it again.")
        size = page.parent.filehandle.size
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            if offset + count > size:
                raise SuperlensError(_cut_short(path, offset + count, size))
            total += count
    return total


def _cut_short(path: Path, claimed: int, file_bytes: int) -> str:
    return (
        f"{path.name} has {file_bytes} bytes but its contents reach to {claimed}: cut short. Copy or export it again."
    )


def _with_metadata(tiff: tifffile.TiffFile, stored: StoredImage) -> StoredImage:
    if tiff.is_imagej and tiff.imagej_metadata:
        return _from_imagej(tiff, stored, tiff.imagej_metadata)
    if tiff.is_ome and tiff.ome_metadata:
        return _from_ome(stored, tiff.ome_metadata)
    unit = {_CENTIMETRE: "cm", _INCH: "inch"}.get(_tag(tiff, "ResolutionUnit"), "")
    return replace(stored, pixel_yx_nm=_resolution(tiff, unit, unit))


def _tag(tiff: tifffile.TiffFile, name: str) -> Any:
    tag = tiff.pages.first.tags.get(name)
    return None if tag is None else tag.value


def _resolution(tiff: tifffile.TiffFile, unit_y: object, unit_x: object) -> tuple[float, float] | None:
    """Pixel size from the resolution tags (pixels in one unit), unless they are a placeholder."""
    sizes = []
    for name, unit in (("YResolution", unit_y), ("XResolution", unit_x)):
        nm, value = length_nm(unit), _tag(tiff, name)
        if nm is None or not (isinstance(value, tuple) and len(value) == 2 and value[0] > 0 and value[1] > 0):
            return None
        if value[0] == value[1]:
            return None
        size = plausible_pixel_nm(nm * value[1] / value[0])
        if size is None:
            return None
        sizes.append(size)
    return sizes[0], sizes[1]


def _from_imagej(tiff: tifffile.TiffFile, stored: StoredImage, imagej: Mapping[str, Any]) -> StoredImage:
    unit = imagej.get("unit", "")
    unit_y = imagej.get("yunit", unit)
    unit_z = length_nm(imagej.get("zunit", unit))
    spacing = _positive(imagej.get("spacing"))
    seconds = time_s(imagej.get("tunit", "s"))
    interval = _positive(imagej.get("finterval"))
    return replace(
        stored,
        pixel_yx_nm=_resolution(tiff, unit_y, unit),
        z_step_nm=abs(spacing) * unit_z if spacing is not None and unit_z is not None else None,
        frame_interval_s=interval * seconds if interval is not None and seconds is not None else None,
        channel_names=_labels(imagej.get("Labels"), stored),
        note=parse_note(imagej.get("Info")),
    )


def _positive(value: object) -> float | None:
    """The size of a number; ImageJ gives the spacing a sign in some stacks."""
    if isinstance(value, (int, float)) and math.isfinite(value) and value != 0:
        return abs(float(value))
    return None


def _labels(labels: object, stored: StoredImage) -> tuple[str, ...]:
    """Slice labels are channel names when each channel has one of its own in all its planes."""
    if "C" not in stored.axes or not isinstance(labels, list):
        return ()
    channels = stored.data.shape[stored.axes.index("C")]
    names = tuple(str(label) for label in labels[:channels])
    whole = len(labels) % channels == 0 and tuple(map(str, labels)) == names * (len(labels) // channels)
    return names if whole and len(set(names)) == channels else ()


def _from_ome(stored: StoredImage, text: str) -> StoredImage:
    image = ElementTree.fromstring(text).find("{*}Image")
    pixels = None if image is None else image.find("{*}Pixels")
    if image is None or pixels is None:
        return stored
    y_nm, x_nm, z_nm = (_ome_length(pixels, f"PhysicalSize{axis}") for axis in "YXZ")
    pixel = None if x_nm is None else (x_nm if y_nm is None else y_nm, x_nm)
    seconds = time_s(pixels.get("TimeIncrementUnit", "s"))
    interval = _decimal(pixels.get("TimeIncrement"))
    return replace(
        stored,
        pixel_yx_nm=pixel,
        z_step_nm=z_nm,
        frame_interval_s=interval * seconds if interval is not None and seconds is not None else None,
        channel_names=tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel")),
        emission_nm=tuple(_ome_length(c, "EmissionWavelength", "nm") for c in pixels.findall("{*}Channel")),
        note=parse_note(image.findtext("{*}Description")),
    )


def _ome_length(element: ElementTree.Element, name: str, unit: str = "µm") -> float | None:
    value, nm = _decimal(element.get(name)), length_nm(element.get(f"{name}Unit", unit))
    return value * nm if value is not None and nm is not None else None


def _decimal(text: str | None) -> float | None:
    try:
        return _positive(float(text or ""))
    except ValueError:
        return None
