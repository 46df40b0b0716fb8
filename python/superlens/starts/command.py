"""The command of a curriculum: it trains, goes on from its checkpoint after a kill, and writes the start.

In: what trains and what writes. Out: what ``python -m superlens.starts.NAME OUT`` runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import keras

from superlens.model import Model
from superlens.progress import console
from superlens.training import Checkpoint, get_weights

__all__ = ["start_command"]

Train = Callable[..., keras.Model]
Write = Callable[[Path, keras.Model, dict[str, Any], int], None]


def start_command(
    about: str,
    train: Train,
    write: Write,
    *,
    steps: int,
    learning_rate: float,
    begins: str = "random weights",
    options: Sequence[click.Option] = (),
) -> click.Command:
    """The command of one curriculum.

    Parameters
    ----------
    about : str
        What it does, in one line.
    train : callable
        Takes ``begin`` (weights or None), ``workers``, ``checkpoint``, ``progress`` and each option by name; returns the trained network.
    write : callable
        Takes the file, the network, where it came from as a mapping, and the number of processes.
    steps, learning_rate
        What is usual.
    begins : str
        What training goes on from where nothing is said, by name.
    options : sequence of click.Option
        Further ones.
    """

    def run(out: Path, begin: Path | None, workers: int, **told: Any) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(out.with_suffix(".checkpoint.npz"), f"{about} {told} {begin}")
        weights = None if begin is None else get_weights(Model.load(begin).network)
        with console() as progress:
            network = train(begin=weights, workers=workers, checkpoint=checkpoint, progress=progress, **told)
        write(out, network, {**told, "begun_from": begins if begin is None else begin.name}, workers)
        checkpoint.path.unlink(missing_ok=True)

    params: list[click.Parameter] = [
        click.Option(["--steps"], default=steps, show_default=True, help="Training steps."),
        *options,
        click.Option(["--seed"], default=0, show_default=True),
        click.Option(["--learning-rate"], default=learning_rate, show_default=True),
        click.Option(
            ["--begin"], type=click.Path(path_type=Path), help=f"A model file to go on from; default: {begins}."
        ),
        click.Option(["--workers"], default=1, show_default=True, help="Processes that draw examples."),
        click.Argument(["out"], type=click.Path(path_type=Path)),
    ]
    words = f"{about} and write it to OUT; a run that was killed continues from its checkpoint."
    return click.Command("start", callback=run, params=params, help=words)
