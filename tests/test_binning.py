"""Working on bins: when, what becomes of light and noise, and that what comes back has the sampling that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import tiny
from superlens.enhancing import enhance
from superlens.image import Image
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.observing.binning import (
    bin_counts,
    bin_variance,
    binned,
    bins_for,
    error_factor,
    interpolated,
    variance_factor,
)
from superlens.observing.observation import observe
from superlens.training import get_weights


def recorded(shared=0.0, side=192, seed=0):
    rng = np.random.default_rng(seed)
    clean = 60 * ndimage.gaussian_filter(rng.random((side, side)) ** 30, 5) / 0.02 + 40
    noise = rng.normal(0, np.sqrt(clean))
    if shared:
        noise = ndimage.gaussian_filter(noise, shared)
        noise *= np.sqrt(clean.mean()) / noise.std()
    return Image((clean + noise + 100).astype(np.float32), "YX", pixel_nm=50.0)


@pytest.mark.parametrize("bins", [1, 2, 4])
def test_bins_keep_the_mean_and_interpolation_gives_back_what_is_smooth(bins):
    y, x = np.mgrid[:64, :64]
    smooth = 5 + np.cos(2 * np.pi * (x + 0.5) / 64) * np.sin(2 * np.pi * (y + 0.5) / 64)
    small = bin_counts(smooth, bins)
    assert small.mean() == pytest.approx(smooth.mean(), rel=1e-6)
    inner = (slice(8, -8),) * 2
    np.testing.assert_allclose(interpolated(small, bins)[inner], smooth[inner], atol=0.02)


@pytest.mark.parametrize("bins", [2, 4])
def test_the_noise_of_a_bin_is_what_its_pixels_leave(bins):
    """Closed form for white noise, for noise that all pixels share, and against drawn noise."""
    assert variance_factor(None, bins) == pytest.approx(1 / bins**2)
    assert variance_factor(np.ones((9, 9)), bins) == pytest.approx(1)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    row = np.correlate([1, 2, 1], [1, 2, 1], "full") / 6
    covariance = np.outer(row, row)
    noise = ndimage.convolve(np.random.default_rng(0).normal(size=(512, 512)), kernel, mode="wrap")
    found = bin_counts(noise, bins).var() / noise.var()
    assert found == pytest.approx(variance_factor(covariance, bins), rel=0.05)


def test_white_noise_and_a_usual_psf_are_left_as_they_are():
    assert bins_for(observe([recorded()]), 4.0) == 1
    assert bins_for(observe([recorded()]), None) == 1


def test_a_wide_psf_is_binned_until_a_network_has_seen_such():
    seen = observe([recorded()])
    assert [bins_for(seen, fwhm) for fwhm in (7.0, 10.5, 22.0)] == [1, 2, 4]


def test_shared_noise_is_binned_as_far_as_the_psf_allows():
    seen = observe([recorded(shared=0.9)])
    assert bins_for(seen, None) > 1
    assert bins_for(seen, 9.0) > 1
    assert bins_for(seen, 3.0) == 1


@pytest.mark.parametrize(("fwhm", "bins"), [(3.3, 1), (10.0, 2)])
def test_without_optics_the_image_says_how_fine_it_is_before_it_is_binned_for_its_noise(fwhm, bins):
    """Two images whose neighbours share the same noise: points through a narrow blur are kept as they are, through a wide one binned."""
    rng = np.random.default_rng(3)
    clean = ndimage.gaussian_filter((rng.random((256, 256)) ** 200) * 300 * fwhm**2, fwhm / 2.355, mode="wrap") + 20
    noise = ndimage.gaussian_filter(rng.normal(0, np.sqrt(clean)), 0.7, mode="wrap") * 2
    image = Image((clean + noise + 100).astype(np.float32), "YX", pixel_nm=50.0)
    prepared = prepare([image], None, ZSDeconvConfig.of("fast", denoise_only=True))
    assert not prepared.observations[0].noise.independent
    assert (prepared.bins == 1) == (bins == 1)


def test_errors_grow_with_what_neighbours_share_and_less_between_bins():
    white, some, much = (observe([recorded(shared=width)]) for width in (0.0, 0.5, 0.9))
    assert error_factor(white, 1) == 1
    assert 1.1 < error_factor(some, 1) < error_factor(much, 1) < 2
    assert error_factor(much, 4) < error_factor(much, 1)


def test_a_small_image_keeps_its_pixels():
    assert bins_for(observe([recorded(side=48)]), 20.0) == 1


def test_a_binned_observation_states_its_own_noise():
    """Deviation, camera and pixel size are those of bins; binned noise is as large as is said."""
    (seen,) = observe([recorded()])
    half = binned(seen, 2)
    assert half.image.pixel_nm == 100.0
    assert half.counts.mean() == pytest.approx(seen.counts.mean(), rel=1e-3)
    again = np.sqrt(half.camera.variance(np.maximum(half.counts, 0)))
    assert np.median(again / half.sigma) == pytest.approx(1, abs=0.1)
    assert binned(seen, 1) is seen


def test_bins_show_shared_noise_that_differences_of_near_pixels_miss():
    """Noise shared by near pixels and, a little, by farther ones; without the latter bins add nothing to what near pixels say."""
    rng = np.random.default_rng(3)
    clean = 60 * ndimage.gaussian_filter(rng.random((256, 256)) ** 30, 8) / 0.02 + 140
    near, far = (ndimage.gaussian_filter(rng.normal(size=clean.shape), width) for width in (0.7, 1.5))
    noise = 8 * near / near.std()
    for also, grows in ((np.zeros_like(far), 1.1), (7 * far / far.std(), 1.5)):
        (seen,) = observe([Image((clean + noise + also).astype(np.float32), "YX", pixel_nm=50.0)])
        stated, found = variance_factor(seen.noise.shared, 4), bin_variance([seen], 4)
        true = float(np.var(bin_counts(noise + also, 4)) / np.mean(seen.sigma**2))
        assert stated <= found < 1.3 * true  # what near pixels say is right to a quarter
        assert (found > grows * stated) == also.any()


def test_an_image_whose_neighbours_share_much_noise_is_not_fine_tuned_and_says_so():
    """The weights are those of the start; asked for from random weights, it learns."""
    white, much = recorded(side=96), recorded(shared=0.9, side=96)
    config = ZSDeconvConfig.of("fast", steps=2, batch=1, patch=32, flips=1, denoise_only=True)
    assert [prepare([image], None, config).steps for image in (white, much)] == [2, 0]
    assert prepare([much], None, config.with_changes({"from_scratch": True})).steps == 2
    start = tiny.start()
    result = enhance(much, config=config, start=start)
    assert any("share so much noise" in said for said in result.messages)
    for kept, begun in zip(get_weights(result.model.network), get_weights(start.network), strict=True):
        np.testing.assert_array_equal(kept, begun)
