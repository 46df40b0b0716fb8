"""What superlens runs on, measured and not guessed, and what is wrong with it.

`examine` looks at versions, memory, disk, threads and the bundled files, times a matrix product and a convolution on each
device in each precision, and trains on the bundled image for about ten seconds to say how long ``fast`` will take.
`describe` turns what was found into lines for a terminal. Nothing is changed and no file is written.
"""

from __future__ import annotations

import platform
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.host import processor, usable_processors, versions
from superlens.progress import Cancelled, Progress, silent

__all__ = ["Device", "Diagnosis", "Finding", "Speed", "describe", "examine"]

_LEAST_MEMORY, _LEAST_DISK = 4e9, 2e9
_SPEED_SECONDS = 10.0
_TIMED_SECONDS = 0.3
_SIDE, _SAMPLE_SIDE = 256, 128  # pixels of the image that the forecast is for, and of the one that is timed


@dataclass(frozen=True, slots=True)
class Device:
    """A processor or graphics card and what it did.

    Attributes
    ----------
    name : str
        Keras's name, such as ``"CPU:0"``.
    model : str
        What it calls itself.
    product_gflops : dict of str to float
        Speed of a 1024 x 1024 matrix product by precision, 10^9 operations a second.
    convolution_gflops : dict of str to float
        Speed of a 3 x 3 convolution of 32 channels on 128 x 128 pixels, likewise.
    """

    name: str
    model: str
    product_gflops: dict[str, float]
    convolution_gflops: dict[str, float]


@dataclass(frozen=True, slots=True)
class Speed:
    """What ten seconds of training showed.

    Attributes
    ----------
    seconds_a_step : float
        Of preset ``fast``, once it runs.
    fast_seconds : float
        What ``fast`` would take on one image of 256 x 256 pixels: start, at most all of its steps, and prediction.
    """

    seconds_a_step: float
    fast_seconds: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, how it is, and what to do about it.

    Attributes
    ----------
    grade : {"ok", "warn", "bad"}
    text : str
        What was found.
    advice : str
        The next step; empty when all is well.
    """

    grade: Literal["ok", "warn", "bad"]
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that `examine` found.

    Attributes
    ----------
    versions : dict of str to str
    processors, threads : int
        Processors that this process may use, and threads that the networks use.
    memory_free, memory_total, disk_free : int
        Bytes; the disk is that of the current folder.
    devices : tuple of Device
    precision : str
        The precision that training chooses here.
    speed : Speed or None
        None when the test was left out or failed.
    findings : tuple of Finding
    """

    versions: dict[str, str]
    processors: int
    threads: int
    memory_free: int
    memory_total: int
    disk_free: int
    devices: tuple[Device, ...]
    precision: str
    speed: Speed | None
    findings: tuple[Finding, ...]


def examine(*, speed_test: bool = True, progress: Progress = silent) -> Diagnosis:
    """Look at everything superlens depends on.

    Parameters
    ----------
    speed_test : bool
        Whether to train for about ten seconds.
    progress : Progress
        Called after each part.

    Returns
    -------
    Diagnosis
    """
    import psutil

    from superlens.training import best_precision

    total = 3
    load = psutil.getloadavg()[0]  # before the test adds to it
    progress(0, total, "measuring devices")
    devices = _devices()
    progress(1, total, "training for ten seconds")
    speed, failure = speed_of() if speed_test else (None, None)
    progress(2, total, "looking around")
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(Path.cwd()).free
    findings = (
        find_devices(devices),
        _find_threads(),
        find_load(load, usable_processors()),
        find_memory(memory.available),
        find_disk(disk),
        *find_bundled(),
        *([failure] if failure else []),
    )
    progress(3, total, "done")
    return Diagnosis(
        versions=versions(),
        processors=usable_processors(),
        threads=_threads(),
        memory_free=int(memory.available),
        memory_total=int(memory.total),
        disk_free=disk,
        devices=devices,
        precision=best_precision(),
        speed=speed,
        findings=findings,
    )


