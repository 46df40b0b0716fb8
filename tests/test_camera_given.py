"""Values of a camera that are given are held against the image, images that were cut off are doubted, and faults are called by their names."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from superlens.camera import Camera, estimate_camera, find_border, find_defects, refuse_offset
from superlens.camera.defects import find_line_shift
from superlens.camera.given import about_gain
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.observing.observation import observe
from superlens.optics import PSF
from superlens.report import Metric, ReportData, judge
from superlens.simulate import STRUCTURES, GaussianSpots, expose
from superlens.smlm import estimate_movie
from superlens.smlm.finest import gain_by_finest_detail
from superlens.streaming.movie import Known, estimate_conditions
from test_smlm_usual import movie

TRUE = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
RIGHT = {"gain": 2.0, "offset": 100.0, "read_noise_e": 1.5}


def picture(kind: str = "filaments", photons: float = 60.0, camera: Camera = TRUE, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    specimen = STRUCTURES[kind]((256, 256), rng)
    counts, _, _ = expose(specimen, PSF.gaussian(270.0, 50.0), camera, photons=photons, background=8.0, rng=rng)
    return np.rint(counts)


# -- images that were cut off at the bottom -----------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [0.16, 0.44, 0.54, 0.66, 0.77, 0.9, 0.98])
@pytest.mark.parametrize("kind", ["filaments", "vesicles"])
def test_an_image_that_was_cut_off_is_doubted_whatever_is_left_of_it(zeros: float, kind: str) -> None:
    counts = picture(kind)
    cut = np.maximum(counts - np.quantile(counts, zeros), 0)
    estimate = estimate_camera(cut)
    assert estimate.verdict == "doubtful"
    assert any("cut off at the bottom at 0" in note for note in estimate.notes)
    assert any("give `gain`" in note for note in estimate.notes)


@pytest.mark.parametrize("light", [0.1, 0.3, 0.8])
def test_zeros_of_single_photons_were_not_cut_off(light: float) -> None:
    """Three quarters of the pixels saw nothing: a detector that counts photons has no other way to say so."""
    rng = np.random.default_rng(3)
    bright = np.kron(rng.random((8, 8)) < 0.2, np.ones((24, 24))) * 6 * light + light
    assert not any("cut off" in note for note in estimate_camera(rng.poisson(bright).astype(float)).notes)


def test_an_image_most_of_which_is_saturated_is_doubted() -> None:
    counts = picture(photons=200.0)
    for share in (0.2, 0.6):
        assert estimate_camera(np.minimum(counts, np.quantile(counts, 1 - share))).verdict != "plausible"


# -- given values ---------------------------------------------------------------------------------------------------------------


def contradicted(notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if note.startswith("`")]


@pytest.mark.parametrize("kind", sorted(STRUCTURES))
@pytest.mark.parametrize("photons", [10.0, 300.0])
def test_right_values_are_not_contradicted(kind: str, photons: float) -> None:
    counts = picture(kind, photons, seed=4)
    for known in (RIGHT, {"gain": 2.0}, {"offset": 100.0}, {"read_noise_e": 1.5}):
        assert not contradicted(estimate_camera(counts, **known).notes)


WRONG: dict[str, tuple[dict[str, float], str]] = {
    "inverse": ({"gain": 0.5}, "close to its inverse: did you give electrons per count"),
    "half": ({"gain": 1.0, "offset": 100.0}, "multiplies electrons"),
    "twice": ({"gain": 4.0}, "times less"),
    "ten times": ({"gain": 20.0}, "times less"),
    "a tenth": ({"gain": 0.2, "offset": 100.0, "read_noise_e": 1.5}, "times as much"),
    "no offset": ({"offset": 0.0}, "`offset` is 0"),
    "noise in counts": ({"read_noise_e": 30.0}, "did you give counts"),
    "offset above many": ({"offset": 135.0}, "lie below it"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", ["filaments", "er_network", "nuclei"])
def test_wrong_values_are_named(name: str, kind: str) -> None:
    known, said = WRONG[name]
    estimate = estimate_camera(picture(kind), **known)
    assert said in " ".join(contradicted(estimate.notes))
    assert estimate.verdict != "plausible"
    assert all(
        getattr(estimate.camera, name) == value for name, value in known.items()
    )  # they are kept, and it is said


def test_nobody_is_asked_for_what_was_given() -> None:
    for known in ({"offset": 100.0, "gain": 0.46}, {"offset": 60.0}):
        assert not any("Give `offset`" in note for note in estimate_camera(picture(), **known).notes)
    glowing = picture() + 2 * np.random.default_rng(0).poisson(60.0, (128, 128))
    assert any("Give `offset`" in note for note in estimate_camera(glowing).notes)


def test_an_offset_above_most_pixels_is_refused() -> None:
    counts = picture()
    with pytest.raises(SuperlensError, match=r"`offset` is 500; 99.9 % of the pixels of the image lie below it"):
        refuse_offset(counts, 500.0)
    dark = Camera(2.0, 100.0, 1.5).expose(np.zeros((64, 64)), np.random.default_rng(0))
    for right in (None, 100.0):
        refuse_offset(dark, right)  # half of the pixels lie below it, by their noise
        refuse_offset(counts, right)


# -- movies ---------------------------------------------------------------------------------------------------------------------


def conditions(known: Known) -> tuple[str, ...]:
    frames = movie(40, density=0.3, sensor=TRUE).frames
    return estimate_conditions(frames, known, (0, 40)).doubts


def test_right_values_of_a_movie_are_not_contradicted() -> None:
    for known in (RIGHT, {"gain": 2.0}, {"offset": 100.0}, {"gain": 2.0, "offset": 100.0}, {}):
        assert conditions(Known(sigma_nm=110.0, **known)) == ()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"gain": 0.5, "offset": 100.0, "read_noise_e": 1.5}, "close to its inverse"),
        ({"gain": 0.5}, "close to its inverse"),
        ({"gain": 20.0, "offset": 100.0, "read_noise_e": 1.5}, "times less"),
        ({"gain": 1.0, "offset": 100.0, "read_noise_e": 1.5}, "EMCCD"),
        ({"gain": 2.0, "offset": 0.0, "read_noise_e": 1.5}, "`offset` is too low"),
        ({"gain": 2.0, "offset": 100.0, "read_noise_e": 15.0}, "`read_noise_e` too high"),
    ],
    ids=["inverse", "inverse alone", "ten times", "half", "no offset", "noisy"],
)
def test_wrong_values_of_a_movie_are_named(known: dict[str, float], said: str) -> None:
    (doubt,) = conditions(Known(**known))
    assert said in doubt


def test_an_offset_above_most_pixels_of_a_movie_is_refused_before_work() -> None:
    with pytest.raises(SuperlensError, match="`offset` is 900"):
        conditions(Known(offset=900.0))


def test_a_border_of_a_movie_is_doubted() -> None:
    frames = movie(20, density=0.3).frames
    padded = dataclasses.replace(frames, data=np.pad(frames.data, ((0, 0), (6, 6), (6, 6))))
    (doubt,) = estimate_conditions(padded, Known(), (0, 20)).doubts
    assert doubt.startswith("Crop the movie: it has a border of identical pixels")


# -- faults by name ---------------------------------------------------------------------------------------------------------------


def shifted(counts: np.ndarray, pixels: int) -> np.ndarray:
    made = counts.copy()
    made[1::2] = np.roll(made[1::2], pixels, axis=1)
    return made


def with_hot_pixels(counts: np.ndarray, share: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    return counts + (rng.random(counts.shape) < share) * rng.uniform(300, 4000, counts.shape)


FAULTS = {
    "zeros": (lambda c: np.pad(c, 9), "a border of identical pixels"),
    "one line": (lambda c: np.pad(c, ((0, 1), (0, 0))), "a border of identical pixels"),
    "dark level": (lambda c: np.pad(c, ((0, 0), (12, 3)), constant_values=100.0), "a border of identical pixels"),
    "corners": (lambda c: np.where(np.add.outer(np.arange(128), np.arange(128)) < 40, 0.0, c), "identical pixels"),
    "edge": (lambda c: np.pad(c, 5, mode="edge"), "a border of repeated pixels"),
    "mirror": (lambda c: np.pad(c, 7, mode="reflect"), "a border of mirrored pixels"),
    "symmetric": (lambda c: np.pad(c, 7, mode="symmetric"), "a border of mirrored pixels"),
    "hot": (lambda c: with_hot_pixels(c, 0.008), "hot pixels"),
    "many hot": (lambda c: with_hot_pixels(c, 0.02), "hot pixels"),
    "scan": (lambda c: shifted(c, 2), "alternate lines are shifted by about 2 pixels"),
    "scan back": (lambda c: shifted(c, -3), "alternate lines are shifted by about 3 pixels"),
    "scan along y": (lambda c: shifted(c.T, 2).T, "alternate columns are shifted by about 2 pixels"),
    "interlaced": (lambda c: c + 30.0 * (np.arange(len(c)) % 2)[:, None], "alternate lines differ in brightness"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["filaments", "vesicles", "nuclei"])
def test_faults_are_called_by_their_names(fault: str, kind: str) -> None:
    make, said = FAULTS[fault]
    (seen,) = observe([Image(make(picture(kind)).astype(np.float32))])
    assert len(seen.defects) == 1
    assert said in seen.defects[0]
    assert seen.defects[0] in seen.messages


@pytest.mark.parametrize("kind", sorted(STRUCTURES))
@pytest.mark.parametrize("photons", [5.0, 100.0, 3000.0])
def test_recordings_have_no_faults(kind: str, photons: float) -> None:
    counts = picture(kind, photons)
    assert find_defects(counts[None], TRUE) == ()
    cut = np.maximum(counts - np.quantile(counts, 0.8), 0)
    assert find_border(cut) is None  # zeros of a background that was taken off are no border
    assert find_line_shift(counts[None]) is None


def test_the_verdict_names_the_cause_first() -> None:
    plane = np.ones((32, 32))
    bad = Metric("residual structure", 0.9, "", "below 0.1", "bad", "Structure.")
    from datetime import datetime

    verdict = judge(
        ReportData(
            "t", "cell", datetime(2030, 1, 1), plane, denoised=plane, metrics=(bad,), defects=("Crop the image.",)
        )
    )
    assert verdict.grade == "bad"
    assert verdict.reasons[0].text == "Crop the image."


@pytest.mark.parametrize(("what", "parameter"), [("image", "give `gain` 4"), ("movie", "give `em`")])
def test_a_doubled_variance_says_what_to_give(what: str, parameter: str) -> None:
    said = about_gain(2.0, 4.0, what)
    assert "EMCCD" in said
    assert said.endswith((f"{parameter}, which counts the variance in.", f"{parameter}."))


# -- movies too crowded for single blinks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma_nm", [90.0, 110.0, 160.0])
@pytest.mark.parametrize("density", [0.3, 3.0, 8.0])
def test_the_finest_detail_tells_the_gain_however_crowded_molecules_are(density: float, sigma_nm: float) -> None:
    frames = movie(40, density=density, sensor=TRUE, spots=GaussianSpots(sigma_nm, 3.0)).frames.data
    gain, error, _ = gain_by_finest_detail(frames)
    assert abs(gain / TRUE.gain - 1) < 0.2 + 3 * error / TRUE.gain


@pytest.mark.parametrize("times", [0.25, 0.5, 2.0, 5.0])
def test_a_wrong_gain_of_a_crowded_movie_is_named_and_the_right_one_is_not(times: float) -> None:
    frames = movie(60, density=4.0, sensor=TRUE, seed=11).frames.data
    for known in ({"gain": 2.0}, RIGHT):
        assert not [one for one in estimate_movie(frames, 100.0, **known).doubts if one.startswith("`gain`")]
    told = estimate_movie(frames, 100.0, **{**RIGHT, "gain": 2.0 * times})
    assert any(one.startswith(f"`gain` is {2.0 * times:.3g}; the movie suggests") for one in told.doubts)


def test_noise_that_pixels_share_accuses_no_gain() -> None:
    """What was smoothed has next to no finest detail, as if the gain were far lower."""
    frames = ndimage.gaussian_filter(movie(40, density=3.0, sensor=TRUE).frames.data.astype(np.float32), (0, 0.6, 0.6))
    assert not [one for one in estimate_movie(frames, 100.0, **RIGHT).doubts if one.startswith("`gain`")]
