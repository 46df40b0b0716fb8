"""Train the start that zero-shot learning begins from, on simulated specimens.

A specimen is drawn on the fine grid, seen through a random point spread function, exposed by a random camera, and the light network
learns to give back the noise-free image and the specimen through the response that sharp images state. Nothing here has seen a real image: what the
result knows of biology is what `superlens.simulate` draws. Structures, PSFs, light levels, backgrounds and read noise are drawn as
broadly as microscopes differ, since a narrow start invents its own structures on unlike images.

In: seeds and numbers. Out: the weights of ``networks.light``. The shipped ones are made by ``python -m superlens.starts.images``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import click
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy import fft, ndimage

from superlens import __version__, simulate
from superlens.model import Model, ModelConfig
from superlens.networks import architecture, build, losses
from superlens.observing.conditioning import BANK_RADIUS, CHANNELS, Normaliser, wiener_kernels
from superlens.optics import RESPONSES
from superlens.progress import Progress, console, silent
from superlens.training import (
    Checkpoint,
    Draw,
    History,
    Plan,
    best_precision,
    fit,
    get_weights,
    precision,
    set_weights,
)
from superlens.training.two_stage.state import TwoStageState

__all__ = [
    "Batch",
    "Exposed",
    "batches",
    "calibrate",
    "draw_example",
    "drawn_ahead",
    "in_order",
    "pretrain",
    "specimens",
    "two_stage_loss",
    "write_start",
]

Array = NDArray[np.float32]
Rng = np.random.Generator

_FINE = 256  # side of the periodic specimen, fine pixels
_CAMERA = _FINE // 2
PATCH = 96  # side of a training patch, camera pixels
_MARGIN = 8  # left out of the loss: zero padding reaches it


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch, in network units.

    Attributes
    ----------
    conditioned : ndarray, shape (B, PATCH, PATCH, CHANNELS), float32
    clean : ndarray, shape (B, PATCH, PATCH, 1), float32
        The noise-free camera image.
    sharp : ndarray, shape (B, 2 * PATCH, 2 * PATCH, 1), float32
        The specimen through the stated response.
    """

    conditioned: Array
    clean: Array
    sharp: Array


def specimens(count: int, rng: Rng) -> NDArray[np.float16]:
    """Draw the specimens that patches are made from.

    Parameters
    ----------
    count : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (count, 256, 256), float16, maximum 1
    """
    pool = np.empty((count, _FINE, _FINE), np.float16)
    for i in range(count):
        drawn = _structure(rng)
        while drawn.max() <= 0:  # a sparse kind may draw nothing at all
            drawn = _structure(rng)
        pool[i] = drawn / drawn.max()
    return pool


def draw_example(pool: NDArray[np.float16], rng: Rng) -> tuple[Array, Array, Array]:
    """Simulate one observation of a random specimen.

    Returns
    -------
    conditioned : ndarray, shape (PATCH, PATCH, CHANNELS)
    clean : ndarray, shape (PATCH, PATCH, 1)
    sharp : ndarray, shape (2 * PATCH, 2 * PATCH, 1)
    """
    spectrum = fft.rfft2(a_specimen(pool, rng))
    otf, target = random_otfs(rng)
    exposed = Exposed.draw(
        bin_pixels(fft.irfft2(spectrum * otf, (_FINE, _FINE))), fft.irfft2(spectrum * target, (_FINE, _FINE)), rng
    )
    conditioned = condition_periodic(exposed.noisy, exposed.sigma, exposed.normaliser, otf, target)
    clean, sharp = exposed.answers()
    return conditioned[:PATCH, :PATCH], clean[:PATCH, :PATCH], sharp[: 2 * PATCH, : 2 * PATCH]


