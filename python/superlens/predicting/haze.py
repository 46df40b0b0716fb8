"""Find the out-of-focus light of an observed image, with the network that comes with superlens."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.io import LazyImage
from superlens.model import Model, shipped
from superlens.networks import architecture
from superlens.observing.haze import Cells, Haze, cell_side, cells_of, cells_within, channels_of, haze_reach
from superlens.observing.observation import Observation
from superlens.streaming import Measured, observe_block
from superlens.tiling import Tile
from superlens.training import outputs_of

__all__ = ["HazeMode", "find_haze", "find_haze_of_file", "haze_share_of_cells", "seems_hazy", "separated"]

Array = NDArray[np.float32]

HazeMode = Literal["auto", "separate", "keep"]

_LEAST = 0.4
"""Share of the light below which ``auto`` leaves haze alone: of 59 simulated fields without any, 7 % are said to have more; of those of which
40 % and more is haze, 10 % are said to have less."""

_LOOKED_AT = 256
"""Cells along each side of the part of an image that is asked whether it seems hazy."""

_STRIP_PIXELS = 1 << 22  # of a file that are looked at together


def find_haze(counts: Array, sigma: Array, fwhm_px: float) -> tuple[Haze, float]:
    """Find the out-of-focus light of some planes.

    Parameters
    ----------
    counts, sigma : ndarray, shape (N, Y, X), float32, counts above the offset
        And the standard deviation of their noise.
    fwhm_px : float
        Of the PSF, camera pixels.

    Returns
    -------
    Haze
    share : float
        Of the light of all planes.
    """
    return _found([cells_of(*one, fwhm_px) for one in zip(counts, sigma, strict=True)], fwhm_px)


def find_haze_of_file(
    source: LazyImage, planes: Sequence[int], measured: Measured, mode: HazeMode, fwhm_px: float
) -> Haze | None:
    """As `separated`, of planes that are read strip by strip: the same haze, or None where it is left alone."""
    if mode == "keep":
        return None
    cells = [_cells_of_plane(source, plane, measured, fwhm_px) for plane in planes]
    found, share = _found(cells, fwhm_px)
    return None if mode == "auto" and share < _LEAST else found


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


def _found(cells: Sequence[Cells], fwhm_px: float) -> tuple[Haze, float]:
    shares = np.stack([haze_share_of_cells(one, fwhm_px) for one in cells])
    light = np.stack([one.light for one in cells])
    haze = Haze.of(shares, light, cell_side(fwhm_px))
    return haze, float(haze.grid.sum(dtype=np.float64) / max(float(light.sum(dtype=np.float64)), 1e-9))


def haze_share_of_cells(cells: Cells, fwhm_px: float) -> Array:
    """Share of the light of each cell that is haze, a mean over the eight turned and mirrored copies; shape (y, x)."""
    channels = channels_of(cells, fwhm_px)
    height, width = channels.shape[:2]
    frame = [(0, -n % architecture("haze").align) for n in (height, width)]
    framed = np.pad(channels, [*frame, (0, 0)], mode="symmetric")
    total = np.zeros(framed.shape[:2], np.float32)
    for quarters in range(4):
        for step in (1, -1):
            turned = np.ascontiguousarray(np.rot90(framed, quarters)[:, ::step])
            said = outputs_of(_network(), turned[None])[0][0, ..., 0]
            total += np.rot90(said[:, ::step], -quarters)
    return np.asarray(total[:height, :width] / 8, np.float32)


def separated(observation: Observation, mode: HazeMode, fwhm_px: float) -> Observation:
    """An observation with its out-of-focus light told apart.

    Parameters
    ----------
    observation : Observation
    mode : {"auto", "separate", "keep"}
        Where the image shows haze, always, or never.
    fwhm_px : float
        Of the PSF, camera pixels.
    """
    if mode == "keep":
        return observation
    found, share = find_haze(observation.counts, observation.sigma, fwhm_px)
    if mode == "auto" and share < _LEAST:
        return observation
    haze = found.planes(observation.counts.shape[-2:])
    said = (
        f"{min(share, 1):.0%} of the light was found to be out of focus; it is kept apart as an image of its own, and the super-resolved image "
        "shows the light in focus. Set `haze` to keep for one that holds all of it"
    )
    return replace(observation, haze=haze, messages=(*observation.messages, said))


def seems_hazy(observation: Observation, fwhm_px: float) -> str:
    """A line for a user whose image seems to hold much out-of-focus light that is kept; empty where it does not.

    Looks at the middle of one plane.
    """
    plane = len(observation.counts) // 2
    height, width = observation.counts.shape[-2:]
    side = _LOOKED_AT * cell_side(fwhm_px)
    part = tuple(slice((n - min(n, side)) // 2, (n + min(n, side)) // 2) for n in (height, width))
    _, share = find_haze(observation.counts[plane][part][None], observation.sigma[plane][part][None], fwhm_px)
    if share < _LEAST:
        return ""
    return (
        f"up to {min(share, 1):.0%} of the light may be out of focus, and all of it is kept. Set `haze` to separate to see the structures in focus "
        "without it; do not where the specimen is dense, like nuclei: no single plane tells the two apart for certain"
    )


@functools.cache
def _network() -> keras.Model:
    return Model.load(shipped()["zsdeconv-haze"]).network
