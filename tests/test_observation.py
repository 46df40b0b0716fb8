"""Observations: counts above the offset, a noise level for every pixel, one camera for all images of a kind."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import ndimage

from superlens.camera import Camera, check_noise
from superlens.camera.hot import standing_alone
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.observing.observation import noise_sigma, noted, observe

CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
GIVEN = {"offset": 100.0, "gain": 2.0, "read_noise_e": 1.5}


def clean(shape=(64, 64), seed=0):
    """Photons: soft spots of up to about 60 on a background of 5."""
    spots = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape) ** 40, 3, mode="wrap")
    return 5 + 60 * spots / spots.max()


def recorded(seed=0, shape=(64, 64), camera=CAMERA):
    return camera.expose(clean(shape, seed), np.random.default_rng(seed)).astype(np.float32)


def test_counts_are_what_lies_above_the_offset():
    data = recorded()
    (seen,) = observe([Image(data)], **GIVEN)
    np.testing.assert_allclose(seen.counts[0], data - 100, atol=1e-4)
    assert seen.counts.dtype == seen.sigma.dtype == np.float32
    assert seen.camera == CAMERA
    assert not seen.bad.any()


@pytest.mark.parametrize(
    "kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">i2", ">f4", ">f8"]
)
def test_the_same_numbers_of_any_type_are_the_same_counts(kind):
    data = np.minimum(recorded(), 120).round()
    (one,), (other,) = (
        observe([Image(data)], **GIVEN),
        observe([Image(data.astype(kind).astype(np.dtype(kind).newbyteorder("=")))], **GIVEN),
    )
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.sigma, other.sigma)


def test_sigma_is_the_noise():
    """Against the known mean, the spread of the noise in units of sigma is one; three standard errors over 64 x 64 pixels."""
    (seen,) = observe([Image(recorded())], **GIVEN)
    z = (seen.counts[0] - 2 * clean()) / seen.sigma[0]
    assert np.mean(z**2) == pytest.approx(1, abs=3 * np.sqrt(2) / 64 + 0.03)  # sigma itself is from a noisy 5x5 mean


def test_sigma_scales_with_the_unit():
    data = recorded()
    (one,) = observe([Image(data)], **GIVEN)
    (two,) = observe([Image(7 * data)], offset=700.0, gain=14.0, read_noise_e=1.5)
    np.testing.assert_allclose(two.sigma, 7 * one.sigma, rtol=1e-5)


@pytest.mark.parametrize("read_noise_e", [0.0, 2.0])
def test_sigma_is_never_zero(read_noise_e):
    camera = Camera(gain=2.0, offset=0.0, read_noise_e=read_noise_e)
    dark = np.zeros((1, 16, 16), np.float32)
    dark[0, 8, 8] = 1e6
    sigma = noise_sigma(dark, camera)
    assert sigma.min() > 0
    assert np.isfinite(1 / sigma**2).all()
    np.testing.assert_array_less(0, noise_sigma(-dark, camera))


def test_planes_of_all_axes_are_taken_one_by_one():
    stack = np.stack([recorded(seed) for seed in range(6)]).reshape(3, 2, 64, 64)
    (seen,) = observe([Image(stack, axes="TZYX", z_step_nm=100.0)], **GIVEN)
    assert seen.counts.shape == seen.sigma.shape == seen.bad.shape == (6, 64, 64)
    (alone,) = observe([Image(stack[1, 1])], **GIVEN)
    np.testing.assert_array_equal(seen.counts[3], alone.counts[0])
    np.testing.assert_allclose(seen.sigma[3], alone.sigma[0], rtol=1e-6)


def test_one_camera_took_all_images():
    images = [Image(recorded(seed)) for seed in range(3)]
    together = observe(images)
    assert len({seen.camera for seen in together}) == 1
    gains = sorted(seen.estimate.camera.gain for seen in together)
    assert together[0].camera.gain == pytest.approx(gains[1])
    assert together[0].camera.estimated == {"gain", "offset", "read_noise_e"}


def test_what_is_given_is_not_estimated():
    (seen,) = observe([Image(recorded())], offset=100.0)
    assert seen.camera.offset == 100
    assert "offset" not in seen.camera.estimated
    assert "gain" in seen.camera.estimated


def test_bad_pixels_are_marked_and_filled():
    data = recorded()
    data[10, 10:13] = np.nan
    with pytest.warns(SuperlensWarning, match="3 of 4096 pixels are undefined"):
        (seen,) = observe([Image(data)], **GIVEN)
    np.testing.assert_array_equal(np.argwhere(seen.bad[0]), [[10, 10], [10, 11], [10, 12]])
    assert np.isfinite(seen.counts).all()
    assert any("undefined" in message for message in seen.messages)


def test_shared_noise_is_said():
    data = recorded()
    noise = data - 2 * clean() - 100
    shared = (2 * clean() + 100 + (noise + np.roll(noise, 1, 1)) / np.sqrt(2)).astype(np.float32)
    (seen,) = observe([Image(shared)], **GIVEN)
    assert not seen.noise.independent
    assert seen.noise.note in seen.messages
    (separate,) = observe([Image(data)], **GIVEN)
    assert separate.noise.independent
    assert separate.noise.note not in separate.messages


def test_shared_noise_is_said_once_as_it_was_found_last():
    noise = np.random.default_rng(4).normal(size=(2, 96, 96))
    first, last = (check_noise(100 + one + np.roll(one, 1, 1)) for one in noise)
    assert first.note != last.note
    assert noted([first.note, "the file is old"], last) == ("the file is old", last.note)
    separate = check_noise(noise[0])
    assert noted(["the file is old"], separate) == ("the file is old",)


def test_image_that_cannot_be_worked_on_is_refused():
    with pytest.raises(SuperlensError, match="constant"):
        observe([Image(recorded()), Image(np.ones((64, 64)), name="flat")])


# -- hot pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_hot_pixels_are_filled_and_told(kind):
    data = np.rint(recorded()).astype(kind)
    spoiled = data.copy()
    spoiled[(10, 30, 50), (12, 40, 63)] = 4000
    (seen,) = observe([Image(spoiled)], **GIVEN)
    assert set(zip(*np.nonzero(seen.bad[0]), strict=True)) == {(10, 12), (30, 40), (50, 63)}
    assert np.abs(seen.counts[0] - (data - 100.0)).max() < 8 * seen.sigma.max()
    assert any("3 of 4096 pixels stand alone" in said for said in seen.messages)
    assert spoiled[10, 12] == 4000  # the user's own pixels stay


def test_a_dead_pixel_shows_in_bright_places():
    data = CAMERA.expose(np.full((32, 32), 800.0), np.random.default_rng(1))
    data[3, 0] = 100
    (seen,) = observe([Image(data)], **GIVEN)
    assert np.argwhere(seen.bad[0]).tolist() == [[3, 0]]


@pytest.mark.parametrize("fwhm_pixels", [1.4, 2.0, 4.0])
@pytest.mark.parametrize("photons", [20.0, 500.0, 20_000.0])
def test_light_from_points_is_never_hot(fwhm_pixels, photons):
    rng = np.random.default_rng(3)
    fine = np.zeros((256, 256))
    fine[tuple(rng.integers(0, 256, (2, 40)))] = 1
    blurred = ndimage.gaussian_filter(fine, 4 * fwhm_pixels / 2.3548, mode="wrap").reshape(64, 4, 64, 4).mean((1, 3))
    camera = Camera(gain=1.5, offset=100.0, read_noise_e=1.0)
    data = camera.expose(photons * blurred / blurred.max() + 0.3, rng)
    assert not observe([Image(data)], offset=100.0, gain=1.5, read_noise_e=1.0)[0].bad.any()


@pytest.mark.parametrize("seed", range(12))
def test_pixels_stand_alone_as_defined(seed):
    """Fifteen sigma from the median of the 24 neighbours, and no more than a tenth of it, and noise, in the nearest eight."""
    rng = np.random.default_rng(seed)
    camera = Camera(float(np.exp(rng.normal())), 0.0, float(rng.choice([0.0, 2.5])))
    light = np.exp(rng.uniform(0, 6)) * rng.random((40, 37)) ** rng.uniform(0.1, 9)
    counts = camera.expose(light, rng).astype(np.float32)
    spoiled = rng.random(counts.shape) < 0.03
    counts[spoiled] = rng.uniform(-500, 5000, spoiled.sum())
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    around = ndimage.median_filter(counts, footprint=ring, mode="mirror")
    sigma = np.sqrt(camera.variance(around) + camera.gain**2)
    extremes = (
        f(counts, footprint=ring[1:4, 1:4], mode="mirror") for f in (ndimage.maximum_filter, ndimage.minimum_filter)
    )
    highest, lowest = (extreme - around for extreme in extremes)
    excess = counts - around
    shared = np.where(excess > 0, highest, -lowest)
    expected = (np.abs(excess) > 15 * sigma) & (shared < 0.1 * np.abs(excess) + 1.5 * sigma)
    assert expected.any()
    assert (standing_alone(counts, camera) == expected).all()


def test_an_image_of_lone_pixels_is_left_alone():
    rng = np.random.default_rng(4)
    data = rng.normal(100, 2, (64, 64))
    data[rng.random((64, 64)) < 0.02] = 5000
    (seen,) = observe([Image(data)], **GIVEN)
    assert not seen.bad.any()


# -- whatever users bring ------------------------------------------------------------------------------------------------


def eight_bits(counts):
    low, high = counts.min(), counts.max()
    return np.rint(230 * (counts - low) / (high - low)).astype(np.uint8)


def jpeg(counts):
    content = io.BytesIO()
    Pillow.fromarray(eight_bits(counts)).save(content, "JPEG", quality=60)
    return np.asarray(Pillow.open(content))


@pytest.mark.parametrize(
    ("worked", "unit"),
    [
        (lambda c: np.rint(c).astype(np.uint16), 1.0),
        (lambda c: c / 1000, 1e-3),
        (lambda c: 40 * c - 7, 40.0),
        (eight_bits, None),
    ],
    ids=["whole counts", "scaled to fractions", "scaled up", "8 bit"],
)
def test_the_noise_is_right_in_any_unit(worked, unit):
    counts = recorded(shape=(128, 128))
    unit = unit or 230 / float(np.ptp(counts))
    (seen,) = observe([Image(worked(counts))])
    true = unit * np.sqrt(CAMERA.variance(2 * clean((128, 128))))
    ratio = seen.sigma[0] / true
    assert np.median(ratio) == pytest.approx(1, abs=0.15)
    assert seen.estimate.verdict == "plausible"


@pytest.mark.parametrize(
    ("worked", "said"),
    [
        (jpeg, "correlated"),
        (lambda c: ndimage.gaussian_filter(c, 0.8), "correlated"),
        (lambda c: ndimage.median_filter(c, 3), "correlated"),
        (lambda c: ndimage.zoom(c, 1.5, order=1), "correlated"),
        (lambda c: np.maximum(np.rint(c) - 115, 0), "cut off at the bottom"),
        (lambda c: np.minimum(c, np.quantile(c, 0.99)), "saturated"),
        (lambda c: ndimage.gaussian_filter(c, 3), "no noise|correlated"),
    ],
    ids=["jpeg", "smoothed", "median", "enlarged", "background taken off", "stretched", "denoised"],
)
def test_what_was_done_to_an_image_is_told(worked, said):
    counts = recorded(shape=(128, 128))
    (raw,), (seen,) = observe([Image(counts)]), observe([Image(worked(counts))])
    pattern = re.compile(said)
    assert not any(pattern.search(message) for message in raw.messages)
    assert any(pattern.search(message) for message in seen.messages)
