"""OME-XML: which images a file or a set of files holds, where their planes lie, and what is said of them.

The XML lies in the file itself, in another file of its set, or in a companion file; a file that only refers to one is a part of that
set. Names of files in the XML are looked for beside the file alone. Nothing is read but the XML.

References
----------
The OME data model, docs.openmicroscopy.org/ome-model: OME-TIFF specification, version 6, with its sections on sets of files and on
partial metadata.
"""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io.metadata import StoredImage, parse_note, time_s
from superlens.io.paths import is_companion
from superlens.io.sizes import Stated, in_nm, positive_number
from superlens.io.tiff_layout import Layout

__all__ = ["OmeImage", "OmeSet", "Run", "ome_text", "open_ome_set"]

_SAID_BY = "the OME-XML"


@dataclass(frozen=True, slots=True)
class Run:
    """Pages of one file that are planes in a row: from plane ``first`` on, beginning with page ``page``; None for all of them."""

    file: str | None
    first: int
    page: int
    count: int | None


@dataclass(frozen=True, slots=True, eq=False)
class OmeImage:
    """One image of a set.

    Attributes
    ----------
    name : str
    axes, sizes
        Before Y and X, the slowest first.
    yx_shape : tuple of int
    runs : tuple of Run
        Where its planes lie; a file is None where it is the one that holds the XML.
    element : Element
        What else is said of it.
    """

    name: str
    axes: str
    sizes: tuple[int, ...]
    yx_shape: tuple[int, int]
    runs: tuple[Run, ...]
    element: ElementTree.Element

    def files(self) -> tuple[str | None, ...]:
        """Names of its files, each once."""
        return tuple(dict.fromkeys(run.file for run in self.runs))

    def told(self, stored: StoredImage) -> StoredImage:
        """Add what the XML says of the image."""
        return told_by_ome(self.element, stored)


@dataclass(frozen=True, slots=True, eq=False)
class OmeSet:
    """What one OME-XML describes.

    Attributes
    ----------
    images : tuple of OmeImage
    here : Path
        The file that the user named.
    main : Path
        The file that holds the XML.
    own : frozenset of (str or None)
        By which names the XML calls the file that the user named; None where it names none.
    """

    images: tuple[OmeImage, ...]
    here: Path
    main: Path
    own: frozenset[str | None]

    @property
    def single(self) -> bool:
        """Whether the file that the user named is all there is."""
        return self.here == self.main and all(set(image.files()) <= self.own for image in self.images)

    def of_this_file(self) -> tuple[OmeImage, ...]:
        """Those with planes in the file that the user named; all of them where it is a companion."""
        if is_companion(self.here):
            return self.images
        return tuple(image for image in self.images if self.own & set(image.files()))

    def path(self, file: str | None) -> Path | None:
        """Where a file of the set lies; None when it is not there."""
        if file in self.own:
            return self.here
        beside = self.main if file is None else self.here.with_name(_base_name(file))
        return beside if beside.is_file() and not is_companion(beside) else None

    def present(self, image: OmeImage) -> list[Path]:
        """The files of an image that are there."""
        return [path for path in map(self.path, image.files()) if path is not None]

    def absent(self, image: OmeImage) -> tuple[str, ...]:
        """Names of those that are not."""
        return tuple(_base_name(file) for file in image.files() if file is not None and self.path(file) is None)


def ome_text(path: Path) -> str:
    """The OME-XML of a file, TIFF or companion; empty when it has none."""
    if is_companion(path):
        return _decoded(path.read_bytes())
    try:
        with Layout(path) as layout:
            first = next(layout.directories(), None)
            texts = layout.descriptions(first) if first is not None else ()
    except SuperlensError:
        return ""
    return next((_decoded(text) for text in texts if _is_ome(text)), "")


def open_ome_set(path: Path, text: str) -> OmeSet | None:
    """Find out what the OME-XML of a file describes.

    Parameters
    ----------
    path : Path
        The file that the user named.
    text : str
        What `ome_text` found in it.

    Returns
    -------
    OmeSet or None
        None when it describes no image, or its description lies in another file that is not there.

    Warns
    -----
    SuperlensWarning
        When the description is damaged or not there, so that nothing is known but what else the file says.
    """
    root = _parsed(path, text)
    if root is None:
        return None
    identity, main = root.get("UUID"), path
    stub = root.find("{*}BinaryOnly")
    if stub is not None:
        main = path.with_name(_base_name(stub.get("MetadataFile", "")))
        text = ome_text(main) if main != path and main.is_file() else ""
        if not text:
            warnings.warn(
                f"{path.name} is part of a set that {main.name} describes, which is not there. It is read alone, "
                f"without its pixel size. Put {main.name} into its folder.",
                SuperlensWarning,
                stacklevel=2,
            )
            return None
        root = _parsed(main, text)
        if root is None:
            return None
    images = tuple(image for element in root.findall("{*}Image") if (image := _image(element)) is not None)
    own = _own_names(root, path, identity, alone=main == path)
    return OmeSet(images, path, main, own) if images else None


