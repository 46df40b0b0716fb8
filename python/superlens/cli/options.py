"""The options that commands share, each group gathered into one frozen value.

A command is decorated with, say, `optics_options` and receives one argument ``optics`` of type `OpticsChoice` instead of
twelve. The choices know how to become what the package works with: an `Objective` or `PSF`, a `ZSDeconvConfig`, a device.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superlens.cli.failures import quiet_native_output
from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.camera.stripes import StripeChoice
    from superlens.image import Image
    from superlens.io import ImageFile
    from superlens.methods.deepstorm import DeepStormConfig
    from superlens.methods.zsdeconv import ZSDeconvConfig
    from superlens.optics import PSF, Objective
    from superlens.smlm.estimation import Known

__all__ = [
    "HostChoice",
    "ImageChoice",
    "LearningChoice",
    "MovieChoice",
    "OpticsChoice",
    "corrected_image_options",
    "gathered",
    "host_options",
    "image_options",
    "learning_options",
    "movie_options",
    "optics_options",
    "optics_specs",
    "path_type",
]

F = TypeVar("F", bound=Callable[..., Any])
path_type = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """What the user says of the images that their files do not."""

    pixel_nm: float | None
    axes: str | None
    z_step_nm: float | None = None
    fill_missing: bool = False
    remove_stripes: StripeChoice = "off"
    offset_map: Path | None = None
    gain_map: Path | None = None

    @property
    def corrects(self) -> bool:
        """Whether anything is to be done to the pixels."""
        return self.remove_stripes != "off" or self.offset_map is not None or self.gain_map is not None

    def file(self, path: Path, channels: tuple[int, ...] | None = None) -> ImageFile:
        """The file with what is said of it, for opening it without reading."""
        from superlens.io import ImageFile

        return ImageFile(path, self.axes, self.pixel_nm, self.z_step_nm, self.fill_missing, channels)

    def read(self, path: Path) -> Image:
        """Read one image and refuse what cannot be worked on."""
        from superlens.image import check_image
        from superlens.io import read

        image = read(
            path, axes=self.axes, pixel_nm=self.pixel_nm, z_step_nm=self.z_step_nm, fill_missing=self.fill_missing
        )
        check_image(image)
        return self.corrected(image) if self.corrects else image

    def corrected(self, image: Image) -> Image:
        """Take off what is asked for: the sensor's own offsets and gains, then stripes."""
        from superlens.io import read
        from superlens.observing.correction import even_sensor, without_stripes

        maps = {
            name: read(path)
            for name, path in (("offset", self.offset_map), ("gain", self.gain_map))
            if path is not None
        }
        return without_stripes(even_sensor(image, **maps) if maps else image, self.remove_stripes)


