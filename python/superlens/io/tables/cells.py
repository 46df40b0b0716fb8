"""What the cells of a table of text say: numbers, nothing, or words, decided for a column from all of its rows.

An empty cell is a number that is not known. A column may have decimal commas, and groups of three digits; which of them a comma or a point
means is decided from the column, and where that leaves it open, from the other columns of the file.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensWarning

__all__ = ["Column", "columns_of", "is_number"]

_ROWS_AT_ONCE = 1 << 15
_LONGEST_NUMBER = 48
_UNKNOWN = frozenset(
    b" na n/a #n/a nan -nan null none nil - -- . ? inf -inf infinity 1.#ind -1.#ind 1.#qnan -1.#qnan 1.#inf".split(b" ")
)
_COMMA = re.compile(rb"[-+]?\d*,\d+([eE][-+]?\d+)?|[-+]?\d+,")
_GROUPS_OF_POINTS = re.compile(rb"[-+]?\d{1,3}(\.\d{3})+(,\d*)?")
_GROUPS_OF_COMMAS = re.compile(rb"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column.

    Attributes
    ----------
    values : ndarray of float64 or None
        NaN where nothing is known; None where it cannot be read.
    why : str
        What hinders that.
    words : bool
        Whether no cell is a number.
    empty : bool
        Whether nothing is known in any row.
    """

    values: NDArray[np.float64] | None
    why: str = ""
    words: bool = False
    empty: bool = False


def is_number(text: str) -> bool:
    """Whether a text is a number, with a decimal point or a decimal comma.

    Examples
    --------
    >>> is_number("1e-3"), is_number("9,4"), is_number("x [nm]"), is_number("")
    (True, True, False, False)
    """
    cell = text.strip().encode("ascii", "replace")
    if _COMMA.fullmatch(cell):
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return b"_" not in cell


def columns_of(rows: Iterable[list[str]], count: int, *, marks: str = "") -> list[Column]:
    """Find out what the columns of some rows say.

    Parameters
    ----------
    rows : iterable of list of str
        All of one length.
    count : int
        That length.
    marks : str
        Signs behind numbers that say nothing here.

    Returns
    -------
    list of Column
        One for each.

    Warns
    -----
    SuperlensWarning
        When a comma or a point is taken for one that groups thousands.
    """
    parts: list[list[NDArray[np.bytes_]]] = [[] for _ in range(count)]
    iterator = iter(rows)
    while block := list(itertools.islice(iterator, _ROWS_AT_ONCE)):
        for at, cells in enumerate(zip(*block, strict=True)):
            parts[at].append(np.array([_cell(cell, marks) for cell in cells], bytes))
    if not parts or not parts[0]:
        return [Column(np.empty(0)) for _ in range(count)]
    columns = [_Cells(np.concatenate(part)) for part in parts]
    points = any(column.has_decimal_points for column in columns)
    commas = any(column.has_decimal_commas for column in columns)
    return [column.read(points=points, commas=commas) for column in columns]


def _cell(text: str, marks: str) -> bytes:
    cell = text.strip().rstrip(marks) if marks else text.strip()
    cell = cell.replace("\u2212", "-").replace("\u00a0", "")
    return cell.encode("utf-8", "replace")[:_LONGEST_NUMBER]


class _Cells:
    """The cells of one column, and what they look like."""

    def __init__(self, cells: NDArray[np.bytes_]) -> None:
        self._cells = cells
        self._unknown = np.isin(np.char.lower(cells), list(_UNKNOWN))
        self._known = cells[~self._unknown]
        self._values = _floats(self._known)
        self._points = np.char.find(self._known, b".") >= 0
        self._commas = np.char.find(self._known, b",") >= 0
        self._as_commas = None
        if self._values is None and self._commas.any() and not self._points.any():
            self._as_commas = _floats(np.char.replace(self._known, b",", b"."))

    @property
    def has_decimal_points(self) -> bool:
        """Whether its points can be nothing else."""
        return self._values is not None and not _all_match(self._known[self._points], _GROUPS_OF_POINTS)

    @property
    def has_decimal_commas(self) -> bool:
        """Whether its commas can be nothing else."""
        return self._as_commas is not None and not _all_match(self._known[self._commas], _GROUPS_OF_COMMAS)

    def read(self, *, points: bool, commas: bool) -> Column:
        """The values, given what the whole file has."""
        if not self._known.size:
            return Column(np.full(self._cells.size, np.nan), empty=self._cells.size > 0)
        values = self._values
        if values is not None and commas and not points and self._points.any():
            values = self._grouped(b".", b",", "point")
        elif self._as_commas is not None:
            values = self._as_commas
            if points and not commas and _all_match(self._known[self._commas], _GROUPS_OF_COMMAS):
                values = self._grouped(b",", b".", "comma")
        elif values is None and _all_match(self._known[self._points], _GROUPS_OF_POINTS) and self._commas.any():
            values = _floats(np.char.replace(np.char.replace(self._known, b".", b""), b",", b"."))
        elif values is None and _all_match(self._known[self._commas], _GROUPS_OF_COMMAS) and self._commas.any():
            values = _floats(np.char.replace(self._known, b",", b""))
        if values is None:
            return self._unreadable()
        whole = np.full(self._cells.size, np.nan)
        whole[~self._unknown] = values
        return Column(whole)

    def _grouped(self, group: bytes, decimal: bytes, sign: str) -> NDArray[np.float64] | None:
        """Numbers whose only points or commas group thousands, since other columns have the other sign for decimals."""
        example = self._known[self._points if group == b"." else self._commas][0]
        text = np.char.replace(np.char.replace(self._known, group, b""), decimal, b".")
        warnings.warn(
            f"{example.decode()} is read as {np.char.replace(example, group, b'').item().decode()}: other columns have another "
            f"sign for decimals, so this {sign} groups thousands. If it does not, save the table with one sign for decimals.",
            SuperlensWarning,
            stacklevel=6,
        )
        return _floats(text)

    def _unreadable(self) -> Column:
        number = np.array([is_number(cell.decode("utf-8", "replace")) for cell in self._known], bool)
        if number.all():
            return Column(None, "it has decimal points and decimal commas")
        at = int(np.flatnonzero(~self._unknown)[np.flatnonzero(~number)[0]])
        text = self._cells[at].decode("utf-8", "replace")
        return Column(None, f"row {at + 1} holds {' '.join(text.split())!r}", words=not number.any())


def _floats(cells: NDArray[Any]) -> NDArray[np.float64] | None:
    """The numbers in some cells; None when one is something else."""
    if (np.char.find(cells, b"_") >= 0).any():
        return None
    try:
        return cells.astype(np.float64)
    except ValueError:
        return None


def _all_match(cells: NDArray[np.bytes_], pattern: re.Pattern[bytes]) -> bool:
    return all(pattern.fullmatch(cell) for cell in cells)
