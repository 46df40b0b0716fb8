"""Fine-tuning changes of the sharp image what the camera shows; what the blur hides stays as the start drew it."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.camera import Camera
from superlens.methods.zsdeconv.predictor import predictor_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model
from superlens.networks import build
from superlens.observing.conditioning import Normaliser
from superlens.optics import PSF, RESPONSES, image_of
from superlens.predicting import predict_whole
from superlens.predicting.start import shipped_start
from superlens.training import get_weights, set_weights
from superlens.training.two_stage.optics import SharpOptics, compact
from superlens.training.two_stage.state import TwoStageState

PSF_FINE = PSF.gaussian(240.0, 32.5)
OPTICS = SharpOptics.of(PSF_FINE, "YX", 2, RESPONSES["YX"])


def wave(period: float, side: int = 256) -> np.ndarray:
    return np.cos(2 * np.pi * np.arange(side) / period)[None, :] * np.ones((side, 1))


def test_a_change_of_the_light_is_shown_whole() -> None:
    np.testing.assert_allclose(OPTICS.shown(np.full((64, 48), 3.0)), 3.0, rtol=1e-4)


def test_a_change_finer_than_the_optics_pass_is_not_shown() -> None:
    assert np.abs(OPTICS.shown(wave(2))[64:-64, 64:-64]).max() < 0.02


@pytest.mark.parametrize("period", [8, 16, 32, 64])
def test_a_wave_is_kept_by_what_the_blur_passes_and_what_it_passes_of_the_rest(period: int) -> None:
    inner = (slice(64, -64),) * 2
    passed = float(
        np.vdot(image_of(wave(period), compact(OPTICS.blur))[inner], wave(period)[inner])
        / np.sum(wave(period)[inner] ** 2)
    )
    np.testing.assert_allclose(
        OPTICS.shown(wave(period))[inner], (1 - (1 - passed) ** 2) * wave(period)[inner], atol=2e-3
    )


@pytest.fixture(scope="module")
def predictions() -> dict[str, np.ndarray]:
    """Sharp images of one picture: of the start, and of weights near it that are taken for fine-tuned ones."""
    start = shipped_start("light")
    made = {}
    counts = np.random.default_rng(0).poisson(20 + 10 * wave(20, 96)[:64]).astype(np.float32)
    for name, blend in (("start", 0.0), ("tuned", 1.0)):
        network = build("light", start.model.config.network_config)
        rng = np.random.default_rng(1)
        set_weights(
            network,
            [w + blend * 0.05 * w.std() * rng.standard_normal(w.shape) for w in get_weights(start.model.network)],
        )
        state = TwoStageState(
            axes="YX",
            scale=2,
            pixel_nm=65.0,
            response=RESPONSES["YX"],
            normaliser=Normaliser(20.0, 10.0),
            camera=Camera(1.0, 0.0, 0.0),
            psf=PSF_FINE,
            spread=1.0,
            settings=ZSDeconvConfig.of("fast", axes="YX", flips=1).model_dump(mode="json"),
        )
        described = start.model.config.with_changes(
            {"method": "zsdeconv", "state": state.stored(), "provenance": {"blend": blend, "start": start.name}}
        )
        predictor = predictor_of(Model(described, network, state.arrays()))
        for called, tile in ((name, None), (f"{name} in tiles", (32, 32))):
            made[called] = predict_whole(predictor, counts, np.sqrt(np.maximum(counts, 1)), ("sharp",), tile=tile)[
                "sharp"
            ]
    return made


def test_what_the_blur_hides_stays_as_the_start_drew_it(predictions: dict[str, np.ndarray]) -> None:
    change = predictions["tuned"] - predictions["start"]
    assert np.abs(change).max() > 0.1  # something was learned
    power = (
        np.abs(
            np.fft.fft2((change - change.mean()) * np.hanning(change.shape[0])[:, None] * np.hanning(change.shape[1]))
        )
        ** 2
    )
    fy, fx = (np.fft.fftfreq(n) for n in change.shape)
    hidden = np.hypot(fy[:, None], fx[None, :]) > 0.3  # the blur passes less than a hundredth there
    assert power[hidden].sum() < 1e-3 * power.sum()


def test_tiles_give_what_the_whole_gives(predictions: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(
        predictions["tuned in tiles"], predictions["tuned"], atol=1e-4 * np.ptp(predictions["tuned"])
    )
