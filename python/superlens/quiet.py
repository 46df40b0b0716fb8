"""Keep what C++ libraries write to standard error while they start off the user's screen.

TensorFlow speaks when it is imported, before its own log level applies. `quiet_tensorflow` makes its import silent wherever it comes first,
in a shell, a notebook or Fiji; the package calls it when it is imported itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["quiet_native_output", "quiet_tensorflow"]


@contextlib.contextmanager
def quiet_native_output() -> Iterator[None]:
    """Hold back what is written to the process's standard error, for the length of the block.

    If the block fails, what was held back is logged, since it may say why.
    """
    import tempfile

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as held, _redirected(held.fileno()):
        try:
            yield
        except BaseException:
            held.seek(0)
            logging.getLogger(__name__).info("while loading: %s", held.read().decode(errors="replace"))
            raise


def quiet_tensorflow() -> None:
    """Make the first import of TensorFlow silent, whoever asks for it; nothing when it was imported already."""
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(MetaPathFinder):
    """Finds TensorFlow where it is, once, and lets its code run with standard error held back."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                with quiet_native_output():
                    run(module)
                logging.getLogger("tensorflow").addFilter(_is_news)

            loader.exec_module = exec_module
        return spec


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record concerns a user; images of many sizes are compiled one by one on purpose."""
    return "retracing" not in str(record.msg)


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
