"""Starting Fiji from Python: what is refused in words, and, with Java and the built plugin, a real ImageJ that is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from superlens.bridge import launch
from superlens.bridge.menu import menu
from superlens.errors import SuperlensError

Caller = Any

SAMPLE = Path(launch.__file__).parents[1] / "samples" / "microtubules_low_light.tif"
IJ = Path.home() / ".m2/repository/net/imagej/ij/1.54p/ij-1.54p.jar"


def built() -> bool:
    try:
        launch.plugin_jar()
    except SuperlensError:
        return False
    return True


needs_plugin = pytest.mark.skipif(not built(), reason="the Fiji plugin is not built: run `make fiji`")


def test_a_folder_that_is_no_fiji_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError, match="neither jars and plugins nor an ij.jar"):
        launch.kind_of(tmp_path)


def test_a_fiji_and_an_imagej_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "ij.jar").touch()
    assert launch.kind_of(tmp_path) == "ImageJ"
    (tmp_path / "jars").mkdir()
    (tmp_path / "plugins").mkdir()
    assert launch.kind_of(tmp_path) == "Fiji"


def test_without_the_plugin_the_command_that_builds_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, superlens: Callable[..., Result]
) -> None:
    monkeypatch.setattr(launch, "__file__", str(tmp_path / "python" / "superlens" / "bridge" / "launch.py"))
    result = superlens("fiji", "--check")
    assert result.exit_code == 2
    assert "make fiji" in result.stderr and "Traceback" not in result.stderr


def test_the_plugin_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    jar, plugins = tmp_path / "superlens_-0.2.0.jar", tmp_path / "plugins"
    jar.write_bytes(b"new")
    plugins.mkdir()
    for name in ("superlens_-0.1.0.jar", "other_-1.0.jar"):
        (plugins / name).write_bytes(b"old")
    assert launch.put_into(plugins, jar) == plugins / jar.name
    assert sorted(path.name for path in plugins.iterdir()) == ["other_-1.0.jar", "superlens_-0.2.0.jar"]
    assert launch.put_into(plugins, jar).read_bytes() == b"new"


def test_a_library_that_is_missing_is_named_with_what_to_type() -> None:
    with pytest.raises(SuperlensError, match=r"pip install 'superlens\[fiji\]'"):
        launch.library("a_library_that_nobody_has")


def test_the_parameters_are_written_without_starting_anything(superlens: Callable[..., Result], tmp_path: Path) -> None:
    assert superlens("fiji", "--params", tmp_path / "params.json").exit_code == 0
    assert set(json.loads((tmp_path / "params.json").read_text())["commands"]) >= {"enhance", "train", "predict"}


# -- a real ImageJ ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["ImageJ", "Fiji"])
def imagej(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with ImageJ 1, then the Fiji that FIJI_DIR names; with a home of its own, so that no preference reaches the user's."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Duser.home={tmp_path} -Djava.util.prefs.userRoot={tmp_path}")
    if request.param == "Fiji":
        return fiji_folder()
    if not IJ.is_file():
        pytest.skip("no ImageJ in the local Maven repository: build the plugin with `make fiji`")
    shutil.copy2(IJ, tmp_path / "ij.jar")
    return tmp_path


def fiji_folder() -> Path:
    folder = os.environ.get("FIJI_DIR")
    if not folder:
        pytest.skip("FIJI_DIR names no Fiji")
    return Path(folder)


def in_a_process(code: str, *arguments: object) -> dict[str, Any]:
    """Run code that prints JSON; Java starts only once in a process."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{"))))


