"""What a network is, said once: how it is built, what goes in and comes out, how far it sees, and what it costs.

Each file of a family declares its networks as `Architecture` values; `superlens.networks` finds them by name. A caller reads these facts
and asks no network for its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from superlens.observing.conditioning import BANK_RADIUS, BANK_RADIUS_Z, CHANNELS
from superlens.observing.haze import HAZE_CHANNELS

if TYPE_CHECKING:
    import keras

__all__ = ["Architecture"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a caller must know of a network to feed it.

    Attributes
    ----------
    name : str
        What model files and settings call it.
    make : callable
        Returns the `keras.Model`; its keyword arguments are the ``network_config`` of a model file.
    outputs : tuple of str
        Roles of what it gives, in order: "denoised", "sharp", "log_sigma", "density", "haze" and "sure_..", quantiles of it.
    align : int
        Sides of an input must be multiples of this many pixels.
    reach : int
        Radius of its receptive field, in input pixels. It counts for nothing where `whole` is set.
    bytes_per_pixel : int
        Memory that it needs at its peak for each pixel of an input.
    training_bytes : int
        Room that a training needs on disk: model, checkpoint with optimizer and best weights.
    axes : {"YX", "ZYX"}
        Whether it takes images or volumes.
    inputs : {"image", "conditioned", "frame", "cells"}
        An image scaled to its range; the channels of `superlens.observing.conditioning`; a frame of blinking molecules;
        the channels of `superlens.observing.haze`.
    slices : int
        Radius of its receptive field along z, in slices.
    whole : bool
        Whether the result depends on the whole window, as with global attention: then no block of an image gives what the image gives.
    precision : {"best", "float32"}
        What it trains in: the fastest that the hardware has, or always float32.
    says_resolution : bool
        Whether its sharp output has a stated resolution instead of one as fine as training gets it.
    sampling : str
        Name of the argument of `make` that sets the fine pixels along an input pixel; empty where they are as many as there were.
    stages : mapping
        For each output the beginnings of the names of the layers that belong to it alone, to freeze them.
    heads : mapping
        For each output the layer whose bias is added to it, where there is one.
    """

    name: str
    make: Callable[..., keras.Model]
    outputs: tuple[str, ...]
    align: int
    reach: int
    bytes_per_pixel: int
    training_bytes: int
    axes: Literal["YX", "ZYX"] = "YX"
    inputs: Literal["image", "conditioned", "frame", "cells"] = "image"
    slices: int = 0
    whole: bool = False
    precision: Literal["best", "float32"] = "best"
    says_resolution: bool = False
    sampling: Literal["scale", "upsampling", ""] = "scale"
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)

    @property
    def halo(self) -> int:
        """What a block must carry on each side, in input pixels: the network's reach and that of the filters that condition it."""
        return self.reach + (BANK_RADIUS if self.inputs == "conditioned" else 0)

    @property
    def reach_z(self) -> int:
        """The same along z, in slices."""
        return self.slices + (BANK_RADIUS_Z if self.inputs == "conditioned" and self.axes == "ZYX" else 0)

    @property
    def channels(self) -> int:
        """Channels of an input."""
        return {"conditioned": CHANNELS, "cells": HAZE_CHANNELS}.get(self.inputs, 1)

    @property
    def says_error(self) -> bool:
        """Whether one of its outputs is the logarithm of the standard deviation of the error of the sharp one."""
        return "log_sigma" in self.outputs

    def arguments(self, factor: int) -> dict[str, Any]:
        """Keyword arguments of `make` for so many fine pixels along an input pixel."""
        several = {"channels": self.channels} if self.channels > 1 else {}
        return {**several, **({self.sampling: factor} if self.sampling else {})}

    def layers_of(self, *outputs: str) -> tuple[str, ...]:
        """Beginnings of the names of the layers that belong to some outputs alone."""
        return tuple(prefix for output in outputs for prefix in self.stages.get(output, ()))
