"""Maps of molecules: the truth has no error, a scalar does not matter, and halves agree as far as structure is resolved."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.smlm import Localizations, frc_of_halves, map_error


def structure(error_nm: float, seed: int = 0, rows: int = 20_000) -> Localizations:
    """Localizations along lines of sine waves, off by an error, over 400 frames."""
    rng = np.random.default_rng(seed)
    line, x = rng.integers(12, size=rows), rng.uniform(0, 3200, rows)
    y = 130 + 260 * line + 60 * np.sin(x / 150 + line)
    off = error_nm * rng.standard_normal((2, rows))
    places = np.clip(np.stack([x, y]) + off, 0, 3199)
    return Localizations(
        {"frame": rng.integers(1, 401, rows), "x_nm": places[0], "y_nm": places[1]}, 100.0, (32, 32), 400
    )


def test_the_truth_has_no_error_whatever_its_scale() -> None:
    truth = np.random.default_rng(0).poisson(0.3, (32, 40)).astype(float)
    for scale in (0.01, 1.0, 50.0):
        error, correlation = map_error(scale * truth, truth)
        assert error == pytest.approx(0, abs=1e-9)
        assert correlation == pytest.approx(1)


def test_an_image_that_tells_nothing_has_an_error_near_one() -> None:
    rng = np.random.default_rng(1)
    truth = np.zeros((64, 64))
    truth[rng.integers(64, size=40), rng.integers(64, size=40)] = 1
    error, correlation = map_error(rng.random((64, 64)), truth)
    assert 0.7 < error <= 1 and abs(correlation) < 0.2


def test_a_shift_costs_more_the_farther_it_goes() -> None:
    truth = np.zeros((48, 48))
    truth[::6, 24] = 1
    errors = [map_error(np.roll(truth, k, axis=1), truth)[0] for k in range(4)]
    assert errors == sorted(errors)


def test_maps_of_other_shapes_or_without_molecules_are_refused() -> None:
    with pytest.raises(SuperlensError, match="one grid"):
        map_error(np.ones((4, 5)), np.ones((5, 4)))
    with pytest.raises(SuperlensError, match="at least one"):
        map_error(np.ones((4, 4)), np.zeros((4, 4)))


def test_the_resolution_of_halves_grows_with_the_error_of_places() -> None:
    rng = np.random.default_rng
    fine, coarse = (frc_of_halves(structure(error), rng=rng(0)) for error in (5.0, 25.0))
    assert fine < coarse
    # The rings fall by exp(-(2 pi q s)^2); many localizations keep the crossing within a factor of two of 2 pi s.
    assert 0.5 < coarse / (2 * np.pi * 25.0) < 2


def test_few_localizations_have_no_resolution() -> None:
    assert np.isnan(frc_of_halves(structure(5.0, rows=100), rng=np.random.default_rng(0)))
