"""Training: one loop for every method.

A method brings a network, a loss, and a function that draws the batch of step ``i``; `fit` brings the schedule, the held-out check,
the best weights, the budget in steps or minutes, the checkpoint that a killed run goes on from, and the word to stop when numbers
are no longer finite. Seeds, precision and device live here and nowhere else.

Since the batch of step ``i`` depends on ``i`` alone, a run that was killed and resumed ends with the same weights as one that was
not.
"""

from __future__ import annotations

import functools
import io
import logging
import math
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.host import processor, usable_processors
from superlens.progress import Cancelled, Progress, Watching, silent

__all__ = [
    "Checkpoint",
    "Draw",
    "History",
    "Plan",
    "Record",
    "Trainer",
    "best_precision",
    "device_in_use",
    "fit",
    "get_weights",
    "out_of_memory_errors",
    "precision",
    "select_device",
    "set_weights",
]

log = logging.getLogger(__name__)

Array = NDArray[np.float32]
Loss = Callable[[Sequence[Any], Sequence[Any]], Any]
Draw = Callable[[int], tuple[Array, tuple[Array, ...]]]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train.

    Attributes
    ----------
    steps : int
        Most steps to take.
    learning_rate : float
        Adam's, at the start.
    schedule : {"constant", "cosine", "halving"}
        Cosine falls to zero at the end of the budget; halving halves it every ``halve_every`` steps.
    halve_every : int
    minutes : float or None
        Budget of wall-clock time; whichever of steps and minutes comes first ends the training.
    check_every : int
        Steps between two held-out checks and checkpoints.
    patience : int
        Held-out checks without a better one before stopping early; 0 never stops.
    average : float
        Momentum of the moving average of the weights, 0 for none.
    """

    steps: int
    learning_rate: float
    schedule: Literal["constant", "cosine", "halving"] = "cosine"
    halve_every: int = 10_000
    minutes: float | None = None
    check_every: int = 20
    patience: int = 0
    average: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """One held-out check: step, mean training loss since the last one, held-out loss (NaN where there is none), seconds so far."""

    step: int
    loss: float
    held_out: float
    seconds: float


@dataclass(slots=True)
class History:
    """What happened during a training.

    Attributes
    ----------
    records : list of Record
    best_step : int
        Step whose weights the network holds now.
    stopped : str
        Why it ended: "steps", "minutes", "patience", "cancelled".
    blend : float
        How far the kept weights lie on the line from the start (0) to the end of the training (1).
    """

    records: list[Record] = field(default_factory=list)
    best_step: int = 0
    stopped: str = "steps"
    blend: float = 1.0


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


def fit(
    network: keras.Model,
    loss: Loss,
    draw: Draw,
    plan: Plan,
    *,
    held_out: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
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
    return Trainer(network, loss, average=plan.average).fit(
        draw, plan, held_out=held_out, checkpoint=checkpoint, progress=progress
    )


class Trainer:
    """A network under a loss, traced once however often it is trained anew.

    Parameters
    ----------
    network, loss
        As for `fit`.
    average : float
        As in `Plan`.
    """

    def __init__(self, network: keras.Model, loss: Loss, *, average: float = 0.0) -> None:
        self._network, self._average = network, average
        self._trainee = _Trainee(network, loss)
        self._optimizer = keras.optimizers.Adam(
            use_ema=average > 0, ema_momentum=average or None, ema_overwrite_frequency=None
        )
        self._trainee.compile(optimizer=self._optimizer, jit_compile=False)
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
        state = _State(network, optimizer)
        first = state.resume(checkpoint) if checkpoint is not None else 0
        began = time.monotonic() - (state.history.records[-1].seconds if state.history.records else 0.0)
        losses: list[Any] = []
        done = first
        try:
            for step in range(first, plan.steps):
                if plan.patience and state.since_best >= plan.patience:
                    state.history.stopped = "patience"
                    break
                elapsed = (time.monotonic() - began) / 60
                if plan.minutes is not None and elapsed >= plan.minutes:
                    state.history.stopped = "minutes"
                    break
                optimizer.learning_rate.assign(_rate(plan, step, elapsed))
                x, targets = draw(step)
                losses.append(float(self._trainee.train_on_batch(x, list(targets))))
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


def _glimpse(network: keras.Model, batch: NDArray[Any]) -> NDArray[np.float32]:
    """The finest output of a network, of a volume its middle plane."""
    outputs = network.predict_on_batch(batch)
    finest = max(outputs if isinstance(outputs, list | tuple) else [outputs], key=np.size)
    picture = np.asarray(finest[0, ..., 0], np.float32)
    return picture if picture.ndim == 2 else picture[len(picture) // 2]


def _rate(plan: Plan, step: int, elapsed: float) -> float:
    if plan.schedule == "halving":
        return plan.learning_rate * 0.5 ** (step // plan.halve_every)
    if plan.schedule == "constant":
        return plan.learning_rate
    share = step / plan.steps if plan.minutes is None else max(step / plan.steps, elapsed / plan.minutes)
    warm = min(1.0, (step + 1) / min(200.0, 0.05 * plan.steps + 1))
    return plan.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


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
        return self._loss(y, y_pred) + watched


class _State:
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
            "Try a smaller learning rate, larger patches or batches, or --device cpu with float32."
        )

    def check(
        self, step: int, loss: float, held_out: Callable[[], float] | None, seconds: float, *, averaged: bool
    ) -> None:
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
        if self._best is not None:
            set_weights(self._network, self._best)

    def save(self, checkpoint: Checkpoint) -> None:
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


def best_precision() -> Precision:
    """The precision that this hardware trains fastest in without losing range.

    bfloat16 where the processor multiplies bfloat16 matrices (AMX) or a GPU is present, float32 elsewhere.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return "mixed_bfloat16"
    return "mixed_bfloat16" if "amx_bf16" in _cpu_flags() else "float32"


