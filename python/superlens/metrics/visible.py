"""How fine an image visibly is: up to which frequency its power stands out of its noise.

In: counts. Out: a frequency. Beyond it an image may hold light, but no more than the noise hides even in the mean over a ring of its spectrum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.metrics.resolution import mean_spectrum

__all__ = ["visible_limit"]

_FLOOR = 0.375  # cycles per pixel from which on there is noise alone, if there is any such part
_SURE, _SURE_OF_ONE = 2.0, 5.0  # standard errors, for the whole and for one of many parts
_EVEN = 0.03  # by how much white noise may seem to fall, for a camera that is not quite even
_SEEN = 0.02  # of the noise that power must exceed it by, whatever its error
_HIDDEN = 3  # rings without light, one after the other, after which there is no more
_LEAST = 64  # pixels a side, of the whole and of a part
_MOST = 128  # parts

Float64 = NDArray[np.float64]


def visible_limit(planes: NDArray[np.floating]) -> float | None:
    """The highest frequency at which planes show more than their noise.

    Parameters
    ----------
    planes : ndarray, shape (N, Y, X), counts
        Of one kind of specimen.

    Returns
    -------
    float or None
        Cycles per pixel. None where the planes are small, even or not finite, where light reaches the finest rings, and where the noise is not white, so
        that nothing tells it from light.

    Notes
    -----
    The noise is the power of the outermost quarter of the spectrum, if its two halves agree. It is taken from the image and not from a noise model,
    so that it holds whatever the law of the noise is. Few bright spots in a wide field vanish in the mean over all of it, so that parts of it are
    asked, too, with more certainty since there are many.
    """
    given: Float64 = np.asarray(planes, np.float64)
    if min(given.shape[-2:]) < _LEAST or not np.isfinite(given).all() or np.ptp(given) == 0:
        return None
    spectrum = mean_spectrum(given, 1000.0)
    if not _ends_in_white_noise(*spectrum):
        return None
    limit = _end_of_light(*spectrum, _SURE)
    for part in _parts(given):
        limit = max(limit, _end_of_light(*mean_spectrum(part[None], 1000.0), _SURE_OF_ONE))
    return limit if limit < _FLOOR else None


def _ends_in_white_noise(frequency: Float64, power: Float64, coefficients: Float64) -> bool:
    inner = (frequency >= _FLOOR) & (frequency < (_FLOOR + 0.5) / 2)
    beyond = frequency >= (_FLOOR + 0.5) / 2
    level, end = (float(np.average(power[part], weights=coefficients[part])) for part in (inner, beyond))
    error = float(np.sqrt(1 / coefficients[inner].sum() + 1 / coefficients[beyond].sum()))
    return end > 0 and abs(level / end - 1) <= _SURE * error + _EVEN


def _end_of_light(frequency: Float64, power: Float64, coefficients: Float64, sure: float) -> float:
    """The last ring above the noise, by so many standard errors, before several in a row that are not."""
    outer = frequency >= _FLOOR
    floor = float(np.average(power[outer], weights=coefficients[outer]))
    around = np.convolve(coefficients, np.ones(3), "same")
    smooth = np.convolve(power * coefficients, np.ones(3), "same") / around
    hidden = smooth <= floor * (1 + _SEEN + sure / np.sqrt(around))
    runs = np.convolve(hidden, np.ones(_HIDDEN), "valid") == _HIDDEN
    return float(frequency[max(int(np.argmax(runs)) - 1, 0)]) if runs.any() else 0.5


def _parts(planes: Float64) -> list[Float64]:
    """Those of the overlapping parts of some planes in which brightness varies most."""
    starts = [[*range(0, side - _LEAST, _LEAST * 3 // 4), side - _LEAST] for side in planes.shape[-2:]]
    smooth = ndimage.gaussian_filter(planes, (0, 1, 1))
    places = [(n, y, x) for n in range(len(planes)) for y in starts[0] for x in starts[1]]
    cut = [(n, slice(y, y + _LEAST), slice(x, x + _LEAST)) for n, y, x in places]
    varied = np.argsort([-smooth[place].std() for place in cut], kind="stable")[:_MOST]
    return [planes[cut[i]] for i in varied if np.ptp(planes[cut[i]]) > 0]
