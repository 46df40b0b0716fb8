"""Where to look and what to measure for the page: crops, line profiles, spectra, widths, residual statistics.

Plain arrays in, small frozen records out; nothing is drawn here. Positions are (y, x) in pixels of the output grid,
pixel centres at whole numbers. All rules are deterministic, so the page shows the same places every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage, signal

from superlens.report.data import Array, ReportData

__all__ = [
    "Crop",
    "Line",
    "Residual",
    "autocorrelation",
    "block_means",
    "choose_crops",
    "choose_lines",
    "noise_sigma",
    "profile_fwhm",
    "radial_power",
    "residual_statistics",
    "sample_line",
    "separated_pair",
]

_MAX_CANDIDATES = 150
_LINE_WIDTH = 3


@dataclass(frozen=True, slots=True)
class Crop:
    """A square window on the output grid, aligned to camera pixels."""

    label: str
    y: int
    x: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Line:
    """A straight cut through `centre` along the unit vector `direction`, `half` pixels to either side."""

    label: str
    centre: tuple[float, float]
    direction: tuple[float, float]
    half: int

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """First and last point, (y, x)."""
        (y, x), (dy, dx) = self.centre, self.direction
        return (y - dy * self.half, x - dx * self.half), (y + dy * self.half, x + dx * self.half)


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """The residual in units of the noise and what it looks like.

    Parameters
    ----------
    z : ndarray, shape (Y, X)
        Residual over the standard deviation of the noise.
    mean, sd : float
    beyond_3 : float
        Share of pixels with ``|z| > 3``; 0.0027 for Gaussian noise.
    autocorrelation : ndarray, shape (odd, odd)
    modelled : bool
        True when the noise model gave sigma, False when it is the robust spread of the residual itself.
    """

    z: Array
    mean: float
    sd: float
    beyond_3: float
    autocorrelation: Array
    modelled: bool


def noise_sigma(data: ReportData) -> Array | None:
    """Standard deviation of the camera noise in each pixel, counts, or None when it is not known."""
    if data.noise_sigma is not None:
        return np.asarray(data.noise_sigma, dtype=float)
    transfer = data.photon_transfer
    if transfer is None:
        return None
    expected = data.denoised if data.denoised is not None else ndimage.uniform_filter(_finite(data.input), 5)
    variance = transfer.gain * np.maximum(_finite(expected), 0) + (transfer.gain * transfer.read_noise_e) ** 2
    return np.sqrt(variance) if np.all(np.isfinite(variance)) and variance.min() > 0 else None


def residual_statistics(data: ReportData) -> Residual | None:
    """Residual over noise, with its moments and autocorrelation; None without a residual."""
    if data.residual is None:
        return None
    residual = np.asarray(data.residual, dtype=float)
    finite = residual[np.isfinite(residual)]
    if finite.size == 0:
        return None
    sigma = noise_sigma(data)
    spread = 1.4826 * float(np.median(np.abs(finite - np.median(finite))))
    z = residual / (sigma if sigma is not None else (spread or 1.0))
    values = z[np.isfinite(z)]
    return Residual(
        z=z,
        mean=float(values.mean()),
        sd=float(values.std()),
        beyond_3=float(np.mean(np.abs(values) > 3)),
        autocorrelation=autocorrelation(z),
        modelled=sigma is not None,
    )


def autocorrelation(image: Array, reach: int = 7) -> Array:
    """Centred autocorrelation of a plane up to `reach` pixels, 1 in the middle.

    Zero-padded, so that opposite edges do not meet; each lag is divided by the number of pairs it has.

    Examples
    --------
    >>> stripes = np.tile([1.0, -1.0], (32, 16))
    >>> np.round(autocorrelation(stripes, 1)[1], 6).tolist()
    [-1.0, 1.0, -1.0]
    """
    reach = min(reach, min(image.shape) - 1)
    valid = np.isfinite(image)
    values = np.where(valid, image, 0.0)
    values = np.where(valid, values - values.sum() / max(valid.sum(), 1), 0.0)
    shape = tuple(side + reach for side in image.shape)
    lags = np.arange(-reach, reach + 1)
    sums = _correlate(values, shape)[np.ix_(lags, lags)]
    pairs = _correlate(valid.astype(float), shape)[np.ix_(lags, lags)]
    covariance = sums / np.maximum(pairs, 1)
    middle = covariance[reach, reach]
    return covariance / middle if middle > 0 else covariance


def radial_power(image: Array, pixel_nm: float) -> tuple[Array, Array]:
    """Power spectral density averaged over directions.

    Parameters
    ----------
    image : ndarray, shape (Y, X), counts
    pixel_nm : float

    Returns
    -------
    frequency : ndarray, shape (N,), cycles per micrometre
    density : ndarray, shape (N,), counts^2 micrometre^2
        Comparable between images of different sampling; white noise of variance v gives the constant v * pixel area.
    """
    plane = _finite(image)
    plane = plane - plane.mean()
    window = np.outer(np.hanning(plane.shape[0] + 2)[1:-1], np.hanning(plane.shape[1] + 2)[1:-1])
    pixel_um = pixel_nm / 1000
    power = np.abs(np.fft.rfft2(plane * window)) ** 2 * pixel_um**2 / np.sum(window**2)
    frequency = np.hypot(
        np.fft.fftfreq(plane.shape[0], pixel_um)[:, None], np.fft.rfftfreq(plane.shape[1], pixel_um)[None]
    )
    bins = max(min(plane.shape) // 2, 2)
    nyquist = 0.5 / pixel_um
    index = np.minimum((frequency / nyquist * bins).astype(int), bins)
    count = np.bincount(index.ravel(), minlength=bins + 1)[:bins]
    total = np.bincount(index.ravel(), power.ravel(), minlength=bins + 1)[:bins]
    centres = (np.arange(bins) + 0.5) * nyquist / bins
    keep = (count > 0) & (np.arange(bins) > 0)
    return centres[keep], total[keep] / count[keep]


def block_means(data: ReportData, side: int = 8) -> tuple[Array, Array]:
    """Mean of input and of output over the same blocks of `side` x `side` camera pixels."""
    side = min(side, *data.input.shape)
    coarse = _blocks(_finite(data.input), side)
    fine = _blocks(_finite(data.output), side * data.output_scale)
    return coarse.ravel(), fine.ravel()


def choose_crops(data: ReportData, lines: tuple[Line, ...] = ()) -> tuple[Crop, ...]:
    """Up to three square windows: the brightest structure, the finest detail, a dim region that still shows structure.

    The finest detail is where `lines` start, so that the crop and the profile speak of the same place.
    """
    output = _finite(data.output)
    scale = data.output_scale
    side = min(max(24, min(data.input.shape) // 5), 64, *data.input.shape) * scale
    local_mean = ndimage.uniform_filter(output, side, mode="reflect")
    level, top = np.percentile(output, [20, 99.8])
    occupied = ndimage.uniform_filter((output > level + 0.1 * (top - level)).astype(float), side, mode="reflect")
    free = _window_centres(output.shape, side)
    places: list[tuple[str, tuple[int, int]]] = []
    bright = _peak(np.where(free, ndimage.gaussian_filter(output, 2 * scale), -np.inf))
    places.append(("Brightest structure", bright))
    _exclude(free, bright, side)
    if lines:
        fine = _clamp(lines[0].centre, output.shape, side)
        places.append(("Finest detail", fine))
        _exclude(free, fine, side)
    if free.any():
        structured = free & (occupied >= np.percentile(occupied[free], 50))
        places.append(("Dim region", _peak(np.where(structured, -local_mean, -np.inf))))
    return tuple(_crop(label, centre, side, scale) for label, centre in places)


def choose_lines(data: ReportData) -> tuple[Line, ...]:
    """Cuts across the narrowest structure and, where there is one, across the closest pair that the output separates.

    Candidates are the strongest ridges of the output that rise above five stated sigma. Of these the narrowest by
    full width at half maximum wins; a pair must show a dip of at least 20 % between two peaks of which the lower has
    at least half of the other.
    """
    output = _finite(data.output)
    half = min(24, (min(output.shape) - 2) // 3)
    if half < 5:
        return ()
    narrowest: tuple[float, Line] | None = None
    closest: tuple[float, Line] | None = None
    for centre, direction in _ridges(data, output, half):
        line = Line("A", centre, direction, half)
        profile = sample_line(output, line)
        width = profile_fwhm(profile)
        if np.isfinite(width) and (narrowest is None or width < narrowest[0]):
            narrowest = (width, line)
        gap, shift, _ = separated_pair(profile)
        if np.isfinite(gap) and (closest is None or gap < closest[0]):
            (y, x), (dy, dx) = centre, direction
            closest = (gap, Line("B", (y + dy * shift, x + dx * shift), direction, half))
    return tuple(found[1] for found in (narrowest, closest) if found is not None)


def sample_line(image: Array, line: Line, *, per_output: float = 1.0) -> Array:
    """Intensities along `line`, the mean of three parallel cuts one output pixel apart, linear interpolation.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        On the output grid, or coarser.
    line : Line
    per_output : float
        Pixels of ``image`` per output pixel: 1 on the output grid, 1/scale on the camera grid.

    Returns
    -------
    ndarray, shape (2 * half + 1,)
        One value per output pixel along the line.
    """
    along = np.arange(-line.half, line.half + 1)[:, None]
    across = np.arange(_LINE_WIDTH)[None] - _LINE_WIDTH // 2
    (y, x), (dy, dx) = line.centre, line.direction
    points = np.stack([y + along * dy - across * dx, x + along * dx + across * dy])
    points = (points + 0.5) * per_output - 0.5
    return np.asarray(ndimage.map_coordinates(_finite(image), points, order=1, mode="nearest").mean(axis=1))


def profile_fwhm(profile: Array) -> float:
    """Full width at half maximum of the peak nearest the middle, in samples; NaN when a flank never falls to half.

    Half is taken between the peak and the lower of the minima beside it.

    Examples
    --------
    >>> x = np.arange(-20, 21)
    >>> round(profile_fwhm(np.exp(-0.5 * (x / 4.0) ** 2)) / 4.0, 2)
    2.36
    """
    middle = profile.size // 2
    reach = max(profile.size // 8, 1)
    top = middle - reach + int(np.argmax(profile[middle - reach : middle + reach + 1]))
    floor = min(profile[: top + 1].min(), profile[top:].min())
    half = (profile[top] + floor) / 2
    left, right = _crossing(profile[top::-1], half), _crossing(profile[top:], half)
    return left + right


def separated_pair(profile: Array) -> tuple[float, float, float]:
    """The closest two peaks of which one lies within two samples of the middle, or which lie around it.

    Returns
    -------
    distance, shift, dip : float
        Distance of the peaks and of their midpoint from the middle, in samples; how far the valley drops below the
        lower peak as a share of that peak's height over the lowest point. NaN without a pair whose dip is at least
        0.2 and whose lower peak has at least half the height of the other.

    Examples
    --------
    >>> x = np.arange(-20, 21)
    >>> two = np.exp(-0.5 * ((x - 5) / 2) ** 2) + np.exp(-0.5 * ((x + 5) / 2) ** 2)
    >>> round(separated_pair(two)[0], 1)
    10.0
    """
    middle = profile.size // 2
    base = float(profile.min())
    peaks, _ = signal.find_peaks(profile, prominence=0.15 * (float(profile.max()) - base))
    best = (float("nan"), 0.0, float("nan"))
    for first, second in pairwise(peaks):
        low, high = sorted((float(profile[first]) - base, float(profile[second]) - base))
        dip = 1 - (float(profile[first : second + 1].min()) - base) / low if low > 0 else 0.0
        near = min(abs(first - middle), abs(second - middle)) <= 2 or first < middle < second
        left, right = _vertex(profile, int(first)), _vertex(profile, int(second))
        if near and dip >= 0.2 and low >= 0.5 * high and not right - left >= best[0]:
            best = (right - left, (left + right) / 2 - middle, dip)
    return best


def _finite(image: Array) -> Array:
    values = np.asarray(image, dtype=float)
    valid = np.isfinite(values)
    if valid.all():
        return values
    return np.where(valid, values, np.median(values[valid]) if valid.any() else 0.0)


def _correlate(values: Array, shape: tuple[int, ...]) -> Array:
    return np.asarray(np.fft.irfft2(np.abs(np.fft.rfft2(values, shape)) ** 2, shape))


def _blocks(image: Array, side: int) -> Array:
    rows, columns = image.shape[0] // side, image.shape[1] // side
    trimmed = image[: rows * side, : columns * side]
    return np.asarray(trimmed.reshape(rows, side, columns, side).mean(axis=(1, 3)))


def _window_centres(shape: tuple[int, ...], side: int) -> Array:
    free = np.zeros(shape, dtype=bool)
    low = side // 2
    free[low : shape[0] - side + low + 1, low : shape[1] - side + low + 1] = True
    return free


def _peak(values: Array) -> tuple[int, int]:
    y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    return int(y), int(x)


def _exclude(free: Array, centre: tuple[int, int], side: int) -> None:
    y, x = centre
    free[max(y - side + 1, 0) : y + side, max(x - side + 1, 0) : x + side] = False


def _clamp(centre: tuple[float, float], shape: tuple[int, ...], side: int) -> tuple[int, int]:
    y, x = (
        int(min(max(round(c), side // 2), extent - side + side // 2)) for c, extent in zip(centre, shape, strict=True)
    )
    return y, x


def _crop(label: str, centre: tuple[int, int], side: int, scale: int) -> Crop:
    y, x = ((c - side // 2) // scale * scale for c in centre)
    return Crop(label, y, x, side, side)


def _ridges(data: ReportData, output: Array, half: int) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Strongest ridge points, each with the unit vector across the ridge."""
    yy, xx, xy = (ndimage.gaussian_filter(output, 1.5, order=order) for order in ((2, 0), (0, 2), (1, 1)))
    root = np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    strength = -((yy + xx) / 2 - root)
    height = ndimage.gaussian_filter(output, 1) - ndimage.minimum_filter(output, 15)
    sigma = _finite(data.uncertainty) if data.uncertainty is not None else np.zeros_like(output)
    floor = 0.25 * (np.percentile(output, 99.5) - np.percentile(output, 20))
    peaks = (strength == ndimage.maximum_filter(strength, 5)) & (strength > 0) & (height > np.maximum(5 * sigma, floor))
    peaks[:half], peaks[-half:], peaks[:, :half], peaks[:, -half:] = False, False, False, False
    ys, xs = np.nonzero(peaks)
    order = np.argsort(-strength[ys, xs], kind="stable")[:_MAX_CANDIDATES]
    found = []
    for y, x in zip(ys[order], xs[order], strict=True):
        angle = 0.5 * np.arctan2(2 * xy[y, x], yy[y, x] - xx[y, x])  # axis of the largest curvature, from y towards x
        direction = (float(-np.sin(angle)), float(np.cos(angle)))
        found.append(((float(y), float(x)), direction))
    return found


def _vertex(profile: Array, top: int) -> float:
    """Position of a maximum between samples, by a parabola through it and its neighbours."""
    before, here, after = (float(profile[top + step]) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    return top + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _crossing(flank: Array, level: float) -> float:
    below = np.nonzero(flank < level)[0]
    if below.size == 0:
        return float("nan")
    stop = int(below[0])
    return float(stop - 1 + (flank[stop - 1] - level) / (flank[stop - 1] - flank[stop]))
