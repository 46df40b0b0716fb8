"""What superlens says when it cannot go on, and what it says when it can but the user should know.

Both are written for a person at a shell or in Fiji: one line that names the thing, what came, what is allowed and the next
step. The command line prints a `SuperlensError` without a traceback and ends with exit code 2; everything else that is raised
is a defect of the program. `Cancelled` is not an error and lives in `superlens.progress`.
"""

from __future__ import annotations

__all__ = ["SuperlensError", "SuperlensWarning"]


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
