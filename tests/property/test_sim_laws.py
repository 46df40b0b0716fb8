"""The laws of the reconstruction of structured illumination, for every kind of pattern: linear, adjoint, closed forms, symmetries."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import fft

from superlens.errors import SuperlensError
from superlens.optics import ForwardModel
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Order, Pattern
from superlens.reconstruct.sim import Reconstruction, Regularisation, Spectrum
from superlens.reconstruct.sim.spectrum import grid_of
from superlens.simulate.structured import ideal_pattern

KINDS = {
    "3x3": Arrangement.grid(3, 3),
    "3x5": Arrangement.grid(3, 5, 2),
    "4x3": Arrangement.grid(4, 3),
    "hexagonal": Arrangement.hexagonal(),
    "lattice": Arrangement.lattice(),
    "pairs": Arrangement.pairs_and_uniform(),
}
DETECTION = Detection(0.35)
every_kind = pytest.mark.parametrize("kind", KINDS)


def pattern_of(kind, seed=0, length=0.3):
    return ideal_pattern(KINDS[kind], length, 0.7, np.random.default_rng(seed))


def operator_of(pattern, shape=(48, 54), precision="double", **more):
    return Reconstruction(shape, Spectrum(pattern, DETECTION, **more), precision=precision)


def recorded(pattern, specimen):
    """Frames of a specimen on the fine grid, without noise, on a torus."""
    shape = [side // 2 for side in specimen.shape]
    light = pattern.illumination(specimen.shape, 2)
    model = ForwardModel(shape, DETECTION.blur(2), scale=2, edges="periodic", pattern=light, precision="double")
    return model.apply(specimen)


def spots(shape, border, seed=0):
    """A specimen of points away from the borders."""
    rng = np.random.default_rng(seed)
    specimen = np.zeros(shape)
    inside = tuple(slice(border, side - border) for side in shape)
    specimen[inside] = rng.random([side - 2 * border for side in shape]) ** 12
    return 1000 * specimen


@every_kind
def test_a_reconstruction_is_linear(kind):
    rng = np.random.default_rng(1)
    operator = operator_of(pattern_of(kind))
    x, y = rng.normal(size=(2, KINDS[kind].frames, 48, 54))
    both = operator.apply(2 * x - 3 * y)
    np.testing.assert_allclose(both, 2 * operator.apply(x) - 3 * operator.apply(y), atol=1e-6 * np.ptp(both))


@every_kind
@pytest.mark.parametrize("uneven", [False, True])
def test_the_adjoint_is_one(kind, uneven):
    rng = np.random.default_rng(2)
    pattern = pattern_of(kind)
    if uneven:
        pattern = dataclasses.replace(pattern, brightness=1 + 0.1 * rng.random(pattern.arrangement.frames))
    operator = operator_of(pattern)
    x, y = rng.normal(size=(KINDS[kind].frames, 48, 54)), rng.normal(size=(96, 108))
    assert np.vdot(operator.apply(x), y) == pytest.approx(np.vdot(x, operator.adjoint(y)), rel=1e-5)


@every_kind
def test_what_is_done_to_the_specimen_is_the_transfer_function(kind):
    """Away from the borders by five times the width of the blur."""
    pattern, specimen = pattern_of(kind), spots((192, 204), 64)
    operator = operator_of(pattern, (96, 102))
    transfer = operator.spectrum.transfer(*grid_of(specimen.shape, half=False))
    expected = fft.ifft2(fft.fft2(specimen) * transfer).real
    made = operator.apply(recorded(pattern, specimen))
    inside = (slice(40, -40), slice(40, -40))
    assert np.abs(made - expected)[inside].max() < 1e-3 * np.ptp(expected)


def test_the_transfer_function_is_a_blur_of_the_forward_model():
    specimen, spectrum = spots((96, 96), 30), Spectrum(pattern_of("3x3"), DETECTION)
    seen = ForwardModel(specimen.shape, spectrum.blur(), edges="periodic", precision="double").apply(specimen)
    expected = fft.ifft2(fft.fft2(specimen) * spectrum.transfer(*grid_of(specimen.shape, half=False))).real
    np.testing.assert_allclose(seen, expected, atol=1e-9 * np.ptp(expected))


@pytest.mark.parametrize("kind", ["3x3", "lattice", "pairs"])
@pytest.mark.parametrize(
    "regularisation", [Regularisation(w=0.1), Regularisation("flat-noise")], ids=["wiener", "flat"]
)
def test_white_noise_comes_out_as_predicted(kind, regularisation):
    """In rings and in six sectors; each cell averages enough coefficients for 2 % at three standard errors."""
    rng = np.random.default_rng(3)
    spectrum = Spectrum(pattern_of(kind), DETECTION, regularisation)
    operator = Reconstruction((64, 64), spectrum)
    window = np.outer(np.hanning(128), np.hanning(128))
    power = np.zeros((128, 128))
    repeats = 60
    for _ in range(repeats):
        made = operator.apply(rng.normal(size=(KINDS[kind].frames, 64, 64)))
        power += np.abs(fft.fft2(made * window)) ** 2 / np.sum(window**2) / repeats
    fy, fx = grid_of((128, 128), half=False)
    expected = spectrum.noise_power(fy, fx)
    radius, sector = np.hypot(fy, fx), ((np.degrees(np.arctan2(fy, fx)) % 180) // 60).astype(int)
    for low in (0.05, 0.15, 0.25, 0.35, 0.45):
        for one in range(3):
            cell = (radius >= low) & (radius < low + 0.1) & (sector == one)
            ratio = power[cell].sum() / expected[cell].sum()
            assert ratio == pytest.approx(1, abs=max(0.02, 6 / np.sqrt(repeats * cell.sum() / 4)))


def test_flat_noise_is_flat():
    spectrum = Spectrum(pattern_of("3x3"), DETECTION, Regularisation("flat-noise"), apodisation=0)
    fy, fx = grid_of((128, 128))
    inside = spectrum.signal(fy, fx) > 0.02
    power = spectrum.noise_power(fy, fx)[inside]
    assert power.max() == pytest.approx(power.min(), rel=1e-6)


def test_without_modulation_it_is_the_wiener_filter_of_the_wide_field():
    """Three angles count order 0 three times, so that w^2 is divided by three."""
    w, shape = 0.2, (64, 64)
    pattern = pattern_of("3x3")
    flat = dataclasses.replace(pattern, orders=tuple(dataclasses.replace(o, modulation=0.0) for o in pattern.orders))
    specimen = spots((128, 128), 40)
    frames = recorded(pattern, specimen)
    made = operator_of(flat, shape, regularisation=Regularisation(w=w), apodisation=0).apply(frames)
    fy, fx = grid_of(specimen.shape, half=False)
    otf = DETECTION.on(fy, fx)
    filtered = otf**2 / (otf**2 + w**2 / 3) * (1 + w**2 / 3)
    expected = fft.ifft2(fft.fft2(specimen) * filtered).real
    inside = (slice(34, -34), slice(34, -34))
    assert np.abs(made - expected)[inside].max() < 1e-3 * np.ptp(expected)


@every_kind
def test_the_order_of_frames_does_not_matter_when_their_phases_go_with_them(kind):
    rng = np.random.default_rng(4)
    pattern = pattern_of(kind)
    frames, order = rng.normal(size=(KINDS[kind].frames, 48, 54)), rng.permutation(KINDS[kind].frames)
    made = operator_of(pattern.reordered(order)).apply(frames[order])
    expected = operator_of(pattern).apply(frames)
    np.testing.assert_allclose(made, expected, atol=1e-6 * np.ptp(expected))


@every_kind
def test_turns_and_flips_commute(kind):
    rng = np.random.default_rng(5)
    pattern = pattern_of(kind)
    frames = rng.normal(size=(KINDS[kind].frames, 48, 54))
    expected = operator_of(pattern).apply(frames)
    flipped = operator_of(pattern.flipped(48)).apply(frames[:, ::-1])
    np.testing.assert_allclose(flipped[::-1], expected, atol=1e-6 * np.ptp(expected))
    turned = operator_of(pattern.transposed(), (54, 48)).apply(frames.transpose(0, 2, 1))
    np.testing.assert_allclose(turned.T, expected, atol=1e-6 * np.ptp(expected))


@every_kind
def test_a_shift_by_a_raw_pixel_commutes(kind):
    pattern, specimen = pattern_of(kind), spots((160, 160), 56)
    frames = recorded(pattern, specimen)
    expected = operator_of(pattern, (80, 80)).apply(frames)
    moved = operator_of(pattern.shifted(1, -1), (80, 80)).apply(np.roll(frames, (1, -1), axis=(1, 2)))
    inside = (slice(34, -34), slice(34, -34))
    back = np.roll(moved, (-2, 2), axis=(0, 1))
    assert np.abs(back - expected)[inside].max() < 1e-3 * np.ptp(expected)


@every_kind
def test_an_even_image_stays_even_to_the_border_and_an_offset_is_added(kind):
    rng = np.random.default_rng(6)
    pattern = dataclasses.replace(pattern_of(kind), brightness=1 + 0.1 * rng.random(KINDS[kind].frames))
    operator = operator_of(pattern)
    frames = rng.normal(size=(KINDS[kind].frames, 48, 54))
    np.testing.assert_allclose(operator.apply(np.full_like(frames, 7.0)), 7.0, rtol=1e-9)
    np.testing.assert_allclose(operator.apply(frames + 100), operator.apply(frames) + 100, atol=1e-9)


@every_kind
def test_light_is_kept(kind):
    """But for what the cusp of the transfer function at frequency 0 spreads beyond the borders, 0.1 % at 65 pixels."""
    pattern, specimen = pattern_of(kind), spots((384, 384), 130)
    frames = recorded(pattern, specimen)
    operator = operator_of(pattern, (192, 192))
    wide = np.tensordot(operator.bands[0], frames, 1)
    assert operator.apply(frames).sum() / 4 == pytest.approx(wide.sum(), rel=1.5e-3)


@every_kind
def test_nothing_lies_beyond_the_support(kind):
    """Inside the window; what the cut at the border spreads is no part of the filter."""
    rng = np.random.default_rng(7)
    operator = operator_of(pattern_of(kind), (64, 64))
    made = operator.apply(rng.normal(size=(KINDS[kind].frames, 64, 64)))
    window = np.outer(np.blackman(128), np.blackman(128))
    power = np.abs(fft.fft2(made * window)) ** 2
    fy, fx = grid_of(made.shape, half=False)
    beyond = np.hypot(fy, fx) > 0.35 + 0.3 + 0.08
    assert power[beyond].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize("shape", [(53, 53), (47, 71), (64, 97)])
def test_odd_prime_and_unequal_sides_work(shape):
    pattern = pattern_of("3x3")
    made = operator_of(pattern, shape, "single").apply(np.full((9, *shape), 5.0))
    assert made.shape == (2 * shape[0], 2 * shape[1])
    np.testing.assert_allclose(made, 5.0, rtol=1e-5)


def test_a_tile_is_part_of_the_whole():
    """With 64 raw pixels around it, and the pattern's phases moved with it."""
    pattern, specimen = pattern_of("3x3"), 100 * np.random.default_rng(8).random((448, 400)) ** 6
    frames = recorded(pattern, specimen)
    whole = operator_of(pattern, (224, 200), "single").apply(frames)
    tile = operator_of(pattern.shifted(-40, 0), (152, 200), "single").apply(frames[:, 40:192])
    inside = (slice(128, -128), slice(128, -128))
    assert np.abs(tile - whole[80:384])[inside].max() < 1e-3 * np.ptp(whole)


