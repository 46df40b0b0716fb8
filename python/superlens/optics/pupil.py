"""Light at the focus of an objective: intensity against radius and defocus.

In goes a `Pupil` (aperture, wavelength, layers of media), out comes a table of intensity on given radii and
defocus positions, from one of three models: a Gaussian of equal width, the scalar Kirchhoff integral with the
path differences of Gibson and Lanni, and the vectorial integrals I0, I1, I2 of Richards and Wolf with the
transmission of the interface between immersion and specimen. All three are rotationally symmetric, so a table
over the radius says everything; turning it into pixels is left to `superlens.optics.sampling`.

The axial coordinate is the focus of the objective: positive values focus deeper into the specimen, and zero is
the best focus of a point at the pupil's depth.

References
----------
S. F. Gibson, F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992), eq. 5 and 8.
B. Richards, E. Wolf, Proc. R. Soc. Lond. A 253, 358 (1959), eq. 2.31 and 2.32.
P. Torok, P. Varga, Appl. Opt. 36, 2305 (1997), eq. 10: the same integrals through a stratified medium.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import jv

__all__ = ["Model", "Pupil", "airy_radius_nm", "axial_unit_nm", "best_focus_nm", "intensity"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Model = Literal["gaussian", "scalar", "vectorial"]

_DESIGN_COVERSLIP_NM = 170_000.0
_DESIGN_COVERSLIP_INDEX = 1.515
_AIRY_FWHM = 0.51450  # full width at half maximum of (2 J1(v)/v)^2, in units of wavelength / NA
_AXIAL_FWHM = 0.88589  # full width at half maximum of sinc^2, in units of its first zero


@dataclass(frozen=True, slots=True)
class Pupil:
    """An aplanatic objective with its layers: immersion, coverslip, specimen.

    Parameters
    ----------
    na : float
        Numerical aperture.
    wavelength_nm : float
        Vacuum wavelength in nm.
    immersion_index, sample_index : float
        Refractive indices of the immersion medium and of the specimen.
    depth_nm : float
        Distance of the point from the coverslip, into the specimen.
    coverslip_nm, coverslip_index : float
        The coverslip in use. The objective is corrected for 170 micrometres of index 1.515.
    """

    na: float
    wavelength_nm: float
    immersion_index: float
    sample_index: float
    depth_nm: float = 0.0
    coverslip_nm: float = _DESIGN_COVERSLIP_NM
    coverslip_index: float = _DESIGN_COVERSLIP_INDEX

    @property
    def wavenumber(self) -> float:
        """Vacuum wavenumber 2 pi / wavelength in rad/nm."""
        return 2.0 * np.pi / self.wavelength_nm

    @property
    def aberrated(self) -> bool:
        """Whether anything in the light's way differs from the objective's design."""
        buried = self.depth_nm > 0 and self.sample_index != self.immersion_index
        return buried or not self.design_coverslip

    @property
    def design_coverslip(self) -> bool:
        """Whether the coverslip is the one that the objective is corrected for."""
        return (self.coverslip_nm, self.coverslip_index) == (_DESIGN_COVERSLIP_NM, _DESIGN_COVERSLIP_INDEX)


def airy_radius_nm(pupil: Pupil) -> float:
    """First dark ring of the scalar in-focus pattern, 0.61 wavelength / NA, in nm."""
    return 0.60983 * pupil.wavelength_nm / pupil.na


def axial_unit_nm(pupil: Pupil) -> float:
    """First zero on the optical axis of a pupil uniform over the solid angle, in nm."""
    index = pupil.immersion_index
    return pupil.wavelength_nm / (index - float(np.sqrt(index**2 - pupil.na**2)))


def best_focus_nm(pupil: Pupil) -> float:
    """Focus setting that gives the brightest point, in nm from the coverslip's far side.

    Returns
    -------
    float
        The point's own depth for matched indices; otherwise the setting of the highest on-axis intensity.
    """
    if not pupil.aberrated:
        return pupil.depth_nm
    sine, weight = _nodes(pupil, 0.0, np.zeros(1))
    cosine = np.sqrt(1.0 - sine**2)
    phase = _aberration(pupil, sine)
    amplitude = weight * sine * cosine * np.exp(-phase.imag)
    k = pupil.wavenumber * pupil.immersion_index

    def dimness(focus: float) -> float:
        return -float(np.abs(np.sum(amplitude * np.exp(1j * (phase.real - k * focus * cosine)))))

    # Start from the least-squares defocus of the aberration, then look on both sides of it for a better one.
    fit = np.polyfit(k * cosine, phase.real, 1, w=np.sqrt(np.abs(amplitude)))[0]
    span = 3.0 * axial_unit_nm(pupil) + 0.3 * abs(fit)
    grid = np.linspace(fit - span, fit + span, 2 * int(8 * span / axial_unit_nm(pupil)) + 1)
    start = grid[int(np.argmin([dimness(value) for value in grid]))]
    step = grid[1] - grid[0]
    return float(minimize_scalar(dimness, bounds=(start - step, start + step), method="bounded").x)


def intensity(model: Model, pupil: Pupil, radius_nm: Floats, focus_nm: Floats) -> Floats:
    """Intensity of a point's image against radius and focus.

    Parameters
    ----------
    model : {"gaussian", "scalar", "vectorial"}
        The optical theory. The Gaussian has the scalar pattern's width in the lateral and axial direction.
    pupil : Pupil
        The objective.
    radius_nm : ndarray, shape (R,), float64, nm
        Distances from the optical axis in the specimen.
    focus_nm : ndarray, shape (Z,), float64, nm
        Focus settings from the coverslip's far side (see `best_focus_nm`).

    Returns
    -------
    ndarray, shape (Z, R), float64
        Intensity in arbitrary units, the same for all radii and focus settings.
    """
    if model == "gaussian":
        return _gaussian(pupil, radius_nm, focus_nm)
    sine, weight = _nodes(pupil, float(np.max(radius_nm)), focus_nm)
    waves = _waves(pupil, sine, focus_nm)
    if model == "scalar":
        return _scalar(pupil, radius_nm, sine, weight, waves)
    return _vectorial(pupil, radius_nm, sine, weight, waves)


def _gaussian(pupil: Pupil, radius_nm: Floats, focus_nm: Floats) -> Floats:
    lateral = _AIRY_FWHM * pupil.wavelength_nm / pupil.na
    axial = _AXIAL_FWHM * axial_unit_nm(pupil)
    defocus = focus_nm - best_focus_nm(pupil)
    exponent = (radius_nm[None, :] / lateral) ** 2 + (defocus[:, None] / axial) ** 2
    result: Floats = np.exp(-4.0 * np.log(2.0) * exponent)
    return result


def _scalar(pupil: Pupil, radius_nm: Floats, sine: Floats, weight: Floats, waves: Complexes) -> Floats:
    """Kirchhoff integral over the pupil radius, whose element is sin cos d(theta)."""
    argument = pupil.wavenumber * pupil.immersion_index * radius_nm[:, None] * sine
    amplitude = weight * sine * np.sqrt(1.0 - sine**2)
    return _power(waves, jv(0, argument) * amplitude)


def _vectorial(pupil: Pupil, radius_nm: Floats, sine: Floats, weight: Floats, waves: Complexes) -> Floats:
    """|I0|^2 + 2 |I1|^2 + |I2|^2: an emitter that turns freely, or unpolarised illumination."""
    cosine = np.sqrt(1.0 - sine**2)
    n_i, n_s = pupil.immersion_index, pupil.sample_index
    sine_s = n_i * sine / n_s
    cosine_s = _cosine(sine_s)
    t_s = 2.0 * n_i * cosine / (n_i * cosine + n_s * cosine_s)
    t_p = 2.0 * n_i * cosine / (n_s * cosine + n_i * cosine_s)
    amplitude = weight * sine * np.sqrt(cosine)
    argument = pupil.wavenumber * n_i * radius_nm[:, None] * sine
    return (
        _power(waves, jv(0, argument) * amplitude * (t_s + t_p * cosine_s))
        + 2.0 * _power(waves, jv(1, argument) * amplitude * t_p * sine_s)
        + _power(waves, jv(2, argument) * amplitude * (t_s - t_p * cosine_s))
    )


def _power(waves: Complexes, kernel: NDArray[np.floating] | Complexes) -> Floats:
    field = waves @ kernel.T
    result: Floats = field.real**2 + field.imag**2
    return result


def _nodes(pupil: Pupil, radius_nm: float, focus_nm: Floats) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes sin(theta) and weights d(theta), dense enough for the fastest phase."""
    half_angle = float(np.arcsin(pupil.na / pupil.immersion_index))
    probe = np.sin(np.linspace(0.0, half_angle, 256))
    extremes = np.asarray([np.min(focus_nm), np.max(focus_nm)])
    steepest = float(np.max(np.abs(np.diff(_phase(pupil, probe, extremes).real, axis=1)))) * (len(probe) - 1)
    # A rule converges from half a node per radian, here of a phase as steep everywhere as at its steepest.
    count = 48 + int(0.6 * (steepest + pupil.wavenumber * pupil.na * radius_nm))
    if pupil.na <= pupil.sample_index:
        theta, weight = _legendre(0.0, half_angle, count)
        return np.sin(theta), weight
    # Transmission has a square-root kink at the critical angle: integrate each side by itself.
    critical = float(np.arcsin(pupil.sample_index / pupil.immersion_index))
    inner, outer = _legendre(0.0, critical, 2 * count), _legendre(critical, half_angle, 2 * count)
    return np.sin(np.concatenate([inner[0], outer[0]])), np.concatenate([inner[1], outer[1]])


