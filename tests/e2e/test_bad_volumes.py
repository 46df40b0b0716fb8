"""Stacks and PSF stacks that are not what they should be: refused in one line that names the option, or put right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import read, read_psf, write
from superlens.optics import PSF, Objective
from superlens.runs.choices import Reading

pytestmark = pytest.mark.usefixtures("slim")

Run = Callable[..., Result]

OPTICS = ("--na", 1.1, "--wavelength-nm", 525)


def stack(slices: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.poisson(100, (slices, 32, 32)).astype(np.uint16)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0], lines[0]


@pytest.fixture(scope="module")
def light() -> PSF:
    return Objective(na=1.1, wavelength_nm=525).psf(65.0, z_step_nm=200.0)


# -- PSF stacks


def test_an_off_centre_psf_of_even_depth_is_centred(tmp_path: Path, light: PSF) -> None:
    whole = np.pad(
        light.data, ((2, 5), (3, 8), (0, 3))
    )  # one more at the far ends, an even depth, the point off the middle
    whole = whole[: whole.shape[0] // 2 * 2]
    counts = (whole / whole.max() * 20_000).astype(np.float32)
    path = write(tmp_path / "psf.tif", Image(counts, "ZYX", 65.0, 200.0))
    found = read_psf(path)
    assert all(side % 2 for side in found.data.shape)
    for axis in range(3):
        others = tuple(at for at in range(3) if at != axis)
        place = np.arange(found.data.shape[axis]) - found.data.shape[axis] // 2
        centre = (found.data.sum(axis=others) * place).sum()
        assert abs(centre) < 0.2
    assert found.fwhm_nm == pytest.approx(light.fwhm_nm, rel=0.03)


def test_a_psf_stack_without_its_step_asks_for_it(tmp_path: Path, light: PSF) -> None:
    path = write(tmp_path / "psf.tif", Image(light.data.astype(np.float32), "ZYX", 65.0))
    with pytest.raises(SuperlensError, match="`psf_z_step_nm`"):
        read_psf(path)
    assert read_psf(path, z_step_nm=200.0).z_step_nm == 200.0


# -- stacks


def test_a_stack_without_axes_is_asked_for_them(superlens: Run, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", stack(), photometric="minisblack", metadata=None)
    refused(superlens("enhance", tmp_path / "stack.tif", *OPTICS, "--out", tmp_path / "out"), "--axes ZYX, TYX or CYX")
    assert not (tmp_path / "out").exists()


def test_axes_and_step_from_the_command_line_reach_the_image(tmp_path: Path) -> None:

    tifffile.imwrite(tmp_path / "stack.tif", stack(), photometric="minisblack", metadata=None)
    choice = Reading(130.0, "ZYX", z_step_nm=300.0)
    image = choice.read(tmp_path / "stack.tif")
    assert (image.axes, image.pixel_nm, image.z_step_nm) == ("ZYX", 130.0, 300.0)
    opened = choice.file(tmp_path / "stack.tif").open()
    assert (opened.axes, opened.pixel_nm, opened.z_step_nm) == ("ZYX", 130.0, 300.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "step", "slices", "options", "words"),
    [
        ("TYX", None, 6, ("--volume",), ("6 planes are frames", "--axes ZYX")),
        ("TYX", None, 6, ("--z-step-nm", 300), ("6 planes are frames", "--axes ZYX")),
        ("ZYX", None, 6, ("--volume",), ("no z-step", "--z-step-nm")),
        ("ZYX", 300.0, 1, ("--volume",), ("1 slice along Z", "--planes")),
        ("ZYX", 300.0, 4, ("--volume",), ("4 slices", "at least 5")),
    ],
)
def test_volumes_that_cannot_be_are_refused(
    superlens: Run,
    tmp_path: Path,
    axes: str,
    step: float | None,
    slices: int,
    options: tuple[object, ...],
    words: tuple[str, ...],
) -> None:
    path = write(tmp_path / "stack.tif", Image(stack(slices), axes, 65.0, step))
    refused(superlens("enhance", path, *OPTICS, *options, "--steps", 0, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_volume_and_a_flat_psf_are_refused_in_words(superlens: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "stack.tif", Image(stack(), "ZYX", 65.0, 300.0))
    psf = write(tmp_path / "psf.tif", Image(PSF.gaussian(240.0, 32.5).data.astype(np.float32), pixel_nm=32.5))
    refused(superlens("enhance", path, "--psf", psf, "--volume", "--out", tmp_path / "out"), "single plane", "--planes")


@pytest.mark.slow
def test_a_stack_of_one_slice_is_a_plane(superlens: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "stack.tif", Image(stack(1), "ZYX", 65.0, 300.0))
    result = superlens("enhance", path, *OPTICS, "--steps", 0, "--set", "flips=1", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    made = read(tmp_path / "out" / "stack_sr.tif")
    assert (made.axes, made.data.shape, made.z_step_nm) == ("ZYX", (1, 64, 64), 300.0)
