"""Prediction from file to file, block by block: memory is bounded whatever the size, and a run that was killed goes on where it was.

`preview` says what a run will take, `predict_file` runs it, here or on Dask workers. The result lies hidden beside its place until
it is whole, with a record of the finished blocks. The same request given again goes on from there, whatever memory it is given now;
another request for the same place is refused. The pixels do not depend on the blocks: each is a pure function of its surroundings.
"""

from __future__ import annotations

import math
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import (
    NGFF,
    ImageFile,
    LazyImage,
    block_format,
    create_blocks,
    is_zarr,
    open_blocks,
    put_in_place,
)
from superlens.model import ChannelModels, Model
from superlens.observing.haze import Haze
from superlens.predicting.blocks import BlockJob, Opened, Output, adapted_model, keep_haze, not_written
from superlens.predicting.haze import find_haze_of_file
from superlens.predicting.request import BlockOptions, Request
from superlens.progress import Progress, silent
from superlens.streaming import (
    WINDOW,
    BlockPlan,
    Ledger,
    Measured,
    choose_block,
    choose_volume_block,
    chunk_sides,
    measure,
    on_cluster,
    part_of,
    windows,
)
from superlens.tiling import free_memory

__all__ = ["Adapting", "Preview", "memory_for_a_block", "predict_file", "preview"]

Adapting: TypeAlias = Callable[[Path, int], Callable[[Image, Progress], Model | ChannelModels]]
"""From a model file and a number of steps to what trains its model so many steps further on one image after another."""

_MOST_MEMORY = 2e9  # more is rarely faster, and other programs want to live
_LEAST_MEMORY = 5e8
_TRIAL_SIDE = 128
_ADAPT_WINDOWS = 32  # of a frame: what an adaptation of some fifty steps looks at


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run will take.

    Attributes
    ----------
    sizes : dict
        Pixels along each axis of the input.
    blocks : BlockPlan
    done : int
        Blocks that an unfinished run has done already.
    memory_bytes : float
        At the peak, of this process or of each worker.
    seconds : float
        For the blocks that are left, one after the other in one process, from a measured step.
    outputs : dict
        Bytes of each result, uncompressed.
    free_bytes : int
        Room on the disk that they go to.
    messages : tuple of str
        What the sample of the image showed.
    """

    sizes: dict[str, int]
    blocks: BlockPlan
    done: int
    memory_bytes: float
    seconds: float
    outputs: dict[Path, int]
    free_bytes: int
    messages: tuple[str, ...]


def predict_file(
    model: Path | str,
    source: ImageFile | Path | str,
    out: Path | str,
    *,
    opened: Opened,
    adapting: Adapting | None = None,
    options: BlockOptions | None = None,
    progress: Progress = silent,
) -> list[Path]:
    """Apply a trained model to an image of any size.

    Parameters
    ----------
    model : Path
        A model file. Dask workers read it from the same path.
    source : ImageFile or Path
        TIFF or OME-Zarr, any axes; with a model of images every plane is one, with a model of volumes every stack.
    out : Path
        Ending in ``.ome.zarr`` or ``.ome.tif``; float32, counts above the offset (or electrons).
    opened : callable
        Makes predictors of the model file, in this process and in each worker.
    adapting : callable, optional
        What adapts a model to a frame, for a method that can.
    options : BlockOptions, optional
    progress : Progress
        May raise `superlens.progress.Cancelled`; what is done is kept for the next time.

    Returns
    -------
    list of Path
        What was written: ``out``, then the images asked for beside it.

    Raises
    ------
    SuperlensError
        If the model does not fit, the disk is too small or fills up, or another unfinished run is in the way. Finished blocks are kept.

    """
    request = Request.of(Path(model), source, Path(out), options or BlockOptions(), opened)
    if request.options.adapt and adapting is None:
        raise SuperlensError("the model's method adapts no models to single frames; leave `adapt` out")
    run = _resumed(request) or _begun(request)
    left = [number for number in range(len(run.blocks)) if number not in run.done]
    _require_room(request, share=len(left) / len(run.blocks))
    _carry_out(request, run, left, adapting, progress)
    _deliver(request, progress)
    return list(request.finals)


def preview(
    model: Path | str,
    source: ImageFile | Path | str,
    out: Path | str,
    *,
    opened: Opened,
    options: BlockOptions | None = None,
) -> Preview:
    """Say what `predict_file` will take, without writing anything; the arguments are the same.

    The time comes from one small block that is predicted twice, the second time measured.
    """
    request = Request.of(Path(model), source, Path(out), options or BlockOptions(), opened)
    kept = None if request.options.restart else _kept(request)
    blocks = _plan(request) if kept is None else kept.blocks
    done = 0 if kept is None else len(kept.done)
    measured = _measured(request) if kept is None else kept.measured
    seconds = _seconds_per_pixel(request) * blocks.block_pixels * (len(blocks) - done)
    return Preview(
        sizes=request.image.sizes,
        blocks=blocks,
        done=done,
        memory_bytes=_resident_bytes() + request.predictor.bytes_per_pixel * blocks.block_pixels,
        seconds=seconds,
        outputs={final: request.bytes_of(role) for final, role in zip(request.finals, request.roles, strict=True)},
        free_bytes=shutil.disk_usage(request.finals[0].parent).free,
        messages=tuple(dict.fromkeys(message for each in measured for message in each.messages)),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that has begun: its plan, and what is done."""

    blocks: BlockPlan
    measured: tuple[Measured, ...]
    done: frozenset[int]


