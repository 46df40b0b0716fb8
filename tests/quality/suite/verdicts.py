"""Cells that ask whether the verdict can be trusted: right inputs, and inputs with one thing wrong.

A third of the cases, `rules/...`, were used to choose the rules; the second third, `score/...`, were then measured once. One rule was mended after
that, and the last third, `again/...`, was drawn up and measured once. A right case passes when its
verdict is *Use it*. A wrong case passes when the verdict is another one and one of the reasons names the fault. The pretrained networks are used as
they are: fine-tuning changes the picture by little and the verdict by less, and costs a minute for each image.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

import superlens as sl
import superlens.model
from superlens import simulate
from superlens.camera.detectors import EMCCD
from superlens.enhancing import enhance
from superlens.methods.deepstorm.calls import localize
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.networks import build
from superlens.optics import PSF, Objective
from superlens.predicting import start
from superlens.report.verdict import Reason, Verdict
from superlens.simulate import Background, GaussianSpots, Independent, PhotonLaw, SmlmScene, simulate_smlm
from superlens.simulate.spots import AstigmaticSpots
from superlens.smlm.estimation import Known
from superlens.training.two_stage import recipe

from .store import Cell, Outcome, data_folder

__all__ = ["CASES", "Case", "cells"]

Array = NDArray[Any]

_SIDE = 256
_OIL = Objective(na=1.4, wavelength_nm=525, immersion_index=1.518)
_WATER = Objective(na=1.2, wavelength_nm=600, immersion_index=1.33)
_RED = Objective(na=1.4, wavelength_nm=670, immersion_index=1.518)
_BLUE = Objective(na=1.4, wavelength_nm=461, immersion_index=1.518)
_AIR = Objective(na=0.8, wavelength_nm=525, immersion_index=1.0)
_CONFOCAL = Objective(na=1.3, wavelength_nm=525, modality="confocal", excitation_nm=488, immersion_index=1.518)
_TWO_PHOTON = Objective(na=1.1, wavelength_nm=525, modality="two-photon", excitation_nm=920, immersion_index=1.33)
_SCMOS = sl.Camera(gain=2.2, offset=100.0, read_noise_e=1.6)


@dataclass(frozen=True, slots=True)
class Case:
    """One input and what should be said about it.

    Attributes
    ----------
    words : str
        What it is, for the page.
    judge : callable
        Gives the verdict.
    fault : str
        Pattern that a reason has to match, without regard to case; empty for a right input.
    """

    words: str
    judge: Callable[[], Verdict]
    fault: str = ""


def _image(
    kind: str,
    photons: float,
    optics: Objective,
    pixel_nm: float,
    seed: int,
    *,
    told: Objective | Callable[[], PSF] | None = None,
    told_nm: float | None = None,
    sensor: Any = _SCMOS,
    smear: tuple[int, int] = (1, 1),
    spoil: Callable[[Array, np.random.Generator], Array] = lambda counts, _: counts,
    **settings: Any,
) -> Callable[[], Verdict]:
    """A simulated image: how it was taken, what the user says instead, and what was done to it in between."""

    def judge() -> Verdict:
        psf = optics.psf(pixel_nm / 2)
        scene = simulate.scene(kind, photons, psf=psf, camera=_SCMOS, shape=(_SIDE, _SIDE), background=5.0, seed=seed)
        rng = np.random.default_rng(seed + 1000)
        light = np.asarray(scene.clean, np.float64) / _SCMOS.gain
        light = ndimage.uniform_filter(light, smear, mode="reflect")
        recorded = np.clip(np.rint(sensor.expose(light, rng)), 0, 65535).astype(np.uint16)
        spoiled = spoil(recorded, rng)
        image = sl.Image(spoiled, "YX", pixel_nm=told_nm or pixel_nm, name=kind)
        return _enhanced(image, told() if callable(told) else told or optics, **settings)

    return judge


def _enhanced(image: sl.Image, optics: Objective | PSF | None, **settings: Any) -> Verdict:
    _share_networks()
    return enhance(image, optics, config=ZSDeconvConfig.of("fast", steps=0, flips=2, **settings)).verdict


def _share_networks() -> None:
    """Build and compile each network once for all cells: without fine-tuning all of them hold the same weights."""
    for module in (superlens.model, recipe, start):
        module.build = _built


def _built(name: str, config: Mapping[str, Any]) -> Any:
    known = json.dumps([name, dict(config)], sort_keys=True)
    if known not in _NETWORKS:
        _NETWORKS[known] = build(name, config)
    return _NETWORKS[known]


_NETWORKS: dict[str, Any] = {}


def _recorded(path: str, psf: str | None, pixel_nm: float | None = None, **settings: Any) -> Callable[[], Verdict]:
    """A recorded image with the PSF that came with it, or denoising alone."""

    def judge() -> Verdict:
        folder = data_folder()
        if folder is None:
            raise FileNotFoundError("no recorded images; set SUPERLENS_DATA to their folder")
        image = sl.read(folder / path, pixel_nm=pixel_nm)
        optics = None if psf is None or pixel_nm is None else sl.read_psf(folder / psf, pixel_nm=pixel_nm / 2)
        return _enhanced(image, optics, **settings)

    return judge


def _bundled() -> Verdict:
    return _enhanced(sl.sample("microtubules_normal_light"), Objective(na=1.1, wavelength_nm=525))


def _movie(
    frames: int,
    *,
    known: Known | None = None,
    told_nm: float | None = None,
    spoil: Callable[[Array, np.random.Generator], Array] = lambda counts, _: counts,
    seed: int,
    density: float = 0.7,
    **scene: Any,
) -> Callable[[], Verdict]:
    """A simulated movie of blinking molecules."""

    def judge() -> Verdict:
        usual: dict[str, Any] = {
            "yx_shape": (64, 64),
            "margin_nm": 500.0,
            "photons": PhotonLaw("normal", 1500.0, 300.0),
            "spots": GaussianSpots(125.0, 5.0),
            "background": Background(20.0, 20.0),
            "sensor": _SCMOS,
            "blinking": Independent(density),
        }
        movie = simulate_smlm(frames, SmlmScene(**{**usual, **scene}), rng=np.random.default_rng(seed)).frames
        counts = spoil(np.asarray(movie.data), np.random.default_rng(seed + 1000))
        image = replace(movie, data=counts, pixel_nm=told_nm or movie.pixel_nm)
        return localize(image, known=known).verdict

    return judge


# -- faults ----------------------------------------------------------------------------------------------------------


def _jpeg(counts: Array, _: np.random.Generator) -> Array:
    low, high = np.percentile(counts, (0.1, 99.9))
    eight = np.clip(255 * (counts - low) / (high - low), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(eight).save(file, "JPEG", quality=85)
    return np.asarray(Pillow.open(file))


def _deconvolved(optics: Objective, pixel_nm: float, iterations: int) -> Callable[[Array, Any], Array]:
    def spoil(counts: Array, _: np.random.Generator) -> Array:
        above = np.clip(counts.astype(np.float64) - 100.0, 0.0, None)
        sharp = sl.richardson_lucy(above, optics.psf(pixel_nm).data, iterations=iterations)
        return np.clip(np.rint(sharp), 0, 65535).astype(np.uint16)

    return spoil


def _upsampled(order: int) -> Callable[[Array, Any], Array]:
    def spoil(counts: Array, _: np.random.Generator) -> Array:
        twice = ndimage.zoom(counts.astype(np.float64), 2, order=order, mode="nearest", grid_mode=True)
        return np.clip(np.rint(twice[:_SIDE, :_SIDE]), 0, 65535).astype(np.uint16)

    return spoil


def _clipped(share: float) -> Callable[[Array, Any], Array]:
    def spoil(counts: Array, _: np.random.Generator) -> Array:
        floor = np.quantile(counts, share).astype(int)
        return np.clip(counts.astype(int) - floor, 0, None).astype(np.uint16)

    return spoil


def _saturated(share: float) -> Callable[[Array, Any], Array]:
    return lambda counts, _: np.minimum(counts, np.quantile(counts, 1 - share)).astype(counts.dtype)


def _hot(share: float) -> Callable[[Array, Any], Array]:
    def spoil(counts: Array, rng: np.random.Generator) -> Array:
        found = rng.random(counts.shape) < share
        return np.where(found, counts + rng.integers(300, 4000, counts.shape), counts).astype(np.uint16)

    return spoil


def _smoothed(sigma: float) -> Callable[[Array, Any], Array]:
    def spoil(counts: Array, _: np.random.Generator) -> Array:
        axes = (0,) * (counts.ndim - 2) + (sigma, sigma)
        return np.rint(ndimage.gaussian_filter(counts.astype(np.float64), axes)).astype(np.uint16)

    return spoil


def _gamma(counts: Array, _: np.random.Generator) -> Array:
    low, high = np.percentile(counts, (0.5, 99.8))
    return (255 * np.clip((counts - low) / (high - low), 0, 1) ** 0.45).astype(np.uint8)


def _projected(optics: Objective, pixel_nm: float) -> PSF:
    """A stack of the PSF added up along z and handed over as the PSF of one plane."""
    stack = optics.psf(pixel_nm / 2, z_step_nm=150.0).data
    return PSF(stack.sum(axis=0) / stack.sum(), pixel_nm / 2)


_MULTIPLIED = EMCCD(
    quantum_efficiency=1.0, spurious_e=0.0, em_gain=200.0, read_noise_e=50.0, electrons_per_count=10.0, offset=200.0
)

_STRONGER = EMCCD(
    quantum_efficiency=1.0, spurious_e=0.0, em_gain=300.0, read_noise_e=50.0, electrons_per_count=8.0, offset=300.0
)

_PIXEL, _OPTICS = "pixel|detail", "NA|detail|blur"

CASES: Mapping[str, Case] = {
    # right, to choose the rules
    "rules/right/filaments-widefield": Case("filaments, NA 1.4, 65 nm, 60 photons", _image("filaments", 60, _OIL, 65, 1)),
    "rules/right/nuclei-air": Case("nuclei, NA 0.8, 162 nm, 200 photons", _image("nuclei", 200, _AIR, 162, 2)),
    "rules/right/vesicles-water": Case("vesicles, NA 1.2, 108 nm, 100 photons", _image("vesicles", 100, _WATER, 108, 3)),
    "rules/right/network-confocal": Case("network, confocal, 60 nm, 40 photons", _image("er_network", 40, _CONFOCAL, 60, 4)),
    "rules/right/mitochondria": Case("mitochondria, NA 1.4, 80 nm, 300 photons", _image("mitochondria", 300, _OIL, 80, 5)),
    "rules/right/bundled": Case("recorded microtubules (bundled), normal light", _bundled),
    "rules/right/lysosomes": Case(
        "recorded lysosomes, TIRF, with the measured transfer function",
        _recorded("zs-deconvnet/lysosome_tirf/cell01.tif", "zs-deconvnet/lysosome_tirf/TIRF560_cam2_0_z21_OTF2d.mrc", 62.6),
    ),
    "rules/right/confocal-denoised": Case(
        "recorded confocal image of cells, denoising only", _recorded("fmd/Confocal_BPAE_G_1_raw.png", None, denoise_only=True)
    ),
    "rules/right/movie": Case("movie, 125 nm wide, 1,500 photons, 0.7 a um2", _movie(100, seed=6)),
    "rules/right/movie-dense": Case("movie, 125 nm wide, 3,000 photons, 2 a um2", _movie(60, seed=7, density=2.0, photons=PhotonLaw("normal", 3000.0, 600.0))),
    # wrong, to choose the rules
    "rules/wrong/pixel-half": Case("pixel size half of what it is", _image("filaments", 100, _OIL, 80, 11, told_nm=40), _PIXEL),
    "rules/wrong/pixel-4.8": Case("pixel size 4.8 times too large", _image("filaments", 100, _OIL, 65, 12, told_nm=312), _PIXEL),
    "rules/wrong/na-high": Case("NA 0.8 stated as 1.4", _image("er_network", 150, _AIR, 80, 13, told=_OIL), _OPTICS),
    "rules/wrong/deconvolved": Case("deconvolved before (Richardson-Lucy, 20)", _image("mitochondria", 150, _OIL, 65, 14, spoil=_deconvolved(_OIL, 65, 20)), "deconvol|filter|process|correlat"),
    "rules/wrong/jpeg": Case("saved as JPEG, quality 85", _image("filaments", 150, _OIL, 65, 15, spoil=_jpeg), "compress"),
    "rules/wrong/clipped": Case("background subtracted and clipped at 0", _image("vesicles", 100, _WATER, 108, 16, spoil=_clipped(0.5)), "cut off|background"),
    "rules/wrong/motion": Case("blurred by motion of 0.7 um", _image("filaments", 150, _OIL, 65, 17, smear=(1, 11)), _OPTICS),
    "rules/wrong/hot": Case("1 % of the pixels hot", _image("nuclei", 100, _AIR, 162, 18, spoil=_hot(0.01)), "hot"),
    "rules/wrong/movie-wide": Case("movie of molecules wider than the model knows (260 nm)", _movie(80, seed=19, spots=GaussianSpots(260.0, 10.0)), "wide|σ|sigma"),
    "rules/wrong/movie-smoothed": Case("movie that was smoothed before", _movie(80, seed=20, spoil=_smoothed(1.0)), "noise|filter|smooth|correlat"),
    # right, to score them
    "score/right/fibres": Case("stress fibres, NA 1.2, 90 nm, 80 photons", _image("stress_fibres", 80, _WATER, 90, 31)),
    "score/right/membranes-confocal": Case("membranes, confocal, 70 nm, 60 photons", _image("membranes", 60, _CONFOCAL, 70, 32)),
    "score/right/network-air": Case("network, NA 0.8, 130 nm, 150 photons", _image("er_network", 150, _AIR, 130, 33)),
    "score/right/leaves": Case("overlapping areas, NA 1.4, 65 nm, 400 photons", _image("dead_leaves", 400, _OIL, 65, 34)),
    "score/right/vesicles-emccd": Case("vesicles, EMCCD, nothing stated of the camera", _image("vesicles", 200, _WATER, 100, 35, sensor=_MULTIPLIED)),
    "score/right/filaments-bright": Case("filaments, NA 1.2, 108 nm, 1,000 photons", _image("filaments", 1000, _WATER, 108, 36)),
    "score/right/lysosomes": Case(
        "recorded lysosomes, another cell",
        _recorded("zs-deconvnet/lysosome_tirf/cell04.tif", "zs-deconvnet/lysosome_tirf/TIRF560_cam2_0_z21_OTF2d.mrc", 62.6),
    ),
    "score/right/fish-denoised": Case("recorded confocal image of zebrafish, denoising only", _recorded("fmd/Confocal_FISH_1_raw.png", None, denoise_only=True)),
    "score/right/movie-sparse": Case("movie, 115 nm wide, 2,500 photons, 0.3 a um2", _movie(150, seed=37, density=0.3, photons=PhotonLaw("normal", 2500.0, 500.0), spots=GaussianSpots(115.0, 5.0))),
    "score/right/movie-kinetic": Case("movie, 140 nm wide, 4,000 photons, 1.5 a um2", _movie(80, seed=38, density=1.5, photons=PhotonLaw("normal", 4000.0, 900.0), spots=GaussianSpots(140.0, 5.0))),
    # wrong, to score them
    "score/wrong/pixel-half": Case("pixel size half of what it is", _image("vesicles", 200, _WATER, 100, 41, told_nm=50), _PIXEL),
    "score/wrong/pixel-4.8": Case("pixel size 4.8 times too large", _image("mitochondria", 100, _OIL, 80, 42, told_nm=384), _PIXEL),
    "score/wrong/wavelength": Case("far-red channel stated as blue (670, 461 nm)", _image("filaments", 200, _RED, 65, 43, told=_BLUE), "wavelength|blur"),
    "score/wrong/upsampled": Case("scaled up by 2", _image("filaments", 150, _WATER, 108, 44, told_nm=54, spoil=_upsampled(1)), "scaled|sampled"),
    "score/wrong/saturated": Case("12 % of the pixels saturated", _image("nuclei", 200, _AIR, 162, 45, spoil=_saturated(0.12)), "saturat"),
    "score/wrong/projected-psf": Case("stack of the PSF added up and given as that of a plane", _image("er_network", 200, _OIL, 80, 46, told=lambda: _projected(_OIL, 80)), "blur|PSF"),
    "score/wrong/gamma": Case("stretched to 8 bits with a gamma of 0.45", _image("mitochondria", 200, _OIL, 65, 47, spoil=_gamma), "noise"),
    "score/wrong/emccd-image": Case("EMCCD given as a camera without multiplication", _image("vesicles", 200, _WATER, 100, 48, sensor=_MULTIPLIED, gain=_MULTIPLIED.gain, offset=200.0), "gain|EMCCD|multipl"),
    "score/wrong/movie-astigmatic": Case("movie with an astigmatic lens, localized as 2D", _movie(80, seed=49, z_range_nm=(-500.0, 500.0), spots=AstigmaticSpots()), "width|wide|shape|unlike|σ"),
    "score/wrong/movie-emccd": Case("EMCCD movie given as a camera without multiplication", _movie(80, seed=50, sensor=_MULTIPLIED, known=Known(gain=_MULTIPLIED.gain, offset=200.0)), "gain|EMCCD|multipl"),
    # right, to score them after one rule was mended
    "again/right/vesicles-emccd": Case("vesicles, another EMCCD, nothing stated of the camera", _image("vesicles", 150, _WATER, 107, 61, sensor=_STRONGER)),
    "again/right/network-two-photon": Case("network, two-photon, 90 nm, 80 photons", _image("er_network", 80, _TWO_PHOTON, 90, 62)),
    "again/right/membranes": Case("membranes, NA 1.2, 100 nm, 150 photons", _image("membranes", 150, _WATER, 100, 63)),
    "again/right/fibres": Case("stress fibres, NA 1.4, 65 nm, 200 photons", _image("stress_fibres", 200, _OIL, 65, 64)),
    "again/right/vesicles": Case("vesicles, NA 1.4, 70 nm, 60 photons", _image("vesicles", 60, _OIL, 70, 65)),
    "again/right/filaments-air": Case("filaments, NA 0.8, 130 nm, 100 photons", _image("filaments", 100, _AIR, 130, 66)),
    "again/right/beads": Case("beads, NA 1.4, 80 nm, 300 photons", _image("beads", 300, _OIL, 80, 67)),
    "again/right/lysosomes": Case(
        "recorded lysosomes, a third cell",
        _recorded("zs-deconvnet/lysosome_tirf/cell02.tif", "zs-deconvnet/lysosome_tirf/TIRF560_cam2_0_z21_OTF2d.mrc", 62.6),
    ),
    "again/right/tissue-denoised": Case("recorded confocal image of mouse tissue, denoising only", _recorded("fmd/Confocal_MICE_1_raw.png", None, denoise_only=True)),
    "again/right/movie": Case("movie, 120 nm wide, 2,000 photons, 1 a um2", _movie(80, seed=68, density=1.0, photons=PhotonLaw("normal", 2000.0, 400.0), spots=GaussianSpots(120.0, 5.0))),
    # wrong, the same
    "again/wrong/pixel-half": Case("pixel size half of what it is", _image("filaments", 150, _WATER, 108, 71, told_nm=54), _PIXEL),
    "again/wrong/pixel-2": Case("pixel size twice too large", _image("er_network", 150, _OIL, 65, 72, told_nm=130), _PIXEL),
    "again/wrong/na-low": Case("NA 1.4 stated as 0.8", _image("filaments", 150, _OIL, 65, 73, told=_AIR), _OPTICS),
    "again/wrong/deconvolved": Case("deconvolved before (Richardson-Lucy, 40)", _image("vesicles", 150, _WATER, 80, 74, spoil=_deconvolved(_WATER, 80, 40)), "deconvol|filter|process|correlat"),
    "again/wrong/jpeg": Case("saved as JPEG, quality 85", _image("vesicles", 100, _OIL, 70, 75, spoil=_jpeg), "compress"),
    "again/wrong/clipped": Case("background subtracted and clipped at 0", _image("er_network", 80, _OIL, 65, 76, spoil=_clipped(0.6)), "cut off|background"),
    "again/wrong/hot": Case("2 % of the pixels hot", _image("filaments", 100, _OIL, 65, 77, spoil=_hot(0.02)), "hot"),
    "again/wrong/smoothed": Case("smoothed before (Gaussian, 0.8 pixels)", _image("mitochondria", 100, _OIL, 65, 78, spoil=_smoothed(0.8)), "filter|correlat"),
    "again/wrong/upsampled": Case("scaled up by 2, cubic", _image("filaments", 150, _OIL, 100, 79, told_nm=50, spoil=_upsampled(3)), "scaled|sampled"),
    "again/wrong/movie-smoothed": Case("movie that was smoothed before (0.7 pixels)", _movie(80, seed=80, spoil=_smoothed(0.7)), "noise|filter|smooth|correlat"),
}  # fmt: skip


def cells() -> list[Cell]:
    """All cases."""
    return [Cell(name, judged, {"case": name}, shipped=True) for name in CASES]


def judged(case: str) -> Outcome:
    """What is said of one case."""
    chosen = CASES[case]
    try:
        found = chosen.judge()
    except sl.SuperlensError as error:
        found = Verdict("bad", "Refused", "Refused.", (Reason("bad", str(error), "refused"),))
    said = " ".join(f"{reason.name}: {reason.text}" for reason in found.reasons)
    named = bool(chosen.fault) and re.search(chosen.fault, said, re.IGNORECASE) is not None
    green = found.grade == "ok"
    return Outcome(
        {
            "words": chosen.words,
            "verdict": found.headline,
            "reasons": "; ".join(dict.fromkeys(reason.name for reason in found.reasons)),
            "text": said,
            "green": green,
            "named": named,
            "passes": named and not green if chosen.fault else green,
        }
    )
