"""Claims about the report page: whole, honest, loading nothing, standing with half of its data missing."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from scipy import ndimage

from html_page import Page
from superlens.errors import SuperlensError
from superlens.optics import PSF
from superlens.report import (
    Metric,
    NoiseCorrelation,
    PhotonTransfer,
    Provenance,
    PsfPicture,
    ReportData,
    TrainingRecord,
    analysis,
    judge,
    render,
)
from superlens.report.pictures import Contrast, paint, scale_bar
from superlens.report.words import number

pytestmark = pytest.mark.filterwarnings("error")

CREATED = datetime(2031, 5, 4, 14, 3)
SIDE = 48
GAIN, OFFSET, READ_NOISE_E = 2.0, 100.0, 1.5
METRICS = (
    Metric("flux ratio", 1.0037, "", "0.98 to 1.02", "ok", "Mean of the output over mean of the input."),
    Metric("residual spread", 1.0482, "σ", "0.9 to 1.1", "ok", "Residual in units of the noise."),
    Metric("resolution", float("nan"), "nm", "below 180", "ok", "Needs a second image."),
)


def specimen(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Filaments on the fine grid, the expected camera image and a noisy one, in counts minus offset."""
    rng = np.random.default_rng(seed)
    fine = np.zeros((2 * SIDE, 2 * SIDE))
    for row in (20, 40, 50, 75):
        fine[row, 8:-8] = 1
    fine[8:-8, 60] = 0.6
    sharp = ndimage.gaussian_filter(fine, 1.5) * 400 + 10
    camera = ndimage.gaussian_filter(sharp, 2).reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3))
    noise = np.sqrt(GAIN * camera + (GAIN * READ_NOISE_E) ** 2)
    return sharp, camera, camera + noise * rng.standard_normal(camera.shape)


