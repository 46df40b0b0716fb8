"""Cleaning recorded points: background, centre, rim, and the mean of many beads.

Arrays come in as recorded, (Y, X) or (Z, Y, X) in counts of any scale, and go out non-negative, with odd sides
and their centroid on the middle pixel. What cannot be the image of a point is refused in words. Units and
normalisation are left to `superlens.optics.psf`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.optics.sampling import centred_crop, fwhm_px, rebin, sample

__all__ = ["average_beads", "clean", "sampling", "spatial", "type_ceiling"]

Floats = NDArray[np.float64]

_SIGNIFICANT = 6.0  # peak over background, in standard deviations of the noise, of a bead
_SECOND_BEAD = 0.3  # height of another peak, relative to the brightest, that makes a picture of several beads
_COMPACT = 0.4  # share of the light within three FWHM that a point has at least in focus
_WINDOWS_FWHM = (3.0, 2.5, 2.0)  # half sides of the window around a bead, from wide to narrow
_REACH_FWHM = 7.2  # half side of the result at most: six Airy radii
_RIM = 3.0  # standard errors above zero at which the radial mean counts as signal


def clean(data: Floats, *, saturation: float | None = None) -> Floats:
    """Turn the recorded image of one point into a centred, background-free one.

    Parameters
    ----------
    data : ndarray, shape (Y, X) or (Z, Y, X), float64, any unit
        The record.
    saturation : float, optional
        Count at which the camera is full.

    Returns
    -------
    ndarray, odd sides
        Not negative, centroid on the middle pixel.

    Raises
    ------
    SuperlensError
        If it is flat, holds several points, fills its window, or touches the border.

    Warns
    -----
    SuperlensWarning
        If the point looks saturated.
    """
    if min(data.shape[-2:]) < 5:
        raise SuperlensError(f"the PSF image is {data.shape}; expected at least 5 pixels along y and x.")
    background, noise = _background(data)
    signal = data - background
    peak = _peak(signal)
    _require_point(signal, peak, noise)
    _require_single(signal, peak, noise)
    if np.isfinite(_ceiling(data, saturation)):
        warnings.warn(
            "the PSF image looks saturated: many pixels share its maximum, so the PSF comes out too wide. "
            "Record the bead again with a shorter exposure.",
            SuperlensWarning,
            stacklevel=3,
        )
    centred = _centred(*_near(signal, peak))
    return np.maximum(_without_rim(centred, noise), 0.0)


def average_beads(data: Floats, *, saturation: float | None) -> tuple[Floats, int, int]:
    """Mean of the isolated beads of an image or stack.

    Parameters
    ----------
    data : ndarray, shape (Y, X) or (Z, Y, X), float64, counts
        The record.
    saturation : float or None
        Count at which the camera is full; None when not known. A plateau at the record's maximum counts too.

    Returns
    -------
    mean : ndarray, odd sides
        Not negative, centroid on the middle pixel.
    used, found : int
        Numbers of beads.

    Raises
    ------
    SuperlensError
        If no isolated bead is left.
    """
    background, noise = _background(data)
    signal = data - background
    spots, width = _find_spots(signal, noise)
    beads = _isolated_beads(data, signal, spots, width, _ceiling(data, saturation))
    if not beads:
        raise SuperlensError(
            f"none of the {len(spots)} beads found is isolated, unsaturated and away from the border "
            f"(each is {width:.1f} pixels wide and needs a free square of {4 * width:.0f}). "
            "Record sparser beads, or crop one and use PSF.from_image."
        )
    aligned = [_centred(bead, _peak(bead)) for bead in beads]
    sides = tuple(min(bead.shape[axis] for bead in aligned) for axis in range(data.ndim))
    # Adding up the light of all beads weights each by its photons, the best weights under shot noise.
    mean = np.sum([centred_crop(bead, sides) for bead in aligned], axis=0) / len(aligned)
    rim = noise / np.sqrt(len(aligned))
    return np.maximum(_without_rim(_centred(mean, _peak(mean)), rim), 0.0), len(aligned), len(spots)


def spatial(image: Image) -> Floats:
    """Take the YX or ZYX array out of an image whose other axes have length 1."""
    sizes = dict(zip(image.axes, image.data.shape, strict=True))
    extra = [axis for axis in "TC" if sizes.get(axis, 1) > 1]
    if extra:
        raise SuperlensError(f"the image has {sizes[extra[0]]} along {extra[0]}; select one of them for the PSF.")
    keep = [axis for axis in image.axes if axis in "YX" or (axis == "Z" and sizes["Z"] > 1)]
    data = np.asarray(image.data, dtype=np.float64).reshape([sizes[axis] for axis in keep])
    if not np.all(np.isfinite(data)):
        raise SuperlensError("the PSF image has values that are not finite; expected the image of a point.")
    return data


def sampling(image: Image, ndim: int) -> tuple[float, float | None]:
    """Pixel size, and in 3D the plane distance, in nm; refused when missing."""
    if image.pixel_nm is None:
        raise SuperlensError("the PSF image carries no pixel size; state its pixel_nm.")
    if ndim == 3 and image.z_step_nm is None:
        raise SuperlensError("the PSF stack carries no distance between planes; state its z_step_nm.")
    return image.pixel_nm, image.z_step_nm if ndim == 3 else None


def type_ceiling(data: NDArray[Any]) -> float | None:
    """Highest value that an integer type can hold; None for floats."""
    if np.issubdtype(data.dtype, np.integer):
        return float(np.iinfo(data.dtype).max)
    return None


def _background(data: Floats) -> tuple[float, float]:
    """Level of the lateral border of all planes, and the noise of its pixels."""
    rim = max(1, min(data.shape[-2:]) // 16)
    rows = (data[..., :rim, :], data[..., -rim:, :])
    columns = (data[..., rim:-rim, :rim], data[..., rim:-rim, -rim:])
    border = np.concatenate([part.ravel() for part in rows + columns])
    middle = float(np.median(border))
    spread = 1.4826 * float(np.median(np.abs(border - middle)))
    # Counts are whole numbers: the mean of the values near the median knows the level better than the median.
    level = float(border[np.abs(border - middle) <= 3.0 * spread].mean())
    # Differences of neighbours see the noise and not a slope of the background.
    steps = [np.diff(part, axis=-1).ravel() for part in rows] + [np.diff(part, axis=-2).ravel() for part in columns]
    noise = 1.4826 * float(np.median(np.abs(np.concatenate(steps)))) / np.sqrt(2.0)
    return level, noise


def _peak(signal: Floats) -> tuple[int, ...]:
    """Brightest place after light smoothing, which a hot pixel cannot fake."""
    smooth = ndimage.gaussian_filter(signal, [1.0 if side >= 5 else 0.0 for side in signal.shape])
    return tuple(int(index) for index in np.unravel_index(int(np.argmax(smooth)), signal.shape))


def _require_point(signal: Floats, peak: tuple[int, ...], noise: float) -> None:
    height = signal[peak]
    if height <= _SIGNIFICANT * noise or height <= 1e-9 * max(1.0, float(np.abs(signal).max())):
        raise SuperlensError(
            f"the PSF image is flat: its peak is {height:.4g} over a background with noise {noise:.4g}. "
            "Expected the image of one bead, well above the background."
        )
    plane = signal[peak[0]] if signal.ndim == 3 else signal
    width = _spot_width(plane, peak[-2:])
    side = min(plane.shape)
    if not width < side / 2.0:
        raise SuperlensError(
            f"the PSF image shows no compact point: its brightest spot is {width:.0f} of {side} pixels wide. "
            "Expected the image of one bead with dark around it."
        )
    share = _share_near(plane, peak[-2:], max(3.0 * width, 3.0))
    if share < _COMPACT:
        raise SuperlensError(
            f"the PSF image is no point: only {100 * share:.0f} % of its light lies around its brightest spot. "
            "Expected the image of one bead; for several beads use PSF.from_beads."
        )


def _share_near(plane: Floats, peak: tuple[int, ...], radius: float) -> float:
    """Share of the light around the peak; elsewhere only light well above the pixel noise counts."""
    y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
    near = np.hypot(y - peak[0], x - peak[1]) <= radius
    noise = float(np.median(np.abs(np.diff(plane, axis=1)))) * 1.4826 / np.sqrt(2.0)
    far = float(np.maximum(ndimage.gaussian_filter(plane, 1.0) - 2.0 * noise, 0.0)[~near].sum())
    light = float(plane[near].sum())
    return light / (light + far) if light > 0 else 0.0


def _require_single(signal: Floats, peak: tuple[int, ...], noise: float) -> None:
    plane = signal.max(axis=0) if signal.ndim == 3 else signal
    width = _spot_width(signal[peak[0]] if signal.ndim == 3 else signal, peak[-2:])
    smooth = ndimage.gaussian_filter(plane, max(1.0, width / 4.0))
    floor = float(np.median(smooth))
    tall = floor + max(_SECOND_BEAD * (smooth[peak[-2:]] - floor), _SIGNIFICANT * noise)
    others = [spot for spot in _maxima(smooth, tall, 2.0 * width) if _distance(spot, peak[-2:]) > 2.0 * width]
    if others:
        raise SuperlensError(
            f"the PSF image shows {len(others) + 1} separate points; use PSF.from_beads, or crop it to one bead."
        )


def _spot_width(plane: Floats, peak: tuple[int, ...]) -> float:
    """FWHM of a spot in pixels from the lines through it, noise averaged over three lines."""
    y, x = peak
    rows = plane[max(0, y - 1) : y + 2].mean(axis=0)
    columns = plane[:, max(0, x - 1) : x + 2].mean(axis=1)
    widths = [fwhm_px(_around(rows, x), integrated=True), fwhm_px(_around(columns, y), integrated=True)]
    finite = [width for width in widths if np.isfinite(width)]
    return float(max(finite)) if finite else float(max(plane.shape))


def _around(line: Floats, middle: int) -> Floats:
    reach = max(middle, len(line) - 1 - middle)
    return np.pad(line, (reach - middle, reach - (len(line) - 1 - middle)))


def _maxima(smooth: Floats, floor: float, spacing: float) -> list[tuple[int, ...]]:
    """Local maxima above a floor and at least `spacing` apart, brightest first."""
    size = 2 * max(1, int(spacing / 2.0)) + 1
    top = (smooth == ndimage.maximum_filter(smooth, size=size)) & (smooth > floor)
    places = [tuple(int(i) for i in place) for place in np.argwhere(top)]
    return sorted(places, key=lambda place: -float(smooth[place]))


def _distance(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    return float(np.hypot(a[-2] - b[-2], a[-1] - b[-1]))


def _near(signal: Floats, peak: tuple[int, ...]) -> tuple[Floats, tuple[int, ...]]:
    """Cut to what the result can reach, all planes, and the peak's place in it."""
    width = _spot_width(signal[peak[0]] if signal.ndim == 3 else signal, peak[-2:])
    reach = int(np.ceil(_REACH_FWHM * width)) + 3
    starts = [max(0, place - reach) for place in peak[-2:]]
    (top, left), (y, x) = starts, peak[-2:]
    return signal[..., top : y + reach + 1, left : x + reach + 1], (*peak[:-2], y - top, x - left)


