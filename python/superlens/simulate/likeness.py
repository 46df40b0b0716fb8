"""Whether a movie that is simulated with what was estimated looks like the real one, statistic by statistic.

An estimate is believed when frames made from it cannot be told from the real ones by what a network learns from: how bright pixels are,
how much of that is steady, how far the light of a molecule reaches, and how many molecules stand out. In: frames of a movie in electrons
and its `MovieEstimate`. Out: a `Likeness`, and in words what differs. Repairing the estimate is left to the user, who knows the microscope.

Each statistic is allowed to differ by chance and by what does not matter. Chance is three standard errors of the difference, the scatter
being measured between groups of frames of both movies. What does not matter is a share of the value: molecules are simulated as round
Gaussians of one width on an even background, which no microscope delivers to better than some percent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.optics import PSF
from superlens.reconstruct import richardson_lucy
from superlens.simulate.blinking import Independent, PhotonLaw
from superlens.simulate.molecules import DensitySites, Sites, Uniform
from superlens.simulate.movie import SmlmScene, stream_smlm
from superlens.simulate.spots import GaussianSpots
from superlens.simulate.surroundings import Background
from superlens.smlm.estimation import MovieEstimate

__all__ = ["Likeness", "Statistic", "compare_with_simulation"]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_MOST_FRAMES, _MOST_PIXELS = 50, 128
_GROUPS = 10  # of frames, whose scatter tells the error of a statistic
_FEWEST_FRAMES = 8  # below it nothing is said of changes in time
_SURE = 3.0  # standard errors of a difference that are put down to chance
_LAGS = 3
_SHOWN_LAGS = 6
_BINS = 60
_STEPS = 15  # of deconvolution: the mean image is blurred already and will be blurred again
_FEWEST_SPOTS = 40
_CONTRADICTS, _FAR_BEYOND = 3.0, 3.0
"""Factor between a statistic of the two movies, and multiple of its tolerance, beyond which the estimate can't be right."""
_USUAL_SPREAD = 0.3  # of the photons of molecules, relative, where no isolated ones tell it


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number of the real and of the simulated movie.

    Attributes
    ----------
    name : str
        In words.
    unit : str
        Empty for a ratio or a number of things.
    real, simulated : float
    tolerance : float
        Largest difference that is put down to chance and to what does not matter.
    meaning : str
        What a difference says, in words, by its sign; empty when the two agree.
    """

    name: str
    unit: str
    real: float
    simulated: float
    tolerance: float
    meaning: str = ""

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return abs(self.real - self.simulated) <= self.tolerance

    @property
    def contradicts(self) -> bool:
        """Whether one is several times the other, far beyond chance."""
        low, high = sorted((self.real, self.simulated))
        return high - low > _FAR_BEYOND * self.tolerance and high > _CONTRADICTS * max(low, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How alike a real and a simulated movie are.

    Attributes
    ----------
    statistics : tuple of Statistic
    messages : tuple of str
        What differs, as a microscopist would say it; empty when all agree.
    edges : ndarray, shape (N + 1,), electrons
        Classes of pixel values; the last holds all brighter pixels as well.
    real_share, simulated_share : ndarray, shape (N,)
        Share of the pixels in each class.
    real_covariance, simulated_covariance : ndarray, shape (K,), electrons squared
        How pixels that lie 1, 2, ... K pixels apart along x or y fluctuate together in time; empty for a movie of few frames.
    real_maxima, simulated_maxima : ndarray, shape (T,)
        Spots that stand out, frame by frame.
    real_frame, simulated_frame : ndarray, shape (Y, X), float32, electrons
        A frame of each, one that holds more spots than most do.
    structured : bool
        Whether molecules were simulated where the mean of the real frames is bright, instead of anywhere.
    """

    statistics: tuple[Statistic, ...]
    messages: tuple[str, ...]
    edges: Floats = field(repr=False)
    real_share: Floats = field(repr=False)
    simulated_share: Floats = field(repr=False)
    real_covariance: Floats = field(repr=False)
    simulated_covariance: Floats = field(repr=False)
    real_maxima: NDArray[np.int64] = field(repr=False)
    simulated_maxima: NDArray[np.int64] = field(repr=False)
    real_frame: Array = field(repr=False)
    simulated_frame: Array = field(repr=False)
    structured: bool = False

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What differs so much that the estimate can't be right; empty as a rule."""
        return tuple(
            f"the movie contradicts what was estimated from it: {statistic.name}, {statistic.real:.3g} in the movie and "
            f"{statistic.simulated:.3g} when it is simulated"
            for statistic in self.statistics
            if statistic.name in _TELLING and statistic.contradicts
        )

    @property
    def ok(self) -> bool:
        """Whether all statistics agree."""
        return all(statistic.ok for statistic in self.statistics)


