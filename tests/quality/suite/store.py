"""Cells and the folder that keeps the finished ones.

In: a `Cell`, that is a name, a function and its parameters. Out: one JSON with its numbers and where they come from, and beside it an
NPZ with its images. A cell is known by its name and a key; the key digests function, parameters and, for a cell that starts from them,
the shipped weights. Change one of these and the cell counts as not yet run; the code behind the function is not part of the key.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROOT", "Cell", "Outcome", "Store", "data_folder", "matching", "shipped_digest"]

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]


def data_folder() -> Path | None:
    """The recorded images, if there are any."""
    folder = Path(os.environ.get("SUPERLENS_DATA", ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


_IMAGES = "zsdeconv-light"
_PACKAGES = ("superlens", "numpy", "scipy", "tensorflow", "keras", "scikit-image")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a cell found: numbers (None where there is none) and images to show."""

    numbers: dict[str, float | str | None]
    images: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cell:
    """A named measurement.

    Attributes
    ----------
    name : str
        Path-like: group, scene, method.
    run : callable
        Takes the parameters by name.
    parameters : mapping
        JSON values only.
    shipped : bool or str
        Whether the result depends on shipped weights; the name of the model, or True for those of images.
    """

    name: str
    run: Callable[..., Outcome]
    parameters: Mapping[str, Any]
    shipped: bool | str = False

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that change when the result could."""
        parts: list[Any] = [self.name, self.run.__name__, dict(self.parameters)]
        if self.shipped:
            parts.append(shipped_digest(self.shipped if isinstance(self.shipped, str) else _IMAGES))
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


@functools.cache
def shipped_digest(name: str = "zsdeconv-light") -> str:
    """Of the weights that `fast` starts from."""
    weights = ROOT / "models" / name / "model.zip"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16] if weights.is_file() else "none"


def matching(cells: Iterable[Cell], patterns: Iterable[str]) -> list[Cell]:
    """Cells whose name fits one of the patterns, as a glob or as a part of it; all without a pattern."""
    wanted = list(patterns)
    if not wanted:
        return list(cells)
    return [c for c in cells if any(fnmatch.fnmatch(c.name, p) or p in c.name for p in wanted)]


class Store:
    """A folder of finished cells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "cells"

    def numbers(self, cell: Cell) -> dict[str, Any] | None:
        """Numbers of a finished cell, else None."""
        record = self.record(cell)
        return None if record is None else dict(record["numbers"])

    def record(self, cell: Cell) -> dict[str, Any] | None:
        """Everything that is kept of a finished cell but its images, else None."""
        path = self._path(cell, "json")
        return json.loads(path.read_text()) if path.is_file() else None

    def images(self, cell: Cell) -> dict[str, NDArray[Any]]:
        """Images of a finished cell, float32; empty if it is not finished or has none."""
        path = self._path(cell, "npz")
        if not path.is_file():
            return {}
        with np.load(path) as file:
            return {name: file[name].astype(np.float32) for name in file.files}

    def run(self, cell: Cell) -> dict[str, Any]:
        """Run a cell and keep what it found. The JSON comes last: where it is, the images are too."""
        began = time.perf_counter()
        outcome = cell.run(**cell.parameters)
        seconds = time.perf_counter() - began
        self._folder.mkdir(parents=True, exist_ok=True)
        if outcome.images:
            halves: dict[str, Any] = {name: np.asarray(image, np.float16) for name, image in outcome.images.items()}
            beside = self._path(cell, "part.npz")
            np.savez_compressed(beside, **halves)
            os.replace(beside, self._path(cell, "npz"))
        record = {
            "name": cell.name,
            "key": cell.key,
            "parameters": dict(cell.parameters),
            "numbers": {k: _plain(v) for k, v in outcome.numbers.items()},
            "seconds": round(seconds, 2),
            **provenance(),
        }
        beside = self._path(cell, "json.part")
        beside.write_text(json.dumps(record, indent=1) + "\n")
        os.replace(beside, self._path(cell, "json"))
        return record

    def take_over(self, cells: Iterable[Cell], published: Mapping[str, Mapping[str, Any]]) -> int:
        """Count cells as finished whose numbers were published under the key that they have now; they come without images.

        Numbers that were published without a key count when their parameters are those of the cell.
        """
        taken = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        for cell in cells:
            told = published.get(cell.name)
            if told is not None and _fits(told, cell) and self.record(cell) is None:
                self._path(cell, "json").write_text(
                    json.dumps({"name": cell.name, "key": cell.key, **told}, indent=1) + "\n"
                )
                taken += 1
        return taken

    def _path(self, cell: Cell, suffix: str) -> Path:
        return self._folder / f"{cell.name.replace('/', '__')}.{cell.key}.{suffix}"


def _fits(told: Mapping[str, Any], cell: Cell) -> bool:
    if "key" in told:
        return bool(told["key"] == cell.key)
    return bool(told.get("parameters") == json.loads(json.dumps(dict(cell.parameters))))


def provenance() -> dict[str, Any]:
    """What ran, where and when."""
    return {
        "command": re.sub(r" --out[ =]\S+", "", " ".join(["python", *sys.argv])),  # where, concerns one machine alone
        "git": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else ""),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "shipped_weights": shipped_digest(),
        "versions": {"python": platform.python_version(), **_versions()},
    }


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    return float(f"{float(value):.6g}") if np.isfinite(value) else None
