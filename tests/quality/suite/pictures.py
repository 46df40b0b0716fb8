"""Montages: what each method makes of a part of a scene, with its numbers under the tile.

In: the store with the finished cells. Out: one PNG for each group. All tiles of a row share one scale, from just below the background to
the 99.7th percentile of the truth, after the linear fit that the scores use; a gamma of 0.7 lifts the faint parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from superlens.metrics import linear_fit

from .catalogue import SCENES, STRUCTURES_ON_BUDGET, scene_parameters
from .scenes import NINE, UNLIKE, make, truth
from .store import Cell, Store

__all__ = ["draw"]

Array = NDArray[Any]

_TILE = 240  # fine pixels shown, and pixels of the picture
_TEXT = 34
_GAP = 4
_LABEL = 130
_METHODS = ("raw", "rl_oracle", "fast")


_DRAWN = ("nine/", "unlike/", "lines/", "budget/")


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    image: Array
    caption: str


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    label: str
    tiles: Sequence[_Tile]
    low: float
    high: float


def draw(store: Store, cells: Sequence[Cell], side: int, folder: Path) -> list[Path]:
    """Draw every montage that has a finished row; returns the files, none where the numbers of a row were taken over without images."""
    drawn = [cell for cell in cells if cell.name.startswith(_DRAWN) and store.record(cell) is not None]
    if any(not store.images(cell) for cell in drawn):
        return []
    by_name = {cell.name: cell for cell in cells}
    groups: dict[str, list[_Row]] = {
        **{kind: _scene_rows(store, by_name, f"nine/{kind}-", side) for kind in NINE},
        **{f"unlike-{kind}": _scene_rows(store, by_name, f"unlike/{kind}-", side) for kind in UNLIKE},
        "two-lines": [
            *_kept_row(store, by_name, "lines/gaussian", ("raw", "rl_oracle", "fast"), "truth", "{}_dip", "dip {:.0%}"),
            *_kept_row(store, by_name, "lines/oil", ("raw", "rl_oracle", "fast"), "truth", "{}_dip", "dip {:.0%}"),
        ],
        "original-recipe": [row for kind in NINE for row in _paper_rows(store, by_name, kind, side)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    return [_save(rows, folder / f"{name}.png") for name, rows in groups.items() if rows]


def _scene_rows(store: Store, cells: dict[str, Cell], prefix: str, side: int) -> list[_Row]:
    rows = []
    for name in SCENES:
        if not name.startswith(prefix) or any(store.record(cells[f"{name}/{m}"]) is None for m in _METHODS):
            continue
        scene = make(**scene_parameters(name, side))
        reference = truth(scene)
        tiles = [_scored(store, cells[f"{name}/{m}"], m, reference) for m in _METHODS]
        rows.append(_row(name.split("/")[1], [*tiles, _Tile(reference, "truth at 1.5 x")], reference))
    return rows


def _paper_rows(store: Store, cells: dict[str, Cell], kind: str, side: int) -> list[_Row]:
    name = f"nine/{kind}-{STRUCTURES_ON_BUDGET:02d}"
    wanted = {"raw": f"{name}/raw", "original": f"budget/{kind}/paper", "fast": f"{name}/fast"}
    if any(store.record(cells[cell]) is None for cell in wanted.values()):
        return []
    reference = truth(make(**scene_parameters(name, side)))
    tiles = [_scored(store, cells[cell], method, reference) for method, cell in wanted.items()]
    return [_row(kind, [*tiles, _Tile(reference, "truth at 1.5 x")], reference)]


def _scored(store: Store, cell: Cell, method: str, reference: Array) -> _Tile:
    numbers = store.numbers(cell) or {}
    caption = f"{method.replace('_', ' ')}\n{numbers['psnr_db']:.2f} dB, FRC {numbers['frc_nm'] or np.inf:.0f} nm"
    return _Tile(linear_fit(store.images(cell)["image"], reference), caption)


def _kept_row(
    store: Store, cells: dict[str, Cell], name: str, methods: Sequence[str], truth_name: str, key: str, form: str
) -> list[_Row]:
    """A row whose images, the truth too, were kept by one cell."""
    if name not in cells or store.record(cells[name]) is None:
        return []
    images, numbers = store.images(cells[name]), store.numbers(cells[name]) or {}
    reference = images[truth_name]
    tiles = []
    for method in methods:
        value = numbers.get(key.format(method))
        words = "" if value is None else form.format(value)
        tiles.append(_Tile(linear_fit(images[method], reference), f"{method.replace('_', ' ')}\n{words}"))
    return [_row(name.split("/")[1], [*tiles, _Tile(reference, truth_name)], reference)]


def _row(label: str, tiles: Sequence[_Tile], reference: Array) -> _Row:
    part = _part(reference, reference)
    low, high = np.percentile(part, [0.5, 99.7])
    return _Row(label, [_Tile(_part(t.image, reference), t.caption) for t in tiles], float(low), float(high))


def _part(image: Array, reference: Array) -> Array:
    """The square of the reference that varies most, on a coarse grid of places; fixed by the reference alone."""
    side = min(_TILE, *reference.shape)
    step = max(8, side // 4)
    places = [
        (float(reference[y : y + side, x : x + side].std()), y, x)
        for y in range(0, reference.shape[0] - side + 1, step)
        for x in range(0, reference.shape[1] - side + 1, step)
    ]
    _, y, x = max(places)
    return image[y : y + side, x : x + side]


def _save(rows: Sequence[_Row], path: Path) -> Path:
    columns = max(len(row.tiles) for row in rows)
    width = _LABEL + columns * (_TILE + _GAP)
    page = Pillow.new("L", (width, len(rows) * (_TILE + _TEXT + _GAP)), 255)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    for i, row in enumerate(rows):
        top = i * (_TILE + _TEXT + _GAP)
        pen.text((4, top + 4), row.label.replace("-", "\n"), fill=0, font=font)
        for j, tile in enumerate(row.tiles):
            left = _LABEL + j * (_TILE + _GAP)
            shown = np.clip((tile.image - row.low) / max(row.high - row.low, 1e-9), 0, 1) ** 0.7
            grey = Pillow.fromarray(np.rint(255 * shown).astype(np.uint8))
            page.paste(grey.resize((_TILE, _TILE), Pillow.Resampling.NEAREST), (left, top))
            pen.text((left + 2, top + _TILE + 1), tile.caption, fill=0, font=font)
    page.save(path, optimize=True)
    return path
