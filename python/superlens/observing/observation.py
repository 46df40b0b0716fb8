"""What was measured: counts above the offset, the noise of each pixel, and the camera that explains both.

Between an `Image` from a file and any method stands one question: which part of these numbers is light, and how far may they be off?
`observe` answers it once, for one image or for several of one kind, and every method takes the answer. In: images in ADU and what the
user knows of the camera. Out: an `Observation` for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import (
    Camera,
    CameraEstimate,
    NoiseCheck,
    check_noise,
    estimate_camera,
    find_defects,
    recorrupt,
    share_photons,
    smoothed_signal,
)
from superlens.camera.hot import hot_pixels
from superlens.image import Image, check_image, fill_plane

__all__ = ["Observation", "noise_sigma", "noise_variance", "noisy_pair", "noted", "observe"]

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One image, ready to learn from or to predict.

    Attributes
    ----------
    image : Image
        As it came, bad pixels filled.
    counts : ndarray, shape (N, Y, X), float32
        All planes of the image, counts above the offset.
    sigma : ndarray, shape (N, Y, X), float32, counts
        Standard deviation of the noise of each pixel.
    bad : ndarray, shape (N, Y, X), bool
        Saturated, undefined or hot pixels, filled from their neighbours and left out of every fit.
    camera : Camera
    estimate : CameraEstimate
        How the camera was found, with the points of its photon-transfer curve.
    noise : NoiseCheck
        Whether neighbouring pixels share noise.
    messages : tuple of str
        What the user should know.
    defects : tuple of str
        Faults of the image by their usual names, and what to do about them; among the messages as well.
    haze : ndarray, shape (N, Y, X), float32, counts, or None
        Out-of-focus light, where it was separated; part of `counts`.
    """

    image: Image
    counts: Array
    sigma: Array
    bad: NDArray[np.bool_]
    camera: Camera
    estimate: CameraEstimate
    noise: NoiseCheck
    messages: tuple[str, ...]
    defects: tuple[str, ...] = ()
    haze: Array | None = None

    @property
    def in_focus(self) -> Array:
        """The counts without the light that was found to be out of focus; its noise stays. Shape (N, Y, X)."""
        return self.counts if self.haze is None else self.counts - self.haze

    def saying(self, message: str) -> Observation:
        """The same with one more message."""
        return replace(self, messages=(*self.messages, message))

    def stacked(self, values: NDArray[Any], axes: str) -> NDArray[Any]:
        """Planes ``(N, Y, X)`` of the image as the images or volumes ``(M, [Z,] Y, X)`` that a network of such axes takes."""
        return values.reshape(-1, *self.image.data.shape[-len(axes) : -2], *values.shape[-2:])


def observe(
    images: Sequence[Image],
    *,
    offset: float | None = None,
    gain: float | None = None,
    read_noise_e: float | None = None,
) -> list[Observation]:
    """Find the camera that took the images, and with it the noise of each pixel.

    Parameters
    ----------
    images : sequence of Image
        Of one kind: one camera took them all.
    offset : float, counts, optional
    gain : float, counts per electron, optional
    read_noise_e : float, electrons, optional
        What is given is used; the rest is estimated, each value as the median over the images.

    Returns
    -------
    list of Observation

    Raises
    ------
    SuperlensError
        If an image can't be worked on.
    """
    checked = [check_image(image) for image in images]
    stacks = [np.asarray(c.image.data, np.float32).reshape(-1, *c.image.data.shape[-2:]) for c in checked]
    estimates = [
        estimate_camera(s, offset=offset, gain=gain, read_noise_e=read_noise_e, recorded=image.data.reshape(s.shape))
        for s, image in zip(stacks, images, strict=True)
    ]
    camera = _one_camera([e.camera for e in estimates])
    return [
        _observation(c.image, stack, c.mask.reshape(stack.shape), camera, estimate, c.messages)
        for c, stack, estimate in zip(checked, stacks, estimates, strict=True)
    ]


def _one_camera(cameras: Sequence[Camera]) -> Camera:
    first = cameras[0]
    return replace(
        first,
        gain=float(np.median([c.gain for c in cameras])),
        offset=float(np.median([c.offset for c in cameras])),
        read_noise_e=float(np.median([c.read_noise_e for c in cameras])),
        multiplied=2 * sum(c.multiplied for c in cameras) > len(cameras),
    )


