"""Cells of ZS-DeconvNet-SIM for `tests/quality/sim.py`: simulated specimens, flat fields, a recorded dim set; and their part of the page.

Two truths are scored: the specimen through the transfer function of a reconstruction with little regularisation (w 0.05), and through
the response that the sharp image states. Wiener with the oracle's weight has the weight of largest PSNR against each truth.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import fft

import superlens as sl
from superlens.methods.zsdeconv_sim.learn import learn
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.predictor import SimPredictor, predicted
from superlens.methods.zsdeconv_sim.prepared import Prepared, SimObservation
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.methods.zsdeconv_sim.state import SimState
from superlens.metrics import frc_resolution, linear_fit
from superlens.observing.conditioning import Normaliser
from superlens.optics.detection import Detection
from superlens.optics.patterns import Pattern
from superlens.progress import silent
from superlens.reconstruct.sim import Reconstruction, Regularisation, SimOptions, Spectrum
from superlens.reconstruct.sim.spectrum import grid_of
from superlens.simulate import STRUCTURES
from superlens.simulate.structured import ARRANGEMENTS, RawFrames, ideal_pattern, simulate_sim

__all__ = ["CASES", "dim", "finished", "flat", "halves", "page", "specimen", "whole_run"]

OBJECTIVE, PIXEL_NM = sl.Objective(na=1.4, wavelength_nm=525), 65.0
DETECTION = Detection.of(OBJECTIVE, PIXEL_NM)
SIDE, MARGIN, BORDER = 128, 16, 16
DL_SIM_NM = 30.0  # of the reconstructions
SPECIMENS = ("filaments", "vesicles", "er_network", "mitochondria", "nuclei", "beads")
PHOTONS = (5, 15, 50)
MODULATIONS = (0.8, 0.5, 0.3)
CASES = [
    (name, photons, MODULATIONS[(i + j) % 3]) for j, photons in enumerate(PHOTONS) for i, name in enumerate(SPECIMENS)
]

Array = np.ndarray[Any, Any]


def _simulated(
    name: str, photons: float, modulation: float, seed: int, side: int = SIDE
) -> tuple[RawFrames, Array, np.random.Generator]:
    """Raw frames, the specimen that they show, and the generator that drew them."""
    rng = np.random.default_rng(seed)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], 0.9 * DETECTION.cutoff, modulation, rng)
    drawn = STRUCTURES[name]((2 * (side + 2 * MARGIN),) * 2, rng)
    made = simulate_sim(drawn, pattern, DETECTION, photons=photons, pixel_nm=PIXEL_NM, rng=rng, margin=MARGIN)
    return made, drawn, rng


def _enhanced(frames: sl.Image, drawn: Array, pattern: Pattern, offset: float) -> tuple[Any, bool]:
    """`fast`, and whether the frames showed their pattern; if not, that of a brighter recording of the same light is given, as a user would."""
    try:
        return sl.enhance(frames, OBJECTIVE, sim=True, config=ZSDeconvSimConfig.of("fast", offset=offset)), True
    except sl.SuperlensError:
        rng = np.random.default_rng(1)
        bright = simulate_sim(
            drawn, pattern, DETECTION, photons=500, pixel_nm=PIXEL_NM, rng=rng, margin=MARGIN
        )  # fmt: skip
        table = pattern.arrangement
        found = sl.reconstruct_sim(bright.frames, OBJECTIVE, options=SimOptions(angles=3, phases=table.frames // 3))
        with tempfile.TemporaryDirectory() as place:
            known = Path(place) / "pattern.json"
            known.write_text(json.dumps({"pattern": found.pattern.described()}), encoding="utf-8")
            config = ZSDeconvSimConfig.of("fast", offset=offset, like=str(known))
            return sl.enhance(frames, OBJECTIVE, sim=True, config=config), False


def specimen(name: str, photons: float, modulation: float, seed: int, pictures: Path) -> dict[str, Any]:
    """`fast` on one specimen against Wiener filters."""
    made, drawn, _ = _simulated(name, photons, modulation, seed)
    pattern = made.pattern
    frames, whole = made.frames.data, drawn * (photons / drawn.mean())
    began, work = time.perf_counter(), time.process_time()
    result, alone = _enhanced(made.frames, drawn, pattern, 100.0)
    spent = {"seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - work}
    optics = SimState.of(result.channels[0].model).optics
    sharp, spread = result["sharp"].data, result["uncertainty"].data
    little = Spectrum(pattern, DETECTION, Regularisation("wiener", 0.05))
    truths = {"reconstruction": _through(whole, little.transfer), "response": _through(whole, optics.response_on)}
    mine = {"reconstruction": _changed(sharp, little.transfer, optics.response_on), "response": sharp}
    told: dict[str, Any] = {"modulation": modulation, "pattern_found": alone, **spent}
    for truth, image in truths.items():
        oracle, weight, best = _oracle(frames, Spectrum(pattern, DETECTION), image)
        measured, *_ = _oracle(frames, result.channels[0].observation.result.spectrum, image)
        others = {
            "w_005": _wiener(frames, pattern, Regularisation("wiener", 0.05)),
            "flat_noise": _wiener(frames, pattern, Regularisation("flat-noise")),
            "ours_conventional": result["reconstruction"].data,
        }
        told[truth] = {
            "psnr": _psnr(mine[truth], image),
            "oracle": oracle,
            "oracle_weight": weight,
            "oracle_measured": measured,
            **{key: _psnr(other, image) for key, other in others.items()},
            "frc_nm": frc_resolution(mine[truth], image, PIXEL_NM / 2),
            "oracle_frc_nm": frc_resolution(best, image, PIXEL_NM / 2),
        }
        if truth == "response":
            _picture(pictures / f"{name}-{photons}.png", best, sharp, image)
    inner = (slice(BORDER, -BORDER),) * 2
    told["beyond_two_sigma"] = float(np.mean((np.abs(sharp - truths["response"]) > 2 * spread)[inner]))
    told["flux"] = float(sharp.mean() / made.clean.mean())
    told["blend"] = result.metrics["blend"]
    told["verdict"] = result.verdict.grade
    return told


def halves(name: str, photons: float, modulation: float, seed: int) -> dict[str, Any]:
    """FRC of two results, each found, learned and made from its own half of the photons; beside it that of Wiener filters of the best weight."""
    made, drawn, rng = _simulated(name, photons, modulation, seed)
    counted = np.round(made.frames.data - 100).astype(int)
    first = rng.binomial(counted, 0.5)
    images, plain, weight = [], [], 0.0
    for part in (first, counted - first):
        frames = made.frames.with_data(part.astype(np.float32))
        images.append(_enhanced(frames, drawn, made.pattern, 0.0)[0])
        if not plain:
            response = SimState.of(images[0].channels[0].model).optics.response_on
            truth = _through(drawn * (photons / 2 / drawn.mean()), response)
            _, weight, _ = _oracle(frames.data, Spectrum(made.pattern, DETECTION), truth)
        plain.append(_wiener(frames.data, made.pattern, Regularisation("wiener", weight)))
    return {
        "frc_nm": frc_resolution(images[0]["sharp"].data, images[1]["sharp"].data, PIXEL_NM / 2),
        "oracle_frc_nm": frc_resolution(plain[0], plain[1], PIXEL_NM / 2),
    }


def whole_run() -> dict[str, Any]:
    """The command on 256 x 256 x 9 frames, imports and report included: seconds and the largest memory."""
    made, *_ = _simulated("filaments", 15, 0.5, 0, 256)
    with tempfile.TemporaryDirectory() as place:
        sl.write(Path(place) / "raw.tif", made.frames)
        told = [
            "enhance",
            f"{place}/raw.tif",
            "--sim",
            "--na",
            "1.4",
            "--wavelength-nm",
            "525",
            "--out",
            f"{place}/out",
        ]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "superlens", *told], check=True, capture_output=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "seconds": time.perf_counter() - began,
            "processor_seconds": used.ru_utime + used.ru_stime,
            "memory_gb": used.ru_maxrss / 1e6,
        }


def finished(folder: Path, pictures: Path) -> dict[str, Any]:
    """What the authors of dl-sim reconstructed from their dim recording, denoised and sharpened as it is, against their bright one."""
    lens = sl.Objective(na=1.49, wavelength_nm=525)
    dim, bright = (sl.read(folder / f"{n}R_reconstruction.tif", axes="YX", pixel_nm=DL_SIM_NM) for n in ("LE", "HE"))
    made = sl.enhance(dim, lens, sim=True, config=ZSDeconvSimConfig.of("fast", reconstructed=True))
    reference = np.asarray(bright.data, float)
    images = {
        role: np.asarray(image.data, float)
        for role, image in {"given": dim, "denoised": made["denoised"], "sharp": made["sharp"]}.items()
    }
    _row(pictures / "finished.png", [linear_fit(images[role], reference) for role in ("given", "sharp")], reference)
    return {role: _psnr(image, reference) for role, image in images.items()}


def flat(photons: float, seeds: int) -> dict[str, Any]:
    """Fields without structure, each learned from itself: what is drawn, and along which directions in the mean over the fields.

    In a single field chance alone puts up to 4.6 times the median of a ring into the sectors, white noise being no better, so that the power
    spectra are averaged; what white noise gives is returned beside.
    """
    rng = np.random.default_rng(0)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], 0.9 * DETECTION.cutoff, 0.5, rng)
    camera, config = sl.Camera(1.0, 0.0, 0.0), ZSDeconvSimConfig.of("fast")
    optics = SimOptics.of(Spectrum(pattern, DETECTION), config.weight, config.narrower, PIXEL_NM)
    inner = (slice(BORDER, -BORDER),) * 2
    found: list[dict[str, float]] = []
    powers: dict[str, list[Array]] = {"honeycomb": [], "honeycomb_conventional": [], "honeycomb_white": []}
    for seed in range(seeds):
        frames = np.random.default_rng(seed).poisson(photons, (9, SIDE, SIDE)).astype(np.float32)
        counts, sigma = optics.operator((SIDE, SIDE)).apply(frames)[None], optics.sigma(frames, camera)[None]
        image: Any = sl.Image(frames, "TYX", PIXEL_NM, name="flat")
        nothing: Any = None
        observation = SimObservation(image, nothing, frames[None], counts, sigma, camera, ())
        prepared = Prepared(config, OBJECTIVE, [observation], optics, Normaliser.measure(counts, sigma))
        learned = learn(prepared, None, silent)
        sharp = predicted(SimPredictor(learned.model), optics, counts[0], sigma[0])["sharp"]
        plain = _wiener(frames, pattern, Regularisation("wiener", 0.1))
        for name, one in zip(powers, (sharp, plain, rng.normal(size=plain.shape)), strict=True):
            powers[name].append(_power(one[inner]))
        found.append(
            {
                "std_ratio": float(sharp[inner].std() / sigma.mean()),
                "std_over_mean": float(sharp[inner].std() / photons),
                "flux": float(sharp.mean() / frames.mean()),
            }
        )
    shares = [_in_directions(np.mean(powers[name], 0), pattern) for name in ("honeycomb", "honeycomb_conventional")]
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return {
        "fields": seeds,
        **means,
        "power": shares[0] / shares[1],
        **{name: _honeycomb(np.mean(each, 0), pattern) for name, each in powers.items()},
    }


def dim(folder: Path) -> dict[str, Any]:
    """The dim recording of dl-sim with the pattern of the bright one, against two reconstructions of the bright one: that of its authors and ours.

    Beside it what its authors made of the dim recording, and what ours is without the network.
    """
    lens = sl.Objective(na=1.49, wavelength_nm=525)
    bright, dark = (sl.read(folder / f"{n}_raw_sim_15frames.tif", axes="TYX", pixel_nm=30.0) for n in ("HE", "LE"))
    given = {n: np.asarray(sl.read(folder / f"{n}R_reconstruction.tif").data, np.float32) for n in ("HE", "LE")}
    ours = sl.reconstruct_sim(bright, lens)
    with tempfile.TemporaryDirectory() as place:
        known = Path(place) / "pattern.json"
        known.write_text(json.dumps({"pattern": ours.pattern.described()}), encoding="utf-8")
        learned = sl.enhance(dark, lens, sim=True, config=ZSDeconvSimConfig.of("fast", like=str(known)))
    made = {
        "authors": given["LE"],
        "plain": np.asarray(sl.reconstruct_sim(dark, lens, ours.pattern).image.data),
        "learned": np.asarray(learned["sharp"].data),
    }
    references = {"authors": given["HE"], "ours": np.asarray(ours.image.data)}
    return {
        name: {role: _psnr(*_on_one_grid(image, reference)) for role, image in made.items()}
        for name, reference in references.items()
    }


def _on_one_grid(image: Array, reference: Array) -> tuple[Array, Array]:
    """Both at the sampling of the coarser one."""
    side = min(image.shape[-1], reference.shape[-1])
    coarse = []
    for one in (np.squeeze(image), np.squeeze(reference)):
        bins = one.shape[-1] // side
        coarse.append(one.reshape(one.shape[0] // bins, bins, side, bins).mean((1, 3)))
    return coarse[0], coarse[1]


# -- scores -------------------------------------------------------------------------------------------------------------


def _through(whole: Array, transfer: Any) -> Array:
    """The specimen through a transfer function, its margin cut off."""
    seen = np.fft.ifft2(np.fft.fft2(whole) * transfer(*grid_of(whole.shape, half=False))).real
    return seen[2 * MARGIN : -2 * MARGIN, 2 * MARGIN : -2 * MARGIN]


def _changed(image: Array, wanted: Any, had: Any) -> Array:
    """An image of one transfer function as one of another, where the first passes anything."""
    padded = np.pad(image, 64, mode="symmetric")
    grid = grid_of(padded.shape)
    passed = had(*grid)
    ratio = np.where(passed > 1e-3, wanted(*grid) / np.maximum(passed, 1e-3), 0)
    return np.asarray(fft.irfft2(fft.rfft2(padded) * ratio, padded.shape)[64:-64, 64:-64])


def _wiener(frames: Array, pattern: Any, regularisation: Regularisation) -> Array:
    return Reconstruction(frames.shape[1:], Spectrum(pattern, DETECTION, regularisation)).apply(frames)


def _oracle(frames: Array, spectrum: Spectrum, truth: Array) -> tuple[float, float, Array]:
    """The Wiener filter with the weight of largest PSNR: that PSNR, the weight, the image."""
    found = []
    for weight in np.geomspace(0.03, 2, 18):
        filtered = replace(spectrum, regularisation=Regularisation("wiener", float(weight)))
        image = Reconstruction(frames.shape[1:], filtered).apply(frames)
        found.append((_psnr(image, truth), float(weight), image))
    return max(found, key=lambda one: one[0])


def _psnr(image: Array, truth: Array) -> float:
    """After a linear fit, borders left out."""
    inner = (slice(BORDER, -BORDER),) * 2
    x, y = image[inner].ravel().astype(float), truth[inner].ravel()
    slope, level = np.polyfit(x, y, 1)
    return float(10 * np.log10(np.ptp(y) ** 2 / np.mean((slope * x + level - y) ** 2)))


def _power(image: Array) -> Array:
    return np.asarray(
        np.abs(np.fft.fft2((image - image.mean()) * np.outer(*(np.hanning(n) for n in image.shape)))) ** 2
    )


def _honeycomb(power: Array, pattern: Any) -> float:
    """Largest power in sectors of 5 degrees about the pattern's directions over the median of its ring, rings one raw frequency wide."""
    return max(float(np.mean(power[sector]) / np.median(power[own])) for own, sector in _sectors(power.shape, pattern))


