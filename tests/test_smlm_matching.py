"""Matching with a truth: laws that the best pairs obey, whatever the tables hold."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError
from superlens.smlm.matching import Matching, match, scores
from superlens.smlm.table import Localizations

COUNTS = ("true_positives", "false_positives", "false_negatives")


def table(
    rng: np.random.Generator, rows: int, *, frames: int = 3, side_nm: float = 2000.0, deep: bool = False, **about: Any
):
    columns = {
        "frame": rng.integers(1, frames + 1, rows),
        "x_nm": rng.uniform(0, side_nm, rows),
        "y_nm": rng.uniform(0, side_nm, rows),
    }
    return Localizations(columns | ({"z_nm": rng.uniform(-800, 800, rows)} if deep else {}), **about)


def points(xy: list[tuple[float, float]], frame: int = 1) -> Localizations:
    x, y = np.array(xy, float).reshape(-1, 2).T
    return Localizations({"frame": np.full(len(xy), frame), "x_nm": x, "y_nm": y})


def greedy(found: Localizations, truth: Localizations, tolerance_nm: float = 250.0) -> int:
    """Pairs found by taking the nearest two rows again and again."""
    gaps = np.hypot(*(found[name][:, None] - truth[name][None] for name in ("x_nm", "y_nm")))
    gaps[found["frame"][:, None] != truth["frame"][None]] = np.inf
    pairs = 0
    while gaps.size and gaps.min() <= tolerance_nm:
        i, j = np.unravel_index(gaps.argmin(), gaps.shape)
        gaps[i], gaps[:, j] = np.inf, np.inf
        pairs += 1
    return pairs


def test_a_perfect_table_scores_one_and_no_error() -> None:
    truth = table(np.random.default_rng(0), 200, deep=True)
    result = scores(match(truth, truth))
    assert result["jaccard"] == result["recall"] == result["precision"] == result["f1"] == 1
    assert result["rmse_lateral_nm"] == result["rmse_axial_nm"] == 0
    assert result["efficiency"] == result["efficiency_3d"] == 100


@pytest.mark.parametrize(("dx", "dy", "dz"), [(30.0, -40.0, 0.0), (0.0, 0.1, 120.0)])
def test_a_shift_gives_its_length_as_error_and_its_parts_as_bias(dx: float, dy: float, dz: float) -> None:
    truth = points([(500.0 * i, 700.0 * j) for i in range(9) for j in range(9)]).with_columns(z_nm=np.zeros(81))
    found = truth.with_columns(x_nm=truth["x_nm"] + dx, y_nm=truth["y_nm"] + dy, z_nm=truth["z_nm"] + dz)
    result = scores(match(found, truth))
    assert result["jaccard"] == 1
    assert result["rmse_lateral_nm"] == pytest.approx(math.hypot(dx, dy))
    assert (result["bias_x_nm"], result["bias_y_nm"]) == pytest.approx((dx, dy))
    assert result["rmse_axial_nm"] == pytest.approx(dz)
    assert result["efficiency"] == pytest.approx(100 - math.hypot(dx, dy))
    assert result["efficiency_axial"] == pytest.approx(100 - 0.5 * dz)


def test_more_pairs_go_before_shorter_ones() -> None:
    truth = points([(0.0, 0.0), (200.0, 0.0)])
    found = points([(190.0, 0.0), (420.0, 0.0)])  # the nearest pair, 10 nm, would leave the other two alone
    pairs = match(found, truth)
    assert pairs.found_index.tolist() == [0, 1]
    assert pairs.truth_index.tolist() == [0, 1]
    assert greedy(found, truth) == 1


def test_the_tolerance_is_inclusive_and_frames_do_not_mix() -> None:
    truth = points([(0.0, 0.0)])
    assert len(match(points([(250.0, 0.0)]), truth)) == 1
    assert len(match(points([(250.0001, 0.0)]), truth)) == 0
    assert len(match(points([(0.0, 0.0)], frame=2), truth)) == 0
    assert len(match(points([(30.0, 0.0)]), truth, tolerance_nm=20.0)) == 0


def test_the_axial_tolerance_holds_only_where_both_know_z() -> None:
    truth = points([(0.0, 0.0)]).with_columns(z_nm=[0.0])
    found = points([(10.0, 0.0)])
    assert len(match(found.with_columns(z_nm=[500.0]), truth)) == 1
    assert len(match(found.with_columns(z_nm=[501.0]), truth)) == 0
    flat = match(found, truth)
    assert len(flat) == 1
    assert flat.axial_nm is None
    assert "rmse_axial_nm" not in scores(flat)


def test_the_border_leaves_out_rows_of_both_tables() -> None:
    truth = Localizations(
        {"frame": [1, 1, 1], "x_nm": [100.0, 1500.0, 2950.0], "y_nm": [1000.0] * 3}, pixel_nm=100.0, yx_shape=(20, 30)
    )
    pairs = match(truth, truth, border_nm=450.0)
    assert (len(pairs), pairs.found_count, pairs.truth_count) == (1, 1, 1)
    assert pairs.truth_index.tolist() == [1]
    bare = Localizations(truth.columns)
    assert match(truth, bare, border_nm=450.0).truth_count == 1
    with pytest.raises(SuperlensError, match="neither table has both pixel_nm and yx_shape"):
        match(bare, bare, border_nm=450.0)


@pytest.mark.parametrize(
    "wrong", [{"tolerance_nm": 0.0}, {"tolerance_z_nm": math.nan}, {"border_nm": -1.0}, {"tolerance_nm": math.inf}]
)
def test_lengths_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SuperlensError, match=next(iter(wrong))):
        match(points([(0.0, 0.0)]), points([(0.0, 0.0)]), **wrong)


def test_an_empty_table_on_either_side_gives_zeros_and_what_is_undefined_is_nan() -> None:
    some, none = points([(0.0, 0.0), (900.0, 0.0)]), Localizations.empty()
    missed = scores(match(none, some))
    assert [missed[name] for name in COUNTS] == [0, 0, 2]
    assert missed["jaccard"] == missed["recall"] == missed["f1"] == 0
    assert math.isnan(missed["precision"])
    wrong = scores(match(some, none))
    assert [wrong[name] for name in COUNTS] == [0, 2, 0]
    assert wrong["jaccard"] == wrong["precision"] == wrong["f1"] == 0
    assert math.isnan(wrong["recall"])
    neither = scores(match(none, none))
    for result in (missed, wrong, neither):
        assert all(math.isnan(result[name]) for name in ("rmse_lateral_nm", "bias_x_nm", "bias_y_nm", "efficiency"))
    assert math.isnan(neither["jaccard"])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_no_other_choice_of_pairs_is_better(seed: int, rows_f: int, rows_t: int, deep: bool) -> None:
    rng = np.random.default_rng(seed)
    found, truth = (table(rng, rows, frames=1, side_nm=700.0, deep=deep) for rows in (rows_f, rows_t))
    pairs = match(found, truth)
    ours = (len(pairs), -np.linalg.norm(pairs.offset_nm, axis=1).sum())
    assert ours == pytest.approx(best_of_all(found, truth, deep), abs=1e-9)


def best_of_all(found: Localizations, truth: Localizations, deep: bool) -> tuple[int, float]:
    names = ("x_nm", "y_nm", "z_nm")[: 3 if deep else 2]
    a, b = (np.stack([each[name] for name in names], axis=1) for each in (found, truth))
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    best = (0, 0.0)
    for order in itertools.permutations(range(len(long)), len(short)):
        offset = short - long[list(order)]
        near = np.hypot(offset[:, 0], offset[:, 1]) <= 250
        if deep:
            near &= np.abs(offset[:, 2]) <= 500
        best = max(best, (int(near.sum()), -float(np.linalg.norm(offset[near], axis=1).sum())))
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.integers(0, 120))
def test_laws_of_dense_tables(seed: int, rows_f: int, rows_t: int) -> None:
    rng = np.random.default_rng(seed)
    found, truth = table(rng, rows_f), table(rng, rows_t)
    pairs = match(found, truth)
    check_pairs(pairs, found, truth)
    assert len(pairs) >= greedy(found, truth)
    exchanged = match(truth, found)
    assert len(exchanged) == len(pairs)
    assert set(zip(exchanged.truth_index, exchanged.found_index, strict=True)) == set(
        zip(pairs.found_index, pairs.truth_index, strict=True)
    )
    result = scores(pairs)
    shuffled = match(found.where(rng.permutation(rows_f)), truth.where(rng.permutation(rows_t)))
    assert scores(shuffled) == pytest.approx(result, nan_ok=True)
    numbers = rng.permutation(10**6)[:4] + 1
    renumbered = match(*(each.with_columns(frame=numbers[each["frame"]]) for each in (found, truth)))
    np.testing.assert_array_equal(renumbered.found_index, pairs.found_index)
    np.testing.assert_array_equal(renumbered.truth_index, pairs.truth_index)


def check_pairs(pairs: Matching, found: Localizations, truth: Localizations) -> None:
    i, j = pairs.found_index, pairs.truth_index
    assert len(set(i)) == len(set(j)) == len(pairs)
    assert (np.diff(j) > 0).all()
    np.testing.assert_array_equal(found["frame"][i], truth["frame"][j])
    np.testing.assert_array_equal(pairs.offset_nm, found.positions_nm[i] - truth.positions_nm[j])
    assert (pairs.distance_nm <= 250).all()


def test_duplicates_at_one_place_are_counted_once() -> None:
    truth = points([(100.0, 100.0)])
    result = scores(match(points([(100.0, 100.0)] * 3), truth))
    assert [result[name] for name in COUNTS] == [1, 2, 0]
    assert result["rmse_lateral_nm"] == 0


def test_a_depth_that_is_not_finite_is_refused() -> None:
    truth = points([(0.0, 0.0)]).with_columns(z_nm=[np.nan])
    with pytest.raises(SuperlensError, match="z_nm"):
        match(truth, truth)
