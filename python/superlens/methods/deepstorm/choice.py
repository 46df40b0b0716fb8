"""Which model a movie is read with: the shipped one whose training covers the conditions of the movie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from superlens.errors import SuperlensError
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import shipped_states
from superlens.model import Model, shipped
from superlens.smlm.estimation import MovieEstimate

__all__ = ["Chosen", "beyond_training", "choose_model", "config_for"]

_MARGIN = 1.4
"""Factor beyond the range of a training up to which a model still counts as made for a movie."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A shipped model and why it was taken.

    Attributes
    ----------
    name : str
    model : Model
    why : str
        In words.
    fits : bool
        Whether the movie lies in the range of its training.
    """

    name: str
    model: Model
    why: str
    fits: bool


def choose_model(told: MovieEstimate) -> Chosen:
    """Choose among the shipped models by how far the movie lies outside the range that each was trained for.

    Of models that all cover it, the one with the narrowest range is taken.

    Raises
    ------
    SuperlensError
        If no model for single molecules is shipped.
    """
    options = [
        (_outside(told, config), _breadth(config), name, config)
        for name, config in ((name, state.settings) for name, state in shipped_states().items())
    ]
    if not options:
        raise SuperlensError("no model for single molecules comes with this superlens; train one on this movie")
    options.sort(key=lambda option: option[:3])
    outside, _, name, config = options[0]
    fits = outside <= math.log(_MARGIN)
    low, high = config.density_um2
    why = (
        f"Used the model {name}, trained for {low:g} to {high:g} molecules per square micrometre and {config.photons[0]:g} to "
        f"{config.photons[1]:g} photons; this movie has about {crowding(told, config):.2g} and {told.photons:.0f}."
    )
    others = [f"{n} is for {c.photons[0]:g} to {c.photons[1]:g}" for _, _, n, c in options[1:]]
    if others:
        why += f" Of the others, {', '.join(others)} photons."
    if not fits:
        why += " That lies outside its training: expect less, or train a model on this movie."
    return Chosen(name, Model.load(shipped()[name]), why, fits)


def beyond_training(told: MovieEstimate, config: DeepStormConfig, pixel_nm: float) -> tuple[str, ...]:
    """What of a movie lies outside the range that a model was trained for, in sentences.

    Parameters
    ----------
    told : MovieEstimate
    config : DeepStormConfig
        Of the model.
    pixel_nm : float
        Side of a camera pixel.

    Returns
    -------
    tuple of str
        One for photons, density and width each, where it is more than 1.4 times beyond its range; a movie that is emptier than those of the
        training is not outside it.
    """
    sigma = told.sigma_nm / pixel_nm
    rows = (
        ("brightness of a molecule", told.photons, config.photons, " photons"),
        ("density", crowding(told, config), (0.0, config.density_um2[1]), " per µm² and frame"),
        ("width of a molecule", sigma, (config.sigma_pixels, config.sigma_pixels), " pixels (sigma)"),
    )
    return tuple(
        f"The {name} of this movie is about {_shown(value)}{unit}; the model was trained for {_range(limits)}. Train a model on this movie."
        for name, value, limits, unit in rows
        if not limits[0] / _MARGIN <= value <= limits[1] * _MARGIN
    )


def _range(limits: tuple[float, float]) -> str:
    low, high = limits
    if low == high:
        return f"{high:g}"
    return f"{low:g} to {high:g}" if low else f"up to {high:g}"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def crowding(told: MovieEstimate, config: DeepStormConfig) -> float:
    """Density of a movie as a model sees it, whose molecules may be of another width."""
    width = config.sigma_pixels * config.pixel_nm
    return told.density_um2 * (told.sigma_nm / width) ** 2


def config_for(told: MovieEstimate, pixel_nm: float, config: DeepStormConfig) -> DeepStormConfig:
    """The settings with the ranges of one movie: its width and pixel, brightness and background, and up to twice its density."""
    density = max(told.density_um2, 0.05)
    darkest, brightest = float(np.min(told.floor)), float(np.max(told.floor))
    around = {
        "pixel_nm": pixel_nm,
        "sigma_pixels": told.sigma_nm / pixel_nm,
        "density_um2": (0.3 * density, 2.0 * density),
        "photons": (0.6 * told.photons, 1.4 * told.photons),
        "background": (max(0.5 * darkest, 0.5), max(2.0 * brightest, 2.0)),
        "read_noise_e": (max(0.7 * told.camera.read_noise_e, 0.1), max(1.4 * told.camera.read_noise_e, 0.2)),
    }
    return config.with_changes(around)


def _outside(told: MovieEstimate, config: DeepStormConfig) -> float:
    """Logarithm of how far the movie lies beyond the ranges, 0 inside; emptier than trained costs little."""

    def beyond(value: float, limits: tuple[float, float]) -> float:
        safe = math.log(max(value, 1e-6))
        return max(math.log(limits[0]) - safe, safe - math.log(limits[1]), 0.0)

    density = crowding(told, config)
    low, high = config.density_um2
    emptier = max(math.log(low) - math.log(max(density, 1e-6)), 0.0)
    return max(beyond(told.photons, config.photons), beyond(max(density, low), (low, high))) + 0.1 * emptier


def _breadth(config: DeepStormConfig) -> float:
    return sum(math.log(high / low) for low, high in (config.photons, config.density_um2))
