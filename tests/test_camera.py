"""Cameras as users meet them: exposures, estimates from one image, the independence check, re-corrupted pairs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from superlens.camera import Camera, check_noise, estimate_camera, recorrupt, share_photons, smoothed_signal
from superlens.errors import SuperlensError
from superlens.optics import PSF
from superlens.simulate import STRUCTURES, expose

DATA = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def data_file(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the sample data at {DATA}")
    return path


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture(
    kind: str,
    camera: Camera,
    *,
    photons: float = 50.0,
    background: float = 2.0,
    side: int = 128,
    fwhm: float = 2.7,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy counts and clean photons; `fwhm` in camera pixels."""
    psf = PSF.gaussian(fwhm * 100.0, pixel_nm=50.0)
    specimen = STRUCTURES[kind]((2 * side, 2 * side), rng(seed))
    counts, clean, _ = expose(specimen, psf, camera, photons=photons, background=background, rng=rng(seed + 1))
    return counts, clean


def sigma_ratio(estimated: Camera, true: Camera, clean: np.ndarray) -> np.ndarray:
    """Predicted over true noise at the brightness levels that occur."""
    level = true.gain * np.percentile(clean, [10, 25, 50, 75, 90, 99])
    predicted = estimated.variance(level + true.offset - estimated.offset)
    return np.asarray(np.sqrt(predicted / true.variance(level)))


# -- the camera ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gain": 0.0}, "gain is 0.0; expected a number above 0"),
        ({"gain": float("nan")}, "gain is nan"),
        ({"offset": float("inf")}, "offset is inf"),
        ({"read_noise_e": -1.0}, "read_noise_e is -1.0; expected 0 or more electrons"),
        ({"estimated": frozenset({"colour"})}, "estimated is"),
    ],
)
def test_impossible_cameras_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        Camera(**{"gain": 1.0, "offset": 100.0, "read_noise_e": 1.0, **fields})


@given(gain=st.floats(0.05, 20), offset=st.floats(-100, 1000), electrons=st.floats(0, 1e4))
def test_electrons_survive_the_round_trip(gain: float, offset: float, electrons: float) -> None:
    camera = Camera(gain, offset, 1.0)
    assert camera.to_electrons(np.float64(offset + gain * electrons)) == pytest.approx(electrons, rel=1e-9, abs=1e-9)


def test_digitised_counts_are_whole_and_clipped() -> None:
    counts = Camera(2.0, 100.0, 1.0).expose(np.array([0.0, 1e6]), rng(), bits=16)
    assert counts.dtype == np.uint16
    assert counts[1] == 65535
    assert Camera(1.0, -1000.0, 1.0).expose(np.zeros(3), rng(), bits=8).tolist() == [0, 0, 0]


def test_negative_photons_are_refused() -> None:
    with pytest.raises(SuperlensError, match="photons holds values from -1 to 2"):
        Camera(1.0, 0.0, 0.0).expose(np.array([-1.0, 2.0]), rng())


def test_variance_of_negative_signal_is_the_read_noise() -> None:
    assert Camera(2.0, 100.0, 3.0).variance(np.array([-50.0, 0.0])).tolist() == [36.0, 36.0]


# -- estimates from one image ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["filaments", "vesicles", "nuclei", "dead_leaves", "one_over_f", "er_network"])
@pytest.mark.parametrize(
    ("gain", "offset", "read_noise", "photons"),
    [(1.0, 100.0, 1.5, 20.0), (2.2, 500.0, 1.5, 100.0), (0.3, 30.0, 5.0, 200.0), (5.0, 100.0, 0.0, 5.0)],
)
def test_noise_is_predicted_to_15_percent_at_every_level(
    kind: str, gain: float, offset: float, read_noise: float, photons: float
) -> None:
    camera = Camera(gain, offset, read_noise)
    counts, clean = picture(kind, camera, photons=photons)
    ratio = sigma_ratio(estimate_camera(counts).camera, camera, clean)
    assert np.abs(ratio - 1).max() < 0.15