def full_data(**changes: object) -> ReportData:
    sharp, camera, noisy = specimen()
    means = np.linspace(105, 300, 30)
    grid = np.hypot(*np.mgrid[-9:10, -9:10])
    mask = np.zeros(sharp.shape, dtype=bool)
    mask[:10, :10] = True
    data = ReportData(
        title="Super-resolution report",
        image_name="cell.tif",
        created=CREATED,
        input=noisy,
        denoised=camera,
        sr=sharp,
        uncertainty=0.1 * np.sqrt(sharp),
        prior_only=mask,
        residual=camera - noisy,
        error_map=np.abs(camera - noisy),
        pixel_nm=65.0,
        scale=2,
        cutoff_per_um=4.95,
        psf=PsfPicture(
            PSF(np.exp(-0.5 * (grid / 2.5) ** 2), 32.5, source="Gaussian, 191 nm"),
            PSF(np.exp(-0.5 * (grid / 1.7) ** 2), 32.5),
            "1.5 times narrower",
            4.95,
        ),
        photon_transfer=PhotonTransfer(
            means,
            GAIN * (means - OFFSET) + 9,
            GAIN,
            OFFSET,
            READ_NOISE_E,
            notes=("Straight.",),
            estimated=frozenset({"gain"}),
        ),
        noise_correlation=NoiseCorrelation(0.01, -0.02),
        history=tuple(TrainingRecord(k, 1 / (k + 1), 1.2 / (k + 1) if k % 5 == 0 else None) for k in range(20)),
        chosen_step=10,
        metrics=METRICS,
        parameters={"preset": "fast", "optics": {"na": 1.3, "excitation_nm": None}},
        versions={"superlens": "0.1.0"},
        provenance=Provenance("superlens enhance cell.tif", 7, "CPU, 2 cores", "sha256:ab12", CREATED, 54.2),
        messages=("3 pixels were saturated.",),
    )
    return dataclasses.replace(data, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def full() -> str:
    return render(full_data())


@pytest.fixture(scope="module")
def minimal() -> str:
    _, camera, noisy = specimen()
    return render(ReportData("Denoising report", "cell.tif", CREATED, noisy, denoised=camera))


def test_every_element_closes(full: str, minimal: str) -> None:
    assert full.startswith("<!doctype html>")
    for text in (full, minimal):
        assert Page(text).open == []


def test_ids_are_unique_and_every_local_link_has_a_target(full: str, minimal: str) -> None:
    for text in (full, minimal):
        attributes = Page(text).attributes
        ids = [value for _, name, value in attributes if name == "id"]
        assert len(ids) == len(set(ids))
        targets = {
            value[1:] for _, name, value in attributes if name in ("href", "xlink:href") and value.startswith("#")
        }
        assert targets <= set(ids)
        assert set(re.findall(r'url\(["\']?#([^)"\']+)', text)) <= set(ids)


def test_page_loads_nothing(full: str) -> None:
    for tag, name, value in Page(full).attributes:
        if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            citation = tag == "a" and value.startswith("https://doi.org/")
            assert citation or value.startswith(("#", "data:image/png;base64,")), (tag, name, value[:80])
    assert "@import" not in full
    assert not re.search(r"url\((?!\"?#)", full)
    assert "default-src 'none'" in full


def test_same_data_give_the_same_page(full: str) -> None:
    assert render(full_data()) == full


def test_every_metric_shows_with_value_range_and_meaning(full: str) -> None:
    words = Page(full).words
    for metric in METRICS:
        assert metric.name in words
        assert metric.expected in words
        assert metric.meaning in words
    assert "1.004" in words
    assert "1.048 σ" in words


def test_nan_and_missing_metrics_are_not_available() -> None:
    metrics = (Metric("first", float("nan"), "nm"), Metric("second", None), Metric("third", float("inf")))
    words = Page(render(full_data(metrics=metrics))).words
    assert words.count("not available") >= 3
    assert words.count("not judged") == 3
    assert not re.search(r"\b(nan|None|inf)\b", words)


def test_every_parameter_version_and_origin_shows(full: str) -> None:
    words = Page(full).words
    for text in (
        "preset",
        "optics.na",
        "1.3",
        "optics.excitation_nm",
        "not set",
        "superlens",
        "0.1.0",
        "sha256:ab12",
        "CPU, 2 cores",
    ):
        assert text in words
    assert "superlens enhance cell.tif" in words
    assert "3 pixels were saturated." in words
    assert "never stretched" in words


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b 'quoted' {{ 7 * 7 }}", "</title></style>"],
)
def test_hostile_names_stay_text(name: str) -> None:
    data = full_data(
        image_name=name,
        title=name,
        messages=(name,),
        parameters={name: name},
        versions={name: name},
        metrics=(Metric(name, 1.0, name, name, "warn", name),),
        provenance=Provenance(name, device=name),
        psf=PsfPicture(PSF(np.outer([1, 4, 1], [1, 4, 1]) / 36, 30.0, source=name)),
        noise_correlation=NoiseCorrelation(0.3, 0.3, False, name),
    )
    page = Page(render(data))
    assert page.open == []
    assert name in " ".join(page.texts)
    assert sum(tag == "script" for tag, _, _ in page.attributes) == 0
    assert not any(attribute.startswith("on") for _, attribute, _ in page.attributes)


