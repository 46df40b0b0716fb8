"""A trained model as a function from a block to the denoised image, the sharp one, and how far the sharp one may be off."""

from __future__ import annotations

from typing import Any

from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.methods.zsdeconv.prepared import haze_of
from superlens.methods.zsdeconv.recipe import ORIGINAL_PADDING
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model
from superlens.optics import Response
from superlens.predicting.start import start_of
from superlens.predicting.two_stage import TwoStagePredictor, Windows
from superlens.training.two_stage.state import TwoStageState

__all__ = ["ZSDeconvPredictor", "parameters_of", "predictor_of", "require_zsdeconv"]


class ZSDeconvPredictor(TwoStagePredictor):
    """See `TwoStagePredictor`; with the words and numbers for the history of an image."""

    def parameters(self, camera: Camera) -> dict[str, Any]:
        """Settings, optics and camera."""
        return parameters_of(self.model, self.state, camera)


def predictor_of(model: Model, start: Model | None = None) -> ZSDeconvPredictor:
    """The predictor of a model.

    Parameters
    ----------
    model : Model
    start : Model, optional
        What it began from, where that were not the shipped weights.

    Raises
    ------
    SuperlensError
        If another method made the model.
    """
    require_zsdeconv(model)
    state = TwoStageState.of(model)
    config = ZSDeconvConfig(**state.settings)
    sides = config.depth, config.patch, config.patch
    return ZSDeconvPredictor(
        model,
        flips=config.flips,
        denoise_only=config.denoise_only,
        start=start_of(model, start, fits=lambda begun: _kind(TwoStageState.of(begun)) == _kind(state)),
        windows=Windows(sides, ORIGINAL_PADDING["ZYX"]) if config.axes == "ZYX" else None,
        unit=state.camera.gain if config.units == "electrons" and state.camera is not None else 1.0,
        haze=haze_of(state.psf, config),
    )


def _kind(state: TwoStageState) -> Response | None:
    """The response that a model states. Its degree may vary, because the network takes it as an input."""
    return None if state.response is None else state.response._replace(lateral=1.0)


def require_zsdeconv(model: Model) -> None:
    """Refuse a model that another method made.

    Raises
    ------
    SuperlensError
    """
    if model.config.method != "zsdeconv":
        raise SuperlensError(f"the model was made by {model.config.method}; expected one made by zsdeconv")


def parameters_of(model: Model, state: TwoStageState, camera: Camera) -> dict[str, Any]:
    """Settings, optics and camera in words and numbers, for the history of an image."""
    psf = state.psf
    return {
        **ZSDeconvConfig(**state.settings).model_dump(mode="json"),
        "pixel_nm": state.pixel_nm,
        "psf": ("none: denoising only" if psf is None else psf.source) or "none: denoising only",
        "psf_fwhm_nm": None if psf is None else round(psf.fwhm_nm, 1),
        **_target_of(state),
        "camera_gain": camera.gain,
        "camera_offset": camera.offset,
        "camera_read_noise_e": camera.read_noise_e,
        "camera_estimated": sorted(camera.estimated),
        "level": state.normaliser.level,
        "contrast": state.normaliser.contrast,
        **{f"training_{k}": v for k, v in model.config.provenance.items()},
    }


def _target_of(state: TwoStageState) -> dict[str, Any]:
    """Widths of a thin line in the sharp image, also along z in a volume, None where none is stated; and how far the data carry the image."""
    psf, response = state.psf, state.response
    if psf is None:
        return {"line_fwhm_nm": None, "carried_per_um": None}
    sharp = None if response is None else response.of(psf)
    stated: dict[str, Any] = {
        "line_fwhm_nm": None if sharp is None else round(sharp.line_fwhm_nm, 1),
        "carried_per_um": round(psf.carried_per_um(state.pixel_nm), 3),
    }
    if psf.fwhm_z_nm is not None:
        wide = None if sharp is None else sharp.line_fwhm_z_nm
        stated |= {
            "z_step_nm": psf.z_step_nm,
            "psf_fwhm_z_nm": round(psf.fwhm_z_nm, 1),
            "line_fwhm_z_nm": None if wide is None else round(wide, 1),
        }
    return stated
