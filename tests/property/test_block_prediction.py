"""Prediction by blocks is prediction of the whole, whatever the blocks, the file and the number of times it was interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from superlens.camera import Camera
from superlens.enhancing import predict, predict_file, preview
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import read, write
from superlens.model import Model
from superlens.predicting import BlockOptions
from superlens.predicting.file import memory_for_a_block
from superlens.progress import Cancelled


def image(axes: str, shape: tuple[int, ...], seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    counts = Camera(2.0, 100.0, 1.0).expose(rng.poisson(20 + 80 * rng.random(shape) ** 6), rng, bits=16)
    return Image(counts, axes, pixel_nm=65.0, z_step_nm=200.0 if "Z" in axes else None, history={"taken": "today"})


def content(path: Path) -> dict[str, str]:
    """Every file below a path with the digest of what it holds."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stop_after(blocks: int) -> Callable[[int, int, str], None]:
    """A listener that asks for an end when so many blocks are done."""

    def progress(done: int, total: int, message: str) -> None:
        if message == "blocks" and done == blocks:
            raise Cancelled

    return progress


@pytest.mark.parametrize(
    ("axes", "shape", "block", "source", "out"),
    [
        ("YX", (16, 16), 16, "a.tif", "a_sr.ome.tif"),
        ("YX", (300, 45), 64, "a.tif", "a_sr.ome.tif"),
        ("YX", (300, 45), 64, "a.ome.zarr", "a_sr.ome.zarr"),
        ("TYX", (2, 17, 240), 32, "a.ome.zarr", "a_sr.ome.tif"),
        ("TCZYX", (2, 2, 1, 24, 33), 1024, "a.ome.zarr", "a_sr.ome.zarr"),
        ("TCZYX", (2, 2, 1, 24, 33), 1024, "a.tif", "a_sr.ome.tif"),
    ],
)
def test_blocks_give_what_the_whole_gives(
    small_model: Path, tmp_path: Path, axes: str, shape: tuple[int, ...], block: int, source: str, out: str
) -> None:
    given = image(axes, shape)
    whole = predict(Model.load(small_model), given)
    options = BlockOptions(also=("denoised", "uncertainty"), block=block)
    written = predict_file(small_model, write(tmp_path / source, given), tmp_path / out, options=options)
    assert [path.name for path in written] == [out, out.replace("sr", "denoised"), out.replace("sr", "uncertainty")]
    assert whole.image is not None and whole.uncertainty is not None
    for path, expected in zip(written, (whole.image, whole.denoised, whole.uncertainty), strict=True):
        made = read(path)
        spread = np.ptp(expected.data)
        assert spread > 0
        tolerance = 1e-5 * max(spread, np.abs(expected.data).max())
        np.testing.assert_allclose(made.data, expected.data, rtol=0, atol=tolerance)
        for kept in ("axes", "pixel_nm", "z_step_nm", "channel_names"):
            assert getattr(made, kept) == getattr(expected, kept), kept
        assert made.history["taken"] == "today"
        assert made.history["superlens"]["what"] == expected.history["superlens"]["what"]
    assert {path.name for path in tmp_path.iterdir()} == {source, *(path.name for path in written)}


def test_blocks_give_what_the_whole_gives_with_the_original_network_too(small_unet: Path, tmp_path: Path) -> None:
    given = image("YX", (24, 640))  # wider than a block with its halo
    expected = predict(Model.load(small_unet), given).image
    assert expected is not None
    source = write(tmp_path / "a.tif", given)
    predict_file(small_unet, source, tmp_path / "b.ome.zarr", options=BlockOptions(block=96))
    made = read(tmp_path / "b.ome.zarr").data
    np.testing.assert_allclose(made, expected.data, rtol=0, atol=1e-5 * max(np.ptp(expected.data), np.abs(made).max()))
    with pytest.raises(SuperlensError, match="also"):  # it states no error
        predict_file(small_unet, source, tmp_path / "c.ome.zarr", options=BlockOptions(also=("uncertainty",)))


