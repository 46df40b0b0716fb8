"""Movies as files hold them: what is taken for frames over time, and what is asked for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.streaming.movie import check_movie, open_movie

COUNTS = np.random.default_rng(0).integers(90, 300, (5, 16, 20)).astype(np.uint16)


def stored(folder: Path, counts: np.ndarray = COUNTS, **how: Any) -> Path:
    """A TIFF of these counts."""
    path = folder / "movie.tif"
    tifffile.imwrite(path, counts, photometric=how.pop("photometric", "minisblack"), **how)
    return path


@pytest.mark.parametrize(
    "how",
    [{"metadata": None}, {}, {"imagej": True, "metadata": {"axes": "ZYX"}}],
    ids=["plain", "unnamed", "slices"],
)
def test_images_of_a_series_are_frames_and_it_is_said(tmp_path: Path, how: dict[str, Any]) -> None:
    with pytest.warns(SuperlensWarning, match="5 are taken for frames"):
        movie = open_movie(stored(tmp_path, **how), pixel_nm=100.0)
    assert check_movie(movie) == COUNTS.shape
    np.testing.assert_array_equal(movie.data[1:3], COUNTS[1:3])


def test_named_frames_and_named_axes_are_taken_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_movie(stored(tmp_path, imagej=True, metadata={"axes": "TYX"})).axes == "TYX"
        assert open_movie(stored(tmp_path, metadata=None), axes="TYX").axes == "TYX"


def test_slices_with_a_step_between_them_are_no_movie(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "spacing": 0.3, "unit": "um"}
    movie = open_movie(stored(tmp_path, imagej=True, metadata=about), pixel_nm=100.0)
    with pytest.raises(SuperlensError, match="`axes` TYX"):
        check_movie(movie)


def test_colours_are_no_frames(tmp_path: Path) -> None:
    """Neither as samples of each pixel nor as planes."""
    for planar in ("contig", "separate"):
        counts = np.moveaxis(COUNTS[:3], 0, -1) if planar == "contig" else COUNTS[:3]
        path = stored(tmp_path, counts.astype(np.uint8), photometric="rgb", planarconfig=planar)
        with pytest.raises(SuperlensError):
            check_movie(open_movie(path, pixel_nm=100.0))
