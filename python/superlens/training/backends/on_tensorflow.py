"""TensorFlow as an engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from superlens.training.backends.engines import Card, Engine, Trouble

__all__ = ["ENGINE"]

_AMPERE = (8, 0)  # compute capability from which cards multiply bfloat16 matrices


class _TensorFlow(Engine):
    words = "TensorFlow"
    fast_bfloat16 = True

    def cards(self) -> Sequence[Card]:
        return [_card(device) for device in tf.config.list_physical_devices("GPU")]

    def use(self, card: int | None, threads: int | None) -> None:
        there = tf.config.list_physical_devices("GPU")
        if card is not None:
            tf.config.set_visible_devices([there[card]], "GPU")
        elif there:
            tf.config.set_visible_devices([], "GPU")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(max(1, min(2, threads)))

    def card(self) -> Card | None:
        visible = tf.config.get_visible_devices("GPU")
        return _card(visible[0]) if visible else None

    def threads(self) -> int | None:
        return int(tf.config.threading.get_intra_op_parallelism_threads()) or None

    def outputs(self, network: keras.Model, batch: NDArray[np.float32]) -> Sequence[Any]:
        values = [[v.value for v in some] for some in (network.trainable_variables, network.non_trainable_variables)]
        return [one.numpy() for one in _graph(network)(*values, batch)]

    def trouble(self, error: BaseException) -> Trouble | None:
        if isinstance(error, tf.errors.ResourceExhaustedError):
            return "memory"
        return "card" if isinstance(error, _FAILED) and self.card() is not None else None


_FAILED = (tf.errors.InternalError, tf.errors.UnknownError, tf.errors.UnavailableError, tf.errors.AbortedError)


_STRUCTURES: WeakKeyDictionary[keras.Model, str] = WeakKeyDictionary()
_GRAPHS: dict[str, Callable[..., Any]] = {}


def _graph(network: keras.Model) -> Callable[..., Any]:
    """A function of weights and a batch of any shape, compiled once for all networks of one structure.

    Keras compiles for the shape of the first batch, and for all shapes from the second on, which rounds otherwise.
    """
    counts = len(network.trainable_variables), len(network.non_trainable_variables)
    if network not in _STRUCTURES:
        _STRUCTURES[network] = _structure(network)
    key = f"{counts} {_STRUCTURES[network]}"
    if key not in _GRAPHS:

        def run(trainable: Any, fixed: Any, batch: Any) -> list[Any]:
            made, _ = network.stateless_call(trainable, fixed, batch, training=False)
            return list(made) if isinstance(made, list | tuple) else [made]

        signature = [
            *(
                [tf.TensorSpec(v.shape, v.dtype) for v in some]
                for some in (network.trainable_variables, network.non_trainable_variables)
            ),
            tf.TensorSpec(network.inputs[0].shape, tf.float32),
        ]
        _GRAPHS[key] = tf.function(run, input_signature=signature, autograph=False, jit_compile=False)
    return _GRAPHS[key]


def _structure(network: keras.Model) -> str:
    """The graph of a network in words, with the places of layers for their names, which Keras numbers anew in each network."""
    config = json.loads(network.to_json())["config"]
    places = {layer["config"].get("name"): place for place, layer in enumerate(config["layers"])}

    def placed(value: Any, *, naming: bool = False) -> Any:
        if isinstance(value, dict):
            return {key: placed(inner, naming=key in _NAMING) for key, inner in value.items()}
        if isinstance(value, list):
            return [placed(inner, naming=naming) for inner in value]
        return places.get(value, value) if naming and isinstance(value, str) else value

    return json.dumps(placed({**config, "name": ""}))


_NAMING = ("name", "keras_history", "input_layers", "output_layers")


def _card(device: Any) -> Card:
    told = tf.config.experimental.get_device_details(device)
    return Card(
        str(told.get("device_name", "of unknown name")), tuple(told.get("compute_capability", _AMPERE)) >= _AMPERE
    )


ENGINE = _TensorFlow()
