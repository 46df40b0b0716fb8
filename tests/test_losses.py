"""The losses against closed forms."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from scipy import integrate, ndimage

from superlens.networks import losses


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=(*shape, 1)).astype(np.float32)


def test_crop_leaves_out_each_side():
    image = batch(1, 6, 8)
    np.testing.assert_array_equal(values(losses.crop(image, 2)), image[:, 2:4, 2:6])
    np.testing.assert_array_equal(values(losses.crop(image, 0)), image)


def grid(side=9):
    return np.meshgrid(np.arange(float(side)), np.arange(float(side)), indexing="ij")


def as_batch(image):
    return image[None, :, :, None].astype(np.float32)


@pytest.mark.parametrize(
    ("a", "b", "c", "hessian", "variation"),
    [
        # image = a y^2 / 2 + b x^2 / 2 + c x y has the second derivatives a, b, c, and those are its second differences
        (0, 0, 0, 0, 0),
        (2, 0, 0, 4, None),
        (0, 3, 0, 9, None),
        (0, 0, 1, 2, None),
        (2, 3, 1, 15, None),
    ],
)
def test_hessian_of_a_quadratic_is_its_squared_frobenius_norm(a, b, c, hessian, variation):
    y, x = grid()
    image = as_batch(a * y**2 / 2 + b * x**2 / 2 + c * x * y + 4 * y - 5 * x + 6)
    assert float(losses.hessian(image)) == pytest.approx(hessian, abs=1e-4)


def test_hessian_vanishes_on_planes_and_variation_does_not():
    y, x = grid()
    plane = as_batch(4 * y - 5 * x + 6)
    assert float(losses.hessian(plane)) == 0
    assert float(losses.total_variation(plane)) == pytest.approx(16 + 25)
    assert float(losses.total_variation(np.full_like(plane, 7))) == 0


@pytest.mark.parametrize("penalty", [losses.hessian, losses.total_variation])
def test_penalties_do_not_depend_on_orientation(penalty):
    image = batch(1, 10, 10)
    turned = np.ascontiguousarray(np.rot90(image, axes=(1, 2)))
    assert float(penalty(turned)) == pytest.approx(float(penalty(image)), rel=1e-5)
    assert float(penalty(np.ascontiguousarray(image[:, ::-1]))) == pytest.approx(float(penalty(image)), rel=1e-5)


def test_distances_in_closed_form():
    a, b = np.zeros((2, 4, 4, 1), np.float32), np.full((2, 4, 4, 1), -3, np.float32)
    assert float(losses.absolute(a, b)) == pytest.approx(3)


def test_log_mse_weighs_a_factor_alike_on_dim_and_bright_images():
    """Making one image's error ten times smaller gains the same, whichever image it is."""
    error = batch(2, 8, 8)
    zero = np.zeros_like(error)
    dim_bright = error * np.array([1.0, 30.0], np.float32).reshape(2, 1, 1, 1)
    gains = []
    for which in (0, 1):
        better = dim_bright.copy()
        better[which] /= 10
        gains.append(float(losses.log_mse(dim_bright, zero)) - float(losses.log_mse(better, zero)))
    assert gains[0] == pytest.approx(gains[1], rel=1e-2)  # the floor takes a thousandth
    assert gains[0] == pytest.approx(math.log(10), rel=1e-2)  # ln 100, mean over two images


def test_log_mse_is_finite_on_a_perfect_image():
    zero = np.zeros((1, 4, 4, 1), np.float32)
    assert float(losses.log_mse(zero, zero, floor=1e-5)) == pytest.approx(math.log(1e-5), rel=1e-5)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.0])
def test_laplace_law_is_a_density_of_that_standard_deviation(sigma):
    """Up to the constant ln sqrt(2), exp(-nll) integrates to one and has the variance sigma^2."""

    def density(e):
        nll = float(
            losses.laplace_nll(np.full((1, 1, 1, 1), e, np.float32), np.full((1, 1, 1, 1), math.log(sigma), np.float32))
        )
        return math.exp(-nll) / math.sqrt(2)

    e = np.linspace(-20 * sigma, 20 * sigma, 801)  # odd: the kink at zero is a node
    p = np.array([density(x) for x in e])
    assert integrate.simpson(p, x=e) == pytest.approx(1, rel=1e-3)
    assert integrate.simpson(p * e**2, x=e) == pytest.approx(sigma**2, rel=1e-3)


def test_laplace_law_is_least_at_the_mean_absolute_error():
    """The maximum-likelihood scale b is the mean absolute error, and the standard deviation sqrt(2) b."""
    error = batch(1, 32, 32)
    best = math.log(math.sqrt(2) * np.abs(error).mean())

    def at(log_sigma):
        return float(losses.laplace_nll(error, np.full_like(error, log_sigma)))

    assert at(best) < at(best - 0.05)
    assert at(best) < at(best + 0.05)


def test_laplace_law_is_finite_for_any_statement():
    error = np.full((1, 2, 2, 1), 1e3, np.float32)
    for extreme in (-1e4, 1e4):
        assert math.isfinite(float(losses.laplace_nll(error, np.full_like(error, extreme))))


def lone_molecule():
    spikes = np.zeros((1, 16, 16, 1), np.float32)
    spikes[0, 8, 8] = 1
    return spikes


@pytest.mark.parametrize("kernel_sum", [1.0, 2.0])
def test_a_density_that_explains_the_molecules_costs_its_sparsity_alone(kernel_sum):
    spikes = lone_molecule()
    cost = float(losses.sparse_density(100 / kernel_sum * spikes, spikes, kernel_sum=kernel_sum))
    assert cost == pytest.approx(100 / kernel_sum / 256, rel=1e-4)
    assert float(losses.sparse_density(100 / kernel_sum * spikes, spikes, kernel_sum=kernel_sum, sparsity=0)) < 1e-8


def test_densities_are_compared_after_a_gaussian_of_seven_pixels_with_nothing_beyond_the_edges():
    rng = np.random.default_rng(0)
    density, spikes = (rng.normal(size=(2, 32, 24, 1)).astype(np.float32) for _ in range(2))
    across = np.exp(-0.5 * np.arange(-3, 4) ** 2.0)
    across /= across.sum()
    blurred = np.float64(2 * density - 100 * spikes)
    for axis in (1, 2):
        blurred = ndimage.convolve1d(blurred, across, axis, mode="constant")
    expected = np.mean(blurred**2) + 0.5 * np.mean(np.abs(density))
    assert float(losses.sparse_density(density, spikes, kernel_sum=2.0, sparsity=0.5)) == pytest.approx(
        expected, rel=1e-5
    )


def test_a_density_is_cheaper_the_nearer_it_lies():
    spikes = lone_molecule()
    costs = [float(losses.sparse_density(100 * np.roll(spikes, shift, 2), spikes, sparsity=0)) for shift in range(5)]
    assert costs == sorted(costs)
    assert costs[4] == pytest.approx(2 * float(losses.sparse_density(0 * spikes, spikes, sparsity=0)), rel=0.05)


def test_hessian_of_a_volume_is_that_of_its_slices_when_they_are_equal():
    plane = np.random.default_rng(0).standard_normal((1, 8, 8, 1)).astype(np.float32)
    volume = np.repeat(plane[:, None], 5, axis=1)
    assert float(losses.hessian(keras.ops.convert_to_tensor(volume))) == pytest.approx(
        float(losses.hessian(keras.ops.convert_to_tensor(plane))), rel=1e-5
    )
