"""A cell on haze: what is taken for sure of simulated thick specimens that the network has not seen, and of those without any haze."""

from __future__ import annotations

import numpy as np

from superlens.model import Model, shipped
from superlens.networks.haze import QUANTILES
from superlens.observing.haze import Haze
from superlens.predicting.haze import LEAST_SURE, SURE
from superlens.starts.depth import draw_field
from superlens.starts.specimens import specimens
from superlens.training import outputs_of

from .store import Cell, Outcome

__all__ = ["cells"]

_FIELDS, _SEED = 1600, 992
_MUCH = 0.4


def cells() -> list[Cell]:
    """The only one."""
    return [Cell("haze/held-out", _held_out, {"fields": _FIELDS}, "zsdeconv-haze")]


def _held_out(fields: int) -> Outcome:
    """Shares of the light: taken where there is no haze, and of the haze where that is two fifths of the light or more."""
    network = Model.load(shipped()["zsdeconv-haze"]).network
    pool = specimens(fields // 4, np.random.default_rng(_SEED))
    told = []
    for number in range(fields):
        channels, goal = draw_field(pool, np.random.default_rng((_SEED, number)))
        light = np.maximum(channels[..., 0], 0)
        share = outputs_of(network, channels[None])[1 + QUANTILES.index(SURE)][0, ..., 0]
        taken = float(Haze.of(share[None], light[None], 1, under=True).grid.sum() / light.sum())
        told.append((float((goal[..., 0] * light).sum() / light.sum()), taken if taken >= LEAST_SURE else 0.0))
    haze, taken = np.array(told).T
    none, much = haze == 0, haze >= _MUCH
    return Outcome(
        {
            "without": int(none.sum()),
            "taken_without": float(taken[none].mean()),
            "touched_without": float((taken[none] > 0).mean()),
            "much": int(much.sum()),
            "taken_of_much": float((taken[much] / haze[much]).mean()),
            "more_than_there_is": float((taken > haze).mean()),
        }
    )
