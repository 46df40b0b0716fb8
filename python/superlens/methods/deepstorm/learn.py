"""Learning: from settings to a model that was calibrated on simulated frames it never saw."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.methods.deepstorm.calibrate import calibrate
from superlens.methods.deepstorm.detect import Detector
from superlens.methods.deepstorm.examples import draw_batch, draw_example, normalised, target
from superlens.methods.deepstorm.frames import Units
from superlens.methods.deepstorm.own import OwnFrames
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import shipped_states
from superlens.model import Model, ModelConfig, shipped
from superlens.networks import architecture, build, losses
from superlens.progress import Progress
from superlens.training import Checkpoint, History, Plan, best_precision, fit, get_weights, precision, set_weights

__all__ = ["learn", "loss_of"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]

_VALIDATION_STREAM = 1 << 40
_VALIDATION_FRAMES = 24
_VALIDATION_SIDE = 48


def learn(
    config: DeepStormConfig, checkpoint: Path | None, progress: Progress, *, own: OwnFrames | None = None
) -> tuple[Model, History]:
    """Train a network on simulated frames, or on the user's own with known positions, and calibrate it on simulated ones."""
    keras.utils.set_random_seed(config.seed)
    units = Units.of(config, _measured(config))
    known = architecture(config.network)
    arguments = known.arguments(config.upsampling)
    with precision("float32" if known.precision == "float32" else best_precision()):
        network = build(config.network, arguments)
    exact = build(config.network, arguments)
    start = None if config.from_scratch else start_for(config)
    set_weights(network, get_weights(exact if start is None else Model.load(shipped()[start]).network))
    validation = _validation(config, units, own)
    loss = loss_of(config)

    def draw(step: int) -> tuple[Array, tuple[Array, ...]]:
        rng = np.random.default_rng((config.seed, step))
        frames, spikes = draw_batch(config, units, rng) if own is None else own.batch(config, units, rng)
        return frames, (spikes,)

    def held_out() -> float:
        set_weights(exact, get_weights(network))
        frames, spikes = validation
        density = np.concatenate([exact.predict_on_batch(f[None]) for f in frames])
        return float(loss([spikes], [density]))

    history = fit(
        network,
        loss,
        draw,
        Plan(
            steps=config.steps,
            learning_rate=config.learning_rate,
            minutes=config.minutes,
            check_every=max(50, config.steps // 60),
        ),
        held_out=held_out,
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint, _digest(config, own, start)),
        progress=progress,
    )
    set_weights(exact, get_weights(network))
    detector = calibrate(Detector(exact, config, units))
    return Model(_described(detector, history, start), exact), history


def start_for(config: DeepStormConfig) -> str | None:
    """Name of the shipped model of this network that was trained for the most like densities; None if there is none."""

    def apart(name: str) -> float:
        told = fitting[name]
        pairs = [(np.log(getattr(told, key)), np.log(getattr(config, key))) for key in ("density_um2", "photons")]
        return float(sum(abs(np.mean(a) - np.mean(b)) for a, b in pairs))

    known = {name: state.settings for name, state in shipped_states(pupils=True).items()}
    like = (config.network, config.upsampling)
    fitting = {name: told for name, told in known.items() if (told.network, told.upsampling) == like}
    return min(fitting, key=apart, default=None)


def loss_of(config: DeepStormConfig) -> Any:
    """The loss of a configuration, from targets and outputs."""

    def loss(targets: Sequence[Any], outputs: Any) -> Any:
        spikes = targets[0] if isinstance(targets, (list, tuple)) else targets
        density = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        return losses.sparse_density(
            density, spikes, gain=config.gain, kernel_sum=config.kernel_sum, sparsity=config.sparsity
        )

    return loss


def _validation(config: DeepStormConfig, units: Units, own: OwnFrames | None) -> tuple[Array, Array]:
    """Frames that training never sees, as the network takes them, with the molecules in each fine pixel."""
    rng = np.random.default_rng((config.seed, _VALIDATION_STREAM))
    if own is not None:
        return own.batch(config, units, rng, held_out=True)
    densities = np.geomspace(*config.density_um2, _VALIDATION_FRAMES)
    examples = [draw_example(config, rng, side=_VALIDATION_SIDE, density=float(d)) for d in densities]
    return normalised(examples, config, units, rng), np.stack([target(e, config) for e in examples])


def _measured(config: DeepStormConfig) -> tuple[float, float]:
    """Mean and deviation of simulated frames between 0 and 1."""
    if config.normalise != "range":
        return 0.0, 1.0
    rng = np.random.default_rng((config.seed, _VALIDATION_STREAM, 1))
    raw = Units("range", config.sigma_pixels)(
        np.stack([draw_example(config, rng).electrons for _ in range(100)]), 1.0, 0.0
    )
    return float(raw.mean()), float(raw.std(axis=(1, 2, 3)).mean())


def _digest(config: DeepStormConfig, own: OwnFrames | None, start: str | None) -> str:
    digest = hashlib.sha256(config.model_dump_json().encode())
    if start is not None:
        digest.update(shipped()[start].read_bytes())
    if own is not None:
        digest.update(own.electrons.tobytes())
        digest.update(np.concatenate(own.places).tobytes())
    return digest.hexdigest()


def _described(detector: Detector, history: History, start: str | None) -> ModelConfig:
    from superlens import __version__

    config = detector.config
    return ModelConfig(
        version=__version__,
        method="deepstorm",
        network=config.network,
        network_config=architecture(config.network).arguments(config.upsampling),
        state=detector.state().stored(),
        provenance={
            "steps": history.records[-1].step if history.records else 0,
            "kept_step": history.best_step,
            "stopped": history.stopped,
            "start": start or "random weights",
        },
    )
