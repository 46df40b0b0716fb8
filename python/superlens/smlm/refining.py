"""Refine molecules that were found in crowded frames: all of a frame explain its light together.

A peak of a density map says where a molecule is, to a fraction of its image, and not how bright. Here positions, photons and an uneven
background are fitted to the frames by maximum a posteriori: the light of overlapping molecules adds up, and each position keeps near
where it was found, by how reliable the finding is. Where molecules are far apart and bright the light decides, and the errors reach the
Cramer-Rao bound; where they are crowded the finding decides.

In: frames in detected photons, and for each molecule its frame and place. Out: a `Refined`, row for row. Each sweep moves every molecule
by a step of its own (Fisher scoring on blocks of three), held back by how much it overlaps with others, so that the sweeps settle. The
image of a molecule is a product of one profile down and one across, so that all sums over its pixels are products of small matrices, for
all molecules of some frames at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

__all__ = ["JointFit", "Refined", "Windows", "crowding_of", "refine", "together"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACH = 3.5  # standard deviations to each side of a molecule that are fitted
_TILE = 16  # pixels between the knots of the background
_FARTHEST = 0.75  # standard deviations: the most that a molecule moves in one sweep
_DIMMEST = 0.05  # of the usual brightness
_MOLECULES, _FRAMES = 600, 16
"""About as many are fitted at a time: the cache of a processor holds their windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """Refined molecules, one entry each.

    Attributes
    ----------
    x, y : ndarray, shape (N,), pixels
        From the outer corner of the first pixel.
    photons, background : ndarray, shape (N,)
        Of the molecule, and of the pixel besides.
    bound : ndarray, shape (N,), pixels
        Standard deviation of x and of y that the light of the molecule alone allows, its neighbours' light counted as noise.
    crowding : ndarray, shape (N,)
        Overlap with the images of others, 0 for none, 1 for one other at the same place.
    """

    x: Floats
    y: Floats
    photons: Floats
    background: Floats
    bound: Floats
    crowding: Floats

    def where(self, chosen: NDArray[np.bool_]) -> Refined:
        """Some of them."""
        return Refined(*(getattr(self, part.name)[chosen] for part in fields(self)))


def refine(
    frames: NDArray[np.floating],
    frame: Ints,
    positions: Floats,
    *,
    sigma: float,
    photons: float | Floats,
    background: float | NDArray[np.floating],
    read_noise_e: float = 0.0,
    found_within: float | Floats = 0.25,
    caution: float = 0.0,
    sweeps: int = 6,
) -> Refined:
    """Fit all molecules of some frames together.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X), detected photons
    frame : ndarray of int, shape (N,)
        Index of the frame of each molecule.
    positions : ndarray, shape (N, 2), columns x and y, pixels
        Where they were found, from the outer corner of the first pixel.
    sigma : float
        Standard deviation of the image of a molecule, pixels.
    photons : float or ndarray, shape (N,)
        Usual photons of a molecule.
    background : float or ndarray, shape (Y, X) or (T, Y, X)
        Usual photons of a pixel besides.
    read_noise_e : float
    found_within : float or ndarray, shape (N,)
        Standard deviation of the found positions, pixels.
    caution : float
        How much less the light is believed where images overlap: its errors count ``1 + caution * crowding`` times. Neighbours that were
        not found, or that are not there, mislead the fit.
    sweeps : int

    Returns
    -------
    Refined
        Each frame's by itself: the others do not matter.
    """
    usual = np.broadcast_to(np.asarray(photons, np.float64), len(frame))
    within = np.broadcast_to(np.asarray(found_within, np.float64), len(frame))
    floor = np.broadcast_to(np.asarray(background, np.float64), np.shape(frames))
    made = np.empty((6, len(frame)))
    for shown, rows, at in together(frame):
        some = (at, np.asarray(positions[rows], np.float64), usual[rows], within[rows])
        fit = JointFit(frames[shown].astype(np.float64), floor[shown], *some, sigma, read_noise_e, caution)
        for _ in range(sweeps):
            fit.sweep()
        made[:, rows] = *fit.place.T, fit.light, fit.floors(), fit.bound(), fit.crowding
    return Refined(*made)


