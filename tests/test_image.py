"""The image value: axes, sampling, converters, and what makes an image unusable."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import AXES, Image, check_image, fill_plane

AXES_SUBSETS = st.sets(st.sampled_from("TCZ")).map(lambda some: "".join(axis for axis in AXES if axis in some) + "YX")
REAL_TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]


@st.composite
def images(draw: st.DrawFn) -> Image:
    axes = draw(AXES_SUBSETS)
    shape = [draw(st.integers(1, 3)) for _ in axes[:-2]] + [draw(st.integers(1, 6)) for _ in "YX"]
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    names = tuple(f"c{at}" for at in range(shape[axes.index("C")])) if "C" in axes else ()
    return Image(data, axes, 65.0, 200.0, 0.5, names, "cell", {"seed": 1})


def noisy(shape: tuple[int, ...] = (32, 40), dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(0).integers(20, 120, shape).astype(dtype)


# -- construction


@pytest.mark.parametrize(
    ("axes", "shape", "said"),
    [
        ("XY", (4, 4), "in that order"),
        ("ZYX", (4, 4), "one letter for each axis"),
        ("CTYX", (1, 1, 4, 4), "in that order"),
        ("YXS", (4, 4, 3), "in that order"),
        ("YYX", (4, 4, 3), "in that order"),
        ("X", (4,), "with Y and X"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes: str, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(SuperlensError, match=said):
        Image(np.zeros(shape), axes)


@pytest.mark.parametrize(
    ("dtype", "said"), [("?", "mask"), ("c8", "modulus"), ("O", "integers or floats"), ("U3", "int")]
)
def test_values_that_are_not_real_numbers_are_refused(dtype: str, said: str) -> None:
    with pytest.raises(SuperlensError, match=said):
        Image(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("argument", ["pixel_nm", "z_step_nm", "frame_interval_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_sizes_must_be_positive(argument: str, value: float) -> None:
    with pytest.raises(SuperlensError, match=argument):
        Image(np.zeros((4, 4)), **{argument: value})


def test_there_is_a_name_for_each_channel_or_none() -> None:
    with pytest.raises(SuperlensError, match="channel_names has 1"):
        Image(np.zeros((2, 4, 4)), "CYX", channel_names=("dna",))


@pytest.mark.parametrize("dtype", REAL_TYPES)
def test_foreign_byte_order_is_made_native(dtype: str) -> None:
    data = noisy(dtype=dtype)
    image = Image(data.astype(data.dtype.newbyteorder(">")))
    assert image.data.dtype.isnative
    np.testing.assert_array_equal(image.data, data)


# -- what is carried along


@settings(deadline=None)
@given(images(), st.sampled_from([1, 2, 4]))
def test_with_data_divides_the_pixel_size_and_keeps_the_rest(image: Image, scale: int) -> None:
    finer = image.with_data(image.data.repeat(scale, -1).repeat(scale, -2), scale=scale)
    assert finer.pixel_nm == 65.0 / scale
    for kept in ("axes", "z_step_nm", "frame_interval_s", "channel_names", "name", "history"):
        assert getattr(finer, kept) == getattr(image, kept)


@settings(deadline=None)
@given(images())
def test_planes_of_an_image_are_its_data(image: Image) -> None:
    seen = 0
    for index, plane in image.planes():
        chosen = image.select(t=index.get("T"), c=index.get("C"), z=index.get("Z"))
        np.testing.assert_array_equal(chosen.data, plane)
        assert chosen.axes == "YX"
        seen += plane.size
    assert seen == image.data.size


def test_crop_is_a_view_of_the_same_pixels() -> None:
    image = Image(noisy(), pixel_nm=65.0)
    cut = image.crop(y=slice(2, 10), x=slice(5, 8))
    np.testing.assert_array_equal(cut.data, image.data[2:10, 5:8])
    assert np.shares_memory(cut.data, image.data)
    with pytest.raises(SuperlensError, match="step 2"):
        image.crop(y=slice(None, None, 2))


def test_a_crop_beside_the_image_is_refused() -> None:
    image = Image(noisy(), pixel_nm=65.0)
    with pytest.raises(SuperlensError, match=r"x is slice\(900, 950\).*no pixel"):
        image.crop(x=slice(900, 950))


def test_select_refuses_what_is_not_there() -> None:
    image = Image(np.zeros((2, 4, 4)), "TYX")
    with pytest.raises(SuperlensError, match="no axis Z"):
        image.select(z=0)
    with pytest.raises(SuperlensError, match="0 to 1"):
        image.select(t=2)
    assert image.select(t=-1).axes == "YX"


# -- content


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((0, 20)), "no pixels"),
        (np.zeros((15, 2000)), "15 x 2000 pixels"),
        (np.zeros((20, 20)), "constant"),
        (np.full((20, 20), np.nan), "every pixel is NaN"),
        (np.full((20, 20), 65535, np.uint16), "saturated in 100 %"),
        (np.full((20, 20), 255, np.uint8), "saturated in 100 %"),
        (np.full((20, 20), 4095, np.uint16), "saturated in 100 %"),
        (np.where(np.eye(20) > 0, 5.0, np.nan), "NaN or infinite in 95 %"),
    ],
)
def test_images_without_information_are_refused(data: np.ndarray, said: str) -> None:
    with pytest.raises(SuperlensError, match=said):
        check_image(Image(data, name="cell"))


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (16, 2000), (2, 16, 16)])
@pytest.mark.parametrize("dtype", REAL_TYPES)
def test_sound_images_pass_untouched(shape: tuple[int, ...], dtype: str) -> None:
    image = Image(noisy(shape, dtype), "TYX"[-len(shape) :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked = check_image(image)
    assert checked.image is image
    assert checked.messages == ()
    assert not checked.mask.any()


def test_saturated_pixels_are_warned_of_masked_and_filled() -> None:
    data = noisy()
    data[3, 4] = data[10:12, 20] = 65535
    with pytest.warns(SuperlensWarning, match="3 of 1280 pixels are saturated at 65535"):
        checked = check_image(Image(data))
    assert set(zip(*np.nonzero(checked.mask), strict=True)) == {(3, 4), (10, 20), (11, 20)}
    assert checked.image.data.max() < 120
    around = np.delete(data[2:5, 3:6].ravel(), 4)
    assert checked.image.data[3, 4] == np.rint(np.median(around))
    np.testing.assert_array_equal(checked.image.data[~checked.mask], data[~checked.mask])
    assert checked.image.data.dtype == data.dtype


def test_the_top_of_a_12_bit_camera_counts_when_several_pixels_have_it() -> None:
    data = noisy()
    data[5, 5] = 4095
    assert not check_image(Image(data)).mask.any()
    data[5, 5:8] = 4095
    with pytest.warns(SuperlensWarning, match="3 of 1280 pixels are saturated at 4095"):
        assert check_image(Image(data)).mask.sum() == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_undefined_pixels_are_filled_even_in_large_holes(bad: float) -> None:
    data = noisy((64, 64), "f4")
    data[20:44, 20:44] = bad
    with pytest.warns(SuperlensWarning, match="576 of 4096 pixels are undefined"):
        checked = check_image(Image(data))
    assert np.isfinite(checked.image.data).all()
    assert 20 <= checked.image.data[checked.mask].min() <= checked.image.data[checked.mask].max() <= 120


def test_a_plane_without_a_number_takes_the_level_of_the_others() -> None:
    data = noisy((3, 20, 20), "f4")
    data[1] = np.nan
    with pytest.warns(SuperlensWarning, match="400 of 1200"):
        filled = check_image(Image(data, "ZYX")).image.data[1]
    np.testing.assert_array_equal(filled, np.median(data[[0, 2]]))


def test_the_name_of_the_image_is_in_the_message() -> None:
    with pytest.raises(SuperlensError, match="cell_07 is constant"):
        check_image(Image(np.ones((20, 20)), name="cell_07"))


def test_a_plane_without_holes_stays_as_it_is() -> None:
    plane = np.arange(12.0).reshape(3, 4)
    fill_plane(plane, np.zeros(plane.shape, bool), lambda: 7.0)
    np.testing.assert_array_equal(plane, np.arange(12.0).reshape(3, 4))
