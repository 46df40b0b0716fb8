"""Cells on the width of the PSF as the image alone shows it, beside the stated one."""

from __future__ import annotations

from typing import Any

import numpy as np

import superlens as sl
from superlens.metrics import FoundPSF, find_psf

from .recorded import SHARPENING, Sharpening, read_pair_image
from .scenes import make
from .store import Cell, Outcome, data_folder

__all__ = ["cells"]

_KINDS = ("filaments", "vesicles", "er_network", "mitochondria", "nuclei", "membranes", "beads", "one_over_f")


def cells() -> list[Cell]:
    """Eight kinds of simulated specimen, and the recorded images that are at hand."""
    folder = data_folder()
    return [
        *(
            Cell(f"width/{kind}-{photons}", _simulated, {"kind": kind, "photons": photons})
            for kind in _KINDS
            for photons in (15, 50, 150, 500)
        ),
        *(
            Cell(f"width/{name}", _recorded, {"name": name})
            for name, pair in SHARPENING.items()
            if folder is not None and (folder / pair.image).exists()
        ),
    ]


def _simulated(kind: str, photons: float) -> Outcome:
    scene = make(kind, photons, 1)
    return Outcome(_over(find_psf(scene.observed), scene.psf.fwhm_nm))


def _recorded(name: str) -> Outcome:
    pair: Sharpening = SHARPENING[name]
    image: sl.Image = read_pair_image(pair)
    return Outcome(_over(find_psf(image), pair.fwhm_px * float(image.pixel_nm or np.nan)))


def _over(found: FoundPSF, stated_nm: float) -> dict[str, Any]:
    """Relative to what is stated."""
    return {
        "found": found.found,
        "factor": found.fwhm_nm / stated_nm,
        "low": found.low_nm / stated_nm,
        "high": found.high_nm / stated_nm,
    }
