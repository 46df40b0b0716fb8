"""A model in one file: what its method keeps and, where the method trains a network, that network by name with its weights.

A model file is a zip of ``model.json`` (the configuration below), ``weights.npz`` where there is a network, and ``arrays.npz`` where the
method keeps arrays; one for several channels holds them in a folder for each, ``c0`` and so on, and ``channels.json``. Only numbers and
text are read from it; the network is built by name from our own code, so that a file from a stranger runs none of its own.

This module knows the file. What must be known to work on another image (sampling, PSF, camera, thresholds) is the method's own state: a
type of its own with ``of(model)`` and ``stored()``, such as `superlens.training.two_stage.state.TwoStageState`.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from superlens.config import Config
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.networks import build
from superlens.showing import facts

if TYPE_CHECKING:
    import keras

__all__ = ["ChannelModels", "Model", "ModelConfig", "load_model", "picked", "read_channels", "read_header", "shipped"]

FORMAT: Final = 2
"""Version of the file's layout; a file with another one is refused."""

_LARGEST_MEMBER = 2 << 30

_DAMAGE: tuple[type[BaseException], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,  # an encrypted member, an unknown compression, a text nested too deeply
    AttributeError,
    LookupError,
    ValueError,
    TypeError,
    EOFError,
    OSError,
    OverflowError,
    MemoryError,
)
"""What reading a damaged file may raise."""


class ModelConfig(Config):
    """What ``model.json`` holds.

    Attributes
    ----------
    format : int
        Layout of the file.
    version : str
        superlens version that wrote it.
    method : str
        Method that trained it, by the name of its folder in ``methods``, or "pretraining" for a start.
    network, network_config : str, dict
        Name and arguments for `superlens.networks.build`; empty for a method without a network, such as a deconvolution.
    state : dict
        What the method must know to work on another image, in plain values; see there.
    provenance : dict
        Command, seed, device, digests, history of the training.
    """

    format: Literal[2] = 2
    version: str
    method: str
    network: str = ""
    network_config: dict[str, Any] = {}
    state: dict[str, Any] = {}
    provenance: dict[str, Any] = {}

    @classmethod
    def parsed(cls, text: bytes | str) -> ModelConfig:
        """From the text of ``model.json``.

        Raises
        ------
        SuperlensError
            If its layout is another one, or a field is missing or wrong.
        """
        told = json.loads(text)
        _check_format(told.get("format", 1))
        return cls(**told)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Model:
    """What a method learned, and what it needs to repeat its work on another image.

    Attributes
    ----------
    config : ModelConfig
    network : keras.Model or None
        None for a method without a network.
    arrays : mapping
        Arrays by name that the method keeps, such as a PSF.

    Raises
    ------
    SuperlensError
        If the configuration names a network and there is none, or the other way round.
    """

    config: ModelConfig
    network: Any = None
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.config.network) != (self.network is not None):
            raise SuperlensError(
                f"the configuration names the network {self.config.network!r} and the model has "
                f"{'none' if self.network is None else 'one'}; give both, or neither for a method without a network"
            )

    def __repr__(self) -> str:
        """Method, network and pixel size in one line."""
        return f"Model({', '.join(f'{name} {value}' for name, value in self._facts())})"

    def _repr_html_(self) -> str:
        """The same as a table, in a notebook."""
        return facts(("", "Model"), self._facts(), "")

    def _facts(self) -> list[tuple[str, str]]:
        known, pixel_nm = self.config, self.config.state.get("pixel_nm")
        found = [("method", known.method)]
        if self.network is not None:
            size = sum(int(np.prod(w.shape)) for w in self.network.weights)
            found += [("network", str(known.network)), ("weights", f"{size:,}")]
        return found if pixel_nm is None else [*found, ("pixel_nm", f"{pixel_nm:g}")]

    def save(self, path: Path | str, *, dtype: Literal["float32", "float16"] = "float32") -> None:
        """Write the model file, beside and renamed; float16 halves it and keeps three digits of each weight."""
        _put(Path(path), self._contents(dtype))

    def _contents(self, dtype: str, folder: str = "") -> dict[str, str | bytes]:
        contents: dict[str, str | bytes] = {"model.json": json.dumps(self.config.model_dump(mode="json"), indent=1)}
        if self.network is not None:
            contents["weights.npz"] = _packed(
                {f"w{i}": w.astype(dtype) for i, w in enumerate(weights_of(self.network))}
            )
        if self.arrays:
            contents["arrays.npz"] = _packed(self.arrays)
        return {folder + name: content for name, content in contents.items()}

    @classmethod
    def load(cls, path: Path | str) -> Model:
        """Read a model file.

        Raises
        ------
        SuperlensError
            If the file is missing, cut short, or not ours, or holds a model for each of several channels.
        """
        found = load_model(path)
        if isinstance(found, ChannelModels):
            raise SuperlensError(
                f"{path} holds models for channels {', '.join(map(str, found.channels))}; expected one model here. "
                "It is for `superlens predict` and images with these channels"
            )
        return found

    @classmethod
    def _from(cls, members: Mapping[str, bytes]) -> Model:
        config = ModelConfig.parsed(members["model.json"])
        network = _restored(config, members["weights.npz"]) if config.network else None
        return cls(config, network, _unpacked(members["arrays.npz"]) if "arrays.npz" in members else {})


