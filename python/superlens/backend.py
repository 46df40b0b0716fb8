"""Which library computes the networks: TensorFlow, unless JAX or PyTorch is asked for.

Keras is bound to one library when it is imported. The choice is therefore made before: by ``SUPERLENS_BACKEND`` when superlens is imported,
or by the option ``backend`` of a request. JAX is told then where to keep what it compiles. Nothing here imports any of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from superlens.errors import SuperlensError
from superlens.host import cache_folder, processor

__all__ = ["BACKENDS", "Backend", "choose_backend", "keep_compiled", "require_backend", "take_environment"]

log = logging.getLogger(__name__)

Backend = Literal["tensorflow", "jax", "torch"]

BACKENDS: tuple[Backend, ...] = get_args(Backend)

_ASKED, _KERAS = "SUPERLENS_BACKEND", "KERAS_BACKEND"
_CACHE, _COMPILED, _WORTH = "SUPERLENS_CACHE", "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_MOST_BYTES = 1 << 29
_EXTRAS = {"jax": "gpu-jax", "torch": "gpu-torch"}


def take_environment() -> None:
    """Hand the backend that ``SUPERLENS_BACKEND`` names to Keras; `require_backend` refuses one that cannot be used."""
    if os.environ.get(_ASKED):
        os.environ[_KERAS] = os.environ[_ASKED]


def choose_backend(name: str | None, device: str | None = None) -> None:
    """Have Keras compute with a library, and PyTorch on a kind of device, where Keras is not loaded yet.

    Parameters
    ----------
    name : str or None
        One of `BACKENDS`; None leaves it as it is.
    device : str, optional
        As `superlens.training.select_device` takes it. PyTorch must know before Keras is loaded when it shall not use its card.

    Raises
    ------
    SuperlensError
        If the library is unknown or not installed, or Keras runs on another one already.
    """
    if device == "cpu" and "keras" not in sys.modules:
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"
    if name is None:
        return
    running = _running()
    if running not in (None, name):
        raise SuperlensError(
            f"`backend` is {name} and the networks run on {running} already; start superlens anew, or leave it out."
        )
    before = os.environ.get(_KERAS)
    os.environ[_KERAS] = name
    try:
        require_backend()
    except SuperlensError:
        os.environ.pop(_KERAS)
        if before is not None:
            os.environ[_KERAS] = before
        raise


def require_backend() -> None:
    """Refuse a library that Keras is to compute with and cannot; to be called before Keras is imported.

    Raises
    ------
    SuperlensError
        Naming what to install.
    """
    name = os.environ.get(_KERAS)
    if not name or "keras" in sys.modules:
        return
    if name not in BACKENDS:
        raise SuperlensError(f"`backend` is {name!r}; expected one of {', '.join(BACKENDS)}.")
    if find_spec(name) is None:
        extra = _EXTRAS.get(name)
        what = f"superlens[{extra}]" if extra else name
        raise SuperlensError(f"`backend` is {name}, which is not installed; pip install '{what}', or leave it out.")
    if name == "jax":
        keep_compiled()


def keep_compiled() -> None:
    """Have JAX keep the programs that it compiles for later processes; to be called before JAX is imported.

    They go to a folder in ``SUPERLENS_CACHE``, or in the user's cache folder; to none where that variable is empty. JAX finds a program by
    its own version and all that it was compiled with. Nothing is kept where the folder cannot be written, and what the environment says to
    JAX stays.
    """
    if _COMPILED in os.environ or "jax" in sys.modules or os.environ.get(_CACHE) == "":
        return
    try:
        folder = (Path(os.environ[_CACHE]) if _CACHE in os.environ else cache_folder()) / f"jax-{_instructions()}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError) as error:
        log.info("what JAX compiles is not kept: %s", error)
        return
    _make_room(folder)
    os.environ[_COMPILED] = str(folder)
    os.environ.setdefault(_WORTH, "0.1")


def _instructions() -> str:
    """Digits that differ between processors, since a home may be shared by machines that cannot run each other's programs."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(f"{platform.machine()} {processor()} {flags}".encode()).hexdigest()[:12]


def _make_room(folder: Path) -> None:
    """Remove the oldest programs of more than half a gigabyte."""
    with contextlib.suppress(OSError):  # another process does the same
        found = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.iterdir())
        left = sum(size for _, size, _ in found)
        for _, size, file in found:
            if left <= _MOST_BYTES:
                break
            file.unlink()
            left -= size


def _running() -> str | None:
    """The library that Keras is bound to; None while it is not loaded."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.backend.backend())
