"""What files say of the size of a pixel and the distance of planes, and whom to believe when they say two things.

A file may state a size in several places, and they may contradict each other. Of two sizes the one that a microscope can have is taken,
and the user is told; of two that are both possible neither is: both are named, and the user is asked.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from superlens.errors import SuperlensError, SuperlensWarning

__all__ = ["Stated", "believed_pixel", "believed_step", "in_nm", "length_nm", "plausible_pixel_nm", "positive_number"]

_NM = {
    **dict.fromkeys(("nm", "nanometer", "nanometre", "nanometers", "nanometres"), 1.0),
    **dict.fromkeys(("µm", "um", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"), 1e3),
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1e6),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 1e7),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1e9),
    **dict.fromkeys(("å", "a", "angstrom", "angstroms"), 0.1),
    **dict.fromkeys(("pm", "picometer", "picometre"), 1e-3),
    **dict.fromkeys(("inch", "inches", "in", '"'), 25.4e6),
}
_PRINTER_DPI = (72, 96, 100, 150, 200, 300, 600, 1200)
_SMALLEST_PIXEL_NM, _LARGEST_PIXEL_NM = 1.0, 20_000.0
_SMALLEST_STEP_NM, _LARGEST_STEP_NM = 1.0, 100_000.0
_ALIKE = 1e-2


@dataclass(frozen=True, slots=True)
class Stated:
    """A size that a file states.

    Attributes
    ----------
    nm : tuple of float
        Along y and x, or along z.
    by : str
        Which part of the file says so, as in "the OME-XML".
    """

    nm: tuple[float, ...]
    by: str

    def __str__(self) -> str:
        first, *others = self.nm
        numbers = self.nm[:1] if all(_alike(first, other) for other in others) else self.nm
        unit, nm = ("nm", 1.0) if max(numbers) < 1e4 else ("µm", 1e3)
        return " x ".join(f"{number / nm:.4g}" for number in numbers) + f" {unit}"


def believed_pixel(stated: Sequence[Stated], name: str, noted_nm: float | None) -> tuple[float, float] | None:
    """Choose among the pixel sizes that a file states.

    Parameters
    ----------
    stated : sequence of Stated
        The one that is stated most precisely first.
    name : str
        Of the file.
    noted_nm : float or None
        What superlens itself noted in the file; it speaks for a size that seems impossible.

    Returns
    -------
    tuple of float or None
        Along y and x; None when nothing possible is stated.

    Raises
    ------
    SuperlensError
        When two sizes are possible.

    Warns
    -----
    SuperlensWarning
        When a size is impossible.
    """
    possible = [each for each in stated if _within(each, _SMALLEST_PIXEL_NM, _LARGEST_PIXEL_NM, noted_nm)]
    others = [each for each in stated if each not in possible]
    rivals = [each for each in possible[1:] if not _same(each, possible[0])]
    if rivals:
        raise SuperlensError(
            f"{name} states two pixel sizes: {possible[0]} ({possible[0].by}) and {rivals[0]} ({rivals[0].by}). "
            "Give `pixel_nm`, in nanometres."
        )
    if others and possible:
        _warn(
            f"{name} states two pixel sizes: {possible[0]} ({possible[0].by}) and {others[0]} ({others[0].by}). A pixel of "
            f"{others[0]} is not possible, so {possible[0]} is used. If that is wrong, give `pixel_nm`."
        )
    elif others:
        _warn(
            f"{name} states a pixel size of {others[0]} ({others[0].by}), which is not possible: {_SMALLEST_PIXEL_NM:g} to "
            f"{_LARGEST_PIXEL_NM:g} nm are. The pixel size is taken as unknown. Give `pixel_nm`, in nanometres."
        )
    return (possible[0].nm[0], possible[0].nm[1]) if possible else None


def believed_step(stated: Sequence[Stated], name: str, noted_nm: float | None) -> float | None:
    """Choose among the distances of planes that a file states; of two that are possible none is taken, with a warning."""
    possible = [each for each in stated if _within(each, _SMALLEST_STEP_NM, _LARGEST_STEP_NM, noted_nm)]
    rivals = [each for each in possible[1:] if not _same(each, possible[0])]
    others = [each for each in stated if each not in possible]
    if rivals:
        _warn(
            f"{name} states two distances between planes: {possible[0]} ({possible[0].by}) and {rivals[0]} ({rivals[0].by}). "
            "Neither is used. Give `z_step_nm`, in nanometres."
        )
        return None
    if others:
        used = f"so {possible[0]} ({possible[0].by}) is used" if possible else "so it is taken as unknown"
        _warn(
            f"{name} states {others[0]} between planes ({others[0].by}), which is not possible, {used}. "
            "If that is wrong, give `z_step_nm`."
        )
    return possible[0].nm[0] if possible else None


def length_nm(unit: object) -> float | None:
    r"""Nanometres in one unit of length as image files spell it; None when it is no length.

    Examples
    --------
    >>> length_nm("\\u00B5m"), length_nm("Micron"), length_nm("pixel")
    (1000.0, 1000.0, None)
    """
    text = str(unit).strip().strip("\x00").lower()
    return _NM.get(text.replace("\\u00b5", "µ").replace("\u03bc", "µ").replace("\u00c5", "å").replace("\u212b", "å"))


def in_nm(value: object, unit: object) -> float | None:
    """A length in nanometres; None when the number or the unit says nothing.

    Examples
    --------
    >>> in_nm("0.065", "µm"), in_nm("0", "µm"), in_nm(3, "pixel")
    (65.0, None, None)
    """
    number, nm = positive_number(value), length_nm(unit)
    return number * nm if number is not None and nm is not None else None


def positive_number(value: object) -> float | None:
    """The size of a number or of the text of one; None when it is 0, not finite, or none at all."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) else 0.0
    except ValueError:
        return None
    return abs(number) if math.isfinite(number) and number != 0 else None


def plausible_pixel_nm(pixel_nm: float) -> float | None:
    """The pixel size, or None when the number was meant for a printer or is no size at all.

    Parameters
    ----------
    pixel_nm : float
        As computed from a resolution field.

    Returns
    -------
    float or None
        None for the usual 72, 96, 150, 300, ... dots an inch and for everything above 20 µm.

    Examples
    --------
    >>> plausible_pixel_nm(65.0), plausible_pixel_nm(25.4e6 / 300)
    (65.0, None)
    """
    if not (math.isfinite(pixel_nm) and 0 < pixel_nm <= _LARGEST_PIXEL_NM):
        return None
    dpi = 25.4e6 / pixel_nm
    return None if any(abs(dpi / printed - 1) < 1e-2 for printed in _PRINTER_DPI) else pixel_nm


def _within(stated: Stated, least: float, most: float, noted_nm: float | None) -> bool:
    return all(least <= nm <= most or (noted_nm is not None and _alike(nm, noted_nm)) for nm in stated.nm)


def _same(one: Stated, other: Stated) -> bool:
    return all(_alike(a, b) for a, b in zip(one.nm, other.nm, strict=True))


def _alike(one: float, other: float) -> bool:
    return abs(one / other - 1) < _ALIKE


def _warn(message: str) -> None:
    warnings.warn(message, SuperlensWarning, stacklevel=4)
