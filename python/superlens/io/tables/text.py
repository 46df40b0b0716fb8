"""Tables as text: one line of headings, then a line of numbers for each row.

Takes care of what programs and people do to such files: quoted headings, the whole heading line quoted once more, commas, tabs or
semicolons, a byte-order mark, letters of another encoding, columns of words.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io.tables.meaning import Field

__all__ = ["first_line", "headings", "numbers", "read_fields", "rows_opened"]

_LONGEST_LINE = 1 << 17


def first_line(path: Path) -> str:
    """The first line that is not empty.

    Parameters
    ----------
    path : Path
        A text file.

    Returns
    -------
    str
        Without the end of the line.

    Raises
    ------
    SuperlensError
        If the file is not text.
    """
    with rows_opened(path) as (line, _):
        return line


@contextmanager
def rows_opened(path: Path, *, notes_follow: bool = False) -> Iterator[tuple[str, Iterable[str]]]:
    """Open a text file.

    Parameters
    ----------
    path : Path
        Encoded as UTF-8, or else as Latin-1.
    notes_follow : bool
        Whether a zero byte ends the table and begins notes.

    Yields
    ------
    str
        The first line that is not empty.
    iterable of str
        The lines after it.

    Raises
    ------
    SuperlensError
        If the first line is not text.
    """
    with path.open(encoding=_encoding(path), errors="replace") as file:
        line = _heading_line(file)
        if not line or "\x00" in line:
            raise SuperlensError(f"{path.name} does not begin with a line of column names. Export it again as CSV.")
        yield line, itertools.takewhile(lambda text: "\x00" not in text, file) if notes_follow else file


def headings(line: str) -> tuple[list[str], str]:
    """Take a line of headings apart.

    Parameters
    ----------
    line : str
        Separated by commas, tabs or semicolons, quoted or not; also the whole line as one quoted text.

    Returns
    -------
    list of str
        Headings, stripped.
    str
        The separator.
    """
    separator = max(",\t;", key=line.count)
    cells = next(csv.reader([line], delimiter=separator))
    if len(cells) == 1 and separator in cells[0]:
        cells = next(csv.reader([cells[0]], delimiter=separator))
    return [cell.strip().strip("\"'`").strip() for cell in cells], separator


def read_fields(path: Path, *, notes_follow: bool = False) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """Read a table with one line of headings.

    Parameters
    ----------
    path : Path
        The file.
    notes_follow : bool
        Whether a zero byte ends the table and begins notes.

    Returns
    -------
    tuple of Field
        Columns of numbers; a unit in brackets is taken off the name.
    tuple of str
        Names of the columns that hold something else.

    Raises
    ------
    SuperlensError
        If there are no headings, or a row does not fit them.
    """
    with rows_opened(path, notes_follow=notes_follow) as (line, rows):
        try:
            names, separator = headings(line)
        except csv.Error as error:
            raise SuperlensError(f"{path.name} does not begin with a line of column names: {error}.") from error
        if all(_is_number(name) for name in names):
            raise SuperlensError(
                f"{path.name} begins with numbers; expected a line of column names such as frame, x [nm], y [nm]."
            )
        values, used = numbers(rows, len(names), separator, path)
    fields = tuple(Field(*_split(names[at]), values[:, column]) for column, at in enumerate(used))
    return fields, tuple(name for at, name in enumerate(names) if at not in used)


def numbers(
    rows: Iterable[str], count: int, separator: str | None, path: Path
) -> tuple[NDArray[np.float64], list[int]]:
    """Read rows of numbers.

    Parameters
    ----------
    rows : iterable of str
        Lines of the file below the headings.
    count : int
        Columns that the headings announce.
    separator : str or None
        None for any white space.
    path : Path
        The file, for messages.

    Returns
    -------
    ndarray, shape (N, C), float64
        Columns in which the first row has a number.
    list of int
        Which columns these are.

    Raises
    ------
    SuperlensError
        If a row has another length or a value is no number.
    """
    lines = iter(rows)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return np.empty((0, count)), list(range(count))
    try:
        cells = first.split() if separator is None else next(csv.reader([first], delimiter=separator))
        if len(cells) != count:
            raise SuperlensError(f"{path.name} has {count} column names and {len(cells)} values in its first row.")
        used = [at for at, cell in enumerate(cells) if _is_number(cell)]
        if not used:
            return np.empty((0, 0)), []
        values = np.loadtxt(
            itertools.chain([first], lines),
            delimiter=separator,
            comments=None,
            quotechar='"',
            ndmin=2,
            usecols=used if len(used) < count else None,
        )
    except SuperlensError:
        raise
    except (ValueError, csv.Error) as error:
        words = " ".join(str(error).split()).split(";")[0]
        raise SuperlensError(f"{path.name} is damaged or cut short: {words}. Export it again.") from error
    return values, used


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_LONGEST_LINE)
    try:
        head[: head.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _heading_line(file: TextIO) -> str:
    while text := file.readline(_LONGEST_LINE):
        if text.strip():
            return text.rstrip("\r\n") if len(text) < _LONGEST_LINE else ""
    return ""


def _split(heading: str) -> tuple[str, str]:
    opening = max(heading.rfind("["), heading.rfind("("))
    if opening < 0 or heading[-1] not in "])":
        return heading, ""
    return heading[:opening].strip(), heading[opening + 1 : -1].strip()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
