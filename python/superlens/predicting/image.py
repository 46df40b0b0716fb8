"""One observed image, all its planes or volumes; and the arrays that come out as images again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.image import Image
from superlens.observing.observation import Observation
from superlens.predicting.predictor import Predictor
from superlens.predicting.whole import predict_whole
from superlens.progress import Progress

__all__ = ["Also", "as_images", "first_look", "predict_image"]

Arrays: TypeAlias = dict[str, NDArray[Any]]

Also: TypeAlias = Callable[[Mapping[str, NDArray[Any]], NDArray[Any]], Mapping[str, NDArray[Any]]]
"""From what was predicted of one plane or volume, and the noise of its pixels, to more of that kind."""


def predict_image(
    predictor: Predictor, observation: Observation, progress: Progress, *, also: Also | None = None
) -> Arrays:
    """Predict every plane or volume of an observed image.

    Parameters
    ----------
    predictor : Predictor
    observation : Observation
    progress : Progress
    also : callable, optional
        What else to compute of each.

    Returns
    -------
    dict
        Role to array ``(N, [Z,] Y, X)``, counts above the offset. Where haze was told apart, it is a role of its own; the sharp image
        is without it, and the denoised one, which shows what was recorded, with it.

    Raises
    ------
    SuperlensError
        If the model is not for such images.
    """
    predictor.check_fits(observation.image)
    values = (observation.stacked(one, predictor.axes) for one in (observation.in_focus, observation.sigma))
    counts, sigma = values
    made: list[Arrays] = []
    for done, (one, its_sigma) in enumerate(zip(counts, sigma, strict=True)):
        progress(done, len(counts), "predicting")
        found: Arrays = {**predict_whole(predictor, one, its_sigma)}
        made.append({**found, **(also(found, its_sigma) if also is not None else {})})
    progress(len(made), len(made), "predicting")
    together = {role: np.stack([one[role] for one in made]) for role in made[0]}
    if observation.haze is None:
        return together
    haze = observation.stacked(observation.haze, predictor.axes)
    return {**together, "denoised": together["denoised"] + haze, "haze": haze}


def first_look(predictor: Predictor, observation: Observation) -> Image:
    """The most important image that a predictor makes, with the least work, of the middle plane or volume of an observed image.

    Raises
    ------
    SuperlensError
        If the model is not for such images.
    """
    predictor = predictor.quick()
    predictor.check_fits(observation.image)
    counts, sigma = (observation.stacked(one, predictor.axes) for one in (observation.in_focus, observation.sigma))
    middle, (role, scale) = len(counts) // 2, next(iter(predictor.roles.items()))
    made = predict_whole(predictor, counts[middle], sigma[middle], (role,))[role] / np.float32(predictor.unit)
    image = observation.image
    pixel_nm = None if image.pixel_nm is None else image.pixel_nm / scale
    z_step_nm = image.z_step_nm if predictor.axes == "ZYX" else None
    return Image(made.astype(np.float32), predictor.axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm, name=image.name)


def as_images(
    predictor: Predictor, observation: Observation, made: Mapping[str, NDArray[Any]], *, unit: float = 1.0
) -> dict[str, Image]:
    """The arrays of `predict_image` with the axes, names and sampling of the input, and a history that says what they are.

    Parameters
    ----------
    predictor : Predictor
    observation : Observation
    made : mapping
    unit : float
        Counts that are one in the images.
    """
    image, parameters = observation.image, predictor.parameters(observation.camera)

    def one(role: str, scale: int) -> Image:
        shape = (*image.data.shape[:-2], *(side * scale for side in image.data.shape[-2:]))
        values = (made[role] / np.float32(unit)).astype(np.float32).reshape(shape)
        told = {"what": {**predictor.words, "haze": "out-of-focus light"}.get(role, role), **parameters}
        return replace(image.with_data(values, scale=scale), history={**image.history, "superlens": told})

    kept = {"haze": 1} if "haze" in made else {}
    return {role: one(role, scale) for role, scale in {**predictor.roles, **kept}.items()}