@settings(max_examples=3, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
def test_any_name_survives_the_page_unchanged(name: str) -> None:
    flat = np.full((16, 16), 5.0)
    texts = Page(render(ReportData("t", name, CREATED, flat, denoised=flat))).texts
    assert any(name in text for text in texts)


def test_denoise_only_page_has_no_trace_of_super_resolution(minimal: str) -> None:
    words = Page(minimal).words
    assert "super-resolved" not in words
    assert "The pixel size is not known" in words
    assert "Look closer" in words


def test_page_shows_where_detail_does_not_repeat_beside_the_same_part_of_the_result() -> None:
    share = np.full((40, 40), 0.3)
    share[:10] = np.nan
    page = Page(render(full_data(unrepeated=share)))
    assert page.open == []
    assert "Would the detail be there again?" in page.words
    assert "the same part of the result" in page.words
    assert "Would the detail be there again?" not in Page(render(full_data())).words


@pytest.mark.parametrize(
    "missing",
    [
        ("denoised", "error_map", "chosen_step"),
        ("uncertainty", "prior_only", "cutoff_per_um"),
        ("pixel_nm", "noise_correlation"),
        ("photon_transfer",),
        ("residual", "psf"),
    ],
    ids=" ".join,
)
def test_page_stands_without(missing: tuple[str, ...]) -> None:
    assert Page(render(full_data(**dict.fromkeys(missing)))).open == []


def test_page_stands_without_history_metrics_and_tables() -> None:
    words = Page(
        render(full_data(history=(), metrics=(), parameters={}, versions={}, provenance=Provenance(), messages=()))
    ).words
    assert "No check was computed" in words
    assert "not recorded" in words


@pytest.mark.parametrize("shape", [(16, 16), (17, 23), (16, 200)])
def test_small_and_narrow_images_have_a_page(shape: tuple[int, int]) -> None:
    noisy = np.random.default_rng(1).poisson(20.0, shape).astype(np.float32)
    assert (
        Page(render(ReportData("t", "n", CREATED, noisy, denoised=noisy, residual=0 * noisy, pixel_nm=100.0))).open
        == []
    )


def test_pixels_that_are_not_finite_do_not_spoil_the_page() -> None:
    data = full_data()
    noisy, residual = data.input.copy(), np.array(data.residual)
    noisy[3, 4], residual[3, 4] = np.nan, np.nan
    words = Page(render(dataclasses.replace(data, input=noisy, residual=residual))).words
    assert not re.search(r"\bnan\b", words)


def test_constant_image_has_a_page() -> None:
    flat = np.full((32, 32), 7.0)
    assert (
        "Flux"
        in Page(render(ReportData("t", "n", CREATED, flat, denoised=flat, residual=flat - 7, pixel_nm=50.0))).words
    )


@pytest.mark.parametrize(
    ("grades", "headline"),
    [
        (("ok", "ok"), "Use it"),
        (("ok", "warn"), "Look closer"),
        (("warn", "bad"), "Do not use"),
        (("bad", "ok"), "Do not use"),
    ],
)
def test_worst_metric_decides(grades: tuple[str, ...], headline: str) -> None:
    metrics = tuple(Metric(f"check {k}", 1.0, verdict=grade) for k, grade in enumerate(grades))  # type: ignore[arg-type]
    data = full_data(metrics=metrics)
    assert judge(data).headline == headline
    assert headline in render(data)


def test_gravest_reason_comes_first() -> None:
    metrics = (Metric("mild", 1.0, verdict="warn"), Metric("grave", 2.0, verdict="bad"))
    assert [reason.grade for reason in judge(full_data(metrics=metrics)).reasons] == ["bad", "warn"]


def test_unmeasured_result_is_not_waved_through() -> None:
    assert judge(full_data(metrics=(Metric("a", float("nan")),))).headline == "Look closer"


def test_shared_noise_and_an_impossible_camera_ask_for_a_closer_look() -> None:
    assert judge(full_data()).headline == "Use it"
    assert judge(full_data(noise_correlation=NoiseCorrelation(0.3, 0.2, False))).headline == "Look closer"
    assert judge(full_data(noise_correlation=NoiseCorrelation(0.2, 0.2, False, mild=True))).headline == "Use it"
    transfer = PhotonTransfer(np.ones(3), np.ones(3), 2.0, 0.0, 1.0, "impossible")
    assert judge(full_data(photon_transfer=transfer)).headline == "Look closer"


def test_number_without_right_or_wrong_is_shown_and_not_counted() -> None:
    told = Metric("width of the PSF", 232.7, "nm", verdict="info", meaning="How wide.")
    data = full_data(metrics=(*METRICS, told))
    assert judge(data).summary == judge(full_data()).summary
    words = Page(render(data)).words
    assert "232.7 nm" in words
    assert "not judged How wide." in words
    assert judge(full_data(metrics=(told,))).headline == "Look closer"


def test_one_finding_is_one_reason() -> None:
    note = "The noise of neighbouring pixels is correlated."
    transfer = PhotonTransfer(np.ones(3), np.ones(3), 2.0, 0.0, 1.0, "doubtful", (note,))
    data = full_data(photon_transfer=transfer, noise_correlation=NoiseCorrelation(0.3, 0.2, False, note))
    assert [reason.text.count(note) for reason in judge(data).reasons] == [1]


def test_intensities_carry_the_unit_of_the_result() -> None:
    words = Page(render(full_data(unit="electrons"))).words
    assert "white" in words
    assert re.search(r"black [−0-9.]+ electrons, white [0-9.]+ electrons", words)
    assert "all curves in electrons" in words


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"sr": np.ones((5, 5))}, ("sr", "(5, 5)", "(96, 96)")),
        ({"uncertainty": np.ones((48, 48))}, ("uncertainty", "(48, 48)", "(96, 96)")),
        ({"denoised": None, "sr": None, "uncertainty": None}, ("denoised", "sr")),
        ({"pixel_nm": -1.0}, ("pixel_nm", "-1.0")),
        ({"input": np.ones(4)}, ("input", "1 axes")),
    ],
)
def test_wrong_shapes_are_refused_by_name(changes: dict[str, object], names: tuple[str, ...]) -> None:
    with pytest.raises(SuperlensError) as error:
        full_data(**changes)
    for name in names:
        assert name in str(error.value)


