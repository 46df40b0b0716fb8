"""Write docs/benchmarks.md from the numbers, so that the page cannot say anything else.

python tests/quality/write_docs.py                  # take out/quality: numbers to docs/benchmarks.json, pictures, page
python tests/quality/write_docs.py --check          # is the page what docs/benchmarks.json gives? ends with 1 if not
"""

from __future__ import annotations

import math
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import jinja2
from suite.scenes import BACKGROUND, CAMERA, CAMERA_NM, FINE_NM, NINE, UNLIKE, optics
from suite.store import ROOT
from suite.summary import Summary, load
from suite.table import as_markdown, tables
from suite.wrapping import wrapped

_DOCS = ROOT / "docs"
_TEMPLATE = Path(__file__).with_name("benchmarks.md.jinja")


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option(
    "--results", default=ROOT / "out" / "quality", type=click.Path(path_type=Path), help="Folder of the suite."
)
@click.option("--check", is_flag=True, help="Write nothing; compare the page with docs/benchmarks.json.")
def main(results: Path, check: bool) -> None:
    """Write or check the page."""
    page, numbers, pictures = _DOCS / "benchmarks.md", _DOCS / "benchmarks.json", _DOCS / "pictures" / "benchmarks"
    if check:
        expected = render(load(numbers), sorted(p.stem for p in pictures.glob("*.png")))
        if page.read_text() != expected:
            raise click.ClickException(f"{page} is not what {numbers} gives; run tests/quality/write_docs.py")
        return
    summary = load(results / "summary.json")
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in sorted((results / "pictures").glob("*.png")):
        shutil.copyfile(picture, pictures / picture.name)
    shutil.copyfile(results / "summary.json", numbers)
    page.write_text(render(summary, sorted(p.stem for p in pictures.glob("*.png"))))
    click.echo(f"{page}: {len(summary['cells'])} cells, {len(summary['missing'])} missing")


def render(summary: Summary, pictures: list[str]) -> str:
    """The page from a summary and the names of the pictures that there are."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    template = environment.from_string(_TEMPLATE.read_text())
    made = {name: as_markdown(table) for name, table in tables(summary).items()}
    page = template.render(**made, **_facts(summary), pictures=pictures, scene_pictures=_scene_pictures(pictures))
    return wrapped(page)


def _scene_pictures(pictures: list[str]) -> list[str]:
    return [name for name in (*NINE, *(f"unlike-{kind}" for kind in UNLIKE)) if name in pictures]


def _facts(summary: Summary) -> dict[str, Any]:
    written, cells = summary["written"], summary["cells"]
    sides = {
        c["parameters"]["scene"]["side"]
        for c in cells.values()
        if "scene" in c["parameters"] and "method" in c["parameters"]
    }
    minutes = {c["parameters"]["minutes"] for name, c in cells.items() if name.startswith("budget/")}
    apart = [c["numbers"].get("stated_to_truth_db", math.nan) for n, c in cells.items() if fnmatch(n, "nine/*/fast")]
    commits = [c["git"] for c in sorted(cells.values(), key=lambda c: str(c["date"]))] or [written["git"]]
    return {
        "git": " to ".join(dict.fromkeys([commits[0], commits[-1]])),
        "weights": written["shipped_weights"],
        "machine": written["machine"],
        "missing": len(summary["missing"]),
        "total": len(summary["missing"]) + len(cells),
        "fine_nm": FINE_NM,
        "camera_nm": CAMERA_NM,
        "side": max(sides, default=256),
        "offset": f"{CAMERA.offset:g}",
        "read_noise": CAMERA.read_noise_e,
        "background": f"{BACKGROUND:g}",
        "minutes": f"{max(minutes, default=10):g}",
        "core_db": f"{min(apart):.0f} to {max(apart):.0f} dB",
        **{name: optics(name).words for name in ("oil", "deep", "confocal")},
    }


if __name__ == "__main__":
    main()