@pytest.mark.parametrize("b", [0.7, 1.0, 1.5])
def test_pairs_made_on_raw_frames_correlate_as_their_variance_says(b):
    """Noise of b times the variance of the frames' own, added to one copy and taken from the other: (1 - b) / (1 + b)."""
    rng = np.random.default_rng(9)
    operator = operator_of(pattern_of("3x3"), (64, 64), "single")
    first, second = [], []
    for _ in range(12):
        noise, extra = rng.normal(size=(2, 9, 64, 64)) * np.sqrt([1, b])[:, None, None, None]
        first.append(operator.apply(noise + extra)[20:-20, 20:-20].ravel())
        second.append(operator.apply(noise - extra)[20:-20, 20:-20].ravel())
    found = np.corrcoef(np.concatenate(first), np.concatenate(second))[0, 1]
    assert found == pytest.approx((1 - b) / (1 + b), abs=0.03)


def test_halves_of_noise_do_not_correlate():
    """Independent halves reconstructed alike: the ring correlation is 0 within its scatter."""
    from superlens.metrics import frc

    rng = np.random.default_rng(10)
    operator = operator_of(pattern_of("3x3"), (96, 96), "single")
    a, b = (operator.apply(rng.normal(size=(9, 96, 96))) for _ in range(2))
    curve = frc(a, b, pixel_nm=30.0)
    assert abs(np.mean(curve.correlation[5:60])) < 0.05


