"""The brightness of molecules is followed where it changes over a movie, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from superlens.smlm.estimation import estimate_movie
from superlens.smlm.trend import light_trend

FRAMES, SIDE, SIGMA = 200, 40, 1.15


def recorded(dimmer: float, fewer: float, *, background_fades: float = 1.0, seed: int = 1) -> np.ndarray:
    """A movie at whose end molecules are so many times dimmer and fewer than at its beginning."""
    rng = np.random.default_rng(seed)
    edges = np.arange(SIDE + 1)
    made = []
    for share in np.linspace(0, 1, FRAMES):
        number = rng.poisson(8 * fewer**-share)
        places, photons = rng.uniform(0, SIDE, (2, number)), rng.gamma(4, 500 * dimmer**-share, number)
        down, across = (np.diff(ndtr((edges - place[:, None]) / SIGMA)) for place in places)
        light = 20 * background_fades**-share + np.einsum("n,ny,nx->yx", photons, down, across)
        made.append(np.rint(2 * rng.poisson(light) + 100 + rng.normal(0, 3, light.shape)))
    return np.stack(made)


@pytest.mark.parametrize(("dimmer", "fewer"), [(4.0, 1.0), (4.0, 3.0), (0.25, 1.0)])
def test_the_brightness_of_molecules_is_followed(dimmer: float, fewer: float) -> None:
    told = estimate_movie(recorded(dimmer, fewer), 100.0)
    first, last = told.photons_in(np.array([0, FRAMES - 1]))
    assert math.log(first / last) == pytest.approx(math.log(dimmer), abs=0.4)
    assert any("their brightness is followed" in message for message in told.messages)


@pytest.mark.parametrize(("fewer", "fades"), [(1.0, 1.0), (8.0, 1.0), (1.0, 6.0)])
def test_fewer_molecules_and_less_background_are_no_dimmer_ones(fewer: float, fades: float) -> None:
    told = estimate_movie(recorded(1.0, fewer, background_fades=fades), 100.0)
    assert told.trend is None
    assert (told.photons_in(np.arange(3)) == told.photons).all()


def test_frames_are_known_by_their_numbers() -> None:
    """A sample of a long movie has the trend of the movie."""
    sample = estimate_movie(recorded(4.0, 1.0), 100.0, numbers=10 * np.arange(FRAMES)).trend
    movie = estimate_movie(recorded(4.0, 1.0), 100.0).trend
    assert sample is not None and movie is not None
    assert sample.rate == pytest.approx(movie.rate / 10)


def test_a_trend_keeps_the_usual_brightness() -> None:
    """The mean of squares over the mean, as it is estimated."""
    frames = np.arange(100)
    trend = light_trend([10, 30, 50, 70, 90], [np.full(50, 100 * 2.0**part) for part in range(5)], frames)
    assert trend is not None
    assert np.mean(trend.at(frames) ** 2) == pytest.approx(np.mean(trend.at(frames)))
    few = [np.full(5, 100 * 2.0**part) for part in range(5)]
    assert light_trend([10, 30, 50, 70, 90], few, frames) is None
