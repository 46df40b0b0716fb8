"""Keep what C++ libraries write to standard error while they start off the user's screen."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

__all__ = ["quiet_native_output"]


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hold back what is written to the process's standard error, for the length of the block.

    TensorFlow speaks before its own log level applies. If the block fails, what was held back is logged, since it may say why.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, _redirected(held.fileno()):
        try:
            yield
        except BaseException:
            held.seek(0)
            logging.getLogger(__name__).info("while loading: %s", held.read().decode(errors="replace"))
            raise


@contextlib.contextmanager
def _redirected(target: int) -> Iterator[None]:
    """Send the process's standard error to another descriptor, for the length of the block."""
    kept = os.dup(2)
    os.dup2(target, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
