"""Images in and out of files: round trips, what other programs write, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import AXES, Image
from superlens.io import find_images, read, replacing, write

AXES_SUBSETS = st.sets(st.sampled_from("TCZ")).map(lambda some: "".join(axis for axis in AXES if axis in some) + "YX")
SIZES = st.floats(1e-2, 1e4, allow_subnormal=False)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
REAL_TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


@st.composite
def images(draw: st.DrawFn) -> Image:
    axes = draw(AXES_SUBSETS)
    shape = [draw(st.integers(1, 3)) for _ in axes[:-2]] + [draw(st.integers(2, 6)) for _ in "YX"]
    dtype = draw(st.sampled_from(["u1", "u2", "f4"]))
    data = (np.arange(np.prod(shape)) % 250).reshape(shape).astype(dtype)
    channels = shape[axes.index("C")] if "C" in axes else 1
    return Image(
        data,
        axes,
        pixel_nm=draw(st.none() | SIZES),
        z_step_nm=draw(st.none() | SIZES),
        frame_interval_s=draw(st.none() | SIZES),
        channel_names=draw(st.just(()) | st.tuples(*[WORDS] * channels)),
        name="cell",
        history=draw(st.dictionaries(WORDS, JSON, max_size=3)),
    )


def noise(shape: tuple[int, ...] = (20, 30), dtype: str = "u2") -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(1, 100, shape).astype(dtype)


def refused(path: Path, **options: Any) -> str:
    """The line by which a file is refused."""
    with pytest.raises(SuperlensError) as error:
        read(path, **options)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


# -- round trips


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=images(), ending=st.sampled_from([".tif", ".ome.tif"]), packed=st.booleans())
def test_an_image_survives_its_file(tmp_path: Path, image: Image, ending: str, packed: bool) -> None:
    back = read(write(tmp_path / f"cell{ending}", image, compression="deflate" if packed else "none"))
    np.testing.assert_array_equal(back.data, image.data)
    assert back.data.dtype == image.data.dtype
    for kept in ("axes", "pixel_nm", "z_step_nm", "frame_interval_s", "name", "history"):
        assert getattr(back, kept) == getattr(image, kept), kept
    assert back.channel_names == image.channel_names


@pytest.mark.parametrize("dtype", REAL_TYPES)
@pytest.mark.parametrize("ending", [".tif", ".ome.tif"])
def test_values_of_every_type_are_written_exactly(tmp_path: Path, dtype: str, ending: str) -> None:
    image = Image(noise(dtype=dtype))
    np.testing.assert_array_equal(read(write(tmp_path / f"a{ending}", image)).data, image.data)


def test_integers_that_float32_would_change_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError, match="16777216"):
        write(tmp_path / "a.tif", Image(np.full((4, 4), 2**24 + 1)))


def test_imagej_reads_a_calibrated_hyperstack(tmp_path: Path) -> None:
    image = Image(noise((2, 3, 4, 8, 9)), "TCZYX", 65.0, 200.0, 0.5, ("dna", "actin", "tubulin"))
    with tifffile.TiffFile(write(tmp_path / "a.tif", image)) as tiff:
        imagej = tiff.imagej_metadata
        assert imagej is not None
        assert (imagej["frames"], imagej["channels"], imagej["slices"]) == (2, 3, 4)
        assert (imagej["unit"], imagej["spacing"], imagej["finterval"]) == ("micron", 0.2, 0.5)
        assert imagej["hyperstack"] is True
        assert imagej["mode"] == "composite"
        assert imagej["Ranges"][:2] == (image.data[:, 0].min(), image.data[:, 0].max())
        assert imagej["Labels"][:4] == ["dna", "actin", "tubulin", "dna"]
        numerator, denominator = tiff.pages.first.tags["XResolution"].value
        assert denominator / numerator == pytest.approx(0.065, rel=1e-6)
        assert tiff.series[0].axes == "TZCYX"


def test_above_four_gigabytes_the_file_is_an_ome_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from superlens.io import tiff_out

    monkeypatch.setattr(tiff_out, "_CLASSIC_LIMIT", 1000)  # real files of that size would take minutes
    image = Image(noise((3, 20, 30)), "ZYX", 65.0, 200.0, name="a", history={"seed": 1})
    path = write(tmp_path / "a.tif", image)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        assert tiff.is_ome
    back = read(path)
    np.testing.assert_array_equal(back.data, image.data)
    assert (back.axes, back.pixel_nm, back.z_step_nm, back.history) == ("ZYX", 65.0, 200.0, {"seed": 1})


def test_imagej_shows_the_range_of_the_values_and_not_of_their_type(tmp_path: Path) -> None:
    data = noise((20, 30), "f4")
    data[0, 0] = np.nan
    with tifffile.TiffFile(write(tmp_path / "a.tif", Image(data))) as tiff:
        assert tiff.imagej_metadata is not None
        assert (tiff.imagej_metadata["min"], tiff.imagej_metadata["max"]) == (np.nanmin(data), np.nanmax(data))
    np.testing.assert_array_equal(read(tmp_path / "a.tif").data, data)


def test_sizes_corrected_in_another_program_win_over_the_note(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", Image(noise((3, 20, 30)), "ZYX", 65.0, 200.0, history={"seed": 1}))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.imagej_metadata is not None
        info, data = tiff.imagej_metadata["Info"], tiff.asarray()
    metadata = {"axes": "ZYX", "unit": "micron", "spacing": 0.3, "Info": info}
    tifffile.imwrite(path, data, imagej=True, resolution=(10.0, 10.0), metadata=metadata)
    back = read(path)
    assert (back.pixel_nm, back.z_step_nm) == (pytest.approx(100.0), pytest.approx(300.0))
    assert back.history == {"seed": 1}


def test_a_note_about_other_axes_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", Image(noise((3, 20, 30)), "ZYX"))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.imagej_metadata is not None
        info = tiff.imagej_metadata["Info"]
    tifffile.imwrite(path, noise((5, 20, 30)), imagej=True, metadata={"axes": "TYX", "Info": info})
    assert read(path).sizes == {"T": 5, "Y": 20, "X": 30}


def test_history_that_is_not_json_is_refused_and_numpy_numbers_are_not(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError, match="history cannot be written"):
        write(tmp_path / "a.tif", Image(noise(), history={"what": object()}))
    path = write(tmp_path / "a.tif", Image(noise(), history={"a": np.float32(0.5), "b": Path("x"), "c": np.arange(2)}))
    assert read(path).history == {"a": 0.5, "b": "x", "c": [0, 1]}


# -- what other programs write


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", REAL_TYPES)
def test_plain_tiff_of_every_type_and_order(tmp_path: Path, order: str, bigtiff: bool, dtype: str) -> None:
    data = noise(dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", data, byteorder=order, bigtiff=bigtiff, metadata=None)  # type: ignore[arg-type]
    back = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == np.dtype(dtype)
    assert back.data.dtype.isnative


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
def test_compressed_tiff(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(), compression=compression)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").data, noise())


def test_a_blank_compressed_image_is_not_taken_for_a_lie(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3000, 3000), np.uint16), compression="zlib", rowsperstrip=3000)
    assert read(tmp_path / "a.tif").data.shape == (3000, 3000)


@pytest.mark.parametrize(
    ("unit", "nm"),
    [
        ("nm", 1), ("um", 1e3), ("micron", 1e3), ("\\u00B5m", 1e3), ("microns", 1e3),
        ("mm", 1e6), ("cm", 1e7), ("inch", 25.4e6), ("pixel", None), ("", None),
    ],
)  # fmt: skip
def test_imagej_units(tmp_path: Path, unit: str, nm: float | None) -> None:
    pixel = 65.0 / (nm or 1e3)
    fraction = (100_000, round(pixel * 100_000)) if pixel > 1 else (round(10_000 / pixel), 10_000)
    metadata = {"axes": "ZYX", "unit": unit, "spacing": 200.0 / (nm or 1e3)}
    tifffile.imwrite(
        tmp_path / "a.tif", noise((2, 20, 30)), imagej=True, resolution=(fraction, fraction), metadata=metadata
    )
    image = read(tmp_path / "a.tif")
    if nm is None:
        assert image.pixel_nm is image.z_step_nm is None
    else:
        assert image.pixel_nm == pytest.approx(65.0, rel=1e-5)
        assert image.z_step_nm == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("dpi", "unit"), [(72, "inch"), (96, "inch"), (300, "inch"), (28.35, "centimeter"), (1, "centimeter"), (1, None)]
)
def test_resolutions_meant_for_printers_are_no_pixel_size(tmp_path: Path, dpi: float, unit: str | None) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(), resolution=(dpi, dpi), resolutionunit=unit or 1)
    assert read(tmp_path / "a.tif").pixel_nm is None
    assert read(tmp_path / "a.tif", pixel_nm=65.0).pixel_nm == 65.0


def test_one_to_one_in_imagej_is_no_pixel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(), imagej=True, resolution=(1, 1), metadata={"unit": "micron"})
    assert read(tmp_path / "a.tif").pixel_nm is None


def test_pixels_that_are_not_square_are_refused_unless_the_size_is_given(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(), imagej=True, resolution=(10, 20), metadata={"unit": "um"})
    assert "100 x 50 nm" in refused(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif", pixel_nm=80.0).pixel_nm == 80.0


def test_ome_names_sizes_and_units(tmp_path: Path) -> None:
    metadata = {
        "axes": "CZYX",
        "PhysicalSizeX": 65.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.065,
        "PhysicalSizeZ": 0.2,
        "TimeIncrement": 250.0,
        "TimeIncrementUnit": "ms",
        "Channel": {"Name": ["dna", "actin"]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", noise((2, 3, 20, 30)), metadata=metadata)
    image = read(tmp_path / "a.ome.tif")
    assert (image.axes, image.name, image.channel_names) == ("CZYX", "a", ("dna", "actin"))
    assert (image.pixel_nm, image.z_step_nm, image.frame_interval_s) == (65.0, 200.0, 0.25)


def test_axes_come_out_in_the_order_tczyx(tmp_path: Path) -> None:
    data = noise((2, 3, 20, 30))
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    image = read(tmp_path / "a.tif")
    assert image.axes == "CZYX"
    np.testing.assert_array_equal(image.data, data.transpose(1, 0, 2, 3))


def test_pages_without_names_need_axes(tmp_path: Path) -> None:
    path, data = tmp_path / "a.tif", noise((5, 20, 30))
    tifffile.imwrite(path, data, metadata=None)
    assert "5 images" in refused(path)
    assert "`axes` ZYX" in refused(path)
    assert read(path, axes="zyx").sizes == {"Z": 5, "Y": 20, "X": 30}
    assert read(path, axes="YXZ").sizes == {"Z": 30, "Y": 5, "X": 20}
    for wrong in ("YX", "TZYX", "ZYQ", "ZZY", "TCZ"):
        assert "axes is" in _message(path, axes=wrong)


def _message(path: Path, **options: Any) -> str:
    with pytest.raises(SuperlensError) as error:
        read(path, **options)
    return str(error.value)


def test_four_unnamed_axes_need_axes_too(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((2, 5, 20, 30)))
    assert "each of the 4" in refused(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif", axes="TZYX").axes == "TZYX"


def test_of_unlike_images_a_much_smaller_one_is_left_out_with_a_warning(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(noise(), metadata=None)
        tiff.write(noise((9, 9)), metadata=None)
    with pytest.warns(SuperlensWarning, match="2 images, 0: YX 20 x 30, 1: YX 9 x 9. Read: 0"):
        assert read(tmp_path / "a.tif").data.shape == (20, 30)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_png_in(tmp_path: Path, dtype: str) -> None:
    from imagecodecs import png_encode

    data = noise(dtype=dtype) * (1 if dtype == "u1" else 600)
    (tmp_path / "a.png").write_bytes(png_encode(data.astype(dtype)))
    image = read(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, data.astype(dtype))
    assert image.axes == "YX"


@pytest.mark.parametrize(("per_metre", "pixel_nm"), [(10_000_000, 100.0), (2835, None), (11811, None)])
def test_png_states_a_pixel_size_only_when_it_is_not_a_printers(
    tmp_path: Path, per_metre: int, pixel_nm: float | None
) -> None:
    from imagecodecs import png_encode

    plain = png_encode(noise(dtype="u1"))
    chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    crc = struct.pack(">I", __import__("zlib").crc32(chunk))
    (tmp_path / "a.png").write_bytes(plain[:33] + struct.pack(">I", 9) + chunk + crc + plain[33:])
    assert read(tmp_path / "a.png").pixel_nm == pixel_nm


# -- refusals


def test_paths_that_are_no_image_files(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "a.xyz").write_text("x")
    (tmp_path / "a.jpg").write_text("x")
    (tmp_path / "text.tif").write_text("this is no image, whatever its name says")
    (tmp_path / "text.png").write_text("this is no image, whatever its name says")
    assert "does not exist" in refused(tmp_path / "missing.tif")
    assert "is a folder" in refused(tmp_path)
    assert "is empty" in refused(tmp_path / "empty.tif")
    assert "(.xyz); expected .tif" in refused(tmp_path / "a.xyz")
    assert "not measurements" in refused(tmp_path / "a.jpg")
    assert "cannot be read as TIFF" in refused(tmp_path / "text.tif")
    assert "is no PNG file" in refused(tmp_path / "text.png")


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (noise((20, 30, 3), "u1"), {"photometric": "rgb"}, "colour image"),
        (noise((3, 20, 30), "u1"), {"photometric": "rgb", "planarconfig": "separate"}, "colour image"),
        (noise((20, 30, 4), "u1"), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "colour image"),
        (noise() > 50, {}, "mask"),
        (noise(dtype="c8"), {}, "modulus"),
    ],
)
def test_tiff_that_is_no_grey_image(tmp_path: Path, data: np.ndarray[Any, Any], options: Any, said: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", data, **options)
    assert said in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", [2, 3, 4, 6])
def test_png_that_is_no_grey_image(tmp_path: Path, kind: int) -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBB", 20, 20, 8, kind) + bytes(7)
    (tmp_path / "a.png").write_bytes(header)
    assert "expected grey values" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["plain", "imagej", "ome", "zlib"])
def test_truncated_tiff(tmp_path: Path, kind: str, share: float) -> None:
    path, data = tmp_path / "a.tif", noise((6, 64, 64))
    options: dict[str, Any] = {
        "plain": {"metadata": None},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
        "zlib": {"compression": "zlib", "metadata": {"axes": "ZYX"}},
    }
    tifffile.imwrite(path, data, **options[kind])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    if kind == "imagej" and share == 0.99:  # only directories of later pages are lost, which ImageJ never writes
        np.testing.assert_array_equal(read(path, axes="ZYX").data, data)
    else:
        refused(path, axes="ZYX")


def test_truncated_png(tmp_path: Path) -> None:
    from imagecodecs import png_encode

    whole = png_encode(noise((64, 64)))
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in refused(tmp_path / "a.png")


def _lie(path: Path, tags: dict[int, int]) -> None:
    """Overwrite values of tags in the first directory of a little-endian classic TIFF."""
    with path.open("r+b") as file:
        file.seek(4)
        (directory,) = struct.unpack("<I", file.read(4))
        file.seek(directory)
        (count,) = struct.unpack("<H", file.read(2))
        for entry in range(count):
            file.seek(directory + 2 + 12 * entry)
            (code,) = struct.unpack("<H", file.read(2))
            if code in tags:
                file.write(struct.pack("<HII", 4, 1, tags[code]))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("sides", [(1 << 20, 1 << 20), (1 << 31, 4), (30, 1 << 30)])
def test_a_header_that_claims_more_than_the_file_has(tmp_path: Path, compression: str | None, sides: Any) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(), compression=compression, metadata=None)
    _lie(path, {256: sides[0], 257: sides[1], 278: sides[1]})
    message = refused(path)
    assert any(said in message for said in ("claims", "cannot be read", "contents reach to"))


def test_of_an_ome_header_that_claims_frames_the_file_lacks_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise((2, 20, 30)), metadata={"axes": "TYX"})
    path.write_bytes(path.read_bytes().replace(b'SizeT="2"', b'SizeT="9"'))
    with pytest.warns(SuperlensWarning, match="announces 9 planes, and 7 of them are missing"):
        np.testing.assert_array_equal(read(path).data, noise((2, 20, 30)))


# -- writing


def test_a_killed_or_failed_run_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as beside:
        beside.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full to stand for a full disk")
    (tmp_path / "a.tif").write_text("old")
    with pytest.raises(SuperlensError, match="no space left"), replacing(tmp_path / "a.tif"):
        full.write_bytes(bytes(10))
    assert (tmp_path / "a.tif").read_text() == "old"


def test_an_array_that_the_disk_takes_in_part_is_one_line(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="file size limits are a matter of Unix")
    import signal

    (tmp_path / "a.tif").write_text("old")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(SuperlensError, match="no space left"):
            write(tmp_path / "a.tif", Image(noise((200, 200), "f4")))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "a.tif").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/a.tif", "Make the folder first"),
        ("file/a.tif", "is not a folder"),
        ("a.png", "expected .tif"),
        ("d.tif", "a folder"),
    ],
)
def test_places_that_cannot_be_written(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "d.tif").mkdir()
    with pytest.raises(SuperlensError, match=said):
        write(tmp_path / name, Image(noise()))


def test_a_folder_without_permission_is_one_line(tmp_path: Path) -> None:
    import os

    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere, so no folder is closed to it")
        with pytest.raises(SuperlensError, match="may not be written"):
            write(tmp_path / "a.tif", Image(noise()))
    finally:
        tmp_path.chmod(0o700)


# -- folders


def test_folders_stand_for_the_images_in_them(tmp_path: Path) -> None:
    for name in ("b.tif", "a.TIF", "c.dv", "d.txt", ".hidden.tif"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub.tif").mkdir()
    assert [path.name for path in find_images([tmp_path])] == ["a.TIF", "b.tif", "c.dv"]
    assert [path.name for path in find_images([tmp_path / "b.tif", str(tmp_path)])] == ["b.tif", "a.TIF", "c.dv"]


def test_no_image_at_all_is_one_line(tmp_path: Path) -> None:
    for paths in ([tmp_path], []):
        with pytest.raises(SuperlensError, match="no image found in"):
            find_images(paths)
    with pytest.raises(SuperlensError, match="does not exist"):
        find_images([tmp_path / "x.tif"])
