"""Odd but plausible files: each is read as what it holds, or refused in one clear sentence; never a traceback, never silence."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import check_image
from superlens.io import open_image, read

Array = np.ndarray[Any, Any]
Make = Callable[[Path], Path]

RNG = np.random.default_rng(0)
CELL = RNG.poisson(60, (32, 40)).astype(np.uint16)
STACK = RNG.poisson(60, (5, 32, 40)).astype(np.uint16)
COLOUR = RNG.integers(0, 255, (32, 40, 3), np.uint8)


def tiff(data: Array, name: str = "cell.tif", **options: Any) -> Make:
    def make(folder: Path) -> Path:
        tifffile.imwrite(folder / name, data, **options)
        return folder / name

    return make


def pages(*images: Array, **options: Any) -> Make:
    def make(folder: Path) -> Path:
        with tifffile.TiffWriter(folder / "cell.tif") as writer:
            for image in images:
                writer.write(image, contiguous=False, metadata=None, **options)
        return folder / "cell.tif"

    return make


def store(version: Any, names: str | None = None, **options: Any) -> Make:
    """A Zarr array, named axes or not; with ``groups`` inside a group without metadata."""

    def make(folder: Path) -> Path:
        path = folder / "cell.zarr"
        said = {"data": CELL, **options}
        more = {"dimension_names": tuple(names)} if names and version == 3 else {}
        array = zarr.create_array(path, zarr_format=version, **more, **said)
        if names and version == 2:
            array.attrs["_ARRAY_DIMENSIONS"] = list(names)
        return path

    return make


def mrc(mode: int, data: Array, **words: int) -> Make:
    def make(folder: Path) -> Path:
        header = bytearray(1024)
        stack = data.reshape((-1, *data.shape[-2:]))
        struct.pack_into(
            "<10i", header, 0, stack.shape[2], stack.shape[1], stack.shape[0], mode, 0, 0, 0, *stack.shape[::-1]
        )
        struct.pack_into("<3f", header, 40, *(650.0 * side for side in stack.shape[::-1]))
        struct.pack_into("<3f", header, 52, 90, 90, 90)
        struct.pack_into("<3i", header, 64, 1, 2, 3)
        header[208:216] = b"MAP \x44\x44\0\0"
        for at, word in words.items():
            struct.pack_into("<i", header, int(at[1:]), word)
        (folder / "cell.mrc").write_bytes(bytes(header) + stack.tobytes())
        return folder / "cell.mrc"

    return make


def written(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def folder_called(name: str) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        return folder / name

    return make


def linked(folder: Path) -> Path:
    (folder / "real").mkdir()
    (folder / "link.tif").symlink_to(tiff(CELL)(folder / "real"))
    return folder / "link.tif"


def dangling(folder: Path) -> Path:
    (folder / "link.tif").symlink_to(folder / "gone.tif")
    return folder / "link.tif"


def circular(folder: Path) -> Path:
    (folder / "link.tif").symlink_to(folder / "link.tif")
    return folder / "link.tif"


def metamorph(folder: Path) -> Path:
    """A stack of MetaMorph: one directory, whose tag 33629 (UIC2) counts the planes that lie one behind the other."""
    path = pages(STACK[0])(folder)
    content = bytearray(path.read_bytes())
    at = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, at)[0]
    entries = [bytes(content[at + 2 + 12 * k : at + 14 + 12 * k]) for k in range(count)]
    pixels = len(content)
    content += STACK.tobytes()
    table = len(content)
    for frame in range(len(STACK)):  # distance, and day and millisecond of two kinds
        content += struct.pack("<6I", 0, 1, 2459000, 100 * frame, 2459000, 100 * frame)
    kept = []
    for entry in entries:
        tag = struct.unpack_from("<H", entry)[0]
        kept.append(struct.pack("<HHII", tag, 4, 1, pixels) if tag == 273 else entry)
    kept += [struct.pack("<HHII", 33628, 4, 1, table), struct.pack("<HHII", 33629, 5, len(STACK), table)]
    kept.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    struct.pack_into("<I", content, 4, len(content))
    content += struct.pack("<H", len(kept)) + b"".join(kept) + bytes(4)
    path.write_bytes(content)
    return path


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.tif")
    return folder / "pipe.tif"


def with_levels(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "cell.ome.tif", bigtiff=True) as writer:
        writer.write(
            CELL, subifds=1, tile=(16, 16), metadata={"axes": "YX", "PhysicalSizeX": 0.065, "PhysicalSizeY": 0.065}
        )
        writer.write(CELL[::2, ::2], subfiletype=1, tile=(16, 16))
    return folder / "cell.ome.tif"


def imagej(data: Array, **told: Any) -> Make:
    return tiff(
        data, imagej=True, metadata=told, **({} if "unit" not in told else {"resolution": (1 / 0.065, 1 / 0.065)})
    )


def holed(share: float, value: float) -> Array:
    data = CELL.astype(np.float32)
    data[RNG.random(data.shape) < share] = value
    return data


READ: dict[str, tuple[Make, Array]] = {
    **{f"type {kind}": (tiff(CELL.astype(kind)), CELL) for kind in ("u1", "i1", "i2", "u4", "i4", "f2", "f4", "f8")},
    "big-endian float64": (tiff(CELL.astype(">f8"), byteorder=">"), CELL),
    "uint64": (tiff(CELL.astype("u8")), CELL),
    "huge offset": (tiff(CELL.astype("f4") + 1e6), CELL.astype("f4") + 1e6),
    "huge values": (tiff(CELL.astype("u4") * 60_000_000), CELL.astype("u4") * 60_000_000),
    "below zero": (tiff(CELL.astype("i2") - 500), CELL.astype("i2") - 500),
    "a palette": (
        tiff(COLOUR[..., 0], photometric="palette", colormap=RNG.integers(0, 65535, (3, 256)).astype("u2")),
        COLOUR[..., 0],
    ),
    "white is zero": (tiff(CELL, photometric="miniswhite"), CELL),
    **{
        f"packed by {way}": (tiff(CELL, compression=way), CELL)
        for way in ("lzw", "zstd", "deflate", "packbits", "lzma")
    },
    "packed with a predictor": (tiff(CELL, compression="deflate", predictor=True), CELL),
    "packed floats with a predictor": (tiff(CELL.astype("f4"), compression="zstd", predictor=True), CELL),
    "tiled": (tiff(CELL, tile=(16, 16)), CELL),
    "tiles larger than the image": (tiff(CELL, tile=(64, 64), compression="zstd"), CELL),
    "BigTIFF": (tiff(CELL, "cell.btf", bigtiff=True), CELL),
    "a row a strip": (tiff(CELL, rowsperstrip=1), CELL),
    "several resolutions": (with_levels, CELL),
    "capitals": (tiff(CELL, "CELL.TIF"), CELL),
    "blanks and signs": (tiff(CELL, " my cell (1) #2 50% & more.tif"), CELL),
    "other letters": (tiff(CELL, "zelle_ä細胞.tif"), CELL),
    "a line break in the name": (tiff(CELL, "cell\n1.tif"), CELL),
    "a name of Latin-1": (tiff(CELL, os.fsdecode(b"zelle_\xe4.tif")), CELL),
    "a name that is an option": (tiff(CELL, "--out.tif"), CELL),
    "two dots": (tiff(CELL, "cell.v1.2.tif"), CELL),
    "a link": (linked, CELL),
    "frames of ImageJ": (imagej(STACK, axes="TYX", unit="um"), STACK),
    "slices of ImageJ with a step": (imagej(STACK, axes="ZYX", unit="um", spacing=0.2), STACK),
    "a unit that is nonsense": (imagej(CELL, axes="YX", unit="furlong"), CELL),
    "a unit of pixels": (imagej(CELL, axes="YX", unit="pixel"), CELL),
    "axes of length one": (tiff(STACK[:, None, None], "cell.ome.tif", metadata={"axes": "TCZYX"}), STACK),
    "OME with CZT": (
        tiff(STACK[:4].reshape(2, 2, 32, 40), "cell.ome.tif", metadata={"axes": "CZYX"}),
        STACK[:4].reshape(2, 2, 32, 40),
    ),
    "a stack of MetaMorph": (metamorph, STACK),
    "an MRC of bytes": (mrc(0, CELL.astype("i1")), CELL),
    "an MRC of int16": (mrc(1, CELL.astype("i2")), CELL),
    "an MRC of floats": (mrc(2, CELL.astype("f4")), CELL),
    "an MRC of uint16": (mrc(6, CELL), CELL),
    "an MRC of halves": (mrc(12, CELL.astype("f2")), CELL),
    "Zarr 2": (store(2, "yx"), CELL),
    "Zarr 3": (store(3, "yx"), CELL),
    "Zarr 3 in shards": (store(3, "yx", chunks=(8, 8), shards=(16, 16)), CELL),
    "Zarr of float64 in big-endian": (store(2, "yx", data=CELL.astype(">f8")), CELL),
    "a few holes": (tiff(holed(0.001, np.nan)), holed(0.0, 0)),
}
"""What is read, whatever else is said."""

ONE_LINE: dict[str, tuple[Make, str]] = {
    "complex": (tiff(CELL.astype("c8")), "complex"),
    "one bit": (tiff(CELL > 60, photometric="minisblack"), "mask"),
    "a boolean Zarr": (store(3, "yx", data=CELL > 60), "bool|mask"),
    "a complex Zarr": (store(3, "yx", data=CELL.astype("c8")), "complex"),
    "RGB": (tiff(COLOUR, photometric="rgb"), "colour"),
    "RGB in planes": (tiff(np.moveaxis(COLOUR, -1, 0).copy(), photometric="rgb", planarconfig="separate"), "colour"),
    "RGBA": (tiff(np.dstack([COLOUR, COLOUR[..., :1]]), photometric="rgb", extrasamples=["unassalpha"]), "colour"),
    "constant": (tiff(np.full_like(CELL, 7)), "constant"),
    "black": (tiff(np.zeros_like(CELL)), "constant|empty|black"),
    "one pixel": (tiff(CELL[:1, :1]), "pixel"),
    "one row": (tiff(CELL[:1]), "pixel"),
    "no finite pixel": (tiff(np.full(CELL.shape, np.nan, "f4")), "finite|NaN|undefined"),
    "half infinite": (tiff(holed(0.5, np.inf)), "infinite"),
    "pages of unknown meaning": (pages(*STACK), "axes"),
    "pages of other sizes": (pages(CELL, CELL[:20], CELL[:, :30]), "series|alike"),
    "four axes of unknown meaning": (tiff(STACK[:4].reshape(2, 2, 32, 40), metadata=None), "axes"),
    "not square": (tiff(CELL, resolution=(1 / 0.065, 1 / 0.1), imagej=True, metadata={"unit": "um"}), "square"),
    "zero bytes": (written("cell.tif", b""), "empty"),
    "text": (written("cell.tif", b"I am no image\n" * 50), "TIFF"),
    "a web page": (written("cell.tif", b"<!DOCTYPE html><html>404</html>"), "TIFF"),
    "a PNG called TIFF": (written("cell.tif", b"\x89PNG\r\n\x1a\n" + bytes(100)), "TIFF"),
    "a JPEG": (written("cell.jpg", b"\xff\xd8\xff\xe0" + bytes(100)), "not measurements"),
    "a file of a maker": (written("cell.czi", b"ZISRAWFILE" + bytes(100)), "Fiji"),
    "no ending": (written("cell", b"II*\0" + bytes(100)), "cannot be read"),
    "a folder called TIFF": (folder_called("cell.tif"), "no image|folder"),
    "an empty Zarr": (folder_called("cell.zarr"), "Zarr"),
    "a link to nothing": (dangling, "not exist|not found|missing|no such"),
    "a link to itself": (circular, "cannot be read|not exist|links"),
    "a pipe": (fifo, "file"),
    "an MRC of unknown mode": (mrc(77, CELL), "mode"),
    "an MRC of complex values": (mrc(4, CELL.astype("c8")), "complex|transfer"),
    "an MRC of no size": (mrc(1, CELL.astype("i2"), w0=0), "no MRC file"),
    "an MRC of negative size": (mrc(1, CELL.astype("i2"), w4=-5), "no MRC file"),
    "a movie of Picasso without its text": (written("cell.raw", CELL.tobytes()), "yaml"),
    "a Zarr that is a file": (written("cell.zarr", b"PK\3\4" + bytes(100)), "folder"),
}
"""What is refused, and a word of why."""


def opened(path: Path, opener: Callable[[Path], Any]) -> tuple[Any, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", SuperlensWarning)
        try:
            image = opener(path)
            image = image if opener is read else image.load()
            check_image(image)
        except SuperlensError as error:
            return None, str(error)
    return image, ""


@pytest.mark.parametrize("opener", [read, open_image])
@pytest.mark.parametrize("case", READ)
def test_what_can_be_read_is_read_as_it_is(tmp_path: Path, case: str, opener: Callable[[Path], Any]) -> None:
    make, data = READ[case]
    image, why = opened(make(tmp_path), opener)
    assert image is not None, why
    whole = np.isfinite(np.asarray(image.data, np.float64))
    assert image.data.shape == data.shape and whole.mean() > 0.99
    np.testing.assert_array_equal(np.asarray(image.data, np.float64)[whole], data.astype(np.float64)[whole])
    assert image.data.dtype.isnative
    assert image.pixel_nm is None or 1 <= image.pixel_nm <= 20_000


@pytest.mark.parametrize("opener", [read, open_image])
@pytest.mark.parametrize("case", ONE_LINE)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, case: str, opener: Callable[[Path], Any]) -> None:
    make, words = ONE_LINE[case]
    image, why = opened(make(tmp_path), opener)
    assert image is None
    assert "\n" not in why and 20 < len(why) < 500
    assert any(word.lower() in why.lower() for word in words.split("|")), why
