"""``superlens simulate smlm``: movies of blinking molecules with their truth, free or like a given movie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superlens.cli.folders import OutputFolder
from superlens.cli.options import ImageChoice, image_options, path_type
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.simulate import SmlmScene

__all__ = ["scene_of", "simulate", "smlm"]

_STRUCTURES = ("uniform", "filaments", "rings")


@click.group()
def simulate() -> None:
    """Make images whose truth is known."""


@simulate.command()
@click.option(
    "--from", "like", type=path_type, help="A movie to take width, photons, background, density and camera from."
)
@click.option("--frames", type=click.IntRange(min=1), default=20, show_default=True, help="Number of frames.")
@click.option(
    "--structure", type=click.Choice(_STRUCTURES), default="uniform", show_default=True, help="Where molecules sit."
)
@click.option(
    "--side", type=click.IntRange(16, 2048), help="Camera pixels along each side; default: those of the movie, else 64."
)
@click.option(
    "--density-um2", type=click.FloatRange(min=0), help="Molecules per square micrometre and frame; default: 2."
)
@click.option("--photons", type=click.FloatRange(min=0, min_open=True), help="Photons of a molecule; default: 2250.")
@click.option("--background", type=click.FloatRange(min=0), help="Photons of a pixel besides; default: 20.")
@click.option(
    "--psf-sigma-nm", type=click.FloatRange(20, 1000), help="Standard deviation of a molecule's image; default: 110."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same movie.")
@click.option("--out", required=True, type=path_type, help="Folder for frames.tif and truth.csv.")
@image_options
def smlm(
    like: Path | None,
    frames: int,
    structure: str,
    side: int | None,
    seed: int,
    out: Path,
    image: ImageChoice,
    **asked: float | None,
) -> None:
    """Simulate a movie of blinking molecules.

    Writes frames.tif and truth.csv, the latter with ThunderSTORM's columns: one row for each molecule in each frame.
    """
    import numpy as np

    from superlens.io import write, write_localizations
    from superlens.simulate import simulate_smlm

    scene = scene_of(like, structure, side, image, {name: value for name, value in asked.items() if value is not None})
    folder = OutputFolder(out, () if like is None else (like,))
    size = 2 * frames * scene.yx_shape[0] * scene.yx_shape[1] + 10_000_000
    with folder.prepared(["frames.tif", "truth.csv"], size):
        movie = simulate_smlm(frames, scene, rng=np.random.default_rng(seed))
        with folder.delivery() as staging:
            write(staging / "frames.tif", movie.frames)
            write_localizations(staging / "truth.csv", movie.truth)
    click.echo(f"{out / 'frames.tif'}\n{out / 'truth.csv'}")


def scene_of(
    like: Path | None, structure: str, side: int | None, image: ImageChoice, asked: dict[str, float]
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
    about: dict[str, Any] = {"yx_shape": (64, 64), "pixel_nm": image.pixel_nm or 100.0}
    if like is not None:
        from superlens.smlm.estimation import Known
        from superlens.smlm.recording import check_movie, estimate_conditions, open_movie

        movie = open_movie(like, axes=image.axes, pixel_nm=image.pixel_nm)
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
    elif image.axes is not None:
        raise SuperlensError("--axes describes a movie; give the movie with --from, or leave it out.")
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
