"""What a call from Fiji brings to a request: its listener, its blocks of memory, and the engine, which is chosen once."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from superlens.bridge.listening import Telling
from superlens.bridge.protocol import InputSpec, OutputSpec, Request, fill_block, read_block
from superlens.errors import SuperlensError
from superlens.progress import Progress
from superlens.quiet import quiet_native_output
from superlens.runs.verb import Made, Source

__all__ = ["CallSession", "delivered", "described", "images_of", "outlines_of"]

_UNFIT_FOR_NAMES = re.compile(r"[^\w.+-]+")


class CallSession:
    """A request from Fiji; see `superlens.runs.verb.Session`."""

    resumes = False
    stopped = False

    def __init__(self, request: Request, telling: Telling) -> None:
        self._request, self._telling = request, telling
        self.began = datetime.now().astimezone()
        self.notes: list[str] = []
        self.warned: list[str] = []
        self.device: str | None = None

    @property
    def progress(self) -> Progress:
        """The listener, who may end the work, and is offered looks at a training."""
        return self._telling

    def command(self) -> list[str]:
        """The verb, and what was said, as ``key=value``."""
        given = {k: v for k, v in self._request.parameters.items() if v not in (None, "", False)}
        return [
            self._request.verb, *(f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in given.items())
        ]  # fmt: skip

    def engine(self, device: str | None, threads: int | None) -> str:
        """Load the engine, choose device and threads once, and tell the device to the listener.

        Raises
        ------
        SuperlensError
            When another device is asked for than the engine runs on.
        """
        self._telling.loading("loading")
        self.device = _started((device, threads))
        self._telling.runs_on(self.device)
        self._telling.check()
        return self.device

    def note(self, message: str) -> None:
        """Keep a note for the answer."""
        self.notes.append(message)

    def wrote(self, path: Path) -> None:
        """Said in the answer."""

    def first(self, path: Path) -> None:
        """The picture itself is shown."""

    def check(self) -> None:
        """End the call if nothing of it is wanted any more."""
        self._telling.check()

    def pace(self, stage: str) -> float | None:
        """Seconds that a step of a stage took."""
        return self._telling.pace(stage)

    def reached(self, stage: str) -> int:
        """Steps of a stage that were done."""
        return self._telling.reached(stage)

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return self._telling.seconds


_ENGINE = threading.Lock()
_CHOSEN: list[tuple[str | None, int | None]] = []


def _started(asked: tuple[str | None, int | None]) -> str:
    with _ENGINE:
        if not _CHOSEN:
            _choose(asked)
            _CHOSEN.append(asked)
        from superlens.training import device_in_use

        device = device_in_use()
        if asked != (None, None) and asked != _CHOSEN[0]:
            raise SuperlensError(
                f"`device` is {asked[0] or 'left open'} and `threads` is {asked[1] or 'left open'}, and the engine runs on "
                f"{device} already; restart it in Superlens Setup, or leave both out."
            )
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


def images_of(request: Request, blocks: Sequence[NDArray[Any]], given: Mapping[str, Any]) -> list[Source]:
    """The images of a call that came in blocks of memory, and those that it names in files of the plugin's own."""
    rest, found = iter(blocks), []
    for spec in request.inputs:
        if spec.path is None:
            block = next(rest, None)
            if block is None:
                raise SuperlensError(f"the image {spec.name} has neither a block nor a path; send its pixels.")
            found.append(Source(_sampled(spec, given).image(read_block(spec, block)), _named(spec)))
    return found


def outlines_of(request: Request, given: Mapping[str, Any]) -> list[Source]:
    """The same without their pixels."""
    import numpy as np

    specs = [spec for spec in request.inputs if spec.path is None]
    nothing = [np.broadcast_to(np.zeros((), spec.dtype), spec.shape) for spec in specs]
    return [Source(_sampled(spec, given).image(data), _named(spec)) for spec, data in zip(specs, nothing, strict=True)]


def _sampled(spec: InputSpec, given: Mapping[str, Any]) -> InputSpec:
    """Put what the user said of the sampling over what the image says, as for files."""
    said = {name: given.get(name) for name in ("pixel_nm", "z_step_nm")}
    return spec.with_changes({name: value for name, value in said.items() if value is not None})


def _named(spec: InputSpec) -> Path:
    name = _UNFIT_FOR_NAMES.sub("_", Path(spec.name).name).strip("_.") or "image"
    stem = re.sub(r"\.(tiff?|ome\.tiff?|mrc|dv|png|czi|nd2|lif)$", "", name, flags=re.IGNORECASE)
    return Path(f"{stem or 'image'}.block")


def described(made: Made) -> OutputSpec:
    """Say what an image is that was or will be made."""
    spec = OutputSpec.of(made.role, made.image, made.name, scale=made.scale, show=made.show)
    return spec.with_changes({"channels": made.channels})


def delivered(
    request: Request, made: Sequence[Made], blocks: Sequence[NDArray[Any]]
) -> tuple[list[OutputSpec], list[str]]:
    """Put what was made into the blocks that the caller gave, and describe it; files too.

    Returns
    -------
    list of OutputSpec
        For each that was wanted, in the order of the request, then for each that lies in a file.
    list of str
        A line for each that was wanted and not made.
    """
    if len(request.outputs) > len(blocks):
        raise SuperlensError(
            f"{len(request.outputs)} outputs are requested and {len(blocks)} blocks are there; expected one for each."
        )
    by_role: dict[str, Made] = {}
    for one in made:
        by_role.setdefault(one.role, one)
    given, lacking = [], []
    for index, spec in enumerate(request.outputs):
        found = by_role.get(spec.role)
        if found is None:
            lacking.append(f"there is no {spec.role} image with these settings.")
            continue
        fill_block(spec, blocks[index], found.image.data)
        given.append(described(found).with_changes({"block": index, "show": spec.show}))
    in_files = [
        described(one).with_changes({"path": str(one.path), "name": one.path.stem})
        for one in made
        if one.path is not None
    ]
    return [*given, *in_files], lacking
