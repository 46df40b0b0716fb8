"""How long things took in this process, for what the dialogs forecast."""

from __future__ import annotations

__all__ = ["Pace"]

_STRETCH = 8
"""How many times what was timed a forecast reaches: a small image's time is mostly that of starting, not of its pixels."""


class Pace:
    """Amounts of work by name, with the seconds that each took."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}

    def keep(self, what: str, amount: float, seconds: float) -> None:
        """Remember the latest time, unless it is of so little that it would tell less than what is known."""
        known, _ = self._seen.get(what, (0.0, 0.0))
        if amount > 0 and known <= amount * _STRETCH:
            self._seen[what] = amount, seconds

    def forecast(self, what: str, amount: float) -> float | None:
        """Give the seconds that an amount will take; None where nothing like it was timed."""
        known, seconds = self._seen.get(what, (0.0, 0.0))
        return seconds * amount / known if 0 < amount <= known * _STRETCH else None
