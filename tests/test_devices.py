"""The choice of a backend and of a card, with cards that are made up; and what errors of an engine become."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import keras
import pytest

from superlens import doctor
from superlens.backend import BACKENDS, choose_backend
from superlens.errors import SuperlensError
from superlens.training import backends, best_precision, device_in_use, engine_errors, select_device
from superlens.training.backends.engines import Card, Engine, card_of

NEW, OLD = Card("a new card", bfloat16=True), Card("an old card", bfloat16=False)
RUNNING = keras.backend.backend()


class MadeUp(Engine):
    """An engine that sees the cards it is given, and says of any error what it is told to."""

    words = "Made-up"

    def __init__(self, *cards, means=None, fails=False):
        self._cards, self._means, self._fails, self.used = cards, means, fails, None

    def cards(self):
        return self._cards

    def use(self, card, threads):
        if self._fails:
            raise RuntimeError("it runs")
        self.used = card, threads

    def card(self):
        return None if self.used is None or self.used[0] is None else self._cards[self.used[0]]

    def threads(self):
        return None

    def trouble(self, error):
        return self._means


@pytest.fixture
def on(monkeypatch):
    """Put an engine in the place of the one that runs."""

    def put(one):
        monkeypatch.setattr(backends, "running_engine", lambda: one)
        return one

    return put


@pytest.mark.parametrize(
    ("device", "cards", "number"),
    [
        (None, (), None),
        (None, (OLD, NEW), 0),
        ("cpu", (OLD, NEW), None),
        ("gpu", (OLD, NEW), 0),
        ("gpu:1", (OLD, NEW), 1),
    ],
)
def test_the_card_that_is_asked_for_is_taken_else_the_first(device, cards, number):
    assert card_of(device, cards, "Made-up") == number


@pytest.mark.parametrize("device", ["tpu", "gpu:x", "gpu:2", "cuda"])
def test_a_device_that_is_not_there_is_refused_by_name(device):
    with pytest.raises(SuperlensError, match=device):
        card_of(device, (OLD, NEW), "Made-up")


def test_a_card_is_never_replaced_by_the_processor_unasked():
    with pytest.raises(SuperlensError, match="can use 0 graphics cards.*device cpu"):
        card_of("gpu", (), "Made-up")


@pytest.mark.parametrize(("card", "expected"), [(NEW, "mixed_bfloat16"), (OLD, "float32")])
def test_precision_follows_the_card_in_use(on, card, expected):
    on(MadeUp(card))
    select_device("gpu")
    assert best_precision() == expected
    assert device_in_use() == f"GPU, {card.model}, Made-up"


def test_a_choice_that_comes_too_late_is_said(on):
    on(MadeUp(OLD, fails=True))
    with pytest.raises(SuperlensError, match="once the engine runs"):
        select_device("cpu")


def test_short_memory_is_a_memory_error_whatever_the_engine_calls_it(on):
    on(MadeUp(means="memory"))
    with pytest.raises(MemoryError, match="no room"), engine_errors():
        raise RuntimeError("no room")


def test_a_failed_card_is_said_with_the_next_step(on):
    on(MadeUp(means="card"))
    with pytest.raises(SuperlensError, match=r"card failed \(gone\).*`resume`.*`device` cpu"), engine_errors():
        raise RuntimeError("gone")


def test_other_errors_pass_through_as_they_are(on):
    on(MadeUp())
    with pytest.raises(ZeroDivisionError), engine_errors():
        raise ZeroDivisionError


def test_the_engine_that_runs_knows_its_own_errors():
    if RUNNING != "tensorflow":
        pytest.skip("asks TensorFlow")
    import tensorflow as tf

    with pytest.raises(MemoryError), engine_errors():
        raise tf.errors.ResourceExhaustedError(None, None, "no room")


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != RUNNING])
def test_another_backend_is_refused_once_one_runs(name):
    with pytest.raises(SuperlensError, match=f"`backend` is {name} and the networks run on {RUNNING}"):
        choose_backend(name)
    choose_backend(RUNNING)


@pytest.mark.parametrize(
    ("name", "words"), [("theano", "expected one of tensorflow, jax, torch"), ("torch", r"superlens\[gpu-torch\]")]
)
def test_a_backend_that_cannot_be_used_is_refused_before_anything_is_loaded(name, words):
    """In a Python that cannot see PyTorch, whether it is installed or not."""
    code = (
        "import importlib.util as u, sys; found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else found(name, *a)\n"
        "import superlens\n"
        "from superlens.errors import SuperlensError\n"
        "try:\n import superlens.training\n"
        "except SuperlensError as error: print(error); assert 'keras' not in sys.modules\n"
    )
    environment = {**os.environ, "SUPERLENS_BACKEND": name}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert re.search(words, done.stdout)


@pytest.mark.parametrize(
    ("maker", "system", "words"),
    [
        ("NVIDIA", "Linux", "superlens[gpu]"),
        ("NVIDIA", "Windows", "superlens[gpu-torch]"),
        ("Apple", "Darwin", "superlens[gpu-torch]"),
        ("AMD", "Linux", "ROCm"),
    ],
)
def test_the_doctor_names_what_reaches_a_card(monkeypatch, maker, system, words):
    monkeypatch.setattr(doctor, "found_card", lambda: maker)
    monkeypatch.setattr(doctor.platform, "system", lambda: system)
    finding = doctor.find_devices((doctor.Device("CPU:0", "some processor", {}, {}),))
    assert (finding.grade, maker in finding.text, words in finding.advice) == ("warn", True, True)
