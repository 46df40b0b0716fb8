"""Localization: from a movie and a trained network to a table, a density map and what the user should know."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.deepstorm.reading import Part, Reader
from superlens.model import Model
from superlens.progress import Cancelled, Progress, silent
from superlens.result import Channel, Result
from superlens.smlm import Drift, Localizations, correct_drift, estimate_drift, frc_of_halves, link, render_gaussian
from superlens.smlm.estimation import MovieEstimate
from superlens.smlm.usual import JudgedFrames
from superlens.streaming.movie import Recording, check_movie, compared, frames_of, typical_frames

if TYPE_CHECKING:
    from superlens.report import Provenance, Verdict
    from superlens.simulate.likeness import Likeness

__all__ = ["Localized", "localize_movie"]

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_AT_ONCE = 4_000_000
"""Pixels of the frames that are worked on together, at most."""

_FRAMES, _SPARSE_FRAMES = 60, 240
"""The most frames that are; of sparse ones the network sees little."""


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
    electrons, judged = typical_frames(movie, told, (first, last))
    assert movie.pixel_nm is not None
    reader = Reader.of(model, told, movie.pixel_nm, electrons, judged)
    likeness = compared(electrons, judged, told, movie.pixel_nm)
    messages = [*filter(None, [why]), *told.messages, *likeness.messages]
    rows, done = [], first
    at_once = max(1, min(_AT_ONCE // (height * width), _SPARSE_FRAMES if reader.lone is not None else _FRAMES))
    try:
        for stop, part in _read_ahead(reader, movie, range(first, last, at_once), last):
            rows.append(reader.keep(part))
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


def _read_ahead(reader: Reader, movie: Recording, starts: range, last: int) -> Iterator[tuple[int, Part]]:
    """One past the last frame of each block, and what was read in it; while the network looks at one block, another one is fitted."""
    with ThreadPoolExecutor(2) as pool:
        pending: deque[tuple[int, Future[Part]]] = deque()
        for start in starts:
            stop = min(start + starts.step, last)
            pending.append((stop, pool.submit(reader.read, frames_of(movie, slice(start, stop)), start)))
            if len(pending) == 2:
                at, job = pending.popleft()
                yield at, job.result()
        for at, job in pending:
            yield at, job.result()


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
