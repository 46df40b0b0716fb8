"""What holds for one network and not for each: its size, and what it gives before it has learned. For the rest see `networks/test_contract.py`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from superlens.errors import SuperlensError
from superlens.networks import architecture, build
from superlens.training import get_weights, outputs_of, set_weights

SMALL = {"light": {"channels": 3, "widths": (4, 4, 4)}, "unet": {"base_channels": 4}}


def run(network, x):
    outputs = network(x, training=False)
    return [keras.ops.convert_to_numpy(o) for o in (outputs if isinstance(outputs, list) else [outputs])]


def test_unet_has_the_size_of_the_paper():
    assert build("unet", {}).count_params() == 13_109_010


def test_rcan_has_the_size_of_the_paper():
    assert build("rcan", {}).count_params() == 2_003_490


def test_deepstorm_has_the_size_of_the_original():
    network = build("deepstorm", {})
    assert network.count_params() == 1_368_128
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == 1_366_208


def work(network, side):
    """Multiplications for one frame, from the shapes of the graph."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            shape = keras.Model(network.input, layer.output).compute_output_shape((1, side, side, 1))
            total += int(np.prod(shape[1:3])) * int(np.prod(layer.kernel.shape))
    return total


def test_network_at_camera_sampling_works_a_tenth_as_hard():
    original = work(build("deepstorm", {}), 64)
    assert original == pytest.approx(24.2e9, rel=0.01)
    camera = work(build("deepstorm-camera", {}), 64)
    assert camera < original / 10
    assert work(build("deepstorm-direct", {}), 64) < camera / 3


def test_light_network_is_smaller_than_a_fifth_of_the_unet():
    assert build("light", {}).count_params() < 13_109_010 / 5


@pytest.mark.parametrize("name", SMALL)
def test_weights_of_scale_2_serve_scale_1(name):
    fine, camera = (build(name, {**SMALL[name], "scale": scale}) for scale in (2, 1))
    set_weights(camera, get_weights(fine))
    x = np.random.default_rng(0).random((1, 32, 32, SMALL[name].get("channels", 1)), np.float32)
    two, one = run(fine, x), run(camera, x)
    np.testing.assert_array_equal(two[0], one[0])
    assert two[1].shape == (1, 64, 64, 1)
    assert one[1].shape == (1, 32, 32, 1)


def test_light_network_at_scale_1_is_the_mean_of_the_fine_pixels():
    fine, camera = (build("light", {**SMALL["light"], "scale": scale}) for scale in (2, 1))
    set_weights(camera, get_weights(fine))
    x = np.random.default_rng(0).random((1, 16, 20, 3), np.float32)
    for two, one in zip(run(fine, x)[1:], run(camera, x)[1:], strict=True):
        np.testing.assert_allclose(one, two.reshape(1, 16, 2, 20, 2, 1).mean((2, 4)), atol=1e-6)


def light_with_empty_heads():
    network = build("light", SMALL["light"])
    for layer in network.layers:
        if layer.name.endswith("_head"):
            layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    return network


def test_light_network_with_empty_heads_returns_its_input():
    x = np.random.default_rng(0).normal(size=(2, 12, 16, 3)).astype(np.float32)
    denoised, sharp, log_sigma = run(light_with_empty_heads(), x)
    np.testing.assert_array_equal(denoised, x[..., :1])
    assert not log_sigma.any()
    assert sharp.shape == (2, 24, 32, 1)


def test_interpolation_keeps_planes_and_the_total():
    """Bilinear weights 3/4 and 1/4: a plane stays a plane inside, at the positions of the fine pixels; light is kept."""
    y, x = np.meshgrid(np.arange(12.0), np.arange(16.0), indexing="ij")
    plane = np.zeros((1, 12, 16, 3), np.float32)
    plane[0, ..., 0] = 2 * y - 3 * x + 1
    sharp = run(light_with_empty_heads(), plane)[1][0, ..., 0]
    fine_y, fine_x = np.meshgrid((np.arange(24) - 0.5) / 2, (np.arange(32) - 0.5) / 2, indexing="ij")
    np.testing.assert_allclose(sharp[1:-1, 1:-1], (2 * fine_y - 3 * fine_x + 1)[1:-1, 1:-1], atol=1e-4)
    one = np.zeros((1, 12, 16, 3), np.float32)
    one[0, 5, 7, 0] = 1
    assert run(light_with_empty_heads(), one)[1].sum() == pytest.approx(4, abs=1e-5)


