"""A movie as localization takes it: frames read on demand, and what can be estimated from the movie."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superlens.camera import refuse_offset
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import LazyImage, open_image
from superlens.io.metadata import UnnamedFrames
from superlens.simulate.likeness import Likeness, compare_with_simulation
from superlens.smlm.estimation import Known, MovieEstimate, estimate_movie, sample_frames
from superlens.smlm.usual import JudgedFrames, UsualFrame

__all__ = ["Recording", "check_movie", "compared", "estimate_conditions", "frames_of", "open_movie", "typical_frames"]

Array = NDArray[np.float32]

Recording: TypeAlias = Image | LazyImage
"""A movie in memory or in a file."""

_SAMPLE_PIXELS = 64e6
_SAMPLE_FRAMES = 100
"""A shorter part is not enough for an estimate."""


def open_movie(path: Path, *, axes: str | None = None, **said: Any) -> LazyImage:
    """Open a movie without reading its frames.

    A series of images that the file does not name, or calls slices without a step between them, as ImageJ does with what it did not
    record itself, is taken for frames over time; a warning says so.

    Parameters
    ----------
    path : Path
    axes : str, optional
        Of the file; then they are believed.
    **said
        Anything else that is known of the file, as for `superlens.io.open_image`.

    Raises
    ------
    SuperlensError
        As `superlens.io.open_image`.
    """
    if axes is not None:
        return open_image(path, axes=axes, **said)
    try:
        opened = open_image(path, **said)
        if opened.axes != "ZYX" or opened.z_step_nm is not None:
            return opened
        words = "calls its images slices, without a step between them"
    except UnnamedFrames:
        words = "does not say what its images are"
    movie = open_image(path, axes="TYX", **said)
    warnings.warn(
        f"{path.name} {words}: the {movie.data.shape[0]} are taken for frames over time (`axes` TYX)",
        SuperlensWarning,
        stacklevel=2,
    )
    return movie


def check_movie(movie: Recording) -> tuple[int, int, int]:
    """Refuse what is no movie of a field of known pixel size; return its sides (T, Y, X).

    Raises
    ------
    SuperlensError
    """
    name = movie.name or "the movie"
    if movie.axes not in ("YX", "TYX"):
        extra = [axis for axis in movie.axes if axis not in "TYX"]
        raise SuperlensError(
            f"{name} has axes {movie.axes}; expected TYX, frames over time. "
            f"Pick one {' and '.join(extra)} or, where these are frames, say so with `axes` TYX"
        )
    if movie.pixel_nm is None:
        raise SuperlensError(f"{name} has no pixel size; give it with `pixel_nm`, in nanometres on the specimen")
    if not 20.0 <= movie.pixel_nm <= 1000.0:
        hint = (
            " Did you give micrometres?"
            if movie.pixel_nm < 1
            else " Is it in picometres?"
            if movie.pixel_nm > 5e3
            else ""
        )
        raise SuperlensError(
            f"{name} has a pixel of {movie.pixel_nm:g} nm; expected 20 to 1000 for single molecules.{hint} "
            "Give the right one with `pixel_nm`"
        )
    shape = movie.data.shape if movie.axes == "TYX" else (1, *movie.data.shape)
    if min(shape[1:]) < 16:
        raise SuperlensError(
            f"{name} has frames of {shape[1]} x {shape[2]} pixels; expected at least 16 along each side"
        )
    return shape[0], shape[1], shape[2]


def frames_of(movie: Recording, chosen: slice | NDArray[np.int64]) -> Array:
    """Frames of a movie, shape (T, Y, X), float32, counts; what is not finite becomes the median of its frame."""
    if movie.axes == "YX":
        read: Any = np.asarray(movie.data[:] if isinstance(movie, LazyImage) else movie.data)[None]
    elif isinstance(chosen, slice):
        read = movie.data[chosen]
    else:
        read = np.concatenate([movie.data[int(run[0]) : int(run[-1]) + 1] for run in _runs(chosen)])
    frames = np.array(read, np.float32)
    bad = ~np.isfinite(frames)
    if bad.any():
        frames[bad] = np.nan
        level = np.nan_to_num(np.nanmedian(frames, axis=(1, 2)))
        frames[bad] = np.broadcast_to(level[:, None, None], frames.shape)[bad]
    return frames


def estimate_conditions(movie: Recording, known: Known, span: tuple[int, int]) -> MovieEstimate:
    """What can be estimated from the movie, by frames spread over ``span`` (first included, last not, from 0)."""
    numbers = _sampled(movie, span)
    return _estimated(movie, known, frames_of(movie, numbers), numbers)


def typical_frames(movie: Recording, told: MovieEstimate, span: tuple[int, int]) -> tuple[Array, JudgedFrames]:
    """Frames spread over ``span``, shape (T, Y, X), electrons, and how they compare with the usual one."""
    electrons = np.asarray(told.camera.to_electrons(frames_of(movie, _sampled(movie, span))), np.float32)
    return electrons, told.judged(electrons)


def compared(electrons: Array, judged: JudgedFrames, told: MovieEstimate, pixel_nm: float) -> Likeness:
    """Whether a movie that is simulated with an estimate looks like the real one, of which some frames were judged."""
    even = told.flat(electrons[judged.alike], judged.where(judged.alike))
    return compare_with_simulation(even, told, pixel_nm, rng=np.random.default_rng(0))


def _sampled(movie: Recording, span: tuple[int, int]) -> NDArray[np.int64]:
    """Indices of frames spread over a part of the movie, as many as fit into memory with ease; of a short part its surroundings too."""
    first, last = _widened(span, 1 if movie.axes == "YX" else movie.data.shape[0])
    most = max(8, min(400, int(_SAMPLE_PIXELS // math.prod(movie.data.shape[-2:]))))
    return first + sample_frames(last - first, most)


def _widened(span: tuple[int, int], count: int) -> tuple[int, int]:
    """The part, or where it is short a longer one around it, first included, last not.

    Examples
    --------
    >>> _widened((40, 45), 1000), _widened((0, 5), 60), _widened((0, 500), 1000)
    ((0, 100), (0, 60), (0, 500))
    """
    first, last = span
    if last - first >= _SAMPLE_FRAMES:
        return span
    start = max(0, min((first + last - _SAMPLE_FRAMES) // 2, count - _SAMPLE_FRAMES))
    return start, min(count, start + _SAMPLE_FRAMES)


def _estimated(movie: Recording, known: Known, sample: Array, numbers: NDArray[np.int64]) -> MovieEstimate:
    _refuse_saturated(movie, sample)
    refuse_offset(sample[UsualFrame.of(sample).judged(sample).alike], known.offset, movie.name or "the movie")
    assert movie.pixel_nm is not None
    return estimate_movie(
        sample,
        movie.pixel_nm,
        sigma_nm=known.sigma_nm,
        offset=known.offset,
        gain=known.gain,
        read_noise_e=known.read_noise_e,
        excess=2.0 if known.multiplied else 1.0,
        numbers=numbers,
    )


def _refuse_saturated(movie: Recording, sample: Array) -> None:
    """Refuse a movie whose pixels are mostly alike; frames that hold one value only don't count."""
    top = float(sample.max())
    varied = sample[np.ptp(sample, axis=(1, 2)) > 0]
    if not len(varied) and float(np.ptp(sample)) == 0:
        raise SuperlensError(
            f"{movie.name or 'the movie'} holds the value {top:g} everywhere; expected frames with blinking molecules"
        )
    if len(varied) and float(np.mean(varied == top)) > 0.2:
        raise SuperlensError(
            f"{np.mean(varied == top):.0%} of the pixels of {movie.name or 'the movie'} are at its maximum, {top:g}: it is saturated. "
            "Expected frames in which molecules stay below the camera's limit"
        )


def _runs(indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Runs of consecutive indices."""
    yield from np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)
