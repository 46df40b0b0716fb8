"""What a block must know of the whole image, measured once, and the block as it was observed.

The sample is the whole image up to two million pixels. Of a larger one it is windows spread evenly over planes that are spread evenly
over the image. It depends on the image alone and not on the blocks. From it come the camera as far as it is not given, the mean
variance that sets the floor of the noise level, and the level at which the image is clipped.
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera, check_noise, estimate_camera, find_border, find_defects
from superlens.camera.hot import standing_alone, too_few_to_matter
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import FILL_REACH, Image, bad_pixels, check_image, clip_level, fill_plane
from superlens.io import LazyImage
from superlens.observing.observation import noise_sigma, noise_variance, noted
from superlens.tiling import Tile

__all__ = ["Measured", "measure", "observe_block"]

Array = NDArray[np.float32]

_MOST_PIXELS = 1 << 21
_WINDOW = 256
_LEAST_PLANES, _MOST_PLANES = 16, 64
_LARGEST_PLANE = 1 << 24  # pixels: one such plane is read to look for a border
_SMOOTHING_REACH = 2  # the expected signal is a mean of 5 x 5 pixels
_HOT_REACH = 2  # as far as a hot pixel is told from its neighbours


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on the sample.

    Attributes
    ----------
    gain, offset, read_noise_e : float
        The camera.
    estimated : tuple of str
        Which of these were not given.
    mean_variance : float, counts squared
        Of the noise, over the sample.
    clip_level : float or None
        Where the image is clipped.
    hot : bool
        Whether pixels that stand alone are filled.
    share : float
        Part of the image that was looked at, 0 to 1.
    messages : tuple of str
        What the user should know.
    """

    gain: float
    offset: float
    read_noise_e: float
    estimated: tuple[str, ...]
    mean_variance: float
    clip_level: float | None
    hot: bool
    share: float
    messages: tuple[str, ...]

    @property
    def camera(self) -> Camera:
        """The camera as one value."""
        return Camera(self.gain, self.offset, self.read_noise_e, frozenset(self.estimated))


def measure(
    source: LazyImage,
    *,
    offset: float | None = None,
    gain: float | None = None,
    read_noise_e: float | None = None,
) -> Measured:
    """Measure a sample of an image.

    Parameters
    ----------
    source : LazyImage
    offset : float, counts, optional
    gain : float, counts per electron, optional
    read_noise_e : float, electrons, optional
        What is given is used, the rest is estimated from the sample.

    Returns
    -------
    Measured

    Raises
    ------
    SuperlensError
        If the image can't be worked on.
    """
    stack, windows = _sample(source)
    pixels = math.prod(source.data.shape)
    level = clip_level(stack)
    messages = _checked(source, stack, whole=stack.size == pixels)
    recorded = stack.copy()
    _fill_holes(stack, bad_pixels(stack, level))
    estimate = estimate_camera(stack, offset=offset, gain=gain, read_noise_e=read_noise_e, recorded=recorded)
    camera = estimate.camera
    defects = _defects(source, stack, windows, camera)
    alone = np.stack([_alone(plane, camera) for plane in stack])
    hot = too_few_to_matter(alone)
    if hot and alone.any():
        _fill_holes(stack, alone)
        messages = (*messages, f"in a sample: {int(alone.sum())} of {alone.size} pixels are hot or dead and filled")
    noise = check_noise(stack)
    messages = (*defects, *messages)
    counts = (stack.astype(np.float32) - np.float32(camera.offset)).astype(np.float32)
    return Measured(
        gain=camera.gain,
        offset=camera.offset,
        read_noise_e=camera.read_noise_e,
        estimated=tuple(sorted(camera.estimated)),
        mean_variance=float(noise_variance(counts, camera).mean()),
        clip_level=level,
        hot=hot,
        share=stack.size / pixels,
        messages=noted([*messages, *estimate.notes], noise),
    )


def observe_block(source: LazyImage, plane: int, tile: Tile, measured: Measured) -> tuple[Array, Array]:
    """Read a block with its halo: counts above the offset, and the noise of each pixel.

    Parameters
    ----------
    source : LazyImage
    plane : int
        Number of the plane.
    tile : Tile
        The block; mirrored where it reaches beyond the plane.
    measured : Measured

    Returns
    -------
    counts, sigma : ndarray, shape ``tile.shape``, float32, counts
        The same values as `superlens.observing.observation.observe` has there.
    """
    index = tile.sources(source.yx_shape)
    reach = 2 * FILL_REACH + _HOT_REACH + _SMOOTHING_REACH
    y, x = (
        slice(max(int(at.min()) - reach, 0), min(int(at.max()) + 1 + reach, side))
        for at, side in zip(index, source.yx_shape, strict=True)
    )
    values = np.array(source.plane(plane, y, x))
    holes = bad_pixels(values, measured.clip_level)
    if holes.any():
        fill_plane(values, holes, lambda: _median(source, plane, measured.clip_level))
    camera = measured.camera
    if measured.hot:
        alone = _alone(values, camera) & ~holes
        if alone.any():
            fill_plane(values, alone, lambda: _median(source, plane, measured.clip_level))
    counts = (values.astype(np.float32) - np.float32(camera.offset)).astype(np.float32)
    sigma = noise_sigma(counts[None], camera, mean_variance=measured.mean_variance)[0]
    block = np.ix_(index[0] - y.start, index[1] - x.start)
    return counts[block], sigma[block]


