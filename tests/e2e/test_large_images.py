"""Large images through the command line: killed and started again, refused in one line, and on Dask workers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result

from superlens.camera import Camera
from superlens.enhancing import predict_file
from superlens.host import usable_processors
from superlens.image import Image
from superlens.io import read, write
from superlens.predicting import BlockOptions
from superlens.streaming import Workers

Run = Callable[..., Result]

_PATIENCE_S = 900.0  # only a bound, reached on a machine that starves
THREADS = int(
    os.environ.get("TF_NUM_INTRAOP_THREADS", usable_processors())
)  # of this process, since sums depend on them
PROGRAM = [sys.executable, "-c", "from superlens.cli import main; main()"]


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A movie as OME-Zarr, of two frames of 48 x 40 pixels."""
    rng = np.random.default_rng(0)
    counts = Camera(2.0, 100.0, 1.0).expose(rng.poisson(20 + 80 * rng.random((2, 48, 40)) ** 6), rng, bits=16)
    return write(tmp_path / "movie.ome.zarr", Image(counts, "TYX", pixel_nm=65.0, frame_interval_s=0.5))


def refused(result: Result, *words: str) -> None:
    """One line, exit code 2."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


# -- the command


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(
    superlens: Run, small_model: Path, movie: Path, tmp_path: Path
) -> None:
    out = tmp_path / "movie_sr.ome.zarr"
    result = superlens("predict", movie, "--model", small_model, "--out", out, "--block", 16, "--dry-run")
    assert result.exit_code == 0, result.output
    lines = dict(line.split(":", 1) for line in result.stdout.splitlines())
    assert lines["input"].strip() == "T 2, Y 48, X 40"
    assert lines["blocks"].strip() == "18 of 16 x 16 pixels, and 84 around each"
    assert {"memory", "time", "output", "disk"} <= lines.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["movie.ome.zarr"]


def test_an_image_is_written_where_out_names_one(
    superlens: Run, small_model: Path, movie: Path, tmp_path: Path
) -> None:
    out = tmp_path / "movie_sr.ome.tif"
    result = superlens("predict", movie, "--model", small_model, "--out", out, "--also", "denoised")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(out), str(tmp_path / "movie_denoised.ome.tif")]
    made = read(out)
    assert (made.sizes, made.pixel_nm, made.frame_interval_s) == ({"T": 2, "Y": 96, "X": 80}, 32.5, 0.5)


@pytest.mark.parametrize("option", [("--workers", 2), ("--also", "denoised"), ("--block", 32)])
def test_options_for_large_images_need_the_name_of_one(
    superlens: Run, small_model: Path, movie: Path, tmp_path: Path, option: tuple[object, ...]
) -> None:
    result = superlens("predict", movie, "--model", small_model, "--out", tmp_path / "out", *option)
    refused(result, str(option[0]), "ome.zarr")
    assert not (tmp_path / "out").exists()


def test_a_stack_that_does_not_name_its_axes_is_never_guessed(
    superlens: Run, small_model: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(0, 99, (3, 40, 40)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", data, photometric="minisblack", metadata=None)
    ask = ("predict", tmp_path / "stack.tif", "--model", small_model, "--out", tmp_path / "out.ome.zarr", "--dry-run")
    refused(superlens(*ask), "stack.tif", "--axes")
    refused(superlens(*ask, "--axes", "ZYX"), "--pixel-nm")
    assert superlens(*ask, "--axes", "ZYX", "--pixel-nm", 65).exit_code == 0


def test_a_zarr_that_lacks_chunks_is_refused(superlens: Run, small_model: Path, movie: Path, tmp_path: Path) -> None:
    (movie / "0" / "1" / "0" / "0").unlink()
    ask = ("predict", movie, "--model", small_model, "--out", tmp_path / "out.ome.zarr", "--dry-run")
    refused(superlens(*ask), "movie.ome.zarr", "1 of its 2 chunks", "--fill-missing")
    assert superlens(*ask, "--fill-missing").exit_code == 0


def test_several_inputs_and_one_name_are_refused(
    superlens: Run, small_model: Path, movie: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other.tif", Image(np.eye(40, dtype=np.uint16), pixel_nm=65.0))
    refused(superlens("predict", movie, other, "--model", small_model, "--out", tmp_path / "a.ome.zarr"), "2 inputs")


# -- killed, and more than one process


@pytest.mark.slow
@pytest.mark.parametrize("out", ["movie_sr.ome.zarr", "movie_sr.ome.tif"])
def test_a_killed_run_started_again_gives_the_same_file(
    superlens: Run, small_model: Path, movie: Path, tmp_path: Path, out: str
) -> None:
    ask = ["predict", str(movie), "--model", str(small_model), "--block", "16", "--out", str(tmp_path / out)]
    record = tmp_path / f".{out}.state"
    first = [*PROGRAM, *ask, "--threads", str(THREADS)]
    killed = subprocess.Popen(first, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    end = time.monotonic() + _PATIENCE_S
    while killed.poll() is None and (not record.exists() or record.read_bytes().count(b"\n") < 3):
        assert time.monotonic() < end
        time.sleep(0.002)
    killed.kill()
    killed.wait()
    assert killed.returncode == -9 and record.exists(), "the run ended before it could be killed"
    assert not (tmp_path / out).exists()

    again = superlens(*ask)
    assert again.exit_code == 0, again.output
    assert "continuing the unfinished run" in again.stderr
    whole = predict_file(small_model, movie, tmp_path / f"whole_{out}", options=BlockOptions(block=16))
    np.testing.assert_allclose(read(tmp_path / out).data, read(whole[0]).data, rtol=0, atol=0)
    assert {path.name for path in tmp_path.iterdir()} == {"movie.ome.zarr", out, f"whole_{out}"}


@pytest.fixture
def another_dashboard() -> Iterator[None]:
    """Dask's usual port is in use, as where a notebook has a cluster of its own."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where someone listens there already
            stack.enter_context(socket.create_server(("127.0.0.1", 8787)))
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("another_dashboard")
def test_two_workers_give_the_values_of_one_process(small_model: Path, movie: Path, tmp_path: Path) -> None:
    predict_file(small_model, movie, tmp_path / "one.ome.zarr", options=BlockOptions(block=16))
    options = BlockOptions(block=16, workers=Workers(number=2), threads=THREADS)
    predict_file(small_model, movie, tmp_path / "two.ome.zarr", options=options)
    one, two = (read(tmp_path / f"{name}.ome.zarr").data for name in ("one", "two"))
    np.testing.assert_array_equal(one, two)
