"""Compare the two sources of noisy pairs on movies whose truth is known: one that stands still, and one that moves.

    python tests/quality/movies.py                        # minutes; prints a table and writes out/quality/movies.json
    python tests/quality/movies.py --side 128 --frames 4  # a rehearsal

Both models see the same frames. The moving scene goes along x by whole camera pixels; neighbouring frames are refused there, and the
row "temporal, forced" shows what the refusal saves from. Every frame is scored where it was, against the specimen at 1.5 times the
resolution, and the mean over the frames is told.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np
from suite.scenes import CAMERA, CAMERA_NM, make, optics
from suite.scores import score, stage_one
from suite.store import ROOT

from superlens.enhancing import enhance
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv import recipe
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.simulate import Scene


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--side", default=192, show_default=True, help="Camera pixels of the scene.")
@click.option("--frames", default=8, show_default=True)
@click.option("--photons", default=15.0, show_default=True, help="Mean of the brightest structures.")
@click.option("--speed", default=2, show_default=True, help="Camera pixels from frame to frame of the moving scene.")
@click.option("--out", default=ROOT / "out" / "quality" / "movies.json", type=click.Path(path_type=Path))
def main(side: int, frames: int, photons: float, speed: int, out: Path) -> None:
    """Run the comparison."""
    warnings.simplefilter("ignore")
    rows = []
    for kind in ("filaments", "vesicles"):
        scene = make(kind, photons, 1, side=side)
        for step in (0, speed):
            movie = _movie(scene, frames, step)
            for pairs, forced in (("recorrupt", False), ("temporal", False), ("temporal", True)):
                if forced and not step:
                    continue
                row = {"scene": kind, "moves_px": step, "pairs": pairs + (", forced" if forced else "")}
                rows.append({**row, **_measured(scene, movie, step, pairs, forced)})
                click.echo(
                    "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items())
                )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _movie(scene: Scene, frames: int, step: int) -> Image:
    rng = np.random.default_rng(0)
    clean = (np.roll(np.asarray(scene.clean), step * t, axis=-1) for t in range(frames))
    counts = np.stack([CAMERA.expose(rng.poisson(np.maximum(frame, 0)), rng, bits=16) for frame in clean])
    return Image(counts, "TYX", CAMERA_NM, frame_interval_s=1.0, name="movie")


def _measured(scene: Scene, movie: Image, step: int, pairs: Any, forced: bool) -> dict[str, Any]:
    config = ZSDeconvConfig.of("fast", pairs=pairs, offset=CAMERA.offset)
    began = time.perf_counter()
    try:
        with (
            mock.patch.object(recipe, "refuse_motion", lambda observations: None)
            if forced
            else warnings.catch_warnings()
        ):
            result = enhance(movie, optics("oil").given, config=config)
    except SuperlensError as error:
        return {"refused": str(error)}
    assert result.image is not None
    scores = []
    for t in range(movie.sizes["T"]):
        sharp, denoised = (np.roll(i.data[t], -f * step * t, -1) for i, f in ((result.image, 2), (result.denoised, 1)))
        scores.append({**score(scene, sharp), **stage_one(scene, denoised)})
    mean = {name: float(np.mean([s[name] for s in scores])) for name in ("psnr_db", "denoised_psnr_db", "flux")}
    return {**mean, "blend": result.model.config.provenance["blend"], "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
