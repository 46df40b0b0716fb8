"""Simulated fields of thick specimens in a wide-field microscope: what lies in focus, and the light that comes from elsewhere.

A field is a few planes within the depth of field, which are the truth, and up to ten planes above and below, which arrive through the
point spread function widened in proportion to their distance from the focus. A part of the in-focus light may be scattered into a skirt,
and the stated width of the point spread function may be wrong. In: specimens and a random generator. Out: what the network for haze sees
(`superlens.observing.haze`) and the share of the light of each cell that is not in focus.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from superlens.observing.haze import cell_side, cells_of, channels_of
from superlens.starts.optics import airy_otf, gauss_otf
from superlens.starts.specimens import FINE, a_specimen

__all__ = ["FIELD_CELLS", "draw_field"]

Array = NDArray[np.float32]
Rng = np.random.Generator

FIELD_CELLS = 128
"""Side of a field, cells."""

_COARSE = 64  # side of a field that varies over its whole width
_ZOOM = (0.4, 4.0)  # of a specimen's structures, relative to one whose picture fills the field
_BLUR_IN_FOCUS = (
    0.57  # extra width of a plane half of n wavelength / NA^2 away from the focus, relative to that of the PSF
)
_DEEPEST = (3.0, 80.0)  # the same of the farthest plane
_OFF = 0.12  # logarithm of the error of the stated width, standard deviation


def draw_field(pool: NDArray[np.float16], rng: Rng) -> tuple[Array, Array]:
    """Simulate a field of 128 x 128 cells.

    Parameters
    ----------
    pool : ndarray, shape (N, 256, 256), float16
        From `superlens.starts.specimens.specimens`.
    rng : numpy.random.Generator

    Returns
    -------
    channels : ndarray, shape (128, 128, HAZE_CHANNELS), float32
        As `superlens.observing.haze.channels_of` gives them.
    goal : ndarray, shape (128, 128, 2), float32
        Share of the light that is haze, and how much the cell counts.
    """
    stated = float(np.exp(rng.uniform(np.log(1.2), np.log(8))))  # camera pixels
    fwhm = stated * float(np.exp(np.clip(rng.normal(0, _OFF), -0.3, 0.3))) if rng.random() < 0.6 else stated
    side = cell_side(stated)
    focus, haze = _in_depth(pool, FIELD_CELLS * side, fwhm, rng)
    if rng.random() < 0.3:  # uneven light
        lamp = _lamp(focus.shape, rng)
        focus, haze = focus * lamp, haze * lamp
    if rng.random() < 0.3:  # an even background
        haze = haze + rng.uniform(0, 0.5) * (focus + haze).mean()
    photons = np.exp(rng.uniform(np.log(3), np.log(1000))) / _bright(focus + haze)
    focus, haze = focus * photons, haze * photons
    noisy, sigma = _recorded(focus + haze, rng)
    channels = channels_of(cells_of(noisy, sigma, stated), stated)
    out, total = (_means(one, side) for one in (haze, focus + haze))
    weight = 0.2 + np.minimum(total / _bright(total), 2)
    return channels, np.stack([out / np.maximum(total, 1e-6), weight], -1).astype(np.float32)


def _in_depth(pool: NDArray[np.float16], side: int, fwhm: float, rng: Rng) -> tuple[Array, Array]:
    """Light from the depth of field and from elsewhere, of mean 1 together; periodic, ``side`` camera pixels."""
    k = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None, :]).astype(np.float32) * fwhm
    psf = airy_otf(k / 1.02) if rng.random() < 0.6 else gauss_otf(k)
    zoom = float(np.exp(rng.uniform(*np.log(_ZOOM))))
    inside = _inside(side, rng) if rng.random() < 0.5 else np.ones((side, side), np.float32)

    def plane() -> NDArray[Any]:
        part = _spread(a_specimen(pool, rng, even=0), side, zoom * float(np.exp(rng.normal(0, 0.3))))
        return np.asarray(fft.rfft2(part * inside))

    def drawn(number: int, first: NDArray[Any], least: float, most: float) -> NDArray[Any]:
        """The sum of some planes, each the first one moved or another, at extra widths between two."""
        total, kin = np.zeros_like(first), rng.random()
        for _ in range(number):
            one = _rolled(first, side, rng) if rng.random() < kin else plane()
            bright = np.exp(rng.normal(0, 0.6)) / max(float(one[0, 0].real), 1e-9)
            total += bright * one * gauss_otf(k * rng.uniform(least, most))
        return total

    first = plane()
    within = first / max(float(first[0, 0].real), 1e-9)
    if rng.random() < 0.5:
        within = within + drawn(int(rng.integers(1, 3)), first, 0.1, _BLUR_IN_FOCUS)
    focus, haze = _seen(within * psf, side), np.zeros((side, side), np.float32)
    share = 0.0 if rng.random() < 0.25 else float(rng.uniform(0.1, 0.97))
    if share:
        deepest = float(np.exp(rng.uniform(*np.log(_DEEPEST))))
        elsewhere = drawn(int(rng.integers(2, 11)), first, _BLUR_IN_FOCUS, deepest)
        haze = _seen(elsewhere * psf, side)
    if rng.random() < 0.4:  # a skirt that the stated width says nothing of
        scattered = rng.uniform(0, 0.4)
        skirt = _seen(within * psf * gauss_otf(k * rng.uniform(1.7, 5)), side)
        haze = (1 - share) * scattered * skirt / max(float(skirt.mean()), 1e-9) + share * haze / max(
            float(haze.mean()), 1e-9
        )
        focus = (1 - share) * (1 - scattered) * focus / max(float(focus.mean()), 1e-9)
        return focus, haze
    return (1 - share) * focus / max(float(focus.mean()), 1e-9), share * haze / max(float(haze.mean()), 1e-9)


def _spread(specimen: NDArray[np.floating[Any]], side: int, zoom: float) -> Array:
    """A part of a periodic specimen, or several of it side by side, as a square of ``side`` pixels."""
    at = (np.arange(side) + 0.5) * (FINE / (side * zoom))
    if zoom * side < FINE:  # averaged, not picked
        specimen = ndimage.uniform_filter(specimen, max(1, round(FINE / (side * zoom))), mode="wrap")
    low = np.floor(at).astype(int) % FINE
    rest, high = (at - np.floor(at)).astype(np.float32), (low + 1) % FINE
    rows = specimen[low] * (1 - rest[:, None]) + specimen[high] * rest[:, None]
    return np.asarray(rows[:, low] * (1 - rest) + rows[:, high] * rest, np.float32)


def _rolled(spectrum: NDArray[Any], side: int, rng: Rng) -> NDArray[Any]:
    down, right = rng.normal(0, side / 8, 2)
    turn = np.exp(-2j * np.pi * (down * fft.fftfreq(side)[:, None])) * np.exp(-2j * np.pi * right * fft.rfftfreq(side))
    return np.asarray(spectrum * turn.astype(np.complex64))


def _seen(spectrum: NDArray[Any], side: int) -> Array:
    return np.asarray(np.maximum(fft.irfft2(spectrum, (side, side)), 0), np.float32)


def _smooth_field(side: int, rng: Rng) -> Array:
    """A field between 0 and 1 whose bumps are an eighth to a third of its side wide."""
    coarse = ndimage.gaussian_filter(rng.random((_COARSE, _COARSE)), rng.uniform(4, 14), mode="wrap")
    coarse = (coarse - coarse.min()) / np.ptp(coarse)
    return np.asarray(ndimage.zoom(coarse, side / _COARSE, order=1), np.float32)


def _inside(side: int, rng: Rng) -> Array:
    """Cells with edges, soft or hard."""
    return np.asarray(
        1 / (1 + np.exp(-(_smooth_field(side, rng) - rng.uniform(0.2, 0.6)) * rng.uniform(6, 40))), np.float32
    )


def _lamp(shape: tuple[int, ...], rng: Rng) -> Array:
    y, x = (np.linspace(-1, 1, n) + rng.normal(0, 0.4) for n in shape)
    return np.exp(-0.5 * (np.square(y)[:, None] + np.square(x)) / rng.uniform(0.3, 2) ** 2).astype(np.float32)


def _recorded(light: Array, rng: Rng) -> tuple[Array, Array]:
    """Noisy counts, and the standard deviation that noise has as estimated from them; a quarter of the noise is shared by neighbours."""
    read_noise = rng.uniform(0, 4)
    noise = rng.poisson(light) + read_noise * rng.standard_normal(light.shape) - light
    if rng.random() < 0.25:
        width = rng.uniform(0.3, 0.9)
        noise = ndimage.gaussian_filter(noise, width, mode="wrap")
        noise *= np.sqrt(light.mean() + read_noise**2) / max(float(noise.std()), 1e-9)
    noisy = light + noise
    sigma = np.sqrt(np.maximum(ndimage.uniform_filter(noisy, 5, mode="wrap"), 0.05) + read_noise**2)
    return noisy.astype(np.float32), sigma.astype(np.float32)


def _bright(light: Array) -> float:
    """What bright places show, also where less than a hundredth of the field is bright."""
    return max(float(np.percentile(light, 99)), 0.05 * float(light.max()), 1e-6)


def _means(image: Array, side: int) -> Array:
    blocks = image.reshape(image.shape[0] // side, side, image.shape[1] // side, side)
    return np.asarray(blocks.mean((1, 3)))
