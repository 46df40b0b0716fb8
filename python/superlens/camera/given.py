"""Values of a camera that are given, held against what the image says of itself.

A wrong gain or offset makes every number that follows wrong, with the same confidence. An image with light enough tells the gain by
itself, and bounds offset and read noise: no part of it is quieter than the shot noise of the light that it is said to hold, or than the
read noise. In: the line of noise variance over brightness that the image was found to follow, and what is given. Out: sentences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from superlens.errors import SuperlensError

__all__ = ["FreeLine", "about_gain", "about_pixels_below", "contradictions", "refuse_offset"]

_CERTAIN = 5.0
"""Standard errors of the slope: with that, 1000 simulated images of all kinds, light levels and cameras tell the gain within a factor of 1.65."""
_OFF = 1.7  # factor
_SAME = 1.3  # factor within which two gains are called close to each other
_MOST_BELOW = 0.5  # share of the pixels
_SOME_BELOW = 0.01
_BEYOND = 2.5  # deviations of the noise, and one count


@dataclass(frozen=True, slots=True)
class FreeLine:
    """The noise of an image as it grows with brightness, read without what is given.

    Attributes
    ----------
    dark : float
        Counts of the darkest part.
    level : float
        Noise variance there, counts squared.
    gain : float
        Slope: counts per electron.
    certainty : float
        The slope over its standard error; 0 where the image does not tell.
    most : float
        The gain is hardly higher; infinite where the image does not tell.
    """

    dark: float
    level: float
    gain: float
    certainty: float
    most: float = math.inf

    @classmethod
    def of(cls, dark: float, level: float, slope: float, error: float) -> FreeLine:
        """From a slope and its standard error, which is infinite or 0 where the image does not tell."""
        if not 0 < error < math.inf:
            return cls(dark, level, slope, 0.0)
        return cls(dark, level, slope, slope / error, max(slope, 0.0) + _CERTAIN * error)

    @property
    def certain(self) -> bool:
        """Whether the image shows the gain."""
        return self.certainty > _CERTAIN and self.gain > 0


def contradictions(
    line: FreeLine, *, offset: float | None = None, gain: float | None = None, read_noise_e: float | None = None
) -> tuple[str, ...]:
    """Say which of the values that are given the image contradicts, by a factor of about two or more.

    Parameters
    ----------
    line : FreeLine
    offset, gain, read_noise_e : float or None
        What is given, in counts, counts per electron and electrons.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> contradictions(FreeLine(dark=110.0, level=40.0, gain=2.1, certainty=20.0), gain=0.47)[0]
    '`gain` is 0.47; the image suggests 2.1, close to its inverse: did you give electrons per count? Expected counts per electron.'
    """
    said = []
    if gain is not None and line.certain and not 1 / _OFF < gain / line.gain < _OFF:
        said.append(about_gain(gain, line.gain))
    elif gain is not None and gain > _OFF * line.most:
        said.append(f"`gain` is {gain:.3g}; the image suggests at most {line.most:.2g}. Expected counts per electron.")
    right = gain if gain is not None and not said else line.gain if line.certain else None
    if right is None:
        return tuple(said)
    noise = math.sqrt(max(line.level, 0.0))
    if read_noise_e is not None and read_noise_e * right > _OFF * noise > 0:
        said.append(
            f"`read_noise_e` is {read_noise_e:.3g} electrons; the darkest part of the image has the noise of {noise / right:.2g} electrons, light "
            "included. Expected electrons: did you give counts?"
        )
    if offset is not None and right * (line.dark - offset) > _OFF**2 * line.level > 0:
        light, most = (line.dark - offset) / right, line.level / right**2
        said.append(
            f"`offset` is {offset:.5g}; the darkest part of the image would hold {light:.3g} electrons, and its noise is that of at most "
            f"{most:.2g}. Expected at least about {line.dark - line.level / right:.4g} counts."
        )
    return tuple(said)


def about_gain(given: float, found: float, what: str = "image") -> str:
    """What a gain may be that is far from the one that an image, or a movie, suggests."""
    ratio = given / found
    said = f"`gain` is {given:.3g}; the {what} suggests {found:.2g}"
    if _near(given * found) and not _near(ratio):
        return f"{said}, close to its inverse: did you give electrons per count? Expected counts per electron."
    if _near(2 * ratio):
        return (
            f"{said}, about twice as much, as with a camera that multiplies electrons (EMCCD) and so doubles the variance of light. "
            + (
                "If it is one, give `em`."
                if what == "movie"
                else f"If it is one, give `gain` {found:.3g}, which counts the variance in."
            )
        )
    times = f"{found / given:.3g} times as much" if ratio < 1 else f"{ratio:.3g} times less"
    return f"{said}, {times}. Check the camera's data sheet; expected counts per electron."


def _near(value: float) -> bool:
    return 1 / _SAME < value < _SAME


def below(counts: ArrayLike, offset: float, noise: float) -> float:
    """Share of the pixels that lie below an offset by more than noise does."""
    return float(np.mean(np.asarray(counts) < offset - _BEYOND * noise - 1e-9))


def about_pixels_below(counts: ArrayLike, offset: float, noise: float) -> str:
    """A sentence where more pixels than noise explains lie below the offset that is given; else empty."""
    share = below(counts, offset, noise)
    if share < _SOME_BELOW + 0.5 * math.erfc(_BEYOND / math.sqrt(2)):
        return ""
    middle = float(np.median(np.asarray(counts)))
    return (
        f"`offset` is {offset:.5g}, and {100 * share:.2g} % of the pixels lie below it by more than their noise (the median pixel is {middle:.5g}). "
        "Expected the counts of a pixel without light."
    )


def refuse_offset(counts: ArrayLike, offset: float | None, name: str = "the image") -> None:
    """Refuse an offset that lies above most pixels: nothing would be left of the image.

    Parameters
    ----------
    counts : array_like, shape (..., Y, X), counts
        Finite.
    offset : float or None
    name : str
        What the image is called.

    Raises
    ------
    SuperlensError
        If more than half of the pixels lie below it by more than their noise.
    """
    values = np.asarray(counts)
    if offset is None or values.shape[-1] < 2 or not np.ptp(values):  # what is constant is refused for that
        return
    # Neighbours differ by noise, and by structure: an upper bound of the noise that does for a refusal.
    noise = 1.4826 * float(np.nanmedian(np.abs(np.diff(values.astype(np.float64), axis=-1)))) / math.sqrt(2.0)
    if below(values, offset, noise) > _MOST_BELOW:
        middle, low = (float(np.nanquantile(values, share)) for share in (0.5, 0.02))
        raise SuperlensError(
            f"`offset` is {offset:g}; {100 * float(np.mean(values < offset)):.3g} % of the pixels of {name} lie below it, and the median is {middle:.5g}. "
            f"Expected the counts of a pixel without light, here at most about {low:.5g}"
        )