def test_steps_that_cannot_be_told_apart_are_refused():
    equal = dataclasses.replace(Arrangement.grid(1, 3), steps=np.array([[0.0], [0.0], [1.0]]))
    assert equal.condition > 10
    with pytest.raises(SuperlensError, match="condition"):
        _ = equal.separation
    three_of_five = dataclasses.replace(Arrangement.grid(1, 5, 2), steps=Arrangement.grid(1, 5, 2).steps[:3])
    assert np.isinf(three_of_five.condition)


def test_a_described_pattern_is_the_pattern():
    pattern = pattern_of("pairs")
    again = Pattern.of(pattern.described())
    np.testing.assert_allclose(again.illumination((40, 40)), pattern.illumination((40, 40)), atol=1e-3)
    with pytest.raises(SuperlensError, match=r"run\.json"):
        Pattern.of({"orders": []})


def test_an_order_has_an_angle():
    assert Order((0.1, 0.0), 0.5).angle_deg == pytest.approx(-90)
    assert Order((0.1, 0.1), 0.5).angle_deg == pytest.approx(45)


def test_attenuated_bands_keep_the_closed_forms():
    """The transfer function and the adjoint hold with less of order 0 and of the middle of each band."""
    from superlens.reconstruct.sim import Attenuation

    pattern, specimen = pattern_of("3x3"), spots((192, 192), 64)
    more = {"attenuation": Attenuation(0.8), "leaks": (0.9, 0.5, 0.0)}
    operator = operator_of(pattern, (96, 96), **more)
    expected = fft.ifft2(fft.fft2(specimen) * operator.spectrum.transfer(*grid_of((192, 192), half=False))).real
    inside = (slice(56, -56), slice(56, -56))
    assert np.abs(operator.apply(recorded(pattern, specimen)) - expected)[inside].max() < 5e-3 * np.ptp(expected)
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=(9, 96, 96)), rng.normal(size=(192, 192))
    assert np.vdot(operator.apply(x), y) == pytest.approx(np.vdot(x, operator.adjoint(y)), rel=1e-5)