def compare_with_simulation(
    electrons: NDArray[np.generic], estimate: MovieEstimate, pixel_nm: float, *, rng: np.random.Generator
) -> Likeness:
    """Simulate a movie with the estimated values and compare it with the real one.

    Parameters
    ----------
    electrons : ndarray, shape (T, Y, X), electrons
        Frames of the movie, through ``estimate.camera.to_electrons``. At most 50 frames spread over them are compared, in the brightest
        window of 128 x 128 pixels; all of them tell where the molecules sit.
    estimate : MovieEstimate
        Of `superlens.smlm.estimation.estimate_movie`, or what the user knows.
    pixel_nm : float
        Side of a camera pixel.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    Likeness
        Movies of fewer than 8 frames are compared without what changes in time.

    Raises
    ------
    SuperlensError
        If the frames are no movie, or smaller than 16 pixels.

    Examples
    --------
    >>> from superlens.camera import Camera
    >>> from superlens.simulate import simulate_smlm
    >>> movie = simulate_smlm(12, SmlmScene(yx_shape=(32, 32)), rng=np.random.default_rng(0))
    >>> known = MovieEstimate(Camera(1.0, 100.0, 1.5), 110.0, 2280.0, 20.0, 2.0, {})
    >>> compare_with_simulation(movie.frames.data - 100.0, known, 100.0, rng=np.random.default_rng(1)).ok
    True
    """
    movie = np.asarray(electrons, np.float32)
    if movie.ndim != 3 or not len(movie) or min(movie.shape[1:]) < 16:
        raise SuperlensError(
            f"electrons has the shape {movie.shape}; expected frames (T, Y, X) of at least 16 x 16 pixels"
        )
    mean = movie.mean(axis=0, dtype=np.float64)
    window = _brightest(mean)
    chosen = np.unique(np.linspace(0, len(movie) - 1, min(len(movie), _MOST_FRAMES)).astype(int))
    real = movie[(chosen, *window)] if len(chosen) == len(movie) else movie[chosen][(slice(None), *window)]
    scene, structured = _scene(movie[(slice(None), *window)], mean, window, estimate, pixel_nm)
    made = [estimate.camera.expose(frame.photons, rng) for frame in stream_smlm(len(real), scene, rng=rng)]
    simulated = np.asarray(estimate.camera.to_electrons(np.stack(made)), np.float32)
    return _compared(real, simulated, estimate, pixel_nm, structured)


def _brightest(mean: Floats) -> tuple[slice, slice]:
    """Rows and columns of the window with the most light."""
    height, width = (min(side, _MOST_PIXELS) for side in mean.shape)
    starts = itertools.product(*(_starts(side, size) for side, size in zip(mean.shape, (height, width), strict=True)))
    y, x = max(starts, key=lambda at: float(mean[at[0] : at[0] + height, at[1] : at[1] + width].sum()))
    return slice(y, y + height), slice(x, x + width)


def _starts(side: int, size: int) -> list[int]:
    """Where windows begin along an axis, half a window apart."""
    number = math.ceil(2 * (side - size) / size) + 1
    return sorted({round(at) for at in np.linspace(0, side - size, number)})


