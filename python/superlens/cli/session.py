"""What a shell brings to a request: a bar, lines on standard output and error, a polite end on Ctrl-C, the engine started quietly."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click

from superlens.cli.failures import hint, note, say
from superlens.progress import Cancelled, Progress, console, put_away
from superlens.quiet import quiet_native_output

__all__ = ["ShellSession", "Work", "working"]


class Work:
    """Progress on the console, and Ctrl-C turned into a polite request to stop."""

    def __init__(self, show: Progress) -> None:
        self._show = show
        self._pending = self._working = False
        self.stopped = False
        self.began = datetime.now().astimezone()

    def progress(self, done: int, total: int, message: str) -> None:
        """Show where the work is; raise `Cancelled` once after a request to stop."""
        self._working = True
        self._show(done, total, message)
        if self._pending:
            self._pending = False
            raise Cancelled

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first asks for an end, the second ends at once. Before the work has begun there is nothing to keep."""
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = self._pending = True
        if not self._working:
            raise Cancelled
        say("Stopping. What was learned is kept. Press Ctrl-C again to stop at once.")


class ShellSession(Work):
    """A request from a shell; see `superlens.runs.verb.Session`."""

    resumes = True

    def __init__(self, show: Progress, *, verbose: bool = False) -> None:
        super().__init__(show)
        self._verbose = verbose
        self.warned: list[str] = []

    def command(self) -> list[str]:
        """The line that started this process."""
        return ["superlens", *sys.argv[1:]]

    def engine(self, device: str | None, threads: int | None) -> str:
        """Load the engine quietly, choose device and threads, and set up the log."""
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        logging.getLogger("superlens").setLevel(logging.INFO if self._verbose else logging.WARNING)
        logging.getLogger("superlens.progress").setLevel(logging.INFO)
        hint("Loading the networks...")
        with quiet_native_output():
            from superlens.training import device_in_use, select_device

            select_device(device, threads)
            return device_in_use()

    def note(self, message: str) -> None:
        """Print a note."""
        note(message)

    def wrote(self, path: Path) -> None:
        """Print the path."""
        put_away()
        click.echo(os.fsencode(path))

    def first(self, path: Path) -> None:
        """Say it; a log file has as much use for it as a person."""
        say(f"First picture: {path} (the pretrained model). The run goes on; Ctrl-C keeps what it has learned.")

    def check(self) -> None:
        """Nothing ends a request from a shell but its signals."""


@contextlib.contextmanager
def working(*, verbose: bool = False) -> Iterator[ShellSession]:
    """Show progress, and let Ctrl-C end the work politely, for the length of the block."""
    with console() as show, _recorded_warnings() as warned:
        session = ShellSession(show, verbose=verbose)
        session.warned = warned
        if threading.current_thread() is not threading.main_thread():
            yield session
            return
        before = {number: signal.signal(number, session.request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield session
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _recorded_warnings() -> Iterator[list[str]]:
    """Collect the warnings that are shown, in a list for the record of the run."""
    show, kept = warnings.showwarning, list[str]()

    def shown(message: Warning | str, *where: Any, **more: Any) -> None:
        kept.append(str(message))
        show(message, *where, **more)

    warnings.showwarning = shown
    try:
        yield kept
    finally:
        warnings.showwarning = show
