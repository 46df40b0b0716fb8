"""The frames of a movie, several at a time, each with its neighbours where the network wants them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.tiling import choose_tile, map_tiles
from superlens.training import outputs_of

__all__ = ["FramePredictor", "predict_frames"]

Array = NDArray[np.float32]

_BLOCK_BYTES = 400_000_000
"""Memory that the frames of one call may take."""


@dataclass(frozen=True, slots=True, eq=False)
class FramePredictor:
    """A network of frames.

    Attributes
    ----------
    network : keras.Model
        From ``(B, Y, X, 2 * neighbours + 1)`` to ``(B, fine Y, fine X, C)``.
    halo, align, bytes_per_pixel : int
        Of its architecture.
    neighbours : int
        Frames before and after that it is shown with each frame.
    """

    network: keras.Model
    halo: int
    align: int
    bytes_per_pixel: int
    neighbours: int = 0


def predict_frames(predictor: FramePredictor, frames: Array) -> Array:
    """Predict the frames of a movie, or a part of one.

    Parameters
    ----------
    predictor : FramePredictor
    frames : ndarray, shape (T, Y, X)
        As the network takes them, of any size: padded and cut into tiles as the network and the memory ask for. The first and the last
        frame stand for those beyond.

    Returns
    -------
    ndarray, shape (T, fine Y, fine X, C), float32
    """
    count, height, width = frames.shape
    pads = [(-side) % predictor.align for side in (height, width)]
    padded = np.pad(frames, ((0, 0), (0, pads[0]), (0, pads[1])), mode="edge")
    per_frame = (height + pads[0]) * (width + pads[1]) * predictor.bytes_per_pixel
    if per_frame <= _BLOCK_BYTES:
        at_once = max(1, int(_BLOCK_BYTES // per_frame))
        parts = [
            outputs_of(predictor.network, _shown(padded, range(i, min(i + at_once, count)), predictor.neighbours))[0]
            for i in range(0, count, at_once)
        ]
    else:
        parts = [_in_tiles(predictor, _shown(padded, range(i, i + 1), predictor.neighbours)[0]) for i in range(count)]
    fine = np.concatenate(parts)
    scale = fine.shape[1] // padded.shape[1]
    return np.asarray(fine[:, : height * scale, : width * scale], np.float32)


def _shown(frames: Array, which: range, neighbours: int) -> Array:
    """Some frames with those before and after them as channels."""
    at = np.arange(which.start, which.stop)[:, None] + np.arange(-neighbours, neighbours + 1)
    return np.moveaxis(frames[np.clip(at, 0, len(frames) - 1)], 1, -1)


def _in_tiles(predictor: FramePredictor, frame: Array) -> Array:
    tile = choose_tile(
        frame.shape[:2],
        predictor.halo,
        predictor.align,
        bytes_per_pixel=predictor.bytes_per_pixel,
        memory_bytes=_BLOCK_BYTES,
    )
    (made,) = map_tiles(
        partial(outputs_of, predictor.network), frame, halo=predictor.halo, tile=tile, align=predictor.align
    )
    return np.asarray(made)[None]
