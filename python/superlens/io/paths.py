"""Files and folders as the user names them: which are images, which can be read, and how one is replaced safely.

`check_readable` refuses what is no image file before a reader opens it, and `replacing` is the one way in which superlens writes a file: beside the old one, then renamed, so that a killed run leaves the old file or the new.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from superlens.errors import SuperlensError

__all__ = [
    "IMAGE_SUFFIXES",
    "MRC_SUFFIXES",
    "PNG_SUFFIXES",
    "RAW_SUFFIXES",
    "TIFF_SUFFIXES",
    "ZARR_MARKERS",
    "ZARR_SUFFIXES",
    "check_file",
    "check_readable",
    "check_target",
    "image_name",
    "is_companion",
    "is_zarr",
    "plane_of_acquisition",
    "put_in_place",
    "reason",
    "replacing",
    "replacing_folder",
    "write_failure",
]

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm")
MRC_SUFFIXES = (".mrc", ".dv", ".r3d", ".st", ".otf")
PNG_SUFFIXES = (".png",)
RAW_SUFFIXES = (".raw",)
ZARR_SUFFIXES = (".zarr",)
COMPANION_ENDING = ".companion.ome"
ZARR_MARKERS = (".zgroup", ".zarray", ".zattrs", "zarr.json")
_SEPARATE = (
    re.compile(r"img_channel(?P<C>\d{3,})_position(?P<P>\d{3,})_time(?P<T>\d{9})_z(?P<Z>\d{3,})\.tiff?", re.IGNORECASE),
    re.compile(r"img_(?P<T>\d{9})_(?P<C>.*)_(?P<Z>\d{3,})\.tiff?", re.IGNORECASE),
)
"""Names of Micro-Manager's separate files, of version 2 and 1.4."""
IMAGE_SUFFIXES = TIFF_SUFFIXES + MRC_SUFFIXES + PNG_SUFFIXES + RAW_SUFFIXES + ZARR_SUFFIXES

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_readable(path: Path) -> int:
    """Refuse what is not a file with something in it.

    Parameters
    ----------
    path : Path
        What a reader is about to open.

    Returns
    -------
    int
        Length of the file in bytes, above 0; 1 for the folder of a Zarr.

    Raises
    ------
    SuperlensError
        When the path is missing, a folder of another kind, empty, not readable, or of an unknown kind.
    """
    if is_zarr(path):
        return 1
    size = check_file(path, "an image file")
    if path.suffix.lower() not in IMAGE_SUFFIXES and not is_companion(path):
        raise SuperlensError(_unknown(path))
    return size


