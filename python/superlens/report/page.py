"""The page itself: every section prepared as text and pictures, then put into the template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from superlens.report import analysis, evidence, plots
from superlens.report.analysis import Crop, Line
from superlens.report.data import Array, FurtherPicture, ReportData
from superlens.report.evidence import Section
from superlens.report.pictures import Contrast, Picture, marks_of, paint
from superlens.report.plots import Curve, Plot
from superlens.report.templates import template
from superlens.report.verdict import judge
from superlens.report.words import UNAVAILABLE, flatten, length, number, percent

__all__ = ["build"]


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One image of the specimen with its place on the output grid."""

    name: str
    data: Array
    per_output: float
    pixel_nm: float | None


@dataclass(frozen=True, slots=True)
class _CropRow:
    """One zoomed region: its pictures side by side under one contrast."""

    title: str
    where: str
    contrast: str
    pictures: tuple[Picture, ...]


def build(data: ReportData) -> str:
    """The page of `data`; what it guarantees stands at `superlens.report.render`."""
    lines = analysis.choose_lines(data)
    crops = analysis.choose_crops(data, lines)
    contrast = Contrast.of(data.output, unit=data.unit)
    residual = analysis.residual_statistics(data)
    return template("page.html.j2").render(
        data=data,
        verdict=judge(data),
        passed=_passed(data),
        further=[(_further(one), one.words) for one in data.further],
        layers=_slider(data, contrast),
        contrast=contrast,
        overview=_overview(data, contrast, crops, lines),
        crops=[_crop_row(data, crop, place) for place, crop in enumerate(crops, 1)],
        sides=_side_views(data, contrast),
        profiles=_profiles(data, lines),
        spectra=_spectra(data),
        losses=plots.losses(data) if data.history else None,
        noise=evidence.noise(data),
        residual=evidence.residual(data, residual),
        flux=evidence.flux(data),
        errors=evidence.errors(data),
        uncertainty=evidence.uncertainty(data, contrast),
        psf=evidence.psf(data, lines),
        facts=evidence.origin(data),
        parameters=flatten(data.parameters),
    )


def _passed(data: ReportData) -> list[tuple[str, str]]:
    """The checks that speak for a result, with their values: those that decide first."""
    good = [metric for metric in data.metrics if metric.judged and metric.available and metric.verdict == "ok"]
    return [
        (
            metric.name,
            f"{number(metric.value)} {metric.unit}".rstrip() + f", expected {metric.expected}. {metric.meaning}",
        )
        for metric in good
    ]


def _further(one: FurtherPicture) -> Picture:
    """An image that the page knows by its name and words only."""
    image = np.asarray(one.image, dtype=float)
    contrast = Contrast.of(image, 0.5, 99.8)
    return paint(image, contrast, alt=one.words, name=one.name, unit="", pixel_nm=one.pixel_nm)


def _layers(data: ReportData) -> list[_Layer]:
    fine_nm = None if data.pixel_nm is None else data.pixel_nm / data.output_scale
    coarse = 1 / data.output_scale
    found = [_Layer("input", np.asarray(data.input, dtype=float), coarse, data.pixel_nm)]
    if data.denoised is not None:
        found.append(_Layer("denoised", data.denoised, coarse, data.pixel_nm))
    if data.sr is not None:
        found.append(_Layer("super-resolved", data.sr, 1.0, fine_nm))
    return found


def _slider(data: ReportData, contrast: Contrast) -> list[Picture]:
    """The whole field of every layer, all under the same contrast."""
    return [
        paint(layer.data, contrast, alt=f"{layer.name} image, whole field", name=layer.name, pixel_nm=layer.pixel_nm)
        for layer in _layers(data)
    ]


def _side_views(data: ReportData, contrast: Contrast) -> list[Picture]:
    return [
        paint(view, contrast, alt=f"{name} image from the side", name=name, pixel_nm=data.output_nm)
        for name, view in data.side_views.items()
    ]


def _overview(data: ReportData, contrast: Contrast, crops: tuple[Crop, ...], lines: tuple[Line, ...]) -> Picture:
    picture = paint(
        data.output,
        contrast,
        alt=f"{data.output_name} image with the zoomed regions and the profile lines marked",
        pixel_nm=data.output_nm,
        largest=768,
    )
    marks = marks_of(data.output.shape, crops, lines)
    return Picture(picture.uri, picture.width, picture.height, picture.alt, "", None, picture.scale_bar, marks)