def _legendre(start: float, stop: float, count: int) -> tuple[Floats, Floats]:
    """At least `count` nodes in panels of 64, since the cost of a rule grows with its square."""
    panels = -(-count // 64)
    nodes, weights = np.polynomial.legendre.leggauss(-(-count // panels))
    half = (stop - start) / (2.0 * panels)
    middles = start + half * (2.0 * np.arange(panels) + 1.0)
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, panels)


def _waves(pupil: Pupil, sine: Floats, focus_nm: Floats) -> Complexes:
    """Plane waves at each focus, shape (Z, nodes)."""
    result: Complexes = np.exp(1j * _phase(pupil, sine, focus_nm))
    return result


def _phase(pupil: Pupil, sine: Floats, focus_nm: Floats) -> Complexes:
    """Phase of the plane waves in rad, shape (Z, nodes): layers against defocus."""
    defocus = pupil.wavenumber * pupil.immersion_index * focus_nm[:, None] * np.sqrt(1.0 - sine**2)
    return _aberration(pupil, sine) - defocus


def _aberration(pupil: Pupil, sine: Floats) -> Complexes:
    """Phase of the layers against the design in rad; a positive imaginary part damps evanescent waves."""
    pupil_radius = pupil.immersion_index * sine
    phase = _path_nm(pupil.sample_index, pupil.depth_nm, pupil_radius)
    if not pupil.design_coverslip:
        phase = phase + _path_nm(pupil.coverslip_index, pupil.coverslip_nm, pupil_radius)
        phase = phase - _path_nm(_DESIGN_COVERSLIP_INDEX, _DESIGN_COVERSLIP_NM, pupil_radius)
    result: Complexes = pupil.wavenumber * phase
    return result


def _path_nm(index: float, thickness_nm: float, pupil_radius: Floats) -> Complexes:
    """Optical path through a layer along its normal, for rays at `pupil_radius` = index x sine."""
    return index * thickness_nm * _cosine(pupil_radius / index)


def _cosine(sine: Floats) -> Complexes:
    """Cosine of a possibly imaginary angle, on the branch that decays away from the interface."""
    result: Complexes = np.sqrt((1.0 - sine**2).astype(np.complex128))
    return result
