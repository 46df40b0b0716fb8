"""What a training or a model will give and take, before a pixel is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from superlens.image import Image
from superlens.method import Forecast
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model
from superlens.networks import architecture
from superlens.training.two_stage.state import TwoStageState

__all__ = ["forecast", "scales"]


def forecast(settings: ZSDeconvConfig, images: Sequence[Image]) -> Forecast:
    """What a training on such images takes and gives; the images may lack their pixels."""
    network = architecture(settings.network)
    stated = network.says_error and not settings.from_scratch
    return Forecast(
        scales=_scales(settings.denoise_only, settings.scale, stated=stated),
        key=f"{network.name} {settings.batch} {settings.patch}",
        patch_pixels=settings.batch * settings.patch**2,
        steps=settings.steps,
        room_bytes=network.training_bytes,
    )


def scales(model: Model) -> Mapping[str, int]:
    """Role to fine pixels along a camera pixel, of what a model gives."""
    state = TwoStageState.of(model)
    stated = architecture(model.config.network).says_error and state.spread is not None
    return _scales(state.psf is None, state.scale, stated=stated)


def _scales(denoise_only: bool, scale: int, *, stated: bool) -> Mapping[str, int]:
    if denoise_only:
        return {"denoised": 1}
    return {"sharp": scale, "denoised": 1, **({"uncertainty": scale} if stated else {})}
