"""Greyscale PNG files of 8 or 16 bits, read only.

A PNG states its size and kind in its first 33 bytes; both are checked, the size against the length of the file, before the
pixels are decoded. Colour, palettes and transparency are refused: their values are for eyes.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from superlens.errors import SuperlensError
from superlens.io.metadata import StoredImage
from superlens.io.paths import check_readable
from superlens.io.sizes import Stated, plausible_pixel_nm

__all__ = ["read_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0
_KINDS = {2: "colours (RGB)", 3: "a palette of colours", 4: "transparency", 6: "colours (RGB) with transparency"}
_MOST_PER_BYTE = 1032  # no deflate stream unpacks to more bytes than this for each of its own


def read_png(path: Path) -> StoredImage:
    """Read a greyscale PNG.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredImage
        Axes YX, uint8 or uint16, with a pixel size when the file states one that is not a printer's.

    Raises
    ------
    SuperlensError
        When the file is damaged, cut short, coloured, or has fewer than 8 bits.
    """
    from imagecodecs import png_decode

    file_bytes = check_readable(path)
    encoded = path.read_bytes()
    _check_header(path, encoded, file_bytes)
    try:
        data = np.asarray(png_decode(encoded))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise SuperlensError(
            f"{path.name} cannot be decoded: damaged or cut short. Copy or export it again."
        ) from error
    if data.ndim != 2:
        raise SuperlensError(f"{path.name} decodes to shape {data.shape}; expected one greyscale image.")
    return StoredImage(data, "YX", pixel_sizes=_pixel_sizes(encoded))


def _check_header(path: Path, encoded: bytes, file_bytes: int) -> None:
    if not encoded.startswith(_SIGNATURE) or len(encoded) < 33 or encoded[12:16] != b"IHDR":
        raise SuperlensError(f"{path.name} is no PNG file, or damaged at its start. Copy or export it again.")
    width, height, bits, kind = struct.unpack_from(">IIBB", encoded, 16)
    if kind != _GREY:
        what = _KINDS.get(kind, f"an unknown kind of pixels ({kind})")
        raise SuperlensError(f"{path.name} holds {what}; expected grey values. Save one channel as greyscale TIFF.")
    if bits == 1:
        raise SuperlensError(
            f"{path.name} holds a mask of 1 bit; expected grey values. Give the image it was made from."
        )
    if bits not in (8, 16):
        raise SuperlensError(f"{path.name} has {bits} bits a pixel; expected 8 or 16. Save it as TIFF.")
    if width * height * bits // 8 > _MOST_PER_BYTE * file_bytes:
        raise SuperlensError(
            f"{path.name} claims {width} x {height} pixels but has {file_bytes} bytes: damaged. Copy or export it again."
        )


def _pixel_sizes(encoded: bytes) -> tuple[Stated, ...]:
    """From the chunk of physical sizes, which stands before the pixels."""
    at = encoded.find(b"pHYs", 33, max(encoded.find(b"IDAT"), 33))
    if at < 0 or len(encoded) < at + 13:
        return ()
    per_metre_x, per_metre_y, unit = struct.unpack_from(">IIB", encoded, at + 4)
    if unit != 1 or not per_metre_x or not per_metre_y:
        return ()
    x_nm, y_nm = plausible_pixel_nm(1e9 / per_metre_x), plausible_pixel_nm(1e9 / per_metre_y)
    return () if x_nm is None or y_nm is None else (Stated((y_nm, x_nm), "its resolution"),)
