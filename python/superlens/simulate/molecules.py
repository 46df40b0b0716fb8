"""Where fluorescent molecules are: anywhere, along filaments, on rings, or where an image of their density says.

A kind of structure is a small frozen setting with one verb, ``lay``: it puts one structure into a box and returns a function that draws
molecules from it, so that all frames of a movie show the same structure. Positions are nanometres from the outer corner of the top-left
camera pixel; camera pixel k covers k to k + 1 pixel sides. When they shine is left to `superlens.simulate.blinking`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError, require
from superlens.image import Image
from superlens.simulate.drawing import poisson_count, worms

__all__ = ["Box", "DensitySites", "Filaments", "Layout", "Molecules", "Rings", "Sites", "Uniform"]

Floats = NDArray[np.float64]

Layout = Callable[[int, np.random.Generator], Floats]
"""(count, rng) -> positions, shape (count, 3), columns x, y and z, nm."""

_STEP_NM = 20.0  # of the polygon that stands for a filament
_TRIES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Molecules:
    """Molecules side by side: what each of them is and where.

    Attributes
    ----------
    position_nm : ndarray, shape (N, 3), columns x, y and z
    photons : ndarray, shape (N,)
        Photons: of a whole frame of light for a molecule, of the frame at hand for one that was caught in it.
    sigma_nm : ndarray, shape (N, 2), columns x and y
        Standard deviations of its image.
    number : ndarray of int64, shape (N,)
        Number of the molecule, from 1.
    """

    position_nm: Floats
    photons: Floats
    sigma_nm: Floats
    number: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.photons)

    def where(self, chosen: NDArray[Any]) -> Molecules:
        """Some of them, by a mask or by indices."""
        return Molecules(self.position_nm[chosen], self.photons[chosen], self.sigma_nm[chosen], self.number[chosen])

    def shifted(self, by_nm: Floats) -> Molecules:
        """All of them moved by (x, y) nm."""
        return replace(self, position_nm=self.position_nm + np.array([by_nm[0], by_nm[1], 0.0]))

    def joined(self, other: Molecules) -> Molecules:
        """These and others."""
        return Molecules(
            np.concatenate([self.position_nm, other.position_nm]),
            np.concatenate([self.photons, other.photons]),
            np.concatenate([self.sigma_nm, other.sigma_nm]),
            np.concatenate([self.number, other.number]),
        )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the specimen.

    Attributes
    ----------
    x_nm, y_nm : tuple of float
        Where it begins and ends.
    """

    x_nm: tuple[float, float]
    y_nm: tuple[float, float]

    @property
    def yx_nm(self) -> tuple[float, float]:
        """Its sides."""
        return self.y_nm[1] - self.y_nm[0], self.x_nm[1] - self.x_nm[0]

    @property
    def area_um2(self) -> float:
        """Its area."""
        return self.yx_nm[0] * self.yx_nm[1] * 1e-6

    def holds(self, position_nm: Floats) -> NDArray[np.bool_]:
        """Which positions, columns x and y first, lie in it; its far edges do not belong to it."""
        x, y = position_nm[:, 0], position_nm[:, 1]
        inside: NDArray[np.bool_] = (x >= self.x_nm[0]) & (x < self.x_nm[1]) & (y >= self.y_nm[0]) & (y < self.y_nm[1])
        return inside


class Sites(Protocol):
    """A kind of structure that carries molecules."""

    def lay(self, box: Box, rng: np.random.Generator) -> Layout:
        """Put one such structure into a box; the result draws molecules from it."""
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Molecules anywhere, each place as likely as any other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Uniform().lay(Box((0.0, 1000.0), (0.0, 500.0)), rng)(4, rng).shape
    (4, 3)
    """

    def lay(self, box: Box, rng: np.random.Generator) -> Layout:
        """Draw from the whole box; `rng` is taken so that all structures look alike."""
        return lambda count, rng: _flat(rng.uniform(*box.x_nm, count), rng.uniform(*box.y_nm, count))


@dataclass(frozen=True, slots=True)
class Filaments:
    """Molecules on the wall of curved tubes, such as labelled microtubules.

    Parameters
    ----------
    density_per_um : float
        Contour length in an area, micrometres per square micrometre.
    persistence_nm : float
        Persistence length: smaller is curlier.
    length_nm : float
        Contour length of each filament.
    diameter_nm : float
        Of the tube on whose wall the molecules sit; 0 for a line.

    Raises
    ------
    SuperlensError
        When a length is not positive.
    """

    density_per_um: float = 1.5
    persistence_nm: float = 10_000.0
    length_nm: float = 10_000.0
    diameter_nm: float = 25.0

    def __post_init__(self) -> None:
        _require_positive(self, "density_per_um", "persistence_nm", "length_nm")
        _require_not_negative(self, "diameter_nm")

    def lay(self, box: Box, rng: np.random.Generator) -> Layout:
        """Lay filaments that run across the borders of the box; there is always one at least inside it."""
        start, end = self._segments(box, rng)
        along = end - start
        across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.hypot(*along.T)[:, None]

        def draw(count: int, rng: np.random.Generator) -> Floats:
            chosen = rng.integers(len(start), size=count)
            share, turn = rng.random((count, 1)), rng.uniform(0.0, 2.0 * math.pi, count)
            radius = 0.5 * self.diameter_nm
            plane = start[chosen] + share * along[chosen] + (radius * np.cos(turn))[:, None] * across[chosen]
            return np.column_stack([plane, radius * np.sin(turn)])

        return draw

    def _segments(self, box: Box, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Starts and ends, columns x and y, of the short straight pieces whose middle lies in the box."""
        margin = 0.5 * self.length_nm
        steps = max(int(self.length_nm / _STEP_NM), 2)
        for _ in range(_TRIES):
            count = poisson_count(_whole(box), margin, 1e-3 * self.density_per_um / self.length_nm, rng)
            y, x, _ = worms(_whole(box), rng, (count, steps), margin, self.persistence_nm, step=_STEP_NM)
            points = np.stack([x + box.x_nm[0], y + box.y_nm[0]], axis=-1)
            start, end = points[:, :-1].reshape(-1, 2), points[:, 1:].reshape(-1, 2)
            inside = box.holds(0.5 * (start + end))
            if inside.any():
                return start[inside], end[inside]
        raise SuperlensError(
            f"density_per_um is {self.density_per_um:g}: no filament met the field of {box.area_um2:.3g} um^2. Ask for more."
        )


