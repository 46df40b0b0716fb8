"""Blocks and what they need to know: the blocks are the image, and none of them depends on the others."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from superlens.camera import Camera
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import LazyImage, open_image, write
from superlens.io.deferred import Deferred
from superlens.observing.observation import observe
from superlens.simulate import STRUCTURES
from superlens.streaming import (
    BlockPlan,
    Ledger,
    Workers,
    choose_block,
    chunk_sides,
    measure,
    observe_block,
    on_cluster,
    sample,
)

KNOWN = {"offset": 100.0, "gain": 2.0, "read_noise_e": 1.0}


def noisy(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Counts of a camera, with bright and dark places."""
    rng = np.random.default_rng(seed)
    return Camera(2.0, 100.0, 1.0).expose(rng.poisson(20 + 200 * rng.random(shape) ** 6), rng, bits=16)


def lazy(data: np.ndarray, axes: str = "YX") -> LazyImage:
    """An image that counts what is read of it."""
    return LazyImage(Deferred.of(data), axes, pixel_nm=65.0)


plans = st.builds(
    BlockPlan,
    planes=st.integers(1, 4),
    yx_shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    block=st.tuples(*[st.integers(1, 20).map(lambda n: 4 * n)] * 2),
    halo=st.sampled_from([0, 8, 84]),
    align=st.just(4),
    scale=st.integers(1, 2),
)


# -- the plan


@settings(deadline=None, max_examples=30)
@given(plans)
def test_blocks_cover_every_plane_once(blocks: BlockPlan) -> None:
    seen = np.zeros((blocks.planes, *blocks.yx_shape), int)
    for number in range(len(blocks)):
        block = blocks[number]
        assert block.number == number
        seen[(block.plane, *block.tile.core)] += 1
    assert (seen == 1).all()


@settings(deadline=None, max_examples=30)
@given(plans)
def test_blocks_have_one_shape(blocks: BlockPlan) -> None:
    assert len({blocks[number].tile.shape for number in range(len(blocks))}) == 1


