"""Out-of-focus light: what cells say of an image, that light is conserved, and that blocks have the haze of the whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import ndimage

from superlens import simulate
from superlens.cli import main
from superlens.enhancing import enhance, predict, predict_file
from superlens.image import Image
from superlens.io import read, write
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.networks.haze import QUANTILES
from superlens.observing.haze import (
    HAZE_CHANNELS,
    Haze,
    cell_side,
    cells_of,
    cells_within,
    channels_of,
    haze_reach,
    noise_of_pixels,
)
from superlens.optics import PSF, Objective
from superlens.predicting.haze import share_of_light, sure_haze
from superlens.predicting.request import BlockOptions
from superlens.starts.depth import FIELD_CELLS, draw_field
from superlens.starts.haze import Fields, pretrain, share_loss
from superlens.starts.specimens import specimens
from superlens.training.two_stage.state import TwoStageState

FWHM = 4.4


def plane(shape=(90, 77), seed=0):
    rng = np.random.default_rng(seed)
    clean = 200 * ndimage.gaussian_filter(rng.random(shape) ** 20, 2) + 5
    return rng.poisson(clean * 10).astype(np.float32), np.sqrt(clean * 10).astype(np.float32)


@pytest.mark.parametrize("fwhm", [1.3, 4.4, 9.0])
def test_cells_of_a_framed_block_are_those_of_the_whole(fwhm):
    """A strip with its frame, mirrored where it reaches beyond the image, shows what the whole shows there."""
    counts, sigma = plane()
    side, reach = cell_side(fwhm), haze_reach(fwhm)
    whole = cells_of(counts, sigma, fwhm)
    padded = [np.pad(a, [(reach, reach + -n % side) for n in a.shape], mode="symmetric") for a in (counts, sigma)]
    rows = slice(2 * side, 2 * side + 3 * side + 2 * reach)
    part = cells_within(*(a[rows] for a in padded), fwhm)
    for name in ("light", "deepest", "lowest", "highest", "fine", "coarse", "noise"):
        expected = getattr(whole, name)[2:5]
        np.testing.assert_allclose(getattr(part, name), expected, atol=1e-4 * np.abs(expected).max(), err_msg=name)


def test_the_mean_of_the_cells_is_that_of_the_image():
    counts, sigma = plane((88, 80))
    light = cells_of(counts, sigma, FWHM).light
    assert light.shape == (44, 40)
    assert light.mean() == pytest.approx(counts.mean(), rel=0.01)


def test_detail_of_noise_alone_is_none_and_even_light_has_none():
    sigma = np.full((120, 120), 5, np.float32)
    noise = np.random.default_rng(1).normal(0, 5, sigma.shape).astype(np.float32)
    cells = cells_of(noise + 100, sigma, FWHM)
    assert abs(np.mean(np.sign(cells.fine) * cells.fine**2)) < 0.1 * np.mean(cells.noise**2)
    even = cells_of(np.full_like(sigma, 100), 0 * sigma, FWHM)
    np.testing.assert_allclose(even.fine, 0, atol=1e-3)
    np.testing.assert_allclose(even.lowest, 100, rtol=1e-5)


def test_channels_do_not_depend_on_the_unit_of_the_light():
    counts, sigma = plane()
    one, other = (channels_of(cells_of(f * counts, f * sigma, FWHM), FWHM) for f in (1, 7.5))
    assert one.shape[-1] == HAZE_CHANNELS
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_channels_turn_with_the_image():
    counts, sigma = plane((88, 88))
    turned = channels_of(cells_of(np.rot90(counts).copy(), np.rot90(sigma).copy(), FWHM), FWHM)
    np.testing.assert_allclose(turned, np.rot90(channels_of(cells_of(counts, sigma, FWHM), FWHM)), atol=1e-4)


def test_haze_of_even_cells_is_even_and_is_linear_between_their_centres():
    even = Haze(np.full((1, 5, 6), 3, np.float32), 4)
    np.testing.assert_allclose(even.planes((20, 24)), 3, rtol=1e-6)
    ramp = Haze(np.arange(6, dtype=np.float32)[None, None, :] * np.ones((1, 5, 1), np.float32), 4)
    across = ramp.planes((20, 24))[0, 7]
    np.testing.assert_allclose(across[2:-2], (np.arange(24)[2:-2] + 0.5) / 4 - 0.5, atol=1e-5)


def test_haze_at_some_pixels_is_that_of_the_whole_plane():
    haze = Haze(np.random.default_rng(0).random((2, 7, 9)).astype(np.float32), 3)
    rows, columns = np.array([0, 5, 5, 4]), np.arange(13, 2, -1)
    np.testing.assert_array_equal(haze.at(1, rows, columns), haze.planes((21, 27))[1][np.ix_(rows, columns)])


def test_haze_is_never_negative_and_never_more_than_the_light():
    light = np.random.default_rng(0).normal(5, 4, (1, 12, 12)).astype(np.float32)
    haze = Haze.of(np.full(light.shape, 1.4), light, 4)
    assert haze.grid.min() >= 0
    assert haze.grid.max() <= light.max()


def test_haze_that_is_sure_spans_cells_and_is_never_more_than_is_said():
    """A spot is no haze, an even field is, and where shares rise nothing gets less."""
    spot = np.zeros((1, 40, 40), np.float32)
    spot[0, 20, 20] = 100
    ones = np.ones_like(spot)
    assert Haze.of(ones, spot, 2, under=True).grid.max() == 0
    np.testing.assert_allclose(Haze.of(0.3 * ones, 5 * ones, 2, under=True).grid, 1.5, rtol=1e-5)
    light = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)
    less, more = (Haze.of(share * ones, light, 2, under=True).grid for share in (0.3, 0.6))
    assert np.all(less <= more)
    assert more.sum() <= Haze.of(0.6 * ones, light, 2).grid.sum()


def test_what_is_told_apart_grows_steadily_with_what_is_sure_from_nothing_to_all():
    """Two recordings of one field, nearly alike, are told apart nearly alike."""
    light = np.random.default_rng(0).random((1, 40, 40)).astype(np.float32) + 1
    shares = np.linspace(0, 0.6, 121, dtype=np.float32)
    taken = [share_of_light(sure_haze(s * light**0, 1.2 * s * light**0, light, 2), light) for s in shares]
    assert taken[0] == taken[8] == 0
    assert np.all(np.diff(taken) >= 0)
    assert np.diff(taken).max() < 5 * np.diff(shares).max()
    light[:] = 1
    assert share_of_light(sure_haze(0.5 * light, 0.6 * light, light, 2), light) == pytest.approx(0.6, rel=1e-5)
    assert share_of_light(sure_haze(0.12 * light, 0.6 * light, light, 2), light) == pytest.approx(0.12, rel=1e-5)


def test_what_noise_explains_of_the_variation_of_sure_haze_is_evened_out():
    """White noise becomes its mean; what varies much more stays, and so does the light."""
    noisy, sigma = np.random.default_rng(5).normal(100, 12, (192, 192)).astype(np.float32), np.full((192, 192), 12.0)
    cells = cells_of(noisy, sigma, FWHM)
    assert noise_of_pixels(cells, FWHM) == pytest.approx(12, rel=1e-4)
    known, light = np.array([12.0]), cells.light[None]
    even = Haze.of(np.ones_like(light), light, cell_side(FWHM), under=True)
    flat = even.steadied(known)
    assert np.ptp(flat.grid) < 0.1 * np.ptp(even.grid)
    assert flat.grid.mean() == pytest.approx(even.grid.mean(), rel=1e-6)
    wave = light + 50 * np.cos(np.linspace(0, 2 * np.pi, light.shape[-1], dtype=np.float32))
    strong = Haze.of(np.ones_like(wave), wave, cell_side(FWHM), under=True)
    np.testing.assert_allclose(strong.steadied(known).grid, strong.grid, atol=0.1)


# -- learning it -----------------------------------------------------------------------------------------------------


def test_fields_hold_shares_and_some_have_no_haze():
    pool = specimens(6, np.random.default_rng(0))
    drawn = [draw_field(pool, np.random.default_rng(seed)) for seed in range(12)]
    shares = [float((goal[..., 0] * goal[..., 1]).sum() / goal[..., 1].sum()) for _, goal in drawn]
    assert min(shares) == 0
    assert 0.2 < max(shares) <= 1
    for channels, goal in drawn:
        assert channels.shape[:2] == goal.shape[:2] == (FIELD_CELLS, FIELD_CELLS)
        assert np.isfinite(channels).all()
        assert goal.min() >= 0


def test_a_field_depends_on_seed_and_number_alone():
    whole, first = (Fields.draw(n, seed=3, count=4) for n in (3, 1))
    np.testing.assert_array_equal(whole.channels[:1], first.channels)
    inputs, (goal,) = whole.batch(0, 5)
    again, _ = whole.batch(0, 5)
    np.testing.assert_array_equal(inputs, again)
    assert inputs.shape[:3] == goal.shape[:3]


def goals(shares, dense):
    """Of cells that all count alike."""
    return np.stack([shares, np.ones_like(shares), np.full_like(shares, dense)], -1)


@pytest.mark.parametrize("dense", [0, 1])
def test_the_loss_is_least_for_the_right_shares_and_looks_at_every_field(dense):
    shares = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    goal, outputs = goals(shares, dense), 1 + len(QUANTILES)
    right = float(share_loss((goal,), [shares[..., None]] * outputs))
    for field in range(3):
        wrong = shares[..., None].copy()
        wrong[field] = 1 - wrong[field]
        assert float(share_loss((goal,), [wrong] * outputs)) > right + 0.01


def test_the_loss_is_least_at_the_mean_and_at_the_quantiles_of_shares_that_look_the_same():
    """The mean of fields with dark places, the quantiles of dense ones."""
    shares = np.random.default_rng(0).beta(1, 3, (2, 100, 100)).astype(np.float32)
    goal = np.concatenate([goals(one[None], dense) for dense, one in enumerate(shares)])
    best = [shares[0].mean(), *np.quantile(shares[1], QUANTILES)]
    even = np.ones((*shares.shape, 1), np.float32)
    least = float(share_loss((goal,), [np.float32(value) * even for value in best]))
    for output in range(len(best)):
        for off in (-0.02, 0.02):
            other = [np.float32(value + off * (k == output)) * even for k, value in enumerate(best)]
            assert float(share_loss((goal,), other)) > least


def test_training_learns_to_tell_fields_apart():
    """Bright even cells are all haze here and dark ones none: some steps halve the distance of the loss to what is best."""
    rng = np.random.default_rng(0)
    share = (rng.random((16, 32, 32, 1)) > 0.5).astype(np.float16)
    ones = np.ones_like(share)
    fields = Fields(np.repeat(share, HAZE_CHANNELS, -1), np.concatenate([share, ones, 0 * ones], -1))
    _, history = pretrain(fields, steps=30, seed=0)
    assert history.records[-1].loss < 0.6


# -- with a method ---------------------------------------------------------------------------------------------------

PSF_FINE = PSF.gaussian(262.0, 30.0)


def hazy(shape=(96, 80), seed=0):
    """Thin lines on smooth light that is brighter than they are."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    lines = sum(np.exp(-((y - r) ** 2) / 6) for r in (20, 48, 70)) + np.exp(-((x - 40) ** 2) / 6)
    smooth = 3 + 2 * np.cos(2 * np.pi * x / shape[1]) * np.sin(np.pi * y / shape[0])
    return Image(rng.poisson(60 * (lines + smooth)).astype(np.float32) + 100, "YX", pixel_nm=60.0, name="hazy")


