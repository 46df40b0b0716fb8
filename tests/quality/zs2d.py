"""Measure 2D super-resolution: run the cells that are not finished, print the table, write JSON and pictures.

    python tests/quality/zs2d.py                          # everything; hours; goes on where it was stopped
    python tests/quality/zs2d.py --only nine --only flat  # names that hold a word or fit a glob
    python tests/quality/zs2d.py --list                   # what there is and what is finished
    python tests/quality/zs2d.py --table                  # only print and draw what is finished
    python tests/quality/zs2d.py --published              # go on from docs/benchmarks.json, in a fresh clone
    python tests/quality/zs2d.py --side 64 --minutes 0.5 --out out/quick   # a rehearsal

The results lie in ``out/quality``; ``write_docs.py`` turns them into docs/benchmarks.md.
"""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
from suite.catalogue import cells
from suite.pictures import draw
from suite.store import ROOT, Cell, Store, matching
from suite.summary import gather, load
from suite.table import render

log = logging.getLogger("quality")


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--only", multiple=True, metavar="PATTERN", help="Run cells whose name holds or fits this; repeatable.")
@click.option("--out", default=ROOT / "out" / "quality", type=click.Path(path_type=Path), help="Folder of the results.")
@click.option("--side", default=256, show_default=True, help="Camera pixels of the scenes; smaller for a rehearsal.")
@click.option("--minutes", default=10.0, show_default=True, help="What the original recipe gets per structure.")
@click.option("--list", "listing", is_flag=True, help="List the cells and end.")
@click.option("--table", "only_table", is_flag=True, help="Run nothing; print and draw what is finished.")
@click.option("--fresh", is_flag=True, help="Run finished cells again.")
@click.option("--published", is_flag=True, help="Take cells for finished that docs/benchmarks.json has numbers of.")
def main(
    only: tuple[str, ...],
    out: Path,
    side: int,
    minutes: float,
    listing: bool,
    only_table: bool,
    fresh: bool,
    published: bool,
) -> None:
    """Run the suite."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    warnings.simplefilter("ignore")
    everything = cells(side=side, minutes=minutes)
    chosen, store = matching(everything, only), Store(out)
    if published:
        store.take_over(everything, load(ROOT / "docs" / "benchmarks.json")["cells"])
    if listing:
        for cell in chosen:
            click.echo(f"{'done' if store.record(cell) else '    '}  {cell.name}  {cell.key}")
        return
    failed = [] if only_table else _run(chosen, store, fresh)
    summary = gather(everything, store, out)
    draw(store, everything, side, out / "pictures")
    click.echo(render(summary))
    click.echo(f"\nnumbers: {out / 'summary.json'}   pictures: {out / 'pictures'}")
    if failed:
        raise click.ClickException(f"{len(failed)} cells failed: {', '.join(failed)}")


def _run(chosen: list[Cell], store: Store, fresh: bool) -> list[str]:
    """Run what is not finished; a cell that fails is told and does not keep the others from running."""
    failed = []
    for i, cell in enumerate(chosen, start=1):
        if store.record(cell) is not None and not fresh:
            continue
        click.echo(f"[{i}/{len(chosen)}] {cell.name} ", nl=False)
        try:
            record = store.run(cell)
        except Exception:
            log.exception("%s failed", cell.name)
            failed.append(cell.name)
            continue
        shown = ", ".join(f"{k} {_short(v)}" for k, v in list(record["numbers"].items())[:5])
        click.echo(f"{record['seconds']:.0f} s: {shown}")
    return failed


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
