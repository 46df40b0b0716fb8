"""Richardson-Lucy deconvolution, for a given number of iterations or until more of them would fit noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from superlens.errors import SuperlensError
from superlens.optics import ForwardModel
from superlens.optics.forward import repeated
from superlens.optics.sampling import centred
from superlens.reconstruct.microscope import checked_psf, microscope, mirrored

__all__ = ["blind_noise_variance", "blind_stop", "richardson_lucy", "richardson_lucy_iterates", "smooth_background"]

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]

_LEAST_WEIGHT = 1e-3  # of the light of a fine pixel; sources seen less than this are not estimated
_LEAST_MODEL = 1e-6  # of the mean of the image; keeps the ratio of data and model finite where the model is dark
_MOST_ITERATIONS = 200
_PATIENCE = 10
_NARROWER = 1.5
_MOST_GAIN = 30.0  # of the filter of `_sharpened`; where more were needed, the frequency counts as lost


def richardson_lucy_iterates(
    image: Array, psf: Array, *, scale: int = 1, background: float | Array = 0.0, workers: int = 1
) -> Iterator[Float32]:
    """Yield the iterates of Richardson-Lucy deconvolution, without end.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), counts minus offset
        Values that are not finite count as not observed. Where the image is below zero, it is taken as zero: the
        Poisson model knows no negative counts. Over dark regions this lifts the mean; to avoid it, add a constant to
        the image and give it as `background`.
    psf : ndarray
        On the fine grid; see `microscope`.
    scale : int
        Fine pixels for each camera pixel along y and x.
    background : float or ndarray of the shape of the image, counts
        Light that is part of the image and not of the estimate: a constant, or out-of-focus light as `smooth_background` finds it.
    workers : int
        Threads of the Fourier transforms.

    Yields
    ------
    ndarray, float32, shape ``(Z, scale * Y, scale * X)``
        Not negative. The first is that after one iteration, from a flat start at the mean of the image. A new array
        each time. Without background, the mean of each iterate's image is the mean of the data.

    References
    ----------
    Richardson, J. Opt. Soc. Am. 62, 55 (1972); Lucy, Astron. J. 79, 745 (1974). Margins: Bertero and Boccacci, Astron.
    Astrophys. 437, 369 (2005).

    Examples
    --------
    >>> iterates = richardson_lucy_iterates(np.ones((8, 8)), np.full((3, 3), 1 / 9))
    >>> bool(np.allclose(next(iterates), 1))
    True
    """
    forward = microscope(np.shape(image), psf, scale=scale, workers=workers)
    for estimate, _ in iterates(forward, image, background):
        yield estimate[forward.window].copy()


def richardson_lucy(
    image: Array,
    psf: Array,
    *,
    iterations: int | Literal["auto"],
    scale: int = 1,
    background: float | Array = 0.0,
    noise_variance: float | Array | None = None,
    callback: Callable[[int, Float32], bool | None] | None = None,
    workers: int = 1,
) -> Float32:
    """Deconvolve an image by Richardson-Lucy.

    Parameters
    ----------
    image, psf, scale, background, workers
        As in `richardson_lucy_iterates`.
    iterations : int or "auto"
        Number of iterations. "auto" takes that of `blind_stop`.
    noise_variance : float or ndarray of the shape of the image, counts squared, optional
        For "auto"; see `blind_stop`.
    callback : callable, optional
        Called with the number of the iteration, from 1, and the estimate; True ends the run there.

    Returns
    -------
    ndarray, float32, shape ``(Z, scale * Y, scale * X)``
        Not negative, in the unit of the image, background removed.

    Raises
    ------
    SuperlensError
        The image is constant zero, negative or not finite, or the PSF does not suit it.

    Examples
    --------
    >>> point = np.zeros((15, 15)); point[7, 7] = 90
    >>> sharp = richardson_lucy(ndimage.uniform_filter(point, 3), np.full((3, 3), 1 / 9), iterations=50)
    >>> bool(sharp[7, 7] > 80)
    True
    """
    if iterations == "auto":
        most = blind_stop(
            image, psf, scale=scale, background=background, noise_variance=noise_variance, workers=workers
        )
    elif isinstance(iterations, int | np.integer) and iterations >= 1:
        most = int(iterations)
    else:
        raise SuperlensError(f"iterations is {iterations!r}; expected a whole number from 1, or 'auto'.")
    forward = microscope(np.shape(image), psf, scale=scale, workers=workers)
    for count, (estimate, _) in enumerate(iterates(forward, image, background), start=1):
        if count >= most and callback is None:
            break
        if callback is not None and (callback(count, estimate[forward.window].copy()) or count >= most):
            break
    return estimate[forward.window].copy()


def smooth_background(image: Array, window: float) -> Float32:
    """A lower envelope of an image, for out-of-focus light: the least of a window of the image smoothed by a pixel, made smooth again.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X), counts minus offset
        A volume is taken slice by slice.
    window : float
        Camera pixels; wider than the structures in focus and narrower than the haze.

    Returns
    -------
    ndarray, float32, shape of the image
        Not negative.

    Examples
    --------
    >>> float(smooth_background(np.full((8, 8), 3.0), 4).max())
    3.0
    """
    along = (0.0,) * (np.ndim(image) - 2)
    smooth = ndimage.gaussian_filter(np.asarray(image, np.float32), (*along, 1, 1))
    side = max(1, round(window))
    least = ndimage.minimum_filter(smooth, (*(1 for _ in along), side, side))
    return np.asarray(np.maximum(ndimage.gaussian_filter(least, (*along, window / 2, window / 2)), 0), np.float32)


def blind_stop(
    image: Array,
    psf: Array,
    *,
    scale: int = 1,
    background: float | Array = 0.0,
    noise_variance: float | Array | None = None,
    workers: int = 1,
) -> int:
    """Find the iteration at which Richardson-Lucy comes closest to the specimen at 1.5 times the resolution of the PSF.

    Two images with independent noise are made from the one by recorruption, ``y + s g / 2`` and ``y - 2 s g`` with
    normal ``g``. The first is deconvolved. The second is filtered so that it shows, without bias but with much noise,
    the specimen through the PSF made 1.5 times narrower. Their mean squared difference, less a constant, is the error
    of the estimate; its minimum is the answer. A second draw with ``-g`` cancels most of the chance. (That the model
    explains the data says little here: bright points ask for hundreds of iterations while noise grows elsewhere.)

    Parameters
    ----------
    image, psf, scale, background, workers
        As in `richardson_lucy_iterates`.
    noise_variance : float or ndarray of the shape of the image, counts squared, optional
        Of each pixel. When not given, its mean is that of `blind_noise_variance`, and it follows the smoothed image, as
        that of photons does.

    Returns
    -------
    int
        From 1 to 200. The noise that is added is the same every time, so the answer is too.

    References
    ----------
    Pang et al., Recorrupted-to-recorrupted, CVPR 2021, for the two images. Eldar, IEEE Trans. Signal Process. 57, 471
    (2009), for error estimates of this kind.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> blind_stop(rng.poisson(5.0, (64, 64)), np.outer([1, 2, 1], [1, 2, 1]) / 16) < 10
    True
    """
    image = np.asarray(image, np.float32)
    image = np.where(np.isfinite(image), image, _finite_mean(image))
    if noise_variance is None:
        noise_variance = _photon_like_variance(image, blind_noise_variance(image, psf, scale=scale))
    noise = np.sqrt(noise_variance) * np.random.default_rng(0).standard_normal(image.shape)
    forward = microscope(image.shape, psf, scale=scale, workers=workers)
    runs = [_held_out_errors(forward, psf, image, sign * noise, background) for sign in (1, -1)]
    best, least = 1, math.inf
    for count, errors in enumerate(zip(*runs, strict=True), start=1):
        if sum(errors) < least:
            best, least = count, sum(errors)
        if count >= min(best + _PATIENCE, _MOST_ITERATIONS):
            break
    return best


def blind_noise_variance(image: Array, psf: Array, *, scale: int = 1) -> float:
    """Estimate the mean variance of white noise from the spatial frequencies that the PSF lets through least.

    Parameters
    ----------
    image : ndarray, shape (Y, X) or (Z, Y, X)
        With noise that is independent from pixel to pixel; its variance may differ. Values that are not finite are
        replaced by the mean.
    psf : ndarray
        On the fine grid; see `microscope`.
    scale : int
        Fine pixels for each camera pixel along y and x.

    Returns
    -------
    float
        In the squared unit of the image. Too large where the image is undersampled, so that the specimen reaches all
        frequencies.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 3, (128, 128))
    >>> bool(abs(blind_noise_variance(noise, np.outer([1, 2, 1], [1, 2, 1]) / 16) - 9) < 1)
    True
    """
    image = np.asarray(image, np.float64)
    factors = [1 if axis < image.ndim - 2 else scale for axis in range(image.ndim)]
    fine = [n * f for n, f in zip(image.shape, factors, strict=True)]
    transfer = np.fft.fftshift(np.abs(fft.fftn(centred(checked_psf(psf, image.ndim), fine))))
    transfer = transfer[
        tuple(slice(m // 2 - n // 2, m // 2 - n // 2 + n) for m, n in zip(fine, image.shape, strict=True))
    ]
    image = np.where(np.isfinite(image), image, _finite_mean(image))
    window = np.ones(image.shape)
    for axis, n in enumerate(image.shape):
        taper = signal.windows.tukey(n + 2, 0.25)[1:-1]
        window *= taper.reshape([-1 if i == axis else 1 for i in range(image.ndim)])
    power = np.fft.fftshift(np.abs(fft.fftn((image - image.mean()) * window)) ** 2)
    quiet = transfer <= np.quantile(transfer, 0.2)
    return float(power[quiet].mean() / np.sum(window**2))


def iterates(forward: ForwardModel, image: Array, background: float | Array) -> Iterator[tuple[Float32, Float32]]:
    """Yield each estimate on the whole domain (reused, do not keep) and the model of the image it was made from."""
    image = np.asarray(image, np.float32)
    seen = np.isfinite(image)
    data = np.where(seen, np.maximum(image, 0), 0)
    level = float(data[seen].mean()) if seen.any() else 0.0
    behind = np.asarray(background, np.float32)
    start = level - float(behind.mean())
    if level <= 0 or start <= 0:
        raise SuperlensError(
            f"image has a mean of {level:.4g} above zero and background is {behind.mean():.4g}; nothing to deconvolve."
        )
    weights = forward.adjoint(seen)
    usable = weights > _LEAST_WEIGHT * weights.max()
    inverse = np.where(usable, 1 / np.where(usable, weights, 1), 0).astype(np.float32)
    estimate = np.full(forward.domain, start, np.float32)
    floor = np.float32(_LEAST_MODEL * level)
    model = forward.apply(estimate) + behind
    while True:
        ratio = data / np.maximum(model, floor)
        ratio *= seen
        estimate *= forward.adjoint(ratio)
        estimate *= inverse
        np.maximum(estimate, 0, out=estimate)  # rounding of the transforms
        model = forward.apply(estimate) + behind
        yield estimate, model


def _held_out_errors(
    forward: ForwardModel, psf: Array, image: Array, noise: Array, background: float | Array
) -> Iterator[float]:
    """Yield the error of each iterate of a recorrupted image against its other half, less a constant."""
    target = _sharpened(image - 2 * noise - background, psf, forward)
    for estimate, _ in iterates(forward, image + noise / 2, background):
        seen = estimate[forward.window]
        yield float(np.mean(seen * (seen - 2 * target)))


def _sharpened(image: Array, psf: Array, forward: ForwardModel) -> Float32:
    """Return the specimen through the narrowed PSF, on the fine grid, without bias where the image carries it."""
    factors = forward.factors
    camera = tuple(n // f for n, f in zip(forward.domain, factors, strict=True))
    window = tuple(slice(w.start // f, w.stop // f) for w, f in zip(forward.window, factors, strict=True))
    spectrum = fft.rfftn(repeated(mirrored(image, camera, window), factors))
    psf = checked_psf(psf, image.ndim)
    wide, narrow = (np.abs(fft.rfftn(centred(p, forward.domain))) for p in (psf, _narrowed(psf)))
    for axis, (n, factor) in enumerate(zip(forward.domain, factors, strict=True)):
        frequency = fft.rfftfreq(n) if axis == image.ndim - 1 else fft.fftfreq(n)
        box = np.sinc(factor * frequency) / np.sinc(frequency)  # binning; repeating does it once more
        seen = np.abs(frequency) < 0.5 / factor
        along = [-1 if i == axis else 1 for i in range(image.ndim)]
        wide = wide * np.where(seen, box**2, 0).reshape(along)
    filter_ = np.divide(narrow, wide, out=np.zeros_like(wide), where=wide > narrow / _MOST_GAIN)
    return np.asarray(fft.irfftn(spectrum * filter_, forward.domain)[forward.window], np.float32)


def _narrowed(psf: Array) -> Array:
    centre = np.array(psf.shape) // 2
    narrow = ndimage.affine_transform(psf, np.full(psf.ndim, _NARROWER), centre * (1 - _NARROWER), order=3)
    narrow = np.maximum(narrow, 0)
    return np.asarray(narrow / narrow.sum())


def _photon_like_variance(image: Array, mean_variance: float) -> Array:
    level = np.maximum(ndimage.uniform_filter(image, 5, mode="mirror"), 0)
    level = level + 0.1 * level.mean() + 1e-12
    return np.asarray(mean_variance * level / level.mean())


def _finite_mean(image: Array) -> float:
    finite = image[np.isfinite(image)]
    return float(finite.mean()) if finite.size else 0.0