def _crop_row(data: ReportData, crop: Crop, place: int) -> _CropRow:
    window = _window(data.output, crop, 1.0)
    contrast = Contrast.of(window, 0.5, 99.9, unit=data.unit)
    pictures = []
    for layer in _layers(data):
        cut = _window(layer.data, crop, layer.per_output)
        alt = f"{crop.label}, {layer.name} image"
        pictures.append(paint(cut, contrast, alt=alt, name=layer.name, pixel_nm=layer.pixel_nm))
    if data.uncertainty is not None:
        sigma = _window(data.uncertainty, crop, 1.0)
        pictures.append(
            paint(
                sigma,
                Contrast(0.0, max(float(np.nanpercentile(sigma, 99.8)), 1e-12)),
                alt=f"{crop.label}, standard deviation of each pixel",
                name="uncertainty (1 σ)",
                colours="viridis",
                unit=data.unit,
                pixel_nm=data.output_nm,
            )
        )
    nm = data.output_nm
    where = f"{length(crop.width, nm)} wide, upper left corner at x = {length(crop.x, nm)}, y = {length(crop.y, nm)}"
    return _CropRow(f"{place}  {crop.label}", where, contrast.words, tuple(pictures))


def _profiles(data: ReportData, lines: tuple[Line, ...]) -> tuple[Plot, ...]:
    titles = {
        "A": "Line A crosses the narrowest structure. The peak should be narrower in the result than in the input.",
        "B": "Line B crosses the closest pair of lines that the result separates. A deep dip between the two peaks means that they are two.",
    }
    return tuple(Plot(_profile_plot(data, line), f"{titles[line.label]} {_widths(data, line)}") for line in lines)


def _profile_plot(data: ReportData, line: Line) -> Markup:
    nm = data.output_nm
    distance = np.arange(-line.half, line.half + 1) * (nm or 1.0)
    curves = []
    for layer in _layers(data):
        values = analysis.sample_line(layer.data, line, per_output=layer.per_output)
        stated = data.uncertainty if layer.data is data.output else None
        band = None if stated is None else analysis.sample_line(stated, line)
        curves.append(Curve(layer.name, distance, values, band))
    return plots.profile(curves, unit="nm" if nm else "output px", label=line.label, intensity=data.intensity)


def _widths(data: ReportData, line: Line) -> str:
    """Width of the peak (line A) or distance and dip of the pair (line B), image by image."""
    parts = []
    for layer in _layers(data)[1:]:
        cut = analysis.sample_line(layer.data, line, per_output=layer.per_output)
        if line.label == "A":
            width = analysis.profile_fwhm(cut)
            parts.append(f"{layer.name} {length(width, data.output_nm) if np.isfinite(width) else UNAVAILABLE}")
        else:
            gap, _, dip = analysis.separated_pair(cut)
            found = (
                f"{length(gap, data.output_nm)} apart, with a dip of {percent(dip)}"
                if np.isfinite(gap)
                else "one peak only"
            )
            parts.append(f"{layer.name}: {found}")
    return ("Full width at half maximum: " if line.label == "A" else "") + "; ".join(parts) + "."


def _spectra(data: ReportData) -> Section:
    unit_nm = data.pixel_nm or 1000.0
    unit = "µm" if data.pixel_nm else "px"
    curves = []
    for layer in _layers(data):
        frequency, density = analysis.radial_power(layer.data, unit_nm / (layer.per_output * data.output_scale))
        curves.append(Curve(layer.name, frequency, density))
    sigma = analysis.noise_sigma(data)
    floor = None if sigma is None else float(np.nanmean(sigma**2)) * (unit_nm / 1000) ** 2
    cutoff = data.cutoff_per_um if data.pixel_nm else None
    drawing = plots.spectra(curves, floor=floor, cutoff=cutoff, nyquist=500 / unit_nm, unit=(data.unit, unit))
    notes = []
    if data.sr is not None and cutoff is not None:
        curve = next(curve for curve in curves if curve.name == "super-resolved")
        share = float(curve.y[curve.x > cutoff] @ curve.x[curve.x > cutoff]) / float(curve.y @ curve.x)
        amount = "Less than 0.01 %" if share < 1e-4 else percent(share)
        notes.append(
            f"{amount} of the power of the super-resolved image (without its mean) lies beyond the optical cutoff. "
            "The objective transmits nothing there: that detail is inferred from pretraining and the PSF."
        )
    return Section(plots=(Plot(drawing),), notes=tuple(notes))


def _window(image: Array, crop: Crop, per_output: float) -> Array:
    y, x, height, width = (round(value * per_output) for value in (crop.y, crop.x, crop.height, crop.width))
    return np.asarray(image, dtype=float)[y : y + height, x : x + width]
