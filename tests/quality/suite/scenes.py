"""The scenes of the benchmark: which specimen, how bright, through which optics, by which seed.

In: names and numbers. Out: a `Scene` of superlens.simulate with its truth, and the optics as a user would state them. The camera is
the same everywhere: offset 100, gain 1, read noise 1.5 electrons, 2 photons of background in every pixel, counts not rounded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from superlens import simulate
from superlens.camera import Camera
from superlens.image import Image
from superlens.optics import PSF, RESPONSES, Objective
from superlens.simulate import Scene

__all__ = [
    "AS_TRUTH",
    "BACKGROUND",
    "CAMERA",
    "CAMERA_NM",
    "FINE_NM",
    "NINE",
    "PHOTONS",
    "UNLIKE",
    "Optics",
    "counts",
    "make",
    "optics",
    "psf",
    "stated",
    "truth",
]

CAMERA_NM = 62.6
FINE_NM = CAMERA_NM / 2
CAMERA = Camera(gain=1.0, offset=100.0, read_noise_e=1.5)
BACKGROUND = 2.0
AS_TRUTH = 1.5
"""Times narrower than the PSF: how sharp the truth is that methods are measured against."""

NINE = ("filaments", "vesicles", "er_network")
PHOTONS = (5, 15, 50)
UNLIKE = {"nuclei": "deep", "membranes": "confocal", "photograph": "deep", "print": "confocal"}
"""Specimens that the pretraining never draws, each with optics that it never draws."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Optics:
    """A microscope by a short name.

    Attributes
    ----------
    words : str
    given : Objective or PSF
        What the user hands over.
    """

    words: str
    given: Objective | PSF


def optics(name: str) -> Optics:
    """The microscopes of the benchmark: "oil", "deep", "confocal", "gaussian"."""
    match name:
        case "oil":
            given = Objective(na=1.3, wavelength_nm=525, immersion_index=1.518, psf_model="scalar")
            return Optics("NA 1.3, 525 nm, index 1.518, scalar, in focus", given)
        case "deep":
            given = Objective(
                na=1.4,
                wavelength_nm=525,
                immersion_index=1.518,
                sample_index=1.38,
                depth_nm=3000,
                psf_model="vectorial",
            )
            return Optics("NA 1.4, 525 nm, vectorial, oil into index 1.38, 3 um deep", given)
        case "confocal":
            given = Objective(
                na=1.2, wavelength_nm=525, immersion_index=1.33, modality="confocal", excitation_nm=488, pinhole_au=1.0
            )
            return Optics("confocal, NA 1.2 water, 488/525 nm, pinhole 1 AU, vectorial", given)
        case "gaussian":
            return Optics("Gaussian of the width of the oil objective's PSF", _gaussian())
    raise ValueError(f"optics is {name!r}; expected oil, deep, confocal or gaussian")


def psf(name: str) -> PSF:
    """The PSF of a microscope on the fine grid."""
    given = optics(name).given
    return given if isinstance(given, PSF) else _psf(given)


@functools.cache
def _gaussian() -> PSF:
    return PSF.gaussian(psf("oil").fwhm_nm, FINE_NM)


@functools.lru_cache(maxsize=8)
def _psf(objective: Objective) -> PSF:
    return objective.psf(FINE_NM)


def make(kind: str, photons: float, seed: int, *, optics: str = "oil", side: int = 256, **shape: Any) -> Scene:
    """Draw and photograph one scene.

    Parameters
    ----------
    kind : str
        A structure of superlens.simulate, "photograph", "print" or "two_filaments".
    photons : float
        Mean over the pixels above a tenth of the maximum.
    seed : int
    optics : str
        See `optics`.
    side : int
        Camera pixels.
    shape
        Further arguments of the specimen.
    """
    rng = np.random.default_rng(seed)
    lens = psf(optics)
    specimen = _specimen(kind)((2 * side, 2 * side), rng, **shape)
    exposed, clean, factor = simulate.expose(specimen, lens, CAMERA, photons=photons, background=BACKGROUND, rng=rng)
    name = f"{kind}-{photons:g}-{seed}"
    return Scene(
        observed=Image(exposed, "YX", pixel_nm=CAMERA_NM, name=name),
        truth=(CAMERA.gain * (factor * specimen + BACKGROUND)).astype(np.float32),
        clean=(CAMERA.gain * clean).astype(np.float32),
        psf=lens,
        camera=CAMERA,
        name=name,
    )


def counts(scene: Scene) -> Array:
    """The noisy picture, counts above the offset."""
    return np.asarray(scene.observed.data - scene.camera.offset, np.float32)


def truth(scene: Scene) -> Array:
    """The specimen at 1.5 times the resolution, which every method is measured against: through the PSF made as much narrower."""
    return simulate.truth_at_resolution(scene, AS_TRUTH)


def stated(scene: Scene) -> Array:
    """The specimen as our sharp images state to show it: through their response, which has a finer core."""
    return np.asarray(RESPONSES["YX"].of(scene.psf).blur(scene.truth), np.float32)


def _specimen(kind: str) -> Callable[..., Array]:
    own: dict[str, Callable[..., Array]] = {
        "photograph": _photograph,
        "print": _print,
        "two_filaments": _two_filaments,
    }
    return own[kind] if kind in own else simulate.STRUCTURES[kind]


def _two_filaments(shape: tuple[int, int], rng: np.random.Generator, *, separation: float, angle_deg: float) -> Array:
    """Two lines drawn four times finer, so that drawing them does not widen them."""
    finer = simulate.two_filaments((4 * shape[0], 4 * shape[1]), rng, separation=4 * separation, angle_deg=angle_deg)
    return np.asarray(finer.reshape(shape[0], 4, shape[1], 4).mean(axis=(1, 3)), np.float32)


def _photograph(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """The cameraman of scikit-image (CC0, by its photographer Lav Varshney), its brightness taken for label density."""
    from skimage import data

    full = np.asarray(data.camera(), np.float32)  # type: ignore[no-untyped-call]
    y, x = (int(rng.integers(0, f - s + 1)) for f, s in zip(full.shape, shape, strict=True))
    return np.ascontiguousarray(full[y : y + shape[0], x : x + shape[1]])


def _print(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """A page of random words in small type, bright on a dim page that is unevenly lit."""
    page = Pillow.new("L", (shape[1], shape[0]), 0)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=15)
    letters = np.array(list("etaoinshrdlucmfwypvbgk" * 3 + "EATOINSHR0123456789"))
    for y in range(2, shape[0], 17):
        words = ("".join(rng.choice(letters, int(rng.integers(2, 10)))) for _ in range(shape[1] // 20))
        pen.text((int(rng.integers(-9, 1)), y), " ".join(words), fill=255, font=font)
    lit = np.linspace(1.2, 0.8, shape[0], dtype=np.float32)[:, None] * np.linspace(0.8, 1.2, shape[1], dtype=np.float32)
    return np.asarray(lit * (0.12 + np.asarray(page, np.float32) / 255), np.float32)
