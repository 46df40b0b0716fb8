"""What a call from Fiji and its answer look like, and how they become JSON.

A `Request` and a `Response` are frozen settings that refuse what cannot be meant, so that nothing behind the door has to check
again. Pixels are not part of them: they lie in blocks of memory that the caller owns, which `read_block` and `fill_block` view
as arrays. Fields that are not known are passed over, so that a newer plugin may say more; a request of another `SCHEMA` is
refused in words. The meaning of every field is told in ``tests/protocol/README.md``.
"""

from __future__ import annotations

import json
import math
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from superlens.config import Config
from superlens.errors import SuperlensError
from superlens.image import Image

__all__ = [
    "LARGEST_BLOCK",
    "SCHEMA",
    "ErrorRecord",
    "InputSpec",
    "OutputSpec",
    "Request",
    "Response",
    "Table",
    "VersionMismatch",
    "fill_block",
    "read_block",
]

SCHEMA = 1
"""Version of the protocol; both sides must have the same."""

LARGEST_BLOCK = 2**31 - 1
"""Bytes that a Java buffer can hold; larger images go through files."""

Dtype = Literal["uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"]


class VersionMismatch(SuperlensError):
    """Plugin and engine do not speak the same protocol."""


class _Message(Config):
    model_config = ConfigDict(extra="ignore")


class _Pixels(_Message):
    """What both inputs and outputs say of themselves."""

    name: str = ""
    pixel_nm: float | None = None
    z_step_nm: float | None = None
    frame_interval_s: float | None = None
    channel_names: tuple[str, ...] = ()
    path: str | None = None


class InputSpec(_Pixels):
    """An image that a call reads.

    Attributes
    ----------
    name : str
        Title, stem of the names of results.
    axes : str
        Some of TCZYX in that order, with YX.
    shape : tuple of int
        One number for each axis; may be left out with a `path`.
    dtype : str
        Type of the values.
    pixel_nm, z_step_nm, frame_interval_s : float or None
    channel_names : tuple of str
    path : str or None
        A file that holds the image; there is no block then.
    """

    axes: str = "YX"
    shape: tuple[int, ...] = ()
    dtype: Dtype = "float32"

    @property
    def bytes(self) -> int:
        """Size of the block."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def image(self, data: NDArray[Any]) -> Image:
        """Make the image of these pixels; refuses axes and shapes that cannot be."""
        return Image(
            data,
            self.axes,
            self.pixel_nm,
            self.z_step_nm,
            self.frame_interval_s,
            self.channel_names,
            name=self.name,
        )


class OutputSpec(_Pixels):
    """An image that a call makes: what `plan` announces, the caller asks for and the answer describes.

    Attributes
    ----------
    role : str
        What it is: "super-resolved", "denoised", "uncertainty", "psf", "error-map".
    name : str
        Title.
    axes, shape, dtype, pixel_nm, z_step_nm, frame_interval_s, channel_names
        As for an input.
    scale : int
        Pixels along y and x for one of the input.
    channels : tuple of int
        Index along C of the input of each channel; empty when the image has all of them.
    bytes : int
        Size of the block.
    block : int or None
        Which of the caller's blocks holds it.
    path : str or None
        The file that holds it.
    show : bool
        Whether it is what the user came for.
    """

    role: str
    axes: str = "YX"
    shape: tuple[int, ...] = ()
    dtype: Dtype = "float32"
    scale: int = 1
    channels: tuple[int, ...] = ()
    bytes: int = 0
    block: int | None = None
    show: bool = True

    @classmethod
    def of(cls, role: str, image: Image, name: str, *, scale: int = 1, show: bool = True) -> OutputSpec:
        """Describe an image that was made."""
        made = cls.announce(role, image, image.data.shape, name, scale=scale, show=show)
        return made.with_changes({"dtype": str(image.data.dtype), "bytes": image.data.nbytes})

    @classmethod
    def announce(
        cls, role: str, like: Image | InputSpec, shape: tuple[int, ...], name: str, *, scale: int = 1, show: bool = True
    ) -> OutputSpec:
        """Describe a float32 image with the axes and sampling of `like`, before or after it is made."""
        return cls(
            role=role,
            name=name,
            axes=like.axes,
            shape=shape,
            pixel_nm=like.pixel_nm,
            z_step_nm=like.z_step_nm,
            frame_interval_s=like.frame_interval_s,
            channel_names=like.channel_names,
            scale=scale,
            bytes=4 * math.prod(shape),
            show=show,
        )


class Client(_Message):
    """Who calls; told for the log."""

    name: str = ""
    version: str = ""


class Request(_Message):
    """One call.

    Attributes
    ----------
    verb : str
        What to do.
    of : str or None
        The verb that ``plan`` is asked about.
    run : str or None
        Name of the call, by which ``finish`` and ``cancel`` reach it.
    parameters : dict
        As `superlens.bridge.parameters` lists them.
    inputs : tuple of InputSpec
    outputs : tuple of OutputSpec
        One for each block that the call may fill.
    preview : bool
        Whether the listener shows what a network makes while it learns.
    client : Client
    """

    verb: str
    of: str | None = None
    run: str | None = None
    parameters: dict[str, Any] = {}
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    preview: bool = False
    client: Client = Field(default_factory=Client)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a request.

        Raises
        ------
        VersionMismatch
            When it is of another schema.
        SuperlensError
            When it is no request.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise SuperlensError(
                f"the request is not JSON ({error}); expected an object with schema and verb."
            ) from error
        if not isinstance(values, dict):
            raise SuperlensError(f"the request is a {type(values).__name__}; expected an object with schema and verb.")
        _check_schema(values.pop("schema", None))
        return cls(**{name: value for name, value in values.items() if value is not None})

    def to_json(self) -> str:
        """Write the request, its schema first."""
        return json.dumps({"schema": SCHEMA, **self.model_dump(mode="json")}, ensure_ascii=False, allow_nan=False)


class Table(_Message):
    """Numbers for a table: names of the columns, and rows with a value (or None) for each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float | int | str | None, ...], ...]


