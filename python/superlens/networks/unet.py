"""The two-stage U-Net of ZS-DeconvNet in 2D.

Two U-Nets in series share one graph: the first denoises, the second deconvolves what the first gives and doubles the sampling. All
layers are 3x3 convolutions with a bias and a ReLU, the two heads included.

In: ``(B, Y, X, 1)``, sides multiples of 16. Out: the denoised image ``(B, Y, X, 1)`` and the deconvolved one
``(B, scale * Y, scale * X, 1)``.

References
----------
Qiao et al., Zero-shot learning enables instant denoising and super-resolution in optical fluorescence microscopy,
Nat. Commun. 15, 4180 (2024), Fig. 1 and Supplementary Fig. 1.
"""

from __future__ import annotations

import keras
from keras import layers

from superlens.networks.architecture import Architecture

__all__ = ["ARCHITECTURES", "two_stage_unet"]

_DEPTH = 4


def two_stage_unet(*, scale: int = 2, base_channels: int = 32) -> keras.Model:
    """Build the two-stage U-Net.

    Parameters
    ----------
    scale : {1, 2}
        Sampling of the second output relative to the input. Both have the same weights.
    base_channels : int
        Channels of the first level; 32 in the paper, which gives 13,109,010 parameters.

    Returns
    -------
    keras.Model
        Outputs ``denoised`` and ``deconvolved``.

    Raises
    ------
    ValueError
        If ``scale`` is another number.
    """
    if scale not in (1, 2):
        raise ValueError(f"scale is {scale!r}; expected 1 or 2")
    image = keras.Input((None, None, 1), name="image")
    denoised = _conv(_unet(image, base_channels, "denoise"), 1, "denoised")
    x = _unet(denoised, base_channels, "deconvolve")
    if scale == 2:
        x = layers.UpSampling2D(2, interpolation="nearest", name="upsample")(x)
    x = _conv(x, 4 * base_channels, "head_1")
    x = _conv(x, 4 * base_channels, "head_2")
    deconvolved = _conv(x, 1, "deconvolved")
    return keras.Model(image, [denoised, deconvolved], name="two_stage_unet")


def _unet(x: keras.KerasTensor, base: int, name: str) -> keras.KerasTensor:
    skips = []
    for level in range(_DEPTH):
        for i in range(3):
            x = _conv(x, base * 2**level, f"{name}_down{level}_{i}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"{name}_pool{level}")(x)
    x = _conv(x, base * 2**_DEPTH, f"{name}_bottom_0")
    x = _conv(x, base * 2 ** (_DEPTH - 1), f"{name}_bottom_1")
    for level in reversed(range(_DEPTH)):
        channels = base * 2**level
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_up{level}")(x)
        x = layers.Concatenate(name=f"{name}_join{level}")([x, skips[level]])
        x = _conv(x, channels, f"{name}_up{level}_0")
        x = _conv(x, channels // 2, f"{name}_up{level}_1")
        x = _conv(x, channels // 2, f"{name}_up{level}_2")
    return x


def _conv(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    dtype = "float32" if channels == 1 else None  # the heads stay exact under mixed precision
    return layers.Conv2D(channels, 3, padding="same", activation="relu", name=name, dtype=dtype)(x)


ARCHITECTURES = (
    Architecture(
        "unet",
        two_stage_unet,
        outputs=("denoised", "sharp"),
        align=16,  # four 2x2 poolings
        reach=272,  # of both stages, 268 pixels (138 of the first), rounded up to a multiple of 16
        bytes_per_pixel=8_000,
        training_bytes=600_000_000,
        precision="float32",
        stages={"denoised": ("denoise",), "sharp": ("deconvolve", "head")},
    ),
)
