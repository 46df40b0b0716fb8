"""Localization: from a movie and a trained network to a table, a density map and what the user should know."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.deepstorm.calibrate import CAUTION, found_within
from superlens.methods.deepstorm.detect import Detector
from superlens.methods.deepstorm.frames import peak_share
from superlens.methods.deepstorm.stating import signs_of
from superlens.model import Model
from superlens.progress import Cancelled, Progress, silent
from superlens.result import Channel, Result
from superlens.smlm import Drift, Localizations, correct_drift, estimate_drift, frc_of_halves, link, render_gaussian
from superlens.smlm.balance import LightBalance
from superlens.smlm.estimation import MovieEstimate
from superlens.smlm.refining import crowding_of, refine
from superlens.smlm.usual import JudgedFrames
from superlens.streaming.movie import Recording, check_movie, compared, frames_of

if TYPE_CHECKING:
    from superlens.report import Provenance, Verdict
    from superlens.simulate.likeness import Likeness

__all__ = ["Localized", "localize_movie"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_AT_ONCE = 4_000_000
"""Pixels of the frames that are worked on together, at most."""

_AS_TRAINED = 0.08
"""Relative difference of the width of molecules, in pixels, up to which frames are not rescaled."""

_RESCALED = (0.4, 2.5)

_COLUMNS = (
    "frame",
    "x_nm",
    "y_nm",
    "photons",
    "sigma_nm",
    "background",
    "background_std",
    "uncertainty_nm",
    "probability",
)


@dataclass(frozen=True, slots=True, eq=False)
class Localized:
    """What was found in a movie.

    Attributes
    ----------
    localizations : Localizations
        One row for each blink in each frame, drift corrected where it was found, not linked.
    linked : Localizations
        One row for each molecule that shone in consecutive frames.
    density : Image
        Sum over the frames of the network's maps: molecules in each fine pixel, float32.
    mean : Image
        Mean of the frames, counts.
    estimate : MovieEstimate
    drift : Drift
    model : Model
    frames : tuple of int
        First and last frame that were worked on, from 1.
    parameters : mapping
    messages : tuple of str
        What the user should know.
    why : str
        Why this model was taken.
    likeness : Likeness or None
        Whether a movie that is simulated with the estimate looks like this one.
    judged : JudgedFrames or None
        Which frames are unlike the rest, one entry for each that was worked on.
    contradictions : tuple of str
        Why the table can't be right, such as molecules that hold more light than the frames do; empty as a rule.
    """

    localizations: Localizations
    linked: Localizations
    density: Image
    mean: Image
    estimate: MovieEstimate
    drift: Drift
    model: Model
    frames: tuple[int, int]
    parameters: Mapping[str, Any]
    messages: tuple[str, ...]
    why: str = ""
    likeness: Likeness | None = None
    judged: JudgedFrames | None = None
    contradictions: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether to use the result, with the reasons, as the report page gives it."""
        from superlens.methods.deepstorm.page import page_of
        from superlens.report import judge_localizations

        return judge_localizations(page_of(self, self.mean))

    @property
    def metrics(self) -> dict[str, float | None]:
        """Numbers of the result: how many, how dense, how well."""
        table, frames = self.localizations, self.frames[1] - self.frames[0] + 1
        area_um2 = self.mean.data.size * ((self.mean.pixel_nm or 1.0) * 1e-3) ** 2
        resolution = frc_of_halves(table, rng=np.random.default_rng(0))
        return {
            "localizations": len(table),
            "linked": len(self.linked),
            "frames": frames,
            "density_um2": len(table) / frames / area_um2,
            "median_uncertainty_nm": float(np.median(table["uncertainty_nm"])) if len(table) else None,
            "median_photons": float(np.median(table["photons"])) if len(table) else None,
            "frc_of_halves_nm": resolution if math.isfinite(resolution) else None,
            "drift_uncertainty_nm": self.drift.uncertainty_nm if math.isfinite(self.drift.uncertainty_nm) else None,
        }

    def rendered(self, pixel_nm: float = 10.0) -> Image:
        """Draw every localization as a Gaussian of its stated error."""
        return render_gaussian(self.localizations, pixel_nm)

    def result(self) -> Result:
        """The same as every method gives it: images and tables by role."""
        from superlens.methods.deepstorm.page import LocalizationEvidence

        channel = Channel(
            images={"density": self.density},
            tables={"localizations": self.localizations, "linked": self.linked},
            model=self.model,
            observation=self,
            history=None,
            parameters=self.parameters,
            messages=self.messages,
            speaks=lambda channel, provenance: LocalizationEvidence(self, provenance),
        )
        return Result.of(channel, self.mean)

    def report(self, rendered: Image | None = None, provenance: Provenance | None = None) -> str:
        """A self-contained HTML page: what was found, under which conditions, and why to trust it."""
        from superlens.methods.deepstorm.page import page_of
        from superlens.report import render_localizations

        return render_localizations(page_of(self, rendered or self.rendered(), provenance))


