"""Tables of text as people and programs leave them: what a column means is decided from all of its rows, and nothing vanishes unsaid."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io import read_localizations
from superlens.smlm.table import Localizations

NAN = np.nan
HEAD = "id,frame,x [nm],y [nm],intensity [photon],uncertainty [nm]"


def read_text(folder: Path, text: str | bytes, name: str = "table.csv", **options: Any) -> Localizations:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_localizations(folder / name, **options)


def same(table: Localizations, **columns: list[float]) -> None:
    for name, values in columns.items():
        np.testing.assert_array_equal(table[name], values, err_msg=name)


# -- empty cells


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("nothing", ["", " ", "NaN", "NA", "n/a", "null", "-", "1.#IND", "#N/A"])
def test_an_empty_cell_is_unknown_in_whichever_row(tmp_path: Path, row: int, nothing: str) -> None:
    cells = [
        ["1", "1", "812.5", "640.2", "1834", "9"],
        ["2", "1", "2210", "1411", "902", "14"],
        ["3", "3", "815", "642", "1500", "10"],
    ]
    cells[row][5] = nothing
    table = read_text(tmp_path, "\n".join([HEAD, *map(",".join, cells)]))
    expected = [9.0, 14.0, 10.0]
    expected[row] = NAN
    same(table, uncertainty_nm=expected, photons=[1834, 902, 1500], x_nm=[812.5, 2210, 815])


def test_rows_without_a_position_are_left_out_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(SuperlensWarning, match="does not say frame or x in 2 of 4 rows, which are left out"):
        table = read_text(tmp_path, "frame,x [nm],y [nm]\n1,,2\n2,3,4\n,5,6\n4,7,8\n")
    same(table, frame=[2, 4], x_nm=[3, 7])
    assert table.history["read"]["rows_left_out"] == 2


def test_a_column_that_must_be_whole_and_has_holes_is_named(tmp_path: Path) -> None:
    with pytest.warns(SuperlensWarning, match="does not say detections in 1 of 2 rows. So detections is unknown"):
        assert "detections" not in read_text(tmp_path, "frame,x [nm],y [nm],detections\n1,1,2,3\n2,3,4,\n")


def test_a_column_without_any_value_is_left_out(tmp_path: Path) -> None:
    table = read_text(tmp_path, "frame,x [nm],y [nm],uncertainty [nm],note\n1,1,2,,a\n2,3,4,,b\n")
    assert set(table.columns) == {"frame", "x_nm", "y_nm"}
    assert table.history["read"]["left_out"] == ["uncertainty [nm]", "note"]


def test_empty_rows_at_the_end_say_nothing(tmp_path: Path) -> None:
    same(read_text(tmp_path, "frame,x [nm],y [nm]\n1,2,3\n,,\n\n,,\n"), frame=[1])


# -- columns that cannot be read


@pytest.mark.parametrize(
    ("heading", "ours"),
    [("uncertainty [nm]", "uncertainty_nm"), ("intensity [photon]", "photons"), ("sigma [nm]", "sigma_nm")],
)
@pytest.mark.parametrize("row", [1, 2, 3])
def test_a_known_column_that_cannot_be_read_is_named(tmp_path: Path, heading: str, ours: str, row: int) -> None:
    cells = ["5", "6", "7"]
    cells[row - 1] = "bad"
    rows = [f"{at + 1},1,2,{cell}" for at, cell in enumerate(cells)]
    with pytest.warns(SuperlensWarning) as caught:
        table = read_text(tmp_path, "\n".join([f"frame,x [nm],y [nm],{heading}", *rows]))
    assert f"a column {heading} that cannot be read: row {row} holds 'bad'. So {ours} is unknown" in str(
        caught[0].message
    )
    assert ours not in table


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_position_or_frame_that_cannot_be_read_is_refused_by_name(tmp_path: Path, column: int) -> None:
    cells = ["1", "2", "3"]
    cells[column] = "x7"
    name = ["frame", r"x \[nm\]", r"y \[nm\]"][column]
    with pytest.raises(SuperlensError, match=f"a column {name} that cannot be read: row 2 holds 'x7'"):
        read_text(tmp_path, "frame,x [nm],y [nm]\n1,2,3\n" + ",".join(cells) + "\n")


def test_a_length_without_a_unit_is_named(tmp_path: Path) -> None:
    with pytest.warns(
        SuperlensWarning, match=r"no unit for uncertainty. Name the column uncertainty \[nm\].* is unknown"
    ):
        table = read_text(tmp_path, "frame,x [nm],y [nm],uncertainty\n1,2,3,4\n")
    assert table["uncertainty"].tolist() == [4.0]


def test_columns_of_words_are_left_out(tmp_path: Path) -> None:
    table = read_text(tmp_path, "frame,x [nm],y [nm],cell,class\n1,2,3,a,1\n2,3,4,b,noise\n")
    assert set(table.columns) == {"frame", "x_nm", "y_nm"}


# -- decimal commas


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_beside_whole_numbers(tmp_path: Path, separator: str) -> None:
    lines = [
        "id;frame;x [nm];y [nm];intensity [photon];uncertainty [nm]",
        "1;1;812;640;1834,5;9,4",
        "2;1;2210;1411;902,1;14,2",
    ]
    table = read_text(tmp_path, "\n".join(lines).replace(";", separator), "table.txt")
    same(table, x_nm=[812, 2210], y_nm=[640, 1411], photons=[1834.5, 902.1], uncertainty_nm=[9.4, 14.2], frame=[1, 1])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["812,5", "2210", "815,25"], [812.5, 2210, 815.25]),
        (["-,5", "1,5E+3", "2,"], [-0.5, 1500, 2]),
        (["1.834,5", "902,1", "12.210,25"], [1834.5, 902.1, 12210.25]),
        (["1,834.5", "902.1", "12,210.25"], [1834.5, 902.1, 12210.25]),
        (["812,500", "902,125", ""], [812.5, 902.125, NAN]),
        (["812.500", "902.125", ""], [812.5, 902.125, NAN]),
        (["\u2212812.5", "\u22121e3", "1"], [-812.5, -1000, 1]),
    ],
)
def test_numbers_in_the_ways_of_several_countries(tmp_path: Path, cells: list[str], values: list[float]) -> None:
    rows = [f"{at + 1};1;2;{cell}" for at, cell in enumerate(cells)]
    same(read_text(tmp_path, "\n".join(["frame;x [nm];y [nm];intensity [photon]", *rows])), photons=values)
    quoted = [f'{at + 1},1,2,"{cell}"' for at, cell in enumerate(cells)]
    same(read_text(tmp_path, "\n".join(["frame,x [nm],y [nm],intensity [photon]", *quoted])), photons=values)


def test_what_a_comma_means_may_follow_from_another_column(tmp_path: Path) -> None:
    with pytest.warns(SuperlensWarning, match="1,834 is read as 1834: other columns have another sign for decimals"):
        same(read_text(tmp_path, "frame;x [nm];y [nm];intensity [photon]\n1;1.5;2;1,834\n"), photons=[1834])
    with pytest.warns(SuperlensWarning, match="1.834 is read as 1834"):
        same(read_text(tmp_path, "frame;x [nm];y [nm];intensity [photon]\n1;1,5;2;1.834\n"), photons=[1834])


def test_both_signs_in_one_column_cannot_be_read(tmp_path: Path) -> None:
    with pytest.warns(SuperlensWarning, match="has decimal points and decimal commas"):
        read_text(tmp_path, "frame;x [nm];y [nm];sigma [nm]\n1;1;2;120.5\n2;1;2;130,25\n")


def test_decimal_commas_between_commas_are_explained(tmp_path: Path) -> None:
    with pytest.raises(SuperlensError, match="3 column names and 5 values in row 1. Where numbers have decimal commas"):
        read_text(tmp_path, "frame,x [nm],y [nm]\n1,812,5,640,2\n")


# -- what stands around the rows


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nframe;x [nm];y [nm]\n1;2;3\n",
        "\ufeffsep=;\nframe;x [nm];y [nm]\n1;2;3\n",
        "SEP=\t\nframe\tx [nm]\ty [nm]\n1\t2\t3\n",
        "sep=\\t\nframe\tx [nm]\ty [nm]\n1\t2\t3\n",
        "# made by hand\n#\n# on Monday, or so\nframe,x [nm],y [nm]\n1,2,3\n",
        "frame,x [nm],y [nm]\n# first part\n1,2,3\n# the end\n",
        "# frame,x [nm],y [nm]\n1,2,3\n",
        "% made by hand\nframe,x [nm],y [nm]\n1,2,3\n",
        "frame,x [nm],y [nm],\n1,2,3,\n",
        "frame,x [nm],y [nm],\n1,2,3\n",
        "frame,x [nm],y [nm]\n1,2,3,\n",
        "frame,x,y\n,[nm],[nm]\n1,2,3\n",
        "frame,x,y\n,(nm),(nm)\n1,2,3\n",
        "frame,x_nm,y_nm\n1,2,3\n",
        "frame,X_um,Y_um\n1,0.002,0.003\n",
        "frame number,x nm,y nm\n1,2,3\n",
        "FRAME,X [NM],Y (Nm)\n1.0,2.0,3e0\n",
        "frame,x [nm],y [nm]\n1.0000001,2,3\n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_stands_around_the_rows_changes_nothing(tmp_path: Path, text: str, end: str) -> None:
    table = read_text(tmp_path, text.replace("\n", end))
    same(table, frame=[1], x_nm=[2], y_nm=[3])
    assert set(table.columns) - {"column"} == {"frame", "x_nm", "y_nm"}


def test_text_of_another_encoding(tmp_path: Path) -> None:
    text = "frame\tx [µm]\ty [µm]\n1\t2\t3\n"
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "utf-16"):
        same(read_text(tmp_path, text.encode(encoding)), x_nm=[2000], y_nm=[3000])


def test_columns_in_another_order_mean_the_same(tmp_path: Path) -> None:
    same(
        read_text(tmp_path, "uncertainty [nm],y [nm],intensity [photon],x [nm],frame\n,2,,1,7\n5,4,6,3,8\n"),
        frame=[7, 8],
        x_nm=[1, 3],
        y_nm=[2, 4],
        photons=[NAN, 6],
        uncertainty_nm=[NAN, 5],
    )


def test_of_two_columns_that_mean_the_same_the_one_that_can_be_converted_is_taken(tmp_path: Path) -> None:
    table = read_text(tmp_path, "frame,x [px],y [px],x [nm],y [nm]\n1,2,3,200,300\n")
    same(table, x_nm=[200], y_nm=[300], x_px=[2], y_px=[3])


def test_many_rows_with_one_hole_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 1000, (30_000, 9)).round(3)
    lines = [f"{at + 1}," + ",".join(map(str, row)) for at, row in enumerate(values)]
    lines[0] = lines[0].rsplit(",", 1)[0] + ","
    start = time.perf_counter()
    table = read_text(tmp_path, "frame,x [nm],y [nm],a,b,c,d,e,f,uncertainty [nm]\n" + "\n".join(lines))
    assert time.perf_counter() - start < 20  # only against doing it cell by cell in a slow way
    assert np.isnan(table["uncertainty_nm"]).sum() == 1


# -- programs


def test_n_storm(tmp_path: Path) -> None:
    heading = (
        "Channel Name\tX\tY\tXc\tYc\tHeight\tArea\tWidth\tPhi\tAx\tBG\tI\tFrame\tLength\tLink\tValid\tZ\tZc\tPhotons\t"
        "Lateral Localization Accuracy\tXw\tYw\tXwc\tYwc"
    )
    row = "647\t812.5\t640.2\t810.5\t641.2\t900\t4000\t310\t0\t1.1\t50\t4000\t{}\t2\t-1\t1\t0\t0\t1834\t9.4\t812.5\t640.2\t810.5\t641.2"
    table = read_text(tmp_path, "\n".join([heading, row.format(1), row.format(7)]), "list.txt")
    same(table, frame=[1, 7], x_nm=[810.5] * 2, y_nm=[641.2] * 2, x_raw_nm=[812.5] * 2, photons=[1834] * 2)
    same(table, uncertainty_nm=[9.4] * 2, detections=[2, 2], width=[310, 310])
    assert "z_nm" not in table
    assert table.history["read"]["format"] == "N-STORM text"


def test_n_storm_without_drift_correction(tmp_path: Path) -> None:
    text = "Channel Name\tX\tY\tXc\tYc\tFrame\tPhotons\n647\t812.5\t640.2\t0\t0\t1\t1834\n"
    same(read_text(tmp_path, text, "list.txt"), x_nm=[812.5], y_nm=[640.2])


def test_smap(tmp_path: Path) -> None:
    text = "xnm,ynm,znm,frame,locprecnm,phot,bg,LLrel,PSFxnm,channel,locprecznm\n812.5,640.2,-50,3,9.4,1834,12,-1.2,131,1,20\n"
    table = read_text(tmp_path, text)
    same(
        table, x_nm=[812.5], y_nm=[640.2], z_nm=[-50], frame=[3], uncertainty_nm=[9.4], photons=[1834], background=[12]
    )
    same(table, sigma_nm=[131], uncertainty_z_nm=[20], llrel=[-1.2])


PEAKFIT = (
    "#Localisation Results File\n#FileVersion Text.D0.E0.V2\n"
    "#Calibration <gdsc.smlm.results.Calibration><nmPerPixel>107.0</nmPerPixel><gain>55.5</gain></gdsc.smlm.results.Calibration>\n"
)


def test_peakfit_of_both_ages(tmp_path: Path) -> None:
    old = "#Frame\torigX\torigY\torigValue\tError\tNoise\tBackground\tSignal\tAngle\tX\tY\tX SD\tY SD\tPrecision\n"
    row = "3\t20\t30\t900\t0.1\t4\t50\t4000\t0\t20.5\t30.25\t1.25\t1.5\t9.4*\n"
    table = read_text(tmp_path, PEAKFIT + old + row + "#Trace 1\n" + row, "a.txt")
    same(table, frame=[3, 3], x_nm=[20.5 * 107] * 2, y_nm=[30.25 * 107] * 2, sigma_x_nm=[1.25 * 107] * 2)
    same(table, uncertainty_nm=[9.4] * 2, signal=[4000] * 2)
    assert table.pixel_nm == 107.0
    new = (
        "#Frame\torigX\torigY\torigValue\tError\tNoise (photon)\tMean (photon)\tBackground (photon)\tIntensity (photon)\tX (nm)\tY (nm)\t"
        "Z (nm)\tS (nm)\tPrecision (nm)\n"
    )
    row = "3\t20\t30\t900\t0.1\t4\t7\t50\t1834\t2193.5\t3236.75\t0\t131\t9.4\n"
    table = read_text(tmp_path, '#Calibration {"nmPerPixel": 107.0}\n' + new + row, "b.txt")
    same(table, x_nm=[2193.5], photons=[1834], background=[50], sigma_nm=[131], uncertainty_nm=[9.4])


def test_quickpalm(tmp_path: Path) -> None:
    heading = (
        " \tIntensity\tX (px)\tY (px)\tX (nm)\tY (nm)\tZ (nm)\tLeft-Width(px)\tRight-Width (px)\tUp-Height (px)\tDown-Height (px)\t"
        "X Symmetry (%)\tY Symmetry (%)\tWidth minus Height (px)\tFrame Number"
    )
    rows = [
        "1\t900\t20.5\t30.25\t2193.5\t3236.75\t0\t1\t1\t1\t1\t90\t90\t0\t1",
        "2\t800\t10\t5\t1070\t535\t0\t1\t1\t1\t1\t90\t90\t0\t4",
    ]
    table = read_text(tmp_path, "\n".join([heading, *rows]), "table.xls")
    assert table.pixel_nm == 107.0
    same(
        table, frame=[1, 4], x_nm=[2193.5 + 53.5, 1070 + 53.5], y_nm=[3236.75 + 53.5, 535 + 53.5], intensity=[900, 800]
    )


TRACKMATE = (
    "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS,VISIBILITY\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius,Visibility\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R,Visibility\n"
    ",,,(quality),(micron),(micron),(micron),(sec),,(micron),\n"
)


def test_trackmate(tmp_path: Path) -> None:
    rows = ["ID7,7,{},3.3,21.5,36.25,0,0.1,{},0.4,1".format(*each) for each in ((0, 0), (0, 1), (1, 1))]
    table = read_text(tmp_path, TRACKMATE + "\n".join(rows), pixel_nm=100.0)
    same(table, frame=[1, 2, 2], x_nm=[21550.0] * 3, y_nm=[36300.0] * 3, molecule=[1, 1, 2])
    loose = TRACKMATE + "\n".join([rows[0], "ID8,8,,3.3,21.5,36.25,0,0.1,2,0.4,1"])
    with pytest.warns(SuperlensWarning, match="half a pixel off"):
        table = read_text(tmp_path, loose)
    same(table, track_id=[0, NAN], x_nm=[21500.0] * 2)


def test_trackmate_without_further_headings_and_in_pixels(tmp_path: Path) -> None:
    short = TRACKMATE.replace("micron", "pixel") + "ID7,7,0,3.3,21.5,36.25,0,0.1,0,0.4,1\n"
    same(read_text(tmp_path, short, pixel_nm=100.0), x_nm=[2200.0], y_nm=[3675.0])
    with pytest.raises(SuperlensError, match="camera pixels and does not say how large"):
        read_text(tmp_path, short)


def test_a_row_for_each_track_is_no_table_of_spots(tmp_path: Path) -> None:
    text = "LABEL,TRACK_INDEX,TRACK_ID,NUMBER_SPOTS,TRACK_DURATION\nTrack_0,0,0,12,1.1\n"
    with pytest.raises(SuperlensError, match="has a row for each track; expected one for each spot"):
        read_text(tmp_path, text)


def test_decode_as_text(tmp_path: Path) -> None:
    notes = '# {"version": "0.10"}\n# {"xy_unit": "px", "px_size": [107.0, 107.0]}\n# {}\n'
    text = notes + "id,frame_ix,x,y,z,phot,prob,bg\n0,0,20.5,30.25,-50,1834,0.9,12\n"
    table = read_text(tmp_path, text)
    same(table, frame=[1], x_nm=[21 * 107.0], y_nm=[30.75 * 107], z_nm=[-50], photons=[1834], background=[12])
    assert table.pixel_nm == 107.0
