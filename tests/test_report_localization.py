"""Claims about the page of a localization: whole, honest, loading nothing, standing with nothing found."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime

import numpy as np
import pytest

from html_page import Page
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.report import (
    Condition,
    DriftCourse,
    LocalizationReport,
    ModelNote,
    Provenance,
    render_localizations,
)
from superlens.report.localization_page import crops_of
from superlens.simulate import Independent, SmlmScene, simulate_smlm
from superlens.simulate.likeness import Likeness, compare_with_simulation
from superlens.smlm import histogram, render_gaussian
from superlens.smlm.estimation import MovieEstimate

pytestmark = pytest.mark.filterwarnings("error")

CREATED = datetime(2031, 5, 4, 14, 3)
SIDE, FRAMES, PIXEL_NM = 32, 24, 100.0
SECTIONS = (
    "compare", "findings", "regions", "time", "found", "probability", "drift", "conditions", "likeness", "model", "origin", "cite",
)  # fmt: skip


def likeness_of(counts: np.ndarray, density_um2: float) -> Likeness:
    known = MovieEstimate(Camera(1.0, 100.0, 1.5), 110.0, 2280.0, 20.0, density_um2, {})
    return compare_with_simulation(counts - 100.0, known, PIXEL_NM, rng=np.random.default_rng(1))


def make(frames: int = FRAMES, density_um2: float = 2.0) -> LocalizationReport:
    scene = SmlmScene(yx_shape=(SIDE, SIDE), margin_nm=300.0, blinking=Independent(density_um2))
    movie = simulate_smlm(frames, scene, rng=np.random.default_rng(3))
    counts = np.asarray(movie.frames.data, float)
    rng = np.random.default_rng(4)
    number = len(movie.truth)
    table = movie.truth.with_columns(uncertainty_nm=rng.gamma(9, 1.2, number), probability=rng.beta(8, 2, number))
    course = np.stack([np.linspace(-20, 20, frames), np.zeros(frames)], axis=1)
    return LocalizationReport(
        title="Localization report",
        source_name="movie.tif",
        created=CREATED,
        mean=counts.mean(axis=0),
        pixel_nm=PIXEL_NM,
        rendered=render_gaussian(table, 20.0).data,
        rendered_nm=20.0,
        columns=dict(table.columns),
        frames=(1, frames),
        density=histogram(table.positions_nm, (8 * SIDE, 8 * SIDE), PIXEL_NM / 8),
        density_nm=PIXEL_NM / 8,
        linked=number // 2,
        drift=DriftCourse(
            np.arange(1, frames + 1), course, 3.0, True, "the specimen moved by 40 nm.", np.array([1.0]), course[:1]
        ),
        conditions=(
            Condition("Width of a molecule", 110.0, "nm", "40 isolated blinks, each fitted"),
            Condition("Camera offset", 100.0, "counts", "told by the user", given=True),
        ),
        density_um2=density_um2,
        spot_sigma_nm=rng.normal(110, 4, 50),
        spot_photons=rng.normal(2250, 250, 50),
        likeness=likeness_of(counts, density_um2),
        threshold=0.3,
        model=ModelNote("dense", "5.5 molecules per µm²", "its density is nearest", {"upsampling": 8}),
        messages=("the movie is short",),
        parameters={"link_nm": 30.0, "sources": {"sigma_nm": "given"}},
        versions={"superlens": "0.1.0"},
        provenance=Provenance("superlens localize movie.tif", 7, "CPU, 2 cores", "sha256:ab12", CREATED, 54.2),
    )


FULL = make()
PLACES = {name: FULL.columns[name] for name in ("frame", "x_nm", "y_nm")}
FEW = dataclasses.replace(FULL, columns=PLACES, likeness=None, spot_sigma_nm=None, spot_photons=None, drift=None)


def bare(**changes: object) -> LocalizationReport:
    """Nothing but what is required, and nothing found."""
    nothing: dict[str, np.ndarray] = {"frame": np.empty(0, int), "x_nm": np.empty(0), "y_nm": np.empty(0)}
    plane = np.full((SIDE, SIDE), 120.0)
    data = LocalizationReport(
        "Localization report", "movie.tif", CREATED, plane, PIXEL_NM, np.zeros((160, 160)), 20.0, nothing, (1, 5)
    )
    return dataclasses.replace(data, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def full() -> str:
    return render_localizations(FULL)


@pytest.fixture(scope="module")
def empty() -> str:
    return render_localizations(bare())


@pytest.mark.parametrize("page", ["full", "empty"])
def test_every_element_closes_and_every_section_stands(page: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(page)
    parsed = Page(text)
    assert text.startswith("<!doctype html>")
    assert parsed.open == []
    ids = parsed.values("id")
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    assert len(ids) == len(set(ids)), "an id stands twice"


@pytest.mark.parametrize("page", ["full", "empty"])
def test_nothing_is_loaded_from_outside(page: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(page)
    parsed = Page(text)
    assert parsed.values("src"), "the pictures are missing"
    assert all(value.startswith("data:image/png;base64,") for value in parsed.values("src"))
    links = [(tag, value) for tag, name, value in parsed.attributes if name.endswith("href")]
    assert all(value.startswith("#") or (tag == "a" and value.startswith("https://doi.org/")) for tag, value in links)
    outside = re.sub(r"https://doi\.org/[\w./-]+", "", text)
    assert not re.search(r"https?://|@import|\burl\((?!['\"]?#)", outside)
    assert not any(tag in ("link", "iframe", "object") for tag, _, _ in parsed.attributes)


def test_every_anchor_has_its_target(full: str) -> None:
    parsed = Page(full)
    ids = set(parsed.values("id"))
    assert all(value[1:] in ids for value in parsed.values("href") if value.startswith("#"))


def test_the_same_data_give_the_same_page(full: str) -> None:
    assert render_localizations(FULL) == full


def test_text_from_outside_is_escaped() -> None:
    evil = "<script>alert('&')</script>"
    page = render_localizations(
        bare(
            title=evil,
            source_name=evil,
            messages=(evil,),
            parameters={evil: evil},
            versions={evil: evil},
            conditions=(Condition(evil, 1.0, evil, evil),),
            model=ModelNote(evil, evil, evil, {evil: evil}),
            provenance=Provenance(evil, None, evil, evil),
            citations=((evil, ""),),
        )  # fmt: skip
    )
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") >= 15
    assert Page(page).open == []


def test_the_page_says_what_it_was_given(full: str) -> None:
    words = Page(full).words
    for said in (
        f"{FULL.rows:,} localizations in 24 frames", "drift corrected", f"{FULL.linked} molecules after linking", "The movie is short",
        "110 nm", "estimated", "40 isolated blinks, each fitted", "told by the user", "given", "5.5 molecules per µm²",
        "its density is nearest", "superlens localize movie.tif", "sha256:ab12", "sources.sigma_nm", "The specimen moved by 40 nm.",
        "Most localizations", "Threshold", "darkest 2 % of the pixels", "✓ alike", "50 blinks, median",
    ):  # fmt: skip
        assert said in words, said
    drawn = set(Page(full).values("aria-label"))
    for title in (
        "Localizations in each frame over time", "Density of molecules in a frame", "Photons of the localizations",
        "Uncertainty of the localizations", "Background of the localizations", "Probability of the localizations",
        "Drift of the specimen over time", "Width of isolated blinks", "Photons of isolated blinks",
        "Pixel values of real and simulated frames", "Covariance of neighbouring pixels in real and simulated frames",
        "Spots that stand out in real and simulated frames",
    ):  # fmt: skip
        assert title in drawn, title


def test_an_empty_table_is_told_and_every_section_says_why_it_shows_nothing(empty: str) -> None:
    words = Page(empty).words
    for said in (
        "Nothing found", "Nothing found in 5 frames", "Do not use", "there is no region to choose", "the table is empty", "Drift was not looked for",
        "No conditions were recorded", "No blink stood alone", "nothing was compared", "The model is not described",
        "No parameter was recorded", "not recorded",
    ):  # fmt: skip
        assert said in words, said


def test_a_difference_between_real_and_simulated_frames_asks_to_look_closer() -> None:
    counts = np.asarray(
        simulate_smlm(12, SmlmScene(yx_shape=(SIDE, SIDE), blinking=Independent(2.0)), rng=np.random.default_rng(0)).frames.data,
        float,
    )  # fmt: skip
    page = Page(render_localizations(dataclasses.replace(FEW, likeness=likeness_of(counts, 6.0))))
    assert ("div", "class", "verdict warn") in page.attributes
    assert "less light than simulated" in page.words


@pytest.mark.parametrize("density_um2", [2.0, 0.0], ids=["some", "none"])
def test_one_frame_is_enough(density_um2: float) -> None:
    page = Page(render_localizations(make(1, density_um2)))
    assert page.open == []
    assert "too short to compare what changes in time" in page.words


def test_drift_that_was_not_found_is_a_sentence() -> None:
    course = DriftCourse(
        np.arange(1, 6), np.zeros((5, 2)), note="No drift was corrected: 12 localizations are too few to measure it."
    )
    page = Page(render_localizations(dataclasses.replace(FEW, drift=course)))
    assert "No drift was corrected: 12 localizations are too few to measure it." in page.words
    assert "Drift of the specimen over time" not in page.values("aria-label")
    assert "no drift corrected" in page.words


def test_a_message_that_stands_in_its_section_is_told_once() -> None:
    note = "No drift was corrected: 2.0 nm is not above twice its own error of 1.5 nm."
    course = DriftCourse(np.arange(1, 6), np.zeros((5, 2)), note=note)
    page = Page(render_localizations(dataclasses.replace(FEW, drift=course, messages=(note, "the table is dense"))))
    assert page.words.count(note[1:]) == 1
    assert "The table is dense" in page.words


def test_values_that_are_not_finite_and_columns_that_are_missing_are_left_out() -> None:
    gaps = np.full(FULL.rows, np.nan)
    page = Page(render_localizations(dataclasses.replace(FEW, columns={**PLACES, "photons": gaps})))
    assert "the table has no such column" in page.words
    assert "the table has no column of probabilities" in page.words


def test_regions_are_ordered_by_what_they_hold() -> None:
    """The first region is the window with the most localizations, wherever it lies; none reaches beyond the field."""
    rng = np.random.default_rng(0)
    crowd = np.stack([rng.uniform(2100, 2900, 500), rng.uniform(200, 1000, 500)])
    rest = rng.uniform(0, 3200, (2, 60))
    x, y = np.concatenate([crowd, rest], axis=1)
    data = dataclasses.replace(FULL, columns={"frame": np.ones(560, int), "x_nm": x, "y_nm": y})
    held = []
    for crop in crops_of(data):
        assert 0 <= crop.y <= SIDE - crop.height and 0 <= crop.x <= SIDE - crop.width
        left, top = crop.x * PIXEL_NM, crop.y * PIXEL_NM
        side = crop.width * PIXEL_NM
        held.append(int(np.sum((x >= left) & (x < left + side) & (y >= top) & (y < top + side))))
    assert held[0] >= 500
    assert held == sorted(held, reverse=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(5)}, "mean has the shape"),
        ({"pixel_nm": 0.0}, "pixel_nm is 0.0"),
        ({"density": np.zeros((4, 4))}, "density_nm"),
        ({"columns": {"frame": np.ones(2)}}, "no x_nm, y_nm"),
        ({"columns": {"frame": np.ones(2), "x_nm": np.ones(3), "y_nm": np.ones(2)}}, "one length"),
        ({"frames": (0, 5)}, "frames is 0:5"),
    ],
    ids=["axes", "pixel", "density", "missing", "lengths", "frames"],
)
def test_data_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SuperlensError, match=message):
        bare(**change)


def test_a_drift_without_a_place_for_each_frame_is_refused() -> None:
    with pytest.raises(SuperlensError, match="one row of x and y for each"):
        DriftCourse(np.arange(5), np.zeros((4, 2)))
