"""The page of a localization: every section prepared as text, pictures and plots, then put into the template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from superlens.report import localization_plots as plots
from superlens.report.analysis import Crop
from superlens.report.data import Array
from superlens.report.evidence import Section, recorded
from superlens.report.localization import LocalizationReport
from superlens.report.pictures import Contrast, Picture, marks_of, paint, shrunk
from superlens.report.plots import Plot
from superlens.report.templates import template
from superlens.report.verdict import judge_localizations
from superlens.report.words import UNAVAILABLE, flatten, length, number

__all__ = ["build"]

_FIELD = 1024  # pixels of the longer side of a whole field in the page
_REGION_NM = 2500.0
_LEAST_REGION = 8  # camera pixels
_FLOOR = 0.02  # of the largest pixel: below it is what a network answers where nothing is


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One image of the field."""

    name: str
    data: Array
    nm: float
    unit: str

    @property
    def counted(self) -> bool:
        """Whether it holds molecules, and 0 where there is none."""
        return self.unit != "counts"


@dataclass(frozen=True, slots=True)
class _Region:
    """One zoomed region: its pictures side by side."""

    title: str
    where: str
    pictures: tuple[Picture, ...]


def build(data: LocalizationReport) -> str:
    """The page of `data`; what it guarantees stands at `superlens.report.render_localizations`."""
    layers = _layers(data)
    crops = crops_of(data)
    return template("localization.html.j2").render(
        data=data,
        verdict=judge_localizations(data),
        passed=_passed(data),
        layers=[_whole(layer) for layer in layers],
        contrasts=[f"{layer.name.capitalize()}: {_contrast(_small(layer)[0], layer).words}." for layer in layers],
        overview=_overview(layers[-1], data, crops),
        regions=[_region(layers, crop, data.pixel_nm, place) for place, crop in enumerate(crops, 1)],
        messages=_messages(data),
        time=_time(data),
        found=_distributions(data),
        probability=_probability(data),
        drift=_drift(data),
        conditions=[
            (c.name, f"{number(c.value)} {c.unit}".strip(), "given" if c.given else "estimated", c.source)
            for c in data.conditions
        ],
        spots=_spots(data),
        likeness=_likeness(data),
        model=_model(data),
        facts=_origin(data),
        parameters=flatten(data.parameters),
        number=number,
    )


def _passed(data: LocalizationReport) -> list[tuple[str, str]]:
    """What speaks for a result."""
    found = []
    if data.likeness is not None:
        found.append(("simulation", "Frames simulated under the same conditions look like the real ones."))
    if data.drift is not None:
        found.append(("drift", "Measured and corrected." if data.drift.found else "None found above its own error."))
    errors = data.column("uncertainty_nm")
    if errors.size:
        middle = number(float(np.median(errors)), 3)
        found.append(("uncertainty", f"Half of the localizations are known to {middle} nm or better."))
    return found


def _messages(data: LocalizationReport) -> list[str]:
    """Messages of the run without those that the page shows where they belong."""
    elsewhere = {
        *(() if data.likeness is None else data.likeness.messages),
        *data.contradictions,
        *data.doubts,
        "" if data.drift is None else data.drift.note,
    }
    return [message for message in data.messages if message not in elsewhere]


def _layers(data: LocalizationReport) -> list[_Layer]:
    found = [_Layer("mean of the frames", np.asarray(data.mean, dtype=float), data.pixel_nm, "counts")]
    if data.density is not None and data.density_nm is not None:
        found.append(_Layer("density", np.asarray(data.density, dtype=float), data.density_nm, "molecules per pixel"))
    found.append(
        _Layer("rendered", np.asarray(data.rendered, dtype=float), data.rendered_nm, "localizations per pixel")
    )
    return found


