"""The checks that users of SIMcheck know, by the names they have there: `checks_of`, and their pictures in colour.

Values are measured in our own way; the limits are those of G. Ball et al., "SIMcheck: a toolbox for successful super-resolution structured
illumination microscopy", Sci. Rep. 5, 15915 (2015), as the program applies them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter, map_coordinates

from superlens.reconstruct.sim.bands import taper
from superlens.reconstruct.sim.check import DRIFT_PX, drift_between_angles
from superlens.reconstruct.sim.search import LIMIT
from superlens.report.data import Grade, Metric

if TYPE_CHECKING:
    from superlens.reconstruct.sim.reconstruct import SimResult

__all__ = [
    "GOOD_CONTRAST",
    "LEAST_RATIO",
    "angle_colours",
    "checks_of",
    "contrast_to_noise",
    "max_to_min",
    "modulation_colours",
    "mean_spectrum",
    "typical",
]

Array = NDArray[Any]

GOOD_CONTRAST = 4.0
LEAST_RATIO = 3.0
_EVEN, _UNEVEN = 40.0, 60.0  # per cent of intensity
_SLICES = 9
_SMOOTH_PX = 4.0  # of the light of each angle
_MOST_CONTRAST = 16.0
_WIENER = 0.085
_GRADES = ("inadequate", "low", "good", "very good")
_CONTRASTS, _RATIOS = (4.0, 8.0, 12.0), (3.0, 6.0, 12.0)


def contrast_to_noise(result: SimResult) -> NDArray[np.float32]:
    """How far the modulated light of one set stands above its noise; shape (Y // 2, X // 2)."""
    table = result.pattern.arrangement
    weights = table.separation / result.pattern.brightness
    bands = np.tensordot(weights[1:], result.frames, 1)
    height, width = (side // 2 * 2 for side in bands.shape[1:])
    small = bands[:, :height, :width].reshape(len(bands), height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    variance = result.series.noise**2 * np.sum(table.separation[1:] ** 2) / 4
    power = gaussian_filter(np.sum(small**2, axis=0), 1.0)
    return np.asarray(np.sqrt(np.maximum(power / variance - 1 / result.series.count, 0)), np.float32)


def typical(contrast: Array) -> float:
    """The median of a contrast-to-noise map where it is bright."""
    return float(np.median(contrast[contrast >= np.percentile(contrast, 50)]))


def checks_of(result: SimResult, image: Array, contrast: Array, frc_nm: float | None) -> tuple[Metric, ...]:
    """The checks of a result.

    Parameters
    ----------
    result : SimResult
    image : ndarray, shape (2 Y, 2 X)
        The reconstruction of a set.
    contrast : ndarray
        Its `contrast_to_noise`.
    frc_nm : float or None
        Resolution by split FRC.

    Returns
    -------
    tuple of Metric
        Raw frames first, then the reconstruction.
    """
    return (
        *_intensity(result),
        *_motion(result),
        *_fourier(result),
        *_contrast(result, contrast),
        *_made(image, frc_nm),
    )


def _intensity(result: SimResult) -> list[Metric]:
    table, light = result.pattern.arrangement, result.pattern.brightness
    levels = _levels(result)
    central = levels[max(0, len(levels) // 2 - _SLICES // 2) :][:_SLICES] if "Z" in result.image.axes else np.ones(1)
    each = np.outer(central, light)
    variation = 100 * float(1 - each.min() / each.max())
    order = np.argsort(result.layout.planes[0])  # in the order of the file
    found = [
        Metric(
            "Channel Intensity Profiles: total variation (TIV)", _round(variation), "%", f"{_EVEN:g} % or less, {_UNEVEN:g} at most",
            "ok" if variation <= _EVEN else "warn",
            "From the darkest to the brightest frame, by the low frequencies, which no offset hides. Frames are made equal; what differs from "
            "place to place stays.",
        ),
        Metric(
            "Channel Intensity Profiles: decay", _round(_decay(light[order])), "%", "", "info",
            "Light lost from the first to the last frame of a set, by a line through all: bleaching.",
        ),
    ]  # fmt: skip
    if len(levels) > 1 and "T" in result.image.axes:
        words = "Light lost from the first to the last set, by a line through all."
        found.append(
            Metric("Channel Intensity Profiles: decay over the sets", _round(_decay(levels)), "%", "", "info", words)
        )
    if table.groups > 1:
        means = np.array([light[lit].mean() for lit in _lit(result)])
        words = "From the darkest to the brightest angle."
        difference = 100 * float(1 - means.min() / means.max())
        found.append(Metric("Channel Intensity Profiles: between angles", _round(difference), "%", "", "info", words))
    return found


def _motion(result: SimResult) -> list[Metric]:
    if result.pattern.arrangement.groups == 1:
        return []
    moved = drift_between_angles(result.frames, result.layout)
    each = _angle_means(result)
    bright = each.mean(axis=0) > np.median(each.mean(axis=0))
    spread = 100 * float(np.mean((each.std(axis=0) / np.maximum(each.mean(axis=0), 1e-12))[bright]))
    return [
        Metric(
            "Motion & Illumination Variation: motion", _round(moved), "pixels", f"{DRIFT_PX:g} or less",
            "ok" if moved <= DRIFT_PX else "warn", "The largest shift between two angles. A specimen that moves leaves coloured edges, and doubled lines.", "motion",
        ),
        Metric(
            "Motion & Illumination Variation: illumination", _round(spread), "%", "", "info",
            "How far the light of the angles differs from place to place, without their mean. Uneven light leaves large coloured areas.", "motion",
        ),
    ]  # fmt: skip


def _fourier(result: SimResult) -> list[Metric]:
    heights = [o.significance for o in result.pattern.orders if not math.isnan(o.significance)]
    weakest = _round(min(heights)) if heights else None
    grade: Grade = "ok" if heights and min(heights) >= LIMIT else "info"  # weaker ones were believed together
    words = "Height of the weakest carrier over its ring, in standard deviations. Spots at the pattern's frequency stand in the spectrum of the raw frames."
    return [Metric("Fourier Projection: weakest pattern", weakest, "", f"{LIMIT:g} or more", grade, words, "spectra")]


def _contrast(result: SimResult, contrast: Array) -> list[Metric]:
    value = typical(contrast)
    word = _word(value, _CONTRASTS)
    spectrum = result.spectrum
    weight = f"w = {spectrum.regularisation.w:.3f}" if spectrum.regularisation.kind == "wiener" else "none like it"
    return [
        Metric(
            "Modulation Contrast (MCNR)", _round(value), "", f"{GOOD_CONTRAST:g} or more, 8 is good", "ok" if value >= GOOD_CONTRAST else "warn",
            f"SIMcheck calls it {word}. The pattern's light over its noise, median of the brighter half. Finer detail than the wide field's rests on it.",
            "contrast",
        ),
        Metric(
            "Modulation Contrast: suggested Wiener parameter", _round(_WIENER / max(value, 0.1) ** 2), "", "", "info",
            f"For programs that ask for it, by the rule of SIMcheck. Superlens has {weight}, from signal and noise.",
        ),
    ]  # fmt: skip


def _made(image: Array, frc_nm: float | None) -> list[Metric]:
    ratio = max_to_min(image)
    word = _word(ratio, _RATIOS)
    return [
        Metric(
            "Reconstructed Intensity Histogram: max-to-min ratio (MMR)", _round(ratio), "", f"{LEAST_RATIO:g} or more, 6 is good",
            "ok" if ratio >= LEAST_RATIO else "warn",
            f"SIMcheck calls it {word}. The brightest value over the darkest, from the commonest: small where dark ripples are deep.",
        ),
        Metric(
            "Fourier Plots: resolution by split FRC", None if frc_nm is None else _round(frc_nm), "nm", "", "info",
            "Of two reconstructions of halved photons: where they cease to agree.", "spectra",
        ),
    ]  # fmt: skip


def _word(value: float, limits: tuple[float, ...]) -> str:
    return _GRADES[sum(value >= limit for limit in limits)]


def max_to_min(image: Array) -> float:
    """The 0.001 % brightest over the 0.001 % darkest pixels, both from the commonest value."""
    low, high = (float(one) for one in np.percentile(image, [0.001, 99.999]))
    counts, edges = np.histogram(image, bins=256, range=(low, high))
    at = int(np.argmax(counts))
    mode = float(edges[at] + edges[at + 1]) / 2
    return (high - mode) / max(mode - low, 1e-9)


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def _levels(result: SimResult) -> Array:
    """Light of each set, above its darkest pixels."""
    planes = np.asarray(result.widefield.data).reshape(-1, *result.frames.shape[1:])
    return np.asarray(planes.mean(axis=(1, 2), dtype=np.float64) - np.percentile(planes, 0.1, axis=(1, 2)))


def _decay(light: Array) -> float:
    """Per cent lost from the first to the last by a line through all; negative where light is gained."""
    at = np.arange(len(light))
    slope, start = np.polyfit(at, light, 1)
    return 100 * float(-slope * (len(light) - 1) / max(float(start), 1e-12))


# -- pictures -----------------------------------------------------------------------------------------------------------


def _lit(result: SimResult) -> list[NDArray[np.bool_]]:
    """The frames of each angle."""
    table = result.pattern.arrangement
    return [table.present[:, table.angles.index(angle)] for angle in dict.fromkeys(table.angles)]


def _angle_means(result: SimResult, smooth_px: float = _SMOOTH_PX) -> Array:
    """The smoothed light of each angle, all of the same mean; shape (angles, Y, X)."""
    frames = result.frames / result.pattern.brightness[:, None, None]
    floor = float(np.percentile(frames, 0.1))
    each = np.stack([frames[lit].mean(axis=0) - floor for lit in _lit(result)])
    each = np.stack([gaussian_filter(one, smooth_px) for one in each]) if smooth_px else each
    return np.asarray(each / np.maximum(each.mean(axis=(1, 2), keepdims=True), 1e-12))


def angle_colours(result: SimResult) -> tuple[NDArray[np.float64], tuple[str, ...]] | None:
    """The mean of each angle in a colour of its own: grey where all are alike. None where all frames hold all angles.

    Returns
    -------
    ndarray, shape (Y, X, 3), 0 to 1
    tuple of str
        Names of the colours.
    """
    if result.pattern.arrangement.groups == 1:
        return None
    each = _angle_means(result, 0.7)
    low, high = np.percentile(each, [1, 99.8])
    each = np.clip((each - low) / max(high - low, 1e-12), 0, 1)
    colours = _PRINT if len(each) == 3 else {f"colour {i + 1}": c for i, c in enumerate(_around(len(each)))}
    table = np.array(list(colours.values()), float)
    return np.clip(np.tensordot(np.moveaxis(each, 0, -1), table / table.sum(axis=0), 1), 0, 1), tuple(colours)


_PRINT = {"cyan": (0, 1, 1), "magenta": (1, 0, 1), "yellow": (1, 1, 0)}


def _around(count: int) -> list[tuple[float, float, float]]:
    from colorsys import hsv_to_rgb

    return [hsv_to_rgb(i / count, 1, 1) for i in range(count)]


def modulation_colours(image: Array, contrast: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A reconstruction as brightness, the contrast to noise of its pattern as colour.

    Parameters
    ----------
    image : ndarray, shape (2 Y, 2 X)
    contrast : ndarray, shape (Y // 2, X // 2)

    Returns
    -------
    ndarray, shape (2 Y, 2 X, 3), 0 to 1
    ndarray, shape (256, 3)
        The colours, from contrast 0 to 16.
    """
    from matplotlib import colormaps

    bar = np.asarray(colormaps["plasma"](np.linspace(0, 1, 256)))[:, :3]
    bar = bar / bar.max(axis=1, keepdims=True)  # all of full brightness: that is the image's
    y, x = (np.minimum((np.arange(n) - 1.5) / 4, m - 1) for n, m in zip(image.shape, contrast.shape, strict=True))
    fine = map_coordinates(contrast, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
    at = np.clip(fine / _MOST_CONTRAST * 255, 0, 255).astype(int)
    low, high = np.percentile(image, [1, 99.8])
    light = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    return bar[at] * light[..., None], bar


def mean_spectrum(frames: Array) -> NDArray[np.float64]:
    """The logarithm of the spectra of planes, averaged, shape (Y, X); frequency 0 in the middle."""
    window = taper(frames.shape[1:], 0.1)
    total = np.zeros(frames.shape[1:])
    for frame in frames:
        power = np.abs(fft.fftshift(fft.fft2((frame - frame.mean()) * window))) ** 2
        total += np.log10(np.maximum(power, power.max() * 1e-12))
    return total / len(frames)
