"""From raw frames and an objective to everything that is fixed before learning begins, or a refusal in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera, NoiseCheck, check_noise, estimate_camera, refuse_offset, smoothed_signal
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv_sim.already import assumed, noise_map, taken
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.observing.conditioning import Normaliser
from superlens.optics import PSF, Objective
from superlens.optics.patterns import Pattern
from superlens.reconstruct.sim import SimOptions, SimResult, Spectrum, raw_sets, reconstruct_sim

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
    optics : tuple of SimOptics
        Of each set, with its own phases; where there are none, those of the training serve.
    from_frames : bool
        False where another program reconstructed them, so that neither frames nor pattern are known.
    """

    image: Image
    result: SimResult
    frames: Array
    counts: Array
    sigma: Array
    camera: Camera
    messages: tuple[str, ...]
    noise: NoiseCheck | None = None
    optics: tuple[SimOptics, ...] = ()
    from_frames: bool = True


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
    if config.reconstructed:
        _check_reconstructed(config)
    pattern = pattern_of_file(config)
    observations: list[SimObservation] = []
    first: SimOptics | None = None
    for image in images:
        refuse_offset(image.data, config.offset, image.name or "the image")
        if config.reconstructed:
            result = taken(image, assumed(image, optics) if first is None else first.spectrum)
        else:
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


def _check_reconstructed(config: ZSDeconvSimConfig) -> None:
    told = {"like": config.like, "angles": config.angles, "phases": config.phases}
    of_frames = [name for name, value in told.items() if value is not None] + ["order"] * (config.order != "auto")
    if of_frames:
        raise SuperlensError(f"`reconstructed` is given, and `{of_frames[0]}` is of raw frames; leave one of them out.")
    if config.from_scratch:
        raise SuperlensError(
            "`reconstructed` applies the pretrained network as it is, since an image without its raw frames cannot be learned from; leave "
            "`from_scratch` out."
        )


def observed(
    image: Image, objective: Objective, spectrum: Spectrum, config: ZSDeconvSimConfig, camera: Camera | None
) -> SimObservation:
    """Raw frames as a trained model takes them: with its pattern and its camera.

    Raises
    ------
    SuperlensError
        When their pattern is another one.
    """
    if config.reconstructed:
        result = taken(image, spectrum)
    else:
        result = _with_pattern(image, objective, spectrum.pattern, options_of(config))
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
    if config.like is None:
        return None
    return Pattern.read(Path(config.like), () if config.like_channel is None else (config.like_channel,))[0]


def _observation(
    image: Image, result: SimResult, optics: SimOptics, config: ZSDeconvSimConfig, camera: Camera | None = None
) -> SimObservation:
    if config.reconstructed:
        return _finished(image, result, optics, config)
    frames = raw_sets(image, result.layout, options_of(config))
    camera = camera or _camera_of(frames, config)
    frames = frames - np.float32(camera.offset)
    each, operators = _each(optics, result), {}
    for own in each:
        if own.spectrum not in operators:
            operators[own.spectrum] = own.operator((frames.shape[-2], frames.shape[-1]))
    counts = np.stack([operators[own.spectrum].apply(one) for own, one in zip(each, frames, strict=True)])
    sigma = np.stack([own.sigma(one, camera) for own, one in zip(each, frames, strict=True)])
    noise = check_noise(frames.reshape(-1, *frames.shape[-2:]))
    said = () if noise.independent else (noise.note,)
    return SimObservation(image, result, frames, counts, sigma, camera, (*result.messages, *said), noise, each)


def _each(optics: SimOptics, result: SimResult) -> tuple[SimOptics, ...]:
    """The optics of each set: the same object for all that share a pattern."""
    shared = optics.spectrum
    return tuple(
        optics if own.pattern is result.pattern else replace(optics, spectrum=replace(shared, pattern=own.pattern))
        for own in result.spectra
    )


def _finished(image: Image, result: SimResult, optics: SimOptics, config: ZSDeconvSimConfig) -> SimObservation:
    """An image that another program reconstructed."""
    offset = config.offset or 0.0
    data = np.asarray(image.data, np.float32) - np.float32(offset)
    counts = data.reshape(-1, *data.shape[-2:])
    maps, lines = zip(*(noise_map(plane, result.spectrum) for plane in counts), strict=True)
    dark, slope = np.median(lines, axis=0)
    camera = Camera(max(float(slope), 1e-6), offset, float(math.sqrt(dark) / max(slope, 1e-6)))
    said = (
        "Taken as reconstructed by another program, whose pattern and filter are not known: the usual ones are assumed, and the extended band "
        f"ends at {optics.pixel_nm / optics.band:.0f} nm.",
        f"The noise was measured at the quietest places: {math.sqrt(dark):.4g} counts where it is dark. The pretrained network was applied as it is: "
        "without raw frames nothing can be learned from the image. Give the raw frames where there are any.",
    )
    return SimObservation(image, result, counts[:, None], counts, np.stack(maps), camera, said, from_frames=False)


def _camera_of(frames: Array, config: ZSDeconvSimConfig) -> Camera:
    given = {"offset": config.offset, "gain": config.gain, "read_noise_e": config.read_noise_e}
    return estimate_camera(frames.reshape(-1, *frames.shape[-2:]), **given).camera
