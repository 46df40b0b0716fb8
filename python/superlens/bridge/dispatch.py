"""`dispatch`: do one call and answer, whatever happens.

Both hosts, the worker process and the one inside Python, end here, and so do the tests. Nothing is raised: what the user can mend
becomes an error record with one line, and anything else one with its traceback. Calls that keep the machine busy run one after
the other; a second one waits, and can be cancelled while it does.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from superlens.bridge.calls import Call, Verb
from superlens.bridge.listening import SILENT, Abandoned, Listener, Runs, Telling
from superlens.bridge.parameters import Command
from superlens.bridge.protocol import ErrorRecord, Request, Response, VersionMismatch
from superlens.bridge.telling import for_fiji
from superlens.bridge.verbs import VERBS
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.progress import Cancelled

__all__ = ["dispatch", "failed"]

_RUNS = Runs()
_WORK = threading.Lock()
_MEMORY = "memory ran out; close other images and programs, or work on a smaller crop."


def dispatch(
    request: Request | str,
    blocks_in: Sequence[NDArray[Any]] = (),
    blocks_out: Sequence[NDArray[Any]] = (),
    listener: Listener = SILENT,
) -> Response:
    """Do what a request asks for.

    Parameters
    ----------
    request : Request or str
        As a value, or as JSON.
    blocks_in : sequence of ndarray
        One for each input without a path, contiguous; only read, and not kept.
    blocks_out : sequence of ndarray
        One for each output of the request, contiguous; filled.
    listener : Listener
        Follows the call and may end it.

    Returns
    -------
    Response
        With an error record when it was not done; nothing is raised.

    Examples
    --------
    >>> dispatch('{"schema": 1, "verb": "ping"}').ok
    True
    >>> dispatch('{"schema": 1, "verb": "pong"}').error.message
    'verb is pong; expected one of ping, ..., cancel.'
    """
    command: Command | None = None
    try:
        asked = Request.from_json(request) if isinstance(request, str) else request
        if asked.verb in ("finish", "cancel"):
            return Response(info={"heard": _RUNS.wish(asked.run, asked.verb)})
        verb = _verb(asked)
        command = verb.command
        return _spoken(_done(asked, verb, blocks_in, blocks_out, listener), command)
    except Exception as error:  # noqa: BLE001  (the last door: the other side of it is Java)
        return failed(error, command)


def failed(error: Exception, command: Command | None = None) -> Response:
    """Say in a record why a call was not done, in the words of its command."""
    return Response(ok=False, error=_record(error, command))


def _verb(asked: Request) -> Verb:
    known = [*VERBS, "plan", "finish", "cancel"]
    name = asked.of if asked.verb == "plan" else asked.verb
    if name is None or name not in VERBS:
        argument = "of" if asked.verb == "plan" else "verb"
        raise SuperlensError(f"{argument} is {name}; expected one of {', '.join(known)}.")
    verb = VERBS[name]
    if asked.verb == "plan" and verb.plan is None:
        raise SuperlensError(f"of is {name}, which makes no images and needs no plan; ask for it at once.")
    return verb


def _done(
    asked: Request,
    verb: Verb,
    blocks_in: Sequence[NDArray[Any]],
    blocks_out: Sequence[NDArray[Any]],
    listener: Listener,
) -> Response:
    arguments = {} if verb.command is None else verb.command.arguments(asked.parameters)
    with _RUNS.begun(asked.run) as run:
        call = Call(asked, arguments, blocks_in, blocks_out, Telling(listener, run, preview=asked.preview))
        if asked.verb == "plan" and verb.plan is not None:
            return verb.plan(call)
        with _one_at_a_time(verb, call), _warnings_kept() as kept:
            made = verb.run(call)
        return made.with_changes({"messages": (*kept, *made.messages)})


@contextlib.contextmanager
def _one_at_a_time(verb: Verb, call: Call) -> Iterator[None]:
    if not verb.works:
        yield
        return
    while not _WORK.acquire(timeout=0.2):
        call.progress.loading("waiting for another run to end")
    try:
        yield
    finally:
        _WORK.release()


@contextlib.contextmanager
def _warnings_kept() -> Iterator[list[str]]:
    """Collect the warnings that are meant for the user, and show no others."""
    kept: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SuperlensWarning)
        warnings.showwarning = lambda message, *_, **__: kept.append(str(message))
        yield kept


def _spoken(made: Response, command: Command | None) -> Response:
    return made.with_changes({"messages": for_fiji(made.messages, command)})


def _record(error: Exception, command: Command | None) -> ErrorRecord:
    name = type(error).__name__
    if isinstance(error, Abandoned | Cancelled):
        return ErrorRecord(kind="cancelled", type="Cancelled", message="stopped; nothing was kept.")
    if isinstance(error, VersionMismatch):
        return ErrorRecord(kind="user", type=name, message=str(error), hint="Open Superlens Setup.")
    if isinstance(error, SuperlensError):
        return ErrorRecord(kind="user", type=name, message="".join(for_fiji([str(error)], command)))
    if isinstance(error, MemoryError) or name == "ResourceExhaustedError":
        return ErrorRecord(kind="user", type="OutOfMemory", message=_MEMORY)
    said = " ".join(str(error).split())[:200]
    return ErrorRecord(
        kind="defect",
        type=name,
        message=f"superlens failed in a way it should not ({name}: {said}).",
        traceback="".join(traceback.format_exception(error)),
        hint="Please send the details with a report.",
    )