def _measured(request: Request) -> tuple[Measured, ...]:
    """For each model, from what it is for."""
    image, several = request.image, len(request.predictors) > 1
    parts = [image.with_channels([at]) for at in range(len(request.predictors))] if several else [image]
    return tuple(measure(part, **one.camera) for one, part in zip(request.predictors, parts, strict=True))


def _plan(request: Request) -> BlockPlan:
    predictor, options, yx = request.predictor, request.options, request.image.yx_shape
    volumes = predictor.axes == "ZYX"
    slices = request.image.sizes["Z"] if volumes else 1
    fits = {
        "bytes_per_pixel": predictor.bytes_per_pixel,
        "memory_bytes": memory_for_a_block(
            options.memory_gb, resident_bytes=_resident_bytes(), free_bytes=free_memory(), all_there_is=volumes
        ),
    }
    depth = min(slices, _SLAB)
    if options.block is not None:
        block = _asked(options.block, predictor.align, yx)
    elif volumes:
        depth, block = choose_volume_block(
            (slices, *yx), predictor.halo, predictor.reach_z, predictor.align, predictor.edge, **fits
        )
    else:
        block = choose_block(yx, predictor.halo, predictor.align, predictor.edge, **fits)
    scale, reach_z = predictor.roles[request.roles[0]], predictor.reach_z if volumes else 0
    return BlockPlan(
        request.image.planes, yx, block, predictor.halo, predictor.align, scale, slices, depth, reach_z, predictor.edge
    )


_SLAB = 12
"""Slices of a volume that a block of given sides answers for."""


