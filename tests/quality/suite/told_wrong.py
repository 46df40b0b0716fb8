"""Cells on what should do no harm: a pixel size stated 20 % wrong, and fields with nothing in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import superlens as sl
from superlens.enhancing import enhance
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import psnr_fitted

from .scenes import AS_TRUTH, CAMERA, NINE, make, optics, truth
from .store import Cell, Outcome

__all__ = ["cells"]

_FACTORS = (0.8, 1.0, 1.2)
_EVEN = {"noise only": 0.0, "even light of 20 photons": 20.0, "even light of 200 photons": 200.0}


def cells() -> list[Cell]:
    """All of them: the pretrained network as it is."""
    return [
        *(
            Cell(f"told/{kind}-{seed}", _told, {"kind": kind, "seed": seed}, True)
            for kind in NINE
            for seed in (0, 1, 2)
        ),
        *(Cell(f"even/{name}", _even, {"photons": photons}, True) for name, photons in _EVEN.items()),
    ]


def _told(kind: str, seed: int) -> Outcome:
    """PSNR at 15 photons with the pixel size right, and stated 20 % too small and too large."""
    scene = make(kind, 15, seed)
    numbers = {}
    for factor in _FACTORS:
        stated = replace(scene.observed, pixel_nm=scene.observed.pixel_nm * factor)
        config = ZSDeconvConfig.of("fast", offset=CAMERA.offset, steps=0, sharpen=AS_TRUTH)
        result = enhance(stated, optics("oil").given, config=config)
        numbers[f"psnr_db_{factor:g}"] = psnr_fitted(truth(scene), np.asarray(result.image.data, np.float64))
    return Outcome(numbers)


def _even(photons: float) -> Outcome:
    """What is drawn where nothing is: deviation of the sharp image over that of the input, and pixels beyond five stated errors."""
    rng = np.random.default_rng(0)
    noisy = rng.poisson(np.full((256, 256), photons)) + rng.normal(0, CAMERA.read_noise_e, (256, 256)) + CAMERA.offset
    image = sl.Image(noisy.astype(np.float32), "YX", pixel_nm=62.6, name="even")
    known = {"offset": CAMERA.offset, "gain": CAMERA.gain, "read_noise_e": CAMERA.read_noise_e}
    result = enhance(image, optics("oil").given, config=ZSDeconvConfig.of("fast", steps=0, **known))
    sharp, error = (np.asarray(one.data, np.float64) for one in (result.image, result.uncertainty))
    return Outcome(
        {
            "drawn": float(sharp.std() / noisy.std()),
            "beyond_5": float(np.mean(np.abs(sharp - sharp.mean()) > 5 * error)),
        }
    )
