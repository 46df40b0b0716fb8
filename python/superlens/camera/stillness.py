"""Whether neighbouring frames of a movie show the same thing, so that one may stand for the other but for its noise.

The difference of two frames of a still scene is noise alone: independent from pixel to pixel, with the variance that the camera states for
both frames together. What moved, appeared or bleached leaves differences as wide as the microscope's blur. So the difference, divided by
its stated standard deviation, is looked at twice. Between neighbouring pixels, where little of what is blurred shows, it gives the
variance of the noise as it is, whatever the stated gain. In sums over blocks of 4 x 4 pixels, which add up what is blurred, it gives the
variance of noise and change. For noise alone the two are equal, and their ratio follows an F distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from superlens.errors import SuperlensError

__all__ = ["Stillness", "check_stillness"]

Array = NDArray[np.float32]

_BLOCK = 4  # camera pixels: about the width of a PSF that is well sampled
_TOLERATED = 1.1
"""Excess that does no harm: a change whose square is a tenth of the variance of the noise in a block."""

_TOLERATED_SHARE = 0.01
_BEYOND = 0.0027  # of a normal distribution beyond three standard deviations
_MOST_NOISE = 4.0  # of the stated variance; a wrong gain, and a noise level from smoothed points, stay below
_CHANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Stillness:
    """What `check_stillness` found.

    Attributes
    ----------
    ratio : float
        Variance of differences in blocks over that between pixels; 1 for noise alone.
    limit : float
        The largest ratio that is taken for still: chance alone exceeds it once in a thousand movies.
    share : float
        Part of the blocks whose difference lies beyond three standard deviations; 0.003 for noise alone.
    most_share : float
        The largest share that is taken for still, so that something small that moves in a large still scene is found.
    noise : float
        Variance of the differences between pixels over that which the camera states; change as fine as a pixel shows here.
    frame : int
        The first of the two frames that differ most.
    """

    ratio: float
    limit: float
    share: float
    most_share: float
    noise: float
    frame: int

    @property
    def still(self) -> bool:
        """Whether neighbouring frames differ by noise alone."""
        return self.ratio <= self.limit and self.share <= self.most_share and self.noise <= _MOST_NOISE


def check_stillness(counts: Array, sigma: Array, bad: NDArray[np.bool_] | None = None) -> Stillness:
    """Hold the differences of neighbouring frames against the noise that the camera states.

    Parameters
    ----------
    counts : ndarray, shape (T, Y, X), float32, counts
        At least two frames.
    sigma : ndarray, shape (T, Y, X), float32, counts
        Standard deviation of the noise of each pixel.
    bad : ndarray of bool, shape (T, Y, X), optional
        Pixels to leave out.

    Returns
    -------
    Stillness

    Raises
    ------
    SuperlensError
        If there is one frame only.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(4, 32, 32)).astype(np.float32)
    >>> check_stillness(noise, np.ones_like(noise)).still
    True
    """
    if len(counts) < 2:
        raise SuperlensError(f"there is {len(counts)} frame; neighbouring frames need at least 2")
    blocks, fine, size = [], [], 0
    for at in range(len(counts) - 1):
        good = None if bad is None else ~(bad[at] | bad[at + 1])
        apart = (counts[at + 1] - counts[at]) / np.hypot(sigma[at + 1], sigma[at])
        coarse, between = _parts(apart, good)
        blocks.append(coarse)
        fine.append(between)
        size += coarse.size
    noise = float(np.mean(np.concatenate(fine) ** 2))
    ratios = np.array([np.mean(coarse**2) / noise for coarse in blocks])
    every = np.concatenate(blocks) / np.sqrt(noise)
    # Differences of neighbouring pairs share a frame: half as many count as independent.
    chance = float(stats.f.isf(_CHANCE, max(size // 2, 1), max(np.concatenate(fine).size // 4, 1)))
    return Stillness(
        ratio=float(np.mean(every**2)),
        limit=_TOLERATED * chance,
        share=float(np.mean(np.abs(every) > 3)),
        most_share=max(_TOLERATED_SHARE, float(stats.binom.isf(_CHANCE, size, _BEYOND)) / size),
        noise=noise,
        frame=int(np.argmax(ratios)),
    )


def _parts(apart: Array, good: NDArray[np.bool_] | None) -> tuple[Array, Array]:
    """Differences in blocks and between pixels, both of variance 1 for white noise of variance 1."""
    height, width = (side // _BLOCK * _BLOCK for side in apart.shape)
    cut = apart[:height, :width].astype(np.float64)
    whole = np.ones_like(cut, bool) if good is None else good[:height, :width]
    cells = cut.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    usable = whole.reshape(cells.shape).all(axis=(1, 3))
    # The difference of the two diagonals of 2 x 2 pixels: no slope, and nothing that is blurred over more than a pixel or two.
    a, b, c, d = cut[::2, ::2], cut[::2, 1::2], cut[1::2, ::2], cut[1::2, 1::2]
    clean = whole[::2, ::2] & whole[::2, 1::2] & whole[1::2, ::2] & whole[1::2, 1::2]
    return (
        np.asarray((cells.sum(axis=(1, 3)) / _BLOCK)[usable], np.float32),
        np.asarray(((a - b - c + d) / 2)[clean], np.float32),
    )