class ErrorRecord(_Message):
    """Why a call was not done.

    Attributes
    ----------
    kind : {"user", "cancelled", "defect"}
        Something the user can mend, a wish of the user, or a fault of the program.
    type : str
        Class of the error.
    message : str
        One line that can be shown as it is.
    traceback : str or None
        For a defect.
    hint : str or None
        The next step, where the message does not say it.
    """

    kind: Literal["user", "cancelled", "defect"]
    type: str
    message: str
    traceback: str | None = None
    hint: str | None = None


class Response(_Message):
    """The answer to a call.

    Attributes
    ----------
    ok : bool
        Whether it was done.
    outputs : tuple of OutputSpec
        What was made and where it is.
    table : Table or None
        Numbers to show as a table.
    text : str
        Lines for a person.
    messages : tuple of str
        What the user should know, one line each.
    files : tuple of str
        Paths that were written.
    early : bool
        Whether the user ended the training before its time.
    info : dict
        What else there is, by verb.
    error : ErrorRecord or None
    """

    ok: bool = True
    outputs: tuple[OutputSpec, ...] = ()
    table: Table | None = None
    text: str = ""
    messages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    early: bool = False
    info: dict[str, Any] = {}
    error: ErrorRecord | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read an answer; the inverse of `to_json`."""
        values = json.loads(text)
        _check_schema(values.pop("schema", None))
        return cls(**values)

    def to_json(self) -> str:
        """Write the answer, its schema first; numbers that are not finite become null."""
        values = _finite({"schema": SCHEMA, **self.model_dump(mode="python")})
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def read_block(spec: InputSpec, block: NDArray[Any]) -> NDArray[Any]:
    """View a caller's block as the array that an input describes.

    Parameters
    ----------
    spec : InputSpec
    block : ndarray
        Contiguous; of the right number of bytes, whatever its type and shape.

    Returns
    -------
    ndarray, shape and dtype of `spec`
        A view that cannot be written to.

    Raises
    ------
    SuperlensError
        When the sizes do not agree.
    """
    array = _viewed(block, spec.shape, spec.dtype, f"the image {spec.name or 'without a name'}")
    array.flags.writeable = False
    return array


def fill_block(spec: OutputSpec, block: NDArray[Any], values: NDArray[Any]) -> None:
    """Copy what was made into a caller's block.

    Raises
    ------
    SuperlensError
        When the block does not hold as many values, or the result has another shape than the caller was told.
    """
    if tuple(spec.shape) != values.shape:
        raise SuperlensError(
            f"the output {spec.name} was requested with shape {tuple(spec.shape)} and has {values.shape}; call plan again."
        )
    np.copyto(_viewed(block, spec.shape, spec.dtype, f"the output {spec.name}"), values, casting="same_kind")


def _viewed(block: NDArray[Any], shape: tuple[int, ...], dtype: str, what: str) -> NDArray[Any]:
    kind = np.dtype(dtype)
    if not shape or min(shape) < 1:
        raise SuperlensError(f"{what} has shape {list(shape)}; expected at least one pixel along each axis.")
    need = math.prod(shape) * kind.itemsize
    if block.nbytes < need:
        raise SuperlensError(
            f"{what} has shape {list(shape)} of {dtype}, {need} bytes, and its block holds {block.nbytes}; "
            "allocate what plan says."
        )
    flat = block.reshape(-1).view(np.uint8)[:need]
    return cast(NDArray[Any], flat.view(kind).reshape(shape))


def _check_schema(schema: object) -> None:
    from superlens import __version__

    if schema == SCHEMA:
        return
    if schema is None:
        raise SuperlensError(f"the request has no schema; expected {SCHEMA}.")
    newer = isinstance(schema, int) and schema > SCHEMA
    advice = (
        "update superlens in the Python that Fiji uses"
        if newer
        else "update the superlens plugin in Fiji, or install the superlens that belongs to it"
    )
    raise VersionMismatch(
        f"the plugin speaks schema {schema} and superlens {__version__} speaks schema {SCHEMA}; {advice}."
    )


def _finite(value: Any) -> Any:
    """Turn a value into one that strict JSON has."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
