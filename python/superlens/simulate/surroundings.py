"""What a movie holds besides molecules: the light behind them, and the motion of the specimen.

Each is a small frozen setting with one verb, ``play``: an endless stream with one entry a frame. How they meet the molecules is decided in
`superlens.simulate.movie`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.simulate.drawing import gaussian_field

__all__ = ["Background", "DriftLaw"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Background:
    """Light besides that of the molecules.

    Parameters
    ----------
    low_photons, high_photons : float
        Photons per pixel and frame: each frame has a level between the two; alike for a constant one.
    contrast : float
        Standard deviation of a smooth random pattern, as a share of the level; 0 for none.
    smooth_nm : float
        Size of the pattern: the standard deviation of the Gaussian that smooths it.
    still : bool
        Whether all frames have the same pattern.

    Raises
    ------
    SuperlensError
        When a value is impossible.
    """

    low_photons: float = 20.0
    high_photons: float = 20.0
    contrast: float = 0.0
    smooth_nm: float = 1000.0
    still: bool = True

    def __post_init__(self) -> None:
        for name in ("low_photons", "high_photons", "contrast"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise SuperlensError(f"{name} is {value}; expected 0 or more.")
        if self.high_photons < self.low_photons:
            raise SuperlensError(
                f"high_photons is {self.high_photons:g}; expected low_photons, {self.low_photons:g}, or more."
            )
        if not self.smooth_nm > 0:
            raise SuperlensError(f"smooth_nm is {self.smooth_nm}; expected a length above 0.")

    def play(self, yx_shape: tuple[int, int], pixel_nm: float, rng: np.random.Generator) -> Iterator[Floats]:
        """Yield the mean background photons of each frame, shape (Y, X), without end."""
        pattern = np.ones(yx_shape)
        for frame in itertools.count():
            if self.contrast > 0 and (frame == 0 or not self.still):
                # With a flat spectrum the drawing pen damps frequency f by exp(-(f s)^2): a Gaussian of sigma s / (pi sqrt 2).
                smooth = math.pi * math.sqrt(2.0) * self.smooth_nm / pixel_nm
                pattern = np.maximum(1.0 + self.contrast * gaussian_field(yx_shape, rng, 0.0, smooth), 0.0)
            yield rng.uniform(self.low_photons, self.high_photons) * pattern


@dataclass(frozen=True, slots=True)
class DriftLaw:
    """How the specimen moves from frame to frame; the first frame is where it begins.

    Parameters
    ----------
    x_nm, y_nm : float
        Steady motion per frame.
    walk_nm : float
        Standard deviation of a random step per frame, along x and along y.

    Raises
    ------
    SuperlensError
        When a value is impossible.
    """

    x_nm: float = 0.0
    y_nm: float = 0.0
    walk_nm: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.x_nm) and math.isfinite(self.y_nm) and 0 <= self.walk_nm < math.inf):
            raise SuperlensError(
                f"x_nm, y_nm and walk_nm are {self.x_nm}, {self.y_nm} and {self.walk_nm}; expected nm per frame, walk_nm 0 or more."
            )

    def play(self, rng: np.random.Generator) -> Iterator[Floats]:
        """Yield the displacement of each frame, (x, y) nm, without end."""
        place = np.zeros(2)
        while True:
            yield place
            place = place + np.array([self.x_nm, self.y_nm]) + self.walk_nm * rng.standard_normal(2)
