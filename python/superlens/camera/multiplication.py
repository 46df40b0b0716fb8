"""Cameras that multiply electrons before they read them (EMCCD): recognised from an image, and their light dealt out.

A multiplication register turns n electrons into a number of gamma distribution, of shape n. Seen by its variance, such a camera is one of twice the gain
without multiplication; but its noise is skewed, and single electrons differ in brightness. In: counts, and an explicit rng. Out: a yes or no, and the
share of each pixel's light that goes to the first of two independent copies.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

__all__ = ["EXCESS", "multiplies", "shares_of_light"]

Array = NDArray[np.float64]

EXCESS = 2.0
"""Variance of multiplied light over that of as many electrons without multiplication."""

_SKEWED = 1.1
"""Third cumulants over those of Poisson light of the same variance, above which light is taken for multiplied.

Poisson light has 1, or less with read noise, multiplied light 1.5. Nearer to 1, since plain light taken for multiplied costs next to nothing, and multiplied light
taken for plain leaves specks in what is learned.
"""

_STRUCTURE = (0.9, 1.2)  # variances over those of the noise: beyond, structure is left or the noise is unlike
_LEAST_CLASS = 800  # pixels that a class of brightness shall have
_FEWEST_CLASSES = 3
_CLASSES = 16
_FEWEST = 100  # pixels in a class of brightness
_TOP = 0.995  # quantile of brightness above which classes are too wide
_LEAST_VARIANCE = 0.02  # of a class, over the median one
_MOST_AT_TOP = 2e-3  # share of a class that may be cut off at the top
_MOST_PIXELS = 1 << 20

_BESIDE = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]) / 4
_ACROSS = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]) / 4

_FINEST = 20.0  # root of (expected times seen electrons) above which the number of electrons is taken for normal
_STEP = 0.05


def multiplies(planes: NDArray[np.floating], gain: float, dark: float, *, doubt: float = 0.0) -> bool:
    """Whether the noise is as skewed as that of multiplied electrons.

    Parameters
    ----------
    planes : ndarray, shape (N, Y, X), counts
        Of independent pixels, saturated ones as they were read.
    gain : float
        Growth of the variance of the noise with the mean counts.
    dark : float
        Counts at which that variance is 0.
    doubt : float
        Relative standard error of `gain`.

    Returns
    -------
    bool
        False also where the image does not say: with many photons all noise is Gaussian and structure is stronger, and in very small images chance
        reaches as far.

    Notes
    -----
    Light of the mean m above `dark` has the variance ``gain * m``. Of Poisson light the third cumulant is ``gain**2 * m``, less where a part of the noise is
    read noise; behind a multiplier of that variance it is ``1.5 * gain**2 * m``. Both cumulants are measured in classes of like brightness, and the third ones
    are weighed by what chance makes of them, ``1 / (gain * m)**3``. Structure is taken out of them by the neighbours of a pixel, whose noise is their own:
    with r of the pixel, a of the four beside it and b of the four across corners, all less the mean of a ring around them, the cumulants are the means of
    ``r * (r - a)`` and of ``r**3 - 3 * r**2 * a + 2 * r * a * b``. Structure that is left shows in second cumulants above ``gain * m``; where they are much
    above it, nothing is said.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> light = np.tile(np.linspace(0.5, 6.0, 256), (256, 1))
    >>> multiplies(rng.poisson(light)[None], 1.0, 0.0), multiplies(rng.standard_gamma(rng.poisson(light))[None], 2.0, 0.0)
    (False, True)
    """
    stack = np.asarray(planes, np.float64)[: max(1, _MOST_PIXELS // (planes.shape[-2] * planes.shape[-1]))]
    ring = np.zeros((5, 5))
    ring[2, 2] = 1.0
    ring = ndimage.gaussian_filter(ring, 1.0)
    ring[1:4, 1:4] = 0.0
    around = _filtered(stack, ring / ring.sum())
    own, beside, across = stack - around, _filtered(stack, _BESIDE) - around, _filtered(stack, _ACROSS) - around
    second = own * (own - beside)
    third = own * (own * (own - 3 * beside) + 2 * beside * across)
    at_top = stack == stack.max()
    most = _MOST_AT_TOP if at_top.mean() > _MOST_AT_TOP / 10 else 1.0
    classes = min(max(stack.size // _LEAST_CLASS, _FEWEST_CLASSES), _CLASSES)
    label = np.searchsorted(np.quantile(around, np.linspace(0.0, _TOP, classes + 1)), around.ravel(), side="right")
    size = classes + 2
    number = np.bincount(label, minlength=size).astype(float)
    mean, variance, skewness, square, top = (
        np.bincount(label, values.ravel(), size) / np.maximum(number, 1)
        for values in (stack, second, third, third**2, at_top)
    )
    within = np.arange(size)
    told = (number >= _FEWEST) & (within > 0) & (within <= classes) & (mean > dark) & (top <= most)
    if gain <= 0 or np.count_nonzero(told) < _FEWEST_CLASSES:
        return False
    number, mean, variance, skewness, square = (one[told] for one in (number, mean, variance, skewness, square))
    expected = gain * (mean - dark)
    expected = np.maximum(expected, _LEAST_VARIANCE * np.median(expected))
    structure = np.average(variance / expected, weights=number)
    if not _STRUCTURE[0] < structure < _STRUCTURE[1]:
        return False
    weight, plain = number / expected**3, gain * expected * structure**2
    total = np.sum(weight * plain**2)
    ratio = np.sum(weight * plain * skewness) / total
    chance = np.sqrt(np.sum((weight * plain) ** 2 * np.maximum(square - skewness**2, 0.0) / number)) / total
    return bool(ratio - np.hypot(chance, ratio * doubt) > _SKEWED)


def shares_of_light(
    seen: NDArray[np.floating], expected: NDArray[np.floating], p: float, rng: np.random.Generator
) -> Array:
    """Deal the electrons of each pixel out to two copies, and say how much of its light the first one gets.

    Parameters
    ----------
    seen, expected : ndarray of one shape, electrons
        What a multiplier made of the electrons of a pixel, over its mean multiplication, and their expected number.
    p : float
        Probability of an electron to go to the first copy.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, of that shape
        0 to 1; where no light is seen 0.

    Notes
    -----
    Of a pixel with the light x and m expected electrons, n electrons have the probability ``(m x)^n / (n! (n - 1)!)`` up to a factor: n - 1 has the
    Bessel distribution of order 1 (L. Yuan and J. D. Kalbfleisch, Ann. Inst. Stat. Math. 52, 438 (2000)). Of them b, a binomial number, go to the
    first copy, and with them a share of the light of the beta distribution B(b, n - b). Both copies are then multiplied Poisson light,
    and independent.
    """
    light = np.maximum(np.asarray(seen, np.float64), 0.0)
    number = np.where(light > 0, _electrons(np.sqrt(light * np.maximum(expected, 1e-3)), rng), 0)
    first = rng.binomial(number, p)
    both = (first > 0) & (first < number)
    share = (first > 0).astype(np.float64)
    share[both] = rng.beta(first[both], (number - first)[both])
    return share


def _electrons(root: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one more than a number of the Bessel distribution of order 1, whose argument is twice ``root``."""
    normal = root + 0.25 + np.sqrt(root / 2) * rng.standard_normal(root.shape)
    number = np.maximum(np.rint(normal), 1).astype(np.int64)
    few = root < _FINEST
    row = np.floor(root[few] / _STEP + rng.random(np.count_nonzero(few))).astype(
        np.int64
    )  # one or the other, so that the mean is right
    table = _sums()
    found = np.searchsorted(table.ravel(), row + rng.random(row.shape), side="right")
    number[few] = found - row * table.shape[1] + 1
    return number


@functools.cache
def _sums() -> Array:
    """Row i: probabilities of 1, 2, ... electrons or fewer at the root i * `_STEP`, plus i, so that all rows together ascend."""
    root = np.arange(round(_FINEST / _STEP) + 2) * _STEP
    number = np.arange(1, int(_FINEST + 8 * np.sqrt(_FINEST)))
    logs = 2 * special.xlogy(number - 1, root[:, None]) - special.gammaln(number) - special.gammaln(number + 1)
    weight = np.exp(logs - logs.max(axis=1, keepdims=True))
    sums = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    sums[:, -1] = 1.0
    return np.asarray(np.minimum(sums, 1.0) + np.arange(len(root))[:, None])


def _filtered(stack: Array, kernel: Array) -> Array:
    return np.asarray(ndimage.correlate(stack, kernel[None], mode="mirror"))
