"""Frames that are unlike the rest are found, named and left out; the background is followed; the result is that of the plain movie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from superlens.image import Image
from superlens.methods.deepstorm.apply import Localized, localize_movie
from superlens.methods.deepstorm.calls import localize
from superlens.simulate import Background, DensitySites, Independent, PhotonLaw, SmlmScene, simulate_smlm
from superlens.simulate.movie import Movie
from superlens.smlm import Known, Localizations, estimate_movie, match, scores
from superlens.smlm.balance import LightBalance
from superlens.smlm.estimation import MovieEstimate
from superlens.smlm.usual import UsualFrame, frames_in_words

FRAMES, SIDE = 60, 32
BRIGHTNESS = 2250 * (1 + (250 / 2250) ** 2)  # mean square over mean
Spoil = Callable[[np.ndarray], np.ndarray]


def movie(frames: int = FRAMES, density: float = 0.4, seed: int = 5, **parts: object) -> Movie:
    scene = SmlmScene(yx_shape=(SIDE, SIDE), blinking=Independent(density), **parts)  # type: ignore[arg-type]
    return simulate_smlm(frames, scene, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def plain() -> Movie:
    return movie()


def where(chosen: np.ndarray, what: float | Spoil) -> Spoil:
    """Other pixels in some frames."""

    def spoil(counts: np.ndarray) -> np.ndarray:
        made = counts.astype(np.float32)
        made[chosen] = what(made[chosen]) if callable(what) else what
        return made

    return spoil


def shutter(counts: np.ndarray) -> np.ndarray:
    return np.rint(100 + np.random.default_rng(1).normal(0, 1.5, counts.shape))


def more_light(photons: np.ndarray) -> Spoil:
    """Light on top of each frame, given as photons a pixel that broadcast to (T, Y, X)."""

    def spoil(counts: np.ndarray) -> np.ndarray:
        return counts + np.random.default_rng(2).poisson(np.broadcast_to(photons, counts.shape))

    return spoil


def hot_black(counts: np.ndarray) -> np.ndarray:
    made = np.zeros_like(counts)
    made[:, 5, 7] = 4000
    return made


T = np.arange(FRAMES)
FADE = 400 * np.exp(-T / 8)[:, None, None]
FLICKER = np.maximum(60 * (1 + 0.3 * np.random.default_rng(3).normal(size=FRAMES)), 0)[:, None, None]
GLOW = np.exp(-((np.mgrid[:SIDE, :SIDE] - 14.0) ** 2).sum(axis=0) / (2 * 8.0**2))

DARK: dict[str, tuple[Spoil, np.ndarray, str]] = {
    "black at the end": (where(T >= 50, 0), T >= 50, "10 of 60 frames, with the same value in far more pixels than usual (frames 51 to 60)"),
    "every 4th black": (where(T % 4 == 0, 0), T % 4 == 0, "15 of 60 frames, with the same value in far more pixels than usual (every 4th frame from 1 to 57)"),
    "some black": (where(np.isin(T, [3, 17, 18, 30, 44]), 0), np.isin(T, [3, 17, 18, 30, 44]), "frames 4, 18 to 19, 31 and 45"),
    "black but for a hot pixel": (where(T % 7 == 0, hot_black), T % 7 == 0, "9 of 60 frames"),
    "white": (where(T % 10 == 0, 65535), T % 10 == 0, "6 of 60 frames"),
    "shutter closed first": (where(T < 10, shutter), T < 10, "as dark as with a closed shutter (frames 1 to 10)"),
    "mostly closed": (where(T < 36, shutter), T < 36, "36 of 60 frames, as dark as with a closed shutter"),
    "every 2nd closed": (where(T % 2 == 0, shutter), T % 2 == 0, "every 2nd frame from 1 to 59"),
}  # fmt: skip
LIT: dict[str, tuple[Spoil, str]] = {
    "flash": (where(T == 30, lambda c: c + 3000), "1 of 60 frames, much brighter than the rest (frame 31)"),
    "fading background": (more_light(FADE), ""),
    "fading glow": (more_light(FADE * GLOW), ""),
    "flicker": (more_light(FLICKER), ""),
}


def estimated(counts: np.ndarray) -> MovieEstimate:
    return estimate_movie(counts, 100.0, gain=1.0)


def same_conditions(told: MovieEstimate, density: float = 0.4) -> None:
    assert told.photons == pytest.approx(BRIGHTNESS, rel=0.2)
    assert told.density_um2 == pytest.approx(density, rel=0.25)
    assert told.sigma_nm == pytest.approx(110.0, rel=0.06)


@pytest.mark.parametrize("name", DARK)
def test_dark_frames_are_named_and_change_no_estimate(plain: Movie, name: str) -> None:
    spoil, dark, said = DARK[name]
    counts = spoil(plain.frames.data)
    judged = UsualFrame.of(counts).judged(counts)
    np.testing.assert_array_equal(judged.dark, dark)
    np.testing.assert_array_equal(judged.alike, ~dark)
    (message,) = judged.messages()
    assert said in message
    assert message.startswith("Not searched for molecules")
    same_conditions(estimated(counts))


@pytest.mark.parametrize("name", LIT)
def test_light_that_all_frames_share_is_followed(plain: Movie, name: str) -> None:
    spoil, said = LIT[name]
    counts = spoil(plain.frames.data)
    told = estimated(counts)
    same_conditions(told)
    electrons = np.asarray(told.camera.to_electrons(counts), np.float32)
    judged = told.judged(electrons)
    assert not judged.dark.any()
    assert said in " ".join(judged.messages())
    apart = np.median(told.flat(electrons), axis=(1, 2)) - np.median(electrons, axis=(1, 2)).min()
    assert np.ptp(apart) < 0.35 * np.ptp(np.median(electrons, axis=(1, 2)))


@pytest.mark.parametrize("density", [0.1, 0.4, 3.0, 6.0])
def test_frames_of_a_steady_movie_are_alike_and_left_as_they_are(density: float) -> None:
    counts = movie(density=density, margin_nm=400.0, background=Background(50.0, 50.0, contrast=0.4)).frames.data
    usual = UsualFrame.of(counts)
    judged = usual.judged(counts.astype(np.float32))
    assert judged.alike.all() and not judged.level.any() and not usual.varies
    assert judged.messages() == ()


def test_each_frame_is_judged_by_itself(plain: Movie) -> None:
    counts = where(T % 5 == 0, shutter)(more_light(FADE)(plain.frames.data))
    usual = UsualFrame.of(counts)
    whole, parts = usual.judged(counts), [usual.judged(counts[at : at + 7]) for at in range(0, FRAMES, 7)]
    joined = type(whole).joined(parts)
    np.testing.assert_array_equal(joined.dark, whole.dark)
    np.testing.assert_allclose(joined.level, whole.level, rtol=1e-6)


def test_gain_and_offset_change_no_judgement(plain: Movie) -> None:
    counts = where(T < 10, shutter)(more_light(FADE)(plain.frames.data))
    usual = UsualFrame.of(counts)
    one, two = usual.judged(counts), usual.scaled(100.0, 2.5).judged((counts - 100) / np.float32(2.5))
    np.testing.assert_array_equal(one.dark, two.dark)
    np.testing.assert_allclose(one.level, 2.5 * two.level, atol=0.51)  # medians of whole counts may fall on a neighbour


def test_a_movie_whose_background_was_cut_off_is_not_black() -> None:
    counts = np.maximum(movie().frames.data.astype(np.float32) - 145, 0)
    assert np.mean(counts == 0) > 0.8
    usual = UsualFrame.of(counts)
    assert usual.judged(counts).black.sum() == (counts.max(axis=(1, 2)) == 0).sum()


def test_frames_of_one_value_alone_are_told_of_few_frames() -> None:
    counts = movie(4).frames.data.astype(np.float32)
    counts[2] = 0
    assert UsualFrame.of(counts).judged(counts).dark.tolist() == [False, False, True, False]


def test_numbers_of_frames_are_said_shortly() -> None:
    assert frames_in_words(np.array([2, 3, 9])) == "frames 2 to 3 and 9"
    assert frames_in_words(np.array([1, 2])) == "frames 1 to 2"
    many = frames_in_words(np.random.default_rng(0).choice(5000, 900, replace=False).cumsum())
    assert len(many) < 80


# -- what is found --------------------------------------------------------------------------------------------------------


def told(found: Localized, truth: Localizations, live: np.ndarray) -> dict[str, float]:
    return scores(match(found.localizations, truth.where(live[truth["frame"] - 1])))


@pytest.fixture(scope="module")
def reference(plain: Movie) -> dict[str, float]:
    return told(localize(plain.frames), plain.truth, np.ones(FRAMES, bool))


@pytest.mark.parametrize("name", ["every 4th black", "shutter closed first", "some black"])
def test_dark_frames_yield_no_molecules_and_the_others_the_usual_ones(
    plain: Movie, reference: dict[str, float], name: str
) -> None:
    spoil, dark, said = DARK[name]
    found = localize(Image(spoil(plain.frames.data), "TYX", pixel_nm=100.0))
    assert not np.isin(found.localizations["frame"], np.flatnonzero(dark) + 1).any()
    score = told(found, plain.truth, ~dark)
    assert score["recall"] > reference["recall"] - 0.04
    assert score["precision"] > reference["precision"] - 0.04
    assert any(said in message for message in found.messages)
    assert found.verdict.grade == "ok"


@pytest.mark.parametrize("name", ["fading background", "flash"])
def test_molecules_in_front_of_changing_light_are_found(plain: Movie, reference: dict[str, float], name: str) -> None:
    found = localize(Image(LIT[name][0](plain.frames.data), "TYX", pixel_nm=100.0))
    score = told(found, plain.truth, np.ones(FRAMES, bool))
    assert score["recall"] > reference["recall"] - 0.06  # a brighter background hides some
    assert score["precision"] > reference["precision"] - 0.04


# -- what contradicts the light -------------------------------------------------------------------------------------------


def test_molecules_with_more_light_than_the_frames_contradict_them(plain: Movie) -> None:
    told = estimated(plain.frames.data)
    electrons = np.asarray(told.camera.to_electrons(plain.frames.data.astype(np.float32)), np.float32)
    light = float((told.flat(electrons) - told.background).sum())
    right, wrong = (
        LightBalance().with_frames(told.flat(electrons), told, np.full(100, share * light / 100)) for share in (1, 20)
    )
    assert right.contradictions == ()
    assert "times the light" in wrong.contradictions[0]


def test_an_estimate_that_no_movie_can_have_makes_the_result_unusable(plain: Movie) -> None:
    """A movie that is simulated with the estimate has many times the spots of the real one; photons below any noise."""
    known = Known(sigma_nm=110.0, offset=100.0, gain=1.0, read_noise_e=1.5)
    found = localize(plain.frames, known=known)
    assert found.verdict.grade == "ok" and found.contradictions == ()
    wrong = replace(found.estimate, photons=found.estimate.photons / 5, density_um2=found.estimate.density_um2 * 30)
    verdict = localize_movie(plain.frames, found.model, wrong).verdict
    assert (verdict.grade, verdict.headline) == ("bad", "Do not use")
    assert any("contradicts" in reason.text for reason in verdict.reasons)
    assert "Do not use" in localize_movie(plain.frames, found.model, wrong).report()
    assert "can't be seen" in replace(found.estimate, photons=4e-21).contradictions[0]
    assert found.estimate.contradictions == ()


# -- brightness does not depend on where in the field molecules are ---------------------------------------------------------


@pytest.mark.parametrize("side", [32, 48])
@pytest.mark.parametrize("part", ["middle", "rim"])
def test_brightness_does_not_depend_on_where_the_structure_lies(side: int, part: str) -> None:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    ring = 0.31 if part == "middle" else 0.42
    places = (np.abs(np.hypot(y, x) - ring * side) < 1.0).astype(np.float32)
    scene = SmlmScene(
        yx_shape=(side, side),
        sites=DensitySites(Image(places, "YX", pixel_nm=100.0)),
        blinking=Independent(0.26),
        photons=PhotonLaw.gamma(4, 500.0),
    )
    counts = simulate_smlm(200, scene, rng=np.random.default_rng(5)).frames.data
    assert estimate_movie(counts, 100.0, gain=1.0).photons == pytest.approx(2500.0, rel=0.2)
