"""MRC and DeltaVision files, in both byte orders.

Both have a header of 1024 bytes, an extended header, and sections of pixels. DeltaVision (``.dv``) says how the sections are
channels, planes and frames, gives micrometres and keeps times in its extended header; MRC of the electron microscopists gives
a box in Ångström. Files of mode 4 with one row are rotationally averaged transfer functions, those with more are the bands
of structured illumination; `read_otf` gives both. The header's lengths are compared with the file's before anything is read.

References
----------
A. Cheng et al., "MRC2014: Extensions to the MRC format header for electron cryo-microscopy and tomography", J. Struct. Biol.
192 (2015) 146-150.
"""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.io.metadata import StoredImage
from superlens.io.paths import check_readable
from superlens.io.planes import whole_indices
from superlens.io.sizes import Stated

__all__ = ["OTF", "is_complex", "read_mrc", "read_otf"]

_HEADER_BYTES = 1024
_DELTAVISION = -16224
_IMOD = 1146047817
_MOST_SECTIONS = 1 << 20
_MODES = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 7: "i4", 12: "f2"}
# which of channels, frames and planes lies outermost, by the number in the header
_SEQUENCES = {0: "CTZ", 1: "TZC", 2: "TCZ"}


@dataclass(frozen=True, slots=True, eq=False)
class OTF:
    """A rotationally averaged transfer function from a file.

    Attributes
    ----------
    data : ndarray, complex64, shape (bands, kr, kz) or (kr,)
        The second for a function in focus.
    dk_per_um : float
        Step of the lateral frequency in cycles per micrometre.
    dkz_per_um : float or None
        Step of the axial frequency; None when there is only one.
    """

    data: NDArray[np.complex64]
    dk_per_um: float
    dkz_per_um: float | None


@dataclass(frozen=True, slots=True)
class _Header:
    """The fields of the header that are used; lengths are of sections, rows and columns."""

    order: Literal["<", ">"]
    raw: bytes
    zyx: tuple[int, int, int]
    mode: int
    extended_bytes: int

    @property
    def dtype(self) -> np.dtype[Any]:
        kind = "i1" if self.mode == 0 and self._signed_bytes() else _MODES[self.mode]
        return np.dtype(kind).newbyteorder(self.order)

    @property
    def offset(self) -> int:
        return _HEADER_BYTES + self.extended_bytes

    @property
    def section_bytes(self) -> int:
        return math.prod(self.zyx[1:]) * self.dtype.itemsize

    @property
    def claimed_bytes(self) -> int:
        return self.offset + self.zyx[0] * self.section_bytes

    @property
    def deltavision(self) -> bool:
        return bool(self.shorts(96)[0] == _DELTAVISION)

    def shorts(self, at: int, count: int = 1) -> tuple[int, ...]:
        return struct.unpack_from(f"{self.order}{count}h", self.raw, at)

    def ints(self, at: int, count: int = 1) -> tuple[int, ...]:
        return struct.unpack_from(f"{self.order}{count}i", self.raw, at)

    def floats(self, at: int, count: int = 1) -> tuple[float, ...]:
        return struct.unpack_from(f"{self.order}{count}f", self.raw, at)

    def labels(self) -> tuple[str, ...]:
        """What programs noted of what they did with the image: up to ten lines, without trailing blanks."""
        lines = (self.raw[224 + 80 * at : 304 + 80 * at] for at in range(10))
        texts = (line.split(b"\0")[0].decode("ascii", "replace").strip() for line in lines)
        return tuple(" ".join(text.split()) for text in texts if text and text.isprintable())

    def _signed_bytes(self) -> bool:
        """The standard says signed; DeltaVision and files before it mean unsigned, and IMOD keeps a flag."""
        if self.ints(152)[0] == _IMOD:
            return bool(self.ints(156)[0] & 1)
        return self.raw[208:212] == b"MAP " and not self.deltavision


def is_complex(path: Path) -> bool:
    """Whether an MRC file holds a transfer function rather than an image."""
    return _read_header(path, check_readable(path)).mode == 4


