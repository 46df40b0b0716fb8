"""``sim`` and ``simulate sim``: raw frames of structured illumination to an image with its report, and raw frames with their truth."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from superlens.errors import SuperlensError, printable
from superlens.host import versions
from superlens.image import Image
from superlens.parameters import Parameter
from superlens.runs.choices import Channels
from superlens.runs.folders import stem_of
from superlens.runs.learning import hollow
from superlens.runs.result_names import digest_of, identity_of
from superlens.runs.verb import Made, Outcome, Plan, Request, Source

if TYPE_CHECKING:
    from superlens.optics import Objective
    from superlens.optics.patterns import Pattern
    from superlens.reconstruct.sim import SimChannels, SimOptions, SimResult

    Reconstructed: TypeAlias = SimResult | SimChannels

__all__ = ["RECONSTRUCTION", "SCENE", "plan_simulate_sim", "plan_structured", "reconstruct", "simulate_sim"]

SCHEMA = 1

RECONSTRUCTION = (
    Parameter("like", "file", "The run.json of a brighter recording with the same settings: keep its wave vectors and phase steps.", "Pattern like that of", advanced=True),
    Parameter(
        "order", "text",
        "Axes of the frames, the fastest first, like phase,z,angle; or omx, elyra, fastsim, biosr, nsim (a montage); auto: found.",
        "Order of the frames", default="auto",
    ),
    Parameter("angles", "int", "Number of directions; default: found.", "Angles", least=1, most=9, advanced=True),
    Parameter("phases", "int", "Frames of each direction; default: found.", "Phases", least=3, most=25, advanced=True),
    Parameter(
        "regularisation", "choice", "wiener: one weight; true-wiener: a weight for each ring; flat-noise: noise stays white.", "Regularisation",
        default="wiener", choices=("wiener", "true-wiener", "flat-noise"), advanced=True,
    ),
    Parameter("w", "float", "Weight of the Wiener filter; default: from signal and noise.", "Wiener weight", least=0, above=True, most=10, advanced=True),
    Parameter("damping", "float", "Damping of the transfer function, 0.05 to 1; default: measured.", "OTF damping", least=0.05, most=1, advanced=True),
    Parameter("attenuation", "float", "Attenuation of order 0 at low frequencies, against haze.", "Haze attenuation", default=0.0, least=0, most=0.95, advanced=True),
)  # fmt: skip

SCENE = (
    Parameter("out", "folder", "Folder for raw.tif, truth.tif and pattern.json.", "Output folder", required=True, advanced=True),
    Parameter("light", "choice", "Kind of illumination.", "Illumination", default="two-beam", choices=("two-beam", "three-beam", "lattice", "hexagonal")),
    Parameter("structure", "choice", "Specimen.", "Specimen", default="filaments", choices=("filaments", "mitochondria", "vesicles", "er_network", "membranes", "beads", "nuclei", "one_over_f")),
    Parameter("side", "int", "Camera pixels along each side.", "Side of a frame", default=256, least=64, most=2048, unit="pixels"),
    Parameter("na", "float", "Numerical aperture.", "Numerical aperture", default=1.4, least=0.1, most=1.7),
    Parameter("wavelength_nm", "float", "Emission wavelength.", "Emission wavelength", default=525.0, least=300, most=1100, unit="nm"),
    Parameter("pixel_nm", "float", "Camera pixel on the specimen.", "Pixel size", default=65.0, least=1, unit="nm"),
    Parameter("frequency", "float", "Wave vector of the pattern, as a part of the cutoff.", "Wave vector", default=0.9, least=0.2, most=1.1),
    Parameter("modulation", "float", "Contrast of the pattern.", "Modulation", default=0.8, least=0, most=1),
    Parameter("photons", "float", "Mean photons of the specimen in a pixel and frame.", "Photons", default=50.0, least=0, above=True),
    Parameter("background", "float", "Photons of a pixel besides, without pattern.", "Background", default=0.0, least=0, advanced=True),
    Parameter("bleaching", "float", "Part of the light that is lost from the first to the last frame.", "Bleaching", default=0.0, least=0, most=0.9, advanced=True),
    Parameter("drift_px", "float", "Pixels that the specimen moves meanwhile.", "Drift", default=0.0, least=0, most=20, unit="pixels", advanced=True),
    Parameter("uneven_deg", "float", "Standard deviation of the phase steps, in degrees.", "Uneven steps", default=0.0, least=0, most=90, advanced=True),
    Parameter("seed", "int", "Same seed, same frames.", "Seed", default=0, least=0, advanced=True),
)  # fmt: skip


# -- sim ----------------------------------------------------------------------------------------------------------------


def reconstruct(request: Request) -> Outcome:
    """Reconstruct raw frames, one file after the other, channel by channel."""
    options, sources = _options(request), _sources(request)
    channels = _channels(request, [source.image for source in sources])
    patterns = _like(request, channels.numbers)
    out = request.path("out")
    if out is None and len(sources) > 1:
        raise SuperlensError(f"there are {len(sources)} images; name a folder in `out` for their results.")
    alone = len(sources) == 1
    names = [_names(source, alone) for source in sources]
    made: list[tuple[Source, Reconstructed]] = []

    def work() -> None:
        for source, image in zip(sources, channels.images, strict=True):
            result = _reconstructed(request, image, channels, patterns, options)
            for message in result.messages:
                request.session.note(message)
            made.append((replace(source, image=image), result))
            request.session.check()

    files: list[Path] = []
    if out is None:
        work()
    else:
        folder = request.folder(out, request.path("like"))
        size = sum(40 * image.data.size for image in channels.images) + 10_000_000
        with folder.prepared([*(name for one in names for name in one.values()), "run.json"], size):
            work()
            with folder.delivery() as staging:
                told = [_written(staging, one, *both, channels) for one, both in zip(names, made, strict=True)]
                _write_record(staging / "run.json", request, told)
        files = [out / name for one in names for name in one.values()] + [out / "run.json"]
        for path in files:
            request.session.wrote(path)
    return _outcome(made, names, channels, out, files)


def _reconstructed(
    request: Request, image: Image, channels: Channels, patterns: list[Pattern | None], options: SimOptions
) -> Reconstructed:
    from superlens.reconstruct.sim import reconstruct_sim

    lenses = cast("list[Objective]", channels.optics)
    workers, progress = int(request.get("threads", 1)), request.session.progress
    if channels.numbers is None:
        return reconstruct_sim(image, lenses[0], patterns[0], options=options, workers=workers, progress=progress)
    try:
        return reconstruct_sim(
            image, lenses, patterns, channels=channels.numbers, options=options, workers=workers, progress=progress
        )
    except SuperlensError as error:  # here each is named by itself
        raise SuperlensError(str(error).replace("`channels`", "`channel`")) from error


def plan_structured(request: Request) -> Plan:
    """The outline of the result, as far as the number of planes decides it."""
    options = _options(request)
    opened = [Source(request.reading.file(path).open().header, path) for path in request.files]
    sources = request.required([*opened, *request.images])
    channels = _channels(request, [hollow(source.image) for source in sources])
    made = []
    if len(sources) == 1:
        stem, image = stem_of(sources[0].file), channels.images[0]
        numbers = _fewer(image, channels)
        made = [
            Made("sim", _outline(image, channels, options, 2), f"{stem}-sim", 2, numbers),
            Made("widefield", _outline(image, channels, options, 1), f"{stem}-widefield", 1, numbers, show=False),
        ]
    pixels = max(math.prod(source.image.data.shape) for source in sources)
    return Plan(made=made, memory_bytes=200_000_000 + 60 * pixels, planes=1, in_files=bool(opened))


def _outline(image: Image, channels: Channels, options: SimOptions, scale: int) -> Image:
    """A result without its pixels.

    Raises
    ------
    SuperlensError
        When the number of sets cannot be known from that of the planes.
    """
    from superlens.reconstruct.sim.layout import layouts
    from superlens.reconstruct.sim.reconstruct import on_grid

    planes = math.prod(image.data.shape[:-2]) // image.sizes.get("C", 1)
    sets, sides = 1, image.data.shape[-2:]
    if options.order == "nsim" and planes == 1:
        sides = sides[0] // (options.angles or 3), sides[1] // (options.phases or 3)
    elif planes > 1:
        found = {one.sets for one in layouts(planes, options.axes(), options.angles, options.phases)}
        if len(found) > 1 and 1 not in found:
            raise SuperlensError(
                f"{planes} planes may be {' or '.join(map(str, sorted(found)))} sets of raw frames; give `angles` and `phases`."
            )
        sets = min(found)
    one = image.select(c=0) if "C" in image.axes else image
    made = on_grid(one, np.broadcast_to(np.zeros((), np.float32), (sets, *(scale * side for side in sides))), scale)
    if channels.numbers is None:
        return made
    axes = "".join(axis for axis in "TCZYX" if axis == "C" or axis in made.axes)
    shape = [made.sizes.get(axis, len(channels.numbers)) for axis in axes]
    names = image.with_channels(channels.numbers).channel_names
    return replace(
        made, data=np.broadcast_to(np.zeros((), np.float32), shape), axes=axes, channel_names=names, emission_nm=()
    )


def _fewer(image: Image, channels: Channels) -> tuple[int, ...]:
    """The channels that a result has, where these are not all."""
    numbers = channels.numbers
    return () if numbers is None or len(numbers) == image.sizes.get("C", 1) else numbers


def _sources(request: Request) -> list[Source]:
    """The images; planes that a file leaves without a name are frames."""
    from superlens.io.metadata import UnnamedFrames

    try:
        return request.sources()
    except UnnamedFrames:
        return replace(request, given={**request.given, "axes": "TYX"}).sources()


def _channels(request: Request, images: Sequence[Image]) -> Channels:
    """The channels and the objective of each."""
    from superlens.optics import PSF
    from superlens.reconstruct.sim import check_channels

    for image in images:
        check_channels(image)
    channels = request.optics.resolve(images, needed=True, measured=False)
    if any(isinstance(lens, PSF) for lens in channels.optics):
        raise SuperlensError(
            "`psf` is given; expected `na` and `wavelength_nm`. The damping of the transfer function is measured."
        )
    return channels


def _options(request: Request) -> SimOptions:
    from superlens.reconstruct.sim import SimOptions

    options = SimOptions(
        order=request.get("order", "auto"),
        angles=request.get("angles"),
        phases=request.get("phases"),
        regularisation=request.get("regularisation", "wiener"),
        w=request.get("w"),
        damping=request.get("damping"),
        attenuation=float(request.get("attenuation", 0.0)),
    )
    options.axes()
    return options


def _like(request: Request, numbers: tuple[int, ...] | None) -> list[Pattern | None]:
    """The pattern of another run for each channel."""
    path = request.path("like")
    if path is None:
        return [None] * len(numbers or (0,))
    from superlens.optics.patterns import Pattern

    return list(Pattern.read(path, numbers or tuple(request.get("channel", ()))))


def _names(source: Source, alone: bool) -> dict[str, str]:
    stem = stem_of(source.file)
    report = "report.html" if alone else f"{stem}_report.html"
    return {"sim": f"{stem}_sim.tif", "widefield": f"{stem}_widefield.tif", "report": report}


def _written(
    folder: Path, names: Mapping[str, str], source: Source, result: Reconstructed, channels: Channels
) -> dict[str, Any]:
    from superlens.io import write

    write(folder / names["sim"], result.image)
    write(folder / names["widefield"], result.widefield)
    (folder / names["report"]).write_text(result.report, encoding="utf-8")
    image, described = source.image, result.described()
    optics = [cast("Objective", lens).model_dump(exclude_none=True) for lens in channels.optics]
    if channels.numbers is None:
        described["optics"] = optics[0]
    else:
        for one, lens in zip(described["channels"], optics, strict=True):
            one["optics"] = lens
    return {
        "input": printable(str(source.file.absolute() if source.file.exists() else source.file)),
        "identity": identity_of(source),
        "sha256": digest_of(source.file) if source.file.exists() else None,
        "axes": image.axes,
        "shape": list(image.data.shape),
        "pixel_nm": image.pixel_nm,
        "files": dict(names),
        "messages": list(result.messages),
        "verdict": asdict(result.verdict),
        **described,
    }


def _write_record(path: Path, request: Request, results: list[dict[str, Any]]) -> None:
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "method": "sim",
        "command": request.session.command(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "model": None,
        "results": results,
        "left_out": dict(request.left_out),
    }
    if len(results) == 1 and "pattern" in results[0]:
        told["pattern"] = results[0]["pattern"]
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _outcome(
    made: list[tuple[Source, Reconstructed]],
    names: list[dict[str, str]],
    channels: Channels,
    out: Path | None,
    files: list[Path],
) -> Outcome:
    images, lines = [], []
    for (source, result), one in zip(made, names, strict=True):
        stem = stem_of(source.file)
        at = {role: None if out is None else out / name for role, name in one.items()}
        few = _fewer(source.image, channels)
        images += [
            Made("sim", result.image, f"{stem}-sim", 2, few, path=at["sim"]),
            Made("widefield", result.widefield, f"{stem}-widefield", 1, few, show=False, path=at["widefield"]),
        ]
        lines += [f"{shlex.quote(stem)}: {line}" for line in result.lines()]
    return Outcome(
        made=images,
        text="\n".join(lines),
        messages=tuple(dict.fromkeys(text for _, result in made for text in result.messages)),
        files=tuple(files),
        verdicts={stem_of(source.file): result.verdict for source, result in made},
    )


# -- simulate sim -------------------------------------------------------------------------------------------------------


def simulate_sim(request: Request) -> Outcome:
    """Simulate raw frames with their truth."""
    from superlens.io import write
    from superlens.optics import Objective
    from superlens.optics.detection import Detection
    from superlens.simulate import STRUCTURES
    from superlens.simulate.structured import ARRANGEMENTS, Disturbance, ideal_pattern
    from superlens.simulate.structured import simulate_sim as simulated

    rng = np.random.default_rng(int(request.get("seed", 0)))
    pixel_nm, side, margin = float(request.get("pixel_nm", 65.0)), int(request.get("side", 256)), 16
    objective = Objective(na=request.get("na", 1.4), wavelength_nm=request.get("wavelength_nm", 525.0))
    detection = Detection.of(objective, pixel_nm)
    if detection.cutoff >= 0.49:
        raise SuperlensError(
            f"`pixel_nm` is {pixel_nm:g}, too large for the objective; expected less than a quarter of the wavelength over the NA."
        )
    arrangement = ARRANGEMENTS[request.get("light", "two-beam")]
    frequency = float(request.get("frequency", 0.9)) * detection.cutoff
    pattern = ideal_pattern(arrangement, frequency, float(request.get("modulation", 0.8)), rng)
    specimen = STRUCTURES[request.get("structure", "filaments")]((2 * (side + 2 * margin),) * 2, rng)
    given = {name: float(request.get(key, 0.0)) for name, key in _DISTURBANCES.items()}
    made = simulated(
        specimen, pattern, detection, photons=float(request.get("photons", 50.0)), pixel_nm=pixel_nm, rng=rng,
        disturbance=Disturbance(**given), margin=margin,
    )  # fmt: skip
    request.session.check()
    truth = Image(made.truth.astype(np.float32), "YX", pixel_nm / 2, name="truth")
    out, files = request.path("out"), []
    if out is not None:
        names = ("raw.tif", "truth.tif", "pattern.json")
        folder = request.folder(out)
        with (
            folder.prepared(names, made.frames.data.nbytes + truth.data.nbytes + 1_000_000),
            folder.delivery() as staging,
        ):
            counts = np.clip(np.round(made.frames.data), 0, 65535).astype(np.uint16)
            write(staging / names[0], made.frames.with_data(counts))
            write(staging / names[1], truth)
            text = json.dumps({"pattern": made.pattern.described()}, indent=1)
            (staging / names[2]).write_text(text + "\n", encoding="utf-8")
        files = [out / name for name in names]
        for path in files:
            request.session.wrote(path)
    lines = [
        f"order {b + 1}: {order.frequency[0]:.5f}, {order.frequency[1]:.5f} cycles per pixel, modulation {order.modulation:.2f}"
        for b, order in enumerate(made.pattern.orders)
    ]
    return Outcome(
        made=(Made("simulated", made.frames, "raw", path=files[0] if files else None),),
        text="\n".join(lines),
        files=tuple(files),
    )


_DISTURBANCES = {
    "bleaching": "bleaching",
    "drift_px": "drift_px",
    "steps_deg": "uneven_deg",
    "background": "background",
}


def plan_simulate_sim(request: Request) -> Plan:
    """The outline of the frames."""
    from superlens.simulate.structured import ARRANGEMENTS

    frames = ARRANGEMENTS[request.get("light", "two-beam")].frames
    side = int(request.get("side", 256))
    empty = Image(
        np.broadcast_to(np.zeros((), np.uint16), (frames, side, side)),
        "TYX",
        float(request.get("pixel_nm", 65.0)),
        name="raw",
    )
    return Plan(made=(Made("simulated", empty, "raw"),), memory_bytes=400 * side * side, planes=frames)
