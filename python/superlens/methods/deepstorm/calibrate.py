"""How to read a trained network: the threshold that finds molecules best, and how far off its findings are, on simulated frames."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from superlens.methods.deepstorm.detect import Detector, peaks
from superlens.methods.deepstorm.examples import Example, draw_example, misjudged
from superlens.smlm.matching import match, scores
from superlens.smlm.refining import Refined, crowding_of, refine
from superlens.smlm.table import Localizations

__all__ = ["CAUTION", "CROWDINGS", "calibrate", "found_within", "stated_error"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_STREAM = 1 << 41
_FRAMES = 48
_SIDE = 48
_ALONE = 0.1
_FEWEST = 30
CAUTION = 3.0
"""By how much overlap makes light and findings less reliable; see `superlens.smlm.refining`."""
CROWDINGS = (0.0, 0.2, 0.45, 0.8, 1.25, 2.0, 4.0)
"""Overlaps at which the stated error is calibrated."""
_THRESHOLDS = tuple(float(t) for t in np.geomspace(0.02, 0.5, 18))


def calibrate(detector: Detector) -> Detector:
    """Set the threshold, the error of a peak and the factor of stated errors on fresh simulated frames.

    The threshold is that of the best mean Jaccard index. Half of the errors of lone peaks lie within 1.18 times their standard deviation,
    and 68.3 % of the errors of refined molecules, at every crowding, within what is stated for them along x and along y.
    """
    config = detector.config
    rng = np.random.default_rng((config.seed, _STREAM))
    densities = np.geomspace(*config.density_um2, _FRAMES)
    examples = [draw_example(config, rng, side=_SIDE, density=float(d)) for d in densities]
    photons, background = misjudged(examples, config, rng)
    frames = detector.units(np.stack([e.electrons for e in examples]), photons, background)
    maps = detector.densities(frames)
    truth = _table([e.positions_nm for e in examples])
    found = []
    for threshold in _THRESHOLDS:
        candidates = [peaks(m, threshold, config.upsampling)[0] * config.pixel_nm for m in maps]
        found.append(np.mean(_jaccards(candidates, examples)))
    best = _THRESHOLDS[int(np.argmax(found))]
    log.info("threshold %.3g: Jaccard %.3f on simulated frames", best, max(found))
    set_up = replace(detector, threshold=best)
    frame, places, _ = set_up.read(maps)
    alone = crowding_of(frame, places, config.sigma_pixels) < _ALONE
    pairs = match(_rows(frame[alone], places[alone] * config.pixel_nm), truth)
    within = float(np.median(pairs.distance_nm)) / 1.177 / config.pixel_nm if len(pairs) else 0.2
    set_up = replace(set_up, found_within=min(max(within, 0.02), 0.5))
    error, stated, crowding = _errors(set_up, examples, (frame, places))
    return replace(set_up, spread=tuple(_spreads(error / stated[:, None], crowding)))


def stated_error(refined: Refined, detector: Detector, sigma_ratio: float = 1.0) -> Floats:
    """Standard deviation of x and of y, camera pixels: from the light and from the finding, as they were weighed, and calibrated.

    ``sigma_ratio`` is the width of the image of a molecule over that of the training.
    """
    light = 1.0 / (refined.bound * (1.0 + CAUTION * refined.crowding)) ** 2
    found = 1.0 / (sigma_ratio * found_within(detector, refined.crowding)) ** 2
    factor = np.interp(refined.crowding, CROWDINGS, detector.spread)
    return np.asarray(factor / np.sqrt(light + found))


def found_within(detector: Detector, crowding: Floats) -> Floats:
    """Standard deviation of the error of a peak, camera pixels of the training: it grows where images overlap."""
    return detector.found_within * (1.0 + CAUTION * crowding)


def _spreads(ratio: Floats, crowding: Floats) -> list[float]:
    """For each of `CROWDINGS` what 68.3 % of the ratios of error to statement stay below, from molecules about as crowded."""
    middles = np.array([0.0, *(0.5 * (a + b) for a, b in pairwise(CROWDINGS)), np.inf])
    factors: list[float] = []
    for low, high in pairwise(middles):
        near = (crowding >= low) & (crowding < high)
        last = factors[-1] if factors else 1.0
        factors.append(float(np.quantile(np.abs(ratio[near]), 0.683)) if near.sum() >= _FEWEST else last)
    return factors


def _errors(
    detector: Detector, examples: list[Example], found: tuple[NDArray[np.int64], Floats]
) -> tuple[Floats, Floats, Floats]:
    """Errors of refined molecules, shape (N, 2), what is stated before calibration, and their crowding, camera pixels."""
    config = detector.config
    frame, places = found
    parts = []
    for i, example in enumerate(examples):
        own = np.flatnonzero(frame == i)
        sigma = example.sigma_nm / config.pixel_nm
        none = np.zeros(len(own), np.int64)
        refined = refine(
            example.electrons[None],
            none,
            places[own],
            sigma=sigma,
            photons=example.mean_photons,
            background=example.background,
            read_noise_e=example.read_noise_e,
            found_within=found_within(detector, crowding_of(none, places[own], sigma)),
            caution=CAUTION,
        )
        row = _rows(none, np.stack([refined.x, refined.y], axis=1) * config.pixel_nm)
        pairs = match(row, _table([example.positions_nm]))
        off = (row.positions_nm[pairs.found_index] - example.positions_nm[pairs.truth_index]) / config.pixel_nm
        stated = stated_error(refined, replace(detector, spread=(1.0,) * len(CROWDINGS)))
        parts.append((off, stated[pairs.found_index], refined.crowding[pairs.found_index]))
    error, stated, crowding = (np.concatenate(values) for values in zip(*parts, strict=True))
    return error, stated, crowding


def _jaccards(places: list[Floats], examples: list[Example]) -> list[float]:
    return [
        scores(match(_table([p]), _table([e.positions_nm])))["jaccard"] for p, e in zip(places, examples, strict=True)
    ]


def _table(positions_nm: list[Floats]) -> Localizations:
    frame = np.repeat(np.arange(len(positions_nm)), [len(p) for p in positions_nm])
    return _rows(frame, np.concatenate(positions_nm))


def _rows(frame: NDArray[np.int64], positions_nm: Floats) -> Localizations:
    return Localizations({"frame": frame + 1, "x_nm": positions_nm[:, 0], "y_nm": positions_nm[:, 1]})