@pytest.mark.filterwarnings("ignore::superlens.errors.SuperlensWarning")
def test_bad_pixels_are_filled_as_in_the_whole(small_model: Path, tmp_path: Path) -> None:
    given = image("YX", (40, 50))
    data = given.data.astype(np.float32)
    data[14:18, 15:33] = np.nan
    given = given.with_data(data)
    expected = predict(Model.load(small_model), given).image
    assert expected is not None
    predict_file(small_model, write(tmp_path / "a.tif", given), tmp_path / "b.ome.zarr", options=BlockOptions(block=16))
    np.testing.assert_allclose(
        read(tmp_path / "b.ome.zarr").data, expected.data, rtol=0, atol=1e-5 * np.ptp(expected.data)
    )


@pytest.mark.parametrize("out", ["a_sr.ome.zarr", "a_sr.ome.tif"])
def test_a_run_that_is_stopped_goes_on_and_gives_the_same_file(small_model: Path, tmp_path: Path, out: str) -> None:
    source = write(tmp_path / "a.ome.zarr", image("TYX", (2, 33, 40)))
    (tmp_path / "through").mkdir()
    options = BlockOptions(block=16)
    predict_file(small_model, source, tmp_path / "through" / out, options=options)
    with pytest.raises(Cancelled):
        predict_file(small_model, source, tmp_path / out, options=options, progress=stop_after(5))
    assert not (tmp_path / out).exists()
    assert preview(small_model, source, tmp_path / out).done == 5

    done = []
    predict_file(small_model, source, tmp_path / out, progress=lambda now, total, message: done.append((message, now)))
    assert done[0] == ("blocks", 5)
    assert content(tmp_path / out) == content(tmp_path / "through" / out)
    assert {path.name for path in tmp_path.iterdir()} == {"a.ome.zarr", "through", out}


