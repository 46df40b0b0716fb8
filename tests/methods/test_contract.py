"""What every method keeps to, and what the house does for one that says nothing but how it learns and predicts."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import superlens as sl
import toy
import toy_flat
from superlens import methods
from superlens.bridge.dispatch import dispatch
from superlens.bridge.menu import command_of
from superlens.bridge.protocol import InputSpec, Request
from superlens.errors import SuperlensError
from superlens.io import read, write
from superlens.method import ImageMethod, Method
from superlens.runs.verbs import VERBS

Shell = Callable[..., Result]

METHODS = [methods.method(name) for name in methods.names()] + [toy.Toy(), toy_flat.Flat()]
SHIPPED = methods.names()
OPTICS = ("--na", 1.3, "--wavelength-nm", 525)


@pytest.fixture
def cell() -> sl.Image:
    counts = 100 + np.random.default_rng(4).poisson(40, (3, 40, 48))
    return sl.Image(counts.astype(np.uint16), "TYX", 65.0, name="cell")


# -- what each says of itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", METHODS, ids=lambda one: one.name)
def test_a_method_says_what_a_door_shows(one: Method) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]*", one.name)
    assert one.summary.endswith(".") and "\n" not in one.summary
    assert one.takes in ("images", "movie") and one.gives
    for said in ("name", "ending", "words"):
        values = [getattr(role, said) for role in one.gives if not role.table]
        assert all(values) and len(set(values)) == len(values)


@pytest.mark.parametrize("one", METHODS, ids=lambda one: one.name)
def test_every_preset_is_a_setting_that_goes_through_yaml(one: Method) -> None:
    for preset in one.settings.presets():
        made = one.settings.of(preset)
        assert made.preset == preset
        read_back = one.settings.from_yaml(made.to_yaml())
        told = [again.model_dump() for again in (made, read_back, one.configured(preset, None, {}))]
        assert told[0] == told[1] == told[2]
    with pytest.raises(SuperlensError, match="preset"):
        one.settings.of("nonsense")


@pytest.mark.parametrize("one", METHODS, ids=lambda one: one.name)
@pytest.mark.parametrize("verb", ["enhance", "train", "localize"])
def test_its_parameters_have_words_for_a_shell_and_a_dialog(one: Method, verb: str) -> None:
    names = [parameter.name for parameter in one.parameters(verb)]
    assert len(set(names)) == len(names)
    for parameter in one.parameters(verb):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", parameter.name)
        assert parameter.help.endswith(".") and parameter.label
        assert one.name in parameter.methods


@pytest.mark.parametrize("one", METHODS, ids=lambda one: one.name)
def test_its_public_names_are_where_it_says(one: Method) -> None:
    for name, module in one.python.items():
        assert getattr(importlib.import_module(module), name) is getattr(sl, name)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_method_is_a_folder_that_knows_no_other_method(name: str) -> None:
    folder = Path(inspect.getfile(type(methods.method(name)))).parent
    others = {f"superlens.methods.{other}" for other in SHIPPED if other != name}
    known = {
        node.module
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert not {module for module in known for other in others if module == other or module.startswith(f"{other}.")}


def test_a_door_lists_methods_before_anything_heavy_is_there() -> None:
    code = (
        "import sys; from superlens.runs.verbs import VERBS; [verb.parameters() for verb in VERBS.values()]; "
        "print(*({'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_no_room_outside_a_method_names_one() -> None:
    package = Path(sl.__file__).parent
    allowed = {package / "__init__.py", package / "methods" / "__init__.py"}
    mine = {*(package / "methods").glob("*/*.py"), *(package / "starts").glob("*.py"), *allowed}
    for path in set(package.rglob("*.py")) - mine:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not re.match(r"superlens\.methods\.", node.module or ""), path
            if isinstance(node, ast.Compare):
                said = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                assert not said & set(SHIPPED), (path, node.lineno)


# -- what a new one gets ------------------------------------------------------------------------------------------------


def test_the_toy_is_short() -> None:
    assert len(inspect.getsource(toy).splitlines()) < 100
    code = [
        line for line in inspect.getsource(toy).splitlines() if line.strip() and not line.startswith(("from", "import"))
    ]
    assert len(code) < 60


def test_a_name_is_given_once(added: toy.Toy) -> None:
    with pytest.raises(SuperlensError, match="already"):
        methods.register(toy.Toy())
    assert methods.method("toy") is added
    with pytest.raises(SuperlensError, match="did you mean toy"):
        methods.method("toi")


def test_python_enhances_trains_and_predicts(added: toy.Toy, cell: sl.Image, tmp_path: Path) -> None:
    result = sl.enhance(cell, method="toy")
    assert result.roles == ("smooth",)
    smooth = result["smooth"]
    assert (smooth.axes, smooth.pixel_nm, smooth.data.shape) == ("TYX", 65.0, cell.data.shape)
    assert smooth.history["superlens"]["what"] == "smooth"
    assert result.verdicts()[""].grade == "warn"  # nothing but the light was checked
    assert abs(result.metrics["flux_ratio"] - 1) < 0.02
    assert "cell" in result.report and "<html" in result.report
    model = sl.train(cell, method="toy", config=toy.ToySettings(width=5))
    model.save(tmp_path / "toy.zip")
    again = sl.predict(sl.Model.load(tmp_path / "toy.zip"), cell)
    np.testing.assert_array_equal(again["smooth"].data, sl.predict(model, cell)["smooth"].data)
    assert smooth.data.std() < np.asarray(cell.data, np.float32).std()


def test_settings_choose_their_method_and_no_other(added: toy.Toy, cell: sl.Image) -> None:
    assert sl.enhance(cell, config=toy.ToySettings()).roles == ("smooth",)
    with pytest.raises(SuperlensError, match="expected a ZSDeconvConfig"):
        sl.enhance(cell, method="zsdeconv", config=toy.ToySettings())


def test_channels_are_put_together(added: toy.Toy, cell: sl.Image) -> None:
    both = sl.Image(np.stack([cell.data, 2 * cell.data], 1), "TCYX", 65.0, channel_names=("a", "b"))
    result = sl.enhance(both, [sl.Objective(na=1.3, wavelength_nm=w) for w in (525, 610)], method="toy")
    assert (result["smooth"].axes, result.names) == ("TCYX", ("channel 0 (a)", "channel 1 (b)"))
    alone = sl.enhance(both.select(c=1), method="toy")
    np.testing.assert_array_equal(result["smooth"].select(c=1).data, alone["smooth"].data)


def test_the_shell_gives_files_a_record_and_a_report(
    added: toy.Toy, superlens: Shell, cell: sl.Image, tmp_path: Path
) -> None:
    path, out = write(tmp_path / "cell.tif", cell), tmp_path / "out"
    done = superlens("enhance", path, "--method", "toy", *OPTICS, "--width", 5, "--out", out)
    assert done.exit_code == 0, done.output
    assert {file.name for file in out.iterdir()} == {"cell_smooth.tif", "model.zip", "report.html", "run.json"}
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["method"] == "toy" and list(record["results"][0]["files"]) == ["smooth", "report"]
    settings = toy.ToySettings(width=5)
    np.testing.assert_array_equal(
        read(out / "cell_smooth.tif").data, sl.enhance(read(path), method="toy", config=settings)["smooth"].data
    )
    refused = superlens("enhance", path, "--method", "toy", *OPTICS, "--hessian", 1, "--out", tmp_path / "no")
    assert refused.exit_code == 2
    other = superlens("enhance", path, *OPTICS, "--width", 5, "--out", tmp_path / "no")
    assert other.exit_code == 2 and "--width" in other.stderr and not (tmp_path / "no").exists()


def test_the_shell_trains_and_predicts_whole_and_by_blocks(
    added: toy.Toy, superlens: Shell, cell: sl.Image, tmp_path: Path
) -> None:
    path, model = write(tmp_path / "cell.tif", cell), tmp_path / "toy.zip"
    assert superlens("train", path, "--method", "toy", *OPTICS, "--model", model).exit_code == 0
    assert superlens("predict", path, "--model", model, "--out", tmp_path / "out").exit_code == 0
    blocks = tmp_path / "cell_smooth.ome.tif"
    told = superlens("predict", path, "--model", model, "--out", blocks, "--block", 16, "--dry-run")
    assert told.exit_code == 0 and "blocks:" in told.output and not blocks.exists()
    assert superlens("predict", path, "--model", model, "--out", blocks, "--block", 16).exit_code == 0
    whole = read(tmp_path / "out" / "cell_smooth.tif").data
    np.testing.assert_allclose(read(blocks).data, whole, rtol=1e-5)


def through_fiji(verb: str, said: dict[str, object], image: sl.Image) -> np.ndarray:
    """Plan a verb and carry it out as the plugin does; the pixels of its one image."""
    data = image.data
    spec = InputSpec(axes="TYX", shape=data.shape, dtype="uint16", name="cell.tif", pixel_nm=65.0)
    plan = dispatch(Request(verb="plan", of=verb, parameters=said, inputs=(spec,)).to_json())
    assert plan.ok, plan.error
    (output,) = plan.outputs
    assert (output.name, output.shape) == (f"cell-{output.role}", data.shape)
    room = np.zeros(output.bytes, np.uint8)
    asked = Request(verb=verb, parameters=said, inputs=(spec,), outputs=plan.outputs).to_json()
    answer = dispatch(asked, [data.reshape(-1).view(np.uint8)], [room])
    assert answer.ok, answer.error
    return room.view(np.float32).reshape(data.shape)


def test_fiji_gets_its_fields_its_plan_and_its_pixels(added: toy.Toy, cell: sl.Image) -> None:
    fields = {field.key: field.described() for field in command_of(VERBS["enhance"]).fields}
    assert "toy" in fields["method"]["choices"] and fields["width"]["min"] == 1
    said = {"method": "toy", "na": 1.3, "wavelength_nm": 525.0, "width": 5}
    expected = sl.enhance(cell, method="toy", config=toy.ToySettings(width=5))["smooth"].data
    np.testing.assert_array_equal(through_fiji("enhance", said, cell), expected)


# -- what one without a network gets ------------------------------------------------------------------------------------


@pytest.fixture
def striped(cell: sl.Image) -> sl.Image:
    """The cell behind a pattern that is the same in all planes."""
    pattern = 30 * np.arange(cell.data.shape[-1], dtype=np.uint16)
    return cell.with_data(cell.data + pattern)


def test_python_needs_no_network(flat: toy_flat.Flat, striped: sl.Image, tmp_path: Path) -> None:
    model = sl.train(striped, method="flat")
    assert model.network is None and model.config.network == ""
    model.save(tmp_path / "flat.zip")
    with zipfile.ZipFile(tmp_path / "flat.zip") as archive:
        assert set(archive.namelist()) == {"model.json", "arrays.npz"}
    loaded = sl.Model.load(tmp_path / "flat.zip")
    assert loaded.config == model.config
    np.testing.assert_array_equal(loaded.arrays["pattern"], model.arrays["pattern"])
    result, again = sl.enhance(striped, method="flat"), sl.predict(loaded, striped)
    np.testing.assert_array_equal(result["flat"].data, again["flat"].data)
    assert result["flat"].data.mean(axis=(0, 1)).std() < 0.01 * striped.data.mean(axis=(0, 1)).std()
    assert "<html" in result.report and abs(result.metrics["flux_ratio"] - 1) < 1e-3
    with pytest.raises(SuperlensError, match=r"expected \(40, 48\)"):
        sl.predict(loaded, striped.with_data(striped.data[:, :20]))


def test_each_channel_has_its_own_without_a_network(flat: toy_flat.Flat, striped: sl.Image, tmp_path: Path) -> None:
    both = sl.Image(np.stack([striped.data, 2 * striped.data], 1), "TCYX", 65.0)
    models = sl.train(both, [sl.Objective(na=1.3, wavelength_nm=w) for w in (525, 610)], method="flat")
    models.save(tmp_path / "both.zip")
    made = sl.predict(sl.ChannelModels.load(tmp_path / "both.zip"), both)["flat"]
    assert made.axes == "TCYX" and made.data.shape == both.data.shape


def test_the_shell_needs_no_network(flat: toy_flat.Flat, superlens: Shell, striped: sl.Image, tmp_path: Path) -> None:
    path, model, out = write(tmp_path / "cell.tif", striped), tmp_path / "flat.zip", tmp_path / "out"
    done = superlens("enhance", path, "--method", "flat", *OPTICS, "--out", out)
    assert done.exit_code == 0, done.output
    assert {file.name for file in out.iterdir()} == {"cell_flat.tif", "model.zip", "report.html", "run.json"}
    assert superlens("train", path, "--method", "flat", *OPTICS, "--model", model).exit_code == 0
    assert superlens("predict", path, "--model", model, "--out", tmp_path / "again").exit_code == 0
    np.testing.assert_array_equal(read(out / "cell_flat.tif").data, read(tmp_path / "again" / "cell_flat.tif").data)
    refused = superlens("predict", path, "--model", model, "--out", tmp_path / "blocks.ome.tif")
    assert refused.exit_code == 2 and "whole images" in refused.stderr


def test_fiji_needs_no_network(flat: toy_flat.Flat, striped: sl.Image, tmp_path: Path) -> None:
    said = {"method": "flat", "na": 1.3, "wavelength_nm": 525.0}
    np.testing.assert_array_equal(
        through_fiji("enhance", said, striped), sl.enhance(striped, method="flat")["flat"].data
    )
    sl.train(striped, method="flat").save(tmp_path / "flat.zip")
    again = through_fiji("predict", {"model": str(tmp_path / "flat.zip")}, striped)
    np.testing.assert_array_equal(again, sl.enhance(striped, method="flat")["flat"].data)


def test_a_method_of_images_says_nothing_but_how_it_learns_and_predicts() -> None:
    assert ImageMethod.__abstractmethods__ == {"learn", "predictor"}
