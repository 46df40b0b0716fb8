"""How long work reports its progress, and how it is stopped.

Long functions take ``progress``, a plain function of ``(done, total, message)``, and call it every step. Whoever listens (a
terminal, Fiji, a test) may raise `Cancelled` from it: the working function lets that pass after saving what it has learned.
A listener that has a method ``glimpse`` too is a `Watching` one: a training offers it
a look at what the network makes. To one with a method ``first``, a `Showing` one, the first answer is given as soon as there is one. `silent` listens to nothing; `console` shows a bar with the time left on a terminal or in a notebook, and a
rare log line elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from superlens.image import Image

__all__ = [
    "Cancelled",
    "Enough",
    "Progress",
    "Showing",
    "Watching",
    "console",
    "duration",
    "in_notebook",
    "put_away",
    "silent",
]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and a short message; may raise `Cancelled`."""

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LOG_LINES = 30.0


@runtime_checkable
class Watching(Protocol):
    """A `Progress` that may look at what a network makes while it learns."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Hear where the work is."""

    def glimpse(self, look: Callable[[], NDArray[np.float32]]) -> None:
        """Be offered a look, after a check of a training.

        Parameters
        ----------
        look : callable
            Makes the picture, an array of shape (Y, X) in units of the network; costs a prediction, and may be left uncalled.
        """


@runtime_checkable
class Showing(Protocol):
    """A `Progress` that shows a first answer to a person while the work goes on to a better one."""

    def __call__(self, done: int, total: int, message: str) -> None:
        """Hear where the work is."""

    def first(self, look: Callable[[], Image]) -> None:
        """Be offered the first answer, such as what the pretrained model makes of an image before it is fine-tuned.

        Parameters
        ----------
        look : callable
            Makes the image; costs a prediction, and may be left uncalled.
        """


class Cancelled(Exception):
    """The listener asked for an end; what was learned so far is kept by whoever was working."""


class Enough(Cancelled):
    """The listener asked for an end of this training alone: what it has learned is kept, and the work goes on with what comes next."""


def silent(done: int, total: int, message: str) -> None:
    """Listen to nothing.

    Parameters
    ----------
    done, total : int
        Steps done, steps in all.
    message : str
        What is being done.

    Examples
    --------
    >>> silent(3, 10, "training")
    """


@contextlib.contextmanager
def console(stream: TextIO | None = None) -> Iterator[Progress]:
    """Show progress to a person, for the length of a ``with`` block.

    On a terminal or in a notebook a bar with the time left is drawn; a new bar begins when the total changes or the count falls back, that
    is, with every stage of a run. Elsewhere nothing is drawn, and at most two log lines a minute are written at level INFO.

    Parameters
    ----------
    stream : text stream, optional
        Where the bar is drawn; standard error when left out.

    Yields
    ------
    Progress
        The function to hand to the work.

    Examples
    --------
    >>> import io
    >>> with console(io.StringIO()) as progress:
    ...     progress(1, 2, "training")
    """
    target = sys.stderr if stream is None else stream
    if not target.isatty() and not (stream is None and in_notebook()):
        yield _LogLines()
        return
    bar = _Bar(stream)
    _IN_VIEW.append(bar)
    try:
        yield bar
    finally:
        _IN_VIEW.remove(bar)
        bar.close()


def put_away() -> None:
    """Close the bar that is in view, if there is one, so that lines can be printed below it; the next step of the work draws a new one.

    Examples
    --------
    >>> put_away()
    """
    for bar in _IN_VIEW:
        bar.close()


def duration(seconds: float) -> str:
    """Write a length of time for a person.

    Examples
    --------
    >>> duration(42), duration(200), duration(7300)
    ('42 s', '3 min', '2 h 2 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class _LogLines:
    """A log line now and then: at the first call, then whenever enough time has passed."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._total = self._done = self._first = -1
        self._began = 0.0

    def __call__(self, done: int, total: int, message: str) -> None:
        now = time.monotonic()
        if total != self._total or done < self._done:
            self._began, self._first = now, done
        self._total, self._done = total, done
        if now - self._last < _SECONDS_BETWEEN_LOG_LINES:
            return
        self._last = now
        _LOG.info("%s: %d of %d%s", message, done, total, self._left(now))

    def _left(self, now: float) -> str:
        made = self._done - self._first
        if made < 1:
            return ""
        return f", about {duration((now - self._began) / made * (self._total - self._done))} left"


class _Bar:
    """One tqdm bar a stage; `tqdm.auto` draws it as a widget in a notebook."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._bar: Any = None
        self._last = (0, 0)

    def first(self, look: Callable[[], Image]) -> None:
        """Show the first answer under the bar of a notebook; on a terminal there is no room for it."""
        if self._stream is not None or not in_notebook():
            return
        from IPython.display import HTML, display

        from superlens.showing import figure, middle_plane

        display(HTML(figure(middle_plane(look().data), "first look by the pretrained model; the work goes on")))

    def __call__(self, done: int, total: int, message: str) -> None:
        if self._bar is None or self._bar.total != total or done < self._bar.n:
            self._begin(done, total)
        self._last = (done, total)
        self._bar.set_description_str(message, refresh=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.refresh()

    def _begin(self, done: int, total: int) -> None:
        from tqdm.auto import tqdm

        before, of = self._last
        goes_on = self._bar is None and of == total and before < done
        self.close()
        first = before if goes_on else 0
        self._bar = tqdm(total=total, initial=first, file=self._stream, dynamic_ncols=True, leave=True, smoothing=0.1)

    def close(self) -> None:
        """End the bar in view, if there is one, and leave it on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


_IN_VIEW: list[_Bar] = []
"""The bars of the `console` blocks that are open."""


def in_notebook() -> bool:
    """Whether this Python is the kernel of a notebook, where a bar is drawn as a widget."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return running is not None and "IPKernelApp" in getattr(running, "config", {})
