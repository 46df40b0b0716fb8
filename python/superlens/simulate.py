"""Draw specimens that look like biology and photograph them with a known microscope.

Specimens are drawn on the *fine grid* (the grid of the super-resolved image) as non-negative float32 arrays of label density; lengths are in fine
pixels, and structures run across the borders as they do in a crop of a larger cell. All randomness comes from the ``rng`` argument. What a PSF and a
camera make of a specimen is `expose` and `scene`; choosing which scenes to train or test on is left to the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    "two_filaments",
    "vesicles",
]

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Shape = tuple[int, int]

_STEP = 0.5  # distance between the points that make up a curve, fine pixels: below 1 px a bilinear splat of them shows no beads


def filaments(
    shape: Shape,
    rng: np.random.Generator,
    *,
    density: float = 0.05,
    persistence: float = 250.0,
    length: float = 300.0,
    width: float = 1.0,
) -> Array32:
    """Curved fibres of one width, such as microtubules or actin.

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
    count = _poisson_count(shape, margin, density / length, rng)
    steps = max(int(1.6 * length / _STEP), 2)
    y, x, angle = _worms(shape, rng, (count, steps), margin, persistence)
    own_steps = np.clip(rng.lognormal(-0.1, 0.4, (count, 1)) * length / _STEP, 2, steps)
    weight = rng.lognormal(0.0, 0.35, (count, 1)) * _labelling(rng, count, steps) * (np.arange(steps) < own_steps)
    return _draw_tubes(shape, y, x, angle, weight * _STEP, width)


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
    count = _poisson_count(shape, margin, density / length, rng)
    steps = max(int(2.5 * length), 2)
    y, x, angle = _worms(shape, rng, (count, steps), margin, 1.2 * length, step=1.0)
    own_steps = np.clip(rng.lognormal(-0.15, 0.6, (count, 1)) * length, 3, steps)
    inside = np.arange(steps) < own_steps
    weight = rng.lognormal(0.0, 0.3, (count, 1)) * _labelling(rng, count, steps) * inside
    from_end = np.minimum(np.arange(steps), own_steps - np.arange(steps))
    radius = 0.5 * width * rng.lognormal(0.0, 0.2, (count, 1)) * np.sqrt(np.clip(from_end / (0.5 * width), 0.05, 1.0))
    return _draw_tubes(shape, y, x, angle, weight * 2.0 * radius / width, 2.0 * radius)


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
    cy, cx = _clustered(shape, rng, density, margin=4.0 * radius)
    count = len(cy)
    size = radius * rng.lognormal(0.0, 0.45, count)
    points = int(np.clip(2.0 * math.pi * radius / _STEP, 24, 400))
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
    return _splat(shape, y, x, weight)


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
    seeds = _clustered_sites(shape, rng, mesh)
    start, end, cells = _voronoi(seeds)
    keep = rng.random(len(start)) > 0.08
    length = np.hypot(*(end - start).T)
    keep &= length < 4.0 * mesh
    brightness = rng.lognormal(0.0, 0.25, len(start))
    canvas = _draw_edges(shape, start[keep], end[keep], brightness[keep], rng, bend=0.15, width=width)
    chosen = [cell for cell in cells if rng.random() < sheets and np.ptp(cell, axis=0).max() < 3.0 * mesh]
    return canvas + _fill_polygons(shape, chosen, 0.2, rng) if chosen else canvas


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
    seeds = _jittered_lattice(shape, rng, cell, jitter=0.22)
    start, end, _ = _voronoi(seeds)
    keep = np.hypot(*(end - start).T) < 4.0 * cell
    brightness = rng.lognormal(0.0, 0.25, len(start))
    canvas = _draw_edges(shape, start[keep], end[keep], brightness[keep], rng, bend=0.06, width=width)
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
    return _splat(shape, y, x, rng.lognormal(0.0, spread, count))


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
    for cy, cx in _jittered_lattice(shape, rng, pitch, jitter=0.18):
        size = min(radius * rng.lognormal(0.0, 0.15), 0.58 * pitch)
        _paint_nucleus(canvas, (cy, cx), size, rng)
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
        _paint_leaf(canvas, float(radius), rng)
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
    return np.exp(np.float32(contrast) * _gaussian_field(shape, rng, exponent, smallest))


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
    return _splat(shape, y, x, np.full(y.shape, 0.25))


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
        "flat": flat,
    }
)
"""Every generator that needs nothing but a shape and an rng, by name."""


