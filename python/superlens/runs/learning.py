"""What a training is asked to learn with, and from: the method, its settings, the images and their optics.

Everything is read, or outlined, and checked here, before any training begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.method import ImageMethod
from superlens.methods import method as method_named
from superlens.runs.choices import Channels, settings_of
from superlens.runs.forecasts import Pace
from superlens.runs.verb import Request, Source

if TYPE_CHECKING:
    from superlens.method import Forecast, Settings

__all__ = ["PACE", "Learning", "chosen", "hollow", "outlines", "require_pixel_sizes", "training_sources"]

PACE = Pace()
"""Of training by what a step is like, and of the prediction of pixels by network."""


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """What a training is asked to learn with: the method, its settings, the images and their optics, channel by channel."""

    method: ImageMethod
    settings: Settings
    channels: Channels

    @classmethod
    def of(cls, request: Request, images: Sequence[Image]) -> Learning:
        """Take what a request says of the method, its settings and the optics of the channels.

        Raises
        ------
        SuperlensError
            When the images, their channels and the optics do not go together.
        """
        method = chosen(request)
        settings = settings_of(method, request.verb.name, request.given, request.verb.parameters())
        one = request.get("channel", ())
        settings = method.for_channel(settings, one[0], alone=True) if len(one) == 1 else settings
        needed = method.needs_optics(settings)
        return cls(method, settings, request.optics.resolve(images, needed=needed))

    @classmethod
    def planned(cls, request: Request) -> tuple[Learning, list[Source]]:
        """From outlines alone; what is given back are the outlines of what would be worked on."""
        request = request.for_method(chosen(request))
        found = outlines(request)
        learning = cls.of(request, [outline.image for outline in found])
        require_pixel_sizes(learning, found)
        pairs = zip(found, learning.channels.images, strict=True)
        return learning, [replace(outline, image=image) for outline, image in pairs]

    def forecast(self, sources: Sequence[Source] | Sequence[Image]) -> Forecast:
        """What the method says that learning takes."""
        images = [one.image if isinstance(one, Source) else one for one in sources]
        return self.method.forecast(self.settings, images, self.channels.optics[0])

    def remember(self, request: Request) -> None:
        """Keep how fast training was, and everything after it by pixel, for the next plan."""
        pace = getattr(request.session, "pace", None)
        step = None if pace is None else pace("training")
        if step is None:
            return
        steps = request.session.reached("training") * len(self.channels.optics)  # type: ignore[attr-defined]
        told = self.forecast(self.channels.images)
        PACE.keep(told.key, steps, step * steps)
        pixels = sum(image.data.size for image in self.channels.images)
        seconds = request.session.seconds - step * steps  # type: ignore[attr-defined]
        PACE.keep(f"pixel {told.key}", pixels, max(0.0, seconds))


def chosen(request: Request) -> ImageMethod:
    """The method of images that is asked for."""
    from superlens.methods import methods

    name = request.method
    found = method_named(name) if name else next(one for one in methods() if one.takes == "images")
    assert isinstance(found, ImageMethod)  # `superlens.runs.verbs` sends movies elsewhere
    return found


def require_pixel_sizes(learning: Learning, sources: Sequence[Source]) -> None:
    """Refuse images without a pixel size where the method computes with one.

    Raises
    ------
    SuperlensError
    """
    if not learning.method.needs_optics(learning.settings):
        return
    for source in sources:
        if source.image.pixel_nm is None:
            raise SuperlensError(
                f"{source.file} has no pixel size; give it with `pixel_nm`, in nanometres on the specimen."
            )


def training_sources(request: Request) -> list[Source]:
    """Read images to train on; of those that are larger than memory, windows spread over them."""
    from superlens.streaming import TRAINING_BYTES, for_training
    from superlens.tiling import free_memory

    memory_gb = request.get("memory_gb")
    memory = free_memory() / 2 if memory_gb is None else memory_gb * 1e9
    reading, large = request.reading, {}
    for path in request.files:
        source = reading.file(path).open()
        if source.data.size * TRAINING_BYTES > memory:
            if reading.corrects:
                raise SuperlensError(
                    f"{path.name} is larger than memory, and stripes and sensor maps are taken off whole images only; correct it first."
                )
            volume = request.get("volume") is not False and source.sizes.get("Z", 1) >= _LEAST_SLICES
            axes: Literal["YX", "ZYX"] = "ZYX" if volume else "YX"
            large[path] = for_training(source, axes=axes, memory_bytes=memory, seed=request.get("seed", 0))
            told = large[path].history["sampled"]
            request.session.note(
                f"{path.name} is larger than the memory for training: it learns from {told['windows']} windows of it, "
                f"{told['share']:.2g} of its pixels; `memory_gb` allows for more"
            )
    if not large:
        return request.sources()
    from superlens.image import check_image

    read = []
    for path in request.files:
        image = large[path] if path in large else reading.read(path)
        check_image(image)
        read.append(Source(image, path))
    return read


_LEAST_SLICES = 5  # of a volume


def outlines(request: Request) -> list[Source]:
    """The images of a request without their pixels: one value, repeated."""
    found = []
    for path in request.files:
        header = request.tried(path, lambda path=path: request.reading.file(path).open().header)  # type: ignore[misc]
        if header is not None:
            found.append(Source(header, path))
    return [replace(source, image=hollow(source.image)) for source in request.required([*found, *request.images])]


def hollow(image: Image) -> Image:
    """An image with the outline of another, and no pixels of its own."""
    return replace(image, data=np.broadcast_to(np.zeros((), np.float32), image.data.shape))