@pytest.mark.parametrize("background", [0.5, 50.0])
def test_sparse_beads_and_glowing_fields_are_no_obstacle(background: float) -> None:
    camera = Camera(2.0, 100.0, 1.5)
    counts, clean = picture("beads", camera, photons=150.0, background=background, side=192)
    ratio = sigma_ratio(estimate_camera(counts).camera, camera, clean)
    assert np.abs(ratio - 1).max() < 0.15


def test_a_known_offset_separates_read_noise_from_background_light() -> None:
    camera = Camera(2.0, 100.0, 3.0)
    counts, _ = picture("filaments", camera, photons=80.0, background=30.0, side=192)
    found = estimate_camera(counts, offset=100.0).camera
    assert found.offset == 100.0
    assert found.estimated == {"gain", "read_noise_e"}
    assert found.gain == pytest.approx(2.0, rel=0.1)
    assert estimate_camera(counts, read_noise_e=3.0).camera.offset == pytest.approx(100.0, abs=10.0)


@pytest.mark.parametrize(
    "known",
    [
        {"offset": 100.0, "read_noise_e": 1.5},
        {"gain": 2.0},
        {"gain": 2.0, "offset": 100.0},
        {"gain": 2.0, "read_noise_e": 1.5},
    ],
)
def test_given_values_are_kept_and_the_noise_stays_right(known: dict[str, float]) -> None:
    camera = Camera(2.0, 100.0, 1.5)
    counts, clean = picture("filaments", camera)
    found = estimate_camera(counts, **known).camera
    assert all(getattr(found, name) == value for name, value in known.items())
    assert found.estimated == {"gain", "offset", "read_noise_e"} - set(known)
    assert np.abs(sigma_ratio(found, camera, clean) - 1).max() < 0.15


def test_wrong_given_values_are_noticed() -> None:
    counts, _ = picture("filaments", Camera(2.0, 100.0, 1.5))
    estimate = estimate_camera(counts, gain=0.1, offset=100.0, read_noise_e=1.0)
    assert estimate.verdict == "doubtful"
    assert any(note.startswith("`gain` is 0.1; the image suggests 2") for note in estimate.notes)


def test_an_image_scaled_to_one_is_as_good_as_counts() -> None:
    counts, _ = picture("filaments", Camera(2.0, 100.0, 1.5))
    low, width = float(counts.min()), float(np.ptp(counts))
    found, scaled = estimate_camera(counts), estimate_camera((counts - low) / width)
    assert scaled.camera.gain * width == pytest.approx(found.camera.gain, rel=1e-3)
    assert scaled.camera.offset * width + low == pytest.approx(found.camera.offset, rel=1e-3)
    assert scaled.verdict == "plausible"


def test_the_darkest_part_is_the_offset() -> None:
    counts, _ = picture("vesicles", Camera(1.0, 100.0, 1.5), background=0.0, side=192)
    estimate = estimate_camera(counts)
    assert estimate.camera.offset == pytest.approx(100.0, abs=0.5)
    assert estimate.camera.read_noise_e == pytest.approx(1.5, rel=0.15)


def test_a_stack_is_read_as_many_images_of_one_camera() -> None:
    camera = Camera(1.5, 100.0, 1.0)
    stack = np.stack([picture("filaments", camera, side=64, seed=seed)[0] for seed in range(0, 12, 2)])
    assert estimate_camera(stack).camera.gain == pytest.approx(1.5, rel=0.1)


def test_noise_that_does_not_grow_with_brightness_is_doubted() -> None:
    _, clean = picture("filaments", Camera(1.0, 0.0, 0.0), photons=200.0)
    estimate = estimate_camera(clean + 5.0 * rng().standard_normal(clean.shape))
    assert estimate.verdict != "plausible"
    assert np.sqrt(estimate.camera.variance(np.array([0.0, 100.0]))) == pytest.approx(5.0, rel=0.15)


