"""Input that cannot be used is refused in one line before any training; input that is merely unusual works.

Every refusal has exit code 2, names the thing and the next step, shows no traceback, and leaves the output folder exactly as it was.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result
from numpy.typing import NDArray

from superlens.image import Image
from superlens.io import read, write
from superlens.runs import folders

pytestmark = pytest.mark.usefixtures("slim", "untraced")

Run = Callable[..., Result]
Array = NDArray[np.generic]

OPTICS = ("--na", 1.3, "--wavelength-nm", 525)
PIXEL = ("--pixel-nm", 62.6)
QUICK = ("--steps", 1, "--set", "batch=1", "--set", "flips=1")


def cell(shape: tuple[int, int] = (48, 48), *, seed: int = 0) -> NDArray[np.float64]:
    """A noisy image of a few blurred points, about 100 to 400 counts."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    points = (rng.random(shape) < 0.01) * 4000.0
    return 100 + rng.poisson(ndimage.gaussian_filter(points, 1.7) + 5).astype(np.float64)


def put(path: Path, data: Array) -> Path:
    """Write a plain TIFF without any metadata."""
    tifffile.imwrite(path, data, photometric="minisblack", metadata=None)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder that holds an earlier result."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "other_sr.tif").write_text("earlier")
    return folder


def check_refused(result: Result, out: Path, *words: str) -> None:
    """One line, exit code 2, and the output folder as it was."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0]
    assert [(file.name, file.read_text()) for file in out.iterdir()] == [("other_sr.tif", "earlier")]


# -- images -------------------------------------------------------------------------------------------------------------

REFUSED_IMAGES: dict[str, tuple[Array, str]] = {
    "constant": (np.full((48, 48), 7, np.uint16), "constant"),
    "all NaN": (np.full((48, 48), np.nan, np.float32), "NaN"),
    "wholly saturated": (np.full((48, 48), 65535, np.uint16), "satur"),
    "smaller than 16": (cell((15, 48)).astype(np.uint16), "16"),
    "boolean": (np.eye(48, dtype=np.bool_), ""),
}


@pytest.mark.parametrize("case", REFUSED_IMAGES)
def test_an_image_that_holds_nothing_is_refused(superlens: Run, tmp_path: Path, out: Path, case: str) -> None:
    data, word = REFUSED_IMAGES[case]
    path = put(tmp_path / "cell.tif", data)
    check_refused(superlens("enhance", path, *OPTICS, *PIXEL, "--out", out), out, "cell", word)


def test_a_coloured_image_is_refused(superlens: Run, tmp_path: Path, out: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "cell.tif", rgb, photometric="rgb")
    check_refused(superlens("enhance", tmp_path / "cell.tif", *OPTICS, *PIXEL, "--out", out), out, "cell.tif")


def test_an_empty_file_is_refused(superlens: Run, tmp_path: Path, out: Path) -> None:
    (tmp_path / "cell.tif").touch()
    check_refused(superlens("enhance", tmp_path / "cell.tif", *OPTICS, *PIXEL, "--out", out), out, "cell.tif", "empty")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_a_truncated_tiff_is_refused(superlens: Run, tmp_path: Path, out: Path, share: float) -> None:
    whole = put(tmp_path / "whole.tif", cell((64, 64)).astype(np.uint16)).read_bytes()
    (tmp_path / "cell.tif").write_bytes(whole[: int(share * len(whole))])
    check_refused(superlens("enhance", tmp_path / "cell.tif", *OPTICS, *PIXEL, "--out", out), out, "cell.tif")


@pytest.mark.parametrize("tag", ["ImageWidth", "ImageLength"])
def test_a_tiff_whose_header_lies_is_refused(superlens: Run, tmp_path: Path, out: Path, tag: str) -> None:
    path = put(tmp_path / "cell.tif", cell().astype(np.uint16))
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages.first.tags[tag].valueoffset
    raw = bytearray(path.read_bytes())
    struct.pack_into("<H", raw, at, 60_000)
    path.write_bytes(raw)
    check_refused(superlens("enhance", path, *OPTICS, *PIXEL, "--out", out), out, "cell.tif")


def test_text_called_tif_is_refused(superlens: Run, tmp_path: Path, out: Path) -> None:
    (tmp_path / "cell.tif").write_text("this is not an image")
    check_refused(superlens("enhance", tmp_path / "cell.tif", *OPTICS, *PIXEL, "--out", out), out, "cell.tif")


@pytest.mark.parametrize("seed", range(20))
def test_a_tiff_with_flipped_bytes_is_read_or_refused_but_never_a_defect(
    superlens: Run, tmp_path: Path, seed: int
) -> None:
    """`superlens evaluate` reads and measures; whatever the bytes say, the exit code is 0 or 2."""
    whole = put(tmp_path / "cell.tif", cell().astype(np.uint16))
    raw = bytearray(whole.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, min(len(raw), 400) if seed % 2 else len(raw), 6):
        raw[at] = rng.integers(0, 256)
    (tmp_path / "broken.tif").write_bytes(raw)
    result = superlens("evaluate", tmp_path / "broken.tif", "--reference", whole)
    assert result.exit_code in (0, 2), result.output


def test_a_missing_pixel_size_is_asked_for(superlens: Run, tmp_path: Path, out: Path) -> None:
    path = put(tmp_path / "cell.tif", cell().astype(np.uint16))
    check_refused(superlens("enhance", path, *OPTICS, "--out", out), out, "pixel size", "--pixel-nm")


# -- optics -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A good image with its pixel size."""
    return write(tmp_path / "cell.tif", Image(cell().astype(np.uint16), pixel_nm=62.6))


