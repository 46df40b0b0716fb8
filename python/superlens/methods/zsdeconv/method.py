"""ZS-DeconvNet as the house sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from superlens.errors import SuperlensError
from superlens.method import Forecast, ImageMethod, Learned, Role
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.parameters import Parameter

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.methods.zsdeconv.prepared import Prepared
    from superlens.model import Model
    from superlens.observing import Observation
    from superlens.optics import PSF, Objective
    from superlens.predicting import Predictor
    from superlens.progress import Progress
    from superlens.result import Channel

__all__ = ["METHOD", "ZSDeconvNet"]


_VOLUME = Parameter(
    "volume",
    "switch",
    "Treat a stack as one volume, or each slice as an image; default: a volume where slices, z-step and PSF allow.",
    "Stack is a volume",
    methods=("zsdeconv",),
)


class ZSDeconvNet(ImageMethod):
    """See `superlens.methods.zsdeconv`. Its heavy parts are loaded when they are first needed."""

    name: ClassVar[str] = "zsdeconv"
    summary: ClassVar[str] = "Denoise and super-resolve images, learning from the images themselves."
    settings: ClassVar[type[ZSDeconvConfig]] = ZSDeconvConfig
    gives: ClassVar[tuple[Role, ...]] = (
        Role("sharp", "super-resolved", "sr"),
        Role("denoised", "denoised", "denoised", label="Show the denoised image"),
        Role(
            "uncertainty",
            "standard deviation of the error of the super-resolved image",
            "uncertainty",
            label="Show the uncertainty",
        ),
        Role("haze", "out-of-focus light", "haze", scale=1),
    )
    python: ClassVar[Mapping[str, str]] = {"ZSDeconvConfig": "superlens.methods.zsdeconv.settings"}

    def parameters(self, verb: str) -> tuple[Parameter, ...]:
        """Its settings, and whether stacks are volumes."""
        own = super().parameters(verb)
        return (*own, _VOLUME) if own else ()

    def configured(self, preset: str | None, text: str | None, changes: Mapping[str, Any]) -> ZSDeconvConfig:
        """Settings, where `volume` asks for the axes."""
        said = dict(changes)
        volume = said.pop("volume", None)
        if volume is not None and text is not None:
            raise SuperlensError("`volume` is given with `config`; say axes and network in that file instead.")
        axes = {} if volume is None else {"axes": "ZYX" if volume else "YX"}
        made: ZSDeconvConfig = super().configured(preset, text, {**axes, **said})
        return made

    def prepare(self, images: Sequence[Image], optics: Objective | PSF | None, settings: ZSDeconvConfig) -> Prepared:
        """Check everything that can be checked, and decide whether stacks are volumes where nobody said."""
        from superlens.methods.zsdeconv.dimensions import decided
        from superlens.methods.zsdeconv.prepared import prepare

        settings, note = decided(images, optics, settings)
        made = prepare(images, optics, settings)
        if not note:
            return made
        return replace(made, observations=[o.saying(note) for o in made.observations])

    def learn(
        self, prepared: Prepared, checkpoint: Path | None, progress: Progress, start: Model | None = None
    ) -> Learned:
        """Fine-tune the shipped start on the images, or train from nothing."""
        from superlens.methods.zsdeconv.learn import learn

        return learn(prepared, checkpoint, progress, start=start)

    def begun(self, prepared: Prepared, start: Model | None = None) -> Learned | None:
        """The pretrained model, before it is fine-tuned or averaged over turned copies."""
        from superlens.methods.zsdeconv.learn import begun_with

        return begun_with(prepared, start)

    def observe(self, model: Model, image: Image) -> Observation:
        """The image with the camera of the training images."""
        from superlens.methods.zsdeconv.apply import observed

        return observed(model, image)

    def apply(self, learned: Learned, observation: Observation, progress: Progress) -> Channel:
        """Predict every plane, or every volume."""
        from superlens.methods.zsdeconv.apply import apply

        return apply(learned, observation, progress)

    def forecast(self, settings: ZSDeconvConfig, images: Sequence[Image], optics: Objective | PSF | None) -> Forecast:
        """What a training would take and give."""
        from superlens.methods.zsdeconv.forecasting import forecast

        return forecast(settings, images, optics)

    def needs_optics(self, settings: ZSDeconvConfig) -> bool:
        """Denoising alone needs none."""
        return not settings.denoise_only

    def adapted(self, model: Model, steps: int) -> Callable[[Image, Progress], Model]:
        """Fine-tune the model on one frame after the other."""
        from superlens.methods.zsdeconv.adapt import Adapter

        return Adapter(model, steps)

    def predictor(self, model: Model) -> Predictor:
        """The model as a function from a block to images by role."""
        from superlens.methods.zsdeconv.predictor import predictor_of

        return predictor_of(model)


METHOD = ZSDeconvNet()
