"""The files of the protocol are what this side reads and writes; blocks of memory are viewed, never trusted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superlens.bridge.listening import SILENT, Run, Telling
from superlens.bridge.menu import command_of
from superlens.bridge.protocol import (
    InputSpec,
    OutputSpec,
    Request,
    Response,
    VersionMismatch,
    fill_block,
    read_block,
)
from superlens.bridge.session import CallSession
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.progress import Watching
from superlens.runs.verbs import VERBS

PROTOCOL = Path(__file__).resolve().parents[1] / "protocol"
REQUESTS = sorted(PROTOCOL.glob("*.request.json"))
RESPONSES = sorted([*PROTOCOL.glob("*.response.json"), *PROTOCOL.glob("errors/*.response.json")])


def named(path: Path) -> str:
    return path.name.removesuffix(".json")


@pytest.mark.parametrize("path", REQUESTS, ids=named)
def test_a_request_of_the_files_is_read_and_its_parameters_are_known(path: Path) -> None:
    asked = Request.from_json(path.read_text(encoding="utf-8"))
    verb = VERBS.get(asked.of or asked.verb)
    if verb is not None:
        assert set(asked.parameters) <= {field.key for field in command_of(verb).fields}
        assert command_of(verb).arguments(asked.parameters).keys() >= {"inputs"} or verb.inputs == "none"
    else:
        assert asked.verb in ("ping", "finish", "cancel")


@pytest.mark.parametrize("path", REQUESTS, ids=named)
def test_a_request_survives_being_written_and_read(path: Path) -> None:
    asked = Request.from_json(path.read_text(encoding="utf-8"))
    assert Request.from_json(asked.to_json()) == asked


@pytest.mark.parametrize("path", RESPONSES, ids=named)
def test_an_answer_of_the_files_is_written_field_by_field_as_it_stands_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert json.loads(Response.from_json(text).to_json()) == json.loads(text)


@pytest.mark.parametrize("path", RESPONSES, ids=named)
def test_an_answer_of_the_files_belongs_to_a_request(path: Path) -> None:
    if path.parent.name != "errors":
        assert path.with_name(path.name.replace("response", "request")).is_file()


@pytest.mark.parametrize("path", RESPONSES, ids=named)
def test_sizes_in_the_files_are_those_of_shape_and_type(path: Path) -> None:
    for spec in Response.from_json(path.read_text(encoding="utf-8")).outputs:
        assert spec.bytes == int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize


def test_the_events_of_the_files_are_what_a_listener_is_told() -> None:
    events = json.loads((PROTOCOL / "progress.json").read_text(encoding="utf-8"))
    heard: list[dict[str, Any]] = []

    class Listener:
        def update(self, message: str, current: int, maximum: int, info: Any) -> None:
            heard.append({"message": message, "current": current, "maximum": maximum, "info": dict(info)})

        def cancelled(self) -> bool:
            return False

    telling = Telling(Listener(), Run(), preview=True, seconds_between=0.0)
    telling.loading("loading")
    telling.runs_on("CPU, 8 threads, AMD EPYC")
    for event in events[1:]:
        if "preview" in event["info"]:
            telling.glimpse(lambda: np.array([[0.1, 0.1], [0.7, 0.7]], np.float32))
        else:
            telling(event["current"], event["maximum"], event["message"])
    for said, told in zip(heard, events, strict=True):
        assert said.keys() == told.keys()
        assert said["info"]["stage"] == told["info"]["stage"]
        for name in ("loss", "preview"):
            assert said["info"].get(name) == told["info"].get(name)
        assert said["info"].get("device") == told["info"].get("device")


def test_nothing_is_predicted_for_a_listener_that_does_not_look() -> None:
    telling = Telling(SILENT, Run())
    telling.glimpse(lambda: pytest.fail("looked"))
    telling.first(lambda: pytest.fail("looked"))


def test_the_first_answer_is_shown_as_soon_as_it_is_there_of_a_volume_its_middle_slice() -> None:
    seen: list[Any] = []

    class Listener:
        def update(self, message: str, current: int, maximum: int, info: Any) -> None:
            seen.append(info)

        def cancelled(self) -> bool:
            return False

    volume = np.zeros((3, 4, 5), np.float32)
    volume[1, 2, 3] = 1
    Telling(Listener(), Run(), preview=True).first(lambda: Image(volume, "ZYX"))
    (info,) = seen
    grey = np.frombuffer(base64.b64decode(info["preview"]["grey"]), np.uint8).reshape(4, 5)
    assert info["stage"] == "predicting"
    assert np.argwhere(grey).tolist() == [[2, 3]]


def test_previews_are_small_few_and_of_any_values() -> None:
    seen: list[Any] = []

    class Listener:
        def update(self, message: str, current: int, maximum: int, info: Any) -> None:
            seen.append(info["preview"])

        def cancelled(self) -> bool:
            return False

    telling = Telling(Listener(), Run(), preview=True)
    picture = np.full((500, 300), np.nan, np.float32)
    picture[::2] = 3
    for _ in range(5):
        telling.glimpse(lambda: picture)
    (preview,) = seen
    assert max(preview["width"], preview["height"]) <= 160
    assert len(base64.b64decode(preview["grey"])) == preview["width"] * preview["height"]


def test_the_default_listener_hears_nothing_and_never_stops() -> None:
    SILENT.update("training", 1, 2, {})
    assert not SILENT.cancelled()


# -- versions and damage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "side"), [(2, "update superlens in the Python"), (0, "update the superlens plugin")]
)
def test_another_schema_is_refused_in_words_that_say_which_side_to_update(schema: int, side: str) -> None:
    with pytest.raises(VersionMismatch, match=side):
        Request.from_json(json.dumps({"schema": schema, "verb": "ping"}))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"verb": "ping"}', '{"schema": 1}', '{"schema": 1, "verb": 7}'])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(SuperlensError):
        Request.from_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=6,
    )
)
def test_any_json_is_read_or_refused_and_nothing_else(value: Any) -> None:
    with pytest.raises(SuperlensError):
        Request.from_json(json.dumps(value))


def test_a_field_that_is_not_known_yet_is_passed_over() -> None:
    assert Request.from_json('{"schema": 1, "verb": "ping", "mood": "good", "client": {"colour": 3}}').verb == "ping"


def test_numbers_that_json_does_not_have_become_null() -> None:
    text = Response(info={"a": float("nan"), "b": [np.float32(np.inf), np.int64(3)], "c": Path("x")}).to_json()
    assert json.loads(text)["info"] == {"a": None, "b": [None, 3], "c": "x"}


# -- blocks -------------------------------------------------------------------------------------------------------------


def test_a_block_is_viewed_and_not_copied() -> None:
    block = np.zeros(24, np.uint8)
    seen = read_block(InputSpec(axes="YX", shape=(3, 4), dtype="uint16"), block)
    block[2:4] = 255
    assert seen.shape == (3, 4) and seen[0, 1] == 65535
    with pytest.raises(ValueError, match="read-only"):
        seen[0, 0] = 1


def test_a_block_that_is_too_small_is_refused() -> None:
    with pytest.raises(SuperlensError, match="24 bytes, and its block holds 23"):
        read_block(InputSpec(axes="YX", shape=(3, 4), dtype="uint16"), np.zeros(23, np.uint8))


def test_a_block_may_be_larger_than_its_image() -> None:
    assert read_block(InputSpec(shape=(3, 4), dtype="uint8"), np.zeros(4096, np.uint8)).shape == (3, 4)


@pytest.mark.parametrize("shape", [(), (0, 4), (3, -1)])
def test_an_image_without_pixels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SuperlensError, match="at least one pixel"):
        read_block(InputSpec(shape=shape, dtype="uint8"), np.zeros(64, np.uint8))


def test_a_result_of_another_shape_than_announced_is_refused_and_the_block_stays() -> None:
    block = np.zeros(64, np.uint8)
    with pytest.raises(SuperlensError, match="call plan again"):
        fill_block(OutputSpec(role="psf", shape=(2, 4)), block, np.ones((4, 2), np.float32))
    assert not block.any()


def test_a_training_is_offered_a_watching_listener() -> None:
    """What a run hears its progress by takes looks as well, or no dialog would show one."""
    session = CallSession(Request(verb="enhance"), Telling(SILENT, Run(), preview=True))
    assert isinstance(session.progress, Watching)
