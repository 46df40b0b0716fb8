"""Simulated movies of blinking molecules obey the laws they claim: light, places, times, noise, and the same seed gives the same movie."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.spatial import cKDTree

from superlens.camera import EMCCD, SCMOS, Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.optics import PSF
from superlens.simulate import (
    AstigmaticSpots,
    Background,
    DensitySites,
    DriftLaw,
    Filaments,
    GaussianSpots,
    Independent,
    Kinetics,
    Molecules,
    PhotonLaw,
    Population,
    PSFSpots,
    Rings,
    SmlmScene,
    Uniform,
    render_table,
    simulate_smlm,
    stream_smlm,
)
from superlens.simulate.blinking import Blinking
from superlens.simulate.molecules import Box, Sites
from superlens.simulate.spots import Spots
from superlens.smlm import Localizations

SIGMA = 110.0
FWHM = SIGMA * np.sqrt(8 * np.log(2))
BOX = Box((0.0, 6400.0), (0.0, 3200.0))


def molecules(
    *places: tuple[float, ...], photons: float = 1000.0, sigma: tuple[float, float] = (SIGMA, SIGMA)
) -> Molecules:
    """Molecules of equal brightness at places (x, y) or (x, y, z)."""
    position = np.array([(*place, 0.0)[:3] for place in places], float).reshape(-1, 3)
    count = len(position)
    return Molecules(position, np.full(count, photons), np.tile(sigma, (count, 1)), np.arange(1, count + 1))


def stack_psf() -> PSF:
    """Planes whose Gaussians become wider upwards, on 25 nm pixels and 100 nm steps."""
    planes = [np.pad(p, (61 - len(p)) // 2) for p in (PSF.gaussian(f, 25.0).data for f in (200.0, 260.0, 330.0))]
    return PSF(np.stack(planes), 25.0, 100.0)


SPOTS = {
    "gaussian": GaussianSpots(),
    "astigmatic": AstigmaticSpots(),
    "psf": PSFSpots(PSF.gaussian(FWHM, 25.0)),
    "stack": PSFSpots(stack_psf()),
}


def centre(image: np.ndarray) -> tuple[float, float]:
    """Centre of mass (x, y) in pixels from the outer corner."""
    side_y, side_x = (np.arange(n) + 0.5 for n in image.shape)
    return float(image.sum(0) @ side_x / image.sum()), float(image.sum(1) @ side_y / image.sum())


# -- spots ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spots", SPOTS.values(), ids=SPOTS)
def test_all_light_of_a_molecule_reaches_the_camera(spots: Spots) -> None:
    image = spots.render(molecules((1630.0, 1577.0), photons=700.0, sigma=(130.0, 150.0)), (32, 32), 100.0)
    assert image.sum() == pytest.approx(700.0, rel=3e-6)
    assert image.min() >= 0


@pytest.mark.parametrize("spots", SPOTS.values(), ids=SPOTS)
@pytest.mark.parametrize("x", [1600.0, 1612.5, 1649.0, 1650.0, 1699.9])
def test_the_centre_of_mass_is_the_position(spots: Spots, x: float) -> None:
    y = 3200.0 - x + 7.0
    found = centre(spots.render(molecules((x, y)), (32, 32), 100.0))
    assert np.multiply(found, 100.0) == pytest.approx((x, y), abs=0.05)


@pytest.mark.parametrize("spots", SPOTS.values(), ids=SPOTS)
def test_whole_pixels_shift_the_image(spots: Spots) -> None:
    here = spots.render(molecules((1512.0, 1388.0)), (32, 40), 100.0)
    there = spots.render(molecules((1512.0 + 300.0, 1388.0 - 200.0)), (32, 40), 100.0)
    np.testing.assert_allclose(np.roll(here, (-2, 3), (0, 1)), there, atol=1e-4 * here.max())


def test_a_psf_that_is_a_gaussian_gives_the_gaussian() -> None:
    places = molecules(*np.random.default_rng(3).uniform(0.0, 3200.0, (30, 2)).tolist())
    erf = GaussianSpots().render(places, (32, 32), 100.0)
    for pixel_nm in (12.5, 25.0, 50.0):
        psf = PSFSpots(PSF.gaussian(FWHM, pixel_nm)).render(places, (32, 32), 100.0)
        assert np.abs(psf - erf).max() < 2e-4 * erf.max()


def test_the_window_loses_no_light_of_the_sum_over_the_whole_frame() -> None:
    from scipy.special import ndtr

    edges = np.arange(33) * 100.0
    line = [np.diff(ndtr((edges - place) / SIGMA)) for place in (1234.0, 321.0)]
    exact = 1000.0 * line[1][:, None] * line[0]
    np.testing.assert_allclose(GaussianSpots().render(molecules((1234.0, 321.0)), (32, 32), 100.0), exact, atol=1e-3)


@pytest.mark.parametrize("spots", SPOTS.values(), ids=SPOTS)
def test_a_molecule_outside_the_field_lights_its_edge_only_when_it_is_near(spots: Spots) -> None:
    assert spots.render(molecules((-60.0, 800.0)), (16, 16), 100.0)[:, 0].sum() > 100.0
    assert spots.render(molecules((-9000.0, 800.0), (0.0, 1e6)), (16, 16), 100.0).sum() == 0.0
    assert spots.render(molecules(), (16, 16), 100.0).shape == (16, 16)


def test_light_of_many_molecules_adds_up() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(500.0, 2700.0, (5000, 2))
    widths = np.repeat(rng.uniform(80.0, 200.0, (5000, 1)), 2, axis=1)
    crowd = Molecules(np.column_stack([places, np.zeros(5000)]), np.full(5000, 3.0), widths, np.arange(5000))
    one_by_one = sum(GaussianSpots().render(crowd.where(np.array([k])), (32, 32), 100.0) for k in range(0, 5000, 25))
    together = GaussianSpots().render(crowd.where(np.arange(0, 5000, 25)), (32, 32), 100.0)
    np.testing.assert_allclose(together, one_by_one, atol=1e-4)
    halves = [
        GaussianSpots().render(crowd.where(part), (32, 32), 100.0) for part in (np.arange(2500), np.arange(2500, 5000))
    ]
    np.testing.assert_allclose(GaussianSpots().render(crowd, (32, 32), 100.0), halves[0] + halves[1], atol=1e-3)


def test_astigmatism_swaps_x_and_y_with_the_side_of_the_focus() -> None:
    spots, rng = AstigmaticSpots(), np.random.default_rng(0)
    above, focus, below = spots.sigmas(np.array([300.0, 0.0, -300.0]), rng)
    assert above[0] == below[1] < focus[0] == focus[1] < above[1] == below[0]
    assert spots.sigmas(np.array([250.0]), rng)[0, 0] == pytest.approx(130.0)
    image = spots.render(molecules((1600.0, 1600.0), sigma=tuple(above)), (32, 32), 100.0)
    side = np.arange(32) + 0.5 - 16
    widths = [np.sqrt(image.sum(axis) @ side**2 / image.sum() - 1 / 12) * 100 for axis in (0, 1)]
    assert widths == pytest.approx(list(above), rel=1e-4)


def test_the_planes_of_a_psf_are_taken_by_height() -> None:
    spots = PSFSpots(stack_psf())
    for z, fwhm in ((-100.0, 200.0), (0.0, 260.0), (100.0, 330.0)):
        image = spots.render(molecules((1623.0, 1590.0, z)), (32, 32), 100.0)
        flat = PSFSpots(PSF.gaussian(fwhm, 25.0)).render(molecules((1623.0, 1590.0)), (32, 32), 100.0)
        np.testing.assert_allclose(image, flat, atol=1e-3 * flat.max())
    with pytest.raises(SuperlensError, match="expected -100 to 100"):
        spots.render(molecules((1600.0, 1600.0, 150.0)), (32, 32), 100.0)


# -- places -----------------------------------------------------------------------------------------------------------


def test_uniform_molecules_fill_the_field_evenly() -> None:
    places = Uniform().lay(BOX, np.random.default_rng(0))(40_000, np.random.default_rng(1))
    counts, _, _ = np.histogram2d(places[:, 1], places[:, 0], bins=(4, 8), range=[BOX.y_nm, BOX.x_nm])
    expected = 40_000 / 32
    assert BOX.holds(places).all()
    assert ((counts - expected) ** 2 / expected).sum() < 62.5  # chi-squared with 31 degrees of freedom: 0.1 %


def test_rings_hold_their_molecules_at_their_radius() -> None:
    draw = Rings(radius_nm=80.0, number=1, corners=8, linker_nm=0.0).lay(BOX, np.random.default_rng(4))
    places = draw(500, np.random.default_rng(0))[:, :2]
    corners = np.unique(places.round(3), axis=0)
    assert len(corners) == 8
    assert np.hypot(*(corners - corners.mean(axis=0)).T) == pytest.approx(80.0, abs=0.01)


def test_filaments_hold_their_molecules_on_the_wall_of_a_tube() -> None:
    rng = np.random.default_rng(0)
    line = Filaments(diameter_nm=0.0).lay(BOX, np.random.default_rng(1))(20_000, rng)
    tube = Filaments(diameter_nm=60.0).lay(BOX, np.random.default_rng(1))(300, rng)
    radius = np.hypot(cKDTree(line[:, :2]).query(tube[:, :2])[0], tube[:, 2])
    assert radius.max() < 30.5
    assert (radius > 29.5).mean() > 0.9  # the others lie where filaments cross
    assert (line[:, 2] == 0).all()


def test_an_image_of_the_density_is_where_molecules_are() -> None:
    weights = np.zeros((64, 128))
    weights[10, 20], weights[40, 100] = 1.0, 3.0
    draw = DensitySites(Image(weights, pixel_nm=50.0)).lay(BOX, np.random.default_rng(0))
    places = draw(8000, np.random.default_rng(0))
    pixel, counts = np.unique((places[:, 1::-1] // 50).astype(int), axis=0, return_counts=True)
    assert pixel.tolist() == [[10, 20], [40, 100]]
    assert counts[1] / counts[0] == pytest.approx(3.0, rel=0.15)
    assert places[:, 0].mean() == pytest.approx(0.25 * 1025.0 + 0.75 * 5025.0, rel=0.02)


def test_an_image_of_the_density_has_to_cover_the_field() -> None:
    sites = DensitySites(Image(np.ones((64, 64)), pixel_nm=50.0))
    with pytest.raises(SuperlensError, match="larger image"):
        sites.lay(BOX, np.random.default_rng(0))


@pytest.mark.parametrize("sites", [Uniform(), Filaments(), Rings()])
def test_a_structure_stays_while_molecules_change(sites: Sites) -> None:
    scene = SmlmScene(sites=sites, margin_nm=300.0)
    movie = simulate_smlm(4, scene, rng=np.random.default_rng(0))
    assert len(np.unique(movie.truth["x_nm"])) == len(movie.truth)
    assert Box((0.0, 6400.0), (0.0, 6400.0)).holds(movie.truth.positions_nm).all()


# -- blinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "mean", "std"),
    [
        (PhotonLaw("normal", 2250.0, 250.0), 2250.0, 250.0),
        (PhotonLaw.uniform(700.0, 900.0), 800.0, 200.0 / np.sqrt(12)),
        (PhotonLaw.gamma(3.0, 1000.0), 3000.0, np.sqrt(3.0) * 1000.0),
        (PhotonLaw.exponential(500.0), 500.0, 500.0),
        (PhotonLaw("log-normal", 1100.0, 600.0), 1100.0, 600.0),
    ],
    ids=lambda value: getattr(value, "law", ""),
)
def test_photons_follow_their_law(law: PhotonLaw, mean: float, std: float) -> None:
    drawn = law.draw(40_000, np.random.default_rng(0))
    assert drawn.min() > 0
    assert drawn.mean() == pytest.approx(mean, abs=5 * std / 200)
    assert drawn.std() == pytest.approx(std, rel=0.05)


def test_a_normal_law_is_cut_off_at_zero() -> None:
    drawn = PhotonLaw("normal", 100.0, 100.0).draw(20_000, np.random.default_rng(0))
    assert drawn.min() > 0
    # Mean of a normal law cut off one deviation below its mean: mean + std * phi(1) / Phi(1).
    assert drawn.mean() == pytest.approx(128.8, abs=2.5)


def test_the_number_of_molecules_in_a_frame_is_poisson() -> None:
    scene = SmlmScene(yx_shape=(16, 16), blinking=Independent(density_um2=4.0))
    counts = np.array([len(frame.truth) for frame in stream_smlm(800, scene, rng=np.random.default_rng(0))])
    mean = 4.0 * 2.56
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / 800))
    assert counts.var() / mean == pytest.approx(1.0, abs=4 * np.sqrt(2 / 800))


def lit(blinking: Blinking, frames: int, photons: float = 1000.0, area_um2: float = 10.0) -> list[Molecules]:
    """What shines in each frame of a law, every molecule with `photons` in a frame of full light."""
    born = 0

    def birth(count: int) -> Molecules:
        nonlocal born
        born += count
        number = np.arange(born - count + 1, born + 1)
        return Molecules(np.zeros((count, 3)), np.full(count, photons), np.ones((count, 2)), number)

    return list(islice(blinking.play(area_um2, birth, np.random.default_rng(5)), frames))


def test_on_times_have_their_mean_and_photons_are_kept_over_frames() -> None:
    frames = lit(Kinetics(density_um2=3.0, on_frames=2.5), 700)
    number = np.concatenate([frame.number for frame in frames])
    photons = np.concatenate([frame.photons for frame in frames])
    when = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    light, first = np.bincount(number, photons) / 1000.0, np.full(number.max() + 1, len(frames))
    np.minimum.at(first, number, when)
    whole = light[(first > 0) & (first < 650)]  # those whose first and last moment lie in the movie
    assert photons.max() <= 1000.0 + 1e-9
    assert whole.mean() == pytest.approx(2.5, abs=4 * 2.5 / np.sqrt(len(whole)))
    assert whole.std() == pytest.approx(2.5, rel=0.1)  # as of an exponential law


def test_a_steady_flow_has_its_density_from_the_first_frame_on() -> None:
    law = Kinetics(density_um2=2.0, on_frames=3.0, dark_frames=30.0, blinks=4.0)
    rows = np.array([[len(frame) for frame in lit(law, 40, area_um2=400.0)]])
    assert rows[:, :5].mean() == pytest.approx(800.0, rel=0.06)
    assert rows.mean() == pytest.approx(800.0, rel=0.05)


def test_molecules_come_back_as_often_as_asked_for() -> None:
    frames = lit(Population(molecules_um2=60.0, on_frames=1.0, dark_frames=30.0, blinks=3.0), 2500)
    light = np.bincount(np.concatenate([f.number for f in frames]), np.concatenate([f.photons for f in frames]))
    shone = light[light > 0] / 1000.0  # a geometric number of exponential times is exponential
    assert shone.mean() == pytest.approx(3.0, abs=4 * 3.0 / np.sqrt(len(shone)))
    assert len(frames[-1]) == 0  # all bleached


def test_molecules_that_never_bleach_keep_blinking() -> None:
    rows = [len(f) for f in lit(Population(molecules_um2=60.0, on_frames=2.0, dark_frames=20.0, blinks=np.inf), 600)]
    # A frame meets light when it begins in light, or when a dark molecule wakes within it.
    expected = 600 * (2.0 / 22.0 + 20.0 / 22.0 * (1 - np.exp(-1 / 20.0)))
    assert np.mean(rows[300:]) == pytest.approx(expected, rel=0.05)


# -- cameras and background -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sensor", "gain", "excess"),
    [
        (Camera(2.0, 100.0, 1.5), 2.0, 1.0),
        (EMCCD(), EMCCD().gain, 2.0),
        (EMCCD(em_gain=30.0, read_noise_e=50.0), 30 / 45, 2.0),
    ],
    ids=["linear", "emccd", "emccd at low gain"],
)
def test_the_line_of_variance_over_mean_has_the_gain_for_its_slope(
    sensor: Camera | EMCCD, gain: float, excess: float
) -> None:
    rng, levels = np.random.default_rng(0), np.linspace(5.0, 400.0, 12)
    counts = [np.asarray(sensor.expose(np.full(20_000, level), rng), float) for level in levels]
    slope, _ = np.polyfit([c.mean() for c in counts], [c.var() for c in counts], 1)
    assert slope == pytest.approx(excess * gain, rel=0.03)
    efficiency = getattr(sensor, "quantum_efficiency", 1.0)
    rise, start = np.polyfit(levels, [c.mean() for c in counts], 1)
    assert rise == pytest.approx(gain * efficiency, rel=0.01)
    assert start == pytest.approx(100.0, abs=0.5 * gain + 0.5)


def test_an_scmos_camera_has_the_maps_it_was_given() -> None:
    maps = np.random.default_rng(0)
    camera = SCMOS(maps.normal(100, 5, (16, 16)), maps.uniform(4, 60, (16, 16)), maps.normal(2.2, 0.2, (16, 16)), 0.8)
    rng = np.random.default_rng(1)
    dark = camera.expose(np.zeros((4000, 16, 16)), rng).astype(float)
    bright = camera.expose(np.full((4000, 16, 16), 200.0), rng).astype(float)
    assert np.abs(dark.mean(0) - camera.offset).max() < 5 * np.sqrt(60 / 4000)
    assert dark.var(0) == pytest.approx(camera.variance + 1 / 12, rel=0.15)
    assert (bright.mean(0) - dark.mean(0)) / 160.0 == pytest.approx(camera.gain, rel=0.02)
    assert (bright.var(0) - dark.var(0)) / (bright.mean(0) - dark.mean(0)) == pytest.approx(camera.gain, rel=0.2)
    assert camera.as_camera().gain == pytest.approx(camera.gain.mean())


def test_cameras_refuse_what_is_no_light() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SuperlensError, match="at least 0"):
        EMCCD().expose([-1.0], rng)
    with pytest.raises(SuperlensError, match="maps of the camera"):
        SCMOS(*np.ones((3, 8, 8))).expose(np.ones((8, 9)), rng)
    with pytest.raises(SuperlensError, match="quantum_efficiency"):
        EMCCD(quantum_efficiency=90.0)


def test_a_bright_frame_is_clipped_and_not_wrapped() -> None:
    bright = SmlmScene(yx_shape=(16, 16), background=Background(1e5, 1e5), sensor=Camera(1.0, 100.0, 1.0))
    assert (simulate_smlm(1, bright, rng=np.random.default_rng(0)).frames.data == 65535).all()


def test_background_has_its_level_and_its_pattern() -> None:
    rng = np.random.default_rng(0)
    still = list(islice(Background(10.0, 30.0, contrast=0.2, smooth_nm=300.0).play((64, 64), 100.0, rng), 50))
    levels = [frame.mean() for frame in still]
    assert 10.0 <= min(levels) < 14.0 < 26.0 < max(levels) <= 30.0
    assert still[0] / levels[0] == pytest.approx(still[9] / levels[9])
    assert (still[0] / levels[0]).std() == pytest.approx(0.2, rel=0.05)
    pattern = still[0] / levels[0] - 1.0
    # Correlation at a distance of one standard deviation of the smoothing: exp(-1/4).
    assert (pattern * np.roll(pattern, 3, axis=1)).mean() / pattern.var() == pytest.approx(np.exp(-0.25), abs=0.1)
    moving = list(islice(Background(contrast=0.2, still=False).play((64, 64), 100.0, rng), 2))
    assert abs(np.corrcoef(moving[0].ravel(), moving[1].ravel())[0, 1]) < 0.6


# -- movies -----------------------------------------------------------------------------------------------------------


RICH = SmlmScene(
    yx_shape=(24, 32),
    margin_nm=200.0,
    z_range_nm=(-300.0, 300.0),
    sites=Filaments(),
    blinking=Kinetics(blinks=3.0),
    photons=PhotonLaw.gamma(3.0, 700.0),
    spots=AstigmaticSpots(),
    background=Background(10.0, 20.0, contrast=0.1, still=False),
    drift=DriftLaw(1.0, -0.5, 2.0),
    sensor=EMCCD(),
)


@pytest.mark.parametrize("scene", [SmlmScene(yx_shape=(24, 32)), RICH], ids=["default", "rich"])
def test_the_same_seed_gives_the_same_movie_and_the_stream_its_frames(scene: SmlmScene) -> None:
    movie, again = (simulate_smlm(6, scene, rng=np.random.default_rng(7)) for _ in range(2))
    other = simulate_smlm(6, scene, rng=np.random.default_rng(8))
    stream = list(stream_smlm(6, scene, rng=np.random.default_rng(7)))
    np.testing.assert_array_equal(movie.frames.data, again.frames.data)
    np.testing.assert_array_equal(movie.frames.data, [frame.counts for frame in stream])
    np.testing.assert_array_equal(movie.drift_nm, [frame.drift_nm for frame in stream])
    assert (movie.frames.data != other.frames.data).any()
    for name, values in movie.truth.columns.items():
        np.testing.assert_array_equal(values, np.concatenate([frame.truth[name] for frame in stream]))


def test_another_camera_leaves_the_molecules_alone() -> None:
    plain, other = (
        simulate_smlm(3, replace(RICH, sensor=sensor), rng=np.random.default_rng(7))
        for sensor in (EMCCD(), Camera(1.0, 100.0, 1.0))
    )
    np.testing.assert_array_equal(plain.truth["x_nm"], other.truth["x_nm"])


def test_a_movie_says_what_it_is() -> None:
    movie = simulate_smlm(5, RICH, rng=np.random.default_rng(0))
    assert (movie.frames.axes, movie.frames.data.dtype.name, movie.frames.pixel_nm) == ("TYX", "uint16", 100.0)
    assert (movie.truth.yx_shape, movie.truth.pixel_nm, movie.truth.frames) == ((24, 32), 100.0, 5)
    always = {"frame", "x_nm", "y_nm", "photons", "background", "sigma_nm", "molecule"}
    assert set(simulate_smlm(2, rng=np.random.default_rng(0)).truth.columns) == always
    assert set(movie.truth.columns) == always | {"z_nm", "sigma_x_nm", "sigma_y_nm", "x_raw_nm", "y_raw_nm"}
    assert "Kinetics" in movie.frames.history["simulated"]["blinking"]


@pytest.mark.parametrize("spots", [GaussianSpots(), AstigmaticSpots()])
def test_the_mean_of_a_frame_is_its_truth_drawn_on_its_background(spots: Spots) -> None:
    scene = SmlmScene(yx_shape=(24, 24), spots=spots, drift=DriftLaw(5.0, 3.0, 4.0), z_range_nm=(-200.0, 200.0))
    frames = list(stream_smlm(8, scene, rng=np.random.default_rng(0)))
    # Molecules that drift out of the field are in the light and not in the truth: look at the inside.
    drawn = 20.0 + render_table(Localizations.joined(frame.truth for frame in frames), spots)
    assert drawn[:, 7:-7, 7:-7] == pytest.approx(np.array([frame.photons for frame in frames])[:, 7:-7, 7:-7], abs=0.05)


def test_drift_moves_the_image_by_what_it_says() -> None:
    scene = SmlmScene(
        drift=DriftLaw(30.0, -20.0), blinking=Population(2.0, 1e9, 1e-9, np.inf), spots=GaussianSpots(SIGMA, 0.0)
    )
    movie = simulate_smlm(6, scene, rng=np.random.default_rng(0))
    assert movie.drift_nm[5] == pytest.approx((150.0, -100.0))
    last = movie.truth.where(movie.truth["frame"] == 6)
    assert last["x_raw_nm"] - last["x_nm"] == pytest.approx(150.0)
    assert last["y_raw_nm"] - last["y_nm"] == pytest.approx(-100.0)


def test_light_from_outside_the_field_is_in_the_frame_and_not_in_the_truth() -> None:
    scene = SmlmScene(yx_shape=(8, 8), margin_nm=200.0, background=Background(0.0, 0.0))
    frames = list(stream_smlm(300, scene, rng=np.random.default_rng(0)))
    rows = np.mean([len(frame.truth) for frame in frames])
    assert rows == pytest.approx(2.0 * 0.64, rel=0.2)
    # With a margin as wide as the images the field is lit evenly up to its edge.
    light = np.mean([frame.photons for frame in frames], axis=0)
    assert light[0].mean() == pytest.approx(light[3:5].mean(), rel=0.25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel_nm": 0.1}, "Did you give micrometres"),
        ({"yx_shape": (0, 8)}, "yx_shape"),
        ({"z_range_nm": (1.0, -1.0)}, "lower height first"),
        ({"margin_nm": -1.0}, "margin_nm"),
    ],
)
def test_an_impossible_scene_is_refused_in_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(SuperlensError, match=message):
        SmlmScene(**change)  # type: ignore[arg-type]


def test_no_frames_are_refused_before_the_first_one_is_asked_for() -> None:
    with pytest.raises(SuperlensError, match="frames is 0"):
        stream_smlm(0, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Independent(-1.0),
        lambda: Kinetics(on_frames=0.0),
        lambda: Kinetics(blinks=0.5),
        lambda: Population(blinks=float("nan")),
        lambda: PhotonLaw("poisson"),  # type: ignore[arg-type]
        lambda: PhotonLaw("uniform", 100.0, 100.0),
        lambda: Background(5.0, 3.0),
        lambda: DriftLaw(walk_nm=-1.0),
        lambda: GaussianSpots(0.11),
        lambda: Rings(corners=0),
        lambda: Filaments(density_per_um=0.0),
        lambda: DensitySites(Image(np.zeros((16, 16)), pixel_nm=10.0)),
    ],
)
def test_impossible_settings_are_refused(make: object) -> None:
    with pytest.raises(SuperlensError, match="expected|Make it less"):
        make()  # type: ignore[operator]


# -- a movie that others simulated ------------------------------------------------------------------------------------


def test_frames_made_elsewhere_come_out_of_their_table(sample_data: Path) -> None:
    folder = sample_data / "deep-storm" / "deepstorm-demo1-simulated"
    if not folder.is_dir():
        pytest.skip(f"no simulated movie at {folder}")
    frames = tifffile.imread(folder / "ArtificialDataset_demo1.tif").astype(float)
    rows = np.genfromtxt(folder / "positions_demo1.csv", delimiter=",", skip_header=1)
    columns = dict(zip(("frame", "x_nm", "y_nm", "sigma_nm", "photons"), rows[:, 1:6].T, strict=True))

    def agreement(shift_nm: float) -> float:
        moved = {**columns, "x_nm": columns["x_nm"] + shift_nm, "y_nm": columns["y_nm"] + shift_nm}
        drawn = render_table(Localizations(moved, pixel_nm=100.0, yx_shape=(64, 64), frames=20))
        return float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(drawn, frames, strict=True)]))

    there = agreement(0.0)
    assert there > 0.98
    assert max(agreement(-50.0), agreement(50.0)) < there - 0.02
    assert max(agreement(-12.5), agreement(12.5)) < there
