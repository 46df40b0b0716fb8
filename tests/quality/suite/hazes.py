"""A cell on haze: what is taken for sure of simulated thick specimens that the network has not seen, and of those without any haze."""

from __future__ import annotations

import numpy as np

from superlens.predicting.haze import haze_shares, share_of_light, sure_haze
from superlens.starts.depth import draw_field
from superlens.starts.specimens import specimens

from .store import Cell, Outcome

__all__ = ["cells"]

_FIELDS, _SEED = 1600, 995
_MUCH = 0.4


def cells() -> list[Cell]:
    """The only one."""
    return [Cell("haze/held-out", _held_out, {"fields": _FIELDS}, "zsdeconv-haze")]


def _held_out(fields: int) -> Outcome:
    """Shares of the light: taken where there is no haze, and of the haze where that is two fifths of the light or more."""
    pool = specimens(fields // 4, np.random.default_rng(_SEED))
    told = []
    for number in range(fields):
        channels, goal = draw_field(pool, np.random.default_rng((_SEED, number)))
        light = np.maximum(channels[..., 0], 0)
        _, sure, less_sure = haze_shares(channels, copies=1)
        taken = share_of_light(sure_haze(sure[None], less_sure[None], light[None], 1), light)
        told.append((float((goal[..., 0] * light).sum() / light.sum()), taken))
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
