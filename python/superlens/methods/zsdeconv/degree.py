"""How far to sharpen: as far as the light of the images carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from superlens.metrics import frc_resolution
from superlens.observing.observation import Observation, noisy_pair

__all__ = ["DEGREES", "carried_degree"]

DEGREES = (1.5, 1.8, 2.1, 2.5)
"""Times narrower than the PSF. Few, so that images of like light get the same."""

_MOST = 3  # images that are looked at
_SIDE = 512  # camera pixels: of the part of a plane that is looked at


def carried_degree(observations: Sequence[Observation], fwhm_px: float, seed: int) -> float:
    """How many times narrower than the PSF a response may be for the images to carry its detail.

    The light of an image is dealt out into two independent halves. Where their Fourier ring correlation falls to 1/7 lies the finest wave that
    the image carries; a response half of that wave wide shows it. The median over images, rounded down to one of `DEGREES`.

    Parameters
    ----------
    observations : sequence of Observation
        Of one kind.
    fwhm_px : float
        Of the PSF, camera pixels.
    seed : int
        Of the halves.

    Returns
    -------
    float
        The least of `DEGREES` where the images carry no more.
    """
    found = []
    for number, one in enumerate(observations[:: max(1, len(observations) // _MOST)][:_MOST]):
        plane = _middle(one.counts)
        rng = np.random.default_rng((seed, number))
        halves = noisy_pair(plane, one.camera, 1.0, rng, covariance=one.noise.shared)
        first, second = (np.asarray(half[0], np.float64) for half in halves)
        found.append(2 * fwhm_px / frc_resolution(first, second, pixel_nm=1.0))
    carried = float(np.median(found))
    return max((degree for degree in DEGREES if degree <= carried), default=DEGREES[0])


def _middle(planes: np.ndarray) -> np.ndarray:
    """The middle of the first plane."""
    cut = tuple(slice((n - min(n, _SIDE)) // 2, (n + min(n, _SIDE)) // 2) for n in planes.shape[-2:])
    return np.asarray(planes[:1, cut[0], cut[1]])
