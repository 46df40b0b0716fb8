"""A second image through the same optics learns with what was traced for the first, and neither result knows of the other."""

from __future__ import annotations

import numpy as np
import pytest

from superlens import simulate
from superlens.camera import Camera
from superlens.enhancing import enhance
from superlens.image import Image
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.optics import PSF
from superlens.result import Result
from superlens.training import get_weights

PIXEL_NM = 65.0
quick = pytest.mark.usefixtures("untraced")


def enhanced(seed: int, fwhm_nm: float = 240.0, **settings: object) -> Result:
    optics = PSF.gaussian(fwhm_nm, PIXEL_NM / 2)
    drawn = simulate.scene(
        "filaments", 100, psf=optics, camera=Camera(2.0, 100.0, 1.0), shape=(32, 32), background=20.0, seed=seed
    )
    image = Image(drawn.observed.data, pixel_nm=PIXEL_NM)
    return enhance(
        image, optics, config=ZSDeconvConfig.of("fast", **{"steps": 2, "flips": 1, "offset": 100.0, **settings})
    )


@pytest.fixture(scope="module")
def first() -> tuple[Result, list[np.ndarray]]:
    made = enhanced(0)
    return made, [np.array(weight) for weight in get_weights(made.model.network)]


@quick
def test_what_was_learned_stays_when_another_image_is_learned(first: tuple[Result, list[np.ndarray]]) -> None:
    result, weights = first
    other = enhanced(1, steps=3)
    assert other.model.network is not result.model.network
    for now, then in zip(get_weights(result.model.network), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_same_image_gives_the_same_pixels_whatever_was_learned_between(
    first: tuple[Result, list[np.ndarray]],
) -> None:
    """Traced, as the first was: operation by operation bfloat16 is rounded elsewhere."""
    enhanced(2, fwhm_nm=300.0)
    again = enhanced(0)
    assert again.history.records[-1].loss == pytest.approx(first[0].history.records[-1].loss, rel=1e-5)
    np.testing.assert_allclose(again.image.data, first[0].image.data, rtol=1e-5)


@quick
def test_a_loss_of_another_kind_is_not_taken_for_the_same() -> None:
    plain, smooth = (enhanced(3, learning_rate=1e-2, learns="both", hessian=weight).history for weight in (0.0, 10.0))
    assert plain.records[-1].loss != smooth.records[-1].loss
