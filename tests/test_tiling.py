"""The tiler's plan, its block function contract, memory and errors."""

from __future__ import annotations

import numpy as np
import pytest

from superlens import tiling
from superlens.errors import SuperlensError
from superlens.tiling import choose_tile, free_memory, map_tiles, plan


class ResourceExhausted(Exception):
    """Stands for the out-of-memory error of a framework."""


def test_small_plan_by_hand():
    tiles = plan((10, 4), tile=(4, 4), halo=(2, 1), align=2)
    assert [tile.core for tile in tiles] == [(slice(a, b), slice(0, 4)) for a, b in ((0, 4), (4, 8), (8, 10))]
    assert [tile.origin for tile in tiles] == [
        (-2, -2),
        (2, -2),
        (4, -2),
    ]  # a halo of 1 becomes 2; the last block is moved back
    assert {tile.shape for tile in tiles} == {(8, 8)}


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 9)])
@pytest.mark.parametrize("halo", [0, 1, 7, 40])
def test_blocks_are_the_image_and_its_mirror_images(shape, halo):
    image = np.random.default_rng(0).normal(size=(*shape, 2))
    (tile,) = plan(shape, tile=None, halo=halo)
    expected = np.pad(image, [(halo, halo)] * 2 + [(0, 0)], mode="symmetric")
    np.testing.assert_array_equal(tile.read(image), expected)


def test_read_copies_so_that_the_function_may_write():
    image = np.zeros((4, 4, 1))
    map_tiles(lambda block: np.add(block, 1, out=block), image, halo=0)
    assert not image.any()


def test_function_sees_batch_and_channels_of_one_block_shape():
    shapes = set()

    def record(block):
        shapes.add(block.shape)
        return block

    map_tiles(record, np.zeros((2, 13, 10, 3), np.float32), tile=(2, 4, 8), halo=(1, 4, 4), align=(1, 4, 4))
    assert shapes == {(1, 4, 12, 16, 3)}


def test_several_outputs_with_their_own_scales_channels_and_dtypes():
    image = np.arange(30, dtype=np.float32).reshape(5, 6, 1)

    def network(block):
        return [block, np.concatenate([block, block], axis=-1).repeat(2, 1).repeat(2, 2).astype(np.float64)]

    denoised, sharp = map_tiles(network, image, tile=3, halo=1, scale=[1, 2])
    np.testing.assert_array_equal(denoised, image)
    np.testing.assert_array_equal(sharp[..., 1], image[..., 0].repeat(2, 0).repeat(2, 1))
    assert denoised.dtype == np.float32 and sharp.dtype == np.float64


def test_scale_may_differ_between_axes():
    image = np.zeros((3, 4, 4, 1))
    result = map_tiles(lambda block: block.repeat(2, 2).repeat(2, 3), image, tile=2, halo=1, scale=[(1, 2, 2)])
    assert result.shape == (3, 8, 8, 1)


def test_unexpected_scale_is_refused_with_both():
    with pytest.raises(SuperlensError, match=r"\(1, 1\).*expected \[\(2, 2\)\]"):
        map_tiles(lambda block: block, np.zeros((4, 4, 1)), halo=0, scale=2)


def test_cropping_function_is_refused_with_its_shape():
    with pytest.raises(SuperlensError, match=r"returned shape \(1, 2, 2, 1\)"):
        map_tiles(lambda block: block[:, 1:-1, 1:-1], np.zeros((4, 4, 1)), halo=0)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"tile": 0, "halo": 0}, "tile"),
        ({"tile": 4, "halo": -1}, "halo"),
        ({"tile": 4, "halo": (1, 2, 3)}, "halo"),
        ({"tile": 4, "halo": 0, "align": 0}, "align"),
    ],
)
def test_bad_numbers_are_named(arguments, name):
    with pytest.raises(SuperlensError, match=f"^{name} is"):
        plan((8, 8), **arguments)


