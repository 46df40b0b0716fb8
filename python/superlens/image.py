"""The one value that flows through superlens: pixels that know their axes and their size on the specimen.

An `Image` holds real numbers in the order TCZYX (any subset with Y and X), its sampling in nanometres, and how it was made.
Functions that make a new image from an old one (`Image.with_data`, `Image.crop`, `Image.select`) carry all of that along, so
no stage is handed a loose pixel size. `check_image` decides whether an image can be worked on at all and repairs single bad pixels. Files
are left to `superlens.io`.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.showing import pictures

__all__ = [
    "AXES",
    "FILL_REACH",
    "CheckedImage",
    "Image",
    "bad_pixels",
    "channel_name",
    "check_image",
    "clip_level",
    "fill_plane",
    "require_image",
]

AXES = "TCZYX"
"""The axes an image may have, in the order in which it has them."""

MINIMUM_SIDE = 16
"""The fewest pixels along y and x that can be worked on."""

_CLIP_LEVELS = (4095, 16383, 65535)  # the tops of 12, 14 and 16 bit cameras, stored in a wider type
_CLIP_REPEATS = 3  # so many pixels at exactly such a level are taken for clipping, fewer for chance
_FILL_RADII = (1, 2, 4, 8)
_FILL_CHUNK = 20_000

FILL_REACH = _FILL_RADII[-1]
"""How far away, in pixels, the neighbours may lie that a bad pixel is filled from."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Pixels with axes, sampling and history.

    Parameters
    ----------
    data : ndarray, one axis for each letter of `axes`, any integer or float type, counts
        Kept in the machine's byte order; not copied when it is already.
    axes : str
        A subset of ``"TCZYX"`` in that order, always with Y and X.
    pixel_nm : float, optional
        Sampling along y and x; None when it is not known.
    z_step_nm : float, optional
        Distance between planes.
    frame_interval_s : float, optional
        Time between frames.
    channel_names : tuple of str
        One for each channel, or none at all.
    name : str
        Stem for the names of outputs.
    history : mapping
        How the image was made, in JSON values; written into files and read back.
    emission_nm : tuple of float or None
        Wavelength of the detected light, one for each channel (None where it is not known), or none at all.

    Raises
    ------
    SuperlensError
        When axes and data do not belong together, the numbers are not real, or a size is not positive.

    Examples
    --------
    >>> image = Image(np.zeros((3, 20, 30)), "ZYX", pixel_nm=65.0, z_step_nm=200.0)
    >>> image.sizes
    {'Z': 3, 'Y': 20, 'X': 30}
    """

    data: NDArray[Any]
    axes: str = "YX"
    pixel_nm: float | None = None
    z_step_nm: float | None = None
    frame_interval_s: float | None = None
    channel_names: tuple[str, ...] = ()
    name: str = ""
    history: Mapping[str, Any] = field(default_factory=dict)
    emission_nm: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        _check_axes(self.axes, data.shape)
        _check_type(data.dtype)
        for argument in ("pixel_nm", "z_step_nm", "frame_interval_s"):
            value = getattr(self, argument)
            if value is not None:
                object.__setattr__(self, argument, _positive(argument, value))
        names = tuple(str(name) for name in self.channel_names)
        channels = data.shape[self.axes.index("C")] if "C" in self.axes else 1
        if names and len(names) != channels:
            raise SuperlensError(f"channel_names has {len(names)} entries; expected {channels}, one for each channel.")
        waves = tuple(None if wave is None else _positive("emission_nm", wave) for wave in self.emission_nm)
        if waves and len(waves) != channels:
            raise SuperlensError(f"emission_nm has {len(waves)} entries; expected {channels}, one for each channel.")
        object.__setattr__(self, "data", data.astype(data.dtype.newbyteorder("="), copy=False))
        object.__setattr__(self, "channel_names", names)
        object.__setattr__(self, "emission_nm", waves)
        object.__setattr__(self, "history", dict(self.history))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The pixels, for `numpy.asarray` and whatever takes arrays, such as Matplotlib."""
        if dtype is None or np.dtype(dtype) == self.data.dtype:
            return self.data.copy() if copy else self.data
        return self.data.astype(dtype)

    def __repr__(self) -> str:
        """Name, sizes, type and sampling in one line."""
        return f"Image({self._words})"

    def _repr_html_(self) -> str:
        """The middle plane as a picture, in a notebook."""
        return pictures([(self._words, self.data)])

    @property
    def _words(self) -> str:
        sizes = " x ".join(f"{axis} {size}" for axis, size in self.sizes.items())
        sampling = "pixel size unknown" if self.pixel_nm is None else f"{self.pixel_nm:g} nm pixels"
        steps = "" if self.z_step_nm is None else f"{self.z_step_nm:g} nm steps"
        return ", ".join(filter(None, (self.name, sizes, str(self.data.dtype), sampling, steps)))

    @property
    def sizes(self) -> dict[str, int]:
        """Number of pixels along each axis, in the order of the axes."""
        return dict(zip(self.axes, self.data.shape, strict=True))

    def with_data(self, data: NDArray[Any], *, scale: float = 1) -> Image:
        """Give new pixels the axes, names and history of this image.

        Parameters
        ----------
        data : ndarray, as many axes as this image
            The new pixels.
        scale : float
            How many new pixels lie along one old one in y and x; the pixel size is divided by it.

        Returns
        -------
        Image
            With `pixel_nm` divided by `scale` and everything else as here.
        """
        _positive("scale", scale)
        pixel_nm = None if self.pixel_nm is None else self.pixel_nm / scale
        return replace(self, data=data, pixel_nm=pixel_nm)

    def crop(self, *, y: slice | None = None, x: slice | None = None) -> Image:
        """Cut a rectangle out of every plane.

        Parameters
        ----------
        y, x : slice, optional
            Pixels to keep, without a step; all when left out.

        Returns
        -------
        Image
            A view of the same pixels.

        Raises
        ------
        SuperlensError
            If a slice has a step, or no pixel lies in it.

        Examples
        --------
        >>> Image(np.zeros((20, 30))).crop(x=slice(5, 15)).sizes
        {'Y': 20, 'X': 10}
        """
        for argument, cut in (("y", y), ("x", x)):
            if cut is not None and cut.step not in (None, 1):
                raise SuperlensError(f"{argument} has step {cut.step}; a crop keeps every pixel. Leave the step out.")
            side = self.sizes[argument.upper()]
            if cut is not None and not len(range(*cut.indices(side))):
                raise SuperlensError(
                    f"{argument} is slice({cut.start}, {cut.stop}), which holds no pixel of {side}. Give a start below {side} and a stop beyond it."
                )
        return replace(self, data=self.data[..., y or slice(None), x or slice(None)])

    def select(self, *, t: int | None = None, c: int | None = None, z: int | None = None) -> Image:
        """Pick one frame, channel or plane; the axes picked from are dropped.

        Parameters
        ----------
        t, c, z : int, optional
            Index along that axis, from the end when negative; the axis is kept when left out.

        Returns
        -------
        Image
            A view of the same pixels, with the name of the channel that was picked.

        Raises
        ------
        SuperlensError
            When the image has no such axis or it is shorter.

        Examples
        --------
        >>> Image(np.zeros((2, 20, 30)), "CYX", channel_names=("actin", "dna")).select(c=1).channel_names
        ('dna',)
        """
        picks = {axis: pick for axis, pick in (("T", t), ("C", c), ("Z", z)) if pick is not None}
        for axis, pick in picks.items():
            size = self.sizes.get(axis)
            if size is None:
                raise SuperlensError(
                    f"{axis.lower()} is {pick}, but the image has no axis {axis}; its axes are {self.axes}."
                )
            if not -size <= pick < size:
                raise SuperlensError(f"{axis.lower()} is {pick}; expected 0 to {size - 1}.")
        index = tuple(picks.get(axis, slice(None)) for axis in self.axes)
        names, waves = self.channel_names, self.emission_nm
        if "C" in picks:
            names, waves = names and (names[picks["C"]],), waves and (waves[picks["C"]],)
        axes = "".join(axis for axis in self.axes if axis not in picks)
        return replace(self, data=self.data[index], axes=axes, channel_names=names, emission_nm=waves)

    def with_channels(self, channels: Sequence[int]) -> Image:
        """Keep some of the channels, in the order given; the axis stays.

        Examples
        --------
        >>> Image(np.zeros((3, 20, 30)), "CYX", channel_names=("a", "b", "c")).with_channels([2, 0]).channel_names
        ('c', 'a')
        """
        for channel in channels:
            self.select(c=channel)  # refuses what is not there
        at = list(channels)
        return replace(
            self,
            data=np.take(self.data, at, axis=self.axes.index("C")),
            channel_names=self.channel_names and tuple(self.channel_names[c] for c in at),
            emission_nm=self.emission_nm and tuple(self.emission_nm[c] for c in at),
        )

    def planes(self) -> Iterator[tuple[dict[str, int], NDArray[Any]]]:
        """Go through the planes, the last axis before Y fastest.

        Yields
        ------
        dict of str to int
            Where the plane lies along T, C and Z, as far as the image has them.
        ndarray, shape (Y, X)
            A view of the plane.
        """
        leading = self.axes[:-2]
        for index in itertools.product(*(range(size) for size in self.data.shape[:-2])):
            yield dict(zip(leading, index, strict=True)), self.data[index]


