"""Refine molecules that were found in crowded frames: all of a frame explain its light together.

A peak of a density map says where a molecule is, to a fraction of its image, and not how bright. Here positions, photons and an uneven
background are fitted to the frames by maximum a posteriori: the light of overlapping molecules adds up, and each position keeps near
where it was found, by how reliable the finding is. Where molecules are far apart and bright the light decides, and the errors reach the
Cramer-Rao bound; where they are crowded the finding decides.

In: frames in detected photons, and for each molecule its frame and place. Out: a `Refined`, row for row. Each sweep moves every molecule
by a step of its own (Fisher scoring on blocks of three), held back by how much it overlaps with others, so that the sweeps settle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

__all__ = ["Refined", "crowding_of", "refine"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACH = 3.5  # standard deviations to each side of a molecule that are fitted
_TILE = 16  # pixels between the knots of the background
_FARTHEST = 0.75  # standard deviations: the most that a molecule moves in one sweep
_DIMMEST = 0.05  # of the usual brightness


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
    background : float or ndarray, shape (Y, X)
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
    """
    state = _State(np.asarray(frames, np.float64), frame, np.array(positions, np.float64), sigma, read_noise_e)
    usual = np.broadcast_to(np.asarray(photons, np.float64), len(frame))
    state.light = usual.copy()
    state.floor = np.broadcast_to(np.asarray(background, np.float64), state.frames.shape).copy()
    crowding = crowding_of(frame, state.place, sigma)
    found = state.place.copy()
    tightness = np.broadcast_to(1.0 / np.square(np.asarray(found_within, np.float64)), len(frame))
    for _ in range(sweeps):
        state.sweep(found, tightness, crowding, (1.0 + caution * crowding) ** 2, (usual, float(np.mean(background))))
    bound = state.bound()
    rows, columns = state.pixels()
    inside = (
        frame,
        np.clip(rows, 0, state.frames.shape[1] - 1),
        np.clip(columns, 0, state.frames.shape[2] - 1),
    )
    return Refined(state.place[:, 0], state.place[:, 1], state.light, state.floor[inside], bound, crowding)


class _State:
    """Molecules and background of some frames, on their way to explaining them."""

    def __init__(self, frames: Floats, frame: Ints, place: Floats, sigma: float, read_noise_e: float) -> None:
        self.frames, self.frame, self.place = frames, frame, place
        self._sigma, self._read = sigma, read_noise_e**2
        self._half = math.ceil(_REACH * sigma)
        self.light = np.empty(0)
        self.floor = np.empty(0)

    def pixels(self) -> tuple[Ints, Ints]:
        """Rows and columns of the pixels that the molecules lie in."""
        column, row = np.floor(self.place).astype(np.int64).T
        return row, column

    def _windows(self) -> tuple[Ints, NDArray[np.bool_], Floats, Floats, Floats]:
        """Flat pixel indices of each molecule's window, which of them lie in the frame, its image of sum 1, and its slopes."""
        row, column = self.pixels()
        offset = np.arange(-self._half, self._half + 1)
        y, x = row[:, None] + offset, column[:, None] + offset
        _, height, width = self.frames.shape
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        index = (self.frame[:, None, None] * height + np.clip(y, 0, height - 1)[:, :, None]) * width
        index = index + np.clip(x, 0, width - 1)[:, None, :]
        down, down_slope = self._profile(self.place[:, 1:] - y)
        across, across_slope = self._profile(self.place[:, :1] - x)
        image = down[:, :, None] * across[:, None, :]
        return (
            index,
            inside,
            image * inside,
            down[:, :, None] * across_slope[:, None, :] * inside,
            down_slope[:, :, None] * across[:, None, :] * inside,
        )

    def _profile(self, away: Floats) -> tuple[Floats, Floats]:
        """Share of light on pixels whose near edges are so far away, and its slope with the place."""
        far, near = (away - 1.0) / self._sigma, away / self._sigma
        slope = (np.exp(-0.5 * near**2) - np.exp(-0.5 * far**2)) / (math.sqrt(2 * math.pi) * self._sigma)
        return ndtr(near) - ndtr(far), slope

    def _model(self, index: Ints, image: Floats) -> Floats:
        light = np.bincount(index.ravel(), (self.light[:, None, None] * image).ravel(), self.frames.size)
        return np.asarray(self.floor + light.reshape(self.frames.shape))

    def sweep(
        self, found: Floats, tightness: Floats, crowding: Floats, doubt: Floats, usual: tuple[Floats, float]
    ) -> None:
        """Move every molecule by one step, then the background."""
        index, _, image, by_x, by_y = self._windows()
        model = self._model(index, image)
        weight = 1.0 / np.maximum(model + self._read, 1e-3)
        residual = ((self.frames - model) * weight).ravel()[index]
        w = weight.ravel()[index]
        slopes = np.stack([self.light[:, None, None] * by_x, self.light[:, None, None] * by_y, image])
        gradient = np.einsum("knij,nij->nk", slopes, residual)
        fisher = np.einsum("knij,nij,lnij->nkl", slopes, w, slopes, optimize=True)
        own = 1.0 / (0.5 * usual[0]) ** 2
        gradient[:, :2] /= doubt[:, None]
        fisher[:, :2, :] /= doubt[:, None, None]
        gradient[:, :2] -= tightness[:, None] * (self.place - found)
        gradient[:, 2] -= own * (self.light - usual[0])
        fisher *= (1.0 + crowding)[:, None, None]
        fisher[:, 0, 0] += tightness
        fisher[:, 1, 1] += tightness
        fisher[:, 2, 2] += own
        step = np.linalg.solve(fisher, gradient[:, :, None])[:, :, 0]
        most = _FARTHEST * self._sigma
        self.place = self.place + np.clip(step[:, :2], -most, most)
        self.light = np.maximum(self.light + step[:, 2], _DIMMEST * usual[0])
        self._raise_floor((self.frames - model) * weight, weight, usual[1])

    def _raise_floor(self, residual: Floats, weight: Floats, usual: float) -> None:
        """Follow slow residuals with the background; without evidence it stays at the usual one."""
        _, height, width = self.frames.shape
        rows, columns = (np.arange(0, side, min(_TILE, side)) for side in (height, width))
        up = np.add.reduceat(np.add.reduceat(residual, rows, axis=1), columns, axis=2)
        sure = np.add.reduceat(np.add.reduceat(weight, rows, axis=1), columns, axis=2)
        prior = 1.0 / (0.3 * usual + 2.0) ** 2
        steps = up / (sure + prior)
        zoomed = ndimage.zoom(
            steps, (1, height / len(rows), width / len(columns)), order=1, mode="nearest", grid_mode=True
        )
        self.floor = np.maximum(self.floor + 0.7 * zoomed, 0.0)

    def bound(self) -> Floats:
        """Least standard deviation of x and y from the light of each molecule, pixels."""
        index, _, image, by_x, by_y = self._windows()
        w = (1.0 / np.maximum(self._model(index, image) + self._read, 1e-3)).ravel()[index]
        fisher = [np.einsum("nij,nij,nij->n", s, s, w) for s in (by_x, by_y)]
        return np.asarray(np.sqrt(0.5 * sum(1.0 / np.maximum(self.light**2 * f, 1e-12) for f in fisher)), np.float64)


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
