"""Prediction in tiles is prediction of the whole, for both networks, through the path that a user's image takes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from superlens.camera import Camera
from superlens.image import Image
from superlens.methods.zsdeconv.predictor import predictor_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model, ModelConfig
from superlens.networks import build
from superlens.observing import observe
from superlens.observing.conditioning import CHANNELS, Normaliser
from superlens.optics import PSF, RESPONSES
from superlens.predicting import predict_whole
from superlens.training.two_stage.state import TwoStageState

PIXEL_NM = 65.0
CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.0)
ARGUMENTS = {
    "light": {"channels": CHANNELS, "scale": 2, "widths": (4, 4, 4)},
    "unet": {"scale": 2, "base_channels": 4},
}


@pytest.fixture(scope="module", params=sorted(ARGUMENTS))
def model(request):
    """Random weights: nothing is smooth, and every path through the network counts."""
    keras.utils.set_random_seed(0)
    network = build(request.param, ARGUMENTS[request.param])
    for layer in network.layers:
        if layer.name.endswith("_head"):  # so that the second stage is not the interpolated first
            layer.set_weights([10 * w for w in layer.get_weights()])
    state = TwoStageState(
        axes="YX",
        pixel_nm=PIXEL_NM,
        response=RESPONSES["YX"] if request.param == "light" else None,
        normaliser=Normaliser(0.0, 100.0),
        camera=CAMERA,
        psf=PSF.gaussian(240.0, PIXEL_NM / 2),
        spread=1.0,
        settings=ZSDeconvConfig.of(network=request.param, flips=3).model_dump(mode="json"),
    )
    config = ModelConfig(
        version="0",
        method="zsdeconv",
        network=request.param,
        network_config=ARGUMENTS[request.param],
        state=state.stored(),
    )
    return Model(config, network, state.arrays())


def seen(data):
    """Counts and noise of an image as a model takes it."""
    (observation,) = observe([Image(data, pixel_nm=PIXEL_NM)], gain=2.0, offset=100.0, read_noise_e=1.0)
    return observation.counts[0], observation.sigma[0]


@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((16, 16), (16, 16)),
        ((16, 400), (16, 64)),
        ((70, 45), (32, 16)),
        ((33, 297), (16, 48)),
        ((297, 33), (48, 48)),
        ((20, 700), (32, 96)),
    ],
)
def test_tiled_prediction_equals_whole(model, shape, tile):
    rng = np.random.default_rng(0)
    photons = rng.poisson(20 + 80 * rng.random(shape) ** 6)
    counts, sigma = seen(CAMERA.expose(photons, rng).astype(np.float32))
    predictor = predictor_of(model)
    whole, tiled = (predict_whole(predictor, counts, sigma, tile=t) for t in (shape, tile))
    assert list(whole) == list(predictor.roles)
    for role, a in whole.items():
        spread = np.ptp(a)
        assert spread > 0
        np.testing.assert_allclose(tiled[role], a, rtol=0, atol=1e-5 * max(spread, np.abs(a).max()))


def test_the_law_needs_the_halo(model):
    """With a fraction of the halo the same weights give seams: the property above is not empty."""
    counts, sigma = seen((100 + 200 * np.random.default_rng(0).random((64, 64))).astype(np.float32))
    predictor = predictor_of(model)
    predictor.halo = predictor.align
    whole, tiled = (predict_whole(predictor, counts, sigma, ("sharp",), tile=t)["sharp"] for t in ((64, 64), (16, 16)))
    assert np.abs(whole - tiled).max() > 1e-3 * np.ptp(whole)
