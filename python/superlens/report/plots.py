"""Line plots of the page as inline SVG.

Matplotlib's object interface draws them; no pyplot, no global figure list. Ink and grid lines are written as CSS
colours, so that the page decides on light, dark or paper. Text stays text, to be searched and copied.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from superlens.optics import PSF
from superlens.report.analysis import Residual
from superlens.report.data import Array, PhotonTransfer, PsfPicture, ReportData
from superlens.report.words import number

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

__all__ = [
    "COLOURS",
    "Curve",
    "Plot",
    "flux",
    "histogram",
    "legend_above",
    "losses",
    "photon_transfer",
    "power_of_ten",
    "profile",
    "spectra",
    "svg",
    "thin_line",
    "transfer",
    "vertical",
]

COLOURS = {
    "input": "#8a8f98",
    "denoised": "#0072b2",
    "super-resolved": "#d55e00",
}
_INK, _RULE = "#1b1e23", "#d9dce1"
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "superlens",
    "font.family": "sans-serif",
    "font.size": 8.0,
    "text.color": _INK,
    "text.parse_math": False,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": _RULE,
    "grid.linewidth": 0.5,
    "axes.grid": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.3,
    "path.simplify": True,
}
_WIDTH, _HEIGHT = 5.0, 2.9
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Plot:
    """An SVG element with a title for screen readers inside, and its caption."""

    svg: Markup
    caption: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A named line; `name` chooses its colour."""

    name: str
    x: Array
    y: Array
    band: Array | None = None


def profile(curves: Sequence[Curve], *, unit: str, label: str, intensity: str) -> Markup:
    """Intensity along a line; `unit` is that of the distance; a band is drawn two sigma to either side."""

    def draw(axes: Axes) -> None:
        for curve in curves:
            colour = COLOURS[curve.name]
            if curve.band is not None:
                low, high = curve.y - 2 * curve.band, curve.y + 2 * curve.band
                axes.fill_between(
                    curve.x, low, high, color=colour, alpha=0.18, linewidth=0, label=f"{curve.name} ± 2 stated σ"
                )
            axes.plot(curve.x, curve.y, color=colour, label=curve.name)
        axes.set_xlabel(f"distance along line {label} ({unit})")
        axes.set_ylabel(intensity)
        legend_above(axes)

    return svg(f"Intensity profiles along line {label}", draw)


def spectra(
    curves: Sequence[Curve], *, floor: float | None, cutoff: float | None, nyquist: float, unit: tuple[str, str]
) -> Markup:
    """Radial power spectra on a logarithmic scale, with noise floor, optical cutoff and camera Nyquist limit.

    `unit` names those of intensity and of length.
    """

    def draw(axes: Axes) -> None:
        top = max(float(curve.y.max()) for curve in curves) or 1.0
        bottom = min(float(curve.y[curve.y > 0].min(initial=top)) for curve in curves)
        for curve in curves:
            axes.plot(curve.x, curve.y, color=COLOURS[curve.name], label=curve.name)
        if floor is not None and floor > 0:
            axes.axhline(floor, color=_INK, linewidth=0.9, linestyle=":", label="noise floor of the camera")
            bottom = min(bottom, floor)
        if any((curve.y > 0).any() for curve in curves):
            axes.set_yscale("log")
        axes.set_ylim(max(bottom / 2, (floor or top * 1e-5) * 1e-3), top * 3)
        axes.set_xlim(0, max(float(curve.x.max()) for curve in curves))
        if cutoff is not None:
            vertical(axes, cutoff, "optical cutoff")
        vertical(axes, nyquist, "camera Nyquist limit")
        axes.set_xlabel(f"spatial frequency (cycles/{unit[1]})")
        axes.set_ylabel(f"power density ({unit[0]}² {unit[1]}²)")
        axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
        axes.yaxis.set_minor_locator(NullLocator())
        legend_above(axes)

    return svg("Radially averaged power spectra", draw)


