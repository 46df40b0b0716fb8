"""Which channels a run works on, and the optics of each: ``--channel 0 --channel 1 --psf c0.tif --psf c1.tif``.

`ChannelOptics` is `OpticsChoice` with values that may be given once for each channel. With the images that were read it becomes a
`Channels`: the channels, and an `Objective` or a `PSF` for each. What the command line leaves open comes from the file: all channels,
and the wavelengths that its metadata state. What neither says is asked for in one line; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superlens.cli.options import OpticsChoice, gathered, optics_specs
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.methods.zsdeconv import ChannelResult, Result, ZSDeconvConfig
    from superlens.model import ChannelModels, Model
    from superlens.optics import PSF, Objective
    from superlens.progress import Progress

__all__ = ["ChannelOptics", "Channels", "channel_optics_options", "channel_option", "one_or_several"]

F = TypeVar("F", bound=Callable[..., Any])

_EACH = ("wavelength_nm", "excitation_nm", "psf")
"""What may differ between channels."""


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """The channels of a run.

    Attributes
    ----------
    images : list of Image
        With the channels that are worked on: several, or no axis C at all.
    numbers : tuple of int or None
        Their numbers, when there are several; None for one kind of plane.
    optics : list of (Objective, PSF or None)
        One for each channel; one in all when `numbers` is None.
    """

    images: list[Image]
    numbers: tuple[int, ...] | None
    optics: list[Objective | PSF | None]

    def enhance(
        self, config: ZSDeconvConfig, progress: Progress, *, checkpoint: Path | None = None
    ) -> Sequence[Result | ChannelResult]:
        """Enhance the images, each channel by a model of its own."""
        from superlens.methods import zsdeconv

        if self.numbers is None:
            return zsdeconv.enhance(
                self.images, self.optics[0], config=config, checkpoint=checkpoint, progress=progress
            )
        return zsdeconv.enhance(
            self.images, self.optics, channels=self.numbers, config=config, checkpoint=checkpoint, progress=progress
        )

    def train(
        self, config: ZSDeconvConfig, progress: Progress, *, checkpoint: Path | None = None
    ) -> Model | ChannelModels:
        """Train a model, or one for each channel."""
        from superlens.methods import zsdeconv

        if self.numbers is None:
            return zsdeconv.train(self.images, self.optics[0], config=config, checkpoint=checkpoint, progress=progress)
        return zsdeconv.train(
            self.images, self.optics, channels=self.numbers, config=config, checkpoint=checkpoint, progress=progress
        )


@dataclass(frozen=True, slots=True)
class ChannelOptics:
    """Channels and their optics as they were given; the other fields are those of `OpticsChoice`."""

    channel: tuple[int, ...]
    na: float | None
    wavelength_nm: tuple[float, ...]
    immersion_index: float | None
    sample_index: float | None
    modality: str | None
    excitation_nm: tuple[float, ...]
    pinhole_au: float | None
    sheet_thickness_nm: float | None
    psf_model: str | None
    psf: tuple[Path, ...]
    psf_pixel_nm: float | None
    psf_z_step_nm: float | None

    def one(self) -> OpticsChoice:
        """The optics of an image without channels.

        Raises
        ------
        SuperlensError
            When something was given more than once.
        """
        for name in _EACH:
            if len(getattr(self, name)) > 1:
                raise SuperlensError(
                    f"--{name.replace('_', '-')} is given {len(getattr(self, name))} times and there is one channel; "
                    "give it once."
                )
        return self._at(0, None)

    def resolve(self, images: Sequence[Image], *, denoise_only: bool) -> Channels:
        """Decide which channels of the images are meant, and load the optics of each.

        Raises
        ------
        SuperlensError
            When a channel does not exist or has no optics, or it is not clear which are meant.
        """
        counts = {image.sizes.get("C", 1) for image in images}
        if len(counts) > 1:
            raise SuperlensError(
                f"the images have {' and '.join(map(str, sorted(counts)))} channels; run those of one kind together."
            )
        count = counts.pop()
        numbers = tuple(sorted(set(self.channel))) or tuple(range(count))
        if len(numbers) < len(self.channel) or numbers[-1] >= count or list(numbers) != list(self.channel or numbers):
            raise SuperlensError(
                f"--channel is {', '.join(map(str, self.channel))}; expected rising numbers from 0 to {count - 1}, each once."
            )
        if len(numbers) == 1:
            kept = [image.select(c=numbers[0]) if "C" in image.axes else image for image in images]
            return Channels(kept, None, [self._load(self.one(), kept[0], 0, denoise_only)])
        self._refuse_unclear(numbers, count, images[0], denoise_only)
        lenses = [
            self._load(self._at(at, len(numbers)), images[0], number, denoise_only) for at, number in enumerate(numbers)
        ]
        return Channels(list(images), numbers, lenses)

    def _refuse_unclear(self, numbers: tuple[int, ...], count: int, image: Image, denoise_only: bool) -> None:
        told = len(self.psf) or len(self.wavelength_nm)
        if denoise_only and not told:
            return
        if len(self.excitation_nm) not in (0, 1, len(numbers)):
            raise SuperlensError(
                f"--excitation-nm is given {len(self.excitation_nm)} times for {len(numbers)} channels; give one for each."
            )
        if told == len(numbers) or (not told and self.na is not None and _stated(image, numbers)):
            return
        noun, option = ("PSF", "--psf") if self.psf else ("wavelength", "--wavelength-nm")
        given = f"{told or 'no'} {noun}{'s' * (told > 1)} ({option})" if told or self.na is not None else "no optics"
        lacking = f"; channel {numbers[told]} has none" if 0 < told < len(numbers) else ""
        raise SuperlensError(
            f"{image.name or 'the image'} has {count} channels and {given} for {len(numbers)} of them{lacking}. Give one "
            "--psf or --wavelength-nm for each, or choose channels with --channel, from 0."
        )

    def _at(self, at: int, channels: int | None) -> OpticsChoice:
        """The optics of the channel at a place; a value that is given once is that of all."""
        values = {field.name: getattr(self, field.name) for field in fields(OpticsChoice)}
        for name in _EACH:
            given = values[name]
            shared = name == "excitation_nm" and len(given) == 1
            values[name] = given[0 if shared else at] if given and (shared or at < len(given)) else None
        return OpticsChoice(**values)

    def _load(self, choice: OpticsChoice, image: Image, number: int, denoise_only: bool) -> Objective | PSF | None:
        from dataclasses import replace

        if not choice.given and denoise_only:
            return None
        stated = image.emission_nm[number] if number < len(image.emission_nm) else None
        if choice.psf is None and choice.wavelength_nm is None and choice.na is not None and stated is not None:
            choice = replace(choice, wavelength_nm=stated)
        return choice.load()


def _stated(image: Image, numbers: Sequence[int]) -> bool:
    return bool(image.emission_nm) and all(image.emission_nm[number] is not None for number in numbers)


def one_or_several(image: Image, channel: Sequence[int]) -> Image:
    """The channels of an image that ``--channel`` asks for; one of them comes without the axis C.

    Raises
    ------
    SuperlensError
        When there is no such channel.
    """
    if not channel:
        return image
    count = image.sizes.get("C", 1)
    if list(channel) != sorted(set(channel)) or channel[-1] >= count:
        raise SuperlensError(
            f"--channel is {', '.join(map(str, channel))}; expected rising numbers from 0 to {count - 1}, each once."
        )
    if len(channel) == 1:
        return image.select(c=channel[0]) if "C" in image.axes else image
    return image.with_channels(channel)


def channel_option(command: F) -> F:
    """Add ``--channel``; the command receives a tuple of numbers."""
    return _CHANNEL(command)


_CHANNEL = click.option(
    "--channel",
    multiple=True,
    type=click.IntRange(min=0),
    help="A channel to work on, from 0 (repeatable; default: all). Each has a --psf or --wavelength-nm of its own.",
)


def channel_optics_options(command: F) -> F:
    """Add the options about channels and optics; the command receives them as ``optics``."""
    return gathered(command, ChannelOptics, "optics", (_CHANNEL, *optics_specs(several=True)))
