"""Measure prediction by blocks: memory on images larger than it, the plan for still larger ones, and two workers against one process.

    python tests/quality/large.py memory --gigabytes 0.5 --gigabytes 2   # whole runs of a small network; peak resident memory
    python tests/quality/large.py plan --gigabytes 8 --gigabytes 1000    # --dry-run of the command line on sparse images
    python tests/quality/large.py workers                                # throughput of two Dask workers over that of one process

Every run is a process of its own, which tells its own peak. The small network has the architecture of ``fast`` with 4 features on each level
and random weights, so that it ends; what memory and bookkeeping do does not depend on the weights.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np
import psutil

_SMALL = (4, 4, 4)
_MAIN = "import sys; from superlens.cli import main; sys.exit(main())"
_WARMING = 24  # blocks that the clock of a run does not count: processes start, not at once, and TensorFlow compiles


@click.group(help=__doc__.splitlines()[0] if __doc__ else None)
def main() -> None:
    """Measure."""


@main.command()
@click.option("--gigabytes", type=float, multiple=True, default=(0.5, 2.0), show_default=True)
@click.option("--side", default=4096, show_default=True, help="Pixels of a plane along y and x, float32.")
@click.option(
    "--block", default=1024, show_default=True, help="Side of a block; the network is small, so that it may be large."
)
def memory(gigabytes: tuple[float, ...], side: int, block: int) -> None:
    """Predict whole images with a small network."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _model(folder, _SMALL)
        for size in gigabytes:
            movie = _movie(folder / "movie.ome.zarr", round(size * 1e9 / 4 / side**2), side, written=True)
            told = _alone("run", model, movie, folder / "movie_sr.ome.zarr", "here", block)
            told.pop("blocks_at")
            click.echo(json.dumps({"gigabytes": _stored(movie), **told}))
            for made in (movie, folder / "movie_sr.ome.zarr"):
                shutil.rmtree(made)


@main.command()
@click.option("--gigabytes", type=float, multiple=True, default=(8.0, 1000.0), show_default=True)
def plan(gigabytes: tuple[float, ...]) -> None:
    """Ask the command line what images would take that have no pixels on the disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, side = _model(folder, _SMALL), 8192
        for size in gigabytes:
            movie = _movie(folder / f"{size:g}.ome.zarr", max(round(size * 1e9 / 4 / side**2), 1), side, written=False)
            began = time.perf_counter()
            command = ["predict", str(movie), "--model", str(model), "--out", str(folder / "sr.ome.zarr")]
            done = subprocess.run(
                [sys.executable, "-c", _MAIN, *command, "--dry-run", "--fill-missing"],
                capture_output=True,
                text=True,
                check=False,
            )
            click.echo(f"{size:g} GB: ended with {done.returncode} after {time.perf_counter() - began:.1f} s")
            click.echo(done.stdout or done.stderr[-600:])
            click.echo(f"largest child so far: {_peak(resource.RUSAGE_CHILDREN):.2f} GB resident\n")


@main.command()
@click.option("--side", default=2560, show_default=True)
@click.option("--block", default=256, show_default=True)
@click.option("--repeats", default=2, show_default=True, help="Pairs of runs; the best of each kind counts.")
def workers(side: int, block: int, repeats: int) -> None:
    """Compare two workers of one thread each with one process of one thread; the network is that of ``fast``.

    Processor seconds tell the same on a machine that others use too: two workers on two free cores are as fast as their blocks cost.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, movie = _model(folder, None), _movie(folder / "movie.ome.zarr", 1, side, written=True)
        rates: dict[str, list[float]] = {"here": [], "workers": []}
        for _ in range(repeats):
            for how, found in rates.items():
                told = _alone("run", model, movie, folder / f"{how}.ome.zarr", how, str(block))
                (first, first_cpu), *_, (last, last_cpu) = told["blocks_at"][_WARMING - 1 :]
                blocks = len(told["blocks_at"]) - _WARMING
                found.append(blocks / (last - first))
                each = (last_cpu - first_cpu) / blocks
                click.echo(
                    f"{how}: {blocks} blocks in {last - first:.1f} s and {each:.2f} processor seconds each, "
                    f"{told['seconds']:.1f} s in all"
                )
        import superlens as sl

        one, two = (sl.read(folder / f"{how}.ome.zarr").data for how in rates)
        best = {how: max(found) for how, found in rates.items()}
        ratios = [b / a for a, b in zip(*rates.values(), strict=True)]
        click.echo(
            f"{best['here']:.3f} and {best['workers']:.3f} blocks/s: {best['workers'] / best['here']:.2f} times "
            f"(pairs: {', '.join(f'{r:.2f}' for r in ratios)}); identical: {np.array_equal(one, two)}"
        )


