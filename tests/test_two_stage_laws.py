"""What training and prediction share: the blur between PSF and response, and the ways to turn a picture."""

from __future__ import annotations

import numpy as np
import pytest

from superlens.networks import build
from superlens.optics import PSF, RESPONSES
from superlens.training.two_stage import turning
from superlens.training.two_stage.optics import SharpOptics, compact
from superlens.training.two_stage.turning import TURNS, averaged

OPTICS = PSF.gaussian(240.0, 32.5)


def test_sides_of_the_psf_do_not_matter():
    """A measured PSF may be wider than high; zeros around it change nothing."""
    wide = PSF(np.pad(OPTICS.data, [(0, 0), (8, 8)]), OPTICS.pixel_nm)
    a, b = (compact(SharpOptics.of(psf, "YX", 2, RESPONSES["YX"]).blur) for psf in (wide, OPTICS))
    assert a.shape[0] == a.shape[1]
    side = min(a.shape[0], b.shape[0]) // 2
    ca, cb = a.shape[0] // 2, b.shape[0] // 2
    np.testing.assert_allclose(
        a[ca - side : ca + side + 1, ca - side : ca + side + 1],
        b[cb - side : cb + side + 1, cb - side : cb + side + 1],
        atol=5e-3 * b.max(),
    )


def test_compact_keeps_the_sum_and_the_centre():
    kernel = PSF.gaussian(4.0, 1.0, shape=(41, 41)).data
    small = compact(kernel)
    assert small.shape[0] < 20
    assert small.sum() == pytest.approx(kernel.sum())
    assert np.unravel_index(small.argmax(), small.shape) == (small.shape[0] // 2,) * 2
    assert compact(np.ones((1, 1))).shape == (1, 1)


def test_turns_are_eight_and_undone():
    image = np.arange(20.0).reshape(4, 5)
    turned = [turn(image) for turn, _ in TURNS]
    assert len({t.tobytes() + bytes(t.shape) for t in turned}) == 8
    for (_, back), t in zip(TURNS, turned, strict=True):
        np.testing.assert_array_equal(back(t), image)


def test_prediction_over_all_turns_is_the_same_for_a_turned_picture():
    network = build("light", {"channels": 3, "widths": (4, 4, 4)})
    channels = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    whole = averaged(network, channels, flips=8, align=4)
    for turn, back in TURNS:
        for a, b in zip(whole, averaged(network, turn(channels), flips=8, align=4), strict=True):
            np.testing.assert_allclose(back(b), a, atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16, 3), (12, 20, 3), (5, 12, 20, 3)])
def test_copies_give_the_same_one_by_one_and_together(shape, monkeypatch):
    network = build("light-volume" if len(shape) == 4 else "light", {"channels": 3, "widths": (4, 4, 4)})
    channels = np.random.default_rng(0).random(shape).astype(np.float32)
    together, seen, able = averaged(network, channels, flips=8, align=4), [], turning.outputs_of

    def outputs_of(network, batch):
        seen.append(len(batch))
        if len(batch) > 1:
            raise MemoryError
        return able(network, batch)

    monkeypatch.setattr(turning, "outputs_of", outputs_of)
    for a, b in zip(together, averaged(network, channels, flips=8, align=4), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert (seen[0] > 1, seen[1:]) == (True, [1] * 8), "where memory is short for several, they are taken one by one"


def test_what_is_known_of_the_first_copy_is_not_computed_again():
    network = build("light", {"channels": 3, "widths": (4, 4, 4)})
    channels = np.random.default_rng(0).random((14, 18, 3)).astype(np.float32)
    first = averaged(network, channels, flips=1, align=4)
    for a, b in zip(
        averaged(network, channels, flips=8, align=4),
        averaged(network, channels, flips=8, align=4, first=first),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)
