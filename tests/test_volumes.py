"""Volumes: what holds along z as it does laterally, how pairs of slices are made, and what is refused before a minute is spent."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tiny
from superlens import enhancing
from superlens.camera import Camera
from superlens.enhancing import predict_file
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import read, write
from superlens.methods.zsdeconv.predictor import predictor_of
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.recipe import recipe_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.networks import build
from superlens.observing.conditioning import BANK_RADIUS_Z, CHANNELS, Normaliser, WienerBank, condition
from superlens.optics import PSF, RESPONSES, Objective, Response
from superlens.predicting import BlockOptions, predict_whole
from superlens.starts.volumes import begin_from_images
from superlens.streaming import BlockPlan, choose_volume_block
from superlens.training.two_stage.optics import SharpOptics
from superlens.training.two_stage.state import TwoStageState
from superlens.training.two_stage.turning import averaged, turns_of

PIXEL_NM, STEP_NM = 80.0, 200.0
PSF_3D = PSF.gaussian(240.0, PIXEL_NM / 2, fwhm_z_nm=500.0, z_step_nm=STEP_NM)
WIDTHS = {"channels": CHANNELS, "widths": (4, 4, 4)}
START = tiny.start("light-volume")
few_steps = pytest.mark.usefixtures("untraced")


def stack(slices=8, side=24, seed=0, **about):
    """Spots at random places in a dim field."""
    rng = np.random.default_rng(seed)
    light = np.zeros((slices, 2 * side, 2 * side), np.float32)
    light[rng.integers(0, slices, 12), rng.integers(0, 2 * side, 12), rng.integers(0, 2 * side, 12)] = 4000
    seen = PSF_3D.blur(light).reshape(slices, side, 2, side, 2).mean((2, 4))
    counts = Camera(2.0, 100.0, 1.5).expose(np.maximum(seen, 0) + 5, rng)
    return Image(counts, **{"axes": "ZYX", "pixel_nm": PIXEL_NM, "z_step_nm": STEP_NM, "name": "stack", **about})


def settings(**changes):
    return ZSDeconvConfig.of(
        "fast", axes="ZYX", **{"steps": 1, "batch": 1, "patch": 32, "flips": 1, "offset": 100.0, **changes}
    )


def enhance(images, optics=None, *, config):
    """From tiny random weights in the place of the shipped ones."""
    return enhancing.enhance(images, optics, config=config, start=None if config.from_scratch else START)


def predict(model, image):
    return enhancing.predict(model, image, start=START)


def lens(psf=None, scale=2):
    return SharpOptics.of(psf or PSF_3D, "ZYX", scale, RESPONSES["ZYX"])


# -- what holds for filters, lens and network ----------------------------------------------------------------------


def test_a_specimen_that_is_the_same_in_every_slice_is_filtered_as_an_image():
    psf, target = PSF_3D, PSF_3D.narrowed(1.5, 1.3)
    plane = np.random.default_rng(0).standard_normal((20, 24)).astype(np.float32)
    bank = WienerBank.from_psf(psf.data, target.data)
    filtered = bank.apply(np.broadcast_to(plane, (9, *plane.shape)).copy())
    assert_allclose(filtered, np.broadcast_to(filtered[:1], filtered.shape), atol=1e-5)


def test_filters_of_a_volume_reach_no_farther_than_stated():
    bank = WienerBank.from_psf(PSF_3D.data, PSF_3D.narrowed(1.5, 1.3).data)
    volume = np.zeros((4 * BANK_RADIUS_Z + 1, 8, 8), np.float32)
    volume[2 * BANK_RADIUS_Z] = 1
    lit = np.abs(bank.apply(volume)).max((1, 2, 3)) > 1e-6
    assert np.flatnonzero(lit)[[0, -1]].tolist() == [BANK_RADIUS_Z, 3 * BANK_RADIUS_Z]


def test_the_narrow_image_through_the_lens_is_the_recorded_one():
    rng = np.random.default_rng(1)
    specimen = np.zeros((24, 64, 64))
    specimen[rng.integers(8, 16, 20), rng.integers(20, 44, 20), rng.integers(20, 44, 20)] = 1
    sharp = RESPONSES["ZYX"].of(PSF_3D).blur(specimen).astype(np.float32)
    recorded = PSF_3D.blur(specimen).reshape(24, 32, 2, 32, 2).mean((2, 4))
    assert_allclose(lens().seen(sharp), recorded, atol=0.01 * recorded.max())


def test_a_uniform_volume_looks_the_same_through_the_lens():
    wide = lens(Objective(na=1.3, wavelength_nm=525).psf(40.0, z_step_nm=250.0))
    assert_allclose(wide.seen(np.ones((6, 32, 32), np.float32)), 1, atol=1e-4)


def test_turned_volumes_come_back():
    volume = np.random.default_rng(0).standard_normal((5, 6, 6, 2)).astype(np.float32)
    for turn, back in turns_of(3):
        assert_allclose(back(turn(volume)[..., 0]), volume[..., 0])
    assert len({turn(volume).tobytes() for turn, _ in turns_of(3)}) == 8


def test_a_network_begun_from_images_sees_each_slice_as_an_image():
    images, volumes = build("light", WIDTHS), build("light-volume", WIDTHS)
    begin_from_images(volumes, images)
    x = np.random.default_rng(0).standard_normal((1, 5, 16, 16, CHANNELS)).astype(np.float32)
    for plane, volume in zip(images.predict_on_batch(x[0]), volumes.predict_on_batch(x), strict=True):
        assert_allclose(volume[0], plane, atol=1e-6)


# -- learning and prediction ---------------------------------------------------------------------------------------


@few_steps
@pytest.mark.parametrize("scale", [1, 2])
def test_a_volume_comes_out_with_the_sampling_asked_for_and_its_own_z(scale):
    result = enhance(stack(side=20), PSF_3D.resample(PIXEL_NM / scale), config=settings(scale=scale))
    assert result.denoised.data.shape == (8, 20, 20)
    assert result.image.data.shape == result.uncertainty.data.shape == (8, 20 * scale, 20 * scale)
    assert result.image.z_step_nm == STEP_NM
    assert result.image.pixel_nm == PIXEL_NM / scale
    assert np.isfinite(result.image.data).all()
    assert TwoStageState.of(result.model).axes == "ZYX"
    assert any("one volume" in said for said in result.messages)


@few_steps
@pytest.mark.parametrize("changes", [{}, {"pairs": "interleave"}, {"denoise_only": True}])
def test_same_seed_same_weights_and_another_step_moves_them(changes):
    once, again = (enhance(stack(), PSF_3D, config=settings(**changes)).model for _ in range(2))
    for a, b in zip(once.network.weights, again.network.weights, strict=True):
        assert_allclose(np.asarray(a), np.asarray(b))


@few_steps
def test_a_model_keeps_the_resolution_that_it_states(monkeypatch):
    known, image = settings(steps=0, gain=2.0, read_noise_e=1.5), stack(seed=1)
    usual = enhance(image, PSF_3D, config=known).model
    with monkeypatch.context() as once:
        once.setitem(RESPONSES, "ZYX", Response(1.3, 1.2))
        softer = enhance(image, PSF_3D, config=known)
    assert (TwoStageState.of(usual).response, TwoStageState.of(softer.model).response) == (
        RESPONSES["ZYX"],
        Response(1.3, 1.2),
    )
    assert_allclose(predict(softer.model, image).image.data, softer.image.data, atol=1e-5 * np.ptp(softer.image.data))
    assert not np.allclose(predict(usual, image).image.data, softer.image.data, atol=1e-3 * np.ptp(softer.image.data))
    assert TwoStageState.of(enhancing.adapt(softer.model, image, steps=1)).response == Response(1.3, 1.2)


@few_steps
def test_a_time_series_of_volumes_gives_what_each_volume_gives():
    first, second = stack(seed=1), stack(seed=2)
    series = Image(np.stack([first.data, second.data]), axes="TZYX", pixel_nm=PIXEL_NM, z_step_nm=STEP_NM)
    known = {"gain": 2.0, "read_noise_e": 1.5, "steps": 0}
    model = enhance(first, PSF_3D, config=settings(**known)).model
    both = predict(model, series)
    assert_allclose(both.image.data[1], predict(model, second).image.data, atol=1e-3 * np.ptp(both.image.data))


def test_tiles_and_slabs_give_what_the_whole_volume_gives():
    model = enhance(stack(), PSF_3D, config=settings(steps=0, gain=2.0, read_noise_e=1.5)).model
    large = stack(slices=30, side=112, seed=3).crop(x=slice(0, 32))  # cut along all three
    observed = prepare([large], PSF_3D, settings(gain=2.0, read_noise_e=1.5)).observations[0]
    about = predictor_of(model, START), observed.counts, observed.sigma
    whole, cut = (predict_whole(*about, tile=tile)["sharp"] for tile in (None, (10, 48, 16)))
    assert np.abs(cut - whole).max() <= 1e-5 * np.ptp(whole)


def test_blocks_of_a_file_give_what_the_volume_in_memory_gives(tmp_path):
    known = {"steps": 0, "gain": 2.0, "read_noise_e": 1.5}
    model = enhance(stack(), PSF_3D, config=settings(**known)).model
    model.save(tmp_path / "model.zip")
    first, second = stack(slices=60, side=40, seed=3), stack(slices=60, side=40, seed=4)
    series = Image(np.stack([first.data, second.data]), axes="TZYX", pixel_nm=PIXEL_NM, z_step_nm=STEP_NM)
    write(tmp_path / "series.ome.tif", series)
    (made,) = predict_file(
        tmp_path / "model.zip", tmp_path / "series.ome.tif", tmp_path / "out.ome.tif", options=BlockOptions(block=24)
    )
    whole, cut = predict(model, series).image, read(made)
    assert (cut.axes, cut.z_step_nm, cut.pixel_nm) == ("TZYX", STEP_NM, PIXEL_NM / 2)
    assert_allclose(cut.data, whole.data, atol=1e-5 * np.ptp(whole.data))


def test_a_plan_for_volumes_answers_for_every_voxel_once():
    blocks = BlockPlan(120, (70, 50), (32, 32), 20, 4, 2, slices=60, depth=12, reach_z=7, edge=16)
    seen = np.zeros((120, 70, 50), int)
    for number in range(len(blocks)):
        block = blocks[number]
        kept = range(block.planes[0] + block.kept.start, block.planes[0] + block.kept.stop)
        assert kept[0] == block.plane
        assert block.planes[0] // 60 == block.planes[-1] // 60
        seen[kept[0] : kept[-1] + 1, block.tile.core[0], block.tile.core[1]] += 1
    assert (seen == 1).all()


def test_the_block_of_a_volume_is_the_whole_where_memory_allows_and_else_fits():
    about = {"bytes_per_pixel": 1600.0}
    assert choose_volume_block((30, 100, 90), 84, 18, 4, 16, **about, memory_bytes=1e11) == (30, (100, 92))
    depth, (y, x) = choose_volume_block((500, 2000, 2000), 84, 18, 4, 16, **about, memory_bytes=8e9)
    assert 1600 * (depth + 36) * (y + 168) * (x + 168) <= 8e9
    with pytest.raises(SuperlensError, match="`memory_gb`"):
        choose_volume_block((500, 2000, 2000), 84, 18, 4, 16, **about, memory_bytes=1e8)


@few_steps
def test_the_original_recipe_takes_a_step_and_gives_finite_volumes():
    network = tiny.network("rcan", width=16)
    config = ZSDeconvConfig.of("paper", axes="ZYX", network=network, steps=1, batch=1, patch=32, depth=5, offset=100.0)
    result = enhance(stack(slices=6, side=32), PSF_3D, config=config)
    assert result.image.data.shape == (6, 64, 64)
    assert np.isfinite(result.image.data).all()


def test_the_gap_is_read_off_the_denoised_stack_and_vanishes_between_equal_slices():
    plane = stack(slices=1).data[0]
    still = Image(np.repeat(plane[None], 12, 0), axes="ZYX", pixel_nm=PIXEL_NM, z_step_nm=STEP_NM)
    moving = stack(slices=12)
    gaps = []
    for image in (still, moving):
        prepared = prepare([image], PSF_3D, settings(pairs="interleave"))
        _, (goal,) = recipe_of(prepared, START.network).draw(0)
        gaps.append(np.abs(goal[..., 2]).max())
    assert gaps[0] < 1e-5 < gaps[1]


def test_the_psf_has_twice_the_step_in_interleaved_training_and_the_recorded_one_in_the_model():
    prepared = prepare([stack()], PSF_3D, settings(pairs="interleave"))
    assert prepared.optics.every_second_slice().psf.z_step_nm == 2 * STEP_NM
    assert prepared.psf.z_step_nm == prepared.optics.psf.z_step_nm == STEP_NM
    sharp = np.random.default_rng(0).random((1, 6, 32, 32, 1)).astype(np.float32)
    wide = recipe_of(prepared, START.network).loss.forward(sharp)
    near = recipe_of(prepare([stack()], PSF_3D, settings()), START.network).loss.forward(sharp)
    along_z = [np.asarray(seen)[0, ..., 0].mean(axis=(1, 2)) for seen in (wide, near)]
    assert np.ptp(along_z[0]) > np.ptp(along_z[1])  # slices that lie farther apart share less light


def test_a_uniform_stack_through_the_filters_stays_uniform():
    channels = condition(
        np.full((6, 16, 16), 50.0, np.float32), np.ones((6, 16, 16), np.float32), Normaliser(0, 1), lens().bank
    )
    assert_allclose(np.ptp(channels, axis=(0, 1, 2)), 0, atol=1e-3)


def test_running_a_volume_pads_it_and_takes_the_padding_off():
    channels = np.random.default_rng(0).standard_normal((5, 13, 18, CHANNELS)).astype(np.float32)
    denoised, sharp, log_sigma = averaged(START.network, channels, flips=2, align=4)
    assert denoised.shape == (5, 13, 18)
    assert sharp.shape == log_sigma.shape == (5, 26, 36)


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "optics", "word"),
    [
        (stack(slices=4), PSF_3D, "at least 5"),
        (stack(axes="TYX", z_step_nm=None), PSF_3D, "`axes`"),
        (stack(z_step_nm=None), PSF_3D, "`z_step_nm`"),
        (stack(), PSF.gaussian(240.0, PIXEL_NM / 2), "PSF stack"),
        (stack(), Objective(na=1.45, wavelength_nm=525, modality="tirf"), "tirf"),
    ],
)
def test_what_cannot_be_a_volume_is_refused(image, optics, word):
    with pytest.raises(SuperlensError, match=word):
        enhance(image, optics, config=settings())


def test_stacks_of_different_steps_are_refused():
    with pytest.raises(SuperlensError, match="z-steps of 200 and 300"):
        enhance([stack(), stack(z_step_nm=300.0)], PSF_3D, config=settings())


@few_steps
def test_a_model_refuses_a_stack_of_another_step():
    model = enhance(stack(), PSF_3D, config=settings(steps=0)).model
    with pytest.raises(SuperlensError, match="z-step of 300 nm and the model was trained at 200"):
        predict(model, stack(z_step_nm=300.0))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"axes": "YX", "network": "light-volume"}, "axes YX"),
        ({"axes": "YX", "pairs": "interleave"}, "interleave"),
        ({"axes": "ZYX", "network": "unet"}, "unet"),
        ({"axes": "ZYX", "network": "rcan", "pairs": "recorrupt"}, "rcan"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, word):
    with pytest.raises(SuperlensError, match=word):
        ZSDeconvConfig.of("fast", **changes)
