"""What a person may say of a piece of work: each parameter once, for a shell, a dialog, a macro and a notebook alike.

A `Parameter` is a value: name, kind, limits, default, and the words that every door needs. The settings of a method declare theirs
with `superlens.config.setting`; what no settings hold (files, optics, the machine) stands in `superlens.runs.choices`. How a shell or a
macro spells a parameter is the door's matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from superlens.errors import SuperlensError

__all__ = ["Kind", "Parameter", "merged"]

Kind = Literal["float", "int", "text", "choice", "flag", "switch", "file", "folder", "save", "image", "range"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that may be said.

    Attributes
    ----------
    name : str
        In Python, and in messages.
    kind : str
        "switch" is a flag that may be left open; "file" and "folder" are read, "save" is written, "image" is an open image or a file, "range" is like 2
        or 1-5.
    help : str
        One sentence; parameters in backticks.
    label : str
        Words before a field; empty for what no dialog asks.
    default : str, number or bool, optional
        None leaves it to whoever does the work.
    choices : tuple of str
    least, most : float, optional
        Limits of a number; `least` itself is not allowed when `above`.
    several : bool
        May be given more than once: for each channel, or as often as one likes.
    unit : str
    advanced : bool
        Whether a dialog folds it away.
    source : {"pixel_nm", "z_step_nm"} or None
        Property of an open image that fills the field.
    required : bool
    methods : tuple of str
        The methods that know it; empty for all.
    """

    name: str
    kind: Kind
    help: str
    label: str = ""
    default: str | float | bool | None = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    above: bool = False
    several: bool = False
    unit: str = ""
    advanced: bool = False
    source: Literal["pixel_nm", "z_step_nm"] | None = None
    required: bool = False
    methods: tuple[str, ...] = ()

    def convert(self, value: Any, called: str = "") -> Any:
        """Turn a value, which may be text, into what the work takes.

        Parameters
        ----------
        value : str, number, bool, a list of them, or None
        called : str
            The door's name of the parameter, for a refusal.

        Returns
        -------
        value
            None when it is not given; a tuple for a parameter that may be given several times.

        Raises
        ------
        SuperlensError
            When the value is of another type or out of range.

        Examples
        --------
        >>> Parameter("na", "float", "Numerical aperture.", above=True, least=0).convert("1.3")
        1.3
        """
        name = called or f"`{self.name}`"
        if not self.several:
            return self._one(value, name)
        if isinstance(value, str) and self.kind == "float":
            value = value.split()
        each = value if isinstance(value, list | tuple) else [value]
        return tuple(one for one in (self._one(v, name) for v in each) if one is not None)

    def _one(self, value: Any, name: str) -> Any:
        if value is None or value == "":
            return None
        if not isinstance(value, str | int | float | Path):
            raise SuperlensError(f"{name} is a {type(value).__name__}; expected a number, a text or true or false.")
        match self.kind:
            case "float" | "int":
                return self._number(value, name)
            case "flag" | "switch":
                return _truth(value, name)
            case "file" | "folder" | "save":
                return Path(str(value))
            case "choice":
                if str(value) not in self.choices:
                    raise SuperlensError(f"{name} is {value!r}; expected one of {', '.join(self.choices)}.")
                return str(value)
            case _:
                return str(value)

    def _number(self, value: str | float | Path, name: str) -> float | int:
        whole = self.kind == "int"
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise SuperlensError(f"{name} is {value!r}; expected a {'whole ' * whole}number.") from None
        if whole and not number.is_integer():
            raise SuperlensError(f"{name} is {value}; expected a whole number.")
        low, high = self.least, self.most
        under = low is not None and (number <= low if self.above else number < low)
        if under or (high is not None and number > high) or math.isnan(number):
            raise SuperlensError(f"{name} is {value}; expected {self._range()}.")
        return int(number) if whole else number

    def _range(self) -> str:
        low, high = self.least, self.most
        if low is not None and high is not None:
            return f"{low:g} to {high:g}"
        if low is not None:
            return f"{'more than' if self.above else 'at least'} {low:g}"
        return "a number" if high is None else f"at most {high:g}"


def _truth(value: str | float | Path, name: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    found = words.get(str(value).lower().removesuffix(".0"))
    if found is None:
        raise SuperlensError(f"{name} is {value!r}; expected true or false.")
    return found


def merged(groups: Iterable[Sequence[Parameter]]) -> tuple[Parameter, ...]:
    """The parameters of several methods, each name once; one that more than one knows belongs to all of those."""
    found: dict[str, Parameter] = {}
    for parameter in (parameter for group in groups for parameter in group):
        known = found.get(parameter.name)
        if known is None:
            found[parameter.name] = parameter
        elif known.methods and parameter.methods:
            choices = tuple(dict.fromkeys((*known.choices, *parameter.choices)))
            methods = tuple(dict.fromkeys((*known.methods, *parameter.methods)))
            found[parameter.name] = replace(known, methods=methods, choices=choices)
    return tuple(found.values())
