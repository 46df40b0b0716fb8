"""Which files a command reads, and how what it makes reaches its folder.

`find_inputs` turns files and folders into a list of image files. `OutputFolder` is prepared before any work begins: it must be
writable, have room, and overwrite none of the inputs. Everything is then written to a hidden folder inside it and moved to its
place in the end, so that a run that fails or is killed leaves the earlier files as they were and no half of a new one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from superlens.errors import SuperlensError, SuperlensWarning

__all__ = ["OUTPUT_ENDINGS", "TABLES", "OutputFolder", "find_inputs", "megabytes", "nested_folders", "stem_of"]

OUTPUT_ENDINGS = ("_sr.tif", "_denoised.tif", "_uncertainty.tif")
"""Ends of the names of our own images; such files in an input folder are passed over."""

TABLES = (".csv", ".txt", ".tsv", ".hdf5", ".h5", ".hdf", ".smlm")
"""Ends of the names of tables of localizations."""


def find_inputs(paths: Sequence[Path]) -> list[Path]:
    """List the image files that are meant.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders whose images are taken in the order of their names.

    Returns
    -------
    list of Path
        At least one file; each exists.

    Raises
    ------
    SuperlensError
        When a path does not exist, a folder holds no image, or two images would give outputs of one name.
    """
    from superlens.io import find_images

    named = {path for path in paths if not path.is_dir()}
    found = find_images(paths)
    files = [path for path in found if path in named or not path.name.endswith(OUTPUT_ENDINGS)]
    if not files:
        raise SuperlensError(
            f"{found[0].parent} holds nothing but earlier results; name the files to use them as inputs."
        )
    if len(files) < len(found):
        warnings.warn(
            f"{len(found) - len(files)} files are earlier results of superlens by their names and are passed over.",
            SuperlensWarning,
            stacklevel=2,
        )
    _refuse_same_names(files)
    return files


def nested_folders(paths: Sequence[Path], files: Sequence[Path]) -> list[Path]:
    """List folders with images of their own in the folders that are meant, which are not read.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders, as given.
    files : sequence of Path
        What `find_inputs` made of them.

    Returns
    -------
    list of Path
        Without hidden folders, and without those that hold nothing but earlier results. Empty for a folder whose images lie in its
        sub-folders alone, as an acquisition stores its positions.
    """
    from superlens.io import IMAGE_SUFFIXES, is_zarr

    read = {file.parent for file in files}
    inner = [
        one
        for path in dict.fromkeys(paths)
        if path in read
        for one in sorted(path.iterdir())
        if not one.name.startswith(".")
    ]
    return [
        one
        for one in inner
        if one.is_dir()
        and not is_zarr(one)
        and one not in paths
        and any(
            file.suffix.lower() in IMAGE_SUFFIXES and not file.name.endswith(OUTPUT_ENDINGS) for file in one.iterdir()
        )
    ]


def megabytes(count: float) -> str:
    """Write a number of bytes as kilobytes, megabytes or gigabytes."""
    if count < 1e5:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder that is about to receive files.

    Attributes
    ----------
    path : Path
    inputs : tuple of Path
        Files that must not be overwritten.
    """

    path: Path
    inputs: tuple[Path, ...] = ()

    @contextlib.contextmanager
    def prepared(self, names: Sequence[str], size: int) -> Iterator[None]:
        """Make the folder and check it, for the length of the work; a folder that was made for nothing is removed again.

        Parameters
        ----------
        names : sequence of str
            The files that will be written.
        size : int
            How many bytes they will take, roughly.

        Raises
        ------
        SuperlensError
            When the folder cannot be made or written, has no room, or an input would be overwritten.
        """
        made = self._make()
        try:
            self._probe()
            self.check(names)
            self._require_room(size)
            yield
        finally:
            for folder in made:
                with contextlib.suppress(OSError):  # it holds something now, and stays
                    folder.rmdir()

    def check(self, names: Sequence[str]) -> None:
        """Try names before the work.

        Raises
        ------
        SuperlensError
            When a file of that name would overwrite an input, or the disk takes none of that name.
        """
        self._spare_inputs(names)
        with tempfile.TemporaryDirectory(prefix=".superlens-", dir=self.path) as trial:
            for name in names:
                try:
                    (Path(trial) / name).touch()
                except (OSError, ValueError) as error:
                    raise SuperlensError(
                        f"the disk of {self.path} takes no file called {name} ({getattr(error, 'strerror', None) or error}); rename the input."
                    ) from error

    @contextlib.contextmanager
    def delivery(self) -> Iterator[Path]:
        """Give a hidden folder to write into; when the block ends well, its files are moved to their places.

        Yields
        ------
        Path
            An empty folder on the same disk.

        Raises
        ------
        SuperlensError
            When the disk fills up or a file cannot be replaced; the earlier files then stay.
        """
        staging: Path | None = None
        try:
            staging = Path(tempfile.mkdtemp(prefix=".superlens-", dir=self.path))
            yield staging
            for file in sorted(staging.iterdir(), key=lambda one: (not one.name.endswith("run.json"), one.name)):
                os.replace(file, self.path / file.name)
        except OSError as error:
            raise SuperlensError(
                f"writing to {self.path} failed ({error.strerror or error}); the earlier files are as they were. "
                "Free some space or choose another folder with `out`."
            ) from error
        finally:
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)

    def _spare_inputs(self, names: Sequence[str]) -> None:
        targets = {(self.path / name).resolve() for name in names}
        for source in self.inputs:
            if source.resolve() in targets:
                raise SuperlensError(
                    f"{source} is an input and would be overwritten; choose another folder with `out`."
                )

    def _make(self) -> list[Path]:
        """Make the folder and what it lies in; return what was made, the innermost first."""
        try:
            missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SuperlensError(
                f"the output folder {self.path} cannot be made ({error.strerror}); choose another one."
            ) from error
        return missing

    def _probe(self) -> None:
        try:
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(b"0")
        except OSError as error:
            raise SuperlensError(
                f"the output folder {self.path} cannot be written to ({error.strerror}); choose another one."
            ) from error

    def _require_room(self, size: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < size:
            raise SuperlensError(
                f"{self.path} has {megabytes(free)} free and the results need about {megabytes(size)}; "
                "free some space or choose another folder."
            )


def _refuse_same_names(files: Sequence[Path]) -> None:
    stems: dict[str, Path] = {}
    for file in files:
        stem = stem_of(file)
        if stem in stems:
            raise SuperlensError(
                f"{stems[stem]} and {file} would both give {stem}_sr.tif; rename one, or run them into different folders."
            )
        stems[stem] = file


def stem_of(path: Path) -> str:
    """Stem for the names of outputs: the file name without its endings, or the folder of an acquisition in separate files."""
    from superlens.io.paths import image_name

    return image_name(path)
