"""Pretrain the network that fine-tuning on a volume starts from, on simulated specimens.

As `superlens.starts.images`, with three differences: the specimen fills a volume, the point spread functions are those of random
objectives (wide-field, confocal, light-sheet, two-photon) at random sampling, and the network begins from the weights of the one for
images, which already know how a slice looks. What is left to learn is what the slices above and below add.

In: seeds and numbers. Out: the weights of ``networks.light`` for volumes. The shipped ones are made by
``python -m superlens.starts.volumes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.model import Model, shipped
from superlens.networks import build
from superlens.observing.conditioning import CHANNELS, WienerBank, condition
from superlens.optics import PSF, RESPONSES, Objective
from superlens.progress import Progress, silent
from superlens.simulate import volumes
from superlens.starts.command import start_command
from superlens.starts.exposing import Exposed
from superlens.starts.images import Batch, drawn_ahead, in_order, two_stage_loss, write_start
from superlens.training import (
    Checkpoint,
    History,
    Plan,
    best_precision,
    fit,
    precision,
    set_weights,
)

__all__ = ["Blurred", "Optics", "batches", "begin_from_images", "calibrate", "draw_optics", "pretrain", "specimens"]

Array = NDArray[np.float32]
Rng = np.random.Generator

SHAPE = (40, 128, 128)
"""The periodic specimen, slices and fine pixels."""

_CAMERA = SHAPE[1] // 2
_DEPTHS = (16, 16, 12, 8, 6)
_SLICES = 32  # in a batch, whatever its depth


@dataclass(frozen=True, slots=True, eq=False)
class Optics:
    """A random microscope on the grid of the specimens.

    Attributes
    ----------
    blur, sharp : ndarray, complex64
        Transfer functions of the PSF and of the narrower one, half of the spectrum.
    bank : WienerBank
    """

    blur: NDArray[np.complex64]
    sharp: NDArray[np.complex64]
    bank: WienerBank


def draw_optics(rng: Rng) -> Optics:
    """Draw an objective, a modality and a sampling, as broadly as microscopes differ."""
    psf = _random_psf(rng)
    target = RESPONSES["ZYX"].of(psf)
    return Optics(
        psf.otf(SHAPE).astype(np.complex64),
        target.otf(SHAPE).astype(np.complex64),
        WienerBank.from_psf(psf.data, target.data),
    )


def _random_psf(rng: Rng) -> PSF:
    """On the fine grid; lateral FWHM of 1.7 to 6 camera pixels, axial FWHM of 1.3 to 6 slices."""
    lateral = 2 * np.exp(rng.uniform(np.log(1.7), np.log(6.0)))  # fine pixels
    axial = np.exp(rng.uniform(np.log(1.3), np.log(6.0)))  # slices
    kind = rng.choice(
        ["gaussian", "widefield", "confocal", "light-sheet", "two-photon"], p=[0.1, 0.35, 0.25, 0.22, 0.08]
    )
    immersion = float(rng.choice([1.0, 1.33, 1.406, 1.518]))
    na = float(immersion * rng.uniform(0.45, 0.94))
    if kind == "gaussian":
        psf = PSF.gaussian(100.0, 100.0 / lateral, fwhm_z_nm=300.0, z_step_nm=300.0 / axial)
    else:
        optics = Objective(
            na=na,
            wavelength_nm=525.0,
            immersion_index=immersion,
            modality=kind,
            excitation_nm=None if kind in ("widefield", "light-sheet") else 488.0 if kind == "confocal" else 900.0,
            sheet_thickness_nm=float(rng.uniform(400, 3000)) if kind == "light-sheet" else None,
            pinhole_au=float(rng.uniform(0.5, 1.5)),
            psf_model="scalar",
        )
        width = optics.psf(20.0).fwhm_nm
        coarse = optics.psf(width / 4, z_step_nm=width / 2)
        height = coarse.fwhm_z_nm or width
        psf = optics.psf(width / lateral, z_step_nm=height / axial)
    depth, *sides = (min(n, m - 1 + m % 2) for n, m in zip(psf.data.shape, SHAPE, strict=True))
    cut = [slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(psf.data.shape, (depth, *sides), strict=True)]
    return PSF(psf.data[tuple(cut)], psf.pixel_nm, psf.z_step_nm)


def specimens(count: int, rng: Rng) -> NDArray[np.float16]:
    """Draw the specimens that patches are made from.

    Returns
    -------
    ndarray, shape (count, 40, 128, 128), float16, maximum 1
    """
    pool = np.empty((count, *SHAPE), np.float16)
    for i in range(count):
        drawn = _structure(rng)
        pool[i] = drawn / max(float(drawn.max()), 1e-9)
    return pool


def _structure(rng: Rng) -> Array:
    aspect = float(np.exp(rng.uniform(np.log(1.5), np.log(10.0))))

    def around(value: float, octaves: float) -> float:
        return float(value * 2 ** rng.uniform(-octaves, octaves))

    match rng.choice(6, p=(0.28, 0.16, 0.18, 0.12, 0.16, 0.10)):
        case 0:
            return volumes.filaments(
                SHAPE,
                rng,
                aspect=aspect,
                count=round(around(16, 2)),
                persistence=around(150, 1.5),
                width=around(1.5, 1.5),
                flat=rng.uniform(0.1, 1.0),
            )
        case 1:
            return volumes.shells(
                SHAPE, rng, aspect=aspect, count=round(around(25, 1.5)), radius=around(8, 1.2), wall=around(1.2, 0.8)
            )
        case 2:
            return volumes.network(
                SHAPE, rng, aspect=aspect, mesh=around(26, 0.8), width=around(1.8, 1), flat=rng.uniform(0.3, 1.0)
            )
        case 3:
            return volumes.points(
                SHAPE,
                rng,
                aspect=aspect,
                count=round(around(100, 2.5)),
                spread=rng.uniform(0, 0.8),
                gathered=rng.uniform(0, 1),
            )
        case 4:
            return volumes.bodies(
                SHAPE,
                rng,
                aspect=aspect,
                count=round(around(60, 1)),
                smallest=around(3, 0.7),
                largest=around(40, 0.7),
                texture=rng.uniform(0, 1) if rng.random() < 0.6 else 0.0,
            )
        case _:
            return volumes.field(SHAPE, rng, aspect=aspect, exponent=rng.uniform(1.0, 2.6), contrast=around(1.0, 1.0))


def a_specimen(pool: NDArray[np.float16], rng: Rng) -> Array:
    if rng.random() < 0.02:
        return np.ones(SHAPE, np.float32)
    one = _moved(pool, rng)
    if rng.random() < 0.35:
        one = one + np.exp(rng.uniform(np.log(0.05), np.log(1.0))) * _moved(pool, rng)
    if rng.random() < 0.3:
        one = one ** rng.uniform(0.6, 1.8)
    if rng.random() < 0.4:  # cells that fill only some of the slices
        height = rng.uniform(3, 20)
        one = one * np.exp(-0.5 * ((np.arange(SHAPE[0]) - SHAPE[0] / 2) / height) ** 2)[:, None, None]
        one = np.roll(one, int(rng.integers(SHAPE[0])), axis=0)
    return np.asarray(one, np.float32)


def _moved(pool: NDArray[np.float16], rng: Rng) -> Array:
    one = pool[rng.integers(len(pool))].astype(np.float32)
    one = np.rot90(one, int(rng.integers(4)), axes=(1, 2))
    if rng.random() < 0.5:
        one = one[::-1]
    if rng.random() < 0.5:
        one = one[:, ::-1]
    return np.roll(one, tuple(int(rng.integers(n)) for n in SHAPE), axis=(0, 1, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Blurred:
    """A specimen through a microscope, without noise: the camera's image, the sharp one, and the filters that go with them."""

    clean: Array
    sharp: Array
    bank: WienerBank

    @classmethod
    def draw(cls, pool: NDArray[np.float16], optics: list[Optics], rng: Rng) -> Blurred:
        """Draw one of the whole periodic specimen."""
        chosen = optics[rng.integers(len(optics))]
        spectrum = fft.rfftn(a_specimen(pool, rng))
        blurred = fft.irfftn(spectrum * chosen.blur, SHAPE)
        clean = blurred.reshape(SHAPE[0], _CAMERA, 2, _CAMERA, 2).mean((2, 4))
        return cls(np.maximum(clean, 0), fft.irfftn(spectrum * chosen.sharp, SHAPE), chosen.bank)

    def exposed(self, depth: int, rng: Rng) -> tuple[Array, Array, Array]:
        """Expose some neighbouring slices.

        Returns
        -------
        conditioned : ndarray, shape (depth, 64, 64, CHANNELS)
        clean : ndarray, shape (depth, 64, 64, 1)
        sharp : ndarray, shape (depth, 128, 128, 1)
        """
        first = int(rng.integers(SHAPE[0] - depth + 1))
        clean, sharp = self.clean[first : first + depth], self.sharp[first : first + depth]
        exposed = Exposed.draw(clean, sharp, rng)
        channels = condition(exposed.noisy, exposed.sigma, exposed.normaliser, self.bank, border="wrap")
        return channels, *exposed.answers()


