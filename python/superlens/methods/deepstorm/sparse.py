"""Sparse frames: single molecules without the network, and the network where they overlap.

Most of a sparse frame holds no molecule, and most molecules are alone. These are found and fitted as `superlens.smlm.sifting` says, at the
bound of what their light allows. Around spots that one molecule does not explain, the network looks at a window of the frame, which is as
much larger as it sees far, so that it answers as it would on the whole frame.

In: a block of frames. Out: the molecules of both kinds, fitted together, and the sum of the density maps, to which a single molecule
contributes what the network is trained to answer. Whether a movie is sparse is decided once, by frames spread over it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.smlm.sifting import SURE, Sifted

__all__ = ["Window", "cores", "share_seen", "shown_together", "windows_of"]

Mask = NDArray[np.bool_]

_CORE = 2.5
"""Standard deviations to each side of a spot, of more than one molecule, in which the network's molecules take its place."""
_MOST = 0.7  # of a frame: of larger windows, the whole frame is shown
_SIDES = (32, 48)
"""Sides of windows, pixels. There are few, since the network is compiled for each shape, and is shown as many of a kind together."""
_PIXELS = 8192  # of the windows that are shown together


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a frame that the network is shown.

    Attributes
    ----------
    frame : int
    rows, columns : slice
    part : int
        Number of the part of the mask that it is for; 0 for all in it.
    """

    frame: int
    rows: slice
    columns: slice
    part: int

    @property
    def yx_shape(self) -> tuple[int, int]:
        """Its sides."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def marks(self, parts: NDArray[np.int32]) -> Mask:
        """Its pixels in its part of the mask, where ``parts``, shape (T, Y, X), numbers these from 1."""
        seen = parts[self.frame, self.rows, self.columns]
        return np.asarray(seen == self.part if self.part else seen > 0)


def cores(sifted: Sifted, alone: Mask, shape: tuple[int, int, int], sigma: float) -> tuple[Mask, Mask]:
    """Where the network must look.

    Parameters
    ----------
    sifted : Sifted
    alone : ndarray of bool, shape (N,)
        Which of its spots are single molecules.
    shape : tuple of int
        Of the frames, (T, Y, X).
    sigma : float
        Standard deviation of the image of a molecule, pixels.

    Returns
    -------
    mask : ndarray of bool, shape (T, Y, X)
    alone : ndarray of bool, shape (N,)
        Those of the single molecules that lie elsewhere in the field.
    """
    half = math.ceil(_CORE * sigma)
    column, row = np.clip(np.floor(sifted.places).astype(np.int64), 0, np.array(shape[:0:-1]) - 1).T
    marked = np.zeros(shape, bool)
    at = sifted.left.place[:, ::-1].astype(np.int64)
    marked[sifted.left.frame, np.clip(at[:, 0], 0, shape[1] - 1), np.clip(at[:, 1], 0, shape[2] - 1)] = True
    beyond = sifted.beyond(shape[1:])
    faint = beyond & (sifted.sure < SURE)
    alone = alone | faint
    while True:
        marked[sifted.frame[~alone], row[~alone], column[~alone]] = True
        lit = np.flatnonzero(marked.any(axis=(1, 2)))
        mask = np.zeros(shape, bool)
        mask[lit] = ndimage.binary_dilation(marked[lit], np.ones((1, 2 * half + 1, 2 * half + 1)))
        swallowed = alone & mask[sifted.frame, row, column]
        if not swallowed.any():
            return mask, alone & ~beyond
        alone &= ~swallowed


def windows_of(mask: Mask, halo: int, align: int) -> tuple[list[Window], NDArray[np.int32]]:
    """The windows in which the network sees all that it must around each part of a mask, and the parts.

    Parameters
    ----------
    mask : ndarray of bool, shape (T, Y, X)
        Sides multiples of ``align``.
    halo : int
        How far the network sees, pixels.
    align : int

    Returns
    -------
    windows : list of Window
        One for each part in turn, or the whole frame where that is little more.
    parts : ndarray of int, shape (T, Y, X)
        Number of the part that a pixel belongs to, from 1.
    """
    in_frame = np.zeros((3, 3, 3), bool)
    in_frame[1] = True
    parts, _ = ndimage.label(mask, in_frame)
    found: dict[int, list[Window]] = {}
    for number, (frame, *sides) in enumerate(ndimage.find_objects(parts), 1):
        rows, columns = _spans(sides, halo, align, mask.shape[1:])
        found.setdefault(frame.start, []).append(Window(frame.start, rows, columns, number))
    height, width = mask.shape[1:]
    made = []
    for frame, windows in found.items():
        area = sum(math.prod(window.yx_shape) for window in windows)
        whole = Window(frame, slice(0, height), slice(0, width), 0)
        made += [whole] if area > _MOST * height * width else windows
    return made, parts


def shown_together(windows: list[Window]) -> Iterator[tuple[list[Window], int]]:
    """Windows of one shape, a few at a time, and how many they are to be filled up to."""
    for shape in sorted({window.yx_shape for window in windows}):
        alike = [window for window in windows if window.yx_shape == shape]
        count = max(1, _PIXELS // math.prod(shape))
        yield from ((alike[start : start + count], count) for start in range(0, len(alike), count))


def share_seen(mask: Mask, halo: int, align: int) -> float:
    """Share of the pixels of frames that lie in the windows around a mask; see `windows_of`."""
    windows, _ = windows_of(mask, halo, align)
    return sum(math.prod(window.yx_shape) for window in windows) / mask.size


def _spans(sides: list[slice], halo: int, align: int, shape: tuple[int, ...]) -> list[slice]:
    """Rows and columns of a window around a part of a frame: of one of the usual sides, or the whole frame."""
    starts = [max(side.start - halo, 0) // align * align for side in sides]
    stops = [min(side.stop + halo, whole) for side, whole in zip(sides, shape, strict=True)]
    needed = max(stop - start for start, stop in zip(starts, stops, strict=True))
    length = next((side for side in _SIDES if needed <= side <= min(shape)), None)
    if length is None:
        return [slice(0, whole) for whole in shape]
    firsts = [min(start, whole - length) // align * align for start, whole in zip(starts, shape, strict=True)]
    return [slice(first, first + length) for first in firsts]
