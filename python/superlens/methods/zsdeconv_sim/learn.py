"""Learning: from what was prepared to a model, with the weights that risk least on what training did not see."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np

from superlens.method import Learned
from superlens.methods.zsdeconv_sim.already import ERRORS
from superlens.methods.zsdeconv_sim.prepared import Prepared
from superlens.methods.zsdeconv_sim.recipe import recipe_of
from superlens.methods.zsdeconv_sim.state import START, SimState
from superlens.model import Model, ModelConfig
from superlens.networks import architecture
from superlens.predicting.start import Start, beginning_of, network_at
from superlens.progress import Progress
from superlens.training import Checkpoint, History, get_weights
from superlens.training.two_stage.recipe import TwoStageTraining
from superlens.training.two_stage.state import TwoStageState

__all__ = ["learn"]


def learn(prepared: Prepared, checkpoint: Path | None, progress: Progress, start: Model | None = None) -> Learned:
    """Train a model on what was prepared.

    Parameters
    ----------
    prepared : Prepared
    checkpoint : Path or None
        A file to keep the state of the training in, and to go on from.
    progress : Progress
    start : Model, optional
        Weights to begin from, in the place of the shipped ones.
    """
    from superlens import __version__

    config = prepared.config
    origin: Start | None = None if config.from_scratch else beginning_of(config.network, start, START)
    own = architecture(config.network).arguments(1)
    arguments = own if origin is None else {**origin.model.config.network_config, **own}
    if origin is not None and (config.steps == 0 or config.reconstructed):
        network, history = network_at(origin.model, arguments), History(blend=0.0)
    else:
        training = TwoStageTraining(
            config.network, arguments, partial(recipe_of, prepared), first_only=False, seed=config.seed
        )
        history = training.run(
            None if origin is None else get_weights(origin.model.network),
            progress,
            checkpoint=None if checkpoint is None else Checkpoint(checkpoint, _digest(prepared)),
        )
        network = training.kept
    state = SimState(
        config,
        prepared.objective,
        prepared.optics,
        prepared.normaliser,
        prepared.observations[0].camera,
        None if origin is None else _spread(origin.model, config.reconstructed),
    )
    described = ModelConfig(
        version=__version__,
        method="zsdeconv-sim",
        network=config.network,
        network_config=arguments,
        state=state.stored(),
        provenance={
            "images": [one.image.name for one in prepared.observations],
            "steps": history.records[-1].step if history.records else 0,
            "kept_step": history.best_step,
            "stopped": history.stopped,
            "blend": history.blend,
            "start": "random weights" if origin is None else origin.name,
        },
    )
    return Learned(Model(described, network), history, start)


def _spread(start: Model, reconstructed: bool) -> float | None:
    """Factor of the errors that a start states."""
    spread = TwoStageState.of(start).spread
    return spread if spread is None or not reconstructed else ERRORS * spread


def _digest(prepared: Prepared) -> str:
    digest = hashlib.sha256(prepared.config.model_dump_json().encode())
    for observation in prepared.observations:
        digest.update(np.ascontiguousarray(observation.counts).tobytes())
    return digest.hexdigest()
