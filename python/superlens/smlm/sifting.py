"""Sparse frames: spots that one molecule explains, and places where it takes more than that.

A spot is where the light that an image of a molecule gathers rises above noise. All spots of a frame are fitted together, one molecule
each. What is left of the frame then tells which of them are single: a molecule beside another one makes its image wider, oblong, or
brighter than those of the rest, or leaves a spot of its own. How wide, round and bright single molecules of a movie are, and by how much
they differ, is learned from frames of the movie; the tests are score tests, so that nothing is fitted twice.

In: frames in detected photons. Out: `Sifted`, the fitted spots with what they look like; and `LoneSpots`, which judges them. Each spot is
judged by itself and by its frame, so that it does not matter in which blocks a movie is read. What is done about the rest is left to
others.

References
----------
C. R. Rao, "Large sample tests of statistical hypotheses concerning several parameters", Proc. Camb. Phil. Soc. 44, 50 (1948).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from superlens.smlm.density import maxima
from superlens.smlm.refining import JointFit, Refined, Windows, crowding_of, together

__all__ = ["SURE", "LoneSpots", "Sifted", "Spots", "error_of", "rises", "sift"]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FAINTEST = 4.5  # deviations of noise, which rises as high in a field of 64 x 64 pixels about once in a hundred frames
SURE = 6.0
"""Photons of a molecule over their error, from which noise alone never looks like one."""
_REACH = 3.5  # standard deviations to each side of a molecule that its light is gathered from
_SWEEPS, _MORE_SWEEPS = 4, 12
_AGAIN = 1  # times that spots are looked for in what a fit leaves
_SHAPE = 0.04  # share of the light of a molecule by which its image may differ from a Gaussian
_SIGNS = ("width", "stretch", "slant", "misfit", "light")
_LEAST = np.array([0.02, 0.02, 0.02, 0.0, 0.1])
"""By how much the signs of single molecules differ at least."""
_MOST_UNLIKE = 0.15  # the same at most, of the first three: else pairs would not stand out
_APART, _MISFIT = 3.2, 4.5  # deviations from single molecules; squares scatter upwards
_FEWEST = 40
_OUTSIDE = 2.0  # errors of its place by which a molecule lies outside the field for certain
_NEAR = 4.0  # standard deviations from a pair, fitted as one, within which its molecules leave light on both sides
_SHARED = 1.2  # by how much crowding makes errors larger than the bound of a molecule's own light
_BESIDE = 0.05  # crowding from which a spot that is far too dim may be a part of one


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Places where light rises above noise, one entry each.

    Attributes
    ----------
    frame : ndarray of int, shape (N,)
    place : ndarray, shape (N, 2), columns x and y, pixels
        From the outer corner of the first.
    height : ndarray, shape (N,)
        The light gathered there, in standard deviations of its noise.
    light : ndarray, shape (N,), photons
    """

    frame: Ints
    place: Floats
    height: Floats
    light: Floats

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, chosen: Mask | Ints) -> Spots:
        """Some of them."""
        return Spots(self.frame[chosen], self.place[chosen], self.height[chosen], self.light[chosen])

    @classmethod
    def joined(cls, parts: list[Spots]) -> Spots:
        """One after the other."""
        none = cls(np.empty(0, np.int64), np.empty((0, 2)), np.empty(0), np.empty(0))
        return cls(*(np.concatenate([getattr(one, part.name) for one in (none, *parts)]) for part in fields(cls)))


