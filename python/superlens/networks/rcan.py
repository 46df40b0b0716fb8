"""The two-stage residual channel-attention network of ZS-DeconvNet in 3D.

Two RCANs in series share one graph: the first denoises, the second deconvolves what the first gives and doubles the lateral sampling.
The sampling along z is never changed. Channel attention weighs the features by their mean over the whole input, so that what comes out
depends on the size of what goes in: training and prediction use windows of one size.

In: ``(B, Z, Y, X, 1)``, any sides. Out: the denoised volume ``(B, Z, Y, X, 1)`` and the deconvolved one
``(B, Z, scale * Y, scale * X, 1)``.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024), Supplementary Fig. 13. Zhang et al., ECCV 2018, for channel attention.
"""

from __future__ import annotations

import keras
from keras import layers

from superlens.networks.architecture import Architecture

__all__ = ["ARCHITECTURES", "two_stage_rcan"]

_GROUPS, _BLOCKS = 2, 2


def two_stage_rcan(*, scale: int = 2, width: int = 64) -> keras.Model:
    """Build the two-stage RCAN for volumes.

    Parameters
    ----------
    scale : {1, 2}
        Lateral sampling of the second output relative to the input. Both have the same weights.
    width : int
        Feature channels; 64 in the paper, which gives 2,003,490 parameters.

    Returns
    -------
    keras.Model
        Outputs ``denoised`` and ``deconvolved``.

    Raises
    ------
    ValueError
        If ``scale`` is another number or ``width`` below 16.
    """
    if scale not in (1, 2) or width < 16:
        raise ValueError(f"scale is {scale!r} and width {width}; expected 1 or 2, and at least 16")
    volume = keras.Input((None, None, None, 1), name="volume")
    denoised = _stage(volume, width, 1, "denoise", "denoised")
    deconvolved = _stage(denoised, width, scale, "deconvolve", "deconvolved")
    return keras.Model(volume, [denoised, deconvolved], name="two_stage_rcan")


def _stage(x: keras.KerasTensor, width: int, scale: int, name: str, out: str) -> keras.KerasTensor:
    x = skip = layers.Conv3D(width, 3, padding="same", name=f"{name}_first")(x)
    for i in range(_GROUPS * _BLOCKS):
        x = _block(x, width, f"{name}_{i}")
    x = layers.Add(name=f"{name}_skip")([x, skip])
    if scale == 2:
        x = layers.UpSampling3D((1, 2, 2), name=f"{name}_upsample")(x)
    x = _conv(x, width, f"{name}_last")
    return _conv(x, 1, out)


def _block(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    y = _conv(_conv(x, width, f"{name}_a"), width, f"{name}_b")
    weight = layers.GlobalAveragePooling3D(keepdims=True, name=f"{name}_mean")(y)
    weight = layers.Conv3D(width // 16, 1, activation="relu", name=f"{name}_squeeze")(weight)
    weight = layers.Conv3D(width, 1, activation="sigmoid", name=f"{name}_attend")(weight)
    return layers.Add(name=f"{name}_add")([x, layers.Multiply(name=f"{name}_weigh")([y, weight])])


def _conv(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    head = channels == 1
    x = layers.Conv3D(
        channels, 3, padding="same", name=f"{name}_conv" if head else name, dtype="float32" if head else None
    )(x)
    return layers.LeakyReLU(0.2, name=name if head else f"{name}_relu", dtype="float32" if head else None)(x)


ARCHITECTURES = (
    Architecture(
        "rcan",
        two_stage_rcan,
        axes="ZYX",
        outputs=("denoised", "sharp"),
        align=1,
        reach=0,
        whole=True,
        bytes_per_pixel=8_000,
        training_bytes=150_000_000,
        precision="float32",
        stages={"denoised": ("denoise",), "sharp": ("deconvolve",)},
    ),
)
