"""`reconstruct_one`: from raw frames of one channel to the reconstruction, with the pattern found by itself or refused in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.optics import Objective, Transfer
from superlens.optics.detection import Detection
from superlens.optics.patterns import Pattern
from superlens.progress import Progress
from superlens.reconstruct.sim import check
from superlens.reconstruct.sim.bands import Bands
from superlens.reconstruct.sim.estimate import Estimate, estimate_pattern, measure_pattern
from superlens.reconstruct.sim.layout import PRESETS, Layout, OrderTie, find_layout, layouts, unmounted
from superlens.reconstruct.sim.operator import Reconstruction
from superlens.reconstruct.sim.search import Found
from superlens.reconstruct.sim.series import Series, follow, still
from superlens.reconstruct.sim.spectrum import Attenuation, Regularisation, Spectrum
from superlens.reconstruct.sim.weights import fitted_regularisation, leaks_of

if TYPE_CHECKING:
    from superlens.report import Verdict

__all__ = ["SimOptions", "SimResult", "on_grid", "raw_sets", "reconstruct_one"]

Kind = Literal["wiener", "flat-noise", "true-wiener"]


@dataclass(frozen=True, slots=True)
class SimOptions:
    """What may be said beside the image and the optics; all of it is found otherwise.

    Attributes
    ----------
    order : str
        Axes of the frames, the fastest first, like ``"phase,z,angle"``; the name of a microscope (omx, elyra, fastsim, biosr, nsim); or "auto".
    angles, phases : int, optional
    regularisation : {"wiener", "flat-noise", "true-wiener"}
    w : float, optional
        Weight of the Wiener filter; from the signal-to-noise ratio by default.
    damping : float, optional
        Of the transfer function, 0.05 to 1; by default that at which the bands agree best.
    apodisation : float
        Exponent of the triangle.
    attenuation : float
        Strength of the attenuation of order 0 at low frequencies, 0 to 0.95, against haze.
    """

    order: str = "auto"
    angles: int | None = None
    phases: int | None = None
    regularisation: Kind = "wiener"
    w: float | None = None
    damping: float | None = None
    apodisation: float = 1.0
    attenuation: float = 0.0

    def axes(self) -> tuple[str, ...] | None:
        """The order as axes, the fastest first; None to find it.

        Raises
        ------
        SuperlensError
            When it is none.
        """
        if self.order == "auto":
            return None
        if self.order in PRESETS:
            return PRESETS[self.order]
        axes = tuple(part.strip().replace("time", "z") for part in self.order.split(","))
        if not set(axes) <= {"phase", "angle", "z"} or len(set(axes)) < len(axes):
            raise SuperlensError(
                f"`order` is {self.order!r}; expected auto, one of {', '.join(PRESETS)}, or phase, angle and z with commas between, the fastest first."
            )
        return axes


@dataclass(frozen=True, slots=True, eq=False)
class SimResult:
    """What came of raw frames.

    Attributes
    ----------
    image : Image
        The reconstruction: float32 counts, half the pixel size, negative values kept. Several sets of frames are along T or Z.
    widefield : Image
        Order 0 of the frames: their mean, where their phases are equal steps.
    pattern : Pattern
        As it was measured, or given.
    spectrum : Spectrum
        Transfer function and noise in closed form.
    estimate : Estimate
    layout : Layout
    messages : tuple of str
        What the user should know.
    frames : ndarray, shape (frames, Y, X), float32, counts
        The mean of the sets from which the pattern was measured, brought to one phase where each has its own.
    pixel_nm : float
        Of the raw frames.
    series : Series
        Whether the sets share the pattern, and why.
    """

    image: Image
    widefield: Image
    pattern: Pattern
    spectrum: Spectrum
    estimate: Estimate
    layout: Layout
    messages: tuple[str, ...]
    frames: NDArray[np.float32] = field(repr=False)
    pixel_nm: float
    series: Series

    @property
    def spectra(self) -> tuple[Spectrum, ...]:
        """`spectrum` with the pattern of each set; the same object for all where they share it."""
        return tuple(
            self.spectrum if pattern is self.pattern else replace(self.spectrum, pattern=pattern)
            for pattern in self.series.patterns
        )

    def operators(self, workers: int = 1) -> Iterator[Reconstruction]:
        """The linear operator of each set, one after the other; what was computed for one serves the next."""
        return operators_of(self.spectrum, self.series, self.frames.shape[1:], workers)

    @property
    def transfer(self) -> Transfer:
        """What the reconstruction did to the specimen, on the grid of `image`."""
        return self.spectrum.blur()

    @property
    def verdict(self) -> Verdict:
        """Whether to use the result, with the reasons, as the report gives it."""
        from superlens.reconstruct.sim.page import verdict_of

        return verdict_of(self)

    @property
    def report(self) -> str:
        """The report as one HTML page."""
        from superlens.reconstruct.sim.page import page_of

        return page_of(self)

    def lines(self) -> list[str]:
        """The pattern in lines for a person."""
        table, size = self.pattern.arrangement, self.pixel_nm
        said = [f"frames: {self.layout.words}"]
        for order, multiple, angle in zip(self.pattern.orders, table.multiples, table.angles, strict=True):
            name = f"angle {angle + 1}" + (f", order {multiple}" if max(table.multiples) > 1 else "")
            z = "" if np.isnan(order.significance) else f", z {order.significance:.0f}"
            said.append(
                f"{name}: period {size / order.length:.1f} nm at {order.angle_deg:.1f} degrees, modulation {order.modulation:.3f} ± "
                f"{order.modulation_error:.3f}{z}"
            )
        return [*said, self.series.words] if self.layout.sets > 1 else said

    def described(self) -> dict[str, Any]:
        """What is worth keeping, in JSON values."""
        estimate, spectrum = self.estimate, self.spectrum
        pattern = self.pattern.described()
        for order, coherence, frequency, phase in zip(
            pattern["orders"], estimate.coherence, estimate.frequency_error, estimate.phase_error, strict=True
        ):
            order["coherence"] = round(float(coherence), 4)
            order["frequency_error_bins"] = round(float(frequency), 5)
            order["phase_error_deg"] = round(float(np.degrees(phase)), 3)
        return {
            "pattern": {
                **pattern,
                "frame_order": list(self.layout.order),
                "joint_significance": None if estimate.found is None else round(estimate.found.joint, 2),
            },
            "detection": {
                "cutoff_per_pixel": round(spectrum.detection.cutoff, 6),
                "cutoff_over_stated": round(estimate.cutoff_ratio, 4),
                "damping": round(spectrum.detection.damping, 4),
            },
            "regularisation": {
                "kind": spectrum.regularisation.kind,
                "w": round(spectrum.regularisation.w, 4) if spectrum.regularisation.kind == "wiener" else None,
                "apodisation": spectrum.apodisation,
                "attenuation": spectrum.attenuation.strength,
                "leaks": [round(leak, 3) for leak in spectrum.leaks],
            },
            "noise_counts": round(self.series.noise, 4),
            **({"sets": self.series.described()} if self.layout.sets > 1 else {}),
        }


def reconstruct_one(
    image: Image,
    objective: Objective,
    pattern: Pattern | None,
    options: SimOptions,
    workers: int,
    progress: Progress,
) -> SimResult:
    """Reconstruct an image without channels; the parameters are those of `superlens.reconstruct.sim.reconstruct_sim`."""
    assert image.pixel_nm is not None
    detection = check.check_optics(objective, image.pixel_nm)
    planes = _planes(image, options)
    check.check_frames(planes)
    progress(0, 3, "find the pattern")
    layout, estimate, frames, series = _estimated(planes, image, pattern, detection, options, workers)
    sets = layout.in_sets(planes)
    messages = [
        *check.frame_warnings(image, planes, estimate.pattern.brightness.tolist()),
        *check.pattern_warnings(estimate, detection, objective, image.pixel_nm),
        *check.drift_warning(check.drift_between_angles(frames, layout)),
        *check.stack_warning(image, layout.sets),
    ]
    progress(1, 3, "weigh signal and noise")
    spectrum = _spectrum(estimate, frames, options, workers)
    progress(2, 3, "reconstruct")
    made = np.empty((layout.sets, 2 * frames.shape[1], 2 * frames.shape[2]), np.float32)
    wide = np.empty((layout.sets, *frames.shape[1:]), np.float32)
    for at, (one, operator) in enumerate(
        zip(sets, operators_of(spectrum, series, frames.shape[1:], workers), strict=True)
    ):
        made[at], wide[at] = operator.apply(one), np.tensordot(operator.bands[0], one, 1)
        progress(2 + at + 1, 2 + layout.sets, "reconstruct")
    return SimResult(
        on_grid(image, made, 2),
        on_grid(image, wide, 1),
        estimate.pattern,
        spectrum,
        estimate,
        layout,
        tuple(messages),
        frames,
        image.pixel_nm,
        series,
    )


def operators_of(
    spectrum: Spectrum, series: Series, shape: Sequence[int], workers: int = 1
) -> Iterator[Reconstruction]:
    """The operator of each set."""
    operator = Reconstruction(shape, spectrum, workers=workers)
    for pattern in series.patterns:
        yield operator if pattern is spectrum.pattern else operator.with_pattern(pattern)


def raw_sets(image: Image, layout: Layout, options: SimOptions) -> NDArray[np.float32]:
    """The raw frames set by set, shape (sets, frames, Y, X), counts."""
    return np.asarray(layout.in_sets(_planes(image, options)), np.float32)


def _planes(image: Image, options: SimOptions) -> NDArray[np.float32]:
    """All planes in the order of the file, a montage cut up."""
    data = np.asarray(image.data, np.float32)
    planes = data.reshape(-1, *data.shape[-2:])
    if options.order == "nsim" and len(planes) == 1:
        return unmounted(planes[0], options.angles or 3, options.phases or 3)
    return planes


def _estimated(
    planes: NDArray[np.float32],
    image: Image,
    pattern: Pattern | None,
    detection: Detection,
    options: SimOptions,
    workers: int,
) -> tuple[Layout, Estimate, NDArray[np.float32], Series]:
    """Layout, pattern, the frames that it was measured from, and what each set has of its own."""
    if pattern is None:
        layout, found, shown = _found(planes, detection, options, float(image.pixel_nm or 1), workers)
    else:
        layout, found = _layout_of(pattern, len(planes), options.axes(), options), None
        shown = layout.parts[0]

    def measured(frames: NDArray[np.float32]) -> Estimate:
        if pattern is not None:
            return measure_pattern(frames, pattern, detection, damping=options.damping, workers=workers)
        return estimate_pattern(
            frames, layout.arrangement, detection, damping=options.damping, found=found, workers=workers
        )

    sets = layout.in_sets(planes)
    alike, moved_px = layout.parts[0], 0.0
    if layout.sets > 1 and _axis(image) == "T":
        alike, moved_px = still(sets, detection)
    averaged = slice(max(alike.start, shown.start), min(alike.stop, shown.stop))
    frames = np.asarray(sets[averaged].mean(axis=0, dtype=np.float32))
    estimate = measured(frames)
    if layout.sets == 1:
        return layout, estimate, frames, Series((estimate.pattern,), estimate.noise)
    free = pattern is None
    return layout, *follow(
        sets, estimate, measured, averaged, alike, moved_px=moved_px, free=free, workers=workers
    )  # fmt: skip


def _found(
    planes: NDArray[np.float32], detection: Detection, options: SimOptions, pixel_nm: float, workers: int
) -> tuple[Layout, Found, slice]:
    """Layout and carriers, and the sets whose mean shows them: where the pattern moves, their mean shows none.

    Raises
    ------
    SuperlensError
        What speaks against the mean of all sets, if no part of them shows a pattern; or that two orders of the frames fit a part alike.
    """
    order, angles, phases = options.axes(), options.angles, options.phases
    tries = max(len(one.parts) for one in layouts(len(planes), order, angles, phases))
    refused: list[SuperlensError] = []
    for part in range(tries):
        try:
            layout, found = find_layout(
                planes, detection.damped(0.5), order=order, angles=angles, phases=phases, part=part, workers=workers
            )
            check.check_found(found, layout.arrangement, detection, pixel_nm, layout.words)
        except SuperlensError as error:
            refused.append(error)
            continue
        return layout, found, layout.parts[min(part, len(layout.parts) - 1)]
    raise next((error for error in refused if isinstance(error, OrderTie)), refused[0])


def _layout_of(pattern: Pattern, planes: int, order: Sequence[str] | None, options: SimOptions) -> Layout:
    """The layout of frames for a pattern that is given; where nothing is said, its own order."""
    table = pattern.arrangement
    check.same_pattern(pattern, planes if planes % table.frames else table.frames)
    angles, phases = (table.groups, table.frames // table.groups)
    fits = [
        one
        for one in layouts(planes, order or ("phase", "angle", "z"), options.angles, options.phases)
        if one.arrangement.frames == table.frames
        and one.sizes["angle"] in (angles, 1)
        and one.sizes["phase"] in (phases, table.frames)
    ]
    if not fits:
        raise SuperlensError(
            f"the given pattern has {angles} angles of {phases} phases, and the frames do not; check `angles` and `phases`."
        )
    return replace(fits[0], arrangement=table)


def _spectrum(estimate: Estimate, frames: NDArray[np.float32], options: SimOptions, workers: int) -> Spectrum:
    spectrum = Spectrum(
        estimate.pattern,
        estimate.detection,
        Regularisation("flat-noise"),
        options.apodisation,
        Attenuation(options.attenuation),
        leaks_of(
            Bands.of(frames, estimate.detection, estimate.pattern.brightness, workers), estimate.pattern.arrangement
        ),
    )
    if options.regularisation == "flat-noise":
        return spectrum
    if options.w is not None and options.regularisation == "wiener":
        return replace(spectrum, regularisation=Regularisation("wiener", options.w))
    found = fitted_regularisation(frames, spectrum, estimate.noise, options.regularisation, workers=workers)
    return replace(spectrum, regularisation=found)


def on_grid(image: Image, data: NDArray[Any], scale: int) -> Image:
    """Sets of frames, shape (sets, Y, X), as an image with so many pixels along a raw one: along T, or Z where the frames are."""
    axis = _axis(image)
    several = len(data) > 1
    return replace(
        image,
        data=data if several else data[0],
        axes=f"{axis}YX" if several else "YX",
        pixel_nm=None if image.pixel_nm is None else image.pixel_nm / scale,
        channel_names=(),
        emission_nm=image.emission_nm[:1],
        z_step_nm=image.z_step_nm if axis == "Z" and several else None,
        frame_interval_s=None,
    )


def _axis(image: Image) -> str:
    """The axis along which the sets lie."""
    return "Z" if "Z" in image.axes and "T" not in image.axes else "T"