def _splat(shape: Shape, y: NDArray[Any], x: NDArray[Any], weight: NDArray[Any]) -> Array32:
    """Sum weighted points onto the grid, each shared by its four nearest pixels (sub-pixel exact to first order)."""
    rows, columns = shape
    inside = (y > -1) & (y < rows) & (x > -1) & (x < columns) & (weight > 0)
    y, x, weight = y[inside] + 1.0, x[inside] + 1.0, weight[inside]  # a rim of one pixel takes what falls outside
    iy, ix = y.astype(np.int64), x.astype(np.int64)
    fy, fx = y - iy, x - ix
    index = iy * (columns + 2) + ix
    size = (rows + 2) * (columns + 2)
    total = np.bincount(index, weight * (1 - fy) * (1 - fx), size)
    total += np.bincount(index + 1, weight * (1 - fy) * fx, size)
    total += np.bincount(index + columns + 2, weight * fy * (1 - fx), size)
    total += np.bincount(index + columns + 3, weight * fy * fx, size)
    return total.reshape(rows + 2, columns + 2)[1:-1, 1:-1].astype(np.float32)


def _poisson_count(shape: Shape, margin: float, per_area: float, rng: np.random.Generator) -> int:
    """Draw how many objects lie on the field and its margin; at least one."""
    return max(int(rng.poisson(per_area * (shape[0] + 2 * margin) * (shape[1] + 2 * margin))), 1)


def _worms(
    shape: Shape,
    rng: np.random.Generator,
    count_steps: tuple[int, int],
    margin: float,
    persistence: float,
    step: float = _STEP,
) -> tuple[Array64, Array64, Array64]:
    """Worm-like chains, one a row: in two dimensions the direction diffuses with variance step / persistence."""
    count, steps = count_steps
    turns = rng.standard_normal((count, steps)) * math.sqrt(step / persistence)
    turns[:, 0] = rng.uniform(0.0, 2.0 * math.pi, count)
    angle = np.cumsum(turns, axis=1)
    y, x = np.cumsum(np.sin(angle), axis=1) * step, np.cumsum(np.cos(angle), axis=1) * step
    # The middle of each chain is uniform over field and margin, so that the density is even up to the border.
    middle = steps // 2
    y += rng.uniform(-margin, shape[0] + margin, (count, 1)) - y[:, middle : middle + 1]
    x += rng.uniform(-margin, shape[1] + margin, (count, 1)) - x[:, middle : middle + 1]
    return y, x, angle