@dataclass(frozen=True, slots=True, eq=False)
class Sifted:
    """Spots that were fitted, one molecule each.

    Attributes
    ----------
    frame : ndarray of int, shape (N,)
    fitted : Refined
        Row for row.
    signs : ndarray, shape (N, 5)
        How much wider the spot is than one molecule, relative; how oblong along the axes, and between them; squared residuals over their
        variance, per degree of freedom; the logarithm of its photons over the usual ones.
    errors : ndarray, shape (N, 5)
        Their standard errors.
    sure : ndarray, shape (N,)
        Photons over their standard error.
    left : Spots
        What rises above noise where the fitted molecules are taken off.
    """

    frame: Ints
    fitted: Refined
    signs: Floats
    errors: Floats
    sure: Floats
    left: Spots

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def places(self) -> Floats:
        """Columns x and y, shape (N, 2), pixels."""
        return np.stack([self.fitted.x, self.fitted.y], axis=1)

    def beyond(self, yx_shape: tuple[int, int]) -> Mask:
        """Which spots are, for certain, the light of molecules outside a field of this shape."""
        unsure = _OUTSIDE * self.fitted.bound[:, None]
        return np.asarray(((self.places < -unsure) | (self.places > np.array(yx_shape[::-1]) + unsure)).any(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class LoneSpots:
    """What spots of single molecules look like in a movie.

    Attributes
    ----------
    usual, spread : ndarray, shape (5,)
        Middle of the signs of `Sifted`, and by how much they differ from molecule to molecule.
    """

    usual: Floats
    spread: Floats

    @classmethod
    def of(cls, sifted: Sifted) -> LoneSpots | None:
        """Learn it from spots most of which are single; None of few, or where they differ so much that pairs would not stand out."""
        clear = sifted.sure >= SURE
        if clear.sum() < _FEWEST:
            return None
        signs, errors = sifted.signs[clear], sifted.errors[clear]
        usual = np.median(signs, axis=0)
        scatter = 1.4826 * np.median(np.abs(signs - usual), axis=0)
        spread = np.sqrt(np.maximum(scatter**2 - np.median(errors**2, axis=0), _LEAST**2))
        return None if (spread[:3] > _MOST_UNLIKE).any() else cls(usual, spread)

    def judge(self, sifted: Sifted) -> Mask:
        """Which spots are certainly molecules, and certainly single."""
        away = (sifted.signs - self.usual) / np.hypot(sifted.errors, self.spread)
        alike = (np.abs(away[:, :3]) < _APART).all(axis=1) & (away[:, 3] < _MISFIT) & (away[:, 4] < _APART)
        split = (away[:, 4] < -_APART) & (sifted.fitted.crowding > _BESIDE)
        return np.asarray((sifted.sure >= SURE) & alike & ~split)


def error_of(fitted: Refined) -> Floats:
    """Standard deviation of the error of x and of y of single molecules, shape (N,), pixels.

    The bound of their own light, and what overlapping ones leave open between them: on simulated pairs from 1.2 standard deviations of the
    image apart it is within a tenth of this.
    """
    return np.asarray(fitted.bound * (1.0 + _SHARED * fitted.crowding))


def rises(
    excess: NDArray[np.floating], variance: float | NDArray[np.floating], sigma: float, least: float = _FAINTEST
) -> Spots:
    """Find where the light of an image of a molecule rises above noise.

    Parameters
    ----------
    excess : ndarray, shape (T, Y, X), photons
        Frames above their background.
    variance : float or ndarray, shape (Y, X), (T, Y, X) or (T, 1, 1)
        Of each pixel.
    sigma : float
        Standard deviation of the image, pixels.
    least : float
        Standard deviations of its noise that the gathered light must reach.

    Returns
    -------
    Spots
        Local maxima, placed between pixels by a parabola.
    """
    half = math.ceil(_REACH * sigma)
    line = np.diff(ndtr((np.arange(-half, half + 2) - 0.5) / sigma))
    gathered = _along_both(np.asarray(excess, np.float32), line)
    of_noise = np.asarray(variance, np.float32)
    whole = np.broadcast_to(of_noise, excess.shape if of_noise.ndim == 3 else excess.shape[1:])
    noise = np.sqrt(np.maximum(_along_both(whole, line**2), 1e-12))
    height = np.asarray(gathered / noise, np.float32)
    frame, row, column = maxima(height, least)
    top = height[frame, row, column].astype(np.float64)
    place = np.stack(
        [
            column + 0.5 + _vertex(height, (frame, row, column), 2),
            row + 0.5 + _vertex(height, (frame, row, column), 1),
        ],
        axis=1,
    )
    at = (frame, row, column) if noise.ndim == 3 else (row, column)
    light = gathered[frame, row, column] / noise[at] ** 2 * whole[at]
    return Spots(frame, place, top, np.asarray(light, np.float64))


def sift(
    frames: NDArray[np.floating],
    *,
    sigma: float,
    photons: float | Floats,
    background: float | NDArray[np.floating],
    read_noise_e: float = 0.0,
) -> Sifted:
    """Fit the spots of sparse frames, one molecule each, and measure what they look like.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X), detected photons
    sigma : float
        Standard deviation of the image of a molecule, pixels.
    photons : float or ndarray, shape (T,)
        Usual photons of a molecule.
    background : float or ndarray, shape (Y, X), (T, Y, X) or (T, 1, 1)
        Usual photons of a pixel besides.
    read_noise_e : float

    Returns
    -------
    Sifted
        Each frame's by itself: the others do not matter.
    """
    floor = np.broadcast_to(np.asarray(background, np.float32), np.shape(frames))
    usual = np.broadcast_to(np.asarray(photons, np.float64), len(frames))
    spots = rises(frames - floor, background + read_noise_e**2, sigma)
    found = [_Explained.nothing()]
    for shown, rows, at in together(spots.frame):
        some = replace(spots.where(rows), frame=at)
        about = (frames[shown].astype(np.float64), floor[shown].astype(np.float64), usual[shown])
        found.append(_explained(some, about, sigma, read_noise_e, _AGAIN).moved_to(shown))
    every = _Explained.joined(found)
    values, seen = every.values[:6], every.values[6:]
    return Sifted(every.frame, Refined(*values), seen[:5].T, seen[5:10].T, seen[10], every.left)


@dataclass(frozen=True, slots=True, eq=False)
class _Explained:
    """Fitted spots: the frame of each, its fit and what it looks like, shape (17, N), and what is left."""

    frame: Ints
    values: Floats
    left: Spots

    @classmethod
    def nothing(cls) -> _Explained:
        """Of no frame."""
        return cls(np.empty(0, np.int64), np.empty((17, 0)), Spots.joined([]))

    @classmethod
    def joined(cls, parts: list[_Explained]) -> _Explained:
        """One after the other."""
        frame = np.concatenate([part.frame for part in parts])
        return cls(
            frame, np.concatenate([part.values for part in parts], axis=1), Spots.joined([part.left for part in parts])
        )

    def where(self, chosen: Mask) -> _Explained:
        """Some of the spots."""
        return _Explained(self.frame[chosen], self.values[:, chosen], self.left)

    def moved_to(self, frames: Ints) -> _Explained:
        """The same, where the frames have other numbers."""
        return _Explained(frames[self.frame], self.values, replace(self.left, frame=frames[self.left.frame]))


def _explained(spots: Spots, about: tuple[Floats, Floats, Floats], sigma: float, read: float, again: int) -> _Explained:
    """Fit the spots of a few frames; where more are left, fit these as well, so many times again.

    ``about`` are the frames, the background of each pixel, and the usual photons of a molecule in each frame.
    """
    frames, floor, usual = about
    light = usual[spots.frame]
    fit = JointFit(frames, floor, spots.frame, spots.place, light, np.full(len(spots), sigma), sigma, read)
    fit.light = np.maximum(spots.light, 0.1 * light)
    for _ in range(_SWEEPS if again == _AGAIN else _MORE_SWEEPS):
        fit.sweep()
    seen, left = _looks(fit, light)
    crowding = crowding_of(fit.frame, fit.place, sigma)  # they may have moved far
    made = _Explained(fit.frame, np.stack([*fit.place.T, fit.light, fit.floors(), fit.bound(), crowding, *seen]), left)
    if not len(left) or again == 0:
        return made
    lit = np.unique(left.frame)
    calm = ~np.isin(fit.frame, lit)
    here = Spots(fit.frame, fit.place, np.zeros(len(spots)), fit.light).where(~calm & ~_between(fit, left))
    more = Spots.joined([here, left])
    more = replace(more, frame=np.searchsorted(lit, more.frame))
    rest = _explained(more, (frames[lit], floor[lit], usual[lit]), sigma, read, again - 1).moved_to(lit)
    return _Explained.joined([replace(made.where(calm), left=Spots.joined([])), rest])


def _between(fit: JointFit, left: Spots) -> Mask:
    """Which spots have two or more beside them in what they leave: of a pair these are the molecules, and the spot is none."""
    near = np.zeros(len(fit.frame), np.int64)
    for at, place in zip(left.frame, left.place, strict=True):
        near += (fit.frame == at) & (np.hypot(*(fit.place - place).T) < _NEAR * fit.sigma)
    return np.asarray(near > 1)


def _looks(fit: JointFit, usual: Floats) -> tuple[Floats, Spots]:
    """Signs, their errors and the sureness of each spot, shape (11, N), and what the fit leaves."""
    windows = fit.windows(2)
    model = fit.model(windows)
    away = fit.frames - model
    weight = fit.weight(model)
    images = windows.images(fit.light)
    shape = np.bincount(windows.index.ravel(), (_SHAPE * images).ravel(), model.size).reshape(model.shape)
    loose = 1.0 / (1.0 / weight + shape**2)
    inside = (windows.down[:, :, :1] != 0) * (windows.across[:, None, :, 0] != 0)
    signs, errors, sure = _score_tests(
        windows, inside, (away * weight).ravel()[windows.index], weight.ravel()[windows.index], fit
    )
    free = np.maximum(inside.sum(axis=(1, 2)) - 4, 1)
    misfit = ((away**2 * loose).ravel()[windows.index] * inside).sum(axis=(1, 2)) / free
    light = np.log(fit.light / usual)
    seen = np.stack([*signs.T, misfit, light, *errors.T, np.sqrt(2.0 / free), 1.0 / np.maximum(sure, 1e-3), sure])
    return seen, rises(away, 1.0 / loose, fit.sigma)


def _score_tests(
    windows: Windows, inside: Mask, residual: Floats, weight: Floats, fit: JointFit
) -> tuple[Floats, Floats, Floats]:
    """Width and oblongness that one step of the likelihood would give each spot, shape (N, 3), their errors, and the photons over theirs.

    Place, photons and an even background move along.
    """
    down, across = windows.down, windows.across

    def image(along_y: int, along_x: int) -> Floats:
        return np.asarray(down[:, :, along_y][:, :, None] * across[:, :, along_x][:, None, :])

    light = fit.light[:, None, None]
    square = light * fit.sigma**2
    xx, yy = square * image(0, 2), square * image(2, 0)
    fitted = (light * image(0, 0), light * image(0, 1), light * image(1, 0), inside.astype(np.float64))
    basis = np.stack([*fitted, xx + yy, xx - yy, 2 * square * image(1, 1)], axis=1).reshape(len(light), 7, -1)
    info = (basis * weight.reshape(len(light), 1, -1)) @ basis.transpose(0, 2, 1)
    score = (basis @ residual.reshape(len(light), -1, 1))[:, :, 0]
    solved = np.linalg.solve(info[:, :4, :4] + 1e-9 * np.eye(4), info[:, :4, 4:])
    kept = np.maximum(np.einsum("nii->ni", info[:, 4:, 4:] - info[:, 4:, :4] @ solved), 1e-12)
    pull = score[:, 4:] - np.einsum("nij,ni->nj", solved, score[:, :4])
    return pull / kept, 1.0 / np.sqrt(kept), np.sqrt(info[:, 0, 0])


def _along_both(images: Array, line: Floats) -> Array:
    """Correlate images, shape (..., Y, X), with a profile down and across; beyond the edge there is nothing."""
    down = ndimage.correlate1d(images, line, axis=-2, mode="constant")
    return np.asarray(ndimage.correlate1d(down, line, axis=-1, mode="constant"), np.float32)


def _vertex(height: Array, at: tuple[Ints, Ints, Ints], axis: int) -> Floats:
    """How far from the middle of its pixel a maximum lies along an axis, by a parabola; 0 at the edge."""
    index, side = at[axis], height.shape[axis]
    inner = (index > 0) & (index < side - 1)

    def beside(step: int) -> Floats:
        moved = list(at)
        moved[axis] = np.clip(index + step, 0, side - 1)
        return np.asarray(height[tuple(moved)], np.float64)

    before, middle, after = beside(-1), height[at].astype(np.float64), beside(1)
    bend = np.minimum(before - 2 * middle + after, -1e-9)
    return np.where(inner, np.clip(0.5 * (before - after) / bend, -0.5, 0.5), 0.0)