@pytest.mark.fiji
@needs_plugin
@pytest.mark.slow
def test_check_asks_the_engine_through_java(imagej: Path) -> None:
    run = "from superlens.cli import main; main()"
    command = [sys.executable, "-c", run, "fiji", "--fiji", str(imagej), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ImageJ 1." in done.stdout and "answers: superlens" in done.stdout
    assert ("ImageJ2 2." in done.stdout) == (launch.kind_of(imagej) == "Fiji")


ON_AN_IMAGE = """
import json, sys
import numpy as np
import superlens as sl

running = sl.fiji.start(sys.argv[1], headless=True)
assert sl.fiji.start(sys.argv[1], headless=True) is running
import jpype
data = np.load(sys.argv[2])
short = jpype.JClass("ij.process.ShortProcessor")(data.shape[1], data.shape[0])
short.setPixels(jpype.JArray(jpype.JShort)(data.astype(np.int16).ravel()))
imp = jpype.JClass("ij.ImagePlus")("cell.tif", short)
imp.getCalibration().pixelWidth = imp.getCalibration().pixelHeight = 0.065
imp.getCalibration().setUnit("micron")
before = np.array(imp.getProcessor().getPixels())
told = {}
try:
    sl.fiji.enhance(imp)
except sl.SuperlensError as error:
    told["refused"] = str(error)
made = sl.fiji.predict(imp, {"model": sys.argv[3]})
told["shape"] = [int(made.getHeight()), int(made.getWidth())]
told["pixel"] = float(made.getCalibration().pixelWidth)
told["title"] = str(made.getTitle())
told["untouched"] = bool((before == np.array(imp.getProcessor().getPixels())).all())
np.save(sys.argv[4], np.array(made.getProcessor().getPixels()).reshape(told["shape"]))
print(json.dumps(told))
"""


@pytest.mark.fiji
@pytest.mark.slow
@needs_plugin
def test_a_notebook_predicts_an_open_image_with_the_pixels_of_python(
    imagej: Path, caller: Caller, small_model: Path, tmp_path: Path
) -> None:
    check_predicts(imagej, caller, small_model, tmp_path)


WITH_A_WINDOW = """
import json, sys, threading
import numpy as np
import jpype
import superlens as sl

running = sl.fiji.start(sys.argv[1])
told = {"showing": bool(running.window.isShowing())}
told["labels"] = [str(label) for label in jpype.JClass("ij.Menus").getCommands().keySet() if "Superlens" in str(label)]
IJ = jpype.JClass("ij.IJ")
told["macro"] = str(IJ.runMacro('run("Superlens PSF...", "na=1.3 wavelength_nm=525 pixel_nm=65"); return getTitle();'))
imp = IJ.getImage()
np.save(sys.argv[2], np.array(imp.getProcessor().getPixels()).reshape(imp.getHeight(), imp.getWidth()))
imp.changes = False
imp.close()
threading.Timer(1, lambda: running.window.quit()).start()
running.wait()
print(json.dumps(told))
"""


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A screen that nobody sees."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb")
    reading, writing = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(writing)], pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
    yield
    server.terminate()
    server.wait()


@pytest.mark.fiji
@pytest.mark.slow
@needs_plugin
@pytest.mark.usefixtures("screen")
def test_the_menus_of_a_window_reach_the_engine_until_it_is_closed(
    imagej: Path, tmp_path: Path, caller: Caller
) -> None:
    from superlens.optics import Objective

    told = in_a_process(WITH_A_WINDOW, imagej, tmp_path / "psf.npy")
    assert told["showing"] and told["macro"] == "psf"
    assert set(told["labels"]) == {command.label for command in menu().values()}
    expected = Objective(**caller.optics).psf(65.0).data.astype(np.float32)
    np.testing.assert_array_equal(np.load(tmp_path / "psf.npy"), expected)


PIXELS_OF_A_TRAINING = "na=1.49 wavelength_nm=525 pixel_nm=62.6 steps=3 seed=1 threads=1"

FOUR_DOORS = """
import json, sys
import numpy as np
import superlens as sl

folder, file, options, out = sys.argv[1:]
running = sl.fiji.start(folder, headless=True)
import jpype
IJ = jpype.JClass("ij.IJ")

def keep(name, imp):
    np.save(f"{out}/{name}.npy", np.array(imp.getProcessor().getPixels()).reshape(imp.getHeight(), imp.getWidth()))

imp = IJ.openImage(file)
keep("notebook", sl.fiji.enhance(imp, options))
made = IJ.runMacro(f'open("{file}"); run("Superlens Enhance...", "{options}"); saveAs("Tiff", "{out}/macro.tif"); return getTitle();')
keep("macro", IJ.openImage(f"{out}/macro.tif"))
told = {"macro": str(made), "legacy": bool(running.gateway.legacy.isActive())}
given = jpype.JClass("java.util.HashMap")()
given.put("image", imp)
given.put("na", jpype.JDouble(1.49))
given.put("wavelength_nm", jpype.JDouble(525))
given.put("options", "pixel_nm=62.6 steps=3 seed=1 threads=1")
module = running.gateway.command().run("io.github.superlens.scijava.EnhanceCommand", True, given).get()
keep("script", module.getOutput("result"))
print(json.dumps(told), flush=True)
import os
os._exit(0)
"""


@pytest.fixture(scope="module")
def crop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corner of the bundled image."""
    from superlens.io import read, write

    path = tmp_path_factory.mktemp("crop") / "cell.tif"
    write(path, read(SAMPLE, pixel_nm=62.6).crop(y=slice(8, 72), x=slice(8, 72)))
    return path


@pytest.fixture(scope="module")
def from_the_shell(crop: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray[Any, Any]:
    """The crop enhanced by the command line, in a process of its own."""
    from superlens.io import read

    out = tmp_path_factory.mktemp("shell") / "out"
    options = [word for pair in PIXELS_OF_A_TRAINING.split() for word in ("--" + pair.replace("_", "-")).split("=")]
    command = [sys.executable, "-c", "from superlens.cli import main; main()", "enhance", str(crop), *options]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return read(out / "cell_sr.tif").data


WITHOUT_PYTHON = """
import json, sys
import superlens as sl
from superlens.bridge.inprocess import uninstall

sl.fiji.start(sys.argv[1], headless=True)
uninstall()
import jpype
IJ = jpype.JClass("ij.IJ")
told = {}
try:
    sl.fiji.enhance(IJ.createImage("cell.tif", "16-bit ramp", 32, 32, 1), "na=1.3 wavelength_nm=525 pixel_nm=65")
