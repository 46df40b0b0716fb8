"""ZS-DeconvNet end to end, on small pictures and few steps: shapes, units, seeds, several images, and what it refuses.

How good the results are is a matter for the quality benchmarks; here a handful of steps on 32 pixels hold the laws.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy import signal

import tiny
from superlens import enhancing
from superlens.camera import Camera, smoothed_signal
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.recipe import ORIGINAL_PADDING, recipe_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import Model, shipped
from superlens.observing.conditioning import condition
from superlens.optics import PSF, Objective
from superlens.progress import Cancelled
from superlens.simulate import scene
from superlens.training import get_weights
from superlens.training.two_stage import recipe as recipes
from superlens.training.two_stage.optics import compact
from superlens.training.two_stage.state import TwoStageState
from superlens.training.two_stage.turning import TURNS, unchanged_by

few_steps = pytest.mark.usefixtures("untraced")

PIXEL_NM = 65.0
INSERT = ORIGINAL_PADDING["YX"][0]
OPTICS = PSF.gaussian(240.0, PIXEL_NM / 2)
CAMERA = Camera(gain=2.0, offset=100.0, read_noise_e=1.0)


def picture(shape=(32, 32), seed=0, **changes):
    drawn = scene("filaments", 100, psf=OPTICS, camera=CAMERA, shape=shape, background=20, seed=seed)
    return Image(drawn.observed.data, pixel_nm=PIXEL_NM, name=f"cell{seed}", **changes)


def quick(**changes):
    """The camera is told and the copies are few: everything else is as a user gets it."""
    known = {"offset": 100.0, "gain": 2.0, "read_noise_e": 1.0}
    return ZSDeconvConfig.of(**{"steps": 2, "batch": 1, "patch": 32, "flips": 1, **known, **changes})


def recipe(images, optics, config):
    """What was prepared, and the recipe for it."""
    prepared = prepare(images, optics, config)
    return prepared, recipe_of(prepared, START.network)


def lopsided():
    """A PSF that no turn leaves as it is, so that patches lie as they are in the picture."""
    data = OPTICS.data + 0.2 * np.roll(OPTICS.data, (3, 1), axis=(0, 1))
    return PSF(data / data.sum(), OPTICS.pixel_nm)


def start_only(**changes):
    """No steps: the shipped weights as they are."""
    return quick(steps=0, **changes)


START = tiny.start()


def enhance(images, optics=None, *, config, **others):
    """From tiny random weights in the place of the shipped ones."""
    return enhancing.enhance(
        images, optics, config=config, **{"start": None if config.from_scratch else START, **others}
    )


def train(images, optics=None, *, config, **others):
    return enhancing.train(images, optics, config=config, start=None if config.from_scratch else START, **others)


def predict(model, image, **others):
    return enhancing.predict(model, image, start=START, **others)


@pytest.fixture(scope="module")
def learned():
    """Two steps on one picture, from the shipped weights."""
    return enhancing.enhance(picture(), OPTICS, config=quick())


def holds_sampling(result, shape, scale):
    assert result.denoised.data.shape == shape
    assert result.denoised.pixel_nm == PIXEL_NM
    for fine in (result.image, result.uncertainty):
        assert fine.data.shape == (shape[0] * scale, shape[1] * scale)
        assert fine.pixel_nm == PIXEL_NM / scale
        assert fine.data.dtype == np.float32
        assert np.isfinite(fine.data).all()
    assert TwoStageState.of(result.model).psf.pixel_nm == pytest.approx(PIXEL_NM / scale)


def test_results_have_twice_the_sampling(learned):
    holds_sampling(learned, (32, 32), 2)


@few_steps
def test_results_have_the_sampling_of_the_camera_when_asked():
    (result,) = enhance([picture((32, 40))], OPTICS, config=start_only(scale=1))  # a list gives a list
    holds_sampling(result, (32, 40), 1)


@few_steps
def test_an_adapted_model_states_its_error_at_any_scale(monkeypatch):
    monkeypatch.setattr(recipes, "as_far_as_the_data_ask", lambda start, end, risks: (end, 1.0))
    result = enhance(picture(), OPTICS, config=quick(scale=1))
    assert result.uncertainty.data.shape == result.image.data.shape == (32, 32)


def test_light_is_kept(learned):
    """Mean in is mean out, to what the network may add or lose on so small a picture."""
    counts = learned.observation.counts.mean()
    assert learned.denoised.data.mean() == pytest.approx(counts, rel=0.1)
    assert learned.image.data.mean() == pytest.approx(counts, rel=0.1)


def test_stated_error_is_positive_and_has_the_unit_of_the_image(learned):
    assert (learned.uncertainty.data > 0).all()
    assert learned.uncertainty.data.mean() < np.ptp(learned.image.data)


@few_steps
def test_same_seed_same_pixels():
    one, two = (enhance(picture(), OPTICS, config=quick(steps=1)) for _ in range(2))
    np.testing.assert_array_equal(one.image.data, two.image.data)
    np.testing.assert_array_equal(one.denoised.data, two.denoised.data)


def test_another_seed_draws_other_batches():
    one, again, other = (recipe([picture()], OPTICS, quick(seed=seed))[1] for seed in (0, 0, 1))
    assert not np.array_equal(one.draw(0)[0], other.draw(0)[0])
    np.testing.assert_array_equal(one.draw(3)[0], again.draw(3)[0])


def test_model_applied_again_gives_the_same(tmp_path, learned):
    """Through the file and back, on the image it was trained on."""
    learned.model.save(tmp_path / "model.zip")
    again = enhancing.predict(Model.load(tmp_path / "model.zip"), picture())
    np.testing.assert_allclose(again.image.data, learned.image.data, atol=1e-3)
    np.testing.assert_allclose(again.denoised.data, learned.denoised.data, atol=1e-3)
    np.testing.assert_allclose(again.uncertainty.data, learned.uncertainty.data, atol=1e-3)
    assert again.history is None


@few_steps
def test_stated_error_is_at_least_half_the_distance_from_the_start(monkeypatch):
    sure = tiny.start(spread=0.02)
    monkeypatch.setattr(recipes, "as_far_as_the_data_ask", lambda start, end, risks: (end, 1.0))
    near = enhance(picture(), OPTICS, config=start_only(), start=sure)
    far = enhance(picture(), OPTICS, config=quick(steps=3, learning_rate=1e-2), start=sure)
    half = np.abs(far.image.data - near.image.data) / 2
    assert (half > near.uncertainty.data).any()
    began, grown = (TwoStageState.of(one.model).error_factor for one in (near, far))
    alone = near.uncertainty.data / began
    np.testing.assert_allclose(far.uncertainty.data, grown * np.maximum(alone, half), rtol=1e-3)


def test_learning_does_not_depend_on_the_unit_of_the_camera():
    """The same picture recorded with another gain and offset gives the same patches, to rounding."""
    image = picture()
    other = Image(7 * (image.data - 100) + 350, pixel_nm=PIXEL_NM)
    one, its = recipe([image], OPTICS, quick())
    two, others = recipe([other], OPTICS, quick(gain=14.0, offset=350.0))
    assert two.normaliser.contrast == pytest.approx(7 * one.normaliser.contrast, rel=1e-4)
    (x, (goal,)), (other_x, (other_goal,)) = its.draw(0), others.draw(0)
    np.testing.assert_allclose(other_x, x, atol=1e-3)
    np.testing.assert_allclose(other_goal, goal, rtol=1e-3, atol=1e-3)


@few_steps
def test_electrons_are_counts_by_the_gain():
    electrons = enhance(picture(), OPTICS, config=start_only(units="electrons"))
    model = electrons.model
    settings = {**model.config.state["settings"], "units": "counts"}
    told = model.config.with_changes({"state": {**model.config.state, "settings": settings}})
    counts = predict(Model(told, model.network, model.arrays), picture())
    np.testing.assert_allclose(2 * electrons.image.data, counts.image.data, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(2 * electrons.denoised.data, counts.denoised.data, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(2 * electrons.uncertainty.data, counts.uncertainty.data, rtol=1e-4)


@few_steps
def test_several_images_make_one_model_and_a_list_and_no_noise(capfd):
    results = enhance([picture(seed=0), picture((36, 32), seed=1)], OPTICS, config=start_only())
    assert [r.image.data.shape for r in results] == [(64, 64), (72, 64)]
    assert [r.image.name for r in results] == ["cell0", "cell1"]
    assert results[0].model is results[1].model
    assert results[0].model.config.provenance["images"] == ["cell0", "cell1"]
    assert capfd.readouterr().out == ""
    assert keras.config.dtype_policy().name == "float32"


@few_steps
def test_planes_of_all_axes_are_predicted_one_by_one():
    planes = np.stack([picture(seed=i).data for i in range(4)])
    stack = Image(
        planes.reshape(1, 2, 2, 32, 32),
        axes="TCZYX",
        pixel_nm=PIXEL_NM,
        z_step_nm=200.0,
        frame_interval_s=1.5,
        channel_names=("red", "green"),
        name="stack",
    )
    result = enhance(stack, OPTICS, config=start_only())
    assert result.image.data.shape == (1, 2, 2, 64, 64)
    assert result.image.axes == "TCZYX"
    assert (result.image.z_step_nm, result.image.frame_interval_s) == (200.0, 1.5)
    assert result.image.channel_names == ("red", "green")
    alone = predict(result.model, stack.select(t=0, c=1, z=0))
    np.testing.assert_allclose(result.image.data[0, 1, 0], alone.image.data, atol=1e-3)


@few_steps
def test_denoising_needs_no_optics_and_no_pixel_size():
    image = Image(picture().data, name="cell")
    result = enhance(image, config=start_only(denoise_only=True))
    assert result.image is None
    assert result.uncertainty is None
    assert result.denoised.data.shape == (32, 32)
    assert TwoStageState.of(result.model).psf is None
    assert any("denoising only" in message for message in result.messages)
    again = predict(result.model, Image(image.data, pixel_nm=999.0))
    np.testing.assert_allclose(again.denoised.data, result.denoised.data, atol=1e-3)


@few_steps
@pytest.mark.parametrize(("label", "warned"), [("DECON3D: 4 0.1010", True), ("IMGCORR: Norm=on", False)])
def test_an_image_that_its_file_says_was_deconvolved_is_told_of(label, warned):
    result = enhance(picture(history={"labels": [label]}), OPTICS, config=start_only())
    assert any(label in message for message in result.messages) == warned


def unmoved(before, after):
    """Names of the weights that are bit for bit the same."""
    return {
        v.path
        for v, a, b in zip(before.weights, get_weights(before), get_weights(after), strict=True)
        if np.array_equal(a, b)
    }


def test_the_stated_error_is_not_learned_from_the_picture(learned):
    """What was learned on simulations, where the truth is known, stays."""
    start = Model.load(shipped()["zsdeconv-light"]).network
    names = {v.path for v in start.weights if "spread" in v.path}
    assert names <= unmoved(start, learned.model.network)


@few_steps
def test_denoiser_leaves_the_second_stage_alone():
    model = train(picture(), config=quick(denoise_only=True, steps=1))
    names = {v.path for v in START.network.weights if "sharpen" in v.path or "spread" in v.path}
    assert names <= unmoved(START.network, model.network)


def holds_a_lesson(images, psf):
    _, followed = recipe(images, psf, quick())
    x, targets = followed.draw(0)
    assert (targets[0][..., 1] > 0).any()
    assert np.isfinite(float(followed.loss(list(targets), START.network(x))))
    assert np.isfinite(followed.risks(START.network)).all()


@pytest.mark.parametrize("shape", [(16, 16), (16, 200), (33, 17)])
def test_narrow_and_odd_pictures_can_be_learned_from(shape):
    holds_a_lesson([picture(shape)], OPTICS)


def test_wide_psf_can_be_learned_with():
    """Light from 20 pixels around: the loss still finds pixels it may look at."""
    wide = PSF.gaussian(14 * PIXEL_NM, PIXEL_NM / 2)
    holds_a_lesson([picture((48, 48))], wide)


def test_every_pixel_of_a_narrow_picture_is_looked_at():
    """The frame is as wide as what the loss leaves out, so that the corner of the picture counts."""
    _, followed = recipe([picture((16, 16))], lopsided(), quick())
    weight = followed.draw(0)[1][0][0, ..., 1]
    margin = followed.framing.margins[-1]
    inner = weight[margin : margin + 16, margin : margin + 16]
    np.testing.assert_array_equal(inner == 0, followed.held_out.recordings[0].held >= 0)
    assert np.count_nonzero(weight) == np.count_nonzero(inner)


def bright_spots(kind):
    data = picture().data.copy()
    data[4:6, 4:6] = np.nan if kind == "undefined" else 65535
    data[20, 20] = np.nan if kind == "undefined" else 65535
    return Image(data if kind == "undefined" else data.astype(np.uint16), pixel_nm=PIXEL_NM)


@pytest.mark.parametrize("kind", ["undefined", "saturated"])
def test_bad_pixels_are_filled_told_and_left_out(kind):
    with pytest.warns(SuperlensWarning, match=kind):
        prepared, followed = recipe([bright_spots(kind)], lopsided(), quick())
    (observation,) = prepared.observations
    assert observation.bad.sum() == 5
    assert any(kind in message for message in observation.messages)
    assert np.isfinite(observation.counts).all()
    assert observation.counts.max() < 10_000  # no spot of 65535
    weight = followed.draw(0)[1][0][0, ..., 1]
    assert weight.any()
    frame = followed.framing.margins[-1] if weight.shape[0] > 32 else 0
    inner = weight[frame : frame + 32, frame : frame + 32]
    assert not inner[observation.bad[0]].any()


@few_steps
def test_undefined_pixels_reach_no_result():
    with pytest.warns(SuperlensWarning, match="undefined"):
        result = enhance(bright_spots("undefined"), OPTICS, config=start_only())
    assert np.isfinite(result.image.data).all()
    assert np.isfinite(result.denoised.data).all()
    assert any("undefined" in message for message in result.messages)


def test_held_out_pixels_have_no_weight_in_the_loss():
    _, followed = recipe([picture((96, 96))], lopsided(), quick(patch=96))
    goal = followed.draw(0)[1][0]
    held = followed.held_out.recordings[0].held >= 0
    assert goal.shape[1:3] == held.shape
    np.testing.assert_array_equal(goal[0, ..., 1] == 0, held)
    assert held.mean() == pytest.approx(1 / 7, abs=0.07)


def test_input_of_a_pair_tells_nothing_of_the_noise_of_its_target():
    """On an even field whatever a channel holds is noise; were it the target's too, a network would learn to keep it."""
    camera = Camera(gain=1.0, offset=0.0, read_noise_e=1.0)
    rng = np.random.default_rng(3)
    exposed = Image(camera.expose(np.full((256, 256), 10.0), rng).astype(np.float32), pixel_nm=PIXEL_NM)
    prepared, followed = recipe([exposed], OPTICS, quick(offset=0.0, gain=1.0, read_noise_e=1.0))
    pair = followed.held_out.copies(followed.held_out.recordings[0], rng)
    channels = condition(pair.input, pair.sigma, prepared.normaliser, prepared.optics.bank)
    noise = smoothed_signal(pair.target - pair.target.mean())
    for channel in np.moveaxis(channels[..., :-2], -1, 0):  # the last two are the same everywhere
        assert abs(np.corrcoef(smoothed_signal(channel).ravel(), noise.ravel())[0, 1]) < 0.08


