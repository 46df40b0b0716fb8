"""Cells on recorded images that are not part of the repository.

Where they lie is told by SUPERLENS_DATA, or they lie in ``shared/data`` beside the checkout. Lysosomes and microtubules of the original
method's authors have no truth: what can be said is whether the result explains the data. The low-light microtubules of dl-sim have a
structured-illumination reconstruction at normal light, and the fmd pairs a mean of fifty frames.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

import superlens as sl
from superlens.camera import NoiseCheck
from superlens.enhancing import enhance
from superlens.evidence.measure import seen_by_camera
from superlens.methods.zsdeconv.apply import apply
from superlens.methods.zsdeconv.learn import learn
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import (
    blur_width,
    decorrelation_resolution,
    flux_ratio,
    frc_resolution,
    linear_fit,
    psnr,
    psnr_fitted,
    residual_whiteness,
    rsp_rse,
)
from superlens.optics import PSF
from superlens.progress import silent
from superlens.reconstruct import blind_stop, richardson_lucy, richardson_lucy_iterates
from superlens.result import Result
from superlens.training.two_stage.state import TwoStageState

from .ours import pixels
from .scores import upsampled
from .store import ROOT, Outcome

__all__ = ["FMD_CONFOCAL", "FMD_WIDEFIELD", "data_folder", "lysosomes", "low_light_sim", "microtubules", "pair"]

FMD_CONFOCAL = ("Confocal_BPAE_B", "Confocal_BPAE_G", "Confocal_BPAE_R", "Confocal_FISH", "Confocal_MICE")
FMD_WIDEFIELD = ("WideField_BPAE_B",)

_CAMERA_NM, _FINE_NM = 62.6, 31.3
_SIM_NM = 30.0
Array = NDArray[Any]


def data_folder() -> Path | None:
    """The recorded images, if there are any."""
    folder = Path(os.environ.get("SUPERLENS_DATA", ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def _data(*parts: str) -> Path:
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError("no recorded images; set SUPERLENS_DATA to their folder")
    return folder.joinpath(*parts)


def lysosomes(cell: str) -> Outcome:
    """A TIRF image of lysosomes with the transfer function that was measured with it."""
    otf = _data("zs-deconvnet", "lysosome_tirf", "TIRF560_cam2_0_z21_OTF2d.mrc")
    image = sl.read(_data("zs-deconvnet", "lysosome_tirf", f"{cell}.tif"), pixel_nm=_CAMERA_NM)
    return _without_truth(image, sl.read_psf(otf, pixel_nm=_FINE_NM))


def microtubules(cell: str) -> Outcome:
    """A dim image of microtubules with the PSF that was computed for it."""
    folder = _data("zs-deconvnet", "microtubule_2d")
    psf = sl.read_psf(folder / "psf_emLambda525_dxy0.0313_NA1.3.tif", pixel_nm=_FINE_NM)
    return _without_truth(sl.read(folder / f"{cell}.tif", pixel_nm=_CAMERA_NM), psf)


def _without_truth(image: sl.Image, psf: PSF) -> Outcome:
    began = time.perf_counter()
    result = enhance(image, psf)
    seconds = time.perf_counter() - began
    data, fine = result.observation.counts[0], TwoStageState.of(result.model).psf
    if fine is None:
        raise ValueError("the model has no PSF; expected one that was not for denoising only")
    iteration = blind_stop(data, fine.data, scale=2)
    lucy = richardson_lucy(data, fine.data, iterations=iteration, scale=2)
    ours = pixels(result)
    seen = seen_by_camera(ours, result.model)
    white = residual_whiteness(data - seen, result.observation.sigma[0])
    numbers = {
        "raw_decorrelation_nm": decorrelation_resolution(data, _CAMERA_NM),
        "rl_blind_decorrelation_nm": decorrelation_resolution(lucy, _FINE_NM),
        "fast_decorrelation_nm": decorrelation_resolution(ours, _FINE_NM),
        "flux": flux_ratio(ours, data),
        "residual_over_noise": float(np.sqrt(np.mean(((data - seen) / result.observation.sigma[0]) ** 2))),
        "residual_verdict": white.verdict,
        "rsp": rsp_rse(ours, data, scale=2)[0],
        "rl_blind_rsp": rsp_rse(lucy, data, scale=2)[0],
        "rl_blind_iteration": iteration,
        **_camera(result),
        "seconds": seconds,
    }
    return Outcome(numbers, {"raw": data, "rl_blind": lucy, "fast": ours, "denoised": result.denoised.data})


def low_light_sim(level: str, na: float, wavelength_nm: float) -> Outcome:
    """Wide-field images, every second pixel of them, against the structured-illumination reconstruction at normal light.

    The average over the pattern's fifteen frames is the wide-field image. The files do not state the optics; they are an assumption.
    Each estimate is shifted to where it agrees best with the reference, by fractions of a pixel, and fitted by a line. The reference holds no
    out-of-focus light, which no method in one plane can take away: the scores *in focus* compare what is left of both without what varies over
    more than half a micrometre.
    """
    folder = _data("dl-sim")
    full = sl.read(folder / f"{level}_frame15_average.tif", pixel_nm=_SIM_NM)
    image = replace(full, data=np.ascontiguousarray(full.data[..., ::2, ::2]), pixel_nm=2 * _SIM_NM)
    reference = np.asarray(sl.read(folder / "HER_reconstruction.tif", pixel_nm=_SIM_NM).data, np.float64)
    result = enhance(image, sl.Objective(na=na, wavelength_nm=wavelength_nm))
    data, fine = result.observation.counts[0], TwoStageState.of(result.model).psf
    if fine is None:
        raise ValueError("the model has no PSF; expected one that was not for denoising only")
    series = list(islice(richardson_lucy_iterates(data, fine.data, scale=2), 100))
    lucy = [series[min(blind_stop(data, fine.data, scale=2), 100) - 1], *series[:30], *series[34::5]]
    shown = {"raw": upsampled(data), "rl_blind": lucy[0], "fast": pixels(result)}
    shown = {name: _moved(estimate, _shift(estimate, reference)) for name, estimate in shown.items()}
    inner = (slice(8, -8),) * 2
    shift = _shift(lucy[0], reference)
    iterates = [_moved(e, shift) for e in lucy[1:]]
    shown["rl_oracle"] = max(iterates, key=lambda e: psnr_fitted(reference[inner], e[inner]))
    sharp = _in_focus(reference)[inner]
    in_focus = {name: _in_focus(estimate)[inner] for name, estimate in shown.items()}
    in_focus["rl_oracle"] = max((_in_focus(e)[inner] for e in iterates), key=lambda e: psnr_fitted(sharp, e))
    numbers: dict[str, Any] = {f"{name}_in_focus_db": psnr_fitted(sharp, e) for name, e in in_focus.items()}
    for name, estimate in shown.items():
        numbers |= {
            f"{name}_psnr_db": psnr_fitted(reference[inner], estimate[inner]),
            f"{name}_frc_nm": frc_resolution(estimate[inner], reference[inner], _SIM_NM),
            f"{name}_correlation": float(np.corrcoef(estimate[inner].ravel(), reference[inner].ravel())[0, 1]),
        }
    noise = result.observation.noise.neighbour_correlation
    numbers |= {"neighbour_correlation": float(np.mean(noise)), "flux": flux_ratio(pixels(result), data)}
    found = blur_width(data, fine, 2 * _SIM_NM, covariance=result.observation.noise.shared)
    if found is not None:
        numbers |= {"psf_fwhm_nm": fine.fwhm_nm, "blur_factor": found.factor, "blur_verdict": found.verdict}
    numbers["blend"] = result.model.config.provenance["blend"]
    return Outcome({**numbers, **_camera(result)}, {**shown, "reference": reference})


def _in_focus(image: Array) -> Array:
    """Without what varies over more than half a micrometre."""
    return np.asarray(image - ndimage.gaussian_filter(np.asarray(image, np.float64), 450 / _SIM_NM, mode="reflect"))


def _shift(estimate: Array, reference: Array) -> Array:
    """By how many pixels, at most three, the estimate has to move to correlate best with the reference."""
    start = np.asarray(estimate, np.float64)

    def disagreement(shift: Array) -> float:
        moved = _moved(start, shift)[8:-8, 8:-8]
        return -float(np.corrcoef(moved.ravel(), reference[8:-8, 8:-8].ravel())[0, 1])

    found = optimize.minimize(
        disagreement, np.zeros(2), method="Nelder-Mead", options={"initial_simplex": [[0, 0], [1, 0], [0, 1]]}
    )
    return np.asarray(np.clip(found.x, -3, 3))


def _moved(estimate: Array, shift: Array) -> Array:
    return np.asarray(ndimage.shift(np.asarray(estimate, np.float64), shift, order=3, mode="reflect"))


def pair(name: str, covariance: bool) -> Outcome:
    """Stage 1 on one frame of an fmd pair, against the mean of fifty frames; eight-bit images, peak 255.

    Parameters
    ----------
    name : str
        Of the files.
    covariance : bool
        Whether the noise is re-corrupted with the covariance that was measured where neighbouring pixels share noise. False treats every
        pixel's noise as its own.
    """
    noisy = sl.read(_data("fmd", f"{name}_1_raw.png"))
    clean = np.asarray(sl.read(_data("fmd", f"{name}_1_gt.png")).data, np.float64)
    began = time.perf_counter()
    result = _denoised(noisy, covariance)
    seconds = time.perf_counter() - began
    raw = np.asarray(noisy.data, np.float64)
    done = np.asarray(result.denoised.data, np.float64)
    check = result.observation.noise
    offset = result.observation.camera.offset
    numbers = {
        "raw_psnr_db": psnr(clean, raw, peak=255.0),
        "denoised_psnr_db": psnr(clean, done + offset, peak=255.0),
        "raw_fitted_psnr_db": psnr_fitted(clean, raw, peak=255.0),
        "denoised_fitted_psnr_db": psnr_fitted(clean, done, peak=255.0),
        "smoothed_fitted_psnr_db": _best_gaussian(clean, raw),
        "neighbour_correlation": float(np.mean(check.neighbour_correlation)),
        "warned": "yes" if _warns(noisy) else "no",
        **_camera(result),
        "blend": result.model.config.provenance["blend"],
        "seconds": seconds,
    }
    return Outcome(numbers, {"raw": raw, "denoised": linear_fit(done, clean), "truth": clean})


def _denoised(noisy: sl.Image, covariance: bool) -> Result:
    task = prepare([noisy], None, ZSDeconvConfig.of("fast", denoise_only=True))
    if not covariance:
        alone = [replace(o, noise=_independent(o.noise)) for o in task.observations]
        task = replace(task, observations=alone)
    return apply(learn(task, None, silent), task.observations[0], silent)


def _independent(check: NoiseCheck) -> NoiseCheck:
    return replace(check, independent=True)


def _warns(noisy: sl.Image) -> bool:
    return not sl.check_noise(np.asarray(noisy.data, np.float32)).independent


def _best_gaussian(clean: Array, raw: Array) -> float:
    """The best Gaussian smoothing that an oracle could choose."""
    widths = np.arange(0.4, 4.01, 0.2)
    return max(psnr_fitted(clean, ndimage.gaussian_filter(raw, w), peak=255.0) for w in widths)


def _camera(result: Result) -> dict[str, Any]:
    camera = result.observation.camera
    return {"gain": camera.gain, "offset": camera.offset, "read_noise_e": camera.read_noise_e}
