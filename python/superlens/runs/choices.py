"""What verbs share of what a person may say: files, optics, settings, the machine; each group, and the value that it gathers into.

The values know how to become what the package works with: an `Image`, an `Objective` or `PSF` for each channel, the settings of a method.
What is left open comes from the file, or is asked for in one line; nothing is guessed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from superlens.backend import BACKENDS
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.parameters import Parameter

if TYPE_CHECKING:
    from superlens.image import Image
    from superlens.io import ImageFile
    from superlens.method import Method, Settings
    from superlens.optics import PSF, Objective

__all__ = [
    "CORRECTIONS",
    "HOST",
    "IMAGE",
    "LEARNING",
    "OPTICS",
    "STACK",
    "ChannelOptics",
    "Channels",
    "OpticsFacts",
    "Reading",
    "one_or_several",
    "settings_of",
]

IMAGE = (
    Parameter(
        "pixel_nm", "float", "Camera pixel on the specimen, in nm; default: what the file says.", "Pixel size",
        unit="nm", source="pixel_nm",
    ),
    Parameter("axes", "text", "Axes of the file's array, like TYX; default: what the file says.", "Axes of the input file", advanced=True),
    Parameter(
        "sequence", "choice", "Join the files of a folder, or those that match a pattern, into one image along this axis.", "Files are one image along",
        choices=("T", "Z", "C"), advanced=True,
    ),
    Parameter("series", "int", "Which of several images in one file, from 0.", "Series of the input file", least=0, advanced=True),
)  # fmt: skip

STACK = (
    Parameter(
        "z_step_nm", "float", "Distance of the planes, in nm; default: what the file says.", "Plane distance",
        unit="nm", source="z_step_nm",
    ),
    Parameter("fill_missing", "flag", "Read missing chunks of a Zarr as its fill value."),
)  # fmt: skip

CORRECTIONS = (
    Parameter(
        "remove_stripes", "choice",
        "Subtract stripes that are the same in all planes: along x, along y, or where they are found (auto).",
        "Remove stripes", default="off", choices=("auto", "x", "y", "off"), advanced=True,
    ),
    Parameter("offset_map", "file", "Offset of each pixel of an sCMOS sensor, in counts.", "Offset map of the sensor", advanced=True),
    Parameter("gain_map", "file", "Gain of each pixel, in counts per electron or relative.", "Gain map of the sensor", advanced=True),
)  # fmt: skip

_MODALITIES = ("widefield", "confocal", "two-photon", "light-sheet", "tirf")

OPTICS = (
    Parameter("na", "float", "Numerical aperture of the objective.", "Numerical aperture"),
    Parameter("wavelength_nm", "float", "Wavelength of the detected light, in nm.", "Emission wavelength", unit="nm"),
    Parameter("modality", "choice", "How the image was taken; default: widefield.", "Modality", choices=_MODALITIES),
    Parameter(
        "immersion_index", "float", "Default: smallest of 1.0, 1.33, 1.406, 1.518 above the NA.", "Immersion index", advanced=True
    ),
    Parameter("sample_index", "float", "Refractive index of the specimen; default: the immersion's.", "Sample index", advanced=True),
    Parameter(
        "excitation_nm", "float", "Excitation wavelength; needed for confocal and two-photon.", "Excitation wavelength",
        unit="nm", advanced=True,
    ),
    Parameter("pinhole_au", "float", "Confocal pinhole in Airy units; default: 1.", "Pinhole", unit="Airy units", advanced=True),
    Parameter("sheet_thickness_nm", "float", "FWHM of the light sheet.", "Light sheet thickness", unit="nm", advanced=True),
    Parameter(
        "psf_model", "choice", "Theory of the focus; default: by the NA.", "PSF theory",
        choices=("auto", "gaussian", "scalar", "vectorial"), advanced=True,
    ),
    Parameter(
        "psf", "file", "A measured PSF (TIFF, or MRC with a radial OTF) instead of the optics, or auto to find its width from the image.",
        "Measured PSF", advanced=True,
    ),
    Parameter(
        "psf_pixel_nm", "float", "Pixel of the PSF file, in nm; default: what the file says.", "Pixel of the PSF file",
        unit="nm", advanced=True,
    ),
    Parameter(
        "psf_z_step_nm", "float", "Distance of the PSF file's planes; default: what the file says.", "Plane distance of the PSF file",
        unit="nm", advanced=True,
    ),
    Parameter("psf_series", "int", "Which image of a PSF file that holds several, from 0.", "Image in the PSF file", least=0, advanced=True),
)  # fmt: skip

_FROM_IMAGE = Path("auto")

_EACH = ("wavelength_nm", "excitation_nm", "psf")
"""What may differ between channels."""

LEARNING = (
    Parameter("config", "file", "Settings in a YAML file, instead of a preset.", "Settings file", advanced=True),
    Parameter(
        "settings", "text", "Any other setting, like hessian=0.05 (repeatable).", "Other settings", several=True, advanced=True
    ),
)  # fmt: skip

DRY_RUN = Parameter(
    "dry_run", "flag", "Print what is read from each file, what is assumed and what would be made; write nothing."
)

HOST = (
    Parameter("device", "text", "cpu, gpu or gpu:1; default: the best there is.", "Device", advanced=True),
    Parameter(
        "backend",
        "choice",
        "Library that computes the networks; default: TensorFlow, or what SUPERLENS_BACKEND says.",
        "Backend",
        choices=BACKENDS,
        advanced=True,
    ),
    Parameter("threads", "int", "Processor threads; default: all.", "Threads", least=1, advanced=True),
    Parameter("verbose", "flag", "Log each stage of the run on standard error."),
    DRY_RUN,
)


def optics_of_channels() -> tuple[Parameter, ...]:
    """`OPTICS`, where what channels may differ in may be given more than once."""
    several = "Wavelength of the detected light, in nm; of several channels one for each, like 525 610."
    return tuple(
        replace(p, several=True, help=several if p.name == "wavelength_nm" else p.help) if p.name in _EACH else p
        for p in OPTICS
    )


def gathered(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """Make a value of the arguments that have the names of its fields; what is not given keeps its default."""
    known = {field.name: given.get(field.name) for field in fields(kind)}
    return kind(**{name: value for name, value in known.items() if value is not None})


# -- files --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What is said of images that their files do not say, and what is done to their pixels first."""

    pixel_nm: float | None = None
    axes: str | None = None
    series: int | None = None
    sequence: Literal["T", "Z", "C"] | None = None
    z_step_nm: float | None = None
    fill_missing: bool = False
    remove_stripes: str = "off"
    offset_map: Path | None = None
    gain_map: Path | None = None

    @property
    def corrects(self) -> bool:
        """Whether anything is to be done to the pixels."""
        return self.remove_stripes != "off" or self.offset_map is not None or self.gain_map is not None

    def file(self, path: Path, channels: tuple[int, ...] | None = None) -> ImageFile:
        """The file with what is said of it, for opening it without reading."""
        from superlens.io import ImageFile

        return ImageFile(path, channels=channels, sequence=self.sequence, **self.said)

    def read(self, path: Path) -> Image:
        """Read one image, and refuse what cannot be worked on."""
        from superlens.image import check_image
        from superlens.io import read

        image = read(path, **self.said) if self.sequence is None else self.file(path).open().load()
        check_image(image)
        return self.corrected(image) if self.corrects else image

    @property
    def said(self) -> dict[str, Any]:
        """What is said of the file, as `superlens.io.read` takes it."""
        names = ("axes", "pixel_nm", "z_step_nm", "fill_missing", "series")
        return {name: getattr(self, name) for name in names}

    def corrected(self, image: Image) -> Image:
        """Subtract what was requested: the sensor's own offsets and gains, then stripes."""
        from superlens.io import read
        from superlens.observing import even_sensor, without_stripes

        named = (("offset", self.offset_map), ("gain", self.gain_map))
        maps = {name: read(path) for name, path in named if path is not None}
        even = even_sensor(image, **maps) if maps else image
        return without_stripes(even, self.remove_stripes)  # type: ignore[arg-type]