def _scene(
    frames: Array, mean: Floats, window: tuple[slice, slice], estimate: MovieEstimate, pixel_nm: float
) -> tuple[SmlmScene, bool]:
    """The scene that the estimate describes in the window, and whether it follows the mean image."""
    height, width = frames.shape[1:]
    margin = math.ceil(3.0 * estimate.sigma_nm / pixel_nm)
    light = float(mean.mean()) - estimate.background
    here = float(mean[window].mean()) - estimate.background
    even = estimate.uneven is None  # else what remains of the background counts as much as the molecules
    density = estimate.density_um2 * (here / light if even and light > 0 and here > 0 else 1.0)
    places = _places(frames, estimate, pixel_nm)
    sites: Sites = Uniform()
    if places is not None:
        padded = np.pad(places, margin, mode="symmetric")
        sites = DensitySites(Image(padded, "YX", pixel_nm=pixel_nm))
        density *= float(padded.mean() / places.mean())
    spread = _photon_spread(estimate)
    # The estimated brightness weighs bright molecules more: of molecules that vary there are more, and dimmer ones.
    law = PhotonLaw.gamma(1 / spread**2, estimate.photons / (1 + spread**2) * spread**2)
    level = max(estimate.background, 0.0)
    scene = SmlmScene(
        yx_shape=(height, width),
        pixel_nm=pixel_nm,
        margin_nm=margin * pixel_nm,
        sites=sites,
        blinking=Independent(density * (1 + spread**2)),
        photons=law,
        spots=GaussianSpots(estimate.sigma_nm, 0.04 * estimate.sigma_nm),
        background=Background(level, level),
    )
    return scene, places is not None


def _photon_spread(estimate: MovieEstimate) -> float:
    """Standard deviation of the photons of molecules over their mean."""
    if estimate.spots is None or len(estimate.spots) < _FEWEST_SPOTS:
        return _USUAL_SPREAD
    photons = estimate.spots.photons
    middle = float(np.median(photons))
    return float(np.clip(1.4826 * np.median(np.abs(photons - middle)) / max(middle, 1e-9), 0.05, 1.0))


def _places(frames: Array, estimate: MovieEstimate, pixel_nm: float) -> Floats | None:
    """How molecules are spread over the camera pixels, up to a factor; None where it may as well be evenly.

    What two halves of the movie agree on is structure; the rest of the mean image is the chance of few blinks, which the simulation adds
    by itself, so that deviations are lessened until their variance is that of the structure.
    """
    if len(frames) < _FEWEST_FRAMES:
        return None
    first, second = _halves(frames)
    mean, agreed = 0.5 * (first + second), _agreed(first, second)
    share = min(agreed / max(float(mean.var()), 1e-12), 1.0)
    light = mean - estimate.background
    by_chance = _by_chance(first, second, estimate.sigma_nm / pixel_nm)
    if agreed < max(by_chance, 0.1 * float(first.std() * second.std())) or not light.mean() > 0:
        return None
    lessened = np.maximum(light.mean() + math.sqrt(share) * (light - light.mean()), 0.0)
    psf = PSF.gaussian(estimate.sigma_nm * math.sqrt(8 * math.log(2)), pixel_nm)
    return np.asarray(richardson_lucy(lessened, psf.data, iterations=_STEPS), np.float64)


def _halves(frames: Array) -> tuple[Floats, Floats]:
    """Means of the first and of the last frames; every other frame would put a blink that lasts into both."""
    middle = len(frames) // 2
    return frames[:middle].mean(axis=0, dtype=np.float64), frames[middle:].mean(axis=0, dtype=np.float64)


def _agreed(first: Floats, second: Floats) -> float:
    """Covariance of two images over their pixels."""
    return float(np.mean((first - first.mean()) * (second - second.mean())))


