"""``stripes``: an image as an even sensor would have taken it, without offsets and gains of single pixels and without stripes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from superlens.errors import SuperlensError
from superlens.parameters import Parameter
from superlens.runs.choices import CORRECTIONS, DRY_RUN
from superlens.runs.folders import stem_of
from superlens.runs.learning import hollow
from superlens.runs.verb import Made, Outcome, Plan, Request, Source

__all__ = ["STRIPES", "correct", "plan_correct"]

STRIPES = (
    Parameter("out", "save", "Write the result to this TIFF file.", "Output file", advanced=True),
    Parameter(
        "remove_stripes", "choice", "Along x, along y, or where they are found; off leaves them.", "Stripes",
        default="auto", choices=("auto", "x", "y", "off"),
    ),
    *CORRECTIONS[1:],
    DRY_RUN,
)  # fmt: skip


def correct(request: Request) -> Outcome:
    """Take stripes, and a sensor's own offsets and gains, off an image; reading it does so, as in every other verb."""
    source = _one(request.sources())
    name, out = f"{stem_of(source.file)}-corrected", request.path("out")
    image = replace(source.image, data=np.asarray(source.image.data, np.float32), name=name)
    if out is not None:
        from superlens.io import write

        folder = request.folder(out.parent)
        with folder.prepared([out.name], image.data.nbytes + 100_000), folder.delivery() as staging:
            write(staging / out.name, image)
        request.session.wrote(out)
    made = (Made("corrected", image, name, path=out),)
    return Outcome(made=made, files=() if out is None else (out,))


def plan_correct(request: Request) -> Plan:
    """The outline of the image."""
    opened = [Source(request.reading.file(path).open().header, path) for path in request.files]
    source = _one([*opened, *request.images])
    name, image = f"{stem_of(source.file)}-corrected", hollow(source.image)
    planes = int(np.prod(image.data.shape[:-2]))
    return Plan(made=(Made("corrected", image, name),), memory_bytes=100_000_000 + 24 * image.data.size, planes=planes)


def _one(sources: list[Source]) -> Source:
    if len(sources) != 1:
        raise SuperlensError(f"{len(sources)} images are given; expected one.")
    return sources[0]
