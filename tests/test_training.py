"""The training loop: what it keeps, when it stops, and that a killed run ends where an unbroken one does."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from superlens import training
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.progress import Cancelled
from superlens.training import Checkpoint, Plan, fit, get_weights, precision, select_device, set_weights


class Killed(BaseException):
    """The process ends here."""


def network(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, [keras.layers.Conv2D(1, 3, padding="same")(x), keras.layers.Conv2D(1, 1)(x)])


def draw(step):
    rng = np.random.default_rng((7, step))
    x = rng.normal(size=(2, 8, 8, 1)).astype(np.float32)
    return x, (2 * x, x - 1)


def loss(targets, outputs):
    return sum(keras.ops.mean(keras.ops.square(o - t)) for o, t in zip(outputs, targets, strict=True))


def plan(**changes):
    return Plan(**{"steps": 12, "learning_rate": 0.01, "check_every": 4, **changes})


def trained(held_out=None, checkpoint=None, progress=None, net=None, draws=draw, **changes):
    net = net or network()
    more = {} if progress is None else {"progress": progress}
    more["average"] = changes.pop("average", 0.0)
    history = fit(net, loss, draws, plan(**changes), held_out=held_out, checkpoint=checkpoint, **more)
    return net, history


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(get_weights(a), get_weights(b), strict=True))


def killer(at):
    """A progress that stands for the end of the process once so many steps are done."""

    def progress(done, total, message):
        if done >= at:
            raise Killed

    return progress


def canceller(at):
    def progress(done, total, message):
        if done >= at:
            raise Cancelled

    return progress


def scripted(values):
    """A held-out loss that goes its own way."""
    left = iter(values)
    return lambda: next(left)


def test_training_lowers_the_loss():
    _, history = trained(steps=40, learning_rate=0.03)
    assert [r.step for r in history.records] == list(range(4, 41, 4))
    assert history.records[-1].loss < 0.5 * history.records[0].loss
    assert history.stopped == "steps"
    assert all(math.isnan(r.held_out) for r in history.records)


def test_record_is_the_mean_since_the_last_check():
    """Without learning, each record is the mean of the loss over its own batches."""
    net = network()
    expected = []
    for first in (0, 4, 8):
        batches = [draw(i) for i in range(first, first + 4)]
        expected.append(np.mean([float(loss(targets, net(x))) for x, targets in batches]))
    _, history = trained(net=net, learning_rate=1e-30)
    assert [r.loss for r in history.records] == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_weights():
    assert same(trained()[0], trained()[0])
    assert not same(trained()[0], trained(net=network(1))[0])


def test_traced_or_operation_by_operation_the_weights_are_the_same(request):
    """To rounding, which a graph may do in another order: tests of few steps take the second way."""
    traced, expected = trained(held_out=scripted([3.0, 2.0, 1.0]), average=0.9)
    request.getfixturevalue("untraced")
    stepwise, history = trained(held_out=scripted([3.0, 2.0, 1.0]), average=0.9)
    for a, b in zip(get_weights(traced), get_weights(stepwise), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)
    assert [r.loss for r in history.records] == pytest.approx([r.loss for r in expected.records], rel=1e-5)
    x = draw(0)[0]
    for a, b in zip(traced.predict_on_batch(x), stepwise.predict_on_batch(x), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("schedule", "average"), [("cosine", 0.0), ("cosine", 0.9), ("halving", 0.0)])
def test_killed_and_resumed_is_as_if_never_killed(tmp_path, schedule, average):
    changes = {"schedule": schedule, "average": average, "halve_every": 5}
    whole, expected = trained(**changes)
    checkpoint = Checkpoint(tmp_path / "run.npz", "key")
    with pytest.raises(Killed):
        trained(checkpoint=checkpoint, progress=killer(9), **changes)
    resumed, history = trained(checkpoint=checkpoint, net=network(99), **changes)
    assert same(whole, resumed)
    assert [(r.step, r.loss) for r in history.records] == [(r.step, r.loss) for r in expected.records]
    assert history.best_step == expected.best_step


def test_best_weights_survive_a_kill(tmp_path):
    """The best check came before the kill, and nothing after it was better."""
    checkpoint = Checkpoint(tmp_path / "run.npz", "key")
    whole, _ = trained(held_out=scripted([1.0, 2.0, 3.0]))
    with pytest.raises(Killed):
        trained(held_out=scripted([1.0, 2.0]), checkpoint=checkpoint, progress=killer(9))
    resumed, history = trained(held_out=scripted([3.0]), checkpoint=checkpoint, net=network(99))
    assert history.best_step == 4
    assert same(whole, resumed)


def test_kill_while_the_checkpoint_is_written_leaves_the_old_one(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "run.npz", "key")
    with pytest.raises(Killed):
        trained(checkpoint=checkpoint, progress=killer(4))
    before = checkpoint.path.read_bytes()
    monkeypatch.setattr(training.checkpoint.os, "replace", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        trained(checkpoint=checkpoint)
    assert checkpoint.path.read_bytes() == before


def test_finished_run_is_not_trained_further(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.npz", "key")
    first, _ = trained(checkpoint=checkpoint)

    def forbidden(step):
        raise AssertionError("drew a batch")

    again, history = trained(checkpoint=checkpoint, net=network(99), draws=forbidden)
    assert same(first, again)
    assert history.stopped == "steps"


def test_run_that_lost_patience_is_not_trained_further(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.npz", "key")
    first, _ = trained(checkpoint=checkpoint, held_out=scripted([1.0, 2.0]), patience=1)
    again, history = trained(checkpoint=checkpoint, held_out=scripted([]), patience=1, net=network(99))
    assert history.stopped == "patience"
    assert same(first, again)


def test_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    trained(checkpoint=Checkpoint(path, "one"))
    with pytest.raises(SuperlensError, match="belongs to another image or other settings"):
        trained(checkpoint=Checkpoint(path, "other"))


def test_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    trained(checkpoint=Checkpoint(path, "key"))
    inputs = keras.Input((None, None, 1))
    other = keras.Model(inputs, [keras.layers.Conv2D(1, 3, padding="same")(inputs)] * 2)
    with pytest.raises(SuperlensError, match="delete it to start afresh"):
        trained(checkpoint=Checkpoint(path, "key"), net=other)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "array", "zip", "flipped"])
def test_damaged_checkpoint_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "run.npz"
    trained(checkpoint=Checkpoint(path, "key"))
    good = path.read_bytes()
    if damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif damage == "zip":
        np.savez(path, key=np.array("key"))
    else:
        middle = len(good) // 2
        flipped = good[:middle] + bytes([good[middle] ^ 0xFF]) + good[middle + 1 :]
        path.write_bytes({"cut": good[: len(good) // 2], "empty": b"", "text": b"hello", "flipped": flipped}[damage])
    with pytest.raises(SuperlensError, match=r"run\.npz can't be read.*delete it") as refusal:
        trained(checkpoint=Checkpoint(path, "key"))
    assert "\n" not in str(refusal.value)


def test_checkpoint_in_an_impossible_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SuperlensError, match="can't write the checkpoint"):
        trained(checkpoint=Checkpoint(tmp_path / "file" / "run.npz", "key"))


def test_loss_that_is_not_a_number_stops_and_keeps_the_best():
    """Steps 0-3 are sound; the batch of step 6 is not. Some processors' ReLU makes 0 of what is not a number: then its weights tell, a step later."""

    def poisoned(step):
        x, targets = draw(step)
        return (x * np.float32("nan") if step == 6 else x), targets

    sound, _ = trained(steps=4, schedule="constant")
    net = network()
    with pytest.raises(SuperlensError, match=r"at step [78] .*no longer finite.*smaller learning rate"):
        trained(net=net, draws=poisoned, schedule="constant")
    assert same(sound, net)


