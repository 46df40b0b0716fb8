"""From normalised frames to density maps, and from those to where molecules are."""

from __future__ import annotations

from dataclasses import dataclass, fields

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.methods.deepstorm.frames import Units
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import DeepStormState
from superlens.methods.deepstorm.stating import ErrorLaw
from superlens.model import Model
from superlens.networks import architecture, build
from superlens.predicting import FramePredictor, predict_frames
from superlens.smlm.density import Peaks, find_peaks
from superlens.training import best_precision, precision

__all__ = ["Detector", "Found", "peaks"]

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Molecules in density maps, one entry each.

    Attributes
    ----------
    frame : ndarray of int, shape (N,)
        Index of the map.
    places : ndarray, shape (N, 2), columns x and y
        In camera pixels of the training, from the outer corner of the first.
    height : ndarray, shape (N,), float32
        Density at the maxima, 1 for a molecule without doubt.
    width : ndarray, shape (N,)
        Standard deviation of the peaks, camera pixels; at least that of the blur.
    """

    frame: NDArray[np.int64]
    places: NDArray[np.float64]
    height: Array
    width: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, chosen: NDArray[np.bool_]) -> Found:
        """Some of them."""
        return Found(self.frame[chosen], self.places[chosen], self.height[chosen], self.width[chosen])

    @classmethod
    def joined(cls, parts: list[Found]) -> Found:
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))


def peaks(density: Array, threshold: float, upsampling: int) -> Peaks:
    """Molecules in one density map: maxima after the blur that training compared by.

    Parameters
    ----------
    density : ndarray, shape (fine Y, fine X)
        In molecules a pixel.
    threshold : float
        Least blurred density of a maximum, as a share of that of a molecule that is all in one pixel.
    upsampling : int

    Returns
    -------
    Peaks
        Lengths in camera pixels, not nanometres.
    """
    # A blur of one pixel leaves 1 / (2 pi) of a single pixel's density; undone, so that 1 is a sure molecule.
    blurred = ndimage.gaussian_filter(density, 1.0, truncate=3.0, mode="constant") / _LEFT
    return find_peaks(blurred, threshold, 1.0 / upsampling)


def _as_trained(model: Model) -> keras.Model:
    """The network of a model, in the precision of a training on this hardware: many times as fast where processors multiply bfloat16."""
    name, fastest = model.config.network, best_precision()
    if fastest == "float32" or architecture(name).precision == "float32" or keras.backend.backend() != "tensorflow":
        return model.network
    with precision(fastest):
        network = build(name, model.config.network_config)
    network.set_weights(model.network.get_weights())
    return network


def _lone() -> Array:
    spot = np.zeros((9, 9), np.float32)
    spot[4, 4] = 1
    return np.asarray(ndimage.gaussian_filter(spot, 1.0, truncate=3.0, mode="constant"))


_LEFT = float(_lone().max())
_MASS = float(_lone()[3:6, 3:6].sum()) / _LEFT


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A trained network with everything that its maps are read by.

    Attributes
    ----------
    network : keras.Model
    config : DeepStormConfig
        Of its training.
    units : Units
    threshold : float
        See `peaks`.
    found_within : float
        How far the light may move a lone molecule from its peak, camera pixels; see `superlens.methods.deepstorm.calibrate`.
    law : ErrorLaw
        What error is stated for a molecule.
    """

    network: keras.Model
    config: DeepStormConfig
    units: Units
    threshold: float = 0.1
    found_within: float = 0.1
    law: ErrorLaw = ErrorLaw.of_bound(2.0)

    @classmethod
    def of(cls, model: Model) -> Detector:
        """The detector that a model file holds; its network computes in the precision that it is trained in."""
        state = DeepStormState.of(model)
        units = Units.of(state.settings, (state.frame_mean, state.frame_deviation))
        return cls(_as_trained(model), state.settings, units, state.threshold, state.found_within, state.law)

    def state(self) -> DeepStormState:
        """What a model file keeps of it."""
        return DeepStormState(
            settings=self.config,
            threshold=self.threshold,
            found_within=self.found_within,
            errors=self.law.told(),
            frame_mean=self.units.mean,
            frame_deviation=self.units.deviation,
        )

    def maps(self, electrons: Array, photons: float | Array, background: float) -> Array:
        """Density of molecules in each fine pixel, without the shift of labels, shape (B, fine Y, fine X), of frames in electrons, shape (B, Y, X).

        ``photons`` of a molecule may be of each frame, shape (B, 1, 1).
        """
        return self.densities(self.units(electrons, photons, background))

    def densities(self, frames: Array) -> Array:
        """The same of frames that are normalised already, shape (B, Y, X, 1)."""
        known = architecture(self.config.network)
        predictor = FramePredictor(self.network, known.halo, known.align, known.bytes_per_pixel)
        whole = self.config.gain / self.config.kernel_sum
        made = np.maximum(predict_frames(predictor, frames[..., 0])[..., 0], 0)
        return np.asarray(made / np.float32(whole), np.float32)

    def read(self, maps: Array) -> Found:
        """The molecules in density maps."""
        found = [peaks(density, self.threshold, self.config.upsampling) for density in maps]
        if not found:
            return Found(np.empty(0, np.int64), np.empty((0, 2)), np.empty(0, np.float32), np.empty(0))
        return Found(
            np.repeat(np.arange(len(maps)), [len(one) for one in found]),
            np.concatenate([one.positions_nm for one in found]) + self.config.label_shift / self.config.upsampling,
            np.asarray(np.concatenate([one.mass for one in found]) / _MASS, np.float32),
            np.concatenate([one.width_nm for one in found]),
        )