def together(frame: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Take molecules a few frames at a time.

    Parameters
    ----------
    frame : ndarray of int, shape (N,)
        Frame of each molecule.

    Yields
    ------
    frames : ndarray of int, shape (T,)
        Frames with some hundred molecules in all.
    rows : ndarray of int, shape (M,)
        Which molecules are theirs.
    at : ndarray of int, shape (M,)
        The frame of each of them among ``frames``.

    Examples
    --------
    >>> [(shown.tolist(), rows.tolist(), at.tolist()) for shown, rows, at in together(np.array([7, 2, 7]))]
    [([2, 7], [1, 0, 2], [0, 1, 1])]
    """
    order = np.argsort(frame, kind="stable")
    lit, ends = np.unique(frame[order], return_index=True)
    ends = np.append(ends, len(order))
    start = 0
    while start < len(lit):
        most = int(np.searchsorted(ends, ends[start] + _MOLECULES, side="right")) - 1
        stop = min(max(start + 1, most), start + _FRAMES)
        rows = order[ends[start] : ends[stop]]
        yield lit[start:stop], rows, np.searchsorted(lit[start:stop], frame[rows])
        start = stop


@dataclass(slots=True, eq=False)
class JointFit:
    """Molecules and background of some frames, on their way to explaining them.

    Attributes
    ----------
    frames : ndarray, shape (T, Y, X), float64, detected photons
    floor : ndarray, shape (T, Y, X)
        Background of each pixel, the usual one to begin with.
    frame : ndarray of int, shape (N,)
    place : ndarray, shape (N, 2), columns x and y, pixels
        Where they were found, to begin with.
    light : ndarray, shape (N,)
        Photons, the usual ones to begin with.
    within : ndarray, shape (N,)
        Standard deviation of the found places, pixels.
    sigma, read_noise_e, caution : float
        See `refine`.
    crowding : ndarray, shape (N,)
        See `Refined`.
    """

    frames: Floats
    floor: Floats
    frame: Ints
    place: Floats
    light: Floats
    within: Floats
    sigma: float
    read_noise_e: float = 0.0
    caution: float = 0.0
    crowding: Floats = field(init=False)
    _found: Floats = field(init=False)
    _usual: Floats = field(init=False)
    _level: Floats = field(init=False)
    _knots: list[tuple[Ints, Floats]] = field(init=False)

    def __post_init__(self) -> None:
        self.crowding = crowding_of(self.frame, self.place, self.sigma)
        self._found, self._usual = self.place, self.light
        self._level = self.floor.mean(axis=(1, 2), keepdims=True)
        self._knots = [_between_knots(side) for side in self.frames.shape[1:]]

    def sweep(self) -> None:
        """Move every molecule by one step, then the background."""
        windows = self.windows()
        model = self.model(windows)
        weight = self.weight(model)
        residual = (self.frames - model) * weight
        gradient = windows.slopes(residual, self.light)
        fisher = windows.fisher(weight, self.light)
        doubt = (1.0 + self.caution * self.crowding) ** 2
        tightness, own = 1.0 / self.within**2, 1.0 / (0.5 * self._usual) ** 2
        gradient[:, :2] /= doubt[:, None]
        fisher[:, :2, :] /= doubt[:, None, None]
        gradient[:, :2] -= tightness[:, None] * (self.place - self._found)
        gradient[:, 2] -= own * (self.light - self._usual)
        fisher *= (1.0 + self.crowding)[:, None, None]
        fisher[:, 0, 0] += tightness
        fisher[:, 1, 1] += tightness
        fisher[:, 2, 2] += own
        step = np.linalg.solve(fisher, gradient[:, :, None])[:, :, 0]
        most = _FARTHEST * self.sigma
        self.place = self.place + np.clip(step[:, :2], -most, most)
        self.light = np.maximum(self.light + step[:, 2], _DIMMEST * self._usual)
        self._raise_floor(residual, weight)

    def windows(self, slopes: int = 1) -> Windows:
        """What each molecule sends to the pixels around it, with so many derivatives along its place."""
        _, height, width = self.frames.shape
        half = math.ceil(_REACH * self.sigma)
        offset = np.arange(-half, half + 1)
        y, x = (pixel[:, None] + offset for pixel in self._pixels())
        index = (self.frame[:, None] * height + np.clip(y, 0, height - 1)) * width
        return Windows(
            index[:, :, None] + np.clip(x, 0, width - 1)[:, None, :],
            _profile(self.place[:, 1:] - y, self.sigma, slopes) * ((y >= 0) & (y < height))[:, :, None],
            _profile(self.place[:, :1] - x, self.sigma, slopes) * ((x >= 0) & (x < width))[:, :, None],
        )

    def model(self, windows: Windows) -> Floats:
        """Expected photons, shape (T, Y, X)."""
        light = np.bincount(windows.index.ravel(), windows.images(self.light).ravel(), self.frames.size)
        return np.asarray(self.floor + light.reshape(self.frames.shape))

    def weight(self, model: Floats) -> Floats:
        """One over the variance of each pixel, for the photons expected there."""
        return np.asarray(1.0 / np.maximum(model + self.read_noise_e**2, 1e-3))

    def floors(self) -> Floats:
        """Background of the pixel that each molecule lies in, or of the nearest one."""
        row, column = (np.clip(at, 0, side - 1) for at, side in zip(self._pixels(), self.frames.shape[1:], strict=True))
        return np.asarray(self.floor[self.frame, row, column])

    def bound(self) -> Floats:
        """Least standard deviation of x and y from the light of each molecule, pixels."""
        windows = self.windows()
        fisher = windows.fisher(self.weight(self.model(windows)), self.light)
        return np.asarray(np.sqrt(0.5 * sum(1.0 / np.maximum(fisher[:, i, i], 1e-12) for i in (0, 1))), np.float64)

    def _pixels(self) -> tuple[Ints, Ints]:
        """Rows and columns of the pixels that the molecules lie in."""
        column, row = np.floor(self.place).astype(np.int64).T
        return row, column

    def _raise_floor(self, residual: Floats, weight: Floats) -> None:
        """Follow slow residuals with the background; without evidence it stays at the usual one."""
        (rows, down), (columns, across) = self._knots
        up, sure = (np.add.reduceat(np.add.reduceat(a, rows, axis=1), columns, axis=2) for a in (residual, weight))
        prior = 1.0 / (0.3 * self._level + 2.0) ** 2
        self.floor = np.maximum(self.floor + 0.7 * (down @ (up / (sure + prior)) @ across.T), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The pixels around molecules, and their images there, each the product of one profile down and one across.

    Attributes
    ----------
    index : ndarray of int, shape (N, S, S)
        Of the pixels in all frames, flat; those beyond the field stand for the nearest ones in it.
    down, across : ndarray, shape (N, S, D)
        Share of the light on each row and column, and its derivatives along the place; 0 beyond the field.
    """

    index: Ints
    down: Floats
    across: Floats

    def images(self, light: Floats) -> Floats:
        """Photons of each molecule on its pixels, shape (N, S, S)."""
        return np.asarray((light[:, None] * self.down[:, :, 0])[:, :, None] * self.across[:, None, :, 0])

    def slopes(self, residual: Floats, light: Floats) -> Floats:
        """Slope of the likelihood with x, y and photons, shape (N, 3), for residuals over their variance."""
        sums = self.down.transpose(0, 2, 1) @ residual.ravel()[self.index] @ self.across
        return np.stack([light * sums[:, 0, 1], light * sums[:, 1, 0], sums[:, 0, 0]], axis=1)

    def fisher(self, weight: Floats, light: Floats) -> Floats:
        """Information on x, y and photons, shape (N, 3, 3), for one over the variance of each pixel."""
        down, across = (line[:, :, _FIRST] * line[:, :, _SECOND] for line in (self.down, self.across))
        sums = down.transpose(0, 2, 1) @ weight.ravel()[self.index] @ across
        made = np.empty((len(light), 3, 3))
        made[:, 0, 0], made[:, 1, 1], made[:, 2, 2] = light**2 * sums[:, 0, 2], light**2 * sums[:, 2, 0], sums[:, 0, 0]
        made[:, 0, 1] = made[:, 1, 0] = light**2 * sums[:, 1, 1]
        made[:, 0, 2] = made[:, 2, 0] = light * sums[:, 0, 1]
        made[:, 1, 2] = made[:, 2, 1] = light * sums[:, 1, 0]
        return made


_FIRST, _SECOND = [0, 0, 1], [0, 1, 1]
"""Products of a profile and its slope: profile squared, profile times slope, slope squared."""


def _profile(away: Floats, sigma: float, slopes: int) -> Floats:
    """Share of light on pixels whose near edges are so far away, shape (N, S, 1 + slopes), and its derivatives along the place."""
    edges = np.concatenate([away, away[:, -1:] - 1.0], axis=1) / sigma
    bell = np.exp(-0.5 * edges**2) / (math.sqrt(2 * math.pi) * sigma)
    lines = [ndtr(edges), bell, -edges * bell / sigma][: 1 + slopes]
    return np.asarray(-np.diff(np.stack(lines, axis=-1), axis=1))


def _between_knots(side: int) -> tuple[Ints, Floats]:
    """First pixels of the tiles along a side, and the matrix that draws straight lines between their values, shape (side, tiles)."""
    first = np.arange(0, side, min(_TILE, side))
    lines = ndimage.zoom(np.eye(len(first)), (side / len(first), 1), order=1, mode="nearest", grid_mode=True)
    return first, lines


def crowding_of(frame: Ints, place: Floats, sigma: float) -> Floats:
    """Sum over the others of a frame of how much their images overlap with a molecule's: 1 for one at the same place.

    Frames, shape (N,), and places, shape (N, 2), in pixels, as the standard deviation of the image of a molecule.
    """
    from scipy.spatial import cKDTree

    if len(place) < 2:
        return np.zeros(len(place))
    apart = 100.0 * sigma  # frames side by side, out of each other's reach
    spread = np.column_stack([place, apart * frame])
    pairs = cKDTree(spread).query_pairs(4.0 * sigma, output_type="ndarray")
    square = np.sum((place[pairs[:, 0]] - place[pairs[:, 1]]) ** 2, axis=1)
    overlap = np.exp(-square / (4.0 * sigma**2))
    return np.asarray(np.bincount(pairs.ravel(), np.repeat(overlap, 2), len(place)), np.float64)
