"""The base of everything a person or a file may set: training presets, optics, request bodies.

A `Config` is frozen, knows its fields and refuses others, goes to YAML and back, and reports a bad value in one line that
names the field, what came and what is allowed. Fields carry their unit in their name. Configs hold plain values only, never
arrays, and never read a file: reading is left to whoever knows the path.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from superlens.errors import SuperlensError
from superlens.parameters import Kind, Parameter

__all__ = ["Config", "parameters_of", "setting"]

_SHOWN_ERRORS = 3


class Config(BaseModel):
    r"""Frozen settings with checked values; subclasses declare the fields.

    Raises
    ------
    SuperlensError
        When a field is missing, unknown or out of range, on construction and on `from_yaml`.

    Examples
    --------
    >>> class Exposure(Config):
    ...     time_ms: float = 10.0
    >>> Exposure(time_ms=20).to_yaml()
    'time_ms: 20.0\n'
    >>> Exposure.from_yaml("time_s: 1")
    Traceback (most recent call last):
    ...
    superlens.errors.SuperlensError: time_s is not a setting of Exposure; did you mean time_ms?
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SuperlensError(_one_line(type(self), error)) from error

    def to_yaml(self) -> str:
        """Write the settings as YAML, in the order of the fields.

        Returns
        -------
        str
            Text that `from_yaml` turns into an equal config.
        """
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        return text

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Read settings from YAML text; what is left out takes its default.

        Parameters
        ----------
        text : str
            A YAML mapping from field to value, or nothing at all.

        Returns
        -------
        Config
            An instance of the class this is called on.

        Raises
        ------
        SuperlensError
            When the text is not YAML, not a mapping, or holds a value that is not allowed.
        """
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            where = " ".join(str(error).split())
            raise SuperlensError(f"the settings for {cls.__name__} are not YAML: {where}") from error
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise SuperlensError(
                f"the settings for {cls.__name__} are a {type(values).__name__}; expected lines like 'name: value'."
            )
        return cls._of_values({str(key): value for key, value in values.items()})

    @classmethod
    def _of_values(cls, values: dict[str, Any]) -> Self:
        """Make the settings that a text gives; a class with presets takes what is left out from the one that is named."""
        return cls(**values)

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """Give the same settings with some of them changed and everything checked again.

        Parameters
        ----------
        changes : mapping
            Field name to new value.

        Returns
        -------
        Config
            A new instance; this one stays as it is.

        Raises
        ------
        SuperlensError
            When a field is unknown or a value is not allowed.
        """
        kept = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return type(self)(**{**kept, **changes})


def setting(default: Any, *, help: str, label: str, unit: str = "", advanced: bool = True, **limits: Any) -> Any:
    """Declare a field of settings that every door shows; the others are reached by name.

    Parameters
    ----------
    default
    help, label, unit, advanced
        As in `Parameter`.
    **limits
        Those of `pydantic.Field`, like ``ge=0``.
    """
    shown: Any = {"label": label, "unit": unit, "advanced": advanced}
    return Field(default, description=help, json_schema_extra={"shown": shown}, **limits)


def parameters_of(settings: type[Config], method: str) -> tuple[Parameter, ...]:
    """The parameters that settings show, in the order of their fields; none has a default, since presets decide.

    Examples
    --------
    >>> class Blur(Config):
    ...     width: float = setting(1.0, help="Width of the blur.", label="Width", unit="pixels", gt=0)
    >>> [(p.name, p.kind, p.unit, p.least, p.above) for p in parameters_of(Blur, "blur")]
    [('width', 'float', 'pixels', 0.0, True)]
    """
    found = []
    for name, field in settings.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or "shown" not in extra:
            continue
        kind, choices = _kind_of(field.annotation)
        least = next((float(m.ge) for m in field.metadata if isinstance(m, Ge)), None)  # type: ignore[arg-type]
        above = next((float(m.gt) for m in field.metadata if isinstance(m, Gt)), None)  # type: ignore[arg-type]
        most = next((float(m.le) for m in field.metadata if isinstance(m, Le)), None)  # type: ignore[arg-type]
        numbers = [float(n) for n in get_args(field.annotation) if isinstance(n, int) and not isinstance(n, bool)]
        if kind == "int" and numbers:  # one of a few
            least, most = min(numbers), max(numbers)
        shown: Any = extra["shown"]
        found.append(
            Parameter(
                name=name,
                kind=kind,
                help=field.description or "",
                choices=choices,
                least=least if above is None else above,
                above=above is not None,
                most=most,
                methods=(method,),
                **shown,
            )
        )
    return tuple(found)


def _one_line(config: type[Config], error: ValidationError) -> str:
    details = error.errors(include_url=False)
    parts = [_describe(config, detail) for detail in details[:_SHOWN_ERRORS]]
    if len(details) > _SHOWN_ERRORS:
        parts.append(f"and {len(details) - _SHOWN_ERRORS} more")
    return "; ".join(parts)


def _describe(config: type[Config], detail: ErrorDetails) -> str:
    field = ".".join(str(step) for step in detail["loc"])
    message = " ".join(detail["msg"].removeprefix("Value error, ").split())
    if detail["type"] == "extra_forbidden":
        return _unknown_field(config, detail)
    if detail["type"] == "missing":
        return f"{field} is missing from {config.__name__}; it has no default"
    if detail["type"] == "value_error" or not field:
        return message
    return f"{field} is {_short(detail['input'])}; {message[:1].lower()}{message[1:]}"


def _unknown_field(config: type[Config], detail: ErrorDetails) -> str:
    field = ".".join(str(step) for step in detail["loc"])
    if len(detail["loc"]) > 1:
        return f"{field} is not a setting of {config.__name__}"
    close = difflib.get_close_matches(field, config.model_fields, n=1)
    advice = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(config.model_fields)}."
    return f"{field} is not a setting of {config.__name__}; {advice}"


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _kind_of(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    """What kind of field a type asks for."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        inner = [arg for arg in args if arg is not NoneType]
        return _kind_of(inner[0]) if len(inner) == 1 else ("text", ())
    if origin is Literal:
        if all(isinstance(arg, str) for arg in args):
            return "choice", tuple(args)
        return "int", ()
    if annotation is bool:
        return "flag", ()
    if annotation is int:
        return "int", ()
    return ("float" if annotation is float else "text"), ()