def _own_names(root: ElementTree.Element, path: Path, identity: str | None, *, alone: bool) -> frozenset[str | None]:
    """By which names the XML calls a file: its name, or else its identity, or else the only name there is."""
    if is_companion(path):
        return frozenset()
    names = _names(root)
    own = {name for name in names if _base_name(name).lower() == path.name.lower()}
    own = own or {name for name, uuid in names.items() if uuid is not None and uuid == identity}
    if alone and not own and len(names) == 1:
        own = set(names)  # the file was given another name
    return frozenset({*own, None} if alone else own)


def told_by_ome(image: ElementTree.Element, stored: StoredImage) -> StoredImage:
    """Add what an element Image says of sizes, times and names."""
    pixels = image.find("{*}Pixels")
    if pixels is None:
        return stored
    y_nm, x_nm, z_nm = (_length(pixels, f"PhysicalSize{axis}") for axis in "YXZ")
    seconds, interval = time_s(pixels.get("TimeIncrementUnit", "s")), positive_number(pixels.get("TimeIncrement"))
    channels = pixels.findall("{*}Channel")
    return replace(
        stored,
        pixel_sizes=stored.pixel_sizes
        + (() if x_nm is None else (Stated((x_nm if y_nm is None else y_nm, x_nm), _SAID_BY),)),
        z_steps=stored.z_steps + (() if z_nm is None else (Stated((z_nm,), _SAID_BY),)),
        frame_interval_s=interval * seconds
        if interval is not None and seconds is not None
        else stored.frame_interval_s,
        channel_names=tuple(channel.get("Name", "") for channel in channels) or stored.channel_names,
        emission_nm=tuple(_length(channel, "EmissionWavelength", "nm") for channel in channels),
        note=parse_note(image.findtext("{*}Description")) or stored.note,
    )


def _is_ome(text: bytes) -> bool:
    return text[-10:].strip().endswith(b"OME>") or b"<OME" in text[:400]


def _decoded(text: bytes) -> str:
    """Text in UTF-8 or, as some programs write it whatever they declare, in Latin-1."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _parsed(path: Path, text: str) -> ElementTree.Element | None:
    body = text.strip().strip("\0")
    if body.startswith("<?xml"):
        body = body.partition("?>")[2]
    try:
        return ElementTree.fromstring(body.strip())
    except ElementTree.ParseError as error:
        warnings.warn(
            f"the OME-XML of {path.name} is damaged ({error}) and left out. Give `pixel_nm` and `axes` where they are missing.",
            SuperlensWarning,
            stacklevel=3,
        )
        return None


def _base_name(name: str) -> str:
    """The name of a file without any folder, whichever system wrote it."""
    return name.replace("\\", "/").rsplit("/", 1)[-1] or "?"


def _names(root: ElementTree.Element) -> dict[str, str | None]:
    """The names of all files that the XML refers to, each with the identity it has there."""
    found: dict[str, str | None] = {}
    for uuid in root.iterfind("{*}Image/{*}Pixels/{*}TiffData/{*}UUID"):
        if name := uuid.get("FileName"):
            found.setdefault(name, (uuid.text or "").strip() or None)
    return found


def _image(element: ElementTree.Element) -> OmeImage | None:
    pixels = element.find("{*}Pixels")
    if pixels is None:
        return None
    axes = "".join(reversed(pixels.get("DimensionOrder", "XYZCT")))[:-2]
    sizes = {axis: _whole(pixels.get(f"Size{axis}"), 0) for axis in "XYZCT"}
    if sorted(axes) != ["C", "T", "Z"] or min(sizes.values()) < 1:
        return None
    samples = max((_whole(c.get("SamplesPerPixel"), 1) for c in pixels.findall("{*}Channel")), default=1)
    if samples > 1 and sizes["C"] % samples == 0:
        sizes["C"] //= samples
    shape = tuple(sizes[axis] for axis in axes)
    runs = tuple(run for data in pixels.findall("{*}TiffData") if (run := _run(data, axes, shape)) is not None)
    if pixels.find("{*}TiffData") is None:
        runs = (Run(None, 0, 0, None),)
    return OmeImage(element.get("Name", ""), axes, shape, (sizes["Y"], sizes["X"]), runs, element)


def _run(data: ElementTree.Element, axes: str, sizes: tuple[int, ...]) -> Run | None:
    index = [_whole(data.get(f"First{axis}"), 0) for axis in axes]
    if any(at >= size for at, size in zip(index, sizes, strict=True)):
        return None
    first = 0
    for at, size in zip(index, sizes, strict=True):
        first = first * size + at
    uuid = data.find("{*}UUID")
    counted = data.get("PlaneCount", data.get("NumPlanes"))
    count = None if counted is None and data.get("IFD") is None else _whole(counted, 1)
    return Run(None if uuid is None else uuid.get("FileName"), first, _whole(data.get("IFD"), 0), count)


def _whole(text: str | None, default: int) -> int:
    try:
        return max(int(text or default), 0)
    except ValueError:
        return default


def _length(element: ElementTree.Element, name: str, unit: str = "µm") -> float | None:
    return in_nm(element.get(name), element.get(f"{name}Unit", unit))
