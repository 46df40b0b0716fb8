"""The data of the report page of a localization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from superlens.host import versions
from superlens.image import Image
from superlens.methods.deepstorm.choice import beyond_training
from superlens.methods.deepstorm.state import DeepStormState
from superlens.report import Provenance, Verdict, judge_localizations
from superlens.report.localization import Condition, DriftCourse, LocalizationReport, ModelNote

if TYPE_CHECKING:
    from superlens.methods.deepstorm.apply import Localized

__all__ = ["LocalizationEvidence", "page_of"]

_NAMES = (
    ("sigma_nm", "Width of a molecule (σ)", "nm"),
    ("photons", "Photons of a molecule in a frame", ""),
    ("background", "Background of a pixel, above the offset", "photons"),
    ("density_um2", "Molecules in a frame", "per µm²"),
    ("gain", "Camera gain", "counts per electron"),
    ("offset", "Camera offset", "counts"),
    ("read_noise_e", "Camera read noise", "electrons"),
)


@dataclass(frozen=True, slots=True, eq=False)
class LocalizationEvidence:
    """What speaks for and against a localization; see `superlens.result.Evidence`."""

    found: Localized
    provenance: Provenance | None = None

    @property
    def title(self) -> str:
        """Of the page."""
        return "Single-molecule localization"

    def numbers(self) -> dict[str, float | None]:
        """How many, how dense, how well."""
        return self.found.metrics

    def verdict(self) -> Verdict:
        """One judgement, with its reasons."""
        return judge_localizations(page_of(self.found, self.found.mean))

    def html(self) -> str:
        """The report page."""
        return self.found.report(None, self.provenance)


def page_of(found: Localized, rendered: Image, provenance: Provenance | None = None) -> LocalizationReport:
    """Lay a result out for `superlens.report.render_localizations`.

    Parameters
    ----------
    found : Localized
    rendered : Image
        The localizations drawn.
    provenance : Provenance, optional
        Command, device and times of the run.
    """
    told, drift, state = found.estimate, found.drift, DeepStormState.of(found.model)
    settings = state.settings
    values = {
        "sigma_nm": told.sigma_nm,
        "photons": told.excess * told.photons,
        "background": told.excess * told.background,
        "density_um2": told.density_um2,
        "gain": told.camera.gain / told.excess,
        "offset": told.camera.offset,
        "read_noise_e": told.camera.read_noise_e,
    }
    conditions = tuple(
        Condition(words, values[name], unit, told.sources.get(name, ""), told.sources.get(name) == "given")
        for name, words, unit in _NAMES
    )
    low, high = settings.density_um2
    return LocalizationReport(
        title="Single-molecule localization",
        source_name=found.mean.name or "movie",
        created=datetime.now().astimezone(),
        mean=found.mean.data,
        pixel_nm=found.mean.pixel_nm or 1.0,
        rendered=rendered.data,
        rendered_nm=rendered.pixel_nm or 1.0,
        columns=dict(found.localizations.columns),
        frames=found.frames,
        density=found.density.data,
        density_nm=found.density.pixel_nm,
        linked=len(found.linked),
        drift=DriftCourse(
            np.asarray(drift.frames, float),
            drift.shift_nm,
            drift.uncertainty_nm,
            drift.found,
            drift.note,
            drift.segment_frames,
            drift.segment_nm,
        ),
        conditions=conditions,
        density_um2=told.density_um2,
        spot_sigma_nm=None if told.spots is None else told.spots.sigma_nm,
        spot_photons=None if told.spots is None else told.excess * told.spots.photons,
        likeness=found.likeness,
        threshold=state.threshold,
        model=ModelNote(
            name=f"{found.model.config.network}, {found.model.network.count_params():,} parameters",
            trained_for=f"{low:.3g} to {high:.3g} molecules per µm² of {settings.photons[0]:.4g} to {settings.photons[1]:.4g} "
            f"photons, σ {settings.sigma_pixels:.3g} pixels, on simulated frames",
            chosen=found.why,
            facts={"network": found.model.config.network, **found.model.config.provenance},
        ),
        contradictions=found.contradictions,
        doubts=(*beyond_training(told, settings, found.mean.pixel_nm or 1.0), *told.doubts),
        unsearched=np.empty(0, int) if found.judged is None else np.flatnonzero(found.judged.dark) + found.frames[0],
        messages=tuple(dict.fromkeys((*(provenance.warnings if provenance else ()), *found.messages))),
        parameters={"result": found.metrics, **found.parameters},
        versions=versions(),
        provenance=replace(provenance or Provenance(), seed=settings.seed),
    )