@pytest.mark.parametrize(
    ("optics", "words"),
    [
        (("--na", 1.3, "--wavelength-nm", 0.525), ("0.525", "micrometres")),
        (("--na", 1.45, "--wavelength-nm", 525, "--immersion-index", 1.33), ("1.45", "1.33")),
        (("--na", 1.6, "--wavelength-nm", 525), ("1.6", "immersion_index")),
        (("--na", 1.3), ("--wavelength-nm",)),
        ((), ("--na", "--denoise-only")),
        (("--na", 1.3, "--wavelength-nm", 525, "--modality", "confocal"), ("excitation_nm",)),
        (("--psf", "nowhere.tif"), ("nowhere.tif",)),
        (("--psf", "nowhere.tif", "--na", 1.3), ("--psf", "--na")),
    ],
)
def test_optics_that_cannot_be_are_refused(
    superlens: Run, good: Path, out: Path, optics: tuple[object, ...], words: tuple[str, ...]
) -> None:
    check_refused(superlens("enhance", good, *optics, "--out", out), out, *words)


def test_a_psf_file_that_shows_no_point_is_refused(superlens: Run, tmp_path: Path, good: Path, out: Path) -> None:
    noise = np.random.default_rng(0).poisson(100, (48, 48)).astype(np.uint16)
    path = write(tmp_path / "psf.tif", Image(noise, pixel_nm=31.3))
    check_refused(superlens("enhance", good, "--psf", path, "--out", out), out, "PSF")


def test_a_psf_of_another_microscope_is_refused_with_both_numbers(
    superlens: Run, tmp_path: Path, good: Path, out: Path
) -> None:
    from superlens.optics import PSF

    wide = PSF.gaussian(250.0, 62.6).data.astype(np.float32)
    path = write(tmp_path / "psf.tif", Image(wide, pixel_nm=62.6))
    result = superlens("enhance", good, "--psf", path, "--psf-pixel-nm", 3000, "--out", out)
    check_refused(result, out, "FWHM", "62.6")


def test_a_psf_larger_than_the_image_is_refused(superlens: Run, tmp_path: Path, out: Path) -> None:
    from superlens.optics import PSF

    small = write(tmp_path / "cell.tif", Image(cell((16, 16)).astype(np.uint16), pixel_nm=62.6))
    wide = PSF.gaussian(1400.0, 62.6, shape=(121, 121)).data.astype(np.float32)
    path = write(tmp_path / "psf.tif", Image(wide, pixel_nm=62.6))
    check_refused(superlens("enhance", small, "--psf", path, *QUICK, "--out", out), out, "PSF")