@dataclass(frozen=True, slots=True)
class Exposed:
    """What a random camera records of a noise-free image or volume, and what is known of it.

    Attributes
    ----------
    noisy : ndarray, shape ([Z,] Y, X), float32, electrons
    sigma : ndarray, shape ([Z,] Y, X), float32, electrons
        Standard deviation of the noise, as well as a camera that was measured tells it.
    clean : ndarray, shape ([Z,] Y, X), electrons
    sharp : ndarray, shape ([Z,] 2 * Y, 2 * X), electrons
    normaliser : Normaliser
    """

    noisy: Array
    sigma: Array
    clean: Array
    sharp: Array
    normaliser: Normaliser

    @classmethod
    def draw(cls, clean: Array, sharp: Array, rng: Rng) -> Exposed:
        """Expose a periodic image or volume, given at camera sampling and sharp on the fine grid, in any unit."""
        clean = np.maximum(clean, 0)
        bright = clean[clean > 0.1 * clean.max()]
        photons = np.exp(rng.uniform(np.log(3.0), np.log(400.0)))
        factor = photons / max(float(bright.mean()) if bright.size else 0.0, 1e-9)
        background = photons * (0.0 if rng.random() < 0.25 else np.exp(rng.uniform(np.log(0.02), np.log(4.0))))
        clean, sharp = clean * factor + background, sharp * factor + background
        read_noise = rng.uniform(0, 4) if rng.random() < 0.8 else 0.0
        noisy = _noisy_like(clean, read_noise, rng)
        smoothed = ndimage.uniform_filter(noisy, (1, 5, 5)[-clean.ndim :], mode="wrap")
        gain_error, read_error = np.exp(rng.normal(0, 0.12, 2))
        sigma = np.sqrt(np.maximum(smoothed, 0.05) * gain_error + (read_noise * read_error) ** 2).astype(np.float32)
        return cls(noisy, sigma, clean, sharp, _jittered(Normaliser.measure(smoothed, sigma), rng))

    def answers(self) -> tuple[Array, Array]:
        """The clean and the sharp image in network units, with a channel."""
        return self.normaliser.forward(self.clean)[..., None], self.normaliser.forward(self.sharp)[..., None]


def batches(
    pool: NDArray[np.float16], *, size: int, seed: int, steps: int, workers: int = 2, start: int = 0
) -> Iterator[Batch]:
    """Batches of a training on images; batch ``i`` depends on ``(seed, i)`` alone."""
    global _POOL
    _POOL = pool
    yield from drawn_ahead(partial(_draw_batch, size, seed), steps=steps, workers=workers, start=start)


def drawn_ahead(draw: Callable[[int], Batch], *, steps: int, workers: int, start: int) -> Iterator[Batch]:
    """Batches ``start`` to ``steps`` in order, each drawn by ``draw(i)`` in one of so many processes, a few ahead of their use."""
    ahead = 4 * workers
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
        waiting: deque[Future[Batch]] = deque()
        for i in range(start, steps + ahead):
            if i < steps:
                waiting.append(executor.submit(draw, i))
            if i >= start + ahead and waiting:
                yield waiting.popleft().result()


def in_order(source: Callable[[int], Iterator[Batch]]) -> Draw:
    """Batches in the order of steps, from wherever a resumed run begins."""
    running: list[Iterator[Batch]] = []

    def draw(step: int) -> tuple[Array, tuple[Array, ...]]:
        if not running:
            running.append(source(step))
        one = next(running[0])
        return one.conditioned, (one.clean, one.sharp)

    return draw


_POOL: NDArray[np.float16] | None = None  # shared with the workers by fork


def _draw_batch(size: int, seed: int, index: int) -> Batch:
    assert _POOL is not None
    rng = np.random.default_rng((seed, index))
    examples = [draw_example(_POOL, rng) for _ in range(size)]
    return Batch(*(np.stack(part).astype(np.float32) for part in zip(*examples, strict=True)))


def _structure(rng: Rng) -> Array:
    """One specimen of a random kind and scale. Nuclei, cell membranes and photographs are left out: they test the breadth."""
    shape = (_FINE, _FINE)

    def around(value: float, octaves: float) -> float:
        return float(value * 2 ** rng.uniform(-octaves, octaves))

    match rng.choice(8, p=(0.13, 0.11, 0.12, 0.06, 0.09, 0.13, 0.22, 0.14)):
        case 0:
            return simulate.filaments(
                shape, rng, density=around(0.04, 1.7), persistence=around(200, 1.5), width=around(1.2, 1.2)
            )
        case 1:
            return simulate.vesicles(
                shape, rng, density=around(0.0015, 1.5), radius=around(4.0, 1), hollow=rng.uniform(0, 1)
            )
        case 2:
            return simulate.er_network(
                shape, rng, mesh=around(28, 0.8), width=around(2.0, 1), sheets=rng.uniform(0, 0.1)
            )
        case 3:
            return simulate.mitochondria(shape, rng, density=around(0.006, 1), width=around(9, 0.7))
        case 4:
            return simulate.beads(shape, rng, density=around(0.002, 2), spread=rng.uniform(0, 0.8))
        case 5:
            return simulate.dead_leaves(shape, rng, smallest=around(2.5, 0.7), largest=around(60, 0.8))
        case 6:
            return simulate.filaments(
                shape,
                rng,
                density=around(0.02, 1.5),
                persistence=around(400, 1.5),
                width=around(1.0, 0.8),
                strands=2 if rng.random() < 0.8 else 3,
                gap=around(5.0, 1.2),
            )
        case _:
            return simulate.one_over_f(shape, rng, exponent=rng.uniform(0.8, 2.2), contrast=around(1.0, 1.0))


