"""Blinks of one molecule become one row, and no others do."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.smlm import Localizations
from superlens.smlm.linking import link, molecules


def table(rows, **columns):
    frame, x, y = np.array(rows, float).T
    return Localizations({"frame": frame, "x_nm": x, "y_nm": y, **columns}, pixel_nm=100.0, frames=50)


def blinking(seed, number=40, frames=200, side_nm=20_000.0, error_nm=5.0):
    """Molecules far apart, each bright in a run of frames: the table, and whose each row is."""
    rng = np.random.default_rng(seed)
    y, x = np.divmod(np.arange(number), 8)
    places = (np.stack([x, y], 1) + 0.5) * side_nm / 8
    begun, lasting = rng.integers(1, frames - 9, number), rng.integers(1, 8, number)
    rows, owner = [], []
    for i, place in enumerate(places):
        for frame in range(begun[i], begun[i] + lasting[i]):
            rows.append((frame, *(place + rng.normal(0, error_nm, 2))))
            owner.append(i)
    mixed = rng.permutation(len(rows))
    return table([rows[i] for i in mixed]), np.array(owner)[mixed]


def same_parts(a, b):
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


def test_rows_of_one_molecule_share_a_number_and_no_others_do():
    found, owner = blinking(0)
    assert same_parts(molecules(found), owner)


def test_numbers_follow_the_first_frames():
    found, _ = blinking(1)
    number = molecules(found)
    first = [found["frame"][number == i].min() for i in range(1, number.max() + 1)]
    assert first == sorted(first)


def test_order_of_rows_does_not_matter():
    found, _ = blinking(2)
    mixed = np.random.default_rng(0).permutation(len(found))
    assert same_parts(molecules(found)[mixed], molecules(found.where(mixed)))


def test_dark_frames_are_bridged_as_far_as_asked():
    rows = table([(1, 50, 50), (3, 50, 50), (6, 50, 50)])
    assert molecules(rows, dark_frames=0).tolist() == [1, 2, 3]
    assert molecules(rows, dark_frames=1).tolist() == [1, 1, 2]
    assert molecules(rows, dark_frames=2).tolist() == [1, 1, 1]


def test_two_in_one_frame_are_never_one():
    rows = table([(1, 50, 50), (2, 45, 50), (2, 58, 50), (3, 51, 50)])
    number = molecules(rows)
    assert number[1] != number[2]
    assert number[0] == number[1]  # the nearer one goes on


def test_linked_photons_are_summed_and_positions_weighted():
    rows = table(
        [(4, 100, 0), (5, 110, 0)], photons=[1000.0, 3000.0], uncertainty_nm=[10.0, 5.0], background=[20.0, 30.0]
    )
    (one,) = (link(rows),)
    assert len(one) == 1
    assert one["frame"].tolist() == [4]
    assert one["photons"].tolist() == [4000]
    assert one["x_nm"][0] == pytest.approx(108)
    assert one["uncertainty_nm"][0] == pytest.approx(1 / np.sqrt(1 / 100 + 1 / 25))
    assert one["detections"].tolist() == [2]
    assert one.frames == 50


def test_linking_makes_positions_better_by_the_root_of_their_number():
    found, owner = blinking(3, number=48, error_nm=10.0)
    linked = link(found.with_columns(uncertainty_nm=np.full(len(found), 10.0)), distance_nm=80.0)
    assert len(linked) == 48
    np.testing.assert_allclose(linked["uncertainty_nm"], 10 / np.sqrt(linked["detections"]))
    assert linked["detections"].sum() == len(owner)


def test_a_table_without_rows_stays_one():
    assert len(link(Localizations.empty())) == 0
    assert "detections" in link(Localizations.empty())


def test_impossible_settings_are_refused():
    with pytest.raises(SuperlensError, match="distance_nm"):
        molecules(table([(1, 0, 0)]), distance_nm=0)
    with pytest.raises(SuperlensError, match="dark_frames"):
        molecules(table([(1, 0, 0)]), dark_frames=-1)
