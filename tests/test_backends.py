"""The same step on another engine: losses and gradients under JAX are those under TensorFlow.

The other engine runs in a process of its own, since Keras is bound to one when it is imported.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

import engines

STEPS = 3


class UnderOneLoss(keras.Model):
    """A network under a loss that sees all of its outputs."""

    def __init__(self, network, loss):
        super().__init__()
        self.network, self.one_loss = network, loss

    def call(self, x):
        return self.network(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.one_loss(y, y_pred)


def training() -> dict[str, np.ndarray]:
    """The gradient of one batch, and three steps of the training loop, on this process' engine."""
    from superlens.networks import build, losses
    from superlens.networks.forward import KerasForward, camera_pixels
    from superlens.optics import PSF
    from superlens.training import Plan, fit, get_weights, set_weights

    forward = KerasForward(PSF.gaussian(3.0, 1.0, shape=(7, 7)).data, scale=2)

    def draw(step):
        rng = np.random.default_rng((5, step))
        x = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
        return x, (x[..., :1] + rng.normal(size=(2, 16, 16, 1)).astype(np.float32),)

    def loss(targets, outputs):
        target = targets[0] if isinstance(targets, (list, tuple)) else targets
        return (
            keras.ops.mean(keras.ops.square(outputs[0] - target))
            + keras.ops.mean(keras.ops.square(forward(outputs[1]) - losses.crop(target, forward.margins[0])))
            + losses.log_mse(camera_pixels(outputs[1], 2), target)
            + 0.02 * losses.hessian(outputs[1])
            + 0.1 * losses.laplace_nll(outputs[1], outputs[2])
        )

    network = engines.redrawn(build("light", {"channels": 3, "widths": (4, 4)}))
    before = get_weights(network)
    trainee = UnderOneLoss(network, loss)
    trainee.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=keras.backend.backend() == "jax")
    x, targets = draw(0)
    first = trainee.train_on_batch(x, list(targets))
    gradient = {f"g{i}": a - b for i, (a, b) in enumerate(zip(before, get_weights(network), strict=True))}
    set_weights(network, before)
    history = fit(network, loss, draw, Plan(steps=STEPS, learning_rate=1e-4, check_every=1))
    losses_of_steps = np.array([r.loss for r in history.records])
    return {
        "backend": np.array(keras.backend.backend()),
        "first": np.array(first),
        "losses": losses_of_steps,
        **gradient,
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What the two engines found, by name."""
    return dict(zip(("here", "there"), engines.both("training", training, tmp_path_factory), strict=True))


def test_two_engines_were_compared(both):
    assert str(both["there"]["backend"]) == "jax"
    assert str(both["here"]["backend"]) != "jax"


def test_losses_agree(both):
    """The loss of a batch to float32 rounding; those of later steps follow weights that Adam has moved by 1e-4."""
    assert float(both["here"]["first"]) == pytest.approx(float(both["there"]["first"]), rel=1e-5)
    assert len(both["here"]["losses"]) == STEPS
    np.testing.assert_allclose(both["here"]["losses"], both["there"]["losses"], rtol=1e-4)


def test_gradients_agree(both):
    """Read off a step of plain descent, so that what is left of the weights' own rounding, 1e-7, is the floor."""
    names = [name for name in both["here"] if name.startswith("g")]
    assert len(names) > 20
    largest = max(np.abs(both["here"][name]).max() for name in names)
    assert largest > 0
    for name in names:
        np.testing.assert_allclose(
            both["there"][name], both["here"][name], rtol=1e-3, atol=1e-5 * largest, err_msg=name
        )
