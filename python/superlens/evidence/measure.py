"""Measuring a result against the data it was made from; no judgement here.

In: a `Channel`. Out: `Measured`, numbers by name and the two maps of the page. Nothing here needs the truth: what is compared is always
the output, seen through the microscope again, with the recorded counts and the noise that the camera model expects of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import NoiseCheck
from superlens.metrics import (
    blur_width,
    decorrelation_resolution,
    flux_ratio,
    power_spectrum_radial,
    residual_whiteness,
    rsp_rse,
)
from superlens.optics import PSF, image_of, relative_blur
from superlens.training.two_stage.state import TwoStageState

if TYPE_CHECKING:
    from superlens.model import Model
    from superlens.result import Channel

__all__ = [
    "Measured",
    "Planes",
    "kept_within",
    "measure",
    "seen_by_camera",
]

Array = NDArray[np.floating[Any]]

_MOST_PLANES = 8
_LARGEST_SIDE = 1024  # camera pixels: the middle part that is fitted and transformed many times over
_SIGNAL_SHARE = 0.1  # of the way from background to peak, as on the page


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """All planes of a result in counts above the offset, without the light that was told apart as out of focus.

    Attributes
    ----------
    counts, sigma, denoised : ndarray, shape (N, Y, X), counts
    bad : ndarray of bool, shape (N, Y, X)
    sharp, uncertainty : ndarray, shape (N, scale * Y, scale * X), counts, or None
    prior_only : ndarray of bool, shape of ``sharp``, or None
    unit : float
        Counts in one unit of the result.
    """

    counts: Array
    sigma: Array
    bad: NDArray[np.bool_]
    denoised: Array
    sharp: Array | None
    uncertainty: Array | None
    prior_only: NDArray[np.bool_] | None
    unit: float

    @classmethod
    def of(cls, result: Channel) -> Planes:
        """Read them off a result, electrons turned back into counts."""
        observation = result.observation
        unit = observation.camera.gain if result.parameters.get("units") == "electrons" else 1.0

        def stack(image: Any) -> Any:
            return None if image is None else unit * np.asarray(image.data).reshape(-1, *image.data.shape[-2:])

        denoised = stack(result.denoised)
        return cls(
            observation.in_focus,
            observation.sigma,
            observation.bad,
            denoised if observation.haze is None else denoised - observation.haze,
            stack(result.image),
            stack(result.uncertainty),
            result.prior_only,
            unit,
        )

    @property
    def output(self) -> Array:
        """The sharp planes, else the denoised ones."""
        return self.denoised if self.sharp is None else self.sharp

    @property
    def scale(self) -> int:
        """Output pixels in a camera pixel along one side."""
        return int(self.output.shape[-1] // self.counts.shape[-1])

    @property
    def shown(self) -> int:
        """The plane that pictures show."""
        return len(self.counts) // 2

    @property
    def span(self) -> float:
        """Range of the planes that are measured, between their 1st and 99.7th percentile, counts."""
        low, high = np.percentile(self.counts[self.measured], (1.0, 99.7))
        return float(high - low)

    @property
    def measured(self) -> list[int]:
        """The planes that numbers are means over."""
        number = min(len(self.counts), _MOST_PLANES)
        spread = np.linspace(0, len(self.counts) - 1, number).round().astype(int)
        return sorted({int(i) for i in spread})


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What `measure` finds.

    Attributes
    ----------
    planes : Planes
    numbers : dict
    residual : ndarray, shape (Y, X), counts
        Of the plane shown: what the camera would see of the output, minus the counts; NaN at bad pixels.
    error_map : ndarray, shape (Y, X), counts
        Of the plane shown; NaN outside the middle part that was measured, when the plane is large.
    """

    planes: Planes
    numbers: dict[str, float]
    residual: Array
    error_map: Array


