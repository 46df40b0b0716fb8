"""From raw frames and an objective to everything that is fixed before learning begins, or a refusal in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera, NoiseCheck, check_noise, estimate_camera, refuse_offset, smoothed_signal
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.observing.conditioning import Normaliser
from superlens.optics import PSF, Objective
from superlens.optics.patterns import Pattern
from superlens.reconstruct.sim import SimOptions, SimResult, raw_sets, reconstruct_sim

__all__ = ["Prepared", "SimObservation", "observed", "prepare"]

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SimObservation:
    """Raw frames, and what was made of them.

    Attributes
    ----------
    image : Image
        The raw frames as they came.
    result : SimResult
        The conventional reconstruction, with the pattern.
    frames : ndarray, shape (N, frames, Y, X), float32, counts above the offset
        Set by set.
    counts : ndarray, shape (N, 2 Y, 2 X), float32, counts above the offset
        What the network sees of each set.
    sigma : ndarray, of that shape, counts
        Standard deviation of its noise.
    camera : Camera
    messages : tuple of str
    noise : NoiseCheck or None
        Whether neighbouring pixels of the raw frames share noise.
    """

    image: Image
    result: SimResult
    frames: Array
    counts: Array
    sigma: Array
    camera: Camera
    messages: tuple[str, ...]
    noise: NoiseCheck | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Everything that is fixed before learning begins.

    Attributes
    ----------
    config : ZSDeconvSimConfig
    objective : Objective
    observations : list of SimObservation
    optics : SimOptics
        Of the first image: several images of one kind share it.
    normaliser : Normaliser
    """

    config: ZSDeconvSimConfig
    objective: Objective
    observations: list[SimObservation]
    optics: SimOptics
    normaliser: Normaliser


def prepare(images: Sequence[Image], optics: Objective | PSF | None, config: ZSDeconvSimConfig) -> Prepared:
    """Find the pattern, and check everything that can be checked before a minute is spent.

    Raises
    ------
    SuperlensError
        When no pattern is found, the optics do not fit, or the images are not of one kind.
    """
    if not images:
        raise SuperlensError("images is empty; expected at least one")
    if not isinstance(optics, Objective):
        raise SuperlensError("`na` and `wavelength_nm` are needed; the pattern is found with them, not with a PSF.")
    pattern = pattern_of_file(config)
    observations: list[SimObservation] = []
    first: SimOptics | None = None
    for image in images:
        refuse_offset(image.data, config.offset, image.name or "the image")
        result = reconstruct_sim(image, optics, pattern, options=options_of(config))
        own = SimOptics.of(result.spectrum, config.weight, config.narrower, result.pixel_nm)
        if first is None:
            first = own
        elif abs(own.band / first.band - 1) > _UNLIKE or abs(result.pixel_nm / first.pixel_nm - 1) > _UNLIKE:
            raise SuperlensError(
                f"{image.name or 'an image'} has another pattern or pixel size than the first image; one model needs one kind: run them separately."
            )
        observations.append(_observation(image, result, own, config))
    assert first is not None
    smooth = [smoothed_signal(plane) for one in observations for plane in one.counts]
    normaliser = Normaliser.measure(
        np.concatenate([plane.ravel() for plane in smooth]), np.concatenate([one.sigma.ravel() for one in observations])
    )
    return Prepared(config, optics, observations, first, normaliser)


def observed(
    image: Image, objective: Objective, pattern: Pattern, config: ZSDeconvSimConfig, camera: Camera | None
) -> SimObservation:
    """Raw frames as a trained model takes them: with its pattern and its camera.

    Raises
    ------
    SuperlensError
        When their pattern is another one.
    """
    result = _with_pattern(image, objective, pattern, options_of(config))
    optics = SimOptics.of(result.spectrum, config.weight, config.narrower, result.pixel_nm)
    return _observation(image, result, optics, config, camera)


_UNLIKE = 0.02  # relative difference up to which patterns and pixels are the same
_TURNED = 2.0  # degrees


def _with_pattern(image: Image, objective: Objective, pattern: Pattern, options: SimOptions) -> SimResult:
    """Reconstruct with a pattern, refusing frames that show another one clearly."""
    try:
        own = reconstruct_sim(image, objective, options=options)
    except SuperlensError:
        own = None  # too dim to tell: that is what the pattern is given for
    if own is not None and own.pattern.arrangement.orders == pattern.arrangement.orders:
        for mine, theirs in zip(own.pattern.orders, pattern.orders, strict=True):
            turned = abs((mine.angle_deg - theirs.angle_deg + 90) % 180 - 90)
            if abs(mine.length / theirs.length - 1) > _UNLIKE or turned > _TURNED:
                raise SuperlensError(
                    f"the frames show a pattern of {1 / mine.length:.3f} pixels at {mine.angle_deg:.1f} degrees, and the model was trained with "
                    f"{1 / theirs.length:.3f} at {theirs.angle_deg:.1f}; expected the same within 2 % and 2 degrees. Train a model for this pattern."
                )
    return reconstruct_sim(image, objective, pattern, options=options)


def options_of(config: ZSDeconvSimConfig) -> SimOptions:
    """What the settings say of the frames."""
    made = SimOptions(order=config.order, angles=config.angles, phases=config.phases)
    made.axes()
    return made


def pattern_of_file(config: ZSDeconvSimConfig) -> Pattern | None:
    """The pattern of another run."""
    return None if config.like is None else Pattern.read(Path(config.like))


def _observation(
    image: Image, result: SimResult, optics: SimOptics, config: ZSDeconvSimConfig, camera: Camera | None = None
) -> SimObservation:
    frames = raw_sets(image, result.layout, options_of(config))
    camera = camera or _camera_of(frames, config)
    frames = frames - np.float32(camera.offset)
    operator = optics.operator((frames.shape[-2], frames.shape[-1]))
    counts = np.stack([operator.apply(one) for one in frames])
    sigma = np.stack([optics.sigma(one, camera) for one in frames])
    noise = check_noise(frames.reshape(-1, *frames.shape[-2:]))
    said = () if noise.independent else (noise.note,)
    return SimObservation(image, result, frames, counts, sigma, camera, (*result.messages, *said), noise)


def _camera_of(frames: Array, config: ZSDeconvSimConfig) -> Camera:
    given = {"offset": config.offset, "gain": config.gain, "read_noise_e": config.read_noise_e}
    return estimate_camera(frames.reshape(-1, *frames.shape[-2:]), **given).camera
