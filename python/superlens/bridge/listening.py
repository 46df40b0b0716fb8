"""How a running call tells where it is, and how it hears that it should stop.

A host gives a `Listener`. `Telling` stands between it and the work: it turns ``(done, total, message)`` into events with the
stage, the loss and the time left, not more of them than a person can see, and turns a wish to stop into the exception that the
work understands. There are two wishes. *Cancel* ends the call and keeps nothing: `Abandoned` passes through everything, where
`Cancelled` would be taken as "keep what was learned". *Finish* is meant for the training alone and is such a `Cancelled`: `Enough`.

`Runs` knows the calls that are going on by the name that the caller gave them, so that another call can end them.
"""

from __future__ import annotations

import base64
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from superlens.image import Image
from superlens.progress import Enough
from superlens.showing import middle_plane

__all__ = ["SILENT", "Abandoned", "Listener", "Run", "Runs", "Telling"]

_LOSS = re.compile(r"^loss ([-+.\deE]+)$")
_CHANNEL = re.compile(r"^channel \d+(?: \(.*\))?: ")
_SECONDS_BETWEEN_PREVIEWS = 3.0
_LARGEST_PREVIEW = 160


class Abandoned(Exception):
    """The call is not wanted any more; nothing of it is kept."""


class Listener(Protocol):
    """Whoever follows a call: Fiji's progress window, or a test."""

    def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
        """Hear where the call is; `info` as in ``tests/protocol/progress.json``."""

    def cancelled(self) -> bool:
        """Say whether the call is to end."""


class _Silent:
    def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
        """Hear nothing."""

    def cancelled(self) -> bool:
        """Never."""
        return False


SILENT: Listener = _Silent()
"""Listens to nothing and never ends a call."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The wishes that concern one call.

    Attributes
    ----------
    cancel : threading.Event
        Set when nothing of it is wanted any more.
    finish : threading.Event
        Set when the training is to end and its result is wanted.
    """

    cancel: threading.Event = field(default_factory=threading.Event)
    finish: threading.Event = field(default_factory=threading.Event)


class Runs:
    """The calls that are going on, by name."""

    def __init__(self) -> None:
        self._going: dict[str, Run] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def begun(self, name: str | None) -> Iterator[Run]:
        """Let a call be heard of for the length of the block."""
        run = Run()
        if name is None:
            yield run
            return
        with self._lock:
            self._going[name] = run
        try:
            yield run
        finally:
            with self._lock:
                if self._going.get(name) is run:
                    del self._going[name]

    def wish(self, name: str | None, wish: str) -> bool:
        """Tell a call to ``cancel`` or to ``finish``.

        Returns
        -------
        bool
            Whether there is such a call.
        """
        with self._lock:
            run = self._going.get(name or "")
        if run is None:
            return False
        (run.cancel if wish == "cancel" else run.finish).set()
        return True