def batches(
    pool: NDArray[np.float16], optics: list[Optics], *, seed: int, steps: int, workers: int = 1, start: int = 0
) -> Iterator[Batch]:
    """Batches of a training on volumes; batch ``i`` depends on ``(seed, i)`` alone."""
    global _SHARED
    _SHARED = (pool, optics)
    yield from drawn_ahead(partial(_draw_batch, seed), steps=steps, workers=workers, start=start)


_SHARED: tuple[NDArray[np.float16], list[Optics]] | None = None  # shared with the workers by fork


def _draw_batch(seed: int, index: int) -> Batch:
    assert _SHARED is not None
    rng = np.random.default_rng((seed, index))
    depth = _DEPTHS[index % len(_DEPTHS)]
    scenes = [Blurred.draw(*_SHARED, rng) for _ in range(2)]
    examples = [scenes[i % 2].exposed(depth, rng) for i in range(_SLICES // depth)]
    return Batch(*(np.stack(part).astype(np.float32) for part in zip(*examples, strict=True)))


def begin_from_images(network: keras.Model, images: keras.Model) -> None:
    """Give a network for volumes the weights of one for images; slices are mixed by weights that are not in it and stay."""
    known = {variable.path: variable for variable in images.weights}
    for variable in network.weights:
        if variable.path in known:
            variable.assign(known[variable.path])


def pretrain(
    *,
    steps: int,
    seed: int = 0,
    learning_rate: float = 5e-4,
    count: int = 300,
    microscopes: int = 200,
    begin: list[NDArray[np.float32]] | None = None,
    workers: int = 1,
    checkpoint: Checkpoint | None = None,
    progress: Progress = silent,
) -> tuple[keras.Model, History]:
    """Train the light network for volumes, from the shipped weights of the one for images or from `begin`.

    Parameters
    ----------
    steps : int
    seed : int
    learning_rate : float
    count, microscopes : int
        Specimens and objectives to draw batches from.
    begin : list of ndarray, optional
        Weights of a network for volumes to go on from.
    workers : int
        Processes that draw batches.
    checkpoint : Checkpoint, optional
    progress : Progress
    """
    rng = np.random.default_rng(seed)
    optics = [draw_optics(rng) for _ in range(microscopes)]
    pool = specimens(count, rng)
    keras.utils.set_random_seed(seed)
    with precision(best_precision()):
        network = build("light-volume", {"channels": CHANNELS})
    if begin is None:
        begin_from_images(network, Model.load(shipped()["zsdeconv-light"]).network)
    else:
        set_weights(network, begin)
    plan = Plan(steps=steps, learning_rate=learning_rate, check_every=100)
    draw = in_order(lambda start: batches(pool, optics, seed=seed, steps=steps, workers=workers, start=start))
    return network, fit(network, two_stage_loss, draw, plan, checkpoint=checkpoint, average=0.995, progress=progress)


def calibrate(network: keras.Model, *, seed: int = 1, scenes: int = 60) -> float:
    """Measure what the stated errors have to be scaled by, on fresh specimens and objectives.

    Returns
    -------
    float
        Factor on the stated standard deviation after which, in the median volume, 5 % of the errors exceed twice it.
    """
    rng = np.random.default_rng(seed)
    optics = [draw_optics(rng) for _ in range(scenes)]
    ratios = []
    for _ in range(scenes):
        channels, _, sharp = Blurred.draw(specimens(1, rng), optics, rng).exposed(12, rng)
        _, made, log_sigma = network.predict_on_batch(channels[None])
        ratio = np.abs(made[0] - sharp) / np.exp(log_sigma[0])
        ratios.append(np.quantile(ratio[:, 16:-16, 16:-16], 0.95) / 2)
    return float(np.median(ratios))


def _train(**told: Any) -> keras.Model:
    return pretrain(**told)[0]


def _write(out: Path, network: keras.Model, provenance: dict[str, Any], workers: int) -> None:
    write_start(out, "light-volume", network, calibrate, axes="ZYX", provenance=provenance)


if __name__ == "__main__":
    start_command(
        "Pretrain the network for volumes", _train, _write, steps=3000, learning_rate=5e-4, begins="zsdeconv-light"
    )()
