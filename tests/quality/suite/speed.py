"""Cells of `tests/quality/speed.py`: where the time of a run goes, by phase, beside what a matrix product of the same work takes.

What is timed runs in a process of its own, `suite.phases`, so that imports count and the peak of memory is that of the cell.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from .store import ROOT, Cell, Outcome

__all__ = ["cells"]

_MAIN = "import sys; from superlens.cli import main; sys.exit(main())"
_OPTICS = ("--na", "1.1", "--wavelength-nm", "525")
BEFORE = "SUPERLENS_BEFORE"


def cells() -> list[Cell]:
    """All cells, the short ones first."""
    enhanced = {"bundled": "image", "512": "image", "20x256": "stack", "2048": "image", "1000x64": "movie"}
    return [
        Cell("imports", imports, {"repeats": 3}),
        *(
            Cell(f"enhance/{size}", phases, {"what": kind, "size": size}, shipped=True)
            for size, kind in enhanced.items()
        ),
        Cell("training/256", phases, {"what": "training", "size": "256"}, shipped=True),
        Cell("predict/2048", phases, {"what": "predict", "size": "2048"}, shipped=True),
        *(
            Cell(f"engines/{side}", phases, {"what": "engines", "size": side}, shipped=True)
            for side in ("256", "512", "1024")
        ),
        Cell(
            "localize/dense", localize, {"kind": "filaments", "density": 5.5, "frames": 361, "repeats": 1}, shipped=True
        ),
        Cell(
            "localize/sparse", localize, {"kind": "uniform", "density": 0.1, "frames": 1000, "repeats": 1}, shipped=True
        ),
        Cell(
            "localize/long",
            localize,
            {"kind": "uniform", "density": 0.1, "frames": 10_000, "repeats": 1, "beside": False},
            shipped=True,
        ),
        *(
            Cell(
                f"localize/{name}-direct",
                localize,
                {"kind": kind, "density": density, "frames": 361, "repeats": 1, "model": "deepstorm-direct"},
                shipped=True,
            )
            for name, kind, density in (("dense", "filaments", 5.5), ("middle", "filaments", 2.0))
        ),
        Cell("fiji/512", warm, {"side": 512, "repeats": 3}, shipped=True),
        Cell("paired/bundled", paired, {"repeats": 1}, shipped=True),
    ]


def phases(what: str, size: str) -> Outcome:
    """Run the phases of one piece of work in a process of its own."""
    return Outcome(json.loads(_output([sys.executable, "-m", "suite.phases", what, size]).splitlines()[-1]))


def imports(repeats: int) -> Outcome:
    """Median processor seconds of fresh processes that load a part of what a run needs."""
    names = ("superlens", "tensorflow", "keras", "superlens.enhancing", "superlens.runs.records")
    told: dict[str, float | str | None] = {"python": _median(["-c", "pass"], repeats)}
    told |= {name.replace(".", "_"): _median(["-c", f"import superlens, {name}"], repeats) for name in names}
    told["help"] = _median(["-c", _MAIN, "--help"], repeats)
    return Outcome(told)


def paired(repeats: int) -> Outcome:
    """The command on the bundled image, in turns with that of the checkout in SUPERLENS_BEFORE; medians of the runs and of their ratios."""
    before = os.environ.get(BEFORE)
    if before is None:
        raise RuntimeError(f"{BEFORE} is not set; it names the checkout to compare with")
    earlier, now = [], []
    for _ in range(repeats):
        earlier.append(_command(Path(before)))
        now.append(_command(ROOT))
    told: dict[str, float | str | None] = {
        f"before_{n}": statistics.median(run[n] for run in earlier) for n in ("whole", "whole_wall")
    }
    told |= {name: statistics.median(run[name] for run in now) for name in now[0]}
    for name in now[0]:
        whole = "whole_wall" if name.endswith("wall") else "whole"
        told[f"{name}_of_before"] = statistics.median(a[name] / b[whole] for a, b in zip(now, earlier, strict=True))
    return Outcome(told)


def localize(
    kind: str, density: float, frames: int, repeats: int, beside: bool = True, model: str | None = None
) -> Outcome:
    """A movie of molecules; where SUPERLENS_BEFORE names a checkout, in turns with it. Medians of the runs, and of their ratios.

    With a model of its own it is run in turns with the one that is usual.
    """
    before = os.environ.get(BEFORE) if beside else None
    command = [sys.executable, "-m", "suite.localizing", kind, str(density), str(frames)]
    ways = {"": (ROOT, [*command, *filter(None, [model])])}
    if model is not None:
        before = str(ROOT)
    if before is not None:
        ways["before_"] = Path(before), command
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, (checkout, words) in ways.items():
            runs[name].append(json.loads(_output(words, checkout).splitlines()[-1]))
    told: dict[str, float | str | None] = {
        name + key: statistics.median(run[key] for run in some) for name, some in runs.items() for key in some[0]
    }
    if before is not None:
        for key in ("wall", "processor"):
            pairs = zip(runs[""], runs["before_"], strict=True)
            told[f"{key}_of_before"] = statistics.median(now[key] / earlier[key] for now, earlier in pairs)
    return Outcome(told)


def warm(side: int, repeats: int) -> Outcome:
    """Calls of Fiji's in a process that stays; with the load of the machine before them, since their wall seconds are told too."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    command = [sys.executable, "-m", "suite.warm", str(side), str(repeats)]
    return Outcome({"load": load, **json.loads(_output(command).splitlines()[-1])})


def _command(checkout: Path) -> dict[str, float]:
    """Processor seconds of ``superlens enhance`` to its first picture, where it shows one, and to its end; and the wall seconds of both."""
    sample = ROOT / "python" / "superlens" / "samples" / "microtubules_low_light.tif"
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["enhance", str(sample), *_OPTICS, "--out", folder]
        began, spent = time.perf_counter(), _children()
        process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, *arguments],
            env=_environment(checkout),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        first, lines = None, []
        for line in process.stderr or ():
            lines.append(line)
            if first is None and line.startswith("First picture"):
                times = psutil.Process(process.pid).cpu_times()
                first = times.user + times.system, time.perf_counter() - began
        if process.wait():
            raise RuntimeError(f"superlens enhance ended with {process.returncode}: {''.join(lines)[-600:]}")
        whole = _children() - spent, time.perf_counter() - began
    first = first or whole
    return {"first": first[0], "whole": whole[0], "first_wall": first[1], "whole_wall": whole[1]}


def _children() -> float:
    """Processor seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(arguments: list[str], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = _children()
        _output([sys.executable, *arguments])
        seconds.append(_children() - began)
    return statistics.median(seconds)


def _environment(checkout: Path = ROOT) -> dict[str, str]:
    paths = [str(checkout / "python"), str(ROOT / "tests" / "quality"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _output(command: list[str], checkout: Path = ROOT) -> str:
    done: Any = subprocess.run(command, env=_environment(checkout), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ... ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return str(done.stdout)
