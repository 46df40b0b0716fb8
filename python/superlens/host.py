"""What superlens runs on: versions of the libraries, the processor and its cores, and the user's folder for what may be thrown away."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["cache_folder", "processor", "usable_processors", "versions"]

_LIBRARIES = ("superlens", "numpy", "scipy", "keras", "tensorflow", "tifffile")
_EXTRAS = ("jax", "openvino", "torch")


def versions() -> dict[str, str]:
    """Versions of Python, superlens and the libraries that results depend on, and the platform, by name.

    Examples
    --------
    >>> "numpy" in versions()
    True
    """
    told = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            told[name] = version(name)
        except PackageNotFoundError:
            told[name] = "not installed"
    for name in _EXTRAS:
        with contextlib.suppress(PackageNotFoundError):
            told[name] = version(name)
    return told


def processor() -> str:
    """Name of the processor; its architecture where the system does not tell more."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def usable_processors() -> int:
    """Processor cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cache_folder() -> Path:
    """Where the system wants what a program keeps for its next run and can do without; nothing is made.

    Raises
    ------
    RuntimeError
        If the user has no home.
    """
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "superlens"
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "superlens"
