"""Why a result may be trusted: from a `Channel` to the numbers of ``run.json`` and to the data of the report page.

`gather` measures once and keeps what it found; `Evidence.numbers` gives the numbers by name, `Evidence.page` gives them to the
report with the range that physics asks for, a verdict and a sentence. Measuring is the work of `superlens.evidence.measure`, judging
that of `superlens.evidence.checks`, drawing that of `superlens.report`.

Of an image with several planes the pictures show the middle one, and numbers are means over up to eight planes spread evenly.
Everything is measured in counts above the offset; a result in electrons is shown in electrons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from scipy import ndimage

from superlens.evidence.checks import checks
from superlens.evidence.measure import Measured, Planes, measure
from superlens.evidence.plain import further, warned
from superlens.host import versions
from superlens.report import (
    NoiseCorrelation,
    PhotonTransfer,
    Provenance,
    PsfPicture,
    ReportData,
    TrainingRecord,
    Verdict,
    judge,
    render,
)
from superlens.training.two_stage.state import TwoStageState

if TYPE_CHECKING:
    from superlens.result import Channel

__all__ = ["Evidence", "gather"]

_measured: WeakKeyDictionary[Channel, Measured] = WeakKeyDictionary()  # so that metrics and report measure once


def gather(result: Channel, provenance: Provenance | None = None) -> Evidence:
    """Collect what speaks for and against a result.

    Parameters
    ----------
    result : Channel
        Of `superlens.enhance` or a trained model's prediction; denoising alone will do.
    provenance : Provenance, optional
        Command, device and times of the run; seed and digest of the input are filled in from the result.

    Returns
    -------
    Evidence
        Nothing is measured before it is asked for, and nothing twice.

    Examples
    --------
    >>> gather(result).numbers()["flux_ratio"]  # doctest: +SKIP
    1.002
    """
    return Evidence(result, provenance)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What speaks for and against one result.

    Attributes
    ----------
    result : Channel
    provenance : Provenance or None
    """

    result: Channel
    provenance: Provenance | None = None

    @property
    def measured(self) -> Measured:
        """Numbers and maps, in counts; kept as long as the result lives."""
        known = _measured.get(self.result)
        if known is None:
            known = _measured[self.result] = measure(self.result)
        return known

    def numbers(self) -> dict[str, float]:
        """Numbers by name, the same names for every result; NaN where one does not apply.

        Returns
        -------
        dict
            What each one means stands in `superlens.evidence.measure.measure`.
        """
        return dict(self.measured.numbers)

    @property
    def title(self) -> str:
        """Of the page."""
        return "Denoising report" if self.measured.planes.sharp is None else "Super-resolution report"

    def verdict(self) -> Verdict:
        """One judgement of all checks, with its reasons."""
        return judge(self.page())

    def html(self) -> str:
        """The report page."""
        return render(self.page())

    def page(self) -> ReportData:
        """The data of the report page, pictures of the middle plane, in the unit of the result."""
        planes, measured = self.measured.planes, self.measured
        shown, unit = planes.shown, planes.unit

        def plane(stack: Any) -> Any:
            return None if stack is None else stack[shown] / unit

        sharpened = planes.sharp is not None
        observation, psf = self.result.observation, TwoStageState.of(self.result.model).psf
        return ReportData(
            title=self.title,
            image_name=_name(planes, observation.image.name),
            created=datetime.now().astimezone(),
            input=plane(observation.counts),
            denoised=plane(planes.denoised),
            sr=plane(planes.sharp),
            uncertainty=plane(planes.uncertainty),
            prior_only=None if planes.prior_only is None else planes.prior_only[shown],
            unrepeated=None if self.result.history is None else self.result.history.unrepeated,
            residual=measured.residual / unit,
            noise_sigma=plane(planes.sigma),
            error_map=measured.error_map / unit,
            pixel_nm=observation.image.pixel_nm,
            scale=planes.scale,
            unit="counts" if unit == 1 else "electrons",
            cutoff_per_um=None if psf is None else psf.cutoff_per_um,
            psf=_psf_picture(self.result),
            photon_transfer=_photon_transfer(self.result),
            noise_correlation=_noise_correlation(self.result),
            history=_history(self.result),
            chosen_step=_chosen_step(self.result),
            metrics=checks(measured.numbers, sharpened=sharpened),
            parameters=_told({**self.result.parameters, **_times(measured.numbers)}),
            versions=versions(),
            provenance=_known_provenance(self.result, self.provenance),
            defects=observation.defects,
            messages=tuple(dict.fromkeys((*warned(self.provenance), *_messages(self.result, planes)))),
            side_views=_side_views(self.result, planes),
            further=tuple(further(self.result, shown, "sharp", "denoised", "uncertainty")),
        )


