"""Single molecules: ``localize``, ``train`` for it, and ``simulate``; movies that are open, or in files, tables, images and models."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superlens.bridge.calls import Call, Made, Verb, learning_of, start_engine, transfer_of
from superlens.bridge.parameters import INPUT, PARTS, Told, command
from superlens.bridge.protocol import InputSpec, OutputSpec, Response, Table
from superlens.bridge.telling import said, settings_in_words
from superlens.bridge.verbs.teaching import train_into
from superlens.cli.folders import OutputFolder, stem_of
from superlens.cli.localize import frame_span
from superlens.cli.localize import localize as _localize
from superlens.cli.options import ImageChoice, MovieChoice, path_type
from superlens.cli.simulate import scene_of
from superlens.cli.simulate import smlm as _smlm
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.io import LazyImage
    from superlens.methods.deepstorm import Localized
    from superlens.model import Model
    from superlens.simulate import SmlmScene
    from superlens.simulate.movie import Movie
    from superlens.smlm import Localizations

__all__ = ["LOCALIZE", "SIMULATE", "plan_training", "train_for_movie"]

_SHOW_DENSITY = click.Option(["--show-density"], is_flag=True, help="Open the network's own image too.")
_SAVE_TABLE = click.Option(
    ["--save-table"],
    type=path_type,
    help="Write the table to this file: .csv as ThunderSTORM reads it, or .hdf5 for Picasso.",
)
_MOST_ROWS = 50_000
_MODEL_BYTES = 80_000_000
_TABLE_BYTES = 20_000_000
_TABLES = (".csv", ".hdf5")
_USUAL_UPSAMPLING = 8


# -- localize -----------------------------------------------------------------------------------------------------------


def _plan_localize(call: Call) -> Response:
    call.choice(MovieChoice).known()
    spec, path = _described(call)
    if spec.pixel_nm is None:
        raise SuperlensError(
            f"{stem_of(path)} has no pixel size; set its scale (Image > Properties...), or give pixel_nm, in nanometres."
        )
    outputs = _announced(spec, stem_of(path), float(call.arguments["render_nm"]), _upsampling(call))
    blocks = [] if call.path("input") or spec.path else [spec]
    info = {
        "transfer": transfer_of(blocks, outputs),
        "memory_bytes": 2 * 10**9,
        "seconds": None,
        "planes": _frames(spec),
    }
    return Response(outputs=outputs, info=info)


def _run_localize(call: Call) -> Response:
    began = datetime.now().astimezone()
    preset, model = call.arguments.get("preset"), call.path("model")
    if model is not None and preset is not None:
        raise SuperlensError("both model and train are given; expected one of them.")
    known, frames = call.choice(MovieChoice).known(), call.arguments.get("frames")
    span = None if frames is None else frame_span(str(frames).replace("-", ":"))
    movie, path = _movie(call)
    with _room_for_table(call, path):
        device = start_engine(call)
        from superlens.methods import deepstorm

        trained = None if model is None else _loaded(model)
        if preset is not None:
            trained = deepstorm.train_deepstorm(movie, known=known, preset=preset, progress=call.progress)
        found = deepstorm.localize(
            movie,
            trained,
            known=known,
            frames=span,
            link_nm=call.arguments.get("link_nm"),
            dark_frames=int(call.arguments["dark_frames"]),
            progress=call.progress,
        )
        call.progress.check()
        files = _saved(call, found) + _written(call, path, found, began, keep_model=preset is not None)
    return _answer(call, path, found, device, files)


@contextlib.contextmanager
def _room_for_table(call: Call, movie: Path) -> Iterator[None]:
    """Check, before the work, that the table that is asked for besides a folder can be written."""
    table = call.path("save_table")
    if table is None:
        yield
        return
    if table.suffix.lower() not in _TABLES:
        raise SuperlensError(f"save_table is {table.name}; expected a name that ends in {' or '.join(_TABLES)}.")
    with OutputFolder(table.parent, (movie,)).prepared([table.name], _TABLE_BYTES):
        yield


def _answer(call: Call, path: Path, found: Localized, device: str, files: tuple[str, ...]) -> Response:
    image, stem = found.rendered(float(call.arguments["render_nm"])), stem_of(path)
    density = OutputSpec.of("density", found.density, f"{stem}-density", show=False)
    made = [Made(OutputSpec.of("rendered", image, f"{stem}-sr"), image), Made(density, found.density)]
    given, lacking = call.deliver(made)
    by_name = {Path(file).stem: file for file in files}
    shown = [spec.with_changes({"path": by_name[spec.role]}) for spec, _ in made if spec.role in by_name]
    rows = len(found.localizations)
    long = (f"the table has {rows} rows; name a file in save_table to have them all.",) if rows > _MOST_ROWS else ()
    return Response(
        outputs=(*given, *shown),
        table=None if long else _table(found.localizations),
        text=f"{said(call, device)}\nlocalizations: {rows}\nmolecules after linking: {len(found.linked)}",
        messages=(*found.messages, *lacking, *(long if not files else ())),
        files=files,
        info={"device": device, "seconds": round(call.progress.seconds, 2), "localizations": rows},
    )


def _saved(call: Call, found: Localized) -> tuple[str, ...]:
    """Write the table to the file that was asked for besides a folder."""
    table = call.path("save_table")
    if table is None:
        return ()
    from superlens.io import write_localizations

    write_localizations(table, found.localizations)
    return (str(table),)


def _written(call: Call, path: Path, found: Localized, began: datetime, *, keep_model: bool) -> tuple[str, ...]:
    out = call.path("out")
    if out is None:
        return ()
    from superlens.cli.localized import FILES, write_localized

    folder = OutputFolder(out, tuple(p for p in (path, call.path("model")) if p is not None))
    asked = [call.request.verb, *settings_in_words(call)]
    render_nm = float(call.arguments["render_nm"])
    with folder.prepared(FILES, 100_000_000), folder.delivery() as staging:
        write_localized(staging, path, found, began=began, render_nm=render_nm, keep_model=keep_model, command=asked)
        names = sorted(file.name for file in staging.iterdir())
    return tuple(str(out / name) for name in names)


def _table(found: Localizations) -> Table:
    columns = {name: values.tolist() for name, values in found.columns.items()}
    return Table(columns=tuple(columns), rows=tuple(zip(*columns.values(), strict=True)))


# -- train --------------------------------------------------------------------------------------------------------------


def plan_training(call: Call) -> Response:
    """Say what training a model for a movie would take: it makes no images."""
    spec, _ = _described(call)
    return Response(
        info={"transfer": transfer_of([], []), "memory_bytes": 2 * 10**9, "seconds": None, "planes": _frames(spec)}
    )


def train_for_movie(call: Call, target: Path) -> Response:
    """Train a model for single molecules and write it to its file."""
    arguments = call.arguments
    known = MovieChoice(
        arguments["psf_sigma_nm"],
        arguments["na"],
        _one_wavelength(call),
        arguments["offset"],
        arguments["gain"],
        arguments["read_noise_e"],
    ).known()
    movie, path = _movie(call)
    truth = call.path("truth")

    def learned() -> Model:
        from superlens.io import read_localizations
        from superlens.methods import deepstorm

        table = None if truth is None else read_localizations(truth, pixel_nm=movie.pixel_nm)
        config = learning_of(call).load_as(deepstorm.DeepStormConfig)
        return deepstorm.train_deepstorm(movie, table, known=known, config=config, progress=call.progress)

    return train_into(target, call, learned, [p for p in (path, truth) if p is not None], _MODEL_BYTES)


def _one_wavelength(call: Call) -> float | None:
    given = call.arguments["wavelength_nm"]
    if len(given) > 1:
        raise SuperlensError(f"wavelength_nm has {len(given)} numbers and a movie has one channel; give one.")
    return float(given[0]) if given else None


# -- simulate -----------------------------------------------------------------------------------------------------------


def _plan_simulate(call: Call) -> Response:
    scene = _scene(call)
    shape = (int(call.arguments["frames"]), *scene.yx_shape)
    size = 2 * math.prod(shape)
    spec = OutputSpec(
        role="simulated", name="simulated", axes="TYX", shape=shape, dtype="uint16", pixel_nm=scene.pixel_nm, bytes=size
    )
    info = {"transfer": transfer_of([], [spec]), "memory_bytes": 10 * size, "seconds": None, "planes": shape[0]}
    return Response(outputs=(spec,), info=info)


def _run_simulate(call: Call) -> Response:
    import numpy as np

    from superlens.simulate import simulate_smlm

    scene = _scene(call)
    call.progress.loading("loading")
    movie = simulate_smlm(int(call.arguments["frames"]), scene, rng=np.random.default_rng(call.arguments["seed"]))
    call.progress.check()
    made = Made(OutputSpec.of("simulated", movie.frames, "simulated"), movie.frames)
    given, lacking = call.deliver([made])
    files = _simulated_files(call, movie)
    rows = len(movie.truth)
    return Response(
        outputs=(*given, *(made.spec.with_changes({"path": file}) for file in files if file.endswith(".tif"))),
        table=_table(movie.truth) if rows <= _MOST_ROWS else None,
        text="\n".join(["superlens simulate", *settings_in_words(call), f"molecules in all frames: {rows}"]),
        messages=lacking,
        files=files,
    )


def _simulated_files(call: Call, movie: Movie) -> tuple[str, ...]:
    out = call.path("out")
    if out is None:
        return ()
    from superlens.io import write, write_localizations

    names = ("frames.tif", "truth.csv")
    folder = OutputFolder(out, tuple(p for p in (call.path("like"),) if p is not None))
    with folder.prepared(names, movie.frames.data.nbytes + 10_000_000), folder.delivery() as staging:
        write(staging / names[0], movie.frames)
        write_localizations(staging / names[1], movie.truth)
    return tuple(str(out / name) for name in names)


def _scene(call: Call) -> SmlmScene:
    names = ("density_um2", "photons", "background", "psf_sigma_nm")
    asked = {name: float(call.arguments[name]) for name in names if call.arguments[name] is not None}
    return scene_of(
        call.path("like"), call.arguments["structure"], call.arguments["side"], call.choice(ImageChoice), asked
    )


# -- the movie ----------------------------------------------------------------------------------------------------------


def _movie(call: Call) -> tuple[Image | LazyImage, Path]:
    """The movie of a call: lazily from its file, or from its block, where a stack is taken for frames."""
    file = _file(call)
    if file is not None:
        from superlens.io import open_image

        return open_image(file, axes=call.arguments.get("axes"), pixel_nm=call.arguments.get("pixel_nm")), file
    sources = call.sources(checked=False)
    if len(sources) != 1:
        raise SuperlensError(f"{len(sources)} images are given; expected one movie.")
    image = sources[0].image
    return (replace(image, axes="TYX", z_step_nm=None) if image.axes == "ZYX" else image), sources[0].file


def _described(call: Call) -> tuple[InputSpec, Path]:
    file = _file(call)
    if file is None:
        return call.expected()[0]
    opened, _ = _movie(call)
    spec = InputSpec(
        name=file.stem, axes=opened.axes, shape=opened.data.shape, pixel_nm=opened.pixel_nm, path=str(file)
    )
    return spec, file


def _file(call: Call) -> Path | None:
    """The one file that is named as movie."""
    named = [call.path("input"), *(Path(spec.path) for spec in call.request.inputs if spec.path is not None)]
    return next((path for path in named if path is not None), None)


def _frames(spec: InputSpec) -> int:
    return spec.shape[0] if len(spec.shape) > 2 else 1


def _announced(spec: InputSpec, stem: str, render_nm: float, upsampling: int) -> tuple[OutputSpec, OutputSpec]:
    """The rendered image of a table without rows has the shape that it has with them; the density has the network's grid."""
    from superlens.smlm import Localizations, render_histogram

    none: Mapping[str, Any] = {"frame": [], "x_nm": [], "y_nm": []}
    y, x = spec.shape[-2:]
    empty = render_histogram(Localizations(none, pixel_nm=spec.pixel_nm, yx_shape=(y, x)), render_nm)
    fine = replace(empty, pixel_nm=(spec.pixel_nm or 0) / upsampling)
    density = OutputSpec.announce(
        "density", fine, (y * upsampling, x * upsampling), f"{stem}-density", scale=upsampling, show=False
    )
    return OutputSpec.announce("rendered", empty, empty.data.shape, f"{stem}-sr"), density


