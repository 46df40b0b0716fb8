"""Where the carriers are, to a fraction of a frequency bin, and whether there are any: `search`.

Order 0, deconvolved, is held against each other order at all shifts: the correlation has a peak at the wave vector and is noise elsewhere.
The height of the peak over the ring of possible wave vectors, in robust standard deviations, is its significance z. Data without a pattern
reach 7, so a carrier must reach 8, or the carriers of all angles together what is as unlikely as that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import maximum_filter

from superlens.optics.patterns import Arrangement
from superlens.reconstruct.sim.bands import Bands, Complex, Floats

__all__ = ["LIMIT", "Found", "search"]

LIMIT = 8.0
"""Significance below which a carrier is not taken for one."""

LEAST_PURITY = 1.4
"""How far each carrier must stand above the others in its band."""

_RING = (0.5, 1.2)  # of the cutoff, for the highest order
_CANDIDATES = 24
_SAME_LENGTH = 0.03
_SAME_ANGLE = math.radians(3.5)
_MEDIAN = math.sqrt(2 * math.log(2))  # of the modulus of a complex normal number
_ENOUGH = 21.0  # of the evidence of a carrier, that of one at the limit
_MAD = 1.4826 * 0.4485  # its robust standard deviation


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    frequencies : ndarray, shape (orders, 2)
        Cycles per pixel, to a quarter of a frequency bin.
    significance : ndarray, shape (orders,)
        z of each order.
    joint : float
        The significance of all orders together, as the z of a single one that is as unlikely.
    purity : float
        Height of each carrier over that of the other carriers in its band, the least; where frames are taken in a wrong order, each band holds
        several carriers.
    alone : ndarray of bool, shape (orders,)
        Whether the order was found by itself; otherwise with the help of the others.
    """

    frequencies: Floats
    significance: Floats
    joint: float
    purity: float
    alone: NDArray[np.bool_]

    @property
    def accepted(self) -> bool:
        """Whether the carriers may be believed."""
        return bool(self.joint >= LIMIT and self.purity >= LEAST_PURITY)

    @property
    def score(self) -> float:
        """By which arrangements of frames are compared."""
        return self.joint * (1 - 1 / max(self.purity, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """Evidence for a carrier at each wave vector of the ring, for one angle.

    `height` is the modulus of the correlation in units of its median, `chance` minus the logarithm of the probability of such a height.
    """

    ky: Floats
    kx: Floats
    heights: tuple[Floats, ...]  # of each harmonic
    chance: Floats
    directions: Floats
    lengths: Floats


def search(bands: Bands, arrangement: Arrangement, ring: tuple[float, float] = _RING, workers: int = 1) -> Found:
    """Find the carriers of all orders.

    Parameters
    ----------
    bands : Bands
    arrangement : Arrangement
    ring : (float, float)
        Lengths of the highest order's wave vector, as parts of the cutoff.
    workers : int
        Threads of the Fourier transforms.

    Returns
    -------
    Found
        Carriers that need not be real: see `Found.accepted`.
    """
    zero = _deconvolved(bands, arrangement)
    maps = [_map_of(bands, arrangement, zero, angle, ring, workers) for angle in dict.fromkeys(arrangement.angles)]
    best = [int(np.argmax(one.chance)) for one in maps]
    alone = [_z(one.heights, at) for one, at in zip(maps, best, strict=True)]
    sure = [max(z) >= LIMIT for z in alone]
    if len(maps) == 1 or (all(sure) and _distinct(maps, best)):
        picked, joint = best, min(max(z) for z in alone)
    else:
        picked, evidence, trials = _jointly(maps)
        joint = _as_single(evidence, len(picked) * _harmonics(arrangement), trials)
    frequencies, significance, found = np.zeros((arrangement.orders, 2)), np.zeros(arrangement.orders), []
    for b, (multiple, angle) in enumerate(zip(arrangement.multiples, arrangement.angles, strict=True)):
        at = list(dict.fromkeys(arrangement.angles)).index(angle)
        one, where = maps[at], picked[at]
        frequencies[b] = multiple * one.ky[where], multiple * one.kx[where]
        significance[b] = _z(one.heights, where)[multiple - 1]
        found.append(sure[at] and where == best[at])
    return Found(frequencies, significance, joint, _purity(maps, picked, bands.shape), np.array(found, bool))


def _purity(maps: Sequence[_Map], picked: Sequence[int], shape: tuple[int, int]) -> float:
    """How far each band holds its own carrier alone."""
    carriers = [(one.ky[at], one.kx[at]) for one, at in zip(maps, picked, strict=True)]
    least = math.inf
    for own, (one, at) in enumerate(zip(maps, picked, strict=True)):
        for other, (ky, kx) in enumerate(carriers):
            for sign in (1, -1):
                if other == own and sign == 1:
                    continue
                near = (np.abs(one.ky - sign * ky) * shape[0] < 1.1) & (np.abs(one.kx - sign * kx) * shape[1] < 1.1)
                if near.any():
                    least = min(least, float(one.heights[0][at] / max(one.heights[0][near].max(), 1e-9)))
    return least


def _harmonics(arrangement: Arrangement) -> int:
    return max(arrangement.multiples)


def _deconvolved(bands: Bands, arrangement: Arrangement) -> Complex:
    """Order 0 as an estimate of the specimen."""
    spectrum = bands.zero(arrangement)
    power = bands.radial(np.abs(spectrum) ** 2)
    noise = bands.noise * arrangement.variances[0]
    fy, fx = bands.frequencies
    otf = bands.detection.on(fy, fx)
    share = np.maximum(power - noise, 0) / np.maximum(power, 1e-30)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(otf > 0.01, share / otf / np.sqrt(np.maximum(power - noise, 1e-3 * noise)), 0) * np.sqrt(otf)
    return np.asarray(spectrum * gain.astype(np.float32))


def _matched(bands: Bands, arrangement: Arrangement, order: int) -> Complex:
    """The band of an order, weighted by what it may hold of the specimen over what it holds at all."""
    spectrum = bands.order(arrangement, order)
    power = bands.radial(np.abs(spectrum) ** 2)
    fy, fx = bands.frequencies
    otf = bands.detection.on(fy, fx)
    floor = 4 * bands.noise * arrangement.variances[1 + order]
    return np.asarray(spectrum * (otf / np.maximum(power, 0.5 * floor)).astype(np.float32))


def _map_of(
    bands: Bands, arrangement: Arrangement, zero: Complex, angle: int, ring: tuple[float, float], workers: int
) -> _Map:
    """Evidence for the wave vector of the fundamental of an angle, on a grid of half bins."""
    orders = [b for b, a in enumerate(arrangement.angles) if a == angle]
    highest, cutoff = max(arrangement.multiples[b] for b in orders), bands.detection.cutoff
    low, high = (edge * cutoff / highest for edge in ring)
    y, x = (2 * math.ceil(high * n) + 1 for n in bands.shape)  # half bins to each side
    ky = np.arange(-y, y + 1)[:, None] / (2 * bands.shape[0])
    kx = np.arange(-x, x + 1)[None, :] / (2 * bands.shape[1])
    length = np.sqrt(ky**2 + kx**2)
    inside = (length >= low) & (length <= high)
    heights, chance = [], np.zeros(int(inside.sum()))
    conjugate = np.conj(_wide(zero, bands, workers))
    for b in orders:
        multiple = arrangement.multiples[b]
        product = conjugate * _wide(_matched(bands, arrangement, b), bands, workers)
        reach = (multiple * y, multiple * x)
        height = _correlation(product, reach, workers)
        height = height / _profile(height, bands.shape, multiple, (low, high))
        if multiple > 1:
            height = maximum_filter(height, 3)[::multiple, ::multiple]
        heights.append(height[inside])
        chance += (heights[-1] * _MEDIAN) ** 2 / 2
    y_at, x_at = np.nonzero(inside)
    found_y, found_x = ky[y_at, 0], kx[0, x_at]
    return _Map(found_y, found_x, tuple(heights), chance, np.arctan2(found_y, found_x), length[inside])


def _wide(spectrum: Complex, bands: Bands, workers: int) -> Complex:
    """A band in space, on a grid fine enough for the product of two."""
    height, width = bands.sides
    rows, columns = (
        min(int(bands.detection.cutoff * n) + 1, (side - 1) // 2)
        for n, side in zip(bands.shape, bands.sides, strict=True)
    )
    tall, broad = (fft.next_fast_len(4 * r + 1) for r in (rows, columns))
    made = np.zeros((tall, broad), np.complex64)
    for target_y, source_y in (
        (slice(0, rows + 1), slice(0, rows + 1)),
        (slice(tall - rows, tall), slice(height - rows, height)),
    ):
        for target_x, source_x in (
            (slice(0, columns + 1), slice(0, columns + 1)),
            (slice(broad - columns, broad), slice(width - columns, width)),
        ):
            made[target_y, target_x] = spectrum[source_y, source_x]
    return np.asarray(fft.ifft2(made, workers=workers, overwrite_x=True))


def _correlation(product: Complex, reach: tuple[int, int], workers: int) -> Floats:
    """Modulus of the correlation at shifts of half bins, up to `reach` of them to each side."""
    tall, broad = product.shape
    made = np.empty((2 * reach[0] + 1, 2 * reach[1] + 1), np.float64)
    ramp_y = np.exp(-1j * np.pi * np.arange(tall) / tall).astype(np.complex64)[:, None]
    ramp_x = np.exp(-1j * np.pi * np.arange(broad) / broad).astype(np.complex64)[None, :]
    for half_y, half_x in itertools.product((0, 1), (0, 1)):
        shifted = product if not half_y else product * ramp_y
        shifted = shifted if not half_x else shifted * ramp_x
        spectrum = np.abs(fft.fft2(shifted, workers=workers))
        y = np.arange(-reach[0], reach[0] + 1)
        x = np.arange(-reach[1], reach[1] + 1)
        at_y, at_x = np.flatnonzero((y - half_y) % 2 == 0), np.flatnonzero((x - half_x) % 2 == 0)
        rows, columns = (y[at_y] - half_y) // 2, (x[at_x] - half_x) // 2
        made[np.ix_(at_y, at_x)] = spectrum[np.ix_(rows % tall, columns % broad)]
    return made


def _profile(height: Floats, shape: tuple[int, int], multiple: int, limits: tuple[float, float]) -> Floats:
    """The median of the correlation over rings, at each shift."""
    y = (np.arange(len(height)) - len(height) // 2)[:, None] / (2 * shape[0])
    x = (np.arange(height.shape[1]) - height.shape[1] // 2)[None, :] / (2 * shape[1])
    length = np.sqrt(y**2 + x**2)
    edges = np.linspace(multiple * limits[0], multiple * limits[1], 9)
    middles, medians = [], []
    for low, high in itertools.pairwise(edges):
        part = height[(length >= low) & (length <= high)]
        middles.append((low + high) / 2)
        medians.append(float(np.median(part)))
    return np.asarray(np.maximum(np.interp(length, middles, medians), 1e-30), np.float64)


def _z(heights: Sequence[Floats], at: int) -> list[float]:
    """Height of each harmonic over its ring in robust standard deviations."""
    found = []
    for height in heights:
        middle = float(np.median(height))
        spread = 1.4826 * float(np.median(np.abs(height - middle)))
        found.append((float(height[at]) - middle) / max(spread, 1e-12))
    return found


def _between(a: Floats | float, b: Floats | float) -> Floats:
    """Angle between two directions, 0 to 90 degrees, radians."""
    return np.asarray(np.abs((np.asarray(a) - b + np.pi / 2) % np.pi - np.pi / 2))


def _distinct(maps: Sequence[_Map], picked: Sequence[int]) -> bool:
    """Whether no two angles point the same way."""
    directions = [one.directions[at] for one, at in zip(maps, picked, strict=True)]
    least = np.pi / len(maps) / 2
    return all(_between(a, b) > least for a, b in itertools.combinations(directions, 2))


def _jointly(maps: Sequence[_Map]) -> tuple[list[int], float, float]:
    """The best set of carriers of equal length and equally spaced directions: their places, their evidence, and how many were tried."""
    count, step = len(maps), np.pi / len(maps)
    best: tuple[float, list[int]] = (-1.0, [0] * count)
    capped = 0.0
    trials = 0.0
    for first, anchors in enumerate(maps):
        order = np.argsort(anchors.chance)[::-1][:_CANDIDATES]
        for at in order:
            choice = np.zeros((count, count), int)  # of each map in each slot
            value = np.full((count, count), -np.inf)
            for other, one in enumerate(maps):
                if other == first:
                    continue
                equal = np.abs(one.lengths / anchors.lengths[at] - 1) < _SAME_LENGTH
                near = np.flatnonzero(equal)
                turned = _between(one.directions[near], anchors.directions[at])
                for slot in range(1, count):
                    off = _between(one.directions[near] - slot * step, anchors.directions[at])
                    fits = near[(off < _SAME_ANGLE) & (turned > step / 2)]
                    if len(fits):
                        choice[other, slot] = fits[np.argmax(one.chance[fits])]
                        value[other, slot] = one.chance[choice[other, slot]]
                        trials = max(trials, float(len(fits)))
            others = [i for i in range(count) if i != first]
            for slots in itertools.permutations(range(1, count)):
                total = anchors.chance[at] + sum(value[o, s] for o, s in zip(others, slots, strict=True))
                if total > best[0]:
                    places = [0] * count
                    places[first] = int(at)
                    for o, s in zip(others, slots, strict=True):
                        places[o] = int(choice[o, s])
                    best = (float(total), places)
                    # However strong one carrier is, the others must be there, too.
                    capped = sum(min(float(one.chance[p]), _ENOUGH) for one, p in zip(maps, places, strict=True))
    ways = len(maps[0].chance) * max(trials, 1.0) ** (count - 1) * math.factorial(count - 1)
    return best[1], capped, ways


def _as_single(evidence: float, count: int, ways: float) -> float:
    """The z of a single carrier that is as unlikely as the joint evidence of `count`, in as large a ring."""
    terms = [count_term * math.log(max(evidence, 1e-9)) - math.lgamma(count_term + 1) for count_term in range(count)]
    largest = max(terms)
    log_tail = -evidence + largest + math.log(sum(math.exp(t - largest) for t in terms))
    log_chance = log_tail + math.log(ways)
    single = math.sqrt(max(0.0, -2 * (log_chance - math.log(3e4))))
    return (single - _MEDIAN) / _MAD
