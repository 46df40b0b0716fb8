"""ZS-DeconvNet-SIM as the house sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from superlens.errors import SuperlensError
from superlens.method import Forecast, ImageMethod, Learned, Role
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.methods.zsdeconv_sim.predictor import SimPredictor
    from superlens.methods.zsdeconv_sim.prepared import Prepared, SimObservation
    from superlens.model import Model
    from superlens.optics import PSF, Objective
    from superlens.progress import Progress
    from superlens.result import Channel

__all__ = ["METHOD", "ZSDeconvNetSim"]

_FEW = 25  # planes that are taken for one set of frames where nothing is said
_LEAST = 5


class ZSDeconvNetSim(ImageMethod):
    """See `superlens.methods.zsdeconv_sim`. Its heavy parts are loaded when they are first needed."""

    name: ClassVar[str] = "zsdeconv-sim"
    switch: ClassVar[str] = "sim"
    switch_label: ClassVar[str] = "Raw frames of structured illumination"
    unnamed: ClassVar[str] = "TYX"
    summary: ClassVar[str] = "Reconstruct, denoise and super-resolve raw frames of structured illumination."
    settings: ClassVar[type[ZSDeconvSimConfig]] = ZSDeconvSimConfig
    gives: ClassVar[tuple[Role, ...]] = (
        Role("sharp", "super-resolved", "sr", scale=2),
        Role("denoised", "denoised", "denoised", label="Show the denoised image", scale=2),
        Role(
            "uncertainty",
            "standard deviation of the error of the super-resolved image",
            "uncertainty",
            label="Show the uncertainty",
            scale=2,
        ),
        Role("reconstruction", "conventional reconstruction", "sim", label="Show the reconstruction", scale=2),
    )
    python: ClassVar[Mapping[str, str]] = {"ZSDeconvSimConfig": "superlens.methods.zsdeconv_sim.settings"}

    def for_channel(self, settings: ZSDeconvSimConfig, number: int, *, alone: bool) -> ZSDeconvSimConfig:
        """With the pattern of that channel, where that of another recording is taken."""
        if settings.like is None:
            return settings
        from superlens.optics.patterns import Pattern

        Pattern.read(Path(settings.like), [number], alone=alone)  # refused before any channel is worked on
        return settings.with_changes({"like_channel": number})

    def prepare(self, images: Sequence[Image], optics: Objective | PSF | None, settings: ZSDeconvSimConfig) -> Prepared:
        """Find the pattern and reconstruct, or refuse in words."""
        from superlens.methods.zsdeconv_sim.prepared import prepare

        return prepare(images, optics, settings)

    def learn(
        self, prepared: Prepared, checkpoint: Path | None, progress: Progress, start: Model | None = None
    ) -> Learned:
        """Fine-tune the shipped start on the frames, or train from nothing."""
        from superlens.methods.zsdeconv_sim.learn import learn

        return learn(prepared, checkpoint, progress, start)

    def observe(self, model: Model, image: Image) -> SimObservation:
        """The frames with the pattern and the camera of the training."""
        from superlens.methods.zsdeconv_sim.prepared import observed
        from superlens.methods.zsdeconv_sim.state import SimState

        state = SimState.of(model)
        return observed(image, state.objective, state.optics.spectrum, state.config, state.camera)

    def apply(self, learned: Learned, observation: SimObservation, progress: Progress) -> Channel:
        """Predict every set of frames."""
        from superlens.methods.zsdeconv_sim.apply import apply

        return apply(learned, observation, progress)

    def check_fits(self, model: Model, image: Image) -> None:
        """Refuse frames of another pixel size, or too few."""
        from superlens.methods.zsdeconv_sim.state import SimState

        state, theirs = SimState.of(model), image.pixel_nm
        ours = state.optics.pixel_nm / (2 if state.config.reconstructed else 1)
        if theirs is None:
            raise SuperlensError(
                f"{image.name or 'the image'} has no pixel size and the model was trained at {ours:g} nm; give it with `pixel_nm`"
            )
        if abs(theirs / ours - 1) > 0.02:
            raise SuperlensError(
                f"{image.name or 'the image'} has a pixel of {theirs:g} nm and the model was trained at {ours:g} nm; use a model for this pixel, or give "
                "the right one with `pixel_nm`"
            )

    def scales(self, model: Model) -> Mapping[str, int]:
        """All roles lie on the grid of the reconstruction."""
        predictor = self.predictor(model)
        finer = 1 if predictor.state.config.reconstructed else 2
        return dict.fromkeys((*predictor.roles, "reconstruction"), finer)

    def forecast(
        self, settings: ZSDeconvSimConfig, images: Sequence[Image], optics: Objective | PSF | None
    ) -> Forecast:
        """What a training on such frames takes and gives."""
        plain = settings.network == "light" and not settings.from_scratch
        roles = [role.name for role in self.gives if role.name != "uncertainty" or plain]
        return Forecast(
            dict.fromkeys(roles, 1 if settings.reconstructed else 2),
            f"{self.name} {settings.network} {settings.batch} {settings.patch}",
            settings.batch * settings.patch**2,
            0 if settings.reconstructed else settings.steps,
            20_000_000,
        )

    def outline(self, image: Image, scale: int) -> Image:
        """One plane of twice the pixels for each set of frames, as far as the number of planes says; a reconstructed image as it is."""
        if scale == 1:
            return super().outline(image, scale)
        data, axes = image.data, image.axes
        along = [axis for axis in axes if axis not in "CYX"]
        planes = int(np.prod([image.sizes[axis] for axis in along])) if along else 1
        if not _LEAST <= planes <= _FEW:
            return super().outline(image, scale)
        index = tuple(0 if axis in along else slice(None) for axis in axes)
        kept = "".join(axis for axis in axes if axis not in along)
        return super().outline(
            replace(image, data=data[index], axes=kept, z_step_nm=None, frame_interval_s=None), scale
        )

    def predictor(self, model: Model) -> SimPredictor:
        """The model as a function from a reconstruction to images by role."""
        from superlens.methods.zsdeconv_sim.predictor import SimPredictor

        return SimPredictor(model)


METHOD = ZSDeconvNetSim()
