"""ZS-DeconvNet: a network learns to denoise and to sharpen from the noisy image, or the noisy volume, itself.

**Pairs.** An image ``y`` with independent noise of known standard deviation ``sigma`` is re-corrupted into two copies whose noises are
uncorrelated, ``y + alpha sigma g`` and ``y - sigma g / alpha`` with the same standard normal ``g``. Of the shot noise this is done photon by
photon (`superlens.camera.share_photons`), so that the copies are independent also where few photons are. A network that predicts the
second from the first learns the expectation: the noise-free image.

**Two stages.** The first output is the denoised image ``d``; the second, ``s``, is the specimen through a stated response: nine
tenths of its light through the PSF made 1.5 times narrower, one tenth through a finer core. Blurred by what separates the response from
the PSF and binned to camera pixels, ``A s`` must agree with the same noisy copy. What the blur hides is decided by the start, or from nothing by a Hessian penalty that asks for continuity.

**Start.** The light network does not begin from nothing but from weights that were trained on simulated specimens
(`superlens.starts.images`, `superlens.starts.volumes`). Zero-shot steps then bring it towards the image; how far is decided by the image, on blocks that the steps
never saw: of the weights on the line between start and end, the nearest to the start that predict these blocks as well as any, within
one standard error.

**Volumes.** The slices of a stack are one volume with one PSF; the network mixes each with its neighbours, and the response of the
sharp volume is 1.75 times narrower than the PSF, 1.5 times along z, without a core. Its even slices may serve as the noisy copy of the odd ones, with the gap between them amended.

In: one or more `Image` of one kind, and an `Objective` or a `PSF`. Out: a `Model`, and for each image a `Result`.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): the method. Pang et al., CVPR 2021, and Monroy et al., CVPR 2025:
recorrupted-to-recorrupted pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from superlens.errors import SuperlensError
from superlens.image import Image, require_image
from superlens.methods.zsdeconv.adapt import adapt, predict_adapted
from superlens.methods.zsdeconv.apply import Result, apply, observed
from superlens.methods.zsdeconv.channels import ChannelResult, enhance_channels, predict_channels, train_channels
from superlens.methods.zsdeconv.dimensions import refuse_frames_as_slices, spatial_axes
from superlens.methods.zsdeconv.files import predict_file, preview
from superlens.methods.zsdeconv.learn import Learned, learn
from superlens.methods.zsdeconv.predictor import require_zsdeconv
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.model import ChannelModels, Model
from superlens.optics import PSF, Objective
from superlens.predicting import BlockOptions, Preview
from superlens.progress import Progress, silent

__all__ = [
    "BlockOptions",
    "ChannelResult",
    "Preview",
    "Result",
    "ZSDeconvConfig",
    "adapt",
    "enhance",
    "predict",
    "predict_file",
    "preview",
    "refuse_frames_as_slices",
    "spatial_axes",
    "train",
]


Optics = Objective | PSF | None


@overload
def enhance(
    images: Image,
    optics: Optics = None,
    *,
    channels: None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> Result: ...


@overload
def enhance(
    images: Image,
    optics: Sequence[Optics],
    *,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> ChannelResult: ...


@overload
def enhance(
    images: Sequence[Image],
    optics: Optics = None,
    *,
    channels: None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> list[Result]: ...


@overload
def enhance(
    images: Sequence[Image],
    optics: Sequence[Optics],
    *,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> list[ChannelResult]: ...


def enhance(
    images: Image | Sequence[Image],
    optics: Optics | Sequence[Optics] = None,
    *,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> Result | ChannelResult | list[Result] | list[ChannelResult]:
    """Denoise and super-resolve images by what they hold themselves.

    Parameters
    ----------
    images : Image or sequence of Image
        Axes with Y and X; every plane is taken as a 2D image of the same kind. Several images train one model.
    optics : Objective or PSF, or a sequence of them, optional
        What blurred them; not needed with ``denoise_only``. A sequence has an entry for each channel, and each channel its own
        model; without one, the planes of all channels are taken to be of one kind.
    channels : sequence of int, optional
        With a sequence of optics: the channels to work on, rising from 0; by default all.
    preset : str
        "fast", "standard" or "paper"; ignored when ``config`` is given.
    config : ZSDeconvConfig, optional
    checkpoint : Path, optional
        A file to keep the state of the training in, and to go on from; for channels, one for each with ``.c0`` and so on at its end.
    start : Model, optional
        Weights to begin from, in the place of the shipped ones.
    progress : Progress

    Returns
    -------
    Result, or list of Result for a sequence
        A `ChannelResult` instead when there are optics for each channel.

    Raises
    ------
    SuperlensError
        If an image, the optics or the settings can't be right; the message names the value and the next step.

    Examples
    --------
    >>> result = enhance(image, Objective(na=1.3, wavelength_nm=525))  # doctest: +SKIP
    >>> both = enhance(movie, [Objective(na=1.3, wavelength_nm=w) for w in (525, 600)])  # doctest: +SKIP
    """
    several = _several(images)
    settings = config or ZSDeconvConfig.of(preset)
    if isinstance(optics, Sequence):
        numbers = _channels_of(several, channels)
        both = enhance_channels(several, optics, numbers, settings, checkpoint, progress, start)
        return both[0] if isinstance(images, Image) else both
    _refuse_channels(channels)
    prepared = prepare(several, optics, settings)
    learned = learn(prepared, checkpoint, progress, start=start)
    results = [apply(learned, observation, progress) for observation in prepared.observations]
    return results[0] if isinstance(images, Image) else results


@overload
def train(
    images: Image | Sequence[Image],
    optics: Optics = None,
    *,
    channels: None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> Model: ...


@overload
def train(
    images: Image | Sequence[Image],
    optics: Sequence[Optics],
    *,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> ChannelModels: ...


def train(
    images: Image | Sequence[Image],
    optics: Optics | Sequence[Optics] = None,
    *,
    channels: Sequence[int] | None = None,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    start: Model | None = None,
    progress: Progress = silent,
) -> Model | ChannelModels:
    """Train a model on one or more images of one kind; the arguments are those of `enhance`."""
    several = _several(images)
    settings = config or ZSDeconvConfig.of(preset)
    if isinstance(optics, Sequence):
        return train_channels(several, optics, _channels_of(several, channels), settings, checkpoint, progress, start)
    _refuse_channels(channels)
    return learn(prepare(several, optics, settings), checkpoint, progress, start=start).model


@overload
def predict(model: Model, image: Image, *, adapt_steps: int = 0, progress: Progress = silent) -> Result: ...


@overload
def predict(
    model: ChannelModels, image: Image, *, adapt_steps: int = 0, progress: Progress = silent
) -> ChannelResult: ...


def predict(
    model: Model | ChannelModels,
    image: Image,
    *,
    adapt_steps: int = 0,
    start: Model | None = None,
    progress: Progress = silent,
) -> Result | ChannelResult:
    """Apply a trained model to an image of the kind it was trained on.

    Parameters
    ----------
    model : Model or ChannelModels
        The latter gives a `ChannelResult`.
    image : Image
    adapt_steps : int
        Train so many steps further on each frame first, see `adapt`; the model stays as it is.
    start : Model, optional
        What the model began from, where that were not the shipped weights.
    progress : Progress

    Raises
    ------
    SuperlensError
        If pixel size, axes or channels do not fit, or the model is of another method.
    """
    require_image(image)

    def one(its: Model, channel: Image) -> Result:
        require_zsdeconv(its)
        if adapt_steps:
            return predict_adapted(its, channel, adapt_steps, progress)
        return apply(Learned(its, None, start), observed(its, channel), progress)

    return predict_channels(model, image, one) if isinstance(model, ChannelModels) else one(model, image)


def _several(images: object) -> list[Image]:
    several: list[Any] = list(images) if isinstance(images, Sequence) and not isinstance(images, str) else [images]
    for image in several:
        require_image(image)
    return several


def _channels_of(images: Sequence[Image], channels: Sequence[int] | None) -> Sequence[int]:
    if channels is not None:
        return channels
    counts = {image.sizes.get("C", 0) for image in images}
    if len(counts) != 1:
        raise SuperlensError(f"the images have {sorted(counts)} channels; say which ones with channels")
    return range(counts.pop())


def _refuse_channels(channels: Sequence[int] | None) -> None:
    if channels is not None:
        raise SuperlensError(
            "channels is given and optics is not a sequence; give a PSF or an Objective for each channel"
        )
