"""Drift is measured where there is one, and left alone where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.smlm import Localizations
from superlens.smlm.drift import correct_drift, estimate_drift

FRAMES = 2000


def course(kind):
    t = np.linspace(-1, 1, FRAMES)
    shift = {
        "still": np.zeros((FRAMES, 2)),
        "even": np.stack([60 * t, -40 * t], 1),
        "curved": np.stack([80 * np.sin(2 * t), 50 * np.cos(2.5 * t)], 1),
    }[kind]
    return shift - shift.mean(axis=0)


def movie(kind, number=8000, seed=0, error_nm=15.0):
    """Molecules on curved lines, each seen once in a frame drawn at random."""
    rng = np.random.default_rng(seed)
    line = rng.integers(0, 12, number)
    along = rng.uniform(0, 1, number)
    turn = rng.uniform(0, 2 * np.pi, 12)[line] + 2 * along
    place = rng.uniform(1000, 7000, (12, 2))[line] + 1500 * along[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
    frame = rng.integers(1, FRAMES + 1, number)
    place = place + course(kind)[frame - 1] + rng.normal(0, error_nm, place.shape) + 2000
    return Localizations({"frame": frame, "x_nm": place[:, 0], "y_nm": place[:, 1]}, frames=FRAMES)


@pytest.mark.parametrize("kind", ["even", "curved"])
def test_a_planted_drift_is_found(kind):
    drift = estimate_drift(movie(kind))
    assert drift.found
    off = drift.shift_nm - course(kind)
    assert np.sqrt(np.mean(off**2)) < 6.0
    assert drift.note.startswith("Corrected a drift of")


def test_its_own_error_is_the_order_of_the_true_one():
    ratios = []
    for seed in range(4):
        drift = estimate_drift(movie("even", seed=seed), segments=10)
        nearest = np.rint(drift.segment_frames).astype(int) - 1
        true = np.sqrt(np.mean((drift.segment_nm - course("even")[nearest]) ** 2))
        ratios.append(true / drift.uncertainty_nm)
    assert 0.3 < np.mean(ratios) < 3.0


def test_a_still_specimen_is_left_alone():
    tables = [movie("still", seed=seed) for seed in range(4)]
    drifts = [estimate_drift(table) for table in tables]
    assert not any(drift.found for drift in drifts)
    assert correct_drift(tables[0], drifts[0]) is tables[0]
    assert "No drift was corrected" in drifts[0].note


def test_correction_gives_back_the_still_specimen_and_keeps_what_was_measured():
    moved, still = movie("curved", seed=5), movie("still", seed=5)
    right = correct_drift(moved, estimate_drift(moved))
    before, after = (np.sqrt(np.mean((t.positions_nm - still.positions_nm) ** 2)) for t in (moved, right))
    assert after < 0.2 * before
    np.testing.assert_array_equal(right["x_raw_nm"], moved["x_nm"])
    np.testing.assert_array_equal(right["y_raw_nm"], moved["y_nm"])


def test_a_common_shift_changes_nothing():
    table = movie("even", number=4000)
    shifted = table.with_columns(x_nm=table["x_nm"] + 1000.0, y_nm=table["y_nm"] + 3000.0)
    np.testing.assert_allclose(estimate_drift(table).shift_nm, estimate_drift(shifted).shift_nm, atol=1e-6)


@pytest.mark.parametrize("number", [0, 1, 50, 700])
def test_too_few_localizations_are_no_drift(number):
    drift = estimate_drift(movie("even", number=max(number, 1)).where(np.arange(number)))
    assert not drift.found
    assert drift.shift_nm.shape == (FRAMES, 2)
    assert not drift.shift_nm.any()


def test_one_segment_is_refused():
    with pytest.raises(SuperlensError, match="segments"):
        estimate_drift(movie("still", number=1000), segments=1)


@pytest.mark.parametrize("rows", [900, 2000, 4500, 9000])
def test_molecules_anywhere_have_no_drift(rows: int) -> None:
    rng = np.random.default_rng(rows)
    places = rng.uniform(0, 6400, (2, rows))
    table = Localizations(
        {"frame": rng.integers(1, 21, rows), "x_nm": places[0], "y_nm": places[1]}, 100.0, (64, 64), 20
    )
    drift = estimate_drift(table)
    assert not drift.found
    assert not drift.shift_nm.any()
