"""The simulated lessons of the start: what is shown and what is asked for belong together, and each batch is its number's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from superlens.networks import build
from superlens.observing.conditioning import CHANNELS
from superlens.optics import RESPONSES
from superlens.starts import images as pretraining
from superlens.starts import optics
from superlens.starts.images import PATCH, batches, calibrate, draw_example, pretrain
from superlens.starts.optics import Microscope
from superlens.starts.specimens import FINE as SIDE
from superlens.starts.specimens import specimens
from superlens.training import get_weights

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(scope="module")
def pool():
    return specimens(3, np.random.default_rng(0))


def test_specimens_are_finite_and_of_maximum_one(pool):
    assert pool.shape == (3, SIDE, SIDE)
    assert np.isfinite(pool).all()
    np.testing.assert_array_equal(pool.max((1, 2)), 1)


def test_example_has_the_shapes_that_the_network_takes(pool):
    conditioned, clean, sharp = draw_example(pool, np.random.default_rng(0))
    assert conditioned.shape == (PATCH, PATCH, CHANNELS)
    assert clean.shape == (PATCH, PATCH, 1)
    assert sharp.shape == (2 * PATCH, 2 * PATCH, 1)
    for part in (conditioned, clean, sharp):
        assert np.isfinite(part).all()


class Alone(np.random.Generator):
    """A generator by which nothing that happens by chance happens: one specimen, in focus, before a plain camera."""

    def random(self, *shape, **kind):
        return super().random(*shape, **kind) if shape else 0.999


def plainly(seed):
    return Alone(np.random.PCG64(seed))


def gaussian(fwhm, narrower=1.5):
    k = np.hypot(fft.fftfreq(SIDE)[:, None], fft.rfftfreq(SIDE)[None, :]).astype(np.float32)
    otf, target = optics.gauss_otf(fwhm * k), optics.gauss_otf(fwhm / narrower * k)
    return Microscope(otf, otf, target, fwhm, (0.0, 0.0))


def test_clean_image_is_the_sharp_one_through_the_optics(pool, monkeypatch):
    """Over the whole period and in network units: blurred by what separates the two PSFs, and binned."""
    monkeypatch.setattr(pretraining, "PATCH", SIDE // 2)
    microscope = gaussian(5)
    monkeypatch.setattr(Microscope, "draw", lambda rng: microscope)
    # A smooth specimen: a negative lobe of rounding would be cut off in the clean image only.
    _, clean, sharp = draw_example(pool, plainly(1))
    seen = fft.irfft2(fft.rfft2(sharp[..., 0].astype(float)) * (microscope.otf / microscope.target), (SIDE, SIDE))
    np.testing.assert_allclose(optics.bin_pixels(seen), clean[..., 0], atol=2e-4 * np.ptp(clean))


def test_flat_specimen_is_flat_in_both_answers(pool, monkeypatch):
    monkeypatch.setattr(pretraining, "a_specimen", lambda pool, rng: np.ones((SIDE, SIDE), np.float32))
    _, clean, sharp = draw_example(pool, np.random.default_rng(0))
    np.testing.assert_allclose(sharp, clean.mean(), atol=1e-4 * max(1, abs(clean.mean())))
    np.testing.assert_allclose(clean, clean.mean(), atol=1e-4 * max(1, abs(clean.mean())))


def test_stated_noise_is_the_noise(pool):
    """Channel 1 holds the noise of channel 0, within the error of a camera that was measured: 12 % of the variance, in the median."""
    ratios = []
    for seed in range(24):
        conditioned, clean, _ = draw_example(pool, plainly(seed))
        sigma = 10 ** (conditioned[..., 1] - 1)
        ratios.append(np.mean(((conditioned[..., 0] - clean[..., 0]) / sigma) ** 2))
    assert np.median(ratios) == pytest.approx(1, abs=0.15)
    assert 0.4 < min(ratios) < max(ratios) < 2.5


@pytest.mark.parametrize("seed", range(12))
def test_target_is_the_response_that_images_state_for_the_given_psf(seed):
    """target(6 k) = 0.9 given(6 k / narrower) + 0.1 given(1.5 k), with squeeze, halo and tails alike; a powered PSF aliases a little."""
    assert RESPONSES["YX"] == (1.5, 1.0, 0.1, 4.0)
    microscope = Microscope.draw(np.random.default_rng(seed))
    for one in (microscope.otf, microscope.given, microscope.target):
        assert one[0, 0] == pytest.approx(1, abs=1e-5)
    narrower = 1.5 * 2 ** microscope.scalars[0]
    assert 1.2 <= narrower <= 2.5
    frequencies = np.arange(SIDE // 2)
    for axis in (0, 1):
        given, target = (np.moveaxis(one, axis, 0)[: SIDE // 2, 0] for one in (microscope.given, microscope.target))
        expected = 0.9 * np.interp(frequencies / narrower, frequencies, given) + 0.1 * np.interp(
            frequencies / 4, frequencies, given
        )
        np.testing.assert_allclose(target, expected, atol=0.03)


def test_the_given_psf_is_right_in_half_of_the_microscopes_and_never_far_off():
    """Widths are read where the transfer falls to one half."""
    off = []
    for seed in range(60):
        microscope = Microscope.draw(np.random.default_rng(seed))
        width = 7.0 * 2 ** microscope.scalars[1]  # fine pixels
        off.append(width / microscope.fwhm)
    assert 0.3 < np.mean(np.isclose(off, 1)) < 0.7
    assert 0.69 < min(off) < max(off) < 1.31


def test_airy_transfer_is_the_autocorrelation_of_a_disc():
    """Closed form against the overlap of two discs, counted on a grid; nothing beyond the cutoff."""
    side = 801
    y, x = np.indices((side, side)) - side // 2
    disc = x**2 + y**2 <= 200**2
    for shift in (0, 80, 200, 320):
        overlap = (disc & np.roll(disc, shift, 1)).sum() / disc.sum()
        assert float(optics.airy_otf(np.float32(shift / 400))) == pytest.approx(overlap, abs=5e-3)
    assert not optics.airy_otf(np.array([1.0, 1.5, 3.0], np.float32)).any()


def test_gaussian_transfer_has_the_width_it_states():
    """A Gaussian PSF of 6 pixels falls to half at 3."""
    k = np.hypot(fft.fftfreq(SIDE)[:, None], fft.rfftfreq(SIDE)[None, :])
    psf = fft.irfft2(optics.gauss_otf(6 * k), (SIDE, SIDE))
    assert psf[0, 3] / psf[0, 0] == pytest.approx(0.5, abs=1e-3)


def test_batch_depends_on_seed_and_number_alone(pool):
    """A run that goes on at step 1 sees what an unbroken one saw; the worker process counts for nothing."""
    whole = list(batches(pool, size=1, seed=4, steps=3, workers=1))
    later = list(batches(pool, size=1, seed=4, steps=3, workers=1, start=1))
    for a, b in zip(whole[1:], later, strict=True):
        np.testing.assert_array_equal(a.conditioned, b.conditioned)
        np.testing.assert_array_equal(a.sharp, b.sharp)
    assert not np.array_equal(whole[0].clean, whole[1].clean)


@pytest.fixture
def slim(monkeypatch):
    """The light network at an eighth of its width."""
    monkeypatch.setattr(pretraining, "build", lambda name, config: build(name, {**config, "widths": (4, 4, 4)}))


@pytest.mark.slow
def test_pretraining_takes_steps_and_calibration_leaves_the_weights(slim):
    network, history = pretrain(steps=2, batch=1, count=2, workers=1)
    assert [r.step for r in history.records] == [2]
    assert np.isfinite(history.records[0].loss)
    before = get_weights(network)
    spread = calibrate(network, steps=2, batch=1, count=2, workers=1)
    assert 0 < spread < np.inf
    for a, b in zip(before, get_weights(network), strict=True):
        np.testing.assert_array_equal(a, b)
