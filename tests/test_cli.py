"""The command line: exit codes, one line for each failure, and files that appear whole or not at all."""

from __future__ import annotations

import json
import re
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from superlens import quiet
from superlens.cli import failures
from superlens.cli import session as work_module
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import read, write
from superlens.progress import Cancelled, silent
from superlens.runs import checkpoints, folders
from superlens.runs.folders import OutputFolder, find_inputs
from superlens.samples import sample, sample_path

Run = Callable[..., Result]


def program(action: Callable[[], object]) -> Result:
    """Run a command line of one command that does `action`."""

    @click.group(cls=failures.Program)
    def main() -> None:
        """Test."""

    @main.command()
    def act() -> object:
        return action()

    return CliRunner().invoke(main, ["act"])


def fail(error: BaseException) -> Callable[[], object]:
    def action() -> None:
        raise error

    return action


# -- exit codes ---------------------------------------------------------------------------------------------------------


def test_a_refusal_is_one_line_and_exit_code_2() -> None:
    result = program(fail(SuperlensError("na is 3;\n expected less.")))
    assert (result.exit_code, result.stderr) == (2, "error: na is 3; expected less.\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled()])
def test_a_stopped_run_ends_with_130(error: BaseException) -> None:
    result = program(fail(error))
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_a_defect_is_one_line_that_names_a_log_with_the_traceback() -> None:
    result = program(fail(RuntimeError("boom")))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    match = re.search(r"are in (\S+\.log)", result.stderr)
    assert match is not None
    log = Path(match[1])
    assert "Traceback" in log.read_text() and "boom" in log.read_text()
    log.unlink()


def test_running_out_of_memory_is_a_refusal_with_advice() -> None:
    result = program(fail(MemoryError()))
    assert result.exit_code == 2
    assert "memory" in result.stderr


def test_warnings_for_the_user_are_lines_shown_once_and_others_are_hidden() -> None:
    def action() -> None:
        warnings.warn("look here", SuperlensWarning, stacklevel=1)
        warnings.warn("look here", SuperlensWarning, stacklevel=1)
        warnings.warn("not for you", RuntimeWarning, stacklevel=1)

    result = program(action)
    assert (result.exit_code, result.stderr) == (0, "warning: look here\n")


@pytest.mark.parametrize(
    "arguments",
    [["enhance"], ["enhance", "x.tif"], ["enhance", "--bogus"], ["nonsense"], ["psf", "--na", "big", "--out", "p.tif"]],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(superlens: Run, arguments: list[str]) -> None:
    result = superlens(*arguments)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: .+\n", result.stderr)


def test_a_note_is_not_repeated_and_does_not_repeat_a_warning() -> None:
    def action() -> None:
        warnings.warn("dim", SuperlensWarning, stacklevel=1)
        for message in ("dim", "pretrained", "pretrained"):
            failures.note(message)

    assert program(action).stderr == "warning: dim\nnote: pretrained\n"


def test_help_names_every_command(superlens: Run) -> None:
    result = superlens("--help")
    assert result.exit_code == 0
    for command in ("enhance", "train", "predict", "psf", "evaluate", "models", "doctor"):
        assert command in result.stdout
        assert superlens(command, "--help").exit_code == 0


def test_help_of_many_options_has_headings_and_begins_with_what_most_people_need(superlens: Run) -> None:
    text = superlens("enhance", "--help").stdout
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[:3] == ["Most used:", "Optics:", "Input files:"]
    first = text.partition("Most used:")[2].partition("Optics:")[0]
    assert all(option in first for option in ("--out", "--na", "--wavelength-nm", "--pixel-nm", "--preset"))
    assert "--psf-model" not in first
    assert "Options:" in superlens("demo", "--help").stdout


def test_a_stop_before_the_work_has_begun_ends_at_once() -> None:
    work = work_module.Work(silent)
    with pytest.raises(Cancelled):
        work.request_stop(signal.SIGTERM, None)
    assert work.stopped


def test_no_command_shows_the_help(superlens: Run) -> None:
    result = superlens()
    assert result.exit_code == 0
    assert "enhance" in result.stdout


def test_native_output_is_held_back_and_comes_again_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    with quiet.quiet_native_output():
        os.write(2, b"noise from C++\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


# -- stopping -----------------------------------------------------------------------------------------------------------


def test_the_first_request_to_stop_cancels_once_and_the_second_ends_at_once() -> None:
    work = work_module.Work(silent)
    work.progress(1, 10, "training")
    work.request_stop(signal.SIGINT, None)
    with pytest.raises(Cancelled):
        work.progress(2, 10, "training")
    work.progress(3, 10, "predicting")
    with pytest.raises(KeyboardInterrupt):
        work.request_stop(signal.SIGINT, None)


def test_a_signal_reaches_the_work_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with work_module.working() as work:
        work.progress(0, 2, "training")
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Cancelled):
            work.progress(1, 2, "training")
    assert work.stopped
    assert signal.getsignal(signal.SIGTERM) is before


# -- the checkpoint -----------------------------------------------------------------------------------------------------


def test_resuming_keeps_the_checkpoint_and_starting_afresh_moves_it_out_of_the_way(tmp_path: Path) -> None:
    path = tmp_path / ".checkpoint"
    path.write_text("state")
    with checkpoints.checkpointed(path, resume=True) as given:
        assert given.read_text() == "state"
    with pytest.warns(SuperlensWarning, match="resume"), checkpoints.checkpointed(path, resume=False) as given:
        assert not given.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_before_training_puts_the_earlier_checkpoint_back(tmp_path: Path) -> None:
    path = tmp_path / ".checkpoint"
    path.write_text("state")
    with pytest.warns(SuperlensWarning), pytest.raises(SuperlensError), checkpoints.checkpointed(path, resume=False):
        raise SuperlensError("wrong PSF")
    assert [file.name for file in tmp_path.iterdir()] == [".checkpoint"]
    assert path.read_text() == "state"


def test_resuming_without_a_checkpoint_warns(tmp_path: Path) -> None:
    with pytest.warns(SuperlensWarning, match="afresh"), checkpoints.checkpointed(tmp_path / "none", resume=True):
        pass


# -- folders ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A folder with three images, one of them an earlier result."""
    rng = np.random.default_rng(0)
    for name in ("a", "b", "a_sr"):
        write(tmp_path / f"{name}.tif", Image(rng.normal(size=(16, 16)).astype(np.float32), pixel_nm=60.0))
    return tmp_path


def test_a_folder_gives_its_images_but_not_earlier_results(cells: Path) -> None:
    with pytest.warns(SuperlensWarning, match="earlier results"):
        assert [path.name for path in find_inputs([cells])] == ["a.tif", "b.tif"]
    assert [path.name for path in find_inputs([cells / "a_sr.tif"])] == ["a_sr.tif"]


def test_two_inputs_of_one_name_are_refused(cells: Path) -> None:
    (cells / "more").mkdir()
    write(cells / "more" / "a.tif", read(cells / "a.tif"))
    with pytest.raises(SuperlensError, match=r"a_sr\.tif"):
        find_inputs([cells / "a.tif", cells / "more" / "a.tif"])


def test_an_output_folder_made_for_nothing_is_removed_again(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError), OutputFolder(tmp_path / "x" / "y").prepared([], 1):
        assert (tmp_path / "x" / "y").is_dir()
        raise SuperlensError("wrong PSF")
    assert not (tmp_path / "x").exists()


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SuperlensError, match="choose another"), OutputFolder(tmp_path / "file" / "out").prepared([], 1):
        pass


def test_a_disk_without_room_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage)
    with (
        pytest.raises(SuperlensError, match=r"1\.0 kB free .* 5\.0 MB"),
        OutputFolder(tmp_path).prepared([], 5_000_000),
    ):
        pass


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "cell_sr.tif"
    source.write_text("data")
    with (
        pytest.raises(SuperlensError, match="overwritten"),
        OutputFolder(tmp_path, (source,)).prepared([source.name], 1),
    ):
        pass
    assert source.read_text() == "data"


