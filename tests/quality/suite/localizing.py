"""One movie, localized in a process of its own: ``python -m suite.localizing filaments 5.5 361``, the last line of its output is JSON.

Imports are left out, and everything else is in: estimates, tracing, fits, drift, linking, the report's numbers. Seconds are given twice: on the
clock, and of the processor, all threads together, which hardly change when other programs run.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

__all__ = ["localized"]

_PIXEL_NM = 100.0


def localized(kind: str, density_um2: float, frames: int, model: str | None = None, seed: int = 7) -> dict[str, Any]:
    """Frames a second, and how good the table is, of a simulated movie of 64 x 64 pixels with molecules beyond its edges."""
    import superlens as sl
    from superlens.camera import Camera
    from superlens.model import Model
    from superlens.simulate import Filaments, Independent, SmlmScene, Uniform
    from superlens.smlm import match, scores

    scene = SmlmScene(
        pixel_nm=_PIXEL_NM,
        margin_nm=500.0,
        sites={"filaments": Filaments(), "uniform": Uniform()}[kind],
        blinking=Independent(density_um2),
        sensor=Camera(gain=2.07, offset=100.0, read_noise_e=2.2),
    )
    movie = sl.simulate_smlm(frames, scene, rng=np.random.default_rng(seed))
    sl.localize  # noqa: B018  # loads the engine
    began, spent = time.perf_counter(), time.process_time()
    found = sl.localize(movie.frames, None if model is None else Model.load(model))
    assert found.metrics["localizations"]
    wall, processor = time.perf_counter() - began, time.process_time() - spent
    told = scores(match(found.localizations, movie.truth))
    return {
        "frames": frames,
        "wall": wall,
        "processor": processor,
        **{name: told[name] for name in ("jaccard", "recall", "precision", "rmse_lateral_nm")},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(localized(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])) + "\n")
