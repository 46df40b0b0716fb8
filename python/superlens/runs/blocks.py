"""``predict`` when ``out`` names an image: one input of any size, block by block, here or on a Dask cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from superlens.errors import SuperlensError
from superlens.parameters import Parameter
from superlens.progress import duration
from superlens.runs.folders import megabytes
from superlens.runs.verb import Outcome, Request

if TYPE_CHECKING:
    from superlens.predicting import BlockOptions, Preview

__all__ = ["BLOCKS", "by_blocks", "predict_by_blocks"]

BLOCKS = (
    Parameter("also", "choice", "A further image to write beside the main one (repeatable).", choices=("denoised", "uncertainty"), several=True),
    Parameter("memory_gb", "float", "Memory of each process, in GB; default: half of the free memory, at most 2.", least=0, above=True),
    Parameter("block", "int", "Side of a block, camera pixels; default: by the memory.", least=16),
    Parameter("scheduler", "text", "Address of a Dask scheduler, like tcp://HOST:8786."),
    Parameter("workers", "int", "Dask processes on this machine.", least=1),
    Parameter("restart", "flag", "Discard an unfinished run for the same `out`."),
)  # fmt: skip


def by_blocks(request: Request) -> bool:
    """Whether ``out`` names an image; if not, nothing of `BLOCKS` may be given.

    Raises
    ------
    SuperlensError
        When something is.
    """
    from superlens.io import IMAGE_SUFFIXES, is_zarr

    out = request.path("out")
    if out is not None and out.suffix.lower() in IMAGE_SUFFIXES and (is_zarr(out) or not out.is_dir()):
        return True
    given = [p.name for p in BLOCKS if request.given.get(p.name) not in (None, False, ())]
    if given:
        name = out.name if out is not None and out.name else "cell"
        raise SuperlensError(f"`{given[0]}` needs `out` to name an image, like {name}_sr.ome.zarr.")
    return False


def predict_by_blocks(request: Request) -> Outcome:
    """Predict, or only look at what it would take."""
    out, model = request.path("out"), request.path("model")
    assert out is not None
    if model is None:
        raise SuperlensError("`model` is missing; give a model file from training or enhancing.")
    files = request.files
    if len(files) != 1:
        raise SuperlensError(
            f"`out` names one image and there are {len(files)} inputs; give one, or a folder with `out`."
        )
    if request.get("strict"):
        raise SuperlensError(
            "`strict` acts on a verdict, and a result that is written block by block has none; name a folder in `out`."
        )
    if request.get("scheduler") is not None and request.get("workers") is not None:
        raise SuperlensError("both `scheduler` and `workers` are given; expected a cluster or a number of processes.")
    if request.reading.corrects:
        raise SuperlensError(
            "stripes and sensor maps are taken off whole images only; correct the image first, or name a folder with `out`."
        )
    request.engine()
    from superlens.enhancing import predict_file, preview

    source = request.reading.file(files[0], tuple(request.get("channel", ())) or None)
    options = _options(request)
    if request.get("dry_run"):
        return Outcome(text="\n".join(_lines(preview(model, source, out, options=options))))
    if out.parent.is_dir() and (out.parent / f".{out.name}.state").exists() and not request.get("restart"):
        request.session.note(f"continuing the unfinished run for {out}")
    written = predict_file(model, source, out, options=options, progress=request.session.progress)
    for path in written:
        request.session.wrote(path)
    return Outcome(files=tuple(written))


def _options(request: Request) -> BlockOptions:
    from superlens.predicting import BlockOptions
    from superlens.streaming import Workers

    scheduler, workers = request.get("scheduler"), request.get("workers")
    options = BlockOptions(
        also=tuple(request.get("also", ())),
        block=request.get("block"),
        memory_gb=request.get("memory_gb"),
        restart=bool(request.get("restart")),
        adapt=int(request.get("adapt", 0)),
        device=request.get("device"),
        threads=request.get("threads"),
    )
    several = scheduler is not None or workers is not None
    return replace(options, workers=Workers(scheduler, workers) if several else None)


def _lines(preview: Preview) -> list[str]:
    blocks = preview.blocks
    sizes = ", ".join(f"{axis} {size}" for axis, size in preview.sizes.items())
    left = len(blocks) - preview.done
    done = f", {preview.done} of them done" if preview.done else ""
    lines = [
        f"input:  {sizes}",
        f"blocks: {len(blocks)} of {' x '.join(map(str, blocks.block))} pixels, and {blocks.halo} around each{done}",
        f"memory: about {megabytes(preview.memory_bytes)} in each process",
        f"time:   about {duration(preview.seconds)} for {left} blocks in one process, from one small block measured",
    ]
    lines += [f"output: {path}, {megabytes(size)} before compression" for path, size in preview.outputs.items()]
    lines.append(f"disk:   {megabytes(preview.free_bytes)} free")
    return [*lines, *(f"note:   {message}" for message in preview.messages)]
