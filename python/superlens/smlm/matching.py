"""How good a table of localizations is: pairs with a truth, frame by frame, and the numbers that follow from them.

In: two tables. Out: which row belongs to which (`match`), and Jaccard index, errors and efficiency (`scores`). Pairs are the best
possible ones: of all ways to pair the rows of a frame within the tolerance, one with the most pairs, and of those the one with the
smallest sum of distances. Searching the nearest first, as is often done, finds fewer pairs where molecules are dense.

References
----------
D. Sage et al., "Super-resolution fight club: assessment of 2D and 3D single-molecule localization microscopy software", Nat. Methods
16 (2019) 387-395: tolerances, Jaccard index, and efficiency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from superlens.errors import SuperlensError
from superlens.smlm.table import Localizations

__all__ = ["Matching", "match", "scores"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_LATERAL_WEIGHT_PER_NM = 1.0
_AXIAL_WEIGHT_PER_NM = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Which rows of two tables are the same blink.

    Attributes
    ----------
    found_index, truth_index : ndarray, shape (P,), int64
        Rows of the two tables that form pairs, in the order of the rows of the truth.
    offset_nm : ndarray, shape (P, 2) or (P, 3), nm
        Found minus true position of each pair: x, y, and z where both tables have it.
    found_count, truth_count : int
        Rows that took part, those in the border left out.
    """

    found_index: Indices
    truth_index: Indices
    offset_nm: Floats
    found_count: int
    truth_count: int

    def __len__(self) -> int:
        return len(self.found_index)

    @property
    def distance_nm(self) -> Floats:
        """Lateral distance of each pair, shape (P,), nm."""
        return np.hypot(self.offset_nm[:, 0], self.offset_nm[:, 1])

    @property
    def axial_nm(self) -> Floats | None:
        """Found minus true z of each pair, shape (P,), nm; None for tables without z."""
        return self.offset_nm[:, 2] if self.offset_nm.shape[1] == 3 else None


def match(
    found: Localizations,
    truth: Localizations,
    *,
    tolerance_nm: float = 250.0,
    tolerance_z_nm: float = 500.0,
    border_nm: float = 0.0,
) -> Matching:
    """Pair the localizations of each frame with the true ones, the most pairs first and then the shortest distances.

    Parameters
    ----------
    found, truth : Localizations
        Two tables of one movie.
    tolerance_nm : float
        Rows that are laterally farther apart are no pair.
    tolerance_z_nm : float
        The same along the axis. Used, and z counted in the distance, only where both tables have z.
    border_nm : float
        Rows of either table that lie closer to the edge of the field are left out. The field comes from `pixel_nm` and `yx_shape` of
        the truth, or of the found table where the truth does not know them.

    Returns
    -------
    Matching
        Each row in at most one pair. Exchanging the tables exchanges the indices and turns the offsets around.

    Raises
    ------
    SuperlensError
        If a tolerance is not above 0, the border is below 0, or a border is asked for and no table knows its field.

    Examples
    --------
    >>> truth = Localizations({"frame": [1, 1, 2], "x_nm": [100.0, 900.0, 100.0], "y_nm": [50.0, 50.0, 50.0]})
    >>> found = Localizations({"frame": [1, 2], "x_nm": [110.0, 100.0], "y_nm": [50.0, 500.0]})
    >>> pairs = match(found, truth)
    >>> pairs.truth_index, pairs.distance_nm
    (array([0]), array([10.]))
    >>> scores(pairs)["jaccard"]
    0.25
    """
    for name, value in (("tolerance_nm", tolerance_nm), ("tolerance_z_nm", tolerance_z_nm)):
        if not (math.isfinite(value) and value > 0):
            raise SuperlensError(f"{name} is {value}; expected a length above 0.")
    if not (math.isfinite(border_nm) and border_nm >= 0):
        raise SuperlensError(f"border_nm is {border_nm}; expected 0 or more.")
    rows_f, rows_t = _rows_inside(found, truth, border_nm)
    a, b = _positions(found, truth, rows_f), _positions(truth, found, rows_t)
    frames_f, frames_t = found["frame"][rows_f], truth["frame"][rows_t]
    i, j = _candidates(a, b, frames_f, frames_t, tolerance_nm)
    if a.shape[1] == 3:
        near = np.abs(a[i, 2] - b[j, 2]) <= tolerance_z_nm
        i, j = i[near], j[near]
    chosen = _best_pairs(i, j, np.linalg.norm(a[i] - b[j], axis=1), len(a), len(b))
    chosen = chosen[np.argsort(j[chosen])]
    i, j = i[chosen], j[chosen]
    return Matching(rows_f[i], rows_t[j], a[i] - b[j], len(rows_f), len(rows_t))


