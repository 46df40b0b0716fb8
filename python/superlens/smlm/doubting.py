"""Values of the camera that are given for a movie of molecules, held against the movie.

What is left of an isolated blink after a fit is noise, and its size tells the gain, whatever the brightness of molecules. Dark places
differ from frame to frame by noise alone, which can't be less than the shot noise of the light that they are said to hold. Where molecules
are too crowded for either, the finest detail tells (`superlens.smlm.finest`). In: the camera as it is taken for, the fitted blinks, the noise
of dark places, the gain by the finest detail. Out: sentences; empty as a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from superlens.camera import Camera
from superlens.camera.given import about_gain

__all__ = ["DarkPlaces", "FinestDetail", "doubts_about"]

_TOO_HIGH, _TOO_LOW = 0.5, 1.4
"""Squared noise over what the camera's values make expect. With the right ones 288 simulated movies of all kinds lie at 0.52 to 1.34, those of
more than about two molecules per square micrometre aside, in which crowded blinks pass for noise."""
_QUIET = 0.62  # the same of isolated blinks alone, which lie at 0.83 and more
_AGREED = 1.6
"""Factor within which the gain that is given and the one that the movie suggests agree: then another value is to blame."""
_SURE, _ERRORS = 0.15, 4.0
"""Relative error up to which the gain by the finest detail is believed, and how many of its errors it must be away by a quarter at least."""
_LOWER, _HIGHER, _AWAY = 1.5, 1.6, 1.25
_NARROWEST = 0.8  # pixels: narrower images of molecules have detail as fine as noise, and make the gain seem higher
_WHITE = 0.75
"""Noise of the finest detail of dark places over all of their noise: where pixels share noise it is less, and the gain seems lower."""
_CROWDED = 0.15  # molecules in the area of the image of one, in a frame


@dataclass(frozen=True, slots=True)
class DarkPlaces:
    """The darkest places of a movie.

    Attributes
    ----------
    noise, mean : float
        Standard deviation from frame to frame, and mean, counts; infinite where there are too few.
    """

    noise: float
    mean: float


@dataclass(frozen=True, slots=True)
class FinestDetail:
    """What the finest detail of a movie says of the gain.

    Attributes
    ----------
    gain, error : float
        Counts per electron, times the excess of a camera that multiplies, and the standard error; NaN where it is silent.
    white : float
        Squared noise of the finest detail of dark places over all of their squared noise.
    width : float
        Standard deviation of the image of a molecule, pixels.
    """

    gain: float
    error: float
    white: float
    width: float

    def contradicts(self, gain: float) -> bool:
        """Whether a gain is far off, by half of it or more."""
        if not self.error < _SURE * self.gain:
            return False
        if self.gain > _LOWER * gain:
            return self.width >= _NARROWEST and self.gain - _ERRORS * self.error > _AWAY * gain
        return gain > _HIGHER * self.gain and self.white > _WHITE and self.gain + _ERRORS * self.error < gain / _AWAY


def doubts_about(
    camera: Camera,
    dark: DarkPlaces,
    scatter: float,
    *,
    excess: float,
    crowding: Callable[[float], float],
    free_gain: Callable[[], float],
    finest: FinestDetail,
) -> tuple[str, ...]:
    """Say which of the given values the movie contradicts.

    Parameters
    ----------
    camera : Camera
        As it is taken for, its gain times ``excess``.
    dark : DarkPlaces
    scatter : float
        Median of `superlens.smlm.SpotFits.scatter` of blinks that were fitted; NaN where there are few.
    excess : float
        2 where the camera is said to multiply electrons.
    crowding : callable
        Molecules in the area of the image of one, in a frame, if the gain were so many times as high.
    free_gain : callable
        The gain, times ``excess``, that the movie suggests where nothing of the camera is given.
    finest : FinestDetail

    Returns
    -------
    tuple of str
    """
    if camera.estimated >= {"gain", "offset", "read_noise_e"}:
        return ()
    quiet = _quiet(camera, dark)
    if "gain" not in camera.estimated and _unlike(camera, quiet, scatter, crowding):
        found = free_gain()
        if not 1 / _AGREED < found / camera.gain < _AGREED:
            return (about_gain(camera.gain / excess, found / excess, "movie"),)
    if "gain" not in camera.estimated and finest.contradicts(camera.gain):
        return (about_gain(camera.gain / excess, finest.gain / excess, "movie"),)
    if quiet < _TOO_HIGH:
        expected = dark.noise / math.sqrt(quiet)
        return (
            f"the dark places of the movie have a noise of {dark.noise:.2g} counts, and by `offset` {camera.offset:.5g} and `read_noise_e` "
            f"{camera.read_noise_e:.3g} it would be {expected:.2g}: `offset` is too low, or `read_noise_e` too high",
        )
    return ()


def _unlike(camera: Camera, quiet: float, scatter: float, crowding: Callable[[float], float]) -> bool:
    """Whether noise is far from what the gain makes expect."""
    ratio = min((value for value in (scatter, quiet) if math.isfinite(value)), default=1.0)
    if scatter < _QUIET and not ("read_noise_e" in camera.estimated and crowding(1.0) > _CROWDED):
        return True
    if math.isnan(scatter) and ratio < _TOO_HIGH:
        return True
    looked = (ratio,) if math.isfinite(quiet) else (1.0, ratio)
    return ratio > _TOO_LOW and not any(crowding(times) > _CROWDED for times in looked)


def _quiet(camera: Camera, dark: DarkPlaces) -> float:
    """Squared noise of dark places over what is expected; NaN where what is expected was read from that noise."""
    if {"offset", "read_noise_e"} & camera.estimated or not math.isfinite(dark.noise):
        return math.nan
    expected = float(camera.variance(dark.mean - camera.offset))
    return dark.noise**2 / expected if expected > 0 else math.nan
