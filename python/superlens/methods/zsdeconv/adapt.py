"""Test-time adaptation: a model that many frames trained, brought a few steps nearer to one of them.

The weights begin where the model left them, with its camera, its intensities and its optics, and go as far towards the image as blocks
that the steps never saw allow, as in any training. The model itself stays as it is.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): a general model over all time points, then some 50 steps for each.
"""

from __future__ import annotations

from dataclasses import replace

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.learn import Bench, learn
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.task import prepare
from superlens.model import ChannelModels, Model
from superlens.progress import Cancelled, Progress

__all__ = ["Adapter"]


class Adapter:
    """Adapts one model to image after image; the networks are traced once, so that a later model takes the network of the one before it.

    Parameters
    ----------
    model : Model or ChannelModels
        Stays as it is.
    steps : int
    """

    def __init__(self, model: Model | ChannelModels, steps: int) -> None:
        self._model, self._steps = model, steps
        self._benches: dict[int, Bench] = {}

    def __call__(self, image: Image, progress: Progress) -> Model | ChannelModels:
        """A model that lasts until the next call."""
        model = self._model
        if isinstance(model, Model):
            return self._one(0, model, image, progress)
        kept = model.picked(image)
        parts = [self._one(at, one, kept.select(c=at), progress) for at, one in enumerate(model.models)]
        return ChannelModels(model.channels, tuple(parts))

    def _one(self, channel: int, model: Model, image: Image, progress: Progress) -> Model:
        if model.config.method != "zsdeconv":
            raise SuperlensError(f"the model was made by {model.config.method}; expected one made by zsdeconv")
        model.check_fits(image)
        known = {} if model.camera is None else _known(model)
        changes = {"steps": self._steps, "minutes": None, **known}
        config = ZSDeconvConfig(**model.config.settings).with_changes(changes)
        task = prepare([image], model.psf, config, response=model.config.response)
        task = replace(task, psf=model.psf, pixel_nm=model.config.pixel_nm, normaliser=model.normaliser)
        bench = self._benches.get(channel) or self._benches.setdefault(channel, Bench(task))
        learned = learn(task, None, progress, begin=model, bench=bench)
        if learned.history is not None and learned.history.stopped == "cancelled":
            raise Cancelled
        made = learned.model.config.provenance
        before = model.config.provenance
        # What the model is measured against stays the shipped start, so a step of adaptation that was not taken does not hide the others.
        told = {"adapted_to": image.name, "adapted_steps": made["steps"], "adapted_blend": made["blend"]}
        blend = made["blend"] or before.get("blend", 0.0)
        settled = model.config.with_changes({"provenance": {**before, **told, "blend": blend}})
        return Model(settled, learned.model.network, model.psf)


def _known(model: Model) -> dict[str, float]:
    camera = model.camera
    assert camera is not None
    return {"gain": camera.gain, "read_noise_e": camera.read_noise_e, "offset": camera.offset}