@main.command(hidden=True)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("movie", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("how")
@click.argument("block", required=False, type=int)
def run(model: Path, movie: Path, out: Path, how: str, block: int | None) -> None:
    """Predict in this process, or on workers of it, and tell how it went."""
    import superlens as sl
    from superlens.streaming import Workers
    from superlens.training import select_device

    if block is not None:
        select_device(None, threads=1)
    began, at, me = time.perf_counter(), [], psutil.Process()

    def watch(done: int, total: int, message: str) -> None:
        if message == "blocks" and done:
            spent = [process.cpu_times() for process in (me, *me.children(recursive=True))]
            at.append((time.perf_counter() - began, sum(cpu.user + cpu.system for cpu in spent)))

    options = sl.BlockOptions(
        block=block, threads=1, workers=Workers(number=2) if how == "workers" else None, restart=True
    )
    sl.predict_file(model, movie, out, options=options, progress=watch)
    seconds = time.perf_counter() - began
    click.echo(json.dumps({"seconds": seconds, "peak_gb": _peak(resource.RUSAGE_SELF), "blocks_at": at}))


def _alone(*arguments: Any) -> dict[str, Any]:
    """Run a command of this file in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr[-2000:])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def _model(folder: Path, widths: tuple[int, int, int] | None) -> Path:
    """A model for images of noise: the shipped start, or a network of other widths with random weights."""
    import superlens as sl
    from superlens.networks import build

    cell = sl.Image(_noise(np.random.default_rng(0), 64), "YX", pixel_nm=65.0)
    config = sl.ZSDeconvConfig.of("fast", steps=0, flips=1, offset=100.0, gain=2.0, read_noise_e=1.5)
    model = sl.train(cell, sl.Objective(na=1.3, wavelength_nm=525), config=config)
    if widths is not None:
        arguments = {**model.config.network_config, "widths": list(widths)}
        state = {**model.config.state, "spread": None}
        described = model.config.with_changes({"network_config": arguments, "state": state})
        model = sl.Model(described, build("light", arguments), model.arrays)
    path = folder / "model.zip"
    model.save(path)
    return path


def _noise(rng: np.random.Generator, side: int) -> Any:
    return (100 + 2 * rng.poisson(20, (side, side)) + rng.normal(0, 3, (side, side))).astype(np.float32)


def _movie(path: Path, frames: int, side: int, *, written: bool) -> Path:
    """An OME-Zarr of noise, written plane by plane; or one whose chunks are all missing."""
    import superlens as sl
    from superlens.io import create_blocks, open_blocks

    empty = np.broadcast_to(np.float32(0), (frames, side, side))
    create_blocks(path, "zarr", sl.Image(empty, "TYX", pixel_nm=65.0, frame_interval_s=1.0), chunk=(512, 512))
    if written:
        rng, blocks = np.random.default_rng(0), open_blocks(path, "zarr")
        plane = _noise(rng, side)
        for frame in range(frames):
            blocks.write(frame, slice(0, side), slice(0, side), np.roll(plane, 97 * frame, axis=1))
    return path


def _stored(path: Path) -> float:
    """Gigabytes of the finest level, uncompressed."""
    import superlens as sl

    return float(sl.open_image(path).header.data.nbytes / 1e9)


if __name__ == "__main__":
    main()
