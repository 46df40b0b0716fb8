"""Images that another program has reconstructed: what is assumed of how it was done, and the noise measured from the image.

Neither pattern nor filter are known. Assumed is the usual: directions enough to look alike from all sides, the extended band as far as the
spectrum of the image reaches, the filter of our own reconstruction. In: an image, the optics. Out: a `Spectrum`, and a map of the noise.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, stats

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.optics import Objective
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Order, Pattern
from superlens.reconstruct.sim import SimResult, Spectrum
from superlens.reconstruct.sim.estimate import Estimate
from superlens.reconstruct.sim.layout import Layout
from superlens.reconstruct.sim.series import Series

__all__ = ["ERRORS", "assumed", "band_of", "noise_map", "taken", "usual_spectrum"]

Array = NDArray[np.float32]

ERRORS = 1.7
"""Factor of the stated errors, by which they hold for simulated reconstructions whose filter and pattern are not those that are assumed."""

_DIRECTIONS = 9
_MODULATION = 0.5
_USUAL = 1.9  # end of the extended band over the cutoff, where the image cannot tell
_NARROWEST, _WIDEST = 1.1, 2.05
_LEAST = 0.6  # of the cutoff, from where the end of the band is looked for
_RINGS = 96
_SMALLEST = 64  # pixels
_ABOVE = 3.0  # times the power beyond the band, above which a ring belongs to it
_FADED = 1e-5  # of the power within the band, below which it has ended even where nothing is beyond
_LEVELS = 8  # groups of blocks by brightness
_QUIET = 0.1  # quantile of the variance of the blocks of a group that is taken for noise alone


def usual_spectrum(detection: Detection, band: float) -> Spectrum:
    """The spectrum of a reconstruction of which only cutoff and band are known, cycles per raw pixel."""
    length = band - detection.cutoff
    turns = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    orders = tuple(Order((length * math.sin(t), length * math.cos(t)), _MODULATION) for t in turns)
    table = replace(Arrangement.grid(_DIRECTIONS, 3), name="reconstructed by another program")
    return Spectrum(Pattern(orders, table, np.ones(table.frames)), detection)


def assumed(image: Image, objective: Objective) -> Spectrum:
    """The spectrum that is assumed of a reconstructed image.

    Raises
    ------
    SuperlensError
        When the pixels are too large for a reconstruction, or too few or undefined, or the noise is that of a camera.
    """
    _check(image)
    assert image.pixel_nm is not None
    name, raw_nm = image.name or "the image", 2 * image.pixel_nm
    detection = Detection.of(objective, raw_nm)
    if detection.cutoff * _NARROWEST > 1:
        raise SuperlensError(
            f"{name}: a pixel of {image.pixel_nm:g} nm cannot hold detail beyond the diffraction limit ({objective.wavelength_nm / (2 * objective.na):.0f} nm), "
            "so this is no reconstruction of structured illumination; check `pixel_nm`, or leave out `reconstructed`."
        )
    return usual_spectrum(detection, band_of(image, detection))


def taken(image: Image, spectrum: Spectrum) -> SimResult:
    """A reconstructed image as a result, with what is assumed of it.

    Raises
    ------
    SuperlensError
        When it has no pixel size, its pixels are too few or undefined, or it is the image of a camera.
    """
    _check(image)
    band_of(image, spectrum.detection)
    assert image.pixel_nm is not None
    pattern, nothing = spectrum.pattern, np.empty(0)
    return SimResult(
        image,
        image,
        pattern,
        spectrum,
        Estimate(pattern, spectrum.detection, None, nothing, nothing, nothing, math.nan),
        Layout(pattern.arrangement, (), {"z": 1, "angle": 1, "phase": 1}),
        (),
        np.empty((0, *image.data.shape[-2:]), np.float32),
        2 * image.pixel_nm,
        Series((pattern,), math.nan),
    )


def _check(image: Image) -> None:
    name, data = image.name or "the image", np.asarray(image.data)
    if image.pixel_nm is None:
        raise SuperlensError("the image has no pixel size. Give `pixel_nm`, in nanometres.")
    if min(data.shape[-2:]) < _SMALLEST:
        raise SuperlensError(
            f"{name} has {data.shape[-2]} x {data.shape[-1]} pixels; expected at least {_SMALLEST} along each side to measure its noise."
        )
    undefined = np.count_nonzero(~np.isfinite(data))
    if undefined:
        raise SuperlensError(
            f"{name} has {undefined} undefined pixels (not a number, or infinite), as from a division; crop them away or fill them first."
        )


def band_of(image: Image, detection: Detection) -> float:
    """Where the spectrum of a reconstructed image ends, cycles per raw pixel.

    Raises
    ------
    SuperlensError
        When it ends at the cutoff: the noise of a camera is white, and nothing else is beyond.
    """
    data = np.asarray(image.data, np.float32)
    planes = data.reshape(-1, *data.shape[-2:])
    radii, power = _ring_power(planes[len(planes) // 2])
    beyond = radii > (_WIDEST + 0.05) * detection.cutoff
    if np.count_nonzero(beyond) < 4:
        return _USUAL * detection.cutoff
    floor = float(np.median(power[beyond]))
    inside = radii < detection.cutoff
    holds = power > max(_ABOVE * floor, _FADED * float(np.median(power[inside])))
    ends = radii[(radii > _LEAST * detection.cutoff) & ~holds]
    end = float(ends.min(initial=_WIDEST * detection.cutoff)) / detection.cutoff
    if end < _NARROWEST:
        raise SuperlensError(
            f"{image.name or 'the image'} shows nothing beyond the diffraction limit but even noise, which a reconstruction of structured "
            "illumination has not. Leave out `reconstructed` for an image of a camera; check `pixel_nm`, `na` and `wavelength_nm` otherwise."
        )
    return min(end, _WIDEST) * detection.cutoff


def _ring_power(plane: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median power in rings up to the Nyquist frequency, by radius in cycles per raw pixel."""
    window = np.outer(*(np.hanning(side) for side in plane.shape))
    power = np.abs(fft.rfft2((plane - plane.mean()) * window)) ** 2
    fy, fx = (2 * f for f in (fft.fftfreq(plane.shape[0])[:, None], fft.rfftfreq(plane.shape[1])[None, :]))
    ring = (np.hypot(fy, fx) * _RINGS).astype(int).ravel()
    kept = ring < _RINGS
    medians = ndimage.median(power.ravel()[kept], ring[kept], np.arange(_RINGS))
    return (np.arange(_RINGS) + 0.5) / _RINGS, np.asarray(medians, np.float64)


