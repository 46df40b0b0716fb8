"""Claims about the comparison of a real movie with one simulated from its estimate: right values pass, wrong ones are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from superlens.camera import Camera
from superlens.camera.detectors import EMCCD, Sensor
from superlens.errors import SuperlensError
from superlens.simulate import (
    Background,
    Filaments,
    Independent,
    Kinetics,
    Population,
    SmlmScene,
    Uniform,
    simulate_smlm,
)
from superlens.simulate.likeness import Likeness, compare_with_simulation
from superlens.simulate.molecules import Sites
from superlens.smlm.estimation import MovieEstimate, estimate_movie

SIDE, FRAMES, PIXEL_NM = 40, 50, 100.0
CAMERA = Camera(gain=1.0, offset=100.0, read_noise_e=1.5)
EM = EMCCD()
# The excess noise of multiplication is that of half as many electrons: what a photon-transfer estimate finds.
AS_ESTIMATED = Camera(2 * EM.gain, EM.offset, 0.5 * EM.read_noise_e / EM.em_gain)
# 2250 photons with a deviation of 250: mean square over mean, and the density that goes with it
BRIGHTNESS, VARIETY = 2250.0 + 250.0**2 / 2250.0, 1 + (250.0 / 2250.0) ** 2


def movie(
    density_um2: float, *, sites: Sites | None = None, sensor: Sensor = CAMERA, frames: int = FRAMES
) -> np.ndarray:
    scene = SmlmScene(
        yx_shape=(SIDE, SIDE),
        margin_nm=300.0,
        sites=sites or Uniform(),
        blinking=Independent(density_um2),
        sensor=sensor,
    )
    return np.asarray(simulate_smlm(frames, scene, rng=np.random.default_rng(7)).frames.data)


def truth(density_um2: float, camera: Camera = CAMERA, share: float = 1.0) -> MovieEstimate:
    """What is true of `movie`; `share` of the photons are counted as electrons."""
    return MovieEstimate(camera, 110.0, share * BRIGHTNESS, share * 20.0, density_um2 / VARIETY, {})


def compared(counts: np.ndarray, estimate: MovieEstimate) -> Likeness:
    electrons = estimate.camera.to_electrons(counts.astype(np.float32))
    return compare_with_simulation(electrons, estimate, PIXEL_NM, rng=np.random.default_rng(11))


@pytest.fixture(scope="module")
def two() -> np.ndarray:
    return movie(2.0)


def named(likeness: Likeness) -> str:
    return " ".join(likeness.messages)


@pytest.mark.parametrize("density_um2", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("sites", [None, Filaments()], ids=["anywhere", "filaments"])
def test_right_values_pass(density_um2: float, sites: Sites | None) -> None:
    likeness = compared(movie(density_um2, sites=sites), truth(density_um2))
    assert likeness.ok, likeness.messages
    assert likeness.messages == ()
    assert likeness.structured == (sites is not None)


def test_right_values_pass_with_electron_multiplication() -> None:
    likeness = compared(movie(2.0, sensor=EM), truth(2.0, AS_ESTIMATED, EM.quantum_efficiency / 2))
    assert likeness.ok, likeness.messages


def test_values_estimated_from_the_movie_pass(two: np.ndarray) -> None:
    estimate = estimate_movie(two, PIXEL_NM, offset=100.0, gain=1.0, read_noise_e=1.5)
    assert compared(two, estimate).ok


def test_blinks_that_last_pass() -> None:
    scene = SmlmScene(yx_shape=(SIDE, SIDE), margin_nm=300.0, blinking=Kinetics(2.0, on_frames=3.0))
    counts = np.asarray(simulate_smlm(FRAMES, scene, rng=np.random.default_rng(2)).frames.data)
    estimate = estimate_movie(counts, PIXEL_NM, offset=100.0, gain=1.0, read_noise_e=1.5)
    assert compared(counts, estimate).ok


@pytest.mark.parametrize("density_um2", [0.5, 6.0])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sigma_nm": 143.0}, "sigma_nm is too large"),
        ({"sigma_nm": 77.0}, "sigma_nm is too small"),
        ({"density_um2": 2.0}, "less light than simulated: density"),
        ({"background": 40.0}, "background is estimated too high"),
        ({"background": 10.0}, "background is estimated too low"),
    ],
    ids=["wide", "narrow", "dense", "light-behind", "dark-behind"],
)
def test_wrong_values_are_named(density_um2: float, change: dict[str, float], word: str) -> None:
    right = truth(density_um2)
    if "density_um2" in change:
        change = {"density_um2": 2.0 * right.density_um2}
    likeness = compared(movie(density_um2), replace(right, **change))
    assert not likeness.ok
    assert word in named(likeness)


def test_brightness_traded_for_density_is_noticed(two: np.ndarray) -> None:
    """As much light, from twice as many molecules: the mean agrees, and what fluctuates does not."""
    right = truth(2.0)
    wrong = replace(right, photons=right.photons / 2, density_um2=right.density_um2 * 2)
    likeness = compared(two, wrong)
    by_name = {statistic.name: statistic for statistic in likeness.statistics}
    assert by_name["mean pixel"].ok
    assert not by_name["fluctuation of a pixel in time"].ok
    assert "photons are estimated too low" in named(likeness)


def test_steady_uneven_light_is_noticed() -> None:
    """Light that no molecule sends is simulated as molecules there, which then fluctuate."""
    scene = SmlmScene(
        yx_shape=(SIDE, SIDE),
        margin_nm=300.0,
        blinking=Independent(0.5),
        background=Background(150.0, 150.0, 0.6, 300.0),
    )
    counts = np.asarray(simulate_smlm(FRAMES, scene, rng=np.random.default_rng(4)).frames.data)
    assert not compared(counts, replace(truth(0.5), background=150.0)).ok


def test_the_same_seed_gives_the_same(two: np.ndarray) -> None:
    first, second = (compared(two, truth(2.0)) for _ in range(2))
    assert first.statistics == second.statistics
    assert np.array_equal(first.simulated_frame, second.simulated_frame)


def test_curves_are_of_one_length_and_shares_add_up(two: np.ndarray) -> None:
    likeness = compared(two, truth(2.0))
    for share in (likeness.real_share, likeness.simulated_share):
        assert share.shape == (len(likeness.edges) - 1,)
        assert share.sum() == pytest.approx(1.0)
    assert likeness.real_covariance.shape == likeness.simulated_covariance.shape
    assert likeness.real_maxima.shape == likeness.simulated_maxima.shape == (FRAMES,)
    assert likeness.real_frame.shape == likeness.simulated_frame.shape == (SIDE, SIDE)


def test_one_frame_is_compared_without_time(two: np.ndarray) -> None:
    likeness = compared(two[:1], truth(2.0))
    assert likeness.ok, likeness.messages
    assert likeness.real_covariance.size == 0
    assert not any("time" in statistic.name for statistic in likeness.statistics)


def test_large_fields_are_compared_where_the_light_is() -> None:
    """Density holds over the whole field; the window that is simulated holds more than its share."""
    scene = SmlmScene(yx_shape=(SIDE, SIDE), margin_nm=300.0, blinking=Independent(2.0))
    lit = np.asarray(simulate_smlm(10, scene, rng=np.random.default_rng(5)).frames.data, np.float32)
    dark = np.random.default_rng(6).poisson(20.0, (10, SIDE, 6 * SIDE)) + 100.0
    counts = np.concatenate([dark, lit], axis=2)
    estimate = truth(2.0 / 7)
    electrons = CAMERA.to_electrons(counts)
    likeness = compare_with_simulation(electrons, estimate, PIXEL_NM, rng=np.random.default_rng(0))
    assert likeness.real_frame.shape == (SIDE, 128)
    by_name = {statistic.name: statistic for statistic in likeness.statistics}
    assert by_name["mean pixel"].real > electrons.mean() + 5
    assert by_name["mean pixel"].ok


def test_a_movie_that_bleaches_is_compared_over_all_of_it() -> None:
    scene = SmlmScene(
        yx_shape=(SIDE, SIDE), margin_nm=300.0, blinking=Population(20.0, on_frames=2.0, dark_frames=10.0, blinks=2.0)
    )
    counts = np.asarray(simulate_smlm(100, scene, rng=np.random.default_rng(8)).frames.data)
    likeness = compared(counts, truth(2.0))
    assert likeness.real_maxima.size == FRAMES
    assert likeness.real_maxima[5:15].mean() > likeness.real_maxima[-10:].mean()


@pytest.mark.parametrize("shape", [(32, 32), (0, 32, 32), (4, 8, 32)])
def test_what_is_no_movie_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SuperlensError, match="expected frames"):
        compare_with_simulation(np.zeros(shape), truth(2.0), PIXEL_NM, rng=np.random.default_rng(0))


def test_frames_without_light_are_compared() -> None:
    dark = np.random.default_rng(0).poisson(20.0, (12, 32, 32)).astype(np.float32)
    likeness = compare_with_simulation(
        dark, replace(truth(0.0), density_um2=0.0), PIXEL_NM, rng=np.random.default_rng(1)
    )
    assert all(np.isfinite([s.real, s.simulated, s.tolerance]).all() for s in likeness.statistics)
