"""`PSF`: the image of a point on a pixel grid, whatever it was computed or measured from.

A PSF is a non-negative array of odd sides that sums to 1, centred on its middle pixel. Each lateral value is the
light that falls on one pixel; axially it is sampled. It knows its sampling, so it can move to another pixel size,
become narrower, and say whether it can belong to an image. Computing a PSF from optics is the work of
`superlens.optics.objective`, cleaning measured ones that of `superlens.optics.measured`, and the blur between two
PSFs that of `superlens.optics.relative`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtr

from superlens.errors import SuperlensError, SuperlensWarning, require_length_nm
from superlens.image import Image
from superlens.optics import measured
from superlens.optics.sampling import (
    Border,
    box_holding,
    centred_crop,
    convolve,
    fwhm_px,
    rebin,
    sample,
    spectrum,
    width_at_half_px,
)

__all__ = ["PSF", "require_odd"]

Floats = NDArray[np.float64]

_SMALLEST_FWHM, _UNDERSAMPLED_FWHM, _LARGEST_FWHM = 0.6, 2.0, 25.0  # camera pixels
_GAUSSIAN_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))
_GAUSSIAN_REACH = 4.5  # sigmas on each side: leaves out less than 1e-5 of the light


@dataclass(frozen=True, slots=True, eq=False)
class PSF:
    """Point spread function on a pixel grid.

    Parameters
    ----------
    data : ndarray, shape (Y, X) or (Z, Y, X)
        Light of a point on each pixel, any scale. Sides must be odd and values finite and not negative; the
        array is divided by its sum, stored as float64 and made read-only.
    pixel_nm : float
        Lateral side of a pixel in nm.
    z_step_nm : float, optional
        Distance between planes in nm; required in 3D and absent in 2D.
    source : str
        Where it comes from, in words for a report.

    Raises
    ------
    SuperlensError
        If the array or the sampling cannot be a PSF.

    Examples
    --------
    >>> psf = PSF.gaussian(250.0, pixel_nm=62.6)
    >>> round(psf.fwhm_nm), round(float(psf.data.sum()), 9)
    (250, 1.0)
    >>> psf.resample(31.3).pixel_nm
    31.3
    """

    data: Floats = field(repr=False)
    pixel_nm: float
    z_step_nm: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Check the fields and bring the sum to 1."""
        data = np.array(self.data, dtype=np.float64)
        _require_psf_array(data)
        require_length_nm("pixel_nm", self.pixel_nm)
        if data.ndim == 3:
            if self.z_step_nm is None:
                raise SuperlensError("z_step_nm is missing; a 3D PSF needs the distance between its planes in nm.")
            require_length_nm("z_step_nm", self.z_step_nm)
        elif self.z_step_nm is not None:
            raise SuperlensError(f"z_step_nm is {self.z_step_nm:g} but the PSF is 2D; leave it out.")
        data /= data.sum()
        data.setflags(write=False)
        object.__setattr__(self, "data", data)

    # -- constructors --------------------------------------------------------------------------------------------

    @classmethod
    def gaussian(
        cls,
        fwhm_nm: float,
        pixel_nm: float,
        *,
        fwhm_z_nm: float | None = None,
        z_step_nm: float | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> Self:
        """Gaussian PSF, integrated over the pixels exactly.

        Parameters
        ----------
        fwhm_nm : float
            Lateral full width at half maximum in nm, before pixels.
        pixel_nm : float
            Lateral side of a pixel in nm.
        fwhm_z_nm, z_step_nm : float, optional
            Axial width and plane distance in nm; give both for a 3D PSF.
        shape : tuple of int, optional
            Odd sides; by default 4.5 standard deviations on each side.

        Returns
        -------
        PSF
            2D, or 3D when the axial values are given.
        """
        require_length_nm("fwhm_nm", fwhm_nm)
        require_length_nm("pixel_nm", pixel_nm)
        if (fwhm_z_nm is None) != (z_step_nm is None):
            raise SuperlensError("fwhm_z_nm and z_step_nm belong together; give both for a 3D PSF or neither for 2D.")
        widths = [fwhm_nm / pixel_nm] * 2
        if fwhm_z_nm is not None and z_step_nm is not None:
            require_length_nm("fwhm_z_nm", fwhm_z_nm)
            require_length_nm("z_step_nm", z_step_nm)
            widths.insert(0, fwhm_z_nm / z_step_nm)
        sigmas = [width * _GAUSSIAN_SIGMA for width in widths]
        sides = shape or tuple(2 * max(1, int(np.ceil(_GAUSSIAN_REACH * sigma))) + 1 for sigma in sigmas)
        require_odd("shape", sides, len(sigmas))
        axes = [_gaussian_pixels(side, sigma) for side, sigma in zip(sides, sigmas, strict=True)]
        if len(axes) == 3:
            position = np.arange(sides[0]) - sides[0] // 2
            axes[0] = np.exp(-0.5 * (position / sigmas[0]) ** 2)
        data = axes[-2][:, None] * axes[-1]
        if len(axes) == 3:
            data = axes[0][:, None, None] * data
        return cls(data, pixel_nm, z_step_nm, f"Gaussian, FWHM {fwhm_nm:g} nm")

    @classmethod
    def from_image(cls, image: Image, *, source: str = "") -> Self:
        """PSF from the image of one point, measured or computed.

        The background (median of the lateral border) is subtracted, the centroid around the peak is moved to the
        middle of the middle pixel, the rim where the signal sinks into the noise is cut off, negative values
        become zero, and the sum becomes 1.

        Parameters
        ----------
        image : Image
            Axes YX or ZYX (others of length 1), with pixel size, and plane distance in 3D.
        source : str, optional
            Words for the report; by default "measured: " and the image's name.

        Returns
        -------
        PSF
            2D or 3D like the image.

        Raises
        ------
        SuperlensError
            If the image shows no point, several points, or a point cut by the border, or lacks its sampling.

        Warns
        -----
        SuperlensWarning
            If the point looks saturated.
        """
        data = measured.spatial(image)
        pixel_nm, z_step_nm = measured.sampling(image, data.ndim)
        words = source or f"measured: {image.name or 'image'}"
        cleaned = measured.clean(data, saturation=measured.type_ceiling(image.data))
        return cls(cleaned, pixel_nm, z_step_nm, words)

    @classmethod
    def from_beads(cls, image: Image, *, source: str = "") -> Self:
        """PSF as the mean of all isolated beads of an image or a stack.

        Beads that overlap a neighbour, touch the border, are saturated, or are much wider or brighter than the
        rest (clusters) are left out. The others are aligned to a fraction of a pixel and averaged with their
        light as weights. The bead's own size stays in the result.

        Parameters
        ----------
        image : Image
            Axes YX or ZYX (others of length 1), with pixel size, and plane distance in 3D.
        source : str, optional
            Words for the report; the numbers of beads used and found are added.

        Returns
        -------
        PSF
            2D or 3D like the image.

        Raises
        ------
        SuperlensError
            If no isolated bead is left, or the image lacks its sampling.
        """
        data = measured.spatial(image)
        pixel_nm, z_step_nm = measured.sampling(image, data.ndim)
        mean, used, found = measured.average_beads(data, saturation=measured.type_ceiling(image.data))
        words = source or f"measured: {image.name or 'image'}"
        return cls(mean, pixel_nm, z_step_nm, f"{words}, mean of {used} of {found} beads")

    @classmethod
    def from_radial_otf(
        cls, otf: NDArray[np.inexact], dk_per_um: float, pixel_nm: float, *, source: str = "radial OTF"
    ) -> Self:
        """PSF in focus from a rotationally averaged optical transfer function.

        Parameters
        ----------
        otf : ndarray, shape (K,), real or complex
            Transfer function at the frequencies 0, dk, 2 dk, ...; the real part is used, zero beyond the end.
        dk_per_um : float
            Step of the frequency in cycles per micrometre.
        pixel_nm : float
            Side of a pixel of the result in nm.
        source : str, optional
            Words for the report.

        Returns
        -------
        PSF
            2D, negative values clipped, cropped to 99.98 % of its light and 7.2 FWHM on each side.
        """
        values = np.real(np.asarray(otf)).astype(np.float64)
        if values.ndim != 1 or len(values) < 4:
            raise SuperlensError(f"otf has shape {np.shape(otf)}; expected a radial line of at least 4 frequencies.")
        if not np.all(np.isfinite(values)) or values[0] <= 0:
            raise SuperlensError(f"otf starts with {values[0]:g}; expected finite values and a positive first one.")
        if not 1e-4 < dk_per_um < 10.0:
            raise SuperlensError(f"dk_per_um is {dk_per_um:g}; expected 0.0001-10 cycles per micrometre.")
        require_length_nm("pixel_nm", pixel_nm)
        reach_nm = min(0.5e3 / dk_per_um, max(20.0 * _otf_width_nm(values, dk_per_um), 8.0 * pixel_nm))
        side = 2 * int(reach_nm / pixel_nm) + 1
        frequency = fft.fftfreq(2 * side + 1, pixel_nm)
        radius = np.hypot(frequency[:, None], frequency) * 1e3 / dk_per_um
        transfer = np.interp(radius, np.arange(len(values)), values, right=0.0)
        transfer *= np.sinc(frequency * pixel_nm)[:, None] * np.sinc(frequency * pixel_nm)
        data = fft.fftshift(fft.ifft2(transfer).real)
        psf = cls(np.maximum(centred_crop(data, (side, side)), 0.0), pixel_nm, None, source)
        compact = min(side, 2 * int(np.ceil(7.2 * psf.fwhm_nm / pixel_nm)) + 1)
        return replace(psf, data=centred_crop(psf.data, (compact, compact))).cropped(0.9998)

    # -- measures ------------------------------------------------------------------------------------------------

    @property
    def fwhm_nm(self) -> float:
        """Lateral full width at half maximum in focus, in nm: geometric mean of x and y, without the pixel."""
        plane = self.data if self.data.ndim == 2 else self.data[self.data.shape[0] // 2]
        middle_y, middle_x = plane.shape[0] // 2, plane.shape[1] // 2
        width_y = fwhm_px(plane[:, middle_x], integrated=True)
        width_x = fwhm_px(plane[middle_y], integrated=True)
        return float(np.sqrt(width_y * width_x)) * self.pixel_nm

    @property
    def fwhm_z_nm(self) -> float | None:
        """Axial full width at half maximum in nm; None in 2D, ``inf`` when the stack is too short to see it."""
        if self.z_step_nm is None:
            return None
        line = self.data[:, self.data.shape[1] // 2, self.data.shape[2] // 2]
        return fwhm_px(line, integrated=False) * self.z_step_nm

    @property
    def line_fwhm_nm(self) -> float:
        """FWHM of a profile across the image of a thin line in focus, in nm, as it is read off the image: pixels included.

        Geometric mean of a line along x and one along y; ``inf`` when the PSF ends before its lines fall to half.
        """
        plane = self.at_focus().data
        widths = [width_at_half_px(plane.sum(axis=axis)) for axis in (0, 1)]
        return float(np.sqrt(widths[0] * widths[1])) * self.pixel_nm

    @property
    def line_fwhm_z_nm(self) -> float | None:
        """The same along z through a line that lies in the plane; None in 2D, ``inf`` when the stack is too short to see it."""
        if self.z_step_nm is None:
            return None
        y, x = (side // 2 for side in self.data.shape[1:])
        widths = [
            width_at_half_px(profile) for profile in (self.data[:, y].sum(axis=1), self.data[:, :, x].sum(axis=1))
        ]
        return float(np.sqrt(widths[0] * widths[1])) * self.z_step_nm

    @property
    def cutoff_per_um(self) -> float:
        """Frequency, in cycles per micrometre, beyond which the PSF in focus passes less than a hundredth of the contrast.

        It stands for the optical cutoff, which a measured PSF does not tell: for a wide-field PSF it lies 4 % below it.
        """
        frequency, along = self.radial_transfer()
        last = int(np.argmax(along < 0.01)) or len(along)
        return float(last * frequency[1])

    def carried_per_um(self, pixel_nm: float | None = None) -> float:
        """Frequency to which recorded data carry a specimen, in cycles per micrometre.

        That is the optical cutoff, or the camera's Nyquist frequency where it is lower: the data hold nothing of finer detail, however
        narrow the response of a result. What a sharp image shows beyond is inferred, from what is known of specimens.

        Parameters
        ----------
        pixel_nm : float, optional
            Side of a camera pixel; without it the camera is taken to sample finely enough.
        """
        nyquist = np.inf if pixel_nm is None else 500 / pixel_nm
        return float(min(self.cutoff_per_um, nyquist))

    def radial_transfer(self) -> tuple[Floats, Floats]:
        """What the PSF in focus passes of each frequency.

        Returns
        -------
        frequency : ndarray, shape (K,), cycles per micrometre
            From 0 to the Nyquist frequency of the PSF's pixels.
        transfer : ndarray, shape (K,)
            Modulus of the transfer function, mean of x and y; 1 at frequency 0.
        """
        plane = self.at_focus()
        side = 4 * max(plane.data.shape)
        transfer = np.abs(plane.otf((side, side), rfft=False))
        along = (transfer[0, : side // 2] + transfer[: side // 2, 0]) / 2
        return np.arange(side // 2) / side * 1000 / plane.pixel_nm, along

    def check_against(self, pixel_nm: float) -> None:
        """Refuse a PSF that cannot belong to an image of this pixel size.

        Parameters
        ----------
        pixel_nm : float
            Side of a camera pixel in nm.

        Raises
        ------
        SuperlensError
            If the FWHM is below 0.6 or above 25 camera pixels.

        Warns
        -----
        SuperlensWarning
            If the FWHM is between 0.6 and 2 pixels: the camera undersamples the image.
        """
        require_length_nm("pixel_nm", pixel_nm)
        pixels = self.fwhm_nm / pixel_nm
        facts = f"the PSF's FWHM is {self.fwhm_nm:.0f} nm, {pixels:.2g} camera pixels of {pixel_nm:g} nm"
        if not _SMALLEST_FWHM <= pixels <= _LARGEST_FWHM:
            raise SuperlensError(
                f"{facts}; expected {_SMALLEST_FWHM:g}-{_LARGEST_FWHM:g} pixels. "
                "Check both pixel sizes (nm) and that the PSF belongs to this image."
            )
        if pixels < _UNDERSAMPLED_FWHM:
            warnings.warn(
                f"{facts}: below {_UNDERSAMPLED_FWHM:g} pixels the image is undersampled, "
                "and detail near the resolution limit is lost or aliased.",
                SuperlensWarning,
                stacklevel=2,
            )

    # -- other grids ---------------------------------------------------------------------------------------------

    def resample(self, pixel_nm: float, z_step_nm: float | None = None) -> Self:
        """Move the PSF to other pixels.

        Light is conserved: each new pixel holds the integral over its area. Between planes it is interpolated.

        Parameters
        ----------
        pixel_nm : float
            New lateral pixel side in nm.
        z_step_nm : float, optional
            New plane distance in nm; by default unchanged.

        Returns
        -------
        PSF
            Odd sides that cover the old extent.
        """
        require_length_nm("pixel_nm", pixel_nm)
        if z_step_nm is not None and self.z_step_nm is None:
            raise SuperlensError(f"z_step_nm is {z_step_nm:g} but the PSF is 2D; leave it out.")
        ratio = pixel_nm / self.pixel_nm
        sides = [_covering(side, ratio) for side in self.data.shape]
        ratio_z = 1.0
        if self.z_step_nm is not None:
            step = self.z_step_nm if z_step_nm is None else z_step_nm
            require_length_nm("z_step_nm", step)
            ratio_z = step / self.z_step_nm
            sides[0] = 2 * int(self.data.shape[0] // 2 / ratio_z + 1e-9) + 1
        data = _regrid(self.data, tuple(sides), ratio, ratio_z)
        return replace(self, data=data, pixel_nm=pixel_nm, z_step_nm=z_step_nm or self.z_step_nm)

    def narrowed(self, factor: float, axial: float | None = None) -> Self:
        """Make the PSF narrower on the same grid.

        Parameters
        ----------
        factor : float
            How many times narrower laterally, before the pixel's own width; below 1 it becomes wider.
        axial : float, optional
            The same for the axial direction of a 3D PSF; by default `factor`.

        Returns
        -------
        PSF
            Same shape and sampling.
        """
        along_z = factor if axial is None else axial
        for name, value in (("factor", factor), ("axial", along_z)):
            if not 0.1 <= value <= 10.0:
                raise SuperlensError(f"{name} is {value:g}; expected 0.1-10. 1.5 makes the PSF 1.5 times narrower.")
        # A PSF shrunk around its centre, seen through pixels, is the PSF seen through pixels wider by as much.
        data = _regrid(self.data, self.data.shape, factor, along_z)
        return replace(self, data=data, source=f"{self.source}, {factor:g} times narrower")

    def at_focus(self) -> Self:
        """Take the plane in focus as a 2D PSF of sum 1; a 2D PSF stays as it is."""
        if self.data.ndim == 2:
            return self
        return replace(self, data=self.data[self.data.shape[0] // 2], z_step_nm=None)

    def cropped(self, energy: float = 0.9999) -> Self:
        """Crop to the smallest centred box with this share of the light, scaled to sum 1.

        Parameters
        ----------
        energy : float
            Share of the light to keep, above 0.5 and at most 1. The lateral sides shrink by equal pixels.

        Returns
        -------
        PSF
            Same sampling, odd sides.
        """
        if not 0.5 < energy <= 1.0:
            raise SuperlensError(f"energy is {energy:g}; expected a share above 0.5 and at most 1, like 0.9999.")
        return replace(self, data=centred_crop(self.data, box_holding(self.data, energy)))

    # -- use -----------------------------------------------------------------------------------------------------

    def otf(self, shape: tuple[int, ...], *, rfft: bool = True) -> NDArray[np.complex128]:
        """Transfer function on the grid of an array.

        Parameters
        ----------
        shape : tuple of int
            Sides of the array, as many as the PSF has, none smaller than the PSF's.
        rfft : bool
            Half spectrum for real arrays (``scipy.fft.rfftn``), or the whole one.

        Returns
        -------
        ndarray, complex128
            Fourier transform of the PSF zero-padded to `shape` with its centre at index 0; 1 at frequency 0.
        """
        if len(shape) != self.data.ndim or any(n < m for n, m in zip(shape, self.data.shape, strict=True)):
            raise SuperlensError(
                f"shape is {tuple(shape)} and the PSF is {self.data.shape}; "
                "expected as many sides, none smaller. Crop the PSF or pad the array."
            )
        return spectrum(self.data, shape, real=rfft)

    def blur(self, array: NDArray[np.floating], mode: Border = "reflect") -> NDArray[np.floating]:
        """Convolve an array that lies on the PSF's own grid.

        Parameters
        ----------
        array : ndarray, shape (..., [Z,] Y, X)
            Data in any unit.
        mode : {"reflect", "symmetric", "edge", "wrap", "constant"}
            What is assumed beyond the border, in the words of ``numpy.pad``; "constant" is zero.

        Returns
        -------
        ndarray
            Same shape; float32 for float32 input, else float64. A constant stays constant except for "constant".
        """
        return convolve(np.asarray(array), self.data, mode)


def require_odd(name: str, shape: tuple[int, ...], ndim: int) -> None:
    """Refuse a shape that is not `ndim` positive odd sides."""
    if len(shape) != ndim:
        raise SuperlensError(f"{name} is {tuple(shape)}; expected {ndim} sides.")
    if any(side < 1 or side % 2 == 0 for side in shape):
        nearest = tuple(max(1, side + 1 - side % 2) for side in shape)
        raise SuperlensError(
            f"{name} is {tuple(shape)}; expected odd sides, so that a pixel is the middle. Try {nearest}."
        )


def _require_psf_array(data: Floats) -> None:
    if data.ndim not in (2, 3):
        raise SuperlensError(f"PSF data has {data.ndim} axes; expected (Y, X) or (Z, Y, X).")
    require_odd("the shape of the PSF", data.shape, data.ndim)
    if not np.all(np.isfinite(data)):
        raise SuperlensError("PSF data has values that are not finite; PSF.from_image accepts images of a point.")
    if data.min() < 0:
        raise SuperlensError(f"PSF data has values down to {data.min():g}; PSF.from_image removes a background.")
    if data.sum() <= 0:
        raise SuperlensError("PSF data is zero everywhere; expected the image of a point.")


def _gaussian_pixels(side: int, sigma: float) -> Floats:
    edges = (np.arange(side + 1) - side / 2.0) / sigma
    result: Floats = np.diff(ndtr(edges))
    return result


def _otf_width_nm(otf: Floats, dk_per_um: float) -> float:
    """Estimate the FWHM as the inverse of the frequency where the transfer falls to a third."""
    low = np.nonzero(otf < otf[0] / 3.0)[0]
    index = int(low[0]) if len(low) else len(otf)
    return 0.5e3 / (index * dk_per_um)


def _covering(side: int, ratio: float) -> int:
    half = (side / 2.0 - ratio / 2.0) / ratio
    return 2 * max(0, int(np.ceil(half - 1e-9))) + 1


def _regrid(data: Floats, shape: tuple[int, ...], ratio: float, ratio_z: float) -> Floats:
    """Move to pixels `ratio` times wider around the same centre, negative undershoots clipped."""
    for axis in range(data.ndim):
        new, old = shape[axis], data.shape[axis]
        axial = data.ndim == 3 and axis == 0
        positions = old // 2 + (np.arange(new) - new // 2) * (ratio_z if axial else ratio)
        data = sample(data, axis, positions) if axial else rebin(data, axis, positions, ratio)
    return np.maximum(data, 0.0)
