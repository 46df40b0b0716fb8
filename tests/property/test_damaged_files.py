"""Whatever happens to the bytes of a file, reading it gives an image or one line, soon and without much memory."""

from __future__ import annotations

import io
import struct
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecodecs import png_encode

from foreign_tiff import ome_xml, pixels_xml, planes, rows_of, taken, tiff_data, write_stack
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import read, read_otf, read_psf
from superlens.optics import PSF

EXAMPLES = 60
LONGEST_MS = 20_000  # only against hanging: a read takes milliseconds
MOST_BYTES = 64 << 20  # far above what the valid files need, far below what their headers could claim


def noise(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)


def tiff_bytes(data: np.ndarray[Any, Any], **options: Any) -> bytes:
    with io.BytesIO() as buffer:
        tifffile.imwrite(buffer, data, **options)
        return buffer.getvalue()


def mrc_bytes(data: np.ndarray[Any, Any], mode: int, *, deltavision: bool) -> bytes:
    header = bytearray(1024)
    sections, rows, columns = data.shape
    struct.pack_into("<4i", header, 0, columns, rows, sections, mode)
    struct.pack_into("<3f", header, 40, 0.065, 0.065, 0.2)
    if deltavision:
        struct.pack_into("<i", header, 92, 20 * sections)
        struct.pack_into("<h", header, 96, -16224)
        struct.pack_into("<2h", header, 128, 2, 3)
        struct.pack_into("<2h", header, 180, sections, 0)
        struct.pack_into("<h", header, 196, 1)
        return bytes(header) + bytes(20 * sections) + data.tobytes()
    return bytes(header) + data.tobytes()


def stack_bytes() -> bytes:
    """A stack of Micro-Manager."""
    rows = rows_of({"T": 2, "C": 2})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a_MMStack_Pos0.ome.tif"
        return write_stack(path, taken(planes({"T": 2, "C": 2}), rows), rows).read_bytes()


SEEDS = {
    "a_MMStack_Pos0.ome.tif": stack_bytes(),
    "set.companion.ome": ome_xml([pixels_xml({"X": 24, "Y": 20, "T": 2}, tiff_data({"T": 1}, 0, "other.ome.tif"))]),
    "part.ome.tif": tiff_bytes(
        noise((20, 24)),
        metadata=None,
        description=ome_xml([pixels_xml({"X": 24, "Y": 20, "T": 2}, tiff_data({"T": 1}, 0, "part.ome.tif"))]),
    ),
    "plain.tif": tiff_bytes(noise((20, 24)), metadata=None),
    "pages.tif": tiff_bytes(noise((3, 20, 24)), metadata=None, photometric="minisblack"),
    "imagej.tif": tiff_bytes(
        noise((3, 20, 24)), imagej=True, resolution=(15.0, 15.0), metadata={"axes": "ZYX", "unit": "um", "Info": "x"}
    ),
    "ome.tif": tiff_bytes(noise((2, 20, 24)), ome=True, metadata={"axes": "CYX", "PhysicalSizeX": 0.065}),
    "big.tif": tiff_bytes(noise((20, 24)), bigtiff=True, byteorder=">"),
    "zlib.tif": tiff_bytes(noise((20, 24)), compression="zlib", rowsperstrip=5),
    "lzw.tif": tiff_bytes(noise((20, 24)), compression="lzw"),
    "tiled.tif": tiff_bytes(noise((40, 40)), tile=(16, 16), compression="zlib"),
    "volume.mrc": mrc_bytes(noise((3, 20, 24)), 6, deltavision=False),
    "stack.dv": mrc_bytes(noise((3, 20, 24)), 6, deltavision=True),
    "otf.mrc": mrc_bytes(np.linspace(1, 0, 33).astype(np.complex64).reshape(1, 1, -1), 4, deltavision=False),
    "grey.png": png_encode(noise((20, 24))),
}


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few bytes overwritten, most of them near the start, where the headers are; perhaps the end cut off."""
    places = st.floats(0, 1) | st.floats(0, 0.1)
    values = st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 255])
    hits = draw(st.lists(st.tuples(places, st.lists(values, min_size=1, max_size=8)), max_size=5))
    keep = draw(st.just(1.0) | st.floats(0, 1))

    def apply(valid: bytes) -> bytes:
        content = bytearray(valid)
        for place, bytes_ in hits:
            at = int(place * (len(content) - 1))
            content[at : at + len(bytes_)] = bytes(bytes_)[: len(content) - at]
        return bytes(content[: max(1, int(keep * len(content)))])

    return apply


def attempt(path: Path, reader: Callable[[Path], object]) -> None:
    try:
        result = reader(path)
    except SuperlensError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 500
        return
    if isinstance(result, Image):
        assert result.data.dtype.kind in "iuf"
        assert result.data.dtype.isnative
        assert result.data.size > 0
    if isinstance(result, PSF):
        assert np.isfinite(result.data).all()


@pytest.mark.parametrize("name", SEEDS)
@settings(deadline=LONGEST_MS, max_examples=EXAMPLES)
@given(harm=damage())
def test_damaged_files_give_an_image_or_one_line(name: str, harm: Callable[[bytes], bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        path = Path(folder) / name
        path.write_bytes(harm(SEEDS[name]))
        tracemalloc.start()
        try:
            attempt(path, read)
            attempt(path, lambda path: read(path, axes="ZYX"))
            if path.suffix == ".mrc":
                attempt(path, read_otf)
                attempt(path, read_psf)
                attempt(path, lambda path: read_psf(path, pixel_nm=65.0, z_step_nm=200.0))
            assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", SEEDS)
def test_the_files_are_valid_before_the_damage(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(SEEDS[name])
        if name == "set.companion.ome":
            with pytest.raises(SuperlensError, match=r"other\.ome\.tif"):
                read(path)
        elif name == "part.ome.tif":
            with pytest.warns(SuperlensWarning, match="1 of them are missing"):
                read(path)
        elif name == "otf.mrc":
            assert read_otf(path).data.shape == (33,)
        else:
            read(path, axes="ZYX" if name in ("pages.tif", "volume.mrc") else None)


@settings(deadline=LONGEST_MS, max_examples=EXAMPLES)
@given(content=st.binary(min_size=1, max_size=3000), suffix=st.sampled_from([".tif", ".mrc", ".dv", ".png"]))
def test_bytes_that_are_no_file_at_all(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        for start in (b"", b"II*\x00\x08\x00\x00\x00", b"MM\x00+\x00\x08\x00\x00", b"\x89PNG\r\n\x1a\n"):
            path.write_bytes(start + content)
            attempt(path, read)