@dataclass(frozen=True, slots=True)
class Rings:
    """Molecules on circles, such as nuclear pores.

    Parameters
    ----------
    radius_nm : float
        Of each ring.
    number : int
        Rings in the box.
    corners : int or None
        Evenly spaced places on a ring where molecules sit; None for anywhere on it.
    linker_nm : float
        Standard deviation of the distance between a place and its molecule, along x and along y.

    Raises
    ------
    SuperlensError
        When a value is impossible.
    """

    radius_nm: float = 55.0
    number: int = 40
    corners: int | None = 8
    linker_nm: float = 5.0

    def __post_init__(self) -> None:
        _require_positive(self, "radius_nm", "number")
        _require_not_negative(self, "linker_nm")
        if self.corners is not None and self.corners < 1:
            raise SuperlensError(f"corners is {self.corners}; expected 1 or more, or None for whole rings.")

    def lay(self, box: Box, rng: np.random.Generator) -> Layout:
        """Strew rings over the box, each turned by an angle of its own."""
        x, y = rng.uniform(*box.x_nm, self.number), rng.uniform(*box.y_nm, self.number)
        first = rng.uniform(0.0, 2.0 * math.pi, self.number)

        def draw(count: int, rng: np.random.Generator) -> Floats:
            ring = rng.integers(self.number, size=count)
            turn = rng.random(count) if self.corners is None else rng.integers(self.corners, size=count) / self.corners
            angle = first[ring] + 2.0 * math.pi * turn
            off_x, off_y = self.linker_nm * rng.standard_normal((2, count))
            return _flat(
                x[ring] + self.radius_nm * np.cos(angle) + off_x, y[ring] + self.radius_nm * np.sin(angle) + off_y
            )

        return draw


@dataclass(frozen=True, slots=True)
class DensitySites:
    """Molecules where an image is bright.

    Parameters
    ----------
    image : Image
        Axes YX with pixel size, at least 0 and not 0 everywhere; any specimen of `superlens.simulate` will do. Its corner is the corner
        of the box, and it has to cover the box.

    Raises
    ------
    SuperlensError
        When the image cannot be a density.
    """

    image: Image = field(repr=False)

    def __post_init__(self) -> None:
        data = self.image.data
        if self.image.axes != "YX" or self.image.pixel_nm is None:
            raise SuperlensError(
                f"image has the axes {self.image.axes} and the pixel size {self.image.pixel_nm}; expected YX and nm."
            )
        if not (np.isfinite(data).all() and data.min() >= 0 and data.max() > 0):
            raise SuperlensError("image holds negative or undefined values, or zeros only; expected a density.")

    def lay(self, box: Box, rng: np.random.Generator) -> Layout:
        """Draw pixels by their brightness and places evenly within them; `rng` is taken so that all structures look alike.

        Raises
        ------
        SuperlensError
            When the image is smaller than the box.
        """
        pixel_nm = self.image.pixel_nm or 1.0
        rows, columns = (math.ceil(side / pixel_nm - 1e-6) for side in box.yx_nm)
        height, width = self.image.data.shape
        if rows > height or columns > width:
            raise SuperlensError(
                f"image covers {height * pixel_nm:g} x {width * pixel_nm:g} nm; expected at least the field with its margin, "
                f"{box.yx_nm[0]:g} x {box.yx_nm[1]:g} nm. Give a larger image or no margin."
            )
        total = np.cumsum(self.image.data[:rows, :columns].astype(np.float64))
        if total[-1] <= 0:
            raise SuperlensError("image is zero all over the field; expected some density there.")

        def draw(count: int, rng: np.random.Generator) -> Floats:
            pixel = np.searchsorted(total, rng.random(count) * total[-1], side="right")
            row, column = np.divmod(np.minimum(pixel, len(total) - 1), columns)
            y, x = row + rng.random(count), column + rng.random(count)
            return _flat(box.x_nm[0] + pixel_nm * x, box.y_nm[0] + pixel_nm * y)

        return draw


def _flat(x_nm: Floats, y_nm: Floats) -> Floats:
    return np.stack([x_nm, y_nm, np.zeros_like(x_nm)], axis=1)


def _whole(box: Box) -> tuple[int, int]:
    return math.ceil(box.yx_nm[0]), math.ceil(box.yx_nm[1])


def _require_positive(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        require(name, value, 0 < value < math.inf, "a number above 0")


def _require_not_negative(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        require(name, value, 0 <= value < math.inf, "0 or more")
