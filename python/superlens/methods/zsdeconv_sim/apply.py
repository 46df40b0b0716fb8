"""Prediction: from a model and raw frames to the sharp image, the denoised one, the uncertainty, and the reconstruction beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.image import Image
from superlens.method import Learned
from superlens.methods.zsdeconv_sim.evidence import SimEvidence
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.predictor import SimPredictor, predicted
from superlens.methods.zsdeconv_sim.prepared import SimObservation
from superlens.progress import Progress
from superlens.result import Channel

__all__ = ["apply"]


def apply(learned: Learned, observation: SimObservation, progress: Progress) -> Channel:
    """Predict every set of raw frames."""
    predictor = SimPredictor(learned.model, learned.start)
    state, result = predictor.state, observation.result
    optics = SimOptics.of(result.spectrum, state.config.weight, state.config.narrower, result.pixel_nm)
    made = []
    for done, (counts, sigma) in enumerate(zip(observation.counts, observation.sigma, strict=True)):
        progress(done, len(observation.counts), "predicting")
        made.append(predicted(predictor, optics, counts, sigma))
    progress(len(made), len(made), "predicting")
    parameters = {**predictor.parameters(observation.camera), **_pattern(observation)}
    stacks = {role: np.stack([one[role] for one in made]) for role in predictor.roles}
    images = {role: _as_image(result.image, stack, role, parameters) for role, stack in stacks.items()}
    conventional = np.asarray(result.image.data, np.float32) - np.float32(observation.camera.offset)
    images["reconstruction"] = _as_image(result.image, conventional, "reconstruction", parameters)
    return Channel(
        images=images,
        model=learned.model,
        observation=observation,
        history=learned.history,
        parameters=parameters,
        messages=_messages(learned, observation),
        speaks=SimEvidence,
    )


def _as_image(like: Image, values: NDArray[Any], role: str, parameters: Mapping[str, Any]) -> Image:
    note = {"what": SimPredictor.words[role], **parameters}
    data = np.asarray(values, np.float32).reshape(like.data.shape)
    return replace(like, data=data, history={**like.history, "superlens": note})


def _pattern(observation: SimObservation) -> dict[str, Any]:
    if not observation.from_frames:
        return {"frames": "none: reconstructed by another program"}
    orders = observation.result.pattern.orders
    return {
        "frames": observation.result.layout.words,
        "pattern_period_nm": [round(observation.result.pixel_nm / o.length, 1) for o in orders],
        "pattern_angle_deg": [round(o.angle_deg, 2) for o in orders],
        "pattern_modulation": [round(o.modulation, 3) for o in orders],
    }


def _messages(learned: Learned, observation: SimObservation) -> tuple[str, ...]:
    said = list(observation.messages)
    if "offset" in observation.camera.estimated:
        said.append(
            f"Subtracted an estimated camera offset of {observation.camera.offset:.4g} counts. "
            "To compare intensities between images, give `offset`."
        )
    if (
        observation.from_frames
        and learned.history is not None
        and learned.model.config.provenance["start"] != "random weights"
    ):
        said.append(
            f"Started from the pretrained model; held-out regions kept {learned.history.blend:.0%} of the fine-tuning to these frames. "
            "`from_scratch` leaves the pretraining out."
        )
    return tuple(said)
