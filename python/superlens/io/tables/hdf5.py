"""HDF5 safely: files are recognised by what they hold, and only plain data inside the file itself are read.

An HDF5 file can point to other files on the machine and can claim arrays of any size; both are refused before anything is read. Text of
variable length is not read through the HDF5 library, which crashes or hangs on damaged references to it, but looked up in the heap
where the format keeps it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError

__all__ = ["group", "member", "numbers_of", "opened", "read_array", "word_of"]

_MOST_COMPRESSION = 1100  # deflate, the strongest filter in use, ends at 1032
_MOST_NUMBERS = 4
_LONGEST_WORD = 64
_DAMAGE = (
    OSError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RuntimeError,
    struct.error,
)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file to read, and say in one line when it turns out to be damaged.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    h5py.File
        Open for reading.

    Raises
    ------
    SuperlensError
        Instead of whatever the library raises while the block runs.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except SuperlensError:
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SuperlensError(f"{path.name} is damaged or cut short ({reason}). Export it again.") from error


def member(parent: h5py.Group, name: str, path: Path) -> h5py.Dataset | None:
    """A dataset that lies in the file itself and is as long as it says.

    Parameters
    ----------
    parent : h5py.Group
        Where to look.
    name : str
        What to look for.
    path : Path
        The file, for messages.

    Returns
    -------
    h5py.Dataset or None
        None if there is none of this name, or it is there without values.

    Raises
    ------
    SuperlensError
        If it points elsewhere, is no dataset, or claims more than the file can hold.
    """
    if name not in parent:
        return None
    found = parent[name] if isinstance(parent.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise SuperlensError(f"{path.name} does not hold {name} itself; expected a table in the file.")
    if found.shape is None:
        return None
    claimed, stored = found.size * found.dtype.itemsize, found.id.get_storage_size()
    if claimed > _MOST_COMPRESSION * stored or stored > path.stat().st_size:
        raise SuperlensError(
            f"{path.name} claims {claimed} bytes for {name} and stores {stored}: cut short or damaged. Export it again."
        )
    return found


def group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    """A group that lies in the file itself.

    Parameters
    ----------
    parent : h5py.Group
        Where to look.
    name : str
        What to look for.
    path : Path
        The file, for messages.

    Returns
    -------
    h5py.Group
        The group.

    Raises
    ------
    SuperlensError
        If there is none.
    """
    found = parent[name] if isinstance(parent.get(name, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Group):
        raise SuperlensError(f"{path.name} has no group {name}. Export it again.")
    return found


def read_array(parent: h5py.Group, name: str, path: Path) -> NDArray[Any] | None:
    """The numbers of a dataset.

    Parameters
    ----------
    parent : h5py.Group
        Where to look.
    name : str
        What to look for.
    path : Path
        The file, for messages.

    Returns
    -------
    ndarray or None
        None if there are none.
    """
    found = member(parent, name, path)
    return None if found is None or found.dtype.kind not in "fiub" else np.asarray(found[()])


def numbers_of(parent: h5py.Group, name: str) -> NDArray[Any] | None:
    """The numbers of an attribute.

    Parameters
    ----------
    parent : h5py.Group
        What it describes.
    name : str
        The attribute.

    Returns
    -------
    ndarray or None
        None if it is not there, or is not one or a few numbers.
    """
    if not h5py.h5a.exists(parent.id, name.encode()):
        return None
    stored = h5py.h5a.open(parent.id, name.encode())
    if stored.dtype.kind not in "fiu" or len(stored.shape) > 1 or sum(stored.shape) > _MOST_NUMBERS:
        return None
    values = np.empty(stored.shape, stored.dtype)
    stored.read(values)
    return values


def word_of(parent: h5py.Group, name: str, words: tuple[str, ...], path: Path) -> str:
    """Which of a few words an attribute is.

    Parameters
    ----------
    parent : h5py.Group
        What it describes.
    name : str
        The attribute. Where it is text of variable length, the file must hold no other text that is one of the words.
    words : tuple of str
        What it may be.
    path : Path
        The file.

    Returns
    -------
    str
        The word, or "" if there is none of them.
    """
    if not h5py.h5a.exists(parent.id, name.encode()):
        return ""
    stored = h5py.h5a.open(parent.id, name.encode())
    kind = stored.get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID):
        return ""
    if kind.is_variable_str():
        found = _texts(path)
    else:
        value = np.empty((), kind.dtype)
        stored.read(value)
        found = {bytes(value[()]).rstrip(b"\x00 ")}
    return next((word for word in words if word.encode() in found), "")


def _texts(path: Path) -> set[bytes]:
    """Short texts in the global heaps of a file (HDF5 File Format Specification 3.0, section III.E)."""
    texts = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(b"GCOL")
        while start >= 0:
            size = struct.unpack_from("<Q", content, start + 8)[0] if start + 16 <= len(content) else 0
            at, end = start + 16, min(start + size, len(content))
            while at + 16 <= end:
                index, length = struct.unpack_from("<H6xQ", content, at)
                if index == 0:
                    break
                if length <= _LONGEST_WORD:
                    texts.add(content[at + 16 : at + 16 + length].rstrip(b"\x00"))
                at += 16 + (length + 7) // 8 * 8
            start = content.find(b"GCOL", start + 4)
    return texts
