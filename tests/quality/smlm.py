"""Measure single-molecule localization: run the cells that are not finished, print the table, write JSON, pictures and the page.

    python tests/quality/smlm.py                 # everything; goes on where it was stopped
    python tests/quality/smlm.py --only list     # names that hold a word or fit a glob
    python tests/quality/smlm.py --write-docs    # put what is finished into docs/benchmarks-smlm.md
    PICASSO_PYTHON=/path/to/python python tests/quality/smlm.py   # an interpreter with picassosr, for the comparison

The results lie in ``out/quality-smlm``.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import jinja2
import numpy as np
from PIL import Image as Pillow
from suite.molecules import cells
from suite.store import ROOT, Cell, Store, matching, provenance

log = logging.getLogger("quality")

_TEMPLATE = Path(__file__).with_name("benchmarks-smlm.md.jinja")
_PAGE, _NUMBERS = ROOT / "docs" / "benchmarks-smlm.md", ROOT / "docs" / "benchmarks-smlm.json"
_PICTURES = ROOT / "docs" / "pictures" / "benchmarks-smlm"


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--only", multiple=True, metavar="PATTERN", help="Run cells whose name holds or fits this; repeatable.")
@click.option(
    "--out", default=ROOT / "out" / "quality-smlm", type=click.Path(path_type=Path), help="Folder of the results."
)
@click.option("--fresh", is_flag=True, help="Run finished cells again.")
@click.option("--write-docs", is_flag=True, help="Run nothing; write numbers, pictures and page into docs.")
@click.option("--check", is_flag=True, help="Run nothing; end with 1 if the page is not what its numbers give.")
def main(only: tuple[str, ...], out: Path, fresh: bool, write_docs: bool, check: bool) -> None:
    """Run the suite."""
    warnings.simplefilter("ignore")
    if check:
        if _PAGE.read_text() != page(json.loads(_NUMBERS.read_text())):
            raise click.ClickException(f"{_PAGE} is not what {_NUMBERS} gives; run tests/quality/smlm.py --write-docs")
        return
    everything, store = cells(), Store(out)
    if not write_docs:
        for cell in matching(everything, only):
            if store.record(cell) is None or fresh:
                click.echo(f"{cell.name} ", nl=False)
                record = store.run(cell)
                click.echo(f"{record['seconds']:.0f} s: {record['numbers']}")
    told = summary(everything, store)
    click.echo(page(told))
    if write_docs:
        draw(everything, store)
        _NUMBERS.write_text(json.dumps(told, indent=1) + "\n")
        _PAGE.write_text(page(told))


def summary(everything: list[Cell], store: Store) -> dict[str, Any]:
    """Numbers of the finished cells by name, and where they come from."""
    records = {cell.name: store.record(cell) for cell in everything}
    done = {name: record for name, record in records.items() if record is not None}
    return {
        "written": {**provenance(), "git": ", ".join(sorted({r["git"] for r in done.values()}))},
        "cells": {
            name: {"numbers": r["numbers"], "parameters": r["parameters"], "seconds": r["seconds"]}
            for name, r in done.items()
        },
        "missing": sorted(set(records) - set(done)),
    }


def page(told: dict[str, Any]) -> str:
    """The page from the numbers."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["shown"] = _shown
    numbers = {name: cell["numbers"] for name, cell in told["cells"].items()}
    groups = {
        kind: {n: v for n, v in numbers.items() if n.startswith(kind)}
        for kind in ("map/", "list/", "dim/", "training/")
    }
    return environment.from_string(_TEMPLATE.read_text()).render(
        numbers=numbers,
        maps=groups["map/"],
        lists=groups["list/"],
        dims=groups["dim/"],
        trainings=groups["training/"],
        missing=told["missing"],
        written=told["written"],
        mean=lambda rows, key: float(np.mean([row[key] for row in rows.values()])),
    )


def draw(everything: list[Cell], store: Store) -> None:
    """One picture of the first movie of filaments: mean of the frames, summed map, rendered table, truth."""
    images = store.images(next(cell for cell in everything if cell.name.startswith("map/")))
    if not images:
        return
    tiles = []
    for name in ("mean", "density", "rendered", "truth"):
        tile = images[name].astype(float)
        low, high = np.percentile(tile, (1, 99.7))
        tiles.append(np.clip((tile - low) / max(high - low, 1e-9), 0, 1) ** 0.7)
    gap = np.ones((tiles[0].shape[0], 4))
    row = np.hstack([part for tile in tiles for part in (tile, gap)][:-1])
    _PICTURES.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray((255 * row).astype(np.uint8)).save(_PICTURES / "filaments.png", optimize=True)


def _shown(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


if __name__ == "__main__":
    main()
