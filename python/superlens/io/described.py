"""A file with what its user says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from superlens.errors import SuperlensError
from superlens.io.lazy import LazyImage
from superlens.io.opening import open_image
from superlens.io.sequence import open_sequence

__all__ = ["ImageFile"]


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file and what its user says of it: all that another process needs to open the same image.

    Attributes
    ----------
    path : Path
    axes, pixel_nm, z_step_nm, fill_missing
        As for `open_image`.
    channels : tuple of int, optional
        Those to take, of an image that has more.
    series : int, optional
        As for `open_image`.
    sequence : "T", "Z" or "C", optional
        What one file after the other is, where the path stands for a sequence of them, as for `open_sequence`.
    """

    path: Path
    axes: str | None = None
    pixel_nm: float | None = None
    z_step_nm: float | None = None
    fill_missing: bool = False
    channels: tuple[int, ...] | None = None
    series: int | None = None
    sequence: Literal["T", "Z", "C"] | None = None

    def open(self) -> LazyImage:
        """Open it without reading its pixels."""
        opened = self._sequence() if self.sequence else self._image()
        return opened if self.channels is None else opened.with_channels(self.channels)

    def _sequence(self) -> LazyImage:
        if self.series not in (None, 0) or self.sequence is None:
            raise SuperlensError(f"`series` is {self.series}; a sequence of files has one image. Leave it out.")
        return open_sequence(self.path, self.sequence, axes=self.axes, pixel_nm=self.pixel_nm, z_step_nm=self.z_step_nm)

    def _image(self) -> LazyImage:
        return open_image(
            self.path,
            axes=self.axes,
            pixel_nm=self.pixel_nm,
            z_step_nm=self.z_step_nm,
            fill_missing=self.fill_missing,
            series=self.series,
        )
