"""Still scenes pass whatever the light and the stated gain, and what moves by more than its noise hides is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from superlens.camera import Camera, check_stillness
from superlens.errors import SuperlensError
from superlens.observing.observation import noise_sigma

CAMERA = Camera(2.0, 100.0, 1.5)


def movie(shift: float, photons: float, seed: int, *, moving: float = 1.0, gain: float = 2.0):
    """Six frames of blurred points, a share of which goes along x by so many pixels a frame; counts above the offset, and their noise."""
    rng = np.random.default_rng(seed)
    points = (rng.random((64, 64)) < 0.02).astype(float)
    chosen = rng.random(points.shape) < moving
    rest, carried = (ndimage.gaussian_filter(points * part, 1.7, mode="wrap") for part in (~chosen, chosen))
    frames = []
    for t in range(6):
        moved = np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(carried), (0, shift * t))).real
        expected = np.maximum(rest + moved, 0) / 0.06 * photons + 5
        frames.append(CAMERA.expose(rng.poisson(expected), rng, bits=16))
    counts = np.stack(frames).astype(np.float32) - 100
    return counts, noise_sigma(counts, Camera(gain, 100.0, 1.5))


@pytest.mark.parametrize("photons", [10, 50, 200])
@pytest.mark.parametrize("gain", [1.5, 2.0, 3.0])
def test_a_still_scene_is_still_whatever_light_and_stated_gain(photons: float, gain: float) -> None:
    found = [check_stillness(*movie(0, photons, seed, gain=gain)) for seed in range(5)]
    assert all(one.still for one in found)
    assert np.mean([one.ratio for one in found]) == pytest.approx(1, abs=0.06)  # 5 x 1,280 blocks: 0.02 by chance


@pytest.mark.parametrize(("shift", "photons", "moving"), [(1, 20, 1), (0.5, 50, 1), (1, 50, 0.1), (3, 200, 0.1)])
def test_motion_is_found(shift: float, photons: float, moving: float) -> None:
    for seed in range(3):
        assert not check_stillness(*movie(shift, photons, seed, moving=moving)).still


def test_motion_shows_the_more_the_faster_it_is() -> None:
    ratios = [check_stillness(*movie(shift, 50, 0)).ratio for shift in (0, 0.3, 1, 3)]
    assert ratios == sorted(ratios)


def test_the_frame_after_which_something_happens_is_named() -> None:
    counts, sigma = movie(0, 50, 0)
    counts[4:, 20:40, 20:40] += 60
    found = check_stillness(counts, sigma)
    assert not found.still and found.frame == 3


def test_change_as_fine_as_a_pixel_is_found_by_the_stated_noise() -> None:
    rng = np.random.default_rng(0)
    frames = [CAMERA.expose(rng.poisson(20 + 200 * rng.random((64, 64))), rng, bits=16) for _ in range(3)]
    counts = np.stack(frames).astype(np.float32) - 100
    found = check_stillness(counts, noise_sigma(counts, CAMERA))
    assert found.ratio < found.limit and not found.still


def test_bad_pixels_are_left_out() -> None:
    counts, sigma = movie(0, 50, 0)
    bad = np.zeros(counts.shape, bool)
    counts[2, 10:14, 30] = 1e5
    bad[2, 10:14, 30] = True
    assert not check_stillness(counts, sigma).still
    assert check_stillness(counts, sigma, bad).still


def test_one_frame_has_no_neighbour() -> None:
    counts, sigma = movie(0, 50, 0)
    with pytest.raises(SuperlensError, match="1 frame"):
        check_stillness(counts[:1], sigma[:1])