def on_darkness():
    """Bright thin lines and nothing else."""
    image = hazy()
    y = np.indices(image.data.shape)[0]
    lines = sum(np.exp(-((y - r) ** 2) / 6) for r in (20, 48, 70))
    return image.with_data(np.random.default_rng(0).poisson(400 * lines).astype(np.float32) + 100)


def enhanced(image, **settings):
    return enhance(image, PSF_FINE, config=ZSDeconvConfig.of("fast", steps=0, flips=1, offset=100.0, **settings))


@pytest.fixture(scope="module")
def apart():
    return enhanced(hazy(), haze="separate")


def test_light_is_conserved_in_the_sum(apart):
    """In focus and out of focus together hold the light of the recording, and so does the denoised image."""
    counts = apart.observation.counts.mean()
    assert apart.image.data.mean() + apart["haze"].data.mean() == pytest.approx(counts, rel=0.02)
    assert apart.denoised.data.mean() == pytest.approx(counts, rel=0.02)


def test_haze_is_an_image_at_camera_sampling_that_is_never_negative(apart):
    assert apart["haze"].data.shape == apart.denoised.data.shape
    assert apart["haze"].pixel_nm == 60.0
    assert apart["haze"].data.min() >= 0
    assert any("out of focus" in message for message in apart.messages)


