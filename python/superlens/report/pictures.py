"""Arrays as pictures for the page: stated contrast, colour map, PNG data URI, scale bar, colour bar.

A picture carries everything the template needs, as text. The arrays themselves are never changed: contrast is a
property of the picture, and its two ends travel with it in counts.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import colormaps
from PIL import Image as PillowImage

from superlens.report.analysis import Crop, Line
from superlens.report.data import Array
from superlens.report.words import number

__all__ = [
    "ColourBar",
    "Contrast",
    "Mark",
    "Picture",
    "ScaleBar",
    "marks_of",
    "paint",
    "paint_colours",
    "scale_bar",
    "shrunk",
]

_VERMILION = (213, 94, 0)
_VOID = {"vermilion": _VERMILION, "black": (0, 0, 0), "white": (255, 255, 255)}
_LEVELS, _VOID_INDEX, _MASK_INDEX = 254, 254, 255


@dataclass(frozen=True, slots=True)
class Contrast:
    """Which value is shown as the darkest and which as the brightest colour, the rule that chose them, and their unit."""

    low: float
    high: float
    rule: str = ""
    unit: str = "counts"

    @classmethod
    def of(cls, image: Array, low: float = 1.0, high: float = 99.8, *, unit: str = "counts") -> Contrast:
        """Ends at two percentiles of the finite pixels of `image`."""
        finite = image[np.isfinite(image)]
        if finite.size == 0:
            return cls(0.0, 1.0, "no finite pixel", unit)
        ends = np.percentile(finite, [low, high])
        ends[1] = max(ends[1], ends[0] + 1e-12 + 1e-6 * abs(ends[0]))
        return cls(float(ends[0]), float(ends[1]), f"percentiles {low:g} and {high:g}", unit)

    @classmethod
    def symmetric(cls, limit: float) -> Contrast:
        """From minus to plus `limit`."""
        return cls(-limit, limit)

    @property
    def words(self) -> str:
        """For example ``"black 12 counts, white 843 counts"``."""
        return f"black {number(self.low, 3)} {self.unit}, white {number(self.high, 3)} {self.unit}"


@dataclass(frozen=True, slots=True)
class ColourBar:
    """A strip of the colour map with the labels of its ends."""

    uri: str
    low: str
    high: str
    unit: str


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """Length of the bar as percent of the picture's width, and its label."""

    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A box or a line drawn over a picture, in percent of its width and height."""

    label: str
    x: float
    y: float
    width: float
    height: float
    is_line: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """One raster picture, ready for the template; a `light` one gets its scale bar in black."""

    uri: str
    width: int
    height: int
    alt: str
    name: str = ""
    bar: ColourBar | None = None
    scale_bar: ScaleBar | None = None
    marks: tuple[Mark, ...] = ()
    light: bool = False


def paint(
    image: Array,
    contrast: Contrast,
    *,
    alt: str,
    name: str = "",
    colours: str = "gray",
    unit: str | None = None,
    mask: Array | None = None,
    void: Literal["vermilion", "black", "white"] = "vermilion",
    largest: int = 1024,
    pixel_nm: float | None = None,
) -> Picture:
    """Turn a plane into a picture.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Pixels that are not finite take the colour ``void``.
    contrast : Contrast
    alt, name : str
        Text for those who do not see the picture, and its caption.
    colours : str
        A Matplotlib colour map.
    unit : str or None
        Unit for a colour bar; None draws none.
    mask : ndarray of bool or None
        Pixels painted vermilion.
    void : {"vermilion", "black", "white"}
        Colour of pixels that are not finite.
    largest : int
        Longer side in pixels beyond which the picture (not the data) is binned by averaging.
    pixel_nm : float or None
        Sampling of ``image`` for a scale bar.

    Returns
    -------
    Picture
    """
    finite = np.isfinite(image)
    bar = scale_bar(image.shape[1], pixel_nm)
    factor = _factor(image.shape, largest)
    values = _bin(np.where(finite, image, contrast.low).astype(float), factor)
    level = (values - contrast.low) / (contrast.high - contrast.low) * (_LEVELS - 1)
    index = np.clip(np.round(level), 0, _LEVELS - 1).astype(np.uint8)
    index[_bin(~finite, factor) > 0.5] = _VOID_INDEX
    if mask is not None:
        index[_bin(mask, factor) > 0.5] = _MASK_INDEX
    palette = _palette(colours, _VOID[void])
    legend = None
    if unit is not None:
        strip = _png(np.arange(_LEVELS, dtype=np.uint8)[None], palette)
        legend = ColourBar(strip, number(contrast.low, 3), number(contrast.high, 3), unit)
    light = void == "white" or colours.startswith("RdBu")
    return Picture(_png(index, palette), index.shape[1], index.shape[0], alt, name, legend, bar, light=light)


def paint_colours(
    colours: Array,
    *,
    alt: str,
    name: str = "",
    bar: tuple[Array, str, str, str] | None = None,
    largest: int = 1024,
    pixel_nm: float | None = None,
) -> Picture:
    """Turn a plane whose colours are chosen already into a picture.

    Parameters
    ----------
    colours : ndarray, shape (Y, X, 3), 0 to 1
    alt, name : str
        Text for those who do not see the picture, and its caption.
    bar : tuple of (ndarray of shape (N, 3), str, str, str), optional
        Colours of a colour bar, the labels of its ends, and their unit.
    largest : int
        Longer side in pixels beyond which the picture is binned by averaging.
    pixel_nm : float, optional
        Sampling for a scale bar.
    """
    factor = _factor(colours.shape[:2], largest)
    shown = np.stack([_bin(colours[..., c], factor) for c in range(3)], axis=-1)
    legend = None if bar is None else ColourBar(_full_png(bar[0][None]), *bar[1:])
    uri, scale = _full_png(shown), scale_bar(colours.shape[1], pixel_nm)
    return Picture(uri, shown.shape[1], shown.shape[0], alt, name, legend, scale)


def scale_bar(width: int, pixel_nm: float | None) -> ScaleBar | None:
    """The bar of a round length (1, 2 or 5 times a power of ten) nearest below a fifth of the picture's width.

    Examples
    --------
    >>> scale_bar(256, 62.6).label
    '2 µm'
    """
    if pixel_nm is None:
        return None
    field = width * pixel_nm
    aim = field / 4.5
    decade = 10 ** np.floor(np.log10(aim))
    length = max(step * decade for step in (1, 2, 5) if step * decade <= aim)
    label = f"{number(length / 1000)} µm"
    return ScaleBar(float(100 * length / field), label)


def marks_of(shape: tuple[int, ...], crops: tuple[Crop, ...], lines: tuple[Line, ...]) -> tuple[Mark, ...]:
    """Boxes of `crops` (numbered from 1) and `lines` as marks over a picture of the output grid."""
    rows, columns = (100 / side for side in shape)
    marks = [
        Mark(str(place), crop.x * columns, crop.y * rows, crop.width * columns, crop.height * rows)
        for place, crop in enumerate(crops, 1)
    ]
    for line in lines:
        (y0, x0), (y1, x1) = line.ends
        start_x, start_y = (x0 + 0.5) * columns, (y0 + 0.5) * rows
        marks.append(Mark(line.label, start_x, start_y, (x1 - x0) * columns, (y1 - y0) * rows, is_line=True))
    return tuple(marks)


def shrunk(image: Array, largest: int) -> Array:
    """Average square blocks of pixels until the longer side is `largest` at most, as `paint` does before it paints."""
    return _bin(image, _factor(image.shape, largest))


def _factor(shape: tuple[int, ...], largest: int) -> int:
    return min(max(int(np.ceil(max(shape) / largest)), 1), *shape)


def _bin(image: Array, factor: int) -> Array:
    if factor == 1:
        return image
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    trimmed = image[: rows * factor, : columns * factor]
    return np.asarray(trimmed.reshape(rows, factor, columns, factor).mean(axis=(1, 3)))


def _palette(colours: str, void: tuple[int, int, int]) -> list[int]:
    table = np.round(colormaps[colours](np.linspace(0, 1, _LEVELS))[:, :3] * 255).astype(int)
    return [*table.ravel().tolist(), *void, *_VERMILION]


def _png(index: Array, palette: list[int]) -> str:
    picture = PillowImage.fromarray(np.ascontiguousarray(index))
    picture.putpalette(palette)
    return _uri(picture)


def _full_png(colours: Array) -> str:
    return _uri(PillowImage.fromarray(np.ascontiguousarray(np.round(255 * colours).astype(np.uint8))))


def _uri(picture: PillowImage.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=7)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
