"""Measure the way through Fiji: what it costs beside Python itself, how soon it stops, and that a dying engine takes nothing with it.

    python tests/quality/fiji.py crashes --count 100   # kill the worker in the middle of its work, again and again
    python tests/quality/fiji.py ping --side 512       # a command that does next to nothing, with pixels both ways
    python tests/quality/fiji.py predict --side 2048   # a model applied, in process and by the worker
    python tests/quality/fiji.py cancel --count 5      # from Cancel in the middle of a training to the end of the command

A real ImageJ runs in this process without a screen, plain or the Fiji that ``--fiji`` names, and runs the commands of the menu. What a
command costs is its whole time less that which the engine says it worked. The numbers go to standard output as one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np
import psutil

OPTICS = {"na": 1.3, "wavelength_nm": 525, "pixel_nm": 65}
WAYS_TO_DIE = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV)
SHARED = Path("/dev/shm")
BUILT = Path(__file__).resolve().parents[2] / "fiji-plugin" / "target"


@dataclass
class Watched:
    """A host of commands without windows that notes what the engine was asked, how long that took, and what was opened."""

    imp: Any
    inner: Any
    calls: list[tuple[str, float, float]] = field(default_factory=list)
    stop_in: str | None = None
    stopped_at: float | None = None
    opened: list[Any] = field(default_factory=list)

    def run(self, command: str, options: dict[str, object]) -> float:
        """Run a command of the menu and give the seconds it took; what it says is raised."""
        from jpype import JClass, JProxy

        from superlens.bridge.inprocess import _options

        engine = JProxy(
            "io.github.superlens.engine.Engine",
            dict={"call": self._call, "describe": self.inner.describe, "close": lambda: None},
        )
        ear = JProxy(
            "io.github.superlens.engine.Progress",
            dict={
                "update": self._hear,
                "isCanceled": lambda: self.stopped_at is not None,
                "isFinishRequested": lambda: False,
            },
        )
        host = JProxy(
            "io.github.superlens.core.Host",
            dict={
                "engine": lambda: engine,
                "image": lambda: self.imp,
                "progress": lambda: ear,
                "show": lambda *what: self.opened.append(what[0]),
                "log": lambda line: None,
            },
        )
        spec = JClass("io.github.superlens.core.CommandSpec").of(command)
        values = JClass("io.github.superlens.core.Values").read(spec, _options(options))
        began = time.perf_counter()
        JClass("io.github.superlens.core.Commands").byName().get(command).run(values, host)
        return time.perf_counter() - began

    def _call(self, request: Any, ins: Any, outs: Any, progress: Any) -> Any:
        began = time.perf_counter()
        answer = self.inner.call(request, ins, outs, progress)
        seconds = float(json.loads(str(answer)).get("info", {}).get("seconds") or 0)
        self.calls.append((json.loads(str(request))["verb"], time.perf_counter() - began, seconds))
        return answer

    def _hear(self, message: Any, current: int, maximum: int, info: Any) -> None:
        stage = json.loads(str(info)).get("stage") if info else None
        if self.stop_in is not None and stage == self.stop_in and self.stopped_at is None:
            self.stopped_at = time.perf_counter()


@click.group(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--fiji", type=click.Path(path_type=Path), help="A Fiji folder; default: plain ImageJ.")
@click.pass_context
def main(context: click.Context, fiji: Path | None) -> None:
    """Start ImageJ; the worker is the Python that runs this."""
    import superlens.fiji

    os.environ["SUPERLENS_PYTHON"] = sys.executable
    if fiji is None:
        bring_libraries(Path(context.with_resource(tempfile.TemporaryDirectory())))
    superlens.fiji.start(fiji, headless=True)


def bring_libraries(folder: Path) -> None:
    """Give plain ImageJ what the worker's side needs and Fiji has, from the archive that ``make fiji`` packs."""
    import scyjava

    archives = sorted(BUILT.glob("superlens-imagej-*.zip"))
    if not archives:
        raise click.ClickException(f"there is no archive for ImageJ in {BUILT}; run `make fiji`.")
    shutil.unpack_archive(archives[-1], folder)
    for jar in (folder / "plugins" / "jars").iterdir():
        scyjava.config.add_classpath(str(jar))


