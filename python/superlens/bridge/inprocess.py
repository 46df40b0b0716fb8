"""The engine inside the Java of this process: Python has started Fiji, and Fiji's menus call back.

`install` makes an object that Java sees as ``io.github.superlens.engine.Engine`` and gives it to the plugin's registry, where the
plugin looks first. Pixels are shared: a direct ``ByteBuffer`` and a NumPy array are two views of one memory. Calls come on Java's
threads, one of which may wait for hours; nothing is ever thrown back, since a Python exception in the middle of Java's frames
tells a user nothing.
"""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.bridge.dispatch import dispatch, failed
from superlens.errors import SuperlensError

__all__ = ["install", "run_command", "uninstall"]

log = logging.getLogger(__name__)

_ENGINE = "io.github.superlens.engine.Engine"
_PROGRESS = "io.github.superlens.engine.Progress"
_REGISTRY = "io.github.superlens.engine.EngineRegistry"


def install() -> None:
    """Offer this Python to the plugin in the Java that runs in this process.

    Raises
    ------
    SuperlensError
        When no Java runs, or it does not know the plugin.
    """
    _registry().set(_engine_class()())


def uninstall() -> None:
    """Take the offer back."""
    _registry().clear()


def run_command(name: str, imp: Any, options: str | Mapping[str, object]) -> list[Any]:
    """Run a menu item of the plugin on an image, without dialogs.

    Parameters
    ----------
    name : str
        Such as ``"enhance"``.
    imp : ij.ImagePlus
    options : str or mapping
        As in a macro, or key to value.

    Returns
    -------
    list of ij.ImagePlus
        What the menu item would have opened, the most important one last.

    Raises
    ------
    SuperlensError
        With the words of the plugin's dialog.
    """
    _registry()
    from jpype import JClass, JException, JImplements, JOverride

    opened: list[Any] = []

    @JImplements("io.github.superlens.core.Host")
    class Quiet:
        """Shows nothing and keeps what is made."""

        @JOverride
        def engine(self) -> Any:
            return JClass("io.github.superlens.engine.EngineProvider").get(None)

        @JOverride
        def image(self) -> Any:
            return imp

        @JOverride
        def progress(self) -> Any:
            return JClass("io.github.superlens.engine.Progress").SILENT

        @JOverride
        def show(self, *what: Any) -> None:
            if len(what) == 1:
                opened.append(what[0])

        @JOverride
        def log(self, line: Any) -> None:
            log.info("%s", line)

    try:
        spec = JClass("io.github.superlens.core.CommandSpec").of(name)
        values = JClass("io.github.superlens.core.Values").read(spec, _options(options))
        JClass("io.github.superlens.core.Commands").byName().get(name).run(values, Quiet())
    except JException as error:
        raise SuperlensError(str(error.getMessage())) from error
    return opened


def _options(options: str | Mapping[str, object]) -> Any:
    from jpype import JClass

    reader = JClass("io.github.superlens.core.MacroOptions")
    if isinstance(options, str):
        return reader.parse(options)
    values = JClass("java.util.LinkedHashMap")()
    for key, value in options.items():
        values.put(key, macro_text(value))
    return reader.of(values)


def macro_text(value: object) -> str:
    """A value as a macro has it; several have blanks between."""
    if isinstance(value, list | tuple):
        return " ".join(map(macro_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _registry() -> Any:
    import jpype

    if not jpype.isJVMStarted():
        raise SuperlensError("no Java runs in this process; start it with superlens.fiji.start().")
    try:
        return jpype.JClass(_REGISTRY)
    except TypeError as error:  # what JPype says of a class that is not there
        raise SuperlensError(
            "the Java in this process does not know the superlens plugin; start it with superlens.fiji.start(), or add the "
            "plugin's jar to the class path before it starts."
        ) from error


def _engine_class() -> type[Any]:
    """Make the class that implements the Java interface; only possible once Java runs."""
    from jpype import JImplements, JOverride

    @JImplements(_ENGINE)
    class InProcessEngine:
        """Java's view of `dispatch`."""

        @JOverride
        def call(self, request: Any, blocks_in: Any, blocks_out: Any, progress: Any) -> str:
            try:
                inputs = [_array(block) for block in blocks_in or ()]
                outputs = [_array(block) for block in blocks_out or ()]
                return dispatch(str(request), inputs, outputs, _JavaListener(progress)).to_json()
            except Exception as error:  # noqa: BLE001  (nothing may be thrown into Java's frames)
                return failed(error).to_json()

        @JOverride
        def describe(self) -> str:
            from superlens import __version__

            return f"superlens {__version__} in the Python {platform.python_version()} that started Fiji"

        @JOverride
        def close(self) -> None:
            """Nothing to free; the process is the user's."""

    return InProcessEngine


class _JavaListener:
    """The plugin's ``Progress`` as a listener; null hears nothing.

    One that was made in Python comes back from Java as whatever it is there, without the methods of the interface unless it happens
    to have them; looked at as the interface, it has them all.
    """

    def __init__(self, progress: Any) -> None:
        from jpype import JClass, JObject

        self._progress = None if progress is None else JObject(progress, JClass(_PROGRESS))

    def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
        if self._progress is not None:
            self._progress.update(message, current, maximum, json.dumps(info))

    def cancelled(self) -> bool:
        return self._progress is not None and bool(self._progress.isCanceled())


def _array(buffer: Any) -> NDArray[np.uint8]:
    """View a direct ByteBuffer, from its start to its capacity."""
    if not buffer.isDirect():
        raise SuperlensError("a block is no direct ByteBuffer; allocate it with ByteBuffer.allocateDirect.")
    return np.frombuffer(memoryview(buffer), np.uint8)