class CheckedImage(NamedTuple):
    """What `check_image` found.

    Attributes
    ----------
    image : Image
        Without a bad pixel.
    messages : tuple of str
        What the user should know, one line each; empty when nothing was repaired.
    mask : ndarray of bool, shape of the image
        True where a pixel was filled; losses and metrics leave those out.
    """

    image: Image
    messages: tuple[str, ...]
    mask: NDArray[np.bool_]


def require_image(value: object) -> None:
    """Refuse what is not an `Image`, such as a path or an array, by naming what makes one of it."""
    if not isinstance(value, Image):
        kind = type(value)
        raise SuperlensError(
            f"a {kind.__module__}.{kind.__qualname__} was given where an Image is expected; make one with sl.read(path), or with "
            "sl.Image(array, 'YX', pixel_nm=65) of an array."
        )


def channel_name(image: Image, at: int, number: int) -> str:
    """A channel in words: its number, and its name where it has one."""
    name = image.channel_names[at] if image.channel_names else ""
    return f"channel {number} ({name})" if name else f"channel {number}"


def check_image(image: Image) -> CheckedImage:
    """Refuse an image that cannot be worked on; fill single saturated or undefined pixels.

    A pixel counts as saturated when it holds the largest value of its integer type, or when at least three pixels hold
    exactly the top of a 12, 14 or 16 bit camera and nothing lies above. Filled pixels take the median of the good pixels
    around them, in the smallest of a few windows that has any.

    Parameters
    ----------
    image : Image
        Any axes.

    Returns
    -------
    CheckedImage
        The image (the same object when nothing was filled), messages, and the mask of filled pixels.

    Raises
    ------
    SuperlensError
        When the image is empty, narrower than 16 pixels, constant, all NaN or mostly saturated.

    Warns
    -----
    SuperlensWarning
        Once for each kind of pixel that was filled.

    Examples
    --------
    >>> image = Image(np.arange(400.0).reshape(20, 20))
    >>> check_image(image).mask.any()
    np.False_
    """
    _check_content(image)
    undefined = ~np.isfinite(image.data)
    saturated, level = _saturated(image.data)
    mask = undefined | saturated
    _check_good_pixels(image, undefined, saturated)
    messages = []
    for bad, kind in ((undefined, "undefined (NaN or infinite)"), (saturated, f"saturated at {level:g}")):
        count = int(bad.sum())
        if count:
            messages.append(
                f"{_called(image)}: {count} of {bad.size} pixels are {kind}; they are filled from their neighbours "
                "and left out of fits."
            )
    for message in messages:
        warnings.warn(message, SuperlensWarning, stacklevel=2)
    if messages:
        image = image.with_data(_filled(image.data, mask))
    return CheckedImage(image, tuple(messages), mask)


