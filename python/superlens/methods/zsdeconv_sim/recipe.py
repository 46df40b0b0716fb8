"""How the two stages learn from reconstructions.

Ours: noise-weighted distances on patches of conditioned channels, checked on blocks that training never sees. The original, for
comparison: patches scaled to [0, 1] and framed with zeros, absolute distances through the whole transfer function, the last weights.
"""

from __future__ import annotations

import keras
import numpy as np

from superlens.methods.zsdeconv_sim.pairs import OriginalCopies, RawCopies, SimRecording, recordings_of, split
from superlens.methods.zsdeconv_sim.prepared import Prepared
from superlens.networks import architecture
from superlens.networks.forward import KerasForward
from superlens.training.two_stage.framing import LEAST_SEEN, ConditionedPatches, PaddedPatches
from superlens.training.two_stage.held_out import HeldOut
from superlens.training.two_stage.losses import TwoStageLoss
from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recipe import TwoStageRecipe, schedule
from superlens.training.two_stage.recordings import Recording
from superlens.training.two_stage.recorrupted import Spread
from superlens.training.two_stage.turning import TURNS

__all__ = ["ORIGINAL_PADDING", "recipe_of"]

ORIGINAL_PADDING = 16
"""Zeros that the original frames its inputs with, on each side."""

_PATIENCE = 2  # checks without a gain after which a training that began from the shipped weights ends
_WHOLE = 1 << 16  # parts are looked at whole


def recipe_of(prepared: Prepared, network: keras.Model) -> TwoStageRecipe:
    """The recipe for what was prepared and the network that trains."""
    return (_original if prepared.config.network == "unet" else _ours)(prepared)


def _ours(prepared: Prepared) -> TwoStageRecipe:
    config, optics, known = prepared.config, prepared.optics, architecture(prepared.config.network)
    forward = KerasForward(optics.blur, edges="open")
    margin = forward.margins[-1]
    framing = ConditionedPatches(
        prepared.normaliser,
        optics.bank,
        optics.bank,
        align=known.align,
        margins=(margin, margin),
        patch=config.patch,
        number=config.batch,
        turns=[turn for turn, _ in TURNS[:2]],  # half a turn leaves the bands where they are
        least=2 * margin + LEAST_SEEN,
    )
    recordings = recordings_of(prepared.observations, optics)
    return TwoStageRecipe(
        pairs=RawCopies(recordings, Spread(config.alpha, config.beta1, config.beta2)),
        framing=framing,
        loss=TwoStageLoss(framing, forward, 1, hessian=config.hessian),
        plan=schedule(
            "cosine",
            steps=config.steps,
            learning_rate=config.learning_rate,
            minutes=config.minutes,
            patience=0 if config.from_scratch else _PATIENCE,
        ),
        seed=config.seed,
        held_out=HeldOut(
            known,
            recordings,
            (_WHOLE, _WHOLE),
            0,
            _even,
            draws=1,
            normaliser=prepared.normaliser,
            bank=optics.bank,
            seen=optics.seen,
            seed=config.seed,
        ),
        levelled=True,
    )


def _even(one: Recording, rng: np.random.Generator) -> Pair:
    assert isinstance(one, SimRecording)
    return split(one, 1.0, rng)


def _original(prepared: Prepared) -> TwoStageRecipe:
    config, optics = prepared.config, prepared.optics
    padding = (ORIGINAL_PADDING,) * 2
    framing = PaddedPatches(
        align=architecture(config.network).align,
        padding=padding,
        patch=config.patch,
        number=config.batch,
        pairs=1,
        turns=[turn for turn, _ in TURNS[:2]],
    )
    forward = KerasForward(optics.kernel, edges="dark")
    return TwoStageRecipe(
        pairs=OriginalCopies(
            recordings_of(prepared.observations, optics), Spread(config.alpha, config.beta1, config.beta2)
        ),
        framing=framing,
        loss=TwoStageLoss(framing, forward, 1, distance="absolute", hessian=config.hessian, frame=True, factor=0.5),
        plan=schedule(
            "halving",
            steps=config.steps,
            learning_rate=config.learning_rate,
            minutes=config.minutes,
            halve_every=10_000,
        ),
        seed=config.seed,
    )
