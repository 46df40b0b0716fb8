"""Which plane of a file is which frame: `Layout`, said by name or found by `find_layout`.

A wrong order gives an image, too, with stripes; but it shows itself, since the same direction then comes back at every angle. All orders that
the number of planes allows are tried, and the one whose carriers stand out is taken. Two that stand out alike are refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement
from superlens.reconstruct.sim.bands import Bands
from superlens.reconstruct.sim.refine import refine
from superlens.reconstruct.sim.search import Found, search

__all__ = ["PRESETS", "Layout", "OrderTie", "find_layout", "layouts", "unmounted"]

PRESETS = {
    "omx": ("phase", "z", "angle"),
    "elyra": ("z", "angle", "phase"),
    "fastsim": ("phase", "angle", "z"),
    "biosr": ("phase", "angle"),
    "nsim": ("phase", "angle"),
}
"""Orders of microscopes, fastest first; an N-SIM file is a montage, phases along x and angles along y."""

_AXES = ("phase", "angle", "z")
_ALIKE = 0.8  # of the best significance, from which another order is as good
_CLEARLY = 1.3  # times the contrast, from which a layout is better than another
_GRIDS = (
    (3, 3, 1),
    (3, 5, 2),
    (3, 5, 1),
    (4, 3, 1),
    (3, 4, 1),
    (5, 5, 2),
    (5, 5, 1),
    (5, 3, 1),
    (2, 3, 1),
    (1, 3, 1),
    (1, 5, 2),
)
"""Angles, phases and orders that are recorded."""


class OrderTie(SuperlensError):
    """Two orders of the frames fit alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How planes become sets of frames.

    Attributes
    ----------
    arrangement : Arrangement
        Of one set.
    order : tuple of str
        "phase", "angle" and "z" (or time), the fastest first; those of length 1 left out.
    sizes : mapping of str to int
        Length of each.
    extra : int or None
        A plane of uniform light beside the sets: 0 for the first, -1 for the last.
    """

    arrangement: Arrangement
    order: tuple[str, ...]
    sizes: dict[str, int]
    extra: int | None = None

    @property
    def sets(self) -> int:
        """How many sets of frames there are."""
        return self.sizes["z"]

    @property
    def planes(self) -> NDArray[np.intp]:
        """Which plane each frame of each set is; shape (sets, frames)."""
        slowest_first = list(reversed(self.order))
        missing = [axis for axis in _AXES if axis not in slowest_first]
        names = [*missing, *slowest_first]
        count = int(np.prod([self.sizes[name] for name in names]))
        grid = np.arange(count).reshape([self.sizes[name] for name in names])
        ordered = grid.transpose([names.index(name) for name in ("z", "angle", "phase")])
        return ordered.reshape(self.sizes["z"], -1) + (1 if self.extra == 0 else 0)

    @property
    def parts(self) -> list[slice]:
        """All sets, then ever fewer about the middle one: where all together show no pattern, some of them may."""
        counts = [self.sets]
        while counts[-1] > 1:
            counts.append(max(1, counts[-1] // 4))
        starts = [self.sets // 2 - n // 2 for n in counts]
        return [slice(start, start + n) for start, n in zip(starts, counts, strict=True)]

    def in_sets(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Planes as sets of frames, shape (sets, frames, Y, X); a view where they lie in that order."""
        index = self.planes
        first, count = int(index[0, 0]), index.size
        if np.array_equal(index.ravel(), np.arange(first, first + count)):
            return planes[first : first + count].reshape(*index.shape, *planes.shape[1:])
        return planes[index]

    def mean(self, planes: NDArray[Any], part: int = 0) -> NDArray[np.float32]:
        """The frames, shape (frames, Y, X): the mean of one of `parts` of the sets, the last where there are not so many."""
        parts = self.parts
        some = parts[min(part, len(parts) - 1)]
        if some.stop - some.start == self.sets:
            return np.asarray(self.in_sets(planes).mean(axis=0, dtype=np.float32))
        return np.asarray(planes[self.planes[some]].mean(axis=0, dtype=np.float32))

    @property
    def words(self) -> str:
        """In words."""
        order = ",".join(self.order) if len(self.order) > 1 else "in sequence"
        extra = {0: ", after a frame of uniform light", -1: ", before a frame of uniform light"}.get(self.extra or 0)
        beside = "" if self.extra is None else extra
        return f"{self.arrangement.name}, {order}{beside}"


def layouts(
    planes: int, order: Sequence[str] | None = None, angles: int | None = None, phases: int | None = None
) -> list[Layout]:
    """All layouts that so many planes allow.

    Parameters
    ----------
    planes : int
    order : sequence of str, optional
        Axes, the fastest first.
    angles, phases : int, optional

    Raises
    ------
    SuperlensError
        When there is none.
    """
    found = list(_candidates(planes, order, angles, phases, None))
    if not any(one.sets == 1 for one in found) and planes > 3:
        for extra in (0, -1):
            found += [one for one in _candidates(planes - 1, order, angles, phases, extra) if one.sets == 1]
    if not found:
        said = "".join(f", {name} {value}" for name, value in (("angles", angles), ("phases", phases)) if value)
        raise SuperlensError(
            f"there are {planes} planes{said}; that is no whole number of sets of raw frames. Known sets: 9 (3 angles of 3 phases), 15 (3 of 5), "
            "12 (4 of 3), 25 (5 of 5), 7 (hexagonal, or 3 pairs and a uniform frame), 5 (lattice). Give `angles` and `phases`, or leave out "
            "planes that belong to no set."
        )
    return found


