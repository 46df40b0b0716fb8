"""``superlens psf`` and ``superlens evaluate``: what the optics do, and how good a result is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superlens.cli.failures import note
from superlens.cli.folders import OUTPUT_ENDINGS, OutputFolder
from superlens.cli.options import OpticsChoice, optics_options, path_type
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from superlens.image import Image
    from superlens.optics import PSF

__all__ = [
    "compare",
    "compare_tables",
    "describe_psf",
    "evaluate",
    "psf",
    "psf_image",
    "psf_of_optics",
    "scored_planes",
]

_TABLES = (".csv", ".txt", ".tsv", ".hdf5", ".h5", ".hdf", ".smlm")


@click.command()
@click.option("--beads", type=path_type, help="Image or stack of beads to measure the PSF from, instead of the optics.")
@click.option("--pixel-nm", type=float, help="Pixel of the PSF, in nm; with --beads the file's own by default.")
@click.option("--z-step-nm", type=float, help="Distance between planes, in nm; makes the PSF 3D.")
@click.option("--axes", help="Axes of the bead file's array, like ZYX; default: what the file says.")
@click.option("--out", required=True, type=path_type, help="TIFF file for the PSF.")
@optics_options
def psf(
    beads: Path | None,
    pixel_nm: float | None,
    z_step_nm: float | None,
    axes: str | None,
    out: Path,
    optics: OpticsChoice,
) -> None:
    """Write a PSF, computed or measured, and print its width."""
    from superlens.io import write

    if beads is None:
        made = psf_of_optics(pixel_nm, z_step_nm, optics)
    else:
        made = _beads_psf(beads, optics, pixel_nm=pixel_nm, z_step_nm=z_step_nm, axes=axes)
    folder = OutputFolder(out.parent, (beads,) if beads else ())
    with folder.prepared([out.name], 8 * made.data.size + 100_000), folder.delivery() as staging:
        write(staging / out.name, psf_image(made, out.stem))
    click.echo(f"{out}: {describe_psf(made)}")


@click.command()
@click.argument("out", type=path_type)
@click.option("--reference", required=True, type=path_type, help="Image of the same field that is taken as the truth.")
@click.option("--pixel-nm", type=float, help="Pixel of the result, in nm; default: what its file says.")
@click.option("--json", "json_file", type=path_type, help="Write the numbers to this file too.")
def evaluate(out: Path, reference: Path, pixel_nm: float | None, json_file: Path | None) -> None:
    """Compare results with a reference image, or a table of single molecules with a true one.

    OUT is a result or a folder of them (its *_sr.tif). When one of the two images is finer by a whole factor, its pixels are averaged. The
    result is brought to the reference by one gain and one offset before PSNR, SSIM and NRMSE are taken.
    """
    from superlens.io import read

    if out.suffix.lower() in _TABLES:
        rows = {out.name: compare_tables(out, reference, pixel_nm)}
        inputs = [out]
    else:
        truth, inputs = read(reference), _results_in(out)
        rows = {path.name: compare(read(path, pixel_nm=pixel_nm), truth, path, reference) for path in inputs}
    if json_file is not None:
        folder = OutputFolder(json_file.parent, (reference, *inputs))
        with folder.prepared([json_file.name], 10_000), folder.delivery() as staging:
            (staging / json_file.name).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    click.echo(_table(rows))


def compare_tables(found: Path, reference: Path, pixel_nm: float | None) -> dict[str, float | None]:
    """Match two tables of one movie frame by frame, at 250 nm, and count."""
    from superlens.io import read_localizations
    from superlens.smlm import match, scores

    tables = [read_localizations(path, pixel_nm=pixel_nm) for path in (found, reference)]
    pairs = match(*tables)
    if not len(pairs):
        spans = [
            f"{path.name} has frames {table['frame'].min()} to {table['frame'].max()} and x up to {table['x_nm'].max():.0f} nm"
            if len(table)
            else f"{path.name} is empty"
            for path, table in zip((found, reference), tables, strict=True)
        ]
        note(f"no localization has a true one within 250 nm in its frame: {', '.join(spans)}. Are they of one movie?")
    return {name: value if math.isfinite(value) else None for name, value in scores(pairs).items()}


def psf_of_optics(pixel_nm: float | None, z_step_nm: float | None, optics: OpticsChoice) -> PSF:
    """Compute the PSF of the optics on a grid, or bring a measured one to it.

    Raises
    ------
    SuperlensError
        When the pixel or the optics are missing or cannot be.
    """
    from superlens.optics import PSF

    if pixel_nm is None:
        raise SuperlensError("--pixel-nm is missing; give the pixel of the PSF, in nanometres on the specimen.")
    lens = optics.load()
    if isinstance(lens, PSF):
        return lens.resample(pixel_nm, z_step_nm)
    return lens.psf(pixel_nm, z_step_nm=z_step_nm)


def describe_psf(made: PSF) -> str:
    """Two lines: where a PSF comes from, and how wide it is."""
    axial = "" if made.fwhm_z_nm is None else f", axial {made.fwhm_z_nm:.0f} nm"
    grid = f"{' x '.join(map(str, made.data.shape))} pixels of {made.pixel_nm:g} nm"
    return f"{made.source}\nFWHM {made.fwhm_nm:.0f} nm{axial}; {grid}"


def psf_image(made: PSF, name: str) -> Image:
    """Give a PSF as an image of float32, as it goes into files."""
    import numpy as np

    from superlens.image import Image

    axes = "YX" if made.data.ndim == 2 else "ZYX"
    history = {"psf": made.source}
    return Image(made.data.astype(np.float32), axes, made.pixel_nm, made.z_step_nm, name=name, history=history)


def _beads_psf(
    beads: Path, optics: OpticsChoice, *, pixel_nm: float | None, z_step_nm: float | None, axes: str | None
) -> PSF:
    from superlens.io import read
    from superlens.optics import PSF

    if optics.given:
        raise SuperlensError("--beads is given together with optics; expected one of them. Leave the optics out.")
    return PSF.from_beads(read(beads, axes=axes, pixel_nm=pixel_nm, z_step_nm=z_step_nm))


def _results_in(out: Path) -> list[Path]:
    if out.is_dir():
        found = sorted(out.glob(f"*{OUTPUT_ENDINGS[0]}")) or sorted(out.glob(f"*{OUTPUT_ENDINGS[1]}"))
        if not found:
            raise SuperlensError(
                f"{out} holds no *_sr.tif; give the folder of `superlens enhance --out`, or one image."
            )
        return found
    if not out.is_file():
        raise SuperlensError(f"{out} does not exist; give a result or the folder of a run.")
    return [out]


def compare(result: Image, truth: Image, path: Path, reference: Path) -> dict[str, float | None]:
    """Measure one result against the reference, both on the coarser of their two grids.

    Returns
    -------
    dict of str to float
        Named as the columns of `superlens evaluate`; None where a number does not exist.
    """
    from superlens import metrics

    shown, wanted, pixel_nm = scored_planes(result, truth, path, reference)
    fitted = metrics.linear_fit(shown, wanted)
    consistency = metrics.rsp_rse(shown, wanted)
    numbers = {
        "psnr_db": metrics.psnr(wanted, fitted),
        "ssim": metrics.ssim(wanted, fitted, data_range=float(wanted.max())),
        "nrmse": metrics.nrmse(wanted, fitted),
        "frc_nm": math.nan if pixel_nm is None else metrics.frc_resolution(shown, wanted, pixel_nm),
        "rsp": consistency.rsp,
        "rse": consistency.rse,
    }
    return {name: float(value) if math.isfinite(value) else None for name, value in numbers.items()}


def scored_planes(
    result: Image, truth: Image, path: Path, reference: Path
) -> tuple[NDArray[np.float64], NDArray[np.float64], float | None]:
    """Bring a result and a reference to the coarser of their two grids.

    Returns
    -------
    ndarray, ndarray, shape (Y, X), float64
        Result and reference.
    float or None
        Their common pixel, in nm.

    Raises
    ------
    SuperlensError
        When one of them is no plane, or their sizes are no whole multiples; the paths name them.
    """
    image, target = _plane(result, path), _plane(truth, reference)
    finer, coarser = _factors(image.shape, target.shape, path, reference)
    return _binned(image, finer), _binned(target, coarser), _common_pixel(result, truth, finer, coarser)


def _plane(image: Image, path: Path) -> NDArray[np.float64]:
    import numpy as np

    data = np.squeeze(np.asarray(image.data, np.float64))
    if data.ndim != 2:
        raise SuperlensError(
            f"{path} has axes {image.axes} and shape {image.data.shape}; expected one plane. Export one."
        )
    return data


def _factors(shape: tuple[int, ...], target: tuple[int, ...], path: Path, reference: Path) -> tuple[int, int]:
    """By what each image must be binned: (of the result, of the reference); one of the two is 1."""
    for finer, coarser, swap in ((shape, target, False), (target, shape, True)):
        factor = finer[0] // coarser[0]
        if factor >= 1 and finer == tuple(side * factor for side in coarser):
            return (1, factor) if swap else (factor, 1)
    raise SuperlensError(
        f"{path} has {shape[0]} x {shape[1]} pixels and {reference} {target[0]} x {target[1]}; expected equal sizes, or one of "
        "them a whole number of times larger. Crop them to the same field."
    )


def _binned(data: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    y, x = (side // factor for side in data.shape)
    binned: NDArray[np.float64] = data.reshape(y, factor, x, factor).mean(axis=(1, 3))
    return binned


def _common_pixel(result: Image, truth: Image, finer: int, coarser: int) -> float | None:
    if result.pixel_nm is not None:
        return result.pixel_nm * finer
    return None if truth.pixel_nm is None else truth.pixel_nm * coarser


_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("psnr_db", "PSNR (dB)", ".2f"),
    ("ssim", "SSIM", ".4f"),
    ("nrmse", "NRMSE", ".4f"),
    ("frc_nm", "FRC (nm)", ".0f"),
    ("rsp", "RSP", ".4f"),
    ("rse", "RSE", ".4g"),
    ("jaccard", "Jaccard", ".3f"),
    ("recall", "recall", ".3f"),
    ("precision", "precision", ".3f"),
    ("rmse_lateral_nm", "RMSE (nm)", ".1f"),
    ("efficiency", "E (%)", ".1f"),
)


def _table(rows: dict[str, dict[str, Any]]) -> str:
    width = max(len("result"), *(len(name) for name in rows))
    columns = [column for column in _COLUMNS if any(column[0] in numbers for numbers in rows.values())]
    lines = [f"{'result':<{width}}" + "".join(f"  {title:>9}" for _, title, _ in columns)]
    for name, numbers in rows.items():
        cells = (f"{numbers[key]:{form}}" if numbers[key] is not None else "-" for key, _, form in columns)
        lines.append(f"{name:<{width}}" + "".join(f"  {cell:>9}" for cell in cells))
    return "\n".join(lines)
