"""JAX as an engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import jax

from superlens.training.backends.engines import Card, Engine, Trouble

__all__ = ["ENGINE"]


class _Jax(Engine):
    words = "JAX"

    def __init__(self) -> None:
        self._threads: int | None = None

    def cards(self) -> Sequence[Card]:
        return [_card(device) for device in _devices()]

    def use(self, card: int | None, threads: int | None) -> None:
        if threads is not None and threads != self._threads:
            _limit(threads)
            self._threads = threads
        devices = _devices()
        if card is not None or devices:
            jax.config.update("jax_default_device", jax.devices("cpu")[0] if card is None else devices[card])

    def card(self) -> Card | None:
        used = jax.config.jax_default_device or jax.devices()[0]
        return None if used.platform == "cpu" else _card(used)

    def threads(self) -> int | None:
        return self._threads

    def trouble(self, error: BaseException) -> Trouble | None:
        if not isinstance(error, jax.errors.JaxRuntimeError):
            return None
        if "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower():
            return "memory"
        return "card" if self.card() is not None else None


def _limit(threads: int) -> None:
    """XLA takes as many threads as the process may run on, when it starts."""
    limit = getattr(os, "sched_setaffinity", None)
    if limit is None:
        raise RuntimeError("JAX takes all processors on this system")
    limit(0, sorted(os.sched_getaffinity(0))[:threads])


def _devices() -> list[Any]:
    try:
        return list(jax.devices("gpu"))
    except RuntimeError:  # what JAX says where there is none
        return []


def _card(device: Any) -> Card:
    able = str(getattr(device, "compute_capability", "8.0"))
    return Card(str(device.device_kind), tuple(int(part) for part in able.split(".") if part.isdigit()) >= (8, 0))


ENGINE = _Jax()
