"""Laws of each measure first, then agreement with an independent library or a closed form."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage import measure
from skimage import metrics as other

from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.metrics import (
    BlurWidth,
    blur_width,
    decorrelation_resolution,
    dip_between_peaks,
    flux_ratio,
    frc,
    frc_resolution,
    line_profile,
    linear_fit,
    nrmse,
    power_spectrum_radial,
    psnr,
    psnr_fitted,
    residual_whiteness,
    rsp_rse,
    ssim,
)
from superlens.optics import PSF, Objective
from superlens.simulate import STRUCTURES, expose, volumes


def texture(side=64, sigma=2.0, seed=0):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), sigma, mode="wrap")
    return 100 + 20 * field / field.std()


def noise(shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape)


def bandlimited(side, cutoff, seed=0):
    """White up to `cutoff` cycles per pixel, nothing beyond."""
    spectrum = np.fft.fft2(noise((side, side), seed))
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side))
    return np.fft.ifft2(np.where(radius <= cutoff, spectrum, 0)).real


class TestPsnr:
    def test_equal_images_have_no_noise(self):
        assert psnr(texture(), texture()) == math.inf

    def test_a_shift_by_a_tenth_of_the_peak_is_twenty_decibels(self):
        image = texture()
        assert psnr(image, image + image.max() / 10) == pytest.approx(20)

    @given(gain=st.floats(0.01, 100), offset=st.floats(-50, 50))
    @settings(max_examples=30, deadline=None)
    def test_scaling_both_changes_nothing_and_a_common_shift_only_the_peak(self, gain, offset):
        a, b = texture(16), texture(16) + noise((16, 16))
        assert psnr(gain * a, gain * b) == pytest.approx(psnr(a, b))
        assert psnr(a + offset, b + offset, peak=a.max()) == pytest.approx(psnr(a, b))

    def test_agrees_with_scikit_image(self):
        a, b = texture(), texture() + noise((64, 64))
        assert psnr(a, b) == pytest.approx(other.peak_signal_noise_ratio(a, b, data_range=a.max()))

    def test_halving_the_noise_gains_six_decibels(self):
        a, e = texture(), noise((64, 64))
        assert psnr(a, a + e / 2) - psnr(a, a + e) == pytest.approx(20 * math.log10(2))


class TestLinearFit:
    @given(gain=st.floats(0.01, 100), offset=st.floats(-500, 500))
    @settings(max_examples=30, deadline=None)
    def test_undoes_gain_and_offset(self, gain, offset):
        reference = texture(16)
        np.testing.assert_allclose(linear_fit(gain * reference + offset, reference), reference, rtol=1e-6)

    def test_agrees_with_polyfit(self):
        a, b = texture(), texture(seed=1) + 0.3 * texture()
        np.testing.assert_allclose(linear_fit(b, a), np.polyval(np.polyfit(b.ravel(), a.ravel(), 1), b))

    def test_constant_becomes_the_mean(self):
        np.testing.assert_allclose(linear_fit(np.ones((4, 4)), np.arange(16.0).reshape(4, 4)), 7.5)

    def test_fitted_psnr_is_never_below_the_raw_one(self):
        a, b = texture(), 0.7 * texture() + noise((64, 64)) + 9
        assert psnr_fitted(a, b) > psnr(a, b)


class TestNrmse:
    @pytest.mark.parametrize(("kind", "theirs"), [("range", "min-max"), ("mean", "mean"), ("euclidean", "euclidean")])
    def test_agrees_with_scikit_image(self, kind, theirs):
        a, b = texture(), texture() + noise((64, 64), scale=3)
        assert nrmse(a, b, kind) == pytest.approx(other.normalized_root_mse(a, b, normalization=theirs))

    def test_unknown_kind_is_named(self):
        with pytest.raises(SuperlensError, match="kind is 'max'"):
            nrmse(texture(), texture(), "max")


class TestSsim:
    @pytest.mark.parametrize("shape", [(40, 33), (14, 20, 17)])
    def test_agrees_with_scikit_image(self, shape):
        a = ndimage.gaussian_filter(noise(shape, 1, 50), 1.5)
        b = a + noise(shape, 2, 2)
        theirs = other.structural_similarity(
            a, b, data_range=40, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim(a, b, data_range=40) == pytest.approx(theirs, abs=1e-9)

    def test_is_symmetric_and_one_for_equal_images(self):
        a, b = texture(), texture(seed=1)
        assert ssim(a, b, 100) == pytest.approx(ssim(b, a, 100))
        assert ssim(a, a, 100) == 1

    def test_small_images_are_refused_with_the_limit(self):
        with pytest.raises(SuperlensError, match="at least 11"):
            ssim(np.eye(8), np.eye(8), 1)


class TestFrc:
    def test_with_itself_is_one_everywhere(self):
        np.testing.assert_allclose(frc(texture(), 3 * texture() + 7, 100).correlation, 1)

    def test_of_independent_noise_is_zero_within_chance(self):
        curve = frc(noise((64, 64), 1), noise((64, 64), 2), 100)
        scores = curve.correlation * np.sqrt(curve.counts / 2)
        assert np.abs(scores).max() < 6  # the window correlates neighbours: about twice the spread of independent ones
        assert abs(np.average(curve.correlation, weights=curve.counts)) < 0.06

    def test_follows_signal_over_signal_and_noise(self):
        signal = bandlimited(128, 0.5)
        curve = frc(signal + noise(signal.shape, 1, 0.5), signal + noise(signal.shape, 2, 0.5), 100)
        inner = curve.frequency_per_um < 4.8
        expected = 1 / (1 + 0.25 * 1.0)
        assert np.average(curve.correlation[inner], weights=curve.counts[inner]) == pytest.approx(expected, abs=0.03)

    def test_frequencies_end_at_nyquist_for_any_shape(self):
        curve = frc(noise((48, 80)), noise((48, 80)), 50)
        assert curve.frequency_per_um[-1] == pytest.approx(10)
        assert curve.frequency_per_um.shape == curve.correlation.shape == curve.counts.shape == (24,)

    @pytest.mark.parametrize("cutoff", [0.15, 0.25, 0.35])
    def test_resolution_is_the_cutoff_of_the_common_structure(self, cutoff):
        common = bandlimited(256, cutoff)
        common /= common.std()
        found = frc_resolution(common + noise(common.shape, 1), common + noise(common.shape, 2), pixel_nm=50)
        assert found == pytest.approx(50 / cutoff, rel=0.08)

    def test_resolution_scales_with_the_pixel(self):
        a, b = (texture() + noise((64, 64), i, 5) for i in (1, 2))
        assert frc_resolution(a, b, 130) == pytest.approx(1.3 * frc_resolution(a, b, 100))

    def test_limits(self):
        assert frc_resolution(texture(), texture(), 100) == 200
        assert frc_resolution(noise((64, 64), 3), -noise((64, 64), 3), 100) == math.inf

    def test_power_spectrum_of_white_noise_is_its_variance(self):
        frequency, power = power_spectrum_radial(noise((96, 80), scale=3), 100)
        assert power.mean() == pytest.approx(9, rel=0.1)
        assert power[-10:].mean() == pytest.approx(9, rel=0.1)

    def test_power_spectrum_peaks_at_the_period(self):
        stripes = np.cos(2 * np.pi * np.arange(64) / 8) * np.ones((64, 1))
        frequency, power = power_spectrum_radial(stripes, 100)
        assert frequency[power.argmax()] == pytest.approx(1000 / 800)


class TestDecorrelation:
    @pytest.mark.parametrize("cutoff", [0.15, 0.25, 0.35])
    def test_finds_the_cutoff_of_noisy_structure(self, cutoff):
        image = bandlimited(128, cutoff)
        image = image / image.std() + noise(image.shape, 1, 0.2)
        assert decorrelation_resolution(image, 50) == pytest.approx(50 / cutoff, rel=0.1)

    def test_does_not_depend_on_gain_and_offset(self):
        image = texture() + noise((64, 64))
        assert decorrelation_resolution(7 * image - 40, 50) == pytest.approx(decorrelation_resolution(image, 50))

    def test_finer_structure_has_finer_resolution(self):
        rng_noise = noise((128, 128), 5)
        found = [decorrelation_resolution(texture(128, sigma) + rng_noise, 50) for sigma in (3.0, 2.0, 1.0)]
        assert found == sorted(found, reverse=True)

    def test_pure_noise_has_none(self):
        assert decorrelation_resolution(noise((128, 128)), 100) >= 200


class TestRspRse:
    @pytest.mark.parametrize(("sigma", "scale"), [(2.0, 1), (5.0, 2), (0.0, 2), (12.0, 2)])
    def test_the_exact_blur_correlates_perfectly(self, sigma, scale):
        sharp = np.zeros((96, 96))
        sharp[tuple(np.random.default_rng(0).integers(16, 80, (2, 40)))] = 1
        blurred = ndimage.gaussian_filter(sharp, sigma) if sigma else sharp
        reference = 300 * blurred.reshape(96 // scale, scale, 96 // scale, scale).mean(axis=(1, 3)) + 20
        rsp, rse, error_map = rsp_rse(sharp, reference, scale)
        assert rsp == pytest.approx(1, abs=1e-4)
        assert rse < 0.02 * np.ptp(reference)
        assert error_map.shape == reference.shape

    def test_error_of_noise_is_the_noise_and_correlation_is_pearson(self):
        sharp = texture(64, 1.0)
        clean = ndimage.gaussian_filter(sharp, 2.0)
        reference = clean + noise(clean.shape, 9, 2)
        rsp, rse, error_map = rsp_rse(sharp, reference)
        assert rse == pytest.approx(2, rel=0.05)
        assert rsp == pytest.approx(stats.pearsonr(clean.ravel(), reference.ravel()).statistic, abs=0.01)
        assert rse == pytest.approx(np.sqrt(np.mean(error_map**2)))

    def test_an_invented_structure_shows_where_it_is(self):
        sharp = np.zeros((64, 64))
        sharp[20, 20] = sharp[40, 44] = 1
        reference = ndimage.gaussian_filter(sharp, 3.0)
        sharp[50, 15] = 1
        error_map = rsp_rse(sharp, reference).error_map
        assert np.hypot(*np.subtract(np.unravel_index(error_map.argmax(), (64, 64)), (50, 15))) < 2

    @pytest.mark.parametrize("scale", [1, 2, 3, 4])
    def test_an_image_agrees_with_its_own_averages_to_the_last_digits(self, scale):
        sharp = np.random.default_rng(0).normal(100, 20, (20 * scale, 30 * scale))
        reference = sharp.reshape(20, scale, 30, scale).mean(axis=(1, 3))
        assert rsp_rse(sharp, reference, scale).rsp == pytest.approx(1, abs=1e-12)

    @pytest.mark.parametrize("scale", [1, 2, 3, 4])
    def test_the_best_blur_is_that_of_a_search_over_blurred_pixels(self, scale):
        sharp = texture(24 * scale, 1.0)
        reference = np.random.default_rng(1).normal(size=(24, 24))

        def agreement(sigma):
            blurred = ndimage.gaussian_filter(sharp, sigma)
            return stats.pearsonr(blurred.reshape(24, scale, 24, scale).mean(axis=(1, 3)).ravel(), reference.ravel())[0]

        found = rsp_rse(sharp, reference, scale).rsp
        assert found >= max(agreement(sigma) for sigma in np.geomspace(0.25 * scale, 12 * scale, 12)) - 1e-12

    def test_wrong_size_is_refused_with_both(self):
        with pytest.raises(SuperlensError, match=r"\(64, 64\).*\(30, 30\)"):
            rsp_rse(texture(), np.ones((30, 30)), 2)


class TestWhiteness:
    def test_white_noise_is_called_white(self):
        """But for one field in some hundred, since chance has structure too."""
        found = [residual_whiteness(noise((64, 64), seed, 5), 5.0) for seed in range(100)]
        assert sum(one.verdict == "white" for one in found) >= 96
        for one in found:
            assert np.abs(one.lags_x + one.lags_y).max() < 6 * one.chance
            assert one.variance_ratio == pytest.approx(1, abs=0.15)

    def test_autocorrelation_of_a_blurred_field_has_its_closed_form(self):
        blurred = ndimage.gaussian_filter(noise((512, 512)), 1.5, mode="wrap")
        expected = [math.exp(-(lag**2) / (4 * 1.5**2)) for lag in range(1, 5)]
        found = residual_whiteness(blurred)
        np.testing.assert_allclose(found.lags_x, expected, atol=0.03)
        np.testing.assert_allclose(found.lags_y, expected, atol=0.03)
        assert found.verdict == "structured" and math.isnan(found.variance_ratio)

    def test_missing_structure_and_followed_noise_are_told_apart_by_their_sign(self):
        white = noise((256, 256))
        missing = residual_whiteness(white + ndimage.gaussian_filter(noise((256, 256), 1), 2) * 3)
        followed = residual_whiteness(white - 0.6 * ndimage.gaussian_filter(white, 1))
        assert missing.left > 0.2 > 0.05 > missing.followed
        assert followed.followed > 0.1 > 0.03 > followed.left
        assert math.hypot(missing.left, missing.followed) == pytest.approx(missing.score, rel=0.01)
        share = 9 / (16 * math.pi)  # of the variance: that of noise through a Gaussian of width 2, three times as high
        expected = share / (1 + share) * math.exp(-1 / 16)
        assert missing.strongest == pytest.approx(expected, abs=0.02)
        assert followed.strongest < 0.05

    def test_lag_one_agrees_with_pearson(self):
        field = texture() - 100 + noise((64, 64), scale=10)
        field -= field.mean()
        lag = stats.pearsonr(field[:, 1:].ravel(), field[:, :-1].ravel()).statistic
        assert residual_whiteness(field).lags_x[0] == pytest.approx(lag, abs=0.02)

    def test_signal_dependent_noise_is_weighed_by_its_sigma(self):
        sigma = 1 + 9 * (texture() > 110)
        found = residual_whiteness(noise((64, 64)) * sigma, sigma)
        assert found.verdict == "white" and found.variance_ratio == pytest.approx(1, abs=0.1)

    def test_leftover_structure_is_found_below_the_noise(self):
        assert residual_whiteness(noise((64, 64)) + (texture() - 100) / 20).verdict == "structured"


class TestProfiles:
    @pytest.mark.parametrize("ends", [((3, 4), (40, 50)), ((10, 5), (10, 45)), ((50, 12.5), (7, 30))])
    @pytest.mark.parametrize("width", [1, 4])
    def test_line_profile_agrees_with_scikit_image(self, ends, width):
        image = texture()
        theirs = measure.profile_line(image, *ends, linewidth=width, order=1, mode="reflect")
        np.testing.assert_allclose(line_profile(image, *ends, width=width), theirs, rtol=1e-9)

    def test_dip_of_two_gaussians_has_its_closed_form(self):
        """Two lines FWHM / 1.3 apart through a PSF of FWHM / 1.5 show 23 %; through the PSF itself none."""
        x = np.linspace(-3, 3, 6001)

        def pair(fwhm):
            return sum(np.exp(-4 * math.log(2) * ((x - c / 2.6) / fwhm) ** 2) for c in (-1, 1))

        assert dip_between_peaks(pair(1 / 1.5)) == pytest.approx(0.23, abs=0.006)
        assert dip_between_peaks(pair(1.0)) == 0

    def test_dip_counts_the_background_as_dark(self):
        profile = np.array([0.0, 10, 5, 10, 0])
        assert dip_between_peaks(profile) == 0.5
        assert dip_between_peaks(profile + 100, background=100) == 0.5
        assert dip_between_peaks(profile + 100) < 0.05

    def test_dip_of_unequal_peaks_is_of_the_lower(self):
        assert dip_between_peaks(np.array([0.0, 20, 4, 8, 0])) == 0.5


def test_flux_ratio_ignores_sampling():
    image = texture()
    assert flux_ratio(image.repeat(2, 0).repeat(2, 1), image) == pytest.approx(1)
    with pytest.raises(SuperlensError, match="offset"):
        flux_ratio(image, -image)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: psnr(np.ones(4), np.ones(5)), "shapes"),
        (lambda: psnr(np.full(4, np.nan), np.ones(4)), "not finite"),
        (lambda: psnr(-np.ones(4), np.ones(4)), "peak is -1.0"),
        (lambda: nrmse(np.ones(4), np.ones(4)), "range of the reference is 0"),
        (lambda: ssim(np.eye(16), np.eye(16), 0), "data_range is 0"),
        (lambda: frc(np.eye(8), np.eye(8), 100), "at least 16"),
        (lambda: frc(np.eye(16), np.eye(16), 0), "pixel_nm is 0"),
        (lambda: decorrelation_resolution(np.ones((64, 64)), 1), "constant"),
        (lambda: rsp_rse(np.ones((16, 16)), np.eye(16)), "constant"),
        (lambda: residual_whiteness(np.eye(8)), "at least 16"),
        (lambda: residual_whiteness(np.eye(16), 0.0), "sigma_map"),
        (lambda: residual_whiteness(np.ones((16, 16))), "constant"),
        (lambda: line_profile(np.ones(4), (0, 0), (1, 1)), "plane"),
        (lambda: dip_between_peaks(np.ones(2)), "at least 3"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(SuperlensError, match=words):
        call()


class TestAgainstNanoPyx:
    """Values that NanoPyx 2.1.5 gave for the same arrays; it needs an environment of its own, so they are kept here.

    Remade by ``nanopyx.methods.squirrel``: ``calculate_frc(a, b, pixel_size=50, units="nm")``, ``calculate_error_map(
    reference, sr)`` and ``calculate_decorr_analysis(image, pixel_size=50, units="nm")``, all on float32.
    """

    def test_frc_resolution(self):
        rng = np.random.default_rng(0)
        for sigma, theirs in ((1.0, 111.57), (2.0, 206.58), (3.0, 301.72)):
            clean = ndimage.gaussian_filter(rng.normal(size=(256, 256)), sigma, mode="wrap")
            clean = 100 + 20 * clean / clean.std()
            a, b = (clean + rng.normal(0, 4, clean.shape) for _ in range(2))
            assert frc_resolution(a, b, 50) == pytest.approx(theirs, rel=0.03)

    def test_decorrelation_of_real_microtubules(self):
        image = tifffile.imread(_real("imdecorr/test_image.tif"))
        assert decorrelation_resolution(image, 15.34) == pytest.approx(115.6, rel=0.06)  # another edge window

    def test_rsp_and_rse_of_real_reconstructions(self):
        """They compare on the fine grid and blur by other means: alike within a few percent, and in the same order."""
        stack = tifffile.imread(_real("nanoj-squirrel/fig3_super_resolution_stack.tif"))
        reference = tifffile.imread(_real("nanoj-squirrel/fig3_widefield_reference.tif"))
        found = np.array([rsp_rse(sr, reference, 5)[:2] for sr in stack])
        np.testing.assert_allclose(found[:, 0], [0.854, 0.894, 0.758], atol=0.02)
        np.testing.assert_allclose(found[:, 1], [34.2, 29.5, 43.0], rtol=0.05)


def _real(name):
    root = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / name).exists():
        pytest.skip(f"{name} is not here; SUPERLENS_DATA names the folder of sample data")
    return root / name


# -- the blur compared with the PSF ---------------------------------------------------------------------------------------------


def blurred(kind: str, fwhm_nm: float, *, photons: float = 300.0, told_nm: float | None = None) -> BlurWidth:
    """What is said of a specimen on pixels of 100 nm."""
    rng = np.random.default_rng(2)
    specimen = STRUCTURES[kind]((256, 256), rng)
    psf = PSF.gaussian(fwhm_nm, 50.0)
    counts, _, _ = expose(specimen, psf, Camera(1.0, 100.0, 1.5), photons=photons, background=5.0, rng=rng)
    found = blur_width(counts, PSF.gaussian(told_nm or fwhm_nm, 50.0), 100.0)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["filaments", "vesicles", "er_network", "nuclei", "mitochondria", "dead_leaves"])
@pytest.mark.parametrize("photons", [10.0, 300.0])
def test_nothing_is_said_of_an_image_with_its_own_psf(kind: str, photons: float) -> None:
    assert not blurred(kind, 300.0, photons=photons).note


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_psf_of_another_width_than_the_image_is_found_out(factor: float) -> None:
    found = blurred("filaments", 300.0, told_nm=300.0 / factor)
    assert found.verdict == ("wider" if factor > 1 else "narrower")
    assert found.factor == pytest.approx(factor, rel=0.1)
    assert "as if its PSF were" in found.note


def photographed(kind: str, photons: float, seed: int) -> np.ndarray:
    """An image of 128 x 128 pixels of 62.6 nm through the PSF of an objective."""
    rng = np.random.default_rng(seed)
    specimen = STRUCTURES[kind]((256, 256), rng)
    camera = Camera(2.0, 100.0, 1.5)
    counts, _, _ = expose(specimen, _objective(1.0), camera, photons=photons, background=5.0, rng=rng)
    return np.rint(counts)


def _objective(pixel: float) -> PSF:
    """Its PSF where the pixel is taken for so many times its size."""
    return Objective(na=1.3, wavelength_nm=525).psf(31.3 * pixel)


KINDS = sorted(set(STRUCTURES) - {"flat"})


@pytest.mark.parametrize("photons", [5.0, 20.0, 60.0, 300.0])
def test_an_image_is_never_accused_of_a_psf_that_is_its_own(photons: float) -> None:
    """Where light and detail suffice it fits; what is too dim or too soft may be anything's."""
    said = [blur_width(photographed(kind, photons, 7), _objective(1.0), 62.6) for kind in KINDS]
    verdicts = ["open" if one is None else one.verdict for one in said]
    assert set(verdicts) <= {"fits", "open"}
    if photons >= 60:
        assert verdicts.count("open") <= 1


