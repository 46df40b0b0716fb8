"""Measure recorded pairs: run the cells that are not finished, print the table, write JSON, pictures and the page.

    python tests/quality/recorded.py                  # everything; goes on where it was stopped
    python tests/quality/recorded.py --only dl-sim    # names that hold a word or fit a glob
    python tests/quality/recorded.py --published      # go on from docs/benchmarks-recorded.json, in a fresh clone
    python tests/quality/recorded.py --write-docs     # put what is finished into docs/benchmarks-recorded.md

The results lie in ``out/quality-recorded``. Recorded images are read from the folder in SUPERLENS_DATA, or from ``shared/data`` beside the
checkout; pictures are written of those alone whose licence allows it.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from suite import hazes, recorded, told_wrong, widths
from suite.running import row_of, suite
from suite.store import Cell, Store

_SHOWN = ("dl-sim-HE", "dl-sim-LE")
_ORDER = ("raw", "rl", "rl-haze", "start", "start-separate")


def draw(everything: list[Cell], store: Store, folder: Path) -> None:
    """Recorded, Richardson-Lucy without and with haze, ours, and the reference."""
    named = {cell.name: cell for cell in everything}
    for name in _SHOWN:
        made = [store.images(named[f"sr/{name}/{method}"]) for method in _ORDER if f"sr/{name}/{method}" in named]
        if len(made) == len(_ORDER) and all(made):
            tiles = [one["image"] for one in made] + [made[0]["reference"]]
            row_of(tiles).save(folder / f"{name}.png", optimize=True)


def cells() -> list[Cell]:
    return [*recorded.cells(), *told_wrong.cells(), *hazes.cells(), *widths.cells()]


main = suite("recorded", "Measure recorded pairs.", cells, draw)

if __name__ == "__main__":
    main()
