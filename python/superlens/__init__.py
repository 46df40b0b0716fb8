"""superlens: super-resolution for fluorescence microscopy, learned from your own image.

The names below are what a user needs; each is loaded when it is first used, so that ``import superlens`` costs next to nothing
and loads neither TensorFlow nor SciPy. The modules of the package (`superlens.metrics`, `superlens.simulate`,
`superlens.reconstruct`, ...) are reached in the same way.

Examples
--------
>>> import superlens as sl
>>> sl.Objective(na=1.3, wavelength_nm=525).psf(pixel_nm=62.6).source
'vectorial, NA 1.3, 525 nm, n 1.33, widefield'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superlens import camera, doctor, fiji, metrics, optics, reconstruct, report, simulate, smlm, tiling, training
    from superlens.camera import Camera, check_noise, estimate_camera
    from superlens.errors import SuperlensError, SuperlensWarning
    from superlens.image import Image
    from superlens.io import (
        LazyImage,
        open_image,
        open_sequence,
        read,
        read_localizations,
        read_psf,
        read_sequence,
        write,
        write_localizations,
    )
    from superlens.methods.deepstorm import DeepStormConfig, localize, train_deepstorm
    from superlens.methods.zsdeconv import (
        BlockOptions,
        ChannelResult,
        Result,
        ZSDeconvConfig,
        enhance,
        predict,
        predict_file,
        train,
    )
    from superlens.model import ChannelModels, Model, load_model
    from superlens.optics import PSF, Objective
    from superlens.progress import Cancelled, Progress, console, silent
    from superlens.reconstruct import richardson_lucy, sparse_deconvolution, wiener
    from superlens.samples import sample
    from superlens.simulate import simulate_smlm
    from superlens.smlm import Localizations

__version__ = "0.1.0"

_HOME = {
    "Camera": "camera",
    "check_noise": "camera",
    "estimate_camera": "camera",
    "richardson_lucy": "reconstruct",
    "sparse_deconvolution": "reconstruct",
    "wiener": "reconstruct",
    "SuperlensError": "errors",
    "SuperlensWarning": "errors",
    "Image": "image",
    "LazyImage": "io",
    "open_image": "io",
    "open_sequence": "io",
    "read": "io",
    "read_localizations": "io",
    "read_psf": "io",
    "read_sequence": "io",
    "write": "io",
    "write_localizations": "io",
    "DeepStormConfig": "methods.deepstorm",
    "localize": "methods.deepstorm",
    "train_deepstorm": "methods.deepstorm",
    "BlockOptions": "methods.zsdeconv",
    "ChannelResult": "methods.zsdeconv",
    "Result": "methods.zsdeconv",
    "ZSDeconvConfig": "methods.zsdeconv",
    "enhance": "methods.zsdeconv",
    "predict": "methods.zsdeconv",
    "predict_file": "methods.zsdeconv",
    "train": "methods.zsdeconv",
    "ChannelModels": "model",
    "Model": "model",
    "load_model": "model",
    "Objective": "optics",
    "PSF": "optics",
    "Cancelled": "progress",
    "Progress": "progress",
    "console": "progress",
    "silent": "progress",
    "sample": "samples",
    "simulate_smlm": "simulate",
    "Localizations": "smlm",
}
"""Public name to the module that defines it."""

_MODULES = frozenset(
    ("camera", "reconstruct", "doctor", "fiji", "metrics", "optics", "report", "simulate", "smlm", "tiling", "training")
)

__all__ = [
    "PSF",
    "BlockOptions",
    "Camera",
    "Cancelled",
    "ChannelModels",
    "ChannelResult",
    "Image",
    "LazyImage",
    "Model",
    "Objective",
    "Progress",
    "Result",
    "SuperlensError",
    "SuperlensWarning",
    "ZSDeconvConfig",
    "__version__",
    "camera",
    "check_noise",
    "console",
    "reconstruct",
    "doctor",
    "enhance",
    "estimate_camera",
    "fiji",
    "load_model",
    "metrics",
    "open_image",
    "open_sequence",
    "optics",
    "predict",
    "predict_file",
    "read",
    "read_localizations",
    "read_psf",
    "read_sequence",
    "report",
    "richardson_lucy",
    "sample",
    "silent",
    "simulate",
    "simulate_smlm",
    "sparse_deconvolution",
    "tiling",
    "train",
    "training",
    "wiener",
    "write",
    "write_localizations",
    "DeepStormConfig",
    "Localizations",
    "localize",
    "train_deepstorm",
    "smlm",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; the public names are in superlens.__all__"
        )
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
