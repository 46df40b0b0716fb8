"""Raw frames of several channels: each has a pattern and a wavelength of its own, and is what it is alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import superlens as sl
from superlens.bridge.dispatch import dispatch
from superlens.bridge.protocol import InputSpec, Request
from superlens.cli import main
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.methods.zsdeconv_sim.state import SimState
from superlens.optics.detection import Detection
from superlens.optics.patterns import Pattern
from superlens.reconstruct.sim import SimChannels
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, ideal_pattern, simulate_sim

WAVES = (525.0, 610.0)
LENSES = [sl.Objective(na=1.4, wavelength_nm=nm) for nm in WAVES]
SIDE = 80


def channel(number: int, modulation: float = 0.8) -> np.ndarray:
    """Raw frames of a channel, shape (9, Y, X)."""
    rng = np.random.default_rng(number)
    detection = Detection.of(LENSES[number], 65.0)
    light = ideal_pattern(ARRANGEMENTS["two-beam"], 0.85 * detection.cutoff, modulation, rng)
    specimen = filaments((2 * SIDE + 64,) * 2, rng)
    return simulate_sim(
        specimen, light, detection, photons=200, pixel_nm=65.0, rng=rng, margin=16
    ).frames.data  # fmt: skip


@pytest.fixture(scope="module")
def cell() -> sl.Image:
    data = np.stack([channel(0), channel(1)], axis=1).astype(np.uint16)
    return sl.Image(data, "TCYX", 65.0, channel_names=("actin", "tubulin"), emission_nm=WAVES, name="cell")


@pytest.fixture(scope="module")
def with_dic(cell: sl.Image) -> sl.Image:
    """Three channels, the one in the middle without a pattern."""
    plain = np.random.default_rng(5).poisson(500, (9, 1, SIDE, SIDE)).astype(np.uint16)
    data = np.concatenate([cell.data[:, :1], plain, cell.data[:, 1:]], axis=1)
    return sl.Image(data, "TCYX", 65.0, channel_names=("actin", "DIC", "tubulin"), name="cell")


@pytest.fixture(scope="module")
def both(cell: sl.Image) -> SimChannels:
    return sl.reconstruct_sim(cell, LENSES)


def test_each_channel_is_what_it_is_alone(cell: sl.Image, both: SimChannels) -> None:
    assert (both.image.axes, both.image.pixel_nm) == ("CYX", 32.5)
    assert (both.image.channel_names, both.image.emission_nm) == (cell.channel_names, WAVES)
    for at, lens in enumerate(LENSES):
        alone = sl.reconstruct_sim(cell.select(c=at), lens)
        np.testing.assert_array_equal(both.image.data[at], alone.image.data)
        np.testing.assert_array_equal(both.widefield.data[at], alone.widefield.data)
    assert both.report.count("<iframe") == 2
    assert both.verdict.summary in both.report.replace("&#39;", "'")


def test_a_channel_without_a_pattern_refuses_the_whole_by_name(with_dic: sl.Image) -> None:
    lenses = [LENSES[0], LENSES[0], LENSES[1]]
    with pytest.raises(sl.SuperlensError, match=r"channel 1 \(DIC\) is refused.*`channels`: 0 and 2"):
        sl.reconstruct_sim(with_dic, lenses)
    made = sl.reconstruct_sim(with_dic, LENSES, channels=(0, 2))
    assert made.image.channel_names == ("actin", "tubulin")
    assert [line.split(":")[0] for line in made.lines()][:1] == ["channel 0 (actin)"]


@pytest.mark.parametrize(
    ("lenses", "more", "words"),
    [
        (LENSES[0], {}, "a list of objectives"),
        (LENSES[:1], {}, "1 objectives are given for 2 channels"),
        (LENSES, {"channels": (0, 3)}, "expected 0 to 1"),
    ],
)
def test_channels_that_are_not_clear_are_refused(cell: sl.Image, lenses: object, more: dict, words: str) -> None:
    with pytest.raises(sl.SuperlensError, match=words):
        sl.reconstruct_sim(cell, lenses, **more)


def test_frames_that_a_file_calls_channels_are_pointed_out(cell: sl.Image) -> None:
    with pytest.raises(sl.SuperlensError, match="9 channels of one plane each.*`axes`"):
        sl.reconstruct_sim(sl.Image(cell.data[:, 0], "CYX", 65.0), LENSES[0])


def run(*words: object) -> object:
    return CliRunner().invoke(main, ["sim", *map(str, words)])


def test_the_command_takes_wavelengths_from_the_file_and_gives_the_pattern_of_each_channel_on(
    cell: sl.Image, tmp_path: Path
) -> None:
    raw, out = sl.write(tmp_path / "cell.ome.tif", cell), tmp_path / "out"
    done = run(raw, "--na", 1.4, "--out", out)
    assert done.exit_code == 0, done.output
    assert sl.read(out / "cell_sim.tif").axes == "CYX"
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))["results"][0]["channels"]
    assert [(one["channel"], one["optics"]["wavelength_nm"]) for one in told] == list(enumerate(WAVES))
    found = Pattern.read_channels(out / "run.json")
    again = run(raw, "--na", 1.4, "--like", out / "run.json", "--channel", 1, "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    (alone,) = Pattern.read(tmp_path / "again" / "run.json")
    np.testing.assert_array_equal(alone.frequencies, found[1].frequencies)
    one = run(raw, "--na", 1.4, "--like", tmp_path / "again" / "run.json", "--out", tmp_path / "third")
    assert one.exit_code == 2
    assert "holds one pattern" in one.output


def test_learning_takes_the_pattern_of_each_channel_from_another_run(
    cell: sl.Image, both: SimChannels, tmp_path: Path
) -> None:
    several, single = tmp_path / "both.json", tmp_path / "one.json"
    several.write_text(json.dumps(both.described()), encoding="utf-8")
    single.write_text(json.dumps({"pattern": both.channels[1].pattern.described()}), encoding="utf-8")
    made = sl.enhance(cell, LENSES, sim=True, config=ZSDeconvSimConfig.of("instant", like=str(several), flips=1))
    for own, (number, pattern) in zip(made.channels, Pattern.read_channels(several).items(), strict=True):
        state = SimState.of(own.model)
        assert state.config.like_channel == number
        np.testing.assert_array_equal(state.optics.spectrum.pattern.frequencies, pattern.frequencies)
    with pytest.raises(sl.SuperlensError, match="one pattern, and channel 0 has none"):
        sl.enhance(cell, LENSES, sim=True, config=ZSDeconvSimConfig.of("instant", like=str(single)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--wavelength-nm", 525, "--wavelength-nm", 525, "--wavelength-nm", 610),
            ("channel 1 (DIC)", "--channel: 0 and 2"),
        ),
        (("--wavelength-nm", 525), ("3 channels", "channel 1 has none", "--wavelength-nm for each", "--channel")),
        (("--channel", 2), ("--wavelength-nm is missing",)),
    ],
)
def test_the_command_refuses_before_it_writes(
    with_dic: sl.Image, tmp_path: Path, options: tuple[object, ...], words: tuple[str, ...]
) -> None:
    raw, out = sl.write(tmp_path / "cell.ome.tif", with_dic), tmp_path / "out"
    refused = run(raw, "--na", 1.4, *options, "--out", out)
    assert refused.exit_code == 2, refused.output
    for word in words:
        assert word in refused.output
    assert "--psf" not in refused.output
    assert not out.exists()


def planned(image: sl.Image, said: dict) -> tuple:
    spec = InputSpec(axes=image.axes, shape=image.data.shape, dtype="uint16", name="cell.tif", pixel_nm=65.0)
    answer = dispatch(Request(verb="plan", of="sim", parameters=said, inputs=(spec,)).to_json())
    return spec, answer


def test_fiji_gets_every_channel(cell: sl.Image, both: SimChannels) -> None:
    said = {"na": 1.4, "wavelength_nm": "525 610"}
    spec, plan = planned(cell, said)
    assert plan.ok, plan.error
    rooms = [np.zeros(one.bytes, np.uint8) for one in plan.outputs]
    request = Request(verb="sim", parameters=said, inputs=(spec,), outputs=plan.outputs)
    answer = dispatch(request.to_json(), [cell.data.reshape(-1).view(np.uint8)], rooms)
    assert answer.ok, answer.error
    expected = both.image.data
    got = rooms[0].view(np.float32).reshape(expected.shape)
    np.testing.assert_allclose(got, expected, atol=1e-3 * expected.std())


def test_a_plan_knows_the_sets_or_asks(cell: sl.Image) -> None:
    said = {"na": 1.4, "wavelength_nm": "525 610"}
    _, plan = planned(replace(cell, data=np.concatenate([cell.data] * 2)), said)
    assert [tuple(one.shape) for one in plan.outputs] == [(2, 2, 160, 160), (2, 2, 80, 80)]
    many = replace(cell, data=np.broadcast_to(cell.data[:1], (45, *cell.data.shape[1:])))
    _, plan = planned(many, said)
    assert not plan.ok
    assert "3 or 5 or 9 sets" in plan.error.message
    _, plan = planned(many, {**said, "angles": 3, "phases": 3})
    assert tuple(plan.outputs[0].shape) == (5, 2, 160, 160)
