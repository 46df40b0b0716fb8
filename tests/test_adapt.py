"""Test-time adaptation: a few steps further on each frame, and the model file stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result as Ran

from superlens.camera import Camera
from superlens.enhancing import adapt, predict, predict_file, train
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.io import read, write
from superlens.methods.zsdeconv.adapt import Adapter
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import ChannelModels, Model
from superlens.optics import Objective
from superlens.predicting import BlockOptions
from superlens.progress import Cancelled, silent
from superlens.result import Result
from superlens.training import get_weights

pytestmark = pytest.mark.usefixtures("slim")

Run = Callable[..., Ran]

GREEN = Objective(na=1.3, wavelength_nm=525)


def counts(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return Camera(2.0, 100.0, 1.0).expose(rng.poisson(20 + 80 * rng.random(shape) ** 6), rng, bits=16)


@pytest.fixture(scope="module")
def shared(slim: None) -> Model:
    config = ZSDeconvConfig.of(steps=0, flips=1, batch=1, patch=32, learning_rate=3e-3)
    return train(Image(counts((2, 32, 40)), "TYX", 65.0), GREEN, config=config)


@pytest.fixture(scope="module")
def movie() -> Image:
    return Image(counts((2, 32, 40), seed=1), "TYX", 65.0, frame_interval_s=0.5, name="movie")


@pytest.fixture(scope="module")
def alone(shared: Model, movie: Image) -> list[Model]:
    """What each frame alone makes of the model."""
    made = [adapt(shared, movie.select(t=t), steps=3) for t in range(2)]
    assert all(isinstance(one, Model) for one in made)
    return made  # type: ignore[return-value]


@pytest.fixture(scope="module")
def whole(shared: Model, movie: Image) -> Result:
    return predict(shared, movie, adapt_steps=3)


def test_the_model_stays_as_it_is_and_the_new_one_tells_its_steps(shared: Model, movie: Image) -> None:
    before = [w.copy() for w in get_weights(shared.network)]
    own = adapt(shared, movie.select(t=0), steps=3)
    assert isinstance(own, Model)
    for old, now in zip(before, get_weights(shared.network), strict=True):
        np.testing.assert_array_equal(old, now)
    assert own.config.provenance["adapted_steps"] == 3
    changed = own.config.with_changes({"provenance": shared.config.provenance})
    assert changed == shared.config


def test_adaptation_is_the_same_for_the_same_image(shared: Model, movie: Image, alone: list[Model]) -> None:
    one, other = alone[0], adapt(shared, movie.select(t=0), steps=3)
    assert isinstance(other, Model)
    for a, b in zip(get_weights(one.network), get_weights(other.network), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frame_after_frame_gives_the_models_of_frames_alone(shared: Model, movie: Image, alone: list[Model]) -> None:
    adapter = Adapter(shared, 3)
    for t in (0, 1, 0):
        own = adapter(movie.select(t=t), silent)
        assert isinstance(own, Model)
        assert own.config == alone[t].config
        for a, b in zip(get_weights(own.network), get_weights(alone[t].network), strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_frame_is_predicted_by_its_own_model(
    shared: Model, movie: Image, alone: list[Model], whole: Result
) -> None:
    for t in range(2):
        one = predict(alone[t], movie.select(t=t))
        np.testing.assert_allclose(whole.image.data[t], one.image.data, atol=1e-3)
    assert (whole.image.axes, whole.image.frame_interval_s, whole.image.pixel_nm) == ("TYX", 0.5, 32.5)
    assert whole.model is shared
    assert any("frames was predicted by the model after up to 3 more steps" in said for said in whole.messages)


def test_by_blocks_frames_are_adapted_to_as_well(shared: Model, movie: Image, whole: Result, tmp_path: Path) -> None:
    shared.save(tmp_path / "m.zip")
    before = (tmp_path / "m.zip").read_bytes()
    path = write(tmp_path / "movie.ome.zarr", movie)
    options = BlockOptions(block=16, adapt=3)
    (made,) = predict_file(tmp_path / "m.zip", path, tmp_path / "sr.ome.zarr", options=options)
    expected = whole.image.data
    np.testing.assert_allclose(read(made).data, expected, atol=1e-5 * np.ptp(expected))
    assert (tmp_path / "m.zip").read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"m.zip", "movie.ome.zarr", "sr.ome.zarr"}


def test_a_stopped_run_by_blocks_keeps_its_adapted_models(shared: Model, movie: Image, tmp_path: Path) -> None:
    shared.save(tmp_path / "m.zip")
    path = write(tmp_path / "movie.ome.zarr", movie)

    def stop(done: int, total: int, message: str) -> None:
        if message == "blocks" and done == 2:
            raise Cancelled

    options = BlockOptions(block=16, adapt=2)
    with pytest.raises(Cancelled):
        predict_file(tmp_path / "m.zip", path, tmp_path / "sr.ome.zarr", options=options, progress=stop)
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / ".sr.ome.zarr.adapted").iterdir()}
    assert set(kept) == {"t0.zip", "t1.zip"}
    with pytest.raises(SuperlensError, match="another model"):
        predict_file(tmp_path / "m.zip", path, tmp_path / "sr.ome.zarr", options=BlockOptions(block=16))
    (made,) = predict_file(tmp_path / "m.zip", path, tmp_path / "sr.ome.zarr", options=options)
    whole = predict_file(tmp_path / "m.zip", path, tmp_path / "again.ome.zarr", options=options)[0]
    np.testing.assert_array_equal(read(made).data, read(whole).data)


@pytest.mark.usefixtures("untraced")
def test_each_channel_adapts_its_own_model(shared: Model) -> None:
    image = Image(counts((2, 32, 40), seed=2), "CYX", 65.0)
    models = ChannelModels((0, 1), (shared, shared))
    own = adapt(models, image, steps=2)
    assert isinstance(own, ChannelModels)
    for at, model in enumerate(own.models):
        alone = adapt(shared, image.select(c=at), steps=2)
        for a, b in zip(get_weights(model.network), get_weights(alone.network), strict=True):
            np.testing.assert_array_equal(a, b)


def test_no_steps_are_refused(shared: Model, movie: Image) -> None:
    with pytest.raises(SuperlensError, match="steps is 0"):
        adapt(shared, movie, steps=0)


def test_the_command_adapts(superlens: Run, shared: Model, movie: Image, whole: Result, tmp_path: Path) -> None:
    shared.save(tmp_path / "m.zip")
    path = write(tmp_path / "movie.tif", movie)
    result = superlens("predict", path, "--model", tmp_path / "m.zip", "--adapt", 3, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(read(tmp_path / "out" / "movie_sr.tif").data, whole.image.data, atol=1e-3)
    assert "up to 3 more steps" in result.stderr