def test_patches_are_turned_only_in_ways_that_leave_the_psf_as_it_is():
    y, x = np.mgrid[-12:13, -12:13]
    lengthy = np.exp(-(y**2) / 8 - x**2 / 24)
    psf = PSF(lengthy / lengthy.sum(), PIXEL_NM / 2, None, "longer than wide")
    kernel = prepare([picture((64, 64))], psf, quick()).optics.blur
    probe = np.arange(16.0).reshape(4, 4)
    turned = [turn(probe) for turn, _ in TURNS if unchanged_by(turn, kernel)]
    assert len(turned) == 4
    for kept in (probe, probe[::-1], probe[:, ::-1], probe[::-1, ::-1]):
        assert any(np.array_equal(kept, t) for t in turned)


def on_the_line(risks):
    """How far the choice goes when the held-out risks at 0, 1/4, ... 1 are these, one column for each block."""
    seen = iter(np.asarray(risks, float))
    return recipes.as_far_as_the_data_ask([np.zeros(1)], [np.ones(1)], lambda weights: next(seen))


def test_the_data_decide_how_far_to_go_from_the_start():
    blocks = np.random.default_rng(0).normal(5.0, 1.0, 40)  # what all weights share
    steadily = blocks - np.linspace(0, 1, 5)[:, None]
    assert on_the_line(steadily)[1] == 1.0
    assert on_the_line(steadily[::-1])[1] == 0.0
    assert on_the_line([blocks] * 5)[1] == 0.0
    weights, share = on_the_line(blocks + np.array([2.0, 1.0, 0.0, 1.0, 2.0])[:, None])
    assert share == weights[0][0] == 0.5


