"""Cameras against closed forms: the mean and variance of an exposure, the photon-transfer line."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.camera import Camera, estimate_camera


@pytest.mark.parametrize(("gain", "offset", "read_noise"), [(1.0, 100.0, 0.0), (0.46, 100.0, 1.6), (4.0, 400.0, 6.0)])
@pytest.mark.parametrize("photons", [0.0, 0.7, 25.0, 900.0])
def test_an_exposure_has_the_mean_and_variance_of_its_camera(
    gain: float, offset: float, read_noise: float, photons: float
) -> None:
    camera = Camera(gain, offset, read_noise)
    counts = camera.expose(np.full(200_000, photons), np.random.default_rng(3)).astype(float)
    expected = camera.variance(gain * photons)
    # Five standard errors of a mean and of a variance (Poisson kurtosis 1 / photons included).
    assert counts.mean() == pytest.approx(offset + gain * photons, abs=5 * np.sqrt(expected / counts.size) + 1e-4)
    tail = np.sqrt((2 + 1 / max(photons, 0.1)) / counts.size)
    assert counts.var() == pytest.approx(expected, rel=5 * tail, abs=1e-6)


def test_the_photon_transfer_plot_of_a_ramp_is_the_line_of_its_camera() -> None:
    camera = Camera(2.0, 100.0, 2.0)
    ramp = np.linspace(0, 300, 512)[None, :].repeat(256, 0)
    estimate = estimate_camera(camera.expose(ramp, np.random.default_rng(0)), offset=100.0)
    # A class holds from 500 to 8,000 pixels, of which 7 share their residual: a standard error of 4 to 17 %, here two of the largest.
    np.testing.assert_allclose(estimate.variances, camera.variance(estimate.means - 100.0), rtol=0.35)
    assert estimate.camera.gain == pytest.approx(2.0, rel=0.04)
    assert estimate.camera.read_noise_e == pytest.approx(2.0, abs=1.5)
    assert estimate.verdict == "plausible"
    assert estimate.notes == ()


@pytest.mark.parametrize("frames", [4, 16])
def test_the_mean_of_frames_has_the_gain_of_a_frame_divided_by_their_number(frames: int) -> None:
    camera = Camera(2.0, 100.0, 1.0)
    ramp = np.linspace(0, 200, 256)[None, :].repeat(256, 0)
    rng = np.random.default_rng(1)
    mean = np.mean([camera.expose(ramp, rng) for _ in range(frames)], axis=0)
    assert estimate_camera(mean, offset=100.0).camera.gain == pytest.approx(2.0 / frames, rel=0.06)
