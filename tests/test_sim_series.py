"""Several sets of raw frames: one pattern where it stays, that of each set where it moves, and the same pixels as of single sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import superlens as sl
from superlens.optics.detection import Detection
from superlens.optics.patterns import Pattern
from superlens.reconstruct.sim import Reconstruction, SimOptions, SimResult, estimate_pattern, reconstruct_sim
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, ideal_pattern, simulate_sim

OBJECTIVE = sl.Objective(na=1.4, wavelength_nm=525)
DETECTION = Detection.of(OBJECTIVE, 65.0)
SIDE = 96
IN_TURN = SimOptions(order="phase,angle,z")


def patterns(sets: int, step_deg: float = 0.0, turn_bins: float = 0.0) -> list[Pattern]:
    """A pattern whose phases and wave vectors change from set to set."""
    first = ideal_pattern(ARRANGEMENTS["two-beam"], 0.85 * DETECTION.cutoff, 0.6, np.random.default_rng(1))
    return [
        replace(
            first,
            orders=tuple(
                replace(
                    o,
                    phase=o.phase + np.radians(step_deg) * s,
                    frequency=(o.frequency[0] + turn_bins * s / SIDE, o.frequency[1]),
                )
                for o in first.orders
            ),
        )
        for s in range(sets)
    ]


def series(lights: list[Pattern], photons: float = 100, moves_px: int = 0) -> np.ndarray:
    """Sets of frames of one specimen, which may move along x; shape (sets, 9, Y, X)."""
    rng = np.random.default_rng(2)
    wide = filaments((2 * SIDE + 64, 2 * (SIDE + 32 + moves_px * len(lights))), rng)
    made = []
    for s, light in enumerate(lights):
        specimen = wide[:, 2 * moves_px * s : 2 * moves_px * s + 2 * SIDE + 64]
        one = simulate_sim(specimen, light, DETECTION, photons=photons, pixel_nm=65.0, rng=rng, margin=16)
        made.append(one.frames.data)
    return np.stack(made)


def reconstructed(sets: np.ndarray, **more: object) -> SimResult:
    image = sl.Image(sets.reshape(-1, *sets.shape[-2:]), "TYX", 65.0)
    return reconstruct_sim(image, OBJECTIVE, options=IN_TURN, **more)


def off(a: np.ndarray, b: np.ndarray) -> float:
    """Difference of two images over the contrast of the second."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b - b.mean()))


@pytest.mark.parametrize("step_deg", [20.0, 75.0])
def test_a_pattern_that_moves_from_set_to_set_is_followed(step_deg: float) -> None:
    """By 75 degrees a set, the mean of all sets shows no pattern at all."""
    sets = series(patterns(5, step_deg))
    result = reconstructed(sets)
    assert result.series.own == "phases"
    assert "its own phases" in result.lines()[-1]
    assert off(result.image.data[0], reconstructed(sets[0]).image.data) < 0.1
    followed = np.array([one.phases for one in result.series.patterns])
    steps = np.degrees(np.angle(np.exp(1j * np.diff(followed, axis=0))))
    np.testing.assert_allclose(np.abs(steps), step_deg, atol=6.0)  # what so small a field makes up
    one_for_all = Reconstruction(sets.shape[-2:], result.spectrum).apply(sets[0])
    assert off(one_for_all, result.image.data[0]) > 0.15


def test_each_operator_makes_its_set() -> None:
    sets = series(patterns(3, 30.0))
    result = reconstructed(sets)
    for made, one, spectrum, operator in zip(result.image.data, sets, result.spectra, result.operators(), strict=True):
        np.testing.assert_array_equal(operator.apply(one), made)
        np.testing.assert_allclose(Reconstruction(one.shape[-2:], spectrum).apply(one), made, atol=1e-3 * made.std())


def test_a_series_that_stays_shares_the_pattern_of_its_mean() -> None:
    sets = series(patterns(4), photons=20)
    result = reconstructed(sets)
    assert result.series.own == "nothing"
    expected = estimate_pattern(sets.mean(axis=0, dtype=np.float32), result.layout.arrangement, DETECTION).pattern
    np.testing.assert_array_equal(result.pattern.frequencies, expected.frequencies)
    np.testing.assert_array_equal(result.pattern.phases, expected.phases)
    operator = Reconstruction(sets.shape[-2:], result.spectrum)
    for made, one, spectrum in zip(result.image.data, sets, result.spectra, strict=True):
        assert spectrum is result.spectrum
        np.testing.assert_array_equal(made, operator.apply(one))


def test_wave_vectors_that_turn_are_followed() -> None:
    lights = patterns(3, turn_bins=0.2)
    result = reconstructed(series(lights, photons=300))
    assert result.series.own == "wave vectors"
    followed = np.array([one.frequencies for one in result.series.patterns]) * SIDE
    np.testing.assert_allclose(np.abs(np.diff(followed, axis=0)), [[[0.2, 0.0]] * 3] * 2, atol=0.03)
    assert len(result.described()["sets"]["frequency_per_pixel"]) == 3


def test_sets_between_which_the_specimen_moves_are_not_averaged() -> None:
    sets = series(patterns(5), moves_px=3)
    result = reconstructed(sets)
    assert result.series.moved_px == pytest.approx(6, abs=0.5)
    assert result.series.count == 1
    assert off(result.image.data[0], reconstructed(sets[0]).image.data) < 0.1
    assert "the specimen moved" in result.lines()[-1]


def test_dim_sets_lean_on_their_neighbours() -> None:
    """Within three stated errors of the truth, on average over all sets and orders."""
    lights = patterns(8, 12.0)
    bright = reconstructed(series(lights[:1], photons=500))
    result = reconstructed(series(lights, photons=2), pattern=bright.pattern)
    assert result.series.own == "phases"
    turned = np.array([one.phases for one in result.series.patterns]) - bright.pattern.phases
    true = np.sign(np.diff(np.unwrap(turned, axis=0), axis=0).mean()) * np.radians(12.0) * np.arange(8)[:, None]
    error = np.angle(np.exp(1j * (turned - true)))
    assert np.sqrt(np.mean(error**2)) < 3 * result.series.errors.mean()


def test_what_was_done_stands_in_the_record() -> None:
    told = reconstructed(series(patterns(3, 30.0))).described()["sets"]
    assert told["own"] == "phases"
    assert "wave vectors are shared" in told["why"]
    assert np.shape(told["phase_deg"]) == np.shape(told["phase_error_deg"]) == (3, 3)


def test_recorded_frames_whose_phases_are_taken_in_turn_give_the_same_image() -> None:
    """Real frames of a set whose phases begin with the second, then the third: the pattern moves by exactly a third of its period."""
    raw = sl.sample("microtubules_sim_raw")
    objective = sl.Objective(na=1.49, wavelength_nm=660)
    angles = raw.data[:, :128, :128].reshape(3, 3, 128, 128)
    turned = [np.roll(angles, -s, axis=1).reshape(9, 128, 128) for s in range(3)]
    image = replace(raw, data=np.concatenate(turned))
    result = reconstruct_sim(image, objective, options=IN_TURN)
    assert result.series.own == "phases"
    for made in result.image.data[1:]:
        assert off(made, result.image.data[0]) < 0.06
