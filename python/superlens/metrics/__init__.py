"""Measures of images: how far from a reference, how fine, how consistent with the data.

In: arrays, all compared ones of one shape, one unit and one grid. Out: numbers, curves and maps. Every function says in
its docstring what data range it takes and whether anything is fitted first, because both move the numbers by more than
methods differ.

`fidelity` needs the truth, `resolution` needs two images or one, `consistency` needs the data, `profiles` needs a line, and `blur`
needs the PSF that the image is said to have, `found_psf` finds one, and `visible` says how fine the image visibly is.
"""

from superlens.metrics.blur import BlurWidth, blur_width
from superlens.metrics.consistency import (
    ConsistencyMap,
    Whiteness,
    flux_ratio,
    residual_whiteness,
    rsp_rse,
)
from superlens.metrics.fidelity import linear_fit, nrmse, psnr, psnr_fitted, ssim
from superlens.metrics.found_psf import FoundPSF, find_psf, shown_width_px
from superlens.metrics.profiles import dip_between_peaks, line_profile
from superlens.metrics.resolution import (
    FrcCurve,
    decorrelation_resolution,
    frc,
    frc_resolution,
    power_spectrum_radial,
)
from superlens.metrics.visible import visible_limit

__all__ = [
    "BlurWidth",
    "ConsistencyMap",
    "FoundPSF",
    "FrcCurve",
    "Whiteness",
    "blur_width",
    "decorrelation_resolution",
    "dip_between_peaks",
    "find_psf",
    "flux_ratio",
    "frc",
    "frc_resolution",
    "line_profile",
    "linear_fit",
    "nrmse",
    "power_spectrum_radial",
    "psnr",
    "psnr_fitted",
    "residual_whiteness",
    "shown_width_px",
    "rsp_rse",
    "ssim",
    "visible_limit",
]
