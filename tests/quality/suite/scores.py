"""Scores that every method gets alike.

PSNR is against the specimen at 1.5 times the resolution, after one gain and one offset by least squares, with the maximum of that
reference as peak. FRC at 1/7 is against the specimen itself, and once more against that reference, which holds nothing beyond 1.5 times
the cut-off of the optics. Flux is the mean over the mean of counts minus offset.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.metrics import dip_between_peaks, flux_ratio, frc_resolution, linear_fit, psnr_fitted, ssim
from superlens.simulate import Scene

from .scenes import BACKGROUND, FINE_NM, counts, stated, truth

__all__ = ["detail", "dip", "exceedance", "flat_ratio", "score", "stage_one", "upsampled"]

Array = NDArray[Any]
Numbers = dict[str, float | str | None]


def score(scene: Scene, image: Array) -> Numbers:
    """PSNR in dB, SSIM, FRC resolution in nm and flux of an estimate on the fine grid."""
    reference = truth(scene)
    peak = float(reference.max())
    return {
        "psnr_db": psnr_fitted(reference, image),
        "ssim": ssim(reference, linear_fit(image, reference), data_range=peak),
        "frc_nm": frc_resolution(image, scene.truth, FINE_NM),
        "frc_target_nm": frc_resolution(image, reference, FINE_NM),
        "flux": flux_ratio(image, counts(scene)),
    }


def stage_one(scene: Scene, denoised: Array) -> Numbers:
    """PSNR in dB of the denoised and of the raw image against the noise-free one, both after a linear fit."""
    raw, done = (psnr_fitted(scene.clean, image) for image in (counts(scene), denoised))
    return {"denoised_psnr_db": done, "raw_psnr_db": raw, "denoised_gain_db": done - raw}


def exceedance(scene: Scene, image: Array, sigma: Array) -> Numbers:
    """Share of pixels that are off by more than one and two of the stated standard deviations, from what the image states to show, without any fit."""
    error = np.abs(image - stated(scene))
    return {
        "beyond_1_sigma": float(np.mean(error > sigma)),
        "beyond_2_sigma": float(np.mean(error > 2 * sigma)),
        "rms_error_counts": float(np.sqrt(np.mean(error**2))),
        "rms_sigma_counts": float(np.sqrt(np.mean(np.square(sigma, dtype=np.float64)))),
    }


def detail(scene: Scene, image: Array, denoised: Array, sigma: Array, marked: NDArray[np.bool_]) -> Numbers:
    """Of the detail that an image claims beyond twice its stated error: how many pixels, and of how many leaving it out is nearer to the specimen.

    Once where it is marked as resting on the prior alone, once of the rest.
    """
    smooth, reference = upsampled(denoised), stated(scene)
    claimed = np.abs(image - smooth) > 2 * sigma
    wrong = np.abs(smooth - reference) < np.abs(image - reference)
    return {
        f"{name}_{what}": float(np.sum(where & also))
        for name, where in (("marked", claimed & marked), ("claimed", claimed & ~marked))
        for what, also in (("pixels", True), ("wrong", wrong))
    }


def dip(image: Array, centre: tuple[float, float], angle_deg: float, separation: float) -> float:
    """Dip between two straight parallel lines, averaged over nine tenths of their length.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Fine grid; the background counts as dark.
    centre : tuple of float
        Midpoint of the pair, (y, x) in fine pixels.
    angle_deg : float
        Direction of the lines against the x axis.
    separation : float
        Fine pixels.
    """
    angle = math.radians(angle_deg)
    across = np.arange(-1.4 * separation, 1.4 * separation + 0.01, 0.1)
    reach = 0.36 * min(image.shape)  # the lines reach 0.4 of it to each side
    along = np.arange(-reach, reach, 0.5)[:, None]
    y = centre[0] + along * math.sin(angle) + across * math.cos(angle)
    x = centre[1] + along * math.cos(angle) - across * math.sin(angle)
    profile = ndimage.map_coordinates(np.asarray(image, np.float64), [y, x], order=3, mode="reflect").mean(axis=0)
    return dip_between_peaks(profile, background=BACKGROUND)


def flat_ratio(image: Array, observed: Array, margin: int = 16) -> float:
    """Standard deviation of the output over that of the input, both in counts, without a margin of camera pixels."""
    scale = image.shape[0] // observed.shape[0]
    inner = image[(slice(scale * margin, -scale * margin),) * 2]
    return float(inner.std(dtype=np.float64) / observed[(slice(margin, -margin),) * 2].std(dtype=np.float64))


def upsampled(camera_image: Array) -> Array:
    """The camera image on the fine grid, interpolated linearly with half-pixel centres."""
    return np.asarray(
        ndimage.zoom(np.asarray(camera_image, np.float64), 2, order=1, mode="nearest", grid_mode=True), np.float32
    )
