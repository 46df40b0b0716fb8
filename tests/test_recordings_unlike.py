"""A fuzz of meanings: movies whose frames are unlike each other in many ways at once, and cameras that are given wrongly in many ways.

What comes out is right, or it is said that it is not: no third thing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from superlens.camera import Camera, estimate_camera
from superlens.errors import SuperlensError
from superlens.optics import PSF
from superlens.simulate import STRUCTURES, Background, Independent, SmlmScene, expose, simulate_smlm
from superlens.smlm import estimate_movie
from superlens.smlm.estimation import MovieEstimate

FRAMES, SIDE, OFFSET = 80, 40, 100.0
Spoil = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def put(value: float) -> Spoil:
    """One value in every pixel of some frames."""
    return lambda counts, chosen, rng: np.where(chosen[:, None, None], value, counts)


def shutter(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(chosen[:, None, None], np.rint(OFFSET + rng.normal(0, 1.5, counts.shape)), counts)


def flash(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return counts + chosen[:, None, None] * rng.poisson(rng.uniform(100, 3000), counts.shape)


def torn(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    made = counts.copy()
    made[chosen, int(rng.integers(8, SIDE - 8)) :] = 0
    return made


def garbage(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(chosen[:, None, None], rng.integers(0, 4096, counts.shape), counts)


def dead_but_hot(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    made = put(0)(counts, chosen, rng)
    made[chosen, 3, 9] = 4095
    return made


def fade(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = rng.uniform(50, 500) * np.exp(-np.arange(FRAMES) / rng.uniform(3, 30))
    return counts + rng.poisson(np.broadcast_to(light[:, None, None], counts.shape))


def flicker(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = np.maximum(rng.uniform(20, 80) * (1 + 0.3 * rng.normal(size=FRAMES)), 0)
    return counts + rng.poisson(np.broadcast_to(light[:, None, None], counts.shape))


def steps(counts: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = rng.uniform(30, 200) * (np.arange(FRAMES) < rng.integers(10, 70))
    return counts + rng.poisson(np.broadcast_to(light[:, None, None], counts.shape))


SPOILS: dict[str, Spoil] = {
    "black": put(0), "white": put(65535), "shutter": shutter, "flash": flash, "torn": torn, "garbage": garbage,
    "dead": dead_but_hot, "fade": fade, "flicker": flicker, "steps": steps,
}  # fmt: skip


def some_frames(rng: np.random.Generator) -> np.ndarray:
    """A block at either end, every few frames, or any: up to half of them."""
    number, at = int(rng.integers(1, FRAMES // 2)), np.arange(FRAMES)
    how = rng.integers(4)
    if how == 0:
        return np.asarray(at < number)
    if how == 1:
        return np.asarray(at >= FRAMES - number)
    if how == 2:
        return np.asarray(at % int(rng.integers(2, 9)) == 0)
    return np.isin(at, rng.choice(FRAMES, number // 3 + 1, replace=False))


def plain(seed: int, density: float) -> np.ndarray:
    scene = SmlmScene(
        yx_shape=(SIDE, SIDE), blinking=Independent(density), margin_nm=300.0, background=Background(20.0, 20.0)
    )
    return simulate_smlm(FRAMES, scene, rng=np.random.default_rng(seed)).frames.data.astype(np.float32)


def right(told: MovieEstimate, density: float) -> bool:
    """As far as the background can be told from the light of molecules: to a fifth of the noise of a pixel."""
    noise = np.sqrt(told.background + told.camera.read_noise_e**2)
    unsure = np.log(1 + 0.2 * noise / (2278.0 * density * 0.01))
    return bool(
        abs(np.log(told.photons / 2278.0)) < np.log(1.35) + unsure
        and abs(np.log(told.density_um2 / density)) < np.log(1.4) + unsure
        and abs(told.sigma_nm / 110.0 - 1) < 0.1
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_movie_of_frames_unlike_each_other_is_understood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    density = float(rng.choice([0.2, 0.5, 1.5]))
    counts = plain(seed % 6, density)
    names = rng.choice(list(SPOILS), int(rng.integers(1, 3)), replace=False)
    chosen = some_frames(rng)
    for name in names:
        other = some_frames(rng)
        counts = SPOILS[name](counts, other if (chosen | other).sum() <= FRAMES // 2 else chosen, rng)
    told = estimate_movie(counts, 100.0, gain=1.0)
    assert right(told, density) or told.contradictions, (names, told.photons, told.density_um2, told.sigma_nm)
    electrons = np.asarray(told.camera.to_electrons(counts), np.float32)
    judged = told.judged(electrons)
    apart = told.flat(electrons, judged)[judged.alike]
    middle = np.median(apart, axis=(1, 2))
    assert np.ptp(middle) < 4 * np.sqrt(told.background + told.camera.read_noise_e**2) + 10, names


TIMES = (0.05, 0.1, 0.5, 2.0, 10.0, 50.0)


@pytest.mark.parametrize("seed", range(40))
def test_a_camera_that_is_given_wrongly_is_told(seed: int) -> None:
    """By a factor of two, of ten, or by the inverse; an image with light enough says so, and never of right values."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(sorted(set(STRUCTURES) - {"flat"}))
    true = {
        "gain": float(rng.choice([0.4, 2.2, 6.0])),
        "offset": float(rng.choice([100.0, 500.0])),
        "read_noise_e": 1.5,
    }
    specimen = STRUCTURES[kind]((256, 256), rng)
    counts, _, _ = expose(specimen, PSF.gaussian(270.0, 50.0), Camera(**true), photons=100.0, background=8.0, rng=rng)
    known = {name: value for name, value in true.items() if name == "gain" or rng.random() < 0.5}
    assert not [note for note in estimate_camera(counts, **known).notes if note.startswith("`")]
    wrong = float(rng.choice([*(true["gain"] * t for t in TIMES), 1 / true["gain"]]))
    estimate = estimate_camera(counts, **{**known, "gain": wrong})
    assert estimate.verdict != "plausible"
    assert any(note.startswith(f"`gain` is {wrong:.3g}; the image suggests") for note in estimate.notes)


@pytest.mark.parametrize("seed", range(16))
def test_a_camera_that_is_given_wrongly_for_a_movie_is_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = {"gain": float(rng.choice([0.4, 2.2, 6.0])), "offset": 100.0, "read_noise_e": 1.5}
    scene = SmlmScene(yx_shape=(SIDE, SIDE), blinking=Independent(0.3), sensor=Camera(**true))
    counts = simulate_smlm(40, scene, rng=rng).frames.data
    assert estimate_movie(counts, 100.0, **true).doubts == ()
    wrong = float(rng.choice([*(true["gain"] * t for t in TIMES), 1 / true["gain"]]))
    try:
        told = estimate_movie(counts, 100.0, **{**true, "gain": wrong})
    except SuperlensError:
        return  # with so wrong a gain nothing blinks
    assert any(doubt.startswith(f"`gain` is {wrong:.3g}; the movie suggests") for doubt in told.doubts)
