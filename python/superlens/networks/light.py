"""A light two-stage network that takes the noise and the point spread function as inputs.

The first stage denoises, the second sharpens to a stated resolution and doubles the sampling, as in ZS-DeconvNet; three things make
it small and steady.

* It works at camera sampling with a sub-pixel head, so that nothing is computed twice on the finer grid.
* Its inputs carry what is known beforehand: the standard deviation of the noise at each pixel, and the image through a small bank
  of Wiener filters made from the PSF (see `superlens.observing.conditioning`). The weights need not learn any one microscope.
* Both stages are residual: the denoised image is a correction of the input, the sharp image a correction of the interpolated
  denoised one. A stage that learns nothing returns its input instead of a constant.

In: ``(B, Y, X, C)``, sides multiples of 4, channel 0 the noisy image, the rest conditions. Out: the denoised image ``(B, Y, X, 1)``,
the sharp image ``(B, scale * Y, scale * X, 1)``, and the logarithm of the standard deviation of its error, of the same shape.

For volumes, ``(B, Z, Y, X, C)``, the same network works on every slice, and after each block a small layer mixes a slice with the one
below and the one above. These layers begin as the identity, so that a network for volumes can begin from the weights of one for images.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024), for the two stages. Shi et al., CVPR 2016, for the sub-pixel head. Dong et al., Deep Wiener
Deconvolution, NeurIPS 2020, for Wiener-filtered features.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers, ops

from superlens.networks.architecture import Architecture
from superlens.networks.blocks import FoldPlanes, Neighbours, SubPixel, UnfoldPlanes

__all__ = ["ARCHITECTURES", "light_two_stage", "light_two_stage_volume"]


def light_two_stage(*, channels: int = 5, scale: int = 2, widths: tuple[int, ...] = (32, 64, 128)) -> keras.Model:
    """Build the light two-stage network.

    Parameters
    ----------
    channels : int
        Number of input channels; the first is the noisy image, the others condition it.
    scale : {1, 2}
        Sampling of the sharp image relative to the input. Both have the same weights: at scale 1 the mean of the 2x2 sub-pixels
        is returned.
    widths : tuple of int
        Feature channels at full, half, quarter ... sampling.

    Returns
    -------
    keras.Model
        Outputs ``denoised``, ``sharp`` and ``log_sigma``, all float32.

    Raises
    ------
    ValueError
        If ``scale``, ``channels`` is out of range or there are no widths.
    """
    _check(scale, channels, widths)
    inputs = keras.Input((None, None, channels), name="conditioned")
    return keras.Model(inputs, _two_stages(inputs, scale, widths, _as_it_is), name="light_two_stage")


def light_two_stage_volume(
    *, channels: int = 5, scale: int = 2, widths: tuple[int, ...] = (32, 64, 128)
) -> keras.Model:
    """Build the light two-stage network for volumes.

    Parameters
    ----------
    channels, scale, widths
        As for `light_two_stage`; the sampling along z is never changed.

    Returns
    -------
    keras.Model
        From ``(B, Z, Y, X, C)`` to ``denoised``, ``sharp`` and ``log_sigma``, ``(B, Z, Y, X, 1)`` on their grids, all float32.

    Raises
    ------
    ValueError
        If ``scale``, ``channels`` is out of range or there are no widths.
    """
    _check(scale, channels, widths)
    volume = keras.Input((None, None, None, channels), name="conditioned")

    def mix(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        width = x.shape[-1]
        few = layers.Conv2D(width // 4, 1, kernel_initializer="he_normal", name=f"{name}_z_few")(x)
        near = Neighbours(name=f"{name}_z")([layers.LeakyReLU(0.1, name=f"{name}_z_relu")(few), volume])
        near = layers.Conv2D(width, 1, kernel_initializer="zeros", name=f"{name}_z_all")(near)
        return layers.Add(name=f"{name}_z_add")([x, near])

    outputs = _two_stages(FoldPlanes(name="planes")(volume), scale, widths, mix)
    names = ("denoised_volume", "sharp_volume", "log_sigma_volume")
    unfolded = [UnfoldPlanes(name=name, dtype="float32")([o, volume]) for name, o in zip(names, outputs, strict=True)]
    return keras.Model(volume, unfolded, name="light_two_stage_volume")


def _check(scale: int, channels: int, widths: tuple[int, ...]) -> None:
    if scale not in (1, 2) or channels < 1 or not widths:
        raise ValueError(
            f"scale is {scale!r}, channels {channels} and widths {widths}; expected 1 or 2, at least 1, and a width or more"
        )


Mix = Callable[[keras.KerasTensor, str], keras.KerasTensor]


def _as_it_is(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return x


def _two_stages(inputs: keras.KerasTensor, scale: int, widths: tuple[int, ...], mix: Mix) -> list[keras.KerasTensor]:
    noisy = inputs[..., :1]
    features = _unet(inputs, widths, "denoise", mix)
    denoised = layers.Add(name="denoised", dtype="float32")([noisy, _to_image(features, 1, "denoise_head")])

    x = layers.Concatenate(name="sharpen_in")([denoised, inputs, features])
    features = _unet(x, widths, "sharpen", mix)
    correction = SubPixel(name="sharpen_subpixel", dtype="float32")(_to_image(features, 4, "sharpen_head"))
    base = _Interpolate(name="interpolate", dtype="float32")(denoised)
    sharp = layers.Add(name="sharp" if scale == 2 else "sharp_fine", dtype="float32")([base, correction])

    watched = layers.Concatenate(name="spread_in")([_StopGradient(name="spread_watch")(features), inputs])
    spread = layers.Conv2D(widths[0], 3, padding="same", name="spread_conv")(watched)
    spread = _to_image(layers.LeakyReLU(0.1, name="spread_relu")(spread), 4, "spread_head")
    log_sigma = SubPixel(name="log_sigma" if scale == 2 else "log_sigma_fine", dtype="float32")(spread)
    if scale == 1:
        sharp = layers.AveragePooling2D(2, name="sharp", dtype="float32")(sharp)
        log_sigma = layers.AveragePooling2D(2, name="log_sigma", dtype="float32")(log_sigma)
    return [denoised, sharp, log_sigma]


def _unet(x: keras.KerasTensor, widths: tuple[int, ...], name: str, mix: Mix) -> keras.KerasTensor:
    skips = []
    for level, width in enumerate(widths):
        x = _conv(x, width, f"{name}_down{level}_0")
        x = mix(_residual(x, width, f"{name}_down{level}_1"), f"{name}_down{level}")
        if level < len(widths) - 1:
            skips.append(x)
            x = layers.AveragePooling2D(2, name=f"{name}_pool{level}")(x)
    for level in reversed(range(len(widths) - 1)):
        width = widths[level]
        x = layers.Conv2D(4 * width, 1, name=f"{name}_up{level}_expand")(x)
        x = SubPixel(name=f"{name}_up{level}")(x)
        x = layers.Concatenate(name=f"{name}_join{level}")([x, skips[level]])
        x = _conv(x, width, f"{name}_up{level}_0")
        x = mix(_residual(x, width, f"{name}_up{level}_1"), f"{name}_up{level}")
    return x


def _conv(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
    return layers.LeakyReLU(0.1, name=f"{name}_relu")(x)


def _residual(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    y = _conv(x, width, f"{name}_a")
    y = layers.Conv2D(width, 3, padding="same", kernel_initializer=_small, name=f"{name}_b")(y)
    return layers.Add(name=name)([x, y])


def _to_image(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(channels, 3, padding="same", kernel_initializer=_small, name=name, dtype="float32")(x)


def _small(shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
    return 0.1 * keras.initializers.HeNormal()(shape, dtype)


@keras.saving.register_keras_serializable("superlens")
class _Interpolate(layers.Layer):
    """Bilinear interpolation to twice the sampling, in shifts and averages that any block shape can pass through.

    The mean of the four new pixels is a smooth of the old one; at the border the edge pixel is repeated.
    """

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        for axis in (1, 2):
            first = ops.take(x, [0], axis=axis)
            last = x[:, -1:] if axis == 1 else x[:, :, -1:]
            inner = (x[:, :-1], x[:, 1:]) if axis == 1 else (x[:, :, :-1], x[:, :, 1:])
            before = 0.75 * x + 0.25 * ops.concatenate([first, inner[0]], axis=axis)
            after = 0.75 * x + 0.25 * ops.concatenate([inner[1], last], axis=axis)
            shape = ops.shape(x)
            sides = (2 * shape[1], shape[2]) if axis == 1 else (shape[1], 2 * shape[2])
            x = ops.reshape(ops.stack([before, after], axis=axis + 1), (-1, *sides, x.shape[-1]))
        return x

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *(None if side is None else 2 * side for side in shape[1:3]), shape[3])


@keras.saving.register_keras_serializable("superlens")
class _StopGradient(layers.Layer):
    """Let the error estimate watch the features without bending them."""

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.stop_gradient(x)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


_STAGES = {"denoised": ("denoise",), "sharp": ("sharpen",), "log_sigma": ("spread",)}
_HEADS = {"denoised": "denoise_head", "sharp": "sharpen_head"}

ARCHITECTURES = (
    Architecture(
        "light",
        light_two_stage,
        outputs=("denoised", "sharp", "log_sigma"),
        inputs="conditioned",
        align=4,  # two 2x2 poolings
        reach=68,  # of both stages, 67 pixels, rounded up to a multiple of 4
        bytes_per_pixel=4_000,
        training_bytes=80_000_000,
        says_resolution=True,
        stages=_STAGES,
        heads=_HEADS,
    ),
    Architecture(
        "light-volume",
        light_two_stage_volume,
        axes="ZYX",
        outputs=("denoised", "sharp", "log_sigma"),
        inputs="conditioned",
        align=4,
        reach=68,
        slices=10,  # one for each of five mixing layers in each stage
        bytes_per_pixel=1_600,
        training_bytes=150_000_000,
        says_resolution=True,
        stages=_STAGES,
        heads=_HEADS,
    ),
)
