"""Evidence for any method of images that brings none of its own: what went in, what came out, and whether light was kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from superlens.host import versions
from superlens.metrics import flux_ratio
from superlens.report import FurtherPicture, Metric, Provenance, ReportData, TrainingRecord, Verdict, judge, render
from superlens.report.data import Grade

if TYPE_CHECKING:
    from superlens.result import Channel

__all__ = ["PlainEvidence", "further", "warned"]

_KEPT = 0.02  # of the light, for what comes and goes through the edges


@dataclass(frozen=True, slots=True, eq=False)
class PlainEvidence:
    """What can be said of a result without knowing its method; see `superlens.result.Evidence`.

    Attributes
    ----------
    channel : Channel
        Whose observation has ``counts``, planes ``(N, Y, X)`` above the offset.
    provenance : Provenance or None
    """

    channel: Channel
    provenance: Provenance | None = None

    @property
    def title(self) -> str:
        """Of the page."""
        return f"Report of {self.channel.model.config.method}"

    def numbers(self) -> dict[str, float]:
        """The mean of what came out over that of what went in; NaN where no light went in."""
        counts = self.channel.observation.counts
        return {"flux_ratio": flux_ratio(self._planes(), counts) if counts.mean() > 0 else math.nan}

    def verdict(self) -> Verdict:
        """One judgement, with its reasons."""
        return judge(self._page())

    def html(self) -> str:
        """The report page."""
        return render(self._page())

    def _planes(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        image = next(iter(self.channel.images.values()))
        return np.asarray(image.data, np.float32).reshape(-1, *image.data.shape[-2:])

    def _page(self) -> ReportData:
        observation, made = self.channel.observation, self._planes()
        shown = len(made) // 2
        scale = made.shape[-1] // observation.counts.shape[-1]
        ratio = self.numbers()["flux_ratio"]
        grade: Grade = "info" if math.isnan(ratio) else "ok" if abs(ratio - 1) <= _KEPT else "warn"
        flux = Metric(
            "flux ratio",
            ratio,
            "",
            f"{1 - _KEPT:g} to {1 + _KEPT:g}",
            grade,
            "Mean out over mean in: at 1 no light was made or lost and intensities can be compared.",
        )
        own = Metric(
            "checks of the method",
            math.nan,
            "",
            "some",
            "warn",
            "The method brings no checks of its own: compare the result with the input before you use it.",
        )
        history = () if self.channel.history is None else self.channel.history.records
        return ReportData(
            title=self.title,
            action="Processed",
            image_name=observation.image.name or "unnamed image",
            created=datetime.now().astimezone(),
            input=observation.counts[shown],
            denoised=made[shown] if scale == 1 else None,
            sr=None if scale == 1 else made[shown],
            pixel_nm=observation.image.pixel_nm,
            scale=scale,
            history=tuple(TrainingRecord(r.step, r.loss) for r in history),
            metrics=(flux, own),
            parameters=dict(self.channel.parameters),
            versions=versions(),
            provenance=self.provenance or Provenance(),
            messages=tuple(dict.fromkeys((*warned(self.provenance), *self.channel.messages))),
            further=tuple(further(self.channel, shown, *list(self.channel.images)[:1])),
        )


def warned(provenance: Provenance | None) -> tuple[str, ...]:
    """The warnings that came on the way to a result."""
    return () if provenance is None else provenance.warnings


def further(channel: Channel, shown: int, *known: str) -> Iterator[FurtherPicture]:
    """One plane of each image of a channel whose role is not known to its page, with the words of its history."""
    for role, image in channel.images.items():
        if role in known:
            continue
        planes = image.data.reshape(-1, *image.data.shape[-2:])
        words = str(image.history.get("superlens", {}).get("what", role))
        yield FurtherPicture(role, words, planes[min(shown, len(planes) - 1)], image.pixel_nm)
