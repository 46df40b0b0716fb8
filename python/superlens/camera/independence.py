"""Is the noise of neighbouring pixels independent? Read from the image itself.

In: an image or a stack. Out: correlations of neighbours, a small covariance to draw such noise from, a yes or no, and a sentence. Training on
re-corrupted pairs and blind-spot methods rest on independence; scalers, demosaicing, drift correction and some detectors break it silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from superlens.errors import SuperlensError

__all__ = ["NoiseCheck", "check_noise"]

Array = NDArray[np.float64]

_BLOCK = 32  # pixels: long enough to tell frequencies apart, short enough that some blocks hold little structure
_EDGE = 0.41  # cycles per pixel: beyond it a sampled microscope image holds noise alone
_SMALL = 16  # pixels, of blocks that are compared by how much structure they hold
_MOST_BLOCKS = 4096
_THRESHOLD = 0.15
_MILD = 0.3  # noise of which neighbours share less can be drawn and allowed for; JPEG, scaling and filters make it more
_STEEPEST = 1.8  # power at 0.38-0.46 cycles per pixel over power in the corner: 1 for white noise, up to 1.6 with sharp structure
_UNEXPLAINED = 1.35  # how far that may be from what correlations along x and y make of it; sharp structure reaches 1.2
_GROWS = 1.8  # power at 0.38-0.46 over that in the corner: of the fifth of the blocks with the most structure over that of the fifth with the least
_FILTERED = 2.5  # what that power is over the corner's, in the calmest tenth, only where the noise itself lacks high frequencies: scaling makes it 3


@dataclass(frozen=True, slots=True, eq=False)
class NoiseCheck:
    """What the noise of neighbouring pixels has in common.

    Parameters
    ----------
    neighbour_correlation : tuple of float
        Correlation with the next pixel along x and along y, -1 to 1.
    covariance : ndarray, shape (5, 5)
        Correlation at offsets of -2 .. 2 pixels (rows y, columns x), 1 in the centre.
    independent : bool
        True when neighbours can be treated as independent: correlations below 0.15 (0.27 in an image of 64 x 64 pixels, where
        chance reaches that far) and a flat spectrum at high frequencies.
    note : str
        The finding in a sentence.
    coarse : bool
        Whether structure reaches the highest frequencies, so that neighbours are taken to be independent and the noise may look larger than it is.
    """

    neighbour_correlation: tuple[float, float]
    covariance: Array = field(repr=False)
    independent: bool
    note: str
    coarse: bool = False

    @property
    def white(self) -> bool:
        """Whether neighbours are independent and the image is fine enough to tell, so that nothing else passes for noise."""
        return self.independent and not self.coarse

    @property
    def mild(self) -> bool:
        """Whether neighbours share so little noise that it can be taken into account: less than 0.3 of it."""
        return not self.independent and max(abs(value) for value in self.neighbour_correlation) < _MILD

    @property
    def shared(self) -> Array | None:
        """The covariance where neighbours share noise; None where noise is white as far as one can tell."""
        return None if self.independent else self.covariance


def check_noise(data: ArrayLike) -> NoiseCheck:
    """Measure the correlation of the noise of neighbouring pixels in one image or a stack.

    Parameters
    ----------
    data : array_like, shape (..., Y, X)
        Raw counts, both sides at least 16 pixels.

    Returns
    -------
    NoiseCheck
        White noise gives correlations within about 0.05 of 0 in an image of 256 x 256 pixels, 0.15 in one of 64 x 64.

    Raises
    ------
    SuperlensError
        When the image is too small or not finite.

    Notes
    -----
    Optics pass no detail above their cut-off, so there the spectrum is noise alone. Blocks with the least structure are transformed. Power at high
    frequencies of y, as a function of the frequency along x, gives the correlation along x, and the other way round; the covariance is their product.
    Interpolation and Gaussian filters leave such noise. Where that product does not explain the corner of the spectrum, as after other filters or with
    rounding on top, the whole spectrum of the flattest blocks is taken for noise: the correlation is approximate, and too high where even those hold
    structure.

    An image that is sampled coarsely holds structure up to its highest frequencies, where it looks like shared noise. But shared noise has one
    spectrum in the whole image, while that of structure grows with structure. Where it does, neighbours are taken to be independent. An
    image that is dense everywhere has no calm places to compare with, and is still said to share noise.

    Examples
    --------
    >>> check_noise(np.random.default_rng(0).standard_normal((256, 256))).independent
    True
    """
    power = _block_spectra(_planes(data))
    high = np.abs(fft.fftfreq(power.shape[-1])) >= _EDGE
    floor = power[:, high[:, None] | high[None, :]].mean(axis=1)
    valid = floor > 1e-12 * max(float(power.mean()), 1e-300)
    if not valid.any():
        return NoiseCheck((0.0, 0.0), _white(), True, "The image holds no noise whose correlation could be measured.")
    power = power[valid] / floor[valid, None, None]
    # Chosen by frequencies that the estimates below do not use, so that the choice does not bias them.
    calm = _calmest(power, _structure_band(power.shape[-1]), len(power) // 4)
    spectrum = power[calm].mean(axis=0)
    steepness = _steepness(spectrum, high)
    explained = _is_product(spectrum, high, len(calm))
    kernel = _separable_covariance(spectrum, high) if explained else _full_covariance(power)
    x, y = float(kernel[2, 3]), float(kernel[3, 2])
    # The error of a correlation from few blocks, measured on white noise.
    limit = max(_THRESHOLD, 0.8 / np.sqrt(len(calm)))
    worked = steepness >= _STEEPEST or not explained
    independent = max(abs(x), abs(y)) < limit and not worked
    if not independent and _structure_reaches_the_corners(_planes(data)):
        return NoiseCheck((0.0, 0.0), _white(), True, _COARSE, coarse=True)
    return NoiseCheck((x, y), kernel, bool(independent), _note(x, y, worked, independent))


_COARSE = "The image is sampled so coarsely that its structure reaches the highest frequencies; the noise of neighbouring pixels is taken to be independent."


def _white() -> Array:
    kernel = np.zeros((5, 5))
    kernel[2, 2] = 1.0
    return kernel


def _structure_reaches_the_corners(planes: Array) -> bool:
    """Whether what looks like shared noise grows with structure, block by block, and is not there without it."""
    power = _block_spectra(planes, _SMALL)
    fifth = len(power) // 5
    if fifth < 8:
        return False
    by_structure = np.argsort(power[:, _structure_band(_SMALL)].mean(axis=1))
    high = np.abs(fft.fftfreq(_SMALL)) >= _EDGE
    parts = by_structure[: max(8, fifth // 2)], by_structure[:fifth], by_structure[-fifth:]
    calmest, calm, busy = (_steepness(power[part].mean(axis=0), high) for part in parts)
    return bool(calmest < _FILTERED and busy > _GROWS * calm)


def _planes(data: ArrayLike) -> Array:
    values = np.asarray(data)
    if values.ndim < 2 or min(values.shape[-2:]) < 16:
        raise SuperlensError(
            f"data has the shape {values.shape}; expected an image of at least 16 x 16 pixels. Give a larger crop."
        )
    planes = values.reshape(-1, *values.shape[-2:]).astype(np.float64)
    if not np.isfinite(planes).all():
        raise SuperlensError("data holds NaN or infinite values; expected finite counts. Crop to the valid part.")
    return np.asarray(planes)


def _taper(side: int) -> Array:
    """Blackman-Harris window: its side lobes, 92 dB down, keep bright low frequencies out of the high ones."""
    t = 2.0 * np.pi * (np.arange(side) + 0.5) / side
    return np.asarray(0.35875 - 0.48829 * np.cos(t) + 0.14128 * np.cos(2 * t) - 0.01168 * np.cos(3 * t))


def _block_spectra(planes: Array, side: int = _BLOCK) -> Array:
    """Power spectra of half-overlapping blocks."""
    side = min(side, *planes.shape[-2:])
    starts = [np.linspace(0, n - side, max(2 * (n // side) - 1, 1)).astype(int) for n in planes.shape[-2:]]
    corners = [(p, y, x) for p in range(len(planes)) for y in starts[0] for x in starts[1]]
    if len(corners) > _MOST_BLOCKS:
        corners = [corners[i] for i in np.linspace(0, len(corners) - 1, _MOST_BLOCKS).astype(int)]
    blocks = np.stack([planes[p, y : y + side, x : x + side] for p, y, x in corners])
    window = _taper(side)
    blocks = (blocks - blocks.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window[None, :]
    return np.asarray(np.abs(fft.fft2(blocks)) ** 2)


def _structure_band(side: int) -> NDArray[np.bool_]:
    """Frequencies at which structure is seen most clearly beside noise: 0.1-0.25 cycles per pixel."""
    radius = _radius(side)
    return np.asarray((radius > 0.1) & (radius < 0.25))


def _calmest(power: Array, band: NDArray[np.bool_], number: int) -> NDArray[np.intp]:
    """The blocks with the least power in a band; at least 16 of them where there are as many."""
    return np.argsort(power[:, band].mean(axis=1))[: max(number, min(16, len(power)))]


def _radius(side: int) -> Array:
    frequency = fft.fftfreq(side)
    return np.asarray(np.hypot(frequency[:, None], frequency[None, :]))


def _steepness(spectrum: Array, high: NDArray[np.bool_]) -> float:
    radius = _radius(len(spectrum))
    corner = spectrum[high[:, None] & high[None, :]].mean()
    return float(spectrum[(radius >= 0.38) & (radius < 0.46)].mean() / max(corner, 1e-300))


def _is_product(spectrum: Array, high: NDArray[np.bool_], blocks: int) -> bool:
    """Whether the corner is as steep as a product of one factor along x and one along y would be."""
    product = spectrum[:, high].mean(axis=1)[:, None] * spectrum[high, :].mean(axis=0)[None, :]
    differs = _steepness(spectrum, high) / _steepness(product, high)
    allowed = _UNEXPLAINED + 1.4 / np.sqrt(blocks)  # three standard errors, measured on white noise
    return bool(1 / allowed < differs < allowed)


def _separable_covariance(spectrum: Array, high: NDArray[np.bool_]) -> Array:
    along_x = _lags(spectrum[high, :].mean(axis=0))
    along_y = _lags(spectrum[:, high].mean(axis=1))
    return np.asarray(along_y[:, None] * along_x[None, :])


def _lags(power: Array) -> Array:
    """Correlation at -2 .. 2 from a power spectrum of tapered data; the taper's own autocorrelation is divided out."""
    taper = _taper(len(power))
    own = np.correlate(taper, taper, "full")[len(power) - 1 :]
    lags = fft.ifft(power).real[:3] / own[:3]
    return np.asarray(np.concatenate([lags[:0:-1], lags]) / lags[0])