def test_collecting_data_loads_neither_matplotlib_nor_jinja() -> None:
    code = (
        "import sys, superlens.report as r; r.ReportData; print('matplotlib' in sys.modules or 'jinja2' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def decode(uri: str) -> np.ndarray:
    return np.asarray(PillowImage.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"))


def test_picture_is_linear_between_the_two_ends_of_its_contrast() -> None:
    values = np.linspace(-2, 12, 64).reshape(8, 8)
    shown = decode(paint(values, Contrast(0.0, 10.0), alt="ramp").uri)[..., 0] / 255
    np.testing.assert_allclose(shown, np.clip(values / 10, 0, 1), atol=1 / 253)  # one of 254 grey levels


def test_large_pictures_are_binned_and_masked_pixels_are_vermilion() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[:8, :8] = True
    picture = paint(np.ones((64, 64)), Contrast(0.0, 1.0), alt="", mask=mask, largest=32)
    shown = decode(picture.uri)
    assert shown.shape == (32, 32, 3)
    assert tuple(shown[0, 0]) == (213, 94, 0)
    assert tuple(shown[-1, -1]) == (255, 255, 255)


@given(st.integers(16, 4000), st.floats(5, 500))
def test_scale_bar_takes_a_tenth_to_a_quarter_of_the_width(width: int, pixel_nm: float) -> None:
    bar = scale_bar(width, pixel_nm)
    assert bar is not None
    value = float(bar.label.split()[0])
    assert 100 / 4.5 / 2.5 - 1e-6 <= bar.percent <= 100 / 4.5 + 1e-6  # steps of 1, 2, 5 are at most 2.5 apart
    assert value * 1000 / (width * pixel_nm) * 100 == pytest.approx(bar.percent, rel=1e-3)


def test_white_noise_has_the_flat_spectrum_of_its_variance() -> None:
    image = np.random.default_rng(0).normal(0, 3, (64, 64))
    _, density = analysis.radial_power(image, 200.0)
    # the window leaves about 1,500 independent samples in the outer half: 5 % is two standard errors
    assert density[density.size // 2 :].mean() == pytest.approx(9 * 0.2**2, rel=0.1)


def test_spectra_of_one_field_agree_whatever_the_sampling() -> None:
    fine = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 64)), 6, mode="wrap")
    coarse = fine.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    f0, p0 = analysis.radial_power(fine, 50.0)
    f1, p1 = analysis.radial_power(coarse, 100.0)
    assert np.interp(f1[0], f0, p0) == pytest.approx(p1[0], rel=0.1)  # binning changes the lowest ring by less


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0])
def test_line_cuts_the_filament_at_right_angles(angle: float) -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    across = np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))])
    image = np.exp(-0.5 * ((y * across[0] + x * across[1]) / 2.0) ** 2)
    line = analysis.choose_lines(ReportData("t", "n", CREATED, image, denoised=image))[0]
    assert abs(np.dot(line.direction, across)) == pytest.approx(1, abs=0.02)
    width = analysis.profile_fwhm(analysis.sample_line(image, line))
    assert width == pytest.approx(2.0 * 2.3548, rel=0.06)  # linear interpolation between pixels widens by a few percent


