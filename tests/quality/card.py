"""Time superlens on this machine's graphics card: seconds on the clock, of four pieces of work, on one library.

    python tests/quality/card.py                            # JAX, on the first card
    python tests/quality/card.py --backend torch --out card.json
    python tests/quality/card.py --device cpu --small       # a trial of the script itself, on a processor

Unlike the cells of `speed.py` this needs neither TensorFlow nor an earlier run. Each piece of work runs once for warming up, since the library
compiles then, and is timed on other pixels of the same shape. The times are those of one machine, and of whatever else ran on it.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from superlens.backend import BACKENDS, choose_backend
from superlens.errors import SuperlensError


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the work is: pixels, slices and frames; and the steps of the original recipe before the clock runs, and when it stops.

    ``fast_steps`` is None for as many steps as the preset `fast` takes.
    """

    image: int = 512
    fast_steps: int | None = None
    volume: str = "64x512"
    frames: int = 2000
    first: int = 20
    last: int = 200
    patch: int = 128
    batch: int = 4


SMALL = Sizes(image=64, fast_steps=2, volume="6x48", frames=10, first=1, last=3, patch=32, batch=1)


@dataclass(frozen=True, slots=True)
class Timing:
    """A number that was measured, what it should be on a card of a data centre, and what else is known of it.

    ``aim`` is the most, or for a rate the least; None where there is none.
    """

    what: str
    value: float
    unit: str
    aim: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def row(self, *, aims: bool) -> str:
        """A line of the table; without the aim where the sizes are others."""
        aim = "-" if self.aim is None or not aims else f"{self.aim:g}"
        return f"{self.what:<62} {self.value:>10.4g} {self.unit:<9} {aim:>6}"


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="jax",
    envvar="SUPERLENS_BACKEND",
    show_default=True,
    show_envvar=True,
)
@click.option("--device", help="cpu, gpu or gpu:1; by default the first card where there is one.")
@click.option(
    "--small", is_flag=True, help="Tiny sizes, to try the script on a processor; the numbers say nothing of a card."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A JSON file for the numbers.")
def main(backend: str, device: str | None, small: bool, out: Path | None) -> None:
    """Measure, print the table and write the file."""
    warnings.simplefilter("ignore")
    try:
        choose_backend(backend, device)
        from superlens.training import device_in_use, select_device

        select_device(device)
    except SuperlensError as error:
        raise click.ClickException(str(error)) from error
    from suite.store import provenance

    from superlens.host import versions

    found = device_in_use()
    click.echo(f"{found}; {backend}{'; small sizes' if small else ''}")
    sizes = SMALL if small else Sizes()
    timings: list[Timing] = []
    for measure in (fast, molecules, volume, paper):
        for timing in measure(sizes):
            click.echo(timing.row(aims=not small))
            timings.append(timing)
    imported = sys.modules.get("tensorflow") is not None
    click.echo(f"TensorFlow was {'' if imported else 'not '}imported.")
    if out is not None:
        record = {
            **provenance(),
            "device": found,
            "backend": backend,
            "versions": versions(),
            "tensorflow_imported": imported,
            "small": small,
            "sizes": asdict(sizes),
            "timings": [asdict(timing) for timing in timings],
        }
        out.write_text(json.dumps(record, indent=1) + "\n")


def fast(sizes: Sizes) -> list[Timing]:
    """`superlens.enhance` with the preset `fast`, all in but reading, writing and the report."""
    from suite.phases import made

    import superlens as sl

    image, optics = made("image", str(sizes.image))
    changes = (
        {} if sizes.fast_steps is None else {"steps": sizes.fast_steps, "patch": sizes.patch, "batch": sizes.batch}
    )
    config = sl.ZSDeconvConfig.of("fast", **changes)
    results: list[Any] = []
    warming, seconds = _twice(lambda number: results.append(sl.enhance(_other(image, number), optics, config=config)))
    history = results[-1].history
    steps = history.records[-1].step if history is not None and history.records else 0
    more = {"first_seconds": warming, "steps": steps}
    return [Timing(f"fast, {sizes.image} x {sizes.image}, {steps} steps", seconds, "s", 5.0, more)]


def paper(sizes: Sizes) -> list[Timing]:
    """A step of the original recipe, and how long all of its steps would take."""
    from suite.clock import PAPER_STEPS, paper_minutes, paper_step
    from suite.phases import made

    import superlens as sl
    from superlens.networks import architecture
    from superlens.training import best_precision

    image, optics = made("image", str(max(sizes.image, 2 * sizes.patch)))
    step = paper_step(image, optics, sizes.first, sizes.last, patch=sizes.patch, batch=sizes.batch)
    network = sl.ZSDeconvConfig.of("paper").network
    precision = "float32" if architecture(network).precision == "float32" else best_precision()
    more = {"precision": precision, "multiplied_in": _multiplied_in(), "timed_steps": sizes.last - sizes.first}
    what = f"paper, {sizes.batch} x {sizes.patch} x {sizes.patch}, {precision}"
    return [
        Timing(f"{what}, a step", step, "s", None, more),
        Timing(f"{what}, {PAPER_STEPS} steps, extrapolated", paper_minutes(step), "min", 6.0, more),
    ]


def molecules(sizes: Sizes) -> list[Timing]:
    """`superlens.localize` on a crowded movie, as in the cell ``localize/dense`` of `speed.py`."""
    from suite.localizing import localized

    warming, told = (localized("filaments", 5.5, sizes.frames, seed) for seed in (6, 7))
    more = {"first_seconds": warming["wall"], "seconds": told["wall"], "jaccard": told["jaccard"]}
    what = f"localize, {sizes.frames} crowded frames of 64 x 64"
    return [Timing(what, sizes.frames / told["wall"], "frames/s", 1000.0, more)]


def volume(sizes: Sizes) -> list[Timing]:
    """A volume by the pretrained weights: one pass of the network, and `superlens.enhance` with the preset `instant`, which turns it too."""
    from suite.phases import made, one_pass

    import superlens as sl

    image, optics = made("stack", sizes.volume)
    shape = " x ".join(map(str, image.data.shape))
    _, once = one_pass(image, optics)
    warming, seconds = _twice(lambda _: once())
    config = sl.ZSDeconvConfig.of("instant", axes="ZYX")
    cold, whole = _twice(lambda number: sl.enhance(_other(image, number), optics, config=config))
    return [
        Timing(f"volume, {shape}, one pass", seconds, "s", 3.0, {"first_seconds": warming}),
        Timing(f"volume, {shape}, instant, all in", whole, "s", None, {"first_seconds": cold, "flips": config.flips}),
    ]


def _twice(call: Callable[[int], Any]) -> tuple[float, float]:
    """Wall seconds of a call, and of the next one; both end with arrays of NumPy, so that the card has finished."""
    seconds = []
    for number in range(2):
        began = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - began)
    return seconds[0], seconds[1]


def _other(image: Any, number: int) -> Any:
    """Other pixels of the same shape, since what the pretrained network makes of an image is remembered."""
    import superlens as sl

    spacing = {"pixel_nm": image.pixel_nm, "z_step_nm": image.z_step_nm}
    return sl.Image(np.roll(image.data, 5 * number, axis=-1), image.axes, **spacing)


def _multiplied_in() -> str:
    """What a library makes of float32 on a card: all three may round factors to TF32 there, unless they are told not to."""
    import keras

    if keras.backend.backend() != "jax":
        return "as the library chooses; TF32 on a card that has it"
    import jax

    return f"jax_default_matmul_precision {jax.config.jax_default_matmul_precision}; None may be TF32 on a card that has it"


if __name__ == "__main__":
    main()
