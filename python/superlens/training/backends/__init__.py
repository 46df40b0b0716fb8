"""What is known of a Keras backend by its name: devices, precisions, and how it says that memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import keras

from superlens.errors import SuperlensError
from superlens.host import processor, usable_processors

__all__ = [
    "Precision",
    "best_precision",
    "device_in_use",
    "out_of_memory_errors",
    "precision",
    "select_device",
]

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


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
