"""One call as a verb sees it: what was asked, the images, and where the results go.

`Call` hides whether pixels come in blocks or files and whether they leave in blocks or files. A `Verb` is a command with two
functions: what it would make (`plan`) and how it makes it (`run`). Verbs stand in `superlens.bridge.verbs`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray

from superlens.bridge.listening import Telling
from superlens.bridge.parameters import Command
from superlens.bridge.protocol import (
    LARGEST_BLOCK,
    InputSpec,
    OutputSpec,
    Request,
    Response,
    fill_block,
    read_block,
)
from superlens.cli.failures import quiet_native_output
from superlens.cli.folders import find_inputs, stem_of
from superlens.cli.options import ImageChoice, LearningChoice
from superlens.errors import SuperlensError
from superlens.image import Image, check_image

__all__ = ["Call", "Made", "Source", "Verb", "learning_of", "start_engine", "transfer_of"]

C = TypeVar("C")

_UNFIT_FOR_NAMES = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image that a call works on.

    Attributes
    ----------
    image : Image
    file : Path
        Where it came from; for pixels from a block a path that does not exist, whose stem is the image's name.
    """

    image: Image
    file: Path


class Made(NamedTuple):
    """An image that a call has made, and what it is."""

    spec: OutputSpec
    image: Image


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A request with everything that belongs to it.

    Attributes
    ----------
    request : Request
    arguments : dict
        The request's parameters by their Python names, None where not given.
    blocks_in, blocks_out : sequence of ndarray
        Memory of the caller.
    progress : Telling
    """

    request: Request
    arguments: Mapping[str, Any]
    blocks_in: Sequence[NDArray[Any]]
    blocks_out: Sequence[NDArray[Any]]
    progress: Telling

    def choice(self, kind: type[C]) -> C:
        """Gather arguments into one of the choices of the command line, such as `OpticsChoice`."""
        given = {field.name: self.arguments.get(field.name) for field in fields(kind)}  # type: ignore[arg-type]
        standard = {field.name for field in fields(kind) if field.default is not MISSING}  # type: ignore[arg-type]
        return kind(**{name: value for name, value in given.items() if value is not None or name not in standard})

    def path(self, argument: str) -> Path | None:
        """A path among the arguments."""
        value = self.arguments.get(argument)
        return None if value is None else Path(value)

    def sources(self, *, checked: bool = True) -> list[Source]:
        """Read every image of the call; unless `checked` is false, those that cannot be worked on are refused.

        Raises
        ------
        SuperlensError
            When there is none, or one cannot be read or worked on.
        """
        file = self.path("input")
        found = [self._from_file(path) for path in find_inputs([file])] if file is not None else []
        blocks = iter(self.blocks_in)
        for spec in self.request.inputs:
            if spec.path is not None:
                found.append(self._from_file(Path(spec.path)))
            else:
                found.append(self._from_block(spec, next(blocks, None), checked))
        if not found:
            raise SuperlensError("there is no image; open one, or name a file in input.")
        return found

    def expected(self) -> list[tuple[InputSpec, Path]]:
        """Describe every image of the call without its pixels, as far as they come in blocks."""
        file = self.path("input")
        files = find_inputs([file]) if file is not None else []
        found = [self._described(path) for path in files]
        for spec in self.request.inputs:
            found.append(
                self._described(Path(spec.path)) if spec.path is not None else (self._sampled(spec), _named(spec))
            )
        if not found:
            raise SuperlensError("there is no image; open one, or name a file in input.")
        return found

    def wanted(self, role: str) -> OutputSpec | None:
        """The output of a role that the caller asked for."""
        return next((spec for spec in self.request.outputs if spec.role == role), None)

    def deliver(self, made: Sequence[Made]) -> tuple[tuple[OutputSpec, ...], tuple[str, ...]]:
        """Put what was made into the blocks that the caller gave.

        Returns
        -------
        tuple of OutputSpec
            For each that was wanted, in the order of the request.
        tuple of str
            A line for each that was wanted and not made.
        """
        if len(self.request.outputs) > len(self.blocks_out):
            raise SuperlensError(
                f"{len(self.request.outputs)} outputs are asked for and {len(self.blocks_out)} blocks are there; "
                "expected one for each."
            )
        by_role = {item.spec.role: item for item in made}
        given, messages = [], []
        for index, spec in enumerate(self.request.outputs):
            item = by_role.get(spec.role)
            if item is None:
                messages.append(f"there is no {spec.role} image with these settings.")
                continue
            fill_block(spec, self.blocks_out[index], item.image.data)
            given.append(item.spec.with_changes({"block": index, "show": spec.show}))
        return tuple(given), tuple(messages)

    def _from_file(self, path: Path) -> Source:
        return Source(self.choice(ImageChoice).read(path), path)

    def _from_block(self, spec: InputSpec, block: NDArray[Any] | None, checked: bool) -> Source:
        if block is None:
            raise SuperlensError(f"the image {spec.name} has neither a block nor a path; send its pixels.")
        image = self._sampled(spec).image(read_block(spec, block))
        if checked:
            check_image(image)
            choice = self.choice(ImageChoice)
            image = choice.corrected(image) if choice.corrects else image
        return Source(image, _named(spec))

    def _sampled(self, spec: InputSpec) -> InputSpec:
        """Put what the user said of the sampling over what the image says, as for files."""
        given = {name: self.arguments.get(name) for name in ("pixel_nm", "z_step_nm")}
        return spec.with_changes({name: value for name, value in given.items() if value is not None})

    def _described(self, path: Path) -> tuple[InputSpec, Path]:
        image = self._from_file(path).image
        spec = InputSpec(
            name=stem_of(path),
            axes=image.axes,
            shape=image.data.shape,
            pixel_nm=image.pixel_nm,
            z_step_nm=image.z_step_nm,
            frame_interval_s=image.frame_interval_s,
            channel_names=image.channel_names,
        )
        return spec, path


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that can be asked for.

    Attributes
    ----------
    run : callable
        Does it.
    plan : callable or None
        Says what it would make, without doing it.
    command : Command or None
        The menu item and its parameters; None for what only the plugin asks.
    works : bool
        Whether it keeps the machine busy: of such calls one runs at a time.
    """

    run: Callable[[Call], Response]
    plan: Callable[[Call], Response] | None = None
    command: Command | None = None
    works: bool = False


