"""Photon transfer from a single image: gain, offset and read noise read off the way noise grows with brightness.

In: an image or a stack in counts. Out: a `Camera` whose `variance` predicts the noise at every brightness that occurs, the points it was fitted to,
and a verdict in words. The trick is to look where the microscope cannot put structure: its optics pass no detail near the
Nyquist frequency of a well-sampled camera, so that fourth differences along both axes hold noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from superlens.camera.given import FreeLine, about_pixels_below, contradictions
from superlens.camera.independence import NoiseCheck, check_noise
from superlens.camera.multiplication import multiplies
from superlens.camera.sensor import Camera
from superlens.errors import SuperlensError

__all__ = ["CameraEstimate", "estimate_camera"]

Verdict = Literal["plausible", "doubtful", "impossible"]
Array = NDArray[np.float64]

_SMOOTHING = 2.0  # Gaussian sigma of the brightness that pixels are sorted by, pixels
_SORT_NOISE = 1.0 / np.sqrt(4.0 * np.pi * _SMOOTHING**2)  # what that leaves of white noise: 0.14 of its deviation
_FEWEST_PIXELS = 40  # in one point of the photon-transfer plot
_MOST_PLANES = 12
_CLASSES = 32
_SHARED = 7.0  # pixels whose squared residuals carry the information of one, for fourth differences along two axes
_CLIPPED_SQUARE = 0.9205369  # E[min(z^2, 4)] of a standard normal z
_LEAST_PILE = 2e-4  # share of the pixels that hold one value and count as cut off
_LEAST_VALID = 0.05  # share of the pixels away from cut-off ones that are enough to go by
_SIDE_BY_SIDE = (
    0.8  # of the pixels around one that is lit, those that are lit too; of single photons up to about two thirds
)
_UNLIKE_PHOTONS = 0.05
_LEAST_SEEN = 0.1  # share of correlated noise that fourth differences have to see
_DIFFERENCES = {3: np.array([1.0, -2.0, 1.0]), 5: np.array([1.0, -4.0, 6.0, -4.0, 1.0])}


@dataclass(frozen=True, slots=True, eq=False)
class CameraEstimate:
    """A camera read from an image.

    Parameters
    ----------
    camera : Camera
        Its field `estimated` tells which numbers come from the image.
    means, variances : ndarray, shape (points,), counts and counts squared
        Photon-transfer plot: mean counts (offset included) and noise variance of pixels of like brightness.
    verdict : {"plausible", "doubtful", "impossible"}
        Whether the image can be what a camera delivers.
    notes : tuple of str
        The reasons, in words.
    """

    camera: Camera
    means: Array = field(repr=False)
    variances: Array = field(repr=False)
    verdict: Verdict
    notes: tuple[str, ...]


def estimate_camera(
    data: ArrayLike,
    *,
    offset: float | None = None,
    gain: float | None = None,
    read_noise_e: float | None = None,
    recorded: ArrayLike | None = None,
) -> CameraEstimate:
    """Estimate gain, offset and read noise from one image or a stack of one camera.

    Parameters
    ----------
    data : array_like, shape (..., Y, X), counts
        Raw camera counts; both sides at least 16 pixels. Sampling of at least two pixels to the width of the PSF is assumed.
    offset, gain, read_noise_e : float, optional
        Known values (counts, counts per electron, electrons); they are kept as they are and the rest is estimated. The notes say which of them
        the image contradicts.
    recorded : array_like, of the shape of `data`, optional
        The counts as they were read, where saturated or undefined pixels of `data` have been filled since.

    Returns
    -------
    CameraEstimate
        `camera.variance` follows the measured noise over the brightness that occurs in `data`.

    Raises
    ------
    SuperlensError
        When the image is too small, not finite, or a given value is impossible.

    Notes
    -----
    Noise that grows linearly with counts fixes the gain (the slope), but offset and read noise only together: a higher offset with more read noise explains
    an image as well as a lower one with less. Without a given offset or read noise the offset is set to the mean count of the darkest
    part of the image, and the noise there is called read noise. A glow that covers the whole field therefore counts as offset, and its
    shot noise as read noise; predicted variances do not depend on that choice.

    References
    ----------
    Janesick, "Photon Transfer", SPIE Press 2007, chapter 5. Immerkaer, Comput. Vis. Image Underst. 64 (1996): noise from second differences.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ramp = np.outer(np.linspace(0, 200, 128), np.ones(128))
    >>> counts = Camera(2.0, 100.0, 1.0).expose(ramp, rng)
    >>> estimate_camera(counts, offset=100.0).verdict
    'plausible'
    """
    planes = _planes(data)
    check = check_noise(planes)
    plot = _photon_transfer(planes, check)
    given = {"offset": offset, "gain": gain, "read_noise_e": read_noise_e}
    values, notes, verdict = _solve(plot, given)
    multiplied = check.white and verdict != "impossible" and _multiplied(_read(planes, recorded), plot)
    if multiplied:
        values = _without_read_noise(values, plot, given, float(planes.min()))
    camera = Camera(
        gain=values["gain"],
        offset=values["offset"],
        read_noise_e=values["read_noise_e"],
        estimated=frozenset(name for name, value in given.items() if value is None),
        multiplied=multiplied,
    )
    notes = notes + plot.notes
    more, doubtful = _sanity(camera, plot, planes, check) if verdict != "impossible" else ((), False)
    against = _against(plot, planes, check, given)
    if verdict == "plausible" and (doubtful or against):
        verdict = "doubtful"
    if against:  # which value is wrong says more than that the noise is
        more = tuple(note for note in more if _UNEXPLAINED not in note)
    return CameraEstimate(camera, plot.means, plot.variances, verdict, (*against, *notes, *more))


@dataclass(frozen=True, slots=True, eq=False)
class _Plot:
    """The photon-transfer plot: mean, noise variance and number of pixels of each brightness class; the darkest level."""

    means: Array
    variances: Array
    counts: Array
    dark: float
    cut: float  # share of the pixels that were cut off at the bottom
    saturated: float  # share of the pixels that were cut off at the top
    notes: tuple[str, ...]


def _planes(data: ArrayLike) -> Array:
    values = np.asarray(data)
    if values.ndim < 2 or min(values.shape[-2:]) < 16:
        raise SuperlensError(
            f"data has the shape {values.shape}; expected an image of at least 16 x 16 pixels. Give a larger crop."
        )
    stack = _some(values.reshape(-1, *values.shape[-2:])).astype(np.float64)
    if not np.isfinite(stack).all():
        raise SuperlensError(
            "data holds NaN or infinite values; expected finite counts. Replace them, or crop the image to its valid part."
        )
    return np.asarray(stack)


def _read(planes: Array, recorded: ArrayLike | None) -> Array:
    """Planes as they were read, as far as they are numbers."""
    if recorded is None:
        return planes
    values = np.asarray(recorded)
    read = _some(values.reshape(-1, *values.shape[-2:]))
    return np.asarray(np.where(np.isfinite(read), read, planes))


def _some(stack: NDArray[Any]) -> NDArray[Any]:
    """Planes spread over a stack."""
    number = min(len(stack), _MOST_PLANES)
    return np.asarray(stack[np.linspace(0, len(stack) - 1, number).round().astype(int)])


def _photon_transfer(planes: Array, check: NoiseCheck) -> _Plot:
    """Sort pixels by local brightness and measure the noise of each class."""
    kernel, seen = _differences(check)
    cut = len(kernel) // 2
    inner = (slice(None), slice(cut, -cut), slice(cut, -cut))
    residual = _separable(planes, kernel)[inner] / np.sqrt(seen)
    # E[residual^2] is the mean of the pixels' variances with the weights kernel^2, hence the variance at their mean so weighted.
    local = _separable(planes, kernel**2)[inner]
    sorting = ndimage.gaussian_filter(planes, (0, _SMOOTHING, _SMOOTHING), mode="reflect")[inner]
    valid, missing, saturated, notes = _unclipped(planes, cut)
    valid = valid[inner]
    dark, dark_noise = _dark_level(sorting.ravel(), local.ravel(), residual.ravel() ** 2)
    squares, means, order = residual[valid] ** 2, local[valid], sorting[valid]
    labels, size = _classes(order, dark, dark_noise)
    number = np.bincount(labels, minlength=size)
    mean = np.bincount(labels, means, size) / number
    plot = _Plot(mean, _clipped_scale(squares, labels, size), number.astype(float), dark, missing, saturated, notes)
    for _ in range(3):
        # Within a class brightness still varies, most of all in sparse images: clip relative to the line found so far.
        line = _fit_line(plot)
        expected = np.maximum(
            line.level + line.slope * (means - dark), 0.02 * max(float(np.median(plot.variances)), 1e-150)
        )
        average = np.bincount(labels, expected, size) / number
        plot = replace(plot, variances=_clipped_scale(squares / expected, labels, size) * average)
    return plot


def _differences(check: NoiseCheck) -> tuple[Array, float]:
    """The filter that noise is read through, and the share of the noise variance that passes it.

    Fourth differences keep structure out best. Noise that has lost its high frequencies is weak there: then second differences look lower.
    """
    for order in (5, 3):
        kernel = _DIFFERENCES[order] / np.sqrt(np.sum(_DIFFERENCES[order] ** 2))
        seen = _power_seen(kernel, check)
        if seen >= _LEAST_SEEN:
            break
    return kernel, max(seen, 0.02)


def _separable(planes: Array, kernel: Array) -> Array:
    return np.asarray(
        ndimage.correlate1d(ndimage.correlate1d(planes, kernel, 1, mode="reflect"), kernel, 2, mode="reflect")
    )


def _power_seen(kernel: Array, check: NoiseCheck) -> float:
    """Share of the noise variance that passes the filter; 1 for white noise, less when noise is correlated."""
    if check.independent:
        return 1.0
    response = np.abs(np.fft.fft(kernel, 64)) ** 2
    room = np.zeros((64, 64))
    half = len(check.covariance) // 2
    index = np.arange(-half, half + 1)
    room[index[:, None], index[None, :]] = check.covariance
    power = np.fft.fft2(room).real
    return float(np.mean(power * response[:, None] * response[None, :]))


def _unclipped(planes: Array, reach: int) -> tuple[NDArray[np.bool_], float, float, tuple[str, ...]]:
    """Mark pixels away from values that the camera or a converter cut off: a pile of equal ones at the top or the bottom.

    Also gives the share of all pixels that lie in the pile at the bottom, and in that at the top.
    """
    valid, shares, said = np.ones(planes.shape, bool), {}, []
    for extreme, sign, word in ((planes.max(), -1.0, "saturated"), (planes.min(), 1.0, "cut off at the bottom")):
        at_limit = planes == extreme
        share = float(at_limit.mean())
        if not _LEAST_PILE < share < 1.0:
            continue
        others = sign * planes[~at_limit]
        beside = float(np.count_nonzero(others == others.min()) / planes.size)
        # Few-photon images have many zeros, too, but hardly fewer ones; or next to nothing but zeros and ones.
        if share > 2.0 * beside and not (sign > 0 and _counts_photons(planes - extreme)):
            valid &= ~ndimage.maximum_filter(at_limit, (1, 2 * reach + 1, 2 * reach + 1))
            shares[word] = share
            said.append(f"{100 * share:.2g} % of the pixels are {word} at {extreme:g}")
    enough = bool(valid.mean() > _LEAST_VALID)
    then = "they were left out." if enough else "too many to leave them out."
    notes = tuple(f"{text}; {then}" for text in said)
    valid = valid if enough else np.ones(planes.shape, bool)
    return valid, shares.get("cut off at the bottom", 0.0), shares.get("saturated", 0.0), notes


def _counts_photons(above: Array) -> bool:
    """Whether zeros are many since photons are few: in dark places what is not 0 is then nearly always a single photon, and alone.

    Behind a mask zeros are many too; but what it leaves lies side by side.
    """
    beside = ndimage.uniform_filter((above > 0).astype(np.float32), (1, 3, 3), mode="reflect")
    smooth = ndimage.uniform_filter(above, (1, 5, 5), mode="reflect")
    among = smooth <= np.quantile(smooth, 0.5)
    if np.count_nonzero(above[among]) < _FEWEST_PIXELS:
        among = smooth <= np.quantile(smooth, 0.9)
    dark, crowded = above[among], beside[among & (above > 0)]
    lit = dark[dark > 0]
    if lit.size < _FEWEST_PIXELS or crowded.mean() > _SIDE_BY_SIDE:
        return False
    one = float(np.quantile(lit, 0.05))
    mean = float(dark.mean()) / one
    expected = mean / np.expm1(mean)  # of one photon where there are any
    return bool(mean < 1.0 and np.mean(lit < 1.5 * one) > expected - _UNLIKE_PHOTONS)


def _classes(order: Array, dark: float, noise: float) -> tuple[NDArray[np.intp], int]:
    """Sort pixels into brightness classes, equal in the square root of brightness and never narrower than its noise.

    Everything dark is one class: there pixels differ by noise alone, and classes made of noise would flatten the slope.
    """
    low, high = dark + 3.0 * _SORT_NOISE * noise, float(np.quantile(order, 0.9998))
    if high <= low:
        return np.zeros(len(order), np.intp), 1
    fine = np.sqrt(np.clip((order - low) / (high - low), 0.0, 1.0)) * _CLASSES
    labels = np.minimum(np.ceil(fine).astype(np.intp), _CLASSES)
    counts = np.bincount(labels, minlength=_CLASSES + 1)
    edges = low + (high - low) * (np.arange(_CLASSES + 1) / _CLASSES) ** 2  # upper edges
    target, name, filled, start = np.zeros(_CLASSES + 1, np.intp), 0, 0, -np.inf
    for k in range(_CLASSES + 1):
        target[k] = name
        filled += int(counts[k])
        wide = edges[k] - start >= 2.0 * _SORT_NOISE * noise
        if filled >= _FEWEST_PIXELS and wide and counts[k + 1 :].sum() >= _FEWEST_PIXELS:
            name, filled, start = name + 1, 0, edges[k]
    return target[labels], name + 1


def _clipped_scale(squares: Array, labels: NDArray[np.intp], size: int) -> Array:
    """Variance of each class from squares that are clipped at two deviations, so that few outliers (structure) count little."""
    number = np.maximum(np.bincount(labels, minlength=size), 1)
    variance = np.bincount(labels, squares, size) / number
    for _ in range(25):
        variance = np.bincount(labels, np.minimum(squares, 4.0 * variance[labels]), size) / number / _CLIPPED_SQUARE
    return np.asarray(variance)


def _dark_level(order: Array, means: Array, squares: Array) -> tuple[float, float]:
    """Mean count and noise of the darkest part: pixels within the sorting noise of the darkest two hundredths."""
    darkest = float(np.quantile(order, 0.02))
    among = order <= darkest
    noise = float(np.sqrt(_clipped_scale(squares[among], np.zeros(int(among.sum()), np.intp), 1)[0]))
    # Of an even background the darkest fiftieth lies two deviations below its mean: as far above it is background, too.
    return float(means[order <= darkest + 4.1 * _SORT_NOISE * noise].mean()), noise


@dataclass(frozen=True, slots=True)
class _Line:
    """Noise variance = level + slope * (counts - dark level)."""

    level: float
    slope: float
    error: float  # standard error of the slope


def _fit_line(plot: _Plot, slope: float | None = None, reach: float = 0.0) -> _Line:
    """Fit a line to the plot, lightly to points above it (structure adds, it never takes away).

    With `slope` given only the level is fitted. The variance may not become negative `reach` counts below the dark level.
    """
    x, v = plot.means - plot.dark, plot.variances
    independent = plot.counts / _SHARED
    least = max(0.02 * float(np.median(v)), 1e-6 * float(v.max()), 1e-150)
    fitted, trust = np.maximum(v, least), np.ones_like(v)
    level, gain = float(np.median(v)), 0.0
    for step in range(15):
        weight = independent * trust / fitted**2
        level, gain = _weighted_line(x, v, weight, slope)
        if level < max(gain * reach, 0.0):
            gain = _or(slope, float(np.sum(weight * v * (x + reach)) / max(np.sum(weight * (x + reach) ** 2), 1e-150)))
            level = max(gain * reach, 0.0)
        fitted = np.maximum(level + gain * x, least)
        if step < 4:  # distrust only once the line has found its slope
            continue
        trust = 1.0 / (1.0 + (np.maximum(v / fitted - 1.0, 0.0) / 0.35) ** 2)
    weight = independent * trust / (2.0 * fitted**2)
    centre = np.sum(weight * x) / np.sum(weight)
    return _Line(level, gain, float(1.0 / np.sqrt(max(np.sum(weight * (x - centre) ** 2), 1e-150))))


def _weighted_line(x: Array, v: Array, weight: Array, slope: float | None) -> tuple[float, float]:
    total = np.sum(weight)
    x0, v0 = np.sum(weight * x) / total, np.sum(weight * v) / total
    if slope is None:
        spread = np.sum(weight * (x - x0) ** 2)
        slope = float(np.sum(weight * (x - x0) * (v - v0)) / spread) if spread > 0 else 0.0
    return float(v0 - slope * x0), slope


def _solve(plot: _Plot, given: dict[str, float | None]) -> tuple[dict[str, float], tuple[str, ...], Verdict]:
    """Fill in what was not given."""
    offset, gain, read_noise = given["offset"], given["gain"], given["read_noise_e"]
    scale = max(float(np.ptp(plot.means)), abs(plot.dark) * 1e-6, 1e-12)
    if plot.variances.max() <= (1e-6 * scale) ** 2:
        values = {
            "gain": _or(gain, 1e-9 * scale),
            "offset": _or(offset, plot.dark),
            "read_noise_e": _or(read_noise, 0.0),
        }
        return values, ("The image holds no noise: it was computed or filtered, not recorded.",), "impossible"
    notes: tuple[str, ...] = ()
    verdict: Verdict = "plausible"
    reach = 0.0 if offset is None else plot.dark - offset
    line = _fit_line(plot, gain, reach)
    if gain is None and offset is not None and read_noise is not None:
        line = _through(plot, offset, read_noise)
    elif gain is None and line.slope < 3.0 * line.error:
        notes, verdict = _no_slope(line, len(plot.means))
        line = line if line.slope > 0 else _flat_line(plot, offset, read_noise)
    gain = line.slope
    if offset is None:
        offset = (
            plot.dark if read_noise is None else min(plot.dark, plot.dark - line.level / gain + gain * read_noise**2)
        )
    if read_noise is None:
        read_noise = float(np.sqrt(max(line.level + gain * (offset - plot.dark), 0.0))) / gain
    return {"gain": gain, "offset": offset, "read_noise_e": read_noise}, notes, verdict


def _multiplied(planes: Array, plot: _Plot) -> bool:
    line = _fit_line(plot)
    return line.slope > 0 and multiplies(
        planes, line.slope, plot.dark - line.level / line.slope, doubt=line.error / line.slope
    )


def _without_read_noise(
    values: dict[str, float], plot: _Plot, given: dict[str, float | None], least: float
) -> dict[str, float]:
    """Of a camera that multiplies: read noise is next to nothing beside one multiplied electron, so that noise in the dark is that of light."""
    if given["offset"] is not None or given["read_noise_e"] is not None:
        return values
    light = values["gain"] * values["read_noise_e"] ** 2
    offset = max(plot.dark - light, min(least, plot.dark))
    return {
        **values,
        "offset": offset,
        "read_noise_e": float(np.sqrt(max(offset - plot.dark + light, 0.0) / values["gain"])),
    }


def _no_slope(line: _Line, points: int) -> tuple[tuple[str, ...], Verdict]:
    if line.slope < -4.0 * line.error and points > 3:
        return (
            "The noise falls with brightness: a camera does not do that. The image is saturated or was processed.",
        ), "impossible"
    return (
        "The noise hardly grows with brightness, so the gain read from this image is uncertain: it is even, dim, processed or averaged. "
        "Give `gain`, or an image with bright structure.",
    ), "doubtful"


def _flat_line(plot: _Plot, offset: float | None, read_noise: float | None) -> _Line:
    """The same noise everywhere: a gain so small that brightness adds next to nothing, unless what is given fixes it."""
    level = float(np.average(plot.variances, weights=plot.counts))
    if read_noise:
        return _Line(level, float(np.sqrt(level)) / read_noise, np.inf)
    width = max(float(np.ptp(plot.means)), plot.dark - _or(offset, plot.dark), 0.0)
    gain = min(0.2 * np.sqrt(level), 0.1 * level / max(width, 1e-150))
    return _Line(level, float(gain), np.inf)


def _through(plot: _Plot, offset: float, read_noise: float) -> _Line:
    """The gain when offset and read noise are known: variance = gain * signal + (gain * read noise)^2, solved point by point."""
    x, v = np.maximum(plot.means - offset, 0.0), np.maximum(plot.variances, 0.0)
    square = read_noise**2
    known = (x > 0) | (square > 0)
    x, v, n = x[known], v[known], plot.counts[known]
    root = 2.0 * v / np.maximum(x + np.sqrt(x**2 + 4.0 * square * v), 1e-150)
    weight = n * (1.0 + x / np.maximum(x + 2.0 * square * root, 1e-150)) ** 2
    gain = float(_weighted_median(root, weight))
    return _Line(gain * (plot.dark - offset) + gain**2 * square, gain, 0.0)


def _against(plot: _Plot, planes: Array, check: NoiseCheck, given: dict[str, float | None]) -> tuple[str, ...]:
    """Which of the given values the image contradicts."""
    if all(value is None for value in given.values()):
        return ()
    free = _fit_line(plot)
    noise = float(np.sqrt(max(free.level, 0.0)))
    trusted = check.white and max(plot.cut, plot.saturated) <= _MOST_CUT
    line = FreeLine.of(plot.dark, free.level, free.slope, free.error if trusted else np.inf)
    said = contradictions(line, offset=given["offset"], gain=given["gain"], read_noise_e=given["read_noise_e"])
    offset = given["offset"]
    over = "" if offset is None else about_pixels_below(planes, offset, noise)
    return (*said, over) if over else said


def _why_noisy(camera: Camera) -> str:
    """What a read noise that is too large means, by what was given."""
    if "offset" in camera.estimated:
        return "So it holds light. Give `offset` to keep that light as signal."
    return "Check `offset`" + (" and `gain`." if "gain" not in camera.estimated else ".")


_MOST_SHADOW = 1e-3  # share of the pixels


def _below_dark(planes: Array, camera: Camera) -> float:
    """Share of the pixels more than six deviations, and one count, below the offset."""
    noise = float(np.sqrt(camera.variance(0.0) + camera.gain**2))
    return float(np.mean(planes < camera.offset - 6.0 * noise - 1.0))


_UNEXPLAINED = "times what these camera values predict"
_MOST_SATURATED = 0.1  # share of the pixels
_MOST_CUT = 0.1  # share of the pixels; above it the darkest classes are too few to tell read noise from gain


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _sanity(camera: Camera, plot: _Plot, planes: Array, check: NoiseCheck) -> tuple[tuple[str, ...], bool]:
    """What a person should know about these numbers, and whether it makes them doubtful."""
    notes, doubtful = [], False
    whole = bool(np.all(planes == np.rint(planes)))
    if whole and camera.gain < 0.05 and "gain" in camera.estimated:
        notes.append(
            f"A gain of {camera.gain:.3g} counts per electron is unusual for raw counts (0.05 to 20): the image may be scaled or averaged."
        )
        doubtful = True
    if camera.multiplied and "gain" in camera.estimated:
        notes.append(
            f"The noise is as skewed as that of a camera that multiplies electrons (EMCCD), and is taken for that. The gain of {camera.gain:.3g} "
            "holds the excess noise: it is twice the counts per electron."
        )
    elif whole and camera.gain > 20.0 and "gain" in camera.estimated:
        notes.append(
            f"A gain of {camera.gain:.3g} counts per electron: the camera multiplies electrons (EMCCD), or the image was scaled. The noise model holds "
            "for it as it is."
        )
    if not whole and camera.gain < 0.05:
        notes.append(
            f"The values are not raw counts (gain {camera.gain:.3g} per electron): scaled or averaged. The noise model holds for them as they are."
        )
    if camera.read_noise_e > 5.0 and "read_noise_e" in camera.estimated:
        notes.append(
            f"The darkest part has the noise of {camera.read_noise_e:.3g} electrons: more than a camera's. {_why_noisy(camera)}"
        )
    if "offset" in camera.estimated and (shadow := _below_dark(planes, camera)) > _MOST_SHADOW:
        notes.append(
            f"{100 * shadow:.2g} % of the pixels lie farther below the darkest level than noise goes: deconvolution, filtering and subtracted backgrounds "
            "leave such dents. Use the recording from before, or give `offset` if it is a shadow."
        )
        doubtful = True
    if plot.cut > _MOST_CUT and "gain" in camera.estimated:
        notes.append(
            "With so many pixels cut off at the bottom the noise of the dark parts is gone: give `gain`, or an image from before "
            "its background was taken away."
        )
        doubtful = True
    if plot.saturated > _MOST_SATURATED:
        notes.append(
            "With so many saturated pixels the brightest parts are gone: use an image that was exposed for less."
        )
        doubtful = True
    predicted = np.asarray(camera.variance(plot.means - camera.offset))
    tiny = max(1e-3 * float(plot.variances.max()), 1e-150)
    ratio = float(np.sqrt(_weighted_median((plot.variances + tiny) / (predicted + tiny), plot.counts)))
    if not 1 / 1.5 <= ratio <= 1.5:
        notes.append(f"The measured noise is {ratio:.2g} {_UNEXPLAINED}: check `gain`, `offset` and `read_noise_e`.")
        doubtful = True
    if check.coarse or not check.independent:
        notes.append(check.note)
        doubtful = doubtful or not (check.independent or check.mild)
    return tuple(notes), doubtful
