"""Measure structured illumination: run the cells that are not finished, write docs/benchmarks-sim.md.

    python tests/quality/sim.py                  # everything; goes on where it was stopped
    python tests/quality/sim.py --only speed     # names that begin with a word
    python tests/quality/sim.py --write-docs     # put what is finished into the page
    SIM_PEER_PYTHON=/path/to/python python tests/quality/sim.py   # an interpreter with napari-sim-processor, for the comparison

Finished cells lie in ``out/quality-sim``, one JSON file each.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click
import numpy as np
import sim_learning
from scipy import fft

from superlens.errors import SuperlensError
from superlens.optics import Objective
from superlens.optics.detection import Detection
from superlens.reconstruct.sim import Reconstruction, Regularisation, Spectrum, estimate_pattern, reconstruct_sim
from superlens.reconstruct.sim.bands import Bands
from superlens.reconstruct.sim.search import search
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, Disturbance, RawFrames, ideal_pattern, simulate_sim

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "quality-sim"
NUMBERS, PAGE = ROOT / "docs" / "benchmarks-sim.json", ROOT / "docs" / "benchmarks-sim.md"
OBJECTIVE, PIXEL_NM = Objective(na=1.4, wavelength_nm=525), 65.0
DETECTION = Detection.of(OBJECTIVE, PIXEL_NM)
SIDE = 256
ACCURACY = ((0.8, 100), (0.5, 20), (0.4, 5), (0.3, 20), (0.2, 20))
WEAK = ((0.1, 5), (0.05, 20), (0.05, 10))

_PEER = """
import sys, json, time, contextlib, io, types, importlib.util
import numpy as np
package = types.ModuleType("napari_sim_processor")  # without its widgets
package.__path__ = list(importlib.util.find_spec("napari_sim_processor").submodule_search_locations)
sys.modules["napari_sim_processor"] = package
frames = np.load(sys.argv[1]); pixel_um, na, wave_um, cutoff = map(float, sys.argv[2:6])
with contextlib.redirect_stdout(io.StringIO()):
    from napari_sim_processor.processors.convSimProcessor import ConvSimProcessor
    p = ConvSimProcessor(3, 3)
    p.debug = False
    p.pixelsize, p.magnification, p.NA, p.n, p.wavelength, p.eta = pixel_um, 1.0, na, 1.518, wave_um, 0.65
    start = time.perf_counter(); p.calibrate(frames); calibrate = time.perf_counter() - start
    p.reconstruct_rfftw(frames)
    times = []
    for _ in range(5):
        start = time.perf_counter(); p.reconstruct_rfftw(frames); times.append(time.perf_counter() - start)
