"""From the verdicts of all checks to one sentence at the top of the page, with its reasons.

The same verdict appears in the terminal, in ``run.json``, in the reply to Fiji, in the report and in a notebook: `Verdict.line` is its one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from superlens.report.data import Grade, Metric, ReportData
from superlens.report.words import number

if TYPE_CHECKING:
    from superlens.report.localization import LocalizationReport

__all__ = ["Reason", "Verdict", "combined", "judge", "judge_localizations", "verdict"]

_HEADLINES: dict[Grade, str] = {"ok": "Use it", "warn": "Look closer", "bad": "Do not use"}  # of a whole page
_GRAVITY: dict[Grade, int] = {"info": 0, "ok": 0, "warn": 1, "bad": 2}
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason behind a verdict.

    Parameters
    ----------
    grade : {"warn", "bad"}
    text : str
        What was found, what is expected, what to do.
    name : str
        What it is about, in a few words.
    section : str
        Section of the page that shows it; empty when none does.
    """

    grade: Grade
    text: str
    name: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of a result.

    Parameters
    ----------
    grade : {"ok", "warn", "bad"}
    headline : str
        ``"Use it"``, ``"Look closer"`` or ``"Do not use"``.
    summary : str
        One sentence: what was done, and how much there is to check.
    reasons : tuple of Reason
        The gravest first, after the causes that are known by name; empty when all checks passed.
    detail : str
        How many checks were computed, or what was found, in a sentence.
    """

    grade: Grade
    headline: str
    summary: str
    reasons: tuple[Reason, ...] = ()
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The summary, with the names of the first three reasons."""
        names = list(dict.fromkeys(reason.name for reason in self.reasons if reason.name))
        if not names:
            return self.summary
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{self.summary.rstrip('.')}: {', '.join(names[:3])}{more}."

    @property
    def line(self) -> str:
        """The verdict in one line: the headline and the sentence.

        Examples
        --------
        >>> Verdict("warn", "Look closer", "Denoised; one thing to check.", (Reason("warn", "", "flux ratio"),)).line
        'Look closer. Denoised; one thing to check: flux ratio.'
        """
        return f"{self.headline}. {self.sentence}"


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
    >>> judge(ReportData("t", "cell", datetime(2030, 1, 1), plane, denoised=plane, metrics=(flux,))).line
    'Do not use. Denoised; one check failed: flux ratio.'
    """
    causes = [Reason("warn", text, "fault in the input") for text in data.defects]
    reasons = _metric_reasons(data.metrics) + _noise_reasons(data)
    measured = sum(metric.available and metric.judged for metric in data.metrics)
    if not measured:
        reasons.append(
            Reason("warn", "No check could be computed, so nothing speaks for or against this result.", "no checks")
        )
    reasons = [*causes, *sorted(reasons, key=lambda reason: reason.grade != "bad")]
    return verdict(data.done, reasons, _counted(data.metrics))


def judge_localizations(data: LocalizationReport) -> Verdict:
    """Say how many molecules were found, and what speaks against using them.

    A contradiction, such as molecules that hold more light than the movie does, makes it "Do not use"; a doubt, or a difference from a
    simulated movie, asks for a closer look. A movie in which nothing was found is of no use.

    Parameters
    ----------
    data : LocalizationReport

    Returns
    -------
    Verdict
    """
    against = [Reason("bad", f"{text[:1].upper()}{text[1:]}.", "contradiction") for text in data.contradictions]
    frames = "1 frame" if data.frame_count == 1 else f"{data.frame_count:,} frames"
    if not data.rows:
        nothing = Reason(
            "bad", "No molecule was found: the table is empty, and the images show nothing. See the messages.", "nothing found"
        )  # fmt: skip
        return verdict(f"Nothing found in {frames}", [nothing, *against], f"{frames} searched.")
    likeness = () if data.likeness is None else data.likeness.messages
    reasons = [
        *against,
        *(Reason("warn", text, "conditions of the movie", "conditions") for text in data.doubts),
        *(Reason("warn", text, "unlike the simulation", "likeness") for text in likeness),
    ]
    parts = [f"{number(data.rows / data.frame_count / data.area_um2, 3)} per µm² and frame"]
    errors = data.column("uncertainty_nm")
    if errors.size:
        parts.append(f"median uncertainty {number(float(np.median(errors)), 3)} nm")
    if data.linked is not None:
        parts.append(f"{data.linked:,} molecules after linking")
    if data.drift is not None:
        parts.append("drift corrected" if data.drift.found else "no drift corrected")
    return verdict(f"{data.rows:,} localizations in {frames}", reasons, "; ".join(parts) + ".")


def combined(verdicts: Mapping[str, Verdict]) -> Verdict:
    """One verdict of several channels: the worst one, with the reasons of all.

    Parameters
    ----------
    verdicts : mapping of str to Verdict
        By the name of the channel; that of a single one is empty.

    Examples
    --------
    >>> fine = Verdict("ok", "Use it", "Denoised; nothing speaks against the result.")
    >>> dim = Verdict("warn", "Look closer", "Denoised; one thing to check.", (Reason("warn", "Too dim.", "flux ratio"),))
    >>> combined({"channel 0": fine, "channel 1": dim}).line
    'Look closer. 2 channels; look closer at channel 1: channel 1: flux ratio.'
    """
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    grade = max((one.grade for one in verdicts.values()), key=_GRAVITY.__getitem__)
    concerned = ", ".join(name for name, one in verdicts.items() if one.grade == grade)
    tail = {
        "ok": "nothing speaks against the results",
        "warn": f"look closer at {concerned}",
        "bad": f"do not use {concerned}",
    }[grade]
    reasons = [
        Reason(reason.grade, reason.text, f"{name}: {reason.name}", reason.section)
        for name, one in verdicts.items()
        for reason in one.reasons
    ]
    return Verdict(
        grade,
        _HEADLINES[grade],
        f"{len(verdicts)} channels; {tail}.",
        tuple(sorted(reasons, key=lambda reason: reason.grade != "bad")),
        " ".join(f"{name}: {one.detail}" for name, one in verdicts.items() if one.detail),
    )


def verdict(done: str, reasons: Sequence[Reason], detail: str = "") -> Verdict:
    """The verdict that reasons make: the gravest decides, and the sentence counts them.

    Parameters
    ----------
    done : str
        What was done, as the sentence begins.
    reasons : sequence of Reason
    detail : str

    Examples
    --------
    >>> verdict("Denoised", [Reason("warn", "Too dim.", "flux ratio")]).line
    'Look closer. Denoised; one thing to check: flux ratio.'
    """
    failed = sum(reason.grade == "bad" for reason in reasons)
    grade: Grade = "bad" if failed else "warn" if reasons else "ok"
    if grade == "ok":
        tail = "nothing speaks against the result"
    elif grade == "warn":
        tail = f"{_count(len(reasons))} {'thing' if len(reasons) == 1 else 'things'} to check"
    else:
        tail = f"{_count(failed)} {'check' if failed == 1 else 'checks'} failed"
    return Verdict(grade, _HEADLINES[grade], f"{done}; {tail}.", tuple(reasons), detail)


def _count(amount: int) -> str:
    return _COUNTS[amount] if amount < len(_COUNTS) else str(amount)


def _counted(metrics: tuple[Metric, ...]) -> str:
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
            text = f"Could not be computed. {metric.meaning}".strip()
            reasons.append(Reason(metric.verdict, text, metric.name, metric.section))
        elif metric.verdict in ("warn", "bad"):
            expected = f", expected {metric.expected}" if metric.expected else ""
            value = f"{number(metric.value)} {metric.unit}".rstrip()
            text = f"{value}{expected}. {metric.meaning}".strip()
            reasons.append(Reason(metric.verdict, text, metric.name, metric.section))
    return reasons


def _noise_reasons(data: ReportData) -> list[Reason]:
    reasons = []
    transfer, correlation = data.photon_transfer, data.noise_correlation
    shared = correlation.note if correlation is not None and not correlation.independent else ""
    if transfer is not None and transfer.verdict != "plausible":
        notes = [note for note in transfer.notes if note != shared]
        if notes or not shared:
            why = " ".join(notes) or "see the noise plot."
            reasons.append(Reason("warn", f"The noise model is {transfer.verdict}: {why}", "noise model", "noise"))
    if correlation is not None and not correlation.independent and not correlation.mild:
        fallback = (
            f"Neighbouring pixels share noise: {number(correlation.x)} along x and {number(correlation.y)} along y."
        )
        reasons.append(Reason("warn", correlation.note or fallback, "correlated noise", "noise"))
    return reasons
