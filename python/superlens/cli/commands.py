"""The commands, made of the verbs: a parameter becomes an option, an outcome lines on standard output."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import click

from superlens import __version__
from superlens.cli.failures import EXIT_DEFECT, EXIT_STOPPED, EXIT_UNUSABLE, hint, in_flags, note, say
from superlens.cli.session import working
from superlens.parameters import Parameter
from superlens.progress import Cancelled
from superlens.runs.choices import CORRECTIONS, HOST, IMAGE, OPTICS, STACK
from superlens.runs.verb import Request, Verb

__all__ = ["VerbCommand"]

_FLAGS: dict[str, list[str]] = {
    "like": ["--from", "--like", "like"],
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
    """A verb as a command; its options are read from the verb each time, since methods may have been added."""

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

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under headings, what most people need first."""
        options = [one for one in self.get_params(context) if isinstance(one, click.Option)]
        usual = {p.name for p in self._verb.parameters() if p.required or (p.label and not p.advanced)}
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading, _ in _HEADINGS}
        for option in options:
            record = option.get_help_record(context)
            if record is not None:
                groups[_heading(str(option.name), usual)].append(record)
        if len(options) <= _FEW:
            groups = {"Options": [record for records in groups.values() for record in records]}
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def _called(self, **given: Any) -> None:
        if self._verb.inputs == "one":
            given["inputs"] = (given["inputs"],)
        if self._verb.inputs != "none":
            hint(f"superlens {__version__}: reading {_named(given.get('inputs', ()))}...")
        with working(verbose=bool(given.get("verbose"))) as session:
            try:
                outcome = self._verb.run(Request(self._verb, given, session))
            except Cancelled:
                say(f"Stopped. {_GOES_ON}" if "resume" in given else "Stopped.")
                click.get_current_context().exit(EXIT_STOPPED)
        for message in outcome.messages:
            note(message)
        if outcome.text:
            click.echo(in_flags(outcome.text))
        for line in outcome.verdict_lines():
            say(line)
        if session.stopped:
            say(f"Stopped early: the results are from what was learned so far. {_GOES_ON}")
        page = _page(outcome.files)
        if page is not None:
            say(f"Open {page}")
        context = click.get_current_context()
        if session.stopped:
            context.exit(EXIT_STOPPED)
        if outcome.failed:
            context.exit(EXIT_DEFECT)
        if given.get("strict") and any(one.grade == "bad" for one in outcome.verdicts.values()):
            context.exit(EXIT_UNUSABLE)


_FEW = 14  # options that need no headings
_USUAL, _REST = "Most used", "Method and training"
_HEADINGS: tuple[tuple[str, frozenset[str]], ...] = (
    (_USUAL, frozenset()),
    ("Optics", frozenset(p.name for p in OPTICS)),
    ("Input files", frozenset(("channel", *(p.name for p in (*IMAGE, *STACK, *CORRECTIONS))))),
    ("Camera", frozenset(("offset", "gain", "read_noise_e", "em", "units"))),
    (_REST, frozenset()),
    ("Results", frozenset(("save_model", "save_report", "save_table", "table", "also", "render_nm", "strict"))),
    (
        "Computer and run",
        frozenset(("resume", "restart", "memory_gb", "block", "scheduler", "workers", "help", *(p.name for p in HOST))),
    ),
)
"""Headings of the help, and the parameters under each; the rest is the method's own."""


def _heading(name: str, usual: Collection[str]) -> str:
    if name in usual:
        return _USUAL
    return next((heading for heading, names in _HEADINGS if name in names), _REST)


_GOES_ON = "To continue, give the same command with `resume`."


def _named(inputs: Sequence[Path]) -> str:
    """Inputs in words."""
    return inputs[0].name or str(inputs[0]) if len(inputs) == 1 else f"{len(inputs)} files and folders"


def _page(files: Sequence[Path]) -> Path | None:
    """The page to open first: the index where there are several reports."""
    pages = [path for path in files if path.suffix == ".html"]
    return next((page for page in pages if page.name.endswith("index.html")), pages[-1] if pages else None)


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
