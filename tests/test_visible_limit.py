"""The frequency up to which an image shows light: bounded by its optics, whatever its camera."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from superlens.camera import Camera
from superlens.image import Image
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import visible_limit
from superlens.optics import PSF, Objective, image_of
from superlens.training.two_stage.banded import Band

PLAIN, MULTIPLYING = Camera(2.0, 100.0, 1.5), Camera(2.0, 100.0, 0.5, multiplied=True)


def recorded(
    width_px: float, photons: float, camera: Camera, side: int = 192, seed: int = 0, psf: PSF | None = None
) -> np.ndarray:
    """Points through a PSF, in a plane of their own."""
    blur = (psf or PSF.gaussian(100.0 * width_px, 50.0)).data
    rng = np.random.default_rng(seed)
    specimen = np.zeros((2 * side, 2 * side))
    specimen[tuple(rng.integers(0, 2 * side, (2, side)))] = 1.0
    image = image_of(specimen, blur, scale=2)
    return camera.expose(photons * image / image.max() + 2, rng)[None]


@pytest.mark.parametrize("camera", [PLAIN, MULTIPLYING], ids=["plain", "multiplying"])
@pytest.mark.parametrize("na", [0.8, 1.2])
@pytest.mark.parametrize("photons", [10, 100, 1000])
def test_no_image_shows_more_than_its_optics_pass(camera, na, photons):
    psf = Objective(na=na, wavelength_nm=525, psf_model="scalar").psf(32.5)
    limit = visible_limit(recorded(0, photons, camera, psf=psf))
    assert limit is not None
    assert limit < 2 * na / 525 * 65 + 3.5 / 64  # rings of a part of 64 pixels, whose window blurs its spectrum


def test_more_light_shows_more():
    limits = [visible_limit(recorded(5.0, photons, PLAIN)) for photons in (5, 50, 5000)]
    assert limits == sorted(limits)
    assert limits[-1] > 1.2 * limits[0]


@pytest.mark.parametrize("seed", range(5))
def test_gain_offset_and_quarter_turns_change_nothing(seed):
    image = recorded(3.0, 100, PLAIN, seed=seed)
    limit = visible_limit(image)
    assert visible_limit(3.5 * image + 1000) == pytest.approx(limit)
    assert visible_limit(np.rot90(image, axes=(1, 2))) == pytest.approx(limit)


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_shows_nothing_fine(seed):
    noise = PLAIN.expose(np.full((192, 192), 20.0), np.random.default_rng(seed))[None]
    limit = visible_limit(noise)
    assert limit is not None
    assert limit < 0.1


def test_light_that_reaches_the_finest_rings_has_no_limit():
    assert visible_limit(recorded(1.0, 1000, PLAIN)) is None


def test_noise_that_neighbours_share_has_no_limit():
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(192, 192)), 0.6)
    assert visible_limit(noise[None]) is None


def test_small_and_even_images_and_those_with_holes_have_none():
    holed = recorded(4.0, 100, PLAIN)
    holed[0, 5, 5] = np.nan
    assert visible_limit(holed) is None
    assert visible_limit(np.random.default_rng(0).normal(size=(1, 63, 200))) is None
    assert visible_limit(np.full((1, 96, 96), 7.0)) is None


def test_a_band_keeps_twice_what_is_visible():
    image = recorded(4.5, 100, PLAIN)
    band, limit = Band.shown_by(image), visible_limit(image)
    assert band is not None
    assert band.limit == pytest.approx(2 * limit)


@pytest.mark.parametrize("photons", [30, 100])
def test_one_spot_in_a_wide_dark_field_keeps_its_band(photons):
    """In the mean over the whole field it vanishes."""
    y, x = np.ogrid[:384, :384]
    spot = 5 + photons * np.exp(-((y - 160.3) ** 2 + (x - 222.6) ** 2) / (2 * 1.27**2))
    band = Band.shown_by(np.random.default_rng(1).poisson(spot)[None])
    assert band is not None
    assert band.limit > 0.3


def test_training_asks_for_nothing_finer_than_optics_pass_and_images_show():
    given = recorded(4.0, 20, PLAIN)
    image, shown = Image(given[0], "YX", pixel_nm=100.0), Band.shown_by(given)
    wide, narrow = PSF.gaussian(900.0, 50.0), PSF.gaussian(150.0, 50.0)
    config = ZSDeconvConfig.of("fast", denoise_only=True, offset=100.0, gain=2.0)
    limits = [prepare([image], psf, config).band for psf in (None, narrow, wide)]
    assert shown is not None
    assert [band.limit for band in limits if band is not None] == pytest.approx(
        [shown.limit, shown.limit, Band.of(wide, 100.0).limit], rel=0.05
    )
