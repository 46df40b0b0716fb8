"""The first picture: what the pretrained model makes of an image, in the output folder before fine-tuning has begun."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superlens.image import Image
from superlens.progress import Progress, Showing, Watching
from superlens.runs.result_names import ResultNames
from superlens.runs.verb import Session, Source

__all__ = ["showing_first"]


@contextlib.contextmanager
def showing_first(session: Session, place: ResultNames | None, source: Source) -> Iterator[Progress]:
    """The progress of a session, which also writes the first picture of an image and says where it is; the file lasts as long as the block."""
    if place is None:
        yield session.progress
        return
    shown = _Shown(session, place, source)
    try:
        yield shown
    finally:
        shown.file.unlink(missing_ok=True)


class _Shown:
    """A progress that writes the first picture it is given; everything else goes to the session's own."""

    def __init__(self, session: Session, place: ResultNames, source: Source) -> None:
        self._session, self._place, self._progress = session, place, session.progress
        self._name = place.unfinished(source.file)
        self.file: Path = place.folder.path / self._name

    def __call__(self, done: int, total: int, message: str) -> None:
        self._progress(done, total, message)

    def glimpse(self, look: Callable[[], NDArray[np.float32]]) -> None:
        if isinstance(self._progress, Watching):
            self._progress.glimpse(look)

    def first(self, look: Callable[[], Image]) -> None:
        from superlens.io import write

        once = functools.cache(look)
        if not self.file.exists():
            with self._place.folder.delivery() as staging:
                write(staging / self._name, once())
            self._session.first(self.file)
        if isinstance(self._progress, Showing):
            self._progress.first(once)