k = (np.stack([p.ky.ravel(), p.kx.ravel()], 1) * cutoff / 2).tolist()
print(json.dumps({"k": k, "m": (p.ampl.ravel()).tolist(), "calibrate": calibrate, "reconstruct": min(times)}))
"""


def raw(seed: int, modulation: float, photons: float, light: str = "two-beam", **disturbance: float) -> RawFrames:
    """Raw frames of filaments, |k| 0.9 of the cutoff."""
    rng = np.random.default_rng(seed)
    pattern = ideal_pattern(ARRANGEMENTS[light], 0.9 * DETECTION.cutoff, modulation, rng)
    specimen = filaments((2 * (SIDE + 32), 2 * (SIDE + 32)), rng)
    return simulate_sim(
        specimen, pattern, DETECTION, photons=photons, pixel_nm=PIXEL_NM, rng=rng, margin=16, disturbance=Disturbance(**disturbance)
    )  # fmt: skip


def peer(frames: np.ndarray[Any, Any]) -> dict[str, Any] | None:
    """What napari-sim-processor makes of the same frames."""
    python = os.environ.get("SIM_PEER_PYTHON")
    if not python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.npy"
        np.save(file, frames)
        facts = [PIXEL_NM / 1e3, OBJECTIVE.na, OBJECTIVE.wavelength_nm / 1e3, DETECTION.cutoff]
        done = subprocess.run(
            [python, "-c", _PEER, str(file), *map(str, facts)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def off(found: Any, true: RawFrames) -> float:
    """Largest error of the wave vectors, frequency bins; a carrier is the same with the other sign."""
    each = []
    for k, order in zip(np.asarray(found), true.pattern.orders, strict=True):
        each.append(min(np.abs(sign * np.asarray(k) - order.frequency).max() for sign in (1, -1)))
    return float(max(each) * SIDE)


def accuracy(seed: int, modulation: float, photons: float) -> dict[str, Any]:
    """Errors of wave vector, phase and modulation."""
    made = raw(seed, modulation, photons)
    table = made.pattern.arrangement
    found = estimate_pattern(made.frames.data, table, DETECTION)
    middle = (SIDE - 1) / 2
    phases = []
    for one, true in zip(found.pattern.orders, made.pattern.orders, strict=True):
        shift = np.subtract(one.frequency, true.frequency).sum() * middle
        turn = one.phase - true.phase + 2 * np.pi * shift
        phases.append(abs(np.degrees((turn + np.pi) % (2 * np.pi) - np.pi)))
    other = peer(made.frames.data)
    return {
        "k_px": off(found.pattern.frequencies, made),
        "phase_deg": float(max(phases)),
        "modulation": [float(o.modulation / modulation - 1) for o in found.pattern.orders],
        "sigmas": [float((o.modulation - modulation) / o.modulation_error) for o in found.pattern.orders],
        "damping": found.detection.damping,
        "peer_k_px": None if other is None else off(other["k"], made),
    }


def detection(seed: int, modulation: float, photons: float) -> dict[str, Any]:
    """Whether weak carriers are found, within 0.3 px."""
    made = raw(seed, modulation, photons)
    found = search(Bands.of(made.frames.data, DETECTION), made.pattern.arrangement)
    return {"found": found.accepted and off(found.frequencies, made) < 0.3, "z": found.significance.tolist()}


def nothing(seed: int) -> dict[str, Any]:
    """Whether frames without a pattern are taken for some with one."""
    made = raw(1000 + seed, 0.0, 20, drift_px=0.3, bleaching=0.02)
    found = search(Bands.of(made.frames.data, DETECTION), made.pattern.arrangement)
    return {"accepted": found.accepted, "z": float(found.significance.max()), "joint": found.joint}


def wrong_na(seed: int) -> dict[str, Any]:
    """Change of the image when the NA is 3 % wrong, with and without the fit of cutoff and damping."""
    made = raw(seed, 0.8, 100)
    right = _image(made, 1.0, None)
    return {name: _change(_image(made, 1.03, damping), right) for name, damping in (("fit", None), ("no_fit", 1.0))}


def _image(made: RawFrames, factor: float, damping: float | None) -> np.ndarray[Any, Any]:
    detection = Detection(DETECTION.cutoff * factor)
    found = estimate_pattern(made.frames.data, made.pattern.arrangement, detection, damping=damping)
    spectrum = Spectrum(found.pattern, found.detection, Regularisation(w=0.05))
    return Reconstruction(made.frames.data.shape[1:], spectrum).apply(made.frames.data)[64:-64, 64:-64]


def _change(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b - b.mean()))


def speed() -> dict[str, Any]:
    """Times of 512 x 512 x 9 over the bound of its Fourier transforms, one worker, the least of several."""
    rng = np.random.default_rng(0)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], 0.9 * DETECTION.cutoff, 0.8, rng)
    made = simulate_sim(filaments((1024, 1024), rng), pattern, DETECTION, photons=100, pixel_nm=PIXEL_NM, rng=rng)
    frames = made.frames.data
    operator = Reconstruction((512, 512), Spectrum(pattern, DETECTION))
    big = np.zeros((1024, 1024), np.float32)
    half = fft.rfft2(big)

    def bound() -> None:
        for frame in frames:
            fft.rfft2(frame)
        for _ in range(9):
            fft.irfft2(half)
        fft.rfft2(big)

    def first() -> None:
        estimate_pattern(frames, pattern.arrangement, DETECTION)
        operator.apply(frames)

    least = _least({"bound": bound, "reconstruct": lambda: operator.apply(frames)}, 7)
    least |= _least({"first": first}, 2)
    other = peer(frames)
    return {
        "bound_s": least["bound"],
        "reconstruct": least["reconstruct"] / least["bound"],
        "first": least["first"] / least["bound"],
        "peer_reconstruct": None if other is None else other["reconstruct"] / least["bound"],
        "peer_calibrate": None if other is None else other["calibrate"] / least["bound"],
    }


def _least(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: min(each) for name, each in times.items()}


def recorded(path: Path, pixel_nm: float, na: float, wavelength_nm: float) -> dict[str, Any]:
    """What is found in a recorded set with nothing but pixel, NA and wavelength."""
    from superlens.io import read

    image = read(path, axes="TYX", pixel_nm=pixel_nm)
    try:
        result = reconstruct_sim(image, Objective(na=na, wavelength_nm=wavelength_nm))
    except SuperlensError as error:
        return {"refused": str(error)}
    return {**result.described(), "messages": list(result.messages), "layout": result.layout.words}


RECORDED = {
    "rzcao-microtubules": ("sim/rzcao-microtubule/mt_tirf_9frames.tif", 86.67, 1.49, 660.0),
    "rzcao-low-na": ("sim/rzcao-lowna/lowna_12frames.tif", 64.0, 0.5, 660.0),
    "hexsim": ("sim/hexsim/hexsim_7frames.tif", 162.5, 0.75, 560.0),
    "lattice": ("sim/lattice-sim/lattice_C9_5frames.tif", 97.5, 1.42, 610.0),
    "srm-7-frames": ("sim/srm-sim/srm7_raw.tif", 15.2, 1.49, 525.0),
    "star": ("sim/spsim-star/star_simulated_9frames.tif", 15.0, 1.49, 670.0),
    "dl-sim-bright": ("dl-sim/HE_raw_sim_15frames.tif", 30.0, 1.49, 525.0),
    "dl-sim-dim": ("dl-sim/LE_raw_sim_15frames.tif", 30.0, 1.49, 525.0),
}


def cells() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """All cells by name."""
    yield "speed", speed
    for modulation, photons in ACCURACY:
        for seed in range(3):
            yield f"accuracy/{modulation}-{photons}/{seed}", lambda s=seed, m=modulation, p=photons: accuracy(s, m, p)
    for modulation, photons in WEAK:
        for seed in range(6):
            yield f"detection/{modulation}-{photons}/{seed}", lambda s=seed, m=modulation, p=photons: detection(s, m, p)
    for seed in range(2):
        yield f"wrong-na/{seed}", lambda s=seed: wrong_na(s)
    for name, photons, modulation in sim_learning.CASES:
        yield (
            f"specimen/{name}/{photons}/0",
            lambda n=name, p=photons, m=modulation: sim_learning.specimen(n, p, m, 0, OUT / "pictures"),
        )
    for name, photons, modulation in sim_learning.CASES:
        yield (
            f"halves/{name}/{photons}/0",
            lambda n=name, p=photons, m=modulation: sim_learning.halves(n, p, m, 0),
        )
    yield "time/256", sim_learning.whole_run
    for photons in (5, 50):
        yield f"flat/{photons}", lambda p=photons: sim_learning.flat(p, 6)
    data = os.environ.get("SIM_DATA")
    if data:
        yield "dim/dl-sim", lambda: sim_learning.dim(Path(data) / "dl-sim")
        yield "finished/dl-sim", lambda: sim_learning.finished(Path(data) / "dl-sim", OUT / "pictures")
    for name, (file, *facts) in RECORDED.items() if data else ():
        yield f"recorded/{name}", lambda f=file, a=facts: recorded(Path(str(data)) / f, *a)
    for seed in range(200):
        yield f"nothing/{seed}", lambda s=seed: nothing(s)


def page(found: dict[str, Any]) -> str:
    """The page from the finished cells."""
    lines = [
        "# Benchmarks: structured illumination",
        "",
        "Made by `tests/quality/sim.py`; do not edit. Filaments, 256 × 256 pixels of 65 nm, NA 1.4, 525 nm, three angles of three phases,",
        "wave vector 0.9 of the cutoff, unless said. Errors of wave vectors are in frequency bins (cycles per field), the largest of",
        "all carriers and seeds. The peer is napari-sim-processor 0.1.1 on the same frames.",
        "",
        "## Accuracy",
        "",
        "| modulation | photons | wave vector | peer | phase | modulation, mean error | truth within 2 σ |",
        "|---|---|---|---|---|---|---|",
    ]
    for modulation, photons in ACCURACY:
        group = [v for k, v in found.items() if k.startswith(f"accuracy/{modulation}-{photons}/")]
        if not group:
            continue
        sigmas = np.concatenate([g["sigmas"] for g in group])
        errors = np.concatenate([g["modulation"] for g in group])
        peers = [g["peer_k_px"] for g in group if g["peer_k_px"] is not None]
        lines.append(
            f"| {modulation} | {photons} | {max(g['k_px'] for g in group):.4f} | {f'{max(peers):.3f}' if peers else 'not run'} | "
            f"{max(g['phase_deg'] for g in group):.2f}° | {np.mean(np.abs(errors)):.1%} | {np.mean(np.abs(sigmas) < 2):.0%} of {len(sigmas)} |"
        )
    lines += ["", "## Weak patterns, and none", "", "| modulation | photons | found |", "|---|---|---|"]
    for modulation, photons in WEAK:
        group = [v for k, v in found.items() if k.startswith(f"detection/{modulation}-{photons}/")]
        if group:
            lines.append(f"| {modulation} | {photons} | {sum(g['found'] for g in group)} of {len(group)} |")
    empty = [v for k, v in found.items() if k.startswith("nothing/")]
    if empty:
        lines += [
            "",
            f"Without a pattern (drift 0.3 pixels, bleaching 2 %, 20 photons): {sum(e['accepted'] for e in empty)} of {len(empty)} accepted; the largest "
            f"z of a single angle was {max(e['z'] for e in empty):.1f}, of all together {max(e['joint'] for e in empty):.1f} (limit 8).",
        ]
    if "speed" in found:
        one = found["speed"]
        lines += [
            "",
            "## Speed",
            "",
            "512 × 512 × 9 frames, one worker, in units of the bound: 9 real transforms of 512², 9 inverse and 1 forward of 1024².",
            "",
            f"| reconstruct | find the pattern and reconstruct | peer: reconstruct | peer: calibrate |\n|---|---|---|---|\n| {one['reconstruct']:.2f} | "
            f"{one['first']:.1f} | {one['peer_reconstruct'] or float('nan'):.2f} | {one['peer_calibrate'] or float('nan'):.1f} |",
        ]
    wrong = [v for k, v in found.items() if k.startswith("wrong-na/")]
    if wrong:
        lines += [
            "",
            "## Wrong optics",
            "",
            f"With an NA that is 3 % too large the image changes by {max(w['fit'] for w in wrong):.1%} (without the fit of cutoff and damping by "
            f"{max(w['no_fit'] for w in wrong):.1%}).",
        ]
    sets = {k.partition("/")[2]: v for k, v in found.items() if k.startswith("recorded/")}
    if sets:
        lines += [
            "",
            "## Recorded sets",
            "",
            "With nothing but pixel size, NA and wavelength. The cutoff is over 2 NA / wavelength.",
            "",
            "| set | frames | order | cycles per pixel | direction | z | modulation | coherence | cutoff | damping |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
    for name, one in sets.items():
        if "refused" in one:
            lines.append(f"| {name} | refused: {one['refused']} | | | | | | | | |")
            continue
        for order in one["pattern"]["orders"]:
            length = float(np.hypot(*order["frequency_per_pixel"]))
            lines.append(
                f"| {name} | {one['layout']} | {order['harmonic']} | {length:.4f} | {order['angle_deg']:.1f}° | {order['significance']:.1f} | "
                f"{order['modulation']:.3f} ± {order['modulation_error']:.3f} | {order['coherence']:.2f} | "
                f"{one['detection']['cutoff_over_stated']:.3f} | {one['detection']['damping']:.2f} |"
            )
    return "\n".join([*lines, *sim_learning.page(found)]) + "\n"


@click.command(help=(__doc__ or "").splitlines()[0])
@click.option("--only", default="", help="Names that begin with this.")
@click.option("--write-docs", is_flag=True, help="Put what is finished into the page.")
def main(only: str, write_docs: bool) -> None:
    """Run what is not finished, or write the page."""
    OUT.mkdir(parents=True, exist_ok=True)
    if write_docs:
        found = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
        found |= {f.stem.replace("--", "/"): json.loads(f.read_text()) for f in sorted(OUT.glob("*.json"))}
        NUMBERS.write_text(json.dumps(found, indent=1) + "\n")
        PAGE.write_text(page(found))
        return
    for name, work in cells():
        file = OUT / f"{name.replace('/', '--')}.json"
        if name.startswith(only) and not file.exists():
            start = time.perf_counter()
            told = json.dumps(work())
            file.write_text(told)
            click.echo(f"{name} {time.perf_counter() - start:.1f} s {told[:150]}")


if __name__ == "__main__":
    main()
