"""``superlens localize`` and ``train --method deepstorm``: from blinking movies to tables, maps, rendered images and models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superlens.cli.failures import EXIT_STOPPED, note, say
from superlens.cli.folders import OutputFolder
from superlens.cli.options import (
    HostChoice,
    ImageChoice,
    LearningChoice,
    MovieChoice,
    host_options,
    image_options,
    movie_options,
    path_type,
)
from superlens.cli.work import checkpointed, working
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.io import LazyImage
    from superlens.model import Model

__all__ = ["frame_span", "localize", "train_deepstorm"]


@click.command()
@click.argument("movie", type=path_type)
@click.option("--out", required=True, type=path_type, help="Folder for the results.")
@click.option(
    "--model",
    type=path_type,
    help="A model of `superlens train --method deepstorm`; default: the shipped one that fits best.",
)
@click.option("--train", "preset", type=click.Choice(("fast", "standard")), help="Train a model for this movie first.")
@image_options
@movie_options
@click.option("--frames", metavar="FIRST:LAST", help="Frames to work on, from 1, like 1:2000; default: all.")
@click.option(
    "--render-nm",
    type=click.FloatRange(min=1.0),
    default=10.0,
    show_default=True,
    help="Pixel of the rendered image, in nm.",
)
@click.option(
    "--link-nm",
    type=click.FloatRange(min=0, min_open=True),
    help="Farthest that blinks of one molecule lie apart, in nm; default: three stated errors.",
)
@click.option(
    "--dark-frames",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Frames that a molecule may miss between two blinks.",
)
@host_options
@click.pass_context
def localize(
    context: click.Context,
    movie: Path,
    out: Path,
    model: Path | None,
    preset: str | None,
    image: ImageChoice,
    frames: str | None,
    render_nm: float,
    link_nm: float | None,
    dark_frames: int,
    facts: MovieChoice,
    host: HostChoice,
) -> None:
    """Find single molecules in a blinking MOVIE and make a super-resolved image and a table of them.

    Writes localizations.csv (ThunderSTORM's columns), localizations_linked.csv, density.tif (the sum of the network's maps), rendered.tif,
    report.html and run.json. What is not given of optics and camera is estimated from the movie; the report says from what.
    """
    if model is not None and preset is not None:
        raise SuperlensError("both --model and --train are given; expected one of them.")
    known = facts.known()
    span = None if frames is None else frame_span(frames)
    opened = _opened(movie, image)
    host.start()
    from superlens.cli.localized import FILES, bytes_needed, write_localized
    from superlens.methods import deepstorm

    trained = _model(model)
    folder = OutputFolder(out, tuple(p for p in (movie, model) if p is not None))
    with folder.prepared(FILES, bytes_needed(opened, render_nm)), working() as work:
        if preset is not None:
            trained = deepstorm.train_deepstorm(opened, known=known, preset=preset, progress=work.progress)
        found = deepstorm.localize(
            opened, trained, known=known, frames=span, link_nm=link_nm, dark_frames=dark_frames, progress=work.progress
        )
        with folder.delivery() as staging:
            write_localized(staging, movie, found, began=work.began, render_nm=render_nm, keep_model=preset is not None)
            written = sorted(path.name for path in staging.iterdir())
    for message in found.messages:
        note(message)
    for name in written:
        click.echo(str(out / name))
    if work.stopped:
        say("stopped early: these are from the frames that were done.")
        context.exit(EXIT_STOPPED)


def train_deepstorm(
    context: click.Context,
    inputs: Sequence[Path],
    model: Path,
    truth: Path | None,
    choices: tuple[ImageChoice, MovieChoice, LearningChoice, HostChoice],
    *,
    resume: bool,
) -> None:
    """Do what ``train --method deepstorm`` asks for."""
    image, facts, learning, host = choices
    if len(inputs) != 1:
        raise SuperlensError(f"{len(inputs)} inputs are given; expected one movie.")
    movie = _opened(inputs[0], image)
    known = facts.known()
    from superlens.io import read_localizations

    table = None if truth is None else read_localizations(truth, pixel_nm=movie.pixel_nm)
    host.start()
    from superlens.methods import deepstorm

    config = learning.load_as(deepstorm.DeepStormConfig)
    folder = OutputFolder(model.parent, tuple(p for p in (inputs[0], truth) if p is not None))
    kept = model.with_name(f".{model.name}.checkpoint")
    with folder.prepared([model.name], 80_000_000), checkpointed(kept, resume=resume) as checkpoint, working() as work:
        trained = deepstorm.train_deepstorm(
            movie, table, known=known, config=config, checkpoint=checkpoint, progress=work.progress
        )
        with folder.delivery() as staging:
            trained.save(staging / model.name)
    click.echo(str(model))
    if work.stopped:
        say("stopped early: the model is of what was learned so far. The same command with --resume goes on.")
        context.exit(EXIT_STOPPED)
    checkpoint.unlink(missing_ok=True)


def _opened(path: Path, choice: ImageChoice) -> LazyImage:
    from superlens.smlm.recording import check_movie, open_movie

    movie = open_movie(path, axes=choice.axes, pixel_nm=choice.pixel_nm)
    check_movie(movie)
    return movie


def _model(path: Path | None) -> Model | None:
    from superlens.model import Model

    return None if path is None else Model.load(path)


def frame_span(text: str) -> tuple[int, int]:
    """Read ``FIRST:LAST``, counted from 1."""
    matched = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", text)
    if matched is None:
        raise SuperlensError(f"--frames is {text!r}; expected FIRST:LAST counted from 1, like 1:2000.")
    return int(matched[1]), int(matched[2])