def losses(data: ReportData) -> Markup:
    """Training and held-out loss over the steps, and the chosen step."""
    steps = np.array([record.step for record in data.history])
    train = np.array([record.train_loss for record in data.history], dtype=float)
    held_out = _optional([record.held_out_loss for record in data.history])

    def draw(axes: Axes) -> None:
        axes.plot(steps, train, color=COLOURS["input"], label="training", marker="o" if steps.size < 3 else None)
        seen = np.isfinite(held_out)
        if seen.any():
            axes.plot(
                steps[seen],
                held_out[seen],
                color=COLOURS["super-resolved"],
                marker="o",
                markersize=2.5,
                label="held out",
            )
        values = np.concatenate([train[np.isfinite(train)], held_out[seen]])
        if values.size and values.min() > 0 and values.max() > 3 * values.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(_plain))
            axes.yaxis.set_minor_formatter(FuncFormatter(_plain))
            axes.tick_params(axis="y", which="minor", labelsize=7)
        if data.chosen_step is not None:
            vertical(axes, data.chosen_step, f"chosen: step {data.chosen_step}")
        axes.set_ylabel("loss (normalised)")
        axes.set_xlabel("optimiser step")
        legend_above(axes)

    return svg("Training and held-out loss over the optimiser steps", draw)


def photon_transfer(transfer: PhotonTransfer) -> Markup:
    """Noise variance over mean with the fitted line."""
    finite = np.isfinite(transfer.means) & np.isfinite(transfer.variances)
    means, variances = np.asarray(transfer.means)[finite], np.asarray(transfer.variances)[finite]
    thin = max(int(np.ceil(means.size / _MOST_POINTS)), 1)

    def draw(axes: Axes) -> None:
        axes.plot(
            means[::thin], variances[::thin], "o", color=COLOURS["denoised"], markersize=2.6, alpha=0.7,
            markeredgewidth=0, label="this image",
        )  # fmt: skip
        ends = [transfer.offset, *([float(means.min()), float(means.max())] if means.size else [transfer.offset + 1])]
        line = np.array([min(ends), max(ends)])
        fit = transfer.gain * np.maximum(line - transfer.offset, 0) + (transfer.gain * transfer.read_noise_e) ** 2
        axes.plot(line, fit, color=COLOURS["super-resolved"], label="noise model")
        axes.set_xlabel("mean (counts, offset included)")
        axes.set_ylabel("noise variance (counts²)")
        axes.set_ylim(bottom=0)
        legend_above(axes)

    return svg("Photon transfer: noise variance over mean intensity, with the fitted line", draw)


def histogram(residual: Residual) -> Markup:
    """Distribution of the residual in units of sigma beside the standard normal."""
    edges = np.linspace(-6, 6, 61)
    values = np.clip(residual.z[np.isfinite(residual.z)], -6, 6)
    density = np.histogram(values, edges)[0] / max(values.size, 1) / (edges[1] - edges[0])
    x = np.linspace(-6, 6, 241)

    def draw(axes: Axes) -> None:
        axes.stairs(density, edges, fill=True, color=COLOURS["input"], alpha=0.55, label="residual")
        axes.plot(
            x,
            np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
            color=COLOURS["super-resolved"],
            label="pure noise: normal, σ = 1",
        )
        axes.set_xlim(-6, 6)
        axes.set_xlabel("residual (σ of the noise)" if residual.modelled else "residual (its own robust spread)")
        axes.set_ylabel("probability density (1/σ)")
        legend_above(axes)

    return svg("Histogram of the residual in units of sigma", draw)


def flux(coarse: Array, fine: Array, *, output_name: str, side: int, intensity: str) -> Markup:
    """Mean of the output over mean of the input, block by block, with the line of equality."""
    thin = max(int(np.ceil(coarse.size / _MOST_POINTS)), 1)
    ends = np.array([min(coarse.min(), fine.min()), max(coarse.max(), fine.max())])

    def draw(axes: Axes) -> None:
        axes.plot(ends, ends, color=_INK, linewidth=0.8, linestyle="--", label="equal")
        axes.plot(
            coarse[::thin], fine[::thin], "o", color=COLOURS[output_name], markersize=2.6, alpha=0.7, markeredgewidth=0,
            label=f"blocks of {side} × {side} camera pixels",
        )  # fmt: skip
        axes.set_xlabel(f"input, block mean ({intensity})")
        axes.set_ylabel(f"{output_name}, block mean\n({intensity})")
        legend_above(axes)

    return svg(f"Block means of the {output_name} image over those of the input", draw)


