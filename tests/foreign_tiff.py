"""TIFF files as other programs lay them out: stacks of Micro-Manager, sets of OME-TIFF, whatever a test wants them to say."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

Array = np.ndarray[Any, Any]

OME = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def planes(sizes: Mapping[str, int], sides: tuple[int, int] = (20, 24)) -> Array:
    """Planes along T, C and Z, all different: the value of each pixel tells where it is from."""
    shape = tuple(sizes.get(axis, 1) for axis in "TCZ")
    number = np.arange(np.prod(shape)).reshape(shape)
    return (1000 * number[..., None, None] + np.arange(sides[0] * sides[1]).reshape(sides)).astype(np.uint16)


def pixels_xml(
    sizes: Mapping[str, int], inside: str, *, order: str = "XYZCT", unit: str = "µm", pixel: float = 0.065
) -> str:
    """An element Pixels."""
    lengths = " ".join(f'Size{axis}="{sizes.get(axis, 1)}"' for axis in "XYZCT")
    physical = " ".join(f'PhysicalSize{axis}="{pixel}" PhysicalSize{axis}Unit="{unit}"' for axis in "XY")
    channels = "".join(
        f'<Channel ID="Channel:0:{c}" Name="ch{c}" SamplesPerPixel="1"/>' for c in range(sizes.get("C", 1))
    )
    return (
        f'<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" {lengths} {physical}>{channels}{inside}</Pixels>'
    )


def ome_xml(images: Sequence[str], uuid: str = "urn:uuid:root") -> bytes:
    """A whole OME-XML; each image is an element Pixels."""
    inside = "".join(f'<Image ID="Image:{at}" Name="site {at}">{pixels}</Image>' for at, pixels in enumerate(images))
    return f'<?xml version="1.0" encoding="UTF-8"?><OME {OME} UUID="{uuid}">{inside}</OME>'.encode()


def tiff_data(index: Mapping[str, int], ifd: int, file: str | None = None, count: int = 1) -> str:
    """An element TiffData: where one plane lies."""
    first = " ".join(f'First{axis}="{at}"' for axis, at in index.items())
    name = f'<UUID FileName="{file}">urn:uuid:{file}</UUID>' if file else ""
    return f'<TiffData {first} IFD="{ifd}" PlaneCount="{count}">{name}</TiffData>'


def write_pages(path: Path, pages: Sequence[Array], description: bytes | str = b"", **options: Any) -> Path:
    """Pages with one description, nothing else said."""
    text = description if isinstance(description, bytes) else description.encode()
    with tifffile.TiffWriter(path) as tiff:
        for at, page in enumerate(pages):
            tiff.write(page, contiguous=False, description=text if at == 0 else None, metadata=None, **options)
    return path


def write_set(folder: Path, frames: int = 3, *, companion: bool = False, stem: str = "p") -> list[Path]:
    """A movie with one file for each frame; every file describes all, or refers to a companion."""
    movie = planes({"T": frames})[:, 0, 0]
    names = [f"{stem}_{t}.ome.tif" for t in range(frames)]
    sizes = {"X": 24, "Y": 20, "T": frames}
    inside = "".join(tiff_data({"T": t}, 0, name) for t, name in enumerate(names))
    pixels = pixels_xml(sizes, inside)
    if companion:
        (folder / f"{stem}.companion.ome").write_bytes(ome_xml([pixels], "urn:uuid:main"))
    for name, frame in zip(names, movie, strict=True):
        stub = f'<OME {OME} UUID="urn:uuid:{name}"><BinaryOnly MetadataFile="{stem}.companion.ome" UUID="urn:uuid:main"/></OME>'
        write_pages(folder / name, [frame], stub if companion else ome_xml([pixels], f"urn:uuid:{name}"))
    return [folder / name for name in names]


def write_stack(
    path: Path,
    data: Array,
    rows: Sequence[tuple[int, int, int, int]],
    *,
    announced: Mapping[str, int] | None = None,
    pixel_um: float = 0.0626,
    imagej: bool = True,
    ome: bytes = b"",
    index: bool = True,
    gap: int = 0,
) -> Path:
    """A stack of Micro-Manager: planes of shape (N, Y, X), and for each its channel, slice, frame and position.

    `announced` are the Channels, Slices and Frames of the summary, `gap` bytes lie between a page directory and its pixels.
    """
    height, width = data.shape[1:]
    sizes = {
        name: 1 + max(row[at] for row in rows) for at, name in enumerate(("Channels", "Slices", "Frames", "Positions"))
    }
    sizes |= announced or {}
    summary = {
        "Prefix": path.name.split("_MMStack")[0],
        "MicroManagerVersion": "2.0.0",
        "PixelSize_um": pixel_um,
        "z-step_um": 0.3,
    }
    told = json.dumps({**summary, **sizes, "ChNames": [f"ch{c}" for c in range(sizes["Channels"])]}).encode()
    count = sizes["Channels"] * sizes["Slices"] * sizes["Frames"]
    for_imagej = (
        f"ImageJ=1.52\nimages={count}\nchannels={sizes['Channels']}\nslices={sizes['Slices']}\nframes={sizes['Frames']}\n"
        "hyperstack=true\nunit=um\nspacing=0.3\n"
    ).encode()
    texts = [text + b"\0" for text in ([ome] if ome else []) + ([for_imagej] if imagej else [])]
    head = b"II*\0" + bytes(4) + struct.pack("<8I", 54773648, 0, 483765892, 0, 99384722, 0, 2355492, len(told))
    file = bytearray(head + told)
    link, places = 4, []
    for number, plane in enumerate(data):
        file += bytes(len(file) % 2)
        at = len(file)
        struct.pack_into("<I", file, link, at)
        places.append(at)
        page = dict(zip(("ChannelIndex", "SliceIndex", "FrameIndex", "PositionIndex"), rows[number], strict=True))
        here = texts if number == 0 else []
        count = 13 + len(here)
        start = at + 2 + 12 * count + 4 + gap
        extra = bytearray()

        def place(content: bytes, after: int = start + plane.nbytes, extra: bytearray = extra) -> int:
            extra.extend(content)
            return after + len(extra) - len(content)

        entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)]
        entries += [(270, 2, len(text), place(text)) for text in here]
        entries += [(273, 4, 1, start), (277, 3, 1, 1), (278, 3, 1, height), (279, 4, 1, plane.nbytes)]
        entries += [(tag, 5, 1, place(struct.pack("<II", round(1e4 / pixel_um), 1))) for tag in (282, 283)]
        text = json.dumps(page).encode() + b"\0"
        entries += [(296, 3, 1, 3), (51123, 2, len(text), place(text))]
        table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        file += struct.pack("<H", count) + table + bytes(4 + gap) + plane.astype("<u2").tobytes() + extra
        link = at + 2 + 12 * count
    if index:
        struct.pack_into("<I", file, 12, len(file))
        file += struct.pack("<II", 3453623, len(rows))
        file += b"".join(struct.pack("<5I", *row, at) for row, at in zip(rows, places, strict=True))
    path.write_bytes(file)
    return path


def rows_of(sizes: Mapping[str, int], position: int = 0, order: str = "TZC") -> list[tuple[int, int, int, int]]:
    """Channel, slice, frame and position of all planes in the order in which they are taken, the last axis fastest."""
    index = np.indices([sizes.get(axis, 1) for axis in order]).reshape(3, -1)
    at = {axis: index[number] for number, axis in enumerate(order)}
    return [(int(c), int(z), int(t), position) for c, z, t in zip(at["C"], at["Z"], at["T"], strict=True)]


def taken(whole: Array, rows: Sequence[tuple[int, int, int, int]]) -> Array:
    """The planes of `planes` in the order of some rows."""
    return np.stack([whole[t, c, z] for c, z, t, _ in rows])
