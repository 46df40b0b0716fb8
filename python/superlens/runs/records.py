"""What a run leaves behind: images and tables by role, a report for each input, and ``run.json``, which records how they were made.

One writer and one schema for every method; docs/formats.md describes it.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from superlens.errors import printable
from superlens.host import versions
from superlens.image import Image
from superlens.io import write, write_localizations
from superlens.model import ChannelModels, Model
from superlens.report import IndexRow, Provenance, render_index
from superlens.result import Channel, Result
from superlens.runs.folders import stem_of
from superlens.runs.result_names import ResultNames, digest_of, identity_of
from superlens.runs.verb import Session, Source, why_left_out
from superlens.training import device_in_use

__all__ = ["SCHEMA", "Record", "plain"]

SCHEMA = 1
"""Version of the layout of ``run.json``."""


class Record:
    """Writes what a run made, input by input, and remembers it for ``run.json``.

    Parameters
    ----------
    place : ResultNames
        The names that the run may write.
    session : Session
        For the command and the time at which the work began.
    left_out : mapping
        Inputs that could not be worked on, and why.
    """

    def __init__(self, place: ResultNames, session: Session, left_out: Mapping[str, str] | None = None) -> None:
        self._place, self._session, self._left_out = place, session, left_out or {}
        self._results: list[dict[str, Any]] = []
        self._rows: list[IndexRow] = []
        self._model: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of all files so far."""
        results = [name for one in self._results for name in one["files"].values()]
        more = [name for name in (self._model, self._place.index) if name is not None]
        return [*results, self._place.record, *more]

    def write(
        self, folder: Path, source: Source, result: Result, more: Mapping[str, Image] | None = None
    ) -> dict[str, str]:
        """Write the images, tables and the report of one input.

        Parameters
        ----------
        folder : Path
            Where to; exists.
        source : Source
            The input.
        result : Result
        more : mapping, optional
            Further images by role, such as a rendered table.

        Returns
        -------
        dict
            Role to file name, and "report" to that of the page, in the order in which to name them to the user.
        """
        file, place = source.file, self._place
        names: dict[str, str] = {}
        for role, table in result.tables.items():
            names[role] = place.named(place.method.role(role), file)
            write_localizations(folder / names[role], table)
            beside = place.beside(names[role])
            if beside is not None:
                names[f"{role}_about"] = beside
        for role, image in [*result.images(), *(more or {}).items()]:
            names[role] = place.named(place.method.role(role), file)
            write(folder / names[role], image)
        where = "file" if file.exists() else "pixels"
        pixels = hashlib.sha256(np.ascontiguousarray(result.like.data).tobytes())
        digest = digest_of(file) if file.exists() else pixels.hexdigest()
        provenance = Provenance(
            command=printable(shlex.join(self._session.command())),
            device=device_in_use(),
            input_digest=f"sha256 of the {where}: {digest}",
            started=self._session.began,
            duration_s=(datetime.now(UTC) - self._session.began).total_seconds(),
            warnings=tuple(dict.fromkeys(self._session.warned)),
        )
        names["report"] = place.report(file)
        (folder / names["report"]).write_text(result.page(provenance), encoding="utf-8")
        self._results.append(self._about(source, result, digest, names))
        self._rows.append(IndexRow(stem_of(file), names["report"], result.verdict, _thumbnails(result)))
        return names

    def write_model(self, folder: Path, model: Model | ChannelModels) -> str:
        """Write the model that the results were made with; return its name."""
        self._model = self._place.model
        model.save(folder / self._model)
        return self._model

    def write_run(self, folder: Path) -> str:
        """Write the record: command, versions, inputs with digests, and what is known of each result so far; return its name."""
        told = {
            "schema": SCHEMA,
            "method": self._place.method.name,
            "command": self._session.command(),
            "device": device_in_use(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
            "model": self._model,
            "results": self._results,
            "left_out": dict(self._left_out),
            "warnings": list(dict.fromkeys(self._session.warned)),
            "index": self._place.index,
        }
        text = json.dumps(plain(told), indent=1, ensure_ascii=False, allow_nan=False)
        (folder / self._place.record).write_text(text + "\n", encoding="utf-8")
        if self._place.index is not None:
            page = render_index(
                self._rows,
                title="Results of superlens",
                created=datetime.now().astimezone(),
                left_out=why_left_out(self._left_out),
            )
            (folder / self._place.index).write_text(page, encoding="utf-8")
        return self._place.record

    def _about(self, source: Source, result: Result, digest: str, names: Mapping[str, str]) -> dict[str, Any]:
        numbers = result.numbers or (None,)
        channels = zip(numbers, result.names, result.channels, strict=True)
        return {
            "input": str(source.file.absolute() if source.file.exists() else source.file),
            "identity": identity_of(source),
            "sha256": digest,
            "axes": result.like.axes,
            "shape": list(result.like.data.shape),
            "pixel_nm": result.like.pixel_nm,
            "files": dict(names),
            "verdict": asdict(result.verdict),
            "channels": [_of_channel(number, name, channel) for number, name, channel in channels],
        }


def _thumbnails(result: Result) -> list[tuple[str, Any]]:
    """A plane of what went in and of what came out, of the first channel."""
    found = [("before", result.like.data)]
    if result.roles:
        found.append(("after", result[result.roles[0]].data))
    return [(name, np.asarray(_middle(data), dtype=float)) for name, data in found]


def _middle(data: Any) -> Any:
    planes = data.reshape(-1, *data.shape[-2:])
    return planes[len(planes) // 2]


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


def plain(value: Any) -> Any:
    """Turn a value into one that strict JSON has: numbers that are not finite become null, unknown types text."""
    if isinstance(value, Mapping):
        return {printable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return printable(value)
    if value is None or isinstance(value, bool | int):
        return value
    item = getattr(value, "item", None)
    return plain(item()) if callable(item) and getattr(value, "ndim", None) == 0 else str(value)
