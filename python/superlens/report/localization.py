"""The page of a localization: what was found in a movie, under which conditions, and what speaks for and against it.

`LocalizationReport` holds everything the page can show, as plain arrays and numbers; `render_localizations` turns it into HTML that loads
nothing from anywhere. A section whose data are missing says so. Nothing is localized or estimated here, and writing the file is the
caller's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from superlens.errors import SuperlensError
from superlens.report.data import CITATIONS, Array, Provenance

if TYPE_CHECKING:
    from superlens.simulate.likeness import Likeness

__all__ = ["Condition", "DriftCourse", "LocalizationReport", "ModelNote"]

_REQUIRED = ("frame", "x_nm", "y_nm")

_CITATIONS: tuple[tuple[str, str], ...] = (
    CITATIONS[0],
    (
        "Localization by a network (Deep-STORM): Nehme, E., Weiss, L. E., Michaeli, T. & Shechtman, Y. Optica 5, 458\N{EN DASH}464 (2018).",
        "https://doi.org/10.1364/OPTICA.5.000458",
    ),
    (
        "Drift by redundant cross-correlation: Wang, Y. et al. Optics Express 22, 15982\N{EN DASH}15991 (2014).",
        "https://doi.org/10.1364/OE.22.015982",
    ),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One value that the movie was taken with.

    Parameters
    ----------
    name : str
        In words, for example ``"Width of a molecule (σ)"``.
    value : float or None
        None is shown as "not available".
    unit : str
    source : str
        Where it comes from, in words.
    given : bool
        Whether the user gave it; otherwise it was estimated.
    """

    name: str
    value: float | None
    unit: str = ""
    source: str = ""
    given: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DriftCourse:
    """How the specimen moved.

    Parameters
    ----------
    frames : ndarray, shape (F,)
        Numbers of frames, from 1.
    shift_nm : ndarray, shape (F, 2), columns x and y
        Where the specimen lay in each.
    uncertainty_nm : float
        Standard error of the measured points; infinite where nothing could be measured.
    found : bool
        Whether the drift stands out of its error, and was corrected.
    note : str
        All this in words.
    segment_frames : ndarray, shape (K,)
        Middle of each stretch of time that was measured.
    segment_nm : ndarray, shape (K, 2), columns x and y
        What was measured there.
    """

    frames: Array
    shift_nm: Array
    uncertainty_nm: float = float("inf")
    found: bool = False
    note: str = ""
    segment_frames: Array = field(default_factory=lambda: np.empty(0))
    segment_nm: Array = field(default_factory=lambda: np.empty((0, 2)))

    def __post_init__(self) -> None:
        for times, places in (("frames", "shift_nm"), ("segment_frames", "segment_nm")):
            number, shape = np.shape(getattr(self, times)), np.shape(getattr(self, places))
            if shape != (*number, 2):
                raise SuperlensError(
                    f"{places} has the shape {shape}, {times} {number}; expected one row of x and y for each."
                )