def test_a_gain_that_chance_explains_is_not_followed():
    rng = np.random.default_rng(1)
    blocks = rng.normal(5.0, 1.0, 40)
    one_lucky_block = np.where(np.arange(40) == 7, -1.0, 0.02)
    assert on_the_line(blocks + np.linspace(0, 1, 5)[:, None] * one_lucky_block)[1] == 0.0


@pytest.mark.parametrize(
    ("image", "optics", "config", "match"),
    [
        (Image(picture().data, pixel_nm=0.0626), OPTICS, quick(), r"pixel_nm is 0\.0626; .* micrometres"),
        (picture(), None, quick(), "optics is missing; give `na`"),
        (Image(picture().data, name="cell"), OPTICS, quick(), "cell has no pixel size; give it with `pixel_nm`"),
        (picture(), OPTICS, quick(gain=None, units="electrons"), "no gain is given"),
        ([], OPTICS, quick(), "images is empty"),
        (
            [picture(), Image(picture().data, pixel_nm=100.0)],
            OPTICS,
            quick(),
            "pixels of 65 and 100 nm; one model needs one pixel size",
        ),
        (Image(np.ones((32, 32)), pixel_nm=PIXEL_NM), OPTICS, quick(), "constant"),
        (Image(picture().data[:8], pixel_nm=PIXEL_NM), OPTICS, quick(), "at least 16"),
        (picture(), PSF.gaussian(20.0, PIXEL_NM / 8), quick(), "FWHM"),
    ],
)
def test_what_cannot_be_right_is_refused_before_training(image, optics, config, match):
    def never(done, total, message):
        raise AssertionError("training began")

    with pytest.raises(SuperlensError, match=match):
        enhance(image, optics, config=config, progress=never)


