"""Tables of localizations that other programs wrote: what their columns mean, and one line for any damage."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io import read_localizations, write_localizations
from superlens.smlm.table import Localizations

DATA = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "deep-storm"
FLAT = '"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]","offset [photon]","bkgstd [photon]","chi2","uncertainty [nm]"'
RAPIDSTORM = (
    '# <localizations insequence="true"><field identifier="Position-0-0" semantic="position in sample space in X" unit="nanometer" />'
    '<field identifier="Position-1-0" semantic="position in sample space in Y" unit="nanometer" />'
    '<field identifier="ImageNumber-0-0" semantic="frame number" unit="frame" min="0 fr" />'
    '<field identifier="Amplitude-0-0" semantic="emission strength" unit="A/D count" />'
    '<field identifier="PSFWidth-0-0" semantic="PSF FWHM in X" unit="nanometer" /></localizations>\n'
    "1000.5 200 1 2213.9 235.482\n300 400 3 2841.8 353.223\n"
)
ELYRA = (
    "Index\tFirst Frame\tNumber Frames\tPosition X [nm]\tPosition Y [nm]\tPrecision [nm]\tNumber Photons\tPSF half width [nm]\r\n"
    "1\t1\t1\t15850.6\t23502.1\t8.6\t472\t110.0\r\n2\t4\t2\t25617.3\t24310.2\t9.5\t529\t129.8\r\n"
)
NANOIMAGER = (
    "Channel,Frame,X (nm),Y (nm),Z (nm),Photons,Background\n"
    "0,1548,40918.949219,56104.691406,0.000000,139.828232,0.848500\n1,5,3237.638672,3575.894531,0.000000,549.300476,17.871332\n"
)


def sample(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the sample data at {DATA}")
    return path


def read_text(folder: Path, text: str | bytes, name: str = "table.csv", **options: Any) -> Localizations:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_localizations(folder / name, **options)


def assert_same(one: Localizations, other: Localizations, rtol: float) -> None:
    assert set(one.columns) == set(other.columns)
    for name in one.columns:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, err_msg=name)


# -- formats that are read


def decode_bytes(unit: object = "px", **changes: Any) -> bytes:
    content = io.BytesIO()
    data = {
        "xyz": np.array([[0.0, 10.0, 100.0], [-0.5, 20.0, -50.0]], np.float32),
        "xyz_sig": np.array([[0.1, 0.1, 30.0], [0.3, 0.4, 40.0]], np.float32),
        "phot": np.array([900, 800], np.float32),
        "frame_ix": np.array([0, 7]),
        "prob": np.array([0.9, 0.8], np.float32),
        "bg": h5py.Empty("f"),
    } | changes
    with h5py.File(content, "w") as file:
        for name, values in data.items():
            if values is not None:
                file.create_dataset(f"data/{name}", data=values)
        file.create_group("meta").attrs.update({"xy_unit": unit, "px_size": np.array([120.0, 100.0], np.float32)})
    return content.getvalue()


def test_decode_in_pixels_and_in_nanometres(tmp_path: Path) -> None:
    table = read_text(tmp_path, decode_bytes(), "a.h5")
    assert table["frame"].tolist() == [1, 8]
    assert table["x_nm"].tolist() == [60.0, 0.0]
    assert table["y_nm"].tolist() == [1050.0, 2050.0]
    assert table["z_nm"].tolist() == [100.0, -50.0]
    assert table["uncertainty_z_nm"].tolist() == [30.0, 40.0]
    assert table.pixel_nm is None  # pixels are not square
    assert "background" not in table
    assert read_text(tmp_path, decode_bytes(), "a.h5", pixel_nm=100.0)["x_nm"].tolist() == [50.0, 0.0]
    metric = read_text(tmp_path, decode_bytes(np.bytes_("nm")), "a.h5")
    assert_same(read_text(tmp_path, decode_bytes("nm"), "a.h5"), metric, 0.0)
    assert metric["y_nm"].tolist() == [60.0, 70.0]
    assert metric["uncertainty_nm"][1] == pytest.approx(np.sqrt(0.125))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (decode_bytes(xyz=None), "no positions of shape"),
        (decode_bytes(xyz=np.zeros((2, 2))), "no positions of shape"),
        (decode_bytes(frame_ix=None), "no column for frame"),
        (decode_bytes("furlong"), "states no unit for x"),
    ],
)
def test_decode_without_what_is_needed(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SuperlensError, match=said):
        read_text(tmp_path, content, "a.h5")


def test_hdf5_that_points_elsewhere_or_claims_too_much_is_refused(tmp_path: Path) -> None:
    some = Localizations({"frame": np.ones(5, int), "x_nm": np.ones(5), "y_nm": np.ones(5)}, pixel_nm=100.0)
    secret = write_localizations(tmp_path / "secret.hdf5", some)
    for name, make in {
        "linked": lambda file: file.__setitem__("locs", h5py.ExternalLink(str(secret), "/locs")),
        "soft": lambda file: file.__setitem__("locs", h5py.SoftLink("/elsewhere")),
        "group": lambda file: file.create_group("locs"),
        "raw": lambda file: file.create_dataset("locs", (10,), "u1", external=[(str(secret), 0, 10)]),
        "huge": lambda file: file.create_dataset("locs", (1 << 50,), "u1", chunks=(1024,)),
        "other": lambda file: file.create_group(b"image\ns\xff"),
    }.items():
        path = tmp_path / f"{name}.hdf5"
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(
            SuperlensError, match="does not hold locs|claims|no table of records|expected locs"
        ) as caught:
            read_localizations(path, pixel_nm=100.0)
        assert "\n" not in str(caught.value)


def smlm_bytes(rows: int = 2, manifest: dict[str, Any] | None = None, **changes: Any) -> bytes:
    columns = {
        "type": "table",
        "mode": "binary",
        "columns": 4,
        "headers": ["frame", "x", "y", "intensity"],
        "dtype": ["uint16", "float32", "float64", "uint8"],
        "shape": [1, "1", [1], 1],
        "units": ["frame", "um", "", "photon"],
    } | changes
    entry = {
        "name": "table-0.bin",
        "type": "table",
        "format": "f",
        "channel": "default",
        "rows": str(rows),
        "offset": {"frame": 3, "x": 0},
    }
    record = np.dtype([("frame", "<u2"), ("x", "<f4"), ("y", "<f8"), ("i", "u1")])
    values = np.array([(0, 1.5, 20.25, 9), (4, 2.5, 30.25, 7)], record)
    whole = {"format_version": "0.2", "formats": {"f": columns}, "files": [entry]} | (manifest or {})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(whole))
        archive.writestr("table-0.bin", values.tobytes())
    return content.getvalue()


def test_smlm_with_units_and_offsets(tmp_path: Path) -> None:
    table = read_text(tmp_path, smlm_bytes(), "a.smlm")
    assert table["frame"].tolist() == [3, 7]
    assert table["x_nm"].tolist() == [1500.0, 2500.0]
    assert table["y_nm"].tolist() == [20.25, 30.25]
    assert table["photons"].tolist() == [9.0, 7.0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (smlm_bytes(rows=3), "claims 3 rows of 15 bytes but has 30"),
        (smlm_bytes(rows=-1), "claims -1 rows"),
        (smlm_bytes(dtype=["object"] * 4), "object"),
        (smlm_bytes(shape=[1, 1]), "unequal lengths"),
        (smlm_bytes(shape=[1, 1, 1, 0]), "without values"),
        (smlm_bytes(mode="text"), "expected binary"),
        (smlm_bytes(manifest={"files": []}), "holds no table"),
        (smlm_bytes(manifest={"files": [3]}), "damaged or no .smlm file"),
        (smlm_bytes(manifest={"format_version": "7"}), "version 7"),
        (smlm_bytes(units=["", "lightyear", "", ""]), "gives x in lightyear"),
        (smlm_bytes()[:-30], "damaged or no .smlm file"),
    ],
)
def test_lying_archives_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SuperlensError, match=said):
        read_text(tmp_path, content, "a.smlm")


def test_several_tables_of_one_archive_become_one(tmp_path: Path) -> None:
    entry = {"name": "table-0.bin", "type": "table", "format": "f", "rows": 2}
    content = smlm_bytes(
        manifest={"files": [entry | {"channel": name} for name in ("red", "green")] + [{"type": "image"}]}
    )
    table = read_text(tmp_path, content, "a.smlm")
    assert table["channel"].tolist() == [2.0, 2.0, 1.0, 1.0]
    assert table["frame"].tolist() == [1, 5, 1, 5]


def test_a_zip_without_manifest_is_no_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.smlm", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(SuperlensError, match=r"without manifest.json"):
        read_localizations(tmp_path / "a.smlm")


def test_rapidstorm_counts_from_the_middle_of_the_first_pixel(tmp_path: Path) -> None:
    table = read_text(tmp_path, RAPIDSTORM, "a.txt", pixel_nm=100.0)
    assert table["frame"].tolist() == [2, 4]
    assert table["x_nm"].tolist() == [1050.5, 350.0]
    assert table["sigma_x_nm"] == pytest.approx([100.0, 150.0], rel=1e-5)
    assert table["amplitude_0_0_counts"].tolist() == [2213.9, 2841.8]
    with pytest.warns(SuperlensWarning, match="half a pixel off. Give `pixel_nm`"):
        assert read_text(tmp_path, RAPIDSTORM, "a.txt")["x_nm"].tolist() == [1000.5, 300.0]


@pytest.mark.parametrize("tail", [b"", b"\x00\r\r\nVoxelSizeX : 0.097 \xb5m\r\r\nSizeX : 3200\r\n"])
def test_elyra_with_and_without_its_notes(tmp_path: Path, tail: bytes) -> None:
    table = read_text(tmp_path, ELYRA.encode() + tail, "a.txt")
    assert table["frame"].tolist() == [1, 4]
    assert table["detections"].tolist() == [1, 2]
    assert table["x_nm"].tolist() == [15850.6, 25617.3]
    assert table["photons"].tolist() == [472.0, 529.0]
    assert table["psf_half_width_nm"].tolist() == [110.0, 129.8]


def test_nanoimager_counts_frames_from_zero(tmp_path: Path) -> None:
    table = read_text(tmp_path, NANOIMAGER)
    assert table["frame"].tolist() == [1549, 6]
    assert table["background"].tolist() == [0.8485, 17.871332]
    assert "z_nm" not in table  # zero in every row: the data are flat


@pytest.mark.parametrize(
    ("name", "rows", "first", "pixel_nm"),
    [
        ("deepstorm-demo1-simulated/positions_demo1.csv", 4956, (1, 67.843, 2484.15594), None),
        ("thunderstorm-frame/tubulins1_00020.csv", 49, (20, 25713.33, 26788.9), None),
        ("pyme-import-csv/ThunderSTORM_TS3D.csv", 11195, (1, 24840.78095, 20471.75758), None),
        ("locan-formats/Thunderstorm_dstorm_data.csv", 19, (2001, 1320.109670647555, 26344.7124618434), None),
        ("locan-formats/Nanoimager_dstorm_data.csv", 14, (1549, 40918.949219, 56104.691406), None),
        ("locan-formats/Elyra_dstorm_data.txt", 15, (1, 15850.6, 23502.1), None),
        ("locan-formats/SMLM_dstorm_data.smlm", 10, (1, 1653.34, 8879.34), None),
        ("locan-formats/rapidSTORM_dstorm_data.txt", 14, (1, 9657.4 + 64.15, 24533.5 + 64.15), 128.3),
        ("locan-formats/rapidSTORM_from_images.txt", 12, (2, 11135.1 + 66.75, 4757.58 + 66.75), 133.5),
        ("locan-formats/decode_dstorm_data.h5", 96, (295, 0.35079172 * 127, 139.39474 * 117), None),
        ("picasso-formats/testdata_locs.hdf5", 564, (12, 6.118027 * 130, 5.8064218 * 130), None),
    ],
)
def test_tables_of_other_programs(name: str, rows: int, first: tuple[float, ...], pixel_nm: float | None) -> None:
    table = read_localizations(sample(name), pixel_nm=pixel_nm)
    assert len(table) == rows
    assert [table[each][0] for each in ("frame", "x_nm", "y_nm")] == pytest.approx(first, rel=1e-6)


def fitted(image: np.ndarray[Any, Any], x: float, y: float) -> np.ndarray[Any, Any]:
    """Middle of a Gaussian fitted to 7 x 7 pixels, in pixels from the outer corner."""
    from scipy.optimize import least_squares

    left, top = round(x - 0.5) - 3, round(y - 0.5) - 3
    part = image[top : top + 7, left : left + 7].astype(float)
    row, column = np.mgrid[top : top + 7, left : left + 7] + 0.5

    def residual(p: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return (p[0] * np.exp(-((column - p[1]) ** 2 + (row - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4] - part).ravel()

    return least_squares(residual, [np.ptp(part), x, y, 1.0, np.median(part)]).x[1:3]


def test_picasso_positions_lie_on_the_blinks_of_its_movie() -> None:
    movie = np.fromfile(sample("picasso-formats/testdata.raw"), "<u2").reshape(100, 32, 32)
    table = read_localizations(sample("picasso-formats/testdata_locs.hdf5"))
    pixel_nm = table.pixel_nm
    assert pixel_nm is not None
    bright = table.where((table["frame"] <= 100) & (table["photons"] > 3000))
    offsets = [
        fitted(movie[frame - 1], x / pixel_nm, y / pixel_nm) - (x / pixel_nm, y / pixel_nm)
        for frame, x, y in zip(bright["frame"], bright["x_nm"], bright["y_nm"], strict=True)
    ]
    assert len(offsets) > 15
    assert np.abs(np.median(offsets, axis=0)).max() < 0.01  # half a pixel would be 0.5
    assert np.abs(offsets).max() < 0.1


def test_rapidstorm_positions_lie_on_the_blinks_of_its_frames() -> None:
    tifffile = pytest.importorskip("tifffile")
    movie = tifffile.imread(sample("locan-formats/images.tif"))
    table = read_localizations(sample("locan-formats/rapidSTORM_from_images.txt"), pixel_nm=133.5)
    bright = table.where((table["frame"] <= len(movie)) & (table["amplitude_0_0_counts"] > 2000))
    offsets = [
        fitted(movie[frame - 1], x / 133.5, y / 133.5) - (x / 133.5, y / 133.5)
        for frame, x, y in zip(bright["frame"], bright["x_nm"], bright["y_nm"], strict=True)
    ]
    assert len(offsets) == 3
    assert np.abs(offsets).max() < 0.05


# -- damage


def picasso_bytes() -> bytes:
    content = io.BytesIO()
    record = [("frame", "<u4"), ("x", "<f4"), ("y", "<f4"), ("photons", "<f4"), ("lpx", "<f4"), ("lpy", "<f4")]
    with h5py.File(content, "w") as file:
        file.create_dataset("locs", data=np.ones(20, record), compression="gzip")
    return content.getvalue()


WHOLE = {
    "a.csv": (FLAT + "\n" + "1,3,1.5,2.25,110,900,20,4,1,9\n" * 5).encode(),
    "b.csv": NANOIMAGER.encode(),
    "a.txt": RAPIDSTORM.encode(),
    "c.csv": (
        b"LABEL,TRACK_ID,POSITION_X,POSITION_Y,FRAME\nLabel,Track ID,X,Y,Frame\n,,(micron),(micron),\nID1,0,1.5,2.5,0\nID2,,3.5,4,1\n"
    ),
    "d.csv": b"sep=;\n# by hand\nframe;x [nm];y [nm];uncertainty [nm]\n1;812;640,5;\n2;1.834,5;1411;14,2\n",
    "e.csv": b"xnm,ynm,frame,phot,bg,locprecnm\n812.5,640.2,1,1834,12,\n2,3,4,5,6,7\n",
    "c.txt": b"#Calibration nmPerPixel 107.0\n#Frame\torigX\torigY\torigValue\tX\tY\tPrecision\n1\t2\t3\t4\t2.5\t3.5\t9*\n",
    "a.xls": b" \tX (px)\tY (px)\tX (nm)\tY (nm)\tFrame Number\n1\t2.5\t3.5\t250\t350\t1\n",
    "b.txt": ELYRA.encode() + b"\x00\r\r\nSizeX : 3200\r\n",
    "a.smlm": smlm_bytes(),
    "a.h5": decode_bytes(),
    "a.hdf5": picasso_bytes(),
}


def read_or_one_line(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", SuperlensWarning)
        try:
            read_localizations(path, pixel_nm=100.0)
        except SuperlensError as error:
            assert "\n" not in str(error)
            assert path.name in str(error)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_a_table_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(WHOLE)))
    content = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content)) | st.just(len(content))) :]
    (tmp_path / name).write_bytes(content)
    read_or_one_line(tmp_path / name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([".csv", ".txt"]),
    st.text(max_size=200) | st.binary(max_size=200).map(lambda each: each.decode("latin-1")),
)
def test_any_text_gives_a_table_or_one_line(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(b"frame,x [nm],y [nm]\n" + text.encode("utf-8", "surrogatepass"))
    read_or_one_line(path)
    path.write_bytes(text.encode("utf-8", "surrogatepass") or b" ")
    read_or_one_line(path)
