"""`reconstruct_one`: from raw frames of one channel to the reconstruction, with the pattern found by itself or refused in words."""

from __future__ import annotations

from collections.abc import Sequence
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
from superlens.reconstruct.sim.layout import PRESETS, Layout, find_layout, layouts, unmounted
from superlens.reconstruct.sim.operator import Reconstruction
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
        The mean of the sets, from which the pattern was measured.
    pixel_nm : float
        Of the raw frames.
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
        return said

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
            "noise_counts": round(estimate.noise, 4),
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
    layout, estimate = _estimated(planes, pattern, detection, options, image.pixel_nm, workers)
    frames = planes[layout.planes].mean(axis=0, dtype=np.float32)
    messages = [
        *check.frame_warnings(image, planes, estimate.pattern.brightness.tolist()),
        *check.pattern_warnings(estimate, detection, objective, image.pixel_nm),
        *check.drift_warning(check.drift_between_angles(frames, layout)),
    ]
    progress(1, 3, "weigh signal and noise")
    spectrum = _spectrum(estimate, frames, options, layout, workers)
    progress(2, 3, "reconstruct")
    operator = Reconstruction(frames.shape[1:], spectrum, workers=workers)
    made = np.empty((layout.sets, 2 * frames.shape[1], 2 * frames.shape[2]), np.float32)
    wide = np.empty((layout.sets, *frames.shape[1:]), np.float32)
    for at, which in enumerate(layout.planes):
        one = planes[which]
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
    )


def raw_sets(image: Image, layout: Layout, options: SimOptions) -> NDArray[np.float32]:
    """The raw frames set by set, shape (sets, frames, Y, X), counts."""
    return np.asarray(_planes(image, options)[layout.planes], np.float32)


def _planes(image: Image, options: SimOptions) -> NDArray[np.float32]:
    """All planes in the order of the file, a montage cut up."""
    data = np.asarray(image.data, np.float32)
    planes = data.reshape(-1, *data.shape[-2:])
    if options.order == "nsim" and len(planes) == 1:
        return unmounted(planes[0], options.angles or 3, options.phases or 3)
    return planes


def _estimated(
    planes: NDArray[np.float32],
    pattern: Pattern | None,
    detection: Detection,
    options: SimOptions,
    pixel_nm: float,
    workers: int,
) -> tuple[Layout, Estimate]:
    order = options.axes()
    if pattern is not None:
        layout = _layout_of(pattern, len(planes), order, options)
        frames = planes[layout.planes].mean(axis=0, dtype=np.float32)
        return layout, measure_pattern(frames, pattern, detection, damping=options.damping, workers=workers)
    coarse = detection.damped(0.5)
    layout, found = find_layout(
        planes, coarse, order=order, angles=options.angles, phases=options.phases, workers=workers
    )
    check.check_found(found, layout.arrangement, detection, pixel_nm, layout.words)
    frames = planes[layout.planes].mean(axis=0, dtype=np.float32)
    made = estimate_pattern(
        frames, layout.arrangement, detection, damping=options.damping, found=found, workers=workers
    )
    return layout, made


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


def _spectrum(
    estimate: Estimate, frames: NDArray[np.float32], options: SimOptions, layout: Layout, workers: int
) -> Spectrum:
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
    # The noise of one set, not of their mean.
    noise = estimate.noise
    found = fitted_regularisation(frames, spectrum, noise, options.regularisation, workers=workers)
    return replace(spectrum, regularisation=found)


def on_grid(image: Image, data: NDArray[Any], scale: int) -> Image:
    """Sets of frames, shape (sets, Y, X), as an image with so many pixels along a raw one: along T, or Z where the frames are."""
    axis = "Z" if "Z" in image.axes and "T" not in image.axes else "T"
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
