"""The bound on localization is what theory says, and the fit reaches it."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.camera import EMCCD, Camera
from superlens.errors import SuperlensError
from superlens.simulate import GaussianSpots, Molecules
from superlens.smlm.precision import cramer_rao_nm, fit_spots

PIXEL, SIGMA, SIDE = 100.0, 110.0, 13


def means(places: np.ndarray, photons: float, background: float, sigma: float = SIGMA) -> np.ndarray:
    """Mean photons of windows with a molecule at each place (x, y)."""
    light, widths = np.array([photons]), np.array([[sigma, sigma]])
    one = [Molecules(np.array([[x, y, 0.0]]), light, widths, np.array([1])) for x, y in places]
    return background + np.array([GaussianSpots().render(spot, (SIDE, SIDE), PIXEL) for spot in one])


def places(count: int, seed: int = 0) -> np.ndarray:
    """Places all over the middle pixel."""
    return np.random.default_rng(seed).uniform(600.0, 700.0, (count, 2))


def rmse(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - true) ** 2)))


@pytest.mark.parametrize(
    ("photons", "background", "read_noise_e"), [(2250.0, 20.0, 1.5), (500.0, 5.0, 1.5), (5000.0, 80.0, 0.0)]
)
def test_fits_of_isolated_spots_sit_on_the_bound(photons: float, background: float, read_noise_e: float) -> None:
    true = places(500)
    camera = Camera(2.0, 100.0, read_noise_e)
    counts = camera.expose(means(true, photons, background), np.random.default_rng(1))
    fit = fit_spots(camera.to_electrons(counts), PIXEL, read_noise_e=read_noise_e)
    bound = cramer_rao_nm(photons, background, SIGMA, PIXEL, read_noise_e=read_noise_e, free_sigma=True)
    error = np.hypot(rmse(fit.x_nm, true[:, 0]), rmse(fit.y_nm, true[:, 1])) / np.sqrt(2.0)
    assert fit.converged.mean() > 0.99
    assert 0.9 < error / bound < 1.15
    assert fit.x_error_nm.mean() == pytest.approx(float(bound), rel=0.05)
    for name, value in (("photons", photons), ("background", background), ("sigma", SIGMA)):
        suffix = "_nm" if name == "sigma" else ""
        found, error = getattr(fit, name + suffix), getattr(fit, f"{name}_error{suffix}")
        assert found.std() == pytest.approx(error.mean(), rel=0.15)
        assert abs(found.mean() - value) < 5 * found.std() / np.sqrt(500) + 0.01 * value
    assert fit.misfit.mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("factor", [1.0, 4.0, 100.0])
def test_a_gain_that_is_too_high_shows_in_what_is_left_of_bright_spots(factor: float) -> None:
    counts = Camera(1.0, 0.0, 0.0).expose(means(places(300), 20_000.0, 1.0), np.random.default_rng(1))
    fit = fit_spots(counts / factor, PIXEL)
    assert np.median(fit.scatter[fit.converged]) == pytest.approx(1 / factor, rel=0.1)


def test_electron_multiplication_costs_half_of_the_photons() -> None:
    true, camera = places(500), EMCCD(quantum_efficiency=1.0, spurious_e=0.0)
    counts = camera.expose(means(true, 2000.0, 10.0), np.random.default_rng(2))
    read_noise_e = camera.as_camera().read_noise_e
    fit = fit_spots(camera.as_camera().to_electrons(counts), PIXEL, read_noise_e=read_noise_e, excess=2.0)
    bound = cramer_rao_nm(2000.0, 10.0, SIGMA, PIXEL, read_noise_e=read_noise_e, excess=2.0)
    assert float(bound) == pytest.approx(float(cramer_rao_nm(1000.0, 5.0, SIGMA, PIXEL)), rel=0.01)
    assert 0.9 < np.hypot(rmse(fit.x_nm, true[:, 0]), rmse(fit.y_nm, true[:, 1])) / np.sqrt(2.0) / bound < 1.15


@pytest.mark.parametrize("photons", [300.0, 2250.0, 20_000.0])
@pytest.mark.parametrize("background", [0.5, 20.0, 100.0])
def test_the_bound_agrees_with_the_formula_for_it(photons: float, background: float) -> None:
    wide = SIGMA**2 + PIXEL**2 / 12  # of the image with its pixels
    tau = 2 * np.pi * background * wide / (photons * PIXEL**2)
    formula = np.sqrt(wide / photons * (1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau))))
    assert float(cramer_rao_nm(photons, background, SIGMA, PIXEL)) == pytest.approx(formula, rel=0.04)


def test_the_bound_without_background_and_with_small_pixels_is_sigma_over_root_photons() -> None:
    assert float(cramer_rao_nm(400.0, 0.0, SIGMA, 10.0)) == pytest.approx(SIGMA / 20.0, rel=0.01)


def test_the_bound_takes_arrays_and_keeps_their_shape() -> None:
    photons = np.array([[500.0], [2000.0]])
    bound = cramer_rao_nm(photons, 10.0, [100.0, 120.0, 300.0], PIXEL)
    assert bound.shape == (2, 3)
    assert (np.diff(bound, axis=1) > 0).all()
    assert (np.diff(bound, axis=0) < 0).all()
    assert bound[1, 0] == pytest.approx(float(cramer_rao_nm(2000.0, 10.0, 100.0, PIXEL)), rel=0.01)
    assert (
        cramer_rao_nm(photons, 10.0, 110.0, PIXEL, read_noise_e=3.0) > cramer_rao_nm(photons, 10.0, 110.0, PIXEL)
    ).all()


def test_a_fit_without_noise_finds_what_made_the_spot() -> None:
    true = np.array([[612.0, 688.0], [650.0, 650.0], [700.0, 555.0]])
    fit = fit_spots(means(true, 800.0, 7.0, sigma=150.0), PIXEL, corners=[[0, 0], [10, 20], [5, 0]])
    assert np.stack([fit.x_nm, fit.y_nm], 1) == pytest.approx(true + [[0, 0], [2000, 1000], [0, 500]], abs=1e-2)
    assert fit.photons == pytest.approx(800.0, rel=1e-4)
    assert fit.background == pytest.approx(7.0, rel=1e-3)
    assert fit.sigma_nm == pytest.approx(150.0, rel=1e-4)
    assert fit.converged.all()


def test_a_known_width_is_left_alone() -> None:
    fit = fit_spots(means(places(1), 900.0, 5.0), PIXEL, sigma_nm=130.0, fixed_sigma=True)
    assert (fit.sigma_nm[0], fit.sigma_error_nm[0], len(fit)) == (pytest.approx(130.0), 0.0, 1)


def test_a_neighbour_shows_in_the_misfit_and_an_empty_window_does_not_pass() -> None:
    rng = np.random.default_rng(0)
    pair = means(np.array([[500.0, 650.0]]), 2000.0, 5.0)[0] + means(np.array([[800.0, 650.0]]), 2000.0, 0.0)[0]
    fit = fit_spots(np.stack([rng.poisson(pair), rng.poisson(means(places(1), 2000.0, 5.0)[0])]), PIXEL)
    assert fit.misfit[0] > 2.0 > 1.5 > fit.misfit[1]
    assert not fit_spots(np.zeros((1, 9, 9)), PIXEL).converged[0]
    assert len(fit.where(fit.misfit < 2.0)) == 1
    assert len(fit_spots(np.zeros((0, 9, 9)), PIXEL)) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cramer_rao_nm(0.0, 1.0, 110.0, 100.0), "photons"),
        (lambda: cramer_rao_nm(100.0, -1.0, 110.0, 100.0), "background"),
        (lambda: cramer_rao_nm(100.0, 1.0, 110.0, 0.1), "Did you give micrometres"),
        (lambda: cramer_rao_nm(100.0, 1.0, 110.0, 100.0, excess=0.5), "excess"),
        (lambda: fit_spots(np.zeros((3, 4, 5)), 100.0), "windows"),
        (lambda: fit_spots(np.full((1, 9, 9), np.nan), 100.0), "not finite"),
        (lambda: fit_spots(np.zeros((2, 9, 9)), 100.0, corners=[[0, 0]]), "corners"),
    ],
)
def test_impossible_requests_are_refused(make: object, message: str) -> None:
    with pytest.raises(SuperlensError, match=message):
        make()  # type: ignore[operator]
