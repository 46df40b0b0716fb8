"""Find the out-of-focus light of an observed image, with the network that comes with superlens.

One plane does not show for certain what is haze. The network says the mean of the share that may be, and how much of it is sure: *separate* takes
the mean, *auto* what is sure and leaves the rest in the image.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.io import LazyImage
from superlens.model import Model, shipped
from superlens.networks import architecture
from superlens.networks.haze import QUANTILES
from superlens.observing.haze import Cells, Haze, cell_side, cells_of, cells_within, channels_of, haze_reach
from superlens.observing.observation import Observation
from superlens.streaming import Measured, observe_block
from superlens.tiling import Tile
from superlens.training import outputs_of

__all__ = [
    "LEAST_SURE",
    "SURE",
    "Found",
    "HazeMode",
    "find_haze",
    "find_haze_of_file",
    "haze_shares_of_cells",
    "seems_hazy",
    "separated",
]

Array = NDArray[np.float32]

HazeMode = Literal["auto", "separate", "keep"]

_LEAST = 0.4
"""Share of the light from which on an image whose haze is kept is said to seem hazy: of 59 simulated fields without any, 7 % are said to have more; of
those of which 40 % and more is haze, 10 % are said to have less."""

SURE = 0.1
"""Quantile of the share of a cell's light that is taken for sure where it spans several cells: the highest of `superlens.networks.haze.QUANTILES` at which
held-out simulated fields without haze lose no more than 2 % of their light (docs/benchmarks-recorded.md)."""

LEAST_SURE = 0.05
"""Share of the light below which nothing that is sure is told apart."""

_LOOKED_AT = 256
"""Cells along each side of the part of an image that is asked whether it seems hazy."""

_STRIP_PIXELS = 1 << 22  # of a file that are looked at together


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The out-of-focus light of some planes.

    Attributes
    ----------
    haze : Haze
        What is sure, or the mean of what may be.
    sure, likely : float
        Shares of the light of all planes: what surely is haze, and the mean of what may be.
    """

    haze: Haze
    sure: float
    likely: float


def find_haze(counts: Array, sigma: Array, fwhm_px: float, *, sure: bool = False) -> Found:
    """Find the out-of-focus light of some planes.

    Parameters
    ----------
    counts, sigma : ndarray, shape (N, Y, X), float32, counts above the offset
        And the standard deviation of their noise.
    fwhm_px : float
        Of the PSF, camera pixels.
    sure : bool
        What surely is haze, in place of the mean of what may be.
    """
    return _found([cells_of(*one, fwhm_px) for one in zip(counts, sigma, strict=True)], fwhm_px, sure)


def find_haze_of_file(
    source: LazyImage, planes: Sequence[int], measured: Measured, mode: HazeMode, fwhm_px: float
) -> Haze | None:
    """As `separated`, of planes that are read strip by strip: the same haze, or None where it is left alone."""
    if mode == "keep":
        return None
    found = _found([_cells_of_plane(source, plane, measured, fwhm_px) for plane in planes], fwhm_px, mode == "auto")
    return None if mode == "auto" and found.sure < LEAST_SURE else found.haze


