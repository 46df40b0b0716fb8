"""What a run leaves behind: images, reports, and ``run.json``, which tells how they were made."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from superlens.cli.folders import stem_of
from superlens.evidence import gather
from superlens.host import versions
from superlens.io import write
from superlens.report import Provenance, render, render_channels
from superlens.training import device_in_use

if TYPE_CHECKING:
    from superlens.methods.zsdeconv import ChannelResult, Result
    from superlens.model import ChannelModels, Model

__all__ = ["command_line", "digest_of_file", "file_names", "parts_of", "plain", "write_results", "write_run"]


def file_names(files: Sequence[Path], denoise_only: bool) -> list[str]:
    """Names that `write_results` and `write_run` will use for these inputs."""
    kinds = ("denoised",) if denoise_only else ("sr", "denoised", "uncertainty")
    images = [f"{stem_of(file)}_{kind}.tif" for file in files for kind in kinds]
    reports = [_report_name(file, alone=len(files) == 1) for file in files]
    return [*images, *reports, "run.json"]


def write_results(
    folder: Path,
    files: Sequence[Path],
    results: Sequence[Result | ChannelResult],
    *,
    began: datetime,
    model: Model | ChannelModels | None = None,
    alone: bool | None = None,
    run: bool = True,
    command: Sequence[str] | None = None,
) -> list[str]:
    """Write the images and reports of a run.

    Parameters
    ----------
    folder : Path
        Where to; exists.
    files : sequence of Path
        The inputs, one for each result; for an image that came in no file, a path that does not exist and gives the name.
    results : sequence of Result
    began : datetime
        When the work began.
    model : Model, optional
        Written as ``model.zip`` when given.
    alone : bool, optional
        Whether the report is called ``report.html``; by default when there is one result.
    run : bool
        Whether to write ``run.json``.
    command : sequence of str, optional
        What was asked for, in words; the line that started this process when left out.

    Returns
    -------
    list of str
        Names of the files, in the order in which to name them to the user.
    """
    written: list[str] = []
    alone = len(files) == 1 if alone is None else alone
    for file, result in zip(files, results, strict=True):
        for kind, image in (("sr", result.image), ("denoised", result.denoised), ("uncertainty", result.uncertainty)):
            if image is not None:
                written.append(f"{stem_of(file)}_{kind}.tif")
                write(folder / written[-1], image)
    if model is not None:
        model.save(folder / "model.zip")
        written.append("model.zip")
    if run:
        write_run(folder, files, results, command=command)
        written.append("run.json")
    for file, result in zip(files, results, strict=True):
        written.append(_report_name(file, alone=alone))
        page = _page(result, _provenance(file, result, began, command))
        (folder / written[-1]).write_text(page, encoding="utf-8")
    return written


def _page(result: Result | ChannelResult, provenance: Provenance) -> str:
    parts = parts_of(result)
    pages = [gather(part, provenance=provenance).page() for part in parts]
    if len(parts) == 1:
        return render(pages[0])
    return render_channels(list(zip(_names(result), pages, strict=True)), created=datetime.now().astimezone())


def parts_of(result: Result | ChannelResult) -> tuple[Result, ...]:
    """The result itself, or those of its channels."""
    from superlens.methods.zsdeconv import ChannelResult

    return result.channels if isinstance(result, ChannelResult) else (result,)


def _names(result: Result | ChannelResult) -> tuple[str, ...]:
    from superlens.methods.zsdeconv import ChannelResult

    return result.names if isinstance(result, ChannelResult) else ("",)


def write_run(
    folder: Path,
    files: Sequence[Path],
    results: Sequence[Result | ChannelResult],
    *,
    command: Sequence[str] | None = None,
) -> None:
    """Write ``run.json``: command, versions, inputs with digests, and for each image its parameters and metrics."""
    told = {
        "command": command_line(command),
        "device": device_in_use(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "images": [_about(file, result) for file, result in zip(files, results, strict=True)],
    }
    text = json.dumps(plain(told), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")


def command_line(command: Sequence[str] | None = None) -> list[str]:
    """What was asked for: ``command``, or the line that started this process."""
    return ["superlens", *sys.argv[1:]] if command is None else list(command)


def _provenance(
    file: Path, result: Result | ChannelResult, began: datetime, command: Sequence[str] | None
) -> Provenance:
    return Provenance(
        command=shlex.join(command_line(command)),
        device=device_in_use(),
        input_digest=f"sha256 of the {'file' if file.exists() else 'pixels'}: {_digest(file, result)}",
        started=began,
        duration_s=(datetime.now(UTC) - began).total_seconds(),
    )


def _report_name(file: Path, *, alone: bool) -> str:
    return "report.html" if alone else f"{stem_of(file)}_report.html"


def _about(file: Path, result: Result | ChannelResult) -> dict[str, Any]:
    source = result.denoised
    histories = [part.history for part in parts_of(result)]
    stopped = [None if history is None else history.stopped for history in histories]
    return {
        "input": str(file),
        "sha256": _digest(file, result),
        "axes": source.axes,
        "shape": list(source.data.shape),
        "pixel_nm": source.pixel_nm,
        "parameters": result.parameters,
        "metrics": result.metrics,
        "messages": list(result.messages),
        "stopped": stopped[0] if len(stopped) == 1 else stopped,
    }


def _digest(path: Path, result: Result | ChannelResult) -> str:
    """Digest of the file, or of the pixels where there was none."""
    if path.exists():
        return digest_of_file(path)
    pixels = hashlib.sha256()
    for part in parts_of(result):
        pixels.update(np.ascontiguousarray(part.observation.image.data).tobytes())
    return pixels.hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder."""
    if path.is_dir():  # an OME-Zarr
        whole = hashlib.sha256()
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            whole.update(f"{file.relative_to(path).as_posix()} {digest_of_file(file)}\n".encode())
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
