"""Corrections that belong before everything else: a sensor's own offsets and gains, and stripes.

In: an `Image` in ADU, and maps of the sensor as images, or the direction of stripes. Out: the image as an even sensor would have taken it,
in the same unit and around the same mean offset, so that nothing after it need know. What was done is in its history.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import find_stripes
from superlens.camera.stripes import StripeChoice
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image, check_image

__all__ = ["even_sensor", "without_stripes"]


def even_sensor(image: Image, *, offset: Image | None = None, gain: Image | None = None) -> Image:
    """Bring the pixels of an sCMOS camera to one offset and one gain.

    Parameters
    ----------
    image : Image, counts
    offset : Image, counts, optional
        Mean of many dark frames of the same part of the sensor, shape (Y, X).
    gain : Image, counts per electron or relative, optional
        Gain of each pixel, shape (Y, X).

    Returns
    -------
    Image
        ``(counts - offset) * mean(gain) / gain + mean(offset)``, float32. Saturated and undefined pixels become undefined, because their value
        no longer shows what they are.

    Raises
    ------
    SuperlensError
        If a map has another shape, holds undefined values, or a gain is not positive.

    Examples
    --------
    >>> dark = Image(np.where(np.eye(20), 110.0, 100.0))
    >>> counts = Image(np.random.default_rng(0).normal(500, 5, (20, 20)) + dark.data)
    >>> float(abs(even_sensor(counts, offset=dark).data - counts.data + dark.data - 100.5).max()) < 1e-3
    True
    """
    checked = check_image(image)
    data = checked.image.data.astype(np.float32)
    mean = np.float32(0)
    if offset is not None:
        dark = _map(offset, image, "offset map")
        mean = np.float32(dark.mean())
        data = data - dark
    if gain is not None:
        factor = _map(gain, image, "gain map")
        if factor.min() <= 0:
            raise SuperlensError(f"the gain map {gain.name} holds {factor.min():g}; expected gains above 0.")
        data = data * (np.float32(factor.mean()) / factor)
    return _noted(image, _blanked(data + mean, checked.mask), {"sensor_evened": True})


def without_stripes(image: Image, choice: StripeChoice = "auto") -> Image:
    """Subtract stripes that are the same in all planes.

    Parameters
    ----------
    image : Image, counts
    choice : {"auto", "x", "y", "off"}
        As for `superlens.camera.find_stripes`.

    Returns
    -------
    Image
        The same object where nothing was found. Otherwise float32, and saturated and undefined pixels become undefined.

    Warns
    -----
    SuperlensWarning
        When stripes were taken off, or asked for and not found.
    """
    if choice == "off":
        return image
    checked = check_image(image)
    stripes = find_stripes(checked.image.data, choice)
    sure = f"certainty {stripes.certainty[0]:.1f} along x, {stripes.certainty[1]:.1f} along y"
    if not stripes.found:
        _warn(f"{image.name or 'the image'}: no stripes found ({sure}). Nothing was subtracted.")
        return image
    found = [way for way, values in (("x", stripes.rows), ("y", stripes.columns)) if values is not None]
    sizes = [float(values.std()) for values in (stripes.rows, stripes.columns) if values is not None]
    sized = " and ".join(f"along {way} of {size:.3g} counts" for way, size in zip(found, sizes, strict=True))
    _warn(f"{image.name or 'the image'}: subtracted stripes {sized} (standard deviation; {sure}).")
    history = {"stripes_removed": dict(zip(found, sizes, strict=True))}
    return _noted(image, _blanked(stripes.removed_from(checked.image.data), checked.mask), history)


def _map(given: Image, image: Image, what: str) -> NDArray[np.float32]:
    values = np.squeeze(given.data)
    if values.shape != image.data.shape[-2:]:
        raise SuperlensError(
            f"the {what} {given.name} has shape {values.shape} and {image.name or 'the image'} has planes of "
            f"{image.data.shape[-2:]}; expected the same part of the sensor."
        )
    if not np.isfinite(values).all():
        raise SuperlensError(f"the {what} {given.name} holds undefined values; expected a finite one for each pixel.")
    return np.asarray(values, np.float32)


def _blanked(data: NDArray[np.float32], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(bad, np.float32(np.nan), data) if bad.any() else data


def _noted(image: Image, data: NDArray[Any], note: dict[str, Any]) -> Image:
    return replace(image.with_data(data), history={**image.history, **note})


def _warn(message: str) -> None:
    warnings.warn(message, SuperlensWarning, stacklevel=3)