def a_specimen(pool: NDArray[np.float16], rng: Rng) -> NDArray[np.floating[Any]]:
    if rng.random() < 0.03:
        return np.ones((_FINE, _FINE), np.float32)
    one: NDArray[np.floating[Any]] = _moved(pool, rng)
    if rng.random() < 0.3:
        other = _moved(pool, rng)
        product = one * other
        if rng.random() < 0.4 and product.max() > 0.05:
            one = product
        else:
            one = one + np.exp(rng.uniform(np.log(0.05), np.log(1.0))) * other
    if rng.random() < 0.3:
        one = np.maximum(one, 0) ** rng.uniform(0.6, 1.8)
    if rng.random() < 0.3:  # uneven illumination or expression
        y, x = np.meshgrid(*(np.linspace(0, 2 * np.pi, _FINE, endpoint=False),) * 2, indexing="ij")
        one = one * (1 + rng.uniform(0, 0.9) * np.cos(y + rng.uniform(0, 6.28)) * np.cos(x + rng.uniform(0, 6.28)))
    if rng.random() < 0.1:  # a few pixels far brighter than the rest
        spots = rng.integers(0, _FINE, (rng.integers(1, 6), 2))
        one = one.copy()
        one[spots[:, 0], spots[:, 1]] += rng.uniform(1, 10) * one.max()
    return one


def _moved(pool: NDArray[np.float16], rng: Rng) -> Array:
    one = pool[rng.integers(len(pool))].astype(np.float32)
    one = np.rot90(one, int(rng.integers(4)))
    if rng.random() < 0.5:
        one = one[::-1]
    return np.roll(one, tuple(rng.integers(0, _FINE, 2)), axis=(0, 1))


def random_otfs(rng: Rng) -> tuple[Array, Array]:
    """Transfer functions of a random PSF and of the response that sharp images state for it, on the fine grid."""
    fwhm = 2 * np.exp(rng.uniform(np.log(1.6), np.log(7.0)))  # fine pixels
    airy = rng.random() < 0.6
    power = rng.uniform(1, 2) if airy and rng.random() < 0.3 else 1.0
    squeeze = np.exp(rng.normal(0, 0.04)) if rng.random() < 0.5 else 1.0
    halo = rng.uniform(0, 0.4) if rng.random() < 0.4 else 0.0
    halo_width = rng.uniform(1.7, 4.0)
    ky = fft.fftfreq(_FINE)[:, None] * squeeze
    kx = fft.rfftfreq(_FINE)[None, :] / squeeze
    k = np.hypot(ky, kx).astype(np.float32)

    def otf(width: float) -> Array:
        core = airy_otf(k * width * np.sqrt(power) / 1.02) if airy else gauss_otf(k * width)
        if power != 1.0:
            psf = np.maximum(fft.irfft2(core, (_FINE, _FINE)), 0) ** power
            core = fft.rfft2(psf / psf.sum()).real
        return ((1 - halo) * core + halo * gauss_otf(k * width * halo_width)).astype(np.float32)

    stated = RESPONSES["YX"]
    return otf(fwhm), (1 - stated.core_share) * otf(fwhm / stated.lateral) + stated.core_share * otf(fwhm / stated.core)


def airy_otf(ratio: Array) -> Array:
    """Incoherent transfer function of a clear pupil; ``ratio`` is frequency over cutoff."""
    r = np.clip(ratio, 0, 1)
    return np.asarray((2 / np.pi) * (np.arccos(r) - r * np.sqrt(1 - r * r)), np.float32)


