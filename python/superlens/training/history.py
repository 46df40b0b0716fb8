"""How a training is to go, and how it went: values without a network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["History", "Plan", "Record"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train.

    Attributes
    ----------
    steps : int
        Most steps to take.
    learning_rate : float
        Adam's, at the start.
    schedule : {"constant", "cosine", "halving"}
        Cosine falls to zero at the end of the budget; halving halves it every ``halve_every`` steps.
    halve_every : int
    minutes : float or None
        Budget of wall-clock time; whichever of steps and minutes comes first ends the training.
    check_every : int
        Steps between two held-out checks and checkpoints.
    patience : int
        Held-out checks without a better one before stopping early; 0 never stops.
    """

    steps: int
    learning_rate: float
    schedule: Literal["constant", "cosine", "halving"] = "cosine"
    halve_every: int = 10_000
    minutes: float | None = None
    check_every: int = 20
    patience: int = 0

    def rate(self, step: int, elapsed: float) -> float:
        """Learning rate of a step, ``elapsed`` minutes after the first."""
        if self.schedule == "halving":
            return self.learning_rate * 0.5 ** (step // self.halve_every)
        if self.schedule == "constant":
            return self.learning_rate
        share = step / self.steps if self.minutes is None else max(step / self.steps, elapsed / self.minutes)
        warm = min(1.0, (step + 1) / min(200.0, 0.05 * self.steps + 1))
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


@dataclass(frozen=True, slots=True)
class Record:
    """One held-out check: step, mean training loss since the last one, held-out loss (NaN where there is none), seconds so far."""

    step: int
    loss: float
    held_out: float
    seconds: float


@dataclass(slots=True)
class History:
    """What happened during a training.

    Attributes
    ----------
    records : list of Record
    best_step : int
        Step whose weights the network holds now.
    stopped : str
        Why it ended: "steps", "minutes", "patience", "cancelled"; or why it did not begin: "shared noise".
    blend : float
        How far the kept weights lie on the line from the start (0) to the end of the training (1).
    unrepeated : ndarray, shape (y, x), or None
        Share of the detail around each pixel that would not be there in another recording of the light that was learned from.
    """

    records: list[Record] = field(default_factory=list)
    best_step: int = 0
    stopped: str = "steps"
    blend: float = 1.0
    unrepeated: NDArray[np.float32] | None = None
