"""Run a short `enhance`, a volume and a `localize` on each backend, on the processor, and hold the results against those of TensorFlow.

    python tests/quality/backends.py                    # all backends; ends with 1 if one is missing or differs
    python tests/quality/backends.py --only torch       # TensorFlow and one other

``make backends`` runs it in an environment with PyTorch and JAX. Every backend is a process of its own. All of them compute in float32 here, also
where TensorFlow would train, and read crowded movies, in bfloat16; they train from the same weights on the same batches. What differs is rounding:
of the order in which sums are taken, and what a few steps of Adam, which divides by the size of a gradient, make of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

_OTHERS = ("torch", "jax")
_STEPS = 4

TOLERANCES = {
    "instant": 1e-5,  # no training: the sums of the convolutions
    "image": 1e-4,
    "volume": 1e-4,
    "density": 1e-5,
    "table_nm": 0.01,  # the median distance of a molecule
}
"""Largest difference, of images over the largest value of the image, and of what a row of the table says of a place in nm."""


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--only", type=click.Choice(_OTHERS), help="One backend besides TensorFlow.")
@click.option(
    "--into", type=click.Path(path_type=Path), hidden=True, help="Run in this process and write what came out."
)
def main(only: str | None, into: Path | None) -> None:
    """Compare the backends."""
    if into is not None:
        np.savez(into, **_results())
        return
    with tempfile.TemporaryDirectory() as name:
        folder, failed = Path(name), []
        expected = _of("tensorflow", folder)
        for other in _OTHERS if only is None else (only,):
            for what, apart in _apart(expected, _of(other, folder)).items():
                good = apart <= TOLERANCES[what]
                click.echo(
                    f"{other:<6} {what:<9} {apart:.2g}, at most {TOLERANCES[what]:g}: {'ok' if good else 'NOT OK'}"
                )
                failed += [] if good else [f"{other} {what}"]
    if failed:
        raise click.ClickException(f"beyond the tolerance: {', '.join(failed)}")


def _of(backend: str, folder: Path) -> dict[str, Any]:
    """What a backend makes, in a process of its own."""
    into = folder / f"{backend}.npz"
    environment = {
        **os.environ,
        "SUPERLENS_BACKEND": backend,
        "SUPERLENS_CACHE": "",
        "KERAS_TORCH_DEVICE": "cpu",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, __file__, "--into", str(into)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"{backend}: {done.stderr.strip()[-1500:]}")
    with np.load(into) as file:
        found = {name: file[name] for name in file.files}
    click.echo(f"{backend}: {found.pop('device')}, {found.pop('seconds')} s")
    return found


def _apart(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, float]:
    """How far two backends are apart, by what `TOLERANCES` names."""
    images = ("instant", "image", "volume", "density")
    told = {name: float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in images}
    if len(found["table"]) != len(expected["table"]):
        return {**told, "table_nm": float("inf")}
    return {**told, "table_nm": float(np.median(np.hypot(*(found["table"] - expected["table"]).T)))}


def _results() -> dict[str, Any]:
    import time
    import warnings

    import superlens as sl
    from superlens.methods.deepstorm import detect
    from superlens.training import device_in_use
    from superlens.training.two_stage import recipe

    warnings.simplefilter("ignore")
    recipe.best_precision = detect.best_precision = lambda: "float32"
    recipe.as_far_as_the_data_ask = lambda start, end, risks: (
        end,
        float(risks(end).mean() > 0),
    )  # a tie may be broken either way
    began = time.perf_counter()
    image, optics = sl.sample().crop(y=slice(0, 64), x=slice(0, 64)), sl.Objective(na=1.1, wavelength_nm=525)
    instant = sl.enhance(image, optics, preset="instant")
    quick = {"steps": _STEPS, "batch": 1, "flips": 2}
    tuned = sl.enhance(image, optics, config=sl.ZSDeconvConfig.of("fast", patch=64, **quick))
    planes = np.stack([np.roll(image.data, 3 * i, axis=1) for i in range(6)])
    stack = sl.Image(planes, "ZYX", pixel_nm=image.pixel_nm, z_step_nm=200.0)
    volume = sl.enhance(stack, optics, config=sl.ZSDeconvConfig.of("fast", axes="ZYX", patch=48, **quick))
    movie = sl.simulate_smlm(10, rng=np.random.default_rng(1))
    found = sl.localize(movie.frames)
    table = found.localizations
    return {
        "instant": instant.image.data,
        "image": tuned.image.data,
        "volume": volume.image.data,
        "density": found.density.data,
        "table": np.stack([table["x_nm"], table["y_nm"]], axis=1),
        "device": json.dumps(device_in_use()),
        "seconds": f"{time.perf_counter() - began:.0f}",
    }


if __name__ == "__main__":
    main()