def test_keep_tells_nothing_apart():
    kept = enhanced(hazy(), haze="keep")
    assert "haze" not in kept.roles
    assert kept.image.data.mean() == pytest.approx(kept.observation.counts.mean(), rel=0.02)


def test_auto_tells_apart_no_more_than_is_likely(apart):
    """What is sure is at most the mean of what may be, place by place but for a little, and the light is conserved."""
    sure = enhanced(hazy(), haze="auto")
    assert "haze" in sure.roles
    most = apart["haze"].data
    assert np.all(sure["haze"].data <= most + 0.05 * most.max())
    assert sure["haze"].data.mean() / sure.observation.counts.mean() > 0.05
    total = sure.image.data.mean() + sure["haze"].data.mean()
    assert total == pytest.approx(sure.observation.counts.mean(), rel=0.02)
    assert any("at least" in message for message in sure.messages)


def test_auto_leaves_lines_on_darkness_alone():
    assert "haze" not in enhanced(on_darkness(), haze="auto").roles


def test_even_light_is_told_apart_evenly():
    """What is sure varies by no more than a twentieth of the noise, up to the borders, and nothing is drawn."""
    noisy = np.random.default_rng(3).poisson(200, (128, 128)).astype(np.float32) + 100
    made = enhanced(Image(noisy, "YX", pixel_nm=60.0, name="even"))
    assert made["haze"].data.std() < 0.05 * noisy.std()
    assert made.image.data.std() < 0.03 * noisy.std()


