"""From curves to pixels and from pixels to other pixels.

A pixel of a camera averages the light that falls on its area. So every lateral number here is an integral over
a pixel: `pixel_average` makes such integrals of a radial curve, `rebin` moves them exactly to other pixels
through the cumulative sum (whose values at the pixel edges are known without error), and `fwhm_px` takes the
pixel's own width out again. The axial direction is sampled and not integrated, since an optical section is
taken at a focus setting: `sample` interpolates it. `convolve` is the one convolution of the optics; `centred` and `good_shape` lay out
the periodic grids of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.interpolate import CubicSpline, make_interp_spline

from superlens.errors import SuperlensError

__all__ = [
    "Border",
    "box_holding",
    "centred",
    "centred_crop",
    "convolve",
    "fwhm_px",
    "good_shape",
    "pixel_average",
    "rebin",
    "sample",
    "spectrum",
    "width_at_half_px",
]

Floats = NDArray[np.float64]
Border = Literal["reflect", "symmetric", "edge", "wrap", "constant"]

_BOX_TO_FWHM = 8.0 * np.log(2.0) / 12.0  # squared FWHM of a Gaussian with the variance of a box of side 1


def pixel_average(
    radius_nm: Floats, curves: Floats, yx_shape: tuple[int, int], pixel_nm: float, width_nm: float
) -> Floats:
    """Average rotationally symmetric curves over square pixels.

    Parameters
    ----------
    radius_nm : ndarray, shape (R,), float64, nm
        Radii of the table, evenly spaced from 0 to beyond the corner of the picture.
    curves : ndarray, shape (Z, R), float64
        One curve a plane.
    yx_shape : tuple of int
        Odd sides of the picture in pixels.
    pixel_nm : float
        Side of a pixel in nm.
    width_nm : float
        Width of the narrowest detail, from which the number of points within a pixel follows.

    Returns
    -------
    ndarray, shape (Z, Y, X), float64
        Mean of each curve over each pixel, centred on the middle pixel, exactly mirror symmetric.
    """
    spline = CubicSpline(radius_nm, curves, axis=1, bc_type=((1, np.zeros(len(curves))), "not-a-knot"))
    count = 3 + int(np.ceil(3.0 * pixel_nm / width_nm))
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half_y, half_x = yx_shape[0] // 2, yx_shape[1] // 2
    y_nm = (np.arange(half_y + 1)[:, None] + nodes / 2.0).ravel() * pixel_nm
    x_nm = (np.arange(half_x + 1)[:, None] + nodes / 2.0).ravel() * pixel_nm
    quadrant = np.empty((len(curves), half_y + 1, half_x + 1))
    for row in range(half_y + 1):  # row by row, so that memory stays small
        radii = np.hypot(y_nm[row * count : (row + 1) * count, None], x_nm)
        points = spline(radii).reshape(len(curves), count, half_x + 1, count)
        quadrant[:, row] = np.einsum("zaxb,a,b->zx", points, weights / 2.0, weights / 2.0)
    upper = np.concatenate([quadrant[:, :0:-1], quadrant], axis=1)
    return np.concatenate([upper[:, :, :0:-1], upper], axis=2)


def rebin(values: Floats, axis: int, centres_px: Floats, width_px: float) -> Floats:
    """Integrate pixel sums over new, evenly wide pixels along one axis.

    Parameters
    ----------
    values : ndarray
        Integrals over pixels along `axis`; nothing lies outside.
    axis : int
        The axis to change.
    centres_px : ndarray, shape (N,), float64
        Centres of the new pixels in units of old pixels, counted from the middle of old pixel 0.
    width_px : float
        Width of a new pixel in old pixels.

    Returns
    -------
    ndarray
        Integrals over the new pixels, negative where the interpolation undershoots; their sum is the old sum
        as far as the new pixels cover the old ones.
    """
    padding = 3
    old = np.moveaxis(values, axis, 0)
    zeros = np.zeros((padding, *old.shape[1:]))
    total = np.cumsum(np.concatenate([zeros[:1], zeros, old, zeros]), axis=0)
    edges = np.arange(len(total)) - padding - 0.5
    spline = make_interp_spline(edges, total, k=5)
    stops = np.clip(centres_px + width_px / 2.0, edges[0], edges[-1])
    starts = np.clip(centres_px - width_px / 2.0, edges[0], edges[-1])
    return np.ascontiguousarray(np.moveaxis(spline(stops) - spline(starts), 0, axis), dtype=np.float64)


def sample(values: Floats, axis: int, positions_px: Floats) -> Floats:
    """Interpolate along one axis at fractional positions; zero outside."""
    count = values.shape[axis]
    if count == 1:
        taken = np.take(values, np.zeros(len(positions_px), dtype=int), axis=axis)
        inside = np.abs(positions_px) < 0.5
    else:
        spline = make_interp_spline(np.arange(count), values, k=min(3, count - 1), axis=axis)
        taken = spline(np.clip(positions_px, 0, count - 1))
        inside = (positions_px > -0.5) & (positions_px < count - 0.5)
    shape = [1] * values.ndim
    shape[axis] = len(positions_px)
    return np.asarray(taken * inside.reshape(shape), dtype=np.float64)


def fwhm_px(profile: Floats, *, integrated: bool) -> float:
    """Full width at half maximum of a profile around its middle, in pixels.

    The logarithm of the profile is taken as a polynomial in the squared distance, which is exact for a Gaussian
    at any sampling and good to fourth order for an Airy pattern. Both sides are averaged.

    Parameters
    ----------
    profile : ndarray, shape (N,), odd N
        Profile whose maximum is at or near the middle.
    integrated : bool
        Whether each value is a mean over its pixel; the width of the pixel is then taken out in quadrature.

    Returns
    -------
    float
        The width in pixels; ``inf`` when a side never falls to half.
    """
    middle = len(profile) // 2
    right, left = profile[middle:], profile[middle::-1]
    width = _half_width(right) + _half_width(left)
    if not integrated or not np.isfinite(width):
        return width
    return float(np.sqrt(max(width**2 - _BOX_TO_FWHM, 1e-4)))


def _half_width(side: Floats) -> float:
    top = side[0]
    below = np.nonzero(side < top / 2.0)[0]
    if top <= 0 or len(below) == 0:
        return float("inf")
    last = int(below[0])
    depth = -np.log(np.maximum(side[[last - 1, last]] / top, 1e-9))
    far = float(last**2)
    if last == 1:
        return float(np.sqrt(np.log(2.0) / depth[1]))
    near = float((last - 1) ** 2)
    # depth = a u + b u^2 with u the squared distance, through both points and the centre
    b = (depth[1] / far - depth[0] / near) / (far - near)
    a = depth[0] / near - b * near
    low, high = near, far
    for _ in range(60):
        u = (low + high) / 2.0
        low, high = (u, high) if a * u + b * u * u < np.log(2.0) else (low, u)
    return float(np.sqrt(low))


def width_at_half_px(profile: Floats) -> float:
    """Full width at half of the middle value, in pixels, read between pixels along straight lines as from a plot; ``inf`` without a crossing."""
    middle = len(profile) // 2
    width = 0.0
    for side in (profile[middle:], profile[middle::-1]):
        below = np.nonzero(side < side[0] / 2.0)[0]
        if side[0] <= 0 or len(below) == 0:
            return float("inf")
        last = int(below[0])
        width += last - (side[0] / 2.0 - side[last]) / (side[last - 1] - side[last])
    return width


def box_holding(data: Floats, energy: float) -> tuple[int, ...]:
    """Sides of the smallest centred box with this share of the sum; lateral sides shrink together."""
    whole = float(data.sum())
    middle = [side // 2 for side in data.shape]
    reach = max(middle[-2:])
    share = 1.0 - (1.0 - energy) / (2.0 if data.ndim == 3 else 1.0)
    sides = list(data.shape)
    plane = data.sum(axis=0) if data.ndim == 3 else data
    for half in range(reach + 1):
        lateral = [min(2 * half + 1, side) for side in plane.shape]
        if centred_crop(plane, tuple(lateral)).sum() >= share * whole * (1 - 1e-12):
            sides[-2:] = lateral
            break
    if data.ndim == 3:
        axial = data.sum(axis=(1, 2))
        sums = [axial[middle[0] - half : middle[0] + half + 1].sum() for half in range(middle[0] + 1)]
        sides[0] = 2 * int(np.argmax(np.asarray(sums) >= share * whole * (1 - 1e-12))) + 1
    return tuple(sides)


def centred_crop(data: Floats, shape: Sequence[int]) -> Floats:
    """Cut or zero-pad to odd sides around the middle pixel."""
    for axis, side in enumerate(shape):
        change = (side - data.shape[axis]) // 2
        if change > 0:
            data = np.pad(data, [(change, change) if i == axis else (0, 0) for i in range(data.ndim)])
        elif change < 0:
            data = data.take(range(-change, data.shape[axis] + change), axis=axis)
    return data


def convolve(array: NDArray[np.floating], kernel: Floats, border: Border) -> NDArray[np.floating]:
    """Convolve the last axes of an array with an odd kernel by FFT, the border continued as numpy.pad does.

    Parameters
    ----------
    array : ndarray, shape (..., [Z,] Y, X)
        Data in any unit; leading axes are looped over.
    kernel : ndarray, shape ([Z,] Y, X), odd sides
        The kernel with its centre on the middle pixel.
    border : {"reflect", "symmetric", "edge", "wrap", "constant"}
        What is assumed outside; "constant" is zero.

    Returns
    -------
    ndarray
        Same shape; float32 for float32 input, else float64.
    """
    dim = kernel.ndim
    if array.ndim < dim:
        raise SuperlensError(f"array has {array.ndim} axes and the PSF {dim}; give the array at least as many.")
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    axes = tuple(range(-dim, 0))
    halves = [side // 2 for side in kernel.shape]
    widths = [(0, 0)] * (array.ndim - dim) + [(half, half) for half in halves]
    padded = np.pad(np.asarray(array, dtype=np.float64), widths, mode=border)
    lengths = [fft.next_fast_len(side, real=True) for side in padded.shape[-dim:]]
    product = fft.rfftn(padded, lengths, axes=axes) * fft.rfftn(kernel, lengths, axes=axes)
    result = fft.irfftn(product, lengths, axes=axes)
    # A kernel anchored at its first pixel delays by half a kernel on top of the padding.
    keep = tuple(slice(2 * half, 2 * half + side) for half, side in zip(halves, array.shape[-dim:], strict=True))
    return np.asarray(result[(..., *keep)], dtype=dtype)


def spectrum(data: Floats, shape: tuple[int, ...], *, real: bool = True) -> NDArray[np.complex128]:
    """Fourier transform of data zero-padded to `shape`, the middle pixel moved to index 0; half of it if `real`."""
    padded = np.pad(data, [(0, n - m) for n, m in zip(shape, data.shape, strict=True)])
    rolled = np.roll(padded, [-(side // 2) for side in data.shape], axis=tuple(range(data.ndim)))
    result: NDArray[np.complex128] = fft.rfftn(rolled) if real else fft.fftn(rolled)
    return result


def centred(kernel: NDArray[np.floating], shape: Sequence[int]) -> Floats:
    """Lay a kernel on a torus with its centre at index 0; what is longer than the torus wraps around."""
    result = np.asarray(kernel, np.float64)
    for axis, (side, n) in enumerate(zip(kernel.shape, shape, strict=True)):
        folded = np.zeros((n, *np.delete(result.shape, axis)))
        np.add.at(folded, (np.arange(side) - side // 2) % n, np.moveaxis(result, axis, 0))
        result = np.moveaxis(folded, 0, axis)
    return result


def good_shape(sizes: Sequence[int], multiples: Sequence[int]) -> tuple[int, ...]:
    """Round up to sides that are multiples and that the Fourier transform is quick at; the last axis is the real one."""
    result = []
    for axis, (size, multiple) in enumerate(zip(sizes, multiples, strict=True)):
        size = math.ceil(size / multiple) * multiple
        while fft.next_fast_len(size, real=axis == len(sizes) - 1) != size:
            size += multiple
        result.append(size)
    return tuple(result)
