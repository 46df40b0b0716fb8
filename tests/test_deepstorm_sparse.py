"""Sparse movies: the network sees next to nothing of them, and nothing is lost by that."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.methods.deepstorm.apply import Localized
from superlens.methods.deepstorm.calls import localize
from superlens.methods.deepstorm.detect import Detector
from superlens.methods.deepstorm.sparse import shown_together, windows_of
from superlens.simulate import GaussianSpots, Independent, SmlmScene, simulate_smlm
from superlens.simulate.movie import Movie
from superlens.smlm import match, scores

FRAMES = 80


def movie(width_nm: float = 110.0, seed: int = 1) -> Movie:
    """A sparse movie with molecules beyond its edges."""
    scene = SmlmScene(blinking=Independent(0.1), margin_nm=500.0, spots=GaussianSpots(width_nm, 0.04 * width_nm))
    return simulate_smlm(FRAMES, scene, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def read() -> tuple[Movie, Localized, int]:
    """A sparse movie, what is found in it, and how many camera pixels the network was shown."""
    made, shown, maps = movie(), [], Detector.maps

    def counted(self: Detector, electrons: np.ndarray, *about: object) -> np.ndarray:
        shown.append(electrons.size)
        return maps(self, electrons, *about)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detector, "maps", counted)
        return made, localize(made.frames), sum(shown)


def test_the_network_sees_little_of_a_sparse_movie(read: tuple[Movie, Localized, int]) -> None:
    made, _, shown = read
    assert shown < 0.25 * made.frames.data.size


def test_no_molecule_of_a_sparse_movie_is_lost(read: tuple[Movie, Localized, int]) -> None:
    made, found, _ = read
    told = scores(match(found.localizations, made.truth))
    assert told["recall"] > 0.98 and told["jaccard"] > 0.96 and told["rmse_lateral_nm"] < 9
    assert abs(told["bias_x_nm"]) < 1 and abs(told["bias_y_nm"]) < 1


def test_stated_errors_of_single_molecules_are_right(read: tuple[Movie, Localized, int]) -> None:
    made, found, _ = read
    pairs = match(found.localizations, made.truth)
    ours, true = found.localizations.where(pairs.found_index), made.truth.where(pairs.truth_index)
    off = np.abs(ours.positions_nm - true.positions_nm) / ours["uncertainty_nm"][:, None]
    assert 0.6 < np.mean(off < 1) < 0.77  # some 600 errors: known to 2 %


def test_the_density_of_a_sparse_movie_holds_as_many_molecules_as_there_are(read: tuple[Movie, Localized, int]) -> None:
    made, found, _ = read
    assert found.density.data.sum() == pytest.approx(len(made.truth), rel=0.05)
    assert found.density.data.shape == (512, 512)


def test_how_a_sparse_movie_is_cut_into_blocks_does_not_matter(
    read: tuple[Movie, Localized, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found, _ = read
    monkeypatch.setattr("superlens.methods.deepstorm.apply._AT_ONCE", 33 * 64 * 64)
    again = localize(made.frames, found.model)
    np.testing.assert_array_equal(again.localizations["frame"], found.localizations["frame"])
    np.testing.assert_allclose(again.localizations["x_nm"], found.localizations["x_nm"], atol=0.01)
    np.testing.assert_allclose(again.density.data, found.density.data, atol=1e-4)


def test_sparse_molecules_of_another_width_are_found_too() -> None:
    made = movie(150.0, seed=2)
    found = localize(made.frames)
    told = scores(match(found.localizations, made.truth, border_nm=200.0))
    assert found.parameters["rescaled"] < 0.9
    assert told["jaccard"] > 0.95 and abs(told["bias_x_nm"]) < 2 and abs(told["bias_y_nm"]) < 2
    assert found.density.data.sum() == pytest.approx(len(made.truth), rel=0.08)


def test_windows_hold_all_that_the_network_sees_of_their_part() -> None:
    """Twelve pixels around each marked one, or what there is of them in the frame."""
    rng = np.random.default_rng(0)
    mask = np.zeros((30, 96, 80), bool)
    for frame, row, column in zip(range(30), rng.integers(0, 90, 30), rng.integers(0, 76, 30), strict=True):
        mask[frame, row : row + 6, column : column + 4] = True
    windows, parts = windows_of(mask, 12, 2)
    assert len(windows) == 30
    for window in windows:
        marked = np.argwhere(mask[window.frame])
        low, high = marked.min(axis=0), marked.max(axis=0) + 1
        for side, first, last, whole in zip((window.rows, window.columns), low, high, (96, 80), strict=True):
            assert side.start % 2 == 0 and side.start <= max(first - 12, 0) and side.stop >= min(last + 12, whole)
        assert window.marks(parts).sum() == mask[window.frame].sum()
    together = list(shown_together(windows))
    assert sum(len(some) for some, _ in together) == 30 and all(len(some) <= count for some, count in together)
