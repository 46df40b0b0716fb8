"""A trained model as a pure function from a block and its halo to blocks of the result, and as work that any process can do."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.conditioning import condition
from superlens.errors import SuperlensError
from superlens.io import BlockFormat, BlockWriter, ImageFile, LazyImage, open_blocks, write_failure
from superlens.methods.zsdeconv.apply import BYTES_PER_PIXEL, halo_of, stated_error
from superlens.methods.zsdeconv.learn import start_of
from superlens.methods.zsdeconv.light import run_light
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.task import Lens
from superlens.model import Model
from superlens.networks import architecture
from superlens.streaming import BlockPlan, Measured, observe_block, part_of
from superlens.training import out_of_memory_errors, select_device

__all__ = ["BlockJob", "BlockPredictor", "Kind", "Output", "not_written"]

Array = NDArray[np.float32]

Kind: TypeAlias = Literal["sr", "denoised", "confidence"]
"""The images that a model makes."""


class BlockPredictor:
    """Predicts blocks.

    Parameters
    ----------
    model : Model
        Of the zsdeconv method, with a 2D network.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._config = ZSDeconvConfig(**model.config.settings)
        self._lens = Lens.of(model.psf, model.config.scale)
        self._start = start_of(model)
        network = model.config.network
        self.halo, self.align = halo_of(network), architecture(network).align
        self.bytes_per_pixel = BYTES_PER_PIXEL[network]
        stated = network == "light" and model.config.spread is not None
        self.kinds: tuple[Kind, ...] = (
            ("denoised",) if self._config.denoise_only else ("sr", "denoised", *(("confidence",) if stated else ()))
        )

    def scale(self, kind: Kind) -> int:
        """Fine pixels of an image along one camera pixel."""
        return 1 if kind == "denoised" else self._model.config.scale

    def __call__(self, counts: Array, sigma: Array, kinds: tuple[Kind, ...]) -> dict[Kind, Array]:
        """Predict one block.

        Parameters
        ----------
        counts, sigma : ndarray, shape (Y, X), float32, counts
            Halo included.
        kinds : tuple of {"sr", "denoised", "confidence"}
            What is wanted, of `kinds`.

        Returns
        -------
        dict
            Arrays ``(scale * Y, scale * X)`` in counts above the offset; right where a halo lies around them.
        """
        if self._model.config.network == "unet":
            normaliser = self._model.normaliser
            outputs = self._model.network.predict_on_batch(normaliser.forward(counts)[None, ..., None])
            found = dict(zip(("denoised", "sr"), (normaliser.backward(o[0, ..., 0]) for o in outputs), strict=True))
        else:
            found = self._light(counts, sigma, stated="confidence" in kinds)
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
            found["confidence"] = stated_error(self._model, found["sr"], before, log_sigma)
        return found


@dataclass(frozen=True, slots=True)
class Output:
    """An image that is being made.

    Attributes
    ----------
    kind : {"sr", "denoised", "confidence"}
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
    measured : Measured
    outputs : tuple of Output
    unit : float
        Counts that are one in the result.
    device : str or None
    threads : int or None
        Where another process computes; None leaves it as it is.
    """

    run: str
    source: ImageFile
    model: Path
    blocks: BlockPlan
    measured: Measured
    outputs: tuple[Output, ...]
    unit: float = 1.0
    device: str | None = None
    threads: int | None = None

    def __call__(self, number: int) -> int:
        """Predict and write one block; return its number."""
        with _ONE_AT_A_TIME:
            _do(_bench(self), self, number)
        return number


_ONE_AT_A_TIME = threading.Lock()
"""A worker may have several threads; it has one model, and one network computes at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """What a process opens once for a run."""

    source: LazyImage
    predictor: BlockPredictor
    writers: tuple[BlockWriter, ...]


@functools.lru_cache(maxsize=1)
def _bench(job: BlockJob) -> _Bench:
    if job.threads is not None or job.device is not None:
        _choose_device(job.device, job.threads)
    predictor = BlockPredictor(Model.load(job.model))
    writers = tuple(output.open() for output in job.outputs)
    return _Bench(job.source.open(), predictor, writers)


@functools.lru_cache(maxsize=1)
def _choose_device(device: str | None, threads: int | None) -> None:
    """Once in the life of a worker, which may do several runs."""
    select_device(device, threads)


def _do(bench: _Bench, job: BlockJob, number: int) -> None:
    block = job.blocks[number]
    counts, sigma = observe_block(bench.source, block.plane, block.tile, job.measured)
    short: tuple[type[BaseException], ...] = (MemoryError, *out_of_memory_errors())
    try:
        found = bench.predictor(counts, sigma, tuple(output.kind for output in job.outputs))
    except short as error:
        sides = " x ".join(map(str, block.tile.shape))
        raise SuperlensError(
            f"memory ran out in a block of {sides} pixels with its halo; give a smaller --block, with --restart."
        ) from error
    for output, writer in zip(job.outputs, bench.writers, strict=True):
        scale = (bench.predictor.scale(output.kind),) * 2
        y, x = block.tile.outer(scale)
        values = found[output.kind][block.tile.inner(scale)] / np.float32(job.unit)
        try:
            writer.write(block.plane, y, x, values)
        except OSError as error:
            raise not_written(output.final, error) from error


def not_written(final: Path, error: OSError) -> SuperlensError:
    """What to say when a result cannot be written."""
    return SuperlensError(
        f"{write_failure(final, error)} Finished blocks are kept; the same request goes on from there."
    )
