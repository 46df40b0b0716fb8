"""``superlens enhance``, ``train`` and ``predict``: from image files to images, a model and a report.

All inputs are read, and the place for the results is checked, before any training begins. A run that is stopped by Ctrl-C keeps
what it has learned; one that is killed goes on from its checkpoint with ``--resume``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from superlens.cli.failures import EXIT_STOPPED, note, say, warn
from superlens.cli.folders import OutputFolder, find_inputs
from superlens.cli.options import (
    HostChoice,
    ImageChoice,
    LearningChoice,
    OpticsChoice,
    host_options,
    image_options,
    learning_options,
    optics_options,
    path_type,
)
from superlens.cli.stream import StreamChoice, stream_options
from superlens.errors import SuperlensError
from superlens.progress import Cancelled, Progress, console

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.methods.zsdeconv import Result, ZSDeconvConfig
    from superlens.optics import PSF, Objective

__all__ = ["bytes_needed", "enhance", "predict", "train"]

_MODEL_BYTES = {"light": 80_000_000, "unet": 600_000_000}  # model, checkpoint with optimizer and best weights, report
_inputs_argument = click.argument("inputs", nargs=-1, required=True, type=path_type)
_resume_option = click.option("--resume", is_flag=True, help="Go on from the checkpoint of a run that was killed.")


@click.command()
@_inputs_argument
@click.option("--out", required=True, type=path_type, help="Folder for the results.")
@optics_options
@image_options
@learning_options
@_resume_option
@host_options
@click.pass_context
def enhance(
    context: click.Context,
    inputs: tuple[Path, ...],
    out: Path,
    optics: OpticsChoice,
    image: ImageChoice,
    learning: LearningChoice,
    host: HostChoice,
    resume: bool,
) -> None:
    """Denoise and super-resolve images by what they hold themselves.

    INPUTS are image files and folders of them; several images of one kind train one model. Writes NAME_sr.tif, NAME_denoised.tif
    and NAME_confidence.tif for each, model.zip, report.html and run.json.
    """
    files, images, lens = _read_all(inputs, image, optics, denoise_only=learning.denoise_only)
    host.start()
    from superlens.cli.results import file_names, write_results
    from superlens.methods import zsdeconv

    config = learning.load()
    folder = OutputFolder(out, tuple(files))
    names = [*file_names(files, config.denoise_only), "model.zip"]
    room = folder.prepared(names, bytes_needed(images, config))
    with room, _checkpoint(out / ".checkpoint", resume=resume) as checkpoint, _working() as work:
        results = zsdeconv.enhance(images, lens, config=config, checkpoint=checkpoint, progress=work.progress)
        with folder.delivery() as staging:
            written = write_results(staging, files, results, began=work.began, model=results[0].model)
        _finish(context, work, checkpoint, [out / name for name in written], results)


@click.command()
@_inputs_argument
@click.option("--model", required=True, type=path_type, help="File for the trained model, like mt.zip.")
@optics_options
@image_options
@learning_options
@_resume_option
@host_options
@click.pass_context
def train(
    context: click.Context,
    inputs: tuple[Path, ...],
    model: Path,
    optics: OpticsChoice,
    image: ImageChoice,
    learning: LearningChoice,
    host: HostChoice,
    resume: bool,
) -> None:
    """Train a model on images of one kind, for `superlens predict`."""
    if model.is_dir():
        raise SuperlensError(f"{model} is a folder; --model names the file to write, like {model / 'mt.zip'}.")
    files, images, lens = _read_all(inputs, image, optics, denoise_only=learning.denoise_only)
    host.start()
    from superlens.methods import zsdeconv

    config = learning.load()
    folder = OutputFolder(model.parent, tuple(files))
    room = folder.prepared([model.name], _MODEL_BYTES[config.network])
    kept = model.with_name(f".{model.name}.checkpoint")
    with room, _checkpoint(kept, resume=resume) as checkpoint, _working() as work:
        trained = zsdeconv.train(images, lens, config=config, checkpoint=checkpoint, progress=work.progress)
        with folder.delivery() as staging:
            trained.save(staging / model.name)
        _finish(context, work, checkpoint, [model], [])


@click.command()
@_inputs_argument
@click.option("--model", required=True, type=path_type, help="A model file from `superlens train` or `enhance`.")
@click.option(
    "--out", required=True, type=path_type, help="Folder for the results, or one image: NAME.ome.zarr, NAME.ome.tif."
)
@image_options
@stream_options
@host_options
@click.pass_context
def predict(
    context: click.Context,
    inputs: tuple[Path, ...],
    model: Path,
    out: Path,
    image: ImageChoice,
    stream: StreamChoice,
    host: HostChoice,
) -> None:
    """Apply a trained model to more images of its kind.

    When --out names an image, one input of any size goes through block by block; killed and started again, it goes on where it was.
    """
    if stream.applies(out):
        with _working() as work:
            click.echo("\n".join(stream.run(inputs, model, out, image, host, work.progress)))
        return
    files = find_inputs(inputs)
    size = sum(_output_bytes(image.read(file)) for file in files)
    host.start()
    from superlens.cli.results import file_names, write_results, write_run
    from superlens.methods import zsdeconv
    from superlens.model import Model

    trained = Model.load(model)
    for file in files:
        trained.check_fits(image.read(file))
    folder = OutputFolder(out, (*files, model))
    with folder.prepared(file_names(files, trained.psf is None), size + 20_000_000), _working() as work:
        results: list[Result] = []
        for file in files:
            results.append(zsdeconv.predict(trained, image.read(file), progress=work.progress))
            with folder.delivery() as staging:
                written = write_results(
                    staging, [file], results[-1:], began=work.began, alone=len(files) == 1, run=False
                )
            for message in results[-1].messages:
                note(message)
            click.echo("\n".join(str(out / name) for name in written))
        with folder.delivery() as staging:
            write_run(staging, files, results)
    click.echo(str(out / "run.json"))
    if work.stopped:
        context.exit(EXIT_STOPPED)


class _Work:
    """Progress on the console, and Ctrl-C turned into a polite request to stop."""

    def __init__(self, show: Progress) -> None:
        self._show = show
        self._pending = False
        self.stopped = False
        self.began = datetime.now().astimezone()

    def progress(self, done: int, total: int, message: str) -> None:
        """Show where the work is; raise `Cancelled` once after a request to stop."""
        self._show(done, total, message)
        if self._pending:
            self._pending = False
            raise Cancelled

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first asks for an end, the second ends at once."""
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = self._pending = True
        say("stopping; what was learned is kept. Press Ctrl-C again to end at once.")


