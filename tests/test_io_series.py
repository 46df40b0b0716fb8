"""Several images in one file, previews, and files that are one image together: what is read is what was meant."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from foreign_tiff import ome_xml, pixels_xml, planes, tiff_data, write_pages
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import ImageFile, open_image, open_sequence, read, read_sequence, write

RNG = np.random.default_rng(0)


def noise(*shape: int, dtype: str = "u2") -> np.ndarray[Any, Any]:
    return RNG.integers(1, 200, shape).astype(dtype)


def write_series(path: Path, *series: np.ndarray[Any, Any], **options: Any) -> Path:
    """A plain TIFF of unlike images, one page for each plane."""
    with tifffile.TiffWriter(path) as tiff:
        for data in series:
            for page in data if data.ndim == 3 and data.shape[-1] != 3 else [data]:
                colour = page.ndim == 3
                tiff.write(
                    page, contiguous=False, metadata=None, photometric="rgb" if colour else "minisblack", **options
                )
    return path


# -- previews


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    "preview", [noise(16, 20), noise(64, 80, 3, dtype="u1"), noise(16, 20, 3, dtype="u1"), noise(32, 40)]
)
def test_a_preview_before_the_image_is_not_taken_for_it(
    tmp_path: Path, preview: np.ndarray[Any, Any], compression: str | None, lazily: bool
) -> None:
    stack = noise(5, 64, 80)
    path = write_series(tmp_path / "a.tif", preview, stack, compression=compression)
    with pytest.warns(SuperlensWarning, match=r"2 images, 0: .*, 1: IYX 5 x 64 x 80\. Read: 1\. .*give `series`"):
        image = open_image(path, axes="TYX").load() if lazily else read(path, axes="TYX")
    np.testing.assert_array_equal(image.data, stack)
    np.testing.assert_array_equal(read(path, axes="TYX", series=1).data, stack)


def test_what_the_file_calls_a_smaller_copy_is_left_out_without_a_word(tmp_path: Path) -> None:
    data = noise(64, 80)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(data[::2, ::2], metadata=None, subfiletype=1)
        tiff.write(data, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "a.tif").data, data)


@pytest.mark.parametrize("lazily", [False, True])
def test_the_levels_of_a_pyramid_are_one_image(tmp_path: Path, lazily: bool) -> None:
    data = noise(64, 96)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        options: dict[str, Any] = {"tile": (16, 16), "compression": "zlib"}
        tiff.write(data, subifds=1, metadata={"axes": "YX", "PhysicalSizeX": 0.065, "PhysicalSizeY": 0.065}, **options)
        tiff.write(data[::2, ::2], subfiletype=1, **options)
    image = open_image(tmp_path / "a.ome.tif").load() if lazily else read(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.data, data)


# -- several images


def test_of_several_images_one_must_be_chosen(tmp_path: Path) -> None:
    first, second = noise(20, 30), noise(4, 24, 28)
    path = write_series(tmp_path / "a.tif", first, second)
    with pytest.raises(SuperlensError, match=r"2 images, 0: YX 20 x 30, 1: IYX 4 x 24 x 28\. Give `series`"):
        read(path)
    np.testing.assert_array_equal(read(path, series=0).data, first)
    np.testing.assert_array_equal(open_image(path, series=1, axes="TYX").data[:], second)
    np.testing.assert_array_equal(ImageFile(path, "TYX", series=1).open().data[:], second)
    for wrong in (2, -1):
        with pytest.raises(SuperlensError, match=f"`series` is {wrong}; a.tif holds 2 images"):
            read(path, series=wrong)


@pytest.mark.parametrize("lazily", [False, True])
def test_the_images_of_an_ome_tiff_have_names_and_sizes(tmp_path: Path, lazily: bool) -> None:
    sizes = {"X": 24, "Y": 20, "Z": 3}
    images = [
        pixels_xml(sizes, "".join(tiff_data({"Z": z}, z + 3 * at) for z in range(3)), pixel=0.065 + 0.035 * at)
        for at in range(2)
    ]
    path = write_pages(tmp_path / "a.ome.tif", planes({"T": 2, "Z": 3})[:, 0].reshape(6, 20, 24), ome_xml(images))
    with pytest.raises(SuperlensError, match=r"0: site 0 \(CZYX|0: site 0 \("):
        read(path)
    for at in range(2):
        image = open_image(path, series=at).load() if lazily else read(path, series=at)
        np.testing.assert_array_equal(image.data, planes({"T": 2, "Z": 3})[at, 0])
        assert image.pixel_nm == pytest.approx(65.0 + 35.0 * at)


def test_a_converted_folder_of_several_images(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for at in range(2):
        inner = write(tmp_path / "a.zarr" / f"{at}.zarr", Image(noise(20 + at, 30), pixel_nm=65.0 + at))
        inner.rename(tmp_path / "a.zarr" / str(at))
    with pytest.raises(SuperlensError, match=r"2 images, 0: .*YX 20 x 30.* 1: .*YX 21 x 30.*Give `series`"):
        read(tmp_path / "a.zarr")
    assert [read(tmp_path / "a.zarr", series=at).pixel_nm for at in range(2)] == [65.0, 66.0]


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr"])
def test_the_only_image_is_number_0(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, Image(noise(20, 30), pixel_nm=65.0))
    assert read(path, series=0).pixel_nm == 65.0
    with pytest.raises(SuperlensError, match="`series` is 1"):
        read(path, series=1)


# -- sequences


def write_sequence(folder: Path, names: list[str], data: np.ndarray[Any, Any], pixel_nm: float | None = 65.0) -> None:
    for name, plane in zip(names, data, strict=True):
        write(folder / name, Image(plane, "ZYX" if plane.ndim == 3 else "YX", pixel_nm=pixel_nm))


@pytest.mark.parametrize("axis", ["T", "Z", "C"])
@pytest.mark.parametrize("source", ["", "cell_0001.tif", "cell_10.tif", "cell_*.tif"])
def test_files_with_numbers_are_one_stack_in_their_order(tmp_path: Path, source: str, axis: Any) -> None:
    data = noise(3, 20, 30)
    names = ["cell_1.tif", "cell_2.tif", "cell_3.tif"]
    if source == "cell_0001.tif":
        names = ["cell_0001.tif", "cell_0002.tif", "cell_0003.tif"]
    if source == "cell_10.tif":
        names = ["cell_9.tif", "cell_10.tif", "cell_11.tif"]
    write_sequence(tmp_path, names, data)
    image = read_sequence(tmp_path / source, axis)
    assert (image.axes, image.pixel_nm, image.name) == (f"{axis}YX", 65.0, "cell")
    np.testing.assert_array_equal(image.data, data)
    opened = open_sequence(tmp_path / source, axis)
    np.testing.assert_array_equal(opened.data[1:3, 4:9, :5], data[1:3, 4:9, :5])
    np.testing.assert_array_equal(ImageFile(tmp_path / source, sequence=axis).open().plane(2), data[2])


def test_volumes_become_frames_and_parts_of_a_movie_are_joined(tmp_path: Path) -> None:
    volumes = noise(2, 3, 20, 30)
    write_sequence(tmp_path, ["v_t0.tif", "v_t1.tif"], volumes)
    image = read_sequence(tmp_path)
    assert image.axes == "TZYX"
    np.testing.assert_array_equal(image.data, volumes)
    np.testing.assert_array_equal(read_sequence(tmp_path, "Z").data, volumes.reshape(6, 20, 30))


def test_the_number_that_changes_gives_the_order_wherever_it_stands(tmp_path: Path) -> None:
    data = noise(3, 20, 30)
    write_sequence(tmp_path, ["a_t1_c0.tif", "a_t2_c0.tif", "a_t10_c0.tif"], data)
    with pytest.warns(SuperlensWarning, match="3, 4, 5, 6, 7 and 2 more are missing"):
        np.testing.assert_array_equal(read_sequence(tmp_path).data, data)
    write_sequence(tmp_path, ["a_t1_c1.tif"], data[:1])
    with pytest.raises(SuperlensError, match="differ in 2 numbers"):
        read_sequence(tmp_path)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"flat.tif": noise(20, 30)}, "differ by more than a number: flat.tif"),
        ({"a_3.tif": noise(21, 30)}, "a_3.tif has YX 21 x 30, and a_1.tif has YX 20 x 30"),
        ({"a_3.tif": noise(20, 30).astype("f4")}, "values of type float32"),
        ({"a_01.tif": noise(20, 30)}, "the same number"),
    ],
)
def test_files_that_are_not_alike_are_no_sequence(
    tmp_path: Path, others: dict[str, np.ndarray[Any, Any]], said: str
) -> None:
    write_sequence(tmp_path, ["a_1.tif", "a_2.tif"], noise(2, 20, 30))
    for name, data in others.items():
        write(tmp_path / name, Image(data, pixel_nm=65.0))
    with pytest.raises(SuperlensError, match=said):
        read_sequence(tmp_path)


def test_what_the_files_of_a_sequence_say_is_said_once(tmp_path: Path) -> None:
    for at in range(4):
        write(tmp_path / f"a_{at}.tif", Image(noise(20, 30), pixel_nm=65.0 + 40 * (at == 2)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SuperlensWarning)
        assert read_sequence(tmp_path).pixel_nm == 65.0
        assert read_sequence(tmp_path, pixel_nm=80.0).pixel_nm == 80.0
    assert [str(each.message)[:7] for each in caught] == ["a_2.tif"]


def test_no_sequence_at_all_is_one_line(tmp_path: Path) -> None:
    for source, said in (("a_*.tif", "no file is called"), ("a_1.tif", "does not exist"), ("", "no image found")):
        with pytest.raises(SuperlensError, match=said):
            read_sequence(tmp_path / source)
    with pytest.raises(SuperlensError, match="axis is 'Y'"):
        read_sequence(tmp_path, "Y")  # type: ignore[arg-type]
