"""Plots of the page of a localization, as inline SVG; how they look is decided in `superlens.report.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from superlens.report.data import Array
from superlens.report.plots import COLOURS, legend_above, power_of_ten, svg
from superlens.report.words import number

if TYPE_CHECKING:
    from superlens.report.localization import DriftCourse
    from superlens.simulate.likeness import Likeness

__all__ = ["covariance", "distribution", "drift", "maxima", "over_time", "pixel_values"]

_MOST_POINTS = 300
_BINS = 60
_REAL, _SIMULATED, _PLAIN = COLOURS["denoised"], COLOURS["super-resolved"], COLOURS["input"]


def over_time(counts: Array, first: int) -> Markup:
    """Localizations in each frame, ``counts`` from the frame numbered ``first``; long movies as means over runs of frames."""
    run = max(-(-counts.size // _MOST_POINTS), 1)
    starts = np.arange(0, counts.size, run)
    means = np.add.reduceat(counts.astype(float), starts) / np.diff(np.append(starts, counts.size))
    middles = first + starts + (np.diff(np.append(starts, counts.size)) - 1) / 2

    def draw(axes: Axes) -> None:
        label = "localizations in a frame" if run == 1 else f"localizations in a frame, mean of {run} frames"
        axes.plot(middles, means, color=_REAL, label=label, marker="o" if means.size < 3 else None)
        axes.set_ylim(0, max(float(means.max()) * 1.08, 1.0))
        axes.set_xlabel("frame")
        axes.set_ylabel("localizations")
        legend_above(axes)

    return svg("Localizations in each frame over time", draw)


def distribution(
    title: str,
    values: Array,
    *,
    xlabel: str,
    marks: Sequence[tuple[float, str]] = (),
    ends: tuple[float, float] | None = None,
    step: float | None = None,
) -> Markup:
    """Histogram with named lines; the first and the last class hold everything beyond.

    Parameters
    ----------
    title, xlabel : str
    values : ndarray, shape (N,)
        At least one, all finite.
    marks : sequence of (float, str)
        Values to mark, with their names.
    ends : tuple of float, optional
        Of the axis; by default 0 and a little less than the largest.
    step : float, optional
        By which values differ that can only be multiples of it, such as numbers of things.
    """
    low, high = ends or (min(float(values.min()), 0.0), float(np.quantile(values, 0.995)))
    high = max([high, *(1.05 * at for at, _ in marks if at < 20 * high)])
    edges = _edges(low, high if high > low else low + 1.0, step)
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]

    def draw(axes: Axes) -> None:
        axes.stairs(counts, edges, fill=True, color=_PLAIN, alpha=0.6)
        for (at, label), colour, dash in zip(marks, (_SIMULATED, _REAL), ("-", "--"), strict=False):
            if edges[0] <= at <= edges[-1]:
                axes.axvline(at, color=colour, linewidth=1.2, linestyle=dash, label=f"{label}: {number(at, 3)}")
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(xlabel)
        axes.set_ylabel("number")
        if axes.get_legend_handles_labels()[0]:
            legend_above(axes)

    return svg(title, draw)


def _edges(low: float, high: float, step: float | None) -> Array:
    if step is None:
        return np.linspace(low, high, _BINS + 1)
    width = max(-(-int((high - low) / step + 1) // _BINS), 1) * step
    return low - 0.5 * step + width * np.arange(int((high - low + step) / width) + 2)


def drift(course: DriftCourse) -> Markup:
    """Place of the specimen over time, along x and along y, with the measured points and their error."""
    step = max(len(course.frames) // _MOST_POINTS, 1)
    names = (("x", _REAL), ("y", _SIMULATED))

    def draw(axes: Axes) -> None:
        for column, (name, colour) in enumerate(names):
            axes.plot(course.frames[::step], course.shift_nm[::step, column], color=colour, label=f"along {name}")
            if len(course.segment_frames):
                error = course.uncertainty_nm if np.isfinite(course.uncertainty_nm) else None
                axes.errorbar(
                    course.segment_frames, course.segment_nm[:, column], yerr=error, fmt="o", markersize=3, color=colour, linewidth=0.8,
                )  # fmt: skip
        axes.set_xlabel("frame")
        axes.set_ylabel("place of the specimen (nm)")
        legend_above(axes)

    return svg("Drift of the specimen over time", draw)


def pixel_values(likeness: Likeness) -> Markup:
    """Share of the pixels at each brightness, on a logarithmic scale."""

    def draw(axes: Axes) -> None:
        axes.stairs(likeness.real_share, likeness.edges, color=_REAL, linewidth=1.4, label="real")
        axes.stairs(
            likeness.simulated_share, likeness.edges, color=_SIMULATED, linewidth=1.4, linestyle="--", label="simulated"
        )
        seen = np.concatenate([likeness.real_share, likeness.simulated_share])
        axes.set_yscale("log")
        axes.set_ylim(max(float(seen[seen > 0].min(initial=1.0)) / 2, 1e-7), 1)
        axes.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("pixel value (electrons)")
        axes.set_ylabel("share of the pixels")
        legend_above(axes)

    return svg("Pixel values of real and simulated frames", draw)


def covariance(likeness: Likeness) -> Markup:
    """How pixels some distance apart fluctuate together."""
    lags = np.arange(1, likeness.real_covariance.size + 1)

    def draw(axes: Axes) -> None:
        axes.plot(lags, likeness.real_covariance, color=_REAL, marker="o", markersize=3, label="real")
        axes.plot(
            lags, likeness.simulated_covariance, color=_SIMULATED, marker="o", markersize=3, linestyle="--", label="simulated",
        )  # fmt: skip
        axes.set_xticks(lags)
        axes.set_xlabel("distance (camera pixels)")
        axes.set_ylabel("covariance in time (electrons²)")
        legend_above(axes)

    return svg("Covariance of neighbouring pixels in real and simulated frames", draw)


def maxima(likeness: Likeness) -> Markup:
    """How many spots stand out in a frame, as a distribution over the frames."""
    both = np.concatenate([likeness.real_maxima, likeness.simulated_maxima])
    width = max(-(-int(np.ptp(both) + 1) // 25), 1)
    edges = np.arange(int(both.min()), int(both.max()) + width + 1, width) - 0.5

    def draw(axes: Axes) -> None:
        for values, colour, dash, name in (
            (likeness.real_maxima, _REAL, "-", "real"),
            (likeness.simulated_maxima, _SIMULATED, "--", "simulated"),
        ):
            share = np.histogram(values, edges)[0] / max(len(values), 1)
            label = f"{name}, mean {number(float(values.mean()), 3)}"
            axes.stairs(share, edges, color=colour, linewidth=1.4, linestyle=dash, label=label)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("spots that stand out in a frame")
        axes.set_ylabel("share of the frames")
        legend_above(axes)

    return svg("Spots that stand out in real and simulated frames", draw)
