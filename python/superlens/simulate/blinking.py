"""When molecules shine, and how bright: independent frames, a steady flow of switching molecules, or a population that bleaches.

Each kind is a small frozen setting with one verb, ``play``: an endless stream of frames, each the molecules that shine in it with their
photons. Only molecules that are alive are kept, so a long movie needs no more memory than a short one. Times are frames. Where molecules
are is left to `superlens.simulate.molecules`, their images to `superlens.simulate.spots`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from superlens.errors import SuperlensError, require
from superlens.simulate.molecules import Molecules

__all__ = ["Birth", "Blinking", "Independent", "Kinetics", "PhotonLaw", "Population"]

Floats = NDArray[np.float64]

Birth = Callable[[int], Molecules]
"""Makes so many new molecules."""

_FOREVER = 2**62  # blinks of a molecule that does not bleach


@dataclass(frozen=True, slots=True)
class PhotonLaw:
    """How many photons a molecule sends in a frame of full light.

    The constructors named after the laws take the numbers that are usual for each.

    Parameters
    ----------
    law : {"normal", "uniform", "gamma", "exponential", "log-normal"}
    mean_photons, std_photons : float
        Mean and standard deviation; of the normal law before it is cut off at 0, which leaves out what lies below. The exponential law
        has its mean for its deviation, whatever is given.

    Raises
    ------
    SuperlensError
        When the law is unknown, the mean not positive, or the deviation negative.

    Examples
    --------
    >>> PhotonLaw.uniform(700.0, 900.0).mean_photons
    800.0
    """

    law: Literal["normal", "uniform", "gamma", "exponential", "log-normal"] = "normal"
    mean_photons: float = 2250.0
    std_photons: float = 250.0

    def __post_init__(self) -> None:
        if self.law not in _DRAW:
            raise SuperlensError(f"law is {self.law!r}; expected one of {', '.join(_DRAW)}.")
        require("mean_photons", self.mean_photons, 0 < self.mean_photons < math.inf, "photons above 0")
        require("std_photons", self.std_photons, 0 <= self.std_photons < math.inf, "0 or more photons")
        if self.law == "uniform" and self.std_photons * math.sqrt(3.0) > self.mean_photons:
            raise SuperlensError(
                f"std_photons is {self.std_photons:g}: the uniform law would go below 0. Make it less."
            )

    @classmethod
    def uniform(cls, low_photons: float, high_photons: float) -> Self:
        """Every number from `low_photons` to `high_photons` alike."""
        return cls("uniform", 0.5 * (low_photons + high_photons), (high_photons - low_photons) / math.sqrt(12.0))

    @classmethod
    def gamma(cls, shape: float, scale_photons: float) -> Self:
        """The gamma law, with the mean shape * scale."""
        return cls("gamma", shape * scale_photons, math.sqrt(shape) * scale_photons)

    @classmethod
    def exponential(cls, mean_photons: float) -> Self:
        """The exponential law."""
        return cls("exponential", mean_photons, mean_photons)

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Draw the photons of `count` molecules, shape (count,)."""
        if self.std_photons == 0:
            return np.full(count, float(self.mean_photons))
        return _DRAW[self.law](self.mean_photons, self.std_photons, rng, count)


class Blinking(Protocol):
    """A law of when molecules shine."""

    def play(self, area_um2: float, birth: Birth, rng: np.random.Generator) -> Iterator[Molecules]:
        """Yield, frame by frame and without end, the molecules that shine, `photons` being those of the frame."""
        ...


@dataclass(frozen=True, slots=True)
class Independent:
    """New molecules in every frame, their number Poisson-distributed: what networks are usually trained on.

    Parameters
    ----------
    density_um2 : float
        Mean number of molecules that shine in a frame, per square micrometre.

    Raises
    ------
    SuperlensError
        When the density is negative.
    """

    density_um2: float = 2.0

    def __post_init__(self) -> None:
        require("density_um2", self.density_um2, 0 <= self.density_um2 < math.inf, "0 or more molecules per um^2")

    def play(self, area_um2: float, birth: Birth, rng: np.random.Generator) -> Iterator[Molecules]:
        """Yield new molecules for each frame, every one in full light."""
        while True:
            yield birth(int(rng.poisson(self.density_um2 * area_um2)))


