"""Whose the light of a movie is: the molecules', or a background's, which may differ from place to place.

A molecule that shines in some frames and not in others makes the light fluctuate; how much, over how much light there is, tells its
brightness. Light that stays, such as that of a cell out of focus, must be left out of this: molecules blink. It is what a place has in its
darkest frames, however narrow it is, as long as molecules are few enough for each place to have frames without one. Where they are more, it
is known by being smooth only: it is there in the darkest frames, of the darkest places around. In: some frames in electrons. Out: a `Light`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from superlens.camera import Camera
from superlens.smlm.precision import SpotFits

__all__ = ["Light", "darkest", "divide_light"]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_LOW = 0.02  # share of the pixels of all frames that are taken for background
_SEEN_DARK = 0.05  # share of the frames in which a place has no molecule
_LIKELY_LOW = 1.645  # deviations of the noise by which that share of the frames lies below their mean
_FEWEST_FRAMES, _MOST_FRAMES = 20, 200  # to see the darkest of a place
_SPARSE, _CROWDED = 0.5, 0.95
"""Molecules in the area of the image of one, in the most crowded twentieth of the places, up to which each place is dark at times."""
_STEADY, _SURELY = (
    0.1,
    0.2,
)  # of the molecules' light, and of the noise of a pixel: as much light that stays is told from it
_AROUND, _CELL = 24, 4  # pixels: surroundings in which some place is dark, and how finely they are looked at
_DARK_AROUND = 10  # percent of the surroundings that are dark
_UNEVEN, _UNEVEN_SURELY = 0.35, 0.1
"""Share of a molecule's peak by which the background must differ between places to count as uneven; where isolated blinks say so, too."""
_CONFLICT = 2.0
"""Factor between the brightness of isolated blinks and that by the mean light beyond which the light is not all molecules'."""


@dataclass(frozen=True, slots=True)
class Light:
    """Whose the light of a movie is.

    Attributes
    ----------
    photons : float
        Of a molecule in a frame, brighter ones weighing more.
    per_pixel : float
        Molecules in a pixel and frame.
    background : float
        Photons of a pixel besides, the mean over the field.
    uneven : ndarray, shape (Y, X), or None
        How far the background of each pixel lies from the mean, where that matters.
    shared : bool
        Whether the mean light and its fluctuations told the photons; else isolated blinks did.
    """

    photons: float
    per_pixel: float
    background: float
    uneven: Array | None
    shared: bool

    def messages(self) -> tuple[str, ...]:
        """What the user should know."""
        if self.uneven is None:
            return ()
        low, high = self.background + np.quantile(self.uneven, [_LOW, 1 - _LOW])
        return (
            f"the light behind the molecules is uneven, {low:.0f} to {high:.0f} photons a pixel: it is taken for each place from its surroundings",
        )


