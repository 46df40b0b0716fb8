"""Cells of our own method on simulated scenes: the presets, the two-line test and the flat field.

The method gets what a user gives: the image, the optics, and the camera's offset. Gain and read noise are estimated from the image
unless a cell states otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from superlens.enhancing import enhance
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import psnr_fitted
from superlens.result import Result
from superlens.simulate import Scene

from .baselines import oracle_lucy
from .scenes import AS_TRUTH, BACKGROUND, CAMERA, FINE_NM, counts, make, optics, psf, stated, truth
from .scores import detail, dip, exceedance, flat_ratio, score, stage_one, upsampled
from .store import Outcome

__all__ = ["ANGLES_DEG", "all_light", "flat_field", "numbers_of", "ours", "run", "two_lines"]

ANGLES_DEG = (10, 35, 60, 85, 110, 135)


def run(scene: Scene, optics_name: str, preset: str, **settings: Any) -> Result:
    """Enhance a scene, told the offset only, as sharp as the truth that all methods are measured against."""
    config = ZSDeconvConfig.of(preset, **{"offset": CAMERA.offset, "sharpen": AS_TRUTH, **settings})
    return enhance(scene.observed, optics(optics_name).given, config=config)


def all_light(result: Result) -> np.ndarray:
    """The super-resolved plane with the light that was told apart: the truth of a simulated scene holds it, too."""
    if result.image is None:
        raise ValueError("the result has no super-resolved image; expected one that was not for denoising only")
    image, haze = np.asarray(result.image.data, np.float32), result.observation.haze
    return image if haze is None else np.asarray(image + upsampled(haze.reshape(haze.shape[-2:])), np.float32)


def numbers_of(scene: Scene, result: Result) -> dict[str, Any]:
    """All scores of a result, and what its training did."""
    image = all_light(result)
    provenance = result.model.config.provenance
    camera = result.observation.camera
    return {
        **score(scene, image),
        "stated_to_truth_db": psnr_fitted(truth(scene), stated(scene)),
        **stage_one(scene, result.denoised.data),
        **({} if result.uncertainty is None else exceedance(scene, image, result.uncertainty.data)),
        **(
            {}
            if result.uncertainty is None or result.prior_only is None
            else detail(
                scene, image, result.denoised.data, result.uncertainty.data, result.prior_only.reshape(image.shape)
            )
        ),
        "prior_only_share": None if result.prior_only is None else float(result.prior_only.mean()),
        "steps": provenance["steps"],
        "kept_step": provenance["kept_step"],
        "blend": provenance["blend"],
        "gain": camera.gain,
        "read_noise_e": camera.read_noise_e,
    }


def ours(scene: dict[str, Any], preset: str, settings: dict[str, Any]) -> Outcome:
    """One of our presets on a scene."""
    made = make(**scene)
    began = time.perf_counter()
    result = run(made, scene.get("optics", "oil"), preset, **settings)
    seconds = time.perf_counter() - began
    images = {"image": all_light(result), "denoised": result.denoised.data}
    if result.uncertainty is not None:
        images["uncertainty"] = result.uncertainty.data
    return Outcome({**numbers_of(made, result), "seconds": seconds}, images)


def two_lines(optics_name: str, photons: float, side: int, angles_deg: Sequence[float]) -> Outcome:
    """Two filaments FWHM / 1.3 apart in several directions: mean dip of the truth, the raw image, oracle RL and `fast`."""
    separation = psf(optics_name).fwhm_nm / 1.3 / FINE_NM
    found: dict[str, list[float]] = {}
    images: dict[str, Any] = {}
    for seed, angle in enumerate(angles_deg):
        made = make(
            "two_filaments", photons, seed, optics=optics_name, side=side, separation=separation, angle_deg=angle
        )
        shown = {
            "truth": truth(made),
            "raw": upsampled(counts(made)),
            "clean": upsampled(made.clean),
            "rl_oracle": oracle_lucy(counts(made), made.psf.data, truth(made))[0],
            "fast": all_light(run(made, optics_name, "fast")),
        }
        centre = _centroid(made.truth - BACKGROUND)
        for method, image in shown.items():
            found.setdefault(method, []).append(dip(image, centre, angle, separation))
        images = images or shown
    numbers: dict[str, Any] = {f"{m}_dip": float(np.mean(v)) for m, v in found.items()}
    numbers |= {"fast_least_dip": min(found["fast"]), "rl_oracle_least_dip": min(found["rl_oracle"])}
    return Outcome({**numbers, "separation_nm": separation * FINE_NM, "pairs": len(angles_deg)}, images)


def flat_field(photons: float, side: int, preset: str, settings: dict[str, Any]) -> Outcome:
    """An even field: how much of the noise comes out again, and whether the level is kept."""
    made = make("flat", photons, 1, side=side)
    result = run(made, "oil", preset, **settings)
    image = all_light(result)
    numbers = {
        "std_ratio": flat_ratio(image, counts(made)),
        "denoised_std_ratio": flat_ratio(result.denoised.data, counts(made)),
        "flux": float(image.mean() / counts(made).mean()),
        "blend": result.model.config.provenance["blend"],
    }
    return Outcome(numbers, {"raw": counts(made), "image": image})


def _centroid(array: np.ndarray) -> tuple[float, float]:
    total = float(array.sum(dtype=np.float64))
    y, x = (np.arange(n) for n in array.shape)
    return float((array.sum(1) * y).sum() / total), float((array.sum(0) * x).sum() / total)
