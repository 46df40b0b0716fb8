"""The table of localizations: one row for each blink in each frame, columns with units in their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superlens.errors import SuperlensError
from superlens.showing import facts

__all__ = ["KNOWN_COLUMNS", "Localizations"]

Column = NDArray[Any]

KNOWN_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "frame": "number of the frame, from 1",
        "x_nm": "position across, nm from the outer left edge of the image",
        "y_nm": "position down, nm from the outer top edge of the image",
        "z_nm": "position along the optical axis, nm",
        "photons": "photons of the molecule in this frame",
        "sigma_nm": "standard deviation of the image of the molecule, nm",
        "sigma_x_nm": "the same across, nm",
        "sigma_y_nm": "the same down, nm",
        "background": "photons in a camera pixel besides those of the molecule",
        "background_std": "standard deviation of the background, photons in a camera pixel",
        "uncertainty_nm": "standard deviation of the error of x and of y, nm",
        "uncertainty_z_nm": "standard deviation of the error of z, nm",
        "probability": "how sure the detection is, 0 to 1",
        "molecule": "number that blinks of one molecule share, from 1",
        "detections": "number of frames that were linked into this row",
        "x_raw_nm": "x before drift was corrected, nm",
        "y_raw_nm": "y before drift was corrected, nm",
    }
)
"""Columns whose meaning is fixed. A table may hold others, such as those of the program that wrote it."""

_REQUIRED = ("frame", "x_nm", "y_nm")
_SHOWN = 8  # rows in a notebook
_WHOLE = ("frame", "molecule", "detections")


@dataclass(frozen=True, slots=True, eq=False)
class Localizations:
    """Where blinking molecules were found.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (N,)
        At least ``frame`` (int64, from 1), ``x_nm`` and ``y_nm`` (float64); what others mean stands in `KNOWN_COLUMNS`. All are of one
        length, which may be 0.
    pixel_nm : float or None
        Side of a camera pixel.
    yx_shape : tuple of int or None
        Camera pixels of the field, (Y, X).
    frames : int or None
        Number of frames of the movie, those without a blink included.
    history : mapping
        How the table was made; JSON-able.

    Raises
    ------
    SuperlensError
        If a required column is missing, lengths differ, a frame is below 1, or a position is not finite.

    Examples
    --------
    >>> found = Localizations({"frame": [1, 1, 3], "x_nm": [50.0, 210.0, 52.0], "y_nm": [70.0, 30.0, 69.0]}, pixel_nm=100.0)
    >>> len(found), found["x_nm"].max()
    (3, np.float64(210.0))
    """

    columns: Mapping[str, Column]
    pixel_nm: float | None = None
    yx_shape: tuple[int, int] | None = None
    frames: int | None = None
    history: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in _REQUIRED if name not in self.columns]
        if missing:
            raise SuperlensError(
                f"columns holds {', '.join(self.columns) or 'nothing'}; expected at least frame, x_nm and y_nm"
            )
        made = {name: _column(name, values) for name, values in self.columns.items()}
        lengths = {name: len(values) for name, values in made.items()}
        if len(set(lengths.values())) > 1:
            raise SuperlensError(f"columns have the lengths {lengths}; expected one length for all")
        if made["frame"].size and made["frame"].min() < 1:
            raise SuperlensError(f"frame begins at {made['frame'].min()}; expected frames counted from 1")
        for name in ("x_nm", "y_nm"):
            if not np.isfinite(made[name]).all():
                raise SuperlensError(f"{name} holds values that are not finite; leave out such rows")
        object.__setattr__(self, "columns", MappingProxyType(made))

    def __repr__(self) -> str:
        """Rows, frames and columns in one line."""
        return f"Localizations({self._words}: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        """The first rows as a table, in a notebook."""
        rows = [[values[k].item() for values in self.columns.values()] for k in range(min(len(self), _SHOWN))]
        return facts(tuple(self.columns), rows, self._words)

    @property
    def _words(self) -> str:
        return f"{len(self):,} {'row' if len(self) == 1 else 'rows'}, {self.last_frame:,} frames"

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise SuperlensError(f"the table has no column {name}; it has {', '.join(self.columns)}")
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @property
    def positions_nm(self) -> NDArray[np.float64]:
        """Positions, shape (N, 2), columns x and y, nm."""
        return np.stack([self.columns["x_nm"], self.columns["y_nm"]], axis=1)

    @property
    def last_frame(self) -> int:
        """The number of frames of the movie where it is known, else the last frame with a row, 0 for an empty table."""
        if self.frames is not None:
            return self.frames
        return int(self.columns["frame"].max(initial=0))

    def where(self, chosen: ArrayLike) -> Localizations:
        """Rows by a mask of shape (N,) or by indices, in the order of the indices."""
        rows = np.asarray(chosen)
        return replace(self, columns={name: values[rows] for name, values in self.columns.items()})

    def with_columns(self, **columns: ArrayLike) -> Localizations:
        """The table with columns added or replaced."""
        return replace(self, columns={**self.columns, **{name: np.asarray(v) for name, v in columns.items()}})

    def without(self, names: Iterable[str]) -> Localizations:
        """The table without some of its columns."""
        left_out = set(names)
        return replace(self, columns={k: v for k, v in self.columns.items() if k not in left_out})

    def by_frame(self) -> Localizations:
        """Rows in the order of their frames; rows of one frame keep their order."""
        return self.where(np.argsort(self.columns["frame"], kind="stable"))

    @classmethod
    def empty(cls, **about: Any) -> Localizations:
        """A valid table without rows."""
        return cls({name: np.empty(0) for name in _REQUIRED}, **about)

    @classmethod
    def joined(cls, tables: Iterable[Localizations]) -> Localizations:
        """Tables one below the other, with the columns that all of them have; the rest is taken from the first.

        Raises
        ------
        SuperlensError
            If there is no table.
        """
        parts = list(tables)
        if not parts:
            raise SuperlensError("tables is empty; expected at least one")
        shared = [name for name in parts[0].columns if all(name in part for part in parts)]
        return replace(parts[0], columns={name: np.concatenate([p.columns[name] for p in parts]) for name in shared})


def _column(name: str, values: ArrayLike) -> Column:
    array = np.asarray(values)
    if array.ndim != 1:
        raise SuperlensError(f"{name} has the shape {array.shape}; expected one dimension")
    if array.dtype.kind not in "fiub":
        raise SuperlensError(f"{name} holds {array.dtype}; expected numbers")
    if name not in _WHOLE:
        return array.astype(np.float64)
    if array.size and not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
        raise SuperlensError(f"{name} holds values that are not whole numbers; expected whole ones")
    return array.astype(np.int64)
