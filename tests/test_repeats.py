"""Stated errors that hold between independent halves of an image's photons."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.camera import Camera
from superlens.image import Image
from superlens.observing.observation import observe
from superlens.predicting import Predictor
from superlens.predicting.repeats import growth_of_errors

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
    image = Image(CAMERA.expose(rng.poisson(light), rng), "YX", pixel_nm=65.0)
    return observe([image], offset=100.0, gain=2.0, read_noise_e=1.5)


@pytest.mark.parametrize(("part", "growth"), [(2.0, 1.0), (1.0, 1.0), (0.5, 2.0), (0.2, 5.0)])
def test_errors_that_are_said_too_small_grow_to_what_they_are_and_others_stay(seen, part, growth):
    """Of an image that is given back as it came the error is the noise, in closed form."""
    assert growth_of_errors(AsItCame(part), seen, seed=0) == pytest.approx(growth, rel=0.05)
