"""What a training will give and take, before a pixel is touched."""

from __future__ import annotations

import math
from collections.abc import Sequence

from superlens.image import Image
from superlens.method import Forecast
from superlens.methods.zsdeconv.dimensions import decided
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.networks import architecture
from superlens.optics import PSF, Objective

__all__ = ["forecast"]


def forecast(settings: ZSDeconvConfig, images: Sequence[Image], optics: Objective | PSF | None) -> Forecast:
    """What a training on such images takes and gives; the images may lack their pixels."""
    settings, note = decided(images, optics, settings)
    network = architecture(settings.network)
    scales = {"denoised": 1} if settings.denoise_only else {"sharp": settings.scale, "denoised": 1}
    if network.says_error and not settings.from_scratch and not settings.denoise_only:
        scales["uncertainty"] = settings.scale
    number = settings.patches(max((image.data.shape[-2:] for image in images), key=math.prod))
    return Forecast(
        scales=scales,
        key=f"{network.name} {number} {settings.patch}",
        patch_pixels=number * settings.patch**2,
        steps=settings.steps,
        room_bytes=network.training_bytes,
        notes=tuple(filter(None, (_seen_through(optics), note))),
    )


def _seen_through(optics: Objective | PSF | None) -> str:
    """The optics in a line, with what is assumed of them."""
    if isinstance(optics, PSF):
        return f"PSF: {optics.source}"
    if optics is None:
        return ""
    index = f"immersion index {optics.immersion_index:g}"
    words = [optics.modality, f"NA {optics.na:g}", f"{optics.wavelength_nm:g} nm", index]
    if optics.modality == "confocal":
        words.append(f"pinhole {optics.pinhole_au:g} Airy units")
    return ", ".join(words)