@few_steps
def test_a_model_says_what_it_began_from(learned):
    assert train(picture(), OPTICS, config=start_only(from_scratch=True)).config.provenance["start"] == "random weights"
    assert train(picture(), OPTICS, config=start_only()).config.provenance["start"] == "given weights"
    assert learned.model.config.provenance["start"] == "zsdeconv-light"
    with pytest.raises(SuperlensError, match="start is of network 'light-volume' and the settings say 'light'"):
        enhance(picture(), OPTICS, config=quick(), start=tiny.start("light-volume"))


@few_steps
@pytest.mark.parametrize("scale", [1, 2])
def test_without_a_start_the_mean_of_both_outputs_is_that_of_the_input(scale):
    """However few the steps; random weights alone are off by far more."""
    result = enhance(picture(), OPTICS, config=start_only(from_scratch=True, scale=scale))
    counts = result.observation.counts[0]
    for made in (result.denoised, result.image):
        assert made.data.mean() == pytest.approx(counts.mean(), abs=1e-3 * float(counts.std()))


def test_model_of_another_method_is_refused():
    model = Model.load(shipped()["zsdeconv-light"])
    with pytest.raises(SuperlensError, match="made by .pretraining."):
        predict(model, picture())


def test_model_refuses_another_pixel_size(learned):
    with pytest.raises(SuperlensError, match="pixel of 80 nm .* trained at 65 nm"):
        predict(learned.model, Image(picture().data, pixel_nm=80.0))