def _contrast(shown: Array, layer: _Layer) -> Contrast:
    """Percentiles of all pixels of a camera image; from 0 to one of the pixels with molecules otherwise."""
    if not layer.counted:
        return Contrast.of(shown, 0.5, 99.8)
    finite = shown[np.isfinite(shown)]
    found = finite[finite > _FLOOR * max(float(finite.max(initial=0.0)), 0.0)]
    high = float(np.percentile(found, 98.0)) if found.size else 1.0
    return Contrast(
        0.0, max(high, 1e-12), f"0 and percentile 98 of the pixels above {_FLOOR:.0%} of the largest", layer.unit
    )


def _small(layer: _Layer) -> tuple[Array, float]:
    """The image with pixels averaged in blocks where it is larger than the page shows, and the side of its pixels."""
    shown = shrunk(layer.data, _FIELD)
    return shown, layer.nm * layer.data.shape[1] / shown.shape[1]


def _whole(layer: _Layer, *, alt: str = "") -> Picture:
    shown, nm = _small(layer)
    colours = "inferno" if layer.counted else "gray"
    text = alt or f"{layer.name}, whole field"
    return paint(
        shown, _contrast(shown, layer), alt=text, name=layer.name, colours=colours, pixel_nm=nm, largest=_FIELD
    )


def _overview(layer: _Layer, data: LocalizationReport, crops: list[Crop]) -> Picture:
    picture = _whole(layer, alt="Rendered image with the zoomed regions marked")
    marks = marks_of(data.mean.shape, tuple(crops), ())
    return Picture(picture.uri, picture.width, picture.height, picture.alt, "", None, picture.scale_bar, marks)


