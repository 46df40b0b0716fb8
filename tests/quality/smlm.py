"""Measure single-molecule localization: run the cells that are not finished, print the table, write JSON, pictures and the page.

    python tests/quality/smlm.py                 # everything; goes on where it was stopped
    python tests/quality/smlm.py --only list     # names that hold a word or fit a glob
    python tests/quality/smlm.py --write-docs    # put what is finished into docs/benchmarks-smlm.md
    PICASSO_PYTHON=/path/to/python python tests/quality/smlm.py   # an interpreter with picassosr, for the comparison

The results lie in ``out/quality-smlm``.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from suite.molecules import cells
from suite.running import row_of, suite
from suite.store import Cell, Store

_SHOWN = ("mean", "density", "rendered", "truth")


def draw(everything: list[Cell], store: Store, folder: Path) -> None:
    """Mean of the frames, summed map, rendered table and truth of the first movie of filaments."""
    images = store.images(next(cell for cell in everything if cell.name.startswith("map/")))
    if images:
        row_of([images[name] for name in _SHOWN]).save(folder / "filaments.png", optimize=True)


main = suite("smlm", "Measure single-molecule localization.", cells, draw)

if __name__ == "__main__":
    main()
