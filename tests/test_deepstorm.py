"""Deep-STORM: what it learns from, how it reads frames, and what it finds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import superlens as sl
import tiny
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.deepstorm.apply import Localized
from superlens.methods.deepstorm.calibrate import calibrate
from superlens.methods.deepstorm.calls import localize, train_deepstorm
from superlens.methods.deepstorm.choice import choose_model, config_for
from superlens.methods.deepstorm.detect import Detector, peaks
from superlens.methods.deepstorm.examples import draw_batch, draw_example, shared_spikes
from superlens.methods.deepstorm.frames import Units, peak_share
from superlens.methods.deepstorm.own import OwnFrames
from superlens.methods.deepstorm.settings import DeepStormConfig
from superlens.methods.deepstorm.state import DeepStormState
from superlens.methods.deepstorm.stating import ErrorLaw, signs_of
from superlens.model import Model, shipped
from superlens.progress import Cancelled
from superlens.simulate import Background, GaussianSpots, Independent, SmlmScene, simulate_smlm
from superlens.simulate.movie import Movie
from superlens.smlm import Known, Localizations, estimate_movie, match, scores

TINY = {"batch": 2, "patch": 16, "steps": 4, "from_scratch": True}


def movie(density: float = 0.5, frames: int = 12, seed: int = 1, **parts: object) -> Movie:
    """A movie of 32 x 32 pixels with molecules beyond its edges."""
    scene = SmlmScene(yx_shape=(32, 32), blinking=Independent(density), margin_nm=500.0, **parts)  # type: ignore[arg-type]
    return simulate_smlm(frames, scene, rng=np.random.default_rng(seed))


# -- what is learned from -----------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 15), st.floats(1, 9)), min_size=1, max_size=8))
def test_shared_spikes_keep_number_and_centre_of_gravity(places: list[tuple[float, float]]) -> None:
    positions = np.array(places)
    grid = shared_spikes(positions, (10, 16)).astype(float)
    assert grid.sum() == pytest.approx(len(places), rel=1e-6)
    y, x = np.indices(grid.shape) + 0.5
    assert (grid * x).sum() / grid.sum() == pytest.approx(positions[:, 0].mean(), abs=1e-4)
    assert (grid * y).sum() / grid.sum() == pytest.approx(positions[:, 1].mean(), abs=1e-4)


def test_a_molecule_in_the_middle_of_a_pixel_is_one_spike() -> None:
    grid = shared_spikes(np.array([[3.5, 2.5]]), (6, 6))
    assert grid[2, 3] == 1 and grid.sum() == 1


def test_the_same_seed_draws_the_same_frames_and_another_one_others() -> None:
    config = DeepStormConfig.of("fast", **TINY)
    units = Units.of(config)
    one, again, other = (draw_batch(config, units, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])
    assert one[0].shape == (2, 16, 16, 1) and one[1].shape == (2, 128, 128, 1)


def test_examples_hold_as_many_molecules_as_asked_for() -> None:
    config = DeepStormConfig.of("fast")
    rng = np.random.default_rng(0)
    found = [len(draw_example(config, rng, side=32, density=4.0).positions_nm) for _ in range(60)]
    mean = 4.0 * 3.2**2
    assert np.mean(found) == pytest.approx(mean, rel=0.12)  # filaments differ in how much of them lies inside


def test_settings_refuse_a_range_that_goes_backwards() -> None:
    with pytest.raises(SuperlensError, match="photons"):
        DeepStormConfig.of("fast", photons=(2000.0, 1000.0))
    with pytest.raises(SuperlensError, match="preset"):
        DeepStormConfig.of("slow")


# -- what the network sees ----------------------------------------------------------------------------------------------


def test_frames_in_units_of_a_molecule_do_not_depend_on_the_light() -> None:
    units = Units("molecule", 1.1)
    frames = np.random.default_rng(0).uniform(0, 500, (2, 8, 8))
    np.testing.assert_allclose(units(frames, 1000.0, 20.0), units(3 * frames, 3000.0, 60.0), rtol=1e-5)


def test_frames_between_their_ends_do_not_depend_on_gain_and_offset() -> None:
    units = Units("range", 1.1, 0.2, 0.18)
    frames = np.random.default_rng(0).uniform(0, 500, (2, 8, 8))
    np.testing.assert_allclose(units(frames, 1.0, 0.0), units(2.5 * frames + 100, 1.0, 0.0), rtol=1e-4, atol=1e-5)


def test_the_peak_of_a_lone_molecule_is_one() -> None:
    from superlens.simulate import Molecules

    one = Molecules(np.array([[850.0, 850.0, 0.0]]), np.array([2000.0]), np.array([[110.0, 110.0]]), np.array([1]))
    frame = GaussianSpots(110.0, 0.0).render(one, (17, 17), 100.0) + 30.0
    assert Units("molecule", 1.1)(frame[None], 2000.0, 30.0).max() == pytest.approx(1.0, rel=1e-3)
    assert peak_share(1.1) * 2000.0 == pytest.approx(frame.max() - 30.0, rel=1e-3)


def test_a_spike_is_read_as_one_sure_molecule_where_it_is() -> None:
    density = np.zeros((64, 80), np.float32)
    density[20, 41] = 1.0
    found = peaks(density, 0.1, 8)
    np.testing.assert_allclose(found.positions_nm, [[41.5 / 8, 20.5 / 8]])
    np.testing.assert_allclose(found.height, [1.0], rtol=1e-3)
    np.testing.assert_allclose(found.width_nm, [1 / 8], rtol=1e-3)  # that of the blur


def test_a_molecule_between_pixels_is_read_within_a_twentieth_of_a_fine_pixel() -> None:
    """As training asks for it: shared by four pixels, and blurred."""
    places = np.random.default_rng(1).uniform(8, 16, (200, 2))
    found = np.concatenate([8 * peaks(shared_spikes(p[None], (24, 24)), 0.1, 8).positions_nm for p in places])
    assert np.abs(found - places).max() < 0.05


def test_two_spikes_three_pixels_apart_are_two_molecules() -> None:
    density = np.zeros((40, 40), np.float32)
    density[20, 18] = density[20, 22] = 1.0
    assert len(peaks(density, 0.1, 8)) == 2


def test_the_threshold_is_chosen_on_frames_that_may_be_empty() -> None:
    """A network that shows every molecule as half a spike and noise as a twentieth: the threshold lies between, empty frames or not."""
    config = DeepStormConfig.of("fast", density_um2=(0.01, 0.5), structured=0.0)
    rng = np.random.default_rng(3)

    class Seer(Detector):
        def densities(self, frames: np.ndarray) -> np.ndarray:
            truth = np.random.default_rng((config.seed, 1 << 41))
            drawn = [
                draw_example(config, truth, side=48, density=float(d))
                for d in np.geomspace(*config.density_um2, len(frames))
            ]
            assert any(not len(e.positions_nm) for e in drawn)
            maps = np.stack([shared_spikes(e.positions_nm / 12.5, (384, 384)) for e in drawn]) / 2
            maps.reshape(len(maps), -1)[:, rng.integers(0, 384**2, 20)] += 0.05
            return maps

    seer = calibrate(Seer(None, config, Units.of(config)))
    assert 0.05 < seer.threshold < 0.5


# -- what error is stated -------------------------------------------------------------------------------------------------


def signs(count: int, rng: np.random.Generator) -> np.ndarray:
    """What molecules of many kinds look like."""
    bound, height = np.exp(rng.normal(-3.2, 0.5, count)), rng.uniform(0.1, 1, count)
    return signs_of(bound, rng.gamma(0.7, 0.8, count), height, np.exp(rng.normal(-1.7, 0.3, count)))


def test_two_of_three_errors_lie_within_what_is_stated_for_every_kind_of_molecule() -> None:
    """Errors that grow with crowding and with the width of the peak, from a law that has never heard of how."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        seen = signs(count, rng)
        true = np.exp(seen[:, 0]) * (1 + seen[:, 3] ** 2) * np.exp(0.8 * seen[:, 2])
        return seen, true[:, None] * rng.standard_normal((count, 2))

    law = ErrorLaw.learn(*drawn(3000))
    seen, errors = drawn(20_000)
    within = np.abs(errors) <= law(seen)[:, None]
    assert np.mean(within) == pytest.approx(0.683, abs=0.02)
    for sign in seen.T:
        for part in np.array_split(np.argsort(sign), 4):
            assert np.mean(within[part]) == pytest.approx(0.683, abs=0.05)


