"""What a call tells a person in words: the lines for an image's Info, and messages in the words of Fiji's dialogs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from superlens.bridge.calls import Call
    from superlens.bridge.parameters import Command

__all__ = ["for_fiji", "said", "settings_in_words"]


def settings_in_words(call: Call) -> list[str]:
    """The parameters that were given, as ``key=value``."""
    given = {key: value for key, value in call.request.parameters.items() if value not in (None, "", False)}
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given.items()]


def said(call: Call, device: str) -> str:
    """Lines that tell how a result came about: version, verb, parameters, device, seconds."""
    from superlens import __version__

    lines = [f"superlens {__version__} {call.request.verb}", *settings_in_words(call)]
    return "\n".join([*lines, f"device: {device}", f"seconds: {call.progress.seconds:.1f}"])


def for_fiji(messages: Iterable[str], command: Command | None) -> tuple[str, ...]:
    """Say messages once each, in one line, and with the names that Fiji's parameters have."""
    lines = (" ".join(message.split()) for message in messages)
    return tuple(dict.fromkeys(line if command is None else command.in_words(line) for line in lines))
