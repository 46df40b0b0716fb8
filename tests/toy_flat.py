"""A whole method without a network: it learns what is the same in all planes, and subtracts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.method import ImageMethod, Learned, Prepared, Role, Settings
from superlens.model import Model, ModelConfig
from superlens.predicting import Predictor


class FlatPredictor(Predictor):
    """The image without the pattern, which has a place in the whole image only."""

    roles: Mapping[str, int] = {"flat": 1}
    blocks = False

    def __init__(self, model: Model) -> None:
        self._pattern = model.arrays["pattern"]

    def __call__(self, counts: Any, sigma: Any, roles: Sequence[str]) -> dict[str, Any]:
        return {"flat": counts - self._pattern}

    def check_fits(self, image: Image) -> None:
        if image.data.shape[-2:] != self._pattern.shape:
            raise SuperlensError(
                f"the image is {image.data.shape[-2:]}; expected {self._pattern.shape}, as in training"
            )


class Flat(ImageMethod):
    """Learns the pattern of a sensor."""

    name: ClassVar[str] = "flat"
    summary: ClassVar[str] = "Subtract what is the same in all planes."
    settings: ClassVar[type[Settings]] = Settings
    gives: ClassVar[tuple[Role, ...]] = (Role("flat", "flattened", "flat", label="Show the flat image"),)

    def learn(self, prepared: Prepared, checkpoint: Any, progress: Any, start: Any = None) -> Learned:
        mean = np.concatenate([observation.counts for observation in prepared.observations]).mean(axis=0)
        return Learned(Model(ModelConfig(version="0", method="flat"), arrays={"pattern": mean - mean.mean()}))

    def predictor(self, model: Model) -> Predictor:
        return FlatPredictor(model)