def read_mrc(path: Path) -> StoredImage:
    """Read the pixels of an MRC or DeltaVision file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredImage
        Axes of length one left out; a stack of images that are not said to be planes has the axis I. The lines that programs left in
        the header go into the history, as ``labels``.

    Raises
    ------
    SuperlensError
        When the file is damaged, cut short, of an unknown mode, or complex.
    """
    file_bytes = check_readable(path)
    header = _read_header(path, file_bytes)
    if header.mode == 4:
        raise SuperlensError(f"{path.name} holds complex values, as transfer functions do; give it as the PSF (`psf`).")
    data = _read_sections(path, header, min(header.zyx[0], (file_bytes - header.offset) // header.section_bytes))
    stored = _deltavision(path, header, data) if header.deltavision else _plain(path, header, data)
    labels = header.labels()
    return replace(stored, note={"history": {"labels": list(labels)}}) if labels else stored


def read_otf(path: str | Path) -> OTF:
    """Read a transfer function from an MRC file of complex values (mode 4).

    Parameters
    ----------
    path : str or Path
        A radial function (one row), or the bands of structured illumination over radius and axial frequency.

    Returns
    -------
    OTF
        In the machine's byte order.

    Raises
    ------
    SuperlensError
        When the file is damaged, not complex, or states no frequency step.
    """
    path = Path(path)
    header = _read_header(path, check_readable(path))
    if header.mode != 4:
        raise SuperlensError(
            f"{path.name} holds real values (mode {header.mode}); expected a complex transfer function."
        )
    data = _read_sections(path, header, header.zyx[0]).astype(np.complex64)
    if not np.isfinite(data).all():
        raise SuperlensError(f"{path.name} holds values that are not finite. Export the transfer function again.")
    first, second = header.floats(40, 2)
    radial = header.zyx[:2] == (1, 1)
    dk, dkz = (first, None) if radial else (second, first)
    if not (math.isfinite(dk) and dk > 0):
        raise SuperlensError(f"{path.name} states a frequency step of {dk} per um; expected a number above 0.")
    return OTF(data[0, 0] if radial else data, float(f"{dk:.7g}"), None if dkz is None else _size(dkz))


def _read_header(path: Path, file_bytes: int) -> _Header:
    with path.open("rb") as file:
        raw = file.read(_HEADER_BYTES)
    if len(raw) < _HEADER_BYTES:
        raise SuperlensError(
            f"{path.name} is {len(raw)} bytes long, shorter than an MRC header. Copy or export it again."
        )
    headers = [header for header in (_parse("<", raw), _parse(">", raw)) if header is not None]
    if not headers:
        raise SuperlensError(f"{path.name} is no MRC file, or of a mode other than {', '.join(map(str, _MODES))}.")
    header = min(headers, key=lambda candidate: abs(candidate.claimed_bytes - file_bytes))
    held, rest = divmod(max(file_bytes - header.offset, 0), header.section_bytes)
    if header.claimed_bytes > file_bytes and (rest or not held or header.mode == 4 or header.zyx[0] > _MOST_SECTIONS):
        raise SuperlensError(
            f"{path.name} claims {header.claimed_bytes} bytes but has {file_bytes}: cut short or damaged. "
            "Copy or export it again."
        )
    return header


def _parse(order: Literal["<", ">"], raw: bytes) -> _Header | None:
    columns, rows, sections, mode = struct.unpack_from(f"{order}4i", raw)
    (extended,) = struct.unpack_from(f"{order}i", raw, 92)
    if min(columns, rows, sections) < 1 or mode not in _MODES or extended < 0:
        return None
    return _Header(order, raw, (sections, rows, columns), mode, extended)


def _read_sections(path: Path, header: _Header, held: int) -> NDArray[Any]:
    """The sections that are there."""
    shape = (held, *header.zyx[1:])
    data = np.fromfile(path, dtype=header.dtype, count=math.prod(shape), offset=header.offset)
    return data.reshape(shape).astype(header.dtype.newbyteorder("="), copy=False)


def _plain(path: Path, header: _Header, data: NDArray[Any]) -> StoredImage:
    intervals, box = header.ints(28, 3), header.floats(40, 3)
    x_nm, y_nm, z_nm = (
        _size(length / count * 0.1) if count > 0 else None for length, count in zip(box, intervals, strict=True)
    )
    volume = header.ints(88)[0] > 0
    axes = "ZYX" if volume else "IYX"
    whole_indices(axes[0], np.arange(header.zyx[0]) < len(data), path)
    if len(data) == 1:
        data, axes = data[0], "YX"
    return StoredImage(data, axes, pixel_sizes=_stated(y_nm, x_nm), z_steps=_stated(z_nm) if axes == "ZYX" else ())


def _deltavision(path: Path, header: _Header, data: NDArray[Any]) -> StoredImage:
    frames, channels = max(header.shorts(180)[0], 1), max(header.shorts(196)[0], 1)
    announced = header.zyx[0]
    planes, rest = divmod(announced, frames * channels)
    sequence = _SEQUENCES.get(header.shorts(182)[0])
    if rest or not planes or sequence is None:
        raise SuperlensError(
            f"{path.name} states {channels} channels and {frames} frames for {announced} sections, which cannot be. "
            "Export it again as TIFF."
        )
    lengths = {"C": channels, "T": frames, "Z": planes}
    shape = tuple(lengths[axis] for axis in sequence)
    sections = np.arange(announced).reshape(shape)
    found = whole_indices(sequence, sections < len(data), path)
    if len(data) < announced:
        data = data[sections[np.ix_(*(found[axis] for axis in sequence))]]
    lengths = {axis: len(found[axis]) for axis in sequence}
    frames, channels, planes = lengths["T"], lengths["C"], lengths["Z"]
    known = header.shorts(198, 5)
    waves = tuple(known[channel] for channel in found["C"] if channel < len(known))
    x_nm, y_nm, z_nm = (_size(1e3 * size) for size in header.floats(40, 3))
    kept = "".join(axis for axis in sequence if lengths[axis] > 1)
    return StoredImage(
        data.reshape(*(lengths[axis] for axis in kept), *header.zyx[1:]),
        kept + "YX",
        pixel_sizes=_stated(y_nm, x_nm),
        z_steps=_stated(z_nm) if planes > 1 else (),
        frame_interval_s=_interval(path, header, sequence, shape, frames) if frames > 1 else None,
        channel_names=tuple(f"{wave} nm" for wave in waves) if len(waves) == channels and min(waves) > 0 else (),
        emission_nm=tuple(float(wave) if wave > 0 else None for wave in waves),
    )


def _stated(*nm: float | None) -> tuple[Stated, ...]:
    """What the header states, when it states all of it."""
    known = tuple(size for size in nm if size is not None)
    return (Stated(known, "its header"),) if len(known) == len(nm) else ()


def _size(value: float) -> float | None:
    """A length or time from a header, without the digits that single precision adds; None when it says nothing."""
    return float(f"{value:.7g}") if math.isfinite(value) and value > 0 else None


def _interval(path: Path, header: _Header, sequence: str, shape: tuple[int, ...], frames: int) -> float | None:
    """Median time between frames, from the seconds that the extended header keeps for each section."""
    integers, floats = header.shorts(128, 2)
    step = 4 * (integers + floats)
    if integers < 0 or floats < 2 or math.prod(shape) * step > header.extended_bytes:
        return None
    stride = math.prod(shape[sequence.index("T") + 1 :])
    first_of_frame = range(0, frames * stride, stride)
    times = []
    with path.open("rb") as file:
        for section in first_of_frame:
            file.seek(_HEADER_BYTES + section * step + 4 * integers + 4)
            times.append(struct.unpack(f"{header.order}f", file.read(4))[0])
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return _size(float(np.median(gaps)))
