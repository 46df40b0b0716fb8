"""The user's own frames with known positions, in the place of simulated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.methods.deepstorm.examples import shared_spikes
from superlens.methods.deepstorm.frames import Units
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.smlm.estimation import MovieEstimate
from superlens.smlm.table import Localizations

__all__ = ["OwnFrames"]

Array = NDArray[np.float32]
_HELD_OUT = 5
"""Every so many frames one is kept from training."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnFrames:
    """Frames with the places of their molecules.

    Attributes
    ----------
    electrons : ndarray, shape (T, Y, X), float32
    places : list of ndarray, shape (N, 2), columns x and y, camera pixels
        Of each frame.
    photons, background : float
        Of a molecule, and of a pixel besides.
    """

    electrons: Array
    places: list[NDArray[np.float64]]
    photons: float
    background: float

    @classmethod
    def of(cls, counts: Array, truth: Localizations, pixel_nm: float, told: MovieEstimate) -> OwnFrames:
        """Put frames, shape (T, Y, X), counts, and a table of the same frames together.

        Raises
        ------
        SuperlensError
            If the table has no molecule in the frames, or many outside the field.
        """
        number, height, width = counts.shape
        if len(truth) == 0 or truth["frame"].max() > number:
            last = int(truth["frame"].max()) if len(truth) else 0
            raise SuperlensError(
                f"truth has frames up to {last} and the movie {number}; expected positions in the frames of the movie"
            )
        places = truth.positions_nm / pixel_nm
        inside = (places >= 0).all(axis=1) & (places[:, 0] < width) & (places[:, 1] < height)
        if inside.mean() < 0.5:
            raise SuperlensError(
                f"{np.mean(~inside):.0%} of the true positions lie outside the {width * pixel_nm:g} x {height * pixel_nm:g} nm of the field; "
                "expected nanometres from its outer corner. Is `pixel_nm` right?"
            )
        kept, frame = places[inside], truth["frame"][inside]
        electrons = told.flat(np.asarray(told.camera.to_electrons(counts), np.float32))
        return cls(electrons, [kept[frame == i + 1] for i in range(number)], told.photons, told.background)

    def batch(
        self, config: DeepStormConfig, units: Units, rng: np.random.Generator, *, held_out: bool = False
    ) -> tuple[Array, Array]:
        """Draw windows, turned and mirrored: normalised frames and the molecules in each fine pixel, as `draw_batch` gives them.

        With ``held_out`` from the frames that training does not see.
        """
        numbers = np.arange(len(self.electrons))
        kept = numbers[(numbers % _HELD_OUT == _HELD_OUT - 1) == held_out]
        chosen = rng.choice(kept if len(kept) else numbers, config.batch)
        side = min(config.patch, *(s // 2 * 2 for s in self.electrons.shape[1:]))
        frames, spikes = [], []
        for number in chosen:
            y, x = (int(rng.integers(0, s - side + 1)) for s in self.electrons.shape[1:])
            places = self.places[number] - (x, y)
            places = places[(places >= 0).all(axis=1) & (places < side).all(axis=1)]
            fine = shared_spikes(places * config.upsampling, (side * config.upsampling,) * 2)
            turn, mirror = int(rng.integers(4)), bool(rng.integers(2))
            pair = [np.rot90(a, turn) for a in (self.electrons[number, y : y + side, x : x + side], fine)]
            frame, spike = (a[:, ::-1] if mirror else a for a in pair)
            frames.append(frame)
            spikes.append(spike)
        off = np.exp(config.misjudged * rng.standard_normal((config.batch, 1, 1)))
        return units(np.stack(frames), self.photons * off, self.background), np.stack(spikes)[..., None]
