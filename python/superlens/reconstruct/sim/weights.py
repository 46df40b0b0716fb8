"""How strongly to regularise, read from the frames: `fitted_regularisation` and `haze_of`.

A reconstruction that leaves white noise white shows at each frequency how much signal stands above the noise. The w of smallest expected error
follows, and the w^2 of each ring for a true Wiener filter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from superlens.optics.patterns import Arrangement
from superlens.reconstruct.sim.bands import Bands, taper
from superlens.reconstruct.sim.operator import Reconstruction
from superlens.reconstruct.sim.spectrum import Regularisation, Spectrum, grid_of

__all__ = ["fitted_regularisation", "leaks_of"]

Floats = NDArray[np.float64]

_LEAST_W, _MOST_W = 0.05, 1.0
_INNER, _AROUND = 0.05, (0.12, 0.25)  # of the cutoff
_LEAK = 4.0  # times the power around
_USED = 1e-3  # of the largest D, below which a frequency says nothing


def leaks_of(bands: Bands, arrangement: Arrangement) -> tuple[float, ...]:
    """How far the middle of each order's band must be attenuated to be no brighter than what is around it.

    Haze, and frames of unequal light, leave order 0 in the other bands; demodulated it is the illumination pattern over the image.

    Returns
    -------
    tuple of float
        One for each order, 0 to 0.98; 0 where nothing stands out.
    """
    fy, fx = bands.frequencies
    radius = np.sqrt(fy**2 + fx**2) / bands.detection.cutoff
    middle, around = radius < _INNER, (radius > _AROUND[0]) & (radius < _AROUND[1])
    found = []
    for b in range(arrangement.orders):
        power = np.abs(bands.order(arrangement, b)) ** 2
        ratio = float(np.mean(power[middle])) / max(float(np.mean(power[around])), 1e-30)
        found.append(min(1 - 1 / ratio, 0.98) if ratio > _LEAK else 0.0)
    return tuple(found)


def fitted_regularisation(
    frames: NDArray[Any],
    spectrum: Spectrum,
    noise: float,
    kind: Literal["wiener", "true-wiener"] = "wiener",
    *,
    workers: int = 1,
) -> Regularisation:
    """The regularisation of smallest expected error.

    Parameters
    ----------
    frames : ndarray, shape (frames, Y, X), counts
    spectrum : Spectrum
        Its own regularisation does not count.
    noise : float
        Standard deviation of the noise of a frame.
    kind : {"wiener", "true-wiener"}
    workers : int

    Returns
    -------
    Regularisation
    """
    white = replace(spectrum, regularisation=Regularisation("flat-noise"), apodisation=0.0)
    image = Reconstruction(frames.shape[1:], white, workers=workers).apply(
        np.asarray(frames, np.float32) - np.mean(frames)
    )
    window = taper(image.shape)
    power = np.abs(fft.rfft2(image * window, workers=workers)) ** 2 / float(np.sum(window**2, dtype=np.float64))
    fy, fx = grid_of(image.shape)
    signal, floor = spectrum.powers(fy, fx)
    expected = noise**2 * white.noise_power(fy, fx)
    used = signal > _USED * float(signal.max())
    radius = np.sqrt(fy**2 + fx**2)
    ratio = np.zeros_like(power)
    ratio[used] = power[used] / np.maximum(expected[used], 1e-30) - 1  # signal to noise
    weight = np.where(used, signal**2 / np.maximum(floor, 1e-12), 0)
    size = 128
    ring = np.minimum((radius * size).astype(int), size)
    total = np.bincount(ring[used], ratio[used], minlength=size + 1)
    count = np.bincount(ring[used], weight[used], minlength=size + 1)
    filled = count > 0
    rings = np.full(size + 1, 1e-9)
    rings[filled] = np.maximum(gaussian_filter1d(total, 1.0)[filled] / gaussian_filter1d(count, 1.0)[filled], 1e-9)
    rings = np.minimum.accumulate(np.maximum(rings, 1e-6))
    radii = (np.arange(size + 1) + 0.5) / size
    if kind == "true-wiener":
        return Regularisation(kind, radii=radii, ratios=np.clip(1 / rings, _LEAST_W**2, _MOST_W**2))
    apodised = spectrum.apodised(fy, fx)[used] ** 2
    specimen, d, e = np.interp(radius[used], radii, rings), signal[used], floor[used]
    trial = np.geomspace(_LEAST_W, _MOST_W, 40)
    errors = [float(np.sum(apodised * (w**4 * specimen + e) / (d + w**2) ** 2)) for w in trial]
    return Regularisation("wiener", w=float(trial[int(np.argmin(errors))]))