def learning_of(call: Call) -> LearningChoice:
    """The settings of a training; those without a field of their own come as ``NAME=VALUE`` with blanks between."""
    given = {field.name: call.arguments.get(field.name) for field in fields(LearningChoice)}
    given["volume"] = given["volume"] or None  # an empty box in a dialog says nothing
    settings = tuple(pair for text in given["settings"] or () for pair in str(text).split())
    return LearningChoice(**{**given, "settings": settings})  # type: ignore[arg-type]


def transfer_of(inputs: Sequence[InputSpec], outputs: Sequence[OutputSpec]) -> str:
    """Say whether images go in "buffers" or are too large and go in "files"."""
    sizes = [*(spec.bytes for spec in inputs if spec.path is None), *(spec.bytes for spec in outputs)]
    return "files" if any(size > LARGEST_BLOCK for size in sizes) else "buffers"


_ENGINE = threading.Lock()
_CHOSEN: list[tuple[str | None, int | None]] = []


def start_engine(call: Call) -> str:
    """Load TensorFlow, choose device and threads once, and tell the device to the listener.

    Returns
    -------
    str
        The device, in words.

    Raises
    ------
    SuperlensError
        When another device is asked for than the engine runs on.
    """
    call.progress.loading("loading")
    asked = (call.arguments.get("device"), call.arguments.get("threads"))
    with _ENGINE:
        if not _CHOSEN:
            _choose(asked)
            _CHOSEN.append(asked)
        from superlens.training import device_in_use

        device = device_in_use()
        if asked != (None, None) and asked != _CHOSEN[0]:
            raise SuperlensError(
                f"device is {asked[0] or 'left open'} and threads is {asked[1] or 'left open'}, and the engine runs on "
                f"{device} already; restart it in Superlens Setup, or leave both out."
            )
    call.progress.runs_on(device)
    call.progress.check()
    return device


def _choose(asked: tuple[str | None, int | None]) -> None:
    with quiet_native_output():
        from superlens.training import select_device

        try:
            select_device(*asked)
        except SuperlensError:
            if asked != (
                None,
                None,
            ):  # else this Python has used its devices before Fiji was started, and goes on with them
                raise


def _named(spec: InputSpec) -> Path:
    name = _UNFIT_FOR_NAMES.sub("_", Path(spec.name).name).strip("_.") or "image"
    stem = re.sub(r"\.(tiff?|ome\.tiff?|mrc|dv|png|czi|nd2|lif)$", "", name, flags=re.IGNORECASE)
    return Path(f"{stem or 'image'}.block")