except sl.SuperlensError as error:
    told["refused"] = str(error)
print(json.dumps(told))
"""


@pytest.mark.fiji
@needs_plugin
@pytest.mark.parametrize("imagej", ["ImageJ"], indirect=True)
def test_without_any_python_the_setup_is_named(imagej: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERLENS_PYTHON", raising=False)
    monkeypatch.delenv("APPOSE_ENVS_DIR", raising=False)
    refused = in_a_process(WITHOUT_PYTHON, imagej)["refused"]
    assert "no Python with superlens" in refused and "Superlens Setup..." in refused


IN_PLAIN_IMAGEJ = """
import json, sys
import numpy as np
import superlens as sl

folder, file, options, door, out = sys.argv[1:]
running = sl.fiji.start(folder, headless=door == "notebook")
import jpype
IJ = jpype.JClass("ij.IJ")
if door == "notebook":
    made = sl.fiji.enhance(IJ.openImage(file), options)
else:
    IJ.runMacro(f'open("{file}"); run("Superlens Enhance...", "{options}");')
    made = IJ.getImage()
np.save(out, np.array(made.getProcessor().getPixels()).reshape(made.getHeight(), made.getWidth()))
print(json.dumps({"engine": str(jpype.JClass("io.github.superlens.engine.EngineProvider").get(None).describe())}), flush=True)
import os
os._exit(0)
"""


@pytest.mark.fiji
@pytest.mark.slow
@needs_plugin
@pytest.mark.parametrize("door", ["notebook", "macro"])
@pytest.mark.parametrize("imagej", ["ImageJ"], indirect=True)
def test_imagej_inside_python_gives_the_pixels_of_the_shell(
    imagej: Path,
    door: str,
    crop: Path,
    from_the_shell: np.ndarray[Any, Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if door == "macro":
        request.getfixturevalue("screen")
    told = in_a_process(IN_PLAIN_IMAGEJ, imagej, crop, PIXELS_OF_A_TRAINING, door, tmp_path / "made.npy")
    assert "that started Fiji" in told["engine"]
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), from_the_shell)


@pytest.mark.fiji
@pytest.mark.slow
@needs_plugin
def test_imagej2_gives_the_pixels_of_the_shell_through_every_door(
    crop: Path, from_the_shell: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    told = in_a_process(FOUR_DOORS, fiji_folder(), crop, PIXELS_OF_A_TRAINING, tmp_path)
    assert told["macro"].startswith("macro") and told["legacy"]
    for door in ("notebook", "macro", "script"):
        np.testing.assert_array_equal(np.load(tmp_path / f"{door}.npy"), from_the_shell, err_msg=door)


@pytest.mark.fiji
@pytest.mark.slow
@needs_plugin
def test_a_macro_of_a_fiji_without_a_screen_gives_the_pixels_of_the_shell(
    crop: Path, from_the_shell: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    """As ``fiji --headless --console -macro FILE`` starts it: Java hosts, and the worker process does the work."""
    folder = fiji_folder()
    launch.put_into(folder / "plugins", launch.plugin_jar())
    macro = tmp_path / "enhance.ijm"
    macro.write_text(
        f'open("{crop}");\nrun("Superlens Enhance...", "{PIXELS_OF_A_TRAINING}");\nsaveAs("Tiff", "{tmp_path}/out.tif");\n'
    )
    java = [f"-D{key}={tmp_path}" for key in ("user.home", "java.util.prefs.userRoot")]
    java += [f"-D{key}={folder}" for key in ("ij.dir", "plugins.dir", "imagej.dir")]
    java += ["-Djava.awt.headless=true", "--add-opens=java.base/java.lang=ALL-UNNAMED"]
    jars = os.pathsep.join(f"{folder / part / '*'}" for part in ("jars", "plugins"))
    command = ["java", *java, "-cp", jars, "net.imagej.Main", "--headless", "--console", "-macro", str(macro)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, "SUPERLENS_PYTHON": sys.executable}
    )
    assert (tmp_path / "out.tif").is_file(), done.stdout + done.stderr
    from superlens.io import read

    np.testing.assert_array_equal(read(tmp_path / "out.tif").data, from_the_shell)


def check_predicts(folder: Path, caller: Caller, small_model: Path, tmp_path: Path) -> None:
    from superlens.enhancing import predict
    from superlens.image import Image
    from superlens.model import Model

    data = caller.noisy()
    np.save(tmp_path / "in.npy", data)
    told = in_a_process(ON_AN_IMAGE, folder, tmp_path / "in.npy", small_model, tmp_path / "out.npy")
    expected = predict(Model.load(small_model), Image(data, pixel_nm=65.0)).image
    assert expected is not None
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected.data)
    assert told["shape"] == [80, 96] and told["pixel"] == pytest.approx(0.0325)
    assert told["title"] == "cell-sr" and told["untouched"]
    assert "wavelength_nm" in told["refused"]
