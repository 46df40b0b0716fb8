"""ZS-DeconvNet-SIM: its pairs, its optics in closed form, and what comes out of Python and the shell."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import fft

import superlens as sl
from superlens.camera import Camera
from superlens.cli import main
from superlens.errors import SuperlensError
from superlens.io import write
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.pairs import RawCopies, recordings_of, split
from superlens.methods.zsdeconv_sim.prepared import SimObservation, prepare
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.optics.detection import Detection
from superlens.reconstruct.sim import Spectrum
from superlens.reconstruct.sim.spectrum import grid_of
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, ideal_pattern, simulate_sim
from superlens.training.two_stage.recorrupted import Spread

pytestmark = pytest.mark.usefixtures("slim", "untraced")

OBJECTIVE = sl.Objective(na=1.4, wavelength_nm=525)
PIXEL_NM = 65.0
DETECTION = Detection.of(OBJECTIVE, PIXEL_NM)


def raw(*, seed=0, photons=60.0, frequency=0.85, side=96, first_deg=10.0):
    rng = np.random.default_rng(seed)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], frequency * DETECTION.cutoff, 0.7, rng, first_deg=first_deg)
    specimen = filaments((2 * side + 64, 2 * side + 64), rng)
    return simulate_sim(specimen, pattern, DETECTION, photons=photons, pixel_nm=PIXEL_NM, rng=rng, margin=16)


def settings(**changes):
    return ZSDeconvSimConfig.of("fast", **{"offset": 100.0, "gain": 1.0, "read_noise_e": 0.0, "steps": 2, **changes})


@pytest.fixture(scope="module")
def frames():
    return raw().frames


@pytest.fixture(scope="module")
def result(frames):
    return sl.enhance(frames, OBJECTIVE, sim=True, config=settings())


# -- pairs --------------------------------------------------------------------------------------------------------------


def even(photons, side=64, seed=3):
    """An even field and its optics: everything but the mean is noise."""
    rng = np.random.default_rng(seed)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], 0.3, 0.6, rng)
    optics = SimOptics.of(Spectrum(pattern, DETECTION), 0.15, 1.5, PIXEL_NM)
    camera, counts = Camera(1.0, 0.0, 0.0), rng.poisson(photons, (9, side, side)).astype(np.float32)
    made, sigma = optics.operator((side, side)).apply(counts)[None], optics.sigma(counts, camera)[None]
    image = sl.Image(counts, "TYX", PIXEL_NM)
    return SimObservation(image, None, counts[None], made, sigma, camera, ()), optics


@pytest.mark.parametrize("photons", [5, 50])
def test_two_reconstructions_of_dealt_photons_have_independent_noise(photons):
    observation, optics = even(photons)
    (recording,) = recordings_of([observation], optics)
    rng, together = np.random.default_rng(0), []
    for seed in range(6):  # other frames each time: within one recording the sum of the copies is fixed
        observation, optics = even(photons, seed=seed)
        (recording,) = recordings_of([observation], optics)
        pair = split(recording, 1.0, rng)
        together.append([pair.input - pair.input.mean(), pair.target - pair.target.mean()])
    a, b = np.swapaxes(np.array(together), 0, 1).reshape(2, -1)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03  # 4 x 6 x 4,096 pixels, of which a third is independent
    assert pair.sigma.mean() == pytest.approx(a.std(), rel=0.05)


def test_the_copies_together_are_the_reconstruction():
    observation, optics = even(20)
    (recording,) = recordings_of([observation], optics)
    alpha = 0.8
    pair = split(recording, alpha, np.random.default_rng(1))
    mean = (pair.input + alpha**2 * pair.target) / (1 + alpha**2)
    np.testing.assert_allclose(mean, recording.counts, atol=2e-3 * recording.counts.mean())


def test_a_part_of_large_frames_is_the_whole_away_from_its_cut(monkeypatch):
    monkeypatch.setattr("superlens.methods.zsdeconv_sim.pairs._LARGEST", 128)
    made = raw(side=160)
    prepared = prepare([made.frames], OBJECTIVE, settings())
    parts = recordings_of(prepared.observations, prepared.optics)
    whole = prepared.observations[0].counts[0]
    assert len(parts) > 1
    last = parts[-1]
    off = np.where(last.good, last.counts - whole[-256:, -256:], 0)[:-16, :-16]
    assert np.abs(off).max() < 0.05 * whole.std()
    assert RawCopies(parts, Spread()).draw(np.random.default_rng(0)).input.shape == (256, 256)


def test_every_image_is_learned_from_with_its_own_phases():
    """Two recordings whose patterns differ in phase: what training reconstructs of each is what was reconstructed before."""
    images = [raw(seed=seed).frames for seed in (0, 1)]
    prepared = prepare(images, OBJECTIVE, settings())
    recordings = recordings_of(prepared.observations, prepared.optics)
    for recording, observation in zip(recordings, prepared.observations, strict=True):
        np.testing.assert_allclose(recording.counts, observation.counts[0], atol=1e-3 * observation.counts.std())


# -- optics -------------------------------------------------------------------------------------------------------------


def test_the_stated_noise_is_that_of_the_reconstruction():
    observation, optics = even(30, side=128)
    inner = observation.counts[0][16:-16, 16:-16]
    assert inner.std() == pytest.approx(observation.sigma.mean(), rel=0.05)
    lags = optics.noise_correlation()
    centred = inner - inner.mean()
    measured = np.mean(centred[:, 1:] * centred[:, :-1]) / np.mean(centred**2)
    assert lags[2, 2] == 1 and measured == pytest.approx(lags[2, 3], abs=0.05)


def test_a_sharp_image_is_seen_as_the_reconstruction_of_its_specimen():
    made = raw(photons=1e6)
    prepared = prepare([made.frames], OBJECTIVE, settings())
    optics = prepared.optics
    grid = grid_of(made.truth.shape)
    sharp = fft.irfft2(fft.rfft2(made.truth) * optics.response_on(*grid), made.truth.shape).astype(np.float32)
    inner = (slice(32, -32),) * 2
    seen, counts = optics.seen(sharp)[inner], prepared.observations[0].counts[0][inner]
    assert np.linalg.norm(seen - counts) < 0.06 * np.linalg.norm(counts - counts.mean())
    assert optics.response.fwhm_nm == pytest.approx(optics.limit.fwhm_nm / 1.5, rel=0.05)


# -- doors --------------------------------------------------------------------------------------------------------------


def test_python_gives_planes_of_half_the_pixel_with_the_light_of_the_frames(frames, result):
    assert result.roles == ("sharp", "denoised", "uncertainty", "reconstruction")
    for role in result.roles:
        assert (result[role].axes, result[role].pixel_nm, result[role].data.shape) == ("YX", 32.5, (192, 192))
    light = float(frames.data.mean()) - 100
    assert result["sharp"].data.mean() == pytest.approx(light, rel=0.01)
    assert result.metrics["line_fwhm_nm"] < result.metrics["extended_limit_fwhm_nm"]
    assert "Use it" in result.report or "Look closer" in result.report or "Do not use" in result.report


def test_a_model_goes_through_its_file_and_predicts_the_same(frames, result, tmp_path):
    result.model.save(tmp_path / "model.zip")
    again = sl.predict(sl.Model.load(tmp_path / "model.zip"), frames)
    # The pattern's modulation is measured anew, with its wave vectors kept.
    off = again["sharp"].data - result["sharp"].data
    assert np.linalg.norm(off) < 0.02 * np.linalg.norm(result["sharp"].data)


def test_a_model_refuses_another_pattern_and_another_pixel(result):
    with pytest.raises(SuperlensError, match="Train a model for this pattern"):
        sl.predict(result.model, raw(frequency=0.7).frames)
    with pytest.raises(SuperlensError, match="pixel of 80"):
        sl.predict(result.model, dataclasses.replace(raw().frames, pixel_nm=80.0))


def test_an_image_without_a_pattern_is_refused_before_anything_is_learned():
    rng = np.random.default_rng(1)
    image = sl.Image(rng.poisson(50, (9, 96, 96)).astype(np.uint16), "TYX", PIXEL_NM)
    with pytest.raises(SuperlensError, match="no illumination pattern"):
        sl.enhance(image, OBJECTIVE, sim=True)
    with pytest.raises(SuperlensError, match="`sim` is true"):
        sl.enhance(image, OBJECTIVE, sim=True, method="zsdeconv")


def test_the_original_recipe_runs(frames):
    config = settings(patch=64, batch=2)
    paper = ZSDeconvSimConfig.of("paper", steps=1, patch=64, batch=1, offset=100.0)
    assert paper.network == "unet" and config.network == "light"
    made = sl.enhance(frames, OBJECTIVE, config=paper)
    assert made.roles == ("sharp", "denoised", "reconstruction") and np.isfinite(made["sharp"].data).all()


def test_channels_of_frames_come_as_channels_of_planes(frames, result):
    both = dataclasses.replace(
        frames, data=np.stack([frames.data] * 2, axis=1), axes="TCYX", channel_names=("a", "b"), emission_nm=(525, 610)
    )
    (one,) = result.channels
    made = sl.Result((one, one), (0, 1), both)["sharp"]
    assert (made.axes, made.data.shape, made.channel_names) == ("CYX", (2, 192, 192), ("a", "b"))


def test_the_shell_enhances_with_a_flag_and_announces_what_comes(tmp_path):
    path, out = tmp_path / "raw.tif", tmp_path / "out"
    write(path, dataclasses.replace(raw().frames, data=raw().frames.data.astype(np.uint16)))
    optics = ["--na", "1.4", "--wavelength-nm", "525", "--sim", "--steps", "1"]
    told = CliRunner().invoke(main, ["enhance", str(path), *optics, "--out", str(out), "--dry-run"])
    assert told.exit_code == 0 and "192" in told.output, told.output
    done = CliRunner().invoke(main, ["enhance", str(path), *optics, "--out", str(out)])
    assert done.exit_code == 0, done.output
    names = {file.name for file in out.iterdir()}
    assert {"raw_sr.tif", "raw_denoised.tif", "raw_sim.tif", "model.zip", "report.html", "run.json"} <= names
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["method"] == "zsdeconv-sim"
    blocks = ["predict", str(path), "--model", str(out / "model.zip"), "--out", str(tmp_path / "big.ome.tif")]
    refused = CliRunner().invoke(main, blocks)
    assert refused.exit_code == 2 and "not by blocks" in refused.output
