"""Stripes are found when they are there, taken off as far as they are known, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from superlens.camera import find_stripes
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import read
from superlens.observing.correction import even_sensor, without_stripes
from superlens.runs.choices import Reading

SIDE = 192


def specimen(kind: str, seed: int) -> np.ndarray:
    """A blurred specimen, in photons: nothing, points, crossing fibres, or fibres that almost lie along x."""
    rng = np.random.default_rng(seed)
    field = np.zeros((SIDE, SIDE))
    if kind == "points":
        field[rng.random(field.shape) < 0.003] = 4000
    if kind in ("fibres", "aligned"):
        for _ in range(18):
            angle = rng.uniform(0, np.pi) if kind == "fibres" else rng.normal(0, 0.05)
            x0, y0 = rng.uniform(0, SIDE, 2)
            t = np.linspace(-SIDE, SIDE, 4 * SIDE)
            x, y = (x0 + t * np.cos(angle)).astype(int), (y0 + t * np.sin(angle)).astype(int)
            inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
            field[y[inside], x[inside]] = 300
    return ndimage.gaussian_filter(field, 1.7)


def recorded(
    kind: str = "flat", seed: int = 0, stripes: float = 0.0, along: str = "x"
) -> tuple[np.ndarray, np.ndarray]:
    """Counts with shot and read noise, and the stripes that were added to them."""
    rng = np.random.default_rng((seed, 1))
    added = rng.normal(0, stripes, SIDE) if stripes else np.zeros(SIDE)
    counts = rng.poisson(specimen(kind, seed) + 20) + rng.normal(0, 2, (SIDE, SIDE))
    return counts + (added[:, None] if along == "x" else added), added - added.mean()


@pytest.mark.parametrize("kind", ["flat", "points", "fibres", "aligned"])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_where_nothing_is(kind: str, seed: int) -> None:
    counts, _ = recorded(kind, seed)
    found = find_stripes(counts)
    assert not found.found
    np.testing.assert_array_equal(found.removed_from(counts), counts.astype(np.float32))


@pytest.mark.parametrize(("kind", "left"), [("flat", 0.45), ("points", 0.65)])
@pytest.mark.parametrize("along", ["x", "y"])
def test_stripes_are_taken_off_to_a_fraction(kind: str, left: float, along: str) -> None:
    """What is left is noise, the guarded low frequencies, and rows that bright points make uncertain."""
    counts, added = recorded(kind, 1, 3.0, along)
    found = find_stripes(counts)
    ours, other = (found.rows, found.columns) if along == "x" else (found.columns, found.rows)
    assert ours is not None and other is None
    assert np.std(ours - added) < left * np.std(added)


@pytest.mark.parametrize("kind", ["flat", "points", "fibres", "aligned"])
def test_what_is_taken_off_never_makes_it_much_worse(kind: str) -> None:
    for seed in range(3):
        counts, added = recorded(kind, seed, 3.0)
        rows = find_stripes(counts, "x").rows
        left = added if rows is None else added - rows
        assert np.std(left) <= 1.15 * np.std(added)


def test_the_mean_and_what_is_slow_are_kept() -> None:
    counts, _ = recorded("flat", 2, 3.0)
    slow = 50 * np.sin(np.linspace(0, 3, SIDE))[:, None]
    found = find_stripes(counts + slow)
    assert found.rows is not None
    assert abs(found.rows.mean()) < 1e-9
    wave = np.exp(2j * np.pi * np.arange(SIDE) / SIDE)  # once over the field
    assert abs(np.mean(found.rows * wave)) < 0.05


def test_more_planes_show_fainter_stripes() -> None:
    planes = np.stack([recorded("flat", seed)[0] for seed in range(8)]) + 0.5 * recorded("flat", 9, 1.0)[1][:, None]
    assert not find_stripes(planes[0]).found
    assert find_stripes(planes).rows is not None


def test_a_part_of_the_field_is_freed_as_the_whole_is() -> None:
    counts, _ = recorded("flat", 1, 3.0)
    found = find_stripes(counts)
    y, x = slice(20, 60), slice(5, 90)
    np.testing.assert_array_equal(found.removed_from(counts[y, x], y, x), found.removed_from(counts)[y, x])


def test_off_looks_for_nothing() -> None:
    assert not find_stripes(recorded("flat", 1, 5.0)[0], "off").found


@pytest.mark.parametrize("data", [np.zeros((63, 200)), np.full((64, 64), np.nan)])
def test_what_cannot_be_judged_is_refused(data: np.ndarray) -> None:
    with pytest.raises(SuperlensError, match="64 x 64|NaN"):
        find_stripes(data)


# -- whole images


def test_an_image_is_freed_and_tells_of_it() -> None:
    counts, added = recorded("flat", 1, 3.0)
    image = Image(np.stack([counts, counts + 1]).astype(np.float32), "TYX", pixel_nm=65.0, name="cell")
    with pytest.warns(SuperlensWarning, match=r"cell: subtracted stripes along x of .* counts"):
        freed = without_stripes(image)
    assert np.std((image.data - freed.data)[0, :, 0] - added) < 0.5 * np.std(added)
    assert (freed.axes, freed.pixel_nm) == ("TYX", 65.0)
    assert set(freed.history["stripes_removed"]) == {"x"}


def test_an_image_without_stripes_stays_what_it_is() -> None:
    image = Image(recorded("flat", 1)[0])
    with pytest.warns(SuperlensWarning, match="no stripes"):
        assert without_stripes(image) is image
    assert without_stripes(image, "off") is image


@pytest.mark.filterwarnings("ignore::superlens.errors.SuperlensWarning")
def test_a_saturated_pixel_stays_known_as_bad() -> None:
    counts = np.clip(recorded("flat", 1, 3.0)[0] + 100, 0, 65535).astype(np.uint16)
    counts[7, 9] = 65535
    freed = without_stripes(Image(counts))
    assert np.isnan(freed.data[7, 9])
    assert np.isfinite(freed.data).sum() == counts.size - 1


def test_maps_make_an_uneven_sensor_even() -> None:
    rng = np.random.default_rng(0)
    electrons = rng.poisson(np.full((3, 40, 50), 200.0))
    offset, gain = rng.normal(100, 5, (40, 50)), rng.uniform(1.5, 2.5, (40, 50))
    image = Image(electrons * gain + offset, "TYX")
    even = even_sensor(image, offset=Image(offset), gain=Image(gain))
    np.testing.assert_allclose(even.data, electrons * gain.mean() + offset.mean(), rtol=1e-5)


@pytest.mark.parametrize("bad", ["shape", "zero", "undefined"])
def test_a_map_that_does_not_fit_is_refused(bad: str) -> None:
    image = Image(recorded("flat", 1)[0])
    values = np.ones((SIDE - 1, SIDE) if bad == "shape" else (SIDE, SIDE))
    values[0, 0] = {"shape": 1.0, "zero": 0.0, "undefined": np.nan}[bad]
    with pytest.raises(SuperlensError, match="gain map"):
        even_sensor(image, gain=Image(values))


def test_the_command_takes_stripes_off_before_anything_else(tmp_path: Path) -> None:
    from superlens.io import write

    counts, added = recorded("flat", 1, 3.0)
    path = write(tmp_path / "cell.tif", Image(counts.astype(np.float32), pixel_nm=65.0))
    with pytest.warns(SuperlensWarning, match="stripes along x"):
        image = Reading(None, None, remove_stripes="auto").read(path)
    assert np.std(counts[:, 0] - image.data[:, 0] - added) < 0.5 * np.std(added)
    maps = {"offset_map": write(tmp_path / "dark.tif", Image(np.full((SIDE, SIDE), 7.0, np.float32)))}
    np.testing.assert_allclose(Reading(None, None, **maps).read(path).data, counts, rtol=1e-4)


# -- recorded images -----------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
RECORDED = {
    "zs-deconvnet/lysosome_tirf/cell01.tif": None,
    "zs-deconvnet/microtubule_2d/01.tif": None,
    "fmd/Confocal_BPAE_G_1_raw.png": None,
    "fmd/WideField_BPAE_B_1_raw.png": None,
    "deconwolf/dapi_001.tif": "ZYX",
    "mrc/toxo.dv": None,
    "lls-core/RBC_lattice.ome.tif": None,
    "deep-storm/deepstorm3d-experimental/tetrapod_demo2_crop_50frames.tif": "TYX",
}
NO_SAMPLES = pytest.mark.skipif(not DATA.is_dir(), reason="the sample data are not here")


def sample(name: str, axes: str | None = None) -> np.ndarray:
    image = read(DATA / name, axes=axes)
    return np.asarray((image.select(c=0) if "C" in image.axes else image).data, np.float64)


@NO_SAMPLES
@pytest.mark.parametrize("name", RECORDED)
def test_nothing_is_found_in_recorded_images_and_stacks(name: str) -> None:
    counts = sample(name, RECORDED[name])
    assert not find_stripes(counts).found
    assert not find_stripes(counts.reshape(-1, *counts.shape[-2:])[0]).found


@NO_SAMPLES
@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith(("zs-", "fmd"))])
def test_a_pattern_added_to_a_recorded_image_is_found_and_mostly_taken_off(name: str) -> None:
    """Rows off by half the noise of a pixel."""
    counts = sample(name)
    noise = 1.4826 * np.median(np.abs(np.diff(counts))) / np.sqrt(2)
    rows = np.random.default_rng(0).normal(0, noise / 2, len(counts))
    rows -= rows.mean()
    found = find_stripes(counts + rows[:, None])
    assert found.rows is not None
    assert found.columns is None
    assert np.std(found.rows - rows) < 0.6 * np.std(rows)


@NO_SAMPLES
def test_what_is_found_in_one_recorded_image_is_in_the_others_of_its_camera() -> None:
    """Columns a tenth of a count high: fixed, since other fields of the same camera share them."""
    first, second, third = (sample(f"zs-deconvnet/microtubule_2d/0{i}.tif") for i in (1, 2, 3))
    assert find_stripes(second).columns is not None
    columns = [find_stripes(plane, "y").columns for plane in (first, second, third)]
    shared = np.corrcoef(columns)[1, [0, 2]]
    assert (shared > 3 / np.sqrt(second.shape[1])).all()
