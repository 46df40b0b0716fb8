"""The engine is loaded when a network is asked for, says nothing when superlens is imported first, and works all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import logging, sys
import superlens.networks
assert "keras" not in sys.modules
superlens.networks.names()
assert "keras" in sys.modules
import keras, tensorflow
print(keras.backend.backend(), float(keras.ops.sum(keras.ops.ones(3))))
log = logging.getLogger("tensorflow")
log.warning("5 out of the last 5 calls to %s triggered tf.function retracing.", 1)
assert not open(sys.argv[1]).read(), "networks are compiled for each size on purpose"
log.warning("else")
"""


@pytest.mark.slow
def test_the_engine_is_loaded_when_a_network_is_asked_for_and_writes_only_what_is_news(tmp_path: Path) -> None:
    """TensorFlow speaks of itself when it is imported, and warns of images of many sizes."""
    with (tmp_path / "err").open("w") as errors:
        ran = subprocess.run(
            [sys.executable, "-c", CODE, errors.name], stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    written = (tmp_path / "err").read_text()
    assert ran.returncode == 0, written
    assert ran.stdout == "tensorflow 3.0\n"
    assert "else" in written and len(written.splitlines()) == 1
