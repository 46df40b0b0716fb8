"""``superlens enhance``, ``train`` and ``predict``: from image files to images, a model and a report.

All inputs are read, and the place for the results is checked, before any training begins. A run that is stopped by Ctrl-C keeps
what it has learned; one that is killed goes on from its checkpoint with ``--resume``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superlens.cli.channels import (
    ChannelOptics,
    Channels,
    channel_optics_options,
    channel_option,
    one_or_several,
)
from superlens.cli.failures import EXIT_STOPPED, note, say
from superlens.cli.folders import OutputFolder, find_inputs
from superlens.cli.options import (
    HostChoice,
    ImageChoice,
    LearningChoice,
    MovieChoice,
    corrected_image_options,
    host_options,
    learning_options,
    path_type,
)
from superlens.cli.stream import StreamChoice, stream_options
from superlens.cli.work import Work, checkpointed, checkpoints, working
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.methods.zsdeconv import ChannelResult, Result, ZSDeconvConfig

__all__ = ["bytes_needed", "enhance", "predict", "train"]

_LEAST_SLICES = 5  # of a volume
_inputs_argument = click.argument("inputs", nargs=-1, required=True, type=path_type)
_resume_option = click.option("--resume", is_flag=True, help="Go on from the checkpoint of a run that was killed.")


@click.command()
@_inputs_argument
@click.option("--out", required=True, type=path_type, help="Folder for the results.")
@channel_optics_options
@corrected_image_options
@learning_options
@_resume_option
@host_options
@click.pass_context
def enhance(
    context: click.Context,
    inputs: tuple[Path, ...],
    out: Path,
    optics: ChannelOptics,
    image: ImageChoice,
    learning: LearningChoice,
    host: HostChoice,
    resume: bool,
) -> None:
    """Denoise and super-resolve images by what they hold themselves.

    INPUTS are image files and folders of them; several images of one kind train one model, and each channel has a model of its own.
    Writes NAME_sr.tif, NAME_denoised.tif and NAME_uncertainty.tif for each, model.zip, report.html and run.json.
    """
    files, asked = _read_all(inputs, image, optics, denoise_only=learning.denoise_only)
    host.start()
    from superlens.cli.results import file_names, write_results

    config = learning.load(_axes(asked, learning, image))
    folder = OutputFolder(out, tuple(files))
    names = [*file_names(files, config.denoise_only), "model.zip"]
    room = folder.prepared(names, bytes_needed(asked.images, config) * len(asked.optics))
    with room, checkpointed(out / ".checkpoint", resume=resume) as checkpoint, working() as work:
        results = asked.enhance(config, work.progress, checkpoint=checkpoint)
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
@channel_optics_options
@corrected_image_options
@learning_options
@click.option(
    "--memory-gb",
    type=click.FloatRange(min=0, min_open=True),
    help="Memory for training data; of what needs more, windows are read from disk. Default: half of what is free.",
)
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
    optics: ChannelOptics,
    image: ImageChoice,
    learning: LearningChoice,
    memory_gb: float | None,
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

        facts = MovieChoice(psf_sigma_nm, optics.na, optics.one().wavelength_nm, *learning.camera)
        train_deepstorm(context, inputs, model, truth, (image, facts, learning, host), resume=resume)
        return
    if truth is not None or psf_sigma_nm is not None:
        raise SuperlensError("--truth and --psf-sigma-nm belong to --method deepstorm; leave them out or add it.")
    sampled = _Sampled(image, learning, memory_gb)
    files, asked = _read_all(inputs, image, optics, denoise_only=learning.denoise_only, read=sampled.read)
    host.start()
    config = learning.load(_axes(asked, learning, image))
    folder = OutputFolder(model.parent, tuple(files))
    room = folder.prepared([model.name], _training_bytes(config) * len(asked.optics))
    kept = model.with_name(f".{model.name}.checkpoint")
    with room, checkpointed(kept, resume=resume) as checkpoint, working() as work:
        trained = asked.train(config, work.progress, checkpoint=checkpoint)
        with folder.delivery() as staging:
            trained.save(staging / model.name)
        _finish(context, work, checkpoint, [model], [])


@click.command()
@_inputs_argument
@click.option("--model", required=True, type=path_type, help="A model file from `superlens train` or `enhance`.")
@click.option(
    "--out", required=True, type=path_type, help="Folder for the results, or one image: NAME.ome.zarr, NAME.ome.tif."
)
@channel_option
@click.option(
    "--adapt",
    type=click.IntRange(min=1),
    help="Train so many steps further on each frame first, like 50; the model file stays as it is.",
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
    channel: tuple[int, ...],
    adapt: int | None,
    image: ImageChoice,
    stream: StreamChoice,
    host: HostChoice,
) -> None:
    """Apply a trained model to more images of its kind.

    When --out names an image, one input of any size goes through block by block; killed and started again, it goes on where it was.
    """
    if stream.applies(out):
        with working() as work:
            click.echo("\n".join(stream.run(inputs, model, out, channel, (image, host, adapt), work.progress)))
        return
    files = find_inputs(inputs)
    size = sum(_output_bytes(image.read(file)) for file in files)
    host.start()
    from superlens.cli.results import file_names, write_results, write_run
    from superlens.methods import zsdeconv
    from superlens.model import ChannelModels, load_model
    from superlens.training.two_stage.state import TwoStageState

    trained = load_model(model)
    for file in files:
        one = one_or_several(image.read(file), channel)
        if isinstance(trained, ChannelModels):
            trained.picked(one)
        else:
            TwoStageState.of(trained).check_fits(one)
            if one.sizes.get("C", 1) > 1:
                note(
                    f"{file.name} has {one.sizes['C']} channels and the model is of one kind: it is applied to all of them; "
                    "--channel takes those that it was made for"
                )
    sharpens = bool((trained.models[0] if isinstance(trained, ChannelModels) else trained).arrays)
    folder = OutputFolder(out, (*files, model))
    with folder.prepared(file_names(files, not sharpens), size + 20_000_000), working() as work:
        results: list[Result | ChannelResult] = []
        for file in files:
            one = one_or_several(image.read(file), channel)
            results.append(zsdeconv.predict(trained, one, adapt_steps=adapt or 0, progress=work.progress))
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
    inputs: Sequence[Path],
    choice: ImageChoice,
    optics: ChannelOptics,
    *,
    denoise_only: bool,
    read: Callable[[Path], Image] | None = None,
) -> tuple[list[Path], Channels]:
    """Read everything that the run depends on, so that nothing is refused after the training."""
    files = find_inputs(inputs)
    images = [(read or choice.read)(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.pixel_nm is None and not denoise_only:
            raise SuperlensError(f"{file} has no pixel size; give it with --pixel-nm, in nanometres on the specimen.")
    return files, optics.resolve(images, denoise_only=denoise_only)


@dataclass(frozen=True, slots=True)
class _Sampled:
    """Reads images to train on; of those that are larger than memory, windows spread over them."""

    choice: ImageChoice
    learning: LearningChoice
    memory_gb: float | None

    def read(self, path: Path) -> Image:
        """Read one image, or windows of it."""
        from superlens.image import check_image
        from superlens.streaming import TRAINING_BYTES, for_training
        from superlens.tiling import free_memory

        source = self.choice.file(path).open()
        memory = free_memory() / 2 if self.memory_gb is None else self.memory_gb * 1e9
        volume = self.learning.volume is not False and source.sizes.get("Z", 1) >= _LEAST_SLICES
        if TRAINING_BYTES * source.data.size <= memory:
            return self.choice.read(path)
        found = for_training(source, axes="ZYX" if volume else "YX", memory_bytes=memory, seed=self.learning.seed or 0)
        told = found.history["sampled"]
        if self.choice.corrects:
            raise SuperlensError(
                f"{path.name} is larger than memory, and stripes and sensor maps are taken off whole images only; correct it first."
            )
        note(
            f"{path.name} is larger than the memory for training: it learns from {told['windows']} windows of it, "
            f"{told['share']:.2g} of its pixels; --memory-gb allows for more"
        )
        check_image(found)
        return found


def _axes(asked: Channels, learning: LearningChoice, image: ImageChoice) -> str:
    """Whether stacks are taken as volumes, and a line that says so."""
    from superlens.methods.zsdeconv import refuse_frames_as_slices, spatial_axes

    if image.axes is None and learning.volume is not False:
        wanted = learning.volume is True or image.z_step_nm is not None
        refuse_frames_as_slices(asked.images, asked.optics, wanted=wanted)
    if learning.volume is not None:
        return "ZYX" if learning.volume else "YX"
    if learning.pairs == "temporal":
        return "YX"  # neighbours in time are frames of planes
    if learning.config is not None or any(text.startswith(("axes=", "network=")) for text in learning.settings):
        return "YX"  # left to what they say
    axes, why = spatial_axes(asked.images, asked.optics, preset=learning.preset)
    if why:
        note(why)
    return axes


def _output_bytes(image: Image) -> int:
    return 4 * image.data.size * (1 + 2 * 4) + 8_000_000


def bytes_needed(images: Sequence[Image], config: ZSDeconvConfig) -> int:
    """Estimate how much room the results of a training take, the model and its checkpoint included."""
    return _training_bytes(config) + sum(_output_bytes(image) for image in images)


def _training_bytes(config: ZSDeconvConfig) -> int:
    from superlens.networks import architecture

    return architecture(config.network).training_bytes


def _finish(
    context: click.Context,
    work: Work,
    checkpoint: Path,
    written: Sequence[Path],
    results: Sequence[Result | ChannelResult],
) -> None:
    for message in dict.fromkeys(message for result in results for message in result.messages):
        note(message)
    for path in written:
        click.echo(str(path))
    if work.stopped:
        say("stopped early: these are from what was learned so far. The same command with --resume goes on.")
        context.exit(EXIT_STOPPED)
    for done in checkpoints(checkpoint):
        done.unlink()