def divide_light(
    electrons: Array,
    camera: Camera,
    width: float,
    strength: float,
    spots: SpotFits | None,
    *,
    rim: int = 0,
    quiet: NDArray[np.bool_] | None = None,
) -> Light:
    """Divide the mean light of a movie into that of molecules, by how it fluctuates, and the background.

    Where isolated blinks are brighter than the fluctuations say, they are believed if the background may be to blame: what light they
    leave is mostly smooth, or too faint to tell. Else they are several molecules at one place.

    Parameters
    ----------
    electrons : ndarray, shape (T, Y, X), float32
    camera : Camera
    width : float
        Standard deviation of the image of a molecule, pixels.
    strength : float
        Mean square of molecules' photons times their number in a pixel, from the fluctuations; 0 where nothing fluctuates.
    spots : SpotFits or None
        Isolated blinks that are believed. One of the last two is there.
    rim : int
        Pixels at each edge of the field that ``strength`` leaves out; the light that it is divided by leaves them out too.
    quiet : ndarray of bool, shape (T,), optional
        Frames that the background is looked for in, where some are noisier than others.
    """
    calm = electrons if quiet is None else electrons[quiet]
    some = calm[:: max(1, len(calm) // 50)]
    smooth = ndimage.gaussian_filter(some, (0, width, width), mode="nearest")
    dark, hills = _background(smooth, camera, width), _hills(smooth)
    dark = max(dark, 0.0) if quiet is None else dark
    image = electrons.mean(axis=0, dtype=np.float64)
    inner = (slice(rim, image.shape[0] - rim), slice(rim, image.shape[1] - rim))
    stays = _staying(calm, camera, width, dark, image, inner, strength)
    hills = hills if stays is None else stays
    mean, steady = float(image.mean()), float(hills.mean())
    mean_inside, steady_inside = float(image[inner].mean()), float(hills[inner].mean())
    lone = 0.0 if spots is None or not len(spots) else float(np.sum(spots.photons**2) / np.sum(spots.photons))
    faint = 0.1 * math.sqrt(max(dark, 0.0) + camera.read_noise_e**2)
    smooth = lone > 0 and mean_inside - dark - strength / lone < faint + 2 * steady_inside
    shared = strength > 0 and (stays is not None or not (smooth and lone * (mean_inside - dark) > _CONFLICT * strength))

    def divided(uneven: Array | None) -> Light:
        background, inside = (dark, dark) if uneven is None else (dark + steady, dark + steady_inside)
        light, light_inside = max(mean - background, 1e-9), max(mean_inside - inside, 1e-9)
        photons = strength / light_inside if shared else lone
        number = light if strength == 0 or shared else strength / lone * light / light_inside
        return Light(photons, number / photons, max(background, 0.0), uneven, shared)

    even, uneven = divided(None), divided(np.asarray(hills - steady, np.float32))
    peak = uneven.photons * float(2 * ndtr(0.5 / width) - 1) ** 2
    high = bool(np.quantile(hills, 1 - _LOW) > (_UNEVEN if shared else _UNEVEN_SURELY) * peak)
    return uneven if high or stays is not None else even


def _staying(
    electrons: Array,
    camera: Camera,
    width: float,
    dark: float,
    image: Floats,
    inner: tuple[slice, slice],
    strength: float,
) -> Array | None:
    """Light above the darkest that stays at each place, shape (Y, X), however narrow; None where it is little, or molecules are too many to tell.

    It is that of the darkest frames of a place, with what noise alone would lower it by put back.
    """
    if strength <= 0 or len(electrons) < _FEWEST_FRAMES:
        return None
    some = electrons[:: max(1, len(electrons) // _MOST_FRAMES)]
    low = np.quantile(ndimage.gaussian_filter(some, (0, width, width), mode="nearest"), _SEEN_DARK, axis=0)
    left = 1.0 / (2.0 * math.sqrt(math.pi) * width)
    lifted = low + _LIKELY_LOW * left * np.sqrt(np.maximum(low, 0.0) + camera.read_noise_e**2)
    found = np.asarray(ndimage.gaussian_filter(lifted, 1.0, mode="nearest") - dark, np.float32)
    light = image - dark - found
    photons = strength / max(float(light[inner].mean()), 1e-9)
    crowd = 4 * math.pi * width**2 * ndimage.gaussian_filter(light, 2 * width, mode="nearest") / photons
    noise = math.sqrt(max(dark, 0.0) + camera.read_noise_e**2)
    steady = float(found[inner].mean())
    much = steady > max(_STEADY * float(light[inner].mean()), _SURELY * noise)
    return found if much and np.quantile(crowd, _CROWDED) < _SPARSE else None


def _hills(smooth: Array) -> Array:
    """Steady light of each pixel above the darkest, shape (Y, X): that of the darkest frames, of the darkest places around.

    What is narrower than the surroundings is taken for molecules.
    """
    low = np.quantile(smooth, _SEEN_DARK, axis=0)
    cells = tuple(max(1, round(side / _CELL)) for side in low.shape)
    coarse = ndimage.zoom(
        ndimage.uniform_filter(low, _CELL, mode="nearest"),
        [n / side for n, side in zip(cells, low.shape, strict=True)],
        order=1,
        mode="nearest",
        grid_mode=True,
    )
    around = _AROUND // _CELL
    lowered = ndimage.percentile_filter(coarse, _DARK_AROUND, around, mode="nearest")
    raised = ndimage.percentile_filter(lowered, 100 - _DARK_AROUND, around, mode="nearest")
    even = ndimage.gaussian_filter(raised, around / 4, mode="nearest")
    back = [side / n for n, side in zip(even.shape, low.shape, strict=True)]
    hills = ndimage.zoom(even, back, order=1, mode="nearest", grid_mode=True)
    return np.asarray(hills - np.quantile(hills, _LOW), np.float32)


def darkest(electrons: Array, camera: Camera, width: float) -> float:
    """Light of the darkest places of frames, electrons; below 0 where the camera's offset lies above them."""
    some = electrons[:: max(1, len(electrons) // 50)]
    return _background(ndimage.gaussian_filter(some, (0, width, width), mode="nearest"), camera, width)


def _background(smooth: Array, camera: Camera, width: float) -> float:
    """Light of the darkest places: a low quantile of smoothed frames, with what noise alone would lower it by put back."""
    low = float(np.quantile(smooth, _LOW))
    variance = max(low, 0.0) + camera.read_noise_e**2
    left = 1.0 / (2.0 * math.sqrt(math.pi) * width)  # of the deviation of white noise, after smoothing
    return low + 2.05 * left * math.sqrt(variance)
