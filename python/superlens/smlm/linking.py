"""Join the rows of one molecule that stays bright over several frames into one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from superlens.errors import SuperlensError
from superlens.smlm.table import Localizations

__all__ = ["link", "molecules"]


def molecules(table: Localizations, *, distance_nm: float = 30.0, dark_frames: int = 1) -> NDArray[np.int64]:
    """Number the rows so that those of one molecule share a number.

    Two rows belong together when they lie within ``distance_nm`` and at most ``dark_frames`` frames without a row lie between; each
    row is continued by its nearest candidate, and continues one row only.

    Parameters
    ----------
    table : Localizations
    distance_nm : float
    dark_frames : int

    Returns
    -------
    ndarray, shape (N,), int64
        From 1, in the order of the first frames.

    Raises
    ------
    SuperlensError
        If the distance is not above 0 or the number of dark frames is negative.
    """
    if not distance_nm > 0 or dark_frames < 0:
        raise SuperlensError(
            f"distance_nm is {distance_nm} and dark_frames {dark_frames}; expected above 0, and 0 or more"
        )
    number, frame = len(table), table["frame"]
    if number == 0:
        return np.empty(0, np.int64)
    order = np.argsort(frame, kind="stable")
    places, frame = table.positions_nm[order], frame[order]
    firsts = np.unique(frame)
    rows = {f: np.arange(*np.searchsorted(frame, [f, f + 1])) for f in firsts.tolist()}
    continued, continues = np.zeros(number, bool), np.zeros(number, bool)
    pairs: list[tuple[int, int]] = []
    for f in firsts.tolist():
        for ahead in range(1, dark_frames + 2):
            if f + ahead in rows:
                open_rows, begun = rows[f][~continued[rows[f]]], rows[f + ahead]
                found = _nearest(places, open_rows, begun[~continues[begun]], distance_nm)
                for earlier, later in found:
                    continued[earlier] = continues[later] = True
                pairs += found
    label = _components(number, pairs)
    first = np.full(label.max() + 1, number)
    np.minimum.at(first, label, np.arange(number))
    rank = np.argsort(np.argsort(first)) + 1
    result = np.empty(number, np.int64)
    result[order] = rank[label]
    return result


def link(table: Localizations, *, distance_nm: float = 30.0, dark_frames: int = 1) -> Localizations:
    """One row for each molecule: position by inverse variance, photons summed.

    Parameters
    ----------
    table : Localizations
    distance_nm, dark_frames
        See `molecules`.

    Returns
    -------
    Localizations
        In the order of the first frames, with a column ``detections``. Positions and widths are means, weighted by the inverse square
        of ``uncertainty_nm`` where there is one, which then becomes that of the weighted mean; ``photons`` are summed; of what can't
        be averaged the first row's is kept.
    """
    if len(table) == 0:
        return table.with_columns(detections=np.empty(0))
    label = molecules(table, distance_nm=distance_nm, dark_frames=dark_frames) - 1
    count = np.bincount(label)
    weight = np.ones(len(table))
    if "uncertainty_nm" in table:
        known = np.nan_to_num(table["uncertainty_nm"], nan=0.0, posinf=0.0)
        weight = 1.0 / np.where(known > 0, known, np.median(known[known > 0]) if (known > 0).any() else 1.0) ** 2
    total = np.bincount(label, weight)
    by_frame = np.argsort(table["frame"], kind="stable")
    first = by_frame[np.unique(label[by_frame], return_index=True)[1]]
    columns: dict[str, NDArray[Any]] = {}
    for name, values in table.columns.items():
        if name == "photons":
            columns[name] = np.bincount(label, values)
        elif name == "uncertainty_nm":
            columns[name] = 1.0 / np.sqrt(total)
        elif name in _AVERAGED:
            columns[name] = np.bincount(label, values * weight) / total
        else:
            columns[name] = values[first]
    columns["detections"] = count
    return Localizations(columns, table.pixel_nm, table.yx_shape, table.frames, table.history)


_AVERAGED = (
    *("x_nm", "y_nm", "z_nm", "x_raw_nm", "y_raw_nm"),
    *("sigma_nm", "sigma_x_nm", "sigma_y_nm", "background", "background_std"),
)


def _nearest(
    places: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64], distance_nm: float
) -> list[tuple[int, int]]:
    """Pairs within the distance, shortest first, each row once."""
    if not (first.size and second.size):
        return []
    near = KDTree(places[first]).sparse_distance_matrix(KDTree(places[second]), distance_nm, output_type="ndarray")
    near = np.sort(near, order="v")
    free_first, free_second = np.ones(first.size, bool), np.ones(second.size, bool)
    pairs = []
    for i, j, _ in near:
        if free_first[i] and free_second[j]:
            free_first[i] = free_second[j] = False
            pairs.append((int(first[i]), int(second[j])))
    return pairs


def _components(number: int, pairs: list[tuple[int, int]]) -> NDArray[np.int64]:
    a, b = (np.array(side, np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    graph = coo_matrix((np.ones(len(a), bool), (a, b)), shape=(number, number))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