def _asked(side: int, align: int, yx: tuple[int, int]) -> tuple[int, int]:
    if side < align:
        raise SuperlensError(f"block is {side}; expected at least {align} pixels.")
    whole = [-(-n // align) * align for n in yx]
    rounded = -(-side // align) * align
    return min(rounded, whole[0]), min(rounded, whole[1])


def _kept(request: Request) -> _Run | None:
    """The unfinished run for the same place, if it is for the same request."""
    ledger = Ledger(request.finals[0])
    told = ledger.plan()
    if told is None:
        return None
    if told.get("identity") != request.identity:
        raise SuperlensError(
            f"an unfinished run for {request.finals[0]} had another model, input or outputs; "
            "give `restart` to forget it, or another `out`."
        )
    blocks = told["blocks"]
    plan = BlockPlan(**{**blocks, "yx_shape": tuple(blocks["yx_shape"]), "block": tuple(blocks["block"])})
    return _Run(plan, tuple(map(_remembered, told["measured"])), frozenset(n for n in ledger.done() if n < len(plan)))


def _remembered(measured: dict[str, Any]) -> Measured:
    return Measured(**{**measured, **{name: tuple(measured[name]) for name in ("estimated", "messages")}})


def _resumed(request: Request) -> _Run | None:
    if request.options.restart:
        _forget(request)
        return None
    kept = _kept(request)
    if kept is None:
        return None
    lost = [final for final in request.finals if not part_of(final).exists()]
    if lost and len(kept.done) < len(kept.blocks):
        raise SuperlensError(f"{part_of(lost[0])} of an unfinished run is missing; give `restart` to begin anew.")
    return kept


def _begun(request: Request) -> _Run:
    """Lay out the results, then the record: a record stands for results that are laid out."""
    measured, blocks = _measured(request), _plan(request)
    _require_room(request, share=1.0)
    _forget(request)
    try:
        for role, final in zip(request.roles, request.finals, strict=True):
            what = request.predictor.words.get(role, role)
            header = request.header(role, {"what": what, **_parameters(request, measured)})
            chunk = chunk_sides(replace(blocks, scale=request.predictor.roles[role]))
            create_blocks(part_of(final), block_format(final), header, chunk=chunk, ngff=_ngff(request.source.path))
    except OSError as error:
        _forget(request)
        raise not_written(request.finals[0], error) from error
    told = {"identity": request.identity, "blocks": asdict(blocks), "measured": [asdict(each) for each in measured]}
    Ledger(request.finals[0]).begin(told)
    return _Run(blocks, measured, frozenset())


def _parameters(request: Request, measured: tuple[Measured, ...]) -> dict[str, Any]:
    told = [one.parameters(each.camera) for one, each in zip(request.predictors, measured, strict=True)]
    if len(told) == 1:
        return told[0]
    numbers = request.source.channels or range(len(told))
    return {"channels": [{"channel": number, **each} for number, each in zip(numbers, told, strict=True)]}


def _ngff(source: Path) -> NGFF:
    return "0.5" if is_zarr(source) and (source / "zarr.json").is_file() else "0.4"


def _forget(request: Request) -> None:
    ledger = Ledger(request.finals[0])
    if ledger.path.exists():
        with ledger.held():
            ledger.forget()
    for part in (_adapted_folder(request), _haze_file(request), *map(part_of, request.finals)):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _require_room(request: Request, *, share: float) -> None:
    needed = share * sum(request.bytes_of(role) for role in request.roles)
    free = shutil.disk_usage(request.finals[0].parent).free
    if free < needed:
        raise SuperlensError(
            f"{request.finals[0].parent} has {free / 1e9:.3g} GB free and the result needs up to {needed / 1e9:.3g} GB; "
            "free some space, or give another `out`."
        )


def _carry_out(request: Request, run: _Run, left: list[int], adapting: Adapting | None, progress: Progress) -> None:
    if not left:
        return
    ledger, total = Ledger(request.finals[0]), len(run.blocks)
    with ledger.held():
        if adapting is not None and request.options.adapt:
            _adapt_frames(request, run, left, adapting, progress)
        progress(total - len(left), total, "blocks")
        finished = _finished(request, run, left, _haze(request, run))
        for done, number in enumerate(finished, start=total - len(left) + 1):
            try:
                ledger.record([number])
            except OSError as error:
                raise not_written(request.finals[0], error) from error
            progress(done, total, "blocks")


def _haze(request: Request, run: _Run) -> Path | None:
    """File of the haze of the whole image, found once; None where no predictor tells it apart."""
    if all(one.haze is None for one in request.predictors):
        return None
    path = _haze_file(request)
    if path.exists():
        return path
    image, several = request.image, len(request.predictors) > 1
    found: dict[int, Haze] = {}
    for at, predictor in enumerate(request.predictors):
        if predictor.haze is not None:
            planes = [n for n in range(image.planes) if not several or image.index_of(n).get("C", 0) == at]
            haze = find_haze_of_file(image, planes, run.measured[at], *predictor.haze)
            if haze is not None:
                found |= {plane: Haze(haze.grid[i : i + 1], haze.side) for i, plane in enumerate(planes)}
    keep_haze(path, found)
    return path


def _haze_file(request: Request) -> Path:
    return part_of(request.finals[0]).with_suffix(".haze.npz").absolute()


def _finished(request: Request, run: _Run, left: list[int], haze: Path | None) -> Iterator[int]:
    options = request.options
    outputs = tuple(
        Output(role, final.absolute(), block_format(final))
        for role, final in zip(request.roles, request.finals, strict=True)
    )
    source = replace(request.source, path=request.source.path.absolute())
    adapted = _adapted_folder(request).absolute() if request.options.adapt else None
    job = BlockJob(
        uuid.uuid4().hex,
        source,
        request.path,
        request.opened,
        run.blocks,
        run.measured,
        outputs,
        request.units,
        adapted,
        haze,
    )
    if options.workers is None:
        return map(replace(job, opened=request.reopened), left)
    return on_cluster(replace(job, device=options.device, threads=options.threads), left, options.workers)


def _deliver(request: Request, progress: Progress) -> None:
    """Make what needs all blocks, and give the results their names; a result without its part has its name already."""
    for final in request.finals:
        part = part_of(final)
        if not part.exists():
            continue
        try:
            open_blocks(part, block_format(final)).finish(progress)
            put_in_place(part, final.resolve())
        except OSError as error:
            raise not_written(final, error) from error
    Ledger(request.finals[0]).forget()
    shutil.rmtree(_adapted_folder(request), ignore_errors=True)
    _haze_file(request).unlink(missing_ok=True)


def _adapt_frames(request: Request, run: _Run, left: list[int], adapting: Adapting, progress: Progress) -> None:
    """Make the models of the frames whose blocks are left; those of a run that was stopped are there already."""
    folder, axes = _adapted_folder(request), request.predictor.axes
    adapted = adapting(request.path, request.options.adapt)
    frames = sorted({request.image.index_of(run.blocks[number].plane).get("T", 0) for number in left})
    try:
        folder.mkdir(exist_ok=True)
        for at, frame in enumerate(frames):
            progress(at, len(frames), "adapting")
            place = adapted_model(folder, frame)
            if not place.exists():
                number = _windows_of_a_frame(request.image, axes)
                taken = windows(request.image, axes=axes, number=number, seed=0, frames=[frame])
                told = _quiet(progress, at, len(frames))
                adapted(taken, told).save(place)
    except OSError as error:
        raise not_written(request.finals[0], error) from error


def _windows_of_a_frame(image: LazyImage, axes: str) -> int:
    """As many as its planes, or its volume, have parts, and no more than the steps look at."""
    parts = math.prod(-(-side // WINDOW[axes]) for side in image.yx_shape)
    return min(_ADAPT_WINDOWS, parts * (image.sizes.get("Z", 1) if axes == "YX" else 1))


def _quiet(progress: Progress, at: int, number: int) -> Progress:
    def tell(done: int, total: int, message: str) -> None:
        progress(at, number, "adapting")

    return tell


def _adapted_folder(request: Request) -> Path:
    final = request.finals[0]
    return final.with_name(f".{final.name}.adapted")


def _seconds_per_pixel(request: Request) -> float:
    """Time for one pixel of a block, halo included, from a block of noise that is predicted twice."""
    predictor = request.predictor
    side = -(-min(_TRIAL_SIDE, *request.image.yx_shape) // predictor.align) * predictor.align
    shape: tuple[int, ...] = (side + 2 * predictor.halo,) * 2
    if predictor.axes == "ZYX":
        shape = (min(request.image.sizes["Z"], 8), side, side)
    counts = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    for _ in range(2):  # the first time the engine prepares itself
        began = time.perf_counter()
        predictor(counts, np.full_like(counts, 10), request.roles)
    return (time.perf_counter() - began) / math.prod(shape)


def memory_for_a_block(
    memory_gb: float | None, *, resident_bytes: float, free_bytes: float, all_there_is: bool = False
) -> float:
    """What is left for a block within the memory that the process may take; a process that holds much already gets a little more.

    Blocks of volumes read much beyond what they answer for, and the less the larger they are: for them the half of all there is.
    """
    if memory_gb is not None:
        return memory_gb * 1e9 - resident_bytes
    half = free_bytes / 2
    if all_there_is:
        return half
    return max(min(half, _MOST_MEMORY - resident_bytes), min(half, _LEAST_MEMORY))


def _resident_bytes() -> float:
    """Memory of this process as it is now, the engine and the model included."""
    import psutil

    return float(psutil.Process().memory_info().rss)
