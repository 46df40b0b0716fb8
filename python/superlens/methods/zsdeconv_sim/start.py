"""The weights that learning begins from: those made for reconstructions where they are shipped, else those for images."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from superlens.errors import SuperlensError
from superlens.model import Model, shipped

__all__ = ["Start", "beginning_of", "shipped_start"]

_NAMES = ("zsdeconv-light-sim", "zsdeconv-light")


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Weights to begin from.

    Attributes
    ----------
    name : str
        What a model that began from them says of it.
    model : Model
        Of the two stages, trained on simulated specimens.
    """

    name: str
    model: Model


def shipped_start() -> Start:
    """The shipped weights.

    Raises
    ------
    SuperlensError
        If there are none.
    """
    for name in _NAMES:
        path = shipped().get(name)
        if path is not None:
            return Start(name, _loaded(path))
    raise SuperlensError("there are no shipped weights; give `from_scratch`, or reinstall superlens.")


def beginning_of(given: Model | None) -> Start:
    """The given weights, or the shipped ones."""
    if given is None:
        return shipped_start()
    if given.config.network != "light":
        raise SuperlensError(f"start is of network {given.config.network!r}; expected light")
    return Start(str(given.config.provenance.get("name", "given weights")), given)


@functools.lru_cache(maxsize=2)
def _loaded(file: Path) -> Model:
    return Model.load(file)
