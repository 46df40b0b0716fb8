"""Which names in an output folder belong to a run, so that no run replaces what another one made of other inputs.

Every result stands in one record, a ``run.json``. A run of the same inputs takes the names of the earlier one and replaces its files; a run
of other inputs gets names of its own beside them. Runs that write to one folder at once wait for each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from superlens.errors import SuperlensError, printable
from superlens.io import IMAGE_SUFFIXES
from superlens.io.tables.door import TABLE_SUFFIXES
from superlens.method import Method, Role
from superlens.runs.folders import OutputFolder, stem_of
from superlens.runs.verb import Session, Source

__all__ = ["ResultNames", "digest_of", "identity_of", "reserved_names"]

_RECORD = "run.json"
_RETRY_S = 0.2


@dataclass(frozen=True, slots=True)
class ResultNames:
    """The names that a run may write in a folder.

    Attributes
    ----------
    folder : OutputFolder
    method : Method
    prefix : str
        Of what belongs to the run as a whole; empty for the first run in a folder.
    alone : bool
        Whether there is one input.
    others : tuple
        The records of earlier runs there, by file name.
    identities : frozenset of str
        Of the inputs of this run.
    tables : str
        Ending of tables, such as ".csv" or ".hdf5".
    """

    folder: OutputFolder
    method: Method
    prefix: str
    alone: bool
    identities: frozenset[str]
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: str = ".csv"

    @property
    def record(self) -> str:
        """Name of the record."""
        return f"{self.prefix}{_RECORD}"

    @property
    def model(self) -> str:
        """Name of the model."""
        return f"{self.prefix}model.zip"

    @property
    def index(self) -> str | None:
        """Name of the page that lists all results; None where there is one input."""
        return None if self.alone else f"{self.prefix}index.html"

    def report(self, file: Path) -> str:
        """Name of the report of an input, which is called by its name where there are several."""
        return f"{self.prefix}report.html" if self.alone else f"{stem_of(file)}_report.html"

    def named(self, role: Role, file: Path) -> str:
        """Name of the file of a role of an input."""
        ending = self.tables if role.table else ".tif"
        return f"{self.prefix}{role.ending}{ending}" if role.alone else f"{stem_of(file)}_{role.ending}{ending}"

    def unfinished(self, file: Path) -> str:
        """Name of the first picture of an input, which is taken away when the results are there."""
        return f"{stem_of(file)}_unfinished.tif"

    def names(self, files: Sequence[Path], roles: Sequence[str]) -> list[str]:
        """All names that a run writes for inputs, for the roles that will be there, but for the model."""
        shown = [role for role in self.method.gives if role.name in roles or role.table]
        images = [self.named(role, file) for file in files for role in shown]
        images += [beside for name in images if (beside := self.beside(name)) is not None]
        pages = [*(self.report(file) for file in files), *([] if self.index is None else [self.index])]
        return [*images, *pages, self.record]

    def beside(self, name: str) -> str | None:
        """Name of the file that belongs to a table of this name: Picasso describes its HDF5 in a YAML."""
        return f"{name.removesuffix('.hdf5')}.yaml" if name.endswith(".hdf5") else None

    def let_go(self, written: Sequence[str]) -> None:
        """Take from the earlier records what this run has made anew, with the files that it did not write again.

        Parameters
        ----------
        written : sequence of str
            Names of all files of this run.
        """
        kept = {
            *written,
            *(path.name for path in self.folder.inputs if path.parent.resolve() == self.folder.path.resolve()),
        }
        for name, told in self.others.items():
            gone = [one for one in told["results"] if one["identity"] in self.identities]
            left = [one for one in told["results"] if one["identity"] not in self.identities]
            if not gone:
                continue
            stale = {file for one in gone for file in one["files"].values()}
            if not left:
                stale |= {name, *(str(told.get(other) or name) for other in ("model", "index"))}
            for file in stale - kept:
                (self.folder.path / file).unlink(missing_ok=True)
            if left and name not in written:
                text = json.dumps({**told, "results": left}, indent=1, ensure_ascii=False)
                (self.folder.path / name).write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def reserved_names(
    folder: OutputFolder,
    method: Method,
    sources: Sequence[Source],
    roles: Sequence[str],
    size: int,
    session: Session,
    *,
    model: bool = False,
    tables: str = ".csv",
) -> Iterator[ResultNames]:
    """Make a folder ready, wait until no other run writes there, and find names that are free; for the length of the work.

    Parameters
    ----------
    folder : OutputFolder
    method : Method
    sources : sequence of Source
    roles : sequence of str
        What will be written of each.
    size : int
        Bytes that it will take, roughly.
    session : Session
    model : bool
        Whether a model will be written too.
    tables : str
        Ending of tables.

    Raises
    ------
    SuperlensError
        When the folder cannot be made or written, has no room, or a name is taken by something else.
    """
    _refuse_file_name(folder.path)
    files = [source.file for source in sources]
    with folder.prepared([], size), _held(folder.path, session):
        identities = frozenset(map(identity_of, sources))
        others = _records(folder.path)
        place = ResultNames(
            folder, method, _prefix(folder.path, others, identities, files), len(files) == 1, identities, others, tables
        )
        names = [*place.names(files, roles), *([place.model] if model else [])]
        folder.check(names)
        _refuse_taken(place, names)
        yield place


def identity_of(source: Source) -> str:
    """What makes two inputs the same: the place of a file, or the pixels of what came in none."""
    if source.file.exists():
        return printable(str(source.file.resolve()))
    return f"sha256 {hashlib.sha256(np.ascontiguousarray(source.image.data).tobytes()).hexdigest()}"


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder."""
    if path.is_dir():  # an OME-Zarr
        whole = hashlib.sha256()
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            whole.update(os.fsencode(f"{file.relative_to(path).as_posix()} {digest_of(file)}\n"))
        return whole.hexdigest()
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _records(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The records in a folder that can be read, with the identity of each result."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(folder.glob(f"*{_RECORD}")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            results = [
                {**one, "identity": str(one["identity"]), "files": dict(one["files"])} for one in told["results"]
            ]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        found[path.name] = {**told, "results": results}
    return found