def fill_plane(plane: NDArray[Any], holes: NDArray[np.bool_], otherwise: Callable[[], float]) -> None:
    """Fill the bad pixels of a plane, or of a part of one, in place.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
    holes : ndarray of bool, shape (Y, X)
        The pixels to fill.
    otherwise : callable
        Gives the value of pixels that have no good one within `FILL_REACH`.
    """
    good = np.where(holes, np.nan, plane.astype(np.float64))
    left = np.argwhere(holes)
    if not len(left):
        return
    for radius in _FILL_RADII:
        values = np.concatenate(
            [_window_medians(good, left[at : at + _FILL_CHUNK], radius) for at in range(0, len(left), _FILL_CHUNK)]
        )
        found = np.isfinite(values)
        plane[tuple(left[found].T)] = _as_type(values[found], plane.dtype)
        left = left[~found]
        if not len(left):
            return
    plane[tuple(left.T)] = _as_type(np.float64(otherwise()), plane.dtype)


def clip_level(data: NDArray[Any]) -> float | None:
    """The level at which values are clipped, by the rules of `check_image`; None when they are not.

    Examples
    --------
    >>> clip_level(np.array([7.0, 4095.0, 4095.0, 4095.0])), clip_level(np.array([7.0, 4095.0]))
    (4095.0, None)
    """
    top = np.nanmax(data, where=np.isfinite(data), initial=0)
    if data.dtype.kind in "iu" and top == np.iinfo(data.dtype).max:
        return float(top)
    clipped = float(top) in _CLIP_LEVELS and int(np.count_nonzero(data == top)) >= _CLIP_REPEATS
    return float(top) if clipped else None


