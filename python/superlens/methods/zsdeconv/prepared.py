"""From images and optics to everything that is fixed before learning begins, or a refusal in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from superlens.camera import refuse_offset, smoothed_signal
from superlens.errors import SuperlensError, require_length_nm
from superlens.image import Image
from superlens.methods.zsdeconv.degree import carried_degree
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import shown_width_px
from superlens.networks import architecture
from superlens.observing.binning import WIDEST, bin_variance, binned, bins_for
from superlens.observing.conditioning import Normaliser
from superlens.observing.observation import Observation, observe
from superlens.optics import PSF, RESPONSES, Objective, Response
from superlens.predicting.haze import separated
from superlens.training.two_stage.banded import Band
from superlens.training.two_stage.optics import SharpOptics

__all__ = ["LEAST_SLICES", "Prepared", "prepare"]

_TELLING_PIXELS = 64 * 64  # of a plane: in smaller ones one bright spot looks like shared noise

_FINE = 2  # fine pixels along a camera pixel, for a PSF of which the band alone is asked

_TELLING_PLANES = 8  # of an image that is asked how fine it is

LEAST_SLICES = 5
"""Fewer slices are not a volume."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Everything that is fixed before learning begins.

    Attributes
    ----------
    config : ZSDeconvConfig
    observations : list of Observation
        One for each image.
    pixel_nm : float or None
        Camera pixel; None when no optics are needed and the file states none.
    psf : PSF or None
        On the fine grid; None for denoising only.
    band : Band or None
        What trains: up to what the stated optics pass, and to what the images may show where they show where their light ends; None for all.
    optics : SharpOptics
    normaliser : Normaliser
        Measured over all images.
    bins : int
        Camera pixels along a bin that the network takes for a pixel.
    bin_variance : float
        Variance of the noise of a bin over that of a camera pixel.
    by_light : bool
        Whether the images were asked how far to sharpen.
    """

    config: ZSDeconvConfig
    observations: list[Observation]
    pixel_nm: float | None
    psf: PSF | None
    band: Band | None
    optics: SharpOptics
    normaliser: Normaliser
    bins: int = 1
    bin_variance: float = 1.0
    by_light: bool = False

    @property
    def steps(self) -> int:
        """Steps that learning takes: none from the pretrained network where neighbouring pixels share much of their noise.

        Copies of such an image share what differences between near pixels do not show, and a network learns it as if it were structure.
        """
        return 0 if self.learns_shared_noise else self.config.steps

    @property
    def learns_shared_noise(self) -> bool:
        """Whether more steps would learn noise that neighbouring pixels share."""
        config = self.config
        return (
            config.pairs == "recorrupt"
            and config.axes == "YX"
            and not config.from_scratch
            and 2 * sum(_shares_noise(o) for o in self.observations) > len(self.observations)
        )

    @property
    def learned_from(self) -> list[Observation]:
        """The observations at the sampling that the network takes."""
        return [binned(o, self.bins, self.bin_variance) for o in self.observations]


def _shares_noise(observation: Observation) -> bool:
    """Whether neighbouring pixels share much noise, of an image that is large enough to tell that from chance and from a bright spot."""
    noise = observation.noise
    return observation.counts[0].size >= _TELLING_PIXELS and not noise.independent and not noise.mild


def prepare(
    images: Sequence[Image],
    optics: Objective | PSF | None,
    config: ZSDeconvConfig,
    *,
    response: Response | None = None,
) -> Prepared:
    """Check everything that can be checked before a minute is spent; the response is that of the axes unless a model's is given.

    Raises
    ------
    SuperlensError
        If an image can't be worked on, the optics don't fit it, or the settings contradict each other.
    """
    if not images:
        raise SuperlensError("images is empty; expected at least one")
    if config.units == "electrons" and config.gain is None:
        raise SuperlensError("units is electrons and no gain is given; give the camera's gain, in counts per electron")
    if config.axes == "auto":
        config = config.for_axes("YX")
    pixel_nm = _one_pixel_size(images, needed=not config.denoise_only)
    volumes = config.axes == "ZYX"
    z_step_nm = _one_step(images, needed=not config.denoise_only) if volumes else None
    psf = None if config.denoise_only else _fine_psf(optics, pixel_nm, config.scale, z_step_nm)
    if psf is not None and pixel_nm is not None:
        _refuse_wider_than_image(psf, pixel_nm, images)
    for image in images:
        refuse_offset(image.data, config.offset, image.name or "the image")
    observed = observe(images, offset=config.offset, gain=config.gain, read_noise_e=config.read_noise_e)
    hazy = _lets_haze_in(optics)
    observations = [told_apart(o, psf, config, advise=hazy and not i) for i, o in enumerate(observed)]
    by_light = config.sharpen == "auto"
    if by_light:
        config = config.with_changes({"sharpen": _degree(observations, psf, config)})
    smooth = [smoothed_signal(plane) for o in observations for plane in o.in_focus]
    bins = bins_of(observations, psf, config)
    return Prepared(
        config=config,
        observations=observations,
        pixel_nm=pixel_nm,
        psf=psf,
        band=_band(optics, psf, pixel_nm, observations, bins),
        optics=SharpOptics.of(psf, config.axes, config.scale, response or response_of(config), bins=bins),
        normaliser=Normaliser.measure(
            np.concatenate([s.ravel() for s in smooth]), np.concatenate([o.sigma.ravel() for o in observations])
        ),
        bins=bins,
        bin_variance=bin_variance(observations, bins),
        by_light=by_light,
    )


def told_apart(
    observation: Observation, psf: PSF | None, config: ZSDeconvConfig, *, advise: bool = False
) -> Observation:
    """An observation with its haze separated, where the settings ask for it and the plane allows it."""
    asked = haze_of(psf, config)
    return observation if asked is None else separated(observation, *asked, advise=advise)


def haze_of(psf: PSF | None, config: ZSDeconvConfig) -> tuple[Literal["auto", "separate", "keep"], float] | None:
    """When to separate haze, and the FWHM of the PSF in camera pixels; None where planes or network do not allow it."""
    if psf is None or config.axes == "ZYX" or architecture(config.network).inputs != "conditioned":
        return None
    return config.haze, psf.fwhm_nm / (psf.pixel_nm * config.scale)


def _lets_haze_in(optics: Objective | PSF | None) -> bool:
    """Whether a microscope shows what is out of focus; one that is given by its PSF alone may."""
    return not isinstance(optics, Objective) or optics.modality == "widefield"


def bins_of(observations: Sequence[Observation], psf: PSF | None, config: ZSDeconvConfig) -> int:
    """Camera pixels along a bin; only planes are binned, for a network that takes their optics and their noise as inputs."""
    if config.axes == "ZYX" or config.pairs == "temporal" or architecture(config.network).inputs != "conditioned":
        return 1
    width = _shown_width(observations) if psf is None else psf.fwhm_nm / (psf.pixel_nm * config.scale)
    return bins_for(observations, width)


def _shown_width(observations: Sequence[Observation]) -> float | None:
    """FWHM of the blur that an image without optics shows, camera pixels, at most what needs no bins; None where no pixels share noise.

    Fine structure makes bins look alike as shared noise does, so the noise alone must not say how far to bin.
    """
    sharing = next((o for o in observations if not o.noise.independent), None)
    if sharing is None:
        return None
    shown = shown_width_px(sharing.counts[:_TELLING_PLANES])
    return WIDEST if shown is None else min(shown[0], WIDEST)


def response_of(config: ZSDeconvConfig) -> Response:
    """The response that the settings ask for; the usual one for volumes, and where nothing is sharpened."""
    usual = RESPONSES[config.axes]
    return usual if config.axes == "ZYX" or config.denoise_only else usual._replace(lateral=float(config.sharpen))


def _degree(observations: Sequence[Observation], psf: PSF | None, config: ZSDeconvConfig) -> float:
    """How far to sharpen where the images are asked; as usual where the degree has no meaning."""
    if psf is None or config.axes == "ZYX":
        return RESPONSES["YX"].lateral
    return carried_degree(observations, psf.fwhm_nm / (psf.pixel_nm * config.scale), config.seed)


def _one_pixel_size(images: Sequence[Image], *, needed: bool) -> float | None:
    sizes = sorted({image.pixel_nm for image in images if image.pixel_nm is not None})
    if not sizes:
        if needed:
            raise SuperlensError(
                f"{images[0].name or 'the image'} has no pixel size; give it with `pixel_nm`, in nanometres"
            )
        return None
    if sizes[-1] > 1.02 * sizes[0]:
        raise SuperlensError(
            f"the images have pixels of {sizes[0]:g} and {sizes[-1]:g} nm; one model needs one pixel size: "
            "run them separately"
        )
    return sizes[0]


def _refuse_wider_than_image(psf: PSF, pixel_nm: float, images: Sequence[Image]) -> None:
    width = psf.fwhm_nm / pixel_nm
    for image in images:
        side = min(image.data.shape[-2:])
        if width > side:
            raise SuperlensError(
                f"the PSF is {width:.0f} camera pixels wide (FWHM) and {image.name or 'the image'} only {side}; "
                "expected a PSF smaller than the image. Is it the right PSF file and pixel size?"
            )


def _one_step(images: Sequence[Image], *, needed: bool) -> float | None:
    for image in images:
        called, slices = image.name or "the image", image.sizes.get("Z", 1)
        if slices < LEAST_SLICES:
            raise SuperlensError(
                f"{called} has {slices} slice{'s' * (slices != 1)} along Z; a volume needs at least {LEAST_SLICES}. Set `volume` to false to take each "
                "slice as an image, or `axes` if another axis is Z"
            )
        if needed and image.z_step_nm is None:
            raise SuperlensError(f"{called} has no z-step; give it with `z_step_nm`, in nanometres")
    steps = sorted({image.z_step_nm for image in images if image.z_step_nm is not None})
    if steps and steps[-1] > 1.02 * steps[0]:
        raise SuperlensError(
            f"the stacks have z-steps of {steps[0]:g} and {steps[-1]:g} nm; one model needs one: run them separately"
        )
    return steps[0] if steps else None


def _fine_psf(optics: Objective | PSF | None, pixel_nm: float | None, scale: int, z_step_nm: float | None) -> PSF:
    if optics is None or pixel_nm is None:
        raise SuperlensError("optics is missing; give `na` and `wavelength_nm`, or `psf`, or ask for `denoise_only`")
    require_length_nm("pixel_nm", pixel_nm)
    psf = _resampled(optics, pixel_nm / scale, z_step_nm)
    psf.check_against(pixel_nm)
    return psf


def _resampled(optics: Objective | PSF, fine_nm: float, z_step_nm: float | None) -> PSF:
    if isinstance(optics, Objective):
        return optics.psf(fine_nm, z_step_nm=z_step_nm)
    if z_step_nm is None:
        return optics.at_focus().resample(fine_nm)
    if optics.data.ndim == 2:
        raise SuperlensError(
            "the PSF is a single plane and the image a volume; give a PSF stack, or `na` and `wavelength_nm`, "
            "or set `volume` to false to take each slice as an image"
        )
    return optics.resample(fine_nm, z_step_nm)


def _band(
    optics: Objective | PSF | None,
    psf: PSF | None,
    pixel_nm: float | None,
    observations: Sequence[Observation],
    bins: int,
) -> Band | None:
    """What the optics pass, where they are stated, and no more than the images may show; for denoising only, of optics that fit the image."""
    if psf is None and optics is not None and pixel_nm is not None:
        try:
            psf = _resampled(optics, pixel_nm / _FINE, None)
        except SuperlensError:
            psf = None
    passed = None if psf is None or pixel_nm is None else Band.of(psf, bins * pixel_nm)
    shown = [Band.shown_by(_some_planes(o)) for o in observations] if bins == 1 else [None]
    if None in shown:
        return passed
    widest = max((band for band in shown if band is not None), key=lambda band: band.limit)
    return widest if passed is None else min(passed, widest, key=lambda band: band.limit)


def _some_planes(observation: Observation) -> NDArray[np.float32]:
    planes = observation.counts.reshape(-1, *observation.counts.shape[-2:])
    return planes[:: max(1, len(planes) // _TELLING_PLANES)][:_TELLING_PLANES]
