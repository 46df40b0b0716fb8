"""``localize`` from Fiji: the table and the image that Python gives, from a stack that ImageJ calls planes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from superlens.bridge.protocol import InputSpec, Response
from superlens.errors import SuperlensWarning
from superlens.image import Image
from superlens.io import read, read_localizations, write

Caller = Any


@pytest.fixture(scope="module")
def movie() -> Image:
    """Eight frames of a few molecules on 32 pixels of 100 nm."""
    from superlens.simulate import simulate_smlm

    scene_changes = {"yx_shape": (32, 32), "pixel_nm": 100.0}
    from superlens.simulate import GaussianSpots, Independent, SmlmScene

    scene = SmlmScene(**scene_changes, blinking=Independent(0.5), spots=GaussianSpots(120.0, 0.0))
    return simulate_smlm(8, scene, rng=np.random.default_rng(0)).frames


def plan_of(caller: Caller, spec: InputSpec, **parameters: Any) -> Response:
    made: Response = caller.ask("plan", of="localize", parameters=parameters, inputs=(spec,))
    return made


@pytest.mark.parametrize(("render_nm", "shape"), [(10.0, (320, 320)), (30.0, (107, 107))])
def test_a_plan_knows_the_size_of_the_rendered_image(
    caller: Caller, movie: Image, render_nm: float, shape: tuple[int, int]
) -> None:
    plan = plan_of(caller, caller.described(movie.data, "ZYX", pixel_nm=100.0), render_nm=render_nm)
    assert plan.ok, plan.error
    assert (plan.outputs[0].role, plan.outputs[0].shape) == ("rendered", shape)
    assert plan.outputs[0].pixel_nm == render_nm and plan.info["planes"] == 8


def test_a_plan_reads_only_the_outline_of_a_file(caller: Caller, movie: Image, tmp_path: Path) -> None:
    path = write(tmp_path / "movie.tif", movie)
    plan = caller.ask("plan", of="localize", parameters={"input": str(path)})
    assert plan.ok, plan.error
    assert plan.outputs[0].shape == (320, 320) and plan.info["transfer"] == "buffers"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"na": 1.4}, "only one of na and wavelength_nm"),
        ({"psf_sigma_nm": 5}, "psf_sigma_nm is 5"),
        ({"render_nm": 0}, "render_nm is 0"),
    ],
)
def test_what_cannot_be_is_refused_in_the_words_of_fiji(
    caller: Caller, movie: Image, parameters: dict[str, Any], words: str
) -> None:
    refused = plan_of(caller, caller.described(movie.data, "TYX"), **parameters).error
    assert refused is not None and words in refused.message


def test_a_movie_without_a_scale_is_refused(caller: Caller, movie: Image) -> None:
    refused = plan_of(caller, caller.described(movie.data, "TYX", pixel_nm=None)).error
    assert refused is not None and "Image > Properties" in refused.message


def test_a_table_that_nothing_reads_is_refused_before_the_work(caller: Caller, movie: Image, tmp_path: Path) -> None:
    image = (caller.described(movie.data, "ZYX", pixel_nm=100.0), movie.data)
    answer, _ = caller.call("localize", {"save_table": str(tmp_path / "found.txt")}, [image])
    assert answer.error is not None and "found.txt; expected a name that ends in .csv or .hdf5" in answer.error.message


@pytest.mark.slow
def test_localize_gives_the_table_and_the_image_that_python_gives(
    caller: Caller, movie: Image, tmp_path: Path, superlens: Callable[..., Result]
) -> None:
    from superlens.methods.deepstorm.calls import localize
    from superlens.smlm.estimation import Known

    known = {"psf_sigma_nm": 120.0, "offset": 100.0, "gain": 1.0, "read_noise_e": 1.0}
    parameters = {**known, "render_nm": 20.0, "frames": "1-6", "output": str(tmp_path / "out")}
    parameters["save_table"] = str(tmp_path / "mine.csv")
    image = (caller.described(movie.data, "ZYX", pixel_nm=100.0, name="movie.tif"), movie.data)
    answer, images = caller.call("localize", parameters, [image])
    assert answer.ok, answer.error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperlensWarning)
        found = localize(movie, known=Known(120.0, 100.0, 1.0, 1.0), frames=(1, 6))
    np.testing.assert_array_equal(images["rendered"], found.rendered(20.0).data)
    assert answer.table is not None and answer.table.columns == tuple(found.localizations.columns)
    x = answer.table.columns.index("x_nm")
    assert [row[x] for row in answer.table.rows] == found.localizations["x_nm"].tolist()
    np.testing.assert_array_equal(read(tmp_path / "out" / "rendered.tif").data, images["rendered"])
    stored = read_localizations(tmp_path / "out" / "localizations.csv", pixel_nm=100.0)
    assert len(stored) == len(found.localizations)
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "out" / "localizations.csv").read_bytes()
    assert {Path(file).name for file in answer.files} >= {
        "localizations.csv",
        "rendered.tif",
        "report.html",
        "run.json",
    }


def test_a_simulated_movie_is_that_of_the_command_line(
    caller: Caller, tmp_path: Path, superlens: Callable[..., Result]
) -> None:
    told = ("--frames", 3, "--side", 24, "--seed", 5, "--photons", 900, "--structure", "rings")
    done = superlens("simulate", "smlm", *told, "--out", tmp_path / "shell")
    assert done.exit_code == 0, done.output
    parameters = {"frames": 3, "side": 24, "seed": 5, "photons": 900, "structure": "rings"}
    answer, images = caller.call("simulate", {**parameters, "output": str(tmp_path / "fiji")})
    assert answer.ok, answer.error
    there = read(tmp_path / "shell" / "frames.tif")
    np.testing.assert_array_equal(images["simulated"], there.data)
    np.testing.assert_array_equal(read(tmp_path / "fiji" / "frames.tif").data, there.data)
    assert (answer.outputs[0].axes, answer.outputs[0].pixel_nm) == ("TYX", there.pixel_nm)
    truth = read_localizations(tmp_path / "shell" / "truth.csv")
    assert answer.table is not None and len(answer.table.rows) == len(truth)
