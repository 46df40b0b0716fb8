"""How good an image of localizations is: against the truth, and against itself.

In: images on one grid, or a table. Out: numbers. Tables are held against tables in `superlens.smlm.matching`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from superlens.errors import SuperlensError
from superlens.metrics import frc_resolution
from superlens.smlm.density import histogram
from superlens.smlm.table import Localizations

__all__ = ["frc_of_halves", "map_error"]

_FEWEST = 200


def map_error(image: ArrayLike, truth: ArrayLike, *, blur: float = 1.0) -> tuple[float, float]:
    """Normalised mean squared error of a map after the best scalar, and its correlation with the truth.

    Parameters
    ----------
    image, truth : array_like, shape (Y, X)
        A density map or an image of localizations, and the histogram of all true places on the same grid.
    blur : float
        Standard deviation of the Gaussian that both are blurred by first, pixels.

    Returns
    -------
    error : float
        ``|a m - t|^2 / |t|^2``, 0 for the truth and 1 for an image that tells nothing.
    correlation : float

    Raises
    ------
    SuperlensError
        If the shapes differ or the truth is zero all over.

    Examples
    --------
    >>> truth = np.eye(16)
    >>> error, correlation = map_error(3 * truth, truth)
    >>> round(error, 6) + 0.0, round(correlation, 6)
    (0.0, 1.0)
    """
    m, t = (ndimage.gaussian_filter(np.asarray(a, np.float64), blur) for a in (image, truth))
    if m.shape != t.shape:
        raise SuperlensError(f"image has the shape {m.shape} and truth {t.shape}; expected one grid")
    power = float((t * t).sum())
    if power == 0:
        raise SuperlensError("truth is zero all over; expected at least one molecule")
    scale = float((m * t).sum()) / max(float((m * m).sum()), 1e-300)
    spread = m.std() * t.std()
    correlation = float(((m - m.mean()) * (t - t.mean())).mean() / spread) if spread > 0 else 0.0
    return float(((scale * m - t) ** 2).sum()) / power, correlation


def frc_of_halves(
    table: Localizations, *, rng: np.random.Generator, pixel_nm: float = 10.0, block_frames: int = 20
) -> float:
    """Resolution at which the images of two random halves of the localizations stop to correlate (FRC, 1/7).

    Frames go to the halves in blocks, so that the blinks of one molecule mostly stay together; those that come back later still make the
    halves alike, and the number too small.

    Parameters
    ----------
    table : Localizations
        With its field.
    rng : numpy.random.Generator
        Draws the halves.
    pixel_nm : float
        Side of the pixels of both images.
    block_frames : int

    Returns
    -------
    float
        Nanometres; NaN for fewer than 200 localizations or 2 blocks, infinite where even coarse structure does not agree.

    Raises
    ------
    SuperlensError
        If the table does not know its field.

    References
    ----------
    R. P. J. Nieuwenhuizen et al., Nat. Methods 10, 557 (2013).
    """
    if table.pixel_nm is None or table.yx_shape is None:
        raise SuperlensError("the table has no pixel_nm or no yx_shape; expected both to know the field")
    block = (table["frame"] - 1) // block_frames
    blocks = np.unique(block)
    if len(table) < _FEWEST or len(blocks) < 2:
        return math.nan
    first = rng.permutation(blocks)[: len(blocks) // 2]
    inside = np.isin(block, first)
    height, width = (math.ceil(side * table.pixel_nm / pixel_nm) for side in table.yx_shape)
    halves: list[NDArray[np.float32]] = [
        histogram(table.positions_nm[chosen], (height, width), pixel_nm) for chosen in (inside, ~inside)
    ]
    return frc_resolution(halves[0], halves[1], pixel_nm)