@few_steps
def test_cancelled_training_still_gives_a_model():
    def cancel_training(done, total, message):
        if message != "predicting" and done >= 5:
            raise Cancelled

    model = train(picture(), OPTICS, config=quick(steps=50), progress=cancel_training)
    assert model.config.provenance["stopped"] == "cancelled"


@pytest.mark.slow
def test_single_photons_in_the_dark_are_not_learned():
    """Copies that differ by noise of the right variance alone would teach the network to keep them, and no held-out block would tell."""
    dark = Camera(gain=20.0, offset=5.0, read_noise_e=0.0)
    drawn = scene("filaments", 1.0, psf=OPTICS, camera=dark, shape=(128, 128), background=0.05, seed=3)
    image = Image(drawn.observed.data, pixel_nm=PIXEL_NM)
    known = {"denoise_only": True, "offset": 5.0, "gain": 20.0, "read_noise_e": 0.0, "batch": 4, "patch": 64}

    def error(steps):
        return np.std(enhance(image, config=quick(steps=steps, **known)).denoised.data - drawn.clean)

    assert error(40) < error(0)


@pytest.mark.slow
def test_killed_run_goes_on_from_its_checkpoint(tmp_path):
    class Killed(BaseException):
        pass

    def kill(done, total, message):
        if done >= 20:
            raise Killed

    config = quick(steps=22)
    whole = train(picture(), OPTICS, config=config)
    with pytest.raises(Killed):
        train(picture(), OPTICS, config=config, checkpoint=tmp_path / "run.npz", progress=kill)
    with pytest.raises(SuperlensError, match="another image or other settings"):
        train(picture(seed=5), OPTICS, config=config, checkpoint=tmp_path / "run.npz")
    resumed = train(picture(), OPTICS, config=config, checkpoint=tmp_path / "run.npz")
    for a, b in zip(get_weights(whole.network), get_weights(resumed.network), strict=True):
        np.testing.assert_array_equal(a, b)


