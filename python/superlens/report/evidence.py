"""The sections that let a reader doubt the result: noise, residual, flux, error map, uncertainty, PSF, origin.

Each function prepares pictures, plots and sentences of one section, or returns None when the data for it are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from superlens.report import analysis, plots
from superlens.report.analysis import Line, Residual
from superlens.report.data import Provenance, ReportData
from superlens.report.pictures import Contrast, Picture, paint
from superlens.report.plots import Plot
from superlens.report.words import number, percent

__all__ = ["Section", "uncertainty", "errors", "flux", "noise", "origin", "psf", "recorded", "residual"]


@dataclass(frozen=True, slots=True)
class Section:
    """Pictures, plots and sentences under one heading."""

    pictures: tuple[Picture, ...] = ()
    plots: tuple[Plot, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def noise(data: ReportData) -> Section | None:
    """Photon-transfer plot, camera constants with their origin, neighbour correlation."""
    transfer, correlation = data.photon_transfer, data.noise_correlation
    if transfer is None and correlation is None:
        return None
    facts: list[tuple[str, str]] = []
    notes: list[str] = []
    drawn: tuple[Plot, ...] = ()
    if transfer is not None:
        drawn = (Plot(plots.photon_transfer(transfer)),)
        for label, name, value, unit in (
            ("Gain", "gain", transfer.gain, "counts per electron"),
            ("Offset", "offset", transfer.offset, "counts"),
            ("Read noise", "read_noise_e", transfer.read_noise_e, "electrons"),
        ):
            source = "estimated from this image" if name in transfer.estimated else "given"
            facts.append((label, f"{number(value)} {unit} ({source})"))
        facts.append(("Noise model", transfer.verdict))
        notes.extend(transfer.notes)
    if correlation is not None:
        facts.append(("Noise shared with the neighbour", f"x {number(correlation.x, 2)}, y {number(correlation.y, 2)}"))
        facts.append(("Pixels independent", "yes" if correlation.independent else "no"))
        if correlation.note:
            notes.append(correlation.note)
    return Section(plots=drawn, facts=tuple(facts), notes=tuple(dict.fromkeys(notes)))


def residual(data: ReportData, statistics: Residual | None) -> Section | None:
    """Map, autocorrelation, histogram and moments of what the output leaves unexplained."""
    if statistics is None:
        return None
    unit = "σ" if statistics.modelled else "robust σ"
    limit = 4.0
    correlation = statistics.autocorrelation
    middle = tuple(side // 2 for side in correlation.shape)
    lags = correlation.copy()
    lags[middle] = np.nan
    reach = max(float(np.max(np.abs(lags), initial=0.0, where=np.isfinite(lags))), 0.05)
    pictures = (
        paint(statistics.z, Contrast.symmetric(limit), alt="Residual map", name="residual over noise",
              colours="RdBu_r", unit=unit, pixel_nm=data.pixel_nm, largest=768),
        paint(lags, Contrast.symmetric(reach), alt="Autocorrelation of the residual",
              colours="RdBu_r", unit="correlation", void="black",
              name=f"autocorrelation, lags to ± {middle[1]} camera pixels; the centre is always 1 and left black"),
    )  # fmt: skip
    beside = (
        (correlation[middle[0], middle[1] + 1], correlation[middle[0] + 1, middle[1]])
        if min(middle)
        else (np.nan, np.nan)
    )
    facts = (
        ("Mean", f"{number(statistics.mean, 3)} {unit} (noise alone: 0)"),
        ("Standard deviation", f"{number(statistics.sd, 3)} {unit} (noise alone: 1)"),
        ("Beyond ± 3", f"{percent(statistics.beyond_3)} of the pixels (Gaussian noise: 0.27 %)"),
        (
            "Correlation of neighbours",
            f"x {number(float(beside[0]), 2)}, y {number(float(beside[1]), 2)} (white noise: 0)",
        ),
    )
    notes = (
        ()
        if statistics.modelled
        else ("There is no noise model: the residual is shown in units of its own robust spread.",)
    )
    return Section(pictures, (Plot(plots.histogram(statistics)),), facts, notes)


def flux(data: ReportData) -> Section:
    """Block means of output against input, and the ratio of their means."""
    coarse, fine = analysis.block_means(data)
    side = min(8, *data.input.shape)
    ratio = float(np.nanmean(data.output)) / float(np.nanmean(data.input)) if np.nanmean(data.input) else float("nan")
    difference = float(np.nanmean(data.output)) - float(np.nanmean(data.input))
    facts = (
        ("Mean out over mean in", number(ratio)),
        ("Mean out minus mean in", f"{number(difference, 3)} {data.unit}"),
    )
    drawing = plots.flux(coarse, fine, output_name=data.output_name, side=side, intensity=data.intensity)
    return Section(plots=(Plot(drawing),), facts=facts)


def errors(data: ReportData) -> Picture | None:
    """The resolution-scaled error map."""
    if data.error_map is None:
        return None
    nm = data.pixel_nm if data.error_map.shape == data.input.shape else data.output_nm
    contrast = Contrast(0.0, max(Contrast.of(data.error_map, 0, 99.8).high, 1e-12))
    alt = "Resolution-scaled error map"
    return paint(
        data.error_map, contrast, alt=alt, name="RSE", colours="magma", unit=data.unit, pixel_nm=nm, largest=768
    )


def uncertainty(data: ReportData, contrast: Contrast) -> Section | None:
    """Stated standard deviation and its share of the signal; `contrast` of the output separates signal from background."""
    if data.uncertainty is None:
        return None
    sigma = np.asarray(data.uncertainty, dtype=float)
    floor = contrast.low + 0.1 * (contrast.high - contrast.low)
    signal = np.isfinite(data.output) & (data.output > max(floor, 0.0))
    relative = np.divide(sigma, data.output, out=np.full(sigma.shape, np.nan), where=signal)
    mask = data.prior_only.astype(bool) if isinstance(data.prior_only, np.ndarray) and data.prior_only.ndim else None
    high = max(Contrast.of(sigma, 0, 99.8).high, 1e-12)
    pictures = (
        paint(sigma, Contrast(0.0, high), alt="Standard deviation of each output pixel", name="uncertainty (1 σ)",
              colours="viridis", unit=data.unit, mask=mask, pixel_nm=data.output_nm, largest=768),
        paint(relative, Contrast(0.0, 0.5), alt="Relative uncertainty", name="relative uncertainty σ / signal",
              colours="cividis", void="white", unit="of the signal", mask=mask, pixel_nm=data.output_nm, largest=768),
        *([] if data.unrepeated is None else _unrepeated(data.unrepeated, data, contrast)),
    )  # fmt: skip
    facts = [("Signal pixels counted", f"{percent(float(signal.mean()))}, those above {number(floor, 3)} {data.unit}")]
    if signal.any():
        facts.append(("Median relative uncertainty", percent(float(np.nanmedian(relative[signal])))))
        facts.append(("Signal pixels known to 20 % or better", percent(float(np.mean(relative[signal] <= 0.2)))))
    if data.prior_only is not None:
        facts.append(("Detail from pretraining alone", percent(float(np.mean(data.prior_only)))))
    notes = ("Orange pixels: detail that comes from pretraining alone.",) if mask is not None and mask.any() else ()
    return Section(pictures, facts=tuple(facts), notes=notes)


def _unrepeated(share: NDArray[np.floating], data: ReportData, contrast: Contrast) -> tuple[Picture, Picture]:
    """Where detail does not repeat, and the part of the output that was asked."""
    cut = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(data.output.shape, share.shape, strict=True))
    return (
        paint(share, Contrast(0.0, 1.0), alt="Share of the detail that does not repeat", name="detail that does not repeat",
              colours="magma", void="white", unit="of the detail around", pixel_nm=data.output_nm, largest=768),
        paint(data.output[cut], contrast, alt="The same part of the result", name="the same part of the result",
              pixel_nm=data.output_nm, largest=768),
    )  # fmt: skip


def psf(data: ReportData, lines: Sequence[Line] = ()) -> Section | None:
    """The PSF, the stated response and the finest detail of the output beside each other, with the numbers to quote."""
    shown = data.psf
    if shown is None:
        return None
    plane = shown.psf.at_focus()
    root = np.sqrt(plane.data / plane.data.max())
    picture = paint(root, Contrast(0.0, 1.0), alt="Point spread function", name="PSF, square root of its values",
                    colours="magma", unit="of the maximum (root)", pixel_nm=plane.pixel_nm)  # fmt: skip
    facts = [("Origin", plane.source or "not stated")]
    if shown.response is not None:
        facts.append(("Width of a thin line in the result (FWHM)", f"{number(shown.response.line_fwhm_nm, 3)} nm"))
    width = f"{number(plane.line_fwhm_nm, 3)} nm"
    if data.pixel_nm is not None:
        width += f", {number(plane.line_fwhm_nm / data.pixel_nm, 3)} camera pixels"
    facts.append(("Width of a thin line in the recorded image (FWHM)", width))
    if shown.carried_per_um is not None:
        period = f"a period of {number(1000 / shown.carried_per_um, 3)} nm"
        facts.append(("The data carry the image to", f"{number(shown.carried_per_um, 3)} cycles/µm, {period}"))
    facts.append(("FWHM of the PSF", f"{number(plane.fwhm_nm, 3)} nm"))
    if shown.response is not None:
        facts.append(("Stated response of the output, compared with the PSF", shown.response_words))
    drawn = (Plot(plots.thin_line(shown, _finest(data, lines))), Plot(plots.transfer(shown)))
    return Section((picture,), drawn, tuple(facts))


def _finest(data: ReportData, lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray] | None:
    """The output along line A over its peak, in nm from the peak, without what lies below the lower of the valleys beside it."""
    line = next((line for line in lines if line.label == "A"), None)
    if line is None or data.output_nm is None:
        return None
    values = analysis.sample_line(data.output, line)
    reach = values.size // 8 + 1
    middle = values.size // 2
    top = middle - reach + int(np.argmax(values[middle - reach : middle + reach + 1]))
    floor = min(values[: top + 1].min(), values[top:].min())
    if not values[top] > floor:
        return None
    return (np.arange(values.size) - top) * data.output_nm, (values - floor) / (values[top] - floor)


def origin(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Where the result comes from, as table rows."""
    size = f"{data.input.shape[1]} × {data.input.shape[0]} pixels"
    out = f"{data.output.shape[1]} × {data.output.shape[0]} pixels"
    nm = data.output_nm
    rows = [
        ("Image", data.image_name),
        ("Input", f"{size}, {number(data.pixel_nm)} nm" if data.pixel_nm else f"{size}, pixel size not known"),
        ("Output", f"{out}, {number(nm)} nm ({data.output_name})" if nm else f"{out} ({data.output_name})"),
    ]
    return recorded(rows, data.provenance, data.created)


def recorded(rows: Sequence[tuple[str, str]], made: Provenance, created: datetime) -> tuple[tuple[str, str], ...]:
    """Rows about a result, and how, where and when it was made."""
    rows = [
        *rows,
        ("Command", made.command),
        ("Seed", "" if made.seed is None else str(made.seed)),
        ("Device", made.device),
        ("Input digest", made.input_digest),
        ("Started", "" if made.started is None else made.started.isoformat(" ", "seconds")),
        ("Duration", "" if made.duration_s is None else f"{number(made.duration_s, 3)} s"),
        ("Report made", created.isoformat(" ", "seconds")),
    ]
    return tuple((name, value or "not recorded") for name, value in rows)