def test_even_and_noise_free_images_get_a_verdict_and_a_camera() -> None:
    even = estimate_camera(rng().poisson(20.0, (64, 64)).astype(float))
    assert even.verdict == "doubtful"
    assert np.sqrt(even.camera.variance(20.0 - even.camera.offset)) == pytest.approx(np.sqrt(20.0), rel=0.2)
    assert estimate_camera(np.full((32, 32), 7.0)).verdict == "impossible"


def test_saturated_pixels_are_left_out_and_told() -> None:
    counts, clean = picture("filaments", Camera(1.0, 10.0, 1.5), photons=150.0)
    estimate = estimate_camera(np.clip(np.rint(counts), 0, 160))
    assert any("saturated at 160" in note for note in estimate.notes)
    assert estimate.camera.gain == pytest.approx(1.0, rel=0.15)


def test_rounding_few_photon_images_is_not_taken_for_clipping() -> None:
    counts, _ = picture("filaments", Camera(1.0, 0.0, 0.0), photons=20.0, background=1.0)
    assert not any("cut off" in note for note in estimate_camera(counts).notes)


def test_noise_cut_off_at_zero_makes_the_camera_doubtful():
    rng = np.random.default_rng(0)
    light = np.repeat(np.linspace(0.0, 40.0, 256), 256).reshape(256, 256)
    whole = Camera(gain=2.0, offset=0.0, read_noise_e=2.0).expose(light, rng)
    assert estimate_camera(whole, offset=0.0).verdict == "plausible"
    found = estimate_camera(np.maximum(whole - 20, 0), offset=0.0)
    assert found.verdict == "doubtful"
    assert any("give `gain`" in note for note in found.notes)


def test_unusable_images_are_refused() -> None:
    for call in (estimate_camera, check_noise):
        with pytest.raises(SuperlensError, match=r"shape \(8, 8\); expected an image of at least 16 x 16"):
            call(np.zeros((8, 8)))
        with pytest.raises(SuperlensError, match="NaN or infinite"):
            call(np.full((32, 32), np.nan))


# -- independence of pixels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["filaments", "er_network", "beads", "nuclei", "dead_leaves"])
@pytest.mark.parametrize("fwhm", [2.2, 3.5])
def test_structure_is_not_mistaken_for_correlated_noise(kind: str, fwhm: float) -> None:
    counts, _ = picture(kind, Camera(1.0, 100.0, 1.5), photons=100.0, fwhm=fwhm, side=192)
    found = check_noise(counts)
    assert found.independent
    assert np.abs(found.neighbour_correlation).max() < 0.15


def thin_lines(seed: int) -> np.ndarray:
    """Lines of 1000 photons as wide as 1.6 pixels, in the dark: what a weak objective shows of filaments."""
    rng = np.random.default_rng(seed)
    light, along = np.zeros((160, 160)), np.linspace(-40, 40, 400)
    for _ in range(25):
        top, left, angle = *rng.uniform(0, 160, 2), rng.uniform(0, np.pi)
        y, x = (top + along * np.sin(angle)).astype(int), (left + along * np.cos(angle)).astype(int)
        inside = (y >= 0) & (y < 160) & (x >= 0) & (x < 160)
        light[y[inside], x[inside]] = 1
    light = ndimage.gaussian_filter(light, 0.7)
    return np.asarray(1000 * light / np.percentile(light, 99.5) + 5)


@pytest.mark.parametrize("seed", range(4))
def test_structure_that_is_sampled_too_coarsely_is_not_taken_for_shared_noise(seed: int) -> None:
    light = thin_lines(seed)
    counts = Camera(2.0, 100.0, 1.5).expose(light, np.random.default_rng(9))
    found = estimate_camera(counts, offset=100.0)
    assert check_noise(counts).independent
    assert "coarsely" in check_noise(counts).note
    assert found.verdict == "plausible"
    assert 1.6 < found.camera.gain < 4.0  # structure adds to the noise, once and not ten times


@pytest.mark.parametrize("seed", range(4))
def test_noise_that_coarsely_sampled_neighbours_share_is_found_all_the_same(seed: int) -> None:
    light = thin_lines(seed)
    counts = Camera(2.0, 100.0, 1.5).expose(light, np.random.default_rng(9))
    expected = 100 + 2 * light
    assert not check_noise(expected + ndimage.gaussian_filter(counts - expected, 0.6)).independent


