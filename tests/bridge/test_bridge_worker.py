"""The real worker process, driven by Appose as Fiji drives it: it answers, is stopped, chatters, fails, crashes, and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from listeners import Ear
from superlens.bridge.listening import SILENT, Listener
from superlens.bridge.protocol import Request, Response

appose = pytest.importorskip("appose", reason="Appose is not installed: pip install 'superlens[fiji]'")

pytestmark = pytest.mark.slow

Caller = Any
INIT = "from superlens.bridge.worker import guard; guard()"
QUICK_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "PYTHONNOUSERSITE": "1"}


class Worker:
    """A worker process and the conversation with it, as the plugin has it."""

    def __init__(self) -> None:
        self.service: Any = None
        self.start()

    def end(self, *, kindly: bool = False) -> int:
        """End the process, wait for it, and close the pipes, which Appose leaves open."""
        if self.service.is_alive():
            (self.service.close if kindly else self.service.kill)()
        code = int(self.service.wait_for())
        for pipe in (self.service._process.stdin, self.service._process.stdout, self.service._process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return code

    def start(self) -> None:
        if self.service is not None:
            self.end()
        binaries = Path(sys.executable).parent
        environment = appose.custom().bin_paths(str(binaries)).base(str(binaries.parent)).build()
        self.service = environment.python().init(INIT).env(**QUICK_ENVIRONMENT)

    def task(
        self, script: str, inputs: Mapping[str, Any] | None = None, listen: Callable[[Any], None] | None = None
    ) -> Any:
        made = self.service.task(script, dict(inputs or {}))
        if listen is not None:
            made.listen(listen)
        return made.start()

    def door(
        self, request: str, blocks_in: Sequence[NDArray[Any]], blocks_out: Sequence[NDArray[Any]], listener: Listener
    ) -> Response:
        """Do a call through shared memory, and put what came back into the caller's blocks."""
        ins = [shared(block.nbytes) for block in blocks_in]
        outs = [shared(block.nbytes) for block in blocks_out]
        try:
            for block, memory in zip(blocks_in, ins, strict=True):
                memory.ndarray()[:] = block
            task = self.call(request, ins, outs, listener)
            for block, memory in zip(blocks_out, outs, strict=True):
                block[:] = memory.ndarray()
        finally:
            for memory in (*ins, *outs):
                memory.shm.close()
                memory.shm.unlink()
        return Response.from_json(task.outputs["response"])

    def call(self, request: str, ins: Sequence[Any] = (), outs: Sequence[Any] = (), listener: Listener = SILENT) -> Any:
        names = [[f"{kind}{i}" for i in range(len(blocks))] for kind, blocks in (("in", ins), ("out", outs))]
        script = (
            "from superlens.bridge.worker import serve\n"
            f"serve(task, request, [{', '.join(names[0])}], [{', '.join(names[1])}])"
        )
        inputs = {"request": request, **dict(zip(names[0], ins, strict=True)), **dict(zip(names[1], outs, strict=True))}

        def hear(event: Any) -> None:
            if event.response_type.value == "UPDATE":
                listener.update(event.message, event.current, event.maximum, event.info)
                if listener.cancelled():
                    event.task.cancel()

        return self.task(script, inputs, hear).wait_for()

    def ping(self) -> Response:
        return self.door(Request(verb="ping").to_json(), [], [], SILENT)

    @property
    def pid(self) -> int:
        return int(self.ping().info["pid"])


MADE: list[str] = []
"""Names of the blocks that were made here."""


def shared(size: int) -> Any:
    block = appose.NDArray("uint8", [size])
    MADE.append(block.shm.name)
    return block


def shared_blocks() -> list[str]:
    """Blocks of these tests that are still there."""
    return [name for name in MADE if (Path("/dev/shm") / name).exists()]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    assert made.end(kindly=True) == 0


@pytest.fixture
def fresh() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.end()


# -- answering ----------------------------------------------------------------------------------------------------------


def test_the_worker_answers_and_is_another_process(worker: Worker) -> None:
    answer = worker.ping()
    assert answer.ok and answer.info["pid"] != os.getpid()
    assert worker.pid == answer.info["pid"], "it stays for the next call"


def test_the_worker_gives_the_pixels_that_this_process_gives(worker: Worker, caller: Caller, small_model: Path) -> None:
    data = caller.noisy()
    image = (caller.described(data), data)
    ear = Ear()
    there, far = caller.call("predict", {"model": str(small_model)}, [image], door=worker.door, listener=ear)
    here, near = caller.call("predict", {"model": str(small_model)}, [image])
    assert there.ok and here.ok, there.error
    for role in ("sharp", "denoised", "uncertainty"):  # other numbers of threads round otherwise
        np.testing.assert_allclose(far[role], near[role], rtol=0, atol=1e-5 * np.ptp(near[role]))
    assert "predicting" in ear.stages
    assert MADE and shared_blocks() == [], "no block is left"


def test_a_refusal_and_a_defect_arrive_as_records(worker: Worker) -> None:
    answer = worker.door(Request(verb="predict", parameters={"model": "/nowhere.zip"}).to_json(), [], [], SILENT)
    assert answer.error is not None and answer.error.kind == "user"
    answer = worker.door("{", [], [], SILENT)
    assert answer.error is not None and "not JSON" in answer.error.message


def test_an_exception_in_a_task_leaves_the_worker_alive(worker: Worker) -> None:
    task = worker.task("raise ValueError('bad')")
    with pytest.raises(appose.TaskException, match="ValueError: bad"):
        task.wait_for()
    assert worker.ping().ok


