"""Targets hold nothing that the optics do not pass, and lose nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.camera import Camera, share_photons
from superlens.optics import PSF, image_of
from superlens.training.two_stage.banded import Band
from superlens.training.two_stage.pairs import Pair

SHAPE = (96, 128)


def pair(target: np.ndarray) -> Pair:
    ones = np.ones(SHAPE, np.float32)
    return Pair(ones, target.astype(np.float32), ones, ones, (0.0, 1.0))


def mode(row: int, column: int) -> np.ndarray:
    """A wave that fits between mirrored edges, of ``(row / 96, column / 128) / 2`` cycles per pixel."""
    y, x = ((np.arange(n) + 0.5) * np.pi * k / n for n, k in zip(SHAPE, (row, column), strict=True))
    return np.outer(np.cos(y), np.cos(x))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (10, 12), (30, 0), (0, 45)])
def test_what_lies_within_the_band_stays(row, column):
    wave = mode(row, column)
    np.testing.assert_allclose(Band(0.2).limited(pair(wave)).target, wave, atol=1e-5)


@pytest.mark.parametrize(("row", "column"), [(50, 0), (0, 60), (40, 40), (95, 127)])
def test_what_lies_beyond_is_taken_out(row, column):
    np.testing.assert_allclose(Band(0.2).limited(pair(mode(row, column))).target, 0, atol=1e-5)


def test_a_band_that_holds_every_frequency_changes_nothing():
    given = pair(np.random.default_rng(0).normal(size=SHAPE))
    assert Band(0.75).limited(given) is given


def test_of_white_noise_the_share_of_the_band_is_left():
    noise = np.random.default_rng(1).normal(size=SHAPE)
    left = Band(0.2).limited(pair(noise)).target.var()
    assert np.pi * 0.2**2 < left < np.pi * (0.2 * 1.15) ** 2


@pytest.mark.parametrize("width_px", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("scale", [1, 2])
def test_an_image_through_the_optics_lies_within_their_band(width_px, scale):
    psf = PSF.gaussian(100.0 * width_px, 100.0 / scale)
    specimen = np.random.default_rng(2).poisson(0.05, [scale * n for n in SHAPE]).astype(np.float64)
    image = image_of(specimen, psf.data, scale=scale)
    limited = Band.of(psf, 100.0).limited(pair(image)).target
    inner = (slice(12, -12),) * 2
    assert np.abs(limited - image)[inner].max() < 0.01 * np.ptp(image)


def test_each_plane_of_a_volume_is_limited_by_itself():
    planes = np.random.default_rng(5).normal(size=(3, *SHAPE)).astype(np.float32)
    ones = np.ones_like(planes)
    made = Band(0.2).limited(Pair(ones, planes, ones, ones, (0.0, 1.0))).target
    for plane, limited in zip(planes, made, strict=True):
        np.testing.assert_allclose(limited, Band(0.2).limited(pair(plane)).target, atol=1e-5)


def test_a_speck_that_both_copies_hold_leaves_the_target():
    """Multiplied electrons that are dealt out as plain ones stand in both copies."""
    image = Camera(1.0, 0.0, 0.0, multiplied=True).expose(np.full((512, 512), 0.5), np.random.default_rng(3))
    first, second = share_photons(image, 0.5, Camera(1.0, 0.0, 0.0), 1.0, np.random.default_rng(4))
    ones = np.ones(first.shape, np.float32)
    limited = Band(0.2).limited(Pair(first, second.astype(np.float32), ones, ones, (0.0, 1.0))).target
    bright = first > 4
    kept = limited[bright].mean() - 0.5
    assert second[bright].mean() - 0.5 > 0.2
    assert abs(kept) < 0.3 * (second[bright].mean() - 0.5)
