"""The simulated lessons of the start for structured illumination: what is shown is what a user's reconstruction shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from superlens.observing.conditioning import CHANNELS
from superlens.reconstruct.sim.spectrum import grid_of
from superlens.starts import structured
from superlens.starts.specimens import FINE, specimens
from superlens.starts.structured import PATCH, Illuminated, batches, draw_field


@pytest.fixture(scope="module")
def pool():
    return specimens(3, np.random.default_rng(0))


class Certain(np.random.Generator):
    """A generator by which nothing that happens by chance happens, and nothing is off."""

    def random(self, *shape, **kind):
        return super().random(*shape, **kind) if shape else 0.999

    def normal(self, loc=0.0, scale=1.0, size=None):
        return super().normal(loc, 0 * np.asarray(scale), size)


def certain(seed):
    return Certain(np.random.PCG64(seed))


def test_field_has_the_shapes_that_the_network_takes(pool):
    conditioned, clean, sharp = draw_field(pool, np.random.default_rng(0))
    assert conditioned.shape == (4, PATCH, PATCH, CHANNELS)
    assert clean.shape == sharp.shape == (4, PATCH, PATCH, 1)
    for part in (conditioned, clean, sharp):
        assert np.isfinite(part).all()


@pytest.mark.parametrize("seed", range(4))
def test_frames_without_noise_reconstruct_to_the_specimen_through_the_transfer_function(seed):
    """Where the pattern is known exactly: the same by the operator and in closed form, up to a level that hangs on the size of the field."""
    microscope = Illuminated.draw(certain(seed))
    assert microscope.optics.spectrum.detection == microscope.detection
    bump = np.random.default_rng(seed).random((FINE, FINE))
    y, x = (np.abs(np.arange(FINE) - FINE / 2 + 0.5) for _ in range(2))
    inside = np.clip((96 - np.maximum(y[:, None], x)) / 24, 0, 1)  # dark at the border, where the pattern breaks off
    spectrum = fft.rfft2(bump * inside)
    made = microscope.optics.operator((FINE // 2,) * 2).apply(microscope.frames(spectrum))
    expected = fft.irfft2(spectrum * microscope.optics.spectrum.transfer(*grid_of((FINE, FINE))), (FINE, FINE))
    inner = (slice(48, -48),) * 2
    made, expected = made[inner] - made[inner].mean(), expected[inner] - expected[inner].mean()
    np.testing.assert_allclose(made, expected, atol=5e-3 * np.ptp(expected))


def test_even_light_is_even_in_both_answers(pool, monkeypatch):
    monkeypatch.setattr(structured, "a_specimen", lambda pool, rng: np.ones((FINE, FINE), np.float32))
    _, clean, sharp = draw_field(pool, np.random.default_rng(3))
    assert np.ptp(clean) < 2e-3 * max(1, abs(float(clean.mean())))
    np.testing.assert_allclose(sharp, clean, atol=2e-3 * max(1, abs(float(clean.mean()))))


def test_stated_noise_is_the_noise(pool):
    """Channel 1 holds the noise of channel 0, within the error of a camera that was measured, in the median."""
    ratios = []
    for seed in range(12):
        conditioned, clean, _ = draw_field(pool, certain(seed))
        sigma = 10 ** (conditioned[..., 1] - 1)
        ratios.append(np.mean(((conditioned[..., 0] - clean[..., 0]) / sigma) ** 2))
    assert np.median(ratios) == pytest.approx(1, abs=0.2)


def test_one_microscope_in_two_is_known_to_a_few_percent_and_none_is_far_off():
    off = []
    for seed in range(60):
        one = Illuminated.draw(np.random.default_rng(seed))
        if one.foreign:
            continue
        told = one.optics.spectrum.pattern
        off += [a.modulation / b.modulation for a, b in zip(told.orders, one.pattern.orders, strict=True)]
    assert np.median(np.abs(np.log(off))) < 0.08
    assert np.abs(np.log(off)).max() < 0.7


def test_batch_depends_on_seed_and_number_alone(pool):
    whole = list(batches(pool, size=4, seed=4, steps=2, workers=1))
    later = list(batches(pool, size=4, seed=4, steps=2, workers=1, start=1))
    np.testing.assert_array_equal(whole[1].conditioned, later[0].conditioned)
    np.testing.assert_array_equal(whole[1].sharp, later[0].sharp)
    assert not np.array_equal(whole[0].clean, whole[1].clean)
