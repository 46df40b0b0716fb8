"""Which blocks are done, in a file beside the output, so that a run that was killed goes on where it was.

The first line tells what is being made, each further line the number of a finished block. A line that was cut off by the end of the
process counts for nothing; its block is done again, which gives the same pixels. The lines outlive the process at once, and a
failure of power only as far as the system had written them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from superlens.errors import SuperlensError
from superlens.io import replacing

__all__ = ["Ledger", "part_of"]


def part_of(path: Path) -> Path:
    """Where an output lies while it is not whole: hidden, beside its place."""
    return path.with_name(f".{path.name}.part")


class Ledger:
    """The record of a run.

    Parameters
    ----------
    output : Path
        What is being made; the record is a hidden file beside it.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f".{output.name}.state")

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Write a new record of what is being made; an earlier one is forgotten."""
        with replacing(self.path) as beside:
            beside.write_text(json.dumps(plan) + "\n", encoding="utf-8")

    def plan(self) -> dict[str, Any] | None:
        """What is being made; None when there is no record.

        Raises
        ------
        SuperlensError
            If the record is damaged.
        """
        if not self.path.exists():
            return None
        try:
            with self.path.open(encoding="utf-8") as file:
                told = json.loads(file.readline())
            if isinstance(told, dict):
                return told
        except (OSError, ValueError):
            pass
        raise SuperlensError(f"the record {self.path} of an unfinished run is damaged; give `restart` to begin anew.")

    def done(self) -> set[int]:
        """Numbers of the finished blocks."""
        with self.path.open("rb") as file:
            next(file, b"")
            return {int(line) for line in file if line.endswith(b"\n") and line.strip().isdigit()}

    def record(self, numbers: Iterable[int]) -> None:
        """Note finished blocks.

        Raises
        ------
        OSError
            If the disk is full, for instance.
        """
        with self.path.open("a+b", buffering=0) as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # what is left of a line that was cut off
                file.write(b"-\n")
            for number in numbers:
                file.write(b"%d\n" % number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs away while the block lasts, where the system has locks that end with their process.

        Raises
        ------
        SuperlensError
            If another run has it.
        """
        if sys.platform == "win32":
            yield
            return
        import fcntl

        with self.path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                name = self.path.name.removeprefix(".").removesuffix(".state")
                raise SuperlensError(
                    f"another run is at work on {name}; wait for it, or give another `out`."
                ) from error
            yield

    def forget(self) -> None:
        """Remove the record."""
        self.path.unlink(missing_ok=True)