@dataclass(frozen=True, slots=True)
class ModelNote:
    """Which network was used.

    Parameters
    ----------
    name : str
    trained_for : str
        The conditions it was trained for, in words.
    chosen : str
        Why it was taken, in words.
    facts : mapping of str to object
        Other settings worth a row each.
    """

    name: str
    trained_for: str = ""
    chosen: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class LocalizationReport:
    """Everything the page of a localization can show.

    All images begin at the outer corner of the top left camera pixel and cover the same field.

    Parameters
    ----------
    title, source_name : str
        Heading, and the movie as the user knows it.
    created : datetime
        When the report was made.
    mean : ndarray, shape (Y, X), counts
        Mean of the frames.
    pixel_nm : float
        Side of a camera pixel.
    rendered : ndarray, shape (Y', X')
        Localizations in each pixel.
    rendered_nm : float
        Side of its pixels.
    columns : mapping of str to ndarray, shape (N,)
        Of the table, not linked: at least ``frame``, ``x_nm`` and ``y_nm``; also shown are ``photons``, ``background``,
        ``uncertainty_nm`` and ``probability``. N may be 0.
    frames : tuple of int
        First and last frame that were worked on, from 1.
    density : ndarray, shape (Y'', X''), or None
        Sum of the network's maps: molecules in each pixel.
    density_nm : float or None
        Side of its pixels; needed with ``density``.
    linked : int or None
        Rows after repeated blinks were linked.
    drift : DriftCourse or None
    conditions : tuple of Condition
        In the order of the table.
    density_um2 : float or None
        Estimated molecules per square micrometre and frame, to compare with what was found.
    spot_sigma_nm, spot_photons : ndarray, shape (M,), or None
        Widths and photons of the isolated blinks that were fitted, where there were any.
    likeness : Likeness or None
        Comparison with a movie that was simulated under these conditions.
    threshold : float or None
        Least probability of a localization.
    model : ModelNote or None
    contradictions : tuple of str
        Why the result can't be right; with one of them the verdict is "Do not use".
    doubts : tuple of str
        What makes one look closer.
    unsearched : ndarray of int, shape (F,)
        Numbers of frames that hold no light and were not searched.
    messages : tuple of str
        Warnings of the run, in order.
    parameters, versions : mapping
        Nested mappings of parameters are flattened with dots.
    provenance : Provenance
    citations : tuple of (str, str)
        Text and address (may be empty) of each work to cite.

    Raises
    ------
    SuperlensError
        When images have no two axes, columns differ in length, or a length is not positive.
    """

    title: str
    source_name: str
    created: datetime
    mean: Array
    pixel_nm: float
    rendered: Array
    rendered_nm: float
    columns: Mapping[str, Array]
    frames: tuple[int, int]
    density: Array | None = None
    density_nm: float | None = None
    linked: int | None = None
    drift: DriftCourse | None = None
    conditions: tuple[Condition, ...] = ()
    density_um2: float | None = None
    spot_sigma_nm: Array | None = None
    spot_photons: Array | None = None
    likeness: Likeness | None = None
    threshold: float | None = None
    model: ModelNote | None = None
    contradictions: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    unsearched: Array = field(default_factory=lambda: np.empty(0, np.int64))
    messages: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    citations: tuple[tuple[str, str], ...] = _CITATIONS

    def __post_init__(self) -> None:
        for name in ("mean", "rendered", "density"):
            image = getattr(self, name)
            if image is not None and (np.ndim(image) != 2 or not np.size(image)):
                raise SuperlensError(
                    f"{name} has the shape {np.shape(image)}; expected one plane (Y, X). Pass its sum or mean."
                )
        sizes = {"pixel_nm": self.pixel_nm, "rendered_nm": self.rendered_nm}
        if self.density is not None:
            sizes["density_nm"] = self.density_nm or 0.0
        for name, value in sizes.items():
            if not value > 0:
                raise SuperlensError(
                    f"{name} is {value}; expected a positive number. Give the side of the pixels in nanometres."
                )
        missing = [name for name in _REQUIRED if name not in self.columns]
        if missing:
            raise SuperlensError(f"columns has no {', '.join(missing)}; expected at least {', '.join(_REQUIRED)}.")
        lengths = {name: np.shape(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
            raise SuperlensError(
                f"columns have the shapes {lengths}; expected one length for all. Pass columns of one table."
            )
        first, last = self.frames
        if not 1 <= first <= last:
            raise SuperlensError(f"frames is {first}:{last}; expected the first and the last frame, counted from 1.")

    @property
    def rows(self) -> int:
        """Localizations in the table."""
        return len(self.columns["frame"])

    @property
    def frame_count(self) -> int:
        """Frames that were worked on."""
        return self.frames[1] - self.frames[0] + 1

    @property
    def area_um2(self) -> float:
        """Area of the field."""
        return float(np.prod(self.mean.shape)) * (self.pixel_nm * 1e-3) ** 2

    def column(self, name: str) -> Array:
        """The finite values of a column; empty where the table does not have it."""
        values = np.asarray(self.columns.get(name, ()), dtype=float)
        return np.asarray(values[np.isfinite(values)])
