"""Which library computes the networks: TensorFlow, unless JAX or PyTorch is asked for.

Keras is bound to one library when it is imported. The choice is therefore made before: by ``SUPERLENS_BACKEND`` when superlens is imported,
or by the option ``backend`` of a request. Nothing here imports any of them.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Literal, get_args

from superlens.errors import SuperlensError

__all__ = ["BACKENDS", "Backend", "choose_backend", "require_backend", "take_environment"]

Backend = Literal["tensorflow", "jax", "torch"]

BACKENDS: tuple[Backend, ...] = get_args(Backend)

_ASKED, _KERAS = "SUPERLENS_BACKEND", "KERAS_BACKEND"
_EXTRAS = {"jax": "gpu-jax", "torch": "gpu-torch"}


def take_environment() -> None:
    """Hand the backend that ``SUPERLENS_BACKEND`` names to Keras; `require_backend` refuses one that cannot be used."""
    if os.environ.get(_ASKED):
        os.environ[_KERAS] = os.environ[_ASKED]


def choose_backend(name: str | None, device: str | None = None) -> None:
    """Have Keras compute with a library, and PyTorch on a kind of device, where Keras is not loaded yet.

    Parameters
    ----------
    name : str or None
        One of `BACKENDS`; None leaves it as it is.
    device : str, optional
        As `superlens.training.select_device` takes it. PyTorch must know before Keras is loaded when it shall not use its card.

    Raises
    ------
    SuperlensError
        If the library is unknown or not installed, or Keras runs on another one already.
    """
    if device == "cpu" and "keras" not in sys.modules:
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
    if name is None:
        return
    running = _running()
    if running not in (None, name):
        raise SuperlensError(
            f"`backend` is {name} and the networks run on {running} already; start superlens anew, or leave it out."
        )
    before = os.environ.get(_KERAS)
    os.environ[_KERAS] = name
    try:
        require_backend()
    except SuperlensError:
        os.environ.pop(_KERAS)
        if before is not None:
            os.environ[_KERAS] = before
        raise


def require_backend() -> None:
    """Refuse a library that Keras is to compute with and cannot; to be called before Keras is imported.

    Raises
    ------
    SuperlensError
        Naming what to install.
    """
    name = os.environ.get(_KERAS)
    if not name or "keras" in sys.modules:
        return
    if name not in BACKENDS:
        raise SuperlensError(f"`backend` is {name!r}; expected one of {', '.join(BACKENDS)}.")
    if find_spec(name) is None:
        extra = _EXTRAS.get(name)
        what = f"superlens[{extra}]" if extra else name
        raise SuperlensError(f"`backend` is {name}, which is not installed; pip install '{what}', or leave it out.")


def _running() -> str | None:
    """The library that Keras is bound to; None while it is not loaded."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.backend.backend())