def test_light_network_commutes_with_shifts_by_its_grid():
    known = architecture("light")
    network = build("light", SMALL["light"])
    rng = np.random.default_rng(0)
    inside = rng.random((1, 8, 8, 3), np.float32)
    side = 2 * (known.reach + 8)
    images = []
    for at in (known.reach, known.reach + known.align):
        x = np.zeros((1, side, side, 3), np.float32)
        x[:, at : at + 8, at : at + 8] = inside
        images.append(run(network, x)[1][0, 2 * at : 2 * at + 16, 2 * at : 2 * at + 16])
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)


def test_error_estimate_does_not_bend_the_images():
    """No gradient flows from the stated error into the weights that make the images."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        pytest.skip("reads gradients from a TensorFlow tape")
    network = build("light", SMALL["light"])
    with tf.GradientTape() as tape:
        total = keras.ops.sum(network(np.ones((1, 8, 8, 3), np.float32))[2])
    gradients = tape.gradient(total, [v.value for v in network.trainable_variables])
    bent = {
        v.path
        for v, g in zip(network.trainable_variables, gradients, strict=True)
        if g is not None and np.any(g.numpy())
    }
    assert bent
    assert all("spread" in path for path in bent)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("light", {"widths": []}),
        ("light", {"channels": 0}),
        ("unet", {"base_channels": -2}),
        ("deepstorm", {"upsampling": 5}),
        ("deepstorm-camera", {"width": 6}),
        ("deepstorm-direct", {"width": 6}),
        ("deepstorm-direct", {"upsampling": 6}),
    ],
)
def test_impossible_sizes_are_refused(name, config):
    with pytest.raises(SuperlensError, match=name):
        build(name, config)


def test_a_network_gives_the_same_digits_whatever_shapes_it_saw_before():
    fresh, warm = build("light", {"channels": 3}), build("light", {"channels": 3})
    set_weights(warm, get_weights(fresh))
    rng = np.random.default_rng(0)
    batch, *others = (rng.normal(size=(1, side, side, 3)).astype(np.float32) for side in (32, 16, 24, 40))
    for other in others:
        outputs_of(warm, other)
    for once, again in zip(outputs_of(fresh, batch), outputs_of(warm, batch), strict=True):
        np.testing.assert_array_equal(once, again)


def test_networks_of_one_structure_keep_their_own_weights_and_follow_their_changes():
    """They share what was compiled, and nothing else."""
    one, other = build("light", {"channels": 3, "widths": (4,)}), build("light", {"channels": 3, "widths": (4,)})
    batch = np.random.default_rng(0).normal(size=(2, 16, 12, 3)).astype(np.float32)
    for network in (one, other):
        for made, direct in zip(outputs_of(network, batch), network(batch), strict=True):
            np.testing.assert_allclose(made, direct, rtol=0, atol=1e-5)
    before = outputs_of(other, batch)[1]
    set_weights(one, get_weights(other))
    np.testing.assert_array_equal(outputs_of(one, batch)[1], before)
    set_weights(one, [0 * w for w in get_weights(one)])
    assert np.abs(outputs_of(one, batch)[1] - before).max() > 0
    np.testing.assert_array_equal(outputs_of(other, batch)[1], before)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other engines compile each network for itself")
def test_what_was_compiled_for_a_network_serves_the_next_one_of_its_structure():
    """Whatever names Keras gave to its layers; and no other one."""
    traced = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            traced.append(x)
            return x

    def made(first):
        image = keras.Input((None, None, 2))
        return keras.Model(image, Counting()(image[..., first : first + 1]))

    one, other, unlike = made(0), made(0), made(1)
    batch = np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype(np.float32)
    traced.clear()
    for network, first, compiled in ((one, 0, 1), (other, 0, 1), (unlike, 1, 2)):
        np.testing.assert_array_equal(outputs_of(network, batch)[0], batch[..., first : first + 1])
        assert len(traced) == compiled