def test_empty_image_is_refused():
    with pytest.raises(SuperlensError, match="empty"):
        map_tiles(lambda block: block, np.zeros((0, 4, 1)), halo=0)


@pytest.mark.parametrize("error", [MemoryError, ResourceExhausted])
def test_out_of_memory_halves_the_tile_and_gives_the_same_result(error):
    image = np.random.default_rng(0).normal(size=(32, 20, 1))
    sizes = []

    def tight(block):
        sizes.append(block.shape[1] * block.shape[2])
        if sizes[-1] > 200:
            raise error("too large")
        return block + 1

    result = map_tiles(tight, image, halo=2, align=4, out_of_memory=(ResourceExhausted,))
    np.testing.assert_array_equal(result, image + 1)
    assert sizes[0] > 200 >= sizes[-1]


def test_out_of_memory_at_the_smallest_tile_is_said():
    def hopeless(block):
        raise MemoryError("no room")

    with pytest.raises(SuperlensError, match=r"tile of 4 x 4 pixels with a halo of 2.*no room"):
        map_tiles(hopeless, np.zeros((9, 9, 1)), halo=2, align=4)


def test_other_errors_of_the_function_pass_through():
    def broken(block):
        raise ResourceExhausted

    with pytest.raises(ResourceExhausted):
        map_tiles(broken, np.zeros((9, 9, 1)), halo=2)


def test_progress_counts_the_tiles():
    calls = []
    map_tiles(
        lambda b: b, np.zeros((4, 4, 1)), tile=2, halo=0, progress=lambda done, total, _: calls.append((done, total))
    )
    assert calls == [(i, 4) for i in range(5)]


def test_chosen_tile_fits_and_the_next_larger_part_does_not():
    need, memory = 1000.0, 2e7
    tile = choose_tile((300, 500), halo=16, align=4, bytes_per_pixel=need, memory_bytes=memory)
    assert all(side % 4 == 0 for side in tile)
    assert np.prod([side + 32 for side in tile]) * need <= memory
    assert np.prod([side + 32 for side in tile]) * need > memory / 3  # not wastefully small


def test_chosen_tile_is_the_whole_image_where_it_fits():
    assert choose_tile((30, 50), halo=16, align=4, bytes_per_pixel=100) == (32, 52)


def test_no_tile_fits_is_said_in_gigabytes():
    with pytest.raises(SuperlensError, match="0.001 GB may be used"):
        choose_tile((512, 512), halo=56, align=4, bytes_per_pixel=1e4, memory_bytes=1e6)


def test_free_memory_without_psutil_is_of_the_same_size(monkeypatch):
    pytest.importorskip("psutil")
    by_psutil = free_memory()
    assert 0 < tiling.free_memory_by_sysconf() < 4 * by_psutil


@pytest.mark.parametrize("tile", [3, 7, 16])
def test_open_ends_keep_a_function_that_minds_borders_in_its_own_way(tile):
    """Running sums over five pixels with nothing beyond the border, which mirrored blocks would spoil."""
    image = np.random.default_rng(0).standard_normal((16, 21, 1))

    def zero_padded(block):
        padded = np.pad(block, ((0, 0), (2, 2), (2, 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
        return windows.sum((-1, -2))

    whole = zero_padded(image[None])[0]
    np.testing.assert_allclose(map_tiles(zero_padded, image, halo=2, tile=tile, ends="open"), whole, atol=1e-12)
    assert not np.allclose(map_tiles(zero_padded, image, halo=2, tile=tile), whole)


def test_open_blocks_stay_inside_and_have_one_shape():
    tiles = plan((30, 50), tile=(8, 16), halo=(4, 12), align=(1, 4), ends="open")
    assert len({tile.shape for tile in tiles}) == 1
    for tile in tiles:
        assert all(o >= 0 for o in tile.origin)
        assert tile.origin[0] + tile.shape[0] <= 30
        assert tile.origin[1] + tile.shape[1] <= 52
