"""Measure verdicts: run the cases that are not finished, print the table, write JSON and the page.

    python tests/quality/verdicts.py                  # everything; goes on where it was stopped
    python tests/quality/verdicts.py --only rules     # names that hold a word or fit a glob
    python tests/quality/verdicts.py --published      # go on from docs/benchmarks-verdicts.json, in a fresh clone
    python tests/quality/verdicts.py --write-docs     # put what is finished into docs/benchmarks-verdicts.md

The results lie in ``out/quality-verdicts``. Recorded images are read from the folder in SUPERLENS_DATA, or from ``shared/data`` beside the
checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from suite.running import suite
from suite.store import Cell, Store
from suite.verdicts import cells


def draw(everything: list[Cell], store: Store, folder: Path) -> None:
    """Nothing: verdicts are words."""


main = suite("verdicts", "Measure verdicts.", cells, draw)

if __name__ == "__main__":
    main()
