"""``stripes``: an image as an even sensor would have taken it, without offsets and gains of single pixels and without stripes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from superlens.bridge.calls import Call, Made, Source, Verb, transfer_of
from superlens.bridge.parameters import INPUT, PARTS, Told, command
from superlens.bridge.protocol import OutputSpec, Response
from superlens.bridge.telling import settings_in_words
from superlens.cli.folders import OutputFolder, stem_of
from superlens.cli.learn import enhance as _enhance
from superlens.cli.options import path_type
from superlens.errors import SuperlensError

__all__ = ["STRIPES"]

_OF_THE_RECORDING = ("offset_map", "gain_map", "pixel_nm", "axes")


def _plan(call: Call) -> Response:
    inputs = call.expected()
    if len(inputs) != 1:
        raise SuperlensError(f"{len(inputs)} images are given; expected one.")
    spec, path = inputs[0]
    output = OutputSpec.announce("corrected", spec, spec.shape, f"{stem_of(path)}-corrected")
    info = {
        "transfer": transfer_of([spec], [output]),
        "memory_bytes": 100_000_000 + 6 * output.bytes,
        "seconds": None,
        "planes": int(np.prod(spec.shape[:-2])),
    }
    return Response(outputs=(output,), info=info)


def _run(call: Call) -> Response:
    (source,) = _one(call)
    name = f"{stem_of(source.file)}-corrected"
    image = replace(source.image, data=np.asarray(source.image.data, np.float32), name=name)
    made = Made(OutputSpec.of("corrected", image, name), image)
    given, lacking = call.deliver([made])
    files = _written(call, source, made)
    in_files = tuple(made.spec.with_changes({"path": file}) for file in files)
    text = "\n".join(["superlens stripes", *settings_in_words(call)])
    return Response(outputs=(*given, *in_files), text=text, messages=lacking, files=files)


def _one(call: Call) -> tuple[Source]:
    """Read the image; reading it corrects it, as for every other command."""
    sources = call.sources()
    if len(sources) != 1:
        raise SuperlensError(f"{len(sources)} images are given; expected one.")
    return (sources[0],)


def _written(call: Call, source: Source, made: Made) -> tuple[str, ...]:
    out = call.path("out")
    if out is None:
        return ()
    from superlens.io import write

    folder = OutputFolder(out.parent, (source.file,))
    with folder.prepared([out.name], made.spec.bytes + 100_000), folder.delivery() as staging:
        write(Path(staging / out.name), made.image)
    return (str(out),)


STRIPES = Verb(
    run=_run,
    plan=_plan,
    works=True,
    command=command(
        "Superlens Remove Stripes...",
        "Take stripes, and a sensor's own offsets and gains, off the open image.",
        (
            click.Option(
                ["--remove-stripes"],
                type=click.Choice(("auto", "x", "y", "off")),
                default="auto",
                help="Along x, along y, or where they are found; off leaves them.",
            ),
            *(option for option in _enhance.params if option.name in _OF_THE_RECORDING),
            INPUT,
            click.Option(["--out"], type=path_type, help="Write the result to this TIFF file."),
            *PARTS,
        ),
        told={
            "remove_stripes": Told("Stripes"),
            "out": Told("Output file", advanced=True, key="output", kind="save"),
        },
    ),
)
