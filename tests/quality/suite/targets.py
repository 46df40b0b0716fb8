"""What the method has to reach, and whether it does.

In: a summary. Out: one `Verdict` for each target; a target with a cell missing is open, neither reached nor missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .catalogue import CONFIRMED, SCENES, STRUCTURES_ON_BUDGET
from .scenes import NINE
from .summary import Summary

__all__ = ["Verdict", "difference", "number", "verdicts"]

_NINE = [name for name in SCENES if name.startswith("nine/")]
_UNLIKE = [name for name in SCENES if name.startswith("unlike/")]
_NINE_AGAIN = [name for name in CONFIRMED if name.startswith("again/nine/")]
_UNLIKE_AGAIN = [name for name in CONFIRMED if name.startswith("again/unlike/")]
_FLAT = ("flat/05-photons", "flat/15-photons", "flat/50-photons")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target.

    Attributes
    ----------
    what, least, found : str
    reached : bool or None
        None while a cell is missing.
    """

    what: str
    least: str
    found: str
    reached: bool | None


def number(summary: Summary, cell: str, key: str) -> float | None:
    """A number of a finished cell, else None."""
    record = summary["cells"].get(cell)
    value: Any = None if record is None else record["numbers"].get(key)
    return float(value) if isinstance(value, int | float) else None


def difference(summary: Summary, scene: str, method: str, other: str, key: str) -> float | None:
    """How much more a method has of a number than another on one scene."""
    first, second = (number(summary, f"{scene}/{m}", key) for m in (method, other))
    return None if first is None or second is None else first - second


def verdicts(summary: Summary) -> Iterator[Verdict]:
    """All targets, in the order of the documentation."""
    for label, scenes, method, mean, worst in (
        ("SR PSNR, fast against oracle Richardson-Lucy, nine scenes", _NINE, "fast", 2.0, 0.0),
        ("the same on scenes unlike the pretraining", _UNLIKE, "fast", 1.5, 0.0),
        ("the same from scratch, nine scenes", _NINE, "scratch", 1.0, -0.5),
        ("fast, nine scenes of other specimens", _NINE_AGAIN, "fast", 2.0, 0.0),
        ("fast, other specimens unlike the pretraining", _UNLIKE_AGAIN, "fast", 1.5, 0.0),
    ):
        gains = [difference(summary, s, method, "rl_oracle", "psnr_db") for s in scenes]
        yield _judge(
            label,
            f"mean +{mean:g} dB, worst {worst:g} dB",
            gains,
            lambda v: f"mean {np.mean(v):+.2f} dB, worst {np.min(v):+.2f} dB",
            lambda v, mean=mean, worst=worst: np.mean(v) >= mean and np.min(v) >= worst,  # type: ignore[misc]
        )
    for key, words in (("frc_nm", "the specimen"), ("frc_target_nm", "the specimen at 1.5 times the resolution")):
        finer = [difference(summary, s, "fast", "rl_oracle", key) for s in _NINE]
        yield _judge(
            f"FRC 1/7 against {words}: fast finer than oracle Richardson-Lucy, nine scenes",
            "in all",
            finer,
            lambda v: (
                f"in {sum(x < 0 for x in v)} of {len(v)}; median {abs(np.median(v)):.1f} nm {'coarser' if np.median(v) > 0 else 'finer'}"
            ),
            lambda v: max(v) < 0,
        )
    for which, scenes in (("all scenes", tuple(SCENES)), ("other specimens", CONFIRMED)):
        yield _judge(
            f"uncertainty: pixels off by more than 2 sigma, {which}",
            "2-10 % in each",
            [number(summary, f"{s}/fast", "beyond_2_sigma") for s in scenes],
            lambda v: f"{100 * min(v):.1f}-{100 * max(v):.1f} %",
            lambda v: min(v) >= 0.02 and max(v) <= 0.10,
        )
    yield _judge(
        "stage 1: PSNR over the raw image, nine scenes",
        "mean +8 dB",
        [number(summary, f"{s}/fast", "denoised_gain_db") for s in _NINE],
        lambda v: f"mean {np.mean(v):+.2f} dB, worst {np.min(v):+.2f} dB",
        lambda v: np.mean(v) >= 8,
    )
    yield _judge(
        "dip between two filaments FWHM / 1.3 apart, 50 photons",
        "15 %",
        [number(summary, "lines/oil", f"{m}_dip") for m in ("fast", "truth", "raw")],
        lambda v: f"{100 * v[0]:.0f} % (truth at that resolution {100 * v[1]:.0f} %, raw {100 * v[2]:.0f} %)",
        lambda v: v[0] >= 0.15,
    )
    yield _judge(
        "flux, mean out over mean in, offset given, all scenes",
        "0.98-1.02 in each",
        [number(summary, f"{s}/fast", "flux") for s in SCENES],
        lambda v: f"{min(v):.3f}-{max(v):.3f}",
        lambda v: min(v) >= 0.98 and max(v) <= 1.02,
    )
    yield _judge(
        "flat field: std out over std in",
        "at most 0.05",
        [number(summary, s, "std_ratio") for s in _FLAT],
        lambda v: f"{max(v):.3f} at most",
        lambda v: max(v) <= 0.05,
    )
    yield _judge(
        "time of fast, all in, against 50,000 steps of the original recipe",
        "at most 1/1,000",
        [number(summary, "time/fast-and-paper", k) for k in ("ratio", "fast_seconds", "paper_hours")],
        lambda v: f"1/{1 / v[0]:,.0f} ({v[1]:.0f} s against {v[2]:.0f} h)",
        lambda v: v[0] <= 1e-3,
    )
    yield _judge(
        "PSNR of fast over the original recipe given ten minutes, one cell per structure",
        "above 0 in each",
        [_over_paper(summary, kind) for kind in NINE],
        lambda v: ", ".join(f"{x:+.2f}" for x in v) + " dB",
        lambda v: min(v) > 0,
    )
    yield _judge(
        "import of superlens; superlens --help",
        "below 0.3 s each",
        [number(summary, "load/import-and-help", k) for k in ("import_seconds", "help_seconds")],
        lambda v: f"{v[0]:.2f} s; {v[1]:.2f} s",
        lambda v: max(v) < 0.3,
    )


def _judge(
    what: str,
    least: str,
    values: Sequence[float | None],
    words: Callable[[list[float]], str],
    reached: Callable[[list[float]], Any],
) -> Verdict:
    known = [v for v in values if v is not None]
    if not known or (len(known) < len(values) and what.startswith(("dip", "time", "import"))):
        return Verdict(what, least, "not measured", None)
    if len(known) < len(values):
        return Verdict(what, least, f"{words(known)} ({len(known)} of {len(values)} measured)", None)
    return Verdict(what, least, words(known), bool(reached(known)))


def _over_paper(summary: Summary, kind: str) -> float | None:
    ours = number(summary, f"nine/{kind}-{STRUCTURES_ON_BUDGET:02d}/fast", "psnr_db")
    paper = number(summary, f"budget/{kind}/paper", "psnr_db")
    return None if ours is None or paper is None else ours - paper
