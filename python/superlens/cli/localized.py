"""What a localization leaves behind: tables, images, the report, and ``run.json``."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from superlens.cli.results import command_line, digest_of_file, plain
from superlens.host import versions
from superlens.io import write, write_localizations
from superlens.report import Provenance
from superlens.training import device_in_use

if TYPE_CHECKING:
    from superlens.io import LazyImage
    from superlens.methods.deepstorm import Localized

__all__ = ["FILES", "bytes_needed", "write_localized"]

FILES = ("localizations.csv", "localizations_linked.csv", "density.tif", "rendered.tif", "report.html", "run.json")

_ROW_BYTES = 150
_ROWS_PER_PIXEL = 0.05  # of a dense frame


def bytes_needed(movie: LazyImage, render_nm: float) -> int:
    """About how much room the results of a movie take."""
    pixels = math.prod(movie.data.shape[-2:])
    frames = math.prod(movie.data.shape[:-2])
    rendered = ((movie.pixel_nm or 100.0) / render_nm) ** 2
    return int(pixels * (4 * 64 + 4 * rendered + 2 * _ROW_BYTES * _ROWS_PER_PIXEL * min(frames, 1000))) + 10_000_000


def write_localized(
    folder: Path,
    movie: Path,
    found: Localized,
    *,
    began: datetime,
    render_nm: float,
    keep_model: bool,
    command: Sequence[str] | None = None,
) -> None:
    """Write everything into a folder that exists; ``model.zip`` too where the model was trained for this movie.

    ``movie`` is a path that does not exist where the movie came in no file; ``command`` says what was asked for, instead of the line that
    started this process.
    """
    write_localizations(folder / "localizations.csv", found.localizations)
    write_localizations(folder / "localizations_linked.csv", found.linked)
    write(folder / "density.tif", found.density)
    rendered = found.rendered(render_nm)
    write(folder / "rendered.tif", rendered)
    if keep_model:
        found.model.save(folder / "model.zip")
    digest = digest_of_file(movie) if movie.exists() else None
    told = {
        "command": command_line(command),
        "device": device_in_use(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "movie": {"input": str(movie), "sha256": digest},
        "parameters": dict(found.parameters),
        "metrics": found.metrics,
        "messages": list(found.messages),
    }
    text = json.dumps(plain(told), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")
    provenance = Provenance(
        command=shlex.join(command_line(command)),
        device=device_in_use(),
        input_digest="none: the movie came in no file" if digest is None else f"sha256 of the file: {digest}",
        started=began,
        duration_s=(datetime.now(UTC) - began).total_seconds(),
    )
    (folder / "report.html").write_text(found.report(rendered, provenance), encoding="utf-8")
