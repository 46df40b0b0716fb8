"""A run replaces what an earlier run of the same inputs made, and nothing else; two at once wait for each other; names are tried first."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from superlens import methods
from superlens.image import Image
from superlens.io import read, write
from superlens.model import load_model

Shell = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("added")


@pytest.fixture
def cells(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(7)
    folder = tmp_path / "cells"
    folder.mkdir()
    return [
        write(
            folder / f"{name}.tif",
            Image((100 + rng.poisson(np.full((24, 24), np.linspace(0, 90, 24)))).astype(np.uint16), pixel_nm=65.0),
        )
        for name in ("a", "b", "c")
    ]


@pytest.fixture
def enhance(superlens: Shell, tmp_path: Path) -> Callable[..., Result]:
    def run(*paths: Path, out: Path = tmp_path / "out", **said: object) -> Result:
        more = [part for key, value in said.items() for part in (f"--{key.replace('_', '-')}", value)]
        told = ("--method", "toy", "--na", 1.3, "--wavelength-nm", 525)
        return superlens("enhance", *paths, *told, *more, "--out", out)

    return run


def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*run.json")}


def owners(folder: Path) -> dict[str, str]:
    """Every visible file of a folder to the input it is a result of, by the records."""
    found = {}
    for name, told in records(folder).items():
        for one in told["results"]:
            for file in one["files"].values():
                assert file not in found
                found[file] = Path(one["input"]).stem
        for shared in filter(None, (name, told["model"], told["index"])):
            found[shared] = " ".join(Path(one["input"]).stem for one in told["results"])
    return found


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_runs_of_other_inputs_stay_beside_each_other(enhance: Shell, cells: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for cell in cells:
        assert enhance(cell).exit_code == 0
    told = owners(out)
    assert set(told) == visible(out)
    assert {told[f"{name}_smooth.tif"] for name in "abc"} == set("abc")
    assert sorted(one["results"][0]["input"] for one in records(out).values()) == sorted(map(str, cells))
    models = [load_model(out / name) for name in ("model.zip", "b_model.zip", "c_model.zip")]
    assert len(models) == 3
    for name, letter in (("report.html", "a"), ("b_report.html", "b"), ("c_report.html", "c")):
        assert told[name] == letter


def test_the_same_inputs_again_replace_their_own_results(enhance: Shell, cells: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    for cell in cells[:2]:
        assert enhance(cell).exit_code == 0
    before, kept = visible(out), read(out / "a_smooth.tif").data
    assert enhance(cells[1], width=7).exit_code == 0
    assert visible(out) == before
    np.testing.assert_array_equal(read(out / "a_smooth.tif").data, kept)
    assert load_model(out / "b_model.zip").config.state == {"width": 7}
    assert enhance(cells[0], width=5).exit_code == 0
    assert visible(out) == before and set(owners(out)) == before


def test_one_of_several_is_done_again_and_the_others_keep_their_record(
    enhance: Shell, cells: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert enhance(*cells).exit_code == 0
    whole = visible(out)
    assert enhance(cells[1], width=5).exit_code == 0
    told = owners(out)
    assert set(told) == visible(out) >= whole
    assert told["run.json"] == "a c" and told["b_run.json"] == told["b_smooth.tif"] == "b"
    assert enhance(*cells).exit_code == 0
    assert set(owners(out)) == visible(out) and "b_run.json" not in visible(out)


def test_results_of_another_file_of_that_name_are_refused_before_the_work(
    enhance: Shell, cells: list[Path], tmp_path: Path
) -> None:
    twin = tmp_path / "other" / "a.tif"
    twin.parent.mkdir()
    twin.write_bytes(cells[0].read_bytes())
    assert enhance(cells[0]).exit_code == 0
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    refused = enhance(twin)
    assert refused.exit_code == 2 and str(cells[0]) in refused.stderr and "--out" in refused.stderr
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before


def test_a_file_that_no_run_made_is_never_replaced(enhance: Shell, cells: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_smooth.tif").write_text("mine")
    refused = enhance(cells[0])
    assert refused.exit_code == 2 and "a_smooth.tif" in refused.stderr
    assert (out / "a_smooth.tif").read_text() == "mine"


def test_predictions_keep_the_model_that_made_them(
    enhance: Shell, superlens: Shell, cells: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert enhance(cells[0]).exit_code == 0
    for cell in cells:
        assert superlens("predict", cell, "--model", out / "model.zip", "--out", out).exit_code == 0
    assert (out / "model.zip").is_file()
    assert {f"{name}_smooth.tif" for name in "abc"} <= visible(out)
    assert len(records(out)) == 3


def test_a_broken_record_hides_nothing(enhance: Shell, cells: list[Path], tmp_path: Path) -> None:
    assert enhance(cells[0]).exit_code == 0
    (tmp_path / "out" / "run.json").write_text("{")
    assert enhance(cells[1]).exit_code == 0
    assert {"a_smooth.tif", "report.html", "model.zip", "b_smooth.tif", "b_report.html"} <= visible(tmp_path / "out")
    assert (tmp_path / "out" / "run.json").read_text() == "{"


def test_two_at_once_wait_for_each_other(cells: list[Path], tmp_path: Path) -> None:
    from superlens.runs.folders import OutputFolder
    from superlens.runs.result_names import reserved_names
    from superlens.runs.verb import Source

    heard, inside = threading.Event(), []

    class Told:
        def note(self, message: str) -> None:
            assert "waits" in message
            heard.set()

        def check(self) -> None:
            pass

    def second() -> None:
        with reserved_names(folder, method, [Source(read(cells[1]), cells[1])], ["smooth"], 1, Told()):  # type: ignore[arg-type]
            inside.append("second")

    method, folder = methods.method("toy"), OutputFolder(tmp_path / "out")
    with reserved_names(folder, method, [Source(read(cells[0]), cells[0])], ["smooth"], 1, Told()):  # type: ignore[arg-type]
        thread = threading.Thread(target=second)
        thread.start()
        assert heard.wait(20)
        inside.append("first")
    thread.join(20)
    assert inside == ["first", "second"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [b"zelle_\xe9\xdf.tif", "große Zelle 細胞 #1 %20.tif".encode()])
def test_any_name_that_the_disk_takes_goes_through(
    enhance: Shell, cells: list[Path], tmp_path: Path, name: bytes
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    try:
        path.write_bytes(cells[0].read_bytes())
    except OSError as error:
        pytest.skip(f"this disk takes no such name: {error}")
    done = enhance(path)
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    (told,) = records(out).values()
    smooth = next(file for file in out.iterdir() if file.name.endswith("_smooth.tif"))
    assert read(smooth).pixel_nm == 65.0
    assert "zelle" in told["results"][0]["input"].lower()
    assert "zelle" in (out / "report.html").read_text(encoding="utf-8").lower()


def test_a_name_that_is_too_long_for_its_results_is_refused_before_the_work(
    enhance: Shell, cells: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / ("x" * 248 + ".tif")
    path.write_bytes(cells[0].read_bytes())
    refused = enhance(path)
    assert refused.exit_code == 2 and "rename" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["locs.hdf5", "table.csv", "cell_sr.tif"])
def test_a_folder_that_is_called_like_a_file_is_refused_before_the_work(
    superlens: Shell, cells: list[Path], tmp_path: Path, name: str
) -> None:
    refused = superlens(
        "enhance", cells[0], "--method", "toy", "--na", 1.3, "--wavelength-nm", 525, "--out", tmp_path / name
    )
    assert refused.exit_code == 2 and name in refused.stderr and "folder" in refused.stderr
    assert not (tmp_path / name).exists()
