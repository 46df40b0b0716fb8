"""The engine behind a Java that runs in this process: called from Java's own threads, sharing memory, never throwing.

Java starts once in a process, so that a process of its own does all of it and tells what it saw.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jpype", reason="JPype is not installed: pip install 'superlens[fiji]'")

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "fiji-plugin" / "src" / "main" / "java"

pytestmark = [
    pytest.mark.fiji,
    pytest.mark.skipif(shutil.which("javac") is None, reason="no Java compiler: install a JDK"),
    pytest.mark.skipif(not SOURCES.is_dir(), reason="the plugin's sources are not here"),
]


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (1.3, "1.3"), ([525, 610], "525 610"), ("a b", "a b")])
def test_values_become_those_of_a_macro(value: object, text: str) -> None:
    from superlens.bridge.inprocess import macro_text

    assert macro_text(value) == text


SCRIPT = """
import json, sys, threading, time
import jpype, numpy as np

jpype.startJVM(classpath=[sys.argv[1]])
from superlens.bridge import dispatch as door
from superlens.bridge.inprocess import install, uninstall
from superlens.bridge.protocol import InputSpec, OutputSpec, Request
from superlens.runs.verb import Made, Outcome, Verb

names = []

def invert(request):
    names.append(threading.current_thread() is threading.main_thread())
    image = request.images[0].image
    return Outcome(made=[Made("psf", image.with_data(np.float32(-1) * image.data), "inverted")])

def count(request):
    for i in range(1000):
        time.sleep(0.11)  # so that none is one too many to see
        request.session.progress(i, 1000, "training")
    return Outcome()

def verb(run):
    return Verb("act", "", "", "", tuple, run)

def fail(request):
    raise RuntimeError("boom")

door.VERBS = {**door.VERBS, "invert": verb(invert), "count": verb(count), "fail": verb(fail)}
install()
Menu, Buffer = jpype.JClass("MenuThread"), jpype.JClass("java.nio.ByteBuffer")
none = jpype.JArray(Buffer)([])
told = {}

def ask(verb, cancel_after=10**9, ins=none, outs=none, **more):
    menu = Menu(cancel_after)
    return json.loads(str(menu.call(Request(verb=verb, **more).to_json(), ins, outs))), [str(line) for line in menu.heard]

told["pings"] = [ask("ping")[0]["ok"] for _ in range(2)]
shape = (5, 7)
ins, outs = Menu.room(4 * 35), Menu.room(4 * 35)
for i in range(35):
    ins.putFloat(4 * i, float(i))
spec = InputSpec(shape=shape)
answer, _ = ask("invert", ins=jpype.JArray(Buffer)([ins]), outs=jpype.JArray(Buffer)([outs]), inputs=(spec,),
                outputs=(OutputSpec(role="psf", shape=shape, bytes=140),))
told["inverted"] = [outs.getFloat(4 * i) for i in range(35)]
told["position"] = [int(ins.position()), int(outs.position())]
told["on_main_thread"] = names
told["defect"] = ask("fail")[0]["error"]
told["refusal"] = ask("enhance")[0]["error"]
answer, heard = ask("count", cancel_after=3)
told["cancelled"], told["heard"] = answer["error"], heard
heard_here = []
own = jpype.JProxy("io.github.superlens.engine.Progress", dict={
    "update": lambda message, *_: heard_here.append(str(message)),
    "isCanceled": lambda: len(heard_here) >= 3,
    "isFinishRequested": lambda: False,
})
through_java = jpype.JClass("java.util.ArrayList")()
through_java.add(own)
engine = jpype.JClass("io.github.superlens.engine.EngineRegistry").get()
answer = json.loads(str(engine.call(Request(verb="count").to_json(), none, none, through_java.get(0))))
told["cancelled_here"], told["heard_here"] = answer["error"], heard_here
heap = Buffer.wrap(jpype.JArray(jpype.JByte)(140))
told["heap"] = ask("invert", ins=jpype.JArray(Buffer)([heap]), inputs=(spec,))[0]["error"]
told["null"] = json.loads(str(Menu(9).call(Request(verb="ping").to_json(), None, None)))["ok"]
told["not_json"] = json.loads(str(Menu(9).call("{", None, None)))["error"]
registry = jpype.JClass("io.github.superlens.engine.EngineRegistry")
told["describe"] = str(registry.get().describe())
uninstall()
told["empty"] = registry.get() is None
print("TOLD " + json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    classes = tmp_path_factory.mktemp("classes")
    compiler = ["javac", "-nowarn", "-d", str(classes), "-sourcepath", str(SOURCES), str(HERE / "MenuThread.java")]
    compiled = subprocess.run(compiler, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(classes)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("TOLD "))
    return dict(json.loads(line.removeprefix("TOLD ")))


def test_a_menu_thread_of_java_is_answered_again_and_again(told: dict[str, Any]) -> None:
    assert told["pings"] == [True, True]
    assert told["on_main_thread"] == [False]
    assert told["null"] is True


def test_buffers_are_shared_and_their_positions_stay(told: dict[str, Any]) -> None:
    assert told["inverted"] == [-float(i) for i in range(35)]
    assert told["position"] == [0, 0]


def test_failures_come_back_as_records_and_not_as_exceptions(told: dict[str, Any]) -> None:
    assert told["defect"]["kind"] == "defect" and "boom" in told["defect"]["traceback"]
    assert told["refusal"]["kind"] == "user" and "there is no image" in told["refusal"]["message"]
    assert told["not_json"]["kind"] == "user"


def test_a_buffer_on_javas_heap_is_refused_in_words(told: dict[str, Any]) -> None:
    assert "allocateDirect" in told["heap"]["message"]


def test_the_listener_hears_and_cancels(told: dict[str, Any]) -> None:
    assert told["cancelled"]["kind"] == "cancelled"
    assert len(told["heard"]) == 3
    message, current, maximum, info = told["heard"][1].split("|")
    assert (message, current, maximum) == ("training", "1", "1000")
    assert json.loads(info)["stage"] == "training"


def test_a_listener_made_in_python_hears_and_cancels_as_one_of_java(told: dict[str, Any]) -> None:
    assert told["cancelled_here"]["kind"] == "cancelled"
    assert told["heard_here"] == ["training"] * 3


def test_the_engine_says_what_it_is_and_can_be_taken_back(told: dict[str, Any]) -> None:
    assert "superlens" in told["describe"] and told["empty"]
