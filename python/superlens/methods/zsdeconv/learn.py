"""Learning: from what was prepared to a model, with the weights that risk least on what training did not see."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from superlens.method import Learned
from superlens.methods.zsdeconv.predictor import predictor_of
from superlens.methods.zsdeconv.prepared import Prepared
from superlens.methods.zsdeconv.recipe import recipe_of
from superlens.model import Model, ModelConfig
from superlens.networks import architecture
from superlens.observing.binning import error_factor
from superlens.predicting.repeats import Repeats, compare_halves
from superlens.predicting.start import Start, beginning_of, network_at
from superlens.progress import Progress
from superlens.training import Checkpoint, History, get_weights
from superlens.training.two_stage.recipe import TwoStageTraining
from superlens.training.two_stage.state import TwoStageState

__all__ = ["begun_with", "learn", "training_for"]

_TURNED = 2  # copies that a prediction is averaged over where only its noise matters


def learn(
    prepared: Prepared,
    checkpoint: Path | None,
    progress: Progress,
    *,
    start: Model | None = None,
    begin: Model | None = None,
    training: TwoStageTraining | None = None,
) -> Learned:
    """Train a model on what was prepared.

    Parameters
    ----------
    prepared : Prepared
    checkpoint : Path or None
        A file to keep the state of the training in, and to go on from.
    progress : Progress
    start : Model, optional
        Weights to begin from, in the place of the shipped ones.
    begin : Model, optional
        A model to train further.
    training : TwoStageTraining, optional
        Of `training_for`, of an image before. The model that comes back holds its network: learning with it again fills it with other
        weights.
    """
    config = prepared.config
    begun = begin
    origin: Start | None = None
    if begun is None and not config.from_scratch:
        origin = beginning_of(config.network, start)
        begun = origin.model
    arguments = _arguments(prepared, begun)
    if begun is not None and prepared.steps == 0:
        untouched = History(blend=0.0, stopped="shared noise" if config.steps else "steps")
        return _learned(prepared, network_at(begun, arguments), untouched, origin, begun, start)
    key = None if training is not None or begun is None else _kind_of_training(prepared, arguments)
    before = _TRACED.pop(key, None)  # nobody else's while it learns
    if before is not None:
        before.leave(config.seed)
    again = training is not None or before is not None
    training = training or before or training_for(prepared, begun)
    history = training.run(
        None if begun is None else get_weights(begun.network),
        progress,
        recipe=partial(recipe_of, prepared) if again else None,
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint, _digest(prepared)),
    )
    if key is not None:
        _TRACED.clear()
        _TRACED[key] = training
    learned = _learned(prepared, training.kept, history, origin, begun, start)
    if begin is not None or history.blend == 0:  # the errors are those of the model that it began from
        return learned
    predictor = predictor_of(learned.model, start)
    if "uncertainty" not in predictor.roles:
        return learned
    looking = replace(predictor, flips=min(predictor.flips, _TURNED))
    psf = predictor.state.psf
    assert psf is not None  # there is an uncertainty, so there is a sharp image
    repeats = compare_halves(looking, prepared.observations, config.seed, detail_px=psf.fwhm_nm / psf.pixel_nm)
    history.unrepeated = repeats.places
    return _learned(prepared, training.kept, history, origin, begun, start, repeats=repeats)


def begun_with(prepared: Prepared, start: Model | None) -> Learned | None:
    """The weights that learning begins from, as a model for what was prepared; None where it begins from random ones."""
    config = prepared.config
    if config.from_scratch:
        return None
    origin = beginning_of(config.network, start)
    network = network_at(origin.model, _arguments(prepared, origin.model))
    return _learned(prepared, network, History(blend=0.0), origin, origin.model, start)


def _learned(
    prepared: Prepared,
    network: keras.Model,
    history: History,
    origin: Start | None,
    begun: Model | None,
    start: Model | None,
    *,
    repeats: Repeats = Repeats(1.0, math.nan),  # noqa: B008  # a frozen value
) -> Learned:
    """A network with all that must be known to use it, its stated errors larger by a factor."""
    config = prepared.config
    state = TwoStageState(
        axes=architecture(config.network).axes,
        scale=config.scale,
        pixel_nm=prepared.pixel_nm if prepared.psf is not None else None,
        response=prepared.optics.response if architecture(config.network).says_resolution else None,
        normaliser=prepared.normaliser,
        camera=prepared.observations[0].camera,
        psf=prepared.psf,
        spread=None if begun is None else TwoStageState.of(begun).spread,
        bins=prepared.bins,
        bin_variance=prepared.bin_variance,
        error_factor=repeats.growth * error_factor(prepared.observations, prepared.bins),
        settings=config.model_dump(mode="json"),
    )
    arguments, name = _arguments(prepared, begun), "random weights" if origin is None else origin.name
    described = _described(prepared, arguments, state, history, name, repeats)
    return Learned(Model(described, network, state.arrays()), history, start)


def training_for(prepared: Prepared, begun: Model | None) -> TwoStageTraining:
    """The networks that learn, for one image after another of one PSF and one configuration."""
    config = prepared.config
    return TwoStageTraining(
        config.network,
        _arguments(prepared, begun),
        partial(recipe_of, prepared),
        first_only=config.first_only,
        seed=config.seed,
    )


_TRACED: dict[str | None, TwoStageTraining] = {}
"""The last training that was traced, by what it was traced for: the next image through the same optics need not wait for that."""

_UNTRACED = {
    "steps",
    "minutes",
    "seed",
    "learning_rate",
    "flips",
    "offset",
    "gain",
    "read_noise_e",
    "units",
    "haze",
    "preset",
}


def _kind_of_training(prepared: Prepared, arguments: dict[str, Any]) -> str:
    """All that the graph of a training depends on."""
    digest = hashlib.sha256(prepared.config.model_dump_json(exclude=_UNTRACED).encode())
    optics = prepared.optics
    digest.update(repr((sorted(arguments.items()), optics.response, optics.scale)).encode())
    digest.update(repr((optics.psf.pixel_nm, optics.psf.z_step_nm, optics.psf.data.shape)).encode())
    digest.update(np.ascontiguousarray(optics.psf.data).tobytes())
    return digest.hexdigest()


def _arguments(prepared: Prepared, begun: Model | None) -> dict[str, Any]:
    """Of the network: those of the model that it begins from, at the scale that is asked for."""
    own = architecture(prepared.config.network).arguments(prepared.optics.scale)
    return own if begun is None else {**begun.config.network_config, **own}


def _digest(prepared: Prepared) -> str:
    digest = hashlib.sha256(prepared.config.model_dump_json().encode())
    for observation in prepared.observations:
        digest.update(np.ascontiguousarray(observation.counts).tobytes())
    digest.update(np.ascontiguousarray(prepared.optics.bank.kernels).tobytes())
    digest.update(repr(prepared.band).encode())
    return digest.hexdigest()


def _described(
    prepared: Prepared, arguments: dict[str, Any], state: TwoStageState, history: History, start: str, repeats: Repeats
) -> ModelConfig:
    from superlens import __version__

    return ModelConfig(
        version=__version__,
        method="zsdeconv",
        network=prepared.config.network,
        network_config=arguments,
        state=state.stored(),
        provenance={
            "images": [o.image.name for o in prepared.observations],
            "steps": history.records[-1].step if history.records else 0,
            "kept_step": history.best_step,
            "stopped": history.stopped,
            "blend": history.blend,
            "start": start,
            "error_growth": round(repeats.growth, 3),
            "unrepeated": None if math.isnan(repeats.unrepeated) else round(repeats.unrepeated, 4),
            "sharpened_by_light": prepared.by_light,
        },
    )
