"""A small network that says how much of the light of each cell of an image comes from out of focus.

It sees an image as cells as wide as the PSF (`superlens.observing.haze`), so that a few convolutions and a mean over the whole image look as far
as haze reaches, and cost next to nothing. In: ``(B, y, x, C)``, sides multiples of 4. Out: the share, ``(B, y, x, 1)``.
"""

from __future__ import annotations

import keras
from keras import layers

from superlens.networks.architecture import Architecture

__all__ = ["ARCHITECTURES", "haze_cells"]


def haze_cells(*, channels: int = 10, width: int = 24) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    channels : int
        Of the input.
    width : int
        Feature channels at full sampling.
    """
    inputs = keras.Input((None, None, channels), name="cells")
    full = _twice(inputs, width, "down0")
    half = _twice(layers.AveragePooling2D(2, name="pool0")(full), 2 * width, "down1")
    quarter = _twice(layers.AveragePooling2D(2, name="pool1")(half), 3 * width, "down2")
    whole = layers.GlobalAveragePooling2D(keepdims=True, name="whole")(quarter)
    whole = layers.Conv2D(3 * width, 1, activation="relu", name="whole_0")(whole)
    quarter = layers.Add(name="whole_add")(
        [_conv(quarter, 3 * width, "deep"), layers.Conv2D(3 * width, 1, name="whole_1")(whole)]
    )
    x = layers.Concatenate(name="join1")([layers.UpSampling2D(2, name="up1")(quarter), half])
    x = _twice(x, 2 * width, "up1_conv")
    x = layers.Concatenate(name="join0")([layers.UpSampling2D(2, name="up0")(x), full])
    x = _twice(x, width, "up0_conv")
    share = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="haze", dtype="float32")(x)
    return keras.Model(inputs, share, name="haze_cells")


def _twice(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    return _conv(_conv(x, width, f"{name}_0"), width, f"{name}_1")


def _conv(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
    return layers.LeakyReLU(0.1, name=f"{name}_relu")(x)


ARCHITECTURES = (
    Architecture(
        "haze",
        haze_cells,
        outputs=("haze",),
        inputs="cells",
        align=4,
        reach=0,
        whole=True,  # a mean over the whole image
        bytes_per_pixel=2_000,
        training_bytes=20_000_000,
        precision="float32",
        sampling="",
    ),
)
