"""Measure where the time goes: run the cells that are not finished, print the page, write docs/performance.md.

    python tests/quality/speed.py                     # everything; goes on where it was stopped
    python tests/quality/speed.py --only bundled      # names that hold a word or fit a glob
    python tests/quality/speed.py --published         # go on from docs/performance.json, in a fresh clone
    python tests/quality/speed.py --write-docs        # put what is finished into docs/performance.md

Each cell is a process of its own, which also times a matrix product: read the ratios, since seconds belong to one machine. The cells under
``paired`` compare this checkout with another one, whose folder is in SUPERLENS_BEFORE, run by run in turns.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

from suite.running import suite
from suite.speed import cells
from suite.store import Cell, Store


def draw(everything: list[Cell], store: Store, folder: Path) -> None:
    """Nothing: times are numbers."""


main = suite("speed", "Measure where the time goes.", cells, draw, page="performance")

if __name__ == "__main__":
    main()