def _sample(source: LazyImage) -> tuple[NDArray[Any], int]:
    """Windows of one shape, shape (N, y, x), and how many of them a plane has."""
    height, width = source.yx_shape
    if source.planes * height * width <= _MOST_PIXELS:
        return np.stack([source.plane(plane) for plane in range(source.planes)]), 1
    sides = min(height, _WINDOW), min(width, _WINDOW)
    windows = _MOST_PIXELS // math.prod(sides)
    places = math.ceil(height / sides[0]) * math.ceil(width / sides[1])
    planes = min(source.planes, _MOST_PLANES, max(_LEAST_PLANES, windows // places))
    cuts = _spread(source.yx_shape, sides, max(1, windows // planes))
    chosen = [source.plane(plane, y, x) for plane in _evenly(source.planes, planes) for y, x in cuts]
    return np.stack(chosen), len(cuts)


def _spread(shape: tuple[int, int], sides: tuple[int, int], number: int) -> list[tuple[slice, slice]]:
    """At most so many windows on an even grid."""
    rows = max(1, min(math.isqrt(number), math.ceil(shape[0] / sides[0])))
    columns = max(1, min(number // rows, math.ceil(shape[1] / sides[1])))
    return [
        (slice(y, y + sides[0]), slice(x, x + sides[1]))
        for y in _evenly(shape[0] - sides[0] + 1, rows)
        for x in _evenly(shape[1] - sides[1] + 1, columns)
    ]


def _evenly(length: int, number: int) -> list[int]:
    if number == 1:
        return [(length - 1) // 2]
    return sorted({round(at) for at in np.linspace(0, length - 1, number).tolist()})


def _defects(source: LazyImage, stack: NDArray[Any], windows: int, camera: Camera) -> tuple[str, ...]:
    """Faults of the image that have names: a border of a whole plane, all others in windows from the middle of planes."""
    if stack.shape[1:] == source.yx_shape:
        return find_defects(stack, camera)
    found = [f"in a sample: {text}" for text in find_defects(stack[windows // 2 :: windows], camera, whole=False)]
    if math.prod(source.yx_shape) <= _LARGEST_PLANE:
        border = find_border(source.plane(source.planes // 2))
        found = found if border is None else [border.sentence(), *found]
    return tuple(found)


def _checked(source: LazyImage, stack: NDArray[Any], *, whole: bool) -> tuple[str, ...]:
    """Refuse what the sample shows to be useless; of a part of an image only warn, since the rest may be good."""
    image = Image(stack, "TYX", name=source.name or "the image")
    if whole or min(source.yx_shape) < stack.shape[1]:
        return check_image(image).messages
    try:
        return tuple(f"in a sample: {message}" for message in _quietly_checked(image))
    except SuperlensError as error:
        warnings.warn(
            f"in a sample of {100 * stack.size / math.prod(source.data.shape):.2g} %: {error}",
            SuperlensWarning,
            stacklevel=3,
        )
        return ()


def _quietly_checked(image: Image) -> tuple[str, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        return check_image(image).messages


def _alone(plane: NDArray[Any], camera: Camera) -> NDArray[np.bool_]:
    return standing_alone(plane.astype(np.float32) - np.float32(camera.offset), camera)


def _fill_holes(stack: NDArray[Any], holes: NDArray[np.bool_]) -> None:
    good = stack[~holes]
    middle = float(np.median(good)) if good.size else 0.0
    for plane, hole in zip(stack, holes, strict=True):
        if hole.any():
            own = plane[~hole]
            fill_plane(plane, hole, functools.partial(float, np.median(own) if own.size else middle))


def _median(source: LazyImage, plane: int, level: float | None) -> float:
    """Median of the good pixels of a plane, or of windows spread over it when it is large."""
    height, width = source.yx_shape
    if height * width <= _MOST_PIXELS:
        parts = [source.plane(plane)]
    else:
        sides = min(height, _WINDOW), min(width, _WINDOW)
        parts = [
            source.plane(plane, y, x) for y, x in _spread(source.yx_shape, sides, _MOST_PIXELS // math.prod(sides))
        ]
    good = np.concatenate([part[~bad_pixels(part, level)] for part in parts])
    return float(np.median(good)) if good.size else 0.0
