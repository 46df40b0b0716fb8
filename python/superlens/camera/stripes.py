"""Fixed stripes of a camera or a scan: found by what they alone do, and taken off without touching the specimen.

A stripe along x adds the same value to a whole row. In Fourier space the stripes of all rows lie on one line, at frequency 0 along x, where
the specimen has its power too. Two things tell them apart. Stripes are the same in every part of the field along their length, and
noise and structures that end somewhere are not: `find_stripes` measures the power that distant parts of the field *share*, next to what each of
them has. And the specimen's own power lies at low frequencies: the lowest are guarded and left alone, and below 0.2 cycles per pixel no
more counts as stripes than their power above lets expect. What is taken off is a Wiener estimate from the shared power, frequency by
frequency, so that with nothing shared nothing is taken off; rows in which the parts disagree, or that stand out from all others, are held back.

In: an image, or several planes with the same stripes, in counts. Out: `Stripes`, one value a row or a column, of mean zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from superlens.errors import SuperlensError

__all__ = ["StripeChoice", "Stripes", "find_stripes"]

Array = NDArray[np.float64]

StripeChoice: TypeAlias = Literal["auto", "x", "y", "off"]
"""Stripes along x, along y, along both as far as they are found, or none to be looked for."""

_PARTS = 8  # parts of the field along a stripe that are held against one another
_APART = 3  # parts that are compared lie at least so far apart, so that a structure on the slant is not in both
_MEDIAN = np.pi / 2  # variance of a median of noise, over that of a mean
_OPEN = 0.2  # cycles per pixel: below, no more is taken for stripes than what their power above lets expect,
_EXCESS = 1.5  # times this
_SIGMA_PER_MAD = 1.4826
_UNUSUAL = 3.5  # standard deviations of the rows from which a row is a matter of the specimen
_GUARD = 0.04  # cycles per pixel: below, shared power may be the specimen's
_BASELINE = 0.25 / _GUARD  # pixels: the specimen is taken for smooth on this scale
_STRUCTURE = 1.5  # pixels: width of what is looked for as structure
_CERTAIN = 8.0  # standard errors of the shared power, over all frequencies, from which stripes are believed
_LEAST = 64  # pixels along each side; fewer hold too few frequencies


@dataclass(frozen=True, slots=True, eq=False)
class Stripes:
    """What stripes add to an image.

    Attributes
    ----------
    rows : ndarray, shape (Y,), float64, counts, or None
        Of stripes along x: one value for each row; None where none were found.
    columns : ndarray, shape (X,), float64, counts, or None
        Of stripes along y.
    certainty : tuple of float
        Shared power over its standard error, along x and along y; above 8 stripes are believed.
    """

    rows: Array | None
    columns: Array | None
    certainty: tuple[float, float]

    @property
    def found(self) -> bool:
        """Whether there is anything to take off."""
        return self.rows is not None or self.columns is not None

    def removed_from(self, data: ArrayLike, y: slice | None = None, x: slice | None = None) -> NDArray[np.float32]:
        """Take the stripes off.

        Parameters
        ----------
        data : array_like, shape (..., Y, X), counts
            The image, or that part of it.
        y, x : slice, optional
            Which part of the field `data` is.

        Returns
        -------
        ndarray, shape of `data`, float32, counts
        """
        values = np.asarray(data, np.float32)
        if self.rows is not None:
            values = values - self.rows[y or slice(None)][:, None].astype(np.float32)
        if self.columns is not None:
            values = values - self.columns[x or slice(None)].astype(np.float32)
        return values


def find_stripes(data: ArrayLike, choice: StripeChoice = "auto") -> Stripes:
    """Look for stripes that are fixed over the field.

    Parameters
    ----------
    data : array_like, shape (..., Y, X), counts
        One plane, or several with the same stripes; finite.
    choice : {"auto", "x", "y", "off"}
        ``"x"`` and ``"y"`` look along that direction only, and take off what they find even where it is uncertain.

    Returns
    -------
    Stripes
        Empty where nothing was found.

    Raises
    ------
    SuperlensError
        If a side is shorter than 64 pixels, or a value is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise, stripes = rng.normal(size=(128, 128)), rng.normal(size=(128, 1))
    >>> find_stripes(noise).found, find_stripes(noise + stripes).rows is not None
    (False, True)
    """
    mean = _mean_plane(data)
    found: dict[str, tuple[Array, float]] = {}
    for direction, plane in (("x", mean), ("y", mean.T)):
        if choice in ("auto", direction):
            found[direction] = _shared_profile(plane)
    certainty = (found.get("x", (mean, 0.0))[1], found.get("y", (mean, 0.0))[1])
    kept = {
        way: profile for way, (profile, sure) in found.items() if (choice == way or sure > _CERTAIN) and profile.any()
    }
    return Stripes(kept.get("x"), kept.get("y"), certainty)


def _mean_plane(data: ArrayLike) -> Array:
    values = np.asarray(data, np.float64)
    if values.ndim < 2 or min(values.shape[-2:]) < _LEAST:
        raise SuperlensError(
            f"data has the shape {values.shape}; stripes are looked for in at least {_LEAST} x {_LEAST} pixels. "
            "Leave `remove_stripes` out."
        )
    if not np.isfinite(values).all():
        raise SuperlensError("data holds NaN or infinite values; expected finite counts. Fill or crop them first.")
    return np.asarray(values.reshape(-1, *values.shape[-2:]).mean(axis=0))


def _shared_profile(plane: Array) -> tuple[Array, float]:
    """Value of each row that all parts of the field share, and how certain it is that they share any."""
    height, width = plane.shape
    edges = np.linspace(0, width, _PARTS + 1).astype(int)
    parts = np.stack([_profile(plane[:, a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)])
    window = np.hanning(height + 2)[1:-1]
    spectra = fft.rfft(parts * window, axis=1)
    frequency = fft.rfftfreq(height)
    apart = np.triu(np.ones((_PARTS, _PARTS), bool), _APART)
    products = np.einsum("if,jf->ijf", spectra, spectra.conj()).real
    shared = products[apart].mean(axis=0)  # 0 for noise, the power for stripes
    level = np.maximum(_smooth((np.abs(spectra) ** 2).mean(axis=0)), 1e-300)
    looked = frequency >= _GUARD
    # Each frequency counts by its own level, or the specimen's low ones would drown the rest; neighbours share by the window.
    certainty = float((shared / level)[looked].sum() / np.sqrt(looked.sum() / apart.sum()))
    steady = np.maximum(_smooth(shared), 0.0)
    fine = frequency >= _OPEN
    steady[~fine] = np.minimum(steady[~fine], _EXCESS * max(float(shared[fine].mean()), 0.0))
    gain = np.where(looked, steady / (steady + np.maximum(level - steady, 0.0) * (_MEDIAN / _PARTS)), 0.0)
    power = 2 * float(steady[looked].sum()) / (height * float(np.sum(window**2)))
    middle = _agreed(parts, power)
    mirrored = np.concatenate([middle, middle[::-1]])
    double = np.interp(fft.rfftfreq(2 * height), frequency, gain)
    profile = fft.irfft(fft.rfft(mirrored) * double, 2 * height)[:height]
    return np.asarray(profile - profile.mean()), certainty


def _agreed(parts: Array, power: float) -> Array:
    """Median over the parts, held back in rows where they disagree: there lies structure, and not a stripe alone."""
    middle = np.median(parts, axis=0)
    spread = np.median(np.abs(parts - middle), axis=0)
    error = _MEDIAN * (_SIGMA_PER_MAD * spread) ** 2 / _PARTS
    usual = _SIGMA_PER_MAD * np.median(np.abs(middle))
    held = np.where(np.abs(middle) > _UNUSUAL * usual, 0.0, middle)  # no stripe like the others: a straight structure
    return np.asarray(held * power / np.maximum(power + error, 1e-300))


def _profile(part: Array) -> Array:
    """What a row has over its neighbours, from its quiet pixels: the median of those away from structure."""
    level = part - ndimage.gaussian_filter1d(part, _BASELINE, axis=0, mode="reflect")
    rows = np.median(level, axis=1, keepdims=True)
    bumps = np.abs(ndimage.gaussian_filter(level - rows, _STRUCTURE, mode="reflect"))
    quiet = bumps <= 3 * np.median(bumps)
    values = np.where(quiet, level, np.nan)
    enough = quiet.sum(axis=1) >= 5
    return np.asarray(np.where(enough, _nanmedian(values, enough), rows[:, 0]))


def _nanmedian(values: Array, enough: NDArray[np.bool_]) -> Array:
    found = np.zeros(len(values))
    found[enough] = np.nanmedian(values[enough], axis=1)
    return found


def _smooth(power: Array) -> Array:
    """Mean over neighbouring frequencies, which steadies the estimate."""
    kernel = np.ones(5) / 5
    return np.asarray(np.convolve(np.pad(power, 2, mode="reflect"), kernel, mode="valid"))