# -- settings, folders, models ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--set", "hesian=1"), "hessian"),
        (("--set", "hessian"), "NAME=VALUE"),
        (("--units", "electrons"), "gain"),
        (("--gain", -1), "gain"),
        (("--steps", -5), "steps"),
        (("--config", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    superlens: Run, good: Path, out: Path, options: tuple[object, ...], word: str
) -> None:
    check_refused(superlens("enhance", good, *OPTICS, *options, "--out", out), out, word)


def test_an_output_folder_that_cannot_be_made_is_refused(superlens: Run, tmp_path: Path, good: Path, out: Path) -> None:
    (tmp_path / "file").write_text("")
    check_refused(superlens("enhance", good, *OPTICS, "--out", tmp_path / "file" / "out"), out, "file")


def test_a_full_disk_is_refused_before_training(
    superlens: Run, good: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: type("usage", (), {"free": 1000}))
    check_refused(superlens("enhance", good, *OPTICS, "--out", out), out, "free")


BROKEN_MODELS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "text": lambda path: path.write_text("not a model"),
    "empty": lambda path: path.touch(),
    "another zip": lambda path: zipfile.ZipFile(path, "w").close(),
    "json of another kind": lambda path: _zip(path, {"model.json": "[1, 2]", "weights.npz": "x"}),
    "a network we do not have": lambda path: _zip(
        path, {"model.json": json.dumps(_model_json("evil")), "weights.npz": ""}
    ),
    "pickled weights": lambda path: _pickled(path),
}


def _zip(path: Path, members: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def _model_json(network: str) -> dict[str, object]:
    return {"version": "0", "method": "zsdeconv", "network": network, "network_config": {}}


def _pickled(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), w0=np.array([{"a": object}], dtype=object))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(_model_json("light")))
        archive.write(path.with_suffix(".npz"), "weights.npz")


@pytest.mark.parametrize("case", BROKEN_MODELS)
def test_a_model_file_that_is_not_ours_is_refused(
    superlens: Run, tmp_path: Path, good: Path, out: Path, case: str
) -> None:
    model = tmp_path / "model.zip"
    BROKEN_MODELS[case](model)
    check_refused(superlens("predict", good, "--model", model, "--out", out), out, "model")


# -- from the shell -----------------------------------------------------------------------------------------------------


def shell(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    code = "from superlens.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL)


def test_a_refusal_in_a_process_of_its_own_is_one_line_with_nothing_of_tensorflow(good: Path, tmp_path: Path) -> None:
    done = shell("enhance", good, *OPTICS, "--set", "hesian=1", "--out", "new", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "new").exists()


# -- what must work -----------------------------------------------------------------------------------------------------


def check_enhanced(result: Result, out: Path, name: str, shape: tuple[int, int]) -> None:
    """All files are there, finite, twice as large, and in the unit of the input."""
    assert result.exit_code == 0, result.output
    for file in ("model.zip", "report.html", "run.json", f"{name}_uncertainty.tif", f"{name}_denoised.tif"):
        assert (out / file).stat().st_size > 0
    image = read(out / f"{name}_sr.tif")
    assert image.data.shape == tuple(2 * side for side in shape)
    assert image.data.dtype == np.float32
    assert image.pixel_nm == pytest.approx(31.3)
    assert np.isfinite(image.data).all()
    assert sorted(file.name for file in out.iterdir() if file.name.startswith(".")) == []
    assert "not recorded" not in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["u1", ">f8"])