@contextlib.contextmanager
def _working() -> Iterator[_Work]:
    with console() as show:
        work = _Work(show)
        if threading.current_thread() is not threading.main_thread():
            yield work
            return
        before = {number: signal.signal(number, work.request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield work
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _read_all(
    inputs: Sequence[Path], choice: ImageChoice, optics: OpticsChoice, *, denoise_only: bool
) -> tuple[list[Path], list[Image], Objective | PSF | None]:
    """Read everything that the run depends on, so that nothing is refused after the training."""
    files = find_inputs(inputs)
    lens = optics.load() if optics.given or not denoise_only else None
    images = [choice.read(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.pixel_nm is None and not denoise_only:
            raise SuperlensError(f"{file} has no pixel size; give it with --pixel-nm, in nanometres on the specimen.")
    return files, images, lens


@contextlib.contextmanager
def _checkpoint(path: Path, *, resume: bool) -> Iterator[Path]:
    """Give the place of the checkpoint: with the earlier one in it to resume, else empty.

    An earlier one that is not wanted is put back if the run fails before it has one of its own.
    """
    aside = path.with_name(path.name + ".earlier")
    if resume and not path.exists():
        warn(f"there is no checkpoint {path} to go on from; the training starts afresh.")
    if path.exists() and not resume:
        warn(f"an earlier run left {path}; the training starts afresh. With --resume it would go on from there.")
        os.replace(path, aside)
    try:
        yield path
    finally:
        if aside.exists() and not path.exists() and sys.exc_info()[0] is not None:
            os.replace(aside, path)
        aside.unlink(missing_ok=True)


def _output_bytes(image: Image) -> int:
    return 4 * image.data.size * (1 + 2 * 4) + 8_000_000


def bytes_needed(images: Sequence[Image], config: ZSDeconvConfig) -> int:
    """Estimate how much room the results of a training take, the model and its checkpoint included."""
    return _MODEL_BYTES[config.network] + sum(_output_bytes(image) for image in images)


def _finish(
    context: click.Context, work: _Work, checkpoint: Path, written: Sequence[Path], results: Sequence[Result]
) -> None:
    for message in dict.fromkeys(message for result in results for message in result.messages):
        note(message)
    for path in written:
        click.echo(str(path))
    if work.stopped:
        say("stopped early: these are from what was learned so far. The same command with --resume goes on.")
        context.exit(EXIT_STOPPED)
    checkpoint.unlink(missing_ok=True)
