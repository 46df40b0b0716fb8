"""Images of localizations: calibrated, complete, and where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.smlm import Localizations, rendering
from superlens.smlm.rendering import render_gaussian, render_histogram


def table(positions, **columns):
    x, y = np.array(positions, float).T
    rows = {"frame": np.ones(len(x)), "x_nm": x, "y_nm": y, **columns}
    return Localizations(rows, pixel_nm=100.0, yx_shape=(12, 16))


def middle(seed, number=300):
    return table(np.random.default_rng(seed).uniform(400, 800, (number, 2)), uncertainty_nm=np.full(number, 15.0))


@pytest.mark.parametrize("render", [render_histogram, render_gaussian])
def test_every_localization_counts_one(render):
    image = render(middle(0), 10.0)
    assert image.data.shape == (120, 160)
    assert image.pixel_nm == 10.0
    assert image.data.sum() == pytest.approx(300, rel=1e-4)
    assert image.history["rendered"]["localizations"] == 300


@pytest.mark.parametrize("render", [render_histogram, render_gaussian])
def test_an_image_without_localizations_is_dark(render):
    image = render(Localizations.empty(pixel_nm=100.0, yx_shape=(4, 5)), 50.0, **_width(render))
    assert image.data.shape == (8, 10)
    assert not image.data.any()


def _width(render):
    return {"sigma_nm": 10.0} if render is render_gaussian else {}


@pytest.mark.parametrize("sigma_nm", [4.0, 10.0, 37.0])
def test_a_gaussian_lies_where_its_molecule_lies_and_is_as_wide_as_asked(sigma_nm):
    pixel = 5.0
    places = np.random.default_rng(1).uniform(590, 610, (40, 2))
    for place in places:
        data = render_gaussian(table([place]), pixel, sigma_nm=sigma_nm).data.astype(float)
        y, x = ((np.arange(side) + 0.5) * pixel for side in data.shape)
        centre = np.array([data.sum(0) @ x, data.sum(1) @ y]) / data.sum()
        np.testing.assert_allclose(centre, place, atol=0.05)
        variance = data.sum(0) @ (x - centre[0]) ** 2 / data.sum() - pixel**2 / 12
        assert np.sqrt(variance) == pytest.approx(sigma_nm, rel=0.1)


def test_wide_uncertainties_are_drawn_wider():
    sharp, blunt = (render_gaussian(table([(600.0, 600.0)], uncertainty_nm=[s]), 5.0).data.max() for s in (8.0, 32.0))
    assert sharp / blunt == pytest.approx(16, rel=0.25)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(SuperlensError, match="uncertainty_nm; give sigma_nm"):
        render_gaussian(table([(1, 1)]))
    with pytest.raises(SuperlensError, match="pixel_nm"):
        render_histogram(middle(0), 0.0)
    far = Localizations({"frame": [1], "x_nm": [1e9], "y_nm": [1e9]})
    with pytest.raises(SuperlensError, match="check the units"):
        render_histogram(far, 10.0)


@pytest.mark.parametrize("sigma_nm", [4.0, 11.0, 30.0])
def test_one_by_one_and_all_at_once_are_the_same_image(sigma_nm: float, monkeypatch: pytest.MonkeyPatch) -> None:
    places = np.random.default_rng(0).uniform(0, 640, (300, 2))
    rows = Localizations({"frame": np.ones(300), "x_nm": places[:, 0], "y_nm": places[:, 1]}, 10.0, (64, 64))
    each = render_gaussian(rows, 10.0, sigma_nm=sigma_nm).data
    monkeypatch.setattr(rendering, "side_of", lambda sigma: 10**9)
    filtered = render_gaussian(rows, 10.0, sigma_nm=sigma_nm).data
    np.testing.assert_allclose(each, filtered, atol=0.03 * each.max())  # bilinear placing is no Gaussian
    assert each.sum() == pytest.approx(filtered.sum(), rel=1e-3)