class Telling:
    """The progress that is handed to the work.

    Parameters
    ----------
    listener : Listener
    run : Run
    preview : bool
        Whether the listener wants to see what a network makes while it learns.
    seconds_between : float
        At least, from one event to the next: no more than a person can see.
    """

    def __init__(self, listener: Listener, run: Run, *, preview: bool = False, seconds_between: float = 0.1) -> None:
        self._listener = listener
        self._run = run
        self._between = seconds_between
        self._began = time.monotonic()
        self._told = -1.0
        self._latest = (0, 0, "")
        self._previewed = -_SECONDS_BETWEEN_PREVIEWS if preview else float("inf")
        self._stage = ""
        self._first: tuple[int, float] | None = None
        self._device: str | None = None
        self._pace: dict[str, float] = {}
        self._reached: dict[str, int] = {}

    def __call__(self, done: int, total: int, message: str) -> None:
        """Tell where the work is.

        Raises
        ------
        Abandoned
            When the call is to end.
        Enough
            When the training is to end; of several, the one that goes on.
        """
        now = time.monotonic()
        stage, loss = _understood(message)
        self._follow(stage, done, now)
        self._latest = (done, total, message)
        if loss is not None or done in (0, total) or now - self._told >= self._between:
            self._told = now
            self._listener.update(message, done, total, self._info(stage, loss, done, total, now))
        self.check()
        if stage == "training" and self._run.finish.is_set() and done < total:
            self._run.finish.clear()
            raise Enough

    def glimpse(self, look: Callable[[], NDArray[np.float32]]) -> None:
        """Tell what a network makes by now, every few seconds; see `superlens.progress.Watching`."""
        if time.monotonic() - self._previewed < _SECONDS_BETWEEN_PREVIEWS:
            return
        self._picture(look(), "training")

    def _picture(self, plane: NDArray[np.float32], stage: str) -> None:
        done, total, message = self._latest
        picture = _grey(plane)
        self._previewed = time.monotonic()
        info = self._info(stage, None, done, total, self._previewed)
        height, width = picture.shape
        info["preview"] = {
            "width": width,
            "height": height,
            "grey": base64.b64encode(picture.tobytes()).decode("ascii"),
        }
        self._listener.update(message, done, total, info)

    def first(self, look: Callable[[], Image]) -> None:
        """Tell the first answer, of a volume its middle slice; see `superlens.progress.Showing`."""
        if self._previewed < float("inf"):
            self._picture(middle_plane(look().data), "predicting")

    def loading(self, message: str) -> None:
        """Tell of something that takes a while and cannot be counted."""
        self._listener.update(message, 0, 0, {"stage": "loading", "seconds": round(self.seconds, 1)})
        self.check()

    def runs_on(self, device: str) -> None:
        """Have the next event name the device."""
        self._device = device

    def check(self) -> None:
        """End the call if that is wanted."""
        if self._run.cancel.is_set() or self._listener.cancelled():
            self._run.cancel.set()
            raise Abandoned

    @property
    def seconds(self) -> float:
        """Time since the call began."""
        return time.monotonic() - self._began

    def pace(self, stage: str) -> float | None:
        """Seconds a step of a stage took, the first report (which includes compiling) left out; None if too few were seen."""
        return self._pace.get(stage)

    def reached(self, stage: str) -> int:
        """Steps of a stage that were done."""
        return self._reached.get(stage, 0)

    def _follow(self, stage: str, done: int, now: float) -> None:
        self._reached[stage] = done
        if stage != self._stage or self._first is None or done < self._first[0] or self._first[0] == 0:
            self._stage, self._first = stage, (done, now)
        elif done > self._first[0]:
            self._pace[stage] = (now - self._first[1]) / (done - self._first[0])

    def _info(self, stage: str, loss: float | None, done: int, total: int, now: float) -> dict[str, Any]:
        info: dict[str, Any] = {"stage": stage, "seconds": round(now - self._began, 1)}
        pace = self._pace.get(stage)
        if pace is not None:
            info["seconds_left"] = round(pace * max(0, total - done), 1)
        if loss is not None:
            info["loss"] = loss
        if self._device is not None:
            info["device"], self._device = self._device, None
        return info


def _grey(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture for a small window: its darkest pixels black, its brightest white, a few outliers aside."""
    step = -(-max(picture.shape) // _LARGEST_PREVIEW)
    small = np.nan_to_num(picture[::step, ::step])
    low, high = np.percentile(small, (0.5, 99.8))
    return np.asarray(np.clip((small - low) / max(high - low, 1e-12) * 255, 0, 255), np.uint8)


def _understood(message: str) -> tuple[str, float | None]:
    """Stage and loss from the words that `superlens.training.fit` and the methods use, whatever the channel."""
    message = _CHANNEL.sub("", message)
    found = _LOSS.match(message)
    if found:
        return "training", float(found[1])
    first = message.split(" ")[0]
    return (first if first in ("loading", "training", "predicting", "measuring") else "working"), None
