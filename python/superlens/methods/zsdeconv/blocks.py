"""A trained model as a pure function from a block and its halo to blocks of the result, and as work that any process can do."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io import BlockFormat, BlockWriter, ImageFile, LazyImage, open_blocks, write_failure
from superlens.methods.zsdeconv.apply import stated_error
from superlens.methods.zsdeconv.learn import start_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.task import lens_of
from superlens.methods.zsdeconv.turning import run_light
from superlens.model import ChannelModels, Model
from superlens.networks import architecture
from superlens.observing.conditioning import condition
from superlens.streaming import BlockPlan, Measured, observe_block, part_of
from superlens.training import out_of_memory_errors, select_device

__all__ = ["BlockJob", "BlockPredictor", "Kind", "Output", "adapted_model", "not_written"]

Array = NDArray[np.float32]

Kind: TypeAlias = Literal["sr", "denoised", "uncertainty"]
"""The images that a model makes."""


class BlockPredictor:
    """Predicts blocks.

    Parameters
    ----------
    model : Model
        Of the zsdeconv method, for images or volumes, with a network of finite reach.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._config = ZSDeconvConfig(**model.config.settings)
        self._lens = lens_of(model.psf, model.config.scale, model.config.axes, model.config.response)
        self._start = start_of(model)
        known = architecture(model.config.network)
        self.volumes = known.axes == "ZYX"
        self.halo, self.align, self.reach_z = known.halo, known.align, known.reach_z
        self.bytes_per_pixel = known.bytes_per_pixel
        self._plain = known.inputs == "image"
        stated = known.says_error and model.config.spread is not None
        self.kinds: tuple[Kind, ...] = (
            ("denoised",) if self._config.denoise_only else ("sr", "denoised", *(("uncertainty",) if stated else ()))
        )

    def scale(self, kind: Kind) -> int:
        """Fine pixels of an image along one camera pixel."""
        return 1 if kind == "denoised" else self._model.config.scale

    def __call__(self, counts: Array, sigma: Array, kinds: tuple[Kind, ...]) -> dict[Kind, Array]:
        """Predict one block.

        Parameters
        ----------
        counts, sigma : ndarray, shape ([Z,] Y, X), float32, counts
            Halo included.
        kinds : tuple of {"sr", "denoised", "uncertainty"}
            What is wanted, of `kinds`.

        Returns
        -------
        dict
            Arrays ``([Z,] scale * Y, scale * X)`` in counts above the offset; right where a halo lies around them.
        """
        if self._plain:
            normaliser = self._model.normaliser
            outputs = self._model.network.predict_on_batch(normaliser.forward(counts)[None, ..., None])
            found = dict(zip(("denoised", "sr"), (normaliser.backward(o[0, ..., 0]) for o in outputs), strict=True))
        else:
            found = self._light(counts, sigma, stated="uncertainty" in kinds)
        return {kind: found[kind] for kind in kinds}

    def _light(self, counts: Array, sigma: Array, *, stated: bool) -> dict[str, Array]:
        normaliser, flips = self._model.normaliser, self._config.flips
        channels = condition(counts, sigma, normaliser, self._lens.bank)
        denoised, sharp, log_sigma = run_light(self._model.network, channels, flips=flips)
        found = {"denoised": normaliser.backward(denoised), "sr": normaliser.backward(sharp)}
        if stated:
            before = None
            if self._start is not None:
                _, earlier, log_sigma = run_light(self._start, channels, flips=flips)
                before = normaliser.backward(earlier)
            found["uncertainty"] = stated_error(self._model, found["sr"], before, log_sigma)
        return found


@dataclass(frozen=True, slots=True)
class Output:
    """An image that is being made.

    Attributes
    ----------
    kind : {"sr", "denoised", "uncertainty"}
    final : Path
        Where it shall be in the end.
    form : {"zarr", "tiff"}
    """

    kind: Kind
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
    blocks : BlockPlan
    measured : tuple of Measured
    outputs : tuple of Output
    units : tuple of float
        Counts that are one in the result; like `measured`, one for each model of the file.
    adapted : Path or None
        Folder of the models that were adapted to a frame each.
    device : str or None
    threads : int or None
        Where another process computes; None leaves it as it is.
    """

    run: str
    source: ImageFile
    model: Path
    blocks: BlockPlan
    measured: tuple[Measured, ...]
    outputs: tuple[Output, ...]
    units: tuple[float, ...] = (1.0,)
    adapted: Path | None = None
    device: str | None = None
    threads: int | None = None

    def model_of(self, frame: int) -> Path:
        """The model file for a frame."""
        return self.model if self.adapted is None else adapted_model(self.adapted, frame)

    def __call__(self, number: int) -> int:
        """Predict and write one block; return its number."""
        with _ONE_AT_A_TIME:
            _do(_bench(self), self, number)
        return number


def adapted_model(folder: Path, frame: int) -> Path:
    """Where the model that was adapted to a frame lies."""
    return folder / f"t{frame}.zip"


_ONE_AT_A_TIME = threading.Lock()
"""A worker may have several threads; it has one model, and one network computes at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What a process opens once for a run."""

    source: LazyImage
    writers: tuple[BlockWriter, ...]


@functools.lru_cache(maxsize=1)
def _bench(job: BlockJob) -> _Bench:
    if job.threads is not None or job.device is not None:
        _choose_device(job.device, job.threads)
    return _Bench(job.source.open(), tuple(output.open() for output in job.outputs))


@functools.lru_cache(maxsize=1)
def _predictors(run: str, path: Path) -> tuple[BlockPredictor, ...]:
    """Those of a model file, one for each channel; blocks of one frame come one after the other."""
    return tuple(BlockPredictor(model) for model in ChannelModels.load(path).models)


@functools.lru_cache(maxsize=1)
def _choose_device(device: str | None, threads: int | None) -> None:
    """Once in the life of a worker, which may do several runs."""
    select_device(device, threads)


def _do(bench: _Bench, job: BlockJob, number: int) -> None:
    block = job.blocks[number]
    index = bench.source.index_of(block.plane)
    predictors = _predictors(job.run, job.model_of(index.get("T", 0)))
    at = index.get("C", 0) if len(predictors) > 1 else 0
    predictor = predictors[at]
    seen = [observe_block(bench.source, plane, block.tile, job.measured[at]) for plane in block.planes]
    counts, sigma = (np.stack(parts) if predictor.volumes else parts[0] for parts in zip(*seen, strict=True))
    short: tuple[type[BaseException], ...] = (MemoryError, *out_of_memory_errors())
    try:
        found = predictor(counts, sigma, tuple(output.kind for output in job.outputs))
    except short as error:
        sides = " x ".join(map(str, counts.shape))
        raise SuperlensError(
            f"memory ran out in a block of {sides} pixels with its halo; give a smaller `block`, with `restart`."
        ) from error
    for output, writer in zip(job.outputs, bench.writers, strict=True):
        scale = (predictor.scale(output.kind),) * 2
        y, x = block.tile.outer(scale)
        rows, columns = block.tile.inner(scale)
        values = found[output.kind][..., rows, columns] / np.float32(job.units[at])
        try:
            for plane, one in enumerate(values[block.kept] if predictor.volumes else [values], start=block.plane):
                writer.write(plane, y, x, one)
        except OSError as error:
            raise not_written(output.final, error) from error


def not_written(final: Path, error: OSError) -> SuperlensError:
    """What to say when a result cannot be written."""
    return SuperlensError(
        f"{write_failure(final, error)} Finished blocks are kept; the same request goes on from there."
    )
