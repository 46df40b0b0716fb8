"""Train the network that ZS-DeconvNet-SIM starts from, on simulated raw frames of structured illumination.

A specimen is lit by a random pattern, seen through a random objective and exposed frame by frame; the frames are reconstructed as a
user's are, with a pattern and a transfer function that are a little wrong. The light network learns to give back the reconstruction
without its noise and the specimen through the stated response. Noise of a reconstruction is shared widely and lies along the
directions of the pattern, and a wrong pattern leaves fringes: neither is met by the start for plain images.

In: seeds and numbers. Out: the weights of ``networks.light`` at the sampling of the reconstruction. The shipped ones are made by
``python -m superlens.starts.structured OUT``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.camera import Camera, smoothed_signal
from superlens.methods.zsdeconv_sim.already import usual_spectrum
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.state import START
from superlens.model import Model, shipped
from superlens.observing.conditioning import Normaliser, condition
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Order, Pattern
from superlens.reconstruct.sim import Attenuation, Reconstruction, Regularisation, Spectrum
from superlens.reconstruct.sim.spectrum import grid_of
from superlens.starts.command import start_command
from superlens.starts.exposing import jittered, recorded
from superlens.starts.images import Batch, calibrate, from_pool, pretrain, write_start
from superlens.starts.optics import bin_pixels, gauss_otf
from superlens.starts.specimens import FINE, a_specimen
from superlens.training import get_weights

__all__ = ["PATCH", "Illuminated", "batches", "draw_field"]

Array = NDArray[np.float32]
Rng = np.random.Generator

PATCH = 96
"""Side of a training patch, pixels of the reconstruction."""

_FIELD = 4  # patches of a field, two by two
_EDGE = 24  # fine pixels at the border of a field that are left out: the light of a pattern is not periodic there
_FOREIGN = 0.15  # share of the reconstructions that another program made
_NARROWER = 1.5
_WEIGHT = 0.15
_ARRANGEMENTS = (
    (Arrangement.grid(3, 3), 0.55),
    (Arrangement.grid(3, 5, 2), 0.15),
    (Arrangement.grid(4, 3), 0.06),
    (Arrangement.hexagonal(), 0.10),
    (Arrangement.lattice(), 0.07),
    (Arrangement.pairs_and_uniform(), 0.07),
)


@dataclass(frozen=True, slots=True, eq=False)
class Illuminated:
    """A random microscope with structured illumination, and what its user knows of it.

    Attributes
    ----------
    pattern : Pattern
    detection : Detection
    optics : SimOptics
        Of the pattern and the detection that the user takes for the right ones.
    spectrum : Spectrum
        Of the reconstruction that is made; that of another program is not what the user takes for it.
    """

    pattern: Pattern
    detection: Detection
    optics: SimOptics
    spectrum: Spectrum

    @classmethod
    def draw(cls, rng: Rng) -> Illuminated:
        """Draw one; one in four is known badly."""
        cutoff = float(np.exp(rng.uniform(np.log(0.14), np.log(0.47))))
        damping = 1.0 if rng.random() < 0.35 else float(np.exp(rng.uniform(np.log(0.08), 0)))
        detection = Detection(cutoff, damping)
        table = _ARRANGEMENTS[rng.choice(len(_ARRANGEMENTS), p=[often for _, often in _ARRANGEMENTS])][0]
        longest = min(cutoff * rng.uniform(0.55, 1.05), 0.96 - cutoff)
        pattern = _pattern(table, longest, rng)
        careless = 3.0 if rng.random() < 0.25 else 1.0
        told = replace(
            pattern,
            orders=tuple(
                replace(
                    order,
                    modulation=order.modulation * float(np.exp(rng.normal(0, 0.05 * careless))),
                    phase=order.phase + float(np.radians(rng.normal(0, 2 * careless))),
                )
                for order in pattern.orders
            ),
        )
        uneven = np.radians(rng.normal(0, 1.0 * careless, table.steps.shape))
        pattern = replace(pattern, arrangement=replace(table, steps=table.steps + table.present * uneven))
        known = Detection(
            cutoff * float(np.exp(rng.normal(0, 0.012 * careless))),
            float(np.clip(damping * np.exp(rng.normal(0, 0.15 * careless)), 0.05, 1)),
        )
        attenuation = Attenuation(rng.uniform(0.2, 0.95) if rng.random() < 0.1 else 0.0)
        weight = float(np.exp(rng.uniform(np.log(0.05), np.log(0.5)))) if rng.random() < 0.2 else _WEIGHT
        optics = SimOptics.of(Spectrum(told, known, attenuation=attenuation), weight, _NARROWER, 65.0)
        if rng.random() > _FOREIGN:
            return cls(pattern, detection, optics, optics.spectrum)
        other = Regularisation("wiener", float(np.exp(rng.uniform(np.log(0.03), np.log(0.6)))))
        made = replace(optics.spectrum, regularisation=other, apodisation=rng.uniform(0.4, 2.0))
        usual = usual_spectrum(known, known.cutoff + longest * float(np.exp(rng.normal(0, 0.04))))
        return cls(pattern, detection, SimOptics.of(usual, _WEIGHT, _NARROWER, 65.0), made)

    @property
    def foreign(self) -> bool:
        """Whether another program made the reconstruction."""
        return self.spectrum is not self.optics.spectrum

    def frames(self, spectrum: NDArray[np.complexfloating]) -> Array:
        """The raw frames without noise of a specimen, given by its half-plane spectrum; the pattern is not blurred."""
        specimen = fft.irfft2(spectrum, (FINE, FINE))
        light = self.pattern.illumination((FINE, FINE), 2).astype(np.float32)
        seen = fft.rfft2(light * specimen.astype(np.float32)) * self._otf
        return np.stack([bin_pixels(one) for one in fft.irfft2(seen, (FINE, FINE))])

    def unstructured(self, spectrum: NDArray[np.complexfloating]) -> Array:
        """What light without a pattern adds to each frame."""
        plane = bin_pixels(fft.irfft2(spectrum * self._otf, (FINE, FINE)))
        return np.asarray(plane * self.pattern.brightness[:, None, None], np.float32)

    @property
    def _otf(self) -> Array:
        transfer = self.detection.blur(2).on((FINE, FINE))[:, : FINE // 2 + 1]
        return transfer.real.astype(np.float32)


def _pattern(table: Arrangement, longest: float, rng: Rng) -> Pattern:
    directions, highest = len(set(table.angles)), max(table.multiples)
    first, contrast = rng.uniform(0, 180), np.exp(rng.uniform(np.log(0.15), 0.0))
    orders = []
    for multiple, angle in zip(table.multiples, table.angles, strict=True):
        turned = np.radians(first + 180 * angle / directions + rng.normal(0, 1.0))
        length = longest * multiple / highest
        modulation = float(min(contrast * np.exp(rng.normal(0, 0.2)), 1.0))
        wave = (length * float(np.sin(turned)), length * float(np.cos(turned)))
        orders.append(Order(wave, modulation, float(rng.uniform(0, 2 * np.pi))))
    brightness = np.exp(rng.normal(0, 0.02, table.frames))
    return Pattern(tuple(orders), table, brightness / brightness.mean())


def draw_field(pool: NDArray[np.float16], rng: Rng) -> tuple[Array, Array, Array]:
    """Simulate the raw frames of a random specimen and reconstruct them.

    In three fields of ten a second specimen lies out of focus, where there is no pattern: it shall come out as a reconstruction without
    noise shows it.

    Returns
    -------
    conditioned : ndarray, shape (4, PATCH, PATCH, CHANNELS)
    clean, sharp : ndarray, shape (4, PATCH, PATCH, 1)
    """
    microscope = Illuminated.draw(rng)
    optics = microscope.optics
    spectrum = fft.rfft2(a_specimen(pool, rng).astype(np.float32))
    frames = np.maximum(microscope.frames(spectrum), 0)
    bright = frames[frames > 0.1 * frames.max()]
    photons = float(np.exp(rng.uniform(np.log(1.0), np.log(500.0))))
    factor = photons / max(float(bright.mean()) if bright.size else 0.0, 1e-9)
    background = photons * (0.0 if rng.random() < 0.3 else float(np.exp(rng.uniform(np.log(0.02), np.log(3.0)))))
    frames, spectrum = frames * factor, spectrum * factor
    haze = np.full_like(frames, background) * microscope.pattern.brightness[:, None, None].astype(np.float32)
    if rng.random() < 0.3:
        behind = np.exp(rng.uniform(np.log(0.1), np.log(3.0))) * factor * fft.rfft2(a_specimen(pool, rng))
        k = np.hypot(fft.fftfreq(FINE)[:, None], fft.rfftfreq(FINE)[None, :])
        behind = behind * gauss_otf(k * rng.uniform(1.0, 6.0) / microscope.detection.cutoff)
        haze = haze + np.maximum(microscope.unstructured(behind), 0)
    read_noise = rng.uniform(0, 3) if rng.random() < 0.7 else 0.0
    noisy = recorded((frames + haze).astype(np.float32), read_noise, False, rng)
    gain_error, read_error = np.exp(rng.normal(0, 0.12, 2))
    camera = Camera(float(gain_error), 0.0, float(read_noise * read_error))
    operator = Reconstruction((FINE // 2, FINE // 2), microscope.spectrum)
    counts, sigma = operator.apply(noisy), replace(optics, spectrum=microscope.spectrum).sigma(noisy, camera)
    clean, sharp = (
        fft.irfft2(spectrum * transfer(*grid_of((FINE, FINE))), (FINE, FINE)) + operator.apply(haze)
        for transfer in (microscope.spectrum.transfer, optics.response_on)
    )
    if microscope.foreign:
        sigma = sigma * np.float32(np.exp(rng.normal(0, 0.2)))
        if rng.random() < 0.5:  # negative values were cut off
            counts = np.maximum(counts, np.percentile(clean, 3))
    normaliser = jittered(Normaliser.measure(smoothed_signal(counts), sigma), rng)
    conditioned = condition(counts, sigma, normaliser, optics.bank)
    answers = (normaliser.forward(one)[..., None] for one in (clean, sharp))
    corners = [_EDGE + side * PATCH + int(rng.integers(FINE - 2 * (_EDGE + PATCH) + 1)) for side in (0, 1)]
    conditioned, clean, sharp = (
        np.stack([one[y : y + PATCH, x : x + PATCH] for y in corners for x in corners])
        for one in (conditioned, *answers)
    )
    return conditioned, clean, sharp


def _fields(pool: NDArray[np.float16], rng: Rng, size: int) -> Batch:
    fields = [draw_field(pool, rng) for _ in range(-(-size // _FIELD))]
    return Batch(*(np.concatenate(part)[:size].astype(np.float32) for part in zip(*fields, strict=True)))


batches = partial(from_pool, _fields)
"""`superlens.starts.images.from_pool` for a training on reconstructions."""


def _train(begin: list[Array] | None, **told: Any) -> keras.Model:
    usual = get_weights(Model.load(shipped()["zsdeconv-light"]).network) if begin is None else begin
    return pretrain(source=batches, scale=1, begin=usual, **told)[0]


def _write(out: Path, network: keras.Model, provenance: dict[str, Any], workers: int) -> None:
    measured = partial(calibrate, source=batches, workers=workers)
    write_start(out, "light", network, measured, axes="YX", provenance=provenance, method=START, scale=1)


if __name__ == "__main__":
    start_command(
        "Pretrain the network for reconstructions",
        _train,
        _write,
        steps=4500,
        learning_rate=6e-4,
        begins="zsdeconv-light",
    )()
