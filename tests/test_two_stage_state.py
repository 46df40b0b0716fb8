"""What a two-stage model keeps: it comes back from its file, and refuses images that it was not made for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tiny
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.model import Model
from superlens.observing.conditioning import Normaliser
from superlens.optics import PSF, Response
from superlens.training.two_stage.state import TwoStageState

DEEP = PSF.gaussian(250.0, 31.3, fwhm_z_nm=600.0, z_step_nm=200.0)
FLAT = PSF.gaussian(250.0, 31.3)


def state(**changes) -> TwoStageState:
    known = {
        "axes": "YX",
        "pixel_nm": 62.6,
        "response": Response(1.5, 1.0, 0.1),
        "normaliser": Normaliser(3.5, 120.0),
        "camera": Camera(2.0, 100.0, 1.5, frozenset({"gain"})),
        "psf": FLAT,
        "spread": 0.8,
        "settings": {"seed": 4},
    }
    return TwoStageState(**{**known, **changes})


def kept(told: TwoStageState, **changes) -> Model:
    """A model that keeps a state, some of whose stored values are other ones."""
    start = tiny.start()
    stored = {name: value for name, value in {**told.stored(), **changes}.items() if value != "absent"}
    return Model(start.config.with_changes({"state": stored}), start.network, told.arrays())


@pytest.mark.parametrize(
    "told",
    [state(), state(axes="ZYX", psf=DEEP), state(psf=None, camera=None, response=None, pixel_nm=None, spread=None)],
)
def test_a_state_comes_back_from_a_file(tmp_path, told):
    kept(told).save(tmp_path / "model.zip")
    back = TwoStageState.of(Model.load(tmp_path / "model.zip"))
    for name in ("axes", "scale", "pixel_nm", "response", "normaliser", "camera", "spread", "settings"):
        assert getattr(back, name) == getattr(told, name), name
    assert (back.psf is None) == (told.psf is None)
    if told.psf is not None:
        np.testing.assert_allclose(back.psf.data, told.psf.data, rtol=1e-12)  # brought to sum 1 once more
        about = ("pixel_nm", "z_step_nm", "source")
        assert [getattr(back.psf, name) for name in about] == [getattr(told.psf, name) for name in about]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"scale": 1}, "scale is 1 and its network has 2"),
        ({"scale": 99}, "scale"),
        ({"contrast": 0.0}, "contrast"),
        ({"level": "high"}, "level"),
        ({"axes": "XYZ"}, "axes"),
        ({"axes": "absent"}, "axes is missing"),
        ({"colour": "red"}, "colour"),
        ({"spread": -1.0}, "spread"),
        ({"response": {"lateral": 0.5, "axial": 1.0}}, "lateral"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, match):
    with pytest.raises(SuperlensError, match=match):
        TwoStageState.of(kept(state(), **changes))


def test_a_lost_psf_is_missed():
    with pytest.raises(SuperlensError, match="PSF is missing"):
        TwoStageState.of(replace(kept(state()), arrays={}))


@pytest.mark.parametrize(("ours", "theirs"), [(62.6, 65.0), (62.6, 60.0), (62.6, 31.3)])
def test_another_pixel_size_is_refused_with_both_values(ours, theirs):
    with pytest.raises(SuperlensError, match=rf"cell has a pixel of {theirs:g} nm .* trained at {ours:g} nm"):
        state(pixel_nm=ours).check_fits(Image(np.zeros((16, 16)), pixel_nm=theirs, name="cell"))


@pytest.mark.parametrize("theirs", [62.6, 63.0, 62.0])
def test_pixel_sizes_within_two_percent_fit(theirs):
    state().check_fits(Image(np.zeros((16, 16)), pixel_nm=theirs))


def test_missing_pixel_size_is_asked_for():
    with pytest.raises(SuperlensError, match=r"no pixel size .* 62\.6 nm; give it with `pixel_nm`"):
        state().check_fits(Image(np.zeros((16, 16))))


@pytest.mark.parametrize("pixel_nm", [None, 62.6, 1000.0])
def test_a_denoiser_takes_any_pixel_size(pixel_nm):
    state(psf=None, pixel_nm=None).check_fits(Image(np.zeros((16, 16)), pixel_nm=pixel_nm))


def test_missing_axis_and_another_step_are_named():
    deep = state(axes="ZYX", psf=DEEP)
    with pytest.raises(SuperlensError, match="takes ZYX .* has axes YX; expected an image with Z"):
        deep.check_fits(Image(np.zeros((16, 16)), pixel_nm=62.6))
    stack = Image(np.zeros((8, 16, 16)), "ZYX", pixel_nm=62.6, z_step_nm=300.0)
    with pytest.raises(SuperlensError, match="z-step of 300 nm and the model was trained at 200"):
        deep.check_fits(stack)
    deep.check_fits(replace(stack, z_step_nm=202.0))
    with pytest.raises(SuperlensError, match="no z-step .* give it with `z_step_nm`"):
        deep.check_fits(replace(stack, z_step_nm=None))