def bad_pixels(part: NDArray[Any], level: float | None) -> NDArray[np.bool_]:
    """Where a part of an image is undefined, or clipped at the level that `clip_level` found for the whole.

    Parameters
    ----------
    part : ndarray
    level : float or None
        A value at the top of an integer type counts as clipped even without it.

    Returns
    -------
    ndarray of bool, shape of `part`
    """
    bad: NDArray[np.bool_] = ~np.isfinite(part)
    if level is not None:
        bad |= part == level
    if part.dtype.kind in "iu":
        bad |= part == np.iinfo(part.dtype).max
    return bad


def _check_axes(axes: str, shape: tuple[int, ...]) -> None:
    in_order = "".join(axis for axis in AXES if axis in axes)
    if axes != in_order or not axes.endswith("YX"):
        raise SuperlensError(f"axes is {axes!r}; expected some of {AXES} in that order, with Y and X at the end.")
    if len(axes) != len(shape):
        raise SuperlensError(f"axes is {axes!r}, but the data have shape {shape}; expected one letter for each axis.")


def _check_type(dtype: np.dtype[Any]) -> None:
    if dtype.kind in "iuf":
        return
    advice = {
        "b": "a mask has no grey values; give the image it was made from",
        "c": "take the modulus or the real part first",
    }.get(dtype.kind, "expected integers or floats")
    raise SuperlensError(f"the image holds values of type {dtype}; {advice}.")


def _positive(argument: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise SuperlensError(f"{argument} is {value}; expected a number above 0.")
    return float(value)


def _called(image: Image) -> str:
    return image.name or "the image"


def _check_content(image: Image) -> None:
    if image.data.size == 0:
        raise SuperlensError(f"{_called(image)} has shape {image.data.shape}: no pixels. Check how it was exported.")
    height, width = image.data.shape[-2:]
    if min(height, width) < MINIMUM_SIDE:
        raise SuperlensError(
            f"{_called(image)} has {height} x {width} pixels; expected at least {MINIMUM_SIDE} along y and x. "
            "Give a larger crop."
        )


def _check_good_pixels(image: Image, undefined: NDArray[np.bool_], saturated: NDArray[np.bool_]) -> None:
    if undefined.all():
        raise SuperlensError(
            f"{_called(image)} holds no number at all, every pixel is NaN or infinite. Check how it was exported."
        )
    good = image.data[~(undefined | saturated)]
    if 2 * int(saturated.sum()) >= saturated.size:
        share = 100 * saturated.mean()
        raise SuperlensError(
            f"{_called(image)} is saturated in {share:.0f} % of its pixels. Record it again with a shorter exposure."
        )
    if 2 * int(undefined.sum()) >= undefined.size:
        share = 100 * undefined.mean()
        raise SuperlensError(
            f"{_called(image)} is NaN or infinite in {share:.0f} % of its pixels. Crop it to where it has values."
        )
    if good.min() == good.max():
        raise SuperlensError(f"{_called(image)} is constant, every pixel is {good[0]:g}. Is it the right channel?")


def _saturated(data: NDArray[Any]) -> tuple[NDArray[np.bool_], float]:
    """Where the data are clipped, and the level at which they are."""
    level = clip_level(data)
    if level is None:
        return np.zeros(data.shape, dtype=np.bool_), math.nan
    return data == level, level


def _filled(data: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    out = data.copy()
    for plane, holes in zip(out.reshape(-1, *out.shape[-2:]), mask.reshape(-1, *mask.shape[-2:]), strict=True):
        if holes.any():
            fill_plane(plane, holes, functools.partial(_median, data[~mask] if holes.all() else plane[~holes]))
    return out


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values))


def _window_medians(good: NDArray[np.float64], at: NDArray[np.intp], radius: int) -> NDArray[np.float64]:
    padded = np.pad(good, radius, constant_values=np.nan)
    side = np.arange(2 * radius + 1)
    windows = padded[at[:, 0, None, None] + side[:, None], at[:, 1, None, None] + side]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a window without a good pixel gives NaN, which is what is wanted
        return cast(NDArray[np.float64], np.nanmedian(windows, axis=(1, 2)))


def _as_type(values: NDArray[np.float64] | np.floating[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return (np.rint(values) if dtype.kind in "iu" else np.asarray(values)).astype(dtype)