def test_correlation_along_one_axis_is_found_along_that_axis() -> None:
    white = rng().standard_normal((256, 257))
    found = check_noise(white[:, 1:] + 0.3 * white[:, :-1])
    assert found.neighbour_correlation[0] == pytest.approx(0.3 / 1.09, abs=0.06)
    assert abs(found.neighbour_correlation[1]) < 0.06
    assert not found.independent


@pytest.mark.parametrize("how", ["scaled up", "smoothed", "binned from shifts"])
def test_processed_images_are_found_out(how: str) -> None:
    counts, _ = picture("filaments", Camera(1.0, 100.0, 1.5), photons=30.0)
    worked = {
        "scaled up": lambda: ndimage.zoom(counts, 2, order=1),
        "smoothed": lambda: ndimage.gaussian_filter(counts, 0.7),
        "binned from shifts": lambda: 0.5 * (counts[1:, 1:] + counts[:-1, :-1]),
    }[how]()
    assert not check_noise(worked).independent


@pytest.mark.parametrize("kind", sorted(STRUCTURES))
def test_recordings_have_no_dents_below_the_dark_level(kind: str) -> None:
    counts, _ = picture(kind, Camera(1.0, 300.0, 1.0), photons=400.0, fwhm=4.0)
    assert not any("dents" in note for note in estimate_camera(counts).notes)


@pytest.mark.parametrize("kind", ["beads", "dead_leaves", "er_network", "filaments", "membranes", "vesicles"])
def test_dents_around_bright_structure_are_told(kind: str) -> None:
    """Negative lobes, as deconvolution leaves them; even specimens have too little contrast for any."""
    counts, _ = picture(kind, Camera(1.0, 300.0, 1.0), photons=400.0, fwhm=4.0)
    sharpened = counts + 3.0 * (ndimage.gaussian_filter(counts, 1.0) - ndimage.gaussian_filter(counts, 4.0))
    estimate = estimate_camera(sharpened)
    assert any("dents" in note for note in estimate.notes)
    assert estimate.verdict == "doubtful"


@pytest.mark.parametrize("kind", ["filaments", "dead_leaves"])
@pytest.mark.parametrize("photons", [20.0, 1000.0])
@pytest.mark.parametrize("how", ["resampled", "smoothed"])
def test_bright_structure_does_not_pass_for_the_noise_that_interpolation_left(
    kind: str, photons: float, how: str
) -> None:
    work = {
        "resampled": lambda a: ndimage.zoom(a, 2, order=1, grid_mode=True, mode="nearest")[::2, ::2],
        "smoothed": lambda a: ndimage.gaussian_filter(a, 0.6),
    }[how]
    counts, clean = picture(kind, Camera(1.0, 100.0, 1.5), photons=photons, side=192)
    worked, noise = work(counts), work(counts - 100.0 - clean)
    shared = float(np.mean(noise[:, 1:] * noise[:, :-1]) / np.mean(noise**2))
    found = check_noise(worked)
    assert not found.independent
    assert found.neighbour_correlation == pytest.approx((shared, shared), abs=0.1)
    camera = estimate_camera(worked).camera
    stated = np.sqrt(np.mean(camera.variance(work(clean) + 100.0 - camera.offset)))
    assert stated == pytest.approx(noise.std(), rel=0.25)  # sharp edges at 1000 photons add a fifth


def test_correlated_noise_can_be_drawn_and_is_measured_again() -> None:
    kernel = np.outer([0.05, 0.25, 1.0, 0.25, 0.05], [0.02, 0.2, 1.0, 0.2, 0.02])
    drawn = recorrupt(np.zeros((256, 256)), 1.0, 1.0, rng(), covariance=kernel)[0]
    assert drawn.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(drawn[:, 1:] * drawn[:, :-1]) == pytest.approx(0.2, abs=0.02)
    assert np.mean(drawn[1:] * drawn[:-1]) == pytest.approx(0.25, abs=0.02)
    found = check_noise(drawn)
    assert found.covariance.shape == (5, 5)
    assert found.neighbour_correlation == pytest.approx((0.2, 0.25), abs=0.1)


