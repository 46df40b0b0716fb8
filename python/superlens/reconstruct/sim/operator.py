"""`Reconstruction`: the linear map from raw frames to the image of twice the pixels, and its adjoint.

Frames are first combined to one real image of order 0 and one complex image of each other order, so that only those are transformed. Each
is multiplied by the transfer function, put on the fine grid, demodulated by its carrier and added; one filter follows. Fine pixels divide the
raw ones: their centres lie a quarter raw pixel beside the raw centres.

Beyond the border order 0 is continued by its mirror image, so that an even image stays even, and the other orders fade.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError
from superlens.optics.patterns import Pattern
from superlens.reconstruct.sim.spectrum import Spectrum, grid_of

__all__ = ["Reconstruction"]

Array: TypeAlias = NDArray[Any]

_MARGIN = 10  # raw pixels that an image is continued at each border, at least
_ROWS = 64  # rows that are worked on at a time, so that they stay in the processor's cache


class Reconstruction:
    """From raw frames to an image of twice the pixels along y and x.

    Parameters
    ----------
    shape : (int, int)
        Sides of a frame.
    spectrum : Spectrum
        Pattern, transfer function of the detection, regularisation.
    workers : int
        Threads of the Fourier transforms.
    precision : {"single", "double"}

    Raises
    ------
    SuperlensError
        If the frames are smaller than 32 pixels or their pixels too large for the objective.
    """

    def __init__(
        self,
        shape: Sequence[int],
        spectrum: Spectrum,
        *,
        workers: int = 1,
        precision: Literal["single", "double"] = "single",
    ) -> None:
        if min(shape) < 32:
            raise SuperlensError(f"frames have {shape[0]} x {shape[1]} pixels; expected at least 32 along each side.")
        if spectrum.detection.cutoff >= 0.5:
            raise SuperlensError(
                f"the cutoff of the objective is {spectrum.detection.cutoff:.3g} cycles per pixel; expected less than 0.5. The pixels are too "
                "large to hold what the objective resolves; check `pixel_nm`, `na` and `wavelength_nm`."
            )
        self.shape = (int(shape[0]), int(shape[1]))
        self.spectrum = spectrum
        self._workers = workers
        self._real = np.float32 if precision == "single" else np.float64
        self._complex = np.complex64 if precision == "single" else np.complex128
        self._torus = tuple(_good_side(side) for side in self.shape)
        self._margins = tuple((big - side) // 2 for big, side in zip(self._torus, self.shape, strict=True))
        self._plan()

    @property
    def bands(self) -> NDArray[np.float64]:
        """Bands from frames, their brightness made equal: shape (1 + 2 orders, frames). Order 0 takes an offset as it is."""
        weights = self.spectrum.pattern.arrangement.separation / self.spectrum.pattern.brightness
        return np.asarray(np.concatenate([weights[:1] / weights[0].sum(), weights[1:]]))

    def _plan(self) -> None:
        spectrum, (height, width) = self.spectrum, self._torus
        cutoff = spectrum.detection.cutoff
        self._columns = min(int(cutoff * width) + 1, (width - 1) // 2)
        self._rows = min(int(cutoff * height) + 1, (height - 1) // 2)
        fy = np.asarray(np.fft.fftfreq(height), np.float64)[:, None]
        fx = np.asarray(np.fft.fftfreq(width), np.float64)[None, :]
        picked = self._picked(width, self._columns)
        beside = np.exp(-0.5j * np.pi * fy) * np.exp(-0.5j * np.pi * fx[:, picked])
        detection = spectrum.detection.on(fy, fx[:, picked])
        weights, half = spectrum.weights, spectrum.pattern.modulations / 2
        zero = detection * beside * weights[0]
        zero = zero * spectrum.kept(fy, fx[:, picked])
        self._zero = zero[:, : self._columns + 1].astype(self._complex)
        self._bands = [
            (
                detection
                * beside
                * spectrum.notch(fy - o.frequency[0], fx[:, picked] - o.frequency[1])
                * spectrum.middle(b, fy, fx[:, picked])
            ).astype(self._complex)
            for b, o in enumerate(spectrum.pattern.orders)
        ]
        self._factors = (weights[1:] * half).astype(self._real)
        fine = (2 * height, 2 * width)
        full_y, full_x = grid_of(fine)
        reach = cutoff + max((o.length for o in spectrum.pattern.orders), default=0.0)
        self._kept = min(int(reach * width) + 2, width + 1)
        self._filter = spectrum.filter(full_y, full_x[:, : self._kept]).astype(self._real)
        self._waves = self._carriers()

    def _carriers(self) -> list[tuple[Array, Array]]:
        waves = []
        for order in self.spectrum.pattern.orders:
            y, x = ((np.arange(2 * n) + 0.5) / 2 - 0.5 - p for n, p in zip(self._torus, self._margins, strict=True))
            column = np.exp(-1j * (2 * np.pi * order.frequency[0] * y + order.phase)).astype(self._complex)
            row = np.exp(-2j * np.pi * order.frequency[1] * x).astype(self._complex)
            waves.append((column, row))
        return waves

    def with_pattern(self, pattern: Pattern) -> Reconstruction:
        """The same for frames whose pattern has other phases, or other wave vectors.

        Parameters
        ----------
        pattern : Pattern
            With the modulations, the brightness and the arrangement of that of `spectrum`.
        """
        spectrum = replace(self.spectrum, pattern=pattern)
        if not np.array_equal(pattern.frequencies, self.spectrum.pattern.frequencies):
            precision: Literal["single", "double"] = "single" if self._real is np.float32 else "double"
            return Reconstruction(self.shape, spectrum, workers=self._workers, precision=precision)
        other = copy.copy(self)
        other.spectrum = spectrum
        other._waves = other._carriers()
        return other

    @staticmethod
    def _picked(width: int, columns: int) -> Array:
        """Columns of the whole spectrum that the transfer function passes."""
        return np.concatenate([np.arange(columns + 1), np.arange(width - columns, width)])

    # -- forward ------------------------------------------------------------------------------------------------------

    def apply(self, frames: Array) -> Array:
        """Reconstruct one set of frames.

        Parameters
        ----------
        frames : ndarray, shape (frames, Y, X)
            In counts; an offset stays in the result.

        Returns
        -------
        ndarray, shape (2 Y, 2 X), counts
            The mean is that of the frames; negative values are kept.
        """
        frames = np.asarray(frames, self._real)
        expected = (self.spectrum.pattern.arrangement.frames, *self.shape)
        if frames.shape != expected:
            raise SuperlensError(f"frames have shape {frames.shape}; expected {expected}.")
        mixed = self.bands.astype(self._real) @ frames.reshape(len(frames), -1)
        bands = mixed.reshape(-1, *self.shape)
        self._without_offset(bands)
        height, width = 2 * self._torus[0], 2 * self._torus[1]
        total = np.empty((height, width), self._real)
        spread = self._spread_zero(bands[0])
        others = [self._spread_order(b, bands[1 + 2 * b], bands[2 + 2 * b]) for b in range(len(self._waves))]
        for start in range(0, height, _ROWS):
            rows = slice(start, start + _ROWS)
            block = fft.irfft(spread[rows], width, axis=1, workers=self._workers, norm="forward")
            for wide, (_, row) in zip(others, self._waves, strict=True):
                self._demodulate(block, wide[rows], row)
            total[rows] = block
        return self._filtered(total)[self._window]

    def _without_offset(self, bands: Array) -> None:
        """Take away what an unknown offset leaves in the other orders where the brightness of the frames differs; it would be stripes."""
        leak = self.bands[1:].sum(axis=1)
        power = float(leak @ leak)
        if power > 1e-20:
            means = bands[1:].mean(axis=(1, 2), dtype=np.float64)
            bands[1:] -= (leak * (leak @ means) / power).astype(self._real)[:, None, None]

    def _demodulate(self, block: Array, spread: Array, row: Array) -> None:
        """Add the real part of a band times its carrier."""
        width = block.shape[1]
        padded = np.zeros((len(spread), width), self._complex)
        padded[:, : self._columns + 1] = spread[:, : self._columns + 1]
        padded[:, width - self._columns :] = spread[:, self._columns + 1 :]
        band = fft.ifft(padded, axis=1, workers=self._workers, norm="forward", overwrite_x=True)
        band *= row
        block += band.real

    def _spread_zero(self, band: Array) -> Array:
        """Order 0 on the fine grid along y, still a spectrum along x."""
        spectrum = fft.rfft(_mirrored(band, self._torus, self._margins), axis=1, workers=self._workers)
        spectrum = fft.fft(spectrum[:, : self._columns + 1], axis=0, workers=self._workers)
        return self._along_y(spectrum * self._zero)

    def _spread_order(self, order: int, cosine: Array, sine: Array) -> Array:
        band = np.empty((*self.shape,), self._complex)
        band.real = cosine
        band.imag = sine
        band *= self._factors[order]
        spectrum = fft.fft(_faded(band, self._torus, self._margins), axis=1, workers=self._workers, overwrite_x=True)
        spectrum = fft.fft(
            spectrum[:, self._picked(self._torus[1], self._columns)], axis=0, workers=self._workers, overwrite_x=True
        )
        spectrum *= self._bands[order]
        spread = self._along_y(spectrum)
        spread *= self._waves[order][0][:, None]
        return spread

    def _along_y(self, spectrum: Array) -> Array:
        height = self._torus[0]
        padded = np.zeros((2 * height, spectrum.shape[1]), self._complex)
        padded[: self._rows + 1] = spectrum[: self._rows + 1]
        padded[2 * height - self._rows :] = spectrum[height - self._rows :]
        padded *= self._real(1 / (self._torus[0] * self._torus[1]))
        return np.asarray(fft.ifft(padded, axis=0, workers=self._workers, norm="forward", overwrite_x=True))

    def _filtered(self, total: Array) -> Array:
        height, width = total.shape
        spectrum = np.empty((height, self._kept), self._complex)
        for start in range(0, height, _ROWS):
            rows = slice(start, start + _ROWS)
            spectrum[rows] = fft.rfft(total[rows], axis=1, workers=self._workers)[:, : self._kept]
        spectrum = fft.fft(spectrum, axis=0, workers=self._workers, overwrite_x=True)
        spectrum *= self._filter
        spectrum = fft.ifft(spectrum, axis=0, workers=self._workers, overwrite_x=True)
        made = np.empty((height, width), self._real)
        for start in range(0, height, _ROWS):
            rows = slice(start, start + _ROWS)
            made[rows] = fft.irfft(spectrum[rows], width, axis=1, workers=self._workers)
        return made

    @property
    def _window(self) -> tuple[slice, slice]:
        y, x = (slice(2 * p, 2 * p + 2 * n) for p, n in zip(self._margins, self.shape, strict=True))
        return y, x

    # -- adjoint ------------------------------------------------------------------------------------------------------

    def adjoint(self, image: Array) -> Array:
        """The exact adjoint of `apply`: ``<apply(x), y> == <x, adjoint(y)>`` up to rounding.

        Parameters
        ----------
        image : ndarray, shape (2 Y, 2 X)

        Returns
        -------
        ndarray, shape (frames, Y, X)
        """
        fine = np.zeros((2 * self._torus[0], 2 * self._torus[1]), self._real)
        fine[self._window] = image
        light = self._filtered(fine)
        bands = np.empty((1 + 2 * len(self._waves), *self.shape), self._real)
        picked = self._picked(self._torus[1], self._columns)
        zero = np.concatenate([self._zero, self._zero[:, 1:][:, ::-1]], axis=1)
        zero[:, self._columns + 1 :] = np.conj(np.roll(self._zero[::-1], 1, axis=0)[:, 1:][:, ::-1])
        bands[0] = _mirrored_adjoint(self._gathered(light, picked, zero).real, self.shape, self._margins)
        for b, (column, row) in enumerate(self._waves):
            wave = np.conj(column)[:, None] * np.conj(row)[None, :]
            made = _faded_adjoint(self._gathered(wave * light, picked, self._bands[b]), self.shape, self._margins)
            made = made * self._factors[b]
            bands[1 + 2 * b], bands[2 + 2 * b] = made.real, made.imag
        self._without_offset(bands)
        frames = self.bands.T.astype(self._real) @ bands.reshape(len(bands), -1)
        return np.asarray(frames.reshape(-1, *self.shape))

    def _gathered(self, light: Array, picked: Array, transfer: Array) -> Array:
        """The adjoint of spreading a raw image on the fine grid."""
        height, width = self._torus
        spectrum = fft.fft2(light, workers=self._workers)
        raw = np.zeros((height, width), self._complex)
        rows = np.concatenate([np.arange(self._rows + 1), np.arange(height - self._rows, height)])
        fine_rows = np.concatenate([np.arange(self._rows + 1), np.arange(2 * height - self._rows, 2 * height)])
        fine_columns = np.where(picked > width // 2, picked + width, picked)
        raw[np.ix_(rows, picked)] = spectrum[np.ix_(fine_rows, fine_columns)] * np.conj(transfer[rows])
        return np.asarray(fft.ifft2(raw, workers=self._workers))


def _good_side(side: int) -> int:
    """A side that transforms fast, with equal margins."""
    big = fft.next_fast_len(side + 2 * _MARGIN, real=True)
    while (big - side) % 2:
        big = fft.next_fast_len(big + 1, real=True)
    return int(big)


def _ramps(margin: int, *, fade: bool) -> tuple[Array, Array]:
    """Weights, from one border to the other across the seam, of the mirror images of both borders."""
    t = (np.arange(2 * margin) + 0.5) / (2 * margin)
    first = np.cos(np.pi / 2 * np.minimum(2 * t, 1)) ** 2 if fade else np.cos(np.pi / 2 * t) ** 2
    return first, first[::-1]


def _continued(band: Array, torus: Sequence[int], margins: Sequence[int], *, fade: bool) -> Array:
    for axis, (big, margin) in enumerate(zip(torus, margins, strict=True)):
        moved = np.moveaxis(band, axis, 0)
        n = len(moved)
        reach = np.minimum(np.arange(2 * margin), n - 1)
        first, last = (w.astype(band.real.dtype)[:, None] for w in _ramps(margin, fade=fade))
        seam = moved[n - 1 - reach] * first + moved[reach[::-1]] * last
        made = np.empty((big, *moved.shape[1:]), band.dtype)
        made[margin : margin + n] = moved
        made[margin + n :] = seam[:margin]
        made[:margin] = seam[margin:]
        band = np.moveaxis(made, 0, axis)
    return band


def _returned(band: Array, shape: Sequence[int], margins: Sequence[int], *, fade: bool) -> Array:
    """The adjoint of continuing a band beyond its borders."""
    for axis, (n, margin) in reversed(list(enumerate(zip(shape, margins, strict=True)))):
        moved = np.moveaxis(band, axis, 0)
        reach = np.minimum(np.arange(2 * margin), n - 1)
        first, last = (w.astype(band.real.dtype)[:, None] for w in _ramps(margin, fade=fade))
        seam = np.concatenate([moved[margin + n :], moved[:margin]])
        made = moved[margin : margin + n].copy()
        np.add.at(made, n - 1 - reach, seam * first)
        np.add.at(made, reach[::-1], seam * last)
        band = np.moveaxis(made, 0, axis)
    return band


def _mirrored(band: Array, torus: Sequence[int], margins: Sequence[int]) -> Array:
    return _continued(band, torus, margins, fade=False)


def _faded(band: Array, torus: Sequence[int], margins: Sequence[int]) -> Array:
    return _continued(band, torus, margins, fade=True)


def _mirrored_adjoint(band: Array, shape: Sequence[int], margins: Sequence[int]) -> Array:
    return _returned(band, shape, margins, fade=False)


def _faded_adjoint(band: Array, shape: Sequence[int], margins: Sequence[int]) -> Array:
    return _returned(band, shape, margins, fade=True)
