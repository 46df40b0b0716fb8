"""Localization: from a movie and a trained network to a table, a density map and what the user should know."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.deepstorm.calibrate import CAUTION, found_within, stated_error
from superlens.methods.deepstorm.detect import Detector
from superlens.model import Model
from superlens.progress import Cancelled, Progress, silent
from superlens.recording import Recording, check_movie, compared, frames_of
from superlens.smlm import Drift, Localizations, correct_drift, estimate_drift, frc_of_halves, link, render_gaussian
from superlens.smlm.estimation import MovieEstimate
from superlens.smlm.refining import crowding_of, refine

if TYPE_CHECKING:
    from superlens.report import Provenance
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

    def report(self, rendered: Image | None = None, provenance: Provenance | None = None) -> str:
        """A self-contained HTML page: what was found, under which conditions, and why to trust it."""
        from superlens.methods.deepstorm.page import page_of
        from superlens.report.localization import render_localizations

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
        Farthest that blinks of one molecule in consecutive frames lie apart; by default three times their median stated error.
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
    detector = Detector.of(model)
    assert movie.pixel_nm is not None
    zoom = _zoom(detector, told, movie)
    summed, mean = _Sum(zoom, detector.config.upsampling, (height, width)), np.zeros((height, width))
    rows: list[dict[str, NDArray[Any]]] = []
    likeness = compared(movie, told, (first, last))
    done, messages = first, [*filter(None, [why]), *told.messages, *likeness.messages]
    at_once = max(1, min(_AT_ONCE // (height * width), 64))
    try:
        for start in range(first, last, at_once):
            stop = min(start + at_once, last)
            counts = frames_of(movie, slice(start, stop))
            rows.append(_block(counts, start, detector, told, zoom, summed, movie.pixel_nm))
            mean += counts.sum(axis=0, dtype=np.float64)
            done = stop
            progress(done - first, last - first, f"{sum(len(r['frame']) for r in rows)} molecules")
    except Cancelled:
        messages.append(f"stopped after frame {done} of {last}; the results are of frames {first + 1} to {done}")
    if done == first:
        raise SuperlensError("stopped before the first frames were done; nothing was found yet")
    columns = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
    history = {"superlens": {"what": "single-molecule localization", "network": model.config.network}}
    table = Localizations(columns, movie.pixel_nm, (height, width), done, history)
    localized = _finished(
        movie,
        model,
        told,
        table,
        summed,
        mean / (done - first),
        (first, done, last),
        (link_nm, dark_frames),
        zoom,
        messages,
    )
    return replace(localized, why=why, likeness=likeness)


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


def _zoom(detector: Detector, told: MovieEstimate, movie: Recording) -> float:
    """By how much frames are enlarged so that molecules are as wide as in training; 1 where they nearly are."""
    assert movie.pixel_nm is not None
    zoom = detector.config.sigma_pixels / (told.sigma_nm / movie.pixel_nm)
    if not _RESCALED[0] <= zoom <= _RESCALED[1]:
        raise SuperlensError(
            f"molecules are {told.sigma_nm:.0f} nm wide (sigma), {told.sigma_nm / movie.pixel_nm:.2f} pixels of {movie.pixel_nm:g} nm, "
            f"and the model takes {detector.config.sigma_pixels:g} pixels; expected {detector.config.sigma_pixels / _RESCALED[1]:.2f} to "
            f"{detector.config.sigma_pixels / _RESCALED[0]:.2f}. Check --pixel-nm, or train a model on this movie: superlens train --method deepstorm"
        )
    return 1.0 if abs(zoom - 1) <= _AS_TRAINED else zoom


class _Sum:
    """The sum of density maps, on the grid of the network; put on the fine grid of the camera at the end."""

    def __init__(self, zoom: float, upsampling: int, yx_shape: tuple[int, int]) -> None:
        self._zoom, self._fine = zoom, (yx_shape[0] * upsampling, yx_shape[1] * upsampling)
        self._total: Floats | None = None

    def add(self, maps: Array) -> None:
        part = maps.sum(axis=0, dtype=np.float64)
        self._total = part if self._total is None else self._total + part

    def on_grid(self) -> Array:
        assert self._total is not None
        if self._zoom == 1.0:
            return self._total.astype(np.float32)
        ratio = [side / fine for side, fine in zip(self._total.shape, self._fine, strict=True)]
        resampled = ndimage.zoom(self._total, [1 / r for r in ratio], order=1, mode="nearest", grid_mode=True)
        return np.asarray(np.maximum(resampled, 0) * ratio[0] * ratio[1], np.float32)


def _block(
    counts: Array, start: int, detector: Detector, told: MovieEstimate, zoom: float, summed: _Sum, pixel_nm: float
) -> dict[str, NDArray[Any]]:
    """Work on some frames: add their maps to the sum, return the rows of the table."""
    electrons = np.asarray(told.camera.to_electrons(counts), np.float32)
    seen, background = electrons, told.background
    if zoom != 1.0:
        seen = np.asarray(ndimage.zoom(electrons, (1, zoom, zoom), order=3, mode="nearest", grid_mode=True), np.float32)
    # An enlarged frame holds the same light per old pixel: a molecule's peak is the same share of the light as in training.
    maps = detector.maps(seen, told.photons / _kept(detector, told, zoom, pixel_nm), background)
    summed.add(maps)
    frame, places, height = detector.read(maps)
    places = places * (np.array(electrons.shape[:0:-1]) / np.array(seen.shape[:0:-1]))
    sigma = told.sigma_nm / pixel_nm
    wider = sigma / detector.config.sigma_pixels
    refined = refine(
        electrons,
        frame,
        places,
        sigma=sigma,
        photons=told.photons,
        background=background,
        read_noise_e=told.camera.read_noise_e,
        found_within=wider * found_within(detector, crowding_of(frame, places, sigma)),
        caution=CAUTION,
    )
    order = np.lexsort((refined.x, frame))
    limits = np.array(electrons.shape[:0:-1]) * pixel_nm
    rows = {
        "frame": frame + start + 1,
        "x_nm": np.clip(refined.x * pixel_nm, 0, limits[0]),
        "y_nm": np.clip(refined.y * pixel_nm, 0, limits[1]),
        "photons": told.excess * refined.photons,
        "sigma_nm": np.full(len(frame), told.sigma_nm),
        "background": told.excess * refined.background,
        "background_std": told.excess * np.sqrt(refined.background + told.camera.read_noise_e**2),
        "uncertainty_nm": stated_error(refined, detector, wider) * pixel_nm,
        "probability": np.clip(height, 0, 1).astype(np.float64),
    }
    return {name: values[order] for name, values in rows.items()}


def _kept(detector: Detector, told: MovieEstimate, zoom: float, pixel_nm: float) -> float:
    """What the peak of a molecule loses when its light is shared by more pixels than in training."""
    from superlens.methods.deepstorm.frames import peak_share

    return peak_share(detector.config.sigma_pixels) / peak_share(told.sigma_nm / pixel_nm) if zoom != 1.0 else 1.0


def _finished(
    movie: Recording,
    model: Model,
    told: MovieEstimate,
    table: Localizations,
    summed: _Sum,
    mean: Floats,
    span: tuple[int, int, int],
    linking: tuple[float | None, int],
    zoom: float,
    messages: list[str],
) -> Localized:
    first, done, last = span
    drift = estimate_drift(table)
    messages.append(drift.note)
    corrected = correct_drift(table, drift)
    link_nm = linking[0] or (3 * float(np.median(table["uncertainty_nm"])) if len(table) else 30.0)
    if not len(table):
        messages.append("no molecule was found: the table is empty")
    if zoom != 1.0:
        messages.append(
            f"molecules are {told.sigma_nm / (movie.pixel_nm or 1):.2f} pixels wide and the model was trained for "
            f"{model.config.settings['sigma_pixels']:g}: frames were rescaled by {zoom:.2f} for the network"
        )
    upsampling = int(model.config.settings["upsampling"])
    about = {
        "frames": f"{first + 1}:{done}",
        "pixel_nm": movie.pixel_nm,
        "sigma_nm": round(told.sigma_nm, 2),
        "photons": round(told.excess * told.photons, 1),
        "background": round(told.excess * told.background, 2),
        "density_um2": round(told.density_um2, 3),
        "camera_gain": told.camera.gain / told.excess,
        "camera_multiplies": told.excess > 1,
        "camera_offset": told.camera.offset,
        "camera_read_noise_e": told.camera.read_noise_e,
        "sources": dict(told.sources),
        "threshold": model.config.settings["threshold"],
        "link_nm": round(link_nm, 2),
        "dark_frames": linking[1],
        "upsampling": upsampling,
        "rescaled": round(zoom, 4),
    }
    history = {"superlens": {"what": "sum of density maps, molecules a pixel", **about}}
    fine = Image(
        summed.on_grid(), "YX", pixel_nm=(movie.pixel_nm or 1.0) / upsampling, name=movie.name, history=history
    )
    return Localized(
        localizations=corrected,
        linked=link(corrected, distance_nm=link_nm, dark_frames=linking[1]),
        density=fine,
        mean=Image(mean.astype(np.float32), "YX", pixel_nm=movie.pixel_nm, name=movie.name),
        estimate=told,
        drift=drift,
        model=model,
        frames=(first + 1, done),
        parameters=about,
        messages=tuple(messages),
    )
