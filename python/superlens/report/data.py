"""What a report is made of: plain arrays, numbers and words, with their units.

The types here know nothing of how a result was computed and nothing of how the page looks. Shapes are checked once, on
construction, so that every drawing routine may rely on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np

from superlens.errors import SuperlensError
from superlens.optics import PSF

__all__ = [
    "CITATIONS",
    "Array",
    "FurtherPicture",
    "Grade",
    "Metric",
    "NoiseCorrelation",
    "PhotonTransfer",
    "Provenance",
    "PsfPicture",
    "ReportData",
    "TrainingRecord",
]

Array = np.ndarray[Any, np.dtype[Any]]
Grade = Literal["ok", "warn", "bad", "info"]

CITATIONS: tuple[tuple[str, str], ...] = (
    (
        "superlens contributors. superlens: zero-shot super-resolution for fluorescence microscopy. Version as above.",
        "",
    ),
    (
        "Training on one noisy image (ZS-DeconvNet): Qiao, C. et al. Nature Communications 15, 4180 (2024).",
        "https://doi.org/10.1038/s41467-024-48575-9",
    ),
    (
        "Resolution-scaled error and correlation: Culley, S. et al. Nature Methods 15, 263\N{EN DASH}266 (2018).",
        "https://doi.org/10.1038/nmeth.4605",
    ),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured number with the range it should lie in and what it says.

    Parameters
    ----------
    name : str
        Short name, unique within a report.
    value : float or None
        The number; None or NaN is shown as "not available".
    unit : str
        Unit of the number, empty for a ratio.
    expected : str
        Expected range in words, for example ``"0.98 to 1.02"``.
    verdict : {"ok", "warn", "bad", "info"}
        The caller's judgement of the value; "info" is a number without a right or wrong.
    meaning : str
        One sentence for a reader who has never met this metric.
    section : str
        Section of the page that shows it; empty when none does.
    """

    name: str
    value: float | None
    unit: str = ""
    expected: str = ""
    verdict: Grade = "ok"
    meaning: str = ""
    section: str = ""

    @property
    def available(self) -> bool:
        """Whether there is a finite number."""
        return self.value is not None and bool(np.isfinite(self.value))

    @property
    def judged(self) -> bool:
        """Whether the number counts for or against the result; a missing one that is graded still counts against it."""
        return self.verdict in ("warn", "bad") or (self.available and self.verdict == "ok")


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One line of the training history.

    Parameters
    ----------
    step : int
        Optimiser steps done.
    train_loss : float
        Loss on the training regions.
    held_out_loss : float or None
        Loss on held-out regions under a second noise draw, None where it was not evaluated.
    """

    step: int
    train_loss: float
    held_out_loss: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PhotonTransfer:
    """Points and line of the photon-transfer plot: variance = gain * (mean - offset) + (gain * read noise)^2.

    Parameters
    ----------
    means, variances : ndarray, shape (N,), counts and counts^2
        Local means, offset included, and the noise variances found there.
    gain : float, counts per electron
    offset : float, counts
    read_noise_e : float, electrons
    verdict : {"plausible", "doubtful", "impossible"}
    notes : tuple of str
        Remarks of the estimator.
    estimated : frozenset of str
        Names among ``gain``, ``offset``, ``read_noise_e`` that were estimated from the image; the others were given.
    """

    means: Array
    variances: Array
    gain: float
    offset: float
    read_noise_e: float
    verdict: Literal["plausible", "doubtful", "impossible"] = "plausible"
    notes: tuple[str, ...] = ()
    estimated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if np.shape(self.means) != np.shape(self.variances):
            raise SuperlensError(
                f"variances has shape {np.shape(self.variances)}, means {np.shape(self.means)}; "
                "expected one variance for each mean. Pass both arrays of the same photon-transfer estimate."
            )


@dataclass(frozen=True, slots=True)
class NoiseCorrelation:
    """Whether neighbouring pixels share noise.

    Parameters
    ----------
    x, y : float
        Correlation of the noise of horizontal and of vertical neighbours; 0 for a raw camera image.
    independent : bool
        The judgement of the noise check.
    note : str
        One sentence about it.
    mild : bool
        Whether the correlation is so small that training and checks take it into account; it is shown and not held against the result.
    """

    x: float
    y: float
    independent: bool = True
    note: str = ""
    mild: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PsfPicture:
    """The point spread function that the result relies on.

    Parameters
    ----------
    psf : PSF
        On the output grid; of a stack the plane in focus is shown.
    response : PSF or None
        What the super-resolved image is said to show of a point, on the same grid; None when it makes no such statement.
    response_words : str
        How the response follows from the PSF, for example ``"1.5 times narrower"``.
    carried_per_um : float or None
        Frequency to which the recorded data carry the image, cycles per micrometre.
    """

    psf: PSF
    response: PSF | None = None
    response_words: str = ""
    carried_per_um: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FurtherPicture:
    """An image of the result that the page knows nothing about but its name and words.

    Parameters
    ----------
    name, words : str
        Its role, and what it is.
    image : ndarray, shape (Y', X')
        Covers the field of the input.
    pixel_nm : float or None
    """

    name: str
    words: str
    image: Array
    pixel_nm: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """How, where and when the result was made.

    Parameters
    ----------
    command : str
        Command line or Python call.
    seed : int or None
    device : str
        Words for the processor that trained and predicted.
    input_digest : str
        Digest of the input pixels or file, with its algorithm, for example ``"sha256:9f2c..."``.
    started : datetime or None
    duration_s : float or None
    warnings : tuple of str
        Given on the way, for the files or the settings; the page shows them among the messages.
    """

    command: str = ""
    seed: int | None = None
    device: str = ""
    input_digest: str = ""
    started: datetime | None = None
    duration_s: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ReportData:
    """Everything a report can show. At least one of ``denoised`` and ``sr`` is needed.

    "Camera grid" is the sampling of the input; "output grid" is `scale` times finer. All intensities are above the
    camera's offset, in counts or, with ``unit`` "electrons", in electrons; ``photon_transfer`` is always in counts.

    Parameters
    ----------
    title, image_name : str
        Heading, and name of the input as the user knows it.
    created : datetime
        When the report was made.
    input : ndarray, shape (Y, X), counts minus offset
        The camera image.
    denoised : ndarray or None, shape (Y, X), counts minus offset
    sr : ndarray or None, shape (Y * scale, X * scale), counts minus offset
    uncertainty : ndarray or None, shape of ``sr`` (of ``denoised`` when there is no ``sr``), counts
        Standard deviation (1 sigma) stated for each output pixel.
    prior_only : ndarray of bool or float or None
        Pixels of the output grid that rest on the pretrained prior alone, or their share when only that is known.
    unrepeated : ndarray or None, shape (y, x)
        Share of the detail around each pixel that would not be there in another recording, of the middle of the output; NaN where there is none.
    residual : ndarray or None, shape (Y, X), counts
        The output seen through the microscope (blurred, binned to the camera grid) minus the input.
    noise_sigma : ndarray or None, shape (Y, X), counts
        Standard deviation of the camera noise; computed from ``photon_transfer`` when absent.
    error_map : ndarray or None, shape (Y, X) or that of ``sr``, counts
        Resolution-scaled error (RSE): absolute difference between the input and the output rescaled to the input's
        resolution.
    pixel_nm : float or None
        Camera pixel; None shows all lengths in pixels.
    scale : int
        Output pixels per camera pixel along one axis.
    unit : {"counts", "electrons"}
        Of all intensities but those of the photon transfer.
    cutoff_per_um : float or None, cycles per micrometre
        Optical cutoff of the PSF.
    psf : PsfPicture or None
    photon_transfer : PhotonTransfer or None
    noise_correlation : NoiseCorrelation or None
    history : tuple of TrainingRecord
    chosen_step : int or None
        Step whose weights made the result.
    metrics : tuple of Metric
        In the order of the table.
    parameters, versions : mapping
        Nested mappings of parameters are flattened with dots.
    provenance : Provenance
    defects : tuple of str
        Faults of the input by name; the verdict names them first.
    messages : tuple of str
        Warnings of the run, in order.
    side_views : mapping of str to ndarray, shape (rows, X * scale)
        Of a volume: what lies under a line through the middle, image by image, first slice on top, at the sampling of the output.
    further : tuple of FurtherPicture
        Other images of the result, each shown with a contrast of its own.
    action : str
        What was done, like "Denoised and sharpened"; found from the images when empty.
    citations : tuple of (str, str)
        Text and address (may be empty) of each work to cite.
    """

    title: str
    image_name: str
    created: datetime
    input: Array
    denoised: Array | None = None
    sr: Array | None = None
    uncertainty: Array | None = None
    prior_only: Array | float | None = None
    unrepeated: Array | None = None
    residual: Array | None = None
    noise_sigma: Array | None = None
    error_map: Array | None = None
    pixel_nm: float | None = None
    scale: int = 1
    unit: Literal["counts", "electrons"] = "counts"
    cutoff_per_um: float | None = None
    psf: PsfPicture | None = None
    photon_transfer: PhotonTransfer | None = None
    noise_correlation: NoiseCorrelation | None = None
    history: tuple[TrainingRecord, ...] = ()
    chosen_step: int | None = None
    metrics: tuple[Metric, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    defects: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    side_views: Mapping[str, Array] = field(default_factory=dict)
    further: tuple[FurtherPicture, ...] = ()
    action: str = ""
    citations: tuple[tuple[str, str], ...] = CITATIONS

    def __post_init__(self) -> None:
        if np.ndim(self.input) != 2:
            raise SuperlensError(
                f"input has {np.ndim(self.input)} axes; a report shows one plane (Y, X). Select a plane first."
            )
        if self.denoised is None and self.sr is None:
            raise SuperlensError(
                "denoised and sr are both missing; a report needs at least one output. Pass one of them."
            )
        if self.pixel_nm is not None and not self.pixel_nm > 0:
            raise SuperlensError(
                f"pixel_nm is {self.pixel_nm}; expected a positive number or None. Give the camera pixel in nanometres."
            )
        camera, fine = self.input.shape, (self.input.shape[0] * self.scale, self.input.shape[1] * self.scale)
        _require_shape("sr", self.sr, (fine,))
        for name in ("denoised", "residual", "noise_sigma"):
            _require_shape(name, getattr(self, name), (camera,))
        _require_shape("uncertainty", self.uncertainty, (self.output.shape,))
        if isinstance(self.prior_only, np.ndarray) and self.prior_only.ndim:
            _require_shape("prior_only", self.prior_only, (self.output.shape,))
        _require_shape("error_map", self.error_map, (camera, fine))

    @property
    def output(self) -> Array:
        """The image the run was made for: the super-resolved one, else the denoised one."""
        result = self.sr if self.sr is not None else self.denoised
        if result is None:  # excluded on construction
            raise SuperlensError("denoised and sr are both missing; a report needs at least one output.")
        return result

    @property
    def done(self) -> str:
        """What was done, as the verdict begins."""
        if self.action:
            return self.action
        if self.sr is None:
            return "Denoised"
        return "Sharpened" if self.denoised is None else "Denoised and sharpened"

    @property
    def output_scale(self) -> int:
        """Output pixels per camera pixel of `output`."""
        return self.scale if self.sr is not None else 1

    @property
    def output_nm(self) -> float | None:
        """Sampling of `output` in nanometres, None when it is not known."""
        return None if self.pixel_nm is None else self.pixel_nm / self.output_scale

    @property
    def intensity(self) -> str:
        """What the axes and captions call an intensity."""
        return "counts − offset" if self.unit == "counts" else "electrons"

    @property
    def output_name(self) -> str:
        """What the page calls `output`."""
        return "super-resolved" if self.sr is not None else "denoised"


def _require_shape(name: str, array: Array | None, allowed: tuple[tuple[int, ...], ...]) -> None:
    if array is not None and np.shape(array) not in allowed:
        expected = " or ".join(str(shape) for shape in dict.fromkeys(allowed))
        raise SuperlensError(
            f"{name} has shape {np.shape(array)}; expected {expected} for this input and scale. "
            "Pass the array on the grid named in the documentation of ReportData."
        )
