"""Prediction: from a model and an image to the denoised image, the sharp one, and how far the sharp one may be off."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.camera import Camera
from superlens.evidence import gather
from superlens.image import Image
from superlens.method import Learned
from superlens.methods.zsdeconv.learn import STARTS, start_of
from superlens.methods.zsdeconv.paper_volume import INSERT, INSERT_Z
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.task import Lens, VolumeLens, check_step, lens_of, stacked
from superlens.methods.zsdeconv.turning import EDGE, run_light
from superlens.metrics import BlurWidth, blur_width
from superlens.model import Model
from superlens.networks import architecture
from superlens.observing.conditioning import condition
from superlens.observing.observation import Observation, observe
from superlens.progress import Progress
from superlens.result import Channel
from superlens.tiling import choose_tile, map_tiles
from superlens.training import out_of_memory_errors

__all__ = ["apply", "observed", "parameters_of", "stated_error"]

Array = NDArray[np.float32]


def observed(model: Model, image: Image) -> Observation:
    """An image as a model takes it: with the camera of the training images."""
    camera = model.camera
    known = (
        {} if camera is None else {"gain": camera.gain, "read_noise_e": camera.read_noise_e, "offset": camera.offset}
    )
    (observation,) = observe([image], **known)
    return observation


def apply(learned: Learned, observation: Observation, progress: Progress) -> Channel:
    """Predict one image, plane by plane and tile by tile."""
    model = learned.model
    config = ZSDeconvConfig(**model.config.settings)
    lens = lens_of(model.psf, model.config.scale, config.axes, model.config.response)
    start = start_of(model)
    if config.axes == "ZYX":
        check_step(model.psf, observation.image)
    counts, sigma = (
        stacked(values, observation.image, config.axes) for values in (observation.counts, observation.sigma)
    )
    made = []
    for i, (one, its_sigma) in enumerate(zip(counts, sigma, strict=True)):
        progress(i, len(counts), "predicting")
        made.append(_one(model, start, lens, config, one, its_sigma))
    progress(len(made), len(made), "predicting")
    denoised, sharp, stated, prior_only = (None if p[0] is None else np.stack(p) for p in zip(*made, strict=True))
    return _result(learned, observation, config, denoised, sharp, stated, _planes(prior_only))


def _planes(values: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if values is None else values.reshape(-1, *values.shape[-2:])


def _one(
    model: Model,
    start: keras.Model | None,
    lens: Lens | VolumeLens,
    config: ZSDeconvConfig,
    counts: Array,
    sigma: Array,
) -> tuple[Array, Array | None, Array | None, NDArray[np.bool_] | None]:
    """One image or volume."""
    known = architecture(model.config.network)
    if known.inputs == "image":
        denoised, sharp = (_rcan if known.whole else _unet)(model, counts)
        return denoised, None if config.denoise_only else sharp, None, None
    denoised, sharp, log_sigma = _light(model, model.network, lens, config.flips, counts, sigma)
    if config.denoise_only:
        return denoised, None, None, None
    if model.config.spread is None:
        return denoised, sharp, None, None
    before = None
    if start is not None:
        _, before, log_sigma = _light(model, start, lens, config.flips, counts, sigma)
    stated = stated_error(model, sharp, before, log_sigma)
    return denoised, sharp, stated, _prior_only(sharp, stated, denoised, sigma, lens)


def stated_error(model: Model, sharp: Array, before: Array | None, log_sigma: Array) -> Array:
    """Standard deviation of the error of the sharp image, in counts.

    Parameters
    ----------
    model : Model
        With a calibrated ``spread``.
    sharp : ndarray, counts
    before : ndarray, counts, or None
        What the start that the model was adapted from makes of the same image; None if there was none.
    log_sigma : ndarray
        From the weights that the calibration was made with: those of the start, where there was one.
    """
    stated = np.exp(log_sigma) * (model.config.contrast * (model.config.spread or 1.0))
    if before is not None:  # of two images that are D apart at least one is off by D / 2
        stated = np.maximum(stated, np.abs(sharp - before) / 2)
    return np.asarray(stated, np.float32)


def _light(
    model: Model, network: keras.Model, lens: Lens | VolumeLens, flips: int, counts: Array, sigma: Array
) -> tuple[Array, Array, Array]:
    """Denoised and sharp image or volume in counts, and the logarithm of the sharp one's error in network units."""
    normaliser = model.normaliser

    def block(part: Array) -> list[Array]:
        channels = condition(part[0, ..., 0], part[0, ..., 1], normaliser, lens.bank)
        denoised, sharp, log_sigma = run_light(network, channels, flips=flips)
        return [denoised[None, ..., None], np.stack([sharp, log_sigma], axis=-1)[None]]

    denoised, fine = _tiled(block, np.stack([counts, sigma], axis=-1), model.config.network)
    return normaliser.backward(denoised[..., 0]), normaliser.backward(fine[..., 0]), fine[..., 1]


