"""From a table of localizations to an image of calibrated pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.smlm.density import histogram
from superlens.smlm.table import Localizations

__all__ = ["render_gaussian", "render_histogram"]

Array = NDArray[np.float32]


def render_histogram(table: Localizations, pixel_nm: float = 10.0) -> Image:
    """Count localizations in square pixels.

    Parameters
    ----------
    table : Localizations
    pixel_nm : float
        Side of a pixel of the image.

    Returns
    -------
    Image
        Localizations in each pixel, over the field of the table.
    """
    return _image(histogram(table.positions_nm, _shape(table, pixel_nm), pixel_nm), table, pixel_nm, "histogram")


def render_gaussian(
    table: Localizations, pixel_nm: float = 10.0, *, sigma_nm: float | None = None, least_sigma_nm: float = 2.0
) -> Image:
    """Draw each localization as a Gaussian of the size of its own uncertainty.

    Parameters
    ----------
    table : Localizations
        With a column ``uncertainty_nm`` unless ``sigma_nm`` is given.
    pixel_nm : float
        Side of a pixel of the image.
    sigma_nm : float, optional
        One width for all.
    least_sigma_nm : float
        Narrower ones are drawn this wide.

    Returns
    -------
    Image
        Localizations in each pixel; each one is integrated over the pixels and adds up to 1 inside the field.

    Raises
    ------
    SuperlensError
        If there is neither a column of uncertainties nor a width.
    """
    if sigma_nm is None and "uncertainty_nm" not in table:
        raise SuperlensError("the table has no column uncertainty_nm; give sigma_nm, or render a histogram")
    widths = np.full(len(table), sigma_nm) if sigma_nm is not None else table["uncertainty_nm"]
    widths = np.maximum(np.nan_to_num(widths, nan=least_sigma_nm), least_sigma_nm) / pixel_nm
    shape = _shape(table, pixel_nm)
    canvas = np.zeros(shape)
    # Localizations of about one width are drawn together: one by one where they are few, else all by one filter.
    level = np.round(6 * np.log2(widths)).astype(int)
    for number in np.unique(level):
        places, sigma = table.positions_nm[level == number] / pixel_nm, 2.0 ** (number / 6)
        if 5 * len(places) * side_of(sigma) < canvas.size * _finer(sigma) ** 3:
            _add_each(canvas, places, sigma)
        else:
            canvas += _drawn(places, shape, sigma)
    return _image(canvas.astype(np.float32), table, pixel_nm, "Gaussians")


def side_of(sigma: float) -> int:
    """Pixels along the square that a Gaussian of this width is drawn in."""
    return 2 * math.ceil(5 * sigma) + 1


def _finer(sigma: float) -> int:
    """Into how many parts the side of a pixel is divided for a filter of this width, in pixels."""
    return max(1, math.ceil(1.5 / sigma))


def _add_each(canvas: NDArray[np.float64], places: NDArray[np.float64], sigma: float) -> None:
    """Add Gaussians of one width, in pixels, each integrated over the pixels around it."""
    side = side_of(sigma)
    at_once = max(1, _AT_ONCE // side**2)
    for some in (places[start : start + at_once] for start in range(0, len(places), at_once)):
        shares, pixels = [], []
        for axis, length in ((1, canvas.shape[0]), (0, canvas.shape[1])):
            at = np.floor(some[:, axis]).astype(int)[:, None] + np.arange(side) - side // 2
            edge = (at - some[:, axis, None]) / sigma
            shares.append((ndtr(edge + 1 / sigma) - ndtr(edge)) * ((at >= 0) & (at < length)))
            pixels.append(np.clip(at, 0, length - 1))
        index = pixels[0][:, :, None] * canvas.shape[1] + pixels[1][:, None, :]
        np.add.at(canvas.reshape(-1), index, shares[0][:, :, None] * shares[1][:, None, :])


def _drawn(places: NDArray[np.float64], shape: tuple[int, int], sigma: float) -> NDArray[np.float64]:
    """Gaussians of one width, in pixels; bilinear weights place them, and what these add to the variance is taken off the filter."""
    finer = _finer(sigma)
    canvas = np.zeros((shape[0] * finer + 2, shape[1] * finer + 2))
    x, y = (places * finer + 0.5).T  # the canvas begins one fine pixel before the image
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - column, y - row
    for i, in_row in ((0, 1 - down), (1, down)):
        for j, in_column in ((0, 1 - right), (1, right)):
            inside = (row + i >= 0) & (row + i < canvas.shape[0]) & (column + j >= 0) & (column + j < canvas.shape[1])
            np.add.at(canvas, (row[inside] + i, column[inside] + j), (in_row * in_column)[inside])
    width = math.sqrt(max((sigma * finer) ** 2 - 1 / 6, 0.0))  # 1/6: mean variance that bilinear placing adds
    smooth = ndimage.gaussian_filter(canvas, width, mode="constant", truncate=5.0)[1:-1, 1:-1]
    return np.asarray(smooth.reshape(shape[0], finer, shape[1], finer).sum(axis=(1, 3)))


def _shape(table: Localizations, pixel_nm: float) -> tuple[int, int]:
    """Pixels that cover the field: the camera's where it is known, else up to the last localization."""
    if not pixel_nm > 0:
        raise SuperlensError(f"pixel_nm is {pixel_nm}; expected more than 0")
    if table.yx_shape is not None and table.pixel_nm is not None:
        height, width = (side * table.pixel_nm for side in table.yx_shape)
    else:
        height, width = (float(table[name].max(initial=0.0)) + pixel_nm for name in ("y_nm", "x_nm"))
    rows, columns = (max(1, math.ceil(side / pixel_nm - 1e-9)) for side in (height, width))
    if rows * columns > _MOST_PIXELS:
        raise SuperlensError(
            f"an image of {rows} x {columns} pixels of {pixel_nm:g} nm is too large; use larger pixels, or check the units of x and y"
        )
    return rows, columns


_MOST_PIXELS = 1 << 30
_AT_ONCE = 4_000_000  # pixels of the squares that are drawn together


def _image(counts: Array, table: Localizations, pixel_nm: float, how: str) -> Image:
    history = {**table.history, "rendered": {"how": how, "localizations": len(table)}}
    return Image(np.asarray(counts, np.float32), pixel_nm=pixel_nm, history=history)
