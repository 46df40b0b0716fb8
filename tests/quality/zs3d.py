"""Measure 3D ZS-DeconvNet: run the cells that are not finished, print the table, write JSON, pictures and the page.

    python tests/quality/zs3d.py                 # everything; goes on where it was stopped
    python tests/quality/zs3d.py --only beads    # names that hold a word or fit a glob
    python tests/quality/zs3d.py --published     # go on from docs/benchmarks-volumes.json, in a fresh clone
    python tests/quality/zs3d.py --write-docs    # put what is finished into docs/benchmarks-volumes.md

The results lie in ``out/quality-volumes``.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from suite.running import row_of, suite
from suite.store import Cell, Store
from suite.volumes import cells

_SHOWN = ("sr/network-confocal-10", "sr/network-widefield-10", "sr/filaments-widefield-10")


def draw(everything: list[Cell], store: Store, folder: Path) -> None:
    """Recorded, oracle Richardson-Lucy, ours and reference, in the middle slice and from the side, for some scenes."""
    named = {cell.name: cell for cell in everything}
    for name, cell in named.items():
        images = store.images(cell)
        if not images or not name.startswith(_SHOWN) or not name.endswith("/fast"):
            continue
        scene = name.removesuffix("/fast").replace("/", "-")
        lucy = store.images(named[f"{name.removesuffix('/fast')}/lucy"]) if name.startswith("sr/") else {}
        order = ("input", "lucy", "fast", "reference")
        for view in ("xy", "xz"):
            present = [tile for part in order if (tile := {**lucy, **images}.get(f"{part}-{view}")) is not None]
            if len(present) < len(order):
                continue
            tall = max(tile.shape[0] for tile in present) * (1 if view == "xy" else 4)
            wide = max(tile.shape[1] for tile in present)
            grown = [np.kron(t, np.ones((tall // t.shape[0], wide // t.shape[1]))) for t in present]
            row_of(grown).save(folder / f"{scene}-{view}.png", optimize=True)


main = suite("volumes", "Measure 3D ZS-DeconvNet.", cells, draw)

if __name__ == "__main__":
    main()
