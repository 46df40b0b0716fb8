"""Networks: Keras graphs from arrays to arrays, built by name.

A network knows channels-last batches ``(B, [Z,] Y, X, C)`` and nothing of files, nanometres or noise models. Every architecture here is
one function that returns a `keras.Model`; `build` finds it by the name that is stored in a model file, so that loading a file runs
no code but ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from superlens.errors import SuperlensError
from superlens.networks.deepstorm import (
    DEEPSTORM_ALIGN,
    DEEPSTORM_CAMERA_HALO,
    DEEPSTORM_HALO,
    deepstorm,
    deepstorm_camera,
)
from superlens.networks.light import LIGHT_ALIGN, LIGHT_HALO, LIGHT_REACH_Z, light_two_stage, light_two_stage_volume
from superlens.networks.rcan import two_stage_rcan
from superlens.networks.unet import UNET_ALIGN, UNET_HALO, two_stage_unet

if TYPE_CHECKING:
    import keras

__all__ = ["Architecture", "architecture", "build", "names"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a caller must know of a network to feed it.

    Attributes
    ----------
    make : callable
        Returns the `keras.Model`; its keyword arguments are the ``config`` of a model file.
    align : int
        Sides of an input must be multiples of this many pixels.
    halo : int
        Radius of the receptive field, in input pixels: what a tile must carry on each side. 0 where the whole window counts.
    axes : {"YX", "ZYX"}
        Whether it takes images or volumes.
    reach_z : int
        Radius of the receptive field along z, in slices.
    """

    make: Callable[..., keras.Model]
    align: int
    halo: int
    axes: Literal["YX", "ZYX"] = "YX"
    reach_z: int = 0


_ARCHITECTURES: Mapping[str, Architecture] = {
    "deepstorm": Architecture(deepstorm, DEEPSTORM_ALIGN, DEEPSTORM_HALO),
    "deepstorm-camera": Architecture(deepstorm_camera, DEEPSTORM_ALIGN, DEEPSTORM_CAMERA_HALO),
    "light": Architecture(light_two_stage, LIGHT_ALIGN, LIGHT_HALO),
    "light-volume": Architecture(light_two_stage_volume, LIGHT_ALIGN, LIGHT_HALO, "ZYX", LIGHT_REACH_Z),
    "rcan": Architecture(two_stage_rcan, 1, 0, "ZYX"),
    "unet": Architecture(two_stage_unet, UNET_ALIGN, UNET_HALO),
}


def names() -> tuple[str, ...]:
    """Names that `build` knows."""
    return tuple(_ARCHITECTURES)


def architecture(name: str) -> Architecture:
    """The `Architecture` called ``name``.

    Raises
    ------
    SuperlensError
        If there is none of that name.
    """
    try:
        return _ARCHITECTURES[name]
    except KeyError:
        raise SuperlensError(
            f"network is {name!r}; expected one of {', '.join(names())}. Was the model made by a newer superlens?"
        ) from None


def build(name: str, config: Mapping[str, Any]) -> keras.Model:
    """Build the network called ``name``.

    Parameters
    ----------
    name : str
        One of `names`.
    config : mapping
        Keyword arguments of the architecture.

    Raises
    ------
    SuperlensError
        If the name is unknown or the configuration does not fit it.
    """
    import keras

    make = architecture(name).make
    try:
        network = make(**config)
        network.compile(jit_compile=False)  # on a processor, XLA's convolutions are many times slower
        if keras.backend.backend() == "tensorflow":  # the others do so anyway
            _trace_shapes_apart(network)
        return network
    except (TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise SuperlensError(f"network {name!r} does not take this configuration: {why}") from error


_MOST_SHAPES = 16


def _trace_shapes_apart(network: keras.Model) -> None:
    """Compile prediction for each shape of a batch by itself.

    From the second shape on Keras compiles for all shapes at once, and that rounds otherwise: the last digits of an image would depend on
    the images before it.
    """
    import keras

    compiled: dict[tuple[tuple[int, ...], ...], Any] = {}

    def predict(*arguments: Any) -> Any:
        shapes = tuple(tuple(leaf.shape) for leaf in keras.tree.flatten(arguments[-1]))
        if shapes not in compiled:
            network.make_predict_function(force=True)
            compiled[shapes] = network.predict_function
            network.predict_function = predict
            if len(compiled) > _MOST_SHAPES:
                del compiled[next(iter(compiled))]
        return compiled[shapes](*arguments)

    network.predict_function = predict
