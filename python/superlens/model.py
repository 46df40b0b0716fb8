"""A trained model: the network and everything needed to use it rightly, in one file.

A model file is a zip of three members: ``model.json`` (the configuration below), ``weights.npz`` and ``psf.npy``; one for several
channels holds them in a folder for each, ``c0`` and so on, and ``channels.json``. Only numbers and text are read from it; the network
is built by name from our own code, so that a file from a stranger runs none of its own.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from superlens.camera import Camera
from superlens.config import Config
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.networks import architecture, build
from superlens.observing.conditioning import Normaliser
from superlens.optics import PSF, Response
from superlens.training import out_of_memory_errors, set_weights

__all__ = ["ChannelModels", "Model", "ModelConfig", "load_model", "shipped"]

FORMAT = 1
"""Version of the file's layout; a file with a higher one is refused."""

PIXEL_TOLERANCE = 0.02
"""Relative difference of pixel sizes up to which a model fits an image."""


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


class CameraConfig(Config):
    """The camera of the training images; see `superlens.camera.Camera`."""

    gain: float
    offset: float
    read_noise_e: float
    estimated: tuple[str, ...] = ()


class ModelConfig(Config):
    """What ``model.json`` holds.

    Attributes
    ----------
    format : int
        Layout of the file.
    version : str
        superlens version that wrote it.
    method : str
        Method that trained it, by the name of its file in ``methods``.
    network, network_config : str, dict
        Name and arguments for `superlens.networks.build`.
    axes : str
        Spatial axes that the network takes.
    scale : int
        Fine pixels in a camera pixel.
    pixel_nm : float or None
        Camera pixel of the training images; None for a model that only denoises.
    target_factor : float
        How many times narrower than the PSF the output's resolution is, where one is stated.
    target_factor_z : float
        The same along z, of volumes.
    core_share, core_factor : float
        Share of the response's light in a finer core, and how many times narrower than the PSF that is.
    level, contrast : float
        The normaliser, in counts above the offset.
    camera : CameraConfig or None
    psf_source : str
        Where the PSF comes from, in words.
    spread : float or None
        Factor that calibrates the stated uncertainty; None when it was never calibrated and must not be shown.
    settings : dict
        The method's own settings that prediction needs.
    provenance : dict
        Command, seed, device, digests, history of the training.
    """

    format: int = FORMAT
    version: str
    method: str
    network: str
    network_config: dict[str, Any]
    axes: Literal["YX", "ZYX"] = "YX"
    scale: int = Field(default=2, ge=1, le=16)
    pixel_nm: float | None = Field(default=None, gt=0)
    target_factor: float = Field(default=1.5, ge=1)
    target_factor_z: float = Field(default=1.3, ge=1)
    core_share: float = Field(default=0.0, ge=0, lt=1)
    core_factor: float = Field(default=4.0, ge=1, le=10)
    level: float = 0.0
    contrast: float = Field(default=1.0, gt=0)
    camera: CameraConfig | None = None
    psf_source: str = ""
    spread: float | None = Field(default=None, gt=0)
    settings: dict[str, Any] = {}
    provenance: dict[str, Any] = {}

    @property
    def response(self) -> Response:
        """Of its sharp images, where they state a resolution."""
        return Response(self.target_factor, self.target_factor_z, self.core_share, self.core_factor)

    @property
    def states_resolution(self) -> bool:
        """Whether sharp images have the stated resolution; the original recipes deconvolve as far as they get."""
        return architecture(self.network).says_resolution


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network with its configuration and PSF.

    Attributes
    ----------
    config : ModelConfig
    network : keras.Model
    psf : PSF or None
        On the fine grid of the output; None for a model that only denoises.
    """

    config: ModelConfig
    network: keras.Model
    psf: PSF | None

    @property
    def normaliser(self) -> Normaliser:
        """The change of intensity that training used."""
        return Normaliser(self.config.level, self.config.contrast)

    @property
    def camera(self) -> Camera | None:
        """The camera of the training images."""
        c = self.config.camera
        return None if c is None else Camera(c.gain, c.offset, c.read_noise_e, frozenset(c.estimated))

    def check_fits(self, image: Image) -> None:
        """Refuse an image that the model was not made for.

        Raises
        ------
        SuperlensError
            If the pixel sizes differ by more than 2 %, or an axis is missing; both values are named.
        """
        missing = [axis for axis in self.config.axes if axis not in image.axes]
        if missing:
            raise SuperlensError(
                f"the model takes {self.config.axes} and {image.name or 'the image'} has axes {image.axes}; "
                f"expected an image with {', '.join(missing)}"
            )
        ours, theirs = self.config.pixel_nm, image.pixel_nm
        if ours is None:
            return
        if theirs is None:
            raise SuperlensError(
                f"{image.name or 'the image'} has no pixel size and the model was trained at {ours:g} nm; "
                "give it with `pixel_nm`"
            )
        if abs(ours - theirs) > PIXEL_TOLERANCE * ours:
            raise SuperlensError(
                f"{image.name or 'the image'} has a pixel of {theirs:g} nm and the model was trained at {ours:g} nm; "
                "use a model for this pixel size, or give the right one with `pixel_nm`"
            )

    def save(self, path: Path | str, *, dtype: Literal["float32", "float16"] = "float32") -> None:
        """Write the model file, beside and renamed; float16 halves it and keeps three digits of each weight."""
        _put(Path(path), self._contents(dtype))

    def _contents(self, dtype: str, folder: str = "") -> dict[str, str | bytes]:
        contents: dict[str, str | bytes] = {
            "model.json": json.dumps(self.config.model_dump(mode="json"), indent=1),
            "weights.npz": _packed([w.astype(dtype) for w in weights_of(self.network)]),
        }
        if self.psf is not None:
            sampling = {"pixel_nm": self.psf.pixel_nm, "z_step_nm": self.psf.z_step_nm}
            contents |= {"psf.npy": _array_bytes(self.psf.data), "psf.json": json.dumps(sampling)}
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
        config = ModelConfig(**json.loads(members["model.json"]))
        if config.format > FORMAT:
            raise SuperlensError(
                f"its format is {config.format} and this superlens reads up to {FORMAT}; update superlens"
            )
        if config.network_config.get("scale", config.scale) != config.scale:
            raise SuperlensError(f"its scale is {config.scale}, its network has {config.network_config['scale']}")
        network = build(config.network, config.network_config)
        with np.load(io.BytesIO(members["weights.npz"]), allow_pickle=False) as weights:
            set_weights(network, [weights[f"w{i}"].astype(np.float32) for i in range(len(weights.files))])
        psf = None
        if "psf.npy" in members:
            about = json.loads(members["psf.json"])
            data = np.load(io.BytesIO(members["psf.npy"]), allow_pickle=False)
            psf = PSF(data, about["pixel_nm"], about["z_step_nm"], config.psf_source)
        return cls(config, network, psf)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelModels:
    """A model for each of several channels of one kind of image, in one file.

    Attributes
    ----------
    channels : tuple of int
        Index along C of the images they were trained on, rising.
    models : tuple of Model
        One for each, of one network, scale and method.

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
        kinds = {(m.config.method, m.config.network, m.config.axes, m.config.scale, m.psf is None) for m in self.models}
        if len(kinds) != 1:
            raise SuperlensError("the models of the channels are of different kinds; expected one network and scale")

    def picked(self, image: Image) -> Image:
        """The channels of an image that there are models for.

        An image with as many channels as models is taken to be these channels alone.

        Raises
        ------
        SuperlensError
            If the image lacks a channel, or a model does not fit it.
        """
        count = image.sizes.get("C", 1)
        if "C" not in image.axes or (count != len(self.channels) and count <= self.channels[-1]):
            raise SuperlensError(
                f"{image.name or 'the image'} has {count} channel{'s' * (count > 1)} and the model is for channels "
                f"{', '.join(map(str, self.channels))}; expected an image with these"
            )
        kept = image if count == len(self.channels) else image.with_channels(self.channels)
        for model in self.models:
            model.check_fits(kept)
        return kept

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
        about = json.loads(members["channels.json"])
        if about["format"] > FORMAT:
            raise SuperlensError(f"its format is {about['format']}, above {FORMAT}; update superlens")
        channels = tuple(int(channel) for channel in about["channels"])
        inside = [
            {name.removeprefix(f"c{c}/"): data for name, data in members.items() if name.startswith(f"c{c}/")}
            for c in channels
        ]
        return cls(channels, tuple(Model._from(each) for each in inside))


