"""How wide the blur of an image is beside the PSF that it is said to have, read from its power spectrum.

A specimen's own spectrum falls about as a power of the frequency; what the optics take away falls faster and faster and ends at a
cutoff. Of the two only the second changes when the PSF is scaled, so that an image with light enough tells how many times wider than
stated its PSF is. In: counts, the PSF, the correlation of the noise. Out: a factor, its range, and a sentence where the two do not belong together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superlens.metrics.resolution import power_spectrum_radial
from superlens.optics import PSF

__all__ = ["BlurWidth", "blur_width"]

Float64 = NDArray[np.float64]

_FACTORS = np.geomspace(0.5, 2.25, 47)
_EXPONENTS = np.linspace(0, 6, 13)  # points 0, lines 1, edges 3, soft blobs more
_LOWEST = 0.2  # of the cutoff: below it the spectrum is the specimen's, and out-of-focus light's
_RINGS = 64
_MODES = 60  # a ring counts as no more independent coefficients than these: power laws are good to an eighth
_RANGE = 12.0  # rise of the deviance at the ends of the range
_ADEQUATE = 1.2  # deviance for each ring; of simulated specimens only printed text, which is periodic, has more
_EXPLAINED = 1.7  # the same of the PSF as it is: above it the PSF is refuted; that happened once in 220 simulated images with their own PSF
_TOLERANCE = 1.12  # factor that is not worth a word


@dataclass(frozen=True, slots=True)
class BlurWidth:
    """The width of the blur in an image over that of a PSF.

    Attributes
    ----------
    factor : float
        The most likely value, 0.5 to 2.25; 1 where PSF and image agree.
    low, high : float
        Its range; wide where the light does not suffice.
    adequate : bool
        Whether the model describes the spectrum at all; otherwise the other numbers mean nothing.
    one_is_adequate : bool
        Whether it does so, less strictly, with the PSF as it is.
    fwhm_nm : float
        Width of the PSF it was measured against.
    """

    factor: float
    low: float
    high: float
    adequate: bool
    one_is_adequate: bool
    fwhm_nm: float

    @property
    def verdict(self) -> str:
        """``"wider"`` or ``"narrower"`` than the PSF, ``"fits"``, or ``"open"`` where the image cannot tell."""
        if not self.adequate:
            return "open"
        # Soft specimens are no power laws: only what the PSF as it is cannot explain at all counts.
        if not self.one_is_adequate and self.low > _TOLERANCE:
            return "wider"
        if not self.one_is_adequate and self.high < 1 / _TOLERANCE:
            return "narrower"
        return "fits" if 1 / _TOLERANCE <= self.high < _TOLERANCE**3 * self.low and self.low <= _TOLERANCE else "open"

    @property
    def note(self) -> str:
        """What a user should know, in a sentence; empty while there is nothing to say."""
        found = (
            f"the image looks as if its PSF were {self.factor * self.fwhm_nm:.0f} nm wide, not {self.fwhm_nm:.0f} nm"
        )
        match self.verdict:
            case "wider":
                return (
                    f"{found}: it holds less detail than these optics pass, and is sharpened too little. Check NA, wavelength and pixel size; "
                    "aberrations and a specimen out of focus or without fine detail look the same"
                )
            case "narrower":
                return (
                    f"{found}: it holds more detail than these optics pass, and is sharpened too much. Check NA, wavelength and pixel size; "
                    "an image that was deconvolved or reconstructed before looks the same"
                )
        return ""


def blur_width(
    counts: NDArray[np.floating], psf: PSF, pixel_nm: float, *, covariance: NDArray[np.floating] | None = None
) -> BlurWidth | None:
    """Measure by what factor the PSF would have to be wider to explain how the spectrum of an image falls.

    Parameters
    ----------
    counts : ndarray, shape (Y, X), counts
        One plane, at least 64 pixels a side.
    psf : PSF
        In the plane, any sampling.
    pixel_nm : float
        Of the image.
    covariance : ndarray, shape (odd, odd), optional
        Correlation of the noise between neighbouring pixels, as `superlens.camera.check_noise` returns it; white without.

    Returns
    -------
    BlurWidth or None
        None where the image is too small, even, or sampled too coarsely for its PSF to show.

    Notes
    -----
    The power of ring *f* is taken for ``A f**-b |OTF(s f)|**2 |pixel(f)|**2 + N noise(f)``. For every factor *s* and exponent *b* on a
    grid, A and N come from the likelihood of a periodogram (Whittle) by multiplicative updates; *b* is then left to the data.

    References
    ----------
    Whittle, Ark. Mat. 2 (1953). Févotte and Idier, Neural Comput. 23 (2011): multiplicative updates for the Itakura-Saito divergence.
    """
    if min(counts.shape) < 64 or np.ptp(counts) == 0:
        return None
    curve = psf.radial_transfer()
    frequency, power, modes = _rings(np.asarray(counts, np.float64), pixel_nm, _LOWEST * _cutoff(*curve))
    if len(frequency) < 12:
        return None
    noise = _noise_shape(covariance, frequency * pixel_nm / 1000)
    pixel = np.sinc(frequency * pixel_nm / 1000) ** 2
    blur = np.interp(_FACTORS[:, None] * frequency, *curve, right=0.0) ** 2 * pixel
    laws = (frequency / frequency[0]) ** -_EXPONENTS[:, None]
    deviance = _deviance(power, (blur[:, None] * laws).reshape(-1, len(frequency)), noise, modes)
    profile = deviance.reshape(len(_FACTORS), -1).min(axis=1)
    within = _FACTORS[profile < profile.min() + _RANGE]
    return BlurWidth(
        factor=float(_FACTORS[np.argmin(profile)]),
        low=float(within[0]),
        high=float(within[-1]),
        adequate=bool(profile.min() < _ADEQUATE * len(frequency)),
        one_is_adequate=bool(np.interp(0, np.log(_FACTORS), profile) < _EXPLAINED * len(frequency)),
        fwhm_nm=psf.fwhm_nm,
    )


def _cutoff(frequency: Float64, transfer: Float64) -> float:
    """Where less than a hundredth passes; infinite for a PSF that is sampled too coarsely to tell."""
    return float(frequency[int(np.argmax(transfer < 0.01))]) if (transfer < 0.01).any() else np.inf


def _rings(counts: Float64, pixel_nm: float, lowest: float) -> tuple[Float64, Float64, Float64]:
    """Frequency, power and number of independent coefficients of at most `_RINGS` rings up to the Nyquist frequency."""
    frequency, power = power_spectrum_radial(counts, pixel_nm)
    coefficients = np.pi * np.arange(1, len(frequency) + 1) / 1.5  # of a half plane, fewer by the window
    join = max(len(frequency) // _RINGS, 1)
    starts = np.arange(0, len(frequency), join)
    total = np.add.reduceat(coefficients, starts)
    frequency = np.add.reduceat(frequency * coefficients, starts) / total
    power = np.add.reduceat(power * coefficients, starts) / total
    used = frequency > lowest
    return frequency[used], power[used], np.minimum(total, _MODES)[used]


def _noise_shape(covariance: NDArray[np.floating] | None, cycles_per_pixel: Float64) -> Float64:
    """Power of noise of unit variance at these frequencies, mean of the directions along an axis and along a diagonal."""
    if covariance is None:
        return np.ones_like(cycles_per_pixel)
    half = len(covariance) // 2
    lag = np.arange(-half, half + 1)
    turns = np.linspace(0, np.pi / 2, 7)
    y, x = cycles_per_pixel[:, None] * np.sin(turns), cycles_per_pixel[:, None] * np.cos(turns)
    waves = [np.exp(2j * np.pi * k[..., None] * lag) for k in (y, x)]
    power = np.einsum("fti,ij,ftj->f", waves[0], covariance, waves[1]).real / len(turns)
    return np.asarray(np.maximum(power, 1e-3 * power.max()))


def _deviance(power: Float64, signals: Float64, noise: Float64, modes: Float64) -> Float64:
    """Whittle deviance of each signal spectrum plus noise, both scaled to fit best."""
    scale = np.maximum(signals.max(axis=1, keepdims=True), 1e-300)
    parts = np.stack([signals / scale, np.broadcast_to(noise, signals.shape)], axis=1)
    floor = np.median(power[-5:] / noise[-5:])
    amounts = np.tile([max(power[0] - floor * noise[0], 1e-3 * power[0]), floor], (len(signals), 1))
    for _ in range(40):
        model = np.einsum("gk,gkf->gf", amounts, parts)
        rises = np.einsum("gkf,gf->gk", parts, modes * power / model**2)
        falls = np.einsum("gkf,gf->gk", parts, modes / model)
        amounts *= np.sqrt(rises / np.maximum(falls, 1e-300))
    ratio = power / np.einsum("gk,gkf->gf", amounts, parts)
    return np.asarray(2 * np.sum(modes * (ratio - 1 - np.log(ratio)), axis=1))