def test_a_run_that_ended_between_the_names_of_two_results_gives_both(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from superlens.predicting import file

    source = write(tmp_path / "a.ome.zarr", image("YX", (24, 24)))
    options = BlockOptions(also=("denoised",))
    put = file.put_in_place

    def once(part: Path, final: Path) -> None:
        put(part, final)
        raise Cancelled

    monkeypatch.setattr(file, "put_in_place", once)
    with pytest.raises(Cancelled):
        predict_file(small_model, source, tmp_path / "b.ome.zarr", options=options)
    monkeypatch.setattr(file, "put_in_place", put)
    written = predict_file(small_model, source, tmp_path / "b.ome.zarr", options=options)
    assert all(path.exists() for path in written)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("out", ["a_sr.ome.zarr", "a_sr.ome.tif"])
def test_a_full_disk_is_one_line_and_nothing_is_lost(small_model: Path, tmp_path: Path, out: str) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limit on the size of files")
    source = write(tmp_path / "a.ome.zarr", image("TYX", (2, 33, 40)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(done: int, total: int, message: str) -> None:
        if message == "blocks" and done == 3:  # from here on the system refuses to let any file grow beyond this
            resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))

    options = BlockOptions(block=16)
    try:
        with pytest.raises(SuperlensError, match=f"no space left for .*{out}") as error:
            predict_file(small_model, source, tmp_path / out, options=options, progress=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "goes on from there" in str(error.value) and "\n" not in str(error.value)
    assert preview(small_model, source, tmp_path / out).done == 3
    predict_file(small_model, source, tmp_path / out, options=options)
    predict_file(small_model, source, tmp_path / f"b_{out}", options=options)
    np.testing.assert_array_equal(read(tmp_path / out).data, read(tmp_path / f"b_{out}").data)


def test_an_earlier_result_stays_until_the_new_one_is_whole(small_model: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "a.ome.zarr", image("YX", (40, 40)))
    earlier = content(write(tmp_path / "b.ome.zarr", image("YX", (20, 20), seed=1)))
    with pytest.raises(Cancelled):
        predict_file(
            small_model, source, tmp_path / "b.ome.zarr", options=BlockOptions(block=16), progress=stop_after(2)
        )
    assert content(tmp_path / "b.ome.zarr") == earlier
    predict_file(small_model, source, tmp_path / "b.ome.zarr")
    assert read(tmp_path / "b.ome.zarr").sizes == {"Y": 80, "X": 80}


def test_another_request_for_the_place_of_an_unfinished_run_is_refused(small_model: Path, tmp_path: Path) -> None:
    source, other = (write(tmp_path / f"{n}.ome.zarr", image("YX", (40, 40), seed=n)) for n in (0, 1))
    out = tmp_path / "b.ome.zarr"
    with pytest.raises(Cancelled):
        predict_file(small_model, source, out, options=BlockOptions(block=16), progress=stop_after(2))
    with pytest.raises(SuperlensError, match="`restart`"):
        predict_file(small_model, other, out)
    expected = predict(Model.load(small_model), read(other)).image
    assert expected is not None
    predict_file(small_model, other, out, options=BlockOptions(restart=True))
    np.testing.assert_allclose(read(out).data, expected.data, rtol=0, atol=1e-5 * np.ptp(expected.data))


def test_the_input_is_never_the_output(small_model: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "a.ome.zarr", image("YX", (40, 40)))
    for out in (source, source / "b.ome.zarr"):
        with pytest.raises(SuperlensError, match="overwrite"):
            predict_file(small_model, source, out)


def test_a_result_without_a_folder_or_a_known_ending_is_refused(small_model: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "a.ome.zarr", image("YX", (40, 40)))
    with pytest.raises(SuperlensError, match="does not exist"):
        predict_file(small_model, source, tmp_path / "none" / "b.ome.zarr")
    with pytest.raises(SuperlensError, match="ome.zarr or .ome.tif"):
        predict_file(small_model, source, tmp_path / "b.png")
    with pytest.raises(SuperlensError, match="also"):
        predict_file(small_model, source, tmp_path / "b.ome.zarr", options=BlockOptions(also=("sharp",)))


def test_a_preview_of_a_terabyte_writes_nothing(small_model: Path, tmp_path: Path) -> None:
    import zarr

    from superlens.io import ImageFile

    zarr.create_array(
        tmp_path / "a.zarr", shape=(60_000, 3000, 3000), chunks=(1, 1000, 1000), dtype="u2", zarr_format=2
    )[0, :1000, :1000] = image("YX", (1000, 1000)).data
    source = ImageFile(tmp_path / "a.zarr", "TYX", 65.0, fill_missing=True)
    with pytest.warns(SuperlensWarning, match="sample"):  # which finds nothing but empty frames
        found = preview(small_model, source, tmp_path / "b.ome.zarr")
    assert found.sizes == {"T": 60_000, "Y": 3000, "X": 3000}
    assert found.outputs[tmp_path / "b.ome.zarr"] == pytest.approx(4 * 4 / 3 * 4 * 60_000 * 9e6)
    assert found.seconds > 0 and found.free_bytes > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    with pytest.raises(SuperlensError, match="GB free"), pytest.warns(SuperlensWarning, match="sample"):
        predict_file(small_model, source, tmp_path / "b.ome.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_a_process_that_holds_much_already_still_gets_memory_for_a_block() -> None:
    holds_much = {"resident_bytes": 3e9, "free_bytes": 8e9}
    assert memory_for_a_block(None, **holds_much) == 5e8
    assert memory_for_a_block(4.0, **holds_much) == 1e9
    assert memory_for_a_block(2.0, **holds_much) < 0  # what was asked for cannot be kept: refused
    assert memory_for_a_block(None, resident_bytes=5e8, free_bytes=8e9) == 1.5e9
    assert memory_for_a_block(None, **holds_much, all_there_is=True) == 4e9
