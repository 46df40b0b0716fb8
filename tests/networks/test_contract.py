"""What every network keeps to: it is what its `Architecture` says. A new network gets an entry in `TINY`, and nothing else here."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest

import engines
from superlens.errors import SuperlensError
from superlens.networks import Architecture, architecture, build, names, register
from superlens.observing.conditioning import BANK_RADIUS, BANK_RADIUS_Z
from superlens.tiling import map_tiles
from superlens.training import Plan, fit, get_weights, outputs_of, set_weights

TINY = {
    "haze": {"channels": 3, "width": 4},
    "light": {"channels": 3, "widths": (4, 4, 4)},
    "light-volume": {"channels": 3, "widths": (4, 4, 4)},
    "rcan": {"width": 16},
    "unet": {"base_channels": 4},
    "deepstorm": {"widths": (4, 4, 4, 4)},
    "deepstorm-camera": {"width": 4},
    "deepstorm-direct": {"width": 4},
}
FACTORS = {"scale": (1, 2), "upsampling": (4, 8, 16), "": (1,)}

ALL = names()
LOCAL = [name for name in ALL if not architecture(name).whole]


def tiny(name, factor=None):
    keras.utils.set_random_seed(0)  # one unit in the attention of a narrow network may be dead by chance
    known = architecture(name)
    return build(
        name, TINY[name] if factor is None else {**TINY[name], **({known.sampling: factor} if known.sampling else {})}
    )


def channels(name):
    return TINY[name].get("channels", 1)


def noise(name, side=None, seed=0):
    """A batch of one input of few pixels."""
    known = architecture(name)
    sides = (side or 2 * known.align, 3 * known.align)
    shape = (1, *((5,) if known.axes == "ZYX" else ()), *(max(n, 8) for n in sides), channels(name))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(network, x):
    outputs = network(x, training=False)
    return [keras.ops.convert_to_numpy(o) for o in (outputs if isinstance(outputs, list) else [outputs])]


def restless(network, seed=1):
    """Random weights everywhere, so that no path through the graph is empty."""
    rng = np.random.default_rng(seed)
    set_weights(network, [w + 0.1 * rng.standard_normal(w.shape).astype(np.float32) for w in get_weights(network)])
    return network


# -- inputs and outputs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_outputs_come_in_the_order_and_the_sampling_that_are_stated(name):
    """The sampling along z stays; the sharp image and the density have as many fine pixels along a pixel as asked for."""
    known = architecture(name)
    for factor in FACTORS[known.sampling]:
        x = noise(name)
        made = run(tiny(name, factor), x)
        assert len(made) == len(known.outputs)
        for role, out in zip(known.outputs, made, strict=True):
            fine = 1 if role == "denoised" else factor
            assert out.shape == (*x.shape[:-3], fine * x.shape[-3], fine * x.shape[-2], 1)
            assert out.dtype == np.float32


@pytest.mark.parametrize("name", ALL)
def test_arguments_of_a_network_build_it(name):
    known = architecture(name)
    several = {"channels": known.channels} if known.channels > 1 else {}
    built = known.make(**{**known.arguments(FACTORS[known.sampling][-1]), **TINY[name], **several})
    assert built.input.shape[-1] == known.channels
    assert known.says_error == ("log_sigma" in known.outputs)


@pytest.mark.parametrize("name", ALL)
def test_each_layer_belongs_to_one_output_at_most(name):
    """Layers that are frozen for one output have the weights that this output alone needs."""
    known, network = architecture(name), tiny(name)
    for role in known.stages:
        own = [layer.name for layer in network.layers if layer.name.startswith(known.layers_of(role)) and layer.weights]
        assert own
        others = tuple(p for other in known.stages if other != role for p in known.layers_of(other))
        assert not any(layer.startswith(others) for layer in own)
    for role, head in known.heads.items():
        assert role in known.outputs
        assert network.get_layer(head).use_bias


@pytest.mark.parametrize("name", [name for name in ALL if architecture(name).heads])
def test_the_bias_of_a_head_moves_its_output(name):
    known, network = architecture(name), restless(tiny(name))
    x = noise(name)
    for role, head in known.heads.items():
        before = run(network, x)[known.outputs.index(role)]
        kernel, bias = network.get_layer(head).get_weights()
        network.get_layer(head).set_weights([kernel, bias + 0.5])
        after = run(network, x)[known.outputs.index(role)]
        network.get_layer(head).set_weights([kernel, bias])
        assert np.abs(after - before).max() > 0.1


@pytest.mark.parametrize("config", [{"depth": 3}, {"sampling": 3}, {"sampling": 2.5}, {"sampling": "2"}])
@pytest.mark.parametrize("name", ALL)
def test_configuration_that_does_not_fit_is_refused(name, config):
    config = {architecture(name).sampling if key == "sampling" else key: value for key, value in config.items()}
    with pytest.raises(SuperlensError, match=name):
        build(name, config)


# -- how far they see ------------------------------------------------------------------------------------------------


def spread_sideways(network):
    """Let every 3x3 convolution pass what it sees one pixel to the left and to the right, with no bias.

    With an image of zeros everything stays zero but what a single lit pixel reaches, through every path of the graph, and the halves
    of so many layers are still far from the smallest float32.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, *bias = layer.get_weights()
            passing = np.zeros_like(kernel)
            middle = kernel.shape[0] // 2
            passing[middle, [0, -1]] = 0.5 / kernel.shape[2]
            layer.set_weights([passing, *(np.zeros_like(b) for b in bias)])


