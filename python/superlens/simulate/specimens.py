"""Specimens that look like biology, drawn on the fine grid (the grid of the super-resolved image).

Every generator takes a shape and an rng and returns non-negative float32 label density; lengths are in fine pixels, and structures run across the
borders as they do in a crop of a larger cell. What a microscope makes of them is left to `superlens.simulate.scenes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from superlens.simulate.drawing import (
    STEP,
    Array32,
    Shape,
    clustered,
    clustered_sites,
    draw_edges,
    draw_tubes,
    fill_polygons,
    gaussian_field,
    jittered_lattice,
    labelling,
    paint_leaf,
    paint_nucleus,
    poisson_count,
    splat,
    voronoi,
    worms,
)

__all__ = [
    "STRUCTURES",
    "beads",
    "dead_leaves",
    "er_network",
    "filaments",
    "flat",
    "membranes",
    "mitochondria",
    "nuclei",
    "one_over_f",
    "stress_fibres",
    "two_filaments",
    "vesicles",
]


def filaments(
    shape: Shape,
    rng: np.random.Generator,
    *,
    density: float = 0.05,
    persistence: float = 250.0,
    length: float = 300.0,
    width: float = 1.0,
    strands: int = 1,
    gap: float = 5.0,
) -> Array32:
    """Curved fibres of one width, such as microtubules or actin, single or in bundles.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    density : float
        Contour length in an area, pixels per square pixel (0.01 sparse, 0.05 usual, 0.15 crowded).
    persistence : float
        Persistence length of the fibres, pixels: smaller is curlier.
    length : float
        Mean contour length of a fibre, pixels.
    width : float
        Diameter of the fibre, pixels; 1 or less draws a line.
    strands : int
        Fibres that run side by side.
    gap : float
        Distance of the axes of neighbouring strands, pixels.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0; about 1 on the axis of a usual one-pixel fibre.

    Examples
    --------
    >>> filaments((64, 64), np.random.default_rng(0)).shape
    (64, 64)
    """
    margin = 0.5 * length
    count = poisson_count(shape, margin, density / length, rng)
    steps = max(int(1.6 * length / STEP), 2)
    y, x, angle = worms(shape, rng, (count, steps), margin, persistence)
    own_steps = np.clip(rng.lognormal(-0.1, 0.4, (count, 1)) * length / STEP, 2, steps)
    weight = rng.lognormal(0.0, 0.35, (count, 1)) * labelling(rng, count, steps) * (np.arange(steps) < own_steps)
    if strands > 1:
        side = gap * (np.arange(strands) - 0.5 * (strands - 1))[:, None, None]
        y, x = (
            (along + side * across).reshape(-1, steps) for along, across in ((y, np.cos(angle)), (x, -np.sin(angle)))
        )
        angle, weight = (np.tile(a, (strands, 1)) for a in (angle, weight))
    return draw_tubes(shape, y, x, angle, weight * STEP, width)


def stress_fibres(
    shape: Shape, rng: np.random.Generator, *, density: float = 0.06, spread: float = 8.0, width: float = 1.5
) -> Array32:
    """Straight fibres that run in nearly one direction, thick and thin, such as the stress fibres of actin.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    density : float
        Contour length in an area, pixels per square pixel.
    spread : float
        Standard deviation of the directions, degrees.
    width : float
        Mean diameter, pixels.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0.
    """
    length = 2.0 * max(shape)
    count = poisson_count(shape, 0.5 * length, density / (0.53 * length), rng)
    along = np.arange(-0.5 * length, 0.5 * length, STEP)
    angle = rng.uniform(0, math.pi) + np.deg2rad(spread) * rng.standard_normal((count, 1))
    middle = rng.uniform(-0.5 * length, np.array(shape)[:, None, None] + 0.5 * length, (2, count, 1))
    ends = np.sort(rng.uniform(-0.8, 0.8, (2, count, 1)) * length, axis=0)
    weight = rng.lognormal(0.0, 0.6, (count, 1)) * labelling(rng, count, len(along), grain=64)
    weight = weight * ((along > ends[0]) & (along < ends[1]))
    thick = np.maximum(width * rng.lognormal(0.0, 0.4, (count, 1)), 0.5)
    y, x = middle[0] + along * np.sin(angle), middle[1] + along * np.cos(angle)
    return draw_tubes(shape, y, x, np.broadcast_to(angle, y.shape), weight * STEP, thick)


def mitochondria(
    shape: Shape, rng: np.random.Generator, *, density: float = 0.012, width: float = 9.0, length: float = 70.0
) -> Array32:
    """Short thick worms with a brighter rim and uneven filling.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    density : float
        Contour length in an area, pixels per square pixel.
    width, length : float
        Mean diameter and mean contour length, pixels.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0.
    """
    margin = 2.0 * length
    count = poisson_count(shape, margin, density / length, rng)
    steps = max(int(2.5 * length), 2)
    y, x, angle = worms(shape, rng, (count, steps), margin, 1.2 * length, step=1.0)
    own_steps = np.clip(rng.lognormal(-0.15, 0.6, (count, 1)) * length, 3, steps)
    inside = np.arange(steps) < own_steps
    weight = rng.lognormal(0.0, 0.3, (count, 1)) * labelling(rng, count, steps) * inside
    from_end = np.minimum(np.arange(steps), own_steps - np.arange(steps))
    radius = 0.5 * width * rng.lognormal(0.0, 0.2, (count, 1)) * np.sqrt(np.clip(from_end / (0.5 * width), 0.05, 1.0))
    return draw_tubes(shape, y, x, angle, weight * 2.0 * radius / width, 2.0 * radius)


def vesicles(
    shape: Shape, rng: np.random.Generator, *, density: float = 0.0015, radius: float = 4.0, hollow: float = 0.5
) -> Array32:
    """Small round organelles, partly in clusters: rings (label in the membrane) and filled discs (label inside).

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    density : float
        Vesicles per square pixel.
    radius : float
        Median radius, pixels; sizes follow a log-normal law.
    hollow : float
        Share of the vesicles drawn as rings, 0 to 1.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0.
    """
    cy, cx = clustered(shape, rng, density, margin=4.0 * radius)
    count = len(cy)
    size = radius * rng.lognormal(0.0, 0.45, count)
    points = int(np.clip(2.0 * math.pi * radius / STEP, 24, 400))
    # A sunflower spiral fills a disc evenly; the same angles at radius 1 go evenly round the ring.
    index = np.arange(points) + 0.5
    phi = index * math.pi * (3.0 - math.sqrt(5.0))
    rings = rng.random(count) < hollow
    rho = np.where(rings[:, None], 1.0 + 0.05 * rng.standard_normal((count, points)), np.sqrt(index / points))
    squeeze, tilt = rng.uniform(0.8, 1.0, count)[:, None], rng.uniform(0, math.pi, count)[:, None]
    u, v = size[:, None] * rho * np.cos(phi), size[:, None] * rho * np.sin(phi) * squeeze
    y = cy[:, None] + u * np.sin(tilt) + v * np.cos(tilt)
    x = cx[:, None] + u * np.cos(tilt) - v * np.sin(tilt)
    label = np.where(rings, 2.0 * math.pi * size, 0.35 * math.pi * size**2)
    weight = np.broadcast_to((label * rng.lognormal(0.0, 0.5, count) / points)[:, None], y.shape)
    return splat(shape, y, x, weight)


def er_network(
    shape: Shape, rng: np.random.Generator, *, mesh: float = 28.0, width: float = 2.0, sheets: float = 0.04
) -> Array32:
    """Tubular network of three-way junctions with holes of many sizes and a few sheets, as the endoplasmic reticulum.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    mesh : float
        Mean size of the holes, pixels.
    width : float
        Diameter of the tubules, pixels.
    sheets : float
        Share of the holes filled by a sheet, 0 to 1.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0.
    """
    seeds = clustered_sites(shape, rng, mesh)
    start, end, cells = voronoi(seeds)
    keep = rng.random(len(start)) > 0.08
    length = np.hypot(*(end - start).T)
    keep &= length < 4.0 * mesh
    brightness = rng.lognormal(0.0, 0.25, len(start))
    canvas = draw_edges(shape, start[keep], end[keep], brightness[keep], rng, bend=0.15, width=width)
    chosen = [cell for cell in cells if rng.random() < sheets and np.ptp(cell, axis=0).max() < 3.0 * mesh]
    return canvas + fill_polygons(shape, chosen, 0.2, rng) if chosen else canvas


def membranes(shape: Shape, rng: np.random.Generator, *, cell: float = 60.0, width: float = 2.0) -> Array32:
    """Outlines of a sheet of cells (an epithelium) with a faint grain inside the cells.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    cell : float
        Mean diameter of a cell, pixels.
    width : float
        Thickness of a membrane, pixels.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0.
    """
    seeds = jittered_lattice(shape, rng, cell, jitter=0.22)
    start, end, _ = voronoi(seeds)
    keep = np.hypot(*(end - start).T) < 4.0 * cell
    brightness = rng.lognormal(0.0, 0.25, len(start))
    canvas = draw_edges(shape, start[keep], end[keep], brightness[keep], rng, bend=0.06, width=width)
    grain = vesicles(shape, rng, density=3.0 / cell**2, radius=1.5, hollow=0.0)
    return canvas + np.float32(0.3) * grain


def beads(shape: Shape, rng: np.random.Generator, *, density: float = 0.002, spread: float = 0.3) -> Array32:
    """Points at sub-pixel positions: beads, single labels, small vesicles.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    density : float
        Points per square pixel; at least one point is drawn.
    spread : float
        Standard deviation of the logarithm of their brightness.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0; a point of brightness 1 sums to 1.
    """
    count = max(int(rng.poisson(density * shape[0] * shape[1])), 1)
    y, x = rng.uniform(0, shape[0] - 1, count), rng.uniform(0, shape[1] - 1, count)
    return splat(shape, y, x, rng.lognormal(0.0, spread, count))


def nuclei(shape: Shape, rng: np.random.Generator, *, radius: float = 55.0, cover: float = 0.45) -> Array32:
    """Nuclei with chromatin texture, bright chromocentres and dark nucleoli.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    radius : float
        Mean radius, pixels.
    cover : float
        Share of the area that nuclei cover, 0 to about 0.7.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0.
    """
    pitch = radius * math.sqrt(math.pi / max(cover, 1e-3))
    canvas = np.zeros(shape, np.float32)
    for cy, cx in jittered_lattice(shape, rng, pitch, jitter=0.18):
        size = min(radius * rng.lognormal(0.0, 0.15), 0.58 * pitch)
        paint_nucleus(canvas, (cy, cx), size, rng)
    return canvas


def dead_leaves(shape: Shape, rng: np.random.Generator, *, smallest: float = 2.0, largest: float = 60.0) -> Array32:
    """Opaque ellipses of all sizes on top of each other: edges at every scale, no preferred structure.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    smallest, largest : float
        Limits of the radii, pixels. Radii are evenly spread in their logarithm, and large leaves tend to lie below small ones.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density between 0 and 1.

    References
    ----------
    Lee, Mumford and Huang, Int. J. Comput. Vis. 41 (2001): the dead-leaves model (there with another law of sizes).
    """
    mean_area = 0.7 * math.pi * (largest**2 - smallest**2) / (2.0 * math.log(largest / smallest))
    area = (shape[0] + largest) * (shape[1] + largest)
    count = int(np.clip(3.0 * area / mean_area, 40, 4000))
    radii = smallest * (largest / smallest) ** rng.random(count)
    order = np.argsort(-radii * rng.lognormal(0.0, 0.7, count))
    canvas = np.full(shape, rng.random() * 0.3, np.float32)
    for radius in radii[order]:
        paint_leaf(canvas, float(radius), rng)
    return canvas


def one_over_f(
    shape: Shape, rng: np.random.Generator, *, exponent: float = 1.4, contrast: float = 1.0, smallest: float = 2.0
) -> Array32:
    """Cloudy texture: the exponential of a Gaussian field whose amplitude falls as a power of frequency.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Source of all randomness.
    exponent : float
        Power of the fall (1 rough, 2 smooth).
    contrast : float
        Standard deviation of the logarithm of the density.
    smallest : float
        Details finer than this are damped, pixels.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, above 0, median about 1.
    """
    return np.asarray(np.exp(np.float32(contrast) * gaussian_field(shape, rng, exponent, smallest)))


def two_filaments(
    shape: Shape, rng: np.random.Generator, *, separation: float, angle_deg: float | None = None, reach: float = 0.8
) -> Array32:
    """Two parallel straight lines: the specimen of a two-line resolution test.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Draws the sub-pixel position of the pair, and its direction when `angle_deg` is not given.
    separation : float
        Distance of the axes, pixels.
    angle_deg : float, optional
        Direction of the lines against the x axis.
    reach : float
        Length of the lines as a share of the shorter side.

    Returns
    -------
    ndarray, shape (Y, X), float32
        Label density, at least 0; 1 label per pixel of line.
    """
    angle = math.radians(rng.uniform(0.0, 180.0) if angle_deg is None else angle_deg)
    centre = 0.5 * (np.array(shape) - 1.0) + rng.uniform(-0.5, 0.5, 2)
    along = np.arange(-0.5 * reach * min(shape), 0.5 * reach * min(shape), 0.25)
    side = 0.5 * separation * np.array([[-1.0], [1.0]])
    y = centre[0] + along * math.sin(angle) + side * math.cos(angle)
    x = centre[1] + along * math.cos(angle) - side * math.sin(angle)
    return splat(shape, y, x, np.full(y.shape, 0.25))


def flat(shape: Shape, rng: np.random.Generator, *, level: float = 1.0) -> Array32:
    """A specimen without structure; `rng` is taken, and left alone, so that all generators look alike.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the fine grid.
    rng : numpy.random.Generator
        Not used.
    level : float
        Label density everywhere.

    Returns
    -------
    ndarray, shape (Y, X), float32
        `level` everywhere.
    """
    return np.full(shape, level, np.float32)


STRUCTURES: Mapping[str, Callable[..., Array32]] = MappingProxyType(
    {
        "filaments": filaments,
        "mitochondria": mitochondria,
        "vesicles": vesicles,
        "er_network": er_network,
        "membranes": membranes,
        "beads": beads,
        "nuclei": nuclei,
        "dead_leaves": dead_leaves,
        "one_over_f": one_over_f,
        "stress_fibres": stress_fibres,
        "flat": flat,
    }
)
"""Every generator that needs nothing but a shape and an rng, by name."""
