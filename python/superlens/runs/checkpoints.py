"""The checkpoint of a run: kept until the work is done, gone on with when asked to, never lost to a run that fails."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from superlens.errors import SuperlensWarning

__all__ = ["checkpointed", "checkpoints"]


@contextlib.contextmanager
def checkpointed(path: Path, *, resume: bool) -> Iterator[Path]:
    """Give the place of the checkpoint: with the earlier one in it to resume, else empty.

    An earlier one that is not wanted is put back if the run fails before it has one of its own.
    """
    kept = checkpoints(path)
    if resume and not kept:
        _warn(f"there is no checkpoint {path} to go on from; the training starts afresh.")
    earlier: list[Path] = []
    if kept and not resume:
        _warn(f"an earlier run left {kept[0]}; the training starts afresh. With `resume` it would go on from there.")
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


def _warn(message: str) -> None:
    warnings.warn(message, SuperlensWarning, stacklevel=4)
