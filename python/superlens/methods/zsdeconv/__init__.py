"""ZS-DeconvNet in 2D: a network learns to denoise and to sharpen from the noisy image itself.

**Pairs.** An image ``y`` with independent noise of known standard deviation ``sigma`` is re-corrupted into two copies whose noises are
uncorrelated, ``y + alpha sigma g`` and ``y - sigma g / alpha`` with the same standard normal ``g``. A network that predicts the
second from the first learns the expectation: the noise-free image.

**Two stages.** The first output is the denoised image ``d``; the second, ``s``, is the specimen at a stated resolution, 1.5 times that
of the microscope. Blurred by what separates the two resolutions and binned to camera pixels, ``A s`` must agree with the same noisy
copy. What the blur hides is decided by the start, or from nothing by a Hessian penalty that asks for continuity.

**Start.** The light network does not begin from nothing but from weights that were trained on simulated specimens
(`superlens.pretraining`). Zero-shot steps then bring it towards the image; how far is decided by the image, on blocks that the steps
never saw: of the weights on the line between start and end, the nearest to the start that predict these blocks as well as any, within
one standard error.

In: one or more `Image` of one kind, and an `Objective` or a `PSF`. Out: a `Model`, and for each image a `Result`.

References
----------
Qiao et al., Nat. Commun. 15, 4180 (2024): the method. Pang et al., CVPR 2021: recorrupted-to-recorrupted pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.zsdeconv.apply import Result, apply
from superlens.methods.zsdeconv.learn import Learned, learn
from superlens.methods.zsdeconv.request import BlockOptions
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.methods.zsdeconv.stream import Preview, predict_file, preview
from superlens.methods.zsdeconv.task import prepare
from superlens.model import Model
from superlens.observation import observe
from superlens.optics import PSF, Objective
from superlens.progress import Progress, silent

__all__ = [
    "BlockOptions",
    "Preview",
    "Result",
    "ZSDeconvConfig",
    "enhance",
    "predict",
    "predict_file",
    "preview",
    "train",
]


@overload
def enhance(
    images: Image,
    optics: Objective | PSF | None = None,
    *,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Result: ...


@overload
def enhance(
    images: Sequence[Image],
    optics: Objective | PSF | None = None,
    *,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> list[Result]: ...


def enhance(
    images: Image | Sequence[Image],
    optics: Objective | PSF | None = None,
    *,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Result | list[Result]:
    """Denoise and super-resolve images by what they hold themselves.

    Parameters
    ----------
    images : Image or sequence of Image
        Axes with Y and X; every plane is taken as a 2D image of the same kind. Several images train one model.
    optics : Objective or PSF, optional
        What blurred them; not needed with ``denoise_only``.
    preset : str
        "fast", "standard" or "paper"; ignored when ``config`` is given.
    config : ZSDeconvConfig, optional
    checkpoint : Path, optional
        A file to keep the state of the training in, and to go on from.
    progress : Progress

    Returns
    -------
    Result, or list of Result for a sequence

    Raises
    ------
    SuperlensError
        If an image, the optics or the settings can't be right; the message names the value and the next step.

    Examples
    --------
    >>> result = enhance(image, Objective(na=1.3, wavelength_nm=525))  # doctest: +SKIP
    """
    several = [images] if isinstance(images, Image) else list(images)
    task = prepare(several, optics, config or ZSDeconvConfig.of(preset))
    learned = learn(task, checkpoint, progress)
    results = [apply(learned, observation, progress) for observation in task.observations]
    return results[0] if isinstance(images, Image) else results


def train(
    images: Image | Sequence[Image],
    optics: Objective | PSF | None = None,
    *,
    preset: str = "fast",
    config: ZSDeconvConfig | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Model:
    """Train a model on one or more images of one kind; the arguments are those of `enhance`."""
    several = [images] if isinstance(images, Image) else list(images)
    task = prepare(several, optics, config or ZSDeconvConfig.of(preset))
    return learn(task, checkpoint, progress).model


def predict(model: Model, image: Image, *, progress: Progress = silent) -> Result:
    """Apply a trained model to an image of the kind it was trained on.

    Raises
    ------
    SuperlensError
        If pixel size or axes do not fit, or the model is of another method.
    """
    if model.config.method != "zsdeconv":
        raise SuperlensError(f"the model was made by {model.config.method}; expected one made by zsdeconv")
    model.check_fits(image)
    camera = model.camera
    known = (
        {} if camera is None else {"gain": camera.gain, "read_noise_e": camera.read_noise_e, "offset": camera.offset}
    )
    (observation,) = observe([image], **known)
    return apply(Learned(model, None), observation, progress)
