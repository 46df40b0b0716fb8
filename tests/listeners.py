"""What a test of the bridge listens with, and a verb that does what the test wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from superlens.runs.verb import Outcome, Request, Verb


class Ear:
    """Listens, and stops at the first event for which `stop` holds."""

    def __init__(self, stop: Callable[[Mapping[str, Any]], bool] = lambda info: False) -> None:
        self.heard: list[tuple[str, int, int, dict[str, Any]]] = []
        self._stop = stop
        self._stopped = False

    @property
    def stages(self) -> list[str]:
        """The stage of each event."""
        return [info["stage"] for *_, info in self.heard]

    def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
        self.heard.append((message, current, maximum, dict(info)))
        self._stopped = self._stopped or self._stop(info)

    def cancelled(self) -> bool:
        return self._stopped


def verb_of(run: Callable[[Request], Outcome]) -> Verb:
    """A verb that does something."""
    return Verb("act", "", "", "", tuple, run)