@dataclass(frozen=True, slots=True)
class OpticsChoice:
    """The optics: either the objective's numbers or a measured PSF."""

    na: float | None
    wavelength_nm: float | None
    immersion_index: float | None
    sample_index: float | None
    modality: str | None
    excitation_nm: float | None
    pinhole_au: float | None
    sheet_thickness_nm: float | None
    psf_model: str | None
    psf: Path | None
    psf_pixel_nm: float | None
    psf_z_step_nm: float | None

    @property
    def given(self) -> bool:
        """Whether any of it was given."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def load(self) -> Objective | PSF:
        """Make the optics, or say what is missing.

        Raises
        ------
        SuperlensError
            When neither or both ways were used, or a value cannot be right.
        """
        stated = {name: value for name, value in self._objective().items() if value is not None}
        if self.psf is not None:
            if stated:
                option = "--" + next(iter(stated)).replace("_", "-")
                raise SuperlensError(
                    f"both --psf and {option} are given; expected a PSF file or the optics. Leave one out."
                )
            return self._read_psf(self.psf)
        if self.psf_pixel_nm is not None or self.psf_z_step_nm is not None:
            raise SuperlensError("the sampling of a PSF file is given without --psf; name the file too.")
        if self.na is None or self.wavelength_nm is None:
            lacking = " and ".join(
                option
                for option, value in (("--na", self.na), ("--wavelength-nm", self.wavelength_nm))
                if value is None
            )
            raise SuperlensError(
                f"{lacking} {'are' if ' and ' in lacking else 'is'} missing; give the objective's NA and the emission "
                "wavelength in nm, or a measured PSF with --psf, or use --denoise-only, which needs no optics."
            )
        from superlens.optics import Objective

        return Objective(**stated)

    def _objective(self) -> dict[str, Any]:
        return {
            f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("psf") or f.name == "psf_model"
        }

    def _read_psf(self, path: Path) -> PSF:
        from superlens.io import read_psf

        return read_psf(path, pixel_nm=self.psf_pixel_nm, z_step_nm=self.psf_z_step_nm)


@dataclass(frozen=True, slots=True)
class LearningChoice:
    """Preset and settings of the training; None leaves a setting to the preset."""

    preset: str
    config: Path | None
    scale: int | None
    steps: int | None
    minutes: float | None
    seed: int | None
    denoise_only: bool
    from_scratch: bool
    volume: bool | None
    pairs: str | None
    offset: float | None
    gain: float | None
    read_noise_e: float | None
    units: str | None
    settings: tuple[str, ...]

    def load(self, axes: str | None = None) -> ZSDeconvConfig:
        """Make the settings: those of the preset or the file, with what was given on the command line on top.

        Parameters
        ----------
        axes : str, optional
            The spatial axes that the images ask for, where neither the file nor ``--set`` says.

        Raises
        ------
        SuperlensError
            When the file cannot be read, or a setting is unknown or out of range.
        """
        from superlens.methods.zsdeconv import ZSDeconvConfig

        if self.config is None:
            changes = self._changes()
            return ZSDeconvConfig.of(self.preset, **({"axes": axes} if axes == "ZYX" else {}) | changes)
        if self.volume is not None:
            raise SuperlensError(
                "--volume or --planes is given with --config; say axes and network in that file instead."
            )
        try:
            text = self.config.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SuperlensError(
                f"the settings file {self.config} cannot be read ({error}); check --config."
            ) from error
        return ZSDeconvConfig.from_yaml(text).with_changes(self._changes())

    @property
    def camera(self) -> tuple[float | None, float | None, float | None]:
        """Offset, gain and read noise, as far as they are given."""
        return self.offset, self.gain, self.read_noise_e

    def load_as(self, kind: type[DeepStormConfig]) -> DeepStormConfig:
        """Make the settings of single-molecule localization.

        Raises
        ------
        SuperlensError
            When an option of another method is given, or a setting is unknown or out of range.
        """
        for name in ("config", "scale", "units", "denoise_only", "volume", "pairs"):
            if getattr(self, name):
                raise SuperlensError(f"--{name.replace('_', '-')} does not belong to --method deepstorm; leave it out.")
        given = {name: getattr(self, name) for name in ("steps", "minutes", "seed") if getattr(self, name) is not None}
        if self.from_scratch:
            given["from_scratch"] = True
        return kind.of(self.preset, **given, **dict(_setting(text) for text in self.settings))

    def _changes(self) -> dict[str, Any]:
        names = ("scale", "steps", "minutes", "seed", "offset", "gain", "read_noise_e", "units", "pairs")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        switches = {name: True for name in ("denoise_only", "from_scratch") if getattr(self, name)}
        return {**given, **switches, **dict(_setting(text) for text in self.settings)}


_SIGMA_OF_NA = 0.21
"""Standard deviation of the best Gaussian for a focused molecule, times NA over wavelength (Zhang et al., Appl. Opt. 46, 1819, 2007)."""


@dataclass(frozen=True, slots=True)
class MovieChoice:
    """What the user knows of a movie."""

    psf_sigma_nm: float | None
    na: float | None
    wavelength_nm: float | None
    offset: float | None
    gain: float | None
    read_noise_e: float | None
    em: bool = False

    def known(self) -> Known:
        """Make of it what the method takes.

        Raises
        ------
        SuperlensError
            When a value is impossible, or NA and wavelength are not given together.
        """
        from superlens.smlm.estimation import Known

        return Known(self._sigma_nm(), self.offset, self.gain, self.read_noise_e, self.em)

    def _sigma_nm(self) -> float | None:
        if self.psf_sigma_nm is not None:
            if not 20 <= self.psf_sigma_nm <= 1000:
                raise SuperlensError(f"--psf-sigma-nm is {self.psf_sigma_nm:g}; expected 20 to 1000 nm.")
            return self.psf_sigma_nm
        if (self.na is None) != (self.wavelength_nm is None):
            raise SuperlensError(
                "only one of --na and --wavelength-nm is given; the width of a molecule's image needs both."
            )
        if self.na is None or self.wavelength_nm is None:
            return None
        from superlens.optics import Objective

        optics = Objective(na=self.na, wavelength_nm=self.wavelength_nm)  # refuses what cannot be
        return _SIGMA_OF_NA * optics.wavelength_nm / optics.na


@dataclass(frozen=True, slots=True)
class HostChoice:
    """Where the work runs and how much it tells."""

    device: str | None
    threads: int | None
    verbose: bool

    def start(self) -> None:
        """Load TensorFlow quietly, choose device and threads, and set up the log; called before anything heavy."""
        logging.basicConfig(format="%(message)s", level=logging.WARNING)
        logging.getLogger("superlens").setLevel(logging.INFO if self.verbose else logging.WARNING)
        logging.getLogger("superlens.progress").setLevel(logging.INFO)
        with quiet_native_output():
            from superlens.training import select_device

            select_device(self.device, self.threads)


def image_options(command: F) -> F:
    """Add the options about images; the command receives them as ``image``."""
    return gathered(command, ImageChoice, "image", _IMAGE)


def corrected_image_options(command: F) -> F:
    """Add those of `image_options`, and what to do to the pixels first, for commands of images and not of movies."""
    return gathered(command, ImageChoice, "image", (*_IMAGE, *_WHOLE))


def optics_options(command: F) -> F:
    """Add the options about optics; the command receives them as ``optics``."""
    return gathered(command, OpticsChoice, "optics", optics_specs(several=False))


def learning_options(command: F) -> F:
    """Add the options about training and camera; the command receives them as ``learning``."""
    return gathered(command, LearningChoice, "learning", _LEARNING)


def movie_options(command: F) -> F:
    """Add the options about a movie of single molecules; the command receives them as ``facts``."""
    return gathered(command, MovieChoice, "facts", _MOVIE)


def host_options(command: F) -> F:
    """Add the options about the machine; the command receives them as ``host``."""
    return gathered(command, HostChoice, "host", _HOST)


def optics_specs(*, several: bool) -> tuple[Callable[[Any], Any], ...]:
    """The options about optics; with `several`, those that channels may differ in may be given more than once."""
    return (
        click.option("--na", type=float, help="Numerical aperture of the objective."),
        click.option("--wavelength-nm", type=float, multiple=several, help="Wavelength of the detected light, in nm."),
        click.option(
            "--immersion-index", type=float, help="Default: smallest of 1.0, 1.33, 1.406, 1.518 above the NA."
        ),
        click.option("--sample-index", type=float, help="Refractive index of the specimen; default: the immersion's."),
        click.option("--modality", type=click.Choice(_MODALITIES), help="How the image was taken; default: widefield."),
        click.option(
            "--excitation-nm",
            type=float,
            multiple=several,
            help="Excitation wavelength; needed for confocal and two-photon.",
        ),
        click.option("--pinhole-au", type=float, help="Confocal pinhole in Airy units; default: 1."),
        click.option("--sheet-thickness-nm", type=float, help="FWHM of the light sheet."),
        click.option(
            "--psf-model",
            type=click.Choice(("auto", "gaussian", "scalar", "vectorial")),
            help="Theory of the focus; default: by the NA.",
        ),
        click.option(
            "--psf",
            type=path_type,
            multiple=several,
            help="A measured PSF (TIFF, or MRC with a radial OTF) instead of the optics.",
        ),
        click.option("--psf-pixel-nm", type=float, help="Pixel of the PSF file, in nm; default: what the file says."),
        click.option(
            "--psf-z-step-nm", type=float, help="Distance of the PSF file's planes; default: what the file says."
        ),
    )


def gathered(command: F, choice: type[Any], argument: str, options: Sequence[Callable[[Any], Any]]) -> F:
    """Add options to a command, which receives them as one value of the type `choice`."""

    @functools.wraps(command)
    def call(**given: Any) -> Any:
        own = {field.name: given.pop(field.name) for field in fields(choice) if field.name in given}
        return command(**given, **{argument: choice(**own)})

    decorated: Any = call
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _setting(text: str) -> tuple[str, Any]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SuperlensError(f"--set is {text!r}; expected NAME=VALUE, like --set hessian=0.05.")
    try:
        return name.strip().replace("-", "_"), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SuperlensError(f"--set is {text!r}; the value is neither a number, a word nor a list.") from error


_MODALITIES = ("widefield", "confocal", "two-photon", "light-sheet", "tirf")

_IMAGE = (
    click.option("--pixel-nm", type=float, help="Camera pixel on the specimen, in nm; default: what the file says."),
    click.option("--axes", help="Axes of the file's array, like TYX; default: what the file says."),
)

_WHOLE = (
    click.option("--z-step-nm", type=float, help="Distance of the planes, in nm; default: what the file says."),
    click.option("--fill-missing", is_flag=True, help="Take chunks that a Zarr lacks for its fill value."),
    click.option(
        "--remove-stripes",
        type=click.Choice(("auto", "x", "y", "off")),
        default="off",
        show_default=True,
        help="Take off stripes that are the same in all planes: along x, along y, or where they are found.",
    ),
    click.option("--offset-map", type=path_type, help="Offset of each pixel of an sCMOS sensor, in counts."),
    click.option("--gain-map", type=path_type, help="Gain of each pixel, in counts per electron or relative."),
)


_CAMERA = (
    click.option("--offset", type=float, help="Camera counts without light; estimated when not given."),
    click.option("--gain", type=float, help="Camera counts per electron; estimated when not given."),
    click.option("--read-noise-e", type=float, help="Camera read noise in electrons; estimated when not given."),
)

_LEARNING = (
    click.option("--preset", type=click.Choice(("fast", "standard", "paper")), default="fast", show_default=True),
    click.option("--config", type=path_type, help="Settings in a YAML file, instead of a preset."),
    click.option("--scale", type=click.IntRange(1, 2), help="Fine pixels along a camera pixel; default: 2."),
    click.option("--steps", type=int, help="Most training steps."),
    click.option("--minutes", type=float, help="Most minutes of training."),
    click.option("--seed", type=int, help="Same seed, steps and device: same pixels. Default: 0."),
    click.option("--denoise-only", is_flag=True, help="Denoise without super-resolving; needs no optics."),
    click.option("--from-scratch", is_flag=True, help="Do not start from the pretrained model."),
    click.option(
        "--volume/--planes",
        default=None,
        help="Take stacks as volumes, or each slice as an image; default: volumes where slices, z-step and PSF allow.",
    ),
    click.option(
        "--pairs",
        type=click.Choice(("recorrupt", "interleave", "temporal")),
        help="Noisy pairs: re-corrupted images (default), odd and even slices, or neighbouring frames of a still scene.",
    ),
    *_CAMERA,
    click.option(
        "--units", type=click.Choice(("counts", "electrons")), help="Unit of the output; electrons need --gain."
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any other setting, like hessian=0.05 (repeatable).",
    ),
)

_MOVIE = (
    click.option("--psf-sigma-nm", type=float, help="Standard deviation of a molecule's image, in nm; else estimated."),
    click.option("--na", type=float, help="Numerical aperture; with --wavelength-nm instead of --psf-sigma-nm."),
    click.option("--wavelength-nm", type=float, help="Wavelength of the detected light, in nm."),
    *_CAMERA,
    click.option("--em", is_flag=True, help="The camera multiplies electrons (EMCCD): photons count twice as many."),
)

_HOST = (
    click.option("--device", help="cpu, gpu or gpu:1; default: the best there is."),
    click.option("--threads", type=click.IntRange(min=1), help="Processor threads; default: all."),
    click.option("--verbose", "-v", is_flag=True, help="Tell the story of the run on standard error."),
)
