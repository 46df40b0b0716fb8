"""Which stages learn from an image: of 2D images that begin from a start the first alone, which cannot take up a PSF that is stated wrong."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from superlens import enhancing
from superlens.image import Image
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model
from superlens.networks import architecture
from superlens.optics import PSF

pytestmark = pytest.mark.usefixtures("untraced")

START = tiny.start()
SHARPENING = architecture("light").layers_of("sharp")


def trained(fwhm_nm: float = 240.0, **settings: object) -> Model:
    data = 100 + np.random.default_rng(0).poisson(np.linspace(0, 90, 48) * np.ones((48, 48)))
    config = ZSDeconvConfig.of(
        steps=3, batch=1, patch=32, flips=1, offset=100.0, gain=1.0, read_noise_e=0.0, learning_rate=1e-2, **settings
    )
    image = Image(data.astype(np.uint16), pixel_nm=65.0, name="ramp")
    return enhancing.train(image, PSF.gaussian(fwhm_nm, 32.5), config=config, start=START)


def moved(model: Model) -> dict[bool, bool]:
    """Whether some layer moved away from the start, of the second stage and of the others."""
    found = {True: False, False: False}
    for ours, theirs in zip(model.network.layers, START.network.layers, strict=True):
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            found[ours.name.startswith(SHARPENING)] |= not np.array_equal(one, other)
    return found


@pytest.fixture
def kept_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned is kept whatever the held-out blocks say."""
    from superlens.training.two_stage import recipe

    monkeypatch.setattr(recipe, "as_far_as_the_data_ask", lambda start, end, risks: (end, 1.0))


@pytest.mark.usefixtures("kept_to_the_end")
def test_the_second_stage_stays_as_it_was_unless_it_is_asked_to_learn() -> None:
    assert moved(trained()) == {True: False, False: True}
    assert moved(trained(learns="both")) == {True: True, False: True}


def test_what_begins_from_nothing_and_volumes_learn_both() -> None:
    assert ZSDeconvConfig.of("fast", axes="YX").first_only
    assert ZSDeconvConfig.of("fast", denoise_only=True, from_scratch=True).first_only
    for both in ({"from_scratch": True}, {"axes": "ZYX"}, {"learns": "both"}, {"preset": "paper"}):
        assert not ZSDeconvConfig.of(**both).first_only
