"""The weights that zero-shot learning begins from: those that come with superlens, or others."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.model import Model, read_header, shipped
from superlens.networks import build
from superlens.training import get_weights, set_weights
from superlens.training.two_stage.turning import averaged

__all__ = [
    "PRETRAINING",
    "Start",
    "answer",
    "beginning_of",
    "network_at",
    "remembered",
    "shipped_name",
    "shipped_start",
    "start_of",
]

PRETRAINING = "pretraining"
"""What the header of a start says in the place of a method, where the start is for images and volumes."""

_REMEMBERED_BYTES = 1 << 28

Array = NDArray[np.float32]


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


def shipped_name(network: str, kind: str = PRETRAINING) -> str | None:
    """Name of the shipped weights of a network and a kind, as their header has it; None if there are none."""
    return next((name for name, path in shipped().items() if _is_start(path, network, kind)), None)


def shipped_start(network: str, kind: str = PRETRAINING) -> Start:
    """The shipped weights that zero-shot learning of a network begins from.

    Raises
    ------
    SuperlensError
        If there are none.
    """
    name = shipped_name(network, kind)
    if name is None:
        raise SuperlensError(
            f"there are no shipped weights for network {network!r}; give `from_scratch`, or reinstall superlens if they were there"
        )
    return remembered(Start(name, _loaded(shipped()[name])))


def beginning_of(network: str, given: Model | None, kind: str = PRETRAINING) -> Start:
    """The given weights, or the shipped ones of a kind."""
    if given is None:
        return shipped_start(network, kind)
    if given.config.network != network:
        raise SuperlensError(
            f"start is of network {given.config.network!r} and the settings say {network!r}; expected one network"
        )
    return Start(str(given.config.provenance.get("name", "given weights")), given)


def start_of(
    model: Model,
    given: Model | None = None,
    *,
    kind: str = PRETRAINING,
    fits: Callable[[Model], bool] = lambda start: True,
) -> keras.Model | None:
    """The start that a model was fine-tuned from, at the model's scale, to predict with; None if it had none or still is that start.

    Parameters
    ----------
    model : Model
    given : Model, optional
        The start, where it is not the shipped one.
    kind : str
        Of the shipped one.
    fits : callable, optional
        Whether a start still fits the model, as it may not after a change of versions.
    """
    made, config = model.config.provenance, model.config
    if not made.get("blend") or (given is None and shipped_name(config.network, kind) is None):
        return None
    start = beginning_of(config.network, given, kind)
    if made.get("start") != start.name or not fits(start.model):
        return None
    return network_at(start.model, config.network_config)


def network_at(start: Model, arguments: Mapping[str, Any]) -> keras.Model:
    """The network of a start, at another scale where the arguments ask for one; made once, and changed by nobody."""
    if start.config.network_config == dict(arguments):
        return start.network
    made = _AT_SCALE.setdefault(start.network, {})
    key = json.dumps(dict(arguments), sort_keys=True)
    if key not in made:
        made[key] = build(start.config.network, arguments)
        set_weights(made[key], get_weights(start.network))
        if start.network in _ANSWERS:
            _ANSWERS[made[key]] = OrderedDict()
    return made[key]


_AT_SCALE: WeakKeyDictionary[keras.Model, dict[str, keras.Model]] = WeakKeyDictionary()


def answer(network: keras.Model, channels: Array, *, flips: int, align: int) -> list[Array]:
    """`superlens.training.two_stage.turning.averaged`; what shipped weights made of the same channels lately is not computed again.

    A fine-tuned network is held against its start, whose answer to the copy that is not turned was the first picture.
    """
    known = _ANSWERS.get(network)
    if known is None:
        return averaged(network, channels, flips=flips, align=align)
    seen = hashlib.sha256(np.ascontiguousarray(channels).data).hexdigest() + f" {channels.shape}"
    key = f"{seen} {flips}"
    if key not in known:
        known[key] = averaged(network, channels, flips=flips, align=align, first=known.pop(f"{seen} 1", None))
        while len(known) > 1 and sum(one.nbytes for made in known.values() for one in made) > _REMEMBERED_BYTES:
            known.popitem(last=False)
    return known[key]


_ANSWERS: WeakKeyDictionary[keras.Model, OrderedDict[str, list[Array]]] = WeakKeyDictionary()


def remembered(start: Start) -> Start:
    """A start whose weights nobody changes, so that `answer` may remember what they made."""
    _ANSWERS.setdefault(start.model.network, OrderedDict())
    return start


def _is_start(path: Path, network: str, kind: str) -> bool:
    header = _header(path)
    return header.method == kind and header.network == network


_header = functools.lru_cache(maxsize=32)(read_header)


@functools.lru_cache(maxsize=4)
def _loaded(file: Path) -> Model:
    """Shipped weights, which nobody changes: folders of small images and frames that are adapted to ask for them again and again."""
    return Model.load(file)
