"""One file, opened without reading its pixels."""

from __future__ import annotations

from pathlib import Path

from superlens.errors import SuperlensError
from superlens.io.deferred import Deferred
from superlens.io.lazy import LazyImage
from superlens.io.metadata import facts
from superlens.io.reading import stored_image

__all__ = ["open_image"]


def open_image(
    path: str | Path,
    *,
    axes: str | None = None,
    pixel_nm: float | None = None,
    z_step_nm: float | None = None,
    fill_missing: bool = False,
    series: int | None = None,
) -> LazyImage:
    """Open an image without reading its pixels.

    Parameters
    ----------
    path : str or Path
        TIFF, a ``.raw`` of Picasso, or the folder of an OME-Zarr; MRC and PNG are read at once.
    axes : str, optional
        A letter of TCZYX for each axis in the order of the file; needed when the file does not say.
    pixel_nm, z_step_nm : float, optional
        Sampling, when the file has none or a wrong one.
    fill_missing : bool
        Take chunks of a Zarr that are not stored for its fill value, instead of refusing it.
    series : int, optional
        Which image of a file that holds several, from 0.

    Returns
    -------
    LazyImage

    Raises
    ------
    SuperlensError
        As `superlens.io.read`.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from superlens.image import Image
    >>> from superlens.io import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write(Path(folder) / "cell.ome.zarr", Image(np.eye(20, dtype=np.uint16), pixel_nm=65.0))
    ...     open_image(path).plane(0, y=slice(3, 4), x=slice(2, 5))
    array([[0, 1, 0]], dtype=uint16)
    """
    path = Path(path)
    stored = stored_image(path, lazily=True, fill_missing=fill_missing, series=series)
    told = facts(stored, path, axes=axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm)
    data = told["data"]
    opened = LazyImage(**{**told, "data": data if isinstance(data, Deferred) else Deferred.of(data)})
    try:
        about = opened.header
    except SuperlensError as error:
        raise SuperlensError(f"{path.name}: {error}") from error
    return LazyImage(
        opened.data,
        about.axes,
        about.pixel_nm,
        about.z_step_nm,
        about.frame_interval_s,
        about.channel_names,
        about.name,
        about.history,
        about.emission_nm,
    )
