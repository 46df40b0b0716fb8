"""What the network is told: the same for the same picture in other units, and the same in training and in prediction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, ndimage

from superlens.observing.conditioning import BANK_RADIUS, CHANNELS, REGULARISATION, Normaliser, WienerBank, condition
from superlens.optics import PSF, RESPONSES, Objective
from superlens.starts import optics as pretraining
from superlens.starts.optics import Microscope
from superlens.starts.specimens import FINE

FACTOR = RESPONSES["YX"].lateral
PSF_FINE = PSF.gaussian(6.0, 1.0)
BANK = WienerBank.from_psf(PSF_FINE.data, PSF_FINE.narrowed(1.5).data, scale=2)


def picture(shape=(40, 44), seed=0):
    """Counts of 100 photons on a background of 20, and the standard deviation of their noise."""
    rng = np.random.default_rng(seed)
    clean = 20 + 100 * ndimage.gaussian_filter(rng.random(shape) ** 8, 2)
    counts = rng.poisson(clean).astype(np.float32)
    sigma = np.sqrt(ndimage.uniform_filter(counts, 5)).astype(np.float32)
    return counts, sigma


def measured(counts, sigma):
    return Normaliser.measure(ndimage.uniform_filter(counts, 5), sigma)


@settings(max_examples=30, deadline=None)
@given(offset=st.floats(-1e3, 1e3), gain=st.floats(1e-2, 1e2))
def test_channels_do_not_depend_on_offset_and_gain(offset, gain):
    counts, sigma = picture()
    other, other_sigma = (counts * gain + offset).astype(np.float32), (sigma * gain).astype(np.float32)
    before = condition(counts, sigma, measured(counts, sigma), BANK)
    after = condition(other, other_sigma, measured(other, other_sigma), BANK)
    rounding = (
        8 * np.finfo(np.float32).eps * (abs(offset) + gain * counts.max()) / (gain * measured(counts, sigma).contrast)
    )
    np.testing.assert_allclose(after, before, atol=1e-5 + 10 * rounding)


@settings(max_examples=30, deadline=None)
@given(level=st.floats(-1e4, 1e4), contrast=st.floats(1e-2, 1e4))
def test_normaliser_is_undone_exactly(level, contrast):
    normaliser = Normaliser(level, contrast)
    counts = (level + contrast * np.random.default_rng(0).normal(size=(8, 8))).astype(np.float32)
    rounding = np.finfo(np.float32).eps * (abs(level) + 4 * contrast)
    np.testing.assert_allclose(normaliser.backward(normaliser.forward(counts)), counts, rtol=0, atol=4 * rounding)


def test_contrast_is_never_below_half_the_noise():
    flat, sigma = np.full((16, 16), 5, np.float32), np.full((16, 16), 4, np.float32)
    assert Normaliser.measure(flat, sigma).contrast == pytest.approx(2)
    assert np.isfinite(condition(flat, 0 * sigma, Normaliser.measure(flat, 0 * sigma), BANK)).all()


def test_channels_in_their_order():
    counts, sigma = picture()
    normaliser = measured(counts, sigma)
    channels = condition(counts, sigma, normaliser, BANK)
    assert channels.shape == (40, 44, CHANNELS)
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(channels[..., 0], normaliser.forward(counts))
    np.testing.assert_allclose(channels[..., 1], 1 + np.log10(sigma / normaliser.contrast), atol=1e-6)
    np.testing.assert_array_equal(channels[..., 2:-2], BANK.apply(channels[..., 0]))


@pytest.mark.parametrize("scale", [1, 2])
def test_bank_of_a_point_psf_divides_by_one_plus_the_regularisation(scale):
    """With PSF and target a point and no camera pixel (scale 1), the Wiener filter is a constant; its kernel is a point of that height.

    At scale 2 the box of the camera pixel stays in: at zero frequency it is one, and the sum of the kernel is the same constant, but
    for the taper that cuts the tail off.
    """
    point = np.ones((1, 1))
    bank = WienerBank.from_psf(point, point, scale=scale)
    for kernel, weight in zip(bank.kernels, REGULARISATION, strict=True):
        assert kernel.sum() == pytest.approx(1 / (1 + weight), rel=2e-2 if scale == 2 else 1e-5)
        if scale == 1:
            expected = np.zeros_like(kernel)
            expected[BANK_RADIUS, BANK_RADIUS] = 1 / (1 + weight)
            np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_kernels_of_a_symmetric_psf_are_symmetric():
    for kernel in BANK.kernels:
        for same in (kernel[::-1], kernel[:, ::-1], kernel.T):
            np.testing.assert_allclose(same, kernel, atol=1e-6)


def test_weaker_regularisation_sharpens_more():
    peaks = [kernel.max() for kernel in BANK.kernels]
    assert peaks == sorted(peaks)
    assert peaks[-1] > 1.5 * peaks[0]


def test_bank_undoes_an_asymmetric_psf():
    """A shifted PSF gives filters that shift back: the filter is the inverse, not another blur of the same side."""
    shifted = np.zeros((9, 9))
    shifted[2:7, 4:9] = PSF.gaussian(3.0, 1.0, shape=(5, 5)).data
    centred = np.roll(shifted, -2, axis=1)
    back = WienerBank.from_psf(shifted, centred, scale=1).kernels
    still = WienerBank.from_psf(centred, centred, scale=1).kernels
    inner = slice(6, -6)  # further out the taper, which does not move along, cuts differently
    np.testing.assert_allclose(
        back[:, inner, inner], np.roll(still, -2, axis=2)[:, inner, inner], atol=0.05 * still.max()
    )


def test_bank_takes_psfs_of_any_odd_sides():
    """Zeros around a PSF change nothing, on whichever side they are."""
    target = PSF_FINE.narrowed(1.5).data
    wide = WienerBank.from_psf(np.pad(PSF_FINE.data, [(0, 0), (6, 6)]), np.pad(target, [(4, 4), (0, 0)]), scale=2)
    np.testing.assert_allclose(wide.kernels, BANK.kernels, atol=1e-6)
    huge = WienerBank.from_psf(np.pad(PSF_FINE.data, 80), target, scale=2)
    np.testing.assert_allclose(huge.kernels, BANK.kernels, atol=2e-3)  # on a finer grid of frequencies


def test_filtering_is_convolution_with_mirrored_edges():
    plane = np.random.default_rng(0).normal(size=(21, 34)).astype(np.float32)
    expected = [ndimage.convolve(plane, kernel, mode="reflect") for kernel in BANK.kernels]
    np.testing.assert_allclose(np.moveaxis(BANK.apply(plane), -1, 0), expected, atol=2e-5)


def test_tile_and_whole_have_the_same_channels():
    counts, sigma = picture((80, 84))
    normaliser = measured(counts, sigma)
    whole = condition(counts, sigma, normaliser, BANK)
    part = condition(counts[10:60, 20:70], sigma[10:60, 20:70], normaliser, BANK)
    r = BANK_RADIUS
    np.testing.assert_allclose(part[r:-r, r:-r], whole[10 + r : 60 - r, 20 + r : 70 - r], atol=2e-5)


def as_array(otf, side):
    """The PSF of a half-plane transfer function on a periodic grid, cut to an odd array."""
    size = otf.shape[0]
    psf = np.roll(fft.irfft2(otf, (size, size)), (side // 2, side // 2), axis=(0, 1))[:side, :side]
    return np.asarray(psf, np.float64)


def transfers(kind, fwhm):
    """Transfer functions of a PSF and of the same PSF 1.5 times narrower, on the periodic grid of the pretraining."""
    size = FINE
    k = np.hypot(fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]).astype(np.float32)
    if kind == "gaussian":
        return [pretraining.gauss_otf(k * width) for width in (fwhm, fwhm / FACTOR)]
    return [pretraining.airy_otf(k * width / 1.02) for width in (fwhm, fwhm / FACTOR)]


@pytest.mark.parametrize(("kind", "fwhm"), [("gaussian", 4.0), ("gaussian", 8.0), ("airy", 4.0), ("airy", 8.0)])
def test_pretraining_and_prediction_see_the_same_channels(kind, fwhm):
    """The simulated, periodic path and the path of a real image, in the same optics, away from the border.

    The PSF is cut to 127 fine pixels and the filters are made on grids of 64 and of 128 camera pixels: what differs is the far tail of
    an Airy pattern and of the least regularised filter, below a thousandth of the range of each channel.
    """
    otf, target = transfers(kind, fwhm)
    rng = np.random.default_rng(0)
    specimen = ndimage.gaussian_filter(rng.random((FINE,) * 2) ** 16, 1, mode="wrap")
    clean = pretraining.bin_pixels(fft.irfft2(fft.rfft2(specimen) * otf, specimen.shape))
    noisy = rng.poisson(200 * np.maximum(clean, 0) / clean.max()).astype(np.float32)
    sigma = np.sqrt(ndimage.uniform_filter(noisy, 5, mode="wrap")).astype(np.float32)
    normaliser = measured(noisy, sigma)
    trained = pretraining.condition_periodic(noisy, sigma, normaliser, Microscope(otf, otf, target, fwhm, (0.3, -0.2)))
    bank = WienerBank.from_psf(as_array(otf, 127), as_array(target, 127), scale=2, scalars=(0.3, -0.2))
    seen = condition(noisy, sigma, normaliser, bank)
    inner = slice(BANK_RADIUS, -BANK_RADIUS)
    for channel in range(CHANNELS):
        a, b = trained[inner, inner, channel], seen[inner, inner, channel]
        assert np.abs(a - b).max() <= 1e-3 * np.ptp(a), channel


def test_pretraining_spans_the_filters_of_a_real_objective():
    """The filters of an objective in use lie within what the random optics of the pretraining give."""
    psf = Objective(na=1.3, wavelength_nm=525).psf(62.6 / 2)
    real = WienerBank.from_psf(psf.data, psf.narrowed(FACTOR).data, scale=2).kernels
    otf, target = transfers("airy", psf.fwhm_nm / psf.pixel_nm)
    like = WienerBank.from_psf(as_array(otf, 127), as_array(target, 127), scale=2).kernels
    for kernel, other in zip(real, like, strict=True):
        assert np.linalg.norm(kernel - other) < 0.3 * np.linalg.norm(other)
