"""The command of a suite: run the cells that are not finished, print the page, write or check what stands in docs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from .store import ROOT, Cell, Store, matching, provenance
from .wrapping import wrapped

__all__ = ["row_of", "suite"]


def suite(
    name: str,
    about: str,
    cells: Callable[[], list[Cell]],
    draw: Callable[[list[Cell], Store, Path], None],
    *,
    page: str | None = None,
) -> click.Command:
    """Make the command of a suite.

    Parameters
    ----------
    name : str
        Of the folder of results, and of the page.
    about : str
        One sentence for ``--help``.
    cells : callable
        All cells.
    draw : callable
        Puts pictures of finished cells into a folder.
    page : str, optional
        Stem of the page in ``docs``, its numbers, its pictures and its template, by default ``benchmarks-NAME``.
    """
    stem = page or f"benchmarks-{name}"
    target = ROOT / "docs" / f"{stem}.md"
    numbers, pictures = target.with_suffix(".json"), ROOT / "docs" / "pictures" / stem
    template = Path(__file__).parents[1] / f"{stem}.md.jinja"

    @click.command(help=about)
    @click.option(
        "--only", multiple=True, metavar="PATTERN", help="Run cells whose name holds or fits this; repeatable."
    )
    @click.option(
        "--out",
        default=ROOT / "out" / f"quality-{name}",
        type=click.Path(path_type=Path),
        help="Folder of the results.",
    )
    @click.option("--fresh", is_flag=True, help="Run finished cells again.")
    @click.option("--write-docs", is_flag=True, help="Run nothing; write numbers, pictures and page into docs.")
    @click.option("--published", is_flag=True, help=f"Take cells for finished that {numbers.name} has numbers of.")
    @click.option("--check", is_flag=True, help="Run nothing; end with 1 if the page is not what its numbers give.")
    def command(only: tuple[str, ...], out: Path, fresh: bool, write_docs: bool, published: bool, check: bool) -> None:
        warnings.simplefilter("ignore")
        if check:
            if target.read_text() != written(template, json.loads(numbers.read_text())):
                raise click.ClickException(f"{target} is not what {numbers} gives; run the suite with --write-docs")
            return
        everything, store = cells(), Store(out)
        if published:
            store.take_over(everything, _published(numbers))
        if not write_docs:
            for cell in matching(everything, only):
                if store.record(cell) is None or fresh:
                    click.echo(f"{cell.name} ", nl=False)
                    record = store.run(cell)
                    click.echo(f"{record['seconds']:.0f} s: {record['numbers']}")
        told = summary(everything, store)
        click.echo(written(template, told))
        if write_docs:
            pictures.mkdir(parents=True, exist_ok=True)
            draw(everything, store, pictures)
            numbers.write_text(json.dumps(told, indent=1) + "\n")
            target.write_text(written(template, told))

    return command


def summary(everything: list[Cell], store: Store) -> dict[str, Any]:
    """Numbers of the finished cells by name, and where they come from."""
    records = {cell.name: store.record(cell) for cell in everything}
    done = {name: record for name, record in records.items() if record is not None}
    return {
        "written": {**provenance(), "git": _commits(list(done.values()))},
        "cells": {name: {k: r[k] for k in _TOLD if k in r} for name, r in done.items()},
        "missing": sorted(set(records) - set(done)),
    }


def _published(numbers: Path) -> dict[str, Any]:
    """Cells that stand in docs, each with where it comes from; older pages tell that of all cells together."""
    told = json.loads(numbers.read_text())
    together = {key: told["written"][key] for key in ("git", "date")}
    return {name: {**together, **cell} for name, cell in told["cells"].items()}


_TOLD = ("key", "numbers", "seconds", "git", "date", "machine", "load", "parameters")


def _commits(records: list[dict[str, Any]]) -> str:
    """Those of the first and the last cell."""
    ordered = [commit for r in sorted(records, key=lambda r: str(r["date"])) for commit in r["git"].split(" to ")]
    return " to ".join(dict.fromkeys([ordered[0], ordered[-1]])) if ordered else "nothing"


def written(template: Path, told: dict[str, Any]) -> str:
    """The page from the numbers: in the template ``numbers`` holds those of each cell, ``under(prefix)`` those of a group."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["shown"] = lambda value, form: "-" if value is None else format(value, form)
    numbers = {name: cell["numbers"] for name, cell in told["cells"].items()}
    page = environment.from_string(template.read_text()).render(
        numbers=numbers,
        under=lambda prefix: {n: v for n, v in numbers.items() if n.startswith(prefix)},
        missing=told["missing"],
        written=told["written"],
        mean=lambda values: float(np.mean(list(values))),
    )
    return wrapped(page)


def row_of(tiles: list[NDArray[Any]], *, gamma: float = 0.7) -> Pillow.Image:
    """Pictures of one height side by side, each from its own 1st to its own 99.7th percentile."""
    shown = []
    for tile in tiles:
        low, high = np.percentile(tile, (1, 99.7))
        shown.append(np.clip((tile - low) / max(float(high - low), 1e-9), 0, 1) ** gamma)
    gap = np.ones((shown[0].shape[0], 4))
    return Pillow.fromarray((255 * np.hstack([p for tile in shown for p in (tile, gap)][:-1])).astype(np.uint8))
