"""Weights from elsewhere: they come back as they were stored, and the half pixel of their labels is taken back."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.methods.deepstorm.detect import Detector
from superlens.methods.deepstorm.original import import_original
from superlens.methods.deepstorm.state import DeepStormState
from superlens.networks import build


def stored(path: Path, *, whole: bool, leave_out: str = "") -> keras.Model:
    """Write the weights of a fresh network as Keras 2 did: a group for each layer, in it another of its name, in it ``name:0``."""
    network = build("deepstorm", {"upsampling": 8})
    rng = np.random.default_rng(0)
    for variable in network.weights:
        variable.assign(
            np.abs(rng.normal(size=variable.shape)) if "variance" in variable.name else rng.normal(size=variable.shape)
        )
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole else file
        for layer in network.layers:
            group = root.create_group(layer.name)
            for variable in layer.weights:
                if layer.name != leave_out:
                    group.create_group(layer.name) if layer.name not in group else None
                    group[layer.name][f"{variable.name}:0"] = np.asarray(variable)
    return network


@pytest.mark.parametrize("whole", [True, False], ids=["model", "weights"])
def test_weights_come_back_as_they_were_stored(tmp_path: Path, whole: bool) -> None:
    network = stored(tmp_path / "w.h5", whole=whole)
    model = import_original(tmp_path / "w.h5", mean=0.2, deviation=0.18)
    assert model.network.count_params() == 1_368_128
    for ours, theirs in zip(model.network.weights, network.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    state = DeepStormState.of(model)
    assert (state.frame_mean, state.frame_deviation) == (0.2, 0.18)


def test_the_half_pixel_of_the_labels_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "w.h5", whole=False)
    spike = np.zeros((1, 64, 64, 1), np.float32)
    spike[0, 20, 30] = 50.0  # what the original gives for one molecule
    monkeypatch.setattr("superlens.methods.deepstorm.detect.predict_frames", lambda *_: spike)
    places = {}
    for labels in ("exact", "original", "notebook"):
        detector = Detector.of(import_original(tmp_path / "w.h5", mean=0.2, deviation=0.18, labels=labels))  # type: ignore[arg-type]
        maps = detector.densities(np.zeros((1, 8, 8, 1), np.float32))
        assert maps.sum() == pytest.approx(1.0)
        places[labels] = detector.read(maps).places[0] * 8
    np.testing.assert_allclose(places["exact"], [30.5, 20.5], atol=0.01)
    np.testing.assert_allclose(places["original"], [31.0, 21.0], atol=0.01)
    np.testing.assert_allclose(places["notebook"], [30.0, 20.0], atol=0.01)


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    stored(tmp_path / "w.h5", whole=False, leave_out="conv-CNNF3")
    with pytest.raises(SuperlensError, match="conv-CNNF3/kernel is missing"):
        import_original(tmp_path / "w.h5", mean=0.2, deviation=0.18)
    (tmp_path / "no.h5").write_bytes(b"not HDF5")
    with pytest.raises(SuperlensError, match="not an HDF5 file"):
        import_original(tmp_path / "no.h5", mean=0.2, deviation=0.18)
    with pytest.raises(SuperlensError, match="no file"):
        import_original(tmp_path / "none.h5", mean=0.2, deviation=0.18)
    with pytest.raises(SuperlensError, match="deviation"):
        import_original(tmp_path / "w.h5", mean=0.2, deviation=0.0)
