"""The optics between the sharp image and the camera: what blur is left to apply, and the filters that condition a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.observing.conditioning import WienerBank, optics_scalars
from superlens.optics import PSF, Response, Transfer, image_of, relative_blur
from superlens.optics.forward import Blur

__all__ = ["BINNED_SCALE", "NOMINAL_FWHM", "SharpOptics", "compact"]

Array = NDArray[np.float32]

NOMINAL_FWHM = 3.0
"""Camera pixels; how smooth light is, for a denoiser without optics."""

BINNED_SCALE = 2
"""Fine pixels along a bin, whatever the sampling that was asked for."""

_LATERAL_REACH = 16  # fine pixels


@dataclass(frozen=True, slots=True, eq=False)
class SharpOptics:
    """What separates the sharp image, which has the stated response, from the camera image, which has the PSF.

    Attributes
    ----------
    psf : PSF
        On the fine grid; a nominal one for a denoiser without optics.
    response : Response
        Of the sharp image.
    scale : int
        Fine pixels along a camera pixel.
    blur : ndarray or Transfer
        From the sharp image to the diffraction-limited one, on the fine grid.
    bank : WienerBank
        Filters that condition a network.
    """

    psf: PSF
    response: Response
    scale: int
    blur: Blur
    bank: WienerBank

    @classmethod
    def of(cls, psf: PSF | None, axes: str, scale: int, response: Response, *, bins: int = 1) -> SharpOptics:
        """For a PSF on the fine grid; for None, a nominal one that only states to a denoiser how smooth light is.

        Of an image that is binned, for the PSF on a grid twice as fine as its bins, which is then the scale.
        """
        if bins > 1:
            psf = None if psf is None else psf.resample(psf.pixel_nm * scale * bins / BINNED_SCALE)
            scale = BINNED_SCALE
        known = psf or nominal(axes, scale)
        sharp = response.of(known)
        scalars = optics_scalars(response.lateral, known.fwhm_nm / (scale * known.pixel_nm))
        bank = WienerBank.from_psf(known.data, sharp.data, scale=scale, scalars=scalars)
        return cls(known, response, scale, relative_blur(known, sharp), bank)

    @property
    def blur_of_patches(self) -> Blur:
        """The blur for patches: without its faint rim, and volumes, whose lateral borders do not count, continued by less."""
        if isinstance(self.blur, Transfer):
            return Transfer(self.blur.on, (self.blur.reach[0], _LATERAL_REACH, _LATERAL_REACH))
        return compact(self.blur)

    def every_second_slice(self) -> SharpOptics:
        """The optics of a stack of every second slice."""
        assert self.psf.z_step_nm is not None  # a PSF of volumes has a step
        psf = self.psf.resample(self.psf.pixel_nm, 2 * self.psf.z_step_nm)
        return SharpOptics.of(psf, "ZYX", self.scale, self.response)

    @property
    def axial_fwhm(self) -> float:
        """Width of the PSF along z, in slices."""
        width, step = self.psf.fwhm_z_nm, self.psf.z_step_nm
        return 1.0 if width is None or step is None else width / step

    def seen(self, sharp: Array) -> Array:
        """What the camera would see of a sharp image or volume, with mirrored edges."""
        return image_of(sharp, self.blur, scale=self.scale)


def nominal(axes: str, scale: int) -> PSF:
    """A PSF that states how smooth light is, where there are no optics."""
    lateral = 100 * NOMINAL_FWHM, 100 / scale
    return PSF.gaussian(*lateral, fwhm_z_nm=150, z_step_nm=100) if axes == "ZYX" else PSF.gaussian(*lateral)


def compact(kernel: NDArray[np.floating[Any]], share: float = 0.998) -> NDArray[np.float64]:
    """The square centre of a kernel that holds most of its absolute sum, rescaled to the same sum."""
    middle = max(kernel.shape) // 2
    square = np.pad(kernel, [(middle - side // 2,) * 2 for side in kernel.shape])
    total = np.abs(square).sum()
    for r in range(1, middle):
        centre = square[middle - r : middle + r + 1, middle - r : middle + r + 1]
        if np.abs(centre).sum() >= share * total:
            return np.asarray(centre * (kernel.sum() / centre.sum()))
    return square
