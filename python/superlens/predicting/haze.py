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
from superlens.observing.haze import (
    Cells,
    Haze,
    cell_side,
    cells_of,
    cells_within,
    channels_of,
    haze_reach,
    noise_of_pixels,
)
from superlens.observing.observation import Observation
from superlens.streaming import Measured, observe_block
from superlens.tiling import Tile
from superlens.training import outputs_of

__all__ = [
    "Found",
    "HazeMode",
    "find_haze",
    "find_haze_of_file",
    "haze_shares",
    "separated",
    "share_of_light",
    "sure_haze",
]

Array = NDArray[np.float32]

HazeMode = Literal["auto", "separate", "keep"]

_LEAST = 0.4
"""Share of the light from which on an image whose haze is kept is said to seem hazy: of 59 simulated fields without any, 7 % are said to have more; of
those of which 40 % and more is haze, 10 % are said to have less."""

_SURE, _LESS_SURE = 0.1, 0.35
"""Quantiles of the share of a cell's light (of `superlens.networks.haze.QUANTILES`) that are taken for sure where they span several cells: the first one
in any image, and the second one where the first says that much of the image is haze. Of the rules that took at most 2 % of the light of
held-out simulated fields without haze, this one came near to the least error in those with it (docs/benchmarks-recorded.md)."""

_MUCH = (0.3, 0.5)
"""Sure shares of the light of an image between which the first quantile gives way to the second."""

_LEAST_SURE = (0.05, 0.1)
"""Sure shares of the light below which nothing is told apart, and from which on all of what is sure; between them a part of it, so that two recordings
of one field are told apart alike."""

_NO_DETAIL = 0.1
"""Power of detail over that of the noise in it below which nothing stands out."""

_PASSED_ON = 0.12
"""Of the power of coarse detail of smooth waves, what the finer band shows of it; a tenth was seen, and a quarter and more of recorded structures."""

_NOTHING = (
    "nothing nearly as fine as the PSF stands out of the noise, and much of the light surely is out of focus: there may be nothing in focus "
    "to sharpen. The denoised image shows what was recorded. Check the focus, and the width of the PSF"
)

_FRAME = 32
"""Mirrored cells around those of an image: as far as the network sees that an image ends there."""

