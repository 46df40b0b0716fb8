"""``superlens predict --out NAME.ome.zarr``: prediction by blocks, for images larger than memory, here or on a Dask cluster.

The options are gathered into one `StreamChoice`, which runs the prediction or says what it would take.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from superlens.cli.failures import note
from superlens.cli.folders import find_inputs, megabytes
from superlens.cli.options import HostChoice, ImageChoice
from superlens.errors import SuperlensError
from superlens.progress import Progress, duration

if TYPE_CHECKING:
    from superlens.methods.zsdeconv import BlockOptions, Preview

__all__ = ["StreamChoice", "stream_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StreamChoice:
    """How to go through a large image; used when ``--out`` names an image instead of a folder."""

    also: tuple[Literal["denoised", "uncertainty"], ...]
    dry_run: bool
    memory_gb: float | None
    block: int | None
    scheduler: str | None
    workers: int | None
    restart: bool

    def applies(self, out: Path) -> bool:
        """Whether ``--out`` names an image; if not, none of these options may be given.

        Raises
        ------
        SuperlensError
            When one is.
        """
        from superlens.io import IMAGE_SUFFIXES, is_zarr

        if out.suffix.lower() in IMAGE_SUFFIXES and (is_zarr(out) or not out.is_dir()):
            return True
        given = [field.name for field in fields(self) if getattr(self, field.name) not in (None, False, ())]
        if given:
            option = "--" + given[0].replace("_", "-")
            raise SuperlensError(f"{option} needs --out to name an image, like {out.name or 'cell'}_sr.ome.zarr.")
        return False

    def run(
        self,
        inputs: Sequence[Path],
        model: Path,
        out: Path,
        channel: tuple[int, ...],
        about: tuple[ImageChoice, HostChoice, int | None],
        progress: Progress,
    ) -> list[str]:
        """Predict, or with ``--dry-run`` only look; return the lines to print."""
        image, host, adapt = about
        files = find_inputs(inputs)
        if len(files) != 1:
            raise SuperlensError(
                f"--out names one image and there are {len(files)} inputs; give one, or a folder with --out."
            )
        if self.scheduler is not None and self.workers is not None:
            raise SuperlensError(
                "both --scheduler and --workers are given; expected a cluster or a number of processes."
            )
        if image.corrects:
            raise SuperlensError(
                "stripes and sensor maps are taken off whole images only; correct the image first, or name a folder with --out."
            )
        host.start()
        from superlens.methods import zsdeconv

        source = image.file(files[0], channel or None)
        options = self._options(host, adapt or 0)
        if self.dry_run:
            return _lines(zsdeconv.preview(model, source, out, options=options))
        if out.parent.is_dir() and (out.parent / f".{out.name}.state").exists() and not self.restart:
            note(f"going on with the unfinished run for {out}")
        written = zsdeconv.predict_file(model, source, out, options=options, progress=progress)
        return [str(path) for path in written]

    def _options(self, host: HostChoice, adapt: int) -> BlockOptions:
        from superlens.methods.zsdeconv import BlockOptions
        from superlens.streaming import Workers

        several = self.scheduler is not None or self.workers is not None
        return BlockOptions(
            also=self.also,
            block=self.block,
            memory_gb=self.memory_gb,
            workers=Workers(self.scheduler, self.workers) if several else None,
            restart=self.restart,
            adapt=adapt,
            device=host.device,
            threads=host.threads,
        )


def stream_options(command: F) -> F:
    """Add the options for large images; the command receives them as ``stream``."""

    @functools.wraps(command)
    def call(**given: Any) -> Any:
        own = {field.name: given.pop(field.name) for field in fields(StreamChoice)}
        return command(**given, stream=StreamChoice(**own))

    decorated: Any = call
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


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


_OPTIONS = (
    click.option(
        "--also",
        multiple=True,
        type=click.Choice(("denoised", "uncertainty")),
        help="A further image to write beside the main one (repeatable).",
    ),
    click.option("--dry-run", is_flag=True, help="Only say which blocks, memory, time and room it would take."),
    click.option(
        "--memory-gb",
        type=click.FloatRange(min=0, min_open=True),
        help="Memory of each process; default: half of what is free, at most 2.",
    ),
    click.option(
        "--block", type=click.IntRange(min=16), help="Side of a block, camera pixels; default: by the memory."
    ),
    click.option("--scheduler", help="Address of a Dask scheduler, like tcp://HOST:8786."),
    click.option("--workers", type=click.IntRange(min=1), help="Dask processes on this machine."),
    click.option("--restart", is_flag=True, help="Forget an unfinished run for the same --out."),
)
