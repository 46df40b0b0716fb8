"""A whole method in fewer than sixty lines: each pixel as the mean of its neighbours, weighted as predicts it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import ndimage

from superlens.config import setting
from superlens.method import ImageMethod, Learned, Prepared, Role, Settings
from superlens.model import Model, ModelConfig
from superlens.networks import Architecture, build
from superlens.predicting import Predictor


class ToySettings(Settings):
    """How far it looks."""

    width: int = setting(3, help="Side of the window, in pixels.", label="Window", unit="pixels", advanced=False, ge=1)


def toy(*, width: int = 3) -> Any:
    """One convolution from image to image."""
    import keras

    image = keras.Input((None, None, 1), name="image")
    smooth = keras.layers.Conv2D(1, width, padding="same", use_bias=False, name="smooth")(image)
    return keras.Model(image, smooth, name="toy")


class ToyPredictor(Predictor):
    """The convolution, block by block."""

    roles: Mapping[str, int] = {"smooth": 1}

    def __init__(self, model: Model) -> None:
        self._network, self.halo = model.network, model.config.state["width"] // 2

    def __call__(self, counts: Any, sigma: Any, roles: Sequence[str]) -> dict[str, Any]:
        return {"smooth": np.asarray(self._network(counts[None, ..., None]))[0, ..., 0]}


class Toy(ImageMethod):
    """Learns how much a pixel is like its neighbours."""

    name: ClassVar[str] = "toy"
    summary: ClassVar[str] = "Smooth images by what neighbours tell."
    settings: ClassVar[type[Settings]] = ToySettings
    gives: ClassVar[tuple[Role, ...]] = (Role("smooth", "smoothed", "smooth", label="Show the smooth image"),)

    def learn(self, prepared: Prepared, checkpoint: Any, progress: Any, start: Any = None) -> Learned:
        width = prepared.settings.width
        network = build("toy", {"width": width})
        seen = np.mean(
            [ndimage.uniform_filter(o.counts, (0, width, width)).std() / o.counts.std() for o in prepared.observations]
        )
        kernel = np.full((width, width, 1, 1), seen / width**2)
        kernel[width // 2, width // 2] += 1 - seen
        network.set_weights([kernel])
        progress(1, 1, "training")
        about = ModelConfig(
            version="0", method="toy", network="toy", network_config={"width": width}, state={"width": width}
        )
        return Learned(Model(about, network), None)

    def predictor(self, model: Model) -> Predictor:
        return ToyPredictor(model)


NETWORK = Architecture("toy", toy, outputs=("smooth",), align=1, reach=1, bytes_per_pixel=100, training_bytes=1000)