def _by_chance(first: Floats, second: Floats, width: float) -> float:
    """Covariance that images of molecules of that width, in pixels, reach by chance: a field has only so many places that differ."""
    number = first.size / (2 * math.pi * width**2)
    return float(_SURE * first.std() * second.std() / math.sqrt(number))


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """What is measured in each frame of a movie, so that any choice of frames can be summed up."""

    frames: Array
    maxima: NDArray[np.int64]
    products: Floats  # (T, K + 1): mean products of deviations from the mean of all frames, by distance

    @classmethod
    def of(cls, frames: Array, find: Callable[[Array], int]) -> _Facts:
        maxima = np.array([find(frame) for frame in frames])
        away = frames - frames.mean(axis=0, dtype=np.float64).astype(np.float32)
        lags = range(min(_SHOWN_LAGS, min(frames.shape[1:]) - 1) + 1)
        products = np.stack([0.5 * (_product(away, lag, 1) + _product(away, lag, 2)) for lag in lags], axis=1)
        return cls(frames, maxima, products * len(frames) / max(len(frames) - 1, 1))

    def steady(self, chosen: NDArray[np.intp]) -> dict[str, float]:
        """Numbers that one frame is enough for."""
        frames = self.frames[chosen]
        dark, middle, bright, brightest = np.quantile(frames, (0.02, 0.5, 0.95, 0.995))
        return {
            "dark": float(dark),
            "middle": float(middle),
            "bright": float(bright),
            "brightest": float(brightest),
            "mean": float(frames.mean(dtype=np.float64)),
            "maxima": float(self.maxima[chosen].mean()),
        }

    def moving(self, chosen: NDArray[np.intp]) -> dict[str, float]:
        """Numbers of what changes in time and what does not."""
        products = self.products[chosen].mean(axis=0)
        beside = products[1]
        shared = _agreed(*_halves(self.frames[chosen]))
        ratios = {f"lag{i}": float(products[i] / beside) if beside > 0 else 0.0 for i in range(2, _LAGS + 1)}
        return {
            "contrast": math.sqrt(max(shared, 0.0)),
            "flicker": math.sqrt(max(float(products[0]), 0.0)),
            "lag1": float(beside),
            **ratios,
        }


def _product(away: Array, lag: int, axis: int) -> Floats:
    side = away.shape[axis]
    first, second = (
        (away[:, : side - lag], away[:, lag:]) if axis == 1 else (away[:, :, : side - lag], away[:, :, lag:])
    )
    return np.asarray(np.einsum("tyx,tyx->t", first, second, dtype=np.float64) / first[0].size, np.float64)