def test_a_delivery_replaces_files_only_when_all_are_there(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), folder.delivery() as staging:
        (staging / "a.txt").write_text("new")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    with folder.delivery() as staging:
        (staging / "a.txt").write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_disk_that_fills_up_while_writing_leaves_the_earlier_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(SuperlensError, match="No space left"), OutputFolder(tmp_path).delivery():
        raise OSError(28, "No space left on device")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


# -- psf and evaluate ---------------------------------------------------------------------------------------------------


def test_psf_writes_what_it_says(superlens: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "psf.tif"
    result = superlens("psf", "--na", 1.3, "--wavelength-nm", 525, "--pixel-nm", 31.3, "--out", out)
    assert result.exit_code == 0, result.output
    image = read(out)
    assert image.pixel_nm == pytest.approx(31.3)
    assert float(image.data.sum()) == pytest.approx(1.0, abs=1e-5)
    match = re.search(r"FWHM (\d+) nm", result.stdout)
    assert match is not None
    assert 0.45 * 525 / 1.3 < float(match[1]) < 0.65 * 525 / 1.3


def test_psf_from_beads_finds_the_width_that_made_them(superlens: Run, tmp_path: Path) -> None:
    from superlens.optics import PSF

    scene = np.full((96, 96), 10.0)
    bead = PSF.gaussian(300.0, 60.0, shape=(25, 25)).data
    for y, x in ((20, 20), (20, 70), (70, 45)):
        scene[y - 12 : y + 13, x - 12 : x + 13] += 5e4 * bead
    rng = np.random.default_rng(1)
    write(tmp_path / "beads.tif", Image(rng.poisson(scene).astype(np.uint16), pixel_nm=60.0))
    result = superlens("psf", "--beads", tmp_path / "beads.tif", "--out", tmp_path / "psf.tif")
    assert result.exit_code == 0, result.output
    assert "3 of 3 beads" in result.stdout
    match = re.search(r"FWHM (\d+) nm", result.stdout)
    assert match is not None
    assert float(match[1]) == pytest.approx(300, rel=0.05)


def test_psf_needs_a_pixel_and_only_one_source(superlens: Run, tmp_path: Path) -> None:
    assert "--pixel-nm" in superlens("psf", "--na", 1.3, "--wavelength-nm", 525, "--out", tmp_path / "p.tif").stderr
    both = superlens("psf", "--beads", sample_path(), "--na", 1.3, "--out", tmp_path / "p.tif")
    assert both.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("factor", [1, 2])
def test_evaluate_finds_a_scaled_copy_of_the_reference_perfect(superlens: Run, tmp_path: Path, factor: int) -> None:
    truth = sample("microtubules_normal_light")
    fine = np.repeat(np.repeat(truth.data.astype(np.float32), factor, axis=0), factor, axis=1)
    assert truth.pixel_nm is not None
    write(tmp_path / "cell_sr.tif", Image(0.5 * fine + 3, pixel_nm=truth.pixel_nm / factor))
    numbers = tmp_path / "numbers.json"
    result = superlens("evaluate", tmp_path, "--reference", sample_path("microtubules_normal_light"), "--json", numbers)
    assert result.exit_code == 0, result.output
    found = json.loads(numbers.read_text())["cell_sr.tif"]
    assert found["psnr_db"] is None or found["psnr_db"] > 100
    assert found["ssim"] == pytest.approx(1, abs=1e-6)
    assert found["frc_nm"] == pytest.approx(2 * truth.pixel_nm, rel=0.05)


def test_evaluate_takes_a_finer_reference_too(superlens: Run) -> None:
    result = superlens("evaluate", sample_path(), "--reference", sample_path("microtubules_sim_reference"))
    assert result.exit_code == 0, result.output
    assert "PSNR" in result.stdout


def test_evaluate_refuses_what_does_not_fit(superlens: Run, cells: Path) -> None:
    result = superlens("evaluate", cells / "a.tif", "--reference", write(cells / "odd.tif", Image(np.eye(17))))
    assert result.exit_code == 2
    assert "17 x 17" in result.stderr


# -- run.json -----------------------------------------------------------------------------------------------------------


def test_numbers_that_json_lacks_become_null_and_arrays_of_one_value_numbers() -> None:
    from superlens.runs.records import plain

    told = plain(
        {"a": float("nan"), "b": np.float32(1.5), "c": (1, np.int64(2)), "d": Path("x"), "e": True, "f": np.inf}
    )
    assert told == {"a": None, "b": 1.5, "c": [1, 2], "d": "x", "e": True, "f": None}
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_the_console_script_runs() -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-m", "superlens", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "superlens")
