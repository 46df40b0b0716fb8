"""Each shipped model gives today what it gave when it was shipped: one tiny picture in, one out.

``python tests/test_models.py NAME`` writes ``models/NAME/expected.json`` for a model that is new.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from superlens.enhancing import enhance
from superlens.image import Image
from superlens.methods.deepstorm.detect import Detector
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv_sim.already import usual_spectrum
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.state import START as STRUCTURED
from superlens.model import Model, read_header, shipped
from superlens.networks import architecture
from superlens.observing.conditioning import Normaliser, condition
from superlens.observing.haze import cells_of, channels_of
from superlens.optics import PSF
from superlens.optics.detection import Detection
from superlens.predicting.haze import haze_shares
from superlens.training.two_stage.turning import averaged

MODELS = Path(__file__).parents[1] / "models"


def tiny_picture():
    """A bright cross on a dim field, in counts, with shot noise."""
    y, x = np.mgrid[:24, :24]
    light = 10 + 60 * np.exp(-((y - 9) ** 2) / 3) + 60 * np.exp(-((x - 14) ** 2) / 3)
    return np.random.default_rng(0).poisson(light)


def outputs(picture, name):
    """What a shipped model makes of it, before any zero-shot step."""
    header = read_header(shipped()[name])
    network = architecture(header.network)
    if header.method == STRUCTURED:
        return of_a_reconstruction(np.asarray(picture, np.float32), name)
    if network.outputs == ("density",):
        frame = np.asarray(picture, np.float32)[None]
        return {"density": Detector.of(Model.load(shipped()[name])).maps(frame, 600.0, 10.0)[0, 96:128, 96:128]}
    if network.inputs == "cells":
        light = np.asarray(picture, np.float32).repeat(3, 0).repeat(3, 1)
        cells = cells_of(light, np.sqrt(light), 3.4)
        return dict(zip(("haze", "sure", "less_sure"), haze_shares(channels_of(cells, 3.4)), strict=True))
    known = {"steps": 0, "flips": 1, "offset": 0.0, "gain": 1.0, "read_noise_e": 1.0, "sharpen": 1.5, "haze": "keep"}
    if network.axes == "ZYX":
        return middle_slice(np.asarray(picture, np.float32), ZSDeconvConfig.of("fast", axes="ZYX", **known))
    config = ZSDeconvConfig.of("fast", **known)
    result = enhance(Image(np.asarray(picture, np.float32), pixel_nm=65.0), PSF.gaussian(220.0, 32.5), config=config)
    return {"denoised": result.denoised.data, "sharp": result.image.data, "uncertainty": result.uncertainty.data}


def of_a_reconstruction(picture, name):
    """Of the picture as a reconstruction of structured illumination, with the optics that are assumed of other programs'."""
    sigma = np.sqrt(picture)
    optics = SimOptics.of(usual_spectrum(Detection(0.35), 0.65), 0.15, 1.5, 65.0)
    normaliser = Normaliser.measure(picture, sigma)
    channels = condition(picture, sigma, normaliser, optics.bank)
    denoised, sharp, log_sigma = averaged(Model.load(shipped()[name]).network, channels, flips=1, align=4)
    stated = np.exp(log_sigma) * normaliser.contrast
    return {"denoised": normaliser.backward(denoised), "sharp": normaliser.backward(sharp), "uncertainty": stated}


def middle_slice(picture, config):
    """Of a stack in which the picture comes and goes."""
    stack = picture * np.array([0.3, 0.6, 1.0, 0.8, 0.4, 0.2], np.float32)[:, None, None]
    psf = PSF.gaussian(220.0, 32.5, fwhm_z_nm=600.0, z_step_nm=200.0)
    result = enhance(Image(stack, axes="ZYX", pixel_nm=65.0, z_step_nm=200.0), psf, config=config)
    made = {"denoised": result.denoised, "sharp": result.image, "uncertainty": result.uncertainty}
    return {what: image.data[2] for what, image in made.items()}


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_model_gives_what_it_gave(name):
    told = json.loads((MODELS / name / "expected.json").read_text())
    for what, values in outputs(told["picture"], name).items():
        # Molecules a pixel; shares; counts, of which the picture spans 120.
        atol = {"density": 2e-3, "haze": 5e-3, "sure": 5e-3}.get(what, 0.05)
        np.testing.assert_allclose(values, told[what], atol=atol, err_msg=what)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_model_comes_with_a_card_that_states_data_and_licence(name):
    card = (MODELS / name / "card.md").read_text()
    assert "trained on" in card
    assert "licence" in card


if __name__ == "__main__":
    picture = tiny_picture()
    made = {
        "picture": picture.tolist(),
        **{
            k: np.round(v.astype(float), 4 if k in ("density", "haze", "sure") else 2).tolist()
            for k, v in outputs(picture, sys.argv[1]).items()
        },
    }
    (MODELS / sys.argv[1] / "expected.json").write_text(json.dumps(made).replace("], [", "],\n [") + "\n")
