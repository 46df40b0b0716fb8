"""Every door decides alike: one table of inputs through Python, the shell and Fiji's bridge gives equal choices, pixels and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import Result

import superlens as sl
from superlens.bridge.dispatch import dispatch
from superlens.bridge.protocol import InputSpec, Request
from superlens.io import read, write

Shell = Callable[..., Result]
Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.usefixtures("slim", "untraced")

SAID = {"na": 1.3, "steps": 0, "seed": 1}
WAVES = (525.0, 610.0)


@dataclass(frozen=True)
class Case:
    """An image, and what is to be decided about it."""

    name: str
    axes: str
    shape: tuple[int, ...]
    z_step_nm: float | None = None
    taken: str = "YX"

    @property
    def image(self) -> sl.Image:
        rng = np.random.default_rng(3)
        light = 40 * (1 + np.sin(np.arange(self.shape[-1]) / 3)) * np.ones(self.shape)
        counts = (100 + 2 * rng.poisson(light)).astype(np.uint16)
        return sl.Image(counts, self.axes, 65.0, self.z_step_nm, name=self.name)


CASES = [
    Case("image", "YX", (32, 40)),
    Case("movie", "TYX", (3, 32, 32)),
    Case("channels", "CYX", (2, 32, 32)),
    Case("thin", "ZYX", (3, 32, 32), 300.0),
    Case("stack", "ZYX", (6, 32, 32), 300.0, "ZYX"),
    Case("no-step", "ZYX", (6, 32, 32)),
]


def waves(image: sl.Image) -> tuple[float, ...]:
    return WAVES[: image.sizes.get("C", 1)]


def in_python(image: sl.Image, **changes: Any) -> sl.Result:
    lenses = [sl.Objective(na=1.3, wavelength_nm=wave) for wave in waves(image)]
    config = sl.ZSDeconvConfig.of("fast", steps=0, seed=1, flips=1, **changes)
    return sl.enhance(image, lenses if len(lenses) > 1 else lenses[0], config=config)


def in_shell(superlens: Shell, path: Path, out: Path, *more: object) -> Result:
    told = [part for wave in waves(read(path)) for part in ("--wavelength-nm", wave)] if path.stem != "colour" else []
    told = told or ["--wavelength-nm", 525.0]
    return superlens(
        "enhance", path, "--na", 1.3, *told, "--steps", 0, "--seed", 1, "--set", "flips=1", *more, "--out", out
    )


def in_bridge(image: sl.Image, **more: Any) -> tuple[Any, dict[str, Array]]:
    data = np.ascontiguousarray(image.data)
    spec = InputSpec(
        axes=image.axes,
        shape=data.shape,
        dtype=str(data.dtype),
        name=f"{image.name}.tif",
        pixel_nm=65.0,
        z_step_nm=image.z_step_nm,
    )
    said = {**SAID, "wavelength_nm": list(waves(image)), "settings": "flips=1", **more}
    plan = dispatch(Request(verb="plan", of="enhance", parameters=said, inputs=(spec,)).to_json())
    if not plan.ok:
        return plan, {}
    room = [np.zeros(output.bytes, np.uint8) for output in plan.outputs]
    asked = Request(verb="enhance", parameters=said, inputs=(spec,), outputs=plan.outputs)
    answer = dispatch(asked.to_json(), [data.reshape(-1).view(np.uint8)], room)
    return answer, {
        output.role: np.asarray(block.view(output.dtype).reshape(output.shape))
        for output, block in zip(plan.outputs, room, strict=True)
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_image_is_taken_alike_at_every_door(case: Case, superlens: Shell, tmp_path: Path) -> None:
    image = case.image
    path = write(tmp_path / f"{case.name}.tif", image)
    result = in_python(image)
    assert {channel.parameters["axes"] for channel in result.channels} == {case.taken}

    done = in_shell(superlens, path, tmp_path / "out")
    assert done.exit_code == 0, done.output
    (told,) = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))["results"]
    assert {channel["parameters"]["axes"] for channel in told["channels"]} == {case.taken}
    assert [channel["messages"] for channel in told["channels"]] == [list(one.messages) for one in result.channels]

    answer, images = in_bridge(image)
    assert answer.ok, answer.error
    assert set(images) == set(result.roles)
    for role in result.roles:
        np.testing.assert_array_equal(images[role], result[role].data)
        np.testing.assert_array_equal(read(tmp_path / "out" / told["files"][role]).data, result[role].data)


def test_frames_that_may_be_slices_are_refused_alike(superlens: Shell, tmp_path: Path) -> None:
    image = Case("frames", "TYX", (6, 32, 32)).image
    path = write(tmp_path / "frames.tif", image)
    with pytest.raises(sl.SuperlensError, match="says that its 6 planes are frames"):
        in_python(image, axes="ZYX")
    refused = in_shell(superlens, path, tmp_path / "out", "--volume")
    assert refused.exit_code == 2 and "says that its 6 planes are frames" in refused.stderr
    answer, _ = in_bridge(image, volume=True)
    assert not answer.ok and "says that its 6 planes are frames" in answer.error.message


def test_colours_are_refused_alike(superlens: Shell, tmp_path: Path) -> None:
    path = tmp_path / "colour.tif"
    tifffile.imwrite(path, np.zeros((32, 32, 3), np.uint8), photometric="rgb")
    with pytest.raises(sl.SuperlensError, match="colo") as refusal:
        read(path)
    refused = in_shell(superlens, path, tmp_path / "out")
    assert refused.exit_code == 2 and "colo" in refused.stderr
    said = {**SAID, "wavelength_nm": [525.0], "input": str(path), "output": str(tmp_path / "out")}
    answer = dispatch(Request(verb="enhance", parameters=said).to_json())
    assert not answer.ok and "colo" in answer.error.message
    assert str(refusal.value).split(".")[0] in refused.stderr
    assert not (tmp_path / "out").exists()