def describe(diagnosis: Diagnosis) -> str:
    """Write a diagnosis as lines for a terminal.

    Returns
    -------
    str
        Without a line break at the end.
    """
    d = diagnosis
    lines = [", ".join(f"{name} {number}" for name, number in d.versions.items())]
    lines.append(f"processors {d.processors}, threads {d.threads}, training in {d.precision}")
    lines.append(
        f"memory {d.memory_free / 1e9:.1f} of {d.memory_total / 1e9:.1f} GB free, disk {d.disk_free / 1e9:.1f} GB free"
    )
    for device in d.devices:
        lines.append(f"{device.name} ({device.model})")
        for what, speeds in (("product", device.product_gflops), ("convolution", device.convolution_gflops)):
            lines.append(f"  {what:<12}" + ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in speeds.items()))
    if d.speed is not None:
        lines.append(
            f"fast: {1e3 * d.speed.seconds_a_step:.0f} ms a step, about {d.speed.fast_seconds:.0f} s "
            f"for an image of {_SIDE} x {_SIDE} pixels"
        )
    for finding in d.findings:
        lines.append(f"{finding.grade:<5}{finding.text}" + (f"\n     -> {finding.advice}" if finding.advice else ""))
    return "\n".join(lines)


# -- measuring ----------------------------------------------------------------------------------------------------------


def _threads() -> int:
    from superlens.training import running_engine

    return running_engine().threads() or usable_processors()


def _devices() -> tuple[Device, ...]:
    """The processor, and the card that is in use."""
    import keras

    from superlens.training import running_engine

    with keras.device("cpu:0"):
        found = [_measured("CPU:0", processor())]
    card = running_engine().card()
    return (*found, *([] if card is None else [_measured("GPU:0", card.model)]))


def _measured(name: str, model: str) -> Device:
    from keras import ops, random

    products, convolutions = {}, {}
    for kind in ("float32", "bfloat16"):
        square = ops.cast(random.normal((1024, 1024), seed=0), kind)
        image = ops.cast(random.normal((1, 128, 128, 32), seed=0), kind)
        kernel = ops.cast(random.normal((3, 3, 32, 32), seed=0), kind)
        products[kind] = 2 * 1024**3 / _seconds(lambda a=square: ops.matmul(a, a)) / 1e9  # type: ignore[misc]
        seconds = _seconds(lambda a=image, k=kernel: ops.conv(a, k, 1, "same"))  # type: ignore[misc]
        convolutions[kind] = 2 * 128 * 128 * 9 * 32 * 32 / seconds / 1e9
    return Device(name, model, products, convolutions)


def _seconds(call: Callable[[], Any]) -> float:
    """Seconds that a call takes once it is warm, until its sum is on the processor: the best of what fits into a third of a second."""
    from keras import ops

    def done() -> float:
        return float(ops.convert_to_numpy(ops.cast(ops.sum(call()), "float32")))

    done()
    best, end = float("inf"), time.perf_counter() + _TIMED_SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        done()
        best = min(best, time.perf_counter() - began)
    return best


class _Watch:
    """Note when each training step and each prediction was done, and stop the training after some seconds."""

    def __init__(self, seconds: float = _SPEED_SECONDS) -> None:
        self._seconds = seconds
        self.steps: list[tuple[int, float]] = []
        self.predictions: list[float] = []

    def __call__(self, done: int, total: int, message: str) -> None:
        now = time.perf_counter()
        if message == "predicting":
            self.predictions.append(now)
            return
        self.steps.append((done, now))
        if now - self.steps[0][1] > self._seconds:
            raise Cancelled

    def seconds_a_step(self) -> float:
        """Of what came after the first report, which includes the compilation."""
        (first, began), (last, ended) = self.steps[0], self.steps[-1]
        return (ended - began) / max(1, last - first)

    def forecast(self, whole: float, steps: int) -> float:
        """Seconds of a run of so many steps on the larger image, from a run of `whole` seconds on the bundled one."""
        predicting = self.predictions[-1] - self.predictions[0]
        once = whole - predicting - (self.steps[-1][1] - self.steps[0][1])
        return once + steps * self.seconds_a_step() + predicting * (_SIDE / _SAMPLE_SIDE) ** 2


