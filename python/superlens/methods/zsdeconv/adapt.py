"""Test-time adaptation: a model that many frames trained, brought a few steps nearer to one of them.

The weights begin where the model left them, with its camera, its intensities and its optics, and go as far towards the image as blocks
that the steps never saw allow, as in any training. The model itself stays as it is.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): a general model over all time points, then some 50 steps for each.
"""

from __future__ import annotations

from dataclasses import replace

from superlens.image import Image
from superlens.methods.zsdeconv.learn import learn, training_for
from superlens.methods.zsdeconv.predictor import require_zsdeconv
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model
from superlens.progress import Cancelled, Progress
from superlens.training.two_stage.recipe import TwoStageTraining
from superlens.training.two_stage.state import TwoStageState

__all__ = ["Adapter"]


class Adapter:
    """Adapts one model to image after image; the networks are traced once, so that a later model takes the network of the one before it.

    Parameters
    ----------
    model : Model
        Stays as it is.
    steps : int
    """

    def __init__(self, model: Model, steps: int) -> None:
        require_zsdeconv(model)
        self._model, self._steps, self._state = model, steps, TwoStageState.of(model)
        self._training: TwoStageTraining | None = None

    def __call__(self, image: Image, progress: Progress) -> Model:
        """A model that lasts until the next call."""
        model, state = self._model, self._state
        state.check_fits(image)
        changes = {"steps": self._steps, "minutes": None, **state.known_camera}
        config = ZSDeconvConfig(**state.settings).with_changes(changes)
        prepared = prepare([image], state.psf, config, response=state.response)
        prepared = replace(prepared, psf=state.psf, pixel_nm=state.pixel_nm, normaliser=state.normaliser)
        self._training = self._training or training_for(prepared, model)
        learned = learn(prepared, None, progress, begin=model, training=self._training)
        if learned.history is not None and learned.history.stopped == "cancelled":
            raise Cancelled
        made = learned.model.config.provenance
        before = model.config.provenance
        # What the model is measured against stays the shipped start, so a step of adaptation that was not taken does not hide the others.
        adapted = {"adapted_to": image.name, "adapted_steps": made["steps"], "adapted_blend": made["blend"]}
        blend = made["blend"] or before.get("blend", 0.0)
        settled = model.config.with_changes({"provenance": {**before, **adapted, "blend": blend}})
        return Model(settled, learned.model.network, model.arrays)