def measure(result: Channel) -> Measured:
    """Measure a result; every number is a mean over `Planes.measured`, NaN where it does not apply.

    Parameters
    ----------
    result : Channel

    Returns
    -------
    Measured
        With these numbers:

        ``flux_ratio``, ``flux_tolerance``, ``flux_through_ends``
            Mean out over mean in, and three standard errors of the mean in, as a share of it. Of a stack all slices count, and the tolerance
            includes the third number: the share of the light that its PSF throws beyond the first and last slice and the narrower one does not.
        ``residual_mean_in_sigma``, ``residual_std_in_sigma``
            Of the residual over the noise of each pixel, bad pixels left out.
        ``residual_over_range``, ``noise_over_range``
            Standard deviation of the residual, and of the noise, over the range of the image between its 1st and 99.7th percentile.
        ``residual_whiteness``, ``residual_whiteness_limit``
            Score of `superlens.metrics.residual_whiteness`, and what chance and the correlation of the noise itself explain of it.
        ``residual_structure``, ``residual_noise_followed``
            The parts of that score that are structure left over (neighbours alike) and noise that the result follows (neighbours opposite).
        ``structure_over_range``
            Standard deviation of the structure left over, at least, over the range of the image.
        ``rsp``, ``rsp_ceiling``, ``rse_in_sigma``
            Resolution-scaled correlation, the most that the noise of the data allows, and the resolution-scaled error over the noise.
        ``neighbour_correlation_x``, ``neighbour_correlation_y``
            Of the camera's noise.
        ``median_relative_uncertainty``, ``prior_only_share``
            Stated standard deviation over signal, median over the pixels with signal; share of pixels that rest on the prior alone.
        ``unrepeated_share``
            Share of the detail, in squares, that differs between two results from halves of the light the model learned from.
        ``decorrelation_resolution_input_nm``, ``decorrelation_resolution_sr_nm``
            Period of the finest detail present. Of the output of a network this is what it drew, not what it resolves.
        ``power_beyond_response``
            Share of the sharp image's power, its mean left out, beyond the narrowed PSF's cutoff and beyond what the response's core
            passes of a specimen that is as rough there as in the octave below.
        ``blur_over_psf``, ``blur_over_psf_least``, ``blur_over_psf_most``
            Factor, nearest to 1 within its range, by which the blur in the image is wider than the PSF; NaN where the image cannot tell.
            The ends of its range.
        ``psf_fwhm_nm``
            FWHM of the PSF in the data.
        ``psf_line_fwhm_nm``, ``line_fwhm_nm``
            FWHM of a thin line in the recorded image, without its camera pixels, and in an ideal result, through the response that the output
            is stated to have.
        ``carried_per_um``
            Frequency to which the recorded data carry the image, cycles per micrometre; see `superlens.optics.PSF.carried_per_um`.
        ``pixels_across_psf``
            FWHM of the PSF over the camera pixel.
        ``held_out_loss``, ``blend``, ``training_steps``, ``training_seconds``
            Of the training, when this process trained the model.
    """
    planes = Planes.of(result)
    residuals = _residuals(result, planes)
    maps: dict[int, Array] = {}
    rows = []
    for i in planes.measured:
        row, maps[i] = _agreement(planes, i)
        rows.append(
            {
                **_flux(planes, i),
                **_residual_numbers(residuals[i], planes, i, result.observation.noise),
                **row,
                **_uncertainty(planes, i),
                **_detail(planes, i, result.observation.image.pixel_nm),
                "power_beyond_response": _beyond_response(planes, i, result.model),
            }
        )
    numbers = {name: _mean([row[name] for row in rows]) for name in rows[0]}
    numbers |= {"flux_through_ends": math.nan} | (
        _flux_of_stack(planes, result) if TwoStageState.of(result.model).axes == "ZYX" else {}
    )
    x, y = result.observation.noise.neighbour_correlation
    numbers |= {"neighbour_correlation_x": x, "neighbour_correlation_y": y}
    unrepeated = result.model.config.provenance.get("unrepeated")
    numbers |= {"unrepeated_share": math.nan if unrepeated is None else float(unrepeated)}
    numbers |= {**_widths(result), **_training(result), **_blur_over_psf(result, planes)}
    error_map = maps[planes.shown] if planes.shown in maps else _agreement(planes, planes.shown)[1]
    residual = np.where(planes.bad[planes.shown], np.nan, residuals[planes.shown])
    return Measured(planes, numbers, residual, error_map)


def seen_by_camera(sharp: Array, model: Model) -> Array:
    """What the camera would see of a sharp image or volume.

    Parameters
    ----------
    sharp : ndarray, shape ([Z,] scale * Y, scale * X)
        A volume for a model of volumes.

    Returns
    -------
    ndarray, shape ([Z,] Y, X), same unit
        The sharp image of the light network already shows the specimen through the narrowed PSF, so that only the blur between the
        two PSFs is left to apply; that of the original recipe is meant to be the specimen, and takes the whole PSF.
    """
    state = TwoStageState.of(model)
    if state.psf is None:
        return sharp
    blur = state.psf.data if state.response is None else relative_blur(state.psf, state.response.of(state.psf))
    return image_of(sharp, blur, scale=state.scale)


