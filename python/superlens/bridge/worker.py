"""The engine in a process of its own, beside Fiji: an Appose worker that stays warm and may crash without harm.

Fiji starts ``python -c "import appose.python_worker; ..."`` with `guard` as the first thing it runs, and sends tasks that call
`serve` with a request and blocks of shared memory. TensorFlow is loaded by the first call that needs it and models stay loaded.

Appose speaks JSON lines over standard output, where any stray print, from Python or from C, would corrupt a message and leave
Fiji waiting for ever. `guard` therefore moves the conversation to a private descriptor and sends everything else to standard
error. A worker whose Fiji has gone ends its work and itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["guard", "serve"]

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 5.0


class _Task(Protocol):
    """What Appose's task is to a script."""

    outputs: dict[str, Any]
    cancel_requested: bool

    def update(self, message: str, current: int, maximum: int, info: dict[str, Any]) -> None: ...


class _Memory(Protocol):
    def close(self) -> None: ...


class _Block(Protocol):
    """Appose's array in shared memory."""

    shm: _Memory

    def ndarray(self) -> NDArray[Any]: ...


def guard() -> None:
    """Prepare the process, before it reads its first line.

    NumPy is imported now, since on Windows it cannot be once standard input is being read. Standard output is kept for Appose
    alone, and a thread watches whether the parent process is still there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy  # noqa: F401

    _keep_standard_output()
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), name="superlens-watch", daemon=True).start()


def serve(task: _Task, request: str, blocks_in: Sequence[_Block], blocks_out: Sequence[_Block]) -> None:
    """Do one call and leave the answer in ``task.outputs["response"]``.

    Parameters
    ----------
    task : appose task
        Told of the progress, and asked whether it is cancelled.
    request : str
        JSON; see ``tests/protocol/README.md``.
    blocks_in, blocks_out : sequence of appose NDArray
        Shared memory of the caller, who frees it.
    """
    from superlens.bridge.dispatch import dispatch

    with _attached(blocks_in) as inputs, _attached(blocks_out) as outputs:
        # the caller frees its memory when the task ends, and arrays of a cached model or a traceback may live longer
        copies = [array.copy() for array in inputs]
        task.outputs["response"] = dispatch(request, copies, outputs, _TaskListener(task)).to_json()
        inputs.clear()
        outputs.clear()


class _TaskListener:
    """Appose's task as a listener."""

    def __init__(self, task: _Task) -> None:
        self._task = task

    def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
        self._task.update(message, current, maximum, dict(info))

    def cancelled(self) -> bool:
        """Asked to stop, or nobody is left to hear the answer: standard input was closed."""
        worker = getattr(self._task, "_worker", None)
        return bool(self._task.cancel_requested) or not getattr(worker, "running", True)


@contextlib.contextmanager
def _attached(blocks: Sequence[_Block]) -> Iterator[list[NDArray[Any]]]:
    """View shared memory for the length of the block, and let go of it afterwards."""
    import numpy as np

    try:
        yield [np.asarray(block.ndarray()).reshape(-1).view(np.uint8) for block in blocks]
    finally:
        for block in blocks:
            try:
                block.shm.close()
            except BufferError:  # a view lives on; the block is let go of with it
                log.info("a block of shared memory is still in use after its call")


def _keep_standard_output() -> None:
    """Give Appose a private copy of standard output, and send whatever else is written there to standard error."""
    from appose import python_worker

    private = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    one_at_a_time = threading.Lock()

    def whole_line(*values: object, flush: bool = True, file: Any = None) -> None:
        with one_at_a_time:
            target = private if file is None else file
            target.write(" ".join(map(str, values)) + "\n")
            target.flush()

    python_worker.print = whole_line
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def _end_with(parent: int) -> None:
    """End the process soon after its parent has gone."""
    import psutil

    while os.getppid() == parent and psutil.pid_exists(parent):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    time.sleep(_SECONDS_TO_END)
    os._exit(0)
