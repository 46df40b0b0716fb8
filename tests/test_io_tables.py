"""Tables of localizations: what each format means, what survives a round trip, and one line for any damage."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io import read_localizations, write_localizations
from superlens.smlm.table import KNOWN_COLUMNS, Localizations

DATA = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "deep-storm"
PIXEL_NM = 107.3
FLAT = '"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]","offset [photon]","bkgstd [photon]","chi2","uncertainty [nm]"'


def sample(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the sample data at {DATA}")
    return path


def read_text(folder: Path, text: str | bytes, name: str = "table.csv", **options: Any) -> Localizations:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_localizations(folder / name, **options)


def full(rows: int = 5, seed: int = 0) -> Localizations:
    """A table with every known column and one of unknown meaning; positions that float32 pixels hold exactly."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {name: np.float32(rng.uniform(1, 900, rows)) for name in KNOWN_COLUMNS}
    columns |= {name: rng.integers(1, 50, rows) for name in ("frame", "molecule", "detections")}
    columns |= {name: (rng.integers(0, 32 << 10, rows) / 1024 + 0.5) * PIXEL_NM for name in ("x_nm", "y_nm")}
    columns["channel"] = rng.integers(0, 3, rows)
    return Localizations(columns, pixel_nm=PIXEL_NM, yx_shape=(40, 50), frames=60, history={"by": "hand"})


def assert_same(one: Localizations, other: Localizations, rtol: float) -> None:
    assert set(one.columns) == set(other.columns)
    for name in one.columns:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, err_msg=name)


# -- ThunderSTORM


def test_thunderstorm_is_written_with_all_its_columns_in_its_order(tmp_path: Path) -> None:
    bare = Localizations({"frame": [3], "x_nm": [1.5], "y_nm": [2.25]})
    text = write_localizations(tmp_path / "a.csv", bare).read_text()
    assert text == FLAT + "\n1,3,1.5,2.25,0,0,0,0,0,0\n"
    deep = bare.with_columns(z_nm=[7.0], detections=[2], probability=[0.5], sigma_x_nm=[100.0], sigma_y_nm=[400.0])
    heading, row = write_localizations(tmp_path / "b.csv", deep).read_text().splitlines()
    assert heading == (
        '"id","frame","x [nm]","y [nm]","z [nm]","sigma [nm]","sigma1 [nm]","sigma2 [nm]","intensity [photon]","offset [photon]",'
        '"bkgstd [photon]","chi2","uncertainty [nm]","uncertainty_z [nm]","detections","probability"'
    )
    assert row == "1,3,1.5,2.25,7,200,100,400,0,0,0,0,0,0,2,0.5"


def test_thunderstorm_round_trip_keeps_ten_digits_and_every_column(tmp_path: Path) -> None:
    table = full()
    again = read_localizations(write_localizations(tmp_path / "a.csv", table), pixel_nm=PIXEL_NM)
    assert_same(again.without(["id"]), table, 1e-9)
    assert_same(read_localizations(write_localizations(tmp_path / "b.csv", again)), again, 1e-9)


def test_every_number_is_one_that_java_reads_whole(tmp_path: Path) -> None:
    ends = [1e-12, 2.5e-5, 0.1, 1234.5, 7e10, 3.25e300]
    rows = Localizations(
        {"frame": range(1, 7), "x_nm": ends, "y_nm": [-value for value in ends], "photons": ends, "doubt": ends}
    )
    path = write_localizations(tmp_path / "a.csv", rows)
    for row in path.read_text().splitlines()[1:]:
        for field in row.split(","):
            assert re.fullmatch(r"-?\d+(\.\d+)?(E-?\d+)?", field), f"DecimalFormat reads {field} as its beginning"
    assert_same(read_localizations(path).without(["id"]), rows, 1e-9)


def test_what_is_unknown_is_zero_in_the_file_and_unknown_again(tmp_path: Path) -> None:
    table = Localizations({"frame": [1, 2], "x_nm": [1.0, 2.0], "y_nm": [3.0, 4.0], "photons": [np.nan, 5.0]})
    again = read_localizations(write_localizations(tmp_path / "a.csv", table))
    assert set(again.columns) == {"id", "frame", "x_nm", "y_nm", "photons"}
    assert again["photons"].tolist() == [0.0, 5.0]


@pytest.mark.parametrize("suffix", [".csv", ".hdf5"])
def test_a_table_without_rows_survives(tmp_path: Path, suffix: str) -> None:
    empty = Localizations.empty(pixel_nm=100.0)
    again = read_localizations(write_localizations(tmp_path / f"a{suffix}", empty))
    assert len(again) == 0


