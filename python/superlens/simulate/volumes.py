"""Specimens that fill a volume: filaments, shells, networks, bodies and points, drawn as a light microscope would find them.

In: a shape ``(Z, Y, X)``, how many times farther apart the slices are than the pixels, and an rng. Out: float32 label density. Lengths
are in pixels; the volume is periodic along all three axes, so that light from beyond one side is light from the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError

__all__ = ["bodies", "field", "filaments", "network", "points", "shells"]

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Shape = tuple[int, int, int]
Rng = np.random.Generator


def filaments(
    shape: Shape,
    rng: Rng,
    *,
    aspect: float = 4.0,
    count: int = 12,
    persistence: float = 150.0,
    width: float = 1.0,
    flat: float = 0.5,
) -> Array32:
    """Draw worm-like chains.

    Parameters
    ----------
    shape : tuple of int
        ``(Z, Y, X)``.
    rng : numpy.random.Generator
    aspect : float
        Distance of slices over that of pixels.
    count : int
        Number of filaments, each as long as the volume is wide.
    persistence : float
        Persistence length, pixels.
    width : float
        Diameter, pixels; a wall is brighter than the inside.
    flat : float
        Factor on the direction along z: 1 goes anywhere, 0 stays in a slice.

    Returns
    -------
    ndarray, shape (Z, Y, X), float32
    """
    _check(shape, aspect)
    steps = 2 * max(shape[1:])
    turns = rng.standard_normal((count, steps, 3)) * math.sqrt(0.5 / persistence)
    turns[:, 0] = rng.standard_normal((count, 3))
    direction = np.cumsum(turns, axis=1)
    direction[..., 0] *= flat
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    path = np.cumsum(0.5 * direction, axis=1) + _anywhere(shape, rng, aspect, count)[:, None]
    brightness = rng.gamma(5.0, 0.2, (count, 1)) * np.ones((1, steps))
    return _splat(shape, aspect, *_thick(path.reshape(-1, 3), brightness.ravel(), width, rng))


def shells(
    shape: Shape, rng: Rng, *, aspect: float = 4.0, count: int = 20, radius: float = 10.0, wall: float = 1.0
) -> Array32:
    """Draw hollow spheres of radii around ``radius`` pixels whose walls are labelled; see `filaments` for the rest."""
    _check(shape, aspect)
    radii = radius * np.exp(0.3 * rng.standard_normal(count))
    number = np.minimum(np.maximum(8 * radii**2, 30), 6000).astype(int)
    owner = np.repeat(np.arange(count), number)
    direction = rng.standard_normal((len(owner), 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    place = _anywhere(shape, rng, aspect, count)[owner] + direction * radii[owner, None]
    brightness = (rng.gamma(3.0, 1 / 3, count) * radii**2 / number)[owner]
    return _splat(shape, aspect, *_thick(place, brightness, wall, rng))


def network(
    shape: Shape, rng: Rng, *, aspect: float = 4.0, mesh: float = 25.0, width: float = 1.5, flat: float = 0.6
) -> Array32:
    """Draw the edges of random cells of about ``mesh`` pixels as tubes; ``flat`` is the height of a cell over its width."""
    from scipy.spatial import Voronoi  # only the network needs it

    _check(shape, aspect)
    extent = np.array([shape[0] * aspect, shape[1], shape[2]])
    cell = np.array([flat * mesh, mesh, mesh])
    count = max(int(np.prod((extent + 2 * cell) / cell)), 8)
    sites = rng.uniform(-cell, extent + cell, (min(count, 4000), 3))
    diagram = Voronoi(sites / cell)
    pairs = {
        (min(a, b), max(a, b))
        for ridge in diagram.ridge_vertices
        if -1 not in ridge
        for a, b in zip(ridge, np.roll(ridge, 1), strict=True)
    }
    ends = diagram.vertices[np.array(sorted(pairs))] * cell
    inside = np.all((ends > -cell) & (ends < extent + cell), axis=(1, 2))
    ends = ends[inside]
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
    number = np.maximum((2 * length).astype(int), 1)
    owner = np.repeat(np.arange(len(ends)), number)
    share = rng.random(len(owner))[:, None]
    place = ends[owner, 0] * (1 - share) + ends[owner, 1] * share
    kept = np.all((place >= 0) & (place < extent), axis=1)
    brightness = rng.gamma(6.0, 1 / 6, len(ends))[owner]
    return _splat(shape, aspect, *_thick(place[kept], brightness[kept], width, rng))


def points(
    shape: Shape, rng: Rng, *, aspect: float = 4.0, count: int = 60, spread: float = 0.5, gathered: float = 0.5
) -> Array32:
    """Draw points whose brightness varies by ``spread`` (of its logarithm); a share ``gathered`` lies in clusters."""
    _check(shape, aspect)
    place = _anywhere(shape, rng, aspect, count)
    parents = rng.integers(0, max(count // 10, 1), count)
    near = rng.random(count) < gathered
    place[near] = place[parents[near]] + 8.0 * rng.standard_normal((int(near.sum()), 3))
    return _splat(shape, aspect, place, np.exp(spread * rng.standard_normal(count)))


def bodies(
    shape: Shape,
    rng: Rng,
    *,
    aspect: float = 4.0,
    count: int = 40,
    smallest: float = 4.0,
    largest: float = 40.0,
    texture: float = 0.0,
) -> Array32:
    """Draw solid ellipsoids of grey levels that cover each other, as nuclei and cell bodies do.

    ``texture`` is the share of a rough field that the levels are multiplied by.
    """
    _check(shape, aspect)
    volume = np.full(shape, rng.uniform(0, 0.3), np.float32)
    radii = smallest * (largest / smallest) ** (1 - np.sqrt(rng.random(count)))
    for radius, centre in zip(sorted(radii)[::-1], _anywhere(shape, rng, aspect, count), strict=True):
        sides = radius * np.exp(0.25 * rng.standard_normal(3)) * (0.6, 1.0, 1.0)
        turn = rng.uniform(0, math.pi)
        axes = [_wrapped(n, c, s) for n, c, s in zip(shape, centre, (aspect, 1.0, 1.0), strict=True)]
        reach = float(sides[1:].max())
        near = [np.abs(a) <= r for a, r in zip(axes, (sides[0], reach, reach), strict=True)]
        z, y, x = np.meshgrid(*(a[n] for a, n in zip(axes, near, strict=True)), indexing="ij", sparse=True)
        u, v = y * math.cos(turn) + x * math.sin(turn), x * math.cos(turn) - y * math.sin(turn)
        distance = np.sqrt((z / sides[0]) ** 2 + (u / sides[1]) ** 2 + (v / sides[2]) ** 2)
        edge = np.clip((1 - distance) * radius + 0.5, 0, 1)
        box = np.ix_(*near)
        volume[box] = volume[box] * (1 - edge) + rng.random() * edge
    if texture:
        volume *= 1 - texture + texture * field(shape, rng, aspect=aspect)
    return volume


def field(shape: Shape, rng: Rng, *, aspect: float = 4.0, exponent: float = 1.5, contrast: float = 1.0) -> Array32:
    """Draw a random field whose amplitude falls with frequency as ``k ** -exponent``; log-normal, of mean 1."""
    _check(shape, aspect)
    kz, ky, kx = fft.fftfreq(shape[0]) / aspect, fft.fftfreq(shape[1]), fft.rfftfreq(shape[2])
    k = np.sqrt(kz[:, None, None] ** 2 + ky[:, None] ** 2 + kx**2)
    k[0, 0, 0] = np.inf
    noise = fft.rfftn(rng.standard_normal(shape, np.float32))
    rough = fft.irfftn(noise * k**-exponent, shape)
    bright = np.exp(contrast * rough / rough.std())
    return np.asarray(bright / bright.mean(), np.float32)


def _check(shape: Shape, aspect: float) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise SuperlensError(f"shape is {shape}; expected three positive sides, (Z, Y, X).")
    if not 0 < aspect < 1000:
        raise SuperlensError(f"aspect is {aspect:g}; expected the distance of slices over that of pixels, like 4.")


def _anywhere(shape: Shape, rng: Rng, aspect: float, count: int) -> Array64:
    return np.asarray(rng.uniform(0, (shape[0] * aspect, shape[1], shape[2]), (count, 3)))


def _wrapped(side: int, centre: float, pitch: float) -> Array64:
    """Signed distance of each pixel of a periodic axis from a place."""
    length = side * pitch
    return np.asarray((np.arange(side) * pitch - centre + length / 2) % length - length / 2)


def _thick(place: Array64, weight: Array64, width: float, rng: Rng) -> tuple[Array64, Array64]:
    """Points scattered over spheres of that diameter around the given ones; more of them for a larger one."""
    if width <= 1.0:
        return place, weight
    copies = min(max(int(math.ceil(width)), 2), 6)
    place, weight = np.repeat(place, copies, axis=0), np.repeat(weight / copies, copies)
    offset = rng.standard_normal(place.shape)
    offset *= (0.5 * width * rng.random((len(place), 1)) ** 0.4) / np.linalg.norm(offset, axis=-1, keepdims=True)
    return place + offset, weight


def _splat(shape: Shape, aspect: float, place: Array64, weight: NDArray[Any]) -> Array32:
    """Sum weighted points onto the periodic grid, each shared by its eight nearest voxels."""
    total = np.zeros(math.prod(shape))
    lows, shares = [], []
    for axis, pitch in enumerate((aspect, 1.0, 1.0)):
        position = place[:, axis] / pitch
        low = np.floor(position)
        lows.append(low.astype(np.int64))
        shares.append(position - low)
    for corner in range(8):
        index, part = np.zeros(len(place), np.int64), np.array(weight, np.float64)
        for axis in range(3):
            up = corner >> axis & 1
            index = index * shape[axis] + (lows[axis] + up) % shape[axis]
            part = part * (shares[axis] if up else 1 - shares[axis])
        total += np.bincount(index, part, total.size)
    return total.reshape(shape).astype(np.float32)
