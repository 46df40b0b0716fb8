"""How to read a trained network, from simulated frames: the threshold that finds molecules best, how far light may move them, what error to state."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from superlens.methods.deepstorm.detect import Detector, Found, peaks
from superlens.methods.deepstorm.examples import Example, draw_example, misjudged
from superlens.methods.deepstorm.stating import ErrorLaw, signs_of
from superlens.smlm.matching import match, scores
from superlens.smlm.refining import Refined, crowding_of, refine
from superlens.smlm.table import Localizations

__all__ = ["CAUTION", "calibrate", "found_within"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_STREAM = 1 << 41
_FRAMES = 72
_SIDE = 48
CAUTION = 3.0
"""By how much overlap makes light and findings less reliable; see `superlens.smlm.refining`."""
_THRESHOLDS = tuple(float(t) for t in np.geomspace(0.02, 0.5, 18))
_LEASHES = (0.005, 0.015, 0.03, 0.06, 0.12, 0.25)
"""Camera pixels, of which the best is how far the light may move a lone molecule."""


def calibrate(detector: Detector) -> Detector:
    """Set how a network is read on fresh simulated frames.

    The threshold is that of the best mean Jaccard index. Molecules may be moved by the light from their peaks by as much as leaves the
    smallest errors: the better the network, the less. The error that is stated for them then follows a law of what they look like
    (`superlens.methods.deepstorm.stating`), with 68.3 % of the errors along x and along y within it.
    """
    config = detector.config
    rng = np.random.default_rng((config.seed, _STREAM))
    densities = np.geomspace(*config.density_um2, _FRAMES)
    examples = [draw_example(config, rng, side=_SIDE, density=float(d)) for d in densities]
    photons, background = misjudged(examples, config, rng)
    maps = detector.densities(detector.units(np.stack([e.electrons for e in examples]), photons, background))
    tops = [peaks(m, _THRESHOLDS[0], config.upsampling) for m in maps]
    found = [
        np.mean(_jaccards([p.positions_nm[p.height >= t] * config.pixel_nm for p in tops], examples))
        for t in _THRESHOLDS
    ]
    best = _THRESHOLDS[int(np.argmax(found))]
    log.info("threshold %.3g: Jaccard %.3f on simulated frames", best, max(found))
    set_up = replace(detector, threshold=best)
    scenes = [
        _Scene(e, set_up.read(m[None]), float(p), float(b))
        for e, m, p, b in zip(examples, maps, photons.ravel(), background.ravel(), strict=True)
    ]
    trials = [replace(set_up, found_within=leash) for leash in _LEASHES]
    errors = [np.mean([s.misses(trial) for s in scenes if len(s.found)]) for trial in trials]
    set_up = trials[int(np.argmin(errors))]
    log.info("molecules keep within %.3g pixels of their peaks", set_up.found_within)
    told = [scene.signs_and_errors(set_up) for scene in scenes]
    law = ErrorLaw.learn(*(np.concatenate(values) for values in zip(*told, strict=True)))
    return replace(set_up, law=law)


def found_within(detector: Detector, crowding: Floats) -> Floats:
    """How far the light may move molecules from their peaks, camera pixels of the training: farther where images overlap."""
    return detector.found_within * (1.0 + CAUTION * crowding)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A simulated frame, what was found in it, and the brightness and background that it is taken for."""

    example: Example
    found: Found
    photons: float
    background: float

    def refined(self, detector: Detector) -> tuple[Refined, NDArray[np.int64], Floats]:
        """Refined molecules, which of them have a true one, and their errors, shape (N, 2), camera pixels."""
        pixel_nm = detector.config.pixel_nm
        sigma = self.example.sigma_nm / pixel_nm
        one = self.found
        refined = refine(
            self.example.electrons[None],
            one.frame,
            one.places,
            sigma=sigma,
            photons=self.photons,
            background=max(self.background, 0.0),
            read_noise_e=self.example.read_noise_e,
            found_within=found_within(detector, crowding_of(one.frame, one.places, sigma)),
            caution=CAUTION,
        )
        row = _rows(one.frame, np.stack([refined.x, refined.y], axis=1) * pixel_nm)
        pairs = match(row, _table([self.example.positions_nm]))
        off = row.positions_nm[pairs.found_index] - self.example.positions_nm[pairs.truth_index]
        return refined, pairs.found_index, off / pixel_nm

    def misses(self, detector: Detector) -> float:
        """Logarithm of the root mean square error, so that crowded and sparse frames count alike."""
        _, which, off = self.refined(detector)
        return float(0.5 * np.log(np.mean(off**2) + 1e-6)) if len(which) else 0.0

    def signs_and_errors(self, detector: Detector) -> tuple[Floats, Floats]:
        """What stated errors are told by, shape (N, 4), and errors, shape (N, 2)."""
        refined, which, off = self.refined(detector)
        signs = signs_of(refined.bound, refined.crowding, self.found.height, self.found.width)
        return signs[which], off


def _jaccards(places: list[Floats], examples: list[Example]) -> list[float]:
    """Jaccard index of each frame; 1 for one that holds nothing and in which nothing was found."""
    told = [
        scores(match(_table([p]), _table([e.positions_nm])))["jaccard"] for p, e in zip(places, examples, strict=True)
    ]
    return [1.0 if math.isnan(value) else value for value in told]


def _table(positions_nm: list[Floats]) -> Localizations:
    frame = np.repeat(np.arange(len(positions_nm)), [len(p) for p in positions_nm])
    return _rows(frame, np.concatenate(positions_nm))


def _rows(frame: NDArray[np.int64], positions_nm: Floats) -> Localizations:
    return Localizations({"frame": frame + 1, "x_nm": positions_nm[:, 0], "y_nm": positions_nm[:, 1]})
