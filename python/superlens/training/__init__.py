"""Training: one loop for every method.

A method brings a network, a loss, and a function that draws the batch of step ``i``; `fit` brings the schedule, the held-out check,
the best weights, the budget in steps or minutes, the checkpoint that a killed run goes on from, and the word to stop when numbers
are no longer finite. Seeds, precision and device live here and nowhere else.

Since the batch of step ``i`` depends on ``i`` alone, a run that was killed and resumed ends with the same weights as one that was
not.
"""

from superlens.backend import require_backend

require_backend()

from superlens.training.backends import (
    Precision,
    best_precision,
    device_in_use,
    engine_errors,
    precision,
    running_engine,
    select_device,
)
from superlens.training.checkpoint import Checkpoint, get_weights, set_weights
from superlens.training.history import History, Plan, Record
from superlens.training.loop import Draw, Trainer, fit
from superlens.training.outputs import outputs_of

__all__ = [
    "Checkpoint",
    "Draw",
    "History",
    "Plan",
    "Precision",
    "Record",
    "Trainer",
    "best_precision",
    "device_in_use",
    "running_engine",
    "engine_errors",
    "fit",
    "get_weights",
    "outputs_of",
    "precision",
    "select_device",
    "set_weights",
]
