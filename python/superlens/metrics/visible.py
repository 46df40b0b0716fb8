"""How fine an image visibly is: up to which frequency its power stands out of its noise.

In: counts. Out: a frequency. Beyond it an image may hold light, but no more than the noise hides even in the mean over a ring of its spectrum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from superlens.metrics.resolution import mean_spectrum

__all__ = ["visible_limit"]

_FLOOR = 0.375  # cycles per pixel from which on there is noise alone, if there is any such part
_SURE = 2.0  # standard errors
_EVEN = 0.03  # by how much white noise may seem to fall, for a camera that is not quite even
_SEEN = 0.02  # of the noise that power must exceed it by, whatever its error
_HIDDEN = 3  # rings without light, one after the other, after which there is no more
_LEAST = 64  # pixels a side


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
    so that it holds whatever the law of the noise is.
    """
    planes = np.asarray(planes, np.float64)
    if min(planes.shape[-2:]) < _LEAST or not np.isfinite(planes).all() or np.ptp(planes) == 0:
        return None
    frequency, power, coefficients = mean_spectrum(planes, 1000.0)
    outer = frequency >= _FLOOR
    inner = outer & (frequency < (_FLOOR + 0.5) / 2)
    beyond = outer & ~inner
    level, end = (float(np.average(power[part], weights=coefficients[part])) for part in (inner, beyond))
    error = float(np.sqrt(1 / coefficients[inner].sum() + 1 / coefficients[beyond].sum()))
    if end <= 0 or abs(level / end - 1) > _SURE * error + _EVEN:
        return None
    floor = float(np.average(power[outer], weights=coefficients[outer]))
    three = np.ones(3)
    around = np.convolve(coefficients, three, "same")
    smooth = np.convolve(power * coefficients, three, "same") / around
    hidden = smooth <= floor * (1 + _SEEN + _SURE / np.sqrt(around))
    runs = np.convolve(hidden, np.ones(_HIDDEN), "valid") == _HIDDEN
    first = int(np.argmax(runs)) if runs.any() else len(frequency)
    return None if first == len(frequency) else float(frequency[max(first - 1, 0)])
