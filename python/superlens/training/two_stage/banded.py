"""Targets without what the optics do not pass.

Beyond the cutoff of the optics a recorded image holds noise alone. A network that is asked for it learns nothing, or, where the noise is of another law
than the copies were made for, learns to keep its specks; and what is not seen in training is judged by it, too. Taken out of the targets,
the light that they expect stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.metrics import visible_limit
from superlens.optics import PSF
from superlens.training.two_stage.pairs import Pair, Pairs
from superlens.training.two_stage.recordings import Recording

__all__ = ["Band", "BandedPairs"]

_BEYOND = 1.25  # cutoffs of the stated PSF that are kept, since it may be narrower by a fifth than stated
_BEYOND_SEEN = 2.0  # times the frequency up to which an image shows light, since fainter light does not end there
_EDGE = 0.15  # of that, over which the filter falls to nothing


@dataclass(frozen=True, slots=True)
class Band:
    """The frequencies that the optics pass.

    Attributes
    ----------
    limit : float
        Cycles per pixel, along y and x, up to which a target is kept whole.
    """

    limit: float

    @classmethod
    def of(cls, psf: PSF, pixel_nm: float) -> Band:
        """What passes each plane through such optics, and a quarter more, where a pixel of the targets has this side."""
        return cls(_BEYOND * psf.cutoff_per_um * pixel_nm / 1000)

    @classmethod
    def shown_by(cls, planes: NDArray[np.floating[Any]]) -> Band | None:
        """Twice as much as planes, shape ``(N, Y, X)``, visibly hold; None where they do not show where their light ends."""
        limit = visible_limit(planes)
        return None if limit is None else cls(_BEYOND_SEEN * limit)

    def limited(self, pair: Pair) -> Pair:
        """The pair with a target, shape ``([Z,] Y, X)``, whose planes hold nothing beyond; their means and all that is smoother stay."""
        frequencies = np.hypot(*np.ix_(*(np.arange(n) / (2 * n) for n in pair.target.shape[-2:])))
        over = np.clip((frequencies / self.limit - 1) / _EDGE, 0.0, 1.0)
        if not over.any():
            return pair
        kept, plane = 0.5 * (1 + np.cos(np.pi * over)), (-2, -1)
        waves = fft.dctn(pair.target, axes=plane, norm="ortho")  # mirrored beyond the edges
        target = fft.idctn(waves * kept, axes=plane, norm="ortho")
        return replace(pair, target=target.astype(np.float32))

    def limit_copies(
        self, copies: Callable[[Recording, np.random.Generator], Pair]
    ) -> Callable[[Recording, np.random.Generator], Pair]:
        """The same way to make pairs, with such targets."""
        return lambda one, rng: self.limited(copies(one, rng))


class BandedPairs:
    """Pairs of another source with targets that hold nothing beyond a band."""

    def __init__(self, pairs: Pairs, band: Band) -> None:
        self._pairs, self._band = pairs, band

    def draw(self, rng: np.random.Generator) -> Pair:
        """A fresh pair."""
        return self._band.limited(self._pairs.draw(rng))
