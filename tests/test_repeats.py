"""Stated errors that hold between independent halves of an image's photons."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.camera import Camera
from superlens.image import Image
from superlens.observing.observation import observe
from superlens.predicting import Predictor
from superlens.predicting.repeats import compare_halves

CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)


class AsItCame(Predictor):
    """Gives back the counts, and some part of their noise as its error."""

    roles = {"sharp": 1, "uncertainty": 1}

    def __init__(self, part: float) -> None:
        self._part = part

    def __call__(self, counts, sigma, roles):
        made = {"sharp": counts, "uncertainty": self._part * sigma}
        return {role: made[role] for role in roles}


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(0)
    light = np.broadcast_to(np.linspace(5, 80, 160), (160, 160))
    image = Image(CAMERA.expose(light, rng), "YX", pixel_nm=65.0)
    return observe([image], offset=100.0, gain=2.0, read_noise_e=1.5)


@pytest.mark.parametrize(("part", "growth"), [(2.0, 1.0), (1.0, 1.0), (0.5, 2.0), (0.2, 5.0)])
def test_errors_that_are_said_too_small_grow_to_what_they_are_and_others_stay(seen, part, growth):
    """Of an image that is given back as it came the error is the noise, in closed form."""
    assert compare_halves(AsItCame(part), seen, seed=0, detail_px=4.0).growth == pytest.approx(growth, rel=0.05)


@pytest.mark.parametrize("contrast", [0.0, 5.0, 20.0, 60.0])
def test_detail_that_does_not_repeat_is_the_noise_over_all_detail(contrast):
    """Of stripes that are given back as they came, in closed form: what the filter leaves of both."""
    rng = np.random.default_rng(1)
    light = 100 + contrast * np.cos(2 * np.pi * np.arange(160) / 4)
    image = Image(CAMERA.expose(np.broadcast_to(light, (160, 160)), rng), "YX", pixel_nm=65.0)
    observations = observe([image], offset=100.0, gain=2.0, read_noise_e=1.5)
    found = compare_halves(AsItCame(0.5), observations, seed=0, detail_px=4.0).unrepeated
    width = 4.0 / 2.355
    passed = 1 - np.exp(-2 * (np.pi * width / 4) ** 2)  # of a period of 4 pixels
    white = 1 - 2 / (4 * np.pi * (width**2 / 2)) + 1 / (4 * np.pi * width**2)  # of white noise, in squares
    noise, kept = white * (100 + 1.5**2), (passed * contrast) ** 2 / 2
    assert found == pytest.approx(noise / (noise + kept), abs=0.03)


def test_each_place_is_told_what_of_its_own_detail_does_not_repeat():
    """Bright stripes on the left repeat, even light on the right has nothing but noise."""
    rng = np.random.default_rng(2)
    light = np.full((160, 160), 100.0)
    light[:, :80] += 60 * np.cos(2 * np.pi * np.arange(80) / 4)
    image = Image(CAMERA.expose(light, rng), "YX", pixel_nm=65.0)
    observations = observe([image], offset=100.0, gain=2.0, read_noise_e=1.5)
    places = compare_halves(AsItCame(0.5), observations, seed=0, detail_px=4.0).places
    assert places.shape == (160, 160)
    assert np.nanmin(places) >= 0
    assert np.nanmax(places) <= 1
    assert places[:, :60].mean() < 0.1
    assert places[:, 100:].mean() > 0.8


def test_of_several_images_no_place_is_that_of_all(seen):
    assert compare_halves(AsItCame(0.5), [*seen, *seen], seed=0, detail_px=4.0).places is None


def test_where_there_is_no_detail_nothing_is_said_of_it(seen):
    class Smooth(AsItCame):
        def __call__(self, counts, sigma, roles):
            made = {"sharp": np.full_like(counts, counts.mean()), "uncertainty": sigma}
            return {role: made[role] for role in roles}

    found = compare_halves(Smooth(1.0), seen, seed=0, detail_px=4.0)
    assert np.isnan(found.unrepeated)
    assert np.isnan(found.places).all()
