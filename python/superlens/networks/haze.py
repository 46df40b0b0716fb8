"""A small network that says how much of the light of each cell of an image comes from out of focus.

It sees an image as cells half as wide as the PSF (`superlens.observing.haze`), so that a few convolutions and a mean over the whole image look as far
as haze reaches, and cost next to nothing. In: ``(B, y, x, C)``, sides multiples of 16. Out: the share, ``(B, y, x, 1)``.
"""

from __future__ import annotations

import keras
from keras import layers

from superlens.networks.architecture import Architecture

__all__ = ["ARCHITECTURES", "haze_cells"]

_WIDTHS = (0.5, 1, 2, 3, 4)  # of the levels of sampling, each half as fine as the one before


def haze_cells(*, channels: int = 11, width: int = 24) -> keras.Model:
    """Build the network.

    Parameters
    ----------
    channels : int
        Of the input.
    width : int
        Feature channels at half sampling; coarser levels have more, and full sampling has half of them.
    """
    inputs = keras.Input((None, None, channels), name="cells")
    x, passed, widths = inputs, [], [round(one * width) for one in _WIDTHS]
    for level, own in enumerate(widths):
        if level:
            x = layers.AveragePooling2D(2, name=f"pool{level}")(x)
        x = _twice(x, own, f"down{level}")
        passed.append(x)
    whole = layers.GlobalAveragePooling2D(keepdims=True, name="whole")(x)
    whole = layers.Conv2D(widths[-1], 1, activation="relu", name="whole_0")(whole)
    x = layers.Add(name="whole_add")(
        [_conv(x, widths[-1], "deep"), layers.Conv2D(widths[-1], 1, name="whole_1")(whole)]
    )
    for level, own in reversed(list(enumerate(widths[:-1]))):
        x = layers.UpSampling2D(2, name=f"up{level}")(x)
        x = layers.Concatenate(name=f"join{level}")([x, passed[level]])
        x = _twice(x, own, f"up{level}_conv")
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
        align=2 ** (len(_WIDTHS) - 1),
        reach=0,
        whole=True,  # a mean over the whole image
        bytes_per_pixel=2_500,
        training_bytes=20_000_000,
        precision="float32",
        sampling="",
    ),
)