@dataclass(frozen=True, slots=True)
class Kinetics:
    """A steady flow: molecules light up at any moment, shine for a while, go dark and come back, bleach, and others follow.

    All times are exponential. A molecule that is on for a part of a frame gives that part of its photons. The movie begins in the steady
    state.

    Parameters
    ----------
    density_um2 : float
        Mean number of rows of the truth in a frame, per square micrometre: molecules that shine for any part of it. Blinks of one
        molecule within one frame are one row, which lowers it where dark times are not long against a frame.
    on_frames : float
        Mean time of a blink.
    dark_frames : float
        Mean time between two blinks of a molecule.
    blinks : float
        Mean number of blinks before a molecule bleaches, at least 1; it bleaches after each with the probability ``1 / blinks``.

    Raises
    ------
    SuperlensError
        When a value is impossible.
    """

    density_um2: float = 2.0
    on_frames: float = 2.0
    dark_frames: float = 20.0
    blinks: float = 1.0

    def __post_init__(self) -> None:
        require("density_um2", self.density_um2, 0 <= self.density_um2 < math.inf, "0 or more molecules per um^2")
        _require_clock(self.on_frames, self.dark_frames)
        require(
            "blinks",
            self.blinks,
            1 <= self.blinks < math.inf,
            "1 or more; Population takes molecules that never bleach",
        )

    def play(self, area_um2: float, birth: Birth, rng: np.random.Generator) -> Iterator[Molecules]:
        """Yield the molecules of each frame; those that bleached make room for new ones."""
        # A blink of duration t that begins anywhere in a frame touches t + 1 frames on average.
        rate = self.density_um2 * area_um2 / ((self.on_frames + 1.0) * self.blinks)
        # Numbers in the steady state are Poisson with rate times mean stay; exponential stays have no memory of how long they lasted.
        shining = int(rng.poisson(rate * self.blinks * self.on_frames))
        waiting = int(rng.poisson(rate * (self.blinks - 1.0) * self.dark_frames))
        pool = _Pool.of(birth(shining + waiting), np.arange(shining + waiting) < shining, self, rng)
        for frame in itertools.count():
            arrived = birth(int(rng.poisson(rate)))
            pool.take(_Pool.of(arrived, np.ones(len(arrived), bool), self, rng, frame + rng.random(len(arrived))))
            yield pool.frame(frame + 1.0, self, rng)


@dataclass(frozen=True, slots=True)
class Population:
    """A fixed set of molecules, all dark in the beginning, that switch until they bleach: the density falls as in a real recording.

    Parameters
    ----------
    molecules_um2 : float
        Molecules per square micrometre; the number is Poisson-distributed.
    on_frames, dark_frames : float
        Mean time of a blink, and mean time before and between blinks.
    blinks : float
        Mean number of blinks before a molecule bleaches, at least 1; infinite for molecules that never do.

    Raises
    ------
    SuperlensError
        When a value is impossible.
    """

    molecules_um2: float = 200.0
    on_frames: float = 2.0
    dark_frames: float = 1000.0
    blinks: float = 5.0

    def __post_init__(self) -> None:
        require("molecules_um2", self.molecules_um2, 0 <= self.molecules_um2 < math.inf, "0 or more molecules per um^2")
        _require_clock(self.on_frames, self.dark_frames)
        if not self.blinks >= 1:
            raise SuperlensError(f"blinks is {self.blinks}; expected 1 or more.")

    def play(self, area_um2: float, birth: Birth, rng: np.random.Generator) -> Iterator[Molecules]:
        """Yield those of the set that shine in each frame."""
        everyone = birth(int(rng.poisson(self.molecules_um2 * area_um2)))
        pool = _Pool.of(everyone, np.zeros(len(everyone), bool), self, rng)
        for frame in itertools.count():
            yield pool.frame(frame + 1.0, self, rng)