def _centred(signal: Floats, peak: tuple[int, ...]) -> Floats:
    """Shift the centroid around the peak to the middle of an odd box as large as the data allow."""
    place = _centroid(signal, peak)
    sides = []
    for position, length in zip(place, signal.shape, strict=True):
        room = min(position, length - 1 - position)
        sides.append(2 * max(0, int(np.floor(room + 1e-6))) + 1)
    width = _spot_width(signal[peak[0]] if signal.ndim == 3 else signal, peak[-2:])
    if min(sides[-2:]) < 2.0 * width or (signal.ndim == 3 and sides[0] < 3 <= signal.shape[0]):
        where = ", ".join(f"{position:.0f} of {n}" for position, n in zip(place, signal.shape, strict=True))
        raise SuperlensError(
            f"the bead lies at the border of the PSF image ({where}); record it again, or crop it so that it lies inside."
        )
    result = signal
    for axis, (position, side) in enumerate(zip(place, sides, strict=True)):
        positions = np.arange(side, dtype=np.float64) + (position - side // 2)
        axial = signal.ndim == 3 and axis == 0
        result = sample(result, axis, positions) if axial else rebin(result, axis, positions, 1.0)
    return result


def _centroid(signal: Floats, peak: tuple[int, ...]) -> tuple[float, ...]:
    """Centroid of the part above a third of the peak's height, which rings and background do not pull."""
    smooth = ndimage.gaussian_filter(signal, [1.0 if side >= 5 else 0.0 for side in signal.shape])
    lines = [_line_through(smooth, peak, axis) for axis in range(signal.ndim)]
    reach = [3 * _half_extent(line, place) + 1 for line, place in zip(lines, peak, strict=True)]
    starts = [max(0, place - far) for place, far in zip(peak, reach, strict=True)]
    window = smooth[tuple(slice(s, place + far + 1) for s, place, far in zip(starts, peak, reach, strict=True))]
    weights = np.maximum(window - 0.3 * smooth[peak], 0.0)
    blobs, _ = ndimage.label(weights > 0)
    weights = weights * (blobs == blobs[tuple(p - s for p, s in zip(peak, starts, strict=True))])
    return tuple(float(start + c) for start, c in zip(starts, ndimage.center_of_mass(weights), strict=True))


def _line_through(data: Floats, place: tuple[int, ...], axis: int) -> Floats:
    index: list[int | slice] = list(place)
    index[axis] = slice(None)
    return data[tuple(index)]


def _half_extent(line: Floats, place: int) -> int:
    above = line > line[place] / 2.0
    first = last = place
    while first > 0 and above[first - 1]:
        first -= 1
    while last < len(line) - 1 and above[last + 1]:
        last += 1
    return max(1, (last - first + 1) // 2)


def _without_rim(centred: Floats, noise: float) -> Floats:
    """Cut the rim where the mean over a ring is lost in the noise, so that clipping adds no light there."""
    middle = centred.shape[0] // 2
    width = _spot_width(centred[middle] if centred.ndim == 3 else centred, tuple(n // 2 for n in centred.shape[-2:]))
    reach = int(np.ceil(_REACH_FWHM * width))
    centred = centred_crop(centred, (*centred.shape[:-2], *(min(2 * reach + 1, n) for n in centred.shape[-2:])))
    if noise <= 0:
        return centred
    plane = centred.sum(axis=0) if centred.ndim == 3 else centred
    noise_plane = noise * np.sqrt(centred.shape[0]) if centred.ndim == 3 else noise
    y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
    ring = np.hypot(y - plane.shape[0] // 2, x - plane.shape[1] // 2).astype(int)
    counts = np.bincount(ring.ravel())
    means = np.bincount(ring.ravel(), plane.ravel()) / counts
    lost = np.nonzero(means < _RIM * noise_plane / np.sqrt(counts))[0]
    reach = int(lost[0]) if len(lost) else max(plane.shape)
    sides = [min(2 * max(1, reach) + 1, side) for side in plane.shape]
    return centred_crop(centred, (*centred.shape[:-2], *sides))


def _find_spots(signal: Floats, noise: float) -> tuple[list[tuple[int, ...]], float]:
    """All spots, and the FWHM of one in pixels."""
    plane = signal.max(axis=0) if signal.ndim == 3 else signal
    smooth = ndimage.gaussian_filter(plane, 1.0)
    floor, spread = float(np.median(smooth)), 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
    height = float(smooth.max()) - floor
    if height <= _SIGNIFICANT * max(spread, noise / 3.5):
        raise SuperlensError(
            f"no bead found: the highest spot is {height:.4g} over a background with noise {noise:.4g}. "
            "Record brighter beads."
        )
    tall = floor + max(_SIGNIFICANT * spread, 0.1 * height)
    places = _maxima(smooth, tall, 3.0)
    # Touching and saturated beads look wider than they are: trust the narrower ones, less the smoothing above.
    seen = float(np.quantile([_spot_width(smooth - floor, place) for place in places], 0.3))
    width = float(np.sqrt(max(seen**2 - 8.0 * np.log(2.0), 4.0)))
    places = _maxima(smooth, tall, max(3.0, width))
    if signal.ndim == 2:
        return places, width
    soft = ndimage.gaussian_filter(signal, (1.0 if signal.shape[0] >= 5 else 0.0, 1.0, 1.0))
    return [(int(np.argmax(soft[:, y, x])), y, x) for y, x in places], width


def _isolated_beads(
    data: Floats, signal: Floats, spots: list[tuple[int, ...]], width: float, ceiling: float
) -> list[Floats]:
    """Windows around the beads that are alone, whole and alike: the widest that keep half of what the narrowest do."""
    choices = []
    for reach in _WINDOWS_FWHM:
        half = max(3, int(np.ceil(reach * width)))
        alone = [spot for spot in spots if _isolated(spot, spots, half) and _inside(spot, data.shape, half)]
        whole = [spot for spot in alone if not np.any(_window(data, spot, half) >= ceiling)]
        choices.append(_alike([_window(signal, spot, half) for spot in whole]))
    most = max(len(beads) for beads in choices)
    return next(beads for beads in choices if 2 * len(beads) >= most)


def _isolated(spot: tuple[int, ...], spots: list[tuple[int, ...]], half: int) -> bool:
    return all(other is spot or _distance(spot, other) > 1.5 * half for other in spots)


def _inside(spot: tuple[int, ...], shape: tuple[int, ...], half: int) -> bool:
    lateral = all(half < place < side - 1 - half for place, side in zip(spot[-2:], shape[-2:], strict=True))
    axial = len(spot) == 2 or shape[0] < 5 or shape[0] // 4 <= spot[0] <= shape[0] - 1 - shape[0] // 4
    return lateral and axial


def _ceiling(data: Floats, saturation: float | None) -> float:
    """Level from which pixels are full: the type's top, or a maximum that too many pixels share exactly."""
    top = float(data.max())
    # A symmetric picture of even sides has its maximum in 2^n pixels, and a scaled one at the type's top in one.
    allowed = 1 if saturation is not None and top >= saturation else 2**data.ndim
    return top if np.count_nonzero(data == top) > allowed else float("inf")


def _window(data: Floats, spot: tuple[int, ...], half: int) -> Floats:
    y, x = spot[-2:]
    # One more pixel on each side lets the sub-pixel shift keep the whole window.
    return data[..., y - half - 1 : y + half + 2, x - half - 1 : x + half + 2]


def _alike(beads: list[Floats]) -> list[Floats]:
    """Leave out clusters: beads much wider or much brighter than the median."""
    if len(beads) < 3:
        return beads
    planes = [bead.max(axis=0) if bead.ndim == 3 else bead for bead in beads]
    widths = np.asarray([_spot_width(plane, (plane.shape[0] // 2, plane.shape[1] // 2)) for plane in planes])
    lights = np.asarray([plane.sum() for plane in planes])
    keep = (widths < 1.3 * np.median(widths)) & (widths > 0.7 * np.median(widths)) & (lights < 3.0 * np.median(lights))
    return [bead for bead, good in zip(beads, keep, strict=True) if good]
