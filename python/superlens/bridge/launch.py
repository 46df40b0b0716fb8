"""Start Fiji or plain ImageJ inside this Python, with the engine behind its menus.

A Fiji (a folder with ``jars`` and ``plugins``) is started by pyimagej, so that ImageJ2, its scripts and its commands are there too.
Without one, or with a folder that holds ``ij.jar``, plain ImageJ 1 is started by scyjava: the same menus in two seconds.

Java starts once in a process and cannot be started again. Nothing here is imported by the engine.
"""

from __future__ import annotations

import atexit
import logging
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from superlens.errors import SuperlensError

__all__ = ["Fiji", "check", "plugin_jar", "start"]

log = logging.getLogger(__name__)

_IMAGEJ = "net.imagej:ij:1.54p"
_SECONDS_BETWEEN_LOOKS = 0.2
_RUNNING: list[Fiji] = []

Kind = Literal["Fiji", "ImageJ"]


@dataclass(frozen=True, slots=True, eq=False)
class Fiji:
    """An ImageJ that runs in this process.

    Attributes
    ----------
    kind : {"Fiji", "ImageJ"}
        With ImageJ2, or version 1 alone.
    gateway : object
        pyimagej's gateway, or None without ImageJ2.
    window : object
        The ``ij.ImageJ`` window, None when there is no screen.
    plugin : Path
        The plugin's jar.
    """

    kind: Kind
    gateway: Any
    window: Any
    plugin: Path

    def wait(self) -> None:
        """Return when the user closes ImageJ; until then Python does nothing else, which lets Java's threads call it."""
        while self.window is not None and self.window.isShowing():
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def plugin_jar() -> Path:
    """Find the plugin's jar: inside the package, or where ``make fiji`` leaves it in a source tree.

    Raises
    ------
    SuperlensError
        When it was not built.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "_fiji", package.parents[1] / "fiji-plugin" / "target")
    found = [jar for place in places for jar in sorted(place.glob("superlens_-*.jar")) if _is_plugin(jar)]
    if not found:
        raise SuperlensError(
            "the Fiji plugin was not built in this source tree; run `make fiji` (it needs a JDK and Maven), or install superlens "
            "from a wheel, which brings it."
        )
    return found[0]


def start(fiji: Path | str | None = None, *, headless: bool = False) -> Fiji:
    """Start Fiji in this process and put the engine behind its menus; return at once.

    Parameters
    ----------
    fiji : path, optional
        A Fiji folder, or a folder with ``ij.jar``; plain ImageJ from Maven Central when left out.
    headless : bool
        Without a window.

    Returns
    -------
    Fiji
        The same one when it runs already.

    Raises
    ------
    SuperlensError
        When there is no Java, no plugin, or the folder is no Fiji.
    """
    if _RUNNING:
        return _RUNNING[0]
    jar = plugin_jar()
    folder = None if fiji is None else Path(fiji).expanduser()
    started = (
        _start_fiji(folder, jar, headless=headless)
        if folder is not None and kind_of(folder) == "Fiji"
        else _start_imagej(folder, jar, headless=headless)
    )
    _RUNNING.append(started)
    return started


def check(fiji: Path | str | None = None) -> str:
    """Start without a window, ask the engine through Java, and tell what was found.

    Returns
    -------
    str
        Lines for a terminal.
    """
    running = start(fiji, headless=True)
    import jpype

    from superlens.bridge.protocol import Request, Response

    engine = jpype.JClass("io.github.superlens.engine.EngineProvider").get(None)
    answer = Response.from_json(str(engine.call(Request(verb="ping").to_json(), None, None, None)))
    java = jpype.JClass("java.lang.System").getProperty("java.version")
    imagej = jpype.JClass("ij.ImageJ").VERSION
    lines = [
        f"plugin: {running.plugin}",
        f"Java {java}, ImageJ {imagej}" + (f", ImageJ2 {running.gateway.getVersion()}" if running.gateway else ""),
        f"engine: {engine.describe()}",
        f"answers: {answer.text}",
    ]
    return "\n".join(lines)


def kind_of(folder: Path) -> Kind:
    if (folder / "jars").is_dir() and (folder / "plugins").is_dir():
        return "Fiji"
    if (folder / "ij.jar").is_file():
        return "ImageJ"
    raise SuperlensError(
        f"{folder} is no Fiji: it has neither jars and plugins nor an ij.jar. Name the folder that holds them, like Fiji.app."
    )


def _start_imagej(folder: Path | None, jar: Path, *, headless: bool) -> Fiji:
    scyjava = library("scyjava")
    plugins = Path(tempfile.mkdtemp(prefix="superlens-imagej-")) / "plugins"
    atexit.register(shutil.rmtree, plugins.parent, ignore_errors=True)
    plugins.mkdir()
    shutil.copy2(jar, plugins)  # the menus are read from jars in this folder
    _configure(scyjava, headless=headless, fetch="never")
    scyjava.config.add_option(f"-Dplugins.dir={plugins.parent}")
    scyjava.config.add_classpath(str(jar))
    if folder is None:
        scyjava.config.get_repositories().clear()  # Maven Central, which is always asked, has it
        scyjava.config.endpoints.append(_IMAGEJ)
    else:
        scyjava.config.add_classpath(str(folder / "ij.jar"))
    _start_java(scyjava)
    for path in (plugins.parent, plugins, plugins / jar.name):
        scyjava.jimport("java.io.File")(
            str(path)
        ).deleteOnExit()  # ImageJ's Quit ends the process without a word to Python
    from superlens.bridge.inprocess import install

    install()
    window = None if headless else scyjava.jimport("ij.ImageJ")()
    return Fiji("ImageJ", None, window, jar)


def _start_fiji(folder: Path, jar: Path, *, headless: bool) -> Fiji:
    imagej, scyjava = library("imagej"), library("scyjava")
    installed = put_into(folder / "plugins", jar)
    _configure(scyjava, headless=headless, fetch="auto")  # "never" fails in pyimagej 1.8
    if any((folder / "jars").glob("imglib2-imglyb-*.jar")):
        scyjava.config.endpoints.clear()  # all is there; nothing to fetch
    try:
        gateway = imagej.init(str(folder), mode="headless" if headless else "interactive")
    except (OSError, RuntimeError, ValueError) as error:
        raise SuperlensError(f"Fiji in {folder} does not start ({_brief(error)}); does it start by itself?") from error
    from superlens.bridge.inprocess import install

    install()
    if not headless:
        gateway.ui().showUI()
    window = None if headless else scyjava.jimport("ij.IJ").getInstance()
    if window is not None:
        window.exitWhenQuitting(False)  # ImageJ2 would end the process from Java, in the midst of what Python does
    return Fiji("Fiji", gateway, window, installed)


def _configure(scyjava: Any, *, headless: bool, fetch: str) -> None:
    scyjava.config.set_java_constraints(fetch=fetch)
    if headless:
        scyjava.config.enable_headless_mode()


def _start_java(scyjava: Any) -> None:
    import jpype

    if jpype.isJVMStarted():
        raise SuperlensError(
            "Java runs in this process already; start Fiji in a new Python, before anything that uses Java."
        )
    try:
        scyjava.start_jvm()
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise SuperlensError(
            f"Java does not start ({_brief(error)}); install a JDK of version 11 or newer and set JAVA_HOME to it."
        ) from error


def put_into(plugins: Path, jar: Path) -> Path:
    """Put the plugin where Fiji looks for plugins, in place of an older one."""
    there = plugins / jar.name
    if there.is_file() and there.read_bytes() == jar.read_bytes():
        return there
    try:
        for older in plugins.glob("superlens_-*.jar"):
            older.unlink()
        shutil.copy2(jar, there)
    except OSError as error:
        raise SuperlensError(
            f"the plugin cannot be put into {plugins} ({error.strerror}); copy {jar} there yourself, or name a Fiji of your own."
        ) from error
    log.info("put %s into %s", jar.name, plugins)
    return there


def library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = {"imagej": "pyimagej"}.get(name, name)
        raise SuperlensError(
            f"{package} is not installed ({_brief(error)}); install it with pip install 'superlens[fiji]'."
        ) from error


def _is_plugin(jar: Path) -> bool:
    return re.search(r"-(sources|javadoc|tests)\.jar$", jar.name) is None


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
