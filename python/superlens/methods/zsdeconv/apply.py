"""Prediction: from a model and an image to the denoised image, the sharp one, and how far the sharp one may be off."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.evidence import gather
from superlens.image import Image
from superlens.method import Learned
from superlens.methods.zsdeconv.predictor import predictor_of
from superlens.methods.zsdeconv.prepared import told_apart
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import BlurWidth, blur_width
from superlens.model import Model
from superlens.observing.observation import Observation, observe
from superlens.predicting import as_images, predict_image
from superlens.progress import Progress
from superlens.result import Channel
from superlens.training import History
from superlens.training.two_stage.optics import SharpOptics
from superlens.training.two_stage.state import TwoStageState

__all__ = ["apply", "observed"]

_MOST_PLANES = 8
"""Planes from which the width of the blur is measured."""

_GROWN = 1.2  # times, from which a growth of the stated errors is said

Array = NDArray[np.float32]


def observed(model: Model, image: Image) -> Observation:
    """An image as a trained model takes it: with the camera of the training images.

    Raises
    ------
    SuperlensError
        If it does not fit the model.
    """
    state = TwoStageState.of(model)
    state.check_fits(image)
    (observation,) = observe([image], **state.known_camera)
    return told_apart(observation, state.psf, ZSDeconvConfig(**state.settings))


def apply(learned: Learned, observation: Observation, progress: Progress) -> Channel:
    """Predict one image, plane by plane or volume by volume."""
    predictor = predictor_of(learned.model, learned.start)
    config, camera = ZSDeconvConfig(**predictor.state.settings), observation.camera
    made = predict_image(predictor, observation, progress, also=partial(_also, predictor.optics_at_camera))
    return Channel(
        images=as_images(predictor, observation, made, unit=camera.gain if config.units == "electrons" else 1.0),
        masks={role: _planes(made[role]) for role in ("prior_only",) if role in made},
        observation=observation,
        model=learned.model,
        history=learned.history,
        parameters=predictor.parameters(camera),
        messages=_messages(learned, predictor.state, observation, config),
        speaks=gather,
    )


def _also(optics: SharpOptics | None, found: Mapping[str, NDArray[Any]], sigma: Array) -> dict[str, NDArray[Any]]:
    if "uncertainty" not in found or optics is None:
        return {}
    hidden = _prior_only(found["sharp"], found["uncertainty"], found["denoised"], sigma, optics)
    return {"prior_only": hidden}


def _planes(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, *values.shape[-2:])


def _prior_only(sharp: Array, stated: Array, denoised: Array, sigma: Array, optics: SharpOptics) -> NDArray[np.bool_]:
    """Where detail was added that hides below the noise once it is blurred again.

    Detail is what the sharp image has beyond the interpolated denoised one. Its evidence is the chi-square of its camera image over a
    window of the size of the PSF: where that stays below one, no pixel of the data could tell whether the detail is there. Only detail that the model claims, beyond twice its stated error, counts.
    """
    scale = sharp.shape[-1] // denoised.shape[-1]
    factors = (1,) * (sharp.ndim - 2) + (scale, scale)
    detail = sharp - ndimage.zoom(denoised, factors, order=1, grid_mode=True, mode="nearest")
    seen = optics.seen(detail)
    side = 5
    window = (1,) * (sharp.ndim - 2) + (side, side)
    evidence = side**2 * ndimage.uniform_filter((seen / sigma) ** 2, window, mode="reflect")
    hidden = np.kron(evidence < 1, np.ones(factors, bool))
    return np.asarray(hidden & (np.abs(detail) > 2 * stated))


def _messages(
    learned: Learned, state: TwoStageState, observation: Observation, config: ZSDeconvConfig
) -> tuple[str, ...]:
    said = [*_earlier_work(observation.image), *observation.messages]
    if "offset" in observation.camera.estimated:
        said.append(
            f"Subtracted an estimated camera offset of {observation.camera.offset:.4g} counts. "
            "To compare intensities between images, give `offset`."
        )
    if learned.history is not None and learned.model.config.provenance["start"] != "random weights":
        said.append(_about_learning(learned.history, config))
    if learned.model.config.provenance.get("sharpened_by_light") and state.psf is not None:
        said.append(
            f"Sharpened {config.sharpen:g} times, as far as the light of the image carries detail; to compare images, give all of them one `sharpen`"
        )
    growth = learned.model.config.provenance.get("error_growth", 1.0)
    if learned.history is not None and growth > _GROWN:
        said.append(
            f"Enhanced from two independent halves of the light, the image differed {growth:.2g} times as much as the pretrained model's errors "
            "say; the uncertainty was raised by that factor"
        )
    if config.axes == "ZYX":
        said.append(_about_depth(observation.image.sizes["Z"], config))
    blur = _blur(state, observation)
    if blur is not None and blur.note:
        said.append(blur.note)
    if config.denoise_only:
        said.append("denoising only: no detail was sharpened")
    return tuple(said)


def _about_learning(history: History, config: ZSDeconvConfig) -> str:
    if history.stopped == "shared noise":
        return (
            "Neighbouring pixels share so much noise that fine-tuning would learn it as structure; the pretrained model was taken as it is. "
            "Give the camera's raw image if there is one"
        )
    if config.steps == 0:
        return "The pretrained model was taken as it is, without fine-tuning to this image."
    return (
        f"Started from the pretrained model; held-out regions kept {history.blend:.0%} of the fine-tuning to this image. "
        "`from_scratch` leaves the pretraining out."
    )


def _earlier_work(image: Image) -> list[str]:
    """What the file says was done to the image before, where that leaves neither the noise nor the PSF of the microscope."""
    labels = [str(label) for label in image.history.get("labels", ()) if "decon" in str(label).lower()]
    if not labels:
        return []
    return [
        f"the file says that the image was deconvolved already ({labels[0]}): its noise is no longer the camera's and its blur no longer that of the "
        "optics, so that residuals and uncertainties do not hold for it; use the recording from before, if there is one"
    ]


def _blur(state: TwoStageState, observation: Observation) -> BlurWidth | None:
    if state.psf is None or state.pixel_nm is None:
        return None
    number = len(observation.counts)
    some = sorted({int(i) for i in np.linspace(0, number - 1, min(number, _MOST_PLANES)).round()})
    return blur_width(observation.in_focus[some], state.psf, state.pixel_nm, covariance=observation.noise.shared)


def _about_depth(slices: int, config: ZSDeconvConfig) -> str:
    said = f"the {slices} slices were taken as one volume"
    if config.pairs == "interleave":
        said += "; training compared every second slice, at twice the recorded z-step, and prediction is at the recorded one"
    if slices < 12:
        said += (
            f"; with {slices} slices much of the light comes from beyond the stack, and the outer ones are less certain"
        )
    return said