@dataclass(frozen=True, slots=True, eq=False)
class ChannelModels:
    """A model for each of several channels of one kind of image, in one file.

    Attributes
    ----------
    channels : tuple of int
        Index along C of the images they were trained on, rising.
    models : tuple of Model
        One for each, of one method and network.

    Raises
    ------
    SuperlensError
        If they do not belong together.
    """

    channels: tuple[int, ...]
    models: tuple[Model, ...]

    def __post_init__(self) -> None:
        if not self.channels or list(self.channels) != sorted(set(self.channels)) or self.channels[0] < 0:
            raise SuperlensError(f"channels is {list(self.channels)}; expected rising numbers from 0")
        if len(self.models) != len(self.channels):
            raise SuperlensError(f"there are {len(self.models)} models for {len(self.channels)} channels")
        kinds = {
            (m.config.method, m.config.network, json.dumps(m.config.network_config, sort_keys=True), *sorted(m.arrays))
            for m in self.models
        }
        if len(kinds) != 1:
            raise SuperlensError("the models of the channels are of different kinds; expected one network and scale")

    def picked(self, image: Image) -> Image:
        """The channels of an image that there are models for; see `picked`."""
        return picked(image, self.channels)

    def save(self, path: Path | str, *, dtype: Literal["float32", "float16"] = "float32") -> None:
        """Write the file, beside and renamed; the arguments are those of `Model.save`."""
        contents: dict[str, str | bytes] = {
            "channels.json": json.dumps({"format": FORMAT, "channels": list(self.channels)})
        }
        for number, model in zip(self.channels, self.models, strict=True):
            contents |= model._contents(dtype, f"c{number}/")
        _put(Path(path), contents)

    @classmethod
    def load(cls, path: Path | str) -> ChannelModels:
        """Read a file; one that holds a single model is taken for channel 0."""
        found = load_model(path)
        return found if isinstance(found, ChannelModels) else cls((0,), (found,))

    @classmethod
    def _from(cls, members: Mapping[str, bytes]) -> ChannelModels:
        channels = _channels(members["channels.json"])
        inside = [
            {name.removeprefix(f"c{c}/"): data for name, data in members.items() if name.startswith(f"c{c}/")}
            for c in channels
        ]
        return cls(channels, tuple(Model._from(each) for each in inside))


def load_model(path: Path | str) -> Model | ChannelModels:
    """Read a model file, of one model or of one for each channel; the name of a model that comes with superlens stands for its file.

    Raises
    ------
    SuperlensError
        If the file is missing, cut short, or not ours.
    """
    from superlens.training import engine_errors

    with _refused(Path(path)), engine_errors():
        members = _members(Path(path), _MEMBERS)
        return ChannelModels._from(members) if "channels.json" in members else Model._from(members)


def read_header(path: Path | str) -> ModelConfig:
    """Read what a model file says of its model, without the weights and without Keras; of several channels, that of the first.

    Raises
    ------
    SuperlensError
        As for `load_model`.
    """
    with _refused(Path(path)):
        members = _members(Path(path), ("model.json",))
        return ModelConfig.parsed(members[min(members, key=_channel_of)])


