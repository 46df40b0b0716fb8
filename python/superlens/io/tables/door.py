"""One door for all formats of tables: a file goes to its reader by its content, to its writer by its ending."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from superlens.errors import SuperlensError
from superlens.io.paths import check_file

if TYPE_CHECKING:
    from superlens.io.tables.meaning import StoredTable
    from superlens.smlm.table import Localizations

__all__ = ["TABLE_SUFFIXES", "read_localizations", "write_localizations"]

TABLE_SUFFIXES = (".csv", ".txt", ".tsv", ".xls", ".hdf5", ".h5", ".hdf", ".smlm")
"""Endings of the files that `read_localizations` takes."""

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


def read_localizations(path: str | Path, *, pixel_nm: float | None = None) -> Localizations:
    r"""Read a table of localizations, whichever program wrote it.

    Parameters
    ----------
    path : str or Path
        ThunderSTORM CSV (quoted or not, also with the column names of the SMLM challenge), Picasso HDF5 with its YAML beside it,
        DECODE HDF5 or CSV, ``.smlm``, or text of rapidSTORM, Zeiss Elyra, Nanoimager, N-STORM, SMAP, PeakFit, QuickPALM or TrackMate.
    pixel_nm : float, optional
        Side of a camera pixel, 1 to 10000 nm: where a file counts in pixels and does not say how large they are, or says it wrongly.

    Returns
    -------
    Localizations
        Frames from 1; x and y in nanometres from the outer corner of the top-left camera pixel. A column that is known to mean something
        but holds only zeros, as files have it where nothing is known, is left out. Columns of unknown meaning keep their values under
        their name in small letters, with its unit; a value that is not there is NaN. `history` says which format it was and what was
        converted.

    Raises
    ------
    SuperlensError
        If the file is missing, damaged, of an unknown kind, lacks frame, x or y, or states them in units that cannot be converted.

    Warns
    -----
    SuperlensWarning
        If the file counts from the middle of the first pixel and nothing says how large that is, a column of known meaning cannot be
        read, or rows without a position or a frame are left out.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "found.csv"
    ...     _ = file.write_text('frame,"x [um]","y [um]",intensity [photon]\n0,1.5,0.25,900\n')
    ...     table = read_localizations(file)
    >>> table["frame"], table["x_nm"], table["photons"]
    (array([1]), array([1500.]), array([900.]))
    """
    from superlens.io.tables.meaning import check_pixel, to_localizations

    path = Path(path)
    if pixel_nm is not None:
        check_pixel(pixel_nm, "pixel_nm is")
    check_file(path, "a table of localizations")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise SuperlensError(_unknown(path))
    try:
        return to_localizations(_reader(path)(path), path, pixel_nm)
    except OSError as error:
        raise SuperlensError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise SuperlensError(f"{path.name} does not fit into memory. Split it into files.") from error


def write_localizations(path: str | Path, table: Localizations) -> Path:
    """Write a table of localizations for ThunderSTORM or Picasso, beside the old file and renamed when it is whole.

    Parameters
    ----------
    path : str or Path
        Ending in ``.csv`` for ThunderSTORM, in ``.hdf5`` for Picasso, which also gets a ``.yaml`` of the same name.
    table : Localizations
        For Picasso it must know its `pixel_nm`. Where it does not know the field or the number of frames, the smallest are written that
        hold all rows.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    SuperlensError
        If the name, the folder or the disk does not allow it, or Picasso's pixel size is missing.

    Notes
    -----
    ThunderSTORM expects all its columns, so each is written: id, frame, x, y, sigma, intensity, offset, bkgstd, chi2 and uncertainty; z,
    sigma1, sigma2 and uncertainty_z for a table with any of these; detections for a linked one. Values that the table does not have or
    that are not finite are 0, id counts the rows, and sigma is the geometric mean of sigma1 and sigma2 where only these are known. All
    other columns follow under their names here. Numbers have ten digits. Picasso gets float32; what it requires and the table lacks is 0.

    Examples
    --------
    >>> import tempfile
    >>> from superlens.smlm import Localizations
    >>> table = Localizations({"frame": [1], "x_nm": [50.0], "y_nm": [70.0]}, pixel_nm=100.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_localizations(Path(folder) / "found.hdf5", table)
    ...     print(sorted(each.name for each in Path(folder).iterdir()), read_localizations(file)["x_nm"])
    ['found.hdf5', 'found.yaml'] [50.]
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        from superlens.io.tables.thunderstorm import write_thunderstorm

        write_thunderstorm(path, table)
    elif suffix == ".hdf5":
        from superlens.io.tables.picasso import write_picasso

        write_picasso(path, table)
    else:
        raise SuperlensError(
            f"{path.name} ends in {path.suffix or 'nothing'}; expected .csv for ThunderSTORM or .hdf5 for Picasso."
        )
    return path


def _reader(path: Path) -> Callable[[Path], StoredTable]:
    with path.open("rb") as file:
        head = file.read(len(_HDF5))
    if head == _HDF5:
        return _read_hdf5
    if head.startswith(_ZIP):
        from superlens.io.tables.smlm import read_smlm

        return read_smlm
    if path.suffix.lower() in (".hdf5", ".h5", ".hdf", ".smlm"):
        kind = "a zip archive" if path.suffix.lower() == ".smlm" else "HDF5"
        raise SuperlensError(f"{path.name} is not {kind}, as its ending says: damaged or misnamed. Export it again.")
    if head.startswith(_OLD_EXCEL):
        raise SuperlensError(f"{path.name} is a workbook of a spreadsheet program. Save it as CSV.")
    return _text_reader(path)


def _text_reader(path: Path) -> Callable[[Path], StoredTable]:
    from superlens.io.tables.programs import program_of
    from superlens.io.tables.rapidstorm import is_rapidstorm, read_rapidstorm
    from superlens.io.tables.text import read_head

    head = read_head(path)
    return functools.partial(read_rapidstorm if is_rapidstorm(head) else program_of(path, head).read, head=head)


def _unknown(path: Path) -> str:
    if path.suffix.lower() in (".yaml", ".yml"):
        return f"{path.name} only describes a Picasso table; give the .hdf5 file beside it."
    kind = path.suffix or "no extension"
    known = ", ".join(TABLE_SUFFIXES)
    return (
        f"{path} is of a kind that cannot be read as a table ({kind}); expected {known}. Export it as ThunderSTORM CSV."
    )


def _read_hdf5(path: Path) -> StoredTable:
    """Read a table of Picasso or of DECODE."""
    from superlens.io.tables.decode import read_decode
    from superlens.io.tables.hdf5 import opened
    from superlens.io.tables.picasso import read_picasso

    with opened(path) as file:
        names = [str(name) for name in file]  # bytes where they are no UTF-8
    if "locs" in names:
        return read_picasso(path)
    if "data" in names:
        return read_decode(path)
    there = " ".join(", ".join(names).split())[:200] or "nothing"
    raise SuperlensError(
        f"{path.name} holds {there}; expected locs, as Picasso writes it, or data, as DECODE does. Export it as CSV."
    )