@pytest.mark.parametrize(
    "heading",
    [
        '"id","frame","x [nm]","y [nm]","uncertainty [nm]"',
        "id,frame,x [nm],y [nm],uncertainty_xy [nm]",
        '"id,""frame"",""x [nm]"",""y [nm]"",""uncertainty [nm]"""',
        " id , Frame , X[nm] , Y (nm) , uncertainty [ nm ] ",
        "\ufeff'id','frame','x [nm]','y [nm]','uncertainty_xy [nm]'",
        "id;frame;x [nm];y [nm];uncertainty [nm]",
        "id\tframe\tx [nm]\ty [nm]\tuncertainty [nm]",
        "\n\nid,frame,x [nm],y [nm],uncertainty [nm]",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_headings_in_every_dress(tmp_path: Path, heading: str, end: str) -> None:
    separator = next(each for each in ";\t," if each in heading)
    rows = [
        heading.replace("\n", end),
        separator.join(["1", "2.0", "10.5", "20.5", "3"]),
        separator.join(["2", "4.0", "11.5", "21.5", "4"]),
        "",
    ]
    table = read_text(tmp_path, end.join(rows))
    assert table["frame"].tolist() == [2, 4]
    assert table["x_nm"].tolist() == [10.5, 11.5]
    assert table["y_nm"].tolist() == [20.5, 21.5]
    assert table["uncertainty_nm"].tolist() == [3.0, 4.0]


def test_the_names_of_the_challenge(tmp_path: Path) -> None:
    table = read_text(
        tmp_path, "Ground-truth,frame,xnano,ynano,znano,intensity\n1, 20, 25713.33, 26788.90, 192.31, 1655.48\n"
    )
    assert {name: table[name][0] for name in ("frame", "x_nm", "y_nm", "z_nm", "photons", "ground_truth")} == {
        "frame": 20,
        "x_nm": 25713.33,
        "y_nm": 26788.90,
        "z_nm": 192.31,
        "photons": 1655.48,
        "ground_truth": 1.0,
    }


def test_frames_from_zero_are_counted_from_one_and_it_is_said(tmp_path: Path) -> None:
    zero = read_text(tmp_path, "frame,x [nm],y [nm]\n0,1,2\n4,1,2\n")
    assert zero["frame"].tolist() == [1, 5]
    assert zero.history["read"]["frames"] == "counted from 0 in the file; 1 added"
    one = read_text(tmp_path, "frame,x [nm],y [nm]\n1,1,2\n4,1,2\n")
    assert one["frame"].tolist() == [1, 4]
    assert "frames" not in one.history["read"]


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1e3), ("\u00b5m", 1e3), ("micron", 1e3), ("px", 110.0), ("pixel", 110.0), ("nm", 1.0)]
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_lengths_in_other_units_become_nanometres(tmp_path: Path, unit: str, factor: float, encoding: str) -> None:
    text = f"frame,x [{unit}],y [{unit}],sigma [{unit}]\n1,1.5,2.5,0.5\n"
    table = read_text(tmp_path, text.encode(encoding), pixel_nm=110.0)
    assert (table["x_nm"][0], table["y_nm"][0], table["sigma_nm"][0]) == (1.5 * factor, 2.5 * factor, 0.5 * factor)
    assert table.pixel_nm == 110.0


