"""Kinds of trouble that real recordings bring, at least five inputs of each: what comes out is right, or the trouble is named.

One table a kind: frames unlike each other, sizes that contradict, values cut off, cameras told wrongly, two runs in one folder, names and
rights, brightness of structures that lie anywhere, files that are not whole, faults by their names.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import Result
from scipy import ndimage

from foreign_tiff import ome_xml, pixels_xml, tiff_data
from superlens.camera import Camera, estimate_camera, find_defects, refuse_offset
from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import open_image, read, write
from superlens.optics import PSF
from superlens.simulate import STRUCTURES, Background, DensitySites, Independent, SmlmScene, expose, simulate_smlm
from superlens.smlm import estimate_movie

Array = np.ndarray[Any, Any]
Shell = Callable[..., Result]
Make = Callable[[Path], Path]


def said_of(reader: Callable[[], Any]) -> tuple[Any, str]:
    """What a reader gives, None when it refuses, and all that it says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SuperlensWarning)
        try:
            found = reader()
        except SuperlensError as error:
            assert "\n" not in str(error)
            return None, str(error)
    return found, " ".join(str(each.message) for each in caught)


# -- frames unlike each other ---------------------------------------------------------------------------------------------------

FRAMES, SIDE, LIGHT = 80, 40, 2278.0
T = np.arange(FRAMES)


def blinking(seed: int = 3, density: float = 0.5, sites: DensitySites | None = None) -> Array:
    about: dict[str, Any] = {"margin_nm": 300.0} if sites is None else {"sites": sites, "margin_nm": 0.0}
    scene = SmlmScene(yx_shape=(SIDE, SIDE), blinking=Independent(density), background=Background(20.0, 20.0), **about)
    return simulate_smlm(FRAMES, scene, rng=np.random.default_rng(seed)).frames.data.astype(np.float32)


def lit(light: Array) -> Callable[[Array], Array]:
    return lambda counts: counts + np.random.default_rng(1).poisson(np.broadcast_to(light, counts.shape))


def black_rows(counts: Array) -> Array:
    counts[::3, 25:] = 0
    return counts