def _unet(model: Model, counts: Array) -> tuple[Array, Array]:
    normaliser = model.normaliser

    def block(part: Array) -> list[Array]:
        return list(model.network.predict_on_batch(part))

    denoised, sharp = _tiled(block, normaliser.forward(counts)[..., None], model.config.network)
    return normaliser.backward(denoised[..., 0]), normaliser.backward(sharp[..., 0])


def _rcan(model: Model, counts: Array) -> tuple[Array, Array]:
    """In windows of the size of the training patches, since the attention looks at the whole window."""
    config = ZSDeconvConfig(**model.config.settings)
    low, high = float(counts.min()), float(counts.max())
    halo = (INSERT_Z, INSERT, INSERT)
    window = (min(config.depth, len(counts)), *(min(config.patch, side) for side in counts.shape[1:]))
    core = tuple(max(side - 2 * h, 1) for side, h in zip(window, halo, strict=True))

    def block(part: Array) -> list[Array]:
        padded = np.pad(part, ((0, 0), *((h, h) for h in halo), (0, 0)))
        denoised, sharp = model.network.predict_on_batch(padded)
        inside, fine = (
            (slice(None), *(slice(h * f, -h * f) for h, f in zip(halo, factors, strict=True)))
            for factors in ((1, 1, 1), (1, model.config.scale, model.config.scale))
        )
        return [denoised[inside], sharp[fine]]

    scaled = ((counts - low) / max(high - low, 1e-9)).astype(np.float32)[..., None]
    made = map_tiles(block, scaled, halo=halo, tile=core, out_of_memory=out_of_memory_errors())
    denoised, sharp = ((values[..., 0] * np.float32(high - low) + np.float32(low)) for values in made)
    return denoised, sharp


def _tiled(block: Any, array: Array, network: str) -> Any:
    """By a network of finite reach. An image is mirrored a little beyond its edges; the first and the last slice of a volume stay ends."""
    along_z, known = array.ndim == 4, architecture(network)
    halo = (known.reach_z,) * along_z + (known.halo,) * 2
    align = (1,) * along_z + (known.align,) * 2
    edge = (0,) * along_z + (EDGE,) * 2
    tile = choose_tile(array.shape[:-1], halo, align, bytes_per_pixel=known.bytes_per_pixel, ends="open", edge=edge)
    return map_tiles(
        block, array, halo=halo, align=align, tile=tile, ends="open", edge=edge, out_of_memory=out_of_memory_errors()
    )


def _prior_only(
    sharp: Array, stated: Array, denoised: Array, sigma: Array, lens: Lens | VolumeLens
) -> NDArray[np.bool_]:
    """Where detail was added that hides below the noise once it is blurred again.

    Detail is what the sharp image has beyond the interpolated denoised one. Its evidence is the chi-square of its camera image over a
    window of the size of the PSF: where that stays below one, no pixel of the data could tell whether the detail is there. Only detail that the model claims, beyond twice its stated error, counts.
    """
    scale = sharp.shape[-1] // denoised.shape[-1]
    factors = (1,) * (sharp.ndim - 2) + (scale, scale)
    detail = sharp - ndimage.zoom(denoised, factors, order=1, grid_mode=True, mode="nearest")
    seen = lens.seen(detail, scale)
    side = 5
    window = (1,) * (sharp.ndim - 2) + (side, side)
    evidence = side**2 * ndimage.uniform_filter((seen / sigma) ** 2, window, mode="reflect")
    hidden = np.kron(evidence < 1, np.ones(factors, bool))
    return np.asarray(hidden & (np.abs(detail) > 2 * stated))


def _result(
    learned: Learned,
    observation: Observation,
    config: ZSDeconvConfig,
    denoised: Array | None,
    sharp: Array | None,
    sigma: Array | None,
    prior_only: NDArray[np.bool_] | None,
) -> Channel:
    model, image = learned.model, observation.image
    unit = np.float32(observation.camera.gain if config.units == "electrons" else 1.0)
    parameters = parameters_of(learned.model, observation.camera, config)

    def like(values: Array | None, what: str, scale: int) -> Image | None:
        if values is None:
            return None
        shape = (*image.data.shape[:-2], *(side * scale for side in image.data.shape[-2:]))
        made = image.with_data((values / unit).astype(np.float32).reshape(shape), scale=scale)
        return replace(made, history={**image.history, "superlens": {"what": what, **parameters}})

    made = {
        "sharp": like(sharp, "super-resolved", model.config.scale),
        "denoised": like(denoised, "denoised", 1),
        "uncertainty": like(sigma, "standard deviation of the error of the super-resolved image", model.config.scale),
    }
    return Channel(
        images={role: one for role, one in made.items() if one is not None},
        masks={} if prior_only is None else {"prior_only": prior_only},
        observation=observation,
        model=model,
        history=learned.history,
        parameters=parameters,
        messages=_messages(learned, observation, config),
        speaks=gather,
    )


