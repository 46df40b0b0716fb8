"""Prediction in tiles is prediction of the whole, for both networks, through the path that a user's image takes."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest

from superlens.camera import Camera
from superlens.enhancing import predict
from superlens.image import Image
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import CameraConfig, Model, ModelConfig
from superlens.networks import architecture, build
from superlens.observing.conditioning import CHANNELS
from superlens.optics import PSF

application = importlib.import_module("superlens.methods.zsdeconv.apply")  # the package's name for it is the function

PIXEL_NM = 65.0
CAMERA = CameraConfig(gain=2.0, offset=100.0, read_noise_e=1.0)
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
    config = ModelConfig(
        version="0",
        method="zsdeconv",
        network=request.param,
        network_config=ARGUMENTS[request.param],
        pixel_nm=PIXEL_NM,
        contrast=100.0,
        spread=1.0,
        camera=CAMERA,
        settings=ZSDeconvConfig.of(network=request.param, flips=3).model_dump(mode="json"),
    )
    return Model(config, network, PSF.gaussian(240.0, PIXEL_NM / 2))


def predicted(monkeypatch, model, image, tile):
    tiles = []

    def forced(shape, halo, align, **_):
        whole = tuple(-(-side // a) * a for side, a in zip(shape, align, strict=True))
        tiles.append(whole if tile is None else tuple(min(t, w) for t, w in zip(tile, whole, strict=True)))
        return tiles[-1]

    monkeypatch.setattr(application, "choose_tile", forced)
    result = predict(model, image)
    assert tiles
    return result


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
def test_tiled_prediction_equals_whole(monkeypatch, model, shape, tile):
    rng = np.random.default_rng(0)
    photons = rng.poisson(20 + 80 * rng.random(shape) ** 6)
    image = Image(Camera(2.0, 100.0, 1.0).expose(photons, rng).astype(np.float32), pixel_nm=PIXEL_NM)
    whole, tiled = (predicted(monkeypatch, model, image, t) for t in (None, tile))
    for a, b in ((whole.image, tiled.image), (whole.denoised, tiled.denoised), (whole.uncertainty, tiled.uncertainty)):
        if a is None:
            assert b is None
            continue
        spread = np.ptp(a.data)
        assert spread > 0
        np.testing.assert_allclose(b.data, a.data, rtol=0, atol=1e-5 * max(spread, np.abs(a.data).max()))


def test_the_law_needs_the_halo(monkeypatch, model):
    """With half the halo the same weights give seams: the property above is not empty."""
    rng = np.random.default_rng(0)
    name = model.config.network
    short = architecture(name)
    monkeypatch.setattr(application, "BANK_RADIUS", 0)
    monkeypatch.setattr(application, "architecture", lambda _: type(short)(short.make, short.align, short.align))
    image = Image((100 + 200 * rng.random((64, 64))).astype(np.float32), pixel_nm=PIXEL_NM)
    whole, tiled = (predicted(monkeypatch, model, image, t) for t in (None, (16, 16)))
    assert np.abs(whole.image.data - tiled.image.data).max() > 1e-3 * np.ptp(whole.image.data)
