"""Cells of the single-molecule suite: simulated movies whose truth is known, the shipped models on them, and Picasso's fits beside.

Everything is measured on frames alone: neither width, brightness, background nor density is told to the program; of the camera neither
gain nor offset.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

import superlens as sl
from superlens.camera import Camera
from superlens.methods.deepstorm.apply import Localized
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import shipped_states
from superlens.model import Model, shipped
from superlens.simulate import (
    Background,
    Filaments,
    GaussianSpots,
    Independent,
    PhotonLaw,
    SmlmScene,
    Uniform,
    simulate_smlm,
)
from superlens.simulate.movie import Movie
from superlens.smlm import Localizations, cramer_rao_nm, histogram, map_error, match, scores

from .store import ROOT, Cell, Outcome

__all__ = ["PICASSO", "cells"]

PIXEL_NM, UPSAMPLING = 100.0, 8
FINE_NM = PIXEL_NM / UPSAMPLING
CAMERA = Camera(gain=2.07, offset=90.0, read_noise_e=2.2)
DENSITIES = {0.5: 120, 2.0: 40, 4.0: 24, 6.0: 20}
"""Molecules per square micrometre, and frames of each movie."""

PICASSO = os.environ.get("PICASSO_PYTHON", "")
"""An interpreter that has `picassosr`; without it Picasso's columns stay empty."""

_SITES = {"uniform": Uniform(), "filaments": Filaments(density_per_um=1.5)}
_GRADIENTS = (12, 25, 50, 100, 200, 400, 800, 1600, 3200)
_DEFAULT_GRADIENT = 5000
"""Picasso's own when nothing is chosen."""

_PEAK = (
    "import re, sys\n"
    "from pathlib import Path\n"
    "def peak(): return 1024 * int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
)
"""Peak resident memory of a process, bytes; what `resource` tells counts that of the process which started it."""

DIM = (150, 300, 500)
"""Photons of the molecules of the dim movies."""

_UNLIKE = {"sigma_nm": 180.0, "photons": 500.0, "background": 50.0, "density": 1.0}
"""A movie that no shipped model was trained for: wider images, dimmer than they know, on much light."""

_TRAININGS = {
    "shipped": {"preset": None, "minutes": None},
    "fast": {"preset": "fast", "minutes": None},
    "standard-10-minutes": {"preset": "standard", "minutes": 10.0},
    "standard": {"preset": "standard", "minutes": None},
}


def cells() -> list[Cell]:
    """Everything that is measured, with the digest of the shipped models among the parameters."""
    models = _digest()
    made = [
        Cell(f"map/{seed}", summed_map, {"seed": seed, "frames": 361, "density": 5.5, "models": models})
        for seed in (1, 2, 3)
    ]
    made += [
        Cell(
            f"list/{kind}-{density:g}",
            listed,
            {
                "kind": kind,
                "density": density,
                "frames": frames,
                "seed": 11,
                "models": models,
                "picasso": bool(PICASSO),
            },
        )
        for kind in _SITES
        for density, frames in DENSITIES.items()
    ]
    made += [
        Cell(
            f"dim/{photons}",
            dim,
            {
                "photons": photons,
                "background": 5.0,
                "density": 1.0,
                "frames": 60,
                "seed": 12,
                "models": models,
                "picasso": bool(PICASSO),
            },
        )
        for photons in DIM
    ]
    made.append(Cell("sample/deep-storm", sample, {"models": models}))
    made.append(Cell("speed", speed, {"frames": 361, "exact_frames": 8, "seed": 1, "models": models}))
    made.append(Cell("memory", memory, {"few": 1_000, "many": 100_000, "models": models}))
    made.append(Cell("table-memory", table_memory, {"rows": 1_000_000}))
    made += [
        Cell(f"training/{name}", training, {**how, **_UNLIKE, "frames": 60, "seed": 13, "models": models})
        for name, how in _TRAININGS.items()
    ]
    return made