def test_what_cannot_be_converted_keeps_its_name_and_unit(tmp_path: Path) -> None:
    text = "frame,x [nm],y [nm],intensity [ADU],Sigma Ratio,name,z [px],frame\n1,1,2,3,4,bead,5,6\n2,1,2,3,4,cell,5,6\n"
    with pytest.warns(SuperlensWarning, match="gives z in px; expected nm, um or px. So z_nm is unknown"):
        table = read_text(tmp_path, text, pixel_nm=100.0)
    assert set(table.columns) == {"frame", "x_nm", "y_nm", "intensity_adu", "sigma_ratio", "z_px", "frame_2"}
    assert table.history["read"]["left_out"] == ["name"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frame,x [px],y [px]\n1,1,2\n", "camera pixels and does not say how large they are. Give `pixel_nm`"),
        ("frame,x,y\n1,1,2\n", "states no unit for x. Name the column x \\[nm\\]"),
        ("frame,x [inch],y [inch]\n1,1,2\n", "gives x in inch; expected nm, um or px"),
        ("id,x [nm],y [nm]\n1,1,2\n", "no column for frame; it has id, x, y"),
        ("frame,intensity [photon]\n1,1\n", "no column for x and y; it has frame, intensity"),
        ("frame,x [nm],y [nm]\n1,a,2\n", "a column x \\[nm\\] that cannot be read: row 1 holds 'a'"),
        ("1,10.5,20.5\n2,11.5,21.5\n", "begins with numbers; expected a line of column names"),
        ("frame,x [nm],y [nm]\n1,1\n", "3 column names and 2 values"),
        ("frame,x [nm],y [nm]\n1,1,2\n2,3\n", "3 column names and 2 values in row 2. It is damaged or cut short"),
        ("frame,x [nm],y [nm]\n1,1,2\n2,3,b\n", "a column y \\[nm\\] that cannot be read: row 2 holds 'b'"),
        ("frame,x [nm],y [nm]\n1,nan,2\n2,nan,4\n", "no row in which x is known"),
        ("frame,x [nm],y [nm]\n-1,1,2\n", "has the frame -1"),
        ("frame,x [nm],y [nm]\n1.5,1,2\n", "frame holds values that are not whole"),
        ("frame,x [nm],y [nm]\n1e300,1,2\n", "frame that cannot be counted"),
        ("frame,x [um],y [um]\n1,1e308,2\n", "no row in which x is known"),
        ("\x00\x01", "does not begin with a line of column names"),
        ("\n\n", "does not begin with a line of column names"),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SuperlensError, match=said) as caught:
        read_text(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "table.csv" in str(caught.value)


# -- Picasso


def test_picasso_counts_pixels_from_their_middle_and_frames_from_zero(tmp_path: Path) -> None:
    table = Localizations(
        {"frame": [1], "x_nm": [160.0 * 5.5], "y_nm": [80.0], "sigma_nm": [160.0], "z_nm": [-50.0]}, pixel_nm=160.0
    )
    path = write_localizations(tmp_path / "a.hdf5", table)
    with h5py.File(path) as file:
        record = file["locs"][0]
        assert file["locs"].dtype["frame"] == np.uint32
    assert {name: record[name] for name in ("frame", "x", "y", "sx", "sy", "z", "lpx", "lpy")} == {
        "frame": 0,
        "x": 5.0,
        "y": 0.0,
        "sx": 1.0,
        "sy": 1.0,
        "z": -50.0,
        "lpx": 0.0,
        "lpy": 0.0,
    }
    about = yaml.safe_load(path.with_suffix(".yaml").read_text())
    assert {name: about[name] for name in ("Width", "Height", "Frames", "Pixelsize")} == {
        "Width": 6,
        "Height": 1,
        "Frames": 1,
        "Pixelsize": 160.0,
    }
    assert_same(read_localizations(path), table, 1e-6)


def test_picasso_round_trip_is_exact_to_float32(tmp_path: Path) -> None:
    table = full()
    path = write_localizations(tmp_path / "a.hdf5", table)
    again = read_localizations(path)
    assert_same(again.without(["sigma_nm"]), table.without(["sigma_nm"]), 2**-23)
    assert (again.pixel_nm, again.yx_shape, again.frames) == (PIXEL_NM, (40, 50), 60)
    assert again.history["by"] == "hand"
    second = write_localizations(tmp_path / "b.hdf5", again)
    with h5py.File(path) as one, h5py.File(second) as two:
        for name in one["locs"].dtype.names:
            np.testing.assert_array_equal(one["locs"][name], two["locs"][name], err_msg=name)


def test_the_yaml_is_needed_or_the_pixel_size(tmp_path: Path) -> None:
    path = write_localizations(tmp_path / "a.hdf5", full())
    path.with_suffix(".yaml").unlink()
    with pytest.raises(SuperlensError, match="does not say how large they are. Give `pixel_nm`"):
        read_localizations(path)
    assert read_localizations(path, pixel_nm=PIXEL_NM)["x_nm"] == pytest.approx(full()["x_nm"], rel=1e-12)


def test_the_last_step_of_the_yaml_counts(tmp_path: Path) -> None:
    path = write_localizations(tmp_path / "a.hdf5", full())
    beside = path.with_suffix(".yaml")
    beside.write_text(beside.read_text() + "---\nPixelsize: 64\nFrames: 3\n")
    again = read_localizations(path)
    assert again.pixel_nm == 64.0
    assert again.frames is None  # fewer than there are in the rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no YAML"),
        ("[" * 5000, "is no YAML|Give `pixel_nm`"),
        ("!!python/object/apply:os.system ['echo']", "is no YAML"),
        ("Pixelsize: 0.16", "states a pixel size of 0.16 nm; expected 1 to 10000. Is it in micrometres?"),
        ("Pixelsize: -3", "Give `pixel_nm`"),
        (f"Pixelsize: {10**400}", "Give `pixel_nm`"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]\nsuperlens history: *c", "Give `pixel_nm`"),
    ],
)
def test_a_yaml_that_makes_no_sense(tmp_path: Path, text: str, said: str) -> None:
    path = write_localizations(tmp_path / "a.hdf5", full())
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(SuperlensError, match=said):
        read_localizations(path)


