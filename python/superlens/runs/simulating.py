"""``simulate``: movies of blinking molecules with their truth, free or like a given movie."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superlens.errors import SuperlensError
from superlens.parameters import Parameter
from superlens.runs.movies import sheet_of
from superlens.runs.verb import Made, Outcome, Plan, Request

if TYPE_CHECKING:
    from superlens.simulate import SmlmScene
    from superlens.simulate.movie import Movie

__all__ = ["SCENE", "plan_simulate", "simulate"]

_MOST_ROWS = 50_000

SCENE = (
    Parameter("out", "folder", "Folder for frames.tif and truth.csv.", "Output folder", required=True, advanced=True),
    Parameter("like", "file", "Imitate this movie: its spot width, photons, background, density and camera.", "Like this movie"),
    Parameter("frames", "int", "Number of frames.", "Number of frames", default=20, least=1),
    Parameter("structure", "choice", "Where molecules sit.", "Structure", default="uniform", choices=("uniform", "filaments", "rings")),
    Parameter("side", "int", "Camera pixels along each side; default: those of the movie, else 64.", "Side of a frame", least=16, most=2048, unit="pixels"),
    Parameter("density_um2", "float", "Molecules per square micrometre and frame; default: 2.", "Density", least=0, unit="per µm²"),
    Parameter("photons", "float", "Photons of a molecule; default: 2250.", "Photons of a molecule", least=0, above=True),
    Parameter("background", "float", "Background photons in a pixel; default: 20.", "Background", least=0, unit="photons in a pixel"),
    Parameter("psf_sigma_nm", "float", "Standard deviation of a molecule's image; default: 110.", "Sigma of a molecule", least=20, most=1000, unit="nm"),
    Parameter("seed", "int", "Same seed, same movie.", "Seed", default=0, least=0, advanced=True),
)  # fmt: skip


def simulate(request: Request) -> Outcome:
    """Simulate a movie of blinking molecules."""
    import numpy as np

    from superlens.simulate import simulate_smlm

    scene = _scene(request)
    rng = np.random.default_rng(request.get("seed", 0))
    movie = simulate_smlm(int(request.get("frames", 20)), scene, rng=rng)
    request.session.check()
    files = _written(request, movie)
    rows = len(movie.truth)
    return Outcome(
        made=(Made("simulated", movie.frames, "simulated", path=files[0] if files else None),),
        sheet=sheet_of(movie.truth) if rows <= _MOST_ROWS else None,
        text=f"molecules in all frames: {rows}",
        files=files,
    )


def plan_simulate(request: Request) -> Plan:
    """The outline of the movie."""
    import numpy as np

    from superlens.image import Image

    scene = _scene(request)
    shape = (int(request.get("frames", 20)), *scene.yx_shape)
    empty = Image(np.broadcast_to(np.zeros((), np.uint16), shape), "TYX", scene.pixel_nm, name="simulated")
    made = Made("simulated", empty, "simulated")
    return Plan(made=(made,), memory_bytes=20 * math.prod(shape), planes=shape[0])


def _written(request: Request, movie: Movie) -> tuple[Path, ...]:
    out = request.path("out")
    if out is None:
        return ()
    from superlens.io import write, write_localizations

    names = ("frames.tif", "truth.csv")
    folder = request.folder(out, request.path("like"))
    with folder.prepared(names, movie.frames.data.nbytes + 10_000_000), folder.delivery() as staging:
        write(staging / names[0], movie.frames)
        write_localizations(staging / names[1], movie.truth)
    for name in names:
        request.session.wrote(out / name)
    return tuple(out / name for name in names)


def _scene(request: Request) -> SmlmScene:
    names = ("density_um2", "photons", "background", "psf_sigma_nm")
    asked = {name: float(request.get(name)) for name in names if request.get(name) is not None}
    return scene_of(
        request.path("like"),
        request.get("structure", "uniform"),
        request.get("side"),
        request.get("axes"),
        request.get("pixel_nm"),
        asked,
    )


def scene_of(
    like: Path | None,
    structure: str,
    side: int | None,
    axes: str | None,
    pixel_nm: float | None,
    asked: dict[str, float],
) -> SmlmScene:
    """Describe what to simulate: the usual, or what a movie tells about itself, with what was asked for on top.

    Raises
    ------
    SuperlensError
        When the movie cannot be used, or a value cannot be.
    """
    from superlens.camera import Camera
    from superlens.simulate import (
        Background,
        Filaments,
        GaussianSpots,
        Independent,
        PhotonLaw,
        Rings,
        SmlmScene,
        Uniform,
    )

    values: dict[str, float] = {"density_um2": 2.0, "photons": 2250.0, "background": 20.0, "psf_sigma_nm": 110.0}
    about: dict[str, Any] = {"yx_shape": (64, 64), "pixel_nm": pixel_nm or 100.0}
    if like is not None:
        from superlens.smlm.estimation import Known
        from superlens.streaming.movie import check_movie, estimate_conditions, open_movie

        movie = open_movie(like, axes=axes, pixel_nm=pixel_nm)
        count, *shape = check_movie(movie)
        told = estimate_conditions(movie, Known(), (0, count))
        values = {
            "density_um2": told.density_um2,
            "photons": told.photons,
            "background": told.background,
            "psf_sigma_nm": told.sigma_nm,
        }
        camera = Camera(told.camera.gain, told.camera.offset, told.camera.read_noise_e)
        about = {"yx_shape": tuple(shape), "pixel_nm": movie.pixel_nm, "sensor": camera}
    elif axes is not None:
        raise SuperlensError("`axes` describes a movie; give the movie with `like`, or leave it out.")
    values |= asked
    if side is not None:
        about["yx_shape"] = (side, side)
    sigma = values["psf_sigma_nm"]
    sites = {"uniform": Uniform, "filaments": Filaments, "rings": Rings}[structure]()
    return SmlmScene(
        **about,
        margin_nm=5 * sigma,
        sites=sites,
        blinking=Independent(values["density_um2"]),
        photons=PhotonLaw("normal", values["photons"], 0.11 * values["photons"]),
        spots=GaussianSpots(sigma, 0.045 * sigma),
        background=Background(values["background"], values["background"]),
    )
