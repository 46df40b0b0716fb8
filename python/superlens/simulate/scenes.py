"""From a specimen to a picture of it: blur, camera pixels, photons, background, noise; with the truth kept on both grids.

In: label density on the fine grid, a `PSF` on that grid, a `Camera`. Out: counts and what they should have been. The drawing is left to
`superlens.simulate.specimens`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.optics import PSF, ForwardModel
from superlens.simulate.specimens import STRUCTURES

__all__ = ["Scene", "expose", "scene", "truth_at_resolution"]

Array32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture and everything that made it.

    Parameters
    ----------
    observed : Image
        What the camera delivers: axes YX, float32 counts, offset included.
    truth : ndarray, shape (scale * Y, scale * X), float32, counts above the offset
        The specimen on the fine grid, background included. A fine pixel carries the level of the camera pixel: blurred with `psf`
        and averaged over scale x scale fine pixels it is `clean`.
    clean : ndarray, shape (Y, X), float32, counts above the offset
        What the camera would deliver without noise.
    psf : PSF
        On the fine grid.
    camera : Camera
    name : str
        Structure, photons and seed in a word.
    """

    observed: Image
    truth: Array32 = field(repr=False)
    clean: Array32 = field(repr=False)
    psf: PSF
    camera: Camera
    name: str

    @property
    def scale(self) -> int:
        """Fine pixels to a camera pixel, along one side."""
        return int(self.truth.shape[-1] // self.clean.shape[-1])


def expose(
    specimen: NDArray[np.floating[Any]],
    psf: PSF,
    camera: Camera,
    *,
    photons: float,
    background: float,
    scale: int = 2,
    rng: np.random.Generator,
) -> tuple[Array32, Array32, float]:
    """Photograph a specimen.

    Parameters
    ----------
    specimen : ndarray, shape (scale * Y, scale * X)
        Label density on the fine grid, at least 0.
    psf : PSF
        On the fine grid; of a 3D PSF the plane in focus is used.
    camera : Camera
    photons : float
        Brightness: mean photons over the pixels above a tenth of the maximum, in the clean image without background.
    background : float
        Photons in every camera pixel besides, at least 0.
    scale : int
        Fine pixels to a camera pixel, along one side.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    counts : ndarray, shape (Y, X), float32, counts
        The noisy picture, offset included.
    clean_photons : ndarray, shape (Y, X), float32, photons
        Its mean, background included.
    factor : float
        Photons of a label: ``factor * specimen + background`` is the specimen in photons per camera pixel. 0 for an empty specimen.

    Raises
    ------
    SuperlensError
        When the sides are no multiples of `scale`, or `photons` or `background` is negative.

    Examples
    --------
    >>> from superlens.simulate import flat
    >>> rng = np.random.default_rng(0)
    >>> psf, camera = PSF.gaussian(250.0, pixel_nm=50.0), Camera(1.0, 100.0, 1.0)
    >>> counts, clean, factor = expose(flat((64, 64), rng), psf, camera, photons=20.0, background=3.0, rng=rng)
    >>> counts.shape, round(float(clean.mean()), 3)
    ((32, 32), 23.0)
    """
    _check(specimen, photons, background, scale)
    shape = [side // scale for side in specimen.shape]
    model = ForwardModel(shape, _plane(psf).data, scale=scale, edges="open", precision="double")
    beyond = [(inside.start, side - inside.stop) for inside, side in zip(model.window, model.domain, strict=True)]
    camera_view = np.maximum(model.apply(np.pad(specimen, beyond, mode="reflect")), 0.0)
    factor = _factor(camera_view, photons)
    clean = factor * camera_view + background
    return np.asarray(camera.expose(clean, rng), np.float32), clean.astype(np.float32), factor


def scene(
    kind: str,
    photons: float,
    *,
    psf: PSF,
    camera: Camera,
    shape: tuple[int, int] = (256, 256),
    background: float = 2.0,
    seed: int,
    scale: int = 2,
) -> Scene:
    """Draw a structure and photograph it.

    Parameters
    ----------
    kind : str
        A name in `STRUCTURES`.
    photons : float
        Mean photons over the pixels above a tenth of the maximum.
    psf : PSF
        On the fine grid: its pixel is the camera's divided by `scale`.
    camera : Camera
    shape : tuple of int
        Rows and columns of the camera image.
    background : float
        Photons in every camera pixel besides.
    seed : int
        Same seed, same scene.
    scale : int
        Fine pixels to a camera pixel, along one side.

    Returns
    -------
    Scene
        Picture and truth.

    Raises
    ------
    SuperlensError
        When `kind` is unknown, or a number impossible.
    """
    if kind not in STRUCTURES:
        raise SuperlensError(f"kind is {kind!r}; expected one of {', '.join(STRUCTURES)}.")
    rng = np.random.default_rng(seed)
    specimen = STRUCTURES[kind]((shape[0] * scale, shape[1] * scale), rng)
    counts, clean, factor = expose(specimen, psf, camera, photons=photons, background=background, scale=scale, rng=rng)
    name = f"{kind}-{photons:g}photons-seed{seed}"
    return Scene(
        observed=Image(counts, "YX", pixel_nm=psf.pixel_nm * scale, name=name),
        truth=(camera.gain * (factor * specimen + background)).astype(np.float32),
        clean=(camera.gain * clean).astype(np.float32),
        psf=psf,
        camera=camera,
        name=name,
    )


def truth_at_resolution(scene: Scene, factor: float = 1.5) -> Array32:
    """The truth as an ideal microscope would show it whose PSF is `factor` times narrower.

    Parameters
    ----------
    scene : Scene
    factor : float
        Gain in resolution over the scene's PSF; sharp images of superlens show most of the light 2.1 times narrower unless told otherwise.

    Returns
    -------
    ndarray, shape (scale * Y, scale * X), float32, counts above the offset
        The truth blurred with the narrowed PSF.
    """
    return np.asarray(_plane(scene.psf).narrowed(factor).blur(scene.truth), np.float32)


def _plane(psf: PSF) -> PSF:
    return psf.at_focus() if psf.data.ndim == 3 else psf


def _factor(camera_view: NDArray[np.float64], photons: float) -> float:
    """Photons of a label, so that the pixels above a tenth of the maximum hold `photons` on average."""
    brightest = float(camera_view.max())
    if brightest <= 0:
        return 0.0
    return float(photons / camera_view[camera_view > 0.1 * brightest].mean())


def _check(specimen: NDArray[Any], photons: float, background: float, scale: int) -> None:
    if specimen.ndim != 2 or scale < 1 or any(side % scale for side in specimen.shape):
        raise SuperlensError(
            f"specimen has the shape {specimen.shape}; expected two sides that are multiples of scale = {scale}. Crop it."
        )
    for name, value in (("photons", photons), ("background", background)):
        if not (np.isfinite(value) and value >= 0):
            raise SuperlensError(f"{name} is {value}; expected 0 or more photons.")
