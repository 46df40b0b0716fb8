"""The parameters of every command in Fiji, declared once and grown from the options of the command line.

A `Command` lists what a menu item asks for. Its parameters are click options: those of `superlens enhance` and so on as they
stand, and a few more that only make sense beside an open image. Name, type, choices, limits, default and help come from the
option; what a dialog needs besides (label, unit, whether it is folded away, which property of the image fills it) stands in one
table here. `export` writes all of it as JSON, from which the Java dialogs, the macro recorder and the pages grow.

ImageJ finds ``size=`` inside ``patch_size=``, so that no key may be the end of another one: three options have other names here.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from superlens.bridge.protocol import SCHEMA
from superlens.errors import SuperlensError, worded

__all__ = ["INPUT", "OUTPUT", "PARTS", "Command", "Kind", "Parameter", "Told", "command", "export"]

Kind = Literal["float", "floats", "int", "text", "choice", "flag", "file", "folder", "save", "image", "range"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a command.

    Attributes
    ----------
    key : str
        Name in requests and macros.
    argument : str
        Name in Python.
    option : click.Option
        Where type, default and help come from.
    label : str
        Words before the field.
    help : str
        What it is, with the default that the engine takes.
    kind : str
        Field of the dialog: "floats" is a number, or one for each channel with blanks between; "file" and "folder" are read, "save" is written, "image" is an open image or a file,
        "range" is like 2 or 1-5.
    unit : str
    advanced : bool
        Whether the dialog folds it away.
    source : str or None
        Property of the open image that fills it: "pixel_nm" or "z_step_nm".
    client : bool
        Whether it is the plugin's own matter and never sent.
    """

    key: str
    argument: str
    option: click.Option
    label: str
    help: str
    kind: Kind
    unit: str = ""
    advanced: bool = False
    source: str | None = None
    client: bool = False

    @property
    def default(self) -> str | float | bool | None:
        """Value when it is not given; None leaves it to the engine."""
        default = self.option.default
        if self.kind == "flag":
            return default is True
        return default if isinstance(default, str | int | float) else None

    @property
    def required(self) -> bool:
        """Whether the command cannot do without it; where to write is left to the plugin."""
        return self.option.required and self.key != "output"

    def described(self) -> dict[str, Any]:
        """Give the parameter as JSON values."""
        kind = self.option.type
        limits = kind if isinstance(kind, click.IntRange | click.FloatRange) else None
        return {
            "key": self.key,
            "type": self.kind,
            "label": self.label,
            "help": self.help,
            "unit": self.unit,
            "default": self.default,
            "choices": list(kind.choices) if isinstance(kind, click.Choice) else [],
            "min": None if limits is None else limits.min,
            "max": None if limits is None else limits.max,
            "required": self.required,
            "advanced": self.advanced,
            "from": self.source,
            "scope": "client" if self.client else "engine",
        }

    def convert(self, value: Any) -> Any:
        """Turn a value from a request into what the option gives on the command line.

        Returns
        -------
        value
            None when it is not given; a tuple for an option that may be given several times.

        Raises
        ------
        SuperlensError
            When the value is of another type or out of range.
        """
        if self.option.multiple:
            several = value.split() if isinstance(value, str) and self.kind == "floats" else [value]
            return tuple(one for one in map(self._one, several) if one is not None)
        return self._one(value)

    def _one(self, value: Any) -> Any:
        if value is None or value == "":
            return None
        if not isinstance(value, str | int | float):
            raise SuperlensError(f"{self.key} is a {type(value).__name__}; expected a number, a text or true or false.")
        if self.kind == "int" and isinstance(value, float) and not value.is_integer():
            raise SuperlensError(f"{self.key} is {value:g}; expected a whole number.")
        try:
            return self.option.type.convert(value, self.option, None)
        except click.UsageError as error:
            raise SuperlensError(f"{self.key} is {value!r}: {error.message.rstrip('.')}.") from error