@pytest.mark.parametrize(
    ("name", "independent", "low", "high"),
    [
        ("zs-deconvnet/lysosome_tirf/cell01.tif", True, -0.05, 0.05),
        ("zs-deconvnet/microtubule_2d/01.tif", True, -0.05, 0.05),
        ("fmd/Confocal_FISH_1_raw.png", True, 0.02, 0.1),
        # four frames of one field give 0.62; one frame can only bound it
        ("fmd/WideField_BPAE_B_1_raw.png", False, 0.4, 0.8),
        ("dl-sim/LE_raw_sim_15frames.tif", False, 0.5, 0.8),
    ],
)
def test_recorded_images_agree_with_what_repeats_of_them_showed(
    name: str, independent: bool, low: float, high: float
) -> None:
    from skimage import io

    path = data_file(name)
    found = check_noise(tifffile.imread(path) if path.suffix == ".tif" else io.imread(path))
    assert found.independent is independent
    assert low < found.neighbour_correlation[0] < high


def test_taking_every_second_pixel_of_an_upscaled_image_helps() -> None:
    frames = tifffile.imread(data_file("dl-sim/LE_raw_sim_15frames.tif"))
    assert (
        check_noise(frames[:, ::2, ::2]).neighbour_correlation[0] < 0.4 < check_noise(frames).neighbour_correlation[0]
    )


# -- pairs ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(alpha=st.floats(0.3, 3.0), sigma=st.floats(0.0, 50.0), seed=st.integers(0, 1000))
def test_a_pair_gives_its_image_back(alpha: float, sigma: float, seed: int) -> None:
    image = rng(seed).uniform(0, 500, (2, 9, 7))
    first, second = recorrupt(image, sigma, alpha, rng(seed))
    np.testing.assert_allclose((first + alpha**2 * second) / (1 + alpha**2), image, rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize("covariance", [None, np.outer([0.3, 1.0, 0.3], [0.3, 1.0, 0.3])])
def test_the_noises_of_a_pair_are_uncorrelated(covariance: np.ndarray | None) -> None:
    # The noise of the image itself is drawn like g, so that it has the assumed variance and correlation.
    sigma, alpha, shape = 3.0, 1.4, (400, 400)
    image = recorrupt(np.zeros(shape), sigma, 1.0, rng(1), covariance=covariance)[0]
    first, second = recorrupt(image, sigma, alpha, rng(2), covariance=covariance)
    for shift in (0, 1):  # neighbours, too
        product = first * np.roll(second, shift, axis=1)
        # 160,000 products of deviation about 13, fewer independent ones when correlated: five standard errors
        assert abs(product.mean()) < 5 * product.std() / np.sqrt(image.size) * (1.0 if covariance is None else 2.0)


@settings(max_examples=30, deadline=None)
@given(
    alpha=st.floats(0.3, 3.0),
    gain=st.floats(1e-3, 100.0),
    read=st.floats(0.0, 5.0),
    light=st.floats(0.0, 1e4),
    seed=st.integers(0, 1000),
)
def test_dealt_out_photons_give_their_image_back(
    alpha: float, gain: float, read: float, light: float, seed: int
) -> None:
    camera = Camera(gain, 0.0, read)
    image = camera.expose(np.full((9, 7), light), rng(seed)).astype(np.float64)
    first, second = share_photons(image, gain * light, camera, alpha, rng(seed))
    np.testing.assert_allclose((first + alpha**2 * second) / (1 + alpha**2), image, rtol=1e-9, atol=1e-6 * gain)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.4])