def test_loss_that_is_never_a_number_leaves_the_start():
    net, start = network(), get_weights(network())
    with pytest.raises(SuperlensError, match="no longer finite"):
        trained(net=net, draws=lambda step: (draw(step)[0] * np.float32("inf"), draw(step)[1]))
    assert all(np.array_equal(a, b) for a, b in zip(get_weights(net), start, strict=True))


def test_weights_that_are_not_numbers_are_never_the_best():
    """The loss of a step is known before its update: the last one before a check may be finite and the weights not."""

    def poisoned(targets, outputs):
        return loss(targets, outputs) + keras.ops.mean(keras.ops.sqrt(keras.ops.abs(outputs[0] * 0)))

    net = network()
    start = get_weights(net)
    with pytest.raises(SuperlensError, match="no longer finite"):
        fit(net, poisoned, draw, plan(steps=1))
    assert all(np.array_equal(a, b) for a, b in zip(get_weights(net), start, strict=True))


def test_weights_of_the_best_check_are_kept():
    best, _ = trained(steps=8, schedule="constant")
    net, history = trained(held_out=scripted([3.0, 1.0, 2.0]), schedule="constant")
    assert history.best_step == 8
    assert same(net, best)


def test_held_out_loss_sees_the_weights_it_judges():
    """With averaged weights the check judges the average, and the average is what is kept."""
    net, seen = network(), []

    def held_out():
        seen.append(get_weights(net))
        return float(-len(seen))

    trained(net=net, held_out=held_out, average=0.9)
    plain, _ = trained()
    assert all(np.array_equal(a, b) for a, b in zip(seen[-1], get_weights(net), strict=True))
    assert not same(net, plain)


def test_patience_stops():
    _, history = trained(steps=40, held_out=scripted([5.0, 4.0, 4.5, 4.6, 4.7, 4.8]), patience=3)
    assert history.stopped == "patience"
    assert [r.step for r in history.records] == [4, 8, 12, 16, 20]
    assert history.best_step == 8


