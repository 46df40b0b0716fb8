"""TensorFlow says nothing when superlens is imported first, and what it is asked for works all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_loading_the_engine_writes_nothing_to_the_screen() -> None:
    code = "import superlens, keras; from keras import ops; print(keras.backend.backend(), float(ops.sum(ops.ones(3))))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "tensorflow 3.0\n"
    assert ran.stderr == ""


@pytest.mark.slow
def test_images_of_many_sizes_are_no_news() -> None:
    """TensorFlow warns of retracing; networks are compiled for each size on purpose."""
    code = (
        "import superlens, tensorflow, logging; log = logging.getLogger('tensorflow');"
        "log.warning('5 out of the last 5 calls to %s triggered tf.function retracing.', 1); log.warning('else')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "retracing" not in ran.stderr
    assert "else" in ran.stderr
