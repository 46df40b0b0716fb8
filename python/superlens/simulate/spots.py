"""Images of single molecules: Gaussian, astigmatic, or any point spread function, at any place between the pixels.

In: `Molecules` and a camera grid. Out: photons on each camera pixel, each the integral over its area, so that a molecule away from the
border gives all of its photons. Only a window around each molecule is computed. Noise is left to `superlens.camera`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from superlens.errors import SuperlensError, require_length_nm
from superlens.optics import PSF
from superlens.optics.sampling import rebin, sample
from superlens.simulate.molecules import Molecules
from superlens.smlm.table import Localizations

__all__ = ["AstigmaticSpots", "GaussianSpots", "PSFSpots", "Spots", "render_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REACH = 5.0  # standard deviations to each side: leaves out less than 1e-6 of the light along each axis
_CHUNK = 4096  # molecules drawn at a time
_PHASES = 8  # places within a pixel at which a PSF is tabulated; cubic interpolation between them is right to 1e-5 of the peak
_Z_STEP_NM = 50.0  # distance of tabulated planes, between which light is shared linearly
_FWHM_TO_SIGMA = 1.0 / math.sqrt(8.0 * math.log(2.0))


class Spots(Protocol):
    """How the image of a molecule looks."""

    @property
    def three_d(self) -> bool:
        """Whether it depends on z."""
        ...

    def sigmas(self, z_nm: Floats, rng: np.random.Generator) -> Floats:
        """Standard deviations of the images of molecules at these heights, shape (N, 2), columns x and y, nm."""
        ...

    def render(self, molecules: Molecules, yx_shape: tuple[int, int], pixel_nm: float) -> Floats:
        """Photons on each camera pixel, shape (Y, X), float64."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianSpots:
    """Round Gaussian images whose width differs a little from molecule to molecule.

    Parameters
    ----------
    sigma_nm : float
        Mean standard deviation, before pixels.
    spread_nm : float
        Standard deviation of it between molecules; no molecule is below half or above twice the mean.

    Raises
    ------
    SuperlensError
        When a width is impossible.

    Examples
    --------
    >>> one = Molecules(np.array([[820.0, 750.0, 0.0]]), np.array([1000.0]), np.array([[110.0, 110.0]]), np.array([1]))
    >>> round(float(GaussianSpots().render(one, (16, 16), 100.0).sum()), 2)
    1000.0
    """

    sigma_nm: float = 110.0
    spread_nm: float = 5.0

    def __post_init__(self) -> None:
        require_length_nm("sigma_nm", self.sigma_nm)
        if not 0 <= self.spread_nm < self.sigma_nm:
            raise SuperlensError(f"spread_nm is {self.spread_nm}; expected 0 or more, and less than sigma_nm.")

    @property
    def three_d(self) -> bool:
        """False: in every plane alike."""
        return False

    def sigmas(self, z_nm: Floats, rng: np.random.Generator) -> Floats:
        """Draw the width of each molecule; both columns are the same."""
        drawn = self.sigma_nm + self.spread_nm * rng.standard_normal(len(z_nm))
        return np.repeat(np.clip(drawn, 0.5 * self.sigma_nm, 2.0 * self.sigma_nm)[:, None], 2, axis=1)

    def render(self, molecules: Molecules, yx_shape: tuple[int, int], pixel_nm: float) -> Floats:
        """Photons on each camera pixel, shape (Y, X), of Gaussians integrated over the pixels exactly."""
        return _gaussians(molecules, yx_shape, pixel_nm)