def test_every_type_of_number_works(superlens: Run, tmp_path: Path, kind: str) -> None:
    """The ends of what there is; that every type is read and observed alike are laws of their own."""
    data = cell()
    scaled = data * (120 / data.max()) if kind in ("u1", "i1") else data
    path = tmp_path / "cell.tif"
    order = ">" if kind.startswith(">") else "<"
    tifffile.imwrite(path, scaled.astype(kind), photometric="minisblack", metadata=None, byteorder=order)
    out = tmp_path / "out"
    check_enhanced(
        superlens("enhance", path, *OPTICS, *PIXEL, *QUICK, "--steps", 0, "--out", out), out, "cell", (48, 48)
    )


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (33, 16), (16, 2000)])
def test_odd_sizes_and_strips_work(superlens: Run, tmp_path: Path, shape: tuple[int, int]) -> None:
    path = put(tmp_path / "cell.tif", cell(shape).astype(np.uint16))
    out = tmp_path / "out"
    check_enhanced(superlens("enhance", path, *OPTICS, *PIXEL, *QUICK, "--out", out), out, "cell", shape)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [np.nan, np.inf, 65535.0])
def test_a_few_bad_pixels_are_warned_about_and_masked(superlens: Run, tmp_path: Path, bad: float) -> None:
    data = cell().astype(np.float32 if bad != 65535.0 else np.uint16)
    data[5, 5], data[20, 30:33], data[47, 0] = bad, bad, bad
    path = put(tmp_path / "cell.tif", data)
    out = tmp_path / "out"
    result = superlens("enhance", path, *OPTICS, *PIXEL, *QUICK, "--out", out)
    check_enhanced(result, out, "cell", (48, 48))
    assert "warning: " in result.stderr
    assert float(read(out / "cell_sr.tif").data.max()) < 5000


