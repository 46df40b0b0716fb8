"""The table of localizations: what it holds, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.smlm import Localizations

ROWS = {"frame": [3, 1, 2], "x_nm": [1.0, 2.0, 3.0], "y_nm": [4.0, 5.0, 6.0]}


def test_columns_have_their_types_whatever_came():
    table = Localizations({**ROWS, "photons": np.array([1, 2, 3], np.uint16)})
    assert table["frame"].dtype == np.int64
    assert table["x_nm"].dtype == table["photons"].dtype == np.float64


def test_rows_by_frame_keep_their_order_within_one():
    table = Localizations({"frame": [2, 1, 2, 1], "x_nm": [0.0, 1.0, 2.0, 3.0], "y_nm": [0.0] * 4}).by_frame()
    np.testing.assert_array_equal(table["x_nm"], [1, 3, 0, 2])


def test_joined_parts_are_the_whole():
    table = Localizations(ROWS, pixel_nm=100.0)
    again = Localizations.joined([table.where([0]), table.where([1, 2])])
    for name in ROWS:
        np.testing.assert_array_equal(again[name], table[name])
    assert again.pixel_nm == 100.0


def test_an_empty_table_is_a_table():
    table = Localizations.empty(frames=7)
    assert len(table) == 0
    assert table.positions_nm.shape == (0, 2)
    assert table.last_frame == 7
    assert len(Localizations.joined([table, Localizations(ROWS)])) == 3


def test_a_table_cannot_be_changed_in_place():
    table = Localizations(ROWS)
    with pytest.raises(TypeError):
        table.columns["x_nm"] = np.zeros(3)
    assert "photons" not in table
    assert "photons" in table.with_columns(photons=np.ones(3))
    assert "photons" not in table.with_columns(photons=np.ones(3)).without(["photons"])


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"frame": [1]}, "expected at least frame, x_nm and y_nm"),
        ({**ROWS, "photons": [1.0]}, "expected one length"),
        ({**ROWS, "frame": [0, 1, 2]}, "counted from 1"),
        ({**ROWS, "frame": [1.5, 1, 2]}, "whole"),
        ({**ROWS, "x_nm": [1.0, np.nan, 3.0]}, "not finite"),
        ({**ROWS, "y_nm": ["a", "b", "c"]}, "expected numbers"),
        ({**ROWS, "y_nm": [[1.0], [2.0], [3.0]]}, "one dimension"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(columns, match):
    with pytest.raises(SuperlensError, match=match):
        Localizations(columns)
