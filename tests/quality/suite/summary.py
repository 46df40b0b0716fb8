"""One JSON of all finished cells: what the tables and the documentation are made from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .store import Cell, Store, provenance

__all__ = ["Summary", "gather", "load"]

Summary = dict[str, Any]


def gather(cells: Sequence[Cell], store: Store, out: Path) -> Summary:
    """Collect the finished cells and write ``summary.json``."""
    records = {cell.name: record for cell in cells if (record := store.record(cell)) is not None}
    summary = {
        "written": provenance(),
        "missing": [cell.name for cell in cells if cell.name not in records],
        "cells": {
            name: {k: record[k] for k in ("key", "numbers", "seconds", "git", "date", "machine", "load", "parameters")}
            for name, record in records.items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    beside = out / "summary.json.part"
    beside.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")
    os.replace(beside, out / "summary.json")
    return summary


def load(path: Path) -> Summary:
    """Read a summary."""
    summary: Summary = json.loads(path.read_text())
    return summary
