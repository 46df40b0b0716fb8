"""One door for all formats: by its extension a file goes to its reader, and comes back as an `Image` or a `PSF`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io.metadata import StoredImage, stem, to_image
from superlens.io.paths import (
    MRC_SUFFIXES,
    PNG_SUFFIXES,
    RAW_SUFFIXES,
    TIFF_SUFFIXES,
    check_readable,
    is_companion,
    is_zarr,
)
from superlens.io.series import only_series

if TYPE_CHECKING:
    from superlens.io.mrc import OTF
    from superlens.optics import PSF

__all__ = ["read", "read_psf", "stored_image"]

_MOST_GAIN = 1.1  # a PSF is nowhere negative, so no frequency passes better than zero does; the rest is noise
_WIDEST_PSF_PIXELS = 100


def read(
    path: str | Path,
    *,
    axes: str | None = None,
    pixel_nm: float | None = None,
    z_step_nm: float | None = None,
    fill_missing: bool = False,
    series: int | None = None,
) -> Image:
    """Read an image with its axes and sampling.

    Parameters
    ----------
    path : str or Path
        TIFF (ImageJ, OME, BigTIFF, plain), the folder of an OME-Zarr, MRC or DeltaVision, greyscale PNG, or a movie of Picasso
        (``.raw``, with its YAML beside it).
    axes : str, optional
        A letter of TCZYX for each axis in the order of the file, such as ``"ZYX"``; needed when the file does not say.
    pixel_nm, z_step_nm : float, optional
        Sampling, when the file has none or a wrong one.
    fill_missing : bool
        Take chunks of a Zarr that are not stored for its fill value, instead of refusing it.
    series : int, optional
        Which image of a file that holds several, from 0: one of the positions of the stage, say. A file with several is refused
        without it, unless all but one are previews.

    Returns
    -------
    Image
        Values as stored, in the machine's byte order; axes in the order TCZYX; `pixel_nm` is None when neither the file
        nor the caller says it, and when the file has only a resolution meant for printers.

    Raises
    ------
    SuperlensError
        When the file is missing, damaged, coloured, boolean or complex, does not name its axes, states two pixel sizes, or
        holds several images.

    Warns
    -----
    SuperlensWarning
        When planes or files of the image are missing and the rest is read, and when the file states a size that is not possible.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from superlens.io import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cell = write(Path(folder) / "cell.tif", Image(np.zeros((20, 30), np.uint16), pixel_nm=65.0))
    ...     read(cell).pixel_nm
    65.0
    """
    path = Path(path)
    stored = stored_image(path, lazily=False, fill_missing=fill_missing, series=series)
    try:
        return to_image(stored, path, axes=axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm)
    except MemoryError as error:
        raise SuperlensError(_too_large(path)) from error


def read_psf(
    path: str | Path, *, pixel_nm: float | None = None, z_step_nm: float | None = None, series: int | None = None
) -> PSF:
    """Read a point spread function: the image of one point, or a radial transfer function.

    Parameters
    ----------
    path : str or Path
        An image of one point as any image file (stacks are taken for planes), or an MRC file of complex values with one row.
    pixel_nm : float, optional
        Sampling of the image. For a transfer function, that of the result; by default the coarsest that holds all its
        frequencies, ``1 / (2 (n - 1) dk)`` for n values in steps of dk.
    z_step_nm : float, optional
        Distance of the planes.
    series : int, optional
        Which image of a file that holds several, from 0.

    Returns
    -------
    PSF
        Centred, background removed, sum 1.

    Raises
    ------
    SuperlensError
        When the file cannot be read, has no pixel size, or holds something other than one PSF.
    """
    from superlens.io.mrc import is_complex
    from superlens.optics import PSF

    path = Path(path)
    check_readable(path)
    if path.suffix.lower() in MRC_SUFFIXES and is_complex(path):
        only_series(series, path)
        return _psf_from_otf(path, pixel_nm)
    stored = stored_image(path, lazily=False, series=series)
    axes = stored.axes.replace("I", "Z") if stored.axes == "IYX" else None
    image = to_image(stored, path, axes=axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm)
    if image.pixel_nm is None:
        raise SuperlensError(f"{path.name} does not state its pixel size; give `psf_pixel_nm`.")
    if "Z" in image.axes and image.z_step_nm is None:
        raise SuperlensError(f"{path.name} does not state the distance of its planes; give `psf_z_step_nm`.")
    try:
        return PSF.from_image(image, source=f"measured: {path.name}")
    except SuperlensError as error:
        raise SuperlensError(f"{path.name}: {error}") from error


def stored_image(path: Path, *, lazily: bool, fill_missing: bool = False, series: int | None = None) -> StoredImage:
    """Hand a path to the reader of its format.

    Parameters
    ----------
    path : Path
    lazily : bool
        Leave the pixels in the file where the format allows it.
    fill_missing, series
        As for `read`.

    Returns
    -------
    StoredImage
    """
    check_readable(path)
    suffix = path.suffix.lower()
    try:
        if is_zarr(path):
            from superlens.io.ome_zarr import open_zarr

            return open_zarr(path, fill_missing=fill_missing, series=series)
        if suffix == ".zarr":
            raise SuperlensError(f"{path.name} is a file; expected the folder of an OME-Zarr. Unpack it.")
        if suffix not in TIFF_SUFFIXES and not is_companion(path):
            only_series(series, path)
        if suffix in MRC_SUFFIXES:
            from superlens.io.mrc import read_mrc

            return read_mrc(path)
        if suffix in PNG_SUFFIXES:
            from superlens.io.png import read_png

            return read_png(path)
        if suffix in RAW_SUFFIXES:
            from superlens.io.raw import open_raw

            return open_raw(path)
        from superlens.io.tiff import open_tiff, read_tiff

        return open_tiff(path, series) if lazily else read_tiff(path, series)
    except OSError as error:
        raise SuperlensError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise SuperlensError(_too_large(path)) from error


def _too_large(path: Path) -> str:
    return f"{path.name} does not fit into memory. Crop it, or split it into files."


def _psf_from_otf(path: Path, pixel_nm: float | None) -> PSF:
    from superlens.io.mrc import read_otf
    from superlens.optics import PSF

    otf = read_otf(path)
    if otf.data.ndim != 1:
        bands, radii, heights = otf.data.shape
        raise SuperlensError(
            f"{path.name} holds {bands} bands of {radii} x {heights} frequencies, as structured illumination uses; "
            "expected one row. Give a PSF image, or a radial transfer function in focus."
        )
    if otf.data.size < 2:
        raise SuperlensError(f"{path.name} holds one frequency only; expected a radial transfer function.")
    if np.abs(otf.data).max() > _MOST_GAIN * otf.data[0].real:
        raise SuperlensError(
            f"{path.name} is largest away from frequency 0, which no transfer function of light is. "
            "Export it again, with the zero frequency first."
        )
    if pixel_nm is None:
        pixel_nm = 1e3 / (2 * (otf.data.size - 1) * otf.dk_per_um)
    _check_pixel_of_otf(path, otf, pixel_nm)
    return PSF.from_radial_otf(otf.data, otf.dk_per_um, pixel_nm, source=f"radial OTF: {stem(path)}")


def _check_pixel_of_otf(path: Path, otf: OTF, pixel_nm: float) -> None:
    """Refuse a frequency step and a pixel that are orders of magnitude apart, before an array of that size is made."""
    low = np.flatnonzero(otf.data.real < 0.5 * otf.data[0].real)
    half = (low[0] if low.size else otf.data.size) * otf.dk_per_um
    width_nm = 0.5e3 / half
    if not 0.1 < width_nm / pixel_nm < _WIDEST_PSF_PIXELS:
        raise SuperlensError(
            f"{path.name} has steps of {otf.dk_per_um:g} per um, which makes a PSF of about {width_nm:.3g} nm; "
            f"that does not fit pixels of {pixel_nm:g} nm. Check both."
        )
