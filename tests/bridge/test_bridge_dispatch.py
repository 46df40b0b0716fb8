"""`dispatch` gives the pixels that Python and the command line give, and says every failure in a record."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from listeners import verb_of
from superlens.bridge import dispatch as door
from superlens.bridge.dispatch import dispatch, for_fiji
from superlens.bridge.listening import Abandoned
from superlens.bridge.menu import command_of
from superlens.bridge.protocol import LARGEST_BLOCK, InputSpec, Request
from superlens.enhancing import enhance, predict
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import read, write
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import ChannelModels, Model, load_model
from superlens.optics import PSF, Objective
from superlens.progress import Cancelled
from superlens.runs.verb import Outcome
from superlens.runs.verb import Request as Asking
from superlens.runs.verbs import VERBS

pytestmark = pytest.mark.usefixtures("slim")

Caller = Any


def in_python(caller: Caller, image: Image, **changes: Any) -> Any:
    config = ZSDeconvConfig.of(steps=2, seed=1, batch=1, patch=32, flips=1, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        return enhance(image, Objective(**caller.optics), config=config)


# -- the same pixels ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_enhance_gives_the_pixels_that_python_gives(caller: Caller) -> None:
    data = caller.noisy()
    answer, images = caller.call("enhance", {**caller.optics, **caller.quick}, [(caller.described(data), data)])
    assert answer.ok, answer.error
    result = in_python(caller, Image(data, pixel_nm=65.0))
    np.testing.assert_array_equal(images["sharp"], result.image.data)
    np.testing.assert_array_equal(images["denoised"], result.denoised.data)
    np.testing.assert_array_equal(images["uncertainty"], result.uncertainty.data)
    sharp = answer.outputs[0]
    assert (sharp.role, sharp.pixel_nm, sharp.scale, sharp.show) == ("sharp", 32.5, 2, True)
    *messages, verdict = answer.messages
    assert tuple(messages) == tuple(for_fiji(result.messages, command_of(VERBS["enhance"])))
    assert result.verdicts()[""].headline in verdict


@pytest.mark.slow
def test_enhance_by_files_gives_the_files_of_the_command_line(
    caller: Caller, superlens: Callable[..., Result], tmp_path: Path
) -> None:
    cell = write(tmp_path / "cell.tif", Image(caller.noisy(), pixel_nm=65.0))
    told = ("--steps", 2, "--seed", 1, "--set", "batch=1", "--set", "patch=32", "--set", "flips=1")
    done = superlens("enhance", cell, "--na", 1.3, "--wavelength-nm", 525, *told, "--out", tmp_path / "shell")
    assert done.exit_code == 0, done.output
    out = tmp_path / "fiji"
    parameters = {**caller.optics, **caller.quick, "input": str(cell), "output": str(out)}
    answer = caller.ask("enhance", parameters=parameters)
    assert answer.ok, answer.error
    names = {path.name for path in (tmp_path / "shell").iterdir()}
    assert {Path(file).name for file in answer.files} == names
    for name in ("cell_sr.tif", "cell_denoised.tif", "cell_uncertainty.tif"):
        np.testing.assert_array_equal(read(out / name).data, read(tmp_path / "shell" / name).data)
    assert [spec.path for spec in answer.outputs] == [
        str(out / f"cell_{end}.tif") for end in ("sr", "denoised", "uncertainty")
    ]
    told_here, told_there = (json.loads((folder / "run.json").read_text()) for folder in (out, tmp_path / "shell"))
    assert told_here["results"][0]["sha256"] == told_there["results"][0]["sha256"]
    assert told_here["command"][:2] == ["enhance", "na=1.3"]


@pytest.mark.slow
def test_pixels_in_a_block_can_go_into_files_and_back_into_blocks_at_once(caller: Caller, tmp_path: Path) -> None:
    data = caller.noisy()
    saved = {
        "output": str(tmp_path / "out"),
        "save_model": str(tmp_path / "m.zip"),
        "save_report": str(tmp_path / "r.html"),
    }
    parameters = {**caller.optics, **caller.quick, **saved}
    spec = caller.described(data, name="my cell/1.tif")
    answer, images = caller.call("enhance", parameters, [(spec, data)], roles=["sharp"])
    assert answer.ok, answer.error
    np.testing.assert_array_equal(read(tmp_path / "out" / "1_sr.tif").data, images["sharp"])
    assert Model.load(tmp_path / "m.zip").config.state["pixel_nm"] == 65.0
    assert "<html" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert set(answer.files) >= {
        str(tmp_path / "m.zip"),
        str(tmp_path / "r.html"),
        str(tmp_path / "out" / "report.html"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_predict_keeps_axes_and_sampling_of_a_hyperstack(caller: Caller, small_model: Path, dtype: str) -> None:
    data = caller.noisy((2, 2, 33, 47), dtype="float32").clip(0, 250).astype(dtype)
    about = {"z_step_nm": 300.0, "channel_names": ("actin", "dna")}
    spec = caller.described(data, "CZYX", **about)
    answer, images = caller.call("predict", {"model": str(small_model)}, [(spec, data)])
    assert answer.ok, answer.error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        expected = predict(Model.load(small_model), Image(data, "CZYX", 65.0, 300.0))
    np.testing.assert_array_equal(images["sharp"], expected.image.data)
    sharp = answer.outputs[0]
    assert (sharp.axes, sharp.shape, sharp.z_step_nm) == ("CZYX", (2, 2, 66, 94), 300.0)
    assert sharp.channel_names == ("actin", "dna")


@pytest.mark.slow
def test_enhance_learns_each_channel_with_its_wavelength_as_python_does(caller: Caller, tmp_path: Path) -> None:
    data = caller.noisy((2, 40, 48))
    spec = caller.described(data, "CYX", channel_names=("actin", "dna"))
    saved = str(tmp_path / "m.zip")
    parameters = {"na": 1.3, "wavelength_nm": "525 610", **caller.quick, "save_model": saved}
    answer, images = caller.call("enhance", parameters, [(spec, data)])
    assert answer.ok, answer.error
    config = ZSDeconvConfig.of(steps=2, seed=1, batch=1, patch=32, flips=1)
    lenses = [Objective(na=1.3, wavelength_nm=wave) for wave in (525, 610)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        image = Image(data, "CYX", 65.0, channel_names=("actin", "dna"))
        result = enhance(image, lenses, channels=(0, 1), config=config)
    assert result.image is not None
    np.testing.assert_array_equal(images["sharp"], result.image.data)
    sharp = answer.outputs[0]
    assert (sharp.axes, sharp.shape, sharp.channel_names) == ("CYX", (2, 80, 96), ("actin", "dna"))
    models = load_model(saved)
    assert isinstance(models, ChannelModels) and models.channels == (0, 1)


@pytest.mark.parametrize("wavelengths", [{}, {"wavelength_nm": 525}, {"wavelength_nm": "525 610 700"}])
def test_a_channel_without_a_wavelength_is_refused_before_anything_is_learned(
    caller: Caller, wavelengths: Mapping[str, Any]
) -> None:
    spec = caller.described(caller.noisy((2, 40, 48)), "CYX")
    answer = caller.ask("plan", of="enhance", parameters={"na": 1.3, **wavelengths}, inputs=(spec,))
    assert answer.error is not None and answer.error.kind == "user"
    assert "has 2 channels" in answer.error.message and "channels" in answer.error.message.split(";")[1]
    assert "--" not in answer.error.message


@pytest.mark.slow
def test_predict_gives_each_channel_to_its_model_and_leaves_out_the_others(
    caller: Caller, small_model: Path, tmp_path: Path
) -> None:
    one = Model.load(small_model)
    models = ChannelModels((0, 2), (one, one))
    models.save(tmp_path / "two.zip")
    data = caller.noisy((3, 33, 47))
    names = ("actin", "dna", "tubulin")
    parameters = {"model": str(tmp_path / "two.zip"), "output": str(tmp_path / "out")}
    answer, images = caller.call("predict", parameters, [(caller.described(data, "CYX", channel_names=names), data)])
    assert answer.ok, answer.error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        expected = predict(models, Image(data, "CYX", 65.0))
    assert expected.image is not None
    np.testing.assert_array_equal(images["sharp"], expected.image.data)
    np.testing.assert_array_equal(read(tmp_path / "out" / "cell_sr.tif").data, images["sharp"])
    sharp = answer.outputs[0]
    assert (sharp.axes, sharp.shape, sharp.channels) == ("CYX", (2, 66, 94), (0, 2))
    assert sharp.channel_names == ("actin", "tubulin")


def test_a_model_for_several_channels_refuses_an_image_that_lacks_them(
    caller: Caller, small_model: Path, tmp_path: Path
) -> None:
    one = Model.load(small_model)
    ChannelModels((0, 2), (one, one)).save(tmp_path / "two.zip")
    data = caller.noisy()
    spec = caller.described(data)
    for verb in ({"verb": "plan", "of": "predict"}, {"verb": "predict"}):
        answer = dispatch(Request(**verb, parameters={"model": str(tmp_path / "two.zip")}, inputs=(spec,)), [data])
        assert answer.error is not None and answer.error.kind == "user"
        assert "has 1 channel and the model is for channels 0, 2" in answer.error.message


@pytest.mark.slow
def test_a_model_of_one_kind_says_that_it_is_applied_to_all_channels(caller: Caller, small_model: Path) -> None:
    data = caller.noisy((2, 33, 47))
    answer, _ = caller.call("predict", {"model": str(small_model)}, [(caller.described(data, "CYX"), data)])
    assert answer.ok and "2 channels" in answer.messages[0] and answer.outputs[0].channels == ()


@pytest.mark.slow
def test_a_model_is_loaded_once_until_its_file_changes(caller: Caller, small_model: Path, tmp_path: Path) -> None:
    from superlens.runs.images import load_once

    copy = tmp_path / "copy.zip"
    copy.write_bytes(small_model.read_bytes())
    data = caller.noisy()
    image = (caller.described(data), data)
    first = load_once.cache_info().misses
    for _ in range(2):
        assert caller.call("predict", {"model": str(copy)}, [image])[0].ok
    assert load_once.cache_info().misses == first + 1
    copy.write_bytes(b"something else")
    plan = caller.ask("plan", of="predict", parameters={"model": str(copy)}, inputs=(image[0],))
    assert plan.error is not None and "not a superlens model" in plan.error.message


def test_psf_gives_the_pixels_that_python_gives_and_tells_its_width(caller: Caller, tmp_path: Path) -> None:
    parameters = {**caller.optics, "pixel_nm": 65.0, "output": str(tmp_path / "psf.tif")}
    answer, images = caller.call("psf", parameters)
    made = Objective(**caller.optics).psf(65.0)
    np.testing.assert_array_equal(images["psf"], made.data.astype(np.float32))
    np.testing.assert_array_equal(read(tmp_path / "psf.tif").data, images["psf"])
    assert answer.table is not None and answer.table.rows[0][0] == pytest.approx(made.fwhm_nm)
    assert made.source in answer.text


def test_a_psf_is_measured_from_the_beads_of_an_open_image(caller: Caller) -> None:
    from scipy import ndimage

    beads = np.zeros((64, 64))
    beads[16, 16] = beads[16, 48] = beads[48, 16] = beads[48, 48] = 5000.0
    data = (100 + ndimage.gaussian_filter(beads, 1.6)).astype(np.float32)
    spec = caller.described(data)
    plan = dispatch(Request(verb="plan", of="psf", inputs=(spec,)), [data])
    assert plan.ok, plan.error
    room = [np.zeros(plan.outputs[0].bytes, np.uint8)]
    answer = dispatch(Request(verb="psf", inputs=(spec,), outputs=plan.outputs), [data], room)
    assert answer.ok, answer.error
    np.testing.assert_array_equal(
        caller.seen(plan.outputs[0], room[0]), PSF.from_beads(Image(data, pixel_nm=65.0)).data.astype(np.float32)
    )


def test_compare_gives_the_error_map_and_the_numbers_of_evaluate(caller: Caller, tmp_path: Path) -> None:
    from superlens.metrics import rsp_rse

    coarse = caller.noisy(dtype="float32")
    fine = np.kron(caller.noisy(seed=1, dtype="float32") + coarse, np.ones((2, 2), np.float32))
    result, reference = caller.described(fine, name="a-sr", pixel_nm=32.5), caller.described(coarse)
    answer, images = caller.call(
        "compare", {"output": str(tmp_path / "map.tif")}, [(result, fine), (reference, coarse)]
    )
    assert answer.ok, answer.error
    binned = fine.astype(float).reshape(40, 2, 48, 2).mean(axis=(1, 3))
    expected = rsp_rse(binned, coarse)
    np.testing.assert_array_equal(images["error-map"], expected.error_map.astype(np.float32))
    assert answer.table is not None
    row = dict(zip(answer.table.columns, answer.table.rows[0], strict=True))
    assert row["image"] == "a-sr" and row["rsp"] == pytest.approx(expected.rsp)
    assert answer.outputs[0].pixel_nm == 65.0
    assert (tmp_path / "map.tif").is_file()


def test_stripes_are_taken_off_as_by_python(caller: Caller, tmp_path: Path) -> None:
    from superlens.observing.correction import even_sensor, without_stripes

    rng = np.random.default_rng(0)
    data = (caller.noisy((3, 64, 64)) + rng.integers(0, 40, (1, 64, 1))).astype(np.uint16)
    dark = write(tmp_path / "dark.tif", Image(rng.integers(0, 5, (64, 64)).astype(np.uint16)))
    parameters = {"offset_map": str(dark), "remove_stripes": "x"}
    answer, images = caller.call("stripes", parameters, [(caller.described(data, "TYX"), data)])
    assert answer.ok, answer.error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        expected = without_stripes(even_sensor(Image(data, "TYX", 65.0), offset=read(dark)), "x")
    np.testing.assert_array_equal(images["corrected"], expected.data)
    assert any("stripes" in message for message in answer.messages)


# -- planning -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "roles"),
    [
        ({}, ["sharp", "denoised", "uncertainty"]),
        ({"from_scratch": True}, ["sharp", "denoised"]),
        ({"denoise_only": True}, ["denoised"]),
        ({"preset": "paper"}, ["sharp", "denoised"]),
    ],
)
def test_a_plan_names_what_will_be_made(caller: Caller, changes: Mapping[str, Any], roles: list[str]) -> None:
    spec = InputSpec(name="x.tif", axes="TYX", shape=(3, 32, 40), dtype="uint16", pixel_nm=65.0)
    plan = caller.ask("plan", of="enhance", parameters={**caller.optics, **changes}, inputs=(spec,))
    assert [output.role for output in plan.outputs] == roles
    assert sum(output.show for output in plan.outputs) == 1
    assert plan.outputs[0].axes == "TYX" and plan.info["planes"] == 3 and plan.info["memory_bytes"] > 0
    assert {output.name for output in plan.outputs} <= {"x-sr", "x-denoised", "x-uncertainty"}


@pytest.mark.parametrize("side", [11_585, 11_586])
def test_more_than_a_java_buffer_holds_goes_through_files(caller: Caller, side: int) -> None:
    spec = InputSpec(axes="YX", shape=(side, side), dtype="uint8", pixel_nm=65.0)
    plan = caller.ask("plan", of="enhance", parameters=dict(caller.optics), inputs=(spec,))
    assert plan.outputs[0].bytes == 4 * (2 * side) ** 2
    assert plan.info["transfer"] == ("files" if plan.outputs[0].bytes > LARGEST_BLOCK else "buffers")
    assert (plan.info["transfer"] == "files") == (side == 11_586)


def test_a_plan_of_several_images_asks_for_a_folder(caller: Caller) -> None:
    spec = InputSpec(axes="YX", shape=(32, 32), dtype="uint8", pixel_nm=65.0)
    plan = caller.ask("plan", of="enhance", parameters=dict(caller.optics), inputs=(spec, spec))
    assert plan.ok and plan.outputs == ()
    data = np.zeros((32, 32), np.uint8) + np.arange(32, dtype=np.uint8)
    answer = dispatch(Request(verb="enhance", parameters=dict(caller.optics), inputs=(spec, spec)), [data, data])
    assert answer.error is not None and "name a folder in output" in answer.error.message


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "parameters", "words"),
    [
        ("enhance", {}, "na and wavelength_nm are missing"),
        ("enhance", {"na": 1.3, "wavelength_nm": 0.525}, "micrometres"),
        ("enhance", {"na": 1.3, "wavelength_nm": 525, "settings": "hessian"}, "NAME=VALUE"),
        ("enhance", {"na": 1.3, "wavelength_nm": 525, "psf": "x.tif"}, "psf and na"),
        ("train", {"na": 1.3, "wavelength_nm": 525}, "model is missing"),
        ("predict", {}, "model is missing"),
        ("predict", {"model": "/nowhere/m.zip"}, "there is no model file"),
        ("psf", {"na": 1.3, "wavelength_nm": 525}, "there is no image|pixel_nm is missing|one of them"),
        ("compare", {}, "1 images are given"),
        ("enhance", {"input": "/nowhere/cell.tif", "na": 1.3, "wavelength_nm": 525}, "/nowhere/cell.tif"),
    ],
)
def test_a_refusal_is_one_line_in_the_words_of_fiji(
    caller: Caller, verb: str, parameters: Mapping[str, Any], words: str
) -> None:
    data = caller.noisy()
    answer = dispatch(Request(verb=verb, parameters=dict(parameters), inputs=(caller.described(data),)), [data])
    assert not answer.ok and answer.error is not None
    assert (answer.error.kind, answer.error.traceback) == ("user", None)
    assert re.search(words, answer.error.message), answer.error.message
    assert "\n" not in answer.error.message and "--" not in answer.error.message


def test_an_image_without_a_scale_is_refused_before_anything_is_learned(caller: Caller) -> None:
    data = caller.noisy()
    spec = caller.described(data, pixel_nm=None)
    answer = caller.ask("plan", of="enhance", parameters=dict(caller.optics), inputs=(spec,))
    assert answer.error is not None and "Image > Properties" in answer.error.message
    assert caller.ask("plan", of="enhance", parameters={**caller.optics, "pixel_nm": 65}, inputs=(spec,)).ok


def test_a_model_for_another_pixel_size_is_refused_with_both(caller: Caller, small_model: Path) -> None:
    data = caller.noisy()
    spec = caller.described(data, pixel_nm=100.0)
    answer = dispatch(Request(verb="predict", parameters={"model": str(small_model)}, inputs=(spec,)), [data])
    assert answer.error is not None and answer.error.kind == "user"
    assert "100 nm" in answer.error.message and "65 nm" in answer.error.message
    assert "pixel_nm" in answer.error.message and "--" not in answer.error.message


def test_a_disk_that_is_full_is_told_in_a_line_and_leaves_no_file(
    caller: Caller, tmp_path: Path, full_disk: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    target = tmp_path / "psf.tif"
    with full_disk():
        answer = caller.ask("psf", parameters={**caller.optics, "pixel_nm": 65.0, "output": str(target)})
    assert answer.error is not None and answer.error.kind == "user", answer.error
    assert "psf.tif" in answer.error.message and "space" in answer.error.message
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full_disk() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """For the length of a block, no file of this process may grow beyond a hundred bytes."""
    resource = pytest.importorskip("resource", reason="there is no limit for files here")

    @contextlib.contextmanager
    def limited() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.mark.parametrize(
    ("error", "kind", "name"),
    [
        (SuperlensError("na is 3;\n expected less."), "user", "SuperlensError"),
        (MemoryError(), "user", "OutOfMemory"),
        (Abandoned(), "cancelled", "Cancelled"),
        (Cancelled(), "cancelled", "Cancelled"),
        (RuntimeError("boom"), "defect", "RuntimeError"),
    ],
)
def test_every_failure_becomes_a_record(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, name: str
) -> None:
    def fail(request: Asking) -> Outcome:
        raise error

    monkeypatch.setattr(door, "VERBS", {"fail": verb_of(fail)})
    record = dispatch(Request(verb="fail")).error
    assert record is not None and (record.kind, record.type) == (kind, name)
    assert (record.traceback is not None) == (kind == "defect")
    assert "\n" not in record.message


def test_warnings_for_the_user_become_messages_and_others_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(request: Asking) -> Outcome:
        warnings.warn("seen `out`", SuperlensWarning, stacklevel=1)
        warnings.warn("seen `out`", SuperlensWarning, stacklevel=1)
        warnings.warn("not for you", RuntimeWarning, stacklevel=1)
        return Outcome(messages=("last",))

    monkeypatch.setattr(door, "VERBS", {"warn": verb_of(warn)})
    assert dispatch(Request(verb="warn")).messages == ("seen output", "last")


# -- what answers -------------------------------------------------------------------------------------------------------


def test_ping_does_not_load_tensorflow() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from superlens.bridge.dispatch import dispatch\n"
        'assert dispatch(\'{"schema": 1, "verb": "ping"}\').ok\n'
        "assert not {'tensorflow', 'keras', 'scipy', 'jpype'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_models_are_listed_with_their_files(caller: Caller) -> None:
    answer = caller.ask("models")
    assert answer.table is not None
    names = [row[0] for row in answer.table.rows]
    assert "zsdeconv-light" in names
    assert all(Path(str(row[3])).is_file() for row in answer.table.rows)
