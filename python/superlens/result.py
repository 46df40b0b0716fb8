"""What came out: images and tables by role, with their history, for one channel or several.

A method says by `superlens.method.Role` what it gives; a `Result` holds it. One channel is a tuple of length one, so that nobody has to ask how many
there are. Writing is left to `superlens.runs`, judging to whatever evidence the method brings.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from superlens.image import Image, channel_name
from superlens.model import ChannelModels, Model
from superlens.progress import in_notebook
from superlens.report import Provenance, Verdict, combined, render_channels
from superlens.showing import pictures
from superlens.training import History

if TYPE_CHECKING:
    from superlens.smlm import Localizations

__all__ = ["Channel", "Evidence", "Result"]

_SHOWN = 4  # pictures in a notebook


class Evidence(Protocol):
    """What speaks for and against a result; see `superlens.evidence`."""

    @property
    def title(self) -> str:
        """Of its page."""

    def numbers(self) -> Mapping[str, Any]:
        """Numbers by name."""

    def verdict(self) -> Verdict:
        """One judgement, with its reasons."""

    def html(self) -> str:
        """A self-contained page."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Channel:
    """What a model made of one channel.

    Attributes
    ----------
    images, tables : mapping
        By role, the most important first.
    masks : mapping
        Boolean arrays on the grid of an image, by what is true there.
    model : Model
    observation : object
        The input as the method understood it.
    history : History or None
        Of the training, when this process trained the model.
    parameters : mapping
        Settings, optics and camera in words and numbers.
    messages : tuple of str
        What the user should know.
    speaks : callable
        Makes the evidence of this channel, with the provenance of a run or None.
    """

    images: Mapping[str, Image]
    model: Model
    observation: Any
    history: History | None
    parameters: Mapping[str, Any]
    messages: tuple[str, ...]
    speaks: Callable[[Channel, Provenance | None], Evidence]
    tables: Mapping[str, Localizations] = field(default_factory=dict)
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def image(self) -> Image | None:
        """The super-resolved image, float32, counts above the offset (or electrons); None when only denoising."""
        return self.images.get("sharp")

    @property
    def denoised(self) -> Image:
        """The denoised image at camera sampling, same unit."""
        return self.images["denoised"]

    @property
    def uncertainty(self) -> Image | None:
        """Standard deviation of the error of `image` that the model states for each pixel, same unit; None where none is stated."""
        return self.images.get("uncertainty")

    @property
    def prior_only(self) -> NDArray[np.bool_] | None:
        """True where detail was added that the data neither support nor contradict, planes ``(N, Y, X)``; None where nobody knows."""
        return self.masks.get("prior_only")

    def evidence(self, provenance: Provenance | None = None) -> Evidence:
        """What speaks for and against it."""
        return self.speaks(self, provenance)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came out of one input.

    Attributes
    ----------
    channels : tuple of Channel
        One for each channel that has a model of its own; one for an input whose planes are of one kind.
    numbers : tuple of int
        Index of each along C of the input; empty for an input whose planes are of one kind.
    like : Image
        The input with these channels: axes, names and sampling of what is put together.
    """

    channels: tuple[Channel, ...]
    numbers: tuple[int, ...]
    like: Image

    @classmethod
    def of(cls, channel: Channel, like: Image) -> Result:
        """The result of an input whose planes are of one kind."""
        return cls((channel,), (), like)

    def __repr__(self) -> str:
        """The verdict, and what there is by role, in one line."""
        return f"Result({self.verdict.line} Roles: {', '.join((*self.roles, *self.tables))})"

    def _repr_html_(self) -> str:
        """What went in and what came out as pictures, under the verdict, in a notebook."""
        shown = [("input", self.like.data), *((role, image.data) for role, image in self.images())]
        return pictures(shown[:_SHOWN], self.verdict.line)

    def show(self) -> None:
        """Show the report: below the cell of a notebook, in the web browser elsewhere."""
        if in_notebook():
            from IPython.display import HTML, display

            page = html.escape(self.report, quote=True)
            display(HTML(f'<iframe srcdoc="{page}" style="width:100%;height:900px;border:0"></iframe>'))
            return
        import tempfile
        import webbrowser

        folder = Path(tempfile.mkdtemp(prefix="superlens-"))
        (folder / "report.html").write_text(self.report, encoding="utf-8")
        webbrowser.open((folder / "report.html").as_uri())

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the images that every channel has, the most important first."""
        return tuple(role for role in self.channels[0].images if all(role in one.images for one in self.channels))

    def __getitem__(self, role: str) -> Image:
        """The image of a role, channels put together along C."""
        images = [channel.images[role] for channel in self.channels]
        if not self.numbers:
            return images[0]
        first = images[0]
        axes = "".join(axis for axis in "TCZYX" if axis == "C" or axis in first.axes)
        like = self.like
        if axes != like.axes:  # a method may give one plane for many frames
            like = replace(like, z_step_nm=first.z_step_nm, frame_interval_s=first.frame_interval_s)
        at = axes.index("C")
        told = [image.history["superlens"] for image in images]
        pairs = zip(self.numbers, told, strict=True)
        history = {"what": told[0]["what"], "channels": [{"channel": number, **one} for number, one in pairs]}
        return replace(
            like,
            data=np.stack([image.data for image in images], axis=at),
            axes=axes,
            pixel_nm=first.pixel_nm,
            history={**self.like.history, "superlens": history},
        )

    def images(self) -> Iterator[tuple[str, Image]]:
        """Every image with its role, the most important first."""
        for role in self.roles:
            yield role, self[role]

    @property
    def tables(self) -> Mapping[str, Localizations]:
        """Tables by role."""
        return self.channels[0].tables

    @property
    def image(self) -> Image | None:
        """The super-resolved image, float32, counts above the offset (or electrons); None when only denoising."""
        return self["sharp"] if "sharp" in self.roles else None

    @property
    def denoised(self) -> Image:
        """The denoised image at camera sampling, same unit."""
        return self["denoised"]

    @property
    def uncertainty(self) -> Image | None:
        """Standard deviation of the error of `image` that the model states for each pixel; None where none is stated."""
        return self["uncertainty"] if "uncertainty" in self.roles else None

    @property
    def prior_only(self) -> NDArray[np.bool_] | None:
        """True where detail rests on the prior alone, the shape of `image`; None where nobody knows."""
        masks = [channel.prior_only for channel in self.channels]
        known = [mask for mask in masks if mask is not None]
        if len(known) < len(masks):
            return None
        if not self.numbers:
            return known[0]
        at, shape = self.like.axes.index("C"), self.channels[0].images["sharp"].data.shape
        return np.stack([mask.reshape(shape) for mask in known], at)

    @property
    def model(self) -> Model | ChannelModels:
        """The model, or one for each channel."""
        if not self.numbers:
            return self.channels[0].model
        return ChannelModels(self.numbers, tuple(channel.model for channel in self.channels))

    @property
    def observation(self) -> Any:
        """The input as it was understood, of the first channel."""
        return self.channels[0].observation

    @property
    def history(self) -> History | None:
        """Of the training of the first channel, when this process trained it."""
        return self.channels[0].history

    @property
    def names(self) -> tuple[str, ...]:
        """What each channel is called; one empty name for an input whose planes are of one kind."""
        if not self.numbers:
            return ("",)
        return tuple(channel_name(self.like, at, number) for at, number in enumerate(self.numbers))

    @property
    def messages(self) -> tuple[str, ...]:
        """What the user should know; of several channels each message with its channel."""
        pairs = zip(self.names, self.channels, strict=True)
        return tuple(f"{name}: {text}" if name else text for name, channel in pairs for text in channel.messages)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Settings, optics and camera; of several channels by channel."""
        return self._by_name([channel.parameters for channel in self.channels])

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Numbers that show whether the result agrees with the data; of several channels by channel."""
        return self._by_name([channel.evidence().numbers() for channel in self.channels])

    @property
    def report(self) -> str:
        """A self-contained HTML page that shows why to trust the result."""
        return self.page()

    def page(self, provenance: Provenance | None = None) -> str:
        """The report, with the provenance of a run."""
        found = [channel.evidence(provenance) for channel in self.channels]
        if not self.numbers:
            return found[0].html()
        shown = [(name, one.verdict(), one.html()) for name, one in zip(self.names, found, strict=True)]
        name = self.like.name or "unnamed image"
        return render_channels(shown, title=found[0].title, image_name=name, created=datetime.now().astimezone())

    @property
    def verdict(self) -> Verdict:
        """The judgement of the result, the worst of its channels: grade, headline, sentence and reasons."""
        return combined(self.verdicts())

    def verdicts(self) -> Mapping[str, Verdict]:
        """The judgement of each channel, by its name."""
        return {name: channel.evidence().verdict() for name, channel in zip(self.names, self.channels, strict=True)}

    def _by_name(self, values: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        return values[0] if not self.numbers else dict(zip(self.names, values, strict=True))
