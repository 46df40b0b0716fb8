"""A request to predict an image by blocks: checked, with an identity of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import ImageFile, LazyImage, block_format, check_target, is_zarr
from superlens.model import picked, read_channels
from superlens.predicting.blocks import Opened
from superlens.predicting.predictor import Predictor
from superlens.streaming import Workers

__all__ = ["BlockOptions", "Request"]

_PYRAMID = 4 / 3  # what the coarser levels of a Zarr add
_FORMAT = 3


@dataclass(frozen=True, slots=True)
class BlockOptions:
    """How a prediction by blocks is carried out; only `adapt` changes a pixel.

    Attributes
    ----------
    also : tuple of str
        Roles of further images to write beside the main one, such as "denoised" and "uncertainty".
    block : int, optional
        Side of the part that a block answers for, in camera pixels; by default as large as memory allows.
    memory_gb : float, optional
        What the process, or each worker, may use; by default half of what is free, at most 2 GB.
    workers : Workers, optional
        Dask workers that do the blocks; None for this process.
    restart : bool
        Forget an unfinished run for the same place.
    adapt : int
        Train the model so many steps further on each frame before its blocks; 0 leaves it as it is.
    device, threads
        What each worker computes on.
    """

    also: tuple[str, ...] = ()
    block: int | None = None
    memory_gb: float | None = None
    workers: Workers | None = None
    restart: bool = False
    adapt: int = 0
    device: str | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is asked for, checked.

    Attributes
    ----------
    path : Path
        The model file.
    opened : callable
        See `superlens.predicting.blocks.Opened`.
    predictors : tuple of Predictor
        What is in it: one, or one for each channel, of one network.
    source, image
        The input, opened, with the channels that there are models for.
    roles, finals
        The images to make, and where each shall be in the end.
    options : BlockOptions
    """

    path: Path
    opened: Opened
    predictors: tuple[Predictor, ...]
    source: ImageFile
    image: LazyImage
    roles: tuple[str, ...]
    finals: tuple[Path, ...]
    options: BlockOptions

    @classmethod
    def of(
        cls, model: Path, source: ImageFile | Path | str, out: Path, options: BlockOptions, opened: Opened
    ) -> Request:
        """Open and check everything that can be checked before a block is done.

        Raises
        ------
        SuperlensError
        """
        predictors, channels = opened(model), read_channels(model)
        first = predictors[0]
        if not isinstance(first, Predictor):
            raise SuperlensError(
                "the model is one of movies, which are localized; prediction by blocks needs one of images"
            )
        if not first.blocks:
            raise SuperlensError(
                "the model works on whole images; name a folder in `out`, or use a model of finite reach, such as that of fast."
            )
        file = source if isinstance(source, ImageFile) else ImageFile(Path(source))
        image = file.open()
        if channels is not None:
            kept = picked(image.header, channels)
            if kept.data.shape != image.header.data.shape:
                file = replace(file, channels=tuple((file.channels or range(10**6))[c] for c in channels))
                image = file.open()
        for predictor in predictors:
            predictor.check_fits(image.header)
        roles = (next(iter(first.roles)), *options.also)
        _check_roles(roles, first)
        finals = tuple(out if at == 0 else _beside(out, role) for at, role in enumerate(roles))
        for final in finals:
            check_target(final, folder=block_format(final) == "zarr")
            _spare(final, (file.path, model))
        return cls(model.absolute(), opened, predictors, file, image, roles, finals, options)

    @property
    def predictor(self) -> Predictor:
        """The first; the others have the same network."""
        return self.predictors[0]

    def reopened(self, path: Path) -> tuple[Predictor, ...]:
        """What `opened` makes of a model file; the one that was asked for is not loaded again."""
        return self.predictors if path == self.path else self.opened(path)

    @property
    def identity(self) -> dict[str, Any]:
        """What the pixels of the result depend on, and where they go."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        header = self.image.header
        return {
            "format": _FORMAT,
            "model": digest,
            "source": [str(self.source.path.absolute()), _fingerprint(self.source.path)],
            "axes": header.axes,
            "shape": list(header.data.shape),
            "pixel_nm": header.pixel_nm,
            "fill_missing": self.source.fill_missing,
            "adapt": self.options.adapt,
            "channels": None if self.source.channels is None else list(self.source.channels),
            "outputs": [[role, final.name] for role, final in zip(self.roles, self.finals, strict=True)],
        }

    @property
    def units(self) -> tuple[float, ...]:
        """Counts that are one in the result, for each model."""
        return tuple(predictor.unit for predictor in self.predictors)

    def header(self, role: str, history: dict[str, Any]) -> Image:
        """The image of that role, without pixels."""
        empty = self.image.header
        scale = self.predictor.roles[role]
        shape = (*empty.data.shape[:-2], *(side * scale for side in empty.data.shape[-2:]))
        made = empty.with_data(np.broadcast_to(np.float32(0), shape), scale=scale)
        return replace(made, history={**empty.history, "superlens": history})

    def bytes_of(self, role: str) -> int:
        """Bytes of the result, uncompressed."""
        form = block_format(self.finals[self.roles.index(role)])
        return round(self.header(role, {}).data.nbytes * (_PYRAMID if form == "zarr" else 1))


def _check_roles(roles: tuple[str, ...], predictor: Predictor) -> None:
    for role in roles:
        if role not in predictor.roles or roles.count(role) > 1:
            others = ", ".join(tuple(predictor.roles)[1:]) or "nothing"
            raise SuperlensError(f"also has {role!r}; beside {roles[0]!r} this model gives {others}, each once.")


def _beside(out: Path, role: str) -> Path:
    stem, dot, ending = out.name.partition(".")
    return out.with_name(f"{stem.removesuffix('_sr')}_{role}{dot}{ending}")


def _spare(final: Path, inputs: Iterable[Path]) -> None:
    target = final.resolve()
    for path in inputs:
        source = path.resolve()
        if source == target or target in source.parents or source in target.parents:
            raise SuperlensError(f"{final} would overwrite the input {path}; give another `out`.")


def _fingerprint(path: Path) -> str:
    """Identity of the content of a path without reading it all: size, time and, of a Zarr, its metadata."""
    found = hashlib.sha256()
    files = [path]
    if is_zarr(path):
        files = sorted(f for name in (".z*", "zarr.json", "*/.z*", "*/zarr.json") for f in path.glob(name))
    for file in files:
        told = file.stat()
        found.update(f"{file.relative_to(path)} {told.st_size} {told.st_mtime_ns}\n".encode())
    return found.hexdigest()