def _observation(
    image: Image,
    stack: Array,
    bad: NDArray[np.bool_],
    camera: Camera,
    estimate: CameraEstimate,
    messages: tuple[str, ...],
) -> Observation:
    defects = find_defects(stack, camera)
    said = [*defects, *messages, *estimate.notes]
    hot = hot_pixels(stack - np.float32(camera.offset), camera) & ~bad
    if hot.any():
        image, bad = _without(image, hot), bad | hot
        stack = np.asarray(image.data, np.float32).reshape(stack.shape)
        said.append(
            f"{int(hot.sum())} of {hot.size} pixels stand alone far above or below their neighbours, as no light through a microscope does (hot or "
            "dead pixels); they are filled from their neighbours and left out of fits"
        )
    counts = (stack - np.float32(camera.offset)).astype(np.float32)
    sigma = noise_sigma(counts, camera)
    noise = check_noise(stack)
    return Observation(image, counts, sigma, bad, camera, estimate, noise, noted(said, noise), defects)


def noted(said: Sequence[str], noise: NoiseCheck) -> tuple[str, ...]:
    """What was said with the check of the noise once: as found last, with holes filled and hot pixels taken out."""
    if noise.independent:
        return tuple(said)
    opening = noise.note.partition(" (")[0]
    return (*(note for note in said if not note.startswith(opening)), noise.note)


def _without(image: Image, holes: NDArray[np.bool_]) -> Image:
    data = image.data.copy()
    for plane, hole in zip(data.reshape(holes.shape), holes, strict=True):
        fill_plane(plane, hole, lambda plane=plane: float(np.median(plane)))  # type: ignore[misc]
    return replace(image, data=data)


def noise_sigma(
    counts: Array, camera: Camera, *, shot: float = 1.0, read: float = 1.0, mean_variance: float | None = None
) -> Array:
    """Standard deviation of the noise at each pixel, from the image itself.

    Parameters
    ----------
    counts : ndarray, shape (N, Y, X), float32, counts above the offset
    camera : Camera
    shot, read : float
        Factors of the variances of shot and read noise.
    mean_variance : float, optional
        Mean variance of the whole image, when `counts` is a part of it; it sets the floor.

    Returns
    -------
    ndarray, shape (N, Y, X), float32, counts
        From a 5x5 mean as the expected signal; never zero.
    """
    variance = noise_variance(counts, camera, shot=shot, read=read)
    mean = float(variance.mean()) if mean_variance is None else mean_variance
    floor = np.float32(max(1e-4 * mean, float(np.finfo(np.float32).tiny)))
    return np.sqrt(np.maximum(variance, np.maximum(floor, 0.05 * camera.gain**2))).astype(np.float32)


def noisy_pair(
    counts: Array,
    camera: Camera,
    alpha: float,
    rng: np.random.Generator,
    *,
    covariance: NDArray[np.float64] | None = None,
    shot: float = 1.0,
    read: float = 1.0,
) -> tuple[Array, Array]:
    """Two copies of an image whose noises are independent.

    Parameters
    ----------
    counts : ndarray, shape (N, Y, X), float32, counts above the offset
    camera : Camera
    alpha : float
        Split of the noise, above 0.
    rng : numpy.random.Generator
    covariance : ndarray, optional
        Correlation of the noise between neighbouring pixels, where they share it; see `superlens.camera.recorrupt`. Without it, see
        `superlens.camera.share_photons`.
    shot, read : float
        Factors of the variances of shot and read noise.

    Returns
    -------
    input, target : ndarray, shape (N, Y, X), float32, counts above the offset
    """
    if covariance is None:
        smooth = np.stack([smoothed_signal(plane) for plane in counts])
        return share_photons(counts, smooth, camera, alpha, rng, shot=shot, read=read)
    sigma = noise_sigma(counts, camera, shot=shot, read=read)
    return recorrupt(counts, sigma, alpha, rng, covariance=covariance)


def noise_variance(counts: Array, camera: Camera, *, shot: float = 1.0, read: float = 1.0) -> Array:
    """Variance of the noise at each pixel as the camera states it, without a floor; the arguments are those of `noise_sigma`."""
    smooth = np.stack([smoothed_signal(plane) for plane in counts])
    dark = camera.variance(np.zeros(()))
    return np.asarray(shot * (camera.variance(smooth) - dark) + read * dark, np.float32)
