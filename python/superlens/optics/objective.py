"""`Objective`: the optics as a person states them, and the PSF that follows.

The fields are what stands on the objective and in the protocol. `Objective.psf` turns them into a `PSF` on any
pixel grid: the detection pattern of `superlens.optics.pupil`, combined with excitation, pinhole or light-sheet
for the modality, averaged over pixels. What must be known (NA, wavelength, and excitation where it shapes the
image) has no default; immersion, specimen and coverslip default to the objective's design.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from superlens.config import Config
from superlens.errors import SuperlensError, require_length_nm
from superlens.optics.psf import PSF, require_odd
from superlens.optics.pupil import Model, Pupil, airy_radius_nm, axial_unit_nm, best_focus_nm, intensity
from superlens.optics.sampling import box_holding, centred_crop, pixel_average

__all__ = ["Modality", "Objective"]

Floats = NDArray[np.float64]
Modality = Literal["widefield", "confocal", "two-photon", "light-sheet", "tirf"]

_IMMERSIONS = (1.0, 1.33, 1.406, 1.518)  # air, water, silicone oil, oil
_AIRY_RADII = 6.0  # lateral reach of the default shape
_AXIAL_UNITS = 3.0  # axial reach of the default shape
_COMPACT_ENERGY = 0.9999
_MOST_VOXELS = 20_000_000  # 160 MB; a PSF of that size is a slip in its sampling


class Objective(Config):
    """Optics of a fluorescence microscope.

    Parameters
    ----------
    na : float
        Numerical aperture, 0.05-1.75, below the immersion index.
    wavelength_nm : float
        Wavelength of the detected light (emission, not excitation) in nm, 300-1100.
    immersion_index : float, optional
        Refractive index of the immersion; by default the smallest of 1.0, 1.33, 1.406 and 1.518 above the NA.
    sample_index : float, optional
        Refractive index of the specimen; by default that of the immersion, for which the objective is made.
    modality : {"widefield", "confocal", "two-photon", "light-sheet", "tirf"}
        How the image is taken. A TIRF image is the plane in focus.
    excitation_nm : float, optional
        Wavelength of the excitation in nm; must be given for confocal and two-photon.
    pinhole_au : float
        Diameter of the confocal pinhole in Airy units (1 unit is 1.22 wavelength / NA in the specimen).
    sheet_thickness_nm : float, optional
        FWHM of the light-sheet along the detection axis in nm; must be given for a 3D light-sheet PSF.
    psf_model : {"auto", "gaussian", "scalar", "vectorial"}
        Theory of the focus. "auto" takes the vectorial one where the polarisation of steep rays widens the
        focus noticeably (NA above 1.2, or a half-angle beyond 52 degrees), else the scalar one.
    depth_nm : float
        Depth of the specimen below the coverslip; matters when specimen and immersion differ in index.
    coverslip_um, coverslip_index : float
        Thickness in micrometres and index of the coverslip in use, against the design of 170 and 1.515.

    Raises
    ------
    SuperlensError
        If a value is impossible, with the likely slip.

    Examples
    --------
    >>> objective = Objective(na=1.3, wavelength_nm=525)
    >>> objective.immersion_index
    1.33
    >>> objective.psf(62.6).source
    'vectorial, NA 1.3, 525 nm, n 1.33, widefield'
    """

    na: float
    wavelength_nm: float
    immersion_index: float | None = None
    sample_index: float | None = None
    modality: Modality = "widefield"
    excitation_nm: float | None = None
    pinhole_au: float = 1.0
    sheet_thickness_nm: float | None = None
    psf_model: Literal["auto", "gaussian", "scalar", "vectorial"] = "auto"
    depth_nm: float = 0.0
    coverslip_um: float = 170.0
    coverslip_index: float = Field(default=1.515)

    @field_validator("na")
    @classmethod
    def _check_na(cls, value: float) -> float:
        return _within("na", value, 0.05, 1.75)

    @field_validator("wavelength_nm")
    @classmethod
    def _check_wavelength(cls, value: float) -> float:
        return _within("wavelength_nm", value, 300.0, 1100.0)

    @field_validator("excitation_nm")
    @classmethod
    def _check_excitation(cls, value: float | None) -> float | None:
        return value if value is None else _within("excitation_nm", value, 300.0, 1700.0)

    @field_validator("immersion_index", "sample_index", "coverslip_index")
    @classmethod
    def _check_index(cls, value: float | None) -> float | None:
        return value if value is None else _within("a refractive index", value, 1.0, 1.9)

    @field_validator("pinhole_au")
    @classmethod
    def _check_pinhole(cls, value: float) -> float:
        return _within("pinhole_au", value, 0.05, 20.0)

    @field_validator("sheet_thickness_nm")
    @classmethod
    def _check_sheet(cls, value: float | None) -> float | None:
        return value if value is None else _within("sheet_thickness_nm", value, 100.0, 100_000.0)

    @field_validator("depth_nm")
    @classmethod
    def _check_depth(cls, value: float) -> float:
        return _within("depth_nm", value, 0.0, 200_000.0)

    @field_validator("coverslip_um")
    @classmethod
    def _check_coverslip(cls, value: float) -> float:
        return _within("coverslip_um", value, 0.0, 2000.0)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.immersion_index is None:
            # A frozen model still owns its dictionary; the default depends on the NA and is stored to be reported.
            self.__dict__["immersion_index"] = _default_immersion(self.na)
        index = self.immersion_index
        if index is not None and self.na >= index:
            raise ValueError(
                f"na is {self.na:g} and immersion_index {index:g}; the NA stays below the index. "
                "Check both (air 1.0, water 1.33, silicone 1.406, oil 1.518)."
            )
        if self.coverslip_um != 170.0 or self.coverslip_index != 1.515:
            _check_coverslip_passes(self.na, self.coverslip_index)
        self._check_modality()
        return self

    def _check_modality(self) -> None:
        if self.modality not in ("confocal", "two-photon"):
            return
        if self.excitation_nm is None:
            raise ValueError(f"excitation_nm is missing; a {self.modality} PSF needs the excitation wavelength in nm.")
        longer = self.excitation_nm > self.wavelength_nm
        if longer != (self.modality == "two-photon"):
            word = "longer" if self.modality == "two-photon" else "shorter"
            raise ValueError(
                f"excitation_nm is {self.excitation_nm:g} and wavelength_nm (emission) {self.wavelength_nm:g}; "
                f"{self.modality} excitation is {word} than the emission. Were they swapped?"
            )

    @property
    def model(self) -> Model:
        """The theory that `psf_model` amounts to: "gaussian", "scalar" or "vectorial"."""
        if self.psf_model != "auto":
            return self.psf_model
        steep = self.na > 1.2 or self.na / self._detection().immersion_index > 0.79
        return "vectorial" if steep else "scalar"

    def psf(self, pixel_nm: float, *, z_step_nm: float | None = None, shape: tuple[int, ...] | None = None) -> PSF:
        """Point spread function on a pixel grid.

        Parameters
        ----------
        pixel_nm : float
            Lateral side of a pixel in nm; each value is the mean over such a pixel.
        z_step_nm : float, optional
            Distance between focus settings in nm; the PSF is 3D when it is given, else the plane in focus.
        shape : tuple of int, optional
            Odd sides. By default they reach six Airy radii laterally and about three times the axial FWHM axially,
            less where 99.99 % of the light within that box needs less.

        Returns
        -------
        PSF
            Centred on the best focus, sum 1.

        Raises
        ------
        SuperlensError
            If the sampling is impossible, the modality has no 3D PSF, or the sheet thickness is missing.
        """
        require_length_nm("pixel_nm", pixel_nm)
        if z_step_nm is not None:
            self._require_3d(z_step_nm)
        if shape is not None:
            require_odd("shape", shape, 2 if z_step_nm is None else 3)
        sides = shape or self._largest_shape(pixel_nm, z_step_nm)
        _require_moderate(sides)
        data = self._render(pixel_nm, z_step_nm, sides)
        if shape is None:
            data = centred_crop(data, box_holding(data, _COMPACT_ENERGY))
        return PSF(data, pixel_nm, z_step_nm, self._words())

    def _require_3d(self, z_step_nm: float) -> None:
        require_length_nm("z_step_nm", z_step_nm)
        if self.modality == "tirf":
            raise SuperlensError(f"z_step_nm is {z_step_nm:g} with modality tirf; TIRF shows one plane, leave it out.")
        if self.modality == "light-sheet" and self.sheet_thickness_nm is None:
            raise SuperlensError("sheet_thickness_nm is missing; a 3D light-sheet PSF needs the sheet's FWHM in nm.")

    def _largest_shape(self, pixel_nm: float, z_step_nm: float | None) -> tuple[int, ...]:
        pupil = self._pattern()
        lateral = 2 * max(1, round(_AIRY_RADII * airy_radius_nm(pupil) / pixel_nm)) + 1
        if z_step_nm is None:
            return lateral, lateral
        return 2 * max(1, round(_AXIAL_UNITS * axial_unit_nm(pupil) / z_step_nm)) + 1, lateral, lateral

    def _render(self, pixel_nm: float, z_step_nm: float | None, sides: tuple[int, ...]) -> Floats:
        planes = 1 if z_step_nm is None else sides[0]
        defocus = (np.arange(planes, dtype=np.float64) - planes // 2) * (z_step_nm or 0.0)
        width = airy_radius_nm(self._pattern()) / 2.0
        corner = pixel_nm * np.hypot(sides[-2] / 2.0 + 1.0, sides[-1] / 2.0 + 1.0)
        radius = np.linspace(0.0, corner, max(16, int(corner / width * 12.0)))
        curves = self._curves(radius, defocus)
        data = pixel_average(radius, curves, (sides[-2], sides[-1]), pixel_nm, width)
        # The spline may undershoot by a rounding error in a dark ring.
        data = np.maximum(data, 0.0)
        return data[0] if z_step_nm is None else data

    def _curves(self, radius_nm: Floats, defocus_nm: Floats) -> Floats:
        """Intensity of the modality, shape (Z, R)."""
        detection = self._detection()
        focus_nm = best_focus_nm(detection) + defocus_nm
        if self.modality == "two-photon":
            return self._excitation(radius_nm, focus_nm) ** 2
        if self.modality == "confocal":
            pinhole_nm = self.pinhole_au * airy_radius_nm(detection)
            step = radius_nm[1] - radius_nm[0]
            wide = np.arange(0.0, radius_nm[-1] + pinhole_nm + 4.0 * step, step)
            detected = _disc_average(wide, intensity(self.model, detection, wide, focus_nm), radius_nm, pinhole_nm)
            return detected * self._excitation(radius_nm, focus_nm)
        curves = intensity(self.model, detection, radius_nm, focus_nm)
        if self.modality == "light-sheet" and self.sheet_thickness_nm is not None:
            curves = curves * np.exp(-4.0 * np.log(2.0) * (defocus_nm[:, None] / self.sheet_thickness_nm) ** 2)
        return curves

    def _excitation(self, radius_nm: Floats, focus_nm: Floats) -> Floats:
        curves = intensity(self.model, self._pupil(self.excitation_nm or self.wavelength_nm), radius_nm, focus_nm)
        result: Floats = curves / curves.max()
        return result

    def _pattern(self) -> Pupil:
        """Give the pupil whose wavelength sets the size of the image of a point."""
        return self._pupil(self.excitation_nm or 0.0) if self.modality == "two-photon" else self._detection()

    def _detection(self) -> Pupil:
        return self._pupil(self.wavelength_nm)

    def _pupil(self, wavelength_nm: float) -> Pupil:
        immersion = self.immersion_index or _default_immersion(self.na)
        return Pupil(
            na=self.na,
            wavelength_nm=wavelength_nm,
            immersion_index=immersion,
            sample_index=self.sample_index or immersion,
            depth_nm=self.depth_nm,
            coverslip_nm=self.coverslip_um * 1e3,
            coverslip_index=self.coverslip_index,
        )

    def _words(self) -> str:
        pupil = self._detection()
        words = [self.model, f"NA {self.na:g}", f"{self.wavelength_nm:g} nm", f"n {pupil.immersion_index:g}"]
        if pupil.sample_index != pupil.immersion_index:
            words.append(f"specimen n {pupil.sample_index:g} at depth {self.depth_nm:g} nm")
        if not pupil.design_coverslip:
            words.append(f"coverslip {self.coverslip_um:g} um n {self.coverslip_index:g}")
        words.append(self.modality)
        if self.modality in ("confocal", "two-photon"):
            words.append(f"excitation {self.excitation_nm:g} nm")
        if self.modality == "confocal":
            words.append(f"pinhole {self.pinhole_au:g} AU")
        if self.modality == "light-sheet" and self.sheet_thickness_nm is not None:
            words.append(f"sheet {self.sheet_thickness_nm:g} nm")
        return ", ".join(words)


def _within(name: str, value: float, low: float, high: float) -> float:
    if low <= value <= high:
        return value
    hint = ""
    if name.endswith("_nm") and value < low and low <= value * 1e3 <= high:
        hint = " Did you give micrometres?"
    elif name.endswith("_nm") and value > high and low <= value / 10.0 <= high:
        hint = " Did you give angstroms?"
    elif name == "na" and value > high:
        hint = " Did you give the magnification?"
    raise ValueError(f"{name} is {value:g}; expected {low:g}-{high:g}.{hint}")


def _require_moderate(sides: tuple[int, ...]) -> None:
    if np.prod(sides, dtype=np.float64) > _MOST_VOXELS:
        size = " x ".join(str(side) for side in sides)
        raise SuperlensError(
            f"the PSF would have {size} pixels; check pixel_nm and z_step_nm against the NA, or give a smaller shape."
        )


def _default_immersion(na: float) -> float:
    for index in _IMMERSIONS:
        if index > na:
            return index
    raise ValueError(
        f"na is {na:g}, at or above the index of every common immersion (oil is 1.518); "
        "state immersion_index, or check the NA."
    )


def _check_coverslip_passes(na: float, coverslip_index: float) -> None:
    if na >= coverslip_index:
        raise ValueError(f"na is {na:g} and coverslip_index {coverslip_index:g}; the NA stays below the index.")


def _disc_average(table_nm: Floats, curves: Floats, radius_nm: Floats, disc_nm: float) -> Floats:
    """Average curves over a disc around each radius: what a pinhole of that radius lets through."""
    airy_steps = disc_nm / (table_nm[1] - table_nm[0])
    count = 6 + int(airy_steps / 6.0)
    nodes, weights = np.polynomial.legendre.leggauss(count)
    offsets, weights = disc_nm * (nodes + 1.0) / 2.0, weights * (nodes + 1.0) / 2.0
    angles = (np.arange(2 * count) + 0.5) * np.pi / (2 * count)
    total = np.zeros((len(curves), len(radius_nm)))
    for offset, weight in zip(offsets, weights, strict=True):
        distance = np.sqrt(radius_nm[:, None] ** 2 + offset**2 - 2.0 * radius_nm[:, None] * offset * np.cos(angles))
        for plane, curve in enumerate(curves):
            total[plane] += weight * np.interp(distance, table_nm, curve).mean(axis=1)
    return total
