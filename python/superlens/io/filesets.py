"""Which files are parts of one image: sets of OME-TIFF, Micro-Manager's stacks in several files and its separate files, stores of NDTiff.

`find_images` expands folders; `once` keeps one file of each set, so that a folder, or a list that a shell made of ``*.tif``, gives each image once. Only descriptions are
read. Positions of the stage in files of their own are images of their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io.micromanager import open_stack
from superlens.io.ome import ome_text, open_ome_set
from superlens.io.paths import (
    IMAGE_SUFFIXES,
    RAW_SUFFIXES,
    TIFF_SUFFIXES,
    check_readable,
    is_companion,
    is_zarr,
    reason,
)
from superlens.io.separate import is_separate, open_separate

__all__ = ["find_images", "once", "parts_of"]

_NDTIFF_INDEX, _NDTIFF_STACK = "NDTiff.index", "NDTiffStack"


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """List the image files that a user means by some files and folders.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, and folders of OME-Zarr, are kept in the order given; another folder stands for the images directly in it,
        sorted by name, and the folder of an acquisition of Micro-Manager for those of its positions.

    Returns
    -------
    list of Path
        At least one, none twice; hidden files in folders are left out. Of files that are one image together, the first.

    Raises
    ------
    SuperlensError
        When a path is missing, or there is no image at all.
    """
    given = [Path(path) for path in paths]
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir() and not is_zarr(path):
            found.update(dict.fromkeys(_images_in(path) or _positions_in(path)))
        else:
            check_readable(path)
            found[path] = None
    if not found:
        places = ", ".join(str(path) for path in given) or "an empty list"
        raise SuperlensError(f"no image found in {places}; expected files ending in {', '.join(IMAGE_SUFFIXES)}.")
    return once(found)


def once(paths: Iterable[Path]) -> list[Path]:
    """Keep one file of each set.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders.

    Returns
    -------
    list of Path
        In their order; of the files of a set the one that came first.
    """
    kept: list[Path] = []
    covered: set[Path] = set()
    for path in paths:
        if path.resolve() in covered:
            continue
        kept.append(path)
        covered |= {part.resolve() for part in parts_of(path)}
    return kept


def parts_of(path: Path) -> list[Path]:
    """All files that a file is one image with, as far as they are there; the file itself among them.

    Parameters
    ----------
    path : Path
        Of any kind.

    Returns
    -------
    list of Path
        Just the file where it is an image of its own, or cannot be read.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES and not is_companion(path):
        return [path]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SuperlensWarning)  # they come when the file is read
            return [path, *_others(path)]
    except (SuperlensError, OSError, ValueError):
        return [path]


def _others(path: Path) -> list[Path]:
    if _NDTIFF_STACK in path.name and path.with_name(_NDTIFF_INDEX).is_file():
        return [part for part in path.parent.glob(f"*{_NDTIFF_STACK}*") if part.suffix.lower() in TIFF_SUFFIXES]
    separate = open_separate(path)
    if separate is not None:
        return list(separate.files.values())
    stack = None if is_companion(path) else open_stack(path)
    if stack is not None:
        return [part.path for position in stack.positions for part in stack.rest_of(position)]
    text = ome_text(path)
    described = open_ome_set(path, text) if text else None
    if described is None:
        return []
    files = [part for image in described.of_this_file() for part in described.present(image)]
    return files if path in files or is_companion(path) else []


def _positions_in(folder: Path) -> list[Path]:
    """Planes in the folders of the positions of an acquisition."""
    folders = sorted(
        one for one in folder.iterdir() if one.is_dir() and not is_zarr(one) and not one.name.startswith(".")
    )
    return [file for one in folders for file in _images_in(one) if is_separate(file)]


def _images_in(folder: Path) -> list[Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise SuperlensError(f"{folder} cannot be listed: {reason(error)}.") from error
    return [
        file
        for file in files
        if not file.name.startswith(".")
        and (is_zarr(file) or (file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()))
        and (file.suffix.lower() not in RAW_SUFFIXES or file.with_suffix(".yaml").is_file())
    ]