def summed_map(seed: int, frames: int, density: float, models: str) -> Outcome:
    """The summed map of a movie of filaments against the histogram of all true positions."""
    movie = _movie("filaments", density, frames, seed)
    found = sl.localize(movie.frames)
    truth = histogram(movie.truth.positions_nm, found.density.data.shape, FINE_NM)
    listed_map = histogram(found.localizations.positions_nm, truth.shape, FINE_NM)
    mean = movie.frames.data.mean(axis=0, dtype=np.float64)
    wide = np.kron(mean - np.quantile(mean, 0.02), np.ones((UPSAMPLING, UPSAMPLING)))
    numbers: dict[str, float | str | None] = {"molecules": len(movie.truth), "found": len(found.localizations)}
    for name, image in (("map", found.density.data), ("list", listed_map), ("widefield", wide)):
        numbers[f"{name}_nmse"], numbers[f"{name}_correlation"] = map_error(image, truth)
    part = np.s_[128:384, 128:384]
    return Outcome(
        numbers,
        {
            "mean": wide[part],
            "density": _blurred(found.density.data)[part],
            "rendered": found.rendered(FINE_NM).data[part],
            "truth": _blurred(truth)[part],
        },
    )


def listed(kind: str, density: float, frames: int, seed: int, models: str, picasso: bool) -> Outcome:
    """The table of a movie against the truth, ours and Picasso's."""
    movie = _movie(kind, density, frames, seed)
    found = sl.localize(movie.frames)
    numbers = _told(found, movie)
    if picasso:
        numbers |= _picasso(movie)
    return Outcome(numbers)


def dim(
    photons: float, background: float, density: float, frames: int, seed: int, models: str, picasso: bool
) -> Outcome:
    """The table of a movie of dim molecules: ours with the model that is chosen, and Picasso's."""
    movie = _movie("uniform", density, frames, seed, photons, background)
    found = sl.localize(movie.frames)
    numbers = _told(found, movie)
    numbers["why"] = found.why
    if picasso:
        numbers |= _picasso(movie)
    return Outcome(numbers)


def sample(models: str) -> Outcome:
    """The 20 frames with their truth that came with the original program, where they are there."""
    folder = (
        Path(os.environ.get("SUPERLENS_DATA", ROOT.parent / "shared" / "data"))
        / "deep-storm"
        / "deepstorm-demo1-simulated"
    )
    if not folder.is_dir():
        return Outcome({"missing": "the sample is not there"})
    movie = sl.read(folder / "ArtificialDataset_demo1.tif", axes="TYX", pixel_nm=PIXEL_NM)
    rows = np.genfromtxt(folder / "positions_demo1.csv", delimiter=",", names=True)
    names = rows.dtype.names or ()
    truth = Localizations(
        {"frame": rows[names[1]].astype(int), "x_nm": rows[names[2]], "y_nm": rows[names[3]]},
        PIXEL_NM,
        (64, 64),
        len(movie.data),
    )
    found = sl.localize(movie)
    numbers = _scored(found.localizations, truth, "")
    everything = histogram(truth.positions_nm, found.density.data.shape, FINE_NM)
    numbers["map_nmse"], numbers["map_correlation"] = map_error(found.density.data, everything)
    return Outcome(numbers)


def speed(frames: int, exact_frames: int, seed: int, models: str) -> Outcome:
    """Frames a second of maps and peaks with the shipped model, of everything, and of the exact network's maps and peaks."""
    from superlens.methods.deepstorm.detect import Detector
    from superlens.methods.deepstorm.frames import Units
    from superlens.networks import build

    movie = _movie("filaments", 5.5, frames, seed)
    told = sl.smlm.estimate_movie(movie.frames.data, PIXEL_NM)
    electrons = np.asarray(told.camera.to_electrons(movie.frames.data.astype(np.float32)), np.float32)
    ours = Detector.of(Model.load(_dense()))
    config = DeepStormConfig.of("paper")
    exact = Detector(
        build("deepstorm", {"upsampling": UPSAMPLING}), config, Units.of(config, (0.2, 0.18)), threshold=0.1
    )
    rates = {}
    for name, detector, count in (("ours", ours, frames), ("exact", exact, exact_frames)):
        detector.maps(electrons[:exact_frames], told.photons, told.background)  # the first call compiles
        began = time.perf_counter()
        for start in range(0, count, 64):
            detector.read(detector.maps(electrons[start : start + 64][: count - start], told.photons, told.background))
        rates[name] = count / (time.perf_counter() - began)
    began = time.perf_counter()
    sl.localize(movie.frames)
    whole = frames / (time.perf_counter() - began)
    return Outcome(
        {
            "ours_per_s": rates["ours"],
            "exact_per_s": rates["exact"],
            "ratio": rates["ours"] / rates["exact"],
            "whole_per_s": whole,
            "whole_ratio": whole / rates["exact"],
        }
    )


