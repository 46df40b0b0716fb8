"""Planes or volumes, and where frames may be each other's noisy copies: what is said, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv import dimensions
from superlens.methods.zsdeconv.dimensions import refuse_frames_as_slices, spatial_axes
from superlens.methods.zsdeconv.prepared import Prepared, prepare
from superlens.methods.zsdeconv.recipe import recipe_of
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.observing.observation import observe
from superlens.optics import PSF, Objective
from superlens.training.two_stage.neighbours import neighbours
from superlens.training.two_stage.pairs import Pair
from superlens.training.two_stage.recipe import TwoStageRecipe

GREEN = Objective(na=1.3, wavelength_nm=525)
FLAT = PSF.gaussian(240.0, 32.5)


def counts(shape: tuple[int, ...], *, drift: float = 0.0) -> np.ndarray:
    """The same scene in all frames (the first axis), or one that goes along x."""
    rng = np.random.default_rng(0)
    scene = 20 + 80 * rng.random(shape[1:]) ** 6
    frames = [np.roll(scene, round(drift * t), axis=-1) for t in range(shape[0])]
    return Camera(2.0, 100.0, 1.0).expose(rng.poisson(np.stack(frames)), rng, bits=16)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the weights for volumes were there."""
    monkeypatch.setattr(dimensions, "shipped_name", lambda network: "weights for volumes")


def stack(slices: int, z_step_nm: float | None = 300.0) -> Image:
    return Image(np.zeros((slices, 20, 20), np.uint16), "ZYX", 65.0, z_step_nm)


@pytest.mark.parametrize(
    ("image", "optics", "axes", "word"),
    [
        (stack(5), GREEN, "ZYX", "300 nm apart"),
        (stack(5), PSF(np.full((3, 3, 3), 1 / 27), 32.5, 300.0, "cube"), "ZYX", "`volume`"),
        (stack(4), GREEN, "YX", "4 slices"),
        (stack(1), GREEN, "YX", ""),
        (stack(5, None), GREEN, "YX", "`z_step_nm`"),
        (stack(5), FLAT, "YX", "single plane"),
        (stack(5), None, "YX", "no optics"),
        (Image(np.zeros((9, 20, 20), np.uint16), "TYX", 65.0), GREEN, "YX", ""),
    ],
)
def test_a_stack_is_a_volume_where_all_that_it_needs_is_known(
    image: Image, optics: object, axes: str, word: str
) -> None:
    found, why = spatial_axes([image], [optics])
    assert found == axes
    assert (word in why) if word else why == ""


def test_one_thin_stack_makes_all_of_them_planes() -> None:
    assert spatial_axes([stack(9), stack(3)], [GREEN])[0] == "YX"


@pytest.mark.parametrize(
    ("optics", "wanted"), [(GREEN, True), (PSF(np.full((3, 3, 3), 1 / 27), 32.5, 300.0, "cube"), False)]
)
def test_frames_that_may_be_slices_are_never_guessed(optics: object, wanted: bool) -> None:
    movie = Image(np.zeros((9, 2, 20, 20), np.uint16), "TCYX", 65.0, name="stack")
    with pytest.raises(SuperlensError, match=r"stack says that its 9 planes are frames.*`axes` ZCYX.*`axes` TCYX"):
        refuse_frames_as_slices([movie], [optics], wanted=wanted)


def test_frames_are_frames_where_nothing_speaks_of_slices() -> None:
    refuse_frames_as_slices([Image(np.zeros((9, 20, 20), np.uint16), "TYX", 65.0)], [GREEN, FLAT, None], wanted=False)
    refuse_frames_as_slices([stack(9)], [GREEN], wanted=True)


# -- neighbouring frames


def recipe(image: Image) -> tuple[Prepared, TwoStageRecipe]:
    config = ZSDeconvConfig.of(pairs="temporal", offset=100.0, gain=2.0, read_noise_e=1.0, patch=32, batch=2)
    prepared = prepare([image], FLAT, config)
    return prepared, recipe_of(prepared, tiny.start().network)


def test_neighbours_are_frames_of_one_height_in_both_directions() -> None:
    (observation,) = observe([Image(counts((3, 2, 20, 20)), "TZYX", 65.0, 300.0)], offset=100.0, gain=2.0)
    assert sorted(neighbours(observation)) == [(0, 2), (1, 3), (2, 0), (2, 4), (3, 1), (3, 5), (4, 2), (5, 3)]


def test_the_target_is_a_recorded_frame_without_what_the_optics_do_not_pass() -> None:
    image = Image(counts((2, 32, 32)), "TYX", 65.0)
    prepared, found = recipe(image)
    _, (goal,) = found.draw(0)
    band, ones = prepared.band, np.ones((32, 32), np.float32)
    assert band is not None
    recorded = prepared.observations[0].in_focus
    targets = [band.limited(Pair(ones, frame, ones, ones, (0.0, 1.0))).target for frame in recorded]
    frames = prepared.normaliser.forward(np.stack(targets))
    turns = [np.rot90(frame[::m], q) for frame in frames for q in range(4) for m in (1, -1)]
    margin = (goal.shape[1] - 32) // 2
    inner = goal[0, margin : margin + 32, margin : margin + 32, 0]
    assert min(np.abs(inner - turned).max() for turned in turns) < 1e-4


def test_what_moves_is_refused_with_the_number_and_the_next_step() -> None:
    with pytest.raises(SuperlensError, match=r"changes between frames: .* times the variance of the noise .* `pairs`"):
        recipe(Image(counts((4, 64, 64), drift=3), "TYX", 65.0))


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_an_image_without_frames_is_refused_and_axes_are_named(axes: str) -> None:
    data = counts((6, 32, 32))
    image = Image(data[0] if axes == "YX" else data, axes, 65.0, 300.0)
    with pytest.raises(SuperlensError, match=f"axes {axes} and no two frames.*`axes`"):
        recipe(image)


def test_temporal_pairs_are_for_the_light_network_of_planes() -> None:
    with pytest.raises(SuperlensError, match="pairs is temporal and network unet"):
        ZSDeconvConfig.of("paper", pairs="temporal")