@main.command()
@click.option("--count", default=100, show_default=True)
@click.option("--side", default=512, show_default=True)
@click.option("--planes", default=40, show_default=True)
def crashes(count: int, side: int, planes: int) -> None:
    """Kill the worker in mid-task; look at the image, at shared memory and at processes after each."""
    imp = image(side, planes)
    before = checksum(imp)
    rng, survived, late, words = random.Random(1), 0, 0, set()
    wrong: list[str] = []
    with worker() as engine:
        whole = killed(Watched(imp, engine), None, 0)
        while survived < count and late < count:
            way = WAYS_TO_DIE[survived % len(WAYS_TO_DIE)]
            end = killed(Watched(imp, engine), way, 0.8 * whole.seconds * rng.random())
            if end.said is None:
                late, whole = late + 1, end
                continue
            survived += 1
            words.add(end.said.split(";")[0])
            problems = {
                "pixels": checksum(imp) != before,
                "shared memory": [block for block in end.blocks if block.exists()],
                "processes": end.pid in workers_of_this(),
                "locked": imp.isLocked(),
                end.said: "ended unexpectedly" not in end.said,
            }
            found = [f"{survived}: {name}" for name, there in problems.items() if there]
            wrong += found
            click.echo(f"{survived} {way.name} {'; '.join(found)}", err=True)
        done = Watched(imp, engine)
        done.run("stripes", {"remove_stripes": "x"})
    tell(
        crashes=survived,
        finished_before_the_signal=late,
        seconds_without_a_signal=round(whole.seconds, 2),
        wrong=wrong,
        said=sorted(words),
        works_after=len(done.opened) == 1,
        processes_left=workers_of_this(),
    )


@dataclass(frozen=True)
class End:
    """How a command ended: what it said, None when all went well; its worker, the memory shared with that; seconds from pixels to end."""

    said: str | None
    pid: int
    blocks: tuple[Path, ...]
    seconds: float


def killed(watched: Watched, way: signal.Signals | None, delay: float) -> End:
    """Run a command, and send its worker a signal the delay after it has the pixels."""
    said: list[str | None] = []

    def work() -> None:
        try:
            watched.run("stripes", {"remove_stripes": "auto"})
            said.append(None)
        except Exception as error:  # noqa: BLE001  (an exception of Java)
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    pid, blocks = 0, ()
    while thread.is_alive() and not blocks:
        time.sleep(0.002)
        pid, blocks = next(((pid, found) for pid in workers_of_this() if (found := shared_with(pid))), (0, ()))
    began = time.perf_counter()
    thread.join(delay if way is not None else None)
    if way is not None and blocks and thread.is_alive():
        os.kill(pid, way)
    thread.join()
    return End(said[0], pid, blocks, time.perf_counter() - began)


@main.command()
@click.option("--count", default=50, show_default=True)
@click.option("--side", default=512, show_default=True)
def ping(count: int, side: int) -> None:
    """Send pixels both ways through a warm worker, with next to no work between."""
    imp, options = image(side, 1), {"remove_stripes": "off"}
    here = [Watched(imp, provider().get(None)) for _ in range(count)]
    for watched in here:
        watched.run("stripes", options)
    own = statistics.median(sum(seconds for _, seconds, _ in watched.calls) for watched in here)
    with worker() as engine:
        Watched(imp, engine).run("stripes", options)
        took = [Watched(imp, engine).run("stripes", options) for _ in range(count)]
    tell(ping_ms=summary([1000 * s for s in took]), engine_alone_ms=round(1000 * own, 2))


@main.command()
@click.option("--count", default=3, show_default=True)
@click.option("--side", default=2048, show_default=True)
@click.option("--door", type=click.Choice(("in-process", "worker")), multiple=True, default=("in-process", "worker"))
def predict(count: int, side: int, door: tuple[str, ...]) -> None:
    """Apply a model to a float32 image; the share of a run that is not the engine's own time."""
    imp = image(side, 1, bits=32)
    with tempfile.TemporaryDirectory() as folder:
        options = {"model": str(model(Path(folder))), "pixel_nm": 65}
        if "in-process" in door:
            tell(in_process=cost(imp, provider().get(None), options, count))
        if "worker" in door:
            with worker() as engine:
                tell(worker=cost(imp, engine, options, count))