def joined(counts: Array) -> Array:
    counts[FRAMES // 2 :] += 37
    return counts


def saturated_start(counts: Array) -> Array:
    counts[:15] = 4095
    return counts


def stuck(counts: Array) -> Array:
    counts[60:] = counts[59]
    return counts


def lamp_off(counts: Array) -> Array:
    counts[T % 3 == 1] = np.rint(100 + np.random.default_rng(2).normal(0, 1.5, counts[T % 3 == 1].shape))
    return counts


HAZE = np.hypot(*(np.mgrid[:SIDE, :SIDE] - 18.0))
MOVIES: dict[str, Callable[[Array], Array]] = {
    "the shutter cuts rows of every third frame": black_rows,
    "two recordings joined, another offset": joined,
    "saturated until the laser was turned down": saturated_start,
    "the last frame again and again": stuck,
    "the lamp off in every third frame": lamp_off,
    "room light that beats": lit(40 * (1 + np.sin(T / 3))[:, None, None]),
    "room light switched on": lit(120.0 * (T > 30)[:, None, None]),
    "steady light of a narrow thing out of focus": lit(300 * np.exp(-(HAZE**2) / (2 * 3.0**2))),
    "steady light of a wide thing out of focus": lit(60 * np.exp(-(HAZE**2) / (2 * 9.0**2))),
    "a fibre that shines all the time": lit(150 * np.exp(-((np.arange(SIDE) - 25.0) ** 2) / (2 * 2.0**2))),
    "three flashes": lit(2000.0 * np.isin(T, [7, 30, 61])[:, None, None]),
}


@pytest.mark.parametrize("name", MOVIES)
def test_frames_unlike_each_other(name: str) -> None:
    told, said = said_of(lambda: estimate_movie(MOVIES[name](blinking()), 100.0, gain=1.0))
    assert told is not None, said
    right = abs(np.log(told.photons / LIGHT)) < np.log(1.4) and abs(np.log(told.density_um2 / 0.5)) < np.log(1.5)
    assert right or told.contradictions, (told.photons, told.density_um2, told.messages)


# -- sizes that contradict ------------------------------------------------------------------------------------------------------


def zeiss(path: Path, data: Array, *, voxel_m: tuple[float, float, float] = (65e-9, 65e-9, 300e-9), scan: int = 0,
          interval_s: float = 0.0, previews: bool = True, **options: Any) -> Path:  # fmt: skip
    """An LSM file as its description lays it out: tag 34412 in the first page, and a colour preview after each image."""
    slices, frames = (len(data), 1) if scan == 0 else (1, len(data))
    sizes = (data.shape[2], data.shape[1], slices, 1, frames, 2, 16, 16)
    tag = struct.pack("<Ii8i6dHH5Id", 67127628, 256, *sizes, *voxel_m, 0, 0, 0, scan, 0, *(0,) * 5, interval_s)
    with tifffile.TiffWriter(path, byteorder="<") as writer:
        for at, plane in enumerate(data):
            extra = [(34412, 1, 256, tag.ljust(256, b"\0"), True)] if at == 0 else []
            writer.write(plane, contiguous=False, metadata=None, photometric="minisblack", extratags=extra, **options)
            if previews:
                small = np.zeros((16, 16, 3), np.uint8)
                writer.write(small, contiguous=False, metadata=None, photometric="rgb", subfiletype=1)
    return path


CELL = np.random.default_rng(0).poisson(60, (5, 32, 40)).astype(np.uint16)


def imagej(unit: str, tag: int, per: float) -> Make:
    def make(folder: Path) -> Path:
        about = {"description": f"ImageJ=1.53t\nunit={unit}\n", "metadata": None}
        tifffile.imwrite(folder / "a.tif", CELL[0], resolution=(per, per), resolutionunit=tag, **about)
        return folder / "a.tif"

    return make


def ome(size: float, unit: str, tag: int = 1, per: float = 1.0) -> Make:
    def make(folder: Path) -> Path:
        text = pixels_xml({"X": 40, "Y": 32}, tiff_data({"T": 0}, 0), pixel=size).replace("µm", unit)
        about = {"description": ome_xml([text]), "metadata": None}
        tifffile.imwrite(folder / "a.ome.tif", CELL[0], resolution=(per, per), resolutionunit=tag, **about)
        return folder / "a.ome.tif"

    return make


def lsm(per: float = 0.0, **said: Any) -> Make:
    more = {"resolution": (per, per), "resolutionunit": 3} if per else {}
    return lambda folder: zeiss(folder / "a.lsm", CELL, **said, **more)


SIZES: dict[str, tuple[Make, float | None, str]] = {
    "micrometres in words, centimetres in the tag": (imagej("um", 3, 1e7 / 65), 65.0, "not possible"),
    "micrometres in words, inches in the tag": (imagej("micron", 2, 25.4e6 / 107), 107.0, "not possible"),
    "nanometres in words, micrometres meant": (imagej("nm", 1, 1 / 0.065), None, "the pixel size is taken as unknown"),
    "nanometres in OME, called micrometres": (ome(65.0, "µm", 3, 1e7 / 65), 65.0, "not possible"),
    "metres in OME": (ome(65e-9, "m"), 65.0, ""),
    "OME and tag, both possible": (ome(0.065, "µm", 3, 1e7 / 130), None, "states two pixel sizes"),
    "pixels called pixels": (imagej("pixel", 1, 1.0), None, ""),
    "Zeiss alone": (lsm(), 65.0, ""),
    "Zeiss and a tag that agrees": (lsm(1e7 / 65), 65.0, ""),
    "Zeiss and a tag that differs": (lsm(1e7 / 130), None, "states two pixel sizes"),
    "Zeiss that was scaled to micrometres": (lsm(1e7 / 65, voxel_m=(0.065, 0.065, 0.3)), 65.0, "not possible"),
    "Zeiss without a size": (lsm(voxel_m=(0.0, 0.0, 0.0)), None, ""),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_contradict(tmp_path: Path, name: str) -> None:
    make, nm, words = SIZES[name]
    path = make(tmp_path)
    for reader in (read, open_image):
        image, said = said_of(lambda reader=reader: reader(path))  # type: ignore[misc]
        assert words.lower() in said.lower() and "Did you give" not in said
        assert bool(words) == bool(said)
        assert (
            (image is not None and image.pixel_nm == pytest.approx(nm, rel=1e-3))
            if nm
            else not (image and image.pixel_nm)
        )
    assert said_of(lambda: read(path, pixel_nm=70.0))[0].pixel_nm == 70.0


@pytest.mark.parametrize("name", ["a.lsm", "a.tif"])
@pytest.mark.parametrize(("scan", "axes"), [(0, "ZYX"), (3, "TYX")])
def test_a_zeiss_lsm_is_a_stack_or_a_movie_and_its_previews_are_passed_over(
    tmp_path: Path, name: str, scan: int, axes: str
) -> None:
    path = zeiss(tmp_path / name, CELL, scan=scan, interval_s=0.5 * (scan == 3))
    for image in (read(path), open_image(path).load()):
        np.testing.assert_array_equal(image.data, CELL)
        assert (image.axes, image.pixel_nm) == (axes, 65.0)
        assert image.z_step_nm == (pytest.approx(300.0) if scan == 0 else None)
        assert image.frame_interval_s == (0.5 if scan == 3 else None)


@pytest.mark.parametrize("planes", [1, 5])
def test_a_file_that_kept_the_tag_of_an_lsm_and_lost_its_previews_is_read(tmp_path: Path, planes: int) -> None:
    path = zeiss(tmp_path / "a.tif", CELL[:planes], previews=False)
    image = read(path, axes="ZYX" if planes > 1 else None)
    np.testing.assert_array_equal(image.data, CELL if planes > 1 else CELL[0])
    assert image.pixel_nm == 65.0


# -- values cut off -------------------------------------------------------------------------------------------------------------

TRUE = Camera(gain=2.0, offset=100.0, read_noise_e=1.5)


def picture(kind: str = "filaments", photons: float = 60.0, seed: int = 5) -> Array:
    rng = np.random.default_rng(seed)
    specimen = STRUCTURES[kind]((256, 256), rng)
    counts, _, _ = expose(specimen, PSF.gaussian(270.0, 50.0), TRUE, photons=photons, background=8.0, rng=rng)
    return np.rint(counts)


def masked(counts: Array) -> Array:
    """A segmentation, applied: nothing outside."""
    smooth = ndimage.gaussian_filter(counts, 3)
    return np.where(smooth > np.quantile(smooth, 0.7), counts, 0)


def thresholded(counts: Array) -> Array:
    return np.maximum(counts, np.quantile(counts, 0.7))


def stretched(counts: Array) -> Array:
    """What a display range leaves: both ends cut, 256 values between."""
    low, high = np.quantile(counts, [0.6, 0.98])
    return np.rint(np.clip((counts - low) / (high - low), 0, 1) * 255)


def rolling_ball(counts: Array) -> Array:
    return np.maximum(counts - np.rint(ndimage.uniform_filter(counts, 25)), 0)


def two_ends(counts: Array) -> Array:
    return np.clip(counts, *np.quantile(counts, [0.4, 0.7]))


CUTS: dict[str, Callable[[Array], Array]] = {
    "a mask": masked,
    "a threshold above 0": thresholded,
    "a display range": stretched,
    "a background that was taken off": rolling_ball,
    "both ends": two_ends,
    "all but the brightest hundredth": lambda counts: np.maximum(counts - np.quantile(counts, 0.99), 0),
    "all but the darkest third": lambda counts: np.minimum(counts, np.quantile(counts, 0.33)),
}


@pytest.mark.parametrize("kind", ["filaments", "nuclei"])
@pytest.mark.parametrize("name", CUTS)
def test_values_cut_off_are_never_plausible(name: str, kind: str) -> None:
    _, said = found = said_of(lambda: estimate_camera(CUTS[name](picture(kind))))
    assert found[0] is None or found[0].verdict != "plausible", said


# -- cameras told wrongly -------------------------------------------------------------------------------------------------------

CAMERAS: dict[str, dict[str, float]] = {
    "gain doubled": {"gain": 4.0},
    "gain halved": {"gain": 1.0, "offset": 100.0},
    "gain times ten": {"gain": 20.0, "offset": 100.0},
    "gain a tenth": {"gain": 0.2},
    "the inverse": {"gain": 0.5, "read_noise_e": 1.5},
    "the inverse with everything": {"gain": 0.5, "offset": 100.0, "read_noise_e": 1.5},
    "offset of another camera": {"gain": 2.0, "offset": 10.0},
    "offset above the dark": {"offset": 140.0},
    "read noise in millielectrons": {"read_noise_e": 1500.0},
}


@pytest.mark.parametrize("kind", ["filaments", "er_network"])
@pytest.mark.parametrize("name", CAMERAS)
def test_cameras_told_wrongly(name: str, kind: str) -> None:
    told = estimate_camera(picture(kind, 200.0), **CAMERAS[name])
    assert told.verdict != "plausible"
    assert any(note.startswith("`") for note in told.notes), told.notes


@pytest.mark.parametrize("above", [1.2, 2.0, 10.0, 650.0])
def test_an_offset_above_the_image_is_refused(above: float) -> None:
    counts = picture()
    _, said = said_of(lambda: refuse_offset(counts, above * float(np.quantile(counts, 0.9))))
    assert "of the pixels of the image lie below it" in said


# -- two runs in one folder -----------------------------------------------------------------------------------------------------

TOLD = ("--method", "toy", "--na", 1.3, "--wavelength-nm", 525)
RUNS: dict[str, tuple[tuple[str, tuple[object, ...]], tuple[str, tuple[object, ...]]]] = {
    "another input": (("a.tif", ()), ("b.tif", ())),
    "the same name elsewhere": (("a.tif", ()), ("other/a.tif", ())),
    "the same image in another format": (("a.tif", ()), ("a.ome.zarr", ())),
    "a name that begins like the other": (("a.tif", ()), ("a_b.tif", ())),
    "a name that looks like a result": (("a.tif", ()), ("report.tif", ())),
    "names that differ in case": (("a.tif", ()), ("A.tif", ())),
}


@pytest.mark.parametrize("name", RUNS)
def test_two_runs_in_one_folder(superlens: Shell, added: object, tmp_path: Path, name: str) -> None:
    """The files of the first are as they were, to the byte, and the second has files of its own, or is refused in one line."""
    out, outcomes, kept = tmp_path / "out", [], {}
    (tmp_path / "other").mkdir()
    for file, more in RUNS[name]:
        path = write(tmp_path / file, Image(CELL[0] + len(outcomes), pixel_nm=65.0))
        outcomes.append(superlens("enhance", path, *TOLD, *more, "--out", out))
        assert {one: (out / one).read_bytes() for one in kept} == kept
        kept = {one.name: one.read_bytes() for one in out.iterdir()}
    assert outcomes[0].exit_code == 0, outcomes[0].output
    second = outcomes[1]
    if second.exit_code:
        assert second.exit_code == 2 and second.stderr.startswith("error: ") and "--out" in second.stderr
    else:
        assert len([one for one in kept if one.endswith("_smooth.tif")]) == 2
        assert len([one for one in kept if one.endswith("run.json")]) == 2


# -- names and rights -----------------------------------------------------------------------------------------------------------


def no_folder(folder: Path) -> Path:
    (folder / "out").write_text("mine")
    return folder / "out"


def below_a_file(folder: Path) -> Path:
    return no_folder(folder) / "deep" / "er"


def read_only(folder: Path) -> Path:
    made = folder / "locked"
    made.mkdir()
    made.chmod(0o500)
    if os.access(made, os.W_OK):  # the administrator may write anywhere but where nothing can be written
        made.chmod(0o700)
        made = Path("/proc")
        if not made.is_dir():
            pytest.skip("this user may write everywhere")
    return made / "out"


def dangling(folder: Path) -> Path:
    (folder / "out").symlink_to(folder / "gone" / "far")
    return folder / "out"


PLACES: dict[str, Callable[[Path], Path]] = {
    "a file": no_folder,
    "below a file": below_a_file,
    "read-only": read_only,
    "a link to nowhere": dangling,
    "a name too long": lambda folder: folder / ("x" * 300),
}


@pytest.mark.parametrize("verb", ["enhance", "train"])
@pytest.mark.parametrize("name", PLACES)
def test_places_are_tried_before_the_work(superlens: Shell, added: Any, tmp_path: Path, name: str, verb: str) -> None:
    path = write(tmp_path / "a.tif", Image(CELL[0], pixel_nm=65.0))
    place = PLACES[name](tmp_path)
    at = ("--model", place / "m.zip") if verb == "train" else ("--out", place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(added), "learn", lambda *told, **more: pytest.fail("the work began"))
        refused = superlens(verb, path, *TOLD, *at)
    assert refused.exit_code == 2, refused.output
    assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1, refused.stderr


NAMES = [
    b"zelle_\xe4.tif",
    b"caf\xe9 \xff\xfe.tif",
    "細胞 1.tif".encode(),
    b"-o.tif",
    b"a b\t#%20.tif",
    "ﬁ\u202e.tif".encode(),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_bytes_go_through(superlens: Shell, added: object, tmp_path: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    whole = write(tmp_path / "a.tif", Image(CELL[0], pixel_nm=65.0))
    try:
        path.write_bytes(whole.read_bytes())
    except OSError as error:
        pytest.skip(f"this disk takes no such name: {error}")
    done = superlens("enhance", path, *TOLD, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    (smooth,) = (tmp_path / "out").glob("*_smooth.tif")
    assert read(smooth).pixel_nm == 65.0


# -- brightness of structures that lie anywhere ---------------------------------------------------------------------------------


def structure(where: Callable[[Array, Array], Array]) -> DensitySites:
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1.0)
    return DensitySites(Image(where(y, x).astype(np.float32), "YX", 100.0))


LAID: dict[str, Callable[[Array, Array], Array]] = {
    "in the middle": lambda y, x: np.hypot(y - 0.5, x - 0.5) < 0.2,
    "a ring": lambda y, x: np.abs(np.hypot(y - 0.5, x - 0.5) - 0.3) < 0.05,
    "a corner": lambda y, x: (y < 0.5) & (x < 0.5),
    "one half": lambda y, x: x < 0.5,
    "a line": lambda y, x: np.abs(y - x) < 0.06,
    "the rim": lambda y, x: np.maximum(np.abs(y - 0.5), np.abs(x - 0.5)) > 0.35,
}


@pytest.mark.parametrize("name", LAID)
def test_brightness_of_structures_that_lie_anywhere(name: str) -> None:
    told = estimate_movie(blinking(density=0.3, sites=structure(LAID[name])), 100.0, gain=1.0)
    assert told.photons == pytest.approx(LIGHT, rel=0.2)


# -- files that are not whole ---------------------------------------------------------------------------------------------------


def stack_that_was_stopped(folder: Path) -> Path:
    """ImageJ announces 6 frames of two slices; 7 planes are there."""
    text = "ImageJ=1.53t\nimages=12\nslices=2\nframes=6\nhyperstack=true\nunit=nm\n"
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        for at in range(7):
            writer.write(CELL[at % 5], contiguous=False, metadata=None, description=text if at == 0 else None)
    return folder / "a.tif"


def preview_first(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        writer.write(CELL[0, ::4, ::4], contiguous=False, metadata=None)
        writer.write(CELL[0], contiguous=False, metadata=None)
    return folder / "a.tif"


def label_first(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "a.tif") as writer:
        writer.write(np.zeros((40, 50, 3), np.uint8), contiguous=False, metadata=None, photometric="rgb")
        writer.write(CELL[0], contiguous=False, metadata=None)
    return folder / "a.tif"


def two_positions(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "a.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(CELL, metadata={"axes": "TYX", "PhysicalSizeX": 0.065, "PhysicalSizeXUnit": "µm"})
    return folder / "a.ome.tif"


def half_a_plane(folder: Path) -> Path:
    path = stack_that_was_stopped(folder)
    path.write_bytes(path.read_bytes()[:-700])
    return path


PARTS: dict[str, tuple[Make, tuple[int, ...] | None, str]] = {
    "stopped in the middle of a frame": (stack_that_was_stopped, (3, 2, 32, 40), "missing"),
    "a preview first": (preview_first, (32, 40), "series"),
    "a photograph of the label first": (label_first, (32, 40), "series"),
    "two positions": (two_positions, None, "`series`"),
    "cut within a plane": (half_a_plane, None, "cut short"),
}


@pytest.mark.parametrize("name", PARTS)
def test_files_that_are_not_whole(tmp_path: Path, name: str) -> None:
    make, shape, words = PARTS[name]
    image, said = said_of(lambda: read(make(tmp_path)))
    assert (None if image is None else image.data.shape) == shape, said
    assert words in said
    assert "damaged" not in said or "cut short" in words


STRAY: dict[str, bytes] = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "._a.tif": b"\0\5\x16\7" + bytes(80),
    "notes.txt": b"x\n",
    "a.tif.lock": b"",
    "desktop.ini": b"[.ShellClassInfo]",
}


def test_a_folder_with_stray_files_gives_its_images(superlens: Shell, added: object, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.tif", Image(CELL[0], pixel_nm=65.0))
    write(folder / "b.tif", Image(CELL[1], pixel_nm=65.0))
    for name, content in STRAY.items():
        (folder / name).write_bytes(content)
    told = superlens("enhance", folder, *TOLD, "--out", tmp_path / "out", "--dry-run")
    assert told.exit_code == 0, told.output
    assert [line.split("/")[-1] for line in told.output.splitlines() if line.startswith("input:")] == ["a.tif", "b.tif"]


SPOILED: dict[str, Array | bytes] = {
    "blank": np.full((32, 40), 7, np.uint16),
    "all NaN": np.full((32, 40), np.nan, np.float32),
    "tiny": CELL[0, :8],
    "saturated": np.full((32, 40), 65535, np.uint16),
    "empty": b"",
    "text": b"not an image at all",
}


@pytest.mark.parametrize("name", SPOILED)
def test_one_bad_image_among_many_is_left_out_and_named(
    superlens: Shell, added: object, tmp_path: Path, name: str
) -> None:
    folder, bad = tmp_path / "in", SPOILED[name]
    folder.mkdir()
    write(folder / "a.tif", Image(CELL[0], pixel_nm=65.0))
    write(folder / "c.tif", Image(CELL[1], pixel_nm=65.0))
    if isinstance(bad, bytes):
        (folder / "b.tif").write_bytes(bad)
    else:
        tifffile.imwrite(folder / "b.tif", bad)
    done = superlens("enhance", folder, *TOLD, "--pixel-nm", 65, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert {one.name for one in (tmp_path / "out").glob("*_smooth.tif")} == {"a_smooth.tif", "c_smooth.tif"}
    assert "b.tif" in done.stderr


# -- faults by their names ------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Callable[[Array], Array], str]] = {
    "padded to a power of two": (lambda c: np.pad(c, ((0, 40), (0, 72))), "border of identical pixels"),
    "padded with its mean": (lambda c: np.pad(c, 10, constant_values=round(float(c.mean()))), "identical pixels"),
    "turned and cropped": (lambda c: np.rint(ndimage.rotate(c, 9, order=0, cval=0)), "identical pixels"),
    "registered": (lambda c: np.rint(ndimage.shift(c, (6, -9), order=0, cval=0)), "identical pixels"),
    "hot pixels": (lambda c: c + 900.0 * (np.random.default_rng(1).random(c.shape) < 0.01), "hot pixels"),
    "lines to and fro": (lambda c: np.where(np.arange(len(c))[:, None] % 2, np.roll(c, 2, 1), c), "lines are shifted"),
    "two taps": (lambda c: c + 25.0 * (np.arange(c.shape[1]) % 2), "differ in brightness"),
}


@pytest.mark.parametrize("kind", ["filaments", "vesicles"])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_by_their_names(name: str, kind: str) -> None:
    spoil, said = FAULTS[name]
    found = find_defects(spoil(picture(kind)).astype(np.float32)[None], TRUE)
    assert any(said in each for each in found), found
