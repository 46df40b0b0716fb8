"""Images written block by block: OME-Zarr, and OME-TIFF whose pixels lie in the file in one piece.

`create_blocks` lays the image out at a place beside its final one, `open_blocks` opens it in any number of processes, and
`put_in_place` gives it its name when it is whole. Writing a block twice is the same as writing it once.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import tifffile
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io.metadata import note_text
from superlens.io.ome_zarr_out import NGFF, ZarrBlocks, create_zarr
from superlens.io.paths import TIFF_SUFFIXES, ZARR_SUFFIXES
from superlens.io.tiff_out import ome_metadata
from superlens.progress import Progress, silent

__all__ = ["BlockFormat", "BlockWriter", "block_format", "create_blocks", "open_blocks"]

BlockFormat: TypeAlias = Literal["zarr", "tiff"]

_CLASSIC_LIMIT = (1 << 32) - (1 << 25)


class BlockWriter(Protocol):
    """Takes parts of planes in any order."""

    def write(self, plane: int, y: slice, x: slice, values: NDArray[Any]) -> None:
        """Write a part of a plane; planes are numbered as in `Image.planes`."""

    def finish(self, progress: Progress = silent) -> None:
        """Do what can be done only when all blocks are there."""


def block_format(path: Path) -> BlockFormat:
    """The format that the ending of a name asks for.

    Raises
    ------
    SuperlensError
        When it is neither.

    Examples
    --------
    >>> block_format(Path("cell_sr.ome.zarr"))
    'zarr'
    """
    suffix = path.suffix.lower()
    if suffix in ZARR_SUFFIXES:
        return "zarr"
    if suffix in TIFF_SUFFIXES:
        return "tiff"
    raise SuperlensError(f"{path.name} ends in {suffix or 'nothing'}; expected .ome.zarr or .ome.tif.")


def create_blocks(path: Path, kind: BlockFormat, header: Image, *, chunk: tuple[int, int], ngff: NGFF = "0.4") -> None:
    """Lay out an image without pixels.

    Parameters
    ----------
    path : Path
        Where to; what is there is replaced.
    kind : {"zarr", "tiff"}
    header : Image
        Axes, shape, type and sampling; its pixels are not looked at.
    chunk : tuple of int
        Sides of the chunks of a Zarr.
    ngff : {"0.4", "0.5"}
        Version of a Zarr's metadata.
    """
    if kind == "zarr":
        create_zarr(path, header, chunk=chunk, ngff=ngff)
        return
    note = note_text(header)
    name = uuid.uuid5(uuid.NAMESPACE_OID, note)  # not random, so that the same run gives the same file
    tifffile.imwrite(
        path,
        shape=header.data.shape,
        dtype=header.data.dtype,
        ome=True,
        bigtiff=header.data.nbytes > _CLASSIC_LIMIT,
        metadata={**ome_metadata(header, note), "UUID": str(name)},
        photometric="minisblack",
    )


def open_blocks(path: Path, kind: BlockFormat) -> BlockWriter:
    """Open an image that `create_blocks` laid out, for writing."""
    return ZarrBlocks(path) if kind == "zarr" else _TiffBlocks(path)


class _TiffBlocks:
    """Writes rows to their places in the file.

    Plain writing and no mapping of the file into memory: on a full disk the first gives an error, the second ends the process.
    """

    def __init__(self, path: Path) -> None:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            if series.dataoffset is None:
                raise SuperlensError(f"{path.name} cannot be filled by blocks: its pixels do not lie in one piece.")
            self._offset = int(series.dataoffset)
            self._yx = series.shape[-2:]
            self._dtype = np.dtype(series.dtype).newbyteorder(tiff.byteorder)
        self._path = path

    def write(self, plane: int, y: slice, x: slice, values: NDArray[Any]) -> None:
        height, width = self._yx
        rows = np.ascontiguousarray(values, self._dtype)
        with self._path.open("r+b", buffering=0) as file:
            for at, row in zip(range(y.start, y.stop), rows, strict=True):
                file.seek(self._offset + ((plane * height + at) * width + x.start) * self._dtype.itemsize)
                _write_all(file.fileno(), memoryview(row).cast("B"))

    def finish(self, progress: Progress = silent) -> None:
        progress(0, 1, "flushing")
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())


def _write_all(descriptor: int, rest: memoryview) -> None:
    while rest:
        rest = rest[os.write(descriptor, rest) :]
