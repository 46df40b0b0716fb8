"""Acquisitions of Micro-Manager in a file for each plane are read as one image for each position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from foreign_tiff import planes
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io import find_images, open_image, open_sequence, read
from superlens.runs.folders import find_inputs, stem_of

SIZES = {"T": 3, "C": 2, "Z": 4}
CHANNELS = ["GFP", "DAPI 405"]  # not in the order of the alphabet


def older(t: int, c: int, z: int, position: int = 0) -> str:
    return f"img_{t:09d}_{CHANNELS[c]}_{z:03d}.tif"


def newer(t: int, c: int, z: int, position: int = 0) -> str:
    return f"img_channel{c:03d}_position{position:03d}_time{t:09d}_z{z:03d}.tif"


def acquire(folder: Path, name: Any, sizes: dict[str, int], *, position: int = 0, told: str | None = "") -> list[Path]:
    """Write an acquisition; its metadata with what `told` adds, or none."""
    folder.mkdir(parents=True, exist_ok=True)
    data = planes(sizes) + position
    files = []
    for t, c, z in np.ndindex(data.shape[:3]):
        files.append(folder / name(t, c, z, position))
        tifffile.imwrite(files[-1], data[t, c, z])
    summary = {
        "Prefix": "a_1", "ChNames": CHANNELS[: sizes.get("C", 1)], "PixelSize_um": 0.0626, "z-step_um": 0.3,
        "Channels": sizes.get("C", 1), "Slices": sizes.get("Z", 1), "Frames": sizes.get("T", 1),
    }  # fmt: skip
    if told is not None:
        text = json.dumps({"Summary": summary, "FrameKey-0-0-0": {"FileName": files[0].name, "ElapsedTime-ms": 12}})
        (folder / "metadata.txt").write_text(text + told)
    return files


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("name", [older, newer])
@pytest.mark.parametrize("sizes", [SIZES, {"T": 5}, {"Z": 4, "C": 2}, {"C": 2}, {}])
def test_every_file_stands_for_the_whole_acquisition(
    tmp_path: Path, name: Any, sizes: dict[str, int], lazily: bool
) -> None:
    files = acquire(tmp_path, name, sizes)
    image = open_image(files[-1]).load() if lazily else read(files[-1])
    assert image.axes == "".join(axis for axis in "TCZ" if sizes.get(axis, 1) > 1) + "YX"
    np.testing.assert_array_equal(image.data, planes(sizes).squeeze())
    assert image.pixel_nm == 62.6
    if "C" in sizes:
        assert image.channel_names == tuple(CHANNELS)
    if "Z" in sizes:
        assert image.z_step_nm == 300.0
    assert find_images([tmp_path]) == sorted(files)[:1]
    assert find_images(files) == files[:1]


def test_positions_are_images_of_their_own(tmp_path: Path) -> None:
    for position in range(2):
        acquire(tmp_path / "together", newer, {"T": 3}, position=position)
        acquire(tmp_path / "apart" / f"Pos{position}", older, {"T": 3}, position=position)
    for folder in ("together", "apart"):
        found = find_images([tmp_path / folder])
        images = [read(file) for file in found]
        assert [int(image.data[0, 0, 0]) for image in images] == [0, 1]
        names = ["Pos0", "Pos1"] if folder == "apart" else ["together_position000", "together_position001"]
        assert [image.name for image in images] == names
        assert [stem_of(file) for file in find_inputs([tmp_path / folder])] == names  # no two results of one name


def test_without_its_metadata_an_acquisition_is_known_by_its_names(tmp_path: Path) -> None:
    image = read(acquire(tmp_path, older, SIZES, told=None)[0])
    assert (image.axes, image.pixel_nm) == ("TCZYX", None)
    assert image.channel_names == tuple(sorted(CHANNELS))
    np.testing.assert_array_equal(image.data, planes(SIZES)[:, ::-1])


@pytest.mark.parametrize("name", [older, newer])
def test_a_stopped_acquisition_gives_its_whole_frames(tmp_path: Path, name: Any) -> None:
    """With metadata that end in the middle of a word."""
    files = acquire(tmp_path, name, SIZES)
    for file in files[-5:]:
        file.unlink()
    text = (tmp_path / "metadata.txt").read_text()
    (tmp_path / "metadata.txt").write_text(text[:-20])
    with pytest.warns(SuperlensWarning, match="announces 24 planes, and 5 of them are missing"):
        image = read(files[0])
    np.testing.assert_array_equal(image.data, planes(SIZES)[:2])
    assert image.pixel_nm == 62.6


def test_the_pixel_size_may_stand_with_the_planes(tmp_path: Path) -> None:
    files = acquire(tmp_path, newer, {"T": 2})
    frame = {"PixelSizeUm": 0.11}
    (tmp_path / "metadata.txt").write_text(json.dumps({"Summary": {"PixelSize_um": 0}, "Metadata-a": frame}))
    assert read(files[0]).pixel_nm == 110.0


def test_other_files_in_the_folder_are_images_of_their_own(tmp_path: Path) -> None:
    files = acquire(tmp_path, older, {"T": 2})
    tifffile.imwrite(tmp_path / "img_average.tif", planes({})[0, 0, 0])
    assert find_images([tmp_path]) == [files[0], tmp_path / "img_average.tif"]


def test_files_that_are_no_single_planes_are_refused(tmp_path: Path) -> None:
    files = acquire(tmp_path, older, {"T": 2})
    tifffile.imwrite(files[1], planes({"T": 3})[:, 0, 0], photometric="minisblack")
    with pytest.raises(SuperlensError, match=r"img_000000001_GFP_000.tif holds 3 planes; expected one"):
        read(files[0])


def test_a_pattern_of_its_files_is_no_sequence(tmp_path: Path) -> None:
    acquire(tmp_path, older, SIZES)
    with pytest.raises(SuperlensError, match=r"without `sequence`, and `channel`"):
        open_sequence(tmp_path / "img_*_GFP_000.tif")
    assert open_sequence(tmp_path).axes == "TCZYX"
