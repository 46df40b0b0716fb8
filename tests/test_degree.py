"""`sharpen` auto: as far as the light of the image carries."""

from __future__ import annotations

import pytest

from superlens import simulate
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.degree import DEGREES
from superlens.methods.zsdeconv.prepared import Prepared, prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.optics import PSF

PIXEL_NM = 65.0
OPTICS = PSF.gaussian(262.0, PIXEL_NM / 2)


def prepared(photons: float, seed: int = 0, **settings: object) -> Prepared:
    drawn = simulate.scene(
        "filaments", photons, psf=OPTICS, camera=Camera(2.0, 100.0, 1.0), shape=(128, 128), background=2.0, seed=seed
    )
    config = ZSDeconvConfig.of("instant", **{"sharpen": "auto", "offset": 100.0, **settings})
    return prepare([Image(drawn.observed.data, pixel_nm=PIXEL_NM)], OPTICS, config)


def test_more_light_is_sharpened_further() -> None:
    found = [prepared(photons).config.sharpen for photons in (3, 30, 1000)]
    assert found == sorted(found)
    assert found[0] < found[-1]
    assert set(found) <= set(DEGREES)


def test_it_is_what_the_sharp_image_states() -> None:
    one = prepared(200)
    assert one.by_light
    assert one.optics.response.lateral == one.config.sharpen


def test_the_same_light_gets_the_same_degree() -> None:
    assert len({prepared(60, seed).config.sharpen for seed in range(4)}) == 1


def test_without_optics_nothing_is_asked() -> None:
    assert prepared(30, denoise_only=True).config.sharpen == 1.5


@pytest.mark.parametrize("given", [1.8, "1.8"])
def test_a_number_is_taken_as_it_is(given: object) -> None:
    one = prepared(30, sharpen=given)
    assert (one.config.sharpen, one.by_light) == (1.8, False)


@pytest.mark.parametrize("wrong", ["most", 1.1, 3, None])
def test_another_degree_is_refused_in_one_line(wrong: object) -> None:
    with pytest.raises(SuperlensError, match="expected a number from 1.2 to 2.5, or auto"):
        ZSDeconvConfig.of("fast", sharpen=wrong)


def test_random_weights_are_asked_for_less_than_the_shipped_ones() -> None:
    shipped, scratch = ZSDeconvConfig.of("fast"), ZSDeconvConfig.of("fast", from_scratch=True)
    assert shipped.sharpen > scratch.sharpen == ZSDeconvConfig.of("paper").sharpen
    assert ZSDeconvConfig.of("fast", from_scratch=True, sharpen=2.0).sharpen == 2.0


@pytest.mark.parametrize("degree", [1.2, 2.5])
def test_denoising_does_not_depend_on_the_degree(degree: float) -> None:
    asked, usual = (prepared(30, denoise_only=True, **given) for given in ({"sharpen": degree}, {}))
    assert asked.optics.response == usual.optics.response