def memory(few: int, many: int, models: str) -> Outcome:
    """Peak resident memory of a fresh process that localizes a short and a long movie of 16 x 16 pixels, all in."""
    (low, first), (high, last) = _peak_of(few), _peak_of(many)
    return Outcome(
        {"few_mb": low, "many_mb": high, "ratio": high / low, "few_rows": float(first), "many_rows": float(last)}
    )


def table_memory(rows: int) -> Outcome:
    """What a row of the table takes in a fresh process, from the blocks that it is made of to its corrected and its linked copy."""
    code = (
        _PEAK + "import numpy as np\n"
        "from superlens.smlm import Localizations, correct_drift, estimate_drift, link\n"
        "rows, rng = int(sys.argv[1]), np.random.default_rng(0)\n"
        "names = ('x_nm', 'y_nm', 'photons', 'sigma_nm', 'background', 'background_std', 'uncertainty_nm', 'probability')\n"
        "before, blocks = peak(), []\n"
        "for i in range(100):\n"
        "    frame = np.sort(rng.integers(1 + 1000 * i, 1001 + 1000 * i, rows // 100))\n"
        "    blocks.append({'frame': frame, **{name: rng.uniform(8, 6400, len(frame)) for name in names}})\n"
        "    blocks[-1]['uncertainty_nm'][:] = 8.0\n"
        "table = Localizations({n: np.concatenate([b.pop(n) for b in blocks]) for n in ('frame', *names)}, 100.0, (64, 64), 100_000)\n"
        "corrected = correct_drift(table, estimate_drift(table))\n"
        "linked = link(corrected, distance_nm=24.0, dark_frames=1)\n"
        "print((peak() - before) / rows)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(rows)], check=True, capture_output=True, text=True)
    return Outcome({"bytes_a_row": float(answer.stdout)})


def training(
    preset: str | None,
    minutes: float | None,
    sigma_nm: float,
    photons: float,
    background: float,
    density: float,
    frames: int,
    seed: int,
    models: str,
) -> Outcome:
    """What a training for one movie costs and buys; without a preset, what the shipped model makes of the movie."""
    movie = _movie("uniform", density, frames, seed, photons, background, sigma_nm)
    began = time.perf_counter()
    model = None
    if preset is not None:
        model = sl.train_deepstorm(movie.frames, config=DeepStormConfig.of(preset, minutes=minutes))
    seconds = time.perf_counter() - began
    found = sl.localize(movie.frames, model)
    numbers = _told(found, movie)
    if model is not None:
        numbers |= {"seconds": seconds, "steps": float(model.config.provenance["steps"])}
    return Outcome(numbers)


def _blurred(image: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(np.asarray(image, np.float64), 1.0))


def _movie(
    kind: str,
    density: float,
    frames: int,
    seed: int,
    photons: float = 2250.0,
    background: float = 20.0,
    sigma_nm: float = 110.0,
) -> Movie:
    scene = SmlmScene(
        yx_shape=(64, 64),
        pixel_nm=PIXEL_NM,
        margin_nm=500.0,
        sites=_SITES[kind],
        blinking=Independent(density),
        photons=PhotonLaw("normal", photons, photons / 9),
        spots=GaussianSpots(sigma_nm, sigma_nm / 22),
        background=Background(background, background),
        sensor=CAMERA,
    )
    return simulate_smlm(frames, scene, rng=np.random.default_rng(seed))


def _told(found: Localized, movie: Movie) -> dict[str, float | str | None]:
    """Scores of a result, what it took the movie for, and how right its stated errors are."""
    numbers = _scored(found.localizations, movie.truth, "")
    numbers["estimated_sigma_nm"] = found.estimate.sigma_nm
    numbers["estimated_photons"] = found.estimate.photons
    numbers["estimated_density_um2"] = found.estimate.density_um2
    pairs = match(found.localizations, movie.truth)
    off = found.localizations.positions_nm[pairs.found_index] - movie.truth.positions_nm[pairs.truth_index]
    stated = found.localizations["uncertainty_nm"][pairs.found_index][:, None]
    numbers["within_stated"] = float(np.mean(np.abs(off) <= stated))
    return numbers


def _scored(found: Localizations, truth: Localizations, prefix: str) -> dict[str, float | str | None]:
    pairs = match(found, truth)
    told = scores(pairs)
    numbers: dict[str, float | str | None] = {
        prefix + name: told[name] for name in ("jaccard", "recall", "precision", "rmse_lateral_nm", "efficiency")
    }
    if "photons" not in truth:
        return numbers
    alone = _isolated(truth)[pairs.truth_index]
    off = found.positions_nm[pairs.found_index] - truth.positions_nm[pairs.truth_index]
    if alone.sum() >= 20:
        best = cramer_rao_nm(
            truth["photons"][pairs.truth_index][alone],
            truth["background"][pairs.truth_index][alone],
            truth["sigma_nm"][pairs.truth_index][alone],
            PIXEL_NM,
            read_noise_e=CAMERA.read_noise_e,
        )
        rmse = float(np.sqrt(np.mean(off[alone] ** 2)))
        numbers[prefix + "isolated"] = float(alone.sum())
        numbers[prefix + "isolated_rmse_nm"] = rmse
        numbers[prefix + "isolated_to_bound"] = rmse / float(np.sqrt(np.mean(best**2)))
    return numbers


def _isolated(truth: Localizations, reach_nm: float = 500.0) -> NDArray[np.bool_]:
    """Which molecules have no other within reach in their frame, and lie as far from the edge of the field."""
    from scipy.spatial import cKDTree

    places = truth.positions_nm
    tree = cKDTree(np.column_stack([places, truth["frame"] * 1e6]))
    lonely = np.array([len(near) == 1 for near in tree.query_ball_point(tree.data, reach_nm)])
    side = np.array([64, 64]) * PIXEL_NM
    return np.asarray(lonely & (places > reach_nm).all(axis=1) & (places < side - reach_nm).all(axis=1))


def _picasso(movie: Movie) -> dict[str, float | str | None]:
    """Picasso's fits of the same frames, with the threshold that suits them best, and with its own: it is told the truth about the camera."""
    with tempfile.TemporaryDirectory() as folder:
        given, fitted = Path(folder) / "movie.tif", Path(folder) / "locs.npy"
        tifffile.imwrite(given, movie.frames.data, photometric="minisblack")
        about = {"Baseline": CAMERA.offset, "Sensitivity": 1.0 / CAMERA.gain, "Gain": 1, "Pixelsize": PIXEL_NM}
        script = Path(__file__).with_name("picasso_fit.py")
        subprocess.run(
            [PICASSO, str(script), str(given), str(fitted), json.dumps(about), str(min(_GRADIENTS))],
            check=True,
            capture_output=True,
        )
        rows = np.load(fitted)
    best: dict[str, float | str | None] = {}
    for gradient in _GRADIENTS:
        told = _scored(_above(rows, gradient), movie.truth, "picasso_")
        if not best or float(told["picasso_jaccard"] or 0) > float(best["picasso_jaccard"] or 0):
            best = {**told, "picasso_gradient": float(gradient)}
    usual = _scored(_above(rows, _DEFAULT_GRADIENT), movie.truth, "picasso_")
    return {**best, "picasso_default_jaccard": usual["picasso_jaccard"]}


def _above(rows: NDArray[np.float64], gradient: float) -> Localizations:
    """Picasso's table at a threshold. Its boxes put the middle of a pixel at a whole number."""
    kept = rows[rows[:, 3] > gradient]
    places = (kept[:, 1:3] + 0.5) * PIXEL_NM
    return Localizations({"frame": kept[:, 0] + 1, "x_nm": places[:, 0], "y_nm": places[:, 1]})


def _peak_of(frames: int) -> tuple[float, int]:
    """Peak resident memory, MB, of localizing a movie of so many frames from a file, and the rows of the table."""
    code = (
        _PEAK + "import superlens as sl\n"
        "movie = sl.open_image(sys.argv[1], axes='TYX', pixel_nm=100.0)\n"
        "found = sl.localize(movie)\n"
        "print(peak() / 2**20, len(found.localizations))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.tif"
        scene = SmlmScene(yx_shape=(16, 16), blinking=Independent(0.3), sensor=CAMERA)
        once = simulate_smlm(500, scene, rng=np.random.default_rng(1)).frames.data
        with tifffile.TiffWriter(path, bigtiff=True) as writer:
            writer.write(
                (once[i % 500] for i in range(frames)),
                shape=(frames, 16, 16),
                dtype=np.uint16,
                photometric="minisblack",
            )
        answer = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    peak, rows = answer.stdout.split()
    return float(peak), int(rows)


def _dense() -> Path:
    return shipped()["deepstorm-dense"]


def _digest() -> str:
    whole = hashlib.sha256()
    for name in sorted(shipped_states()):
        whole.update(shipped()[name].read_bytes())
    return whole.hexdigest()[:12]
