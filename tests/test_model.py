"""The model file: what was saved comes back and predicts the same, and no file breaks more than one line."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError
from superlens.model import FORMAT, ChannelModels, Model, ModelConfig, read_channels, read_header, shipped
from superlens.networks import build
from superlens.optics import PSF
from superlens.training import get_weights

ARGUMENTS = {"channels": 2, "scale": 2, "widths": [2, 2, 2]}


def made(*, network="light", arguments=ARGUMENTS, arrays=None, **changes):
    keras.utils.set_random_seed(0)
    config = ModelConfig(
        **{
            "version": "0",
            "method": "zsdeconv",
            "network": network,
            "network_config": arguments,
            "state": {"seed": 4, "psf": {"pixel_nm": 31.3}},
            **changes,
        }
    )
    psf = PSF.gaussian(250.0, 31.3).data
    return Model(config, build(network, arguments), {"psf": psf} if arrays is None else arrays)


def outputs(model):
    x = np.random.default_rng(0).random((1, 8, 12, 2 if model.config.network == "light" else 1), np.float32)
    x = np.repeat(np.repeat(x, 2, 1), 2, 2) if model.config.network == "unet" else x
    return [keras.ops.convert_to_numpy(o) for o in model.network(x[:, :16, :16], training=False)]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a model file."""
    path = tmp_path_factory.mktemp("model") / "model.zip"
    made().save(path)
    return path.read_bytes()


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_config(data, **changes):
    parts = members(data)
    config = {**json.loads(parts["model.json"]), **changes}
    return packed({**parts, "model.json": json.dumps({k: v for k, v in config.items() if v != "absent"})})


def refused(tmp_path, data, match=None):
    path = tmp_path / "strange.zip"
    path.write_bytes(data)
    with pytest.raises(SuperlensError, match=match) as refusal:
        Model.load(path)
    message = str(refusal.value)
    assert "strange.zip" in message
    assert "\n" not in message
    assert len(message) < 600
    return message


