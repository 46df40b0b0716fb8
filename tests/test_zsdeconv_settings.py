"""Settings of zero-shot learning: presets, ranges, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superlens.enhancing import enhance, predict, train
from superlens.errors import SuperlensError
from superlens.methods.zsdeconv.settings import ZSDeconvConfig


@pytest.mark.parametrize(
    ("preset", "changes", "match"),
    [
        ("slow", {}, "preset is 'slow'; expected one of fast, instant, standard, paper"),
        ("fast", {"patch": 40}, "patch is 40"),
        ("fast", {"scale": 3}, "scale is 3"),
        ("fast", {"flips": 9}, "flips is 9"),
        ("fast", {"speed": 1}, "speed"),
        ("fast", {"gain": 0.0}, "gain is 0"),
    ],
)
def test_impossible_settings_are_refused(preset, changes, match):
    with pytest.raises(SuperlensError, match=match):
        ZSDeconvConfig.of(preset, **changes)


@pytest.mark.parametrize("preset", ["fast", "standard", "paper"])
def test_presets_are_kept_in_words(preset):
    config = ZSDeconvConfig.of(preset)
    assert config.preset == preset
    assert ZSDeconvConfig.from_yaml(config.to_yaml()) == config
    assert ZSDeconvConfig.from_yaml(f"preset: {preset}") == config


def test_a_file_leaves_to_the_preset_what_it_does_not_say():
    config = ZSDeconvConfig.from_yaml("preset: standard\naxes: ZYX\nbatch: 1")
    assert config == ZSDeconvConfig.of("standard", axes="ZYX", batch=1)
    assert config.network == "light-volume"
    with pytest.raises(SuperlensError, match="preset is 'slow'"):
        ZSDeconvConfig.from_yaml("preset: slow")


def test_more_steps_are_taken_from_nothing():
    assert ZSDeconvConfig.of("fast", from_scratch=True).steps > ZSDeconvConfig.of("fast").steps
    own = ZSDeconvConfig.of("fast", from_scratch=True, steps=7)
    assert own.steps == 7
    assert own.learning_rate > ZSDeconvConfig.of("fast").learning_rate


@pytest.mark.parametrize("given", ["cell.tif", Path("cell.tif"), np.ones((32, 32)), [np.ones((32, 32))], None])
def test_what_is_no_image_is_refused_with_how_to_make_one(given):
    for work in (enhance, train, lambda images: predict(None, images)):
        with pytest.raises(SuperlensError, match=r"an Image is expected.*sl\.read\(path\)"):
            work(given)


@pytest.mark.parametrize("changes", [{}, {"batch": 3}, {"from_scratch": True}, {"axes": "ZYX"}])
def test_a_batch_shows_no_pixel_of_a_small_image_many_times(changes):
    config = ZSDeconvConfig.of("fast", **changes)
    numbers = [config.patches((side, side)) for side in (32, 128, 256, 4096)]
    assert numbers == sorted(numbers)
    assert numbers[-1] == config.batch
    assert numbers[0] == (2 if changes.get("axes") != "ZYX" and "from_scratch" not in changes else config.batch)
