"""Tables as text: comments, a line of headings, then a line of values for each row.

Takes care of what programs and people do to such files: quoted headings, the whole heading line quoted once more, a line ``sep=;``, comments,
headings in a comment, units in a line of their own, commas, tabs or semicolons, a byte-order mark, letters of another encoding, empty rows.
What the values mean is found out in `superlens.io.tables.cells`.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io.tables.cells import Column, columns_of, is_number
from superlens.io.tables.meaning import Field, Names, StoredTable, Unreadable

__all__ = ["Head", "TextFormat", "read_columns", "read_head"]

_LONGEST_LINE = 1 << 17
_MOST_COMMENTS = 10_000
_MOST_HEADING_ROWS = 4
_COMMENT = ("#", "%")
_BRACKETED = re.compile(r"[\[(].*[\])]")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Head:
    """How a file of text begins.

    Attributes
    ----------
    comments : tuple of str
        Its lines before the headings that are comments, without the sign that makes them so.
    headings : tuple of str
        As written, without quotes; empty where the first line is no line of headings.
    separator : str
        What stands between them.
    lines : int
        How many lines there are before the first row.
    first : str
        The first line that is not empty.
    """

    comments: tuple[str, ...]
    headings: tuple[str, ...]
    separator: str
    lines: int
    first: str

    @property
    def names(self) -> frozenset[str]:
        """The headings in small letters, with their units."""
        return frozenset(heading.lower() for heading in self.headings)


def _as_it_is(stored: StoredTable, head: Head) -> StoredTable:
    return stored


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What sets the text of one program apart.

    Attributes
    ----------
    kind : str
        The format, in words.
    known : callable
        Whether the head of a file is one that this program writes.
    names : mapping
        What its headings mean.
    first_frame, from_pixel_middle
        As in `StoredTable`.
    notes_follow : bool
        Whether a zero byte ends the table and begins notes.
    marks : str
        Signs that this program sets behind numbers.
    understood : callable
        What else it knows of a table that was read, from its columns and its head.
    """

    kind: str
    known: Callable[[Head], bool]
    names: Names
    first_frame: int | None = None
    from_pixel_middle: bool = False
    notes_follow: bool = False
    marks: str = ""
    understood: Callable[[StoredTable, Head], StoredTable] = _as_it_is

    def read(self, path: Path, head: Head) -> StoredTable:
        """Read a table of this program.

        Parameters
        ----------
        path : Path
            The file.
        head : Head
            How it begins.

        Raises
        ------
        SuperlensError
            If there are no headings, or a row does not fit them.
        """
        if not head.headings:
            raise SuperlensError(
                f"{path.name} begins with numbers; expected a line of column names such as frame, x [nm], y [nm]."
            )
        columns, units = read_columns(path, head, len(head.headings), notes_follow=self.notes_follow, marks=self.marks)
        fields, left_out, unreadable = [], [], []
        for heading, column, unit_below in zip(head.headings, columns, units, strict=True):
            name, unit = split_heading(heading)
            if column.values is not None and not column.empty:
                fields.append(Field(name, unit or unit_below, column.values))
            elif column.empty or column.words:
                left_out.append(heading)
            if column.values is None:
                unreadable.append(Unreadable(name, heading, column.why))
        stored = StoredTable(
            self.kind,
            tuple(fields),
            self.names,
            self.first_frame,
            self.from_pixel_middle,
            left_out=tuple(left_out),
            unreadable=tuple(unreadable),
        )
        return self.understood(stored, head)


def read_head(path: Path) -> Head:
    """Find the headings of a file of text.

    Parameters
    ----------
    path : Path
        Encoded as UTF-8, UTF-16 with its mark, or else as Latin-1.

    Returns
    -------
    Head

    Raises
    ------
    SuperlensError
        If the file does not begin with text.
    """
    comments: list[str] = []
    first = separator = ""
    with _opened(path) as file:
        for number in itertools.count(1):
            line = file.readline(_LONGEST_LINE)
            text = line.strip().lstrip("\ufeff")
            if "\x00" in line or len(line) == _LONGEST_LINE or number > _MOST_COMMENTS or (not line and not comments):
                raise SuperlensError(f"{path.name} does not begin with a line of column names. Export it again as CSV.")
            first = first or text
            if line and not text:
                continue
            if text.lower().startswith("sep=") and len(text) <= 6:
                separator = {"": "", "\\t": "\t"}.get(text[4:], text[4:5]) or line.rstrip("\r\n")[4:5]
                continue
            if text.startswith(_COMMENT):
                comments.append(line.strip().lstrip("".join(_COMMENT)).strip("\r\n"))
                continue
            break
    here, sign = _split_line(path, line.strip("\r\n").lstrip("\ufeff"), separator)
    numbers = sum(is_number(cell) for cell in here)
    if comments and (not line or numbers):
        last, last_sign = _split_line(path, comments[-1], separator)
        if len(last) > 1 and not any(is_number(cell) for cell in last) and len(last) == (len(here) or len(last)):
            return Head(tuple(comments[:-1]), last, last_sign, number - 1, first)
    if line and numbers == len(here):
        return Head(tuple(comments), (), sign, number - 1, first)
    return Head(tuple(comments), here, sign, number, first)


