"""What superlens says when it cannot go on, and what it says when it can but the user should know.

Both are written for a person at a shell or in Fiji: one line that names the thing, what came, what is allowed and the next
step. The command line prints a `SuperlensError` without a traceback and ends with exit code 2; everything else that is raised
is a defect of the program. `Cancelled` is not an error and lives in `superlens.progress`.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["SuperlensError", "SuperlensWarning", "require"]


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
