"""Raw frames of structured illumination through the Fiji side: what is announced is what comes."""

from __future__ import annotations

import numpy as np

import superlens as sl
from superlens.bridge.dispatch import dispatch
from superlens.bridge.protocol import InputSpec, Request
from superlens.optics.detection import Detection
from superlens.simulate import filaments
from superlens.simulate.structured import ARRANGEMENTS, ideal_pattern, simulate_sim

OBJECTIVE = sl.Objective(na=1.4, wavelength_nm=525)


def test_raw_frames_come_back_as_the_python_function_gives_them() -> None:
    rng = np.random.default_rng(0)
    detection = Detection.of(OBJECTIVE, 65)
    pattern = ideal_pattern(ARRANGEMENTS["two-beam"], 0.3, 0.7, rng)
    made = simulate_sim(filaments((192, 192), rng), pattern, detection, photons=100, pixel_nm=65.0, rng=rng)
    data = made.frames.data.astype(np.uint16)
    spec = InputSpec(axes="ZYX", shape=data.shape, dtype="uint16", name="raw.tif", pixel_nm=65.0, z_step_nm=100.0)
    said = {"na": 1.4, "wavelength_nm": 525.0}
    plan = dispatch(Request(verb="plan", of="sim", parameters=said, inputs=(spec,)).to_json())
    assert plan.ok, plan.error
    assert [(one.role, tuple(one.shape)) for one in plan.outputs] == [("sim", (192, 192)), ("widefield", (96, 96))]
    rooms = [np.zeros(one.bytes, np.uint8) for one in plan.outputs]
    answer = dispatch(
        Request(verb="sim", parameters=said, inputs=(spec,), outputs=plan.outputs).to_json(),
        [data.reshape(-1).view(np.uint8)],
        rooms,
    )
    assert answer.ok, answer.error
    expected = sl.reconstruct_sim(sl.Image(data, "ZYX", 65.0, z_step_nm=100.0), OBJECTIVE).image.data
    np.testing.assert_allclose(rooms[0].view(np.float32).reshape(192, 192), expected, atol=1e-3 * expected.std())
