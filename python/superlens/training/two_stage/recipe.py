"""`TwoStageRecipe`: the parts of a two-stage training put together, and `TwoStageTraining`, which follows one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.networks import Architecture, architecture, build
from superlens.progress import Progress
from superlens.training.backends import best_precision, precision
from superlens.training.checkpoint import Checkpoint, get_weights, set_weights
from superlens.training.history import History, Plan
from superlens.training.loop import Trainer
from superlens.training.two_stage.framing import Framing
from superlens.training.two_stage.held_out import HeldOut, level
from superlens.training.two_stage.losses import TwoStageLoss
from superlens.training.two_stage.pairs import Pairs

__all__ = ["TwoStageRecipe", "TwoStageTraining", "as_far_as_the_data_ask", "first_stage", "schedule"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TwoStageRecipe:
    """How a two-stage network learns.

    Attributes
    ----------
    pairs : Pairs
        Where noisy pairs come from.
    framing : Framing
        How they are laid before the network.
    loss : TwoStageLoss
        What is made small.
    plan : Plan
        How long and how fast.
    seed : int
    held_out : HeldOut or None
        What is not seen; without it the last weights are kept.
    levelled : bool
        Whether outputs that began from random weights are given the light of the input.
    """

    pairs: Pairs
    framing: Framing
    loss: TwoStageLoss
    plan: Plan
    seed: int
    held_out: HeldOut | None = None
    levelled: bool = False

    def draw(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """The batch of a step."""
        return self.framing.batch(self.pairs, np.random.default_rng((self.seed, step)))

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Errors on what training does not see, one for each block of it; not a number where nothing is held out."""
        return np.full(1, np.nan) if self.held_out is None else self.held_out.risks(network)


class TwoStageTraining:
    """Two copies of a network: one that trains in its precision, one in float32 for everything that is measured or kept.

    Learning from image after image with one PSF and one configuration, they are traced once instead of for each.

    Parameters
    ----------
    network : str
        Name of the architecture.
    arguments : mapping
        Of the architecture.
    recipe : callable
        Makes the recipe, given the network that trains.
    first_only : bool
        Whether the second stage stays as it is.
    seed : int
    """

    def __init__(
        self,
        network: str,
        arguments: Mapping[str, Any],
        recipe: Callable[[keras.Model], TwoStageRecipe],
        *,
        first_only: bool,
        seed: int,
    ) -> None:
        self._name, self._arguments, self._recipe_of = network, dict(arguments), recipe
        keras.utils.set_random_seed(seed)
        known = architecture(network)
        with precision("float32" if known.precision == "float32" else best_precision()):
            self._network = build(network, arguments)
        self.kept = build(network, arguments)
        self._first: TwoStageRecipe | None = recipe(self._network)
        fixed = known.layers_of("log_sigma", *(("sharp",) if first_only else ()))
        for layer in self._network.layers:
            layer.trainable = not layer.name.startswith(fixed)
        self._first_only = first_only
        self._trainer: Trainer | None = None  # made when it is first needed, since a run may be ended before

    def _learning(self, network: keras.Model) -> keras.Model:
        """The part of a network that learns, with the same weights."""
        return first_stage(network, architecture(self._name)) if self._first_only else network

    def leave(self, seed: int) -> None:
        """Leave what was learned to whoever has it: what is learned next comes into a network of its own."""
        keras.utils.set_random_seed(seed)
        self.kept = build(self._name, self._arguments)

    def run(
        self,
        begin: Sequence[Array] | None,
        progress: Progress,
        *,
        recipe: Callable[[keras.Model], TwoStageRecipe] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> History:
        """Train from weights, or from random ones; `kept` holds what was learned.

        Parameters
        ----------
        begin : sequence of ndarray or None
        progress : Progress
        recipe : callable, optional
            Of another image, with the same loss; by default that of the first.
        checkpoint : Checkpoint, optional
        """
        followed = (recipe or self._recipe_of)(self._network) if self._first is None or recipe else self._first
        self._first = None
        network, kept = self._network, self.kept
        prior = None if begin is None else list(begin)
        set_weights(network, prior or get_weights(kept))

        looked_at = self._learning(kept)

        def risks(weights: list[Array]) -> NDArray[np.float64]:
            set_weights(kept, weights)
            return followed.risks(looked_at)

        trainer = self._trainer or Trainer(self._learning(network), followed.loss)
        self._trainer = trainer
        history = trainer.fit(
            followed.draw,
            followed.plan,
            held_out=lambda: float(np.mean(risks(get_weights(network)))),
            checkpoint=checkpoint,
            progress=progress,
        )
        weights = get_weights(network)
        if prior is not None:
            learned = bool(history.records)
            weights, history.blend = as_far_as_the_data_ask(prior, weights, risks) if learned else (prior, 0.0)
        set_weights(kept, weights)
        if prior is None and followed.levelled and followed.held_out is not None:
            level(kept, followed.held_out)
        return history


def first_stage(network: keras.Model, known: Architecture) -> keras.Model:
    """The denoising half of a two-stage network, with the same weights."""
    stage = keras.Model(network.input, [network.outputs[known.outputs.index("denoised")]])
    stage.compile(jit_compile=keras.backend.backend() == "jax")
    return stage


def schedule(
    kind: Literal["cosine", "halving"],
    *,
    steps: int,
    learning_rate: float,
    minutes: float | None,
    patience: int = 0,
    halve_every: int = 10_000,
) -> Plan:
    """A cosine over the budget with a check every fortieth part of it; or halving, where nothing is held out to check."""
    seldom = 1000 if minutes is None else 50
    return Plan(
        steps=steps,
        learning_rate=learning_rate,
        schedule=kind,
        halve_every=halve_every,
        minutes=minutes,
        check_every=max(20, steps // 40) if kind == "cosine" else seldom,
        patience=patience,
    )


def as_far_as_the_data_ask(
    start: list[Array], end: list[Array], risks: Callable[[list[Array]], NDArray[np.float64]]
) -> tuple[list[Array], float]:
    """Weights on the line from ``start`` to ``end``, and how far along they lie.

    The nearest to the start whose held-out risk is within one standard error, over blocks, of the least on the line. What the blur
    hides does not show in that risk and drifts while training, so that a step further has to be worth it.

    References
    ----------
    Breiman et al., Classification and Regression Trees (1984), section 3.4.3: the one-standard-error rule.
    """
    candidates = [[(1 - share) * a + share * b for a, b in zip(start, end, strict=True)] for share in _SHARES]
    found = np.stack([risks(weights) for weights in candidates])
    least = int(np.argmin(found.mean(axis=1)))
    worse = found - found[least]
    error = worse.std(axis=1) / np.sqrt(max(found.shape[1] - 1, 1))
    kept = int(np.argmax(worse.mean(axis=1) <= error))
    log.info("held-out risk from start to end: %s", ", ".join(f"{r:.5g}" for r in found.mean(axis=1)))
    return candidates[kept], _SHARES[kept]


_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
