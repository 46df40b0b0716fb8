"""Images that another program reconstructed: what is assumed of them, their noise, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import superlens as sl
from superlens.cli import main
from superlens.errors import SuperlensError
from superlens.io import read, write
from superlens.methods.zsdeconv_sim.already import assumed, noise_map, taken, usual_spectrum
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.optics.detection import Detection
from superlens.reconstruct.sim import Reconstruction, Regularisation, Spectrum
from superlens.reconstruct.sim.spectrum import grid_of
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, ideal_pattern, simulate_sim

pytestmark = pytest.mark.usefixtures("slim", "untraced")

OBJECTIVE = sl.Objective(na=1.4, wavelength_nm=525)
PIXEL_NM = 65.0
DETECTION = Detection.of(OBJECTIVE, PIXEL_NM)


def reconstructed(photons=60.0, *, side=128, frequency=0.8, w=0.1, empty=False, seed=0):
    """An image as another program gives it, and the standard deviation of the noise of empty frames in it."""
    rng = np.random.default_rng(seed)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], frequency * DETECTION.cutoff, 0.7, rng)
    operator = Reconstruction((side, side), Spectrum(pattern, DETECTION, Regularisation("wiener", w)))
    if empty:
        frames = rng.poisson(photons, (9, side, side)).astype(np.float32)
    else:
        drawn = filaments((2 * side + 64, 2 * side + 64), rng)
        raw = simulate_sim(drawn, pattern, DETECTION, photons=photons, pixel_nm=PIXEL_NM, rng=rng, margin=16)
        frames = raw.frames.data - np.float32(100)
    return sl.Image(operator.apply(frames), "YX", PIXEL_NM / 2, name="finished")


@pytest.mark.parametrize("frequency", [0.6, 0.9])
def test_the_band_ends_where_the_pattern_has_put_it(frequency):
    image = reconstructed(200.0, frequency=frequency)
    found = assumed(image, OBJECTIVE)
    reach = found.detection.cutoff + found.pattern.orders[0].length
    assert reach == pytest.approx((1 + frequency) * DETECTION.cutoff, rel=0.12)


def test_what_is_assumed_looks_alike_from_all_sides():
    spectrum = usual_spectrum(DETECTION, 1.8 * DETECTION.cutoff)
    angles, radius = np.radians(np.arange(0, 180, 5)), 1.2 * DETECTION.cutoff
    fy, fx = radius * np.sin(angles)[:, None], radius * np.cos(angles)[:, None]
    values = np.array([spectrum.transfer(y[None], x[None])[0, 0] for y, x in zip(fy, fx, strict=True)])
    assert np.ptp(values) < 0.05 * values.mean()
    assert spectrum.transfer(*grid_of((64, 64)))[0, 0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("photons", [20.0, 200.0])
def test_noise_of_an_empty_field_is_its_standard_deviation(photons):
    image = reconstructed(photons, empty=True)
    sigma, _ = noise_map(image.data, assumed(image, OBJECTIVE))
    assert sigma.mean() == pytest.approx(image.data[16:-16, 16:-16].std(), rel=0.15)


def test_noise_scales_with_the_counts():
    image = reconstructed(50.0)
    spectrum = assumed(image, OBJECTIVE)
    one, (dark, slope) = noise_map(image.data, spectrum)
    other, (darker, steeper) = noise_map(image.data * 3, spectrum)
    np.testing.assert_allclose(other, 3 * one, rtol=1e-3)
    assert (darker / dark, steeper / slope) == (pytest.approx(9, rel=1e-3), pytest.approx(3, rel=1e-3))


def test_the_image_of_a_camera_is_refused():
    rng = np.random.default_rng(0)
    camera = sl.Image(rng.poisson(30, (128, 128)).astype(np.float32), "YX", 32.5)
    with pytest.raises(SuperlensError, match="nothing beyond the diffraction limit"):
        assumed(camera, OBJECTIVE)
    with pytest.raises(
        SuperlensError, match="nothing beyond the diffraction limit"
    ):  # as a second one, or by `predict`
        taken(camera, assumed(reconstructed(), OBJECTIVE))
    with pytest.raises(SuperlensError, match="cannot hold detail beyond"):
        assumed(sl.Image(camera.data, "YX", 200.0), OBJECTIVE)


def test_too_few_and_undefined_pixels_are_refused():
    data = reconstructed(side=64).data
    with pytest.raises(SuperlensError, match="48 x 128 pixels; expected at least 64"):
        assumed(sl.Image(data[:48], "YX", 32.5), OBJECTIVE)
    holed = data.copy()
    holed[3, 4:7] = np.nan
    with pytest.raises(SuperlensError, match="3 undefined pixels"):
        assumed(sl.Image(holed, "YX", 32.5), OBJECTIVE)
    with pytest.raises(SuperlensError, match="no pixel size"):
        assumed(sl.Image(data, "YX"), OBJECTIVE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phases": 3}, "is of raw frames"),
        ({"order": "phase,angle"}, "is of raw frames"),
        ({"from_scratch": True}, "raw frames"),
    ],
)
def test_what_contradicts_a_finished_image_is_refused(changes, words):
    config = ZSDeconvSimConfig.of("fast", reconstructed=True, **changes)
    with pytest.raises(SuperlensError, match=words):
        sl.enhance(reconstructed(), OBJECTIVE, sim=True, config=config)


def test_the_result_has_the_pixels_and_the_light_of_the_image_and_says_what_was_assumed():
    image = reconstructed()
    result = sl.enhance(image, OBJECTIVE, sim=True, config=ZSDeconvSimConfig.of("fast", reconstructed=True))
    for role in ("sharp", "denoised", "uncertainty", "reconstruction"):
        assert (result[role].data.shape, result[role].pixel_nm) == (image.data.shape, image.pixel_nm)
    assert result["sharp"].data.mean() == pytest.approx(image.data.mean(), rel=0.02)
    assert any("the usual ones are assumed" in one for one in result.messages)
    assert np.isnan(result.metrics["least_coherence"])
    assert np.isfinite(result.metrics["residual_std_in_sigma"])


def test_shell_trains_and_predicts_finished_images(tmp_path):
    write(tmp_path / "a.tif", reconstructed())
    optics = ["--na", "1.4", "--wavelength-nm", "525"]
    told = ["enhance", str(tmp_path / "a.tif"), "--sim", "--reconstructed", *optics, "--out", str(tmp_path / "out")]
    made = CliRunner().invoke(main, [*told, "--save-model", str(tmp_path / "m.zip")])
    assert made.exit_code == 0, made.output
    again = CliRunner().invoke(
        main, ["predict", str(tmp_path / "a.tif"), "--model", str(tmp_path / "m.zip"), "--out", str(tmp_path / "again")]
    )
    assert again.exit_code == 0, again.output
    first, second = (read(tmp_path / folder / "a_sr.tif").data for folder in ("out", "again"))
    np.testing.assert_allclose(second, first, atol=1e-3 * np.ptp(first))