def gauss_otf(cycles_per_fwhm: Array) -> Array:
    return np.asarray(np.exp(-((np.pi * cycles_per_fwhm) ** 2) / (4 * np.log(2))), np.float32)


def bin_pixels(fine: Array) -> Array:
    return np.asarray(fine.reshape(_CAMERA, 2, _CAMERA, 2).mean((1, 3)))


def _noisy_like(clean: Array, read_noise: float, rng: Rng) -> Array:
    """Expose a noise-free image or volume, in electrons; some cameras' neighbouring pixels share noise."""
    noisy = rng.poisson(clean) + read_noise * rng.standard_normal(clean.shape, np.float32)
    if rng.random() < 0.15:  # neighbouring pixels that share noise
        noise = noisy - clean
        share = rng.uniform(0.05, 0.35)
        for axis in (-2, -1):
            noise = noise + share * np.roll(noise, 1, axis)
        noisy = clean + noise / (1 + share * share)
    return noisy.astype(np.float32)


def _jittered(normaliser: Normaliser, rng: Rng) -> Normaliser:
    """A normaliser as another part of the image might have given it."""
    if rng.random() < 0.4:
        return normaliser
    contrast = normaliser.contrast * np.exp(rng.uniform(-0.8, 0.5))
    return Normaliser(normaliser.level + normaliser.contrast * rng.normal(0, 0.15), contrast)


def condition_periodic(noisy: Array, sigma: Array, normaliser: Normaliser, otf: Array, target: Array) -> Array:
    """As `superlens.observing.conditioning.condition`, on a periodic plane."""
    half = _CAMERA // 2
    rows = np.r_[0:half, _FINE - half : _FINE]
    box = np.cos(np.pi * fft.fftfreq(_CAMERA) / 2)[:, None] * np.cos(np.pi * fft.rfftfreq(_CAMERA) / 2)[None, :]
    kernels = wiener_kernels(otf[rows][:, : half + 1] * box, target[rows][:, : half + 1] * box, (_CAMERA, _CAMERA))
    plane = normaliser.forward(noisy)
    spectrum = fft.rfft2(plane)
    out = np.empty((_CAMERA, _CAMERA, CHANNELS), np.float32)
    out[..., 0] = plane
    out[..., 1] = 1.0 + np.log10(np.maximum(sigma / normaliser.contrast, 1e-4))
    for i, kernel in enumerate(kernels):
        wide = np.zeros((_CAMERA, _CAMERA), np.float32)
        wide[: 2 * BANK_RADIUS + 1, : 2 * BANK_RADIUS + 1] = kernel
        shifted = np.roll(wide, (-BANK_RADIUS, -BANK_RADIUS), axis=(0, 1))
        out[..., 2 + i] = fft.irfft2(spectrum * fft.rfft2(shifted), plane.shape)
    return out


def pretrain(
    *,
    steps: int,
    seed: int = 0,
    begin: Sequence[Array] | None = None,
    learning_rate: float = 1e-3,
    batch: int = 8,
    count: int = 3000,
    workers: int = 2,
    checkpoint: Checkpoint | None = None,
    progress: Progress = silent,
) -> tuple[keras.Model, History]:
    """Train the light network.

    Parameters
    ----------
    steps : int
        Training steps.
    seed : int
    begin : sequence of ndarray, optional
        Weights to go on from, as `superlens.training.get_weights` gives them; random ones by default.
    learning_rate : float
    batch : int
        Patches a step.
    count : int
        Specimens to draw patches from.
    workers : int
        Processes that draw batches.
    checkpoint : Checkpoint, optional
    progress : Progress
    """
    pool = specimens(count, np.random.default_rng(seed))
    keras.utils.set_random_seed(seed)
    with precision(best_precision()):
        network = build("light", {"channels": CHANNELS})
    if begin is not None:
        set_weights(network, begin)
    plan = Plan(steps=steps, learning_rate=learning_rate, check_every=250)
    draw = in_order(lambda start: batches(pool, size=batch, seed=seed, steps=steps, workers=workers, start=start))
    return network, fit(network, two_stage_loss, draw, plan, checkpoint=checkpoint, average=0.998, progress=progress)


