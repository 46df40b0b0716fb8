"""`Pattern`: structured illumination as a table of orders and a table of frames.

    illumination of frame j = brightness_j (1 + sum over orders b of present_jb m_b cos(2 pi k_b r + phase_b + step_jb))

Two beams, three beams in one slice, lattices, hexagonal patterns and frames with uniform light are tables of different content, not
different code. `Arrangement` has what is known before the recording is looked at: which frame holds which order at which phase step.
`Pattern` adds what is measured: wave vectors, modulations, phases and brightness. Positions r are in raw pixels from the centre of pixel (0, 0).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from superlens.errors import SuperlensError

__all__ = ["WORST_CONDITION", "Arrangement", "Order", "Pattern"]

Floats = NDArray[np.float64]

WORST_CONDITION = 10.0
"""The largest condition number of a mixing matrix whose orders can be separated without blowing up the noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """Which frame holds which order, and at which phase step.

    Parameters
    ----------
    steps : ndarray, shape (frames, orders), radians
    present : ndarray of bool, shape (frames, orders)
        Whether a frame is lit with that order.
    multiples : tuple of int
        For each order 1, or n for the n-th harmonic of the fundamental of its angle.
    angles : tuple of int
        Number of the pattern's direction that each order belongs to; orders of one angle are harmonics of each other.
    name : str
        In words.

    Examples
    --------
    >>> three = Arrangement.grid(3, 3)
    >>> three.frames, three.orders, round(three.condition, 2)
    (9, 3, 2.45)
    """

    steps: Floats
    present: NDArray[np.bool_]
    multiples: tuple[int, ...]
    angles: tuple[int, ...]
    name: str

    @classmethod
    def grid(cls, angles: int, phases: int, orders: int = 1) -> Self:
        """Each angle recorded at equal phase steps, angle by angle.

        Parameters
        ----------
        angles, phases : int
        orders : int
            1 for two beams, 2 for three.
        """
        shape = (angles * phases, angles * orders)
        steps, present = np.zeros(shape), np.zeros(shape, bool)
        for a in range(angles):
            for n in range(orders):
                at = slice(a * phases, (a + 1) * phases)
                steps[at, a * orders + n] = 2 * np.pi * (n + 1) * np.arange(phases) / phases
                present[at, a * orders + n] = True
        return cls(
            steps,
            present,
            tuple(n + 1 for _ in range(angles) for n in range(orders)),
            tuple(a for a in range(angles) for _ in range(orders)),
            f"{angles} angle{'s' * (angles > 1)} of {phases} phases" + (", two orders" if orders == 2 else ""),
        )

    @classmethod
    def at_once(cls, multiples: Sequence[int], frames: int, name: str) -> Self:
        """Several directions in each frame: order b moves on by 2 pi multiples[b] / frames from frame to frame."""
        steps = 2 * np.pi * np.outer(np.arange(frames), multiples) / frames
        return cls(steps, np.ones(steps.shape, bool), (1,) * len(multiples), tuple(range(len(multiples))), name)

    @classmethod
    def hexagonal(cls) -> Self:
        """Three beams that meet at once, in seven frames."""
        return cls.at_once((1, 2, 3), 7, "hexagonal pattern of 7 frames")

    @classmethod
    def lattice(cls) -> Self:
        """Two crossed gratings at once, in five frames."""
        third = 2 * np.pi / 3
        steps = third * np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 2]], float)
        return cls(steps, np.ones(steps.shape, bool), (1, 1), (0, 1), "lattice of 5 frames")

    @classmethod
    def pairs_and_uniform(cls, *, uniform_first: bool = False) -> Self:
        """Three angles of two phases a quarter period apart, and one uniform frame."""
        steps, present = np.zeros((7, 3)), np.zeros((7, 3), bool)
        for a in range(3):
            at = 2 * a + uniform_first
            steps[at + 1, a] = np.pi / 2
            present[at : at + 2, a] = True
        return cls(steps, present, (1, 1, 1), (0, 1, 2), "3 angles of 2 phases and a uniform frame")

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.steps)

    @property
    def orders(self) -> int:
        """Number of orders beside order 0."""
        return int(self.steps.shape[1])

    @property
    def groups(self) -> int:
        """Sets of frames that are lit with different orders; 1 where all frames hold all orders."""
        return max(1, len({tuple(row) for row in self.present.tolist() if any(row)}))

    @property
    def mixing(self) -> Floats:
        """Frames from bands, shape (frames, 1 + 2 orders): order 0, then the cosine and the sine part of each order."""
        matrix = np.ones((self.frames, 1 + 2 * self.orders))
        matrix[:, 1::2] = self.present * np.cos(self.steps)
        matrix[:, 2::2] = self.present * np.sin(-self.steps)
        return matrix

    @property
    def condition(self) -> float:
        """Condition number of the mixing matrix; infinite where the orders cannot be separated."""
        if self.frames < 1 + 2 * self.orders:
            return math.inf
        values = np.linalg.svd(self.mixing, compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 1e-9 * values[0] else math.inf

    @property
    def separation(self) -> Floats:
        """Bands from frames of equal brightness, shape (1 + 2 orders, frames).

        Raises
        ------
        SuperlensError
            If the orders cannot be separated.
        """
        condition = self.condition
        if condition > WORST_CONDITION:
            raise SuperlensError(
                f"the phase steps of {self.name} give a mixing matrix of condition {condition:.3g}; expected at most {WORST_CONDITION:g}. "
                "Some phases are missing or equal, so the orders cannot be separated: check the order and the number of the frames."
            )
        return np.asarray(np.linalg.pinv(self.mixing), np.float64)

    @property
    def variances(self) -> Floats:
        """Noise variance of order 0 and of half the complex band of each order, for raw noise of variance 1; shape (1 + orders,)."""
        covariance = np.sum(self.separation**2, axis=1)
        return np.concatenate([covariance[:1], (covariance[1::2] + covariance[2::2]) / 4])

    def reordered(self, frames: Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        """The same arrangement for frames that come in another order: frame i is what was frame ``frames[i]``."""
        at = list(frames)
        return replace(self, steps=self.steps[at], present=self.present[at])


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the illumination.

    Attributes
    ----------
    frequency : tuple of float
        Wave vector (ky, kx), cycles per raw pixel.
    modulation : float
        Contrast of its cosine, relative to order 0.
    phase : float
        Radians, at the centre of pixel (0, 0) and phase step 0.
    modulation_error : float
        Standard error from the noise.
    significance : float
        Height of its peak over the search ring in robust standard deviations; NaN where it was not searched.
    """

    frequency: tuple[float, float]
    modulation: float
    phase: float = 0.0
    modulation_error: float = 0.0
    significance: float = math.nan

    @property
    def length(self) -> float:
        """Cycles per raw pixel."""
        return math.hypot(*self.frequency)

    @property
    def angle_deg(self) -> float:
        """Direction of the wave vector from the x axis towards the y axis, -90 to 90 degrees."""
        ky, kx = self.frequency
        return (math.degrees(math.atan2(ky, kx)) + 90) % 180 - 90


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Structured illumination, as measured or as simulated.

    Parameters
    ----------
    orders : tuple of Order
    arrangement : Arrangement
        Of as many orders.
    brightness : ndarray, shape (frames,)
        Of each frame, relative to their mean.

    Raises
    ------
    SuperlensError
        If the tables do not belong together.

    Examples
    --------
    >>> pattern = Pattern((Order((0.0, 0.25), 0.8),), Arrangement.grid(1, 3), np.ones(3))
    >>> pattern.illumination((4, 4))[0, 0].round(2).tolist()
    [1.8, 1.0, 0.2, 1.0]
    """

    orders: tuple[Order, ...]
    arrangement: Arrangement
    brightness: Floats

    def __post_init__(self) -> None:
        if len(self.orders) != self.arrangement.orders or len(self.brightness) != self.arrangement.frames:
            raise SuperlensError(
                f"the pattern has {len(self.orders)} orders and {len(self.brightness)} values of brightness; expected "
                f"{self.arrangement.orders} and {self.arrangement.frames} for {self.arrangement.name}."
            )
        object.__setattr__(self, "brightness", np.asarray(self.brightness, np.float64))

    @property
    def frequencies(self) -> Floats:
        """Wave vectors, shape (orders, 2), cycles per raw pixel."""
        return np.array([order.frequency for order in self.orders], np.float64).reshape(-1, 2)

    @property
    def modulations(self) -> Floats:
        """Shape (orders,)."""
        return np.array([order.modulation for order in self.orders], np.float64)

    @property
    def phases(self) -> Floats:
        """Shape (orders,), radians."""
        return np.array([order.phase for order in self.orders], np.float64)

    def carrier(self, order: int, shape: Sequence[int], scale: int = 1) -> Floats:
        """The phase 2 pi k r + phase of an order at each pixel of a grid of ``scale`` fine pixels along a raw pixel.

        Returns
        -------
        ndarray, shape of the grid, radians
        """
        y, x = (_centres(side, scale) for side in shape)
        (ky, kx), phase = self.orders[order].frequency, self.orders[order].phase
        total: Floats = 2 * np.pi * (ky * y[:, None] + kx * x) + phase
        return total

    def illumination(self, shape: Sequence[int], scale: int = 1) -> Floats:
        """Light on the specimen in each frame.

        Parameters
        ----------
        shape : (int, int)
            Sides of the grid, in its own pixels.
        scale : int
            Its pixels along a raw pixel.

        Returns
        -------
        ndarray, shape (frames, *shape)
            Mean 1 where the brightness is 1.
        """
        arrangement = self.arrangement
        light = np.ones((arrangement.frames, *shape))
        for b, order in enumerate(self.orders):
            carrier = self.carrier(b, shape, scale)
            for frame in np.flatnonzero(arrangement.present[:, b]):
                light[frame] += order.modulation * np.cos(carrier + arrangement.steps[frame, b])
        return light * self.brightness[:, None, None]

    def shifted(self, y: float, x: float) -> Pattern:
        """The pattern of frames that were moved by so many raw pixels."""
        return self._with_orders(
            replace(o, phase=o.phase - 2 * math.pi * (o.frequency[0] * y + o.frequency[1] * x)) for o in self.orders
        )

    def transposed(self) -> Pattern:
        """The pattern of frames whose y and x were exchanged."""
        return self._with_orders(replace(o, frequency=(o.frequency[1], o.frequency[0])) for o in self.orders)

    def flipped(self, height: int) -> Pattern:
        """The pattern of frames of that height that were turned upside down."""
        return self._with_orders(
            replace(
                o,
                frequency=(-o.frequency[0], o.frequency[1]),
                phase=o.phase + 2 * math.pi * o.frequency[0] * (height - 1),
            )
            for o in self.orders
        )

    def reordered(self, frames: Sequence[int] | NDArray[np.integer[Any]]) -> Pattern:
        """The pattern of the same frames in another order: frame i is what was frame ``frames[i]``."""
        return replace(
            self, arrangement=self.arrangement.reordered(frames), brightness=self.brightness[np.asarray(frames)]
        )

    def _with_orders(self, orders: Any) -> Pattern:
        return replace(self, orders=tuple(orders))

    def described(self) -> dict[str, Any]:
        """Give the pattern as JSON values, from which `of` makes it again."""
        table = self.arrangement
        return {
            "arrangement": table.name,
            "orders": [
                {
                    "frequency_per_pixel": [round(k, 7) for k in order.frequency],
                    "angle_deg": round(order.angle_deg, 3),
                    "modulation": round(order.modulation, 5),
                    "modulation_error": round(order.modulation_error, 5),
                    "phase_deg": round(math.degrees(order.phase) % 360, 3),
                    "significance": None if math.isnan(order.significance) else round(order.significance, 2),
                    "harmonic": multiple,
                    "direction": angle,
                }
                for order, multiple, angle in zip(self.orders, table.multiples, table.angles, strict=True)
            ],
            "frames": [
                {
                    "brightness": round(float(brightness), 5),
                    "steps_deg": [
                        round(math.degrees(step), 3) if on else None for step, on in zip(steps, present, strict=True)
                    ],
                }
                for brightness, steps, present in zip(self.brightness, table.steps, table.present, strict=True)
            ],
        }

    @classmethod
    def read(cls, path: Path, channels: Sequence[int] = (), *, alone: bool = True) -> list[Self]:
        """Read the patterns that ``run.json`` of a reconstruction holds for channels of an image.

        Parameters
        ----------
        path : Path
        channels : sequence of int
            Index of each along C; none for an image without channels.
        alone : bool
            Whether no other channels are worked on, so that the only pattern of a file serves a single one.

        Raises
        ------
        SuperlensError
            When the file cannot be read, or lacks the pattern of a channel.
        """
        found = cls.read_channels(path)
        if alone and len(found) == 1 and len(channels) < 2:
            return list(found.values())
        lacking = [number for number in channels if number not in found]
        if lacking or not channels:
            known = "one pattern" if None in found else f"patterns of channels {' and '.join(map(str, found))}"
            missing = f"channel {lacking[0]} has none" if lacking else "the image has one channel"
            raise SuperlensError(
                f"{path.name} holds {known}, and {missing}; give the run.json of the same channels, or choose others with `channel`."
            )
        return [found[number] for number in channels]

    @classmethod
    def read_channels(cls, path: Path) -> dict[int | None, Self]:
        """Read the patterns that ``run.json`` of a reconstruction holds, by channel; that of an image without channels is of None.

        Raises
        ------
        SuperlensError
            When the file cannot be read, or holds no pattern, or those of several recordings.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SuperlensError(
                f"`like` names {path}, which cannot be read as JSON ({error}); give the run.json of superlens sim."
            ) from error
        told = told if isinstance(told, dict) else {}
        results: list[Any] = told.get("results", [])
        if "pattern" not in told and len(results) == 1:
            told = results[0]
        of_channels = [one for one in told.get("channels", []) if "pattern" in one]
        if "pattern" not in told and not of_channels:
            raise SuperlensError(
                f"{path} holds no pattern, or several; give the run.json of superlens sim with one recording."
            )
        if of_channels:
            return {int(one["channel"]): cls.of(one["pattern"]) for one in of_channels}
        return {None: cls.of(told["pattern"])}

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Make a pattern of what `described` gave.

        Raises
        ------
        SuperlensError
            If something is missing.
        """
        try:
            frames, orders = described["frames"], described["orders"]
            steps = [[0.0 if step is None else math.radians(step) for step in frame["steps_deg"]] for frame in frames]
            present = [[step is not None for step in frame["steps_deg"]] for frame in frames]
            table = Arrangement(
                np.array(steps, float).reshape(len(frames), len(orders)),
                np.array(present, bool).reshape(len(frames), len(orders)),
                tuple(int(o["harmonic"]) for o in orders),
                tuple(int(o["direction"]) for o in orders),
                str(described["arrangement"]),
            )
            made = tuple(
                Order(
                    (float(o["frequency_per_pixel"][0]), float(o["frequency_per_pixel"][1])),
                    float(o["modulation"]),
                    math.radians(o["phase_deg"]),
                    float(o["modulation_error"]),
                    math.nan if o["significance"] is None else float(o["significance"]),
                )
                for o in orders
            )
            return cls(made, table, np.array([f["brightness"] for f in frames], float))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SuperlensError(
                f"this is no description of an illumination pattern ({error!r}); expected the `pattern` of a run.json of superlens sim."
            ) from error


def _centres(side: int, scale: int) -> Floats:
    """Centres of fine pixels, in raw pixels."""
    return np.asarray((np.arange(side) + 0.5) / scale - 0.5)