@pytest.mark.parametrize(
    "chatter",
    [
        "print('a line')",
        "print('no end', end='', flush=True)",
        "import sys; sys.stdout.write('{\"task\":'); sys.stdout.flush()",
        "import os; os.write(1, b'from C without an end')",
        "import subprocess; subprocess.run(['echo', 'a child'])",
    ],
)
def test_stray_prints_do_not_reach_the_conversation(worker: Worker, chatter: str) -> None:
    task = worker.task(f"{chatter}\ntask.outputs['done'] = 1").wait_for()
    assert task.outputs["done"] == 1
    assert worker.ping().ok
    assert worker.service.invalid_lines() == []


def test_many_messages_at_once_stay_whole(worker: Worker) -> None:
    script = "for i in range(200): task.update('x' * 200, i, 200, {'stage': 'training'})"
    heard: list[list[int]] = [[], []]

    def hear(into: list[int]) -> Callable[[Any], None]:
        return lambda event: into.append(event.current) if event.response_type.value == "UPDATE" else None

    tasks = [worker.task(script, listen=hear(into)) for into in heard]
    for task in tasks:
        task.wait_for()
    assert heard == [list(range(200))] * 2
    assert worker.service.invalid_lines() == []


# -- stopping -----------------------------------------------------------------------------------------------------------


def test_cancel_ends_a_training_within_a_step_or_two(worker: Worker, caller: Caller, tmp_path: Path) -> None:
    data = caller.noisy()
    ear = Ear(lambda info: info["stage"] == "training")
    parameters = {**caller.optics, **caller.quick, "steps": 100_000, "model": str(tmp_path / "m.zip")}
    answer, _ = caller.call("train", parameters, [(caller.described(data), data)], door=worker.door, listener=ear)
    assert answer.error is not None and answer.error.kind == "cancelled"
    assert ear.stages.count("training") <= 4, "steps of a tenth of a second and more, one event each"
    assert worker.ping().ok


def test_finish_from_a_second_task_keeps_what_was_learned(worker: Worker, caller: Caller, tmp_path: Path) -> None:
    data = caller.noisy()
    training = threading.Event()

    class Noting(Ear):
        def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
            if info["stage"] == "training":
                training.set()

    def finish() -> None:
        assert training.wait(120)
        worker.door(Request(verb="finish", run="it").to_json(), [], [], SILENT)

    thread = threading.Thread(target=finish)
    thread.start()
    parameters = {**caller.optics, **caller.quick, "steps": 100_000, "model": str(tmp_path / "m.zip")}
    image = (caller.described(data), data)
    answer, _ = caller.call("train", parameters, [image], door=worker.door, listener=Noting(), run="it")
    thread.join()
    assert answer.ok and answer.early and (tmp_path / "m.zip").is_file()


# -- dying --------------------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_noticed_and_a_new_one_answers(fresh: Worker) -> None:
    pid = fresh.pid
    with shared(64) as block:
        task = fresh.task("import time\nblock.ndarray()[:] = 1\ntask.update('here')\ntime.sleep(60)", {"block": block})
        while not block.ndarray().all():
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(appose.TaskException):
            task.wait_for()
        assert task.status.value == "CRASHED"
    fresh.start()
    assert fresh.pid != pid
    assert shared_blocks() == []


@pytest.mark.parametrize("end", ["os._exit(3)", "os.abort()", "ctypes.string_at(0)"])
def test_a_crash_in_native_code_is_reported(fresh: Worker, end: str) -> None:
    task = fresh.task(f"import os, ctypes\n{end}")
    with pytest.raises(appose.TaskException, match="Worker crashed"):
        task.wait_for()
    fresh.service.wait_for()
    fresh.start()
    assert fresh.ping().ok


def test_closing_standard_input_ends_a_training_and_the_process(worker: Worker, caller: Caller, tmp_path: Path) -> None:
    data = caller.noisy()
    pid = worker.pid
    closing = threading.Event()

    class Closing(Ear):
        def update(self, message: str, current: int, maximum: int, info: Mapping[str, Any]) -> None:
            if info["stage"] == "training" and not closing.is_set():
                closing.set()
                worker.service.close()

    parameters = {**caller.optics, **caller.quick, "steps": 100_000, "model": str(tmp_path / "m.zip")}
    image = (caller.described(data), data)
    answer, _ = caller.call("train", parameters, [image], door=worker.door, listener=Closing())
    assert answer.error is not None and answer.error.kind == "cancelled"
    assert worker.end(kindly=True) == 0
    assert not psutil.pid_exists(pid)
    worker.start()
    assert worker.ping().ok


def test_a_worker_whose_fiji_was_killed_ends(tmp_path: Path) -> None:
    """The parent here is a process of its own that is killed while a task sleeps."""
    import subprocess

    note = tmp_path / "pid"
    task = f"import os, pathlib, time\npathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    parent = (
        "import sys, time, appose\nfrom pathlib import Path\n"
        "binaries = Path(sys.executable).parent\n"
        "made = appose.custom().bin_paths(str(binaries)).base(str(binaries.parent)).build()\n"
        f"made.python().init({INIT!r}).task({task!r}).start()\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stderr=subprocess.DEVNULL)
    try:
        waited(lambda: note.exists() and note.read_text() != "", 60)
    finally:
        process.kill()
        process.wait()
    worker = int(note.read_text())
    waited(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE, 30)


def waited(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