def test_a_law_scales_with_the_errors_and_stays_finite_beyond_what_it_was_learned_from() -> None:
    rng = np.random.default_rng(1)
    seen, errors = signs(1000, rng), 0.05 * rng.standard_normal((1000, 2))
    one, triple = ErrorLaw.learn(seen, errors), ErrorLaw.learn(seen, 3 * errors)
    np.testing.assert_allclose(triple(seen), 3 * one(seen), rtol=0.02)
    far = one(np.array([[-50.0, 50.0, -50.0, 1e3], [50.0, -50.0, 50.0, 0.0]]))
    assert np.all(far > 0.2 * one(seen).min()) and np.all(far < 5 * one(seen).max())
    assert ErrorLaw.of(one.told()) == one


def test_of_few_molecules_the_law_is_a_multiple_of_the_bound() -> None:
    rng = np.random.default_rng(2)
    seen = signs(100, rng)
    law = ErrorLaw.learn(seen, 2 * np.exp(seen[:, :1]) * rng.standard_normal((100, 2)))
    ratio = law(seen) / np.exp(seen[:, 0])
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert ratio[0] == pytest.approx(2.0, rel=0.15)
    assert np.all(np.isfinite(ErrorLaw.learn(np.empty((0, 4)), np.empty((0, 2)))(seen)))