@pytest.mark.parametrize(
    ("photons", "times"), [(10.0, 2.0), (20.0, 1.5), (60.0, 1.5), (60.0, 2.0), (300.0, 1.5), (300.0, 2.0)]
)
def test_a_pixel_that_is_taken_for_too_large_never_fits(photons: float, times: float) -> None:
    """Such a PSF is too narrow, and noise hides where the spectrum of the image ends: then it is open, and no support."""
    said = [blur_width(photographed(kind, photons, 7), _objective(times), 62.6 * times) for kind in KINDS]
    verdicts = ["open" if one is None else one.verdict for one in said]
    assert set(verdicts) <= {"wider", "open"}
    if photons >= 60:
        assert verdicts.count("wider") >= 7


def test_a_pixel_that_is_taken_for_half_its_size_is_found_out_where_no_factor_explains_the_image() -> None:
    found = blur_width(photographed("filaments", 60.0, 7), _objective(0.5), 31.3)
    assert found is not None
    assert found.verdict == "narrower"


def test_slices_of_a_volume_are_held_against_its_psf() -> None:
    rng = np.random.default_rng(0)
    psf = Objective(na=1.3, wavelength_nm=525).psf(40.0, z_step_nm=250.0)
    specimen = volumes.filaments((24, 256, 256), rng, aspect=250 / 40)
    kernel = np.zeros((48, 256, 256))
    kernel[tuple(slice(side) for side in psf.data.shape)] = psf.data
    kernel = np.roll(kernel, [-(side // 2) for side in psf.data.shape], (0, 1, 2))
    seen = np.fft.irfftn(np.fft.rfftn(np.pad(specimen, ((12, 12), (0, 0), (0, 0)), mode="wrap")) * np.fft.rfftn(kernel))
    light = np.maximum(seen[12:36].reshape(24, 128, 2, 128, 2).mean((2, 4)), 0)
    counts = Camera(2.0, 100.0, 1.5).expose(300 * light / light[light > 0.1 * light.max()].mean() + 2, rng)
    for times, verdict in ((1.0, "fits"), (1.5, "wider"), (0.67, "narrower")):
        told = Objective(na=1.3, wavelength_nm=525).psf(40.0 * times, z_step_nm=250.0)
        found = blur_width(counts[::4], told, 80.0 * times)
        assert found is not None
        assert found.verdict == verdict
        assert found.factor == pytest.approx(times, rel=0.08)


def test_the_width_of_the_blur_does_not_hang_on_brightness_or_offset() -> None:
    rng = np.random.default_rng(3)
    counts = PSF.gaussian(300.0, 100.0).blur(rng.poisson(0.05, (96, 96)).astype(float)) * 500
    counts = rng.poisson(counts + 3).astype(float)
    first, second = (blur_width(c, PSF.gaussian(200.0, 50.0), 100.0) for c in (counts, 7 * counts - 50))
    assert first is not None and second is not None
    assert (first.factor, first.low, first.high) == (second.factor, second.low, second.high)


def test_an_even_or_tiny_image_has_no_width() -> None:
    psf = PSF.gaussian(300.0, 100.0)
    assert blur_width(np.ones((64, 64)), psf, 100.0) is None
    assert blur_width(np.random.default_rng(0).random((63, 200)), psf, 100.0) is None
