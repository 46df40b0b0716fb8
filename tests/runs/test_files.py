"""What a run reads is told before it, an image that cannot be worked on stops no folder, and the files of a folder may be one image."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from html_page import Page
from superlens.cli.session import ShellSession
from superlens.evidence.plain import PlainEvidence
from superlens.image import Image
from superlens.io import read, write
from superlens.progress import silent
from superlens.report import Verdict
from superlens.runs import images
from superlens.runs.verb import Request
from superlens.runs.verbs import VERBS

Shell = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("added")
TOY = ("--method", "toy", "--na", 1.3, "--wavelength-nm", 525)


def cell(seed: int, shape: tuple[int, ...] = (24, 24), axes: str = "YX", **about: object) -> Image:
    light = np.linspace(0, 90, shape[-1]) * np.ones(shape)
    counts = (100 + np.random.default_rng(seed).poisson(light)).astype(np.uint16)
    return Image(counts, axes, **{"pixel_nm": 65.0, **about})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, a blank one, and one that was cut short."""
    made = tmp_path / "cells"
    made.mkdir()
    for seed, name in enumerate("ab"):
        write(made / f"{name}.tif", cell(seed))
    write(made / "blank.tif", Image(np.full((24, 24), 100, np.uint16), pixel_nm=65.0))
    (made / "cut.tif").write_bytes((made / "a.tif").read_bytes()[:700])
    return made


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    made = tmp_path / "frames"
    made.mkdir()
    for t in range(4):
        write(made / f"f_{t:03d}.tif", cell(t))
    return made