@pytest.mark.parametrize(
    "model",
    [
        made(),
        made(arrays={}),
        made(arguments={**ARGUMENTS, "scale": 1}),
        made(network="unet", arguments={"scale": 2, "base_channels": 2}),
    ],
    ids=["light", "without arrays", "scale 1", "unet"],
)
def test_saved_and_loaded_predicts_the_same(tmp_path, model):
    model.save(tmp_path / "model.zip")
    loaded = Model.load(tmp_path / "model.zip")
    assert loaded.config == model.config == read_header(tmp_path / "model.zip")
    for a, b in zip(outputs(model), outputs(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(loaded.arrays) == set(model.arrays)
    for name, array in model.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == array.dtype


def test_a_configuration_with_a_network_needs_one_and_one_without_has_none():
    with pytest.raises(SuperlensError, match="names the network 'light' and the model has none"):
        Model(made().config)
    with pytest.raises(SuperlensError, match="names the network '' and the model has one"):
        Model(ModelConfig(version="0", method="mine"), made().network)


def test_a_header_is_read_without_the_network(tmp_path, good):
    """Of several channels that of the first; a file whose weights are damaged still says what it is."""
    both = ChannelModels((1, 3), (made(provenance={"first": True}), made()))
    both.save(tmp_path / "both.zip")
    assert read_header(tmp_path / "both.zip").provenance == {"first": True}
    assert read_channels(tmp_path / "both.zip") == (1, 3)
    (tmp_path / "damaged.zip").write_bytes(packed({**members(good), "weights.npz": b"nothing"}))
    assert read_header(tmp_path / "damaged.zip").network == "light"
    assert read_channels(tmp_path / "damaged.zip") is None
    with pytest.raises(SuperlensError, match="there is no model file"):
        read_header(tmp_path / "nowhere.zip")


def test_float16_is_smaller_and_keeps_three_digits(tmp_path):
    model = made(arguments={**ARGUMENTS, "widths": [8, 8, 8]})
    model.save(tmp_path / "exact.zip")
    model.save(tmp_path / "half.zip", dtype="float16")
    assert (tmp_path / "half.zip").stat().st_size < 0.75 * (tmp_path / "exact.zip").stat().st_size
    for a, b in zip(get_weights(model.network), get_weights(Model.load(tmp_path / "half.zip").network), strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-10, atol=2**-24)
        assert b.dtype == np.float32


def test_saving_twice_gives_the_same_members(tmp_path):
    for name in ("a.zip", "b.zip"):
        made().save(tmp_path / name)
    assert members((tmp_path / "a.zip").read_bytes()) == members((tmp_path / "b.zip").read_bytes())


def test_saving_makes_folders_and_leaves_nothing_beside(tmp_path):
    made().save(tmp_path / "new" / "model.zip")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["model.zip"]


def test_impossible_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SuperlensError, match="can't write the model"):
        made().save(tmp_path / "file" / "model.zip")


def test_missing_file_is_said(tmp_path):
    with pytest.raises(SuperlensError, match="there is no model file"):
        Model.load(tmp_path / "nowhere.zip")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_file_cut_short_is_refused(tmp_path, good, share):
    refused(tmp_path, good[: int(share * len(good))], "cut short")


@pytest.mark.parametrize("data", [b"hello", b"PK\x03\x04" + bytes(100), packed({"readme.txt": "a zip"}), bytes(22)])
def test_foreign_file_is_refused(tmp_path, data):
    refused(tmp_path, data, "not a superlens model")


class Intruder:
    """Says so if a file from a stranger runs code."""

    def __reduce__(self):
        return (pytest.fail, ("the file ran its own code",))


@pytest.mark.parametrize("member", ["weights.npz", "arrays.npz"])
@pytest.mark.parametrize("kind", ["pickle", "object array"])
def test_file_that_carries_a_pickle_is_refused_and_not_run(tmp_path, good, member, kind):
    if kind == "pickle":
        evil = pickle.dumps(Intruder())
    else:
        buffer = io.BytesIO()
        held = np.array([Intruder()], object)
        np.savez(buffer, w0=held) if member.endswith("npz") else np.save(buffer, held, allow_pickle=True)
        evil = buffer.getvalue()
    refused(tmp_path, packed({**members(good), member: evil}), "not a superlens model")


@pytest.mark.parametrize("member", ["model.json", "weights.npz"])
def test_missing_member_is_refused(tmp_path, good, member):
    refused(tmp_path, packed({k: v for k, v in members(good).items() if k != member}))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": FORMAT + 1}, "its format is 3 and this superlens reads 2; update superlens"),
        ({"format": 1}, "its format is 1 and this superlens reads 2; train it again"),
        ({"format": "absent"}, "its format is 1 "),
        ({"network": "resnet"}, "network is 'resnet'"),
        ({"network": "unet"}, "unet"),
        ({"network_config": {"channels": 3, "widths": [2, 2, 2]}}, "do not fit the network"),
        ({"network_config": {"widths": "abc"}}, None),
        ({"method": "absent"}, "method"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_configuration_is_refused(tmp_path, good, changes, match):
    refused(tmp_path, with_config(good, **changes), match)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "7", "[" * 100_000])
def test_text_that_is_no_configuration_is_refused(tmp_path, good, text):
    refused(tmp_path, packed({**members(good), "model.json": text}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_any_flipped_bytes_give_a_model_or_one_line(tmp_path, good, flips):
    data = bytearray(good)
    for where, mask in flips:
        data[int(where * len(data))] ^= mask
    path = tmp_path / "flipped.zip"
    path.write_bytes(data)
    try:
        assert isinstance(Model.load(path), Model)
    except SuperlensError as refusal:
        assert "\n" not in str(refusal)


def test_shipped_start_is_found_and_is_of_the_light_network():
    path = shipped()["zsdeconv-light"]
    model = Model.load(path)
    assert model.config.network == "light"
    assert not model.arrays
    assert all(np.isfinite(w).all() for w in get_weights(model.network))
