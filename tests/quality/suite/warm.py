"""Calls as Fiji makes them, in a process that stays: ``python -m suite.warm 512 3``, the last line of its output is JSON.

Each call enhances an image of other pixels with the preset `instant`, without an output folder: a plan, room for the results, the call. That is the
way of the worker but for its shared memory. Told are the seconds until Fiji's progress window has the first picture, and until all images are there
with their verdict: on the clock, and of the processor, all threads together. The first call, which loads the engine, is told apart.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["calls"]

_SAID = {"na": 1.1, "wavelength_nm": 525, "preset": "instant"}


class _Window:
    """Fiji's progress window: notes when it was given the first picture."""

    def __init__(self) -> None:
        self.seen: tuple[float, float] | None = None

    def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
        """Hear of the work."""
        if "preview" in info and self.seen is None:
            self.seen = _now()

    def cancelled(self) -> bool:
        """Never."""
        return False


def calls(side: int, repeats: int) -> dict[str, float]:
    """Seconds of the first call, and medians of those after it."""
    from .phases import made

    image, _ = made("image", str(side))
    first = _call(image, 0)
    later = [_call(image, number) for number in range(1, repeats + 1)]
    return {f"cold_{name}": seconds for name, seconds in first.items()} | {
        name: statistics.median(one[name] for one in later) for name in later[0]
    }


def _call(image: Any, number: int) -> dict[str, float]:
    from superlens.bridge.dispatch import dispatch
    from superlens.bridge.protocol import InputSpec, Request

    pixels = np.roll(image.data, 5 * number, axis=1) + np.asarray(number, image.data.dtype)
    spec = InputSpec(name="cell.tif", axes="YX", shape=pixels.shape, dtype=str(pixels.dtype), pixel_nm=image.pixel_nm)
    began, window = _now(), _Window()
    plan = dispatch(Request(verb="plan", of="enhance", parameters=_SAID, inputs=(spec,)).to_json())
    room = [np.empty(made.bytes, np.uint8) for made in plan.outputs]
    asked = Request(verb="enhance", parameters=_SAID, inputs=(spec,), outputs=plan.outputs, preview=True)
    answer = dispatch(asked.to_json(), [pixels.reshape(-1).view(np.uint8)], room, window)
    ended = _now()
    if not answer.ok or window.seen is None:
        raise RuntimeError(f"the call failed: {answer.error}")
    told = {"first": window.seen, "all": ended}
    return {
        name + kind: at[i] - began[i] for name, at in told.items() for i, kind in enumerate(("_processor", "_wall"))
    }


def _now() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(calls(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