def _residuals(result: Channel, planes: Planes) -> dict[int, Array]:
    """What the camera would see of the output, minus the counts, of the planes that are measured or shown."""
    wanted = sorted({*planes.measured, planes.shown})
    if planes.sharp is None:
        return {i: np.asarray(planes.denoised[i] - planes.counts[i]) for i in wanted}
    if TwoStageState.of(result.model).axes == "YX":
        return {i: seen_by_camera(planes.sharp[i], result.model) - planes.counts[i] for i in wanted}
    slices = result.observation.image.sizes["Z"]
    seen = {
        volume: seen_by_camera(planes.sharp[volume * slices : (volume + 1) * slices], result.model)
        for volume in {i // slices for i in wanted}
    }
    return {i: seen[i // slices][i % slices] - planes.counts[i] for i in wanted}


def _flux_of_stack(planes: Planes, result: Channel) -> dict[str, float]:
    """Of all slices together: the sharp stack moves light from slice to slice, and through the ends."""
    found, through = _flux(planes, slice(None)), _through_ends(result)
    return {**found, "flux_tolerance": found["flux_tolerance"] + through, "flux_through_ends": through}


def _through_ends(result: Channel) -> float:
    """How much more of the light of a uniform stack its PSF throws beyond the ends than the narrower one.

    As much comes in from a specimen that goes on beyond them; of one that ends there, or lies there only, that is the change of flux.
    """
    state = TwoStageState.of(result.model)
    if state.psf is None or result.image is None:
        return 0.0
    slices = result.observation.image.sizes["Z"]
    narrow = 1.0 if state.response is None else kept_within(state.response.of(state.psf), slices)
    return abs(narrow - kept_within(state.psf, slices))


def kept_within(psf: PSF, slices: int) -> float:
    """Share of the light of a uniform stack of so many slices that a PSF leaves in it."""
    profile = psf.data.sum(axis=(1, 2))
    distance = np.abs(np.arange(len(profile)) - len(profile) // 2)
    return float(np.sum(profile * np.maximum(1 - distance / slices, 0)) / profile.sum())


def _flux(planes: Planes, i: int | slice) -> dict[str, float]:
    counts, total = planes.counts[i], float(np.sum(planes.counts[i], dtype=np.float64))
    error = math.sqrt(float(np.sum(np.square(planes.sigma[i], dtype=np.float64))))
    lit = total > 3 * error  # less light than its own uncertainty has no ratio
    return {
        "flux_ratio": flux_ratio(planes.output[i], counts) if lit else math.nan,
        "flux_tolerance": 3 * error / total if lit else math.nan,
    }


def _residual_numbers(residual: Array, planes: Planes, i: int, noise: NoiseCheck) -> dict[str, float]:
    sigma, good = planes.sigma[i], ~planes.bad[i]
    standard = (residual / sigma)[good]
    varied = good.any() and float(np.ptp(standard)) > 0
    white = residual_whiteness(np.where(good, residual, 0), sigma) if varied else None
    ranged = good.any() and planes.span > 0
    over_range = float(residual[good].std() / planes.span) if ranged else math.nan
    return {
        "residual_over_range": over_range,
        "noise_over_range": float(np.sqrt(np.mean(np.square(sigma[good]))) / planes.span) if ranged else math.nan,
        "residual_mean_in_sigma": float(standard.mean()) if good.any() else math.nan,
        "residual_std_in_sigma": float(standard.std()) if good.any() else math.nan,
        "residual_whiteness": math.nan if white is None else white.score,
        "residual_structure": math.nan if white is None else white.left,
        "residual_noise_followed": math.nan if white is None else white.followed,
        "structure_over_range": math.nan if white is None else math.sqrt(white.strongest) * over_range,
        "residual_whiteness_limit": _whiteness_limit(residual.size, noise),
    }


def _whiteness_limit(pixels: int, noise: NoiseCheck) -> float:
    """What an ideal residual may score: 0.1, three times the scatter of 40 squared correlations, and the noise's own correlation."""
    chance = math.sqrt(3 * math.sqrt(80) / pixels)
    own = 0.0
    if not noise.independent:
        distinct = noise.covariance.ravel()[noise.covariance.size // 2 + 1 :]
        own = float(np.sum(distinct**2))
    return math.sqrt(max(0.1, chance) ** 2 + own)


def _agreement(planes: Planes, i: int) -> tuple[dict[str, float], Array]:
    """Resolution-scaled correlation and error in the middle part of a plane, and the error map of the whole plane."""
    counts = np.where(planes.bad[i], planes.denoised[i], planes.counts[i])
    part = _middle(counts.shape)
    fine = tuple(slice(s.start * planes.scale, s.stop * planes.scale) for s in part)
    inside, output, sigma = counts[part], planes.output[i][fine], planes.sigma[i][part]
    error_map = np.full(counts.shape, np.nan)
    noise = float(np.mean(np.square(sigma, dtype=np.float64)))
    if np.ptp(inside) == 0 or np.ptp(output) == 0:
        return {"rsp": math.nan, "rsp_ceiling": math.nan, "rse_in_sigma": math.nan}, error_map
    found = rsp_rse(output, inside, planes.scale)
    error_map[part] = found.error_map
    share = 1 - noise / float(np.var(inside, dtype=np.float64))
    numbers = {
        "rsp": found.rsp,
        "rsp_ceiling": math.sqrt(max(share, 0.0)),
        "rse_in_sigma": found.rse / math.sqrt(noise),
    }
    return numbers, error_map


def _uncertainty(planes: Planes, i: int) -> dict[str, float]:
    relative = math.nan
    if planes.uncertainty is not None:
        output = planes.output[i]
        low, high = np.percentile(output, [1.0, 99.8])
        signal = output > max(float(low + _SIGNAL_SHARE * (high - low)), 0.0)
        if signal.any():
            relative = float(np.median(planes.uncertainty[i][signal] / output[signal]))
    share = math.nan if planes.prior_only is None else float(np.mean(planes.prior_only[i]))
    return {"median_relative_uncertainty": relative, "prior_only_share": share}


def _detail(planes: Planes, i: int, pixel_nm: float | None) -> dict[str, float]:
    part = _middle(planes.counts.shape[1:])
    fine = tuple(slice(s.start * planes.scale, s.stop * planes.scale) for s in part)
    sharp = None if planes.sharp is None else planes.sharp[i][fine]
    return {
        "decorrelation_resolution_input_nm": _finest(planes.counts[i][part], pixel_nm),
        "decorrelation_resolution_sr_nm": _finest(sharp, None if pixel_nm is None else pixel_nm / planes.scale),
    }


def _beyond_response(planes: Planes, i: int, model: Model) -> float:
    state = TwoStageState.of(model)
    psf, response = state.psf, state.response
    if planes.sharp is None or psf is None or response is None or np.ptp(planes.sharp[i]) == 0:
        return math.nan
    frequency, power = power_spectrum_radial(planes.sharp[i], psf.pixel_nm)
    limit = response.lateral * psf.cutoff_per_um
    beyond, below = frequency > limit, (frequency > limit / 2) & (frequency <= limit)
    weighted = power * frequency  # a ring holds as many coefficients as it is long
    if not beyond.any():
        return math.nan
    excess = weighted
    if response.core_share:
        passed = np.interp(frequency, *response.transfer(psf)) ** 2 * frequency
        excess = np.maximum(weighted - passed * weighted[below].sum() / passed[below].sum(), 0)
    return float(excess[beyond].sum() / weighted.sum())


def _finest(plane: Array | None, pixel_nm: float | None) -> float:
    if plane is None or pixel_nm is None or min(plane.shape) < 32 or np.ptp(plane) == 0:
        return math.nan
    found = decorrelation_resolution(plane, pixel_nm)
    return found if math.isfinite(found) else math.nan


def _middle(shape: tuple[int, ...]) -> tuple[slice, slice]:
    starts = [max(side - _LARGEST_SIDE, 0) // 2 for side in shape]
    y, x = (slice(start, start + min(side, _LARGEST_SIDE)) for start, side in zip(starts, shape, strict=True))
    return y, x


def _widths(result: Channel) -> dict[str, float]:
    state = TwoStageState.of(result.model)
    psf, response = state.psf, state.response
    names = ("psf_fwhm_nm", "psf_line_fwhm_nm", "line_fwhm_nm", "carried_per_um", "pixels_across_psf")
    pixel_nm = result.observation.image.pixel_nm
    if psf is None or result.image is None:
        return dict.fromkeys(names, math.nan)
    stated = math.nan if response is None else response.line_fwhm_nm(psf)
    carried = psf.carried_per_um(pixel_nm)
    across = math.nan if pixel_nm is None else psf.fwhm_nm / pixel_nm
    return dict(zip(names, (psf.fwhm_nm, psf.line_fwhm_nm, stated, carried, across), strict=True))


def _blur_over_psf(result: Channel, planes: Planes) -> dict[str, float]:
    psf, pixel_nm = TwoStageState.of(result.model).psf, result.observation.image.pixel_nm
    found = None
    if psf is not None and result.image is not None and pixel_nm is not None:
        found = blur_width(planes.counts[planes.measured], psf, pixel_nm, covariance=result.observation.noise.shared)
    names = ("blur_over_psf", "blur_over_psf_least", "blur_over_psf_most")
    if found is None:
        return dict.fromkeys(names, math.nan)
    nearest = 1.0 if found.verdict == "fits" else min((found.low, found.high), key=lambda f: abs(math.log(f)))
    return dict(zip(names, (math.nan if found.verdict == "open" else nearest, found.low, found.high), strict=True))


def _training(result: Channel) -> dict[str, float]:
    history = result.history
    records = [] if history is None else history.records
    if history is None or not records:
        names = ("held_out_loss", "blend", "training_steps", "training_seconds")
        return dict.fromkeys(names, math.nan)
    return {
        "held_out_loss": next((r.held_out for r in records if r.step == history.best_step), math.nan),
        "blend": history.blend,
        "training_steps": float(records[-1].step),
        "training_seconds": records[-1].seconds,
    }


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
