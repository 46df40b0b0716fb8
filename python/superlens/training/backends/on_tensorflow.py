"""TensorFlow as an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from superlens.training.backends.engine import Card, Engine, Trouble

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

    def trouble(self, error: BaseException) -> Trouble | None:
        if isinstance(error, tf.errors.ResourceExhaustedError):
            return "memory"
        return "card" if isinstance(error, _FAILED) and self.card() is not None else None


_FAILED = (tf.errors.InternalError, tf.errors.UnknownError, tf.errors.UnavailableError, tf.errors.AbortedError)


def _card(device: Any) -> Card:
    told = tf.config.experimental.get_device_details(device)
    return Card(
        str(told.get("device_name", "of unknown name")), tuple(told.get("compute_capability", _AMPERE)) >= _AMPERE
    )


ENGINE = _TensorFlow()
