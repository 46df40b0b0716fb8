"""Specimens and pictures of them: what every generator promises, and that truth and picture belong together."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superlens import simulate
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.optics import PSF
from superlens.simulate import STRUCTURES, expose, scene, truth_at_resolution

PSF_FINE = PSF.gaussian(250.0, pixel_nm=45.0)
CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)


@pytest.mark.parametrize("kind", STRUCTURES)
@settings(max_examples=8, deadline=None)
@given(shape=st.tuples(st.integers(16, 70), st.integers(16, 70)), seed=st.integers(0, 2**31))
def test_specimens_have_the_shape_asked_for_and_no_negative_label(kind: str, shape: tuple[int, int], seed: int) -> None:
    specimen = STRUCTURES[kind](shape, np.random.default_rng(seed))
    assert specimen.shape == shape
    assert specimen.dtype == np.float32
    assert np.isfinite(specimen).all()
    assert specimen.min() >= 0


@pytest.mark.parametrize("kind", STRUCTURES)
def test_the_same_seed_draws_the_same_specimen(kind: str) -> None:
    first, again, other = (STRUCTURES[kind]((64, 64), np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert kind == "flat" or not np.array_equal(first, other)


@pytest.mark.parametrize("kind", STRUCTURES)
def test_generators_share_one_signature(kind: str) -> None:
    shape, rng, *options = inspect.signature(STRUCTURES[kind]).parameters.values()
    assert (shape.name, rng.name) == ("shape", "rng")
    assert all(option.kind is option.KEYWORD_ONLY and option.default is not option.empty for option in options)


@pytest.mark.parametrize("kind", ["filaments", "vesicles", "er_network", "membranes", "mitochondria"])
def test_structures_reach_the_borders_as_densely_as_the_middle(kind: str) -> None:
    pictures = np.array([STRUCTURES[kind]((96, 96), np.random.default_rng(seed)) for seed in range(60)])
    inner = np.zeros((96, 96), bool)
    inner[24:-24, 24:-24] = True
    # The spread over 60 pictures of either mean is 5 to 12 %.
    assert pictures[:, ~inner].mean() == pytest.approx(pictures[:, inner].mean(), rel=0.35)


def test_filament_density_is_contour_length_in_an_area() -> None:
    thin = [simulate.filaments((128, 128), np.random.default_rng(s), density=0.05).mean() for s in range(40)]
    # Brightness is log-normal (0, 0.35) with mean 1.06; lengths are cut at 1.6 times their mean, which takes about a tenth.
    assert np.mean(thin) == pytest.approx(0.05, rel=0.2)


def test_a_line_drawn_between_pixels_is_as_bright_as_one_on_them() -> None:
    means = [
        simulate.two_filaments((64, 64), np.random.default_rng(s), separation=9.0, angle_deg=angle).sum()
        for s in range(4)
        for angle in (0.0, 17.0, 45.0)
    ]
    assert means == pytest.approx([2 * 0.8 * 64] * 12, rel=0.01)


@pytest.mark.parametrize("separation", [4.0, 7.5])
@pytest.mark.parametrize("angle", [0.0, 90.0])
def test_two_filaments_lie_their_separation_apart(separation: float, angle: float) -> None:
    specimen = simulate.two_filaments((65, 65), np.random.default_rng(1), separation=separation, angle_deg=angle)
    profile = specimen[20:45, 20:45].sum(axis=1 if angle == 0 else 0)
    where = np.arange(25.0)
    middle = np.sum(where * profile) / profile.sum()
    upper, lower = profile * (where > middle), profile * (where < middle)
    distance = np.sum(where * upper) / upper.sum() - np.sum(where * lower) / lower.sum()
    assert distance == pytest.approx(separation, abs=0.05)


def test_beads_keep_their_brightness_at_any_sub_pixel_place() -> None:
    alone = [simulate.beads((32, 32), np.random.default_rng(s), density=1e-6, spread=0.0).sum() for s in range(20)]
    assert alone == pytest.approx([1.0] * 20, abs=1e-5)


def test_flat_leaves_its_rng_alone() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert (simulate.flat((16, 16), rng, level=3.0) == 3.0).all()
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("kind", STRUCTURES)
def test_the_blurred_truth_is_the_clean_picture(kind: str) -> None:
    made = scene(kind, 40.0, psf=PSF_FINE, camera=CAMERA, shape=(40, 48), background=3.0, seed=5)
    blurred = PSF_FINE.blur(made.truth).reshape(40, 2, 48, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(blurred, made.clean, rtol=1e-4, atol=1e-4 * made.clean.max())
    assert made.scale == 2
    assert made.observed.pixel_nm == 90.0
    assert made.observed.axes == "YX"


@settings(max_examples=15, deadline=None)
@given(photons=st.floats(0.5, 500), background=st.floats(0, 50))
def test_photons_are_the_mean_above_a_tenth_of_the_maximum(photons: float, background: float) -> None:
    rng = np.random.default_rng(2)
    specimen = simulate.filaments((64, 64), rng)
    _, clean, factor = expose(specimen, PSF_FINE, CAMERA, photons=photons, background=background, rng=rng)
    signal = clean.astype(float) - background
    assert signal[signal > 0.1 * signal.max()].mean() == pytest.approx(photons, rel=1e-3)
    assert factor > 0


def test_the_noise_of_a_scene_is_that_of_its_camera() -> None:
    made = scene("nuclei", 60.0, psf=PSF_FINE, camera=CAMERA, shape=(128, 128), seed=1)
    residual = (made.observed.data - CAMERA.offset - made.clean) / np.sqrt(CAMERA.variance(made.clean))
    # 16,384 pixels: a standard error of 0.008 of the mean and 0.006 of the deviation, here five
    assert abs(residual.mean()) < 0.04
    assert residual.std() == pytest.approx(1.0, abs=0.03)


def test_a_dark_specimen_leaves_the_background() -> None:
    rng = np.random.default_rng(0)
    counts, clean, factor = expose(np.zeros((32, 32)), PSF_FINE, CAMERA, photons=10.0, background=4.0, rng=rng)
    assert factor == 0.0
    assert (clean == 4.0).all()
    assert counts.dtype == np.float32


def test_the_truth_at_resolution_keeps_its_light_and_is_sharper_than_the_picture() -> None:
    made = scene("filaments", 40.0, psf=PSF_FINE, camera=CAMERA, shape=(48, 48), seed=2)
    sharp = truth_at_resolution(made)
    assert sharp.shape == made.truth.shape
    assert sharp.mean() == pytest.approx(made.truth.mean(), rel=0.02)
    wide = PSF_FINE.blur(made.truth)
    assert wide.std() < sharp.std() < made.truth.std()


def test_a_3d_psf_is_used_in_focus() -> None:
    deep = PSF.gaussian(250.0, pixel_nm=45.0, fwhm_z_nm=600.0, z_step_nm=200.0)
    flat = scene("beads", 40.0, psf=deep.at_focus(), camera=CAMERA, shape=(24, 24), seed=3)
    np.testing.assert_array_equal(
        scene("beads", 40.0, psf=deep, camera=CAMERA, shape=(24, 24), seed=3).clean, flat.clean
    )


def test_impossible_scenes_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SuperlensError, match="kind is 'cats'; expected one of filaments, "):
        scene("cats", 10.0, psf=PSF_FINE, camera=CAMERA, seed=0)
    with pytest.raises(SuperlensError, match="multiples of scale = 2"):
        expose(np.ones((33, 32)), PSF_FINE, CAMERA, photons=10.0, background=0.0, rng=rng)
    for wrong in ({"photons": -1.0, "background": 0.0}, {"photons": 1.0, "background": np.nan}):
        with pytest.raises(SuperlensError, match="expected 0 or more photons"):
            expose(np.ones((32, 32)), PSF_FINE, CAMERA, **wrong, rng=rng)
