"""What the shell prints when something goes wrong: one line on standard error and an exit code.

`Program` is the click group that all commands hang on. Errors meant for the user (`SuperlensError`, a wrong option) end with
code 2, a result that should not be used with 3 where ``--strict`` asks for it, a stopped run with 130, and anything else is a defect of
the program: its traceback goes to a log file whose path is printed, and the code is 1. Warnings for the user become lines of their own; those of other libraries are not shown.
"""

from __future__ import annotations

import contextlib
import functools
import platform
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from superlens import __version__
from superlens.errors import SuperlensError, SuperlensWarning, printable, worded
from superlens.progress import Cancelled, put_away

__all__ = [
    "EXIT_DEFECT",
    "EXIT_REFUSED",
    "EXIT_STOPPED",
    "EXIT_UNUSABLE",
    "Program",
    "hint",
    "note",
    "in_flags",
    "say",
]

EXIT_DEFECT, EXIT_REFUSED, EXIT_UNUSABLE, EXIT_STOPPED = 1, 2, 3, 130

_SHOWN: set[str] = set()
"""Warnings and notes of this run that the user has seen."""


class Program(click.Group):
    """A group of commands whose failures are one line each."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and end the process with its exit code; the arguments are those of `click.Group.main`."""
        run = functools.partial(super().main, args, prog_name, complete_var, False, **extra)
        if not standalone_mode:
            return run()
        with _warnings_as_lines():
            sys.exit(_exit_code(run))


def _exit_code(run: Callable[[], Any]) -> int:
    try:
        code = run()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except click.UsageError as error:
        hint = f" See `{error.ctx.command_path} --help`." if error.ctx else ""
        return _refused(f"{error.format_message().rstrip('.')}.{hint}")
    except (click.ClickException, SuperlensError) as error:
        return _refused(error.format_message() if isinstance(error, click.ClickException) else str(error))
    except MemoryError:
        return _refused(
            "memory ran out; close other programs, or give a smaller crop, --set batch=1 or a smaller patch."
        )
    except (click.Abort, KeyboardInterrupt, Cancelled):
        say("stopped.")
        return EXIT_STOPPED
    except Exception as error:  # noqa: BLE001  (the last door: whatever comes here is a defect, and is written down)
        return _defect(error)
    return code if isinstance(code, int) else 0


def say(message: str) -> None:
    """Print one line on standard error, whatever line breaks the message has, parameters named as options; no bar stays open above it."""
    put_away()
    click.echo(printable(in_flags(" ".join(message.split()))), err=True)


def hint(message: str) -> None:
    """Print one line for a person who watches a terminal; a log file has no use for it."""
    if sys.stderr.isatty():
        say(message)


def in_flags(message: str) -> str:
    """Name the parameters in a message as the command line does: ``--pixel-nm`` for ```pixel_nm```.

    Examples
    --------
    >>> in_flags("give `pixel_nm`, or set `volume` to false")
    'give --pixel-nm, or give --planes'
    """
    message = re.sub(
        "([Ss])et `volume` to false", lambda found: ("G" if found[1] == "S" else "g") + "ive --planes", message
    )
    return worded(message, lambda name: "--" + name.replace("_", "-"))


def note(message: str) -> None:
    """Print something the user should know, unless it was shown already."""
    if message not in _SHOWN:
        _SHOWN.add(message)
        say(f"note: {message}")


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show each warning meant for the user once, as a line, and no other warning."""
    _SHOWN.clear()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = str(message)
        if text not in _SHOWN:
            _SHOWN.add(text)
            say(f"warning: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SuperlensWarning)
        warnings.showwarning = show
        yield


def _refused(message: str) -> int:
    say(f"error: {message}")
    return EXIT_REFUSED


def _defect(error: Exception) -> int:
    path = _write_log(error, sys.argv)
    where = f"the details are in {path}; please send that file with a report" if path else "no log could be written"
    say(f"error: superlens failed in a way it should not ({type(error).__name__}: {str(error)[:200]}); {where}.")
    return EXIT_DEFECT


def _write_log(error: Exception, command: Sequence[str]) -> Path | None:
    text = "".join(traceback.format_exception(error))
    about = (
        f"superlens {__version__}, Python {platform.python_version()}, {platform.platform()}\n{' '.join(command)}\n\n"
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="superlens-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as log:
            log.write(about + text)
    except OSError:
        return None
    return Path(log.name)
