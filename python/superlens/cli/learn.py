"""``superlens enhance``, ``train`` and ``predict``: from image files to images, a model and a report.

All inputs are read, and the place for the results is checked, before any training begins. A run that is stopped by Ctrl-C keeps
what it has learned; one that is killed goes on from its checkpoint with ``--resume``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superlens.cli.failures import EXIT_STOPPED, note, say
from superlens.cli.folders import OutputFolder, find_inputs
from superlens.cli.options import (
    HostChoice,
    ImageChoice,
    LearningChoice,
    MovieChoice,
    OpticsChoice,
    corrected_image_options,
    host_options,
    learning_options,
    optics_options,
    path_type,
)
from superlens.cli.stream import StreamChoice, stream_options
from superlens.cli.work import Work, checkpointed, working
from superlens.errors import SuperlensError

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
@corrected_image_options
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
    with room, checkpointed(out / ".checkpoint", resume=resume) as checkpoint, working() as work:
        results = zsdeconv.enhance(images, lens, config=config, checkpoint=checkpoint, progress=work.progress)
        with folder.delivery() as staging:
            written = write_results(staging, files, results, began=work.began, model=results[0].model)
        _finish(context, work, checkpoint, [out / name for name in written], results)


@click.command()
@_inputs_argument
@click.option("--model", required=True, type=path_type, help="File for the trained model, like mt.zip.")
@click.option(
    "--method", type=click.Choice(("zsdeconv", "deepstorm")), default="zsdeconv", show_default=True,
    help="deepstorm: single molecules, from one movie.",
)  # fmt: skip
@click.option("--truth", type=path_type, help="deepstorm: table of the positions in the movie's own frames.")
@click.option("--psf-sigma-nm", type=float, help="deepstorm: standard deviation of a molecule's image, in nm.")
@optics_options
@corrected_image_options
@learning_options
@_resume_option
@host_options
@click.pass_context
def train(
    context: click.Context,
    inputs: tuple[Path, ...],
    model: Path,
    method: str,
    truth: Path | None,
    psf_sigma_nm: float | None,
    optics: OpticsChoice,
    image: ImageChoice,
    learning: LearningChoice,
    host: HostChoice,
    resume: bool,
) -> None:
    """Train a model on images of one kind, for `superlens predict`, or on a movie, for `superlens localize`."""
    if model.is_dir():
        raise SuperlensError(f"{model} is a folder; --model names the file to write, like {model / 'mt.zip'}.")
    if method == "deepstorm":
        if image.corrects:
            raise SuperlensError(
                "stripes and sensor maps are not taken off movies for --method deepstorm; leave them out."
            )
        from superlens.cli.localize import train_deepstorm

        facts = MovieChoice(psf_sigma_nm, optics.na, optics.wavelength_nm, *learning.camera)
        train_deepstorm(context, inputs, model, truth, (image, facts, learning, host), resume=resume)
        return
    if truth is not None or psf_sigma_nm is not None:
        raise SuperlensError("--truth and --psf-sigma-nm belong to --method deepstorm; leave them out or add it.")
    files, images, lens = _read_all(inputs, image, optics, denoise_only=learning.denoise_only)
    host.start()
    from superlens.methods import zsdeconv

    config = learning.load()
    folder = OutputFolder(model.parent, tuple(files))
    room = folder.prepared([model.name], _MODEL_BYTES[config.network])
    kept = model.with_name(f".{model.name}.checkpoint")
    with room, checkpointed(kept, resume=resume) as checkpoint, working() as work:
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
@corrected_image_options
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
        with working() as work:
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
    with folder.prepared(file_names(files, trained.psf is None), size + 20_000_000), working() as work:
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


def _output_bytes(image: Image) -> int:
    return 4 * image.data.size * (1 + 2 * 4) + 8_000_000


def bytes_needed(images: Sequence[Image], config: ZSDeconvConfig) -> int:
    """Estimate how much room the results of a training take, the model and its checkpoint included."""
    return _MODEL_BYTES[config.network] + sum(_output_bytes(image) for image in images)


def _finish(
    context: click.Context, work: Work, checkpoint: Path, written: Sequence[Path], results: Sequence[Result]
) -> None:
    for message in dict.fromkeys(message for result in results for message in result.messages):
        note(message)
    for path in written:
        click.echo(str(path))
    if work.stopped:
        say("stopped early: these are from what was learned so far. The same command with --resume goes on.")
        context.exit(EXIT_STOPPED)
    checkpoint.unlink(missing_ok=True)
