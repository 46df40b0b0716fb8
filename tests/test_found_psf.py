"""A PSF from the image alone: its width is right, scales with the pixel, and says where the image cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import superlens as sl
from superlens import simulate
from superlens.cli import main
from superlens.errors import SuperlensError
from superlens.io import write
from superlens.metrics import find_psf
from superlens.optics import PSF


def seen(fwhm_px, photons=100.0, seed=0, side=192):
    rng = np.random.default_rng(seed)
    specimen = simulate.filaments((side, side), rng, density=0.03, width=1.0)
    blurred = PSF.gaussian(fwhm_px * 100.0, 100.0).blur(specimen)
    light = photons * blurred / np.percentile(blurred, 99.5) + 2
    return sl.Image(rng.poisson(light).astype(np.float32) + 100, "YX", pixel_nm=100.0, name="seen")


@pytest.mark.parametrize("fwhm_px", [2.5, 4.0, 7.0])
def test_the_width_of_a_known_psf_is_found(fwhm_px):
    found = find_psf(seen(fwhm_px))
    assert found.found
    assert found.fwhm_nm == pytest.approx(100 * fwhm_px, rel=0.15)
    assert found.low_nm <= found.fwhm_nm <= found.high_nm
    assert found.psf.fwhm_nm == pytest.approx(found.fwhm_nm, rel=0.02)


def test_the_width_scales_with_the_pixel_and_forgets_gain_and_offset():
    image = seen(4.0)
    one, other = find_psf(image), find_psf(image.with_data(3 * image.data + 50), pixel_nm=50.0)
    assert other.fwhm_nm == pytest.approx(one.fwhm_nm / 2, rel=0.02)


def test_several_planes_tell_it_together():
    planes = np.stack([seen(4.0, photons=20, seed=i).data for i in range(4)])
    found = find_psf(sl.Image(planes, "TYX", pixel_nm=100.0))
    assert found.fwhm_nm == pytest.approx(400, rel=0.15)


@pytest.mark.parametrize("shape", [(40, 40), (128, 128)])
def test_an_image_without_structure_falls_back_and_says_so(shape):
    noise = np.random.default_rng(0).poisson(20.0, shape).astype(np.float32)
    found = find_psf(sl.Image(noise, "YX", pixel_nm=100.0))
    assert not found.found
    assert found.fwhm_nm == 250.0
    assert "2.5 pixels" in found.note


def test_channels_and_a_missing_pixel_size_are_refused():
    data = np.zeros((2, 64, 64), np.float32)
    with pytest.raises(SuperlensError, match="several channels"):
        find_psf(sl.Image(data, "CYX", pixel_nm=100.0))
    with pytest.raises(SuperlensError, match="pixel_nm"):
        find_psf(sl.Image(data[0], "YX"))


def shell(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_shell_finds_it_and_says_what_it_used(tmp_path):
    write(tmp_path / "cell.tif", seen(4.0, side=96))
    done = shell("enhance", tmp_path / "cell.tif", "--psf", "auto", "--steps", 0, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "the PSF was found from the image" in done.output
    assert "the PSF was found from the image" in (tmp_path / "out" / "run.json").read_text()


@pytest.mark.parametrize(
    ("axes", "more", "said"),
    [("YX", ["--na", "1.3"], "`--na` is given|na"), ("ZYX", [], "slices")],
)
def test_what_contradicts_it_is_refused(tmp_path, axes, more, said):
    data = seen(4.0, side=64).data
    stack = np.stack([data] * 8) if axes == "ZYX" else data
    write(tmp_path / "cell.tif", sl.Image(stack, axes, pixel_nm=100.0, z_step_nm=200.0 if axes == "ZYX" else None))
    done = shell("enhance", tmp_path / "cell.tif", "--psf", "auto", *more, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "auto" in done.output


def test_a_dry_run_says_nothing_of_pixels_that_it_has_not_read(tmp_path):
    write(tmp_path / "cell.tif", seen(4.0, side=96))
    done = shell("enhance", tmp_path / "cell.tif", "--psf", "auto", "--dry-run", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "too little light" not in done.output
