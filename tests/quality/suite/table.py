"""The tables of the suite, as text for a terminal and as Markdown for the documentation.

In: a summary. Out: `Table` values; a number that was not measured is a dash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .catalogue import CONFIRMED, SCENES, SWEPT
from .scenes import NINE
from .summary import Summary
from .targets import difference, number, verdicts

__all__ = ["Table", "as_markdown", "as_text", "render", "tables"]

_METHODS = ("raw", "wiener_oracle", "sparse_oracle", "rl_blind", "rl_oracle", "rl_told", "start", "scratch", "fast")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def render(summary: Summary) -> str:
    """All tables as text."""
    return "\n\n".join(as_text(table) for table in tables(summary).values() if table.rows)


def tables(summary: Summary) -> dict[str, Table]:
    """All tables by name."""
    return {
        "psnr": _psnr(summary),
        "resolution": _resolution(summary),
        "trust": _trust(summary),
        "camera": _camera_known(summary),
        "again": _again(summary),
        "lines": _lines(summary),
        "sparse": _sparse(summary),
        "budget": _budget(summary),
        "sweep": _sweep(summary),
        "images": _images(summary),
        "transfer": _transfer(summary),
        "targets": _targets(summary),
    }


def as_text(table: Table) -> str:
    """Aligned columns under the title."""
    grid = [list(table.columns), *[list(row) for row in table.rows]]
    widths = [max(len(row[i]) for row in grid) for i in range(len(table.columns))]
    lines = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in grid
    ]
    return "\n".join([table.title, lines[0], "-" * len(lines[0]), *lines[1:]])


def as_markdown(table: Table) -> str:
    """A pipe table without its title; a sentence where there are no rows."""
    if not table.rows:
        return "*Not measured in this run.*"
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}"
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in table.rows)])


def _psnr(summary: Summary) -> Table:
    rows = []
    for scene in SCENES:
        values = [_cell(summary, f"{scene}/{m}", "psnr_db", ".2f") for m in _METHODS]
        gain = difference(summary, scene, "fast", "rl_oracle", "psnr_db")
        rows.append([scene, *values, _number(gain, "+.2f")])
    for group in ("nine", "unlike"):
        names = [s for s in SCENES if s.startswith(group)]
        means = [_mean([number(summary, f"{s}/{m}", "psnr_db") for s in names]) for m in _METHODS]
        gain = _mean([difference(summary, s, "fast", "rl_oracle", "psnr_db") for s in names])
        rows.append([f"mean of {group}", *(_number(m, ".2f") for m in means), _number(gain, "+.2f")])
    return Table(
        "PSNR in dB against the specimen at 1.5 times the resolution, after a linear fit",
        ["scene-photons", *(m.replace("_", " ") for m in _METHODS), "fast - rl oracle"],
        rows,
    )


def _resolution(summary: Summary) -> Table:
    methods = ("raw", "rl_blind", "rl_oracle", "fast")
    rows = [
        [
            scene,
            *(_cell(summary, f"{scene}/{m}", "frc_nm", ".0f") for m in methods),
            *(_cell(summary, f"{scene}/{m}", "frc_target_nm", ".0f") for m in methods),
            *(_cell(summary, f"{scene}/{m}", "ssim", ".3f") for m in ("rl_oracle", "fast")),
        ]
        for scene in SCENES
    ]
    names = [m.replace("_", " ") for m in methods]
    columns = ["scene-photons", *names, *(f"{n} (at 1.5)" for n in names), "ssim rl oracle", "ssim fast"]
    return Table(
        "FRC 1/7 in nm against the specimen, then against the specimen at 1.5 times the resolution; SSIM", columns, rows
    )


def _trust(summary: Summary) -> Table:
    rows = [
        [
            scene,
            _cell(summary, f"{scene}/fast", "raw_psnr_db", ".2f"),
            _cell(summary, f"{scene}/fast", "denoised_gain_db", "+.2f"),
            _cell(summary, f"{scene}/fast", "beyond_1_sigma", ".1%"),
            _cell(summary, f"{scene}/fast", "beyond_2_sigma", ".1%"),
            _cell(summary, f"{scene}/fast", "flux", ".3f"),
            _cell(summary, f"{scene}/fast", "blend", ".0%"),
            _cell(summary, f"{scene}/fast", "gain", ".2f"),
            _cell(summary, f"{scene}/fast", "read_noise_e", ".2f"),
            _cell(summary, f"{scene}/fast", "seconds", ".0f"),
        ]
        for scene in SCENES
    ]
    columns = ["scene-photons", "raw dB", "denoised", "beyond 1 sigma", "beyond 2 sigma", "flux"]
    columns += ["blend", "gain found", "read noise found", "s"]
    return Table(
        "fast: stage-1 gain over the raw image, stated uncertainty, flux, camera (true: 1 and 1.5)", columns, rows
    )


def _camera_known(summary: Summary) -> Table:
    rows = [
        [scene, *(_cell(summary, f"{scene}/{m}", "psnr_db", ".2f") for m in ("fast", "fast_camera_known"))]
        for scene in SCENES
        if f"{scene}/fast_camera_known" in summary["cells"]
    ]
    return Table(
        "fast: PSNR in dB with gain and read noise estimated, and given", ["scene-photons", "estimated", "given"], rows
    )


def _again(summary: Summary) -> Table:
    rows = [
        [
            scene.removeprefix("again/"),
            *(_cell(summary, f"{scene}/{m}", "psnr_db", ".2f") for m in ("rl_oracle", "fast")),
            _number(difference(summary, scene, "fast", "rl_oracle", "psnr_db"), "+.2f"),
            *(_cell(summary, f"{scene}/{m}", "frc_target_nm", ".0f") for m in ("rl_oracle", "fast")),
            _cell(summary, f"{scene}/fast", "denoised_gain_db", "+.2f"),
            _cell(summary, f"{scene}/fast", "beyond_2_sigma", ".1%"),
            _cell(summary, f"{scene}/fast", "flux", ".3f"),
        ]
        for scene in CONFIRMED
        if f"{scene}/fast" in summary["cells"]
    ]
    columns = ["scene-photons", "rl oracle", "fast", "fast - rl oracle", "FRC (at 1.5) rl oracle", "fast"]
    columns += ["denoised", "beyond 2 sigma", "flux"]
    return Table("Other specimens of the same kinds, by which no setting was chosen", columns, rows)


def _lines(summary: Summary) -> Table:
    keys = ("truth_dip", "clean_dip", "raw_dip", "rl_oracle_dip", "rl_oracle_least_dip", "fast_dip", "fast_least_dip")
    rows = [
        [
            name.split("/")[1],
            _cell(summary, name, "separation_nm", ".0f"),
            *(_cell(summary, name, key, ".0%") for key in keys),
        ]
        for name in _finished(summary, "lines/")
    ]
    columns = ["optics", "apart, nm", "truth at 1.5", "noise-free", "raw", "rl oracle", "least", "fast", "least"]
    return Table("Dip between two filaments FWHM / 1.3 apart, 50 photons, mean over directions", columns, rows)


def _sparse(summary: Summary) -> Table:
    rows = [
        [
            scene,
            _cell(summary, f"{scene}/sparse_oracle", "psnr_db", ".2f"),
            _cell(summary, f"{scene}/sparse_oracle", "seconds_one_run", ".1f"),
            _cell(summary, f"{scene}/fast", "psnr_db", ".2f"),
            _cell(summary, f"{scene}/fast", "seconds", ".0f"),
        ]
        for scene in SCENES
        if f"{scene}/sparse_oracle" in summary["cells"]
    ]
    return Table(
        "Sparse deconvolution, the best of six pairs of weights, beside fast",
        ["scene-photons", "sparse dB", "s for one pair", "fast dB", "s"],
        rows,
    )


def _budget(summary: Summary) -> Table:
    rows = []
    for kind in NINE:
        paper, ours = f"budget/{kind}/paper", f"nine/{kind}-15/fast"
        if paper in summary["cells"]:
            row = [
                kind,
                *(_cell(summary, paper, k, f) for k, f in (("psnr_db", ".2f"), ("steps", ".0f"), ("seconds", ".0f"))),
            ]
            rows.append([*row, _cell(summary, ours, "psnr_db", ".2f"), _cell(summary, ours, "seconds", ".0f")])
    columns = ["structure", "original dB", "steps", "s", "fast dB", "s"]
    return Table("The original recipe on a budget, and fast, at 15 photons", columns, rows)


def _sweep(summary: Summary) -> Table:
    theory = number(summary, "sweep/alpha-1", "psnr_db")
    rows = []
    for parameter, values in SWEPT.items():
        for value in values:
            name = f"sweep/{parameter}-{value:g}"
            if name in summary["cells"]:
                psnr, stage = number(summary, name, "psnr_db"), _cell(summary, name, "denoised_psnr_db", ".2f")
                loss = None if psnr is None or theory is None else psnr - theory
                rows.append([parameter, f"{value:g}", _number(psnr, ".2f"), _number(loss, "+.2f"), stage])
    return Table(
        "Re-corruption around theory (all 1), from scratch, filaments at 15 photons",
        ["parameter", "value", "SR dB", "against theory", "stage 1 dB"],
        rows,
    )


def _images(summary: Summary) -> Table:
    rows = [
        [
            name.split("/")[1].split("-")[0],
            name.split("-")[1],
            *(_cell(summary, name, k, ".2f") for k in ("first_psnr_db", "unseen_psnr_db")),
            _cell(summary, name, "seconds", ".0f"),
        ]
        for name in _finished(summary, "images/")
    ]
    return Table("Training on several images", ["images", "start", "first image dB", "unseen image dB", "s"], rows)


def _transfer(summary: Summary) -> Table:
    keys = ("same_own_psnr_db", "same_psnr_db", "other_own_psnr_db", "other_psnr_db")
    rows = [
        [name.split("/")[1], *(_cell(summary, name, k, ".2f") for k in keys)]
        for name in _finished(summary, "transfer/")
    ]
    columns = [
        "trained on-start",
        "another cell: own model",
        "this model",
        "another structure: own model",
        "this model",
    ]
    return Table("A model used on other images, PSNR in dB", columns, rows)


def _targets(summary: Summary) -> Table:
    words = {True: "yes", False: "no", None: "open"}
    rows = [[v.what, v.least, v.found, words[v.reached]] for v in verdicts(summary)]
    return Table("Targets", ["what", "at least", "found", "reached"], rows)


def _finished(summary: Summary, prefix: str) -> list[str]:
    return [name for name in summary["cells"] if name.startswith(prefix)]


def _cell(summary: Summary, name: str, key: str, form: str) -> str:
    return _number(number(summary, name, key), form)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _mean(values: Sequence[Any]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
