"""`ForwardModel`: what the microscope makes of a specimen, and its adjoint.

    specimen -> (times the pattern of each frame) -> blur -> mean over the fine pixels of a camera pixel -> (plus haze)

In: a specimen on the fine grid. Out: its image in camera pixels, in 2D and 3D. The blur is a kernel, such as a PSF, or a transfer
function, such as that between two PSFs (`relative_blur`) or that of a reconstruction. Arrays only; the noise is left to the camera.
`superlens.networks.forward` is the same model for Keras tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError
from superlens.optics.psf import PSF
from superlens.optics.relative import relative_kernel, relative_transfer
from superlens.optics.sampling import centred, good_shape

__all__ = [
    "Blur",
    "Edges",
    "ForwardModel",
    "Transfer",
    "binned",
    "reach_of",
    "relative_blur",
    "repeated",
    "transfer_on",
]

Array: TypeAlias = NDArray[Any]
Spectrum: TypeAlias = NDArray[np.complexfloating[Any]]

Edges = Literal["mirrored", "dark", "periodic", "open"]
"""What lies beyond the field: its mirror image, nothing, the field again, or a part of the specimen that is given, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """A blur that is known by what it does to each frequency.

    Attributes
    ----------
    on : callable
        Takes the sides ``([Z,] Y, X)`` of a periodic fine grid and returns the transfer function there: complex, of that shape, frequency 0
        first, that of a real kernel.
    reach : tuple of int
        Fine pixels along each axis that light is taken to travel; a field is continued by as many.
    """

    on: Callable[[tuple[int, ...]], Spectrum]
    reach: tuple[int, ...]


Blur: TypeAlias = NDArray[np.floating[Any]] | Transfer
"""A centred kernel of odd sides ``([Z,] Y, X)`` on the fine grid, of any sum, or a `Transfer`."""


