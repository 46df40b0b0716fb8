"""Why a result may be trusted: flux, residual, pattern; with the pictures of the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import NoiseCheck
from superlens.evidence.plain import further, warned
from superlens.host import versions
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.state import SimState
from superlens.metrics import flux_ratio
from superlens.report import Metric, Provenance, PsfPicture, ReportData, TrainingRecord, Verdict, judge, render
from superlens.report.data import Grade

if TYPE_CHECKING:
    from superlens.result import Channel

__all__ = ["SimEvidence"]

_FLUX = 0.01
_SHARED = 0.15
_SPREAD, _NEAR = (0.8, 1.15), (0.65, 1.5)
_COHERENT, _FAINT = 0.6, 0.1  # recorded microtubules of coherence 0.51 came out with fringes beside bright fibres

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class SimEvidence:
    """What speaks for and against one result; see `superlens.result.Evidence`.

    Attributes
    ----------
    channel : Channel
    provenance : Provenance or None
    """

    channel: Channel
    provenance: Provenance | None = None

    @property
    def title(self) -> str:
        """Of the page."""
        return "Super-resolution report, structured illumination"

    def numbers(self) -> dict[str, float]:
        """Numbers by name; NaN where one does not apply."""
        channel, observation, state = self.channel, self.channel.observation, SimState.of(self.channel.model)
        sharp, history = _planes(channel, "sharp"), channel.history
        standard = [self._residual(i) / sigma for i, sigma in enumerate(observation.sigma)]
        orders = observation.result.pattern.orders if observation.from_frames else ()
        estimate = observation.result.estimate
        return {
            "flux_ratio": flux_ratio(sharp, observation.counts) if observation.counts.mean() > 0 else math.nan,
            "residual_std_in_sigma": float(np.std(standard)),
            "least_modulation": float(min((o.modulation for o in orders), default=math.nan)),
            "least_coherence": float(np.min(estimate.coherence)) if len(estimate.coherence) else math.nan,
            "response_fwhm_nm": state.optics.response.fwhm_nm,
            "line_fwhm_nm": state.optics.response.line_fwhm_nm,
            "extended_limit_fwhm_nm": state.optics.limit.fwhm_nm,
            "neighbour_correlation": _shared(observation.noise) if observation.from_frames else math.nan,
            "blend": math.nan if history is None else history.blend,
            "training_steps": math.nan if history is None or not history.records else float(history.records[-1].step),
        }

    def verdict(self) -> Verdict:
        """One judgement of all checks, with its reasons."""
        return judge(self._page())

    def html(self) -> str:
        """The report page."""
        return render(self._page())

    def _residual(self, i: int) -> Array:
        """The sharp image as the reconstruction would show it, minus the reconstruction that the network saw."""
        observation, state = self.channel.observation, SimState.of(self.channel.model)
        result = observation.result
        optics = SimOptics.of(result.spectrum, state.config.weight, state.config.narrower, result.pixel_nm)
        return np.asarray(optics.seen(_planes(self.channel, "sharp")[i]) - observation.counts[i])

    def _page(self) -> ReportData:
        channel, observation, state = self.channel, self.channel.observation, SimState.of(self.channel.model)
        shown = len(observation.counts) // 2

        def plane(role: str) -> Array | None:
            return _planes(channel, role)[shown] if role in channel.images else None

        history = () if channel.history is None else channel.history.records
        known = plane("reconstruction")
        assert known is not None  # every result holds it
        return ReportData(
            title=self.title,
            action="Reconstructed, denoised and sharpened" if observation.from_frames else "Denoised and sharpened",
            image_name=observation.image.name or "raw frames",
            created=datetime.now().astimezone(),
            input=known,
            denoised=plane("denoised"),
            sr=plane("sharp"),
            uncertainty=plane("uncertainty"),
            residual=self._residual(shown),
            noise_sigma=observation.sigma[shown],
            pixel_nm=observation.result.image.pixel_nm,
            scale=1,
            psf=PsfPicture(
                psf=state.optics.limit,
                response=state.optics.response,
                response_words=f"{state.config.narrower:g} times narrower",
            ),
            history=tuple(
                TrainingRecord(r.step, r.loss, r.held_out if np.isfinite(r.held_out) else None) for r in history
            ),
            metrics=_checks(self.numbers()),
            parameters=dict(channel.parameters),
            versions=versions(),
            provenance=self.provenance or Provenance(),
            messages=tuple(dict.fromkeys((*warned(self.provenance), *channel.messages))),
            further=tuple(further(channel, shown, "sharp", "denoised", "uncertainty", "reconstruction")),
        )


def _planes(channel: Channel, role: str) -> Array:
    image = channel.images[role]
    return np.asarray(image.data, np.float32).reshape(-1, *image.data.shape[-2:])


def _checks(numbers: dict[str, float]) -> tuple[Metric, ...]:
    flux, spread = numbers["flux_ratio"], numbers["residual_std_in_sigma"]
    modulation, coherence = numbers["least_modulation"], numbers["least_coherence"]
    return (
        Metric(
            "flux ratio",
            flux,
            "",
            f"{1 - _FLUX:g} to {1 + _FLUX:g}",
            _grade(flux, (1 - _FLUX, 1 + _FLUX), (1 - 3 * _FLUX, 1 + 3 * _FLUX)),
            "Mean of the result over mean of the frames. At 1 no light was added or lost, and intensities can be compared.",
            section="flux",
        ),
        Metric(
            "residual spread",
            spread,
            "σ",
            f"{_SPREAD[0]:g} to {_SPREAD[1]:g}",
            _grade(spread, _SPREAD, _NEAR),
            "What the result leaves unexplained of the reconstruction, in units of its noise. Noise alone gives 1; more is missed structure or a pattern "
            "that is not quite right, less is noise in the result.",
            section="residual",
        ),
        Metric(
            "modulation of the weakest order",
            modulation,
            "",
            f"above {_FAINT:g}",
            _grade(modulation, (_FAINT, math.inf), (0.0, math.inf)),
            "Contrast of the illumination pattern. The gain in resolution hangs on its square.",
        ),
        Metric(
            "coherence of the bands",
            coherence,
            "",
            f"above {_COHERENT:g}",
            _grade(coherence, (_COHERENT, math.inf), (0.0, math.inf)),
            "How far each shifted band and the wide field are one image where they overlap. Low values mean ghost lines beside bright structures; the network cannot distinguish them from structure, and sharpens them.",
        ),
        Metric(
            "correlation of the raw noise",
            numbers["neighbour_correlation"],
            "",
            f"below {_SHARED:g}",
            _grade(numbers["neighbour_correlation"], (0.0, _SHARED), (0.0, _SHARED)),
            "Noise that neighbouring raw pixels share is in both halves of a pair, so that the network draws it as a texture. Use raw camera data, neither "
            "scaled nor filtered.",
        ),
        Metric(
            "width of a thin line",
            numbers["line_fwhm_nm"],
            "nm",
            "",
            "info",
            "Full width at half maximum in an ideal result: the resolution that the sharp image states.",
        ),
    )


def _shared(noise: NoiseCheck | None) -> float:
    """The larger correlation with a neighbour where noise is shared at all."""
    return 0.0 if noise is None or noise.independent else max(noise.neighbour_correlation)


def _grade(value: float, ok: tuple[float, float], near: tuple[float, float]) -> Grade:
    if not math.isfinite(value):
        return "info"
    return "ok" if ok[0] <= value <= ok[1] else "warn" if near[0] <= value <= near[1] else "bad"