def crops_of(data: LocalizationReport) -> list[Crop]:
    """Windows of camera pixels: that with the most localizations, a usual one, and one of the emptiest that hold some."""
    height, width = data.mean.shape
    side = int(max(_REGION_NM / data.pixel_nm, _LEAST_REGION))
    side = min(side, max(min(height, width) // 2, 1))
    x, y = (np.asarray(data.columns[name], dtype=float) / data.pixel_nm for name in ("x_nm", "y_nm"))
    counts, _, _ = np.histogram2d(y, x, [np.arange(height + 1), np.arange(width + 1)])
    sums = ndimage.uniform_filter(counts, side, mode="constant", origin=-(side // 2)) * side**2
    corners = np.rint(sums[: height - side + 1 : max(side // 2, 1), : width - side + 1 : max(side // 2, 1)]).astype(int)
    held = np.flatnonzero(corners.ravel())
    if not held.size:
        return []
    order = held[np.argsort(corners.ravel()[held], kind="stable")]
    chosen = {
        "Most localizations": order[-1],
        "Usual": order[len(order) // 2],
        "Few localizations": order[len(order) // 10],
    }
    crops, taken = [], set[int]()
    for label, at in chosen.items():
        if int(at) not in taken:
            taken.add(int(at))
            row, column = np.unravel_index(at, corners.shape)
            step = max(side // 2, 1)
            crops.append(Crop(label, int(row) * step, int(column) * step, side, side))
    return crops


def _region(layers: list[_Layer], crop: Crop, pixel_nm: float, place: int) -> _Region:
    pictures = []
    for layer in layers:
        ratio = pixel_nm / layer.nm
        y, x = (round(at * ratio) for at in (crop.y, crop.x))
        bottom, right = (round((at + crop.height) * ratio) for at in (crop.y, crop.x))
        cut = layer.data[y : max(bottom, y + 1), x : max(right, x + 1)]
        pictures.append(
            paint(
                cut,
                _contrast(cut, layer),
                alt=f"{crop.label}, {layer.name}",
                name=layer.name,
                colours="inferno" if layer.counted else "gray",
                unit=layer.unit,
                pixel_nm=layer.nm,
            )  # fmt: skip
        )
    where = f"{length(crop.width, pixel_nm)} wide, upper left corner at x = {length(crop.x, pixel_nm)}, y = {length(crop.y, pixel_nm)}"
    return _Region(f"{place}  {crop.label}", where, tuple(pictures))


def _time(data: LocalizationReport) -> Section:
    """Localizations over the frames, and how many molecules shine at once."""
    first, last = data.frames
    frame = np.asarray(data.columns["frame"], dtype=np.int64)
    counts = np.bincount(np.clip(frame - first, 0, last - first), minlength=data.frame_count)
    searched = np.setdiff1d(np.arange(data.frame_count), data.unsearched - first)
    density = counts[searched] / data.area_um2
    marks = [(float(density.mean()), "found, mean")]
    facts = [
        (
            "Found in a frame",
            f"{number(float(counts[searched].mean()), 3)}, from {counts[searched].min()} to {counts[searched].max()}",
        )
    ]
    facts.append(("Found per µm² and frame", number(float(density.mean()), 3)))
    notes = []
    if data.density_um2 is not None:
        marks.append((data.density_um2, "estimated"))
        facts.append(("Estimated from the light of the movie", f"{number(data.density_um2, 3)} per µm² and frame"))
        if data.rows and data.density_um2 > 0:
            share = float(density.mean()) / data.density_um2
            facts.append(("Found over estimated", number(share, 2)))
    if len(searched) >= 20:
        ends = [
            float(counts[part].mean()) for part in (searched[: len(searched) // 10], searched[-(len(searched) // 10) :])
        ]
        if ends[0] > 2 * max(ends[1], 1e-9):
            notes.append(
                f"The last tenth of the movie holds {number(ends[1], 2)} localizations in a frame, the first {number(ends[0], 2)}: molecules bleach."
            )
    drawn = [Plot(plots.over_time(counts, first))]
    if data.rows:
        title = "Density of molecules in a frame"
        drawn.append(
            Plot(
                plots.distribution(
                    title, density, xlabel="molecules per µm² in a frame", marks=marks, step=1 / data.area_um2
                )
            )
        )
    return Section(plots=tuple(drawn), facts=tuple(facts), notes=tuple(notes))


def _distributions(data: LocalizationReport) -> Section:
    """Photons, stated errors and background of the localizations, one plot each where the table has the column."""
    drawn, notes, facts = [], [], []
    for name, title, label, unit in (
        ("photons", "Photons of the localizations", "photons of a molecule in a frame", "photons"),
        ("uncertainty_nm", "Uncertainty of the localizations", "standard error of x and of y (nm)", "nm"),
        ("background", "Background of the localizations", "background (photons per camera pixel)", "photons per pixel"),
    ):
        values = data.column(name)
        if not values.size:
            why = "the table is empty" if not data.rows else "the table has no such column"
            notes.append(f"{title}: {why}.")
            continue
        low, middle, high = np.percentile(values, (10, 50, 90))
        facts.append(
            (
                title,
                f"median {number(float(middle), 3)}, 80 % from {number(float(low), 3)} to {number(float(high), 3)} {unit}",
            )
        )
        drawn.append(Plot(plots.distribution(title, values, xlabel=label, marks=[(float(middle), "median")])))
    return Section(plots=tuple(drawn), facts=tuple(facts), notes=tuple(notes))


def _probability(data: LocalizationReport) -> Section:
    values = data.column("probability")
    if not values.size:
        why = "the table is empty" if not data.rows else "the table has no column of probabilities"
        return Section(notes=(f"Not shown: {why}.",))
    marks = [] if data.threshold is None else [(data.threshold, "threshold")]
    drawing = plots.distribution(
        "Probability of the localizations",
        values,
        xlabel="probability (height of the peak)",
        marks=marks,
        ends=(0.0, 1.0),
    )
    facts = [] if data.threshold is None else [("Threshold", number(data.threshold, 3))]
    facts.append(("Above 0.9", f"{number(100 * float(np.mean(values > 0.9)), 2)} % of the localizations"))
    return Section(plots=(Plot(drawing),), facts=tuple(facts))


def _drift(data: LocalizationReport) -> Section:
    course = data.drift
    if course is None:
        return Section(notes=("Drift was not looked for.",))
    note = course.note[:1].upper() + course.note[1:]
    if not course.found:
        return Section(notes=(note or "No drift was found above its own error; none was corrected.",))
    span = np.ptp(course.shift_nm, axis=0)
    facts = (
        ("Largest distance", f"x {number(float(span[0]), 3)} nm, y {number(float(span[1]), 3)} nm"),
        ("Known to", f"{number(course.uncertainty_nm, 2)} nm"),
    )
    return Section(plots=(Plot(plots.drift(course)),), facts=facts, notes=(note,) if note else ())


def _spots(data: LocalizationReport) -> Section:
    """Isolated blinks that were fitted one by one."""
    drawn = []
    for values, title, label, unit in (
        (data.spot_sigma_nm, "Width of isolated blinks", "standard deviation of the image (nm)", "nm"),
        (data.spot_photons, "Photons of isolated blinks", "photons", "photons"),
    ):
        finite = np.asarray([] if values is None else values, dtype=float)
        finite = finite[np.isfinite(finite)]
        if finite.size:
            middle = float(np.median(finite))
            caption = f"{finite.size} blinks, median {number(middle, 4)} {unit}"
            ends = (float(finite.min()), float(np.quantile(finite, 0.99)))
            drawing = plots.distribution(title, finite, xlabel=label, marks=[(middle, "median")], ends=ends)
            drawn.append(Plot(drawing, caption))
    if drawn:
        return Section(plots=tuple(drawn))
    return Section(
        notes=("No blink stood alone well enough to be fitted by itself: the movie is dense, dim, or short.",)
    )


def _likeness(data: LocalizationReport) -> Section:
    """Real against simulated frames."""
    likeness = data.likeness
    if likeness is None:
        return Section(notes=("No movie was simulated under these conditions, so nothing was compared.",))
    drawn = [Plot(plots.pixel_values(likeness)), Plot(plots.maxima(likeness))]
    notes = []
    if likeness.real_covariance.size:
        drawn.insert(1, Plot(plots.covariance(likeness)))
    else:
        notes.append("The movie is too short to compare what changes in time.")
    sites = "where the mean of the frames is bright" if likeness.structured else "anywhere"
    notes.append(f"Molecules were simulated {sites}.")
    contrast = Contrast.of(likeness.real_frame, 0.5, 99.8, unit="electrons")
    pictures = tuple(
        paint(frame, contrast, alt=f"One {name} frame", name=f"{name} frame", unit="electrons", pixel_nm=data.pixel_nm)
        for name, frame in (("real", likeness.real_frame), ("simulated", likeness.simulated_frame))
    )
    return Section(pictures, tuple(drawn), notes=tuple(notes))


def _model(data: LocalizationReport) -> Section:
    model = data.model
    if model is None:
        return Section(notes=("The model is not described.",))
    rows = [("Model", model.name), ("Trained for", model.trained_for), ("Chosen because", model.chosen)]
    facts = [(name, text or UNAVAILABLE) for name, text in rows] + flatten(model.facts)
    return Section(facts=tuple(facts))


def _origin(data: LocalizationReport) -> tuple[tuple[str, str], ...]:
    """Where the result comes from, as table rows."""
    height, width = data.mean.shape
    rows = [
        ("Movie", data.source_name),
        ("Field", f"{width} × {height} pixels of {number(data.pixel_nm)} nm, {number(data.area_um2, 3)} µm²"),
        ("Frames", f"{data.frames[0]} to {data.frames[1]}"),
        ("Rendered", f"{data.rendered.shape[1]} × {data.rendered.shape[0]} pixels of {number(data.rendered_nm)} nm"),
    ]
    return recorded(rows, data.provenance, data.created)