def load_model(path: Path | str) -> Model | ChannelModels:
    """Read a model file, of one model or of one for each channel.

    Raises
    ------
    SuperlensError
        If the file is missing, cut short, or not ours.
    """
    path = Path(path)
    if not path.is_file():
        raise SuperlensError(f"there is no model file {path}; train one with `superlens train`")
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
        return ChannelModels._from(members) if "channels.json" in members else Model._from(members)
    except SuperlensError as error:
        raise SuperlensError(f"the model {path} can't be used: {error}") from error
    except (*_DAMAGE, *out_of_memory_errors()) as error:
        raise SuperlensError(
            f"{path} is not a superlens model, or it was cut short ({type(error).__name__}); "
            "copy it again, or train one with `superlens train`"
        ) from error


def weights_of(network: keras.Model) -> list[NDArray[np.float32]]:
    """Weights of a network, in the order of its layers."""
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in network.weights]


def shipped() -> Mapping[str, Path]:
    """Models that come with superlens, by name.

    In an installed package they lie inside it, in a source tree in its ``models`` folder.
    """
    inside = Path(__file__).parent / "_models"
    folder = inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "models"
    return {path.parent.name: path for path in sorted(folder.glob("*/model.zip"))}


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    known = ("model.json", "weights.npz", "psf.npy", "psf.json", "channels.json")
    out = {}
    for info in archive.infolist():
        folder, _, name = info.filename.rpartition("/")
        if name in known and (not folder or re.fullmatch("c[0-9]+", folder)):
            if info.file_size > _LARGEST_MEMBER:
                raise ValueError(f"{info.filename} claims {info.file_size} bytes")
            out[info.filename] = archive.read(info)
    return out


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


def _packed(weights: Sequence[NDArray[np.floating]]) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"w{i}": w for i, w in enumerate(weights)}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _array_bytes(array: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
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
