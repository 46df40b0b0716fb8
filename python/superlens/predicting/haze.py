"""Find the out-of-focus light of an observed image, with the network that comes with superlens."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.model import Model, shipped
from superlens.observing.haze import Cells, Haze, cell_side, cells_of, channels_of
from superlens.observing.observation import Observation

__all__ = ["HazeMode", "find_haze", "haze_share_of_cells", "separated"]

Array = NDArray[np.float32]

HazeMode = Literal["auto", "separate", "keep"]

_LEAST = 0.25
"""Share of the light below which ``auto`` leaves haze alone: fields without any are said to have less than that."""

_ALIGN = 4  # of the network


def find_haze(counts: Array, sigma: Array, fwhm_px: float) -> Haze:
    """Find the out-of-focus light of some planes.

    Parameters
    ----------
    counts, sigma : ndarray, shape (N, Y, X), float32, counts above the offset
        And the standard deviation of their noise.
    fwhm_px : float
        Of the PSF, camera pixels.
    """
    cells = [cells_of(*one, fwhm_px) for one in zip(counts, sigma, strict=True)]
    shares = np.stack([haze_share_of_cells(one, fwhm_px) for one in cells])
    return Haze.of(shares, np.stack([one.light for one in cells]), cell_side(fwhm_px))


def haze_share_of_cells(cells: Cells, fwhm_px: float) -> Array:
    """Share of the light of each cell that is haze, a mean over the eight turned and mirrored copies; shape (y, x)."""
    channels = channels_of(cells, fwhm_px)
    height, width = channels.shape[:2]
    frame = [(0, -n % _ALIGN) for n in (height, width)]
    framed = np.pad(channels, [*frame, (0, 0)], mode="symmetric")
    total = np.zeros(framed.shape[:2], np.float32)
    for quarters in range(4):
        for step in (1, -1):
            turned = np.ascontiguousarray(np.rot90(framed, quarters)[:, ::step])
            said = np.asarray(_network().predict_on_batch(turned[None]))[0, ..., 0]
            total += np.rot90(said[:, ::step], -quarters)
    return np.asarray(total[:height, :width] / 8, np.float32)


def separated(observation: Observation, fwhm_px: float, mode: HazeMode) -> Observation:
    """An observation with its out-of-focus light told apart.

    Parameters
    ----------
    observation : Observation
    fwhm_px : float
        Of the PSF, camera pixels.
    mode : {"auto", "separate", "keep"}
        Where the image shows haze, always, or never.
    """
    if mode == "keep":
        return observation
    haze = find_haze(observation.counts, observation.sigma, fwhm_px).planes(observation.counts.shape[-2:])
    light = max(float(observation.counts.sum(dtype=np.float64)), 1e-9)
    share = float(haze.sum(dtype=np.float64)) / light
    if mode == "auto" and share < _LEAST:
        return observation
    said = (
        f"{min(share, 1):.0%} of the light was found to be out of focus; it is kept apart as an image of its own, and the super-resolved image "
        "shows the light in focus. Set `haze` to keep for one that holds all of it"
    )
    return replace(observation, haze=haze, messages=(*observation.messages, said))


@functools.cache
def _network() -> keras.Model:
    return Model.load(shipped()["zsdeconv-haze"]).network
