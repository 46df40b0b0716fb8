"""How well a molecule can be localized, and the fit that reaches it: the Cramer-Rao bound and maximum likelihood for an isolated spot.

The model is a Gaussian integrated over square pixels on a flat background, the noise Poisson with read noise, whose variance may be
multiplied by an excess factor (2 with electron multiplication). In: photons and widths, or windows with one spot each. Out: bounds, or
fitted values with their errors. Finding spots in frames, and spots that overlap, are left to others.

References
----------
C. S. Smith, N. Joseph, B. Rieger and K. A. Lidke, "Fast, single-molecule localization that achieves theoretically minimum uncertainty",
Nat. Methods 7, 373 (2010). B. Rieger and S. Stallinga, "The lateral and axial localization uncertainty in super-resolution light
microscopy", ChemPhysChem 15, 664 (2014). F. Huang et al., Nat. Methods 10, 653 (2013), for read noise as additional Poisson light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, xlogy

from superlens.errors import SuperlensError, require_length_nm

__all__ = ["SpotFits", "cramer_rao_nm", "fit_spots"]

Floats = NDArray[np.float64]

_CHUNK = 4096  # spots at a time
_REACH = 4.0  # standard deviations to each side of a spot that the bound looks at
_STEPS = 60  # of the fit at most; a usual spot needs 5
_TOLERANCE = 1e-6  # of x and y in pixels, and of the other parameters relative to themselves
_LEAST_PHOTONS, _LEAST_BACKGROUND = 1e-3, 1e-6
_NARROWEST = 0.2  # pixels

_VALUES = (
    "x_nm",
    "y_nm",
    "photons",
    "background",
    "sigma_nm",
)  # the parameters of a spot, in the order of the arrays below
_ERRORS = ("x_error_nm", "y_error_nm", "photons_error", "background_error", "sigma_error_nm")


@dataclass(frozen=True, slots=True, eq=False)
class SpotFits:
    """Fitted spots, one entry each.

    Attributes
    ----------
    x_nm, y_nm : ndarray, shape (N,)
        Position from the outer corner of the top-left pixel of the window (or of the image, where corners were given).
    photons, background : ndarray, shape (N,)
        Photons of the molecule, and per pixel besides.
    sigma_nm : ndarray, shape (N,)
        Standard deviation of the image before pixels.
    x_error_nm, y_error_nm, photons_error, background_error, sigma_error_nm : ndarray, shape (N,)
        Their Cramer-Rao bounds at the fitted values; 0 for a width that was not fitted.
    misfit : ndarray, shape (N,)
        Squared residuals over their variance, per degree of freedom: about 1 for a lone spot of this shape, more where a neighbour shines
        in or the shape is another.
    scatter : ndarray, shape (N,)
        Sum of the squared residuals over what is expected of it. It is that of the bright pixels, so that of a lone spot it is about 1
        over the factor by which the camera's gain was taken too high.
    converged : ndarray of bool, shape (N,)
        Whether the fit came to rest inside the window with finite errors.
    """

    x_nm: Floats
    y_nm: Floats
    photons: Floats
    background: Floats
    sigma_nm: Floats
    x_error_nm: Floats
    y_error_nm: Floats
    photons_error: Floats
    background_error: Floats
    sigma_error_nm: Floats
    misfit: Floats
    scatter: Floats
    converged: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.x_nm)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> SpotFits:
        """Some of them, by a mask or by indices."""
        return replace(self, **{part.name: getattr(self, part.name)[chosen] for part in fields(self)})


def cramer_rao_nm(
    photons: ArrayLike,
    background: ArrayLike,
    sigma_nm: ArrayLike,
    pixel_nm: float,
    *,
    read_noise_e: float = 0.0,
    excess: float = 1.0,
    free_sigma: bool = False,
) -> Floats:
    """The least standard deviation that an unbiased position of an isolated molecule can have, along x or along y.

    From the Fisher matrix over x, y, photons and background of a Gaussian integrated over pixels, for a molecule midway between the
    middle of a pixel and its corner, which is what random places give on average.

    Parameters
    ----------
    photons : array_like
        Detected photons of the molecule in the frame, above 0.
    background : array_like
        Detected photons per pixel besides, at least 0.
    sigma_nm : array_like
        Standard deviation of the image before pixels.
    pixel_nm : float
        Side of a camera pixel.
    read_noise_e : float
        Standard deviation of the read noise, electrons (after electron multiplication: divided by its gain).
    excess : float
        Variance of the light over that of Poisson light: 2 with electron multiplication, else 1.
    free_sigma : bool
        Whether the width is unknown as well.

    Returns
    -------
    ndarray, shape of `photons`, `background` and `sigma_nm` broadcast together, nm

    Raises
    ------
    SuperlensError
        When a value is out of its range.

    References
    ----------
    Smith et al. (2010); Rieger and Stallinga (2014) give a formula that comes within some percent of it.

    Examples
    --------
    >>> round(float(cramer_rao_nm(2250.0, 20.0, 110.0, 100.0)), 1)
    3.0
    """
    light, floor, width = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (photons, background, sigma_nm)))
    _require("photons", light, bool((light > 0).all()), "photons above 0")
    _require("background", floor, bool((floor >= 0).all()), "0 or more photons per pixel")
    _require("sigma_nm", width, bool((width > 0).all()), "nm above 0")
    noise = _noise(pixel_nm, read_noise_e, excess)
    sigma = width.ravel() / pixel_nm
    bound = np.empty(light.size)
    order = np.argsort(sigma, kind="stable")
    for at in range(0, light.size, _CHUNK):
        part = order[at : at + _CHUNK]
        reach = math.ceil(_REACH * float(sigma[part].max())) + 1
        place = np.full(len(part), reach + 0.25)
        spots = np.stack([place, place, light.ravel()[part], floor.ravel()[part], sigma[part]], axis=1)
        mean, slopes = _model(spots, 2 * reach + 1, free_sigma)
        # Without background and read noise, pixels far from the spot have next to no light and tell next to nothing.
        inverse = np.linalg.inv(_fisher(mean, slopes, noise))
        bound[part] = pixel_nm * np.sqrt(0.5 * (inverse[:, 0, 0] + inverse[:, 1, 1]))
    return bound.reshape(light.shape)


def fit_spots(
    windows: ArrayLike,
    pixel_nm: float,
    *,
    sigma_nm: float = 110.0,
    fixed_sigma: bool = False,
    corners: ArrayLike | None = None,
    read_noise_e: float = 0.0,
    excess: float = 1.0,
) -> SpotFits:
    """Fit one Gaussian to each of many windows by maximum likelihood.

    Fisher scoring with a Levenberg damping for each spot, all spots side by side.

    Parameters
    ----------
    windows : array_like, shape (N, S, S), detected photons
        Windows with one spot each near the middle, S at least 5. Counts are turned into photons with ``camera.to_electrons``.
    pixel_nm : float
        Side of a camera pixel.
    sigma_nm : float
        Width to begin with, or the width itself with `fixed_sigma`.
    fixed_sigma : bool
        Whether the width is known.
    corners : array_like of int, shape (N, 2), optional
        Row and column of the first pixel of each window in its image, to which positions then refer.
    read_noise_e : float
        Standard deviation of the read noise, electrons (after electron multiplication: divided by its gain).
    excess : float
        Variance of the light over that of Poisson light: 2 with electron multiplication, else 1.

    Returns
    -------
    SpotFits

    Raises
    ------
    SuperlensError
        When the windows have another shape or undefined values, or a number is out of its range.

    Examples
    --------
    >>> from superlens.simulate import GaussianSpots, Molecules
    >>> one = Molecules(np.array([[630.0, 660.0, 0.0]]), np.array([1000.0]), np.array([[110.0, 110.0]]), np.array([1]))
    >>> fit = fit_spots(5.0 + GaussianSpots().render(one, (13, 13), 100.0)[None], 100.0)
    >>> round(float(fit.x_nm[0]), 1), round(float(fit.sigma_nm[0]), 1)
    (630.0, 110.0)
    """
    data = np.asarray(windows, np.float64)
    _check_windows(data)
    _require("sigma_nm", np.asarray(sigma_nm), sigma_nm > 0, "nm above 0")
    noise = _noise(pixel_nm, read_noise_e, excess)
    first = np.zeros((len(data), 2)) if corners is None else np.asarray(corners, np.float64)
    if first.shape != (len(data), 2):
        raise SuperlensError(
            f"corners has the shape {first.shape}; expected ({len(data)}, 2), a row and a column for each window."
        )
    parts = [
        _fitted(data[at : at + _CHUNK], sigma_nm / pixel_nm, not fixed_sigma, noise)
        for at in range(0, max(len(data), 1), _CHUNK)
    ]
    spots, errors, misfit, scatter, converged = (np.concatenate(values) for values in zip(*parts, strict=True))
    spots[:, :2] += first[:, ::-1]
    unit = np.array([pixel_nm, pixel_nm, 1.0, 1.0, pixel_nm])
    values = dict(zip(_VALUES, (spots * unit).T, strict=True))
    bounds = dict(zip(_ERRORS, (errors * unit).T, strict=True))
    return SpotFits(**values, **bounds, misfit=misfit, scatter=scatter, converged=converged)


@dataclass(frozen=True, slots=True)
class _Noise:
    """Variance of a pixel: excess * mean + read."""

    excess: float
    read: float

    def variance(self, mean: Floats) -> Floats:
        return np.maximum(self.excess * mean + self.read, 1e-12)


@dataclass(slots=True, eq=False)
class _Progress:
    """Where the fits of a chunk stand."""

    spots: Floats
    cost: Floats
    damping: Floats
    resting: NDArray[np.bool_] = field(repr=False)


def _fitted(
    data: Floats, sigma: float, free_sigma: bool, noise: _Noise
) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
    """Spots (x, y, photons, background, sigma) in pixels, their errors, misfits and scatters, and whether the fits are sound."""
    count, side = len(data), data.shape[1]
    data = np.maximum(data, -noise.read / noise.excess)  # the likelihood knows no light below that
    spots = _bounded(_first_guess(data, sigma), side)
    begin = _cost(data, _model(spots, side, free_sigma)[0], noise)
    state = _Progress(spots, begin, np.full(count, 1e-3), np.zeros(count, bool))
    for _ in range(_STEPS):
        going = np.flatnonzero(~state.resting)
        if not going.size:
            break
        _step(state, going, data, free_sigma, noise)
    mean, slopes = _model(state.spots, side, free_sigma)
    fisher = _fisher(mean, slopes, noise)
    free = fisher.shape[-1]
    covariance = np.linalg.pinv(fisher, hermitian=True)
    spread = np.diagonal(covariance, axis1=1, axis2=2)
    errors = np.zeros((count, 5))
    errors[:, :free] = np.sqrt(np.maximum(spread, 0.0))
    misfit = ((data - mean) ** 2 / noise.variance(mean)).sum(axis=(1, 2)) / (side * side - free)
    fitted_away = np.einsum(
        "nkyx,nkl,nlyx->n", slopes, covariance, slopes, optimize=True
    )  # of the variance, by the parameters
    left = np.maximum(noise.variance(mean).sum(axis=(1, 2)) - fitted_away, 1e-12)
    scatter = ((data - mean) ** 2).sum(axis=(1, 2)) / left
    inside = np.all((state.spots[:, :2] > 0) & (state.spots[:, :2] < side), axis=1)
    sound = state.resting & inside & (state.spots[:, 2] > 2 * _LEAST_PHOTONS) & (errors[:, 0] < side)
    return state.spots, errors, misfit, scatter, sound


def _step(state: _Progress, going: NDArray[np.intp], data: Floats, free_sigma: bool, noise: _Noise) -> None:
    """Try one damped step for each spot that moves; keep it where the likelihood rises."""
    side = data.shape[1]
    here = state.spots[going]
    mean, slopes = _model(here, side, free_sigma)
    fisher = _fisher(mean, slopes, noise)
    pull = np.einsum("nkyx,nyx->nk", slopes, (data[going] - mean) / noise.variance(mean))
    diagonal = np.arange(fisher.shape[-1])
    fisher[:, diagonal, diagonal] *= 1.0 + state.damping[going, None]
    fisher[:, diagonal, diagonal] += 1e-12
    change = np.zeros_like(here)
    change[:, : fisher.shape[-1]] = np.linalg.solve(fisher, pull[..., None])[..., 0]
    change[:, :2] = np.clip(change[:, :2], -1.0, 1.0)
    change[:, 4] = np.clip(change[:, 4], -0.3 * here[:, 4], 0.5 * here[:, 4])
    there = _bounded(here + change, side)
    cost = _cost(data[going], _model(there, side, free_sigma)[0], noise)
    moved = np.abs(there - here)
    small = (moved[:, :2].max(axis=1) < _TOLERANCE) & (moved[:, 2:] <= _TOLERANCE * (1.0 + here[:, 2:])).all(axis=1)
    better = cost <= state.cost[going]
    state.spots[going[better]] = there[better]
    state.cost[going[better]] = cost[better]
    state.damping[going] = np.clip(state.damping[going] * np.where(better, 0.1, 10.0), 1e-9, 1e9)
    state.resting[going] = small


def _model(spots: Floats, side: int, free_sigma: bool) -> tuple[Floats, Floats]:
    """Mean photons, shape (N, S, S), and their slopes along x, y, photons, background (and sigma), shape (N, 4 or 5, S, S)."""
    x, dx, sx = _profile(spots[:, 0], spots[:, 4], side)
    y, dy, sy = _profile(spots[:, 1], spots[:, 4], side)
    light = spots[:, 2, None, None]
    shape = y[:, :, None] * x[:, None, :]
    slopes = np.empty((len(spots), 5 if free_sigma else 4, side, side))
    slopes[:, 0] = light * y[:, :, None] * dx[:, None, :]
    slopes[:, 1] = light * dy[:, :, None] * x[:, None, :]
    slopes[:, 2] = shape
    slopes[:, 3] = 1.0
    if free_sigma:
        slopes[:, 4] = light * (sy[:, :, None] * x[:, None, :] + y[:, :, None] * sx[:, None, :])
    return light * shape + spots[:, 3, None, None], slopes


def _profile(centre: Floats, sigma: Floats, side: int) -> tuple[Floats, Floats, Floats]:
    """Share of a Gaussian on each pixel of a line, and its slopes along centre and sigma, shape (N, S) each."""
    u = (np.arange(side + 1) - centre[:, None]) / sigma[:, None]
    bell = np.exp(-0.5 * u**2) / (math.sqrt(2.0 * math.pi) * sigma[:, None])
    return np.diff(ndtr(u), axis=1), -np.diff(bell, axis=1), -np.diff(u * bell, axis=1)


def _fisher(mean: Floats, slopes: Floats, noise: _Noise) -> Floats:
    flat = slopes.reshape(*slopes.shape[:2], mean[0].size if len(mean) else 0)
    weighted = flat / noise.variance(mean).reshape(len(mean), 1, flat.shape[-1])
    return np.asarray(weighted @ flat.transpose(0, 2, 1))


def _cost(data: Floats, mean: Floats, noise: _Noise) -> Floats:
    """Half the deviance: Poisson light whose photons count `excess` times, read noise as further light of known mean."""
    expected = noise.variance(mean) / noise.excess**2
    seen = data / noise.excess + noise.read / noise.excess**2
    return np.asarray((expected - seen + xlogy(seen, seen / expected)).sum(axis=(1, 2)))


def _first_guess(data: Floats, sigma: float) -> Floats:
    """Background from the rim, photons above it, position from the moments of what is clearly above it."""
    side = data.shape[1]
    rim = np.ones((side, side), bool)
    rim[1:-1, 1:-1] = False
    background = np.median(data[:, rim], axis=1)
    above = np.maximum(data - background[:, None, None], 0.0)
    core = np.where(above > 0.3 * above.max(axis=(1, 2), keepdims=True), above, 0.0)
    weight = np.maximum(core.sum(axis=(1, 2)), 1e-12)
    middle = np.arange(side) + 0.5
    x, y = core.sum(axis=1) @ middle / weight, core.sum(axis=2) @ middle / weight
    empty = core.sum(axis=(1, 2)) <= 0
    x, y = np.where(empty, 0.5 * side, x), np.where(empty, 0.5 * side, y)
    return np.stack([x, y, above.sum(axis=(1, 2)), background, np.full(len(data), sigma)], axis=1)


def _bounded(spots: Floats, side: int) -> Floats:
    """Keep parameters where the model means something; a width that is fixed is left alone unless it is absurd."""
    low = np.array([-1.0, -1.0, _LEAST_PHOTONS, _LEAST_BACKGROUND, _NARROWEST])
    high = np.array([side + 1.0, side + 1.0, np.inf, np.inf, float(side)])
    return np.clip(spots, low, high)


def _noise(pixel_nm: float, read_noise_e: float, excess: float) -> _Noise:
    require_length_nm("pixel_nm", pixel_nm)
    if not 0 <= read_noise_e < math.inf:
        raise SuperlensError(f"read_noise_e is {read_noise_e}; expected 0 or more electrons.")
    if not 1 <= excess < math.inf:
        raise SuperlensError(f"excess is {excess}; expected 1 or more: 2 with electron multiplication, else 1.")
    return _Noise(excess, read_noise_e**2)


def _check_windows(data: Floats) -> None:
    if data.ndim != 3 or data.shape[1] != data.shape[2] or data.shape[1] < 5:
        raise SuperlensError(f"windows has the shape {data.shape}; expected (N, S, S) with S at least 5.")
    if not np.isfinite(data).all():
        raise SuperlensError("windows holds values that are not finite; leave out such windows.")


def _require(name: str, values: Floats, ok: bool, allowed: str) -> None:
    if not (ok and bool(np.isfinite(values).all())):
        raise SuperlensError(f"{name} goes from {np.min(values):g} to {np.max(values):g}; expected {allowed}.")
