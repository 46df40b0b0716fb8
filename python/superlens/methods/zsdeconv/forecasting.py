"""What a training or a model will give and take, before a pixel is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from superlens.image import Image
from superlens.method import Forecast
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model

__all__ = ["forecast", "scales"]

_TRAINING_BYTES = {"light": 80_000_000, "unet": 600_000_000, "light-volume": 150_000_000, "rcan": 150_000_000}


def forecast(settings: ZSDeconvConfig, images: Sequence[Image]) -> Forecast:
    """What a training on such images takes and gives; the images may lack their pixels."""
    network = settings.network
    stated = network.startswith("light") and not settings.from_scratch
    return Forecast(
        scales=_scales(settings.denoise_only, settings.scale, stated=stated),
        key=f"{network} {settings.batch} {settings.patch}",
        patch_pixels=settings.batch * settings.patch**2,
        steps=settings.steps,
        room_bytes=_TRAINING_BYTES[network],
    )


def scales(model: Model) -> Mapping[str, int]:
    """Role to fine pixels along a camera pixel, of what a model gives."""
    stated = model.config.network.startswith("light") and model.config.spread is not None
    return _scales(model.psf is None, model.config.scale, stated=stated)


def _scales(denoise_only: bool, scale: int, *, stated: bool) -> Mapping[str, int]:
    if denoise_only:
        return {"denoised": 1}
    return {"sharp": scale, "denoised": 1, **({"uncertainty": scale} if stated else {})}
