"""Cells that measure time: `fast` all in, a step of the original recipe in the same run, and how long the package takes to load."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import superlens as sl

from .scenes import CAMERA, make
from .store import Outcome

__all__ = ["PAPER_STEPS", "against_paper", "loading", "paper_minutes", "paper_step"]

PAPER_STEPS = 50_000
_FIRST, _LAST = 5, 20  # the steps between which the clock runs; before them the engine compiles
_MAIN = "import sys; from superlens.cli import main; sys.exit(main())"


def against_paper(side: int) -> Outcome:
    """Wall seconds of ``superlens enhance`` in a fresh process, against 50,000 steps of `paper` as timed right after."""
    scene = make("filaments", 15, 1, side=side)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.tif"
        sl.write(path, scene.observed)
        arguments = ["enhance", str(path), "--na", "1.3", "--wavelength-nm", "525", "--immersion-index", "1.518"]
        arguments += ["--offset", str(CAMERA.offset), "--out", str(Path(folder) / "out")]
        fast = _seconds([sys.executable, "-c", _MAIN, *arguments])
    optics = sl.Objective(na=1.3, wavelength_nm=525)
    step = paper_step(scene.observed, optics, _FIRST, _LAST, offset=CAMERA.offset)
    return Outcome(
        {
            "fast_seconds": fast,
            "paper_step_seconds": step,
            "paper_hours": PAPER_STEPS * step / 3600,
            "ratio": fast / (PAPER_STEPS * step),
            "times_faster": PAPER_STEPS * step / fast,
        }
    )


def paper_step(image: sl.Image, optics: sl.Objective, first: int, last: int, **changes: Any) -> float:
    """Mean wall seconds of the training steps after ``first``, up to ``last``; a loss is read after each, so that none is still under way."""
    seen: dict[int, float] = {}

    def watch(done: int, total: int, message: str) -> None:
        seen.setdefault(done, time.perf_counter())

    config = sl.ZSDeconvConfig.of("paper", steps=last + 1, **changes)  # a check comes with the last one
    sl.train(image, optics, config=config, progress=watch)
    return (seen[last] - seen[first]) / (last - first)


def paper_minutes(step_seconds: float, steps: int = PAPER_STEPS) -> float:
    """Minutes of a whole training by the original recipe, from the seconds of one step; preparation and compilation are left out."""
    return steps * step_seconds / 60


def loading(repeats: int) -> Outcome:
    """Least seconds of several fresh processes: the import alone, and the whole of ``superlens --help``."""
    clock = "import time; t = time.perf_counter(); import superlens; print(time.perf_counter() - t)"
    imports = [float(_output([sys.executable, "-c", clock])) for _ in range(repeats)]
    helps = [_seconds([sys.executable, "-c", _MAIN, "--help"]) for _ in range(repeats)]
    bare = [_seconds([sys.executable, "-c", "pass"]) for _ in range(repeats)]
    return Outcome(
        {
            "import_seconds": min(imports),
            "help_seconds": min(helps),
            "bare_python_seconds": min(bare),
            "import_median_seconds": float(np.median(imports)),
            "help_median_seconds": float(np.median(helps)),
        }
    )


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    _output(command)
    return time.perf_counter() - began


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ... ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout
