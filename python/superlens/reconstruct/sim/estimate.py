"""The illumination pattern from the raw frames: `estimate_pattern`.

Brightness of the frames, carriers, their modulation and phases, and the cutoff and damping of the transfer function at which the bands
agree best. Nothing is replaced by a usual value: what cannot be measured shows in its error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Order, Pattern
from superlens.reconstruct.sim.bands import Bands, Floats
from superlens.reconstruct.sim.refine import Refined, coherence_by_transfer, refine
from superlens.reconstruct.sim.search import Found, search

__all__ = ["Estimate", "estimate_pattern", "measure_pattern", "noise_of", "with_noise_inside"]

_FIRST_DAMPING = 0.5
_LEAST_DAMPING = 0.1
_WRONG_CUTOFF = 0.08  # of the stated cutoff, at most
_MORE_NOISE = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A pattern, and what speaks for it.

    Attributes
    ----------
    pattern : Pattern
    detection : Detection
        With the cutoff and the damping that were found.
    cutoff_ratio : float
        The cutoff over that of the stated NA and wavelength.
    found : Found or None
        Of the search; None where the wave vectors were given.
    coherence : ndarray, shape (orders,)
        Of each band with order 0 where they overlap, 0 to 1.
    frequency_error : ndarray, shape (orders,)
        Standard error of each wave vector, frequency bins.
    phase_error : ndarray, shape (orders,)
        Radians.
    noise : float
        Standard deviation of the noise of a raw frame, counts.
    """

    pattern: Pattern
    detection: Detection
    found: Found | None
    coherence: Floats
    frequency_error: Floats
    phase_error: Floats
    noise: float
    cutoff_ratio: float = 1.0


def estimate_pattern(
    frames: NDArray[Any],
    arrangement: Arrangement,
    detection: Detection,
    *,
    damping: float | None = None,
    found: Found | None = None,
    workers: int = 1,
) -> Estimate:
    """Measure the pattern of raw frames.

    Parameters
    ----------
    frames : ndarray, shape (frames, Y, X), counts
    arrangement : Arrangement
        Of as many frames, in their order.
    detection : Detection
        Of the ideal objective.
    damping : float, optional
        Of the transfer function; by default it is measured.
    found : Found, optional
        Of an earlier search.
    workers : int
        Threads of the Fourier transforms.

    Returns
    -------
    Estimate
        Of carriers that need not be real: see `Found.accepted`.
    """
    first = detection.damped(_FIRST_DAMPING if damping is None else damping)
    bands = Bands.of(frames, first, workers=workers)
    if found is None:
        found = search(bands, arrangement, workers=workers)
    made = [
        refine(bands, arrangement, b, found.frequencies[b], significance=float(found.significance[b]))
        for b in range(arrangement.orders)
    ]
    made = _tied(bands, arrangement, made)
    return _completed(bands, arrangement, made, found, damping)


def measure_pattern(
    frames: NDArray[Any], pattern: Pattern, detection: Detection, *, damping: float | None = None, workers: int = 1
) -> Estimate:
    """Measure modulation, phases and brightness of frames whose wave vectors and phase steps are known.

    Parameters
    ----------
    frames : ndarray, shape (frames, Y, X), counts
    pattern : Pattern
        Of a brighter recording.
    detection : Detection
        Of the ideal objective.
    damping : float, optional
        Of the transfer function; by default it is measured.
    workers : int
    """
    bands = Bands.of(frames, detection.damped(_FIRST_DAMPING if damping is None else damping), workers=workers)
    table = pattern.arrangement
    made = [refine(bands, table, b, order.frequency, fixed=True) for b, order in enumerate(pattern.orders)]
    return _completed(bands, table, made, None, damping)


def with_noise_inside(bands: Bands, made: Sequence[Refined]) -> Bands:
    """Bands with the noise inside the cutoff; interpolated or filtered frames have more of it there than beyond."""
    excess = min(one.excess for one in made)
    return replace(bands, noise=bands.noise * excess) if excess > _MORE_NOISE else bands


def noise_of(bands: Bands) -> float:
    """Standard deviation of the noise of a frame, counts."""
    return math.sqrt(bands.noise / (bands.shape[0] * bands.shape[1]))


def _completed(
    bands: Bands,
    arrangement: Arrangement,
    made: list[Refined],
    found: Found | None,
    damping: float | None,
) -> Estimate:
    """Noise and damping, and all that depends on them once more."""
    bands = with_noise_inside(bands, made)
    stated = bands.detection.cutoff
    if damping is None:
        bands = replace(bands, detection=_fitted(bands, arrangement, [one.order for one in made]))
    made = [
        refine(bands, arrangement, b, one.order.frequency, significance=one.order.significance, fixed=True)
        for b, one in enumerate(made)
    ]
    pattern = Pattern(tuple(one.order for one in made), arrangement, bands.brightness)
    return Estimate(
        pattern,
        bands.detection,
        found,
        np.array([one.coherence for one in made]),
        np.array([one.frequency_error for one in made]),
        np.array([one.phase_error for one in made]),
        noise_of(bands),
        bands.detection.cutoff / stated,
    )


def _tied(bands: Bands, arrangement: Arrangement, made: Sequence[Refined]) -> list[Refined]:
    """Give the harmonics of an angle one wave vector, the mean by their errors."""
    result = list(made)
    for angle in dict.fromkeys(arrangement.angles):
        members = [b for b, a in enumerate(arrangement.angles) if a == angle]
        if len(members) < 2:
            continue
        multiples = np.array([arrangement.multiples[b] for b in members])
        errors = np.array([max(made[b].frequency_error, 1e-5) for b in members]) / multiples
        each = np.array([made[b].order.frequency for b in members]) / multiples[:, None]
        middle = np.average(each, axis=0, weights=1 / errors**2)
        for b, multiple in zip(members, multiples, strict=True):
            order = made[b].order
            common = refine(
                bands, arrangement, b, tuple(multiple * middle), significance=order.significance, fixed=True
            )
            result[b] = common
    return result


def _fitted(bands: Bands, arrangement: Arrangement, orders: Sequence[Order]) -> Detection:
    """The transfer function whose cutoff and damping make the bands agree best.

    Where two bands overlap, the objective has passed each differently, so they agree only if both are right. The NA of an objective is seldom
    known to a few percent, and a filter passes more than one wavelength.
    """
    stated = bands.detection
    weights = np.array([order.modulation**2 for order in orders])

    def of(point: Floats) -> Detection:
        return stated.with_cutoff(stated.cutoff * math.exp(point[0])).damped(math.exp(point[1]))

    widest, least = math.log(1 + _WRONG_CUTOFF), math.log(_LEAST_DAMPING)
    point = np.array([0.0, math.log(stated.damping)])
    for _ in range(2):
        coherence = coherence_by_transfer(bands, arrangement, orders, of(point))

        def disagreement(at: Floats, coherence: Callable[[Detection], Floats] = coherence) -> float:
            return -float(np.average(np.minimum(coherence(of(at)), 2.0), weights=weights))

        begin = np.array([point, point + [0.02, 0.0], point + [0.0, 0.3 if point[1] < -0.3 else -0.3]])
        point = minimize(
            disagreement,
            point,
            method="Nelder-Mead",
            bounds=[(-widest, widest), (least, 0.0)],
            options={"initial_simplex": begin, "xatol": 3e-3, "fatol": 1e-6, "maxfev": 60},
        ).x
    return of(point)
