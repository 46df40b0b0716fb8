"""Train the network that finds out-of-focus light, on simulated specimens in depth.

The network sees the cells of fields drawn by `superlens.starts.depth` and learns the share of their light that came from out of focus: its mean where
specimens leave dark places, which is what somebody vouches for who asks to separate haze, and its quantiles (`superlens.networks.haze.QUANTILES`) for
dense specimens too. No real image has been seen.

In: seeds and numbers. Out: the weights of ``networks.haze``. The shipped ones are made by ``python -m superlens.starts.haze OUT``.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from superlens import __version__
from superlens.model import Model, ModelConfig
from superlens.networks import architecture, build
from superlens.networks.haze import QUANTILES
from superlens.observing.haze import HAZE_CHANNELS
from superlens.progress import Progress, silent
from superlens.starts.command import start_command
from superlens.starts.depth import draw_field
from superlens.starts.specimens import specimens
from superlens.training import Checkpoint, History, Plan, fit, set_weights

__all__ = ["Fields", "pretrain", "share_loss"]

Array = NDArray[np.float32]

_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Simulated fields as the network takes them.

    Attributes
    ----------
    channels : ndarray, shape (N, 128, 128, HAZE_CHANNELS), float16
    goal : ndarray, shape (N, 128, 128, 3), float16
        Share of the light that is haze, how much the cell counts, and 1 in fields that may be dense, 0 in others.
    """

    channels: NDArray[np.float16]
    goal: NDArray[np.float16]

    @classmethod
    def draw(cls, number: int, *, seed: int, count: int = 1000, workers: int = 1) -> Fields:
        """Draw so many, field ``i`` by ``(seed, i)`` alone, from so many specimens."""
        global _POOLS
        _POOLS = [specimens(count, np.random.default_rng(seed), dense=dense) for dense in (False, True)]
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
            drawn = list(executor.map(partial(_numbered, seed), range(number), chunksize=50))
        return cls(*(np.stack(part) for part in zip(*drawn, strict=True)))

    def batch(self, seed: int, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Some fields, each turned and mirrored."""
        rng = np.random.default_rng((seed, step))
        chosen = rng.integers(0, len(self.channels), _BATCH)
        inputs, goals = (part[chosen].astype(np.float32) for part in (self.channels, self.goal))
        quarters, flip = int(rng.integers(4)), int(rng.choice((1, -1)))
        turned = (np.ascontiguousarray(np.rot90(one, quarters, (1, 2))[:, ::flip]) for one in (inputs, goals))
        inputs, goals = turned
        return inputs, (goals,)


_POOLS: list[NDArray[np.float16]] = []  # shared with the workers by fork


def _numbered(seed: int, number: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    dense = number % 2
    channels, goal = draw_field(_POOLS[dense], np.random.default_rng((seed, number)))
    goal = np.concatenate([goal, np.full_like(goal[..., :1], dense)], -1)
    return channels.astype(np.float16), goal.astype(np.float16)


def share_loss(targets: Sequence[Any], outputs: Any) -> Any:
    """Cross entropy of the share, whose minimum is its mean, in fields that are not dense, and pinball losses, whose minima are quantiles, in the others.

    Bright cells count more.
    """
    share, weight, dense = (targets[0][..., k] for k in range(3))
    said = ops.clip(outputs[0][..., 0], 1e-4, 1 - 1e-4)
    entropy = -(share * ops.log(said) + (1 - share) * ops.log(1 - said))
    pinball = ops.zeros_like(share)
    for number, level in enumerate(QUANTILES, 1):
        above = share - outputs[number][..., 0]
        pinball = pinball + ops.maximum(level * above, (level - 1) * above)
    return _averaged(entropy, weight * (1 - dense)) + _averaged(pinball, weight * dense)


def _averaged(loss: Any, weight: Any) -> Any:
    return ops.sum(weight * loss) / ops.maximum(ops.sum(weight), 1.0)


def pretrain(
    fields: Fields,
    *,
    steps: int,
    seed: int = 0,
    learning_rate: float = 1e-3,
    begin: Sequence[Array] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress = silent,
) -> tuple[keras.Model, History]:
    """Train the network on some fields, from random weights or from `begin`.

    Parameters
    ----------
    fields : Fields
    steps, seed : int
    learning_rate : float
    begin : sequence of ndarray, optional
        Weights to go on from.
    checkpoint : Checkpoint, optional
    progress : Progress
    """
    keras.utils.set_random_seed(seed)
    network = build("haze", {"channels": HAZE_CHANNELS})
    if begin is not None:
        set_weights(network, begin)
    plan = Plan(steps=steps, learning_rate=learning_rate, check_every=250)
    draw = partial(fields.batch, seed)
    return network, fit(network, share_loss, draw, plan, checkpoint=checkpoint, average=0.998, progress=progress)


def _train(fields: int, seed: int, workers: int, **told: Any) -> keras.Model:
    return pretrain(Fields.draw(fields, seed=seed, workers=workers), seed=seed, **told)[0]


def _write(out: Path, network: keras.Model, provenance: dict[str, Any], workers: int) -> None:
    config = ModelConfig(
        version=__version__,
        method="pretraining",
        network="haze",
        network_config=architecture("haze").arguments(1),
        state={},
        provenance=provenance,
    )
    Model(config, network).save(out, dtype="float16")


if __name__ == "__main__":
    start_command(
        "Train the network that finds out-of-focus light",
        _train,
        _write,
        steps=9000,
        learning_rate=1e-3,
        options=[click.Option(["--fields"], default=9_000, show_default=True, help="Simulated fields to learn from.")],
    )()
