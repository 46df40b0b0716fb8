"""Images of several channels: each has a model and a PSF of its own, and nothing of one reaches another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result as Ran
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.enhancing import enhance, predict, predict_file, train
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import ImageFile, open_image, read, write
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import ChannelModels, Model, load_model
from superlens.optics import PSF, Objective
from superlens.predicting import BlockOptions
from superlens.progress import Cancelled
from superlens.training.two_stage.state import TwoStageState

pytestmark = pytest.mark.usefixtures("slim", "untraced")

Run = Callable[..., Ran]

START = ZSDeconvConfig.of(steps=0, flips=1)
GREEN, RED = (Objective(na=1.3, wavelength_nm=nm) for nm in (525, 600))
QUICK = ("--steps", 0, "--set", "flips=1")


def counts(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    return Camera(2.0, 100.0, 1.0).expose(rng.poisson(20 + 80 * rng.random(shape) ** 6), rng, bits=16)


@pytest.fixture
def movie() -> Image:
    """Two frames, three channels, 32 x 40 pixels."""
    return Image(
        counts((2, 3, 32, 40)), "TCYX", 65.0, frame_interval_s=0.5, channel_names=("a", "b", "c"), name="movie"
    )


@pytest.fixture(scope="module")
def models(slim: None) -> ChannelModels:
    image = Image(counts((2, 3, 32, 40)), "TCYX", 65.0)
    return train(image, [GREEN, RED], channels=[0, 2], config=START)


def psf_of(model: Model) -> PSF:
    psf = TwoStageState.of(model).psf
    assert psf is not None
    return psf


def same(one: Image | None, other: Image | None) -> None:
    assert one is not None and other is not None
    np.testing.assert_allclose(one.data, other.data, atol=1e-3)


# -- the method


def test_a_channel_comes_out_as_it_would_alone(movie: Image) -> None:
    both = enhance(movie, [GREEN, RED], channels=[0, 2], config=START)
    assert both.image is not None
    assert (both.image.axes, both.image.data.shape) == ("TCYX", (2, 2, 64, 80))
    assert (both.image.channel_names, both.image.frame_interval_s, both.image.pixel_nm) == (("a", "c"), 0.5, 32.5)
    assert both.prior_only is not None and both.prior_only.shape == both.image.data.shape
    for at, (channel, lens) in enumerate(((0, GREEN), (2, RED))):
        alone = enhance(movie.select(c=channel), lens, config=START)
        same(both.image.select(c=at), alone.image)
        same(both.denoised.select(c=at), alone.denoised)
        assert psf_of(both.model.models[at]).fwhm_nm == psf_of(alone.model).fwhm_nm
    told = both.image.history["superlens"]["channels"]
    assert [entry["channel"] for entry in told] == [0, 2]
    assert told[0]["psf_fwhm_nm"] < told[1]["psf_fwhm_nm"]


def test_all_channels_are_meant_when_none_is_named(movie: Image) -> None:
    assert train(movie, [GREEN, GREEN, RED], config=START).channels == (0, 1, 2)


def test_one_file_holds_the_models_and_predicts_the_same(movie: Image, models: ChannelModels, tmp_path: Path) -> None:
    models.save(tmp_path / "m.zip")
    loaded = load_model(tmp_path / "m.zip")
    assert isinstance(loaded, ChannelModels) and loaded.channels == (0, 2)
    first = predict(models, movie)
    same(first.image, predict(loaded, movie).image)
    same(first.image, predict(loaded, movie.with_channels([0, 2])).image)
    with pytest.raises(SuperlensError, match="channels 0, 2"):
        Model.load(tmp_path / "m.zip")


def test_a_file_of_one_model_is_one_of_channel_0(small_model: Path) -> None:
    assert isinstance(load_model(small_model), Model)
    assert ChannelModels.load(small_model).channels == (0,)


@pytest.mark.parametrize("channels", [1, 4])
def test_an_image_without_the_channels_is_refused(models: ChannelModels, channels: int) -> None:
    if channels == 4:
        assert predict(models, Image(counts((4, 32, 40)), "CYX", 65.0)).denoised.sizes["C"] == 2
        return
    with pytest.raises(SuperlensError, match="has 1 channel and the model is for channels 0, 2"):
        predict(models, Image(counts((32, 40)), "YX", 65.0))


def test_every_way_of_a_missing_psf_is_refused(movie: Image) -> None:
    with pytest.raises(SuperlensError, match="there are 3 channels and optics for 2"):
        enhance(movie, [GREEN, RED], config=START)
    with pytest.raises(SuperlensError, match=r"channel 2 \(c\) has no optics"):
        enhance(movie, [GREEN, GREEN, None], config=START)
    with pytest.raises(SuperlensError, match="expected numbers from 0 to 2"):
        enhance(movie, [GREEN, GREEN], channels=[1, 3], config=START)
    with pytest.raises(SuperlensError, match="each once"):
        enhance(movie, [GREEN, GREEN], channels=[1, 0], config=START)


def test_a_channel_that_cannot_be_worked_on_is_named(movie: Image) -> None:
    dark = movie.with_data(np.where(np.arange(3)[:, None, None] == 1, np.uint16(7), movie.data))
    with pytest.raises(SuperlensError, match=r"channel 1 \(b\): .*constant"):
        train(dark, [GREEN, GREEN, RED], config=START)


def test_stopping_before_the_last_channel_gives_no_half_result_and_no_further_work(movie: Image) -> None:
    heard: list[str] = []

    def stop(done: int, total: int, message: str) -> None:
        heard.append(message)
        if message.startswith("channel 0") and "training" in message and done >= 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        enhance(movie, [GREEN] * 3, config=ZSDeconvConfig.of(steps=4, flips=1, batch=1), progress=stop)
    assert not [message for message in heard if "predicting" in message]


def test_the_report_shows_each_channel(movie: Image) -> None:
    page = enhance(movie, [GREEN, RED], channels=[0, 2], config=START).report
    assert page.count("<iframe") == 2
    assert "channel 0 (a)" in page and "channel 2 (c)" in page
    assert "http-equiv" in page and "src=" not in page.partition("<iframe")[0]


# -- by blocks


@pytest.mark.parametrize("name", ["movie.ome.zarr", "movie.ome.tif"])
def test_by_blocks_each_channel_has_its_model(movie: Image, models: ChannelModels, tmp_path: Path, name: str) -> None:
    models.save(tmp_path / "m.zip")
    path = write(tmp_path / name, movie)
    (made,) = predict_file(tmp_path / "m.zip", path, tmp_path / f"sr_{name}", options=BlockOptions(block=16))
    expected = predict(models, movie).image
    found = read(made)
    assert (found.axes, found.channel_names) == ("TCYX", ("a", "c"))
    np.testing.assert_allclose(found.data, expected.data, atol=1e-5 * np.ptp(expected.data))
    assert [entry["channel"] for entry in found.history["superlens"]["channels"]] == [0, 2]


def test_channels_of_a_file_are_taken_without_reading_the_others(movie: Image, tmp_path: Path) -> None:
    path = write(tmp_path / "movie.ome.zarr", movie)
    picked = ImageFile(path, channels=(2,)).open()
    assert picked.channel_names == ("c",)
    np.testing.assert_array_equal(picked.load().data, movie.data[:, [2]])
    np.testing.assert_array_equal(open_image(path).with_channels([2, 0]).plane(1), movie.data[0, 0])


# -- the wavelength that a file states


@pytest.mark.parametrize("name", ["cell.ome.tif", "cell.tif", "cell.ome.zarr"])
def test_emission_wavelengths_survive_their_file(movie: Image, tmp_path: Path, name: str) -> None:
    stated = Image(movie.data, "TCYX", 65.0, emission_nm=(525.0, 561.5, None))
    back = read(write(tmp_path / name, stated))
    assert back.emission_nm == (525.0, 561.5, None)
    assert back.select(c=1).emission_nm == (561.5,)
    assert back.with_channels([2, 0]).emission_nm == (None, 525.0)


def test_emission_wavelengths_of_ome_are_read_in_their_unit(tmp_path: Path) -> None:
    channel = {"EmissionWavelength": [0.525, 0.6], "EmissionWavelengthUnit": ["µm", "µm"]}
    tifffile.imwrite(
        tmp_path / "cell.ome.tif", counts((2, 32, 40)), metadata={"axes": "CYX", "Channel": channel}, ome=True
    )
    assert read(tmp_path / "cell.ome.tif").emission_nm == pytest.approx((525.0, 600.0))


# -- the command


def refused(result: Ran, *words: str) -> None:
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0], lines[0]


def test_the_command_makes_one_image_one_model_and_one_report(superlens: Run, movie: Image, tmp_path: Path) -> None:
    path, out = write(tmp_path / "movie.ome.tif", movie), tmp_path / "out"
    psfs = [
        write(tmp_path / f"c{at}.tif", Image(PSF.gaussian(nm, 32.5).data.astype(np.float32), pixel_nm=32.5))
        for at, nm in enumerate((220.0, 260.0))
    ]
    asked = ("--channel", 0, "--channel", 2, "--psf", psfs[0], "--psf", psfs[1])
    result = superlens("enhance", path, *asked, *QUICK, "--out", out)
    assert result.exit_code == 0, result.output
    made = read(out / "movie_sr.tif")
    assert (made.axes, made.data.shape, made.channel_names) == ("TCYX", (2, 2, 64, 80), ("a", "c"))
    widths = [psf_of(model).fwhm_nm for model in ChannelModels.load(out / "model.zip").models]
    assert widths == pytest.approx([220.0, 260.0], rel=0.05)
    assert (out / "report.html").read_text(encoding="utf-8").count("<iframe") == 2
    told = json.loads((out / "run.json").read_text())["results"][0]
    assert [(one["channel"], one["name"]) for one in told["channels"]] == [(0, "channel 0 (a)"), (2, "channel 2 (c)")]
    assert not [file.name for file in out.iterdir() if file.name.startswith(".")]

    again = superlens("predict", path, "--model", out / "model.zip", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    np.testing.assert_allclose(read(tmp_path / "again" / "movie_sr.tif").data, made.data, atol=1e-3)


def test_wavelengths_may_come_from_the_command_line_or_the_file(superlens: Run, movie: Image, tmp_path: Path) -> None:
    stated = write(tmp_path / "movie.ome.tif", Image(movie.data[:, :2], "TCYX", 65.0, emission_nm=(525.0, 600.0)))
    silent = write(tmp_path / "silent.ome.tif", Image(movie.data[:, :2], "TCYX", 65.0))
    for name, path, optics in (
        ("a", stated, ("--na", 1.3)),
        ("b", silent, ("--na", 1.3, "--wavelength-nm", 525, "--wavelength-nm", 600)),
    ):
        result = superlens("train", path, *optics, *QUICK, "--model", tmp_path / f"{name}.zip")
        assert result.exit_code == 0, result.output
    first, second = (ChannelModels.load(tmp_path / f"{name}.zip") for name in "ab")
    assert [psf_of(m).source for m in first.models] == [psf_of(m).source for m in second.models]
    assert "525" in psf_of(first.models[0]).source and "600" in psf_of(first.models[1]).source


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--na", 1.3, "--wavelength-nm", 525), ("3 channels", "channel 1 has none", "--channel")),
        (("--na", 1.3), ("3 channels", "--wavelength-nm", "--channel")),
        ((), ("3 channels", "no optics", "--channel")),
        (("--channel", 0, "--channel", 3, "--na", 1.3), ("--channel is 0, 3", "0 to 2")),
        (("--channel", 1, "--channel", 0, "--na", 1.3), ("--channel is 1, 0", "rising")),
        (("--channel", 1, "--na", 1.3, "--wavelength-nm", 525, "--wavelength-nm", 600), ("given 2 times",)),
        (("--channel", 0, "--channel", 1, "--psf", "c0.tif"), ("channel 1 has none", "--psf")),
    ],
)
def test_channels_that_are_not_clear_are_refused(
    superlens: Run, movie: Image, tmp_path: Path, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    path = write(tmp_path / "movie.ome.tif", movie)
    refused(superlens("enhance", path, *options, *QUICK, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


def test_one_channel_is_an_image_of_its_own(superlens: Run, movie: Image, tmp_path: Path) -> None:
    path, model = write(tmp_path / "movie.ome.tif", movie), tmp_path / "m.zip"
    optics = ("--na", 1.3, "--wavelength-nm", 525)
    result = superlens("train", path, "--channel", 1, *optics, *QUICK, "--model", model)
    assert result.exit_code == 0, result.output
    assert isinstance(load_model(model), Model)
    result = superlens("predict", path, "--channel", 1, "--model", model, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "out" / "movie_sr.tif").axes == "TYX"