def _in_directions(power: Array, pattern: Any) -> float:
    """All the power in these sectors."""
    return float(sum(np.sum(power[sector]) for _, sector in _sectors(power.shape, pattern)))


def _sectors(shape: tuple[int, ...], pattern: Any) -> Iterator[tuple[Array, Array]]:
    """Each ring with its sector about each direction."""
    fy, fx = grid_of(shape, half=False)
    radius, angle = np.hypot(fy, fx), np.degrees(np.arctan2(fy, fx * np.ones_like(fy)))
    ring = np.round(radius * shape[0] / 2).astype(int)
    for number in range(8, int(0.6 * shape[0] / 2)):
        own = ring == number
        for order in pattern.orders:
            off = np.abs((angle - order.angle_deg + 90) % 180 - 90)
            sector = own & (off < 5)
            if np.count_nonzero(sector) >= 6:
                yield own, sector


def _picture(path: Path, conventional: Array, sharp: Array, truth: Array) -> None:
    _row(path, [conventional - (conventional.mean() - truth.mean()), sharp], truth)


def _row(path: Path, images: list[Array], truth: Array) -> None:
    """Images beside their truth, in its grey scale."""
    import matplotlib.image

    path.parent.mkdir(parents=True, exist_ok=True)
    low, high = np.percentile(truth, (0.5, 99.7))
    row = np.concatenate([*images, truth], axis=1)
    matplotlib.image.imsave(path, np.clip((row - low) / (high - low), 0, 1), cmap="gray")