@dataclass(frozen=True, slots=True)
class AstigmaticSpots:
    """Gaussian images that a cylindrical lens stretches along x on one side of the focus and along y on the other.

    With ``u = (z - offset) / depth`` for x and ``u = (z + offset) / depth`` for y, ``sigma = sigma_nm * sqrt(1 + u^2 + a u^3 + b u^4)``.

    Parameters
    ----------
    sigma_nm : float
        Standard deviation at the focus of an axis.
    offset_nm : float
        Height of the focus of x; that of y lies as far on the other side.
    depth_nm : float
        Depth of focus.
    a, b : float
        Coefficients of the third and fourth power.

    Raises
    ------
    SuperlensError
        When a length is impossible.

    References
    ----------
    B. Huang, W. Wang, M. Bates and X. Zhuang, Science 319, 810 (2008), supporting equation of the defocusing curve.
    """

    sigma_nm: float = 130.0
    offset_nm: float = 250.0
    depth_nm: float = 400.0
    a: float = 0.0
    b: float = 0.0

    def __post_init__(self) -> None:
        require_length_nm("sigma_nm", self.sigma_nm)
        require_length_nm("depth_nm", self.depth_nm)
        if not all(math.isfinite(value) for value in (self.offset_nm, self.a, self.b)):
            raise SuperlensError("offset_nm, a or b is not finite; expected numbers.")

    @property
    def three_d(self) -> bool:
        """True: the shape depends on z."""
        return True

    def sigmas(self, z_nm: Floats, rng: np.random.Generator) -> Floats:
        """Both widths from the height; `rng` is taken so that all spots look alike."""
        u = (z_nm[:, None] + np.array([-self.offset_nm, self.offset_nm])) / self.depth_nm
        square = 1.0 + u**2 + self.a * u**3 + self.b * u**4
        if square.size and square.min() < 0.01:
            raise SuperlensError(
                f"a is {self.a:g} and b {self.b:g}: the width vanishes within the range of z. Narrow the range or check the calibration."
            )
        return np.asarray(self.sigma_nm * np.sqrt(square))

    def render(self, molecules: Molecules, yx_shape: tuple[int, int], pixel_nm: float) -> Floats:
        """Photons on each camera pixel, shape (Y, X), of Gaussians integrated over the pixels exactly."""
        return _gaussians(molecules, yx_shape, pixel_nm)