def _candidates(
    planes: int, order: Sequence[str] | None, angles: int | None, phases: int | None, extra: int | None
) -> Iterator[Layout]:
    grids = tuple(grid for grid in _GRIDS if grid[0] > 2 or angles)
    if angles and phases:
        grids = tuple((angles, phases, n) for n in ((2, 1) if phases >= 5 else (1,)))
    for a, p, n in grids:
        if (angles and a != angles) or (phases and p != phases) or planes % (a * p):
            continue
        sizes = {"phase": p, "angle": a, "z": planes // (a * p)}
        arrangement = Arrangement.grid(a, p, n)
        for one in _orders(sizes, order):
            yield Layout(arrangement, one, sizes, extra)
    if extra is not None or (angles and angles > 1):
        return
    several = [(7, Arrangement.hexagonal()), (5, Arrangement.lattice())]
    several += [(7, Arrangement.pairs_and_uniform(uniform_first=first)) for first in (False, True)]
    for count, arrangement in several:
        if planes % count == 0 and phases in (None, count):
            sizes = {"phase": count, "angle": 1, "z": planes // count}
            for one in _orders(sizes, order):
                yield Layout(arrangement, one, sizes, extra)


def _orders(sizes: dict[str, int], order: Sequence[str] | None) -> Iterator[tuple[str, ...]]:
    real = [axis for axis in _AXES if sizes[axis] > 1]
    if order is not None:
        picked = tuple(axis for axis in order if axis in real)
        yield (*picked, *(axis for axis in real if axis not in picked))
        return
    yield from itertools.permutations(real)


def find_layout(
    planes: NDArray[Any],
    detection: Detection,
    *,
    order: Sequence[str] | None = None,
    angles: int | None = None,
    phases: int | None = None,
    part: int = 0,
    workers: int = 1,
) -> tuple[Layout, Found]:
    """The layout whose carriers stand out, and the carriers.

    Parameters
    ----------
    planes : ndarray, shape (planes, Y, X), counts
    detection : Detection
    order : sequence of str, optional
        Axes, the fastest first; found by default.
    angles, phases : int, optional
        Found by default.
    part : int
        Which of `parts` of the sets are averaged.
    workers : int

    Returns
    -------
    Layout
    Found
        Which need not be accepted when only one layout is possible.

    Raises
    ------
    SuperlensError
        When no layout is possible; `OrderTie` when two are alike.
    """
    tried: list[tuple[float, Layout, Found]] = []
    for layout in layouts(len(planes), order, angles, phases):
        if layout.arrangement.condition > 10:
            continue
        bands = Bands.of(layout.mean(planes, part), detection, workers=workers)
        found = search(bands, layout.arrangement, workers=workers)
        tried.append((found.score, layout, found))
    tried.sort(key=lambda one: -one[0])
    best = tried[0]
    rivals = [one for one in tried[1:] if one[2].accepted and one[0] > _ALIKE * best[0] and not _same(one[1], best[1])]
    if best[2].accepted and rivals:
        # Phases that are averaged in a wrong order may still be phases, but of less contrast.
        alike = [best, *rivals]
        contrast = [_contrast(one[1].mean(planes, part), one[1], one[2], detection, workers) for one in alike]
        first, second = np.argsort(contrast)[::-1][:2]
        if contrast[first] > _CLEARLY * contrast[second]:
            return alike[first][1], alike[first][2]
        rival = rivals[0]
        raise OrderTie(
            f"two orders of the frames fit alike: {best[1].words} (z {best[2].joint:.1f}) and {rival[1].words} (z {rival[2].joint:.1f}). Give `order`, and "
            "`angles` and `phases` if need be."
        )
    return best[1], best[2]


def _contrast(frames: NDArray[Any], layout: Layout, found: Found, detection: Detection, workers: int) -> float:
    """Mean modulation of a layout."""
    bands = Bands.of(frames, detection, workers=workers)
    table = layout.arrangement
    return float(np.mean([refine(bands, table, b, found.frequencies[b]).order.modulation for b in range(table.orders)]))


def _same(a: Layout, b: Layout) -> bool:
    """Whether two layouts are the same frames in the same sets, whatever orders are sought in them."""
    return a.sizes == b.sizes and np.array_equal(a.planes, b.planes) and a.arrangement.groups == b.arrangement.groups


def unmounted(plane: NDArray[Any], angles: int, phases: int) -> NDArray[Any]:
    """Cut a montage, phases along x and angles along y, into frames, angle by angle.

    Raises
    ------
    SuperlensError
        When its sides are no multiples.
    """
    height, width = plane.shape
    if height % angles or width % phases:
        raise SuperlensError(f"the montage has {height} x {width} pixels; expected multiples of {angles} and {phases}.")
    cut = plane.reshape(angles, height // angles, phases, width // phases)
    return cut.transpose(0, 2, 1, 3).reshape(angles * phases, height // angles, width // phases)
