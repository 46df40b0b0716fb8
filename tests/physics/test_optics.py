"""Laws of image formation that every PSF model has to obey, and numbers of independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import fftconvolve
from scipy.special import j1

from superlens.optics import PSF, Objective, relative_kernel
from superlens.optics.sampling import pixel_average

MODELS = ("gaussian", "scalar", "vectorial")
OIL = {"na": 1.3, "wavelength_nm": 525.0, "immersion_index": 1.515}


def oil(model: str = "auto", **more: object) -> Objective:
    return Objective(**(OIL | {"psf_model": model} | more))


def centroid(data: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.center_of_mass(data)) - np.asarray(data.shape) // 2


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("z_step_nm", [None, 150.0])
def test_psf_sums_to_one_and_is_mirror_symmetric(model: str, z_step_nm: float | None) -> None:
    data = oil(model).psf(60.0, z_step_nm=z_step_nm).data
    assert data.sum() == pytest.approx(1.0, abs=1e-12)
    assert data.min() >= 0.0
    assert all(side % 2 for side in data.shape)
    np.testing.assert_allclose(data, data[..., ::-1], atol=1e-15)
    np.testing.assert_allclose(data, data[..., ::-1, :], atol=1e-15)
    np.testing.assert_allclose(data, np.swapaxes(data, -1, -2), atol=1e-15)
    np.testing.assert_allclose(centroid(data), 0.0, atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "modality",
    [{}, {"modality": "confocal", "excitation_nm": 488.0}, {"modality": "light-sheet", "sheet_thickness_nm": 1500.0}],
)
def test_psf_is_even_in_z_for_matched_indices(model: str, modality: dict[str, object]) -> None:
    data = oil(model, **modality).psf(80.0, z_step_nm=200.0, shape=(13, 31, 31)).data
    np.testing.assert_allclose(data, data[::-1], atol=1e-12 * data.max())


@pytest.mark.parametrize("na", [0.1, 0.3, 0.5])
def test_scalar_width_is_the_airy_width(na: float) -> None:
    """0.51 wavelength / NA, at a pixel of a tenth of the width."""
    expected = 0.51 * 600.0 / na
    psf = Objective(na=na, wavelength_nm=600.0, psf_model="scalar").psf(expected / 10.0)
    assert psf.fwhm_nm == pytest.approx(expected, rel=0.02)


def test_scalar_focus_is_the_airy_pattern() -> None:
    objective = Objective(na=0.5, wavelength_nm=600.0, psf_model="scalar")
    psf = objective.psf(60.0, shape=(61, 61))
    radius = np.linspace(0.0, 4000.0, 2000)
    v = 2.0 * np.pi * 0.5 / 600.0 * np.maximum(radius, 1e-6)
    airy = pixel_average(radius, (2.0 * j1(v)[None] / v) ** 2, (61, 61), 60.0, 300.0)[0]
    np.testing.assert_allclose(psf.data, airy / airy.sum(), atol=1e-5 * psf.data.max())


def test_dark_rings_lie_where_airy_found_them() -> None:
    psf = Objective(na=0.5, wavelength_nm=600.0, psf_model="scalar").psf(10.0, shape=(1, 401))
    first_ring_nm = 0.61 * 600.0 / 0.5
    line = psf.data[0, 200:]
    darkest = 10.0 * (20 + int(np.argmin(line[20:100])))
    assert darkest == pytest.approx(first_ring_nm, abs=10.0)


@pytest.mark.parametrize(
    ("model", "lateral", "axial"),
    [
        # Range spanned by psfmodels 0.3.3, pyotf 0.0.3 and MicroscPSF-Py 0.2 for these optics; the widths here are
        # before the pixel, whose 60 nm add 2 % in quadrature.
        ("gaussian", (202, 210), (625, 661)),
        ("scalar", (202, 210), (640, 648)),
        ("vectorial", (219, 226), (640, 648)),
    ],
)
def test_widths_agree_with_independent_implementations(
    model: str, lateral: tuple[float, float], axial: tuple[float, float]
) -> None:
    psf = oil(model).psf(60.0, z_step_nm=100.0, shape=(33, 65, 65))
    assert lateral[0] <= psf.fwhm_nm <= lateral[1]
    assert psf.fwhm_z_nm is not None
    assert axial[0] <= psf.fwhm_z_nm <= axial[1]
    assert np.unravel_index(psf.data.argmax(), psf.data.shape) == (16, 32, 32)


def test_vectorial_becomes_scalar_at_low_aperture() -> None:
    pair = [Objective(na=0.2, wavelength_nm=600.0, psf_model=m).psf(200.0, shape=(41, 41)).data for m in MODELS[1:]]
    np.testing.assert_allclose(pair[0], pair[1], atol=0.02 * pair[0].max())


@pytest.mark.parametrize("model", ["scalar", "vectorial"])
def test_transfer_ends_at_twice_the_aperture_over_the_wavelength(model: str) -> None:
    pixel_nm = 50.0
    psf = oil(model).psf(pixel_nm, shape=(401, 401))
    transfer = np.abs(psf.otf((512, 512)))[0]
    frequency = np.arange(len(transfer)) / (512 * pixel_nm)
    cutoff = 2.0 * OIL["na"] / OIL["wavelength_nm"]
    assert transfer[0] == pytest.approx(1.0)
    assert transfer[frequency > 1.02 * cutoff].max() < 2e-3  # what the cut at 10 micrometres leaves
    assert transfer[frequency < 0.7 * cutoff].min() > 0.05


def test_energy_in_each_plane_of_a_wide_field_stack_is_the_same() -> None:
    """Defocus moves light about within a plane; none is lost as long as the window holds the cone."""
    psf = Objective(na=0.5, wavelength_nm=600.0, psf_model="scalar").psf(200.0, z_step_nm=800.0, shape=(5, 101, 101))
    planes = psf.data.sum(axis=(1, 2))
    np.testing.assert_allclose(planes, planes.mean(), rtol=0.01)


def test_confocal_with_a_closed_pinhole_is_the_product() -> None:
    common: dict[str, object] = {"na": 0.8, "wavelength_nm": 520.0, "psf_model": "gaussian"}
    confocal = Objective(**common, modality="confocal", excitation_nm=490.0, pinhole_au=0.05).psf(40.0)
    widths = [Objective(na=0.8, wavelength_nm=w, psf_model="gaussian").psf(40.0).fwhm_nm for w in (520.0, 490.0)]
    expected = 1.0 / np.sqrt(widths[0] ** -2 + widths[1] ** -2)
    assert confocal.fwhm_nm == pytest.approx(expected, rel=0.01)


def test_confocal_with_an_open_pinhole_is_the_excitation() -> None:
    confocal = oil("scalar", modality="confocal", excitation_nm=488.0, pinhole_au=20.0).psf(40.0, shape=(41, 41))
    excitation = oil("scalar", wavelength_nm=488.0).psf(40.0, shape=(41, 41))
    np.testing.assert_allclose(confocal.data, excitation.data, atol=5e-3 * excitation.data.max())


def test_pinhole_widens_the_confocal_focus() -> None:
    widths = [
        oil("scalar", modality="confocal", excitation_nm=488.0, pinhole_au=au).psf(30.0).fwhm_nm for au in (0.1, 1, 5)
    ]
    assert widths == sorted(widths)


def test_two_photon_is_the_square_of_its_excitation() -> None:
    excitation = Objective(na=0.8, wavelength_nm=920.0, psf_model="gaussian").psf(50.0)
    two_photon = Objective(
        na=0.8, wavelength_nm=520.0, modality="two-photon", excitation_nm=920.0, psf_model="gaussian"
    ).psf(50.0)
    assert two_photon.fwhm_nm == pytest.approx(excitation.fwhm_nm / np.sqrt(2.0), rel=0.005)


def test_light_sheet_multiplies_the_detection() -> None:
    stack = {"pixel_nm": 100.0, "z_step_nm": 200.0, "shape": (15, 41, 41)}
    detection = oil("scalar").psf(**stack)
    sheet = oil("scalar", modality="light-sheet", sheet_thickness_nm=800.0).psf(**stack)
    z_nm = (np.arange(15) - 7) * 200.0
    product = detection.data * np.exp(-4.0 * np.log(2.0) * (z_nm / 800.0) ** 2)[:, None, None]
    np.testing.assert_allclose(sheet.data, product / product.sum(), atol=1e-15)


def test_a_thick_sheet_leaves_the_detection_alone_in_focus() -> None:
    sheet = oil("scalar", modality="light-sheet", sheet_thickness_nm=800.0).psf(60.0)
    np.testing.assert_array_equal(sheet.data, oil("scalar").psf(60.0).data)


@pytest.mark.parametrize("model", ["scalar", "vectorial"])
def test_depth_in_a_thinner_medium_blurs_and_skews(model: str) -> None:
    stack = {"pixel_nm": 60.0, "z_step_nm": 100.0, "shape": (41, 41, 41)}
    at_glass = oil(model, sample_index=1.33).psf(**stack)
    deep = oil(model, sample_index=1.33, depth_nm=4000.0).psf(**stack)
    assert np.argmax(deep.data[:, 20, 20]) == pytest.approx(20, abs=1)  # refocused on the brightest plane
    assert deep.data.max() < 0.8 * at_glass.data.max()
    assert np.abs(deep.data - deep.data[::-1]).max() > 0.05 * deep.data.max()


def test_depth_does_nothing_when_indices_match() -> None:
    deep = oil("vectorial", depth_nm=20_000.0).psf(60.0, shape=(41, 41))
    np.testing.assert_allclose(deep.data, oil("vectorial").psf(60.0, shape=(41, 41)).data, atol=1e-12)


def test_a_wrong_coverslip_dims_the_focus() -> None:
    wrong = Objective(na=0.95, wavelength_nm=525.0, coverslip_um=190.0).psf(60.0, shape=(61, 61))
    right = Objective(na=0.95, wavelength_nm=525.0).psf(60.0, shape=(61, 61))
    assert wrong.data.max() < 0.7 * right.data.max()


def test_total_internal_reflection_optics_have_a_finite_narrow_focus() -> None:
    psf = Objective(na=1.49, wavelength_nm=560.0, sample_index=1.33, modality="tirf").psf(31.3)
    assert 180.0 < psf.fwhm_nm < 240.0


@pytest.mark.parametrize("model", MODELS)
def test_resampling_equals_rendering_on_the_new_pixels(model: str) -> None:
    """Pixel integrals are kept, so a fine PSF moved to camera pixels is the one computed there."""
    fine = oil(model).psf(20.0, shape=(153, 153))
    for pixel_nm in (20.0, 31.3, 62.6):
        moved = fine.resample(pixel_nm)
        direct = oil(model).psf(pixel_nm, shape=moved.data.shape)
        np.testing.assert_allclose(moved.data, direct.data, atol=2e-3 * direct.data.max())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("path", [(31.3, 62.6), (31.3, 20.0), (62.6, 31.3), (62.6, 20.0)])
def test_resampling_keeps_the_width_to_one_percent(model: str, path: tuple[float, float]) -> None:
    psf = oil(model).psf(path[0])
    moved = psf.resample(path[1])
    assert moved.fwhm_nm == pytest.approx(psf.fwhm_nm, rel=0.01)
    assert moved.data.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(centroid(moved.data), 0.0, atol=1e-6)


def test_resampling_in_z_keeps_the_axial_width() -> None:
    psf = oil("vectorial").psf(80.0, z_step_nm=100.0, shape=(41, 21, 21))
    for step in (50.0, 150.0, 200.0):
        assert psf.resample(80.0, step).fwhm_z_nm == pytest.approx(psf.fwhm_z_nm, rel=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_narrowed_is_narrower_by_the_factor(model: str) -> None:
    psf = oil(model).psf(31.3)
    narrow = psf.narrowed(1.5)
    assert narrow.data.shape == psf.data.shape
    assert psf.fwhm_nm / narrow.fwhm_nm == pytest.approx(1.5, rel=0.01)


def test_narrowed_gaussian_is_the_narrower_gaussian() -> None:
    narrow = PSF.gaussian(300.0, 40.0).narrowed(1.5)
    direct = PSF.gaussian(200.0, 40.0, shape=narrow.data.shape)
    np.testing.assert_allclose(narrow.data, direct.data, atol=2e-4 * direct.data.max())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_target_blurred_by_the_relative_kernel_is_the_psf(model: str, factor: float) -> None:
    psf = oil(model).psf(31.3)
    target = psf.narrowed(factor)
    kernel = relative_kernel(psf, target)
    again = fftconvolve(target.data, kernel, mode="same")
    assert kernel.sum() == pytest.approx(1.0)
    assert all(side % 2 for side in kernel.shape)
    assert np.abs(again - psf.data).max() < 1e-3 * psf.data.max()


def test_relative_kernel_of_gaussians_has_the_difference_of_variances() -> None:
    psf, target = PSF.gaussian(300.0, 30.0), PSF.gaussian(180.0, 30.0)
    kernel = relative_kernel(psf, target)
    middle = kernel.shape[0] // 2
    expected = PSF.gaussian(240.0, 30.0, shape=kernel.shape)  # 300^2 - 180^2 = 240^2
    # The pixel's own box is in both PSFs and so not in the kernel: compare with point samples of that Gaussian.
    x_nm = (np.arange(kernel.shape[0]) - middle) * 30.0
    line = np.exp(-4.0 * np.log(2.0) * (x_nm / 240.0) ** 2)
    np.testing.assert_allclose(kernel[middle] / kernel.max(), line, atol=2e-3)
    assert expected.data.shape == kernel.shape


def test_relative_kernel_works_for_a_compact_stack() -> None:
    psf = PSF.gaussian(250.0, 60.0, fwhm_z_nm=700.0, z_step_nm=150.0)
    target = psf.narrowed(1.5)
    again = fftconvolve(target.data, relative_kernel(psf, target), mode="same")
    assert np.abs(again - psf.data).max() < 1e-3 * psf.data.max()


def test_blur_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    array = rng.random((24, 37))
    psf = PSF.gaussian(250.0, 60.0)
    for mode, words in (("reflect", "mirror"), ("symmetric", "reflect"), ("edge", "nearest"), ("constant", "constant")):
        expected = ndimage.convolve(array, psf.data, mode=words)
        np.testing.assert_allclose(psf.blur(array, mode=mode), expected, atol=1e-12)


def test_blur_is_a_convolution_and_no_correlation() -> None:
    lopsided = np.zeros((3, 3))
    lopsided[1, 2] = 1.0
    point = np.zeros((9, 9))
    point[4, 4] = 1.0
    assert PSF(lopsided, 60.0).blur(point)[4, 5] == pytest.approx(1.0)


def test_otf_multiplies_as_the_blur_convolves() -> None:
    rng = np.random.default_rng(2)
    array = rng.random((8, 24, 30))
    psf = PSF.gaussian(200.0, 80.0, fwhm_z_nm=300.0, z_step_nm=200.0, shape=(5, 9, 9))
    product = np.fft.irfftn(np.fft.rfftn(array) * psf.otf(array.shape), array.shape, axes=(0, 1, 2))
    np.testing.assert_allclose(product, psf.blur(array, mode="wrap"), atol=1e-12)
    whole = np.fft.ifftn(np.fft.fftn(array) * psf.otf(array.shape, rfft=False)).real
    np.testing.assert_allclose(whole, product, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optics", [{}, {"sample_index": 1.33, "depth_nm": 150_000.0}, {"sample_index": 1.25}])
def test_the_plane_in_focus_does_not_depend_on_the_stack(model: str, optics: dict[str, float]) -> None:
    """The stack integrates over other nodes than the plane, so agreement means that both have converged.

    Beyond the critical angle the kink of the transmission limits this to 1e-5.
    """
    objective = oil(model, **optics)
    stack = objective.psf(80.0, z_step_nm=400.0, shape=(5, 15, 15))
    plane = objective.psf(80.0, shape=(15, 15))
    np.testing.assert_allclose(stack.at_focus().data, plane.data, atol=1e-5 * plane.data.max())
