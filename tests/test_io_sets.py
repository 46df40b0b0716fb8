"""Images in several files, and stacks of Micro-Manager: read as one image, counted once, and what is missing is named."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from foreign_tiff import (
    OME,
    ome_xml,
    pixels_xml,
    planes,
    rows_of,
    taken,
    tiff_data,
    write_pages,
    write_set,
    write_stack,
)
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.io import find_images, open_image, read

SIZES = {"T": 3, "C": 2, "Z": 4}
WHOLE = planes(SIZES)


def stack(path: Path, sizes: dict[str, int], count: int | None = None, position: int = 0, **options: object) -> Path:
    """A stack that holds the first planes of an acquisition."""
    rows = rows_of(sizes, position)[:count]
    announced = {"Channels": sizes.get("C", 1), "Slices": sizes.get("Z", 1), "Frames": sizes.get("T", 1)}
    return write_stack(path, taken(planes(sizes), rows), rows, announced=announced, **options)  # type: ignore[arg-type]


def movie_xml(sizes: dict[str, int], name: str) -> bytes:
    inside = "".join(tiff_data({"C": c, "Z": z, "T": t}, at, name) for at, (c, z, t, _) in enumerate(rows_of(sizes)))
    return ome_xml([pixels_xml({"X": 24, "Y": 20, **sizes}, inside, pixel=0.0626)], f"urn:uuid:{name}")


# -- Micro-Manager


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("gap", [0, 12])
@pytest.mark.parametrize(("imagej", "ome"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("sizes", [{"T": 6}, {"Z": 7, "C": 2}, SIZES, {}])
def test_an_intact_stack_is_read_as_it_is(
    tmp_path: Path, sizes: dict[str, int], imagej: bool, ome: bool, gap: int, lazily: bool
) -> None:
    path = tmp_path / "cell_1_MMStack_Pos0.ome.tif"
    stack(path, sizes, imagej=imagej, gap=gap, ome=movie_xml(sizes, path.name) if ome else b"")
    image = open_image(path).load() if lazily else read(path)
    kept = "".join(axis for axis in "TCZ" if sizes.get(axis, 1) > 1)
    assert image.axes == kept + "YX"
    np.testing.assert_array_equal(image.data, planes(sizes).squeeze())
    assert image.pixel_nm == 62.6
    if kept:
        assert image.z_step_nm == (300.0 if "Z" in sizes else None)  # a step of frames would ask for a volume
    assert image.channel_names == tuple(f"ch{c}" for c in range(sizes.get("C", 1)))


def test_a_part_of_an_open_stack_is_that_part(tmp_path: Path) -> None:
    opened = open_image(stack(tmp_path / "a_MMStack_Pos0.ome.tif", SIZES))
    np.testing.assert_array_equal(opened.data[1:3, 0:1, 2:4, 3:9, 5:6], WHOLE[1:3, 0:1, 2:4, 3:9, 5:6])
    np.testing.assert_array_equal(opened.plane(5, slice(2, 4)), WHOLE.reshape(-1, 20, 24)[5, 2:4])


def test_without_its_index_a_stack_is_known_by_its_pages(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(stack(tmp_path / "a_MMStack.ome.tif", SIZES, index=False)).data, WHOLE)


def test_a_stack_that_goes_on_in_other_files_is_one_image(tmp_path: Path) -> None:
    rows = rows_of(SIZES)
    for number, (start, stop) in enumerate([(0, 10), (10, 17), (17, 24)]):
        name = f"a_MMStack_Pos0{f'_{number}' if number else ''}.ome.tif"
        write_stack(
            tmp_path / name,
            taken(WHOLE, rows[start:stop]),
            rows[start:stop],
            announced={"Channels": 2, "Slices": 4, "Frames": 3},
        )
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read(path).data, WHOLE)
    assert [path.name for path in find_images([tmp_path])] == ["a_MMStack_Pos0.ome.tif"]


def test_each_position_in_a_file_of_its_own_is_an_image(tmp_path: Path) -> None:
    for position in range(3):
        path = tmp_path / f"a_MMStack_Pos{position}.ome.tif"
        write_stack(path, WHOLE[:, 0, 0] + position, rows_of({"T": 3}, position), announced={"Positions": 3})
    found = find_images([tmp_path])
    assert [path.name for path in found] == [f"a_MMStack_Pos{position}.ome.tif" for position in range(3)]
    for position, path in enumerate(found):
        np.testing.assert_array_equal(read(path).data, WHOLE[:, 0, 0] + position)


def test_of_several_positions_in_one_file_one_must_be_chosen(tmp_path: Path) -> None:
    rows = [row for t in range(3) for p in range(2) for row in [(0, 0, t, p)]]
    data = np.stack([WHOLE[t, 0, 0] + 7 * p for _, _, t, p in rows])
    path = write_stack(tmp_path / "a_MMStack.ome.tif", data, rows)
    with pytest.raises(SuperlensError, match=r"2 images, 0: position 0 .* 1: position 1 .*Give `series`"):
        read(path)
    for position in range(2):
        np.testing.assert_array_equal(read(path, series=position).data, WHOLE[:, 0, 0] + 7 * position)
    with pytest.raises(SuperlensError, match="`series` is 2"):
        read(path, series=2)


def test_a_copy_beside_a_stack_is_not_its_next_part(tmp_path: Path) -> None:
    path = stack(tmp_path / "a_MMStack_Pos0.ome.tif", {"T": 3})
    shutil.copy(path, tmp_path / "a_MMStack_Pos0 copy.ome.tif")
    assert read(path).sizes["T"] == 3
    assert len(find_images([tmp_path])) == 2


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize(
    ("sizes", "held", "kept", "said"),
    [
        ({"T": 6}, 4, {"T": 4}, "6 planes, and 2 of them are missing.*frames 1 to 4 of 6"),
        ({"T": 6, "Z": 7, "C": 2}, 60, {"T": 4, "Z": 7, "C": 2}, "84 planes, and 24 of them.*frames 1 to 4 of 6"),
        ({"Z": 7, "C": 2}, 9, {"Z": 4, "C": 2}, "slices 1 to 4 of 7"),
        ({"T": 5, "Z": 7}, 6, {"Z": 6}, "frames 1 of 5 and slices 1 to 6 of 7"),
    ],
)
def test_of_a_stopped_acquisition_whole_frames_are_read(
    tmp_path: Path, sizes: dict[str, int], held: int, kept: dict[str, int], said: str, index: bool
) -> None:
    path = stack(tmp_path / "a_MMStack_Pos0.ome.tif", sizes, held, index=index)
    with pytest.warns(SuperlensWarning, match=said):
        image = read(path)
    part = tuple(slice(kept.get(axis, 1)) for axis in "TCZ")
    np.testing.assert_array_equal(image.data, planes(sizes)[part].squeeze())


def test_missing_files_of_a_stack_are_named(tmp_path: Path) -> None:
    names = ["a_MMStack_Pos0.ome.tif", "a_MMStack_Pos0_1.ome.tif"]
    inside = "".join(tiff_data({"T": t}, t % 3, names[t // 3]) for t in range(6))
    text = ome_xml([pixels_xml({"X": 24, "Y": 20, "T": 6}, inside)], f"urn:uuid:{names[0]}")
    path = stack(tmp_path / names[0], {"T": 6}, 3, ome=text)
    with pytest.warns(SuperlensWarning, match=r"3 of them are missing.*a_MMStack_Pos0_1\.ome\.tif"):
        assert read(path, pixel_nm=65.0).sizes["T"] == 3


def test_a_stack_that_is_cut_short_is_called_so(tmp_path: Path) -> None:
    path = stack(tmp_path / "a_MMStack_Pos0.ome.tif", {"T": 6})
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(SuperlensError, match="cut short"):
        read(path)


def test_the_files_of_a_newer_store_are_one_image(tmp_path: Path) -> None:
    """NDTiff keeps the index of all its files in one of its own."""
    movie, index = planes({"T": 4})[:, 0, 0], b""
    for name, frames in (("x_NDTiffStack.tif", (0, 1)), ("x_NDTiffStack_1.tif", (2, 3))):
        summary = b'{"PixelSize_um": 0.065}'
        file = bytearray(b"II*\0" + bytes(4) + struct.pack("<5I", 483729, 3, 3, 2355492, len(summary)) + summary)
        link = 4
        for t in frames:
            file += bytes(len(file) % 2)
            at, plane = len(file), movie[t].astype("<u2").tobytes()
            struct.pack_into("<I", file, link, at)
            start, link = at + 2 + 12 * 11 + 4, at + 2 + 12 * 11
            entries = [
                (256, 4, 1, 24),
                (257, 4, 1, 20),
                (258, 3, 1, 16),
                (259, 3, 1, 1),
                (262, 3, 1, 1),
                (273, 4, 1, start),
            ]
            entries += [
                (277, 3, 1, 1),
                (278, 3, 1, 20),
                (279, 4, 1, len(plane)),
                (296, 3, 1, 3),
                (51123, 2, 5, start + len(plane)),
            ]
            file += (
                struct.pack("<H", 11)
                + b"".join(struct.pack("<HHII", *entry) for entry in entries)
                + bytes(4)
                + plane
                + b"{}\0\0\0"
            )
            where, axes = name.encode(), b'{"time": %d}' % t
            index += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(where)) + where
            index += struct.pack("<I7i", start, 24, 20, 1, 0, start + len(plane), 2, 0)
        (tmp_path / name).write_bytes(file)
    (tmp_path / "NDTiff.index").write_bytes(index)
    (first,) = find_images([tmp_path])
    for opened in (read(first), open_image(first).load(), read(tmp_path / "x_NDTiffStack_1.tif")):
        assert (opened.axes, opened.pixel_nm) == ("TYX", 65.0)
        np.testing.assert_array_equal(opened.data, movie)


# -- sets of OME-TIFF


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("companion", [False, True])
def test_each_file_of_a_set_gives_the_whole_image(tmp_path: Path, companion: bool, lazily: bool) -> None:
    for path in write_set(tmp_path, companion=companion):
        image = open_image(path).load() if lazily else read(path)
        assert (image.axes, image.pixel_nm) == ("TYX", 65.0)
        np.testing.assert_array_equal(image.data, planes({"T": 3})[:, 0, 0])


def test_a_companion_file_can_be_named_itself(tmp_path: Path) -> None:
    write_set(tmp_path, companion=True)
    assert read(tmp_path / "p.companion.ome").sizes == {"T": 3, "Y": 20, "X": 24}


def test_a_description_in_another_file_of_the_set_is_followed(tmp_path: Path) -> None:
    """As programs of two-photon microscopes write: the first file describes all, the others refer to it."""
    first, *others = write_set(tmp_path)
    stub = f'<OME {OME}><BinaryOnly MetadataFile="{first.name}" UUID="urn:uuid:{first.name}"/></OME>'
    for at, path in enumerate(others, 1):
        write_pages(path, [planes({"T": 3})[at, 0, 0]], stub)
    for path in (first, *others):
        np.testing.assert_array_equal(read(path).data, planes({"T": 3})[:, 0, 0])
    assert find_images([tmp_path]) == [first]


@pytest.mark.parametrize("companion", [False, True])
def test_a_set_is_counted_once(tmp_path: Path, companion: bool) -> None:
    files = write_set(tmp_path, companion=companion)
    others = write_set(tmp_path, 2, companion=companion, stem="q")
    assert find_images([tmp_path]) == [files[0], others[0]]
    assert find_images(files) == files[:1]
    assert find_images([files[2], tmp_path]) == [files[2], others[0]]


def test_missing_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    files = write_set(tmp_path)
    files[0].unlink()
    with pytest.warns(
        SuperlensWarning, match=r"2 of them|1 of them are missing.*: p_0\.ome\.tif\. .*frames 2 to 3 of 3"
    ):
        np.testing.assert_array_equal(read(files[1]).data, planes({"T": 3})[1:, 0, 0])
    files[2].unlink()
    with pytest.warns(SuperlensWarning, match=r"2 of them are missing.*p_0\.ome\.tif and p_2\.ome\.tif"):
        assert read(files[1]).axes == "YX"


def test_without_its_companion_a_file_is_read_alone(tmp_path: Path) -> None:
    path = write_set(tmp_path, companion=True)[1]
    (tmp_path / "p.companion.ome").unlink()
    with pytest.warns(SuperlensWarning, match=r"p\.companion\.ome describes, which is not there"):
        image = read(path)
    assert (image.axes, image.pixel_nm) == ("YX", None)


def test_a_companion_without_its_files_is_refused(tmp_path: Path) -> None:
    for path in write_set(tmp_path, companion=True):
        path.unlink()
    with pytest.raises(SuperlensError, match=r"p_0\.ome\.tif, p_1\.ome\.tif and p_2\.ome\.tif"):
        read(tmp_path / "p.companion.ome")


def test_a_file_for_each_channel_of_which_one_is_missing(tmp_path: Path) -> None:
    inside = "".join(tiff_data({"C": c, "Z": z}, z, f"c{c}.ome.tif") for c in range(2) for z in range(4))
    text = ome_xml([pixels_xml({"X": 24, "Y": 20, "C": 2, "Z": 4}, inside)])
    write_pages(tmp_path / "c1.ome.tif", WHOLE[0, 1], text)
    with pytest.warns(SuperlensWarning, match=r"c0\.ome\.tif.*channels 2 of 2"):
        image = read(tmp_path / "c1.ome.tif")
    assert image.axes == "ZYX"
    np.testing.assert_array_equal(image.data, WHOLE[0, 1])


@pytest.mark.parametrize("name", ["renamed.ome.tif", "other.tif"])
def test_a_file_that_was_given_another_name_is_still_itself(tmp_path: Path, name: str) -> None:
    inside = "".join(tiff_data({"T": t}, t, "before.ome.tif") for t in range(3))
    text = ome_xml([pixels_xml({"X": 24, "Y": 20, "T": 3}, inside)]).replace(b'UUID="urn:uuid:root"', b"")
    write_pages(tmp_path / name, WHOLE[:, 0, 0], text)
    image = read(tmp_path / name)
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.data, WHOLE[:, 0, 0])


@pytest.mark.parametrize("name", ["/etc/passwd", "..\\..\\p_1.ome.tif", "../p_1.ome.tif", "https://x.org/p_1.ome.tif"])
def test_files_of_a_set_are_looked_for_beside_it_alone(tmp_path: Path, name: str) -> None:
    inside = tiff_data({"T": 0}, 0, "p_0.ome.tif") + tiff_data({"T": 1}, 0, name)
    write_pages(tmp_path / "p_0.ome.tif", [WHOLE[0, 0, 0]], ome_xml([pixels_xml({"X": 24, "Y": 20, "T": 2}, inside)]))
    with pytest.warns(SuperlensWarning, match="missing: (passwd|p_1.ome.tif)"):
        assert read(tmp_path / "p_0.ome.tif").axes == "YX"


def test_an_aborted_acquisition_of_ome_tiff(tmp_path: Path) -> None:
    sizes = {"X": 24, "Y": 20, "T": 6}
    inside = "".join(tiff_data({"T": t}, t) for t in range(6))
    path = write_pages(tmp_path / "a.ome.tif", planes({"T": 6})[:4, 0, 0], ome_xml([pixels_xml(sizes, inside)]))
    with pytest.warns(SuperlensWarning, match="6 planes, and 2 of them are missing"):
        image = read(path)
    np.testing.assert_array_equal(image.data, planes({"T": 6})[:4, 0, 0])
    assert image.pixel_nm == 65.0


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("held", "frames"), [(60, 4), (14, 1), (83, 5)])
def test_an_aborted_acquisition_of_imagej_keeps_whole_frames(
    tmp_path: Path, held: int, frames: int, compression: str | None
) -> None:
    sizes = {"T": 6, "Z": 7, "C": 2}
    data = taken(planes(sizes), rows_of(sizes))[:held]
    text = "ImageJ=1.53t\nimages=84\nchannels=2\nslices=7\nframes=6\nhyperstack=true\nunit=nm\n"
    path = write_pages(tmp_path / "a.tif", data, text, compression=compression)
    with pytest.warns(SuperlensWarning, match=f"84 planes, and {84 - held} of them are missing.*frames 1"):
        image = read(path)
    np.testing.assert_array_equal(image.data, planes(sizes)[:frames].squeeze())


@pytest.mark.parametrize(("kept", "said"), [(4.0, "2 of them are missing"), (4.5, "cut short")])
def test_a_stack_of_imagej_with_one_directory(tmp_path: Path, kept: float, said: str) -> None:
    """ImageJ itself writes one directory, and the planes behind each other: half a plane is damage, a whole one less is not."""
    path, data = tmp_path / "a.tif", planes({"T": 6})[:, 0, 0]
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "TYX"})
    with tifffile.TiffFile(path) as tiff:
        start, link = tiff.pages.first.dataoffsets[0], tiff.pages.first.offset + 2 + 12 * len(tiff.pages.first.tags)
    whole = bytearray(path.read_bytes()[: start + int(kept * data[0].nbytes)])
    whole[link : link + 4] = bytes(4)
    path.write_bytes(whole)
    if kept == 4.0:
        with pytest.warns(SuperlensWarning, match=said):
            np.testing.assert_array_equal(read(path).data, data[:4])
    else:
        with pytest.raises(SuperlensError, match=said):
            read(path)


def test_a_description_that_does_not_fit_its_pages_is_left_out(tmp_path: Path) -> None:
    inside = "".join(tiff_data({"T": t}, t) for t in range(3))
    text = ome_xml([pixels_xml({"X": 512, "Y": 512, "T": 3}, inside)])
    path = write_pages(tmp_path / "a.ome.tif", WHOLE[:, 0, 0], text)
    with pytest.warns(SuperlensWarning, match="512 x 512 pixels, and its pages have 20 x 24. It is left out"):
        image = read(path, axes="TYX")
    np.testing.assert_array_equal(image.data, WHOLE[:, 0, 0])
    assert image.pixel_nm is None


def test_damaged_xml_is_left_out(tmp_path: Path) -> None:
    path = write_pages(tmp_path / "a.ome.tif", [WHOLE[0, 0, 0]], b"<OME><Image></OME>")
    with pytest.warns(SuperlensWarning, match="OME-XML of a.ome.tif is damaged"):
        np.testing.assert_array_equal(read(path).data, WHOLE[0, 0, 0])
