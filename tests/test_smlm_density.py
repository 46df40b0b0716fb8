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
    found, mass = find_peaks(spikes(positions, (8, 8), 100.0, 8), 0.5, 12.5)
    np.testing.assert_array_equal(mass, 1)
    order, truth = (np.lexsort(np.floor(p / 100).T) for p in (found, positions))
    error = found[order] - positions[truth]
    assert np.abs(error).max() <= 6.25 + 1e-9
    assert np.abs(error.mean(axis=0)).max() < 3 * 12.5 / np.sqrt(12 * 64)


@given(st.floats(2.2, 4.8), st.floats(2.2, 4.8))
def test_centre_of_gravity_finds_a_symmetric_blob(x, y):
    """Of a blob that lies inside the window wholly: a pixel and its share of the neighbours, bilinearly."""
    density = np.zeros((8, 8), np.float32)
    column, row = int(x - 0.5), int(y - 0.5)
    right, down = x - 0.5 - column, y - 0.5 - row
    density[row : row + 2, column : column + 2] = np.outer([1 - down, down], [1 - right, right])
    found, mass = find_peaks(density, 0.1, 10.0)
    np.testing.assert_allclose(found, [[10 * x, 10 * y]], atol=1e-3)
    np.testing.assert_allclose(mass, 1, rtol=1e-5)


def test_a_plateau_is_one_peak():
    density = np.zeros((6, 6), np.float32)
    density[2:4, 2:4] = 1
    found, _ = find_peaks(density, 0.5, 1.0)
    assert len(found) == 1


def test_maxima_at_the_border_are_found_and_low_ones_are_not():
    density = np.zeros((6, 6), np.float32)
    density[0, 0], density[5, 5], density[3, 3] = 2, 3, 0.4
    found, mass = find_peaks(density, 0.5, 1.0)
    np.testing.assert_allclose(found, [[0.5, 0.5], [5.5, 5.5]])
    np.testing.assert_array_equal(mass, [2, 3])
    assert len(find_peaks(-density, 0.0, 1.0)[0]) == 0


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SuperlensError, match="columns x and y"):
        histogram(np.zeros((4, 3)), (2, 2), 1.0)
    with pytest.raises(SuperlensError, match="bin_nm"):
        histogram(np.zeros((4, 2)), (2, 2), 0.0)
