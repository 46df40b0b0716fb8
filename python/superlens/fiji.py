"""Fiji from Python: start it with superlens behind its menus, and run the menu's commands on images that are open in it.

In a notebook, ``superlens.fiji.start()`` returns at once and leaves Fiji running; its images, an ``ij.ImagePlus`` each, can then be
given to the functions here. They do what the menu items of the same names do, without dialogs: the image that comes back has the
scale, the colours and the dimensions of the one that went in.

Needs Java and ``pip install superlens[fiji]``. The shell's ``superlens fiji`` starts the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from superlens.bridge.launch import Fiji
from superlens.bridge.launch import start as _start

__all__ = ["Fiji", "compare", "enhance", "predict", "start", "train"]


def start(folder: Path | str | None = None, *, headless: bool = False) -> Fiji:
    """Start Fiji, or plain ImageJ, in this process; return at once.

    Parameters
    ----------
    folder : path, optional
        A Fiji, or a folder with ``ij.jar``; plain ImageJ from Maven Central when left out.
    headless : bool
        Without a window.

    Returns
    -------
    Fiji
        The same one when it runs already; ``gateway`` is pyimagej's, if there is an ImageJ2.

    Raises
    ------
    SuperlensError
        When there is no Java, no plugin, or the folder is no Fiji.
    """
    return _start(folder, headless=headless)


def enhance(imp: Any, options: str | Mapping[str, object] = "") -> Any:
    """Denoise and super-resolve an open image by what it holds itself.

    Parameters
    ----------
    imp : ij.ImagePlus
        Not modified.
    options : str or mapping
        As in a macro, ``"na=1.3 wavelength_nm=525"``, or as a mapping; the keys are those of the menu item.

    Returns
    -------
    ij.ImagePlus
        The super-resolved image, not shown.

    Raises
    ------
    SuperlensError
        When it cannot be done; the message is that of Fiji's dialog.
    """
    return _first("enhance", imp, options)


def predict(imp: Any, options: str | Mapping[str, object]) -> Any:
    """Apply a trained model to an open image; the arguments are those of `enhance`, with ``model=FILE``."""
    return _first("predict", imp, options)


def compare(imp: Any, options: str | Mapping[str, object]) -> Any:
    """Give the error map of a result against ``reference=TITLE or FILE``; the arguments are those of `enhance`."""
    return _first("compare", imp, options)


def train(imp: Any, options: str | Mapping[str, object]) -> None:
    """Train a model on an open image and write it to ``model=FILE``; the arguments are those of `enhance`."""
    from superlens.bridge.inprocess import run_command

    run_command("train", imp, options)


def _first(command: str, imp: Any, options: str | Mapping[str, object]) -> Any:
    from superlens.bridge.inprocess import run_command

    return run_command(command, imp, options)[-1]
