"""From images and optics to everything that is fixed before learning begins, or a refusal in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superlens.camera import smoothed_signal
from superlens.conditioning import Normaliser, WienerBank
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.observation import Observation, observe
from superlens.optics import PSF, Objective, relative_kernel

__all__ = ["NOMINAL_FWHM", "TARGET_FACTOR", "Lens", "Task", "prepare"]

TARGET_FACTOR = 1.5
"""How many times narrower than the PSF the resolution of the sharp image is."""

NOMINAL_FWHM = 3.0
"""Camera pixels; tells a denoiser without optics how smooth light is."""


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """What separates the specimen, the sharp image and the camera image.

    Attributes
    ----------
    kernel : ndarray, shape (odd, odd), sum 1
        Blur from the sharp image to the diffraction-limited one, on the fine grid.
    bank : WienerBank
        Filters that the light network's channels come from.
    """

    kernel: NDArray[np.float64]
    bank: WienerBank

    @classmethod
    def of(cls, psf: PSF | None, scale: int) -> Lens:
        """For a PSF on the fine grid; for None, a nominal one that only tells a denoiser how smooth light is."""
        known = psf or PSF.gaussian(100 * NOMINAL_FWHM, 100 / scale)
        target = known.narrowed(TARGET_FACTOR)
        return cls(relative_kernel(known, target), WienerBank.from_psf(known.data, target.data, scale=scale))


@dataclass(frozen=True, slots=True, eq=False)
class Task:
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
    lens : Lens
    normaliser : Normaliser
        Measured over all images.
    """

    config: ZSDeconvConfig
    observations: list[Observation]
    pixel_nm: float | None
    psf: PSF | None
    lens: Lens
    normaliser: Normaliser


def prepare(images: Sequence[Image], optics: Objective | PSF | None, config: ZSDeconvConfig) -> Task:
    """Check everything that can be checked before a minute is spent.

    Raises
    ------
    SuperlensError
        If an image can't be worked on, the optics don't fit it, or the settings contradict each other.
    """
    if not images:
        raise SuperlensError("images is empty; expected at least one")
    if config.units == "electrons" and config.gain is None:
        raise SuperlensError("units is electrons and no gain is given; give the camera's gain, in counts per electron")
    pixel_nm = _one_pixel_size(images, needed=not config.denoise_only)
    psf = None if config.denoise_only else _fine_psf(optics, pixel_nm, config.scale)
    if psf is not None and pixel_nm is not None:
        _refuse_wider_than_image(psf, pixel_nm, images)
    observations = observe(images, offset=config.offset, gain=config.gain, read_noise_e=config.read_noise_e)
    smooth = [smoothed_signal(plane) for o in observations for plane in o.counts]
    return Task(
        config=config,
        observations=observations,
        pixel_nm=pixel_nm,
        psf=psf,
        lens=Lens.of(psf, config.scale),
        normaliser=Normaliser.measure(
            np.concatenate([s.ravel() for s in smooth]), np.concatenate([o.sigma.ravel() for o in observations])
        ),
    )


def _one_pixel_size(images: Sequence[Image], *, needed: bool) -> float | None:
    sizes = sorted({image.pixel_nm for image in images if image.pixel_nm is not None})
    if not sizes:
        if needed:
            raise SuperlensError(
                f"{images[0].name or 'the image'} has no pixel size; give it with --pixel-nm (pixel_nm), in nanometres"
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


def _fine_psf(optics: Objective | PSF | None, pixel_nm: float | None, scale: int) -> PSF:
    if optics is None or pixel_nm is None:
        raise SuperlensError("optics is missing; give --na and --wavelength-nm, or --psf, or ask for --denoise-only")
    fine_nm = pixel_nm / scale
    psf = optics.psf(fine_nm) if isinstance(optics, Objective) else _in_plane(optics).resample(fine_nm)
    psf.check_against(pixel_nm)
    return psf


def _in_plane(psf: PSF) -> PSF:
    return psf.at_focus() if psf.data.ndim == 3 else psf