def check_file(path: Path, kind: str) -> int:
    """Refuse what is not a file with something in it, whatever its ending.

    Parameters
    ----------
    path : Path
        What a reader is about to open.
    kind : str
        What is expected, in words, such as "an image file".

    Returns
    -------
    int
        Length of the file in bytes, above 0.

    Raises
    ------
    SuperlensError
        When the path is missing, a folder, empty, or not readable.
    """
    try:
        if path.is_dir():
            raise SuperlensError(f"{path} is a folder; expected {kind}. Name a file in it.")
        if not path.exists():
            raise SuperlensError(f"{path} does not exist. Check the spelling and the folder.")
        if not path.is_file():
            raise SuperlensError(f"{path} is not a regular file; expected {kind}.")
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        if isinstance(error, SuperlensError):
            raise
        raise SuperlensError(f"{path} cannot be read: {reason(error)}.") from error
    if size == 0:
        raise SuperlensError(f"{path} is empty (0 bytes). Copy or export it again.")
    if not os.access(path, os.R_OK):
        raise SuperlensError(f"{path} cannot be read: permission denied. Change its rights or copy it.")
    return size


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file so that its name never stands for half of it.

    The block writes to the path it is given, which lies beside the final one. When the block ends well, that file is
    flushed to disk and renamed; when it raises, it is removed and what was there before stays.

    Parameters
    ----------
    path : str or Path
        Where the file shall be in the end. Its folder must exist.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    SuperlensError
        When the folder is missing or may not be written, or the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "run.json") as beside:
    ...         _ = beside.write_text("{}")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['run.json']
    """
    final = Path(path)
    _check_writable(final)
    final = final.resolve()
    beside = final.with_name(f".{final.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        yield beside
        _flush(beside)
        os.replace(beside, final)
    except OSError as error:
        raise SuperlensError(write_failure(final, error)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Write a folder that is one image so that its name never stands for half of it; the arguments are those of `replacing`."""
    final = Path(path)
    check_target(final, folder=True)
    final = final.resolve()
    beside = final.with_name(f".{final.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        yield beside
        put_in_place(beside, final)
    except OSError as error:
        raise SuperlensError(write_failure(final, error)) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_target(path: Path, *, folder: bool) -> None:
    """Refuse a name that cannot be written, or stands for something of another kind.

    Parameters
    ----------
    path : Path
        Where an image shall be in the end.
    folder : bool
        Whether it will be the folder of a Zarr.

    Raises
    ------
    SuperlensError
    """
    if folder and path.exists() and not is_zarr(path):
        raise SuperlensError(f"{path} exists and is no Zarr; it would be replaced. Give another name.")
    if folder and path.is_dir():
        _check_writable(path.with_name(f"{path.name}.part"))
    else:
        _check_writable(path)


def put_in_place(beside: Path, final: Path) -> None:
    """Give a finished file or folder its name; what had it before is removed.

    Raises
    ------
    OSError
    """
    if not final.is_dir():
        os.replace(beside, final)
        return
    earlier = final.with_name(f".{final.name[:100]}.{secrets.token_hex(6)}.old")
    os.replace(final, earlier)
    os.replace(beside, final)
    shutil.rmtree(earlier, ignore_errors=True)


def plane_of_acquisition(path: Path) -> dict[str, str] | None:
    """Frame (T), slice (Z), channel (C) and perhaps position (P) that the name of a separate file of Micro-Manager says; None for any other name."""
    for pattern in _SEPARATE:
        match = pattern.fullmatch(path.name)
        if match is not None:
            return match.groupdict()
    return None


def image_name(path: Path) -> str:
    """What the image in a file is called: the file without its endings, or the folder of a plane of Micro-Manager, with its position.

    Examples
    --------
    >>> image_name(Path("data/cell 1.ome.tif")), image_name(Path("day_1/Pos0/img_000000000_GFP_000.tif"))
    ('cell 1', 'Pos0')
    """
    said = plane_of_acquisition(path)
    if said is None:
        return path.stem.removesuffix(".ome").removesuffix(".companion")
    folder = path.absolute().parent.name
    return f"{folder}_position{said['P']}" if "P" in said else folder


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder of chunks, by its ending or by what lies in it."""
    return path.is_dir() and (path.suffix.lower() in ZARR_SUFFIXES or any((path / m).is_file() for m in ZARR_MARKERS))


def is_companion(path: Path) -> bool:
    """Whether a file holds nothing but the description of a set of OME-TIFF files, by its name."""
    return path.name.lower().endswith(COMPANION_ENDING)


def write_failure(path: Path, error: OSError) -> str:
    """Say in one line why a file could not be written."""
    partly = error.errno is None and "written" in str(error)  # how NumPy says that the disk took only some of an array
    if partly or error.errno in _NO_SPACE:
        return f"no space left for {path}. Free some, or give a folder on another disk; the file was not changed."
    if error.errno in _NOT_ALLOWED:
        return f"{path} may not be written by this user; give another folder or change its rights."
    return f"{path} cannot be written: {reason(error)}."


def _unknown(path: Path) -> str:
    known = ", ".join(IMAGE_SUFFIXES)
    if path.suffix.lower() in (".jpg", ".jpeg", ".gif"):
        return f"{path} is a {path.suffix[1:].upper()} file, whose values are not measurements. Give the original, as TIFF."
    kind = path.suffix or "no extension"
    return f"{path} is of a kind that cannot be read ({kind}); expected {known}. Save it as TIFF from Fiji."


def _check_writable(path: Path) -> None:
    folder = path.parent
    if path.is_dir():
        raise SuperlensError(f"{path} is a folder; expected the name of a file to write.")
    if not folder.exists():
        raise SuperlensError(f"{folder} does not exist, so {path.name} cannot be written there. Make the folder first.")
    if not folder.is_dir():
        raise SuperlensError(f"{folder} is not a folder, so {path.name} cannot be written there.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SuperlensError(f"{folder} may not be written by this user; give another folder or change its rights.")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def reason(error: BaseException) -> str:
    """What an error of the system says, in the midst of a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
