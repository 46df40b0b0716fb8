"""A movie outside the range of a model's training is named by what lies outside."""

from __future__ import annotations

import dataclasses

import pytest

from superlens.camera import Camera
from superlens.methods.deepstorm.choice import beyond_training
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.smlm.estimation import MovieEstimate

CONFIG = DeepStormConfig.of("fast", photons=(500.0, 3000.0), density_um2=(0.5, 4.0), sigma_pixels=1.1, pixel_nm=100.0)
INSIDE = MovieEstimate(Camera(1.0, 100.0, 1.5), 110.0, 1500.0, 20.0, 2.0, {})


def test_a_movie_inside_the_range_and_an_emptier_one_are_no_reason_for_doubt() -> None:
    assert beyond_training(INSIDE, CONFIG, 100.0) == ()
    assert beyond_training(dataclasses.replace(INSIDE, density_um2=0.01), CONFIG, 100.0) == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"photons": 12_000.0}, "brightness of a molecule"),
        ({"photons": 100.0}, "brightness of a molecule"),
        ({"density_um2": 9.0}, "density"),
        ({"sigma_nm": 190.0, "density_um2": 0.5}, "width of a molecule"),
    ],
)
def test_what_lies_outside_is_named_with_the_range(change: dict[str, float], named: str) -> None:
    (sentence,) = beyond_training(dataclasses.replace(INSIDE, **change), CONFIG, 100.0)
    assert named in sentence and "was trained for" in sentence
