"""How a value shows itself in a notebook: a small picture of a plane, a short table, as HTML; arrays and words in, text out."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["facts", "figure", "middle_plane", "pictures"]

_SIDE = 320  # pixels of the longer side of a picture


def middle_plane(data: NDArray[Any]) -> NDArray[Any]:
    """The middle one of the planes (Y, X) of an array with any leading axes."""
    planes = data.reshape(-1, *data.shape[-2:])
    return np.asarray(planes[len(planes) // 2])


def figure(plane: NDArray[Any], caption: str) -> str:
    """A plane as a grey picture between its percentiles 1 and 99.8, with a caption.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        A large one is shown with every so many pixels.
    caption : str

    Returns
    -------
    str
        HTML that loads nothing.

    Examples
    --------
    >>> figure(np.eye(16), "an edge").startswith("<figure")
    True
    """
    from PIL import Image as PillowImage

    step = max(int(np.ceil(max(plane.shape) / _SIDE)), 1)
    shown = np.asarray(plane[::step, ::step], dtype=np.float64)
    finite = shown[np.isfinite(shown)]
    low, high = np.percentile(finite, (1.0, 99.8)) if finite.size else (0.0, 1.0)
    grey = np.nan_to_num((shown - low) / max(high - low, 1e-12)).clip(0, 1)
    stream = io.BytesIO()
    PillowImage.fromarray(np.round(255 * grey).astype(np.uint8)).save(stream, format="PNG")
    uri = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    words = html.escape(caption)
    style = "display:inline-block;margin:4px 8px 4px 0"
    picture = (
        f'<img src="{uri}" alt="{words}" style="width:{min(_SIDE, 4 * shown.shape[1])}px;image-rendering:pixelated">'
    )
    return f'<figure style="{style}">{picture}<figcaption style="font-size:90%">{words}</figcaption></figure>'


def pictures(shown: Sequence[tuple[str, NDArray[Any]]], heading: str = "") -> str:
    """Several planes side by side, under a heading."""
    head = f"<p><b>{html.escape(heading)}</b></p>" if heading else ""
    return f"<div>{head}{''.join(figure(middle_plane(data), caption) for caption, data in shown)}</div>"


def facts(columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A small table with a caption."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(_short(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
