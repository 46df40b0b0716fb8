"""Lessons for the small network of molecules: what it is told is its teacher's answer and the truth, and each batch is its number's."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.methods.deepstorm.examples import draw_batch
from superlens.methods.deepstorm.frames import Units
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import DeepStormState
from superlens.model import Model, ModelConfig
from superlens.networks import build
from superlens.starts.molecules import Lessons, pretrain
from superlens.training import outputs_of

pytestmark = pytest.mark.usefixtures("untraced")


@pytest.fixture(scope="module")
def teacher() -> Model:
    """Random weights: what it says is wrong, and must be passed on all the same."""
    settings = DeepStormConfig.of(upsampling=4, patch=16, batch=4, density_um2=(1.0, 3.0))
    state = DeepStormState(settings=settings, threshold=0.1, found_within=0.1, errors={})
    arguments = {"upsampling": 4, "width": 4, "blocks": 1}
    config = ModelConfig(
        version="0",
        method="deepstorm",
        network="deepstorm-camera",
        network_config=arguments,
        state=state.model_dump(mode="json"),
    )
    return Model(config, build("deepstorm-camera", arguments))


def lessons(teacher: Model, seed: int = 0) -> Lessons:
    return Lessons(teacher, seed, patches=8)


def test_a_batch_is_that_of_its_seed_and_number_whatever_was_drawn_before(teacher: Model) -> None:
    first, second = lessons(teacher), lessons(teacher)
    second.batch(5000)
    for one, other in zip(first.batch(3), second.batch(3), strict=True):
        np.testing.assert_array_equal(one, other)
    frames, (told,) = lessons(teacher, 1).batch(3)
    assert frames.shape == (4, 16, 16, 1) and told.shape == (4, 64, 64, 1)
    assert not np.array_equal(frames, first.batch(3)[0])


def test_what_is_told_is_three_quarters_of_the_teachers_answer_and_the_truth(teacher: Model) -> None:
    made = lessons(teacher)
    told = {frame.tobytes(): answer for frame, answer in zip(*made.lesson(0), strict=True)}
    config = made.config
    frames, spikes = draw_batch(config, Units.of(config, (0.0, 1.0)), made.rng(0))
    said = np.maximum(outputs_of(teacher.network, frames)[0], 0) / config.gain
    for frame, answer, truth in zip(frames, said, spikes, strict=True):
        np.testing.assert_allclose(told[frame.tobytes()], 0.75 * answer + 0.25 * truth, atol=1e-3)


def test_the_small_network_comes_nearer_to_what_it_is_told(teacher: Model) -> None:
    made = lessons(teacher)
    frames, (told,) = made.batch(0)
    apart = [
        np.mean((np.asarray(pretrain(made, steps=steps, learning_rate=3e-3)[0](frames)) / 100 - told) ** 2)
        for steps in (0, 40)
    ]
    assert apart[1] < apart[0]
