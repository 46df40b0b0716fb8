"""Several sets of frames: whether one pattern serves them all, and the pattern of each where it does not.

Phases are measured in each set by itself. Where they differ by more than their errors, each set gets its own, and the sets are averaged only
after they were brought to one phase; a plain mean would wash the pattern out. Wave vectors are shared unless they differ as well. Sets between
which the specimen moves are not averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Pattern
from superlens.reconstruct.sim.bands import Bands, Floats, taper
from superlens.reconstruct.sim.estimate import Estimate, noise_of, with_noise_inside
from superlens.reconstruct.sim.refine import refine

__all__ = ["Series", "follow", "shift_between", "still"]

Sets = NDArray[np.float32]

_SURE = 5.0  # errors, by which phases or wave vectors must differ
_LEAST_DEG = 2.0  # what changes an image by 1 %
_LEAST_BINS = 0.05  # of a wave vector, twice what the specimen in a small field makes up
_GOOD_DEG = 5.0  # error up to which a set speaks for itself; otherwise its neighbours help
_STILL_PX = 0.5
_LOW = 0.5  # of the cutoff, up to which images are held against each other


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The patterns of several sets.

    Attributes
    ----------
    patterns : tuple of Pattern
        Of each set; the same object for all where they share one.
    own : {"nothing", "phases", "wave vectors"}
        What each set has of its own.
    phases, errors : ndarray, shape (sets, orders), radians
        Of each set as measured, from -pi to pi about their mean; and their standard errors.
    averaged : slice
        The sets whose mean the pattern was measured from.
    moved_px : float
        How far the specimen moved; 0 where it did not, or was not compared.
    noise : float
        Standard deviation of the noise of a frame of one set, counts.
    """

    patterns: tuple[Pattern, ...]
    noise: float
    own: Literal["nothing", "phases", "wave vectors"] = "nothing"
    phases: Floats = field(default_factory=lambda: np.zeros((1, 0)))
    errors: Floats = field(default_factory=lambda: np.zeros((1, 0)))
    averaged: slice = field(default_factory=lambda: slice(0, 1))
    moved_px: float = 0.0

    @property
    def count(self) -> int:
        """How many sets were averaged."""
        return int(self.averaged.stop - self.averaged.start)

    @property
    def words(self) -> str:
        """What was done, and why."""
        sets, most = len(self.patterns), float(np.degrees(np.abs(self.phases)).max(initial=0.0))
        error = float(np.degrees(np.median(self.errors))) if self.errors.size else 0.0
        told = {
            "nothing": f"{sets} sets share one pattern: their phases differ from their mean by {most:.1f} degrees at most, with errors of {error:.1f}",
            "phases": f"each of {sets} sets has its own phases: they differ from their mean by up to {most:.0f} degrees, with errors of {error:.1f}; the wave "
            "vectors are shared",
            "wave vectors": f"each of {sets} sets has its own wave vectors and phases: both differ by more than their errors",
        }[self.own]
        if self.moved_px:
            told += f"; the specimen moved by {self.moved_px:.1f} pixels"
        if self.count < sets:
            some = (
                f"sets {self.averaged.start} to {self.averaged.stop - 1}"
                if self.count > 1
                else f"set {self.averaged.start}"
            )
            told += f"; the pattern was measured in {some} (from 0)"
        return told

    def described(self) -> dict[str, Any]:
        """The same in JSON values."""
        return {
            "own": self.own,
            "why": self.words,
            "averaged": [self.averaged.start, self.averaged.stop],
            "moved_px": round(self.moved_px, 2),
            "phase_deg": [[round(math.degrees(o.phase) % 360, 2) for o in one.orders] for one in self.patterns],
            "phase_error_deg": np.degrees(self.errors).round(2).tolist(),
            **(
                {"frequency_per_pixel": [one.frequencies.round(7).tolist() for one in self.patterns]}
                if self.own == "wave vectors"
                else {}
            ),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Modulation times e^(i phase) of each order in each set, and its standard error, shape (sets, orders); and the noise of a frame, counts."""

    ratios: NDArray[np.complex128]
    errors: Floats
    noise: float

    @property
    def weights(self) -> Floats:
        return np.asarray(1 / np.maximum(self.errors, 1e-9) ** 2)

    def phases(self, about: NDArray[np.complex128]) -> Floats:
        return np.asarray(np.angle(self.ratios * np.conj(about)))

    @property
    def phase_errors(self) -> Floats:
        return np.asarray(np.minimum(self.errors / np.maximum(np.abs(self.ratios), 1e-9), np.pi))

    @property
    def mean(self) -> NDArray[np.complex128]:
        """Over the sets, shape (orders,)."""
        return np.asarray(np.sum(self.ratios * self.weights, axis=0) / np.sum(self.weights, axis=0))

    def joined(self) -> _Measured:
        """Sets that are too dim to speak for themselves, joined with as many neighbours as it takes."""
        sets, orders = self.ratios.shape
        ratios, errors = self.ratios.copy(), self.errors.copy()
        for b in range(orders):
            for s in range(sets):
                for reach in range(1, sets):
                    if errors[s, b] <= math.radians(_GOOD_DEG) * abs(ratios[s, b]):
                        break
                    near = slice(max(0, s - reach), s + reach + 1)
                    weights = self.weights[near, b]
                    ratios[s, b] = np.sum(self.ratios[near, b] * weights) / np.sum(weights)
                    errors[s, b] = 1 / math.sqrt(float(np.sum(weights)))
        return _Measured(ratios, errors, self.noise)


def still(sets: Sets, detection: Detection) -> tuple[slice, float]:
    """The sets about the middle one between which the specimen stays within half a pixel, and how far it moved in all.

    Parameters
    ----------
    sets : ndarray, shape (sets, frames, Y, X)
    detection : Detection

    Returns
    -------
    slice
    float
        Raw pixels; 0 where it stays.
    """
    count, middle = len(sets), len(sets) // 2
    shape = (int(sets.shape[2]), int(sets.shape[3]))
    # What both halves of the frames show is no noise.
    halves = [[_low(one[part::2].mean(axis=0), detection) for one in sets] for part in (0, 1)]
    moved = np.zeros(count)
    for s in range(count):
        first, second = (np.array(shift_between(half[middle], half[s], shape)) for half in halves)
        both = (first + second) / 2
        if math.hypot(*(first - second)) < max(_STILL_PX, 0.03 * math.hypot(*both)):
            moved[s] = math.hypot(*both)
    if moved.max() <= _STILL_PX:
        return slice(0, count), 0.0
    start, stop = middle, middle + 1
    while start > 0 and moved[start - 1] <= _STILL_PX:
        start -= 1
    while stop < count and moved[stop] <= _STILL_PX:
        stop += 1
    return slice(start, stop), float(moved.max())


def _low(image: NDArray[Any], detection: Detection) -> NDArray[Any]:
    """The low frequencies of an image, which hold no pattern."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])[None, :]
    spectrum = fft.rfft2((image - image.mean()) * taper(image.shape))
    return np.asarray(spectrum * np.exp(-(fy**2 + fx**2) / (2 * (_LOW * detection.cutoff / 2) ** 2)))


def shift_between(a: NDArray[Any], b: NDArray[Any], shape: tuple[int, ...]) -> tuple[float, float]:
    """Shift between two images by their half spectra, raw pixels: the parabola through the peak of their correlation."""
    correlation = fft.irfft2(np.conj(a) * b, shape)
    top = np.unravel_index(int(np.argmax(correlation)), shape)
    found = []
    for axis, n in enumerate(shape):
        around = [list(top), list(top), list(top)]
        around[0][axis] = (top[axis] - 1) % n
        around[2][axis] = (top[axis] + 1) % n
        low, middle, high = (float(correlation[tuple(one)]) for one in around)
        bend = low - 2 * middle + high
        offset = 0.0 if bend == 0 else (low - high) / (2 * bend)
        found.append((top[axis] + offset + n / 2) % n - n / 2)
    return float(found[0]), float(found[1])


def follow(
    sets: Sets,
    estimate: Estimate,
    again: Callable[[Sets], Estimate],
    averaged: slice,
    alike: slice,
    *,
    moved_px: float = 0.0,
    free: bool = True,
    workers: int = 1,
) -> tuple[Estimate, Sets, Series]:
    """Measure the phases of each set, and let each have its own where they differ.

    Parameters
    ----------
    sets : ndarray, shape (sets, frames, Y, X), counts
    estimate : Estimate
        Of the mean of the averaged sets.
    again : callable
        Makes an estimate of a mean of sets, shape (frames, Y, X).
    averaged : slice
        Sets whose mean shows the pattern.
    alike : slice
        Sets that show the same specimen: all of them are averaged once they were brought to one phase.
    moved_px : float
        Of the specimen.
    free : bool
        Whether wave vectors may be measured.
    workers : int

    Returns
    -------
    Estimate
        Of the sets brought to one phase, where they have their own.
    ndarray, shape (frames, Y, X)
        Their mean.
    Series
    """
    mean = sets[averaged].mean(axis=0, dtype=np.float32)
    found = _measure(sets, estimate, workers).joined()
    about = found.mean
    phases, errors = found.phases(about), found.phase_errors
    if not np.any(np.abs(phases) > np.maximum(_SURE * errors, math.radians(_LEAST_DEG))):
        same = (estimate.pattern,) * len(sets)
        return estimate, mean, Series(same, found.noise, "nothing", phases, errors, averaged, moved_px)
    table = estimate.pattern.arrangement
    mean = _at_one_phase(sets[alike], table, estimate.pattern.brightness, phases[alike])
    estimate = again(mean)
    found = _measure(sets, estimate, workers).joined()
    own: Literal["phases", "wave vectors"] = "phases"
    patterns = [_with_phases(estimate.pattern, ratios) for ratios in found.ratios]
    if free:
        moved = [
            _with_own_vectors(one, estimate, pattern, workers) for one, pattern in zip(sets, patterns, strict=True)
        ]
        if any(one is not pattern for one, pattern in zip(moved, patterns, strict=True)):
            own, patterns = "wave vectors", moved
    about = found.mean
    return estimate, mean, Series(
        tuple(patterns), found.noise, own, found.phases(about), found.phase_errors, alike, moved_px
    )  # fmt: skip


def _measure(sets: Sets, estimate: Estimate, workers: int) -> _Measured:
    """With the wave vectors as they are."""
    pattern, table = estimate.pattern, estimate.pattern.arrangement
    ratios, errors = np.zeros((len(sets), table.orders), complex), np.zeros((len(sets), table.orders))
    noises = np.zeros(len(sets))
    for s, frames in enumerate(sets):
        bands = Bands.of(frames, estimate.detection, pattern.brightness, workers)
        made = [refine(bands, table, b, order.frequency, fixed=True) for b, order in enumerate(pattern.orders)]
        ratios[s] = [one.order.modulation * np.exp(1j * one.order.phase) for one in made]
        errors[s] = [one.order.modulation_error for one in made]
        noises[s] = noise_of(with_noise_inside(bands, made))
    return _Measured(ratios, errors, float(np.median(noises)))


def _with_phases(pattern: Pattern, ratios: NDArray[np.complex128]) -> Pattern:
    turned = np.angle(ratios) % (2 * math.pi)
    return replace(
        pattern, orders=tuple(replace(o, phase=float(phase)) for o, phase in zip(pattern.orders, turned, strict=True))
    )


def _with_own_vectors(frames: NDArray[Any], estimate: Estimate, pattern: Pattern, workers: int) -> Pattern:
    """The pattern of a set with its own wave vectors; the same object where they do not differ."""
    bands = Bands.of(frames, estimate.detection, pattern.brightness, workers)
    table, orders = pattern.arrangement, list(pattern.orders)
    for b, order in enumerate(pattern.orders):
        made = refine(bands, table, b, order.frequency)
        error = math.hypot(made.frequency_error, float(estimate.frequency_error[b]))
        moved = np.subtract(made.order.frequency, order.frequency) * bands.shape
        if error < _LEAST_BINS / 2 and float(np.abs(moved).max()) > max(_SURE * error, _LEAST_BINS):
            orders[b] = replace(order, frequency=made.order.frequency, phase=made.order.phase)
    return pattern if orders == list(pattern.orders) else replace(pattern, orders=tuple(orders))


def _at_one_phase(sets: Sets, table: Arrangement, brightness: Floats, phases: Floats) -> Sets:
    """The mean of sets whose orders were turned back by their phases, shape (frames, Y, X)."""
    mixing, separation = table.mixing[:, 1:], table.separation[1:]
    total = np.zeros(sets.shape[1:], np.float32)
    for frames, turned in zip(sets, phases, strict=True):
        turn = np.zeros((2 * table.orders,) * 2)
        for b, angle in enumerate(turned):
            c, s = math.cos(angle), math.sin(angle)
            turn[2 * b : 2 * b + 2, 2 * b : 2 * b + 2] = [[c - 1, s], [-s, c - 1]]
        matrix = np.eye(table.frames) + brightness[:, None] * (mixing @ turn @ separation) / brightness
        total += np.tensordot(matrix.astype(np.float32), frames, 1)
    return np.asarray(total / len(sets), np.float32)
