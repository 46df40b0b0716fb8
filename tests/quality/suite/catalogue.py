"""All cells of the suite, cheap ones first.

In: the side of the scenes in camera pixels and the minutes that the original recipe gets. Out: cells, in the order to run them.
"""

from __future__ import annotations

from typing import Any

from .baselines import BASELINES, baseline
from .clock import against_paper, loading
from .ours import ANGLES_DEG, flat_field, ours, two_lines
from .scenes import CAMERA, NINE, PHOTONS, UNLIKE
from .store import Cell
from .studies import number_of_images, paper_on_budget, sweep, transfer

__all__ = ["CONFIRMED", "SCENES", "STRUCTURES_ON_BUDGET", "SWEPT", "cells", "scene_parameters"]

_SEED = 1
_UNUSED_SEED = 2  # no setting was chosen by what these specimens gave
_KNOWN = {"gain": CAMERA.gain, "read_noise_e": CAMERA.read_noise_e}
_SWEEP_SIDE = 128
SWEPT = {"alpha": (0.25, 0.5, 1.0, 2.0, 4.0), "beta1": (0.25, 0.5, 2.0, 4.0), "beta2": (0.25, 0.5, 2.0, 4.0)}
"""Values of each re-corruption parameter; 1 is the theory's, and is run once, as alpha 1."""
STRUCTURES_ON_BUDGET = 15
"""Photons of the cells in which `fast` meets `paper`."""

SCENES: dict[str, dict[str, Any]] = {
    **{f"nine/{k}-{p:02d}": {"kind": k, "photons": p, "optics": "oil"} for k in NINE for p in PHOTONS},
    **{f"unlike/{k}-{p:02d}": {"kind": k, "photons": p, "optics": o} for k, o in UNLIKE.items() for p in (15, 50)},
}
"""Scenes that every method runs on, by name."""

CONFIRMED = tuple(f"again/{name}" for name in SCENES)
"""The same with other specimens, for `fast` and what it is held against."""


def scene_parameters(name: str, side: int, seed: int = _SEED) -> dict[str, Any]:
    """Arguments of `scenes.make` for one of `SCENES`."""
    return {**SCENES[name], "seed": seed, "side": side}


def cells(*, side: int = 256, minutes: float = 10.0) -> list[Cell]:
    """Every cell, in running order."""
    made = [Cell("load/import-and-help", loading, {"repeats": 7})]
    made += [
        Cell(f"{name}/{method}", baseline, {"method": method, "scene": scene_parameters(name, side)})
        for method in BASELINES
        for name in SCENES
    ]
    made += _ours(side)
    made += _studies(side)
    made.append(Cell("time/fast-and-paper", against_paper, {"side": side}, shipped=True))
    for kind in NINE:
        scene = scene_parameters(f"nine/{kind}-{STRUCTURES_ON_BUDGET:02d}", side)
        made.append(Cell(f"budget/{kind}/paper", paper_on_budget, {"scene": scene, "minutes": minutes}))
    return made


def _ours(side: int) -> list[Cell]:
    def on(name: str, method: str, settings: dict[str, Any], shipped: bool = True) -> Cell:
        parameters = {"scene": scene_parameters(name, side), "preset": "fast", "settings": settings}
        return Cell(f"{name}/{method}", ours, parameters, shipped)

    two = {"photons": 50, "side": max(side // 2, 64), "angles_deg": list(ANGLES_DEG)}
    flat = {"side": max(side // 2, 64), "preset": "fast", "settings": {}}
    return [
        *(on(name, "fast", {}) for name in SCENES),
        *(Cell(f"lines/{o}", two_lines, {"optics_name": o, **two}, True) for o in ("gaussian", "oil")),
        *(
            Cell(f"flat/{photons:02d}-photons", flat_field, {"photons": photons, **flat}, True)
            for photons in (5, 15, 50)
        ),
        *(on(name, "start", {"steps": 0}) for name in SCENES),
        *(on(name, "scratch", {"from_scratch": True}, shipped=False) for name in SCENES if name.startswith("nine")),
        *(on(name, "fast_camera_known", _KNOWN) for name in SCENES if name.startswith("nine")),
        *(cell for name in SCENES for cell in _again(name, side)),
    ]


def _again(name: str, side: int) -> list[Cell]:
    scene = scene_parameters(name, side, _UNUSED_SEED)
    return [
        Cell(f"again/{name}/rl_oracle", baseline, {"method": "rl_oracle", "scene": scene}),
        Cell(f"again/{name}/fast", ours, {"scene": scene, "preset": "fast", "settings": {}}, shipped=True),
    ]


def _studies(side: int) -> list[Cell]:
    swept = {"kind": "filaments", "photons": 15, "optics": "oil", "seed": _SEED, "side": min(side, _SWEEP_SIDE)}
    made = [
        Cell(f"sweep/{p}-{v:g}", sweep, {"scene": swept, "parameter": p, "value": v, "settings": {}})
        for p, values in SWEPT.items()
        for v in values
    ]
    several = {"kind": "vesicles", "photons": 15, "side": side}
    for count in (1, 3, 9):
        for start, settings in (("prior", {}), ("scratch", {"from_scratch": True})):
            parameters = {**several, "count": count, "settings": settings}
            made.append(Cell(f"images/{count}-{start}", number_of_images, parameters, start == "prior"))
    for kind, other in (("filaments", "vesicles"), ("vesicles", "filaments")):
        for start, settings in (("prior", {}), ("scratch", {"from_scratch": True})):
            parameters = {"kind": kind, "other_kind": other, "photons": 15, "side": side, "settings": settings}
            made.append(Cell(f"transfer/{kind}-{start}", transfer, parameters, start == "prior"))
    return made