@dataclass(frozen=True, slots=True)
class PSFSpots:
    """Images that are a given point spread function, computed or measured.

    Parameters
    ----------
    psf : PSF
        2D, or 3D with the focus in its middle plane and z growing with the planes. Every plane counts as the whole light of a molecule.
        A PSF sampled finer than the camera places molecules between pixels better.
    """

    psf: PSF

    @property
    def three_d(self) -> bool:
        """Whether the PSF has planes."""
        return self.psf.data.ndim == 3

    def sigmas(self, z_nm: Floats, rng: np.random.Generator) -> Floats:
        """The Gaussian of the same FWHM in focus, whatever the height; `rng` is taken so that all spots look alike."""
        return np.full((len(z_nm), 2), _FWHM_TO_SIGMA * self.psf.fwhm_nm)

    def render(self, molecules: Molecules, yx_shape: tuple[int, int], pixel_nm: float) -> Floats:
        """Photons on each camera pixel, shape (Y, X).

        Raises
        ------
        SuperlensError
            When a molecule lies above or below the planes of the PSF.
        """
        table = _tabulated(self.psf, float(pixel_nm))
        frame = np.zeros(yx_shape)
        for part in _near(molecules, yx_shape, pixel_nm, reach=table.shape[-1] // 2):
            column, across = _pixel(part.position_nm[:, 0], pixel_nm)
            row, down = _pixel(part.position_nm[:, 1], pixel_nm)
            height = self._height(part.position_nm[:, 2], len(table))
            frame += _stamped(
                yx_shape, row, column, part.photons[:, None, None] * _looked_up(table, height, down, across)
            )
        return np.maximum(frame, 0.0)  # the interpolation may undershoot by a millionth

    def _height(self, z_nm: Floats, planes: int) -> Floats:
        """Height in planes of the table."""
        if self.psf.z_step_nm is None:
            return np.zeros(len(z_nm))
        top = 0.5 * (self.psf.data.shape[0] - 1) * self.psf.z_step_nm
        if np.abs(z_nm).max(initial=0.0) > top + 1e-6:
            raise SuperlensError(
                f"z_nm goes from {z_nm.min():.0f} to {z_nm.max():.0f}; expected -{top:.0f} to {top:.0f}, the planes of the PSF. "
                "Give a PSF with more planes or a smaller range."
            )
        return np.asarray((z_nm + top) / max(2.0 * top, 1e-9) * (planes - 1))


def render_table(table: Localizations, spots: Spots | None = None) -> Floats:
    """Images of the molecules of a table, without background and noise.

    Parameters
    ----------
    table : Localizations
        With photons, `pixel_nm` and `yx_shape`; sigma_nm (or sigma_x_nm and sigma_y_nm) for Gaussian spots, z_nm for three-dimensional
        ones. Where it has x_raw_nm and y_raw_nm, molecules are drawn there, where the camera saw them.
    spots : Spots, optional
        How a molecule looks; Gaussian of the widths in the table without it.

    Returns
    -------
    ndarray, shape (frames, Y, X), float64, photons

    Raises
    ------
    SuperlensError
        When the table lacks a column or the size of its field.
    """
    if table.pixel_nm is None or table.yx_shape is None:
        raise SuperlensError("the table has no pixel_nm or no yx_shape; expected both to know the camera's pixels.")
    look = GaussianSpots() if spots is None else spots
    everyone = _molecules(table, look)
    order = np.argsort(table["frame"], kind="stable")
    ends = np.searchsorted(table["frame"][order], np.arange(1, table.last_frame + 2))
    movie = np.zeros((table.last_frame, *table.yx_shape))
    for index in range(table.last_frame):
        movie[index] = look.render(everyone.where(order[ends[index] : ends[index + 1]]), table.yx_shape, table.pixel_nm)
    return movie


def _molecules(table: Localizations, spots: Spots) -> Molecules:
    x, y = (table[f"{axis}_raw_nm" if f"{axis}_raw_nm" in table else f"{axis}_nm"] for axis in "xy")
    z = table["z_nm"] if spots.three_d or "z_nm" in table else np.zeros(len(table))
    if isinstance(spots, PSFSpots):
        sigma = np.ones((len(table), 2))
    else:
        names = [name if name in table else "sigma_nm" for name in ("sigma_x_nm", "sigma_y_nm")]
        sigma = np.stack([table[name] for name in names], axis=1)
    return Molecules(np.stack([x, y, z], axis=1), table["photons"], sigma, np.arange(1, len(table) + 1))


def _gaussians(molecules: Molecules, yx_shape: tuple[int, int], pixel_nm: float) -> Floats:
    frame = np.zeros(yx_shape)
    reach = math.ceil(_REACH * float(molecules.sigma_nm.max(initial=0.0)) / pixel_nm)
    for part in _near(molecules, yx_shape, pixel_nm, reach=reach):
        sigma = part.sigma_nm / pixel_nm
        window = math.ceil(_REACH * float(sigma.max()))
        edges = np.arange(-window, window + 2.0)
        column, across = _pixel(part.position_nm[:, 0], pixel_nm)
        row, down = _pixel(part.position_nm[:, 1], pixel_nm)
        x = np.diff(ndtr((edges - across[:, None]) / sigma[:, :1]), axis=1)
        y = np.diff(ndtr((edges - down[:, None]) / sigma[:, 1:]), axis=1)
        stamps = (part.photons[:, None] * y)[:, :, None] * x[:, None, :]
        frame += _stamped(yx_shape, row, column, stamps)
    return frame


def _near(molecules: Molecules, yx_shape: tuple[int, int], pixel_nm: float, *, reach: int) -> Iterator[Molecules]:
    """Those whose window of `reach` pixels to each side meets the frame, in parts of alike width."""
    pixel = np.floor(molecules.position_nm[:, :2] / pixel_nm)
    last = np.array([yx_shape[1], yx_shape[0]]) + reach
    near = np.flatnonzero(np.all((pixel >= -reach) & (pixel < last), axis=1))
    if len(near) > _CHUNK:
        near = near[np.argsort(molecules.sigma_nm[near].max(axis=1), kind="stable")]
    for at in range(0, len(near), _CHUNK):
        yield molecules.where(near[at : at + _CHUNK])


def _pixel(position_nm: Floats, pixel_nm: float) -> tuple[Ints, Floats]:
    """Index of the pixel that holds a position, and the position within it, 0 to 1."""
    position = position_nm / pixel_nm
    index = np.floor(position)
    return index.astype(np.int64), position - index


def _stamped(yx_shape: tuple[int, int], row: Ints, column: Ints, stamps: NDArray[np.floating]) -> Floats:
    """Sum of stamps, shape (N, side, side), whose middle pixels lie at (row, column); what falls outside is lost."""
    side = stamps.shape[1]
    reach = side // 2
    # A rim as wide as the farthest stamp reaches takes what falls outside, so that no stamp has to be cut.
    rim = 2 * reach + max(0, -reach - int(min(row.min(), column.min())))
    rim = max(rim, reach + int((row - yx_shape[0]).max()) + 1, reach + int((column - yx_shape[1]).max()) + 1)
    height, width = yx_shape[0] + 2 * rim, yx_shape[1] + 2 * rim
    first = (row - reach + rim) * width + column - reach + rim
    within = np.arange(side)[:, None] * width + np.arange(side)
    index = first[:, None] + within.ravel()
    total = np.bincount(index.ravel(), stamps.ravel(), height * width).reshape(height, width)
    return np.asarray(total[rim : rim + yx_shape[0], rim : rim + yx_shape[1]])


@lru_cache(maxsize=4)
def _tabulated(psf: PSF, pixel_nm: float) -> NDArray[np.float32]:
    """The PSF on camera pixels for places within a pixel, shape (planes, phases + 3, phases + 3, side, side), each stamp of sum 1.

    Entry k + 1 of a phase axis is a molecule at k / phases from the near edge of the middle pixel.
    """
    planes = psf.data if psf.data.ndim == 3 else psf.data[None]
    if psf.z_step_nm is not None and len(planes) > 1:
        steps = (len(planes) - 1) * math.ceil(psf.z_step_nm / _Z_STEP_NM)
        planes = np.maximum(sample(planes, 0, np.linspace(0.0, len(planes) - 1.0, steps + 1)), 0.0)
    ratio = pixel_nm / psf.pixel_nm
    reach = math.ceil(0.5 * max(psf.data.shape[-2:]) / ratio) + 1
    side, phases = 2 * reach + 1, np.arange(-1, _PHASES + 2) / _PHASES
    centres = (np.arange(-reach, reach + 1) + 0.5 - phases[:, None]).ravel() * ratio
    for axis in (1, 2):
        planes = rebin(planes, axis, psf.data.shape[axis - 3] // 2 + centres, ratio)
    blocks = planes.reshape(len(planes), len(phases), side, len(phases), side).transpose(0, 1, 3, 2, 4)
    blocks = np.maximum(blocks, 0.0)
    return np.ascontiguousarray(blocks / blocks.sum(axis=(3, 4), keepdims=True), np.float32)


def _looked_up(table: NDArray[np.float32], height: Floats, down: Floats, across: Floats) -> Floats:
    """Stamps between the tabulated ones: cubic within the pixel, linear along z; shape (N, side, side)."""
    plane = np.minimum(height.astype(np.int64), max(len(table) - 2, 0))
    y, y_weights = _cubic(down * _PHASES)
    x, x_weights = _cubic(across * _PHASES)
    total = np.zeros((len(height), *table.shape[-2:]))
    for above in range(min(len(table), 2)):
        z_weight = np.abs(1.0 - above - (height - plane)) if len(table) > 1 else np.ones(len(height))
        for j in range(4):
            for i in range(4):
                weight = z_weight * y_weights[j] * x_weights[i]
                total += weight[:, None, None] * table[plane + above, y + j, x + i]
    return total


def _cubic(position: Floats) -> tuple[Ints, Floats]:
    """First of the four neighbours on the table's phase axis, and the weights of all four, shape (4, N) (Lagrange)."""
    index = np.minimum(position.astype(np.int64), _PHASES - 1)
    t = position - index
    weights = [
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    ]
    return index, np.stack(weights)
