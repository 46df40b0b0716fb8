"""What can be estimated from a movie of blinking molecules: the width of their images, their brightness, the background, the density, the camera.

Where blinks are far apart, each is fitted and the medians are taken. Where they are not, the fluctuations tell: a molecule that shines in
some frames and not in others makes neighbouring pixels rise and fall together, with the shape of its image convolved with itself. The
width comes from that shape; the strength over the mean light is the brightness of one molecule, whatever their density is and wherever
they sit (number-and-brightness analysis); what light remains, divided by the brightness, is their number.

In: some frames of a movie, counts. Out: a `MovieEstimate`, each value with the word for where it came from. What is given by the user is
not estimated.

References
----------
M. A. Digman, R. Dalal, A. F. Horwitz and E. Gratton, "Mapping the number of molecules and brightness in the laser scanning microscope",
Biophys. J. 94, 2320 (2008). Z. Zhang et al. and others use the same cumulants for SOFI.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.special import ndtr

from superlens.camera import Camera, check_noise, estimate_camera, find_border
from superlens.errors import SuperlensError
from superlens.smlm.background import darkest, divide_light
from superlens.smlm.doubting import DarkPlaces, FinestDetail, doubts_about
from superlens.smlm.finest import gain_by_finest_detail
from superlens.smlm.precision import SpotFits, fit_spots
from superlens.smlm.trend import LightTrend, light_trend
from superlens.smlm.usual import JudgedFrames, UsualFrame

__all__ = ["Known", "MovieEstimate", "estimate_movie", "sample_frames"]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_FRAMES = 400
"""Most frames that are looked at."""

_PARTS = 7
_FEWEST_SPOTS = 40
_FEWEST_BRIGHT = 10
"""Isolated blinks that tell how bright molecules are."""
_CLEAR = 0.3  # error of the photons of a blink that tells how noisy it is, relative
_FEWEST_ALONE = 3
"""Isolated blinks that will do where there are too few frames to see fluctuations."""
_NOISE_FRAMES = 16
_SHOWS_NOISE = 1.2  # pixels: sigma from which bright and crowded molecules have no frequencies as high as those the noise is read from
_AGREE = 0.12
"""Relative difference from the fluctuations up to which the width of isolated blinks is believed: beyond it they were pairs."""
_FEWEST_FRAMES = 8
_QUIET = 0.6  # share of the frames, those with the least of the light that comes and goes, in which the background is looked for
_USUAL_WIDTH = 1.2  # pixels
_TOO_BRIGHT = 5.0
"""Times as bright as isolated blinks that no molecules are, however many shine at one place: then next to no light was left for them."""
_CORRECTIONS, _MOST_AT_ONCE = 10, 0.1
_DARK, _FEWEST_DARK = 0.2, 100  # share of the places of a frame, and pixels
_TOO_STILL, _STILL = 0.6, 0.9
"""Squared residuals of isolated blinks over what the gain makes expect, below which the gain is too high, and up to which it is corrected."""
_MOST_MISFIT = 1.6  # three deviations above 1, for windows of 7 x 7 pixels
_REACH = 4  # pixels: lags of the fluctuations that are fitted
_SMOOTH = 8.0  # pixels: what is smoother within a frame is no molecule
_SIGMA_PIXELS = (0.5, 4.0)
_TREND_PARTS, _TREND_FRAMES = 8, 16  # of a movie, and frames of each that blinks are looked for in
_SEEN = 2.0  # photons of a molecule over the noise of a pixel: below it not even all of its light together stands out


@dataclass(frozen=True, slots=True)
class Known:
    """What the user knows of a movie; what is None is estimated.

    Attributes
    ----------
    sigma_nm : float or None
        Standard deviation of the image of a molecule.
    offset, gain, read_noise_e : float or None
        The camera: counts, counts per electron before multiplication, electrons.
    multiplied : bool
        Whether the camera multiplies electrons (EMCCD), which doubles the variance of the light.
    """

    sigma_nm: float | None = None
    offset: float | None = None
    gain: float | None = None
    read_noise_e: float | None = None
    multiplied: bool = False


@dataclass(frozen=True, slots=True)
class MovieEstimate:
    """What is known about a movie.

    Attributes
    ----------
    camera : Camera
        Where the offset was not given it holds the darkest background as well: light cannot be told from offset.
    sigma_nm : float
        Standard deviation of the image of a molecule, before pixels.
    photons : float
        Detected photons of a molecule in a frame, brighter ones weighing more: the mean of their squares over their mean.
    background : float
        Detected photons of a pixel besides, above the camera's offset; the mean over the field.
    density_um2 : float
        Molecules per square micrometre and frame, over the whole field.
    sources : mapping of str to str
        For each of these names, where it comes from, in words.
    spots : SpotFits or None
        Isolated blinks that were fitted.
    messages : tuple of str
        What the user should know.
    excess : float
        Variance of the light over that of Poisson light: 2 where the camera multiplies electrons. The numbers above are those of a camera
        without multiplication whose noise is the same; the true photons are ``excess`` times as many.
    uneven : ndarray, shape (Y, X), or None
        How far the background of each pixel lies from ``background``, where that matters.
    usual : UsualFrame or None
        What frames usually look like, in electrons: tells frames that are unlike the rest, and the background of each frame.
    doubts : tuple of str
        Faults of the movie, and where it contradicts values of the camera that were given.
    trend : LightTrend or None
        How the brightness of molecules changes from frame to frame, where it does.
    """

    camera: Camera
    sigma_nm: float
    photons: float
    background: float
    density_um2: float
    sources: Mapping[str, str]
    spots: SpotFits | None = field(default=None, repr=False)
    messages: tuple[str, ...] = ()
    excess: float = 1.0
    uneven: Array | None = field(default=None, repr=False)
    usual: UsualFrame | None = field(default=None, repr=False)
    doubts: tuple[str, ...] = ()
    trend: LightTrend | None = None

    def photons_in(self, frames: NDArray[np.integer]) -> Floats:
        """`photons` in frames of these indices, from 0, as they go along with the trend; shape (T,)."""
        return np.full(len(frames), self.photons) if self.trend is None else self.photons * self.trend.at(frames)

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Why the estimate can't be right; empty as a rule."""
        noise = math.sqrt(max(self.background, 0.0) + self.camera.read_noise_e**2)
        lone = self.spots.photons if self.spots is not None else np.empty(0)
        if len(lone) >= _FEWEST_BRIGHT and self.photons > _TOO_BRIGHT * float(np.quantile(lone, 0.9)):
            return (
                f"molecules would have {self.photons:.2g} photons, and isolated ones have {float(np.median(lone)):.2g}: the light of the movie was "
                "taken for background",
            )
        if noise == 0 or self.photons > _SEEN * noise:
            return ()
        return (
            f"a molecule of {self.photons:.2g} photons can't be seen in a noise of {noise:.2g} photons a pixel: something else was taken for "
            "molecules, or the camera's values are wrong",
        )

    def judged(self, electrons: Array) -> JudgedFrames:
        """Frames, shape (T, Y, X), held against the usual one."""
        return UsualFrame.unknown().judged(electrons) if self.usual is None else self.usual.judged(electrons)

    def flat(self, electrons: Array, judged: JudgedFrames | None = None) -> Array:
        """Frames, shape (T, Y, X), as if the background were even, and the same in all of them."""
        even = electrons if self.uneven is None else np.asarray(electrons - self.uneven, np.float32)
        judged = self.judged(electrons) if judged is None else judged
        if self.usual is None or not judged.level.any():
            return even
        return np.asarray(even - self.usual.over_field(judged), np.float32)

    @property
    def floor(self) -> float | Array:
        """The usual background of each pixel, one number where it is even."""
        return self.background if self.uneven is None else np.maximum(self.background + self.uneven, 0.0)

    def floors(self, judged: JudgedFrames) -> float | Array:
        """The background of each pixel of frames that were judged, shape (T, Y, X), (T, 1, 1) or (Y, X); one number where it is one."""
        if self.usual is None or not judged.level.any():
            return self.floor
        return np.asarray(np.maximum(self.floor + self.usual.over_field(judged), 0.0), np.float32)


