"""What the tests of the bridge share: a caller that makes small images, asks for a plan, makes room and calls, as Fiji does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from superlens.bridge.dispatch import dispatch
from superlens.bridge.listening import SILENT, Listener
from superlens.bridge.protocol import InputSpec, OutputSpec, Request, Response

Array = NDArray[Any]
Door = Callable[[str, Sequence[Array], Sequence[Array], Listener], Response]


class Caller:
    """Fiji's part of a conversation; `door` is dispatch, or anything that leads to it."""

    optics: Mapping[str, Any] = {"na": 1.3, "wavelength_nm": 525}
    quick: Mapping[str, Any] = {"steps": 2, "seed": 1, "settings": "batch=1 patch=32 flips=1"}

    def noisy(self, shape: tuple[int, ...] = (40, 48), *, seed: int = 0, dtype: str = "uint16") -> Array:
        """A few blurred points under shot noise, about 100 to 250 counts."""
        from scipy import ndimage

        rng = np.random.default_rng(seed)
        points = (rng.random(shape) < 0.01) * 2000.0
        blurred = ndimage.gaussian_filter(points, (*(0,) * (len(shape) - 2), 1.7, 1.7))
        return np.asarray((100 + rng.poisson(blurred + 5)).astype(dtype))

    def described(self, data: Array, axes: str = "YX", **more: Any) -> InputSpec:
        about = {"name": "cell.tif", "pixel_nm": 65.0, **more}
        return InputSpec(axes=axes, shape=data.shape, dtype=str(data.dtype), **about)

    def ask(self, verb: str, **more: Any) -> Response:
        """Do a call without pixels, over JSON as Fiji does."""
        return dispatch(Request(verb=verb, **more).to_json())

    def call(
        self,
        verb: str,
        parameters: Mapping[str, Any],
        images: Sequence[tuple[InputSpec, Array]] = (),
        *,
        roles: Sequence[str] | None = None,
        listener: Listener = SILENT,
        run: str | None = None,
        door: Door = dispatch,
    ) -> tuple[Response, dict[str, Array]]:
        """Plan, make room for the roles (all by default), call, and give the answer and the images by role."""
        specs = tuple(spec for spec, _ in images)
        blocks = [data.reshape(-1).view(np.uint8) for _, data in images]
        plan = self.ask("plan", of=verb, parameters=dict(parameters), inputs=specs)
        assert plan.ok, plan.error
        wanted = tuple(spec for spec in plan.outputs if roles is None or spec.role in roles)
        room = [np.full(spec.bytes, 0xAB, np.uint8) for spec in wanted]
        asked = Request(verb=verb, run=run, parameters=dict(parameters), inputs=specs, outputs=wanted)
        answer = door(asked.to_json(), blocks, room, listener)
        return answer, {
            spec.role: self.seen(spec, room[spec.block]) for spec in answer.outputs if spec.block is not None
        }

    @staticmethod
    def seen(spec: OutputSpec, block: Array) -> Array:
        return np.asarray(block[: spec.bytes].view(spec.dtype).reshape(spec.shape))


@pytest.fixture(scope="session")
def caller() -> Caller:
    return Caller()
