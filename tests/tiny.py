"""Tiny networks and starts: what holds for any weights holds for random ones of an eighth of the width and one level."""

from __future__ import annotations

import dataclasses
from functools import partial

import keras

from superlens.model import Model, ModelConfig
from superlens.networks import architecture, build, register
from superlens.optics import RESPONSES
from superlens.training.two_stage.state import TwoStageState

WIDTHS = (4,)


def network(name: str, **arguments: object) -> str:
    """Register a network of other arguments than usual, and give its name."""
    known = architecture(name)
    register(dataclasses.replace(known, name=f"tiny-{name}", make=partial(known.make, **arguments)))
    return f"tiny-{name}"


def start(name: str = "light", *, spread: float | None = 1.0, seed: int = 9) -> Model:
    """A start of random weights, to begin from in the place of the shipped ones."""
    known = architecture(name)
    arguments = {**known.arguments(2), "widths": WIDTHS}
    keras.utils.set_random_seed(seed)
    made = build(name, arguments)
    for variable in made.weights:  # mixing layers begin as nothing; here they shall do something
        if "_z_all" in variable.path and "kernel" in variable.path:
            variable.assign(0.1 * keras.random.normal(variable.shape, seed=1))
    state = TwoStageState(axes=known.axes, response=RESPONSES[known.axes], spread=spread)
    config = ModelConfig(
        version="0", method="pretraining", network=name, network_config=arguments, state=state.stored()
    )
    return Model(config, made)
