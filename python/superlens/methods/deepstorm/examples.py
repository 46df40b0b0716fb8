"""Simulated frames to learn from: fresh for every step, each patch with a density, a brightness and a structure of its own.

In: a `DeepStormConfig` and an rng. Out: frames in electrons, with the places of all molecules that shine in them. Molecules just outside a
patch send their light into it and are not asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.methods.deepstorm.frames import Units, peak_share
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.simulate import Filaments, GaussianSpots, Molecules, PhotonLaw, Rings, Uniform
from superlens.simulate.molecules import Box, Sites

__all__ = ["Example", "draw_batch", "draw_example", "misjudged", "normalised", "shared_spikes", "target"]

Array = NDArray[np.float32]
Rng = np.random.Generator

_RIM = 5.0  # standard deviations around a patch from which light still reaches it


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One simulated frame and what is true about it.

    Attributes
    ----------
    electrons : ndarray, shape (Y, X), float32
    positions_nm : ndarray, shape (N, 2), columns x and y
        Molecules inside the field.
    photons : ndarray, shape (N,)
        Of each of them.
    mean_photons, background, sigma_nm, density_um2, read_noise_e : float
        What the frame was drawn with.
    """

    electrons: Array
    positions_nm: NDArray[np.float64]
    photons: NDArray[np.float64]
    mean_photons: float
    background: float
    sigma_nm: float
    density_um2: float
    read_noise_e: float


def draw_example(
    config: DeepStormConfig, rng: Rng, *, side: int | None = None, density: float | None = None
) -> Example:
    """Draw one frame.

    Parameters
    ----------
    config : DeepStormConfig
    rng : numpy.random.Generator
    side : int, optional
        Camera pixels along each side; that of a training patch by default.
    density : float, optional
        Molecules per square micrometre; drawn from the configuration by default.
    """
    pixels, pixel_nm = side or config.patch, config.pixel_nm
    sigma_nm = (
        config.sigma_pixels * pixel_nm * float(np.clip(1 + config.sigma_spread * rng.standard_normal(), 0.7, 1.4))
    )
    per_um2 = _log_uniform(config.density_um2, rng) if density is None else density
    mean, background, read_noise = (
        _log_uniform(limits, rng) for limits in (config.photons, config.background, config.read_noise_e)
    )
    law = PhotonLaw("normal", mean, mean * _log_uniform(config.photon_spread, rng))
    rim = _RIM * sigma_nm
    field = pixels * pixel_nm
    box = Box((-rim, field + rim), (-rim, field + rim))
    sites = _sites(config, rng)
    count = rng.poisson(per_um2 * box.area_um2)
    position = sites.lay(box, rng)(count, rng) if count else np.empty((0, 3))
    photons = law.draw(count, rng)
    spots = GaussianSpots(sigma_nm, 0.045 * sigma_nm)
    molecules = Molecules(position, photons, spots.sigmas(position[:, 2], rng), np.arange(1, count + 1))
    light = spots.render(molecules, (pixels, pixels), pixel_nm) + _uneven(background, pixels, rng)
    electrons = rng.poisson(light) + read_noise * rng.standard_normal(light.shape)
    inside = Box((0.0, field), (0.0, field)).holds(position)
    return Example(
        electrons.astype(np.float32),
        position[inside, :2],
        photons[inside],
        mean,
        background,
        sigma_nm,
        per_um2,
        read_noise,
    )


def draw_batch(config: DeepStormConfig, units: Units, rng: Rng) -> tuple[Array, Array]:
    """Draw a training batch: normalised frames and the molecules in each fine pixel.

    Returns
    -------
    frames : ndarray, shape (B, Y, X, 1), float32
    spikes : ndarray, shape (B, upsampling * Y, upsampling * X, 1), float32
    """
    examples = [draw_example(config, rng) for _ in range(config.batch)]
    return normalised(examples, config, units, rng), np.stack([target(e, config) for e in examples])


def misjudged(
    examples: list[Example], config: DeepStormConfig, rng: Rng
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Brightness and background of frames, shapes (B, 1, 1), off by as much as estimates are."""
    off = rng.standard_normal((2, len(examples), 1, 1)) * config.misjudged
    photons = np.array([e.mean_photons for e in examples])[:, None, None] * np.exp(off[0])
    background = np.array([e.background for e in examples])[:, None, None]
    return photons, background + off[1] * photons * peak_share(config.sigma_pixels) / 3


def normalised(examples: list[Example], config: DeepStormConfig, units: Units, rng: Rng) -> Array:
    """Frames as the network sees them, shape (B, Y, X, 1)."""
    return units(np.stack([e.electrons for e in examples]), *misjudged(examples, config, rng))


def target(example: Example, config: DeepStormConfig) -> Array:
    """Molecules in each fine pixel of a frame, shape (upsampling * Y, upsampling * X, 1)."""
    fine_nm = config.pixel_nm / config.upsampling
    side = config.upsampling * example.electrons.shape[0]
    return shared_spikes(example.positions_nm / fine_nm, (side, side))[..., None]


def shared_spikes(positions: NDArray[np.float64], yx_shape: tuple[int, int]) -> Array:
    """Molecules in each pixel, each shared by the four pixels whose middles are nearest, so that their centre of gravity is its place.

    Parameters
    ----------
    positions : ndarray, shape (N, 2), columns x and y
        In pixels from the outer corner of the first.
    yx_shape : tuple of int
        What lies outside is counted in the outermost pixel.

    Returns
    -------
    ndarray, shape (Y, X), float32
    """
    corner = np.floor(positions - 0.5).astype(np.int64)
    share = positions - 0.5 - corner
    grid = np.zeros(yx_shape[0] * yx_shape[1])
    for down in (0, 1):
        for across in (0, 1):
            column = np.clip(corner[:, 0] + across, 0, yx_shape[1] - 1)
            row = np.clip(corner[:, 1] + down, 0, yx_shape[0] - 1)
            weight = np.abs(1 - across - share[:, 0]) * np.abs(1 - down - share[:, 1])
            grid += np.bincount(row * yx_shape[1] + column, weight, grid.size)
    return grid.reshape(yx_shape).astype(np.float32)


def _log_uniform(limits: tuple[float, float], rng: Rng) -> float:
    return float(math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]))))


def _sites(config: DeepStormConfig, rng: Rng) -> Sites:
    if rng.random() >= config.structured:
        return Uniform()
    if rng.random() < 0.25:
        return Rings(
            radius_nm=rng.uniform(20, 400), number=int(rng.integers(3, 40)), corners=None, linker_nm=rng.uniform(2, 60)
        )
    return Filaments(
        density_per_um=_log_uniform((0.7, 5.0), rng),
        persistence_nm=_log_uniform((1000.0, 30_000.0), rng),
        length_nm=4000.0,
        diameter_nm=rng.uniform(0, 60),
    )


def _uneven(background: float, pixels: int, rng: Rng) -> NDArray[np.float64]:
    """A background that is even in half of the frames and sways by up to a third in the others."""
    level = np.full((pixels, pixels), background)
    if rng.random() < 0.5:
        return level
    knots = rng.standard_normal((4, 4))
    sway = ndimage.zoom(knots, pixels / 4, order=3, mode="nearest", grid_mode=True)
    return np.asarray(level * np.clip(1 + rng.uniform(0, 0.2) * sway, 0.3, 2.0))
