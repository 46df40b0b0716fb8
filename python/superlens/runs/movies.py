"""``localize``, and the other verbs with a method of movies: from blinking frames to tables, maps, rendered images and models."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.method import Linking, MovieMethod
from superlens.methods import method as method_named
from superlens.methods import method_of, methods
from superlens.parameters import Parameter
from superlens.runs.choices import settings_of
from superlens.runs.folders import stem_of
from superlens.runs.images import model_target, taught
from superlens.runs.result_names import ResultNames, reserved_names
from superlens.runs.verb import Made, Outcome, Plan, Request, Sheet, Source

if TYPE_CHECKING:
    from superlens.io import LazyImage
    from superlens.model import Model
    from superlens.result import Result
    from superlens.smlm import Localizations

__all__ = ["LINKING", "chosen", "localize", "plan_localize", "plan_train_movie", "train_movie"]

LINKING = (
    Parameter("frames", "range", "Frames to work on, from 1, like 1:2000; default: all.", "Frames", advanced=True),
    Parameter("table", "choice", "Format of the tables: csv as ThunderSTORM reads it, or hdf5 for Picasso.", default="csv", choices=("csv", "hdf5")),
    Parameter("save_table", "save", "Write the table to this file: .csv as ThunderSTORM reads it, or .hdf5 for Picasso.", "Save the table as", advanced=True),
    Parameter("render_nm", "float", "Pixel of the rendered image, in nm.", "Pixel of the result", default=10.0, least=1.0, unit="nm"),
    Parameter("link_nm", "float", "Largest distance between blinks of one molecule, in nm; default: three times their uncertainty.", "Linking distance", least=0, above=True, unit="nm", advanced=True),
    Parameter("dark_frames", "int", "Frames that a molecule may be dark between two blinks.", "Dark frames in a blink", default=1, least=0, advanced=True),
)  # fmt: skip

_MOST_ROWS = 50_000
_MODEL_BYTES = 80_000_000
_TABLE_BYTES = 20_000_000
_TABLES = (".csv", ".hdf5")
_ROW_BYTES = 150
_ROWS_PER_PIXEL = 0.05  # of a dense frame


def chosen(request: Request) -> MovieMethod:
    """The requested method of movies.

    Raises
    ------
    SuperlensError
        When it takes no movie.
    """
    name = request.method
    found = method_named(name) if name else next(one for one in methods() if one.takes == "movie")
    if not isinstance(found, MovieMethod):
        able = ", ".join(one.name for one in methods() if isinstance(one, MovieMethod))
        raise SuperlensError(f"`method` {found.name} gives no table of molecules; expected one of {able}.")
    return found


def localize(request: Request) -> Outcome:
    """Find single molecules in a movie, with a given model, a chosen one, or one trained for it first."""
    method, preset, file = chosen(request), _preset(request), request.path("model")
    if file is not None and preset is not None:
        raise SuperlensError("both `model` and `train` are given; expected one of them.")
    known, span = method.known(request.given), _span(request)
    settings = None if preset is None else settings_of(method, "train", {**request.given, "preset": preset}, ())
    movie, path = _movie(request)
    source = Source(
        cast("Image", movie), path
    )  # a movie in a file has the outline of an image and is read by its frames
    with (
        _room_for_table(request, path),
        _room_for_results(request, method, source, keep_model=preset is not None) as place,
    ):
        device = request.engine()
        model = None if file is None else _loaded(file, method)
        progress = request.session.progress
        if settings is not None:
            model = method.train(movie, None, known, settings, None, progress)
        how = Linking(span, request.get("link_nm"), int(request.get("dark_frames", 1)))
        found = method.localize(movie, model, known, how, progress)
        request.session.check()
        files = _saved(request, found)
        image = _rendered(found, float(request.get("render_nm", 10.0)))
        paths = _written(request, place, source, found, image, keep_model=preset is not None)
    return _outcome(request, method, path, found, image, device, files, paths)


def plan_localize(request: Request) -> Plan:
    """What localizing would make, from the outline of the movie."""
    method = chosen(request)
    method.known(request.given)
    movie, path = _movie(request)
    if movie.pixel_nm is None:
        raise SuperlensError(f"{stem_of(path)} has no pixel size; give it with `pixel_nm`, in nanometres.")
    render_nm, stem = float(request.get("render_nm", 10.0)), stem_of(path)
    model = request.path("model")
    if model is not None:
        request.engine()
    upsampling = method.upsampling(None if model is None else _loaded(model, method))
    y, x = movie.data.shape[-2:]
    empty = _empty_rendering(movie.pixel_nm, (y, x), render_nm)
    fine = replace(empty, data=_nothing((y * upsampling, x * upsampling)), pixel_nm=movie.pixel_nm / upsampling)
    made = (
        Made("rendered", empty, f"{stem}-sr"),
        Made("density", fine, f"{stem}-density", upsampling, show=False),
    )
    frames = movie.data.shape[0] if movie.data.ndim > 2 else 1
    return Plan(made=made, memory_bytes=2 * 10**9, planes=frames, in_files=path.exists())


def train_movie(request: Request) -> Outcome:
    """Train a model for a movie, and write it to its file."""
    method, target = chosen(request), model_target(request)
    if request.reading.corrects:
        raise SuperlensError("stripes and sensor maps are not taken off movies; leave them out.")
    settings = settings_of(method, "train", request.given, request.verb.parameters())
    known, truth = method.known(request.given), request.path("truth")
    movie, _ = _movie(request)
    device = request.engine()
    from superlens.io import read_localizations

    table = None if truth is None else read_localizations(truth, pixel_nm=movie.pixel_nm)
    progress = request.session.progress
    return taught(
        request,
        target,
        lambda checkpoint: method.train(movie, table, known, settings, checkpoint, progress),
        _MODEL_BYTES,
        device,
    )


def plan_train_movie(request: Request) -> Plan:
    """What training a model for a movie would take: it makes no images."""
    movie, _ = _movie(request)
    frames = movie.data.shape[0] if movie.data.ndim > 2 else 1
    return Plan(made=(), memory_bytes=2 * 10**9, planes=frames, in_files=True)


def _preset(request: Request) -> str | None:
    """The preset to train with first: asked for in ``localize``, and always in ``enhance``."""
    if request.verb.name == "enhance":
        return str(request.get("preset", "fast"))
    wanted = request.get("train")
    return None if wanted is None else str(wanted)


def _span(request: Request) -> tuple[int, int] | None:
    frames = request.get("frames")
    if frames is None:
        return None
    matched = re.fullmatch(r"\s*(\d+)\s*[:-]\s*(\d+)\s*", str(frames))
    if matched is None:
        raise SuperlensError(f"`frames` is {frames!r}; expected FIRST:LAST counted from 1, like 1:2000.")
    return int(matched[1]), int(matched[2])


def _loaded(path: Path, method: MovieMethod) -> Model:
    from superlens.model import Model

    model = Model.load(path)
    if method_of(model) is not method:
        raise SuperlensError(f"the model was made by {model.config.method}; expected one made by {method.name}")
    return model


def _movie(request: Request) -> tuple[Image | LazyImage, Path]:
    """The movie of a request: lazily from its file, or from memory, where a stack is taken for frames."""
    from superlens.streaming.movie import check_movie, open_movie

    files = [Path(path) for path in request.get("inputs", ())]
    if len(files) + len(request.images) != 1:
        raise SuperlensError(f"{len(files) + len(request.images)} inputs are given; expected one movie.")
    if files and not request.get("sequence") and files[0].is_dir() and len(request.files) != 1:
        raise SuperlensError(
            f"{files[0]} holds {len(request.files)} files; name one of them, or give `sequence` T if they are the frames of one movie."
        )
    if files and request.get("sequence"):
        movie: Image | LazyImage = request.reading.file(files[0]).open()
        check_movie(movie)
        return movie, files[0]
    if files:
        files = request.files
        movie = open_movie(files[0], **request.reading.said)
        check_movie(movie)
        return movie, files[0]
    image, file = request.images[0].image, request.images[0].file
    return (replace(image, axes="TYX", z_step_nm=None) if image.axes == "ZYX" else image), file


@contextlib.contextmanager
def _room_for_table(request: Request, movie: Path) -> Iterator[None]:
    """Check, before the work, that the table that is requested besides a folder can be written."""
    table = request.path("save_table")
    if table is None:
        yield
        return
    if table.suffix.lower() not in _TABLES:
        raise SuperlensError(f"`save_table` is {table.name}; expected a name that ends in {' or '.join(_TABLES)}.")
    with request.folder(table.parent).prepared([table.name], _TABLE_BYTES):
        yield


@contextlib.contextmanager
def _room_for_results(
    request: Request, method: MovieMethod, source: Source, *, keep_model: bool
) -> Iterator[ResultNames | None]:
    out = request.path("out")
    if out is None:
        yield None
        return
    folder, roles = request.folder(out, request.path("model")), [role.name for role in method.gives]
    room = _bytes_needed(source.image, float(request.get("render_nm", 10.0)))
    tables = f".{request.get('table', 'csv')}"
    with reserved_names(
        folder, method, [source], roles, room, request.session, model=keep_model, tables=tables
    ) as place:
        yield place


def _bytes_needed(movie: Image | LazyImage, render_nm: float) -> int:
    """About how much room the results of a movie take."""
    *leading, y, x = movie.data.shape
    frames = int(np.prod(leading)) if leading else 1
    rendered = ((movie.pixel_nm or 100.0) / render_nm) ** 2
    rows = 2 * _ROW_BYTES * _ROWS_PER_PIXEL * min(frames, 1000)
    return int(y * x * (4 * 64 + 4 * rendered + rows)) + 10_000_000


def _rendered(found: Result, render_nm: float) -> Image:
    from superlens.smlm import render_gaussian

    return render_gaussian(found.tables["localizations"], render_nm)


def _empty_rendering(pixel_nm: float, yx_shape: tuple[int, int], render_nm: float) -> Image:
    """A rendered image of a table without rows, which has the shape that it has with them."""
    from superlens.smlm import Localizations, render_histogram

    none: dict[str, Any] = {"frame": [], "x_nm": [], "y_nm": []}
    return render_histogram(Localizations(none, pixel_nm=pixel_nm, yx_shape=yx_shape), render_nm)


def _nothing(shape: tuple[int, int]) -> Any:
    return np.broadcast_to(np.zeros((), np.float32), shape)


def _saved(request: Request, found: Result) -> list[Path]:
    """Write the table to the file that was requested besides a folder."""
    table = request.path("save_table")
    if table is None:
        return []
    from superlens.io import write_localizations

    write_localizations(table, found.tables["localizations"])
    request.session.wrote(table)
    return [table]


def _written(
    request: Request, place: ResultNames | None, source: Source, found: Result, image: Image, *, keep_model: bool
) -> dict[str, Path]:
    if place is None:
        return {}
    from superlens.runs.records import Record

    record = Record(place, request.session)
    with place.folder.delivery() as staging:
        names = record.write(staging, source, found, {"rendered": image})
        if keep_model:
            names["model"] = record.write_model(staging, found.model)
        names["run"] = record.write_run(staging)
    place.let_go(record.names)
    paths = {role: place.folder.path / name for role, name in sorted(names.items(), key=lambda item: item[1])}
    for one in paths.values():
        request.session.wrote(one)
    return paths


def _outcome(
    request: Request,
    method: MovieMethod,
    path: Path,
    found: Result,
    image: Image,
    device: str,
    files: list[Path],
    paths: dict[str, Path],
) -> Outcome:
    stem, table = stem_of(path), found.tables["localizations"]
    density = found["density"]
    made = (
        Made("rendered", image, f"{stem}-sr", path=paths.get("rendered")),
        Made("density", density, f"{stem}-density", method.upsampling(None), show=False, path=paths.get("density")),
    )
    long = len(table) > _MOST_ROWS
    hint = f"the table has {len(table)} rows; name a file in `save_table` to have them all."
    written = [*files, *paths.values()]
    return Outcome(
        made=made,
        sheet=None if long else sheet_of(table),
        text=f"localizations: {len(table)}\nmolecules after linking: {len(found.tables['linked'])}",
        messages=(*found.messages, *((hint,) if long and not written else ())),
        files=tuple(written),
        info={"device": device, "localizations": len(table)},
        verdicts={stem_of(path): found.verdict},
    )


def sheet_of(table: Localizations) -> Sheet:
    """A table of molecules as columns and rows."""
    columns = {name: values.tolist() for name, values in table.columns.items()}
    return Sheet(columns=tuple(columns), rows=tuple(zip(*columns.values(), strict=True)))
