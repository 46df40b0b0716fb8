"""The forward model: adjoints, direct convolution, edges, patterns, and the Keras twin against the NumPy one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from superlens.errors import SuperlensError
from superlens.networks.forward import KerasForward
from superlens.optics import PSF, RESPONSES, ForwardModel, Objective, Transfer, relative_blur
from superlens.optics.forward import transfer_on

EDGES = ("mirrored", "dark", "periodic", "open")


def lopsided(*shape, seed=0):
    """No symmetry: shows a flipped or shifted convolution."""
    kernel = np.random.default_rng(seed).random(shape)
    return kernel / kernel.sum()


def as_transfer(kernel):
    """The same blur, known by what it does to each frequency."""
    return Transfer(lambda shape: transfer_on(kernel, shape), tuple(side // 2 for side in kernel.shape))


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


odd = st.integers(0, 3).map(lambda n: 2 * n + 1)
shapes = st.sampled_from([2, 3]).flatmap(lambda d: st.tuples(*[st.integers(2, 7)] * d))


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes,
    sides=st.tuples(odd, odd, odd),
    scale=st.sampled_from([1, 2, 3]),
    edges=st.sampled_from(EDGES),
    frames=st.sampled_from([None, 0, 3]),
    known=st.booleans(),
)
def test_adjoint_is_exact(shape, sides, scale, edges, frames, known):
    kernel = lopsided(*sides[: len(shape)])
    rng = np.random.default_rng(1)

    def model(pattern=None):
        blur = as_transfer(kernel) if known else kernel
        return ForwardModel(shape, blur, scale=scale, edges=edges, pattern=pattern, precision="double")

    domain = model().domain
    pattern = None if frames is None else rng.random((frames, *domain) if frames else domain)
    found = model(pattern)
    x, y = rng.normal(size=domain), rng.normal(size=(*((frames,) if frames else ()), *shape))
    size = np.linalg.norm(x) * np.linalg.norm(y)
    assert np.vdot(found.apply(x), y) == pytest.approx(np.vdot(x, found.adjoint(y)), abs=1e-12 * size)


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize(("edges", "mode"), [("mirrored", "symmetric"), ("dark", "constant"), ("periodic", "wrap")])
@pytest.mark.parametrize(("shape", "sides"), [((6, 8), (5, 9)), ((3, 4, 5), (9, 3, 5))])
def test_apply_is_convolution_then_the_mean_over_each_camera_pixel(shape, sides, edges, mode, scale):
    kernel = lopsided(*sides)
    fine = tuple(n * (1 if axis < len(shape) - 2 else scale) for axis, n in enumerate(shape))
    specimen = np.random.default_rng(0).random(fine)
    continued = np.pad(specimen, [(side // 2,) * 2 for side in sides], mode=mode)
    blurred = signal.convolve(continued, kernel, mode="valid", method="direct")
    expected = blurred.reshape(*shape[:-2], shape[-2], scale, shape[-1], scale).mean((-3, -1))
    found = ForwardModel(shape, kernel, scale=scale, edges=edges).apply(specimen)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())


@pytest.mark.parametrize("scale", [1, 2])
def test_open_edges_see_the_specimen_beyond_the_field(scale):
    model = ForwardModel((12, 10), lopsided(5, 7), scale=scale, edges="open")
    specimen = np.random.default_rng(0).random(model.domain)
    blurred = signal.convolve(specimen, lopsided(5, 7), mode="same")[model.window]
    expected = blurred.reshape(12, scale, 10, scale).mean((1, 3))
    np.testing.assert_allclose(model.apply(specimen), expected, atol=1e-6)


def test_pattern_lights_the_specimen_and_haze_comes_last():
    rng = np.random.default_rng(0)
    specimen, pattern, haze = rng.random((12, 16)), rng.random((3, 12, 16)), rng.random((6, 8))
    plain = ForwardModel((6, 8), lopsided(5, 3), scale=2)
    lit = ForwardModel((6, 8), lopsided(5, 3), scale=2, pattern=pattern, haze=haze)
    expected = [plain.apply(specimen * one) + haze for one in pattern]
    np.testing.assert_allclose(lit.apply(specimen), expected, rtol=1e-5)
    one = ForwardModel((6, 8), lopsided(5, 3), scale=2, pattern=pattern[0])
    np.testing.assert_allclose(one.apply(specimen), expected[0] - haze, rtol=1e-4)


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_blur_between_response_and_psf_makes_the_recorded_image_of_the_sharp_one(axes):
    kind = {"YX": {}, "ZYX": {"fwhm_z_nm": 600.0, "z_step_nm": 150.0}}[axes]
    psf = PSF.gaussian(260.0, 50.0, **kind)
    response = RESPONSES[axes].of(psf)
    shape = (8, 20, 18)[-len(axes) :]
    fine = (8, 40, 36)[-len(axes) :]
    specimen = np.random.default_rng(0).random(fine)
    sharp = ForwardModel(fine, response.data).apply(specimen)
    recorded = ForwardModel(shape, psf.data, scale=2).apply(specimen)
    seen = ForwardModel(shape, relative_blur(psf, response), scale=2).apply(sharp)
    np.testing.assert_allclose(seen, recorded, atol=0.005 * recorded.max())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"blur": np.ones((3, 4))}, "odd sides"),
        ({"blur": np.ones((3, 3, 3))}, "axes"),
        ({"scale": 0}, "scale is 0"),
        ({"pattern": np.ones((5, 9, 9))}, "pattern has shape"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, words):
    with pytest.raises(SuperlensError, match=words):
        ForwardModel((8, 8), **{"blur": np.ones((3, 3)), **arguments})
    with pytest.raises(SuperlensError, match="specimen has shape"):
        ForwardModel((8, 8), np.ones((3, 3)), scale=2).apply(np.ones((8, 8)))


KERNELS = [
    pytest.param((8, 10), lopsided(5, 7), id="small kernel"),
    pytest.param((8, 10), lopsided(31, 27), id="large kernel"),
    pytest.param((20, 30), as_transfer(lopsided(5, 9)), id="transfer function"),
    pytest.param((4, 6, 10), lopsided(5, 3, 9), id="volume"),
    pytest.param((6, 6, 10), as_transfer(lopsided(3, 5, 5)), id="transfer function of a volume"),
]


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("edges", ["mirrored", "dark", "periodic"])
@pytest.mark.parametrize(("shape", "blur"), KERNELS)
@pytest.mark.parametrize("frames", [None, 3])
def test_twins_agree(shape, blur, edges, scale, frames):
    """Volumes of a batch share Fourier transforms, so that its size matters."""
    rng = np.random.default_rng(0)
    fine = ForwardModel(shape, blur, scale=scale, edges=edges).domain
    x = rng.random((2, *fine, 1)).astype(np.float32)
    pattern = None if frames is None else rng.random((frames, *fine)).astype(np.float32)
    model = ForwardModel(shape, blur, scale=scale, edges=edges, pattern=pattern)
    twin = KerasForward(blur, scale=scale, edges=edges)
    assert twin.margins == (0,) * len(shape)
    lit = None if pattern is None else np.moveaxis(pattern, 0, -1)
    found = values(twin(keras.ops.convert_to_tensor(x), lit))
    expected = np.stack([model.apply(one[..., 0]) for one in x])
    expected = expected[..., None] if frames is None else np.moveaxis(expected, 1, -1)
    np.testing.assert_allclose(found, expected, atol=2e-6 * expected.max())

    y = rng.random(found.shape).astype(np.float32)
    back = values(twin.adjoint(keras.ops.convert_to_tensor(y), lit))[..., 0]
    ours = y[..., 0] if frames is None else np.moveaxis(y, -1, 1)
    expected = np.stack([model.adjoint(one) for one in ours])
    np.testing.assert_allclose(back, expected, atol=2e-6 * expected.max())


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize(("shape", "sides"), [((5, 7), (5, 9)), ((6, 7), (29, 31)), ((3, 4, 4), (3, 5, 7))])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_twins_agree_on_a_specimen_that_reaches_beyond_the_field(shape, sides, scale, batch):
    kernel = lopsided(*sides)
    twin = KerasForward(kernel, scale=scale)
    fine = [
        (n + 2 * m) * (1 if axis < len(shape) - 2 else scale)
        for axis, (n, m) in enumerate(zip(shape, twin.margins, strict=True))
    ]
    model = ForwardModel(shape, kernel, scale=scale, edges="open")
    x = np.random.default_rng(0).random((batch, *fine, 1)).astype(np.float32)
    given = tuple(slice(0, n) for n in fine)
    expected = []
    for one in x:
        domain = np.full(model.domain, 100.0)  # farther out than light can come from
        domain[given] = one[..., 0]
        expected.append(model.apply(domain))
    found = values(twin(keras.ops.convert_to_tensor(x)))[..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)

    y = np.random.default_rng(1).random((batch, *shape, 1)).astype(np.float32)
    back = values(twin.adjoint(keras.ops.convert_to_tensor(y)))[..., 0]
    np.testing.assert_allclose(back, [model.adjoint(one[..., 0])[given] for one in y], atol=1e-6)


def test_haze_is_added_to_the_image():
    x, haze = np.ones((1, 8, 8, 1), np.float32), np.full((1, 4, 4, 1), 3, np.float32)
    np.testing.assert_allclose(values(KerasForward(np.ones((1, 1)), scale=2)(x, haze=haze)), 4)


def test_real_optics_pass_alike_through_both_twins():
    psf = Objective(na=1.3, wavelength_nm=525).psf(60.0, z_step_nm=200.0)
    blur = relative_blur(psf, RESPONSES["ZYX"].of(psf))
    sharp = np.random.default_rng(0).random((8, 40, 40)).astype(np.float32)
    model = ForwardModel((8, 20, 20), blur, scale=2)
    twin = KerasForward(blur, scale=2, edges="mirrored")
    found = values(twin(keras.ops.convert_to_tensor(sharp[None, ..., None])))[0, ..., 0]
    assert found.shape == (8, 20, 20)
    expected = model.apply(sharp)
    # The grids that the blur is applied on differ by what makes Fourier transforms quick.
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.max())
