"""Carriers to a hundredth of a frequency bin, with modulation, phase and their errors: `refine`; and the coherence of the bands.

Order 0 and a band that is shifted back show the same part of the specimen where both are passed by the optics. There each is multiplied by
the transfer function of the other, so that both are the same image up to one complex number and noise; wave vector, phase and modulation
are those that bring them together, frequencies weighted by their signal-to-noise ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Order
from superlens.reconstruct.sim.bands import Bands, Complex, Floats, taper

__all__ = ["Overlap", "Refined", "coherence_by_transfer", "overlap", "refine"]

_BLOCKS = 64  # along each side, to which the product of two bands is summed up
_EDGE = 0.03  # of the transfer function, below which a frequency is left out
_OUTER = 0.4  # of the cutoff
_HAZE = 0.1  # of the cutoff
_SAMPLE = 10_000  # frequencies, by which cutoff and damping are found
_MOST = 1e4  # signal-to-noise ratio of a frequency that counts no more


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Two bands where both are passed: the same image but for one complex number.

    Attributes
    ----------
    first, second : ndarray, shape (Y, X), complex
        Order 0 and the band, in space.
    window : ndarray, shape (Y, X)
        Weight of each pixel; 0 at the borders.
    first_noise, second_noise : float
        Variance of their noise in a pixel.
    pixels : float
        Independent pixels among them.
    """

    first: Complex
    second: Complex
    window: NDArray[np.float32]
    first_noise: float
    second_noise: float
    pixels: float

    @property
    def product(self) -> complex:
        """Mean of the second times the conjugate first."""
        return complex(np.vdot(self.first * self.window, self.second)) / self._total

    @property
    def powers(self) -> tuple[float, float]:
        """Mean power of both, that of the noise taken off."""
        first, second = (
            float(np.sum(self.window * np.abs(band) ** 2, dtype=np.float64)) / self._total - noise
            for band, noise in ((self.first, self.first_noise), (self.second, self.second_noise))
        )
        return max(first, 1e-30), second

    @property
    def _total(self) -> float:
        return float(np.sum(self.window, dtype=np.float64))

    @property
    def ratio(self) -> complex:
        """Modulation e^(i phase): the second over the first, corrected for the noise of the first."""
        return self.product / self.powers[0]

    @property
    def variance(self) -> float:
        """Of the complex ratio, by the noise of both."""
        signal, ratio = self.powers[0], self.ratio
        noise = self.second_noise + abs(ratio) ** 2 * self.first_noise
        return noise * (signal + self.first_noise) / signal**2 / self.pixels

    @property
    def excess(self) -> float:
        """Power of what is not common to both, over that of their noise; 1 where the noise is all there is."""
        first, second = self.powers
        rest = second + self.second_noise - abs(self.product) ** 2 / first
        noise = self.second_noise + abs(self.ratio) ** 2 * self.first_noise
        return rest / noise if noise > 0 else 1.0

    @property
    def coherence(self) -> float:
        """How far the two are one image, 0 to 1, their noise taken off."""
        first, second = self.powers
        return 0.0 if second <= 0 else float(abs(self.product) / math.sqrt(first * second))


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """One order, measured.

    Attributes
    ----------
    order : Order
    coherence : float
        Of the band with order 0 where they overlap.
    excess : float
        Power of what is not common to both bands, over that of the noise as it is beyond the cutoff.
    frequency_error : float
        Standard error of the wave vector, frequency bins.
    phase_error : float
        Radians.
    """

    order: Order
    coherence: float
    excess: float
    frequency_error: float
    phase_error: float


def refine(
    bands: Bands,
    arrangement: Arrangement,
    order: int,
    frequency: Sequence[float],
    *,
    significance: float = math.nan,
    detection: Detection | None = None,
    fixed: bool = False,
) -> Refined:
    """Measure an order whose wave vector is known to half a frequency bin.

    Parameters
    ----------
    bands : Bands
    arrangement : Arrangement
    order : int
    frequency : (float, float)
        Cycles per pixel.
    significance : float
        Of the search, to keep.
    detection : Detection, optional
        By default that of the bands.
    fixed : bool
        Leave the wave vector as it is.
    """
    detection = detection or bands.detection
    zero, band = bands.zero(arrangement), bands.order(arrangement, order)
    power = bands.radial(np.abs(zero) ** 2)
    noises = bands.noise * arrangement.variances[[0, 1 + order]] * np.array([1.0, 4.0])
    modulation, found = 0.3, (float(frequency[0]), float(frequency[1]))
    for _ in range(1 if fixed else 2):
        parts = overlap(bands, detection, zero, band, found, power, noises, modulation)
        if not fixed:
            found = _shifted(parts, bands.shape, found)
            parts = overlap(bands, detection, zero, band, found, power, noises, modulation)
        modulation = min(1.5, max(0.05, abs(parts.ratio)))
    far = overlap(bands, detection, zero, band, found, power, noises, modulation, outer=True)
    return _measured(parts, found, significance, far.excess)


