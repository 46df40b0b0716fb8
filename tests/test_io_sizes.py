"""Files that state a pixel size twice: the possible one is taken and told, of two possible ones neither is."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
import zarr

from foreign_tiff import ome_xml, pixels_xml, planes, tiff_data
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import open_image, read, write

CENTIMETRE, INCH = 3, 2


def write_imagej(
    path: Path, unit: str, per_unit: float, tag: int, spacing: float | None = None, **options: Any
) -> Path:
    """A stack whose text names one unit and whose resolution tag is in another."""
    text = f"ImageJ=1.53t\nimages=3\nslices=3\nunit={unit}\n" + (f"spacing={spacing}\n" if spacing else "")
    with tifffile.TiffWriter(path) as tiff:
        for at, plane in enumerate(planes({"Z": 3})[0, 0]):
            tiff.write(
                plane,
                contiguous=False,
                metadata=None,
                description=text if at == 0 else None,
                resolution=(per_unit, per_unit),
                resolutionunit=tag,
                **options,
            )
    return path


def write_ome(
    path: Path, um: float, unit: str = "µm", resolution: tuple[float, int] | None = None, imagej: str = ""
) -> Path:
    """An OME-TIFF whose tags, or whose text for ImageJ, may say something else."""
    inside = "".join(tiff_data({"Z": z}, z) for z in range(3))
    text = ome_xml([pixels_xml({"X": 24, "Y": 20, "Z": 3}, inside, pixel=um, unit=unit)])
    options: dict[str, Any] = {}
    if resolution is not None:
        options = {"resolution": (resolution[0], resolution[0]), "resolutionunit": resolution[1]}
    extra = [(65000, 2, 0, imagej, True)] if imagej else []
    with tifffile.TiffWriter(path) as tiff:
        for at, plane in enumerate(planes({"Z": 3})[0, 0]):
            first = {"description": text, "extratags": extra} if at == 0 else {}
            tiff.write(plane, contiguous=False, metadata=None, **first, **options)
    content = bytearray(path.read_bytes())
    if imagej:  # the library writes one description only, so the second is another tag at first
        at = content.index(struct.pack("<HH", 65000, 2))
        content[at : at + 2] = struct.pack("<H", 270)
        path.write_bytes(content)
    return path


def told(path: Path, **options: Any) -> tuple[float | None, list[str]]:
    """The pixel size that is read and what the user is told, the same whether pixels are read or not."""
    answers = []
    for opener in (read, open_image):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SuperlensWarning)
            size = opener(path, **options).pixel_nm  # type: ignore[operator]
        answers.append((size, [str(each.message) for each in caught]))
    assert answers[0] == answers[1]
    return answers[0]


def test_a_unit_that_contradicts_the_tag_does_not_shrink_the_pixel(tmp_path: Path) -> None:
    path = write_imagej(tmp_path / "a.tif", "um", 1e7 / 65.0, CENTIMETRE)
    size, said = told(path)
    assert size == pytest.approx(65.0, rel=1e-4)
    assert len(said) == 1
    assert "two pixel sizes: 65 nm (its resolution, per cm) and 0.0065 nm (ImageJ, per um)" in said[0]
    assert "give `pixel_nm`" in said[0]
    assert told(path, pixel_nm=80.0) == (80.0, [])


@pytest.mark.parametrize("unit", ["um", "micron", "nm", "mm"])
@pytest.mark.parametrize("tag", [CENTIMETRE, INCH])
@pytest.mark.parametrize("right", ["text", "tag"])
@pytest.mark.parametrize("nm", [6.5, 65.0, 325.0])
def test_of_two_units_the_possible_one_is_right(tmp_path: Path, unit: str, tag: int, right: str, nm: float) -> None:
    text_nm = {"um": 1e3, "micron": 1e3, "nm": 1.0, "mm": 1e6}[unit]
    tag_nm = {CENTIMETRE: 1e7, INCH: 25.4e6}[tag]
    per_unit = (text_nm if right == "text" else tag_nm) / nm
    other = (tag_nm if right == "text" else text_nm) / per_unit
    path = write_imagej(tmp_path / "a.tif", unit, per_unit, tag)
    if 1.0 <= other <= 20_000.0:
        with pytest.raises(SuperlensError, match="states two pixel sizes.*Give `pixel_nm`"):
            read(path)
        return
    assert told(path)[0] == pytest.approx(nm, rel=1e-3)


def test_two_sizes_that_are_both_possible_are_both_named(tmp_path: Path) -> None:
    path = write_ome(tmp_path / "a.ome.tif", 0.065, resolution=(1e7 / 100.0, CENTIMETRE))
    with pytest.raises(
        SuperlensError, match=r"65 nm \(the OME-XML\) and 100 nm \(its resolution, per cm\).*Give `pixel_nm`"
    ):
        read(path)
    assert told(path, pixel_nm=65.0) == (65.0, [])


@pytest.mark.parametrize(
    "resolution", [(1e7 / 65.03, CENTIMETRE), (72.0, INCH), (1.0, CENTIMETRE), (15.38, CENTIMETRE), None]
)
def test_sizes_that_agree_and_resolutions_for_printers_are_no_contradiction(
    tmp_path: Path, resolution: tuple[float, int] | None
) -> None:
    assert told(write_ome(tmp_path / "a.ome.tif", 0.065, resolution=resolution)) == (65.0, [])


@pytest.mark.parametrize(("unit", "per_unit", "nm"), [("nm", 1 / 100.0, "100 nm"), ("micron", 1 / 0.1, "100 nm")])
def test_ome_and_imagej_that_contradict_each_other(tmp_path: Path, unit: str, per_unit: float, nm: str) -> None:
    text = f"ImageJ=1.53t\nimages=3\nslices=3\nunit={unit}\n"
    path = write_ome(tmp_path / "a.ome.tif", 0.065, resolution=(per_unit, 1), imagej=text)
    with pytest.raises(SuperlensError, match=rf"65 nm \(the OME-XML\) and {nm} \(ImageJ, per {unit}\)"):
        read(path)
    path = write_ome(tmp_path / "b.ome.tif", 65.0, resolution=(per_unit * 100 / 65, 1), imagej=text)
    size, said = told(path)
    assert size == pytest.approx(65.0, rel=1e-3)
    assert "65 µm (the OME-XML)" in said[0]


def test_micrometres_that_were_nanometres(tmp_path: Path) -> None:
    size, said = told(write_ome(tmp_path / "a.ome.tif", 65.0, resolution=(1e7 / 65.0, CENTIMETRE)))
    assert size == pytest.approx(65.0, rel=1e-4)
    assert "65 µm (the OME-XML)" in said[0]


def test_an_impossible_size_is_unknown_and_the_file_is_said_to_state_it(tmp_path: Path) -> None:
    for path in (
        write_ome(tmp_path / "a.ome.tif", 65.0),
        write_ome(tmp_path / "b.ome.tif", 0.0001, unit="nm"),
        write_imagej(tmp_path / "c.tif", "um", 1e7 / 65.0, 1),
    ):
        size, said = told(path)
        assert size is None
        assert f"{path.name} states a pixel size of" in said[0]
        assert "not possible" in said[0]
        assert "Did you" not in said[0]
        assert told(path, pixel_nm=65.0) == (65.0, [])


def test_the_same_for_other_formats(tmp_path: Path) -> None:
    movie = tmp_path / "a.raw"
    movie.write_bytes(planes({"T": 2})[:, 0, 0].tobytes())
    about = {"Byte Order": "<", "Data Type": "uint16", "Frames": 2, "Height": 20, "Width": 24, "Pixelsize": 0.13}
    movie.with_suffix(".yaml").write_text(yaml.safe_dump(about))
    size, said = told(movie)
    assert (size, "0.13 nm (a.yaml)" in said[0]) == (None, True)

    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(20, 30), chunks=(20, 30), dtype="u2")[:] = np.ones((20, 30))
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "yx"]
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.065, 0.065]}]}
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [dataset]}]
    size, said = told(tmp_path / "a.zarr")
    assert (size, "65 µm (its scale)" in said[0]) == (None, True)

    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 24, 20, 1, 1)
    struct.pack_into("<3i", header, 28, 24, 20, 1)
    struct.pack_into("<3f", header, 40, 24 * 0.065, 20 * 0.065, 0.3)
    (tmp_path / "a.mrc").write_bytes(bytes(header) + bytes(24 * 20 * 2))
    size, said = told(tmp_path / "a.mrc")
    assert (size, "0.0065 nm (its header)" in said[0]) == (None, True)


def test_distances_between_planes_are_judged_alike(tmp_path: Path) -> None:
    path = write_imagej(tmp_path / "a.tif", "nm", 1.0 / 65.0, 1, spacing=0.2)
    with pytest.warns(
        SuperlensWarning, match=r"states 0.2 nm between planes \(ImageJ, per nm\), which is not possible"
    ):
        image = read(path)
    assert (image.pixel_nm, image.z_step_nm) == (pytest.approx(65.0), None)
    assert told(path, z_step_nm=200.0)[1] == []


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_frames_have_no_distance_of_planes_whatever_the_file_states(tmp_path: Path, kind: str) -> None:
    """Programs state one for every stack; with it, frames would be taken for a volume that somebody asked for."""
    frames = planes({"T": 4})[:, 0, 0]
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "ome":
        told = {"axes": "TYX", "PhysicalSizeX": 0.065, "PhysicalSizeY": 0.065, "PhysicalSizeZ": 0.3}
        tifffile.imwrite(path, frames, metadata=told, photometric="minisblack")
    else:
        told = {"axes": "TYX", "unit": "um", "spacing": 0.3}
        tifffile.imwrite(path, frames, imagej=True, resolution=(1 / 0.065, 1 / 0.065), metadata=told)
    image = read(path)
    assert (image.axes, image.pixel_nm, image.z_step_nm) == ("TYX", pytest.approx(65.0), None)
    assert read(path, axes="ZYX").z_step_nm == pytest.approx(300.0)
    assert read(path, z_step_nm=250.0).z_step_nm == 250.0


def test_what_superlens_wrote_itself_is_believed(tmp_path: Path) -> None:
    """A simulation may be finer than any microscope."""
    for name in ("a.tif", "a.ome.tif"):
        assert told(write(tmp_path / name, Image(planes({})[0, 0, 0], pixel_nm=0.25))) == (0.25, [])
