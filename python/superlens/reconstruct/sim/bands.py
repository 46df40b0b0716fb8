"""Raw frames taken apart: `Bands`, the spectra of the frames, from which those of any orders follow by a small matrix.

The frames are tapered towards their borders and their brightness is made equal by order 0. Everything about the noise is read beyond the
cutoff of the objective, where there is nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from superlens.errors import SuperlensError
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement

__all__ = ["Bands", "brightness_of", "taper"]

Floats = NDArray[np.float64]
Complex = NDArray[np.complex64]

_TAPER = 0.125  # of a side, at each border
_EDGE = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Spectra of tapered frames.

    Attributes
    ----------
    spectra : ndarray, shape (frames, Y, X), complex
        Of the frames, divided by their brightness, frequency 0 first.
    brightness : ndarray, shape (frames,)
        Mean 1.
    detection : Detection
        What is assumed of the optics.
    noise : float
        Power of the noise of a frame in each frequency.
    shape : (int, int)
        Sides of a frame. The spectra are cut to what the objective passes, and some noise beyond.
    """

    spectra: Complex
    brightness: Floats
    detection: Detection
    noise: float
    shape: tuple[int, int]

    @classmethod
    def of(
        cls, frames: NDArray[Any], detection: Detection, brightness: Floats | None = None, workers: int = 1
    ) -> Bands:
        """Transform frames of shape (frames, Y, X)."""
        frames = np.asarray(frames, np.float32)
        shape = (int(frames.shape[1]), int(frames.shape[2]))
        window = taper(shape, _EDGE)
        level = np.float32(frames.mean(dtype=np.float64))
        sides = [min(n, fft.next_fast_len(math.ceil(2.4 * detection.cutoff * n) + 8)) for n in shape]
        spectra = np.empty((len(frames), *sides), np.complex64)
        powers = []
        for frame, target in zip(frames, spectra, strict=True):
            half = fft.rfft2((frame - level) * window, workers=workers)
            powers.append(_beyond(half, shape, detection))
            target[:] = _cut(half, shape, sides)
        if brightness is None:
            brightness = brightness_of(spectra, shape, detection)
        spectra /= brightness.astype(np.float32)[:, None, None]
        power = float(np.mean(powers) / np.mean(window**2, dtype=np.float64))
        return cls(spectra, brightness, detection, max(power, 1e-30), shape)

    @property
    def sides(self) -> tuple[int, int]:
        """Of the spectra."""
        return int(self.spectra.shape[1]), int(self.spectra.shape[2])

    @property
    def frequencies(self) -> tuple[Floats, Floats]:
        """As a column and a row, cycles per pixel."""
        return _frequencies(self.sides, self.shape)

    def mixed(self, weights: Floats) -> Complex:
        """The spectrum of a weighted sum of frames; complex weights give a complex band."""
        return np.tensordot(weights.astype(np.complex64), self.spectra, 1)

    def zero(self, arrangement: Arrangement) -> Complex:
        """Order 0."""
        return self.mixed(arrangement.separation[0])

    def order(self, arrangement: Arrangement, order: int) -> Complex:
        """The complex band of an order: modulation e^(i phase) H(f) S(f - k)."""
        separation = arrangement.separation
        return self.mixed(separation[1 + 2 * order] + 1j * separation[2 + 2 * order])

    def radial(self, power: NDArray[Any]) -> Floats:
        """The mean over rings of a power spectrum, spread over all frequencies again."""
        fy, fx = self.frequencies
        size = max(self.sides)
        per_bin = max(self.shape)
        ring = np.minimum(np.sqrt(fy**2 + fx**2) * per_bin, size).astype(np.int32)
        count = np.bincount(ring.ravel(), minlength=size + 1)
        total = np.bincount(ring.ravel(), power.ravel(), minlength=size + 1)
        mean = gaussian_filter1d(total, 1.0) / np.maximum(gaussian_filter1d(count.astype(float), 1.0), 1e-9)
        return np.asarray(mean[ring], np.float64)


def taper(shape: tuple[int, ...], part: float = _TAPER) -> NDArray[np.float32]:
    """A window that falls to 0 at the borders, over a part of each side."""
    sides = []
    for n in shape:
        width = max(4, round(part * n))
        ramp = np.sin(np.pi / 2 * (np.arange(width) + 0.5) / width) ** 2
        sides.append(np.concatenate([ramp, np.ones(n - 2 * width), ramp[::-1]]))
    return np.outer(*sides).astype(np.float32)


def brightness_of(
    spectra: Complex, shape: tuple[int, int], detection: Detection, modulated: Complex | float = 0.0
) -> Floats:
    """The light of each frame, from the low frequencies of order 0, which hold no offset.

    Parameters
    ----------
    spectra : ndarray, shape (frames, Y, X)
    shape : (int, int)
        Sides of a frame.
    detection : Detection
    modulated : ndarray, shape (frames, Y, X), optional
        What is known of the other orders in them.

    Returns
    -------
    ndarray, shape (frames,)
        Mean 1.
    """
    fy, fx = _frequencies((spectra.shape[1], spectra.shape[2]), shape)
    low = (np.sqrt(fy**2 + fx**2) < 0.25 * detection.cutoff) & ((fy * shape[0]) ** 2 + (fx * shape[1]) ** 2 > 6)
    each = spectra[:, low]
    mean = each.mean(axis=0)
    expected = mean + (modulated[:, low] if isinstance(modulated, np.ndarray) else 0)
    expected = np.broadcast_to(expected, each.shape)
    power = np.sum(np.abs(expected) ** 2, axis=1, dtype=np.float64)
    light = np.sum(np.real(each * np.conj(expected)), axis=1, dtype=np.float64) / np.maximum(power, 1e-30)
    if not np.all(light > 0):
        return np.ones(len(spectra))
    return np.asarray(light / light.mean())


def _frequencies(sides: Sequence[int], shape: Sequence[int]) -> tuple[Floats, Floats]:
    y, x = (np.asarray(np.fft.fftfreq(side) * (side / n), np.float64) for side, n in zip(sides, shape, strict=True))
    return y[:, None], x[None, :]


def _cut(half: Complex, shape: tuple[int, int], sides: Sequence[int]) -> Complex:
    """The whole spectrum of a real frame up to some frequency, from half of it."""
    rows = np.fft.fftfreq(sides[0], 1 / sides[0]).astype(int)
    columns = np.fft.fftfreq(sides[1], 1 / sides[1]).astype(int)
    plus = columns >= 0
    made = np.empty((sides[0], sides[1]), np.complex64)
    made[:, plus] = half[np.ix_(rows % shape[0], columns[plus])]
    made[:, ~plus] = np.conj(half[np.ix_(-rows % shape[0], -columns[~plus])])
    return made


def _beyond(half: Complex, shape: tuple[int, int], detection: Detection) -> float:
    """Mean power beyond the cutoff."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    beyond = fy**2 + fx**2 > (1.08 * detection.cutoff) ** 2
    if np.count_nonzero(beyond) < 50:
        raise SuperlensError(
            f"the cutoff of the objective is {detection.cutoff:.3g} cycles per pixel, beyond what the pixels sample; check `pixel_nm`, `na` and "
            "`wavelength_nm`."
        )
    return float(np.mean(np.abs(half[beyond]) ** 2))