@settings(deadline=None, max_examples=30)
@given(plans)
def test_no_chunk_of_the_result_belongs_to_two_blocks(blocks: BlockPlan) -> None:
    chunk = chunk_sides(blocks)
    owner: dict[tuple[int, ...], int] = {}
    for number in range(len(blocks)):
        block = blocks[number]
        fine = block.tile.outer((blocks.scale,) * 2)
        for y in range(fine[0].start // chunk[0], (fine[0].stop - 1) // chunk[0] + 1):
            for x in range(fine[1].start // chunk[1], (fine[1].stop - 1) // chunk[1] + 1):
                assert owner.setdefault((block.plane, y, x), number) == number


def test_a_plan_of_a_terabyte_takes_no_memory() -> None:
    blocks = BlockPlan(planes=100_000, yx_shape=(2048, 2048), block=(512, 512), halo=84, align=4, scale=2)
    assert len(blocks) == 1_600_000
    assert blocks[1_599_999].tile.core == (slice(1536, 2048), slice(1536, 2048))


@settings(deadline=None)
@given(st.tuples(st.integers(16, 3000), st.integers(16, 3000)), st.floats(2e8, 5e9))
def test_the_chosen_block_fits_into_memory(shape: tuple[int, int], memory: float) -> None:
    block = choose_block(shape, 84, 4, 16, bytes_per_pixel=4000, memory_bytes=memory)
    assert BlockPlan(1, shape, block, 84, 4, 2, edge=16).block_pixels * 4000 <= memory
    assert all(side % 4 == 0 for side in block)


def test_too_little_memory_is_refused_with_the_next_step() -> None:
    with pytest.raises(SuperlensError, match="`memory_gb`"):
        choose_block((512, 512), 84, 4, 16, bytes_per_pixel=4000, memory_bytes=-1e6)


# -- what a block must know


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(16, 90), st.integers(16, 90)),
    block=st.sampled_from([8, 20, 64]),
    halo=st.sampled_from([0, 4, 40]),
    edge=st.sampled_from([0, 16]),
    spoilt=st.sampled_from(["", "saturated", "undefined", "a large hole"]),
)
@pytest.mark.filterwarnings("ignore::superlens.errors.SuperlensWarning")
def test_a_block_sees_what_the_whole_image_shows_there(
    shape: tuple[int, int, int], block: int, halo: int, edge: int, spoilt: str
) -> None:
    data = noisy(shape)
    if spoilt == "saturated":
        data[:, 3:5, 7] = 4095
        data[data > 4095] = 4095
    if spoilt == "undefined":
        data = data.astype(np.float32)
        data[0, 8:11, 8:12] = np.nan
    if spoilt == "a large hole":  # wider than its neighbourhood
        data = data.astype(np.float32)
        data[0, : shape[1] // 2, : shape[2] // 2] = np.nan
    (whole,) = observe([Image(data, "TYX", pixel_nm=65.0)], **KNOWN)
    source = lazy(data, "TYX")
    measured = measure(source, **KNOWN)
    blocks = BlockPlan(shape[0], shape[1:], (block, block), halo, 4, 2, edge=edge)
    for number in range(len(blocks)):
        part = blocks[number]
        counts, sigma = observe_block(source, part.plane, part.tile, measured)
        np.testing.assert_array_equal(counts, part.tile.read(whole.counts[part.plane][..., None])[..., 0])
        np.testing.assert_allclose(sigma, part.tile.read(whole.sigma[part.plane][..., None])[..., 0], rtol=1e-6)


def test_a_sample_is_bounded_and_finds_what_the_whole_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = noisy((40, 64, 64))
    whole = measure(lazy(data, "TYX"))
    monkeypatch.setattr(sample, "_MOST_PIXELS", 1 << 16)
    part = measure(lazy(data, "TYX"))
    assert (whole.share, part.share) == (1.0, pytest.approx(16 / 40))
    assert part.gain == pytest.approx(whole.gain, rel=0.1)
    assert part.mean_variance == pytest.approx(whole.mean_variance, rel=0.1)


def test_windows_of_a_large_plane_are_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_MOST_PIXELS", 4 * 32 * 32)
    monkeypatch.setattr(sample, "_WINDOW", 32)
    data = noisy((300, 300))
    read = []
    source = lazy(data)
    region = source.data.region
    monkeypatch.setattr(
        "superlens.io.deferred.Deferred.__getitem__",
        lambda self, part: read.append(part) or region(part),
    )
    measure(source, **KNOWN)
    assert [(y.start, x.start) for y, x in read[:4]] == [(0, 0), (0, 268), (268, 0), (268, 268)]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("fault", ["a border of identical pixels", "hot pixels", "alternate lines are shifted"])
def test_a_sample_names_what_is_wrong_with_an_image(fault: str, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the whole image would; none of them where nothing is wrong."""
    rng = np.random.default_rng(3)
    light = STRUCTURES["filaments"]((256, 256), rng)
    data = Camera(2.0, 100.0, 1.5).expose(20 + 200 * ndimage.gaussian_filter(light, 1.5) / light.max(), rng)
    sound = np.stack([data, data[::-1]])
    spoilt = sound.copy()
    if "border" in fault:
        spoilt[:, :20] = 0
    elif "hot" in fault:
        spoilt[rng.random(spoilt.shape) < 0.01] += 3000
    else:
        spoilt[:, 1::2] = np.roll(spoilt[:, 1::2], 2, axis=2)
    if large:
        monkeypatch.setattr(sample, "_MOST_PIXELS", 8 * 96 * 96)
        monkeypatch.setattr(sample, "_WINDOW", 96)
    assert any(fault in message for message in measure(lazy(spoilt, "TYX"), **KNOWN).messages)
    assert not measure(lazy(sound, "TYX"), **KNOWN).messages


def test_a_blank_sample_of_a_larger_image_is_only_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_MOST_PIXELS", 1 << 12)
    with pytest.warns(SuperlensWarning, match="sample"):
        measure(lazy(np.full((40, 64, 64), 7, np.uint16), "TYX"), **KNOWN)


def test_an_image_that_holds_nothing_is_refused() -> None:
    with pytest.raises(SuperlensError, match="constant"):
        measure(lazy(np.full((64, 64), 7, np.uint16)), **KNOWN)
    with pytest.raises(SuperlensError, match="at least 16"):
        measure(lazy(noisy((15, 64))), **KNOWN)


def test_a_one_slice_stack_is_a_plane(tmp_path: Path) -> None:
    image = Image(noisy((1, 40, 40)), "ZYX", pixel_nm=65.0)
    assert open_image(write(tmp_path / "a.ome.zarr", image)).planes == 1


# -- the record


def test_a_line_that_was_cut_off_counts_for_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.ome.zarr")
    assert ledger.plan() is None
    ledger.begin({"any": "thing"})
    ledger.record([3, 14])
    with ledger.path.open("ab") as file:
        file.write(b"15")
    assert ledger.plan() == {"any": "thing"}
    assert ledger.done() == {3, 14}


def test_a_run_goes_on_behind_a_line_that_was_cut_off(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.ome.zarr")
    ledger.begin({})
    with ledger.path.open("ab") as file:
        file.write(b"15")
    ledger.record([7])
    assert ledger.done() == {7}


def test_a_damaged_record_is_refused_with_the_next_step(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "a.ome.zarr")
    ledger.path.write_text("no record\n")
    with pytest.raises(SuperlensError, match="`restart`"):
        ledger.plan()


def test_two_runs_do_not_work_on_one_result(tmp_path: Path) -> None:
    one, other = Ledger(tmp_path / "a.ome.zarr"), Ledger(tmp_path / "a.ome.zarr")
    one.begin({})
    with one.held(), pytest.raises(SuperlensError, match=r"another run is at work on a\.ome\.zarr"), other.held():
        pass
    with other.held():
        assert other.done() == set()


# -- Dask


def deadly_once(folder: Path, number: int) -> int:
    """Work that kills its worker the first time that it is given the number 3."""
    mark = folder / f"{number}"
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    mark.touch()
    return number


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Dask's own, when a worker dies
def test_the_block_of_a_worker_that_dies_is_done_by_another(tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import this file
    done = list(on_cluster(partial(deadly_once, tmp_path), range(12), Workers(number=2)))
    assert sorted(done) == list(range(12))


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from superlens.streaming import cluster

    monkeypatch.setattr(cluster, "_PATIENCE_S", 1)
    with pytest.raises(SuperlensError, match=r"tcp://127\.0\.0\.1:9"):
        list(on_cluster(abs, [1], Workers("tcp://127.0.0.1:9")))


def test_hot_pixels_are_filled_in_a_block_as_in_the_whole() -> None:
    data = (100 + 2 * np.random.default_rng(0).poisson(50, (3, 60, 70))).astype(np.uint16)
    for t, y, x in ((0, 15, 15), (0, 16, 48), (0, 0, 0), (2, 31, 32), (2, 59, 69), (2, 33, 32)):
        data[t, y, x] = 60_000
    (whole,) = observe([Image(data, "TYX", pixel_nm=65.0)], gain=2.0, offset=100.0, read_noise_e=1.0)
    assert whole.bad.sum() == 6
    source = lazy(data, "TYX")
    measured = measure(source, gain=2.0, offset=100.0, read_noise_e=1.0)
    blocks = BlockPlan(3, (60, 70), (16, 16), 8, 4, 2, edge=16)
    for number in range(len(blocks)):
        part = blocks[number]
        counts, sigma = observe_block(source, part.plane, part.tile, measured)
        at = np.ix_(*part.tile.sources((60, 70)))
        np.testing.assert_array_equal(counts, whole.counts[part.plane][at])
        np.testing.assert_allclose(sigma, whole.sigma[part.plane][at], rtol=1e-5)
