"""MRC and DeltaVision files, transfer functions, and point spread functions from files."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superlens.errors import SuperlensError, SuperlensWarning
from superlens.image import Image
from superlens.io import read, read_otf, read_psf, write

DATA = Path(os.environ.get("SUPERLENS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MODES = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 7: "i4", 12: "f2"}


def sample(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in the sample data at {DATA}")
    return path


def mrc_bytes(
    data: np.ndarray[Any, Any],
    mode: int,
    *,
    order: str = "<",
    fields: dict[int, tuple[str, Any]] | None = None,
    extended: bytes = b"",
) -> bytes:
    """An MRC file of sections; `fields` sets header fields by byte position, format and value."""
    header = bytearray(1024)
    sections = data.reshape(-1, *data.shape[-2:]) if data.ndim > 1 else data.reshape(1, 1, -1)
    struct.pack_into(f"{order}4i", header, 0, *sections.shape[::-1], mode)
    struct.pack_into(f"{order}i", header, 92, len(extended))
    for at, (kind, value) in (fields or {}).items():
        struct.pack_into(order + kind, header, at, *(value if isinstance(value, tuple) else (value,)))
    return bytes(header) + extended + sections.astype(np.dtype(MODES[mode]).newbyteorder(order)).tobytes()


def deltavision(
    order: str = "<", *, frames: int = 1, channels: int = 1, sequence: int = 0
) -> dict[int, tuple[str, Any]]:
    waves = tuple(500 + 10 * at for at in range(5))
    return {
        40: ("3f", (0.065, 0.065, 0.2)),
        96: ("h", -16224),
        180: ("2h", (frames, sequence)),
        196: ("h", channels),
        198: ("5h", waves),
    }


def noise(shape: tuple[int, ...], mode: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 100, shape).astype(MODES[mode])


# -- images


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("mode", [0, 1, 2, 6, 7, 12])
@pytest.mark.parametrize("dv", [False, True])
def test_every_mode_in_both_orders(tmp_path: Path, order: str, mode: int, dv: bool) -> None:
    data = noise((20, 30), mode)
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(data, mode, order=order, fields=deltavision() if dv else {}))
    image = read(tmp_path / "a.mrc")
    np.testing.assert_array_equal(image.data, data)
    assert image.data.dtype == np.dtype(MODES[mode])
    assert image.pixel_nm == (65.0 if dv else None)


@pytest.mark.parametrize("dv", [False, True])
def test_what_programs_noted_is_kept(tmp_path: Path, dv: bool) -> None:
    fields = {
        **(deltavision() if dv else {}),
        224: ("80s", b"IMGCORR:  Norm=on   "),
        384: ("80s", b"DECON3D:  4    0.1010\0rest"),
    }
    (tmp_path / "a.dv").write_bytes(mrc_bytes(noise((20, 30), 6), 6, fields=fields))
    assert read(tmp_path / "a.dv").history == {"labels": ["IMGCORR: Norm=on", "DECON3D: 4 0.1010"]}


def test_bytes_are_signed_when_the_standard_says_so(tmp_path: Path) -> None:
    data = np.full((20, 30), 200, np.uint8)
    for fields, value in [
        ({208: ("4s", b"MAP ")}, -56),
        ({}, 200),
        ({208: ("4s", b"MAP "), 152: ("2i", (1146047817, 0))}, 200),
    ]:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(data, 0, fields=fields))
        assert read(tmp_path / "a.mrc").data[0, 0] == value


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
def test_another_reader_and_ours_agree_on_the_standard(tmp_path: Path, mode: int) -> None:
    mrcfile = pytest.importorskip("mrcfile", reason="the independent reader mrcfile is not installed")
    data = noise((4, 20, 30), mode).astype("i1" if mode == 0 else MODES[mode])
    with mrcfile.new(tmp_path / "a.mrc") as file:
        file.set_data(data)
        file.voxel_size = 650.0
    image = read(tmp_path / "a.mrc", axes="ZYX")
    np.testing.assert_array_equal(image.data, data)
    assert image.pixel_nm == 65.0


def test_the_box_of_an_mrc_volume_is_in_angstrom(tmp_path: Path) -> None:
    fields = {28: ("3i", (30, 20, 4)), 40: ("3f", (19500.0, 13000.0, 8000.0)), 88: ("i", 1)}
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(noise((4, 20, 30), 1), 1, fields=fields))
    image = read(tmp_path / "a.mrc")
    assert (image.axes, image.pixel_nm, image.z_step_nm) == ("ZYX", 65.0, 200.0)


def test_an_mrc_stack_that_is_no_volume_needs_axes(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(noise((4, 20, 30), 1), 1))
    with pytest.raises(SuperlensError, match="`axes`"):
        read(tmp_path / "a.mrc")
    assert read(tmp_path / "a.mrc", axes="TYX").axes == "TYX"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("sequence", "outer"), [(0, "CTZ"), (1, "TZC"), (2, "TCZ")])
def test_deltavision_sections_are_sorted_by_their_sequence(
    tmp_path: Path, order: str, sequence: int, outer: str
) -> None:
    sizes = {"T": 3, "C": 2, "Z": 4}
    stored = np.arange(24, dtype=np.int16).reshape([sizes[axis] for axis in outer])
    data = np.broadcast_to(stored[..., None, None], (*stored.shape, 20, 30))
    fields = deltavision(frames=3, channels=2, sequence=sequence)
    (tmp_path / "a.dv").write_bytes(mrc_bytes(data, 1, order=order, fields=fields))
    image = read(tmp_path / "a.dv")
    assert image.sizes == {"T": 3, "C": 2, "Z": 4, "Y": 20, "X": 30}
    np.testing.assert_array_equal(image.data[..., 0, 0], stored.transpose([outer.index(axis) for axis in "TCZ"]))
    assert image.channel_names == ("500 nm", "510 nm")
    assert image.z_step_nm == 200.0


def test_deltavision_times_come_from_the_extended_header(tmp_path: Path) -> None:
    sections = [struct.pack("<2i3f", 0, 0, 0.0, 2.5 * (section // 2), 0.0) for section in range(6)]
    fields = deltavision(frames=3, sequence=1) | {128: ("2h", (2, 3))}
    (tmp_path / "a.dv").write_bytes(mrc_bytes(noise((6, 20, 30), 1), 1, fields=fields, extended=b"".join(sections)))
    image = read(tmp_path / "a.dv")
    assert image.sizes == {"T": 3, "Z": 2, "Y": 20, "X": 30}
    assert image.frame_interval_s == 2.5


def test_a_real_deltavision_stack_of_two_colours() -> None:
    image = read(sample("mrc/toxo.dv"))
    assert image.sizes == {"C": 2, "Z": 17, "Y": 128, "X": 128}
    assert image.channel_names == ("525 nm", "632 nm")
    assert (image.pixel_nm, image.z_step_nm) == (132.62, 300.0)
    sharpness = np.diff(image.data.astype(float), axis=-1).std(axis=(-1, -2))
    assert (sharpness[:, [0, -1]].min(axis=1) < sharpness.max(axis=1)).all()  # each channel goes through its own focus


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bytes(100), "shorter than an MRC header"),
        (bytes(2000), "is no MRC file"),
        (mrc_bytes(noise((20, 30), 1), 1)[:-1], "cut short"),
        (mrc_bytes(noise((2, 20, 30), 1), 1, fields={0: ("3i", (1 << 30, 1 << 30, 1 << 30))}), "claims"),
        (mrc_bytes(noise((5, 20, 30), 1), 1, fields=deltavision(frames=2)), "5 sections"),
        (mrc_bytes(noise((20, 30), 4), 4), "complex values"),
    ],
)
def test_damaged_mrc(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.mrc").write_bytes(content)
    with pytest.raises(SuperlensError, match=said):
        read(tmp_path / "a.mrc")


# -- transfer functions and PSFs


def radial(count: int = 129, cutoff_per_um: float = 4.0, dk_per_um: float = 0.05) -> np.ndarray[Any, Any]:
    """The transfer function of a wide-field microscope in focus (Born and Wolf, section 9.5)."""
    k = np.minimum(np.arange(count) * dk_per_um / cutoff_per_um, 1)
    return (2 / np.pi * (np.arccos(k) - k * np.sqrt(1 - k**2))).astype(np.complex64)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_radial_otf_gives_its_psf(tmp_path: Path, order: str) -> None:
    (tmp_path / "otf.mrc").write_bytes(mrc_bytes(radial(), 4, order=order, fields={40: ("f", 0.05)}))
    otf = read_otf(tmp_path / "otf.mrc")
    assert (otf.data.shape, otf.dk_per_um, otf.dkz_per_um) == ((129,), 0.05, None)
    psf = read_psf(tmp_path / "otf.mrc")
    assert psf.pixel_nm == pytest.approx(1e3 / (2 * 128 * 0.05))
    assert psf.data.sum() == pytest.approx(1)
    finer = read_psf(tmp_path / "otf.mrc", pixel_nm=40.0)
    assert finer.pixel_nm == 40.0
    # for NA / wavelength = cutoff / 2 the first zero of the Airy pattern lies at 1.22 / cutoff, the FWHM is 1.029 / cutoff
    assert finer.fwhm_nm == pytest.approx(1.029e3 / 4.0, rel=0.03)


def test_the_measured_radial_otf_gives_the_known_width() -> None:
    psf = read_psf(sample("zs-deconvnet/lysosome_tirf/TIRF560_cam2_0_z21_OTF2d.mrc"), pixel_nm=31.3)
    assert psf.fwhm_nm == pytest.approx(250, rel=0.02)
    assert psf.pixel_nm == 31.3


def test_the_default_pixel_of_the_measured_otf_is_that_of_its_camera() -> None:
    psf = read_psf(sample("zs-deconvnet/lysosome_tirf/TIRF560_cam2_0_z21_OTF2d.mrc"))
    assert psf.pixel_nm == pytest.approx(62.6, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "shape", "dk_per_um", "dkz_per_um"),
    [
        ("3D-488-OTF-1.17NA-ang2-0.160step-20-25-3.mrc", (3, 257, 101), 0.03202, 0.06188),
        ("C2-0.175cc-SLM6.1-0.16step-560_cam2_step1_001_otf3d-ang0-12-12-1-1.45.mrc", (3, 257, 63), 0.03009, 0.09921),
    ],
)
def test_big_endian_bands_of_structured_illumination(
    name: str, shape: tuple[int, ...], dk_per_um: float, dkz_per_um: float
) -> None:
    path = sample(f"zs-deconvnet/sim_otf/{name}")
    otf = read_otf(path)
    assert otf.data.shape == shape
    assert otf.dk_per_um == pytest.approx(dk_per_um, abs=5e-6)
    assert otf.dkz_per_um == pytest.approx(dkz_per_um, abs=5e-6)
    assert otf.data[0, 0, 0] == pytest.approx(1)
    assert np.abs(otf.data).max() == pytest.approx(1)
    with pytest.raises(SuperlensError, match="3 bands of 257"):
        read_psf(path)


def test_a_psf_image_has_the_known_width() -> None:
    psf = read_psf(sample("zs-deconvnet/microtubule_2d/psf_emLambda525_dxy0.0313_NA1.3.tif"))
    assert psf.pixel_nm == pytest.approx(31.3, abs=0.01)
    assert psf.fwhm_nm == pytest.approx(2.739 * 2.3548 * 31.3, rel=0.02)


def spot(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    grids = np.meshgrid(*[np.arange(side) - side // 2 for side in shape], indexing="ij")
    return (1000 * np.exp(-sum(grid**2 for grid in grids) / 8) + 10).astype(np.float32)


def test_a_psf_needs_its_sampling(tmp_path: Path) -> None:
    flat = write(tmp_path / "flat.tif", Image(spot((31, 31))))
    with pytest.raises(SuperlensError, match="flat.tif does not state its pixel size; give `psf_pixel_nm`"):
        read_psf(flat)
    assert read_psf(flat, pixel_nm=50.0).pixel_nm == 50.0
    deep = write(tmp_path / "deep.tif", Image(spot((15, 31, 31)), "ZYX", pixel_nm=50.0))
    with pytest.raises(SuperlensError, match="`psf_z_step_nm`"):
        read_psf(deep)
    assert read_psf(deep, z_step_nm=100.0).z_step_nm == 100.0


def test_pages_of_a_psf_are_planes(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "psf.tif", spot((15, 31, 31)), metadata=None)
    assert read_psf(tmp_path / "psf.tif", pixel_nm=50.0, z_step_nm=100.0).data.ndim == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (mrc_bytes(radial(), 4), "frequency step of 0.0"),
        (mrc_bytes(radial(1), 4, fields={40: ("f", 0.05)}), "one frequency only"),
        (mrc_bytes(radial()[::-1], 4, fields={40: ("f", 0.05)}), "away from frequency 0"),
        (mrc_bytes(radial() * np.nan, 4, fields={40: ("f", 0.05)}), "not finite"),
    ],
)
def test_transfer_functions_without_sense_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "otf.mrc").write_bytes(content)
    with pytest.raises(SuperlensError, match=said):
        read_psf(tmp_path / "otf.mrc")


@pytest.mark.parametrize(("dk_per_um", "pixel_nm"), [(1e-4, 10.0), (5e-5, None), (0.05, 1e-3), (0.05, 1e5)])
def test_a_transfer_function_that_would_need_a_giant_psf_is_refused(
    tmp_path: Path, dk_per_um: float, pixel_nm: float | None
) -> None:
    (tmp_path / "otf.mrc").write_bytes(mrc_bytes(radial(), 4, fields={40: ("f", dk_per_um)}))
    with pytest.raises(SuperlensError, match="Check both|dk_per_um"):
        read_psf(tmp_path / "otf.mrc", pixel_nm=pixel_nm)


def test_a_real_image_is_no_transfer_function(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(noise((20, 30), 1), 1))
    with pytest.raises(SuperlensError, match="expected a complex transfer function"):
        read_otf(tmp_path / "a.mrc")


# -- acquisitions that were stopped


def test_of_a_stack_that_was_stopped_the_whole_sections_are_read(tmp_path: Path) -> None:
    whole = mrc_bytes(noise((6, 20, 30), 1), 1)
    (tmp_path / "a.mrc").write_bytes(whole[: -2 * 20 * 30 * 2])
    with pytest.warns(SuperlensWarning, match="announces 6 planes, and 2 of them are missing"):
        image = read(tmp_path / "a.mrc", axes="TYX")
    np.testing.assert_array_equal(image.data, noise((6, 20, 30), 1)[:4])


@pytest.mark.parametrize(("sequence", "frames"), [(1, 2), (2, 2), (0, 1)])
def test_of_a_deltavision_file_that_was_stopped_whole_frames_are_read(
    tmp_path: Path, sequence: int, frames: int
) -> None:
    sizes, outer = {"T": 3, "C": 2, "Z": 4}, {0: "CTZ", 1: "TZC", 2: "TCZ"}[sequence]
    stored = np.arange(24, dtype=np.int16).reshape([sizes[axis] for axis in outer])
    data = np.broadcast_to(stored[..., None, None], (*stored.shape, 20, 30))
    whole = mrc_bytes(data, 1, fields=deltavision(frames=3, channels=2, sequence=sequence))
    (tmp_path / "a.dv").write_bytes(whole[: len(whole) - 7 * 20 * 30 * 2])
    with pytest.warns(SuperlensWarning, match="announces 24 planes, and 7 of them are missing"):
        image = read(tmp_path / "a.dv")
    part = stored.transpose([outer.index(axis) for axis in "TCZ"])[:frames]
    np.testing.assert_array_equal(image.data[..., 0, 0], part.squeeze())
