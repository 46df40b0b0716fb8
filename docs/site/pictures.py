"""Draw the pictures of the tutorials and of the gallery: simulated specimens, the shipped networks, no fine-tuning.

    python docs/site/pictures.py               # all of them, a few minutes
    python docs/site/pictures.py gallery       # those whose name holds a word

Each picture is a row of panels of one field with a caption in it and a scale bar. The fields are simulated, so that the truth stands beside
the result; the bundled recording is shown in the README.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

import superlens as sl
from superlens import simulate
from superlens.simulate import Filaments, GaussianSpots, Independent, SmlmScene, simulate_smlm, volumes

FOLDER = Path(__file__).resolve().parents[1] / "pictures"
CAMERA = sl.Camera(gain=2.0, offset=100.0, read_noise_e=1.6)
SIDE, GAP = 260, 6
AS_SHARP = float(sl.ZSDeconvConfig.of("fast").sharpen)  # times narrower than the PSF
Array = NDArray[Any]


def row(panels: Sequence[tuple[str, Array]], width_um: float) -> Pillow.Image:
    """Planes of one field side by side, each between its percentiles 0.5 and 99.8, with captions and a bar of a micrometre."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 15)
    heights = {round(SIDE * plane.shape[0] / plane.shape[1]) for _, plane in panels}
    height = max(heights)
    picture = Pillow.new("L", (len(panels) * (SIDE + GAP) - GAP, height), 255)
    draw = ImageDraw.Draw(picture)
    for number, (words, plane) in enumerate(panels):
        low, high = np.percentile(plane, (0.5, 99.8))
        grey = (255 * ((np.asarray(plane, float) - low) / (high - low)).clip(0, 1)).astype(np.uint8)
        left = number * (SIDE + GAP)
        picture.paste(Pillow.fromarray(grey).resize((SIDE, height), Pillow.Resampling.BICUBIC), (left, 0))
        draw.text((left + 8, 6), words, 255, font, stroke_width=2, stroke_fill=0)
    bar = round(SIDE / width_um)
    draw.rectangle((picture.width - 10 - bar, height - 14, picture.width - 10, height - 10), 255, 0)
    draw.text((picture.width - 10, height - 17), "1 µm", 255, font, anchor="rb", stroke_width=2, stroke_fill=0)
    return picture


def field(kind: str, photons: float, optics: sl.Objective, pixel_nm: float, seed: int, **settings: Any) -> Pillow.Image:
    """Recorded, denoised, super-resolved, and the truth as an ideal result would show it."""
    psf = optics.psf(pixel_nm / 2)
    scene = simulate.scene(kind, photons, psf=psf, camera=CAMERA, shape=(128, 128), seed=seed)
    result = sl.enhance(scene.observed, optics, config=sl.ZSDeconvConfig.of("fast", steps=0, **settings))
    assert result.image is not None
    panels = [
        ("recorded", scene.observed.data),
        ("denoised", result.denoised.data),
        ("super-resolved", result.image.data),
        ("truth, as sharp", simulate.truth_at_resolution(scene, AS_SHARP)),
    ]
    return row(panels, 128 * pixel_nm / 1000)


def uncertain() -> Pillow.Image:
    """Result, its uncertainty and its error."""
    optics = OIL
    psf = optics.psf(32.5)
    scene = simulate.scene("filaments", 25, psf=psf, camera=CAMERA, shape=(128, 128), seed=4)
    result = sl.enhance(scene.observed, optics, config=sl.ZSDeconvConfig.of("fast", steps=0))
    assert result.image is not None and result.uncertainty is not None
    error = np.abs(result.image.data - simulate.truth_at_resolution(scene, AS_SHARP))
    panels = [
        ("recorded", scene.observed.data),
        ("super-resolved", result.image.data),
        ("uncertainty", result.uncertainty.data),
        ("error, from the truth", error),
    ]
    return row(panels, 128 * 0.065)


def volume() -> Pillow.Image:
    """A confocal stack, its middle slice and a cut along z, before and after."""
    rng = np.random.default_rng(3)
    light = CONFOCAL.psf(70, z_step_nm=200).blur(volumes.network((16, 96, 96), rng, aspect=200 / 70), "wrap")
    photons = np.maximum(light, 0) * 60 / np.percentile(light, 99.5) + 2
    stack = sl.Image(CAMERA.expose(photons, rng), "ZYX", pixel_nm=70, z_step_nm=200)
    result = sl.enhance(stack, CONFOCAL, config=sl.ZSDeconvConfig.of("fast", axes="ZYX", steps=0))
    assert result.image is not None

    def cut(data: Array) -> Array:
        """Plane along x and z, stretched to square pixels and mirrored to the height of the plane above it."""
        return np.asarray(data[8])

    def side(data: Array) -> Array:
        plane = data[:, data.shape[1] // 2]
        return np.repeat(plane, max(round(data.shape[2] / plane.shape[0]), 1), axis=0)

    panels = [
        ("recorded, xy", cut(stack.data)),
        ("super-resolved, xy", cut(result.image.data)),
        ("recorded, xz (z × 2)", side(stack.data)),
        ("super-resolved, xz", side(result.image.data)),
    ]
    return row(panels, 96 * 0.07)


def molecules() -> Pillow.Image:
    """One frame of a movie, the mean of all, and the molecules found."""
    scene = SmlmScene(
        yx_shape=(48, 48),
        sites=Filaments(density_per_um=1.2),
        blinking=Independent(density_um2=1.5),
        spots=GaussianSpots(120.0, 5.0),
        sensor=CAMERA,
    )
    movie = simulate_smlm(300, scene, rng=np.random.default_rng(2))
    found = sl.localize(movie.frames)
    fine = found.density.data
    panels = [("one frame", movie.frames.data[0]), ("mean of 300 frames", found.mean.data), ("localized", fine**0.5)]
    return row(panels, 48 * 0.1)


OIL = sl.Objective(na=1.4, wavelength_nm=525, immersion_index=1.518)
WATER = sl.Objective(na=1.2, wavelength_nm=600, immersion_index=1.33)
AIR = sl.Objective(na=0.8, wavelength_nm=525, immersion_index=1.0)
CONFOCAL = sl.Objective(
    na=1.3, wavelength_nm=525, modality="confocal", excitation_nm=488, immersion_index=1.518, sample_index=1.518
)
TIRF = sl.Objective(na=1.49, wavelength_nm=600, modality="tirf", immersion_index=1.518)

PICTURES: dict[str, Callable[[], Pillow.Image]] = {
    "gallery/filaments-dim": lambda: field("filaments", 15, OIL, 65, 1),
    "gallery/filaments-bright": lambda: field("filaments", 150, OIL, 65, 1),
    "gallery/vesicles-water": lambda: field("vesicles", 40, WATER, 90, 2),
    "gallery/network-confocal": lambda: field("er_network", 30, CONFOCAL, 60, 3),
    "gallery/mitochondria-tirf": lambda: field("mitochondria", 60, TIRF, 65, 4),
    "gallery/nuclei-air": lambda: field("nuclei", 60, AIR, 162, 5),
    "tutorials/uncertainty": uncertain,
    "tutorials/volume": volume,
    "tutorials/molecules": molecules,
}


def main(words: Sequence[str]) -> None:
    """Draw those whose name holds one of the words; all without."""
    for name, draw in PICTURES.items():
        if not words or any(word in name for word in words):
            path = FOLDER / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw().point(lambda level: round(level / 255 * 31) * 255 // 31).save(path, optimize=True)  # small files
            print(path, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
