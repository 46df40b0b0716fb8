"""The commands of Fiji's menu: the verbs' parameters under keys that ImageJ's macro reader cannot confuse, with what only a dialog asks.

Name, type, choices, limits, default and help come from the parameters of `superlens.runs.verbs`. What stands here is Fiji's own: other keys,
since ImageJ finds ``size=`` inside ``patch_size=`` and no key may be the end of another; what is only asked beside an open image; and the
two menu items that are no verbs. `export` writes all of it as JSON, from which the Java dialogs, the macro recorder and the pages grow.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from superlens.bridge.protocol import SCHEMA
from superlens.errors import SuperlensError, worded
from superlens.methods import methods
from superlens.parameters import Parameter
from superlens.runs.verb import Verb
from superlens.runs.verbs import VERBS

__all__ = ["PING", "Command", "Field", "command_of", "export", "menu"]

_KEYS = {
    "out": "output",
    "inputs": "input",
    "channel": "channels",
    "psf_model": "psf_theory",
    "psf_pixel_nm": "psf_lateral_nm",
    "psf_z_step_nm": "psf_axial_nm",
    "psf_series": "psf_image",
    "dark_frames": "dark_gap",
    "w": "wiener_weight",
}
"""Parameters that have other names in macros."""

_HELP = {
    "settings": "NAME=VALUE, like hessian=0.05; several with blanks between.",
    "volume": "Take the slices as one volume, blurred along z too; otherwise each slice is an image.",
    "range": "Frames to work on, like 1-2000; default: all.",
}
"""Words that fit a dialog better than a shell."""

_INPUT = Parameter(
    "inputs", "file", "Read this image or folder instead of the open image.", "Input file or folder", advanced=True
)
_PARTS = tuple(
    Parameter(name, "range", f"{name.capitalize()} of the open image to take, like 2 or 1-5; default: all.", name.capitalize(), advanced=True)
    for name in ("channels", "slices", "frames")
)  # fmt: skip
_MEASURE = Parameter(
    "measure", "flag", "Average the beads of the open image instead of computing.", "Measure it from the beads in the open image"
)  # fmt: skip
_REFERENCE = Parameter(
    "reference", "image", "Image of the same field taken as the truth: an open one by title, or a file.", "Reference", required=True
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter as Fiji has it.

    Attributes
    ----------
    key : str
        Name in requests and macros.
    parameter : Parameter
    client : bool
        Whether it is the plugin's own matter and never sent.
    """

    key: str
    parameter: Parameter
    client: bool = False

    @property
    def kind(self) -> str:
        """Field of the dialog."""
        kind = self.parameter.kind
        return {"switch": "flag", "float": "floats" if self.parameter.several else "float"}.get(kind, kind)

    @property
    def default(self) -> str | float | bool | None:
        """Value when it is not given; None leaves it to the engine."""
        return bool(self.parameter.default) if self.kind == "flag" else self.parameter.default

    def described(self) -> dict[str, Any]:
        """Give the field as JSON values."""
        p = self.parameter
        return {
            "key": self.key,
            "type": self.kind,
            "label": p.label,
            "help": p.help,
            "unit": p.unit,
            "default": self.default,
            "choices": list(p.choices),
            "min": p.least,
            "max": p.most,
            "required": p.required and p.name != "out",  # where to write is left to the plugin
            "advanced": p.advanced,
            "from": p.source,
            "scope": "client" if self.client else "engine",
        }

    def convert(self, value: Any) -> Any:
        """Turn a value from a request into what the verb takes."""
        p = self.parameter
        if p.several and p.kind == "text" and isinstance(value, str):
            value = value.split()
        if p.kind == "switch" and str(value).lower() == "false":
            return None  # an empty box in a dialog says nothing
        if p.name == "inputs":
            return () if value in (None, "") else (p.convert(value, self.key),)
        return p.convert(value, self.key)