def scores(matching: Matching) -> dict[str, float]:
    """Numbers that say how good the found table is.

    Parameters
    ----------
    matching : Matching
        Pairs of the found table with the truth.

    Returns
    -------
    dict of str to float
        ``true_positives``, ``false_positives``, ``false_negatives``;
        ``jaccard`` = TP / (TP + FP + FN), ``recall`` = TP / (TP + FN), ``precision`` = TP / (TP + FP), ``f1`` = 2 TP / (2 TP + FP + FN),
        from 0 to 1, NaN where the denominator is 0 (nothing true: no recall; nothing found: no precision);
        ``rmse_lateral_nm`` = sqrt(mean(dx^2 + dy^2)), ``bias_x_nm``, ``bias_y_nm``: over the pairs, NaN without one;
        ``efficiency`` = 100 - sqrt((100 - JAC)^2 + (a RMSE)^2) with the Jaccard index in percent and a = 1 / nm, at most 100, may be
        negative, NaN without a pair. Where both tables have z also ``rmse_axial_nm``, ``bias_z_nm``, ``efficiency_axial`` with
        a = 0.5 / nm, and ``efficiency_3d``, the mean of both.

    References
    ----------
    Sage et al., Nat. Methods 16 (2019) 387-395, Methods, "Assessment metrics".
    """
    pairs = len(matching)
    wrong, missed = matching.found_count - pairs, matching.truth_count - pairs
    jaccard = _ratio(pairs, pairs + wrong + missed)
    lateral = _root_mean_square(matching.distance_nm)
    result: dict[str, float] = {
        "true_positives": pairs,
        "false_positives": wrong,
        "false_negatives": missed,
        "jaccard": jaccard,
        "recall": _ratio(pairs, pairs + missed),
        "precision": _ratio(pairs, pairs + wrong),
        "f1": _ratio(2 * pairs, 2 * pairs + wrong + missed),
        "rmse_lateral_nm": lateral,
        "bias_x_nm": _mean(matching.offset_nm[:, 0]),
        "bias_y_nm": _mean(matching.offset_nm[:, 1]),
        "efficiency": _efficiency(jaccard, lateral, _LATERAL_WEIGHT_PER_NM),
    }
    axial = matching.axial_nm
    if axial is not None:
        deep = _root_mean_square(axial)
        result |= {
            "rmse_axial_nm": deep,
            "bias_z_nm": _mean(axial),
            "efficiency_axial": _efficiency(jaccard, deep, _AXIAL_WEIGHT_PER_NM),
        }
        result["efficiency_3d"] = (result["efficiency"] + result["efficiency_axial"]) / 2
    return result


def _rows_inside(found: Localizations, truth: Localizations, border_nm: float) -> tuple[Indices, Indices]:
    if border_nm == 0:
        return np.arange(len(found)), np.arange(len(truth))
    known = [(table.yx_shape, table.pixel_nm) for table in (truth, found)]
    field = next(((shape, pixel) for shape, pixel in known if shape is not None and pixel is not None), None)
    if field is None:
        raise SuperlensError(
            "border_nm needs to know the field, and neither table has both pixel_nm and yx_shape. Give them, or leave out the border."
        )
    (height, width), pixel_nm = field

    def inside(table: Localizations) -> Indices:
        x, y = table["x_nm"], table["y_nm"]
        across = (x >= border_nm) & (x <= width * pixel_nm - border_nm)
        return np.flatnonzero(across & (y >= border_nm) & (y <= height * pixel_nm - border_nm))

    return inside(found), inside(truth)


def _positions(table: Localizations, other: Localizations, rows: Indices) -> Floats:
    names = ["x_nm", "y_nm", *(["z_nm"] if "z_nm" in table and "z_nm" in other else [])]
    positions = np.stack([table[name][rows] for name in names], axis=1)
    if not np.isfinite(positions).all():
        raise SuperlensError("z_nm holds values that are not finite; leave out such rows, or the column.")
    return positions


def _candidates(
    a: Floats, b: Floats, frames_a: Indices, frames_b: Indices, tolerance_nm: float
) -> tuple[Indices, Indices]:
    """All pairs of one frame within the tolerance, from one tree: frames are layers too far apart to touch."""
    if not len(a) or not len(b):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    _, layer = np.unique(np.concatenate([frames_a, frames_b]), return_inverse=True)
    layers = layer.reshape(-1, 1) * (3 * tolerance_nm)
    tree_a = cKDTree(np.hstack([a[:, :2], layers[: len(a)]]))
    tree_b = cKDTree(np.hstack([b[:, :2], layers[len(a) :]]))
    # the tree rounds where layers are far out, so it looks a little farther, and the tolerance is applied to the plain distance
    near: Any = tree_a.sparse_distance_matrix(tree_b, tolerance_nm * (1 + 1e-9), output_type="ndarray")
    i, j = near["i"].astype(np.int64), near["j"].astype(np.int64)
    within = np.hypot(a[i, 0] - b[j, 0], a[i, 1] - b[j, 1]) <= tolerance_nm
    return i[within], j[within]


def _best_pairs(i: Indices, j: Indices, cost: Floats, count_a: int, count_b: int) -> Indices:
    """Which candidates are chosen, as positions in `i` and `j`: an assignment in each group of rows that hang together."""
    if not len(i):
        return np.empty(0, np.int64)
    nodes = count_a + count_b
    graph = coo_array((np.ones(len(i)), (i, j + count_a)), shape=(nodes, nodes))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[i], kind="stable")
    starts = np.flatnonzero(np.diff(group[i][order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    alone = order[starts[sizes == 1]]
    assigned = [
        _assign(order[start : start + size], i, j, cost)
        for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True)
    ]
    return np.concatenate([alone, *assigned])


def _assign(candidates: Indices, i: Indices, j: Indices, cost: Floats) -> Indices:
    """The most pairs, and the shortest of those: to leave two rows without a pair costs more than all distances of the group together."""
    rows, row = np.unique(i[candidates], return_inverse=True)
    columns, column = np.unique(j[candidates], return_inverse=True)
    distances = cost[candidates]
    table = np.full((len(rows), len(columns)), 1.0 + distances.sum())
    table[row, column] = distances
    which = np.full(table.shape, -1)
    which[row, column] = candidates
    best = which[linear_sum_assignment(table)]
    return np.asarray(best[best >= 0], np.int64)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan


def _root_mean_square(values: Floats) -> float:
    return math.sqrt(float(np.mean(values**2))) if values.size else math.nan


def _efficiency(jaccard: float, rmse_nm: float, weight_per_nm: float) -> float:
    return 100.0 - math.hypot(100.0 - 100.0 * jaccard, weight_per_nm * rmse_nm)
