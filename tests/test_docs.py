"""The pages keep their word: Python blocks run, command lines parse, links lead somewhere."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from superlens.cli import main
from superlens.io import write
from superlens.methods.zsdeconv import settings
from superlens.samples import sample

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
CODE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(page: Path, language: str) -> list[str]:
    """The code of a page in one language."""
    return [code for kind, code in CODE.findall(page.read_text(encoding="utf-8")) if kind == language]


def name(page: Path) -> str:
    """Path of a page in the repository."""
    return str(page.relative_to(ROOT))


def command_lines() -> list[str]:
    """Every use of the program that a page shows."""
    lines = [line for page in PAGES for code in blocks(page, "sh") for line in code.splitlines()]
    return sorted({line.partition(" #")[0].strip() for line in lines if line.startswith("superlens ")})


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_the_python_code_of_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slim: None
) -> None:
    """With few steps of training: whether the code runs is asked here, and nothing about the pictures."""
    monkeypatch.setitem(settings._PRESETS, "fast", {"steps": 2, "flips": 1, "batch": 1})
    monkeypatch.chdir(tmp_path)
    write("cell.tif", sample().crop(y=slice(0, 96), x=slice(0, 96)))
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, name(page), "exec"), {"__name__": "page"})


NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("page", NOTEBOOKS, ids=name)
def test_a_notebook_runs_and_writes_nothing_to_standard_error(page: Path) -> None:
    run: Any = runpy.run_path(str(ROOT / "docs" / "site" / "notebook.py"))["run"]
    shown = [cell for cell in run(page).cells if cell.get("outputs")]
    assert any("image/png" in output.get("data", {}) for cell in shown for output in cell.outputs)


@pytest.mark.parametrize("page", NOTEBOOKS, ids=name)
def test_a_notebook_is_stored_with_what_its_cells_showed(page: Path) -> None:
    cells = [c for c in json.loads(page.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert page.stat().st_size < 600_000


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_of_a_page_parses(line: str) -> None:
    _, command, *arguments = shlex.split(line)
    found = main.get_command(click.Context(main), command)
    assert found is not None, f"there is no command {command}"
    found.make_context(command, arguments)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{name(page)} links to {target}"


def test_the_readme_shows_runnable_code_before_line_20() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert next(number for number, line in enumerate(lines, 1) if line.startswith("```")) < 20


def test_the_citation_file_names_the_papers_behind_the_methods() -> None:
    import yaml

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    years = {reference["year"] for reference in cited["references"]}
    assert {1972, 1974, 1992, 2018, 2021, 2022, 2024} <= years
    assert all({"title", "authors", "type"} <= reference.keys() for reference in cited["references"])


@pytest.mark.parametrize("name", ["recorded.py", "smlm.py", "speed.py", "verdicts.py", "write_docs.py", "zs3d.py"])
def test_the_benchmark_page_is_what_its_numbers_give(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ROOT / "tests" / "quality" / name
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script), "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code


def test_fifty_thousand_steps_take_as_often_as_long_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "quality"))
    from suite.clock import PAPER_STEPS, paper_minutes

    assert settings.ZSDeconvConfig.of("paper").steps == PAPER_STEPS
    assert paper_minutes(0.06) == pytest.approx(50.0)
    assert paper_minutes(2.0, steps=30) == pytest.approx(1.0)


def test_the_timing_of_a_card_says_what_it_takes() -> None:
    script = ROOT / "tests" / "quality" / "card.py"
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)
    assert "--backend" in done.stdout
