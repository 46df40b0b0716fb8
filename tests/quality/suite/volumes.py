"""Cells for volumes: what 3D ZS-DeconvNet adds to noise and blur along z, against Richardson-Lucy with an oracle, and on real stacks.

A specimen is drawn in a periodic volume wider and deeper than what is recorded, so that light comes in from beyond the stack. The
reference that all methods are compared by is the specimen through the PSF made 1.5 times narrower laterally and 1.3 times axially; what
a stated error is the error of is the specimen through the PSF that the sharp stack states. Every method is given the optics and the
offset, and nothing else.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import superlens as sl
from superlens.camera import Camera
from superlens.evidence.measure import seen_by_camera
from superlens.image import Image
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.recipe import recipe_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import flux_ratio, psnr_fitted
from superlens.networks import architecture, build
from superlens.optics import PSF, RESPONSES, Objective
from superlens.simulate import volumes
from superlens.training import Plan, best_precision, fit, precision

from .baselines import oracle_lucy
from .store import ROOT, Cell, Outcome

__all__ = ["METHODS", "cells"]

Array = NDArray[Any]


class Recorded(NamedTuple):
    """The recorded stack, and the specimen in counts through the PSF of the reference and through the one that is stated."""

    image: Image
    reference: Array
    stated: Array


START = "zsdeconv-light-volume"
_DATA = Path(os.environ.get("SUPERLENS_DATA", ROOT.parent / "shared" / "data"))
_CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)
_SLICES, _SIDE = 24, 96
_AROUND = (16, 64)  # slices and fine pixels that are not recorded

_MODALITIES: dict[str, tuple[dict[str, Any], float, float]] = {
    "widefield": ({"na": 1.4, "wavelength_nm": 525.0}, 65.0, 200.0),
    "confocal": ({"na": 1.2, "wavelength_nm": 525.0, "modality": "confocal", "excitation_nm": 488.0}, 80.0, 200.0),
    "light-sheet": (
        {"na": 1.1, "wavelength_nm": 525.0, "modality": "light-sheet", "sheet_thickness_nm": 900.0},
        95.0,
        250.0,
    ),
}
"""Optics, camera pixel and z-step in nanometres."""

_STRUCTURES = {
    "filaments": partial(volumes.filaments, count=40, width=2.0, persistence=200.0, flat=0.6),
    "shells": partial(volumes.shells, count=60, radius=12.0),
    "network": partial(volumes.network, mesh=30.0, width=2.0),
}
_PHOTONS = (10.0, 60.0)

METHODS: dict[str, dict[str, Any] | None] = {
    "lucy": None,
    "start": {"steps": 0},
    "fast": {},
    "interleave": {"pairs": "interleave"},
}
"""Richardson-Lucy, the shipped weights as they are, the default, and, on networks, the default with interleaved slices as pairs."""


def cells() -> list[Cell]:
    """All cells, in the order in which they are worth most."""
    scenes = [
        {"structure": s, "modality": m, "photons": p, "seed": 11}
        for s in _STRUCTURES
        for m in _MODALITIES
        for p in _PHOTONS
    ]
    return [
        *(
            Cell(
                f"sr/{_name(scene)}/{method}",
                _sharpened,
                {"scene": scene, "method": method},
                START if method != "lucy" else False,
            )
            for scene in scenes
            for method in METHODS
            if method != "interleave" or scene["structure"] == "network"
        ),
        *(Cell(f"aim/{m}", _aim, {"modality": m, "photons": 200.0}) for m in _MODALITIES),
        *(Cell(f"beads/{m}", _beads, {"modality": m, "photons": 200.0}, START) for m in _MODALITIES),
        *(
            Cell(f"depth/{slices}", _depth, {"slices": slices, "modality": "confocal"}, START)
            for slices in (5, 7, 10, 16, 24)
        ),
        *(Cell(f"gap/{network}", _gap, {"network": network}, False) for network in ("light-volume", "rcan")),
        *(Cell(f"light/{s}-{m}", _light, {"structure": s, "modality": m}) for s in _STRUCTURES for m in _MODALITIES),
        *(Cell(f"real/{name}", _real, {"name": name}, START) for name in _REAL if _REAL[name][0].exists()),
    ]


def _name(scene: dict[str, Any]) -> str:
    return f"{scene['structure']}-{scene['modality']}-{scene['photons']:g}"


def _psf(modality: str) -> PSF:
    optics, pixel_nm, step_nm = _MODALITIES[modality]
    return Objective(**optics).psf(pixel_nm / 2, z_step_nm=step_nm)


def _scene(structure: str, modality: str, photons: float, seed: int) -> Recorded:
    _, pixel_nm, step_nm = _MODALITIES[modality]
    rng = np.random.default_rng([seed, *structure.encode()])
    shape = (_SLICES + _AROUND[0], 2 * _SIDE + _AROUND[1], 2 * _SIDE + _AROUND[1])
    specimen = _STRUCTURES[structure](shape, rng, aspect=step_nm / (pixel_nm / 2))
    return _recorded(specimen, modality, photons, rng)


def _recorded(specimen: Array, modality: str, photons: float, rng: np.random.Generator) -> Recorded:
    _, pixel_nm, step_nm = _MODALITIES[modality]
    psf = _psf(modality)
    inside = tuple(
        slice(a // 2, n - a // 2) for n, a in zip(specimen.shape, (_AROUND[0], *[_AROUND[1]] * 2), strict=True)
    )
    psfs = (psf, psf.narrowed(1.5, 1.3), RESPONSES["ZYX"].of(psf))
    blurred, *sharp = (p.blur(specimen, "wrap")[inside] for p in psfs)
    depth, height, width = blurred.shape
    camera = np.maximum(blurred, 0).reshape(depth, height // 2, 2, width // 2, 2).mean((2, 4))
    factor, background = photons / camera[camera > 0.1 * camera.max()].mean(), _background(photons)
    counts = _CAMERA.expose(camera * factor + background, rng)
    image = Image(counts, axes="ZYX", pixel_nm=pixel_nm, z_step_nm=step_nm, name="simulated")
    return Recorded(image, *(((s * factor + background) * _CAMERA.gain).astype(np.float32) for s in sharp))


def _background(photons: float) -> float:
    return 0.1 * photons + 1


def _light(structure: str, modality: str) -> Outcome:
    """How much light the stated sharp stack of a scene has over that of the recorded stack, both without background."""
    scene = _scene(structure, modality, _PHOTONS[-1], 11)
    background = _background(_PHOTONS[-1]) * _CAMERA.gain
    light = np.asarray(scene.image.data, np.float64).mean() - _CAMERA.offset - background
    return Outcome({"ratio": (float(scene.stated.mean(dtype=np.float64)) - background) / light})


def _sharpened(scene: dict[str, Any], method: str) -> Outcome:
    image, reference, stated = _scene(**scene)
    began = time.perf_counter()
    numbers: dict[str, float | str | None] = {}
    if method == "lucy":
        counts = np.maximum(image.data.astype(np.float32) - _CAMERA.offset, 0)
        made, iteration = oracle_lucy(counts, _psf(scene["modality"]).data, reference)
        numbers["iteration"] = iteration
    else:
        result = sl.enhance(image, _objective(scene["modality"]), config=_config(**(METHODS[method] or {})))
        assert result.image is not None
        assert result.uncertainty is not None
        made, error = result.image.data, np.abs(result.image.data - stated)
        numbers |= {
            "blend": None if result.history is None else result.history.blend,
            "beyond_2_sigma": float(np.mean(error > 2 * result.uncertainty.data)),
            "stated_psnr_db": psnr_fitted(stated, made),
            "flux": flux_ratio(made, image.data - _CAMERA.offset),
        }
    numbers |= {"psnr_db": psnr_fitted(reference, made), "seconds": time.perf_counter() - began}
    return Outcome(numbers, _views({"input": image.data - _CAMERA.offset, method: made, "reference": reference}))


def _objective(modality: str) -> Objective:
    return Objective(**_MODALITIES[modality][0])


def _config(**changes: Any) -> ZSDeconvConfig:
    return ZSDeconvConfig.of("fast", axes="ZYX", offset=_CAMERA.offset, **changes)


def _views(stacks: dict[str, Array]) -> dict[str, Array]:
    """The middle slice and the middle row seen from the side."""
    return {
        f"{name}-{view}": plane
        for name, stack in stacks.items()
        for view, plane in (("xy", stack[len(stack) // 2]), ("xz", stack[:, stack.shape[1] // 2]))
    }


def _beads(modality: str, photons: float) -> Outcome:
    """Widths of 100 nm beads in the recorded and in the sharp stack, fitted, and what is stated."""
    _, pixel_nm, step_nm = _MODALITIES[modality]
    fine_nm = pixel_nm / 2
    (image, *_), spots = _bead_stack(modality, photons)
    result = sl.enhance(image, _objective(modality), config=_config())
    assert result.image is not None
    psf = _psf(modality)
    made = _widths(result.image.data, spots, fine_nm, step_nm)
    seen = _widths(np.kron(image.data - _CAMERA.offset, np.ones((1, 2, 2))), spots, fine_nm, step_nm)
    return Outcome(
        {
            "psf_nm": psf.fwhm_nm,
            "psf_z_nm": psf.fwhm_z_nm,
            "recorded_nm": seen[0],
            "recorded_z_nm": seen[1],
            "sharp_nm": made[0],
            "sharp_z_nm": made[1],
            "lateral_gain": psf.fwhm_nm / made[0],
            "axial_gain": (psf.fwhm_z_nm or np.nan) / made[1],
            "lateral_gain_of_points": psf.fwhm_nm / np.sqrt(made[0] ** 2 - _BEAD_FWHM_NM**2),
        },
        _views({"input": image.data - _CAMERA.offset, "fast": result.image.data}),
    )


def _bead_stack(modality: str, photons: float) -> tuple[Recorded, list[Array]]:
    """A stack of beads of 100 nm, and where they lie in it."""
    _, pixel_nm, step_nm = _MODALITIES[modality]
    rng = np.random.default_rng(3)
    shape = (_SLICES + _AROUND[0], 2 * _SIDE + _AROUND[1], 2 * _SIDE + _AROUND[1])
    places = [(z, y, x) for z in (14, 26) for y in range(48, 224, 44) for x in range(48, 224, 44)]
    specimen = np.zeros(shape, np.float32)
    radius, fine_nm = 50.0, pixel_nm / 2
    for z, y, x in places:
        offsets = rng.uniform(-1, 1, (4000, 3))
        offsets = offsets[(offsets**2).sum(1) < 1] * radius / np.array([step_nm, fine_nm, fine_nm])
        centre = np.array([z, y, x]) + rng.uniform(-0.5, 0.5, 3) * (0, 1, 1)  # a slice is a plane, a pixel an area
        np.add.at(specimen, tuple(np.round(centre + offsets).astype(int).T), 1)
    spots = [np.array([z - _AROUND[0] / 2, y - _AROUND[1] / 2, x - _AROUND[1] / 2]) for z, y, x in places]
    return _recorded(specimen, modality, photons, rng), spots


def _aim(modality: str, photons: float) -> Outcome:
    """Widths of the beads in what the sharp stack states to show, and in the reference."""
    _, pixel_nm, step_nm = _MODALITIES[modality]
    scene, spots = _bead_stack(modality, photons)
    lateral, axial = _widths(scene.stated, spots, pixel_nm / 2, step_nm)
    common, _ = _widths(scene.reference, spots, pixel_nm / 2, step_nm)
    psf = _psf(modality)
    return Outcome(
        {
            "nm": lateral,
            "z_nm": axial,
            "gain": psf.fwhm_nm / lateral,
            "axial_gain": (psf.fwhm_z_nm or np.nan) / axial,
            "gain_of_reference": psf.fwhm_nm / common,
        }
    )


_BEAD_FWHM_NM = 2.3548 * 50 / np.sqrt(5)
"""Of the Gaussian with the variance of a ball of 100 nm, which widens its image in quadrature; along z it lies within a slice."""


def _widths(stack: Array, spots: list[Array], fine_nm: float, step_nm: float) -> tuple[float, float]:
    """Median FWHM over the beads along x and along z, of Gaussians fitted to lines through the brightest voxel nearby."""
    lateral, axial = [], []
    for z, y, x in (np.round(s).astype(int) for s in spots):
        if not 4 <= z < len(stack) - 4:
            continue
        near = stack[z - 2 : z + 3, y - 4 : y + 5, x - 4 : x + 5]
        dz, dy, dx = np.array(np.unravel_index(near.argmax(), near.shape)) - (2, 4, 4)
        z, y, x = z + dz, y + dy, x + dx
        lateral.append(_gaussian_width(stack[z, y, x - 14 : x + 15]) * fine_nm)
        axial.append(_gaussian_width(stack[max(z - 9, 0) : z + 10, y, x]) * step_nm)
    return float(np.median(lateral)), float(np.median(axial))


def _gaussian_width(line: Array) -> float:
    from scipy.optimize import curve_fit

    t = np.arange(len(line), dtype=float)
    values = line.astype(float)

    def bell(t: Array, height: float, centre: float, sigma: float, base: float) -> Array:
        return np.asarray(base + height * np.exp(-0.5 * ((t - centre) / sigma) ** 2))

    first = (np.ptp(values), float(values.argmax()), 2.0, float(np.median(values)))
    found, _ = curve_fit(bell, t, values, first, maxfev=5000)
    return float(2.3548 * abs(found[2]))


def _depth(slices: int, modality: str) -> Outcome:
    """How well three slices in the middle come out when only so many slices around them were recorded."""
    image, reference, _ = _scene("filaments", modality, 60.0, 11)
    first = (_SLICES - slices) // 2
    part = Image(
        image.data[first : first + slices],
        axes="ZYX",
        pixel_nm=image.pixel_nm,
        z_step_nm=image.z_step_nm,
        name="simulated",
    )
    result = sl.enhance(part, _objective(modality), config=_config())
    assert result.image is not None
    middle = slice(_SLICES // 2 - 2, _SLICES // 2 + 1)  # within a stack of 5, too
    made = result.image.data[middle.start - first : middle.stop - first]
    return Outcome({"middle_psnr_db": psnr_fitted(reference[middle], made)})


def _gap(network: str) -> Outcome:
    """Time of a training step with interleaved slices, with and without the term that amends the gap between them."""
    image = _scene("filaments", "confocal", 60.0, 11).image
    settings: dict[str, Any] = {"preset": "paper", "batch": 1} if network == "rcan" else {"pairs": "interleave"}
    config = ZSDeconvConfig.of(settings.pop("preset", "fast"), axes="ZYX", offset=100.0, **settings)
    prepared = prepare([image], _objective("confocal"), config)
    known = architecture(config.network)
    with precision("float32" if known.precision == "float32" else best_precision()):
        trained = build(config.network, known.arguments(config.scale))
    recipe = recipe_of(prepared, trained)
    began, drawn = [], []

    def draw(step: int) -> Any:
        began.append(time.perf_counter())
        batch = recipe.draw(step)
        drawn.append(time.perf_counter() - began[-1])
        return batch

    fit(trained, recipe.loss, draw, Plan(steps=6, learning_rate=1e-5, schedule="constant", check_every=100))
    whole = np.diff(began)[1:]
    plain = whole - np.array(drawn[1:-1])
    return Outcome({"step_s": min(plain), "amended_s": min(whole), "ratio": min(whole) / min(plain)})


_REAL: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "bars": (_DATA / "flowdec" / "bars_data.tif", {}, {"psf": "bars_psf.tif"}),
    "bead": (_DATA / "flowdec" / "bead_data.tif", {}, {"psf": "bead_psf.tif"}),
    "nucleus": (
        _DATA / "deconwolf" / "dapi_001.tif",
        {"na": 1.45, "wavelength_nm": 461.0, "immersion_index": 1.512},
        {"pixel_nm": 130.0, "z_step_nm": 300.0},
    ),
    "toxoplasma-0": (_DATA / "mrc" / "toxo.dv", {"na": 1.42, "wavelength_nm": 528.0}, {"channel": 0}),
    "toxoplasma-1": (_DATA / "mrc" / "toxo.dv", {"na": 1.42, "wavelength_nm": 617.0}, {"channel": 1}),
}
"""File, optics, and what the file does not say."""


def _real(name: str) -> Outcome:
    path, optics, said = _REAL[name]
    image = sl.read(path, axes="ZYX") if "psf" in said or "pixel_nm" in said else sl.read(path)
    if "channel" in said:
        image = image.select(c=said["channel"])
    pixel_nm, step_nm = said.get("pixel_nm", image.pixel_nm or 100.0), said.get("z_step_nm", image.z_step_nm or 250.0)
    image = Image(np.asarray(image.data), axes="ZYX", pixel_nm=pixel_nm, z_step_nm=step_nm, name=name)
    lens: Objective | PSF = Objective(**optics) if optics else _measured(path.with_name(said["psf"]), pixel_nm, step_nm)
    began = time.perf_counter()
    result = sl.enhance(image, lens, config=ZSDeconvConfig.of("fast", axes="ZYX"))
    seconds = time.perf_counter() - began
    assert result.image is not None
    wanted = ("flux_", "residual_mean", "residual_std", "residual_white", "rsp", "blend")
    numbers = {k: v for k, v in result.metrics.items() if k.startswith(wanted)}
    seen = result.observation
    standard = (seen_by_camera(result.image.data, result.model) - seen.counts) / seen.sigma
    numbers["residual_above_dark_in_sigma"] = float(standard[(seen.counts > 0) & ~seen.bad].std())
    return Outcome(
        {**numbers, "seconds": seconds}, _views({"input": np.asarray(image.data), "fast": result.image.data})
    )


def _measured(path: Any, pixel_nm: float, step_nm: float) -> PSF:
    stack = sl.read(path, axes="ZYX")
    return PSF.from_image(Image(np.asarray(stack.data), axes="ZYX", pixel_nm=pixel_nm, z_step_nm=step_nm))