def sample_frames(number: int, most: int = _FRAMES) -> NDArray[np.int64]:
    """Indices of frames spread over a movie: short runs, so that slow changes of light cancel within each.

    Examples
    --------
    >>> sample_frames(5)
    array([0, 1, 2, 3, 4])
    >>> len(sample_frames(100_000))
    400
    """
    if number <= most:
        return np.arange(number)
    run = 50
    starts = np.linspace(0, number - run, most // run).astype(np.int64)
    return (starts[:, None] + np.arange(run)).ravel()


def estimate_movie(
    frames: NDArray[np.generic],
    pixel_nm: float,
    *,
    sigma_nm: float | None = None,
    offset: float | None = None,
    gain: float | None = None,
    read_noise_e: float | None = None,
    excess: float = 1.0,
    numbers: NDArray[np.integer] | None = None,
) -> MovieEstimate:
    """Estimate what a movie of blinking molecules was taken with.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X), counts
        Frames of the movie, such as those of `sample_frames`.
    pixel_nm : float
    sigma_nm, offset, gain, read_noise_e : float, optional
        What is known.
    excess : float
        2 for a camera that multiplies electrons.
    numbers : ndarray of int, shape (T,), optional
        Indices of the frames in the movie, in order; 0, 1, 2 ... by default.

    Raises
    ------
    SuperlensError
        If nothing blinks in the movie.
    """
    every = np.asarray(frames, np.float32)
    usual = UsualFrame.of(every)
    judged = usual.judged(every)
    if not judged.alike.any():
        raise SuperlensError(
            f"each of the {len(every)} frames holds one value only; expected frames with blinking molecules"
        )
    counts = every[judged.alike]
    camera = _camera(counts, offset, None if gain is None else gain * excess, read_noise_e)
    camera, spots, scatter = _by_blinks(counts, pixel_nm, sigma_nm, camera, read_noise_e)
    dark = _dark_places(counts)
    quiet = None
    if usual.varies:
        shared = judged.where(judged.alike)
        quiet = shared.level <= np.quantile(shared.level, _QUIET)
        counts = counts - usual.over_field(shared)
        camera = _with_offset_below(camera, counts[quiet])
    electrons = np.asarray(camera.to_electrons(counts), np.float32)
    shape = _fluctuations(electrons)
    width = None if sigma_nm is None else sigma_nm / pixel_nm
    fitted = None if shape is None else _fit_shape(shape, width)
    if fitted is None and len(spots) < (_FEWEST_ALONE if sigma_nm is None else 1):
        raise SuperlensError(
            "nothing blinks in the movie: no spot stands out and no pixels rise and fall together; expected a movie of blinking molecules"
        )
    sources = {name: _where(camera, name) for name in ("offset", "gain", "read_noise_e")}
    lone_nm = float(np.median(spots.sigma_nm)) if len(spots) else 0.0
    agreed = fitted is None or abs(lone_nm / pixel_nm / fitted.width - 1) < _AGREE
    enough = len(spots) >= (_FEWEST_SPOTS if len(counts) >= _FEWEST_FRAMES else _FEWEST_ALONE)
    if sigma_nm is not None:
        sources["sigma_nm"] = "given"
    elif fitted is None or (enough and agreed):
        sigma_nm = lone_nm
        sources["sigma_nm"] = f"{len(spots)} isolated blinks, each fitted"
    else:
        sigma_nm = fitted.width * pixel_nm
        sources["sigma_nm"] = _how(counts)
    believed = agreed and (fitted is None or enough or len(spots) >= _FEWEST_BRIGHT)
    strength = 0.0 if fitted is None else fitted.strength
    light = divide_light(
        electrons, camera, sigma_nm / pixel_nm, strength, spots if believed else None, rim=_REACH, quiet=quiet
    )
    sources["background"] = "the darkest places" if light.uneven is None else "the darkest places around each"
    sources["photons"] = (
        f"{_how(counts)}, over mean light" if light.shared else f"{len(spots)} isolated blinks, each fitted"
    )
    sources["density_um2"] = (
        "mean light above the background over the light of a molecule"
        if light.shared or fitted is None
        else f"{_how(counts)}, over the square of the light of a molecule"
    )
    wide = sigma_nm / pixel_nm
    at = (np.arange(len(every)) if numbers is None else numbers)[judged.alike]
    trend = _trend(electrons, at, pixel_nm, sigma_nm, camera)

    def crowding(times: float) -> float:
        """Molecules in the area of the image of one, if the gain were so many times as high."""
        other, scaled = replace(camera, gain=times * camera.gain), electrons / np.float32(times)
        found = divide_light(scaled, other, wide, strength / times**2, None, rim=_REACH) if strength > 0 else light
        return 4 * math.pi * wide**2 * found.per_pixel

    def free_gain() -> float:
        """What the movie says of the gain where nothing of the camera is given."""
        lit = every[judged.alike]
        return _by_blinks(lit, pixel_nm, None, _camera(lit, None, None, None), None)[0].gain

    nothing = (math.nan, math.nan, math.nan)
    by_detail, error, quietest = nothing if gain is None else gain_by_finest_detail(every[judged.alike])
    finest = FinestDetail(by_detail, error, quietest / max(dark.noise, 1e-9) ** 2, wide)
    doubts = doubts_about(camera, dark, scatter, excess=excess, crowding=crowding, free_gain=free_gain, finest=finest)
    doubts = (*_worked_on(every[judged.alike], wide), *doubts)
    return MovieEstimate(
        camera,
        sigma_nm,
        light.photons,
        light.background,
        light.per_pixel / (pixel_nm * 1e-3) ** 2,
        sources,
        spots if len(spots) else None,
        (*doubts, *light.messages(), *(() if trend is None else (trend.message(int(at[-1]) + 1),))),
        excess,
        light.uneven,
        usual.scaled(camera.offset, camera.gain),
        doubts,
        trend,
    )


def _worked_on(frames: Array, wide: float) -> Iterator[str]:
    """What was done to the frames before: a border, or a filter, which shows in the noise of neighbours.

    Narrow images of molecules have as high frequencies as noise, and hide it.
    """
    border = find_border(frames[0])
    if border is not None:
        yield border.sentence("movie")
    noise = check_noise(_some(frames, _NOISE_FRAMES))
    if wide >= _SHOWS_NOISE and not noise.independent and not noise.mild:
        x, y = noise.neighbour_correlation
        yield (
            f"The noise of neighbouring pixels is correlated ({x:.2f} along x and {y:.2f} along y): the frames were filtered, scaled or compressed, and "
            "gain, photons and uncertainties can't be right. Use the raw frames."
        )


def _some(frames: Array, most: int) -> Array:
    """Frames spread over a movie."""
    return np.asarray(frames[np.linspace(0, len(frames) - 1, min(len(frames), most)).round().astype(int)])


def _trend(
    electrons: Array, numbers: NDArray[np.integer], pixel_nm: float, sigma_nm: float, camera: Camera
) -> LightTrend | None:
    """How bright isolated blinks are in parts of the movie."""
    if len(electrons) < _TREND_PARTS * _TREND_FRAMES:
        return None
    parts = np.array_split(np.arange(len(electrons)), _TREND_PARTS)
    chosen = [part[np.linspace(0, len(part) - 1, _TREND_FRAMES).round().astype(int)] for part in parts]
    fits = [_fitted_spots(electrons[part], pixel_nm, sigma_nm, camera) for part in chosen]
    lone = [one.photons[_alone(one, pixel_nm)] for one in fits]
    return light_trend([float(numbers[part].mean()) for part in parts], lone, numbers)


def _how(counts: Array) -> str:
    few = len(counts) < _FEWEST_FRAMES
    return (
        "how neighbouring pixels differ together within frames" if few else "how neighbouring pixels fluctuate together"
    )


def _camera(counts: Array, offset: float | None, gain: float | None, read_noise_e: float | None) -> Camera:
    """The camera as several parts of the movie tell it: the one of middle gain among those that are plausible.

    Molecules are sharper than what a camera samples well, and in a crowded part their slopes may pass for noise.
    """
    parts = [counts[i::_PARTS] for i in range(min(_PARTS, len(counts) // 2))] or [counts]
    told = [estimate_camera(part, offset=offset, gain=gain, read_noise_e=read_noise_e) for part in parts]
    white = [check_noise(part).white for part in parts]  # where it is not, molecules passed for noise
    sound = [one for one, alone in zip(told, white, strict=True) if alone and one.verdict == "plausible"] or told
    return sorted(sound, key=lambda one: one.camera.gain)[(len(sound) - 1) // 2].camera


def _with_offset_below(camera: Camera, counts: Array) -> Camera:
    """The camera, with an estimated offset that does not lie above the darkest places once the light that comes and goes is off."""
    dark = darkest(np.asarray(camera.to_electrons(counts), np.float32), camera, _USUAL_WIDTH)
    if dark >= 0 or "offset" not in camera.estimated:
        return camera
    noise = math.sqrt(max(camera.read_noise_e**2 + dark, 0.0))
    kept = camera.read_noise_e if "read_noise_e" not in camera.estimated else noise
    return replace(camera, offset=camera.offset + camera.gain * dark, read_noise_e=kept)


def _where(camera: Camera, name: str) -> str:
    return "estimated from the noise" if name in camera.estimated else "given"


@dataclass(frozen=True, slots=True)
class _Shape:
    """Fit of the fluctuations: width in pixels, and the mean square of molecules' photons times their number in a pixel."""

    width: float
    strength: float


def _fluctuations(electrons: Array) -> Floats | None:
    """Covariance of pixels a lag apart, shape (2 reach + 1, 2 reach + 1), electrons squared; None for too small a field.

    Over time; of too few frames within each, about what is smooth: structure then counts as molecules.
    """
    number = len(electrons)
    if min(electrons.shape[1:]) <= 4 * _REACH:
        return None
    few = number < _FEWEST_FRAMES
    run = 50 if number >= 100 else number
    total, weight = np.zeros((2 * _REACH + 1,) * 2), 0
    for at in range(0, number - run + 1, run):
        part = electrons[at : at + run]
        part = part - (ndimage.gaussian_filter(part, (0, _SMOOTH, _SMOOTH)) if few else part.mean(axis=0))
        inner = part[:, _REACH:-_REACH, _REACH:-_REACH]
        for y in range(-_REACH, _REACH + 1):
            for x in range(_REACH + 1):
                moved = part[:, _REACH + y : part.shape[1] - _REACH + y, _REACH + x : part.shape[2] - _REACH + x]
                total[_REACH + y, _REACH + x] += float(np.mean(inner * moved)) * (1.0 if few else run / (run - 1))
        weight += 1
    total[:, :_REACH] = total[::-1, ::-1][:, :_REACH]
    return total / weight


def _fit_shape(covariance: Floats, width: float | None) -> _Shape | None:
    """Width and strength that explain the covariance, its noise at lag 0 left out; None where nothing fluctuates together."""
    lag = np.arange(-_REACH, _REACH + 1)
    away = np.hypot(*np.meshgrid(lag, lag)) > 0.5
    data = covariance[away]

    def solved(sigma: float) -> tuple[float, Floats]:
        line = _overlap(sigma)
        design = np.stack([np.outer(line, line)[away], np.ones(away.sum())], axis=1)
        found, *_ = np.linalg.lstsq(design, data, rcond=None)
        return float(np.sum((design @ found - data) ** 2)), found

    best = width
    if best is None:
        grid = np.geomspace(*_SIGMA_PIXELS, 25)
        at = int(np.argmin([solved(s)[0] for s in grid]))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
        best = float(optimize.minimize_scalar(lambda s: solved(s)[0], bounds=(low, high), method="bounded").x)
    misfit, (strength, _) = solved(best)
    scatter = math.sqrt(misfit / len(data))
    peak = strength * _overlap(best)[_REACH] ** 2
    return _Shape(best, float(strength)) if peak > 8 * scatter and strength > 0 else None


def _overlap(sigma: float) -> Floats:
    """Along one axis, the overlap of the images of a molecule a lag apart: a Gaussian on pixels with itself, averaged over its place."""
    lag = np.arange(-_REACH, _REACH + 1, dtype=np.float64)
    wide = math.sqrt(2.0) * sigma

    def ramp(x: Floats) -> Floats:  # the integral of ndtr(x / wide)
        z = x / wide
        return np.asarray(x * ndtr(z) + wide * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi))

    return np.asarray(ramp(lag + 1) - 2 * ramp(lag) + ramp(lag - 1))


def _by_blinks(
    counts: Array, pixel_nm: float, sigma_nm: float | None, camera: Camera, known: float | None
) -> tuple[Camera, SpotFits, float]:
    """The camera, whose gain isolated blinks correct where it was estimated far too high, the blinks, and their scatter; NaN of few.

    Spots narrower than a camera samples well, and very bright ones, pass for noise there. What is left of a blink after a fit does not.
    ``known`` is the read noise where it is.
    """
    began, steps = None, _CORRECTIONS if "gain" in camera.estimated else 0
    sharp = steps > 0 and check_noise(_some(counts, _NOISE_FRAMES)).coarse
    while True:
        fits = _fitted_spots(np.asarray(camera.to_electrons(counts), np.float32), pixel_nm, sigma_nm, camera)
        spots = fits.where(_alone(fits, pixel_nm))
        told = spots if len(spots) >= _FEWEST_BRIGHT else fits.where(fits.converged)
        ratio = float(np.median(told.scatter)) if len(told) >= _FEWEST_BRIGHT else 1.0
        scatter = _scatter(fits, pixel_nm)
        if ratio > (_TOO_STILL if began is None and not sharp else _STILL) or steps == 0:
            break
        began, steps = began or (camera, spots), steps - 1
        noise, gain = camera.read_noise_e * camera.gain, camera.gain * max(ratio, _MOST_AT_ONCE)
        if known is None:
            noise = min(noise, _dark_places(counts).noise)
        camera = replace(camera, gain=gain, read_noise_e=noise / gain if known is None else known)
    # Where no gain explains what is left, the first one is as good as any.
    return (*(began if began is not None and ratio <= _TOO_STILL else (camera, spots)), scatter)


def _dark_places(counts: Array) -> DarkPlaces:
    """Dark places, from how they differ between successive frames, or from pixel to pixel of a single one."""
    at = np.arange(0, len(counts) - 1, max(1, len(counts) // 25))
    pair = (counts[at], counts[at + 1]) if len(at) else (counts[..., :-1], counts[..., 1:])
    dark = np.ones(pair[0].shape, bool)
    for frames in pair:
        smooth = ndimage.gaussian_filter(frames, (0, 2, 2), mode="nearest")
        dark &= smooth <= np.quantile(smooth, _DARK)
    apart = np.abs(pair[1] - pair[0])[dark]
    if apart.size < _FEWEST_DARK:
        return DarkPlaces(math.inf, math.inf)
    noise = 1.4826 * float(np.median(apart)) / math.sqrt(2.0)
    return DarkPlaces(noise, 0.5 * float((pair[0] + pair[1])[dark].mean()))


def _fitted_spots(electrons: Array, pixel_nm: float, sigma_nm: float | None, camera: Camera) -> SpotFits:
    """Local maxima that have no other near, fitted."""
    start = _USUAL_WIDTH if sigma_nm is None else sigma_nm / pixel_nm
    reach = math.ceil(2.5 * start)
    if min(electrons.shape[1:]) < 2 * reach + 1:
        windows, corners = np.empty((0, 2 * reach + 1, 2 * reach + 1)), np.empty((0, 2), np.int64)
    else:
        windows, corners = _windows(electrons, start, reach)
    floor = min(float(windows.min(initial=0.0)), 0.0)
    return fit_spots(
        windows - floor,
        pixel_nm,
        sigma_nm=start * pixel_nm,
        fixed_sigma=sigma_nm is not None,
        corners=corners,
        read_noise_e=math.sqrt(max(camera.read_noise_e**2 + floor, 0.0)),
    )


def _scatter(fits: SpotFits, pixel_nm: float) -> float:
    """Median scatter of blinks, chosen by nothing that the gain has a say in; NaN of few."""
    width = fits.sigma_nm / pixel_nm
    clear = fits.converged & (width > _SIGMA_PIXELS[0]) & (width < _SIGMA_PIXELS[1])
    clear &= fits.photons_error < _CLEAR * fits.photons
    return float(np.median(fits.scatter[clear])) if clear.sum() >= _FEWEST_BRIGHT else math.nan


def _alone(fits: SpotFits, pixel_nm: float) -> NDArray[np.bool_]:
    """Which spots are explained by one Gaussian."""
    width = fits.sigma_nm / pixel_nm
    alone = fits.converged & (fits.misfit < _MOST_MISFIT) & (width > _SIGMA_PIXELS[0]) & (width < _SIGMA_PIXELS[1])
    return np.asarray(alone & (fits.sigma_error_nm < 0.15 * fits.sigma_nm))


def _windows(electrons: Array, width: float, reach: int) -> tuple[Floats, NDArray[np.int64]]:
    """Windows around the brightest of local maxima that stand out and have no other near, and their first rows and columns."""
    windows, corners = [], []
    for frame in electrons[:: max(1, len(electrons) // 100)]:
        smooth = ndimage.gaussian_filter(frame, width) - ndimage.gaussian_filter(frame, 3 * width)
        scatter = 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
        highest = (smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > 4 * max(scatter, 1e-6))
        around = 2 * reach + 3
        crowd = ndimage.uniform_filter(highest.astype(np.float32), around, mode="constant") * around**2
        for y, x in np.argwhere(highest & (crowd < 1.5)):
            if reach <= y < frame.shape[0] - reach and reach <= x < frame.shape[1] - reach:
                windows.append(frame[y - reach : y + reach + 1, x - reach : x + reach + 1])
                corners.append((y - reach, x - reach))
    if not windows:
        return np.empty((0, 2 * reach + 1, 2 * reach + 1)), np.empty((0, 2), np.int64)
    return np.asarray(windows, np.float64), np.asarray(corners)
