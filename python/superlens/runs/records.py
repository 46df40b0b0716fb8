"""What a run leaves behind: images and tables by role, a report for each input, and ``run.json``, which tells how they were made.

One writer and one schema for every method; docs/formats.md describes it.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from superlens.host import versions
from superlens.image import Image
from superlens.io import write, write_localizations
from superlens.method import Method, Role
from superlens.report import Provenance
from superlens.result import Channel, Result
from superlens.runs.folders import stem_of
from superlens.runs.verb import Session
from superlens.training import device_in_use

__all__ = ["SCHEMA", "Record", "digest_of", "plain", "report_name", "result_names"]

SCHEMA = 1
"""Version of the layout of ``run.json``."""


def file_name(role: Role, stem: str) -> str:
    """The file of a role of an input."""
    ending = ".csv" if role.table else ".tif"
    return f"{role.ending}{ending}" if role.alone else f"{stem}_{role.ending}{ending}"


def report_name(file: Path, *, alone: bool) -> str:
    """The report of an input, which is called by its name where there are several."""
    return "report.html" if alone else f"{stem_of(file)}_report.html"


def result_names(method: Method, files: Sequence[Path], roles: Sequence[str]) -> list[str]:
    """The files that a record will write for inputs, for the roles that will be there, but for the model."""
    shown = [role for role in method.gives if role.name in roles or role.table]
    images = [file_name(role, stem_of(file)) for file in files for role in shown]
    return [*images, *(report_name(file, alone=len(files) == 1) for file in files), "run.json"]


class Record:
    """Writes what a run made, input by input, and remembers it for ``run.json``.

    Parameters
    ----------
    method : Method
    session : Session
        For the command and the time at which the work began.
    alone : bool
        Whether there is one input, whose report is called ``report.html``.
    """

    def __init__(self, method: Method, session: Session, *, alone: bool) -> None:
        self._method, self._session, self._alone = method, session, alone
        self._results: list[dict[str, Any]] = []

    def write(
        self, folder: Path, file: Path, result: Result, more: Mapping[str, Image] | None = None
    ) -> dict[str, str]:
        """Write the images, tables and the report of one input.

        Parameters
        ----------
        folder : Path
            Where to; exists.
        file : Path
            The input; for one that came in no file, a path that does not exist and gives the name.
        result : Result
        more : mapping, optional
            Further images by role, such as a rendered table.

        Returns
        -------
        dict
            Role to file name, and "report" to that of the page, in the order in which to name them to the user.
        """
        names: dict[str, str] = {}
        for role, table in result.tables.items():
            names[role] = file_name(self._method.role(role), stem_of(file))
            write_localizations(folder / names[role], table)
        for role, image in [*result.images(), *(more or {}).items()]:
            names[role] = file_name(self._method.role(role), stem_of(file))
            write(folder / names[role], image)
        digest = digest_of(file, result)
        where = "file" if file.exists() else "pixels"
        provenance = Provenance(
            command=shlex.join(self._session.command()),
            device=device_in_use(),
            input_digest=f"sha256 of the {where}: {digest}",
            started=self._session.began,
            duration_s=(datetime.now(UTC) - self._session.began).total_seconds(),
        )
        names["report"] = report_name(file, alone=self._alone)
        (folder / names["report"]).write_text(result.page(provenance), encoding="utf-8")
        self._results.append(self._about(file, result, digest, names))
        return names

    def write_run(self, folder: Path) -> str:
        """Write ``run.json``: command, versions, inputs with digests, and what is known of each result."""
        told = {
            "schema": SCHEMA,
            "method": self._method.name,
            "command": self._session.command(),
            "device": device_in_use(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "results": self._results,
        }
        text = json.dumps(plain(told), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / "run.json").write_text(text + "\n", encoding="utf-8")
        return "run.json"

    def _about(self, file: Path, result: Result, digest: str, names: Mapping[str, str]) -> dict[str, Any]:
        numbers = result.numbers or (None,)
        channels = zip(numbers, result.names, result.channels, strict=True)
        return {
            "input": str(file),
            "sha256": digest,
            "axes": result.like.axes,
            "shape": list(result.like.data.shape),
            "pixel_nm": result.like.pixel_nm,
            "files": dict(names),
            "channels": [_of_channel(number, name, channel) for number, name, channel in channels],
        }


def _of_channel(number: int | None, name: str, channel: Channel) -> dict[str, Any]:
    evidence = channel.evidence()
    return {
        "channel": number,
        "name": name,
        "parameters": channel.parameters,
        "metrics": evidence.numbers(),
        "verdict": asdict(evidence.verdict()),
        "messages": list(channel.messages),
        "stopped": None if channel.history is None else channel.history.stopped,
    }


def digest_of(path: Path, result: Result | None = None) -> str:
    """SHA-256 of a file, of all files of a folder, or of the pixels that a result was made of where there was none."""
    if result is not None and not path.exists():
        return hashlib.sha256(np.ascontiguousarray(result.like.data).tobytes()).hexdigest()
    if path.is_dir():  # an OME-Zarr
        whole = hashlib.sha256()
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            whole.update(f"{file.relative_to(path).as_posix()} {digest_of(file)}\n".encode())
        return whole.hexdigest()
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def plain(value: Any) -> Any:
    """Turn a value into one that strict JSON has: numbers that are not finite become null, unknown types text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    item = getattr(value, "item", None)
    return plain(item()) if callable(item) and getattr(value, "ndim", None) == 0 else str(value)