def _full_covariance(power: Array) -> Array:
    """Correlation from the whole spectrum of the flattest blocks."""
    side = power.shape[-1]
    radius, band = _radius(side), _structure_band(side)
    frequency = fft.fftfreq(side)
    falling = np.outer(frequency, frequency) < 0
    # Blocks are chosen by one pair of quadrants and read in the other, again so that the choice does not bias the reading.
    chosen = [power[_calmest(power, band & half, len(power) // 4)].mean(axis=0) for half in (~falling, falling)]
    spectrum = np.where(falling, chosen[0], chosen[1])
    # Below 0.1 cycles per pixel even flat blocks hold structure: continue the noise level found just above.
    level = spectrum[(radius >= 0.09) & (radius < 0.16)].mean()
    covariance = fft.ifft2(np.where(radius < 0.1, level, spectrum)).real
    taper = _taper(side)
    own = np.correlate(taper, taper, "full")[side - 1 :]
    index = np.arange(-2, 3)
    lags = covariance[index[:, None], index[None, :]] / (own[np.abs(index)][:, None] * own[np.abs(index)][None, :])
    return np.asarray(lags / lags[2, 2])


def _note(x: float, y: float, worked: bool, independent: bool) -> str:
    found = f"{x:.2f} along x and {y:.2f} along y"
    if not independent and max(abs(x), abs(y)) < _MILD:
        return (
            f"The noise of neighbouring pixels is correlated ({found}), which is little enough to be taken into account. If there is a file from before "
            "scaling, filtering or compression, use that."
        )
    if worked:
        return (
            f"The noise of neighbouring pixels is correlated ({found}), and its high frequencies are missing: the image was scaled, filtered, compressed or "
            "re-sampled, or is sampled too coarsely to decide. Use raw camera data; if the image was scaled up by 2, take every second pixel."
        )
    if not independent:
        return f"The noise of neighbouring pixels is correlated ({found}): part of the noise stays in the result. Use raw camera data."
    return f"The noise of neighbouring pixels is independent (correlation {found})."