def reach(name, factor):
    """How far a lit pixel is seen, in input pixels, over all positions relative to the grid of poolings."""
    known, network = architecture(name), tiny(name, factor)
    spread_sideways(network)
    width = -(-3 * known.reach // known.align) * known.align
    lit = width // 2 + np.arange(known.align)
    x = np.zeros((known.align, 2 * known.align, width, channels(name)), np.float32)
    x[np.arange(known.align), :, lit] = 1
    made = run(network, x[:, None] if known.axes == "ZYX" else x)
    furthest = 0
    for out in made:
        seen = np.any(out.reshape(known.align, *out.shape[-3:])[..., 0] != 0, axis=1)
        for position, row in zip(lit, seen, strict=True):
            where = np.flatnonzero(row) * width // out.shape[-2]
            furthest = max(furthest, position - where[0], where[-1] - position)
    return furthest


@pytest.mark.parametrize("name", LOCAL)
def test_halo_is_the_receptive_field_of_a_delta_and_that_of_the_filters(name):
    """Rounded up to the grid of poolings; the smallest enlargement sees the furthest, in input pixels."""
    known = architecture(name)
    radius = max(reach(name, factor) for factor in FACTORS[known.sampling][:2])
    assert known.reach == -(-radius // known.align) * known.align
    assert known.halo == known.reach + (BANK_RADIUS if known.inputs == "conditioned" else 0)


@pytest.mark.parametrize("name", [name for name in LOCAL if architecture(name).axes == "ZYX"])
def test_networks_of_volumes_see_as_many_slices_as_stated(name):
    known, network = architecture(name), tiny(name)
    # Every path passes something and adds nothing of its own, so that all is zero but what a lit slice reaches.
    set_weights(network, [np.full_like(w, 1 / w[..., 0].size) if w.ndim > 1 else 0 * w for w in get_weights(network)])
    middle = 3 * known.slices // 2
    x = np.zeros((1, 2 * middle + 1, 8, 8, channels(name)), np.float32)
    x[0, middle] = 1
    seen = np.unique(np.concatenate([np.nonzero(out)[1] for out in run(network, x)]))
    assert [middle - seen[0], seen[-1] - middle] == [known.slices] * 2
    assert known.reach_z == known.slices + (BANK_RADIUS_Z if known.inputs == "conditioned" else 0)


@pytest.mark.parametrize("name", ALL)
def test_networks_see_as_far_down_as_sideways(name):
    """Every kernel and pooling is square laterally, so that the reach along x is the reach."""
    for layer in tiny(name).layers:
        for attribute in ("kernel_size", "pool_size", "size"):
            assert len(set(getattr(layer, attribute, (1, 1))[-2:])) == 1


@pytest.mark.parametrize("name", LOCAL)
def test_tiled_is_whole(name):
    known, network = architecture(name), restless(tiny(name))
    rng = np.random.default_rng(0)
    tall, wide = 2 * known.align, known.reach + 6 * known.align
    volume = known.axes == "ZYX"
    x = rng.normal(size=(*((3,) if volume else ()), tall, wide, channels(name))).astype(np.float32)
    about = {
        "halo": (known.slices,) * volume + (known.reach,) * 2,
        "align": (1,) * volume + (known.align,) * 2,
        "ends": "open",
    }
    whole, tiled = (
        map_tiles(partial(outputs_of, network), x, tile=tile, **about)
        for tile in (None, (3,) * volume + (tall, 2 * known.align))
    )
    for a, b in zip(whole, tiled, strict=True) if isinstance(whole, tuple) else [(whole, tiled)]:
        np.testing.assert_allclose(b, a, rtol=0, atol=2e-5 * np.abs(a).max())


@pytest.mark.parametrize("name", [name for name in ALL if architecture(name).whole])
def test_a_network_that_looks_at_the_whole_window_is_told_so(name):
    """A change in one corner shows in the far one, beyond any finite reach."""
    network = restless(tiny(name))
    depth = (3,) if architecture(name).axes == "ZYX" else ()
    x = np.zeros((1, *depth, max(8, architecture(name).align), 96, channels(name)), np.float32)
    before = run(network, x)[0]
    x[..., :4, :] = 3
    assert np.abs(run(network, x)[0] - before)[..., -4:, :].max() > 0


# -- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_saved_and_loaded_gives_the_same(name, tmp_path):
    from superlens.model import Model, ModelConfig

    network = restless(tiny(name))
    config = ModelConfig(version="0", method="none", network=name, network_config=TINY[name])
    Model(config, network).save(tmp_path / "model.zip")
    loaded = Model.load(tmp_path / "model.zip")
    x = noise(name)
    for a, b in zip(run(network, x), run(loaded.network, x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", ALL)
def test_a_training_step_moves_the_weights_and_leaves_them_finite(name):
    network = restless(tiny(name))
    before = get_weights(network)
    x = noise(name)

    def loss(targets, outputs):
        made = outputs if isinstance(outputs, list | tuple) else [outputs]
        return sum(keras.ops.mean(keras.ops.square(one - 1)) for one in made)

    history = fit(network, loss, lambda step: (x, (x[..., :1],)), Plan(steps=1, learning_rate=1e-3))
    assert np.isfinite(history.records[0].loss)
    moved = [np.abs(a - b).max() for a, b in zip(before, get_weights(network), strict=True)]
    assert max(moved) > 0
    assert np.isfinite(moved).all()


def outputs() -> dict[str, np.ndarray]:
    """What every network makes on this process' engine."""
    found = {"backend": np.array(keras.backend.backend())}
    for name in names():
        network = engines.redrawn(build(name, TINY[name]))
        network.compile(
            jit_compile=keras.backend.backend() == "jax"
        )  # which compiles each operation by itself otherwise
        made = network.predict_on_batch(noise(name))
        found |= {f"{name}:{i}": out for i, out in enumerate(made if isinstance(made, list) else [made])}
    return found


@pytest.fixture(scope="module")
def here_and_there(tmp_path_factory):
    """What this engine and JAX make of the same weights and inputs."""
    return engines.both("outputs", outputs, tmp_path_factory)


@pytest.mark.parametrize("name", ALL)
def test_another_engine_gives_the_same(here_and_there, name):
    here, there = here_and_there
    assert str(there["backend"]) == "jax"
    for i, _ in enumerate(architecture(name).outputs):
        made = here[f"{name}:{i}"]
        np.testing.assert_allclose(there[f"{name}:{i}"], made, rtol=0, atol=1e-4 * np.abs(made).max())


# -- the registry ----------------------------------------------------------------------------------------------------


def test_unknown_name_is_refused_with_those_that_exist():
    with pytest.raises(
        SuperlensError,
        match=r"network is 'resnet'; expected one of deepstorm, deepstorm-camera, deepstorm-direct, haze",
    ):
        build("resnet", {})


def test_a_network_of_ones_own_is_built_by_its_name_and_takes_no_other_ones():
    def double(*, scale: int = 1) -> keras.Model:
        image = keras.Input((None, None, 1))
        return keras.Model(image, keras.layers.Rescaling(2.0 * scale)(image))

    own = Architecture("contract-double", double, ("sharp",), 1, 0, 8, 1000)
    register(own)
    assert architecture("contract-double") is own
    assert "contract-double" in names()
    (made,) = run(build("contract-double", own.arguments(1)), np.ones((1, 4, 4, 1), np.float32))
    np.testing.assert_array_equal(made, 2)
    register(own)  # again, as a notebook does whose cell runs twice
    with pytest.raises(SuperlensError, match="another name"):
        register(Architecture("light", double, ("sharp",), 1, 0, 8, 1000))
