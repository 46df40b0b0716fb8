"""OME-Zarr in and out, and images that are read by parts: what was written comes back, whatever the layout of the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import find_images, open_image, read, write
from superlens.io.blockwise import block_format, create_blocks, open_blocks

VERSIONS = ["0.4", "0.5"]


def noise(shape: tuple[int, ...] = (20, 30), dtype: str = "u2") -> NDArray[Any]:
    return np.random.default_rng(1).integers(1, 100, shape).astype(dtype)


def refused(path: Path, **options: Any) -> str:
    """The line by which a folder is refused, the same whether its pixels are read or not."""
    lines = []
    for door in (read, open_image):
        with pytest.raises(SuperlensError) as error:
            door(path, **options)
        lines.append(str(error.value))
    assert lines[0] == lines[1]
    assert "\n" not in lines[0]
    return lines[0]


@st.composite
def images(draw: st.DrawFn) -> Image:
    leading = "".join(axis for axis in "TCZ" if draw(st.booleans()))
    shape = tuple(draw(st.integers(1, 3)) for _ in leading) + (draw(st.integers(2, 40)), draw(st.integers(2, 40)))
    sizes = st.none() | st.floats(0.01, 1e4)
    channels = shape[leading.index("C")] if "C" in leading else 1
    return Image(
        noise(shape, draw(st.sampled_from(["u1", "u2", "i4", "f4", "f8"]))),
        leading + "YX",
        draw(sizes),
        draw(sizes),
        draw(sizes),
        draw(st.just(()) | st.tuples(*[st.text("abc µ", min_size=1, max_size=5)] * channels)),
        "cell",
        {"seed": draw(st.integers(0, 9))},
    )


# -- round trips


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=images(), version=st.sampled_from(VERSIONS))
def test_an_image_survives_its_zarr(tmp_path: Path, image: Image, version: Any) -> None:
    back = read(write(tmp_path / "cell.ome.zarr", image, ngff=version))
    np.testing.assert_array_equal(back.data, image.data)
    assert back.data.dtype == image.data.dtype
    for kept in ("axes", "pixel_nm", "z_step_nm", "frame_interval_s", "channel_names", "name", "history"):
        assert getattr(back, kept) == getattr(image, kept), kept
    assert [path.name for path in tmp_path.iterdir()] == ["cell.ome.zarr"]


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=images(), ending=st.sampled_from([".ome.zarr", ".tif", ".ome.tif", "_packed.tif"]), at=st.integers(0, 99))
def test_a_part_that_is_read_is_that_part_of_the_whole(tmp_path: Path, image: Image, ending: str, at: int) -> None:
    if ending == ".tif" and image.data.dtype.name not in ("uint8", "uint16", "float32"):
        image = image.with_data(image.data.astype(np.float32))
    packed = "deflate" if ending == "_packed.tif" else "none"
    path = write(tmp_path / f"cell{ending}", image, compression=packed)
    whole, opened = read(path), open_image(path)
    assert opened.sizes == whole.sizes
    assert (opened.axes, opened.pixel_nm, opened.name) == (whole.axes, whole.pixel_nm, whole.name)
    planes = list(whole.planes())
    assert opened.planes == len(planes)
    number = at % len(planes)
    y, x = (slice(at % side, at % side + 5) for side in opened.yx_shape)
    np.testing.assert_array_equal(opened.plane(number, y, x), planes[number][1][y, x])
    np.testing.assert_array_equal(opened.load().data, whole.data)


@pytest.mark.parametrize(
    "options", [{"tile": (16, 16), "compression": "zlib"}, {"rowsperstrip": 7}, {"byteorder": ">"}]
)
def test_tiffs_of_other_programs_are_read_by_parts(tmp_path: Path, options: dict[str, Any]) -> None:
    data = noise((3, 40, 50))
    tifffile.imwrite(tmp_path / "a.tif", data, metadata={"axes": "TYX"}, photometric="minisblack", **options)
    opened = open_image(tmp_path / "a.tif", axes="TYX")
    np.testing.assert_array_equal(opened.plane(2, slice(3, 33), slice(10, 20)), data[2, 3:33, 10:20])
    assert opened.data.dtype == np.uint16


# -- metadata


@pytest.mark.parametrize("version", VERSIONS)
def test_the_metadata_say_scale_and_place_of_every_level(tmp_path: Path, version: Any) -> None:
    image = Image(noise((2, 3, 600, 301)), "CZYX", 65.0, 200.0, None, ("dna", "actin"))
    path = write(tmp_path / "a.ome.zarr", image, ngff=version)
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    told: Any = attributes if version == "0.4" else attributes["ome"]
    assert ((path / "zarr.json").exists(), (path / ".zgroup").exists()) == (version == "0.5", version == "0.4")
    level = told["multiscales"][0]
    assert [axis["name"] for axis in level["axes"]] == ["c", "z", "y", "x"]
    assert [axis["type"] for axis in level["axes"]] == ["channel", "space", "space", "space"]
    assert [axis.get("unit") for axis in level["axes"]] == [None, "micrometer", "micrometer", "micrometer"]
    transforms = [dataset["coordinateTransformations"] for dataset in level["datasets"]]
    assert [t[0]["scale"] for t in transforms] == [[1.0, 0.2, 0.065 * f, 0.065 * f] for f in (1, 2, 4)]
    assert [t[1]["translation"][-1] for t in transforms[1:]] == pytest.approx([0.065 / 2, 0.065 * 3 / 2])
    assert [channel["label"] for channel in told["omero"]["channels"]] == ["dna", "actin"]
    shapes = [zarr.open_array(path / str(k), mode="r").shape for k in range(3)]
    assert shapes == [(2, 3, 600, 301), (2, 3, 300, 151), (2, 3, 150, 76)]


def test_each_level_is_the_mean_of_the_finer_one(tmp_path: Path) -> None:
    image = Image(noise((2, 600, 302), "f4"), "TYX")
    path = write(tmp_path / "a.ome.zarr", image)
    means = image.data.reshape(2, 300, 2, 151, 2).mean((2, 4))
    np.testing.assert_allclose(zarr.open_array(path / "1", mode="r")[:], means, rtol=1e-6)


def test_sizes_of_other_programs_are_understood(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("s0", shape=(4, 20, 30), chunks=(1, 20, 30), dtype="u2")[:] = noise((4, 20, 30))
    axes = [{"name": "t", "type": "time", "unit": "millisecond"}, *({"name": n, "unit": "nanometer"} for n in "yx")]
    scale = {"type": "scale", "scale": [10.0, 30.0, 30.0]}
    whole = {"type": "scale", "scale": [1.0, 2.0, 2.0]}
    dataset = {"path": "s0", "coordinateTransformations": [scale]}
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [dataset], "coordinateTransformations": [whole]}
    ]
    image = read(tmp_path / "a.zarr")
    assert (image.axes, image.pixel_nm, image.frame_interval_s) == ("TYX", 60.0, 0.01)


def test_a_scale_without_a_unit_is_no_pixel_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.zarr", Image(noise()))
    assert read(path).pixel_nm is None


def test_the_first_image_of_a_converted_series_is_read(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    inner = write(tmp_path / "a.zarr" / "0.zarr", Image(noise(), pixel_nm=65.0))
    inner.rename(tmp_path / "a.zarr" / "0")
    assert read(tmp_path / "a.zarr").pixel_nm == 65.0
    assert read(tmp_path / "a.zarr" / "0").pixel_nm == 65.0


def test_zarr_folders_are_images_among_others(tmp_path: Path) -> None:
    for name in ("b.ome.zarr", "a.tif"):
        write(tmp_path / name, Image(noise()))
    assert [path.name for path in find_images([tmp_path])] == ["a.tif", "b.ome.zarr"]
    assert [path.name for path in find_images([tmp_path / "b.ome.zarr"])] == ["b.ome.zarr"]


# -- what is refused


@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_chunk_is_refused_unless_asked_for(tmp_path: Path, version: Any) -> None:
    path = write(tmp_path / "a.ome.zarr", Image(noise((3, 20, 30)), "TYX"), ngff=version)
    lost = path / "0" / ("1/0/0" if version == "0.4" else "c/1/0/0")
    lost.unlink()
    assert "lacks 1 of its 3 chunks" in refused(path)
    assert "`fill_missing`" in refused(path)
    np.testing.assert_array_equal(read(path, fill_missing=True).data[1], 0)
    np.testing.assert_array_equal(open_image(path, fill_missing=True).plane(2), noise((3, 20, 30))[2])


def test_empty_parts_of_our_own_are_stored(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 20, 30), np.float32), "TYX")
    np.testing.assert_array_equal(read(write(tmp_path / "a.ome.zarr", image)).data, 0)


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.zarr", Image(noise()))
    (path / "0" / "0" / "0").write_bytes(b"no chunk at all")
    with pytest.raises(SuperlensError, match="damaged"):
        read(path)


@pytest.mark.parametrize("case", ["empty", "text", "no list", "path outside", "wrong axes"])
def test_damaged_metadata_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    path = write(tmp_path / "a.ome.zarr", Image(noise()))
    attributes = json.loads((path / ".zattrs").read_text())
    if case == "empty":
        shutil.rmtree(path)
        path.mkdir()
    elif case == "text":
        (path / ".zattrs").write_text("{")
    else:
        wrong: Any = {"no list": {"multiscales": 7}, "path outside": attributes, "wrong axes": attributes}[case]
        if case == "path outside":
            wrong["multiscales"][0]["datasets"][0]["path"] = "../../x"
        if case == "wrong axes":
            wrong["multiscales"][0]["axes"] = [{"name": "x"}]
        (path / ".zattrs").write_text(json.dumps(wrong))
    assert "a.ome.zarr" in refused(path)


def test_axes_that_are_not_named_are_asked_for(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(3, 20, 30), chunks=(1, 20, 30), dtype="u2", zarr_format=2)
    array[:] = noise((3, 20, 30))
    assert "`axes`" in refused(tmp_path / "a.zarr")
    assert open_image(tmp_path / "a.zarr", axes="ZYX").sizes == {"Z": 3, "Y": 20, "X": 30}


def test_a_plate_is_refused_with_the_next_step(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs["plate"] = {}
    assert "a.zarr/A/1/0" in refused(tmp_path / "a.zarr")


def test_a_folder_that_is_no_zarr_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.ome.zarr.d").mkdir()
    (tmp_path / "a.zarr").write_text("mine")
    with pytest.raises(SuperlensError, match="no Zarr"):
        write(tmp_path / "a.zarr", Image(noise()))
    assert (tmp_path / "a.zarr").read_text() == "mine"


# -- block by block


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_an_image_written_by_blocks_is_the_image(tmp_path: Path, name: str) -> None:
    data = noise((2, 3, 37, 29), "f4")
    image = Image(data, "TCYX", 32.5, None, 0.5, ("a", "b", "c"), name="a", history={"seed": 1})
    kind = block_format(tmp_path / name)
    create_blocks(tmp_path / name, kind, image.with_data(np.broadcast_to(np.float32(0), data.shape)), chunk=(16, 8))
    for number, plane in reversed(list(enumerate(data.reshape(-1, 37, 29)))):
        for y in range(0, 37, 16):
            for x in range(0, 29, 8):
                part = slice(y, min(y + 16, 37)), slice(x, min(x + 8, 29))
                open_blocks(tmp_path / name, kind).write(number, *part, plane[part])
    open_blocks(tmp_path / name, kind).finish()
    back = read(tmp_path / name)
    np.testing.assert_array_equal(back.data, data)
    for kept in ("axes", "pixel_nm", "frame_interval_s", "channel_names", "history"):
        assert getattr(back, kept) == getattr(image, kept), kept


def test_blocks_go_to_zarr_or_tiff() -> None:
    with pytest.raises(SuperlensError, match="ome.zarr"):
        block_format(Path("a.png"))
