"""``psf``, ``evaluate`` and ``compare``: what the optics do, and how far a result agrees with a reference."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.parameters import Parameter
from superlens.runs.choices import DRY_RUN, IMAGE, OpticsFacts, Reading, gathered
from superlens.runs.folders import TABLES, OutputFolder, stem_of
from superlens.runs.verb import Made, Outcome, Plan, Request, Sheet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from superlens.image import Image
    from superlens.optics import PSF

__all__ = [
    "COMPARE",
    "EVALUATE",
    "PSF_OF",
    "compare",
    "compare_images",
    "compare_tables",
    "evaluate",
    "make_psf",
    "plan_compare",
    "plan_evaluate",
    "plan_psf",
]

PSF_OF = (
    Parameter("beads", "file", "Image or stack of beads to measure the PSF from, instead of the optics.", "Image of beads", advanced=True),
    Parameter("pixel_nm", "float", "Pixel of the PSF, in nm; with `beads` the file's own by default.", "Pixel size", unit="nm", source="pixel_nm"),
    Parameter("z_step_nm", "float", "Distance between planes, in nm; makes the PSF 3D.", "Plane distance", unit="nm", source="z_step_nm"),
    Parameter("axes", "text", "Axes of the bead file's array, like ZYX; default: what the file says.", "Axes of the input file", advanced=True),
    IMAGE[-1],
    Parameter("out", "save", "TIFF file for the PSF.", "Output file", required=True, advanced=True),
    DRY_RUN,
)  # fmt: skip

EVALUATE = (
    Parameter("reference", "file", "Image of the same field that is taken as the truth.", required=True),
    Parameter("pixel_nm", "float", "Pixel of the result, in nm; default: what its file says."),
    Parameter("json", "save", "Write the numbers to this file too."),
    DRY_RUN,
)

COMPARE = (Parameter("out", "save", "Write the error map to this TIFF file.", "Output file", advanced=True), DRY_RUN)

_ENDINGS = ("_sr.tif", "_denoised.tif")


# -- psf ----------------------------------------------------------------------------------------------------------------


def make_psf(request: Request) -> Outcome:
    """Compute a PSF from the optics, or measure one from beads, and write it."""
    made, out = _psf_of(request), request.path("out")
    image = psf_image(made, "psf" if out is None else out.stem)
    files = _written(request, image, out)
    row = (made.fwhm_nm, made.fwhm_z_nm, made.pixel_nm, made.z_step_nm, made.source)
    return Outcome(
        made=(Made("psf", image, image.name, path=out),),
        sheet=Sheet(columns=("fwhm_nm", "fwhm_z_nm", "pixel_nm", "z_step_nm", "source"), rows=(row,)),
        text=describe_psf(made),
        files=files,
    )


def plan_psf(request: Request) -> Plan:
    """The PSF itself, which is made in no time."""
    image, beads = psf_image(_psf_of(request), "psf"), request.path("beads")
    return Plan(
        made=(Made("psf", image, "psf"),),
        memory_bytes=50_000_000 + 20 * image.data.nbytes,
        planes=1,
        reads=[] if beads is None else [(beads, request.reading)],
    )


def _psf_of(request: Request) -> PSF:
    from superlens.io import read
    from superlens.optics import PSF

    optics: OpticsFacts = gathered(OpticsFacts, request.given)
    beads = request.path("beads")
    sampling: dict[str, Any] = {name: request.get(name) for name in ("pixel_nm", "z_step_nm")}
    if beads is None and not request.images:
        return _psf_of_optics(sampling["pixel_nm"], sampling["z_step_nm"], optics)
    if optics.given:
        raise SuperlensError("`beads` and optics are both given; expected one of them. Leave the optics out.")
    if beads is not None:
        return PSF.from_beads(read(beads, axes=request.get("axes"), series=request.get("series"), **sampling))
    return PSF.from_beads(request.sources()[0].image)


def _psf_of_optics(pixel_nm: float | None, z_step_nm: float | None, optics: OpticsFacts) -> PSF:
    """Compute the PSF of the optics on a grid, or bring a measured one to it."""
    from superlens.optics import PSF

    if pixel_nm is None:
        raise SuperlensError("`pixel_nm` is missing; give the pixel of the PSF, in nanometres on the specimen.")
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


# -- compare ------------------------------------------------------------------------------------------------------------


def compare(request: Request) -> Outcome:
    """Hold an image against a reference: an error map and numbers."""
    import numpy as np

    from superlens import metrics
    from superlens.image import Image

    result, reference = _two(request.sources())
    request.session.progress(0, 1, "measuring")
    numbers = compare_images(result.image, reference.image, result.file, reference.file)
    shown, wanted, pixel_nm = scored_planes(result.image, reference.image, result.file, reference.file)
    error = metrics.rsp_rse(shown, wanted).error_map.astype(np.float32)
    image = Image(error, "YX", pixel_nm, name=f"{stem_of(result.file)}-error")
    request.session.progress(1, 1, "measuring")
    out = request.path("out")
    return Outcome(
        made=(Made("error-map", image, image.name, path=out),),
        sheet=Sheet(columns=("image", *numbers), rows=((stem_of(result.file), *numbers.values()),)),
        text=", ".join(f"{key} {'-' if value is None else f'{value:.4g}'}" for key, value in numbers.items()),
        files=_written(request, image, out),
    )


def plan_compare(request: Request) -> Plan:
    """The outline of the error map: the coarser of the two images."""
    from dataclasses import replace

    import numpy as np

    from superlens.image import Image

    result, reference = _two(request.sources(checked=False))
    shapes = [tuple(side for side in one.image.data.shape if side > 1) for one in (result, reference)]
    coarser, shape = (reference, shapes[1]) if math.prod(shapes[1]) <= math.prod(shapes[0]) else (result, shapes[0])
    if len(shape) != 2:
        raise SuperlensError(
            f"{stem_of(reference.file)} has axes {coarser.image.axes} and shape {coarser.image.data.shape}; expected one plane."
        )
    empty = Image(np.broadcast_to(np.zeros((), np.float32), shape), "YX", coarser.image.pixel_nm)
    name = f"{result.image.name or 'result'}-error"
    made = Made("error-map", replace(empty, name=name), name)
    return Plan(made=(made,), memory_bytes=50_000_000 + 80 * math.prod(shape), planes=1)


def _two(found: Any) -> tuple[Any, Any]:
    if len(found) != 2:
        raise SuperlensError(f"{len(found)} images are given; expected two, first the result and then the reference.")
    return found[0], found[1]


def _written(request: Request, image: Image, out: Path | None) -> tuple[Path, ...]:
    """Write an image to the file that was asked for."""
    if out is None:
        return ()
    from superlens.io import write

    request.session.check()
    folder = request.folder(out.parent, request.path("beads"))
    with folder.prepared([out.name], 2 * image.data.nbytes + 100_000), folder.delivery() as staging:
        write(staging / out.name, image)
    return (out,)


# -- evaluate -----------------------------------------------------------------------------------------------------------


def evaluate(request: Request) -> Outcome:
    """Compare results with a reference image, or a table of single molecules with a true one."""
    from superlens.io import read

    (out,), reference = request.get("inputs"), request.path("reference")
    pixel_nm, json_file = request.get("pixel_nm"), request.path("json")
    assert reference is not None
    if out.suffix.lower() in TABLES:
        rows, inputs = {out.name: compare_tables(out, reference, pixel_nm)}, [out]
    else:
        truth, inputs = read(reference), _results_in(out)
        rows = {path.name: compare_images(read(path, pixel_nm=pixel_nm), truth, path, reference) for path in inputs}
    if json_file is not None:
        folder = OutputFolder(json_file.parent, (reference, *inputs))
        with folder.prepared([json_file.name], 10_000), folder.delivery() as staging:
            (staging / json_file.name).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return Outcome(text=_table(rows))


def plan_evaluate(request: Request) -> Plan:
    """What is compared; nothing but numbers is made."""
    (out,), reference = request.get("inputs"), request.path("reference")
    assert reference is not None
    results = [out] if out.suffix.lower() in TABLES else _results_in(out)
    said = Reading(pixel_nm=request.get("pixel_nm"))
    of_reference = said if out.suffix.lower() in TABLES else Reading()
    reads = [*((path, said) for path in results), (reference, of_reference)]
    return Plan(made=(), memory_bytes=50_000_000, planes=len(results), reads=reads)


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
        told = f"no localization has a true one within 250 nm in its frame: {', '.join(spans)}. Are they of one movie?"
        warnings.warn(told, SuperlensWarning, stacklevel=2)
    return {name: value if math.isfinite(value) else None for name, value in scores(pairs).items()}


def _results_in(out: Path) -> list[Path]:
    if out.is_dir():
        found = sorted(out.glob(f"*{_ENDINGS[0]}")) or sorted(out.glob(f"*{_ENDINGS[1]}"))
        if not found:
            raise SuperlensError(f"{out} holds no *_sr.tif; give the folder of a run, or one image.")
        return found
    if not out.is_file():
        raise SuperlensError(f"{out} does not exist; give a result or the folder of a run.")
    return [out]


def compare_images(result: Image, truth: Image, path: Path, reference: Path) -> dict[str, float | None]:
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
    from superlens.optics.forward import binned

    image, target = _plane(result, path), _plane(truth, reference)
    finer, coarser = _factors(image.shape, target.shape, path, reference)
    pixel_nm = _common_pixel(result, truth, finer, coarser)
    return binned(image, (finer, finer)), binned(target, (coarser, coarser)), pixel_nm


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