def speed_of(seconds: float = _SPEED_SECONDS) -> tuple[Speed | None, Finding | None]:
    from superlens.enhancing import enhance, image_method
    from superlens.optics import Objective
    from superlens.samples import sample

    config, watch = image_method(None).settings.of(), _Watch(seconds)
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SuperlensWarning)  # what is wrong with the sample is known
            enhance(sample(), Objective(na=1.1, wavelength_nm=525), config=config, progress=watch)
    except SuperlensError as error:
        return None, Finding("bad", f"the speed test failed: {error}", "Reinstall superlens in a new environment.")
    whole = time.perf_counter() - began
    return Speed(watch.seconds_a_step(), watch.forecast(whole, config.steps)), None


# -- judging ------------------------------------------------------------------------------------------------------------


def find_devices(devices: tuple[Device, ...]) -> Finding:
    engine = _engine_words()
    if any(device.name.startswith("GPU") for device in devices):
        return Finding("ok", f"{engine} uses the graphics card.")
    maker = found_card()
    if maker is None:
        return Finding("ok", "no graphics card of NVIDIA, AMD or Apple; superlens runs on the processor.")
    return Finding(
        "warn",
        f"there is a graphics card of {maker} that {engine} does not use.",
        _REACHES[maker][platform.system() == "Windows"],
    )


_TORCH = "and give `backend` torch, or set SUPERLENS_BACKEND to it"
_REACHES = {
    "NVIDIA": (
        "Install the CUDA libraries with pip install 'superlens[gpu]', and check the driver with nvidia-smi.",
        f"Install PyTorch for CUDA from pytorch.org and 'superlens[gpu-torch]', {_TORCH}; or install superlens[gpu] inside WSL2. See docs/gpu.md.",
    ),
    "Apple": (f"pip install 'superlens[gpu-torch]', {_TORCH}.",) * 2,
    "AMD": (f"Install PyTorch for ROCm from pytorch.org, {_TORCH}; see docs/gpu.md.",) * 2,
}
"""What reaches a card of each maker; and the same on Windows."""


def _engine_words() -> str:
    from superlens.training import running_engine

    return running_engine().words


def found_card() -> str | None:
    """Who made the graphics card of this machine, as far as the system shows it without its libraries."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple"
    if shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists():
        return "NVIDIA"
    return "AMD" if shutil.which("rocm-smi") is not None or Path("/dev/kfd").exists() else None


def _find_threads() -> Finding:
    used, there = _threads(), usable_processors()
    if used < there:
        return Finding(
            "warn",
            f"{_engine_words()} uses {used} of {there} processors.",
            "Leave out `threads` and unset OMP_NUM_THREADS.",
        )
    return Finding("ok", f"{_engine_words()} uses all {there} processors it may use.")


def find_load(load: float, processors: int) -> Finding:
    if load > 0.5 * processors:
        return Finding(
            "warn",
            f"other programs keep the machine busy (load {load:.1f} on {processors} processors); all times are too long.",
            "Run superlens doctor again when they have ended.",
        )
    return Finding("ok", "the machine is free.")


def find_memory(free: int) -> Finding:
    if free < _LEAST_MEMORY:
        return Finding("warn", f"only {free / 1e9:.1f} GB of memory are free.", "Close other programs before a run.")
    return Finding("ok", "there is enough memory.")


def find_disk(free: int) -> Finding:
    if free < _LEAST_DISK:
        return Finding("warn", f"only {free / 1e9:.1f} GB are free on this disk.", "Write results to another disk.")
    return Finding("ok", "there is enough room on this disk.")


def find_bundled() -> list[Finding]:
    from superlens.model import shipped
    from superlens.samples import sample_path

    findings = []
    if not shipped():
        findings.append(Finding("bad", "the pretrained models are missing.", "Reinstall superlens."))
    if not sample_path().is_file():
        findings.append(Finding("bad", "the bundled image is missing.", "Reinstall superlens."))
    return findings or [Finding("ok", "the pretrained models and the bundled image are there.")]