def test_history_and_parameters_tell_how_it_was_made(learned):
    told = learned.image.history["superlens"]
    assert told["what"] == "super-resolved"
    assert told["seed"] == 0
    assert told["pixel_nm"] == PIXEL_NM
    assert told["camera_gain"] == 2.0
    state = TwoStageState.of(learned.model)
    assert told["psf_fwhm_nm"] == pytest.approx(state.psf.fwhm_nm, abs=0.1)
    assert told["line_fwhm_nm"] == pytest.approx(state.response.line_fwhm_nm(state.psf), abs=0.1)
    assert told["carried_per_um"] == pytest.approx(state.psf.cutoff_per_um, abs=0.01)


def test_objective_and_its_psf_are_the_same_optics():
    objective = Objective(na=1.3, wavelength_nm=525)
    by_objective = prepare([picture()], objective, quick())
    by_psf = prepare([picture()], objective.psf(PIXEL_NM / 2), quick())
    np.testing.assert_allclose(by_objective.optics.blur, by_psf.optics.blur, atol=1e-3 * by_psf.optics.blur.max())


def test_three_dimensional_psf_serves_in_focus():
    thick = PSF.gaussian(240.0, PIXEL_NM / 2, fwhm_z_nm=700.0, z_step_nm=200.0)
    task, flat = (prepare([picture()], psf, quick()) for psf in (thick, OPTICS))
    assert task.psf.data.ndim == 2
    assert task.psf.fwhm_nm == pytest.approx(flat.psf.fwhm_nm, rel=0.02)