@pytest.mark.slow
def test_train_then_predict_works_and_another_pixel_size_is_refused(
    superlens: Run, tmp_path: Path, good: Path, out: Path
) -> None:
    model = tmp_path / "mt.zip"
    trained = superlens("train", good, *OPTICS, *QUICK, "--model", model)
    assert trained.exit_code == 0, trained.output
    fresh = tmp_path / "fresh"
    predicted = superlens("predict", "--model", model, good, "--out", fresh, "--device", "cpu")
    assert predicted.exit_code == 0, predicted.output
    assert read(fresh / "cell_sr.tif").data.shape == (96, 96)
    other = superlens("predict", "--model", model, good, *("--pixel-nm", 100), "--out", out)
    check_refused(other, out, "100", "62.6")
    shutil.copy(model, tmp_path / "short.zip")
    with (tmp_path / "short.zip").open("r+b") as file:
        file.truncate(model.stat().st_size // 2)
    check_refused(superlens("predict", "--model", tmp_path / "short.zip", good, "--out", out), out, "short.zip")


@pytest.mark.slow
def test_several_images_train_one_model_and_get_a_report_each(superlens: Run, tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{name}.tif", Image(cell(seed=seed).astype(np.uint16), pixel_nm=62.6))
        for seed, name in enumerate(("a", "b"))
    ]
    out = tmp_path / "out"
    result = superlens("enhance", *paths, *OPTICS, *QUICK, "--out", out)
    assert result.exit_code == 0, result.output
    names = {file.name for file in out.iterdir()}
    assert {"a_sr.tif", "b_sr.tif", "a_report.html", "b_report.html", "model.zip", "run.json"} <= names
    assert len(json.loads((out / "run.json").read_text())["results"]) == 2


@pytest.mark.slow
def test_denoising_alone_needs_neither_optics_nor_a_pixel_size(superlens: Run, tmp_path: Path) -> None:
    path = put(tmp_path / "cell.tif", cell().astype(np.uint16))
    out = tmp_path / "out"
    result = superlens("enhance", path, "--denoise-only", *QUICK, "--out", out)
    assert result.exit_code == 0, result.output
    assert read(out / "cell_denoised.tif").data.shape == (48, 48)
    assert not (out / "cell_sr.tif").exists()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_pixels(superlens: Run, tmp_path: Path, good: Path) -> None:
    images = []
    for name in ("one", "two"):
        result = superlens("enhance", good, *OPTICS, *QUICK, "--seed", 3, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        images.append(read(tmp_path / name / "cell_sr.tif").data)
    assert np.array_equal(*images)


# -- single molecules ---------------------------------------------------------------------------------------------------


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A few frames of blinking molecules, without any metadata."""
    from superlens.simulate import Independent, SmlmScene, simulate_smlm

    made = simulate_smlm(6, SmlmScene(yx_shape=(32, 32), blinking=Independent(1.0)), rng=np.random.default_rng(0))
    return put(tmp_path / "movie.tif", made.frames.data)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--pixel-nm",)),
        (("--axes", "TYX"), ("--pixel-nm",)),
        (("--axes", "TYX", "--pixel-nm", 0.1), ("micrometres",)),
        (("--axes", "TYX", "--pixel-nm", 100_000), ("picometres",)),
        (("--axes", "ZYX", "--pixel-nm", 100), ("--axes TYX",)),
        (("--axes", "TYX", "--pixel-nm", 100, "--frames", "three"), ("FIRST:LAST",)),
        (("--axes", "TYX", "--pixel-nm", 100, "--frames", "3:9"), ("1 and 6",)),
        (("--axes", "TYX", "--pixel-nm", 100, "--na", 1.4), ("--wavelength-nm",)),
        (("--axes", "TYX", "--pixel-nm", 100, "--psf-sigma-nm", 0.11), ("20 to 1000",)),
        (("--axes", "TYX", "--pixel-nm", 100, "--model", "none.zip"), ("none.zip",)),
    ],
    ids=["nothing", "pixel", "micrometres", "picometres", "stack", "range", "beyond", "na-alone", "sigma-um", "model"],
)
def test_a_movie_that_cannot_be_worked_on_is_refused(
    superlens: Run, movie: Path, out: Path, arguments: tuple[object, ...], words: tuple[str, ...]
) -> None:
    check_refused(superlens("localize", movie, "--out", out, *arguments), out, *words)


def test_options_of_one_method_are_refused_for_another(superlens: Run, movie: Path, out: Path) -> None:
    train = ("train", movie, "--model", out / "m.zip", "--axes", "TYX", "--pixel-nm", 100)
    check_refused(superlens(*train, "--method", "deepstorm", "--scale", 2), out, "--scale")
    check_refused(superlens(*train, "--na", 1.3, "--wavelength-nm", 525, "--truth", "t.csv"), out, "--method deepstorm")


def test_a_movie_goes_from_simulation_to_a_table_that_is_held_against_its_truth(superlens: Run, tmp_path: Path) -> None:
    assert (
        superlens(
            "simulate", "smlm", "--frames", 8, "--side", 32, "--density-um2", 1, "--out", tmp_path / "sim"
        ).exit_code
        == 0
    )
    done = superlens("localize", tmp_path / "sim" / "frames.tif", "--out", tmp_path / "found")
    assert done.exit_code == 0, done.output
    found = {path.name for path in (tmp_path / "found").iterdir()}
    assert {
        "localizations.csv",
        "localizations_linked.csv",
        "density.tif",
        "rendered.tif",
        "report.html",
        "run.json",
    } == found
    told = superlens(
        "evaluate",
        tmp_path / "found" / "localizations.csv",
        "--reference",
        tmp_path / "sim" / "truth.csv",
        "--json",
        tmp_path / "s.json",
    )
    assert told.exit_code == 0
    assert json.loads((tmp_path / "s.json").read_text())["localizations.csv"]["jaccard"] > 0.8
    assert read(tmp_path / "found" / "density.tif").pixel_nm == 12.5


def test_tables_without_a_pair_in_common_are_told_apart(superlens: Run, tmp_path: Path) -> None:
    """Here one counts a single frame as number 1 and the other as number 20."""
    for name, frame in (("found.csv", 1), ("truth.csv", 20)):
        (tmp_path / name).write_text(f'"frame","x [nm]","y [nm]"\n{frame},100,200\n')
    told = superlens("evaluate", tmp_path / "found.csv", "--reference", tmp_path / "truth.csv")
    assert told.exit_code == 0
    assert "frames 20 to 20" in told.stderr and "one movie" in told.stderr
