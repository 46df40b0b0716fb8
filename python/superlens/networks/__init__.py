"""Networks: Keras graphs from arrays to arrays, built by name.

A network knows channels-last batches ``(B, [Z,] Y, X, C)`` and nothing of files, nanometres or noise models. A family of them is one
file, which says every fact of each as an `Architecture`. `build` finds a network by the name that is stored in a model file, so that
loading a file runs no code but ours. Keras is loaded when a network is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from superlens.backend import require_backend
from superlens.errors import SuperlensError
from superlens.networks.architecture import Architecture

if TYPE_CHECKING:
    import keras

__all__ = ["Architecture", "architecture", "build", "names", "register", "unregister"]

_FAMILIES = ("deepstorm", "haze", "light", "rcan", "unet")
"""Files of this folder that declare networks, in `ARCHITECTURES`."""

_ADDED: dict[str, Architecture] = {}
_SHIPPED: dict[str, Architecture] = {}


def names() -> tuple[str, ...]:
    """Names that `build` knows."""
    return tuple(_known())


def architecture(name: str) -> Architecture:
    """The `Architecture` called ``name``.

    Raises
    ------
    SuperlensError
        If there is none of that name.
    """
    known = _known()
    if name not in known:
        raise SuperlensError(
            f"network is {name!r}; expected one of {', '.join(known)}. Was the model made by a newer superlens?"
        )
    return known[name]


def register(added: Architecture) -> None:
    """Add a network for the life of this process; one that was added under the same name before is replaced.

    Raises
    ------
    SuperlensError
        If superlens has a network of that name.
    """
    known = _known()
    if added.name in known and added.name not in _ADDED:
        raise SuperlensError(f"there is a network {added.name!r} already; give the new one another name")
    _ADDED[added.name] = added


def unregister(name: str) -> None:
    """Take an added network away again."""
    _ADDED.pop(name, None)


def _known() -> dict[str, Architecture]:
    if not _SHIPPED:
        require_backend()
        for family in _FAMILIES:
            declared = importlib.import_module(f"superlens.networks.{family}").ARCHITECTURES
            _SHIPPED.update({one.name: one for one in declared})
    return {**_SHIPPED, **_ADDED}


def build(name: str, config: Mapping[str, Any]) -> keras.Model:
    """Build the network called ``name``.

    Parameters
    ----------
    name : str
        One of `names`.
    config : mapping
        Keyword arguments of the architecture.

    Raises
    ------
    SuperlensError
        If the name is unknown or the configuration does not fit it.
    """
    import keras

    make = architecture(name).make
    try:
        network = make(**config)
        # JAX compiles each operation by itself otherwise; TensorFlow's own convolutions are many times faster than XLA's on a processor.
        network.compile(jit_compile=keras.backend.backend() == "jax")
        return network
    except (TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise SuperlensError(f"network {name!r} does not take this configuration: {why}") from error
