"""What the dialogs forecast from what was timed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from superlens.runs.forecasts import Pace

amounts = st.floats(1, 1e9)


@given(amounts, st.floats(0, 1e5), st.floats(0.01, 8))
def test_a_forecast_is_in_proportion_to_what_was_timed(amount: float, seconds: float, times: float) -> None:
    pace = Pace()
    pace.keep("pixels", amount, seconds)
    told = pace.forecast("pixels", amount * times * (1 - 1e-9))
    assert told is not None
    assert abs(told - seconds * times) <= 1e-6 * (1 + seconds * times)


@given(amounts, st.floats(8.01, 1e6))
def test_little_foretells_nothing_of_much(amount: float, times: float) -> None:
    pace = Pace()
    assert pace.forecast("pixels", amount) is None
    pace.keep("pixels", amount, 1)
    assert pace.forecast("pixels", amount * times) is None
    assert pace.forecast("steps", amount) is None


def test_the_latest_time_counts_unless_it_is_of_little() -> None:
    pace = Pace()
    pace.keep("pixels", 1e6, 10)
    pace.keep("pixels", 64 * 64, 10)
    assert pace.forecast("pixels", 1e6) == 10
    pace.keep("pixels", 5e5, 8)
    assert pace.forecast("pixels", 1e6) == 16
