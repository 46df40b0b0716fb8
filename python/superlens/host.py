"""What superlens runs on, in words: versions of the libraries, the processor and its cores."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["processor", "usable_processors", "versions"]

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