def _prefix(folder: Path, others: Mapping[str, Mapping[str, Any]], mine: frozenset[str], files: Sequence[Path]) -> str:
    for name, told in others.items():
        if {one["identity"] for one in told["results"]} == mine:
            return name.removesuffix(_RECORD)
    first = others.get(_RECORD)
    free = not (folder / _RECORD).exists() if first is None else {one["identity"] for one in first["results"]} <= mine
    if free:
        return ""
    return f"{stem_of(files[0])}_"


def _refuse_file_name(path: Path) -> None:
    """Refuse an output folder that is called like a file, since a person who writes that expects a file."""
    if path.suffix.lower() not in (*IMAGE_SUFFIXES, *TABLE_SUFFIXES) or path.is_dir():
        return
    hint = " To write one table, name its file in `save_table`." if path.suffix.lower() in TABLE_SUFFIXES else ""
    raise SuperlensError(f"`out` is {path.name}, the name of a file; expected a folder, like {path.stem}/.{hint}")


def _refuse_taken(place: ResultNames, names: Sequence[str]) -> None:
    """Refuse to replace what an earlier run made of other inputs, and what no run is known to have made."""
    owners: dict[str, Mapping[str, Any]] = {}
    for name, told in place.others.items():
        results = told["results"]
        for one in results:
            owners |= dict.fromkeys(one["files"].values(), one)
        for shared in (name, told.get("model"), told.get("index")):
            if shared:
                owners[shared] = next((one for one in results if one["identity"] not in place.identities), results[0])
    for name in names:
        path = place.folder.path / name
        if not path.exists():
            continue
        owner = owners.get(name)
        if owner is None:
            raise SuperlensError(
                f"{path} is there already and no run in this folder made it; move it, or choose another folder with `out`."
            )
        if owner["identity"] not in place.identities:
            raise SuperlensError(
                f"{path} is a result of {owner.get('input', 'another input')}; choose another folder with `out`."
            )


@contextlib.contextmanager
def _held(folder: Path, session: Session) -> Iterator[None]:
    """Wait for other runs in a folder, where the system has locks that end with their process."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    told, made = False, False
    while True:
        if not folder.exists():  # the other run came to nothing, and took its folder away
            folder.mkdir(parents=True, exist_ok=True)
            made = True
        place = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists() and os.path.samestat(os.fstat(place), folder.stat()):
                break
        except BlockingIOError:
            pass
        except OSError:  # a disk without locks
            break
        os.close(place)
        if not told:
            session.note(f"another run is writing to {folder}; this one waits for it")
            told = True
        session.check()
        time.sleep(_RETRY_S)
    try:
        yield
    finally:
        os.close(place)
        if made:
            with contextlib.suppress(OSError):  # it holds something now, and stays
                folder.rmdir()
