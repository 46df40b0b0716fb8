"""The public names: all there, nothing loaded before it is asked for, and known to editors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import superlens

HEAVY = ("tensorflow", "keras", "scipy", "skimage", "matplotlib", "pydantic", "numpy")


@pytest.mark.parametrize("name", superlens.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(superlens, name) is not None


def test_dir_lists_the_public_names() -> None:
    assert dir(superlens) == sorted(superlens.__all__)


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="enhnace"):
        superlens.enhnace  # noqa: B018


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse(Path(superlens.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(superlens.__all__) - {"__version__"}


@pytest.mark.parametrize("module", ["superlens", "superlens.cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert loaded == "[]"


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert superlens.__version__ == version("superlens")


def test_a_public_object_is_the_one_of_its_module() -> None:
    from superlens.optics import PSF

    assert superlens.PSF is PSF
