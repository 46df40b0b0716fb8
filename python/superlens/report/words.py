"""Numbers, lengths and nested settings as text for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["UNAVAILABLE", "flatten", "length", "number", "percent"]

UNAVAILABLE = "not available"


def number(value: float | None, digits: int = 4) -> str:
    """A number with `digits` significant digits, never in exponent form between 1e-3 and 1e6.

    Examples
    --------
    >>> number(1234.567), number(0.00001234), number(float("nan"))
    ('1235', '1.234e-05', 'not available')
    """
    if value is None or not np.isfinite(value):
        return UNAVAILABLE
    size = abs(float(value))
    if size == 0 or 1e-3 <= size < 1e6:
        decimals = digits - 1 if size == 0 else max(digits - 1 - int(np.floor(np.log10(size))), 0)
        text = f"{value:.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "\N{MINUS SIGN}")
    return f"{value:.{digits - 1}e}".replace("-", "\N{MINUS SIGN}", 1) if value < 0 else f"{value:.{digits - 1}e}"


def percent(share: float | None) -> str:
    """A share as percent with two significant digits."""
    if share is None or not np.isfinite(share):
        return UNAVAILABLE
    return f"{number(100 * share, 2)} %"


def length(pixels: float, pixel_nm: float | None) -> str:
    """A length in pixels as nanometres or micrometres, in pixels when the sampling is unknown."""
    if pixel_nm is None:
        return f"{number(pixels, 3)} px"
    value = pixels * pixel_nm
    return f"{number(value / 1000, 3)} µm" if value >= 1000 else f"{number(value, 3)} nm"


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, text) rows in their own order.

    Examples
    --------
    >>> flatten({"optics": {"na": 1.3}, "seed": 7})
    [('optics.na', '1.3'), ('seed', '7')]
    """
    rows: list[tuple[str, str]] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(flatten(value, f"{name}."))
        else:
            rows.append((name, "not set" if value is None else str(value)))
    return rows