def _cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(errors="replace") if path.exists() else ""


def out_of_memory_errors() -> tuple[type[BaseException], ...]:
    """What the backend raises when a tensor does not fit into memory."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return (tf.errors.ResourceExhaustedError,)
    return ()


def select_device(device: str | None = None, threads: int | None = None) -> None:
    """Choose what to run on; call before anything else of the engine.

    Parameters
    ----------
    device : str, optional
        "cpu", "gpu", or "gpu:1"; None takes the first GPU if there is one.
    threads : int, optional
        Processor threads; None takes all.

    Raises
    ------
    SuperlensError
        If there is no such device, or the engine already runs.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    kind, _, number = (device or "").partition(":")
    if kind not in ("", "cpu", "gpu") or (number and not number.isdigit()):
        raise SuperlensError(f"device is {device!r}; expected cpu, gpu or gpu:N")
    if kind == "gpu" and int(number or 0) >= len(gpus):
        raise SuperlensError(f"device is {device!r} and {len(gpus)} GPUs are usable; run `superlens doctor` to see why")
    try:
        if kind == "cpu":
            tf.config.set_visible_devices([], "GPU")
        elif gpus:
            tf.config.set_visible_devices([gpus[int(number or 0)]], "GPU")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(max(1, min(2, threads)))
    except RuntimeError as error:
        raise SuperlensError(f"device and threads can't change once the engine runs ({error})") from error


def device_in_use() -> str:
    """Words for the device that networks run on, e.g. ``"GPU, NVIDIA H100"`` or ``"CPU, 8 threads, AMD EPYC"``."""
    if keras.backend.backend() != "tensorflow":
        return str(keras.backend.backend())
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        return f"GPU, {tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'of unknown name')}"
    threads = tf.config.threading.get_intra_op_parallelism_threads() or usable_processors()
    return f"CPU, {threads} thread{'s' * (threads != 1)}, {processor()}"


@contextmanager
def precision(name: Precision) -> Iterator[None]:
    """Build networks inside this context to have them compute in the given precision; weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
