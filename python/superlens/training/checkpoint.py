"""The state of a training on disk and off: weights, optimizer, history, and the best weights so far.

A checkpoint is written beside its place and renamed, so that a killed run leaves the old one or the new one.
"""

from __future__ import annotations

import io
import logging
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.training.history import History, Record

__all__ = ["Checkpoint", "State", "get_weights", "set_weights"]

log = logging.getLogger(__name__)

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file that a killed training goes on from.

    Attributes
    ----------
    path : Path
        Written beside and renamed at each check.
    key : str
        A digest of everything the training depends on; a file with another key is refused.
    """

    path: Path
    key: str


class State:
    """Weights, optimizer and history of a training, on disk and off."""

    def __init__(self, network: keras.Model, optimizer: keras.Optimizer) -> None:
        self._network = network
        self._optimizer = optimizer
        self._start = get_weights(network)
        self._best: list[Array] | None = None
        self._best_loss = math.inf
        self.since_best = 0
        self.history = History()

    def require_finite(self, step: int, loss: float, *weights: Array) -> None:
        """Refuse to go on from numbers that are not finite, with the best weights so far in the network."""
        if math.isfinite(loss) and all(np.isfinite(w).all() for w in weights):
            return
        set_weights(self._network, self._best or self._start)
        raise SuperlensError(
            f"at step {step} the loss or the weights are no longer finite numbers (loss {loss:g}). The best weights so far are kept. "
            "Try a smaller learning rate, larger patches or batches, or `device` cpu with float32."
        )

    def check(
        self, step: int, loss: float, held_out: Callable[[], float] | None, seconds: float, *, averaged: bool
    ) -> None:
        """Note a held-out check, and keep the weights if they are the best so far."""
        current = get_weights(self._network)
        self.require_finite(step, loss, *current)
        if averaged:
            self._optimizer.finalize_variable_values(self._network.trainable_variables)
        value = held_out() if held_out is not None else math.nan
        self.history.records.append(Record(step, loss, value, seconds))
        if not value >= self._best_loss:  # without a held-out loss (NaN) the last weights are the best
            self._best = get_weights(self._network)
            self._best_loss = value if math.isfinite(value) else math.inf
            self.history.best_step = step
            self.since_best = 0
        else:
            self.since_best += 1
        if averaged:
            set_weights(self._network, current)

    def restore_best(self) -> None:
        """Put the best weights into the network."""
        if self._best is not None:
            set_weights(self._network, self._best)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write everything, beside and renamed."""
        arrays: dict[str, Any] = {f"w{i}": a for i, a in enumerate(get_weights(self._network))}
        arrays |= {f"o{i}": ops.convert_to_numpy(v) for i, v in enumerate(self._optimizer.variables)}
        arrays |= {f"b{i}": a for i, a in enumerate(self._best or [])}
        arrays["key"] = np.array(checkpoint.key)
        arrays["best"] = np.array([self._best_loss, self.history.best_step, self.since_best], np.float64)
        arrays["records"] = np.array([tuple(asdict(r).values()) for r in self.history.records], np.float64)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        beside = checkpoint.path.with_name(checkpoint.path.name + ".part")
        try:
            checkpoint.path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(buffer.getvalue())
            os.replace(beside, checkpoint.path)
        except OSError as error:
            raise SuperlensError(
                f"can't write the checkpoint {checkpoint.path}: {error.strerror}; choose another place"
            ) from error

    def resume(self, checkpoint: Checkpoint) -> int:
        """Go on from a checkpoint, if there is one; return the step it was written after."""
        if not checkpoint.path.exists():
            return 0
        try:
            with checkpoint.path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
                arrays = {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
            if str(arrays["key"]) != checkpoint.key:
                raise SuperlensError(
                    f"checkpoint {checkpoint.path} belongs to another image or other settings; "
                    "resume with the same ones, or delete it to start afresh"
                )
            return self._take(arrays)
        except SuperlensError:
            raise
        except (OSError, ValueError, EOFError, KeyError, IndexError, TypeError, zipfile.BadZipFile) as error:
            raise SuperlensError(
                f"checkpoint {checkpoint.path} can't be read ({error}); delete it to start afresh"
            ) from error

    def _take(self, arrays: dict[str, NDArray[Any]]) -> int:
        records = [Record(int(r[0]), *map(float, r[1:])) for r in arrays["records"]]
        best_loss, best_step, since = (float(v) for v in arrays["best"])
        slots = list(zip(self._optimizer.variables, _numbered(arrays, "o"), strict=True))
        set_weights(self._network, _numbered(arrays, "w"))
        for variable, value in slots:
            variable.assign(value)
        self._best = _numbered(arrays, "b") or None
        self._best_loss, self.since_best = best_loss, int(since)
        self.history.best_step, self.history.records = int(best_step), records
        log.info("resuming at step %d", records[-1].step)
        return records[-1].step


def _array(data: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _numbered(arrays: dict[str, NDArray[Any]], prefix: str) -> list[Array]:
    count = sum(1 for name in arrays if name[0] == prefix and name[1:].isdigit())
    return [arrays[f"{prefix}{i}"] for i in range(count)]


def get_weights(network: keras.Model) -> list[Array]:
    """Weights of a network as arrays, in the order of its layers."""
    return [np.array(ops.convert_to_numpy(v)) for v in network.weights]


def set_weights(network: keras.Model, weights: Sequence[Array]) -> None:
    """Put arrays from `get_weights` back.

    Raises
    ------
    SuperlensError
        If number or shapes differ.
    """
    if len(weights) != len(network.weights) or any(
        tuple(v.shape) != w.shape for v, w in zip(network.weights, weights, strict=False)
    ):
        raise SuperlensError("the weights do not fit the network; was the model file made by another version?")
    for variable, value in zip(network.weights, weights, strict=True):
        variable.assign(value)
