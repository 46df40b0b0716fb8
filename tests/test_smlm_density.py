"""From positions to a density and back: no half pixel is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superlens.errors import SuperlensError
from superlens.smlm.density import find_peaks, histogram, spikes


def scattered(seed, number=200, side_nm=6400.0):
    return np.random.default_rng(seed).uniform(0, side_nm, (number, 2))


def test_every_molecule_inside_is_counted_once():
    positions = scattered(0)
    assert histogram(positions, (64, 64), 100.0).sum() == len(positions)
    assert histogram(positions, (32, 64), 100.0).sum() == np.count_nonzero(positions[:, 1] < 3200)


def test_finer_bins_sum_to_coarser_ones():
    positions = scattered(1)
    fine = spikes(positions, (64, 64), 100.0, 8)
    np.testing.assert_array_equal(fine.reshape(64, 8, 64, 8).sum((1, 3)), histogram(positions, (64, 64), 100.0))


def test_x_is_the_column_and_y_the_row():
    counts = histogram([[35.0, 5.0]], (2, 4), 10.0)
    assert np.argwhere(counts).tolist() == [[0, 3]]


def test_weights_are_summed():
    assert histogram([[1.0, 1.0], [2.0, 2.0]], (1, 1), 10.0, weights=[2.0, 0.5]).item() == 2.5


def test_no_molecules_give_an_empty_field():
    assert not histogram(np.empty((0, 2)), (3, 4), 10.0).any()
    assert not histogram([], (3, 4), 10.0).any()


def sparse(seed):
    """Positions far enough apart that no two share a window of peaks."""
    y, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    inside = np.random.default_rng(seed).uniform(0.15, 0.85, (64, 2))
    return (np.stack([x.ravel(), y.ravel()], 1) + inside) * 100.0


def test_peaks_of_spikes_are_the_middles_of_their_pixels():
    """Reading a density back moves no molecule by more than half a fine pixel, and none on the average."""
    positions = sparse(2)
    found = find_peaks(spikes(positions, (8, 8), 100.0, 8), 0.5, 12.5)
    np.testing.assert_array_equal(found.mass, 1)
    np.testing.assert_array_equal(found.height, 1)
    order, truth = (np.lexsort(np.floor(p / 100).T) for p in (found.positions_nm, positions))
    error = found.positions_nm[order] - positions[truth]
    assert np.abs(error).max() <= 6.25 + 1e-9
    assert np.abs(error.mean(axis=0)).max() < 3 * 12.5 / np.sqrt(12 * 64)


def gaussian(x, y, across, down, side=24):
    """A Gaussian of given place and widths, in pixels from the outer corner of the first, taken at the middles of pixels."""
    middle = np.arange(side) + 0.5
    profiles = [np.exp(-0.5 * ((middle - at) / width) ** 2) for at, width in ((y, down), (x, across))]
    return np.outer(*profiles).astype(np.float32)


@given(st.floats(8, 16), st.floats(8, 16), st.floats(0.7, 4), st.floats(0.7, 4))
def test_a_gaussian_anywhere_between_the_pixels_is_found_exactly(x, y, across, down):
    found = find_peaks(gaussian(x, y, across, down), 0.1, 10.0)
    assert len(found) == 1
    np.testing.assert_allclose(found.positions_nm, [[10 * x, 10 * y]], atol=0.01)
    np.testing.assert_allclose(found.width_nm, [10 * np.sqrt(across * down)], rtol=1e-3)


def test_positions_are_not_pulled_to_the_middles_of_pixels():
    """Molecules anywhere lie anywhere after reading them back: each eighth of a pixel holds an eighth of them."""
    places = np.random.default_rng(5).uniform(8, 16, (2000, 2))
    found = np.concatenate([find_peaks(gaussian(x, y, 1.3, 1.0), 0.1, 1.0).positions_nm for x, y in places])
    share = np.stack([np.histogram(axis % 1, 8, (0, 1))[0] for axis in found.T]) / len(places)
    assert np.abs(share - 1 / 8).max() < 4 * np.sqrt(1 / 8 * 7 / 8 / len(places))


def test_a_plateau_is_one_peak():
    density = np.zeros((6, 6), np.float32)
    density[2:4, 2:4] = 1
    assert len(find_peaks(density, 0.5, 1.0)) == 1


def test_maxima_at_the_border_are_found_and_low_ones_are_not():
    density = np.zeros((6, 6), np.float32)
    density[0, 0], density[5, 5], density[3, 3] = 2, 3, 0.4
    found = find_peaks(density, 0.5, 1.0)
    np.testing.assert_allclose(found.positions_nm, [[0.5, 0.5], [5.5, 5.5]])
    np.testing.assert_array_equal(found.mass, [2, 3])
    assert len(find_peaks(-density, 0.0, 1.0)) == 0


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SuperlensError, match="columns x and y"):
        histogram(np.zeros((4, 3)), (2, 2), 1.0)
    with pytest.raises(SuperlensError, match="bin_nm"):
        histogram(np.zeros((4, 2)), (2, 2), 0.0)
