"""Learning: from a task to a model, with the weights that risk least on what training did not see."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.method import Learned
from superlens.methods.zsdeconv.light import LightRecipe
from superlens.methods.zsdeconv.paper import PaperRecipe
from superlens.methods.zsdeconv.paper_volume import PaperVolumeRecipe
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.task import Task
from superlens.methods.zsdeconv.volume import VolumeRecipe
from superlens.model import CameraConfig, Model, ModelConfig, shipped
from superlens.networks import architecture, build
from superlens.progress import Progress
from superlens.training import Checkpoint, History, Plan, Trainer, best_precision, get_weights, precision, set_weights

__all__ = ["STARTS", "Bench", "Recipe", "learn", "recipe_of", "shipped_start", "start_of", "untrained"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]


class Bench:
    """The networks that a task learns with: one that trains, one in float32 for everything that is measured or kept.

    Learning from image after image with one PSF and one configuration, they are traced once instead of for each.
    """

    def __init__(self, task: Task) -> None:
        keras.utils.set_random_seed(task.config.seed)
        self.network = untrained(task)
        self.exact = build(task.config.network, _arguments(task.config))
        self.recipe = recipe_of(task, self.network)
        for layer in self.network.layers:
            layer.trainable = not layer.name.startswith(self.recipe.fixed)
        self.trainer = Trainer(self.network, self.recipe.loss)


def learn(
    task: Task, checkpoint: Path | None, progress: Progress, *, begin: Model | None = None, bench: Bench | None = None
) -> Learned:
    """Train a model for a task, from the shipped weights or from those of the model ``begin``.

    The model that comes back holds the network of the bench: learning with the same bench again fills it with other weights.
    """
    config, again = task.config, bench is not None
    bench = bench or Bench(task)
    network, exact = bench.network, bench.exact
    recipe = recipe_of(task, network) if again else bench.recipe
    begun = begin or (None if config.from_scratch else shipped_start(config.network))
    prior = None if begun is None else get_weights(begun.network)
    set_weights(network, prior or get_weights(exact))

    def risks(weights: list[Array]) -> NDArray[np.float64]:
        set_weights(exact, weights)
        return recipe.risks(exact)

    history = bench.trainer.fit(
        recipe.draw,
        recipe.plan(),
        held_out=lambda: float(np.mean(risks(get_weights(network)))),
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint, _digest(task)),
        progress=progress,
    )
    weights = get_weights(network)
    if prior is not None:
        weights, history.blend = _as_far_as_the_data_ask(prior, weights, risks) if config.steps else (prior, 0.0)
    set_weights(exact, weights)
    if prior is None:
        recipe.level(exact)
    described = _model_config(task, _arguments(config), history, begun.config.spread if begun else None)
    return Learned(Model(described, exact, task.psf), history)


def untrained(task: Task) -> keras.Model:
    """The network of a task, in the precision that it trains in; the originals compute in float32."""
    config = task.config
    with precision("float32" if architecture(config.network).precision == "float32" else best_precision()):
        return build(config.network, _arguments(config))


def recipe_of(task: Task, network: keras.Model) -> Recipe:
    """How the network of a task learns."""
    conditioned = architecture(task.config.network).inputs == "conditioned"
    if task.config.axes == "YX":
        return LightRecipe(task) if conditioned else PaperRecipe(task)
    return VolumeRecipe(task, network) if conditioned else PaperVolumeRecipe(task, network)


class Recipe(Protocol):
    """What a way of learning brings."""

    fixed: tuple[str, ...]

    def plan(self) -> Plan:
        """How long and how fast."""

    def draw(self, step: int) -> tuple[Array, tuple[Array, ...]]:
        """The batch of a step."""

    def loss(self, targets: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """What training makes small."""

    def risks(self, network: keras.Model) -> NDArray[np.float64]:
        """Errors on what training does not see, one for each block of it."""

    def level(self, network: keras.Model) -> None:
        """Give the outputs of weights without a start the light of the input."""


def _arguments(config: ZSDeconvConfig) -> dict[str, Any]:
    return architecture(config.network).arguments(config.scale)


STARTS = {"light": "zsdeconv-light", "light-volume": "zsdeconv-light-volume"}
"""Names of the shipped weights that `fast` and `standard` start from, by network."""


def shipped_start(network: str = "light") -> Model:
    """The shipped model that zero-shot learning of a network begins from."""
    files, name = shipped(), STARTS.get(network)
    if name is None:
        raise SuperlensError(f"there are no shipped weights for network {network!r}; use `from_scratch`")
    if name not in files:
        raise SuperlensError(f"the shipped weights {name!r} are missing; reinstall superlens, or use `from_scratch`")
    return _loaded(files[name])


@functools.lru_cache(maxsize=4)
def _loaded(file: Path) -> Model:
    """Shipped weights, which nobody changes: folders of small images and frames that are adapted to ask for them again and again."""
    return Model.load(file)


def start_of(model: Model) -> keras.Model | None:
    """The start that a model was adapted from, at the model's scale, to predict with; None if it had none or still is that start.

    None as well where the shipped one states another resolution, as after a change of versions.
    """
    made, config = model.config.provenance, model.config
    if made.get("start") != STARTS.get(config.network) or not made.get("blend"):
        return None
    start = shipped_start(config.network)
    if start.config.response != config.response:
        return None
    if start.config.network_config == config.network_config:
        return start.network
    at_scale = build(config.network, config.network_config)
    set_weights(at_scale, get_weights(start.network))
    return at_scale


def _as_far_as_the_data_ask(
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


def _digest(task: Task) -> str:
    digest = hashlib.sha256(task.config.model_dump_json().encode())
    for observation in task.observations:
        digest.update(np.ascontiguousarray(observation.counts).tobytes())
    digest.update(np.ascontiguousarray(task.lens.bank.kernels).tobytes())
    return digest.hexdigest()


def _model_config(task: Task, arguments: dict[str, Any], history: History, spread: float | None) -> ModelConfig:
    from superlens import __version__

    camera = task.observations[0].camera
    return ModelConfig(
        version=__version__,
        method="zsdeconv",
        network=task.config.network,
        network_config=arguments,
        axes="ZYX" if task.config.axes == "ZYX" else "YX",
        scale=task.config.scale,
        pixel_nm=task.pixel_nm if task.psf is not None else None,
        **task.response.stated(),
        level=task.normaliser.level,
        contrast=task.normaliser.contrast,
        camera=CameraConfig(
            gain=camera.gain,
            offset=camera.offset,
            read_noise_e=camera.read_noise_e,
            estimated=tuple(sorted(camera.estimated)),
        ),
        psf_source=task.psf.source if task.psf is not None else "",
        spread=spread,
        settings=task.config.model_dump(mode="json"),
        provenance={
            "images": [o.image.name for o in task.observations],
            "steps": history.records[-1].step if history.records else 0,
            "kept_step": history.best_step,
            "stopped": history.stopped,
            "blend": history.blend,
            "start": "random weights" if task.config.from_scratch else STARTS[task.config.network],
        },
    )
