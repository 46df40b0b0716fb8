"""What can be requested, and one request: the same value for a shell, a menu and a notebook.

A `Verb` is a name, the parameters that may be said with it, and a function from a `Request` to an `Outcome`. A request holds what was
said, the images that came with it, and the `Session` of the door: where to tell how far the work is, how to start the engine, what to
call the request in a record.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from superlens.backend import choose_backend
from superlens.errors import SuperlensError, printable
from superlens.parameters import Parameter
from superlens.runs.choices import ChannelOptics, Reading, gathered
from superlens.runs.folders import OutputFolder, find_inputs, nested_folders

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.method import Method
    from superlens.progress import Progress
    from superlens.report import Verdict

T = TypeVar("T")

_NESTED = "is a folder inside a folder and is not read; name it to include it"

__all__ = ["Made", "Outcome", "Plan", "Request", "Session", "Sheet", "Source", "Verb", "why_left_out"]


def why_left_out(paths: Mapping[str, str]) -> list[str]:
    """Name and reason of each path, in a line.

    Examples
    --------
    >>> why_left_out({"cells/a.png": "a.png holds colours", "cells/b.tif": "all pixels are equal"})
    ['a.png holds colours', 'b.tif, all pixels are equal']
    """
    named = ((Path(path).name, why) for path, why in paths.items())
    return [why if name in why else f"{name}, {why}" for name, why in named]


class Session(Protocol):
    """What a door brings to a request.

    Attributes
    ----------
    began : datetime
    resumes : bool
        Whether a run that was killed may be gone on with: only then a checkpoint is kept.
    stopped : bool
        Whether the user has asked for an early end.
    warned : list of str
        Warnings that the user was given so far, for the record.
    """

    began: datetime
    resumes: bool
    stopped: bool
    warned: list[str]

    @property
    def progress(self) -> Progress:
        """Hears where the work is, and may raise to end it."""

    def command(self) -> list[str]:
        """What was asked for, in words, for the record."""

    def engine(self, device: str | None, threads: int | None) -> str:
        """Load the networks' engine, and return what it runs on in words."""

    def note(self, message: str) -> None:
        """Tell the user something now."""

    def wrote(self, path: Path) -> None:
        """Tell the user that a file is there."""

    def first(self, path: Path) -> None:
        """Tell the user that a first picture is there, which results will replace."""

    def check(self) -> None:
        """End the request if nothing of it is wanted any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image that a request works on.

    Attributes
    ----------
    image : Image
    file : Path
        Where it came from; for pixels that came in no file a path that does not exist, whose stem is the image's name.
    """

    image: Image
    file: Path


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """An image that a request has made.

    Attributes
    ----------
    role : str
    image : Image
    name : str
        Stem of its file, and title.
    scale : int
        Fine pixels along a pixel of the input.
    channels : tuple of int
        Index along C of the input of each channel; empty when the image has all of them.
    show : bool
        Whether it is what the user came for.
    path : Path or None
        The file that holds it.
    """

    role: str
    image: Image
    name: str
    scale: int = 1
    channels: tuple[int, ...] = ()
    show: bool = True
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Numbers to show as a table: names of the columns, and rows with a value or None for each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float | int | str | None, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of a request.

    Attributes
    ----------
    made : sequence of Made
        Images, those in files too.
    sheet : Sheet or None
    text : str
        Lines for a person.
    messages : sequence of str
        What the user should know.
    files : sequence of Path
        That were written, in the order in which to name them.
    early : bool
        Whether the user ended the work before its time.
    info : mapping
        What else there is.
    failed : bool
        Whether what was looked at is not as it should be.
    verdicts : mapping of str to Verdict
        Of each result, by the name of its input.
    """

    made: Sequence[Made] = ()
    sheet: Sheet | None = None
    text: str = ""
    messages: Sequence[str] = ()
    files: Sequence[Path] = ()
    early: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def verdict_lines(self) -> list[str]:
        """The verdict of each result in one line, with the name of its input where there are several."""
        several = len(self.verdicts) > 1
        return [f"{name}: {one.line}" if several else one.line for name, one in self.verdicts.items()]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a request would make and take.

    Attributes
    ----------
    made : sequence of Made
        Images whose data are only a shape and a type.
    memory_bytes, planes : int
    seconds : float or None
    in_files : bool
        Whether the inputs lie in files, so that they need not be handed over.
    notes : sequence of str
        What was decided where nothing was said.
    batch : sequence of Made
        The same as `made` of several inputs, whose results go to a folder: no door keeps room for them.
    reads : sequence of (Path, Reading) or None
        Files that are read and how, where these are not the request's own images.
    """

    made: Sequence[Made]
    memory_bytes: int
    planes: int
    seconds: float | None = None
    in_files: bool = False
    notes: Sequence[str] = ()
    batch: Sequence[Made] = ()
    reads: Sequence[tuple[Path, Reading]] | None = None