@dataclass(frozen=True, slots=True)
class Command:
    """A menu item: its words and its fields.

    Attributes
    ----------
    label : str
        Of the menu item; never changed, since macros call it.
    help : str
        One sentence.
    fields : tuple of Field
    """

    label: str
    help: str
    fields: tuple[Field, ...]

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the parameters of a request into arguments of the verb, defaults filled in.

        Parameters
        ----------
        given : mapping
            Key to JSON value; None and absent keys were not given.

        Returns
        -------
        dict
            A value, or None, for every field that is the engine's.

        Raises
        ------
        SuperlensError
            When a key is unknown or a value cannot be.
        """
        known = {field.key: field for field in self.fields if not field.client}
        for key in given:
            if key not in known:
                raise SuperlensError(_unknown(key, known))
        return {
            field.parameter.name: field.convert(given[key] if given.get(key) is not None else field.default)
            for key, field in known.items()
        }

    def in_words(self, text: str) -> str:
        """Name the parameters in a message as this command does: ``psf_theory`` for ```psf_model```."""
        text = text.replace("give it with `pixel_nm`", "set its scale (Image > Properties...), or give `pixel_nm`")
        keys = {field.parameter.name: field.key for field in self.fields}
        return worded(text, lambda name: keys.get(name, _KEYS.get(name, name)))


def command_of(verb: Verb) -> Command:
    """A verb as a menu item; what has no label is in no dialog."""
    own = {_fitted(p, verb) for p in verb.parameters() if p.label}
    shown = [_fitted(p, verb) for p in verb.parameters() if p.label]
    before = [_INPUT] if verb.inputs != "none" else []
    fields = [Field(_KEYS.get(p.name, p.name), p) for p in [*before, *shown] if p in own or p is _INPUT]
    taken = {field.key for field in fields}
    clients = [p for p in _asked_beside(verb) if p.name not in taken]
    words = Command(verb.label or verb.name, verb.summary, (*fields, *(Field(p.name, p, client=True) for p in clients)))
    spoken = tuple(
        replace(f, parameter=replace(f.parameter, help=words.in_words(f.parameter.help))) for f in words.fields
    )
    return replace(words, fields=spoken)


def _fitted(parameter: Parameter, verb: Verb) -> Parameter:
    """A parameter with words that fit a dialog."""
    words = _HELP.get("range" if parameter.kind == "range" else parameter.name)
    return parameter if words is None else replace(parameter, help=words)


def _asked_beside(verb: Verb) -> Iterable[Parameter]:
    """What the plugin asks for itself, beside an open image."""
    if verb.name == "psf":
        return [_MEASURE]
    if verb.name == "compare":
        return [_REFERENCE]
    roles = {  # a role that two methods give is asked for once
        role.name: role
        for method in methods()
        for role in method.gives
        if role.label and method.takes == ("movie" if verb.name == "localize" else "images")
    }
    shows = [
        Parameter(f"show_{name}", "flag", f"Open this too: {role.words}.", role.label) for name, role in roles.items()
    ]
    if verb.name == "localize":
        return [_PARTS[0], *shows]
    if verb.inputs == "none":
        return []
    return [*_PARTS, *(shows if verb.name in ("enhance", "predict") else [])]


PING = Command(
    "ping",
    "Say which engine answers.",
    (Field("devices", Parameter("devices", "flag", "Load TensorFlow and measure the devices.", "Measure devices")),),
)
"""Asked by the plugin alone."""

_SETUP = Command(
    "Superlens Setup...",
    "Find or make the Python that superlens runs in, and try it.",
    tuple(
        Field(parameter.name, parameter, client=True)
        for parameter in (
            Parameter("python", "file", "A Python that has superlens, or its folder; default: SUPERLENS_PYTHON.", "Python"),
            Parameter("build", "flag", "Make a Python of its own and install superlens there.", "Make a new Python environment"),
            Parameter("package", "text", "What to install there; default: the superlens of this plugin's version.", "Package to install", advanced=True),
            Parameter("remove", "flag", "Remove the Python that was made.", "Remove the environment", advanced=True),
            Parameter("speed_test", "flag", "Train for ten seconds on the bundled image.", "Speed test"),
        )
    ),
)  # fmt: skip
"""Done by the plugin before there is an engine; described here so that its words stand with the others'."""

_HELP_ITEM = Command("Superlens Help", "Open the manual.", ())
"""Done by the plugin."""


def menu() -> Mapping[str, Command]:
    """The menu items, in their order; those that are no verbs are the plugin's own."""
    verbs = {name: command_of(verb) for name, verb in VERBS.items() if verb.label}
    return {**verbs, "setup": _SETUP, "help": _HELP_ITEM}


def export() -> str:
    """Write the commands of the menu as JSON for the plugin; ends with a line break."""
    described = {
        name: {
            "label": item.label,
            "help": item.help,
            "verb": name if name in VERBS else None,
            "params": [field.described() for field in item.fields],
        }
        for name, item in menu().items()
    }
    return json.dumps({"schema": SCHEMA, "commands": described}, indent=1, ensure_ascii=False) + "\n"


def _unknown(key: str, known: Iterable[str]) -> str:
    keys = list(known)
    close = difflib.get_close_matches(key, keys, n=1)
    return f"{key} is not a parameter here; " + (
        f"did you mean {close[0]}?" if close else f"the parameters are {', '.join(keys) or 'none'}."
    )