def _name(planes: Planes, name: str) -> str:
    number = len(planes.counts)
    name = name or "unnamed image"
    return name if number == 1 else f"{name}, plane {planes.shown + 1} of {number}"


def _side_views(result: Channel, planes: Planes) -> dict[str, Any]:
    """The volume of the plane shown along its middle row, on the output's sampling in both directions."""
    image = result.observation.image
    if TwoStageState.of(result.model).axes == "YX" or image.pixel_nm is None or image.z_step_nm is None:
        return {}
    slices, fine_nm = image.sizes["Z"], image.pixel_nm / planes.scale
    first = planes.shown // slices * slices
    views = {"input": planes.counts, "denoised": planes.denoised, "super-resolved": planes.sharp}
    found = {}
    for name, stack in views.items():
        if stack is not None:
            volume = stack[first : first + slices]
            factors = (image.z_step_nm / fine_nm, planes.counts.shape[-1] * planes.scale / volume.shape[-1])
            cut = volume[:, volume.shape[1] // 2] / planes.unit
            found[name] = ndimage.zoom(cut, factors, order=1 if name != "input" else 0, grid_mode=True, mode="nearest")
    return found


def _psf_picture(result: Channel) -> PsfPicture | None:
    state = TwoStageState.of(result.model)
    psf, response = state.psf, state.response
    if psf is None or result.image is None:
        return None
    return PsfPicture(
        psf=psf,
        response=None if response is None else response.of(psf),
        response_words=str(response or ""),
        carried_per_um=psf.carried_per_um(result.observation.image.pixel_nm),
    )


def _photon_transfer(result: Channel) -> PhotonTransfer:
    camera, estimate = result.observation.camera, result.observation.estimate
    return PhotonTransfer(
        means=estimate.means,
        variances=estimate.variances,
        gain=camera.gain,
        offset=camera.offset,
        read_noise_e=camera.read_noise_e,
        verdict=estimate.verdict,
        notes=estimate.notes,
        estimated=camera.estimated,
    )


def _noise_correlation(result: Channel) -> NoiseCorrelation:
    noise = result.observation.noise
    x, y = noise.neighbour_correlation
    return NoiseCorrelation(x, y, independent=noise.independent, note=noise.note, mild=noise.mild)


def _history(result: Channel) -> tuple[TrainingRecord, ...]:
    records = () if result.history is None else result.history.records
    return tuple(TrainingRecord(r.step, r.loss, r.held_out if np.isfinite(r.held_out) else None) for r in records)


def _chosen_step(result: Channel) -> int | None:
    """The step of the weights; none when they lie between the start and a step, which the blend among the checks tells."""
    history = result.history
    if history is None or not history.records or 0 < history.blend < 1:
        return None
    return history.best_step if history.blend == 1 else 0


def _told(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as a person reads them: short numbers, lists without brackets."""

    def words(value: Any) -> Any:
        if isinstance(value, float):
            return f"{value:.6g}"
        if isinstance(value, list | tuple):
            return ", ".join(str(words(item)) for item in value)
        return value

    return {name: words(value) for name, value in parameters.items()}


def _times(numbers: Mapping[str, float]) -> dict[str, float]:
    seconds = numbers["training_seconds"]
    return {"training_seconds": seconds} if np.isfinite(seconds) else {}


def _known_provenance(result: Channel, told: Provenance | None) -> Provenance:
    """What the caller told, with what the result knows filled in."""
    pixels = np.ascontiguousarray(result.observation.image.data)
    known = told or Provenance()
    return replace(
        known,
        seed=result.parameters.get("seed") if known.seed is None else known.seed,
        input_digest=known.input_digest or f"sha256 of the pixels: {hashlib.sha256(pixels.tobytes()).hexdigest()}",
    )


def _messages(result: Channel, planes: Planes) -> tuple[str, ...]:
    """Messages of the run without those that the page tells beside the noise plot."""
    observation = result.observation
    elsewhere = {*observation.estimate.notes, observation.noise.note, *observation.defects}
    said = [message for message in result.messages if message not in elsewhere]
    if len(planes.counts) > 1:
        said.append(
            f"the image has {len(planes.counts)} planes: pictures show number {planes.shown + 1}, and the numbers among the checks "
            f"are means over {len(planes.measured)} of them"
        )
    return tuple(said)