@dataclass(slots=True, eq=False)
class _Pool:
    """Molecules that are not bleached yet, each with its clock."""

    molecules: Molecules
    on: NDArray[np.bool_]
    now: Floats  # up to when its life is known
    until: Floats  # when it switches next
    left: NDArray[np.int64]  # blinks to come, a present one counted

    @classmethod
    def of(
        cls,
        molecules: Molecules,
        on: NDArray[np.bool_],
        law: Kinetics | Population,
        rng: np.random.Generator,
        begin: Floats | float = 0.0,
    ) -> Self:
        """Start the clocks of new molecules."""
        now = np.broadcast_to(np.asarray(begin, np.float64), on.shape).copy()
        until = now + rng.exponential(np.where(on, law.on_frames, law.dark_frames))
        forever = math.isinf(law.blinks)
        left = np.full(on.shape, _FOREVER) if forever else rng.geometric(1.0 / law.blinks, on.shape)
        return cls(molecules, on.copy(), now, until, left.astype(np.int64))

    def take(self, others: _Pool) -> None:
        """Let others in."""
        self.molecules = self.molecules.joined(others.molecules)
        for name in ("on", "now", "until", "left"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(others, name)]))

    def frame(self, stop: float, law: Kinetics | Population, rng: np.random.Generator) -> Molecules:
        """Let time pass up to `stop`; the molecules that shone in between, with the photons of that time."""
        light = self._advance(stop, law, rng)
        shone = light > 0
        caught = self.molecules.where(shone)
        caught = replace(caught, photons=caught.photons * light[shone])
        alive = self.left > 0
        if not alive.all():
            self.molecules = self.molecules.where(alive)
            for name in ("on", "now", "until", "left"):
                setattr(self, name, getattr(self, name)[alive])
        return caught

    def _advance(self, stop: float, law: Kinetics | Population, rng: np.random.Generator) -> Floats:
        """Frames of light of each molecule from `now` up to `stop`."""
        light = np.zeros(len(self.molecules))
        due = np.flatnonzero(self.until < stop)
        while due.size:
            was_on = self.on[due]
            light[due] += np.where(was_on, self.until[due] - self.now[due], 0.0)
            self.now[due] = self.until[due]
            self.on[due] = ~was_on
            self.left[due] -= was_on
            stay = rng.exponential(np.where(was_on, law.dark_frames, law.on_frames))
            self.until[due] += np.where(self.left[due] > 0, stay, np.inf)
            due = due[self.until[due] < stop]
        light += np.where(self.on, stop - self.now, 0.0)
        self.now[:] = stop
        return light


def _normal(mean: float, std: float, rng: np.random.Generator, count: int) -> Floats:
    """Normal law above 0, by the inverse of its distribution."""
    below = ndtr(-mean / std)
    return np.asarray(mean + std * ndtri(below + (1.0 - below) * (1.0 - rng.random(count))))


def _uniform(mean: float, std: float, rng: np.random.Generator, count: int) -> Floats:
    return rng.uniform(mean - std * math.sqrt(3.0), mean + std * math.sqrt(3.0), count)


def _gamma(mean: float, std: float, rng: np.random.Generator, count: int) -> Floats:
    return rng.gamma((mean / std) ** 2, std**2 / mean, count)


def _exponential(mean: float, std: float, rng: np.random.Generator, count: int) -> Floats:
    return rng.exponential(mean, count)


def _log_normal(mean: float, std: float, rng: np.random.Generator, count: int) -> Floats:
    variance = math.log1p((std / mean) ** 2)
    return rng.lognormal(math.log(mean) - 0.5 * variance, math.sqrt(variance), count)


_DRAW: dict[str, Callable[[float, float, np.random.Generator, int], Floats]] = {
    "normal": _normal,
    "uniform": _uniform,
    "gamma": _gamma,
    "exponential": _exponential,
    "log-normal": _log_normal,
}


def _require_clock(on_frames: float, dark_frames: float) -> None:
    require("on_frames", on_frames, 0 < on_frames < math.inf, "a time above 0, in frames")
    require("dark_frames", dark_frames, 0 < dark_frames < math.inf, "a time above 0, in frames")
