"""Planes or volumes: what a stack is taken for when its user does not say.

A stack is a volume where its slices belong together in a way that can be computed: enough of them, at a known distance, blurred by a PSF
that is known along z. Anything else is worked on slice by slice, and a line says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.prepared import LEAST_SLICES
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.optics import PSF, Objective
from superlens.predicting.start import shipped_name

__all__ = ["decided", "refuse_frames_as_slices", "spatial_axes"]


def decided(
    images: Sequence[Image], optics: Objective | PSF | None, settings: ZSDeconvConfig
) -> tuple[ZSDeconvConfig, str]:
    """Settings for planes or for volumes, as they say themselves or as the images ask for; and a line for the user, or none.

    Raises
    ------
    SuperlensError
        When an image calls frames what seem to be slices.
    """
    if not any(image.history.get("axes_given") for image in images) and settings.asked_axes != "YX":
        wanted = settings.asked_axes == "ZYX" or any(image.z_step_nm is not None for image in images)
        refuse_frames_as_slices(images, [optics], wanted=wanted)
    if settings.axes != "auto":
        return settings, ""
    axes, why = spatial_axes(images, [None] if settings.denoise_only else [optics], preset=settings.preset)
    return settings.for_axes(axes), why


def spatial_axes(
    images: Sequence[Image], optics: Sequence[Objective | PSF | None], *, preset: str = "fast"
) -> tuple[Literal["YX", "ZYX"], str]:
    """Whether images are best taken as volumes.

    Parameters
    ----------
    images : sequence of Image
    optics : sequence of Objective, PSF or None
        Of each channel.
    preset : str
        "paper" needs no shipped weights.

    Returns
    -------
    {"YX", "ZYX"}
    str
        A line for the user; empty for images without slices.
    """
    slices = [image.sizes.get("Z", 1) for image in images]
    if max(slices, default=1) == 1:
        return "YX", ""
    lacking = _lacking(images, optics, min(slices), preset)
    if lacking:
        return "YX", f"each slice is taken as an image of its own: {lacking}"
    steps = sorted({image.z_step_nm or 0.0 for image in images})
    return (
        "ZYX",
        f"stacks are taken as volumes, slices {steps[0]:g} nm apart; set `volume` to false to take each slice as an image",
    )


def refuse_frames_as_slices(images: Sequence[Image], optics: Sequence[Objective | PSF | None], *, wanted: bool) -> None:
    """Refuse stacks that say T where Z seems to be meant; to be called when nobody has said which axes they have.

    Parameters
    ----------
    images : sequence of Image
    optics : sequence of Objective, PSF or None
    wanted : bool
        Whether volumes, or a z-step, were asked for in words.

    Raises
    ------
    SuperlensError
        When an image has frames and no slices, and volumes were asked for or the PSF is a stack.
    """
    deep = any(isinstance(lens, PSF) and lens.data.ndim == 3 for lens in optics)
    if not (wanted or deep):
        return
    for image in images:
        frames = image.sizes.get("T", 1)
        if frames > 1 and image.sizes.get("Z", 1) == 1:
            asked = "a volume or a z-step is asked for" if wanted else "the PSF is a stack"
            raise SuperlensError(
                f"{image.name or 'the image'} says that its {frames} planes are frames (axes {image.axes}), and {asked}; give "
                f"`axes` {image.axes.replace('Z', '').replace('T', 'Z')} if they are slices, `axes` {image.axes} if they are frames"
            )


def _lacking(images: Sequence[Image], optics: Sequence[Objective | PSF | None], fewest: int, preset: str) -> str:
    if fewest < LEAST_SLICES:
        return (
            f"there {'is 1 slice' if fewest == 1 else f'are {fewest} slices'} and volumes need at least {LEAST_SLICES}"
        )
    if any(image.z_step_nm is None for image in images):
        return "the z-step is not known; give `z_step_nm` to take the stack as a volume"
    if any(lens is None for lens in optics):
        return "there are no optics"
    if any(isinstance(lens, PSF) and lens.data.ndim == 2 for lens in optics):
        return "the PSF is a single plane; give a PSF stack to take the image as a volume"
    usual = ZSDeconvConfig.of(preset, axes="ZYX")
    if not usual.from_scratch and shipped_name(usual.network) is None:
        return "the weights for volumes are not installed"
    return ""
