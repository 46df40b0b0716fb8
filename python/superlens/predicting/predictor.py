"""`Predictor`: a trained model as a pure function from a block and its halo to arrays by role."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.image import Image

__all__ = ["Predictor"]

Array = NDArray[np.float32]


class Predictor(abc.ABC):
    """What a method makes of a model, for the drivers of `superlens.predicting`.

    Attributes
    ----------
    roles : mapping
        What it gives, the most important first, with the fine pixels of each along a camera pixel.
    axes : {"YX", "ZYX"}
        Whether it takes images or volumes.
    halo, reach_z : int
        Pixels and slices around a block that its result depends on.
    align : int
        Sides of a block must be multiples of this many pixels.
    edge : int
        Pixels by which an image is mirrored beyond its lateral edges at most, a multiple of `align`.
    bytes_per_pixel : int
        Memory that it needs at its peak for each pixel of a block.
    blocks : bool
        Whether a block gives what the whole gives; otherwise only the whole will do.
    words : mapping
        What each role is, for the history of an image.
    camera : mapping
        What is known of the camera, as arguments of `superlens.streaming.measure`.
    unit : float
        Counts that are one in the result.
    haze : (str, float) or None
        For one that tells out-of-focus light apart before it predicts: when, as `superlens.predicting.haze.separated` takes it, and the FWHM of
        the PSF in camera pixels.
    """

    roles: Mapping[str, int]
    axes: Literal["YX", "ZYX"] = "YX"
    halo: int = 0
    reach_z: int = 0
    align: int = 1
    edge: int = 0
    bytes_per_pixel: int = 1_000
    blocks: bool = True
    words: Mapping[str, str] = {}
    camera: Mapping[str, float] = {}
    unit: float = 1.0
    haze: tuple[Literal["auto", "separate", "keep"], float] | None = None

    @abc.abstractmethod
    def __call__(self, counts: Array, sigma: Array, roles: Sequence[str]) -> dict[str, Array]:
        """Predict one image, volume or block.

        Parameters
        ----------
        counts, sigma : ndarray, shape ([Z,] Y, X), float32, counts above the offset
            And the standard deviation of their noise, halo included.
        roles : sequence of str
            What is wanted.

        Returns
        -------
        dict
            Role to array ``([Z,] factor * Y, factor * X)``, counts above the offset; right where a halo lies around it.
        """

    def quick(self) -> Predictor:
        """The same with less work, for a first look at an image; by default itself."""
        return self

    def check_fits(self, image: Image) -> None:
        """Refuse an image that the model was not made for.

        Raises
        ------
        SuperlensError
        """
        return

    def parameters(self, camera: Camera) -> dict[str, Any]:
        """Settings, optics and camera in words and numbers, for the history of an image."""
        return {}
