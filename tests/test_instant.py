"""The pretrained model's answer: alone with the preset ``instant``, first with the others; and that nothing is computed twice for it."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from superlens import enhancing
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import write
from superlens.methods.zsdeconv import learn as learning
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.optics import PSF
from superlens.predicting import start as starts
from superlens.predicting.repeats import Repeats
from superlens.progress import Cancelled
from superlens.simulate import scene
from superlens.training.two_stage import recipe as recipes

pytestmark = pytest.mark.usefixtures("untraced")

OPTICS = PSF.gaussian(240.0, 32.5)
CAMERA = {"offset": 100.0, "gain": 2.0, "read_noise_e": 1.0}
DRAWN = scene("filaments", 100, psf=OPTICS, camera=Camera(2.0, 100.0, 1.0), shape=(32, 32), background=20, seed=0)
IMAGE = Image(DRAWN.observed.data, pixel_nm=65.0, name="cell")
START = tiny.start()


def enhance(image=IMAGE, preset="fast", progress=None, **changes):
    config = ZSDeconvConfig.of(preset, **{"batch": 1, "patch": 32, "flips": 2, **CAMERA, **changes})
    more = {} if progress is None else {"progress": progress}
    return enhancing.enhance(image, OPTICS, config=config, start=START, **more)


class Looking:
    """A listener that shows pictures, and ends the training before its first step if it is told so."""

    def __init__(self, *, ends=False):
        self.pictures, self.steps, self._ends = [], 0, ends

    def __call__(self, done, total, message):
        self.steps += bool(done) and message != "predicting"
        if self._ends and message == "training":
            raise Cancelled

    def first(self, look):
        assert self.steps == 0, "before anything is learned"
        self.pictures.append(look())


@pytest.fixture(scope="module")
def instant():
    return enhance(preset="instant")


@pytest.fixture
def no_training(monkeypatch):
    """Any network that is built to be trained is an error."""

    def refuse(*_, **__):
        raise AssertionError("a training was built")

    monkeypatch.setattr(recipes.TwoStageTraining, "__init__", refuse)
    monkeypatch.setattr(recipes.Trainer, "__init__", refuse)


def test_instant_builds_no_training_and_says_what_it_is(no_training):
    result = enhance(preset="instant")
    assert result.image.data.shape == (64, 64)
    assert any("without fine-tuning" in message for message in result.messages)


def test_instant_is_the_answer_of_the_weights_that_fine_tuning_begins_from(instant, monkeypatch):
    monkeypatch.setattr(recipes, "as_far_as_the_data_ask", lambda start, end, risks: (start, 0.0))
    tuned = enhance(steps=1)
    for role in instant.roles:
        np.testing.assert_array_equal(tuned[role].data, instant[role].data, err_msg=role)


def test_the_first_picture_is_that_of_instant_without_turned_copies_and_comes_before_the_first_step():
    looking = Looking()
    enhance(steps=1, progress=looking)
    (first,) = looking.pictures
    np.testing.assert_array_equal(first.data, enhance(preset="instant", flips=1).image.data)
    assert (first.axes, first.pixel_nm, looking.steps) == ("YX", 32.5, 1)


def test_instant_shows_a_first_picture_before_it_is_averaged_over_turned_copies():
    looking = Looking()
    result = enhance(preset="instant", progress=looking)
    np.testing.assert_array_equal(looking.pictures[0].data, enhance(preset="instant", flips=1).image.data)
    assert np.abs(looking.pictures[0].data - result.image.data).max() > 0


def test_of_several_planes_the_first_picture_is_the_middle_one():
    planes = np.stack([IMAGE.data + 10 * i for i in range(3)])
    looking = Looking(ends=True)
    result = enhance(Image(planes, "TYX", pixel_nm=65.0), progress=looking, flips=1)
    np.testing.assert_array_equal(looking.pictures[0].data, result.image.data[1])


def test_an_end_before_the_first_step_keeps_the_first_picture(instant, monkeypatch):
    monkeypatch.setattr(recipes.Trainer, "_step", lambda *_: pytest.fail("a step was taken"))
    result = enhance(progress=Looking(ends=True))
    np.testing.assert_array_equal(result.image.data, instant.image.data)
    assert result.history.stopped == "cancelled"


def test_from_scratch_there_is_no_first_picture_and_no_instant():
    looking = Looking(ends=True)
    enhance(steps=1, from_scratch=True, progress=looking)
    assert looking.pictures == []
    with pytest.raises(SuperlensError, match="instant"):
        enhance(preset="instant", from_scratch=True)


@pytest.fixture
def counted(monkeypatch):
    """Shipped weights of an eighth of the width, and the networks that were shown copies of an image, once for each copy."""
    seen, begun = [], tiny.start()
    able = starts.averaged

    def averaged(network, channels, *, flips, first=None, **how):
        seen.extend([network] * (flips - (first is not None)))
        return able(network, channels, flips=flips, first=first, **how)

    monkeypatch.setattr(starts, "averaged", averaged)
    monkeypatch.setattr(
        starts, "shipped_start", lambda network, kind: starts.remembered(starts.Start("zsdeconv-light", begun))
    )
    return seen


def test_what_the_pretrained_model_made_of_an_image_is_not_computed_again(counted, monkeypatch):
    monkeypatch.setattr(recipes, "as_far_as_the_data_ask", lambda start, end, risks: (end, 1.0))
    monkeypatch.setattr(
        learning, "compare_halves", lambda *_, **__: Repeats(1.0, float("nan"))
    )  # which looks at other pixels
    config = ZSDeconvConfig.of(steps=1, batch=1, patch=32, flips=2, **CAMERA)
    looking = Looking()
    result = enhancing.enhance(IMAGE, OPTICS, config=config, progress=looking)
    learned = [network for network in counted if network is result.model.network]
    assert (len(learned), len(counted)) == (2, 4), "two copies by each, of which one was the first picture"
    silent = enhancing.enhance(IMAGE, OPTICS, config=config)
    np.testing.assert_array_equal(silent.uncertainty.data, result.uncertainty.data)


def test_the_command_writes_the_first_picture_and_takes_it_away(superlens, tmp_path, slim, monkeypatch):
    write(tmp_path / "cell.tif", IMAGE)
    seen = []
    able = recipes.Trainer.fit

    def fit(*arguments, **named):
        seen.extend(path.name for path in (tmp_path / "out").glob("*.tif"))
        return able(*arguments, **named)

    monkeypatch.setattr(recipes.Trainer, "fit", fit)
    settings = [
        part for name, value in {"batch": 1, "patch": 32, "flips": 1}.items() for part in ("--set", f"{name}={value}")
    ]
    command = ["enhance", tmp_path / "cell.tif", "--na", 1.3, "--wavelength-nm", 525, "--steps", 1, *settings]
    done = superlens(*command, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert seen == ["cell_unfinished.tif"]
    assert "First picture: " in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == [
        "cell_denoised.tif",
        "cell_sr.tif",
        "cell_uncertainty.tif",
    ]


def test_the_command_writes_no_first_picture_where_nothing_is_learned(superlens, tmp_path, slim):
    write(tmp_path / "cell.tif", IMAGE)
    command = ["enhance", tmp_path / "cell.tif", "--na", 1.3, "--wavelength-nm", 525, "--preset", "instant"]
    done = superlens(*command, "--set", "flips=1", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "First picture" not in done.stderr