def test_camera_and_output_profiles_share_their_positions() -> None:
    ramp = np.tile(np.arange(64.0), (64, 1))
    binned = ramp.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    line = analysis.Line("A", (30.0, 31.0), (0.0, 1.0), 10)
    fine, coarse = analysis.sample_line(ramp, line), analysis.sample_line(binned, line, per_output=0.5)
    np.testing.assert_allclose(fine, coarse, atol=1e-12)


def test_closest_pair_is_found_with_its_distance() -> None:
    x = np.arange(96.0)
    row = np.exp(-0.5 * ((x - 40) / 2) ** 2) + np.exp(-0.5 * ((x - 49) / 2) ** 2)
    image = np.tile(row, (96, 1))
    pair = [
        line
        for line in analysis.choose_lines(ReportData("t", "n", CREATED, image, denoised=image))
        if line.label == "B"
    ]
    gap, _, dip = analysis.separated_pair(analysis.sample_line(image, pair[0]))
    assert gap == pytest.approx(9, abs=0.2)  # peaks are refined between samples by a parabola
    assert dip == pytest.approx(1 - 2 * np.exp(-0.5 * (4.5 / 2) ** 2), abs=0.05)


def test_crops_lie_inside_on_whole_camera_pixels() -> None:
    data = full_data()
    crops = analysis.choose_crops(data, analysis.choose_lines(data))
    assert [crop.label for crop in crops][:2] == ["Brightest structure", "Finest detail"]
    for crop in crops:
        assert crop.y % 2 == crop.x % 2 == crop.height % 2 == 0
        assert 0 <= crop.y <= 2 * SIDE - crop.height
        assert 0 <= crop.x <= 2 * SIDE - crop.width


def test_residual_of_pure_noise_has_unit_spread_and_no_correlation() -> None:
    found = analysis.residual_statistics(full_data())
    assert found is not None
    assert found.modelled
    assert found.sd == pytest.approx(1, abs=4 / np.sqrt(2 * SIDE**2))  # four standard errors of a spread
    middle = found.autocorrelation.shape[0] // 2
    assert found.autocorrelation[middle, middle] == pytest.approx(1)
    assert abs(found.autocorrelation[middle, middle + 1]) < 4 / SIDE  # four standard errors of a correlation


@given(st.floats(-1e300, 1e300) | st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_number_is_never_nan_on_the_page(value: float) -> None:
    text = number(value)
    assert "nan" not in text
    assert "inf" not in text
    if np.isfinite(value):
        assert float(text.replace("\N{MINUS SIGN}", "-")) == pytest.approx(value, rel=6e-4)


def test_parameters_go_by_their_plain_names() -> None:
    page = render(full_data(messages=("give `offset`, or set `from_scratch`",)))
    assert "Give offset, or set from_scratch" in page
