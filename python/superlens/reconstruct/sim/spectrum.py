"""What a reconstruction does to each frequency, in closed form: `Spectrum`.

With D = sum over orders of g_b a_b |c_b H_b|^2 (H shifted by the order's wave vector, c = half its modulation, g = its weight, a = what is
left of it at low frequencies) and A the apodisation, the reconstruction multiplies the specimen by T = A D / (D + w^2), and turns white raw
noise into noise of power A^2 E / (D + w^2)^2 with E = sum over orders of g_b a_b^2 |c_b H_b|^2. Frequencies are in cycles per raw pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from superlens.optics import Transfer
from superlens.optics.detection import Detection
from superlens.optics.patterns import Pattern

__all__ = ["Attenuation", "Regularisation", "Spectrum", "grid_of"]

Floats = NDArray[np.float64]

_NOTCH = 0.04  # of the cutoff
_MIDDLE = 0.05
_FLOOR = 1e-4  # of D, where it is as good as nothing


@dataclass(frozen=True, slots=True)
class Attenuation:
    """Less weight for the low frequencies of order 0, which hold the haze: 1 - strength exp(-f^2 / (2 (width cutoff)^2))."""

    strength: float = 0.0
    width: float = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Regularisation:
    """What keeps the noise down where D is small.

    Attributes
    ----------
    kind : {"wiener", "true-wiener", "flat-noise"}
        One w for all frequencies; w^2 the noise-to-signal ratio of each ring; the filter that leaves white noise white.
    w : float
        For "wiener".
    radii, ratios : ndarray
        For "true-wiener": w^2 at these frequencies, cycles per raw pixel.
    """

    kind: Literal["wiener", "true-wiener", "flat-noise"] = "wiener"
    w: float = 0.1
    radii: Floats | None = None
    ratios: Floats | None = None

    def squared(self, radius: Floats) -> Floats | float:
        """w^2 at frequencies in cycles per raw pixel."""
        if self.kind == "true-wiener" and self.radii is not None and self.ratios is not None:
            return np.asarray(np.exp(np.interp(radius, self.radii, np.log(self.ratios))), np.float64)
        return self.w**2


def grid_of(fine_shape: Sequence[int], *, half: bool = True) -> tuple[Floats, Floats]:
    """Frequencies of a fine grid of two pixels along a raw pixel, as a column and a row, cycles per raw pixel."""
    height, width = fine_shape
    fx = np.fft.rfftfreq(width, 0.5) if half else np.fft.fftfreq(width, 0.5)
    fy = np.fft.fftfreq(height, 0.5)
    return np.asarray(fy, np.float64)[:, None], np.asarray(fx, np.float64)[None, :]


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The closed forms of a reconstruction.

    Parameters
    ----------
    pattern : Pattern
    detection : Detection
    regularisation : Regularisation
    apodisation : float
        Exponent of the triangle that falls from 1 at frequency 0 to 0 at the end of the support; 0 for none.
    attenuation : Attenuation
    leaks : tuple of float
        For each order, how far the middle of its band is attenuated, 0 to 1; none by default.
    """

    pattern: Pattern
    detection: Detection
    regularisation: Regularisation = Regularisation()
    apodisation: float = 1.0
    attenuation: Attenuation = Attenuation()
    leaks: tuple[float, ...] = ()

    @property
    def norm(self) -> float:
        """Frames that share an angle: raw noise of variance s^2 counts as s^2 / norm beside D."""
        variances = self.pattern.arrangement.variances
        return float(1 / (variances[0] * self.pattern.arrangement.groups))

    @property
    def weights(self) -> Floats:
        """Weight g of order 0 and of each other order: the inverse of its noise, and 1 for each angle where phases are equal steps."""
        return 1 / (self.pattern.arrangement.variances * self.norm)

    def kept(self, fy: Floats, fx: Floats) -> Floats:
        """What the attenuation leaves of order 0."""
        cut = self.attenuation
        width = cut.width * self.detection.cutoff
        return np.asarray(1 - cut.strength * np.exp(-(fy**2 + fx**2) / (2 * width**2)))

    def notch(self, fy: Floats, fx: Floats) -> Floats:
        """What is taken of the other orders, by frequency in the result: not the lowest, so that order 0 alone decides the level."""
        return np.asarray(1 - np.exp(-(fy**2 + fx**2) / (2 * (_NOTCH * self.detection.cutoff) ** 2)))

    def signal(self, fy: Floats, fx: Floats) -> Floats:
        """D."""
        return self.powers(fy, fx)[0]

    def powers(self, fy: Floats, fx: Floats) -> tuple[Floats, Floats]:
        """D and E."""
        weights = self.weights
        others, noise = (np.zeros(np.broadcast_shapes(fy.shape, fx.shape)) for _ in range(2))
        for b, (g, order) in enumerate(zip(weights[1:], self.pattern.orders, strict=True)):
            (ky, kx), c = order.frequency, order.modulation / 2
            for sign in (1, -1):
                self._add(others, noise, b, g * c**2, fy + sign * ky, fx + sign * kx)
        zero: Floats = weights[0] * self.detection.on(fy, fx) ** 2
        kept, notch = self.kept(fy, fx), self.notch(fy, fx)
        return zero * kept + others * notch, zero * kept**2 + noise * notch**2

    def middle(self, order: int, fy: Floats, fx: Floats) -> Floats | float:
        """What is taken of an order, by frequency in its raw band: less of its middle, where order 0 leaks into it."""
        if not self.leaks or self.leaks[order] == 0:
            return 1.0
        width = _MIDDLE * self.detection.cutoff
        return np.asarray(1 - self.leaks[order] * np.exp(-(fy**2 + fx**2) / (2 * width**2)))

    def _add(self, total: Floats, noise: Floats, order: int, factor: float, fy: Floats, fx: Floats) -> None:
        """Add a shifted band where it is not zero, to D and to E."""
        rows = np.flatnonzero(np.abs(fy.ravel()) < self.detection.cutoff)
        columns = np.flatnonzero(np.abs(fx.ravel()) < self.detection.cutoff)
        if len(rows) and len(columns):
            at = np.ix_(rows, columns)
            power = factor * self.detection.on(fy[rows], fx[:, columns]) ** 2
            kept = self.middle(order, fy[rows], fx[:, columns])
            total[at] += power * kept
            noise[at] += power * kept**2

    def apodised(self, fy: Floats, fx: Floats) -> Floats:
        """A."""
        radius = np.sqrt(fy**2 + fx**2)
        if self.apodisation == 0:
            return np.ones_like(radius)
        with np.errstate(invalid="ignore", divide="ignore"):
            uy, ux = np.where(radius > 0, fy / radius, 0.0), np.where(radius > 0, fx / radius, 0.0)
        end = np.full(radius.shape, self.detection.cutoff)
        for order in self.pattern.orders:
            if order.modulation > 0:
                ky, kx = order.frequency
                along = np.abs(ky * uy + kx * ux)
                inside = self.detection.cutoff**2 - (order.length**2 - along**2)
                np.maximum(end, along + np.sqrt(np.maximum(inside, 0)), out=end, where=inside > 0)
        return np.asarray(np.maximum(1 - radius / end, 0) ** self.apodisation)

    def filter(self, fy: Floats, fx: Floats) -> Floats:
        """What the sum of the shifted bands is multiplied by, so that T(0) = 1."""
        return self._all(fy, fx)[0]

    def transfer(self, fy: Floats, fx: Floats) -> Floats:
        """T: what the reconstruction does to the specimen; 1 at frequency 0."""
        made, signal, _ = self._all(fy, fx)
        return made * signal

    def noise_power(self, fy: Floats, fx: Floats) -> Floats:
        """Power of the noise, per fine pixel, for raw noise of variance 1 in each frame."""
        made, _, noise = self._all(fy, fx)
        return np.asarray(4 / self.norm * noise * made**2)

    def _all(self, fy: Floats, fx: Floats) -> tuple[Floats, Floats, Floats]:
        """The filter, D and E."""
        zero = np.zeros((1, 1))
        at_zero = self.powers(zero, zero)
        signal, noise = self.powers(fy, fx)
        scale = float((self._filter(zero, zero, *at_zero) * at_zero[0])[0, 0])
        return self._filter(fy, fx, signal, noise) / scale, signal, noise

    def _filter(self, fy: Floats, fx: Floats, signal: Floats, noise: Floats) -> Floats:
        apodised = self.apodised(fy, fx)
        if self.regularisation.kind == "flat-noise":
            floor = _FLOOR * float(self.weights[0])
            return np.asarray(apodised * np.where(noise > floor, 1 / np.sqrt(np.maximum(noise, floor)), 0))
        return np.asarray(apodised / (signal + self.regularisation.squared(np.sqrt(fy**2 + fx**2))))

    def blur(self) -> Transfer:
        """T as a blur on the fine grid, for `superlens.optics.ForwardModel`."""

        def on(shape: tuple[int, ...]) -> NDArray[np.complex128]:
            return self.transfer(*grid_of(shape, half=False)).astype(np.complex128)

        reach = int(np.ceil(4 / self.detection.cutoff))
        return Transfer(on, (reach, reach))