def test_picasso_needs_a_pixel_size(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError, match="no pixel_nm"):
        write_localizations(tmp_path / "a.hdf5", Localizations.empty())
    assert not list(tmp_path.iterdir())


def test_a_corrected_uncertainty_goes_before_the_one_of_the_file(tmp_path: Path) -> None:
    table = Localizations({"frame": [1], "x_nm": [64.0], "y_nm": [64.0], "uncertainty_nm": [8.0]}, pixel_nm=128.0)
    path = write_localizations(tmp_path / "a.hdf5", table.with_columns(lpx_px=[1.0], lpy_px=[2.0]))
    assert read_localizations(path)["uncertainty_nm"].tolist() == [8.0]


# -- files that cannot be


@pytest.mark.parametrize("content", [b"frame,x [nm],y [nm]\n1,2,3\n", b"\x00" * 20])
@pytest.mark.parametrize("suffix", [".hdf5", ".h5", ".smlm"])
def test_an_ending_that_the_content_denies(tmp_path: Path, suffix: str, content: bytes) -> None:
    with pytest.raises(SuperlensError, match="as its ending says"):
        read_text(tmp_path, content, f"a{suffix}")


@pytest.mark.parametrize(
    ("name", "said"), [("a.mat", "expected .csv"), ("a.yaml", "give the .hdf5 file"), ("a", "no extension")]
)
def test_unknown_kinds(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(SuperlensError, match=said):
        read_text(tmp_path, "x", name)


def test_no_file_and_no_sense(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError, match="does not exist"):
        read_localizations(tmp_path / "none.csv")
    with pytest.raises(SuperlensError, match="expected a table of localizations"):
        read_localizations(tmp_path)
    with pytest.raises(SuperlensError, match="is empty"):
        read_text(tmp_path, "")
    with pytest.raises(SuperlensError, match="pixel_nm is 0.1 nm; expected 1 to 10000. Is it in micrometres?"):
        read_text(tmp_path, "frame,x [nm],y [nm]\n1,1,2\n", pixel_nm=0.1)
    with pytest.raises(SuperlensError, match=r"expected .csv for ThunderSTORM or .hdf5 for Picasso"):
        write_localizations(tmp_path / "a.txt", full())


@pytest.mark.parametrize("name", ["a.csv", "a.hdf5"])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SuperlensError, match="does not exist"):
        write_localizations(tmp_path / "none" / name, full())
    old = write_localizations(tmp_path / name, full())
    before = old.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(np, "savetxt", full_disk)
    monkeypatch.setattr(h5py, "File", full_disk)
    with pytest.raises(SuperlensError, match="no space left"):
        write_localizations(tmp_path / name, full(2))
    if os.geteuid() != 0:
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(SuperlensError, match="may not be written"):
            write_localizations(tmp_path / name, full(2))
        tmp_path.chmod(stat.S_IRWXU)
    assert old.read_bytes() == before
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".part"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sets(st.sampled_from(sorted(set(KNOWN_COLUMNS) - {"frame", "x_nm", "y_nm"}))),
)
def test_any_choice_of_columns_survives_both_formats(tmp_path: Path, seed: int, rows: int, chosen: set[str]) -> None:
    whole = full(rows, seed)
    table = whole.without(set(KNOWN_COLUMNS) - chosen - {"frame", "x_nm", "y_nm"})
    for name, rtol in (("a.csv", 1e-9), ("a.hdf5", 2**-23)):
        again = read_localizations(write_localizations(tmp_path / name, table))
        for column in set(table.columns) & set(again.columns):
            np.testing.assert_allclose(again[column], table[column], rtol=rtol, err_msg=column)
        lost = set(table.columns) - set(again.columns)
        assert not lost - ({"sigma_nm", "sigma_x_nm", "sigma_y_nm"} if name == "a.hdf5" else set())