def coherence_by_transfer(
    bands: Bands, arrangement: Arrangement, orders: Sequence[Order], detection: Detection
) -> Callable[[Detection], Floats]:
    """Coherence of each order's band with order 0, shape (orders,), as a function of the transfer function.

    Frequencies keep the weights that `detection` gives them, so that values can be compared.
    """
    zero = bands.zero(arrangement)
    power = bands.radial(np.abs(zero) ** 2)
    fy, fx = bands.frequencies
    prepared = []
    for b, order in enumerate(orders):
        noises = bands.noise * arrangement.variances[[0, 1 + b]] * np.array([1.0, 4.0])
        moved = _moved(bands.order(arrangement, b), bands, order.frequency)
        at, weight = _weights(bands, detection, order.frequency, power, noises, order.modulation)
        some = slice(None, None, max(1, len(weight) // _SAMPLE))
        at, weight = (at[0][some], at[1][some]), weight[some]
        y, x = fy[at[0], 0], fx[0, at[1]]
        beside = y + order.frequency[0], x + order.frequency[1]
        radii = np.hypot(y, x), np.hypot(*beside)
        # The mean over a pixel, which no cutoff changes, goes with the weights.
        first, second = (weight * (np.sinc(v) * np.sinc(u) if detection.pixel else 1) for v, u in ((y, x), beside))
        powers = np.abs(zero[at]) ** 2 - noises[0], np.abs(moved[at]) ** 2 - noises[1]
        product = np.conj(zero[at]) * moved[at] * (first * second)
        prepared.append((*radii, product, powers[0] * second**2, powers[1] * first**2))

    def coherence(transfer: Detection) -> Floats:
        found = []
        for near, far, product, first, second in prepared:
            here, there = transfer.radial(near), transfer.radial(far)
            powers = float(first @ there**2), float(second @ here**2)
            cross = abs(complex(product @ (here * there)))
            found.append(cross / math.sqrt(powers[0] * powers[1]) if min(powers) > 0 else 0.0)
        return np.array(found)

    return coherence


def overlap(
    bands: Bands,
    detection: Detection,
    zero: Complex,
    band: Complex,
    frequency: Sequence[float],
    power: Floats,
    noises: Floats,
    modulation: float,
    *,
    outer: bool = False,
) -> Overlap:
    """Bring order 0 and a band together.

    Parameters
    ----------
    bands : Bands
    detection : Detection
    zero, band : ndarray, shape (Y, X), complex
        Their spectra.
    frequency : (float, float)
        Of the band, cycles per pixel.
    power : ndarray, shape (Y, X)
        Of order 0, mean over rings.
    noises : ndarray, shape (2,)
        Power of the noise of order 0 and of the band.
    modulation : float
        About; for the weights.
    outer : bool
        Only high frequencies of both, all with one weight: where noise shows most.
    """
    moved = _moved(band, bands, frequency)
    at, weight = _weights(bands, detection, frequency, power, noises, modulation, outer=outer)
    fy, fx = bands.frequencies
    y, x = fy[at[0], 0], fx[0, at[1]]
    here, there = detection.on(y, x), detection.on(y + frequency[0], x + frequency[1])
    images, variances = [], []
    for spectrum, noise, gain in ((zero, noises[0], there * weight), (moved, noises[1], here * weight)):
        passed = np.zeros(bands.sides, np.complex64)
        passed[at] = spectrum[at] * gain
        images.append(fft.ifft2(passed, overwrite_x=True))
        variances.append(float(noise * np.sum(gain**2)) / passed.size**2)
    window = taper(bands.sides) ** 2
    # As many as there are frequencies of even power, in the part of the field that counts.
    gains = (there * here * weight**2) ** 2
    share = float(np.sum(window) ** 2 / np.sum(window**2)) / window.size
    pixels = float(np.sum(gains)) ** 2 / max(float(np.sum(gains**2)), 1e-300) * share
    return Overlap(images[0], images[1], window, variances[0], variances[1], max(pixels, 1.0))


def _weights(
    bands: Bands,
    detection: Detection,
    frequency: Sequence[float],
    power: Floats,
    noises: Floats,
    modulation: float,
    *,
    outer: bool = False,
) -> tuple[tuple[NDArray[np.intp], ...], Floats]:
    """The frequencies of order 0 where both bands are passed, and the weight of each."""
    fy, fx = bands.frequencies
    ky, kx = frequency
    edge_y, edge_x = (side / (2 * n) for side, n in zip(bands.sides, bands.shape, strict=True))
    inside = (np.abs(fy + ky) < edge_y) & (np.abs(fx + kx) < edge_x)
    near, far = fy**2 + fx**2, (fy + ky) ** 2 + (fx + kx) ** 2
    inside &= (near < detection.cutoff**2) & (far < detection.cutoff**2)
    if outer:
        inside &= (near > (_OUTER * detection.cutoff) ** 2) & (far > (_OUTER * detection.cutoff) ** 2)
    rows, columns = np.nonzero(inside)
    y, x = fy[rows, 0], fx[0, columns]
    here, there = detection.on(y, x), detection.on(y + ky, x + kx)
    kept = (here > _EDGE) & (there > _EDGE)
    rows, columns = rows[kept], columns[kept]
    y, x, here, there = (one[kept] for one in (y, x, here, there))
    if outer:
        return (rows, columns), np.ones(len(y))
    signal = np.maximum(power[rows, columns] - noises[0], 1e-3 * noises[0]) / here**2
    signal = np.minimum(signal, _MOST * noises[0])
    # Of the phase of a product of bands; its inverse is the weight of most likely values.
    variance = noises[0] * modulation**2 * signal * there**2 + noises[1] * signal * here**2 + noises[0] * noises[1]
    # Haze is in the low frequencies of order 0 alone, and what order 0 leaves in a band is there in the band.
    width = -1 / (2 * (_HAZE * detection.cutoff) ** 2)
    clear = (1 - np.exp(width * (y**2 + x**2))) * (1 - np.exp(width * ((y + ky) ** 2 + (x + kx) ** 2)))
    return (rows, columns), np.sqrt(signal / variance) * clear


def _moved(band: Complex, bands: Bands, frequency: Sequence[float]) -> Complex:
    """The spectrum of a band, shifted back by its wave vector."""
    y, x = (
        np.exp(-2j * np.pi * k * np.arange(side) * (n / side))
        for k, n, side in zip(frequency, bands.shape, bands.sides, strict=True)
    )
    image = fft.ifft2(band)
    image *= y.astype(np.complex64)[:, None]
    image *= x.astype(np.complex64)[None, :]
    return np.asarray(fft.fft2(image, overwrite_x=True))


def _shifted(parts: Overlap, shape: tuple[int, int], frequency: Sequence[float]) -> tuple[float, float]:
    """The wave vector at which the bands agree best, near the given one."""
    blocks, centres = _summed(np.conj(parts.first) * parts.second * parts.window)
    shift = np.zeros(2)
    for reach in (0.6, 0.2, 0.06, 0.02, 0.006):  # frequency bins
        offsets = np.linspace(-reach, reach, 7)
        waves = [np.exp(-2j * np.pi * (shift[axis] + offsets)[:, None] * centres[axis]) for axis in (0, 1)]
        height = np.abs(waves[0] @ blocks @ waves[1].T)
        best = np.unravel_index(np.argmax(height), height.shape)
        shift += [offsets[best[0]], offsets[best[1]]]
    return float(frequency[0] + shift[0] / shape[0]), float(frequency[1] + shift[1] / shape[1])


def _summed(product: Complex) -> tuple[Complex, list[Floats]]:
    """The product in blocks, and the centres of the blocks as parts of a side."""
    edges = [np.unique(np.linspace(0, n, _BLOCKS + 1).astype(int)) for n in product.shape]
    blocks = np.add.reduceat(np.add.reduceat(product, edges[0][:-1], axis=0), edges[1][:-1], axis=1)
    places = [(e[:-1] + e[1:] - 1) / 2 / n for e, n in zip(edges, product.shape, strict=True)]
    return blocks.astype(np.complex128), places


def _measured(parts: Overlap, frequency: tuple[float, float], significance: float, excess: float) -> Refined:
    """Modulation and phase with their errors."""
    ratio, variance = parts.ratio, parts.variance
    modulation, error = abs(ratio), math.sqrt(variance / 2)
    # Noise adds to a modulus, by phase and wave vector that were fitted.
    modulation = math.sqrt(max(modulation**2 - 1.5 * variance, modulation**2 / 4))
    relative = error / max(modulation, 1e-6)
    profile = parts.window.sum(axis=1, dtype=np.float64)
    y = np.arange(len(profile)) / len(profile)
    spread = math.sqrt(float(np.average((y - y.mean()) ** 2, weights=profile)))
    order = Order(frequency, modulation, math.atan2(ratio.imag, ratio.real) % (2 * math.pi), error, significance)
    return Refined(order, parts.coherence, excess, relative / (2 * math.pi * spread), relative)