@dataclass(eq=False)
class Request:
    """One asking of a verb.

    Attributes
    ----------
    verb : Verb
    given : mapping
        What was said, by name; None or absent where nothing was.
    session : Session
    images : sequence of Source
        Images that came in no file.
    left_out : dict
        Files of a folder that could not be worked on, and why.
    """

    verb: Verb
    given: Mapping[str, Any]
    session: Session
    images: Sequence[Source] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choose_backend(self.given.get("backend"), self.given.get("device"))

    def get(self, name: str, otherwise: Any = None) -> Any:
        """What was said of a parameter."""
        value = self.given.get(name)
        return otherwise if value is None else value

    def path(self, name: str) -> Path | None:
        """A path among what was said.

        Raises
        ------
        SuperlensError
            When no disk could take a file of that name.
        """
        value = self.given.get(name)
        if value is None:
            return None
        path = Path(value)
        try:
            os.lstat(path)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
                why = getattr(error, "strerror", None) or str(error)
                raise SuperlensError(
                    f"`{name}` is {printable(str(path)[:80])}...; the disk takes no such name ({why}). Give another one."
                ) from error
        return path

    @property
    def reading(self) -> Reading:
        """How files are read."""
        made: Reading = gathered(Reading, self.given)
        return made

    @property
    def optics(self) -> ChannelOptics:
        """Channels and their optics."""
        made: ChannelOptics = gathered(ChannelOptics, self.given)
        return made

    @functools.cached_property
    def files(self) -> list[Path]:
        """The image files that are named, and those in folders; with `sequence`, the folders that are images."""
        named = [Path(path) for path in self.get("inputs", ())]
        if self.get("sequence") or not named:
            return named
        found = find_inputs(named)
        self.left_out.update((str(path), f"{path.name} {_NESTED}") for path in nested_folders(named, found))
        return found

    def tried(self, path: Path, work: Callable[[], T]) -> T | None:
        """Do something with one of the files; one of several in a folder that cannot be worked on is left out, and told."""
        try:
            return work()
        except SuperlensError as error:
            if path in map(Path, self.get("inputs", ())) or len(self.files) == 1:
                raise
            self.left_out[str(path)] = str(error)
            return None

    def absent(self) -> list[str]:
        """What was left out, in lines for the user."""
        return [f"left out: {line}" for line in why_left_out(self.left_out)]

    def required(self, found: list[Source]) -> list[Source]:
        """Refuse a request of which nothing is left.

        Raises
        ------
        SuperlensError
        """
        refused = {path: why for path, why in self.left_out.items() if not why.endswith(_NESTED)}
        if not found and refused:
            path, why = next(iter(refused.items()))
            raise SuperlensError(f"none of the {len(refused)} images can be worked on; {Path(path).name}: {why}")
        if not found:
            raise SuperlensError("there is no image; open one, or name a file in `inputs`.")
        return found

    def sources(self, *, checked: bool = True) -> list[Source]:
        """Read every image of the request once; unless `checked` is false, those that cannot be worked on are refused.

        Raises
        ------
        SuperlensError
            When there is none, or one cannot be read or worked on.
        """
        return self.required(list(self.each(checked=checked)))

    def each(self, *, checked: bool = True) -> Iterator[Source]:
        """Read one image after the other, as `sources` does."""
        from superlens.image import check_image

        reading = self.reading
        for path in self.files:
            read = self.tried(path, lambda path=path: reading.read(path))  # type: ignore[misc]
            if read is not None:
                yield Source(read, path)
        for source in self.images:
            if checked:
                check_image(source.image)
            image = reading.corrected(source.image) if checked and reading.corrects else source.image
            yield Source(image, source.file)

    @property
    def method(self) -> str | None:
        """Name of the method that is asked for, by name or by its flag; None where nothing is said."""
        from superlens.methods import methods

        by_flag = [one.name for one in methods() if one.switch and self.given.get(one.switch)]
        return by_flag[0] if by_flag else self.get("method")

    def for_method(self, method: Method) -> Request:
        """The request with the axes that a method gives to planes which a file leaves without a name."""
        from superlens.io.metadata import UnnamedFrames

        if not method.unnamed or self.given.get("axes"):
            return self
        try:
            for path in self.files:
                self.reading.file(path).open()
        except UnnamedFrames:
            return replace(self, given={**self.given, "axes": method.unnamed})
        except SuperlensError:
            pass  # refused where it is read, with the others
        return self

    def engine(self) -> str:
        """Load the engine on the device that is asked for, and return it in words."""
        return self.session.engine(self.get("device"), self.get("threads"))

    def folder(self, path: Path, *more: Path | None) -> OutputFolder:
        """A folder to write to, in which the inputs, and more, are not overwritten."""
        spared = [source.file for source in self.images] + self.files + [one for one in more if one is not None]
        return OutputFolder(path, tuple(spared))


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that can be asked for.

    Attributes
    ----------
    name : str
    help : str
        What it does and writes, for a shell.
    summary : str
        One sentence, for a menu.
    label : str
        Of the menu item; empty for what is in no menu.
    parameters : callable
        Gives the parameters, asked each time, since methods may have been added.
    run : callable
    plan : callable or None
        Says what it would make, without doing it.
    inputs : {"images", "one", "none"}
        Files that a shell takes as arguments.
    works : bool
        Whether it keeps the machine busy: of such requests one runs at a time.
    """

    name: str
    help: str
    summary: str
    label: str
    parameters: Callable[[], tuple[Parameter, ...]]
    run: Callable[[Request], Outcome]
    plan: Callable[[Request], Plan] | None = None
    inputs: Literal["images", "one", "none"] = "none"
    works: bool = True