def read_columns(
    path: Path, head: Head, count: int, *, notes_follow: bool = False, marks: str = ""
) -> tuple[list[Column], list[str]]:
    """Read the rows below the head.

    Parameters
    ----------
    path : Path
        The file.
    head : Head
        How it begins; a separator of "" means any white space.
    count : int
        Columns that are announced.
    notes_follow, marks
        As in `TextFormat`.

    Returns
    -------
    list of Column
    list of str
        Units that stand in a line of their own, "" where there is none.

    Raises
    ------
    SuperlensError
        If a row has another length.
    """
    with _opened(path) as file:
        values = _all_numbers(_rows_of(file, head, notes_follow=notes_follow), count, head.separator)
    if values is not None:
        return [Column(values[:, at]) for at in range(count)], [""] * count
    with _opened(path) as file:
        lines = _rows_of(file, head, notes_follow=notes_follow)
        try:
            cells = (
                (line.split() for line in lines) if not head.separator else csv.reader(lines, delimiter=head.separator)
            )
            rows, units = _below_headings(_whole_rows(cells, count, path, head), count)
            return columns_of(rows, count, marks=marks), units
        except csv.Error as error:
            words = " ".join(str(error).split())
            raise SuperlensError(f"{path.name} is damaged or cut short: {words}. Export it again.") from error


def split_heading(heading: str) -> tuple[str, str]:
    """Take the unit in brackets off a heading.

    Examples
    --------
    >>> split_heading("x [nm]"), split_heading("Left-Width(px)"), split_heading("chi2")
    (('x', 'nm'), ('Left-Width', 'px'), ('chi2', ''))
    """
    opening = max(heading.rfind("["), heading.rfind("("))
    if opening < 0 or heading[-1] not in "])":
        return heading, ""
    return heading[:opening].strip(), heading[opening + 1 : -1].strip()


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with path.open(encoding=_encoding(path), errors="replace", newline=None) as file:
        yield file


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_LONGEST_LINE)
    if (mark := _MARKS.get(head[:2])) is not None:
        return mark
    try:
        head[: head.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _split_line(path: Path, line: str, separator: str) -> tuple[tuple[str, ...], str]:
    """The headings in a line, and what separates them; the whole line may be one quoted text."""
    separator = separator or max(",\t;", key=line.count)
    try:
        cells = next(csv.reader([line], delimiter=separator), [])
        if len(cells) == 1 and separator in cells[0]:
            cells = next(csv.reader([cells[0]], delimiter=separator))
    except (csv.Error, TypeError) as error:
        raise SuperlensError(f"{path.name} does not begin with a line of column names: {error}.") from error
    return tuple(cell.strip().strip("\"'`").strip() for cell in cells), separator


def _rows_of(file: TextIO, head: Head, *, notes_follow: bool) -> Iterator[str]:
    """The lines below the head."""
    lines = itertools.islice(file, head.lines, None)
    return itertools.takewhile(lambda text: "\x00" not in text, lines) if notes_follow else lines


def _all_numbers(lines: Iterable[str], count: int, separator: str) -> NDArray[np.float64] | None:
    """The values of a table of nothing but numbers, which is read fast; None for any other."""
    rows = iter(lines)
    first = next((line for line in rows if line.strip()), None)
    if first is None:
        return np.empty((0, count))
    try:
        values = np.loadtxt(
            itertools.chain([first], rows), delimiter=separator or None, comments=None, quotechar='"', ndmin=2
        )
    except ValueError:
        return None
    return values if values.shape[1] == count else None


def _whole_rows(rows: Iterable[list[str]], count: int, path: Path, head: Head) -> Iterator[list[str]]:
    """Rows of the right length, without empty ones and comments."""
    number = 0
    for row in rows:
        if not any(cell.strip() for cell in row) or row[0].lstrip().startswith(_COMMENT):
            continue
        number += 1
        if len(row) == count + 1 and not row[-1].strip():
            row = row[:-1]  # a separator at the end of each row
        elif len(row) == count - 1 and head.headings[-1:] == ("",):
            row = [*row, ""]  # one at the end of the headings
        if len(row) != count:
            raise SuperlensError(_unequal(path, count, len(row), number, head.separator))
        yield row


def _unequal(path: Path, count: int, found: int, row: int, separator: str) -> str:
    hint = "It is damaged or cut short. Export it again."
    if separator == "," and found > count:
        hint = "Where numbers have decimal commas, save it with tabs or semicolons between the columns."
    return f"{path.name} has {count} column names and {found} values in row {row}. {hint}"


def _below_headings(rows: Iterator[list[str]], count: int) -> tuple[Iterator[list[str]], list[str]]:
    """Pass over further lines of headings, the last of which holds units in brackets."""
    first = list(itertools.islice(rows, _MOST_HEADING_ROWS))
    units = [""] * count
    wordy = list(itertools.takewhile(lambda row: not any(is_number(cell) for cell in row if cell.strip()), first))
    bracketed = [at for at, row in enumerate(wordy) if all(_BRACKETED.fullmatch(c.strip()) for c in row if c.strip())]
    if bracketed:
        units = [cell.strip()[1:-1].strip() for cell in wordy[bracketed[-1]]]
        first = first[bracketed[-1] + 1 :]
    return itertools.chain(first, rows), units
