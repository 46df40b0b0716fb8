"""``psf`` and ``compare``: what the optics do, and how far a result agrees with another image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superlens.bridge.calls import Call, Made, Verb, transfer_of
from superlens.bridge.parameters import INPUT, Told, command
from superlens.bridge.protocol import OutputSpec, Response, Table
from superlens.cli.folders import OutputFolder, stem_of
from superlens.cli.measure import compare, describe_psf, psf_image, psf_of_optics, scored_planes
from superlens.cli.measure import psf as _psf
from superlens.cli.options import OpticsChoice, path_type
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.optics import PSF

__all__ = ["COMPARE", "PSF_VERB"]

_MEASURE = click.Option(["--measure"], is_flag=True, help="Average the beads of the open image instead of computing.")
_REFERENCE = click.Option(
    ["--reference"], required=True, help="Image of the same field taken as the truth: an open one by title, or a file."
)
_OUTPUT_FILE = Told("Output file", advanced=True, key="output", kind="save")


def _plan_psf(call: Call) -> Response:
    made = _psf_of(call)
    return _planned([Made(OutputSpec.of("psf", psf_image(made, "psf"), "psf"), psf_image(made, "psf"))])


def _run_psf(call: Call) -> Response:
    made = _psf_of(call)
    out = call.path("out")
    image = psf_image(made, "psf" if out is None else out.stem)
    described = Made(OutputSpec.of("psf", image, image.name), image)
    files = _written(call, described, out)
    row = (made.fwhm_nm, made.fwhm_z_nm, made.pixel_nm, made.z_step_nm, made.source)
    return _answer(
        call,
        described,
        files,
        table=Table(columns=("fwhm_nm", "fwhm_z_nm", "pixel_nm", "z_step_nm", "source"), rows=(row,)),
        text=describe_psf(made),
    )


def _psf_of(call: Call) -> PSF:
    from superlens.io import read
    from superlens.optics import PSF

    optics = call.choice(OpticsChoice)
    beads = call.path("beads")
    sampling: dict[str, Any] = {name: call.arguments.get(name) for name in ("pixel_nm", "z_step_nm")}
    if beads is None and not call.request.inputs:
        return psf_of_optics(sampling["pixel_nm"], sampling["z_step_nm"], optics)
    if optics.given:
        raise SuperlensError("beads and optics are both given; expected one of them. Leave the optics out.")
    if beads is not None:
        return PSF.from_beads(read(beads, axes=call.arguments.get("axes"), **sampling))
    return PSF.from_beads(call.sources()[0].image)


def _plan_compare(call: Call) -> Response:
    (result, _), (reference, path) = _two(call.expected(), "images")
    shapes = [tuple(side for side in spec.shape if side > 1) for spec in (result, reference)]
    coarser, shape = (reference, shapes[1]) if math.prod(shapes[1]) <= math.prod(shapes[0]) else (result, shapes[0])
    if len(shape) != 2:
        raise SuperlensError(f"{stem_of(path)} has axes {coarser.axes} and shape {coarser.shape}; expected one plane.")
    plain = coarser.with_changes({"axes": "YX", "channel_names": (), "z_step_nm": None, "frame_interval_s": None})
    spec = OutputSpec.announce("error-map", plain, shape, f"{result.name or 'result'}-error")
    return Response(outputs=(spec,), info=_about([spec]))


def _run_compare(call: Call) -> Response:
    import numpy as np

    from superlens import metrics
    from superlens.image import Image

    result, reference = _two(call.sources(), "images")
    call.progress(0, 1, "measuring")
    numbers = compare(result.image, reference.image, result.file, reference.file)
    shown, wanted, pixel_nm = scored_planes(result.image, reference.image, result.file, reference.file)
    name = f"{stem_of(result.file)}-error"
    error = metrics.rsp_rse(shown, wanted).error_map.astype(np.float32)
    image = Image(error, "YX", pixel_nm, name=name)
    call.progress(1, 1, "measuring")
    described = Made(OutputSpec.of("error-map", image, name), image)
    return _answer(
        call,
        described,
        _written(call, described, call.path("out")),
        table=Table(columns=("image", *numbers), rows=((stem_of(result.file), *numbers.values()),)),
        text=", ".join(f"{key} {'-' if value is None else f'{value:.4g}'}" for key, value in numbers.items()),
    )


def _two(found: Sequence[Any], what: str) -> tuple[Any, Any]:
    if len(found) != 2:
        raise SuperlensError(f"{len(found)} {what} are given; expected two, first the result and then the reference.")
    return found[0], found[1]


def _planned(made: Sequence[Made]) -> Response:
    specs = [item.spec for item in made]
    return Response(outputs=tuple(specs), info=_about(specs))


def _about(specs: Sequence[OutputSpec]) -> dict[str, Any]:
    size = sum(spec.bytes for spec in specs)
    return {"transfer": transfer_of([], specs), "memory_bytes": 50_000_000 + 20 * size, "seconds": None, "planes": 1}


def _written(call: Call, made: Made, out: Path | None) -> tuple[str, ...]:
    """Write an image to the file that was asked for."""
    if out is None:
        return ()
    from superlens.io import write

    call.progress.check()
    read_from = tuple(path for path in (call.path("beads"), call.path("input")) if path is not None)
    folder = OutputFolder(out.parent, read_from)
    with folder.prepared([out.name], 2 * made.spec.bytes + 100_000), folder.delivery() as staging:
        write(staging / out.name, made.image)
    return (str(out),)


def _answer(call: Call, made: Made, files: tuple[str, ...], *, table: Table, text: str) -> Response:
    given, messages = call.deliver([made])
    in_files = tuple(made.spec.with_changes({"path": path, "name": Path(path).stem}) for path in files)
    return Response(outputs=(*given, *in_files), table=table, text=text, messages=messages, files=files)


PSF_VERB = Verb(
    run=_run_psf,
    plan=_plan_psf,
    works=True,
    command=command(
        "Superlens PSF...",
        "Compute a PSF from the optics, or measure one from beads.",
        (*_psf.params, _MEASURE),
        told={
            "out": _OUTPUT_FILE,
            "beads": Told("Image of beads", advanced=True, kind="file"),
            "measure": Told("Measure it from the beads in the open image", client=True),
        },
    ),
)
COMPARE = Verb(
    run=_run_compare,
    plan=_plan_compare,
    works=True,
    command=command(
        "Superlens Compare...",
        "Hold a result against a reference: error map, RSP, RSE, FRC, PSNR and SSIM.",
        (_REFERENCE, INPUT, click.Option(["--out"], type=path_type, help="Write the error map to this TIFF file.")),
        told={"out": _OUTPUT_FILE, "reference": Told("Reference", kind="image", client=True)},
    ),
)
