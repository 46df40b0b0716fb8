"""From the verdicts of all metrics to one sentence at the top of the page, with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from superlens.report.data import Grade, Metric, ReportData
from superlens.report.words import number

if TYPE_CHECKING:
    from superlens.report.localization import LocalizationReport

__all__ = ["Reason", "Verdict", "judge", "judge_localizations"]

_HEADLINES: dict[Grade, str] = {"ok": "Use it", "warn": "Look closer", "bad": "Do not use"}  # of a whole page


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason behind a verdict: how grave, in which words."""

    grade: Grade
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one-line judgement of a result.

    Parameters
    ----------
    grade : {"ok", "warn", "bad"}
    headline : str
        ``"Use it"``, ``"Look closer"`` or ``"Do not use"``.
    summary : str
        One sentence that counts the checks.
    reasons : tuple of Reason
        The gravest first, after the causes that are known by name; empty when all checks passed.
    """

    grade: Grade
    headline: str
    summary: str
    reasons: tuple[Reason, ...]


def judge(data: ReportData) -> Verdict:
    """Condense metrics, noise model and noise check into one verdict.

    The worst grade wins. A metric that could not be computed counts by its own verdict: where a result rests on it, that asks for a closer
    look. A result of which nothing was measured is never waved through. A doubtful noise model asks for a closer look
    and no more: it changes what the residual and the uncertainty map mean, and the picture may still be right.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    Verdict

    Examples
    --------
    >>> from datetime import datetime
    >>> import numpy as np
    >>> flux = Metric("flux ratio", 1.3, "", "0.98 to 1.02", "bad", "Mean of the output over mean of the input.")
    >>> plane = np.ones((32, 32))
    >>> judge(ReportData("t", "cell", datetime(2030, 1, 1), plane, denoised=plane, metrics=(flux,))).headline
    'Do not use'
    """
    causes = [Reason("warn", text) for text in data.defects]
    reasons = _metric_reasons(data.metrics) + _noise_reasons(data)
    measured = sum(metric.available and metric.judged for metric in data.metrics)
    if not measured:
        reasons.append(Reason("warn", "No check could be computed, so nothing speaks for or against this result."))
    reasons = [*causes, *sorted(reasons, key=lambda reason: reason.grade != "bad")]
    grade: Grade = "ok"
    if reasons:
        grade = "bad" if any(reason.grade == "bad" for reason in reasons) else "warn"
    return Verdict(grade, _HEADLINES[grade], _summary(data.metrics), tuple(reasons))


def judge_localizations(data: LocalizationReport) -> Verdict:
    """Say how many molecules were found, and what speaks against using them.

    The headline is the number of localizations where nothing contradicts them. A contradiction, such as molecules that hold more light than the
    movie does, makes it "Do not use"; a doubt, or a difference from a simulated movie, asks for a closer look.

    Parameters
    ----------
    data : LocalizationReport

    Returns
    -------
    Verdict
    """
    against = [Reason("bad", f"{text[:1].upper()}{text[1:]}.") for text in data.contradictions]
    if not data.rows:
        reason = Reason(
            "bad", "No molecule was found: the table is empty, and the images show nothing. See the messages."
        )
        return Verdict("bad", "Nothing found", f"{data.frame_count:,} frames were searched.", (reason, *against))
    doubts = (*data.doubts, *(data.likeness.messages if data.likeness is not None else ()))
    reasons = [*against, *(Reason("warn", text) for text in doubts)]
    grade: Grade = "bad" if against else "warn" if reasons else "ok"
    parts = [f"{number(data.rows / data.frame_count / data.area_um2, 3)} per µm² and frame"]
    errors = data.column("uncertainty_nm")
    if errors.size:
        parts.append(f"median stated error {number(float(np.median(errors)), 3)} nm")
    if data.linked is not None:
        parts.append(f"{data.linked:,} molecules after linking")
    if data.drift is not None:
        parts.append("drift corrected" if data.drift.found else "no drift corrected")
    frames = "1 frame" if data.frame_count == 1 else f"{data.frame_count:,} frames"
    found = f"{data.rows:,} localizations in {frames}"
    if against:
        return Verdict(grade, _HEADLINES["bad"], f"{found}; {'; '.join(parts)}.", tuple(reasons))
    return Verdict(grade, found, "; ".join(parts) + ".", tuple(reasons))


def _summary(metrics: tuple[Metric, ...]) -> str:
    judged = [metric for metric in metrics if metric.verdict != "info"]
    measured = sum(metric.available for metric in judged)
    passed = sum(metric.available and metric.verdict == "ok" for metric in judged)
    missing = len(judged) - measured
    tail = f" {missing} could not be computed." if missing else ""
    return f"{passed} of {measured} computed checks lie in their expected range.{tail}"


def _metric_reasons(metrics: tuple[Metric, ...]) -> list[Reason]:
    reasons = []
    for metric in metrics:
        if metric.verdict in ("warn", "bad") and not metric.available:
            reasons.append(Reason(metric.verdict, f"{metric.name} could not be computed. {metric.meaning}".strip()))
        elif metric.verdict in ("warn", "bad"):
            expected = f", expected {metric.expected}" if metric.expected else ""
            value = f"{metric.name} is {number(metric.value)} {metric.unit}".rstrip()
            reasons.append(Reason(metric.verdict, f"{value}{expected}. {metric.meaning}".strip()))
    return reasons


def _noise_reasons(data: ReportData) -> list[Reason]:
    reasons = []
    transfer, correlation = data.photon_transfer, data.noise_correlation
    shared = correlation.note if correlation is not None and not correlation.independent else ""
    if transfer is not None and transfer.verdict != "plausible":
        notes = [note for note in transfer.notes if note != shared]
        if notes or not shared:
            why = " ".join(notes) or "see the noise plot."
            reasons.append(Reason("warn", f"The noise model is {transfer.verdict}: {why}"))
    if correlation is not None and not correlation.independent:
        fallback = f"neighbour correlation is {number(correlation.x)} along x and {number(correlation.y)} along y."
        reasons.append(Reason("warn", "Neighbouring pixels share noise: " + (correlation.note or fallback)))
    return reasons