def test_minutes_stop(monkeypatch):
    """By a clock that goes on a second at each look."""
    clock = iter(range(100_000))
    monkeypatch.setattr(training.loop.time, "monotonic", lambda: float(next(clock)))
    net, history = trained(steps=1000, minutes=0.5, check_every=1000)
    assert history.stopped == "minutes"
    assert 0 < history.records[-1].step < 1000
    assert not same(net, network())


@pytest.mark.parametrize("held_out", [None, lambda: 1.0])
def test_cancel_keeps_what_was_learned(held_out):
    """Cancelled after ten steps, two beyond the last check: without a held-out loss all ten count."""
    learned, _ = trained(steps=10, schedule="constant")
    net, history = trained(steps=1000, schedule="constant", progress=canceller(10), held_out=held_out)
    assert history.stopped == "cancelled"
    if held_out is None:
        assert same(net, learned)
        assert history.best_step == 10
    else:
        assert history.best_step == 4  # no later check was better


def test_cancelled_run_resumes_as_if_never_cancelled(tmp_path):
    checkpoint = Checkpoint(tmp_path / "run.npz", "key")
    trained(checkpoint=checkpoint, progress=canceller(10))
    resumed, history = trained(checkpoint=checkpoint)
    whole, expected = trained()
    assert same(resumed, whole)
    assert [r.step for r in history.records] == [r.step for r in expected.records]


def test_no_steps_leave_the_network_alone():
    net, history = trained(steps=0)
    assert same(net, network())
    assert history.records == []


def test_schedules_in_closed_form():
    assert plan(schedule="constant").rate(11, 0) == 0.01
    assert [plan(schedule="halving", halve_every=5).rate(i, 0) for i in (0, 4, 5, 10)] == [0.01, 0.01, 0.005, 0.0025]
    cosine = [plan(steps=1000).rate(i, 0) for i in range(1000)]
    assert max(cosine) == pytest.approx(0.01, rel=0.02)
    assert cosine[500] == pytest.approx(0.005)
    assert cosine[-1] < 1e-6
    assert cosine[0] < 0.02 * max(cosine)  # the warm-up


def test_cosine_falls_with_whichever_budget_ends_first():
    timed = plan(steps=1000, minutes=10.0)
    assert timed.rate(100, 5.0) < timed.rate(100, 1.0)
    assert timed.rate(100, 10.0) == pytest.approx(0, abs=1e-12)


def test_weights_of_another_network_are_refused_and_nothing_changes():
    net = network()
    for wrong in (get_weights(net)[:-1], [w[..., None] for w in get_weights(net)]):
        with pytest.raises(SuperlensError, match="do not fit the network"):
            set_weights(net, wrong)
    assert same(net, network())


@pytest.mark.parametrize("name", ["mixed_bfloat16", "float32"])
def test_precision_computes_in_its_type_and_keeps_weights_exact(name):
    before = keras.config.dtype_policy().name
    with precision(name):
        net = network()
    assert keras.config.dtype_policy().name == before
    assert {w.dtype for w in get_weights(net)} == {np.dtype(np.float32)}
    assert net.layers[1].compute_dtype == ("bfloat16" if "bf" in name else "float32")


def test_precision_is_put_back_after_a_failure():
    before = keras.config.dtype_policy().name
    with pytest.raises(Killed), precision("mixed_bfloat16"):
        raise Killed
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize("device", ["tpu", "gpu:x", "gpu:99"])
def test_unknown_device_is_refused(device):
    with pytest.raises(SuperlensError, match="device is"):
        select_device(device)


def test_short_memory_halves_the_batch_and_says_so(monkeypatch):
    """A step that memory has room for is that of the smaller batch from the beginning."""
    seen = []
    able = keras.Model.train_on_batch

    def tight(model, x, y):
        seen.append(len(x))
        if len(x) > 1:
            raise MemoryError("no room")
        return able(model, x, y)

    expected, _ = trained(draws=lambda step: (draw(step)[0][:1], tuple(t[:1] for t in draw(step)[1])))
    monkeypatch.setattr(keras.Model, "train_on_batch", tight)
    with pytest.warns(SuperlensWarning, match="2 patches at once; from here on a step takes 1"):
        halved, _ = trained()
    assert seen == [2] + 12 * [1]
    assert same(expected, halved)


def test_no_memory_for_one_patch_is_an_error_in_words(monkeypatch):
    def tight(model, x, y):
        raise MemoryError("no room")

    monkeypatch.setattr(keras.Model, "train_on_batch", tight)
    with pytest.raises(SuperlensError, match=r"one patch \(no room\)"), pytest.warns(SuperlensWarning):
        trained()


def test_a_listener_that_looks_sees_a_picture_at_each_check_and_changes_nothing():
    class Looking:
        def __init__(self):
            self.pictures = []

        def __call__(self, done, total, message):
            """Hear."""

        def glimpse(self, look):
            self.pictures.append(look())

    looking = Looking()
    watched, _ = trained(progress=looking)
    alone, _ = trained()
    assert [picture.shape for picture in looking.pictures] == [(8, 8)] * 3
    assert not np.array_equal(looking.pictures[0], looking.pictures[-1]), "it learns"
    assert same(watched, alone)