def test_a_folder_goes_on_and_lists_what_it_left_out(superlens: Shell, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = superlens("enhance", folder, *TOY, "--out", out)
    assert done.exit_code == 0, done.output
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert [Path(one["input"]).name for one in told["results"]] == ["a.tif", "b.tif"]
    assert {Path(path).name for path in told["left_out"]} == {"blank.tif", "cut.tif"}
    for name, why in (("blank.tif", "constant"), ("cut.tif", "cut short")):
        assert any(name in line and why in line for line in done.stderr.splitlines())
    again = superlens("predict", folder, "--model", out / "model.zip", "--out", tmp_path / "more")
    assert again.exit_code == 0 and (tmp_path / "more" / "b_smooth.tif").is_file()


def test_a_folder_is_predicted_as_its_images_one_by_one_and_no_pixels_are_kept(
    superlens: Shell, folder: Path, tmp_path: Path
) -> None:
    for seed in range(2, 5):
        write(folder / f"c{seed}.tif", cell(seed))
    model = tmp_path / "m.zip"
    assert superlens("train", folder / "a.tif", *TOY, "--model", model).exit_code == 0
    asked = {"inputs": (str(folder),), "model": str(model), "out": str(tmp_path / "out")}
    came = images.predict(Request(VERBS["predict"], asked, ShellSession(silent)))
    assert [made.image.name for made in came.made] == ["a", "b", "c2", "c3", "c4"] == list(came.verdicts)
    assert not any(any(made.image.data.strides) for made in came.made)  # an outline: one value, repeated
    for name in came.verdicts:
        alone = tmp_path / name
        assert superlens("predict", folder / f"{name}.tif", "--model", model, "--out", alone).exit_code == 0
        one, other = (read(place / f"{name}_smooth.tif").data for place in (alone, tmp_path / "out"))
        np.testing.assert_array_equal(one, other)


def test_what_was_made_before_a_file_went_away_stays(
    superlens: Shell, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = tmp_path / "m.zip", tmp_path / "out"
    assert superlens("train", folder / "a.tif", *TOY, "--model", model).exit_code == 0
    make_room = images.room_for_results

    def late(*given: Any) -> Any:
        (folder / "b.tif").unlink()  # after all were read, before its turn
        return make_room(*given)

    monkeypatch.setattr(images, "room_for_results", late)
    done = superlens("predict", folder / "a.tif", folder / "b.tif", "--model", model, "--out", out)
    assert done.exit_code == 2 and "b.tif" in done.stderr
    (told,) = json.loads((out / "run.json").read_text(encoding="utf-8"))["results"]
    assert (out / told["files"]["smooth"]).is_file()


def test_a_file_that_is_named_is_refused_before_the_work(superlens: Shell, folder: Path, tmp_path: Path) -> None:
    done = superlens("enhance", folder / "a.tif", folder / "cut.tif", *TOY, "--out", tmp_path / "out")
    assert done.exit_code == 2 and "cut.tif" in done.stderr and not (tmp_path / "out").exists()


def test_a_folder_of_which_nothing_is_left_is_refused(superlens: Shell, folder: Path, tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        (folder / name).unlink()
    done = superlens("enhance", folder, *TOY, "--out", tmp_path / "out")
    assert done.exit_code == 2 and "none of the 2 images" in done.stderr


@pytest.mark.parametrize("axis", ["T", "Z"])
def test_the_files_of_a_folder_are_one_image_when_asked(
    superlens: Shell, frames: Path, tmp_path: Path, axis: str
) -> None:
    out = tmp_path / "out"
    done = superlens("enhance", frames, *TOY, "--sequence", axis, "--out", out)
    assert done.exit_code == 0, done.output
    made = read(out / "frames_smooth.tif")
    assert made.axes == f"{axis}YX" and made.data.shape == (4, 24, 24)
    (told,) = json.loads((out / "run.json").read_text(encoding="utf-8"))["results"]
    assert told["shape"] == [4, 24, 24]


def test_a_folder_in_a_folder_is_named_and_not_read(superlens: Shell, tmp_path: Path) -> None:
    for name in ("cells/a.tif", "cells/old/b.tif", "cells/out/a_sr.tif", "cells/.cache/c.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, cell(0))
    (tmp_path / "cells" / "notes").mkdir()
    out = tmp_path / "out"
    before = superlens("enhance", tmp_path / "cells", *TOY, "--out", out, "--dry-run")
    done = superlens("enhance", tmp_path / "cells", *TOY, "--out", out)
    assert done.exit_code == 0, done.output
    for said in (before.output, done.stderr):
        assert said.count("left out:") == 1
        assert "left out: old is a folder inside a folder" in said
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert not (out / "index.html").exists()
    assert list(map(Path, told["left_out"])) == [tmp_path / "cells" / "old"]
    assert [Path(one["input"]).name for one in told["results"]] == ["a.tif"]


def test_a_folder_of_frames_is_no_movie_until_it_is_said(superlens: Shell, frames: Path, tmp_path: Path) -> None:
    done = superlens("localize", frames, "--out", tmp_path / "out")
    assert done.exit_code == 2 and "4 files" in done.stderr and "--sequence T" in done.stderr


def test_a_dry_run_says_what_is_read_and_assumed_and_writes_nothing(superlens: Shell, tmp_path: Path) -> None:
    image = cell(0, (2, 3, 24, 24), "CZYX", z_step_nm=300.0, channel_names=("GFP", "RFP"), emission_nm=(510.0, None))
    path = write(tmp_path / "stack.ome.tif", image)
    before = sorted(tmp_path.iterdir())
    waves = ("--wavelength-nm", 510, "--wavelength-nm", 610)
    for verb, place in (("enhance", ("--out", tmp_path / "out")), ("train", ("--model", tmp_path / "m.zip"))):
        told = superlens(verb, path, "--method", "toy", "--na", 1.3, *waves, "--pixel-nm", 70, *place, "--dry-run")
        assert told.exit_code == 0, told.output
        for words in (
            "CZYX, 2 x 3 x 24 x 24, uint16 (from the file)",
            "70 nm (given)",
            "300 nm (from the file)",
            "0 (GFP, 510 nm), 1 (RFP)",
            "(estimated)",
            "memory:",
            "time:",
        ):
            assert words in told.output
        assert sorted(tmp_path.iterdir()) == before
    assert (
        "smooth in"
        in superlens(
            "enhance", path, "--method", "toy", "--na", 1.3, *waves, "--out", tmp_path / "out", "--dry-run"
        ).output
    )


def test_a_dry_run_says_what_is_decided_for_a_stack(superlens: Shell, tmp_path: Path) -> None:
    path = write(tmp_path / "stack.tif", cell(0, (3, 24, 24), "ZYX", z_step_nm=300.0))
    told = superlens("enhance", path, "--na", 1.3, "--wavelength-nm", 525, "--out", tmp_path / "out", "--dry-run")
    assert told.exit_code == 0 and "assumed:  each slice is taken as an image of its own" in told.output
    assert "assumed:  widefield, NA 1.3, 525 nm, immersion index 1.33\n" in told.output


def test_the_verdict_is_said_in_the_terminal(superlens: Shell, folder: Path, tmp_path: Path) -> None:
    done = superlens("enhance", folder / "a.tif", *TOY, "--out", tmp_path / "out")
    (told,) = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["results"]
    verdict = told["verdict"]
    assert verdict == told["channels"][0]["verdict"]
    *_, line, last = done.stderr.splitlines()
    assert line.startswith(f"{verdict['headline']}. {verdict['summary'].rstrip('.')}")
    assert last == f"Open {tmp_path / 'out' / 'report.html'}"
    assert verdict["summary"] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_warnings_of_a_run_stand_in_its_record_and_report(superlens: Shell, tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    for name in ("a.tif", "old_sr.tif"):
        write(tmp_path / "cells" / name, cell(0))
    done = superlens("enhance", tmp_path / "cells", *TOY, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    warned = [line.removeprefix("warning: ") for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert warned, "an earlier result in the folder is worth a warning"
    assert json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["warnings"] == warned
    assert html.escape(warned[0]) in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_threads_are_set_before_a_model_is_loaded(
    superlens: Shell, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, order = tmp_path / "m.zip", []
    assert superlens("train", folder / "a.tif", *TOY, "--model", model).exit_code == 0
    engine, load = ShellSession.engine, images.load_once
    monkeypatch.setattr(ShellSession, "engine", lambda *given: order.append("threads") or engine(*given))
    monkeypatch.setattr(images, "load_once", lambda *given: order.append("model") or load(*given))
    for more in ((), ("--dry-run",)):
        order.clear()
        done = superlens("predict", folder / "b.tif", "--model", model, "--out", tmp_path / "out", *more)
        assert done.exit_code == 0, done.output
        assert order[:2] == ["threads", "model"]  # TensorFlow refuses to change them afterwards


def test_a_folder_has_an_index_of_its_reports_with_verdicts(superlens: Shell, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = superlens("enhance", folder, *TOY, "--out", out)
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    assert done.stderr.splitlines()[-1] == f"Open {out / 'index.html'}"
    assert page.open == []
    assert [value for value in page.values("href") if not value.startswith("#")] == ["a_report.html", "b_report.html"]
    assert len([value for value in page.values("src") if value.startswith("data:image/png")]) == 4
    assert page.words.count("Look closer") == 2
    assert "Left out" in page.words and "blank.tif" in page.words and "cut.tif" in page.words
    again = superlens("enhance", folder / "a.tif", folder / "b.tif", *TOY, "--out", out)
    assert again.exit_code == 0 and sorted(path.name for path in out.glob("*index.html")) == ["index.html"]


def test_strict_makes_an_unusable_result_an_exit_code(
    superlens: Shell, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfit = Verdict("bad", "Do not use", "Processed; one check failed.")
    monkeypatch.setattr(PlainEvidence, "verdict", lambda self: unfit)
    run = ("enhance", folder / "a.tif", *TOY, "--out", tmp_path / "out")
    assert superlens(*run).exit_code == 0
    done = superlens(*run, "--strict")
    assert done.exit_code == 3 and "Do not use. Processed; one check failed." in done.stderr
    assert (tmp_path / "out" / "a_smooth.tif").is_file()


def test_a_dry_run_of_several_images_lists_every_output(superlens: Shell, folder: Path, tmp_path: Path) -> None:
    told = superlens("enhance", folder / "a.tif", folder / "b.tif", *TOY, "--out", tmp_path / "out", "--dry-run")
    assert told.exit_code == 0, told.output
    for name in "ab":
        assert f"output:   smooth of {name} in" in told.output


@pytest.mark.parametrize("verb", ["psf", "compare", "evaluate", "stripes"])
def test_a_dry_run_of_every_verb_says_what_it_reads_and_writes_nothing(
    superlens: Shell, tmp_path: Path, verb: str
) -> None:
    one, two = (write(tmp_path / f"{name}.tif", cell(seed, (32, 32), "YX")) for seed, name in enumerate("ab"))
    out = tmp_path / "out.tif"
    asked: tuple[object, ...] = {
        "psf": ("--na", 1.3, "--wavelength-nm", 525, "--pixel-nm", 65, "--out", out),
        "compare": (one, two, "--out", out),
        "evaluate": (one, "--reference", two),
        "stripes": (one, "--out", out),
    }[verb]
    before = sorted(tmp_path.iterdir())
    told = superlens(verb, *asked, "--dry-run")
    assert told.exit_code == 0, told.output
    assert told.output.count("input: ") == sum(path in asked for path in (one, two))
    assert ("output: " in told.output) == (verb != "evaluate")
    assert sorted(tmp_path.iterdir()) == before


def test_a_dry_run_of_tables_says_their_columns(superlens: Shell, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('"frame","x [nm]","y [nm]"\n1,100,200\n', encoding="utf-8")
    told = superlens("evaluate", table, "--reference", table, "--dry-run")
    assert told.output.count("columns:  frame, x_nm, y_nm") == 2
