"""How far the specimen moved while the movie was taken, from the localizations alone.

The movie is cut into segments of time, and the histogram of each is correlated with that of every other. From all pairs together
follows where each segment lies, by least squares that leave out pairs that contradict the rest. How sure that is, is asked of the data:
two halves of the field that share no molecule are evaluated on their own.

References
----------
Wang et al., Localization events-based sample drift correction for localization microscopy with redundant cross-correlation
algorithm, Opt. Express 22, 15982 (2014).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, interpolate, ndimage

from superlens.errors import SuperlensError
from superlens.smlm.density import histogram
from superlens.smlm.table import Localizations

__all__ = ["Drift", "correct_drift", "estimate_drift"]

Array = NDArray[np.float64]

_BIN_NM = 20.0
_SMOOTH = 1.0  # bins; each histogram is filtered by a Gaussian of this width before it is correlated
_LEAST = 400  # localizations in a segment, at least, on the average
_MOST_SEGMENTS = 20
_BLOCK_NM = 1000.0  # side of the squares that the two halves of the field are made of
_CLEAR = 5.0  # deviations by which the peak of a correlation must stand out
_SURE = 2.0  # times its own error that a drift must reach to be believed


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """The course of the specimen.

    Attributes
    ----------
    frames : ndarray, shape (F,)
        All frames of the movie, from 1.
    shift_nm : ndarray, shape (F, 2)
        Columns x and y: where the specimen lies in each frame, nm, relative to its mean place.
    segment_frames : ndarray, shape (K,)
        Middle of each segment of time; empty where there were too few localizations to tell.
    segment_nm : ndarray, shape (K, 2)
        What was measured there.
    uncertainty_nm : float
        Standard error of ``segment_nm``, one coordinate; infinite where nothing could be measured.
    found : bool
        Whether the drift is larger than twice its own error.
    note : str
        All this in words.
    """

    frames: NDArray[np.int64]
    shift_nm: Array
    segment_frames: Array
    segment_nm: Array
    uncertainty_nm: float
    found: bool
    note: str


def estimate_drift(table: Localizations, *, segments: int | None = None, reach_nm: float = 500.0) -> Drift:
    """Measure the drift of a movie.

    Parameters
    ----------
    table : Localizations
    segments : int, optional
        Parts to cut the movie into; by default as many as hold 400 localizations each, 20 at most.
    reach_nm : float
        Largest distance between two segments that is looked for.

    Returns
    -------
    Drift
        With ``found`` False, and no shift, for a movie with too few localizations or no drift above its error.

    Raises
    ------
    SuperlensError
        If fewer than 2 segments are asked for.
    """
    if segments is not None and segments < 2:
        raise SuperlensError(f"segments is {segments}; expected at least 2")
    number = segments or min(len(table) // _LEAST, _MOST_SEGMENTS)
    last = table.last_frame
    if number < 2 or last < number:
        return _none(last, f"No drift was corrected: {len(table)} localizations are too few to measure it.")
    edges = np.linspace(int(table["frame"].min()) - 1, last, number + 1)
    part = np.clip(np.searchsorted(edges, table["frame"], side="left") - 1, 0, number - 1)
    places = table.positions_nm - table.positions_nm.min(axis=0)
    whole = _positions(places, part, number, reach_nm)
    block = np.floor(places / _BLOCK_NM).astype(int).sum(axis=1) % 2
    halves = [_positions(places[block == i], part[block == i], number, reach_nm) for i in (0, 1)]
    if whole is None or halves[0] is None or halves[1] is None:
        return _none(
            last, "No drift was corrected: the parts of the movie share no structure by which it could be measured."
        )
    error = float(np.sqrt(np.mean((halves[0] - halves[1]) ** 2))) / 2
    size = float(np.sqrt(np.mean(whole**2)))
    if not size > _SURE * error:
        return _none(
            last,
            f"No drift was corrected: {size:.1f} nm is not above twice its own error of {error:.1f} nm.",
            error,
        )
    middles = 0.5 * (edges[:-1] + edges[1:] + 1)
    frames = np.arange(1, last + 1)
    course = _between(middles, whole, frames)
    span = np.ptp(course, axis=0)
    return Drift(
        frames,
        course,
        middles,
        whole,
        error,
        True,
        f"Corrected a drift of {span[0]:.0f} nm in x and {span[1]:.0f} nm in y, known to {error:.1f} nm.",
    )


def correct_drift(table: Localizations, drift: Drift) -> Localizations:
    """Take the drift off; the columns ``x_raw_nm`` and ``y_raw_nm`` keep what was measured.

    Parameters
    ----------
    table : Localizations
    drift : Drift

    Returns
    -------
    Localizations
        Unchanged where no drift was found.
    """
    if not drift.found:
        return table
    shift = drift.shift_nm[np.clip(table["frame"], 1, len(drift.frames)) - 1]
    raw = table.positions_nm
    return table.with_columns(
        x_nm=raw[:, 0] - shift[:, 0], y_nm=raw[:, 1] - shift[:, 1], x_raw_nm=raw[:, 0], y_raw_nm=raw[:, 1]
    )


def _none(last: int, note: str, error: float = float("inf")) -> Drift:
    frames = np.arange(1, last + 1)
    return Drift(frames, np.zeros((last, 2)), np.empty(0), np.empty((0, 2)), error, False, note)


def _positions(places: Array, part: NDArray[np.int64], number: int, reach_nm: float) -> Array | None:
    """Where each segment lies, shape (K, 2), columns x and y, nm, mean 0; None where too few pairs have anything in common."""
    reach = int(np.ceil(reach_nm / _BIN_NM)) + 2
    shape = tuple(int(n) + 1 for n in np.floor(places.max(axis=0, initial=0.0)[::-1] / _BIN_NM))
    padded = [fft.next_fast_len(n + reach, real=True) for n in shape]
    spectra = []
    for i in range(number):
        counts = histogram(places[part == i], (shape[0], shape[1]), _BIN_NM)
        spectra.append(fft.rfft2(ndimage.gaussian_filter(counts - counts.mean(), _SMOOTH, mode="constant"), padded))
    pairs = list(itertools.combinations(range(number), 2))
    found = [_apart(spectra[i], spectra[j], padded, reach) for i, j in pairs]
    clear = [(pair, shift) for pair, shift in zip(pairs, found, strict=True) if shift is not None]
    if not clear or np.linalg.matrix_rank(_differences([pair for pair, _ in clear], number)) < number - 1:
        return None
    return _solved([pair for pair, _ in clear], np.array([shift for _, shift in clear]) * _BIN_NM, number)


def _apart(first: Array, second: Array, shape: list[int], reach: int) -> tuple[float, float] | None:
    """Shift in x and y, bins, that takes the first histogram to the second: the peak of their correlation.

    None where the peak does not stand out: molecules anywhere correlate at random, and the largest of some hundred random values, which
    the region holds, passes five of their deviations once in ten thousand times.
    """
    full = fft.irfft2(np.conj(first) * second, shape)
    near = np.roll(full, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    inner = near[1:-1, 1:-1]
    row, column = (int(k) + 1 for k in np.unravel_index(int(np.argmax(inner)), inner.shape))
    middle = float(np.median(near))
    if not near[row, column] - middle > _CLEAR * 1.4826 * float(np.median(np.abs(near - middle))):
        return None
    y = row + _vertex(*near[row - 1 : row + 2, column])
    x = column + _vertex(*near[row, column - 1 : column + 2])
    return x - reach, y - reach


def _vertex(before: float, at: float, after: float) -> float:
    curved = before - 2 * at + after
    return 0.0 if curved >= 0 else float(np.clip(0.5 * (before - after) / curved, -0.5, 0.5))


def _solved(pairs: list[tuple[int, int]], apart: Array, number: int) -> Array:
    """Places of the segments by least squares over the pairs; pairs far off the rest are left out, one after another."""
    matrix = _differences(pairs, number)
    kept = np.ones(len(pairs), bool)
    while True:
        places = np.linalg.lstsq(matrix[kept], apart[kept], rcond=None)[0]
        off = np.hypot(*(matrix @ places - apart).T)
        usual = max(1.4826 * float(np.median(off[kept])), 0.25 * _BIN_NM)
        worst = int(np.argmax(np.where(kept, off, -1.0)))
        fewer = kept.copy()
        fewer[worst] = False
        if off[worst] <= 4 * usual or np.linalg.matrix_rank(matrix[fewer]) < number - 1:
            return np.asarray(places - places.mean(axis=0))
        kept = fewer


def _differences(pairs: list[tuple[int, int]], number: int) -> Array:
    """The matrix that takes places of segments to how far the two of each pair lie apart."""
    matrix = np.zeros((len(pairs), number))
    for row, (i, j) in enumerate(pairs):
        matrix[row, i], matrix[row, j] = -1.0, 1.0
    return matrix


def _between(middles: Array, places: Array, frames: NDArray[np.int64]) -> Array:
    """A monotone cubic course through the segments, straight beyond the outer ones."""
    if len(middles) == 2:
        slope = (places[1] - places[0]) / (middles[1] - middles[0])
        return np.asarray(places[0] + (frames[:, None] - middles[0]) * slope)
    inner = interpolate.PchipInterpolator(middles, places, axis=0)
    course = inner(np.clip(frames, middles[0], middles[-1]))
    for end, other, beyond in ((0, 1, frames < middles[0]), (-1, -2, frames > middles[-1])):
        slope = (places[end] - places[other]) / (middles[end] - middles[other])
        course[beyond] = places[end] + (frames[beyond, None] - middles[end]) * slope
    return np.asarray(course - course.mean(axis=0))