# -- page ---------------------------------------------------------------------------------------------------------------


def page(found: dict[str, Any]) -> list[str]:
    """The lines of the page."""
    cells = {k.partition("/")[2]: v for k, v in found.items() if k.startswith("specimen/")}
    if not cells:
        return []
    lines = [
        "",
        "## Learned from the raw frames",
        "",
        f"`superlens enhance --sim`, preset `fast`, {SIDE} × {SIDE} × 9 frames, one seed a cell. PSNR in dB after a linear fit, against two truths: the",
        "specimen through the transfer function of a reconstruction with w 0.05, and through the stated response, 1.5 times narrower",
        "than the diffraction limit of the extended band. The numbers are gains over the Wiener filter with the weight that is best for each truth,",
        "from the pattern and the transfer function as they were measured in the same frames; in brackets over the one from the true pattern and",
        "the true transfer function, which nobody has. *Pattern given* is that of a bright recording, where the frames do not show theirs.",
        "",
        "| specimen | photons | modulation | Wiener | gain | gain over w 0.05 | response: Wiener | gain | FRC, nm (Wiener) | beyond 2 σ | flux |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in cells.items():
        specimen, photons, _ = name.split("/")
        first, second = one["reconstruction"], one["response"]
        lines.append(
            f"| {specimen}{'' if one['pattern_found'] else ' (pattern given)'} | {photons} | {one['modulation']} | {first['oracle_measured']:.2f} | {first['psnr'] - first['oracle_measured']:+.2f} ({first['psnr'] - first['oracle']:+.2f}) | "
            f"{first['psnr'] - first['w_005']:+.2f} | {second['oracle_measured']:.2f} | {second['psnr'] - second['oracle_measured']:+.2f} ({second['psnr'] - second['oracle']:+.2f}) | "
            f"{second['frc_nm']:.0f} ({second['oracle_frc_nm']:.0f}) | {one['beyond_two_sigma']:.1%} | {one['flux']:.3f} |"
        )

    def over(known: str) -> str:
        gains = {t: [c[t]["psnr"] - c[t][known] for c in cells.values()] for t in ("reconstruction", "response")}
        return " and ".join(
            f"{np.mean(each):+.2f} dB in the mean, {min(each):+.2f} at least" for each in gains.values()
        )

    finer = [c["response"]["frc_nm"] < c["response"]["oracle_frc_nm"] for c in cells.values()]
    lines += [
        "",
        f"Through the transfer function of the reconstruction and through the response: {over('oracle_measured')}; over Wiener from the true pattern "
        f"{over('oracle')}. FRC against the truth finer in {sum(finer)} of {len(finer)} cells.",
    ]
    for name, one in ((k, v) for k, v in found.items() if k.startswith("flat/")):
        lines += [
            "",
            f"Fields without structure at {name.split('/')[1]} photons, {one['fields']} of them, each learned from itself: standard deviation "
            f"{one['std_ratio']:.1%} of that of the noise, flux {one['flux']:.4f}. In the mean of their power spectra the directions of the pattern hold at "
            f"most {one['honeycomb']:.1f} times the median of a ring ({one['honeycomb_conventional']:.1f} in the conventional reconstruction, "
            f"{one['honeycomb_white']:.1f} in white noise), and {one['power']:.1e} of the power that they hold in the conventional reconstruction.",
        ]
    pairs = {k.partition("/")[2]: v for k, v in found.items() if k.startswith("halves/")}
    if pairs:
        lines += [
            "",
            "FRC of two results, in nm: the photons of the frames dealt out to two recordings, each of which is reconstructed, learned from and",
            f"enhanced by itself; and of two Wiener reconstructions with the weight of largest PSNR. {PIXEL_NM:.0f} nm is the finest that two of their",
            "pixels can show. What both results took from pretraining counts here as agreement; the FRC against the truth, above, is free of that.",
            "",
            "| specimen | photons | learned | Wiener |",
            "|---|---|---|---|",
        ]
        for name, one in pairs.items():
            drawn, photons, _ = name.split("/")
            lines.append(f"| {drawn} | {photons} | {one['frc_nm']:.0f} | {one['oracle_frc_nm']:.0f} |")
        finer = [one["frc_nm"] < one["oracle_frc_nm"] for one in pairs.values()]
        lines += ["", f"Finer in {sum(finer)} of {len(finer)}."]
    if "time/256" in found:
        one = found["time/256"]
        lines += [
            "",
            f"The command on 256 × 256 × 9 frames, imports, search for the pattern and report included: {one['seconds']:.0f} s on two cores "
            f"({one['processor_seconds']:.0f} processor seconds), at most {one['memory_gb']:.1f} GB.",
        ]
    if "finished/dl-sim" in found:
        one = found["finished/dl-sim"]
        lines += [
            "",
            "What the authors of dl-sim reconstructed from their dim recording, against what they reconstructed from the bright one: as it is "
            f"{one['given']:.2f} dB, by `enhance --sim --reconstructed` denoised {one['denoised']:.2f} dB and sharp {one['sharp']:.2f} dB.",
        ]
    if "dim/dl-sim" in found:
        lines += [
            "",
            "The dim recording of dl-sim, with the pattern of the bright one, against what was reconstructed from the bright one:",
            "",
            "| reference | by its authors from the dim one | ours without the network | learned |",
            "|---|---|---|---|",
        ]
        for name, one in found["dim/dl-sim"].items():
            words = {"authors": "the authors' reconstruction", "ours": "our reconstruction"}[name]
            lines.append(f"| {words} | {one['authors']:.2f} dB | {one['plain']:.2f} dB | {one['learned']:.2f} dB |")
    return lines
