"""Train the network that finds out-of-focus light, on simulated specimens in depth.

A field is a specimen in focus and, in two fields of three, others at random depths, whose light arrives through the point spread function
made wider by as much as they are out of focus. The network sees cells (`superlens.observing.haze`) and learns the share of their light
that came from out of focus. Fields without any teach it to leave dense and smooth specimens alone. No real image has been seen.

In: seeds and numbers. Out: the weights of ``networks.haze``. The shipped ones are made by ``python -m superlens.starts.haze OUT``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy import fft, ndimage

from superlens import __version__
from superlens.model import Model, ModelConfig
from superlens.networks import architecture, build
from superlens.observing.haze import HAZE_CHANNELS, cell_side, cells_of, channels_of
from superlens.progress import Progress, console, silent
from superlens.starts.optics import CAMERA, airy_otf, bin_pixels, gauss_otf
from superlens.starts.specimens import FINE, a_specimen, specimens
from superlens.training import Checkpoint, History, Plan, fit, get_weights, set_weights

__all__ = ["Fields", "draw_field", "pretrain", "share_loss"]

Array = NDArray[np.float32]
Rng = np.random.Generator

_SIDE = 64  # of a patch, cells; narrower fields are framed with cells that do not count
_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Simulated fields as the network takes them.

    Attributes
    ----------
    channels : ndarray, shape (N, 64, 64, HAZE_CHANNELS), float16
    goal : ndarray, shape (N, 64, 64, 2), float16
        Share of the light that is haze, and how much the cell counts.
    """

    channels: NDArray[np.float16]
    goal: NDArray[np.float16]

    @classmethod
    def draw(cls, number: int, *, seed: int, count: int = 1000, workers: int = 1) -> Fields:
        """Draw so many, field ``i`` by ``(seed, i)`` alone, from so many specimens."""
        global _POOL
        _POOL = specimens(count, np.random.default_rng(seed))
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
            drawn = list(executor.map(partial(_numbered, seed), range(number), chunksize=50))
        return cls(*(np.stack(part) for part in zip(*drawn, strict=True)))

    def batch(self, seed: int, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Some fields, each turned and mirrored."""
        rng = np.random.default_rng((seed, step))
        chosen = rng.integers(0, len(self.channels), _BATCH)
        inputs, goals = (part[chosen].astype(np.float32) for part in (self.channels, self.goal))
        quarters, flip = int(rng.integers(4)), int(rng.choice((1, -1)))
        turned = (np.ascontiguousarray(np.rot90(one, quarters, (1, 2))[:, ::flip]) for one in (inputs, goals))
        inputs, goals = turned
        return inputs, (goals,)


_POOL: NDArray[np.float16] | None = None  # shared with the workers by fork


def _numbered(seed: int, number: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    assert _POOL is not None
    rng = np.random.default_rng((seed, number))
    channels, goal = draw_field(_POOL, rng)
    room = [max(n - _SIDE, 0) for n in goal.shape[:2]]
    first = [int(rng.integers(r + 1)) for r in room]
    cut = tuple(slice(a, a + _SIDE) for a in first)
    frame = [(0, _SIDE - n) for n in goal[cut].shape[:2]]
    framed = np.pad(channels[cut], [*frame, (0, 0)], mode="symmetric")
    return framed.astype(np.float16), np.pad(goal[cut], [*frame, (0, 0)]).astype(np.float16)


def draw_field(pool: NDArray[np.float16], rng: Rng) -> tuple[Array, Array]:
    """Simulate a field.

    Returns
    -------
    channels : ndarray, shape (y, x, HAZE_CHANNELS), float32
    goal : ndarray, shape (y, x, 2), float32
        Share of the light that is haze, and weight.
    """
    fwhm = float(2 * np.exp(rng.uniform(np.log(1.2), np.log(8))))  # fine pixels
    k = np.hypot(fft.fftfreq(FINE)[:, None], fft.rfftfreq(FINE)[None, :]).astype(np.float32)
    otf = airy_otf(k * fwhm / 1.02) if rng.random() < 0.6 else gauss_otf(k * fwhm)
    spectrum = fft.rfft2(a_specimen(pool, rng))
    focus = _seen(spectrum * otf)
    share = 0.0 if rng.random() < 0.35 else float(rng.uniform(0.05, 0.95))
    haze = _out_of_focus(pool, spectrum, otf, k * fwhm, rng) if share else np.zeros_like(focus)
    if share and rng.random() < 0.5:  # a cell with an edge
        inside = _inside(rng)
        focus, haze = focus * inside, haze * ndimage.gaussian_filter(inside, fwhm, mode="wrap")
    focus, haze = (1 - share) * focus / max(focus.mean(), 1e-9), share * haze / max(haze.mean(), 1e-9)
    if rng.random() < 0.3:  # an even background
        haze = haze + rng.uniform(0, 0.5)
    photons = np.exp(rng.uniform(np.log(3), np.log(1000))) / np.percentile(focus + haze, 99)
    focus, haze = focus * photons, haze * photons
    read_noise = rng.uniform(0, 4)
    noisy = rng.poisson(focus + haze) + read_noise * rng.standard_normal(focus.shape)
    sigma = np.sqrt(np.maximum(ndimage.uniform_filter(noisy, 5, mode="wrap"), 0.05) + read_noise**2)
    channels = channels_of(cells_of(noisy.astype(np.float32), sigma.astype(np.float32), fwhm / 2), fwhm / 2)
    side = cell_side(fwhm / 2)
    out, total = (_cells(one, side) for one in (haze, focus + haze))
    weight = 0.2 + np.minimum(total / np.percentile(total, 99), 2)
    return channels, np.stack([out / np.maximum(total, 1e-6), weight], -1).astype(np.float32)


def _out_of_focus(pool: NDArray[np.float16], spectrum: NDArray[Any], otf: Array, relative: Array, rng: Rng) -> Array:
    """Light of two to six planes, of other specimens or of the same one elsewhere."""
    total = np.zeros((CAMERA, CAMERA), np.float32)
    for _ in range(rng.integers(2, 7)):
        other = spectrum
        if rng.random() < 0.7:
            other = fft.rfft2(a_specimen(pool, rng))
        else:
            move = np.exp(
                -2j
                * np.pi
                * sum(rng.normal(0, 8) * f for f in np.meshgrid(fft.fftfreq(FINE), fft.rfftfreq(FINE), indexing="ij"))
            )
            other = spectrum * move
        plane = _seen(other * otf * gauss_otf(relative * np.exp(rng.uniform(np.log(1.6), np.log(20)))))
        total += np.exp(rng.normal(0, 0.8)) * plane / max(float(plane.mean()), 1e-9)
    return total


def _seen(spectrum: NDArray[Any]) -> Array:
    return np.maximum(bin_pixels(fft.irfft2(spectrum, (FINE, FINE))), 0)


def _inside(rng: Rng) -> Array:
    field = ndimage.gaussian_filter(rng.random((CAMERA, CAMERA)), rng.uniform(12, 35), mode="wrap")
    field = (field - field.min()) / np.ptp(field)
    return np.asarray(1 / (1 + np.exp(-(field - rng.uniform(0.2, 0.6)) * rng.uniform(6, 25))), np.float32)


def _cells(image: Array, side: int) -> Array:
    padded = np.pad(image, [(0, -n % side) for n in image.shape], mode="symmetric")
    blocks = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side)
    return np.asarray(blocks.mean((1, 3)))


def share_loss(targets: Sequence[Any], outputs: Any) -> Any:
    """Cross entropy of the share, whose minimum is its mean; bright cells count more."""
    share, weight = targets[0][..., 0], targets[0][..., 1]
    said = ops.clip(outputs[..., 0], 1e-4, 1 - 1e-4)
    entropy = -(share * ops.log(said) + (1 - share) * ops.log(1 - said))
    return ops.sum(weight * entropy) / ops.sum(weight)


def pretrain(
    fields: Fields,
    *,
    steps: int,
    seed: int = 0,
    learning_rate: float = 1e-3,
    begin: Sequence[Array] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress = silent,
) -> tuple[keras.Model, History]:
    """Train the network on some fields, from random weights or from `begin`.

    Parameters
    ----------
    fields : Fields
    steps, seed : int
    learning_rate : float
    begin : sequence of ndarray, optional
        Weights to go on from.
    checkpoint : Checkpoint, optional
    progress : Progress
    """
    keras.utils.set_random_seed(seed)
    network = build("haze", {"channels": HAZE_CHANNELS})
    if begin is not None:
        set_weights(network, begin)
    plan = Plan(steps=steps, learning_rate=learning_rate, check_every=250)
    draw = partial(fields.batch, seed)
    return network, fit(network, share_loss, draw, plan, checkpoint=checkpoint, average=0.998, progress=progress)


@click.command()
@click.option("--steps", default=8_000, show_default=True, help="Training steps.")
@click.option("--fields", default=5_000, show_default=True, help="Simulated fields to learn from.")
@click.option("--seed", default=0, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--begin", type=click.Path(path_type=Path), help="A model file to go on from; random weights by default.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw fields.")
@click.argument("out", type=click.Path(path_type=Path))
def main(steps: int, fields: int, seed: int, learning_rate: float, begin: Path | None, workers: int, out: Path) -> None:
    """Train the network that finds out-of-focus light and write it to OUT; a killed run goes on where it was."""
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(out.with_suffix(".checkpoint.npz"), f"haze {steps} {fields} {seed} {learning_rate} {begin}")
    drawn = Fields.draw(fields, seed=seed, workers=workers)
    with console() as progress:
        network, _ = pretrain(
            drawn,
            steps=steps,
            seed=seed,
            learning_rate=learning_rate,
            begin=None if begin is None else get_weights(Model.load(begin).network),
            checkpoint=checkpoint,
            progress=progress,
        )
    config = ModelConfig(
        version=__version__,
        method="pretraining",
        network="haze",
        network_config=architecture("haze").arguments(1),
        state={},
        provenance={
            "steps": steps,
            "fields": fields,
            "seed": seed,
            "begun_from": "random weights" if begin is None else begin.name,
        },
    )
    Model(config, network).save(out, dtype="float16")
    checkpoint.path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
