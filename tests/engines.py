"""The same networks on two engines: what tests ask of both, found once for all workers.

Keras is bound to one engine when it is imported, so the other one, JAX, runs in a process of its own, which answers all test files at once.
Starting and compiling take most of its time. What it runs are functions of test files, each of which gives arrays by their names.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from superlens.training import get_weights, set_weights

Found = dict[str, np.ndarray]

ASKED = {"outputs": "networks/test_contract.py", "training": "test_backends.py"}  # by the functions' names
_QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"  # each graph runs a few times
_PATIENCE_S = 900.0  # only a bound, reached on a machine that starves


def both(name: str, here: Callable[[], Found], temporary: pytest.TempPathFactory) -> tuple[Found, Found]:
    """What a function of `ASKED` finds on this process' engine, and on JAX."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("no JAX: pip install 'jax[cpu]' to compare the engines")
    if keras.backend.backend() == "jax":
        pytest.skip("this process runs JAX itself; there is nothing to compare with")
    shared = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers of this run
    jax = _once(shared / "on-jax", _run_jax)
    own = _once(shared / f"{name}-here", lambda folder: np.savez(folder / f"{name}.npz", **here()))
    return dict(np.load(own / f"{name}.npz")), dict(np.load(jax / f"{name}.npz"))


def redrawn(network: keras.Model, seed: int = 1) -> keras.Model:
    """Random weights everywhere, the same ones on every engine, so that no path through the graph is empty."""
    rng = np.random.default_rng(seed)

    def one(begun: np.ndarray) -> np.ndarray:
        drawn = rng.standard_normal(begun.shape).astype(np.float32)
        return drawn / np.sqrt(begun[..., 0].size) if begun.ndim > 1 else begun + 0.1 * drawn

    set_weights(network, [one(begun) for begun in get_weights(network)])
    return network


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that the first who asks fills, while the others wait."""
    ended = folder / "ended"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + _PATIENCE_S
        while not ended.exists():
            assert time.monotonic() < end, f"{folder} was not filled"
            time.sleep(0.05)
        return folder
    try:
        make(folder)
    finally:
        ended.touch()  # after a failure too, so that the others fail for want of the files
    return folder


def _run_jax(folder: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": _QUICKLY}
    command = [sys.executable, __file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def _nothing(self: object, shape: tuple[int, ...], dtype: str | None = None) -> np.ndarray:
    return np.zeros(shape, dtype or "float32")


def _answer(folder: Path) -> None:
    """Run what is asked on this process' engine."""
    keras.initializers.VarianceScaling.__call__ = _nothing  # JAX compiles each anew, and all weights are redrawn
    for name, file in ASKED.items():
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        np.savez(folder / f"{name}.npz", **getattr(module, name)())


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
