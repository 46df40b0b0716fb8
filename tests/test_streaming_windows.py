"""Windows of an image larger than memory: a fair sample, the same for the same seed, and no more read than asked for."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import LazyImage
from superlens.io.deferred import Deferred
from superlens.streaming import for_training, windows


def marked(sizes: dict[str, int]) -> tuple[LazyImage, list[int]]:
    """An image whose pixels tell where they lie, and a list of how many were read at a time."""
    values = np.arange(np.prod(list(sizes.values())), dtype=np.int64).reshape(tuple(sizes.values()))
    read: list[int] = []

    def region(part: tuple[slice, ...]) -> np.ndarray:
        read.append(values[part].size)
        return values[part]

    data = Deferred.by(region, values.shape, values.dtype)
    return LazyImage(data, "".join(sizes), 65.0, 200.0, 0.5, name="huge"), read


def place(values: np.ndarray, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    return dict(zip(sizes, np.unravel_index(values, tuple(sizes.values())), strict=True))


def test_a_window_is_a_connected_part_of_one_plane_in_all_channels() -> None:
    sizes = {"T": 3, "C": 2, "Z": 4, "Y": 500, "X": 400}
    source, read = marked(sizes)
    image = windows(source, number=9, seed=0)
    assert (image.axes, image.data.shape, image.pixel_nm) == ("TCYX", (9, 2, 320, 320), 65.0)
    for window in image.data:
        at = place(window, sizes)
        assert len(np.unique(at["T"])) == len(np.unique(at["Z"])) == 1
        assert [list(np.unique(at["C"][c])) for c in (0, 1)] == [[0], [1]]
        assert (np.diff(at["Y"], axis=1) == 1).all() and (np.diff(at["X"], axis=2) == 1).all()
    assert max(read) == 2 * 320 * 320


def test_every_frame_and_plane_is_seen_when_there_are_windows_enough() -> None:
    sizes = {"T": 3, "Z": 4, "Y": 40, "X": 30}
    image = windows(marked(sizes)[0], number=24, seed=0)
    at = place(image.data[:, 0, 0], sizes)
    assert image.data.shape == (24, 40, 30)
    assert {(t, z): 2 for t in range(3) for z in range(4)} == {
        (t, z): int(((at["T"] == t) & (at["Z"] == z)).sum()) for t in range(3) for z in range(4)
    }


def test_volumes_keep_all_their_slices() -> None:
    sizes = {"T": 2, "Z": 7, "Y": 200, "X": 150}
    image = windows(marked(sizes)[0], axes="ZYX", number=3, seed=1, frames=[1])
    assert (image.axes, image.data.shape, image.z_step_nm) == ("TZYX", (3, 7, 128, 128), 200.0)
    assert set(place(image.data, sizes)["T"].ravel()) == {1}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_windows(seed: int) -> None:
    first, again, other = (windows(marked({"Y": 900, "X": 900})[0], number=4, seed=s).data for s in (seed, seed, 7))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_image_says_how_much_of_it_was_seen() -> None:
    image = windows(marked({"T": 100, "Y": 320, "X": 320})[0], number=10, seed=0)
    assert isinstance(image, Image)
    assert image.history["sampled"] == {"windows": 10, "share": 0.1}


def test_what_fits_into_memory_is_read_whole_and_what_does_not_by_windows() -> None:
    source, _ = marked({"T": 4, "Y": 640, "X": 640})
    whole = for_training(source, memory_bytes=60 * 4 * 640**2)
    assert whole.data.shape == (4, 640, 640) and "sampled" not in whole.history
    part = for_training(source, memory_bytes=60 * 3 * 320**2)
    assert part.data.shape == (3, 320, 320) and part.history["sampled"]["windows"] == 3
    with pytest.raises(SuperlensError, match="`memory_gb`"):
        for_training(source, memory_bytes=1e3)
