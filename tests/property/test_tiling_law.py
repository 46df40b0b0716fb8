"""Tiled equals whole, for every function with a finite receptive field, and whatever the shape, tile, halo, alignment and scale."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from superlens.tiling import map_tiles, plan

KERNEL = np.random.default_rng(7).normal(size=(3, 3)) / 3


def conv(plane):
    return np.tanh(ndimage.convolve(plane, KERNEL, mode="constant"))


def pool(plane):
    y, x = plane.shape
    return plane.reshape(y // 2, 2, x // 2, 2).max(axis=(1, 3))


def up(plane):
    return plane.repeat(2, 0).repeat(2, 1)


def small_unet(plane, pools):
    """Convolutions of radius 1, max-pooled `pools` times, with skips: shift-equivariant modulo 2**pools only."""
    down = conv(plane)
    if pools == 0:
        return down
    return conv(down + up(small_unet(pool(down), pools - 1)))


def receptive_radius(pools):
    return 1 if pools == 0 else 2 + 1 + 2 * receptive_radius(pools - 1)


def network(pools, scale):
    def fn(block):
        feature = small_unet(block[0, :, :, 0], pools)
        sharp = np.kron(feature, np.arange(1.0, 1 + scale * scale).reshape(scale, scale))
        return feature[None, :, :, None], np.stack([sharp, -sharp], axis=-1)[None]

    return fn


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    tile=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    more=st.integers(0, 5),
    pools=st.integers(0, 2),
    scale=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_tiled_equals_whole(shape, tile, more, pools, scale, seed):
    image = np.random.default_rng(seed).normal(size=(*shape, 1))
    halo, align = receptive_radius(pools) + more, 2**pools
    whole = map_tiles(network(pools, scale), image, halo=halo, align=align, scale=[1, scale])
    tiled = map_tiles(network(pools, scale), image, halo=halo, align=align, scale=[1, scale], tile=tile)
    for a, b in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_the_law_needs_the_grid():
    """Without alignment the same network gives seams: the property above is not empty."""
    image = np.random.default_rng(0).normal(size=(40, 40, 1))

    def unaligned(block):
        even = [(side + 3) // 4 * 4 - side for side in block.shape[1:3]]
        padded = np.pad(block[0, :, :, 0], [(0, extra) for extra in even], mode="reflect")
        return small_unet(padded, 2)[None, : block.shape[1], : block.shape[2], None]

    whole = map_tiles(unaligned, image, halo=16)
    tiled = map_tiles(unaligned, image, halo=16, tile=7)
    assert np.abs(whole - tiled).max() > 0.01


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 30), min_size=1, max_size=3),
    tile=st.integers(1, 12),
    halo=st.integers(0, 9),
    align=st.integers(1, 5),
)
def test_plan_covers_once_on_one_grid(shape, tile, halo, align):
    seen = np.zeros(shape, int)
    tiles = plan(shape, tile, halo, align)
    for t in tiles:
        seen[t.core] += 1
        assert all(origin % align == 0 and side % align == 0 for origin, side in zip(t.origin, t.shape, strict=True))
        assert all(c.start - o >= halo for c, o in zip(t.core, t.origin, strict=True))
        assert all(o + s - c.stop >= halo for c, o, s in zip(t.core, t.origin, t.shape, strict=True))
    assert (seen == 1).all()
    assert len({t.shape for t in tiles}) == 1


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 20), st.integers(1, 20)),
    tile=st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
)
def test_volumes_too(shape, tile):
    volume = np.random.default_rng(0).normal(size=(*shape, 1))
    kernel = np.random.default_rng(1).normal(size=(3, 5, 5))

    def blur(block):
        return ndimage.convolve(block[0, ..., 0], kernel, mode="constant").repeat(2, 1).repeat(2, 2)[None, ..., None]

    whole = map_tiles(blur, volume, halo=(1, 2, 2))
    np.testing.assert_allclose(map_tiles(blur, volume, halo=(1, 2, 2), tile=tile), whole, atol=1e-12)
    inner = ndimage.convolve(volume[..., 0], kernel, mode="reflect")  # independent: SciPy's name for our mirror
    if min(shape) > 4:
        np.testing.assert_allclose(whole[:, ::2, ::2, 0], inner, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(side=st.integers(3, 20), scale=st.integers(1, 3), seed=st.integers(0, 99))
def test_an_image_goes_on_as_its_mirror_image(side, scale, seed):
    """Also at a finer sampling: what stands beside its mirror image is given what it is given alone."""
    image = np.random.default_rng(seed).normal(size=(side, side, 1))
    beside = np.concatenate([image, image[::-1]])

    def sharpen(block):
        fine = block[0, ..., 0].repeat(scale, 0).repeat(scale, 1)
        return (2 * fine - ndimage.uniform_filter(fine, 3, mode="constant"))[None, ..., None]

    alone, both = (map_tiles(sharpen, array, halo=2) for array in (image, beside))
    np.testing.assert_allclose(both[: side * scale], alone, atol=1e-12)
