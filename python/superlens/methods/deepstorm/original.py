"""Weights that were trained elsewhere for the original network, with what must be known to use them rightly.

The original programs keep weights in the HDF5 layout of Keras, layer by layer under the names that `superlens.networks.deepstorm` has too,
and the mean and deviation of frames between 0 and 1 in a file beside. Their labels lie half a fine pixel off: molecules were rounded to
pixels counted from 1 (the original, toward the origin) or from 0 (the notebook, away from it). superlens takes that back where it is told.

References
----------
Nehme et al., Optica 5, 458 (2018). von Chamier et al., Nat. Commun. 12, 2276 (2021): the notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import DeepStormState
from superlens.methods.deepstorm.stating import ErrorLaw
from superlens.model import Model, ModelConfig
from superlens.networks import build

__all__ = ["import_original"]

Array = NDArray[np.float32]
Labels = Literal["original", "notebook", "exact"]

_SHIFT: Mapping[str, float] = {"original": 0.5, "notebook": -0.5, "exact": 0.0}
"""Fine pixels from where a network puts a molecule to where it is."""

_FOUND_WITHIN = (
    0.15  # camera pixels; nothing is known of the errors of a network from elsewhere, and they are stated wide
)
_BOUNDS = 3.0


def import_original(
    path: Path | str,
    *,
    mean: float,
    deviation: float,
    labels: Labels = "original",
    upsampling: Literal[4, 8, 16] = 8,
    sigma_pixels: float = 1.1,
    threshold: float = 0.1,
) -> Model:
    """Make a model of weights in the layout of the original Deep-STORM.

    Parameters
    ----------
    path : Path or str
        HDF5 file of Keras weights, or of a whole model.
    mean, deviation : float
        Of frames between 0 and 1, as they were saved with the weights.
    labels : {"original", "notebook", "exact"}
        How positions became labels; see above.
    upsampling : {4, 8, 16}
    sigma_pixels : float
        Standard deviation of the image of a molecule that the training had, camera pixels.
    threshold : float
        Least density of a peak, as a share of that of a sure molecule.

    Returns
    -------
    Model
        For `superlens.localize`. Its stated errors are not calibrated, and wide.

    Raises
    ------
    SuperlensError
        If the file is missing, no such file, or a layer lacks or has another shape.
    """
    if labels not in _SHIFT:
        raise SuperlensError(f"labels is {labels!r}; expected one of {', '.join(_SHIFT)}")
    if not deviation > 0:
        raise SuperlensError(f"deviation is {deviation}; expected the deviation of frames between 0 and 1, above 0")
    network = build("deepstorm", {"upsampling": upsampling})
    stored = _layers(Path(path))
    for layer in network.layers:
        if layer.weights:
            _fill(layer, stored, Path(path))
    from superlens import __version__

    config = DeepStormConfig.of(
        "paper", upsampling=upsampling, sigma_pixels=sigma_pixels, label_shift=_SHIFT[labels], patch=26
    )
    return Model(
        ModelConfig(
            version=__version__,
            method="deepstorm",
            network="deepstorm",
            network_config={"upsampling": upsampling},
            state=DeepStormState(
                settings=config,
                threshold=threshold,
                found_within=_FOUND_WITHIN,
                errors=ErrorLaw.of_bound(_BOUNDS).told(),
                frame_mean=mean,
                frame_deviation=deviation,
            ).stored(),
            provenance={"imported": Path(path).name, "labels": labels},
        ),
        network,
    )


def _layers(path: Path) -> dict[str, dict[str, Array]]:
    """Arrays of each layer by the last part of their names, such as ``kernel``."""
    if not path.is_file():
        raise SuperlensError(f"there is no file {path}; expected Keras weights in HDF5")
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            found: dict[str, dict[str, Array]] = {}

            def take(name: str, node: object) -> None:
                if isinstance(node, h5py.Dataset):
                    layer, *_, weight = name.split("/")
                    found.setdefault(layer, {})[weight.partition(":")[0]] = np.asarray(node, np.float32)

            root.visititems(take)
            return found
    except OSError as error:
        raise SuperlensError(f"{path} is not an HDF5 file, or it was cut short ({error}); copy it again") from error


def _fill(layer: keras.Layer, stored: Mapping[str, Mapping[str, Array]], path: Path) -> None:
    held = stored.get(layer.name, {})
    for variable in layer.weights:
        name = variable.name
        if name not in held or held[name].shape != tuple(variable.shape):
            came = f"of the shape {held[name].shape}" if name in held else "missing"
            raise SuperlensError(
                f"in {path.name} {layer.name}/{name} is {came}; expected {tuple(variable.shape)}. "
                "Are these the weights of the original Deep-STORM?"
            )
        variable.assign(held[name])