@pytest.mark.parametrize("mode", ["auto", "separate"])
def test_who_has_nothing_in_focus_is_told_so(mode):
    """Smooth waves, four widths of the PSF long and more; with lines on them it is not said."""
    y, x = np.indices((128, 128))
    waves = 200 * (2 + np.cos(2 * np.pi * x / 64) * np.sin(2 * np.pi * y / 64))
    lines = 300 * sum(np.exp(-((y - r) ** 2) / 6) for r in (20, 48, 90))
    said = {}
    for name, light in {"waves": waves, "lines": waves + lines}.items():
        counts = np.random.default_rng(1).poisson(light).astype(np.float32) + 100
        said[name] = enhanced(Image(counts, "YX", pixel_nm=60.0, name=name), haze=mode)
    assert any("nothing in focus" in message for message in said["waves"].messages)
    assert said["waves"].denoised.data.std() == pytest.approx(waves.std(), rel=0.05)
    assert not any("nothing in focus" in message for message in said["lines"].messages)


@pytest.mark.parametrize("photons", [15, 100])
def test_auto_leaves_dense_specimens_in_focus_alone(photons):
    """Nuclei, which no network has seen; the mean of what may be takes a part of them."""
    rng = np.random.default_rng(1)
    specimen = ndimage.gaussian_filter(simulate.STRUCTURES["nuclei"]((256, 256), rng), 3.7)
    light = ndimage.zoom(specimen, 0.5, order=1) / np.percentile(specimen, 95)
    image = Image(rng.poisson(photons * light).astype(np.float32) + 100, "YX", pixel_nm=60.0, name="nuclei")
    assert "haze" not in enhanced(image, haze="auto").roles


def test_who_keeps_much_haze_is_told_how_to_separate_it():
    kept = enhanced(hazy(), haze="keep")
    assert any("`haze` to separate" in message or "--haze to separate" in message for message in kept.messages)


def test_nobody_is_told_of_haze_where_lines_stand_on_darkness_or_the_microscope_keeps_it_out():
    assert not any("out of focus" in message for message in enhanced(on_darkness(), haze="keep").messages)
    confocal = Objective(na=1.3, wavelength_nm=525, modality="confocal", excitation_nm=488)
    settings = ZSDeconvConfig.of("fast", steps=0, flips=1, offset=100.0, haze="keep")
    assert not any("out of focus" in m for m in enhance(hazy(), confocal, config=settings).messages)


def test_a_model_applies_what_it_was_told_to_other_images(apart):
    other = predict(apart.model, hazy(seed=1))
    assert "haze" in other.roles


@pytest.mark.parametrize("mode", ["separate", "auto"])
def test_blocks_have_the_haze_of_the_whole(mode, tmp_path):
    source, model = tmp_path / "hazy.tif", tmp_path / "model.zip"
    write(source, hazy())
    apart = enhanced(hazy(), haze=mode)
    apart.model.save(model)
    options = BlockOptions(also=("denoised",), block=32)
    made = predict_file(model, source, tmp_path / "out.ome.zarr", options=options)
    for path, role in zip(made, ("sharp", "denoised"), strict=True):
        whole = apart[role].data
        np.testing.assert_allclose(read(path).data, whole, atol=2e-3 * np.ptp(whole), err_msg=role)
    assert not list(tmp_path.glob(".*haze*"))


def test_the_shell_writes_every_role_beside_each_other(tmp_path):
    write(tmp_path / "cell.tif", hazy())
    asked = ["--na", "1.1", "--wavelength-nm", "525", "--haze", "separate", "--steps", "0", "--offset", "100"]
    done = CliRunner().invoke(main, ["enhance", str(tmp_path / "cell.tif"), *asked, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").glob("*.tif")}
    assert names == {f"cell_{what}.tif" for what in ("sr", "denoised", "uncertainty", "haze")}
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert "haze" in json.dumps(record["results"])


@pytest.mark.parametrize("sharpen", [1.2, 2.5])
def test_the_degree_of_sharpening_is_what_the_result_states(sharpen):
    result = enhanced(hazy(), haze="keep", sharpen=sharpen)
    assert TwoStageState.of(result.model).response.lateral == sharpen
    assert result.parameters["sharpen"] == sharpen


def test_more_sharpening_gives_finer_lines():
    """Lines stand out more from what lies beside them, the finer the response that is asked for."""
    image, contrast = hazy(), []
    for sharpen in (1.2, 2.4):
        sharp = enhanced(image, haze="keep", sharpen=sharpen).image.data
        profile = sharp[:, 130:].mean(1)
        contrast.append(profile[96:98].max() - profile[84:88].mean())
    assert contrast[1] > 1.02 * contrast[0]
