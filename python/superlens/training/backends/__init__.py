"""What is known of the library that Keras computes with: its devices, the precisions that serve, and what its errors mean.

Each library has a file of its own; everything else asks here.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import keras

from superlens.errors import SuperlensError
from superlens.host import processor, usable_processors
from superlens.training.backends.engines import Card, Engine, card_of

__all__ = [
    "Card",
    "Precision",
    "best_precision",
    "device_in_use",
    "running_engine",
    "engine_errors",
    "precision",
    "select_device",
]

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

_ENGINES = {"tensorflow": "on_tensorflow", "jax": "on_jax", "torch": "on_torch"}


@functools.cache
def running_engine() -> Engine:
    """The library that Keras computes with.

    Raises
    ------
    SuperlensError
        If it is one that superlens does not know.
    """
    name = keras.backend.backend()
    if name not in _ENGINES:
        raise SuperlensError(
            f"Keras runs on {name}; expected one of {', '.join(_ENGINES)}. Unset KERAS_BACKEND, or set it to one of them"
        )
    found: Engine = importlib.import_module(f"superlens.training.backends.{_ENGINES[name]}").ENGINE
    return found


def best_precision() -> Precision:
    """The precision that this hardware trains fastest in without losing range.

    bfloat16 on a card, or a processor, that multiplies matrices of it faster; float32 elsewhere.
    """
    card = running_engine().card()
    if card is not None:
        return "mixed_bfloat16" if card.bfloat16 else "float32"
    return "mixed_bfloat16" if running_engine().fast_bfloat16 and "amx_bf16" in _cpu_flags() else "float32"


def _cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(errors="replace") if path.exists() else ""


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn what the engine raises inside the block into errors that everybody knows.

    Raises
    ------
    MemoryError
        When a tensor does not fit into memory.
    SuperlensError
        When a graphics card, or its driver, has failed.
    """
    try:
        yield
    except Exception as error:
        match running_engine().trouble(error):
            case "memory":
                raise MemoryError(" ".join(str(error).split())[:200]) from error
            case "card":
                raise SuperlensError(
                    f"the graphics card failed ({' '.join(str(error).split())[:200]}). What a checkpoint or a ledger of blocks holds is kept: "
                    "run again with `resume`, or with `device` cpu"
                ) from error
        raise


def select_device(device: str | None = None, threads: int | None = None) -> None:
    """Choose what to run on; call before anything else of the engine.

    Parameters
    ----------
    device : str, optional
        "cpu", "gpu", or "gpu:1"; None takes the first card if there is one.
    threads : int, optional
        Processor threads; None takes all.

    Raises
    ------
    SuperlensError
        If there is no such device, or the engine already runs.
    """
    used = running_engine()
    card = card_of(device, used.cards(), used.words)
    try:
        used.use(card, threads)
    except RuntimeError as error:
        raise SuperlensError(f"device and threads can't change once the engine runs ({error})") from error


def device_in_use() -> str:
    """Words for the device that networks run on, e.g. ``"GPU, NVIDIA H100"`` or ``"CPU, 8 threads, AMD EPYC, PyTorch"``."""
    used = running_engine()
    other = "" if used.words == "TensorFlow" else f", {used.words}"
    card = used.card()
    if card is not None:
        return f"GPU, {card.model}{other}"
    threads = used.threads() or usable_processors()
    return f"CPU, {threads} thread{'s' * (threads != 1)}, {processor()}{other}"


@contextmanager
def precision(name: Precision) -> Iterator[None]:
    """Build networks inside this context to have them compute in the given precision; weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
