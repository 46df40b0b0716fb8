"""The weights that zero-shot learning begins from: those that come with superlens, or others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from superlens.errors import SuperlensError
from superlens.model import Model, read_header, shipped
from superlens.networks import build
from superlens.training import get_weights, set_weights

__all__ = ["Start", "beginning_of", "shipped_name", "shipped_start", "start_of"]


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


def shipped_name(network: str) -> str | None:
    """Name of the shipped weights of a network; None if there are none."""
    return next((name for name, path in shipped().items() if _is_start(path, network)), None)


def shipped_start(network: str) -> Start:
    """The shipped weights that zero-shot learning of a network begins from.

    Raises
    ------
    SuperlensError
        If there are none.
    """
    name = shipped_name(network)
    if name is None:
        raise SuperlensError(
            f"there are no shipped weights for network {network!r}; give `from_scratch`, or reinstall superlens if they were there"
        )
    return Start(name, _loaded(shipped()[name]))


def beginning_of(network: str, given: Model | None) -> Start:
    """The given weights, or the shipped ones."""
    if given is None:
        return shipped_start(network)
    if given.config.network != network:
        raise SuperlensError(
            f"start is of network {given.config.network!r} and the settings say {network!r}; expected one network"
        )
    return Start(str(given.config.provenance.get("name", "given weights")), given)


def start_of(
    model: Model, given: Model | None = None, *, fits: Callable[[Model], bool] = lambda start: True
) -> keras.Model | None:
    """The start that a model was fine-tuned from, at the model's scale, to predict with; None if it had none or still is that start.

    Parameters
    ----------
    model : Model
    given : Model, optional
        The start, where it is not the shipped one.
    fits : callable, optional
        Whether a start still fits the model, as it may not after a change of versions.
    """
    made, config = model.config.provenance, model.config
    if not made.get("blend") or (given is None and shipped_name(config.network) is None):
        return None
    start = beginning_of(config.network, given)
    if made.get("start") != start.name or not fits(start.model):
        return None
    if start.model.config.network_config == config.network_config:
        return start.model.network
    at_scale = build(config.network, config.network_config)
    set_weights(at_scale, get_weights(start.model.network))
    return at_scale


def _is_start(path: Path, network: str) -> bool:
    header = _header(path)
    return header.method == "pretraining" and header.network == network


_header = functools.lru_cache(maxsize=32)(read_header)


@functools.lru_cache(maxsize=4)
def _loaded(file: Path) -> Model:
    """Shipped weights, which nobody changes: folders of small images and frames that are adapted to ask for them again and again."""
    return Model.load(file)