def noise_map(counts: Array, spectrum: Spectrum) -> tuple[Array, tuple[float, float]]:
    """Standard deviation of the noise of a reconstructed image, from its quietest places.

    What varies within a diffraction limit is structure and noise; where it varies least at a brightness, it is noise alone. Its variance rises
    with the brightness in a straight line.

    Parameters
    ----------
    counts : ndarray, shape (Y, X)
    spectrum : Spectrum

    Returns
    -------
    sigma : ndarray, shape (Y, X), counts
    line : (float, float)
        Variance without light, counts squared, and its slope with the light, counts.
    """
    band = spectrum.detection.cutoff + spectrum.pattern.orders[0].length
    wide = 1 / spectrum.detection.cutoff  # fine pixels: about half the diffraction limit
    smooth = ndimage.gaussian_filter(counts, wide, mode="reflect")
    block = max(8, math.ceil(5 * wide))
    height, width = (side // block for side in counts.shape)

    def blocks(values: NDArray[Any]) -> NDArray[np.float64]:
        cut = values[: height * block, : width * block].reshape(height, block, width, block)
        return np.asarray(cut.mean((1, 3), dtype=np.float64).ravel())

    free = max(2.0, block**2 * math.pi * (band / 2) ** 2)
    few = float(stats.chi2.ppf(_QUIET, free) / free)
    level, variance = blocks(smooth), blocks((counts - smooth) ** 2)
    groups = np.array_split(np.argsort(level), min(_LEVELS, max(1, len(level) // 8)))
    light = np.array([np.mean(level[g]) for g in groups])
    quiet = np.array([np.quantile(variance[g], _QUIET) / few for g in groups])
    dark, base = float(light[0]), float(quiet[0])
    brighter = light > dark + 3 * math.sqrt(base)
    slope = float(np.min(np.maximum(quiet[brighter] - base, 0) / (light[brighter] - dark), initial=np.inf))
    slope = slope if math.isfinite(slope) else 0.0
    total = base + slope * np.maximum(smooth - dark, 0)
    return np.sqrt(np.maximum(total, 1e-12 + 1e-6 * float(counts.var()))).astype(np.float32), (base, slope)
