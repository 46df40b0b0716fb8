"""Localization and training from Python."""

from __future__ import annotations

from pathlib import Path

from superlens.errors import SuperlensError
from superlens.methods.deepstorm.apply import Localized, localize_movie
from superlens.methods.deepstorm.choice import choose_model, config_for
from superlens.methods.deepstorm.learn import learn
from superlens.methods.deepstorm.own import OwnFrames
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.model import Model
from superlens.progress import Progress, silent
from superlens.smlm import Localizations
from superlens.smlm.estimation import Known
from superlens.streaming.movie import Recording, check_movie, estimate_conditions, frames_of

__all__ = ["localize", "train_deepstorm"]


def localize(
    movie: Recording,
    model: Model | None = None,
    *,
    known: Known | None = None,
    frames: tuple[int, int] | None = None,
    link_nm: float | None = None,
    dark_frames: int = 1,
    progress: Progress = silent,
) -> Localized:
    """Find the molecules of a blinking movie.

    Parameters
    ----------
    movie : Image or LazyImage
        Axes TYX, counts, with a pixel size.
    model : Model, optional
        The shipped one that fits the movie best when left out; the messages say which and why.
    known : Known, optional
        What is known of the optics and the camera; the rest is estimated from the movie.
    frames : tuple of int, optional
        First and last frame to work on, from 1.
    link_nm : float, optional
        Farthest that blinks of one molecule in consecutive frames lie apart.
    dark_frames : int
        Frames that a molecule may miss between two of its blinks.
    progress : Progress

    Returns
    -------
    Localized

    Raises
    ------
    SuperlensError
        If it is no movie of blinking molecules or the model is of another method.

    Examples
    --------
    >>> found = localize(sl.read("movie.tif", pixel_nm=100.0))  # doctest: +SKIP
    >>> sl.write_localizations("found.csv", found.localizations)  # doctest: +SKIP
    """
    if model is not None and model.config.method != "deepstorm":
        raise SuperlensError(f"the model was made by {model.config.method}; expected one made by deepstorm")
    count, *_ = check_movie(movie)
    facts = known or Known()
    told = estimate_conditions(movie, facts, (0, count) if frames is None else (frames[0] - 1, frames[1]))
    why = ""
    if model is None:
        chosen = choose_model(told)
        model, why = chosen.model, chosen.why
    return localize_movie(
        movie,
        model,
        told,
        frames=frames,
        link_nm=link_nm,
        dark_frames=dark_frames,
        why=why,
        progress=progress,
    )


def train_deepstorm(
    movie: Recording | None = None,
    truth: Localizations | None = None,
    *,
    known: Known | None = None,
    preset: str = "fast",
    config: DeepStormConfig | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Model:
    """Train a model for a movie.

    Parameters
    ----------
    movie : Image or LazyImage, optional
        What the model is for: the ranges of the simulation are set around what it tells about itself. Without it they are those of the
        settings.
    truth : Localizations, optional
        Positions in the movie's own frames, which then take the place of simulated ones.
    known : Known, optional
    preset : str
        "fast", "standard" or "paper"; ignored when ``config`` is given.
    config : DeepStormConfig, optional
    checkpoint : Path, optional
        A file to keep the state of the training in, and to go on from.
    progress : Progress

    Returns
    -------
    Model

    Raises
    ------
    SuperlensError
    """
    settings = config or DeepStormConfig.of(preset)
    if movie is None:
        if truth is not None:
            raise SuperlensError("truth is given without a movie; give the frames that it belongs to")
        return learn(settings, checkpoint, progress)[0]
    count, *_ = check_movie(movie)
    told = estimate_conditions(movie, known or Known(), (0, count))
    assert movie.pixel_nm is not None
    fitted = settings if settings.preset == "paper" else config_for(told, movie.pixel_nm, settings)
    frames = None if truth is None else OwnFrames.of(frames_of(movie, slice(0, count)), truth, movie.pixel_nm, told)
    return learn(fitted, checkpoint, progress, own=frames)[0]