def read_channels(path: Path | str) -> tuple[int, ...] | None:
    """Read which channels a model file has models for; None where its one model is for an image without channels.

    Raises
    ------
    SuperlensError
        As for `load_model`.
    """
    with _refused(Path(path)):
        members = _members(Path(path), ("channels.json",))
        return _channels(members["channels.json"]) if members else None


def picked(image: Image, channels: tuple[int, ...]) -> Image:
    """Some channels of an image; one with as many channels is taken to have these alone.

    Raises
    ------
    SuperlensError
        If the image lacks one.
    """
    count = image.sizes.get("C", 1)
    if "C" not in image.axes or (count != len(channels) and count <= channels[-1]):
        raise SuperlensError(
            f"{image.name or 'the image'} has {count} channel{'s' * (count > 1)} and the model is for channels "
            f"{', '.join(map(str, channels))}; expected an image with these"
        )
    return image if count == len(channels) else image.with_channels(channels)


def weights_of(network: keras.Model) -> list[NDArray[np.float32]]:
    """Weights of a network, in the order of its layers."""
    import keras

    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in network.weights]


def shipped() -> Mapping[str, Path]:
    """Models that come with superlens, by name.

    In an installed package they lie inside it, in a source tree in its ``models`` folder.
    """
    inside = Path(__file__).parent / "_models"
    folder = inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "models"
    return {path.parent.name: path for path in sorted(folder.glob("*/model.zip"))}


_MEMBERS = ("model.json", "weights.npz", "arrays.npz", "channels.json")


def _members(path: Path, known: Sequence[str]) -> dict[str, bytes]:
    if not path.is_file():
        ours = shipped().get(str(path))
        if ours is None:
            raise _Missing(f"there is no model file {path}; train one with `superlens train`")
        path = ours
    out = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            folder, _, name = info.filename.rpartition("/")
            if name in known and (not folder or re.fullmatch("c[0-9]+", folder)):
                if info.file_size > _LARGEST_MEMBER:
                    raise ValueError(f"{info.filename} claims {info.file_size} bytes")
                out[info.filename] = archive.read(info)
    return out


def _channels(text: bytes) -> tuple[int, ...]:
    about = json.loads(text)
    _check_format(about.get("format", 1))
    return tuple(int(channel) for channel in about["channels"])


def _channel_of(member: str) -> int:
    folder = member.rpartition("/")[0]
    return int(folder[1:]) if folder else -1


class _Missing(SuperlensError):
    """There is no such file."""


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Say in one line, with the path, what is wrong with a file."""
    try:
        yield
    except _Missing:
        raise
    except SuperlensError as error:
        raise SuperlensError(f"the model {path} can't be used: {error}") from error
    except _DAMAGE as error:
        raise SuperlensError(
            f"{path} is not a superlens model, or it was cut short ({type(error).__name__}); "
            "copy it again, or train one with `superlens train`"
        ) from error


def _check_format(found: object) -> None:
    if found == FORMAT:
        return
    newer = isinstance(found, int) and found > FORMAT
    raise SuperlensError(
        f"its format is {found} and this superlens reads {FORMAT}; {'update superlens' if newer else 'train it again'}"
    )


def _put(path: Path, contents: Mapping[str, str | bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(buffer.getvalue())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):  # there may be nothing to take away
            beside.unlink()
        raise SuperlensError(f"can't write the model {path}: {error.strerror}; choose another place") from error


def _restored(config: ModelConfig, weights: bytes) -> keras.Model:
    from superlens.training import set_weights

    network, stored = build(config.network, config.network_config), _unpacked(weights)
    set_weights(network, [stored[f"w{i}"].astype(np.float32) for i in range(len(stored))])
    return network


def _unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    given: dict[str, Any] = dict(arrays)
    np.savez(buffer, **given)
    return buffer.getvalue()


def made_by(path: Path) -> str:
    """The name of the method that made a model file, read without its weights; empty for a file that is no model."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
            name = next((n for n in inside if n == "model.json" or n.endswith("/model.json")), None)
            return "" if name is None else str(json.loads(archive.read(name)).get("method", ""))
    except _DAMAGE:
        return ""