def _compared(real: Array, simulated: Array, estimate: MovieEstimate, pixel_nm: float, structured: bool) -> Likeness:
    find = _finder(estimate, pixel_nm)
    moving = len(real) >= _FEWEST_FRAMES
    facts = [_Facts.of(movie if moving else _quarters(movie), find) for movie in (real, simulated)]
    values, errors = zip(*(_summed(fact, moving) for fact in facts), strict=True)
    noise = math.sqrt(max(estimate.background, 0.0) + estimate.camera.read_noise_e**2)
    judged = {}
    for law in _laws(values[0], noise):
        chance = _SURE * math.hypot(errors[0][law.key], errors[1][law.key])
        if law.key == "contrast":
            pairs = [_by_chance(*_halves(movie), estimate.sigma_nm / pixel_nm) for movie in (real, simulated)]
            chance = max(chance, math.sqrt(max(pairs)))
        judged[law] = law.judged(values[0][law.key], values[1][law.key], chance)
    shown = [fact.products[:, 1:].mean(axis=0) if moving else np.empty(0) for fact in facts]
    edges = _classes(real, simulated)
    spots = [fact.maxima if moving else fact.maxima.reshape(4, -1).sum(axis=0) for fact in facts]
    shown_at = [int(np.argsort(number, kind="stable")[(9 * len(number)) // 10]) for number in spots]
    return Likeness(
        statistics=tuple(judged.values()),
        messages=_first_causes({law.key: s for law, s in judged.items() if not s.ok}),
        edges=edges,
        real_share=_shares(real, edges),
        simulated_share=_shares(simulated, edges),
        real_covariance=shown[0],
        simulated_covariance=shown[1],
        real_maxima=spots[0],
        simulated_maxima=spots[1],
        real_frame=real[shown_at[0]],
        simulated_frame=simulated[shown_at[1]],
        structured=structured,
    )


@dataclass(frozen=True, slots=True)
class _Law:
    """What a statistic is called, what difference does not matter, and what a larger one says."""

    key: str
    name: str
    unit: str
    margin: float
    less: str
    more: str

    def judged(self, real: float, simulated: float, chance: float) -> Statistic:
        tolerance = chance + self.margin
        numbers = f"{real:.3g}{' ' + self.unit if self.unit else ''} against {simulated:.3g} simulated"
        said = ""
        if abs(real - simulated) > tolerance:
            said = f"{self.less if real < simulated else self.more} ({self.name}: {numbers})"
        return Statistic(self.name, self.unit, real, simulated, tolerance, said)


def _laws(real: dict[str, float], noise: float) -> Iterator[_Law]:
    """All statistics in the order of the report; `real` gives the sizes that shares are taken of."""
    electrons = "electrons"
    dark = real["dark"]

    def level(key: str, name: str, share: float, less: str, more: str) -> _Law:
        return _Law(key, name, electrons, share * max(real[key] - dark, 0.0) + 0.35 * noise, less, more)

    yield _Law("dark", "darkest 2 % of the pixels", electrons, 0.6 * noise, _DARK_LESS, _DARK_MORE)
    yield level("middle", "median pixel", 0.15, _LIGHT_LESS, _LIGHT_MORE)
    yield level("bright", "brightest 5 % of the pixels", 0.12, _BRIGHT_LESS, _BRIGHT_MORE)
    yield level("brightest", "brightest 0.5 % of the pixels", 0.15, _BRIGHT_LESS, _BRIGHT_MORE)
    yield _Law("mean", "mean pixel", electrons, 0.1 * max(real["mean"] - dark, noise), _LIGHT_LESS, _LIGHT_MORE)
    yield _Law("maxima", _SPOTS, "", 0.12 * real["maxima"] + 0.5, _SPOTS_LESS, _SPOTS_MORE)
    if "flicker" not in real:
        return
    yield _Law(
        "contrast",
        "contrast that both halves of the movie share",
        electrons,
        0.2 * real["contrast"] + 0.1 * noise,
        _STILL_LESS,
        _STILL_MORE,
    )
    yield _Law("flicker", _FLICKER, electrons, 0.1 * real["flicker"], _MOVE_LESS, _MOVE_MORE)
    yield _Law(
        "lag1", "shared fluctuation of neighbours", "electrons²", 0.2 * abs(real["lag1"]), _MOVE_LESS, _MOVE_MORE
    )
    for lag in range(2, _LAGS + 1):
        key, name = f"lag{lag}", f"the same {lag} pixels apart, relative"
        yield _Law(key, name, "", 0.08 * abs(real[key]) + 0.03, _WIDTH_LESS, _WIDTH_MORE)


_SPOTS, _FLICKER = "spots that stand out in a frame", "fluctuation of a pixel in time"
_TELLING = (_SPOTS, _FLICKER)
"""Statistics that can't be several times off where an estimate is right."""

_DARK_LESS = (
    "the darkest places are darker than simulated: the background is estimated too high, or the offset too high"
)
_DARK_MORE = (
    "the darkest places are brighter than simulated: the background is estimated too low, or the offset too low"
)
_LIGHT_LESS = "the movie holds less light than simulated: density, photons or background are estimated too high"
_LIGHT_MORE = "the movie holds more light than simulated: density, photons or background are estimated too low"
_BRIGHT_LESS = "bright pixels are dimmer than simulated: molecules are dimmer or wider, or fewer shine at once"
_BRIGHT_MORE = (
    "bright pixels are brighter than simulated: molecules vary more in brightness or crowd together, "
    "or beads and other steady bright things are in the field"
)
_SPOTS_LESS = (
    "fewer spots stand out than simulated: the density is estimated too high, or the light behind molecules is uneven"
)
_SPOTS_MORE = "more spots stand out than simulated: the density is estimated too low, or the photons too high"
_STILL_LESS = "the mean of the frames is more even than simulated: molecules are less concentrated in places"
_STILL_MORE = "the mean of the frames is more uneven than simulated: there is steady light besides the blinks, such as an uneven background"
_MOVE_LESS = (
    "pixels fluctuate less than simulated: photons are estimated too high, or molecules stay on for most of the movie"
)
_MOVE_MORE = (
    "pixels fluctuate more than simulated: photons are estimated too low, or the light or the stage was not steady"
)
_WIDTH_LESS = "the light of a molecule reaches less far than simulated: sigma_nm is too large, or pixel_nm too small"
_WIDTH_MORE = (
    "the light of a molecule reaches farther than simulated: sigma_nm is too small, or molecules lie out of focus"
)


_CAUSES: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = (
    (("lag2", "lag3"), frozenset({"dark", "middle", "bright", "brightest", "flicker", "lag1", "maxima", "contrast"})),
    (("dark",), frozenset({"middle", "maxima"})),
    (("mean",), frozenset({"middle", "bright", "brightest", "flicker", "lag1", "maxima", "contrast"})),
    (("flicker", "lag1"), frozenset({"middle", "bright", "brightest", "maxima", "contrast"})),
    (("middle",), frozenset({"bright", "brightest", "maxima"})),
    (("maxima",), frozenset({"bright"})),
    (("brightest", "bright"), frozenset()),
    (("contrast",), frozenset()),
)
"""Statistics that say the same, the most telling first, and those that follow when it is off."""


def _first_causes(off: dict[str, Statistic]) -> tuple[str, ...]:
    """One sentence for each difference that does not follow from another."""
    off = dict(off)
    if "dark" in off and "mean" in off:  # a wrong background moves both alike; wrong molecules move the mean more
        moved = {key: abs(off[key].real - off[key].simulated) for key in ("dark", "mean")}
        del off["mean" if moved["mean"] < 2 * moved["dark"] else "dark"]
    said, follow = [], set[str]()
    for keys, consequences in _CAUSES:
        found = [off[key].meaning for key in keys if key in off and key not in follow]
        if found:
            said.append(found[0])
            follow |= consequences
    return tuple(said)


def _summed(facts: _Facts, moving: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Values over all frames, and their standard errors from groups of frames.

    What one frame is enough for is taken in each group, the rest without each group in turn (the jackknife).
    """
    every = np.arange(len(facts.frames))
    groups = np.array_split(every, min(_GROUPS, len(every)))
    scale = math.sqrt(len(groups) - 1)
    whole = facts.steady(every)
    parts = [facts.steady(group) for group in groups]
    errors = {key: float(np.std([part[key] for part in parts])) / scale for key in whole}
    if moving:
        whole |= facts.moving(every)
        parts = [facts.moving(np.setdiff1d(every, group)) for group in groups]
        errors |= {key: float(np.std([part[key] for part in parts])) * scale for key in parts[0]}
    return whole, errors


def _quarters(frames: Array) -> Array:
    """Each frame as four, so that the scatter between them gives an error where there are few frames."""
    height, width = (side // 2 for side in frames.shape[1:])
    parts = [frames[:, y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    return np.concatenate(parts)


def _finder(estimate: MovieEstimate, pixel_nm: float) -> Callable[[Array], int]:
    """Count the spots of a frame that rise above noise and above a fifth of what one molecule of the estimate rises to."""
    width = estimate.sigma_nm / pixel_nm
    peak = estimate.photons / (4 * math.pi * width**2) * (1 - 1 / 5)  # a Gaussian through the difference of two filters
    level = max(estimate.background, 0.0) + estimate.camera.read_noise_e**2
    noise = math.sqrt(level) / (2 * math.sqrt(math.pi) * width)
    least = max(0.2 * peak, 4 * noise)

    def count(frame: Array) -> int:
        smooth = ndimage.gaussian_filter(frame, width) - ndimage.gaussian_filter(frame, 3 * width)
        return int(np.count_nonzero((smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > least)))

    return count


def _classes(real: Array, simulated: Array) -> Floats:
    low = min(float(np.quantile(movie, 0.001)) for movie in (real, simulated))
    high = max(float(np.quantile(movie, 0.999)) for movie in (real, simulated))
    return np.linspace(low, max(high, low + 1.0), _BINS + 1)


def _shares(movie: Array, edges: Floats) -> Floats:
    counts, _ = np.histogram(np.clip(movie, edges[0], edges[-1]), edges)
    return np.asarray(counts / movie.size)