def thin_line(psf: PsfPicture, found: tuple[Array, Array] | None) -> Markup:
    """Profiles across a thin line through the PSF and through the stated response, and across the finest detail of the output.

    Parameters
    ----------
    psf : PsfPicture
    found : tuple of ndarray, or None
        Positions in nm and intensities of a profile of the output, its peak near 0.
    """
    plane = psf.psf.at_focus()
    reach = 1.5 * plane.line_fwhm_nm

    def across(one: PSF, axis: int) -> tuple[Array, Array]:
        line = one.at_focus().data.sum(axis=axis)
        return (np.arange(line.size) - line.size // 2) * one.pixel_nm, line / line.max()

    x, y = (across(plane, axis)[1] for axis in (0, 1))
    differ = x.shape != y.shape or float(np.abs(x - y).max()) > 0.02

    def draw(axes: Axes) -> None:
        axes.axhline(0.5, color=_INK, linewidth=0.8, linestyle=":")
        for axis, name in enumerate(("x", "y") if differ else ("",)):
            label = f"through the PSF, along {name}" if differ else "through the PSF"
            axes.plot(*across(plane, axis), color=COLOURS["denoised"], linestyle=("-", "--")[axis], label=label)
        if psf.response is not None:
            label = "through the stated response"
            axes.plot(*across(psf.response, 0), color=COLOURS["super-resolved"], label=label)
        if found is not None:
            axes.plot(*found, "o", color=COLOURS["input"], markersize=3.5, label="output along line A")
        if np.isfinite(reach):
            axes.set_xlim(-reach, reach)
        axes.set_ylim(-0.05, 1.08)
        axes.set_xlabel("distance from the line (nm)")
        axes.set_ylabel("intensity over peak")
        legend_above(axes)

    return svg("Profiles across a thin line", draw)


def transfer(psf: PsfPicture) -> Markup:
    """What the PSF and the stated response pass of each frequency, and where the data end."""
    frequency, passed = psf.psf.radial_transfer()

    def draw(axes: Axes) -> None:
        axes.plot(frequency, passed, color=COLOURS["denoised"], label="PSF")
        if psf.response is not None:
            axes.plot(*psf.response.radial_transfer(), color=COLOURS["super-resolved"], label="stated response")
        if psf.carried_per_um is not None:
            vertical(axes, psf.carried_per_um, "the data end here")
        axes.set_xlim(0, min(2.5 * psf.psf.cutoff_per_um, float(frequency[-1])))
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("spatial frequency (cycles/µm)")
        axes.set_ylabel("contrast passed")
        legend_above(axes)

    return svg("Transfer of the PSF and of the stated response", draw)


def svg(title: str, draw: Callable[[Axes], None]) -> Markup:
    """Draw on one pair of axes and return an SVG element without any fixed size, style sheet or foreign address."""
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    body = text[text.index("<svg") :]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    inside = body[body.index(">") + 1 :]
    stem = re.sub(r"\W+", "-", title.lower())
    inside = re.sub(r'\bid="', f'id="{stem}-', inside)
    inside = inside.replace("url(#", f"url(#{stem}-").replace('href="#', f'href="#{stem}-')
    inside = inside.replace(_INK, "currentColor").replace(_RULE, "var(--rule)")
    for name, colour in COLOURS.items():
        inside = inside.replace(colour, f"var(--{name})")
    box = f"0 0 {_WIDTH * 72:g} {_HEIGHT * 72:g}"
    return Markup(f'<svg class="plot" role="img" viewBox="{box}" aria-label="{title}"><title>{title}</title>{inside}')


def legend_above(axes: Axes) -> None:
    """Put the legend above the plot, so that it covers no point."""
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2 if len(handles) > 2 else 3,
        borderaxespad=0.2,
        columnspacing=1.4,
    )


def vertical(axes: Axes, x: float, label: str) -> None:
    """A dashed line with its name along it."""
    axes.axvline(x, color=_INK, linewidth=0.8, linestyle="--")
    axes.annotate(
        label, (x, 1), xycoords=("data", "axes fraction"), xytext=(-3, -2), textcoords="offset points", rotation=90,
        ha="right", va="top", fontsize=7,
    )  # fmt: skip


def _optional(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def power_of_ten(value: float, _position: int | None = None) -> str:
    """A tick label of a logarithmic axis, without mathematical markup."""
    if value <= 0:
        return ""
    superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + str(round(float(np.log10(value)))).translate(superscript)


def _plain(value: float, _position: int | None = None) -> str:
    return number(value, 3)
