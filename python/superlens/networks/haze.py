"""A small network that says how much of the light of each cell of an image comes from out of focus, and how much of it is sure.

It sees an image as cells half as wide as the PSF (`superlens.observing.haze`), so that a few convolutions and a mean over the whole image look as far
as haze reaches, and cost next to nothing. One part gives the mean, another one the quantiles.

In: ``(B, y, x, C)``, sides multiples of 16. Out: the mean of the share, ``(B, y, x, 1)``, and as many quantiles of it (`QUANTILES`).
"""

from __future__ import annotations

import keras
from keras import layers

from superlens.networks.architecture import Architecture

__all__ = ["ARCHITECTURES", "QUANTILES", "haze_cells"]

QUANTILES = (0.05, 0.1, 0.2, 0.35)
"""Of the share of a cell's light: in so many of the cells that look the same less of it is haze."""

_OUTPUTS = ("haze", *(f"sure_{round(100 * level):02d}" for level in QUANTILES))

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
    likely, sure = (_features(inputs, width, part) for part in ("likely", "sure"))
    shares = [_share(likely, _OUTPUTS[0]), *(_share(sure, name) for name in _OUTPUTS[1:])]
    return keras.Model(inputs, shares, name="haze_cells")


def _share(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.Conv2D(1, 3, padding="same", activation="sigmoid", name=name, dtype="float32")(x)


def _features(x: keras.KerasTensor, width: int, part: str) -> keras.KerasTensor:
    """What a part of the network makes of the cells; the two have nothing in common, since they learn from other specimens."""
    passed, widths = [], [round(one * width) for one in _WIDTHS]
    for level, own in enumerate(widths):
        if level:
            x = layers.AveragePooling2D(2, name=f"{part}_pool{level}")(x)
        x = _twice(x, own, f"{part}_down{level}")
        passed.append(x)
    whole = layers.GlobalAveragePooling2D(keepdims=True, name=f"{part}_whole")(x)
    whole = layers.Conv2D(widths[-1], 1, activation="relu", name=f"{part}_whole_0")(whole)
    x = layers.Add(name=f"{part}_whole_add")(
        [_conv(x, widths[-1], f"{part}_deep"), layers.Conv2D(widths[-1], 1, name=f"{part}_whole_1")(whole)]
    )
    for level, own in reversed(list(enumerate(widths[:-1]))):
        x = layers.UpSampling2D(2, name=f"{part}_up{level}")(x)
        x = layers.Concatenate(name=f"{part}_join{level}")([x, passed[level]])
        x = _twice(x, own, f"{part}_up{level}_conv")
    return x


def _twice(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    return _conv(_conv(x, width, f"{name}_0"), width, f"{name}_1")


def _conv(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
    return layers.LeakyReLU(0.1, name=f"{name}_relu")(x)


ARCHITECTURES = (
    Architecture(
        "haze",
        haze_cells,
        outputs=_OUTPUTS,
        inputs="cells",
        align=2 ** (len(_WIDTHS) - 1),
        reach=0,
        whole=True,  # a mean over the whole image
        bytes_per_pixel=5_000,
        training_bytes=40_000_000,
        precision="float32",
        sampling="",
    ),
)
