"""Settings are checked, frozen, and survive YAML."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator

from superlens.config import Config
from superlens.errors import SuperlensError


class Inner(Config):
    width_nm: float = Field(default=100.0, gt=0)


class Settings(Config):
    na: float = Field(gt=0, le=1.7)
    steps: int = Field(default=100, ge=1)
    mode: Literal["fast", "slow"] = "fast"
    names: tuple[str, ...] = ()
    inner: Inner = Inner()

    @field_validator("na")
    @classmethod
    def _not_three(cls, value: float) -> float:
        if value == 1.5:
            raise ValueError("na is 1.5; this lens does not exist.")
        return value


@settings(deadline=None)
@given(
    na=st.floats(min_value=1e-6, max_value=1.49),
    steps=st.integers(min_value=1),
    mode=st.sampled_from(["fast", "slow"]),
    names=st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")))),
    width_nm=st.floats(min_value=1e-9, max_value=1e9),
)
def test_yaml_round_trip_gives_an_equal_config(
    na: float, steps: int, mode: Literal["fast", "slow"], names: list[str], width_nm: float
) -> None:
    config = Settings(na=na, steps=steps, mode=mode, names=tuple(names), inner=Inner(width_nm=width_nm))
    assert Settings.from_yaml(config.to_yaml()) == config


def test_yaml_keeps_the_order_of_the_fields() -> None:
    assert [line.split(":")[0] for line in Settings(na=1.0).to_yaml().splitlines()][:3] == ["na", "steps", "mode"]


def test_yaml_numbers_with_exponent_are_numbers() -> None:
    assert Settings.from_yaml("na: 1e-1").na == 0.1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("na: 2", "na is 2"),
        ("na: nan", "na is"),
        ("na: .nan", "na is nan"),
        ("na: 1.5", "this lens does not exist"),
        ("na: 1\nstep: 3", "did you mean steps?"),
        ("na: 1\nzzz: 3", "the settings are na, steps"),
        ("na: 1\ninner: {width_nm: -1}", "width_nm is -1"),
        ("na: 1\ninner: {height_nm: -1}", "height_nm is not a setting of Inner"),
        ("na: 1\nmode: quick", "mode is 'quick'"),
        ("", "na is missing"),
        ("[1, 2]", "are a list"),
        ("na: [", "not YAML"),
        ("{1: 2}", "1 is not a setting"),
        ("na: 9\nsteps: 0\nmode: x\nnames: 3", "and 1 more"),
    ],
)
def test_bad_settings_are_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SuperlensError) as refused:
        Settings.from_yaml(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_construction_refuses_like_yaml() -> None:
    with pytest.raises(SuperlensError, match="na is 2"):
        Settings(na=2)


def test_a_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings(na=1).na = 1.2  # type: ignore[misc]


def test_changes_are_checked_and_leave_the_original() -> None:
    config = Settings(na=1, mode="slow")
    changed = config.with_changes({"steps": 7})
    assert (changed.steps, changed.mode, config.steps) == (7, "slow", 100)
    with pytest.raises(SuperlensError, match="steps is 0"):
        config.with_changes({"steps": 0})
    with pytest.raises(SuperlensError, match="did you mean steps"):
        config.with_changes({"stepz": 1})