# -- training -----------------------------------------------------------------------------------------------------------


def quick(**changes: object) -> DeepStormConfig:
    """A few steps of a network of a sixteenth of the width."""
    network = tiny.network("deepstorm-camera", width=4, blocks=1)
    return DeepStormConfig.of("fast", **{**TINY, "network": network, **changes})


@pytest.fixture
def as_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are not calibrated after a few steps of training: they show molecules everywhere, and each would be refined."""
    monkeypatch.setattr("superlens.methods.deepstorm.learn.calibrate", lambda detector: detector)


@pytest.mark.slow
@pytest.mark.usefixtures("as_trained")
def test_a_resumed_training_ends_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    config = quick(steps=52, density_um2=(0.5, 1.0))

    def stop(done: int, total: int, message: str) -> None:
        if done == 50:
            raise Cancelled

    whole = train_deepstorm(config=config)
    train_deepstorm(config=config, checkpoint=tmp_path / "state", progress=stop)
    resumed = train_deepstorm(config=config, checkpoint=tmp_path / "state")
    for a, b in zip(whole.network.weights, resumed.network.weights, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-6)


@pytest.mark.slow
def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    made = train_deepstorm(config=quick(density_um2=(0.5, 1.0)))
    made.save(tmp_path / "ds.zip")
    read = Model.load(tmp_path / "ds.zip")
    assert read.config == made.config
    assert DeepStormState.of(read) == DeepStormState.of(made)


@pytest.mark.slow
@pytest.mark.usefixtures("as_trained")
def test_the_users_own_frames_train_a_model() -> None:
    own = movie(1.0, frames=10)
    model = train_deepstorm(own.frames, own.truth, config=quick())
    trained = DeepStormState.of(model).settings
    assert trained.pixel_nm == 100.0
    assert trained.sigma_pixels == pytest.approx(1.1, rel=0.1)


def test_a_truth_of_other_frames_or_of_another_field_is_refused() -> None:
    own = movie(1.0, frames=6)
    told = estimate_movie(own.frames.data, 100.0)
    counts = own.frames.data.astype(np.float32)
    later = own.truth.with_columns(frame=own.truth["frame"] + 6)
    with pytest.raises(SuperlensError, match="frames up to"):
        OwnFrames.of(counts, later, 100.0, told)
    away = own.truth.with_columns(x_nm=own.truth["x_nm"] * 1000)
    with pytest.raises(SuperlensError, match="outside"):
        OwnFrames.of(counts, away, 100.0, told)


def test_own_frames_hold_every_molecule_where_it_is() -> None:
    own = movie(1.0, frames=6)
    told = dataclasses.replace(estimate_movie(own.frames.data, 100.0), photons=2250.0)
    config = DeepStormConfig.of("fast", batch=4, patch=32, misjudged=0.0)
    made = OwnFrames.of(own.frames.data.astype(np.float32), own.truth, 100.0, told)
    frames, spikes = made.batch(config, Units.of(config), np.random.default_rng(0))
    for frame, spike in zip(frames[..., 0], spikes[..., 0], strict=True):
        seen = spike.reshape(32, 8, 32, 8).sum(axis=(1, 3))
        inner = np.s_[4:-4, 4:-4]
        assert np.corrcoef(seen[inner].ravel(), frame[inner].ravel())[0, 1] > 0.3  # a blur apart, not a turn


# -- localization -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sparse() -> tuple[Movie, Localized]:
    """A sparse movie and what the shipped model finds in it."""
    made = movie(0.5, frames=30)
    return made, localize(made.frames)


def test_sparse_molecules_are_found_where_they_are(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    told = scores(match(found.localizations, made.truth, border_nm=200.0))
    assert told["jaccard"] > 0.93
    assert told["rmse_lateral_nm"] < 25
    assert abs(told["bias_x_nm"]) < 2 and abs(told["bias_y_nm"]) < 2


def test_molecules_on_uneven_light_are_found_and_it_is_not_taken_for_molecules() -> None:
    scene = SmlmScene(blinking=Independent(0.5), margin_nm=500.0, background=Background(50.0, 50.0, contrast=0.5))
    made = simulate_smlm(30, scene, rng=np.random.default_rng(3))
    found = localize(made.frames)
    assert any("uneven" in message for message in found.messages)
    assert scores(match(found.localizations, made.truth))["jaccard"] > 0.93


def test_photons_and_stated_errors_are_right(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    pairs = match(found.localizations, made.truth, border_nm=300.0)
    ours, true = found.localizations.where(pairs.found_index), made.truth.where(pairs.truth_index)
    assert np.median(ours["photons"] / true["photons"]) == pytest.approx(1.0, abs=0.12)  # as well as the gain is known
    off = np.abs(ours.positions_nm - true.positions_nm) / ours["uncertainty_nm"][:, None]
    assert 0.55 < np.mean(off < 1) < 0.95


def test_the_density_holds_as_many_molecules_as_there_are(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    assert found.density.data.sum() == pytest.approx(len(made.truth), rel=0.25)
    assert found.density.pixel_nm == 12.5 and found.density.data.shape == (256, 256)


def test_gain_and_offset_of_the_camera_do_not_matter(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    counts = made.frames.data.astype(np.float32)
    other = localize(Image(3 * counts + 50, "TYX", pixel_nm=100.0))
    pairs = match(other.localizations, found.localizations)
    assert len(pairs) > 0.98 * len(found.localizations)
    assert np.median(pairs.distance_nm) < 1.0


def test_frames_that_were_asked_for_keep_their_numbers(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    part = localize(made.frames, found.model, frames=(11, 20))
    assert part.localizations["frame"].min() >= 11 and part.localizations["frame"].max() <= 20
    assert part.frames == (11, 20)


def test_stopping_keeps_the_frames_that_were_done(
    sparse: tuple[Movie, Localized], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = sparse
    monkeypatch.setattr("superlens.methods.deepstorm.apply._AT_ONCE", 10 * 32 * 32)

    def stop(done: int, total: int, message: str) -> None:
        if done == 20:
            raise Cancelled

    part = localize(made.frames, found.model, progress=stop)
    assert part.frames == (1, 20)
    assert any("stopped after frame 20" in message for message in part.messages)


def test_how_frames_are_cut_into_blocks_does_not_matter(
    sparse: tuple[Movie, Localized], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = sparse
    monkeypatch.setattr("superlens.methods.deepstorm.apply._AT_ONCE", 7 * 32 * 32)
    again = localize(made.frames, found.model)
    np.testing.assert_allclose(again.localizations["x_nm"], found.localizations["x_nm"], atol=0.01)
    np.testing.assert_allclose(again.density.data, found.density.data, atol=1e-4)


def test_a_movie_in_a_file_gives_the_same_as_one_in_memory(sparse: tuple[Movie, Localized], tmp_path: Path) -> None:
    made, found = sparse
    sl.write(tmp_path / "movie.tif", made.frames)
    again = localize(sl.open_image(tmp_path / "movie.tif"), found.model)
    np.testing.assert_array_equal(again.localizations["x_nm"], found.localizations["x_nm"])


def test_molecules_of_another_width_are_rescaled() -> None:
    made = movie(0.5, frames=30, spots=GaussianSpots(160.0, 5.0))
    found = localize(made.frames)
    told = scores(match(found.localizations, made.truth, border_nm=300.0))
    assert found.parameters["rescaled"] == pytest.approx(1.1 / 1.6, rel=0.08)
    assert told["jaccard"] > 0.85
    assert abs(told["bias_x_nm"]) < 4 and abs(told["bias_y_nm"]) < 4
    assert found.density.data.shape == (256, 256)
    assert found.density.data.sum() == pytest.approx(len(made.truth), rel=0.3)


def test_the_precision_of_training_finds_the_same_molecules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where bfloat16 is faster than float32, and is taken."""
    made, model = movie(4.0, frames=6, seed=4), Model.load(shipped()["deepstorm-dense"])
    tables = []
    for name in ("float32", "mixed_bfloat16"):
        monkeypatch.setattr("superlens.methods.deepstorm.detect.best_precision", lambda name=name: name)
        tables.append(localize(made.frames, model).localizations)
    pairs = match(*tables)
    assert len(pairs) > 0.98 * max(len(table) for table in tables)
    assert np.median(pairs.distance_nm) < 0.5


