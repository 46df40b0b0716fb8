"""Images that are larger than memory: the same facts as an `Image`, and pixels that are read on demand.

`open_image` opens a file without reading its pixels, `LazyImage.plane` reads a part of one plane, and `LazyImage.load` all of it.
OME-Zarr is read by its chunks; TIFF by rows where its pixels lie in one piece, as those of Picasso do, else by strips or tiles. MRC
and PNG files are read whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io.deferred import Deferred

__all__ = ["LazyImage"]

_WHOLE = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class LazyImage:
    """Pixels in a file with axes, sampling and history.

    Attributes
    ----------
    data : Deferred
        One axis for each letter of `axes`, counts.
    axes, pixel_nm, z_step_nm, frame_interval_s, channel_names, name, history, emission_nm
        As those of `Image`.
    """

    data: Deferred
    axes: str = "YX"
    pixel_nm: float | None = None
    z_step_nm: float | None = None
    frame_interval_s: float | None = None
    channel_names: tuple[str, ...] = ()
    name: str = ""
    history: Mapping[str, Any] = field(default_factory=dict)
    emission_nm: tuple[float | None, ...] = ()

    @property
    def header(self) -> Image:
        """An `Image` with everything but the pixels: its data are zeros that take no memory.

        Examples
        --------
        >>> image = LazyImage(Deferred.of(np.ones((20, 30), np.uint16)), pixel_nm=65.0)
        >>> image.header.sizes, image.header.data.strides
        ({'Y': 20, 'X': 30}, (0, 0))
        """
        return self._with(np.broadcast_to(np.zeros((), self.data.dtype), self.data.shape))

    @property
    def sizes(self) -> dict[str, int]:
        """Number of pixels along each axis, in the order of the axes."""
        return dict(zip(self.axes, self.data.shape, strict=True))

    @property
    def planes(self) -> int:
        """Number of planes, over all frames, channels and heights."""
        return math.prod(self.data.shape[:-2])

    @property
    def yx_shape(self) -> tuple[int, int]:
        """Sides of a plane."""
        return self.data.shape[-2], self.data.shape[-1]

    def plane(self, number: int, y: slice = _WHOLE, x: slice = _WHOLE) -> NDArray[Any]:
        """Read a part of one plane.

        Parameters
        ----------
        number : int
            Which plane, in the order of `Image.planes`: the last axis before Y fastest.
        y, x : slice
            Pixels to read, without a step.

        Returns
        -------
        ndarray, shape (Y, X)
            As stored, in the machine's byte order.

        Examples
        --------
        >>> image = LazyImage(Deferred.of(np.arange(24).reshape(2, 3, 4)), "TYX")
        >>> image.plane(1, y=slice(0, 1), x=slice(1, 3))
        array([[13, 14]])
        """
        index = np.unravel_index(number, self.data.shape[:-2]) if self.data.ndim > 2 else ()
        part = (*(slice(int(at), int(at) + 1) for at in index), y, x)
        values = self.data[part]
        return values.reshape(values.shape[-2:])

    def index_of(self, number: int) -> dict[str, int]:
        """Where a plane lies along T, C and Z, as far as the image has them.

        Examples
        --------
        >>> LazyImage(Deferred.of(np.zeros((2, 3, 4, 5))), "TCYX").index_of(4)
        {'T': 1, 'C': 1}
        """
        at = np.unravel_index(number, self.data.shape[:-2]) if self.data.ndim > 2 else ()
        return dict(zip(self.axes, map(int, at), strict=False))

    def with_channels(self, channels: Sequence[int]) -> LazyImage:
        """Keep some of the channels, in the order given; the axis stays, and nothing is read.

        Examples
        --------
        >>> image = LazyImage(Deferred.of(np.arange(24).reshape(3, 2, 4)), "CYX")
        >>> image.with_channels([2]).plane(0, x=slice(0, 2)).tolist()
        [[16, 17], [20, 21]]
        """
        told = self.header.with_channels(channels)
        data, at = self.data, self.axes.index("C")

        def region(part: tuple[slice, ...]) -> NDArray[Any]:
            parts = [data[(*part[:at], slice(c, c + 1), *part[at + 1 :])] for c in channels[part[at]]]
            return np.concatenate(parts, axis=at)

        return replace(
            self,
            data=Deferred.by(region, told.data.shape, data.dtype),
            channel_names=told.channel_names,
            emission_nm=told.emission_nm,
        )

    def load(self) -> Image:
        """Read everything.

        Raises
        ------
        SuperlensError
            When it does not fit into memory.
        """
        try:
            return self._with(self.data[:])
        except MemoryError as error:
            raise SuperlensError(f"{self.name} does not fit into memory. Work on it by blocks, or crop it.") from error

    def _with(self, data: NDArray[Any]) -> Image:
        return Image(
            data,
            self.axes,
            self.pixel_nm,
            self.z_step_nm,
            self.frame_interval_s,
            self.channel_names,
            self.name,
            self.history,
            self.emission_nm,
        )
