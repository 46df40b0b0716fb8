"""Training data from an image larger than memory: windows read from disk, spread over the whole image.

A training step looks at one window of a plane, so a training of some hundred steps sees no more than some hundred windows however large
the image is. `windows` reads that many, at random places that depend on the seed and the size of the image alone, and gives them as the
frames of an `Image`: channels stay, frames and planes are drawn from evenly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import LazyImage

__all__ = ["TRAINING_BYTES", "WINDOW", "for_training", "windows"]

TRAINING_BYTES = 60
"""Memory that learning needs for each pixel of its images: counts, noise, weights, masks and what is made of them on the way."""

WINDOW = {"YX": 320, "ZYX": 128}
"""Side of a window, camera pixels, for planes and for volumes."""


def for_training(source: LazyImage, *, axes: Literal["YX", "ZYX"] = "YX", memory_bytes: float, seed: int = 0) -> Image:
    """The image, where learning from all of it fits into memory; else as many windows of it as fit, at most 512.

    Parameters
    ----------
    source : LazyImage
    axes : {"YX", "ZYX"}
        As for `windows`.
    memory_bytes : float
        For the data of the training, besides what the network takes.
    seed : int

    Returns
    -------
    Image
        With an entry ``sampled`` in its history when it is windows.

    Raises
    ------
    SuperlensError
        When not even one window fits.
    """
    needed = TRAINING_BYTES * math.prod(source.data.shape)
    if needed <= memory_bytes:
        return source.load()
    sizes = source.sizes
    pixels = math.prod(min(side, WINDOW[axes]) for side in source.yx_shape) * sizes.get("C", 1)
    number = int(memory_bytes / TRAINING_BYTES / (pixels * (sizes.get("Z", 1) if axes == "ZYX" else 1)))
    if number < 1:
        raise SuperlensError(
            f"{source.name or 'the image'} does not fit into {memory_bytes / 1e9:.2g} GB, and neither does a window of it; "
            "give more with `memory_gb`"
        )
    return windows(source, axes=axes, number=min(number, _MOST_WINDOWS), seed=seed)


def windows(
    source: LazyImage, *, axes: Literal["YX", "ZYX"] = "YX", number: int, seed: int, frames: Sequence[int] | None = None
) -> Image:
    """Read windows of an image.

    Parameters
    ----------
    source : LazyImage
        Any axes.
    axes : {"YX", "ZYX"}
        Whether a window is a part of a plane, or of a stack with all its slices.
    number : int
        How many windows.
    seed : int
    frames : sequence of int, optional
        The frames to read from; by default all.

    Returns
    -------
    Image
        Axes TYX, TCYX, TZYX or TCZYX with a window in each frame; as large as the image where that is smaller than a window.
    """
    rng = np.random.default_rng((seed, number))
    sizes = source.sizes
    sides = tuple(min(side, WINDOW[axes]) for side in source.yx_shape)
    drawn = list(range(sizes.get("T", 1))) if frames is None else list(frames)
    slices = sizes.get("Z", 1)
    strata = len(drawn) * (1 if axes == "ZYX" else slices)
    taken = []
    for at in range(number):
        place = min(int((at + rng.random()) * strata / number), strata - 1)  # one from each of as many equal parts
        y, x = (int(rng.integers(0, whole - side + 1)) for whole, side in zip(source.yx_shape, sides, strict=True))
        frame = drawn[place if axes == "ZYX" else place // slices]
        part: dict[str, Any] = {"T": frame, "Y": slice(y, y + sides[0]), "X": slice(x, x + sides[1])}
        if axes == "YX":
            part["Z"] = place % slices
        taken.append(_read(source, part))
    kept = "".join(axis for axis in source.axes if axis == "C" or (axis == "Z" and axes == "ZYX"))
    return _as_image(source, np.stack(taken), f"T{kept}YX")


_MOST_WINDOWS = 512


def _read(source: LazyImage, part: dict[str, Any]) -> NDArray[Any]:
    """A part of the image; axes that a number is given for are dropped."""
    index = {axis: slice(p, p + 1) if isinstance(p, int) else p for axis, p in part.items()}
    values = source.data[tuple(index.get(axis, slice(None)) for axis in source.axes)]
    return values.squeeze(tuple(at for at, axis in enumerate(source.axes) if isinstance(part.get(axis), int)))


def _as_image(source: LazyImage, data: NDArray[Any], axes: str) -> Image:
    about = source.header
    names, waves = (about.channel_names, about.emission_nm) if "C" in axes else ((), ())
    sampled = {"windows": len(data), "share": data.size / math.prod(source.data.shape)}
    return replace(
        about,
        data=data,
        axes=axes,
        channel_names=names,
        emission_nm=waves,
        frame_interval_s=None,
        history={**about.history, "sampled": sampled},
    )
