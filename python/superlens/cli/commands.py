"""The commands, made of the verbs: a parameter becomes an option, an outcome lines on standard output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from superlens.cli.failures import EXIT_DEFECT, EXIT_STOPPED, in_flags, note, say
from superlens.cli.session import working
from superlens.parameters import Parameter
from superlens.runs.verb import Request, Verb

__all__ = ["VerbCommand"]

_FLAGS: dict[str, list[str]] = {
    "like": ["--from", "like"],
    "settings": ["--set", "settings"],
    "speed_test": ["--speed-test/--no-speed-test"],
    "verbose": ["--verbose", "-v"],
    "volume": ["--volume/--planes"],
}
"""Options that are called otherwise than their parameters."""

_METAVARS = {"settings": "NAME=VALUE", "frames": "FIRST:LAST"}
_ARGUMENTS = {"images": ("inputs", -1), "one": ("inputs", 1)}
_path = click.Path(path_type=Path)


class VerbCommand(click.Command):
    """A verb as a command; its options are asked of the verb each time, since methods may have been added."""

    def __init__(self, verb: Verb, name: str | None = None, *, metavar: str | None = None) -> None:
        self._verb, self._metavar = verb, metavar
        self._known: tuple[Parameter, ...] | None = None
        self._made: list[click.Parameter] = []
        help_text = in_flags(verb.help)
        super().__init__(
            name or verb.name, callback=self._called, help=help_text, short_help=help_text.partition("\n")[0]
        )

    @property
    def params(self) -> list[click.Parameter]:
        """The argument and the options; made anew only when the verb's parameters are others, since click tells options by identity."""
        parameters = self._verb.parameters()
        if parameters != self._known:
            made: list[click.Parameter] = []
            if self._verb.inputs != "none":
                name, count = _ARGUMENTS[self._verb.inputs]
                made.append(click.Argument([name], nargs=count, required=True, type=_path, metavar=self._metavar))
            self._known, self._made = parameters, [*made, *map(_option, parameters)]
        return self._made

    @params.setter
    def params(self, value: object) -> None:
        """Nothing to keep; click sets an empty list."""

    def _called(self, **given: Any) -> None:
        if self._verb.inputs == "one":
            given["inputs"] = (given["inputs"],)
        with working(verbose=bool(given.get("verbose"))) as session:
            outcome = self._verb.run(Request(self._verb, given, session))
        for message in outcome.messages:
            note(message)
        if outcome.text:
            click.echo(in_flags(outcome.text))
        context = click.get_current_context()
        if session.stopped:
            say("stopped early: these are from what was done so far. The same command with `resume` goes on.")
            context.exit(EXIT_STOPPED)
        if outcome.failed:
            context.exit(EXIT_DEFECT)


def _option(parameter: Parameter) -> click.Option:
    flag = f"--{parameter.name.replace('_', '-')}"
    names = _FLAGS.get(parameter.name, [flag])
    about: dict[str, Any] = {"help": in_flags(parameter.help), "required": parameter.required}
    if parameter.kind == "flag" and "/" not in names[0]:
        return click.Option([*names, parameter.name], is_flag=True, **about)
    if parameter.kind in ("flag", "switch"):
        return click.Option([*names, parameter.name], default=None, **about)
    if parameter.default is not None:
        about |= {"default": parameter.default, "show_default": True}
    if parameter.several:
        about["multiple"] = True
    metavar = _METAVARS.get(parameter.name) if parameter.kind in ("text", "range") else None
    return click.Option([*dict.fromkeys([*names, parameter.name])], type=_type(parameter), metavar=metavar, **about)


def _type(parameter: Parameter) -> Any:
    match parameter.kind:
        case "choice":
            return click.Choice(parameter.choices)
        case "float":
            return _ranged(click.FloatRange, float, parameter)
        case "int":
            return _ranged(click.IntRange, int, parameter)
        case "file" | "folder" | "save":
            return _path
        case _:
            return str


def _ranged(ranged: Callable[..., Any], plain: type, parameter: Parameter) -> Any:
    if parameter.least is None and parameter.most is None:
        return plain
    low, high = (None if limit is None else plain(limit) for limit in (parameter.least, parameter.most))
    return ranged(min=low, max=high, min_open=parameter.above)
