"""The page of a reconstruction: the checks that users of SIMcheck know, and the pictures in colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import superlens as sl
from html_page import Page
from superlens.optics.detection import Detection
from superlens.reconstruct.sim import SimResult, reconstruct_sim
from superlens.reconstruct.sim.quality import (
    angle_colours,
    checks_of,
    contrast_to_noise,
    max_to_min,
    modulation_colours,
)
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, Disturbance, RawFrames, ideal_pattern, simulate_sim

OBJECTIVE = sl.Objective(na=1.4, wavelength_nm=525)
DETECTION = Detection.of(OBJECTIVE, 65.0)
SIDE = 160


def frames_of(light: str = "two-beam", **disturbance: float) -> RawFrames:
    rng = np.random.default_rng(4)
    pattern = ideal_pattern(ARRANGEMENTS[light], 0.85 * DETECTION.cutoff, 0.7, rng)
    specimen = filaments((2 * SIDE + 64,) * 2, rng)
    return simulate_sim(
        specimen, pattern, DETECTION, photons=200, pixel_nm=65.0, rng=rng, margin=16, disturbance=Disturbance(**disturbance)
    )  # fmt: skip


def result_of(light: str = "two-beam", **disturbance: float) -> SimResult:
    return reconstruct_sim(frames_of(light, **disturbance).frames, OBJECTIVE)


@pytest.fixture(scope="module")
def plain() -> SimResult:
    return result_of()


def values(result: SimResult) -> dict[str, float | None]:
    made = checks_of(result, result.image.data, contrast_to_noise(result), None)
    return {one.name.split(": ")[-1]: one.value for one in made}


def test_bleaching_is_the_decay_and_the_variation(plain: SimResult) -> None:
    faded = values(result_of(bleaching=0.3))
    assert faded["total variation (TIV)"] == pytest.approx(30, abs=3)
    assert faded["decay"] == pytest.approx(30, abs=3)
    assert abs(values(plain)["decay"]) < 1


def test_a_specimen_that_moves_is_measured_and_coloured(plain: SimResult) -> None:
    moved = result_of(drift_px=3.0)
    assert values(moved)["motion"] == pytest.approx(
        3 * 6 / 8, abs=0.2
    )  # from the middle of the first angle to that of the last
    assert values(plain)["motion"] < 0.1

    def colour(result: SimResult) -> float:
        made = angle_colours(result)
        assert made is not None
        assert made[1] == ("cyan", "magenta", "yellow")
        return float(np.mean(np.ptp(made[0], axis=-1)) / np.mean(made[0]))

    assert colour(moved) > 2 * colour(plain)


def test_angles_that_are_alike_are_grey(plain: SimResult) -> None:
    alike = replace(
        plain,
        frames=np.broadcast_to(plain.frames[:1], plain.frames.shape),
        pattern=replace(plain.pattern, brightness=np.ones(9)),
    )
    colours, _ = angle_colours(alike)
    assert np.ptp(colours, axis=-1).max() < 1e-6
    brighter = alike.frames * np.repeat([1.0, 0.0, 0.0], 3)[:, None, None]
    one_angle, _ = angle_colours(replace(alike, frames=brighter))
    red, green, blue = one_angle.mean(axis=(0, 1))
    assert red < 0.02
    assert green == pytest.approx(blue)
    assert green > 0.02  # cyan


def test_colour_is_contrast_and_brightness_is_the_image() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((66, 70))
    low, bar = modulation_colours(image, np.zeros((16, 17)))
    high, _ = modulation_colours(image, np.full((16, 17), 99.0))
    np.testing.assert_allclose(low.max(axis=-1), high.max(axis=-1), atol=1e-9)
    bright = low.max(axis=-1) > 0.1
    np.testing.assert_allclose(
        low[bright] / low[bright].max(axis=-1, keepdims=True), np.broadcast_to(bar[0], (bright.sum(), 3))
    )
    np.testing.assert_allclose(
        high[bright] / high[bright].max(axis=-1, keepdims=True), np.broadcast_to(bar[-1], (bright.sum(), 3))
    )


def test_the_max_to_min_ratio_knows_neither_offset_nor_scale() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (200, 200))
    image[:4, :4] = 40.0
    image[-4:, -4:] = -10.0
    assert max_to_min(image) == pytest.approx(4, rel=0.05)
    assert max_to_min(100 + 7 * image) == pytest.approx(max_to_min(image), rel=1e-6)


def test_the_contrast_of_a_series_is_that_of_one_set(plain: SimResult) -> None:
    """Whose mean has less noise."""
    clean, rng = frames_of().clean, np.random.default_rng(1)
    data = np.concatenate([rng.poisson(0.1 * clean) for _ in range(4)]).astype(np.float32)
    image = sl.Image(data, "TYX", 65.0)
    together = contrast_to_noise(reconstruct_sim(image, OBJECTIVE, plain.pattern))
    alone = contrast_to_noise(reconstruct_sim(replace(image, data=data[:9]), OBJECTIVE, plain.pattern))
    assert np.percentile(together, 90) == pytest.approx(np.percentile(alone, 90), rel=0.05)


def test_the_page_has_the_checks_by_their_names(plain: SimResult) -> None:
    page = Page(plain.report)
    for words in (
        "Channel Intensity Profiles",
        "Motion & Illumination Variation",
        "Fourier Projection",
        "Modulation Contrast (MCNR)",
        "Reconstructed Intensity Histogram",
        "angle 1 cyan, angle 2 magenta, angle 3 yellow",
        "16 or more",
    ):
        assert words in page.words
    assert "motion" in page.values("id")


def test_a_pattern_with_all_angles_at_once_shows_no_motion_between_them() -> None:
    page = Page(result_of("lattice").report)
    assert "motion" not in page.values("id")
    assert "Motion &" not in page.words
    assert "Modulation Contrast (MCNR)" in page.words
