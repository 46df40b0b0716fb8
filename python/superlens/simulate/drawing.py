"""The pens of the specimens: anti-aliased points, tubes, polygons and blobs, random paths and random places.

In: arrays of coordinates in fine pixels (rows y, columns x, pixel centres at whole numbers) or an rng. Out: float32 pictures of label density.
Which pen draws which organelle is decided in `superlens.simulate.specimens`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "STEP",
    "Array32",
    "Shape",
    "clustered",
    "clustered_sites",
    "draw_edges",
    "draw_tubes",
    "fill_polygons",
    "gaussian_field",
    "jittered_lattice",
    "labelling",
    "paint_leaf",
    "paint_nucleus",
    "poisson_count",
    "splat",
    "voronoi",
    "worms",
]

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Shape = tuple[int, int]

STEP = 0.5  # distance between the points that make up a curve, fine pixels: below 1 px a bilinear splat of them shows no beads


def splat(shape: Shape, y: NDArray[Any], x: NDArray[Any], weight: NDArray[Any]) -> Array32:
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


def poisson_count(shape: Shape, margin: float, per_area: float, rng: np.random.Generator) -> int:
    """Draw how many objects lie on the field and its margin; at least one."""
    return max(int(rng.poisson(per_area * (shape[0] + 2 * margin) * (shape[1] + 2 * margin))), 1)


def worms(
    shape: Shape,
    rng: np.random.Generator,
    count_steps: tuple[int, int],
    margin: float,
    persistence: float,
    step: float = STEP,
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


def labelling(rng: np.random.Generator, count: int, steps: int, grain: int = 8) -> Array64:
    """Uneven labelling along a curve: gamma variates of mean 1, one for each `grain` points, joined linearly."""
    knots = rng.gamma(5.0, 0.2, (count, steps // grain + 2))
    position = np.arange(steps) / grain
    left = position.astype(int)
    share = position - left
    joined: Array64 = knots[:, left] * (1.0 - share) + knots[:, left + 1] * share
    return joined


def draw_tubes(
    shape: Shape, y: Array64, x: Array64, angle: Array64, weight: Array64, width: float | Array64
) -> Array32:
    """Splat curves; with a width above 1 as tubes whose wall and inside are labelled (the rim is brighter)."""
    widest = float(np.max(width))
    if widest <= 1.0:
        return splat(shape, y, x, weight)
    visible = (y > -widest) & (y < shape[0] + widest) & (x > -widest) & (x < shape[1] + widest) & (weight > 0)
    y, x, angle, weight = y[visible], x[visible], angle[visible], weight[visible]
    half = 0.5 * (np.broadcast_to(width, visible.shape)[visible] - 1.0)
    lanes = max(int(math.ceil(1.5 * widest)), 3)
    # Equal steps in the sine of a circle pile up at the walls (a labelled surface); a mean with equal steps fills the inside.
    even = (np.arange(lanes) + 0.5) / lanes * 2.0 - 1.0
    across = (0.5 * np.sin(0.5 * math.pi * even) + 0.5 * even)[:, None] * half
    return splat(shape, y + across * np.cos(angle), x - across * np.sin(angle), np.tile(weight / lanes, (lanes, 1)))


def clustered(shape: Shape, rng: np.random.Generator, density: float, margin: float) -> tuple[Array64, Array64]:
    """Positions of which half gather around a few centres, the rest anywhere."""
    count = poisson_count(shape, margin, density, rng)
    y, x = rng.uniform(-margin, shape[0] + margin, count), rng.uniform(-margin, shape[1] + margin, count)
    parents = max(count // 15, 1)
    gathered = rng.random(count) < rng.uniform(0.2, 0.8)
    parent = rng.integers(0, parents, count)
    reach = 0.6 / math.sqrt(density)
    y = np.where(gathered, y[parent] + reach * rng.standard_normal(count), y)
    x = np.where(gathered, x[parent] + reach * rng.standard_normal(count), x)
    return y, x


def clustered_sites(shape: Shape, rng: np.random.Generator, mesh: float) -> Array64:
    """Sites of a mesh: even at the scale of one hole, denser in some places than in others."""
    lattice = jittered_lattice(shape, rng, 0.75 * mesh, jitter=0.35)
    height, width = shape[0] + 6 * mesh, shape[1] + 6 * mesh
    phase = rng.uniform(0, 2 * math.pi, 4)
    wave = np.sin(2 * math.pi * lattice[:, 0] / height + phase[0]) * np.sin(
        2 * math.pi * lattice[:, 1] / width + phase[1]
    )
    keep = rng.random(len(lattice)) < 0.62 + 0.33 * wave
    return lattice[keep] if keep.sum() > 8 else lattice


def jittered_lattice(shape: Shape, rng: np.random.Generator, pitch: float, jitter: float) -> Array64:
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


def voronoi(sites: Array64) -> tuple[Array64, Array64, list[Array64]]:
    """Finite edges (start, end) of the Voronoi diagram, and the corners of its finite cells."""
    from scipy.spatial import Voronoi  # only the two meshes need it

    diagram = Voronoi(sites)
    ridges = np.array([ridge for ridge in diagram.ridge_vertices if ridge[0] >= 0])
    cells = [diagram.vertices[region] for region in diagram.regions if len(region) > 2 and -1 not in region]
    return diagram.vertices[ridges[:, 0]], diagram.vertices[ridges[:, 1]], cells


def draw_edges(
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
    points = np.maximum(length / STEP, 3).astype(int)  # as many as each edge needs, all edges in one row
    edge = np.repeat(np.arange(len(points)), points)
    first = np.cumsum(points) - points
    t = ((np.arange(len(edge)) - first[edge] + 0.5) / points[edge])[:, None]
    start, end, control = start[edge], end[edge], control[edge]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    tangent = 2 * (1 - t) * (control - start) + 2 * t * (end - control)
    weight = np.hypot(*tangent.T) / points[edge] * brightness[edge] * labelling(rng, 1, len(edge))[0]
    return draw_tubes(shape, path[:, 0], path[:, 1], np.arctan2(*tangent.T), weight, width)


def fill_polygons(shape: Shape, polygons: list[Array64], level: float, rng: np.random.Generator) -> Array32:
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
    return splat(shape, place[..., 0], place[..., 1], weight)


def gaussian_field(shape: Shape, rng: np.random.Generator, exponent: float, smallest: float) -> Array32:
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


def paint_nucleus(canvas: Array32, centre: tuple[float, float], size: float, rng: np.random.Generator) -> None:
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
    texture = np.exp(0.4 * gaussian_field((dy.shape[0], dx.shape[1]), seed_field, 1.2, 2.0))
    for (sy, sx), strength, r in zip(spots, depth, radius, strict=True):
        texture = texture * np.maximum(
            1.0 + strength * np.exp(-((((dy - sy) ** 2 + (dx - sx) ** 2) / r**2) ** 1.5)), 0.0
        )
    canvas[window] += (brightness * dome * texture).astype(np.float32)


def paint_leaf(canvas: Array32, radius: float, rng: np.random.Generator) -> None:
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