def _cells_of_plane(source: LazyImage, plane: int, measured: Measured, fwhm_px: float) -> Cells:
    side, reach = cell_side(fwhm_px), haze_reach(fwhm_px)
    height, width = (-(-n // side) * side for n in source.yx_shape)
    rows = max(side, _STRIP_PIXELS // width // side * side)
    strips = []
    for top in range(0, height, rows):
        down = min(rows, height - top)
        shape = (down + 2 * reach, width + 2 * reach)
        strip = Tile((slice(top, top + down), slice(0, width)), (top - reach, -reach), shape)
        strips.append(cells_within(*observe_block(source, plane, strip, measured), fwhm_px))
    return Cells(*(np.concatenate([getattr(one, f.name) for one in strips]) for f in fields(Cells)))


def _found(cells: Sequence[Cells], fwhm_px: float, sure: bool) -> Found:
    light, side = np.stack([one.light for one in cells]), cell_side(fwhm_px)
    shares = [haze_shares_of_cells(one, fwhm_px) for one in cells]
    likely = Haze.of(np.stack([mean for mean, _ in shares]), light, side)
    surely = Haze.of(np.stack([least for _, least in shares]), light, side, under=True)
    total = max(float(light.sum(dtype=np.float64)), 1e-9)
    of_light = [float(haze.grid.sum(dtype=np.float64) / total) for haze in (surely, likely)]
    return Found(surely if sure else likely, *of_light)


def haze_shares_of_cells(cells: Cells, fwhm_px: float) -> tuple[Array, Array]:
    """Share of the light of each cell that is haze, in the mean and for sure, each shape (y, x); means over the eight turned and mirrored copies."""
    channels = channels_of(cells, fwhm_px)
    height, width = channels.shape[:2]
    frame = [(0, -n % architecture("haze").align) for n in (height, width)]
    framed = np.pad(channels, [*frame, (0, 0)], mode="symmetric")
    totals = np.zeros((2, *framed.shape[:2]), np.float32)
    for quarters in range(4):
        for step in (1, -1):
            turned = np.ascontiguousarray(np.rot90(framed, quarters)[:, ::step])
            said = outputs_of(_network(), turned[None])
            for total, one in zip(totals, (said[0], said[1 + QUANTILES.index(SURE)]), strict=True):
                total += np.rot90(one[0, :, ::step, 0], -quarters)
    likely, sure = totals[:, :height, :width] / 8
    return likely, sure


def separated(observation: Observation, mode: HazeMode, fwhm_px: float) -> Observation:
    """An observation with its out-of-focus light told apart.

    Parameters
    ----------
    observation : Observation
    mode : {"auto", "separate", "keep"}
        What surely is haze, the mean of what may be, or nothing.
    fwhm_px : float
        Of the PSF, camera pixels.
    """
    if mode == "keep":
        return observation
    found = find_haze(observation.counts, observation.sigma, fwhm_px, sure=mode == "auto")
    if mode == "auto" and found.sure < LEAST_SURE:
        return observation
    haze = found.haze.planes(observation.counts.shape[-2:])
    return replace(observation, haze=haze, messages=(*observation.messages, _told(found, mode)))


def _told(found: Found, mode: HazeMode) -> str:
    likely, sure = (f"{min(share, 1):.0%}" for share in (found.likely, found.sure))
    if mode == "auto":
        return (
            f"at least {sure} of the light is out of focus, and is kept apart as an image of its own; {likely} may be, and `haze` set to "
            "separate takes that much apart. Set it to keep for a super-resolved image that holds all of the light"
        )
    return (
        f"{likely} of the light was found to be out of focus; it is kept apart as an image of its own, and the super-resolved image "
        "shows the light in focus. Set `haze` to keep for one that holds all of it"
    )


def seems_hazy(observation: Observation, fwhm_px: float) -> str:
    """A line for a user whose image seems to hold much out-of-focus light that is kept; empty where it does not.

    Looks at the middle of one plane.
    """
    plane = len(observation.counts) // 2
    height, width = observation.counts.shape[-2:]
    side = _LOOKED_AT * cell_side(fwhm_px)
    part = tuple(slice((n - min(n, side)) // 2, (n + min(n, side)) // 2) for n in (height, width))
    found = find_haze(observation.counts[plane][part][None], observation.sigma[plane][part][None], fwhm_px)
    if found.likely < _LEAST:
        return ""
    return (
        f"up to {min(found.likely, 1):.0%} of the light may be out of focus, and all of it is kept. Set `haze` to separate to see the structures in "
        "focus without it; do not where the specimen is dense, like nuclei: no single plane tells the two apart for certain"
    )


@functools.cache
def _network() -> keras.Model:
    return Model.load(shipped()["zsdeconv-haze"]).network