@dataclass(frozen=True, slots=True)
class Command:
    """A menu item: its words and its parameters.

    Attributes
    ----------
    label : str
        Of the menu item; never changed, since macros call it.
    help : str
        One sentence.
    parameters : tuple of Parameter
    """

    label: str
    help: str
    parameters: tuple[Parameter, ...]

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the parameters of a request into Python arguments, defaults filled in.

        Parameters
        ----------
        given : mapping
            Key to JSON value; None and absent keys were not given.

        Returns
        -------
        dict
            A value, or None, for every parameter that is the engine's.

        Raises
        ------
        SuperlensError
            When a key is unknown or a value cannot be.
        """
        known = {parameter.key: parameter for parameter in self.parameters if not parameter.client}
        for key in given:
            if key not in known:
                raise SuperlensError(_unknown(key, known))
        return {
            parameter.argument: parameter.convert(given[key] if given.get(key) is not None else parameter.default)
            for key, parameter in known.items()
        }

    def in_words(self, text: str) -> str:
        """Name the parameters in a message as this command does: ``pixel_nm`` for ``--pixel-nm``."""
        keys = {parameter.argument: parameter.key for parameter in self.parameters}
        text = worded(text, lambda name: keys.get(name, name))
        for parameter in sorted(self.parameters, key=lambda p: -len(p.argument)):
            for option in parameter.option.opts:
                if option.startswith("--"):
                    text = _replaced(text, option, parameter.key)
        return text


@dataclass(frozen=True, slots=True)
class Told:
    """What a dialog needs to know of an option besides what the command line says.

    Attributes
    ----------
    label, unit, advanced, source, client
        As in `Parameter`.
    key : str or None
        Another name than the option's.
    kind : str or None
        Another field than the option's type asks for.
    help : str or None
        Other words than the option's.
    """

    label: str
    unit: str = ""
    advanced: bool = False
    source: str | None = None
    key: str | None = None
    kind: Kind | None = None
    client: bool = False
    help: str | None = None


def command(
    label: str,
    help_text: str,
    options: Sequence[click.Parameter],
    *,
    told: Mapping[str, Told] | None = None,
    kinds: Mapping[str, Kind] | None = None,
) -> Command:
    """Make a command of click options.

    Parameters
    ----------
    label, help_text : str
        Of the menu item.
    options : sequence of click.Parameter
        Arguments are passed over, and so are options that nobody has given words.
    told : mapping, optional
        Words for options that no other command has; they come after the others.
    kinds : mapping, optional
        Where a path is meant otherwise here than in other commands.
    """
    words = {**_TOLD, **(told or {})}
    named = {str(option.name): option for option in options if isinstance(option, click.Option)}
    known = kinds or {}
    return Command(
        label,
        help_text,
        tuple(_parameter(name, named[name], words[name], known.get(name)) for name in words if name in named),
    )


def export(menu: Mapping[str, Command], verbs: Container[str]) -> str:
    """Write the commands of a menu as JSON for the plugin.

    Parameters
    ----------
    menu : mapping
        Name to command.
    verbs : container of str
        The names that the engine knows; the others are the plugin's own.

    Returns
    -------
    str
        Ends with a line break.
    """
    described = {
        name: {
            "label": item.label,
            "help": item.help,
            "verb": name if name in verbs else None,
            "params": [{**p.described(), "help": item.in_words(p.help)} for p in item.parameters],
        }
        for name, item in menu.items()
    }
    return json.dumps({"schema": SCHEMA, "commands": described}, indent=1, ensure_ascii=False) + "\n"


def _unknown(key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1)
    return f"{key} is not a parameter here; " + (
        f"did you mean {close[0]}?" if close else f"the parameters are {', '.join(names) or 'none'}."
    )


def _replaced(text: str, option: str, key: str) -> str:
    return re.sub(rf"{re.escape(option)}(?![\w-])", key, text)


_TOLD: dict[str, Told] = {
    "input": Told("Input file or folder", advanced=True, kind="file"),
    "out": Told("Output folder", advanced=True, key="output", kind="folder"),
    "model": Told("Model file", kind="file"),
    "na": Told("Numerical aperture"),
    "wavelength_nm": Told("Emission wavelength", "nm"),
    "pixel_nm": Told("Pixel size", "nm", source="pixel_nm"),
    "z_step_nm": Told("Plane distance", "nm", source="z_step_nm"),
    "preset": Told(
        "Preset", help="fast: from the shipped start, minutes; standard: longer; paper: from nothing, hours."
    ),
    "modality": Told("Modality"),
    "immersion_index": Told("Immersion index", advanced=True),
    "sample_index": Told("Sample index", advanced=True),
    "excitation_nm": Told("Excitation wavelength", "nm", advanced=True),
    "pinhole_au": Told("Pinhole", "Airy units", advanced=True),
    "sheet_thickness_nm": Told("Light sheet thickness", "nm", advanced=True),
    "psf_model": Told("PSF theory", advanced=True, key="psf_theory"),
    "psf": Told("Measured PSF", advanced=True, kind="file"),
    "psf_pixel_nm": Told("Pixel of the PSF file", "nm", advanced=True, key="psf_lateral_nm"),
    "psf_z_step_nm": Told("Plane distance of the PSF file", "nm", advanced=True, key="psf_axial_nm"),
    "axes": Told("Axes of the input file", advanced=True),
    "remove_stripes": Told("Remove stripes", advanced=True),
    "offset_map": Told("Offset map of the sensor", advanced=True, kind="file"),
    "gain_map": Told("Gain map of the sensor", advanced=True, kind="file"),
    "config": Told("Settings file", advanced=True, kind="file"),
    "scale": Told("Scale", advanced=True),
    "steps": Told("Most steps", advanced=True),
    "minutes": Told("Most minutes", "min", advanced=True),
    "seed": Told("Seed", advanced=True),
    "denoise_only": Told("Denoise only"),
    "volume": Told(
        "Stack is a volume",
        help="Take the slices as one volume, blurred along z too; otherwise each slice is an image.",
    ),
    "from_scratch": Told("Train from scratch", advanced=True),
    "offset": Told("Camera offset", "counts", advanced=True),
    "gain": Told("Camera gain", "counts per electron", advanced=True),
    "read_noise_e": Told("Camera read noise", "electrons", advanced=True),
    "units": Told("Unit of the output", advanced=True),
    "settings": Told(
        "Other settings", advanced=True, help="NAME=VALUE, like hessian=0.05; several with blanks between."
    ),
    "device": Told("Device", advanced=True),
    "threads": Told("Threads", advanced=True),
    "channels": Told("Channels", advanced=True, kind="range", client=True),
    "slices": Told("Slices", advanced=True, kind="range", client=True),
    "frames": Told("Frames", advanced=True, kind="range", client=True),
}
"""By Python name. The order here is that of the dialogs."""

_path = click.Path(path_type=Path)

INPUT = click.Option(["--input"], type=_path, help="Read this image or folder instead of the open image.")
"""Where to read from, for commands whose command line takes arguments."""

OUTPUT = click.Option(["--out"], type=_path, help="Write all results and a report into this folder.")
"""Where to write to."""

PARTS = tuple(
    click.Option([f"--{name}"], help=f"{name.capitalize()} of the open image to take, like 2 or 1-5; default: all.")
    for name in ("channels", "slices", "frames")
)
"""Which part of a hyperstack to take; the plugin cuts it out."""


def _parameter(name: str, option: click.Option, told: Told, kind: Kind | None) -> Parameter:
    return Parameter(
        key=told.key or name,
        argument=name,
        option=option,
        label=told.label,
        help=told.help or option.help or "",
        kind=kind or told.kind or _kind(option),
        unit=told.unit,
        advanced=told.advanced,
        source=told.source,
        client=told.client,
    )


def _kind(option: click.Option) -> Kind:
    if option.is_flag:
        return "flag"
    if isinstance(option.type, click.Choice):
        return "choice"
    if isinstance(option.type, click.types.FloatParamType):
        return "floats" if option.multiple else "float"
    return "int" if isinstance(option.type, click.types.IntParamType) else "text"