def _labelling(rng: np.random.Generator, count: int, steps: int, grain: int = 8) -> Array64:
    """Uneven labelling along a curve: gamma variates of mean 1, one for each `grain` points, joined linearly."""
    knots = rng.gamma(5.0, 0.2, (count, steps // grain + 2))
    position = np.arange(steps) / grain
    left = position.astype(int)
    share = position - left
    joined: Array64 = knots[:, left] * (1.0 - share) + knots[:, left + 1] * share
    return joined


def _draw_tubes(
    shape: Shape, y: Array64, x: Array64, angle: Array64, weight: Array64, width: float | Array64
) -> Array32:
    """Splat curves; with a width above 1 as tubes whose wall and inside are labelled (the rim is brighter)."""
    widest = float(np.max(width))
    if widest <= 1.0:
        return _splat(shape, y, x, weight)
    visible = (y > -widest) & (y < shape[0] + widest) & (x > -widest) & (x < shape[1] + widest) & (weight > 0)
    y, x, angle, weight = y[visible], x[visible], angle[visible], weight[visible]
    half = 0.5 * (np.broadcast_to(width, visible.shape)[visible] - 1.0)
    lanes = max(int(math.ceil(1.5 * widest)), 3)
    # Equal steps in the sine of a circle pile up at the walls (a labelled surface); a mean with equal steps fills the inside.
    even = (np.arange(lanes) + 0.5) / lanes * 2.0 - 1.0
    across = (0.5 * np.sin(0.5 * math.pi * even) + 0.5 * even)[:, None] * half
    return _splat(shape, y + across * np.cos(angle), x - across * np.sin(angle), np.tile(weight / lanes, (lanes, 1)))


def _clustered(shape: Shape, rng: np.random.Generator, density: float, margin: float) -> tuple[Array64, Array64]:
    """Positions of which half gather around a few centres, the rest anywhere."""
    count = _poisson_count(shape, margin, density, rng)
    y, x = rng.uniform(-margin, shape[0] + margin, count), rng.uniform(-margin, shape[1] + margin, count)
    parents = max(count // 15, 1)
    gathered = rng.random(count) < rng.uniform(0.2, 0.8)
    parent = rng.integers(0, parents, count)
    reach = 0.6 / math.sqrt(density)
    y = np.where(gathered, y[parent] + reach * rng.standard_normal(count), y)
    x = np.where(gathered, x[parent] + reach * rng.standard_normal(count), x)
    return y, x


def _clustered_sites(shape: Shape, rng: np.random.Generator, mesh: float) -> Array64:
    """Sites of a mesh: even at the scale of one hole, denser in some places than in others."""
    lattice = _jittered_lattice(shape, rng, 0.75 * mesh, jitter=0.35)
    height, width = shape[0] + 6 * mesh, shape[1] + 6 * mesh
    phase = rng.uniform(0, 2 * math.pi, 4)
    wave = np.sin(2 * math.pi * lattice[:, 0] / height + phase[0]) * np.sin(
        2 * math.pi * lattice[:, 1] / width + phase[1]
    )
    keep = rng.random(len(lattice)) < 0.62 + 0.33 * wave
    return lattice[keep] if keep.sum() > 8 else lattice


def _jittered_lattice(shape: Shape, rng: np.random.Generator, pitch: float, jitter: float) -> Array64:
    """Points of a hexagonal lattice, turned and shaken by `jitter` pitches; it covers the field and two pitches around."""
    reach = 0.5 * math.hypot(*shape) + 2.5 * pitch
    cells = int(math.ceil(reach / (pitch * 0.866))) + 1
    row, column = np.mgrid[-cells : cells + 1, -cells : cells + 1].reshape(2, -1).astype(float)
    points = np.stack([row * 0.866, column + 0.5 * (row % 2)], axis=1) * pitch
    points += rng.normal(0.0, jitter * pitch, points.shape)
    angle = rng.uniform(0.0, math.pi / 3)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = points @ turn + 0.5 * np.array(shape) + rng.uniform(-0.5, 0.5, 2) * pitch
    edge = 2.0 * pitch
    near = np.all((points > -edge) & (points < np.array(shape) + edge), axis=1)
    return np.asarray(points[near])


def _voronoi(sites: Array64) -> tuple[Array64, Array64, list[Array64]]:
    """Finite edges (start, end) of the Voronoi diagram, and the corners of its finite cells."""
    from scipy.spatial import Voronoi  # only the two meshes need it

    diagram = Voronoi(sites)
    ridges = np.array([ridge for ridge in diagram.ridge_vertices if ridge[0] >= 0])
    cells = [diagram.vertices[region] for region in diagram.regions if len(region) > 2 and -1 not in region]
    return diagram.vertices[ridges[:, 0]], diagram.vertices[ridges[:, 1]], cells


def _draw_edges(
    shape: Shape,
    start: Array64,
    end: Array64,
    brightness: Array64,
    rng: np.random.Generator,
    *,
    bend: float,
    width: float,
) -> Array32:
    """Draw gently bent edges (quadratic curves) as tubes of one width."""
    margin = 0.5 * np.hypot(*(end - start).T).max() + width
    low, high = np.minimum(start, end), np.maximum(start, end)
    near = np.all((high > -margin) & (low < np.array(shape) + margin), axis=1)
    start, end, brightness = start[near], end[near], brightness[near]
    chord = end - start
    length = np.hypot(*chord.T)
    normal = np.stack([-chord[:, 1], chord[:, 0]], axis=1)
    control = 0.5 * (start + end) + normal * rng.normal(0.0, bend, (len(start), 1))
    points = np.maximum(length / _STEP, 3).astype(int)  # as many as each edge needs, all edges in one row
    edge = np.repeat(np.arange(len(points)), points)
    first = np.cumsum(points) - points
    t = ((np.arange(len(edge)) - first[edge] + 0.5) / points[edge])[:, None]
    start, end, control = start[edge], end[edge], control[edge]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    tangent = 2 * (1 - t) * (control - start) + 2 * t * (end - control)
    weight = np.hypot(*tangent.T) / points[edge] * brightness[edge] * _labelling(rng, 1, len(edge))[0]
    return _draw_tubes(shape, path[:, 0], path[:, 1], np.arctan2(*tangent.T), weight, width)


def _fill_polygons(shape: Shape, polygons: list[Array64], level: float, rng: np.random.Generator) -> Array32:
    """Fill convex polygons with evenly strewn points (a fan of triangles each), giving the mean density `level`."""
    corner = np.concatenate([np.roll(p, 1, axis=0) for p in polygons])
    following = np.concatenate(polygons)
    centre = np.concatenate([np.broadcast_to(p.mean(axis=0), p.shape) for p in polygons])
    a, b = corner - centre, following - centre
    area = 0.5 * np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    points = int(np.clip(2.0 * area.max(), 16, 2000))
    # The R2 sequence (steps of the plastic number) is even in the unit square, hence in the folded triangle.
    index = np.arange(points)
    u, v = (0.5 + 0.7548776662 * index) % 1.0, (0.5 + 0.5698402910 * index) % 1.0
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    place = centre[:, None] + u[None, :, None] * a[:, None] + v[None, :, None] * b[:, None]
    weight = np.broadcast_to((area / points * level * rng.uniform(0.7, 1.3, len(area)))[:, None], place.shape[:2])
    return _splat(shape, place[..., 0], place[..., 1], weight)


def _gaussian_field(shape: Shape, rng: np.random.Generator, exponent: float, smallest: float) -> Array32:
    """Gaussian random field of mean 0 and deviation 1, periodic; amplitude ~ frequency ** -exponent."""
    white = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    radius = np.maximum(np.hypot(fy, fx), 1.0 / max(shape))
    field = np.fft.irfft2(white * radius**-exponent * np.exp(-((radius * smallest) ** 2)), s=shape)
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-12), np.float32)


def _window(shape: Shape, centre: tuple[float, float], reach: float) -> tuple[slice, slice] | None:
    """The part of the grid within `reach` of a centre, or None when that lies outside."""
    low = [max(int(math.floor(c - reach)), 0) for c in centre]
    high = [min(int(math.ceil(c + reach)) + 1, side) for c, side in zip(centre, shape, strict=True)]
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    return slice(low[0], high[0]), slice(low[1], high[1])


def _paint_nucleus(canvas: Array32, centre: tuple[float, float], size: float, rng: np.random.Generator) -> None:
    """Add one nucleus: wavy ellipse, thick in the middle, chromatin texture, chromocentres, nucleoli."""
    tilt, squeeze = rng.uniform(0, math.pi), rng.uniform(0.65, 1.0)
    waves = rng.normal(0.0, 0.025, 3)
    phases = rng.uniform(0, 2 * math.pi, 3)
    spots = rng.uniform(-0.6, 0.6, (9, 2)) * size
    depth = np.concatenate([-rng.uniform(0.6, 0.9, 3), rng.uniform(0.4, 1.6, 6)])
    radius = np.concatenate([rng.uniform(0.1, 0.2, 3), rng.uniform(0.03, 0.08, 6)]) * size
    brightness, seed_field = rng.lognormal(0.0, 0.3), rng.spawn(1)[0]
    window = _window((canvas.shape[0], canvas.shape[1]), centre, 1.2 * size)
    if window is None:
        return
    dy = np.arange(window[0].start, window[0].stop)[:, None] - centre[0]
    dx = np.arange(window[1].start, window[1].stop)[None, :] - centre[1]
    u = dy * math.sin(tilt) + dx * math.cos(tilt)
    v = (dy * math.cos(tilt) - dx * math.sin(tilt)) / squeeze
    theta = np.arctan2(v, u)
    edge = 1.0 + sum(w * np.cos((k + 2) * theta + p) for k, (w, p) in enumerate(zip(waves, phases, strict=True)))
    rho = np.hypot(u, v) / (size * edge)
    dome = np.clip(1.0 - rho**2, 0.0, None) ** 0.25 * np.clip((1.0 - rho) * size / 2.0, 0.0, 1.0)
    texture = np.exp(0.4 * _gaussian_field((dy.shape[0], dx.shape[1]), seed_field, 1.2, 2.0))
    for (sy, sx), strength, r in zip(spots, depth, radius, strict=True):
        texture = texture * np.maximum(
            1.0 + strength * np.exp(-((((dy - sy) ** 2 + (dx - sx) ** 2) / r**2) ** 1.5)), 0.0
        )
    canvas[window] += (brightness * dome * texture).astype(np.float32)


def _paint_leaf(canvas: Array32, radius: float, rng: np.random.Generator) -> None:
    """Cover the canvas with one opaque ellipse whose edge is one pixel soft."""
    centre = tuple(rng.uniform(-radius, side + radius) for side in canvas.shape)
    squeeze, tilt = rng.uniform(0.4, 1.0), rng.uniform(0, math.pi)
    level = rng.random() ** 2
    window = _window((canvas.shape[0], canvas.shape[1]), (centre[0], centre[1]), radius + 1.0)
    if window is None:
        return
    dy = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - np.float32(centre[0])
    dx = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - np.float32(centre[1])
    u = dy * math.sin(tilt) + dx * math.cos(tilt)
    v = (dy * math.cos(tilt) - dx * math.sin(tilt)) / squeeze
    cover = np.clip((radius - np.hypot(u, v)) * squeeze + 0.5, 0.0, 1.0).astype(np.float32)
    canvas[window] += cover * (np.float32(level) - canvas[window])
