"""`dispatch`: do one call and answer, whatever happens.

Both hosts, the worker process and the one inside Python, end here, and so do the tests. Nothing is raised: what the user can mend
becomes an error record with one line, and anything else one with its traceback. Calls that keep the machine busy run one after
the other; a second one waits, and can be cancelled while it does.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from superlens.bridge.listening import SILENT, Abandoned, Listener, Runs, Telling
from superlens.bridge.menu import PING, Command, command_of
from superlens.bridge.protocol import LARGEST_BLOCK, ErrorRecord, OutputSpec, Request, Response, Table, VersionMismatch
from superlens.bridge.session import CallSession, delivered, described, images_of, outlines_of
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.progress import Cancelled
from superlens.runs.verb import Outcome, Plan, Verb
from superlens.runs.verb import Request as Asking
from superlens.runs.verbs import VERBS

if TYPE_CHECKING:
    from superlens.report import Verdict

__all__ = ["dispatch", "failed", "for_fiji"]

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
        if asked.verb == "ping":
            command = PING
            return _spoken(_pinged(asked, listener), command)
        verb = _verb(asked)
        command = command_of(verb)
        return _spoken(_done(asked, verb, command, blocks_in, blocks_out, listener), command)
    except Exception as error:  # noqa: BLE001  (the last door: the other side of it is Java)
        return failed(error, command)


def failed(error: Exception, command: Command | None = None) -> Response:
    """Say in a record why a call was not done, in the words of its command."""
    return Response(ok=False, error=_record(error, command))


def _verb(asked: Request) -> Verb:
    known = ["ping", *VERBS, "plan", "finish", "cancel"]
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
    command: Command,
    blocks_in: Sequence[NDArray[Any]],
    blocks_out: Sequence[NDArray[Any]],
    listener: Listener,
) -> Response:
    given = command.arguments(asked.parameters)
    named = [Path(spec.path) for spec in asked.inputs if spec.path is not None]
    given["inputs"] = (*(given.get("inputs") or ()), *named)
    with _RUNS.begun(asked.run) as run:
        telling = Telling(listener, run, preview=asked.preview)
        session = CallSession(asked, telling)
        if asked.verb == "plan" and verb.plan is not None:
            images = images_of(asked, blocks_in, given) if blocks_in else outlines_of(asked, given)
            return _planned(verb.plan(Asking(verb, given, session, images)), asked)
        with _one_at_a_time(verb, telling), _warnings_kept() as kept:
            session.warned = kept
            outcome = verb.run(Asking(verb, given, session, images_of(asked, blocks_in, given)))
            outputs, lacking = delivered(asked, outcome.made, blocks_out)
        messages = [*kept, *session.notes, *outcome.messages, *lacking, *outcome.verdict_lines()]
        return _answer(outcome, session, outputs, messages)


def _planned(plan: Plan, asked: Request) -> Response:
    outputs = tuple(map(described, plan.made))
    inputs = [] if plan.in_files else [spec.bytes for spec in asked.inputs if spec.path is None]
    large = any(size > LARGEST_BLOCK for size in [*inputs, *(spec.bytes for spec in outputs)])
    info = {
        "transfer": "files" if large else "buffers",
        "memory_bytes": plan.memory_bytes,
        "seconds": None if plan.seconds is None else round(plan.seconds, 1),
        "planes": plan.planes,
    }
    return Response(outputs=outputs, info=info)


def _answer(outcome: Outcome, session: CallSession, outputs: list[OutputSpec], messages: list[str]) -> Response:
    from superlens import __version__

    verb, *settings = session.command()
    about = [] if session.device is None else [f"device: {session.device}", f"seconds: {session.seconds:.1f}"]
    lines = [outcome.text] if verb in _ALONE else [f"superlens {__version__} {verb}", *settings, *about, outcome.text]
    sheet = outcome.sheet
    return Response(
        outputs=tuple(outputs),
        table=None if sheet is None else Table(columns=sheet.columns, rows=sheet.rows),
        text="\n".join(line for line in lines if line),
        messages=tuple(messages),
        files=tuple(str(path) for path in outcome.files),
        early=outcome.early,
        info={
            **outcome.info,
            **({"seconds": round(session.seconds, 2)} if about else {}),
            **(
                {"verdicts": {name: _plainly(one) for name, one in outcome.verdicts.items()}}
                if outcome.verdicts
                else {}
            ),
        },
    )


def _plainly(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON has it."""
    reasons = [{"grade": one.grade, "name": one.name, "text": one.text} for one in verdict.reasons]
    return {"grade": verdict.grade, "headline": verdict.headline, "summary": verdict.summary, "reasons": reasons}


_ALONE = ("psf", "compare", "models", "doctor")
"""Verbs whose text stands by itself."""


def _pinged(asked: Request, listener: Listener) -> Response:
    from superlens import __version__

    given = PING.arguments(asked.parameters)
    told = _versions()
    info: dict[str, Any] = {
        "version": __version__,
        "verbs": ["ping", *VERBS, "plan", "finish", "cancel"],
        "versions": dict(told),
        "pid": os.getpid(),
        "device": None,
        "devices": [],
    }
    text = f"superlens {__version__}, Python {told['python']}"
    if given.get("devices"):
        from superlens.doctor import examine

        with _RUNS.begun(asked.run) as run:
            telling = Telling(listener, run)
            info["device"] = CallSession(asked, telling).engine(None, None)
            telling(0, 1, "measuring devices")
            info["devices"] = [
                {"name": device.name, "model": device.model, "gflops": device.product_gflops}
                for device in examine(speed_test=False).devices
            ]
            telling(1, 1, "measuring devices")
        text += f", {info['device']}"
    return Response(text=text, info=info)


@functools.cache
def _versions() -> dict[str, str]:
    """Looked up once, since that reads a file for each library."""
    from superlens.host import versions

    return versions()


@contextlib.contextmanager
def _one_at_a_time(verb: Verb, telling: Telling) -> Iterator[None]:
    if not verb.works:
        yield
        return
    while not _WORK.acquire(timeout=0.2):
        telling.loading("waiting for another run to end")
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


def for_fiji(messages: Iterable[str], command: Command | None) -> tuple[str, ...]:
    """Say messages once each, in one line, and with the names that Fiji's parameters have."""
    lines = (" ".join(message.split()) for message in messages)
    return tuple(dict.fromkeys(line if command is None else command.in_words(line) for line in lines))


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
