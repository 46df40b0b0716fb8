"""A trained model as a function from a reconstruction to the sharp image and how far it may be off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.recipe import ORIGINAL_PADDING
from superlens.methods.zsdeconv_sim.state import START, SimState
from superlens.model import Model
from superlens.networks import architecture
from superlens.observing.conditioning import condition
from superlens.predicting import Predictor, predict_whole
from superlens.predicting.start import answer, start_of
from superlens.training import outputs_of
from superlens.training.two_stage.framing import scaled
from superlens.training.two_stage.held_out import EDGE

__all__ = ["SimPredictor", "predicted"]

Array = NDArray[np.float32]

_KEPT = 10.0  # fine pixels: the sharp image holds the light of the reconstruction over such a width

_WORDS = {
    "sharp": "super-resolved",
    "denoised": "denoised: the reconstruction without its noise",
    "uncertainty": "standard deviation of the error of the super-resolved image",
    "reconstruction": "conventional reconstruction",
}


class SimPredictor(Predictor):
    """Predicts reconstructions, in tiles where they are large.

    Parameters
    ----------
    model : Model
    start : Model, optional
        What it began from, where that were not the shipped weights.
    """

    words = _WORDS

    def __init__(self, model: Model, start: Model | None = None) -> None:
        self.model, self.state = model, SimState.of(model)
        known = architecture(model.config.network)
        self.conditioned = known.inputs == "conditioned"
        self.axes, self.halo, self.reach_z, self.align = "YX", known.halo, 0, known.align
        self.edge, self.bytes_per_pixel, self.blocks = EDGE, known.bytes_per_pixel, not known.whole
        states = self.conditioned and self.state.spread is not None
        self.roles = {"sharp": 1, "denoised": 1, **({"uncertainty": 1} if states else {})}
        self._start = start_of(model, start, kind=START) if states else None
        self.camera = {
            "gain": self.state.camera.gain,
            "offset": self.state.camera.offset,
            "read_noise_e": self.state.camera.read_noise_e,
        }

    def __call__(self, counts: Array, sigma: Array, roles: Sequence[str]) -> dict[str, Array]:
        """Predict one reconstruction or a tile of it; see `Predictor`."""
        normaliser = self.state.normaliser
        if not self.conditioned:
            return self._original(counts, roles)
        channels = condition(counts, sigma, normaliser, self.state.optics.bank)
        denoised, sharp, log_sigma = self._averaged(self.model.network, channels)
        found = {"denoised": normaliser.backward(denoised), "sharp": normaliser.backward(sharp)}
        if "uncertainty" in roles:
            apart = np.zeros((), np.float32)
            if self._start is not None:
                _, before, log_sigma = self._averaged(self._start, channels)
                apart = np.abs(sharp - before) / 2  # of two images that are D apart at least one is off by D / 2
            stated = np.exp(log_sigma) * np.float32(self.state.spread or 1.0)
            found["uncertainty"] = np.asarray(np.maximum(stated, apart) * normaliser.contrast, np.float32)
        return {role: found[role] for role in roles}

    def check_fits(self, image: Image) -> None:
        """Refuse to work block by block."""
        raise SuperlensError(
            f"{image.name or 'the image'}: raw frames of structured illumination are predicted set by set in memory, not by blocks; leave out "
            "`block`, and cut the file into smaller ones if it does not fit."
        )

    def parameters(self, camera: Camera) -> dict[str, Any]:
        """Settings, optics and camera in words and numbers."""
        return parameters_of(self.model, self.state, camera)

    def _averaged(self, network: keras.Model, channels: Array) -> list[Array]:
        return answer(network, channels, flips=self.state.config.flips, align=self.align)

    def _original(self, counts: Array, roles: Sequence[str]) -> dict[str, Array]:
        low, high = float(counts.min()), float(counts.max())
        p, sides = ORIGINAL_PADDING, counts.shape
        frame = [(p, p + -side % self.align) for side in sides]
        made = outputs_of(self.model.network, np.pad(scaled(counts, (low, high)), frame)[None, ..., None])
        inner = tuple(slice(p, p + side) for side in sides)
        outputs = architecture(self.model.config.network).outputs
        back = (one[0, ..., 0][inner] * np.float32(high - low) + np.float32(low) for one in made)
        found = dict(zip(outputs, back, strict=True))
        return {role: found[role] for role in roles}


def predicted(predictor: SimPredictor, optics: SimOptics, counts: Array, sigma: Array) -> dict[str, Array]:
    """One reconstruction: sharp with the light that the frames hold, and denoised to agree with it.

    Over wide windows the reconstruction knows the light far better than a network does, so the sharp image takes it from there.
    """
    found = predict_whole(predictor, counts, sigma)
    if not predictor.conditioned:
        return found
    left = counts - optics.seen(found["sharp"])
    sharp = found["sharp"] + ndimage.gaussian_filter(left, _KEPT, mode="reflect")
    return {**found, "sharp": sharp, "denoised": optics.seen(sharp)}


def parameters_of(model: Model, state: SimState, camera: Camera) -> dict[str, Any]:
    """Settings, optics and camera in words and numbers, for the history of an image."""
    optics = state.optics
    return {
        **state.config.model_dump(mode="json"),
        "raw_pixel_nm": optics.pixel_nm,
        "na": state.objective.na,
        "wavelength_nm": state.objective.wavelength_nm,
        "response_fwhm_nm": round(optics.response.fwhm_nm, 1),
        "line_fwhm_nm": round(optics.response.line_fwhm_nm, 1),
        "extended_limit_fwhm_nm": round(optics.limit.fwhm_nm, 1),
        "camera_gain": camera.gain,
        "camera_offset": camera.offset,
        "camera_read_noise_e": camera.read_noise_e,
        "camera_estimated": sorted(camera.estimated),
        "level": state.normaliser.level,
        "contrast": state.normaliser.contrast,
        **{f"training_{k}": v for k, v in model.config.provenance.items()},
    }
