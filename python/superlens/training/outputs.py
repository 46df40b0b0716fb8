"""What a network makes of a batch: the one way in which networks predict.

A network is compiled once for batches of all shapes, and another one of the same structure takes what was compiled for the first. The last digits of
an image thus depend neither on the images before it nor on their shapes.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.training.backends import engine_errors, running_engine

__all__ = ["outputs_of"]

Array = NDArray[np.float32]


def outputs_of(network: keras.Model, batch: Array) -> list[Array]:
    """Predict a batch.

    Parameters
    ----------
    network : keras.Model
        Of one input.
    batch : ndarray, shape (B, [Z,] Y, X, C)

    Returns
    -------
    list of ndarray
        One for each output of the network.

    Raises
    ------
    MemoryError
        If memory does not suffice.
    SuperlensError
        If a graphics card has failed.
    """
    with engine_errors():
        return [np.asarray(one) for one in running_engine().outputs(network, batch)]
