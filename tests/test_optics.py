"""PSFs and objectives as users meet them: construction, measured beads, refusals."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.optics import PSF, Objective, relative_kernel

DATA = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def data_file(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the sample data at {DATA}")
    return path


def gaussian_spots(
    places: list[tuple[float, float]], *, side: int = 96, sigma: float = 2.2, heights: list[float] | None = None
) -> np.ndarray:
    y, x = np.mgrid[:side, :side].astype(float)
    image = np.zeros((side, side))
    for (row, column), height in zip(places, heights or [1.0] * len(places), strict=True):
        image += height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2.0 * sigma**2))
    return image


# -- objective ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("na", "index"), [(0.8, 1.0), (1.0, 1.33), (1.3, 1.33), (1.35, 1.406), (1.49, 1.518)])
def test_immersion_is_the_smallest_common_index_above_the_na(na: float, index: float) -> None:
    assert Objective(na=na, wavelength_nm=525).immersion_index == index


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"wavelength_nm": 0.525}, "wavelength_nm is 0.525; expected 300-1100. Did you give micrometres?"),
        ({"wavelength_nm": 5250}, "wavelength_nm is 5250; expected 300-1100. Did you give angstroms?"),
        ({"na": 60}, "na is 60; expected 0.05-1.75. Did you give the magnification?"),
        ({"na": 1.518}, "state immersion_index"),
        ({"na": 1.3, "immersion_index": 1.0}, "na is 1.3 and immersion_index 1"),
        ({"immersion_index": 15.18}, "refractive index"),
        ({"modality": "confocal"}, "excitation_nm is missing"),
        ({"modality": "two-photon"}, "excitation_nm is missing"),
        ({"modality": "confocal", "excitation_nm": 561}, "swapped"),
        ({"modality": "two-photon", "excitation_nm": 488}, "longer"),
        ({"modality": "confocal", "excitation_nm": 488, "pinhole_au": 0}, "pinhole_au is 0"),
        ({"modality": "spinning"}, "modality"),
        ({"psf_model": "gibson"}, "psf_model"),
        ({"magnification": 60}, "magnification"),
        ({"na": 1.3, "coverslip_um": 100, "coverslip_index": 1.2}, "coverslip_index"),
    ],
)
def test_impossible_optics_are_refused_in_one_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(SuperlensError, match=words.replace("?", r"\?").replace(".", r"\.")) as caught:
        Objective(**({"na": 0.9, "wavelength_nm": 525} | fields))
    assert "\n" not in str(caught.value)


def test_what_must_be_known_has_no_default() -> None:
    for fields in ({"na": 1.3}, {"wavelength_nm": 525}):
        with pytest.raises(SuperlensError):
            Objective(**fields)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"pixel_nm": 0.0626}, "Did you give micrometres"),
        ({"pixel_nm": 60, "z_step_nm": 0.3}, "z_step_nm is 0.3"),
        ({"pixel_nm": 60, "shape": (64, 64)}, "65, 65"),
        ({"pixel_nm": 60, "shape": (9, 65, 65)}, "expected 2 sides"),
    ],
)
def test_impossible_grids_are_refused(call: dict[str, object], words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        Objective(na=1.3, wavelength_nm=525).psf(**call)


def test_a_grid_far_too_fine_for_the_optics_is_refused() -> None:
    with pytest.raises(SuperlensError, match="smaller shape"):
        Objective(na=0.05, wavelength_nm=525).psf(60, z_step_nm=60)


def test_tirf_has_no_third_dimension() -> None:
    with pytest.raises(SuperlensError, match="TIRF"):
        Objective(na=1.49, wavelength_nm=525, modality="tirf").psf(60, z_step_nm=200)


def test_light_sheet_asks_for_its_thickness_only_in_3d() -> None:
    objective = Objective(na=1.0, wavelength_nm=525, modality="light-sheet")
    assert objective.psf(100).data.ndim == 2
    with pytest.raises(SuperlensError, match="sheet_thickness_nm is missing"):
        objective.psf(100, z_step_nm=200)


def test_objective_survives_yaml() -> None:
    objective = Objective(na=1.2, wavelength_nm=525, modality="confocal", excitation_nm=488)
    again = Objective.from_yaml(objective.to_yaml())
    assert again.model_dump() == objective.model_dump()
    assert again.immersion_index == 1.33


def test_auto_is_vectorial_for_steep_rays() -> None:
    assert Objective(na=1.3, wavelength_nm=525).model == "vectorial"
    assert Objective(na=0.95, wavelength_nm=525).model == "vectorial"
    assert Objective(na=0.5, wavelength_nm=525).model == "scalar"
    assert Objective(na=1.3, wavelength_nm=525, psf_model="scalar").model == "scalar"


def test_source_tells_the_optics() -> None:
    objective = Objective(na=1.3, wavelength_nm=525, immersion_index=1.406)
    assert objective.psf(60).source == "vectorial, NA 1.3, 525 nm, n 1.406, widefield"
    confocal = Objective(na=1.2, wavelength_nm=525, modality="confocal", excitation_nm=488)
    assert "excitation 488 nm, pinhole 1 AU" in confocal.psf(60).source


def test_default_shape_is_compact() -> None:
    psf = Objective(na=1.3, wavelength_nm=525).psf(31.3)
    airy_px = 0.61 * 525 / 1.3 / 31.3
    assert max(psf.data.shape) <= 2 * round(6 * airy_px) + 1
    gaussian = Objective(na=1.3, wavelength_nm=525, psf_model="gaussian").psf(31.3)
    assert max(gaussian.data.shape) < 31


# -- psf ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(fwhm_nm=st.floats(100, 600), pixels=st.floats(1.5, 15))
def test_gaussian_reports_its_own_width(fwhm_nm: float, pixels: float) -> None:
    psf = PSF.gaussian(fwhm_nm, fwhm_nm / pixels)
    assert psf.fwhm_nm == pytest.approx(fwhm_nm, rel=0.01)
    assert psf.data.sum() == pytest.approx(1.0, abs=1e-12)


def test_gaussian_reports_its_axial_width() -> None:
    psf = PSF.gaussian(250, 60, fwhm_z_nm=700, z_step_nm=200)
    assert psf.fwhm_z_nm == pytest.approx(700, rel=0.01)
    assert PSF.gaussian(250, 60).fwhm_z_nm is None


@settings(max_examples=30, deadline=None)
@given(sides=st.tuples(st.integers(1, 6), st.integers(1, 6)), scale=st.floats(1e-6, 1e6))
def test_any_positive_array_becomes_a_psf_of_sum_one(sides: tuple[int, int], scale: float) -> None:
    shape = (2 * sides[0] + 1, 2 * sides[1] + 1)
    psf = PSF(scale * (1.0 + np.arange(np.prod(shape)).reshape(shape)), 60.0)
    assert psf.data.sum() == pytest.approx(1.0)
    assert psf.data.dtype == np.float64
    assert not psf.data.flags.writeable


@pytest.mark.parametrize(
    ("data", "z_step_nm", "words"),
    [
        (np.ones((4, 5)), None, "odd sides"),
        (np.ones(5), None, "1 axes"),
        (np.ones((3, 5, 5)), None, "z_step_nm is missing"),
        (np.ones((5, 5)), 100.0, "2D"),
        (-np.ones((5, 5)), None, "from_image"),
        (np.zeros((5, 5)), None, "zero everywhere"),
        (np.full((5, 5), np.nan), None, "not finite"),
    ],
)
def test_what_is_no_psf_is_refused(data: np.ndarray, z_step_nm: float | None, words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        PSF(data, 60.0, z_step_nm)


def test_psf_refuses_a_pixel_size_in_micrometres() -> None:
    with pytest.raises(SuperlensError, match="micrometres"):
        PSF(np.ones((5, 5)), 0.06)


@pytest.mark.parametrize(("pixel_nm", "verdict"), [(62.6, "fine"), (200.0, "warned"), (700.0, "no"), (5.0, "no")])
def test_psf_is_checked_against_the_camera(pixel_nm: float, verdict: str) -> None:
    psf = PSF.gaussian(250.0, 31.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if verdict == "fine":
            psf.check_against(pixel_nm)
        elif verdict == "warned":
            with pytest.raises(SuperlensWarning, match="250 nm"):
                psf.check_against(pixel_nm)
        else:
            with pytest.raises(SuperlensError, match="250 nm") as caught:
                psf.check_against(pixel_nm)
            assert f"{pixel_nm:g} nm" in str(caught.value)


def test_cropped_keeps_the_stated_energy() -> None:
    psf = Objective(na=1.3, wavelength_nm=525).psf(31.3)
    small = psf.cropped(0.9)
    half, middle = small.data.shape[0] // 2, psf.data.shape[0] // 2
    kept = psf.data[middle - half : middle + half + 1, middle - half : middle + half + 1].sum()
    less = psf.data[middle - half + 1 : middle + half, middle - half + 1 : middle + half].sum()
    assert less < 0.9 <= kept
    assert small.data.sum() == pytest.approx(1.0)


def test_at_focus_is_the_middle_plane() -> None:
    psf = PSF.gaussian(250, 60, fwhm_z_nm=700, z_step_nm=200)
    flat = psf.at_focus()
    assert flat.data.ndim == 2
    assert flat.z_step_nm is None
    assert flat.data.sum() == pytest.approx(1.0)
    assert flat.at_focus() is flat


def test_blur_keeps_a_constant_shape_and_type() -> None:
    psf = PSF.gaussian(250, 60)
    flat = np.full((3, 17, 40), 7.0, dtype=np.float32)
    blurred = psf.blur(flat)
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, flat, rtol=1e-6)


def test_otf_refuses_a_grid_smaller_than_the_psf() -> None:
    with pytest.raises(SuperlensError, match="none smaller"):
        PSF.gaussian(250, 30).otf((16, 16))


def test_relative_kernel_refuses_swapped_and_unlike_psfs() -> None:
    psf = PSF.gaussian(250, 60)
    with pytest.raises(SuperlensError, match="swapped"):
        relative_kernel(psf.narrowed(1.5), psf)
    with pytest.raises(SuperlensError, match="resample"):
        relative_kernel(psf, psf.resample(30))


# -- measured ----------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(row=st.floats(40, 56), column=st.floats(40, 56), seed=st.integers(0, 1000))
def test_an_off_centre_bead_is_centred_and_keeps_its_width(row: float, column: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    photons = rng.poisson(20_000.0 * gaussian_spots([(row, column)], sigma=2.5) + 20.0) + 100.0
    psf = PSF.from_image(Image(photons, "YX", pixel_nm=60.0))
    half = 7
    middle = [side // 2 for side in psf.data.shape]
    core = psf.data[middle[0] - half : middle[0] + half + 1, middle[1] - half : middle[1] + half + 1]
    offsets = np.arange(-half, half + 1)
    assert abs((core.sum(axis=1) * offsets).sum() / core.sum()) < 0.1
    assert abs((core.sum(axis=0) * offsets).sum() / core.sum()) < 0.1
    # The pixels here are point samples, so the pixel's own width is missing from what is measured.
    expected = np.sqrt((2.3548 * 2.5) ** 2 - 8 * np.log(2) / 12) * 60.0
    assert psf.fwhm_nm == pytest.approx(expected, rel=0.04)


def test_a_noiseless_psf_survives_being_an_image() -> None:
    psf = Objective(na=1.3, wavelength_nm=525).psf(60.0)
    shifted = np.pad(psf.data, ((6, 0), (0, 4)))
    again = PSF.from_image(Image(500.0 + 1e6 * shifted, "YX", pixel_nm=60.0), source="test")
    assert again.source == "test"
    assert again.fwhm_nm == pytest.approx(psf.fwhm_nm, rel=0.01)
    np.testing.assert_allclose(np.unravel_index(again.data.argmax(), again.data.shape), np.array(again.data.shape) // 2)


def test_a_hot_pixel_does_not_move_the_centre() -> None:
    spots = 1000.0 * gaussian_spots([(48.0, 48.0)], sigma=3.0)
    spots[70, 20] = 1500.0
    psf = PSF.from_image(Image(spots, "YX", pixel_nm=60.0, name="bead"))
    assert psf.fwhm_nm == pytest.approx(3.0 * 2.3548 * 60.0, rel=0.02)
    assert psf.source == "measured: bead"


def test_a_saturated_bead_is_warned_about() -> None:
    spot = np.minimum(1000.0 * gaussian_spots([(48.0, 48.0)], sigma=3.0), 700.0)
    with pytest.warns(SuperlensWarning, match="saturated"):
        PSF.from_image(Image(spot, "YX", pixel_nm=60.0))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.random.default_rng(0).normal(100.0, 5.0, (64, 64)), "flat"),
        (np.full((64, 64), 3.0), "flat"),
        (gaussian_spots([(30.0, 30.0), (65.0, 60.0)]), "from_beads"),
        (gaussian_spots([(48.0, 48.0)], sigma=40.0), "compact"),
        (gaussian_spots([(1.0, 48.0)]), "border"),
        (np.random.default_rng(0).random((3, 3)), "at least 5 pixels"),
    ],
)
def test_a_picture_that_is_no_point_is_refused(picture: np.ndarray, words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        PSF.from_image(Image(picture, "YX", pixel_nm=60.0))


def test_a_psf_image_without_sampling_is_refused() -> None:
    spot = gaussian_spots([(48.0, 48.0)])
    with pytest.raises(SuperlensError, match="pixel_nm"):
        PSF.from_image(Image(spot, "YX"))
    with pytest.raises(SuperlensError, match="z_step_nm"):
        PSF.from_image(Image(np.stack([spot] * 3), "ZYX", pixel_nm=60.0))
    with pytest.raises(SuperlensError, match="select"):
        PSF.from_image(Image(np.stack([spot] * 3), "CYX", pixel_nm=60.0))


def test_beads_are_averaged_without_touching_or_saturated_ones() -> None:
    good = [(20.3, 20.7), (22.0, 74.4), (74.6, 22.2), (75.1, 75.5)]
    touching = [(48.0, 46.0), (48.0, 54.0)]
    clipped = [(48.0, 20.0)]
    at_edge = [(50.0, 94.0)]
    places = good + touching + clipped + at_edge
    light = gaussian_spots(places, heights=[0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 3.0, 0.8])
    rng = np.random.default_rng(3)
    counts = np.minimum(rng.poisson(20_000.0 * light + 100.0), 20_000.0)
    psf = PSF.from_beads(Image(counts, "YX", pixel_nm=60.0, name="beads"))
    assert psf.source == "measured: beads, mean of 4 of 8 beads"
    expected = np.sqrt((2.3548 * 2.2) ** 2 - 8 * np.log(2) / 12) * 60.0
    assert psf.fwhm_nm == pytest.approx(expected, rel=0.03)
    assert np.unravel_index(psf.data.argmax(), psf.data.shape) == tuple(side // 2 for side in psf.data.shape)


def test_beads_of_a_stack_are_aligned_in_depth() -> None:
    y, x = np.mgrid[:80, :80].astype(float)
    stack = np.zeros((25, 80, 80))
    for row, column, plane in ((20.4, 20.0, 11.3), (58.7, 22.1, 12.9), (57.0, 60.6, 13.4)):
        lateral = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8.0)
        stack += np.exp(-((np.arange(25) - plane) ** 2) / 12.0)[:, None, None] * lateral
    noisy = np.random.default_rng(4).poisson(3000 * stack + 50)
    psf = PSF.from_beads(Image(noisy.astype(np.uint16), "ZYX", pixel_nm=60.0, z_step_nm=150.0))
    assert "3 of 3" in psf.source
    assert psf.fwhm_z_nm == pytest.approx(2.3548 * np.sqrt(6.0) * 150.0, rel=0.05)


def test_crowded_beads_are_refused() -> None:
    with pytest.raises(SuperlensError, match="sparser"):
        PSF.from_beads(Image(gaussian_spots([(40.0, 40.0), (40.0, 47.0)]), "YX", pixel_nm=60.0))
    with pytest.raises(SuperlensError, match="no bead"):
        PSF.from_beads(Image(np.random.default_rng(0).normal(100, 3, (64, 64)), "YX", pixel_nm=60.0))


def test_radial_otf_of_a_gaussian_gives_the_gaussian() -> None:
    frequency = np.arange(200) * 0.05  # per micrometre
    sigma_um = 0.1
    otf = np.exp(-2.0 * (np.pi * sigma_um * frequency) ** 2) + 0j
    psf = PSF.from_radial_otf(otf, 0.05, 40.0)
    expected = PSF.gaussian(2.35482 * 100.0, 40.0, shape=psf.data.shape)
    np.testing.assert_allclose(psf.data, expected.data, atol=2e-3 * expected.data.max())


@pytest.mark.parametrize(
    ("otf", "dk", "words"),
    [
        (np.ones((4, 4)), 0.03, "radial"),
        (np.zeros(20), 0.03, "positive"),
        (np.full(20, np.nan), 0.03, "finite"),
        (np.ones(20), 0.0, "dk_per_um"),
    ],
)
def test_what_is_no_radial_otf_is_refused(otf: np.ndarray, dk: float, words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        PSF.from_radial_otf(otf, dk, 31.3)


def test_measured_psf_moves_from_camera_to_half_pixels() -> None:
    camera = Objective(na=1.3, wavelength_nm=525).psf(62.6)
    stored = Image(np.round(100.0 + 60_000.0 * camera.data / camera.data.max()), "YX", pixel_nm=62.6)
    fine = PSF.from_image(stored).resample(31.3)
    assert fine.fwhm_nm == pytest.approx(camera.fwhm_nm, rel=0.015)
    assert all(side % 2 for side in fine.data.shape)


# -- real data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lateral", "axial"),
    [
        # NA 0.85 in air at 520 nm: theory says 336 and about 1000 nm; beads and residual aberration add to it.
        ("pyotf/psf_wl520nm_z300nm_x130nm_na0.85_n1.0.tif", (320, 420), (900, 1500)),
        ("pyotf/BIL113_zstack_z300nm_current.tif", (320, 550), (900, 1500)),
    ],
)
def test_recorded_bead_stacks_are_centred(name: str, lateral: tuple[int, int], axial: tuple[int, int]) -> None:
    stack = tifffile.imread(data_file(name))
    psf = PSF.from_image(Image(stack, "ZYX", pixel_nm=130.0, z_step_nm=300.0))
    assert lateral[0] < psf.fwhm_nm < lateral[1]
    assert psf.fwhm_z_nm is not None
    assert axial[0] < psf.fwhm_z_nm < axial[1]
    peak = np.unravel_index(psf.data.argmax(), psf.data.shape)
    np.testing.assert_allclose(peak, np.asarray(psf.data.shape) // 2, atol=1)


def test_recorded_lysosome_otf_has_the_known_width() -> None:
    raw = data_file("zs-deconvnet/lysosome_tirf/TIRF560_cam2_0_z21_OTF2d.mrc").read_bytes()
    otf = np.frombuffer(raw, "<c8", offset=1024)
    psf = PSF.from_radial_otf(otf, 0.0312, 31.3)
    assert psf.fwhm_nm == pytest.approx(250.0, rel=0.015)
    assert psf.fwhm_nm / 2.3548 / 31.3 == pytest.approx(3.39, rel=0.015)


def test_stored_microtubule_psf_has_the_known_width() -> None:
    data = tifffile.imread(data_file("zs-deconvnet/microtubule_2d/psf_emLambda525_dxy0.0313_NA1.3.tif"))
    psf = PSF.from_image(Image(data, "YX", pixel_nm=31.3))
    assert psf.fwhm_nm / 2.3548 / 31.3 == pytest.approx(2.739, rel=0.015)
    assert max(psf.cropped(0.9998).data.shape) <= 25


@pytest.mark.parametrize(
    "name",
    [
        "zs-deconvnet/lysosome_tirf/cell01.tif",
        "zs-deconvnet/microtubule_2d/01.tif",
        "dl-sim/HE_frame15_average.tif",
        "imdecorr/test_image.tif",
        "sdeconv/celegans.tif",
    ],
)
def test_a_cell_given_as_psf_is_refused(name: str) -> None:
    picture = tifffile.imread(data_file(name))
    with pytest.raises(SuperlensError, match="PSF image|border"):
        PSF.from_image(Image(picture, "YX", pixel_nm=31.3))