def parameters_of(made: Model, camera: Camera, config: ZSDeconvConfig) -> dict[str, Any]:
    """Settings, optics and camera in words and numbers, for the history of an image."""
    model = made.config
    return {
        **config.model_dump(mode="json"),
        "pixel_nm": model.pixel_nm,
        "psf": model.psf_source or "none: denoising only",
        "psf_fwhm_nm": None if made.psf is None else round(made.psf.fwhm_nm, 1),
        **_target_of(made),
        "camera_gain": camera.gain,
        "camera_offset": camera.offset,
        "camera_read_noise_e": camera.read_noise_e,
        "camera_estimated": sorted(camera.estimated),
        "level": model.level,
        "contrast": model.contrast,
        **{f"training_{k}": v for k, v in model.provenance.items()},
    }


def _target_of(made: Model) -> dict[str, Any]:
    """Widths of a thin line in the sharp image, also along z in a volume, None where none is stated; and how far the data carry the image."""
    psf, model = made.psf, made.config

    if psf is None:
        return {"line_fwhm_nm": None, "carried_per_um": None}
    states, response = model.states_resolution, model.response
    sharp = response.of(psf)
    told: dict[str, Any] = {
        "line_fwhm_nm": round(sharp.line_fwhm_nm, 1) if states else None,
        "carried_per_um": round(response.carried_per_um(psf, model.pixel_nm), 3),
    }
    if psf.fwhm_z_nm is not None and sharp.line_fwhm_z_nm is not None:
        told |= {
            "z_step_nm": psf.z_step_nm,
            "psf_fwhm_z_nm": round(psf.fwhm_z_nm, 1),
            "line_fwhm_z_nm": round(sharp.line_fwhm_z_nm, 1) if states else None,
        }
    return told


def _messages(learned: Learned, observation: Observation, config: ZSDeconvConfig) -> tuple[str, ...]:
    said = [*_earlier_work(observation.image), *observation.messages]
    if "offset" in observation.camera.estimated:
        said.append(
            f"the camera offset was estimated as {observation.camera.offset:.4g} counts and taken off; "
            "give `offset` for values that can be compared between images"
        )
    if learned.history is not None and learned.model.config.provenance["start"] in STARTS.values():
        said.append(
            f"training started from shipped weights and went {learned.history.blend:.0%} of the way to this image; "
            "`from_scratch` does without them"
        )
    if config.axes == "ZYX":
        said.append(_about_depth(observation.image.sizes["Z"], config))
    blur = _blur(learned.model, observation)
    if blur is not None and blur.note:
        said.append(blur.note)
    if config.denoise_only:
        said.append("denoising only: no optics were used and no detail was sharpened")
    return tuple(said)


def _earlier_work(image: Image) -> list[str]:
    """What the file says was done to the image before, where that leaves neither the noise nor the PSF of the microscope."""
    labels = [str(label) for label in image.history.get("labels", ()) if "decon" in str(label).lower()]
    if not labels:
        return []
    return [
        f"the file says that the image was deconvolved already ({labels[0]}): its noise is no longer the camera's and its blur no longer that of the "
        "optics, so that residuals and uncertainties do not hold for it; use the recording from before, if there is one"
    ]


def _blur(model: Model, observation: Observation) -> BlurWidth | None:
    if model.psf is None or model.psf.data.ndim != 2 or model.config.pixel_nm is None:
        return None
    plane = observation.counts[len(observation.counts) // 2]
    return blur_width(plane, model.psf, model.config.pixel_nm, covariance=observation.noise.covariance)


def _about_depth(slices: int, config: ZSDeconvConfig) -> str:
    said = f"the {slices} slices were taken as one volume"
    if config.pairs == "interleave":
        said += "; training compared every second slice, at twice the recorded z-step, and prediction is at the recorded one"
    if slices < 12:
        said += (
            f"; with {slices} slices much of the light comes from beyond the stack, and the outer ones are less certain"
        )
    return said
