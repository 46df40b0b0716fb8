"""A call says where it is while it runs, ends early when it is asked to, and keeps what it should and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listeners import Ear, verb_of
from superlens.bridge import dispatch as door
from superlens.bridge.dispatch import dispatch
from superlens.bridge.listening import Abandoned, Run, Telling
from superlens.bridge.protocol import Request, Response
from superlens.model import ChannelModels, Model, load_model
from superlens.progress import Cancelled
from superlens.runs.verb import Outcome
from superlens.runs.verb import Request as Asking

pytestmark = pytest.mark.usefixtures("slim")

Caller = Any


@pytest.mark.slow
def test_a_training_tells_stage_loss_device_and_time_left(caller: Caller) -> None:
    data = caller.noisy()
    ear = Ear()
    parameters = {**caller.optics, **caller.quick, "steps": 25}
    answer, _ = caller.call("enhance", parameters, [(caller.described(data), data)], roles=[], listener=ear)
    assert answer.ok, answer.error
    infos = [info for *_, info in ear.heard]
    assert [info["stage"] for info in infos][0] == "loading" and infos[-1]["stage"] == "predicting"
    assert any("CPU" in info.get("device", "") or "GPU" in info.get("device", "") for info in infos)
    losses = [info["loss"] for info in infos if "loss" in info]
    assert len(losses) == 2 and all(np.isfinite(losses))
    assert any(info.get("seconds_left", 0) > 0 for info in infos)
    assert answer.info["seconds"] > 0 and answer.info["stopped"] == "steps"
    plan = caller.ask("plan", of="enhance", parameters=parameters, inputs=(caller.described(data),))
    assert plan.info["seconds"] > 0, "after one run the next can be foretold"


@pytest.mark.slow
def test_cancel_keeps_nothing(caller: Caller, tmp_path: Path) -> None:
    data = caller.noisy()
    parameters = {**caller.optics, **caller.quick, "steps": 1000, "output": str(tmp_path / "out")}
    ear = Ear(lambda info: info["stage"] == "training")
    answer, images = caller.call("enhance", parameters, [(caller.described(data), data)], listener=ear)
    assert answer.error is not None and answer.error.kind == "cancelled"
    assert images == {} and not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("wish", ["finish", "cancel"])
def test_a_running_call_hears_another_one_by_its_name(caller: Caller, tmp_path: Path, wish: str) -> None:
    data = caller.noisy()
    training = threading.Event()
    ear = Ear(lambda info: info["stage"] == "training" and training.set() is not None)
    model = tmp_path / "m.zip"
    parameters = {**caller.optics, **caller.quick, "steps": 100_000, "model": str(model)}
    heard: list[Response] = []

    def wishing() -> None:
        assert training.wait(120)
        heard.append(caller.ask(wish, run="a run"))

    thread = threading.Thread(target=wishing)
    thread.start()
    answer, _ = caller.call("train", parameters, [(caller.described(data), data)], listener=ear, run="a run")
    thread.join()
    assert heard[0].info == {"heard": True}
    if wish == "finish":
        assert answer.ok and answer.early and answer.files == (str(model),)
        assert Model.load(model).config.provenance["stopped"] == "cancelled"
    else:
        assert answer.error is not None and answer.error.kind == "cancelled" and not model.exists()
    assert caller.ask(wish, run="a run").info == {"heard": False}


def test_a_call_that_waits_for_another_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, leave = threading.Event(), threading.Event()

    def work(request: Asking) -> Outcome:
        inside.set()
        assert leave.wait(20)
        return Outcome()

    monkeypatch.setattr(door, "VERBS", {"work": verb_of(work)})
    first: list[Response] = []
    thread = threading.Thread(target=lambda: first.append(dispatch(Request(verb="work"))))
    thread.start()
    assert inside.wait(20)
    answer = dispatch(Request(verb="work"), listener=Ear(lambda info: True))
    leave.set()
    thread.join()
    assert first[0].ok
    assert answer.error is not None and answer.error.kind == "cancelled"


def test_finish_ends_a_training_but_not_a_prediction() -> None:
    run = Run()
    telling = Telling(Ear(), run)
    run.finish.set()
    telling(0, 1, "predicting")
    with pytest.raises(Cancelled):
        telling(5, 20, "training")
    telling(0, 1, "predicting")


def test_a_cancelled_call_stays_cancelled() -> None:
    run = Run()
    telling = Telling(Ear(), run)
    run.cancel.set()
    for message in ("training", "loss 0.3", "predicting"):
        with pytest.raises(Abandoned):
            telling(1, 2, message)


def test_events_are_no_more_than_a_person_can_see() -> None:
    ear = Ear()
    telling = Telling(ear, Run())
    began = time.monotonic()
    for step in range(1, 10_000):
        telling(step, 10_000, "training")
    assert len(ear.heard) <= 2 + (time.monotonic() - began) / 0.1


@pytest.mark.slow
def test_finish_ends_the_training_of_one_channel_and_the_next_one_goes_on(caller: Caller, tmp_path: Path) -> None:
    class Finishing:
        """Has enough of the first channel at its first step, and of the second at its third."""

        def __init__(self) -> None:
            self.losses: dict[str, int] = {}

        def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
            if info["stage"] == "training" and current:
                name = message.split(":")[0]
                self.losses[name] = self.losses.get(name, 0) + 1
                if self.losses[name] == {"channel 0": 1, "channel 1": 3}[name]:
                    caller.ask("finish", run="two")

        def cancelled(self) -> bool:
            return False

    data = caller.noisy((2, 40, 48))
    parameters = {**caller.optics, "wavelength_nm": "525 610", **caller.quick, "steps": 100_000}
    parameters["model"] = str(tmp_path / "m.zip")
    ear = Finishing()
    answer, _ = caller.call("train", parameters, [(caller.described(data, "CYX"), data)], listener=ear, run="two")
    assert answer.ok and answer.early, answer.error
    assert set(ear.losses) == {"channel 0", "channel 1"} and ear.losses["channel 1"] >= 3
    assert isinstance(load_model(parameters["model"]), ChannelModels)
