"""What lies between raw frames, the reconstruction that the network sees, and the sharp image: `SimOptics`, in closed form.

Everything follows from the pattern, the detection and two numbers. In: a `Spectrum`. Out: the operator's transfer function on the fine
grid (half the raw pixel), the response of the sharp image, the blur between the two, the filters that condition the network, and how
much of the raw noise reaches a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.camera import Camera, smoothed_signal
from superlens.observing.conditioning import WienerBank, optics_scalars, wiener_kernels
from superlens.optics import PSF, Transfer, image_of
from superlens.optics.detection import Detection
from superlens.reconstruct.sim import Reconstruction, Regularisation, Spectrum
from superlens.reconstruct.sim.spectrum import grid_of

__all__ = ["SimOptics"]

Array = NDArray[np.float32]

_GRID = 128  # fine pixels on which filters are made
_REACH = 16  # fine pixels that the blur between response and reconstruction is taken to carry light
_LEAST = 0.01  # of the response, below which nothing is divided by it
_LEAST_NOISE = 1e-3  # of its mean power, where a filter takes it to be no less
_PSF_RADIUS = 24


@dataclass(frozen=True)
class SimOptics:
    """From raw frames to what the network sees, and from its sharp image back.

    Attributes
    ----------
    spectrum : Spectrum
        Of the reconstruction that the network sees.
    narrower : float
        How many times narrower the response is than the diffraction limit of the extended band.
    pixel_nm : float
        Of the raw frames.
    """

    spectrum: Spectrum
    narrower: float
    pixel_nm: float

    @classmethod
    def of(cls, spectrum: Spectrum, weight: float, narrower: float, pixel_nm: float) -> SimOptics:
        """With a Wiener filter of that weight and the usual apodisation, whatever the spectrum had."""
        return cls(
            replace(spectrum, regularisation=Regularisation("wiener", weight), apodisation=1.0), narrower, pixel_nm
        )

    @property
    def band(self) -> float:
        """Where the extended band ends, cycles per raw pixel."""
        lengths = [order.length for order in self.spectrum.pattern.orders]
        return self.spectrum.detection.cutoff + max(lengths, default=0.0)

    def response_on(self, fy: NDArray[Any], fx: NDArray[Any]) -> NDArray[np.float64]:
        """What the sharp image shows of each frequency, cycles per raw pixel: an ideal objective's transfer."""
        return Detection(self.band * self.narrower, pixel=False).on(fy, fx)

    @property
    def response(self) -> PSF:
        """The response as a PSF on the fine grid."""
        return self._psf(self.band * self.narrower, f"{self.narrower:g} times narrower")

    @property
    def limit(self) -> PSF:
        """The PSF of an objective that passes the extended band."""
        return self._psf(self.band, "diffraction limit of the extended band")

    def _psf(self, cutoff: float, words: str) -> PSF:
        kernel = _kernel(Detection(cutoff, pixel=False).on(*grid_of((_GRID, _GRID))))
        return PSF(np.maximum(kernel, 0), self.pixel_nm / 2, source=words)

    @cached_property
    def width_px(self) -> float:
        """FWHM of the reconstruction's transfer as a kernel, fine pixels."""
        kernel = _kernel(self.spectrum.transfer(*grid_of((_GRID, _GRID))))
        return PSF(np.maximum(kernel, 0), self.pixel_nm / 2).fwhm_nm / (self.pixel_nm / 2)

    @cached_property
    def bank(self) -> WienerBank:
        """Filters from the reconstruction to the response, for the network: they weigh each frequency by its noise."""
        grid = grid_of((_GRID, _GRID))
        noise = np.maximum(self.spectrum.noise_power(*grid) / self.noise_gain, _LEAST_NOISE)
        kernels = wiener_kernels(self.spectrum.transfer(*grid), self.response_on(*grid), (_GRID, _GRID), noise)
        return WienerBank(kernels, optics_scalars(1.5, self.width_px))

    @cached_property
    def kernel(self) -> NDArray[np.float64]:
        """What the reconstruction does to a point, of sum 1; it has negative values."""
        return _kernel(self.spectrum.transfer(*grid_of((_GRID, _GRID))))

    @property
    def blur(self) -> Transfer:
        """From the sharp image to the reconstruction without noise."""

        def on(shape: tuple[int, ...]) -> NDArray[np.complex128]:
            grid = grid_of(shape, half=False)
            response = self.response_on(*grid)
            known = response > _LEAST
            ratio = np.where(known, self.spectrum.transfer(*grid) / np.where(known, response, 1), 0)
            return ratio.astype(np.complex128)

        return Transfer(on, (_REACH, _REACH))

    def seen(self, sharp: Array) -> Array:
        """The reconstruction without noise of what the sharp image shows."""
        padded = np.pad(sharp, 2 * _REACH, mode="symmetric")
        made = image_of(padded, self.blur)
        inner = slice(2 * _REACH, -2 * _REACH)
        return np.asarray(made[inner, inner], np.float32)

    @cached_property
    def noise_gain(self) -> float:
        """Variance of a pixel of the reconstruction, for white noise of variance 1 in each frame."""
        return float(np.mean(self.spectrum.noise_power(*grid_of((_GRID, _GRID), half=False))))

    def noise_correlation(self, reach: int = 2) -> NDArray[np.float64]:
        """Correlation of the noise of pixels up to ``reach`` apart, 1 in the centre."""
        power = self.spectrum.noise_power(*grid_of((_GRID, _GRID), half=False))
        lags = np.fft.fftshift(np.fft.ifft2(power).real)
        middle = slice(_GRID // 2 - reach, _GRID // 2 + reach + 1)
        return np.asarray(lags[middle, middle] / lags.max())

    def moved(self, y: float, x: float) -> SimOptics:
        """The same for frames that were moved by so many raw pixels."""
        return replace(self, spectrum=replace(self.spectrum, pattern=self.spectrum.pattern.shifted(y, x)))

    def operator(self, yx_shape: tuple[int, int]) -> Reconstruction:
        """The linear map from raw frames of such sides to what the network sees."""
        return Reconstruction(yx_shape, self.spectrum)

    def sigma(self, frames: Array, camera: Camera) -> Array:
        """Standard deviation of the noise of the reconstruction.

        Parameters
        ----------
        frames : ndarray, shape (frames, Y, X), counts above the offset
        camera : Camera

        Returns
        -------
        ndarray, shape (2 Y, 2 X), counts
        """
        light = np.maximum(smoothed_signal(frames.mean(axis=0)), 0)
        variance = np.maximum(camera.variance(light), 0.05 * camera.gain**2)
        fine = ndimage.zoom(variance, 2, order=1, grid_mode=True, mode="nearest")
        return np.asarray(np.sqrt(self.noise_gain * fine), np.float32)


def _kernel(half: NDArray[Any]) -> NDArray[np.float64]:
    """The centred kernel of a half-plane transfer function, of sum 1."""
    kernel = np.fft.fftshift(np.fft.irfft2(half, (_GRID, _GRID)))
    middle = slice(_GRID // 2 - _PSF_RADIUS, _GRID // 2 + _PSF_RADIUS + 1)
    part = kernel[middle, middle]
    return np.asarray(part / part.sum())
