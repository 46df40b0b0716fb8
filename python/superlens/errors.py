"""What superlens says when it cannot go on, and what it says when it can but the user should know.

Both are written for a person at a shell or in Fiji: one line that names the thing, what came, what is allowed and the next
step. The command line prints a `SuperlensError` without a traceback and ends with exit code 2; everything else that is raised
is a defect of the program. `Cancelled` is not an error and lives in `superlens.progress`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["SuperlensError", "SuperlensWarning", "printable", "require", "require_length_nm", "worded"]


class SuperlensError(ValueError):
    """The request cannot be carried out; the message is one line meant for the user.

    Examples
    --------
    >>> raise SuperlensError("wavelength_nm is 0.525; expected 300 to 1100. Did you give micrometres?")
    Traceback (most recent call last):
    ...
    superlens.errors.SuperlensError: wavelength_nm is 0.525; expected 300 to 1100. Did you give micrometres?
    """


class SuperlensWarning(UserWarning):
    """The run goes on, but the user should know this before trusting the result."""


def require(name: str, value: float | Iterable[str], ok: bool, allowed: str) -> None:
    """Refuse the value of an argument in the words that every refusal has.

    Parameters
    ----------
    name : str
    value : float or names
    ok : bool
        Whether it is allowed. Comparisons with NaN are false: ``0 < value < inf`` lets neither NaN nor infinity pass.
    allowed : str
        What is, with its unit.

    Raises
    ------
    SuperlensError
        Unless `ok`.
    """
    if not ok:
        raise SuperlensError(f"{name} is {value}; expected {allowed}.")


def require_length_nm(name: str, value: float) -> None:
    """Refuse a pixel size, a step or a width outside 1 to 20,000 nm; micrometres taken for nanometres are the usual reason.

    Raises
    ------
    SuperlensError
        With the name, the value and the range.

    Examples
    --------
    >>> require_length_nm("pixel_nm", 0.0626)
    Traceback (most recent call last):
    ...
    superlens.errors.SuperlensError: pixel_nm is 0.0626; expected 1 to 20000 nm. Did you give micrometres?
    """
    if not 1.0 <= value <= 20_000.0:
        hint = " Did you give micrometres?" if 0.001 <= value < 1.0 else ""
        raise SuperlensError(f"{name} is {value:g}; expected 1 to 20000 nm.{hint}")


def worded(message: str, name_of: Callable[[str], str]) -> str:
    """Say a message in the words of a door.

    Messages name a parameter by its Python name in backticks; a shell, a dialog and a notebook call it each in their own way.

    Parameters
    ----------
    message : str
    name_of : callable
        The door's name of a parameter.

    Examples
    --------
    >>> worded("give `pixel_nm`, in nanometres", lambda name: "--" + name.replace("_", "-"))
    'give --pixel-nm, in nanometres'
    """
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda found: name_of(found[1]), message)


def printable(text: str) -> str:
    """A text that any file can hold: bytes of a name that are no UTF-8 become question marks."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
