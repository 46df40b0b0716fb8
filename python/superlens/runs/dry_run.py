"""A run described before it begins: what was read of each file, what is assumed, and what would be made; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from superlens.progress import duration
from superlens.runs.folders import TABLES, megabytes
from superlens.runs.verb import Made, Outcome, Request

if TYPE_CHECKING:
    from superlens.io import LazyImage
    from superlens.runs.choices import Reading

__all__ = ["preview"]


def preview(request: Request) -> Outcome:
    """Say what a request would read, assume, make and take.

    Raises
    ------
    SuperlensError
        When the request could not be carried out.
    """
    assert request.verb.plan is not None
    plan = request.verb.plan(request)
    reads = plan.reads
    if reads is None:
        reads = [(path, request.reading) for path in request.files if str(path) not in request.left_out]
    lines = [line for path, said in reads for line in _of_file(request, path, said)]
    lines += request.absent()
    lines += [f"assumed:  {note}" for note in plan.notes]
    lines += [_output(request, made, made.role) for made in plan.made]
    lines += [_output(request, made, f"{made.role} of {made.image.name}") for made in plan.batch]
    lines.append(f"memory:   about {megabytes(plan.memory_bytes)}")
    if _takes(request, "device"):
        time = "not known before a first run" if plan.seconds is None else f"about {duration(plan.seconds)}"
        lines.append(f"time:     {time}")
    return Outcome(text="\n".join(lines), info={"planes": plan.planes})


def _takes(request: Request, name: str) -> bool:
    return any(parameter.name == name for parameter in request.verb.parameters())


def _of_file(request: Request, path: Path, said: Reading) -> Iterator[str]:
    if path.suffix.lower() in TABLES:
        yield from _of_table(path, said)
        return
    image = said.file(path).open()
    sides = " x ".join(str(side) for side in image.data.shape)
    yield f"input:    {path}"
    axes = f"files along {said.sequence}" if said.sequence and said.axes is None else _source(said.axes)
    yield f"axes:     {image.axes}, {sides}, {image.data.dtype} ({axes})"
    if image.pixel_nm is None:
        yield "pixel:    not known; give `pixel_nm`"
    else:
        yield f"pixel:    {image.pixel_nm:g} nm ({_source(said.pixel_nm)})"
    if "Z" in image.axes:
        step = (
            "not known; give `z_step_nm`"
            if image.z_step_nm is None
            else f"{image.z_step_nm:g} nm ({_source(said.z_step_nm)})"
        )
        yield f"z-step:   {step}"
    if image.frame_interval_s is not None:
        yield f"interval: {image.frame_interval_s:g} s between frames"
    if "C" in image.axes:
        yield f"channels: {', '.join(_channels(image))}"
    if _takes(request, "gain"):
        yield f"camera:   {_camera(request, image)}"


def _of_table(path: Path, said: Reading) -> Iterator[str]:
    from superlens.io import read_localizations

    table = read_localizations(path, pixel_nm=said.pixel_nm)
    yield f"input:    {path}"
    yield f"rows:     {len(table)}"
    yield f"columns:  {', '.join(table.columns)}"


def _source(said: object) -> str:
    return "from the file" if said is None else "given"


def _channels(image: LazyImage) -> Iterator[str]:
    for at in range(image.sizes["C"]):
        name = image.channel_names[at] if image.channel_names else ""
        wave = image.emission_nm[at] if image.emission_nm else None
        known = [word for word in (name, "" if wave is None else f"{wave:g} nm") if word]
        yield f"{at} ({', '.join(known)})" if known else str(at)


def _camera(request: Request, image: LazyImage) -> str:
    from superlens.errors import SuperlensError
    from superlens.streaming import measure

    known = {name: request.get(name) for name in ("offset", "gain", "read_noise_e")}
    try:
        camera = measure(image, **known).camera
    except SuperlensError as error:
        return f"not known: {error}"
    values = {
        "offset": f"offset {camera.offset:.4g} counts",
        "gain": f"gain {camera.gain:.3g} counts per electron",
        "read_noise_e": f"read noise {camera.read_noise_e:.3g} electrons",
    }
    return ", ".join(
        f"{text} ({'estimated' if name in camera.estimated else 'given'})" for name, text in values.items()
    )


def _output(request: Request, made: Made, role: str) -> str:
    image, out = made.image, request.path("out")
    sides = " x ".join(str(side) for side in image.data.shape)
    pixel = "" if image.pixel_nm is None else f", {image.pixel_nm:.4g} nm"
    place = "" if out is None else f" in {out}"
    return f"output:   {role}{place}: {image.axes}, {sides}{pixel}, {megabytes(4 * image.data.size)}"
