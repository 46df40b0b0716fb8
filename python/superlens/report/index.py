"""The page of a folder: one row for each image of a run, with thumbnails, its verdict and a link to its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from superlens.report.data import Array
from superlens.report.verdict import Verdict

__all__ = ["IndexRow", "render_index"]

_SIDE = 160  # pixels of a thumbnail
_ORDER = {"bad": 0, "warn": 1, "ok": 2}


@dataclass(frozen=True, slots=True, eq=False)
class IndexRow:
    """One image of a run.

    Parameters
    ----------
    name : str
        As the user knows it.
    report : str
        Name of its report, beside the index.
    verdict : Verdict
    pictures : sequence of (str, ndarray)
        Name and plane (Y, X) of each thumbnail: what went in, what came out.
    """

    name: str
    report: str
    verdict: Verdict
    pictures: Sequence[tuple[str, Array]] = field(default=())


def render_index(rows: Sequence[IndexRow], *, title: str, created: datetime, left_out: Sequence[str] = ()) -> str:
    """Turn the rows of a run into one self-contained page that can be sorted by name and by verdict.

    Parameters
    ----------
    rows : sequence of IndexRow
    title : str
    created : datetime
    left_out : sequence of str
        Name and reason of each file or folder that was not worked on.

    Returns
    -------
    str
        HTML that loads nothing; its links lead to the reports beside it.

    Examples
    --------
    >>> from datetime import datetime
    >>> row = IndexRow("a.tif", "a_report.html", Verdict("ok", "Use it", "Denoised; nothing speaks against the result."))
    >>> "1 image; nothing speaks against it" in render_index([row], title="Results", created=datetime(2030, 1, 1))
    True
    """
    from superlens.report.pictures import Contrast, Picture, paint
    from superlens.report.templates import template

    def thumbnail(name: str, image: Array, of: str) -> Picture:
        return paint(image, Contrast.of(image, 0.5, 99.8), alt=f"{of}: {name}", name=name, largest=_SIDE)

    shown = [
        {
            "row": row,
            "order": _ORDER.get(row.verdict.grade, 2),
            "pictures": [thumbnail(name, image, row.name) for name, image in row.pictures],
        }
        for row in rows
    ]
    return template("index.html.j2").render(
        rows=shown, title=title, created=created, summary=_summary(rows), left_out=left_out
    )


def _summary(rows: Sequence[IndexRow]) -> str:
    """How many there are, and how many of them need attention."""
    count = f"{len(rows)} image{'' if len(rows) == 1 else 's'}"
    grades = [row.verdict.grade for row in rows]
    parts = []
    if grades.count("bad"):
        parts.append(f"do not use {grades.count('bad')}")
    if grades.count("warn"):
        parts.append(f"look closer at {grades.count('warn')}")
    if not parts:
        parts.append("nothing speaks against it" if len(rows) == 1 else "nothing speaks against them")
    return f"{count}; {', '.join(parts)}."
