"""Whatever files and tables say, and in whatever order: what is read is what was meant, or the user is told; nothing is wrong in silence."""

from __future__ import annotations

import csv
import io
import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from foreign_tiff import ome_xml, pixels_xml, planes, rows_of, taken, tiff_data, write_pages, write_stack
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import find_images, open_image, read, read_localizations, read_sequence, write

LONGEST_MS = 20_000
SIZES = st.fixed_dictionaries({axis: st.integers(1, 4) for axis in "TCZ"})
ORDERS = st.permutations("TCZ").map("".join)


def attempt(reader: Callable[[], Any]) -> tuple[Any, str]:
    """What a reader gives, None when it refuses, and all that it says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SuperlensWarning)
        try:
            result = reader()
        except SuperlensError as error:
            assert "\n" not in str(error)
            return None, str(error)
    return result, " ".join(str(each.message) for each in caught)


def block_of(image: Image) -> tuple[np.ndarray[Any, Any], ...]:
    """Which frames, channels and slices of `planes` an image holds; every pixel is compared."""
    order = [axis for axis in "TCZ" if axis in image.axes]
    data = image.data.reshape([image.sizes.get(axis, 1) for axis in "TCZ"] + list(image.data.shape[-2:]))
    assert sorted(order) == sorted(image.axes[:-2])
    first = np.arange(data.shape[-2] * data.shape[-1]).reshape(data.shape[-2:])
    numbers = (data - data[..., :1, :1]) - first
    assert not numbers.any()
    return (data[..., 0, 0] // 1000,)


def expected(sizes: dict[str, int]) -> np.ndarray[Any, Any]:
    return np.arange(math.prod(sizes[axis] for axis in "TCZ")).reshape([sizes[axis] for axis in "TCZ"])


def is_block(found: np.ndarray[Any, Any], whole: np.ndarray[Any, Any], there: np.ndarray[Any, Any]) -> bool:
    """Whether planes are those of some frames, channels and slices, none of them missing."""
    index = [np.unique(np.argwhere(np.isin(whole, found))[:, at]) for at in range(3)]
    return bool(np.array_equal(whole[np.ix_(*index)], found) and there[np.ix_(*index)].all())


# -- images


@settings(deadline=LONGEST_MS, max_examples=60)
@given(sizes=SIZES, order=ORDERS, files=st.integers(1, 4), companion=st.booleans(), data=st.data())
def test_a_set_of_files_is_whole_or_its_missing_files_are_named(
    sizes: dict[str, int], order: str, files: int, companion: bool, data: st.DataObject
) -> None:
    rows = rows_of(sizes, order="".join(order))
    files = min(files, len(rows))
    cuts = (
        sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), min_size=files - 1, max_size=files - 1)))
        if files > 1
        else []
    )
    parts = [range(a, b) for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    names = [f"s_{at}.ome.tif" for at in range(files)]
    lost = data.draw(st.sets(st.integers(0, files - 1), max_size=files - 1))
    inside = "".join(
        tiff_data(dict(zip("CZT", rows[number][:3], strict=True)), at, name)
        for name, part in zip(names, parts, strict=True)
        for at, number in enumerate(part)
    )
    pixels = pixels_xml({"X": 24, "Y": 20, **sizes}, inside, order="XY" + data.draw(ORDERS))
    whole, numbers = planes(sizes), expected(sizes)
    there = np.zeros(numbers.shape, bool)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if companion:
            (folder / "s.companion.ome").write_bytes(ome_xml([pixels], "urn:uuid:main"))
        for at, (file, part) in enumerate(zip(names, parts, strict=True)):
            if at in lost:
                continue
            stub = b'<OME UUID="urn:uuid:%s"><BinaryOnly MetadataFile="s.companion.ome"/></OME>' % file.encode()
            text = stub if companion else ome_xml([pixels], f"urn:uuid:{file}")
            write_pages(folder / file, taken(whole, [rows[number] for number in part]), text)
            for number in part:
                c, z, t, _ = rows[number]
                there[t, c, z] = True
        found = find_images([folder])
        assert len(found) == 1
        reader = data.draw(st.sampled_from([read, lambda path: open_image(path).load()]))
        image, said = attempt(lambda: reader(data.draw(st.sampled_from(sorted(folder.iterdir())))))
        for at in lost:
            assert names[at] in said
        assert "damaged" not in said
        assert "cut short" not in said
        if not lost:
            assert said == ""
            np.testing.assert_array_equal(block_of(image)[0], numbers)
        elif image is not None:
            assert is_block(block_of(image)[0], numbers, there)


@settings(deadline=LONGEST_MS, max_examples=60)
@given(sizes=SIZES, order=ORDERS, index=st.booleans(), imagej=st.booleans(), data=st.data())
def test_a_stack_of_micro_manager_is_whole_or_what_is_missing_is_counted(
    sizes: dict[str, int], order: str, index: bool, imagej: bool, data: st.DataObject
) -> None:
    rows = rows_of(sizes, order=order)
    held = data.draw(st.integers(1, len(rows)))
    cut = data.draw(st.integers(1, held))
    announced = {"Channels": sizes["C"], "Slices": sizes["Z"], "Frames": sizes["T"]}
    whole, numbers = planes(sizes), expected(sizes)
    there = np.zeros(numbers.shape, bool)
    for c, z, t, _ in rows[:held]:
        there[t, c, z] = True
    with tempfile.TemporaryDirectory() as name:
        for at, part in enumerate((rows[:cut], rows[cut:held])):
            path = Path(name) / f"a_MMStack_Pos0{'_1' if at else ''}.ome.tif"
            if part:
                write_stack(path, taken(whole, part), part, announced=announced, index=index, imagej=imagej)
        (path,) = find_images([name])
        image, said = attempt(lambda: read(path))
    if held == len(rows):
        assert said == ""
        np.testing.assert_array_equal(block_of(image)[0], numbers)
    else:
        assert f"announces {len(rows)} planes, and {len(rows) - held} of them are missing" in said
        assert is_block(block_of(image)[0], numbers, there)
    assert image.pixel_nm == 62.6


UNITS = {"um": 1e3, "micron": 1e3, "nm": 1.0, "mm": 1e6, "cm": 1e7, "inch": 25.4e6, "pixel": None}


@settings(deadline=LONGEST_MS, max_examples=150)
@given(
    nm=st.floats(5.0, 2000.0),
    text=st.sampled_from([*UNITS, None]),
    tag=st.sampled_from([1, 2, 3]),
    right=st.sampled_from(["text", "tag"]),
    ome=st.none() | st.sampled_from([1.0, 1e-3, 1e3, 1.5, 10.0]),
)
def test_a_pixel_size_is_one_that_was_stated_and_is_possible(
    nm: float, text: str | None, tag: int, right: str, ome: float | None
) -> None:
    """`ome` is the factor by which the OME-XML is wrong."""
    of_text, of_tag = UNITS[text] if text else None, {1: None, 2: 25.4e6, 3: 1e7}[tag]
    per = (of_text if right == "text" else of_tag) or 1e3
    stated = [unit * nm / per for unit in (of_text, of_tag) if unit] + ([nm * ome] if ome else [])
    pixels = pixels_xml({"X": 24, "Y": 20}, tiff_data({"T": 0}, 0), pixel=nm * (ome or 1.0) / 1e3)
    description = ome_xml([pixels]) if ome else f"ImageJ=1.53t\nunit={text}\n" if text else ""
    if ome:
        stated = [nm * ome] + ([of_tag * nm / per] if of_tag else [])
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.tif"
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(
                planes({})[0, 0, 0],
                metadata=None,
                description=description,
                resolution=(per / nm, per / nm),
                resolutionunit=tag,
            )
        image, said = attempt(lambda: read(path))
        sure, quiet = attempt(lambda: read(path, pixel_nm=70.0))
    assert (sure.pixel_nm, quiet) == (70.0, "")
    possible = [size for size in stated if 1.0 <= size <= 20_000.0]
    assert "micrometres" not in said
    if image is None:
        assert len(possible) > 1
        assert "states two pixel sizes" in said
        assert "Give `pixel_nm`" in said
    elif image.pixel_nm is None:
        assert not possible or all(abs(25.4e6 / size / round(25.4e6 / size) - 1) < 1e-2 for size in possible)
    else:
        assert any(abs(image.pixel_nm / size - 1) < 1e-2 for size in possible)
        assert all(abs(size / image.pixel_nm - 1) < 0.03 for size in possible)


@settings(deadline=LONGEST_MS, max_examples=25)
@given(
    numbers=st.sets(st.integers(0, 300), min_size=1, max_size=5),
    digits=st.integers(1, 4),
    around=st.sampled_from([("a_", ""), ("t", "_c1"), ("2024-01-02 cell 7 ", ""), ("", "")]),
)
def test_a_sequence_is_in_the_order_of_its_numbers(numbers: set[int], digits: int, around: tuple[str, str]) -> None:
    ordered = sorted(numbers)
    with tempfile.TemporaryDirectory() as name:
        for number in reversed(ordered):
            plane = np.full((16, 16), number, np.uint16)
            write(Path(name) / f"{around[0]}{number:0{digits}d}{around[1]}.tif", Image(plane, pixel_nm=65.0))
        image, said = attempt(lambda: read_sequence(name))
    assert image.data[:, 0, 0].tolist() == ordered
    steps = np.diff(ordered)
    assert ("missing" in said) == (steps.size > 0 and bool((steps != np.gcd.reduce(steps)).any()))


# -- tables


KNOWN = {
    "frame": ("frame", {"": 1.0}),
    "x_nm": ("x", {"nm": 1.0, "um": 1e3, "px": 100.0}),
    "y_nm": ("y", {"nm": 1.0, "um": 1e3, "px": 100.0}),
    "photons": ("intensity", {"photon": 1.0}),
    "uncertainty_nm": ("uncertainty", {"nm": 1.0, "px": 100.0}),
    "sigma_nm": ("sigma", {"nm": 1.0}),
    "detections": ("detections", {"": 1.0}),
}
WORDS = ["bead", "?x", "1/2", "12:30", "1e", "0x1F"]


@settings(deadline=LONGEST_MS, max_examples=150)
@given(data=st.data())
def test_a_table_says_the_same_however_it_is_written(data: st.DataObject) -> None:
    draw = data.draw
    names = draw(st.permutations(["frame", "x_nm", "y_nm", *draw(st.sets(st.sampled_from(list(KNOWN)[3:])))]))
    rows = draw(st.integers(1, 6))
    separator = draw(st.sampled_from([",", ";", "\t"]))
    comma = draw(st.booleans())
    places = draw(st.sampled_from([1, 2, 4]))
    units = {name: draw(st.sampled_from(list(KNOWN[name][1]))) for name in names}
    holes: dict[str, list[bool]] = {}
    spoiled: dict[str, str] = {}
    table: dict[str, list[float]] = {}
    columns: list[list[str]] = []
    for name in names:
        whole = name in ("frame", "detections") or draw(st.booleans())
        numbers = [float(draw(st.integers(1, 999))) for _ in range(rows)]
        if not whole:
            numbers = [number + round(draw(st.floats(0.011, 0.989)), places) for number in numbers]
        holes[name] = [name not in ("frame", "x_nm", "y_nm") and draw(st.integers(0, 3)) == 0 for _ in range(rows)]
        cells = [f"{number:.0f}" if whole else f"{number:.{places}f}" for number in numbers]
        cells = [cell.replace(".", ",") if comma else cell for cell in cells]
        cells = ["" if hole else cell for cell, hole in zip(cells, holes[name], strict=True)]
        if draw(st.integers(0, 9)) == 0:
            spoiled[name] = draw(st.sampled_from(WORDS))
            cells[draw(st.integers(0, rows - 1))] = spoiled[name]
        factor = KNOWN[name][1][units[name]]
        table[name] = [math.nan if hole else factor * number for number, hole in zip(numbers, holes[name], strict=True)]
        columns.append(cells)
    headings = [f"{KNOWN[name][0]} [{units[name]}]" if units[name] else KNOWN[name][0] for name in names]
    text = io.StringIO()
    text.write(draw(st.sampled_from(["", "# a remark; with, signs\n", f"sep={separator}\n", "\n"])))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(
        text, delimiter=separator, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))
    )
    writer.writerows([headings, *zip(*columns, strict=True)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text(text.getvalue(), newline="")
        read_back, said = attempt(lambda: read_localizations(path, pixel_nm=100.0))
    for name, word in spoiled.items():
        column = columns[names.index(name)]
        wordy = not any(cell and cell != word for cell in column)
        assert headings[names.index(name)] in said or "column for" in said or wordy or read_back is None
    required = {"frame", "x_nm", "y_nm"} & set(spoiled)
    if read_back is None:
        assert required
        assert any(headings[names.index(name)] in said for name in required)
        return
    assert not required
    for name in names:
        if name in spoiled:
            assert name not in read_back
            assert headings[names.index(name)] in said
        elif all(holes[name]):
            assert name not in read_back
        elif name == "detections" and any(holes[name]):
            assert "does not say detections" in said
        else:
            np.testing.assert_allclose(read_back[name], table[name], rtol=1e-12, err_msg=text.getvalue())
