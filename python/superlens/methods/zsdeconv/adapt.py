"""Test-time adaptation: a model that many frames trained, brought a few steps nearer to one of them.

The weights begin where the model left them, with its camera, its intensities and its optics, and go as far towards the image as blocks
that the steps never saw allow, as in any training. The model itself stays as it is.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): a general model over all time points, then some 50 steps for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.apply import Result, apply, observed
from superlens.methods.zsdeconv.learn import Learned, learn, training_for
from superlens.methods.zsdeconv.predictor import require_zsdeconv
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import ChannelModels, Model
from superlens.progress import Cancelled, Progress, silent
from superlens.training.two_stage.recipe import TwoStageTraining
from superlens.training.two_stage.state import TwoStageState

__all__ = ["Adapter", "adapt", "predict_adapted"]


def adapt(
    model: Model | ChannelModels, image: Image, *, steps: int = 50, progress: Progress = silent
) -> Model | ChannelModels:
    """Train a model a few steps further on one image of its kind.

    Parameters
    ----------
    model : Model or ChannelModels
        Of the zsdeconv method; stays as it is.
    image : Image
        Usually one time point.
    steps : int
        The most that are taken.
    progress : Progress

    Returns
    -------
    Model or ChannelModels
        As `model`, with other weights and a note of them in its provenance.

    Raises
    ------
    SuperlensError
        If the image does not fit the model.

    Examples
    --------
    >>> sharper = adapt(model, movie.select(t=7), steps=50)  # doctest: +SKIP
    """
    if steps < 1:
        raise SuperlensError(f"steps is {steps}; expected 1 or more steps of adaptation")
    return Adapter(model, steps)(image, progress)


class Adapter:
    """Adapts one model to image after image; the networks are traced once, so that a later model takes the network of the one before it.

    Parameters
    ----------
    model : Model or ChannelModels
        As for `adapt`.
    steps : int
    """

    def __init__(self, model: Model | ChannelModels, steps: int) -> None:
        self._model, self._steps = model, steps
        self._trainings: dict[int, TwoStageTraining] = {}

    def __call__(self, image: Image, progress: Progress) -> Model | ChannelModels:
        """A model that lasts until the next call."""
        model = self._model
        if isinstance(model, Model):
            return self._one(0, model, image, progress)
        kept = model.picked(image)
        parts = [self._one(at, one, kept.select(c=at), progress) for at, one in enumerate(model.models)]
        return ChannelModels(model.channels, tuple(parts))

    def _one(self, channel: int, model: Model, image: Image, progress: Progress) -> Model:
        require_zsdeconv(model)
        state = TwoStageState.of(model)
        state.check_fits(image)
        changes = {"steps": self._steps, "minutes": None, **state.known_camera}
        config = ZSDeconvConfig(**state.settings).with_changes(changes)
        prepared = prepare([image], state.psf, config, response=state.response)
        prepared = replace(prepared, psf=state.psf, pixel_nm=state.pixel_nm, normaliser=state.normaliser)
        if channel not in self._trainings:
            self._trainings[channel] = training_for(prepared, model)
        learned = learn(prepared, None, progress, begin=model, training=self._trainings[channel])
        if learned.history is not None and learned.history.stopped == "cancelled":
            raise Cancelled
        made = learned.model.config.provenance
        before = model.config.provenance
        # What the model is measured against stays the shipped start, so a step of adaptation that was not taken does not hide the others.
        told = {"adapted_to": image.name, "adapted_steps": made["steps"], "adapted_blend": made["blend"]}
        blend = made["blend"] or before.get("blend", 0.0)
        settled = model.config.with_changes({"provenance": {**before, **told, "blend": blend}})
        return Model(settled, learned.model.network, model.arrays)


def predict_adapted(model: Model, image: Image, steps: int, progress: Progress) -> Result:
    """Predict an image, each frame with a model adapted to it."""
    whole = observed(model, image)
    frames = [image.select(t=t) for t in range(image.sizes["T"])] if "T" in image.axes else [image]
    results, adapter = [], Adapter(model, steps)
    for at, frame in enumerate(frames):
        own = adapter(frame, _within(progress, at, len(frames)))
        assert isinstance(own, Model)
        results.append(apply(Learned(own, None), observed(model, frame), silent))
    progress(len(frames), len(frames), "adapting")
    if "T" not in image.axes:
        return results[0]
    note = f"each of {len(frames)} frames was predicted by the model after up to {steps} more steps on that frame"
    first = results[0]
    return replace(
        first,
        image=_joined([result.image for result in results], image),
        denoised=_some(_joined([result.denoised for result in results], image)),
        uncertainty=_joined([result.uncertainty for result in results], image),
        prior_only=None if first.prior_only is None else np.concatenate([_mask(r) for r in results]),
        observation=whole,
        model=model,
        parameters={**first.parameters, "adapted_steps": steps},
        messages=tuple(dict.fromkeys([*(m for result in results for m in result.messages), note])),
    )


def _mask(result: Result) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    assert result.prior_only is not None  # all frames go the same way
    return result.prior_only


def _joined(images: Sequence[Image | None], like: Image) -> Image | None:
    made = [image for image in images if image is not None]
    if len(made) < len(images):
        return None
    return replace(
        like, data=np.stack([image.data for image in made]), pixel_nm=made[0].pixel_nm, history=made[0].history
    )


def _some(image: Image | None) -> Image:
    assert image is not None  # a denoised image is always made
    return image


def _within(progress: Progress, at: int, number: int) -> Progress:
    def tell(done: int, total: int, message: str) -> None:
        progress(at, number, "adapting")

    return tell