# -- optics -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpticsFacts:
    """The optics of one channel: either the objective's numbers or a measured PSF."""

    na: float | None = None
    wavelength_nm: float | None = None
    immersion_index: float | None = None
    sample_index: float | None = None
    modality: str | None = None
    excitation_nm: float | None = None
    pinhole_au: float | None = None
    sheet_thickness_nm: float | None = None
    psf_model: str | None = None
    psf: Path | None = None
    psf_pixel_nm: float | None = None
    psf_z_step_nm: float | None = None
    psf_series: int | None = None

    @property
    def given(self) -> bool:
        """Whether any of it was given."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    @property
    def from_image(self) -> bool:
        """Whether the PSF is to be found from the image."""
        return self.psf == _FROM_IMAGE

    def load(self, *, measured: bool = True) -> Objective | PSF:
        """Make the optics, or say what is missing.

        Parameters
        ----------
        measured : bool
            Whether a measured PSF would do as well as an objective.

        Raises
        ------
        SuperlensError
            When neither or both ways were used, or a value cannot be right.
        """
        stated = {name: value for name, value in self._objective().items() if value is not None}
        if self.psf is not None:
            if self.from_image:
                raise SuperlensError(
                    "`psf` is auto and there is no image to find it from; give the optics or a PSF file."
                )
            if stated:
                raise SuperlensError(
                    f"both `psf` and `{next(iter(stated))}` are given; expected a PSF file or the optics. Leave one out."
                )
            return self._measured(self.psf)
        if self.psf_pixel_nm is not None or self.psf_z_step_nm is not None or self.psf_series is not None:
            raise SuperlensError("the sampling or the image of a PSF file is given without `psf`; name the file too.")
        lacking = [name for name in ("na", "wavelength_nm") if getattr(self, name) is None]
        if lacking:
            instead = ", or a measured PSF with `psf`, or use `denoise_only`, which needs no optics" if measured else ""
            raise SuperlensError(
                f"{' and '.join(f'`{name}`' for name in lacking)} {'are' if len(lacking) > 1 else 'is'} missing; give the objective's NA and "
                f"the emission wavelength in nm{instead}."
            )
        from superlens.optics import Objective

        return Objective(**stated)

    def _measured(self, file: Path) -> PSF:
        from superlens.io import read_psf

        try:
            return read_psf(file, pixel_nm=self.psf_pixel_nm, z_step_nm=self.psf_z_step_nm, series=self.psf_series)
        except SuperlensError as error:  # here `series` is that of the images
            raise SuperlensError(str(error).replace("`series`", "`psf_series`")) from error

    def _objective(self) -> dict[str, Any]:
        names = (f.name for f in fields(self) if not f.name.startswith("psf") or f.name == "psf_model")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """The channels of a run.

    Attributes
    ----------
    images : list of Image
        With the channels that are worked on: several, or no axis C at all.
    numbers : tuple of int or None
        Their numbers, when there are several; None for one kind of plane.
    optics : list of (Objective, PSF or None)
        One for each channel; one in all when `numbers` is None.
    """

    images: list[Image]
    numbers: tuple[int, ...] | None
    optics: list[Objective | PSF | None]

    def arguments(self) -> dict[str, Any]:
        """As `superlens.enhance` takes them, besides the images."""
        if self.numbers is None:
            return {"optics": self.optics[0]}
        return {"optics": self.optics, "channels": self.numbers}


@dataclass(frozen=True, slots=True)
class ChannelOptics:
    """Channels and their optics as they were given; the other fields are those of `OpticsFacts`."""

    channel: tuple[int, ...] = ()
    na: float | None = None
    wavelength_nm: tuple[float, ...] = ()
    immersion_index: float | None = None
    sample_index: float | None = None
    modality: str | None = None
    excitation_nm: tuple[float, ...] = ()
    pinhole_au: float | None = None
    sheet_thickness_nm: float | None = None
    psf_model: str | None = None
    psf: tuple[Path, ...] = ()
    psf_pixel_nm: float | None = None
    psf_z_step_nm: float | None = None
    psf_series: int | None = None

    def one(self) -> OpticsFacts:
        """The optics of an image without channels.

        Raises
        ------
        SuperlensError
            When something was given more than once.
        """
        for name in _EACH:
            if len(getattr(self, name)) > 1:
                raise SuperlensError(
                    f"`{name}` is given {len(getattr(self, name))} times and there is one channel; give it once."
                )
        return self._at(0, None)

    def resolve(self, images: Sequence[Image], *, needed: bool, measured: bool = True) -> Channels:
        """Decide which channels of the images are meant, and load the optics of each.

        Parameters
        ----------
        images : sequence of Image
        needed : bool
            Whether nothing can be done without optics.
        measured : bool
            Whether a measured PSF would do as well as an objective.

        Raises
        ------
        SuperlensError
            When a channel does not exist or has no optics, or it is not clear which are meant.
        """
        counts = {image.sizes.get("C", 1) for image in images}
        if len(counts) > 1:
            raise SuperlensError(
                f"the images have {' and '.join(map(str, sorted(counts)))} channels; run those of one kind together."
            )
        count = counts.pop()
        numbers = tuple(sorted(set(self.channel))) or tuple(range(count))
        if len(numbers) < len(self.channel) or numbers[-1] >= count or list(numbers) != list(self.channel or numbers):
            raise _no_such_channels(self.channel, count)
        if len(numbers) == 1:
            kept = [image.select(c=numbers[0]) if "C" in image.axes else image for image in images]
            return Channels(kept, None, [_loaded(self.one(), kept[0], 0, needed, measured)])
        self._refuse_unclear(numbers, count, images[0], needed, measured)
        lenses = [
            _loaded(self._at(at, len(numbers)), images[0], number, needed, measured)
            for at, number in enumerate(numbers)
        ]
        return Channels(list(images), numbers, lenses)

    def _refuse_unclear(self, numbers: tuple[int, ...], count: int, image: Image, needed: bool, measured: bool) -> None:
        told = len(self.psf) or len(self.wavelength_nm)
        if not needed and not told:
            return
        if len(self.excitation_nm) not in (0, 1, len(numbers)):
            raise SuperlensError(
                f"`excitation_nm` is given {len(self.excitation_nm)} times for {len(numbers)} channels; give one for each."
            )
        if told == len(numbers) or (not told and self.na is not None and _stated(image, numbers)):
            return
        noun, name = ("PSF", "psf") if self.psf else ("wavelength", "wavelength_nm")
        given = f"{told or 'no'} {noun}{'s' * (told > 1)} (`{name}`)" if told or self.na is not None else "no optics"
        lacking = f", channel {numbers[told]} has none" if 0 < told < len(numbers) else ""
        raise SuperlensError(
            f"{image.name or 'the image'} has {count} channels and {given} for {len(numbers)} of them{lacking}; give one "
            f"{'`psf` or ' if measured else ''}`wavelength_nm` for each, or choose channels with `channel`."
        )

    def _at(self, at: int, channels: int | None) -> OpticsFacts:
        """The optics of the channel at a place; a value that is given once is that of all."""
        values = {field.name: getattr(self, field.name) for field in fields(OpticsFacts)}
        for name in _EACH:
            given = values[name]
            shared = name == "excitation_nm" and len(given) == 1
            values[name] = given[0 if shared else at] if given and (shared or at < len(given)) else None
        return OpticsFacts(**values)


def _loaded(facts: OpticsFacts, image: Image, number: int, needed: bool, measured: bool) -> Objective | PSF | None:
    if not facts.given and not needed:
        return None
    if facts.from_image:
        return _found(facts, image, number)
    stated = image.emission_nm[number] if number < len(image.emission_nm) else None
    if facts.psf is None and facts.wavelength_nm is None and facts.na is not None and stated is not None:
        facts = replace(facts, wavelength_nm=stated)
    return facts.load(measured=measured)


def _found(facts: OpticsFacts, image: Image, number: int) -> PSF:
    """The PSF that the image shows, and a warning that says which."""
    from superlens.metrics import find_psf

    others = [field.name for field in fields(facts) if field.name != "psf" and getattr(facts, field.name) is not None]
    if others:
        raise SuperlensError(f"`psf` is auto and `{others[0]}` is given; leave one of them out.")
    if "Z" in image.axes:
        raise SuperlensError(
            "`psf` is auto and the image has slices; a width along z cannot be found, so give the optics."
        )
    found = find_psf(image.select(c=number) if "C" in image.axes else image)
    if any(image.data.strides):  # not an outline alone, as of a dry run
        warnings.warn(found.note, SuperlensWarning, stacklevel=2)
    return found.psf


def _stated(image: Image, numbers: Sequence[int]) -> bool:
    return bool(image.emission_nm) and all(image.emission_nm[number] is not None for number in numbers)


def _no_such_channels(channel: Sequence[int], count: int) -> SuperlensError:
    return SuperlensError(
        f"`channel` is {', '.join(map(str, channel))}; expected rising numbers from 0 to {count - 1}, each once."
    )


def one_or_several(image: Image, channel: Sequence[int]) -> Image:
    """The requested channels of an image; one of them comes without the axis C.

    Raises
    ------
    SuperlensError
        When there is no such channel.
    """
    if not channel:
        return image
    count = image.sizes.get("C", 1)
    if list(channel) != sorted(set(channel)) or channel[-1] >= count:
        raise _no_such_channels(channel, count)
    if len(channel) == 1:
        return image.select(c=channel[0]) if "C" in image.axes else image
    return image.with_channels(channel)


# -- settings -----------------------------------------------------------------------------------------------------------


def settings_of(method: Method, verb: str, given: Mapping[str, Any], known: Sequence[Parameter]) -> Settings:
    """The settings of a method: those of a preset or a file, with what was given on top.

    Parameters
    ----------
    method : Method
    verb : str
    given : mapping
        Everything that was given, by name.
    known : sequence of Parameter
        Those of the verb, of all methods.

    Raises
    ------
    SuperlensError
        When a parameter of another method is given, the file cannot be read, or a setting is unknown or out of range.
    """
    own = {parameter.name: parameter for parameter in method.parameters(verb)}
    for parameter in known:
        value = given.get(parameter.name)
        if parameter.methods and parameter.name not in own and value not in (None, False, ()):
            raise SuperlensError(
                f"`{parameter.name}` belongs to `method` {' or '.join(parameter.methods)}, and this is {method.name}; leave it out."
            )
    changes = {name: given.get(name) for name in own}
    changes = {n: v for n, v in changes.items() if v not in (None, ()) and not (v is False and own[n].kind == "flag")}
    pairs = dict(_pair(text) for text in given.get("settings") or ())
    made: Settings = method.configured(given.get("preset"), _text(given.get("config")), {**changes, **pairs})
    return made


def _text(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuperlensError(f"the settings file {path} cannot be read ({error}); check `config`.") from error


def _pair(text: str) -> tuple[str, Any]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SuperlensError(f"`settings` is {text!r}; expected NAME=VALUE, like hessian=0.05.")
    try:
        return name.strip().replace("-", "_"), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SuperlensError(f"`settings` is {text!r}; the value is neither a number, a word nor a list.") from error