def cost(imp: Any, engine: Any, options: dict[str, object], count: int) -> dict[str, Any]:
    """What a command takes besides its engine, after one that warms up."""
    small = image(64, 1, bits=32)
    Watched(small, engine).run("predict", options)
    totals, works = [], []
    for _ in range(count):
        watched = Watched(imp, engine)
        totals.append(watched.run("predict", options))
        # A plan answers with the seconds that it expects, which are more than its own call took.
        works.append(sum(seconds for _, took, seconds in watched.calls if seconds <= took))
    besides = [1000 * (total - work) for total, work in zip(totals, works, strict=True)]
    shares = [100 * (total / work - 1) for total, work in zip(totals, works, strict=True)]
    return {"engine_s": summary(works), "besides_ms": summary(besides), "percent": summary(shares)}


@main.command()
@click.option("--count", default=5, show_default=True)
def cancel(count: int) -> None:
    """Stop a training in the worker at its first step; the time to the end of the command."""
    imp, took = image(128, 1), []
    with worker() as engine:
        for _ in range(count):
            watched = Watched(imp, engine, stop_in="training")
            with contextlib.suppress(Exception):  # it says that it was stopped
                watched.run("enhance", {**OPTICS, "steps": 100_000})
            took.append(time.perf_counter() - (watched.stopped_at or 0))
    tell(cancel_s=summary(took))


# -- what they share ----------------------------------------------------------------------------------------------------


def image(side: int, planes: int, *, bits: int = 16) -> Any:
    """A noisy ImagePlus with a scale."""
    from jpype import JArray, JClass, JFloat, JShort

    rng = np.random.default_rng(0)
    stack = JClass("ij.ImageStack")(side, side)
    for _ in range(planes):
        plane = (100 + rng.poisson(20, side * side)).astype(np.int16 if bits == 16 else np.float32)
        stack.addSlice("", JArray(JShort if bits == 16 else JFloat)(plane))
    imp = JClass("ij.ImagePlus")("cell.tif", stack)
    imp.getCalibration().setUnit("nm")
    imp.getCalibration().pixelWidth = imp.getCalibration().pixelHeight = 65.0
    return imp


def model(folder: Path) -> Path:
    """The shipped start as a model for these optics, without training."""
    from superlens.enhancing import train
    from superlens.image import Image
    from superlens.methods.zsdeconv.settings import ZSDeconvConfig
    from superlens.optics import Objective

    data = (100 + np.random.default_rng(0).poisson(20, (64, 64))).astype(np.float32)
    config = ZSDeconvConfig.of("fast", steps=0)
    made = train(Image(data, pixel_nm=65.0), Objective(na=1.3, wavelength_nm=525), config=config)
    made.save(folder / "model.zip")
    return folder / "model.zip"


@contextlib.contextmanager
def worker() -> Iterator[Any]:
    """The plugin's own worker, instead of the engine in this process."""
    from superlens.bridge.inprocess import uninstall

    uninstall()
    yield provider().get(None)
    provider().stop()
    wait(lambda: not workers_of_this())


def provider() -> Any:
    from jpype import JClass

    return JClass("io.github.superlens.engine.EngineProvider")


def workers_of_this() -> list[int]:
    """Processes that this one has started and that run; one that ends while it is looked at does not."""
    alive = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            alive += [process.pid] if process.status() != psutil.STATUS_ZOMBIE else []
    return alive


def shared_with(pid: int) -> tuple[Path, ...]:
    """The shared memory that a process has opened."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has ended
        return ()
    return tuple({Path(line[line.index(f"{SHARED}/") :]) for line in maps.splitlines() if f"{SHARED}/" in line})


def checksum(imp: Any) -> int:
    stack = imp.getStack()
    return hash(tuple(np.asarray(stack.getPixels(i + 1)).tobytes() for i in range(stack.getSize())))


def wait(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)


def summary(values: list[float]) -> dict[str, float]:
    return {
        "least": round(min(values), 2),
        "median": round(statistics.median(values), 2),
        "most": round(max(values), 2),
    }


def tell(**numbers: Any) -> None:
    click.echo(json.dumps(numbers))


if __name__ == "__main__":
    main()