def test_a_single_frame_will_do() -> None:
    made = movie(0.5, frames=1, seed=5, sensor=Camera(gain=1.0, offset=100.0, read_noise_e=1.5))
    found = localize(Image(made.frames.data[0], "YX", pixel_nm=100.0), known=Known(110.0, 100.0, 1.0, 1.5))
    assert scores(match(found.localizations, made.truth))["jaccard"] > 0.6


def test_a_model_is_chosen_by_what_the_movie_tells_and_says_why() -> None:
    told = estimate_movie(movie(3.0, frames=30).frames.data, 100.0)
    chosen = choose_model(told)
    assert chosen.fits and "molecules per square micrometre" in chosen.why
    dim = choose_model(dataclasses.replace(told, photons=60.0))
    assert not dim.fits and "train a model on this movie" in dim.why


def test_of_two_models_the_one_whose_light_it_is_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By photons and by density, both of which are told along with what the other was for."""
    dense = Model.load(shipped()["deepstorm-dense"])
    state = DeepStormState.of(dense)
    dim = state.with_changes({"settings": state.settings.with_changes({"photons": (100.0, 800.0)})})
    Model(dense.config.with_changes({"state": dim.stored()}), dense.network).save(tmp_path / "dim.zip")
    both = {"deepstorm-a": shipped()["deepstorm-dense"], "deepstorm-b": tmp_path / "dim.zip"}
    for module in ("choice", "state"):
        monkeypatch.setattr(f"superlens.methods.deepstorm.{module}.shipped", lambda: both)
    told = estimate_movie(movie(3.0, frames=30).frames.data, 100.0)
    for photons, name, other in ((2000.0, "a", "b is for 100 to 800"), (200.0, "b", "a is for 600 to 6000")):
        chosen = choose_model(dataclasses.replace(told, photons=photons))
        assert chosen.name == f"deepstorm-{name}" and chosen.fits
        assert f"Of the others, deepstorm-{other} photons" in chosen.why


def test_the_settings_for_a_movie_lie_around_what_it_tells() -> None:
    told = estimate_movie(movie(3.0, frames=30).frames.data, 100.0)
    config = config_for(told, 100.0, DeepStormConfig.of("fast"))
    assert config.photons[0] < told.photons < config.photons[1]
    assert config.density_um2[0] < told.density_um2 < config.density_um2[1]
    assert config.sigma_pixels == pytest.approx(told.sigma_nm / 100.0)


# -- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Image(np.zeros((4, 32, 32), np.uint16), "TYX", pixel_nm=100.0), "everywhere"),
        (Image(np.zeros((4, 32, 32), np.uint16), "TYX"), "`pixel_nm`"),
        (Image(np.zeros((4, 32, 32), np.uint16), "TYX", pixel_nm=0.1), "micrometres"),
        (Image(np.zeros((4, 32, 32), np.uint16), "ZYX", pixel_nm=100.0), "`axes` TYX"),
        (Image(np.zeros((4, 12, 32), np.uint16), "TYX", pixel_nm=100.0), "at least 16"),
    ],
    ids=["constant", "no-pixel", "micrometres", "stack", "small"],
)
def test_what_is_no_movie_is_refused_in_words(made: Image, words: str) -> None:
    with pytest.raises(SuperlensError, match=words):
        localize(made)


def test_frames_without_blinks_and_saturated_ones_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SuperlensError, match="nothing blinks"):
        localize(Image(rng.poisson(100.0, (20, 32, 32)).astype(np.uint16), "TYX", pixel_nm=100.0))
    bright = np.minimum(movie(2.0).frames.data, 130)
    with pytest.raises(SuperlensError, match="saturated"):
        localize(Image(bright, "TYX", pixel_nm=100.0))


def test_frames_beyond_the_movie_and_models_of_other_methods_are_refused(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    with pytest.raises(SuperlensError, match="frames is 5:99"):
        localize(made.frames, found.model, frames=(5, 99))
    other = dataclasses.replace(found.model, config=found.model.config.with_changes({"method": "zsdeconv"}))
    with pytest.raises(SuperlensError, match="deepstorm"):
        localize(made.frames, other)


def test_a_width_that_no_rescaling_reaches_names_the_training_command(sparse: tuple[Movie, Localized]) -> None:
    made, found = sparse
    with pytest.raises(SuperlensError, match="train"):
        localize(made.frames, found.model, known=Known(sigma_nm=600.0))


def test_an_empty_result_is_a_valid_table(sparse: tuple[Movie, Localized]) -> None:
    _, found = sparse
    state = DeepStormState.of(found.model).with_changes({"threshold": 1e6})
    deaf = dataclasses.replace(found.model, config=found.model.config.with_changes({"state": state.stored()}))
    empty = localize(movie(4.0, frames=8).frames, deaf)
    assert isinstance(empty.localizations, Localizations) and len(empty.localizations) == len(empty.linked) == 0
    assert any("no molecule was found" in message for message in empty.messages)
    assert empty.rendered().data.sum() == 0
    assert "<html" in empty.report()