def relative_blur(psf: PSF, response: PSF) -> Blur:
    """The blur that leads from an image seen through `response` to the one seen through `psf`.

    Parameters
    ----------
    psf, response : PSF
        On the same fine grid; the response is the narrower one.

    Returns
    -------
    ndarray or Transfer
        A kernel in 2D. In 3D, where it would be as wide as the volume, a transfer function.
    """
    if psf.data.ndim == 2:
        return relative_kernel(psf, response)
    return Transfer(partial(relative_transfer, psf, response), tuple(side // 2 for side in psf.data.shape))


def reach_of(blur: Blur) -> tuple[int, ...]:
    """Fine pixels along each axis that a blur carries light."""
    return blur.reach if isinstance(blur, Transfer) else tuple(side // 2 for side in blur.shape)


def transfer_on(blur: Blur, shape: tuple[int, ...]) -> Spectrum:
    """Transfer function of a blur on a periodic fine grid, whole, frequency 0 first; a kernel that is larger wraps around."""
    if isinstance(blur, Transfer):
        return blur.on(shape)
    return np.asarray(fft.fftn(centred(blur, shape)))


def image_of(specimen: Array, blur: Blur, *, scale: int = 1) -> Array:
    """The image, in camera pixels, of a specimen that fills the field, mirrored beyond it.

    Parameters
    ----------
    specimen : ndarray, shape ([Z,] scale * Y, scale * X)
        On the fine grid.
    blur : ndarray or Transfer
    scale : int
        Fine pixels for each camera pixel along y and x.

    Returns
    -------
    ndarray, shape ([Z,] Y, X), float32
        In the unit of the specimen.
    """
    shape = [side if axis < specimen.ndim - 2 else side // scale for axis, side in enumerate(specimen.shape)]
    return ForwardModel(shape, blur, scale=scale).apply(specimen)


class ForwardModel:
    """From a specimen on the fine grid to its image in camera pixels.

    Parameters
    ----------
    shape : sequence of int
        Sides of the image in camera pixels, ``(Y, X)`` or ``(Z, Y, X)``.
    blur : ndarray or Transfer
        On the fine grid, of as many axes.
    scale : int
        Fine pixels for each camera pixel along y and x.
    edges : {"mirrored", "dark", "periodic", "open"}
        What lies beyond the field. With "open" the specimen reaches beyond it, by at least the reach of the blur.
    pattern : ndarray, optional
        Illumination on the specimen's grid: of shape `domain`, or one for each frame, ``(F, *domain)``.
    haze : ndarray, optional
        Added to the image, in camera pixels; broadcast to it.
    workers : int
        Threads of the Fourier transforms.
    precision : {"single", "double"}

    Attributes
    ----------
    domain : tuple of int
        Shape of the specimen. With "open" edges it is periodic, and its margins together are at least as wide as the blur, so that no
        source lights two opposite borders.
    window : tuple of slice
        Where the field lies in the domain, in fine pixels.
    factors : tuple of int
        Fine pixels for each camera pixel along each axis; 1 along z.
    pattern, haze : ndarray or None

    Raises
    ------
    SuperlensError
        If the blur has other axes than the image or an even side, or pattern and domain differ.

    Examples
    --------
    >>> model = ForwardModel((8, 8), np.full((3, 3), 1 / 9), scale=2)
    >>> model.domain, bool(np.allclose(model.apply(np.ones(model.domain)), 1))
    ((16, 16), True)
    """

    def __init__(
        self,
        shape: Sequence[int],
        blur: Blur,
        *,
        scale: int = 1,
        edges: Edges = "mirrored",
        pattern: Array | None = None,
        haze: Array | None = None,
        workers: int = 1,
        precision: Literal["single", "double"] = "single",
    ) -> None:
        _check(shape, blur, scale)
        self._dtype = np.float32 if precision == "single" else np.float64
        self._workers = workers
        self._edges = edges
        self.factors = tuple(1 if axis < len(shape) - 2 else int(scale) for axis in range(len(shape)))
        fine = [int(n) * f for n, f in zip(shape, self.factors, strict=True)]
        self._torus, self._inner = _grid(fine, blur, self.factors, edges)
        self.domain = self._torus if edges == "open" else tuple(fine)
        self.window = self._inner if edges == "open" else tuple(slice(0, n) for n in fine)
        self.haze = None if haze is None else np.asarray(haze, self._dtype)
        self.pattern = None if pattern is None else np.asarray(pattern, self._dtype)
        if self.pattern is not None and self.pattern.shape[-len(fine) :] != self.domain:
            raise SuperlensError(f"pattern has shape {self.pattern.shape}; expected ([frames,] *{self.domain})")
        half = self._transfer_of(blur)
        self._otf: Spectrum = half.astype(np.complex64 if precision == "single" else np.complex128)

    def apply(self, specimen: Array) -> Array:
        """The image, in camera pixels, of a specimen of shape `domain`; one for each frame where there is a pattern for each."""
        specimen = np.asarray(specimen, self._dtype)
        if specimen.shape != self.domain:
            raise SuperlensError(f"specimen has shape {specimen.shape}; expected {self.domain}, on the fine grid")
        if self.pattern is None:
            seen = self._seen(specimen)
        elif self.pattern.ndim == specimen.ndim:
            seen = self._seen(self.pattern * specimen)
        else:
            seen = np.stack([self._seen(one * specimen) for one in self.pattern])
        return seen if self.haze is None else seen + self.haze

    def adjoint(self, image: Array) -> Array:
        """The exact adjoint of `apply` without haze: camera pixels in, shape `domain` out.

        ``<apply(x) - haze, y> == <x, adjoint(y)>`` up to rounding.
        """
        image = np.asarray(image, self._dtype)
        if self.pattern is None:
            return self._spread(image)
        if self.pattern.ndim == len(self.domain):
            return np.asarray(self.pattern * self._spread(image))
        frames = zip(self.pattern, image, strict=True)
        return np.asarray(sum(pattern * self._spread(frame) for pattern, frame in frames))

    def _seen(self, light: Array) -> Array:
        if self._edges in ("mirrored", "dark"):
            frame = [(i.start, side - i.stop) for i, side in zip(self._inner, self._torus, strict=True)]
            light = np.pad(light, frame, mode="symmetric" if self._edges == "mirrored" else "constant")
        return binned(self._filtered(light, self._otf)[self._inner], self.factors)

    def _spread(self, image: Array) -> Array:
        grid = np.zeros(self._torus, self._dtype)
        grid[self._inner] = repeated(image * self._dtype(1 / math.prod(self.factors)), self.factors)
        light = self._filtered(grid, np.conj(self._otf))
        if self._edges == "dark":
            return light[self._inner]
        if self._edges == "mirrored":
            for axis, inside in enumerate(self._inner):
                light = _folded(light, axis, inside)
        return light

    def _filtered(self, array: Array, transfer: Spectrum) -> Array:
        product = fft.rfftn(array, workers=self._workers)
        product *= transfer
        return np.asarray(fft.irfftn(product, self._torus, workers=self._workers, overwrite_x=True))

    def _transfer_of(self, blur: Blur) -> Spectrum:
        """Half of the spectrum, as the transform of real arrays has it."""
        if isinstance(blur, Transfer):
            return blur.on(self._torus)[..., : self._torus[-1] // 2 + 1]
        return np.asarray(fft.rfftn(centred(blur, self._torus), workers=self._workers))


def binned(array: Array, factors: Sequence[int]) -> Array:
    """The mean over groups of ``factors`` pixels."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            at = (slice(None),) * axis
            parts = [array[(*at, slice(i, None, factor))] for i in range(factor)]
            array = sum(parts[1:], parts[0]) * array.dtype.type(1 / factor)
    return array


def repeated(array: Array, factors: Sequence[int]) -> Array:
    """Repeat each pixel ``factors`` times."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            array = np.repeat(array, factor, axis)
    return array


def _check(shape: Sequence[int], blur: Blur, scale: int) -> None:
    axes = len(reach_of(blur))
    if axes != len(shape) or axes not in (2, 3):
        raise SuperlensError(f"the blur has {axes} axes and shape is {tuple(shape)}; expected 2 or 3 axes for both")
    if not isinstance(blur, Transfer) and any(side % 2 == 0 for side in blur.shape):
        raise SuperlensError(f"the blur has shape {blur.shape}; expected odd sides, so that a pixel is the middle")
    if scale < 1 or scale != int(scale):
        raise SuperlensError(f"scale is {scale}; expected a whole number from 1")


def _grid(
    fine: Sequence[int], blur: Blur, factors: Sequence[int], edges: Edges
) -> tuple[tuple[int, ...], tuple[slice, ...]]:
    """The periodic grid that the blur is applied on, and where the field lies in it."""
    reach: Sequence[int] = reach_of(blur)
    if edges == "periodic":
        return tuple(fine), tuple(slice(0, n) for n in fine)
    if edges == "open":
        reach = [math.ceil(r / f) * f for r, f in zip(reach, factors, strict=True)]
    elif isinstance(blur, Transfer):  # it depends on the grid, which shall not dwarf the field
        reach = [min(r, n) for r, n in zip(reach, fine, strict=True)]
    multiples = factors if edges == "open" else [1] * len(fine)
    torus = good_shape([n + 2 * r for n, r in zip(fine, reach, strict=True)], multiples)
    return torus, tuple(slice(r, r + n) for r, n in zip(reach, fine, strict=True))


def _folded(array: Array, axis: int, inside: slice) -> Array:
    """The adjoint of mirroring along one axis: what lies outside is added where it was mirrored from."""
    moved, before, n = np.moveaxis(array, axis, 0), inside.start, inside.stop - inside.start
    result = np.zeros((n, *moved.shape[1:]), array.dtype)
    for copy in range(math.floor(-before / n), math.ceil((len(moved) - before) / n)):
        start, stop = max(copy * n, -before), min((copy + 1) * n, len(moved) - before)
        part = moved[start + before : stop + before]
        low, high = start - copy * n, stop - copy * n
        if copy % 2:
            result[n - high : n - low] += part[::-1]
        else:
            result[low:high] += part
    return np.moveaxis(result, 0, axis)
