"""What a long command does around its work: progress on the console, a polite end on Ctrl-C, a checkpoint to go on from."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType

from superlens.cli.failures import say, warn
from superlens.progress import Cancelled, Progress, console

__all__ = ["Work", "checkpointed", "checkpoints", "working"]


class Work:
    """Progress on the console, and Ctrl-C turned into a polite request to stop."""

    def __init__(self, show: Progress) -> None:
        self._show = show
        self._pending = False
        self.stopped = False
        self.began = datetime.now().astimezone()

    def progress(self, done: int, total: int, message: str) -> None:
        """Show where the work is; raise `Cancelled` once after a request to stop."""
        self._show(done, total, message)
        if self._pending:
            self._pending = False
            raise Cancelled

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first asks for an end, the second ends at once."""
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = self._pending = True
        say("stopping; what was learned is kept. Press Ctrl-C again to end at once.")


@contextlib.contextmanager
def working() -> Iterator[Work]:
    """Show progress, and let Ctrl-C end the work politely, for the length of the block."""
    with console() as show:
        work = Work(show)
        if threading.current_thread() is not threading.main_thread():
            yield work
            return
        before = {number: signal.signal(number, work.request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield work
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def checkpointed(path: Path, *, resume: bool) -> Iterator[Path]:
    """Give the place of the checkpoint: with the earlier one in it to resume, else empty.

    An earlier one that is not wanted is put back if the run fails before it has one of its own.
    """
    kept = checkpoints(path)
    if resume and not kept:
        warn(f"there is no checkpoint {path} to go on from; the training starts afresh.")
    earlier: list[Path] = []
    if kept and not resume:
        warn(f"an earlier run left {kept[0]}; the training starts afresh. With --resume it would go on from there.")
        earlier = kept
    for old in earlier:
        os.replace(old, _aside(old))
    try:
        yield path
    finally:
        failed = sys.exc_info()[0] is not None and not checkpoints(path)
        for old in earlier:
            if failed:
                os.replace(_aside(old), old)
            _aside(old).unlink(missing_ok=True)


def checkpoints(path: Path) -> list[Path]:
    """The checkpoints that lie there: of the run, or of each of its channels."""
    parts = sorted(p for p in path.parent.glob(f"{path.name}.c*") if p.name.removeprefix(f"{path.name}.c").isdigit())
    return [p for p in (path, *parts) if p.exists()]


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".earlier")
