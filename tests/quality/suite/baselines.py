"""Cells of the methods that ours is held against. None depends on our weights.

All get the true PSF on the fine grid and counts minus the true offset. *Oracle* means that a parameter was chosen by the score itself,
which needs the truth: an upper bound that no user reaches.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.metrics import psnr_fitted
from superlens.reconstruct import (
    blind_stop,
    richardson_lucy,
    richardson_lucy_iterates,
    sparse_deconvolution,
    wiener,
)
from superlens.simulate import Scene

from .scenes import BACKGROUND, CAMERA, counts, make, truth
from .scores import score, upsampled
from .store import Outcome

__all__ = ["BASELINES", "baseline", "oracle_lucy"]

Array = NDArray[Any]

_RATIOS = tuple(float(r) for r in np.geomspace(1e-3, 30, 19))
_SPARSE = tuple((f, s) for f in (15.0, 50.0, 150.0) for s in (1.0, 10.0))


def baseline(method: str, scene: dict[str, Any]) -> Outcome:
    """Run one of `BASELINES` on a scene and score it."""
    made = make(**scene)
    began = time.perf_counter()
    image, extra = BASELINES[method](made)
    seconds = time.perf_counter() - began
    return Outcome({**score(made, image), "seconds": seconds, **extra}, {"image": image})


def oracle_lucy(image: Array, psf: Array, reference: Array, *, background: float = 0.0) -> tuple[Array, int]:
    """The best of the first hundred Richardson-Lucy iterates by the fitted PSNR, and its number from 1."""
    iterates = richardson_lucy_iterates(image, psf, scale=2, background=background)
    return _best(reference, islice(iterates, 100))


def _best(reference: Array, candidates: Iterable[Array]) -> tuple[Array, int]:
    best, chosen, most = None, 0, -np.inf
    for i, candidate in enumerate(candidates, start=1):
        value = psnr_fitted(reference, candidate)
        if value > most:
            best, chosen, most = candidate, i, value
    if best is None:
        raise ValueError("no candidate to choose from")
    return best, chosen


def _raw(scene: Scene) -> tuple[Array, dict[str, Any]]:
    return upsampled(counts(scene)), {}


def _lucy_oracle(scene: Scene) -> tuple[Array, dict[str, Any]]:
    image, iteration = oracle_lucy(counts(scene), scene.psf.data, truth(scene))
    return image, {"iteration": iteration}


def _lucy_told(scene: Scene) -> tuple[Array, dict[str, Any]]:
    """As the oracle, and told the true background; read noise is treated as so many more photons of background."""
    extra = CAMERA.read_noise_e**2
    image, iteration = oracle_lucy(
        counts(scene) + np.float32(extra), scene.psf.data, truth(scene), background=BACKGROUND + extra
    )
    return image + np.float32(BACKGROUND), {"iteration": iteration}


def _lucy_blind(scene: Scene) -> tuple[Array, dict[str, Any]]:
    data = counts(scene)
    iteration = blind_stop(data, scene.psf.data, scale=2)
    return richardson_lucy(data, scene.psf.data, iterations=iteration, scale=2), {"iteration": iteration}


def _wiener_oracle(scene: Scene) -> tuple[Array, dict[str, Any]]:
    data = counts(scene)
    candidates = (wiener(data, scene.psf.data, noise_to_signal=r, scale=2) for r in _RATIOS)
    image, chosen = _best(truth(scene), candidates)
    return image, {"noise_to_signal": _RATIOS[chosen - 1], "tried": len(_RATIOS)}


def _sparse_oracle(scene: Scene) -> tuple[Array, dict[str, Any]]:
    """The best of six pairs of weights; the seconds of one run are stated beside those of all."""
    data = counts(scene)
    began = time.perf_counter()
    candidates = (_sparse(data, scene.psf.data, f, s) for f, s in _SPARSE)
    image, chosen = _best(truth(scene), candidates)
    fidelity, sparsity = _SPARSE[chosen - 1]
    one = (time.perf_counter() - began) / len(_SPARSE)
    return image, {"fidelity": fidelity, "sparsity": sparsity, "tried": len(_SPARSE), "seconds_one_run": one}


def _sparse(data: Array, psf: Array, fidelity: float, sparsity: float) -> Array:
    """The estimate, or an even image where these weights leave nothing."""
    try:
        return sparse_deconvolution(data, psf, fidelity=fidelity, sparsity=sparsity, scale=2)
    except SuperlensError:
        return np.full([2 * side for side in data.shape], data.mean())


BASELINES = {
    "raw": _raw,
    "rl_oracle": _lucy_oracle,
    "rl_told": _lucy_told,
    "rl_blind": _lucy_blind,
    "wiener_oracle": _wiener_oracle,
    "sparse_oracle": _sparse_oracle,
}
"""Method by name."""