@few_steps
def test_paper_preset_takes_a_step():
    """Its own network at a sixteenth of its width."""
    config = quick(preset="paper", steps=2, network=tiny.network("unet", base_channels=2))
    result = enhance(picture(), OPTICS, config=config)
    assert quick(preset="paper").network == "unet"
    assert result.model.config.network == config.network
    assert result.image.data.shape == (64, 64)
    assert result.uncertainty is None
    assert [r.step for r in result.history.records] == [2]
    assert np.isfinite(result.image.data).all()


def test_paper_pair_is_scaled_together_and_padded():
    _, followed = recipe([picture((48, 48))], OPTICS, quick(preset="paper", batch=2))
    x, (goal,) = followed.draw(0)
    target = goal[..., :1]
    assert x.shape == (2, 32 + 2 * INSERT, 32 + 2 * INSERT, 1)
    assert goal.shape == (2, 32, 32, 2)
    assert (goal[..., 1] == 1).all()
    assert 0 <= target.min() < target.max() <= 1
    inner = x[:, INSERT:-INSERT, INSERT:-INSERT]
    assert 0 <= inner.min() < inner.max() <= 1
    assert not x[:, :INSERT].any()


def test_paper_loss_of_the_expectation_is_less_than_of_a_shifted_one():
    """The second stage is compared in the right place: through the optics, a point appears where it is."""
    prepared, followed = recipe([picture()], OPTICS, quick(preset="paper"))
    side = 32 + 2 * INSERT
    fine = np.zeros((1, 2 * side, 2 * side, 1), np.float32)
    fine[0, side : side + 2, side : side + 2] = 100
    denoised = np.zeros((1, side, side, 1), np.float32)

    def seen(shift):
        moved = np.roll(fine, shift, axis=(1, 2))
        return float(followed.loss([goal], [denoised, moved]))

    kernel = compact(prepared.psf.data)
    blurred = signal.convolve2d(fine[0, ..., 0], kernel, mode="same").reshape(side, 2, side, 2).mean((1, 3))
    target = blurred[None, INSERT:-INSERT, INSERT:-INSERT, None].astype(np.float32)
    goal = np.concatenate([target, np.ones_like(target)], axis=-1)
    assert seen((0, 0)) < min(seen((2, 0)), seen((0, -2)), seen((-1, 1)))


def test_weights_do_not_prefer_dim_fluctuations():
    """On a flat picture the weighted mean of the noise is no lower than the mean: a pixel does not set its own weight."""
    rng = np.random.default_rng(0)
    flat = Image(rng.poisson(8, (64, 64)).astype(np.float32) * 2 + 100, pixel_nm=PIXEL_NM)
    plane = recipe([flat], OPTICS, quick())[1].held_out.recordings[0]
    weighted = float((plane.weight * plane.counts).sum() / plane.weight.sum())
    error = plane.counts.std() / 64
    assert abs(weighted - plane.counts.mean()) < 3 * error
