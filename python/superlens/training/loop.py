"""One loop for every method: draw, step, check, keep the best."""

from __future__ import annotations

import functools
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.progress import Cancelled, Progress, Watching, silent
from superlens.training.backends import engine_errors
from superlens.training.checkpoint import Checkpoint, State
from superlens.training.history import History, Plan
from superlens.training.outputs import outputs_of

__all__ = ["Draw", "Trainer", "fit"]

log = logging.getLogger(__name__)

Array = NDArray[np.float32]
Loss = Callable[[Sequence[Any], Sequence[Any]], Any]
Draw = Callable[[int], tuple[Array, tuple[Array, ...]]]


def fit(
    network: keras.Model,
    loss: Loss,
    draw: Draw,
    plan: Plan,
    *,
    held_out: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
    average: float = 0.0,
    progress: Progress = silent,
) -> History:
    """Train a network and leave its best weights in it.

    Parameters
    ----------
    network : keras.Model
        Changed in place.
    loss : callable
        ``loss(targets, outputs)`` to a scalar tensor; outputs are the network's, in order.
    draw : callable
        ``draw(i)`` gives the batch of step ``i``: the input and a tuple of targets.
    plan : Plan
    held_out : callable, optional
        Loss on data that training never sees, with the weights that the network holds now. The weights of the best check are kept.
    checkpoint : Checkpoint, optional
        Where to keep the state; an existing file with the same key is resumed.
    average : float
        Momentum of the moving average of the weights, which is then what is checked and kept; 0 for none.
    progress : Progress

    Returns
    -------
    History
        If ``progress`` raises `Cancelled`, what was learned so far stays in the network and ``stopped`` says so.

    Raises
    ------
    SuperlensError
        If the loss or a weight is not finite (the network then holds the best weights so far), or if the checkpoint can't be
        read, written, or belongs to another training.
    """
    return Trainer(network, loss, average=average).fit(
        draw, plan, held_out=held_out, checkpoint=checkpoint, progress=progress
    )


class Trainer:
    """A network under a loss, traced once however often it is trained anew.

    Parameters
    ----------
    network, loss
        As for `fit`.
    average : float
        Momentum of the moving average of the weights, 0 for none.
    """

    def __init__(self, network: keras.Model, loss: Loss, *, average: float = 0.0) -> None:
        self._network, self._average = network, average
        self._most: int | None = None  # patches of a batch that memory has room for
        self._trainee = _Trainee(network, loss)
        self._optimizer = keras.optimizers.Adam(
            use_ema=average > 0, ema_momentum=average or None, ema_overwrite_frequency=None
        )
        self._trainee.compile(optimizer=self._optimizer, jit_compile=keras.backend.backend() == "jax")
        self._optimizer.build(self._trainee.trainable_variables)
        self._fresh = [np.array(ops.convert_to_numpy(v)) for v in self._optimizer.variables]

    def fit(
        self,
        draw: Draw,
        plan: Plan,
        *,
        held_out: Callable[[], float] | None = None,
        checkpoint: Checkpoint | None = None,
        progress: Progress = silent,
    ) -> History:
        """Train from the weights that the network holds now, as `fit` does."""
        network, optimizer, averaged = self._network, self._optimizer, self._average > 0
        for variable, value in zip(optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self._trainee.reset_metrics()
        state = State(network, optimizer)
        first = state.resume(checkpoint) if checkpoint is not None else 0
        began = time.monotonic() - (state.history.records[-1].seconds if state.history.records else 0.0)
        losses: list[Any] = []
        done = first
        try:
            if first < plan.steps:
                progress(first, plan.steps, "training")
            for step in range(first, plan.steps):
                if plan.patience and state.since_best >= plan.patience:
                    state.history.stopped = "patience"
                    break
                elapsed = (time.monotonic() - began) / 60
                if plan.minutes is not None and elapsed >= plan.minutes:
                    state.history.stopped = "minutes"
                    break
                optimizer.learning_rate.assign(plan.rate(step, elapsed))
                x, targets = draw(step)
                losses.append(self._step(x, targets))
                done = step + 1
                state.require_finite(done, losses[-1])
                if done % plan.check_every == 0 or done == plan.steps:
                    mean = float(np.mean(losses))
                    losses.clear()
                    state.check(done, mean, held_out, time.monotonic() - began, averaged=averaged)
                    if checkpoint is not None:
                        state.save(checkpoint)
                    progress(done, plan.steps, f"loss {mean:.4g}")
                    if isinstance(progress, Watching):
                        progress.glimpse(functools.partial(_glimpse, network, x[:1]))
                else:
                    progress(done, plan.steps, "training")
        except Cancelled:
            state.history.stopped = "cancelled"
            log.info("training cancelled; keeping what was learned")
        if losses:  # what was learned since the last check; kept out of the checkpoint, so that a resumed run checks at the same steps
            state.check(done, float(np.mean(losses)), held_out, time.monotonic() - began, averaged=averaged)
        state.restore_best()
        return state.history

    def _step(self, x: Array, targets: Sequence[Array]) -> float:
        """One step on a batch, or on as much of it as memory has room for."""
        while True:
            most = self._most
            try:
                with engine_errors():
                    return float(self._trainee.train_on_batch(x[:most], [target[:most] for target in targets]))
            except MemoryError as error:
                size = len(x[:most])
                if size == 1:
                    raise SuperlensError(
                        f"memory does not suffice to train on a batch of one patch ({error}); give a smaller patch, or another `device`"
                    ) from error
                self._most = size // 2
                text = f"memory is too short to train on {size} patches at once; from here on a step takes {self._most}"
                warnings.warn(text, SuperlensWarning, stacklevel=4)


def _glimpse(network: keras.Model, batch: NDArray[Any]) -> NDArray[np.float32]:
    """The finest output of a network, of a volume its middle plane."""
    finest = max(outputs_of(network, batch), key=np.size)
    picture = np.asarray(finest[0, ..., 0], np.float32)
    return picture if picture.ndim == 2 else picture[len(picture) // 2]


@keras.saving.register_keras_serializable("superlens")
class _Trainee(keras.Model):
    """The network under a loss that sees all outputs at once."""

    def __init__(self, network: keras.Model, loss: Loss) -> None:
        super().__init__(name="trainee")
        self.network = network
        self._loss = loss

    def call(self, x: Any, training: bool = False) -> Any:
        return self.network(x, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        # Where a fused ReLU makes zeros of what is not a number, the loss of a step does not show it; the weights do at the next one.
        watched = 0.0 * sum(ops.sum(variable) for variable in self.trainable_variables)
        targets = keras.tree.map_structure(ops.convert_to_tensor, y)  # PyTorch gets them as they were given
        return self._loss(targets, y_pred) + watched
