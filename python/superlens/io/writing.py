"""One door out for images in memory: by the ending of its name a file becomes a TIFF or an OME-Zarr."""

from __future__ import annotations

from pathlib import Path

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io.ome_zarr_out import NGFF
from superlens.io.paths import TIFF_SUFFIXES, ZARR_SUFFIXES
from superlens.io.tiff_out import Compression, write_tiff

__all__ = ["NGFF", "Compression", "write"]


def write(path: str | Path, image: Image, *, compression: Compression = "none", ngff: NGFF = "0.4") -> Path:
    """Write a calibrated image, beside the old one and renamed when it is whole.

    Parameters
    ----------
    path : str or Path
        Ending in ``.tif`` or ``.tiff`` for an ImageJ hyperstack, ``.ome.tif`` for OME-TIFF, ``.ome.zarr`` for OME-Zarr.
    image : Image
        Values are kept as they are where the format has their type, and become float32 otherwise.
    compression : {"none", "deflate"}
        Of a TIFF; without loss in either case, and read by ImageJ. An OME-Zarr is always compressed without loss.
    ngff : {"0.4", "0.5"}
        Version of the metadata of an OME-Zarr; the earlier one is read by more programs.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    SuperlensError
        When the name, the folder or the disk does not allow it, or float32 cannot hold the integers exactly.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder) / "cell.tif", Image(np.zeros((20, 20), np.float32), pixel_nm=65.0)).name
    'cell.tif'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in TIFF_SUFFIXES + ZARR_SUFFIXES:
        raise SuperlensError(
            f"{path.name} would be written as {path.suffix or 'a file without extension'}; expected .tif or .ome.zarr."
        )
    if image.data.size == 0:
        raise SuperlensError(f"the image for {path.name} has shape {image.data.shape}: no pixels to write.")
    if suffix in ZARR_SUFFIXES:
        from superlens.io.ome_zarr_out import write_zarr

        write_zarr(path, image, ngff=ngff)
    else:
        write_tiff(path, image, compression=compression)
    return path
