"""What JAX compiles is kept for the next process, and no run depends on it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from superlens.backend import keep_compiled

KEPT = "JAX_COMPILATION_CACHE_DIR"
RUN = """
from superlens.training import outputs_of
import keras, numpy as np
assert keras.backend.backend() == "jax"
network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones", activation="softplus")])
print([one.tolist() for one in outputs_of(network, np.ones((2, 4), np.float32))])
"""


@pytest.fixture
def environment(monkeypatch):
    """Nothing is said to JAX, and it is not loaded."""
    for name in (KEPT, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "SUPERLENS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    return monkeypatch


def run_on_jax(cache: Path) -> str:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("no JAX: pip install 'jax[cpu]'")
    told = {
        "SUPERLENS_BACKEND": "jax",
        "SUPERLENS_CACHE": str(cache),
        "JAX_PLATFORMS": "cpu",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment = {name: value for name, value in os.environ.items() if name not in (KEPT, "KERAS_BACKEND")} | told
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def programs(cache: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in cache.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_programs_are_found_by_a_later_process_and_none_is_needed(tmp_path):
    (tmp_path / "file").touch()
    without, first = run_on_jax(tmp_path / "file"), run_on_jax(tmp_path / "kept")
    made = programs(tmp_path / "kept")
    later = run_on_jax(tmp_path / "kept")
    assert made and programs(tmp_path / "kept") == made, "nothing is compiled again"
    for file in (tmp_path / "kept").rglob("*-cache"):
        file.write_bytes(b"no program")
    assert without == first == later == run_on_jax(tmp_path / "kept"), "a damaged one neither"


def test_where_nothing_can_be_written_nothing_is_kept(environment, tmp_path):
    (tmp_path / "file").touch()
    environment.setenv("SUPERLENS_CACHE", str(tmp_path / "file"))
    keep_compiled()
    assert KEPT not in os.environ


def test_an_empty_name_keeps_nothing_and_what_is_said_to_jax_stays(environment, tmp_path):
    environment.setenv("SUPERLENS_CACHE", "")
    keep_compiled()
    assert KEPT not in os.environ
    environment.setenv("SUPERLENS_CACHE", str(tmp_path))
    environment.setenv(KEPT, "elsewhere")
    keep_compiled()
    assert (os.environ[KEPT], list(tmp_path.iterdir())) == ("elsewhere", [])


def test_the_oldest_programs_make_room(environment, tmp_path):
    environment.setenv("SUPERLENS_CACHE", str(tmp_path))
    environment.setenv(KEPT, "")  # so that what is set below is taken away again
    environment.delenv(KEPT)
    keep_compiled()
    folder = Path(os.environ.pop(KEPT))
    for age, name in enumerate(("new", "middle", "old")):
        with (folder / name).open("wb") as file:
            file.truncate(1 << 28)  # a quarter of a gigabyte, which takes no room
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    keep_compiled()
    assert sorted(file.name for file in folder.iterdir()) == ["middle", "new"]