def calibrate(
    network: keras.Model, *, seed: int = 1, batch: int = 8, steps: int = 60, count: int = 600, workers: int = 2
) -> float:
    """Measure what the stated errors have to be scaled by.

    The head that states them is learned along with the rest. Teaching it further on its own, the rest fixed, made it surer on what the
    simulations hold and too sure on everything else.

    Returns
    -------
    float
        Factor on the stated standard deviation after which, in the median fresh simulated patch, 5 % of the errors exceed twice it.
    """
    pool = specimens(count, np.random.default_rng(seed))
    ratios = []
    for one in batches(pool, size=batch, seed=seed + 1, steps=steps, workers=workers):
        sharp, log_sigma = _averaged(network, one.conditioned)
        ratio = np.abs(sharp - one.sharp) / np.exp(log_sigma)
        inner = ratio[:, 2 * _MARGIN : -2 * _MARGIN, 2 * _MARGIN : -2 * _MARGIN]
        ratios.extend(np.quantile(inner, 0.95, axis=(1, 2, 3)) / 2)
    return float(np.median(ratios))


def _averaged(network: keras.Model, conditioned: Array) -> tuple[Array, Array]:
    """Sharp image and logarithm of its stated error over the eight turned and mirrored copies, as a prediction averages them."""
    sums = [np.zeros((), np.float32), np.zeros((), np.float32)]
    for quarters in range(4):
        for step in (1, -1):
            turned = np.ascontiguousarray(np.rot90(conditioned, quarters, (1, 2))[:, ::step])
            outputs = network.predict_on_batch(turned)[1:]
            sums = [a + np.rot90(o[:, ::step], -quarters, (1, 2)) for a, o in zip(sums, outputs, strict=True)]
    return (sums[0] / 8).astype(np.float32), (sums[1] / 8).astype(np.float32)


def two_stage_loss(targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Logarithm of the squared error of both stages, and the likelihood of the stated errors of the second."""
    clean, sharp = (losses.crop(t, m) for t, m in zip(targets, (_MARGIN, 2 * _MARGIN), strict=True))
    denoised, sharpened, log_sigma = (
        losses.crop(o, m) for o, m in zip(outputs, (_MARGIN, 2 * _MARGIN, 2 * _MARGIN), strict=True)
    )
    error = ops.stop_gradient(sharpened - sharp)
    return (
        losses.log_mse(sharpened, sharp)
        + 0.5 * losses.log_mse(denoised, clean)
        + 0.2 * losses.laplace_nll(error, log_sigma)
    )


@click.command()
@click.option("--steps", default=14_000, show_default=True, help="Training steps.")
@click.option("--seed", default=0, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--begin", type=click.Path(path_type=Path), help="A model file to go on from; random weights by default.")
@click.option("--workers", default=1, show_default=True, help="Processes that draw batches.")
@click.argument("out", type=click.Path(path_type=Path))
def main(steps: int, seed: int, learning_rate: float, begin: Path | None, workers: int, out: Path) -> None:
    """Train the start of zero-shot learning and write it to OUT; a killed run goes on where it was."""
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(out.with_suffix(".checkpoint.npz"), f"pretraining {steps} {seed} {learning_rate} {begin}")
    with console() as progress:
        network, _ = pretrain(
            steps=steps,
            seed=seed,
            begin=None if begin is None else get_weights(Model.load(begin).network),
            learning_rate=learning_rate,
            workers=workers,
            checkpoint=checkpoint,
            progress=progress,
        )
    begun_from = "random weights" if begin is None else begin.name
    write_start(
        out, "light", network, partial(calibrate, workers=workers),
        axes="YX", provenance={"steps": steps, "seed": seed, "begun_from": begun_from},
    )  # fmt: skip
    checkpoint.path.unlink(missing_ok=True)


def write_start(
    out: Path,
    name: str,
    trained: keras.Model,
    calibrate: Callable[[keras.Model], float],
    *,
    axes: Literal["YX", "ZYX"],
    provenance: dict[str, Any],
) -> None:
    """Write trained weights as a start: in full precision while its stated errors are calibrated, in half of it in the file."""
    about = architecture(name).arguments(2)
    exact = build(name, about)
    set_weights(exact, get_weights(trained))
    state = TwoStageState(axes=axes, response=RESPONSES[axes], spread=calibrate(exact))
    config = ModelConfig(
        version=__version__,
        method="pretraining",
        network=name,
        network_config=about,
        state=state.stored(),
        provenance=provenance,
    )
    Model(config, exact).save(out, dtype="float16")


if __name__ == "__main__":
    main()