def localize_movie(
    movie: Recording,
    model: Model,
    told: MovieEstimate,
    *,
    frames: tuple[int, int] | None = None,
    link_nm: float | None = None,
    dark_frames: int = 1,
    why: str = "",
    progress: Progress = silent,
) -> Localized:
    """Find the molecules of a movie.

    Parameters
    ----------
    movie : Image or LazyImage
        Axes TYX (or YX for one frame), counts, with a pixel size. Read block by block.
    model : Model
        Of `superlens.train_deepstorm`, or a shipped one.
    told : MovieEstimate
        What is known of this movie.
    frames : tuple of int, optional
        First and last frame to work on, from 1; all by default.
    link_nm : float, optional
        Farthest that blinks of one molecule in consecutive frames lie apart; by default three times their median uncertainty.
    dark_frames : int
        Frames that a molecule may miss between two of its blinks.
    why : str
        Why this model was taken.
    progress : Progress
        When it raises `Cancelled`, what was found so far is returned.

    Returns
    -------
    Localized

    Raises
    ------
    SuperlensError
        If it is no movie, nothing blinks in it, or its molecules are far wider or narrower than the model's.
    """
    count, height, width = check_movie(movie)
    first, last = _span(frames, count)
    reader = _Reader.of(model, told, movie)
    likeness = compared(movie, told, (first, last))
    messages = [*filter(None, [why]), *told.messages, *likeness.messages]
    rows, done = [], first
    at_once = max(1, min(_AT_ONCE // (height * width), 64))
    try:
        for start in range(first, last, at_once):
            stop = min(start + at_once, last)
            rows.append(reader.read(frames_of(movie, slice(start, stop)), start))
            done = stop
            progress(done - first, last - first, f"{sum(len(r['frame']) for r in rows)} molecules")
    except Cancelled:
        messages.append(f"stopped after frame {done} of {last}; the results are of frames {first + 1} to {done}")
    if done == first:
        raise SuperlensError("stopped before the first frames were done; nothing was found yet")
    columns = {name: np.concatenate([r.pop(name) for r in rows]) for name in tuple(rows[0])}
    history = {"superlens": {"what": "single-molecule localization", "network": model.config.network}}
    table = Localizations(columns, movie.pixel_nm, (height, width), done, history)
    if not len(table):
        messages.append("no molecule was found: the table is empty")
    drift = estimate_drift(table)
    corrected = correct_drift(table, drift)
    link_nm = link_nm or (3 * float(np.median(table["uncertainty_nm"])) if len(table) else 30.0)
    about = {
        "frames": f"{first + 1}:{done}",
        **reader.parameters(),
        "link_nm": round(link_nm, 2),
        "dark_frames": dark_frames,
    }
    return Localized(
        localizations=corrected,
        linked=link(corrected, distance_nm=link_nm, dark_frames=dark_frames),
        density=reader.density(movie.name, about),
        mean=reader.mean(movie.name),
        estimate=told,
        drift=drift,
        model=model,
        frames=(first + 1, done),
        parameters=about,
        messages=(*messages, drift.note, *reader.messages(first)),
        why=why,
        likeness=likeness,
        judged=reader.judged,
        contradictions=(*told.contradictions, *likeness.contradictions, *reader.contradictions()),
    )


def _span(frames: tuple[int, int] | None, count: int) -> tuple[int, int]:
    """First and one past the last frame, from 0."""
    if frames is None:
        return 0, count
    first, last = frames
    if not 1 <= first <= last <= count:
        raise SuperlensError(
            f"frames is {first}:{last}; expected first and last between 1 and {count}, the frames of the movie"
        )
    return first - 1, last


@dataclass(slots=True, eq=False)
class _Reader:
    """Reads frames with a model, and keeps the sums of frames and of density maps.

    ``zoom`` is by how much frames are enlarged so that molecules are as wide as in training; 1 where they nearly are.
    """

    detector: Detector
    told: MovieEstimate
    pixel_nm: float
    zoom: float
    frames: int = 0
    _light: Floats | None = None
    _maps: Floats | None = None
    _judged: list[JudgedFrames] = field(default_factory=list)
    _balance: LightBalance = LightBalance()

    @classmethod
    def of(cls, model: Model, told: MovieEstimate, movie: Recording) -> _Reader:
        detector, pixel_nm = Detector.of(model), movie.pixel_nm or 1.0
        ours, theirs = detector.config.sigma_pixels, told.sigma_nm / pixel_nm
        low, high = _RESCALED
        if not low <= ours / theirs <= high:
            raise SuperlensError(
                f"molecules are {told.sigma_nm:.0f} nm wide (sigma), {theirs:.2f} pixels of {pixel_nm:g} nm, and the model takes {ours:g} "
                f"pixels; expected {ours / high:.2f} to {ours / low:.2f}. Check `pixel_nm`, or train a model on this movie"
            )
        return cls(detector, told, pixel_nm, 1.0 if abs(ours / theirs - 1) <= _AS_TRAINED else ours / theirs)

    def read(self, counts: Array, start: int) -> dict[str, NDArray[Any]]:
        """Rows of the table for frames, shape (T, Y, X), of which the first has the index ``start``."""
        told, detector = self.told, self.detector
        electrons = np.asarray(told.camera.to_electrons(counts), np.float32)
        judged = told.judged(electrons)
        self._judged.append(judged)
        lit = np.flatnonzero(~judged.dark)
        if not len(lit):
            return {name: np.empty(0, np.int64 if name == "frame" else np.float64) for name in _COLUMNS}
        counts, electrons, judged = counts[lit], electrons[lit], judged.where(lit)
        even = told.flat(electrons, judged)
        usual = told.photons_in(lit + start)
        seen: Array = even
        photons: float | Array = told.photons if told.trend is None else usual.astype(np.float32)[:, None, None]
        sigma = told.sigma_nm / self.pixel_nm
        if self.zoom != 1.0:
            seen = ndimage.zoom(seen, (1, self.zoom, self.zoom), order=3, mode="nearest", grid_mode=True)
            photons = photons * (
                peak_share(sigma) / peak_share(detector.config.sigma_pixels)
            )  # enlarged, a peak stays as high
        maps = detector.maps(seen, photons, told.background)
        self._add(counts, maps)
        found = detector.read(maps)
        frame = found.frame
        places = found.places * (np.array(electrons.shape[:0:-1]) / np.array(seen.shape[:0:-1]))
        wider = sigma / detector.config.sigma_pixels
        refined = refine(
            electrons,
            frame,
            places,
            sigma=sigma,
            photons=usual[frame],
            background=told.floors(judged),
            read_noise_e=told.camera.read_noise_e,
            found_within=wider * found_within(detector, crowding_of(frame, places, sigma)),
            caution=CAUTION,
        )
        error = wider * detector.law(signs_of(refined.bound / wider, refined.crowding, found.height, found.width))
        limits = np.array(electrons.shape[:0:-1]) * self.pixel_nm
        rows = {
            "frame": lit[frame] + start + 1,
            "x_nm": np.clip(refined.x * self.pixel_nm, 0, limits[0]),
            "y_nm": np.clip(refined.y * self.pixel_nm, 0, limits[1]),
            "photons": told.excess * refined.photons,
            "sigma_nm": np.full(len(frame), told.sigma_nm),
            "background": told.excess * refined.background,
            "background_std": told.excess * np.sqrt(refined.background + told.camera.read_noise_e**2),
            "uncertainty_nm": error * self.pixel_nm,
            "probability": np.clip(found.height, 0, 1).astype(np.float64),
        }
        self._balance = self._balance.with_frames(even, told, refined.photons)
        order = np.lexsort((refined.x, frame))
        return {name: values[order] for name, values in rows.items()}

    def _add(self, counts: Array, maps: Array) -> None:
        light, density = (stack.sum(axis=0, dtype=np.float64) for stack in (counts, maps))
        self._light = light if self._light is None else self._light + light
        self._maps = density if self._maps is None else self._maps + density
        self.frames += len(counts)

    @property
    def judged(self) -> JudgedFrames:
        """All frames that were read, held against the usual one."""
        return JudgedFrames.joined(self._judged)

    def contradictions(self) -> tuple[str, ...]:
        """Why what was found can't be right."""
        return self._balance.contradictions

    def mean(self, name: str) -> Image:
        """Mean of the frames that hold light, counts."""
        if self._light is None:
            raise SuperlensError("no frame holds light; nothing was found")
        return Image((self._light / self.frames).astype(np.float32), "YX", pixel_nm=self.pixel_nm, name=name)

    def density(self, name: str, about: Mapping[str, Any]) -> Image:
        """Sum of the maps on the fine grid of the camera: molecules a pixel."""
        if self._light is None or self._maps is None:
            raise SuperlensError("no frame holds light; nothing was found")
        upsampling, total = self.detector.config.upsampling, self._maps
        if self.zoom != 1.0:
            ratio = [side / (upsampling * own) for side, own in zip(total.shape, self._light.shape, strict=True)]
            total = ndimage.zoom(total, [1 / r for r in ratio], order=1, mode="nearest", grid_mode=True)
            total = np.maximum(total, 0) * math.prod(ratio)
        shift = self.detector.config.label_shift
        if shift:
            total = ndimage.shift(total, shift, order=1, mode="constant")
        history = {"superlens": {"what": "sum of density maps, molecules a pixel", **about}}
        return Image(total.astype(np.float32), "YX", pixel_nm=self.pixel_nm / upsampling, name=name, history=history)

    def parameters(self) -> dict[str, Any]:
        """What frames were read with, true photons and gain where the camera multiplies electrons."""
        told, detector = self.told, self.detector
        return {
            "pixel_nm": self.pixel_nm,
            "sigma_nm": round(told.sigma_nm, 2),
            "photons": round(told.excess * told.photons, 1),
            "background": round(told.excess * told.background, 2),
            "density_um2": round(told.density_um2, 3),
            "camera_gain": told.camera.gain / told.excess,
            "camera_multiplies": told.excess > 1,
            "camera_offset": told.camera.offset,
            "camera_read_noise_e": told.camera.read_noise_e,
            "sources": dict(told.sources),
            "threshold": detector.threshold,
            "upsampling": detector.config.upsampling,
            "rescaled": round(self.zoom, 4),
        }

    def messages(self, first: int) -> tuple[str, ...]:
        """What the user should know of how frames were read, of which the first has the index ``first``."""
        unlike = self.judged.messages(first + 1)
        if self.zoom == 1.0:
            return unlike
        return (
            *unlike,
            f"molecules are {self.told.sigma_nm / self.pixel_nm:.2f} pixels wide and the model was trained for "
            f"{self.detector.config.sigma_pixels:g}: frames were rescaled by {self.zoom:.2f} for the network",
        )
