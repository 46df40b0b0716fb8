"""Which of several images in one file is meant: the one that is not a preview, the one that was asked for, or none before it is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from superlens.errors import SuperlensError, SuperlensWarning

__all__ = ["Series", "chosen", "only_series"]

_PREVIEW_SIDE = 0.55  # a preview is at most so much as wide and as high as the image
_MOST_LISTED, _LONGEST_NAME = 10, 30


@dataclass(frozen=True, slots=True)
class Series:
    """What is to know of one image of a file before it is chosen.

    Attributes
    ----------
    axes, sizes
        One letter and one length for each axis.
    name : str
    small : bool
        Whether the file itself says that it is a smaller copy of another one.
    coloured : bool
    """

    axes: str
    sizes: tuple[int, ...]
    name: str = ""
    small: bool = False
    coloured: bool = False

    def __str__(self) -> str:
        words = " x ".join(str(size) for size in self.sizes)
        kind = f"{self.axes} {words}" + (", colour" if self.coloured else "")
        name = " ".join(self.name.split())[:_LONGEST_NAME]
        return f"{name} ({kind})" if name else kind

    @property
    def yx_shape(self) -> tuple[int, int]:
        """Sides of a plane."""
        sides = dict(zip(self.axes, self.sizes, strict=True))
        return sides.get("Y", 1), sides.get("X", 1)

    @property
    def planes(self) -> int:
        """How many planes it has."""
        count = 1
        for axis, size in zip(self.axes, self.sizes, strict=True):
            count *= 1 if axis in "YXS" else size
        return count


def chosen(found: Sequence[Series], series: int | None, path: Path) -> int:
    """Choose among the images of a file.

    Parameters
    ----------
    found : sequence of Series
        At least one.
    series : int or None
        What the user asked for.
    path : Path
        The file, for messages.

    Returns
    -------
    int
        Index of the image.

    Raises
    ------
    SuperlensError
        When there is no such image, or there are several and none was asked for.

    Warns
    -----
    SuperlensWarning
        When others are left out that the file does not itself call smaller copies.
    """
    if series is not None:
        if not 0 <= series < len(found):
            raise SuperlensError(f"`series` is {series}; {path.name} holds {_listed(found)}.")
        return series
    images = _without_previews(found)
    if len(images) > 1:
        raise SuperlensError(f"{path.name} holds {_listed(found)}. Give `series`, the number of one of them.")
    others = [at for at, each in enumerate(found) if at != images[0] and not each.small]
    if others:
        warnings.warn(
            f"{path.name} holds {_listed(found)}. Read: {images[0]}. For another one, give `series`.",
            SuperlensWarning,
            stacklevel=3,
        )
    return images[0]


def only_series(series: int | None, path: Path) -> None:
    """Refuse to look for a second image in a format that holds one.

    Raises
    ------
    SuperlensError
    """
    if series not in (None, 0):
        raise SuperlensError(f"`series` is {series}; {path.name} holds one image. Leave it out.")


def _without_previews(found: Sequence[Series]) -> list[int]:
    """The images that no other one makes a preview."""
    kept = [at for at, each in enumerate(found) if not each.small] or list(range(len(found)))
    grey = [at for at in kept if not found[at].coloured]
    kept = grey or kept
    height, width = max((found[at].yx_shape for at in kept), key=lambda sides: sides[0] * sides[1])
    most = max(found[at].planes for at in kept)

    def preview(each: Series) -> bool:
        small = each.yx_shape[0] <= _PREVIEW_SIDE * height and each.yx_shape[1] <= _PREVIEW_SIDE * width
        return small and (each.planes == 1 or each.planes < most)

    return [at for at in kept if not preview(found[at])]


def _listed(found: Sequence[Series]) -> str:
    if len(found) == 1:
        return f"one image, 0: {found[0]}"
    these = ", ".join(f"{at}: {each}" for at, each in enumerate(found[:_MOST_LISTED]))
    return f"{len(found)} images, {these}" + (" ..." if len(found) > _MOST_LISTED else "")
