"""What all tests share: quiet libraries, the command line in this process, sample data where there are any, skips that say why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def superlens() -> Callable[..., Result]:
    """Run the command line in this process: ``superlens("psf", "--na", 1.3)``."""
    from superlens.cli import main

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of recorded images that is not part of the repository."""
    folder = Path(os.environ.get("SUPERLENS_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded images at {folder}; set SUPERLENS_DATA to their folder")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, and say what is missing."""
    if item.get_closest_marker("fiji") and shutil.which("java") is None:
        pytest.skip("no Java: install a JDK to run the Fiji tests")
    if item.get_closest_marker("gpu") and not _graphics_cards():
        pytest.skip("no graphics card that TensorFlow can use")


def _graphics_cards() -> list[object]:
    import tensorflow as tf

    return list(tf.config.list_physical_devices("GPU"))
