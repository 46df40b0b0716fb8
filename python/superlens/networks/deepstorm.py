"""Networks that turn a frame of blinking molecules into a density on a finer grid.

`deepstorm` is the original: the frame is enlarged first, and all layers work on the fine grid, down to the camera's sampling and up
again without skip connections. `deepstorm_camera` works at camera sampling and enlarges last, by sub-pixel convolutions: a molecule is
as wide on the fine grid as the enlargement is large, so that the original spends most of its work on interpolated pixels.
`deepstorm_direct` has no convolution on the fine grid at all: its last one gives all fine pixels of a camera pixel at once.

In: frames ``(B, Y, X, 1)`` at camera sampling, normalised; sides multiples of 2. Out: the density
``(B, upsampling * Y, upsampling * X, 1)``, linear.

References
----------
Nehme, Weiss, Michaeli and Shechtman, Deep-STORM, Optica 5, 458 (2018), Fig. 2. Shi et al., CVPR 2016, for the sub-pixel head.
"""

from __future__ import annotations

import keras
from keras import layers

from superlens.networks.architecture import Architecture
from superlens.networks.blocks import SubPixel

__all__ = ["ARCHITECTURES", "deepstorm", "deepstorm_camera", "deepstorm_direct"]

_UPSAMPLING = (4, 8, 16)


def deepstorm(*, upsampling: int = 8, widths: tuple[int, int, int, int] = (32, 64, 128, 512)) -> keras.Model:
    """Build the original network.

    Parameters
    ----------
    upsampling : {4, 8, 16}
        Fine pixels along a camera pixel; the enlargement, by repetition, is part of the graph.
    widths : tuple of four ints
        Channels at fine sampling and after each pooling; the original's give 1,368,128 parameters.

    Returns
    -------
    keras.Model
        Layers are named as in the original, so that its weights can be matched by name.

    Raises
    ------
    ValueError
        If ``upsampling`` is another number.
    """
    _check(upsampling)
    frame = keras.Input((None, None, 1), name="frame")
    x = layers.UpSampling2D(upsampling, interpolation="nearest", name="enlarge")(frame)
    for level, width in enumerate(widths, start=1):
        x = _normalised(x, width, f"F{level}")
        if level < len(widths):
            x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
    for level, width in enumerate(reversed(widths[:-1]), start=len(widths) + 1):
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"up{level}")(x)
        x = _normalised(x, width, f"F{level}")
    density = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="orthogonal", name="Prediction", dtype="float32")(
        x
    )
    return keras.Model(frame, density, name="deepstorm")


def deepstorm_camera(*, upsampling: int = 8, width: int = 64, blocks: int = 5) -> keras.Model:
    """Build the network that works at camera sampling.

    Parameters
    ----------
    upsampling : {4, 8, 16}
        Fine pixels along a camera pixel.
    width : int
        Feature channels at camera sampling, a multiple of 4.
    blocks : int
        Residual blocks of two 3x3 convolutions.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If ``upsampling`` or ``width`` is out of range.
    """
    _check(upsampling)
    frame, entered, x = _body(width, blocks)
    x = layers.Concatenate(name="join")([entered, x])
    x = layers.Conv2D(4 * width, 1, kernel_initializer="he_normal", name="expand")(x)
    x = SubPixel(4, name="fine4")(layers.LeakyReLU(0.1, name="expand_relu")(x))
    x = _active(x, 16, "fine4_conv")
    at, channels = 4, 16
    while at < upsampling:
        at, channels = 2 * at, max(channels // 2, 4)
        x = layers.Conv2D(4 * channels, 1, kernel_initializer="he_normal", name=f"expand{at}")(x)
        x = SubPixel(2, name=f"fine{at}")(x)
        x = _active(x, channels, f"fine{at}_conv")
    density = layers.Conv2D(1, 3, padding="same", name="density", dtype="float32")(x)
    return keras.Model(frame, density, name="deepstorm_camera")


def deepstorm_direct(*, upsampling: int = 8, width: int = 40, blocks: int = 4) -> keras.Model:
    """Build the network that works at camera sampling to its end: several times as fast as `deepstorm_camera`.

    Parameters
    ----------
    upsampling : {4, 8, 16}
        Fine pixels along a camera pixel.
    width : int
        Feature channels, a multiple of 4.
    blocks : int
        Residual blocks of two 3x3 convolutions.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If ``upsampling`` or ``width`` is out of range.
    """
    _check(upsampling)
    frame, _, x = _body(width, blocks)
    x = layers.Conv2D(upsampling**2, 3, padding="same", name="fine", dtype="float32")(x)
    return keras.Model(frame, SubPixel(upsampling, name="density", dtype="float32")(x), name="deepstorm_direct")


def _body(width: int, blocks: int) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """The frame, the first features, and those after residual blocks; all at camera sampling."""
    if width < 4 or width % 4:
        raise ValueError(f"width is {width}; expected a multiple of 4")
    frame = keras.Input((None, None, 1), name="frame")
    x = entered = _active(frame, width, "enter")
    for i in range(blocks):
        y = _active(x, width, f"block{i}_a")
        y = layers.Conv2D(width, 3, padding="same", kernel_initializer=_small, name=f"block{i}_b")(y)
        x = layers.Add(name=f"block{i}")([x, y])
    return frame, entered, x


def _check(upsampling: int) -> None:
    if upsampling not in _UPSAMPLING:
        raise ValueError(f"upsampling is {upsampling!r}; expected 4, 8 or 16")


def _normalised(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(
        width, 3, padding="same", use_bias=False, kernel_initializer="orthogonal", name=f"conv-CNN{name}"
    )(x)
    return layers.ReLU(name=f"relu-CNN{name}")(layers.BatchNormalization(name=f"BN-CNN{name}")(x))


def _active(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
    return layers.LeakyReLU(0.1, name=f"{name}_relu")(x)


def _small(shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
    return 0.1 * keras.initializers.HeNormal()(shape, dtype)


ARCHITECTURES = (
    Architecture(
        "deepstorm",
        deepstorm,
        outputs=("density",),
        inputs="frame",
        align=2,  # three 2x2 poolings of a frame that was enlarged by 4, 8 or 16 times
        reach=8,  # widest for the smallest enlargement
        bytes_per_pixel=40_000,
        training_bytes=80_000_000,
        precision="float32",
        sampling="upsampling",
    ),
    Architecture(
        "deepstorm-camera",
        deepstorm_camera,
        outputs=("density",),
        inputs="frame",
        align=2,
        reach=12,  # one for each convolution at camera sampling, and what the head adds
        bytes_per_pixel=8_000,
        training_bytes=80_000_000,
        sampling="upsampling",
    ),
    Architecture(
        "deepstorm-direct",
        deepstorm_direct,
        outputs=("density",),
        inputs="frame",
        align=1,
        reach=10,  # one for each convolution
        bytes_per_pixel=3_000,
        training_bytes=40_000_000,
        sampling="upsampling",
    ),
)