def _upsampling(call: Call) -> int:
    """Fine pixels of the density along a camera pixel: as the model has them, or as those have that are chosen or trained."""
    model = call.path("model")
    if model is None:
        return _USUAL_UPSAMPLING
    start_engine(call)
    from superlens.methods.deepstorm.state import DeepStormState

    return DeepStormState.of(_loaded(model)).settings.upsampling


def _loaded(path: Path) -> Model:
    from superlens.model import Model

    return Model.load(path)


SIMULATE = Verb(
    run=_run_simulate,
    plan=_plan_simulate,
    works=True,
    command=command(
        "Superlens Simulate...",
        "Make a movie of blinking molecules whose places are known.",
        _smlm.params,
        told={
            "like": Told("Like this movie", kind="file"),
            "frames": Told("Number of frames"),
            "structure": Told("Structure", help="Where molecules sit."),
            "side": Told("Side of a frame", "pixels"),
            "density_um2": Told("Density", "per µm²"),
            "photons": Told("Photons of a molecule"),
            "background": Told("Background", "photons in a pixel"),
            "psf_sigma_nm": Told("Sigma of a molecule", "nm"),
        },
    ),
)
LOCALIZE = Verb(
    run=_run_localize,
    plan=_plan_localize,
    works=True,
    command=command(
        "Superlens Localize...",
        "Find single molecules in the open movie: a table, and a super-resolved image of them.",
        (
            *_localize.params,
            INPUT,
            _SAVE_TABLE,
            _SHOW_DENSITY,
            *(part for part in PARTS if part.name == "channels"),
        ),
        told={
            "save_table": Told("Save the table as", advanced=True, kind="save"),
            "model": Told(
                "Model file", kind="file", help="A model for single molecules; default: the shipped one that fits best."
            ),
            "preset": Told("Train for this movie first", key="train", advanced=True),
            "frames": Told("Frames", kind="range", advanced=True, help="Frames to work on, like 1-2000; default: all."),
            "psf_sigma_nm": Told("Sigma of a molecule", "nm"),
            "em": Told("EMCCD camera", advanced=True),
            "render_nm": Told("Pixel of the result", "nm"),
            "show_density": Told("Show the sum of the density maps", client=True),
            "link_nm": Told("Linking distance", "nm", advanced=True),
            "dark_frames": Told("Dark frames in a blink", key="dark_gap", advanced=True),
        },
    ),
)