_ASKED = (0, *(1 + QUANTILES.index(level) for level in (_SURE, _LESS_SURE)))
"""Outputs of the network that are asked for."""

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
    detail : float
        Power of detail as wide as the PSF, less what twice as wide detail shows of itself there, over that of the noise.
    """

    haze: Haze
    sure: float
    likely: float
    detail: float

    @property
    def nothing_in_focus(self) -> bool:
        """Whether little is left but noise: some haze is sure, and no detail that a PSF could have made stands out."""
        return self.sure >= _MUCH[0] and self.detail < _NO_DETAIL


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
    return None if mode == "auto" and not found.sure else found.haze


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
    told = [haze_shares(channels_of(one, fwhm_px)) for one in cells]
    mean, least, less = (np.stack([shares[i] for shares in told]) for i in range(len(_ASKED)))
    sigma = np.array([noise_of_pixels(one, fwhm_px) for one in cells])
    likely, surely = Haze.of(mean, light, side), sure_haze(least, less, light, side).steadied(sigma)
    of_light = [share_of_light(haze, light) for haze in (surely, likely)]
    fine, coarse, noise = (sum(_power(getattr(one, band)) for one in cells) for band in ("fine", "coarse", "noise"))
    detail = (fine - _PASSED_ON * coarse) / max(noise, 1e-9)
    return Found(surely if sure else likely, of_light[0], of_light[1], detail)


def _power(band: Array) -> float:
    return float(np.sum(band * np.abs(band), dtype=np.float64))


def sure_haze(sure: Array, less_sure: Array, light: Array, side: int) -> Haze:
    """The haze of some planes that is sure, nothing where there is little of it.

    Parameters
    ----------
    sure, less_sure : ndarray, shape (N, y, x), float32
        Share of the light of each cell: the 10 % and the 35 % quantile.
    light : ndarray, shape (N, y, x), float32, counts
    side : int
        Camera pixels along a cell.
    """
    surely, further = (Haze.of(shares, light, side, under=True) for shares in (sure, less_sure))
    share = share_of_light(surely, light)
    taken, gone_on = (float(np.clip((share - low) / (high - low), 0, 1)) for low, high in (_LEAST_SURE, _MUCH))
    return Haze(np.float32(taken) * (surely.grid + np.float32(gone_on) * (further.grid - surely.grid)), side)


def share_of_light(haze: Haze, light: Array) -> float:
    """Share of the light of all cells that is haze."""
    return float(haze.grid.sum(dtype=np.float64) / max(float(light.sum(dtype=np.float64)), 1e-9))


def haze_shares(channels: Array, *, copies: int = 8) -> tuple[Array, Array, Array]:
    """Share of the light of each cell that is haze: the mean and the 10 % and the 35 % quantile, each shape (y, x).

    Parameters
    ----------
    channels : ndarray, shape (y, x, HAZE_CHANNELS), float32
        From `superlens.observing.haze.channels_of`.
    copies : int
        Turned and mirrored ones that the means are over, up to eight.
    """
    height, width = channels.shape[:2]
    frame = [(_FRAME, _FRAME + -n % architecture("haze").align) for n in (height, width)]
    framed = np.pad(channels, [*frame, (0, 0)], mode="symmetric")
    totals = np.zeros((len(_ASKED), *framed.shape[:2]), np.float32)
    for copy in range(copies):
        quarters, step = copy // 2, 1 - 2 * (copy % 2)
        turned = np.ascontiguousarray(np.rot90(framed, quarters)[:, ::step])
        said = outputs_of(_network(), turned[None])
        for total, number in zip(totals, _ASKED, strict=True):
            total += np.rot90(said[number][0, :, ::step, 0], -quarters)
    likely, sure, less_sure = totals[:, _FRAME : _FRAME + height, _FRAME : _FRAME + width] / copies
    return likely, sure, less_sure


def separated(observation: Observation, mode: HazeMode, fwhm_px: float, *, advise: bool = False) -> Observation:
    """An observation with its out-of-focus light told apart.

    Parameters
    ----------
    observation : Observation
    mode : {"auto", "separate", "keep"}
        What surely is haze, the mean of what may be, or nothing.
    fwhm_px : float
        Of the PSF, camera pixels.
    advise : bool
        Whether a message says so where all light is kept and much of it may be out of focus.
    """
    found = None if mode == "keep" else find_haze(observation.counts, observation.sigma, fwhm_px, sure=mode == "auto")
    if found is None or (mode == "auto" and not found.sure):
        said = _seems_hazy(found or _glance(observation, fwhm_px)) if advise else ""
        return observation.saying(said) if said else observation
    apart = replace(observation, haze=found.haze.planes(observation.counts.shape[-2:]))
    if found.nothing_in_focus:
        return replace(apart, defects=(*apart.defects, _NOTHING)).saying(_NOTHING)
    return apart.saying(_told(found, mode))


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


def _seems_hazy(found: Found) -> str:
    """A line for a user whose image seems to hold much out-of-focus light that is kept; empty where it does not."""
    if found.likely < _LEAST:
        return ""
    return (
        f"up to {min(found.likely, 1):.0%} of the light may be out of focus, and all of it is kept. Set `haze` to separate to see the structures in "
        "focus without it; do not where the specimen is dense, like nuclei: no single plane tells the two apart for certain"
    )


def _glance(observation: Observation, fwhm_px: float) -> Found:
    """What the middle of one plane shows."""
    plane, side = len(observation.counts) // 2, _LOOKED_AT * cell_side(fwhm_px)
    part = (
        slice(plane, plane + 1),
        *(slice((n - min(n, side)) // 2, (n + min(n, side)) // 2) for n in observation.counts.shape[-2:]),
    )
    return find_haze(observation.counts[part], observation.sigma[part], fwhm_px)


@functools.cache
def _network() -> keras.Model:
    return Model.load(shipped()["zsdeconv-haze"]).network
