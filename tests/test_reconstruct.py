"""The forward model's laws, Richardson-Lucy and its stop, Wiener and sparse deconvolution."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage
from skimage import restoration

from superlens.errors import SuperlensError
from superlens.optics import ForwardModel
from superlens.reconstruct import (
    blind_noise_variance,
    blind_stop,
    microscope,
    richardson_lucy,
    richardson_lucy_iterates,
    smooth_background,
    sparse_deconvolution,
    wiener,
)
from superlens.reconstruct.filters import regularised_inverse


def gaussian(side, sigma, ndim=2):
    line = np.exp(-0.5 * ((np.arange(side) - side // 2) / sigma) ** 2)
    psf = line / line.sum()
    for _ in range(ndim - 1):
        psf = np.multiply.outer(psf, line / line.sum())
    return psf


def lopsided(shape, seed=0):
    """No symmetry: shows a flipped or shifted convolution."""
    psf = np.random.default_rng(seed).random(shape)
    return psf / psf.sum()


def points(side=96, count=12, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((side, side))
    truth[tuple(rng.integers(side // 4, 3 * side // 4, (2, count)))] = rng.uniform(2000, 8000, count)
    return truth


def test_no_source_lights_two_opposite_borders():
    blur = microscope((16, 16), np.full((7, 7), 1 / 49))
    seen_from = (
        blur.adjoint(np.pad(np.ones((16, 1)), [(0, 0), (0, 15)])),
        blur.adjoint(np.pad(np.ones((16, 1)), [(0, 0), (15, 0)])),
    )
    assert np.all(np.minimum(*seen_from) < 1e-6)


@pytest.mark.parametrize(("shape", "scale"), [((48, 40), 1), ((48, 40), 2), ((24, 24, 20), 2)])
def test_flux_is_preserved(shape, scale):
    ndim = len(shape)
    psf = gaussian(9, 1.5 * scale, ndim)
    inner = tuple(slice(side // 3, -(side // 3)) for side in shape)
    image = np.zeros(shape)
    image[inner] = np.random.default_rng(0).uniform(50, 100, image[inner].shape)
    blurred = ndimage.convolve(image, gaussian(5, 1.0, ndim), mode="constant")
    estimate = richardson_lucy(blurred, psf, iterations=10, scale=scale)
    assert estimate.mean() == pytest.approx(blurred.mean(), rel=1e-3)
    assert estimate.min() >= 0 and estimate.dtype == np.float32
    assert estimate.shape == tuple(n if i < ndim - 2 else n * scale for i, n in enumerate(shape))


def test_constant_image_stays_constant_up_to_the_border():
    estimate = richardson_lucy(np.full((30, 30), 7.0), gaussian(11, 2.0), iterations=30)
    np.testing.assert_allclose(estimate, 7, rtol=2e-3)


def test_source_outside_the_image_is_explained_without_ringing():
    scene = np.zeros((64, 64))
    scene[32, 8] = 1e4
    window = (slice(10, 54), slice(10, 54))  # the source lies 2 px outside
    scene[30, 30] = 1e4
    image = ndimage.gaussian_filter(scene, 2.0)[window] + 1
    blur = microscope(image.shape, gaussian(17, 2.0))
    estimate = next(itertools.islice(richardson_lucy_iterates(image, gaussian(17, 2.0)), 40, None))
    assert estimate[20, 20] == estimate.max()
    assert np.median(estimate) == pytest.approx(1, abs=0.2)
    assert blur.window[0].start >= 8


def test_first_iterates_agree_with_scikit_image_away_from_borders():
    psf = gaussian(9, 1.5)
    image = ndimage.convolve(points(64), psf, mode="constant") + 10
    level = image.mean()
    ours = richardson_lucy(image, psf, iterations=5)
    # scikit-image starts from 0.5; scale so that the starts agree
    theirs = restoration.richardson_lucy(image * 0.5 / level, psf, num_iter=5, clip=False) * level / 0.5
    middle = (slice(20, -20),) * 2
    np.testing.assert_allclose(ours[middle], theirs[middle], rtol=5e-3, atol=0.05)


def test_a_background_that_varies_is_taken_as_a_constant_one_is():
    psf = gaussian(9, 1.5)
    image = ndimage.convolve(points(48), psf, mode="constant") + 30
    one, other = (richardson_lucy(image, psf, iterations=8, background=b) for b in (30.0, np.full(image.shape, 30.0)))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_smooth_background_lies_below_the_image_and_is_the_image_where_that_is_even():
    image = ndimage.gaussian_filter(points(64), 2) + 20
    found = smooth_background(image, 12)
    assert found.max() <= ndimage.gaussian_filter(image, 1).max()
    assert np.mean(found > image + 0.5) < 0.05
    np.testing.assert_allclose(smooth_background(np.full((3, 20, 20), 7.0), 8), 7, rtol=1e-5)


def test_likelihood_never_falls():
    psf, rng = gaussian(9, 1.5), np.random.default_rng(0)
    image = rng.poisson(ndimage.convolve(points(48), psf, mode="constant") + 2).astype(float)
    blur = microscope(image.shape, psf)
    from superlens.reconstruct.lucy import iterates

    likelihoods = [
        np.sum(image * np.log(model) - model) for _, model in itertools.islice(iterates(blur, image, 0.5), 30)
    ]
    assert np.all(np.diff(likelihoods) > -1e-3 * abs(likelihoods[0]) / len(likelihoods))


def test_background_is_not_part_of_the_estimate():
    psf = gaussian(9, 1.5)
    truth = points(48)
    image = ndimage.convolve(truth, psf, mode="constant")
    clean = richardson_lucy(image, psf, iterations=20)
    offset = richardson_lucy(image + 30, psf, iterations=20, background=30)
    assert offset.sum() == pytest.approx(truth.sum(), rel=0.1)  # the dark parts converge slowly over a background
    assert np.median(offset) < 0.1 * 30
    assert np.corrcoef(offset.ravel(), clean.ravel())[0, 1] > 0.95


def test_negative_and_missing_pixels_are_survived():
    psf = gaussian(9, 1.5)
    image = ndimage.convolve(points(48), psf, mode="constant") + np.random.default_rng(0).normal(0, 3, (48, 48))
    whole = richardson_lucy(image, psf, iterations=5)
    image[10:12, 20] = np.nan
    holed = richardson_lucy(image, psf, iterations=5)
    assert np.isfinite(holed).all() and holed.min() >= 0
    assert np.corrcoef(holed.ravel(), whole.ravel())[0, 1] > 0.99


def test_callback_sees_every_iterate_and_stops():
    psf, image = gaussian(5, 1.0), np.random.default_rng(0).poisson(9.0, (24, 24))
    seen = []

    def stop_at_four(count, estimate):
        seen.append(estimate)
        return count == 4

    result = richardson_lucy(image, psf, iterations=50, callback=stop_at_four)
    expected = list(itertools.islice(richardson_lucy_iterates(image, psf), 4))
    assert len(seen) == 4
    for ours, theirs in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(result, expected[-1])


@pytest.mark.parametrize("photons", [20, 500])
def test_blind_stop_is_within_a_decibel_of_the_oracle(photons):
    psf, rng = gaussian(25, 4.0), np.random.default_rng(1)
    field = ndimage.gaussian_filter(rng.normal(size=(128, 128)), 3)
    truth = np.exp(-((field / field.std() / 0.1) ** 2))
    image = ForwardModel((64, 64), psf, scale=2).apply(truth)
    gain = photons / image.max()
    noisy = rng.poisson(np.maximum(image, 0) * gain) + rng.normal(0, 1, image.shape)
    target = ndimage.gaussian_filter(truth * gain, 4.0 / 1.5)
    errors = [np.mean((x - target) ** 2) for x in itertools.islice(richardson_lucy_iterates(noisy, psf, scale=2), 100)]
    chosen = errors[blind_stop(noisy, psf, scale=2) - 1]
    assert 10 * np.log10(chosen / min(errors)) < 1


def test_auto_is_the_blind_stop():
    psf = gaussian(9, 1.5)
    image = np.random.default_rng(0).poisson(ndimage.convolve(points(48), psf, mode="constant") / 20 + 1)
    count = blind_stop(image, psf)
    np.testing.assert_array_equal(
        richardson_lucy(image, psf, iterations="auto"), richardson_lucy(image, psf, iterations=count)
    )


@pytest.mark.parametrize("scale", [1, 2])
def test_blind_noise_variance_of_poisson_noise_is_its_mean(scale):
    psf = gaussian(25, 3.0 * scale)
    image = ForwardModel((64, 64), psf, scale=scale).apply(points(64 * scale) * scale**2) + 10
    draws = [np.random.default_rng(seed).poisson(image) for seed in range(4)]  # one is off by 40 % now and then
    found = np.mean([blind_noise_variance(noisy, psf, scale=scale) for noisy in draws])
    assert found == pytest.approx(image.mean(), rel=0.35)


@pytest.mark.parametrize("scale", [1, 2])
def test_wiener_is_the_penalised_least_squares_solution(scale):
    """On a torus, against the dense linear system."""
    psf, ratio, shape = lopsided((3, 5)), 0.05, (8, 6)
    model = ForwardModel(shape, psf, scale=scale, edges="periodic")
    size, fine = np.prod(shape), np.prod(shape) * scale**2
    matrix = np.stack([model.apply(e.reshape(8 * scale, 6 * scale)).ravel() for e in np.eye(fine)], axis=1)
    y = np.random.default_rng(0).normal(size=size)
    gram = matrix @ matrix.T
    dense = matrix.T @ np.linalg.solve(gram + ratio * gram[0].sum() * np.eye(size), y)
    ours = regularised_inverse(model, y.reshape(shape), ratio)
    np.testing.assert_allclose(ours.ravel(), dense, atol=2e-4)


def test_wiener_undoes_a_mild_blur():
    psf = gaussian(9, 1.0)
    truth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(48, 48)), 1.5)
    image = ndimage.convolve(truth, psf, mode="mirror")
    estimate = wiener(image, psf, noise_to_signal=1e-5)
    inner = (slice(8, -8),) * 2
    np.testing.assert_allclose(estimate[inner], truth[inner], atol=0.02 * np.abs(truth).max())


def test_wiener_keeps_the_mean_and_takes_negative_values():
    image = np.random.default_rng(0).normal(3, 5, (40, 30))
    estimate = wiener(image, gaussian(9, 2.0), noise_to_signal=0.1, scale=2)
    assert estimate.shape == (80, 60) and estimate.mean() == pytest.approx(image.mean(), abs=0.03 * 5)


def test_wiener_of_a_volume():
    volume = ndimage.gaussian_filter(np.random.default_rng(0).random((8, 20, 20)), 1)
    assert wiener(volume, gaussian(5, 1.0, 3), noise_to_signal=0.01, scale=2).shape == (8, 40, 40)


@pytest.mark.parametrize("scale", [1, 2])
def test_sparse_deconvolution_beats_the_image_and_stays_in_place(scale):
    side, sigma = 64 * scale, 2.5 * scale
    psf = gaussian(21 if scale == 1 else 41, sigma)
    truth = points(side) * scale**2
    image = ForwardModel((64, 64), psf, scale=scale).apply(truth)
    noisy = np.random.default_rng(0).poisson(np.maximum(image, 0))
    estimate = sparse_deconvolution(noisy, psf, scale=scale, sparsity=1, fidelity=100)
    target = ndimage.gaussian_filter(truth, sigma / 1.5)
    raw = noisy.repeat(scale, 0).repeat(scale, 1)
    assert np.corrcoef(estimate.ravel(), target.ravel())[0, 1] > np.corrcoef(raw.ravel(), target.ravel())[0, 1] + 0.02
    assert estimate.min() >= 0
    centre = [np.average(axis, weights=estimate) - np.average(axis, weights=truth) for axis in np.indices(truth.shape)]
    np.testing.assert_allclose(centre, 0, atol=0.3 * scale)


def test_sparse_first_step_minimises_its_cost():
    from superlens.reconstruct.sparse import continuous_and_sparse, derivative_of, second_derivatives

    data = (ndimage.gaussian_filter(points(32, 3), 2) + np.random.default_rng(0).normal(0, 5, (32, 32))).astype(
        np.float32
    )
    data = np.maximum(data / data.max(), 0)

    def cost(u):
        hessian = sum(np.abs(derivative_of(u, term)).sum() for term in second_derivatives(2, 1.0))
        return 10 * np.sum((u - data) ** 2) / 2 + hessian + 0.3 * u.sum()

    solved = continuous_and_sparse(data, 10.0, 0.3, 1.0, 300, 1)
    rng = np.random.default_rng(1)
    rivals = [data, 0 * data, ndimage.gaussian_filter(data, 1, mode="wrap")] + [
        np.maximum(solved * s, 0) for s in (0.9, 1.1)
    ]
    rivals += [np.maximum(solved + rng.normal(0, 0.02, data.shape).astype(np.float32), 0)]
    assert all(cost(solved) <= cost(rival) for rival in rivals)


def test_sparse_deconvolution_of_a_volume():
    volume = ndimage.gaussian_filter(np.pad(np.full((1, 1, 1), 1000.0), [(4, 4), (10, 10), (12, 12)]), 1.5)
    estimate = sparse_deconvolution(volume, gaussian(7, 1.5, 3), iterations=20)
    assert np.unravel_index(estimate.argmax(), estimate.shape) == (4, 10, 12)


IMAGE = np.full((16, 16), 5.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: richardson_lucy(IMAGE, np.ones((4, 5)), iterations=3), "psf has shape .*odd"),
        (lambda: richardson_lucy(IMAGE, np.ones((3, 3, 3)), iterations=3), "psf has shape .*2 axes"),
        (lambda: richardson_lucy(IMAGE, np.zeros((3, 3)), iterations=3), "psf has sum 0"),
        (lambda: richardson_lucy(IMAGE, np.ones((3, 3)), iterations=0), "iterations is 0"),
        (lambda: richardson_lucy(IMAGE, np.ones((3, 3)), iterations=3, scale=0), "scale is 0"),
        (lambda: richardson_lucy(-IMAGE, np.ones((3, 3)), iterations=3), "mean"),
        (lambda: richardson_lucy(IMAGE, np.ones((3, 3)), iterations=3, background=9), "background is 9"),
        (lambda: richardson_lucy(IMAGE * np.nan, np.ones((3, 3)), iterations=3), "nothing to deconvolve"),
        (lambda: wiener(IMAGE, np.ones((3, 3)), noise_to_signal=0), "noise_to_signal is 0"),
        (lambda: wiener(IMAGE * np.nan, np.ones((3, 3)), noise_to_signal=1), "not finite"),
        (lambda: sparse_deconvolution(IMAGE, np.ones((3, 3)), fidelity=0), "fidelity"),
        (lambda: sparse_deconvolution(-IMAGE, np.ones((3, 3))), "above the background"),
        (lambda: sparse_deconvolution(IMAGE, np.ones((3, 3)), sparsity=1e6), "sparsity"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(SuperlensError, match=words):
        call()
