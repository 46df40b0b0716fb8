"""The response of sharp images: its parts, the width of a thin line through it, and the frequency to which data carry it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve, peak_widths

from superlens.metrics import line_profile
from superlens.optics import PSF, RESPONSES, Objective, Response, relative_kernel

OPTICS = [
    pytest.param(PSF.gaussian(240.0, 31.3), id="Gaussian"),
    pytest.param(Objective(na=1.3, wavelength_nm=525).psf(31.3), id="objective"),
    pytest.param(Objective(na=0.8, wavelength_nm=600).psf(50.0), id="low NA"),
    pytest.param(Objective(na=1.3, wavelength_nm=525).psf(60.0, z_step_nm=200.0), id="volume"),
]


@pytest.mark.parametrize("psf", OPTICS[:2])
def test_response_is_a_mixture_of_narrower_psfs_that_one_more_blur_makes_the_psf(psf):
    for response in (RESPONSES["YX"], Response(1.5, 1.0), Response(2.0, 1.0, core_share=0.3, core=3.0)):
        found = response.of(psf)
        parts = (1 - response.core_share, response.lateral), (response.core_share, response.core)
        np.testing.assert_allclose(found.data, sum(share * psf.narrowed(by).data for share, by in parts), atol=1e-12)
        assert found.data.sum() == pytest.approx(1)
        assert found.fwhm_nm <= 1.001 * psf.narrowed(response.lateral).fwhm_nm
        again = fftconvolve(found.data, relative_kernel(psf, found), mode="same")
        assert np.abs(again - psf.data).max() < 1e-3 * psf.data.max()


@pytest.mark.parametrize("psf", OPTICS)
@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_profile_across_a_thin_line_reads_the_stated_width(psf, degrees):
    """Drawn on the fine grid and measured as in an image viewer: a profile across, the width at half of its peak."""
    response = RESPONSES["YX" if psf.z_step_nm is None else "ZYX"]
    y, x = np.mgrid[-60:61, -60:61]
    across = np.array([np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))])
    line = np.maximum(1 - np.abs(y * across[0] + x * across[1]), 0)
    image = response.of(psf).at_focus().blur(line)
    profile = line_profile(image, tuple(60 - 40 * across), tuple(60 + 40 * across))
    width = peak_widths(profile, [int(profile.argmax())], rel_height=0.5)[0][0] * 80 / (len(profile) - 1)
    assert response.line_fwhm_nm(psf) == pytest.approx(width * psf.pixel_nm, rel=0.1)


def test_line_through_a_gaussian_is_as_wide_as_a_point():
    psf = PSF.gaussian(300.0, 10.0)
    assert psf.line_fwhm_nm == pytest.approx(300, rel=0.005)
    assert Response(1.5, 1.0).line_fwhm_nm(psf) == pytest.approx(200, rel=0.01)


def test_line_in_a_volume_has_the_axial_width_of_its_psf():
    psf = PSF.gaussian(250.0, 30.0, fwhm_z_nm=700.0, z_step_nm=100.0)
    assert psf.line_fwhm_z_nm == pytest.approx(700, rel=0.01)
    assert Response(1.75, 1.5).of(psf).line_fwhm_z_nm == pytest.approx(700 / 1.5, rel=0.02)
    assert psf.at_focus().line_fwhm_z_nm is None


def test_core_makes_a_point_narrower_than_any_line():
    psf = OPTICS[1].values[0]
    response = RESPONSES["YX"]
    assert response.of(psf).fwhm_nm < 0.8 * response.line_fwhm_nm(psf) < 0.5 * psf.line_fwhm_nm


@pytest.mark.parametrize(("na", "wavelength_nm"), [(0.5, 600), (1.3, 525)])
def test_data_carry_detail_to_the_optical_cutoff_or_the_cameras_nyquist_frequency(na, wavelength_nm):
    psf = Objective(na=na, wavelength_nm=wavelength_nm, psf_model="scalar").psf(30.0)
    cutoff = 2000 * na / wavelength_nm
    assert psf.carried_per_um() == pytest.approx(0.96 * cutoff, rel=0.03)
    assert psf.carried_per_um(60.0) == psf.carried_per_um()
    assert psf.carried_per_um(1000 / cutoff) == pytest.approx(cutoff / 2)


def test_response_passes_more_than_the_psf_and_ends_later():
    psf, response = OPTICS[1].values[0], RESPONSES["YX"]
    frequency, passed = response.transfer(psf)
    same, before = psf.radial_transfer()
    np.testing.assert_array_equal(frequency, same)
    assert passed[0] == pytest.approx(1)
    assert np.all(passed >= before - 1e-3)
    beyond = (frequency > 1.05 * psf.cutoff_per_um) & (frequency < 1.3 * psf.cutoff_per_um)
    assert np.all(passed[beyond] > 0.02) and np.all(before[beyond] < 0.02)
