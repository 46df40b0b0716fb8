"""Teach a small network of single molecules what a large one says of simulated frames.

A density map of the large network is the mean of what may be there; the true places are one draw of it. The small network learns mostly
from the maps, whose scatter is far smaller, and in part from the places, so that it need not share the faults of its teacher.

In: seeds, numbers, and the shipped ``deepstorm-dense``. Out: the weights of ``networks.deepstorm.deepstorm_direct``, calibrated. The
shipped ones are made by ``python -m superlens.starts.molecules OUT``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from superlens import __version__
from superlens.methods.deepstorm.calibrate import calibrate
from superlens.methods.deepstorm.detect import Detector
from superlens.methods.deepstorm.examples import draw_batch
from superlens.methods.deepstorm.frames import Units
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import DeepStormState
from superlens.model import Model, ModelConfig, shipped
from superlens.networks import architecture, build, losses
from superlens.progress import Progress, silent
from superlens.starts.command import start_command
from superlens.training import Checkpoint, History, Plan, fit, outputs_of, set_weights

__all__ = ["Lessons", "pretrain", "told_loss"]

Array = NDArray[np.float32]

NETWORK = "deepstorm-direct"
TEACHER = "deepstorm-dense"

_REPEATED = 800  # steps that draw from it
_STREAM = 1 << 42
_TAUGHT = 0.75  # share of the answer that is the teacher's; the rest is the truth


@dataclass(slots=True, eq=False)
class Lessons:
    """Simulated frames with what the teacher says of them, drawn anew from time to time.

    Attributes
    ----------
    teacher : Model
    seed : int
    patches : int
        Frames of one lesson.
    """

    teacher: Model
    seed: int
    patches: int = 2048
    _number: int = -1
    _frames: Array | None = None
    _answers: NDArray[np.float16] | None = None

    @property
    def config(self) -> DeepStormConfig:
        """The settings of the teacher: what is simulated."""
        return DeepStormState.of(self.teacher).settings

    def batch(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """Frames and densities in molecules, each turned and mirrored; by seed and step alone."""
        frames, answers = self.lesson(step // _REPEATED)
        rng = np.random.default_rng((self.seed, step))
        chosen = rng.choice(len(frames), self.config.batch, replace=False)
        quarters, flip = int(rng.integers(4)), int(rng.choice((1, -1)))
        turned = (np.rot90(part[chosen].astype(np.float32), quarters, (1, 2))[:, ::flip] for part in (frames, answers))
        shown, told = (np.ascontiguousarray(part) for part in turned)
        return shown, (told,)

    def lesson(self, number: int) -> tuple[Array, NDArray[np.float16]]:
        """Frames of a number and what is told of them, densities in molecules."""
        if number != self._number:
            units, rng = Units.of(self.config, (0.0, 1.0)), self.rng(number)
            pairs = [draw_batch(self.config, units, rng) for _ in range(self.patches // self.config.batch)]
            answers = [self._answer(frames, spikes) for frames, spikes in pairs]
            self._frames, self._answers = np.concatenate([f for f, _ in pairs]), np.concatenate(answers)
            self._number = number
        assert self._frames is not None and self._answers is not None
        return self._frames, self._answers

    def rng(self, number: int) -> np.random.Generator:
        """Of a lesson."""
        return np.random.default_rng((self.seed, _STREAM, number))

    def _answer(self, frames: Array, spikes: Array) -> NDArray[np.float16]:
        said = np.maximum(outputs_of(self.teacher.network, frames)[0], 0) / (self.config.gain / self.config.kernel_sum)
        return np.asarray(_TAUGHT * said + (1 - _TAUGHT) * spikes, np.float16)


def told_loss(config: DeepStormConfig) -> Any:
    """The loss of the method, in which only the true part of the answer asks for few molecules: the teacher's has been asked."""

    def loss(targets: Sequence[Any], outputs: Any) -> Any:
        density = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        sparsity = (1 - _TAUGHT) * config.sparsity
        return losses.sparse_density(
            density, targets[0], gain=config.gain, kernel_sum=config.kernel_sum, sparsity=sparsity
        )

    return loss


def pretrain(
    lessons: Lessons,
    *,
    steps: int,
    learning_rate: float = 1.5e-3,
    begin: Sequence[Array] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress = silent,
) -> tuple[keras.Model, History]:
    """Train the small network from random weights, or from `begin`.

    Parameters
    ----------
    lessons : Lessons
    steps : int
    learning_rate : float
    begin : sequence of ndarray, optional
        Weights to go on from.
    checkpoint : Checkpoint, optional
    progress : Progress
    """
    keras.utils.set_random_seed(lessons.seed)
    network = build(NETWORK, architecture(NETWORK).arguments(lessons.config.upsampling))
    if begin is not None:
        set_weights(network, begin)
    plan = Plan(steps=steps, learning_rate=learning_rate, check_every=250)
    loss = told_loss(lessons.config)
    return network, fit(network, loss, lessons.batch, plan, checkpoint=checkpoint, average=0.998, progress=progress)


def _train(seed: int, workers: int, **told: Any) -> keras.Model:
    del workers  # drawing is a small part of it
    return pretrain(Lessons(Model.load(shipped()[TEACHER]), seed), **told)[0]


def _write(out: Path, network: keras.Model, provenance: dict[str, Any], workers: int) -> None:
    taught = DeepStormState.of(Model.load(shipped()[TEACHER])).settings
    config = taught.with_changes({"network": NETWORK, "learning_rate": provenance["learning_rate"]})
    detector = calibrate(Detector(network, config, Units.of(config, (0.0, 1.0))))
    described = ModelConfig(
        version=__version__,
        method="deepstorm",
        network=NETWORK,
        network_config=architecture(NETWORK).arguments(config.upsampling),
        state=detector.state().stored(),
        provenance={**provenance, "teacher": TEACHER},
    )
    Model(described, network).save(out, dtype="float16")


if __name__ == "__main__":
    start_command(
        "Teach a small network of single molecules",
        _train,
        _write,
        steps=14_000,
        learning_rate=1.5e-3,
    )()
