"""Claims about the evidence: an ideal result passes every check, and each way of being wrong fails the check that is meant for it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import peak_widths

from superlens.camera import Camera
from superlens.evidence import gather
from superlens.evidence.checks import checks
from superlens.evidence.measure import kept_within, seen_by_camera
from superlens.image import Image
from superlens.methods.zsdeconv.predictor import parameters_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model, ModelConfig
from superlens.observing.observation import Observation, observe
from superlens.optics import PSF as AnyPSF
from superlens.optics import RESPONSES, Objective
from superlens.report import Metric, judge, render
from superlens.result import Channel as Result
from superlens.simulate import Scene, scene
from superlens.training import History, Record
from superlens.training.two_stage.optics import SharpOptics
from superlens.training.two_stage.state import TwoStageState

SIDE = 64
GAIN, OFFSET, READ_NOISE_E = 2.0, 100.0, 1.5
PSF = Objective(na=1.3, wavelength_nm=525).psf(31.3)


@pytest.fixture(scope="module")
def filaments() -> Scene:
    """Light enough for so small an image to tell the width of its PSF."""
    return scene("filaments", 100, psf=PSF, camera=Camera(GAIN, OFFSET, READ_NOISE_E), shape=(SIDE, SIDE), seed=3)


def observed(image: Image, offset: float = OFFSET) -> Observation:
    return observe([image], offset=offset, gain=GAIN, read_noise_e=READ_NOISE_E)[0]


def a_result(
    observation: Observation,
    denoised: np.ndarray,
    sharp: np.ndarray | None = None,
    *,
    states_resolution: bool = True,
    **changes: Any,
) -> Result:
    image = observation.image
    psf = None if sharp is None else PSF
    settings = ZSDeconvConfig.of("fast", axes="YX").model_dump(mode="json")
    state = TwoStageState("YX", response=RESPONSES["YX"] if states_resolution else None, psf=psf, settings=settings)
    config = ModelConfig(version="0", method="zsdeconv", network="light", network_config={}, state=state.stored())
    made = {
        "sharp": None if sharp is None else image.with_data(sharp.astype(np.float32), scale=2),
        "denoised": image.with_data(denoised.astype(np.float32)),
        "uncertainty": changes.pop("uncertainty", None),
    }
    hidden = changes.pop("prior_only", None)
    fields: dict[str, Any] = {
        "images": {role: one for role, one in made.items() if one is not None},
        "masks": {} if hidden is None else {"prior_only": hidden},
        "observation": observation,
        "model": Model(config, object(), state.arrays()),  # evidence never runs the network
        "history": None,
        "parameters": {"units": "counts", "seed": 7, "alpha": [0.8, 1.25], "minutes": None},
        "messages": ("something worth knowing",),
        "speaks": gather,
    }
    return Result(**{**fields, **changes})


@pytest.fixture(scope="module")
def ideal(filaments: Scene) -> Result:
    sharp = RESPONSES["YX"].of(filaments.psf).blur(filaments.truth).astype(np.float32)
    return a_result(
        observed(filaments.observed),
        filaments.clean,
        sharp,
        uncertainty=filaments.observed.with_data(0.05 * sharp, scale=2),
        prior_only=np.zeros((1, *sharp.shape), bool),
        history=History([Record(20, 0.5, 0.4, 2.0), Record(40, 0.4, 0.3, 4.0)], 40, "steps", 1.0),
    )


def verdicts(result: Result) -> dict[str, str]:
    return {metric.name: metric.verdict for metric in gather(result).page().metrics}


def test_ideal_result_leaves_white_noise_of_one_sigma(ideal: Result) -> None:
    numbers = gather(ideal).numbers()
    # the scatter of a spread over 64 x 64 pixels is 1 %; the rest is sigma, which comes from a 5 x 5 mean
    assert numbers["residual_std_in_sigma"] == pytest.approx(1, abs=0.08)
    assert abs(numbers["residual_mean_in_sigma"]) < 4 / SIDE
    assert numbers["residual_whiteness"] < numbers["residual_whiteness_limit"]
    assert abs(numbers["flux_ratio"] - 1) < numbers["flux_tolerance"]
    assert numbers["rsp"] == pytest.approx(numbers["rsp_ceiling"], abs=0.03)
    assert numbers["rse_in_sigma"] == pytest.approx(1, abs=0.1)


def test_ideal_result_is_said_to_be_usable(ideal: Result) -> None:
    assert judge(gather(ideal).page()).headline == "Use it"
    assert "bad" not in verdicts(ideal).values()


def test_sharp_image_is_blurred_by_what_it_lacks_as_in_training(ideal: Result) -> None:
    assert ideal.image is not None
    sharp = np.asarray(ideal.image.data)
    expected = SharpOptics.of(PSF, "YX", 2, RESPONSES["YX"]).seen(sharp)
    np.testing.assert_allclose(seen_by_camera(sharp, ideal.model), expected, atol=1e-3 * float(expected.max()))


def test_residual_of_the_original_recipe_takes_the_whole_psf(filaments: Scene) -> None:
    result = a_result(observed(filaments.observed), filaments.clean, filaments.truth, states_resolution=False)
    numbers = gather(result).numbers()
    assert numbers["residual_std_in_sigma"] == pytest.approx(1, abs=0.08)
    assert math.isnan(numbers["line_fwhm_nm"])  # it promises no resolution
    told = parameters_of(result.model, TwoStageState.of(result.model), result.observation.camera)
    assert told["psf_fwhm_nm"] == round(PSF.fwhm_nm, 1)
    assert told["line_fwhm_nm"] is None
    psf = gather(result).page().psf
    assert psf is not None
    assert psf.response is None


def test_noise_kept_in_the_output_shows_in_the_spread(filaments: Scene) -> None:
    observation = observed(filaments.observed)
    kept = 0.6 * observation.counts[0] + 0.4 * filaments.clean  # noise 0.4 sigma remains in the residual
    result = a_result(observation, kept)
    assert gather(result).numbers()["residual_std_in_sigma"] == pytest.approx(0.4, abs=0.05)
    assert verdicts(result)["residual spread"] == "bad"


def test_lost_structure_shows_in_the_residual(filaments: Scene) -> None:
    result = a_result(observed(filaments.observed), ndimage.gaussian_filter(filaments.clean, 4))
    found = verdicts(result)
    assert found["residual structure"] == "bad"
    assert found["residual spread"] != "ok"
    assert judge(gather(result).page()).headline == "Do not use"


def test_light_made_up_shows_in_the_flux(filaments: Scene) -> None:
    result = a_result(observed(filaments.observed), 1.2 * filaments.clean)
    assert gather(result).numbers()["flux_ratio"] == pytest.approx(1.2, abs=0.02)
    assert verdicts(result)["flux ratio"] == "bad"


def test_pattern_of_the_pixel_grid_shows_beyond_the_response(ideal: Result) -> None:
    assert ideal.image is not None
    sharp = np.asarray(ideal.image.data)
    assert gather(ideal).numbers()["power_beyond_response"] < 0.005
    stripes = 0.3 * sharp.std() * np.cos(2 * np.pi * 0.45 * np.arange(sharp.shape[1]))
    marked = ideal.image.with_data((sharp + stripes).astype(np.float32))
    broken = dataclasses.replace(ideal, images={**ideal.images, "sharp": marked})
    assert verdicts(broken)["detail finer than stated"] == "warn"


@pytest.mark.parametrize(("share", "verdict"), [(0.01, "ok"), (0.05, "warn"), (0.3, "bad")])
def test_detail_from_the_prior_alone_is_judged_by_its_share(ideal: Result, share: float, verdict: str) -> None:
    marked = np.zeros((1, 2 * SIDE, 2 * SIDE), bool)
    marked[:, : round(2 * SIDE * share)] = True
    assert (
        verdicts(dataclasses.replace(ideal, masks={"prior_only": marked}))["detail from pretraining alone"] == verdict
    )


def test_names_of_numbers_are_the_same_for_every_result(ideal: Result, filaments: Scene) -> None:
    denoised = a_result(observed(filaments.observed), filaments.clean)
    assert gather(denoised).numbers().keys() == gather(ideal).numbers().keys()
    assert all(isinstance(value, float) for value in gather(denoised).numbers().values())
    assert all(name == name.lower() and name.isidentifier() for name in gather(ideal).numbers())


def test_denoising_alone_has_a_page_that_speaks_of_nothing_sharper(filaments: Scene) -> None:
    bare = dataclasses.replace(filaments.observed, pixel_nm=None)
    page = gather(a_result(observed(bare), filaments.clean)).page()
    assert page.title == "Denoising report"
    assert page.sr is None
    assert page.psf is None
    assert "stated" not in " ".join(metric.name for metric in page.metrics)
    assert judge(page).headline == "Use it"
    told = render(page).split("</style>")[1].split("<script>")[0]
    assert "super-resolved" not in told.replace("var(--super-resolved)", "")  # the name of a colour


def test_electrons_are_shown_and_change_no_number(ideal: Result) -> None:
    electrons = dataclasses.replace(
        ideal,
        images={role: image.with_data(image.data / np.float32(GAIN)) for role, image in ideal.images.items()},
        parameters={**ideal.parameters, "units": "electrons"},
    )
    for name, value in gather(ideal).numbers().items():
        assert gather(electrons).numbers()[name] == pytest.approx(value, rel=1e-4, abs=1e-6, nan_ok=True), name
    page = gather(electrons).page()
    assert page.unit == "electrons"
    np.testing.assert_allclose(page.input * GAIN, gather(ideal).page().input, rtol=1e-6)
    assert " electrons" in render(page)


def test_of_several_planes_the_middle_one_is_shown_and_all_are_counted(filaments: Scene) -> None:
    planes = np.stack([filaments.observed.data] * 3)
    image = Image(planes, "TYX", pixel_nm=62.6, name="three")
    clean = np.stack([filaments.clean, filaments.clean, 1.3 * filaments.clean])
    evidence = gather(a_result(observed(image), clean))
    assert evidence.numbers()["flux_ratio"] == pytest.approx(1.1, abs=0.02)
    page = evidence.page()
    assert page.image_name == "three, plane 2 of 3"
    assert "3 planes" in page.messages[-1]


def test_bad_pixels_take_no_part(filaments: Scene) -> None:
    observation = observed(filaments.observed)
    counts, bad = observation.counts.copy(), observation.bad.copy()
    counts[0, 5:8, 5:8], bad[0, 5:8, 5:8] = 1e6, True
    spoiled = dataclasses.replace(observation, counts=counts, bad=bad)
    evidence = gather(a_result(spoiled, filaments.clean))
    assert evidence.numbers()["residual_std_in_sigma"] == pytest.approx(1, abs=0.08)
    residual = evidence.page().residual
    assert residual is not None
    assert np.isnan(residual[6, 6])
    assert np.isnan(residual).sum() == 9


def test_shared_noise_raises_what_the_residual_may_score_and_asks_for_a_closer_look(filaments: Scene) -> None:
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), 0.6) * 40
    image = filaments.observed.with_data((filaments.clean + OFFSET + noise).astype(np.float32))
    evidence = gather(a_result(observed(image), filaments.clean))
    assert evidence.numbers()["residual_whiteness_limit"] > 0.2
    assert evidence.page().noise_correlation is not None
    assert judge(evidence.page()).headline != "Use it"


def test_an_image_without_light_has_no_flux_ratio() -> None:
    rng = np.random.default_rng(0)
    image = Image((OFFSET + 3 * rng.standard_normal((32, 32))).astype(np.float32), "YX", pixel_nm=62.6)
    evidence = gather(a_result(observed(image), np.full((32, 32), 0.1)))
    assert math.isnan(evidence.numbers()["flux_ratio"])
    assert math.isnan(evidence.numbers()["rsp"]) or evidence.numbers()["rsp_ceiling"] < 0.5
    flux = next(metric for metric in evidence.page().metrics if metric.name == "flux ratio")
    assert not flux.available
    assert flux.verdict == "ok"


def test_what_an_image_is_too_dim_to_be_asked_is_no_support(ideal: Result) -> None:
    """Of a sharpened result; denoising alone needs no PSF, and is asked for none."""
    numbers = gather(ideal).numbers()
    assert judge(gather(ideal).page()).grade == "ok"
    for missing, said in (
        (
            {"blur_over_psf": math.nan, "blur_over_psf_least": 0.6, "blur_over_psf_most": 2.1},
            "PSFs 0.6 to 2.1 times as wide fit it as well",
        ),
        (
            {"blur_over_psf": math.nan, "blur_over_psf_least": 1.1, "blur_over_psf_most": 1.7},
            "PSFs 1.1 to 1.7 times as wide fit it better",
        ),
        (
            {"blur_over_psf": math.nan, "blur_over_psf_least": 0.55, "blur_over_psf_most": 0.95},
            "PSFs 0.55 to 0.95 times as wide fit it better",
        ),
        ({"blur_over_psf": math.nan, "blur_over_psf_most": math.nan}, "too small, too even or sampled too coarsely"),
        ({"flux_ratio": math.nan, "flux_tolerance": math.nan}, "less light than the uncertainty of its own mean"),
        ({"rsp_ceiling": 0.1}, "nearly all noise"),
    ):
        page = dataclasses.replace(gather(ideal).page(), metrics=checks({**numbers, **missing}, sharpened=True))
        verdict = judge(page)
        assert verdict.headline == "Look closer"
        (reason,) = verdict.reasons
        assert "Could not be computed" in reason.text
        assert said in reason.text
        alone = dataclasses.replace(page, sr=None, uncertainty=None, prior_only=None, error_map=None)
        without = dataclasses.replace(alone, metrics=checks({**numbers, **missing}, sharpened=False))
        assert judge(without).grade == "ok"


def test_training_is_told_and_weights_between_two_points_have_no_step(ideal: Result) -> None:
    page = gather(ideal).page()
    assert [record.step for record in page.history] == [20, 40]
    assert page.chosen_step == 40
    assert gather(ideal).numbers()["held_out_loss"] == 0.3
    assert ideal.history is not None
    between = dataclasses.replace(ideal, history=dataclasses.replace(ideal.history, blend=0.5))
    assert gather(between).page().chosen_step is None
    assert gather(between).numbers()["blend"] == 0.5


def test_everything_is_measured_once_while_the_result_lives(ideal: Result) -> None:
    assert gather(ideal).measured is gather(ideal).measured


def test_page_of_a_result_tells_seed_digest_versions_and_messages(ideal: Result) -> None:
    text = render(gather(ideal).page())
    for word in ("sha256", "Something worth knowing", "0.8, 1.25", "tensorflow", "keras"):
        assert word in text


def test_page_states_the_width_that_a_thin_line_has_and_how_far_the_data_carry(ideal: Result) -> None:
    """As a reader would check it: a line is drawn, seen through what the result states, and its width read off a profile."""
    line = np.zeros((81, 81))
    line[:, 40] = 1
    profile = RESPONSES["YX"].of(PSF).blur(line)[40]
    width = peak_widths(profile, [40], rel_height=0.5)[0][0] * PSF.pixel_nm
    page = gather(ideal).page()
    told = {metric.name: metric.value for metric in page.metrics}
    assert told["width of a thin line in the result (FWHM)"] == pytest.approx(width, rel=0.1)
    assert told["the data carry the image to"] == pytest.approx(2 * 1.3 / 0.525, rel=0.1)
    text = render(page)
    assert "Width of a thin line in the result (FWHM)" in text and "stated width" not in text
    for curve in ("through the PSF", "through the stated response", "output along line A", "the data end here"):
        assert curve in text


def test_cutoff_of_a_wide_field_psf_is_that_of_its_objective() -> None:
    # the transfer falls to a hundredth 4 % below 2 NA / wavelength; truncating the PSF moves that by a few percent
    assert PSF.cutoff_per_um == pytest.approx(2 * 1.3 / 0.525, rel=0.1)


def test_of_an_ideal_result_residual_and_noise_are_the_same_share_of_the_range(ideal: Result) -> None:
    numbers = gather(ideal).numbers()
    assert 0 < numbers["noise_over_range"] < 1
    assert numbers["residual_over_range"] == pytest.approx(numbers["noise_over_range"], rel=0.15)


def test_a_small_residual_of_a_bright_image_is_told_in_its_own_units(ideal: Result) -> None:
    numbers = gather(ideal).numbers()
    bright = {**numbers, "residual_std_in_sigma": 8.0, "residual_over_range": 0.02, "noise_over_range": 0.0025}
    dim = {**bright, "residual_over_range": 0.3}
    told = [next(c for c in checks(n, sharpened=True) if c.name == "residual spread") for n in (bright, dim)]
    assert "2 % of its range" in told[0].meaning
    assert "range" not in told[1].meaning
    assert told[0].verdict == told[1].verdict == "bad"


def check(numbers: Mapping[str, float], name: str) -> Metric:
    return next(one for one in checks(numbers, sharpened=True) if one.name == name)


def test_what_no_eye_sees_in_a_bright_image_is_not_held_against_it(ideal: Result) -> None:
    numbers = gather(ideal).numbers()
    left = {
        **numbers,
        "residual_std_in_sigma": 1.25,
        "residual_structure": 0.8,
        "residual_over_range": 0.0125,
        "noise_over_range": 0.01,
    }
    for share, expected in ((0.005, "ok"), (0.02, "bad")):
        assert check({**left, "structure_over_range": share}, "residual structure").verdict == expected
    assert check(left, "residual spread").verdict == "ok"
    assert check({**left, "noise_over_range": 0.02}, "residual spread").verdict == "warn"


def test_a_result_that_follows_the_noise_leaves_no_structure(ideal: Result, filaments: Scene) -> None:
    """It makes neighbours in the residual opposite, which a sum of squares takes for structure."""
    observation = observed(filaments.observed)
    noise = observation.counts[0] - filaments.clean
    follows = a_result(observation, filaments.clean + ndimage.gaussian_filter(noise, 0.8))
    numbers = gather(follows).numbers()
    assert numbers["residual_whiteness"] > numbers["residual_whiteness_limit"] > numbers["residual_structure"]
    assert verdicts(follows)["residual structure"] == "ok"


def test_a_coarse_camera_is_among_the_checks(ideal: Result) -> None:
    numbers = gather(ideal).numbers()
    assert numbers["pixels_across_psf"] == pytest.approx(PSF.fwhm_nm / (2 * PSF.pixel_nm))
    found = check({**numbers, "pixels_across_psf": 1.4}, "camera pixels across the PSF")
    assert found.verdict == "warn" and "Check the pixel size" in found.meaning


# -- stacks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [5, 12, 40])
def test_a_plane_of_light_stays_in_the_stack_and_a_uniform_column_leaves_it_as_geometry_says(slices: int) -> None:
    """A PSF of one plane loses nothing; a column of three planes a third of the light of both outermost slices."""
    flat = AnyPSF(np.ones((1, 3, 3)), 100.0, 200.0)
    column = AnyPSF(np.ones((3, 3, 3)), 100.0, 200.0)
    assert kept_within(flat, slices) == pytest.approx(1.0)
    assert kept_within(column, slices) == pytest.approx(1 - 2 / 3 / slices)


def test_the_narrower_psf_keeps_more_light_in_a_stack_and_a_deeper_stack_keeps_more() -> None:
    psf = Objective(na=1.3, wavelength_nm=525).psf(60.0, z_step_nm=250.0)
    kept = [[kept_within(p, slices) for slices in (8, 16, 64)] for p in (psf, psf.narrowed(1.5, 1.3))]
    assert all(wide < narrow < 1 for wide, narrow in zip(*kept, strict=True))
    assert all(sorted(row) == row for row in kept)
