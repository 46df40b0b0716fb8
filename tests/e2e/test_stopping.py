"""Runs that are killed or stopped: nothing half-written, nothing lost, and the next run goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from superlens.io import write
from superlens.samples import sample

pytestmark = pytest.mark.slow

_PATIENCE_S = 900.0  # start, compilation and twenty steps; only a bound, reached on a machine that starves


def start(image: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """Begin a training that would take far longer than the test."""
    command = [sys.executable, "-c", "from superlens.cli import main; main()", "enhance", str(image)]
    options = ["--denoise-only", "--from-scratch", "--steps", "1600"]
    small = ["--set", "batch=1", "--set", "patch=32", "--set", "flips=1", "--set", "learning_rate=1e-4"]
    return subprocess.Popen(
        [*command, *options, *small, "--out", str(out), *more],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(run: subprocess.Popen[str], file: Path, *, newer_than: float = 0.0) -> float:
    """Wait until a file is written, and return when it was."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and run.poll() is None:
        if file.exists() and file.stat().st_mtime > newer_than:
            return file.stat().st_mtime
        time.sleep(0.2)
    run.kill()
    raise AssertionError(f"{file} was not written: {run.communicate()[1]}")


def test_a_killed_run_leaves_only_its_checkpoint_and_a_stopped_one_all_its_results(tmp_path: Path) -> None:
    image, out = write(tmp_path / "cell.tif", sample().crop(y=slice(0, 64), x=slice(0, 64))), tmp_path / "out"
    checkpoint = out / ".checkpoint"

    killed = start(image, out)
    written = wait_for(killed, checkpoint)
    killed.kill()
    killed.communicate()
    assert {file.name for file in out.iterdir()} <= {".checkpoint", ".checkpoint.part"}

    stopped = start(image, out, "--resume")
    wait_for(stopped, checkpoint, newer_than=written)
    stopped.send_signal(signal.SIGINT)
    errors = stopped.communicate(timeout=_PATIENCE_S)[1]
    assert stopped.returncode == 130, errors
    assert "Traceback" not in errors
    names = {file.name for file in out.iterdir()}
    assert {"cell_denoised.tif", "model.zip", "report.html", "run.json", ".checkpoint"} <= names
    (told,) = json.loads((out / "run.json").read_text())["results"]
    assert told["channels"][0]["stopped"] == "cancelled"