@pytest.mark.parametrize("read", [0.0, 0.5, 1.5, 30.0])
@pytest.mark.parametrize("light", [0.1, 1.0, 8.0, 38.0, 45.0, 90.0])
def test_a_copy_of_dealt_out_photons_says_nothing_of_the_noise_of_the_other(
    light: float, read: float, alpha: float
) -> None:
    camera = Camera(3.0, 0.0, read)
    image = camera.expose(np.full((500, 500), light), rng(1))
    first, second = share_photons(image, np.full(image.shape, 3.0 * light), camera, alpha, rng(2))
    variance = float(camera.variance(3.0 * light))
    for copy, factor in ((first, 1 + alpha**2), (second, 1 + alpha**-2)):
        assert copy.var() == pytest.approx(factor * variance, rel=0.05)
    # The mean of one copy is the same wherever the other lies, in six parts from its darkest to its brightest values.
    for known, told in ((first, second), (second, first)):
        for level in np.array_split(np.argsort(known.round(3), axis=None, kind="stable"), 6):  # ties in random order
            few = told.ravel()[level]
            assert abs(few.mean() - told.mean()) < 5 * told.std() / np.sqrt(few.size)


def test_variance_alone_leaves_single_photons_standing_in_both_copies() -> None:
    camera = Camera(1.0, 0.0, 0.0)
    image = camera.expose(np.full((500, 500), 0.1), rng(1))
    bright = []
    for first, second in (
        recorrupt(image, np.sqrt(0.1), 1.0, rng(2)),
        share_photons(image, 0.1, camera, 1.0, rng(2)),
    ):
        bright.append(second[first > 1.5].mean())
    assert bright[0] > 0.5  # five times the mean: what a network learns to keep
    assert bright[1] == pytest.approx(0.1, abs=0.03)


def test_pairs_keep_single_precision_and_never_change_the_image() -> None:
    image = np.ones((8, 8), np.uint16)
    first, second = recorrupt(image, np.float64(1.0), 1.0, rng())
    assert first.dtype == second.dtype == np.float32
    assert (image == 1).all()


@pytest.mark.parametrize(
    ("sigma", "alpha", "words"),
    [(1.0, 0.0, "alpha is 0.0"), (-1.0, 1.0, "sigma holds negative"), (np.nan, 1.0, "sigma holds")],
)
def test_impossible_pairs_are_refused(sigma: float, alpha: float, words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        recorrupt(np.zeros((4, 4)), sigma, alpha, rng())
    if not alpha:
        with pytest.raises(SuperlensError, match=words):
            share_photons(np.zeros((4, 4)), 0.0, Camera(1.0, 0.0, 0.0), alpha, rng())


def test_local_means_keep_flat_images_flat_up_to_the_border() -> None:
    np.testing.assert_allclose(smoothed_signal(np.full((2, 9, 11), 7, np.uint16)), 7.0, rtol=1e-6)
    point = np.zeros((11, 11))
    point[5, 5] = 25.0
    assert smoothed_signal(point)[3:8, 3:8] == pytest.approx(np.ones((5, 5)))


def test_neighbours_that_share_little_noise_are_taken_into_account_and_no_more() -> None:
    """A quarter of the light spilled into two neighbours is mild; a bilinear enlargement, which shares half of it, is not."""
    white = np.random.default_rng(3).normal(100, 5, (192, 192))
    spilled = check_noise(white + 0.25 * np.roll(white, 1, axis=1) + 0.25 * np.roll(white, 1, axis=0))
    enlarged = check_noise(ndimage.zoom(white, 2, order=1, mode="nearest", grid_mode=True))
    assert not spilled.independent and spilled.mild and "into account" in spilled.note
    assert not enlarged.independent and not enlarged.mild


def test_a_camera_that_multiplies_electrons_is_no_fault_of_the_image() -> None:
    """Forty counts per electron are usual for an EMCCD; the gain that is found holds its excess noise as well."""
    counts, _ = picture("filaments", Camera(40.0, 300.0, 1.0))
    estimate = estimate_camera(np.rint(counts))
    assert estimate.camera.gain == pytest.approx(40.0, rel=0.15)
    assert estimate.verdict == "plausible"
    assert any("EMCCD" in note for note in estimate.notes)
