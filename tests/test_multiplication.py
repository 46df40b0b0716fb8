"""Cameras that multiply electrons: recognised from an image, and their light dealt out to independent copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from superlens import simulate
from superlens.camera import EMCCD, Camera, estimate_camera, share_photons
from superlens.camera.multiplication import multiplies
from superlens.errors import SuperlensWarning
from superlens.image import Image
from superlens.observing.observation import observe
from superlens.optics import PSF

PLAIN = Camera(20.0, 100.0, 0.3)
MULTIPLIED = replace(PLAIN, multiplied=True)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramp(photons: float, side: int = 256) -> np.ndarray:
    """A bright stripe that fades along its length, on a dark ground."""
    along = np.linspace(0.1, 1.0, side)[:, None]
    across = np.exp(-0.5 * ((np.arange(side) - side / 2) / (side / 6)) ** 2)[None, :]
    return np.asarray(photons * along * across + 0.1)


def test_a_multiplier_has_the_mean_and_the_variance_of_its_gain() -> None:
    light = np.full((600, 600), 3.0)
    counts = MULTIPLIED.expose(light, rng())
    assert counts.mean() == pytest.approx(100 + 20 * 3, rel=0.01)
    assert counts.var() == pytest.approx(MULTIPLIED.variance(60.0), rel=0.02)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.4])
@pytest.mark.parametrize("light", [0.1, 1.0, 8.0, 38.0, 45.0, 90.0])
def test_a_copy_of_multiplied_light_says_nothing_of_the_noise_of_the_other(light: float, alpha: float) -> None:
    camera = Camera(3.0, 0.0, 0.0, multiplied=True)
    image = camera.expose(np.full((500, 500), light), rng(1))
    first, second = share_photons(image, 3.0 * light, camera, alpha, rng(2))
    variance = float(camera.variance(3.0 * light))
    for copy, factor in ((first, 1 + alpha**2), (second, 1 + alpha**-2)):
        assert copy.mean() == pytest.approx(3.0 * light, abs=5 * np.sqrt(factor * variance / copy.size))
        assert copy.var() == pytest.approx(factor * variance, rel=0.06)
    for known, told in ((first, second), (second, first)):
        for level in np.array_split(np.argsort(known.round(3), axis=None, kind="stable"), 6):  # ties in random order
            few = told.ravel()[level]
            assert abs(few.mean() - told.mean()) < 5 * told.std() / np.sqrt(few.size)


def test_dealt_out_as_plain_light_a_bright_electron_stands_in_both_copies() -> None:
    image = Camera(1.0, 0.0, 0.0, multiplied=True).expose(np.full((500, 500), 0.5), rng(1))
    bright = []
    for multiplied in (False, True):
        first, second = share_photons(image, 0.5, Camera(1.0, 0.0, 0.0, multiplied=multiplied), 1.0, rng(2))
        bright.append(second[first > 4].mean())
    assert bright[0] > 0.7  # what a network learns to keep
    assert bright[1] == pytest.approx(0.5, abs=0.05)


def test_the_copies_give_their_image_back() -> None:
    image = MULTIPLIED.expose(ramp(5.0), rng()).astype(np.float64) - 100
    first, second = share_photons(image, 20 * ramp(5.0), MULTIPLIED, 1.3, rng(1))
    np.testing.assert_allclose((first + 1.3**2 * second) / (1 + 1.3**2), image, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("photons", [2.0, 6.0])
def test_multiplied_light_is_told_from_plain_light(photons: float) -> None:
    for camera in (PLAIN, MULTIPLIED):
        counts = np.rint(camera.expose(ramp(photons), rng(3)))
        assert estimate_camera(counts).camera.multiplied is camera.multiplied


@pytest.mark.parametrize("seed", range(4))
def test_a_crop_tells_what_the_whole_tells(seed: int) -> None:
    """Also one without a dark place, whose offset can't be seen."""
    bright = 3.0 + ramp(6.0, side=128)
    for camera in (replace(PLAIN, read_noise_e=0.0), PLAIN, MULTIPLIED):
        counts = np.rint(camera.expose(bright, rng(seed)))
        assert estimate_camera(counts).camera.multiplied is camera.multiplied


def test_an_emccd_is_recognised_from_its_counts_and_so_is_its_stretched_export() -> None:
    counts = EMCCD().expose(2 * ramp(4.0), rng(4)).astype(np.float64)
    low, high = counts.min(), np.quantile(counts, 0.999)
    stretched = np.clip(np.rint(255 * (counts - low) / (high - low)), 0, 255)
    for picture in (counts, stretched):
        assert estimate_camera(picture).camera.multiplied


@pytest.mark.parametrize("photons", [2, 5, 15, 50, 150])
@pytest.mark.parametrize("kind", ["filaments", "vesicles", "er_network", "nuclei", "beads"])
def test_structure_is_not_taken_for_a_multiplier(kind: str, photons: float) -> None:
    psf = PSF.gaussian(250.0, pixel_nm=50.0)
    specimen = getattr(simulate, kind)((320, 320), rng(11))
    for camera in (PLAIN, replace(PLAIN, read_noise_e=0.0)):
        counts, *_ = simulate.expose(specimen, psf, camera, photons=photons, background=2.0, rng=rng(12))
        for part in (counts, counts[:96, :96], counts[-96:, -96:]):
            assert not estimate_camera(part).camera.multiplied


def test_the_dark_noise_of_a_multiplier_is_light_and_not_read_noise() -> None:
    counts = MULTIPLIED.expose(ramp(6.0) + 0.5, rng(5))
    found = estimate_camera(counts).camera
    assert found.multiplied
    assert found.read_noise_e < 0.5
    assert abs(found.offset - 100) < abs(estimate_camera(counts).means.min() - 100)
    assert estimate_camera(counts, offset=90.0).camera.offset == 90.0


def test_nothing_is_said_of_an_image_without_growing_noise() -> None:
    assert not multiplies(rng().normal(100, 3, (1, 128, 128)), 1.0, 91.0)
    assert not multiplies(np.zeros((1, 32, 32)), 1.0, 0.0)


def test_bright_pixels_that_were_saturated_do_not_hide_a_multiplier() -> None:
    counts = np.rint(MULTIPLIED.expose(ramp(5.0, side=384), rng(6)))
    level = np.quantile(counts, 0.998)
    with pytest.warns(SuperlensWarning, match="saturated"):
        (seen,) = observe([Image(np.minimum(255 * counts / level, 255).astype(np.uint8), "YX")])
    assert seen.bad.any()
    assert seen.camera.multiplied
