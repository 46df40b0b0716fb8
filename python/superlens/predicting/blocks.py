"""Blocks as work that any process can do: called with the number of a block, it reads, predicts and writes that block."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from superlens.errors import SuperlensError
from superlens.io import BlockFormat, BlockWriter, ImageFile, LazyImage, open_blocks, replacing, write_failure
from superlens.observing.haze import Haze
from superlens.predicting.predictor import Predictor
from superlens.streaming import BlockPlan, Measured, observe_block, part_of
from superlens.training import select_device

__all__ = ["BlockJob", "Opened", "Output", "adapted_model", "keep_haze", "not_written"]

Opened: TypeAlias = Callable[[Path], tuple[Predictor, ...]]
"""Opens a model file: a predictor for each channel that it has a model for. Can be pickled."""


@dataclass(frozen=True, slots=True)
class Output:
    """An image that is being made.

    Attributes
    ----------
    role : str
        Of the predictor.
    final : Path
        Where it shall be in the end.
    form : {"zarr", "tiff"}
    """

    role: str
    final: Path
    form: BlockFormat

    def open(self) -> BlockWriter:
        """Open it for writing, at the place where it lies while it is not whole."""
        return open_blocks(part_of(self.final), self.form)


@dataclass(frozen=True, slots=True)
class BlockJob:
    """The work of predicting blocks, for this process or another one: called with the number of a block it writes that block.

    Attributes
    ----------
    run : str
        Tells one run from another.
    source : ImageFile
    model : Path
    opened : callable
        See `Opened`.
    blocks : BlockPlan
    measured : tuple of Measured
    outputs : tuple of Output
    units : tuple of float
        Counts that are one in the result; like `measured`, one for each model of the file.
    adapted : Path or None
        Folder of the models that were adapted to a frame each.
    haze : Path or None
        File of the haze that was found in the whole image; see `kept_haze`.
    device : str or None
    threads : int or None
        Where another process computes; None leaves it as it is.
    """

    run: str
    source: ImageFile
    model: Path
    opened: Opened
    blocks: BlockPlan
    measured: tuple[Measured, ...]
    outputs: tuple[Output, ...]
    units: tuple[float, ...] = (1.0,)
    adapted: Path | None = None
    haze: Path | None = None
    device: str | None = None
    threads: int | None = None

    def model_of(self, frame: int) -> Path:
        """The model file for a frame."""
        return self.model if self.adapted is None else adapted_model(self.adapted, frame)

    def __call__(self, number: int) -> int:
        """Predict and write one block; return its number."""
        with _ONE_AT_A_TIME:
            _do(_files(self), self, number)
        return number


def adapted_model(folder: Path, frame: int) -> Path:
    """Where the model that was adapted to a frame lies."""
    return folder / f"t{frame}.zip"


_ONE_AT_A_TIME = threading.Lock()
"""A worker may have several threads; it has one model, and one network computes at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Files:
    """What a process opens once for a run."""

    source: LazyImage
    writers: tuple[BlockWriter, ...]


@functools.lru_cache(maxsize=1)
def _files(job: BlockJob) -> _Files:
    if job.threads is not None or job.device is not None:
        _choose_device(job.device, job.threads)
    return _Files(job.source.open(), tuple(output.open() for output in job.outputs))


@functools.lru_cache(maxsize=1)
def _predictors(run: str, opened: Opened, path: Path) -> tuple[Predictor, ...]:
    """Those of a model file; blocks of one frame come one after the other."""
    return opened(path)


@functools.lru_cache(maxsize=1)
def _choose_device(device: str | None, threads: int | None) -> None:
    """Once in the life of a worker, which may do several runs."""
    select_device(device, threads)


def _do(files: _Files, job: BlockJob, number: int) -> None:
    block = job.blocks[number]
    index = files.source.index_of(block.plane)
    predictors = _predictors(job.run, job.opened, job.model_of(index.get("T", 0)))
    at = index.get("C", 0) if len(predictors) > 1 else 0
    predictor = predictors[at]
    volumes = predictor.axes == "ZYX"
    seen = [observe_block(files.source, plane, block.tile, job.measured[at]) for plane in block.planes]
    counts, sigma = (np.stack(parts) if volumes else parts[0] for parts in zip(*seen, strict=True))
    haze = None if job.haze is None else _haze_of(job.run, job.haze).get(block.plane)
    smooth = None if haze is None else haze.at(0, *block.tile.sources(files.source.yx_shape))
    if smooth is not None:
        counts = counts - smooth
    try:
        found = predictor(counts, sigma, tuple(output.role for output in job.outputs))
    except MemoryError as error:
        sides = " x ".join(map(str, counts.shape))
        raise SuperlensError(
            f"memory ran out in a block of {sides} pixels with its halo; give a smaller `block`, with `restart`."
        ) from error
    for output, writer in zip(job.outputs, files.writers, strict=True):
        scale = (predictor.roles[output.role],) * 2
        y, x = block.tile.outer(scale)
        rows, columns = block.tile.inner(scale)
        values = found[output.role][..., rows, columns]
        if smooth is not None and output.role == "denoised":
            values = values + smooth[rows, columns]
        values = values / np.float32(job.units[at])
        try:
            for plane, one in enumerate(values[block.kept] if volumes else [values], start=block.plane):
                writer.write(plane, y, x, one)
        except OSError as error:
            raise not_written(output.final, error) from error


def keep_haze(path: Path, found: Mapping[int, Haze]) -> None:
    """Write the haze of each plane that has some, for every process that predicts blocks."""
    with replacing(path) as beside, beside.open("wb") as file:
        grids: dict[str, Any] = {f"{plane} {haze.side}": haze.grid for plane, haze in found.items()}
        np.savez(file, **grids)


@functools.lru_cache(maxsize=1)
def _haze_of(run: str, path: Path) -> dict[int, Haze]:
    """That of a file, which another run may have written before."""
    with np.load(path) as file:
        named = {name: tuple(map(int, name.split())) for name in file.files}
        return {plane: Haze(file[name], side) for name, (plane, side) in named.items()}


def not_written(final: Path, error: OSError) -> SuperlensError:
    """What to say when a result cannot be written."""
    return SuperlensError(
        f"{write_failure(final, error)} Finished blocks are kept; the same request goes on from there."
    )
