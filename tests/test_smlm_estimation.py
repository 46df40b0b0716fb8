"""What a movie tells about itself agrees with what it was made with, at any density, on any structure, with any camera."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from superlens.camera import Camera
from superlens.camera.detectors import EMCCD
from superlens.errors import SuperlensError
from superlens.simulate import (
    Background,
    Filaments,
    GaussianSpots,
    Independent,
    PhotonLaw,
    Rings,
    SmlmScene,
    Uniform,
    simulate_smlm,
)
from superlens.simulate.movie import Movie
from superlens.smlm.estimation import estimate_movie, sample_frames


def movie(density: float, frames: int = 60, seed: int = 1, **parts: object) -> Movie:
    """A simulated movie with molecules outside its field as well."""
    scene = SmlmScene(blinking=Independent(density), margin_nm=500.0, **parts)  # type: ignore[arg-type]
    return simulate_smlm(frames, scene, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("density", [0.3, 2.0, 6.0])
@pytest.mark.parametrize("sites", [Uniform(), Filaments()], ids=["uniform", "filaments"])
def test_width_brightness_and_density_come_back(density: float, sites: Uniform | Filaments) -> None:
    told = estimate_movie(movie(density, sites=sites).frames.data, 100.0)
    assert told.sigma_nm == pytest.approx(110.0, rel=0.06)
    assert told.photons == pytest.approx(2250 * (1 + (250 / 2250) ** 2), rel=0.2)  # mean square over mean
    assert told.density_um2 == pytest.approx(density, rel=0.25)


@pytest.mark.parametrize("density", [0.1, 0.5])
def test_uneven_steady_light_is_no_molecules(density: float) -> None:
    made = movie(density, seed=3, background=Background(50.0, 50.0, contrast=0.5))
    told = estimate_movie(made.frames.data, 100.0)
    assert told.photons == pytest.approx(2250 * (1 + (250 / 2250) ** 2), rel=0.2)
    assert told.density_um2 == pytest.approx(density, rel=0.25)
    assert told.uneven is not None and told.messages
    light = simulate_smlm(1, dataclasses.replace(made.scene, blinking=Independent(0.0)), rng=np.random.default_rng(3))
    steady = ndimage.gaussian_filter(light.frames.data[0].astype(float), 3)
    left = told.flat(steady[None].astype(np.float32))[0]
    assert left.std() < 0.6 * steady.std()  # it is followed as far as it is smooth over the surroundings of a place


@pytest.mark.parametrize("sites", [Uniform(), Filaments(), Rings()], ids=["uniform", "filaments", "rings"])
def test_an_even_background_is_one_number_however_molecules_crowd(sites: Uniform | Filaments | Rings) -> None:
    """Also where ten shine in each of few rings, and look like one bright molecule."""
    told = estimate_movie(movie(5.5, sites=sites).frames.data, 100.0, gain=1.0)
    assert told.uneven is None and told.floor == told.background
    assert told.photons == pytest.approx(2278.0, rel=0.25)


def test_what_is_given_is_kept() -> None:
    counts = movie(1.0).frames.data
    told = estimate_movie(counts, 100.0, sigma_nm=123.0, offset=100.0, gain=1.0, read_noise_e=1.5)
    assert (told.sigma_nm, told.camera.offset, told.camera.gain) == (123.0, 100.0, 1.0)
    assert {told.sources[name] for name in ("sigma_nm", "offset", "gain", "read_noise_e")} == {"given"}


def test_with_a_known_offset_the_background_is_found() -> None:
    told = estimate_movie(movie(2.0).frames.data, 100.0, offset=100.0, gain=1.0, read_noise_e=1.5)
    assert told.background == pytest.approx(20.0, abs=4.0)


@pytest.mark.parametrize(
    ("sigma_nm", "photons"), [(80.0, 2250.0), (65.0, 2250.0), (110.0, 20_000.0)], ids=["narrow", "narrower", "bright"]
)
def test_the_gain_is_right_where_blinks_are_sharper_than_noise_may_be(sigma_nm: float, photons: float) -> None:
    """From frames alone such blinks pass for noise, and the gain came out a hundred times too high."""
    camera = Camera(gain=2.07, offset=90.0, read_noise_e=2.2)
    how = {"spots": GaussianSpots(sigma_nm, 3.0), "photons": PhotonLaw("normal", photons, photons / 9)}
    told = estimate_movie(movie(1.0, frames=40, seed=7, sensor=camera, **how).frames.data, 100.0)
    assert told.camera.gain == pytest.approx(2.07, rel=0.35)
    assert told.photons == pytest.approx(photons, rel=0.35)
    assert told.sources["gain"] == "estimated from the noise"


def test_a_gain_that_is_given_is_kept_where_blinks_contradict_it() -> None:
    told = estimate_movie(
        movie(1.0, sensor=Camera(gain=2.0, offset=90.0, read_noise_e=2.2)).frames.data, 100.0, gain=9.0
    )
    assert told.camera.gain == 9.0


def test_dim_blinks_that_stand_out_do_not_tell_how_bright_molecules_are() -> None:
    how = {"photons": PhotonLaw("normal", 150.0, 17.0), "background": Background(5.0, 5.0)}
    camera = Camera(gain=2.07, offset=90.0, read_noise_e=2.2)
    told = estimate_movie(movie(1.0, seed=12, sensor=camera, **how).frames.data, 100.0)
    assert told.photons == pytest.approx(150.0, rel=0.3)


def test_the_gain_of_the_camera_scales_nothing_but_counts() -> None:
    dim, bright = (
        estimate_movie(movie(2.0, sensor=Camera(gain=g, offset=100.0, read_noise_e=1.5)).frames.data, 100.0, gain=g)
        for g in (1.0, 4.0)
    )
    assert bright.photons == pytest.approx(dim.photons, rel=0.02)
    assert bright.sigma_nm == pytest.approx(dim.sigma_nm, rel=0.01)


def test_the_width_does_not_depend_on_how_bright_molecules_are() -> None:
    even, uneven = (
        estimate_movie(movie(5.0, photons=law).frames.data, 100.0)
        for law in (PhotonLaw(), PhotonLaw.exponential(2250.0))
    )
    assert uneven.sigma_nm == pytest.approx(even.sigma_nm, rel=0.05)
    assert uneven.photons == pytest.approx(2 * 2250.0, rel=0.25)  # of an exponential law, twice the mean


def test_electron_multiplication_reads_as_half_the_photons() -> None:
    told = estimate_movie(movie(2.0, sensor=EMCCD()).frames.data, 100.0)
    assert told.photons == pytest.approx(0.5 * 0.9 * 2250, rel=0.25)
    known = estimate_movie(movie(2.0, sensor=EMCCD()).frames.data, 100.0, gain=EMCCD().gain, excess=2.0)
    assert known.excess * known.photons == pytest.approx(0.9 * 2250, rel=0.15)


@pytest.mark.parametrize("sigma_nm", [80.0, 150.0])
def test_other_widths(sigma_nm: float) -> None:
    told = estimate_movie(movie(4.0, spots=GaussianSpots(sigma_nm, 4.0)).frames.data, 100.0)
    assert told.sigma_nm == pytest.approx(sigma_nm, rel=0.07)


def test_one_sparse_frame_is_enough() -> None:
    told = estimate_movie(movie(0.5, frames=1, seed=3).frames.data, 100.0)
    assert told.sigma_nm == pytest.approx(110.0, rel=0.1)
    assert "isolated" in told.sources["sigma_nm"]


@pytest.mark.parametrize("frames", [1, 4])
def test_few_crowded_frames_tell_the_width_too(frames: int) -> None:
    told = estimate_movie(movie(4.0, frames=frames).frames.data, 100.0)
    assert told.sigma_nm == pytest.approx(110.0, rel=0.2)
    assert told.photons == pytest.approx(2278.0, rel=0.6)
    assert "within frames" in told.sources["sigma_nm"]


def test_frames_without_blinks_are_told() -> None:
    noise = np.random.default_rng(0).poisson(100.0, (40, 32, 32))
    with pytest.raises(SuperlensError, match="nothing blinks"):
        estimate_movie(noise, 100.0)


def test_sampled_frames_are_distinct_and_inside() -> None:
    for number in (1, 399, 400, 401, 5000):
        chosen = sample_frames(number)
        assert len(np.unique(chosen)) == len(chosen) == min(number, 400)
        assert chosen.min() >= 0 and chosen.max() < number


def test_frames_that_were_filtered_before_are_named() -> None:
    """Their noise is shared by neighbours, and a gain is read from it that is far too small."""
    made = movie(0.5, frames=30, spots=GaussianSpots(130.0, 5.0)).frames.data
    smoothed = np.rint(ndimage.gaussian_filter(made.astype(float), (0, 0.8, 0.8)))
    assert not estimate_movie(made, 100.0).doubts
    (said,) = estimate_movie(smoothed, 100.0).doubts
    assert "filtered" in said and "raw frames" in said


def test_crowded_and_bright_molecules_are_not_taken_for_filtered_frames() -> None:
    photons = PhotonLaw("normal", 8000.0, 1600.0)
    for density, sigma_nm in ((4.0, 105.0), (6.0, 120.0)):
        made = movie(density, frames=16, photons=photons, spots=GaussianSpots(sigma_nm, 5.0))
        assert not estimate_movie(made.frames.data, 100.0).doubts
